/* Rows and JSON messages become the template's input, changed to what it can print, with a tag on every
 * string; the tags that come out tell which bytes are whose (chat_loss.c). */
#include "base/lang.h"
#include "tokens/chat_parts.h"

const char weft_chat_chatml[] =
    "{%- for message in messages %}"
    "{{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

const char *weft_chat_fingerprint(const struct weft_chat_template *t) { return t->fingerprint; }
struct weft_chat_abilities weft_chat_abilities(const struct weft_chat_template *t) { return t->can; }
const struct weft_chat_rules *weft_chat_rules(const struct weft_chat_template *t) { return &t->rules; }
struct weft_str weft_chat_source(const struct weft_chat_template *t) { return weft_jinja_source(t->jinja); }

/* ---- running the template ---- */

struct weft_jinja_value weft_chat_string(struct weft_jinja_run *r, const char *s, int32_t tag)
{
    return weft_jinja_string(r, weft_str_c(s), tag);
}

void weft_chat_member(struct weft_jinja_run *r, struct weft_jinja_value dict, const char *key,
                      struct weft_jinja_value v)
{
    weft_jinja_member(r, dict, weft_str_c(key), v);
}

struct weft_jinja_value weft_chat_message(struct weft_jinja_run *r, const char *role,
                                          struct weft_jinja_value content)
{
    struct weft_jinja_value m = weft_jinja_dict(r, 4);
    weft_chat_member(r, m, "role", weft_chat_string(r, role, WEFT_TAG_OTHER));
    weft_chat_member(r, m, "content", content);
    return m;
}

struct weft_jinja_value weft_chat_part(struct weft_jinja_run *r, struct weft_jinja_value text)
{
    struct weft_jinja_value list = weft_jinja_list(r, 1), part = weft_jinja_dict(r, 2);
    weft_chat_member(r, part, "type", weft_chat_string(r, "text", WEFT_TAG_OTHER));
    weft_chat_member(r, part, "text", text);
    weft_jinja_put(list, 0, part);
    return list;
}

enum weft_status weft_chat_run(struct weft_jinja_run *r, struct weft_jinja_value messages,
                               struct weft_jinja_value tools, const struct weft_chat_settings *s, bool prompt,
                               struct weft_jinja_text *out, struct weft_err *err)
{
    if (s->kwargs && s->kwargs->kind == WEFT_JSON_OBJECT)
        for (size_t i = 0; i < s->kwargs->n; i++)
            weft_jinja_set_str(r, s->kwargs->keys[i],
                               weft_jinja_json(r, &s->kwargs->items[i], WEFT_TAG_OTHER));
    weft_jinja_set(r, "messages", messages);
    weft_jinja_set(r, "tools", tools);
    weft_jinja_set(r, "documents", weft_jinja_none());
    weft_jinja_set(r, "add_generation_prompt", weft_jinja_bool(prompt));
    if (s->every_answer) weft_jinja_set(r, "every_answer", weft_jinja_bool(true));
    weft_jinja_set(r, "bos_token", weft_jinja_string(r, s->bos_token, 0));
    weft_jinja_set(r, "eos_token", weft_jinja_string(r, s->eos_token, 0));
    weft_jinja_set(r, "pad_token", weft_jinja_string(r, s->pad_token, 0));
    weft_jinja_set(r, "unk_token", weft_jinja_string(r, s->unk_token, 0));
    weft_jinja_date(r, s->date);
    return weft_jinja_render(r, out, err);
}

/* The comment that a template of tokens/named.h begins with. */
static enum weft_status read_rules(struct weft_arena *a, const char *name, struct weft_str source,
                                   struct weft_chat_rules *out, struct weft_err *err)
{
    static const struct weft_str opening = { "{#- weft {", 10 }, closing = { "} -#}", 5 };
    struct weft_json_value v;
    const struct weft_json_value *m;
    size_t end;
    if (!weft_str_starts(source, opening) || (end = weft_str_find(source, closing, 0)) == SIZE_MAX) return WEFT_OK;
    enum weft_status st = weft_json_parse(a, name, weft_str_sub(source, opening.len - 1, end + 1), &v, err);
    if (st) return st;
    if ((m = weft_json_get(&v, "template")) && m->kind == WEFT_JSON_STRING) out->name = m->text;
    if ((m = weft_json_get(&v, "eos")) && m->kind == WEFT_JSON_STRING) out->eos = m->text;
    const struct {
        const char *key;
        bool *to;
    } bools[] = { { "pieces", &out->pieces },
                  { "eos_label", &out->eos_label },
                  { "preserve_thinking", &out->preserve_thinking } };
    for (size_t i = 0; i < WEFT_COUNT(bools); i++)
        if ((m = weft_json_get(&v, bools[i].key)) && m->kind == WEFT_JSON_BOOL) *bools[i].to = m->boolean;
    m = weft_json_get(&v, "stop");
    for (size_t i = 0; m && m->kind == WEFT_JSON_ARRAY && i < m->n && out->n_stops < WEFT_CHAT_MAX_STOPS; i++)
        if (m->items[i].kind == WEFT_JSON_STRING) out->stops[out->n_stops++] = m->items[i].text;
    return WEFT_OK;
}

