/* The pull reader.  It never recurses: open containers are frames in the arena, so a text of 20,000 brackets
 * costs an error at bracket 129 and nothing else.
 *
 * Keys met twice (JS4): up to KEYS_BY_EYE keys are compared one by one, which is what nearly every object needs;
 * beyond that a hash table of key numbers keeps a vocabulary of 150,000 entries linear.  Frames keep their
 * memory when they are left, so a file of many rows allocates once. */
#include "base/hash.h"
#include "base/json_parts.h"
#include "base/lang.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { KEYS_BY_EYE = 8, FIRST_FRAMES = 8, FIRST_KEYS = 16, FIRST_TABLE = 32 };

const char *weft_json_kind_name(enum weft_json_kind k)
{
    static const char *const names[] = {
        "null", "a boolean", "a number", "a string", "an array", "an object"
    };
    return names[k];
}

/* ---- messages ---- */

static const char *tr(const struct weft_err *err, const char *english)
{
    return weft_tr(err ? err->lang : WEFT_LANG_EN, english);
}

void weft_json_place(const struct weft_json *j, size_t at, uint64_t *line, uint64_t *column)
{
    size_t start = 0;
    uint64_t n = j->first_line;
    at = weft_min_size(at, j->text.len);
    for (const char *lf; start < at && (lf = memchr(j->text.s + start, '\n', at - start)); n++)
        start = (size_t)(lf - j->text.s) + 1;
    struct weft_str before = weft_str_sub(j->text, start, at);
    if (!start && weft_str_starts(before, WEFT_STR("\xEF\xBB\xBF"))) before = weft_str_skip(before, 3);
    *line = n;
    *column = weft_utf8_chars(before) + 1;
}

/* name:line:column: sentence, by a rule.  `what` is written by the caller, in the user's language. */
static enum weft_status fail_at(const struct weft_json *j, size_t at, const char *rule, const char *what,
                                struct weft_err *err)
{
    uint64_t line, column;
    weft_json_place(j, at, &line, &column);
    return weft_fail_rule(err, WEFT_EINPUT, rule, "%s:%" PRIu64 ":%" PRIu64 ": %s", j->name, line, column,
                          tr(err, what));
}

/* What stands at `at`, for "found ...". */
static const char *found_at(const struct weft_json *j, size_t at, char out[32], const struct weft_err *err)
{
    if (at >= j->text.len) return tr(err, "the end of the text");
    uint32_t cp;
    size_t n = weft_utf8_decode(j->text.s + at, j->text.len - at, &cp, NULL);
    char shown[16];
    snprintf(out, 32, "'%s'", weft_escape(shown, sizeof shown, weft_str_sub(j->text, at, at + n)));
    return out;
}

enum weft_status weft_json_expected(const struct weft_json *j, size_t at, const char *expected,
                                    struct weft_err *err)
{
    uint64_t line, column;
    char found[32];
    weft_json_place(j, at, &line, &column);
    return weft_fail_rule(err, WEFT_EINPUT, "JS2", "%s:%" PRIu64 ":%" PRIu64 ": found %s; expected %s",
                          j->name, line, column, found_at(j, at, found, err), tr(err, expected));
}

/* A value was expected.  What people and other programs write instead gets an answer of its own. */
static enum weft_status fail_no_value(const struct weft_json *j, struct weft_err *err)
{
    static const struct {
        const char *start, *answer;
    } known[] = {
        { "//", "a comment; JSON has none, remove it" },
        { "/*", "a comment; JSON has none, remove it" },
        { "#", "a comment; JSON has none, remove it" },
        { "'", "a single quote; JSON strings stand in double quotes" },
        { "NaN", "NaN; JSON has none, write null or a number" },
        { "nan", "NaN; JSON has none, write null or a number" },
        { "Infinity", "an infinity; JSON has none, write null or a number" },
        { "-Infinity", "an infinity; JSON has none, write null or a number" },
        { "inf", "an infinity; JSON has none, write null or a number" },
        { "-inf", "an infinity; JSON has none, write null or a number" },
        { "True", "\"True\" as in Python; JSON writes true" },
        { "False", "\"False\" as in Python; JSON writes false" },
        { "None", "\"None\" as in Python; JSON writes null" },
        { "+", "a plus sign; JSON numbers begin with a digit or a minus sign" },
        { ".", "a number that begins with its point; write 0.5, not .5" },
    };
    struct weft_str rest = weft_str_skip(j->text, j->at);
    for (size_t i = 0; i < WEFT_COUNT(known); i++)
        if (weft_str_starts(rest, weft_str_c(known[i].start)))
            return fail_at(j, j->at, "JS2", known[i].answer, err);
    return weft_json_expected(j, j->at, "a value", err);
}

