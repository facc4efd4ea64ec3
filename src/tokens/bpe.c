/* tokens/bpe.c - tables and the merge loops
 *
 * The pair with the lowest rank is merged first, the leftmost of equals, until no pair is in the table.
 * Short words keep the ranks of their neighbouring pairs in an array and look at all of them for the
 * least; a long word has a heap of (rank, position) over a linked list, entries that the text has
 * overtaken being dropped when they come up: 1 MB of one letter costs n log n.  Around that: words met
 * before are in a small table, and byte-level words begin as characters where that is sure to change
 * nothing.
 */
#include "tokens/bpe.h"

#include "base/hash.h"
#include "tokens/unicode.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHORT_WORD = 64 }; /* symbols */

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

static uint64_t pair_hash(uint64_t key) { return key * 0x9E3779B97F4A7C15u; }

static inline uint32_t rank_of(const struct weft_bpe *m, uint32_t a, uint32_t b)
{
    uint64_t key = (uint64_t)a << 20 | b, hash = pair_hash(key), entry;
    uint64_t bit = hash >> 43; /* the topmost bits choose both the bit and the slot */
    if (!(m->maybe[bit >> 6] >> (bit & 63) & 1)) return WEFT_NO_RANK;
    size_t mask = ((size_t)1 << (64 - m->pair_shift)) - 1;
    for (size_t k = (size_t)(hash >> m->pair_shift); (entry = m->pairs[k]) != UINT64_MAX; k = (k + 1) & mask)
        if (entry >> 24 == key) return (uint32_t)entry & WEFT_NO_RANK;
    return WEFT_NO_RANK;
}

/* False when the pair has a rank already, which is replaced. */
static bool set_rank(struct weft_bpe *m, uint32_t a, uint32_t b, uint32_t rank)
{
    uint64_t key = (uint64_t)a << 20 | b, bit = pair_hash(key) >> 43;
    size_t mask = ((size_t)1 << (64 - m->pair_shift)) - 1, k = (size_t)(pair_hash(key) >> m->pair_shift);
    m->maybe[bit >> 6] |= (uint64_t)1 << (bit & 63);
    while (m->pairs[k] != UINT64_MAX && m->pairs[k] >> 24 != key) k = (k + 1) & mask;
    bool fresh = m->pairs[k] == UINT64_MAX;
    m->pairs[k] = key << 24 | rank;
    return fresh;
}

static enum weft_status number_symbols(struct weft_bpe *m, int32_t **symbol_of_id, struct weft_err *err)
{
    const struct weft_vocab *v = m->vocab;
    m->id_of_symbol = malloc(weft_max_size(v->n, 1) * sizeof *m->id_of_symbol);
    *symbol_of_id = calloc(weft_max_size(v->size, 1), sizeof **symbol_of_id); /* holes stay untouched */
    if (!m->id_of_symbol || !*symbol_of_id) return weft_fail_nomem(err, v->size * 4, "vocabulary");
    for (size_t id = 0; id < v->size; id++)
        if (v->nth[id]) {
            (*symbol_of_id)[id] = (int32_t)m->n_symbols;
            m->id_of_symbol[m->n_symbols++] = (int32_t)id;
        }
    m->ids_are_symbols = v->n == v->size;
    return WEFT_OK;
}

static enum weft_status set_char_symbol(struct weft_bpe *m, uint32_t cp, int32_t symbol, struct weft_err *err)
{
    int32_t **block = &m->char_symbol[cp >> 8];
    if (!*block) {
        *block = malloc(256 * sizeof **block);
        if (!*block) return weft_fail_nomem(err, 256 * sizeof **block, "vocabulary");
        for (int i = 0; i < 256; i++) (*block)[i] = -1;
    }
    (*block)[cp & 255] = symbol;
    return WEFT_OK;
}

/* The code point that s is, or -1. */
static int64_t single_character(struct weft_str s)
{
    uint32_t cp;
    bool ok;
    if (!s.len || s.len > 4) return -1;
    return weft_utf8_decode(s.s, s.len, &cp, &ok) == s.len && ok ? (int64_t)cp : -1;
}

