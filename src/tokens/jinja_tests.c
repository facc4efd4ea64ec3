/* What stands behind `is`: one row each in the table at the end. */
#include "base/option.h"
#include "tokens/jinja_value.h"

#define TEST_FN(name)                                                                                        \
    static bool name(struct weft_jinja_run *r, const struct jj_in *in, struct weft_jinja_value *out)
#define TEST(name, expr)                                                                                     \
    TEST_FN(name)                                                                                            \
    {                                                                                                        \
        *out = jj_bool(expr);                                                                                \
        return true;                                                                                         \
    }

static bool is_seq(struct weft_jinja_value v)
{
    return v.kind == JJ_UNDEFINED || v.kind == JJ_STRING || v.kind == JJ_DICT
           || (v.kind == JJ_LIST && (jj_list_of(v)->flavor <= JJ_RANGE || jj_list_of(v)->flavor == JJ_GROUP));
}

static bool is_same(struct weft_jinja_value a, struct weft_jinja_value b)
{
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case JJ_UNDEFINED: return a.u.ref == b.u.ref;
    case JJ_NONE: return true;
    case JJ_BOOL: return a.u.boolean == b.u.boolean;
    case JJ_INT: return a.u.integer == b.u.integer;
    case JJ_FLOAT: return a.u.number == b.u.number;
    case JJ_STRING: return weft_str_eq(jj_text(a), jj_text(b));
    default: return a.u.ref == b.u.ref;
    }
}

TEST(t_defined, in->self.kind != JJ_UNDEFINED)
TEST(t_undefined, in->self.kind == JJ_UNDEFINED)
TEST(t_none, in->self.kind == JJ_NONE)
TEST(t_string, in->self.kind == JJ_STRING)
TEST(t_number, in->self.kind == JJ_INT || in->self.kind == JJ_FLOAT || in->self.kind == JJ_BOOL)
TEST(t_integer, in->self.kind == JJ_INT)
TEST(t_float, in->self.kind == JJ_FLOAT)
TEST(t_boolean, in->self.kind == JJ_BOOL)
TEST(t_true, in->self.kind == JJ_BOOL && in->self.u.boolean)
TEST(t_false, in->self.kind == JJ_BOOL && !in->self.u.boolean)
TEST(t_mapping, in->self.kind == JJ_DICT)
TEST(t_iterable, is_seq(in->self) || in->self.kind == JJ_LIST || in->self.kind == JJ_LOOP)
TEST(t_sequence, is_seq(in->self))
TEST(t_callable, in->self.kind == JJ_FUNCTION || in->self.kind == JJ_MACRO || in->self.kind == JJ_JOINER
                     || in->self.kind == JJ_LOOP || in->self.kind == JJ_UNDEFINED)
TEST(t_sameas, is_same(in->self, in->arg[0]))
TEST(t_escaped, in->self.kind == JJ_STRING && jj_str(in->self)->markup)

static bool compare(struct weft_jinja_run *r, enum jj_op op, const struct jj_in *in,
                    struct weft_jinja_value *out)
{
    bool v;
    if (!jj_compare(r, op, in->self, in->arg[0], &v)) return false;
    *out = jj_bool(v);
    return true;
}
TEST_FN(t_eq) { return compare(r, JJ_EQ, in, out); }
TEST_FN(t_ne) { return compare(r, JJ_NE, in, out); }
TEST_FN(t_lt) { return compare(r, JJ_LT, in, out); }
TEST_FN(t_le) { return compare(r, JJ_LE, in, out); }
TEST_FN(t_gt) { return compare(r, JJ_GT, in, out); }
TEST_FN(t_ge) { return compare(r, JJ_GE, in, out); }
TEST_FN(t_in) { return compare(r, JJ_IN, in, out); }

