/* A recursive-descent parser with one token of look-ahead (two where `not in` and `name=` need it).  Nesting in the
 * source is counted against WEFT_JINJA_NESTING, brackets by the lexer, statements, signs and inline ifs here, so that
 * neither this parser nor the evaluator can be driven deep by input. */
#include "base/lang.h"
#include "base/option.h"
#include "tokens/jinja_value.h"

#include <stdio.h>

struct parser {
    struct weft_arena *a;
    struct jj_lexer lex;
    struct jj_token tok, ahead;
    bool has_ahead;
    struct jj_symbol *symbols;
    int n_symbols, cap_symbols;
    int depth, loops;
    int conditional;            /* inside if or an inline if: an unknown filter may never be reached */
    bool has_generation;
    struct jj_macro *macro;     /* innermost, to note its use of varargs, kwargs, caller */
    struct weft_err *err;
    enum weft_status st;
};

#define FAIL(p, ln, fmt, ...) \
    fail(p, weft_fail((p)->err, WEFT_EINPUT, "%s:%d: " fmt, (p)->lex.name, ln, ##__VA_ARGS__))

static bool fail(struct parser *p, enum weft_status st)
{
    p->st = st;
    return false;
}

static void *take(struct parser *p, size_t n)
{
    void *x = p->st ? NULL : weft_arena_calloc(p->a, 1, n);
    if (!x && !p->st) p->st = weft_fail_nomem(p->err, n, "a chat template");
    return x;
}
#define TAKE(p, T) ((T *)take(p, sizeof(T)))

static bool next(struct parser *p)
{
    if (p->has_ahead) {
        p->tok = p->ahead;
        p->has_ahead = false;
        return true;
    }
    enum weft_status st = jj_lexer_next(&p->lex, &p->tok, p->err);
    return st ? fail(p, st) : true;
}

static bool look(struct parser *p)
{
    if (p->has_ahead) return true;
    enum weft_status st = jj_lexer_next(&p->lex, &p->ahead, p->err);
    if (st) return fail(p, st);
    p->has_ahead = true;
    return true;
}

static bool is_op(const struct jj_token *t, int op) { return t->kind == JK_OP && t->op == op; }
static bool is_word(const struct jj_token *t, const char *w) { return t->kind == JK_NAME && weft_str_is(t->text, w); }

static bool expected(struct parser *p, const char *what)
{
    char found[80];
    enum weft_lang lang = p->err ? p->err->lang : WEFT_LANG_EN;
    return FAIL(p, p->tok.line, "found %s, expected %s", jj_token_show(found, sizeof found, &p->tok, lang), weft_tr(lang, what));
}

static bool want_op(struct parser *p, int op, const char *shown)
{
    return is_op(&p->tok, op) ? next(p) : expected(p, shown);
}

static bool want_word(struct parser *p, const char *w)
{
    char shown[32];
    snprintf(shown, sizeof shown, "'%s'", w);
    return is_word(&p->tok, w) ? next(p) : expected(p, shown);
}

static bool enter(struct parser *p)
{
    if (++p->depth <= WEFT_JINJA_NESTING) return true;
    return fail(p, weft_fail(p->err, WEFT_ELIMIT, "%s:%d: statements nested deeper than %d", p->lex.name, p->tok.line,
                             WEFT_JINJA_NESTING));
}

/* The number of a name; -1 after a failure.  Linear: a template has some dozens of names. */
static int intern(struct parser *p, struct weft_str name)
{
    for (int i = 0; i < p->n_symbols; i++)
        if (weft_str_eq(p->symbols[i].name, name)) return i;
    if (p->n_symbols == p->cap_symbols) {
        int cap = p->cap_symbols ? p->cap_symbols * 2 : 32;
        if (cap > 8192) {
            p->st = weft_fail(p->err, WEFT_ELIMIT, "%s:%d: more than %d different names", p->lex.name, p->tok.line, p->n_symbols);
            return -1;
        }
        struct jj_symbol *s = take(p, (size_t)cap * sizeof *s);
        if (!s) return -1;
        if (p->n_symbols) memcpy(s, p->symbols, (size_t)p->n_symbols * sizeof *s);
        p->symbols = s;
        p->cap_symbols = cap;
    }
    p->symbols[p->n_symbols] = (struct jj_symbol){ name, p->n_symbols };
    return p->n_symbols++;
}

/* ---- expressions ---- */

static struct jj_expr *parse_expr(struct parser *p);            /* a if b else c */
static struct jj_expr *parse_expr_nocond(struct parser *p);     /* or */
static struct jj_expr *parse_unary(struct parser *p, bool with_filter);

static struct jj_expr *node(struct parser *p, enum jj_expr_kind kind)
{
    struct jj_expr *e = TAKE(p, struct jj_expr);
    if (e) *e = (struct jj_expr){ .kind = kind, .line = p->tok.line };
    return e;
}

static struct jj_link *link_to(struct parser *p, struct jj_link ***tail, enum jj_op op, struct jj_expr *e)
{
    struct jj_link *l = e ? TAKE(p, struct jj_link) : NULL;
    if (!l) return NULL;
    l->op = op;
    l->e = e;
    **tail = l;
    *tail = &l->next;
    return l;
}

static struct jj_expr *constant(struct parser *p, struct weft_jinja_value v)
{
    struct jj_expr *e = node(p, JX_CONST);
    if (e) e->value = v;
    return e;
}

/* Adjacent string literals join. */
static struct jj_expr *parse_string(struct parser *p)
{
    struct jj_expr *e = node(p, JX_CONST);
    struct jj_string *s = TAKE(p, struct jj_string);
    struct weft_str text = p->tok.text;
    if (!s || !next(p)) return NULL;
    while (p->tok.kind == JK_STRING) {
        char *joined = take(p, text.len + p->tok.text.len + 1);
        if (!joined) return NULL;
        memcpy(joined, text.s, text.len);
        memcpy(joined + text.len, p->tok.text.s, p->tok.text.len);
        text = (struct weft_str){ joined, text.len + p->tok.text.len };
        if (!next(p)) return NULL;
    }
    s->s = text.s;
    s->len = text.len;
    e->value = (struct weft_jinja_value){ .kind = JJ_STRING, .u.ref = s };
    return e;
}

static struct jj_expr *parse_list(struct parser *p)
{
    struct jj_expr *e = node(p, JX_LIST);
    if (!e || !next(p)) return NULL;
    struct jj_link **tail = &e->links;
    while (!is_op(&p->tok, ']')) {
        if (e->links && !want_op(p, ',', "',' or ']'")) return NULL;
        if (is_op(&p->tok, ']')) break;
        if (!link_to(p, &tail, 0, parse_expr(p))) return NULL;
    }
    return next(p) ? e : NULL;
}

static struct jj_expr *parse_dict(struct parser *p)
{
    struct jj_expr *e = node(p, JX_DICT);
    if (!e || !next(p)) return NULL;
    struct jj_link **tail = &e->links;
    while (!is_op(&p->tok, '}')) {
        if (e->links && !want_op(p, ',', "',' or '}'")) return NULL;
        if (is_op(&p->tok, '}')) break;
        struct jj_link *l = link_to(p, &tail, 0, parse_expr(p));
        if (!l || !want_op(p, ':', "':'")) return NULL;
        l->value = parse_expr(p);
        if (!l->value) return NULL;
    }
    return next(p) ? e : NULL;
}

/* What may follow the last item of an open tuple. */
static bool at_tuple_end(const struct parser *p)
{
    const struct jj_token *t = &p->tok;
    return t->kind == JK_BLOCK_END || t->kind == JK_VAR_END || t->kind == JK_EOF || is_op(t, ')');
}

/* a, b, c: a tuple as soon as there is a comma.  `cond`: items may be inline ifs; `empty`: nothing at all is ().
 * `stop`: a word that ends it (recursive), or NULL. */
static struct jj_expr *parse_tuple(struct parser *p, bool cond, bool empty, const char *stop)
{
    struct jj_expr *tuple = node(p, JX_TUPLE), *item = NULL;
    if (!tuple) return NULL;
    struct jj_link **tail = &tuple->links;
    bool comma = false;
    for (;;) {
        if (at_tuple_end(p) || (stop && comma && is_word(&p->tok, stop))) break;
        item = cond ? parse_expr(p) : parse_expr_nocond(p);
        if (!link_to(p, &tail, 0, item)) return NULL;
        if (!is_op(&p->tok, ',')) break;
        comma = true;
        if (!next(p)) return NULL;
    }
    if (!comma) {
        if (item) return item;
        if (!empty) {
            expected(p, "an expression");
            return NULL;
        }
    }
    return tuple;
}

static struct jj_expr *parse_primary(struct parser *p)
{
    struct jj_token t = p->tok;
    struct jj_expr *e = NULL;
    if (t.kind == JK_STRING) e = parse_string(p);
    else if (t.kind == JK_INT) e = next(p) ? constant(p, jj_int(t.integer)) : NULL;
    else if (t.kind == JK_FLOAT) e = next(p) ? constant(p, jj_float(t.number)) : NULL;
    else if (is_op(&t, '[')) e = parse_list(p);
    else if (is_op(&t, '{')) e = parse_dict(p);
    else if (is_op(&t, '(')) {
        e = next(p) ? parse_tuple(p, true, true, NULL) : NULL;
        if (e && !want_op(p, ')', "')'")) e = NULL;
    } else if (t.kind == JK_NAME) {
        if (!next(p)) return NULL;
        if (is_word(&t, "true") || is_word(&t, "True")) e = constant(p, jj_bool(true));
        else if (is_word(&t, "false") || is_word(&t, "False")) e = constant(p, jj_bool(false));
        else if (is_word(&t, "none") || is_word(&t, "None")) e = constant(p, jj_none());
        else if ((e = node(p, JX_NAME))) {
            e->name = t.text;
            e->symbol = intern(p, t.text);
            if (e->symbol < 0) e = NULL;
            if (p->macro) {
                p->macro->uses_varargs |= weft_str_is(t.text, "varargs");
                p->macro->uses_kwargs |= weft_str_is(t.text, "kwargs");
                p->macro->uses_caller |= weft_str_is(t.text, "caller");
            }
        }
    } else
        expected(p, "an expression");
    if (e) e->line = t.line;
    return e;
}

static bool parse_args(struct parser *p, struct jj_args *args)
{
    struct jj_link **pos = &args->pos;
    struct jj_kwarg **kw = &args->kw;
    bool first = true;
    if (!next(p)) return false;                                 /* ( */
    while (!is_op(&p->tok, ')')) {
        if (!first && !want_op(p, ',', "',' or ')'")) return false;
        if (is_op(&p->tok, ')')) break;
        first = false;
        if (is_op(&p->tok, '*') || is_op(&p->tok, JO_POW)) {
            struct jj_expr **star = is_op(&p->tok, '*') ? &args->star : &args->star_star;
            if (*star) return FAIL(p, p->tok.line, "one argument list holds '%s' twice", star == &args->star ? "*" : "**");
            if (!next(p) || !(*star = parse_expr(p))) return false;
            continue;
        }
        bool named = false;
        if (p->tok.kind == JK_NAME) {
            if (!look(p)) return false;
            named = is_op(&p->ahead, '=');
        }
        if (named) {
            struct jj_kwarg *k = TAKE(p, struct jj_kwarg);
            if (!k) return false;
            k->name = p->tok.text;
            if (!next(p) || !next(p) || !(k->e = parse_expr(p))) return false;
            *kw = k;
            kw = &k->next;
        } else {
            if (args->kw || args->star_star) return FAIL(p, p->tok.line, "an argument without a name follows one with a name");
            if (!link_to(p, &pos, 0, parse_expr(p))) return false;
            if (++args->n_pos > 255) return FAIL(p, p->tok.line, "more than %d arguments", 255);
        }
    }
    return next(p);
}

static struct jj_suffix *suffix(struct parser *p, struct jj_suffix ***tail, enum jj_suffix_kind kind)
{
    struct jj_suffix *s = TAKE(p, struct jj_suffix);
    if (!s) return NULL;
    s->kind = kind;
    s->line = p->tok.line;
    **tail = s;
    *tail = &s->next;
    return s;
}

/* .name  .0  [e]  [a:b:c]  [a, b] */
static bool parse_subscript(struct parser *p, struct jj_suffix ***tail)
{
    bool dot = is_op(&p->tok, '.');
    struct jj_suffix *s = suffix(p, tail, dot ? JS_ATTR : JS_ITEM);
    if (!s || !next(p)) return false;
    if (dot) {
        if (p->tok.kind == JK_INT) {
            s->kind = JS_ITEM;
            s->item = constant(p, jj_int(p->tok.integer));
        } else if (p->tok.kind == JK_NAME)
            s->name = p->tok.text;
        else
            return expected(p, "an attribute name or number");
        return next(p);
    }
    struct jj_expr *part[3] = {0};
    int n = 0;
    bool slice = false;
    struct jj_expr *tuple = NULL;
    struct jj_link **items = NULL;
    while (!is_op(&p->tok, ']')) {
        if (is_op(&p->tok, ':')) {
            if (++n == 3 || tuple) return expected(p, "']'");
            slice = true;
            if (!next(p)) return false;
        } else if (is_op(&p->tok, ',') && !slice && part[0]) {
            if (!tuple) {
                tuple = node(p, JX_TUPLE);
                if (!tuple) return false;
                items = &tuple->links;
                if (!link_to(p, &items, 0, part[0])) return false;
            }
            if (!next(p)) return false;
            if (is_op(&p->tok, ']')) break;
            if (!link_to(p, &items, 0, parse_expr(p))) return false;
        } else {
            if (part[n] || tuple) return expected(p, "']'");
            part[n] = parse_expr(p);
            if (!part[n]) return false;
        }
    }
    if (!slice && !part[0]) return expected(p, "an index");
    s->item = tuple ? tuple : part[0];
    s->stop = part[1];
    s->step = part[2];
    if (slice) s->kind = JS_SLICE;
    return next(p);
}

static bool dotted_name(struct parser *p, struct weft_str *name)
{
    if (p->tok.kind != JK_NAME) return expected(p, "a name");
    *name = p->tok.text;
    if (!next(p)) return false;
    while (is_op(&p->tok, '.')) {
        if (!next(p)) return false;
        if (p->tok.kind != JK_NAME) return expected(p, "a name");
        /* No filter or test has a dotted name: keep the last part for the message. */
        *name = p->tok.text;
        if (!next(p)) return false;
    }
    return true;
}

static bool unknown_builtin(struct parser *p, const struct jj_suffix *s, bool test)
{
    char name[64];
    const char *near = jj_nearest(s->name, test);
    weft_escape(name, sizeof name, s->name);
    if (test) return near ? FAIL(p, s->line, "unknown test '%s'; the nearest one is '%s'", name, near)
                          : FAIL(p, s->line, "unknown test '%s'", name);
    return near ? FAIL(p, s->line, "unknown filter '%s'; the nearest one is '%s'", name, near)
                : FAIL(p, s->line, "unknown filter '%s'", name);
}

/* |name  |name(args), the | already taken */
static bool parse_filter(struct parser *p, struct jj_suffix ***tail)
{
    struct jj_suffix *s = suffix(p, tail, JS_FILTER);
    if (!s || !dotted_name(p, &s->name)) return false;
    if (is_op(&p->tok, '(') && !parse_args(p, &s->args)) return false;
    s->builtin = jj_find_filter(s->name);
    return s->builtin || p->conditional || unknown_builtin(p, s, false);
}

/* is [not] name, with parenthesised arguments or one bare one */
static bool parse_test(struct parser *p, struct jj_suffix ***tail)
{
    struct jj_suffix *s = suffix(p, tail, JS_TEST);
    if (!s || !next(p)) return false;
    if (is_word(&p->tok, "not")) {
        s->negated = true;
        if (!next(p)) return false;
    }
    if (p->tok.kind != JK_NAME) return expected(p, "the name of a test");
    if (!dotted_name(p, &s->name)) return false;
    const struct jj_token *t = &p->tok;
    if (is_op(t, '(')) {
        if (!parse_args(p, &s->args)) return false;
    } else if (is_word(t, "is")) {
        return FAIL(p, t->line, "tests cannot be chained with 'is'");
    } else if ((t->kind == JK_NAME && !is_word(t, "else") && !is_word(t, "or") && !is_word(t, "and")) || t->kind == JK_STRING ||
               t->kind == JK_INT || t->kind == JK_FLOAT || is_op(t, '[') || is_op(t, '{')) {
        struct jj_expr *arg = node(p, JX_POSTFIX);
        struct jj_link **pos = &s->args.pos;
        if (!arg || !(arg->first = parse_primary(p))) return false;
        struct jj_suffix **rest = &arg->suffixes;
        while (is_op(&p->tok, '.') || is_op(&p->tok, '[') || is_op(&p->tok, '(')) {
            if (is_op(&p->tok, '(')) {
                struct jj_suffix *c = suffix(p, &rest, JS_CALL);
                if (!c || !parse_args(p, &c->args)) return false;
            } else if (!parse_subscript(p, &rest))
                return false;
        }
        if (!link_to(p, &pos, 0, arg->suffixes ? arg : arg->first)) return false;
        s->args.n_pos = 1;
    }
    s->builtin = jj_find_test(s->name);
    return s->builtin || p->conditional || unknown_builtin(p, s, true);
}

/* Signs bind looser than . [ ] ( ) and tighter than filters: -x|abs is (-x)|abs. */
static struct jj_expr *parse_unary(struct parser *p, bool with_filter)
{
    struct jj_expr *e;
    if (is_op(&p->tok, '-') || is_op(&p->tok, '+')) {
        e = node(p, is_op(&p->tok, '-') ? JX_NEG : JX_POS);
        if (!e || !enter(p) || !next(p) || !(e->first = parse_unary(p, false))) return NULL;
        p->depth--;
    } else if (!(e = parse_primary(p)))
        return NULL;
    struct jj_expr *post = node(p, JX_POSTFIX);
    if (!post) return NULL;
    struct jj_suffix **tail = &post->suffixes;
    for (bool filtered = false;;) {
        bool ok;
        if (is_op(&p->tok, '(')) {
            struct jj_suffix *c = suffix(p, &tail, JS_CALL);
            ok = c && parse_args(p, &c->args);
        } else if (!filtered && (is_op(&p->tok, '.') || is_op(&p->tok, '['))) {
            ok = parse_subscript(p, &tail);
        } else if (with_filter && is_op(&p->tok, '|')) {
            filtered = true;
            ok = next(p) && parse_filter(p, &tail);
        } else if (with_filter && is_word(&p->tok, "is")) {
            filtered = true;
            ok = parse_test(p, &tail);
        } else
            break;
        if (!ok) return NULL;
    }
    post->first = e;
    return post->suffixes ? post : e;
}

/* Left-associative levels, loosest first: + -, then ~, then * / // %, then **. */
static struct jj_expr *parse_arith(struct parser *p, int level)
{
    static const struct { int token; enum jj_op op; } ops[][4] = {
        { { '+', JJ_ADD }, { '-', JJ_SUB } }, { { 0 } },
        { { '*', JJ_MUL }, { '/', JJ_DIV }, { JO_FLOORDIV, JJ_FLOORDIV }, { '%', JJ_MOD } }, { { JO_POW, JJ_POW } },
    };
    if (level == 4) return parse_unary(p, true);
    struct jj_expr *first = parse_arith(p, level + 1), *e = NULL;
    struct jj_link **tail = NULL;
    while (first) {
        int found = -1;
        if (level == 1) found = is_op(&p->tok, '~') ? 0 : -1;
        else
            for (int i = 0; i < 4 && ops[level][i].token; i++)
                if (is_op(&p->tok, ops[level][i].token)) found = i;
        if (found < 0) break;
        if (!e) {
            e = node(p, level == 1 ? JX_CONCAT : JX_ARITH);
            if (!e) return NULL;
            e->first = first;
            tail = &e->links;
        }
        if (!next(p) || !link_to(p, &tail, level == 1 ? JJ_ADD : ops[level][found].op, parse_arith(p, level + 1))) return NULL;
    }
    return e ? e : first;
}

static bool compare_op(struct parser *p, enum jj_op *op, bool *found)
{
    static const struct { int token; enum jj_op op; } ops[] = {
        { JO_EQ, JJ_EQ }, { JO_NE, JJ_NE }, { '<', JJ_LT }, { JO_LE, JJ_LE }, { '>', JJ_GT }, { JO_GE, JJ_GE },
    };
    *found = true;
    for (size_t i = 0; i < WEFT_COUNT(ops); i++)
        if (is_op(&p->tok, ops[i].token)) {
            *op = ops[i].op;
            return next(p);
        }
    if (is_word(&p->tok, "in")) {
        *op = JJ_IN;
        return next(p);
    }
    if (is_word(&p->tok, "not")) {
        if (!look(p)) return false;
        if (is_word(&p->ahead, "in")) {
            *op = JJ_NOTIN;
            return next(p) && next(p);
        }
    }
    *found = false;
    return true;
}

static struct jj_expr *parse_compare(struct parser *p)
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
        if (!link_to(p, &tail, op, parse_arith(p, 0))) return NULL;
    }
    return e ? e : first;
}

