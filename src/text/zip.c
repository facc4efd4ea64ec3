/* The format, little-endian throughout; APPNOTE.TXT 6.3.9, sections 4.3 and 4.5.3.
 *
 *   end record     0 "PK\5\6"   4 disk  6 disk of directory  8 entries here  10 entries  12 directory bytes
 *                 16 directory at  20 comment length  22 comment
 *   zip64 locator  0 "PK\6\7"   4 disk  8 zip64 end record at  16 disks                       (20 bytes before the end)
 *   zip64 end      0 "PK\6\6"   4 bytes that follow  12 versions  16 disk  20 disk of directory
 *                 24 entries here  32 entries  40 directory bytes  48 directory at
 *   directory      0 "PK\1\2"   4 versions  8 flags  10 method  12 time  16 crc  20 packed  24 unpacked
 *                 28 name, 30 extra, 32 comment lengths  34 disk  36 attributes  42 local header at  46 name ...
 *   local header   0 "PK\3\4"   4 version  6 flags  8 method  10 time  14 crc  18 packed  22 unpacked
 *                 26 name, 28 extra lengths  30 name, extra, packed bytes
 *
 * A field of all ones has its value in the zip64 records.  Where the directory and the local headers disagree, or two
 * parts share bytes, readers disagree about what the file holds: such files are refused rather than interpreted. */
#include "text/zip.h"

#include "base/lang.h"

#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    END_BYTES = 22,
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT = 65535,
    MAX_NAME = 1024,
    STEP_BYTES = 64 << 10,
    RATIO_FROM_BYTES = 8 << 20,
    DEFLATE_MOST = 1032,        /* deflate's best: 258 bytes for two bits */
    FLAG_ENCRYPTED = 1,
    FLAG_DESCRIPTOR = 8,
    EXTRA_ZIP64 = 1
};

