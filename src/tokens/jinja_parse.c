/* A recursive-descent parser with one token of look-ahead (two where `not in` and `name=` need it).
 * Nesting in the source is counted against WEFT_JINJA_NESTING, brackets by the lexer, statements, signs and
 * inline ifs here, so that neither this parser nor the evaluator can be driven deep by input. */
#include "base/lang.h"
#include "base/option.h"
#include "tokens/jinja_parser.h"

#include <stdio.h>

bool jj_parse_fail(struct jj_parser *p, enum weft_status st)
{
    p->st = st;
    return false;
}

void *jj_take(struct jj_parser *p, size_t n)
{
    void *x = p->st ? NULL : weft_arena_calloc(p->a, 1, n);
    if (!x && !p->st) p->st = weft_fail_nomem(p->err, n, "a chat template");
    return x;
}

bool jj_next(struct jj_parser *p)
{
    if (p->has_ahead) {
        p->tok = p->ahead;
        p->has_ahead = false;
        return true;
    }
    enum weft_status st = jj_lexer_next(&p->lex, &p->tok, p->err);
    return st ? jj_parse_fail(p, st) : true;
}

bool jj_look(struct jj_parser *p)
{
    if (p->has_ahead) return true;
    enum weft_status st = jj_lexer_next(&p->lex, &p->ahead, p->err);
    if (st) return jj_parse_fail(p, st);
    p->has_ahead = true;
    return true;
}

bool jj_is_op(const struct jj_token *t, int op) { return t->kind == JK_OP && t->op == op; }
bool jj_is_word(const struct jj_token *t, const char *w)
{
    return t->kind == JK_NAME && weft_str_is(t->text, w);
}

bool jj_expected(struct jj_parser *p, const char *what)
{
    char found[80];
    enum weft_lang lang = p->err ? p->err->lang : WEFT_LANG_EN;
    return JJ_PARSE_FAIL(p, p->tok.line, "found %s, expected %s",
                         jj_token_show(found, sizeof found, &p->tok, lang), weft_tr(lang, what));
}

bool jj_want_op(struct jj_parser *p, int op, const char *shown)
{
    return jj_is_op(&p->tok, op) ? jj_next(p) : jj_expected(p, shown);
}

bool jj_want_word(struct jj_parser *p, const char *w)
{
    char shown[32];
    snprintf(shown, sizeof shown, "'%s'", w);
    return jj_is_word(&p->tok, w) ? jj_next(p) : jj_expected(p, shown);
}

bool jj_parse_enter(struct jj_parser *p)
{
    if (++p->depth <= WEFT_JINJA_NESTING) return true;
    return jj_parse_fail(p, weft_fail(p->err, WEFT_ELIMIT, "%s:%d: statements nested deeper than %d",
                                      p->lex.name, p->tok.line, WEFT_JINJA_NESTING));
}

/* The number of a name; -1 after a failure.  Linear: a template has some dozens of names. */
int jj_intern(struct jj_parser *p, struct weft_str name)
{
    for (int i = 0; i < p->n_symbols; i++)
        if (weft_str_eq(p->symbols[i].name, name)) return i;
    if (p->n_symbols == p->cap_symbols) {
        int cap = p->cap_symbols ? p->cap_symbols * 2 : 32;
        if (cap > 8192) {
            p->st = weft_fail(p->err, WEFT_ELIMIT, "%s:%d: more than %d different names", p->lex.name,
                              p->tok.line, p->n_symbols);
            return -1;
        }
        struct jj_symbol *s = jj_take(p, (size_t)cap * sizeof *s);
        if (!s) return -1;
        if (p->n_symbols) memcpy(s, p->symbols, (size_t)p->n_symbols * sizeof *s);
        p->symbols = s;
        p->cap_symbols = cap;
    }
    p->symbols[p->n_symbols] = (struct jj_symbol){ name, p->n_symbols };
    return p->n_symbols++;
}

/* ---- statements ---- */

static bool parse_body(struct jj_parser *p, struct jj_stmt **out, const char *const *ends);

static struct jj_stmt *stmt(struct jj_parser *p, enum jj_stmt_kind kind)
{
    struct jj_stmt *s = JJ_TAKE(p, struct jj_stmt);
    if (s) *s = (struct jj_stmt){ .kind = kind, .line = p->tok.line };
    return s;
}

static bool want_block_end(struct jj_parser *p)
{
    return p->tok.kind == JK_BLOCK_END ? jj_next(p) : jj_expected(p, "'%}'");
}

/* Body up to {% end %}, whose %} is taken too. */
static bool parse_until(struct jj_parser *p, struct jj_stmt **out, const char *end)
{
    const char *const ends[] = { end, NULL };
    return parse_body(p, out, ends) && jj_next(p) && want_block_end(p);
}

