#include "dataset/format_parts.h"

#include "base/lang.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum weft_status weft_row_bad(struct weft_row_reader *r, const struct weft_json_value *v, const char *rule,
                              const char *reason, const char *fmt, ...)
{
    va_list ap;
    r->rule = rule;
    r->reason = reason;
    r->at = v->at;
    r->detail[0] = 0;
    if (fmt) {
        va_start(ap, fmt);
        vsnprintf(r->detail, sizeof r->detail, weft_tr(r->lang, fmt), ap);
        va_end(ap);
    }
    return WEFT_EINPUT;
}

/* ---- members ---- */

/* LLaMA-Factory's names for the Alpaca members. */
static bool is_synonym(struct weft_str word, const char *key)
{
    static const char *const pairs[][2] = { { "prompt", "instruction" },
                                            { "query", "input" },
                                            { "response", "output" } };
    if (weft_str_is(word, key)) return true;
    for (size_t i = 0; i < WEFT_COUNT(pairs); i++)
        if (strcmp(key, pairs[i][1]) == 0 && weft_str_is(word, pairs[i][0])) return true;
    return false;
}

const char *weft_row_renamed(const struct weft_row_reader *r, const char *key)
{
    for (size_t i = 0; r->s && i < r->s->columns.n; i++) {
        const char *item = r->s->columns.items[i], *equals = strchr(item, '=');
        if (equals && is_synonym((struct weft_str){ item, (size_t)(equals - item) }, key)) return equals + 1;
    }
    return key;
}

enum weft_status weft_row_keep_copy(struct weft_row_reader *r, struct weft_str s, struct weft_str *out)
{
    uintptr_t p = (uintptr_t)s.s, from = (uintptr_t)r->source.s;
    *out = s;
    if (!s.len) out->s = "";
    else if (!r->source.s || p < from || p - from >= r->source.len) *out = weft_str_dup(r->arena, s);
    return out->s ? WEFT_OK : weft_fail_nomem(r->err, s.len, "a row");
}

enum weft_status weft_row_optional(struct weft_row_reader *r, const struct weft_json_value *v, const char *rule,
                                   const char *reason, struct weft_str *out)
{
    *out = (struct weft_str){ NULL, 0 };
    if (!v || v->kind == WEFT_JSON_NULL) return WEFT_OK;
    if (v->kind != WEFT_JSON_STRING)
        return weft_row_bad(r, v, rule, reason, "found %s", weft_tr(r->lang, weft_json_kind_name(v->kind)));
    return weft_row_keep(r, v->text, out);
}

/* ---- JSON inside strings (DS6) ---- */

static bool parses(struct weft_arena *a, struct weft_str text, struct weft_json_value *out)
{
    struct weft_err inner = { 0 };
    return weft_json_parse(a, "", text, out, &inner) == WEFT_OK;
}

enum weft_status weft_row_tools(struct weft_row_reader *r, const struct weft_json_value *v,
                                struct weft_row *row)
{
    struct weft_json_value tree;
    if (!v || v->kind == WEFT_JSON_NULL) return WEFT_OK;
    if (v->kind == WEFT_JSON_STRING) {
        struct weft_arena scratch = { 0 };
        bool ok = !v->text.len || parses(&scratch, v->text, &tree);
        weft_arena_clear(&scratch);
        if (!ok) return weft_row_bad(r, v, "DS6", "tools is not JSON", NULL);
        return v->text.len ? weft_row_keep(r, v->text, &row->tools) : WEFT_OK;
    }
    if (v->kind != WEFT_JSON_ARRAY && v->kind != WEFT_JSON_OBJECT)
        return weft_row_bad(r, v, "DS6", "tools is not JSON", "found %s",
                            weft_tr(r->lang, weft_json_kind_name(v->kind)));
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &b);
    weft_json_out_value(&o, v);
    if (!b.failed) row->tools = weft_str_dup(r->arena, weft_buf_view(&b));
    weft_buf_clear(&b);
    return row->tools.s ? WEFT_OK : weft_fail_nomem(r->err, v->n, "a row");
}

static bool is_call(const struct weft_json_value *v)
{
    const struct weft_json_value *name = weft_json_get(v, "name");
    return name && name->kind == WEFT_JSON_STRING && weft_json_get(v, "arguments");
}

