/* Help, two columns: the flag, and what it does.  Widths are those of a terminal: a Chinese character takes two
 * columns, and a line may be broken before any of them. */
#include "base/option_parts.h"

#include <math.h>
#include <stdio.h>

enum { TEXT_COLUMN = 30, LINE_COLUMNS = 100 };

static void spaces(struct weft_buf *out, size_t n)
{
    while (n--) weft_buf_char(out, ' ');
}

/* Adds text from column `at` on, broken at spaces and around wide characters, never before closing punctuation. */
static void wrapped(struct weft_buf *out, struct weft_str text, size_t at)
{
    size_t i = 0;
    while (i < text.len) {
        size_t end = i; /* the longest piece that must stay together */
        do {
            uint32_t cp;
            size_t n = weft_utf8_decode(text.s + end, text.len - end, &cp, NULL);
            if (cp == ' ' && end > i) break;
            end += n;
            if (weft_utf8_width(weft_str_sub(text, end - n, end)) != 2 || end >= text.len) continue;
            struct weft_str rest = weft_str_skip(text, end);
            if (!weft_str_starts(rest, WEFT_STR("，")) && !weft_str_starts(rest, WEFT_STR("。"))
                && !weft_str_starts(rest, WEFT_STR("）")) && !weft_str_starts(rest, WEFT_STR("；"))
                && !weft_str_starts(rest, WEFT_STR("、")) && !weft_str_starts(rest, WEFT_STR("：")))
                break;
        } while (end < text.len);
        struct weft_str piece = weft_str_sub(text, i, end);
        size_t width = weft_utf8_width(piece);
        if (at > TEXT_COLUMN && at + width > LINE_COLUMNS) {
            weft_buf_char(out, '\n');
            spaces(out, TEXT_COLUMN);
            at = TEXT_COLUMN;
            piece = weft_str_trim_ascii(piece);
            width = weft_utf8_width(piece);
        }
        weft_buf_str(out, piece);
        at += width;
        i = end;
    }
    weft_buf_char(out, '\n');
}

static const char *value_name(const struct weft_option *row)
{
    switch (row->type) {
    case WEFT_OPT_INT: return " N";
    case WEFT_OPT_FLOAT: return " X";
    case WEFT_OPT_STRING: return " TEXT";
    case WEFT_OPT_CHOICE: return " NAME";
    case WEFT_OPT_LIST: return " A,B";
    case WEFT_OPT_BOOL: break;
    }
    return "";
}

/* A part of the remark in brackets behind the text. */
static void remark(struct weft_buf *b, enum weft_lang lang, const char *text)
{
    bool zh = lang == WEFT_LANG_ZH;
    if (!b->len) weft_buf_cstr(b, zh ? "（" : " (");
    else weft_buf_cstr(b, zh ? "，" : ", ");
    weft_buf_cstr(b, text);
}

static void add_number(char *out, size_t n, double v) { snprintf(out, n, "%.10g", v); }

static void describe(const struct weft_option *row, enum weft_lang lang, struct weft_buf *text)
{
    bool zh = lang == WEFT_LANG_ZH;
    struct weft_buf more = { 0 }, part = { 0 };
    weft_buf_cstr(text, zh && row->help_zh ? row->help_zh : row->help ? row->help : "");
    if (row->type == WEFT_OPT_CHOICE) {
        weft_buf_cstr(text, zh ? "：" : ": ");
        for (int i = 0; weft_option_choice(row, i).len; i++) {
            if (i) weft_buf_cstr(text, zh ? "、" : ", ");
            weft_buf_str(text, weft_option_choice(row, i));
        }
    }
    if (row->unit && row->unit[0]) remark(&more, lang, weft_tr(lang, row->unit));
    if ((row->min != 0 || row->max != 0) && row->max != INFINITY) {
        char low[32], high[32];
        add_number(low, sizeof low, row->min);
        add_number(high, sizeof high, row->max);
        weft_buf_printf(&part, zh ? "%s 至 %s" : "%s to %s", low, high);
        remark(&more, lang, part.s ? part.s : "");
    }
    if (row->def && row->def[0]) {
        weft_buf_reset(&part);
        weft_buf_printf(&part, zh ? "默认 %s" : "default %s", row->def);
        remark(&more, lang, part.s ? part.s : "");
    }
    if (more.len) {
        weft_buf_str(text, weft_buf_view(&more));
        weft_buf_cstr(text, zh ? "）" : ")");
    }
    weft_buf_clear(&part);
    weft_buf_clear(&more);
}

void weft_options_help(struct weft_option_table t, enum weft_lang lang, struct weft_buf *out)
{
    struct weft_buf flag = { 0 }, text = { 0 };
    bool heading;
    for (size_t i = weft_option_next(t, SIZE_MAX, &heading), n = 0; i < t.n;
         i = weft_option_next(t, i, &heading), n++) {
        const struct weft_option *row = &t.rows[i];
        if (heading && n) weft_buf_char(out, '\n');
        if (heading && row->group) {
            weft_buf_cstr(out, weft_tr(lang, row->group));
            weft_buf_cstr(out, lang == WEFT_LANG_ZH ? "：\n" : ":\n");
        }
        weft_buf_reset(&flag);
        weft_buf_reset(&text);
        if (row->short_flag)
            weft_buf_printf(&flag, "  -%c, --%s%s", row->short_flag, row->key, value_name(row));
        else weft_buf_printf(&flag, "  --%s%s", row->key, value_name(row));
        describe(row, lang, &text);
        weft_buf_str(out, weft_buf_view(&flag));
        if (flag.len + 2 > TEXT_COLUMN) {
            weft_buf_char(out, '\n');
            spaces(out, TEXT_COLUMN);
        } else spaces(out, TEXT_COLUMN - flag.len);
        wrapped(out, weft_buf_view(&text), TEXT_COLUMN);
    }
    weft_buf_clear(&flag);
    weft_buf_clear(&text);
}

/* ---- manual pages ---- */

void weft_man_text(struct weft_buf *out, struct weft_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool line_start = i == 0 || text.s[i - 1] == '\n';
        if (line_start && (text.s[i] == '.' || text.s[i] == '\'')) weft_buf_cstr(out, "\\&");
        if (text.s[i] == '\\') weft_buf_cstr(out, "\\e");
        else if (text.s[i] == '-') weft_buf_cstr(out, "\\-");
        else weft_buf_char(out, text.s[i]);
    }
}

void weft_options_man(struct weft_option_table t, enum weft_lang lang, struct weft_buf *out)
{
    struct weft_buf text = { 0 };
    bool heading;
    for (size_t i = weft_option_next(t, SIZE_MAX, &heading); i < t.n; i = weft_option_next(t, i, &heading)) {
        const struct weft_option *row = &t.rows[i];
        if (heading && row->group) weft_buf_printf(out, ".SS \"%s\"\n", weft_tr(lang, row->group));
        weft_buf_cstr(out, ".TP\n");
        if (row->short_flag) weft_buf_printf(out, "\\fB\\-%c\\fR, ", row->short_flag);
        weft_buf_cstr(out, "\\fB\\-\\-");
        weft_man_text(out, weft_str_c(row->key));
        weft_buf_printf(out, "\\fR\\fI%s\\fR\n", value_name(row));
        weft_buf_reset(&text);
        describe(row, lang, &text);
        weft_man_text(out, weft_buf_view(&text));
        weft_buf_char(out, '\n');
    }
    weft_buf_clear(&text);
}
