/* tokens/bpe.c - tables and the merge loops
 *
 * The pair with the lowest rank is merged first, the leftmost of equals, until no pair is in the table.  Short words
 * keep the ranks of their neighbouring pairs in an array and look for the least by eye; a long word has a heap of
 * (rank, position) over a linked list, entries that the text has overtaken being dropped when they come up.
 */
#include "tokens/bpe.h"

#include "base/hash.h"
#include "tokens/unicode.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHORT_WORD = 96 };               /* symbols */

enum weft_status weft_ids_reserve(struct weft_ids *ids, size_t n, bool offsets, struct weft_err *err)
{
    size_t need, bytes;
    if (!weft_size_add(ids->n, n, &need) || !weft_size_mul(need, 2 * sizeof ids->ids[0], &bytes))
        return weft_fail_nomem(err, SIZE_MAX, "token ids");
    if (need > ids->cap) {
        size_t cap = weft_max_size(need, ids->cap + ids->cap / 2 + 64);
        int32_t *grown = realloc(ids->ids, cap * sizeof *grown);
        if (!grown) return weft_fail_nomem(err, cap * sizeof *grown, "token ids");
        ids->ids = grown;
        if (ids->begin || offsets) {
            uint32_t *begin = realloc(ids->begin, cap * sizeof *begin);
            if (!begin) return weft_fail_nomem(err, cap * sizeof *begin, "token offsets");
            ids->begin = begin;
        }
        ids->cap = cap;
    }
    if (offsets && !ids->begin) {
        ids->begin = malloc(ids->cap * sizeof *ids->begin);
        if (!ids->begin) return weft_fail_nomem(err, ids->cap * sizeof *ids->begin, "token offsets");
    }
    return WEFT_OK;
}

void weft_ids_clear(struct weft_ids *ids)
{
    free(ids->ids);
    free(ids->begin);
    *ids = (struct weft_ids){ 0 };
}

/* ---- tables ---- */

static size_t pair_slot(const struct weft_bpe *m, uint64_t key) { return (size_t)((key * 0x9E3779B97F4A7C15u) >> m->pair_shift); }

static uint32_t rank_of(const struct weft_bpe *m, uint32_t a, uint32_t b)
{
    uint64_t key = (uint64_t)a << 20 | b, entry;
    size_t mask = ((size_t)1 << (64 - m->pair_shift)) - 1;
    for (size_t k = pair_slot(m, key); (entry = m->pairs[k]) != UINT64_MAX; k = (k + 1) & mask)
        if (entry >> 24 == key) return (uint32_t)entry & WEFT_NO_RANK;
    return WEFT_NO_RANK;
}

/* False when the pair has a rank already, which is replaced. */
static bool set_rank(struct weft_bpe *m, uint32_t a, uint32_t b, uint32_t rank)
{
    uint64_t key = (uint64_t)a << 20 | b;
    size_t mask = ((size_t)1 << (64 - m->pair_shift)) - 1, k = pair_slot(m, key);
    while (m->pairs[k] != UINT64_MAX && m->pairs[k] >> 24 != key) k = (k + 1) & mask;
    bool fresh = m->pairs[k] == UINT64_MAX;
    m->pairs[k] = key << 24 | rank;
    return fresh;
}

static enum weft_status number_symbols(struct weft_bpe *m, int32_t **symbol_of_id, struct weft_err *err)
{
    const struct weft_vocab *v = m->vocab;
    m->id_of_symbol = malloc(weft_max_size(v->n, 1) * sizeof *m->id_of_symbol);
    *symbol_of_id = malloc(weft_max_size(v->size, 1) * sizeof **symbol_of_id);
    if (!m->id_of_symbol || !*symbol_of_id) return weft_fail_nomem(err, v->size * 4, "vocabulary");
    for (size_t id = 0; id < v->size; id++) {
        (*symbol_of_id)[id] = v->content[id].s ? (int32_t)m->n_symbols : -1;
        if (v->content[id].s) m->id_of_symbol[m->n_symbols++] = (int32_t)id;
    }
    return WEFT_OK;
}

