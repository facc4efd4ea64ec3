/* OpenAI messages: [{role, content}, ...].  The system (or developer) message stands first; a tool call is an assistant
 * message with tool_calls, kept as {"name", "arguments"} JSON text (one object, or a list for several); a tool message
 * is its result.  Several messages of one side in a row are fine here.  Members of a message that nobody reads (name,
 * tool_call_id, weight ...) and the ids of calls are kept in turn_extras and written back. */
#include "dataset/format_parts.h"

#include "base/lang.h"

static const struct weft_str known[] = {
    WEFT_NAME("messages"), WEFT_NAME("tools"), WEFT_NAME("kto_tag"), WEFT_NAME("weft"), WEFT_NO_NAME
};
static const struct weft_str known_preference[] = {
    WEFT_NAME("messages"), WEFT_NAME("tools"), WEFT_NAME("chosen"), WEFT_NAME("rejected"),
    WEFT_NAME("kto_tag"), WEFT_NAME("weft"), WEFT_NO_NAME
};
static const struct weft_str turn_known[] = {
    WEFT_NAME("role"), WEFT_NAME("content"), WEFT_NAME("tool_calls"), WEFT_NO_NAME
};
static const char CALL_IDS[] = "tool_call_ids";

/* ---- reading ---- */

static bool role_of(const struct weft_row_reader *r, struct weft_str name, enum weft_role *role)
{
    static const struct {
        const char *name;
        enum weft_role role;
    } roles[] = { { "user", WEFT_ROLE_USER },        { "assistant", WEFT_ROLE_ASSISTANT },
                  { "system", WEFT_ROLE_SYSTEM },    { "developer", WEFT_ROLE_SYSTEM },
                  { "tool", WEFT_ROLE_TOOL_RESULT }, { "function", WEFT_ROLE_TOOL_RESULT } };
    (void)r;
    for (size_t i = 0; i < WEFT_COUNT(roles); i++)
        if (weft_str_is(name, roles[i].name)) {
            *role = roles[i].role;
            return true;
        }
    return false;
}

/* content: a string, or a list of {"type": "text", "text": ...} joined without a gap. */
static enum weft_status read_content(struct weft_row_reader *r, const struct weft_json_value *v,
                                     size_t number, struct weft_str *out)
{
    struct weft_buf b = { 0 };
    enum weft_status st;
    if (v->kind == WEFT_JSON_STRING) return weft_row_keep(r, v->text, out);
    if (v->kind != WEFT_JSON_ARRAY)
        return weft_row_bad(r, v, "DS5", "content is neither a string nor a list of text parts",
                            "message %zu", number);
    for (size_t i = 0; i < v->n; i++) {
        const struct weft_json_value *part = &v->items[i], *type = weft_json_get(part, "type"),
                                     *text = weft_json_get(part, "text");
        if (!type || type->kind != WEFT_JSON_STRING || !weft_str_is(type->text, "text") || !text
            || text->kind != WEFT_JSON_STRING) {
            weft_buf_clear(&b);
            return weft_row_bad(r, part, "DS5", "content is neither a string nor a list of text parts",
                                "message %zu, part %zu", number, i + 1);
        }
        weft_buf_str(&b, text->text);
    }
    st = weft_buf_check(&b, "a row", r->err);
    if (!st) *out = weft_str_dup(r->arena, b.s ? weft_buf_view(&b) : WEFT_STR(""));
    if (!st && !out->s) st = weft_fail_nomem(r->err, b.len, "a row");
    weft_buf_clear(&b);
    return st;
}

/* {"id", "type": "function", "function": {"name", "arguments": "JSON text"}} as {"name", "arguments": {...}}. */
static enum weft_status out_call(struct weft_row_reader *r, const struct weft_json_value *call,
                                 struct weft_json_out *o, size_t number)
{
    const struct weft_json_value *f = weft_json_get(call, "function"), *name = weft_json_get(f, "name"),
                                 *arguments = weft_json_get(f, "arguments");
    if (!name || name->kind != WEFT_JSON_STRING || !arguments)
        return weft_row_bad(r, call, "DS6", "a tool call lacks name or arguments", "message %zu", number);
    weft_json_out_object(o);
    weft_json_out_key(o, "name");
    weft_json_out_str(o, name->text);
    weft_json_out_key(o, "arguments");
    if (arguments->kind == WEFT_JSON_STRING) {
        struct weft_err inner = { 0 };
        enum weft_status st = weft_json_out_text(o, arguments->text, &inner);
        if (st) return weft_row_bad(r, arguments, "DS6", "a tool call is not JSON", "message %zu", number);
    } else weft_json_out_value(o, arguments);
    weft_json_out_object_end(o);
    return WEFT_OK;
}

