/* tokens/bpe_train.c - byte-pair merges learned from counted words
 *
 * Chinese has no spaces, so a "word" is a clause: words are long, many, and most occur once.  The usual
 * way (keep for each pair the words it occurs in, scan such a word for each merge) then scans every clause
 * a dozen times. Here a pair keeps the positions where it occurs, and a merge touches nothing else:
 *
 *   cells   one int32 for each byte of each distinct word, with a border cell before, between and behind words.
 *           A symbol of n bytes has its id in its first and its last cell; the cells between hold INSIDE.  So the
 *           symbol behind is found at +n, the symbol before through the cell at -1, without links.
 *   pairs   hash table (a, b) -> count and the ascending positions of a.  Merging a, b into c only ever creates
 *           pairs that contain c, all of them in that one merge; they are gathered per neighbour in flat arrays
 *           and enter the hash table when the merge is over, those below min_frequency never.  Positions go stale
 *           when a neighbour is merged away; they are checked when they are used.
 *   weight  a word's count.  Words lie sorted by falling count and positions ascend, so a cursor over the few
 *           hundred different counts gives the weight of each position.
 *   queue   binary heap by (count, smaller ids), repaired lazily: counts of a pair only fall after its creation.
 *
 * Cost: the number of merges applied, each O(1) but for the hash look-ups of two neighbours. Memory: 4
 * bytes of cells and at most 8 of positions for each byte of distinct words.
 */
#include "tokens/bpe_train.h"

#include "base/hash.h"
#include "base/json.h"
#include "tokens/byte_level.h"
#include "tokens/pattern.h"

#include <stdlib.h>

enum { BORDER = -1, INSIDE = -2 };

struct word {
    uint64_t count;
    uint32_t at, len; /* in words.bytes */
};

struct words {
    struct weft_buf bytes;
    struct word *list;
    size_t n, cap;
    struct slot {
        uint32_t hash;
        uint32_t word; /* number + 1; 0: free */
    } * slots;
    size_t n_slots; /* a power of two */
};

struct pair {
    uint64_t count;
    uint32_t a, b;
    uint32_t *at; /* [n] positions of a; NULL when given up */
    uint32_t n;
};

struct queued {
    uint64_t count;
    uint32_t a, b, pair;
};

/* A position gathered while merging, to be sorted under its neighbour. */
struct found {
    uint32_t neighbour, at;
};

struct found_list {
    struct found *items;
    size_t n, cap;
};

struct trainer {
    const struct weft_progress *progress;
    uint64_t min_count;
    size_t max_symbols; /* 256 + merges at most */
    struct words words;
    int32_t *cells;
    struct group {
        size_t end; /* first cell behind the words of this count */
        uint64_t count;
    } * groups;
    size_t n_groups;
    struct pair *pairs;
    size_t n_pairs, cap_pairs;
    uint64_t *keys; /* hash table: (a << 32 | b) + 1, 0: free */
    uint32_t *key_pair;
    size_t n_keys, cap_keys;
    struct queued *heap;
    size_t n_heap, cap_heap;
    uint32_t *len;        /* [symbol] bytes */
    uint32_t (*parts)[2]; /* [symbol] what it was merged from */
    size_t n_symbols;
    uint64_t *left, *right;   /* [symbol] counts of (symbol, c) and (c, symbol) in the merge under way */
    uint32_t *fill, *touched; /* [symbol] scratch of the sort by neighbour */
    uint32_t **where;         /* [symbol] the same */
    struct found_list lefts, rights;
};

/* Room for one more item of a growing array. */
static bool grow(void **items, size_t n, size_t *cap, size_t item_bytes)
{
    size_t bytes, more = *cap + *cap / 2 + 64;
    if (n < *cap) return true;
    if (!weft_size_mul(more, item_bytes, &bytes)) return false;
    void *p = realloc(*items, bytes);
    if (!p) return false;
    *items = p;
    *cap = more;
    return true;
}

