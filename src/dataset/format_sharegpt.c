/* ShareGPT: conversations [{from, value}, ...], system, tools.  An optional system turn comes first; then human or
 * observation, and gpt or function_call, in turn; the last is an answer (or, in a preference row, the
 * question that chosen and rejected answer). */
#include "dataset/format_parts.h"

#include "base/lang.h"

static const struct weft_str known[] = {
    WEFT_NAME("conversations"), WEFT_NAME("system"), WEFT_NAME("tools"), WEFT_NAME("kto_tag"),
    WEFT_NAME("weft"), WEFT_NO_NAME
};
static const struct weft_str known_preference[] = {
    WEFT_NAME("conversations"), WEFT_NAME("system"), WEFT_NAME("tools"), WEFT_NAME("chosen"),
    WEFT_NAME("rejected"), WEFT_NAME("kto_tag"), WEFT_NAME("weft"), WEFT_NO_NAME
};
static const struct weft_str turn_known[] = {
    WEFT_NAME("from"), WEFT_NAME("value"), WEFT_NO_NAME
};

static const struct tag {
    const char *name;
    enum weft_role role;
} tags[] = {
    { "human", WEFT_ROLE_USER }, { "gpt", WEFT_ROLE_ASSISTANT }, { "observation", WEFT_ROLE_TOOL_RESULT },
    { "function_call", WEFT_ROLE_TOOL_CALL }, { "function", WEFT_ROLE_TOOL_CALL }, { "system", WEFT_ROLE_SYSTEM },
};

static const struct tag *find_tag(const struct weft_row_reader *r, struct weft_str name)
{
    for (size_t i = 0; i < WEFT_COUNT(tags); i++)
        if (weft_str_is(name, weft_row_column(r, tags[i].name))) return &tags[i];
    return NULL;
}

/* One {from, value}. */
static enum weft_status read_turn(struct weft_row_reader *r, const struct weft_json_value *v, size_t number,
                                  struct weft_turn *turn, struct weft_str *extra)
{
    char shown[64];
    if (v->kind != WEFT_JSON_OBJECT)
        return weft_row_bad(r, v, "DS4", "a turn is not an object", "turn %zu", number);
    const struct weft_json_value *from = weft_row_member(r, v, "from"), *value = weft_row_member(r, v, "value");
    if (!from || from->kind != WEFT_JSON_STRING || !value || value->kind != WEFT_JSON_STRING)
        return weft_row_bad(r, v, "DS4", "a turn lacks from or value", "turn %zu", number);
    const struct tag *tag = find_tag(r, from->text);
    if (!tag)
        return weft_row_bad(r, from, "DS4",
                            "unknown speaker; expected human, gpt, observation, function_call or system",
                            "turn %zu is from \"%s\"", number, weft_escape(shown, sizeof shown, from->text));
    turn->role = tag->role;
    enum weft_status st = WEFT_OK;
    if (tag->role == WEFT_ROLE_TOOL_CALL) st = weft_row_call(r, value, value->text);
    if (!st) st = weft_row_keep(r, value->text, &turn->text);
    return st ? st : weft_row_extra(r, v, turn_known, extra);
}

static bool is_answer(enum weft_role role)
{
    return role == WEFT_ROLE_ASSISTANT || role == WEFT_ROLE_TOOL_CALL;
}

/* chosen or rejected: {from, value}. */
static enum weft_status read_choice(struct weft_row_reader *r, const struct weft_json_value *v,
                                    const char *reason, struct weft_turn *out)
{
    struct weft_str extra;
    if (v->kind != WEFT_JSON_OBJECT)
        return weft_row_bad(r, v, "DS4", reason, "found %s", weft_tr(r->lang, weft_json_kind_name(v->kind)));
    enum weft_status st = read_turn(r, v, 1, out, &extra);
    return st || is_answer(out->role) ? st : weft_row_bad(r, v, "DS4", reason, NULL);
}

static enum weft_status read_sharegpt(struct weft_row_reader *r, const struct weft_json_value *v,
                                      struct weft_row *row)
{
    const struct weft_json_value *list = weft_row_member(r, v, "conversations");
    const struct weft_json_value *chosen = weft_row_member(r, v, "chosen"),
                                 *rejected = weft_row_member(r, v, "rejected");
    const struct weft_json_value *system = weft_row_member(r, v, "system");
    bool preference = chosen && rejected;
    struct weft_str extra = { NULL, 0 };
    size_t first = 0, n;
    enum weft_status st;