static struct jj_expr *parse_not(struct parser *p)
{
    int n = 0, line = p->tok.line;
    for (; is_word(&p->tok, "not"); n++)
        if (!next(p)) return NULL;
    struct jj_expr *e = parse_compare(p);
    for (n = n > 2 ? 2 - n % 2 : n; e && n; n--) {              /* an even number is bool(x) */
        struct jj_expr *inner = e;
        e = node(p, JX_NOT);
        if (e) e->first = inner, e->line = line;
    }
    return e;
}

static struct jj_expr *parse_bool(struct parser *p, bool is_or)
{
    struct jj_expr *first = is_or ? parse_bool(p, false) : parse_not(p), *e = NULL;
    struct jj_link **tail = NULL;
    while (first && is_word(&p->tok, is_or ? "or" : "and")) {
        if (!e) {
            e = node(p, is_or ? JX_OR : JX_AND);
            if (!e) return NULL;
            e->first = first;
            tail = &e->links;
        }
        if (!next(p) || !link_to(p, &tail, 0, is_or ? parse_bool(p, false) : parse_not(p))) return NULL;
    }
    return e ? e : first;
}

static struct jj_expr *parse_expr_nocond(struct parser *p) { return parse_bool(p, true); }

static struct jj_expr *parse_expr(struct parser *p)
{
    struct jj_expr *e = parse_expr_nocond(p);
    while (e && is_word(&p->tok, "if")) {
        struct jj_expr *c = node(p, JX_COND), *otherwise = NULL;
        if (!c || !next(p)) return NULL;
        struct jj_link **tail = &c->links;
        p->conditional++;
        c->first = parse_expr_nocond(p);
        if (!c->first || !link_to(p, &tail, 0, e)) return NULL;
        if (is_word(&p->tok, "else")) {
            if (!next(p) || !enter(p) || !(otherwise = parse_expr(p)) || !link_to(p, &tail, 0, otherwise)) return NULL;
            p->depth--;
        }
        p->conditional--;
        e = c;
    }
    return e;
}