enum weft_status weft_chat_parse(struct weft_arena *a, const char *name, struct weft_str source,
                                 const struct weft_chat_template **out, struct weft_err *err)
{
    struct weft_chat_template *t = WEFT_NEW(a, struct weft_chat_template);
    if (!t) return weft_fail_nomem(err, sizeof *t, "a chat template");
    enum weft_status st = weft_jinja_parse(a, name, source, &t->jinja, err);
    if (!st) st = weft_sha256_of(source, t->fingerprint, err);
    if (!st) st = read_rules(a, name, source, &t->rules, err);
    if (st) return st;
    weft_chat_learn_abilities(a, t);
    *out = t;
    return WEFT_OK;
}

/* ---- messages ---- */

/* Content as the template wants it. */
static struct weft_jinja_value content_of(struct weft_jinja_run *r, const struct weft_chat_template *t,
                                          struct weft_str text, int32_t tag)
{
    struct weft_jinja_value v = weft_jinja_string(r, text, tag);
    return t->can.string_content ? v : weft_chat_part(r, v);
}

/* x, a separator, y; s == NULL: no memory.  Not printf: data may hold NUL. */
static struct weft_str joined(struct weft_arena *a, struct weft_str x, struct weft_str sep, struct weft_str y)
{
    size_t n = x.len + sep.len + y.len;
    char *s = weft_arena_alloc(a, n + 1);
    if (!s) return (struct weft_str){ 0 };
    if (x.len) memcpy(s, x.s, x.len);
    memcpy(s + x.len, sep.s, sep.len);
    if (y.len) memcpy(s + x.len + sep.len, y.s, y.len);
    return (struct weft_str){ s, n };
}

/* {"name", "arguments"} or {"function": {...}}: arguments become an object or a string. */
static enum weft_status tool_call(struct weft_arena *a, struct weft_jinja_run *r,
                                  const struct weft_chat_template *t, const struct weft_json_value *v,
                                  int32_t tag, struct weft_jinja_value *out, struct weft_err *err)
{
    const struct weft_json_value *f = weft_json_get(v, "function"), *id = weft_json_get(v, "id");
    const struct weft_json_value *name, *arguments;
    if (!f || f->kind != WEFT_JSON_OBJECT) f = v;
    name = weft_json_get(f, "name");
    arguments = weft_json_get(f, "arguments");
    if (!name || name->kind != WEFT_JSON_STRING)
        return weft_fail(err, WEFT_EINPUT,
                         "a tool call has no \"name\"; expected {\"name\": ..., \"arguments\": {...}}");
    struct weft_jinja_value call = weft_jinja_dict(r, 3), function = weft_jinja_dict(r, 2), args;
    if (arguments && arguments->kind == WEFT_JSON_STRING && t->can.arguments_object) {
        struct weft_json_value parsed;
        enum weft_status st = weft_json_parse(a, "arguments of a tool call", arguments->text, &parsed, err);
        if (st) return st;
        args = weft_jinja_json(r, &parsed, tag);
    } else if (arguments && arguments->kind != WEFT_JSON_STRING && !t->can.arguments_object) {
        struct weft_buf buf = { 0 };
        struct weft_json_out w;
        weft_json_out_init(&w, &buf);
        w.spaced = true;
        weft_json_out_value(&w, arguments);
        enum weft_status st = weft_buf_check(&buf, "the arguments of a tool call", err);
        struct weft_str copy = st ? (struct weft_str){ 0 } : weft_str_dup(a, weft_buf_view(&buf));
        weft_buf_clear(&buf);
        if (st) return st;
        if (!copy.s) return weft_fail_nomem(err, buf.len, "the arguments of a tool call");
        args = weft_jinja_string(r, copy, tag);
    } else args = arguments ? weft_jinja_json(r, arguments, tag) : weft_jinja_dict(r, 0);
    weft_chat_member(r, function, "name", weft_jinja_string(r, name->text, tag));
    weft_chat_member(r, function, "arguments", args);
    if (id && id->kind == WEFT_JSON_STRING)
        weft_chat_member(r, call, "id", weft_jinja_string(r, id->text, tag));
    else weft_chat_member(r, call, "id", weft_chat_string(r, "call00001", tag));
    weft_chat_member(r, call, "type", weft_chat_string(r, "function", WEFT_TAG_OTHER));
    weft_chat_member(r, call, "function", function);
    *out = call;
    return WEFT_OK;
}