static enum weft_status out_of_memory(size_t bytes, struct weft_err *err)
{
    return weft_fail_nomem(err, bytes, "vocabulary training");
}

/* ---- counting words ---- */

static bool rehash(struct words *w)
{
    size_t n = w->n_slots ? w->n_slots * 2 : 1u << 16;
    struct slot *slots = calloc(n, sizeof *slots);
    if (!slots) return false;
    for (size_t i = 0; i < w->n_slots; i++) {
        if (!w->slots[i].word) continue;
        size_t k = w->slots[i].hash & (n - 1);
        while (slots[k].word) k = (k + 1) & (n - 1);
        slots[k] = w->slots[i];
    }
    free(w->slots);
    w->slots = slots;
    w->n_slots = n;
    return true;
}

static enum weft_status count_word(struct words *w, struct weft_str s, struct weft_err *err)
{
    if (w->n * 3 >= w->n_slots * 2 && !rehash(w))
        return out_of_memory(w->n_slots * 2 * sizeof *w->slots, err);
    uint32_t hash = (uint32_t)weft_xxh3(s.s, s.len, 0);
    size_t k = hash & (w->n_slots - 1);
    for (; w->slots[k].word; k = (k + 1) & (w->n_slots - 1)) {
        if (w->slots[k].hash != hash) continue;
        struct word *have = &w->list[w->slots[k].word - 1];
        if (have->len == s.len && memcmp(w->bytes.s + have->at, s.s, s.len) == 0) {
            have->count++;
            return WEFT_OK;
        }
    }
    /* One cell for each byte and word, and positions, are 32-bit numbers. */
    if (w->bytes.len + w->n + s.len >= UINT32_MAX - 2)
        return weft_fail(err, WEFT_ELIMIT,
                         "the text has more than %u bytes of distinct words; train on a part of it",
                         UINT32_MAX - 2);
    if (!grow((void **)&w->list, w->n, &w->cap, sizeof *w->list))
        return out_of_memory(w->cap * sizeof *w->list, err);
    w->list[w->n++] = (struct word){ 1, (uint32_t)w->bytes.len, (uint32_t)s.len };
    w->slots[k] = (struct slot){ hash, (uint32_t)w->n };
    weft_buf_str(&w->bytes, s);
    return WEFT_OK;
}

/* The text as the encoder will see it: bad bytes as U+FFFD, normalized when asked. */
static enum weft_status prepare(const struct weft_unicode *u, bool nfc, struct weft_str text,
                                struct weft_buf *valid, struct weft_buf *normal, struct weft_str *out,
                                struct weft_err *err)
{
    enum weft_status st;
    if (weft_utf8_check(text) < text.len) {
        weft_buf_reset(valid);
        for (size_t i = 0; i < text.len;) {
            uint32_t cp;
            i += weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
            weft_buf_utf8(valid, cp);
        }
        st = weft_buf_check(valid, "text", err);
        if (st) return st;
        text = weft_buf_view(valid);
    }
    if (nfc && weft_unicode_nfc_prefix(u, text) < text.len) {
        weft_buf_reset(normal);
        st = weft_unicode_normalize(u, WEFT_NFC, text, normal, err);
        if (st) return st;
        text = weft_buf_view(normal);
    }
    *out = text;
    return WEFT_OK;
}

