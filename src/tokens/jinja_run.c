/* The evaluator walks the tree.  Scopes are linked lists of bindings: a loop iteration, macro call, block
 * set, filter or generation block opens one, `if` does not; a macro keeps the scope it was defined in and
 * so sees later changes there.  Recursion is bounded twice: by the nesting of the source (64) and by the
 * calls in progress (64), and as a last wall by a count of evaluator frames. */
#include "tokens/jinja_value.h"

enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED };

static bool eval(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out);
static enum flow exec(struct weft_jinja_run *r, const struct jj_stmt *s);

static bool enter_call(struct weft_jinja_run *r)
{
    if (r->calls < WEFT_JINJA_NESTING) {
        r->calls++;
        return true;
    }
    return jj_fail_(r, weft_fail(r->err, WEFT_ELIMIT,
                                 "%s:%d: macros and recursive loops call each other more than %d deep",
                                 r->t->name, r->line, WEFT_JINJA_NESTING));
}

/* ---- scopes ---- */

static bool bind(struct weft_jinja_run *r, struct jj_scope *s, int symbol, struct weft_jinja_value v)
{
    for (struct jj_binding *b = s->first; b; b = b->next)
        if (b->symbol == symbol) {
            b->v = v;
            return true;
        }
    struct jj_binding *b = jj_alloc(r, sizeof *b);
    if (!b) return false;
    *b = (struct jj_binding){ symbol, v, s->first };
    s->first = b;
    return true;
}

/* The number of a name the evaluator itself binds (loop, caller ...); -1: the template never reads it. */
static int symbol_of(const struct weft_jinja_run *r, const char *name)
{
    for (int i = 0; i < r->t->n_symbols; i++)
        if (weft_str_is(r->t->symbols[i].name, name)) return i;
    return -1;
}

static bool bind_name(struct weft_jinja_run *r, struct jj_scope *s, const char *name,
                      struct weft_jinja_value v)
{
    int symbol = symbol_of(r, name);
    return symbol < 0 || bind(r, s, symbol, v);
}

static bool lookup(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    for (const struct jj_scope *s = r->scope; s; s = s->up)
        for (const struct jj_binding *b = s->first; b; b = b->next)
            if (b->symbol == e->symbol) {
                *out = b->v;
                return true;
            }
    const struct weft_jinja_value *global = jj_dict_get(r->globals, e->name);
    if (global) {
        *out = *global;
        return true;
    }
    const struct jj_builtin *b = jj_find_global(e->name);
    if (b) {
        struct jj_function *f = jj_alloc(r, sizeof *f);
        if (!f) return false;
        f->builtin = b;
        *out = (struct weft_jinja_value){ .kind = JJ_FUNCTION, .u.ref = f };
        return true;
    }
    return jj_undefined(r, e->name, (struct weft_str){ 0 }, out);
}

static bool assign(struct weft_jinja_run *r, const struct jj_target *t, struct weft_jinja_value v)
{
    if (t->is_tuple) {
        const struct weft_jinja_value *items;
        size_t n, want = 0, i = 0;
        for (const struct jj_target *p = t->parts; p; p = p->next) want++;
        if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
        if (!jj_items(r, v, &items, &n)) return false;
        if (n != want) return jj_fail(r, "%zu names to set, but %zu values", want, n);
        for (const struct jj_target *p = t->parts; p; p = p->next)
            if (!assign(r, p, items[i++])) return false;
        return true;
    }
    if (!t->attr.s) return bind(r, r->scope, t->symbol, v);
    struct jj_expr name = { .kind = JX_NAME, .symbol = t->symbol, .name = t->name };
    struct weft_jinja_value ns, key;
    char shown[64];
    if (!lookup(r, &name, &ns)) return false;
    if (ns.kind != JJ_NAMESPACE)
        return jj_fail(r, "'%s' is of type %s; only attributes of a namespace can be set",
                       weft_escape(shown, sizeof shown, t->name), jj_type(ns));
    if (t->attr.s[0] == '_')
        return jj_fail(r, "'%s': names that begin with '_' are not allowed here",
                       weft_escape(shown, sizeof shown, t->attr));
    struct jj_dict *d = (struct jj_dict *)(uintptr_t)ns.u.ref; /* namespaces are the one thing that changes */
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 4;
        struct weft_jinja_value *keys = jj_alloc(r, cap * sizeof *keys),
                                *values = jj_alloc(r, cap * sizeof *values);
        if (!keys || !values) return false;
        if (d->n) {
            memcpy(keys, d->keys, d->n * sizeof *keys);
            memcpy(values, d->values, d->n * sizeof *values);
        }
        d->keys = keys;
        d->values = values;
        d->cap = cap;
    }
    return jj_string(r, t->attr, 0, &key) && jj_dict_put(r, d, key, v);
}