/* ---- statements ---- */

static bool parse_body(struct parser *p, struct jj_stmt **out, const char *const *ends);

static struct jj_stmt *stmt(struct parser *p, enum jj_stmt_kind kind)
{
    struct jj_stmt *s = TAKE(p, struct jj_stmt);
    if (s) *s = (struct jj_stmt){ .kind = kind, .line = p->tok.line };
    return s;
}

static bool want_block_end(struct parser *p) { return p->tok.kind == JK_BLOCK_END ? next(p) : expected(p, "'%}'"); }

/* Body up to {% end %}, whose %} is taken too. */
static bool parse_until(struct parser *p, struct jj_stmt **out, const char *end)
{
    const char *const ends[] = { end, NULL };
    return parse_body(p, out, ends) && next(p) && want_block_end(p);
}

/* One target, or targets separated by commas.  `attrs`: ns.name is allowed. */
static bool parse_target(struct parser *p, struct jj_target **out, bool attrs, bool tuple);

static bool parse_target_item(struct parser *p, struct jj_target **out, bool attrs)
{
    if (is_op(&p->tok, '(') || is_op(&p->tok, '[')) {
        int close = is_op(&p->tok, '(') ? ')' : ']';
        if (!next(p) || !parse_target(p, out, attrs, true)) return false;
        return want_op(p, close, "')' or ']'");
    }
    if (p->tok.kind != JK_NAME) return expected(p, "the name of a variable");
    static const char *const reserved[] = { "true", "false", "none", "True", "False", "None" };
    for (size_t i = 0; i < WEFT_COUNT(reserved); i++)
        if (weft_str_is(p->tok.text, reserved[i])) return expected(p, "the name of a variable");
    struct jj_target *t = TAKE(p, struct jj_target);
    if (!t) return false;
    t->name = p->tok.text;
    t->symbol = intern(p, t->name);
    if (t->symbol < 0 || !next(p)) return false;
    if (attrs && is_op(&p->tok, '.')) {
        if (!next(p)) return false;
        if (p->tok.kind != JK_NAME) return expected(p, "an attribute name");
        t->attr = p->tok.text;
        if (!next(p)) return false;
    }
    *out = t;
    return true;
}