static enum weft_status count_words(struct trainer *t, const struct weft_bpe_settings *s,
                                    const struct weft_pattern *pattern, const struct weft_str *texts,
                                    size_t n_texts, struct weft_err *err)
{
    struct weft_unicode *u = NULL;
    struct weft_buf valid = { 0 }, normal = { 0 };
    uint64_t done = 0, shown = 0, total = 0;
    enum weft_status st;

    st = weft_unicode_new(&u, err);
    if (st) goto done;
    for (size_t i = 0; i < n_texts; i++) total += texts[i].len;
    for (size_t i = 0; i < n_texts; i++) {
        struct weft_str text;
        if (weft_progress_cancelled(t->progress)) {
            st = weft_fail(err, WEFT_ECANCEL, "stopped");
            goto done;
        }
        st = prepare(u, s->nfc, texts[i], &valid, &normal, &text, err);
        if (st) goto done;
        const unsigned char *p = (const unsigned char *)text.s;
        for (size_t at = 0; at < text.len;) {
            size_t end = pattern->next(u, p, text.len, at);
            st = count_word(&t->words, weft_str_sub(text, at, end), err);
            if (st) goto done;
            at = end;
        }
        done += texts[i].len;
        if (done - shown >= 1u << 20 || i + 1 == n_texts) {
            weft_progress_update(t->progress, "counting words", done, total, "bytes", NULL);
            shown = done;
        }
    }
    st = weft_buf_check(&t->words.bytes, "words", err);
done:
    weft_unicode_free(u);
    weft_buf_clear(&valid);
    weft_buf_clear(&normal);
    return st;
}

static int by_count(const void *x, const void *y)
{
    const struct word *a = x, *b = y;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return (a->at > b->at) - (a->at < b->at);
}

/* Words, sorted by falling count, become cells; the words are given up. */
static enum weft_status lay_out(struct trainer *t, const uint16_t symbol_of_byte[256], struct weft_err *err)
{
    struct words *w = &t->words;
    size_t cap_groups = 0, c = 0, n_cells = w->bytes.len + w->n + 1;
    free(w->slots);
    w->slots = NULL;
    if (w->n) qsort(w->list, w->n, sizeof *w->list, by_count);
    t->cells = malloc(n_cells * sizeof *t->cells);
    if (!t->cells) return out_of_memory(n_cells * sizeof *t->cells, err);
    t->cells[c++] = BORDER;
    for (size_t i = 0; i < w->n; i++) {
        for (uint32_t k = 0; k < w->list[i].len; k++)
            t->cells[c++] = symbol_of_byte[(unsigned char)w->bytes.s[w->list[i].at + k]];
        t->cells[c++] = BORDER;
        if (!t->n_groups || t->groups[t->n_groups - 1].count != w->list[i].count) {
            if (!grow((void **)&t->groups, t->n_groups, &cap_groups, sizeof *t->groups))
                return out_of_memory(cap_groups * sizeof *t->groups, err);
            t->groups[t->n_groups++].count = w->list[i].count;
        }
        t->groups[t->n_groups - 1].end = c;
    }
    free(w->list);
    w->list = NULL;
    weft_buf_clear(&w->bytes);
    return WEFT_OK;
}

/* ---- pairs and queue ---- */

static size_t key_slot(const struct trainer *t, uint64_t key)
{
    size_t k = (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) & (t->cap_keys - 1);
    while (t->keys[k] && t->keys[k] != key) k = (k + 1) & (t->cap_keys - 1);
    return k;
}

static uint64_t key_of(uint32_t a, uint32_t b) { return ((uint64_t)a << 32 | b) + 1; }

static struct pair *find_pair(struct trainer *t, uint32_t a, uint32_t b)
{
    size_t k = key_slot(t, key_of(a, b));
    return t->keys[k] ? &t->pairs[t->key_pair[k]] : NULL;
}

static bool more_keys(struct trainer *t)
{
    size_t old = t->cap_keys, cap = old ? old * 2 : 1u << 17;
    uint64_t *keys = t->keys;
    uint32_t *pairs = t->key_pair;
    uint64_t *bigger = calloc(cap, sizeof *bigger);
    uint32_t *bigger_pairs = malloc(cap * sizeof *bigger_pairs);
    if (!bigger || !bigger_pairs) {
        free(bigger);
        free(bigger_pairs);
        return false;
    }
    t->keys = bigger;
    t->key_pair = bigger_pairs;
    t->cap_keys = cap;
    for (size_t i = 0; i < old; i++) {
        if (!keys[i]) continue;
        size_t k = key_slot(t, keys[i]);
        t->keys[k] = keys[i];
        t->key_pair[k] = pairs[i];
    }
    free(keys);
    free(pairs);
    return true;
}

