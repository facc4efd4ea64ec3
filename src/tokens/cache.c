/* A file of examples:
 *
 *   0    8  "WEFTTOK" and a 1; as a number it also tells the order of the bytes
 *   8   64  the key, in hex digits
 *   72  38 x 8  counts, see enum count
 *   376     items [n_items] of 24 bytes: n, n_labels, row_idx, full_len, n_parts, flags
 *           ids [n_ids] i32
 *           labels [n_labels] i32, of the items that are not all label
 *           parts [n_parts] u32
 *           0 to 7 zero bytes, so that the whole is a multiple of 8
 *   end - 8  XXH3 of everything before
 *
 * Labels are not kept as bits beside the ids: nothing promises that a label is its own token. */
#include "tokens/cache.h"

#include "base/file.h"

#include <stdio.h>

static const char magic[8] = { 'W', 'E', 'F', 'T', 'T', 'O', 'K', 1 };

enum count {
    N_ITEMS, N_IDS, N_LABELS, N_PARTS, TWO, ROWS_IN, TRUNCATED, NO_LOSS, LONGEST, TOTAL_TOKENS, TOTAL_LABELS, MERGED,
    OVER_LONG, DROPPED_TOKENS, BY_LENGTH, N_COUNTS = BY_LENGTH + WEFT_COLLATE_BINS
};
enum { KEY = WEFT_SHA256_HEX - 1, HEAD = 8 + KEY + 8 * N_COUNTS, ITEM = 24 };
enum { JOINED = 1, DESIRABLE = 2, ALL_LABEL = 4 };

/* ---- the key ---- */

/* A setting that is not in the key would let a run learn from tokens of other settings. */
_Static_assert(sizeof(struct weft_collate_settings) == 56, "a new setting of collation belongs in weft_collate_key");

enum weft_status weft_collate_key(const struct weft_collate_inputs *in, const struct weft_collate_settings *s,
                                  char key[WEFT_SHA256_HEX], struct weft_err *err)
{
    struct weft_buf b = { 0 };
    weft_buf_printf(&b, "weft tokens 1\n%s\nrows %s\ntokenizer %s\nchat %s\n", WEFT_VERSION, in->rows, in->tokenizer,
                    in->chat);
    weft_buf_printf(&b, "stage %d cutoff_len %lld over_length %d prompt %d history %d packing %d %d clean %d specials %d\n",
                    (int)s->stage, (long long)s->cutoff_len, (int)s->over_length, s->train_on_prompt, s->mask_history,
                    s->packing, s->neat_packing, s->clean, s->strict_specials);
    weft_buf_printf(&b, "date %s\n", in->today);
    weft_buf_str(&b, s->date);
    if (s->kwargs) {
        struct weft_json_out o;
        weft_json_out_init(&o, &b);
        weft_json_out_value(&o, s->kwargs);
    }
    enum weft_status st = weft_buf_check(&b, "a key", err);
    if (!st) st = weft_sha256_of(weft_buf_view(&b), key, err);
    weft_buf_clear(&b);
    return st;
}

/* ---- reading ---- */