static bool parse_target(struct parser *p, struct jj_target **out, bool attrs, bool tuple)
{
    struct jj_target *first, **tail;
    if (!parse_target_item(p, &first, attrs)) return false;
    *out = first;
    if (!tuple || !is_op(&p->tok, ',')) return true;
    struct jj_target *t = TAKE(p, struct jj_target);
    if (!t) return false;
    t->is_tuple = true;
    t->parts = first;
    tail = &first->next;
    while (is_op(&p->tok, ',')) {
        if (!next(p)) return false;
        if (p->tok.kind != JK_NAME && !is_op(&p->tok, '(') && !is_op(&p->tok, '[')) break;
        if (is_word(&p->tok, "in")) break;
        if (!parse_target_item(p, tail, attrs)) return false;
        tail = &(*tail)->next;
    }
    *out = t;
    return true;
}

static bool parse_if(struct parser *p, struct jj_stmt *s)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct jj_branch **tail = &s->branches;
    for (bool otherwise = false;;) {
        struct jj_branch *b = TAKE(p, struct jj_branch);
        if (!b || !next(p)) return false;
        if (!otherwise && !(b->cond = parse_tuple(p, false, false, NULL))) return false;
        p->conditional++;
        if (!want_block_end(p) || !parse_body(p, &b->body, otherwise ? ends + 2 : ends)) return false;
        p->conditional--;
        *tail = b;
        tail = &b->next;
        if (is_word(&p->tok, "endif")) return next(p) && want_block_end(p);
        otherwise = is_word(&p->tok, "else");
    }
}

