/* By a part of the origin: groups are shuffled, and validation and test take those that fit until they have their
 * share. Then rows that repeat an earlier row's prompt follow it, so that nothing is asked in two parts; then
 * held-out rows that are nearly those of training go there, until none is left. */
#include "dataset/split.h"

#include "base/hash.h"
#include "base/rng.h"
#include "dataset/check.h"
#include "dataset/grow.h"
#include "dataset/minhash.h"
#include "dataset/permute.h"
#include "dataset/row_text.h"


struct splitter {
    struct weft_arena *arena;
    const struct weft_rows *rows;
    size_t n;
    uint32_t *group;            /* [n] of each row */
    uint32_t *size;             /* [n_groups] */
    size_t n_groups;
    unsigned char *of_group;    /* [n_groups], enum weft_split_part */
    unsigned char *of_row;      /* [n], the same */
    uint64_t *key;              /* [n] rows with equal keys stay together */
    uint64_t *prompt;           /* [n] hash of the normalised prompt */
    struct weft_split *out;
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

static uint64_t text_key(struct weft_str s, uint64_t seed) { return weft_xxh3(s.len ? s.s : "", s.len, seed); }

static struct weft_str source_of(const struct weft_origin *o) { return o->sha256.s ? o->sha256 : o->file; }

/* Scenes and pages are those of one file. */
static uint64_t scene_key(const struct weft_origin *o)
{
    return text_key(stem(o->scene), text_key(o->episode, text_key(source_of(o), 1)));
}

static struct weft_str first_word(struct weft_str list)
{
    return weft_str_sub(list, 0, weft_str_find(list, WEFT_STR(","), 0));
}

/* Rows with equal keys are of one group. */
static uint64_t group_key(const struct weft_row *row, size_t i, int by)
{
    const struct weft_origin *o = &row->origin;
    uint64_t alone = weft_xxh3(&i, sizeof i, 7);
    switch (by) {
    case WEFT_SPLIT_SOURCE: return source_of(o).len ? text_key(source_of(o), 11) : alone;
    case WEFT_SPLIT_EPISODE: return o->episode.len ? text_key(o->episode, text_key(source_of(o), 12)) : alone;
    case WEFT_SPLIT_SPEAKER: return o->speaker.len ? text_key(o->speaker, 13) : alone;
    case WEFT_SPLIT_ASKER: return o->prompt_speaker.len ? text_key(o->prompt_speaker, 14) : alone;
    case WEFT_SPLIT_PAGE: return o->page ? weft_xxh3(&o->page, sizeof o->page, text_key(source_of(o), 15)) : alone;
    case WEFT_SPLIT_PARENT:
        return o->parents.len ? text_key(first_word(o->parents), 16)
               : o->id.len    ? text_key(o->id, 16)
                              : alone;
    case WEFT_SPLIT_SET: return o->from_set.len ? text_key(o->from_set, 17) : alone;
    default: return o->scene.s ? scene_key(o) : alone;
    }
}

static bool make_groups(struct splitter *x, int by)
{
    uint64_t *key = WEFT_NEWS(x->arena, uint64_t, x->n + 1);
    struct first_rows first;
    x->group = WEFT_NEWS(x->arena, uint32_t, x->n + 1);
    x->size = WEFT_NEWS(x->arena, uint32_t, x->n + 1);
    if (!key || !x->group || !x->size || !first_init(&first, x->arena, key, x->n)) return false;
    for (size_t i = 0; i < x->n; i++) key[i] = group_key(&x->rows->items[i], i, by);
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
    uint64_t *prompt = x->prompt = WEFT_NEWS(x->arena, uint64_t, x->n + 1);
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
static void take(struct splitter *x, const uint32_t *order, enum weft_split_part part, size_t want)
{
    size_t have = 0, smallest = SIZE_MAX;
    if (!want) return;
    for (size_t i = 0; i < x->n_groups; i++) {
        uint32_t g = order[i];
        if (x->of_group[g] != WEFT_PART_TRAIN) continue;
        if (smallest == SIZE_MAX || x->size[g] < x->size[smallest]) smallest = g;
        if (have + x->size[g] > want) continue;
        x->of_group[g] = (unsigned char)part;
        have += x->size[g];
    }
    if (!have && smallest != SIZE_MAX) x->of_group[smallest] = (unsigned char)part;
}

/* The row goes to `to`, where `because` is. */
static bool move(struct splitter *x, size_t row, size_t because, enum weft_split_part to, double jaccard)
{
    struct weft_split *out = x->out;
    if (!WEFT_GROW(x->arena, out->moves, out->n_moves, out->cap_moves)) return false;
    out->moves[out->n_moves++] =
        (struct weft_split_move){ row, because, (enum weft_split_part)x->of_row[row], to, jaccard };
    x->of_row[row] = (unsigned char)to;
    return true;
}

static bool assign(struct splitter *x, const struct weft_split_settings *s)
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
    take(x, order, WEFT_PART_VALID, weft_val_count(x->n, s->valid));
    take(x, order, WEFT_PART_TEST, weft_val_count(x->n, s->test));
    for (size_t i = 0; i < x->n; i++) {
        size_t f = first_of(&first, i);
        x->of_row[i] = x->of_group[x->group[i]];
        if (x->of_row[i] == x->of_row[f]) continue;
        if (!move(x, i, f, (enum weft_split_part)x->of_row[f], 0)) return false;
        x->out->moved++;
    }
    return true;
}

/* ---- near doubles ---- */

struct near {
    struct weft_minhash *index;
    size_t *rows;               /* of each text in the index */
    struct weft_arena scratch;
    struct weft_buf text;
};

static enum weft_status row_text(struct splitter *x, struct near *n, size_t row, struct weft_err *err)
{
    weft_buf_reset(&n->text);
    if (!weft_row_field_text(&n->scratch, &x->rows->items[row], WEFT_FIELD_BOTH, &n->text))
        return weft_fail_nomem(err, 0, "the split");
    return weft_buf_check(&n->text, "a row", err);
}

/* Held-out rows that are near one of `rows` [n] go to training; they are written to `moved` [*n_moved]. */
static enum weft_status move_near(struct splitter *x, const struct weft_split_settings *s, const size_t *rows, size_t n,
                                  size_t *moved, size_t *n_moved, struct weft_err *err)
{
    struct near near = { 0 };
    struct weft_minhash_settings how = { .threshold = s->near };
    size_t id;
    enum weft_status st = weft_minhash_new(&near.index, &how, err);
    *n_moved = 0;
    for (size_t i = 0; !st && i < n; i++) {
        st = row_text(x, &near, rows[i], err);
        if (!st) st = weft_minhash_add(near.index, weft_buf_view(&near.text), &id, err);
    }
    for (size_t i = 0; !st && i < x->n; i++) {
        struct weft_near found;
        if (x->of_row[i] == WEFT_PART_TRAIN) continue;
        st = row_text(x, &near, i, err);
        if (!st) st = weft_minhash_nearest(near.index, weft_buf_view(&near.text), &found, err);
        if (st || !found.found) continue;
        if (!move(x, i, rows[found.id], WEFT_PART_TRAIN, found.jaccard)) st = weft_fail_nomem(err, 64, "the split");
        moved[(*n_moved)++] = i;
        x->out->moved_near++;
    }
    weft_minhash_free(near.index);
    weft_arena_clear(&near.scratch);
    weft_buf_clear(&near.text);
    return st;
}

/* Rows that went to training may be near to others: on until none goes. */
static enum weft_status near_pass(struct splitter *x, const struct weft_split_settings *s, struct weft_err *err)
{
    size_t *rows = WEFT_NEWS(x->arena, size_t, x->n + 1), *moved = WEFT_NEWS(x->arena, size_t, x->n + 1),
           n = 0, n_moved;
    enum weft_status st = WEFT_OK;
    if (!rows || !moved) return weft_fail_nomem(err, x->n * 16, "the split");
    for (size_t i = 0; i < x->n; i++)
        if (x->of_row[i] == WEFT_PART_TRAIN) rows[n++] = i;
    while (!st && n) {
        st = move_near(x, s, rows, n, moved, &n_moved, err);
        memcpy(rows, moved, n_moved * sizeof *rows);
        n = n_moved;
    }
    return st;
}

/* Different prompts that stand in more than one part. */
static bool count_shared(struct splitter *x)
{
    struct first_rows first;
    unsigned char *parts = WEFT_NEWS(x->arena, unsigned char, x->n + 1);
    if (!parts || !first_init(&first, x->arena, x->prompt, x->n)) return false;
    for (size_t i = 0; i < x->n; i++) {
        size_t f = first_of(&first, i);
        unsigned char before = parts[f];
        parts[f] |= (unsigned char)(1 << x->of_row[i]);
        bool one = (before & (before - 1)) == 0;
        x->out->shared_prompts += before && one && parts[f] != before;
    }
    return true;
}

static bool collect(struct splitter *x, struct weft_split *out)
{
    struct weft_part *parts[WEFT_PARTS] = { &out->train, &out->valid, &out->test };
    for (int p = 0; p < WEFT_PARTS; p++) {
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
    struct splitter x = { .arena = a, .rows = rows, .n = rows->n, .out = out };
    enum weft_status st = WEFT_OK;
    *out = (struct weft_split){ 0 };
    if (!(s->valid >= 0) || !(s->test >= 0))
        return weft_fail(err, WEFT_EARG,
                         "valid and test are fractions below 1, or numbers of rows; found %g and %g",
                         s->valid, s->test);
    if (s->near < 0 || s->near > 1)
        return weft_fail(err, WEFT_EARG, "near is a share from 0 to 1; found %g", s->near);
    if (rows->n >= UINT32_MAX)
        return weft_fail(err, WEFT_ELIMIT, "%zu rows are more than a split takes", rows->n);
    if (s->by == WEFT_SPLIT_ROW) {
        if (s->test > 0) return weft_fail(err, WEFT_EARG, "a split by row has no test part; split by scene");
        st = by_row(a, rows->n, s, out, err);
    } else {
        if (!make_groups(&x, s->by) || !make_keys(&x) || !assign(&x, s))
            st = weft_fail_nomem(err, rows->n * 40, "the split");
        if (!st && s->near > 0) st = near_pass(&x, s, err);
        if (!st && (!count_shared(&x) || !collect(&x, out))) st = weft_fail_nomem(err, rows->n * 24, "the split");
        out->groups = x.n_groups;
    }
    if (st) return st;
    if (rows->n && !out->train.n)
        return weft_fail(err, WEFT_EARG,
                         "no row is left for training: %zu rows, %zu for validation, %zu for testing",
                         rows->n, out->valid.n, out->test.n);
    return WEFT_OK;
}