/* Whether x is to be merged before y. */
static bool goes_first(const struct queued *x, const struct queued *y)
{
    if (x->count != y->count) return x->count > y->count;
    return x->a != y->a ? x->a < y->a : x->b < y->b;
}

static bool enqueue(struct trainer *t, struct queued q)
{
    if (!grow((void **)&t->heap, t->n_heap, &t->cap_heap, sizeof *t->heap)) return false;
    size_t i = t->n_heap++;
    for (; i && goes_first(&q, &t->heap[(i - 1) / 2]); i = (i - 1) / 2) t->heap[i] = t->heap[(i - 1) / 2];
    t->heap[i] = q;
    return true;
}

static struct queued dequeue(struct trainer *t)
{
    struct queued top = t->heap[0], last = t->heap[--t->n_heap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < t->n_heap; i = child) {
        if (child + 1 < t->n_heap && goes_first(&t->heap[child + 1], &t->heap[child])) child++;
        if (!goes_first(&t->heap[child], &last)) break;
        t->heap[i] = t->heap[child];
    }
    t->heap[i] = last;
    return top;
}

/* A new pair with n positions; *at is where they go. */
static enum weft_status add_pair(struct trainer *t, uint32_t a, uint32_t b, uint64_t count, size_t n,
                                 uint32_t **at, struct weft_err *err)
{
    *at = malloc(weft_max_size(n, 1) * sizeof **at);
    if (!*at) return out_of_memory(n * sizeof **at, err);
    if (!grow((void **)&t->pairs, t->n_pairs, &t->cap_pairs, sizeof *t->pairs)) {
        free(*at);
        *at = NULL;
        return out_of_memory(t->cap_pairs * sizeof *t->pairs, err);
    }
    t->pairs[t->n_pairs++] = (struct pair){ count, a, b, *at, (uint32_t)n };
    if (t->n_keys * 2 >= t->cap_keys && !more_keys(t)) return out_of_memory(t->cap_keys * 24, err);
    size_t k = key_slot(t, key_of(a, b));
    t->keys[k] = key_of(a, b);
    t->key_pair[k] = (uint32_t)(t->n_pairs - 1);
    t->n_keys++;
    if (!enqueue(t, (struct queued){ count, a, b, (uint32_t)(t->n_pairs - 1) }))
        return out_of_memory(t->cap_heap * sizeof *t->heap, err);
    return WEFT_OK;
}

static enum weft_status first_pairs(struct trainer *t, struct weft_err *err)
{
    enum { N = 256 * 256 };
    struct tally {
        uint64_t count;
        size_t n;
        uint32_t *at;
    } *tally = calloc(N, sizeof *tally);
    enum weft_status st = WEFT_OK;
    if (!tally) return out_of_memory(N * sizeof *tally, err);
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 1;
        for (size_t g = 0; g < t->n_groups; g++)
            for (; at < t->groups[g].end; at++) {
                if (t->cells[at] < 0 || t->cells[at + 1] < 0) continue;
                struct tally *y = &tally[t->cells[at] * 256 + t->cells[at + 1]];
                if (!pass) y->count += t->groups[g].count, y->n++;
                else if (y->at) *y->at++ = (uint32_t)at;
            }
        for (uint32_t i = 0; i < N && !pass; i++)
            if (tally[i].count >= t->min_count) {
                st = add_pair(t, i / 256, i % 256, tally[i].count, tally[i].n, &tally[i].at, err);
                if (st) goto done;
            }
    }
done:
    free(tally);
    return st;
}

/* ---- one merge ---- */

static bool note(struct found_list *l, uint32_t neighbour, uint32_t at)
{
    if (!grow((void **)&l->items, l->n, &l->cap, sizeof *l->items)) return false;
    l->items[l->n++] = (struct found){ neighbour, at };
    return true;
}

