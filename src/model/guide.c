/* Tokens are sorted by their bytes, each with the length it shares with the one before.  Walking them with a stack of
 * grammar states, one for each byte of the common beginning, a byte that may not stand costs all tokens that go on with
 * it a glance.  What may follow is a bit for each token, kept by the key of the state. */
#include "model/guide.h"

#include <math.h>
#include <stdlib.h>

enum { MASKS = 256, SLOTS = 1024 };

struct entry {
    uint32_t at;                    /* of its bytes */
    uint16_t len, shared;           /* shared: bytes equal to those of the entry before */
    int32_t id;
};

struct weft_guide_vocab {
    struct entry *entries;          /* sorted by bytes */
    uint32_t *by_id;                /* [n_ids] entry + 1; 0: none */
    size_t n, n_ids;
    struct weft_buf bytes;
};

struct mask {
    struct weft_grammar_state key;
    uint64_t *bits;                 /* [n_words] */
};

struct weft_guide {
    const struct weft_guide_vocab *v;
    const struct weft_grammar *grammar;
    struct weft_grammar_state at;
    struct weft_grammar_state *stack; /* [WEFT_GRAMMAR_REACH + 1] */
    struct mask masks[MASKS];
    uint16_t slots[SLOTS];          /* mask + 1; 0: free */
    size_t n_masks, n_words, left;
    struct weft_buf closing;
    bool cut;
};

/* ---- the vocabulary ---- */

static struct weft_str bytes_of(const struct weft_guide_vocab *v, const struct entry *e)
{
    return (struct weft_str){ v->bytes.s + e->at, e->len };
}

static int compare_bytes(struct weft_str x, struct weft_str y)
{
    int c = memcmp(x.s, y.s, weft_min_size(x.len, y.len));
    return c ? c : (x.len > y.len) - (x.len < y.len);
}

static int by_bytes(const void *x, const void *y, void *ctx)
{
    const struct weft_guide_vocab *v = ctx;
    const struct entry *a = x, *b = y;
    int c = compare_bytes(bytes_of(v, a), bytes_of(v, b));
    return c ? c : (a->id > b->id) - (a->id < b->id);
}

enum weft_status weft_guide_vocab_new(struct weft_guide_vocab **out, const struct weft_tokenizer *t,
                                      struct weft_err *err)
{
    size_t n = weft_tokenizer_vocab_size(t);
    struct weft_guide_vocab *v = calloc(1, sizeof *v);
    enum weft_status st = WEFT_OK;
    if (v) {
        v->n_ids = n;
        v->entries = calloc(n + 1, sizeof *v->entries);
        v->by_id = calloc(n + 1, sizeof *v->by_id);
    }
    if (!v || !v->entries || !v->by_id) {
        st = weft_fail_nomem(err, n * (sizeof *v->entries + sizeof *v->by_id), "the vocabulary");
        goto done;
    }
    v->bytes.max_bytes = UINT32_MAX;
    for (size_t id = 0; id < n; id++) {
        size_t at = v->bytes.len;
        bool known = weft_token_bytes(t, (int32_t)id, &v->bytes);
        size_t len = v->bytes.len - at;
        if (!known || !len || len > WEFT_GRAMMAR_REACH) v->bytes.len = at;
        else v->entries[v->n++] = (struct entry){ (uint32_t)at, (uint16_t)len, 0, (int32_t)id };
    }
    st = weft_buf_check(&v->bytes, "the vocabulary", err);
    if (!st && !v->n) st = weft_fail(err, WEFT_EARG, "the tokens of this vocabulary have no bytes of their own: an answer "
                                                      "cannot be kept to a form");
    if (st) goto done;
    qsort_r(v->entries, v->n, sizeof *v->entries, by_bytes, v);
    for (size_t i = 0; i < v->n; i++) {
        struct weft_str s = bytes_of(v, &v->entries[i]), before = i ? bytes_of(v, &v->entries[i - 1]) : WEFT_STR("");
        while (v->entries[i].shared < weft_min_size(s.len, before.len)
               && s.s[v->entries[i].shared] == before.s[v->entries[i].shared])
            v->entries[i].shared++;
        v->by_id[v->entries[i].id] = (uint32_t)i + 1;
    }
    *out = v;
    v = NULL;
done:
    weft_guide_vocab_free(v);
    return st;
}