/* ---- start ---- */

static const char *other_encoding(struct weft_str t)
{
    const unsigned char *u = (const unsigned char *)t.s;
    if (t.len >= 4 && u[0] == 0xFF && u[1] == 0xFE && !u[2] && !u[3]) return "UTF-32LE";
    if (t.len >= 4 && !u[0] && !u[1] && u[2] == 0xFE && u[3] == 0xFF) return "UTF-32BE";
    if (t.len >= 2 && u[0] == 0xFF && u[1] == 0xFE) return "UTF-16LE";
    if (t.len >= 2 && u[0] == 0xFE && u[1] == 0xFF) return "UTF-16BE";
    /* Without a mark: JSON begins with ASCII, so the NUL bytes beside it give the form away (RFC 4627, 3). */
    if (t.len >= 4 && u[0] && !u[1] && !u[2] && !u[3]) return "UTF-32LE";
    if (t.len >= 4 && !u[0] && !u[1] && !u[2] && u[3]) return "UTF-32BE";
    if (t.len >= 4 && u[0] && !u[1] && u[2] && !u[3]) return "UTF-16LE";
    if (t.len >= 4 && !u[0] && u[1] && !u[2] && u[3]) return "UTF-16BE";
    return NULL;
}

enum weft_status weft_json_init_row(struct weft_json *j, struct weft_arena *a, const char *name,
                                    uint64_t line, struct weft_str text, struct weft_err *err)
{
    *j = (struct weft_json){
        .arena = a, .name = name, .text = text, .first_line = line, .max_depth = WEFT_JSON_MAX_DEPTH
    };
    const char *encoding = other_encoding(text);
    if (encoding)
        return weft_fail_rule(err, WEFT_EINPUT, "JS1",
                              "%s:%" PRIu64
                              ":1: byte 0: this is %s; expected UTF-8 (iconv -f %s -t UTF-8 converts it)",
                              name, line, encoding, encoding);
    size_t bad = weft_utf8_check(text);
    if (bad < text.len) {
        uint64_t bad_line, column;
        weft_json_place(j, bad, &bad_line, &column);
        return weft_fail_rule(err, WEFT_EINPUT, "JS1",
                              "%s:%" PRIu64 ":%" PRIu64
                              ": byte %zu is 0x%02x, which is not UTF-8; expected UTF-8 text",
                              name, bad_line, column, bad, (unsigned)(unsigned char)text.s[bad]);
    }
    if (weft_str_starts(text, WEFT_STR("\xEF\xBB\xBF"))) j->at = 3;
    return WEFT_OK;
}

enum weft_status weft_json_init_valid(struct weft_json *j, struct weft_arena *a, const char *name, uint64_t line,
                                      struct weft_str text, struct weft_err *err)
{
    /* UTF-16 and UTF-32 without a mark can be UTF-8 too; all of them have a NUL among the first four bytes. */
    if (memchr(text.s ? text.s : "", 0, weft_min_size(text.len, 4)) || weft_str_starts(text, WEFT_STR("\xEF\xBB\xBF")))
        return weft_json_init_row(j, a, name, line, text, err);
    *j = (struct weft_json){
        .arena = a, .name = name, .text = text, .first_line = line, .max_depth = WEFT_JSON_MAX_DEPTH
    };
    return WEFT_OK;
}

enum weft_status weft_json_init(struct weft_json *j, struct weft_arena *a, const char *name,
                                struct weft_str text, struct weft_err *err)
{
    return weft_json_init_row(j, a, name, 1, text, err);
}

/* ---- scanning ---- */

static inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static inline void skip_space(struct weft_json *j)
{
    size_t at = j->at;
    while (at < j->text.len && is_space(j->text.s[at])) at++;
    j->at = at;
}

