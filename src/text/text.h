/* text/text.h - files of every kind -> UTF-8 text whose every line knows where it stood
 *
 * One call reads a file, standard input or memory, finds out how it is encoded, and gives UTF-8 with LF line
 * ends, without byte order mark.  Rules TX1-TX7 (docs/text.md) decide; nothing is changed without being counted.
 * A format is a reader: text/read_<format>.c and one line in the list of readers.c.
 *
 * Owner:   everything lives in the arena given to the call.
 * Threads: a second one hashes a long file while it is read; a struct weft_text is read-only once filled.
 */
#ifndef WEFT_TEXT_TEXT_H
#define WEFT_TEXT_TEXT_H

#include "base/hash.h"
#include "base/option.h"
#include "base/str.h"
#include "text/pdf.h"
#include "text/zip.h"

/* In the order of the choices of the setting `charset`. */
enum weft_charset {
    WEFT_CHARSET_AUTO,
    WEFT_CHARSET_UTF8,
    WEFT_CHARSET_GB18030,
    WEFT_CHARSET_BIG5,
    WEFT_CHARSET_UTF16LE,
    WEFT_CHARSET_UTF16BE
};
#define WEFT_CHARSET_CHOICES "auto|utf-8|gb18030|big5|utf-16le|utf-16be"
const char *weft_charset_name(enum weft_charset c);     /* "utf-8" */

struct weft_text_settings {
    int charset;            /* enum weft_charset; AUTO finds out, any other is taken as given */
    int64_t max_bytes;      /* a larger file is WEFT_ELIMIT; 0: 2 GiB */
    const char *reader;     /* name of the reader to take ("txt": as it stands); NULL or "auto": what it looks like */
    struct weft_pdf_limits pdf;
    bool page_lines;                /* a PDF's lines as they stand on its pages, not its paragraphs */
    struct weft_zip_limits zip;     /* of docx and epub */
    int64_t threads;                /* 1: no second thread; not one of the option rows */
};
/* Rows of these settings: "charset", "max_file_bytes", "reader", "max_pdf_...", "page_lines", "max_zip_...".  Every verb that reads
 * text offers them. */
#define WEFT_TEXT_OPTION_ROWS(strct, field)                                                                          \
    { .key = "charset", .type = WEFT_OPT_CHOICE, .offset = offsetof(strct, field.charset), .def = "auto",            \
      .choices = WEFT_CHARSET_CHOICES, .group = "Input", .help = "encoding of the text; auto finds out",             \
      .help_zh = "文本编码；auto 为自动识别" },                                                                      \
    { .key = "max_file_bytes", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.max_bytes),                     \
      .def = "2147483648", .min = 1, .max = 1e15, .unit = "bytes", .group = "Input",                                 \
      .help = "a larger file is refused", .help_zh = "超过此大小的文件拒绝读取" },                                   \
    { .key = "reader", .type = WEFT_OPT_STRING, .offset = offsetof(strct, field.reader), .def = "auto",              \
      .group = "Input", .help = "format to read it as: auto, txt, html, markdown, csv, docx, epub, pdf",             \
      .help_zh = "按此格式读取：auto、txt、html、markdown、csv、docx、epub、pdf" },                                    \
    WEFT_PDF_OPTION_ROWS(strct, field.pdf),                                                                          \
    { .key = "page_lines", .type = WEFT_OPT_BOOL, .offset = offsetof(strct, field.page_lines), .def = "false",       \
      .group = "Input", .help = "the lines of a PDF as they stand on its pages, page numbers and all, instead of "   \
      "its paragraphs",                                                                                              \
      .help_zh = "按 PDF 页面上的原样逐行输出（含页眉、页码），不合并成段落" },                                       \
    WEFT_ZIP_OPTION_ROWS(strct, field.zip)

struct weft_text_line {
    size_t at;              /* where the line begins in the decoded text */
    uint64_t begin, end;    /* the line in the original file, or in the part of its section, without its line end;
                             * half open */
};

/* Where lines of a container stood: a page, a chapter, a part of a zip file.  Plain text has no sections. */
struct weft_text_section {
    size_t first_line;      /* 0-based; sections are in line order and each reaches to the next */
    uint64_t page;          /* 1-based, of formats that have pages; else 0 */
    uint64_t last_page;     /* where its lines end, when that is another page; else `page` or 0 */
    struct weft_str part;   /* the part in which its bytes are counted ("word/document.xml"); len 0: the file itself */
    struct weft_str title;  /* of the chapter; len 0: none known */
};

/* Something that was repaired or is worth a look: the first places by kind, the rest only counted. */
enum { WEFT_TEXT_PLACES = 100 };
struct weft_text_place {
    uint64_t line;          /* 1-based */
    uint64_t byte;          /* in the original file */
};

struct weft_text {
    struct weft_str name;               /* as the user named it; "-" is standard input */
    char sha256[WEFT_SHA256_HEX];       /* of the original bytes */
    uint64_t bytes;                     /* length of the original */
    struct weft_str text;               /* UTF-8, LF only, no BOM */
    struct weft_text_line *lines;       /* [n_lines + 1]; the last is the end of the text */
    size_t n_lines;                     /* a final line end does not begin another line */
    uint64_t *source_lines;             /* [n_lines] line of the original in which each begins, 1-based; NULL: its own
                                         * number (plain text) or the original has none */
    struct weft_str title;              /* of the document, where it has one; else len 0 */
    const char *format;                 /* the reader's name: "txt" */
    enum weft_charset charset;          /* found or forced; never AUTO */
    bool bom;
    struct weft_text_section *sections; /* the first begins at line 0; NULL: lines and bytes say all */
    size_t n_sections, cap_sections;

