/* Whole texts: is this UTF-8, and how many characters are it.
 *
 * The check with AVX2 follows J. Keiser, D. Lemire, "Validating UTF-8 in less than one instruction per byte" (2021):
 * every pair of neighbouring bytes is looked up by three of its four nibbles; each table gives a set of faults that
 * this nibble allows, and what all three allow is a fault (or a continuation byte after another one, which is right
 * exactly when the lead two or three bytes earlier wants it).  It only says yes or no; where the fault lies is found
 * by the careful way, and so is the answer on other processors and for texts too short to gain.
 *
 * The instructions are chosen while the program runs.  They stand here and not in kernels/, which is above base/. */
#include "base/utf8_parts.h"
#include "base/wide.h"

#if defined(__x86_64__)

enum { SHORT_TEXT = 16 };

/* Faults of a pair of bytes. */
enum {
    TOO_SHORT = 1 << 0,  /* a lead, and no continuation after it */
    TOO_LONG = 1 << 1,   /* ASCII, and a continuation after it */
    OVERLONG_3 = 1 << 2, /* E0 80..9F */
    TOO_LARGE = 1 << 3,  /* F4 90.., F5.. */
    SURROGATE = 1 << 4,  /* ED A0.. */
    OVERLONG_2 = 1 << 5, /* C0, C1 */
    OVERLONG_4 = 1 << 6, /* F0 80..8F, and F5.. 80..8F */
    TWO_CONTS = 1 << 7,  /* no fault by itself */
    ANY_LOW = TOO_SHORT | TOO_LONG | TWO_CONTS
};

/* By the high and the low four bits of the first byte, and the high ones of the second. */
enum { LARGE = ANY_LOW | TOO_LARGE | OVERLONG_4, CONT = TOO_LONG | OVERLONG_2 | TWO_CONTS };
static const unsigned char first_high[16] = {
    TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
    TWO_CONTS, TWO_CONTS, TWO_CONTS, TWO_CONTS,
    TOO_SHORT | OVERLONG_2, TOO_SHORT, TOO_SHORT | OVERLONG_3 | SURROGATE, TOO_SHORT | TOO_LARGE | OVERLONG_4
};
static const unsigned char first_low[16] = {
    ANY_LOW | OVERLONG_3 | OVERLONG_2 | OVERLONG_4, ANY_LOW | OVERLONG_2, ANY_LOW, ANY_LOW, ANY_LOW | TOO_LARGE,
    LARGE, LARGE, LARGE, LARGE, LARGE, LARGE, LARGE, LARGE, LARGE | SURROGATE, LARGE, LARGE
};
static const unsigned char second_high[16] = {
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
    CONT | OVERLONG_3 | OVERLONG_4, CONT | OVERLONG_3 | TOO_LARGE, CONT | SURROGATE | TOO_LARGE,
    CONT | SURROGATE | TOO_LARGE, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT
};

/* The block moved by n bytes, the last ones of the block before in front. */
#define AFTER(block, before, n) \
    _mm256_alignr_epi8(block, _mm256_permute2x128_si256(before, block, 0x21), 16 - (n))

__attribute__((target("avx2"))) static inline __m256i table(const unsigned char t[16])
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)t));
}

__attribute__((target("avx2"))) static inline __m256i nibble_high(__m256i v)
{
    return _mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(0x0F));
}

/* Bytes of `block` that are at fault, given the block before. */
__attribute__((target("avx2"))) static inline __m256i faults(__m256i block, __m256i before)
{
    __m256i prev1 = AFTER(block, before, 1), prev2 = AFTER(block, before, 2), prev3 = AFTER(block, before, 3);
    __m256i pair = _mm256_and_si256(
        _mm256_and_si256(_mm256_shuffle_epi8(table(first_high), nibble_high(prev1)),
                         _mm256_shuffle_epi8(table(first_low), _mm256_and_si256(prev1, _mm256_set1_epi8(0x0F)))),
        _mm256_shuffle_epi8(table(second_high), nibble_high(block)));
    /* High bit where a lead of three or four bytes stands two, of four bytes three, places earlier. */
    __m256i third = _mm256_subs_epu8(prev2, _mm256_set1_epi8((char)(0xE0 - 0x80))),
            fourth = _mm256_subs_epu8(prev3, _mm256_set1_epi8((char)(0xF0 - 0x80)));
    __m256i wanted = _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8((char)0x80));
    return _mm256_xor_si256(pair, wanted);
}