static unsigned get16(struct weft_str b, size_t at)
{
    const unsigned char *p = (const unsigned char *)b.s + at;
    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t get32(struct weft_str b, size_t at) { return get16(b, at) | (uint32_t)get16(b, at + 2) << 16; }
static uint64_t get64(struct weft_str b, size_t at) { return get32(b, at) | (uint64_t)get32(b, at + 4) << 32; }

static bool has(struct weft_str b, size_t at, const char *sig, size_t bytes)
{
    return at <= b.len && b.len - at >= bytes && !memcmp(b.s + at, sig, 4);
}

/* ---- end record ---- */

struct end {
    size_t at;                  /* of the end record */
    uint64_t entries, dir_at, dir_bytes;
    uint64_t dir_end;           /* what follows the directory: the end record, or zip64's */
};

/* The last end record whose comment ends with the file; SIZE_MAX: none. */
static size_t find_end(struct weft_str b)
{
    if (b.len < END_BYTES) return SIZE_MAX;
    size_t lowest = b.len > END_BYTES + MAX_COMMENT ? b.len - END_BYTES - MAX_COMMENT : 0;
    for (size_t at = b.len - END_BYTES + 1; at-- > lowest;)
        if (b.s[at] == 'P' && has(b, at, "PK\5\6", END_BYTES) && get16(b, at + 20) == b.len - at - END_BYTES) return at;
    return SIZE_MAX;
}

static enum weft_status bad_zip64(const struct weft_zip *z, size_t at, struct weft_err *err)
{
    return weft_fail_rule(err, WEFT_EINPUT, "ZP1",
                          "%s: byte %zu: the zip64 end record is missing or says something else than the end record",
                          z->file, at);
}

/* ZP1. */
static enum weft_status read_end(const struct weft_zip *z, struct end *e, struct weft_err *err)
{
    struct weft_str b = z->bytes;
    e->at = find_end(b);
    if (e->at == SIZE_MAX)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP1",
                              "%s: byte %zu: the zip archive has no end record; the file is cut short or something was "
                              "added behind it",
                              z->file, b.len);
    unsigned disk = get16(b, e->at + 4), dir_disk = get16(b, e->at + 6), here = get16(b, e->at + 8);
    e->entries = get16(b, e->at + 10);
    e->dir_bytes = get32(b, e->at + 12);
    e->dir_at = get32(b, e->at + 16);
    e->dir_end = e->at;
    bool big = here == 0xFFFF || e->entries == 0xFFFF || e->dir_bytes == UINT32_MAX || e->dir_at == UINT32_MAX;
    if (big) {
        if (e->at < LOCATOR_BYTES) return bad_zip64(z, e->at, err);
        size_t locator = e->at - LOCATOR_BYTES;
        if (!has(b, locator, "PK\6\7", LOCATOR_BYTES) || get32(b, locator + 4) || get32(b, locator + 16) > 1)
            return bad_zip64(z, locator, err);
        uint64_t at64 = get64(b, locator + 8);
        if (at64 > locator || locator - at64 < END64_BYTES || !has(b, (size_t)at64, "PK\6\6", END64_BYTES))
            return bad_zip64(z, locator, err);
        size_t at = (size_t)at64;
        uint64_t entries = get64(b, at + 32), dir_bytes = get64(b, at + 40), dir_at = get64(b, at + 48);
        if (get64(b, at + 4) != locator - at - 12 || get32(b, at + 16) || get32(b, at + 20)
            || get64(b, at + 24) != entries || (here != 0xFFFF && here != entries)
            || (e->entries != 0xFFFF && e->entries != entries)
            || (e->dir_bytes != UINT32_MAX && e->dir_bytes != dir_bytes)
            || (e->dir_at != UINT32_MAX && e->dir_at != dir_at))
            return bad_zip64(z, at, err);
        *e = (struct end){ e->at, entries, dir_at, dir_bytes, at };
        if (disk == 0xFFFF) disk = 0;
        if (dir_disk == 0xFFFF) dir_disk = 0;
        here = (unsigned)weft_min_size(entries, 0xFFFF);
    }
    if (disk || dir_disk || here != weft_min_size(e->entries, 0xFFFF))
        return weft_fail_rule(err, WEFT_EINPUT, "ZP1",
                              "%s: byte %zu: a zip archive in several pieces; expected one file", z->file, e->at);
    if (e->dir_at > e->dir_end || e->dir_bytes > e->dir_end - e->dir_at)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP1",
                              "%s: byte %zu: the directory of the zip archive (%" PRIu64 " bytes from %" PRIu64
                              " on) does not lie inside the file",
                              z->file, e->at, e->dir_bytes, e->dir_at);
    if (e->entries > (uint64_t)z->limits.max_entries)
        return weft_fail_rule(err, WEFT_ELIMIT, "ZP5",
                              "%s: byte %zu: %" PRIu64 " parts in the zip archive; at most %" PRId64
                              " are allowed (max_zip_entries)",
                              z->file, e->at, e->entries, z->limits.max_entries);
    if (e->entries > e->dir_bytes / CENTRAL_BYTES)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP2",
                              "%s: byte %zu: %" PRIu64 " parts are announced, which a directory of %" PRIu64
                              " bytes cannot hold",
                              z->file, e->at, e->entries, e->dir_bytes);
    return WEFT_OK;
}

/* ---- names ---- */

static const char *in_lang(const struct weft_err *err, const char *english)
{
    return weft_tr(err ? err->lang : WEFT_LANG_EN, english);
}

/* What is wrong with a name, or NULL (ZP2).  `\` has become `/` already. */
static const char *name_fault(struct weft_str n)
{
    if (!n.len) return "is empty";
    if (memchr(n.s, 0, n.len)) return "holds a NUL byte";
    if (n.s[0] == '/') return "begins with /";
    if (n.len >= 2 && n.s[1] == ':' && ((n.s[0] | 0x20) >= 'a' && (n.s[0] | 0x20) <= 'z')) return "names a drive";
    for (size_t from = 0; from <= n.len;) {
        const char *slash = from < n.len ? memchr(n.s + from, '/', n.len - from) : NULL;
        size_t to = slash ? (size_t)(slash - n.s) : n.len;
        if (to - from == 2 && n.s[from] == '.' && n.s[from + 1] == '.') return "leads out of the archive";
        from = to + 1;
    }
    return NULL;
}

