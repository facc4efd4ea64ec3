#include "cli/model_files.h"
#include "cli/session.h"

#include "base/file.h"
#include "model/gguf.h"
#include "tokens/collate.h"

#include <stdlib.h>

enum { DEFAULT_CONTEXT = 4096 };

const char *weft_adapter_folder(struct weft_arena *a, const char *path)
{
    const char *config = weft_path_join(a, path, "adapter_config.json");
    if (config && weft_file_exists(config)) return path;
    const char *under = weft_path_join(a, path, "adapter");
    config = under ? weft_path_join(a, under, "adapter_config.json") : NULL;
    return config && weft_file_exists(config) ? under : NULL;
}

/* Serving defaults; a file that is absent changes nothing, one that is damaged is an error. */
static enum weft_status read_generation_config(struct weft_session *s)
{
    struct weft_arena *a = &s->cli->arena;
    struct weft_err *err = &s->cli->err;
    const char *path = weft_path_join(a, s->model_dir, "generation_config.json");
    struct weft_str text;
    struct weft_json_value v;
    s->defaults = (struct weft_sampling){ .temperature = 0.8, .top_p = 0.9, .top_k = 0, .repetition_penalty = 1 };
    if (!path || !weft_file_exists(path)) return WEFT_OK;
    enum weft_status st = weft_file_read(a, path, 1u << 20, &text, err);
    if (!st) st = weft_json_parse(a, path, text, &v, err);
    if (st) return st;
    const struct {
        const char *key;
        double *to;
    } doubles[] = { { "temperature", &s->defaults.temperature },
                    { "top_p", &s->defaults.top_p },
                    { "repetition_penalty", &s->defaults.repetition_penalty } };
    for (size_t i = 0; i < WEFT_COUNT(doubles); i++) {
        const struct weft_json_value *m = weft_json_get(&v, doubles[i].key);
        if (m && m->kind == WEFT_JSON_NUMBER) *doubles[i].to = m->number;
    }
    const struct weft_json_value *k = weft_json_get(&v, "top_k"), *sampled = weft_json_get(&v, "do_sample");
    if (k && k->is_int) s->defaults.top_k = k->integer;
    if (sampled && sampled->kind == WEFT_JSON_BOOL && !sampled->boolean) s->defaults.temperature = 0;
    return WEFT_OK;
}

/* An adapter may bring the template it was trained with; otherwise the model's counts. */
static enum weft_status load_template(struct weft_session *s, const char *adapter)
{
    struct weft_str source = weft_tokenizer_chat_template(s->tokenizer), own = { 0 };
    const char *dir = adapter && adapter[0] ? weft_adapter_folder(&s->cli->arena, adapter) : NULL;
    enum weft_status st = dir ? weft_read_template(s->cli, dir, &own) : WEFT_OK;
    if (st) return st;
    if (own.s) source = own;
    if (!source.s) {
        weft_warn(s->cli, "%s brings no chat template; ChatML (<|im_start|>role ... <|im_end|>) is used", s->model_dir);
        source = weft_str_c(weft_chat_chatml);
    }
    return weft_chat_parse(&s->cli->arena, "chat_template", source, &s->chat, &s->cli->err);
}

static enum weft_status load_adapter(struct weft_session *s, const struct weft_session_settings *settings)
{
    struct weft_arena *a = &s->cli->arena;
    struct weft_err *err = &s->cli->err;
    struct weft_lora_info info = { 0 };
    if (!settings->adapter || !settings->adapter[0]) return WEFT_OK;
    const char *dir = weft_adapter_folder(a, settings->adapter);
    if (!dir)
        return weft_fail(err, WEFT_EARG,
                         "%s holds no adapter: expected adapter_config.json in it or in its folder adapter/",
                         settings->adapter);
    enum weft_status st = weft_lora_load(a, s->model, dir, NULL, &info, err);
    if (!st) st = weft_model_stretch(s->model, info.rope, info.rope_length, err);
    if (st) return st;
    s->has_adapter = true;
    if (info.template_sha256 && strcmp(info.template_sha256, weft_chat_fingerprint(s->chat)) != 0 &&
        !settings->allow_template_mismatch)
        return weft_fail(
            err, WEFT_EINPUT,
            "%s was trained with another chat template (%.12s...) than %s brings (%.12s...); answers would be "
            "wrong. Use the model it was trained on, or --allow_template_mismatch",
            dir, info.template_sha256, s->model_dir, weft_chat_fingerprint(s->chat));
    return WEFT_OK;
}