static bool parse_for(struct parser *p, struct jj_stmt *s)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    if (!next(p) || !parse_target(p, &s->target, false, true) || !want_word(p, "in")) return false;
    if (!(s->e = parse_tuple(p, false, false, "recursive"))) return false;
    if (is_word(&p->tok, "if") && (!next(p) || !(s->cond = parse_expr(p)))) return false;
    if (is_word(&p->tok, "recursive")) {
        s->recursive = true;
        if (!next(p)) return false;
    }
    p->loops++;
    if (!want_block_end(p) || !parse_body(p, &s->body, ends)) return false;
    p->loops--;
    if (is_word(&p->tok, "else")) return next(p) && want_block_end(p) && parse_until(p, &s->orelse, "endfor");
    return next(p) && want_block_end(p);
}

static bool parse_set(struct parser *p, struct jj_stmt *s)
{
    if (!next(p) || !parse_target(p, &s->target, true, true)) return false;
    if (is_op(&p->tok, '=')) {
        if (!next(p) || !(s->e = parse_tuple(p, true, false, NULL))) return false;
        return want_block_end(p);
    }
    s->kind = JT_SET_BLOCK;
    struct jj_suffix **tail = &s->filters;
    while (is_op(&p->tok, '|'))
        if (!next(p) || !parse_filter(p, &tail)) return false;
    return want_block_end(p) && parse_until(p, &s->body, "endset");
}

