/* A shingle's 64-bit hash seeds 128 numbers of 32 bits; slot k of a text is the least k-th number of its shingles, and
 * of that one byte is kept (b-bit minwise hashing, Li and Koenig 2010): slots of unrelated texts agree once in 256.
 * r bytes in a row are the key of a band.  Each band has a table of chains through the texts; a chain also holds texts
 * of other keys, which the bytes tell apart, so that no key is stored.
 *
 * Why 128 independent numbers and not the cheaper multiples of one hash: the least of a linear sequence is not a
 * uniform choice among the shingles, and short texts, which have few, would be misjudged most. */
#include "dataset/minhash.h"

#include "base/hash.h"
#include "dataset/normal.h"

#include <math.h>
#include <stdlib.h>

enum {
    SLOTS = WEFT_SKETCH_BYTES,
    DEFAULT_NGRAM = 3,
    MAX_NGRAM = 64,
    PACKED_NGRAM = 3, /* up to three characters of 21 bits are their own number */
    MAX_BAND_BYTES = 8,
    DEFAULT_CANDIDATES = 10000,
    FIRST_TEXTS = 1024,
    NO_TEXT = 0 /* chains hold number + 1 */
};
static const double DEFAULT_THRESHOLD = 0.7, MOST_MISSED = 1e-3;

struct weft_minhash {
    size_t ngram, band_bytes, n_bands;
    double threshold;
    size_t max_candidates;
    int least_equal; /* slots: fewer equal ones cannot be a near text */
    uint64_t seed[SLOTS / 2];
    struct weft_arena texts_arena, scratch;
    size_t n, cap;
    struct weft_str *texts;       /* [cap] */
    struct weft_sketch *sketches; /* [cap] */
    uint32_t *next;               /* [cap, n_bands] the text before it in its chain, + 1 */
    uint32_t *seen;               /* [cap] the query that met it last */
    uint32_t query;
    uint32_t *heads;       /* [n_bands, n_heads] the newest text of a chain, + 1 */
    size_t n_heads;        /* a power of two */
    uint64_t *own, *other; /* shingles of the query and of a candidate, sorted */
    size_t cap_own, cap_other;
};

/* ---- shingles ---- */

/* The product of two words, its halves folded: every bit of the result depends on every bit of both. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* Walks the shingles of a text: the last n characters stand in a ring. */
struct shingles {
    struct weft_str text;
    size_t at, n, filled;
    uint32_t ring[2 * MAX_NGRAM]; /* written twice, so that the last n always stand in a row */
    size_t head;
    uint64_t packed;
    bool short_done;
};

static uint64_t shingle_value(const struct shingles *s)
{
    if (s->n <= PACKED_NGRAM) return s->packed;
    return weft_xxh3(s->ring + s->head, s->n * sizeof *s->ring, 0);
}

/* False behind the last one.  The value of up to three characters is the characters themselves. */
static bool next_shingle(struct shingles *s, uint64_t *value)
{
    while (s->at < s->text.len) {
        uint32_t cp;
        s->at += weft_utf8_decode(s->text.s + s->at, s->text.len - s->at, &cp, NULL);
        s->ring[s->head] = s->ring[s->head + s->n] = cp;
        s->head = (s->head + 1) % s->n;
        s->packed = (s->packed << 21 | cp) & (UINT64_MAX >> (64 - 21 * weft_min_size(s->n, PACKED_NGRAM)));
        if (s->filled < s->n) s->filled++;
        if (s->filled < s->n) continue;
        *value = shingle_value(s);
        return true;
    }
    if (s->filled == s->n || !s->filled || s->short_done) return false;
    s->short_done = true; /* a short text as a whole; no shingle of full length has this value */
    *value = ~weft_xxh3(s->text.s, s->text.len, 1);
    return true;
}

static struct shingles shingles_of(struct weft_str text, size_t n)
{
    return (struct shingles){ .text = text, .n = n };
}

