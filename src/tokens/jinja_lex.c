/* The lexer works in two modes.  In data it looks for the next {{, {% or {# and settles, before it hands
 * the text out, what white space the tag takes from its left; a tag's end takes what belongs to its right:
 *
 *     tag       left                                        right
 *     {{ }}     -: all white space                          -: all white space
 *     {% %}     -: all; plain: blanks from the line's start +: nothing; plain: one newline; -: all white space
 *     {# #}     +: nothing                                  the same
 *
 * In a tag it cuts names, numbers, strings and operators, and knows the open brackets: }} ends {{ only
 * outside them. */
#include "tokens/jinja_ast.h"

#include "base/lang.h"
#include "tokens/jinja_value.h"

#include <stdio.h>
#include <stdlib.h>

#define FAIL(l, fmt, ...) weft_fail(err, WEFT_EINPUT, "%s:%d: " fmt, (l)->name, (l)->line, ##__VA_ARGS__)

enum weft_status jj_lexer_init(struct jj_lexer *l, struct weft_arena *a, const char *name,
                               struct weft_str source, struct weft_err *err)
{
    *l = (struct jj_lexer){ .a = a, .name = name, .line = 1, .line_starting = true };
    if (source.len > WEFT_JINJA_SOURCE_BYTES)
        return weft_fail(err, WEFT_ELIMIT, "%s: the template has %zu bytes; at most %d are read", name,
                         source.len, WEFT_JINJA_SOURCE_BYTES);
    size_t bad = weft_utf8_check(source);
    if (bad < source.len) return weft_fail(err, WEFT_EINPUT, "%s: byte %zu is not UTF-8", name, bad);
    char *s = weft_arena_alloc(a, source.len + 1);
    if (!s) return weft_fail_nomem(err, source.len, "a chat template");
    size_t n = 0;
    for (size_t i = 0; i < source.len; i++) {
        if (source.s[i] == '\r') {
            s[n++] = '\n';
            if (i + 1 < source.len && source.s[i + 1] == '\n') i++;
        } else s[n++] = source.s[i];
    }
    if (n && s[n - 1] == '\n') n--;
    s[n] = '\0';
    l->src = (struct weft_str){ s, n };
    return WEFT_OK;
}

static bool starts(const struct jj_lexer *l, size_t at, const char *what)
{
    return weft_str_starts(weft_str_skip(l->src, at), weft_str_c(what));
}

static size_t skip_space(const struct jj_lexer *l, size_t at)
{
    while (at < l->src.len) {
        uint32_t cp;
        size_t n = weft_utf8_decode(l->src.s + at, l->src.len - at, &cp, NULL);
        if (!jj_is_space(cp)) break;
        at += n;
    }
    return at;
}

static size_t trim_right(const struct jj_lexer *l, size_t from, size_t to)
{
    while (to > from) {
        size_t at = to - 1;
        uint32_t cp;
        while (at > from && ((unsigned char)l->src.s[at] & 0xC0) == 0x80) at--;
        weft_utf8_decode(l->src.s + at, to - at, &cp, NULL);
        if (!jj_is_space(cp)) break;
        to = at;
    }
    return to;
}

static void move_to(struct jj_lexer *l, size_t at)
{
    for (; l->at < at; l->at++) l->line += l->src.s[l->at] == '\n';
}

/* End of the text [from, tag) that a tag with this sign leaves on its left.  `strips_line`: {% and {#. */
static size_t left_end(const struct jj_lexer *l, size_t from, size_t tag, char sign, bool strips_line)
{
    if (sign == '-') return trim_right(l, from, tag);
    if (sign == '+' || !strips_line) return tag;
    size_t line = tag;
    while (line > from && l->src.s[line - 1] != '\n') line--;
    if (line == from && !l->line_starting) return tag;
    return skip_space(l, line) >= tag ? line : tag;
}

/* Behind the end of a {% or {# tag whose closing characters begin at `at`: a sign, then two characters. */
static size_t right_start(const struct jj_lexer *l, size_t at, bool newline)
{
    char sign = l->src.s[at];
    bool signed_end = sign == '-' || sign == '+';
    at += signed_end ? 3 : 2;
    if (sign == '-') return skip_space(l, at);
    if (!signed_end && newline && at < l->src.len && l->src.s[at] == '\n') return at + 1;
    return at;
}

