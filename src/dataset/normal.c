#include "dataset/normal.h"

#include "base/wide.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

bool weft_is_space(uint32_t cp)
{
    switch (cp) {
    case ' ': case '\t': case '\r': case '\n': case '\v': case '\f': case 0x85: case 0xA0: case 0x1680: case 0x2028:
    case 0x2029: case 0x202F: case 0x205F: case 0x3000: case 0x200B: case 0xFEFF: return true;
    default: return cp >= 0x2000 && cp <= 0x200A;
    }
}

/* White space that begins at a, with b and c behind it; b and c may be anything when a does not ask for them. */
static inline unsigned char is_space_of(unsigned char a, unsigned char b, unsigned char c)
{
    unsigned ascii = (unsigned)(a == ' ') | (unsigned)((unsigned char)(a - '\t') <= '\r' - '\t');
    unsigned c2 = (unsigned)(a == 0xC2) & ((unsigned)(b == 0x85) | (unsigned)(b == 0xA0));
    unsigned general =
        (unsigned)(b == 0x80) & ((unsigned)(c <= 0x8B) | (unsigned)((c & 0xFE) == 0xA8) | (unsigned)(c == 0xAF));
    unsigned e2 = (unsigned)(a == 0xE2) & (general | ((unsigned)(b == 0x81) & (unsigned)(c == 0x9F)));
    unsigned other = ((unsigned)(a == 0xE3) & (unsigned)(b == 0x80) & (unsigned)(c == 0x80))
                     | ((unsigned)(a == 0xEF) & (unsigned)(b == 0xBB) & (unsigned)(c == 0xBF))
                     | ((unsigned)(a == 0xE1) & (unsigned)(b == 0x9A) & (unsigned)(c == 0x80));
    return (unsigned char)(ascii | c2 | e2 | other);
}

/* In steps whose counts fit into bytes: comparisons alone, which compilers turn into vectors. */
enum { COUNT_STEP = 192 };

static inline size_t count_steps(const unsigned char *p, size_t steps)
{
    size_t n = 0;
    for (; steps; steps--, p += COUNT_STEP) {
        unsigned char some = 0;
        for (size_t i = 0; i < COUNT_STEP; i++) some = (unsigned char)(some + is_space_of(p[i], p[i + 1], p[i + 2]));
        n += some;
    }
    return n;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static size_t count_steps_avx2(const unsigned char *p, size_t steps)
{
    return count_steps(p, steps);
}
#endif

size_t weft_count_spaces(struct weft_str s)
{
    const unsigned char *p = (const unsigned char *)s.s;
    size_t steps = s.len > 2 ? (s.len - 2) / COUNT_STEP : 0, n, i = steps * COUNT_STEP;
#if defined(__x86_64__)
    if (steps && __builtin_cpu_supports("avx2")) n = count_steps_avx2(p, steps);
    else
#endif
        n = count_steps(p, steps);
    for (; i < s.len; i++) n += is_space_of(p[i], i + 1 < s.len ? p[i + 1] : 0, i + 2 < s.len ? p[i + 2] : 0);
    return n;
}

struct weft_str weft_trim_left_space(struct weft_str s)
{
    while (s.len && weft_may_be_space((unsigned char)s.s[0])) {
        uint32_t cp;
        size_t n = weft_utf8_decode(s.s, s.len, &cp, NULL);
        if (!weft_is_space(cp)) break;
        s = weft_str_skip(s, n);
    }
    return s;
}

struct weft_str weft_trim_right_space(struct weft_str s)
{
    while (s.len && !weft_ends_in_ink(s)) {
        size_t at = s.len - 1;
        uint32_t cp;
        while (at && ((unsigned char)s.s[at] & 0xC0) == 0x80 && s.len - at < 4) at--;
        weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!weft_is_space(cp)) break;
        s.len = at;
    }
    return s;
}

