/* Two passes over the sets: the first finds the good rows, the second takes those of the plan by their place. 
 * Between them only numbers are drawn: how many of each set (largest remainders), which (a partial Fisher-Yates
 * shuffle of row numbers), and in which order. */
#include "dataset/mix.h"

#include "base/rng.h"
#include "dataset/grow.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { MAX_SETS = 1000 };

/* ---- what is asked for ---- */

static bool all_digits(struct weft_str s, bool *point)
{
    size_t digits = 0;
    *point = false;
    for (size_t i = 0; i < s.len; i++)
        if (s.s[i] >= '0' && s.s[i] <= '9') digits++;
        else if (s.s[i] == '.' && !*point) *point = true;
        else return false;
    return digits > 0 && s.len <= 18;
}

enum weft_status weft_mix_parse(struct weft_arena *a, const char *word, struct weft_mix_source *out,
                                struct weft_err *err)
{
    const char *colon = strrchr(word, ':');
    bool point;
    *out = (struct weft_mix_source){ .path = word };
    if (!colon || weft_file_exists(word) || !all_digits(weft_str_c(colon + 1), &point)) return WEFT_OK;
    out->path = weft_arena_strndup(a, word, (size_t)(colon - word));
    if (!out->path) return weft_fail_nomem(err, strlen(word), "a path");
    if (point) {
        out->ask = WEFT_MIX_WEIGHT;
        out->weight = strtod(colon + 1, NULL);
        if (!(out->weight > 0)) return weft_fail(err, WEFT_EARG, "%s: a weight is a number above 0", word);
    } else {
        out->ask = WEFT_MIX_ROWS;
        out->rows = strtoull(colon + 1, NULL, 10);
    }
    return WEFT_OK;
}

/* ---- opening ---- */

/* The stem of the path; a set with the name of an earlier one gets its number behind it. */
static bool name_set(struct weft_mix *m, size_t i)
{
    struct weft_mix_source *x = &m->sources[i];
    const char *slash = strrchr(x->path, '/');
    struct weft_str stem = weft_str_c(strcmp(x->path, "-") == 0 ? "stdin" : slash ? slash + 1 : x->path);
    size_t dot = stem.len;
    while (dot && stem.s[dot - 1] != '.') dot--;
    if (dot > 1) stem = weft_str_sub(stem, 0, dot - 1);
    x->name = weft_str_dup(m->arena, stem);
    for (unsigned n = 2; x->name.s; n++) {
        bool taken = false;
        for (size_t k = 0; k < i; k++) taken |= weft_str_eq(m->sources[k].name, x->name);
        if (!taken) return true;
        x->name = weft_str_printf(m->arena, "%.*s-%u", (int)stem.len, stem.s, n);
    }
    return false;
}

static int by_value(const void *x, const void *y)
{
    const uint64_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* Ids that more than one row of the set has. */
static bool find_shared_ids(struct weft_mix *m, struct weft_mix_source *x)
{
    uint64_t *all = WEFT_NEWS(m->arena, uint64_t, x->index.n + 1);
    size_t n = 0, kept = 0;
    if (!all) return false;
    for (size_t i = 0; i < x->index.n; i++)
        if (x->index.spans[i].id) all[n++] = x->index.spans[i].id;
    if (n) qsort(all, n, sizeof *all, by_value);
    for (size_t i = 1; i < n; i++)
        if (all[i] == all[i - 1] && (!kept || all[kept - 1] != all[i])) all[kept++] = all[i];
    x->shared_ids = all;
    x->n_shared_ids = kept;
    return true;
}

static bool is_shared(const struct weft_mix_source *x, uint64_t id)
{
    return x->n_shared_ids && bsearch(&id, x->shared_ids, x->n_shared_ids, sizeof id, by_value);
}

enum weft_status weft_mix_open(struct weft_arena *a, struct weft_mix_source *sources, size_t n,
                               const struct weft_rows_settings *rows, const struct weft_progress *p,
                               struct weft_mix *out, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    *out = (struct weft_mix){ .arena = a, .sources = sources, .n_sources = n };
    if (!n || n > MAX_SETS)
        return weft_fail(err, WEFT_EARG, "%zu sets; a mix takes 1 to %d", n, MAX_SETS);
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_mix_source *x = &sources[i];
        struct weft_rows_settings how = rows ? *rows : (struct weft_rows_settings){ 0 };
        if (x->columns.n) how.columns = x->columns;
        if (x->format != WEFT_FORMAT_AUTO) how.format = x->format;
        weft_progress_update(p, "reading", i, n, "files", x->path);
        if (weft_progress_cancelled(p)) st = WEFT_ECANCEL;
        if (!st) st = weft_row_index_open(a, x->path, &how, &x->index, &x->report, err);
        if (!st && x->index.n >= UINT32_MAX)
            st = weft_fail(err, WEFT_ELIMIT, "%s: %zu rows are more than a mix takes of one set", x->path, x->index.n);
        if (!st && (!name_set(out, i) || !find_shared_ids(out, x)))
            st = weft_fail_nomem(err, x->index.n * 8, "the mix");
    }
    if (st) weft_mix_close(out);
    return st;
}