/* ---- calls ---- */

static bool eval_args(struct weft_jinja_run *r, const struct jj_args *a, struct jj_call *out)
{
    const struct weft_jinja_value *star = NULL;
    struct weft_jinja_value extra = { 0 }, extra_kw = { 0 };
    size_t n_star = 0, n_kw = 0, n_pos = (size_t)a->n_pos;
    *out = (struct jj_call){ 0 };
    for (const struct jj_kwarg *k = a->kw; k; k = k->next) n_kw++;
    if (!n_pos && !n_kw && !a->star && !a->star_star) return true;
    if (a->star && (!eval(r, a->star, &extra) || !jj_items(r, extra, &star, &n_star))) return false;
    if (a->star_star) {
        if (!eval(r, a->star_star, &extra_kw)) return false;
        if (extra_kw.kind != JJ_DICT) return jj_fail(r, "'**' needs a dict, not %s", jj_type(extra_kw));
    }
    size_t n_more = extra_kw.kind == JJ_DICT ? jj_dict_of(extra_kw)->n : 0;
    out->pos = jj_alloc(r, (n_pos + n_star) * sizeof *out->pos);
    out->kw = jj_alloc(r, (n_kw + n_more) * sizeof *out->kw);
    out->kw_names = jj_alloc(r, (n_kw + n_more) * sizeof *out->kw_names);
    if (!out->pos || !out->kw || !out->kw_names) return false;
    for (const struct jj_link *l = a->pos; l; l = l->next)
        if (!eval(r, l->e, &out->pos[out->n_pos++])) return false;
    for (size_t i = 0; i < n_star; i++) out->pos[out->n_pos++] = star[i];
    for (const struct jj_kwarg *k = a->kw; k; k = k->next) {
        out->kw_names[out->n_kw] = k->name;
        if (!eval(r, k->e, &out->kw[out->n_kw++])) return false;
    }
    for (size_t i = 0; i < n_more; i++) {
        struct weft_jinja_value key = jj_dict_of(extra_kw)->keys[i];
        if (key.kind != JJ_STRING) return jj_fail(r, "'**' needs names as keys, not %s", jj_type(key));
        out->kw_names[out->n_kw] = jj_text(key);
        out->kw[out->n_kw++] = jj_dict_of(extra_kw)->values[i];
    }
    return true;
}

