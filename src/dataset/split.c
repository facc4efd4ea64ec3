/* By scene: groups are shuffled, and validation and test take those that fit until they have their share.  Then rows
 * that repeat an earlier row's prompt follow it, so that nothing is asked in two parts. */
#include "dataset/split.h"

#include "base/hash.h"
#include "base/rng.h"
#include "dataset/check.h"
#include "dataset/permute.h"

enum part { TRAIN, VALID, TEST, PARTS };

struct splitter {
    struct weft_arena *arena;
    const struct weft_rows *rows;
    size_t n;
    uint32_t *group;            /* [n] of each row */
    uint32_t *size;             /* [n_groups] */
    size_t n_groups;
    unsigned char *of_group;    /* [n_groups], enum part */
    unsigned char *of_row;      /* [n], enum part */
    uint64_t *key;              /* [n] rows with equal keys stay together */
};

/* A map from hash to the first row that had it: open addressing over row numbers. */
struct first_rows {
    uint32_t *slots;            /* row + 1 */
    size_t mask;
    const uint64_t *key;
};

static bool first_init(struct first_rows *f, struct weft_arena *a, const uint64_t *key, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n) slots *= 2;
    f->slots = WEFT_NEWS(a, uint32_t, slots);
    f->mask = slots - 1;
    f->key = key;
    return f->slots != NULL;
}

static size_t first_of(struct first_rows *f, size_t row)
{
    size_t h = (size_t)f->key[row] & f->mask;
    while (f->slots[h] && f->key[f->slots[h] - 1] != f->key[row]) h = (h + 1) & f->mask;
    if (!f->slots[h]) f->slots[h] = (uint32_t)row + 1;
    return f->slots[h] - 1;
}

/* The heading without what says that a scene goes on: 第三幕（续） is 第三幕. */
static struct weft_str stem(struct weft_str scene)
{
    static const char *const ends[] = { "（续）", "(续)", "：", ":" };
    for (size_t i = 0; i < WEFT_COUNT(ends); i++)
        if (weft_str_ends(scene, weft_str_c(ends[i])))
            return stem(weft_str_sub(scene, 0, scene.len - strlen(ends[i])));
    return weft_trim(scene);
}

static uint64_t scene_key(const struct weft_row *row, size_t i)
{
    const struct weft_origin *o = &row->origin;
    if (!o->scene.s) return weft_xxh3(&i, sizeof i, 7);
    struct weft_str scene = stem(o->scene), source = o->sha256.s ? o->sha256 : o->file;
    uint64_t h = weft_xxh3(source.s, source.len, 1);
    h = weft_xxh3(o->episode.s, o->episode.len, h);
    return weft_xxh3(scene.s, scene.len, h);
}

static bool make_groups(struct splitter *x)
{
    uint64_t *key = WEFT_NEWS(x->arena, uint64_t, x->n + 1);
    struct first_rows first;
    x->group = WEFT_NEWS(x->arena, uint32_t, x->n + 1);
    x->size = WEFT_NEWS(x->arena, uint32_t, x->n + 1);
    if (!key || !x->group || !x->size || !first_init(&first, x->arena, key, x->n)) return false;
    for (size_t i = 0; i < x->n; i++) key[i] = scene_key(&x->rows->items[i], i);
    for (size_t i = 0; i < x->n; i++) {
        size_t f = first_of(&first, i);
        x->group[i] = f == i ? (uint32_t)x->n_groups++ : x->group[f];
        x->size[x->group[i]]++;
    }
    return true;
}

/* Keys of the rows: their prompt, or prompt and answer where the prompt is common to many. */
static bool make_keys(struct splitter *x)
{
    struct weft_arena scratch = { 0 };
    struct first_rows first;
    uint64_t *prompt = WEFT_NEWS(x->arena, uint64_t, x->n + 1);
    uint32_t *times = WEFT_NEWS(x->arena, uint32_t, x->n + 1);
    size_t common = weft_max_size(10, x->n / 100);
    x->key = WEFT_NEWS(x->arena, uint64_t, x->n + 1);
    if (!prompt || !times || !x->key || !first_init(&first, x->arena, prompt, x->n)) return false;
    for (size_t i = 0; i < x->n; i++) prompt[i] = weft_row_hash(&scratch, &x->rows->items[i], true);
    for (size_t i = 0; i < x->n; i++) times[first_of(&first, i)]++;
    for (size_t i = 0; i < x->n; i++)
        x->key[i] = times[first_of(&first, i)] <= common ? prompt[i]
                                                         : weft_row_hash(&scratch, &x->rows->items[i], false);
    weft_arena_clear(&scratch);
    return true;
}

