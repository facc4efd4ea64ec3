/* tokens/jinja_value.h - values of a running template; private to the jinja files
 *
 * A value is two words; what does not fit hangs behind a pointer in the run's memory and never changes
 * (namespaces and generators excepted), so values are copied and shared freely.
 * Functions return false after a failure; the message is in the run's err.
 */
#ifndef WEFT_TOKENS_JINJA_VALUE_H
#define WEFT_TOKENS_JINJA_VALUE_H

#include "tokens/jinja_ast.h"

#pragma GCC visibility push(hidden)

enum jj_kind {
    JJ_UNDEFINED,
    JJ_NONE,
    JJ_BOOL,
    JJ_INT,
    JJ_FLOAT,
    JJ_STRING,
    JJ_LIST,
    JJ_DICT,
    JJ_NAMESPACE,
    JJ_LOOP,
    JJ_MACRO,
    JJ_FUNCTION,
    JJ_CYCLER,
    JJ_JOINER
};

/* Why a value is undefined, for the message when it is used. */
struct jj_undefined {
    struct weft_str name;  /* variable, attribute or key */
    struct weft_str owner; /* type of the object that lacks it; s == NULL: a variable */
};

struct jj_string {
    const char *s;
    size_t len;
    int32_t tag;      /* highest of the spans' */
    bool markup;      /* came from escape or safe: what is added to it gets escaped */
    uint32_t n_spans; /* 0: all bytes have `tag` and are outside generation blocks */
    const struct weft_jinja_span *spans;
};

/* How a sequence came about decides how it prints, and whether it has a length. */
enum jj_flavor { JJ_PLAIN, JJ_TUPLE, JJ_RANGE, JJ_GENERATOR, JJ_KEYS, JJ_VALUES, JJ_ITEMS, JJ_GROUP };

struct jj_list {
    struct weft_jinja_value *items;
    size_t n;
    enum jj_flavor flavor;
    int64_t start, stop, step; /* range */
    size_t *taken;             /* generator: items already given out */
};

struct jj_dict {
    struct weft_jinja_value *keys, *values;
    size_t n, cap;
};

struct jj_binding {
    int symbol;
    struct weft_jinja_value v;
    struct jj_binding *next;
};

struct jj_scope {
    struct jj_scope *up;
    struct jj_binding *first;
};

struct jj_loop {
    const struct weft_jinja_value *items;
    size_t n, index0;
    int depth0;
    const struct jj_stmt *stmt; /* recursive loops call themselves; NULL: not recursive */
    struct jj_scope *scope;     /* round the loop */
    const struct weft_jinja_value *last_changed;
    size_t n_last_changed;
};

struct jj_closure {
    const struct jj_macro *macro;
    struct jj_scope *scope;
};

/* A method or global, with the value it is bound to. */
struct jj_function {
    const struct jj_builtin *builtin;
    struct weft_jinja_value self;
};

struct jj_cycler {
    struct weft_jinja_value *items;
    size_t n, at;
};

struct jj_joiner {
    struct weft_jinja_value sep;
    bool used;
};

/* A text being written. */
struct jj_sink {
    char *s;
    size_t len, cap;
    struct weft_jinja_span *spans;
    size_t n_spans, cap_spans;
};

struct weft_jinja_run {
    struct weft_arena *a;
    const struct weft_jinja *t;
    struct weft_err *err;
    enum weft_status st;
    int line;                  /* of what is being evaluated */
    uint32_t units, units_max; /* 16 to a step */
    int frames, calls;         /* C frames of the evaluator; macro and recursive-loop calls */
    size_t used_bytes;         /* of WEFT_JINJA_MEMORY_BYTES */
    char *chunk;               /* small pieces are cut from here */
    size_t chunk_left;
    struct jj_sink *out;
    int generation; /* depth of generation blocks */
    struct jj_scope *scope;
    struct jj_dict *globals;
    char *cat; /* the last concatenation: appended in place when it grows again */
    size_t cat_len, cat_cap;
    struct weft_jinja_span *cat_spans;
    size_t cat_n, cat_spans_cap;
    struct weft_str date;
    bool by_pieces;
    const struct jj_sink *whole; /* the output itself, where its pieces are asked for */
    size_t *pieces, n_pieces, cap_pieces;
};

struct jj_call { /* arguments of a call, evaluated */
    struct weft_jinja_value *pos;
    size_t n_pos;
    struct weft_str *kw_names;
    struct weft_jinja_value *kw;
    size_t n_kw;
    bool subscriptable; /* of '%': the one value is a list or dict and may stay unused */
};

/* Filters, tests, methods and global functions: one row each.  `params` names the parameters in order,
 * separated by commas; arg[i] of one not given has kind JJ_UNDEFINED and set[i] false.  "*" at the end:
 * extra positional and named arguments stay in `call`. */
