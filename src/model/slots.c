#include "model/slots.h"

#include "kernels/quant.h"

#include <math.h>
#include <stdlib.h>

/* Parts of a layer in file order: linears first, as the reference registers its modules. */
enum { Q, K, V, O, GATE, UP, DOWN, INPUT_NORM, POST_NORM, Q_NORM, K_NORM, EMBED, NORM, HEAD };

static struct weft_linear *layer_linear(struct weft_layer *l, int part)
{
    struct weft_linear *const all[WEFT_LINEARS_PER_LAYER] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };
    return all[part];
}

static struct weft_norm *layer_norm(struct weft_layer *l, int part)
{
    return part == INPUT_NORM  ? &l->input_norm
           : part == POST_NORM ? &l->post_norm
           : part == Q_NORM    ? &l->q_norm
                               : &l->k_norm;
}

size_t weft_model_n_linears(const struct weft_model *m) { return m->config.n_layers * WEFT_LINEARS_PER_LAYER; }

struct weft_linear *weft_model_linear(struct weft_model *m, size_t i)
{
    return layer_linear(&m->layers[i / WEFT_LINEARS_PER_LAYER], (int)(i % WEFT_LINEARS_PER_LAYER));
}

/* ---- an empty model ---- */

static const char *layer_name(struct weft_arena *a, size_t layer, const char *part)
{
    return weft_str_printf(a, "model.layers.%zu.%s", layer, part).s;
}

enum weft_status weft_model_new(struct weft_model **out, const struct weft_config *config, struct weft_err *err)
{
    *out = NULL;
    struct weft_model *m = calloc(1, sizeof *m);
    if (!m) return weft_fail_nomem(err, sizeof *m, "a model");
    struct weft_arena *a = &m->arena;
    size_t D = config->hidden_size, F = config->intermediate_size, n_q = config->n_heads * config->head_dim;
    size_t n_kv = config->n_kv_heads * config->head_dim;
    bool named = true;

    m->config = *config;
    if (config->unknown_keys)
        m->config.unknown_keys = weft_arena_strndup(a, config->unknown_keys, strlen(config->unknown_keys));
    m->layers = WEFT_NEWS(a, struct weft_layer, config->n_layers);
    for (size_t i = 0; m->layers && i < config->n_layers && named; i++) {
        struct weft_layer *l = &m->layers[i];
        *l = (struct weft_layer){
            .input_norm = { .name = layer_name(a, i, "input_layernorm") },
            .post_norm = { .name = layer_name(a, i, "post_attention_layernorm") },
            .q_norm = { .name = layer_name(a, i, "self_attn.q_norm") },
            .k_norm = { .name = layer_name(a, i, "self_attn.k_norm") },
            .q = { .name = layer_name(a, i, "self_attn.q_proj"), .n_in = D, .n_out = n_q },
            .k = { .name = layer_name(a, i, "self_attn.k_proj"), .n_in = D, .n_out = n_kv },
            .v = { .name = layer_name(a, i, "self_attn.v_proj"), .n_in = D, .n_out = n_kv },
            .o = { .name = layer_name(a, i, "self_attn.o_proj"), .n_in = n_q, .n_out = D },
            .gate = { .name = layer_name(a, i, "mlp.gate_proj"), .n_in = D, .n_out = F },
            .up = { .name = layer_name(a, i, "mlp.up_proj"), .n_in = D, .n_out = F },
            .down = { .name = layer_name(a, i, "mlp.down_proj"), .n_in = F, .n_out = D },
        };
        named = l->down.name != NULL;   /* the last asked for: an arena that is full stays full */
    }
    if (!m->layers || !named) {
        weft_arena_clear(a);
        free(m);
        return weft_fail_nomem(err, config->n_layers * sizeof *m->layers, "a model");
    }
    m->norm.name = "model.norm";
    m->head = (struct weft_linear){ .name = "lm_head", .n_in = D, .n_out = config->vocab_size };
    *out = m;
    return WEFT_OK;
}

/* ---- the list ---- */

struct list {
    struct weft_slot *items;
    size_t n;
    struct weft_arena *a;
    bool failed;
};

