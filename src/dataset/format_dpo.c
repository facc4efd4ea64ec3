/* OpenAI's preference fine-tuning lines: {"input": {"messages", "tools", "parallel_tool_calls"},
 * "preferred_output": [message], "non_preferred_output": [message]}.  In memory a preference row like any other. 
 * parallel_tool_calls, which nobody here reads, is kept with the row's other members and goes back into input. */
#include "dataset/format_parts.h"

#include "base/lang.h"

static const struct weft_str known[] = {
    WEFT_NAME("input"), WEFT_NAME("preferred_output"), WEFT_NAME("non_preferred_output"),
    WEFT_NAME("kto_tag"), WEFT_NAME("weft"), WEFT_NO_NAME
};
static const struct weft_str input_known[] = {
    WEFT_NAME("messages"), WEFT_NAME("tools"), WEFT_NO_NAME
};
static const char INSIDE[] = "parallel_tool_calls";

static enum weft_status read_dpo(struct weft_row_reader *r, const struct weft_json_value *v, struct weft_row *row)
{
    const struct weft_json_value *input = weft_json_get(v, "input"), *messages = weft_json_get(input, "messages"),
                                 *good = weft_row_member(r, v, "preferred_output"),
                                 *bad = weft_row_member(r, v, "non_preferred_output");
    struct weft_str inner, outer;
    if (!messages) return weft_row_bad(r, v, "DS5", "input.messages is missing", NULL);
    if (!bad) return weft_row_bad(r, v, "DS5", "non_preferred_output is missing", NULL);
    enum weft_status st = weft_row_messages(r, messages, true, row);
    if (!st) st = weft_row_answer_message(r, good, "preferred_output is not one answer", &row->chosen);
    if (!st) st = weft_row_answer_message(r, bad, "non_preferred_output is not one answer", &row->rejected);
    if (!st) st = weft_row_tools(r, weft_json_get(input, "tools"), row);
    if (!st) st = weft_row_kto(r, weft_row_member(r, v, "kto_tag"), row);
    if (!st) st = weft_row_extra(r, input, input_known, &inner);
    if (!st) st = weft_row_extra(r, v, known, &outer);
    if (st) return st;
    row->extra = outer.s ? outer : inner;
    if (!inner.s || !outer.s) return WEFT_OK;
    struct weft_buf b = { 0 };      /* {inner} and {outer} as one object */
    weft_buf_str(&b, weft_str_sub(inner, 0, inner.len - 1));
    weft_buf_char(&b, ',');
    weft_buf_str(&b, weft_str_skip(outer, 1));
    row->extra = weft_str_dup(r->arena, weft_buf_view(&b));
    weft_buf_clear(&b);
    return row->extra.s ? WEFT_OK : weft_fail_nomem(r->err, inner.len + outer.len, "a row");
}

static enum weft_status out_answer(struct weft_json_out *o, const char *key, const struct weft_turn *turn,
                                   struct weft_err *err)
{
    weft_json_out_key(o, key);
    weft_json_out_array(o);
    enum weft_status st = weft_json_out_message(o, turn, err);
    weft_json_out_array_end(o);
    return st;
}

/* Members nobody reads: the one that belongs into input, or all others. */
static enum weft_status out_extra(struct weft_json_out *o, struct weft_str extra, bool inside, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_json_value v = { 0 };
    struct weft_buf b = { 0 };
    struct weft_json_out rest;
    enum weft_status st = extra.s ? weft_json_parse(&a, "row", extra, &v, err) : WEFT_OK;
    const struct weft_json_value *calls = weft_json_get(&v, INSIDE);
    if (!st && inside && calls) {
        weft_json_out_key(o, INSIDE);
        weft_json_out_value(o, calls);
    }
    weft_json_out_init(&rest, &b);
    weft_json_out_object(&rest);
    for (size_t i = 0; !st && !inside && i < v.n; i++) {
        if (weft_str_is(v.keys[i], INSIDE)) continue;
        weft_json_out_key_str(&rest, v.keys[i]);
        weft_json_out_value(&rest, &v.items[i]);
    }
    weft_json_out_object_end(&rest);
    if (!st) st = weft_buf_check(&b, "a row", err);
    if (!st && !inside && extra.s) st = weft_json_out_extra(o, weft_buf_view(&b), err);
    weft_buf_clear(&b);
    weft_arena_clear(&a);
    return st;
}

static enum weft_status write_dpo(struct weft_json_out *o, const struct weft_row *row, struct weft_err *err)
{
    if (!row->chosen.text.s || !row->rejected.text.s)
        return weft_fail(err, WEFT_EINPUT,
                         "this row has no chosen and rejected answers; write alpaca, sharegpt or messages");
    weft_json_out_key(o, "input");
    weft_json_out_object(o);
    weft_json_out_key(o, "messages");
    enum weft_status st = weft_json_out_messages(o, row, err);
    if (!st && row->tools.s) {
        weft_json_out_key(o, "tools");
        st = weft_json_out_text(o, row->tools, err);
    }
    if (!st) st = out_extra(o, row->extra, true, err);
    weft_json_out_object_end(o);
    if (!st) st = out_answer(o, "preferred_output", &row->chosen, err);
    if (!st) st = out_answer(o, "non_preferred_output", &row->rejected, err);
    return st ? st : out_extra(o, row->extra, false, err);
}

const struct weft_row_format weft_format_dpo = {
    .id = WEFT_FORMAT_DPO,
    .name = "dpo",
    .help = "OpenAI preference lines: input.messages, preferred_output, non_preferred_output",
    .help_zh = "OpenAI 偏好数据：input.messages、preferred_output、non_preferred_output",
    .key = WEFT_NAME("preferred_output"),
    .read = read_dpo,
    .write = write_dpo,
};
