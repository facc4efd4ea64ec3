/* dataset/chunk_options.h - the option rows of the chunker, for any struct that holds its settings
 *
 * P is the path to the settings with its dot: WEFT_CHUNK_OPTION_ROWS(struct my_settings, chunk.).
 */
#ifndef WEFT_DATASET_CHUNK_OPTIONS_H
#define WEFT_DATASET_CHUNK_OPTIONS_H

#include "dataset/chunk.h"

#define WEFT_CHUNK_OPTION_ROWS(T, P) \
    { .key = "mode", .type = WEFT_OPT_CHOICE, .offset = offsetof(T, P mode), .def = "default", \
      .choices = WEFT_CHUNK_MODE_CHOICES, .group = "Chunks", .help = "how the text is cut; seed: the beginner's script", \
      .help_zh = "切分方式；seed 为初学者脚本的原样做法" }, \
    { .key = "max", .type = WEFT_OPT_INT, .offset = offsetof(T, P max_chars), .def = "800", \
      .min = 8, .max = 1e9, .unit = "characters", .group = "Chunks", .help = "no chunk has more", \
      .help_zh = "每块的字数上限" }, \
    { .key = "min", .type = WEFT_OPT_INT, .offset = offsetof(T, P min_chars), .def = "0", \
      .max = 1e9, .unit = "characters", .group = "Chunks", .help = "no chunk has fewer, but where a chapter is shorter", \
      .help_zh = "每块的字数下限，短章除外" }, \
    { .key = "overlap", .type = WEFT_OPT_INT, .offset = offsetof(T, P overlap_chars), \
      .def = "0", .max = 1e9, .unit = "characters", .group = "Chunks", \
      .help = "a chunk begins with the last sentences of the one before, up to so many characters", \
      .help_zh = "每块开头重复上一块末尾的句子，最多这么多字" }, \
    { .key = "max_tokens", .type = WEFT_OPT_INT, .offset = offsetof(T, P max_tokens), \
      .def = "0", .max = 1e9, .unit = "tokens", .group = "Chunks", \
      .help = "no chunk has more tokens of the model; 0: any number", .help_zh = "每块的 词元上限（按所给模型计）；0 为不限" }, \
    { .key = "across_chapters", .type = WEFT_OPT_BOOL, .offset = offsetof(T, P across_chapters), \
      .group = "Chunks", .help = "a chunk may hold the end of a chapter and the beginning of the next", \
      .help_zh = "允许一块跨越两章" }

#endif
