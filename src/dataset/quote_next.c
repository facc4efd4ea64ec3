/* Between two quotes lie some hundred characters.  Thirty-two bytes are looked at together: a mark is a byte, or three
 * bytes one behind the other, so the same comparisons are made on the text moved by one and by two. */
#include "dataset/quote_next.h"

#include "dataset/marks.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static bool is_mark(uint32_t cp) { return cp == '\n' || mark_closer_of(cp) || mark_is_quote_closer(cp); }

#if defined(__x86_64__)
enum { BLOCK = 32, BLOCK_READS = BLOCK + 2 };

/* low <= v <= high, unsigned. */
__attribute__((target("avx2"))) static inline __m256i within(__m256i v, int low, int high)
{
    __m256i from = _mm256_sub_epi8(v, _mm256_set1_epi8((char)low));
    return _mm256_cmpeq_epi8(_mm256_min_epu8(from, _mm256_set1_epi8((char)(high - low))), from);
}

__attribute__((target("avx2"))) static inline __m256i is(__m256i v, int byte)
{
    return _mm256_cmpeq_epi8(v, _mm256_set1_epi8((char)byte));
}

/* Which of the 32 bytes at p begin a mark, and a few that begin none; reads 34. */
__attribute__((target("avx2"))) static inline unsigned marks_of_block(const char *p)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)p),
            b = _mm256_loadu_si256((const __m256i *)(const void *)(p + 1)),
            c = _mm256_loadu_si256((const __m256i *)(const void *)(p + 2));
    __m256i curly = _mm256_and_si256(is(a, 0xE2), within(c, 0x98, 0x9D)),           /* U+2018..U+201D */
            corner = _mm256_and_si256(is(a, 0xE3), within(c, 0x8C, 0x9E));          /* U+300C..U+301E */
    __m256i of_80 = _mm256_and_si256(is(b, 0x80), _mm256_or_si256(curly, corner));
    __m256i full = _mm256_and_si256(is(b, 0xBC), is(c, 0x82)),                      /* U+FF02 */
            half = _mm256_and_si256(is(b, 0xBD), within(c, 0xA2, 0xA3));            /* U+FF62, U+FF63 */
    __m256i of_ef = _mm256_and_si256(is(a, 0xEF), _mm256_or_si256(full, half));
    __m256i ascii = _mm256_or_si256(is(a, '"'), is(a, '\n'));
    return (unsigned)_mm256_movemask_epi8(_mm256_or_si256(ascii, _mm256_or_si256(of_80, of_ef)));
}

__attribute__((target("avx2"))) static size_t next_avx2(struct weft_str s, size_t at, size_t to)
{
    for (; at + BLOCK_READS <= to; at += BLOCK)
        for (unsigned hits = marks_of_block(s.s + at); hits; hits &= hits - 1) {
            size_t i = at + (size_t)__builtin_ctz(hits);
            if (is_mark(mark_at(s, i))) return i;
        }
    return at;
}
#endif

size_t quote_next(struct weft_str s, size_t from, size_t to)
{
    size_t at = from;
#if defined(__x86_64__)
    if (to - from >= BLOCK_READS && __builtin_cpu_supports("avx2")) at = next_avx2(s, from, to);
#endif
    for (; at < to; at++) {
        unsigned char c = (unsigned char)s.s[at];
        bool may = c == '\n' || c == '"' || c == 0xE2 || c == 0xE3 || c == 0xEF;
        if (may && is_mark(mark_at(s, at))) break;
    }
    return at;
}