/* With `/` for `\`: the bytes themselves, or a copy. */
static enum weft_status take_name(struct weft_arena *a, struct weft_str raw, struct weft_str *out, struct weft_err *err)
{
    *out = raw;
    if (!raw.len || !memchr(raw.s, '\\', raw.len)) return WEFT_OK;
    char *copy = weft_arena_strndup(a, raw.s, raw.len);
    if (!copy) return weft_fail_nomem(err, raw.len + 1, "the directory of a zip archive");
    for (size_t i = 0; i < raw.len; i++)
        if (copy[i] == '\\') copy[i] = '/';
    out->s = copy;
    return WEFT_OK;
}

/* ---- directory ---- */

/* Takes the values of fields that are all ones from the zip64 extra field, in its fixed order.  false: not there. */
static bool zip64_values(struct weft_str extra, uint64_t *const fields[], size_t n)
{
    size_t missing = 0;
    for (size_t i = 0; i < n; i++) missing += *fields[i] == UINT32_MAX;
    if (!missing) return true;
    for (size_t at = 0; extra.len - at >= 4;) {
        size_t id = get16(extra, at), len = get16(extra, at + 2);
        at += 4;
        if (len > extra.len - at) return false;
        if (id == EXTRA_ZIP64) {
            if (len < 8 * missing) return false;
            for (size_t i = 0; i < n; i++)
                if (*fields[i] == UINT32_MAX) {
                    *fields[i] = get64(extra, at);
                    at += 8;
                }
            return true;
        }
        at += len;
    }
    return false;
}

struct range {                  /* bytes of the file that belong to one part, from its local header on */
    uint64_t from, to;
    const struct weft_zip_entry *e;
};

static enum weft_status bad_local(const struct weft_zip *z, uint64_t at, const struct weft_zip_entry *e,
                                  const char *what, struct weft_err *err)
{
    char name[256];
    return weft_fail_rule(err, WEFT_EINPUT, "ZP4",
                          "%s: byte %" PRIu64 ": part %s: the %s of its local header differs from the directory",
                          z->file, at, weft_escape(name, sizeof name, e->name), in_lang(err, what));
}

/* ZP4: the local header says the same; gives the place of the packed bytes and the whole range. */
static enum weft_status check_local(const struct weft_zip *z, struct weft_str raw_name, uint64_t at64,
                                    uint64_t dir_at, struct weft_zip_entry *e, struct range *r, struct weft_err *err)
{
    struct weft_str b = z->bytes;
    if (at64 > dir_at || dir_at - at64 < LOCAL_BYTES || !has(b, (size_t)at64, "PK\3\4", LOCAL_BYTES))
        return bad_local(z, at64, e, "position", err);
    size_t at = (size_t)at64, name_len = get16(b, at + 26), extra_len = get16(b, at + 28);
    if (name_len + extra_len > dir_at - at - LOCAL_BYTES
        || !weft_str_eq(weft_str_sub(b, at + LOCAL_BYTES, at + LOCAL_BYTES + name_len), raw_name))
        return bad_local(z, at64, e, "part name", err);
    unsigned flags = get16(b, at + 6);
    if (get16(b, at + 8) != e->method) return bad_local(z, at64, e, "packing method", err);
    if (flags & FLAG_ENCRYPTED) e->encrypted = true;
    if (!(flags & FLAG_DESCRIPTOR)) {
        struct weft_str extra =
            weft_str_sub(b, at + LOCAL_BYTES + name_len, at + LOCAL_BYTES + name_len + extra_len);
        uint64_t packed = get32(b, at + 18), bytes = get32(b, at + 22);
        uint64_t *const fields[] = { &bytes, &packed };
        if (!zip64_values(extra, fields, 2) || packed != e->packed_bytes || bytes != e->bytes
            || get32(b, at + 14) != e->crc)
            return bad_local(z, at64, e, "size or checksum", err);
    }
    e->data_at = at + LOCAL_BYTES + name_len + extra_len;
    if (e->packed_bytes > dir_at - e->data_at) return bad_local(z, at64, e, "packed length", err);
    *r = (struct range){ at64, e->data_at + e->packed_bytes, e };
    return WEFT_OK;
}

static int by_place(const void *x, const void *y)
{
    const struct range *a = x, *b = y;
    return (a->from > b->from) - (a->from < b->from);
}

