/* What a template can do, and what it prints round an answer, is found by rendering small conversations
 * made of words that no template prints by itself.
 *
 * Why probes and not one render per prefix of the conversation: that is quadratic in the number of turns, and
 * templates that drop earlier thoughts do not render prefixes of a conversation as prefixes of its text. */
#include "tokens/chat_parts.h"

/* Words no template prints by itself. */
static const char needle_user[] = "Qw3user7", needle_answer[] = "Qw3answer7", needle_other[] = "Qw3other7",
                  needle_more[] = "Qw3more7";

static bool holds(const struct weft_jinja_text *x, const char *needle)
{
    return weft_str_find(x->text, weft_str_c(needle), 0) != SIZE_MAX;
}

enum probe {
    PROBE_STRING,
    PROBE_LIST,
    PROBE_SYSTEM,
    PROBE_TOOLS,
    PROBE_OBJECT,
    PROBE_JSON,
    PROBE_RESULT,
    PROBE_NULL
};

static struct weft_jinja_value content(struct weft_jinja_run *r, const struct weft_chat_template *t,
                                       const char *needle)
{
    struct weft_jinja_value v = weft_chat_string(r, needle, 0);
    return t->can.string_content || !t->can.list_content ? v : weft_chat_part(r, v);
}

static struct weft_jinja_value call_message(struct weft_jinja_run *r, struct weft_jinja_value text,
                                            struct weft_jinja_value arguments)
{
    struct weft_jinja_value m = weft_chat_message(r, "assistant", text), calls = weft_jinja_list(r, 1),
                            call = weft_jinja_dict(r, 3);
    struct weft_jinja_value function = weft_jinja_dict(r, 2);
    weft_chat_member(r, function, "name", weft_chat_string(r, "probe", WEFT_TAG_OTHER));
    weft_chat_member(r, function, "arguments", arguments);
    weft_chat_member(r, call, "id", weft_chat_string(r, "call00001", WEFT_TAG_OTHER));
    weft_chat_member(r, call, "type", weft_chat_string(r, "function", WEFT_TAG_OTHER));
    weft_chat_member(r, call, "function", function);
    weft_jinja_put(calls, 0, call);
    weft_chat_member(r, m, "tool_calls", calls);
    return m;
}

static struct weft_jinja_value probe_tools(struct weft_jinja_run *r)
{
    struct weft_jinja_value tools = weft_jinja_list(r, 1), tool = weft_jinja_dict(r, 2),
                            f = weft_jinja_dict(r, 3);
    struct weft_jinja_value p = weft_jinja_dict(r, 3);
    weft_chat_member(r, p, "type", weft_chat_string(r, "object", WEFT_TAG_OTHER));
    weft_chat_member(r, p, "properties", weft_jinja_dict(r, 0));
    weft_chat_member(r, p, "required", weft_jinja_list(r, 0));
    weft_chat_member(r, f, "name", weft_chat_string(r, needle_other, WEFT_TAG_OTHER));
    weft_chat_member(r, f, "description", weft_chat_string(r, "probe", WEFT_TAG_OTHER));
    weft_chat_member(r, f, "parameters", p);
    weft_chat_member(r, tool, "type", weft_chat_string(r, "function", WEFT_TAG_OTHER));
    weft_chat_member(r, tool, "function", f);
    weft_jinja_put(tools, 0, tool);
    return tools;
}

/* Renders one conversation made for the question; false when the template fails on it. */
static bool probe(struct weft_arena *a, const struct weft_chat_template *t, enum probe what,
                  struct weft_jinja_text *out)
{
    struct weft_chat_settings s = { .bos_token = WEFT_STR("<s>"),
                                    .eos_token = WEFT_STR("</s>"),
                                    .date = WEFT_STR("2000-01-01") };
    struct weft_jinja_run *r;
    struct weft_jinja_value list, tools = weft_jinja_none();
    if (weft_jinja_begin(&r, a, t->jinja, NULL)) return false;
    switch (what) {
    case PROBE_STRING:
    case PROBE_LIST:
        list = weft_jinja_list(r, 1);
        weft_jinja_put(list, 0,
                       weft_chat_message(r, "user",
                                         what == PROBE_STRING
                                             ? weft_chat_string(r, needle_user, 0)
                                             : weft_chat_part(r, weft_chat_string(r, needle_user, 0))));
        break;
    case PROBE_SYSTEM:
        list = weft_jinja_list(r, 2);
        weft_jinja_put(list, 0, weft_chat_message(r, "system", content(r, t, needle_other)));
        weft_jinja_put(list, 1, weft_chat_message(r, "user", content(r, t, needle_user)));
        break;
    case PROBE_TOOLS:
        list = weft_jinja_list(r, 1);
        weft_jinja_put(list, 0, weft_chat_message(r, "user", content(r, t, needle_user)));
        tools = probe_tools(r);
        break;
    default: {
        struct weft_jinja_value arguments = weft_jinja_dict(r, 1),
                                text = weft_jinja_string(r, WEFT_STR(""), 0);
        weft_chat_member(r, arguments, needle_answer, weft_chat_string(r, needle_more, 0));
        if (what == PROBE_JSON || (what != PROBE_OBJECT && !t->can.arguments_object))
            arguments = weft_chat_string(r, "{\"Qw3answer7\": \"Qw3more7\"}", 0);
        list = weft_jinja_list(r, what == PROBE_RESULT ? 3 : 2);
        weft_jinja_put(list, 0, weft_chat_message(r, "user", content(r, t, needle_user)));
        weft_jinja_put(list, 1, call_message(r, what == PROBE_NULL ? weft_jinja_none() : text, arguments));
        if (what == PROBE_RESULT) {
            struct weft_jinja_value m = weft_chat_message(r, "tool", content(r, t, needle_other));
            weft_chat_member(r, m, "tool_call_id", weft_chat_string(r, "call00001", WEFT_TAG_OTHER));
            weft_chat_member(r, m, "name", weft_chat_string(r, "probe", WEFT_TAG_OTHER));
            weft_jinja_put(list, 2, m);
        }
        break;
    }
    }
    return !weft_chat_run(r, list, tools, &s, false, out, NULL);
}

