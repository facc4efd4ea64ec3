#include "dataset/ask_reply.h"

#include "base/json.h"
#include "dataset/normal.h"

/* ---- the text ---- */

static const struct {
    struct weft_str open, close;
} thoughts[] = {
    { { "<think>", 7 }, { "</think>", 8 } },
    { { "<thinking>", 10 }, { "</thinking>", 11 } },
};

/* A thought that was never closed was cut at the length limit: nothing behind it is an answer.  One that was never
 * opened began in the chat template: everything before its end is thought. */
static enum weft_status drop_thoughts(struct weft_arena *a, struct weft_str text, struct weft_clean_reply *out,
                                      struct weft_err *err)
{
    for (size_t k = 0; k < WEFT_COUNT(thoughts); k++) {
        struct weft_str open = thoughts[k].open, close = thoughts[k].close;
        for (size_t rounds = 0;; rounds++) {
            size_t begin = weft_str_find(text, open, 0), end = weft_str_find(text, close, 0);
            if (begin == SIZE_MAX && end == SIZE_MAX) break;
            out->thought = true;
            if (end != SIZE_MAX && (begin == SIZE_MAX || end < begin)) {
                text = weft_str_skip(text, end + close.len);
                continue;
            }
            end = weft_str_find(text, close, begin);
            struct weft_str before = weft_str_sub(text, 0, begin),
                            behind = end == SIZE_MAX ? WEFT_STR("") : weft_str_skip(text, end + close.len);
            if (!weft_trim(before).len) text = behind;
            else if (!behind.len) text = before;
            else {
                /* In the middle of an answer: rare, and more than a few mean that markup is the answer's matter. */
                if (rounds == 16) break;
                char *p = weft_arena_alloc(a, before.len + behind.len);
                if (!p) return weft_fail_nomem(err, before.len + behind.len, "an answer");
                memcpy(p, before.s, before.len);
                memcpy(p + before.len, behind.s, behind.len);
                text = (struct weft_str){ p, before.len + behind.len };
            }
        }
    }
    out->answer = weft_trim(text);
    return WEFT_OK;
}

/* An answer that is one code fence: its inside. */
static void drop_fence(struct weft_clean_reply *out)
{
    struct weft_str s = out->answer;
    if (s.len < 6 || !weft_str_starts(s, WEFT_STR("```")) || !weft_str_ends(s, WEFT_STR("```"))) return;
    const char *line = memchr(s.s, '\n', s.len);
    if (!line) return;
    struct weft_str inside = { line + 1, s.len - 3 - (size_t)(line + 1 - s.s) };
    if (line + 1 > s.s + s.len - 3 || weft_str_find(inside, WEFT_STR("```"), 0) != SIZE_MAX) return;
    out->answer = weft_trim(inside);
    out->fenced = true;
}

enum weft_status weft_reply_clean(struct weft_arena *a, struct weft_str text, struct weft_clean_reply *out,
                                  struct weft_err *err)
{
    *out = (struct weft_clean_reply){ 0 };
    enum weft_status st = drop_thoughts(a, text, out, err);
    if (!st) drop_fence(out);
    return st;
}

struct weft_str weft_reply_json(struct weft_str s)
{
    const struct weft_str none = { NULL, 0 };
    size_t fence = weft_str_find(s, WEFT_STR("```"), 0);
    if (fence != SIZE_MAX && s.len && s.s[0] != '[' && s.s[0] != '{') {
        size_t stop = weft_str_find(s, WEFT_STR("```"), fence + 3);
        if (stop != SIZE_MAX) s = weft_str_sub(s, fence + 3, stop);
    }
    size_t begin = 0, end = s.len;
    while (begin < s.len && s.s[begin] != '[' && s.s[begin] != '{') begin++;
    if (begin == s.len) return none;
    char close = s.s[begin] == '[' ? ']' : '}';
    while (end > begin && s.s[end - 1] != close) end--;
    return end > begin ? weft_str_sub(s, begin, end) : none;
}

/* ---- chat completions ---- */

void weft_chat_reply_clear(struct weft_chat_reply *r)
{
    weft_buf_clear(&r->text);
    weft_buf_clear(&r->reasoning);
    weft_buf_clear(&r->refusal);
    *r = (struct weft_chat_reply){ 0 };
}

