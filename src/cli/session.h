/* cli/session.h - a model that is ready to answer: weights, adapter, tokenizer, chat template, KV cache
 *
 * chat, generate and run open one; a session belongs to one thread.
 */
#ifndef WEFT_CLI_SESSION_H
#define WEFT_CLI_SESSION_H

#include "adapter/lora.h"
#include "cli/cli.h"
#include "model/generate.h"
#include "tokens/chat.h"

/* How to sample; a negative value means: as the model's generation_config.json says, else the built-in default. */
struct weft_sampling {
    double temperature, top_p, min_p, repetition_penalty;
    int64_t top_k, seed, max_new_tokens;
};
#define WEFT_SAMPLING_ROWS(T, field)                                                                                   \
    { .key = "temperature", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.temperature), .def = "-1", .min = -1,  \
      .max = 100, .warn_min = -1, .warn_max = 2, .group = "Sampling", .help = "0: always the likeliest token; -1: the model's own", \
      .help_zh = "0：总取最可能的词；-1：用模型自带的设置", .short_flag = 't' },                                          \
    { .key = "top_p", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.top_p), .def = "-1", .min = -1, .max = 1,    \
      .group = "Sampling", .help = "draw from the likeliest tokens that hold this much probability",                   \
      .help_zh = "只在累计概率达到此值的最可能词中抽取" },                                                               \
    { .key = "top_k", .type = WEFT_OPT_INT, .offset = offsetof(T, field.top_k), .def = "-1", .min = -1, .max = 1e9,    \
      .group = "Sampling", .help = "draw from the k likeliest tokens; 0: all", .help_zh = "只在最可能的 k 个词中抽取；0：全部" }, \
    { .key = "min_p", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.min_p), .def = "0", .min = 0, .max = 1,      \
      .group = "Sampling", .help = "leave out tokens below this share of the likeliest one's probability",             \
      .help_zh = "舍去概率低于最可能词此比例的词" },                                                                     \
    { .key = "repetition_penalty", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.repetition_penalty), .def = "-1", \
      .min = -1, .max = 100, .group = "Sampling", .help = "above 1: tokens already in the text become less likely",    \
      .help_zh = "大于 1 时，已出现过的词概率降低" },                                                                    \
    { .key = "max_new_tokens", .alias = "max_tokens", .type = WEFT_OPT_INT, .offset = offsetof(T, field.max_new_tokens), \
      .def = "256", .min = 1, .max = 1e6, .unit = "tokens", .group = "Sampling", .help = "longest answer",             \
      .help_zh = "回答的最大长度", .short_flag = 'n' },                                                                  \
    { .key = "seed", .type = WEFT_OPT_INT, .offset = offsetof(T, field.seed), .def = "42", .min = 0, .max = 9e15,      \
      .group = "Sampling", .help = "the same seed gives the same answer", .help_zh = "同一种子得到同样的回答" }

struct weft_session_settings {
    const char *model;              /* a MODEL word; not an option */
    const char *adapter;            /* an adapter folder, or a run that holds one; NULL: none */
    int64_t context;                /* tokens of KV cache; 0: what the model was made for, at most 4,096 */
    bool f32;                       /* multiply in f32 */
    bool allow_template_mismatch;
};
#define WEFT_SESSION_ROWS(T, field)                                                                                    \
    { .key = "adapter", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.adapter), .group = "Model",               \
      .help = "adapter folder, or a run that holds one", .help_zh = "适配器目录，或含有适配器的训练目录", .short_flag = 'a' }, \
    { .key = "context", .type = WEFT_OPT_INT, .offset = offsetof(T, field.context), .def = "0", .min = 0, .max = 1 << 24, \
      .unit = "tokens", .group = "Model", .help = "room for prompt and answer; 0: the model's own, at most 4096",      \
      .help_zh = "提示与回答的总长度；0：用模型自身的长度，最多 4096" },                                                 \
    { .key = "f32", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.f32), .group = "Model",                         \
      .help = "multiply in f32 instead of bf16", .help_zh = "用 f32 而不是 bf16 做乘法" },                               \
    { .key = "allow_template_mismatch", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.allow_template_mismatch),   \
      .group = "Model", .help = "use an adapter that was trained with another chat template",                          \
      .help_zh = "允许使用以另一种对话模板训练的适配器" }

struct weft_session {
    struct weft_cli *cli;
    const char *model_dir;
    struct weft_model *model;
    struct weft_tokenizer *tokenizer;
    struct weft_encoder *encoder;
    const struct weft_chat_template *chat;
    struct weft_kv *kv;
    size_t context;
    int32_t stop_ids[64];
    size_t n_stop_ids;
    struct weft_sampling defaults;  /* of generation_config.json */
    bool has_adapter;
    struct weft_guide *guide;       /* keeps the next answers to a form; the caller's; NULL: none */
    bool repeatable;                /* answers that what was asked before cannot colour, not by rounding either */
};

/* Errors are in cli->err. */
WEFT_MUST_USE enum weft_status
weft_session_open(struct weft_session *s, struct weft_cli *cli, const struct weft_session_settings *settings);
void weft_session_close(struct weft_session *s);        /* accepts a zeroed struct */

/* Switches the adapter on or off (base and tuned answers from one set of weights); forgets the KV cache. */
void weft_session_tuned(struct weft_session *s, bool tuned);

/* The answer to a conversation whose last turn is the user's.  out->text is the caller's to clear. */
WEFT_MUST_USE enum weft_status
weft_session_answer(struct weft_session *s, const struct weft_row *row, const struct weft_sampling *sampling,
                    bool (*piece)(void *ctx, struct weft_str text), void *ctx, struct weft_generated *out);
/* The continuation of a text as it is, without template. */
WEFT_MUST_USE enum weft_status
weft_session_continue(struct weft_session *s, struct weft_str text, const struct weft_sampling *sampling,
                      bool (*piece)(void *ctx, struct weft_str text), void *ctx, struct weft_generated *out);

/* The folder that holds adapter_config.json: `path` itself or path/adapter. NULL: neither. */
const char *weft_adapter_folder(struct weft_arena *a, const char *path);

/* Two texts beside each other under two headings, wrapped to the terminal; below each other when it is narrow. */
void weft_print_columns(struct weft_cli *cli, const char *left_head, struct weft_str left,
                        const char *right_head, struct weft_str right);

#endif