/* Counts too: a character begins at every byte that is no continuation. */
__attribute__((target("avx2,popcnt"))) static bool is_utf8_avx2(struct weft_str s, size_t *chars)
{
    const __m256i last_continuation = _mm256_set1_epi8((char)0xBF);
    __m256i before = _mm256_setzero_si256(), bad = before;
    bool was_ascii = true;
    size_t i = 0, n = 0;
    for (;;) {
        __m256i block;
        size_t left = s.len - i;
        if (left >= 32) block = _mm256_loadu_si256((const __m256i *)(const void *)(s.s + i));
        else { /* zeros behind the text: a character cut short there is followed by ASCII */
            char tail[32] = { 0 };
            memcpy(tail, s.s + i, left);
            block = _mm256_loadu_si256((const __m256i *)(const void *)tail);
        }
        bool ascii = !_mm256_movemask_epi8(block);
        if (!ascii || !was_ascii) bad = _mm256_or_si256(bad, faults(block, before));
        was_ascii = ascii;
        before = block;
        n += (unsigned)__builtin_popcount((unsigned)_mm256_movemask_epi8(_mm256_cmpgt_epi8(block, last_continuation)));
        if (left < 32) break;
        i += 32;
    }
    *chars = n - (32 - (s.len - i)); /* less the zeros */
    return _mm256_testz_si256(bad, bad);
}

WEFT_WIDE static inline __m512i wide_table(const unsigned char t[16])
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)t));
}

/* The same for blocks of 64. */
WEFT_WIDE static bool is_utf8_wide(struct weft_str s, size_t *chars)
{
    const __m512i low = _mm512_set1_epi8(0x0F), high = _mm512_set1_epi8((char)0x80);
    const __m512i t1 = wide_table(first_high), t2 = wide_table(first_low), t3 = wide_table(second_high);
    __m512i before = _mm512_setzero_si512(), bad = before;
    bool was_ascii = true;
    *chars = 0;
    for (size_t i = 0;; i += 64) {
        const uint64_t here = weft_wide_here(s.len - i);
        __m512i block = weft_wide_load(s.s + i, s.len - i);
        bool ascii = !_mm512_movepi8_mask(block);
        *chars += (size_t)_mm_popcnt_u64(here & _mm512_cmpgt_epi8_mask(block, _mm512_set1_epi8((char)0xBF)));
        if (!ascii || !was_ascii) {
            __m512i lanes = _mm512_alignr_epi64(block, before, 6), prev1 = _mm512_alignr_epi8(block, lanes, 15),
                    prev2 = _mm512_alignr_epi8(block, lanes, 14), prev3 = _mm512_alignr_epi8(block, lanes, 13);
            __m512i h1 = _mm512_and_si512(_mm512_srli_epi16(prev1, 4), low),
                    h2 = _mm512_and_si512(_mm512_srli_epi16(block, 4), low);
            __m512i pair = _mm512_and_si512(
                _mm512_and_si512(_mm512_shuffle_epi8(t1, h1), _mm512_shuffle_epi8(t2, _mm512_and_si512(prev1, low))),
                _mm512_shuffle_epi8(t3, h2));
            __m512i third = _mm512_subs_epu8(prev2, _mm512_set1_epi8((char)(0xE0 - 0x80))),
                    fourth = _mm512_subs_epu8(prev3, _mm512_set1_epi8((char)(0xF0 - 0x80)));
            __m512i wanted = _mm512_and_si512(_mm512_or_si512(third, fourth), high);
            bad = _mm512_or_si512(bad, _mm512_xor_si512(pair, wanted));
        }
        was_ascii = ascii;
        before = block;
        if (s.len - i < 64) return !_mm512_test_epi8_mask(bad, bad);
    }
}

