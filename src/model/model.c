/* Making, training and freeing a model; reading and writing its files is model_files.c. */
#include "model/rope.h"
#include "model/gguf.h"
#include "model/slots.h"

#include <math.h>
#include <stdlib.h>

enum { DEFAULT_POSITIONS = 4096 };

enum weft_status weft_params_add(struct weft_params *p, struct weft_arena *a, const struct weft_param *item,
                                 struct weft_err *err)
{
    if (p->n == p->cap) {
        /* The old array stays in the arena until its end: lists double, so that this costs one more list at most. */
        size_t cap = p->cap ? p->cap * 2 : 64;
        struct weft_param *items = WEFT_NEWS(a, struct weft_param, cap);
        if (!items) return weft_fail_nomem(err, cap * sizeof *items, "the list of parameters");
        if (p->n) memcpy(items, p->items, p->n * sizeof *items);
        p->items = items;
        p->cap = cap;
    }
    p->items[p->n++] = *item;
    p->n_values += item->rows * item->cols;
    p->weight_bytes += item->rows * item->cols * (item->w ? sizeof(float) : sizeof(uint16_t));
    if (item->grad) p->grad_bytes += item->rows * item->cols * sizeof(float);
    return WEFT_OK;
}

void weft_model_free(struct weft_model *m)
{
    if (!m) return;
    weft_weights_close(&m->weights);
    for (size_t i = 0; i < m->n_gguf; i++) weft_gguf_close(&m->gguf[i]);
    weft_arena_clear(&m->arena);
    free(m);
}

enum weft_status weft_model_make_rope(struct weft_model *m, size_t n, struct weft_err *err)
{
    size_t half = m->config.head_dim / 2, floats;
    if (!n) n = weft_min_size(m->config.max_position_embeddings, DEFAULT_POSITIONS);
    if (!weft_size_mul3(n, half, sizeof(float), &floats)) return weft_fail(err, WEFT_EARG, "%zu positions", n);
    float *inv = WEFT_NEWS(&m->arena, float, half);
    m->rope_cos = weft_arena_alloc(&m->arena, floats);
    m->rope_sin = weft_arena_alloc(&m->arena, floats);
    if (!inv || !m->rope_cos || !m->rope_sin) return weft_fail_nomem(err, 2 * floats, "the table of positions");
    weft_rope_table(&m->config, n, inv, m->rope_cos, m->rope_sin);
    m->n_positions = n;
    return WEFT_OK;
}

enum weft_status weft_model_stretch(struct weft_model *m, enum weft_rope_type type, size_t length, struct weft_err *err)
{
    if (!weft_config_stretch(&m->config, type, length)) return WEFT_OK;
    return weft_model_make_rope(m, weft_max_size(m->n_positions, length), err);
}

/* ---- fresh weights ---- */

/* n values N(0, sd) of a stream, rounded to `type`. */
static void fill_normal(void *w, enum weft_dtype type, size_t n, float sd, uint64_t seed, uint32_t stream)
{
    float z[1024];
    if (type == WEFT_F32) {
        weft_draw_normals(w, 0, n, sd, seed, stream);
        return;
    }
    for (size_t at = 0; at < n; at += WEFT_COUNT(z)) {
        size_t here = weft_min_size(WEFT_COUNT(z), n - at);
        uint16_t *to = (uint16_t *)w + at;
        weft_draw_normals(z, at, here, sd, seed, stream);
        for (size_t i = 0; i < here; i++) to[i] = type == WEFT_BF16 ? weft_f32_to_bf16(z[i]) : weft_f32_to_f16(z[i]);
    }
}

