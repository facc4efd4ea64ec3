/* tokens/pattern.h - hand-written matchers for the pre-tokenizer patterns that known tokenizers use
 *
 * A tokenizer.json carries its pattern as text.  When that text is one of those listed here the matcher
 * runs, 20 to 50 times faster than a general engine and equal to it; for every other text there is
 * tokens/regex.h. Most of these patterns match every character somewhere: their matches tile the text.
 * Those that do not (`gaps`) give the text between two matches as a piece of its own, which is what a
 * Split that isolates matches makes of it.
 */
#ifndef WEFT_TOKENS_PATTERN_H
#define WEFT_TOKENS_PATTERN_H

#include "tokens/unicode.h"

/* End of the piece that begins at `at` < len.  s [len]: valid UTF-8; `at`: the start of a character. */
typedef size_t weft_pattern_fn(const struct weft_unicode *u, const unsigned char *s, size_t len, size_t at);

struct weft_pattern {
    const char *name; /* "gpt2", "qwen2", "llama3" ... */
    const char *text; /* as it stands in a tokenizer.json */
    weft_pattern_fn *next;
    bool gaps;
};

const struct weft_pattern *weft_pattern_by_text(struct weft_str text); /* NULL: not known */
/* One that a tokenizer can be trained with: without gaps. */
const struct weft_pattern *weft_pattern_by_name(const char *name);
/* Names of those, for messages: "gpt2, qwen2, llama3". */
void weft_pattern_names(struct weft_buf *out);

#endif
