/* Methods of strings, dicts, lists, loops and cyclers.  Methods that would change a list or dict do
 * not exist here: templates are run in a sandbox, as in the reference. */
#include "tokens/jinja_value.h"

#include <utf8proc.h>

#define METHOD(name)                                                                                         \
    static bool name(struct weft_jinja_run *r, const struct jj_in *in, struct weft_jinja_value *out)

/* ---- methods of strings ---- */

static const struct jj_string *self_of(const struct jj_in *in) { return jj_str(in->self); }

static bool want_string(struct weft_jinja_run *r, const struct jj_in *in, int i, const char *what,
                        const struct jj_string **out)
{
    *out = NULL;
    if (in->set[i] && in->arg[i].kind == JJ_STRING) *out = jj_str(in->arg[i]);
    else if (in->set[i] && in->arg[i].kind == JJ_UNDEFINED) return jj_fail_undefined(r, in->arg[i]);
    else return jj_fail(r, "'%s' needs a str, not %s", what, in->set[i] ? jj_type(in->arg[i]) : "None");
    return true;
}

static bool optional_string(struct weft_jinja_run *r, const struct jj_in *in, int i, const char *what,
                            const struct jj_string **out)
{
    *out = NULL;
    return !in->set[i] || in->arg[i].kind == JJ_NONE || want_string(r, in, i, what, out);
}

static bool optional_int(struct weft_jinja_run *r, const struct jj_in *in, int i, int64_t def,
                         const char *what, int64_t *out)
{
    *out = def;
    if (!in->set[i] || jj_is_index(in->arg[i], out)) return true;
    return jj_fail(r, "'%s' needs an integer, not %s", what, jj_type(in->arg[i]));
}

static bool strip(struct weft_jinja_run *r, const struct jj_in *in, bool left, bool right,
                  struct weft_jinja_value *out)
{
    const struct jj_string *chars;
    size_t from, to;
    if (!optional_string(r, in, 0, "strip", &chars)) return false;
    jj_strip(self_of(in), chars, left, right, &from, &to);
    return jj_substr(r, self_of(in), from, to, out);
}
METHOD(m_strip) { return strip(r, in, true, true, out); }
METHOD(m_lstrip) { return strip(r, in, true, false, out); }
METHOD(m_rstrip) { return strip(r, in, false, true, out); }

METHOD(m_upper) { return jj_change_case(r, self_of(in), JJ_UPPER, out); }
METHOD(m_lower) { return jj_change_case(r, self_of(in), JJ_LOWER, out); }
METHOD(m_title) { return jj_change_case(r, self_of(in), JJ_TITLE, out); }
METHOD(m_capitalize) { return jj_change_case(r, self_of(in), JJ_CAPITALIZE, out); }
METHOD(m_swapcase) { return jj_change_case(r, self_of(in), JJ_SWAP, out); }

struct parts {
    size_t (*v)[2];
    size_t n, cap;
};

static bool part(struct weft_jinja_run *r, struct parts *p, size_t from, size_t to)
{
    if (p->n == p->cap) {
        size_t cap = weft_max_size(8, p->cap * 2);
        size_t(*v)[2] = jj_alloc(r, cap * sizeof *v);
        if (!v) return false;
        if (p->n) memcpy(v, p->v, p->n * sizeof *v);
        p->v = v;
        p->cap = cap;
    }
    p->v[p->n][0] = from;
    p->v[p->n++][1] = to;
    return true;
}

static bool parts_list(struct weft_jinja_run *r, const struct jj_string *s, const struct parts *p,
                       bool backwards, struct weft_jinja_value *out)
{
    struct weft_jinja_value *items;
    if (!jj_list(r, p->n, JJ_PLAIN, out, &items)) return false;
    for (size_t i = 0; i < p->n; i++)
        if (!jj_substr(r, s, p->v[i][0], p->v[i][1], &items[backwards ? p->n - 1 - i : i])) return false;
    return true;
}

