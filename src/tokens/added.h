/* tokens/added.h - added tokens, and finding them in text
 *
 * One Aho-Corasick automaton for each of the two classes (matched before or after normalization):
 * leftmost, the longest of those that begin there, left to right without overlap, in time linear in the
 * text.
 * Owner:   weft_finder_clear.   Threads: immutable after build.
 */
#ifndef WEFT_TOKENS_ADDED_H
#define WEFT_TOKENS_ADDED_H

#include "tokens/unicode.h"

struct weft_added_token {
    int32_t id;
    struct weft_str content;
    struct weft_str pattern; /* what is looked for: content, normalized when `normalized` is set */
    bool single_word, lstrip, rstrip, normalized, special;
    size_t at; /* byte offset in the file, for messages */
};

struct weft_finder_node {
    int32_t first_child, sibling; /* -1: none */
    int32_t fail;                 /* where to go on without a child; -1: give up, a match is complete */
    int32_t token;                /* the longest pattern that ends here, -1: none */
    uint32_t depth;               /* bytes from the root */
    unsigned char byte;           /* that leads here from the parent */
};

struct weft_finder {
    const struct weft_added_token *tokens;
    struct weft_finder_node *nodes; /* [n_nodes], 0 is the root; NULL: nothing to find */
    size_t n_nodes;
    int32_t first[256]; /* children of the root */
    int only_first;     /* the one byte all patterns begin with, or -1 */
};

/* Patterns of those tokens whose `normalized` flag is as given.  `tokens` must outlive the finder. */
WEFT_MUST_USE enum weft_status weft_finder_build(struct weft_finder *f, const struct weft_added_token *tokens,
                                                 size_t n, bool normalized, struct weft_err *err);
void weft_finder_clear(struct weft_finder *f);

struct weft_found {
    int32_t token; /* index in tokens */
    size_t begin, end;
};
/* The next token to cut out at or after `from`, white space that lstrip and rstrip take with it included
 * (but none before `from`).  `plain`: special tokens are left in the text.  False: there is none. */
bool weft_finder_next(const struct weft_finder *f, const struct weft_unicode *u, struct weft_str text,
                      size_t from, bool plain, struct weft_found *out);

#endif