static enum weft_status read_calls(struct weft_row_reader *r, const struct weft_json_value *v, size_t number,
                                   struct weft_turn *turn)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    enum weft_status st = WEFT_OK;
    if (v->kind != WEFT_JSON_ARRAY || !v->n)
        return weft_row_bad(r, v, "DS6", "tool_calls is not a list of calls", "message %zu", number);
    weft_json_out_init(&o, &b);
    o.spaced = true;
    if (v->n > 1) weft_json_out_array(&o);
    for (size_t i = 0; i < v->n && !st; i++) st = out_call(r, &v->items[i], &o, number);
    if (v->n > 1 && !st) weft_json_out_array_end(&o);
    if (!st) st = weft_buf_check(&b, "a row", r->err);
    if (!st) turn->text = weft_str_dup(r->arena, weft_buf_view(&b));
    if (!st && !turn->text.s) st = weft_fail_nomem(r->err, b.len, "a row");
    turn->role = WEFT_ROLE_TOOL_CALL;
    weft_buf_clear(&b);
    return st;
}

/* Members of the message nobody reads, and the ids of its calls. */
static enum weft_status read_turn_extra(struct weft_row_reader *r, const struct weft_json_value *v,
                                        const struct weft_json_value *calls, struct weft_str *out)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    enum weft_status st = weft_row_extra(r, v, turn_known, out);
    bool ids = false;
    for (size_t i = 0; calls && i < calls->n; i++) ids |= weft_json_get(&calls->items[i], "id") != NULL;
    if (st || !ids) return st;
    weft_json_out_init(&o, &b);
    weft_json_out_object(&o);
    st = weft_json_out_members(&o, *out, r->err);
    weft_json_out_key(&o, CALL_IDS);
    weft_json_out_array(&o);
    for (size_t i = 0; i < calls->n; i++) {
        const struct weft_json_value *id = weft_json_get(&calls->items[i], "id");
        if (id) weft_json_out_value(&o, id);
        else weft_json_out_null(&o);
    }
    weft_json_out_array_end(&o);
    weft_json_out_object_end(&o);
    if (!st) st = weft_buf_check(&b, "a row", r->err);
    if (!st) *out = weft_str_dup(r->arena, weft_buf_view(&b));
    if (!st && !out->s) st = weft_fail_nomem(r->err, b.len, "a row");
    weft_buf_clear(&b);
    return st;
}

static enum weft_status read_message(struct weft_row_reader *r, const struct weft_json_value *v, size_t number,
                                     struct weft_turn *turn, struct weft_str *extra)
{
    char shown[64];
    if (v->kind != WEFT_JSON_OBJECT)
        return weft_row_bad(r, v, "DS5", "a message is not an object", "message %zu", number);
    const struct weft_json_value *role = weft_row_member(r, v, "role"),
                                 *content = weft_row_member(r, v, "content");
    const struct weft_json_value *calls = weft_json_get(v, "tool_calls");
    if (!role || role->kind != WEFT_JSON_STRING)
        return weft_row_bad(r, v, "DS5", "a message lacks its role", "message %zu", number);
    if (!role_of(r, role->text, &turn->role))
        return weft_row_bad(r, role, "DS5", "unknown role; expected system, user, assistant or tool",
                            "message %zu is from \"%s\"", number,
                            weft_escape(shown, sizeof shown, role->text));
    if (calls && calls->kind == WEFT_JSON_NULL) calls = NULL;
    if (content && content->kind == WEFT_JSON_NULL) content = NULL;
    enum weft_status st;
    if (calls && turn->role == WEFT_ROLE_ASSISTANT) {
        if (content && (content->kind != WEFT_JSON_STRING || content->text.len))
            return weft_row_bad(r, content, "DS5",
                                "a message has both content and tool_calls; a row keeps one of them",
                                "message %zu", number);
        st = read_calls(r, calls, number, turn);
    } else if (!content) return weft_row_bad(r, v, "DS5", "a message lacks its content", "message %zu", number);
    else st = read_content(r, content, number, &turn->text);
    return st ? st : read_turn_extra(r, v, calls, extra);
}