static int by_name(const void *x, const void *y)
{
    return weft_str_cmp((*(const struct weft_zip_entry *const *)x)->name,
                        (*(const struct weft_zip_entry *const *)y)->name);
}

/* One record of the directory; *at moves behind it. */
static enum weft_status read_central(struct weft_zip *z, struct weft_arena *a, const struct end *end, size_t *at,
                                     struct weft_zip_entry *e, struct range *r, struct weft_err *err)
{
    struct weft_str b = z->bytes;
    size_t dir_end = (size_t)(end->dir_at + end->dir_bytes), left = dir_end - *at, p = *at;
    char shown[256];
    if (left < CENTRAL_BYTES || !has(b, p, "PK\1\2", CENTRAL_BYTES)) goto short_directory;
    size_t name_len = get16(b, p + 28), extra_len = get16(b, p + 30), comment_len = get16(b, p + 32);
    if (name_len + extra_len + comment_len > left - CENTRAL_BYTES) goto short_directory;
    struct weft_str raw = weft_str_sub(b, p + CENTRAL_BYTES, p + CENTRAL_BYTES + name_len);
    struct weft_str extra = weft_str_sub(b, p + CENTRAL_BYTES + name_len, p + CENTRAL_BYTES + name_len + extra_len);
    *at = p + CENTRAL_BYTES + name_len + extra_len + comment_len;

    if (name_len > MAX_NAME)
        return weft_fail_rule(err, WEFT_ELIMIT, "ZP5",
                              "%s: byte %zu: the name of a part has %zu bytes; at most %d are allowed", z->file, p,
                              name_len, MAX_NAME);
    enum weft_status st = take_name(a, raw, &e->name, err);
    if (st) return st;
    const char *fault = name_fault(e->name);
    if (fault)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP2", "%s: byte %zu: the part name \"%s\" %s", z->file, p,
                              weft_escape(shown, sizeof shown, raw), in_lang(err, fault));
    uint64_t local_at = get32(b, p + 42);
    unsigned disk = get16(b, p + 34);
    e->encrypted = get16(b, p + 8) & FLAG_ENCRYPTED;
    e->method = (uint16_t)get16(b, p + 10);
    e->crc = get32(b, p + 16);
    e->packed_bytes = get32(b, p + 20);
    e->bytes = get32(b, p + 24);
    uint64_t *const fields[] = { &e->bytes, &e->packed_bytes, &local_at };
    if (!zip64_values(extra, fields, 3) || (disk && disk != 0xFFFF))
        return weft_fail_rule(err, WEFT_EINPUT, "ZP1", "%s: byte %zu: part %s: its zip64 values are missing", z->file,
                              p, weft_escape(shown, sizeof shown, e->name));
    return check_local(z, raw, local_at, end->dir_at, e, r, err);
short_directory:
    return weft_fail_rule(err, WEFT_EINPUT, "ZP2",
                          "%s: byte %zu: the directory of the zip archive ends before the %" PRIu64
                          " parts that it announces",
                          z->file, p, end->entries);
}

static struct weft_zip_limits limits_of(const struct weft_zip_limits *given)
{
    struct weft_zip_limits l = { 10000, 256 << 20, 512 << 20, 200 };
    if (given && given->max_entries > 0) l.max_entries = given->max_entries;
    if (given && given->max_entry_bytes > 0) l.max_entry_bytes = given->max_entry_bytes;
    if (given && given->max_total_bytes > 0) l.max_total_bytes = given->max_total_bytes;
    if (given && given->max_ratio > 0) l.max_ratio = given->max_ratio;
    return l;
}