void weft_mix_close(struct weft_mix *m)
{
    for (size_t i = 0; i < m->n_sources; i++) weft_row_index_close(&m->sources[i].index);
    *m = (struct weft_mix){ 0 };
}

/* ---- how many of each ---- */

/* `total` rows among the weighted sets by their weights: whole parts first, then one more for the largest
 * remainders. */
static enum weft_status share(struct weft_mix *m, double weights, uint64_t total, bool repeat, struct weft_err *err)
{
    double *left = WEFT_NEWS(m->arena, double, m->n_sources);
    uint64_t given = 0;
    if (!left) return weft_fail_nomem(err, m->n_sources * sizeof *left, "the mix");
    for (size_t i = 0; i < m->n_sources; i++) {
        struct weft_mix_source *x = &m->sources[i];
        left[i] = -1;
        if (x->ask != WEFT_MIX_WEIGHT) continue;
        double quota = (double)total * (x->weight / weights);
        x->written = (uint64_t)(quota + quota * 1e-12);
        if (!repeat && x->written > x->index.n) x->written = x->index.n;
        left[i] = fmax(0, quota - (double)x->written);
        given += x->written;
    }
    for (; given < total; given++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < m->n_sources; i++)
            if (left[i] >= 0 && (repeat || m->sources[i].written < m->sources[i].index.n)
                && (best == SIZE_MAX || left[i] > left[best]))
                best = i;
        if (best == SIZE_MAX) break;
        m->sources[best].written++;
        left[best] = 0;
    }
    return WEFT_OK;
}

/* The total of the weighted sets when nobody names one. */
static uint64_t natural_total(const struct weft_mix *m, double weights, bool repeat)
{
    double total = -1;
    for (size_t i = 0; i < m->n_sources; i++) {
        const struct weft_mix_source *x = &m->sources[i];
        if (x->ask != WEFT_MIX_WEIGHT) continue;
        double t = (double)x->index.n / (x->weight / weights);
        if (total < 0 || (repeat ? t > total : t < total)) total = t;
    }
    return total < 0 ? 0 : (uint64_t)(repeat ? ceil(total * (1 - 1e-12)) : floor(total * (1 + 1e-12)));
}

static enum weft_status count_rows(struct weft_mix *m, struct weft_err *err)
{
    uint64_t fixed = 0, want = (uint64_t)m->s.rows;
    double weights = 0, most = 0;
    enum weft_status st = WEFT_OK;
    if (want && m->n_sources == 1 && m->sources[0].ask == WEFT_MIX_WHOLE) {     /* a sample */
        m->sources[0].ask = WEFT_MIX_ROWS;
        m->sources[0].rows = want;
    }
    for (size_t i = 0; i < m->n_sources; i++) {
        struct weft_mix_source *x = &m->sources[i];
        x->written = x->ask == WEFT_MIX_WHOLE ? x->index.n : x->ask == WEFT_MIX_ROWS ? x->rows : 0;
        if (x->ask == WEFT_MIX_WEIGHT) weights += x->weight;
        else fixed += x->written;
        if (x->ask == WEFT_MIX_ROWS && x->rows > x->index.n && !m->s.repeat)
            return weft_fail(err, WEFT_EARG,
                             "%s has %zu rows, %" PRIu64 " are asked for; ask for fewer, or --repeat",
                             x->path, x->index.n, x->rows);
    }
    if (want && weights <= 0 && want != fixed)
        return weft_fail(err, WEFT_EARG,
                         "the sets give %" PRIu64 " rows, --rows says %" PRIu64
                         "; give sets weights (FILE:0.5) to fit them",
                         fixed, want);
    if (weights > 0) {
        if (want && want < fixed)
            return weft_fail(err, WEFT_EARG,
                             "the sets asked for by number give %" PRIu64 " rows, more than --rows %" PRIu64,
                             fixed, want);
        uint64_t total = want ? want - fixed : natural_total(m, weights, m->s.repeat);
        if (total > UINT32_MAX)
            return weft_fail(err, WEFT_ELIMIT, "%" PRIu64 " rows are more than a mix writes", total);
        for (size_t i = 0; want && !m->s.repeat && i < m->n_sources; i++) {
            const struct weft_mix_source *x = &m->sources[i];
            if (x->ask != WEFT_MIX_WEIGHT) continue;
            most = floor((double)total * (x->weight / weights));
            if (most > (double)x->index.n)
                return weft_fail(
                    err, WEFT_EARG,
                    "%s has %zu rows, its weight asks for %.0f; lower --rows or its weight, or --repeat",
                    x->path, x->index.n, most);
        }
        st = share(m, weights, total, m->s.repeat, err);
    }
    return st;
}

/* ---- which, and in which order ---- */

static int by_row(const void *x, const void *y)
{
    const uint32_t *a = x, *b = y;
    return (*a > *b) - (*a < *b);
}