enum weft_status weft_row_call(struct weft_row_reader *r, const struct weft_json_value *v, struct weft_str text)
{
    struct weft_arena scratch = { 0 };
    struct weft_json_value tree = { 0 };
    bool json = parses(&scratch, text, &tree);
    bool ok = json && (tree.kind == WEFT_JSON_ARRAY ? tree.n > 0 : is_call(&tree));
    for (size_t i = 0; ok && tree.kind == WEFT_JSON_ARRAY && i < tree.n; i++) ok = is_call(&tree.items[i]);
    weft_arena_clear(&scratch);
    if (!json) return weft_row_bad(r, v, "DS6", "a tool call is not JSON", NULL);
    return ok ? WEFT_OK : weft_row_bad(r, v, "DS6", "a tool call lacks name or arguments", NULL);
}

enum weft_status weft_row_kto(struct weft_row_reader *r, const struct weft_json_value *v, struct weft_row *row)
{
    if (!v || v->kind == WEFT_JSON_NULL) return WEFT_OK;
    if (v->kind != WEFT_JSON_BOOL)
        return weft_row_bad(r, v, "DS3", "kto_tag is not true or false", "found %s",
                            weft_tr(r->lang, weft_json_kind_name(v->kind)));
    row->kto_tag = v->boolean;
    return WEFT_OK;
}

/* ---- JSON text out ---- */

static enum weft_status out_parsed(struct weft_json_out *o, struct weft_str json, bool members,
                                   struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_json_value v;
    enum weft_status st = weft_json_parse(&a, "row", json, &v, err);
    if (!st && !members) weft_json_out_value(o, &v);
    for (size_t i = 0; !st && members && v.kind == WEFT_JSON_OBJECT && i < v.n; i++) {
        weft_json_out_key_str(o, v.keys[i]);
        weft_json_out_value(o, &v.items[i]);
    }
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_json_out_members(struct weft_json_out *o, struct weft_str object, struct weft_err *err)
{
    return object.s ? out_parsed(o, object, true, err) : WEFT_OK;
}

/* Members of a row that some format writes by itself. */
static bool is_ours(struct weft_str key)
{
    static const char *const names[] = {
        "instruction", "input",         "output",   "system",           "history",
        "tools",       "conversations", "messages", "chosen",           "rejected",
        "kto_tag",     "text",          "weft",     "preferred_output", "non_preferred_output"
    };
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (weft_str_is(key, names[i])) return true;
    return false;
}

static bool has_key(const struct weft_json_value *v, struct weft_str key)
{
    for (size_t i = 0; i < v->n; i++)
        if (weft_str_eq(v->keys[i], key)) return true;
    return false;
}

enum weft_status weft_json_out_extra(struct weft_json_out *o, struct weft_str object, struct weft_err *err)
{
    struct weft_arena a = { 0 };
    struct weft_json_value v = { 0 };
    enum weft_status st = object.s ? weft_json_parse(&a, "row", object, &v, err) : WEFT_OK;
    for (size_t i = 0; !st && object.s && v.kind == WEFT_JSON_OBJECT && i < v.n; i++) {
        struct weft_str name = v.keys[i];
        if (is_ours(name))
            do name = weft_str_printf(&a, "_%.*s", (int)name.len, name.s);
            while (name.s && has_key(&v, name));
        if (!name.s) st = weft_fail_nomem(err, v.keys[i].len, "a row");
        if (st) break;
        weft_json_out_key_str(o, name);
        weft_json_out_value(o, &v.items[i]);
    }
    weft_arena_clear(&a);
    return st;
}

enum weft_status weft_json_out_text(struct weft_json_out *o, struct weft_str json, struct weft_err *err)
{
    return out_parsed(o, json, false, err);
}

enum weft_status weft_row_extra(struct weft_row_reader *r, const struct weft_json_value *v,
                                const struct weft_str *known, struct weft_str *out)
{
    struct weft_buf b = { 0 };
    struct weft_json_out o;
    bool any = false;
    enum weft_status st = WEFT_OK;
    size_t n_known = 0;
    *out = (struct weft_str){ NULL, 0 };
    /* Nearly always there are none: with every name its own, as many known ones as members says so. */
    if (!r->s || !r->s->columns.n)
        for (const struct weft_str *k = known; k->s; k++) n_known += weft_json_find(v, *k) != NULL;
    if (n_known == v->n) return WEFT_OK;
    weft_json_out_init(&o, &b);
    for (size_t i = 0; i < v->n; i++) {
        bool is_known = false;
        for (const struct weft_str *k = known; k->s && !is_known; k++)
            is_known = weft_str_is(v->keys[i], weft_row_column(r, k->s));
        if (is_known) continue;
        if (!any) weft_json_out_object(&o);
        any = true;
        weft_json_out_key_str(&o, v->keys[i]);
        weft_json_out_value(&o, &v->items[i]);
    }
    if (any) {
        weft_json_out_object_end(&o);
        st = weft_buf_check(&b, "a row", r->err);
        if (!st) *out = weft_str_dup(r->arena, weft_buf_view(&b));
        if (!st && !out->s) st = weft_fail_nomem(r->err, b.len, "a row");
    }
    weft_buf_clear(&b);
    return st;
}

/* ---- the origin ---- */

static inline enum weft_status keep_text(struct weft_row_reader *r, const struct weft_json_value *v, const char *key,
                                         struct weft_str *to)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    return m && m->kind == WEFT_JSON_STRING ? weft_row_keep(r, m->text, to) : WEFT_OK;
}