static int by_value(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* Sorts and drops repeats; returns how many are left. */
static size_t sort_set(uint64_t *v, size_t n)
{
    size_t kept = 0;
    if (n > 1) qsort(v, n, sizeof *v, by_value);
    for (size_t i = 0; i < n; i++)
        if (!i || v[i] != v[i - 1]) v[kept++] = v[i];
    return kept;
}

/* Fills `v`, which has room for text.len + 1, with the set. */
static size_t shingle_set(struct weft_str text, size_t ngram, uint64_t *v)
{
    struct shingles s = shingles_of(text, ngram);
    size_t n = 0;
    while (next_shingle(&s, &v[n])) n++;
    return sort_set(v, n);
}

static double jaccard_of(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b)
{
    size_t i = 0, k = 0, shared = 0;
    if (!n_a && !n_b) return 1;
    while (i < n_a && k < n_b) {
        bool step_a = a[i] <= b[k], step_b = b[k] <= a[i];
        shared += step_a && step_b;
        i += step_a;
        k += step_b;
    }
    return (double)shared / (double)(n_a + n_b - shared);
}

static size_t ngram_of(int64_t asked) { return asked > 0 ? (size_t)asked : DEFAULT_NGRAM; }

enum weft_status weft_jaccard(struct weft_arena *scratch, struct weft_str a, struct weft_str b, int64_t ngram,
                              double *out, struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(scratch);
    enum weft_status st = WEFT_OK;
    if (ngram < 0 || ngram > MAX_NGRAM)
        return weft_fail(err, WEFT_EARG, "a shingle has 1 to %d characters; found %lld", MAX_NGRAM,
                         (long long)ngram);
    a = weft_normalise(scratch, a);
    b = weft_normalise(scratch, b);
    uint64_t *set_a = WEFT_NEWS(scratch, uint64_t, a.len + 1),
             *set_b = WEFT_NEWS(scratch, uint64_t, b.len + 1);
    if (!a.s || !b.s || !set_a || !set_b) st = weft_fail_nomem(err, (a.len + b.len) * 8, "the shingles");
    else {
        size_t n_a = shingle_set(a, ngram_of(ngram), set_a), n_b = shingle_set(b, ngram_of(ngram), set_b);
        *out = jaccard_of(set_a, n_a, set_b, n_b);
    }
    weft_arena_release(scratch, mark);
    return st;
}

/* ---- sketches ---- */

void weft_minhash_sketch(const struct weft_minhash *m, struct weft_str normal, struct weft_sketch *out)
{
    struct shingles s = shingles_of(normal, m->ngram);
    int32_t least[SLOTS], each[SLOTS];
    uint64_t value;
    for (int i = 0; i < SLOTS; i++) least[i] = INT32_MAX;
    while (next_shingle(&s, &value)) {
        uint64_t x = mix(value ^ UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xD6E8FEB86659FD93));
        for (int i = 0; i < SLOTS / 2; i++) {
            uint64_t h = mix(x ^ m->seed[i], UINT64_C(0xA0761D6478BD642F));
            each[2 * i] = (int32_t)(uint32_t)h;
            each[2 * i + 1] = (int32_t)(uint32_t)(h >> 32);
        }
        for (int i = 0; i < SLOTS; i++) least[i] = each[i] < least[i] ? each[i] : least[i];
    }
    for (int i = 0; i < SLOTS; i++)
        out->v[i] = (unsigned char)((uint32_t)least[i] * UINT32_C(0x9E3779B1) >> 24);
}

static int equal_slots(const struct weft_sketch *a, const struct weft_sketch *b)
{
    int n = 0;
    for (int i = 0; i < SLOTS; i++) n += a->v[i] == b->v[i];
    return n;
}

/* ---- bands ---- */

/* More bytes a band give fewer false candidates and more misses: the most that keep the misses at the threshold
 * below one in a thousand.  Chance of a miss: (1 - t^r)^(slots / r). */
static size_t band_bytes_for(double threshold)
{
    size_t r = MAX_BAND_BYTES;
    for (; r > 1; r--) {
        size_t bands = SLOTS / r;           /* whole ones */
        if (pow(1 - pow(threshold, (double)r), (double)bands) <= MOST_MISSED) break;
    }
    return r;
}

static size_t chain_of(const struct weft_minhash *m, const struct weft_sketch *sketch, size_t band)
{
    uint64_t key = 0;
    memcpy(&key, sketch->v + band * m->band_bytes, m->band_bytes);
    return (size_t)(mix(key ^ UINT64_C(0x9E3779B97F4A7C15), UINT64_C(0xA0761D6478BD642F)) & (m->n_heads - 1));
}