/* (a, b=1): parameters; those behind one with a default need one. */
static bool parse_params(struct parser *p, struct jj_macro *m)
{
    struct jj_param **tail = &m->params;
    if (!want_op(p, '(', "'('")) return false;
    while (!is_op(&p->tok, ')')) {
        if (m->n_params && !want_op(p, ',', "',' or ')'")) return false;
        if (is_op(&p->tok, ')')) break;
        struct jj_param *x = TAKE(p, struct jj_param);
        if (!x) return false;
        if (p->tok.kind != JK_NAME) return expected(p, "the name of a parameter");
        x->name = p->tok.text;
        x->symbol = intern(p, x->name);
        if (x->symbol < 0 || !next(p)) return false;
        if (is_op(&p->tok, '=')) {
            if (!next(p) || !(x->def = parse_expr(p))) return false;
        } else if (m->n_params && m->params->def)
            return expected(p, "a default, as the parameter before it has one");
        if (++m->n_params > 255) return FAIL(p, p->tok.line, "more than %d arguments", 255);
        *tail = x;
        tail = &x->next;
    }
    return next(p);
}

static bool parse_macro(struct parser *p, struct jj_stmt *s, bool call)
{
    struct jj_macro *m = TAKE(p, struct jj_macro), *outer = p->macro;
    int loops = p->loops;
    if (!m || !next(p)) return false;
    s->macro = m;
    s->symbol = -1;
    if (!call) {
        if (p->tok.kind != JK_NAME) return expected(p, "the name of the macro");
        m->name = p->tok.text;
        s->symbol = intern(p, m->name);
        if (s->symbol < 0 || !next(p)) return false;
    } else
        m->name = WEFT_STR("caller");
    if ((!call || is_op(&p->tok, '(')) && !parse_params(p, m)) return false;
    if (call) {
        s->e = parse_expr(p);
        if (!s->e) return false;
        const struct jj_suffix *last = s->e->kind == JX_POSTFIX ? s->e->suffixes : NULL;
        while (last && last->next) last = last->next;
        if (!last || last->kind != JS_CALL) return FAIL(p, s->line, "found no call behind {%% call %%}, expected a macro with its arguments");
    }
    p->macro = m;
    p->loops = 0;                       /* break cannot leave a macro */
    if (!want_block_end(p) || !parse_until(p, &m->body, call ? "endcall" : "endmacro")) return false;
    p->macro = outer;
    p->loops = loops;
    return true;
}

