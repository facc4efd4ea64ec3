/* cli/run_ask.h - the dataset stage of the recipes that ask: novelist (novel -> chunks -> summaries -> rows) and qa
 * (documents -> chunks -> questions and answers) */
#ifndef WEFT_CLI_RUN_ASK_H
#define WEFT_CLI_RUN_ASK_H

#include "cli/data_ask.h"
#include "cli/road.h"

struct weft_road_ask {
    struct weft_str_list novel, documents;      /* one of them makes the recipe */
    int64_t chunk_max;
    const char *model;                          /* name at the service */
    struct weft_ask_options ask;
};
#define WEFT_ROAD_ASK_ROWS(T, field)                                                                                   \
    { .key = "novel", .type = WEFT_OPT_LIST, .offset = offsetof(T, field.novel), .group = "Novel and documents",       \
      .help = "novels to build the dataset from: summaries in, passages out", .help_zh = "用来构建数据集的小说：输入梗概，输出正文" }, \
    { .key = "documents", .type = WEFT_OPT_LIST, .offset = offsetof(T, field.documents), .group = "Novel and documents", \
      .help = "documents to build the dataset from: questions and answers", .help_zh = "用来构建问答数据集的文档" },       \
    { .key = "chunk_max", .type = WEFT_OPT_INT, .offset = offsetof(T, field.chunk_max), .def = "800", .min = 8,        \
      .max = 1e6, .unit = "characters", .group = "Novel and documents", .help = "no passage has more",                 \
      .help_zh = "每段的字数上限" },                                                                                     \
    { .key = "ask_model", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.model), .group = "Asking",              \
      .help = "name of the model at the service", .help_zh = "服务上的模型名" },                                         \
    WEFT_ASK_OPTION_ROWS(T, field.ask)

/* Does the recipe ask?  Settles the task. */
bool weft_road_asks(struct weft_road_ask *r);
/* Everything the rows depend on. */
WEFT_MUST_USE enum weft_status weft_road_ask_key(struct weft_cli *cli, const struct weft_road_ask *r,
                                                 struct weft_stage_key *k);
/* Writes chunks.jsonl and, where something gave no row, doubtful.jsonl into `dir`; answers are kept in `ledger`.  The
 * rows and the report as JSON members.  WEFT_EPARTIAL when units failed or were left: another run goes on. */
WEFT_MUST_USE enum weft_status weft_road_ask_rows(struct weft_cli *cli, const struct weft_road_ask *r,
                                                  const struct weft_text_settings *text, const char *dir,
                                                  const char *ledger, struct weft_rows *rows,
                                                  struct weft_json_out *report);

#endif