/* One target, or targets separated by commas.  `attrs`: ns.name is allowed. */
static bool parse_target(struct jj_parser *p, struct jj_target **out, bool attrs, bool tuple);

static bool parse_target_item(struct jj_parser *p, struct jj_target **out, bool attrs)
{
    if (jj_is_op(&p->tok, '(') || jj_is_op(&p->tok, '[')) {
        int close = jj_is_op(&p->tok, '(') ? ')' : ']';
        if (!jj_next(p) || !parse_target(p, out, attrs, true)) return false;
        return jj_want_op(p, close, "')' or ']'");
    }
    if (p->tok.kind != JK_NAME) return jj_expected(p, "the name of a variable");
    static const char *const reserved[] = { "true", "false", "none", "True", "False", "None" };
    for (size_t i = 0; i < WEFT_COUNT(reserved); i++)
        if (weft_str_is(p->tok.text, reserved[i])) return jj_expected(p, "the name of a variable");
    struct jj_target *t = JJ_TAKE(p, struct jj_target);
    if (!t) return false;
    t->name = p->tok.text;
    t->symbol = jj_intern(p, t->name);
    if (t->symbol < 0 || !jj_next(p)) return false;
    if (attrs && jj_is_op(&p->tok, '.')) {
        if (!jj_next(p)) return false;
        if (p->tok.kind != JK_NAME) return jj_expected(p, "an attribute name");
        t->attr = p->tok.text;
        if (!jj_next(p)) return false;
    }
    *out = t;
    return true;
}

static bool parse_target(struct jj_parser *p, struct jj_target **out, bool attrs, bool tuple)
{
    struct jj_target *first, **tail;
    if (!parse_target_item(p, &first, attrs)) return false;
    *out = first;
    if (!tuple || !jj_is_op(&p->tok, ',')) return true;
    struct jj_target *t = JJ_TAKE(p, struct jj_target);
    if (!t) return false;
    t->is_tuple = true;
    t->parts = first;
    tail = &first->next;
    while (jj_is_op(&p->tok, ',')) {
        if (!jj_next(p)) return false;
        if (p->tok.kind != JK_NAME && !jj_is_op(&p->tok, '(') && !jj_is_op(&p->tok, '[')) break;
        if (jj_is_word(&p->tok, "in")) break;
        if (!parse_target_item(p, tail, attrs)) return false;
        tail = &(*tail)->next;
    }
    *out = t;
    return true;
}

static bool parse_if(struct jj_parser *p, struct jj_stmt *s)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL };
    struct jj_branch **tail = &s->branches;
    for (bool otherwise = false;;) {
        struct jj_branch *b = JJ_TAKE(p, struct jj_branch);
        if (!b || !jj_next(p)) return false;
        if (!otherwise && !(b->cond = jj_parse_tuple(p, false, false, NULL))) return false;
        p->conditional++;
        if (!want_block_end(p) || !parse_body(p, &b->body, otherwise ? ends + 2 : ends)) return false;
        p->conditional--;
        *tail = b;
        tail = &b->next;
        if (jj_is_word(&p->tok, "endif")) return jj_next(p) && want_block_end(p);
        otherwise = jj_is_word(&p->tok, "else");
    }
}

static bool parse_for(struct jj_parser *p, struct jj_stmt *s)
{
    static const char *const ends[] = { "else", "endfor", NULL };
    if (!jj_next(p) || !parse_target(p, &s->target, false, true) || !jj_want_word(p, "in")) return false;
    if (!(s->e = jj_parse_tuple(p, false, false, "recursive"))) return false;
    if (jj_is_word(&p->tok, "if") && (!jj_next(p) || !(s->cond = jj_parse_expr(p)))) return false;
    if (jj_is_word(&p->tok, "recursive")) {
        s->recursive = true;
        if (!jj_next(p)) return false;
    }
    p->loops++;
    if (!want_block_end(p) || !parse_body(p, &s->body, ends)) return false;
    p->loops--;
    if (jj_is_word(&p->tok, "else"))
        return jj_next(p) && want_block_end(p) && parse_until(p, &s->orelse, "endfor");
    return jj_next(p) && want_block_end(p);
}

static bool parse_set(struct jj_parser *p, struct jj_stmt *s)
{
    if (!jj_next(p) || !parse_target(p, &s->target, true, true)) return false;
    if (jj_is_op(&p->tok, '=')) {
        if (!jj_next(p) || !(s->e = jj_parse_tuple(p, true, false, NULL))) return false;
        return want_block_end(p);
    }
    s->kind = JT_SET_BLOCK;
    struct jj_suffix **tail = &s->filters;
    while (jj_is_op(&p->tok, '|'))
        if (!jj_next(p) || !jj_parse_filter(p, &tail)) return false;
    return want_block_end(p) && parse_until(p, &s->body, "endset");
}

