/* cli/data_ask.h - asking a model, as `weft data ask`, `weft data augment` and the recipes of `weft run` share it */
#ifndef WEFT_CLI_DATA_ASK_H
#define WEFT_CLI_DATA_ASK_H

#include "base/hash.h"
#include "cli/data.h"
#include "cli/session.h"
#include "dataset/ask.h"
#include "dataset/ask_http.h"
#include "dataset/chunk.h"

/* Who is asked, by which prompt, and within which limits. */
struct weft_ask_options {
    const char *task, *prompt;
    int lang;                           /* 0: by the text, else enum weft_prompt_lang + 1 */
    struct weft_ask_settings ask;
    const char *endpoint, *preset, *key_env, *local, *adapter;
    bool offline, whole;
    const char *proxy, *ca_file;
    const char *ledger;
    const char *project;                /* of the store, for the record; NULL: "default" */
    double first_byte_s, gap_s, call_s; /* deadlines */
    int64_t retry_ms;
};
#define WEFT_ASK_LANG_CHOICES "auto|zh|en"
/* Rows of a table over a struct T that holds struct weft_ask_options as `field`; "model" is not among them, since
 * training has a key for its own. */
#define WEFT_ASK_OPTION_ROWS(T, field)                                                                                 \
    { .key = "prompt", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.prompt), .group = "Asking",                \
      .help = "a prompt file instead of the built-in one", .help_zh = "提示词文件，代替内置的提示词" },                   \
    { .key = "prompt_lang", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, field.lang), .def = "auto",                 \
      .choices = WEFT_ASK_LANG_CHOICES, .group = "Asking", .help = "language of the built-in prompt; auto: that of the text", \
      .help_zh = "内置提示词的语言；auto 按文本" },                                                                      \
    { .key = "endpoint", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.endpoint), .group = "Asking",            \
      .help = "base URL of an OpenAI-compatible service: http://localhost:8000/v1",                                    \
      .help_zh = "OpenAI 兼容服务的地址，如 http://localhost:8000/v1" },                                                \
    { .key = "preset", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.preset), .group = "Asking",                \
      .help = "a well-known service: openai, deepseek, siliconflow, moonshot, dashscope, zhipu, openrouter, ollama, vllm, lmstudio", \
      .help_zh = "常用服务：openai、deepseek、siliconflow、moonshot、dashscope、zhipu、openrouter、ollama、vllm、lmstudio" }, \
    { .key = "key_env", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.key_env), .group = "Asking",              \
      .help = "environment variable that holds the key (default: the preset's, else WEFT_API_KEY)",                    \
      .help_zh = "存放密钥的环境变量（默认用预设的，否则为 WEFT_API_KEY）" },                                            \
    { .key = "local", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.local), .group = "Asking",                  \
      .help = "ask this model of weft instead of a service", .help_zh = "改由 weft 的这个本地模型回答" },                 \
    { .key = "local_adapter", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.adapter), .group = "Asking",        \
      .help = "adapter of the local model", .help_zh = "本地模型的适配器" },                                             \
    { .key = "offline", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.offline), .group = "Asking",                \
      .help = "no model: the task's rule, marked in each row", .help_zh = "不用模型：按任务的规则生成，每行都有标注" },     \
    { .key = "whole", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.whole), .group = "Asking",                    \
      .help = "do not ask for streamed replies", .help_zh = "不要求流式回复" },                                          \
    { .key = "first_byte_timeout", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.first_byte_s), .def = "120",    \
      .min = 0.1, .max = 86400, .unit = "seconds", .group = "Asking", .help = "until a reply begins; slow local models need more", \
      .help_zh = "等待回复开始的时间；慢的本地模型可调大" },                                                             \
    { .key = "gap_timeout", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.gap_s), .def = "60", .min = 0.1,       \
      .max = 86400, .unit = "seconds", .group = "Asking", .help = "silence within a reply", .help_zh = "回复中途停顿的上限" }, \
    { .key = "call_timeout", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.call_s), .def = "600", .min = 0.1,    \
      .max = 86400, .unit = "seconds", .group = "Asking", .help = "a whole request", .help_zh = "一次请求的总时限" },      \
    { .key = "retry_ms", .type = WEFT_OPT_INT, .offset = offsetof(T, field.retry_ms), .def = "1000", .min = 1,         \
      .max = 600000, .unit = "ms", .group = "Asking", .help = "shortest pause before another try",                     \
      .help_zh = "再次尝试之前的最短等待" },                                                                            \
    { .key = "proxy", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.proxy), .group = "Asking",                  \
      .help = "http://host:port or socks5h://host:port", .help_zh = "代理：http://主机:端口 或 socks5h://主机:端口" },     \
    { .key = "ca_file", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.ca_file), .group = "Asking",              \
      .help = "certificates to trust instead of the system's", .help_zh = "用来代替系统证书的证书文件" },                  \
    { .key = "ask_temperature", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.ask.temperature), .def = "-1",     \
      .min = -1, .max = 2, .group = "Asking", .help = "-1: the prompt's", .help_zh = "-1：用提示词里的设置" },            \
    { .key = "ask_max_tokens", .type = WEFT_OPT_INT, .offset = offsetof(T, field.ask.max_tokens), .def = "0",          \
      .max = 1e6, .unit = "tokens", .group = "Asking", .help = "longest reply; 0: the prompt's", .help_zh = "回复的最大长度；0 用提示词里的设置" }, \
    { .key = "ask_seed", .type = WEFT_OPT_INT, .offset = offsetof(T, field.ask.seed), .def = "-1", .min = -1,          \
      .max = 2147483647, .group = "Asking", .help = "sent with each request; -1: none", .help_zh = "随请求发送的种子；-1 为不发送" }, \
    { .key = "concurrency", .type = WEFT_OPT_INT, .offset = offsetof(T, field.ask.concurrency), .def = "16", .min = 1, \
      .max = 1000, .group = "Asking", .help = "requests in flight at most", .help_zh = "同时在途的请求数上限" },           \
    { .key = "limit", .type = WEFT_OPT_INT, .offset = offsetof(T, field.ask.limit), .def = "0", .max = 1e12,           \
      .group = "Limits", .help = "try the first so many only, and estimate the rest; 0: all",                          \
      .help_zh = "只试前面这么多条，并估计其余的费用；0 为全部" },                                                        \
    { .key = "max_calls", .type = WEFT_OPT_INT, .offset = offsetof(T, field.ask.max_calls), .def = "0", .max = 1e12,   \
      .group = "Limits", .help = "requests sent in this run at most; 0: any number", .help_zh = "本次最多发送的请求数；0 为不限" }, \
    { .key = "max_cost", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.ask.max_cost), .def = "0", .max = 1e9,    \
      .group = "Limits", .help = "money spent in this run at most, by the prices given; 0: any",                       \
      .help_zh = "本次最多花费（按所给单价）；0 为不限" },                                                               \
    { .key = "price_in", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.ask.price_in), .def = "0", .max = 1e6,    \
      .group = "Limits", .help = "price of a million tokens asked", .help_zh = "每百万输入词元的价格" },                   \
    { .key = "price_out", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.ask.price_out), .def = "0", .max = 1e6,  \
      .group = "Limits", .help = "price of a million tokens answered", .help_zh = "每百万输出词元的价格" },                \
    { .key = "again", .type = WEFT_OPT_BOOL, .offset = offsetof(T, field.ask.again), .group = "Limits",                \
      .help = "ask again what came back empty or refused", .help_zh = "重新询问曾得到空回复或被拒绝的" },                  \
    { .key = "ledger", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.ledger), .group = "Limits",                \
      .help = "file of all answers, never asked for twice (default: the output's name and .calls)",                    \
      .help_zh = "记录全部回答的账本，问过的不会再问（默认为输出文件名加 .calls）" },                                      \
    { .key = "ask_instruction", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.ask.instruction), .group = "Rows", \
      .help = "instruction of the rows (summarise); default: the prompt's", .help_zh = "数据行的指令（summarise）；默认用提示词里的" }, \
    { .key = "max_chars", .type = WEFT_OPT_INT, .offset = offsetof(T, field.ask.max_chars), .def = "0", .max = 1e6,    \
      .unit = "characters", .group = "Rows", .help = "longest answer, punctuation included; 0: the prompt's",          \
      .help_zh = "回答的最大字数（含标点）；0 用提示词里的设置" },                                                        \
    { .key = "pairs", .type = WEFT_OPT_INT, .offset = offsetof(T, field.ask.pairs), .def = "0", .max = 100,            \
      .group = "Rows", .help = "rows to ask for at once; 0: the prompt's", .help_zh = "每次请求生成的行数；0 用提示词里的设置" }