/* str.split without separator: runs of white space. */
static bool split_space(struct weft_jinja_run *r, const struct jj_string *s, int64_t max,
                        struct weft_jinja_value *out)
{
    struct parts p = { 0 };
    size_t at = 0, from, to;
    for (;;) {
        struct jj_string rest = { .s = s->s + at, .len = s->len - at };
        jj_strip(&rest, NULL, true, false, &from, &to);
        at += from;
        if (at >= s->len) break;
        size_t end = at;
        uint32_t cp;
        if (max >= 0 && (int64_t)p.n == max) { /* the rest as it is */
            if (!part(r, &p, at, s->len)) return false;
            break;
        }
        while (end < s->len) {
            size_t n = weft_utf8_decode(s->s + end, s->len - end, &cp, NULL);
            if (jj_is_space(cp)) break;
            end += n;
        }
        if (!part(r, &p, at, end)) return false;
        at = end;
    }
    return parts_list(r, s, &p, false, out);
}

METHOD(m_split)
{
    const struct jj_string *s = self_of(in), *sep;
    struct weft_str text = { s->s, s->len };
    struct parts p = { 0 };
    int64_t max;
    size_t at = 0;
    if (!optional_string(r, in, 0, "split", &sep) || !optional_int(r, in, 1, -1, "split", &max)) return false;
    if (!sep) return split_space(r, s, max, out);
    if (!sep->len) return jj_fail(r, "'split' needs a separator that is not empty");
    for (; max < 0 || (int64_t)p.n < max;) {
        size_t hit = weft_str_find(text, (struct weft_str){ sep->s, sep->len }, at);
        if (hit == SIZE_MAX) break;
        if (!part(r, &p, at, hit)) return false;
        at = hit + sep->len;
    }
    return part(r, &p, at, s->len) && parts_list(r, s, &p, false, out);
}

static size_t find_last(struct weft_str s, struct weft_str needle)
{
    for (size_t at = s.len - needle.len + 1; needle.len <= s.len && at-- > 0;)
        if (!memcmp(s.s + at, needle.s, needle.len)) return at;
    return SIZE_MAX;
}

METHOD(m_rsplit)
{
    const struct jj_string *s = self_of(in), *sep;
    struct parts p = { 0 };
    int64_t max;
    size_t end = s->len, from, to;
    uint32_t cp;
    if (!optional_string(r, in, 0, "rsplit", &sep) || !optional_int(r, in, 1, -1, "rsplit", &max))
        return false;
    if (!sep && max < 0) return split_space(r, s, max, out);
    if (sep && !sep->len) return jj_fail(r, "'split' needs a separator that is not empty");
    for (;;) {
        struct jj_string head = { .s = s->s, .len = end };
        if (!sep) {
            jj_strip(&head, NULL, false, true, &from, &to);
            end = to;
            if (!end) break;
            if ((int64_t)p.n == max) {
                if (!part(r, &p, 0, end)) return false;
                break;
            }
            size_t at = end;
            while (at) {
                size_t c = at - 1;
                while (c && ((unsigned char)s->s[c] & 0xC0) == 0x80) c--;
                weft_utf8_decode(s->s + c, at - c, &cp, NULL);
                if (jj_is_space(cp)) break;
                at = c;
            }
            if (!part(r, &p, at, end)) return false;
            end = at;
            continue;
        }
        size_t hit = max >= 0 && (int64_t)p.n >= max
                         ? SIZE_MAX
                         : find_last((struct weft_str){ s->s, end }, (struct weft_str){ sep->s, sep->len });
        if (!part(r, &p, hit == SIZE_MAX ? 0 : hit + sep->len, end)) return false;
        if (hit == SIZE_MAX) break;
        end = hit;
    }
    return parts_list(r, s, &p, true, out);
}

