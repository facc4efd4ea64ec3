/* Messages become the template's input with a tag on every string: 0 for what the template's author may be trusted
 * with (special tokens), 1 for role names, tools and arguments, 2 + k for what message k says.  The tags that come out
 * tell which bytes are whose, and so where each answer lies; where its loss begins and ends is read from small probe
 * conversations rendered with the same settings.
 *
 * Why probes and not one render per prefix of the conversation: that is quadratic in the number of turns, and
 * templates that drop earlier thoughts do not render prefixes of a conversation as prefixes of its text. */
#include "tokens/chat.h"

#include "base/hash.h"
#include "base/lang.h"
#include "tokens/jinja.h"

#include <stdlib.h>

enum { TAG_OTHER = 1, TAG_MESSAGE = 2 };

const char weft_chat_chatml[] =
    "{%- for message in messages %}"
    "{{- '<|im_start|>' ~ message.role ~ '\\n' ~ message.content ~ '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}";

struct weft_chat_template {
    const struct weft_jinja *jinja;
    char fingerprint[WEFT_SHA256_HEX];
    struct weft_chat_abilities can;
};

const char *weft_chat_fingerprint(const struct weft_chat_template *t) { return t->fingerprint; }
struct weft_chat_abilities weft_chat_abilities(const struct weft_chat_template *t) { return t->can; }
struct weft_str weft_chat_source(const struct weft_chat_template *t) { return weft_jinja_source(t->jinja); }

/* ---- running the template ---- */

static struct weft_jinja_value text_value(struct weft_jinja_run *r, const char *s, int32_t tag)
{
    return weft_jinja_string(r, weft_str_c(s), tag);
}

static void member(struct weft_jinja_run *r, struct weft_jinja_value dict, const char *key, struct weft_jinja_value v)
{
    weft_jinja_member(r, dict, weft_str_c(key), v);
}

static struct weft_jinja_value message(struct weft_jinja_run *r, const char *role, struct weft_jinja_value content)
{
    struct weft_jinja_value m = weft_jinja_dict(r, 4);
    member(r, m, "role", text_value(r, role, TAG_OTHER));
    member(r, m, "content", content);
    return m;
}

static struct weft_jinja_value text_part(struct weft_jinja_run *r, struct weft_jinja_value text)
{
    struct weft_jinja_value list = weft_jinja_list(r, 1), part = weft_jinja_dict(r, 2);
    member(r, part, "type", text_value(r, "text", TAG_OTHER));
    member(r, part, "text", text);
    weft_jinja_put(list, 0, part);
    return list;
}

static enum weft_status render(struct weft_jinja_run *r, struct weft_jinja_value messages, struct weft_jinja_value tools,
                               const struct weft_chat_settings *s, bool prompt, struct weft_jinja_text *out, struct weft_err *err)
{
    if (s->kwargs && s->kwargs->kind == WEFT_JSON_OBJECT)
        for (size_t i = 0; i < s->kwargs->n; i++)
            weft_jinja_set_str(r, s->kwargs->keys[i], weft_jinja_json(r, &s->kwargs->items[i], TAG_OTHER));
    weft_jinja_set(r, "messages", messages);
    weft_jinja_set(r, "tools", tools);
    weft_jinja_set(r, "documents", weft_jinja_none());
    weft_jinja_set(r, "add_generation_prompt", weft_jinja_bool(prompt));
    weft_jinja_set(r, "bos_token", weft_jinja_string(r, s->bos_token, 0));
    weft_jinja_set(r, "eos_token", weft_jinja_string(r, s->eos_token, 0));
    weft_jinja_set(r, "pad_token", weft_jinja_string(r, s->pad_token, 0));
    weft_jinja_set(r, "unk_token", weft_jinja_string(r, s->unk_token, 0));
    weft_jinja_date(r, s->date);
    return weft_jinja_render(r, out, err);
}

/* ---- probes ---- */

/* Words no template prints by itself. */
static const char needle_user[] = "Qw3user7", needle_answer[] = "Qw3answer7", needle_other[] = "Qw3other7", needle_more[] = "Qw3more7";

static bool holds(const struct weft_jinja_text *x, const char *needle) { return weft_str_find(x->text, weft_str_c(needle), 0) != SIZE_MAX; }

