/* Any bytes through the JSON reader.  What is accepted must survive writing and reading again unchanged, the
 * pull reader must agree with the tree, and so must the tree in one pass with the one by the reader. */
#include "base/json_parts.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void write_value(struct weft_buf *b, const struct weft_json_value *v, int indent, bool ascii)
{
    struct weft_json_out o;
    weft_json_out_init(&o, b);
    o.indent = indent;
    o.ascii = ascii;
    weft_json_out_value(&o, v);
    check(!b->failed);
}

/* Line by line, keys foreseen from the lines before, and without: the same values and the same faults. */
static void check_lines(struct weft_arena *a, struct weft_str text, struct weft_buf *once, struct weft_buf *twice)
{
    struct weft_json_memo memo = { 0 };
    for (size_t at = 0, end; at < text.len; at = end + 1) {
        end = weft_min_size(weft_str_find(text, WEFT_STR("\n"), at), text.len);
        struct weft_err err = { 0 }, plain_err = { 0 };
        struct weft_json_value v, by_reader;
        struct weft_json j, plain;
        if (weft_json_init_row(&j, a, "fuzz", 1, weft_str_sub(text, at, end), &err)) continue;
        check(!weft_json_init_row(&plain, a, "fuzz", 1, weft_str_sub(text, at, end), &plain_err));
        j.memo = &memo;
        enum weft_status st = weft_json_tree(&j, &v, &err);
        check(st == weft_json_tree_plain(&plain, &by_reader, &plain_err));
        check(strcmp(err.msg, plain_err.msg) == 0 && (st || j.at == plain.at));
        if (st) continue;
        weft_buf_reset(once);
        weft_buf_reset(twice);
        write_value(once, &v, 0, false);
        write_value(twice, &by_reader, 0, false);
        check(weft_str_eq(weft_buf_view(once), weft_buf_view(twice)));
    }
    weft_buf_reset(once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_str text = { (const char *)data, size };
    struct weft_json_value v, again;
    struct weft_json j;
    struct weft_buf once = { 0 }, form = { 0 }, twice = { 0 };

    enum weft_status st = weft_json_parse(&a, "fuzz", text, &v, &err), skipped;
    check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0]));
    weft_err_clear(&err);
    skipped = weft_json_init(&j, &a, "fuzz", text, &err);
    if (!skipped) skipped = weft_json_skip(&j, &err);
    if (!skipped) skipped = weft_json_end(&j, &err);
    check(st == skipped);
    struct weft_err plain_err = { .lang = err.lang }, quick_err = { .lang = err.lang };
    struct weft_json quick, plain;
    st = weft_json_init(&quick, &a, "fuzz", text, &quick_err);
    if (!st && !weft_json_init(&plain, &a, "fuzz", text, &plain_err)) {
        struct weft_json_value by_reader;
        st = weft_json_tree(&quick, &v, &quick_err);
        check(st == weft_json_tree_plain(&plain, &by_reader, &plain_err));
        check(strcmp(quick_err.msg, plain_err.msg) == 0 && (st || quick.at == plain.at));
        if (!st) {
            write_value(&once, &v, 0, false);
            write_value(&twice, &by_reader, 0, false);
            check(weft_str_eq(weft_buf_view(&once), weft_buf_view(&twice)));
            weft_buf_reset(&once);
        }
    }
    check_lines(&a, text, &once, &twice);
    st = skipped;
    if (!st) {
        /* Once written, the text is a fixed point: compact, indented and ASCII forms all mean the same. */
        write_value(&once, &v, 0, false);
        for (int i = 0; i < 3; i++) {
            weft_buf_reset(&form);
            weft_buf_reset(&twice);
            write_value(&form, &v, i == 1 ? 2 : 0, i == 2);
            check(weft_json_parse(&a, "again", weft_buf_view(&form), &again, &err) == WEFT_OK);
            write_value(&twice, &again, 0, false);
            check(weft_str_eq(weft_buf_view(&once), weft_buf_view(&twice)));
        }
    }
    weft_buf_clear(&once);
    weft_buf_clear(&form);
    weft_buf_clear(&twice);
    weft_arena_clear(&a);
    return 0;
}
