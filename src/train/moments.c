#include "train/moments.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK = 64 * WEFT_CODE_BLOCK };

/* ---- codes ---- */

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

/* Powers of ten from 1e-6 to 1; [0.1, 1] of each is cut into twice as many parts as that of the one below, whose
 * middles are values.  Bounds (rounded once) and middles in f32, as the table was first made. */
void weft_code_map(struct weft_code_map *map, bool with_sign)
{
    size_t n = 0;
    for (int i = 0; i < 7; i++) {
        int parts = with_sign ? 1 << i : 2 << i;
        float step = (1.0f - 0.1f) / (float)parts, power = (float)pow(10, i - 6), low = 0.1f;
        for (int k = 0; k < parts; k++) {
            int above = k + 1;
            float high = above < (parts + 1) / 2 ? fmaf(step, (float)above, 0.1f)
                                                     : fmaf(-step, (float)(parts - above), 1);
            float value = power * ((low + high) / 2.0f);
            map->value[n++] = value;
            if (with_sign) map->value[n++] = -value;
            low = high;
        }
    }
    map->value[n++] = 0;
    map->value[n++] = 1;
    qsort(map->value, n, sizeof *map->value, ascending);
    for (size_t i = 0; i + 1 < n; i++) map->bound[i] = (map->value[i] + map->value[i + 1]) * 0.5f;
}

unsigned weft_code_of(const struct weft_code_map *map, float x)
{
    unsigned at = 0;            /* bounds below x */
    for (unsigned step = 128; step; step /= 2)
        if (map->bound[at + step - 1] < x) at += step;
    return at;
}

/* ---- the step ---- */

struct job {
    const struct weft_moments *m;
    const struct weft_moments_step *s;
    float b1, b2, c1, c2, eps, rate, keep;
};

/* What is common to both kinds: one value. */
static inline float direction(const struct job *j, float *m, float *v, float g)
{
    float a = j->b1 * *m + j->c1 * g, b = j->b2 * *v + j->c2 * g * g;
    *m = a;
    *v = b;
    return a / (sqrtf(b) + j->eps);
}

static inline void move(const struct job *j, size_t i, float x)
{
    if (j->s->out) j->s->out[i] = x;
    if (j->s->p) j->s->p[i] = (j->s->p[i] - j->rate * x) * j->keep;
}

static void step_values(const struct job *j, size_t from, size_t to)
{
    const struct weft_moments_step *s = j->s;
    for (size_t i = from; i < to; i++) {
        float g = s->g[i] * s->g_scale;
        if (s->skip_bad && !isfinite(g)) {
            j->m->m[i] = j->m->v[i] = 0;
            if (s->out) s->out[i] = 0;
            continue;
        }
        move(j, i, direction(j, &j->m->m[i], &j->m->v[i], g));
    }
}

static void encode(const struct weft_code_map *map, bool with_sign, uint8_t *codes, float *scale, const float *x,
                   size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(x[i]));
    *scale = most;
    for (size_t i = 0; i < n; i++) {
        unsigned code = weft_code_of(map, most > 0 ? x[i] / most : 0);
        /* A moment never changes sides by rounding: that would turn its step round. */
        if (with_sign && signbit(map->value[code]) != signbit(x[i])) {
            if (x[i] > 0) code++;
            else if (x[i] < 0) code--;
        }
        codes[i] = (uint8_t)code;
    }
}

static void step_codes(const struct job *j, size_t from, size_t to)
{
    const struct weft_moments_step *s = j->s;
    const struct weft_moments *q = j->m;
    float m[WEFT_CODE_BLOCK], v[WEFT_CODE_BLOCK];
    for (size_t at = from; at < to; at += WEFT_CODE_BLOCK) {
        size_t n = weft_min_size(WEFT_CODE_BLOCK, to - at), block = at / WEFT_CODE_BLOCK;
        for (size_t i = 0; i < n; i++) {
            m[i] = s->maps[0].value[q->qm[at + i]] * q->am[block];
            v[i] = s->maps[1].value[q->qv[at + i]] * q->av[block];
            float g = s->g[at + i] * s->g_scale;
            if (s->skip_bad && !isfinite(g)) {
                m[i] = v[i] = 0;
                if (s->out) s->out[at + i] = 0;
                continue;
            }
            move(j, at + i, direction(j, &m[i], &v[i], g));
        }
        encode(&s->maps[0], true, q->qm + at, &q->am[block], m, n);
        encode(&s->maps[1], false, q->qv + at, &q->av[block], v, n);
    }
}