enum probe {
    PROBE_STRING, PROBE_LIST, PROBE_SYSTEM, PROBE_TOOLS, PROBE_OBJECT, PROBE_JSON, PROBE_RESULT, PROBE_NULL
};

static struct weft_jinja_value content(struct weft_jinja_run *r, const struct weft_chat_template *t, const char *needle)
{
    struct weft_jinja_value v = text_value(r, needle, 0);
    return t->can.string_content || !t->can.list_content ? v : text_part(r, v);
}

static struct weft_jinja_value call_message(struct weft_jinja_run *r, struct weft_jinja_value text, struct weft_jinja_value arguments)
{
    struct weft_jinja_value m = message(r, "assistant", text), calls = weft_jinja_list(r, 1), call = weft_jinja_dict(r, 3);
    struct weft_jinja_value function = weft_jinja_dict(r, 2);
    member(r, function, "name", text_value(r, "probe", TAG_OTHER));
    member(r, function, "arguments", arguments);
    member(r, call, "id", text_value(r, "call00001", TAG_OTHER));
    member(r, call, "type", text_value(r, "function", TAG_OTHER));
    member(r, call, "function", function);
    weft_jinja_put(calls, 0, call);
    member(r, m, "tool_calls", calls);
    return m;
}

static struct weft_jinja_value probe_tools(struct weft_jinja_run *r)
{
    struct weft_jinja_value tools = weft_jinja_list(r, 1), tool = weft_jinja_dict(r, 2), f = weft_jinja_dict(r, 3);
    struct weft_jinja_value p = weft_jinja_dict(r, 3);
    member(r, p, "type", text_value(r, "object", TAG_OTHER));
    member(r, p, "properties", weft_jinja_dict(r, 0));
    member(r, p, "required", weft_jinja_list(r, 0));
    member(r, f, "name", text_value(r, needle_other, TAG_OTHER));
    member(r, f, "description", text_value(r, "probe", TAG_OTHER));
    member(r, f, "parameters", p);
    member(r, tool, "type", text_value(r, "function", TAG_OTHER));
    member(r, tool, "function", f);
    weft_jinja_put(tools, 0, tool);
    return tools;
}

/* Renders one conversation made for the question; false when the template fails on it. */
static bool probe(struct weft_arena *a, const struct weft_chat_template *t, enum probe what, struct weft_jinja_text *out)
{
    struct weft_chat_settings s = { .bos_token = WEFT_STR("<s>"), .eos_token = WEFT_STR("</s>"), .date = WEFT_STR("2000-01-01") };
    struct weft_jinja_run *r;
    struct weft_jinja_value list, tools = weft_jinja_none();
    if (weft_jinja_begin(&r, a, t->jinja, NULL)) return false;
    switch (what) {
    case PROBE_STRING:
    case PROBE_LIST:
        list = weft_jinja_list(r, 1);
        weft_jinja_put(list, 0, message(r, "user", what == PROBE_STRING ? text_value(r, needle_user, 0) : text_part(r, text_value(r, needle_user, 0))));
        break;
    case PROBE_SYSTEM:
        list = weft_jinja_list(r, 2);
        weft_jinja_put(list, 0, message(r, "system", content(r, t, needle_other)));
        weft_jinja_put(list, 1, message(r, "user", content(r, t, needle_user)));
        break;
    case PROBE_TOOLS:
        list = weft_jinja_list(r, 1);
        weft_jinja_put(list, 0, message(r, "user", content(r, t, needle_user)));
        tools = probe_tools(r);
        break;
    default: {
        struct weft_jinja_value arguments = weft_jinja_dict(r, 1), text = weft_jinja_string(r, WEFT_STR(""), 0);
        member(r, arguments, needle_answer, text_value(r, needle_more, 0));
        if (what == PROBE_JSON || (what != PROBE_OBJECT && !t->can.arguments_object))
            arguments = text_value(r, "{\"Qw3answer7\": \"Qw3more7\"}", 0);
        list = weft_jinja_list(r, what == PROBE_RESULT ? 3 : 2);
        weft_jinja_put(list, 0, message(r, "user", content(r, t, needle_user)));
        weft_jinja_put(list, 1, call_message(r, what == PROBE_NULL ? weft_jinja_none() : text, arguments));
        if (what == PROBE_RESULT) {
            struct weft_jinja_value m = message(r, "tool", content(r, t, needle_other));
            member(r, m, "tool_call_id", text_value(r, "call00001", TAG_OTHER));
            member(r, m, "name", text_value(r, "probe", TAG_OTHER));
            weft_jinja_put(list, 2, m);
        }
        break;
    }
    }
    return !render(r, list, tools, &s, false, out, NULL);
}