    /* repairs: what stands in the text differs from the file, so the verdict is `partial` */
    uint64_t repaired;                  /* byte sequences that are not text in this charset, now U+FFFD */
    uint64_t nul_dropped;               /* NUL bytes left out */
    struct weft_text_place places[WEFT_TEXT_PLACES];    /* of both kinds, in file order */
    size_t n_places;
    uint64_t left_out;                  /* pages, chapters or parts that could not be read; the notes say which */
    struct weft_str *notes;             /* sentences for the user, without final newline: the first */
    size_t n_notes;                     /* WEFT_TEXT_PLACES of them */
    /* kept as they are, or left out as a reader of the page would not see it: worth knowing, not partial */
    uint64_t ignored;                   /* elements whose content is no text: script, style, template, ruby readings */
    uint64_t private_use;               /* characters of the private use areas: often a damaged conversion */
    uint64_t replacement;               /* U+FFFD that stood in the file: damage done before */
    uint64_t controls;                  /* C0 and C1 controls but tab and line ends */
    uint64_t cr;                        /* CRLF and CR line ends, now LF */
};

/* True when reading changed more than line ends: the command ends with exit status 4. */
static inline bool weft_text_partial(const struct weft_text *t)
{
    return t->repaired || t->nul_dropped || t->left_out;
}

/* Line number `i` (0-based, < n_lines), without its line end. */
static inline struct weft_str weft_text_line(const struct weft_text *t, size_t i)
{
    size_t from = t->lines[i].at, to = t->lines[i + 1].at;
    if (to > from && t->text.s[to - 1] == '\n') to--;
    return weft_str_sub(t->text, from, to);
}

/* Reads `path` ("-": standard input).  `s` may be NULL for defaults.
 * WEFT_EINPUT with TX1 (no charset fits; UTF-32), TX4 (binary; the message names the format), TX5 (no visible
 * character); WEFT_ELIMIT; WEFT_ESYSTEM. */
WEFT_MUST_USE enum weft_status weft_text_read(struct weft_arena *a, const char *path,
                                              const struct weft_text_settings *s, struct weft_text *out,
                                              struct weft_err *err);

/* The same for bytes in memory; `name` stands in messages and origins.  `bytes` must outlive `out`. */
WEFT_MUST_USE enum weft_status weft_text_from_memory(struct weft_arena *a, const char *name,
                                                     struct weft_str bytes,
                                                     const struct weft_text_settings *s,
                                                     struct weft_text *out, struct weft_err *err);

/* 1-based line of the original in which line `i` (0-based) begins. */
static inline uint64_t weft_text_source_line(const struct weft_text *t, size_t i)
{
    return t->source_lines ? t->source_lines[i] : i + 1;
}

/* 1-based line of a byte offset of the decoded text. */
uint64_t weft_text_line_of(const struct weft_text *t, size_t at);

/* The section of line `i` (0-based), or NULL where there are none. */
const struct weft_text_section *weft_text_section_of(const struct weft_text *t, size_t i);
/* 1-based page of line `i` (0-based); 0: the format has no pages. */
uint64_t weft_text_page_of(const struct weft_text *t, size_t i);

/* Where lines first ... last (0-based, inclusive) stood, for the origin of a row.  Bytes are counted in the part of the
 * first line: when the last line is in another part, the span ends with the last line that is still in the first. */
struct weft_text_span {
    uint64_t begin, end;    /* half open */
    uint64_t page;          /* of the first line; 0: none */
    uint64_t last_page;     /* of the last line; 0: none */
    struct weft_str part;   /* len 0: the file itself; then s is NULL */
};
struct weft_text_span weft_text_span_of(const struct weft_text *t, size_t first, size_t last);

/* ---- readers ---- */

/* For readers: does anything leave ink (TX5)?  White space, controls and formats do not. */
bool weft_text_visible(struct weft_str text);
/* For readers: appends a section.  One without lines is replaced by the next that begins at its line. */
WEFT_MUST_USE enum weft_status weft_text_section_add(struct weft_arena *a, struct weft_text *t,
                                                     struct weft_text_section s, struct weft_err *err);
/* For readers: adds a sentence in the language of `err` (English where NULL): what was left out, or what the user may
 * want to know.  The format is a key of the catalogue. */
WEFT_MUST_USE enum weft_status weft_text_note(struct weft_arena *a, struct weft_text *t, struct weft_err *err,
                                              const char *fmt, ...) WEFT_PRINTF(4, 5);

struct weft_reader {
    const char *name;           /* "txt" */
    const char *suffixes;       /* ".txt .text .md", for help only: content decides */
    const char *help, *help_zh;
    /* Do these bytes (the whole file) look like this format?  Asked in list order; plain text is the last. */
    bool (*sniff)(struct weft_str bytes);
    /* In its place for formats that the bytes alone do not show; a name never decides against the bytes. */
    bool (*sniff_named)(struct weft_str bytes, struct weft_str name);
    /* Fills text, lines, counts; name, sha256, bytes and format are set before. */
    enum weft_status (*read)(struct weft_arena *a, struct weft_str bytes, const struct weft_text_settings *s,
                             struct weft_text *out, struct weft_err *err);
};
const struct weft_reader *const *weft_readers(size_t *n);
/* The reader of this name, or WEFT_EARG with the names there are. */
WEFT_MUST_USE enum weft_status weft_reader_find(const char *name, const struct weft_reader **out,
                                                struct weft_err *err);

#endif