METHOD(m_splitlines)
{
    const struct jj_string *s = self_of(in);
    struct parts p = { 0 };
    bool keep = in->set[0] && jj_truth(in->arg[0]);
    for (size_t at = 0, end, next; at < s->len; at = next) {
        jj_line(s, at, &end, &next);
        if (!part(r, &p, at, keep ? next : end)) return false;
    }
    return parts_list(r, s, &p, false, out);
}

static bool partition(struct weft_jinja_run *r, const struct jj_in *in, bool last,
                      struct weft_jinja_value *out)
{
    const struct jj_string *s = self_of(in), *sep;
    struct weft_jinja_value *items;
    if (!want_string(r, in, 0, "partition", &sep)) return false;
    if (!sep->len) return jj_fail(r, "'split' needs a separator that is not empty");
    struct weft_str text = { s->s, s->len }, needle = { sep->s, sep->len };
    size_t hit = last ? find_last(text, needle) : weft_str_find(text, needle, 0);
    size_t a = hit == SIZE_MAX ? (last ? 0 : s->len) : hit, b = hit == SIZE_MAX ? a : hit + sep->len;
    return jj_list(r, 3, JJ_TUPLE, out, &items) && jj_substr(r, s, 0, a, &items[0])
           && jj_substr(r, s, a, b, &items[1]) && jj_substr(r, s, b, s->len, &items[2]);
}
METHOD(m_partition) { return partition(r, in, false, out); }
METHOD(m_rpartition) { return partition(r, in, true, out); }

/* Byte range of [start, end) in code points, as slices count them. */
static bool range_of(struct weft_jinja_run *r, const struct jj_in *in, int first, struct weft_str *text,
                     size_t *offset)
{
    const struct jj_string *s = self_of(in);
    struct weft_jinja_value part3[3] = { jj_none(), jj_none(), jj_none() }, cut;
    *text = (struct weft_str){ s->s, s->len };
    *offset = 0;
    if (!in->set[first] && !in->set[first + 1]) return true;
    if (in->set[first]) part3[0] = in->arg[first];
    if (in->set[first + 1]) part3[1] = in->arg[first + 1];
    struct jj_string plain = { .s = s->s, .len = s->len };
    struct weft_jinja_value v = { .kind = JJ_STRING, .u.ref = &plain };
    if (!jj_slice(r, v, part3, &cut)) return false;
    *text = jj_text(cut);
    *offset = text->len ? (size_t)(text->s - s->s) : s->len;
    return true;
}

static bool has_affix(struct weft_jinja_run *r, const struct jj_in *in, bool end,
                      struct weft_jinja_value *out)
{
    struct weft_str text;
    size_t offset;
    const struct weft_jinja_value *options = in->arg;
    size_t n = 1;
    bool yes = false;
    if (!range_of(r, in, 1, &text, &offset)) return false;
    if (in->arg[0].kind == JJ_LIST && jj_list_of(in->arg[0])->flavor == JJ_TUPLE) {
        options = jj_list_of(in->arg[0])->items;
        n = jj_list_of(in->arg[0])->n;
    }
    for (size_t i = 0; i < n; i++) {
        if (options[i].kind == JJ_UNDEFINED) return jj_fail_undefined(r, options[i]);
        if (options[i].kind != JJ_STRING)
            return jj_fail(r, "'%s' needs a str, not %s", end ? "endswith" : "startswith",
                           jj_type(options[i]));
        yes |= end ? weft_str_ends(text, jj_text(options[i])) : weft_str_starts(text, jj_text(options[i]));
    }
    *out = jj_bool(yes);
    return true;
}
METHOD(m_startswith) { return has_affix(r, in, false, out); }
METHOD(m_endswith) { return has_affix(r, in, true, out); }

METHOD(m_replace)
{
    const struct jj_string *old, *with;
    int64_t count;
    return want_string(r, in, 0, "replace", &old) && want_string(r, in, 1, "replace", &with)
           && optional_int(r, in, 2, -1, "replace", &count)
           && jj_replace(r, self_of(in), old, with, count, out);
}