static void forget(struct trainer *t, uint32_t a, uint32_t b, uint64_t weight)
{
    struct pair *p = find_pair(t, a, b);
    if (!p || !p->at) return;
    p->count -= weight;
    if (p->count < t->min_count) { /* it will never be merged */
        free(p->at);
        p->at = NULL;
    }
}

/* The positions gathered for the new symbol c, sorted by neighbour (stable, so they stay ascending),
 * become pairs where there are enough of them.  `count` is zeroed again. */
static enum weft_status new_pairs(struct trainer *t, struct found_list *l, uint64_t *count, uint32_t c,
                                  bool c_is_left, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    size_t n_touched = 0;
    for (size_t i = 0; i < l->n; i++)
        if (!t->fill[l->items[i].neighbour]++) t->touched[n_touched++] = l->items[i].neighbour;
    for (size_t i = 0; i < n_touched && !st; i++) {
        uint32_t x = t->touched[i];
        if (count[x] >= t->min_count)
            st = add_pair(t, c_is_left ? c : x, c_is_left ? x : c, count[x], t->fill[x], &t->where[x], err);
    }
    for (size_t i = 0; i < l->n && !st; i++) {
        uint32_t x = l->items[i].neighbour;
        if (t->where[x]) *t->where[x]++ = l->items[i].at;
    }
    for (size_t i = 0; i < n_touched; i++) {
        uint32_t x = t->touched[i];
        count[x] = 0;
        t->fill[x] = 0;
        t->where[x] = NULL;
    }
    l->n = 0;
    return st;
}

static enum weft_status merge(struct trainer *t, uint32_t pair, struct weft_err *err)
{
    uint32_t a = t->pairs[pair].a, b = t->pairs[pair].b, c = (uint32_t)t->n_symbols++;
    uint32_t *positions = t->pairs[pair].at, n = t->pairs[pair].n;
    uint32_t la = t->len[a], lb = t->len[b];
    int32_t *cells = t->cells;
    size_t g = 0;
    enum weft_status st = WEFT_OK;

    t->len[c] = la + lb;
    t->parts[c][0] = a;
    t->parts[c][1] = b;
    t->pairs[pair].at = NULL; /* nothing is subtracted from the pair that is being merged */
    for (uint32_t i = 0; i < n; i++) {
        size_t at = positions[i];
        if (i + 8 < n) __builtin_prefetch(&cells[positions[i + 8]]);
        if (cells[at] != (int32_t)a || cells[at + la] != (int32_t)b) continue; /* stale */
        while (at >= t->groups[g].end) g++;
        uint64_t weight = t->groups[g].count;
        int32_t before = cells[at - 1], behind = cells[at + la + lb];
        cells[at + la - 1] = INSIDE;
        cells[at + la] = INSIDE;
        cells[at] = (int32_t)c;
        cells[at + la + lb - 1] = (int32_t)c;
        if (before >= 0) {
            if (before == (int32_t)c) t->right[a] -= weight; /* noted a moment ago as (c, a) */
            else forget(t, (uint32_t)before, a, weight);
            bool twin = before == (int32_t)c; /* (c, c) is kept among the rights */
            (twin ? t->right : t->left)[before] += weight;
            if (!note(twin ? &t->rights : &t->lefts, (uint32_t)before, (uint32_t)(at - t->len[before])))
                goto no_memory;
        }
        if (behind >= 0) {
            forget(t, b, (uint32_t)behind, weight);
            t->right[behind] += weight;
            if (!note(&t->rights, (uint32_t)behind, (uint32_t)at)) goto no_memory;
        }
    }
    st = new_pairs(t, &t->lefts, t->left, c, false, err);
    if (!st) st = new_pairs(t, &t->rights, t->right, c, true, err);
    goto done;
no_memory:
    st = out_of_memory(t->lefts.cap * sizeof(struct found), err);
done:
    free(positions);
    return st;
}