static void link_text(struct weft_minhash *m, size_t id)
{
    for (size_t band = 0; band < m->n_bands; band++) {
        uint32_t *head = &m->heads[band * m->n_heads + chain_of(m, &m->sketches[id], band)];
        m->next[id * m->n_bands + band] = *head;
        *head = (uint32_t)id + 1;
    }
}

static bool resize(void *array, size_t n, size_t size)
{
    void *old, *grown;
    size_t bytes;
    if (!weft_size_mul(n, size, &bytes)) return false;
    memcpy(&old, array, sizeof old);
    grown = realloc(old, bytes);
    if (!grown) return false;
    memcpy(array, &grown, sizeof grown);
    return true;
}

/* Room for one more text; the chains are made anew when there are fewer of them than texts. */
static bool make_room(struct weft_minhash *m)
{
    if (m->n < m->cap) return true;
    size_t cap = m->cap ? m->cap * 2 : FIRST_TEXTS;
    if (cap >= UINT32_MAX || !resize(&m->texts, cap, sizeof *m->texts)
        || !resize(&m->sketches, cap, sizeof *m->sketches) || !resize(&m->seen, cap, sizeof *m->seen)
        || !resize(&m->next, cap, m->n_bands * sizeof *m->next))
        return false;
    memset(m->seen + m->n, 0, (cap - m->n) * sizeof *m->seen);
    uint32_t *heads = calloc(cap, m->n_bands * sizeof *heads);
    if (!heads) return false;
    free(m->heads);
    m->heads = heads;
    m->n_heads = m->cap = cap;
    for (size_t i = 0; i < m->n; i++) link_text(m, i);
    return true;
}

/* ---- the index ---- */

enum weft_status weft_minhash_new(struct weft_minhash **out, const struct weft_minhash_settings *s,
                                  struct weft_err *err)
{
    static const struct weft_minhash_settings none;
    struct weft_minhash *m = NULL;
    if (!s) s = &none;
    if (s->ngram < 0 || s->ngram > MAX_NGRAM)
        return weft_fail(err, WEFT_EARG, "a shingle has 1 to %d characters; found %lld", MAX_NGRAM,
                         (long long)s->ngram);
    if (!(s->threshold >= 0 && s->threshold <= 1))
        return weft_fail(err, WEFT_EARG, "the threshold of near texts is above 0 and at most 1; found %g",
                         s->threshold);
    m = calloc(1, sizeof *m);
    if (!m) return weft_fail_nomem(err, sizeof *m, "the index of near texts");
    m->ngram = ngram_of(s->ngram);
    m->threshold = s->threshold > 0 ? s->threshold : DEFAULT_THRESHOLD;
    m->max_candidates = s->max_candidates > 0 ? (size_t)s->max_candidates : DEFAULT_CANDIDATES;
    m->band_bytes = band_bytes_for(m->threshold);
    m->n_bands = SLOTS / m->band_bytes;
    /* Four standard deviations below what the threshold lets expect. */
    m->least_equal = (int)floor(SLOTS * m->threshold - 4 * sqrt(SLOTS * m->threshold * (1 - m->threshold)));
    for (int i = 0; i < SLOTS / 2; i++)
        m->seed[i] = mix((uint64_t)i + UINT64_C(0x2545F4914F6CDD1D), UINT64_C(0xE7037ED1A0B428DB));
    m->texts_arena.block_bytes = (size_t)1 << 20;
    *out = m;
    return WEFT_OK;
}

void weft_minhash_free(struct weft_minhash *m)
{
    if (!m) return;
    weft_arena_clear(&m->texts_arena);
    weft_arena_clear(&m->scratch);
    free(m->texts);
    free(m->sketches);
    free(m->next);
    free(m->seen);
    free(m->heads);
    free(m->own);
    free(m->other);
    free(m);
}

size_t weft_minhash_count(const struct weft_minhash *m) { return m->n; }

struct weft_str weft_minhash_text(const struct weft_minhash *m, size_t id) { return m->texts[id]; }

