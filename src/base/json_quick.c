/* The tree of an ordinary value in one pass: no frames, no messages, no memory but the tree's own.
 *
 * It accepts less than the reader does and never judges: whatever is not plainly right (a fault of any kind, very
 * many values or keys, deep nesting) it gives back untouched, and the reader says what it is.  So the rules and
 * their places stand in one file, and dataset rows cost a third. */
#include "base/json_parts.h"

#include <math.h>

enum { MOST_VALUES = 256, MOST_DEPTH = 24, MOST_KEYS = 32 };

/* A container that is open: where its members begin on the stacks. */
struct open {
    size_t start;
    uint64_t key_bits;
};

/* Finished values whose container is still open; keys[i] belongs to values[i]. */
struct stacks {
    struct weft_json_value values[MOST_VALUES];
    struct weft_str keys[MOST_VALUES];
    struct open open[MOST_DEPTH];
};

static inline size_t skip_space(const char *s, size_t at, size_t len)
{
    while (at < len && (s[at] == ' ' || s[at] == '\n' || s[at] == '\r' || s[at] == '\t')) at++;
    return at;
}

/* The string at j->at, a quote. */
static inline bool take_string(struct weft_json *j, struct weft_str *out)
{
    size_t at = j->at + 1, left = j->text.len - at;
    const char *s = j->text.s + at;
    size_t n = weft_json_plain(s, left);
    if (n < left && s[n] == '"') {
        *out = (struct weft_str){ s, n };
        j->at = at + n + 1;
        return true;
    }
    return n < left && s[n] == '\\' && weft_json_string(j, out, NULL) == WEFT_OK;
}

static inline bool take_number(struct weft_json *j, struct weft_json_value *v)
{
    const char *s = j->text.s + j->at;
    size_t left = j->text.len - j->at, n = 0;
    int64_t w = 0;
    for (; n < left && n < 18 && s[n] >= '0' && s[n] <= '9'; n++) w = w * 10 + (s[n] - '0');
    bool more = n < left && ((s[n] >= '0' && s[n] <= '9') || s[n] == '.' || s[n] == 'e' || s[n] == 'E');
    v->kind = WEFT_JSON_NUMBER;
    if (n && !more && (n == 1 || s[0] != '0')) {
        v->is_int = true;
        v->integer = w;
        v->number = (double)w;
        v->text = (struct weft_str){ s, n };
    } else {
        struct weft_json_number number;
        size_t bad;
        if (weft_json_scan_number((struct weft_str){ s, left }, &number, &bad) || isinf(number.number)) return false;
        v->is_int = number.fits_int;
        v->integer = number.integer;
        v->number = number.number;
        v->text = number.text;
    }
    j->at += v->text.len;
    return true;
}

static inline bool take_word(struct weft_json *j, const char *word, size_t n)
{
    if (j->text.len - j->at < n || memcmp(j->text.s + j->at, word, n) != 0) return false;
    j->at += n;
    return true;
}

/* A key and its colon; false also for one that this object has already. */
static inline bool take_key(struct weft_json *j, struct stacks *st, struct open *o, size_t n)
{
    const char *s = j->text.s;
    struct weft_str key;
    if (j->at >= j->text.len || s[j->at] != '"' || n - o->start >= MOST_KEYS || !take_string(j, &key)) return false;
    uint64_t bit = weft_json_key_bit(key);
    if (o->key_bits & bit)
        for (size_t i = o->start; i < n; i++)
            if (weft_str_eq(st->keys[i], key)) return false;
    o->key_bits |= bit;
    st->keys[n] = key;
    size_t at = skip_space(s, j->at, j->text.len);
    if (at >= j->text.len || s[at] != ':') return false;
    j->at = at + 1;
    return true;
}

/* Moves n members from the stacks to where they belong. */
static bool close_container(struct weft_json *j, struct stacks *st, struct weft_json_value *v, size_t start, size_t n)
{
    if (!n) return true;
    v->n = n;
    v->items = weft_arena_alloc(j->arena, n * sizeof *v->items);
    if (!v->items) return false;
    memcpy(v->items, st->values + start, n * sizeof *v->items);
    if (v->kind != WEFT_JSON_OBJECT) return true;
    v->keys = weft_arena_alloc(j->arena, n * sizeof *v->keys);
    if (!v->keys) return false;
    memcpy(v->keys, st->keys + start, n * sizeof *v->keys);
    return true;
}

static bool build(struct weft_json *j, struct stacks *st, struct weft_json_value *out)
{
    const char *s = j->text.s;
    const size_t len = j->text.len;
    const int most_depth = j->max_depth - j->depth < MOST_DEPTH ? j->max_depth - j->depth : MOST_DEPTH;
    size_t n = 0;
    int depth = 0;
    for (;;) {
        j->at = skip_space(s, j->at, len);
        if (j->at >= len || n >= MOST_VALUES) return false;
        struct weft_json_value *v = &st->values[n];
        *v = (struct weft_json_value){ .at = j->at };
        switch (s[j->at]) {
        case '{':
        case '[':
            if (depth >= most_depth) return false;
            v->kind = s[j->at] == '{' ? WEFT_JSON_OBJECT : WEFT_JSON_ARRAY;
            j->at = skip_space(s, j->at + 1, len);
            if (j->at < len && s[j->at] == (v->kind == WEFT_JSON_OBJECT ? '}' : ']')) {
                j->at++;
                break;
            }
            st->open[depth++] = (struct open){ ++n, 0 };
            if (v->kind == WEFT_JSON_OBJECT && (n >= MOST_VALUES || !take_key(j, st, &st->open[depth - 1], n)))
                return false;
            continue;
        case '"':
            v->kind = WEFT_JSON_STRING;
            if (!take_string(j, &v->text)) return false;
            break;
        case 't':
            v->kind = WEFT_JSON_BOOL;
            v->boolean = true;
            if (!take_word(j, "true", 4)) return false;
            break;
        case 'f':
            v->kind = WEFT_JSON_BOOL;
            if (!take_word(j, "false", 5)) return false;
            break;
        case 'n':
            if (!take_word(j, "null", 4)) return false;
            break;
        case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
            if (!take_number(j, v)) return false;
            break;
        default: return false;
        }
        n++;
        /* Behind a value: its container goes on, or closes and is a finished value itself. */
        for (;;) {
            if (!depth) {
                *out = st->values[0];
                return true;
            }
            struct open *o = &st->open[depth - 1];
            struct weft_json_value *container = &st->values[o->start - 1];
            bool is_object = container->kind == WEFT_JSON_OBJECT;
            j->at = skip_space(s, j->at, len);
            if (j->at >= len) return false;
            if (s[j->at] == ',') {
                j->at++;
                if (!is_object) break;
                j->at = skip_space(s, j->at, len);
                if (n >= MOST_VALUES || !take_key(j, st, o, n)) return false;
                break;
            }
            if (s[j->at] != (is_object ? '}' : ']')) return false;
            j->at++;
            if (!close_container(j, st, container, o->start, n - o->start)) return false;
            if (is_object) container->key_bits = o->key_bits;
            n = o->start;
            depth--;
        }
    }
}

bool weft_json_quick(struct weft_json *j, struct weft_json_value *out)
{
    struct stacks st; /* not cleared: 20 KiB, of which a row touches one or two */
    size_t at = j->at;
    struct weft_arena_mark mark = weft_arena_mark(j->arena);
    if (build(j, &st, out)) return true;
    j->at = at;
    weft_arena_release(j->arena, mark);
    return false;
}
