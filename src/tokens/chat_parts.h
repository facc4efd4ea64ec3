/* tokens/chat_parts.h - what the files of the chat renderer share; private to them */
#ifndef WEFT_TOKENS_CHAT_PARTS_H
#define WEFT_TOKENS_CHAT_PARTS_H

#include "base/hash.h"
#include "tokens/chat.h"
#include "tokens/jinja.h"

#pragma GCC visibility push(hidden)

/* Tags of strings: 0 for what the template's author may be trusted with (special tokens), 1 for role names,
 * tools and arguments, 2 + k for what message k says. */
enum { WEFT_TAG_OTHER = 1, WEFT_TAG_MESSAGE = 2 };

struct weft_chat_template {
    const struct weft_jinja *jinja;
    char fingerprint[WEFT_SHA256_HEX];
    struct weft_chat_abilities can;
    struct weft_chat_rules rules;
};

/* Building the template's input. */
struct weft_jinja_value weft_chat_string(struct weft_jinja_run *r, const char *s, int32_t tag);
void weft_chat_member(struct weft_jinja_run *r, struct weft_jinja_value dict, const char *key,
                      struct weft_jinja_value v);
struct weft_jinja_value weft_chat_message(struct weft_jinja_run *r, const char *role,
                                          struct weft_jinja_value content);
/* Text as a list of one part. */
struct weft_jinja_value weft_chat_part(struct weft_jinja_run *r, struct weft_jinja_value text);

/* Renders messages under settings; `prompt`: with the generation prompt, whatever the settings say. */
enum weft_status weft_chat_run(struct weft_jinja_run *r, struct weft_jinja_value messages,
                               struct weft_jinja_value tools, const struct weft_chat_settings *s, bool prompt,
                               struct weft_jinja_text *out, struct weft_err *err);

void weft_chat_learn_abilities(struct weft_arena *a, struct weft_chat_template *t);

/* The rendered text with its spans.  answers[k], k < n: message k is the assistant's. */
enum weft_status weft_chat_find_loss(struct weft_arena *a, const struct weft_chat_template *t,
                                     const struct weft_chat_settings *s, const struct weft_jinja_text *x,
                                     const bool *answers, const bool *muted, size_t n, struct weft_chat_text *out,
                                     struct weft_err *err);

#pragma GCC visibility pop

#endif
