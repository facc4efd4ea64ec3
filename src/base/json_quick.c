/* The tree of an ordinary value in one pass: no frames, no messages, no memory but the tree's own.
 *
 * It accepts less than the reader does and never judges: whatever is not plainly right (a fault of any kind, very
 * many values or keys, deep nesting) it gives back untouched, and the reader says what it is.  So the rules and
 * their places stand in one file, and dataset rows cost a third. */
#include "base/json_parts.h"
#include "base/wide.h"

#include <math.h>

enum { MOST_VALUES = 256, MOST_DEPTH = 24, MOST_KEYS = 32, LEAST_ROOM = 4096 };

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
    if (at < len && (unsigned char)s[at] > ' ') return at;
    while (at < len && (s[at] == ' ' || s[at] == '\n' || s[at] == '\r' || s[at] == '\t')) at++;
    return at;
}

/* Unescapes what is easy of at most `len` bytes at s[*at]: to `to`, which has room for WEFT_JSON_SLACK more.  *at moves
 * behind it: to the quote at the end, to an escape or a fault, or by `len`.  Returns the length of what it became. */
typedef size_t copy_fn(char *to, const char *s, size_t *at, size_t len);

static size_t copy_plain(char *to, const char *s, size_t *at, size_t len)
{
    size_t n = weft_json_copy_plain(to, s + *at, len);
    *at += n;
    return n;
}