/* Tokens of one character, and the tokens of bytes. */
static enum weft_status first_symbols(struct weft_bpe *m, const int32_t *symbol_of_id, struct weft_err *err)
{
    struct weft_byte_level map;
    weft_byte_level_init(&map);
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        size_t n = m->byte_level ? weft_utf8_encode(map.of_byte[b], text)
                                 : (size_t)snprintf(text, sizeof text, "<0x%02X>", b);
        int32_t id = weft_vocab_id(m->vocab, (struct weft_str){ text, n });
        m->byte_symbol[b] = id < 0 ? -1 : symbol_of_id[id];
    }
    for (size_t k = 0; k < m->n_symbols && !m->byte_level; k++) {
        int64_t cp = single_character(weft_vocab_content(m->vocab, m->id_of_symbol[k]));
        enum weft_status st = cp < 0 ? WEFT_OK : set_char_symbol(m, (uint32_t)cp, (int32_t)k, err);
        if (st) return st;
    }
    return WEFT_OK;
}

/* Byte-level: what bytes each token stands for, and the way back. */
static enum weft_status raw_tokens(struct weft_bpe *m, struct weft_err *err)
{
    struct weft_byte_level map;
    weft_byte_level_init(&map);
    for (m->n_raw_slots = 64; m->n_raw_slots < m->n_symbols * 2; m->n_raw_slots *= 2) {
    }
    m->raw_at = malloc((m->n_symbols + 1) * sizeof *m->raw_at);
    m->raw_slots = calloc(m->n_raw_slots, sizeof *m->raw_slots);
    if (!m->raw_at || !m->raw_slots)
        return weft_fail_nomem(err, m->n_raw_slots * sizeof *m->raw_slots, "vocabulary");
    m->raw.max_bytes = UINT32_MAX;
    for (size_t k = 0; k < m->n_symbols; k++) {
        m->raw_at[k] = (uint32_t)m->raw.len;
        weft_byte_level_unmap(&map, weft_vocab_content(m->vocab, m->id_of_symbol[k]), &m->raw);
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
    while (m->raw_slots[i] && !weft_str_eq(weft_bpe_raw(m, m->raw_slots[i] - 1), raw))
        i = (i + 1) & (m->n_raw_slots - 1);
    return (int32_t)m->raw_slots[i] - 1;
}

/* ---- whole characters ----
 *
 * Byte-level words begin as bytes, and a Chinese character then takes two merges to become one symbol.
 * Nearly always that can be foreseen.  Let T be the highest rank among the merges that make the character
 * c out of its bytes alone.  As long as c is not whole, a merge of rank <= T waits inside it; so a
 * neighbour X can take a part s off its left edge only by a merge (X, s) of rank <= T.  X is a tail of the
 * character before (its last byte, its last two, all of it), or longer than that.  When no longer X has
 * such a merge (known at load) and none of those three has one (looked up in the text), and the same holds
 * to the right, c becomes whole whatever else happens.  When, besides, all merges of c itself have ranks
 * above T, taking c whole at the start changes nothing: no one could have merged with it before.
 */

struct edges {
    uint32_t *as_left, *as_right;     /* [symbol] least rank of its merges, by side */
    uint32_t *long_left, *long_right; /* the same with a partner that reaches beyond the next character */
    uint32_t *part_left,
        *part_right; /* as_left with an unfinished front of a character, as_right with an unfinished tail */
};

static void lower(uint32_t *least, uint32_t rank)
{
    if (rank < *least) *least = rank;
}

static bool all_continuation(struct weft_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.s[i] & 0xC0) != 0x80) return false;
    return true;
}

static bool is_front_part(struct weft_str s) /* a lead byte and less than it asks for */
{
    unsigned char lead = s.len ? (unsigned char)s.s[0] : 0;
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
    return s.len < need && all_continuation(weft_str_skip(s, 1));
}

static bool within_one_character(struct weft_str s, bool front)
{
    if (s.len == 1 || single_character(s) >= 0) return true;
    return front ? is_front_part(s) : s.len <= 2 && all_continuation(s);
}