/* True when `word` is the only thing in the block tag whose inside begins at `at`; *end: its closing
 * characters. */
static bool tag_is(const struct jj_lexer *l, size_t at, const char *word, size_t *end)
{
    at = skip_space(l, at);
    if (!starts(l, at, word)) return false;
    at = skip_space(l, at + strlen(word));
    *end = at;
    return starts(l, at, "%}") || starts(l, at, "-%}") || starts(l, at, "+%}");
}

static char sign_at(const struct jj_lexer *l, size_t at)
{
    char c = at < l->src.len ? l->src.s[at] : 0;
    return c == '-' || c == '+' ? c : 0;
}

/* The text between {% raw %} and {% endraw %}. */
static enum weft_status next_raw(struct jj_lexer *l, struct jj_token *out, struct weft_err *err)
{
    for (size_t tag = l->at;; tag += 2) {
        tag = weft_str_find(l->src, WEFT_STR("{%"), tag);
        if (tag == SIZE_MAX) return FAIL(l, "{%% raw %%} is never closed by {%% endraw %%}");
        char sign = sign_at(l, tag + 2);
        size_t end;
        if (!tag_is(l, tag + 2 + (sign != 0), "endraw", &end)) continue;
        out->kind = JK_DATA;
        out->text = weft_str_sub(l->src, l->at, left_end(l, l->at, tag, sign, true));
        move_to(l, right_start(l, end, true));
        l->line_starting = l->src.s[l->at - 1] == '\n';
        l->raw = false;
        return WEFT_OK;
    }
}

