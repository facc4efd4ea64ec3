/* tokens/component.c - reading the parts of tokenizer.json that are {"type": T, ...} or a Sequence of such */
#include "base/lang.h"
#include "tokens/tokenizer_parts.h"

#include <inttypes.h>
#include <stdio.h>

const char *weft_tokenizer_place(const struct weft_json *j, size_t at, char out[WEFT_PLACE_BYTES])
{
    uint64_t line, column;
    weft_json_place(j, at, &line, &column);
    snprintf(out, WEFT_PLACE_BYTES, "%.200s:%" PRIu64 ":%" PRIu64, j->name, line, column);
    return out;
}

static const char *tr(const struct weft_err *err, const char *english)
{
    return weft_tr(err ? err->lang : WEFT_LANG_EN, english);
}

enum weft_status weft_component_fail(const struct weft_component *c, const char *what, struct weft_err *err)
{
    char place[WEFT_PLACE_BYTES];
    return weft_fail_rule(err, WEFT_EINPUT, "TK2", "%s: %s: %s",
                          weft_tokenizer_place(c->json, c->value->at, place), c->path, tr(err, what));
}

enum weft_status weft_component_unknown(const struct weft_component *c, const char *known,
                                        struct weft_err *err)
{
    char place[WEFT_PLACE_BYTES], type[64];
    return weft_fail_rule(err, WEFT_EINPUT, "TK2",
                          "%s: %s has the type \"%s\", which weft does not know; it knows %s",
                          weft_tokenizer_place(c->json, c->value->at, place), c->path,
                          weft_escape(type, sizeof type, c->type), known);
}

static enum weft_status wrong_field(const struct weft_component *c, const struct weft_json_value *v,
                                    const char *key, const char *expected, struct weft_err *err)
{
    char place[WEFT_PLACE_BYTES];
    return weft_fail_rule(err, WEFT_EINPUT, "TK2", "%s: %s.%s is %s; expected %s",
                          weft_tokenizer_place(c->json, v ? v->at : c->value->at, place), c->path, key,
                          v ? tr(err, weft_json_kind_name(v->kind)) : tr(err, "missing"), tr(err, expected));
}

enum weft_status weft_component_bool(const struct weft_component *c, const char *key, bool missing, bool *out,
                                     struct weft_err *err)
{
    const struct weft_json_value *v = weft_json_get(c->value, key);
    if (!v || v->kind == WEFT_JSON_NULL) return *out = missing, WEFT_OK;
    if (v->kind != WEFT_JSON_BOOL) return wrong_field(c, v, key, "a boolean", err);
    return *out = v->boolean, WEFT_OK;
}

enum weft_status weft_component_str(const struct weft_component *c, const char *key, struct weft_str *out,
                                    struct weft_err *err)
{
    const struct weft_json_value *v = weft_json_get(c->value, key);
    if (!v || v->kind != WEFT_JSON_STRING) return wrong_field(c, v, key, "a string", err);
    return *out = v->text, WEFT_OK;
}

enum weft_status weft_component_uint(const struct weft_component *c, const char *key, size_t *out,
                                     struct weft_err *err)
{
    const struct weft_json_value *v = weft_json_get(c->value, key);
    if (!v || v->kind != WEFT_JSON_NUMBER || !v->is_int || v->integer < 0 || v->integer > UINT32_MAX)
        return wrong_field(c, v, key, "an integer from 0", err);
    return *out = (size_t)v->integer, WEFT_OK;
}