/* Tokens of one character, and the tokens of bytes. */
static enum weft_status first_symbols(struct weft_bpe *m, const int32_t *symbol_of_id, struct weft_err *err)
{
    struct weft_byte_level map;
    weft_byte_level_init(&map);
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        size_t n = m->byte_level ? weft_utf8_encode(map.of_byte[b], text) : (size_t)snprintf(text, sizeof text, "<0x%02X>", b);
        int32_t id = weft_vocab_id(m->vocab, (struct weft_str){ text, n });
        m->byte_symbol[b] = id < 0 ? -1 : symbol_of_id[id];
    }
    for (size_t k = 0; k < m->n_symbols && !m->byte_level; k++) {
        struct weft_str content = m->vocab->content[m->id_of_symbol[k]];
        size_t n;
        if (!content.len || content.len > 4) continue;
        uint32_t cp = weft_unicode_next((const unsigned char *)content.s, &n);
        if (n != content.len) continue;
        int32_t **block = &m->char_symbol[cp >> 8];
        if (!*block) {
            *block = malloc(256 * sizeof **block);
            if (!*block) return weft_fail_nomem(err, 256 * sizeof **block, "vocabulary");
            for (int i = 0; i < 256; i++) (*block)[i] = -1;
        }
        (*block)[cp & 255] = (int32_t)k;
    }
    return WEFT_OK;
}

/* Byte-level: what bytes each token stands for, and the way back. */
static enum weft_status raw_tokens(struct weft_bpe *m, struct weft_err *err)
{
    struct weft_byte_level map;
    weft_byte_level_init(&map);
    for (m->n_raw_slots = 64; m->n_raw_slots < m->n_symbols * 2; m->n_raw_slots *= 2) {}
    m->raw_at = malloc((m->n_symbols + 1) * sizeof *m->raw_at);
    m->raw_slots = calloc(m->n_raw_slots, sizeof *m->raw_slots);
    if (!m->raw_at || !m->raw_slots) return weft_fail_nomem(err, m->n_raw_slots * sizeof *m->raw_slots, "vocabulary");
    m->raw.max_bytes = UINT32_MAX;
    for (size_t k = 0; k < m->n_symbols; k++) {
        m->raw_at[k] = (uint32_t)m->raw.len;
        weft_byte_level_unmap(&map, m->vocab->content[m->id_of_symbol[k]], &m->raw);
    }
    m->raw_at[m->n_symbols] = (uint32_t)m->raw.len;
    enum weft_status st = weft_buf_check(&m->raw, "vocabulary", err);
    for (size_t k = 0; k < m->n_symbols && !st; k++) {
        struct weft_str raw = weft_bpe_raw(m, (uint32_t)k);
        if (!raw.len) continue;
        size_t i = (size_t)weft_xxh3(raw.s, raw.len, 0) & (m->n_raw_slots - 1);
        while (m->raw_slots[i]) i = (i + 1) & (m->n_raw_slots - 1);
        m->raw_slots[i] = (uint32_t)k + 1;
    }
    return st;
}

static int32_t symbol_of_raw(const struct weft_bpe *m, struct weft_str raw)
{
    size_t i = (size_t)weft_xxh3(raw.s, raw.len, 0) & (m->n_raw_slots - 1);
    while (m->raw_slots[i] && !weft_str_eq(weft_bpe_raw(m, m->raw_slots[i] - 1), raw)) i = (i + 1) & (m->n_raw_slots - 1);
    return (int32_t)m->raw_slots[i] - 1;
}

enum weft_status weft_bpe_build(struct weft_bpe *m, const struct weft_merge *merges, size_t n_merges, size_t *bad,
                                struct weft_err *err)
{
    int32_t *symbol_of_id = NULL;
    struct weft_buf joined = { 0 };
    enum weft_status st;