static bool parse_with(struct parser *p, struct jj_stmt *s)
{
    struct jj_target **tail = &s->target;
    struct jj_link **values = &s->links;
    if (!next(p)) return false;
    while (p->tok.kind != JK_BLOCK_END) {
        if (s->target && !want_op(p, ',', "',' or '%}'")) return false;
        if (!parse_target(p, tail, false, false) || !want_op(p, '=', "'='")) return false;
        tail = &(*tail)->next;
        if (!link_to(p, &values, 0, parse_expr(p))) return false;
    }
    return want_block_end(p) && parse_until(p, &s->body, "endwith");
}

static bool parse_statement(struct parser *p, struct jj_stmt **out)
{
    static const char *const known[] = { "if", "for", "set", "macro", "call", "filter", "generation", "with", "break", "continue", "raw" };
    static const char *const refused[] = { "include", "import", "from", "extends", "block", "autoescape", "do", "trans" };
    char word[48];
    struct jj_stmt *s = stmt(p, JT_IF);
    *out = s;
    if (!s) return false;
    if (p->tok.kind != JK_NAME) return expected(p, "a statement");
    weft_escape(word, sizeof word, p->tok.text);
    if (is_word(&p->tok, "if")) return parse_if(p, s);
    s->kind = JT_FOR;
    if (is_word(&p->tok, "for")) return parse_for(p, s);
    s->kind = JT_SET;
    if (is_word(&p->tok, "set")) return parse_set(p, s);
    s->kind = JT_MACRO;
    if (is_word(&p->tok, "macro")) return parse_macro(p, s, false);
    s->kind = JT_CALL;
    if (is_word(&p->tok, "call")) return parse_macro(p, s, true);
    s->kind = JT_WITH;
    if (is_word(&p->tok, "with")) return parse_with(p, s);
    s->kind = JT_FILTER;
    if (is_word(&p->tok, "filter")) {
        struct jj_suffix **tail = &s->filters;
        if (!next(p) || !parse_filter(p, &tail)) return false;
        while (is_op(&p->tok, '|'))
            if (!next(p) || !parse_filter(p, &tail)) return false;
        return want_block_end(p) && parse_until(p, &s->body, "endfilter");
    }
    s->kind = JT_GENERATION;
    if (is_word(&p->tok, "generation")) {
        int loops = p->loops;
        p->has_generation = true;
        p->loops = 0;                   /* its body is a caller in the reference: no break out of it */
        if (!next(p) || !want_block_end(p) || !parse_until(p, &s->body, "endgeneration")) return false;
        p->loops = loops;
        return true;
    }
    if (is_word(&p->tok, "break") || is_word(&p->tok, "continue")) {
        s->kind = is_word(&p->tok, "break") ? JT_BREAK : JT_CONTINUE;
        if (!p->loops) return FAIL(p, s->line, "'%s' outside a loop", word);
        return next(p) && want_block_end(p);
    }
    for (size_t i = 0; i < WEFT_COUNT(refused); i++)
        if (is_word(&p->tok, refused[i])) return FAIL(p, s->line, "the statement '%s' is not available in chat templates", word);
    const char *near = weft_nearest(word, known, WEFT_COUNT(known));
    return near ? FAIL(p, s->line, "unknown statement '%s'; the nearest one is '%s'", word, near)
                : FAIL(p, s->line, "unknown statement '%s'", word);
}

