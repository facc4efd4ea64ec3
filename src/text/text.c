#include "text/text.h"

#include "base/file.h"
#include "base/lang.h"
#include "base/pool.h"

#include <stdarg.h>
#include <stdio.h>

#include <utf8proc.h>

const char *weft_charset_name(enum weft_charset c)
{
    static const char *const names[] = { "auto", "utf-8", "gb18030", "big5", "utf-16le", "utf-16be" };
    return (unsigned)c < WEFT_COUNT(names) ? names[c] : "?";
}

static bool looks_like(const struct weft_reader *r, struct weft_str bytes, struct weft_str name)
{
    return r->sniff_named ? r->sniff_named(bytes, name) : r->sniff(bytes);
}

/* ---- reading and hashing, side by side ---- */

/* Below this a thread is not worth its start. */
enum { LONG_FILE = 1 << 20 };

struct reading {
    struct weft_arena *arena;
    struct weft_str bytes;
    const struct weft_text_settings *s;
    const struct weft_reader *reader;
    struct weft_text *t;
    struct weft_err *err;
    enum weft_status st, st_hash;
    struct weft_err err_hash;
};

static void read_or_hash(void *ctx, size_t chunk, int thread)
{
    struct reading *r = ctx;
    (void)thread;
    if (chunk) r->st = r->reader->read(r->arena, r->bytes, r->s, r->t, r->err);
    else r->st_hash = weft_sha256_of(r->bytes, r->t->sha256, &r->err_hash);
}

static enum weft_status read_and_hash(struct reading *r)
{
    struct weft_pool *pool = NULL;
    /* Where no thread can be had this one does both. */
    if (r->bytes.len >= LONG_FILE && r->s->threads != 1 && weft_pool_new(&pool, 2, NULL)) pool = NULL;
    weft_pool_run(pool, 2, read_or_hash, r);
    weft_pool_free(pool);
    return r->st ? r->st : r->st_hash ? weft_fail(r->err, r->st_hash, "%s", r->err_hash.msg) : WEFT_OK;
}

enum weft_status weft_text_from_memory(struct weft_arena *a, const char *name, struct weft_str bytes,
                                       const struct weft_text_settings *s, struct weft_text *out,
                                       struct weft_err *err)
{
    static const struct weft_text_settings defaults;
    struct weft_text t = { .bytes = bytes.len };
    size_t n;
    const struct weft_reader *const *readers = weft_readers(&n);
    enum weft_status st;

    if (!s) s = &defaults;
    t.name = weft_str_dup(a, weft_str_c(name));
    if (!t.name.s) return weft_fail_nomem(err, strlen(name) + 1, "the file name");
    if (!bytes.len)
        return weft_fail_rule(err, WEFT_EINPUT, "TX5", "%s: no text: the file is empty", name);
    const struct weft_reader *reader = NULL;
    if (s->reader && strcmp(s->reader, "auto") != 0) {
        st = weft_reader_find(s->reader, &reader, err);
        if (st) return st;
    }
    for (size_t i = 0; !reader; i++)
        if (i + 1 == n || looks_like(readers[i], bytes, t.name)) reader = readers[i];
    t.format = reader->name;
    st = read_and_hash(&(struct reading){ a, bytes, s, reader, &t, err, WEFT_OK, WEFT_OK, { .lang = WEFT_LANG_EN } });
    if (!st) *out = t;
    return st;
}

enum weft_status weft_text_read(struct weft_arena *a, const char *path, const struct weft_text_settings *s,
                                struct weft_text *out, struct weft_err *err)
{
    struct weft_str bytes;
    enum weft_status st =
        weft_file_read(a, path, s && s->max_bytes > 0 ? (uint64_t)s->max_bytes : 0, &bytes, err);
    if (st) return st;
    return weft_text_from_memory(a, path, bytes, s, out, err);
}

uint64_t weft_text_line_of(const struct weft_text *t, size_t at)
{
    size_t low = 0, high = t->n_lines;      /* the last line that begins at or before `at` */
    while (low + 1 < high) {
        size_t mid = low + (high - low) / 2;
        if (t->lines[mid].at <= at) low = mid;
        else high = mid;
    }
    return low + 1;
}