    *bad = SIZE_MAX;
    if (m->vocab->n > WEFT_MAX_SYMBOLS || n_merges > WEFT_MAX_MERGES) {
        st = weft_fail_rule(err, WEFT_ELIMIT, "TK3", "the vocabulary has %zu tokens and %zu merges; at most %d and %d are supported",
                            m->vocab->n, n_merges, WEFT_MAX_SYMBOLS, WEFT_MAX_MERGES);
        goto done;
    }
    st = number_symbols(m, &symbol_of_id, err);
    if (st) goto done;
    st = first_symbols(m, symbol_of_id, err);
    if (st) goto done;
    int32_t unk_id = m->unk.len ? weft_vocab_id(m->vocab, m->unk) : -1;
    m->unk_symbol = unk_id < 0 ? -1 : symbol_of_id[unk_id];
    st = m->byte_level ? raw_tokens(m, err) : WEFT_OK;
    if (st) goto done;
    size_t n_pairs = 64;
    for (m->pair_shift = 58; n_pairs < n_merges * 2; n_pairs *= 2) m->pair_shift--;
    m->pairs = malloc(n_pairs * sizeof *m->pairs);
    m->merged = malloc(weft_max_size(n_merges, 1) * sizeof *m->merged);
    if (!m->pairs || !m->merged) {
        st = weft_fail_nomem(err, n_pairs * sizeof *m->pairs, "merges");
        goto done;
    }
    memset(m->pairs, 0xFF, n_pairs * sizeof *m->pairs);
    m->n_merges = n_merges;
    for (size_t i = 0; i < n_merges; i++) {
        struct weft_str b = merges[i].b;
        if (m->prefix.len && weft_str_starts(b, m->prefix)) b = weft_str_skip(b, m->prefix.len);
        weft_buf_reset(&joined);
        weft_buf_str(&joined, merges[i].a);
        weft_buf_str(&joined, b);
        int32_t x = weft_vocab_id(m->vocab, merges[i].a), y = weft_vocab_id(m->vocab, merges[i].b),
                z = weft_vocab_id(m->vocab, weft_buf_view(&joined));
        if (joined.failed) {
            st = weft_fail_nomem(err, joined.cap, "merges");
            goto done;
        }
        if (x < 0 || y < 0 || z < 0) {
            *bad = i;
            st = WEFT_EINPUT;
            goto done;
        }
        m->merged[i] = (uint32_t)symbol_of_id[z];
        if (!set_rank(m, (uint32_t)symbol_of_id[x], (uint32_t)symbol_of_id[y], (uint32_t)i)) m->n_repeated++;
    }
done:
    free(symbol_of_id);
    weft_buf_clear(&joined);
    return st;
}

void weft_bpe_clear(struct weft_bpe *m)
{
    free(m->id_of_symbol);
    weft_buf_clear(&m->raw);
    free(m->raw_at);
    free(m->raw_slots);
    for (size_t i = 0; i < WEFT_COUNT(m->char_symbol); i++) free(m->char_symbol[i]);
    free(m->pairs);
    free(m->merged);
    *m = (struct weft_bpe){ 0 };
}

/* ---- one word ---- */

void weft_bpe_scratch_clear(struct weft_bpe_scratch *s)
{
    free(s->symbols);
    free(s->ranks);
    free(s->starts);
    free(s->prev);
    free(s->next);
    free(s->heap);
    *s = (struct weft_bpe_scratch){ 0 };
}

static enum weft_status scratch_reserve(struct weft_bpe_scratch *s, size_t n, struct weft_err *err)
{
    if (n <= s->cap) return WEFT_OK;
    weft_bpe_scratch_clear(s);
    size_t cap = weft_max_size(n, 256);
    s->symbols = malloc(cap * sizeof *s->symbols);
    s->ranks = malloc(cap * sizeof *s->ranks);
    s->starts = malloc(cap * sizeof *s->starts);
    s->prev = malloc(cap * sizeof *s->prev);
    s->next = malloc(cap * sizeof *s->next);
    s->heap = malloc(3 * cap * sizeof *s->heap);
    if (!s->symbols || !s->ranks || !s->starts || !s->prev || !s->next || !s->heap) {
        weft_bpe_scratch_clear(s);
        return weft_fail_nomem(err, cap * 44, "encoder");
    }
    s->cap = cap;
    return WEFT_OK;
}