/* Characters that NFC neither changes nor combines with a neighbour: nearly all of any text. */
static bool is_inert(uint32_t cp)
{
    return cp < 0x300 || (cp >= 0x2010 && cp <= 0x205E) || (cp >= 0x2460 && cp <= 0x27FF) ||
           (cp >= 0x3000 && cp <= 0x3029) || (cp >= 0x3030 && cp <= 0x3098) || (cp >= 0x309B && cp <= 0x9FFF) ||
           (cp >= 0xE000 && cp <= 0xF8FF) || (cp >= 0xFE30 && cp <= 0xFE6F) || (cp >= 0xFF00 && cp <= 0xFFEF) ||
           (cp >= 0x1F000 && cp <= 0x1FAFF) || (cp >= 0x20000 && cp <= 0x2F7FF);
}

/* ---- the next character that matters ---- */

/* Most text is letters that NFC leaves alone, single spaces, and the marks of Chinese and English.  The rest is looked
 * at one by one: white space of any kind, and whatever may not be inert. */
static inline bool is_doubtful(struct weft_str s, size_t at)
{
    unsigned char c = (unsigned char)s.s[at];
    if (c == ' ') return at + 1 < s.len && s.s[at + 1] == ' ';
    if (c < 0x20) return true;
    if (c < 0xC0 || (c >= 0xC3 && c <= 0xCB) || (c >= 0xE4 && c <= 0xE9)) return false;
    if (s.len - at < 3) return true;
    unsigned char second = (unsigned char)s.s[at + 1], third = (unsigned char)s.s[at + 2];
    if (c == 0xEF) return second != 0xBC;
    bool mark = (c == 0xE2 && third >= 0x90 && third <= 0xA7) || (c == 0xE3 && third >= 0x81 && third <= 0xA9);
    return second != 0x80 || !mark;
}

/* Offset of the first byte at or after `at` that begins a doubtful character, or s.len.  C3..CB begin U+00C0..U+02FF,
 * E4..E9 U+4000..U+9FFF; EF BC are U+FF00..U+FF3F, E2 80 90..A7 U+2010..U+2027, E3 80 81..A9 U+3001..U+3029. */
#if defined(__x86_64__)
/* The same code for sixteen bytes, which every processor of this kind can, and for thirty-two with AVX2, chosen while
 * the program runs.  No branches: whether a block has a mark in it nobody can foresee.  V: load, min, max, subtract,
 * equal, and, or, andnot, all alike, movemask. */
#define DOUBTFUL_OF_BLOCK(p, VECTOR, LOAD, MIN, MAX, SUB, EQ, AND, OR, ANDNOT, ALL, MASK)                             \
    VECTOR v = LOAD((const void *)(p)), second = LOAD((const void *)((p) + 1)), third = LOAD((const void *)((p) + 2)); \
    VECTOR latin = SUB(v, ALL((char)0xC3)), han = SUB(v, ALL((char)0xE4)), t2 = SUB(third, ALL((char)0x90)),           \
           t3 = SUB(third, ALL((char)0x81)), is80 = EQ(second, ALL((char)0x80));                                      \
    VECTOR fine = OR(EQ(MIN(latin, ALL(0xCB - 0xC3)), latin), EQ(MIN(han, ALL(0xE9 - 0xE4)), han));                    \
    fine = OR(fine, AND(EQ(v, ALL((char)0xEF)), EQ(second, ALL((char)0xBC))));                                         \
    fine = OR(fine, AND(AND(EQ(v, ALL((char)0xE2)), is80), EQ(MIN(t2, ALL(0xA7 - 0x90)), t2)));                        \
    fine = OR(fine, AND(AND(EQ(v, ALL((char)0xE3)), is80), EQ(MIN(t3, ALL(0xA9 - 0x81)), t3)));                        \
    VECTOR doubtful = ANDNOT(fine, EQ(MAX(v, ALL((char)0xC0)), v));                                                    \
    VECTOR low = OR(EQ(MIN(v, ALL(0x1F)), v), AND(EQ(v, ALL(' ')), EQ(second, ALL(' '))));                             \
    return (unsigned)MASK(OR(low, doubtful))