static enum weft_status learn(struct trainer *t, struct weft_err *err)
{
    enum weft_status st;
    st = first_pairs(t, err);
    while (!st && t->n_symbols < t->max_symbols && t->n_heap) {
        if (weft_progress_cancelled(t->progress)) return weft_fail(err, WEFT_ECANCEL, "stopped");
        struct queued top = dequeue(t);
        const struct pair *p = &t->pairs[top.pair];
        if (!p->at) continue; /* fell below min_count */
        if (p->count < top.count) {
            top.count = p->count;
            if (!enqueue(t, top)) return out_of_memory(t->cap_heap * sizeof *t->heap, err);
            continue;
        }
        st = merge(t, top.pair, err);
        if (t->n_symbols % 64 == 0 || t->n_symbols == t->max_symbols)
            weft_progress_update(t->progress, "merging pairs", t->n_symbols, t->max_symbols, "tokens", NULL);
    }
    return st;
}

/* ---- tokenizer.json ---- */

static void append_token(const struct trainer *t, const struct weft_byte_level *map,
                         const uint8_t byte_of_symbol[256], uint32_t symbol, struct weft_buf *out)
{
    uint32_t *waiting = t->touched; /* right parts; their numbers fall, so there are fewer than symbols */
    size_t n = 0;
    for (;;) {
        while (symbol >= 256) {
            waiting[n++] = t->parts[symbol][1];
            symbol = t->parts[symbol][0];
        }
        weft_buf_utf8(out, map->of_byte[byte_of_symbol[symbol]]);
        if (!n) return;
        symbol = waiting[--n];
    }
}

static void write_byte_level(struct weft_json_out *j)
{
    weft_json_out_object(j);
    weft_json_out_key(j, "type");
    weft_json_out_cstr(j, "ByteLevel");
    weft_json_out_key(j, "add_prefix_space");
    weft_json_out_bool(j, false);
    weft_json_out_key(j, "trim_offsets");
    weft_json_out_bool(j, false);
    weft_json_out_key(j, "use_regex");
    weft_json_out_bool(j, false);
    weft_json_out_object_end(j);
}

static void write_pre_tokenizer(struct weft_json_out *j, const struct weft_pattern *pattern)
{
    weft_json_out_key(j, "pre_tokenizer");
    weft_json_out_object(j);
    weft_json_out_key(j, "type");
    weft_json_out_cstr(j, "Sequence");
    weft_json_out_key(j, "pretokenizers");
    weft_json_out_array(j);
    weft_json_out_object(j);
    weft_json_out_key(j, "type");
    weft_json_out_cstr(j, "Split");
    weft_json_out_key(j, "pattern");
    weft_json_out_object(j);
    weft_json_out_key(j, "Regex");
    weft_json_out_cstr(j, pattern->text);
    weft_json_out_object_end(j);
    weft_json_out_key(j, "behavior");
    weft_json_out_cstr(j, "Isolated");
    weft_json_out_key(j, "invert");
    weft_json_out_bool(j, false);
    weft_json_out_object_end(j);
    write_byte_level(j);
    weft_json_out_array_end(j);
    weft_json_out_object_end(j);
}

static void write_specials(struct weft_json_out *j, const struct weft_bpe_settings *s, size_t first_id)
{
    weft_json_out_key(j, "added_tokens");
    weft_json_out_array(j);
    for (size_t i = 0; i < s->n_specials; i++) {
        weft_json_out_object(j);
        weft_json_out_key(j, "id");
        weft_json_out_uint(j, first_id + i);
        weft_json_out_key(j, "content");
        weft_json_out_cstr(j, s->specials[i]);
        static const char *const flags[] = { "single_word", "lstrip", "rstrip", "normalized" };
        for (size_t k = 0; k < WEFT_COUNT(flags); k++) {
            weft_json_out_key(j, flags[k]);
            weft_json_out_bool(j, false);
        }
        weft_json_out_key(j, "special");
        weft_json_out_bool(j, true);
        weft_json_out_object_end(j);
    }
    weft_json_out_array_end(j);
}