/* Merges symbols [n] in place, starts with them; returns how many are left. */
static size_t merge_short(const struct weft_bpe *m, struct weft_bpe_scratch *s, size_t n)
{
    uint32_t *symbol = s->symbols, *rank = s->ranks, *start = s->starts;
    for (size_t i = 0; i + 1 < n; i++) rank[i] = rank_of(m, symbol[i], symbol[i + 1]);
    while (n > 1) {
        size_t at = 0;
        uint32_t least = rank[0];
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < least) least = rank[i], at = i;
        if (least == WEFT_NO_RANK) break;
        symbol[at] = m->merged[least];
        size_t moved = (n - at - 2) * sizeof *symbol;
        memmove(symbol + at + 1, symbol + at + 2, moved);
        memmove(start + at + 1, start + at + 2, moved);
        n--;
        if (at + 1 < n) {
            memmove(rank + at, rank + at + 1, (n - at - 1) * sizeof *rank);
            rank[at] = rank_of(m, symbol[at], symbol[at + 1]);
        }
        if (at) rank[at - 1] = rank_of(m, symbol[at - 1], symbol[at]);
    }
    return n;
}

static void heap_push(uint64_t *heap, size_t *n, uint64_t x)
{
    size_t i = (*n)++;
    for (; i && x < heap[(i - 1) / 2]; i = (i - 1) / 2) heap[i] = heap[(i - 1) / 2];
    heap[i] = x;
}

static uint64_t heap_pop(uint64_t *heap, size_t *n)
{
    uint64_t top = heap[0], last = heap[--*n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < *n; i = child) {
        if (child + 1 < *n && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= last) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return top;
}

/* The same for many symbols; n < 2^31. */
static size_t merge_long(const struct weft_bpe *m, struct weft_bpe_scratch *s, size_t n)
{
    uint32_t *symbol = s->symbols, *rank = s->ranks, *start = s->starts;
    int32_t *prev = s->prev, *next = s->next;
    size_t n_heap = 0;
    for (size_t i = 0; i < n; i++) {
        prev[i] = (int32_t)i - 1;
        next[i] = i + 1 < n ? (int32_t)i + 1 : -1;
        rank[i] = i + 1 < n ? rank_of(m, symbol[i], symbol[i + 1]) : WEFT_NO_RANK;
        if (rank[i] != WEFT_NO_RANK) heap_push(s->heap, &n_heap, (uint64_t)rank[i] << 32 | i);
    }
    while (n_heap) {
        uint64_t top = heap_pop(s->heap, &n_heap);
        uint32_t at = (uint32_t)top;
        if (rank[at] != top >> 32) continue;                    /* overtaken: that pair is there no more */
        int32_t gone = next[at], after = next[gone];
        symbol[at] = m->merged[rank[at]];
        next[at] = after;
        rank[gone] = WEFT_NO_RANK;
        rank[at] = WEFT_NO_RANK;
        if (after >= 0) {
            prev[after] = (int32_t)at;
            rank[at] = rank_of(m, symbol[at], symbol[after]);
            if (rank[at] != WEFT_NO_RANK) heap_push(s->heap, &n_heap, (uint64_t)rank[at] << 32 | at);
        }
        if (prev[at] >= 0) {
            int32_t p = prev[at];
            rank[p] = rank_of(m, symbol[p], symbol[at]);
            if (rank[p] != WEFT_NO_RANK) heap_push(s->heap, &n_heap, (uint64_t)rank[p] << 32 | (uint32_t)p);
        }
    }
    size_t kept = 0;
    for (int32_t i = 0; i >= 0; i = next[i]) {
        symbol[kept] = symbol[i];
        start[kept++] = start[i];
    }
    return kept;
}

/* Characters that are not in the vocabulary wait here, to be joined when fuse_unk is set. */
struct unknown {
    bool any;
    uint32_t start;
};

static void put(struct weft_bpe_scratch *s, size_t *n, uint32_t symbol, size_t start)
{
    s->symbols[*n] = symbol;
    s->starts[(*n)++] = (uint32_t)start;
}

/* The symbol of a character with the prefix and suffix that some vocabularies mark word parts with. */
static int32_t affixed_symbol(const struct weft_bpe *m, struct weft_str c, bool first, bool last, struct weft_buf *text)
{
    weft_buf_reset(text);
    if (!first) weft_buf_str(text, m->prefix);
    weft_buf_str(text, c);
    if (last) weft_buf_str(text, m->suffix);
    int32_t id = weft_vocab_id(m->vocab, weft_buf_view(text));
    if (id < 0) return -1;
    size_t lo = 0, hi = m->n_symbols;                           /* symbols are in id order */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->id_of_symbol[mid] <= id) lo = mid;
        else hi = mid;
    }
    return (int32_t)lo;
}