static uint32_t count_of(const struct weft_json_value *v)
{
    return v && v->is_int && v->integer > 0 && v->integer <= UINT32_MAX ? (uint32_t)v->integer : 0;
}

static enum weft_call_finish finish_of(struct weft_str s)
{
    if (weft_str_is(s, "stop") || weft_str_is(s, "eos") || weft_str_is(s, "tool_calls")) return WEFT_CALL_FINISH_STOP;
    if (weft_str_is(s, "length") || weft_str_is(s, "max_tokens")) return WEFT_CALL_FINISH_LENGTH;
    if (weft_str_is(s, "content_filter") || weft_str_is(s, "sensitive")) return WEFT_CALL_FINISH_FILTER;
    return WEFT_CALL_FINISH_OTHER;
}

/* Content is a string, null, or parts of which the texts count. */
static bool add_content(struct weft_buf *b, const struct weft_json_value *v)
{
    if (!v || v->kind == WEFT_JSON_NULL) return true;
    if (v->kind == WEFT_JSON_STRING) weft_buf_str(b, v->text);
    else if (v->kind == WEFT_JSON_ARRAY)
        for (size_t i = 0; i < v->n; i++) {
            const struct weft_json_value *t = weft_json_get(&v->items[i], "text");
            if (t && t->kind == WEFT_JSON_STRING) weft_buf_str(b, t->text);
        }
    else return false;
    return true;
}

static void take_error(struct weft_chat_reply *r, const struct weft_json_value *e)
{
    const struct weft_json_value *m = e->kind == WEFT_JSON_STRING ? e : weft_json_get(e, "message");
    const struct weft_json_value *c = weft_json_get(e, "code"), *t = weft_json_get(e, "type");
    if (!c || c->kind != WEFT_JSON_STRING) c = t;
    weft_escape(r->error, sizeof r->error, m && m->kind == WEFT_JSON_STRING ? m->text : WEFT_STR("?"));
    if (c && c->kind == WEFT_JSON_STRING) weft_escape(r->code, sizeof r->code, c->text);
    if (!r->error[0]) memcpy(r->error, "?", 2);
}

/* `part` is a whole message or a delta. */
static bool take_message(struct weft_chat_reply *r, const struct weft_json_value *part)
{
    const struct weft_json_value *thought = weft_json_get(part, "reasoning_content");
    if (!thought || thought->kind == WEFT_JSON_NULL) thought = weft_json_get(part, "reasoning");
    return part->kind == WEFT_JSON_OBJECT && add_content(&r->text, weft_json_get(part, "content"))
           && add_content(&r->reasoning, thought && thought->kind == WEFT_JSON_STRING ? thought : NULL)
           && add_content(&r->refusal, weft_json_get(part, "refusal"));
}

static enum weft_status take(struct weft_chat_reply *r, const struct weft_json_value *v, const char *part,
                             struct weft_err *err)
{
    const struct weft_json_value *choices = weft_json_get(v, "choices"), *usage = weft_json_get(v, "usage"),
                                 *error = weft_json_get(v, "error");
    if (error && error->kind != WEFT_JSON_NULL) {
        take_error(r, error);
        return WEFT_OK;
    }
    if (!choices || choices->kind != WEFT_JSON_ARRAY)
        return weft_fail(err, WEFT_EINPUT, "the reply has no array \"choices\": it is no chat completion");
    if (usage && usage->kind == WEFT_JSON_OBJECT) {
        r->prompt_tokens = count_of(weft_json_get(usage, "prompt_tokens"));
        r->completion_tokens = count_of(weft_json_get(usage, "completion_tokens"));
    }
    for (size_t i = 0; i < choices->n; i++) {
        const struct weft_json_value *c = &choices->items[i], *index = weft_json_get(c, "index"),
                                     *m = weft_json_get(c, part), *f = weft_json_get(c, "finish_reason");
        if (index && index->is_int && index->integer != 0) continue; /* one answer was asked for */
        if (m && !take_message(r, m))
            return weft_fail(err, WEFT_EINPUT, "the reply's %s has a content that is no text", part);
        r->any |= m != NULL;
        if (f && f->kind == WEFT_JSON_STRING) {
            r->finish = finish_of(f->text);
            r->done = true;
        }
    }
    if (r->text.failed || r->reasoning.failed || r->refusal.failed) return weft_fail_nomem(err, 0, "an answer");
    return WEFT_OK;
}