static inline uint64_t number_of(const struct weft_json_value *v, const char *key)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    return m && m->is_int && m->integer > 0 ? (uint64_t)m->integer : 0;
}

/* A list of words as "a,b"; a string as it is. */
static enum weft_status words_of(struct weft_row_reader *r, const struct weft_json_value *m, struct weft_str *out)
{
    struct weft_buf b = { 0 };
    enum weft_status st;
    if (m->kind != WEFT_JSON_ARRAY && m->kind != WEFT_JSON_STRING) return WEFT_OK;
    if (m->kind == WEFT_JSON_STRING) return weft_row_keep(r, m->text, out);
    for (size_t i = 0; i < m->n; i++) {
        if (m->items[i].kind != WEFT_JSON_STRING) continue;
        if (b.len) weft_buf_char(&b, ',');
        weft_buf_str(&b, m->items[i].text);
    }
    st = weft_buf_check(&b, "a row", r->err);
    if (!st && b.len) *out = weft_str_dup(r->arena, weft_buf_view(&b));
    if (!st && b.len && !out->s) st = weft_fail_nomem(r->err, b.len, "a row");
    weft_buf_clear(&b);
    return st;
}

/* The member is ours: what it says is taken where it has the right kind, and never costs the row. */
enum weft_status weft_origin_read(struct weft_row_reader *r, const struct weft_json_value *v,
                                  struct weft_row *row)
{
    struct weft_origin *o = &row->origin;
    const struct weft_json_value *src = weft_json_get(v, "src"), *bytes = weft_json_get(src, "bytes");
    const struct weft_json_value *split = weft_json_get(v, "instruction_bytes"), *from = weft_json_get(v, "from");
    const struct weft_json_value *flags = weft_json_get(v, "flags"), *parents = weft_json_get(v, "parents");
    enum weft_status st;
    if (!v || v->kind != WEFT_JSON_OBJECT) return WEFT_OK;
    st = keep_text(r, v, "id", &o->id);
    if (!st) st = keep_text(r, src, "file", &o->file);
    if (!st) st = keep_text(r, src, "sha256", &o->sha256);
    if (!st) st = keep_text(r, src, "part", &o->part);
    if (!st) st = keep_text(r, v, "via", &o->via);
    if (!st) st = keep_text(r, v, "episode", &o->episode);
    if (!st) st = keep_text(r, v, "scene", &o->scene);
    if (!st) st = keep_text(r, v, "speaker", &o->speaker);
    if (!st) st = keep_text(r, v, "prompt_speaker", &o->prompt_speaker);
    if (!st) st = keep_text(r, from, "set", &o->from_set);
    if (!st) st = keep_text(r, from, "id", &o->from_id);
    if (!st && flags) st = words_of(r, flags, &o->flags);
    if (!st && parents) st = words_of(r, parents, &o->parents);
    const struct weft_json_value *confidence = weft_json_get(v, "confidence");
    o->line = number_of(src, "line");
    o->page = number_of(src, "page");
    o->last_page = number_of(src, "last_page");
    o->from_row = number_of(from, "row");
    if (confidence && confidence->kind == WEFT_JSON_NUMBER && confidence->number > 0 && confidence->number <= 1)
        o->confidence = confidence->number;
    o->last_line = number_of(src, "last_line");
    if (bytes && bytes->kind == WEFT_JSON_ARRAY && bytes->n == 2 && bytes->items[0].is_int
        && bytes->items[1].is_int && bytes->items[0].integer >= 0
        && bytes->items[1].integer >= bytes->items[0].integer) {
        o->byte_begin = (uint64_t)bytes->items[0].integer;
        o->byte_end = (uint64_t)bytes->items[1].integer;
    }
    if (split && split->is_int && split->integer >= 0 && !row->split_input) {
        row->split_input = true;
        row->instruction_len = (size_t)split->integer;
    }
    return st;
}

