/* model/model.h - a decoder-only transformer: weights, forward pass, backward pass by hand
 *
 * One forward and one backward for all architectures of model/config.h.  Batches are padding-free: sequences stand
 * one behind the other with cu_seqlens (tokens/collate.h).  Activations are f32; weights keep the type of their
 * file and are multiplied in bf16 where the level does so (kernels/kernels.h), unless `exact`.
 * Logits exist only for rows that carry loss, and only a block of them at a time.
 *
 * Trainable tensors are f32 and are listed in a struct weft_params: whoever trains sees that list and nothing else.
 * A linear layer has a slot for a low-rank branch, which adapter/ fills.
 *
 * Owner:   weft_model_free; the weights are mapped from their file unless trained.
 * Threads: a model may be read by many; a pass, a KV cache and training belong to one caller.
 */
#ifndef WEFT_MODEL_MODEL_H
#define WEFT_MODEL_MODEL_H

#include "base/hash.h"
#include "base/progress.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "model/config.h"
#include "model/safetensors.h"
#include "tokens/collate.h"

/* ---- parameters, as a trainer sees them ---- */

struct weft_param {
    const char *name;       /* as in files: "model.layers.0.mlp.up_proj.weight", "....lora_A.weight" */
    size_t rows, cols;      /* a vector has rows 1 */
    float *w;               /* [rows, cols] the values; NULL: held in w16 */
    uint16_t *w16;          /* [rows, cols] the values in bf16 (weft_model_train_blocks) */
    bool low;               /* w holds numbers of bf16 alone, before and after each update */
    float *grad;            /* [rows, cols] gradients accumulate; zeroed by the trainer; NULL: rests for now */
    float **grad_at;        /* where the model looks for grad, so that it may rest; NULL: it may not */
    size_t layer;           /* of a model's own tensors: the decoder layer it belongs to; n_layers: above them */
    bool decay;             /* weight decay applies (docs/training.md) */
    float lr_ratio;         /* its rate is the learning rate times this; 0 is taken as 1 */
    bool embedding;         /* the token table or the head: optimizers that treat matrices apart leave it out */
};

static inline double weft_param_lr(const struct weft_param *p, double lr)
{
    return p->lr_ratio > 0 ? lr * (double)p->lr_ratio : lr;
}

struct weft_params {
    struct weft_param *items;
    size_t n, cap;
    size_t n_values;        /* sum of rows * cols */
    size_t weight_bytes, grad_bytes;
};
WEFT_MUST_USE enum weft_status weft_params_add(struct weft_params *p, struct weft_arena *a,
                                               const struct weft_param *item, struct weft_err *err);

/* ---- layers ---- */

/* DoRA (arXiv:2402.09353): row o of W + scale B A is stretched to length m[o].  Its length as it is counts as constant
 * in the backward pass. */
struct weft_dora {
    float *m, *dm;          /* [n_out] the magnitude of each row; gradient, NULL when not trained */
    float *inv, *k;         /* [n_out] 1 / |W + scale B A| and m times that, as of the last weft_dora_update */
    float *w2;              /* [n_out] |W|^2 of each row */
    float *work;            /* scratch of the update, shared by the branches of an adapter */
};

/* A low-rank branch: y += scale * B(A drop(x)), with DoRA y = bias + k * (W + scale B A)(drop(x)) + W (x - drop(x)).
 * Made by adapter/lora.h. */
struct weft_branch {
    size_t rank;
    float scale, dropout;
    float *a, *b;           /* A [rank, n_in], B [n_out, rank] */
    float *da, *db;         /* gradients, NULL when not trained */
    struct weft_dora *dora; /* NULL: plain */
    const float *a0, *b0;   /* PiSSA: where A and B began; NULL: another method */
    const void *whole;      /* PiSSA: W; the layer's w lacks scale * B0 A0 while the branch is on */
    const void *residual;   /* that w */
    bool enabled, rslora;
    double alpha;           /* scale is alpha / rank, with rslora alpha / sqrt(rank) */
    uint32_t module_id;     /* place in the list of linears; names its dropout stream */
};