enum weft_status weft_model_random(struct weft_model **out, const struct weft_config *config, uint64_t seed,
                                   const struct weft_model_settings *s, struct weft_err *err)
{
    static const struct weft_model_settings defaults;
    struct weft_arena names = { 0 };
    struct weft_model *m = NULL;
    struct weft_slot *slots;
    size_t n_slots;
    enum weft_status st;

    *out = NULL;
    if (!s) s = &defaults;
    st = weft_model_new(&m, config, err);
    if (!st) st = weft_model_slots(m, &names, &slots, &n_slots, err);
    if (!st) st = weft_model_make_rope(m, s->max_positions, err);
    for (size_t i = 0; !st && i < n_slots; i++) {
        bool matrix = slots[i].kind == WEFT_SLOT_EMBED || slots[i].kind == WEFT_SLOT_WEIGHT;
        enum weft_dtype type = matrix ? s->random_type : WEFT_F32;
        size_t n = slots[i].rows * slots[i].cols, bytes = n * weft_dtype_bytes(type);
        void *w = weft_arena_alloc(&m->arena, bytes);
        if (!w) {
            st = weft_fail_nomem(err, bytes, slots[i].name);
            break;
        }
        if (matrix) fill_normal(w, type, n, config->initializer_range, seed, (uint32_t)i);
        else for (size_t k = 0; k < n; k++) ((float *)w)[k] = slots[i].kind == WEFT_SLOT_NORM;
        weft_slot_set(m, &slots[i], w, type);
    }
    weft_arena_clear(&names);
    if (st) {
        weft_model_free(m);
        return st;
    }
    m->exact = s->exact;
    *out = m;
    return WEFT_OK;
}

enum weft_status weft_model_drawn(struct weft_model **out, const struct weft_config *config, uint64_t seed,
                                  struct weft_err *err)
{
    enum weft_status st = weft_model_new(out, config, err);
    if (st) return st;
    (*out)->drawn = true;
    (*out)->seed = seed;
    return WEFT_OK;
}

void weft_model_forget(const struct weft_model *m, const void *p, size_t n)
{
    for (size_t i = 0; i < m->weights.n_files; i++) weft_map_forget(&m->weights.files[i].map, p, n);
    for (size_t i = 0; i < m->n_gguf; i++) weft_map_forget(&m->gguf[i].map, p, n);
}

/* ---- full training ---- */

static void widen(float *y, const struct weft_slot *s)
{
    size_t n = s->rows * s->cols;
    const unsigned char *from = s->w;
    if (s->type == WEFT_F32) {
        memcpy(y, from, n * sizeof *y);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, 2);         /* files may place tensors at odd addresses */
        y[i] = s->type == WEFT_BF16 ? weft_bf16_to_f32(half) : weft_f16_to_f32(half);
    }
}

/* The same into bf16. */
static void narrow(uint16_t *y, const struct weft_slot *s)
{
    size_t n = s->rows * s->cols;
    const unsigned char *from = s->w;
    if (s->type == WEFT_BF16) {
        memcpy(y, from, n * sizeof *y);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        float x;
        uint16_t half;
        if (s->type == WEFT_F32) memcpy(&x, from + 4 * i, 4);
        else memcpy(&half, from + 2 * i, 2), x = weft_f16_to_f32(half);
        y[i] = weft_f32_to_bf16(x);
    }
}

/* grad NULL: room of its own. */
static enum weft_status train_slot(struct weft_model *m, struct weft_arena *a, const struct weft_slot *s, float *grad,
                                   struct weft_params *params, struct weft_err *err)
{
    size_t n = s->rows * s->cols;
    bool matrix = s->kind == WEFT_SLOT_EMBED || s->kind == WEFT_SLOT_WEIGHT, half = matrix && m->train_low;
    bool head = s->kind == WEFT_SLOT_WEIGHT && s->layer == m->config.n_layers;
    struct weft_param param = {
        .name = s->name, .rows = s->rows, .cols = s->cols, .w = half ? NULL : weft_arena_alloc(a, n * sizeof(float)),
        .w16 = half ? weft_arena_alloc(a, n * sizeof(uint16_t)) : NULL, .low = m->train_low,
        .grad = grad ? grad : WEFT_NEWS(a, float, n), .layer = s->layer, .decay = matrix,
        .embedding = s->kind == WEFT_SLOT_EMBED || head,
    };
    if (s->type == WEFT_QUANT)
        return weft_fail(err, WEFT_EARG,
                         "%s is quantised (%s): such weights stay as they are, and an adapter is trained beside them; "
                         "expected finetuning_type: lora", s->name, ((const struct weft_quant *)s->w)->format->name);
    if ((!param.w && !param.w16) || !param.grad)
        return weft_fail_nomem(err, 2 * n * sizeof(float), "trainable weights and their gradients");
    if (half) narrow(param.w16, s);
    else widen(param.w, s);
    for (size_t i = 0; i < n && param.w && m->train_low; i++)
        param.w[i] = weft_bf16_to_f32(weft_f32_to_bf16(param.w[i]));
    weft_model_forget(m, s->w, n * weft_dtype_bytes(s->type));
    weft_slot_set(m, s, half ? (const void *)param.w16 : param.w, half ? WEFT_BF16 : WEFT_F32);
    weft_slot_set_grad(m, s, param.grad);
    return weft_params_add(params, a, &param, err);
}

