/* base/json.h - strict JSON: a pull reader, a small tree over it, and a writer
 *
 * The reader accepts RFC 8259 and nothing more, by rules JS1-JS7 (docs/robustness.md): UTF-8 (one BOM skipped),
 * depth at most 128, no key twice in an object (compared after unescaping), no lone surrogate escapes, integers
 * exact, only white space after the value.  Every error names `name:line:column` (line 1-based, column in code
 * points, 1-based) and the rule.
 *
 * Owner:   strings point into the text where no escape was used, else into the arena given at init; both must
 *          outlive the strings.
 * Threads: a reader belongs to one thread.
 */
#ifndef WEFT_BASE_JSON_H
#define WEFT_BASE_JSON_H

#include "base/str.h"

enum weft_json_kind {
    WEFT_JSON_NULL,
    WEFT_JSON_BOOL,
    WEFT_JSON_NUMBER,
    WEFT_JSON_STRING,
    WEFT_JSON_ARRAY,
    WEFT_JSON_OBJECT
};
const char *weft_json_kind_name(enum weft_json_kind k); /* "null", "boolean", "number" ... for messages */

/* ---- pull reader ---- */

enum { WEFT_JSON_MAX_DEPTH = 128 };

struct weft_json_frame;

/* Keys in the order in which trees met them: rows of a file have mostly the same ones, and the end of a key that was
 * foreseen need not be looked for.  Zeroed it knows none.  The texts that trees were read from must outlive it. */
enum { WEFT_JSON_MEMO = 32 };
struct weft_json_memo {
    struct weft_str keys[WEFT_JSON_MEMO];
};

struct weft_json {
    struct weft_arena *arena;
    const char *name; /* file name for messages */
    struct weft_str text;
    size_t at;           /* byte offset of the next unread byte */
    uint64_t first_line; /* number of the text's first line: a row of a JSONL file is not line 1 */
    int depth, max_depth;
    int n_frames;
    struct weft_json_frame *frames; /* [n_frames], one per open object or array: its keys so far */
    struct weft_json_memo *memo;    /* one thread's, may be set after init; NULL: none */
};

/* Checks UTF-8 (JS1) and skips one BOM.  max_depth may be lowered afterwards. */
WEFT_MUST_USE enum weft_status weft_json_init(struct weft_json *j, struct weft_arena *a, const char *name,
                                              struct weft_str text, struct weft_err *err);
/* The same for one row of a JSONL file: `line` is its number, for messages. */
WEFT_MUST_USE enum weft_status weft_json_init_row(struct weft_json *j, struct weft_arena *a, const char *name,
                                                  uint64_t line, struct weft_str text, struct weft_err *err);

/* The same for text that has been found to be UTF-8 already. */
WEFT_MUST_USE enum weft_status weft_json_init_valid(struct weft_json *j, struct weft_arena *a, const char *name,
                                                    uint64_t line, struct weft_str text, struct weft_err *err);

/* Kind of the value that comes next, without taking it. */
WEFT_MUST_USE enum weft_status weft_json_peek(struct weft_json *j, enum weft_json_kind *kind,
                                              struct weft_err *err);

/* Objects:
 *     st = weft_json_object(j, err);
 *     while (!st && !(st = weft_json_key(j, &key, &more, err)) && more)
 *         if (weft_str_is(key, "vocab")) st = read_vocab(j, ...);
 *         else st = weft_json_skip(j, err);
 * Arrays: the same with weft_json_array and weft_json_element.
 * Each key or element must be followed by taking exactly one value. */
