/* Candidates are kept as weights exp(z - max), never sorted as a whole: top-k is a selection, top-p a selection by
 * mass, both linear in the vocabulary.  The order of reference runtimes is kept: penalty, temperature, top-k,
 * top-p, min-p. */
#include "model/sample.h"

#include <math.h>
#include <stdlib.h>

struct candidate {
    float weight;
    int32_t id;
};

struct weft_sampler {
    struct weft_sample_settings s;
    struct weft_rng rng;
    uint64_t n_drawn;
    size_t n_vocab, n_tokens, n_seen;
    unsigned char *seen;            /* [n_vocab] */
    int32_t *seen_ids;              /* [n_vocab] those with seen set, in order of appearance */
    struct candidate *candidates;   /* [n_tokens] */
};

enum weft_status weft_sampler_new(struct weft_sampler **out, size_t n_vocab, size_t n_tokens,
                                  const struct weft_sample_settings *s, struct weft_err *err)
{
    *out = NULL;
    if (!(s->temperature >= 0 && s->temperature <= 100))
        return weft_fail(err, WEFT_EARG, "temperature is %g; expected 0 (always the likeliest token) to 100",
                         s->temperature);
    if (s->top_k < 0) return weft_fail(err, WEFT_EARG, "top_k is %lld; expected 0 (off) or more", (long long)s->top_k);
    if (!(s->top_p > 0 && s->top_p <= 1))
        return weft_fail(err, WEFT_EARG, "top_p is %g; expected more than 0, at most 1", s->top_p);
    if (!(s->min_p >= 0 && s->min_p <= 1)) return weft_fail(err, WEFT_EARG, "min_p is %g; expected 0 to 1", s->min_p);
    if (!(s->repetition_penalty > 0 && s->repetition_penalty <= 100))
        return weft_fail(err, WEFT_EARG, "repetition_penalty is %g; expected more than 0, at most 100",
                         s->repetition_penalty);
    if (!n_tokens || n_tokens > n_vocab || n_vocab > INT32_MAX)
        return weft_fail(err, WEFT_EARG, "%zu tokens to draw from a vocabulary of %zu", n_tokens, n_vocab);

    struct weft_sampler *p = calloc(1, sizeof *p);
    if (p) {
        p->seen = calloc(n_vocab, 1);
        p->seen_ids = malloc(n_vocab * sizeof *p->seen_ids);
        p->candidates = malloc(n_tokens * sizeof *p->candidates);
    }
    if (!p || !p->seen || !p->seen_ids || !p->candidates) {
        weft_sampler_free(p);
        return weft_fail_nomem(err, n_vocab * 13, "sampling");
    }
    p->s = *s;
    p->n_vocab = n_vocab;
    p->n_tokens = n_tokens;
    weft_rng_init(&p->rng, s->seed, WEFT_RNG_SAMPLE, 0);
    *out = p;
    return WEFT_OK;
}

void weft_sampler_free(struct weft_sampler *s)
{
    if (!s) return;
    free(s->seen);
    free(s->seen_ids);
    free(s->candidates);
    free(s);
}

void weft_sampler_see(struct weft_sampler *s, int32_t id)
{
    if (id < 0 || (size_t)id >= s->n_vocab || s->seen[id]) return;
    s->seen[id] = 1;
    s->seen_ids[s->n_seen++] = id;
}

static void penalise(const struct weft_sampler *s, float *logits)
{
    float penalty = (float)s->s.repetition_penalty;
    if (penalty == 1) return;
    for (size_t i = 0; i < s->n_seen; i++) {
        float *z = &logits[s->seen_ids[i]];
        *z = *z > 0 ? *z / penalty : *z * penalty;
    }
}

/* Heavier first; among equals the lower id. */
static bool before(struct candidate a, struct candidate b)
{
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate t = *a;
    *a = *b;
    *b = t;
}

/* Splits c [n] by the median of three: those before the pivot come first; returns the pivot's place. */
static size_t split(struct candidate *c, size_t n)
{
    size_t mid = n / 2, last = n - 1, to = 0;
    if (before(c[mid], c[0])) swap(&c[mid], &c[0]);
    if (before(c[last], c[0])) swap(&c[last], &c[0]);
    if (before(c[mid], c[last])) swap(&c[mid], &c[last]);      /* the median stands last */
    for (size_t i = 0; i < last; i++)
        if (before(c[i], c[last])) swap(&c[i], &c[to++]);
    swap(&c[to], &c[last]);
    return to;
}

/* Moves the k first of c [n] to the front, in no order. */
static void select_first(struct candidate *c, size_t n, size_t k)
{
    while (n > 1 && k > 0 && k < n) {
        size_t at = split(c, n);
        if (k <= at) {
            n = at;
        } else {
            c += at + 1;
            n -= at + 1;
            k -= at + 1;
        }
    }
}

static double mass(const struct candidate *c, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)c[i].weight;
    return sum;
}

/* How many of the heaviest reach `target` together; they are moved to the front. */
static size_t select_mass(struct candidate *c, size_t n, double target)
{
    size_t kept = 0;
    while (n > 1) {
        size_t at = split(c, n);
        double heavier = mass(c, at);
        if (heavier >= target && at > 0) {
            n = at;
            continue;
        }
        target -= heavier + (double)c[at].weight;
        kept += at + 1;
        if (target <= 0) return kept;
        c += at + 1;
        n -= at + 1;
    }
    return kept + n;
}

static int32_t greedy(const struct weft_sampler *s, const float *logits, float *logprob)
{
    size_t best = 0;
    for (size_t i = 1; i < s->n_tokens; i++)
        if (logits[i] > logits[best]) best = i;
    if (logprob) {
        double sum = 0;
        for (size_t i = 0; i < s->n_tokens; i++) sum += exp((double)logits[i] - (double)logits[best]);
        *logprob = (float)-log(sum);
    }
    return (int32_t)best;
}

int32_t weft_sampler_next(struct weft_sampler *s, float *logits, float *logprob)
{
    struct candidate *c = s->candidates;
    size_t n = s->n_tokens;
    uint64_t draw = s->n_drawn++;

    penalise(s, logits);
    if (s->s.temperature == 0) return greedy(s, logits, logprob);
    float max = logits[0], inverse = (float)(1 / s->s.temperature);
    for (size_t i = 1; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (size_t i = 0; i < n; i++) {
        float w = expf((logits[i] - max) * inverse);
        c[i] = (struct candidate){ isfinite(w) ? w : 0, (int32_t)i };
    }
    if (s->s.top_k > 0 && (uint64_t)s->s.top_k < n) {
        select_first(c, n, (size_t)s->s.top_k);
        n = (size_t)s->s.top_k;
    }
    if (s->s.top_p < 1) n = select_mass(c, n, s->s.top_p * mass(c, n));
    if (s->s.min_p > 0) {
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (c[i].weight >= (float)s->s.min_p) swap(&c[kept++], &c[i]);      /* the heaviest weighs 1 */
        n = weft_max_size(kept, 1);
    }
    s->rng.drawn = 4 * draw;        /* draw number i is block i, whatever the others took */
    double total = mass(c, n), left = weft_rng_f64(&s->rng) * total;
    size_t i = 0;
    while (i + 1 < n && left >= (double)c[i].weight) left -= (double)c[i++].weight;
    while (i && c[i].weight <= 0) i--;      /* rounding led past the last that may be drawn */
    if (logprob) *logprob = (float)log((double)c[i].weight / total);
    return c[i].id;
}