/* The token table or the head as an adapter trains it: a copy that takes the place of the base's.  Made by
 * adapter/lora.h. */
struct weft_table_copy {
    float *w, *dw;          /* [V, D]; w NULL: there is none; dw NULL: not trained */
    const void *base;       /* what the model held before, and its type */
    enum weft_dtype base_type;
};

struct weft_linear {
    const char *name;       /* "model.layers.0.self_attn.q_proj": file names add ".weight", ".bias" */
    size_t n_in, n_out;
    const void *w;          /* [n_out, n_in]; type WEFT_QUANT: a struct weft_quant of that shape */
    enum weft_dtype type;
    const float *bias;      /* [n_out] or NULL */
    float *dw, *dbias;      /* gradients (+=); NULL: frozen */
    struct weft_branch *branch;
};

struct weft_gguf;

struct weft_norm {
    const char *name;
    const float *w;         /* [d] */
    float *dw;              /* NULL: frozen */
};

struct weft_layer {
    struct weft_norm input_norm, post_norm;
    struct weft_norm q_norm, k_norm;            /* w == NULL: the architecture has none */
    struct weft_linear q, k, v, o, gate, up, down;
};

struct weft_model {
    struct weft_config config;
    struct weft_arena arena;                    /* everything that lives as long as the model */
    struct weft_weights weights;
    struct weft_gguf *gguf;                     /* [n_gguf] the files instead of weights, of a GGUF model */
    size_t n_gguf;
    struct weft_layer *layers;                  /* [n_layers] */
    const void *embed;                          /* [V, D] */
    enum weft_dtype embed_type;
    float *dembed;
    struct weft_norm norm;
    struct weft_linear head;                    /* w == embed when tied */
    struct weft_table_copy embed_copy, head_copy;   /* a model that has one is not tied any more (Q10) */
    float *rope_cos, *rope_sin;                 /* [max positions asked for, head_dim / 2] */
    size_t n_positions;
    bool exact;
    bool train_low;                             /* set before weft_model_train_all and the like: bf16 (pure_bf16) */
    bool drawn;                                 /* has no weights: they are drawn from `seed` when it is written */
    uint64_t seed;
};

struct weft_model_settings {
    bool f32;                   /* convert all weights to f32 at load */
    bool exact;                 /* multiply in f32 whatever the kernel level */
    size_t max_positions;       /* rope table; 0: min(max_position_embeddings, 4096); a longer pass makes its own */
    enum weft_dtype random_type;    /* of the matrices that weft_model_random makes */
};

/* A model directory in Hugging Face layout, or a GGUF file (model/gguf.h).  Shapes are checked against config.json
 * (ST11, B2: first five offenders). */
WEFT_MUST_USE enum weft_status
weft_model_load(struct weft_model **out, const char *dir, const struct weft_model_settings *s, struct weft_err *err);
/* Fresh weights from `seed`: N(0, initializer_range) matrices, norms 1, biases 0. */
WEFT_MUST_USE enum weft_status weft_model_random(struct weft_model **out, const struct weft_config *config,
                                                 uint64_t seed, const struct weft_model_settings *s,
                                                 struct weft_err *err);
/* The same model for a file only (weft_model_save, weft_gguf_write): each piece of a weight is drawn when it
 * is written, so that a model of any size needs no more memory than a piece.  Nothing else may be done with it. */
WEFT_MUST_USE enum weft_status weft_model_drawn(struct weft_model **out, const struct weft_config *config,
                                                uint64_t seed, struct weft_err *err);
void weft_model_free(struct weft_model *m);
/* weft_config_stretch of a loaded model, and its table of positions.  Where they are enough nothing changes. */
WEFT_MUST_USE enum weft_status weft_model_stretch(struct weft_model *m, enum weft_rope_type type, size_t length,
                                                  struct weft_err *err);
/* n bytes at p will hardly be read again: what of them lies in the model's files leaves memory. */
void weft_model_forget(const struct weft_model *m, const void *p, size_t n);

/* The head is the token table: by config.json, unless an adapter has given one of them a copy. */
static inline bool weft_model_tied(const struct weft_model *m)
{
    return m->config.tie_word_embeddings && !m->embed_copy.w && !m->head_copy.w;
}