/* (a, b=1): parameters; those behind one with a default need one. */
static bool parse_params(struct jj_parser *p, struct jj_macro *m)
{
    struct jj_param **tail = &m->params;
    if (!jj_want_op(p, '(', "'('")) return false;
    while (!jj_is_op(&p->tok, ')')) {
        if (m->n_params && !jj_want_op(p, ',', "',' or ')'")) return false;
        if (jj_is_op(&p->tok, ')')) break;
        struct jj_param *x = JJ_TAKE(p, struct jj_param);
        if (!x) return false;
        if (p->tok.kind != JK_NAME) return jj_expected(p, "the name of a parameter");
        x->name = p->tok.text;
        x->symbol = jj_intern(p, x->name);
        if (x->symbol < 0 || !jj_next(p)) return false;
        if (jj_is_op(&p->tok, '=')) {
            if (!jj_next(p) || !(x->def = jj_parse_expr(p))) return false;
        } else if (m->n_params && m->params->def)
            return jj_expected(p, "a default, as the parameter before it has one");
        if (++m->n_params > 255) return JJ_PARSE_FAIL(p, p->tok.line, "more than %d arguments", 255);
        *tail = x;
        tail = &x->next;
    }
    return jj_next(p);
}

static bool parse_macro(struct jj_parser *p, struct jj_stmt *s, bool call)
{
    struct jj_macro *m = JJ_TAKE(p, struct jj_macro), *outer = p->macro;
    int loops = p->loops;
    if (!m || !jj_next(p)) return false;
    s->macro = m;
    s->symbol = -1;
    if (!call) {
        if (p->tok.kind != JK_NAME) return jj_expected(p, "the name of the macro");
        m->name = p->tok.text;
        s->symbol = jj_intern(p, m->name);
        if (s->symbol < 0 || !jj_next(p)) return false;
    } else m->name = WEFT_STR("caller");
    if ((!call || jj_is_op(&p->tok, '(')) && !parse_params(p, m)) return false;
    if (call) {
        s->e = jj_parse_expr(p);
        if (!s->e) return false;
        const struct jj_suffix *last = s->e->kind == JX_POSTFIX ? s->e->suffixes : NULL;
        while (last && last->next) last = last->next;
        if (!last || last->kind != JS_CALL)
            return JJ_PARSE_FAIL(p, s->line,
                                 "found no call behind {%% call %%}, expected a macro with its arguments");
    }
    p->macro = m;
    p->loops = 0; /* break cannot leave a macro */
    if (!want_block_end(p) || !parse_until(p, &m->body, call ? "endcall" : "endmacro")) return false;
    p->macro = outer;
    p->loops = loops;
    return true;
}

static bool parse_with(struct jj_parser *p, struct jj_stmt *s)
{
    struct jj_target **tail = &s->target;
    struct jj_link **values = &s->links;
    if (!jj_next(p)) return false;
    while (p->tok.kind != JK_BLOCK_END) {
        if (s->target && !jj_want_op(p, ',', "',' or '%}'")) return false;
        if (!parse_target(p, tail, false, false) || !jj_want_op(p, '=', "'='")) return false;
        tail = &(*tail)->next;
        if (!jj_link_to(p, &values, 0, jj_parse_expr(p))) return false;
    }
    return want_block_end(p) && parse_until(p, &s->body, "endwith");
}