void weft_chat_learn_abilities(struct weft_arena *a, struct weft_chat_template *t)
{
    struct weft_jinja_text x;
    struct weft_arena_mark mark = weft_arena_mark(a);
    struct weft_chat_abilities *can = &t->can;
    can->generation = weft_jinja_has_generation(t->jinja);
    can->developer_role = weft_str_find(weft_jinja_source(t->jinja), WEFT_STR("developer"), 0) != SIZE_MAX;
    can->string_content = probe(a, t, PROBE_STRING, &x) && holds(&x, needle_user);
    /* A list that is merely printed shows its Python form. */
    can->list_content = probe(a, t, PROBE_LIST, &x) && holds(&x, needle_user) && !holds(&x, "'text'")
                        && !holds(&x, "\"text\"");
    if (!can->string_content && !can->list_content) can->string_content = true;
    can->system_role = probe(a, t, PROBE_SYSTEM, &x) && holds(&x, needle_other);
    can->tools = probe(a, t, PROBE_TOOLS, &x) && holds(&x, needle_other);
    can->arguments_object =
        probe(a, t, PROBE_OBJECT, &x) && holds(&x, needle_answer) && !holds(&x, "'Qw3answer7'");
    bool as_text = !can->arguments_object && probe(a, t, PROBE_JSON, &x) && holds(&x, needle_answer);
    can->tool_calls =
        (can->arguments_object || as_text) && probe(a, t, PROBE_RESULT, &x) && holds(&x, needle_other);
    can->null_content =
        (can->arguments_object || as_text) && probe(a, t, PROBE_NULL, &x) && !holds(&x, "None");
    weft_arena_release(a, mark);
}

/* ---- where answers begin and end ---- */

static size_t common_prefix(struct weft_str a, struct weft_str b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.s[n] == b.s[n]) n++;
    return n;
}

static struct weft_str after(struct weft_str s, const char *needle)
{
    size_t at = weft_str_find(s, weft_str_c(needle), 0);
    return at == SIZE_MAX ? (struct weft_str){ 0 } : weft_str_skip(s, at + strlen(needle));
}

static bool probe_turns(struct weft_arena *a, const struct weft_chat_template *t,
                        const struct weft_chat_settings *s, size_t n, bool prompt, struct weft_str *out)
{
    static const char *const needles[] = { needle_user, needle_answer, needle_other, needle_more };
    struct weft_jinja_run *r;
    struct weft_jinja_text x;
    if (weft_jinja_begin(&r, a, t->jinja, NULL)) return false;
    struct weft_jinja_value list = weft_jinja_list(r, n);
    for (size_t i = 0; i < n; i++)
        weft_jinja_put(list, i,
                       weft_chat_message(r, i % 2 ? "assistant" : "user", content(r, t, needles[i])));
    if (weft_chat_run(r, list, weft_jinja_none(), s, prompt, &x, NULL)) return false;
    *out = x.text;
    return true;
}

void weft_chat_learn_shape(struct weft_arena *a, const struct weft_chat_template *t,
                           const struct weft_chat_settings *s, struct weft_chat_shape *out)
{
    struct weft_str asked, prompted, answered, two;
    *out = (struct weft_chat_shape){ 0 };
    if (probe_turns(a, t, s, 1, true, &prompted)) {
        out->lead = after(prompted, needle_user);
        if (probe_turns(a, t, s, 1, false, &asked) && weft_str_starts(prompted, asked))
            out->prompt = weft_str_skip(prompted, asked.len);
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
    while (out->marker.len
           && (out->marker.s[out->marker.len - 1] == ' ' || out->marker.s[out->marker.len - 1] == '\n'))
        out->marker.len--;
    if (!out->marker.len) out->marker = out->trailer;
}