static bool call_macro(struct weft_jinja_run *r, const struct jj_closure *c, const struct jj_call *args,
                       struct weft_jinja_value *out)
{
    const struct jj_macro *m = c->macro;
    struct jj_scope *outer = r->scope, *scope;
    struct jj_sink sink = { 0 }, *before = r->out;
    char name[64], param[64];
    int line = r->line, generation = r->generation;
    size_t at = 0, n_extra = 0;
    bool *used;
    weft_escape(name, sizeof name, m->name);
    if (!enter_call(r) || !(scope = jj_push_scope(r, c->scope)) || !(used = jj_alloc(r, args->n_kw + 1)))
        return false;
    r->scope = scope;
    for (const struct jj_param *p = m->params; p; p = p->next) {
        struct weft_jinja_value v;
        size_t k = 0;
        while (k < args->n_kw && !weft_str_eq(args->kw_names[k], p->name)) k++;
        if (at < args->n_pos) {
            if (k < args->n_kw)
                return jj_fail(r, "%s(): '%s' is given twice", name,
                               weft_escape(param, sizeof param, p->name));
            v = args->pos[at++];
        } else if (k < args->n_kw) {
            v = args->kw[k];
            used[k] = true;
        } else if (p->def) {
            if (!eval(r, p->def, &v)) return false;
        } else if (!jj_undefined(r, p->name, (struct weft_str){ 0 }, &v)) return false;
        if (!bind(r, scope, p->symbol, v)) return false;
    }
    /* What no parameter took goes to varargs, kwargs and caller, if the body reads them. */
    struct weft_jinja_value varargs, kwargs, caller = { 0 }, *rest;
    size_t n_rest = args->n_pos - at;
    for (size_t k = 0; k < args->n_kw; k++) {
        if (used[k]) continue;
        if (m->uses_caller && weft_str_is(args->kw_names[k], "caller")) caller = args->kw[k], used[k] = true;
        else if (m->uses_kwargs) n_extra++;
        else
            return jj_fail(r, "%s() has no parameter '%s'", name,
                           weft_escape(param, sizeof param, args->kw_names[k]));
    }
    if (n_rest && !m->uses_varargs)
        return jj_fail(r, "%s() takes at most %d arguments, not %zu", name, m->n_params, args->n_pos);
    if (m->uses_varargs) {
        if (!jj_list(r, n_rest, JJ_TUPLE, &varargs, &rest)) return false;
        for (size_t i = 0; i < n_rest; i++) rest[i] = args->pos[at + i];
        if (!bind_name(r, scope, "varargs", varargs)) return false;
    }
    if (m->uses_kwargs) {
        if (!jj_dict(r, n_extra, &kwargs)) return false;
        for (size_t k = 0; k < args->n_kw; k++) {
            struct weft_jinja_value key;
            if (used[k]) continue;
            if (!jj_string(r, args->kw_names[k], 0, &key)
                || !jj_dict_put(r, (struct jj_dict *)(uintptr_t)kwargs.u.ref, key, args->kw[k]))
                return false;
        }
        if (!bind_name(r, scope, "kwargs", kwargs)) return false;
    }
    if (m->uses_caller) {
        if (!caller.kind && !jj_undefined(r, WEFT_STR("caller"), (struct weft_str){ 0 }, &caller))
            return false;
        if (!bind_name(r, scope, "caller", caller)) return false;
    }
    r->out = &sink;
    r->generation = 0;
    if (exec(r, m->body) == FLOW_FAILED) return false;
    r->out = before;
    r->generation = generation;
    r->scope = outer;
    r->line = line;
    r->calls--;
    return jj_sink_value(r, &sink, out);
}

static enum flow run_loop(struct weft_jinja_run *r, const struct jj_stmt *s, struct weft_jinja_value iterable,
                          int depth0);

bool jj_call(struct weft_jinja_run *r, struct weft_jinja_value f, const struct jj_call *args,
             struct weft_jinja_value *out)
{
    switch (f.kind) {
    case JJ_MACRO: return call_macro(r, f.u.ref, args, out);
    case JJ_FUNCTION: {
        const struct jj_function *fn = f.u.ref;
        return jj_apply(r, fn->builtin, fn->self.kind || fn->self.u.ref ? "method" : "function", fn->self,
                        args, out);
    }
    case JJ_JOINER: {
        struct jj_joiner *j = (struct jj_joiner *)(uintptr_t)f.u.ref;
        if (j->used) {
            *out = j->sep;
            return true;
        }
        j->used = true;
        return jj_string(r, WEFT_STR(""), 0, out);
    }
    case JJ_LOOP: {
        const struct jj_loop *l = f.u.ref;
        struct jj_sink sink = { 0 }, *before = r->out;
        struct jj_scope *scope = r->scope;
        int generation = r->generation;
        if (!l->stmt) return jj_fail(r, "only a loop with 'recursive' can be called");
        if (args->n_pos != 1 || args->n_kw)
            return jj_fail(r, "%s() takes %d argument(s), not %zu", "loop", 1, args->n_pos + args->n_kw);
        if (!enter_call(r)) return false;
        r->out = &sink;
        r->generation = 0;
        r->scope = l->scope;
        if (run_loop(r, l->stmt, args->pos[0], l->depth0 + 1) == FLOW_FAILED) return false;
        r->out = before;
        r->generation = generation;
        r->scope = scope;
        r->calls--;
        return jj_sink_value(r, &sink, out);
    }
    case JJ_UNDEFINED: return jj_fail_undefined(r, f);
    default: return jj_fail(r, "%s cannot be called", jj_type(f));
    }
}

