/* Any text as a screenplay, in every mode; the first line chooses role and settings.  The account of lines
 * must balance, rows must alternate, and their origins must lie within the text. */
#include "dataset/screenplay.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static void check_rows(const struct weft_rows *rows, const struct weft_text *texts)
{
    for (size_t i = 0; i < rows->n; i++) {
        const struct weft_row *row = &rows->items[i];
        const struct weft_origin *o = &row->origin;
        check(row->n_turns >= 2 && row->n_turns % 2 == 0);
        for (size_t t = 0; t < row->n_turns; t++) {
            check(row->turns[t].role == (t & 1 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER));
            check(row->turns[t].text.s && weft_utf8_check(row->turns[t].text) == row->turns[t].text.len);
        }
        const struct weft_text *text = weft_str_eq(o->file, texts[0].name) ? &texts[0] : &texts[1];
        check(o->line >= 1 && o->last_line >= o->line && o->last_line <= text->n_lines);
        check(o->byte_begin <= o->byte_end && o->byte_end <= text->bytes);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_script_settings s = { 0 };
    struct weft_text texts[2];
    if (size < 4 || weft_options_defaults(weft_script_options(), &s, &a, &err)) goto done;
    struct weft_text_settings utf8 = { .charset = WEFT_CHARSET_UTF8 };
    struct weft_str all = weft_str_dup(&a, (struct weft_str){ (const char *)data + 2, size - 2 });
    size_t lf = weft_str_find(all, WEFT_STR("\n"), 0), half = lf == SIZE_MAX ? 0 : lf + (all.len - lf) / 2;
    if (!all.s || lf == SIZE_MAX) goto done;
    if (weft_text_from_memory(&a, "one", weft_str_sub(all, lf + 1, half), &utf8, &texts[0], &err)) goto done;
    weft_err_clear(&err);
    if (weft_text_from_memory(&a, "two", weft_str_skip(all, half), &utf8, &texts[1], &err)) goto done;
    s.role = weft_arena_strndup(&a, all.s, lf);
    s.mode = data[0] % 3;
    s.turns = data[0] / 3 & 1;
    s.chorus = data[0] / 6 & 1;
    s.review = data[0] / 12 & 1;
    s.narration_prompt = data[1] & 1;
    s.keep_per_prompt = data[1] >> 1 & 1;
    s.min_answer_chars = data[1] >> 2 & 3;
    if (data[1] & 16) s.system = "{role}{speaker}{episode}{scene}{";
    if (data[1] & 32) s.prefix = "{speaker}：";
    if (data[1] & 64) s.episodes = "1,3-";
    if (data[1] & 128) {
        check(!weft_options_set(weft_script_options(), &s, &a, "alias", "alias", "甲=乙,丙@2-", NULL, &err));
    }
    struct weft_rows rows = { 0 };
    struct weft_report report = { 0 };
    struct weft_script_funnel f = { 0 };
    weft_err_clear(&err);
    enum weft_status st = weft_script_rows(&a, texts, 2, &s, &rows, &report, &f, &err);
    check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_EARG) && err.msg[0]));
    if (f.lines) check(weft_script_balanced(&f, &report) && f.lines == texts[0].n_lines + texts[1].n_lines);
    check(f.rows == rows.n && f.answers >= f.rows);
    check_rows(&rows, texts);
done:
    weft_arena_clear(&a);
    return 0;
}