static void learn_abilities(struct weft_arena *a, struct weft_chat_template *t)
{
    struct weft_jinja_text x;
    struct weft_arena_mark mark = weft_arena_mark(a);
    struct weft_chat_abilities *can = &t->can;
    can->generation = weft_jinja_has_generation(t->jinja);
    can->developer_role = weft_str_find(weft_jinja_source(t->jinja), WEFT_STR("developer"), 0) != SIZE_MAX;
    can->string_content = probe(a, t, PROBE_STRING, &x) && holds(&x, needle_user);
    /* A list that is merely printed shows its Python form. */
    can->list_content = probe(a, t, PROBE_LIST, &x) && holds(&x, needle_user) && !holds(&x, "'text'") && !holds(&x, "\"text\"");
    if (!can->string_content && !can->list_content) can->string_content = true;
    can->system_role = probe(a, t, PROBE_SYSTEM, &x) && holds(&x, needle_other);
    can->tools = probe(a, t, PROBE_TOOLS, &x) && holds(&x, needle_other);
    can->arguments_object = probe(a, t, PROBE_OBJECT, &x) && holds(&x, needle_answer) && !holds(&x, "'Qw3answer7'");
    bool as_text = !can->arguments_object && probe(a, t, PROBE_JSON, &x) && holds(&x, needle_answer);
    can->tool_calls = (can->arguments_object || as_text) && probe(a, t, PROBE_RESULT, &x) && holds(&x, needle_other);
    can->null_content = (can->arguments_object || as_text) && probe(a, t, PROBE_NULL, &x) && !holds(&x, "None");
    weft_arena_release(a, mark);
}

enum weft_status weft_chat_parse(struct weft_arena *a, const char *name, struct weft_str source, const struct weft_chat_template **out,
                                 struct weft_err *err)
{
    struct weft_chat_template *t = WEFT_NEW(a, struct weft_chat_template);
    if (!t) return weft_fail_nomem(err, sizeof *t, "a chat template");
    enum weft_status st = weft_jinja_parse(a, name, source, &t->jinja, err);
    if (!st) st = weft_sha256_of(source, t->fingerprint, err);
    if (st) return st;
    learn_abilities(a, t);
    *out = t;
    return WEFT_OK;
}

/* ---- where an answer begins and ends ---- */

static size_t common_prefix(struct weft_str a, struct weft_str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.s[n] == b.s[n]) n++;
    return n;
}

static struct weft_str after(struct weft_str s, const char *needle)
{
    size_t at = weft_str_find(s, weft_str_c(needle), 0);
    return at == SIZE_MAX ? (struct weft_str){0} : weft_str_skip(s, at + strlen(needle));
}

static bool probe_turns(struct weft_arena *a, const struct weft_chat_template *t, const struct weft_chat_settings *s, size_t n, bool prompt,
                        struct weft_str *out)
{
    static const char *const needles[] = { needle_user, needle_answer, needle_other, needle_more };
    struct weft_jinja_run *r;
    struct weft_jinja_text x;
    if (weft_jinja_begin(&r, a, t->jinja, NULL)) return false;
    struct weft_jinja_value list = weft_jinja_list(r, n);
    for (size_t i = 0; i < n; i++) weft_jinja_put(list, i, message(r, i % 2 ? "assistant" : "user", content(r, t, needles[i])));
    if (render(r, list, weft_jinja_none(), s, prompt, &x, NULL)) return false;
    *out = x.text;
    return true;
}

