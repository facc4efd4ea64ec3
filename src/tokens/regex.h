/* tokens/regex.h - patterns of tokenizer files that have no matcher of their own
 *
 * A tokenizer.json is written for another engine (Oniguruma).  A scan of the pattern translates it for
 * PCRE2 and refuses by name what the two read differently, so that a pattern either means the same here or
 * is an error. Classes \s \d \w \p{..} are written out where the engines' tables differ.  Matching is
 * bounded: a match that takes too many steps is an error with the offset, never a hang.
 * Owner:   weft_regex_free.   Threads: a regex is immutable; each user brings its own scratch.
 */
#ifndef WEFT_TOKENS_REGEX_H
#define WEFT_TOKENS_REGEX_H

#include "base/str.h"

struct weft_regex;

enum {
    WEFT_REGEX_MAX_PATTERN = 65536, /* bytes */
    WEFT_REGEX_MAX_REPEAT = 1000,   /* in {m,n} */
    WEFT_REGEX_MAX_STEPS = 2000000  /* of one match */
};

/* `place`: where the pattern stands, for messages ("tokenizer.json:1:170"). */
WEFT_MUST_USE enum weft_status weft_regex_new(struct weft_regex **out, const char *place,
                                              struct weft_str pattern, struct weft_err *err);
void weft_regex_free(struct weft_regex *r); /* accepts NULL */

struct weft_regex_scratch {
    void *data, *context, *stack; /* PCRE2's */
};
void weft_regex_scratch_clear(struct weft_regex_scratch *s);

/* The matches of a text one after the other, as the reference enumerates them: an empty match directly
 * behind a match is passed over. */
struct weft_regex_walk {
    size_t at, last_end; /* start with { 0, SIZE_MAX } */
};
WEFT_MUST_USE enum weft_status weft_regex_next(const struct weft_regex *r, struct weft_regex_scratch *s,
                                               struct weft_str text, struct weft_regex_walk *walk,
                                               bool *found, size_t *begin, size_t *end, struct weft_err *err);

#endif
