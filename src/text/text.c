#include "text/text.h"

#include "base/file.h"

const char *weft_charset_name(enum weft_charset c)
{
    static const char *const names[] = { "auto", "utf-8", "gb18030", "big5", "utf-16le", "utf-16be" };
    return (unsigned)c < WEFT_COUNT(names) ? names[c] : "?";
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
    st = weft_sha256_of(bytes, t.sha256, err);
    if (st) return st;
    size_t i = 0;
    while (i + 1 < n && !readers[i]->sniff(bytes)) i++;
    t.format = readers[i]->name;
    st = readers[i]->read(a, bytes, s, &t, err);
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
