/* model/config.h - config.json: what a model is made of
 *
 * Architectures are data: a model_type names flags (biases, per-head norms, windows), one forward and one backward
 * serve them all.  Rules CF1-CF8 (docs/robustness.md); keys and defaults: docs/model.md.
 *
 * Owner:   strings live in the arena given to load.
 * Threads: immutable after load.
 */
#ifndef WEFT_MODEL_CONFIG_H
#define WEFT_MODEL_CONFIG_H

#include "base/json.h"
#include "kernels/dtype.h"

enum weft_rope_type { WEFT_ROPE_DEFAULT, WEFT_ROPE_LINEAR, WEFT_ROPE_LLAMA3, WEFT_ROPE_YARN };

struct weft_rope_config {
    enum weft_rope_type type;
    double theta, factor;                                   /* factor 1 when absent */
    double low_freq_factor, high_freq_factor;               /* llama3 */
    double beta_fast, beta_slow, attention_factor;          /* yarn; attention_factor 0: 0.1 ln(factor) + 1 */
    bool truncate;                                          /* yarn */
    size_t original_max_position_embeddings;
};

enum { WEFT_MAX_EOS = 16, WEFT_MAX_LAYERS = 1024 };

struct weft_config {
    const char *model_type;             /* "qwen2" */
    size_t hidden_size, intermediate_size, n_layers, n_heads, n_kv_heads, head_dim, vocab_size;
    size_t max_position_embeddings;
    float rms_norm_eps, initializer_range;
    bool tie_word_embeddings;
    bool qkv_bias, o_bias, mlp_bias, qk_norm;   /* from the architecture, or its keys */
    size_t sliding_window;              /* tokens; 0: none */
    uint8_t slides[WEFT_MAX_LAYERS / 8];    /* a bit for each layer that has this window (weft_config_window) */
    struct weft_rope_config rope;
    int32_t bos_token_id, pad_token_id; /* -1: none */
    int32_t eos_token_id[WEFT_MAX_EOS];
    size_t n_eos;
    enum weft_dtype dtype;              /* "torch_dtype": what the file says of its weights; f32 when it is silent */
    const char *unknown_keys;           /* "a, b": keys that nobody reads, for one warning; NULL: none */
};

/* `path`: a model directory or a config.json.  WEFT_EINPUT with rule CFn. */
WEFT_MUST_USE enum weft_status
weft_config_load(struct weft_arena *a, const char *path, struct weft_config *out, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_config_parse(struct weft_arena *a, const char *name, struct weft_str json,
                                                 struct weft_config *out, struct weft_err *err);
/* config.json as transformers reads it, 2-space indent. */
WEFT_MUST_USE enum weft_status weft_config_write(const struct weft_config *c, struct weft_buf *out,
                                                 struct weft_err *err);

/* Positions for `length` tokens, as LLaMA-Factory's rope_scaling makes them: the factor is length over the
 * positions that the model was made for, rounded up, and there are so many times more.  false, and no change:
 * they are enough as they are. */
bool weft_config_stretch(struct weft_config *c, enum weft_rope_type type, size_t length);
/* "linear" ... by type, and back; "default" and unknown names are WEFT_ROPE_DEFAULT. */
const char *weft_rope_type_name(enum weft_rope_type type);
enum weft_rope_type weft_rope_type_find(const char *name);

/* A known shape by name ("qwen2.5-0.5b", "tiny", ...); false: no such name.  `names` and `n_names` (may be NULL)
 * receive the list for messages; `out` may be NULL to ask for the list alone. */
bool weft_config_preset(const char *name, struct weft_config *out, const char *const **names, size_t *n_names);

size_t weft_config_n_params(const struct weft_config *c);

/* The window of a layer in tokens; 0: it sees everything before it. */
static inline size_t weft_config_window(const struct weft_config *c, size_t layer)
{
    return c->slides[layer / 8] >> layer % 8 & 1 ? c->sliding_window : 0;
}
/* Layers from `first` on slide by c->sliding_window, those below do not. */
void weft_config_slide_from(struct weft_config *c, size_t first);

#endif
