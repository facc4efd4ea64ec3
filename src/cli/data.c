/* weft data ...: the table of sub-verbs, and how they show figures. */
#include "cli/data.h"
#include "cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>

enum { LABEL_COLUMNS = 38 };

/* In the order of the road, one a line. */
static const struct weft_verb *const subverbs[] = {
    &weft_verb_data_script,
    &weft_verb_data_chunk,
    &weft_verb_data_prose,
    &weft_verb_data_ask,
    &weft_verb_data_augment,
    &weft_verb_data_check,
    &weft_verb_data_stats,
    &weft_verb_data_clean,
    &weft_verb_data_dedup,
    &weft_verb_data_convert,
    &weft_verb_data_split,
    &weft_verb_data_mix,
    &weft_verb_data_sample,
    &weft_verb_data_diff,
    &weft_verb_data_review,
    &weft_verb_data_apply,
    &weft_verb_data_trace,
    &weft_verb_data_show,
    &weft_verb_data_search,
    &weft_verb_data_import,
    &weft_verb_data_export,
    NULL,
};

const struct weft_verb weft_verb_data = {
    .name = "data",
    .usage = "VERB ...",
    .help = "build, check, convert, mix, split and look at datasets",
    .help_zh = "构建、检查、转换、混合、划分和查看数据集",
    .verbs = subverbs,
};

void weft_data_cell(struct weft_cli *cli, const char *text, size_t columns)
{
    size_t width = weft_utf8_width(weft_str_c(text));
    weft_put(cli, weft_str_c(text));
    for (; width < columns; width++) weft_put(cli, WEFT_STR(" "));
}

void weft_data_cell_right(struct weft_cli *cli, const char *text, size_t columns)
{
    for (size_t width = weft_utf8_width(weft_str_c(text)); width < columns; width++) weft_put(cli, WEFT_STR(" "));
    weft_put(cli, weft_str_c(text));
}

void weft_data_figure(struct weft_cli *cli, const char *label, uint64_t n, uint64_t of)
{
    char number[40];
    weft_put(cli, WEFT_STR("  "));
    weft_data_cell(cli, weft_tr(cli->lang, label), LABEL_COLUMNS);
    if (of) snprintf(number, sizeof number, "%10" PRIu64 "  %5.1f %%\n", n, 100.0 * (double)n / (double)of);
    else snprintf(number, sizeof number, "%10" PRIu64 "\n", n);
    weft_put(cli, weft_str_c(number));
}

void weft_data_names(struct weft_cli *cli, const char *label, const struct weft_check_item *items, size_t n,
                     size_t shown)
{
    struct weft_buf b = { 0 };
    if (!n) return;
    weft_buf_printf(&b, "  %s: ", weft_tr(cli->lang, label));
    for (size_t i = 0; i < n && i < shown; i++) {
        if (i) weft_buf_cstr(&b, ", ");
        weft_buf_escaped(&b, items[i].text, 60);
        weft_buf_printf(&b, " %" PRIu64, items[i].count);
    }
    if (n > shown) weft_buf_printf(&b, " ... (+%zu)", n - shown);
    weft_buf_char(&b, '\n');
    weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
}

void weft_data_line(struct weft_cli *cli, const char *prefix, struct weft_str text, size_t chars)
{
    struct weft_buf b = { 0 };
    size_t cut = weft_utf8_offset(text, chars);
    weft_buf_cstr(&b, prefix);
    weft_buf_escaped(&b, weft_str_sub(text, 0, cut), SIZE_MAX);
    if (cut < text.len) weft_buf_cstr(&b, "…");
    weft_buf_char(&b, '\n');
    weft_put(cli, weft_buf_view(&b));
    weft_buf_clear(&b);
}

void weft_data_reason(struct weft_buf *out, enum weft_lang lang, struct weft_str reason)
{
    /* Reasons of rows begin with their rule: two letters, digits, a colon. */
    size_t colon = weft_str_find(reason, WEFT_STR(": "), 0);
    struct weft_str words = reason;
    char key[256];
    if (colon != SIZE_MAX && colon >= 3 && colon <= 5 && reason.s[2] >= '0' && reason.s[2] <= '9') {
        weft_buf_str(out, weft_str_sub(reason, 0, colon + 2));
        words = weft_str_skip(reason, colon + 2);
    }
    snprintf(key, sizeof key, "%.*s", (int)weft_min_size(words.len, sizeof key - 1), words.s);
    weft_buf_cstr(out, weft_tr(lang, key));
}

