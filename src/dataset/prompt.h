/* dataset/prompt.h - what a model is asked, as a small file that a user can read, copy and change
 *
 *     ---
 *     task: summarise
 *     version: 1
 *     lang: zh
 *     temperature: 0.3
 *     max_chars: 50
 *     ---
 *     # system
 *     ...
 *     # user
 *     ... {text}
 *     # retry
 *     The answer above {problem}. ...
 *
 * {name} is replaced; {{ and }} are braces.  The tasks of weft bring such files in Chinese and English, built into the
 * program.  A row names the prompt that made it by task, version and the first digits of the file's SHA-256.
 *
 * Owner:   everything lives in the arena given, or in the text.
 * Threads: read-only after parsing.
 */
#ifndef WEFT_DATASET_PROMPT_H
#define WEFT_DATASET_PROMPT_H

#include "base/hash.h"
#include "base/option.h"

enum weft_prompt_lang { WEFT_PROMPT_ZH, WEFT_PROMPT_EN };
#define WEFT_PROMPT_LANG_CHOICES "zh|en"

struct weft_prompt {
    const char *name; /* file, or "summarise.zh" of the built-in ones */
    const char *task;
    int64_t version;
    int lang;
    double temperature;
    int64_t max_tokens, max_chars; /* of a reply; max_chars 0: any length */
    int64_t pairs;                 /* how many rows to ask for */
    const char *instruction;       /* of the rows made (summarise) */
    struct weft_str system, user, retry; /* system may be empty */
    char sha256[WEFT_SHA256_HEX];
    const char *via; /* "ask/summarise@1+0123abcd" */
};

/* WEFT_EINPUT with file, line and what was expected: an unknown key or placeholder names the nearest, a part that the
 * task needs is missing. */
WEFT_MUST_USE enum weft_status weft_prompt_parse(struct weft_arena *a, const char *name, struct weft_str text,
                                                 struct weft_prompt *out, struct weft_err *err);
/* One of the built-in ones; WEFT_EARG lists the tasks there are. */
WEFT_MUST_USE enum weft_status weft_prompt_builtin(struct weft_arena *a, const char *task, enum weft_prompt_lang lang,
                                                   struct weft_prompt *out, struct weft_err *err);

/* The built-in files, by number; false behind the last. */
struct weft_prompt_file {
    const char *name, *task; /* "summarise.zh", "summarise" */
    enum weft_prompt_lang lang;
    struct weft_str text;
};
bool weft_prompt_file(size_t i, struct weft_prompt_file *out);

struct weft_prompt_value {
    const char *name;
    struct weft_str text;
};
/* The template with every {name} replaced; a name without a value becomes nothing. */
void weft_prompt_fill(struct weft_str template, const struct weft_prompt_value *values, size_t n, struct weft_buf *out);

#endif
