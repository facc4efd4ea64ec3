/* model/slots.h - every tensor of a model, in the order of its files
 *
 * Loading, saving, initialising and making trainable are loops over this list; nobody else spells tensor names.
 * A slot tells what the model holds now; _set and _set_grad change the model.
 */
#ifndef WEFT_MODEL_SLOTS_H
#define WEFT_MODEL_SLOTS_H

#include "model/model.h"

enum weft_slot_kind { WEFT_SLOT_EMBED, WEFT_SLOT_WEIGHT, WEFT_SLOT_BIAS, WEFT_SLOT_NORM };
enum { WEFT_LINEARS_PER_LAYER = 7 };

struct weft_slot {
    const char *name;                   /* "model.layers.0.self_attn.q_proj.weight" */
    enum weft_slot_kind kind;
    size_t rows, cols;                  /* a vector has rows 1 */
    const void *w;                      /* as the model holds it; NULL: nothing yet */
    enum weft_dtype type;               /* biases and norms: always f32 */
    const struct weft_branch *branch;   /* of a linear weight, or NULL */
    size_t layer;                       /* n_layers: above the layers */
    int part;
    bool drawn;                         /* of a drawn model: w stays NULL, weft_slot_rows draws */
    float sd;
    uint64_t seed;
    uint32_t stream;
};

/* Values first ... first + n - 1 of a stream of N(0, sd): each a function of seed, stream and its number alone. */
void weft_draw_normals(float *out, size_t first, size_t n, float sd, uint64_t seed, uint32_t stream);

/* The list, in arena `a`; a tied head has no slot. */
WEFT_MUST_USE enum weft_status weft_model_slots(const struct weft_model *m, struct weft_arena *a,
                                                struct weft_slot **out, size_t *n, struct weft_err *err);
void weft_slot_set(struct weft_model *m, const struct weft_slot *s, const void *w, enum weft_dtype type);
/* Where the model keeps the pointer to the gradient of a tensor that is no token table. */
float **weft_slot_grad_at(struct weft_model *m, const struct weft_slot *s);
void weft_slot_set_grad(struct weft_model *m, const struct weft_slot *s, float *grad);

/* out [rows, cols] = rows row ... row + rows - 1 as f32; merge: with the branch that is switched on added in f32, and
 * with DoRA given their magnitude.  What every writer of weights writes. */
void weft_slot_rows(struct weft_compute *c, const struct weft_slot *s, bool merge, size_t row, size_t rows, float *out);

/* An empty model of this shape: names, no weights, no rope table. */
WEFT_MUST_USE enum weft_status weft_model_new(struct weft_model **out, const struct weft_config *config,
                                              struct weft_err *err);
/* weft_model_save with another size of shards. */
WEFT_MUST_USE enum weft_status weft_model_save_shards(const struct weft_model *m, const char *dir,
                                                      enum weft_dtype type, bool merge, uint64_t max_bytes,
                                                      const struct weft_progress *progress,
                                                      struct weft_err *err);
/* The rope table of m for n positions, in its arena. */
WEFT_MUST_USE enum weft_status weft_model_make_rope(struct weft_model *m, size_t n, struct weft_err *err);

#endif