enum weft_status weft_model_train_all(struct weft_model *m, struct weft_arena *a, struct weft_params *params,
                                      struct weft_err *err)
{
    struct weft_slot *slots;
    size_t n_slots;
    enum weft_status st = weft_model_slots(m, a, &slots, &n_slots, err);
    for (size_t i = 0; !st && i < n_slots; i++) st = train_slot(m, a, &slots[i], NULL, params, err);
    return st;
}

/* Values of the largest layer. */
static size_t largest_layer(const struct weft_slot *slots, size_t n, size_t n_layers)
{
    size_t largest = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (i && slots[i].layer != slots[i - 1].layer) sum = 0;
        if (slots[i].layer < n_layers) sum += slots[i].rows * slots[i].cols;
        largest = weft_max_size(largest, sum);
    }
    return largest;
}

enum weft_status weft_model_train_layerwise(struct weft_model *m, struct weft_arena *a, struct weft_params *params,
                                            struct weft_err *err)
{
    struct weft_slot *slots;
    size_t n_slots, L = m->config.n_layers, at = 0, largest = 0, shared_bytes = 0;
    float *shared = NULL;
    enum weft_status st = weft_model_slots(m, a, &slots, &n_slots, err);
    if (!st) {
        largest = largest_layer(slots, n_slots, L);
        shared = WEFT_NEWS(a, float, largest);
        if (!shared) st = weft_fail_nomem(err, largest * sizeof(float), "gradients of a layer");
    }
    for (size_t i = 0; !st && i < n_slots; i++) {
        size_t n = slots[i].rows * slots[i].cols;
        if (i && slots[i].layer != slots[i - 1].layer) at = 0;
        st = train_slot(m, a, &slots[i], slots[i].layer < L ? shared + at : NULL, params, err);
        if (slots[i].layer < L) shared_bytes += n * sizeof(float);
        at += n;
    }
    if (!st) params->grad_bytes -= shared_bytes - largest * sizeof(float);
    return st;
}

/* ---- training in turns ---- */

/* One tensor of a block, with `grad` for its gradients. */
static enum weft_status train_in_turns(struct weft_model *m, struct weft_arena *a, const struct weft_slot *s, bool low,
                                       float *grad, struct weft_params *params, struct weft_err *err)
{
    size_t n = s->rows * s->cols;
    struct weft_param p = { .name = s->name, .rows = s->rows, .cols = s->cols, .decay = s->kind == WEFT_SLOT_WEIGHT,
                            .layer = s->layer, .grad_at = weft_slot_grad_at(m, s) };
    if (low && s->kind == WEFT_SLOT_WEIGHT) p.w16 = weft_arena_alloc(a, n * sizeof *p.w16);
    else p.w = weft_arena_alloc(a, n * sizeof *p.w);
    if (!p.w && !p.w16) return weft_fail_nomem(err, n * sizeof(float), "trainable weights");
    if (p.w) widen(p.w, s);
    else narrow(p.w16, s);
    weft_model_forget(m, s->w, n * weft_dtype_bytes(s->type));
    weft_slot_set(m, s, p.w ? (const void *)p.w : p.w16, p.w ? WEFT_F32 : WEFT_BF16);
    enum weft_status st = weft_params_add(params, a, &p, err);
    if (st) return st;
    params->items[params->n - 1].grad = *p.grad_at = grad;
    return WEFT_OK;
}

enum weft_status weft_model_train_blocks(struct weft_model *m, struct weft_arena *a, bool whole, bool low,
                                         struct weft_params *params, struct weft_err *err)
{
    struct weft_slot *slots;
    size_t n_slots, L = m->config.n_layers, largest = 0, at = 0;
    float *shared = NULL;
    enum weft_status st = weft_model_slots(m, a, &slots, &n_slots, err);
    if (!st) largest = largest_layer(slots, n_slots, L);
    if (!st && !whole && !(shared = WEFT_NEWS(a, float, largest)))
        st = weft_fail_nomem(err, largest * sizeof(float), "gradients of a layer");
    for (size_t i = 0; !st && i < n_slots; i++) {
        const struct weft_slot *s = &slots[i];
        size_t n = s->rows * s->cols;
        bool table = s->kind == WEFT_SLOT_EMBED || (s->kind == WEFT_SLOT_WEIGHT && s->layer == L);
        if (table || (!whole && s->layer == L)) continue;
        if (i && s->layer != slots[i - 1].layer) at = 0;
        float *grad = whole ? WEFT_NEWS(a, float, n) : shared + at;
        at += n;
        if (!grad) st = weft_fail_nomem(err, n * sizeof(float), "gradients");
        if (!st) st = train_in_turns(m, a, s, low, grad, params, err);
    }
    if (!st) params->grad_bytes += (whole ? params->n_values : largest) * sizeof(float);
    return st;
}

