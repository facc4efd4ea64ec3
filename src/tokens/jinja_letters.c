/* Upper, lower and title case, lines, and replacing: all keep the tags of the bytes they leave or change. */
#include "tokens/jinja_value.h"

#include <stdio.h>
#include <utf8proc.h>

static const struct special_case {
    uint32_t cp;
    const char *upper, *title;
} special_cases[] = {
#include "tokens/jinja_case.inc"
};

static const struct special_case *special_case(uint32_t cp)
{
    size_t lo = 0, hi = WEFT_COUNT(special_cases);
    if (cp < special_cases[0].cp) return NULL;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (special_cases[mid].cp == cp) return &special_cases[mid];
        if (special_cases[mid].cp < cp) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

static bool is_cased(uint32_t cp)
{
    if (cp < 0x80) return (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z';
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT
           || utf8proc_toupper((utf8proc_int32_t)cp) != (utf8proc_int32_t)cp
           || utf8proc_tolower((utf8proc_int32_t)cp) != (utf8proc_int32_t)cp;
}

/* A capital sigma at the end of a word becomes another small letter than elsewhere. */
static bool final_sigma(const struct jj_string *s, size_t at, size_t next, uint32_t before)
{
    uint32_t cp = 0;
    if (next < s->len) weft_utf8_decode(s->s + next, s->len - next, &cp, NULL);
    return at && is_cased(before) && !(cp && is_cased(cp));
}

/* How the character at [at, next) reads in the case wanted; `before` is the one in front of it. */
static void change_char(const struct jj_string *s, size_t at, size_t next, uint32_t cp, uint32_t before,
                        enum jj_case how, char out[16])
{
    enum jj_case to = how;
    size_t n;
    if (how == JJ_CAPITALIZE) to = at ? JJ_LOWER : JJ_TITLE;
    else if (how == JJ_TITLE) to = at && is_cased(before) ? JJ_LOWER : JJ_TITLE;
    else if (how == JJ_TITLE_WORDS)
        to = !at || jj_is_space(before) || before == '-' || before == '(' || before == '{' || before == '['
                     || before == '<'
                 ? JJ_UPPER
                 : JJ_LOWER;
    else if (how == JJ_SWAP)
        to = utf8proc_category((utf8proc_int32_t)cp) == UTF8PROC_CATEGORY_LU ? JJ_LOWER : JJ_UPPER;
    const struct special_case *x = to == JJ_LOWER ? NULL : special_case(cp);
    if (x) {
        snprintf(out, 16, "%s", to == JJ_TITLE ? x->title : x->upper);
        return;
    }
    if (to == JJ_LOWER && cp == 0x130) {
        snprintf(out, 16, "i\xcc\x87");
        return;
    }
    if (to == JJ_LOWER && cp == 0x3A3 && final_sigma(s, at, next, before)) cp = 0x3C2;
    else
        cp = (uint32_t)(to == JJ_LOWER   ? utf8proc_tolower((utf8proc_int32_t)cp)
                        : to == JJ_TITLE ? utf8proc_totitle((utf8proc_int32_t)cp)
                                         : utf8proc_toupper((utf8proc_int32_t)cp));
    n = weft_utf8_encode(cp, out);
    out[n] = '\0';
}

bool jj_change_case(struct weft_jinja_run *r, const struct jj_string *s, enum jj_case how,
                    struct weft_jinja_value *out)
{
    struct jj_sink k = { 0 };
    uint32_t span = 0, before = 0;
    size_t done = 0;
    char to[16];
    for (size_t at = 0; at < s->len;) {
        uint32_t cp;
        size_t next = at + weft_utf8_decode(s->s + at, s->len - at, &cp, NULL);
        change_char(s, at, next, cp, before, how, to);
        size_t n = strlen(to);
        if (n != next - at || memcmp(to, s->s + at, n) != 0) {
            while (span < s->n_spans && s->spans[span].end <= at) span++;
            int32_t tag = s->n_spans ? s->spans[span].tag : s->tag;
            if (!jj_put_string(r, &k, s, done, at)
                || !jj_put(r, &k, (struct weft_str){ to, n }, tag, s->n_spans && s->spans[span].generation))
                return false;
            done = next;
        }
        before = cp;
        at = next;
    }
    return jj_put_string(r, &k, s, done, s->len) && jj_sink_value(r, &k, out);
}

bool jj_replace(struct weft_jinja_run *r, const struct jj_string *s, const struct jj_string *old,
                const struct jj_string *with, int64_t count, struct weft_jinja_value *out)
{
    struct weft_str text = { s->s, s->len }, needle = { old->s, old->len };
    struct jj_sink k = { 0 };
    size_t at = 0;
    for (size_t hit = 0; count != 0; count--) {
        if (!needle.len) { /* between all characters, and at both ends */
            if (!jj_put_string(r, &k, with, 0, with->len)) return false;
            if (at >= s->len) break;
            hit = at + weft_utf8_offset(weft_str_skip(text, at), 1);
            if (!jj_put_string(r, &k, s, at, hit)) return false;
            at = hit;
            continue;
        }
        hit = weft_str_find(text, needle, at);
        if (hit == SIZE_MAX) break;
        if (!jj_put_string(r, &k, s, at, hit) || !jj_put_string(r, &k, with, 0, with->len)) return false;
        at = hit + needle.len;
    }
    return jj_put_string(r, &k, s, at, s->len) && jj_sink_value(r, &k, out);
}

void jj_line(const struct jj_string *s, size_t at, size_t *end, size_t *next)
{
    while (at < s->len) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s->s + at, s->len - at, &cp, NULL);
        if ((cp >= 0x0A && cp <= 0x0D) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 || cp == 0x2028
            || cp == 0x2029) {
            *end = at;
            *next = at + n + (cp == '\r' && at + 1 < s->len && s->s[at + 1] == '\n');
            return;
        }
        at += n;
    }
    *end = *next = s->len;
}