/* The name of the first tensor that holds a NaN or an infinity, in arena `a`; NULL: none.  Reads all
 * weights once (B5). */
const char *weft_model_nonfinite(const struct weft_model *m, struct weft_arena *a);

/* SHA-256 over the shape in config.json and every tensor's name, type, shape and bytes: the same files, the same
 * fingerprint, however they were loaded.  Reads all weights once. */
WEFT_MUST_USE enum weft_status weft_model_fingerprint(const struct weft_model *m, char out[WEFT_SHA256_HEX],
                                                      struct weft_err *err);

/* config.json + model.safetensors (sharded above 5 GB) into an existing folder, weights rounded to `type`; low-rank
 * branches are added in when `merge`.  A value that is not finite is refused (B5). */
WEFT_MUST_USE enum weft_status weft_model_save(const struct weft_model *m, const char *dir,
                                               enum weft_dtype type, bool merge,
                                               const struct weft_progress *progress, struct weft_err *err);

/* All linear layers, in model order (layer 0: q k v o gate up down, then layer 1 ...; the head is not among them). */
size_t weft_model_n_linears(const struct weft_model *m);
struct weft_linear *weft_model_linear(struct weft_model *m, size_t i);

/* Makes every tensor (full fine-tuning) trainable: f32 copies and zeroed gradients in `a`, appended to `params` in
 * file order.  Tied embeddings are one parameter.  With m->train_low matrices are copied to bf16 (w16) and vectors have
 * numbers of bf16 in f32 (params' `low`). */
WEFT_MUST_USE enum weft_status
weft_model_train_all(struct weft_model *m, struct weft_arena *a, struct weft_params *params, struct weft_err *err);

/* The same for gradients that are consumed layer by layer (weft_pass_on_layer): all layers share the room for one
 * layer's, which must be zeroed before the next layer's backward. */
WEFT_MUST_USE enum weft_status weft_model_train_layerwise(struct weft_model *m, struct weft_arena *a,
                                                          struct weft_params *params, struct weft_err *err);

/* The part of a model that freeze training trains. */
struct weft_freeze {
    int64_t layers;                     /* the last so many, or, below 0, the first */
    const char *const *modules;         /* of these layers: "all", or self_attn, mlp, input_layernorm ... */
    size_t n_modules;
    const char *const *extra;           /* beside them: embed_tokens, norm, lm_head */
    size_t n_extra;
    bool spread;                        /* not the last layers: the last of each of `layers` equal groups */
};
/* The same for these tensors alone.  WEFT_EARG: there is no such module; the message lists those there are. */
WEFT_MUST_USE enum weft_status
weft_model_train_some(struct weft_model *m, struct weft_arena *a, const struct weft_freeze *f,
                      struct weft_params *params, struct weft_err *err);

/* What trains in turns (BAdam): the tensors of the decoder layers, or, with `whole`, all but token table and head.
 * Matrices are held in bf16 when `low`, all else in f32.  Layers share the room for one layer's gradients, and only one
 * of them may have its grad at a time (*grad_at); with `whole` every tensor has its own. */
WEFT_MUST_USE enum weft_status
weft_model_train_blocks(struct weft_model *m, struct weft_arena *a, bool whole, bool low, struct weft_params *params,
                        struct weft_err *err);

/* ---- a pass over a batch ---- */

/* Activations and scratch for up to max_tokens tokens.  The kernels' own scratch is reserved with it, so that a pass
 * allocates nothing while it works. */
struct weft_pass;

struct weft_pass_settings {
    size_t max_tokens;
    bool backward;              /* false: only losses and logits */
    bool in_turns;              /* which layers train changes from pass to pass: room for the backward of all */
    bool checkpointing;         /* keep each layer's input only and recompute (docs/model.md, "Memory") */
    /* Tokens of the batches that are only measured (weft_model_loss, weft_model_seq_loss) where the pass also runs
     * backward: they stand in the same memory, as in a pass without backward.  0: as many as max_tokens at most. */
    size_t loss_tokens;
    size_t loss_rows;           /* rows of logits at a time; 0: chosen (docs/model.md, "Loss") */
    /* Noise on the token vectors of weft_model_loss_backward, U(-m, m) with m = alpha / sqrt(S D), S the longest
     * sequence of the batch rounded up to 8 (NEFTune, arXiv:2310.05914); 0: none. */
    float neftune_noise_alpha;
};
WEFT_MUST_USE enum weft_status weft_pass_new(struct weft_pass **out, struct weft_compute *c, const struct weft_model *m,
                                             const struct weft_pass_settings *s, struct weft_err *err);