static void step_chunk(void *ctx, size_t chunk, int thread)
{
    const struct job *j = ctx;
    size_t from = chunk * CHUNK, to = weft_min_size(from + CHUNK, j->m->n);
    (void)thread;
    if (j->m->m) step_values(j, from, to);
    else step_codes(j, from, to);
}

void weft_moments_step(struct weft_compute *c, const struct weft_moments *m, const struct weft_moments_step *s)
{
    struct job j = {
        .m = m, .s = s, .b1 = (float)s->beta1, .b2 = (float)s->beta2, .c1 = (float)(1 - s->beta1),
        .c2 = (float)(1 - s->beta2), .eps = (float)s->eps, .rate = (float)s->rate, .keep = (float)s->keep,
    };
    weft_pool_run(c->pool, weft_ceil_div(m->n, CHUNK), step_chunk, &j);
}

double weft_moments_correction(const struct weft_recipe *r, double t)
{
    return sqrt(1 - pow(r->adam_beta2, t)) / (1 - pow(r->adam_beta1, t));
}

bool weft_decays_unless_bias(const struct weft_param *p) { return strstr(p->name, "bias") == NULL; }

struct apply {
    float *p;
    const float *x;
    size_t n;
    float rate, keep;
};

static void apply_chunk(void *ctx, size_t chunk, int thread)
{
    const struct apply *a = ctx;
    size_t from = chunk * CHUNK, to = weft_min_size(from + CHUNK, a->n);
    (void)thread;
    for (size_t i = from; i < to; i++) a->p[i] = (a->p[i] - a->rate * a->x[i]) * a->keep;
}

void weft_step_apply(struct weft_compute *c, float *p, const float *x, size_t n, double rate, double keep)
{
    struct apply a = { .p = p, .x = x, .n = n, .rate = (float)rate, .keep = (float)keep };
    weft_pool_run(c->pool, weft_ceil_div(n, CHUNK), apply_chunk, &a);
}

/* ---- slots ---- */

size_t weft_moments_bytes(size_t n, bool coded)
{
    if (!coded || n < WEFT_CODE_LEAST) return 2 * n * sizeof(float);
    return 2 * n + 2 * weft_ceil_div(n, WEFT_CODE_BLOCK) * sizeof(float);
}

enum weft_status weft_moments_slots(struct weft_optimizer_state *s, const size_t *len, const bool *coded,
                                    struct weft_arena *a, struct weft_err *err)
{
    size_t n = s->params->n;
    size_t *plain = WEFT_NEWS(a, size_t, n), *codes = WEFT_NEWS(a, size_t, n), *scales = WEFT_NEWS(a, size_t, n);
    enum weft_status st = WEFT_OK;
    if (!plain || !codes || !scales) return weft_fail_nomem(err, 3 * n * sizeof *plain, "optimizer state");
    for (size_t i = 0; i < n; i++) {
        bool as_codes = coded && coded[i] && len[i] >= WEFT_CODE_LEAST;
        plain[i] = as_codes ? 0 : len[i];
        codes[i] = as_codes ? len[i] : 0;
        scales[i] = weft_ceil_div(codes[i], WEFT_CODE_BLOCK);
    }
    for (int k = 0; !st && k < 2; k++) {
        st = weft_optimizer_slot(s, k, plain, a, err);
        if (!st) st = weft_optimizer_slot(s, 2 + k, codes, a, err);
        if (!st) st = weft_optimizer_slot(s, 4 + k, scales, a, err);
    }
    /* Code 0 of a signed table is its lowest value, not zero. */
    struct weft_code_map map;
    if (!st && coded) weft_code_map(&map, true);
    for (size_t i = 0; !st && coded && i < n; i++)
        if (codes[i]) memset(s->slot[2][i], (int)weft_code_of(&map, 0), codes[i]);
    return st;
}

struct weft_moments weft_moments_of(const struct weft_optimizer_state *s, size_t param)
{
    struct weft_moments m = { .m = s->slot[0][param], .v = s->slot[1][param], .n = s->slot_len[0][param] };
    if (m.m) return m;
    m.qm = s->slot[2][param];
    m.qv = s->slot[3][param];
    m.am = s->slot[4][param];
    m.av = s->slot[5][param];
    m.n = s->slot_len[2][param];
    return m;
}
