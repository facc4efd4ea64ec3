/* dataset/script_options.h - the option rows of the screenplay reader, for any struct that holds its settings
 *
 * P is the path to the settings with its dot: WEFT_SCRIPT_OPTION_ROWS(struct my_settings, script.).
 */
#ifndef WEFT_DATASET_SCRIPT_OPTIONS_H
#define WEFT_DATASET_SCRIPT_OPTIONS_H

#include "dataset/screenplay.h"

#define WEFT_SCRIPT_OPTION_ROWS(T, P) \
    { .key = "role", .type = WEFT_OPT_STRING, .offset = offsetof(T, P role), .group = "Screenplay", \
      .help = "who answers, as named in the script", .help_zh = "由谁来回答：剧本中的角色名" }, \
    { .key = "mode", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, P mode), .def = "default", \
      .choices = WEFT_SCRIPT_MODE_CHOICES, .group = "Screenplay", \
      .help = "how the script is read", .help_zh = "剧本的读法" }, \
    { .key = "turns", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, P turns), .def = "pairs", \
      .choices = WEFT_SCRIPT_TURNS_CHOICES, .group = "Screenplay", \
      .help = "one row per answer, or one per scene", .help_zh = "每句回答一行，或每场戏一行" }, \
    { .key = "alias", .type = WEFT_OPT_LIST, .offset = offsetof(T, P alias), .group = "Screenplay", \
      .help = "names of one person: 华妃=华贵妃,年妃", .help_zh = "同一人的多个名字：华妃=华贵妃,年妃" }, \
    { .key = "system", .type = WEFT_OPT_STRING, .offset = offsetof(T, P system), .group = "Screenplay", \
      .help = "system text of each row; {role} {speaker} {episode} {scene} are filled in", .help_zh = "每行的系统提示；可用 {role} {speaker} {episode} {scene}" }, \
    { .key = "prefix", .type = WEFT_OPT_STRING, .offset = offsetof(T, P prefix), .group = "Screenplay", \
      .help = "put before each prompt turn: {speaker}：", .help_zh = "加在每句提问前，如 {speaker}：" }, \
    { .key = "min_prompt_chars", .type = WEFT_OPT_INT, .offset = offsetof(T, P min_prompt_chars), .def = "0", \
      .max = 1e6, .unit = "characters", .group = "Screenplay", \
      .help = "shorter prompts are left out", .help_zh = "提问短于此长度则舍去" }, \
    { .key = "min_answer_chars", .type = WEFT_OPT_INT, .offset = offsetof(T, P min_answer_chars), .def = "0", \
      .max = 1e6, .unit = "characters", .group = "Screenplay", \
      .help = "shorter answers are left out", .help_zh = "回答短于此长度则舍去" }, \
    { .key = "keep_per_prompt", .type = WEFT_OPT_INT, .offset = offsetof(T, P keep_per_prompt), .def = "0", \
      .max = 1e6, .unit = "rows", .group = "Screenplay", \
      .help = "rows kept of those with one prompt; 0: all", .help_zh = "同一提问最多保留几行；0 表示全部" }, \
    { .key = "episodes", .type = WEFT_OPT_STRING, .offset = offsetof(T, P episodes), .group = "Screenplay", \
      .help = "only these: 1-20,33", .help_zh = "只取这些集：1-20,33" }, \
    { .key = "scenes", .type = WEFT_OPT_STRING, .offset = offsetof(T, P scenes), .group = "Screenplay", \
      .help = "only scenes of these numbers: 1-20,33", .help_zh = "只取这些场次：1-20,33" }, \
    { .key = "chorus", .type = WEFT_OPT_BOOL, .offset = offsetof(T, P chorus), .group = "Screenplay", \
      .help = "lines spoken by several are answers too", .help_zh = "多人齐说的台词也作为回答" }, \
    { .key = "review", .type = WEFT_OPT_BOOL, .offset = offsetof(T, P review), .group = "Screenplay", \
      .help = "use doubtful lines (a known name and a comma) too", .help_zh = "也使用存疑的台词（名字后是逗号）" }, \
    { .key = "narration_prompt", .type = WEFT_OPT_BOOL, .offset = offsetof(T, P narration_prompt), .group = "Screenplay", \
      .help = "a turn that opens its scene is asked by the narration", .help_zh = "一场戏的第一句以旁白为提问" }, \
    { .key = "join", .type = WEFT_OPT_STRING, .offset = offsetof(T, P join), .group = "Screenplay", \
      .help = "between merged lines of one speaker; default: nothing", .help_zh = "同一人连续台词之间的连接；默认直接相连" }

#endif