static uint64_t u64_at(const char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint32_t u32_at(const char *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Bytes of a whole file with these counts; false: no such file. */
static bool file_size(const uint64_t counts[N_COUNTS], uint64_t *bytes)
{
    const uint64_t most = UINT64_C(1) << 40;
    for (int i = N_ITEMS; i <= N_PARTS; i++)
        if (counts[i] > most) return false;
    *bytes = (HEAD + ITEM * counts[N_ITEMS] + 4 * (counts[N_IDS] + counts[N_LABELS] + counts[N_PARTS]) + 7) / 8 * 8 + 8;
    return true;
}

struct reading {
    const char *items, *ids, *labels, *parts;       /* in the file */
    int32_t *id_block, *label_block;
    uint32_t *part_block;
    uint64_t at_id, at_label, at_part;              /* how much of each is taken */
    uint64_t counts[N_COUNTS];
    size_t n_rows, vocab_size;
};

static bool tokens_fit(const int32_t *v, uint32_t n, size_t vocab_size, bool labels)
{
    for (uint32_t i = 0; i < n; i++)
        if ((v[i] < 0 || (size_t)v[i] >= vocab_size) && !(labels && v[i] == WEFT_IGNORE)) return false;
    return true;
}

static bool read_item(struct reading *r, size_t k, struct weft_example *x)
{
    const char *p = r->items + ITEM * k;
    uint32_t flags = u32_at(p + 20), n_labels = 0, sum = 0;
    *x = (struct weft_example){ .n = u32_at(p), .n_labels = u32_at(p + 4), .row_idx = u32_at(p + 8),
                                .full_len = u32_at(p + 12), .n_parts = u32_at(p + 16), .joined = flags & JOINED,
                                .desirable = flags & DESIRABLE };
    if (flags > (JOINED | DESIRABLE | ALL_LABEL) || x->row_idx >= r->n_rows || !x->n) return false;
    if (x->n > r->counts[N_IDS] - r->at_id || x->n_parts > r->counts[N_PARTS] - r->at_part) return false;
    x->ids = x->labels = r->id_block + r->at_id;
    r->at_id += x->n;
    if (!(flags & ALL_LABEL)) {
        if (x->n > r->counts[N_LABELS] - r->at_label) return false;
        x->labels = r->label_block + r->at_label;
        r->at_label += x->n;
    }
    if (!tokens_fit(x->ids, x->n, r->vocab_size, false)) return false;
    if (!tokens_fit(x->labels, x->n, r->vocab_size, true)) return false;
    for (uint32_t i = 0; i < x->n; i++) n_labels += x->labels[i] != WEFT_IGNORE;
    if (n_labels != x->n_labels) return false;
    if (!x->n_parts) return !x->joined;
    x->part_lens = r->part_block + r->at_part;
    r->at_part += x->n_parts;
    for (uint32_t i = 0; i < x->n_parts; i++) {
        if (!x->part_lens[i] || x->part_lens[i] > x->n - sum) return false;
        sum += x->part_lens[i];
    }
    return sum == x->n;
}

static enum weft_status take(struct weft_arena *a, struct reading *r, struct weft_examples *out, bool *good,
                             struct weft_err *err)
{
    const uint64_t *c = r->counts;
    struct weft_examples ex = { .two = c[TWO], .rows_in = c[ROWS_IN], .truncated = c[TRUNCATED], .no_loss = c[NO_LOSS],
                                .longest = c[LONGEST], .total_tokens = c[TOTAL_TOKENS], .total_labels = c[TOTAL_LABELS],
                                .merged = c[MERGED], .over_long = c[OVER_LONG], .dropped_tokens = c[DROPPED_TOKENS] };
    uint64_t tokens = 0, labels = 0;
    *good = false;
    if (c[TWO] > 1 || (ex.two && c[N_ITEMS] % 2) || ex.rows_in != r->n_rows) return WEFT_OK;
    memcpy(ex.by_length, c + BY_LENGTH, sizeof ex.by_length);
    ex.n = (size_t)c[N_ITEMS] / (ex.two ? 2 : 1);
    ex.cap = (size_t)c[N_ITEMS];
    ex.items = WEFT_NEWS(a, struct weft_example, ex.cap);
    r->id_block = WEFT_NEWS(a, int32_t, c[N_IDS]);
    r->label_block = WEFT_NEWS(a, int32_t, c[N_LABELS]);
    r->part_block = WEFT_NEWS(a, uint32_t, c[N_PARTS]);
    if (!ex.items || !r->id_block || !r->label_block || !r->part_block)
        return weft_fail_nomem(err, 4 * (size_t)(c[N_IDS] + c[N_LABELS]), "tokens");
    if (c[N_IDS]) memcpy(r->id_block, r->ids, 4 * (size_t)c[N_IDS]);
    if (c[N_LABELS]) memcpy(r->label_block, r->labels, 4 * (size_t)c[N_LABELS]);
    if (c[N_PARTS]) memcpy(r->part_block, r->parts, 4 * (size_t)c[N_PARTS]);
    for (size_t i = 0; i < ex.cap; i++) {
        if (!read_item(r, i, &ex.items[i])) return WEFT_OK;
        tokens += ex.items[i].n;
        labels += ex.items[i].n_labels;
    }
    if (r->at_id != c[N_IDS] || r->at_label != c[N_LABELS] || r->at_part != c[N_PARTS]) return WEFT_OK;
    if (tokens != ex.total_tokens || labels != ex.total_labels) return WEFT_OK;
    *out = ex;
    *good = true;
    return WEFT_OK;
}

enum weft_status weft_cache_parse(struct weft_arena *a, struct weft_str bytes, const char *key, size_t n_rows,
                                  size_t vocab_size, struct weft_examples *out, enum weft_cache_found *found,
                                  struct weft_err *err)
{
    struct reading r = { .n_rows = n_rows, .vocab_size = vocab_size };
    uint64_t size;
    bool good;
    *found = WEFT_CACHE_FOREIGN;
    if (bytes.len < sizeof magic || memcmp(bytes.s, magic, sizeof magic) != 0) return WEFT_OK;
    *found = WEFT_CACHE_DAMAGED;
    if (bytes.len < HEAD + 8 || bytes.len % 8) return WEFT_OK;
    memcpy(r.counts, bytes.s + 8 + KEY, sizeof r.counts);
    if (!file_size(r.counts, &size) || size != bytes.len) return WEFT_OK;
    if (u64_at(bytes.s + bytes.len - 8) != weft_xxh3(bytes.s, bytes.len - 8, 0)) return WEFT_OK;
    if (memcmp(bytes.s + 8, key, KEY) != 0) {
        *found = WEFT_CACHE_FOREIGN;
        return WEFT_OK;
    }
    r.items = bytes.s + HEAD;
    r.ids = r.items + ITEM * r.counts[N_ITEMS];
    r.labels = r.ids + 4 * r.counts[N_IDS];
    r.parts = r.labels + 4 * r.counts[N_LABELS];
    enum weft_status st = take(a, &r, out, &good, err);
    if (!st && good) *found = WEFT_CACHE_TAKEN;
    return st;
}

enum weft_status weft_cache_load(struct weft_arena *a, const char *path, const char *key, size_t n_rows,
                                 size_t vocab_size, struct weft_examples *out, enum weft_cache_found *found,
                                 struct weft_err *err)
{
    struct weft_map map = { 0 };
    struct weft_err ignored = { 0 };
    *found = WEFT_CACHE_ABSENT;
    if (!weft_file_exists(path)) return WEFT_OK;
    if (weft_map_open(&map, path, &ignored)) {      /* no right to read it, or gone since */
        *found = WEFT_CACHE_DAMAGED;
        return WEFT_OK;
    }
    struct weft_str bytes = { (const char *)map.p, map.len };
    enum weft_status st = weft_cache_parse(a, bytes, key, n_rows, vocab_size, out, found, err);
    weft_map_close(&map);
    return st;
}

/* ---- writing ---- */

static bool all_label(const struct weft_example *x)
{
    return x->labels == x->ids || memcmp(x->ids, x->labels, x->n * sizeof *x->ids) == 0;
}

static size_t n_items(const struct weft_examples *ex) { return ex->n * (ex->two ? 2 : 1); }

static void count(const struct weft_examples *ex, uint64_t c[N_COUNTS])
{
    memset(c, 0, N_COUNTS * sizeof *c);
    c[N_ITEMS] = n_items(ex);
    for (size_t i = 0; i < n_items(ex); i++) {
        c[N_IDS] += ex->items[i].n;
        if (!all_label(&ex->items[i])) c[N_LABELS] += ex->items[i].n;
        c[N_PARTS] += ex->items[i].part_lens ? ex->items[i].n_parts : 0;
    }
    c[TWO] = ex->two;
    c[ROWS_IN] = ex->rows_in, c[TRUNCATED] = ex->truncated, c[NO_LOSS] = ex->no_loss, c[LONGEST] = ex->longest;
    c[TOTAL_TOKENS] = ex->total_tokens, c[TOTAL_LABELS] = ex->total_labels, c[MERGED] = ex->merged;
    c[OVER_LONG] = ex->over_long, c[DROPPED_TOKENS] = ex->dropped_tokens;
    memcpy(c + BY_LENGTH, ex->by_length, sizeof ex->by_length);
}

uint64_t weft_cache_bytes(const struct weft_examples *ex)
{
    uint64_t c[N_COUNTS], bytes;
    count(ex, c);
    return file_size(c, &bytes) ? bytes : UINT64_MAX;
}

enum weft_status weft_cache_save(const char *path, const char *key, const struct weft_examples *ex,
                                 struct weft_err *err)
{
    struct weft_buf b = { 0 };
    uint64_t c[N_COUNTS], hash;
    count(ex, c);
    weft_buf_add(&b, magic, sizeof magic);
    weft_buf_add(&b, key, KEY);
    weft_buf_add(&b, c, sizeof c);
    for (size_t i = 0; i < n_items(ex); i++) {
        const struct weft_example *x = &ex->items[i];
        uint32_t flags = (x->joined ? JOINED : 0u) | (x->desirable ? DESIRABLE : 0u) | (all_label(x) ? ALL_LABEL : 0u);
        uint32_t item[6] = { x->n, x->n_labels, x->row_idx, x->full_len, x->part_lens ? x->n_parts : 0, flags };
        weft_buf_add(&b, item, sizeof item);
    }
    for (size_t i = 0; i < n_items(ex); i++) weft_buf_add(&b, ex->items[i].ids, ex->items[i].n * 4);
    for (size_t i = 0; i < n_items(ex); i++)
        if (!all_label(&ex->items[i])) weft_buf_add(&b, ex->items[i].labels, ex->items[i].n * 4);
    for (size_t i = 0; i < n_items(ex); i++)
        if (ex->items[i].part_lens) weft_buf_add(&b, ex->items[i].part_lens, ex->items[i].n_parts * 4);
    while (b.len % 8) weft_buf_char(&b, '\0');
    hash = weft_xxh3(b.s, b.failed ? 0 : b.len, 0);
    weft_buf_add(&b, &hash, sizeof hash);
    enum weft_status st = weft_buf_check(&b, path, err);
    if (!st) st = weft_file_write(path, weft_buf_view(&b), err);
    weft_buf_clear(&b);
    return st;
}
