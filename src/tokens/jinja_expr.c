/* Expressions of templates, loosest first: inline if, or, and, not, comparisons, + -, ~, * / // %, **,
 * signs, and what follows a value: .name [key] (args) |filter is test. */
#include "tokens/jinja_parser.h"

static struct jj_expr *parse_unary(struct jj_parser *p, bool with_filter);

static struct jj_expr *node(struct jj_parser *p, enum jj_expr_kind kind)
{
    struct jj_expr *e = JJ_TAKE(p, struct jj_expr);
    if (e) *e = (struct jj_expr){ .kind = kind, .line = p->tok.line };
    return e;
}

struct jj_link *jj_link_to(struct jj_parser *p, struct jj_link ***tail, enum jj_op op, struct jj_expr *e)
{
    struct jj_link *l = e ? JJ_TAKE(p, struct jj_link) : NULL;
    if (!l) return NULL;
    l->op = op;
    l->e = e;
    **tail = l;
    *tail = &l->next;
    return l;
}

static struct jj_expr *constant(struct jj_parser *p, struct weft_jinja_value v)
{
    struct jj_expr *e = node(p, JX_CONST);
    if (e) e->value = v;
    return e;
}

/* Adjacent string literals join. */
static struct jj_expr *parse_string(struct jj_parser *p)
{
    struct jj_expr *e = node(p, JX_CONST);
    struct jj_string *s = JJ_TAKE(p, struct jj_string);
    struct weft_str text = p->tok.text;
    if (!s || !jj_next(p)) return NULL;
    while (p->tok.kind == JK_STRING) {
        char *joined = jj_take(p, text.len + p->tok.text.len + 1);
        if (!joined) return NULL;
        memcpy(joined, text.s, text.len);
        memcpy(joined + text.len, p->tok.text.s, p->tok.text.len);
        text = (struct weft_str){ joined, text.len + p->tok.text.len };
        if (!jj_next(p)) return NULL;
    }
    s->s = text.s;
    s->len = text.len;
    e->value = (struct weft_jinja_value){ .kind = JJ_STRING, .u.ref = s };
    return e;
}

static struct jj_expr *parse_list(struct jj_parser *p)
{
    struct jj_expr *e = node(p, JX_LIST);
    if (!e || !jj_next(p)) return NULL;
    struct jj_link **tail = &e->links;
    while (!jj_is_op(&p->tok, ']')) {
        if (e->links && !jj_want_op(p, ',', "',' or ']'")) return NULL;
        if (jj_is_op(&p->tok, ']')) break;
        if (!jj_link_to(p, &tail, 0, jj_parse_expr(p))) return NULL;
    }
    return jj_next(p) ? e : NULL;
}

static struct jj_expr *parse_dict(struct jj_parser *p)
{
    struct jj_expr *e = node(p, JX_DICT);
    if (!e || !jj_next(p)) return NULL;
    struct jj_link **tail = &e->links;
    while (!jj_is_op(&p->tok, '}')) {
        if (e->links && !jj_want_op(p, ',', "',' or '}'")) return NULL;
        if (jj_is_op(&p->tok, '}')) break;
        struct jj_link *l = jj_link_to(p, &tail, 0, jj_parse_expr(p));
        if (!l || !jj_want_op(p, ':', "':'")) return NULL;
        l->value = jj_parse_expr(p);
        if (!l->value) return NULL;
    }
    return jj_next(p) ? e : NULL;
}

/* What may follow the last item of an open tuple. */
static bool at_tuple_end(const struct jj_parser *p)
{
    const struct jj_token *t = &p->tok;
    return t->kind == JK_BLOCK_END || t->kind == JK_VAR_END || t->kind == JK_EOF || jj_is_op(t, ')');
}

struct jj_expr *jj_parse_tuple(struct jj_parser *p, bool cond, bool empty, const char *stop)
{
    struct jj_expr *tuple = node(p, JX_TUPLE), *item = NULL;
    if (!tuple) return NULL;
    struct jj_link **tail = &tuple->links;
    bool comma = false;
    for (;;) {
        if (at_tuple_end(p) || (stop && comma && jj_is_word(&p->tok, stop))) break;
        item = cond ? jj_parse_expr(p) : jj_parse_expr_nocond(p);
        if (!jj_link_to(p, &tail, 0, item)) return NULL;
        if (!jj_is_op(&p->tok, ',')) break;
        comma = true;
        if (!jj_next(p)) return NULL;
    }
    if (!comma) {
        if (item) return item;
        if (!empty) {
            jj_expected(p, "an expression");
            return NULL;
        }
    }
    return tuple;
}