enum weft_status weft_minhash_add_sketch(struct weft_minhash *m, struct weft_str normal, bool keep,
                                         const struct weft_sketch *sketch, size_t *id, struct weft_err *err)
{
    struct weft_str text = keep ? weft_str_dup(&m->texts_arena, normal) : normal;
    if ((keep && !text.s) || !make_room(m))
        return weft_fail_nomem(err, (m->n + 1) * (sizeof *m->sketches + 8 * m->n_bands),
                               "the index of near texts");
    m->texts[m->n] = text;
    m->sketches[m->n] = *sketch;
    link_text(m, m->n);
    *id = m->n++;
    return WEFT_OK;
}

/* The shingles of a text, in an array that grows. */
static bool fill_set(const struct weft_minhash *m, struct weft_str text, uint64_t **v, size_t *cap, size_t *n)
{
    if (text.len >= *cap) {
        size_t want = text.len + text.len / 2 + 64;
        if (!resize(v, want, sizeof **v)) return false;
        *cap = want;
    }
    *n = shingle_set(text, m->ngram, *v);
    return true;
}

/* A number for this query, which no text has met yet. */
static void begin_query(struct weft_minhash *m)
{
    if (++m->query) return;
    memset(m->seen, 0, m->cap * sizeof *m->seen);
    m->query = 1;
}

enum weft_status weft_minhash_nearest_sketch(struct weft_minhash *m, struct weft_str normal,
                                             const struct weft_sketch *sketch, struct weft_near *out,
                                             struct weft_err *err)
{
    struct weft_near best = { 0 };
    size_t n_own = SIZE_MAX, n_other, compared = 0;
    if (m->n) begin_query(m);
    for (size_t band = 0; m->n && band < m->n_bands && !best.cut; band++) {
        const size_t from = band * m->band_bytes;
        uint32_t at = m->heads[band * m->n_heads + chain_of(m, sketch, band)];
        for (; at != NO_TEXT; at = m->next[(size_t)(at - 1) * m->n_bands + band]) {
            size_t id = at - 1;
            if (m->seen[id] == m->query
                || memcmp(m->sketches[id].v + from, sketch->v + from, m->band_bytes) != 0)
                continue;
            m->seen[id] = m->query;
            if (equal_slots(&m->sketches[id], sketch) < m->least_equal) continue;
            if (compared++ == m->max_candidates) {
                best.cut = true;
                break;
            }
            double j = 1;
            if (!weft_str_eq(m->texts[id], normal)) {
                if ((n_own == SIZE_MAX && !fill_set(m, normal, &m->own, &m->cap_own, &n_own))
                    || !fill_set(m, m->texts[id], &m->other, &m->cap_other, &n_other))
                    return weft_fail_nomem(err, normal.len * sizeof *m->own, "the shingles");
                j = jaccard_of(m->own, n_own, m->other, n_other);
            }
            if (j < m->threshold || (best.found && (j < best.jaccard || (j == best.jaccard && id > best.id))))
                continue;
            best.found = true;
            best.id = id;
            best.jaccard = j;
        }
    }
    *out = best;
    return WEFT_OK;
}

enum weft_status weft_minhash_add(struct weft_minhash *m, struct weft_str text, size_t *id,
                                  struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(&m->scratch);
    struct weft_str normal = weft_normalise(&m->scratch, text);
    struct weft_sketch sketch;
    enum weft_status st;
    if (!normal.s) return weft_fail_nomem(err, text.len, "the index of near texts");
    weft_minhash_sketch(m, normal, &sketch);
    st = weft_minhash_add_sketch(m, normal, true, &sketch, id, err);
    weft_arena_release(&m->scratch, mark);
    return st;
}

enum weft_status weft_minhash_nearest(struct weft_minhash *m, struct weft_str text, struct weft_near *out,
                                      struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(&m->scratch);
    struct weft_str normal = weft_normalise(&m->scratch, text);
    struct weft_sketch sketch;
    enum weft_status st;
    if (!normal.s) return weft_fail_nomem(err, text.len, "the index of near texts");
    weft_minhash_sketch(m, normal, &sketch);
    st = weft_minhash_nearest_sketch(m, normal, &sketch, out, err);
    weft_arena_release(&m->scratch, mark);
    return st;
}