static enum weft_status split_characters(const struct weft_bpe *m, struct weft_bpe_scratch *s, struct weft_str word,
                                         size_t *n_out, struct weft_err *err)
{
    const unsigned char *p = (const unsigned char *)word.s;
    struct unknown unknown = { 0 };
    struct weft_buf text = { 0 };
    size_t n = 0;
    for (size_t i = 0, len; i < word.len; i += len) {
        uint32_t cp = weft_unicode_next(p + i, &len);
        int32_t symbol;
        if (m->prefix.len || m->suffix.len)
            symbol = affixed_symbol(m, weft_str_sub(word, i, i + len), i == 0, i + len == word.len, &text);
        else
            symbol = m->char_symbol[cp >> 8] ? m->char_symbol[cp >> 8][cp & 255] : -1;
        if (symbol >= 0) {
            if (unknown.any) put(s, &n, (uint32_t)m->unk_symbol, unknown.start);
            unknown.any = false;
            put(s, &n, (uint32_t)symbol, i);
            continue;
        }
        bool bytes = m->byte_fallback;
        for (size_t k = 0; k < len && bytes; k++) bytes = m->byte_symbol[p[i + k]] >= 0;
        if (bytes) {            /* an unknown that waits stays waiting: the reference does so */
            for (size_t k = 0; k < len; k++) put(s, &n, (uint32_t)m->byte_symbol[p[i + k]], i + k);
            continue;
        }
        if (m->unk_symbol < 0) continue;
        if (unknown.any && m->fuse_unk) continue;
        if (unknown.any) put(s, &n, (uint32_t)m->unk_symbol, unknown.start);
        unknown = (struct unknown){ true, (uint32_t)i };
    }
    if (unknown.any) put(s, &n, (uint32_t)m->unk_symbol, unknown.start);
    enum weft_status st = weft_buf_check(&text, "encoder", err);
    weft_buf_clear(&text);
    *n_out = n;
    return st;
}

static size_t split_bytes(const struct weft_bpe *m, struct weft_bpe_scratch *s, struct weft_str word)
{
    size_t n = 0;
    bool unknown = false;
    for (size_t i = 0; i < word.len; i++) {
        int32_t symbol = m->byte_symbol[(unsigned char)word.s[i]];
        if (symbol >= 0) put(s, &n, (uint32_t)symbol, i);
        else if (m->unk_symbol >= 0 && !(unknown && m->fuse_unk)) put(s, &n, (uint32_t)m->unk_symbol, i);
        unknown = symbol < 0;
    }
    return n;
}

/* The whole word as it stands in the vocabulary, or -1. */
static int32_t whole_word(const struct weft_bpe *m, struct weft_str word)
{
    if (!m->byte_level) return weft_vocab_id(m->vocab, word);
    int32_t symbol = symbol_of_raw(m, word);
    return symbol < 0 ? -1 : m->id_of_symbol[symbol];
}

enum weft_status weft_bpe_encode(const struct weft_bpe *m, struct weft_bpe_scratch *s, struct weft_str word, bool offsets,
                                 uint32_t base, struct weft_ids *out, struct weft_err *err)
{
    size_t n = 0;
    int32_t id = m->ignore_merges ? whole_word(m, word) : -1;
    enum weft_status st = weft_ids_reserve(out, id >= 0 ? 1 : word.len, offsets, err);
    if (st) return st;
    if (id >= 0) {
        if (offsets) out->begin[out->n] = base;
        out->ids[out->n++] = id;
        return WEFT_OK;
    }
    st = scratch_reserve(s, word.len, err);
    if (st) return st;
    if (m->byte_level) n = split_bytes(m, s, word);
    else st = split_characters(m, s, word, &n, err);
    if (st) return st;
    n = n <= SHORT_WORD ? merge_short(m, s, n) : merge_long(m, s, n);
    for (size_t i = 0; i < n; i++) {
        if (offsets) out->begin[out->n] = base + s->starts[i];
        out->ids[out->n++] = m->id_of_symbol[s->symbols[i]];
    }
    return WEFT_OK;
}
