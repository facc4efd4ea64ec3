/* tokens/regex.c - from the reference's pattern language to PCRE2's
 *
 * Why PCRE2: it is in Debian, compiles to machine code, and its matches can be bounded.  Why not hand it
 * the pattern as it is: the two languages differ where it hurts.  {m,n}+ repeats in one and is possessive
 * in the other; ^ and $ look at lines in one; \h is a hex digit or a blank; [ inside a class begins a
 * class or stands for itself; \s and \w differ by some characters, and the engines know different versions
 * of Unicode.  So the scanner below accepts the constructs that tokenizer patterns are made of, writes
 * each in a form that is the same in both, and names what it does not accept.
 */
#define PCRE2_CODE_UNIT_WIDTH 8

#include "tokens/regex.h"

#include "base/lang.h"
#include "tokens/unicode.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

struct weft_regex {
    pcre2_code *code;
    char shown[80]; /* the pattern, for messages */
};

/* What stands inside [...], or is a class by itself. */
struct class
{
    struct weft_buf in;     /* content of a PCRE2 class: ranges and \p{..} */
    struct weft_buf not_in; /* contents of classes that are negated inside this one, each as [^...] */
};

struct scanner {
    struct weft_str p;
    size_t at;
    struct weft_buf out;
    struct class cls;
    const char *problem; /* English phrase; NULL while all is well */
    size_t problem_at;
    int depth;
};

enum { MAX_DEPTH = 64, MAX_COMPILED_BYTES = 512 << 10 };

static void problem(struct scanner *s, size_t at, const char *what)
{
    if (s->problem) return;
    s->problem = what;
    s->problem_at = at;
}

static char peek(const struct scanner *s, size_t ahead)
{
    return s->at + ahead < s->p.len ? s->p.s[s->at + ahead] : '\0';
}
static bool at_end(const struct scanner *s) { return s->at >= s->p.len || s->problem; }

static bool take(struct scanner *s, const char *word)
{
    struct weft_str w = weft_str_c(word);
    if (!weft_str_starts(weft_str_skip(s->p, s->at), w)) return false;
    s->at += w.len;
    return true;
}

/* ---- classes of characters, as content of a PCRE2 class ---- */

static void range(struct weft_buf *out, uint32_t first, uint32_t last)
{
    weft_buf_printf(out, first == last ? "\\x{%x}" : "\\x{%x}-\\x{%x}", first, last);
}

static void property(struct weft_buf *out, struct weft_str name)
{
    weft_buf_printf(out, "\\p{%.*s}", (int)name.len, name.s);
    for (size_t i = 0;; i++) { /* characters newer than PCRE2's tables */
        uint32_t first, last;
        const char *category = weft_unicode_since(i, &first, &last);
        if (!category) break;
        if (category[0] == name.s[0] && (name.len == 1 || category[1] == name.s[1])) range(out, first, last);
    }
}

/* The script itself, not its extensions, which PCRE2 takes a bare name for; with the ideographs since
 * Unicode 15. */
static void script(struct weft_buf *out, struct weft_str name)
{
    weft_buf_printf(out, "\\p{sc:%.*s}", (int)name.len, name.s);
    if (weft_str_is(name, "Han")) weft_buf_cstr(out, "\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}");
}

static void white_space(struct weft_buf *out)
{
    weft_buf_cstr(
        out,
        "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}");
}

static void word(struct weft_buf *out)
{
    static const char *const categories[] = { "L", "M", "Nd", "Nl", "Pc" };
    for (size_t i = 0; i < WEFT_COUNT(categories); i++) property(out, weft_str_c(categories[i]));
    weft_buf_cstr(
        out,
        "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}\\x{24b6}-\\x{24e9}\\x{1f130}-\\x{1f149}\\x{1f150}-\\x{1f169}"
        "\\x{1f170}-\\x{1f189}");
}