void weft_guide_vocab_free(struct weft_guide_vocab *v)
{
    if (!v) return;
    free(v->entries);
    free(v->by_id);
    weft_buf_clear(&v->bytes);
    free(v);
}

/* The first entry of [low, high), which agree in their first `depth` bytes, whose byte there is c or more. */
static size_t first_from(const struct weft_guide_vocab *v, size_t low, size_t high, size_t depth, unsigned c)
{
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        struct weft_str s = bytes_of(v, &v->entries[mid]);
        if (s.len <= depth || (unsigned char)s.s[depth] < c) low = mid + 1;
        else high = mid;
    }
    return low;
}

/* The longest token that s begins with; NULL: none. */
static const struct entry *longest(const struct weft_guide_vocab *v, struct weft_str s)
{
    const struct entry *best = NULL;
    size_t low = 0, high = v->n;
    for (size_t depth = 0; depth < s.len; depth++) {
        unsigned c = (unsigned char)s.s[depth];
        low = first_from(v, low, high, depth, c);
        high = first_from(v, low, high, depth, c + 1);
        if (low == high) break;
        if (v->entries[low].len == depth + 1) best = &v->entries[low];
    }
    return best;
}

/* ---- room ---- */

/* Tokens that the shortest completion takes; SIZE_MAX: the vocabulary cannot write it. */
static size_t closing_tokens(struct weft_guide *g, const struct weft_grammar_state *s)
{
    size_t n = 0;
    weft_buf_reset(&g->closing);
    weft_grammar_close(g->grammar, s, &g->closing);
    if (g->closing.failed) return SIZE_MAX;
    for (struct weft_str rest = weft_buf_view(&g->closing); rest.len; n++) {
        const struct entry *e = longest(g->v, rest);
        if (!e) return SIZE_MAX;
        rest = weft_str_skip(rest, e->len);
    }
    return n;
}

static bool take_bytes(const struct weft_guide *g, struct weft_grammar_state *s, const struct entry *e)
{
    struct weft_str bytes = bytes_of(g->v, e);
    for (size_t i = 0; i < bytes.len; i++)
        if (!weft_grammar_step(g->grammar, s, (unsigned char)bytes.s[i])) return false;
    return true;
}

/* ---- what may stand next ---- */

static void fill_mask(struct weft_guide *g, const struct weft_grammar_state *from, uint64_t *bits)
{
    const struct weft_guide_vocab *v = g->v;
    size_t good = 0;                /* bytes of the entry before that may stand: states of the stack hold up to there */
    memset(bits, 0, g->n_words * sizeof *bits);
    g->stack[0] = *from;
    for (size_t i = 0; i < v->n; i++) {
        const struct entry *e = &v->entries[i];
        struct weft_str s = bytes_of(v, e);
        if (e->shared > good) continue;
        for (good = e->shared; good < s.len; good++) {
            g->stack[good + 1] = g->stack[good];
            if (!weft_grammar_step(g->grammar, &g->stack[good + 1], (unsigned char)s.s[good])) break;
        }
        if (good == s.len) bits[(size_t)e->id / 64] |= 1ULL << (e->id % 64);
    }
}

static size_t hash_key(const struct weft_grammar_state *key)
{
    const unsigned char *p = (const unsigned char *)key;
    uint64_t h = 0xCBF29CE484222325U;
    for (size_t i = 0; i < sizeof *key; i++) h = (h ^ p[i]) * 0x100000001B3U;
    return (size_t)(h ^ h >> 32) % SLOTS;
}