static enum weft_status parse(struct weft_chat_reply *r, struct weft_str json, const char *part, struct weft_err *err)
{
    struct weft_arena scratch = { 0 };
    struct weft_json_value v;
    struct weft_err own = { .lang = err ? err->lang : WEFT_LANG_EN };
    struct weft_str s = weft_str_trim_ascii(json);
    enum weft_status st;
    if (!s.len) return weft_fail(err, WEFT_EINPUT, "the reply is empty");
    if (s.s[0] == '<') return weft_fail(err, WEFT_EINPUT, "the reply is a web page, not JSON: is the address right?");
    st = weft_json_parse(&scratch, "reply", json, &v, &own);
    if (st) st = weft_fail_rule(err, st, own.rule, "%s", own.msg);
    else if (v.kind != WEFT_JSON_OBJECT) st = weft_fail(err, WEFT_EINPUT, "the reply is no JSON object");
    else st = take(r, &v, part, err);
    weft_arena_clear(&scratch);
    return st;
}

enum weft_status weft_chat_reply_body(struct weft_chat_reply *r, struct weft_str body, struct weft_err *err)
{
    enum weft_status st = parse(r, body, "message", err);
    if (!st && !r->error[0] && !r->any)
        st = weft_fail(err, WEFT_EINPUT, "the reply has no message: it is no chat completion");
    if (!st) r->done = true;
    return st;
}

enum weft_status weft_chat_reply_event(struct weft_chat_reply *r, struct weft_str data, struct weft_err *err)
{
    if (weft_str_is(weft_str_trim_ascii(data), "[DONE]")) {
        r->done = true;
        return WEFT_OK;
    }
    return parse(r, data, "delta", err);
}

/* ---- requests ---- */

void weft_chat_request_body(const struct weft_chat_request *r, bool stream, struct weft_buf *out)
{
    struct weft_json_out o;
    weft_json_out_init(&o, out);
    weft_json_out_object(&o);
    weft_json_out_key(&o, "model");
    weft_json_out_cstr(&o, r->model);
    weft_json_out_key(&o, "messages");
    weft_json_out_array(&o);
    for (size_t i = 0; i < r->n_messages; i++) {
        if (!r->messages[i].content.len && strcmp(r->messages[i].role, "system") == 0) continue;
        weft_json_out_object(&o);
        weft_json_out_key(&o, "role");
        weft_json_out_cstr(&o, r->messages[i].role);
        weft_json_out_key(&o, "content");
        weft_json_out_str(&o, r->messages[i].content);
        weft_json_out_object_end(&o);
    }
    weft_json_out_array_end(&o);
    if (r->temperature >= 0) {
        weft_json_out_key(&o, "temperature");
        weft_json_out_double(&o, r->temperature);
    }
    if (r->top_p >= 0) {
        weft_json_out_key(&o, "top_p");
        weft_json_out_double(&o, r->top_p);
    }
    if (r->max_tokens > 0) {
        weft_json_out_key(&o, "max_tokens");
        weft_json_out_int(&o, r->max_tokens);
    }
    if (r->seed >= 0) {
        weft_json_out_key(&o, "seed");
        weft_json_out_int(&o, r->seed);
    }
    if (r->schema.s) {
        weft_json_out_key(&o, "response_format");
        weft_json_out_object(&o);
        weft_json_out_key(&o, "type");
        weft_json_out_cstr(&o, "json_schema");
        weft_json_out_key(&o, "json_schema");
        weft_json_out_object(&o);
        weft_json_out_key(&o, "name");
        weft_json_out_cstr(&o, "answer");
        weft_json_out_key(&o, "strict");
        weft_json_out_bool(&o, true);
        weft_json_out_key(&o, "schema");
        weft_json_out_raw(&o, r->schema);
        weft_json_out_object_end(&o);
        weft_json_out_object_end(&o);
    }
    if (stream) {
        weft_json_out_key(&o, "stream");
        weft_json_out_bool(&o, true);
        weft_json_out_key(&o, "stream_options");
        weft_json_out_object(&o);
        weft_json_out_key(&o, "include_usage");
        weft_json_out_bool(&o, true);
        weft_json_out_object_end(&o);
    }
    weft_json_out_object_end(&o);
}