/* Sorts arguments into the parameters of a table row. */
bool jj_apply(struct weft_jinja_run *r, const struct jj_builtin *b, const char *what,
              struct weft_jinja_value self, const struct jj_call *args, struct weft_jinja_value *out)
{
    struct jj_in in = { .self = self, .call = args };
    struct weft_str names[JJ_MAX_PARAMS], rest = weft_str_c(b->params);
    int n = 0;
    bool open = false;
    char shown[64];
    if (!jj_spend(r, 4) || !jj_enter(r)) return false;
    what = jj_word(r, what);
    while (rest.len) {
        size_t comma = weft_min_size(weft_str_find(rest, WEFT_STR(","), 0), rest.len);
        if (rest.s[0] == '*') open = true;
        else names[n++] = weft_str_sub(rest, 0, comma);
        rest = weft_str_skip(rest, comma + 1);
    }
    for (size_t i = 0; i < args->n_pos && (int)i < n; i++) {
        in.arg[i] = args->pos[i];
        in.set[i] = true;
    }
    if (args->n_pos > (size_t)n && !open)
        return jj_fail(r, "%s '%s' takes at most %d arguments, not %zu", what, b->name, n, args->n_pos);
    for (size_t k = 0; k < args->n_kw; k++) {
        int i = 0;
        while (i < n && !weft_str_eq(names[i], args->kw_names[k])) i++;
        if (i == n && open) continue;
        if (i == n)
            return jj_fail(r, "%s '%s' has no parameter '%s'", what, b->name,
                           weft_escape(shown, sizeof shown, args->kw_names[k]));
        if (in.set[i])
            return jj_fail(r, "%s(): '%s' is given twice", b->name,
                           weft_escape(shown, sizeof shown, names[i]));
        in.arg[i] = args->kw[k];
        in.set[i] = true;
    }
    for (int i = 0; i < b->n_required; i++)
        if (!in.set[i])
            return jj_fail(r, "%s '%s' needs its argument '%s'", what, b->name,
                           weft_escape(shown, sizeof shown, names[i]));
    bool ok = b->fn(r, &in, out);
    r->frames--;
    return ok;
}

/* ---- expressions ---- */

static bool eval_test(struct weft_jinja_run *r, const struct jj_suffix *s, struct weft_jinja_value v,
                      struct weft_jinja_value *out)
{
    struct jj_call args;
    char name[64];
    if (!s->builtin) return jj_fail(r, "unknown test '%s'", weft_escape(name, sizeof name, s->name));
    if (!eval_args(r, &s->args, &args) || !jj_apply(r, s->builtin, "test", v, &args, out)) return false;
    if (s->negated) *out = jj_bool(!jj_truth(*out));
    return true;
}

static bool eval_filter(struct weft_jinja_run *r, const struct jj_suffix *s, struct weft_jinja_value v,
                        struct weft_jinja_value *out)
{
    struct jj_call args;
    char name[64];
    if (!s->builtin) {
        const char *near = jj_nearest(s->name, false);
        weft_escape(name, sizeof name, s->name);
        return near ? jj_fail(r, "unknown filter '%s'; the nearest one is '%s'", name, near)
                    : jj_fail(r, "unknown filter '%s'", name);
    }
    return eval_args(r, &s->args, &args) && jj_apply(r, s->builtin, "filter", v, &args, out);
}

static bool eval_slice(struct weft_jinja_run *r, const struct jj_suffix *s, struct weft_jinja_value v,
                       struct weft_jinja_value *out)
{
    struct weft_jinja_value part[3] = { jj_none(), jj_none(), jj_none() };
    if ((s->item && !eval(r, s->item, &part[0])) || (s->stop && !eval(r, s->stop, &part[1]))
        || (s->step && !eval(r, s->step, &part[2])))
        return false;
    return jj_slice(r, v, part, out);
}