static bool has_avx2(void) { return __builtin_cpu_supports("avx2"); }

static bool is_utf8(struct weft_str s, size_t *chars)
{
    if (s.len < SHORT_TEXT) return false;
    return weft_wide() ? is_utf8_wide(s, chars) : has_avx2() && is_utf8_avx2(s, chars);
}

size_t weft_utf8_check(struct weft_str s)
{
    size_t chars;
    if (is_utf8(s, &chars)) return s.len;
    return weft_utf8_check_plain(s);
}

size_t weft_utf8_chars(struct weft_str s)
{
    size_t chars;
    if (is_utf8(s, &chars)) return chars;
    return weft_utf8_chars_plain(s);
}

/* On to the block of 64 bytes in which character *n begins, or to where less than that is left; *n is counted from
 * there then. */
__attribute__((target("avx2,popcnt"))) static size_t skip_chars_avx2(struct weft_str s, size_t *n)
{
    const __m256i last_continuation = _mm256_set1_epi8((char)0xBF);
    size_t at = 0;
    for (; s.len - at >= 64; at += 64) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)(s.s + at)),
                high = _mm256_loadu_si256((const __m256i *)(const void *)(s.s + at + 32));
        uint64_t leads = (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(high, last_continuation));
        leads = leads << 32 | (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(low, last_continuation));
        size_t here = (size_t)__builtin_popcountll(leads);
        if (here > *n) break;
        *n -= here;
    }
    return at;
}

static size_t skip_chars(struct weft_str s, size_t *n) { return has_avx2() ? skip_chars_avx2(s, n) : 0; }

#else

static size_t skip_chars(struct weft_str s, size_t *n)
{
    (void)s, (void)n;
    return 0;
}

size_t weft_utf8_check(struct weft_str s) { return weft_utf8_check_plain(s); }
size_t weft_utf8_chars(struct weft_str s) { return weft_utf8_chars_plain(s); }

#endif

/* Characters begin at every byte that is no continuation. */
size_t weft_utf8_chars_of_valid(struct weft_str s)
{
    size_t n = 0, i = 0;
#if defined(__x86_64__)
    const __m128i last_continuation = _mm_set1_epi8((char)0xBF), zero = _mm_setzero_si128();
    while (s.len - i >= 16) {
        __m128i sums = zero; /* in each byte at most 255 */
        size_t blocks = weft_min_size((s.len - i) / 16, 255);
        for (; blocks; blocks--, i += 16) {
            __m128i block = _mm_loadu_si128((const __m128i *)(const void *)(s.s + i));
            sums = _mm_sub_epi8(sums, _mm_cmpgt_epi8(block, last_continuation));
        }
        __m128i two = _mm_sad_epu8(sums, zero);
        n += (size_t)_mm_cvtsi128_si64(two) + (size_t)_mm_extract_epi16(two, 4);
    }
#endif
    for (; s.len - i >= 8; i += 8) {
        uint64_t w;
        memcpy(&w, s.s + i, 8);
        w = w >> 7 & ~w >> 6 & 0x0101010101010101u; /* one in each continuation */
        n += 8 - (size_t)(w * 0x0101010101010101u >> 56);
    }
    for (; i < s.len; i++) n += ((unsigned char)s.s[i] & 0xC0) != 0x80;
    return n;
}

size_t weft_utf8_offset_of_valid(struct weft_str s, size_t n)
{
    for (size_t at = skip_chars(s, &n); at < s.len; at++)
        if (((unsigned char)s.s[at] & 0xC0) != 0x80 && n-- == 0) return at;
    return s.len;
}