/* All that a run of asking has; filled by _open and given back by _close. */
struct weft_asking {
    struct weft_cli *cli;
    const struct weft_ask_options *o;
    struct weft_ask_settings s;         /* o->ask with the model's name */
    struct weft_prompt prompt;
    struct weft_ledger *ledger;
    const char *ledger_path, *output;   /* output: set by the caller, for the record; NULL: none */
    struct weft_ledger_found found;
    struct weft_ask_transport transport;
    struct weft_ask_http *http;
    struct weft_ask_local *local;
    uint64_t ms;                        /* how long asking took */
    struct weft_store_call *calls;      /* behind the answers, in the arena of cli */
    size_t n_calls, cap_calls;
};

/* The prompt alone: file, or built-in in the language of `sample`. */
WEFT_MUST_USE enum weft_status weft_asking_prompt(struct weft_cli *cli, const char *task, const char *file, int lang,
                                                  struct weft_str sample, struct weft_prompt *out);
/* Prompt, ledger, and the one who answers.  `model`: the name sent to the service (NULL: by preset an error).  With
 * o->offline neither ledger nor model is opened.  `default_ledger` stands in where the options name none. */
WEFT_MUST_USE enum weft_status weft_asking_open(struct weft_asking *k, struct weft_cli *cli,
                                                const struct weft_ask_options *o, const char *model,
                                                const char *default_ledger, struct weft_str sample);
