#include "cli/data_quality.h"

enum weft_status weft_data_quality_settings(struct weft_cli *cli, const struct weft_data_quality *q,
                                            struct weft_quality_settings *out)
{
    struct weft_str text, line;
    *out = q->s;
    if (!q->examples) return WEFT_OK;
    enum weft_status st = weft_file_read(&cli->arena, q->examples, (uint64_t)1 << 20, &text, &cli->err);
    if (st) return st;
    struct weft_lines lines = { .text = text };
    size_t n = 0;
    while (weft_lines_next(&lines, &line)) n++;
    struct weft_str *list = WEFT_NEWS(&cli->arena, struct weft_str, n + 1);
    if (!list) return weft_fail_nomem(&cli->err, n * sizeof *list, "the examples");
    lines = (struct weft_lines){ .text = text };
    for (size_t i = 0; weft_lines_next(&lines, &line); i++) list[i] = line;
    out->examples = list;
    out->n_examples = n;
    return WEFT_OK;
}

void weft_data_left_out(struct weft_buf *b, enum weft_lang lang, struct weft_str reason)
{
    struct weft_str sign =
        weft_str_starts(reason, WEFT_STR("quality: ")) ? weft_str_skip(reason, 9) : (struct weft_str){ 0 };
    for (size_t i = 0; sign.len && i < WEFT_N_QUALITY; i++)
        if (weft_str_is(sign, weft_quality_rules()[i].name)) {
            weft_buf_cstr(b, weft_tr(lang, weft_quality_rules()[i].help));
            return;
        }
    weft_data_reason(b, lang, reason);
}