static void add(struct list *list, struct weft_slot s, const char *module, const char *suffix)
{
    s.name = weft_str_printf(list->a, "%s%s", module, suffix).s;
    if (!s.name) list->failed = true;
    list->items[list->n++] = s;
}

static void add_norm(struct list *list, const struct weft_norm *norm, size_t d, size_t layer, int part)
{
    add(list,
        (struct weft_slot){
            .kind = WEFT_SLOT_NORM, .rows = 1, .cols = d, .w = norm->w, .layer = layer, .part = part },
        norm->name, ".weight");
}

static void add_linear(struct list *list, const struct weft_linear *l, bool bias, size_t layer, int part)
{
    add(list, (struct weft_slot){ .kind = WEFT_SLOT_WEIGHT, .rows = l->n_out, .cols = l->n_in, .w = l->w,
        .type = l->type,
                                  .branch = l->branch, .layer = layer, .part = part }, l->name, ".weight");
    if (bias)
        add(list, (struct weft_slot){ .kind = WEFT_SLOT_BIAS, .rows = 1, .cols = l->n_out, .w = l->bias, .layer = layer,
                                      .part = part }, l->name, ".bias");
}

enum weft_status weft_model_slots(const struct weft_model *m, struct weft_arena *a, struct weft_slot **out, size_t *n,
                                  struct weft_err *err)
{
    const struct weft_config *c = &m->config;
    size_t cap = c->n_layers * 18 + 3, L = c->n_layers;
    struct list list = { .items = WEFT_NEWS(a, struct weft_slot, cap), .a = a };

    if (!list.items) return weft_fail_nomem(err, cap * sizeof *list.items, "the list of tensors");
    add(&list,
        (struct weft_slot){ .kind = WEFT_SLOT_EMBED,
                            .rows = c->vocab_size,
                            .cols = c->hidden_size,
                            .w = m->embed,
                            .type = m->embed_type,
                            .layer = L,
                            .part = EMBED },
        "model.embed_tokens", ".weight");
    for (size_t i = 0; i < L; i++) {
        const struct weft_layer *l = &m->layers[i];
        add_linear(&list, &l->q, c->qkv_bias, i, Q);
        add_linear(&list, &l->k, c->qkv_bias, i, K);
        add_linear(&list, &l->v, c->qkv_bias, i, V);
        add_linear(&list, &l->o, c->o_bias, i, O);
        if (c->qk_norm) {
            add_norm(&list, &l->q_norm, c->head_dim, i, Q_NORM);
            add_norm(&list, &l->k_norm, c->head_dim, i, K_NORM);
        }
        add_linear(&list, &l->gate, c->mlp_bias, i, GATE);
        add_linear(&list, &l->up, c->mlp_bias, i, UP);
        add_linear(&list, &l->down, c->mlp_bias, i, DOWN);
        add_norm(&list, &l->input_norm, c->hidden_size, i, INPUT_NORM);
        add_norm(&list, &l->post_norm, c->hidden_size, i, POST_NORM);
    }
    add_norm(&list, &m->norm, c->hidden_size, L, NORM);
    if (!weft_model_tied(m)) add_linear(&list, &m->head, false, L, HEAD);
    if (list.failed) return weft_fail_nomem(err, 256, "the list of tensors");
    for (size_t i = 0; m->drawn && i < list.n; i++) {
        struct weft_slot *s = &list.items[i];
        s->drawn = true;
        s->sd = c->initializer_range;
        s->seed = m->seed;
        s->stream = (uint32_t)i;
    }
    *out = list.items;
    *n = list.n;
    return WEFT_OK;
}

void weft_slot_set(struct weft_model *m, const struct weft_slot *s, const void *w, enum weft_dtype type)
{
    struct weft_linear *l;
    switch (s->kind) {
    case WEFT_SLOT_EMBED:
        m->embed = w;
        m->embed_type = type;
        if (weft_model_tied(m)) {
            m->head.w = w;
            m->head.type = type;
        }
        return;
    case WEFT_SLOT_NORM:
        *(s->part == NORM ? &m->norm.w : &layer_norm(&m->layers[s->layer], s->part)->w) = w;
        return;
    case WEFT_SLOT_WEIGHT:
    case WEFT_SLOT_BIAS:
        l = s->part == HEAD ? &m->head : layer_linear(&m->layers[s->layer], s->part);
        if (s->kind == WEFT_SLOT_BIAS) {
            l->bias = w;
        } else {
            l->w = w;
            l->type = type;
        }
    }
}