void weft_chat_learn_shape(struct weft_arena *a, const struct weft_chat_template *t, const struct weft_chat_settings *s,
                           struct weft_chat_shape *out)
{
    struct weft_str asked, prompted, answered, two;
    *out = (struct weft_chat_shape){0};
    if (probe_turns(a, t, s, 1, true, &prompted)) {
        out->lead = after(prompted, needle_user);
        if (probe_turns(a, t, s, 1, false, &asked) && weft_str_starts(prompted, asked)) out->prompt = weft_str_skip(prompted, asked.len);
    }
    if (!probe_turns(a, t, s, 2, false, &answered)) return;
    struct weft_str last = after(answered, needle_answer);
    if (probe_turns(a, t, s, 4, false, &two)) {
        struct weft_str between = after(two, needle_answer);
        size_t next = weft_str_find(between, weft_str_c(needle_other), 0);
        size_t n = common_prefix(last, weft_str_sub(between, 0, next));
        /* Two different special tokens may begin alike: "<|end|>\n<|" is cut before the "<". */
        if (n < last.len)
            for (size_t i = n; i-- > 0 && last.s[i] != '>';)
                if (last.s[i] == '<') {
                    n = i;
                    break;
                }
        last = weft_str_sub(last, 0, n);
    }
    out->trailer = last;
    out->marker = last;
    while (out->marker.len && (out->marker.s[out->marker.len - 1] == ' ' || out->marker.s[out->marker.len - 1] == '\n'))
        out->marker.len--;
    if (!out->marker.len) out->marker = out->trailer;
}

struct reach {                  /* bytes of one message, no other's between them */
    size_t begin, end;
    size_t message;
};

struct interval {
    size_t begin, end;
};

static size_t last_of(struct weft_str s, struct weft_str needle)
{
    size_t at = SIZE_MAX;
    for (size_t from = 0, hit; (hit = weft_str_find(s, needle, from)) != SIZE_MAX; from = hit + 1) at = hit;
    return at;
}

/* Where the generation prompt ends in the text before an answer; SIZE_MAX: it is not there.  Prompts that already
 * open or close a thought are not in front of answers without one: then the part up to an earlier tag or line counts,
 * if it is most of the prompt. */
static size_t after_prompt(struct weft_str gap, struct weft_str prompt)
{
    for (size_t n = prompt.len; n && n >= prompt.len / 2; n--) {
        if (n < prompt.len && prompt.s[n - 1] != '>' && prompt.s[n - 1] != '\n') continue;
        size_t at = last_of(gap, weft_str_sub(prompt, 0, n));
        if (at != SIZE_MAX) return at + n;
    }
    return SIZE_MAX;
}

/* Loss of the answer whose bytes are [x.begin, x.end), between the messages that end at `before` and begin at `next`. */
static struct interval answer_loss(struct weft_str text, const struct weft_chat_shape *sh, struct reach x, size_t before, size_t next, bool trailing)
{
    struct interval loss = { x.begin, x.end };
    struct weft_str gap = weft_str_sub(text, before, x.begin), tail = weft_str_sub(text, x.end, next);
    size_t at = sh->prompt.len                                                ? after_prompt(gap, sh->prompt)
                : sh->lead.len && weft_str_starts(gap, sh->lead) ? sh->lead.len
                                                                              : SIZE_MAX;
    if (at != SIZE_MAX) loss.begin = before + at;
    size_t end = sh->trailer.len ? weft_str_find(tail, sh->trailer, 0) : SIZE_MAX;
    if (end != SIZE_MAX) loss.end = x.end + end + (trailing ? sh->trailer.len : sh->marker.len);
    else if (sh->marker.len && (end = weft_str_find(tail, sh->marker, 0)) != SIZE_MAX) loss.end = x.end + end + sh->marker.len;
    return loss;
}

/* Spans of the output: cut wherever the tag or the loss changes. */
static enum weft_status make_spans(struct weft_arena *a, const struct weft_jinja_text *x, bool generation, const struct interval *loss,
                                   size_t n_loss, struct weft_chat_text *out, struct weft_err *err)
{
    size_t cap = x->n_spans + 2 * n_loss + 1, n = 0, l = 0;
    struct weft_chat_span *spans = WEFT_NEWS(a, struct weft_chat_span, cap);
    if (!spans) return weft_fail_nomem(err, cap * sizeof *spans, "a rendered template");
    for (size_t i = 0, at = 0; i < x->n_spans; i++) {
        while (at < x->spans[i].end) {
            size_t end = x->spans[i].end;
            bool carries = generation && x->spans[i].generation;
            if (!generation) {
                while (l < n_loss && loss[l].end <= at) l++;
                carries = l < n_loss && loss[l].begin <= at;
                if (l < n_loss) end = weft_min_size(end, carries ? loss[l].end : loss[l].begin);
            }
            bool from_template = x->spans[i].tag == 0;
            if (n && spans[n - 1].from_template == from_template && spans[n - 1].loss == carries) spans[n - 1].end = end;
            else spans[n++] = (struct weft_chat_span){ at, end, from_template, carries };
            at = end;
        }
    }
    *out = (struct weft_chat_text){ x->text, spans, n };
    return WEFT_OK;
}