WEFT_MUST_USE enum weft_status weft_json_object(struct weft_json *j, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_key(struct weft_json *j, struct weft_str *key, bool *more,
                                             struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_array(struct weft_json *j, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_element(struct weft_json *j, bool *more, struct weft_err *err);

/* Scalars: WEFT_EINPUT "... expected a string, found a number" on the wrong kind; integers by JS6. */
WEFT_MUST_USE enum weft_status weft_json_string(struct weft_json *j, struct weft_str *out,
                                                struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_int(struct weft_json *j, int64_t min, int64_t max, int64_t *out,
                                             struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_double(struct weft_json *j, double *out, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_bool(struct weft_json *j, bool *out, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_null(struct weft_json *j, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_skip(struct weft_json *j,
                                              struct weft_err *err); /* any value, checked */
/* After the value: only white space may follow. */
WEFT_MUST_USE enum weft_status weft_json_end(struct weft_json *j, struct weft_err *err);

/* Line and column of a byte offset, for errors about a value's meaning. */
void weft_json_place(const struct weft_json *j, size_t at, uint64_t *line, uint64_t *column);

/* ---- tree ---- */

struct weft_json_value {
    enum weft_json_kind kind;
    bool boolean;
    bool is_int; /* a number written without point or exponent that fits int64 */
    size_t at;   /* byte offset in the text, for messages */
    size_t n;    /* items of an array or object, else 0 */
    union {
        int64_t integer;
        uint64_t key_bits; /* objects: weft_json_key_bit of each key; 0: not known */
    };
    double number; /* every number */
    union {
        struct weft_str text;              /* string content; for numbers the digits as written */
        struct {                           /* arrays and objects only, NULL while n is 0 */
            struct weft_json_value *items; /* elements, or values in file order */
            struct weft_str *keys;         /* objects */
        };
    };
};

/* Reads the next value as a tree in the reader's arena. */
WEFT_MUST_USE enum weft_status weft_json_tree(struct weft_json *j, struct weft_json_value *out,
                                              struct weft_err *err);
/* A whole text: init, tree, end. */
WEFT_MUST_USE enum weft_status weft_json_parse(struct weft_arena *a, const char *name, struct weft_str text,
                                               struct weft_json_value *out, struct weft_err *err);
WEFT_MUST_USE enum weft_status weft_json_parse_row(struct weft_arena *a, const char *name, uint64_t line,
                                                   struct weft_str text, struct weft_json_value *out,
                                                   struct weft_err *err);
/* Two keys, which are short: two loads that overlap are cheaper than a call. */
static inline bool weft_json_same_key(const char *a, const char *b, size_t len)
{
    if (len >= 8 && len <= 16) {
        uint64_t a1, a2, b1, b2;
        memcpy(&a1, a, 8);
        memcpy(&b1, b, 8);
        memcpy(&a2, a + len - 8, 8);
        memcpy(&b2, b + len - 8, 8);
        return a1 == b1 && a2 == b2;
    }
    if (len >= 4 && len < 8) {
        uint32_t a1, a2, b1, b2;
        memcpy(&a1, a, 4);
        memcpy(&b1, b, 4);
        memcpy(&a2, a + len - 4, 4);
        memcpy(&b2, b + len - 4, 4);
        return a1 == b1 && a2 == b2;
    }
    if (len < 4) return !len || (a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1]);
    return memcmp(a, b, len) == 0;
}
/* One bit of 64 for a key: most keys that an object lacks are known to be absent without a look at its keys. */
static inline uint64_t weft_json_key_bit(struct weft_str key)
{
    unsigned first = key.len ? (unsigned char)key.s[0] : 0, last = key.len ? (unsigned char)key.s[key.len - 1] : 0;
    return UINT64_C(1) << ((first * 5 + last * 3 + (unsigned)key.len) & 63);
}
const struct weft_json_value *weft_json_get_str(const struct weft_json_value *v, struct weft_str key);
/* Member of an object, or NULL (also when v is NULL or no object). */
static inline const struct weft_json_value *weft_json_find(const struct weft_json_value *v, struct weft_str key)
{
    if (!v || v->kind != WEFT_JSON_OBJECT) return NULL;
    if (v->key_bits && !(v->key_bits & weft_json_key_bit(key))) return NULL;
    return weft_json_get_str(v, key);
}
static inline const struct weft_json_value *weft_json_get(const struct weft_json_value *v, const char *key)
{
    return weft_json_find(v, weft_str_c(key));
}

/* ---- writer ---- */

/* Writes into a weft_buf; commas, colons and indentation are its business.  Strings must be UTF-8: bad parts
 * become U+FFFD.  Doubles are written as Python's repr does (shortest text that reads back equal; 1.0, 1e-05,
 * 1e+16); NaN and infinities as null. */
struct weft_json_out {
    struct weft_buf *buf;
    int indent;  /* 0: one line.  n: each item on its own line, n spaces a level, as json.dump(indent=n) */
    bool spaced; /* one line with ", " and ": ", as json.dumps by default; false: "," and ":" */
    bool ascii;  /* \uXXXX for everything above ASCII */
    bool valid;  /* strings are known to be UTF-8 and are not checked */
    int depth;
    bool need_comma, after_key;
};
void weft_json_out_init(struct weft_json_out *o, struct weft_buf *buf); /* compact, one line, UTF-8 */
void weft_json_out_object(struct weft_json_out *o);
void weft_json_out_object_end(struct weft_json_out *o);
void weft_json_out_array(struct weft_json_out *o);
void weft_json_out_array_end(struct weft_json_out *o);
void weft_json_out_key(struct weft_json_out *o, const char *key);
void weft_json_out_key_str(struct weft_json_out *o, struct weft_str key);
void weft_json_out_str(struct weft_json_out *o, struct weft_str s);
void weft_json_out_cstr(struct weft_json_out *o, const char *s);
void weft_json_out_int(struct weft_json_out *o, int64_t v);
void weft_json_out_uint(struct weft_json_out *o, uint64_t v);
void weft_json_out_double(struct weft_json_out *o, double v);
void weft_json_out_bool(struct weft_json_out *o, bool v);
void weft_json_out_null(struct weft_json_out *o);
void weft_json_out_raw(struct weft_json_out *o, struct weft_str json); /* an already written value */
void weft_json_out_value(struct weft_json_out *o, const struct weft_json_value *v);
/* Shortest text of a finite double, as Python's repr.  Returns out. */
const char *weft_json_format_double(char out[32], double v);

#endif