/* ---- freeze training ---- */

/* "self_attn" of "model.layers.3.self_attn.q_proj.weight"; "lm_head" of "lm_head.weight", "norm" of
 * "model.norm.weight". */
static struct weft_str module_of(const struct weft_model *m, const struct weft_slot *s)
{
    struct weft_str name = weft_str_c(s->name);
    int dots = s->layer < m->config.n_layers ? 3 : weft_str_starts(name, WEFT_STR("model.")) ? 1 : 0;
    for (; dots; dots--) name = weft_str_skip(name, weft_str_find(name, WEFT_STR("."), 0) + 1);
    return weft_str_sub(name, 0, weft_str_find(name, WEFT_STR("."), 0));
}

static bool is_among(struct weft_str module, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (weft_str_is(module, names[i]) || !strcmp(names[i], "all")) return true;
    return false;
}

/* Every name must be that of a module: of the layers, or beside them. */
static enum weft_status check_modules(const struct weft_model *m, const struct weft_slot *slots, size_t n_slots,
                                      const char *key, const char *const *names, size_t n, bool in_layers,
                                      struct weft_err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        char shown[120];
        if (in_layers && !strcmp(names[i], "all")) continue;
        while (k < n_slots && ((slots[k].layer < m->config.n_layers) != in_layers
                               || !weft_str_is(module_of(m, &slots[k]), names[i])))
            k++;
        if (k < n_slots) continue;
        if (!in_layers && !strcmp(names[i], "lm_head"))
            return weft_fail(err, WEFT_EARG, "%s: the head of this model is its token table; name embed_tokens", key);
        return weft_fail(err, WEFT_EARG,
                         in_layers ? "%s: layers have no module %s; there are all, self_attn, mlp, input_layernorm and "
                                     "post_attention_layernorm"
                                   : "%s: there is no module %s; there are embed_tokens, norm and lm_head",
                         key, weft_escape(shown, sizeof shown, weft_str_c(names[i])));
    }
    return WEFT_OK;
}

enum weft_status weft_model_train_some(struct weft_model *m, struct weft_arena *a, const struct weft_freeze *f,
                                       struct weft_params *params, struct weft_err *err)
{
    size_t n_slots, L = m->config.n_layers, n = (size_t)(f->layers < 0 ? -(f->layers + 1) : f->layers);
    if (f->layers < 0) n++;                     /* so that INT64_MIN has its magnitude too */
    n = weft_min_size(n, L);
    size_t from = f->layers < 0 ? 0 : L - n, stride = n ? L / n : 1;
    struct weft_slot *slots;
    enum weft_status st = weft_model_slots(m, a, &slots, &n_slots, err);
    if (!st && f->spread && (!n || L % n))
        st = weft_fail(err, WEFT_EARG, "freeze_trainable_layers is %zu and the model has %zu layers; use_llama_pro needs a "
                                       "divisor of that number", n, L);
    if (!st)
        st = check_modules(m, slots, n_slots, "freeze_trainable_modules", f->modules, f->n_modules, true, err);
    if (!st) st = check_modules(m, slots, n_slots, "freeze_extra_modules", f->extra, f->n_extra, false, err);
    for (size_t i = 0; !st && i < n_slots; i++) {
        const struct weft_slot *s = &slots[i];
        struct weft_str module = module_of(m, s);
        bool in = f->spread ? s->layer % stride == stride - 1 : s->layer >= from && s->layer < from + n;
        bool wanted = s->layer == L ? is_among(module, f->extra, f->n_extra)
                                    : in && is_among(module, f->modules, f->n_modules);
        if (wanted) st = train_slot(m, a, s, NULL, params, err);
    }
    return st;
}