static bool is_answer(enum weft_role role)
{
    return role == WEFT_ROLE_ASSISTANT || role == WEFT_ROLE_TOOL_CALL;
}

enum weft_status weft_row_answer_message(struct weft_row_reader *r, const struct weft_json_value *v, const char *reason,
                                         struct weft_turn *out)
{
    struct weft_str extra;
    enum weft_status st;
    if (v->kind == WEFT_JSON_ARRAY && v->n == 1) v = &v->items[0];      /* TRL writes a list of one message */
    st = read_message(r, v, 1, out, &extra);
    return st || is_answer(out->role) ? st : weft_row_bad(r, v, "DS5", reason, NULL);
}

enum weft_status weft_row_messages(struct weft_row_reader *r, const struct weft_json_value *list, bool question,
                                   struct weft_row *row)
{
    if (list->kind != WEFT_JSON_ARRAY)
        return weft_row_bad(r, list, "DS5", "messages is not a list", "found %s",
                            weft_tr(r->lang, weft_json_kind_name(list->kind)));
    if (!list->n) return weft_row_bad(r, list, "DS5", "messages is empty", NULL);
    if (list->n > WEFT_ROW_MAX_TURNS) return weft_row_bad(r, list, "DS8", "more than 10000 turns", NULL);
    row->turns = WEFT_NEWS(r->arena, struct weft_turn, list->n);
    if (!row->turns) return weft_fail_nomem(r->err, list->n * sizeof *row->turns, "a row");
    for (size_t i = 0; i < list->n; i++) {
        struct weft_turn turn = { 0 };
        struct weft_str extra = { NULL, 0 };
        enum weft_status st = read_message(r, &list->items[i], i + 1, &turn, &extra);
        if (st) return st;
        if (turn.role == WEFT_ROLE_SYSTEM) {
            if (i)
                return weft_row_bad(r, &list->items[i], "DS5", "a system message stands first, and once",
                                    "message %zu", i + 1);
            row->system = turn.text;
            continue;
        }
        if (extra.s && !row->turn_extras) {
            row->turn_extras = WEFT_NEWS(r->arena, struct weft_str, list->n);
            if (!row->turn_extras) return weft_fail_nomem(r->err, list->n * sizeof extra, "a row");
        }
        if (extra.s) row->turn_extras[row->n_turns] = extra;
        row->turns[row->n_turns++] = turn;
    }
    if (!row->n_turns || is_answer(row->turns[row->n_turns - 1].role) == question)
        return weft_row_bad(r, &list->items[list->n - 1], "DS5",
                            question
                                ? "the last message is not the question that chosen and rejected answer"
                                : "the last message is not from the assistant",
                            "message %zu", list->n);
    return WEFT_OK;
}

static enum weft_status read_messages(struct weft_row_reader *r, const struct weft_json_value *v, struct weft_row *row)
{
    const struct weft_json_value *chosen = weft_row_member(r, v, "chosen"), *rejected = weft_row_member(r, v, "rejected");
    bool preference = chosen && rejected;
    enum weft_status st = weft_row_messages(r, weft_row_member(r, v, "messages"), preference, row);
    if (!st && preference) st = weft_row_answer_message(r, chosen, "chosen is not an answer", &row->chosen);
    if (!st && preference) st = weft_row_answer_message(r, rejected, "rejected is not an answer", &row->rejected);
    if (!st) st = weft_row_tools(r, weft_row_member(r, v, "tools"), row);
    if (!st) st = weft_row_kto(r, weft_row_member(r, v, "kto_tag"), row);
    return st ? st : weft_row_extra(r, v, preference ? known_preference : known, &row->extra);
}

/* ---- writing ---- */

static const char *name_of(enum weft_role role)
{
    switch (role) {
    case WEFT_ROLE_SYSTEM: return "system";
    case WEFT_ROLE_USER: return "user";
    case WEFT_ROLE_TOOL_RESULT: return "tool";
    default: return "assistant";
    }
}