/* The rows of one set into rows[at...]. */
static enum weft_status draw(struct weft_mix *m, size_t set, size_t at, struct weft_err *err)
{
    struct weft_mix_source *x = &m->sources[set];
    struct weft_rng rng;
    size_t n = x->index.n, whole = x->written / n, more = x->written % n;
    uint32_t *order = WEFT_NEWS(m->arena, uint32_t, n);
    if (!order) return weft_fail_nomem(err, n * sizeof *order, "the mix");
    weft_rng_init(&rng, (uint64_t)m->s.seed, WEFT_RNG_DATA, weft_xxh3(x->name.s, x->name.len, 1));
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    for (size_t i = 0; i < more; i++) {
        size_t k = i + (size_t)weft_rng_below(&rng, n - i);
        uint32_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
    if (more) qsort(order, more, sizeof *order, by_row);
    for (size_t c = 0; c <= whole; c++)
        for (size_t i = 0; i < (c < whole ? n : more); i++, at++) {
            m->rows[at] = c < whole ? (uint32_t)i : order[i];
            m->sets[at] = (uint16_t)set;
            if (m->copies) m->copies[at] = (uint32_t)c;
        }
    x->distinct = whole ? n : more;
    x->repeats = x->written - x->distinct;
    x->unused = n - x->distinct;
    return WEFT_OK;
}

static void swap(struct weft_mix *m, size_t i, size_t k)
{
    uint32_t row = m->rows[i];
    uint16_t set = m->sets[i];
    m->rows[i] = m->rows[k];
    m->rows[k] = row;
    m->sets[i] = m->sets[k];
    m->sets[k] = set;
    if (!m->copies) return;
    uint32_t copy = m->copies[i];
    m->copies[i] = m->copies[k];
    m->copies[k] = copy;
}

enum weft_status weft_mix_plan(struct weft_mix *m, const struct weft_mix_settings *s, struct weft_err *err)
{
    struct weft_rng rng;
    uint64_t total = 0;
    size_t at = 0;
    bool repeats = false;
    m->s = *s;
    enum weft_status st = count_rows(m, err);
    if (st) return st;
    for (size_t i = 0; i < m->n_sources; i++) {
        total += m->sources[i].written;
        repeats |= m->sources[i].written > m->sources[i].index.n;
    }
    if (!total) return weft_fail(err, WEFT_EARG, "nothing to take: no set is asked for a row");
    if (total > UINT32_MAX) return weft_fail(err, WEFT_ELIMIT, "%" PRIu64 " rows are more than a mix writes", total);
    m->n = (size_t)total;
    m->rows = WEFT_NEWS(m->arena, uint32_t, m->n);
    m->sets = WEFT_NEWS(m->arena, uint16_t, m->n);
    m->copies = repeats ? WEFT_NEWS(m->arena, uint32_t, m->n) : NULL;
    if (!m->rows || !m->sets || (repeats && !m->copies)) return weft_fail_nomem(err, m->n * 10, "the mix");
    for (size_t i = 0; !st && i < m->n_sources; i++) {
        st = draw(m, i, at, err);
        at += (size_t)m->sources[i].written;
    }
    if (st || s->keep_order) return st;
    weft_rng_init(&rng, (uint64_t)s->seed, WEFT_RNG_DATA, 0);
    for (size_t i = m->n; i-- > 1;) swap(m, i, (size_t)weft_rng_below(&rng, i + 1));
    return WEFT_OK;
}

/* ---- the rows ---- */

enum weft_format weft_mix_format(const struct weft_mix *m)
{
    enum weft_format f = m->sources[0].index.shape.format;
    for (size_t i = 1; i < m->n_sources; i++) {
        enum weft_format other = m->sources[i].index.shape.format;
        if (other != f) f = f == WEFT_FORMAT_TEXT ? other : other == WEFT_FORMAT_TEXT ? f : WEFT_FORMAT_MESSAGES;
    }
    return f == WEFT_FORMAT_AUTO ? WEFT_FORMAT_MESSAGES : f;
}

enum weft_status weft_mix_row(const struct weft_mix *m, struct weft_arena *a, size_t i, struct weft_row *row,
                              struct weft_err *err)
{
    const struct weft_mix_source *x = &m->sources[m->sets[i]];
    size_t number = m->rows[i];
    uint32_t copy = m->copies ? m->copies[i] : 0;
    bool shared = is_shared(x, x->index.spans[number].id), several = m->n_sources > 1;
    struct weft_buf id = { 0 };
    enum weft_status st = weft_row_index_get(&x->index, a, number, row, err);
    if (st) return st;
    struct weft_origin *o = &row->origin;
    o->from_set = weft_str_c(x->path);
    o->from_id = o->id;
    o->from_row = number + 1;
    if (several || !o->id.len) weft_buf_printf(&id, "%.*s.", (int)x->name.len, x->name.s);
    if (o->id.len) weft_buf_str(&id, o->id);
    else weft_buf_printf(&id, "%06zu", number + 1);
    if (shared) weft_buf_printf(&id, "@%zu", number + 1);
    if (copy) weft_buf_printf(&id, "~%" PRIu32, copy + 1);
    o->id = weft_str_dup(a, weft_buf_view(&id));
    weft_buf_clear(&id);
    return o->id.s ? WEFT_OK : weft_fail_nomem(err, 64, "a row");
}