static struct jj_expr *parse_primary(struct jj_parser *p)
{
    struct jj_token t = p->tok;
    struct jj_expr *e = NULL;
    if (t.kind == JK_STRING) e = parse_string(p);
    else if (t.kind == JK_INT) e = jj_next(p) ? constant(p, jj_int(t.integer)) : NULL;
    else if (t.kind == JK_FLOAT) e = jj_next(p) ? constant(p, jj_float(t.number)) : NULL;
    else if (jj_is_op(&t, '[')) e = parse_list(p);
    else if (jj_is_op(&t, '{')) e = parse_dict(p);
    else if (jj_is_op(&t, '(')) {
        e = jj_next(p) ? jj_parse_tuple(p, true, true, NULL) : NULL;
        if (e && !jj_want_op(p, ')', "')'")) e = NULL;
    } else if (t.kind == JK_NAME) {
        if (!jj_next(p)) return NULL;
        if (jj_is_word(&t, "true") || jj_is_word(&t, "True")) e = constant(p, jj_bool(true));
        else if (jj_is_word(&t, "false") || jj_is_word(&t, "False")) e = constant(p, jj_bool(false));
        else if (jj_is_word(&t, "none") || jj_is_word(&t, "None")) e = constant(p, jj_none());
        else if ((e = node(p, JX_NAME))) {
            e->name = t.text;
            e->symbol = jj_intern(p, t.text);
            if (e->symbol < 0) e = NULL;
            if (p->macro) {
                p->macro->uses_varargs |= weft_str_is(t.text, "varargs");
                p->macro->uses_kwargs |= weft_str_is(t.text, "kwargs");
                p->macro->uses_caller |= weft_str_is(t.text, "caller");
            }
        }
    } else jj_expected(p, "an expression");
    if (e) e->line = t.line;
    return e;
}

static bool parse_args(struct jj_parser *p, struct jj_args *args)
{
    struct jj_link **pos = &args->pos;
    struct jj_kwarg **kw = &args->kw;
    bool first = true;
    if (!jj_next(p)) return false; /* ( */
    while (!jj_is_op(&p->tok, ')')) {
        if (!first && !jj_want_op(p, ',', "',' or ')'")) return false;
        if (jj_is_op(&p->tok, ')')) break;
        first = false;
        if (jj_is_op(&p->tok, '*') || jj_is_op(&p->tok, JO_POW)) {
            struct jj_expr **star = jj_is_op(&p->tok, '*') ? &args->star : &args->star_star;
            if (*star)
                return JJ_PARSE_FAIL(p, p->tok.line, "one argument list holds '%s' twice",
                                     star == &args->star ? "*" : "**");
            if (!jj_next(p) || !(*star = jj_parse_expr(p))) return false;
            continue;
        }
        bool named = false;
        if (p->tok.kind == JK_NAME) {
            if (!jj_look(p)) return false;
            named = jj_is_op(&p->ahead, '=');
        }
        if (named) {
            struct jj_kwarg *k = JJ_TAKE(p, struct jj_kwarg);
            if (!k) return false;
            k->name = p->tok.text;
            if (!jj_next(p) || !jj_want_op(p, '=', "'='") || !(k->e = jj_parse_expr(p))) return false;
            *kw = k;
            kw = &k->next;
        } else {
            if (args->kw || args->star_star)
                return JJ_PARSE_FAIL(p, p->tok.line, "an argument without a name follows one with a name");
            if (!jj_link_to(p, &pos, 0, jj_parse_expr(p))) return false;
            if (++args->n_pos > 255) return JJ_PARSE_FAIL(p, p->tok.line, "more than %d arguments", 255);
        }
    }
    return jj_next(p);
}

static struct jj_suffix *suffix(struct jj_parser *p, struct jj_suffix ***tail, enum jj_suffix_kind kind)
{
    struct jj_suffix *s = JJ_TAKE(p, struct jj_suffix);
    if (!s) return NULL;
    s->kind = kind;
    s->line = p->tok.line;
    **tail = s;
    *tail = &s->next;
    return s;
}

