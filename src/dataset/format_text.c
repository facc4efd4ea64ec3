/* Plain text rows for stage pt: {"text": ...}. */
#include "dataset/format_parts.h"

#include "base/lang.h"

static const struct weft_str known[] = {
    WEFT_NAME("text"), WEFT_NAME("weft"), WEFT_NO_NAME
};

static enum weft_status read_text(struct weft_row_reader *r, const struct weft_json_value *v,
                                  struct weft_row *row)
{
    const struct weft_json_value *text = weft_row_member(r, v, "text");
    if (text->kind != WEFT_JSON_STRING)
        return weft_row_bad(r, text, "DS3", "text is not a string", "found %s",
                            weft_tr(r->lang, weft_json_kind_name(text->kind)));
    enum weft_status st = weft_row_keep(r, text->text, &row->text);
    return st ? st : weft_row_extra(r, v, known, &row->extra);
}

static enum weft_status write_text(struct weft_json_out *o, const struct weft_row *row, struct weft_err *err)
{
    if (!row->text.s)
        return weft_fail(err, WEFT_EINPUT, "a conversation is no text row; write alpaca, sharegpt or messages");
    weft_json_out_key(o, "text");
    weft_json_out_str(o, row->text);
    return WEFT_OK;
}

const struct weft_row_format weft_format_text = {
    .id = WEFT_FORMAT_TEXT,
    .name = "text",
    .help = "text, for training without turns (stage pt)",
    .help_zh = "text，用于不分轮次的训练（stage: pt）",
    .key = WEFT_NAME("text"),
    .read = read_text,
    .write = write_text,
};