/* The general categories; scripts and the like are not needed by any tokenizer met so far. */
static bool is_category(struct weft_str name)
{
    static const char *const names[] = { "L",  "Lu", "Ll", "Lt", "Lm", "Lo", "M",  "Mn", "Mc", "Me", "N",
                                         "Nd", "Nl", "No", "P",  "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
                                         "S",  "Sm", "Sc", "Sk", "So", "Z",  "Zs", "Zl", "Zp" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (weft_str_is(name, names[i])) return true;
    return false;
}

static bool is_script(struct weft_str name)
{
    static const char *const names[] = { "Han",      "Hiragana", "Katakana", "Hangul", "Latin",     "Greek",
                                         "Cyrillic", "Arabic",   "Hebrew",   "Thai",   "Devanagari" };
    for (size_t i = 0; i < WEFT_COUNT(names); i++)
        if (weft_str_is(name, names[i])) return true;
    return false;
}

/* The name in \p{...} after the p; *negated turns for ^. */
static struct weft_str property_name(struct scanner *s, bool *negated)
{
    size_t start = s->at - 2;
    if (!take(s, "{")) {
        problem(s, start, "\\p without braces");
        return (struct weft_str){ 0 };
    }
    if (take(s, "^")) *negated = !*negated;
    size_t from = s->at;
    while (!at_end(s) && peek(s, 0) != '}') s->at++;
    struct weft_str name = weft_str_sub(s->p, from, s->at);
    if (!take(s, "}") || !(is_category(name) || is_script(name))) problem(s, start, "this \\p{...}");
    return name;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xHH, \x{H...}, \uHHHH after the letter. */
static uint32_t code_point(struct scanner *s, char letter, size_t start)
{
    uint32_t cp = 0;
    bool braces = letter == 'x' && take(s, "{");
    size_t n = 0, max = braces ? 8 : letter == 'x' ? 2 : 4;
    for (; n < max && hex(peek(s, 0)) >= 0; n++) cp = cp * 16 + (uint32_t)hex(s->p.s[s->at++]);
    if (!n || (letter == 'u' && n < 4) || (braces && !take(s, "}")) || cp > 0x10FFFF
        || (cp >= 0xD800 && cp <= 0xDFFF) || (letter == 'x' && !braces && cp > 0x7F))
        problem(s, start, "this code point");
    return cp;
}

/* One escape.  A character: true and *cp.  A class: false, its content appended to cls->in, or as a
 * negated part. */
static bool escape(struct scanner *s, struct class *cls, uint32_t *cp)
{
    size_t start = s->at++;
    char c = peek(s, 0);
    struct weft_buf text = { 0 };
    bool negated = c == 'S' || c == 'D' || c == 'W' || c == 'P';
    s->at++;
    switch (c) {
    case 'r': return *cp = '\r', true;
    case 'n': return *cp = '\n', true;
    case 't': return *cp = '\t', true;
    case 'f': return *cp = '\f', true;
    case 'v': return *cp = '\v', true;
    case 'a': return *cp = '\a', true;
    case 'e': return *cp = 0x1B, true;
    case 'x':
    case 'u': return *cp = code_point(s, c, start), true;
    case 's':
    case 'S': white_space(&text); break;
    case 'd':
    case 'D': property(&text, WEFT_STR("Nd")); break;
    case 'w':
    case 'W': word(&text); break;
    case 'p':
    case 'P': {
        struct weft_str name = property_name(s, &negated);
        if (!s->problem && is_category(name)) property(&text, name);
        else if (!s->problem) script(&text, name);
        break;
    }
    default:
        if ((unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z')
            || !c) {
            problem(s, start, c >= '1' && c <= '9' ? "a back reference" : "this escape");
            return true;
        }
        return *cp = (unsigned char)c, true; /* punctuation stands for itself */
    }
    if (negated) weft_buf_printf(&cls->not_in, "[^%.*s]|", (int)text.len, text.s ? text.s : "");
    else weft_buf_str(&cls->in, weft_buf_view(&text));
    if (text.failed) s->out.failed = true;
    weft_buf_clear(&text);
    return false;
}

static uint32_t literal(struct scanner *s)
{
    size_t n;
    uint32_t cp = weft_unicode_next((const unsigned char *)s->p.s + s->at, &n);
    s->at += n;
    return cp;
}

/* The class as PCRE2 has it.  [a\S] is (?:[a]|[^...]); [^a\S] what none of these matches. */
static void write_class(struct scanner *s, bool negated)
{
    struct class *c = &s->cls;
    struct weft_str not_in = weft_buf_view(&c->not_in);
    if (not_in.len) not_in.len--; /* the last | */
    if (!not_in.len) {
        weft_buf_printf(&s->out, negated ? "[^%s]" : "[%s]", c->in.s ? c->in.s : "");
    } else {
        weft_buf_cstr(&s->out, negated ? "(?:(?!" : "(?:");
        if (c->in.len) weft_buf_printf(&s->out, "[%s]|", c->in.s);
        weft_buf_str(&s->out, not_in);
        weft_buf_cstr(&s->out, negated ? ")(?s:.))" : ")");
    }
    if (c->in.failed || c->not_in.failed) s->out.failed = true;
    weft_buf_reset(&c->in);
    weft_buf_reset(&c->not_in);
}

static void scan_class(struct scanner *s)
{
    size_t start = s->at++;
    bool negated = take(s, "^"), any = false;
    if (peek(s, 0) == ']') problem(s, start, "] as the first character of a class; write \\]");
    while (!at_end(s) && peek(s, 0) != ']') {
        uint32_t first, last;
        size_t at = s->at;
        if (peek(s, 0) == '[') problem(s, at, "a class inside a class; write \\[ for the character");
        else if (peek(s, 0) == '&' && peek(s, 1) == '&') problem(s, at, "an intersection of classes");
        any = true;
        if (s->problem) return;
        if (peek(s, 0) == '\\') {
            if (!escape(s, &s->cls, &first)) continue;
        } else {
            first = literal(s);
        }
        last = first;
        if (peek(s, 0) == '-' && peek(s, 1) != ']' && peek(s, 1)) {
            s->at++;
            at = s->at;
            if (peek(s, 0) == '[') problem(s, at, "a class inside a class; write \\[ for the character");
            else if (peek(s, 0) != '\\') last = literal(s);
            else if (!escape(s, &s->cls, &last)) problem(s, at, "a range that ends in a class");
            if (last < first) problem(s, at, "a range that runs backwards");
        }
        if (!s->problem) range(&s->cls.in, first, last);
    }
    if (!take(s, "]")) problem(s, start, "a class without its ]");
    if (!any) problem(s, start, "an empty class");
    if (!s->problem) write_class(s, negated);
}

/* (?...) openings that mean the same in both languages. */
static void scan_group(struct scanner *s)
{
    static const char *const same[] = { "(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:" };
    size_t start = s->at;
    if (++s->depth > MAX_DEPTH) problem(s, start, "groups nested more than 64 deep");
    for (size_t i = 0; i < WEFT_COUNT(same); i++)
        if (take(s, same[i])) {
            weft_buf_cstr(&s->out, same[i]);
            return;
        }
    if (take(s, "(?m:")) { /* there the dot matches line ends under m, here under s */
        weft_buf_cstr(&s->out, "(?s:");
        return;
    }
    if (start == 0 && take(s, "(?i)")) {
        weft_buf_cstr(&s->out, "(?i)");
        s->depth--;
        return;
    }
    if (peek(s, 1) == '?') problem(s, start, "this kind of group");
    s->at++;
    weft_buf_cstr(&s->out, "(?:"); /* nobody asks for captures */
}

/* {m}, {m,}, {,n}, {m,n} at s->at; false when the brace is a character. */
static bool braces(struct scanner *s, unsigned *min, unsigned *max, bool *open)
{
    size_t i = s->at + 1;
    unsigned v[2] = { 0, 0 };
    bool have[2] = { false, false }, comma = false;
    for (; i < s->p.len && s->p.s[i] != '}'; i++) {
        char c = s->p.s[i];
        if (c == ',' && !comma) comma = true;
        else if (c >= '0' && c <= '9' && v[comma] <= WEFT_REGEX_MAX_REPEAT)
            v[comma] = v[comma] * 10 + (unsigned)(c - '0'), have[comma] = true;
        else if (c < '0' || c > '9') return false;
    }
    if (i >= s->p.len || (!have[0] && !have[1])) return false;
    *min = v[0];
    *max = comma ? v[1] : v[0];
    *open = comma && !have[1];
    if (*min > WEFT_REGEX_MAX_REPEAT || (!*open && *max > WEFT_REGEX_MAX_REPEAT))
        problem(s, s->at, "a repetition of more than 1,000");
    else if (!*open && *max < *min) problem(s, s->at, "a repetition that runs backwards");
    s->at = i + 1;
    return true;
}

/* A quantifier behind the atom that was written from `atom` on. */
static void scan_quantifier(struct scanner *s, size_t atom)
{
    size_t start = s->at;
    char c = peek(s, 0);
    unsigned min, max;
    bool open;
    if (c == '?' || c == '*' || c == '+') {
        s->at++;
        weft_buf_char(&s->out, c);
        if (peek(s, 0) == '?' || peek(s, 0) == '+')
            weft_buf_char(&s->out, s->p.s[s->at++]); /* lazy, possessive */
    } else if (c == '{' && braces(s, &min, &max, &open)) {
        if (open) weft_buf_printf(&s->out, "{%u,}", min);
        else weft_buf_printf(&s->out, "{%u,%u}", min, max);
        if (peek(s, 0) == '?' && s->p.s[start + 1] != ',' && memchr(s->p.s + start, ',', s->at - start)) {
            weft_buf_char(&s->out, s->p.s[s->at++]);
        } else if (peek(s, 0) == '+') { /* not possessive there: the repetition is repeated */
            s->at++;
            struct weft_buf rest = { 0 };
            weft_buf_add(&rest, s->out.s + atom, s->out.len - atom);
            s->out.len = atom;
            weft_buf_printf(&s->out, "(?:%.*s)+", (int)rest.len, rest.s);
            if (rest.failed) s->out.failed = true;
            weft_buf_clear(&rest);
        }
    } else {
        return;
    }
    c = peek(s, 0);
    if (c == '?' || c == '*' || c == '+' || (c == '{' && braces(s, &min, &max, &open)))
        problem(s, start, "a repetition of a repetition");
}

/* The whole pattern.  Group starts are kept so that a quantifier behind ) knows its atom. */
static void scan(struct scanner *s)
{
    size_t starts[MAX_DEPTH + 1];
    while (!at_end(s)) {
        size_t start = s->at, atom = s->out.len;
        char c = peek(s, 0);
        uint32_t cp;
        if (c == '|') {
            s->at++;
            weft_buf_char(&s->out, '|');
            continue;
        }
        if (c == '(') {
            int depth = s->depth;
            scan_group(s);
            if (!s->problem && s->depth > depth) starts[s->depth] = atom;
            continue;
        }
        if (c == ')') {
            if (!s->depth) problem(s, start, ") without (");
            if (s->problem) return;
            s->at++;
            weft_buf_char(&s->out, ')');
            scan_quantifier(s, starts[s->depth--]);
            continue;
        }
        if (c == '^' || c == '$') {
            s->at++;
            weft_buf_char(&s->out, c);
            continue;
        }
        if (c == '\\' && strchr("bBAzZ", peek(s, 1)) && peek(s, 1)) {
            if (peek(s, 1) == 'b' || peek(s, 1) == 'B') problem(s, start, "a word boundary");
            weft_buf_add(&s->out, s->p.s + s->at, 2);
            s->at += 2;
            continue;
        }
        if (c == '?' || c == '*' || c == '+') {
            problem(s, start, "a repetition of nothing");
            return;
        }
        if (c == '[') {
            scan_class(s);
        } else if (c == '.') {
            s->at++;
            weft_buf_char(&s->out, '.');
        } else if (c == '\\') {
            if (escape(s, &s->cls, &cp)) range(&s->out, cp, cp);
            else if (!s->problem) write_class(s, false);
        } else {
            cp = literal(s);
            range(&s->out, cp, cp);
        }
        if (!s->problem) scan_quantifier(s, atom);
    }
    if (s->depth) problem(s, s->p.len, "( without )");
}

/* ---- compile ---- */

static enum weft_status compile(struct weft_regex *r, const char *place, struct weft_str text,
                                struct weft_err *err)
{
    int code;
    PCRE2_SIZE at;
    size_t size = 0;
    /* ^ and $ look at lines, as they do there; . does not match LF; CR and the others are characters. */
    r->code = pcre2_compile((PCRE2_SPTR)text.s, text.len,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK, &code, &at, NULL);
    if (!r->code) {
        char why[120];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        return weft_fail_rule(err, WEFT_EINPUT, "TK6", "%s: the pattern %s cannot be compiled: %s", place,
                              r->shown, why);
    }
    pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &size);
    if (size > MAX_COMPILED_BYTES)
        return weft_fail_rule(err, WEFT_ELIMIT, "TK6",
                              "%s: the pattern %s needs %zu bytes compiled; at most %d are allowed", place,
                              r->shown, size, MAX_COMPILED_BYTES);
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it the interpreter matches, more slowly */
    return WEFT_OK;
}

enum weft_status weft_regex_new(struct weft_regex **out, const char *place, struct weft_str pattern,
                                struct weft_err *err)
{
    struct scanner s = { .p = pattern };
    struct weft_regex *r = calloc(1, sizeof *r);
    enum weft_status st;
    *out = NULL;
    if (!r) return weft_fail_nomem(err, sizeof *r, "pattern");
    weft_escape(r->shown, sizeof r->shown, pattern);
    if (pattern.len > WEFT_REGEX_MAX_PATTERN) {
        st = weft_fail_rule(err, WEFT_ELIMIT, "TK6", "%s: the pattern has %zu bytes; at most %d are allowed",
                            place, pattern.len, WEFT_REGEX_MAX_PATTERN);
        goto done;
    }
    scan(&s);
    if (s.problem) {
        char shown[40];
        st = weft_fail_rule(
            err, WEFT_EINPUT, "TK6", "%s: the pattern is not supported at byte %zu (%s): %s", place,
            s.problem_at,
            weft_escape(shown, sizeof shown, weft_str_sub(pattern, s.problem_at, s.problem_at + 20)),
            weft_tr(err ? err->lang : WEFT_LANG_EN, s.problem));
        goto done;
    }
    st = weft_buf_check(&s.out, "pattern", err);
    if (!st) st = compile(r, place, s.out.len ? weft_buf_view(&s.out) : WEFT_STR(""), err);
done:
    weft_buf_clear(&s.out);
    weft_buf_clear(&s.cls.in);
    weft_buf_clear(&s.cls.not_in);
    if (st) weft_regex_free(r);
    else *out = r;
    return st;
}

void weft_regex_free(struct weft_regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    free(r);
}

/* ---- match ---- */

enum { JIT_STACK_BYTES = 1 << 20, HEAP_LIMIT_KIB = 64 << 10 };

void weft_regex_scratch_clear(struct weft_regex_scratch *s)
{
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->context);
    pcre2_jit_stack_free(s->stack);
    *s = (struct weft_regex_scratch){ 0 };
}

static enum weft_status scratch_init(struct weft_regex_scratch *s, struct weft_err *err)
{
    if (s->data) return WEFT_OK;
    s->data = pcre2_match_data_create(1, NULL);
    s->context = pcre2_match_context_create(NULL);
    s->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_BYTES, NULL);
    if (!s->data || !s->context || !s->stack) {
        weft_regex_scratch_clear(s);
        return weft_fail_nomem(err, JIT_STACK_BYTES, "pattern matching");
    }
    pcre2_set_match_limit(s->context, WEFT_REGEX_MAX_STEPS);
    pcre2_set_heap_limit(s->context, HEAP_LIMIT_KIB);
    pcre2_jit_stack_assign(s->context, NULL, s->stack);
    return WEFT_OK;
}