enum { JJ_MAX_PARAMS = 5 };
struct jj_in {
    struct weft_jinja_value self;
    struct weft_jinja_value arg[JJ_MAX_PARAMS];
    bool set[JJ_MAX_PARAMS];
    const struct jj_call *call;
};
struct jj_builtin {
    const char *name, *params;
    int n_required;
    bool (*fn)(struct weft_jinja_run *r, const struct jj_in *in, struct weft_jinja_value *out);
};

const struct jj_builtin *jj_find_in(const struct jj_builtin *table, size_t n, struct weft_str name);
const struct jj_builtin *jj_filters(size_t *n);
const struct jj_builtin *jj_find_filter(struct weft_str name);
const struct jj_builtin *jj_find_test(struct weft_str name);
const struct jj_builtin *jj_find_method(enum jj_kind kind, struct weft_str name);
const struct jj_builtin *jj_find_global(struct weft_str name);
/* The nearest filter or test by spelling, or NULL. */
const char *jj_nearest(struct weft_str name, bool test);

/* ---- memory, limits, errors ---- */

void *jj_alloc(struct weft_jinja_run *r, size_t n); /* zeroed, 16-aligned; NULL after a failure */
bool jj_spend(struct weft_jinja_run *r, size_t units);
bool jj_enter(struct weft_jinja_run *r); /* one more C frame; pair with r->frames-- */
static inline bool jj_spend_bytes(struct weft_jinja_run *r, size_t n) { return jj_spend(r, 1 + n / 256); }
bool jj_nomem(struct weft_jinja_run *r, size_t n);
enum { JJ_VALUE_DEPTH = 160 };              /* JSON input may be 128 deep */
bool jj_too_deep(struct weft_jinja_run *r); /* always false */
/* Writes "name:line: " and the message, returns false. */
#define jj_fail(r, fmt, ...)                                                                                 \
    jj_fail_(r, weft_fail((r)->err, WEFT_EINPUT, "%s:%d: " fmt, (r)->t->name, (r)->line, ##__VA_ARGS__))
bool jj_fail_(struct weft_jinja_run *r, enum weft_status st);
/* A word of a message in the caller's language. */
const char *jj_word(const struct weft_jinja_run *r, const char *english) __attribute__((format_arg(2)));
/* Using an undefined value where that is not allowed. */
bool jj_fail_undefined(struct weft_jinja_run *r, struct weft_jinja_value v);

struct jj_scope *jj_push_scope(struct weft_jinja_run *r, struct jj_scope *up); /* NULL after a failure */
/* Runs the whole template into r->out. */
bool jj_run_template(struct weft_jinja_run *r);

/* ---- making values ---- */

static inline struct weft_jinja_value jj_bool(bool b)
{
    return (struct weft_jinja_value){ .kind = JJ_BOOL, .u.boolean = b };
}
static inline struct weft_jinja_value jj_int(int64_t i)
{
    return (struct weft_jinja_value){ .kind = JJ_INT, .u.integer = i };
}
static inline struct weft_jinja_value jj_float(double d)
{
    return (struct weft_jinja_value){ .kind = JJ_FLOAT, .u.number = d };
}
static inline struct weft_jinja_value jj_none(void) { return (struct weft_jinja_value){ .kind = JJ_NONE }; }
static inline const struct jj_string *jj_str(struct weft_jinja_value v) { return v.u.ref; }
static inline const struct jj_list *jj_list_of(struct weft_jinja_value v) { return v.u.ref; }
static inline const struct jj_dict *jj_dict_of(struct weft_jinja_value v) { return v.u.ref; }
static inline struct weft_str jj_text(struct weft_jinja_value v)
{
    return (struct weft_str){ jj_str(v)->s, jj_str(v)->len };
}
bool jj_undefined(struct weft_jinja_run *r, struct weft_str name, struct weft_str owner,
                  struct weft_jinja_value *out);
bool jj_string(struct weft_jinja_run *r, struct weft_str s, int32_t tag, struct weft_jinja_value *out);
bool jj_list(struct weft_jinja_run *r, size_t n, enum jj_flavor flavor, struct weft_jinja_value *out,
             struct weft_jinja_value **items);
bool jj_dict(struct weft_jinja_run *r, size_t cap, struct weft_jinja_value *out);
/* Sets or replaces a member; the dict must have room. */
bool jj_dict_put(struct weft_jinja_run *r, struct jj_dict *d, struct weft_jinja_value key,
                 struct weft_jinja_value v);
bool jj_dict_find(struct weft_jinja_run *r, const struct jj_dict *d, struct weft_jinja_value key,
                  size_t *at); /* SIZE_MAX */
const struct weft_jinja_value *jj_dict_get(const struct jj_dict *d, struct weft_str key);

/* ---- sinks: strings that keep their tags ---- */

bool jj_put(struct weft_jinja_run *r, struct jj_sink *k, struct weft_str s, int32_t tag, bool generation);
bool jj_put_string(struct weft_jinja_run *r, struct jj_sink *k, const struct jj_string *s, size_t from,
                   size_t to);
bool jj_sink_room(struct weft_jinja_run *r, struct jj_sink *k, size_t n);
/* str(v) */
bool jj_put_value(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v);
bool jj_sink_value(struct weft_jinja_run *r, const struct jj_sink *k, struct weft_jinja_value *out);
bool jj_substr(struct weft_jinja_run *r, const struct jj_string *s, size_t from, size_t to,
               struct weft_jinja_value *out);
bool jj_concat(struct weft_jinja_run *r, const struct jj_string *a, const struct jj_string *b,
               struct weft_jinja_value *out);
bool jj_markup(struct weft_jinja_run *r, struct weft_jinja_value s,
               struct weft_jinja_value *out); /* marks it as safe */
bool jj_escape_html(struct weft_jinja_run *r, const struct jj_string *s, struct weft_jinja_value *out);

/* ---- what Python would do ---- */

const char *jj_type(struct weft_jinja_value v); /* "str", "dict" ... */
bool jj_truth(struct weft_jinja_value v);
bool jj_to_string(struct weft_jinja_run *r, struct weft_jinja_value v,
                  struct weft_jinja_value *out); /* str() */
bool jj_text_arg(struct weft_jinja_run *r, struct weft_jinja_value v,
                 const struct jj_string **out); /* the same */
bool jj_repr(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v, int depth);
struct jj_json_style {
    bool ascii, sort;
    struct weft_str indent, item_sep, key_sep; /* indent.s == NULL: one line */
};
bool jj_json(struct weft_jinja_run *r, struct jj_sink *k, struct weft_jinja_value v,
             const struct jj_json_style *style, int depth);
int32_t jj_tag(struct weft_jinja_value v, int depth); /* highest tag inside */
bool jj_equal(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b, int depth,
              bool *out);
bool jj_less(struct weft_jinja_run *r, struct weft_jinja_value a, struct weft_jinja_value b, int depth,
             bool *out);
bool jj_contains(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_jinja_value seq, bool *out);
bool jj_compare(struct weft_jinja_run *r, enum jj_op op, struct weft_jinja_value a, struct weft_jinja_value b,
                bool *out);
bool jj_arith(struct weft_jinja_run *r, enum jj_op op, struct weft_jinja_value a, struct weft_jinja_value b,
              struct weft_jinja_value *out);
/* The items of anything iterable; strings give their characters, dicts their keys, generators what is left. */
bool jj_items(struct weft_jinja_run *r, struct weft_jinja_value v, const struct weft_jinja_value **items,
              size_t *n);
bool jj_length(struct weft_jinja_run *r, struct weft_jinja_value v, int64_t *n);
bool jj_is_number(struct weft_jinja_value v, double *d); /* bool, int or float */
bool jj_is_index(struct weft_jinja_value v, int64_t *i); /* bool or int */
bool jj_percent(struct weft_jinja_run *r, const struct jj_string *fmt, const struct jj_call *args,
                struct weft_jinja_value *out);
bool jj_format(struct weft_jinja_run *r, const struct jj_string *fmt, const struct jj_call *args,
               struct weft_jinja_value *out);
bool jj_is_space(uint32_t cp); /* str.isspace */
void jj_strip(const struct jj_string *s, const struct jj_string *chars, bool left, bool right, size_t *from,
              size_t *to);

/* Letters in another case, byte by byte with their tags. */
enum jj_case { JJ_UPPER, JJ_LOWER, JJ_CAPITALIZE, JJ_TITLE_WORDS, JJ_TITLE, JJ_SWAP };
bool jj_change_case(struct weft_jinja_run *r, const struct jj_string *s, enum jj_case how,
                    struct weft_jinja_value *out);
/* At most `count` times; negative: always. */
bool jj_replace(struct weft_jinja_run *r, const struct jj_string *s, const struct jj_string *old,
                const struct jj_string *with, int64_t count, struct weft_jinja_value *out);
/* The line of s that begins at `at`: its end, and where the next begins (str.splitlines). */
void jj_line(const struct jj_string *s, size_t at, size_t *end, size_t *next);

/* x.name, x[key], x[a:b:c] */
bool jj_getattr(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_str name,
                struct weft_jinja_value *out);
bool jj_getitem(struct weft_jinja_run *r, struct weft_jinja_value v, struct weft_jinja_value key,
                struct weft_jinja_value *out);
bool jj_slice(struct weft_jinja_run *r, struct weft_jinja_value v, const struct weft_jinja_value part[3],
              struct weft_jinja_value *out);

/* Calls a macro, function or method. */
bool jj_call(struct weft_jinja_run *r, struct weft_jinja_value f, const struct jj_call *args,
             struct weft_jinja_value *out);
/* Runs a row of the tables on evaluated arguments. */
bool jj_apply(struct weft_jinja_run *r, const struct jj_builtin *b, const char *what,
              struct weft_jinja_value self, const struct jj_call *args, struct weft_jinja_value *out);

#pragma GCC visibility pop

#endif