enum { BLOCK = 16, BLOCK_READS = BLOCK + 2, WIDE = 32, WIDE_READS = WIDE + 2 };

/* Which of the 16 bytes at p begin one; reads 18. */
static inline unsigned doubtful_of_block(const char *p)
{
    DOUBTFUL_OF_BLOCK(p, __m128i, _mm_loadu_si128, _mm_min_epu8, _mm_max_epu8, _mm_sub_epi8, _mm_cmpeq_epi8,
                      _mm_and_si128, _mm_or_si128, _mm_andnot_si128, _mm_set1_epi8, _mm_movemask_epi8);
}

/* Of the 32 bytes at p; reads 34. */
__attribute__((target("avx2"))) static inline unsigned doubtful_of_wide(const char *p)
{
    DOUBTFUL_OF_BLOCK(p, __m256i, _mm256_loadu_si256, _mm256_min_epu8, _mm256_max_epu8, _mm256_sub_epi8,
                      _mm256_cmpeq_epi8, _mm256_and_si256, _mm256_or_si256, _mm256_andnot_si256, _mm256_set1_epi8,
                      _mm256_movemask_epi8);
}

/* On to the first block of 32 with one in it, or to where less than that is left. */
__attribute__((target("avx2"))) static size_t skip_wide(struct weft_str s, size_t at, unsigned *hit)
{
    for (*hit = 0; at + WIDE_READS <= s.len; at += WIDE)
        if ((*hit = doubtful_of_wide(s.s + at))) break;
    return at;
}
#endif

static size_t next_doubtful(struct weft_str s, size_t at)
{
#if defined(__x86_64__)
    if (s.len - at >= 2 * WIDE && __builtin_cpu_supports("avx2")) {
        unsigned hit;
        at = skip_wide(s, at, &hit);
        if (hit) return at + (size_t)__builtin_ctz(hit);
    }
    for (; at + BLOCK_READS <= s.len; at += BLOCK) {
        unsigned hit = doubtful_of_block(s.s + at);
        if (hit) return at + (size_t)__builtin_ctz(hit);
    }
    if (s.len >= BLOCK_READS && at < s.len - 2) { /* once more, over bytes that were fine; two are left */
        size_t from = s.len - BLOCK_READS;
        unsigned hit = doubtful_of_block(s.s + from) >> (at - from);
        if (hit) return at + (size_t)__builtin_ctz(hit);
        at = s.len - 2;
    }
#endif
    while (at < s.len && !is_doubtful(s, at)) at++;
    return at;
}

/* White space that is not a single ' ', in order; those that found no room are looked for again. */
enum { FOLDS = 64 };
struct folds {
    size_t n, at[FOLDS];
    unsigned char width[FOLDS];
};

/* Is all of s inert?  Keeps the first folds it meets on the way. */
static bool look(struct weft_str s, struct folds *f)
{
    f->n = 0;
    for (size_t at = 0; (at = next_doubtful(s, at)) < s.len;) {
        uint32_t cp = (unsigned char)s.s[at];
        size_t n = 1;
        if (cp >= 0x80) n = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (!is_inert(cp)) return false;
        if (f->n < FOLDS && weft_is_space(cp)) {
            f->at[f->n] = at;
            f->width[f->n++] = (unsigned char)n;
        }
        at += n;
    }
    return true;
}

bool weft_nfc_keeps(struct weft_str s)
{
    struct folds ignored;
    return look(s, &ignored);
}