static bool eval_suffixes(struct weft_jinja_run *r, const struct jj_suffix *s, struct weft_jinja_value v,
                          struct weft_jinja_value *out)
{
    for (; s; s = s->next) {
        struct weft_jinja_value next, key;
        struct jj_call args;
        bool ok = false;
        if (!jj_spend(r, 1)) return false;
        r->line = s->line;
        switch (s->kind) {
        case JS_ATTR: ok = jj_getattr(r, v, s->name, &next); break;
        case JS_ITEM: ok = eval(r, s->item, &key) && jj_getitem(r, v, key, &next); break;
        case JS_SLICE: ok = eval_slice(r, s, v, &next); break;
        case JS_CALL: ok = eval_args(r, &s->args, &args) && jj_call(r, v, &args, &next); break;
        case JS_FILTER: ok = eval_filter(r, s, v, &next); break;
        case JS_TEST: ok = eval_test(r, s, v, &next); break;
        }
        if (!ok) return false;
        v = next;
    }
    *out = v;
    return true;
}

static bool eval_list(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    struct weft_jinja_value *items;
    size_t n = 0, i = 0;
    for (const struct jj_link *l = e->links; l; l = l->next) n++;
    if (!jj_list(r, n, e->kind == JX_LIST ? JJ_PLAIN : JJ_TUPLE, out, &items)) return false;
    for (const struct jj_link *l = e->links; l; l = l->next)
        if (!eval(r, l->e, &items[i++])) return false;
    return true;
}

static bool eval_dict(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    size_t n = 0;
    for (const struct jj_link *l = e->links; l; l = l->next) n++;
    if (!jj_dict(r, n, out)) return false;
    for (const struct jj_link *l = e->links; l; l = l->next) {
        struct weft_jinja_value key, v;
        if (!eval(r, l->e, &key) || !eval(r, l->value, &v)
            || !jj_dict_put(r, (struct jj_dict *)(uintptr_t)out->u.ref, key, v))
            return false;
    }
    return true;
}

static bool eval_compare(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    struct weft_jinja_value left, right;
    bool ok = true;
    if (!eval(r, e->first, &left)) return false;
    for (const struct jj_link *l = e->links; l && ok; l = l->next) {
        if (!eval(r, l->e, &right)) return false;
        r->line = e->line;
        if (!jj_compare(r, l->op, left, right, &ok)) return false;
        left = right;
    }
    *out = jj_bool(ok);
    return true;
}

static bool eval_concat(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    struct weft_jinja_value v, s, t;
    if (!eval(r, e->first, &v) || !jj_to_string(r, v, &s)) return false;
    for (const struct jj_link *l = e->links; l; l = l->next) {
        if (!eval(r, l->e, &v) || !jj_to_string(r, v, &t) || !jj_concat(r, jj_str(s), jj_str(t), &s))
            return false;
    }
    *out = s;
    return true;
}

static bool eval_sign(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    struct weft_jinja_value v;
    int64_t i;
    if (!eval(r, e->first, &v)) return false;
    if (v.kind == JJ_UNDEFINED) return jj_fail_undefined(r, v);
    if (v.kind == JJ_FLOAT) *out = jj_float(e->kind == JX_NEG ? -v.u.number : v.u.number);
    else if (jj_is_index(v, &i))
        return jj_arith(r, e->kind == JX_NEG ? JJ_SUB : JJ_ADD, jj_int(0), jj_int(i), out);
    else return jj_fail(r, "a sign does not work on %s", jj_type(v));
    return true;
}