static bool find(struct weft_jinja_run *r, const struct jj_in *in, bool last, bool must,
                 struct weft_jinja_value *out)
{
    const struct jj_string *s = self_of(in), *needle;
    struct weft_str text;
    size_t offset;
    if (!want_string(r, in, 0, "find", &needle) || !range_of(r, in, 1, &text, &offset)) return false;
    struct weft_str n = { needle->s, needle->len };
    size_t hit = last ? find_last(text, n) : weft_str_find(text, n, 0);
    if (hit == SIZE_MAX && must) return jj_fail(r, "'index': the str does not hold it");
    *out = jj_int(hit == SIZE_MAX ? -1 : (int64_t)weft_utf8_chars((struct weft_str){ s->s, offset + hit }));
    return jj_spend(r, s->len / 64);
}
METHOD(m_find) { return find(r, in, false, false, out); }
METHOD(m_rfind) { return find(r, in, true, false, out); }
METHOD(m_index) { return find(r, in, false, true, out); }

METHOD(m_count)
{
    const struct jj_string *needle;
    struct weft_str text;
    size_t offset;
    int64_t n = 0;
    if (!want_string(r, in, 0, "count", &needle) || !range_of(r, in, 1, &text, &offset)) return false;
    if (!needle->len) n = (int64_t)weft_utf8_chars(text) + 1;
    else
        for (size_t at = 0;
             (at = weft_str_find(text, (struct weft_str){ needle->s, needle->len }, at)) != SIZE_MAX;
             at += needle->len)
            n++;
    *out = jj_int(n);
    return jj_spend(r, text.len / 64);
}

METHOD(m_join)
{
    struct jj_sink k = { 0 };
    const struct weft_jinja_value *items;
    size_t n;
    if (!jj_items(r, in->arg[0], &items, &n)) return false;
    for (size_t i = 0; i < n; i++) {
        if (items[i].kind != JJ_STRING)
            return jj_fail(r, "'join' of a str needs strings, not %s; the filter join takes anything",
                           jj_type(items[i]));
        if ((i && !jj_put_string(r, &k, self_of(in), 0, self_of(in)->len)) || !jj_put_value(r, &k, items[i]))
            return false;
    }
    return jj_sink_value(r, &k, out);
}

static bool without_affix(struct weft_jinja_run *r, const struct jj_in *in, bool end,
                          struct weft_jinja_value *out)
{
    const struct jj_string *s = self_of(in), *affix;
    if (!want_string(r, in, 0, end ? "removesuffix" : "removeprefix", &affix)) return false;
    struct weft_str text = { s->s, s->len }, x = { affix->s, affix->len };
    bool has = end ? weft_str_ends(text, x) : weft_str_starts(text, x);
    return jj_substr(r, s, has && !end ? x.len : 0, has && end ? s->len - x.len : s->len, out);
}
METHOD(m_removeprefix) { return without_affix(r, in, false, out); }
METHOD(m_removesuffix) { return without_affix(r, in, true, out); }

/* isdigit and its like: true when there is something and all of it is of the class. */
static bool all_of(const struct jj_in *in, bool (*is)(uint32_t), struct weft_jinja_value *out)
{
    const struct jj_string *s = self_of(in);
    bool yes = s->len != 0;
    for (size_t at = 0; at < s->len && yes;) {
        uint32_t cp;
        at += weft_utf8_decode(s->s + at, s->len - at, &cp, NULL);
        yes = is(cp);
    }
    *out = jj_bool(yes);
    return true;
}
static bool is_digit(uint32_t cp) { return utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_ND; }
static bool is_alpha(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}
static bool is_alnum(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return is_alpha(cp) || c == UTF8PROC_CATEGORY_ND || c == UTF8PROC_CATEGORY_NL
           || c == UTF8PROC_CATEGORY_NO;
}
METHOD(m_isdigit) { return all_of(in, is_digit, out); }
METHOD(m_isalpha) { return all_of(in, is_alpha, out); }
METHOD(m_isalnum) { return all_of(in, is_alnum, out); }
METHOD(m_isspace) { return all_of(in, jj_is_space, out); }