enum weft_status weft_session_open(struct weft_session *s, struct weft_cli *cli,
                                   const struct weft_session_settings *settings)
{
    struct weft_err *err = &cli->err;
    *s = (struct weft_session){ .cli = cli };
    enum weft_status st = weft_cli_model_path(cli, settings->model, &s->model_dir);
    if (!st) st = weft_model_tokenizer(&s->tokenizer, s->model_dir, err);
    if (!st) st = weft_encoder_new(&s->encoder, s->tokenizer, err);
    if (!st) st = load_template(s, settings->adapter);
    if (!st) {
        struct weft_model_settings m = { .exact = settings->f32, .max_positions = (size_t)settings->context };
        st = weft_model_load(&s->model, s->model_dir, &m, err);
    }
    if (!st) weft_warn_model(cli, s->model_dir, s->model, s->tokenizer);
    if (!st && weft_tokenizer_vocab_size(s->tokenizer) > s->model->config.vocab_size)
        st = weft_fail_rule(err, WEFT_EINPUT, "TK8",
                            "%s: the tokenizer has %zu tokens, the model only %zu rows", s->model_dir,
                            weft_tokenizer_vocab_size(s->tokenizer), s->model->config.vocab_size);
    if (!st) st = load_adapter(s, settings);
    if (!st) st = read_generation_config(s);
    if (!st)
        st = weft_stop_ids(s->model_dir, &s->model->config, s->tokenizer, s->chat, s->stop_ids,
                           WEFT_COUNT(s->stop_ids), &s->n_stop_ids, err);
    if (!st) {
        s->context = settings->context ? (size_t)settings->context
                                       : weft_min_size(s->model->config.max_position_embeddings, DEFAULT_CONTEXT);
        st = weft_kv_new(&s->kv, &cli->compute, s->model, s->context, 0, err);
    }
    return st;
}

void weft_session_close(struct weft_session *s)
{
    weft_kv_free(s->kv);
    weft_model_free(s->model);
    weft_encoder_free(s->encoder);
    weft_tokenizer_free(s->tokenizer);
    *s = (struct weft_session){ 0 };
}

void weft_session_tuned(struct weft_session *s, bool tuned)
{
    weft_lora_enable(s->model, tuned);
    weft_kv_truncate(s->kv, 0);
}

/* ids: of the prompt; cleared here. */
static enum weft_status generate(struct weft_session *s, enum weft_status st, struct weft_ids *ids,
                                 const struct weft_sampling *want,
                                 bool (*piece)(void *ctx, struct weft_str text), void *ctx,
                                 struct weft_generated *out)
{
    struct weft_err *err = &s->cli->err;
    const struct weft_sampling *own = &s->defaults;
    struct weft_generate_settings g = {
        .sample = { .temperature = want->temperature < 0 ? own->temperature : want->temperature,
                    .top_k = want->top_k < 0 ? own->top_k : want->top_k,
                    .top_p = want->top_p < 0 ? own->top_p : want->top_p,
                    .min_p = want->min_p,
                    .repetition_penalty =
                        want->repetition_penalty < 0 ? own->repetition_penalty : want->repetition_penalty,
                    .seed = (uint64_t)want->seed },
        .max_new_tokens = (size_t)want->max_new_tokens,
        .stop_ids = s->stop_ids,
        .n_stop_ids = s->n_stop_ids,
        .skip_special = true,
        .repeatable = s->repeatable,
        .guide = s->guide,
    };
    if (!st && ids->n + 1 > s->context)
        st = weft_fail(
            err, WEFT_ELIMIT,
            "the conversation is %zu tokens long, the context holds %zu; start anew or raise --context",
            ids->n, s->context);
    if (!st && !ids->n) st = weft_fail(err, WEFT_EARG, "the prompt is empty: there is nothing to continue");
    if (!st) {
        g.max_new_tokens = weft_min_size(g.max_new_tokens, s->context - ids->n);
        st = weft_generate(s->kv, s->tokenizer, ids->ids, ids->n, &g, piece, ctx, out, err);
    }
    weft_ids_clear(ids);
    return st;
}

enum weft_status weft_session_answer(struct weft_session *s, const struct weft_row *row,
                                     const struct weft_sampling *sampling,
                                     bool (*piece)(void *ctx, struct weft_str text), void *ctx,
                                     struct weft_generated *out)
{
    struct weft_arena scratch = { 0 };
    struct weft_chat_text text;
    struct weft_ids ids = { 0 };
    const struct weft_tokenizer *t = s->tokenizer;
    struct weft_chat_settings chat = {
        .add_generation_prompt = true,
        .bos_token = weft_tokenizer_content(t, weft_tokenizer_special(t, WEFT_BOS)),
        .eos_token = weft_tokenizer_content(t, weft_tokenizer_special(t, WEFT_EOS)),
        .pad_token = weft_tokenizer_content(t, weft_tokenizer_special(t, WEFT_PAD)),
        .unk_token = weft_tokenizer_content(t, weft_tokenizer_special(t, WEFT_UNK)),
    };
    enum weft_status st = weft_chat_render_row(&scratch, s->chat, row, &chat, &text, &s->cli->err);
    if (!st) st = weft_collate_prompt(s->encoder, &text, &ids, &s->cli->err);
    st = generate(s, st, &ids, sampling, piece, ctx, out);
    weft_arena_clear(&scratch);
    return st;
}

enum weft_status weft_session_continue(struct weft_session *s, struct weft_str text,
                                       const struct weft_sampling *sampling,
                                       bool (*piece)(void *ctx, struct weft_str text), void *ctx,
                                       struct weft_generated *out)
{
    struct weft_ids ids = { 0 };
    enum weft_status st = weft_encode(s->encoder, text, WEFT_ENCODE_SPECIALS | WEFT_ENCODE_ADD, &ids, &s->cli->err);
    return generate(s, st, &ids, sampling, piece, ctx, out);
}