enum weft_status weft_json_peek(struct weft_json *j, enum weft_json_kind *kind, struct weft_err *err)
{
    skip_space(j);
    if (j->at < j->text.len) {
        const char *s = j->text.s + j->at;
        switch (s[0]) {
        case '{': *kind = WEFT_JSON_OBJECT; return WEFT_OK;
        case '[': *kind = WEFT_JSON_ARRAY; return WEFT_OK;
        case '"': *kind = WEFT_JSON_STRING; return WEFT_OK;
        case 't':
        case 'f': *kind = WEFT_JSON_BOOL; return WEFT_OK;
        case 'n':
            if (j->text.len - j->at >= 2 && s[1] == 'a') break; /* nan */
            *kind = WEFT_JSON_NULL;
            return WEFT_OK;
        case '-':
            if (j->text.len - j->at >= 2 && (s[1] == 'I' || s[1] == 'i')) break;
            *kind = WEFT_JSON_NUMBER;
            return WEFT_OK;
        default:
            if (s[0] < '0' || s[0] > '9') break;
            *kind = WEFT_JSON_NUMBER;
            return WEFT_OK;
        }
    }
    return fail_no_value(j, err);
}

/* Peek, and refuse every kind but one. */
static enum weft_status want(struct weft_json *j, enum weft_json_kind kind, struct weft_err *err)
{
    enum weft_json_kind got;
    enum weft_status st = weft_json_peek(j, &got, err);
    if (st || got == kind) return st;
    uint64_t line, column;
    weft_json_place(j, j->at, &line, &column);
    return weft_fail_rule(err, WEFT_EINPUT, kind == WEFT_JSON_NUMBER ? "JS6" : "",
                          "%s:%" PRIu64 ":%" PRIu64 ": found %s; expected %s", j->name, line, column,
                          tr(err, weft_json_kind_name(got)), tr(err, weft_json_kind_name(kind)));
}

static bool hex4(const char *s, size_t left, uint32_t *out)
{
    uint32_t v = 0;
    if (left < 4) return false;
    for (int i = 0; i < 4; i++) {
        char c = s[i];
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *d = c ? strchr(digits, c) : NULL;
        if (!d) return false;
        v = v << 4 | (uint32_t)(d - digits) % 16;
    }
    *out = v;
    return true;
}

enum weft_status weft_json_escape(const struct weft_json *j, size_t at, size_t *next, uint32_t *cp,
                                  struct weft_err *err)
{
    const char *s = j->text.s;
    size_t len = j->text.len;
    if (at + 1 >= len) return weft_json_expected(j, len, "the end of the string, '\"'", err);
    *next = at + 2;
    switch (s[at + 1]) {
    case '"':
    case '\\':
    case '/': *cp = (unsigned char)s[at + 1]; return WEFT_OK;
    case 'n': *cp = '\n'; return WEFT_OK;
    case 't': *cp = '\t'; return WEFT_OK;
    case 'r': *cp = '\r'; return WEFT_OK;
    case 'b': *cp = '\b'; return WEFT_OK;
    case 'f': *cp = '\f'; return WEFT_OK;
    default: break;
    }
    if (s[at + 1] != 'u')
        return weft_json_expected(j, at + 1, "one of \" \\ / b f n r t u after a backslash", err);
    uint32_t high, low;
    if (!hex4(s + at + 2, len - at - 2, &high))
        return fail_at(j, at, "JS2", "found \\u; expected four hexadecimal digits after it", err);
    *next = at + 6;
    *cp = high;
    if (high < 0xD800 || high > 0xDFFF) return WEFT_OK;
    if (high <= 0xDBFF && len - at >= 12 && s[at + 6] == '\\' && s[at + 7] == 'u' && hex4(s + at + 8, 4, &low)
        && low >= 0xDC00 && low <= 0xDFFF) {
        *cp = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
        *next = at + 12;
        return WEFT_OK;
    }
    return fail_at(j, at, "JS5", "found half of a surrogate pair; expected both halves, as in \\ud83d\\ude00",
                   err);
}

/* The string at j->at (a quote).  With `out` NULL it is checked and not kept. */
static enum weft_status take_string(struct weft_json *j, struct weft_str *out, struct weft_err *err)
{
    const char *s = j->text.s;
    size_t start = j->at + 1, len = j->text.len, at = start;
    char *copy = NULL, *w = NULL; /* used from the first escape on */
    enum weft_status st;
    for (;;) {
        size_t n = weft_json_plain(s + at, len - at);
        if (w) {
            memcpy(w, s + at, n);
            w += n;
        }
        at += n;
        if (at >= len) return weft_json_expected(j, len, "the end of the string, '\"'", err);
        if (s[at] == '"') break;
        if (s[at] != '\\')
            return weft_json_expected(
                j, at, "no control character inside a string; write it as \\n, \\t or \\u00XX", err);
        if (!copy && out) {
            /* Unescaping never lengthens: \u0000 is six bytes for at most three, a pair twelve for four. */
            size_t end = at;
            while (end < len && s[end] == '\\') {
                end = weft_min_size(end + 2, len);
                end += weft_json_plain(s + end, len - end);
            }
            copy = weft_arena_strndup(j->arena, s + start, end - start);
            if (!copy) return weft_fail_nomem(err, end - start + 1, j->name);
            w = copy + (at - start);
        }
        uint32_t cp = 0;
        st = weft_json_escape(j, at, &at, &cp, err);
        if (st) return st;
        if (w) w += weft_utf8_encode(cp, w);
    }
    if (out) *out = copy ? (struct weft_str){ copy, (size_t)(w - copy) } : weft_str_sub(j->text, start, at);
    if (copy) *w = '\0';
    j->at = at + 1;
    return WEFT_OK;
}