/* Asks about all units, or applies the rule; results [n] in the arena.  What was asked of a model is recorded in the
 * store. */
WEFT_MUST_USE enum weft_status weft_asking_run(struct weft_asking *k, const struct weft_ask_unit *units, size_t n,
                                               struct weft_ask_result **results, struct weft_ask_report *report);
void weft_asking_close(struct weft_asking *k);  /* accepts a zeroed struct */

/* The funnel and the bill, for people; and as members of an open object. */
void weft_asking_show(const struct weft_asking *k, const struct weft_ask_report *r);
void weft_asking_members(struct weft_json_out *o, const struct weft_asking *k, const struct weft_ask_report *r);
/* What the units that were left would take, measured on those that were asked. */
void weft_asking_show_rest(const struct weft_asking *k, const struct weft_ask_report *r);

/* One JSON line for each unit that gave no row: id, state, problem, reply, place.  No such unit: no file. */
WEFT_MUST_USE enum weft_status weft_asking_doubtful(struct weft_cli *cli, const char *path,
                                                    const struct weft_ask_unit *units, size_t n,
                                                    const struct weft_ask_result *results);
/* WEFT_EPARTIAL when units were flagged, empty, refused or failed. */
enum weft_status weft_asking_verdict(const struct weft_asking *k, const struct weft_ask_result *results,
                                     const struct weft_ask_report *r);
/* WEFT_EREMOTE, naming the service and the reason, when it answered nothing that it was asked; else WEFT_OK. */
WEFT_MUST_USE enum weft_status weft_asking_unanswered(const struct weft_asking *k,
                                                      const struct weft_ask_result *results,
                                                      const struct weft_ask_report *r);

/* Rows of files: texts are cut into chunks, files of rows are read as such. */
WEFT_MUST_USE enum weft_status weft_asking_input(struct weft_cli *cli, const struct weft_str_list *files,
                                                 const struct weft_text_settings *text,
                                                 const struct weft_chunk_settings *chunk,
                                                 const struct weft_data_input *input, struct weft_rows *rows,
                                                 struct weft_report *report);

/* A model of weft as the one who answers (cli/data_ask_local.c). */
struct weft_ask_local;
WEFT_MUST_USE enum weft_status weft_ask_local_new(struct weft_ask_local **out, struct weft_cli *cli, const char *model,
                                                  const char *adapter, struct weft_ask_transport *transport);
void weft_ask_local_free(struct weft_ask_local *l);     /* accepts NULL */
/* A sink that adds tokens and their rate to each note and hands it on to the terminal. */
const struct weft_progress *weft_ask_local_progress(const struct weft_ask_local *l);

/* Of all replies so far. */
struct weft_ask_local_rates {
    uint64_t prefilled, prompt_ns;  /* prompt tokens that were computed, not found in the cache; time */
    uint64_t completion_tokens;
    uint64_t decoded, decode_ns;    /* without the first token of each reply, which comes with the prompt */
};
const struct weft_ask_local_rates *weft_ask_local_rates(const struct weft_ask_local *l);

/* SHA-256 of the files that decide what a model with its adapter (may be NULL) answers. */
WEFT_MUST_USE enum weft_status weft_ask_local_fingerprint(struct weft_cli *cli, const char *model, const char *adapter,
                                                          char hex[WEFT_SHA256_HEX]);

#endif