static void out_tool_call(struct weft_json_out *o, const struct weft_json_value *call,
                          const struct weft_json_value *ids, size_t i)
{
    const struct weft_json_value *name = weft_json_get(call, "name"),
                                 *arguments = weft_json_get(call, "arguments");
    struct weft_buf b = { 0 };
    struct weft_json_out inner;
    weft_json_out_init(&inner, &b);
    inner.spaced = true;
    if (arguments && arguments->kind != WEFT_JSON_STRING) weft_json_out_value(&inner, arguments);
    weft_json_out_object(o);
    if (ids && i < ids->n && ids->items[i].kind == WEFT_JSON_STRING) {
        weft_json_out_key(o, "id");
        weft_json_out_str(o, ids->items[i].text);
    }
    weft_json_out_key(o, "type");
    weft_json_out_cstr(o, "function");
    weft_json_out_key(o, "function");
    weft_json_out_object(o);
    weft_json_out_key(o, "name");
    weft_json_out_str(o, name ? name->text : WEFT_STR(""));
    weft_json_out_key(o, "arguments");
    weft_json_out_str(o,
                      arguments && arguments->kind == WEFT_JSON_STRING ? arguments->text : weft_buf_view(&b));
    weft_json_out_object_end(o);
    weft_json_out_object_end(o);
    if (b.failed) o->buf->failed = true;
    weft_buf_clear(&b);
}

static enum weft_status out_message(struct weft_json_out *o, const struct weft_turn *turn,
                                    struct weft_str extra, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_json_value calls = { 0 }, members = { 0 };
    enum weft_status st = extra.s ? weft_json_parse(&a, "row", extra, &members, err) : WEFT_OK;
    if (!st && turn->role == WEFT_ROLE_TOOL_CALL) st = weft_json_parse(&a, "row", turn->text, &calls, err);
    weft_json_out_object(o);
    weft_json_out_key(o, "role");
    weft_json_out_cstr(o, name_of(turn->role));
    weft_json_out_key(o, "content");
    if (turn->role != WEFT_ROLE_TOOL_CALL) weft_json_out_str(o, turn->text);
    else {
        const struct weft_json_value *ids = weft_json_get(&members, CALL_IDS);
        weft_json_out_null(o);
        weft_json_out_key(o, "tool_calls");
        weft_json_out_array(o);
        if (calls.kind == WEFT_JSON_ARRAY)
            for (size_t i = 0; i < calls.n; i++) out_tool_call(o, &calls.items[i], ids, i);
        else out_tool_call(o, &calls, ids, 0);
        weft_json_out_array_end(o);
    }
    for (size_t i = 0; i < members.n; i++) {
        if (weft_str_is(members.keys[i], CALL_IDS)) continue;
        weft_json_out_key_str(o, members.keys[i]);
        weft_json_out_value(o, &members.items[i]);
    }
    weft_json_out_object_end(o);
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_json_out_message(struct weft_json_out *o, const struct weft_turn *turn, struct weft_err *err)
{
    return out_message(o, turn, (struct weft_str){ NULL, 0 }, err);
}

enum weft_status weft_json_out_messages(struct weft_json_out *o, const struct weft_row *row, struct weft_err *err)
{
    const struct weft_str none = { NULL, 0 };
    enum weft_status st = WEFT_OK;
    weft_json_out_array(o);
    if (row->system.s) st = out_message(o, &(struct weft_turn){ WEFT_ROLE_SYSTEM, row->system }, none, err);
    for (size_t i = 0; i < row->n_turns && !st; i++)
        st = out_message(o, &row->turns[i], row->turn_extras ? row->turn_extras[i] : none, err);
    weft_json_out_array_end(o);
    return st;
}

static enum weft_status write_messages(struct weft_json_out *o, const struct weft_row *row,
                                       struct weft_err *err)
{
    const struct weft_str none = { NULL, 0 };
    if (!row->n_turns) return weft_fail(err, WEFT_EINPUT, "messages needs turns; this row has none");
    weft_json_out_key(o, "messages");
    enum weft_status st = weft_json_out_messages(o, row, err);
    if (row->tools.s && !st) {
        weft_json_out_key(o, "tools");
        st = weft_json_out_text(o, row->tools, err);
    }
    if (row->chosen.text.s && !st) {
        weft_json_out_key(o, "chosen");
        st = out_message(o, &row->chosen, none, err);
        weft_json_out_key(o, "rejected");
        if (!st) st = out_message(o, &row->rejected, none, err);
    }
    return st;
}

const struct weft_row_format weft_format_messages = {
    .id = WEFT_FORMAT_MESSAGES,
    .name = "messages",
    .help = "OpenAI messages of {role, content}, tools",
    .help_zh = "OpenAI 的 messages（由 {role, content} 组成）、tools",
    .key = WEFT_NAME("messages"),
    .read = read_messages,
    .write = write_messages,
};
