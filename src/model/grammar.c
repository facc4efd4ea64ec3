/* The schema becomes a list of steps, run from the first to the last; only arrays jump back.  A step looks at one byte
 * at a time and nothing needs a stack but the counts of open arrays, which have a place each: states are small, flat
 * and comparable.  Steps that a byte can end without being part of them (numbers) hand it on to the next. */
#include "model/grammar.h"

#include "base/lang.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_STEPS = 4096,
    MAX_CLOSING = 1 << 16,          /* bytes of the shortest text */
    NUMBER_BYTES = 32
};
static const int64_t max_integer = 9007199254740991;    /* 2^53 - 1: what every JSON reader keeps exactly */

enum kind { MARK, TEXT, STRING, INTEGER, NUMBER, CHOICE, FIRST, NEXT };

/* In what of a step the text stands; 0 is its begin. */
enum string_mode { OUTSIDE, INSIDE, TAIL1, TAIL2, TAIL3, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4, ESCAPE, HEX, LOW_SLASH,
                   LOW_U, LOW_HEX };
enum integer_mode { NO_DIGIT, SIGN, DIGITS, NEGATIVE };
enum number_mode { N_BEGIN, N_SIGN, N_ZERO, N_INT, N_POINT, N_FRACTION, N_E, N_E_SIGN, N_E_DIGIT, N_E_DIGITS };

struct step {
    enum kind kind;
    unsigned char byte;             /* MARK */
    uint32_t array;                 /* FIRST, NEXT: which count */
    uint32_t jump;                  /* FIRST: behind the array; NEXT: its item */
    uint32_t least, most;           /* STRING: characters; FIRST: items */
    int64_t min, max;               /* INTEGER */
    const struct weft_str *words;   /* TEXT: one; CHOICE: sorted */
    uint32_t n_words;
};

struct weft_grammar {
    struct step *steps;
    uint32_t n;
};

_Static_assert(sizeof(struct weft_grammar_state) == 8 + 4 * 6 + 8 * WEFT_GRAMMAR_ARRAYS + 4 + 4 + 4 * 0,
               "states are compared by memcmp: no padding");

/* ---- running ---- */

void weft_grammar_start(const struct weft_grammar *g, struct weft_grammar_state *s)
{
    memset(s, 0, sizeof *s);
    (void)g;
}

bool weft_grammar_complete(const struct weft_grammar *g, const struct weft_grammar_state *s) { return s->op == g->n; }

static void go_to(const struct weft_grammar *g, struct weft_grammar_state *s, uint32_t op)
{
    s->op = op;
    s->value = 0;
    s->pos = s->low = s->high = s->left = s->lack = s->unit = 0;
    s->mode = s->need = s->spaces = 0;
    if (op == g->n) return;
    const struct step *p = &g->steps[op];
    if (p->kind == FIRST) {
        s->more[p->array] = p->most;
        s->due[p->array] = p->least;
    } else if (p->kind == STRING) {
        s->left = p->most;
        s->lack = p->least;
    } else if (p->kind == CHOICE) s->high = p->n_words;
}

static void leave_array(const struct weft_grammar *g, struct weft_grammar_state *s, uint32_t array, uint32_t op)
{
    s->more[array] = s->due[array] = 0;
    go_to(g, s, op);
}

static bool is_space(unsigned char c) { return c == ' ' || c == '\n' || c == '\t'; }

/* White space before the step begins: a line end and what indents the next line.  Weak models, given more freedom,
 * write line ends until they have no room left. */
