#include "train/preference.h"

#include <math.h>

const char *const weft_pref_metric_names[WEFT_N_PREF_METRICS] = {
    "rewards/chosen", "rewards/rejected", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected",
    "sft_loss",       "odds_ratio_loss",  "kl",
};

bool weft_pref_needs_reference(enum weft_pref_loss loss) { return loss != WEFT_PREF_ORPO && loss != WEFT_PREF_SIMPO; }

static double logistic(double x) { return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)); }
/* -ln logistic(x) without overflow. */
static double softplus_neg(double x) { return x >= 0 ? log1p(exp(-x)) : log1p(exp(x)) - x; }
/* ln(1 - e^x), x < 0. */
static double log1m_exp(double x) { return x > -M_LN2 ? log(-expm1(x)) : log1p(-exp(x)); }

static void count(struct weft_pref_sums *sums, enum weft_pref_metric which, double value)
{
    if (!sums) return;
    sums->sum[which] += value;
    sums->n[which]++;
}

static void count_pair(struct weft_pref_sums *sums, double chosen, double rejected)
{
    count(sums, WEFT_PREF_CHOSEN, chosen);
    count(sums, WEFT_PREF_REJECTED, rejected);
    count(sums, WEFT_PREF_ACCURACY, chosen > rejected);
    count(sums, WEFT_PREF_MARGIN, chosen - rejected);
}

static double per_token(double sum, const struct weft_answer *x) { return x->n ? sum / (double)x->n : 0; }

/* ---- pairs: loss of one, and its derivatives by the quantities it reads (sums, or means per token) ---- */

struct pair_loss {
    double loss, d_chosen, d_rejected;
    bool means;
};

static struct pair_loss sigmoid_loss(const struct weft_pref_settings *s, double delta)
{
    double x = s->beta * delta, e = s->smoothing;
    double d = -s->beta * ((1 - e) * logistic(-x) - e * logistic(x));
    return (struct pair_loss){ (1 - e) * softplus_neg(x) + e * softplus_neg(-x), d, -d, false };
}

static struct pair_loss hinge_loss(const struct weft_pref_settings *s, double delta)
{
    double rest = 1 - s->beta * delta, d = rest > 0 ? -s->beta : 0;
    return (struct pair_loss){ rest > 0 ? rest : 0, d, -d, false };
}

static struct pair_loss ipo_loss(const struct weft_pref_settings *s, double delta)
{
    double rest = delta - 1 / (2 * s->beta), d = 2 * rest;
    return (struct pair_loss){ rest * rest, d, -d, true };
}

static struct pair_loss simpo_loss(const struct weft_pref_settings *s, double chosen, double rejected)
{
    double x = s->beta * (chosen - rejected) - s->gamma, d = -s->beta * logistic(-x);
    return (struct pair_loss){ softplus_neg(x), d, -d, true };
}

/* A mean of 0 would be certainty: ln(1 - e^0) has no value, so it is kept a hair below. */
static double below_zero(double mean) { return mean < -1e-12 ? mean : -1e-12; }

static struct pair_loss orpo_loss(const struct weft_pref_settings *s, double chosen, double rejected,
                                  struct weft_pref_sums *sums)
{
    double c = below_zero(chosen), r = below_zero(rejected);
    double z = (c - r) - (log1m_exp(c) - log1m_exp(r)), odds = softplus_neg(z), push = s->beta * logistic(-z);
    count(sums, WEFT_PREF_SFT, -chosen);
    count(sums, WEFT_PREF_ODDS, odds);
    return (struct pair_loss){ -chosen + s->beta * odds, -1 + push / expm1(c), -push / expm1(r), true };
}

double weft_pref_pairs(const struct weft_pref_settings *s, const struct weft_answer *answers, size_t n, double *grad,
                       double *each, struct weft_pref_sums *sums)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) {
        const struct weft_answer *c = &answers[i], *r = &answers[n + i];
        double ac = per_token(c->lp, c), ar = per_token(r->lp, r);
        struct pair_loss x = { 0 };
        switch (s->loss) {
        case WEFT_PREF_SIGMOID: x = sigmoid_loss(s, (c->lp - r->lp) - (c->ref - r->ref)); break;
        case WEFT_PREF_HINGE: x = hinge_loss(s, (c->lp - r->lp) - (c->ref - r->ref)); break;
        case WEFT_PREF_IPO: x = ipo_loss(s, (ac - ar) - (per_token(c->ref, c) - per_token(r->ref, r))); break;
        case WEFT_PREF_ORPO: x = orpo_loss(s, ac, ar, sums); break;
        case WEFT_PREF_SIMPO: x = simpo_loss(s, ac, ar); break;
        }
        double by_chosen = x.means ? per_token(x.d_chosen, c) : x.d_chosen;
        double by_rejected = x.means ? per_token(x.d_rejected, r) : x.d_rejected;
        double loss = x.loss - s->ftx * ac;
        total += loss;
        if (each) each[i] = loss;
        grad[i] = (by_chosen - per_token(s->ftx, c)) / (double)n;
        grad[n + i] = by_rejected / (double)n;

        bool sums_read = s->loss == WEFT_PREF_SIGMOID || s->loss == WEFT_PREF_HINGE;
        double ref_c = sums_read ? c->ref : per_token(c->ref, c), ref_r = sums_read ? r->ref : per_token(r->ref, r);
        if (!weft_pref_needs_reference(s->loss)) ref_c = ref_r = 0;
        count_pair(sums, s->beta * ((sums_read ? c->lp : ac) - ref_c), s->beta * ((sums_read ? r->lp : ar) - ref_r));
        count(sums, WEFT_PREF_LP_CHOSEN, sums_read ? c->lp : ac);
        count(sums, WEFT_PREF_LP_REJECTED, sums_read ? r->lp : ar);
    }
    return n ? total / (double)n : 0;
}

/* ---- judged answers ---- */

double weft_pref_kto(const struct weft_pref_settings *s, const struct weft_answer *answers, size_t n,
                     const struct weft_answer *kl, size_t n_kl, double *grad, double *each,
                     struct weft_pref_sums *sums)
{
    double total = 0, yardstick = 0;
    size_t n_good = 0;
    for (size_t i = 0; i < n_kl; i++) yardstick += (kl[i].lp - kl[i].ref) / (double)n_kl;
    yardstick = yardstick > 0 ? yardstick : 0;
    for (size_t i = 0; i < n; i++) n_good += answers[i].desirable;
    for (size_t i = 0; i < n; i++) {
        const struct weft_answer *x = &answers[i];
        double r = x->lp - x->ref, sign = x->desirable ? 1 : -1;
        double weight = x->desirable ? s->chosen_weight : s->rejected_weight;
        double p = logistic(sign * s->beta * (r - yardstick));
        double loss = weight * (1 - p);
        grad[i] = -sign * weight * s->beta * p * (1 - p) / (double)n;
        if (x->desirable && s->ftx > 0) {   /* the reference divides the mean by the desirable rows once more */
            double share = s->ftx * (double)n / ((double)n_good * (double)n_good);
            loss -= (double)n * per_token(share * x->lp, x);
            grad[i] -= per_token(share, x);
        }
        total += loss;
        if (each) each[i] = loss;
        count(sums, x->desirable ? WEFT_PREF_CHOSEN : WEFT_PREF_REJECTED, s->beta * r);
        count(sums, x->desirable ? WEFT_PREF_LP_CHOSEN : WEFT_PREF_LP_REJECTED, x->lp);
    }
    count(sums, WEFT_PREF_KL, yardstick);
    return n ? total / (double)n : 0;
}