static enum weft_status find_edges(const struct weft_bpe *m, const uint32_t (*parts)[2], struct edges *e,
                                   struct weft_err *err)
{
    size_t n = m->n_symbols + 1;
    uint32_t *all = malloc(6 * n * sizeof *all);
    if (!all) return weft_fail_nomem(err, 6 * n * sizeof *all, "vocabulary");
    *e = (struct edges){ all, all + n, all + 2 * n, all + 3 * n, all + 4 * n, all + 5 * n };
    for (size_t i = 0; i < 6 * n; i++) all[i] = WEFT_NO_RANK;
    for (uint32_t i = 0; i < m->n_merges; i++) {
        uint32_t a = parts[i][0], b = parts[i][1];
        struct weft_str x = weft_bpe_raw(m, a), y = weft_bpe_raw(m, b);
        if (m->n_repeated && rank_of(m, a, b) != i) continue; /* a repeated pair has its last rank only */
        lower(&e->as_left[a], i);
        lower(&e->as_right[b], i);
        if ((x.len | y.len) == 1) continue; /* two bytes: no character is unfinished by that */
        if (!within_one_character(y, true)) lower(&e->long_left[a], i);
        if (!within_one_character(x, false)) lower(&e->long_right[b], i);
    }
    for (uint32_t i = 0; i < m->n_merges; i++) {
        if (m->n_repeated && rank_of(m, parts[i][0], parts[i][1]) != i) continue;
        if (is_front_part(weft_bpe_raw(m, parts[i][1]))) lower(&e->part_left[parts[i][0]], i);
        if (all_continuation(weft_bpe_raw(m, parts[i][0]))) lower(&e->part_right[parts[i][1]], i);
    }
    return WEFT_OK;
}

static uint32_t raw_symbol(const struct weft_bpe *m, struct weft_str raw)
{
    int32_t symbol = symbol_of_raw(m, raw);
    return symbol < 0 ? WEFT_NO_SYMBOL : (uint32_t)symbol;
}

static void describe(const struct weft_bpe *m, const struct edges *e, uint32_t symbol, struct weft_str raw,
                     struct weft_wide *w)
{
    uint32_t part[3], highest = 0, n_front = 0, n_back = 0;
    bool sure = true;
    size_t n = raw.len;
    *w = (struct weft_wide){ symbol,
                             WEFT_NO_RANK,
                             { WEFT_NO_SYMBOL, WEFT_NO_SYMBOL },
                             { WEFT_NO_SYMBOL, WEFT_NO_SYMBOL },
                             { raw_symbol(m, weft_str_sub(raw, 0, 1)),
                               n > 2 ? raw_symbol(m, weft_str_sub(raw, 0, 2)) : WEFT_NO_SYMBOL },
                             { raw_symbol(m, weft_str_skip(raw, n - 1)),
                               n > 2 ? raw_symbol(m, weft_str_skip(raw, n - 2)) : WEFT_NO_SYMBOL },
                             e->part_left[symbol],
                             e->part_right[symbol] };
    for (int i = 0; i < 2; i++) {
        if (w->tail[i] != WEFT_NO_SYMBOL) lower(&w->danger_left, e->part_left[w->tail[i]]);
        if (w->head[i] != WEFT_NO_SYMBOL) lower(&w->danger_right, e->part_right[w->head[i]]);
    }
    for (size_t i = 0; i < n; i++) {
        part[i] = raw_symbol(m, weft_str_sub(raw, i, i + 1));
        sure &= part[i] != WEFT_NO_SYMBOL;
    }
    while (sure && n > 1) {
        size_t at = 0;
        uint32_t least = rank_of(m, part[0], part[1]);
        if (n == 3 && rank_of(m, part[1], part[2]) < least) least = rank_of(m, part[1], part[2]), at = 1;
        if (least == WEFT_NO_RANK) break;
        highest = highest > least ? highest : least;
        if (!n_front || w->front[n_front - 1] != part[0]) w->front[n_front++] = part[0];
        if (!n_back || w->back[n_back - 1] != part[n - 1]) w->back[n_back++] = part[n - 1];
        part[at] = m->merged[least];
        if (n == 3 && at == 0) part[1] = part[2];
        n--;
    }
    sure &= n == 1 && part[0] == symbol && e->as_left[symbol] > highest && e->as_right[symbol] > highest;
    for (uint32_t i = 0; i < n_front; i++) sure &= e->long_right[w->front[i]] > highest;
    for (uint32_t i = 0; i < n_back; i++) sure &= e->long_left[w->back[i]] > highest;
    if (sure) w->made_at = highest;
}