/* An answer of which not one byte is in the text (it is empty) still has its prompt and end marker, somewhere between
 * the messages before it and the next. */
static bool empty_answer(struct weft_str text, const struct weft_chat_shape *sh, const struct reach *runs, size_t n_runs, size_t k, struct reach *out)
{
    size_t before = 0, next = text.len;
    for (size_t i = 0; i < n_runs; i++)
        if (runs[i].message < k) before = weft_max_size(before, runs[i].end);
    for (size_t i = n_runs; i-- > 0;)
        if (runs[i].begin >= before && runs[i].message > k) next = runs[i].begin;
    struct weft_str gap = weft_str_sub(text, before, next);
    size_t at = sh->prompt.len ? weft_str_find(gap, sh->prompt, 0) : SIZE_MAX;
    if (at == SIZE_MAX || !sh->trailer.len) return false;
    at += sh->prompt.len;
    if (weft_str_find(gap, sh->trailer, at) == SIZE_MAX) return false;
    *out = (struct reach){ before + at, before + at, k };
    return true;
}

static void insert_interval(struct interval *v, size_t *n, struct interval x)
{
    size_t at = *n;
    for (; at && v[at - 1].begin > x.begin; at--) v[at] = v[at - 1];
    if (at && v[at - 1].end > x.begin) x.begin = v[at - 1].end;
    if (at < *n && v[at + 1].begin < x.end) x.end = v[at + 1].begin;
    v[at] = x;
    ++*n;
}

/* `answers[k]`: message k is the assistant's. */
static enum weft_status find_loss(struct weft_arena *a, const struct weft_chat_template *t, const struct weft_chat_settings *s,
                                  const struct weft_jinja_text *x, const bool *answers, size_t n, struct weft_chat_text *out, struct weft_err *err)
{
    struct weft_chat_shape shape = {0};
    size_t n_loss = 0, n_runs = 0;
    bool any = false;
    if (t->can.generation) return make_spans(a, x, true, NULL, 0, out, err);
    struct reach *runs = WEFT_NEWS(a, struct reach, x->n_spans), found;
    struct interval *loss = WEFT_NEWS(a, struct interval, n + 1);
    bool *seen = WEFT_NEWS(a, bool, n);
    if (!runs || !loss || !seen) return weft_fail_nomem(err, x->n_spans * sizeof *runs, "a rendered template");
    for (size_t k = 0; k < n; k++) any |= answers[k];
    if (any && s->shape) shape = *s->shape;
    else if (any) weft_chat_learn_shape(a, t, s, &shape);
    for (size_t i = 0, at = 0; any && i < x->n_spans; at = x->spans[i++].end) {
        if (x->spans[i].tag < TAG_MESSAGE) continue;
        size_t k = (size_t)(x->spans[i].tag - TAG_MESSAGE);
        if (!n_runs || runs[n_runs - 1].message != k) runs[n_runs++] = (struct reach){ at, at, k };
        runs[n_runs - 1].end = x->spans[i].end;
    }
    for (size_t i = 0; i < n_runs; i++) {
        size_t k = runs[i].message, before = i ? runs[i - 1].end : 0, next = i + 1 < n_runs ? runs[i + 1].begin : x->text.len;
        if (k >= n || seen[k]) continue;        /* printed again: the first time counts */
        seen[k] = true;
        if (answers[k]) insert_interval(loss, &n_loss, answer_loss(x->text, &shape, runs[i], before, next, s->train_trailing));
    }
    for (size_t k = 0; k < n; k++)
        if (answers[k] && !seen[k] && empty_answer(x->text, &shape, runs, n_runs, k, &found))
            insert_interval(loss, &n_loss, answer_loss(x->text, &shape, found, found.begin, x->text.len, s->train_trailing));
    return make_spans(a, x, false, loss, n_loss, out, err);
}

