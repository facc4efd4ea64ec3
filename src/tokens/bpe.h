/* tokens/bpe.h - byte-pair encoding of one pre-token
 *
 * Two kinds of vocabulary, one merge loop: byte-level ones start from single bytes, the others from
 * characters with byte tokens <0xXX> or an unknown token for those that the vocabulary lacks. Symbols: the
 * tokens of the model numbered densely in id order, so that a pair and its rank fit into 64 bits whatever
 * the ids are.
 * Owner:   weft_bpe_clear.   Threads: immutable after build; each user brings its own scratch.
 */
#ifndef WEFT_TOKENS_BPE_H
#define WEFT_TOKENS_BPE_H

#include "tokens/byte_level.h"
#include "tokens/tokenizer.h"
#include "tokens/vocab.h"

enum {
    WEFT_MAX_SYMBOLS = (1 << 20) - 1, /* tokens of a model; the largest known has 262,144 */
    WEFT_MAX_MERGES = (1 << 24) - 1,
    WEFT_NO_RANK = (1 << 24) - 1,
    WEFT_NO_SYMBOL = (1 << 20) - 1, /* has no merges */
    WEFT_MAYBE_BITS = 1 << 21
};

struct weft_merge {
    struct weft_str a, b;
    size_t at; /* byte offset in the file, for messages */
};

/* A character of two or three bytes that is a token of a byte-level vocabulary: what decides whether it
 * may be taken as one symbol from the start (bpe.c, "whole characters"). */
struct weft_wide {
    uint32_t symbol;  /* WEFT_NO_SYMBOL: no such token */
    uint32_t made_at; /* highest rank among the merges that make it; WEFT_NO_RANK: never taken whole */
    uint32_t front[2], back[2]; /* its parts while it is made: those at its left edge, at its right edge */
    uint32_t head[2], tail[2];  /* all its proper parts: first byte, first two; last byte, last two */
    uint32_t danger_left,
        danger_right; /* least rank of a merge of (it or a tail, part of a character), (part, it or a head) */
};

struct weft_bpe {
    const struct weft_vocab *vocab; /* of the model alone, without added tokens */
    bool byte_level;                /* words are raw bytes, tokens are mapped characters */
    bool byte_fallback, fuse_unk, ignore_merges;
    struct weft_str prefix, suffix; /* continuing_subword_prefix, end_of_word_suffix; "" for none */
    struct weft_str unk; /* unk_token; "" or not in the vocabulary: unknown characters are dropped */

    size_t n_symbols;
    int32_t *id_of_symbol;    /* [n_symbols] */
    int32_t unk_symbol;       /* -1: none */
    int32_t byte_symbol[256]; /* byte_level: its mapped character; else <0xXX>; -1: not in the vocabulary */
    bool ids_are_symbols;     /* ids without holes from 0: no translation */
    bool lengths_add_up;      /* byte_level, and every byte has a symbol: a word's symbols are its bytes */
    bool cut_at_metaspace; /* no token goes over from another character to U+2581: words may be cut there */
    int32_t
        *char_symbol[0x1100]; /* not byte_level: [code point >> 8] -> [256] symbol or -1; NULL: none there */
    struct weft_wide
        *wide[0x100];    /* byte_level: [code point >> 8] -> [256] of U+0080 - U+FFFF; NULL: none there */
    struct weft_buf raw; /* byte_level: the bytes of all symbols, one behind the other */
    uint32_t *raw_at;    /* [n_symbols + 1] where in raw; an empty part: not made of mapped characters */
    uint32_t *raw_slots; /* hash table by raw bytes: symbol + 1, 0: free */
    size_t n_raw_slots;
    uint64_t *pairs;     /* hash table: a << 44 | b << 24 | rank; UINT64_MAX: free */
    unsigned pair_shift; /* 64 - log2 of its length */
    uint64_t *maybe;     /* [WEFT_MAYBE_BITS / 64] a bit for each pair's hash: most pairs are in no merge */
    uint32_t *merged;    /* [n_merges] rank -> symbol */
    size_t n_merges, n_repeated;
};

/* Fills the tables from vocab and the flags above, which the caller has set.  Merges are resolved against
 * vocab by rule TK4; *bad is the merge that breaks it (the caller names the place) when the answer is
 * WEFT_EINPUT. */
WEFT_MUST_USE enum weft_status weft_bpe_build(struct weft_bpe *m, const struct weft_merge *merges,
                                              size_t n_merges, size_t *bad, struct weft_err *err);
void weft_bpe_clear(struct weft_bpe *m);

/* The bytes a symbol of a byte-level vocabulary stands for; empty when it is not made of mapped
 * characters. */
static inline struct weft_str weft_bpe_raw(const struct weft_bpe *m, uint32_t symbol)
{
    return (struct weft_str){ m->raw.s + m->raw_at[symbol], m->raw_at[symbol + 1] - m->raw_at[symbol] };
}

/* Words met before: direct-mapped, by their bytes.  Holds words of up to 16 bytes that became up to 3
 * symbols. */
struct weft_bpe_word {
    uint64_t key[2]; /* the bytes, zeros behind */
    uint8_t len, n;  /* len 0: free */
    uint32_t symbols[3];
};
enum { WEFT_BPE_CACHE_BITS = 15 };

struct weft_bpe_scratch {
    struct weft_bpe_word *words;        /* [1 << WEFT_BPE_CACHE_BITS] */
    uint32_t *symbols, *ranks, *starts; /* [cap] */
    int32_t *prev, *next;               /* [cap_long] */
    uint64_t *heap;                     /* [3 cap_long] */
    size_t cap, cap_long;
};
void weft_bpe_scratch_clear(struct weft_bpe_scratch *s);

/* Appends the ids of `word` (valid UTF-8, not empty) to out; with `offsets` out->begin gets base + the
 * byte offset in the word.  `readable`: bytes that may be read from word.s on, at least word.len. */
WEFT_MUST_USE enum weft_status weft_bpe_encode(const struct weft_bpe *m, struct weft_bpe_scratch *s,
                                               struct weft_str word, size_t readable, bool offsets,
                                               uint32_t base, struct weft_ids *out, struct weft_err *err);

/* Room for n more ids, and offsets. */
WEFT_MUST_USE enum weft_status weft_ids_reserve(struct weft_ids *ids, size_t n, bool offsets,
                                                struct weft_err *err);

#endif