/* Data up to the next tag; comments are skipped.  Empty data is possible. */
static enum weft_status next_data(struct jj_lexer *l, struct jj_token *out, struct weft_err *err)
{
    size_t tag = l->at;
    while (tag + 1 < l->src.len
           && !(l->src.s[tag] == '{'
                && (l->src.s[tag + 1] == '{' || l->src.s[tag + 1] == '%' || l->src.s[tag + 1] == '#')))
        tag++;
    out->kind = JK_DATA;
    if (tag + 1 >= l->src.len) {
        out->text = weft_str_skip(l->src, l->at);
        move_to(l, l->src.len);
        return WEFT_OK;
    }
    char what = l->src.s[tag + 1], sign = sign_at(l, tag + 2);
    size_t inside = tag + 2 + (sign != 0), end;
    out->text = weft_str_sub(l->src, l->at, left_end(l, l->at, tag, sign, what != '{'));
    move_to(l, inside);
    l->line_starting = false;
    if (what == '#') {
        size_t close = weft_str_find(l->src, WEFT_STR("#}"), inside);
        if (close == SIZE_MAX) return FAIL(l, "the comment {# is never closed by #}");
        if (close > inside && (l->src.s[close - 1] == '-' || l->src.s[close - 1] == '+')) close--;
        move_to(l, right_start(l, close, true));
        l->line_starting = l->src.s[l->at - 1] == '\n';
    } else if (what == '%' && tag_is(l, inside, "raw", &end)) {
        bool dash = l->src.s[end] == '-';
        if (l->src.s[end] == '+') return FAIL(l, "unexpected '%c'", '+');
        move_to(l, dash ? right_start(l, end, false) : end + 2);
        l->line_starting = l->src.s[l->at - 1] == '\n';
        l->raw = true;
    } else l->pending = (unsigned char)what;
    return WEFT_OK;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'
           || (unsigned char)c >= 0x80;
}
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static int hex_value(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Digits in `base`, single underscores between them; returns the end. */
static size_t digits(const struct jj_lexer *l, size_t at, int base)
{
    size_t end = at;
    for (; at < l->src.len; at++) {
        char c = l->src.s[at];
        int v = hex_value(c);
        if (v >= 0 && v < base) end = at + 1;
        else if (c != '_' || at == end + 1 || at + 1 >= l->src.len) break;
    }
    return end;
}

static enum weft_status number(struct jj_lexer *l, struct jj_token *out, struct weft_err *err)
{
    const char *s = l->src.s;
    size_t at = l->at, end;
    int base = 10;
    if (s[at] == '0' && at + 1 < l->src.len) {
        char c = s[at + 1] | 0x20;
        int b = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
        if (b != 10 && digits(l, at + 2, b) > at + 2) base = b, at += 2;
    }
    end = digits(l, at, base);
    bool is_float = false;
    if (base == 10 && (l->at == 0 || s[l->at - 1] != '.')) { /* x.1.2 is two subscripts, not a float */
        size_t f = end;
        if (f + 1 < l->src.len && s[f] == '.' && is_digit(s[f + 1]))
            f = digits(l, f + 1, 10), is_float = true;
        if (f + 1 < l->src.len && (s[f] | 0x20) == 'e') {
            size_t x = f + 1 + (s[f + 1] == '+' || s[f + 1] == '-');
            if (x < l->src.len && is_digit(s[x])) f = digits(l, x, 10), is_float = true;
        }
        if (is_float) end = f;
    }
    char text[320];
    size_t n = 0;
    for (size_t i = at; i < end; i++) {
        if (s[i] == '_') continue;
        if (n + 1 >= sizeof text) return FAIL(l, "a number of more than %zu digits", n);
        text[n++] = s[i];
    }
    text[n] = '\0';
    out->text = weft_str_sub(l->src, l->at, end);
    if (is_float) {
        out->kind = JK_FLOAT;
        out->number = strtod(text, NULL);
    } else {
        out->kind = JK_INT;
        for (size_t i = 0; i < n; i++)
            if (__builtin_mul_overflow(out->integer, base, &out->integer)
                || __builtin_add_overflow(out->integer, hex_value(text[i]), &out->integer))
                return FAIL(l, "the number %s is larger than 2^63", text);
    }
    l->at = end;
    return WEFT_OK;
}

/* Python's escapes; unknown ones stay as they are. */
static enum weft_status string(struct jj_lexer *l, struct jj_token *out, struct weft_err *err)
{
    char quote = l->src.s[l->at];
    size_t end = l->at + 1;
    while (end < l->src.len && l->src.s[end] != quote) end += l->src.s[end] == '\\' ? 2 : 1;
    if (end >= l->src.len) return FAIL(l, "a string that begins with %c is never closed", quote);
    char *s = weft_arena_alloc(l->a, end - l->at);
    if (!s) return weft_fail_nomem(err, end - l->at, "a chat template");
    size_t n = 0;
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    for (size_t i = l->at + 1; i < end;) {
        char c = l->src.s[i++];
        if (c != '\\') {
            s[n++] = c;
            continue;
        }
        c = l->src.s[i++];
        const char *known = c ? strchr(from, c) : NULL;
        int width = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (c == '\n') continue;
        if (known) {
            s[n++] = to[known - from];
            continue;
        }
        uint32_t cp = 0;
        if (width) {
            for (int k = 0; k < width; k++, i++) {
                int v = i < end ? hex_value(l->src.s[i]) : -1;
                if (v < 0) return FAIL(l, "\\%c in a string needs %d hexadecimal digits", c, width);
                cp = cp << 4 | (uint32_t)v;
            }
        } else if (c >= '0' && c <= '7') {
            cp = (uint32_t)(c - '0');
            for (int k = 0; k < 2 && i < end && l->src.s[i] >= '0' && l->src.s[i] <= '7'; k++)
                cp = cp << 3 | (uint32_t)(l->src.s[i++] - '0');
        } else {
            s[n++] = '\\';
            s[n++] = c;
            continue;
        }
        if (cp > 0x10FFFF || (cp >= 0xD800 && cp < 0xE000))
            return FAIL(l, "\\%c%x in a string is not a character", c, (unsigned)cp);
        n += weft_utf8_encode(cp, s + n); /* at most as many bytes as its escape */
    }
    for (size_t i = l->at; i < end; i++) l->line += l->src.s[i] == '\n';
    out->kind = JK_STRING;
    out->text = (struct weft_str){ s, n };
    l->at = end + 1;
    return WEFT_OK;
}

static enum weft_status take_operator(struct jj_lexer *l, struct jj_token *out, struct weft_err *err)
{
    static const struct {
        char text[3];
        int op;
    } twos[] = {
        { "//", JO_FLOORDIV }, { "**", JO_POW }, { "==", JO_EQ },
        { "!=", JO_NE },       { "<=", JO_LE },  { ">=", JO_GE },
    };
    char c = l->src.s[l->at], shown[32];
    out->kind = JK_OP;
    out->text = weft_str_sub(l->src, l->at, l->at + 1);
    for (size_t i = 0; i < WEFT_COUNT(twos); i++)
        if (starts(l, l->at, twos[i].text)) {
            out->text = weft_str_sub(l->src, l->at, l->at + 2);
            out->op = twos[i].op;
            l->at += 2;
            return WEFT_OK;
        }
    if (!strchr("+-/*%~[](){}<>=.:|,;", c) || !c)
        return FAIL(l, "unexpected character '%s'",
                    weft_escape(shown, sizeof shown, weft_str_sub(l->src, l->at, l->at + 1)));
    out->op = (unsigned char)c;
    l->at++;
    if (c == '(' || c == '[' || c == '{') {
        if (l->n_brackets == WEFT_JINJA_NESTING)
            return weft_fail(err, WEFT_ELIMIT, "%s:%d: brackets nested deeper than %d", l->name, l->line,
                             WEFT_JINJA_NESTING);
        l->brackets[l->n_brackets++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (!l->n_brackets) return FAIL(l, "unexpected '%c'", c);
        if (l->brackets[--l->n_brackets] != c)
            return FAIL(l, "unexpected '%c', expected '%c'", c, l->brackets[l->n_brackets]);
    }
    return WEFT_OK;
}

enum weft_status jj_lexer_next(struct jj_lexer *l, struct jj_token *out, struct weft_err *err)
{
    *out = (struct jj_token){ .line = l->line };
    if (l->pending) {
        l->mode = l->pending;
        l->pending = 0;
        l->n_brackets = 0;
        out->kind = l->mode == '%' ? JK_BLOCK_BEGIN : JK_VAR_BEGIN;
        return WEFT_OK;
    }
    if (l->raw) return next_raw(l, out, err);
    if (!l->mode) {
        if (l->at >= l->src.len) {
            out->kind = JK_EOF;
            return WEFT_OK;
        }
        return next_data(l, out, err);
    }
    move_to(l, skip_space(l, l->at));
    out->line = l->line;
    if (l->at >= l->src.len)
        return l->mode == '%' ? FAIL(l, "the template ends inside {%% ... %%}")
                              : FAIL(l, "the template ends inside {{ ... }}");
    if (!l->n_brackets) {
        bool block = l->mode == '%';
        const char *close = block ? "%}" : "}}";
        char sign = sign_at(l, l->at);
        if (starts(l, l->at + (sign != 0), close) && !(sign == '+' && !block)) {
            move_to(l, right_start(l, l->at, block));
            l->line_starting = l->src.s[l->at - 1] == '\n';
            l->mode = 0;
            out->kind = block ? JK_BLOCK_END : JK_VAR_END;
            return WEFT_OK;
        }
    }
    char c = l->src.s[l->at];
    if (is_digit(c)) return number(l, out, err);
    if (c == '"' || c == '\'') return string(l, out, err);
    if (is_name_byte(c)) {
        size_t end = l->at;
        while (end < l->src.len && is_name_byte(l->src.s[end])) end++;
        out->kind = JK_NAME;
        out->text = weft_str_sub(l->src, l->at, end);
        l->at = end;
        return WEFT_OK;
    }
    return take_operator(l, out, err);
}

const char *jj_token_show(char *out, size_t bytes, const struct jj_token *t, enum weft_lang lang)
{
    char text[64];
    switch (t->kind) {
    case JK_EOF: snprintf(out, bytes, "%s", weft_tr(lang, "the end of the template")); break;
    case JK_DATA: snprintf(out, bytes, "%s", weft_tr(lang, "text")); break;
    case JK_BLOCK_BEGIN: snprintf(out, bytes, "'{%%'"); break;
    case JK_BLOCK_END: snprintf(out, bytes, "'%%}'"); break;
    case JK_VAR_BEGIN: snprintf(out, bytes, "'{{'"); break;
    case JK_VAR_END: snprintf(out, bytes, "'}}'"); break;
    default: snprintf(out, bytes, "'%s'", weft_escape(text, sizeof text, t->text));
    }
    return out;
}