#if defined(__x86_64__)
/* What stands for the letter behind a backslash; 0: not so easy. */
static const char meanings[128] = { ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
                                    ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t' };

/* Of some backslashes, those that begin an escape: in a run of them the first and every other one.  The subtraction
 * borrows through a run, and the places that differ from the odd ones then are told by where it began (simdjson). */
static inline uint64_t begin_escapes(uint64_t backs)
{
    const uint64_t odd = UINT64_C(0xAAAAAAAAAAAAAAAA);
    return (((backs << 1 | odd) - backs) ^ odd) & backs;
}

/* Whether there is an escape among the next 64 bytes nobody can foresee, so nothing branches on it. */
WEFT_WIDE static size_t copy_wide(char *to, const char *s, size_t *at, size_t len)
{
    const __m512i low = _mm512_loadu_si512(meanings), high = _mm512_loadu_si512(meanings + 64);
    const size_t end = *at + len;
    size_t n = 0;
    for (size_t i = *at;; i += 64) {
        __m512i v = weft_wide_load(s + i, end - i);
        uint64_t begins = begin_escapes(_mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\\'))), letters = begins << 1;
        __m512i meant = _mm512_mask2_permutex2var_epi8(low, v, letters, high);
        uint64_t hard = letters & (_mm512_testn_epi8_mask(meant, meant) | _mm512_movepi8_mask(v));
        uint64_t stop = (_mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('"')) & ~letters)
                        | _mm512_cmplt_epu8_mask(v, _mm512_set1_epi8(' ')) | hard >> 1 | (begins & UINT64_C(1) << 63);
        uint64_t keep = ~begins;
        if (stop) keep &= _blsmsk_u64(stop) >> 1;
        _mm512_storeu_si512(to + n, _mm512_maskz_compress_epi8(keep, meant));
        n += (size_t)_mm_popcnt_u64(keep);
        if (!stop) continue;
        *at = i + (size_t)__builtin_ctzll(stop);
        return n;
    }
}
#endif

/* Unescapes up to the quote at the end, *at, into `room` bytes.  SIZE_MAX: a fault, or not enough room. */
static size_t unescape(const struct weft_json *j, size_t *at, char *to, size_t room)
{
    copy_fn *copy = copy_plain;
    const char *s = j->text.s;
    const size_t len = j->text.len;
    size_t n = 0, i = *at;
#if defined(__x86_64__)
    if (weft_wide()) copy = copy_wide;
#endif
    while (room - n >= 2 * WEFT_JSON_SLACK) {
        n += copy(to + n, s, &i, weft_min_size(len - i, room - n - WEFT_JSON_SLACK));
        if (i < len && s[i] == '"') {
            *at = i;
            return n;
        }
        uint32_t cp;
        if (i >= len || s[i] != '\\' || weft_json_escape(j, i, &i, &cp, NULL)) return SIZE_MAX;
        n += weft_utf8_encode(cp, to + n);
    }
    return SIZE_MAX;
}

/* One with escapes: into what is left of the arena's block, or, where that is too little, by the reader. */
static __attribute__((noinline)) bool take_escaped(struct weft_json *j, size_t *at, struct weft_str *out)
{
    size_t room, end = *at + 1;
    char *to = weft_arena_rest(j->arena, LEAST_ROOM, &room);
    size_t n = to ? unescape(j, &end, to, room) : SIZE_MAX;
    if (to) weft_arena_took(j->arena, n == SIZE_MAX ? 0 : n + 1);
    if (n != SIZE_MAX) {
        to[n] = '\0';
        *out = (struct weft_str){ to, n };
        *at = end + 1;
        return true;
    }
    j->at = *at;
    if (weft_json_string(j, out, NULL)) return false;
    *at = j->at;
    return true;
}

/* The string at *at, a quote.  Where the reading stands is kept in a variable, not in j: every step waits for it. */
static inline bool take_string(struct weft_json *j, size_t *at, struct weft_str *out)
{
    size_t left = j->text.len - *at - 1;
    const char *s = j->text.s + *at + 1;
    size_t n = weft_json_plain(s, left);
    if (n >= left) return false;
    if (s[n] == '"') {
        *out = (struct weft_str){ s, n };
        *at += n + 2;
        return true;
    }
    return s[n] == '\\' && take_escaped(j, at, out);
}

static inline bool take_number(const struct weft_json *j, size_t *at, struct weft_json_value *v)
{
    const char *s = j->text.s + *at;
    size_t left = j->text.len - *at, n = 0;
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
    *at += v->text.len;
    return true;
}

static inline bool take_word(const struct weft_json *j, size_t *at, const char *word, size_t n)
{
    if (j->text.len - *at < n || memcmp(j->text.s + *at, word, n) != 0) return false;
    *at += n;
    return true;
}

/* The key number k of the value, at a quote: when it is the one foreseen, where it ends is known without looking,
 * and what follows need not wait. */
static inline bool take_key_text(struct weft_json *j, size_t *at, size_t k, struct weft_str *out)
{
    struct weft_str *foreseen = j->memo && k < WEFT_JSON_MEMO ? &j->memo->keys[k] : NULL;
    const char *s = j->text.s + *at + 1;
    size_t left = j->text.len - *at - 1;
    if (foreseen && foreseen->len < left && s[foreseen->len] == '"'
        && weft_json_same_key(s, foreseen->s, foreseen->len)) {
        *out = (struct weft_str){ s, foreseen->len };
        *at += foreseen->len + 2;
        return true;
    }
    if (!take_string(j, at, out)) return false;
    if (foreseen && out->s == s) *foreseen = *out; /* one with escapes is not in the text */
    return true;
}

/* A key and its colon; false also for one that this object has already. */
static inline bool take_key(struct weft_json *j, size_t *at, struct stacks *st, struct open *o, size_t n, size_t k)
{
    const char *s = j->text.s;
    struct weft_str key;
    if (*at >= j->text.len || s[*at] != '"' || n >= MOST_VALUES || n - o->start >= MOST_KEYS) return false;
    if (!take_key_text(j, at, k, &key)) return false;
    uint64_t bit = weft_json_key_bit(key);
    if (o->key_bits & bit)
        for (size_t i = o->start; i < n; i++)
            if (weft_str_eq(st->keys[i], key)) return false;
    o->key_bits |= bit;
    st->keys[n] = key;
    *at = skip_space(s, *at, j->text.len);
    if (*at >= j->text.len || s[*at] != ':') return false;
    ++*at;
    return true;
}

/* Moves n members from the stacks to where they belong. */
static bool close_container(struct weft_json *j, struct stacks *st, struct weft_json_value *v, size_t start, size_t n)
{
    if (!n) return true;
    bool is_object = v->kind == WEFT_JSON_OBJECT;
    char *p = weft_arena_alloc(j->arena, n * (sizeof *v->items + (is_object ? sizeof *v->keys : 0)));
    if (!p) return false;
    v->n = n;
    v->items = (struct weft_json_value *)(void *)p;
    memcpy(v->items, st->values + start, n * sizeof *v->items);
    if (!is_object) return true;
    v->keys = (struct weft_str *)(void *)(p + n * sizeof *v->items);
    memcpy(v->keys, st->keys + start, n * sizeof *v->keys);
    return true;
}

static bool build(struct weft_json *j, struct stacks *st, struct weft_json_value *out)
{
    const char *s = j->text.s;
    const size_t len = j->text.len;
    const int most_depth = j->max_depth - j->depth < MOST_DEPTH ? j->max_depth - j->depth : MOST_DEPTH;
    size_t n = 0, k = 0, at = j->at;
    int depth = 0;
    for (;;) {
        at = skip_space(s, at, len);
        if (at >= len || n >= MOST_VALUES) return false;
        struct weft_json_value *v = &st->values[n];
        *v = (struct weft_json_value){ .at = at };
        char c = s[at];
        if (c == '"') {
            v->kind = WEFT_JSON_STRING;
            if (!take_string(j, &at, &v->text)) return false;
        } else if (c == '{' || c == '[') {
            if (depth >= most_depth) return false;
            v->kind = c == '{' ? WEFT_JSON_OBJECT : WEFT_JSON_ARRAY;
            at = skip_space(s, at + 1, len);
            if (at >= len) return false;
            if (s[at] != (c == '{' ? '}' : ']')) {
                st->open[depth++] = (struct open){ ++n, 0 };
                if (c == '{' && !take_key(j, &at, st, &st->open[depth - 1], n, k++)) return false;
                continue;
            }
            at++;
        } else if ((c >= '0' && c <= '9') || c == '-') {
            if (!take_number(j, &at, v)) return false;
        } else if (c == 't' || c == 'f') {
            v->kind = WEFT_JSON_BOOL;
            v->boolean = c == 't';
            if (!(c == 't' ? take_word(j, &at, "true", 4) : take_word(j, &at, "false", 5))) return false;
        } else if (!take_word(j, &at, "null", 4)) return false;
        n++;
        /* Behind a value: its container goes on, or closes and is a finished value itself. */
        for (;;) {
            if (!depth) {
                *out = st->values[0];
                j->at = at;
                return true;
            }
            struct open *o = &st->open[depth - 1];
            struct weft_json_value *container = &st->values[o->start - 1];
            bool is_object = container->kind == WEFT_JSON_OBJECT;
            at = skip_space(s, at, len);
            if (at >= len) return false;
            if (s[at] == ',') {
                at++;
                if (!is_object) break;
                at = skip_space(s, at, len);
                if (!take_key(j, &at, st, o, n, k++)) return false;
                break;
            }
            if (s[at] != (is_object ? '}' : ']')) return false;
            at++;
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
