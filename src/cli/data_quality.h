/* cli/data_quality.h - the thresholds of quality as options, and how signs and reasons are shown */
#ifndef WEFT_CLI_DATA_QUALITY_H
#define WEFT_CLI_DATA_QUALITY_H

#include "cli/data.h"
#include "dataset/quality.h"
#include "dataset/row_text.h"

struct weft_data_quality {
    struct weft_quality_settings s;
    const char *examples;
};
#define WEFT_DATA_QUALITY_ROWS(T, field)                                                                               \
    { .key = "short_answer", .type = WEFT_OPT_INT, .offset = offsetof(T, field.s.short_answer_chars), .def = "2",      \
      .max = 1e6, .unit = "characters", .group = "Quality", .help = "an answer with fewer is very short",              \
      .help_zh = "短于此长度的回答计为过短" },                                                                          \
    { .key = "short_prompt", .type = WEFT_OPT_INT, .offset = offsetof(T, field.s.short_prompt_chars), .def = "1",      \
      .max = 1e6, .unit = "characters", .group = "Quality", .help = "a prompt with fewer is very short",               \
      .help_zh = "短于此长度的提问计为过短" },                                                                          \
    { .key = "long_answer", .type = WEFT_OPT_INT, .offset = offsetof(T, field.s.long_answer_chars), .def = "0",        \
      .max = 1e9, .unit = "characters", .group = "Quality", .help = "an answer with more is long; 0: none",            \
      .help_zh = "长于此长度的回答计为过长；0 为不计" },                                                                 \
    { .key = "repeats", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.s.repeats), .def = "0.3", .min = 0.01,     \
      .max = 1, .group = "Quality", .help = "share of an answer that must be loops",                                   \
      .help_zh = "循环重复的部分占回答多大比例才算" },                                                                   \
    { .key = "letters", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, field.s.letters), .def = "0.4", .min = 0.01,     \
      .max = 1, .group = "Quality", .help = "least share of letters in an answer", .help_zh = "回答中文字至少占的比例" },  \
    { .key = "sentence", .type = WEFT_OPT_INT, .offset = offsetof(T, field.s.sentence_chars), .def = "40", .min = 1,   \
      .max = 1e9, .unit = "characters", .group = "Quality", .help = "shorter answers need not end like a sentence",    \
      .help_zh = "短于此长度的回答不要求以句末标点结尾" },                                                                \
    { .key = "examples", .type = WEFT_OPT_STRING, .offset = offsetof(T, field.examples), .group = "Quality",           \
      .help = "text file with the examples of the prompt that made the rows: no row may hold one of its lines",       \
      .help_zh = "文本文件，内容是生成这些行时提示词里的示例：任何行都不应照抄其中一行" }

/* Settings with the lines of the examples file read in. */
WEFT_MUST_USE enum weft_status weft_data_quality_settings(struct weft_cli *cli, const struct weft_data_quality *q,
                                                          struct weft_quality_settings *out);
/* "quality: echo" as "answers that begin with their whole prompt"; other reasons translated. */
void weft_data_left_out(struct weft_buf *b, enum weft_lang lang, struct weft_str reason);

#endif