/* Statements up to a block tag that begins with one of `ends` (the word is the current token then); NULL: to the end
 * of the template. */
static bool parse_body(struct parser *p, struct jj_stmt **out, const char *const *ends)
{
    struct jj_stmt **tail = out;
    if (!enter(p)) return false;
    int line = p->tok.line;
    for (;;) {
        struct jj_stmt *s = NULL;
        switch (p->tok.kind) {
        case JK_EOF:
            if (ends) {
                const char *last = ends[0];
                for (int i = 0; ends[i]; i++) last = ends[i];
                return FAIL(p, line, "the template ends before '%s'", last);
            }
            p->depth--;
            return true;
        case JK_DATA:
            if (p->tok.text.len) {
                s = stmt(p, JT_DATA);
                if (!s) return false;
                s->data = p->tok.text;
            }
            if (!next(p)) return false;
            break;
        case JK_VAR_BEGIN:
            s = stmt(p, JT_OUTPUT);
            if (!s || !next(p) || !(s->e = parse_tuple(p, true, false, NULL))) return false;
            if (p->tok.kind != JK_VAR_END) return expected(p, "'}}'");
            if (!next(p)) return false;
            break;
        default:                        /* JK_BLOCK_BEGIN */
            if (!next(p)) return false;
            for (int i = 0; ends && ends[i]; i++)
                if (is_word(&p->tok, ends[i])) {
                    p->depth--;
                    return true;
                }
            if (p->tok.kind == JK_NAME && weft_str_starts(p->tok.text, WEFT_STR("end"))) {
                if (!ends) return expected(p, "a statement that is not open");
                const char *last = ends[0];
                char shown[48];
                for (int i = 0; ends[i]; i++) last = ends[i];
                snprintf(shown, sizeof shown, "'%s'", last);
                return expected(p, shown);
            }
            if (!parse_statement(p, &s)) return false;
        }
        if (s) {
            *tail = s;
            tail = &s->next;
        }
    }
}

enum weft_status weft_jinja_parse(struct weft_arena *a, const char *name, struct weft_str source, const struct weft_jinja **out,
                                  struct weft_err *err)
{
    struct parser p = { .a = a, .err = err };
    struct weft_jinja *t = WEFT_NEW(a, struct weft_jinja);
    if (!t) return weft_fail_nomem(err, sizeof *t, "a chat template");
    t->name = weft_arena_strndup(a, name, strlen(name));
    if (!t->name) return weft_fail_nomem(err, strlen(name), "a chat template");
    enum weft_status st = jj_lexer_init(&p.lex, a, t->name, source, err);
    if (st) return st;
    if (!next(&p) || !parse_body(&p, &t->body, NULL)) return p.st;
    t->source = weft_str_dup(a, source);
    if (!t->source.s) return weft_fail_nomem(err, source.len, "a chat template");
    t->symbols = p.symbols;
    t->n_symbols = p.n_symbols;
    t->has_generation = p.has_generation;
    *out = t;
    return WEFT_OK;
}

struct weft_str weft_jinja_source(const struct weft_jinja *t) { return t->source; }
bool weft_jinja_has_generation(const struct weft_jinja *t) { return t->has_generation; }