    if (list->kind != WEFT_JSON_ARRAY)
        return weft_row_bad(r, list, "DS4", "conversations is not a list", "found %s",
                            weft_tr(r->lang, weft_json_kind_name(list->kind)));
    if (!list->n) return weft_row_bad(r, list, "DS4", "conversations is empty", NULL);
    if (list->n > WEFT_ROW_MAX_TURNS) return weft_row_bad(r, list, "DS8", "more than 10000 turns", NULL);
    row->turns = WEFT_NEWS(r->arena, struct weft_turn, list->n);
    if (!row->turns) return weft_fail_nomem(r->err, list->n * sizeof *row->turns, "a row");
    st = weft_row_optional(r, system, "DS4", "system is not a string", &row->system);
    for (size_t i = 0; i < list->n; i++) {
        struct weft_turn turn = { 0 };
        if (!st) st = read_turn(r, &list->items[i], i + 1, &turn, &extra);
        if (st) return st;
        if (turn.role == WEFT_ROLE_SYSTEM) {
            if (i || row->system.len)
                return weft_row_bad(r, &list->items[i], "DS4", "a system turn stands first, and once",
                                    "turn %zu", i + 1);
            row->system = turn.text;
            first = 1;
            continue;
        }
        n = row->n_turns;
        if (is_answer(turn.role) != (n & 1))
            return weft_row_bad(r, &list->items[i], "DS4",
                                "turns do not alternate between question and answer", "turn %zu", i + 1);
        if (extra.s && !row->turn_extras) {
            row->turn_extras = WEFT_NEWS(r->arena, struct weft_str, list->n);
            if (!row->turn_extras) return weft_fail_nomem(r->err, list->n * sizeof extra, "a row");
        }
        if (extra.s) row->turn_extras[n] = extra;
        row->turns[row->n_turns++] = turn;
    }
    if (!row->n_turns) return weft_row_bad(r, list, "DS4", "conversations is empty", NULL);
    if ((row->n_turns & 1) != preference)
        return weft_row_bad(r, &list->items[first + row->n_turns - 1], "DS4",
                            preference ? "the last turn is not the question that chosen and rejected answer"
                                       : "the last turn has no answer",
                            "turn %zu", first + row->n_turns);
    if (preference) st = read_choice(r, chosen, "chosen is not an answer", &row->chosen);
    if (!st && preference) st = read_choice(r, rejected, "rejected is not an answer", &row->rejected);
    if (!st) st = weft_row_tools(r, weft_row_member(r, v, "tools"), row);
    if (!st) st = weft_row_kto(r, weft_row_member(r, v, "kto_tag"), row);
    return st ? st : weft_row_extra(r, v, preference ? known_preference : known, &row->extra);
}

static const char *tag_of(enum weft_role role)
{
    for (size_t i = 0; i < WEFT_COUNT(tags); i++)
        if (tags[i].role == role) return tags[i].name;
    return "";
}

static enum weft_status out_turn(struct weft_json_out *o, const struct weft_turn *turn, struct weft_str extra,
                                 struct weft_err *err)
{
    weft_json_out_object(o);
    weft_json_out_key(o, "from");
    weft_json_out_cstr(o, tag_of(turn->role));
    weft_json_out_key(o, "value");
    weft_json_out_str(o, turn->text);
    enum weft_status st = weft_json_out_members(o, extra, err);
    weft_json_out_object_end(o);
    return st;
}

static enum weft_status write_sharegpt(struct weft_json_out *o, const struct weft_row *row,
                                       struct weft_err *err)
{
    const struct weft_str none = { NULL, 0 };
    bool preference = row->chosen.text.s != NULL;
    enum weft_status st = WEFT_OK;
    for (size_t i = 0; i < row->n_turns; i++)
        if (is_answer(row->turns[i].role) != (i & 1))
            return weft_fail(
                err, WEFT_EINPUT,
                "ShareGPT has no place for turn %zu of this row (one side twice); write messages", i + 1);
    if (!row->n_turns || (row->n_turns & 1) != preference)
        return weft_fail(err, WEFT_EINPUT,
                         "ShareGPT needs questions and answers in turn; this row has %zu turns",
                         row->n_turns);
    weft_json_out_key(o, "conversations");
    weft_json_out_array(o);
    for (size_t i = 0; i < row->n_turns && !st; i++)
        st = out_turn(o, &row->turns[i], row->turn_extras ? row->turn_extras[i] : none, err);
    weft_json_out_array_end(o);
    if (row->system.s) {
        weft_json_out_key(o, "system");
        weft_json_out_str(o, row->system);
    }
    if (row->tools.s) {
        weft_json_out_key(o, "tools");
        weft_json_out_str(o, row->tools);
    }
    if (preference && !st) {
        weft_json_out_key(o, "chosen");
        st = out_turn(o, &row->chosen, none, err);
        weft_json_out_key(o, "rejected");
        if (!st) st = out_turn(o, &row->rejected, none, err);
    }
    return st;
}

const struct weft_row_format weft_format_sharegpt = {
    .id = WEFT_FORMAT_SHAREGPT,
    .name = "sharegpt",
    .help = "conversations of {from, value}, system, tools",
    .help_zh = "conversations（由 {from, value} 组成）、system、tools",
    .key = WEFT_NAME("conversations"),
    .read = read_sharegpt,
    .write = write_sharegpt,
};
