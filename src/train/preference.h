/* train/preference.h - losses over answers that people compared or judged
 *
 * Each is a function of whole answers' log-probabilities: lp, the sum of log p over an answer's tokens, and ref, the
 * same under the model before training.  Given these, a loss and its derivative by every lp; how lp came about is
 * the model's business (model/model.h, weft_model_answer_backward).
 *
 * Pairs: DPO (sigmoid, arXiv:2305.18290, with the label smoothing of cDPO), hinge (SLiC, arXiv:2305.10425), IPO
 * (arXiv:2310.12036), ORPO (arXiv:2403.07691), SimPO (arXiv:2405.14734).  Single judged answers: KTO
 * (arXiv:2402.01306).  IPO, ORPO and SimPO read means per token instead of sums; derivatives are by the sums all
 * the same.  docs/training.md, "Preferences".
 */
#ifndef WEFT_TRAIN_PREFERENCE_H
#define WEFT_TRAIN_PREFERENCE_H

#include "base/str.h"

/* In the order of the choices of pref_loss. */
enum weft_pref_loss { WEFT_PREF_SIGMOID, WEFT_PREF_HINGE, WEFT_PREF_IPO, WEFT_PREF_ORPO, WEFT_PREF_SIMPO };

struct weft_pref_settings {
    enum weft_pref_loss loss;
    double beta, gamma;             /* gamma: SimPO's margin */
    double smoothing;               /* of sigmoid: how many labels are taken to be wrong, [0, 0.5) */
    double ftx;                     /* adds ftx times the mean -log p of the chosen answers */
    double chosen_weight, rejected_weight;      /* KTO: of desirable and undesirable rows */
};

struct weft_answer {
    double lp, ref;                 /* ref: unused by ORPO and SimPO */
    size_t n;                       /* tokens summed; 0: the answer was cut away, lp and ref are 0 */
    bool desirable;                 /* KTO */
};

/* What is logged, as means over the rows that have each. */
enum weft_pref_metric {
    WEFT_PREF_CHOSEN,
    WEFT_PREF_REJECTED,
    WEFT_PREF_ACCURACY,
    WEFT_PREF_MARGIN,
    WEFT_PREF_LP_CHOSEN,
    WEFT_PREF_LP_REJECTED,
    WEFT_PREF_SFT,
    WEFT_PREF_ODDS,
    WEFT_PREF_KL,
    WEFT_N_PREF_METRICS
};
extern const char *const weft_pref_metric_names[WEFT_N_PREF_METRICS];     /* keys of log.jsonl: "rewards/chosen" ... */
struct weft_pref_sums {
    double sum[WEFT_N_PREF_METRICS];
    uint64_t n[WEFT_N_PREF_METRICS];
};

bool weft_pref_needs_reference(enum weft_pref_loss loss);
/* The n chosen answers, then the n rejected ones: [2n].  Returns the mean loss over the pairs; grad [2n] receives its
 * derivative by each lp, each [n] the loss of every pair (NULL: not wanted); sums, added to, may be NULL. */
double weft_pref_pairs(const struct weft_pref_settings *s, const struct weft_answer *answers, size_t n, double *grad,
                       double *each, struct weft_pref_sums *sums);
/* n judged answers; kl [n_kl]: mismatched answers, whose mean lp - ref, not below 0, is the yardstick and gets no
 * gradient. */
double weft_pref_kto(const struct weft_pref_settings *s, const struct weft_answer *answers, size_t n,
                     const struct weft_answer *kl, size_t n_kl, double *grad, double *each,
                     struct weft_pref_sums *sums);

#endif