/* ---- messages ---- */

/* Content as the template wants it. */
static struct weft_jinja_value content_of(struct weft_jinja_run *r, const struct weft_chat_template *t, struct weft_str text, int32_t tag)
{
    struct weft_jinja_value v = weft_jinja_string(r, text, tag);
    return t->can.string_content ? v : text_part(r, v);
}

static struct weft_str joined(struct weft_arena *a, struct weft_str x, const char *sep, struct weft_str y)
{
    size_t n = strlen(sep);
    char *s = weft_arena_alloc(a, x.len + n + y.len + 1);
    if (!s) return (struct weft_str){0};
    if (x.len) memcpy(s, x.s, x.len);
    memcpy(s + x.len, sep, n);
    if (y.len) memcpy(s + x.len + n, y.s, y.len);
    return (struct weft_str){ s, x.len + n + y.len };
}

/* {"name", "arguments"} or {"function": {...}}: arguments become an object or a string. */
static enum weft_status tool_call(struct weft_arena *a, struct weft_jinja_run *r, const struct weft_chat_template *t,
                                  const struct weft_json_value *v, int32_t tag, struct weft_jinja_value *out, struct weft_err *err)
{
    const struct weft_json_value *f = weft_json_get(v, "function"), *id = weft_json_get(v, "id");
    const struct weft_json_value *name, *arguments;
    if (!f || f->kind != WEFT_JSON_OBJECT) f = v;
    name = weft_json_get(f, "name");
    arguments = weft_json_get(f, "arguments");
    if (!name || name->kind != WEFT_JSON_STRING)
        return weft_fail(err, WEFT_EINPUT, "a tool call has no \"name\"; expected {\"name\": ..., \"arguments\": {...}}");
    struct weft_jinja_value call = weft_jinja_dict(r, 3), function = weft_jinja_dict(r, 2), args;
    if (arguments && arguments->kind == WEFT_JSON_STRING && t->can.arguments_object) {
        struct weft_json_value parsed;
        enum weft_status st = weft_json_parse(a, "arguments of a tool call", arguments->text, &parsed, err);
        if (st) return st;
        args = weft_jinja_json(r, &parsed, tag);
    } else if (arguments && arguments->kind != WEFT_JSON_STRING && !t->can.arguments_object) {
        struct weft_buf buf = {0};
        struct weft_json_out w;
        weft_json_out_init(&w, &buf);
        w.spaced = true;
        weft_json_out_value(&w, arguments);
        enum weft_status st = weft_buf_check(&buf, "the arguments of a tool call", err);
        struct weft_str copy = st ? (struct weft_str){0} : weft_str_dup(a, weft_buf_view(&buf));
        weft_buf_clear(&buf);
        if (st) return st;
        if (!copy.s) return weft_fail_nomem(err, buf.len, "the arguments of a tool call");
        args = weft_jinja_string(r, copy, tag);
    } else
        args = arguments ? weft_jinja_json(r, arguments, tag) : weft_jinja_dict(r, 0);
    member(r, function, "name", weft_jinja_string(r, name->text, tag));
    member(r, function, "arguments", args);
    if (id && id->kind == WEFT_JSON_STRING) member(r, call, "id", weft_jinja_string(r, id->text, tag));
    else member(r, call, "id", text_value(r, "call00001", tag));
    member(r, call, "type", text_value(r, "function", TAG_OTHER));
    member(r, call, "function", function);
    *out = call;
    return WEFT_OK;
}

static enum weft_status tool_calls(struct weft_arena *a, struct weft_jinja_run *r, const struct weft_chat_template *t,
                                   const struct weft_json_value *v, int32_t tag, struct weft_jinja_value *out, struct weft_err *err)
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
    return weft_fail(err, WEFT_EINPUT, "the messages hold tool calls, but the chat template does not print them");
}

/* ---- rows ---- */

