/* tokens/jinja_parser.h - what the two halves of the parser share; private to them
 *
 * Functions return false or NULL after a failure; the message is in err, the status in st.
 */
#ifndef WEFT_TOKENS_JINJA_PARSER_H
#define WEFT_TOKENS_JINJA_PARSER_H

#include "tokens/jinja_value.h"

#pragma GCC visibility push(hidden)

struct jj_parser {
    struct weft_arena *a;
    struct jj_lexer lex;
    struct jj_token tok, ahead;
    bool has_ahead;
    struct jj_symbol *symbols;
    int n_symbols, cap_symbols;
    int depth, loops;
    int conditional; /* inside if or an inline if: an unknown filter may never be reached */
    bool has_generation;
    struct jj_macro *macro; /* innermost, to note its use of varargs, kwargs, caller */
    struct weft_err *err;
    enum weft_status st;
};

#define JJ_PARSE_FAIL(p, ln, fmt, ...)                                                                       \
    jj_parse_fail(p, weft_fail((p)->err, WEFT_EINPUT, "%s:%d: " fmt, (p)->lex.name, ln, ##__VA_ARGS__))
bool jj_parse_fail(struct jj_parser *p, enum weft_status st);
bool jj_expected(struct jj_parser *p, const char *what); /* "found X, expected WHAT" */
bool jj_parse_enter(struct jj_parser *p);                /* one level deeper; pair with p->depth-- */

void *jj_take(struct jj_parser *p, size_t n); /* zeroed memory of the template */
#define JJ_TAKE(p, T) ((T *)jj_take(p, sizeof(T)))
int jj_intern(struct jj_parser *p, struct weft_str name); /* the number of a name; -1 after a failure */

/* p->tok is the current token; look fills p->ahead with the one after it. */
bool jj_next(struct jj_parser *p);
bool jj_look(struct jj_parser *p);
bool jj_is_op(const struct jj_token *t, int op);
bool jj_is_word(const struct jj_token *t, const char *w);
bool jj_want_op(struct jj_parser *p, int op, const char *shown);
bool jj_want_word(struct jj_parser *p, const char *w);

struct jj_link *jj_link_to(struct jj_parser *p, struct jj_link ***tail, enum jj_op op, struct jj_expr *e);
struct jj_expr *jj_parse_expr(struct jj_parser *p);        /* a if b else c */
struct jj_expr *jj_parse_expr_nocond(struct jj_parser *p); /* or */
/* a, b, c: a tuple as soon as there is a comma.  `cond`: items may be inline ifs; `empty`: nothing at all
 * is (). `stop`: a word that ends it (recursive), or NULL. */
struct jj_expr *jj_parse_tuple(struct jj_parser *p, bool cond, bool empty, const char *stop);
/* |name  |name(args), the | already taken */
bool jj_parse_filter(struct jj_parser *p, struct jj_suffix ***tail);

#pragma GCC visibility pop

#endif