static bool eval_node(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    struct weft_jinja_value v;
    switch (e->kind) {
    case JX_CONST: *out = e->value; return true;
    case JX_NAME: return lookup(r, e, out);
    case JX_LIST:
    case JX_TUPLE: return eval_list(r, e, out);
    case JX_DICT: return eval_dict(r, e, out);
    case JX_ARITH:
        if (!eval(r, e->first, &v)) return false;
        for (const struct jj_link *l = e->links; l; l = l->next) {
            struct weft_jinja_value right;
            if (!eval(r, l->e, &right)) return false;
            r->line = e->line;
            if (!jj_arith(r, l->op, v, right, &v)) return false;
        }
        *out = v;
        return true;
    case JX_COMPARE: return eval_compare(r, e, out);
    case JX_CONCAT: return eval_concat(r, e, out);
    case JX_AND:
    case JX_OR:
        if (!eval(r, e->first, out)) return false;
        for (const struct jj_link *l = e->links; l && jj_truth(*out) == (e->kind == JX_AND); l = l->next)
            if (!eval(r, l->e, out)) return false;
        return true;
    case JX_NOT:
        if (!eval(r, e->first, &v)) return false;
        *out = jj_bool(!jj_truth(v));
        return true;
    case JX_NEG:
    case JX_POS: return eval_sign(r, e, out);
    case JX_COND:
        if (!eval(r, e->first, &v)) return false;
        if (jj_truth(v)) return eval(r, e->links->e, out);
        if (e->links->next) return eval(r, e->links->next->e, out);
        return jj_undefined(r, WEFT_STR("the value of an inline if without else"), (struct weft_str){ 0 },
                            out);
    case JX_POSTFIX: return eval(r, e->first, &v) && eval_suffixes(r, e->suffixes, v, out);
    }
    return false;
}

static bool eval(struct weft_jinja_run *r, const struct jj_expr *e, struct weft_jinja_value *out)
{
    if (!jj_spend(r, 1) || !jj_enter(r)) return false;
    r->line = e->line;
    bool ok = eval_node(r, e, out);
    r->frames--;
    return ok;
}

/* ---- statements ---- */

/* Runs a body into a text of its own, in a scope of its own. */
static bool capture(struct weft_jinja_run *r, const struct jj_stmt *body, struct weft_jinja_value *out)
{
    struct jj_sink sink = { 0 }, *before = r->out;
    struct jj_scope *outer = r->scope;
    int generation = r->generation;
    if (!(r->scope = jj_push_scope(r, outer))) return false;
    r->out = &sink;
    r->generation = 0;
    if (exec(r, body) == FLOW_FAILED) return false;
    r->out = before;
    r->scope = outer;
    r->generation = generation;
    return jj_sink_value(r, &sink, out);
}

static bool output(struct weft_jinja_run *r, struct weft_jinja_value v)
{
    if (!r->generation) return jj_put_value(r, r->out, v);
    /* Everything inside a generation block is marked, whatever it is. */
    struct weft_jinja_value s;
    if (!jj_to_string(r, v, &s)) return false;
    const struct jj_string *x = jj_str(s);
    if (!x->n_spans) return jj_put(r, r->out, (struct weft_str){ x->s, x->len }, x->tag, true);
    for (uint32_t i = 0, at = 0; i < x->n_spans; at = (uint32_t)x->spans[i++].end)
        if (!jj_put(r, r->out, (struct weft_str){ x->s + at, x->spans[i].end - at }, x->spans[i].tag, true))
            return false;
    return true;
}

static enum flow one_iteration(struct weft_jinja_run *r, const struct jj_stmt *s,
                               struct weft_jinja_value loop, struct weft_jinja_value item,
                               struct jj_scope *outer)
{
    if (!jj_spend(r, 8) || !(r->scope = jj_push_scope(r, outer)) || !assign(r, s->target, item))
        return FLOW_FAILED;
    if (!bind_name(r, r->scope, "loop", loop)) return FLOW_FAILED;
    return exec(r, s->body);
}

/* Items that pass the loop's own `if`, which sees the target but no loop. */
static bool filter_items(struct weft_jinja_run *r, const struct jj_stmt *s,
                         const struct weft_jinja_value **items, size_t *n)
{
    struct weft_jinja_value *kept = jj_alloc(r, *n * sizeof *kept), v;
    struct jj_scope *outer = r->scope;
    size_t k = 0;
    if (!kept) return false;
    for (size_t i = 0; i < *n; i++) {
        if (!(r->scope = jj_push_scope(r, outer)) || !assign(r, s->target, (*items)[i])
            || !eval(r, s->cond, &v))
            return false;
        if (jj_truth(v)) kept[k++] = (*items)[i];
    }
    r->scope = outer;
    *items = kept;
    *n = k;
    return true;
}