/* One match at or after `from`. */
static enum weft_status match(const struct weft_regex *r, struct weft_regex_scratch *s, struct weft_str text,
                              size_t from, bool *found, size_t *begin, size_t *end, struct weft_err *err)
{
    int n = pcre2_match(r->code, (PCRE2_SPTR)(text.s ? text.s : ""), text.len, from, PCRE2_NO_UTF_CHECK,
                        s->data, s->context);
    if (n == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter keeps its stack on the heap */
        n = pcre2_match(r->code, (PCRE2_SPTR)(text.s ? text.s : ""), text.len, from,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, s->data, s->context);
    *found = n >= 0;
    if (n == PCRE2_ERROR_NOMATCH) return WEFT_OK;
    if (n == PCRE2_ERROR_MATCHLIMIT || n == PCRE2_ERROR_HEAPLIMIT || n == PCRE2_ERROR_DEPTHLIMIT
        || n == PCRE2_ERROR_JIT_STACKLIMIT)
        return weft_fail_rule(err, WEFT_ELIMIT, "TK6",
                              "byte %zu of the text: the pattern %s takes more than %d steps to match", from,
                              r->shown, WEFT_REGEX_MAX_STEPS);
    if (n < 0) {
        char why[120];
        pcre2_get_error_message(n, (PCRE2_UCHAR *)why, sizeof why);
        return weft_fail_rule(err, WEFT_EINPUT, "TK6", "byte %zu of the text: the pattern %s fails: %s", from,
                              r->shown, why);
    }
    const PCRE2_SIZE *where = pcre2_get_ovector_pointer(s->data);
    *begin = where[0];
    *end = weft_max_size(where[1], where[0]);
    return WEFT_OK;
}

enum weft_status weft_regex_next(const struct weft_regex *r, struct weft_regex_scratch *s,
                                 struct weft_str text, struct weft_regex_walk *walk, bool *found,
                                 size_t *begin, size_t *end, struct weft_err *err)
{
    enum weft_status st = scratch_init(s, err);
    *found = false;
    while (!st && walk->at <= text.len) {
        st = match(r, s, text, walk->at, found, begin, end, err);
        if (st || !*found) return st;
        if (*begin == *end && *end == walk->last_end) { /* nothing, directly behind the last match */
            size_t n = 1;
            if (walk->at < text.len) weft_unicode_next((const unsigned char *)text.s + walk->at, &n);
            walk->at += n;
            *found = false;
            continue;
        }
        walk->at = walk->last_end = *end;
        return WEFT_OK;
    }
    return st;
}