static bool parse_statement(struct jj_parser *p, struct jj_stmt **out)
{
    static const char *const known[] = { "if",         "for",  "set",   "macro",    "call", "filter",
                                         "generation", "with", "break", "continue", "raw" };
    static const char *const refused[] = { "include", "import",     "from", "extends",
                                           "block",   "autoescape", "do",   "trans" };
    char word[48];
    struct jj_stmt *s = stmt(p, JT_IF);
    *out = s;
    if (!s) return false;
    if (p->tok.kind != JK_NAME) return jj_expected(p, "a statement");
    weft_escape(word, sizeof word, p->tok.text);
    if (jj_is_word(&p->tok, "if")) return parse_if(p, s);
    s->kind = JT_FOR;
    if (jj_is_word(&p->tok, "for")) return parse_for(p, s);
    s->kind = JT_SET;
    if (jj_is_word(&p->tok, "set")) return parse_set(p, s);
    s->kind = JT_MACRO;
    if (jj_is_word(&p->tok, "macro")) return parse_macro(p, s, false);
    s->kind = JT_CALL;
    if (jj_is_word(&p->tok, "call")) return parse_macro(p, s, true);
    s->kind = JT_WITH;
    if (jj_is_word(&p->tok, "with")) return parse_with(p, s);
    s->kind = JT_FILTER;
    if (jj_is_word(&p->tok, "filter")) {
        struct jj_suffix **tail = &s->filters;
        if (!jj_next(p) || !jj_parse_filter(p, &tail)) return false;
        while (jj_is_op(&p->tok, '|'))
            if (!jj_next(p) || !jj_parse_filter(p, &tail)) return false;
        return want_block_end(p) && parse_until(p, &s->body, "endfilter");
    }
    s->kind = JT_GENERATION;
    if (jj_is_word(&p->tok, "generation")) {
        int loops = p->loops;
        p->has_generation = true;
        p->loops = 0; /* its body is a caller in the reference: no break out of it */
        if (!jj_next(p) || !want_block_end(p) || !parse_until(p, &s->body, "endgeneration")) return false;
        p->loops = loops;
        return true;
    }
    if (jj_is_word(&p->tok, "break") || jj_is_word(&p->tok, "continue")) {
        s->kind = jj_is_word(&p->tok, "break") ? JT_BREAK : JT_CONTINUE;
        if (!p->loops) return JJ_PARSE_FAIL(p, s->line, "'%s' outside a loop", word);
        return jj_next(p) && want_block_end(p);
    }
    for (size_t i = 0; i < WEFT_COUNT(refused); i++)
        if (jj_is_word(&p->tok, refused[i]))
            return JJ_PARSE_FAIL(p, s->line, "the statement '%s' is not available in chat templates", word);
    const char *near = weft_nearest(word, known, WEFT_COUNT(known));
    return near ? JJ_PARSE_FAIL(p, s->line, "unknown statement '%s'; the nearest one is '%s'", word, near)
                : JJ_PARSE_FAIL(p, s->line, "unknown statement '%s'", word);
}

/* Statements up to a block tag that begins with one of `ends` (the word is the current token then); NULL:
 * to the end of the template. */
static bool parse_body(struct jj_parser *p, struct jj_stmt **out, const char *const *ends)
{
    struct jj_stmt **tail = out;
    if (!jj_parse_enter(p)) return false;
    int line = p->tok.line;
    for (;;) {
        struct jj_stmt *s = NULL;
        switch (p->tok.kind) {
        case JK_EOF:
            if (ends) {
                const char *last = ends[0];
                for (int i = 0; ends[i]; i++) last = ends[i];
                return JJ_PARSE_FAIL(p, line, "the template ends before '%s'", last);
            }
            p->depth--;
            return true;
        case JK_DATA:
            if (p->tok.text.len) {
                s = stmt(p, JT_DATA);
                if (!s) return false;
                s->data = p->tok.text;
            }
            if (!jj_next(p)) return false;
            break;
        case JK_VAR_BEGIN:
            s = stmt(p, JT_OUTPUT);
            if (!s || !jj_next(p) || !(s->e = jj_parse_tuple(p, true, false, NULL))) return false;
            if (p->tok.kind != JK_VAR_END) return jj_expected(p, "'}}'");
            if (!jj_next(p)) return false;
            break;
        default: /* JK_BLOCK_BEGIN */
            if (!jj_next(p)) return false;
            for (int i = 0; ends && ends[i]; i++)
                if (jj_is_word(&p->tok, ends[i])) {
                    p->depth--;
                    return true;
                }
            if (p->tok.kind == JK_NAME && weft_str_starts(p->tok.text, WEFT_STR("end"))) {
                if (!ends) return jj_expected(p, "a statement that is not open");
                const char *last = ends[0];
                char shown[48];
                for (int i = 0; ends[i]; i++) last = ends[i];
                snprintf(shown, sizeof shown, "'%s'", last);
                return jj_expected(p, shown);
            }
            if (!parse_statement(p, &s)) return false;
        }
        if (s) {
            *tail = s;
            tail = &s->next;
        }
    }
}

enum weft_status weft_jinja_parse(struct weft_arena *a, const char *name, struct weft_str source,
                                  const struct weft_jinja **out, struct weft_err *err)
{
    struct jj_parser p = { .a = a, .err = err };
    struct weft_jinja *t = WEFT_NEW(a, struct weft_jinja);
    if (!t) return weft_fail_nomem(err, sizeof *t, "a chat template");
    t->name = weft_arena_strndup(a, name, strlen(name));
    if (!t->name) return weft_fail_nomem(err, strlen(name), "a chat template");
    enum weft_status st = jj_lexer_init(&p.lex, a, t->name, source, err);
    if (st) return st;
    if (!jj_next(&p) || !parse_body(&p, &t->body, NULL)) return p.st;
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