static enum weft_status tool_calls(struct weft_arena *a, struct weft_jinja_run *r,
                                   const struct weft_chat_template *t, const struct weft_json_value *v,
                                   int32_t tag, struct weft_jinja_value *out, struct weft_err *err)
{
    bool many = v->kind == WEFT_JSON_ARRAY;
    size_t n = many ? v->n : 1;
    enum weft_status st = WEFT_OK;
    *out = weft_jinja_list(r, n);
    for (size_t i = 0; !st && i < n; i++) {
        struct weft_jinja_value call = weft_jinja_none();
        st = tool_call(a, r, t, many ? &v->items[i] : v, tag, &call, err);
        weft_jinja_put(*out, i, call);
    }
    return st;
}

static enum weft_status refuse_tools(struct weft_err *err)
{
    return weft_fail(err, WEFT_EINPUT,
                     "the messages hold tool calls, but the chat template does not print them");
}

/* ---- rows ---- */

static enum weft_status row_message(struct weft_arena *a, struct weft_jinja_run *r,
                                    const struct weft_chat_template *t, const struct weft_turn *turn,
                                    struct weft_str text, int32_t tag, struct weft_jinja_value *out,
                                    struct weft_err *err)
{
    static const char *const roles[] = { "system", "user", "assistant", "assistant", "tool" };
    if (turn->role >= WEFT_ROLE_TOOL_CALL && !t->can.tool_calls) return refuse_tools(err);
    if (turn->role != WEFT_ROLE_TOOL_CALL) {
        *out = weft_chat_message(r, roles[turn->role], content_of(r, t, text, tag));
        return WEFT_OK;
    }
    struct weft_json_value v;
    struct weft_jinja_value calls;
    enum weft_status st = weft_json_parse(a, "a tool call", turn->text, &v, err);
    if (!st) st = tool_calls(a, r, t, &v, tag, &calls, err);
    if (st) return st;
    *out = weft_chat_message(r, "assistant", content_of(r, t, WEFT_STR(""), tag));
    weft_chat_member(r, *out, "tool_calls", calls);
    return WEFT_OK;
}

/* OpenAI's "weight": 0 beside an assistant message: it is context, its words are not learnt. */
static bool weighs_nothing(struct weft_arena *a, struct weft_str extras)
{
    struct weft_json_value v;
    if (!extras.s || weft_json_parse(a, "a message", extras, &v, NULL)) return false;
    const struct weft_json_value *weight = weft_json_get(&v, "weight");
    return weight && weight->kind == WEFT_JSON_NUMBER && weft_str_is(weight->text, "0");
}

enum weft_status weft_chat_render_row(struct weft_arena *a, const struct weft_chat_template *t,
                                      const struct weft_row *row, const struct weft_chat_settings *s,
                                      struct weft_chat_text *out, struct weft_err *err)
{
    struct weft_jinja_run *r;
    struct weft_jinja_text x;
    struct weft_jinja_value tools = weft_jinja_none(), m;
    bool system = row->system.s && t->can.system_role, glue = row->system.len && !t->can.system_role;
    size_t n = row->n_turns + system, k = 0;
    bool *answers = WEFT_NEWS(a, bool, n), *muted = WEFT_NEWS(a, bool, n), any_muted = false;
    if (!answers || !muted) return weft_fail_nomem(err, n, "a rendered template");
    enum weft_status st = weft_jinja_begin(&r, a, t->jinja, err);
    if (st) return st;
    if (t->rules.pieces) weft_jinja_by_pieces(r);
    struct weft_jinja_value list = weft_jinja_list(r, n);
    if (system)
        weft_jinja_put(list, k++,
                       weft_chat_message(r, "system", content_of(r, t, row->system, WEFT_TAG_MESSAGE)));
    for (size_t i = 0; i < row->n_turns; i++, k++) {
        const struct weft_turn *turn = &row->turns[i];
        struct weft_str text = turn->text;
        if (glue && turn->role == WEFT_ROLE_USER) {
            text = joined(a, row->system, WEFT_STR("\n\n"), text);
            if (!text.s) return weft_fail_nomem(err, row->system.len, "a rendered template");
            glue = false;
        }
        answers[k] = turn->role == WEFT_ROLE_ASSISTANT || turn->role == WEFT_ROLE_TOOL_CALL;
        if (answers[k] && row->turn_extras && weighs_nothing(a, row->turn_extras[i])) {
            answers[k] = false;
            any_muted = muted[k] = true;
        }
        st = row_message(a, r, t, turn, text, (int32_t)(WEFT_TAG_MESSAGE + k), &m, err);
        if (st) return st;
        weft_jinja_put(list, k, m);
    }
    if (row->tools.s) {
        struct weft_json_value v;
        st = weft_json_parse(a, "tools", row->tools, &v, err);
        if (st) return st;
        tools = weft_jinja_json(r, &v, WEFT_TAG_OTHER);
    }
    st = weft_chat_run(r, list, tools, s, s->add_generation_prompt, &x, err);
    return st ? st : weft_chat_find_loss(a, t, s, &x, answers, any_muted ? muted : NULL, n, out, err);
}