static enum weft_status row_message(struct weft_arena *a, struct weft_jinja_run *r, const struct weft_chat_template *t, const struct weft_turn *turn,
                                    struct weft_str text, int32_t tag, struct weft_jinja_value *out, struct weft_err *err)
{
    static const char *const roles[] = { "system", "user", "assistant", "assistant", "tool" };
    if (turn->role >= WEFT_ROLE_TOOL_CALL && !t->can.tool_calls) return refuse_tools(err);
    if (turn->role != WEFT_ROLE_TOOL_CALL) {
        *out = message(r, roles[turn->role], content_of(r, t, text, tag));
        return WEFT_OK;
    }
    struct weft_json_value v;
    struct weft_jinja_value calls;
    enum weft_status st = weft_json_parse(a, "a tool call", turn->text, &v, err);
    if (!st) st = tool_calls(a, r, t, &v, tag, &calls, err);
    if (st) return st;
    *out = message(r, "assistant", content_of(r, t, WEFT_STR(""), tag));
    member(r, *out, "tool_calls", calls);
    return WEFT_OK;
}

enum weft_status weft_chat_render_row(struct weft_arena *a, const struct weft_chat_template *t, const struct weft_row *row,
                                      const struct weft_chat_settings *s, struct weft_chat_text *out, struct weft_err *err)
{
    struct weft_jinja_run *r;
    struct weft_jinja_text x;
    struct weft_jinja_value tools = weft_jinja_none(), m;
    bool system = row->system.s && t->can.system_role, glue = row->system.len && !t->can.system_role;
    size_t n = row->n_turns + system, k = 0;
    bool *answers = WEFT_NEWS(a, bool, n);
    if (!answers) return weft_fail_nomem(err, n, "a rendered template");
    enum weft_status st = weft_jinja_begin(&r, a, t->jinja, err);
    if (st) return st;
    struct weft_jinja_value list = weft_jinja_list(r, n);
    if (system) weft_jinja_put(list, k++, message(r, "system", content_of(r, t, row->system, TAG_MESSAGE)));
    for (size_t i = 0; i < row->n_turns; i++, k++) {
        const struct weft_turn *turn = &row->turns[i];
        struct weft_str text = turn->text;
        if (glue && turn->role == WEFT_ROLE_USER) {
            text = joined(a, row->system, "\n\n", text);
            if (!text.s) return weft_fail_nomem(err, row->system.len, "a rendered template");
            glue = false;
        }
        answers[k] = turn->role == WEFT_ROLE_ASSISTANT || turn->role == WEFT_ROLE_TOOL_CALL;
        st = row_message(a, r, t, turn, text, (int32_t)(TAG_MESSAGE + k), &m, err);
        if (st) return st;
        weft_jinja_put(list, k, m);
    }
    if (row->tools.s) {
        struct weft_json_value v;
        st = weft_json_parse(a, "tools", row->tools, &v, err);
        if (st) return st;
        tools = weft_jinja_json(r, &v, TAG_OTHER);
    }
    st = render(r, list, tools, s, s->add_generation_prompt, &x, err);
    return st ? st : find_loss(a, t, s, &x, answers, n, out, err);
}

/* ---- messages as JSON ---- */

/* Text parts joined with newlines; *other: a part that is no text. */
static enum weft_status join_parts(struct weft_arena *a, const struct weft_json_value *parts, struct weft_str *out, struct weft_err *err)
{
    *out = WEFT_STR("");
    for (size_t i = 0; i < parts->n; i++) {
        const struct weft_json_value *p = &parts->items[i], *text = p->kind == WEFT_JSON_STRING ? p : weft_json_get(p, "text");
        if (!text || text->kind != WEFT_JSON_STRING)
            return weft_fail(err, WEFT_EINPUT, "a part of a message's content is no text, and the chat template only takes text");
        *out = i ? joined(a, *out, "\n", text->text) : text->text;
        if (!out->s && text->text.len) return weft_fail_nomem(err, text->text.len, "a rendered template");
    }
    if (!out->s) *out = WEFT_STR("");
    return WEFT_OK;
}

static enum weft_status json_content(struct weft_arena *a, struct weft_jinja_run *r, const struct weft_chat_template *t,
                                     const struct weft_json_value *c, int32_t tag, bool calls, struct weft_jinja_value *out, struct weft_err *err)
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

