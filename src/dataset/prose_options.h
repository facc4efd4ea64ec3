/* dataset/prose_options.h - the option rows of the prose reader, for any struct that holds its settings
 *
 * P is the path to the settings with its dot: WEFT_PROSE_OPTION_ROWS(struct my_settings, prose.).
 */
#ifndef WEFT_DATASET_PROSE_OPTIONS_H
#define WEFT_DATASET_PROSE_OPTIONS_H

#include "dataset/prose.h"

#define WEFT_PROSE_OPTION_ROWS(T, P) \
    { .key = "role", .type = WEFT_OPT_STRING, .offset = offsetof(T, P role), .group = "Prose", \
      .help = "who answers, by any of its names", .help_zh = "由谁来回答，可用其任一称呼" }, \
    { .key = "alias", .type = WEFT_OPT_LIST, .offset = offsetof(T, P alias), .group = "Prose", \
      .help = "names of one person: 悟空=孙悟空,美猴王", .help_zh = "同一人的多个称呼：悟空=孙悟空,美猴王" }, \
    { .key = "turns", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, P turns), .def = "pairs", \
      .choices = WEFT_PROSE_TURNS_CHOICES, .group = "Prose", \
      .help = "one row per answer, or one per scene", .help_zh = "每句回答一行，或每场一行" }, \
    { .key = "min_confidence", .type = WEFT_OPT_FLOAT, .offset = offsetof(T, P min_confidence), .def = "0.6", \
      .max = 1, .group = "Prose", \
      .help = "a speaker less sure than this counts as unknown", .help_zh = "把握低于此值的说话人视为未知" }, \
    { .key = "gap", .type = WEFT_OPT_INT, .offset = offsetof(T, P gap_chars), .def = "400", .max = 1e9, \
      .unit = "characters", .group = "Prose", \
      .help = "so much narration between two speeches ends a scene; 0: only chapters do", \
      .help_zh = "两句话之间的叙述超过此长度则另起一场；0 为只按章节" }, \
    { .key = "thoughts", .type = WEFT_OPT_BOOL, .offset = offsetof(T, P thoughts), .group = "Prose", \
      .help = "thoughts (心想：) are speeches too", .help_zh = "心理活动（心想：）也算作说话" }, \
    { .key = "no_guess", .type = WEFT_OPT_BOOL, .offset = offsetof(T, P no_guess), .group = "Prose", \
      .help = "no pronouns and no turn-taking: only speakers that are named", \
      .help_zh = "不推断代词和轮流对话，只取点明的说话人" }, \
    { .key = "system", .type = WEFT_OPT_STRING, .offset = offsetof(T, P system), .group = "Prose", \
      .help = "system text of each row; {role} {speaker} {chapter} are filled in", \
      .help_zh = "每行的系统提示；可用 {role} {speaker} {chapter}" }, \
    { .key = "prefix", .type = WEFT_OPT_STRING, .offset = offsetof(T, P prefix), .group = "Prose", \
      .help = "put before each prompt turn: {speaker}：", .help_zh = "加在每句提问前，如 {speaker}：" }, \
    { .key = "min_prompt_chars", .type = WEFT_OPT_INT, .offset = offsetof(T, P min_prompt_chars), .def = "0", \
      .max = 1e6, .unit = "characters", .group = "Prose", \
      .help = "shorter prompts are left out", .help_zh = "提问短于此长度则舍去" }, \
    { .key = "min_answer_chars", .type = WEFT_OPT_INT, .offset = offsetof(T, P min_answer_chars), .def = "0", \
      .max = 1e6, .unit = "characters", .group = "Prose", \
      .help = "shorter answers are left out", .help_zh = "回答短于此长度则舍去" }, \
    { .key = "keep_per_prompt", .type = WEFT_OPT_INT, .offset = offsetof(T, P keep_per_prompt), .def = "0", \
      .max = 1e6, .unit = "rows", .group = "Prose", \
      .help = "rows kept of those with one prompt; 0: all", .help_zh = "同一提问最多保留几行；0 表示全部" }

#endif