/* .name  .0  [e]  [a:b:c]  [a, b] */
static bool parse_subscript(struct jj_parser *p, struct jj_suffix ***tail)
{
    bool dot = jj_is_op(&p->tok, '.');
    struct jj_suffix *s = suffix(p, tail, dot ? JS_ATTR : JS_ITEM);
    if (!s || !jj_next(p)) return false;
    if (dot) {
        if (p->tok.kind == JK_INT) {
            s->kind = JS_ITEM;
            s->item = constant(p, jj_int(p->tok.integer));
        } else if (p->tok.kind == JK_NAME) s->name = p->tok.text;
        else return jj_expected(p, "an attribute name or number");
        return jj_next(p);
    }
    struct jj_expr *part[3] = { 0 };
    int n = 0;
    bool slice = false;
    struct jj_expr *tuple = NULL;
    struct jj_link **items = NULL;
    while (!jj_is_op(&p->tok, ']')) {
        if (jj_is_op(&p->tok, ':')) {
            if (++n == 3 || tuple) return jj_expected(p, "']'");
            slice = true;
            if (!jj_next(p)) return false;
        } else if (jj_is_op(&p->tok, ',') && !slice && part[0]) {
            if (!tuple) {
                tuple = node(p, JX_TUPLE);
                if (!tuple) return false;
                items = &tuple->links;
                if (!jj_link_to(p, &items, 0, part[0])) return false;
            }
            if (!jj_next(p)) return false;
            if (jj_is_op(&p->tok, ']')) break;
            if (!jj_link_to(p, &items, 0, jj_parse_expr(p))) return false;
        } else {
            if (part[n] || tuple) return jj_expected(p, "']'");
            part[n] = jj_parse_expr(p);
            if (!part[n]) return false;
        }
    }
    if (!slice && !part[0]) return jj_expected(p, "an index");
    s->item = tuple ? tuple : part[0];
    s->stop = part[1];
    s->step = part[2];
    if (slice) s->kind = JS_SLICE;
    return jj_next(p);
}

static bool dotted_name(struct jj_parser *p, struct weft_str *name)
{
    if (p->tok.kind != JK_NAME) return jj_expected(p, "a name");
    *name = p->tok.text;
    if (!jj_next(p)) return false;
    while (jj_is_op(&p->tok, '.')) {
        if (!jj_next(p)) return false;
        if (p->tok.kind != JK_NAME) return jj_expected(p, "a name");
        /* No filter or test has a dotted name: keep the last part for the message. */
        *name = p->tok.text;
        if (!jj_next(p)) return false;
    }
    return true;
}

static bool unknown_builtin(struct jj_parser *p, const struct jj_suffix *s, bool test)
{
    char name[64];
    const char *near = jj_nearest(s->name, test);
    weft_escape(name, sizeof name, s->name);
    if (test)
        return near ? JJ_PARSE_FAIL(p, s->line, "unknown test '%s'; the nearest one is '%s'", name, near)
                    : JJ_PARSE_FAIL(p, s->line, "unknown test '%s'", name);
    return near ? JJ_PARSE_FAIL(p, s->line, "unknown filter '%s'; the nearest one is '%s'", name, near)
                : JJ_PARSE_FAIL(p, s->line, "unknown filter '%s'", name);
}

/* |name  |name(args), the | already taken */
bool jj_parse_filter(struct jj_parser *p, struct jj_suffix ***tail)
{
    struct jj_suffix *s = suffix(p, tail, JS_FILTER);
    if (!s || !dotted_name(p, &s->name)) return false;
    if (jj_is_op(&p->tok, '(') && !parse_args(p, &s->args)) return false;
    s->builtin = jj_find_filter(s->name);
    return s->builtin || p->conditional || unknown_builtin(p, s, false);
}