const struct weft_text_section *weft_text_section_of(const struct weft_text *t, size_t i)
{
    size_t low = 0, high = t->n_sections;   /* the last section that begins at or before line i */
    if (!high) return NULL;
    while (low + 1 < high) {
        size_t mid = low + (high - low) / 2;
        if (t->sections[mid].first_line <= i) low = mid;
        else high = mid;
    }
    return &t->sections[low];
}

uint64_t weft_text_page_of(const struct weft_text *t, size_t i)
{
    const struct weft_text_section *s = weft_text_section_of(t, i);
    return s ? s->page : 0;
}

struct weft_text_span weft_text_span_of(const struct weft_text *t, size_t first, size_t last)
{
    struct weft_text_span span = { .begin = t->lines[first].begin, .end = t->lines[first].end };
    const struct weft_text_section *s = weft_text_section_of(t, first);
    if (s) {
        const struct weft_text_section *end = t->sections + t->n_sections;
        span.page = s->page;
        span.last_page = s->last_page > s->page ? s->last_page : s->page;
        if (s->part.len) span.part = s->part;
        for (const struct weft_text_section *next = s + 1; next < end && next->first_line <= last; next++)
            if (!weft_str_eq(next->part, s->part)) last = next->first_line - 1;
            else if (next->page) span.last_page = next->last_page > next->page ? next->last_page : next->page;
    }
    if (t->lines[last].end > span.end) span.end = t->lines[last].end;
    return span;
}

enum weft_status weft_text_section_add(struct weft_arena *a, struct weft_text *t, struct weft_text_section s,
                                       struct weft_err *err)
{
    if (t->n_sections && t->sections[t->n_sections - 1].first_line == s.first_line) t->n_sections--;
    if (t->n_sections == t->cap_sections) {
        size_t cap = t->cap_sections ? 2 * t->cap_sections : 16;
        struct weft_text_section *more = WEFT_NEWS(a, struct weft_text_section, cap);
        if (!more) return weft_fail_nomem(err, cap * sizeof *more, "the sections of a text");
        if (t->n_sections) memcpy(more, t->sections, t->n_sections * sizeof *more);
        t->sections = more;
        t->cap_sections = cap;
    }
    t->sections[t->n_sections++] = s;
    return WEFT_OK;
}

enum weft_status weft_text_note(struct weft_arena *a, struct weft_text *t, struct weft_err *err, const char *fmt,
                                ...)
{
    char text[1024];
    va_list ap;
    if (t->n_notes == WEFT_TEXT_PLACES) return WEFT_OK;
    va_start(ap, fmt);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    /* A translation has the same conversions in the same order: tests/base/test_lang.c checks the catalogue. */
    int n = vsnprintf(text, sizeof text, weft_tr(err ? err->lang : WEFT_LANG_EN, fmt), ap);
#pragma GCC diagnostic pop
    va_end(ap);
    if (n >= (int)sizeof text) text[weft_utf8_check(weft_str_c(text))] = '\0';
    if (!t->notes) t->notes = WEFT_NEWS(a, struct weft_str, WEFT_TEXT_PLACES);
    struct weft_str kept = t->notes ? weft_str_dup(a, weft_str_c(text)) : (struct weft_str){ NULL, 0 };
    if (!kept.s) return weft_fail_nomem(err, sizeof text, "a note");
    t->notes[t->n_notes++] = kept;
    return WEFT_OK;
}

bool weft_text_visible(struct weft_str text)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t cp;
        i += weft_utf8_decode(text.s + i, text.len - i, &cp, NULL);
        switch (utf8proc_category((utf8proc_int32_t)cp)) {
        case UTF8PROC_CATEGORY_CN: case UTF8PROC_CATEGORY_CC: case UTF8PROC_CATEGORY_CF: case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_ZS: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: continue;
        default: return true;
        }
    }
    return false;
}
