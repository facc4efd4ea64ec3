/* tokens/jinja_ast.h - the tree of a template; private to the jinja files
 *
 * Chains that Jinja's grammar makes left-deep (a + b + c, a and b, x.y|z(1).w) are lists here, so that the
 * depth of the tree is the nesting a person sees, and stays under WEFT_JINJA_NESTING.
 */
#ifndef WEFT_TOKENS_JINJA_AST_H
#define WEFT_TOKENS_JINJA_AST_H

#include "tokens/jinja.h"

#pragma GCC visibility push(hidden)

/* Names are interned: two spellings are equal when their numbers are. */
struct jj_symbol {
    struct weft_str name;
    int id;
};

enum jj_op {
    JJ_ADD, JJ_SUB, JJ_MUL, JJ_DIV, JJ_FLOORDIV, JJ_MOD, JJ_POW,
    JJ_EQ, JJ_NE, JJ_LT, JJ_LE, JJ_GT, JJ_GE, JJ_IN, JJ_NOTIN
};

enum jj_expr_kind {
    JX_CONST, JX_NAME, JX_LIST, JX_TUPLE, JX_DICT,
    JX_ARITH,           /* first, then (op, operand) links, left to right */
    JX_COMPARE,         /* the same; true when every neighbouring pair is */
    JX_CONCAT, JX_AND, JX_OR,       /* links */
    JX_NOT, JX_NEG, JX_POS,         /* first */
    JX_COND,            /* first if links->e else links->next->e (may be absent) */
    JX_POSTFIX          /* first, then suffixes */
};

struct jj_expr;

struct jj_link {
    enum jj_op op;
    struct jj_expr *e;      /* JX_DICT: the key */
    struct jj_expr *value;  /* JX_DICT only */
    struct jj_link *next;
};

struct jj_kwarg {
    struct weft_str name;
    struct jj_expr *e;
    struct jj_kwarg *next;
};

struct jj_args {
    struct jj_link *pos;
    struct jj_kwarg *kw;
    struct jj_expr *star, *star_star;   /* *args, **kwargs; NULL: none */
    int n_pos;
};

enum jj_suffix_kind { JS_ATTR, JS_ITEM, JS_SLICE, JS_CALL, JS_FILTER, JS_TEST };

struct jj_suffix {
    enum jj_suffix_kind kind;
    bool negated;                       /* is not */
    int line;
    struct weft_str name;               /* attribute, filter or test */
    const struct jj_builtin *builtin;   /* filter or test; NULL: unknown, an error once it is reached */
    struct jj_expr *item;               /* index, or start */
    struct jj_expr *stop, *step;        /* slice; NULL: left out */
    struct jj_args args;
    struct jj_suffix *next;
};

struct jj_expr {
    enum jj_expr_kind kind;
    int line;
    int symbol;                         /* JX_NAME */
    struct weft_str name;
    struct weft_jinja_value value;      /* JX_CONST */
    struct jj_expr *first;
    struct jj_link *links;
    struct jj_suffix *suffixes;
};

enum jj_stmt_kind {
    JT_DATA, JT_OUTPUT, JT_IF, JT_FOR, JT_SET, JT_SET_BLOCK, JT_MACRO, JT_CALL, JT_FILTER, JT_GENERATION, JT_WITH,
    JT_BREAK, JT_CONTINUE
};

/* Where an assignment goes: a name, an attribute of a namespace, or a tuple of targets. */
struct jj_target {
    int symbol;
    struct weft_str name, attr;         /* attr.s: name.attr */
    struct jj_target *parts;            /* tuple */
    bool is_tuple;
    struct jj_target *next;
};

struct jj_param {
    int symbol;
    struct weft_str name;
    struct jj_expr *def;                /* NULL: none */
    struct jj_param *next;
};

struct jj_macro {
    struct weft_str name;
    struct jj_param *params;
    int n_params;
    bool uses_varargs, uses_kwargs, uses_caller;
    struct jj_stmt *body;
};

struct jj_branch {
    struct jj_expr *cond;               /* NULL: else */
    struct jj_stmt *body;
    struct jj_branch *next;
};

struct jj_stmt {
    enum jj_stmt_kind kind;
    int line;
    bool recursive;                     /* JT_FOR */
    struct weft_str data;               /* JT_DATA */
    struct jj_expr *e;                  /* output, iterable, value, call */
    struct jj_expr *cond;               /* for ... if */
    struct jj_branch *branches;
    struct jj_target *target;           /* for, set; with: one per value in `links` */
    struct jj_link *links;
    struct jj_macro *macro;             /* macro; call: the caller */
    int symbol;                         /* macro's name */
    struct jj_suffix *filters;          /* filter block, block set */
    struct jj_stmt *body, *orelse;
    struct jj_stmt *next;
};

struct weft_jinja {
    const char *name;
    struct weft_str source;
    struct jj_stmt *body;
    const struct jj_symbol *symbols;
    int n_symbols;
    bool has_generation;
};

/* ---- lexer ---- */

enum jj_token_kind {
    JK_DATA, JK_BLOCK_BEGIN, JK_BLOCK_END, JK_VAR_BEGIN, JK_VAR_END, JK_NAME, JK_STRING, JK_INT, JK_FLOAT, JK_OP, JK_EOF
};

enum jj_sign {          /* operators of more than one character; others are their character */
    JO_FLOORDIV = 256, JO_POW, JO_EQ, JO_NE, JO_LE, JO_GE
};

struct jj_token {
    enum jj_token_kind kind;
    int line, op;
    struct weft_str text;       /* data, name, decoded string, digits */
    int64_t integer;
    double number;
};

struct jj_lexer {
    struct weft_arena *a;
    const char *name;
    struct weft_str src;        /* newlines are \n, one at the end removed */
    size_t at;
    int line;
    int mode;                   /* 0: data, '%': block, '{': variable */
    bool line_starting;
    unsigned char pending;      /* tag kind whose data was just delivered */
    char brackets[WEFT_JINJA_NESTING];
    int n_brackets;
    bool raw;                   /* the data before {% raw %} is out, its text comes next */
};

enum weft_status jj_lexer_init(struct jj_lexer *l, struct weft_arena *a, const char *name, struct weft_str source,
                               struct weft_err *err);
enum weft_status jj_lexer_next(struct jj_lexer *l, struct jj_token *out, struct weft_err *err);
/* How a token reads in a message: "the end of the template", "'foo'". */
const char *jj_token_show(char *out, size_t bytes, const struct jj_token *t, enum weft_lang lang);

#pragma GCC visibility pop

#endif