/* is [not] name, with parenthesised arguments or one bare one */
static bool parse_test(struct jj_parser *p, struct jj_suffix ***tail)
{
    struct jj_suffix *s = suffix(p, tail, JS_TEST);
    if (!s || !jj_next(p)) return false;
    if (jj_is_word(&p->tok, "not")) {
        s->negated = true;
        if (!jj_next(p)) return false;
    }
    if (p->tok.kind != JK_NAME) return jj_expected(p, "the name of a test");
    if (!dotted_name(p, &s->name)) return false;
    const struct jj_token *t = &p->tok;
    if (jj_is_op(t, '(')) {
        if (!parse_args(p, &s->args)) return false;
    } else if (jj_is_word(t, "is")) {
        return JJ_PARSE_FAIL(p, t->line, "tests cannot be chained with 'is'");
    } else if ((t->kind == JK_NAME && !jj_is_word(t, "else") && !jj_is_word(t, "or") && !jj_is_word(t, "and"))
               || t->kind == JK_STRING || t->kind == JK_INT || t->kind == JK_FLOAT || jj_is_op(t, '[')
               || jj_is_op(t, '{')) {
        struct jj_expr *arg = node(p, JX_POSTFIX);
        struct jj_link **pos = &s->args.pos;
        if (!arg || !(arg->first = parse_primary(p))) return false;
        struct jj_suffix **rest = &arg->suffixes;
        while (jj_is_op(&p->tok, '.') || jj_is_op(&p->tok, '[') || jj_is_op(&p->tok, '(')) {
            if (jj_is_op(&p->tok, '(')) {
                struct jj_suffix *c = suffix(p, &rest, JS_CALL);
                if (!c || !parse_args(p, &c->args)) return false;
            } else if (!parse_subscript(p, &rest)) return false;
        }
        if (!jj_link_to(p, &pos, 0, arg->suffixes ? arg : arg->first)) return false;
        s->args.n_pos = 1;
    }
    s->builtin = jj_find_test(s->name);
    return s->builtin || p->conditional || unknown_builtin(p, s, true);
}

/* Signs bind looser than . [ ] ( ) and tighter than filters: -x|abs is (-x)|abs. */
static struct jj_expr *parse_unary(struct jj_parser *p, bool with_filter)
{
    struct jj_expr *e;
    if (jj_is_op(&p->tok, '-') || jj_is_op(&p->tok, '+')) {
        e = node(p, jj_is_op(&p->tok, '-') ? JX_NEG : JX_POS);
        if (!e || !jj_parse_enter(p) || !jj_next(p) || !(e->first = parse_unary(p, false))) return NULL;
        p->depth--;
    } else if (!(e = parse_primary(p))) return NULL;
    struct jj_expr *post = node(p, JX_POSTFIX);
    if (!post) return NULL;
    struct jj_suffix **tail = &post->suffixes;
    for (bool filtered = false;;) {
        bool ok;
        if (jj_is_op(&p->tok, '(')) {
            struct jj_suffix *c = suffix(p, &tail, JS_CALL);
            ok = c && parse_args(p, &c->args);
        } else if (!filtered && (jj_is_op(&p->tok, '.') || jj_is_op(&p->tok, '['))) {
            ok = parse_subscript(p, &tail);
        } else if (with_filter && jj_is_op(&p->tok, '|')) {
            filtered = true;
            ok = jj_next(p) && jj_parse_filter(p, &tail);
        } else if (with_filter && jj_is_word(&p->tok, "is")) {
            filtered = true;
            ok = parse_test(p, &tail);
        } else break;
        if (!ok) return NULL;
    }
    post->first = e;
    return post->suffixes ? post : e;
}

/* Left-associative levels, loosest first: + -, then ~, then * / // %, then **. */
static struct jj_expr *parse_arith(struct jj_parser *p, int level)
{
    static const struct {
        int token;
        enum jj_op op;
    } ops[][4] = {
        { { '+', JJ_ADD }, { '-', JJ_SUB } },
        { { 0 } },
        { { '*', JJ_MUL }, { '/', JJ_DIV }, { JO_FLOORDIV, JJ_FLOORDIV }, { '%', JJ_MOD } },
        { { JO_POW, JJ_POW } },
    };
    if (level == 4) return parse_unary(p, true);
    struct jj_expr *first = parse_arith(p, level + 1), *e = NULL;
    struct jj_link **tail = NULL;
    while (first) {
        int found = -1;
        if (level == 1) found = jj_is_op(&p->tok, '~') ? 0 : -1;
        else
            for (int i = 0; i < 4 && ops[level][i].token; i++)
                if (jj_is_op(&p->tok, ops[level][i].token)) found = i;
        if (found < 0) break;
        if (!e) {
            e = node(p, level == 1 ? JX_CONCAT : JX_ARITH);
            if (!e) return NULL;
            e->first = first;
            tail = &e->links;
        }
        if (!jj_next(p)
            || !jj_link_to(p, &tail, level == 1 ? JJ_ADD : ops[level][found].op, parse_arith(p, level + 1)))
            return NULL;
    }
    return e ? e : first;
}