/* Takes groups in the order given that still fit; when all are too big for it, the smallest. */
static void take(struct splitter *x, const uint32_t *order, enum part part, size_t want)
{
    size_t have = 0, smallest = SIZE_MAX;
    if (!want) return;
    for (size_t i = 0; i < x->n_groups; i++) {
        uint32_t g = order[i];
        if (x->of_group[g] != TRAIN) continue;
        if (smallest == SIZE_MAX || x->size[g] < x->size[smallest]) smallest = g;
        if (have + x->size[g] > want) continue;
        x->of_group[g] = (unsigned char)part;
        have += x->size[g];
    }
    if (!have && smallest != SIZE_MAX) x->of_group[smallest] = (unsigned char)part;
}

static bool assign(struct splitter *x, const struct weft_split_settings *s, uint64_t *moved)
{
    struct first_rows first;
    struct weft_rng rng;
    uint32_t *order = WEFT_NEWS(x->arena, uint32_t, x->n_groups + 1);
    x->of_group = WEFT_NEWS(x->arena, unsigned char, x->n_groups + 1);
    x->of_row = WEFT_NEWS(x->arena, unsigned char, x->n + 1);
    if (!order || !x->of_group || !x->of_row || !first_init(&first, x->arena, x->key, x->n)) return false;
    for (size_t i = 0; i < x->n_groups; i++) order[i] = (uint32_t)i;
    weft_rng_init(&rng, (uint64_t)s->seed, WEFT_RNG_DATA, 0);
    for (size_t i = x->n_groups; i-- > 1;) {
        size_t j = (size_t)weft_rng_below(&rng, i + 1);
        uint32_t t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    take(x, order, VALID, weft_val_count(x->n, s->valid));
    take(x, order, TEST, weft_val_count(x->n, s->test));
    for (size_t i = 0; i < x->n; i++) {
        size_t f = first_of(&first, i);
        x->of_row[i] = f == i ? x->of_group[x->group[i]] : x->of_row[f];
        *moved += x->of_row[i] != x->of_group[x->group[i]];
    }
    return true;
}

static bool collect(struct splitter *x, struct weft_split *out)
{
    struct weft_part *parts[PARTS] = { &out->train, &out->valid, &out->test };
    for (int p = 0; p < PARTS; p++) {
        parts[p]->rows = WEFT_NEWS(x->arena, size_t, x->n + 1);
        if (!parts[p]->rows) return false;
    }
    for (size_t i = 0; i < x->n; i++) parts[x->of_row[i]]->rows[parts[x->of_row[i]]->n++] = i;
    return true;
}

static enum weft_status by_row(struct weft_arena *a, size_t n, const struct weft_split_settings *s,
                               struct weft_split *out, struct weft_err *err)
{
    uint32_t *order = WEFT_NEWS(a, uint32_t, n + 1);
    size_t n_valid = weft_val_count(n, s->valid);
    out->train.rows = WEFT_NEWS(a, size_t, n + 1);
    out->valid.rows = WEFT_NEWS(a, size_t, n + 1);
    if (!order || !out->train.rows || !out->valid.rows) return weft_fail_nomem(err, n * 20, "the split");
    out->groups = n;
    if (n_valid) weft_numpy_permutation((uint64_t)s->seed, n, order);
    else
        for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = 0; i < n; i++) {
        struct weft_part *part = i < n_valid ? &out->valid : &out->train;
        part->rows[part->n++] = order[i];
    }
    return WEFT_OK;
}

enum weft_status weft_split_rows(struct weft_arena *a, const struct weft_rows *rows,
                                 const struct weft_split_settings *s, struct weft_split *out,
                                 struct weft_err *err)
{
    struct splitter x = { .arena = a, .rows = rows, .n = rows->n };
    enum weft_status st = WEFT_OK;
    *out = (struct weft_split){ 0 };
    if (!(s->valid >= 0) || !(s->test >= 0))
        return weft_fail(err, WEFT_EARG,
                         "valid and test are fractions below 1, or numbers of rows; found %g and %g",
                         s->valid, s->test);
    if (rows->n >= UINT32_MAX)
        return weft_fail(err, WEFT_ELIMIT, "%zu rows are more than a split takes", rows->n);
    if (s->by == WEFT_SPLIT_ROW) {
        if (s->test > 0) return weft_fail(err, WEFT_EARG, "a split by row has no test part; split by scene");
        st = by_row(a, rows->n, s, out, err);
    } else if (!make_groups(&x) || !make_keys(&x) || !assign(&x, s, &out->moved) || !collect(&x, out))
        st = weft_fail_nomem(err, rows->n * 40, "the split");
    else out->groups = x.n_groups;
    if (st) return st;
    if (rows->n && !out->train.n)
        return weft_fail(err, WEFT_EARG,
                         "no row is left for training: %zu rows, %zu for validation, %zu for testing",
                         rows->n, out->valid.n, out->test.n);
    return WEFT_OK;
}