static void write_model(struct weft_json_out *j, const struct trainer *t, const uint8_t byte_of_symbol[256])
{
    struct weft_byte_level map;
    struct weft_buf text = { 0 };
    weft_byte_level_init(&map);
    weft_json_out_key(j, "model");
    weft_json_out_object(j);
    weft_json_out_key(j, "type");
    weft_json_out_cstr(j, "BPE");
    weft_json_out_key(j, "dropout");
    weft_json_out_null(j);
    weft_json_out_key(j, "unk_token");
    weft_json_out_null(j);
    weft_json_out_key(j, "continuing_subword_prefix");
    weft_json_out_cstr(j, "");
    weft_json_out_key(j, "end_of_word_suffix");
    weft_json_out_cstr(j, "");
    static const char *const flags[] = { "fuse_unk", "byte_fallback", "ignore_merges" };
    for (size_t k = 0; k < WEFT_COUNT(flags); k++) {
        weft_json_out_key(j, flags[k]);
        weft_json_out_bool(j, false);
    }
    weft_json_out_key(j, "vocab");
    weft_json_out_object(j);
    for (uint32_t i = 0; i < t->n_symbols; i++) {
        weft_buf_reset(&text);
        append_token(t, &map, byte_of_symbol, i, &text);
        weft_json_out_key_str(j, weft_buf_view(&text));
        weft_json_out_uint(j, i);
    }
    weft_json_out_object_end(j);
    weft_json_out_key(j, "merges");
    weft_json_out_array(j);
    for (uint32_t i = 256; i < t->n_symbols; i++) {
        weft_buf_reset(&text);
        append_token(t, &map, byte_of_symbol, t->parts[i][0], &text);
        weft_buf_char(&text, ' ');
        append_token(t, &map, byte_of_symbol, t->parts[i][1], &text);
        weft_json_out_str(j, weft_buf_view(&text));
    }
    weft_json_out_array_end(j);
    weft_json_out_object_end(j);
    if (text.failed) j->buf->failed = true;
    weft_buf_clear(&text);
}

static void write_tokenizer(const struct trainer *t, const struct weft_bpe_settings *s,
                            const struct weft_pattern *pattern, const uint8_t byte_of_symbol[256],
                            struct weft_buf *out)
{
    struct weft_json_out j;
    weft_json_out_init(&j, out);
    weft_json_out_object(&j);
    weft_json_out_key(&j, "version");
    weft_json_out_cstr(&j, "1.0");
    weft_json_out_key(&j, "truncation");
    weft_json_out_null(&j);
    weft_json_out_key(&j, "padding");
    weft_json_out_null(&j);
    write_specials(&j, s, t->n_symbols);
    weft_json_out_key(&j, "normalizer");
    if (s->nfc) {
        weft_json_out_object(&j);
        weft_json_out_key(&j, "type");
        weft_json_out_cstr(&j, "NFC");
        weft_json_out_object_end(&j);
    } else {
        weft_json_out_null(&j);
    }
    write_pre_tokenizer(&j, pattern);
    weft_json_out_key(&j, "post_processor");
    write_byte_level(&j);
    weft_json_out_key(&j, "decoder");
    write_byte_level(&j);
    write_model(&j, t, byte_of_symbol);
    weft_json_out_object_end(&j);
    weft_buf_char(out, '\n');
}