static void out_text(struct weft_json_out *o, const char *key, struct weft_str s)
{
    if (!s.s) return;
    weft_json_out_key(o, key);
    weft_json_out_str(o, s);
}

static void out_words(struct weft_json_out *o, const char *key, struct weft_str s)
{
    if (!s.len) return;
    weft_json_out_key(o, key);
    weft_json_out_array(o);
    for (size_t from = 0; from <= s.len;) {
        size_t comma = weft_str_find(s, WEFT_STR(","), from);
        weft_json_out_str(o, weft_str_sub(s, from, comma));
        if (comma == SIZE_MAX) break;
        from = comma + 1;
    }
    weft_json_out_array_end(o);
}

void weft_origin_write(struct weft_json_out *o, const struct weft_row *row, bool split)
{
    const struct weft_origin *from = &row->origin;
    split &= row->split_input;
    if (!from->id.s && !from->file.s && !from->via.s && !from->scene.s && !from->flags.s && !from->parents.s
        && !(from->confidence > 0) && !from->from_set.s && !split)
        return;
    weft_json_out_key(o, "weft");
    weft_json_out_object(o);
    out_text(o, "id", from->id);
    if (from->file.s) {
        weft_json_out_key(o, "src");
        weft_json_out_object(o);
        out_text(o, "file", from->file);
        out_text(o, "sha256", from->sha256);
        out_text(o, "part", from->part);
        if (from->line) {
            weft_json_out_key(o, "line");
            weft_json_out_uint(o, from->line);
            weft_json_out_key(o, "last_line");
            weft_json_out_uint(o, from->last_line);
            weft_json_out_key(o, "bytes");
            weft_json_out_array(o);
            weft_json_out_uint(o, from->byte_begin);
            weft_json_out_uint(o, from->byte_end);
            weft_json_out_array_end(o);
        }
        if (from->page) {
            weft_json_out_key(o, "page");
            weft_json_out_uint(o, from->page);
        }
        if (from->last_page > from->page) {
            weft_json_out_key(o, "last_page");
            weft_json_out_uint(o, from->last_page);
        }
        weft_json_out_object_end(o);
    }
    out_text(o, "via", from->via);
    out_text(o, "episode", from->episode);
    out_text(o, "scene", from->scene);
    out_text(o, "speaker", from->speaker);
    out_text(o, "prompt_speaker", from->prompt_speaker);
    if (from->confidence > 0) {
        weft_json_out_key(o, "confidence");
        weft_json_out_double(o, from->confidence);
    }
    out_words(o, "flags", from->flags);
    out_words(o, "parents", from->parents);
    if (from->from_set.s) {
        weft_json_out_key(o, "from");
        weft_json_out_object(o);
        out_text(o, "set", from->from_set);
        out_text(o, "id", from->from_id);
        if (from->from_row) {
            weft_json_out_key(o, "row");
            weft_json_out_uint(o, from->from_row);
        }
        weft_json_out_object_end(o);
    }
    if (split) {
        weft_json_out_key(o, "instruction_bytes");
        weft_json_out_uint(o, row->instruction_len);
    }
    weft_json_out_object_end(o);
}