static bool is_case(struct weft_jinja_run *r, const struct jj_in *in, enum jj_case how,
                    struct weft_jinja_value *out)
{
    struct weft_jinja_value same, other;
    if (!jj_change_case(r, self_of(in), how, &same)
        || !jj_change_case(r, self_of(in), how == JJ_UPPER ? JJ_LOWER : JJ_UPPER, &other))
        return false;
    *out = jj_bool(weft_str_eq(jj_text(in->self), jj_text(same))
                   && !weft_str_eq(jj_text(in->self), jj_text(other)));
    return true;
}
METHOD(m_isupper) { return is_case(r, in, JJ_UPPER, out); }
METHOD(m_islower) { return is_case(r, in, JJ_LOWER, out); }

METHOD(m_format) { return jj_format(r, self_of(in), in->call, out); }

static const struct jj_builtin string_methods[] = {
    { "capitalize", "", 0, m_capitalize },
    { "count", "sub,start,end", 1, m_count },
    { "endswith", "suffix,start,end", 1, m_endswith },
    { "find", "sub,start,end", 1, m_find },
    { "format", "*", 0, m_format },
    { "index", "sub,start,end", 1, m_index },
    { "isalnum", "", 0, m_isalnum },
    { "isalpha", "", 0, m_isalpha },
    { "isdigit", "", 0, m_isdigit },
    { "islower", "", 0, m_islower },
    { "isspace", "", 0, m_isspace },
    { "isupper", "", 0, m_isupper },
    { "join", "iterable", 1, m_join },
    { "lower", "", 0, m_lower },
    { "lstrip", "chars", 0, m_lstrip },
    { "partition", "sep", 1, m_partition },
    { "removeprefix", "prefix", 1, m_removeprefix },
    { "removesuffix", "suffix", 1, m_removesuffix },
    { "replace", "old,new,count", 2, m_replace },
    { "rfind", "sub,start,end", 1, m_rfind },
    { "rpartition", "sep", 1, m_rpartition },
    { "rsplit", "sep,maxsplit", 0, m_rsplit },
    { "rstrip", "chars", 0, m_rstrip },
    { "split", "sep,maxsplit", 0, m_split },
    { "splitlines", "keepends", 0, m_splitlines },
    { "startswith", "prefix,start,end", 1, m_startswith },
    { "strip", "chars", 0, m_strip },
    { "swapcase", "", 0, m_swapcase },
    { "title", "", 0, m_title },
    { "upper", "", 0, m_upper },
};

/* ---- methods of dicts, lists, loops, cyclers ---- */

METHOD(m_get)
{
    const struct jj_dict *d = jj_dict_of(in->self);
    size_t at;
    if (!jj_dict_find(r, d, in->arg[0], &at)) return false;
    *out = at != SIZE_MAX ? d->values[at] : in->set[1] ? in->arg[1] : jj_none();
    return true;
}

static bool view(struct weft_jinja_run *r, const struct jj_in *in, enum jj_flavor flavor,
                 struct weft_jinja_value *out)
{
    const struct jj_dict *d = jj_dict_of(in->self);
    struct weft_jinja_value *items, *pair;
    if (!jj_list(r, d->n, flavor, out, &items)) return false;
    for (size_t i = 0; i < d->n; i++) {
        if (flavor != JJ_ITEMS) {
            items[i] = flavor == JJ_KEYS ? d->keys[i] : d->values[i];
            continue;
        }
        if (!jj_list(r, 2, JJ_TUPLE, &items[i], &pair)) return false;
        pair[0] = d->keys[i];
        pair[1] = d->values[i];
    }
    return true;
}
METHOD(m_items) { return view(r, in, JJ_ITEMS, out); }
METHOD(m_keys) { return view(r, in, JJ_KEYS, out); }
METHOD(m_values) { return view(r, in, JJ_VALUES, out); }
METHOD(m_copy)
{
    *out = in->self; /* nothing here can change a dict or list */
    return true;
}