struct weft_str weft_nfc(struct weft_arena *a, struct weft_str s)
{
    struct weft_str out = { NULL, 0 };
    utf8proc_uint8_t *composed = NULL;
    if (weft_nfc_keeps(s)) return s.s ? s : (struct weft_str){ "", 0 };
    utf8proc_ssize_t len = utf8proc_map((const utf8proc_uint8_t *)s.s, (utf8proc_ssize_t)s.len, &composed,
                                        UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (len == UTF8PROC_ERROR_INVALIDUTF8) return s;        /* not ours to judge here */
    if (len >= 0) out = weft_str_dup(a, (struct weft_str){ (const char *)composed, (size_t)len });
    free(composed);
    return out;
}

/* The first fold at or after `from`, with its length; s.len: there is none.  *k: how many of the list are past. */
static size_t next_fold(struct weft_str s, const struct folds *f, size_t *k, size_t from, size_t *width)
{
    for (; *k < f->n; ++*k)
        if (f->at[*k] >= from) {
            *width = f->width[*k];
            return f->at[(*k)++];
        }
    if (f->n && f->n < FOLDS) return s.len;     /* the list was all there are */
    for (size_t at = from; (at = next_doubtful(s, at)) < s.len; at += *width) {
        uint32_t cp = (unsigned char)s.s[at];
        *width = 1;
        if (cp >= 0x80) *width = weft_utf8_decode(s.s + at, s.len - at, &cp, NULL);
        if (weft_is_space(cp)) return at;
    }
    return s.len;
}

/* White space of `s`, all whose characters are inert, folded. */
static struct weft_str fold(struct weft_arena *a, struct weft_str s, const struct folds *folds)
{
    size_t width, from = 0, n = 0, k = 0;
    size_t at = next_fold(s, folds, &k, 0, &width);
    if (at == s.len) return s;
    char *out = weft_arena_alloc(a, s.len + 1);
    if (!out) return (struct weft_str){ NULL, 0 };
    while (at < s.len) {        /* what stands before it, and one space unless that ends in one */
        memcpy(out + n, s.s + from, at - from);
        n += at - from;
        if (!n || out[n - 1] != ' ') out[n++] = ' ';
        from = at + width;
        while (from < s.len && s.s[from] == ' ') from++;    /* the same run still */
        at = next_fold(s, folds, &k, from, &width);
    }
    memcpy(out + n, s.s + from, s.len - from);
    n += s.len - from;
    out[n] = 0;
    return (struct weft_str){ out, n };
}

struct weft_str weft_normalise(struct weft_arena *a, struct weft_str s)
{
    struct folds folds;
    s = weft_trim(s);
    if (!look(s, &folds)) {
        s = weft_nfc(a, s);
        if (!s.s) return s;
        folds.n = 0;
    } else if (!folds.n) return s.s ? s : (struct weft_str){ "", 0 };
    return fold(a, s, &folds);
}

/* ---- one look for everything ---- */

void weft_survey_plain(struct weft_str s, struct weft_survey *out)
{
    out->chars = weft_utf8_chars_of_valid(s);
    out->bracket = s.len && (memchr(s.s, '<', s.len) || memchr(s.s, '[', s.len));
    out->n_spots = 0;
    for (size_t at = 0; out->n_spots <= WEFT_SPOTS && (at = next_doubtful(s, at)) < s.len; at++)
        if (out->n_spots++ < WEFT_SPOTS) out->spots[out->n_spots - 1] = at;
}

#if defined(__x86_64__)
/* What is fine is said at next_doubtful; here by three tables, for the low six bits of a lead and of the two bytes
 * behind it.  A lead says what may be wrong with it, the others what is wrong where they stand: 1 always, 2 unless BC
 * comes second, 4 unless 80 and 90..A7 follow, 8 unless 80 and 81..A9. */
static const char lead_faults[] =
    "\1\1\1"                                                                    /* C0 ... C2 */
    "\0\0\0\0\0\0\0\0\0"                                                        /* C3 ... CB */
    "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"                              /* CC ... E1 */
    "\4\10\0\0\0\0\0\0"                                                         /* E2 ... E9 */
    "\1\1\1\1\1\2"                                                              /* EA ... EF */
    "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1";                                         /* F0 ... FF */
static const char second_faults[] =
    "\3\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17"                 /* 80 ... */
    "\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17"
    "\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17"
    "\15\17\17\17";                                                             /* BC ... BF */
static const char third_faults[] =
    "\14\4\4\4\4\4\4\4\4\4\4\4\4\4\4\4"                                        /* 80 ... 8F */
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"                          /* 90 ... A7 */
    "\4\4"                                                                      /* A8, A9 */
    "\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14\14";       /* AA ... BF */

/* Sixty-four bytes at a time, and the last ones, however few, in one step: most texts are short; behind the text
 * stand zeros. */
WEFT_WIDE static void survey_wide(struct weft_str s, struct weft_survey *out)
{
    const __m512i leads = _mm512_loadu_si512(lead_faults), seconds = _mm512_loadu_si512(second_faults),
                  thirds = _mm512_loadu_si512(third_faults), space = _mm512_set1_epi8(' ');
    uint64_t brackets = 0;
    size_t chars = 0, n = 0;
    for (size_t at = 0; at < s.len; at += 64) {
        const char *p = s.s + at;
        size_t left = s.len - at;
        __m512i v = weft_wide_load(p, left), second = weft_wide_load(p + 1, left - 1),
                third = left < 2 ? _mm512_setzero_si512() : weft_wide_load(p + 2, left - 2);
        uint64_t here = weft_wide_here(left);
        uint64_t begins = here & _mm512_cmpgt_epi8_mask(v, _mm512_set1_epi8((char)0xBF));
        chars += (size_t)_mm_popcnt_u64(begins);
        brackets |= _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('<')) | _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('['));
        if (n > WEFT_SPOTS) continue;
        __m512i lead = _mm512_permutexvar_epi8(v, leads), behind = _mm512_or_si512(
                    _mm512_permutexvar_epi8(second, seconds), _mm512_permutexvar_epi8(third, thirds));
        uint64_t spots = _mm512_mask_test_epi8_mask(begins & _mm512_movepi8_mask(v), lead, behind);
        spots |= _mm512_mask_cmplt_epu8_mask(here, v, space)
                 | _mm512_mask_cmpeq_epi8_mask(_mm512_cmpeq_epi8_mask(v, space), second, space);
        for (; spots && n <= WEFT_SPOTS; spots &= spots - 1)
            if (n++ < WEFT_SPOTS) out->spots[n - 1] = at + (size_t)__builtin_ctzll(spots);
    }
    out->chars = chars;
    out->bracket = brackets != 0;
    out->n_spots = n;
}
#endif