void weft_pass_free(struct weft_pass *p);
/* Calls done(ctx, i) in every backward as soon as the gradients of layer i are complete and its weights have been read
 * for the last time, and with n_layers at the end for what stands above the layers.  NULL: no more calls. */
void weft_pass_on_layer(struct weft_pass *p, void (*done)(void *ctx, size_t layer), void *ctx);
/* Bytes that weft_pass_new will take for m as it is (its branches, its lowest trained layer), by kind, without taking
 * them: the memory plan. */
struct weft_pass_bytes {
    size_t activations, scratch, logits;
    size_t losses;              /* that batches which are only measured need beyond these three */
    size_t kernels;             /* that the scratch memory of c will grow by */
};
WEFT_MUST_USE enum weft_status weft_pass_plan(const struct weft_compute *c, const struct weft_model *m,
                                              const struct weft_pass_settings *s, struct weft_pass_bytes *out,
                                              struct weft_err *err);

/* Sum over selected rows (shifted label != WEFT_IGNORE) of -log p(label), and how many there were. */
struct weft_loss {
    double sum;
    size_t n;
};
WEFT_MUST_USE enum weft_status weft_model_loss(const struct weft_model *m, struct weft_pass *p,
                                               const struct weft_batch *b, struct weft_loss *out,
                                               struct weft_err *err);

/* The same with gradients of coef * sum added to every trainable tensor.  `seed` and `micro_step` name the dropout
 * masks.  row_loss [n_seqs] (may be NULL) receives each sequence's sum.  WEFT_ECANCEL when cancelled between layers:
 * the gradients are then partial. */
WEFT_MUST_USE enum weft_status
weft_model_loss_backward(struct weft_model *m, struct weft_pass *p, const struct weft_batch *b, float coef,
                         uint64_t seed, uint64_t micro_step, struct weft_loss *out, double *row_loss,
                         const struct weft_progress *progress, struct weft_err *err);

/* ---- losses of whole sequences (preferences) ---- */

/* seq_loss [n_seqs]: the sum of -log p over each sequence's labels; seq_n [n_seqs]: how many they are. */
WEFT_MUST_USE enum weft_status weft_model_seq_loss(const struct weft_model *m, struct weft_pass *p,
                                                   const struct weft_batch *b, double *seq_loss, size_t *seq_n,
                                                   struct weft_err *err);

/* Any function of these sums: `weigh` writes its derivative by each of them, coef [n_seqs].  The arrays are the
 * caller's. */
struct weft_seq_weights {
    void (*weigh)(void *ctx, size_t n_seqs, const double *seq_loss, const size_t *seq_n, float *coef);
    void *ctx;
    double *seq_loss;               /* [n_seqs] */
    size_t *seq_n;                  /* [n_seqs] */
    float *coef;                    /* [n_seqs] */
};
/* Adds the function's gradient to every trainable tensor; dropout is off.  WEFT_ECANCEL as in
 * weft_model_loss_backward. */
WEFT_MUST_USE enum weft_status weft_model_seq_backward(struct weft_model *m, struct weft_pass *p,
                                                       const struct weft_batch *b, const struct weft_seq_weights *w,
                                                       const struct weft_progress *progress, struct weft_err *err);

/* Logits of chosen rows: rows [n_rows] indexes tokens of the batch; logits [n_rows, V].  For parity and evaluation. */
WEFT_MUST_USE enum weft_status weft_model_logits(const struct weft_model *m, struct weft_pass *p,
                                                 const struct weft_batch *b, const int32_t *rows,
                                                 size_t n_rows, float *logits, struct weft_err *err);

#endif