static enum weft_status check_settings(const struct weft_bpe_settings *s, const struct weft_pattern *pattern,
                                       struct weft_err *err)
{
    if (!pattern) {
        struct weft_buf names = { 0 };
        weft_pattern_names(&names);
        enum weft_status st = weft_fail(err, WEFT_EARG, "pattern is \"%s\"; known are %s",
                                        s->pattern ? s->pattern : "", names.s ? names.s : "");
        weft_buf_clear(&names);
        return st;
    }
    if (s->n_specials > 1u << 16 || s->vocab_size < 256 + s->n_specials)
        return weft_fail(err, WEFT_EARG,
                         "vocab_size is %zu; 256 bytes and %zu special tokens need at least %zu",
                         s->vocab_size, s->n_specials, 256 + s->n_specials);
    if (s->vocab_size > 1u << 24)
        return weft_fail(err, WEFT_EARG, "vocab_size is %zu; expected at most %u", s->vocab_size, 1u << 24);
    for (size_t i = 0; i < s->n_specials; i++) {
        if (!s->specials[i] || !s->specials[i][0])
            return weft_fail(err, WEFT_EARG, "special token %zu is empty", i + 1);
        for (size_t k = 0; k < i; k++)
            if (strcmp(s->specials[i], s->specials[k]) == 0)
                return weft_fail(err, WEFT_EARG, "special token \"%s\" is given twice", s->specials[i]);
    }
    return WEFT_OK;
}

static enum weft_status init(struct trainer *t, const struct weft_bpe_settings *s,
                             const struct weft_progress *progress, struct weft_err *err)
{
    size_t n = t->max_symbols = s->vocab_size - s->n_specials;
    t->progress = progress;
    t->min_count = s->min_frequency ? s->min_frequency : 2;
    t->n_symbols = 256;
    t->len = malloc(n * sizeof *t->len);
    t->parts = malloc(n * sizeof *t->parts);
    t->left = calloc(n, sizeof *t->left);
    t->right = calloc(n, sizeof *t->right);
    t->fill = calloc(n, sizeof *t->fill);
    t->touched = malloc(n * sizeof *t->touched);
    t->where = calloc(n, sizeof *t->where);
    if (!t->len || !t->parts || !t->left || !t->right || !t->fill || !t->touched || !t->where
        || !more_keys(t))
        return out_of_memory(n * 44, err);
    for (size_t i = 0; i < 256; i++) t->len[i] = 1;
    return WEFT_OK;
}

static void clear(struct trainer *t)
{
    free(t->words.slots);
    free(t->words.list);
    weft_buf_clear(&t->words.bytes);
    free(t->cells);
    free(t->groups);
    for (size_t i = 0; i < t->n_pairs; i++) free(t->pairs[i].at);
    free(t->pairs);
    free(t->keys);
    free(t->key_pair);
    free(t->heap);
    free(t->len);
    free(t->parts);
    free(t->left);
    free(t->right);
    free(t->fill);
    free(t->touched);
    free(t->where);
    free(t->lefts.items);
    free(t->rights.items);
}

enum weft_status weft_bpe_train(const struct weft_bpe_settings *s, const struct weft_str *texts,
                                size_t n_texts, const struct weft_progress *progress, struct weft_buf *out,
                                struct weft_err *err)
{
    const struct weft_pattern *pattern = s->pattern ? weft_pattern_by_name(s->pattern) : NULL;
    struct trainer t = { 0 };
    struct weft_byte_level map;
    uint16_t symbol_of_byte[256];
    uint8_t byte_of_symbol[256];
    enum weft_status st;

    st = check_settings(s, pattern, err);
    if (st) goto done;
    /* Symbols of single bytes are numbered by their mapped character, as all byte-level vocabularies do. */
    weft_byte_level_init(&map);
    for (unsigned cp = 0, id = 0; cp <= WEFT_BYTE_LEVEL_MAX; cp++)
        if (map.to_byte[cp] >= 0) {
            symbol_of_byte[map.to_byte[cp]] = (uint16_t)id;
            byte_of_symbol[id++] = (uint8_t)map.to_byte[cp];
        }
    st = init(&t, s, progress, err);
    if (st) goto done;
    st = count_words(&t, s, pattern, texts, n_texts, err);
    if (st) goto done;
    st = lay_out(&t, symbol_of_byte, err);
    if (st) goto done;
    st = learn(&t, err);
    if (st) goto done;
    write_tokenizer(&t, s, pattern, byte_of_symbol, out);
    st = weft_buf_check(out, "tokenizer.json", err);
done:
    clear(&t);
    return st;
}