static const struct jj_builtin dict_methods[] = {
    { "copy", "", 0, m_copy }, { "get", "key,default", 1, m_get }, { "items", "", 0, m_items },
    { "keys", "", 0, m_keys }, { "values", "", 0, m_values },
};

METHOD(m_list_index)
{
    const struct jj_list *l = jj_list_of(in->self);
    for (size_t i = 0; i < l->n; i++) {
        bool same;
        if (!jj_equal(r, l->items[i], in->arg[0], 0, &same)) return false;
        if (same) {
            *out = jj_int((int64_t)i);
            return true;
        }
    }
    return jj_fail(r, "'index': the list does not hold it");
}

METHOD(m_list_count)
{
    const struct jj_list *l = jj_list_of(in->self);
    int64_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        bool same;
        if (!jj_equal(r, l->items[i], in->arg[0], 0, &same)) return false;
        n += same;
    }
    *out = jj_int(n);
    return true;
}

static const struct jj_builtin list_methods[] = {
    { "copy", "", 0, m_copy },
    { "count", "value", 1, m_list_count },
    { "index", "value", 1, m_list_index },
};

METHOD(m_cycle)
{
    const struct jj_loop *l = in->self.u.ref;
    if (!in->call->n_pos) return jj_fail(r, "'cycle' needs values to go through");
    *out = in->call->pos[l->index0 % in->call->n_pos];
    return true;
}

METHOD(m_changed)
{
    struct jj_loop *l = (struct jj_loop *)(uintptr_t)in->self.u.ref;
    bool same = l->last_changed && l->n_last_changed == in->call->n_pos;
    for (size_t i = 0; same && i < in->call->n_pos; i++)
        if (!jj_equal(r, l->last_changed[i], in->call->pos[i], 0, &same)) return false;
    if (!same) {
        struct weft_jinja_value *copy = jj_alloc(r, (in->call->n_pos + 1) * sizeof *copy);
        if (!copy) return false;
        if (in->call->n_pos) memcpy(copy, in->call->pos, in->call->n_pos * sizeof *copy);
        l->last_changed = copy;
        l->n_last_changed = in->call->n_pos;
    }
    *out = jj_bool(!same);
    return true;
}

static const struct jj_builtin loop_methods[] = { { "changed", "*", 0, m_changed },
                                                  { "cycle", "*", 0, m_cycle } };

static struct jj_cycler *cycler_of(const struct jj_in *in)
{
    return (struct jj_cycler *)(uintptr_t)in->self.u.ref;
}
METHOD(m_next)
{
    struct jj_cycler *c = cycler_of(in);
    *out = c->items[c->at];
    c->at = (c->at + 1) % c->n;
    return true;
}
METHOD(m_reset)
{
    cycler_of(in)->at = 0;
    *out = jj_none();
    return true;
}
static const struct jj_builtin cycler_methods[] = { { "next", "", 0, m_next }, { "reset", "", 0, m_reset } };

const struct jj_builtin *jj_find_method(enum jj_kind kind, struct weft_str name)
{
    switch (kind) {
    case JJ_STRING: return jj_find_in(string_methods, WEFT_COUNT(string_methods), name);
    case JJ_DICT: return jj_find_in(dict_methods, WEFT_COUNT(dict_methods), name);
    case JJ_LIST: return jj_find_in(list_methods, WEFT_COUNT(list_methods), name);
    case JJ_LOOP: return jj_find_in(loop_methods, WEFT_COUNT(loop_methods), name);
    case JJ_CYCLER: return jj_find_in(cycler_methods, WEFT_COUNT(cycler_methods), name);
    default: return NULL;
    }
}
