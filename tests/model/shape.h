/* tests/model/shape.h - does a JSON value have the shape of a schema?  Written without a look at the grammar. */
#ifndef WEFT_TESTS_SHAPE_H
#define WEFT_TESTS_SHAPE_H

#include "base/json.h"

static inline int64_t shape_number(const struct weft_json_value *schema, const char *key, int64_t missing)
{
    const struct weft_json_value *v = weft_json_get(schema, key);
    return v ? v->integer : missing;
}

static inline bool shape_same(const struct weft_json_value *x, const struct weft_json_value *y)
{
    if (x->kind != y->kind) return false;
    if (x->kind == WEFT_JSON_STRING || x->kind == WEFT_JSON_NUMBER) return weft_str_eq(x->text, y->text);
    return x->kind != WEFT_JSON_BOOL || x->boolean == y->boolean;
}

static inline bool shape_fits(const struct weft_json_value *schema, const struct weft_json_value *v)
{
    const struct weft_json_value *list = weft_json_get(schema, "enum"), *one = weft_json_get(schema, "const"),
                                 *type = weft_json_get(schema, "type");
    if (list) {
        for (size_t i = 0; i < list->n; i++)
            if (shape_same(&list->items[i], v)) return true;
        return false;
    }
    if (one) return shape_same(one, v);
    if (weft_str_is(type->text, "object")) {
        const struct weft_json_value *members = weft_json_get(schema, "properties");
        if (v->kind != WEFT_JSON_OBJECT || v->n != members->n) return false;
        for (size_t i = 0; i < v->n; i++)
            if (!weft_str_eq(v->keys[i], members->keys[i]) || !shape_fits(&members->items[i], &v->items[i]))
                return false;
        return true;
    }
    const struct weft_json_value *tuple = weft_json_get(schema, "prefixItems");
    if (tuple) {
        if (v->kind != WEFT_JSON_ARRAY || v->n != tuple->n) return false;
        for (size_t i = 0; i < v->n; i++)
            if (!shape_fits(&tuple->items[i], &v->items[i])) return false;
        return true;
    }
    if (weft_str_is(type->text, "array")) {
        if (v->kind != WEFT_JSON_ARRAY || (int64_t)v->n < shape_number(schema, "minItems", 0)
            || (int64_t)v->n > shape_number(schema, "maxItems", INT64_MAX))
            return false;
        for (size_t i = 0; i < v->n; i++)
            if (!shape_fits(weft_json_get(schema, "items"), &v->items[i])) return false;
        return true;
    }
    if (weft_str_is(type->text, "string")) {
        int64_t n = v->kind == WEFT_JSON_STRING ? (int64_t)weft_utf8_chars(v->text) : -1;
        return n >= shape_number(schema, "minLength", 0) && n <= shape_number(schema, "maxLength", INT64_MAX);
    }
    if (weft_str_is(type->text, "integer"))
        return v->kind == WEFT_JSON_NUMBER && v->is_int && v->integer >= shape_number(schema, "minimum", INT64_MIN)
               && v->integer <= shape_number(schema, "maximum", INT64_MAX);
    if (weft_str_is(type->text, "number")) return v->kind == WEFT_JSON_NUMBER;
    if (weft_str_is(type->text, "boolean")) return v->kind == WEFT_JSON_BOOL;
    return weft_str_is(type->text, "null") && v->kind == WEFT_JSON_NULL;
}

#endif