static bool compare_op(struct jj_parser *p, enum jj_op *op, bool *found)
{
    static const struct {
        int token;
        enum jj_op op;
    } ops[] = {
        { JO_EQ, JJ_EQ }, { JO_NE, JJ_NE }, { '<', JJ_LT },
        { JO_LE, JJ_LE }, { '>', JJ_GT },   { JO_GE, JJ_GE },
    };
    *found = true;
    for (size_t i = 0; i < WEFT_COUNT(ops); i++)
        if (jj_is_op(&p->tok, ops[i].token)) {
            *op = ops[i].op;
            return jj_next(p);
        }
    if (jj_is_word(&p->tok, "in")) {
        *op = JJ_IN;
        return jj_next(p);
    }
    if (jj_is_word(&p->tok, "not")) {
        if (!jj_look(p)) return false;
        if (jj_is_word(&p->ahead, "in")) {
            *op = JJ_NOTIN;
            return jj_next(p) && jj_want_word(p, "in");
        }
    }
    *found = false;
    return true;
}

static struct jj_expr *parse_compare(struct jj_parser *p)
{
    struct jj_expr *first = parse_arith(p, 0), *e = NULL;
    struct jj_link **tail = NULL;
    while (first) {
        enum jj_op op = JJ_EQ;
        bool found;
        if (!compare_op(p, &op, &found)) return NULL;
        if (!found) break;
        if (!e) {
            e = node(p, JX_COMPARE);
            if (!e) return NULL;
            e->first = first;
            tail = &e->links;
        }
        if (!jj_link_to(p, &tail, op, parse_arith(p, 0))) return NULL;
    }
    return e ? e : first;
}

static struct jj_expr *parse_not(struct jj_parser *p)
{
    int n = 0, line = p->tok.line;
    for (; jj_is_word(&p->tok, "not"); n++)
        if (!jj_next(p)) return NULL;
    struct jj_expr *e = parse_compare(p);
    for (n = n > 2 ? 2 - n % 2 : n; e && n; n--) { /* an even number is bool(x) */
        struct jj_expr *inner = e;
        e = node(p, JX_NOT);
        if (e) e->first = inner, e->line = line;
    }
    return e;
}

static struct jj_expr *parse_bool(struct jj_parser *p, bool is_or)
{
    struct jj_expr *first = is_or ? parse_bool(p, false) : parse_not(p), *e = NULL;
    struct jj_link **tail = NULL;
    while (first && jj_is_word(&p->tok, is_or ? "or" : "and")) {
        if (!e) {
            e = node(p, is_or ? JX_OR : JX_AND);
            if (!e) return NULL;
            e->first = first;
            tail = &e->links;
        }
        if (!jj_next(p) || !jj_link_to(p, &tail, 0, is_or ? parse_bool(p, false) : parse_not(p))) return NULL;
    }
    return e ? e : first;
}

struct jj_expr *jj_parse_expr_nocond(struct jj_parser *p) { return parse_bool(p, true); }

struct jj_expr *jj_parse_expr(struct jj_parser *p)
{
    struct jj_expr *e = jj_parse_expr_nocond(p);
    while (e && jj_is_word(&p->tok, "if")) {
        struct jj_expr *c = node(p, JX_COND), *otherwise = NULL;
        if (!c || !jj_next(p)) return NULL;
        struct jj_link **tail = &c->links;
        p->conditional++;
        c->first = jj_parse_expr_nocond(p);
        if (!c->first || !jj_link_to(p, &tail, 0, e)) return NULL;
        if (jj_is_word(&p->tok, "else")) {
            if (!jj_next(p) || !jj_parse_enter(p) || !(otherwise = jj_parse_expr(p))
                || !jj_link_to(p, &tail, 0, otherwise))
                return NULL;
            p->depth--;
        }
        p->conditional--;
        e = c;
    }
    return e;
}