/* ---- messages as JSON ---- */

/* Text parts joined with newlines; *other: a part that is no text. */
static enum weft_status join_parts(struct weft_arena *a, const struct weft_json_value *parts,
                                   struct weft_str *out, struct weft_err *err)
{
    *out = WEFT_STR("");
    for (size_t i = 0; i < parts->n; i++) {
        const struct weft_json_value *p = &parts->items[i],
                                     *text = p->kind == WEFT_JSON_STRING ? p : weft_json_get(p, "text");
        if (!text || text->kind != WEFT_JSON_STRING)
            return weft_fail(
                err, WEFT_EINPUT,
                "a part of a message's content is no text, and the chat template only takes text");
        *out = i ? joined(a, *out, WEFT_STR("\n"), text->text) : text->text;
        if (!out->s && text->text.len) return weft_fail_nomem(err, text->text.len, "a rendered template");
    }
    if (!out->s) *out = WEFT_STR("");
    return WEFT_OK;
}

static enum weft_status json_content(struct weft_arena *a, struct weft_jinja_run *r,
                                     const struct weft_chat_template *t, const struct weft_json_value *c,
                                     int32_t tag, bool calls, struct weft_jinja_value *out,
                                     struct weft_err *err)
{
    struct weft_str text;
    if (!c || c->kind == WEFT_JSON_NULL) {
        if (calls && !t->can.null_content) *out = content_of(r, t, WEFT_STR(""), tag);
        else *out = weft_jinja_none();
        return WEFT_OK;
    }
    if (c->kind == WEFT_JSON_STRING) {
        *out = content_of(r, t, c->text, tag);
        return WEFT_OK;
    }
    if (c->kind != WEFT_JSON_ARRAY || t->can.list_content) {
        *out = weft_jinja_json(r, c, tag);
        return WEFT_OK;
    }
    enum weft_status st = join_parts(a, c, &text, err);
    if (!st) *out = weft_jinja_string(r, text, tag);
    return st;
}

static bool is_header_key(struct weft_str key)
{
    return weft_str_is(key, "role") || weft_str_is(key, "name") || weft_str_is(key, "tool_call_id");
}

static enum weft_status json_message(struct weft_arena *a, struct weft_jinja_run *r,
                                     const struct weft_chat_template *t, const struct weft_json_value *v,
                                     size_t k, bool *answer, struct weft_jinja_value *out,
                                     struct weft_err *err)
{
    const struct weft_json_value *role = weft_json_get(v, "role"), *calls = weft_json_get(v, "tool_calls");
    int32_t tag = (int32_t)(WEFT_TAG_MESSAGE + k);
    if (v->kind != WEFT_JSON_OBJECT || !role || role->kind != WEFT_JSON_STRING)
        return weft_fail(err, WEFT_EINPUT,
                         "message %zu has no role; expected an object with \"role\" and \"content\"", k + 1);
    bool has_calls = calls && calls->kind == WEFT_JSON_ARRAY && calls->n;
    if ((has_calls || weft_str_is(role->text, "tool")) && !t->can.tool_calls) return refuse_tools(err);
    *answer = weft_str_is(role->text, "assistant");
    *out = weft_jinja_dict(r, v->n);
    for (size_t i = 0; i < v->n; i++) {
        struct weft_jinja_value x = weft_jinja_none();
        enum weft_status st = WEFT_OK;
        if (&v->items[i] == role && weft_str_is(role->text, "developer") && !t->can.developer_role)
            x = weft_chat_string(r, "system", WEFT_TAG_OTHER);
        else if (weft_str_is(v->keys[i], "content"))
            st = json_content(a, r, t, &v->items[i], tag, has_calls, &x, err);
        else if (&v->items[i] == calls && has_calls) st = tool_calls(a, r, t, calls, tag, &x, err);
        else x = weft_jinja_json(r, &v->items[i], is_header_key(v->keys[i]) ? WEFT_TAG_OTHER : tag);
        if (st) return st;
        weft_jinja_member(r, *out, v->keys[i], x);
    }
    return WEFT_OK;
}

