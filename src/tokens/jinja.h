/* tokens/jinja.h - the template language of chat templates
 *
 * The subset of Jinja that chat templates use, with the results of Python's jinja2
 * (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loopcontrols, {% generation %}): docs/chat.md
 * lists it.  A template is parsed once into a tree and run by a tree walker.  Nothing in it can change its
 * input, read files, or run for long: steps, nesting, memory and output are limited.
 *
 * Every string knows where its bytes come from.  A tag is a number >= 0 the caller gives to the data it
 * hands in; text of the template has tag 0.  Concatenation, slicing, trimming, replacing, macros and blocks
 * keep tags byte by byte; operations that rewrite a string (tojson, formatting) give the whole result the
 * highest tag that went in.
 *
 * Owner:   a template lives in the arena given to parse, values and results in the arena of their run.
 * Threads: a template is immutable after parse; a run belongs to one thread.
 */
#ifndef WEFT_TOKENS_JINJA_H
#define WEFT_TOKENS_JINJA_H

#include "base/json.h"

/* Sizes met by untrusted templates; a limit that is met is WEFT_ELIMIT. */
enum {
    WEFT_JINJA_SOURCE_BYTES = 1 << 20,
    WEFT_JINJA_STEPS = 1 << 20, /* a step: some 16 evaluated nodes, or 4 KiB of text touched */
    WEFT_JINJA_NESTING = 64,    /* of statements and expressions in the source; of calls at run time */
    WEFT_JINJA_OUTPUT_BYTES = 64 << 20,
    WEFT_JINJA_MEMORY_BYTES = 256 << 20 /* of one run */
};

struct weft_jinja;

/* `name` stands before the line number in messages.  WEFT_EINPUT: not a template; what was found and
 * expected. */
WEFT_MUST_USE enum weft_status weft_jinja_parse(struct weft_arena *a, const char *name,
                                                struct weft_str source, const struct weft_jinja **out,
                                                struct weft_err *err);
/* The template's text, as parsed. */
struct weft_str weft_jinja_source(const struct weft_jinja *t);

/* Has a {% generation %} block. */
bool weft_jinja_has_generation(const struct weft_jinja *t);

/* ---- input ---- */

struct weft_jinja_value {
    unsigned char kind; /* enum jj_kind; 0: undefined */
    union {
        bool boolean;
        int64_t integer;
        double number;
        const void *ref; /* string, list, dict ... in the arena */
    } u;
};

/* A run collects its variables, then renders. */
struct weft_jinja_run;
WEFT_MUST_USE enum weft_status weft_jinja_begin(struct weft_jinja_run **out, struct weft_arena *a,
                                                const struct weft_jinja *t, struct weft_err *err);
/* Constructors never fail by themselves: when memory is out the run remembers it and render reports it. */
struct weft_jinja_value weft_jinja_none(void);
struct weft_jinja_value weft_jinja_bool(bool b);
struct weft_jinja_value weft_jinja_string(struct weft_jinja_run *r, struct weft_str s, int32_t tag);
struct weft_jinja_value weft_jinja_list(struct weft_jinja_run *r,
                                        size_t n); /* n undefined items: fill with _put */
void weft_jinja_put(struct weft_jinja_value list, size_t i, struct weft_jinja_value v);
struct weft_jinja_value weft_jinja_dict(struct weft_jinja_run *r, size_t cap);
/* Appends a member; keys must differ, at most `cap`. */
void weft_jinja_member(struct weft_jinja_run *r, struct weft_jinja_value dict, struct weft_str key,
                       struct weft_jinja_value v);
/* All strings of the tree get `tag`. */
struct weft_jinja_value weft_jinja_json(struct weft_jinja_run *r, const struct weft_json_value *v,
                                        int32_t tag);
/* A variable of the template, replacing one of the same name; the name must outlive the run. */
void weft_jinja_set(struct weft_jinja_run *r, const char *name, struct weft_jinja_value v);
void weft_jinja_set_str(struct weft_jinja_run *r, struct weft_str name, struct weft_jinja_value v);
/* For strftime_now: "2026-11-24"; s == NULL: the clock. */
void weft_jinja_date(struct weft_jinja_run *r, struct weft_str date);

/* ---- output ---- */

struct weft_jinja_span {
    size_t end; /* byte offset; spans follow each other from 0; may be empty where tagged data was empty */
    int32_t tag;
    bool generation; /* inside {% generation %} */
};

struct weft_jinja_text {
    struct weft_str text;
    const struct weft_jinja_span *spans;
    size_t n_spans;
    /* Where pieces were asked for: the end of what each {{ }} and each stretch of plain text printed, ascending. */
    const size_t *pieces;
    size_t n_pieces;
};

/* Asks for the pieces of what is rendered next. */
void weft_jinja_by_pieces(struct weft_jinja_run *r);

/* WEFT_EINPUT: the template raised an exception or met a wrong type; the message has name, line and what
 * was found. */
WEFT_MUST_USE enum weft_status weft_jinja_render(struct weft_jinja_run *r, struct weft_jinja_text *out,
                                                 struct weft_err *err);

#endif