static enum weft_status find_wide(struct weft_bpe *m, const uint32_t (*parts)[2], struct weft_err *err)
{
    struct edges e = { 0 };
    enum weft_status st = find_edges(m, parts, &e, err);
    for (uint32_t k = 0; k < m->n_symbols && !st; k++) {
        struct weft_str raw = weft_bpe_raw(m, k);
        int64_t cp = single_character(raw);
        if (cp < 0x80 || cp > 0xFFFF) continue;
        struct weft_wide **block = &m->wide[cp >> 8];
        if (!*block) {
            *block = malloc(256 * sizeof **block);
            if (!*block) {
                st = weft_fail_nomem(err, 256 * sizeof **block, "vocabulary");
                break;
            }
            for (int i = 0; i < 256; i++) (*block)[i].symbol = WEFT_NO_SYMBOL;
        }
        describe(m, &e, k, raw, &(*block)[cp & 255]);
    }
    free(e.as_left);
    return st;
}

static const struct weft_str metaspace = { "\xE2\x96\x81", 3 };

/* Whether no merge makes a token in which U+2581 follows another character. */
static bool keeps_metaspace_in_front(const struct weft_bpe *m)
{
    if (m->byte_level || m->prefix.len || m->suffix.len || weft_vocab_id(m->vocab, metaspace) < 0)
        return false;
    for (size_t i = 0; i < m->n_merges; i++) {
        struct weft_str s = weft_vocab_content(m->vocab, m->id_of_symbol[m->merged[i]]);
        while (weft_str_starts(s, metaspace)) s = weft_str_skip(s, metaspace.len);
        if (weft_str_find(s, metaspace, 0) != SIZE_MAX) return false;
    }
    return true;
}