static enum weft_status json_message(struct weft_arena *a, struct weft_jinja_run *r, const struct weft_chat_template *t,
                                     const struct weft_json_value *v, size_t k, bool *answer, struct weft_jinja_value *out, struct weft_err *err)
{
    const struct weft_json_value *role = weft_json_get(v, "role"), *calls = weft_json_get(v, "tool_calls");
    int32_t tag = (int32_t)(TAG_MESSAGE + k);
    if (v->kind != WEFT_JSON_OBJECT || !role || role->kind != WEFT_JSON_STRING)
        return weft_fail(err, WEFT_EINPUT, "message %zu has no role; expected an object with \"role\" and \"content\"", k + 1);
    bool has_calls = calls && calls->kind == WEFT_JSON_ARRAY && calls->n;
    if ((has_calls || weft_str_is(role->text, "tool")) && !t->can.tool_calls) return refuse_tools(err);
    *answer = weft_str_is(role->text, "assistant");
    *out = weft_jinja_dict(r, v->n);
    for (size_t i = 0; i < v->n; i++) {
        struct weft_jinja_value x = weft_jinja_none();
        enum weft_status st = WEFT_OK;
        if (&v->items[i] == role && weft_str_is(role->text, "developer") && !t->can.developer_role) x = text_value(r, "system", TAG_OTHER);
        else if (weft_str_is(v->keys[i], "content")) st = json_content(a, r, t, &v->items[i], tag, has_calls, &x, err);
        else if (&v->items[i] == calls && has_calls) st = tool_calls(a, r, t, calls, tag, &x, err);
        else x = weft_jinja_json(r, &v->items[i], is_header_key(v->keys[i]) ? TAG_OTHER : tag);
        if (st) return st;
        weft_jinja_member(r, *out, v->keys[i], x);
    }
    return WEFT_OK;
}

static bool is_system(const struct weft_json_value *m)
{
    const struct weft_json_value *role = weft_json_get(m, "role");
    return role && role->kind == WEFT_JSON_STRING && (weft_str_is(role->text, "system") || weft_str_is(role->text, "developer"));
}

/* A template without system role gets [system, user, ...] as [user, ...], the system text before the user's. */
static enum weft_status glue_system(struct weft_arena *a, const struct weft_json_value *messages, struct weft_json_value *out, struct weft_err *err)
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
    struct weft_str text = joined(a, parts[0], "\n\n", parts[1]);
    if (!values || !text.s) return weft_fail_nomem(err, parts[0].len, "a rendered template");
    memcpy(values, user->items, user->n * sizeof *values);
    user->items = values;
    for (size_t i = 0; i < user->n; i++)
        if (weft_str_is(user->keys[i], "content")) values[i] = (struct weft_json_value){ .kind = WEFT_JSON_STRING, .text = text };
    return WEFT_OK;
}

enum weft_status weft_chat_render(struct weft_arena *a, const struct weft_chat_template *t, const struct weft_json_value *messages,
                                  const struct weft_json_value *tools, const struct weft_chat_settings *s, struct weft_chat_text *out,
                                  struct weft_err *err)
{
    struct weft_jinja_run *r;
    struct weft_jinja_text x;
    struct weft_json_value changed;
    enum weft_status st;
    if (messages->kind != WEFT_JSON_ARRAY)
        return weft_fail(err, WEFT_EINPUT, "messages are %s; expected a list of objects",
                         weft_tr(err ? err->lang : WEFT_LANG_EN, weft_json_kind_name(messages->kind)));
    if (!t->can.system_role && messages->n > 1 && is_system(&messages->items[0]) && messages->items[1].kind == WEFT_JSON_OBJECT &&
        !is_system(&messages->items[1])) {
        st = glue_system(a, messages, &changed, err);
        if (st) return st;
        messages = &changed;
    }
    bool *answers = WEFT_NEWS(a, bool, messages->n);
    if (!answers) return weft_fail_nomem(err, messages->n, "a rendered template");
    st = weft_jinja_begin(&r, a, t->jinja, err);
    if (st) return st;
    struct weft_jinja_value list = weft_jinja_list(r, messages->n), m;
    for (size_t k = 0; k < messages->n; k++) {
        st = json_message(a, r, t, &messages->items[k], k, &answers[k], &m, err);
        if (st) return st;
        weft_jinja_put(list, k, m);
    }
    st = render(r, list, tools ? weft_jinja_json(r, tools, TAG_OTHER) : weft_jinja_none(), s, s->add_generation_prompt, &x, err);
    return st ? st : find_loss(a, t, s, &x, answers, messages->n, out, err);
}