/* ---- containers ---- */

static enum weft_status open_container(struct weft_json *j, enum weft_json_kind kind, struct weft_err *err)
{
    enum weft_status st = want(j, kind, err);
    if (st) return st;
    if (j->depth >= j->max_depth) {
        uint64_t line, column;
        weft_json_place(j, j->at, &line, &column);
        return weft_fail_rule(err, WEFT_EINPUT, "JS3",
                              "%s:%" PRIu64 ":%" PRIu64
                              ": objects and arrays are nested deeper than %d; expected less",
                              j->name, line, column, j->max_depth);
    }
    if (j->depth == j->n_frames) {
        int n = j->n_frames ? j->n_frames * 2 : FIRST_FRAMES;
        struct weft_json_frame *frames = WEFT_NEWS(j->arena, struct weft_json_frame, (size_t)n);
        if (!frames) return weft_fail_nomem(err, (size_t)n * sizeof *frames, j->name);
        if (j->n_frames) memcpy(frames, j->frames, (size_t)j->n_frames * sizeof *frames);
        j->frames = frames;
        j->n_frames = n;
    }
    struct weft_json_frame *f = &j->frames[j->depth++];
    f->is_object = kind == WEFT_JSON_OBJECT;
    f->started = false;
    f->n_keys = f->table_len = 0;
    j->at++;
    return WEFT_OK;
}

enum weft_status weft_json_object(struct weft_json *j, struct weft_err *err)
{
    return open_container(j, WEFT_JSON_OBJECT, err);
}

enum weft_status weft_json_array(struct weft_json *j, struct weft_err *err)
{
    return open_container(j, WEFT_JSON_ARRAY, err);
}

/* The place of a key in the table: where it stands, or the free place where it belongs. */
static size_t table_place(const struct weft_json_frame *f, struct weft_str key, uint32_t hash)
{
    size_t mask = f->table_len - 1, i = hash & mask;
    for (; f->table[i].number; i = (i + 1) & mask)
        if (f->table[i].hash == hash && weft_str_eq(f->keys[f->table[i].number - 1], key)) break;
    return i;
}

/* The arena's address seeds the hash, so that no file can be built whose keys all meet. */
static uint32_t hash_key(const struct weft_json *j, struct weft_str key)
{
    return (uint32_t)weft_xxh3(key.s, key.len, (uint64_t)(uintptr_t)j->arena);
}

static enum weft_status grow_table(struct weft_json *j, struct weft_json_frame *f, struct weft_err *err)
{
    struct weft_json_slot *old = f->table;
    size_t old_len = f->table_len, n = old_len ? old_len * 2 : FIRST_TABLE, mask = n - 1;
    /* In place only when empty: moving slots needs both tables. */
    if (n > f->table_cap || old_len) {
        f->table = weft_arena_alloc(j->arena, n * sizeof *f->table);
        if (!f->table) return weft_fail_nomem(err, n * sizeof *f->table, j->name);
        f->table_cap = n;
    }
    f->table_len = n;
    memset(f->table, 0, n * sizeof *f->table);
    if (!old_len) {
        for (size_t i = 0; i < f->n_keys; i++) {
            uint32_t hash = hash_key(j, f->keys[i]);
            f->table[table_place(f, f->keys[i], hash)] = (struct weft_json_slot){ hash, (uint32_t)(i + 1) };
        }
        return WEFT_OK;
    }
    for (size_t i = 0; i < old_len; i++) {
        if (!old[i].number) continue;
        size_t place = old[i].hash & mask;
        while (f->table[place].number) place = (place + 1) & mask;
        f->table[place] = old[i];
    }
    return WEFT_OK;
}

