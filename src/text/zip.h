/* text/zip.h - the parts of a zip container, read strictly and only in memory
 *
 * A docx or an epub is a zip file.  The directory at its end is read whole and checked before any part is (rules ZP1,
 * ZP2 and ZP4 of docs/robustness.md), so that a part is found by its exact name in one place only; a part is inflated
 * when it is asked for (ZP3, ZP5).  Nothing is written to disk and a zip inside a zip stays closed (ZP6).
 * Why not libzip: it repairs and searches where a reader of foreign files should refuse, and it is one more library.
 *
 * Owner:   entries and parts live in the arena given; names may point into the container's bytes, which must outlive
 *          the struct.
 * Threads: weft_zip_read counts what was read, so one thread at a time.
 */
#ifndef WEFT_TEXT_ZIP_H
#define WEFT_TEXT_ZIP_H

#include "base/str.h"

struct weft_zip_limits {
    int64_t max_entries;        /* 0: 10,000 */
    int64_t max_entry_bytes;    /* one part, unpacked; 0: 256 MiB */
    int64_t max_total_bytes;    /* all parts that are read, unpacked; 0: 512 MiB */
    int64_t max_ratio;          /* unpacked : packed, of parts above 8 MiB; 0: 200 */
};

/* Rows of these settings. */
#define WEFT_ZIP_OPTION_ROWS(strct, field)                                                                           \
    { .key = "max_zip_entries", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.max_entries), .def = "10000",  \
      .min = 1, .max = 1e6, .group = "Input", .help = "parts that a docx or epub may have",                          \
      .help_zh = "docx 或 epub 内部文件数上限" },                                                                    \
    { .key = "max_zip_part_bytes", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.max_entry_bytes),           \
      .def = "268435456", .min = 1, .max = 1e12, .unit = "bytes", .group = "Input",                                  \
      .help = "largest part of a docx or epub, unpacked", .help_zh = "docx 或 epub 单个内部文件解压后的上限" },      \
    { .key = "max_zip_bytes", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.max_total_bytes),                \
      .def = "536870912", .min = 1, .max = 1e12, .unit = "bytes", .group = "Input",                                  \
      .help = "all parts of a docx or epub together, unpacked",                                                      \
      .help_zh = "docx 或 epub 所有读取内容解压后的总上限" },                                                        \
    { .key = "max_zip_ratio", .type = WEFT_OPT_INT, .offset = offsetof(strct, field.max_ratio), .def = "200",        \
      .min = 1, .max = 2000, .group = "Input",                                                                       \
      .help = "unpacked to packed size of parts above 8 MiB; more is taken for an attack",                           \
      .help_zh = "超过 8 MiB 的内部文件的解压比上限，再高视为恶意文件" }

struct weft_zip_entry {
    struct weft_str name;       /* with '/' between folders; the name of a folder ends in '/' */
    uint64_t data_at;           /* offset of the packed bytes */
    uint64_t packed_bytes, bytes;
    uint32_t crc;
    uint16_t method;            /* 0 stored, 8 deflated; others cannot be read */
    bool encrypted;
};

struct weft_zip {
    const char *file;           /* for messages */
    struct weft_str bytes;
    struct weft_zip_entry *entries;             /* [n], in the order of the directory */
    const struct weft_zip_entry **by_name;      /* [n], sorted by name */
    size_t n;
    bool first_is_first;        /* entries[0] also stands first in the file */
    uint64_t read_bytes;        /* unpacked so far */
    struct weft_zip_limits limits;              /* without zeros */
};

/* Reads and checks the directory.  `limits` may be NULL for the defaults.
 * WEFT_EINPUT with ZP1 (no whole end record, several disks, directory not inside the file), ZP2 (count, names), ZP4
 * (a local header that says something else, parts that overlap); WEFT_ELIMIT with ZP5. */
WEFT_MUST_USE enum weft_status weft_zip_open(struct weft_zip *z, struct weft_arena *a, const char *file,
                                             struct weft_str bytes, const struct weft_zip_limits *limits,
                                             struct weft_err *err);

/* The part of exactly this name, or NULL. */
const struct weft_zip_entry *weft_zip_find(const struct weft_zip *z, struct weft_str name);

/* The bytes of a part, with a final NUL that is not counted; a stored part is copied too.
 * WEFT_EINPUT with ZP3 (encrypted, unknown method), ZP5 (size or CRC differ, damaged); WEFT_ELIMIT with ZP5. */
WEFT_MUST_USE enum weft_status weft_zip_read(struct weft_zip *z, struct weft_arena *a,
                                             const struct weft_zip_entry *e, struct weft_str *out,
                                             struct weft_err *err);

/* What kind of container bytes are, by the names in the directory, or in the first local headers where the directory
 * is lost.  Nothing is checked. */
enum weft_zip_kind {
    WEFT_ZIP_NOT,               /* no zip signature */
    WEFT_ZIP_DOCX,
    WEFT_ZIP_EPUB,
    WEFT_ZIP_XLSX,
    WEFT_ZIP_PPTX,
    WEFT_ZIP_ODT,
    WEFT_ZIP_ODS,
    WEFT_ZIP_ODP,
    WEFT_ZIP_EMPTY,
    WEFT_ZIP_CUT,               /* begins as a zip, without end record and without a known name */
    WEFT_ZIP_OTHER
};
enum weft_zip_kind weft_zip_kind(struct weft_str bytes);

#endif