static enum weft_status walk(struct weft_arena *a, const struct weft_json *j, const char *path,
                             const char *member, int depth, const struct weft_json_value *v,
                             enum weft_status (*add)(void *ctx, const struct weft_component *c,
                                                     struct weft_err *err),
                             void *ctx, struct weft_err *err)
{
    struct weft_component c = { j, path, v, { 0 } };
    enum weft_status st;
    if (!v || v->kind == WEFT_JSON_NULL) return WEFT_OK;
    if (v->kind != WEFT_JSON_OBJECT)
        return weft_component_fail(&c, "expected an object with a type, or null", err);
    st = weft_component_str(&c, "type", &c.type, err);
    if (st) return st;
    if (!weft_str_is(c.type, "Sequence")) return add(ctx, &c, err);
    const struct weft_json_value *list = weft_json_get(v, member);
    if (!list || list->kind != WEFT_JSON_ARRAY) return wrong_field(&c, list, member, "an array", err);
    if (depth > WEFT_MAX_SEQUENCE_DEPTH)
        return weft_component_fail(
            &c, "a Sequence in a Sequence, more than 8 deep; take the inner lists apart", err);
    for (size_t i = 0; i < list->n; i++) {
        struct weft_str inner = weft_str_printf(a, "%s.%s[%zu]", path, member, i);
        if (!inner.s) return weft_fail_nomem(err, strlen(path) + 32, j->name);
        st = walk(a, j, inner.s, member, depth + 1, &list->items[i], add, ctx, err);
        if (st) return st;
    }
    return WEFT_OK;
}

enum weft_status weft_component_walk(struct weft_arena *a, const struct weft_json *j, const char *path,
                                     const char *member, const struct weft_json_value *v,
                                     enum weft_status (*add)(void *ctx, const struct weft_component *c,
                                                             struct weft_err *err),
                                     void *ctx, struct weft_err *err)
{
    return walk(a, j, path, member, 1, v, add, ctx, err);
}

/* ---- patterns ---- */

/* A Split for which a gap is a piece like any other. */
static bool isolates(const struct weft_component *c)
{
    const struct weft_json_value *behavior = weft_json_get(c->value, "behavior");
    return weft_str_is(c->type, "Split") && behavior && behavior->kind == WEFT_JSON_STRING
           && weft_str_is(behavior->text, "Isolated");
}

enum weft_status weft_text_pattern_read(const struct weft_component *c, struct weft_text_pattern *out,
                                        struct weft_err *err)
{
    const struct weft_json_value *v = weft_json_get(c->value, "pattern"), *regex = weft_json_get(v, "Regex"),
                                 *string = weft_json_get(v, "String");
    *out = (struct weft_text_pattern){ 0 };
    if (regex && regex->kind == WEFT_JSON_STRING) {
        char place[WEFT_PLACE_BYTES];
        out->known = weft_pattern_by_text(regex->text);
        if (out->known && out->known->gaps && !isolates(c)) out->known = NULL;
        if (out->known) return WEFT_OK;
        return weft_regex_new(&out->regex, weft_tokenizer_place(c->json, regex->at, place), regex->text, err);
    }
    if (string && string->kind == WEFT_JSON_STRING && string->text.len)
        return out->text = string->text, WEFT_OK;
    return wrong_field(c, v, "pattern", "{\"String\": text} or {\"Regex\": pattern}", err);
}

void weft_text_pattern_clear(struct weft_text_pattern *p)
{
    weft_regex_free(p->regex);
    *p = (struct weft_text_pattern){ 0 };
}

enum weft_status weft_text_pattern_next(const struct weft_text_pattern *p, const struct weft_unicode *u,
                                        struct weft_regex_scratch *s, struct weft_str text,
                                        struct weft_regex_walk *walk, bool *found, size_t *begin, size_t *end,
                                        struct weft_err *err)
{
    if (p->regex) return weft_regex_next(p->regex, s, text, walk, found, begin, end, err);
    if (p->known) {
        *found = walk->at < text.len;
        *begin = walk->at;
        *end = *found ? p->known->next(u, (const unsigned char *)text.s, text.len, walk->at) : walk->at;
    } else {
        *begin = weft_str_find(text, p->text, walk->at);
        *found = *begin != SIZE_MAX;
        *end = *found ? *begin + p->text.len : walk->at;
    }
    walk->at = *end;
    return WEFT_OK;
}