static bool take_space(struct weft_grammar_state *s, unsigned char c)
{
    if (!is_space(c) || s->spaces == WEFT_GRAMMAR_SPACES || (c == '\n' && s->spaces)) return false;
    s->spaces++;
    return true;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of a character behind the first. */
static bool take_tail(struct weft_grammar_state *s, unsigned char c)
{
    unsigned char from = s->mode == AFTER_E0 ? 0xA0 : s->mode == AFTER_F0 ? 0x90 : 0x80,
                  to = s->mode == AFTER_ED ? 0x9F : s->mode == AFTER_F4 ? 0x8F : 0xBF;
    if (c < from || c > to) return false;
    if (s->mode == TAIL1) s->mode = INSIDE;
    else if (s->mode == TAIL2 || s->mode == AFTER_E0 || s->mode == AFTER_ED) s->mode = TAIL1;
    else s->mode = TAIL2;
    return true;
}

static bool take_hex(struct weft_grammar_state *s, unsigned char c)
{
    int digit = hex_digit(c);
    if (digit < 0) return false;
    uint32_t unit = s->unit << 4 | (uint32_t)digit;
    if (s->mode == HEX && s->need == 3 && unit >= 0xDC && unit <= 0xDF) return false;   /* the second half alone */
    if (s->mode == LOW_HEX && s->need == 4 && unit != 0xD) return false;
    if (s->mode == LOW_HEX && s->need == 3 && unit < 0xDC) return false;
    s->unit = unit;
    if (--s->need) return true;
    s->mode = s->mode == HEX && unit >= 0xD800 && unit <= 0xDBFF ? LOW_SLASH : INSIDE;
    s->unit = 0;
    return true;
}

/* A character begins. */
static bool take_character(struct weft_grammar_state *s, unsigned char c)
{
    if (!s->left || c < 0x20) return false;
    if (c == '\\') s->mode = ESCAPE;
    else if (c >= 0x80) {
        if (c < 0xC2 || c > 0xF4) return false;
        s->mode = c < 0xE0    ? TAIL1
                  : c == 0xE0 ? AFTER_E0
                  : c == 0xED ? AFTER_ED
                  : c < 0xF0  ? TAIL2
                  : c == 0xF0 ? AFTER_F0
                  : c == 0xF4 ? AFTER_F4
                              : TAIL3;
    }
    if (s->left != UINT32_MAX) s->left--;
    s->lack -= s->lack > 0;
    return true;
}

static bool step_string(const struct weft_grammar *g, struct weft_grammar_state *s, unsigned char c)
{
    switch ((enum string_mode)s->mode) {
    case OUTSIDE:
        if (c != '"') return take_space(s, c);
        s->mode = INSIDE;
        s->spaces = 0;
        return true;
    case INSIDE:
        if (c != '"') return take_character(s, c);
        if (s->lack) return false;
        go_to(g, s, s->op + 1);
        return true;
    case ESCAPE:
        if (c == 'u') {
            s->mode = HEX;
            s->need = 4;
            return true;
        }
        s->mode = INSIDE;
        return c && strchr("\"\\/bfnrt", c) != NULL;
    case HEX:
    case LOW_HEX: return take_hex(s, c);
    case LOW_SLASH:
        s->mode = LOW_U;
        return c == '\\';
    case LOW_U:
        s->mode = LOW_HEX;
        s->need = 4;
        return c == 'u';
    default: return take_tail(s, c);
    }
}

/* Do digits, of which `value` are the first, lead to a number from min to max?  Both are 0 or more. */
static bool leads_to(int64_t value, int64_t min, int64_t max)
{
    int64_t low = value, high = value;
    for (;;) {
        if (low <= max && high >= min) return true;
        if (low > max || !value) return false;
        low *= 10;
        high = high * 10 + 9;
    }
}

static bool integer_fits(const struct step *p, int mode, int64_t value, bool whole)
{
    bool negative = mode == NEGATIVE;
    int64_t min = negative ? (p->max < 0 ? -p->max : 1) : p->min > 0 ? p->min : 0, max = negative ? -p->min : p->max;
    if (max < min) return false;
    return whole ? value >= min && value <= max : leads_to(value, min, max);
}

/* Digits so far are an integer in range. */
static bool integer_may_end(const struct step *p, const struct weft_grammar_state *s)
{
    return s->mode >= DIGITS && integer_fits(p, s->mode, s->value, true);
}

static bool step_integer(const struct step *p, struct weft_grammar_state *s, unsigned char c)
{
    int mode = s->mode == SIGN || s->mode == NEGATIVE ? NEGATIVE : DIGITS;
    if (s->mode == NO_DIGIT && take_space(s, c)) return true;
    if (s->mode == NO_DIGIT && c == '-' && p->min < 0) {
        s->mode = SIGN;
        s->spaces = 0;
        return true;
    }
    if (c < '0' || c > '9' || (s->mode >= DIGITS && !s->value)) return false;   /* no leading zeros */
    int64_t value = s->value * 10 + (c - '0');
    if (!integer_fits(p, mode, value, false)) return false;
    s->mode = (uint8_t)mode;
    s->value = value;
    s->spaces = 0;
    return true;
}

static bool number_may_end(const struct weft_grammar_state *s)
{
    return s->mode == N_ZERO || s->mode == N_INT || s->mode == N_FRACTION || s->mode >= N_E_DIGIT;
}

/* At most 32 bytes and two digits of an exponent: no number is beyond a double. */
static bool step_number(struct weft_grammar_state *s, unsigned char c)
{
    bool digit = c >= '0' && c <= '9';
    enum number_mode to = N_BEGIN;
    if (s->mode == N_BEGIN && take_space(s, c)) return true;
    switch ((enum number_mode)s->mode) {
    case N_BEGIN:
    case N_SIGN:
        if (digit) to = c == '0' ? N_ZERO : N_INT;
        else if (c == '-' && s->mode == N_BEGIN) to = N_SIGN;
        break;
    case N_INT:
        if (digit) to = N_INT;
        /* fall through */
    case N_ZERO:
        if (c == '.') to = N_POINT;
        if ((c | 32) == 'e') to = N_E;
        break;
    case N_POINT:
    case N_FRACTION:
        if (digit) to = N_FRACTION;
        else if ((c | 32) == 'e' && s->mode == N_FRACTION) to = N_E;
        break;
    case N_E:
        if (c == '+' || c == '-') to = N_E_SIGN;
        /* fall through */
    case N_E_SIGN:
        if (digit) to = N_E_DIGIT;
        break;
    case N_E_DIGIT:
        if (digit) to = N_E_DIGITS;
        break;
    case N_E_DIGITS: break;
    }
    if (to == N_BEGIN) return false;
    /* Room for what it may then still need: a digit behind the point, or an exponent. */
    const struct weft_grammar_state then = { .mode = (uint8_t)to };
    if (s->pos + 1 > NUMBER_BYTES - (number_may_end(&then) ? 0U : 2U)) return false;
    s->mode = to;
    s->pos++;
    s->spaces = 0;
    return true;
}

static bool step_text(const struct weft_grammar *g, struct weft_grammar_state *s, struct weft_str text, unsigned char c)
{
    if (!s->pos && take_space(s, c)) return true;
    if ((unsigned char)text.s[s->pos] != c) return false;
    s->spaces = 0;
    if (++s->pos == text.len) go_to(g, s, s->op + 1);
    return true;
}

static bool choice_may_end(const struct step *p, const struct weft_grammar_state *s)
{
    return s->pos > 0 && p->words[s->low].len == s->pos;
}

/* Of the words, which are sorted, those that go on with c. */
static bool step_choice(const struct weft_grammar *g, struct weft_grammar_state *s, unsigned char c)
{
    const struct step *p = &g->steps[s->op];
    uint32_t low = s->low, high = s->high;
    if (!s->pos && take_space(s, c)) return true;
    while (low < high && (p->words[low].len <= s->pos || (unsigned char)p->words[low].s[s->pos] < c)) low++;
    while (high > low && p->words[high - 1].len > s->pos && (unsigned char)p->words[high - 1].s[s->pos] > c) high--;
    if (low == high || (unsigned char)p->words[low].s[s->pos] != c) return false;
    s->low = low;
    s->high = high;
    s->spaces = 0;
    s->pos++;
    if (high - low == 1 && p->words[low].len == s->pos) go_to(g, s, s->op + 1);
    return true;
}

static void enter_item(const struct weft_grammar *g, struct weft_grammar_state *s, uint32_t array, uint32_t op)
{
    if (s->more[array] != UINT32_MAX) s->more[array]--;
    s->due[array] -= s->due[array] > 0;
    go_to(g, s, op);
}

/* What a byte does in the step that the text stands in; *again: the step ended before it. */
static bool step_once(const struct weft_grammar *g, struct weft_grammar_state *s, unsigned char c, bool *again)
{
    const struct step *p = &g->steps[s->op];
    bool may_end = false;
    *again = false;
    switch (p->kind) {
    case MARK:
        if (c != p->byte) return take_space(s, c);
        go_to(g, s, s->op + 1);
        return true;
    case TEXT: return step_text(g, s, p->words[0], c);
    case STRING: return step_string(g, s, c);
    case INTEGER:
        if (step_integer(p, s, c)) return true;
        may_end = integer_may_end(p, s);
        break;
    case NUMBER:
        if (step_number(s, c)) return true;
        may_end = number_may_end(s);
        break;
    case CHOICE:
        if (step_choice(g, s, c)) return true;
        may_end = choice_may_end(p, s);
        break;
    case FIRST:
        if (c == ']' && !s->due[p->array]) leave_array(g, s, p->array, p->jump);
        else if (is_space(c)) return take_space(s, c);
        else if (s->more[p->array]) {
            enter_item(g, s, p->array, s->op + 1);
            *again = true;
        } else return false;
        return true;
    case NEXT:
        if (c == ']' && !s->due[p->array]) leave_array(g, s, p->array, s->op + 1);
        else if (c == ',' && s->more[p->array]) enter_item(g, s, p->array, p->jump);
        else return take_space(s, c);
        return true;
    }
    if (may_end) go_to(g, s, s->op + 1);
    *again = may_end;
    return may_end;
}

bool weft_grammar_step(const struct weft_grammar *g, struct weft_grammar_state *s, unsigned char byte)
{
    struct weft_grammar_state next = *s;
    for (bool again = true; again;)
        if (next.op == g->n || !step_once(g, &next, byte, &again)) return false;
    *s = next;
    return true;
}

void weft_grammar_key(const struct weft_grammar_state *s, struct weft_grammar_state *key)
{
    *key = *s;
    key->left = key->left < WEFT_GRAMMAR_REACH ? key->left : WEFT_GRAMMAR_REACH;
    key->lack = key->lack < WEFT_GRAMMAR_REACH ? key->lack : WEFT_GRAMMAR_REACH;
    for (size_t i = 0; i < WEFT_GRAMMAR_ARRAYS; i++) {
        key->more[i] = key->more[i] < WEFT_GRAMMAR_REACH ? key->more[i] : WEFT_GRAMMAR_REACH;
        key->due[i] = key->due[i] < WEFT_GRAMMAR_REACH ? key->due[i] : WEFT_GRAMMAR_REACH;
    }
}

/* ---- closing ---- */

static unsigned char closing_of_string(const struct weft_grammar_state *s)
{
    static const char zeros[] = "0020";
    switch ((enum string_mode)s->mode) {
    case OUTSIDE: return '"';
    case INSIDE: return s->lack ? '-' : '"';
    case AFTER_E0: return 0xA0;
    case AFTER_F0: return 0x90;
    case ESCAPE: return 'n';
    case HEX: return (unsigned char)(s->unit ? '0' : zeros[4 - s->need]);    /* a space, or what was begun */
    case LOW_SLASH: return '\\';
    case LOW_U: return 'u';
    case LOW_HEX: return s->need == 4 ? 'D' : s->need == 3 ? 'C' : '0';
    default: return 0x80;
    }
}

/* The next byte of the shortest completion. */
static unsigned char closing_byte(const struct weft_grammar *g, struct weft_grammar_state s)
{
    for (;;) {
        const struct step *p = &g->steps[s.op];
        switch (p->kind) {
        case MARK: return p->byte;
        case TEXT: return (unsigned char)p->words[0].s[s.pos];
        case STRING: return closing_of_string(&s);
        case INTEGER:
            if (!integer_may_end(p, &s)) {
                for (int c = '0'; c <= '9'; c++) {
                    struct weft_grammar_state probe = s;
                    if (step_integer(p, &probe, (unsigned char)c)) return (unsigned char)c;
                }
                return '-';
            }
            break;
        case NUMBER:
            if (!number_may_end(&s)) return '0';
            break;
        case CHOICE:
            if (!choice_may_end(p, &s)) return (unsigned char)p->words[s.low].s[s.pos];
            break;
        case FIRST:
            if (!s.due[p->array]) return ']';
            enter_item(g, &s, p->array, s.op + 1);
            continue;
        case NEXT: return s.due[p->array] ? ',' : ']';
        }
        go_to(g, &s, s.op + 1);         /* a number that ends with the next mark */
    }
}

void weft_grammar_close(const struct weft_grammar *g, const struct weft_grammar_state *s, struct weft_buf *out)
{
    struct weft_grammar_state at = *s;
    size_t from = out->len;
    while (at.op < g->n && out->len - from <= MAX_CLOSING && !out->failed) {
        unsigned char c = closing_byte(g, at);
        bool fits = weft_grammar_step(g, &at, c);
        assert(fits);
        if (!fits) return;
        weft_buf_char(out, (char)c);
    }
}

/* ---- reading a schema ---- */

struct reader {
    struct weft_arena *a;
    const char *name;
    struct weft_buf steps;          /* struct step each */
    struct weft_buf path;           /* where in the schema, for messages */
    uint32_t n, arrays;             /* arrays: open here */
    struct weft_err *err;
};

static const char *const passed_over[] = { "title", "description", "default", "examples", "example", "$schema", "$id",
                                           "$comment", "deprecated", "readOnly", "writeOnly" };

static enum weft_status cannot(struct reader *r, const char *fmt, ...) WEFT_PRINTF(2, 3);
static enum weft_status cannot(struct reader *r, const char *fmt, ...)
{
    char shown[160], what[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, weft_tr(r->err->lang, fmt), args);
    va_end(args);
    weft_escape(shown, sizeof shown, weft_buf_view(&r->path));
    return weft_fail(r->err, WEFT_EARG, "%s: %s: %s", r->name, r->path.len ? shown : "$", what);
}

static enum weft_status add(struct reader *r, struct step s)
{
    if (r->n == MAX_STEPS) return cannot(r, "the schema is too large");
    weft_buf_add(&r->steps, &s, sizeof s);
    r->n++;
    return weft_buf_check(&r->steps, "a schema", r->err);
}
static enum weft_status add_mark(struct reader *r, char byte)
{
    return add(r, (struct step){ .kind = MARK, .byte = (unsigned char)byte });
}

static int by_bytes(const void *x, const void *y)
{
    const struct weft_str *a = x, *b = y;
    int c = memcmp(a->s, b->s, weft_min_size(a->len, b->len));
    return c ? c : (a->len > b->len) - (a->len < b->len);
}

/* A scalar as a JSON writer writes it; s == NULL: failed. */
static struct weft_str written(struct reader *r, const struct weft_json_value *v, struct weft_str key)
{
    struct weft_buf text = { 0 };
    struct weft_json_out o;
    weft_json_out_init(&o, &text);
    if (v) weft_json_out_value(&o, v);
    else weft_json_out_str(&o, key);
    struct weft_str s = { NULL, 0 };
    if (!weft_buf_check(&text, "a schema", r->err)) {
        s = weft_str_dup(r->a, weft_buf_view(&text));
        if (!s.s) (void)weft_fail_nomem(r->err, text.len, "a schema");
    }
    weft_buf_clear(&text);
    return s;
}

static enum weft_status add_key(struct reader *r, struct weft_str key)
{
    struct weft_str *word = WEFT_NEW(r->a, struct weft_str);
    if (!word) return weft_fail_nomem(r->err, sizeof *word, "a schema");
    *word = written(r, NULL, key);
    return word->s ? add(r, (struct step){ .kind = TEXT, .words = word, .n_words = 1 }) : r->err->status;
}

static enum weft_status add_choice(struct reader *r, const struct weft_json_value *values, size_t n)
{
    struct weft_str *words = n && n <= MAX_STEPS ? WEFT_NEWS(r->a, struct weft_str, n) : NULL;
    size_t kept = 0;
    if (!n || n > MAX_STEPS) return cannot(r, "\"enum\" must be a list of 1 to 4096 values");
    if (!words) return weft_fail_nomem(r->err, n * sizeof *words, "a schema");
    for (size_t i = 0; i < n; i++) {
        if (values[i].kind == WEFT_JSON_OBJECT || values[i].kind == WEFT_JSON_ARRAY)
            return cannot(r, "objects and arrays in \"enum\" or \"const\" cannot be kept");
        words[i] = written(r, &values[i], WEFT_STR(""));
        if (!words[i].s) return r->err->status;
    }
    qsort(words, n, sizeof *words, by_bytes);
    for (size_t i = 0; i < n; i++)
        if (!kept || !weft_str_eq(words[kept - 1], words[i])) words[kept++] = words[i];
    return add(r, (struct step){ .kind = CHOICE, .words = words, .n_words = (uint32_t)kept });
}

static enum weft_status add_constants(struct reader *r, const char *const *texts, size_t n)
{
    struct weft_str *words = WEFT_NEWS(r->a, struct weft_str, n);
    if (!words) return weft_fail_nomem(r->err, n * sizeof *words, "a schema");
    for (size_t i = 0; i < n; i++) words[i] = weft_str_c(texts[i]);
    return add(r, (struct step){ .kind = CHOICE, .words = words, .n_words = (uint32_t)n });
}

/* A whole number of the schema. */
static enum weft_status read_count(struct reader *r, const struct weft_json_value *v, const char *key, int64_t min,
                                   int64_t max, int64_t missing, int64_t *out)
{
    const struct weft_json_value *m = weft_json_get(v, key);
    *out = missing;
    if (!m) return WEFT_OK;
    if (!m->is_int || m->integer < min || m->integer > max)
        return cannot(r, "\"%s\" must be a whole number from %" PRId64 " to %" PRId64, key, min, max);
    *out = m->integer;
    return WEFT_OK;
}

/* least <= most, as counts; absent most is no bound. */
static enum weft_status read_range(struct reader *r, const struct weft_json_value *v, const char *least_key,
                                   const char *most_key, uint32_t *least, uint32_t *most)
{
    int64_t low, high;
    enum weft_status st = read_count(r, v, least_key, 0, MAX_CLOSING, 0, &low);
    if (!st) st = read_count(r, v, most_key, 0, UINT32_MAX - 1, UINT32_MAX, &high);
    if (!st && low > high) st = cannot(r, "the least is more than the most");
    if (st) return st;
    *least = (uint32_t)low;
    *most = (uint32_t)high;
    return WEFT_OK;
}

static enum weft_status refuse_others(struct reader *r, const struct weft_json_value *v, const char *const *known)
{
    char shown[64];
    for (size_t i = 0; i < v->n; i++) {
        bool ok = weft_str_is(v->keys[i], "type");
        for (size_t k = 0; k < WEFT_COUNT(passed_over) && !ok; k++) ok = weft_str_is(v->keys[i], passed_over[k]);
        for (size_t k = 0; known[k] && !ok; k++) ok = weft_str_is(v->keys[i], known[k]);
        if (ok) continue;
        return cannot(r, "\"%s\" cannot be kept by what is written token by token; leave it out",
                      weft_escape(shown, sizeof shown, v->keys[i]));
    }
    return WEFT_OK;
}

static enum weft_status read_value(struct reader *r, const struct weft_json_value *v);

static enum weft_status read_member(struct reader *r, struct weft_str key, const struct weft_json_value *v)
{
    size_t path = r->path.len;
    if (path) weft_buf_char(&r->path, '.');
    weft_buf_str(&r->path, key);
    enum weft_status st = weft_buf_check(&r->path, "a schema", r->err);
    if (!st) st = read_value(r, v);
    r->path.len = path;
    return st;
}

static enum weft_status read_object(struct reader *r, const struct weft_json_value *v)
{
    static const char *const known[] = { "properties", "required", "additionalProperties", NULL };
    const struct weft_json_value *members = weft_json_get(v, "properties"), *required = weft_json_get(v, "required");
    enum weft_status st = refuse_others(r, v, known);
    if (st) return st;
    if (!members || members->kind != WEFT_JSON_OBJECT) return cannot(r, "an object must name its \"properties\"");
    if (required && required->kind != WEFT_JSON_ARRAY) return cannot(r, "\"required\" must be a list");
    for (size_t i = 0; required && i < required->n; i++)
        if (required->items[i].kind != WEFT_JSON_STRING || !weft_json_get_str(members, required->items[i].text))
            return cannot(r, "\"required\" names what is not among the \"properties\"");
    st = add_mark(r, '{');
    for (size_t i = 0; i < members->n && !st; i++) {
        if (i) st = add_mark(r, ',');
        if (!st) st = add_key(r, members->keys[i]);
        if (!st) st = add_mark(r, ':');
        if (!st) st = read_member(r, members->keys[i], &members->items[i]);
    }
    return st ? st : add_mark(r, '}');
}

/* A list of so many items, each of its own kind. */
static enum weft_status read_tuple(struct reader *r, const struct weft_json_value *v,
                                   const struct weft_json_value *items)
{
    static const char *const known[] = { "prefixItems", NULL };
    enum weft_status st = refuse_others(r, v, known);
    if (!st && items->kind != WEFT_JSON_ARRAY) st = cannot(r, "\"prefixItems\" must be a list");
    if (!st) st = add_mark(r, '[');
    for (size_t i = 0; i < items->n && !st; i++) {
        if (i) st = add_mark(r, ',');
        if (!st) st = read_member(r, WEFT_STR("prefixItems"), &items->items[i]);
    }
    return st ? st : add_mark(r, ']');
}

static enum weft_status read_array(struct reader *r, const struct weft_json_value *v)
{
    static const char *const known[] = { "items", "minItems", "maxItems", NULL };
    const struct weft_json_value *tuple = weft_json_get(v, "prefixItems");
    if (tuple) return read_tuple(r, v, tuple);
    const struct weft_json_value *items = weft_json_get(v, "items");
    struct step s = { .kind = FIRST, .array = r->arrays };
    enum weft_status st = refuse_others(r, v, known);
    if (!st) st = read_range(r, v, "minItems", "maxItems", &s.least, &s.most);
    if (st) return st;
    if (!items) return cannot(r, "an array must say what its \"items\" are");
    if (r->arrays == WEFT_GRAMMAR_ARRAYS) return cannot(r, "arrays are nested more than 8 deep");
    st = add_mark(r, '[');
    uint32_t first = r->n;
    if (!st) st = add(r, s);
    r->arrays++;
    if (!st) st = read_member(r, WEFT_STR("items"), items);
    r->arrays--;
    if (!st) st = add(r, (struct step){ .kind = NEXT, .array = s.array, .jump = first + 1 });
    if (!st) ((struct step *)(void *)r->steps.s)[first].jump = r->n;
    return st;
}

static enum weft_status read_string(struct reader *r, const struct weft_json_value *v)
{
    static const char *const known[] = { "minLength", "maxLength", NULL };
    struct step s = { .kind = STRING };
    enum weft_status st = refuse_others(r, v, known);
    if (!st) st = read_range(r, v, "minLength", "maxLength", &s.least, &s.most);
    return st ? st : add(r, s);
}

static enum weft_status read_integer(struct reader *r, const struct weft_json_value *v)
{
    static const char *const known[] = { "minimum", "maximum", NULL };
    struct step s = { .kind = INTEGER };
    enum weft_status st = refuse_others(r, v, known);
    if (!st) st = read_count(r, v, "minimum", -max_integer, max_integer, -max_integer, &s.min);
    if (!st) st = read_count(r, v, "maximum", -max_integer, max_integer, max_integer, &s.max);
    if (!st && s.min > s.max) st = cannot(r, "the least is more than the most");
    return st ? st : add(r, s);
}

static enum weft_status read_value(struct reader *r, const struct weft_json_value *v)
{
    static const char *const none[] = { NULL }, *const choices[] = { "enum", "const", NULL },
                      *const booleans[] = { "false", "true" }, *const null[] = { "null" };
    if (v->kind != WEFT_JSON_OBJECT) return cannot(r, "a schema is an object");
    const struct weft_json_value *type = weft_json_get(v, "type"), *list = weft_json_get(v, "enum"),
                                 *one = weft_json_get(v, "const");
    if (list || one) {
        enum weft_status st = refuse_others(r, v, choices);
        if (!st && list && (one || list->kind != WEFT_JSON_ARRAY))
            st = cannot(r, "\"enum\" must be a list of 1 to 4096 values");
        if (st) return st;
        return list ? add_choice(r, list->items, list->n) : add_choice(r, one, 1);
    }
    if (!type || type->kind != WEFT_JSON_STRING)
        return cannot(r, "\"type\" must be one of object, array, string, integer, number, boolean, null");
    if (weft_str_is(type->text, "object")) return read_object(r, v);
    if (weft_str_is(type->text, "array")) return read_array(r, v);
    if (weft_str_is(type->text, "string")) return read_string(r, v);
    if (weft_str_is(type->text, "integer")) return read_integer(r, v);
    enum weft_status st = refuse_others(r, v, none);
    if (st) return st;
    if (weft_str_is(type->text, "number")) return add(r, (struct step){ .kind = NUMBER });
    if (weft_str_is(type->text, "boolean")) return add_constants(r, booleans, WEFT_COUNT(booleans));
    if (weft_str_is(type->text, "null")) return add_constants(r, null, WEFT_COUNT(null));
    return cannot(r, "\"type\" must be one of object, array, string, integer, number, boolean, null");
}

enum weft_status weft_grammar_new(struct weft_arena *a, const char *name, const struct weft_json_value *root,
                                  const struct weft_grammar **out, struct weft_err *err)
{
    struct weft_err own = { 0 };
    struct reader r = { .a = a, .name = name, .err = err ? err : &own };
    struct weft_grammar *g = WEFT_NEW(a, struct weft_grammar);
    struct weft_grammar_state start;
    struct weft_buf closing = { 0 };
    enum weft_status st = g ? read_value(&r, root) : weft_fail_nomem(r.err, sizeof *g, "a schema");
    if (st) goto done;
    const struct step *steps = (const struct step *)(const void *)r.steps.s;
    if (steps[0].kind != MARK) {
        st = cannot(&r, "the whole must be an object or an array");
        goto done;
    }
    g->n = r.n;
    g->steps = WEFT_NEWS(a, struct step, r.n);
    if (!g->steps) {
        st = weft_fail_nomem(r.err, r.n * sizeof *g->steps, "a schema");
        goto done;
    }
    memcpy(g->steps, steps, r.n * sizeof *g->steps);
    weft_grammar_start(g, &start);
    weft_grammar_close(g, &start, &closing);
    st = weft_buf_check(&closing, "a schema", r.err);
    if (!st && closing.len > MAX_CLOSING) st = cannot(&r, "the shortest text of this shape has more than 65536 bytes");
    if (!st) *out = g;
done:
    weft_buf_clear(&closing);
    weft_buf_clear(&r.steps);
    weft_buf_clear(&r.path);
    return st;
}