void weft_survey(struct weft_str s, struct weft_survey *out)
{
#if defined(__x86_64__)
    if (weft_wide()) {
        survey_wide(s, out);
        return;
    }
#endif
    weft_survey_plain(s, out);
}

struct weft_str weft_normalise_surveyed(struct weft_arena *a, struct weft_str s, struct weft_str trimmed,
                                        const struct weft_survey *survey)
{
    struct folds folds;
    size_t before = (size_t)(trimmed.s - s.s);
    folds.n = 0;
    if (!trimmed.len || !survey->n_spots) return trimmed.s ? trimmed : (struct weft_str){ "", 0 };
    if (survey->n_spots > WEFT_SPOTS) return weft_normalise(a, trimmed);
    for (size_t i = 0; i < survey->n_spots; i++) {
        size_t at = survey->spots[i] - before, n = 1; /* beyond the text when it was trimmed off before it */
        if (at >= trimmed.len) continue;
        uint32_t cp = (unsigned char)trimmed.s[at];
        if (cp >= 0x80) n = weft_utf8_decode(trimmed.s + at, trimmed.len - at, &cp, NULL);
        if (!is_inert(cp)) return weft_normalise(a, trimmed);
        if (weft_is_space(cp)) {
            folds.at[folds.n] = at;
            folds.width[folds.n++] = (unsigned char)n;
        }
    }
    return folds.n ? fold(a, trimmed, &folds) : trimmed;
}