static bool is_system(const struct weft_json_value *m)
{
    const struct weft_json_value *role = weft_json_get(m, "role");
    return role && role->kind == WEFT_JSON_STRING
           && (weft_str_is(role->text, "system") || weft_str_is(role->text, "developer"));
}

/* A template without system role gets [system, user, ...] as [user, ...], the system text before the
 * user's. */
static enum weft_status glue_system(struct weft_arena *a, const struct weft_json_value *messages,
                                    struct weft_json_value *out, struct weft_err *err)
{
    struct weft_str parts[2] = { WEFT_STR(""), WEFT_STR("") };
    *out = *messages;
    out->n--;
    out->items = WEFT_NEWS(a, struct weft_json_value, out->n);
    if (!out->items) return weft_fail_nomem(err, out->n * sizeof *out->items, "a rendered template");
    memcpy(out->items, messages->items + 1, out->n * sizeof *out->items);
    struct weft_json_value *user = &out->items[0], *values;
    for (size_t i = 0; i < 2; i++) {
        const struct weft_json_value *c = weft_json_get(&messages->items[i], "content");
        if (!c) continue;
        if (c->kind == WEFT_JSON_STRING) parts[i] = c->text;
        else if (c->kind == WEFT_JSON_ARRAY) {
            enum weft_status st = join_parts(a, c, &parts[i], err);
            if (st) return st;
        }
    }
    values = WEFT_NEWS(a, struct weft_json_value, user->n);
    struct weft_str text = joined(a, parts[0], WEFT_STR("\n\n"), parts[1]);
    if (!values || !text.s) return weft_fail_nomem(err, parts[0].len, "a rendered template");
    memcpy(values, user->items, user->n * sizeof *values);
    user->items = values;
    for (size_t i = 0; i < user->n; i++)
        if (weft_str_is(user->keys[i], "content"))
            values[i] = (struct weft_json_value){ .kind = WEFT_JSON_STRING, .text = text };
    return WEFT_OK;
}

enum weft_status weft_chat_render(struct weft_arena *a, const struct weft_chat_template *t,
                                  const struct weft_json_value *messages, const struct weft_json_value *tools,
                                  const struct weft_chat_settings *s, struct weft_chat_text *out,
                                  struct weft_err *err)
{
    struct weft_jinja_run *r;
    struct weft_jinja_text x;
    struct weft_json_value changed;
    enum weft_status st;
    if (messages->kind != WEFT_JSON_ARRAY)
        return weft_fail(err, WEFT_EINPUT, "messages are %s; expected a list of objects",
                         weft_tr(err ? err->lang : WEFT_LANG_EN, weft_json_kind_name(messages->kind)));
    if (!t->can.system_role && messages->n > 1 && is_system(&messages->items[0])
        && messages->items[1].kind == WEFT_JSON_OBJECT && !is_system(&messages->items[1])) {
        st = glue_system(a, messages, &changed, err);
        if (st) return st;
        messages = &changed;
    }
    bool *answers = WEFT_NEWS(a, bool, messages->n);
    if (!answers) return weft_fail_nomem(err, messages->n, "a rendered template");
    st = weft_jinja_begin(&r, a, t->jinja, err);
    if (st) return st;
    if (t->rules.pieces) weft_jinja_by_pieces(r);
    struct weft_jinja_value list = weft_jinja_list(r, messages->n), m;
    for (size_t k = 0; k < messages->n; k++) {
        st = json_message(a, r, t, &messages->items[k], k, &answers[k], &m, err);
        if (st) return st;
        weft_jinja_put(list, k, m);
    }
    st = weft_chat_run(r, list, tools ? weft_jinja_json(r, tools, WEFT_TAG_OTHER) : weft_jinja_none(), s,
                       s->add_generation_prompt, &x, err);
    return st ? st : weft_chat_find_loss(a, t, s, &x, answers, NULL, messages->n, out, err);
}