enum weft_status weft_zip_open(struct weft_zip *out, struct weft_arena *a, const char *file, struct weft_str bytes,
                               const struct weft_zip_limits *limits, struct weft_err *err)
{
    struct weft_zip z = { .file = file, .bytes = bytes, .limits = limits_of(limits) };
    struct end end = { 0 };
    struct range *ranges;
    char name[256], other[256];
    enum weft_status st = read_end(&z, &end, err);
    if (st) return st;
    z.n = (size_t)end.entries;
    z.entries = WEFT_NEWS(a, struct weft_zip_entry, z.n + 1);
    z.by_name = WEFT_NEWS(a, const struct weft_zip_entry *, z.n + 1);
    ranges = WEFT_NEWS(a, struct range, z.n + 1);
    if (!z.entries || !z.by_name || !ranges)
        return weft_fail_nomem(err, z.n * sizeof *z.entries, "the directory of a zip archive");
    size_t at = (size_t)end.dir_at;
    for (size_t i = 0; i < z.n; i++) {
        st = read_central(&z, a, &end, &at, &z.entries[i], &ranges[i], err);
        if (st) return st;
        z.by_name[i] = &z.entries[i];
    }
    if (at != end.dir_at + end.dir_bytes)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP2",
                              "%s: byte %zu: the directory of the zip archive goes on behind the %zu parts that it "
                              "announces",
                              file, at, z.n);
    z.first_is_first = z.n && ranges[0].from == 0;
    qsort(z.by_name, z.n, sizeof *z.by_name, by_name);
    qsort(ranges, z.n, sizeof *ranges, by_place);
    for (size_t i = 1; i < z.n; i++) {
        if (weft_str_eq(z.by_name[i - 1]->name, z.by_name[i]->name))
            return weft_fail_rule(err, WEFT_EINPUT, "ZP2", "%s: byte %" PRIu64 ": two parts have the name %s", file,
                                  z.by_name[i]->data_at, weft_escape(name, sizeof name, z.by_name[i]->name));
        if (ranges[i - 1].to > ranges[i].from)
            return weft_fail_rule(err, WEFT_EINPUT, "ZP4", "%s: byte %" PRIu64 ": the parts %s and %s overlap", file,
                                  ranges[i].from, weft_escape(name, sizeof name, ranges[i - 1].e->name),
                                  weft_escape(other, sizeof other, ranges[i].e->name));
    }
    *out = z;
    return WEFT_OK;
}

const struct weft_zip_entry *weft_zip_find(const struct weft_zip *z, struct weft_str name)
{
    size_t low = 0, high = z->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int order = weft_str_cmp(z->by_name[mid]->name, name);
        if (!order) return z->by_name[mid];
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

/* ---- a part ---- */

/* ZP3 and ZP5, as far as the directory tells. */
static enum weft_status check_part(const struct weft_zip *z, const struct weft_zip_entry *e, const char *name,
                                   struct weft_err *err)
{
    if (e->encrypted)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP3",
                              "%s: byte %" PRIu64 ": part %s is encrypted; save the document without a password",
                              z->file, e->data_at, name);
    if (e->method != 0 && e->method != 8)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP3",
                              "%s: byte %" PRIu64 ": part %s is packed by method %d; expected 0 (stored) or 8 "
                              "(deflate)",
                              z->file, e->data_at, name, e->method);
    if (e->bytes > (uint64_t)z->limits.max_entry_bytes)
        return weft_fail_rule(err, WEFT_ELIMIT, "ZP5",
                              "%s: byte %" PRIu64 ": part %s has %" PRIu64 " bytes unpacked; at most %" PRId64
                              " are allowed (max_zip_part_bytes)",
                              z->file, e->data_at, name, e->bytes, z->limits.max_entry_bytes);
    uint64_t total = (uint64_t)z->limits.max_total_bytes;
    if (e->bytes > total - weft_min_size(z->read_bytes, total))
        return weft_fail_rule(err, WEFT_ELIMIT, "ZP5",
                              "%s: byte %" PRIu64 ": with part %s, %" PRIu64 " bytes are unpacked in all; at most %" PRId64
                              " are allowed (max_zip_bytes)",
                              z->file, e->data_at, name, z->read_bytes + e->bytes, z->limits.max_total_bytes);
    if (e->bytes > RATIO_FROM_BYTES && e->bytes / (uint64_t)z->limits.max_ratio > e->packed_bytes)
        return weft_fail_rule(err, WEFT_ELIMIT, "ZP5",
                              "%s: byte %" PRIu64 ": part %s unpacks %" PRIu64 " bytes to %" PRIu64
                              "; at most %" PRId64 " to 1 is allowed (max_zip_ratio)",
                              z->file, e->data_at, name, e->packed_bytes, e->bytes, z->limits.max_ratio);
    if (e->method == 0 ? e->bytes != e->packed_bytes : e->bytes / DEFLATE_MOST > e->packed_bytes)
        return weft_fail_rule(err, WEFT_EINPUT, "ZP5",
                              "%s: byte %" PRIu64 ": part %s: %" PRIu64 " packed bytes cannot hold the %" PRIu64
                              " that are announced",
                              z->file, e->data_at, name, e->packed_bytes, e->bytes);
    return WEFT_OK;
}