enum weft_status weft_bpe_build(struct weft_bpe *m, const struct weft_merge *merges, size_t n_merges,
                                size_t *bad, struct weft_err *err)
{
    int32_t *symbol_of_id = NULL;
    uint32_t(*parts)[2] = NULL;
    struct weft_buf joined = { 0 };
    enum weft_status st;

    *bad = SIZE_MAX;
    if (m->vocab->n > WEFT_MAX_SYMBOLS || n_merges > WEFT_MAX_MERGES) {
        st = weft_fail_rule(err, WEFT_ELIMIT, "TK3",
                            "the vocabulary has %zu tokens and %zu merges; at most %d and %d are supported",
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
    m->maybe = calloc(WEFT_MAYBE_BITS / 64, sizeof *m->maybe);
    parts = malloc(weft_max_size(n_merges, 1) * sizeof *parts);
    if (!m->pairs || !m->merged || !m->maybe || !parts) {
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
        parts[i][0] = (uint32_t)symbol_of_id[x];
        parts[i][1] = (uint32_t)symbol_of_id[y];
        if (!set_rank(m, parts[i][0], parts[i][1], (uint32_t)i)) m->n_repeated++;
    }
    /* True unless bytes are dropped or stand for an unknown token. */
    m->lengths_add_up = m->byte_level;
    for (int b = 0; b < 256; b++) m->lengths_add_up &= m->byte_symbol[b] >= 0;
    m->cut_at_metaspace = keeps_metaspace_in_front(m);
    if (m->byte_level) st = find_wide(m, (const uint32_t(*)[2])parts, err);
done:
    free(symbol_of_id);
    free(parts);
    weft_buf_clear(&joined);
    return st;
}

void weft_bpe_clear(struct weft_bpe *m)
{
    free(m->id_of_symbol);
    for (size_t i = 0; i < WEFT_COUNT(m->wide); i++) free(m->wide[i]);
    weft_buf_clear(&m->raw);
    free(m->raw_at);
    free(m->raw_slots);
    for (size_t i = 0; i < WEFT_COUNT(m->char_symbol); i++) free(m->char_symbol[i]);
    free(m->pairs);
    free(m->maybe);
    free(m->merged);
    *m = (struct weft_bpe){ 0 };
}

/* ---- one word ---- */

void weft_bpe_scratch_clear(struct weft_bpe_scratch *s)
{
    free(s->words);
    free(s->symbols);
    free(s->ranks);
    free(s->starts);
    free(s->prev);
    free(s->next);
    free(s->heap);
    *s = (struct weft_bpe_scratch){ 0 };
}

/* Room for n symbols; `cap` is 0 while the arrays are not all there. */
static enum weft_status scratch_reserve(struct weft_bpe_scratch *s, size_t n, struct weft_err *err)
{
    if (n <= s->cap) return WEFT_OK;
    size_t cap = weft_max_size(n + n / 2, 256);
    s->cap = 0;
    free(s->symbols);
    free(s->ranks);
    free(s->starts);
    s->symbols = malloc(cap * sizeof *s->symbols);
    s->ranks = malloc(cap * sizeof *s->ranks);
    s->starts = malloc(cap * sizeof *s->starts);
    if (!s->symbols || !s->ranks || !s->starts)
        return weft_fail_nomem(err, 3 * cap * sizeof *s->symbols, "encoder");
    s->cap = cap;
    return WEFT_OK;
}

static enum weft_status scratch_reserve_long(struct weft_bpe_scratch *s, size_t n, struct weft_err *err)
{
    if (n <= s->cap_long) return WEFT_OK;
    size_t cap = n + n / 2;
    s->cap_long = 0;
    free(s->prev);
    free(s->next);
    free(s->heap);
    s->prev = malloc(cap * sizeof *s->prev);
    s->next = malloc(cap * sizeof *s->next);
    s->heap = malloc(3 * cap * sizeof *s->heap);
    if (!s->prev || !s->next || !s->heap) return weft_fail_nomem(err, 3 * cap * sizeof *s->heap, "encoder");
    s->cap_long = cap;
    return WEFT_OK;
}

/* At most 64 symbols: the living ones are bits, the least of (rank, position) is found by looking at all
 * of them, which the compiler does several at a time.  Merges in place; returns how many are left. */
static size_t merge_short(const struct weft_bpe *m, struct weft_bpe_scratch *s, size_t n, bool starts)
{
    uint32_t *symbol = s->symbols, *key = s->ranks; /* key: rank << 8 | position, UINT32_MAX: no merge */
    uint64_t living = n == 64 ? UINT64_MAX : ((uint64_t)1 << n) - 1;
    if (n < 2) return n;
    for (size_t i = 0; i + 1 < n; i++) {
        uint32_t rank = rank_of(m, symbol[i], symbol[i + 1]);
        key[i] = rank == WEFT_NO_RANK ? UINT32_MAX : rank << 8 | (uint32_t)i;
    }
    for (;;) {
        uint32_t least = key[0];
        for (size_t i = 1; i + 1 < n; i++) least = key[i] < least ? key[i] : least;
        if (least == UINT32_MAX) break;
        unsigned at = least & 255, right = at + 1 + (unsigned)__builtin_ctzll(living >> (at + 1));
        symbol[at] = m->merged[least >> 8];
        living &= ~((uint64_t)1 << right);
        key[at] = UINT32_MAX;
        if (right + 1 < n) {
            key[right] = UINT32_MAX;
            uint64_t behind = living >> at >> 1;
            if (behind) {
                uint32_t rank = rank_of(m, symbol[at], symbol[at + 1 + (unsigned)__builtin_ctzll(behind)]);
                if (rank != WEFT_NO_RANK) key[at] = rank << 8 | at;
            }
        }
        uint64_t before = living & (((uint64_t)1 << at) - 1);
        if (before) {
            unsigned left = 63 - (unsigned)__builtin_clzll(before);
            uint32_t rank = rank_of(m, symbol[left], symbol[at]);
            key[left] = rank == WEFT_NO_RANK ? UINT32_MAX : rank << 8 | left;
        }
    }
    size_t kept = 0;
    for (; living; living &= living - 1) {
        unsigned i = (unsigned)__builtin_ctzll(living);
        symbol[kept] = symbol[i];
        if (starts) s->starts[kept] = s->starts[i];
        kept++;
    }
    return kept;
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
        if (rank[at] != top >> 32) continue; /* overtaken: that pair is there no more */
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

/* Symbols are in id order. */
static int32_t symbol_of_id(const struct weft_bpe *m, int32_t id)
{
    size_t lo = 0, hi = m->n_symbols;
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (m->id_of_symbol[mid] <= id) lo = mid;
        else hi = mid;
    }
    return (int32_t)lo;
}

/* The symbol of a character with the prefix and suffix that some vocabularies mark word parts with. */
static int32_t affixed_symbol(const struct weft_bpe *m, struct weft_str c, bool first, bool last,
                              struct weft_buf *text)
{
    weft_buf_reset(text);
    if (!first) weft_buf_str(text, m->prefix);
    weft_buf_str(text, c);
    if (last) weft_buf_str(text, m->suffix);
    int32_t id = weft_vocab_id(m->vocab, weft_buf_view(text));
    return id < 0 ? -1 : symbol_of_id(m, id);
}

static enum weft_status split_characters(const struct weft_bpe *m, struct weft_bpe_scratch *s,
                                         struct weft_str word, size_t *n_out, struct weft_err *err)
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
        else symbol = m->char_symbol[cp >> 8] ? m->char_symbol[cp >> 8][cp & 255] : -1;
        if (symbol >= 0) {
            if (unknown.any) put(s, &n, (uint32_t)m->unk_symbol, unknown.start);
            unknown.any = false;
            put(s, &n, (uint32_t)symbol, i);
            continue;
        }
        bool bytes = m->byte_fallback;
        for (size_t k = 0; k < len && bytes; k++) bytes = m->byte_symbol[p[i + k]] >= 0;
        if (bytes) { /* an unknown that waits stays waiting: the reference does so */
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

static void put_bytes(const struct weft_bpe *m, struct weft_bpe_scratch *s, const unsigned char *p,
                      size_t from, size_t to, bool *unknown, size_t *n)
{
    for (size_t i = from; i < to; i++) {
        int32_t symbol = m->byte_symbol[p[i]];
        if (symbol >= 0) put(s, n, (uint32_t)symbol, i);
        else if (m->unk_symbol >= 0 && !(*unknown && m->fuse_unk)) put(s, n, (uint32_t)m->unk_symbol, i);
        *unknown = symbol < 0;
    }
}

/* A character of the word while it is looked at. */
struct here {
    const struct weft_wide *wide; /* NULL: ASCII, or nothing known */
    uint32_t byte;                /* ASCII: its symbol; WEFT_NO_SYMBOL: nothing known */
    bool whole;                   /* may still be taken whole */
    size_t begin, end;
};

static inline struct here look(const struct weft_bpe *m, const unsigned char *p, size_t at)
{
    size_t n = 1;
    struct here h = { NULL, WEFT_NO_SYMBOL, false, at, at + 1 };
    if (p[at] < 0x80) {
        if (m->byte_symbol[p[at]] >= 0) h.byte = (uint32_t)m->byte_symbol[p[at]];
        return h;
    }
    uint32_t cp = weft_unicode_next(p + at, &n);
    const struct weft_wide *block = cp <= 0xFFFF ? m->wide[cp >> 8] : NULL;
    h.end = at + n;
    if (!block || block[cp & 255].symbol == WEFT_NO_SYMBOL) return h;
    h.wide = &block[cp & 255];
    h.whole = h.wide->made_at != WEFT_NO_RANK;
    return h;
}

/* What the border between two neighbours does to their being whole. */
static inline void meet(const struct weft_bpe *m, struct here *a, struct here *b)
{
    const struct weft_wide *x = a->wide, *y = b->wide;
    if ((!x && a->byte == WEFT_NO_SYMBOL) || (!y && b->byte == WEFT_NO_SYMBOL)) {
        a->whole = b->whole = false; /* an unknown neighbour */
        return;
    }
    if (b->whole && (!x || x->danger_left <= y->made_at)) {
        uint32_t left[3] = { x ? x->symbol : a->byte, x ? x->tail[0] : WEFT_NO_SYMBOL,
                             x ? x->tail[1] : WEFT_NO_SYMBOL };
        for (int i = 0; i < (x ? 3 : 1); i++)
            for (int k = 0; k < 2; k++)
                if (rank_of(m, left[i], y->front[k]) <= y->made_at) b->whole = false;
    }
    if (a->whole && (!y || y->danger_right <= x->made_at)) {
        uint32_t right[3] = { y ? y->symbol : b->byte, y ? y->head[0] : WEFT_NO_SYMBOL,
                              y ? y->head[1] : WEFT_NO_SYMBOL };
        for (int i = 0; i < (y ? 3 : 1); i++)
            for (int k = 0; k < 2; k++)
                if (rank_of(m, x->back[k], right[i]) <= x->made_at) a->whole = false;
    }
}

static size_t split_bytes(const struct weft_bpe *m, struct weft_bpe_scratch *s, struct weft_str word)
{
    const unsigned char *p = (const unsigned char *)word.s;
    size_t n = 0;
    bool unknown = false;
    struct here now = look(m, p, 0);
    for (;;) {
        bool more = now.end < word.len;
        struct here next = now;
        if (more) {
            next = look(m, p, now.end);
            if (now.wide || next.wide) meet(m, &now, &next);
        }
        if (now.whole) put(s, &n, now.wide->symbol, now.begin), unknown = false;
        else put_bytes(m, s, p, now.begin, now.end, &unknown, &n);
        if (!more) return n;
        now = next;
    }
}

/* The whole word as it stands in the vocabulary, or -1. */
static int32_t whole_word(const struct weft_bpe *m, struct weft_str word)
{
    if (m->byte_level) return symbol_of_raw(m, word);
    int32_t id = weft_vocab_id(m->vocab, word);
    return id < 0 ? -1 : symbol_of_id(m, id);
}

/* word becomes s->symbols [*n], with s->starts. */
static enum weft_status merge_word(const struct weft_bpe *m, struct weft_bpe_scratch *s, struct weft_str word,
                                   size_t *n, struct weft_err *err)
{
    enum weft_status st = scratch_reserve(s, word.len, err);
    int32_t whole = m->ignore_merges ? whole_word(m, word) : -1;
    if (st) return st;
    if (whole >= 0) {
        s->symbols[0] = (uint32_t)whole;
        s->starts[0] = 0;
        return *n = 1, WEFT_OK;
    }
    if (m->byte_level) *n = split_bytes(m, s, word);
    else st = split_characters(m, s, word, n, err);
    if (st) return st;
    if (*n <= SHORT_WORD) {
        *n = merge_short(m, s, *n, true);
        return WEFT_OK;
    }
    st = scratch_reserve_long(s, *n, err);
    if (!st) *n = merge_long(m, s, *n);
    return st;
}

static void emit(const struct weft_bpe *m, const uint32_t *symbols, size_t n, struct weft_ids *out)
{
    int32_t *to = out->ids + out->n;
    if (m->ids_are_symbols) memcpy(to, symbols, n * sizeof *to);
    else
        for (size_t i = 0; i < n; i++) to[i] = m->id_of_symbol[symbols[i]];
    out->n += n;
}

/* The first 16 bytes at p, those behind len zero. */
static inline void word_key(const char *p, size_t len, size_t readable, uint64_t key[2])
{
    if (readable >= 16) {
        memcpy(key, p, 16);
        if (len < 8) {
            key[0] &= ((uint64_t)1 << 8 * len) - 1;
            key[1] = 0;
        } else {
            key[1] &= len == 16 ? UINT64_MAX : ((uint64_t)1 << 8 * (len - 8)) - 1;
        }
    } else {
        key[0] = key[1] = 0;
        memcpy(key, p, len);
    }
}

/* The lengths of byte-level symbols add up to the word. */
static void emit_begins(const struct weft_bpe *m, const uint32_t *symbols, size_t n, uint32_t base,
                        struct weft_ids *out)
{
    for (size_t i = 0; i < n; i++) {
        out->begin[out->n + i] = base;
        base += m->raw_at[symbols[i] + 1] - m->raw_at[symbols[i]];
    }
}

/* One word through the table of words met before. */
static enum weft_status encode_cached(const struct weft_bpe *m, struct weft_bpe_scratch *s,
                                      struct weft_str word, size_t readable, bool offsets, uint32_t base,
                                      struct weft_ids *out, struct weft_err *err)
{
    uint64_t key[2];
    size_t n;
    word_key(word.s, word.len, readable, key);
    uint64_t hash = (key[0] ^ (key[1] * 0x9FB21C651E98DF25u + word.len)) * 0x9E3779B97F4A7C15u;
    struct weft_bpe_word *w =
        &s->words[(hash ^ hash >> 29) * 0x9E3779B97F4A7C15u >> (64 - WEFT_BPE_CACHE_BITS)];
    if (w->len != word.len || w->key[0] != key[0] || w->key[1] != key[1]) {
        enum weft_status st = merge_word(m, s, word, &n, err);
        if (st) return st;
        if (n > WEFT_COUNT(w->symbols)) {
            for (size_t i = 0; i < n && offsets; i++) out->begin[out->n + i] = base + s->starts[i];
            emit(m, s->symbols, n, out);
            return WEFT_OK;
        }
        *w = (struct weft_bpe_word){ { key[0], key[1] }, (uint8_t)word.len, (uint8_t)n, { 0 } };
        memcpy(w->symbols, s->symbols, n * sizeof *w->symbols);
    }
    if (offsets) emit_begins(m, w->symbols, w->n, base, out);
    emit(m, w->symbols, w->n, out);
    return WEFT_OK;
}

static enum weft_status encode_part(const struct weft_bpe *m, struct weft_bpe_scratch *s,
                                    struct weft_str word, size_t readable, bool offsets, uint32_t base,
                                    struct weft_ids *out, struct weft_err *err)
{
    size_t n;
    if (word.len <= 16 && (!offsets || m->lengths_add_up))
        return encode_cached(m, s, word, readable, offsets, base, out, err);
    enum weft_status st = merge_word(m, s, word, &n, err);
    if (st) return st;
    for (size_t i = 0; i < n && offsets; i++) out->begin[out->n + i] = base + s->starts[i];
    emit(m, s->symbols, n, out);
    return WEFT_OK;
}

enum weft_status weft_bpe_encode(const struct weft_bpe *m, struct weft_bpe_scratch *s, struct weft_str word,
                                 size_t readable, bool offsets, uint32_t base, struct weft_ids *out,
                                 struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    if (out->cap - out->n < word.len || (offsets && !out->begin))
        st = weft_ids_reserve(out, word.len, offsets, err);
    if (!st && !s->words) {
        s->words = calloc((size_t)1 << WEFT_BPE_CACHE_BITS, sizeof *s->words);
        if (!s->words) st = weft_fail_nomem(err, sizeof *s->words << WEFT_BPE_CACHE_BITS, "encoder");
    }
    if (st) return st;
    if (!m->cut_at_metaspace || m->ignore_merges)
        return encode_part(m, s, word, readable, offsets, base, out, err);
    /* SentencePiece style, where a "word" may be a whole text: cut before each run of U+2581. */
    for (size_t at = 0, end; at < word.len && !st; at = end) {
        struct weft_str rest = weft_str_skip(word, at);
        size_t run = 0;
        while (weft_str_starts(weft_str_skip(rest, run), metaspace)) run += metaspace.len;
        end = weft_str_find(word, metaspace, at + run);
        end = end == SIZE_MAX ? word.len : end;
        st = encode_part(m, s, weft_str_sub(word, at, end), readable - at, offsets, base + (uint32_t)at, out,
                         err);
    }
    return st;
}
