/* Alpaca: instruction, input, output, system, history [[question, answer], ...].  The prompt is instruction + "\n" +
 * input; with one of them empty, the other alone, as LLaMA-Factory joins them.  Preference rows have chosen
 * and rejected in place of output. */
#include "dataset/format_parts.h"

#include "base/lang.h"

static const struct weft_str known[] = {
    WEFT_NAME("instruction"), WEFT_NAME("input"), WEFT_NAME("output"), WEFT_NAME("system"),
    WEFT_NAME("history"), WEFT_NAME("tools"), WEFT_NAME("kto_tag"), WEFT_NAME("weft"), WEFT_NO_NAME
};
static const struct weft_str known_preference[] = {
    WEFT_NAME("instruction"), WEFT_NAME("input"), WEFT_NAME("system"), WEFT_NAME("history"),
    WEFT_NAME("tools"), WEFT_NAME("chosen"), WEFT_NAME("rejected"), WEFT_NAME("kto_tag"),
    WEFT_NAME("weft"), WEFT_NO_NAME
};

static enum weft_status want_string(struct weft_row_reader *r, const struct weft_json_value *row,
                                    const struct weft_json_value *v, const char *absent, const char *wrong)
{
    if (!v) return weft_row_bad(r, row, "DS3", absent, NULL);
    if (v->kind == WEFT_JSON_STRING) return WEFT_OK;
    return weft_row_bad(r, v, "DS3", wrong, "found %s", weft_tr(r->lang, weft_json_kind_name(v->kind)));
}

/* "", null, or a list of pairs of strings. */
static enum weft_status check_history(struct weft_row_reader *r, const struct weft_json_value *v, size_t *n)
{
    *n = 0;
    if (!v || v->kind == WEFT_JSON_NULL || (v->kind == WEFT_JSON_STRING && !v->text.len)) return WEFT_OK;
    if (v->kind != WEFT_JSON_ARRAY)
        return weft_row_bad(r, v, "DS3", "history is not a list of [question, answer]", "found %s",
                            weft_tr(r->lang, weft_json_kind_name(v->kind)));
    for (size_t i = 0; i < v->n; i++) {
        const struct weft_json_value *pair = &v->items[i];
        if (pair->kind != WEFT_JSON_ARRAY || pair->n != 2 || pair->items[0].kind != WEFT_JSON_STRING
            || pair->items[1].kind != WEFT_JSON_STRING)
            return weft_row_bad(r, pair, "DS3", "history is not a list of [question, answer]", "item %zu",
                                i + 1);
    }
    *n = v->n;
    return 2 * v->n + 2 > WEFT_ROW_MAX_TURNS ? weft_row_bad(r, v, "DS8", "more than 10000 turns", NULL)
                                             : WEFT_OK;
}

static enum weft_status prompt(struct weft_row_reader *r, struct weft_str instruction, struct weft_str input,
                               struct weft_row *row, struct weft_str *out)
{
    if (!input.len) return weft_row_keep(r, instruction, out);
    row->split_input = true;
    row->instruction_len = instruction.len;
    if (!instruction.len) return weft_row_keep(r, input, out);
    size_t n = instruction.len + 1 + input.len;
    char *s = weft_arena_alloc(r->arena, n + 1);
    if (!s) return weft_fail_nomem(r->err, n + 1, "a row");
    memcpy(s, instruction.s, instruction.len);
    s[instruction.len] = '\n';
    memcpy(s + instruction.len + 1, input.s, input.len);
    s[n] = 0;
    *out = (struct weft_str){ s, n };
    return WEFT_OK;
}

static enum weft_status read_alpaca(struct weft_row_reader *r, const struct weft_json_value *v,
                                    struct weft_row *row)
{
    const struct weft_json_value *instruction = weft_row_member(r, v, "instruction"),
                                 *input = weft_row_member(r, v, "input");
    const struct weft_json_value *output = weft_row_member(r, v, "output"),
                                 *history = weft_row_member(r, v, "history");
    const struct weft_json_value *chosen = weft_row_member(r, v, "chosen"),
                                 *rejected = weft_row_member(r, v, "rejected");
    const struct weft_json_value *system = weft_row_member(r, v, "system"), *tools = weft_row_member(r, v, "tools"),
                                 *kto_tag = weft_row_member(r, v, "kto_tag");
    bool preference = chosen && rejected;
    struct weft_str input_text;
    size_t n_history, n = 0;
    enum weft_status st;