static enum flow run_loop(struct weft_jinja_run *r, const struct jj_stmt *s, struct weft_jinja_value iterable,
                          int depth0)
{
    struct jj_scope *outer = r->scope;
    struct jj_loop *loop = jj_alloc(r, sizeof *loop);
    const struct weft_jinja_value *items;
    size_t n;
    if (!loop || !jj_items(r, iterable, &items, &n)) return FLOW_FAILED;
    if (s->cond && !filter_items(r, s, &items, &n)) return FLOW_FAILED;
    *loop = (struct jj_loop){
        .items = items, .n = n, .depth0 = depth0, .stmt = s->recursive ? s : NULL, .scope = outer
    };
    struct weft_jinja_value v = { .kind = JJ_LOOP, .u.ref = loop };
    for (size_t i = 0; i < n; i++) {
        loop->index0 = i;
        enum flow f = one_iteration(r, s, v, items[i], outer);
        if (f == FLOW_FAILED) return f;
        if (f == FLOW_BREAK) break;
    }
    r->scope = outer;
    if (n || !s->orelse) return FLOW_NEXT;
    if (!(r->scope = jj_push_scope(r, outer))) return FLOW_FAILED;
    enum flow f = exec(r, s->orelse);
    r->scope = outer;
    return f;
}

static bool make_macro(struct weft_jinja_run *r, const struct jj_macro *m, struct weft_jinja_value *out)
{
    struct jj_closure *c = jj_alloc(r, sizeof *c);
    if (!c) return false;
    *c = (struct jj_closure){ m, r->scope };
    *out = (struct weft_jinja_value){ .kind = JJ_MACRO, .u.ref = c };
    return true;
}

/* {% call f(x) %} body {% endcall %}: f(x, caller=body). */
static bool run_call(struct weft_jinja_run *r, const struct jj_stmt *s)
{
    const struct jj_suffix *last = s->e->suffixes;
    struct jj_suffix *tail_end = NULL;
    struct weft_jinja_value f, v, caller;
    struct jj_call args;
    struct weft_str *names;
    struct weft_jinja_value *kw;
    while (last->next) last = last->next;
    /* The callee: everything before the last call. */
    if (last == s->e->suffixes) {
        if (!eval(r, s->e->first, &f)) return false;
    } else {
        struct jj_suffix *chain = NULL;
        for (const struct jj_suffix *x = s->e->suffixes; x != last; x = x->next) {
            struct jj_suffix *y = jj_alloc(r, sizeof *y);
            if (!y) return false;
            *y = *x;
            y->next = NULL;
            if (tail_end) tail_end->next = y;
            else chain = y;
            tail_end = y;
        }
        if (!eval(r, s->e->first, &v) || !eval_suffixes(r, chain, v, &f)) return false;
    }
    if (!eval_args(r, &last->args, &args) || !make_macro(r, s->macro, &caller)) return false;
    names = jj_alloc(r, (args.n_kw + 1) * sizeof *names);
    kw = jj_alloc(r, (args.n_kw + 1) * sizeof *kw);
    if (!names || !kw) return false;
    for (size_t i = 0; i < args.n_kw; i++) names[i] = args.kw_names[i], kw[i] = args.kw[i];
    names[args.n_kw] = WEFT_STR("caller");
    kw[args.n_kw++] = caller;
    args.kw_names = names;
    args.kw = kw;
    return jj_call(r, f, &args, &v) && output(r, v);
}

static bool run_filters(struct weft_jinja_run *r, const struct jj_stmt *s, struct weft_jinja_value *out)
{
    struct weft_jinja_value v;
    return capture(r, s->body, &v) && eval_suffixes(r, s->filters, v, out);
}

