/* text/pdf.h - what a PDF document may cost: limits of the program that reads it */
#ifndef WEFT_TEXT_PDF_H
#define WEFT_TEXT_PDF_H

#include "base/option.h"

struct weft_pdf_limits {            /* 0: the default */
    int64_t memory_bytes;           /* address space, 1 GiB */
    int64_t seconds;                /* by the clock, 120; half of it on the processor */
    int64_t text_bytes;             /* of text, 256 MiB */
};
#define WEFT_PDF_OPTION_ROWS(strct, field)                                                                           \
    { .key = "max_pdf_memory_bytes", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.memory_bytes),            \
      .def = "1073741824", .min = 1 << 26, .max = 1e15, .unit = "bytes", .group = "Input",                           \
      .help = "memory for the program that reads a PDF", .help_zh = "读取 PDF 的程序可用的内存上限" },              \
    { .key = "max_pdf_seconds", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.seconds), .def = "120",        \
      .min = 1, .max = 86400, .unit = "seconds", .group = "Input",                                                   \
      .help = "time to read a PDF; half of it on the processor",                                                     \
      .help_zh = "读取一个 PDF 的时间上限；处理器时间为其一半" },                                                    \
    { .key = "max_pdf_text_bytes", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.text_bytes),                \
      .def = "268435456", .min = 1, .max = 2e9, .unit = "bytes", .group = "Input", .help = "text of a PDF",          \
      .help_zh = "一个 PDF 的文字量上限" }

#endif