float **weft_slot_grad_at(struct weft_model *m, const struct weft_slot *s)
{
    if (s->kind == WEFT_SLOT_EMBED) return &m->dembed;
    if (s->kind == WEFT_SLOT_NORM)
        return s->part == NORM ? &m->norm.dw : &layer_norm(&m->layers[s->layer], s->part)->dw;
    struct weft_linear *l = s->part == HEAD ? &m->head : layer_linear(&m->layers[s->layer], s->part);
    return s->kind == WEFT_SLOT_BIAS ? &l->dbias : &l->dw;
}

void weft_slot_set_grad(struct weft_model *m, const struct weft_slot *s, float *grad)
{
    *weft_slot_grad_at(m, s) = grad;
    if (s->kind == WEFT_SLOT_EMBED && weft_model_tied(m)) m->head.dw = grad;
}

/* DoRA: the row gets length m. */
static void stretch(float *row, size_t n, float m)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)row[i] * (double)row[i];
    float k = sum > 0 ? (float)((double)m / sqrt(sum)) : 0;
    for (size_t i = 0; i < n; i++) row[i] *= k;
}

void weft_draw_normals(float *out, size_t first, size_t n, float sd, uint64_t seed, uint32_t stream)
{
    struct weft_rng key;
    weft_rng_init(&key, seed, WEFT_RNG_INIT, stream);
    for (size_t at = first / 4 * 4; at < first + n; at += 4) {
        uint32_t counter[4] = { (uint32_t)(at / 4), (uint32_t)((uint64_t)at / 4 >> 32), key.stream[0],
                                key.stream[1] },
                 word[4];
        float z[4];
        weft_philox(key.key[0], key.key[1], counter, word);
        for (int i = 0; i < 4; i += 2) {        /* two words make two normals (Box-Muller) */
            float r = sd * sqrtf(-2 * logf(((float)(word[i] >> 8) + 0.5f) * 0x1p-24f));
            float angle = (float)(word[i + 1] >> 8) * (6.2831853f * 0x1p-24f);
            z[i] = r * cosf(angle);
            z[i + 1] = r * sinf(angle);
        }
        for (size_t i = at < first ? first - at : 0; i < 4 && at + i < first + n; i++) out[at + i - first] = z[i];
    }
}

/* As fresh weights are: matrices normal, norms 1, biases 0. */
static void draw(const struct weft_slot *s, size_t first, size_t n, float *out)
{
    bool matrix = s->kind == WEFT_SLOT_EMBED || s->kind == WEFT_SLOT_WEIGHT;
    if (matrix) weft_draw_normals(out, first, n, s->sd, s->seed, s->stream);
    else for (size_t i = 0; i < n; i++) out[i] = s->kind == WEFT_SLOT_NORM;
}

void weft_slot_rows(struct weft_compute *c, const struct weft_slot *s, bool merge, size_t row, size_t rows, float *out)
{
    const struct weft_branch *b = merge && s->branch && s->branch->enabled ? s->branch : NULL;
    size_t n = rows * s->cols;
    if (s->drawn) draw(s, row * s->cols, n, out);
    else if (s->type == WEFT_QUANT) weft_dequantise(c, out, WEFT_F32, s->w, row, rows);
    else weft_to_f32(c, out, (const char *)s->w + row * s->cols * weft_dtype_bytes(s->type), s->type, n);
    if (!b) return;
    weft_gemm(c, &(struct weft_gemm){ .m = rows, .n = s->cols, .k = b->rank, .a = b->b + row * b->rank, .lda = b->rank,
                                      .b = b->a, .ldb = s->cols, .c = out, .ldc = s->cols, .accumulate = true,
                                      .exact = true, .alpha = b->scale });
    for (size_t i = 0; b->dora && i < rows; i++) stretch(out + i * s->cols, s->cols, b->dora->m[row + i]);
}