void weft_data_drops(struct weft_cli *cli, const struct weft_report *r, size_t places)
{
    struct weft_buf b = { 0 };
    if (!r->n_drops) return;
    weft_say(cli, "left out:\n");
    for (size_t i = 0; i < r->n_drops; i++) {
        weft_buf_reset(&b);
        weft_data_reason(&b, cli->lang, r->drops[i].reason);
        if (b.s) weft_data_figure(cli, b.s, r->drops[i].count, 0);
    }
    if (places && r->n_places) weft_say(cli, "places:\n");
    for (size_t i = 0; i < r->n_places && i < places; i++) weft_data_line(cli, "  ", r->places[i], 200);
    if (places && weft_report_dropped(r) > places && r->n_places > 0)
        weft_say(cli, "  ... and %" PRIu64 " more; --places N shows up to 100\n",
                 weft_report_dropped(r) - weft_min_size(places, r->n_places));
    weft_buf_clear(&b);
}

/* ---- JSON ---- */

void weft_data_key_uint(struct weft_json_out *o, const char *key, uint64_t v)
{
    weft_json_out_key(o, key);
    weft_json_out_uint(o, v);
}

void weft_data_key_str(struct weft_json_out *o, const char *key, struct weft_str s)
{
    weft_json_out_key(o, key);
    if (s.s) weft_json_out_str(o, s);
    else weft_json_out_null(o);
}

void weft_data_json_units(struct weft_json_out *o, const struct weft_report *r)
{
    weft_data_key_uint(o, "units_in", r->units_in);
    weft_data_key_uint(o, "blank", r->blank);
}

void weft_data_json_items(struct weft_json_out *o, const char *key, const char *name, const char *count, bool first,
                          const struct weft_check_item *items, size_t n)
{
    weft_json_out_key(o, key);
    weft_json_out_array(o);
    for (size_t i = 0; i < n; i++) {
        weft_json_out_object(o);
        weft_data_key_str(o, name, items[i].text);
        weft_data_key_uint(o, count, items[i].count);
        if (first) weft_data_key_uint(o, "first_row", items[i].first_row + 1);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
}

void weft_data_json_drops(struct weft_json_out *o, const struct weft_report *r)
{
    weft_json_out_key(o, "dropped");
    weft_json_out_array(o);
    for (size_t i = 0; i < r->n_drops; i++) {
        weft_json_out_object(o);
        weft_data_key_str(o, "reason", r->drops[i].reason);
        weft_data_key_uint(o, "count", r->drops[i].count);
        weft_json_out_object_end(o);
    }
    weft_json_out_array_end(o);
    weft_json_out_key(o, "places");
    weft_json_out_array(o);
    for (size_t i = 0; i < r->n_places; i++) weft_json_out_str(o, r->places[i]);
    weft_json_out_array_end(o);
}

enum weft_status weft_data_print_json(struct weft_cli *cli, struct weft_buf *b)
{
    weft_buf_char(b, '\n');
    enum weft_status st = weft_buf_check(b, "the output", &cli->err);
    if (!st) weft_put(cli, weft_buf_view(b));
    weft_buf_clear(b);
    return st;
}

/* ---- verdicts ---- */

enum weft_status weft_data_partial(struct weft_cli *cli, const struct weft_report *r)
{
    uint64_t n = weft_report_dropped(r);
    if (!n) return WEFT_OK;
    return weft_fail(&cli->err, WEFT_EPARTIAL, "%" PRIu64 " of %" PRIu64 " rows were left out", n,
                     r->units_in - r->blank);
}

void weft_data_shape_note(struct weft_cli *cli, const char *path, const struct weft_rows_shape *shape)
{
    if (!shape->mislabelled) return;
    if (shape->layout == WEFT_LAYOUT_ARRAY)
        weft_warn(cli, "%s holds one JSON value, not JSON lines as its name says; read all the same", path);
    else weft_warn(cli, "%s holds JSON lines, not one JSON value as its name says; read all the same", path);
}

const char *weft_data_format_name(enum weft_format f)
{
    size_t n;
    const struct weft_row_format *const *formats = weft_row_formats(&n);
    for (size_t i = 0; i < n; i++)
        if (formats[i]->id == f) return formats[i]->name;
    return "mixed";
}