static bool divides(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_jinja_value by,
                    int64_t want, struct weft_jinja_value *out)
{
    struct weft_jinja_value rest;
    bool same;
    if (v.kind == JJ_STRING) return jj_fail(r, "'%s' needs a number, not %s", "divisibleby", "str");
    if (!jj_arith(r, JJ_MOD, v, by, &rest) || !jj_equal(r, rest, jj_int(want), 0, &same)) return false;
    *out = jj_bool(same);
    return true;
}
TEST_FN(t_odd) { return divides(r, in->self, jj_int(2), 1, out); }
TEST_FN(t_even) { return divides(r, in->self, jj_int(2), 0, out); }
TEST_FN(t_divisibleby) { return divides(r, in->self, in->arg[0], 0, out); }

static bool case_is(struct weft_jinja_run *r, const struct jj_in *in, enum jj_case how,
                    struct weft_jinja_value *out)
{
    const struct jj_string *s;
    struct weft_jinja_value same, other;
    if (!jj_text_arg(r, in->self, &s) || !jj_change_case(r, s, how, &same)
        || !jj_change_case(r, s, how == JJ_UPPER ? JJ_LOWER : JJ_UPPER, &other))
        return false;
    struct weft_str text = { s->s, s->len };
    /* Cased at all, and unchanged by its own case. */
    *out = jj_bool(weft_str_eq(text, jj_text(same)) && !weft_str_eq(text, jj_text(other)));
    return true;
}
TEST_FN(t_upper) { return case_is(r, in, JJ_UPPER, out); }
TEST_FN(t_lower) { return case_is(r, in, JJ_LOWER, out); }
TEST_FN(t_filter)
{
    *out = jj_bool(in->self.kind == JJ_STRING && jj_find_filter(jj_text(in->self)));
    return true;
}
TEST_FN(t_test)
{
    *out = jj_bool(in->self.kind == JJ_STRING && jj_find_test(jj_text(in->self)));
    return true;
}

static const struct jj_builtin tests[] = {
    { "!=", "other", 1, t_ne },
    { "<", "other", 1, t_lt },
    { "<=", "other", 1, t_le },
    { "==", "other", 1, t_eq },
    { ">", "other", 1, t_gt },
    { ">=", "other", 1, t_ge },
    { "boolean", "", 0, t_boolean },
    { "callable", "", 0, t_callable },
    { "defined", "", 0, t_defined },
    { "divisibleby", "num", 1, t_divisibleby },
    { "eq", "other", 1, t_eq },
    { "equalto", "other", 1, t_eq },
    { "escaped", "", 0, t_escaped },
    { "even", "", 0, t_even },
    { "false", "", 0, t_false },
    { "filter", "", 0, t_filter },
    { "float", "", 0, t_float },
    { "ge", "other", 1, t_ge },
    { "greaterthan", "other", 1, t_gt },
    { "gt", "other", 1, t_gt },
    { "in", "seq", 1, t_in },
    { "integer", "", 0, t_integer },
    { "iterable", "", 0, t_iterable },
    { "le", "other", 1, t_le },
    { "lessthan", "other", 1, t_lt },
    { "lower", "", 0, t_lower },
    { "lt", "other", 1, t_lt },
    { "mapping", "", 0, t_mapping },
    { "ne", "other", 1, t_ne },
    { "none", "", 0, t_none },
    { "number", "", 0, t_number },
    { "odd", "", 0, t_odd },
    { "sameas", "other", 1, t_sameas },
    { "sequence", "", 0, t_sequence },
    { "string", "", 0, t_string },
    { "test", "", 0, t_test },
    { "true", "", 0, t_true },
    { "undefined", "", 0, t_undefined },
    { "upper", "", 0, t_upper },
};

const struct jj_builtin *jj_find_test(struct weft_str name)
{
    return jj_find_in(tests, WEFT_COUNT(tests), name);
}

const char *jj_nearest(struct weft_str name, bool test)
{
    size_t n = WEFT_COUNT(tests);
    const struct jj_builtin *table = test ? tests : jj_filters(&n);
    const char *names[64];
    char word[32];
    if (name.len >= sizeof word) return NULL;
    memcpy(word, name.s, name.len);
    word[name.len] = '\0';
    n = weft_min_size(n, WEFT_COUNT(names));
    for (size_t i = 0; i < n; i++) names[i] = table[i].name;
    return weft_nearest(word, names, n);
}