    st = want_string(r, v, instruction, "instruction is missing", "instruction is not a string");
    if (!st && !(preference && !output))
        st = want_string(r, v, output, "output is missing", "output is not a string");
    if (!st && preference) st = want_string(r, v, chosen, "", "chosen is not a string");
    if (!st && preference) st = want_string(r, v, rejected, "", "rejected is not a string");
    if (!st) st = weft_row_optional(r, input, "DS3", "input is not a string", &input_text);
    if (!st) st = weft_row_optional(r, system, "DS3", "system is not a string", &row->system);
    if (!st) st = check_history(r, history, &n_history);
    if (!st) st = weft_row_tools(r, tools, row);
    if (!st) st = weft_row_kto(r, kto_tag, row);
    if (st) return st;

    row->n_turns = 2 * n_history + 1 + !preference;
    row->turns = WEFT_NEWS(r->arena, struct weft_turn, row->n_turns);
    if (!row->turns) return weft_fail_nomem(r->err, row->n_turns * sizeof *row->turns, "a row");
    for (; !st && n < 2 * n_history; n++) {
        row->turns[n].role = n & 1 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER;
        st = weft_row_keep(r, history->items[n / 2].items[n & 1].text, &row->turns[n].text);
    }
    if (!st) st = prompt(r, instruction->text, input_text, row, &row->turns[n].text);
    if (!st) row->turns[n++].role = WEFT_ROLE_USER;
    if (!st && !preference) {
        row->turns[n].role = WEFT_ROLE_ASSISTANT;
        st = weft_row_keep(r, output->text, &row->turns[n].text);
    }
    if (!st && preference) {
        row->chosen.role = row->rejected.role = WEFT_ROLE_ASSISTANT;
        st = weft_row_keep(r, chosen->text, &row->chosen.text);
        if (!st) st = weft_row_keep(r, rejected->text, &row->rejected.text);
    }
    int n_read = (instruction != NULL) + (input != NULL) + (system != NULL) + (history != NULL) + (tools != NULL)
                 + (kto_tag != NULL) + (weft_json_get(v, "weft") != NULL)
                 + (preference ? 2 : output != NULL);
    if (!st && weft_row_no_extra(r, v, n_read)) return WEFT_OK;
    return st ? st : weft_row_extra(r, v, preference ? known_preference : known, &row->extra);
}

static void out_member(struct weft_json_out *o, const char *key, struct weft_str s)
{
    weft_json_out_key(o, key);
    weft_json_out_str(o, s);
}

static enum weft_status write_alpaca(struct weft_json_out *o, const struct weft_row *row, struct weft_err *err)
{
    bool preference = row->chosen.text.s != NULL;
    size_t n = row->n_turns;
    if (!n || (n & 1) == (preference ? 0u : 1u))
        return weft_fail(err, WEFT_EINPUT,
                         "Alpaca needs questions and answers in turn; this row has %zu turns", n);
    for (size_t i = 0; i < n; i++)
        if (row->turns[i].role != (i & 1 ? WEFT_ROLE_ASSISTANT : WEFT_ROLE_USER))
            return weft_fail(err, WEFT_EINPUT,
                             "Alpaca has no place for turn %zu of this row (tool calls, or one side twice); "
                             "write sharegpt or messages",
                             i + 1);
    size_t last = preference ? n - 1 : n - 2;
    struct weft_str text = row->turns[last].text, instruction = text, input = { "", 0 };
    if (row->split_input && row->instruction_len < text.len
        && (!row->instruction_len || text.s[row->instruction_len] == '\n')) {
        instruction = weft_str_sub(text, 0, row->instruction_len);
        input = weft_str_skip(text, row->instruction_len + (row->instruction_len != 0));
    }
    out_member(o, "instruction", instruction);
    out_member(o, "input", input);
    if (!preference) out_member(o, "output", row->turns[n - 1].text);
    if (row->system.s) out_member(o, "system", row->system);
    if (last) {
        weft_json_out_key(o, "history");
        weft_json_out_array(o);
        for (size_t i = 0; i + 1 < last; i += 2) {
            weft_json_out_array(o);
            weft_json_out_str(o, row->turns[i].text);
            weft_json_out_str(o, row->turns[i + 1].text);
            weft_json_out_array_end(o);
        }
        weft_json_out_array_end(o);
    }
    if (row->tools.s) out_member(o, "tools", row->tools);
    if (preference) {
        out_member(o, "chosen", row->chosen.text);
        out_member(o, "rejected", row->rejected.text);
    }
    return WEFT_OK;
}

const struct weft_row_format weft_format_alpaca = {
    .id = WEFT_FORMAT_ALPACA,
    .name = "alpaca",
    .help = "instruction, input, output, system, history",
    .help_zh = "instruction、input、output、system、history",
    .key = WEFT_NAME("instruction"),
    .read = read_alpaca,
    .write = write_alpaca,
};