/* Keeps the key of this object; *twice when it is there already. */
static enum weft_status remember_key(struct weft_json *j, struct weft_str key, bool *twice,
                                     struct weft_err *err)
{
    struct weft_json_frame *f = &j->frames[j->depth - 1];
    *twice = false;
    if (f->n_keys == f->cap_keys) {
        size_t n = f->cap_keys ? f->cap_keys * 2 : FIRST_KEYS;
        struct weft_str *keys = weft_arena_alloc(j->arena, n * sizeof *keys);
        if (!keys) return weft_fail_nomem(err, n * sizeof *keys, j->name);
        if (f->n_keys) memcpy(keys, f->keys, f->n_keys * sizeof *keys);
        f->keys = keys;
        f->cap_keys = n;
    }
    if (f->n_keys < KEYS_BY_EYE) {
        for (size_t i = 0; i < f->n_keys && !*twice; i++) *twice = weft_str_eq(f->keys[i], key);
    } else {
        if (f->n_keys >= f->table_len / 2) {
            enum weft_status st = grow_table(j, f, err);
            if (st) return st;
        }
        uint32_t hash = hash_key(j, key);
        size_t place = table_place(f, key, hash);
        *twice = f->table[place].number != 0;
        f->table[place] = (struct weft_json_slot){ hash, (uint32_t)(f->n_keys + 1) };
    }
    f->keys[f->n_keys++] = key;
    return WEFT_OK;
}

/* Behind an item: the comma and the next item, or the closing bracket.  `more` false: the container is left. */
static enum weft_status step(struct weft_json *j, bool is_object, bool *more, struct weft_err *err)
{
    assert(j->depth > 0 && j->frames[j->depth - 1].is_object == is_object);
    struct weft_json_frame *f = &j->frames[j->depth - 1];
    char close = is_object ? '}' : ']';
    skip_space(j);
    char c = j->at < j->text.len ? j->text.s[j->at] : '\0';
    *more = false;
    if (c == close && j->at < j->text.len) {
        j->at++;
        j->depth--;
        return WEFT_OK;
    }
    if (f->started) {
        if (c != ',') return weft_json_expected(j, j->at, is_object ? "',' or '}'" : "',' or ']'", err);
        size_t comma = j->at++;
        skip_space(j);
        if (j->at < j->text.len && j->text.s[j->at] == close)
            return fail_at(j, comma, "JS2", "found a comma after the last item; JSON allows none, remove it",
                           err);
    }
    f->started = true;
    *more = true;
    return WEFT_OK;
}

enum weft_status weft_json_key(struct weft_json *j, struct weft_str *key, bool *more, struct weft_err *err)
{
    enum weft_status st = step(j, true, more, err);
    if (st || !*more) return st;
    size_t at = j->at;
    bool twice;
    if (at >= j->text.len || j->text.s[at] != '"') {
        if (at < j->text.len && (j->text.s[at] == '/' || j->text.s[at] == '#' || j->text.s[at] == '\''))
            return fail_no_value(j, err);
        return weft_json_expected(j, at, "a key in double quotes", err);
    }
    st = take_string(j, key, err);
    if (!st) st = remember_key(j, *key, &twice, err);
    if (st) return st;
    if (twice) {
        uint64_t line, column;
        char shown[64];
        weft_json_place(j, at, &line, &column);
        return weft_fail_rule(err, WEFT_EINPUT, "JS4",
                              "%s:%" PRIu64 ":%" PRIu64
                              ": the key \"%s\" comes twice in one object; remove one",
                              j->name, line, column, weft_escape(shown, sizeof shown, *key));
    }
    skip_space(j);
    if (j->at >= j->text.len || j->text.s[j->at] != ':')
        return weft_json_expected(j, j->at, "':' after the key", err);
    j->at++;
    return WEFT_OK;
}

enum weft_status weft_json_element(struct weft_json *j, bool *more, struct weft_err *err)
{
    return step(j, false, more, err);
}

/* ---- scalars ---- */

enum weft_status weft_json_string(struct weft_json *j, struct weft_str *out, struct weft_err *err)
{
    enum weft_status st = want(j, WEFT_JSON_STRING, err);
    return st ? st : take_string(j, out, err);
}

static enum weft_status take_word(struct weft_json *j, const char *word, struct weft_err *err)
{
    size_t n = strlen(word);
    struct weft_str rest = weft_str_skip(j->text, j->at);
    for (size_t i = 0; i < n; i++)
        if (i >= rest.len || rest.s[i] != word[i]) return weft_json_expected(j, j->at + i, word, err);
    j->at += n;
    return WEFT_OK;
}