static bool run_with(struct weft_jinja_run *r, const struct jj_stmt *s, enum flow *flow)
{
    struct jj_scope *outer = r->scope, *inner = jj_push_scope(r, outer);
    struct jj_link *l = s->links;
    if (!inner) return false;
    for (const struct jj_target *t = s->target; t; t = t->next, l = l->next) {
        struct weft_jinja_value v;
        r->scope = outer; /* values do not see each other */
        if (!eval(r, l->e, &v)) return false;
        r->scope = inner;
        if (!assign(r, t, v)) return false;
    }
    r->scope = inner;
    *flow = exec(r, s->body);
    r->scope = outer;
    return true;
}

static bool run_if(struct weft_jinja_run *r, const struct jj_stmt *s, enum flow *flow)
{
    for (const struct jj_branch *b = s->branches; b; b = b->next) {
        struct weft_jinja_value v;
        if (b->cond && !eval(r, b->cond, &v)) return false;
        if (b->cond && !jj_truth(v)) continue;
        *flow = exec(r, b->body);
        break;
    }
    return true;
}

static bool run_generation(struct weft_jinja_run *r, const struct jj_stmt *s)
{
    struct jj_scope *outer = r->scope;
    if (!(r->scope = jj_push_scope(r, outer))) return false;
    r->generation++;
    bool ok = exec(r, s->body) != FLOW_FAILED;
    r->generation--;
    r->scope = outer;
    return ok;
}

/* Ends a piece of the output, where pieces are asked for; what is captured (macros, block sets) is none by itself. */
static bool end_piece(struct weft_jinja_run *r)
{
    size_t n = r->n_pieces, end = r->out->len;
    if (r->out != r->whole || end == (n ? r->pieces[n - 1] : 0)) return true;
    if (n == r->cap_pieces) {
        size_t cap = weft_max_size(16, 2 * n);
        size_t *pieces = jj_alloc(r, cap * sizeof *pieces);
        if (!pieces) return false;
        if (n) memcpy(pieces, r->pieces, n * sizeof *pieces);
        r->pieces = pieces;
        r->cap_pieces = cap;
    }
    r->pieces[r->n_pieces++] = end;
    return true;
}

static bool run_one(struct weft_jinja_run *r, const struct jj_stmt *s, enum flow *flow)
{
    struct weft_jinja_value v;
    switch (s->kind) {
    case JT_DATA: return jj_put(r, r->out, s->data, 0, r->generation != 0) && end_piece(r);
    case JT_OUTPUT: return eval(r, s->e, &v) && output(r, v) && end_piece(r);
    case JT_IF: return run_if(r, s, flow);
    case JT_FOR:
        if (!eval(r, s->e, &v)) return false;
        *flow = run_loop(r, s, v, 0);
        return true;
    case JT_SET: return eval(r, s->e, &v) && assign(r, s->target, v);
    case JT_SET_BLOCK: return run_filters(r, s, &v) && assign(r, s->target, v);
    case JT_MACRO: return make_macro(r, s->macro, &v) && bind(r, r->scope, s->symbol, v);
    case JT_CALL: return run_call(r, s);
    case JT_FILTER:
        if (!run_filters(r, s, &v)) return false;
        if (v.kind != JJ_STRING && v.kind != JJ_UNDEFINED)
            return jj_fail(r, "the filters of a block give %s, not str", jj_type(v));
        return output(r, v);
    case JT_GENERATION: return run_generation(r, s);
    case JT_WITH: return run_with(r, s, flow);
    case JT_BREAK: *flow = FLOW_BREAK; return true;
    case JT_CONTINUE: *flow = FLOW_CONTINUE; return true;
    }
    return false;
}

static enum flow exec(struct weft_jinja_run *r, const struct jj_stmt *s)
{
    enum flow flow = FLOW_NEXT;
    if (!jj_enter(r)) return FLOW_FAILED;
    for (; s && flow == FLOW_NEXT; s = s->next) {
        r->line = s->line;
        if (!jj_spend(r, 2) || !run_one(r, s, &flow)) flow = FLOW_FAILED;
    }
    r->frames--;
    return flow;
}

bool jj_run_template(struct weft_jinja_run *r)
{
    r->scope = jj_push_scope(r, NULL);
    return r->scope && exec(r, r->t->body) != FLOW_FAILED;
}