/* Raw deflate of `in` into exactly `bytes` bytes at `out`. */
static enum weft_status inflate_part(const struct weft_zip *z, struct weft_str in, const struct weft_zip_entry *e,
                                     char *out, const char *name, struct weft_err *err)
{
    z_stream s = { 0 };
    enum weft_status st = WEFT_OK;
    unsigned char extra;        /* room for one byte more than announced, to see whether there is one */
    size_t done = 0, taken = 0;
    int r = inflateInit2(&s, -15);
    if (r != Z_OK) return weft_fail_nomem(err, STEP_BYTES, "unpacking");
    while (r != Z_STREAM_END) {
        size_t room = weft_min_size((size_t)e->bytes - done, STEP_BYTES);
        s.next_in = (unsigned char *)(uintptr_t)(in.s + taken);
        s.avail_in = (unsigned)weft_min_size(in.len - taken, STEP_BYTES);
        s.next_out = room ? (unsigned char *)out + done : &extra;
        s.avail_out = room ? (unsigned)room : 1;
        size_t had_in = s.avail_in, had_out = s.avail_out;
        r = inflate(&s, Z_NO_FLUSH);
        taken += had_in - s.avail_in;
        size_t made = had_out - s.avail_out;
        if (r == Z_MEM_ERROR) {
            st = weft_fail_nomem(err, STEP_BYTES, "unpacking");
            goto done;
        }
        if (made && !room) {
            st = weft_fail_rule(err, WEFT_EINPUT, "ZP5",
                                "%s: byte %" PRIu64 ": part %s holds more than the %" PRIu64
                                " bytes that are announced",
                                z->file, e->data_at + taken, name, e->bytes);
            goto done;
        }
        if ((r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
            || (r != Z_STREAM_END && !made && had_in == s.avail_in))
            break;
        done += made;
    }
    if (r != Z_STREAM_END || done != e->bytes || taken != in.len)
        st = weft_fail_rule(err, WEFT_EINPUT, "ZP5",
                            "%s: byte %" PRIu64 ": part %s is damaged: %zu of %" PRIu64 " bytes could be unpacked",
                            z->file, e->data_at + taken, name, done, e->bytes);
done:
    inflateEnd(&s);
    return st;
}

enum weft_status weft_zip_read(struct weft_zip *z, struct weft_arena *a, const struct weft_zip_entry *e,
                               struct weft_str *out, struct weft_err *err)
{
    char name[256];
    struct weft_arena_mark mark = weft_arena_mark(a);
    weft_escape(name, sizeof name, e->name);
    enum weft_status st = check_part(z, e, name, err);
    if (st) return st;
    size_t n = (size_t)e->bytes;
    struct weft_str packed = weft_str_sub(z->bytes, (size_t)e->data_at, (size_t)(e->data_at + e->packed_bytes));
    char *p = weft_arena_alloc(a, n + 1);
    if (!p) return weft_fail_nomem(err, n + 1, "a part of a zip archive");
    if (e->method == 8) st = inflate_part(z, packed, e, p, name, err);
    else if (n) memcpy(p, packed.s, n);
    p[n] = '\0';
    uLong crc = crc32_z(crc32_z(0, NULL, 0), (const unsigned char *)p, n);
    if (!st && crc != e->crc)
        st = weft_fail_rule(err, WEFT_EINPUT, "ZP5",
                            "%s: byte %" PRIu64 ": part %s is damaged: its checksum is %08lx, expected %08lx", z->file,
                            e->data_at, name, (unsigned long)crc, (unsigned long)e->crc);
    if (st) {
        weft_arena_release(a, mark);
        return st;
    }
    z->read_bytes += n;
    *out = (struct weft_str){ p, n };
    return WEFT_OK;
}

/* ---- what kind of container ---- */

struct clues {
    bool any, content_types, word, sheet, slides, container;
    enum weft_zip_kind by_mimetype;
};

static void look_at_name(struct clues *c, struct weft_str name)
{
    c->any = true;
    if (weft_str_is(name, "[Content_Types].xml") || weft_str_is(name, "_rels/.rels")) c->content_types = true;
    else if (weft_str_starts(name, WEFT_STR("word/"))) c->word = true;
    else if (weft_str_starts(name, WEFT_STR("xl/"))) c->sheet = true;
    else if (weft_str_starts(name, WEFT_STR("ppt/"))) c->slides = true;
    else if (weft_str_is(name, "META-INF/container.xml")) c->container = true;
}

/* The stored entry "mimetype" that epub and OpenDocument begin with. */
static enum weft_zip_kind by_mimetype(struct weft_str b)
{
    static const struct {
        struct weft_str text;
        enum weft_zip_kind kind;
    } kinds[] = {
        { WEFT_STR("application/epub+zip"), WEFT_ZIP_EPUB },
        { WEFT_STR("application/vnd.oasis.opendocument.text"), WEFT_ZIP_ODT },
        { WEFT_STR("application/vnd.oasis.opendocument.spreadsheet"), WEFT_ZIP_ODS },
        { WEFT_STR("application/vnd.oasis.opendocument.presentation"), WEFT_ZIP_ODP },
    };
    if (!weft_str_eq(weft_str_sub(b, LOCAL_BYTES, LOCAL_BYTES + 8), WEFT_STR("mimetype"))) return WEFT_ZIP_NOT;
    struct weft_str rest = weft_str_skip(b, LOCAL_BYTES + 8 + (size_t)get16(b, 28));
    for (size_t i = 0; i < WEFT_COUNT(kinds); i++)
        if (weft_str_starts(rest, kinds[i].text)) return kinds[i].kind;
    return WEFT_ZIP_NOT;
}

enum weft_zip_kind weft_zip_kind(struct weft_str b)
{
    struct clues c = { 0 };
    enum { LOOK_AT = 20000, LOOK_INTO = 64 << 10 };
    if (has(b, 0, "PK\5\6", END_BYTES)) return WEFT_ZIP_EMPTY;
    if (!has(b, 0, "PK\3\4", 4)) return WEFT_ZIP_NOT;
    if (b.len < LOCAL_BYTES) return WEFT_ZIP_CUT;
    c.by_mimetype = by_mimetype(b);
    if (c.by_mimetype) return c.by_mimetype;
    size_t end = find_end(b);
    if (end != SIZE_MAX) {
        size_t at = get32(b, end + 16);
        for (size_t i = 0; i < LOOK_AT && has(b, at, "PK\1\2", CENTRAL_BYTES); i++) {
            size_t name_len = get16(b, at + 28);
            look_at_name(&c, weft_str_sub(b, at + CENTRAL_BYTES, at + CENTRAL_BYTES + name_len));
            at += CENTRAL_BYTES + name_len + get16(b, at + 30) + get16(b, at + 32);
        }
    }
    /* The directory is lost: local headers near the start, wherever they are. */
    for (size_t at = 0; !c.any && at < LOOK_INTO && has(b, at, "PK\3\4", LOCAL_BYTES);) {
        do {
            look_at_name(&c, weft_str_sub(b, at + LOCAL_BYTES, at + LOCAL_BYTES + get16(b, at + 26)));
            at = weft_str_find(weft_str_sub(b, 0, LOOK_INTO), WEFT_STR("PK\3\4"), at + 4);
        } while (at != SIZE_MAX && has(b, at, "PK\3\4", LOCAL_BYTES));
    }
    if (c.content_types || c.word)
        return c.word ? WEFT_ZIP_DOCX : c.sheet ? WEFT_ZIP_XLSX : c.slides ? WEFT_ZIP_PPTX : WEFT_ZIP_DOCX;
    if (c.container) return WEFT_ZIP_EPUB;
    return end == SIZE_MAX ? WEFT_ZIP_CUT : WEFT_ZIP_OTHER;
}