static const uint64_t *mask_of(struct weft_guide *g)
{
    struct weft_grammar_state key;
    weft_grammar_key(&g->at, &key);
    size_t slot = hash_key(&key);
    for (; g->slots[slot]; slot = (slot + 1) % SLOTS)
        if (memcmp(&g->masks[g->slots[slot] - 1].key, &key, sizeof key) == 0) return g->masks[g->slots[slot] - 1].bits;
    if (g->n_masks == MASKS || !g->masks[g->n_masks].bits) {    /* full, or there was no memory for more */
        memset(g->slots, 0, sizeof g->slots);
        g->n_masks = 0;
        slot = hash_key(&key);
    }
    struct mask *m = &g->masks[g->n_masks++];
    m->key = key;
    g->slots[slot] = (uint16_t)g->n_masks;
    fill_mask(g, &key, m->bits);
    if (g->n_masks < MASKS && !g->masks[g->n_masks].bits)
        g->masks[g->n_masks].bits = malloc(g->n_words * sizeof(uint64_t));
    return m->bits;
}

/* ---- an answer ---- */

enum weft_status weft_guide_new(struct weft_guide **out, const struct weft_guide_vocab *v,
                                const struct weft_grammar *grammar, struct weft_err *err)
{
    struct weft_guide *g = calloc(1, sizeof *g);
    if (g) {
        g->v = v;
        g->grammar = grammar;
        g->n_words = v->n_ids / 64 + 1;
        g->stack = malloc((WEFT_GRAMMAR_REACH + 1) * sizeof *g->stack);
        g->masks[0].bits = malloc(g->n_words * sizeof(uint64_t));
    }
    if (!g || !g->stack || !g->masks[0].bits) {
        weft_guide_free(g);
        return weft_fail_nomem(err, sizeof *g + v->n_ids / 8, "the form of an answer");
    }
    weft_grammar_start(grammar, &g->at);
    *out = g;
    return WEFT_OK;
}

void weft_guide_free(struct weft_guide *g)
{
    if (!g) return;
    for (size_t i = 0; i < MASKS; i++) free(g->masks[i].bits);
    free(g->stack);
    weft_buf_clear(&g->closing);
    free(g);
}

enum weft_status weft_guide_begin(struct weft_guide *g, size_t max_tokens, struct weft_err *err)
{
    weft_grammar_start(g->grammar, &g->at);
    g->cut = false;
    g->left = max_tokens;
    size_t least = closing_tokens(g, &g->at);
    if (g->closing.failed) return weft_fail_nomem(err, g->closing.len, "the form of an answer");
    if (least == SIZE_MAX) return weft_fail(err, WEFT_EARG, "the vocabulary lacks characters that an answer of this form needs");
    if (least > max_tokens)
        return weft_fail(err, WEFT_ELIMIT, "the shortest answer of this form takes %zu tokens, %zu are allowed", least,
                         max_tokens);
    return WEFT_OK;
}

void weft_guide_allow(struct weft_guide *g, float *logits, size_t n)
{
    const uint64_t *bits = mask_of(g);
    for (size_t i = 0; i < n; i++)
        if (i >= g->v->n_ids || !(bits[i / 64] >> (i % 64) & 1)) logits[i] = -INFINITY;
}

int32_t weft_guide_take(struct weft_guide *g, int32_t id)
{
    const struct weft_guide_vocab *v = g->v;
    const struct entry *e = id >= 0 && (size_t)id < v->n_ids && v->by_id[id] ? &v->entries[v->by_id[id] - 1] : NULL;
    struct weft_grammar_state next = g->at;
    bool fits = !g->cut && e && take_bytes(g, &next, e);
    if (g->left) g->left--;
    if (fits) fits = closing_tokens(g, &next) <= g->left;
    if (!fits) {
        g->cut = true;
        next = g->at;
        (void)closing_tokens(g, &next);
        e = longest(v, weft_buf_view(&g->closing));
        if (!e || !take_bytes(g, &next, e)) return id;      /* not with what begin has seen */
    }
    g->at = next;
    return e->id;
}

bool weft_guide_complete(const struct weft_guide *g) { return weft_grammar_complete(g->grammar, &g->at); }
bool weft_guide_cut(const struct weft_guide *g) { return g->cut; }