enum weft_status weft_json_bool(struct weft_json *j, bool *out, struct weft_err *err)
{
    enum weft_status st = want(j, WEFT_JSON_BOOL, err);
    if (st) return st;
    bool value = j->text.s[j->at] == 't';
    st = take_word(j, value ? "true" : "false", err);
    if (!st) *out = value;
    return st;
}

enum weft_status weft_json_null(struct weft_json *j, struct weft_err *err)
{
    enum weft_status st = want(j, WEFT_JSON_NULL, err);
    return st ? st : take_word(j, "null", err);
}

static enum weft_status fail_number(const struct weft_json *j, size_t at, struct weft_str number,
                                    const char *expected, struct weft_err *err)
{
    uint64_t line, column;
    char shown[64];
    weft_json_place(j, at, &line, &column);
    return weft_fail_rule(err, WEFT_EINPUT, "JS6", "%s:%" PRIu64 ":%" PRIu64 ": found %s; expected %s",
                          j->name, line, column, weft_escape(shown, sizeof shown, number), tr(err, expected));
}

enum weft_status weft_json_number(struct weft_json *j, struct weft_json_number *out, struct weft_err *err)
{
    enum weft_status st = want(j, WEFT_JSON_NUMBER, err);
    if (st) return st;
    size_t bad;
    const char *wrong = weft_json_scan_number(weft_str_skip(j->text, j->at), out, &bad);
    if (wrong) return weft_json_expected(j, j->at + bad, wrong, err);
    if (isinf(out->number))
        return fail_number(j, j->at, out->text, "a number within the range of a double", err);
    j->at += out->text.len;
    return WEFT_OK;
}

enum weft_status weft_json_double(struct weft_json *j, double *out, struct weft_err *err)
{
    struct weft_json_number n;
    enum weft_status st = weft_json_number(j, &n, err);
    if (!st) *out = n.number;
    return st;
}

enum weft_status weft_json_int(struct weft_json *j, int64_t min, int64_t max, int64_t *out,
                               struct weft_err *err)
{
    struct weft_json_number n;
    enum weft_status st = weft_json_number(j, &n, err);
    if (st) return st;
    size_t at = j->at - n.text.len;
    if (!n.is_int) return fail_number(j, at, n.text, "an integer without point and exponent", err);
    if (!n.fits_int || n.integer < min || n.integer > max) {
        uint64_t line, column;
        char shown[64];
        weft_json_place(j, at, &line, &column);
        return weft_fail_rule(err, WEFT_EINPUT, "JS6",
                              "%s:%" PRIu64 ":%" PRIu64 ": found %s; expected an integer from %" PRId64
                              " to %" PRId64,
                              j->name, line, column, weft_escape(shown, sizeof shown, n.text), min, max);
    }
    *out = n.integer;
    return WEFT_OK;
}

static enum weft_status skip_scalar(struct weft_json *j, enum weft_json_kind kind, struct weft_err *err)
{
    struct weft_json_number n;
    bool b;
    switch (kind) {
    case WEFT_JSON_NULL: return weft_json_null(j, err);
    case WEFT_JSON_BOOL: return weft_json_bool(j, &b, err);
    case WEFT_JSON_NUMBER: return weft_json_number(j, &n, err);
    default: return take_string(j, NULL, err);
    }
}

enum weft_status weft_json_skip(struct weft_json *j, struct weft_err *err)
{
    int depth = j->depth;
    struct weft_str key;
    do {
        enum weft_json_kind kind;
        enum weft_status st = weft_json_peek(j, &kind, err);
        if (st) return st;
        if (kind == WEFT_JSON_OBJECT || kind == WEFT_JSON_ARRAY) st = open_container(j, kind, err);
        else st = skip_scalar(j, kind, err);
        if (st) return st;
        for (bool more = false; j->depth > depth && !more;) {
            st = j->frames[j->depth - 1].is_object ? weft_json_key(j, &key, &more, err)
                                                   : weft_json_element(j, &more, err);
            if (st) return st;
        }
    } while (j->depth > depth);
    return WEFT_OK;
}

enum weft_status weft_json_end(struct weft_json *j, struct weft_err *err)
{
    skip_space(j);
    return j->at == j->text.len ? WEFT_OK : weft_json_expected(j, j->at, "nothing after the value", err);
}
