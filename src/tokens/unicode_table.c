/* tokens/unicode_table.c - the class of every code point, flattened once
 *
 * Kept apart from the normal forms because nothing here depends on input: the fuzz build leaves it
 * uninstrumented, or building the table would take nine tenths of every execution.
 */
#include "tokens/unicode.h"

#include <stdlib.h>
#include <utf8proc.h>

/* Assigned in Unicode 15.0 to 16.0, with a category of the right class.  Facts of the Unicode character
 * database. */
static const struct {
    uint32_t first, last;
    utf8proc_category_t category;
} assigned_since[] = {
#define LU UTF8PROC_CATEGORY_LU
#define LL UTF8PROC_CATEGORY_LL
#define LM UTF8PROC_CATEGORY_LM
#define LO UTF8PROC_CATEGORY_LO
#define MN UTF8PROC_CATEGORY_MN
#define ND UTF8PROC_CATEGORY_ND
#define NO UTF8PROC_CATEGORY_NO
#define PO UTF8PROC_CATEGORY_PO
#define SO UTF8PROC_CATEGORY_SO
    { 0x897, 0x897, MN },     { 0xCF3, 0xCF3, MN },     { 0xECE, 0xECE, MN },     { 0x1B4E, 0x1B4F, PO },
    { 0x1B7F, 0x1B7F, PO },   { 0x1C89, 0x1C89, LU },   { 0x1C8A, 0x1C8A, LL },   { 0x2427, 0x2429, SO },
    { 0x2FFC, 0x2FFF, SO },   { 0x31E4, 0x31E5, SO },   { 0x31EF, 0x31EF, SO },   { 0xA7CB, 0xA7CC, LU },
    { 0xA7CD, 0xA7CD, LL },   { 0xA7DA, 0xA7DA, LU },   { 0xA7DB, 0xA7DB, LL },   { 0xA7DC, 0xA7DC, LU },
    { 0x105C0, 0x105F3, LO }, { 0x10D40, 0x10D49, ND }, { 0x10D4A, 0x10D4D, LO }, { 0x10D4E, 0x10D4E, LM },
    { 0x10D4F, 0x10D4F, LO }, { 0x10D50, 0x10D65, LU }, { 0x10D69, 0x10D6D, MN }, { 0x10D6E, 0x10D6E, PO },
    { 0x10D6F, 0x10D6F, LM }, { 0x10D70, 0x10D85, LL }, { 0x10D8E, 0x10D8F, SO }, { 0x10EC2, 0x10EC4, LO },
    { 0x10EFC, 0x10EFF, MN }, { 0x1123F, 0x11240, LO }, { 0x11241, 0x11241, MN }, { 0x11380, 0x11389, LO },
    { 0x1138B, 0x1138B, LO }, { 0x1138E, 0x1138E, LO }, { 0x11390, 0x113B5, LO }, { 0x113B7, 0x113B7, LO },
    { 0x113B8, 0x113C0, MN }, { 0x113C2, 0x113C2, MN }, { 0x113C5, 0x113C5, MN }, { 0x113C7, 0x113CA, MN },
    { 0x113CC, 0x113D0, MN }, { 0x113D1, 0x113D1, LO }, { 0x113D2, 0x113D2, MN }, { 0x113D3, 0x113D3, LO },
    { 0x113D4, 0x113D5, PO }, { 0x113D7, 0x113D8, PO }, { 0x113E1, 0x113E2, MN }, { 0x116D0, 0x116E3, ND },
    { 0x11B00, 0x11B09, PO }, { 0x11BC0, 0x11BE0, LO }, { 0x11BE1, 0x11BE1, PO }, { 0x11BF0, 0x11BF9, ND },
    { 0x11F00, 0x11F01, MN }, { 0x11F02, 0x11F02, LO }, { 0x11F03, 0x11F03, MN }, { 0x11F04, 0x11F10, LO },
    { 0x11F12, 0x11F33, LO }, { 0x11F34, 0x11F3A, MN }, { 0x11F3E, 0x11F42, MN }, { 0x11F43, 0x11F4F, PO },
    { 0x11F50, 0x11F59, ND }, { 0x11F5A, 0x11F5A, MN }, { 0x1342F, 0x1342F, LO }, { 0x13440, 0x13440, MN },
    { 0x13441, 0x13446, LO }, { 0x13447, 0x13455, MN }, { 0x13460, 0x143FA, LO }, { 0x16100, 0x1611D, LO },
    { 0x1611E, 0x1612F, MN }, { 0x16130, 0x16139, ND }, { 0x16D40, 0x16D42, LM }, { 0x16D43, 0x16D6A, LO },
    { 0x16D6B, 0x16D6C, LM }, { 0x16D6D, 0x16D6F, PO }, { 0x16D70, 0x16D79, ND }, { 0x18CFF, 0x18CFF, LO },
    { 0x1B132, 0x1B132, LO }, { 0x1B155, 0x1B155, LO }, { 0x1CC00, 0x1CCEF, SO }, { 0x1CCF0, 0x1CCF9, ND },
    { 0x1CD00, 0x1CEB3, SO }, { 0x1D2C0, 0x1D2D3, NO }, { 0x1DF25, 0x1DF2A, LL }, { 0x1E030, 0x1E06D, LM },
    { 0x1E08F, 0x1E08F, MN }, { 0x1E4D0, 0x1E4EA, LO }, { 0x1E4EB, 0x1E4EB, LM }, { 0x1E4EC, 0x1E4EF, MN },
    { 0x1E4F0, 0x1E4F9, ND }, { 0x1E5D0, 0x1E5ED, LO }, { 0x1E5EE, 0x1E5EF, MN }, { 0x1E5F0, 0x1E5F0, LO },
    { 0x1E5F1, 0x1E5FA, ND }, { 0x1E5FF, 0x1E5FF, PO }, { 0x1F6DC, 0x1F6DC, SO }, { 0x1F774, 0x1F776, SO },
    { 0x1F77B, 0x1F77F, SO }, { 0x1F7D9, 0x1F7D9, SO }, { 0x1F8B2, 0x1F8BB, SO }, { 0x1F8C0, 0x1F8C1, SO },
    { 0x1FA75, 0x1FA77, SO }, { 0x1FA87, 0x1FA89, SO }, { 0x1FA8F, 0x1FA8F, SO }, { 0x1FAAD, 0x1FAAF, SO },
    { 0x1FABB, 0x1FABF, SO }, { 0x1FAC6, 0x1FAC6, SO }, { 0x1FACE, 0x1FACF, SO }, { 0x1FADA, 0x1FADC, SO },
    { 0x1FADF, 0x1FADF, SO }, { 0x1FAE8, 0x1FAE9, SO }, { 0x1FAF7, 0x1FAF8, SO }, { 0x1FBCB, 0x1FBEF, SO },
    { 0x2B739, 0x2B739, LO }, { 0x2EBF0, 0x2EE5D, LO }, { 0x31350, 0x323AF, LO },
#undef LU
#undef LL
#undef LM
#undef LO
#undef MN
#undef ND
#undef NO
#undef PO
#undef SO
};

static unsigned class_of_category(utf8proc_category_t c)
{
    switch (c) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LT: return WEFT_UNI_LETTER | WEFT_UNI_UPPER | WEFT_UNI_WORD;
    case UTF8PROC_CATEGORY_LL: return WEFT_UNI_LETTER | WEFT_UNI_LOWER | WEFT_UNI_WORD;
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return WEFT_UNI_LETTER | WEFT_UNI_WORD;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return WEFT_UNI_MARK | WEFT_UNI_WORD;
    case UTF8PROC_CATEGORY_ND: return WEFT_UNI_NUMBER | WEFT_UNI_DIGIT | WEFT_UNI_WORD;
    case UTF8PROC_CATEGORY_NL: return WEFT_UNI_NUMBER | WEFT_UNI_WORD;
    case UTF8PROC_CATEGORY_NO: return WEFT_UNI_NUMBER;
    case UTF8PROC_CATEGORY_PC: return WEFT_UNI_PUNCT | WEFT_UNI_WORD;
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return WEFT_UNI_PUNCT;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: return WEFT_UNI_SYMBOL;
    default: return 0;
    }
}

static bool is_white_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || cp == 0x20 || cp == 0x85 || cp == 0xA0 || cp == 0x1680
           || (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F
           || cp == 0x3000;
}

static unsigned class_of(uint32_t cp, size_t *since)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    while (*since < WEFT_COUNT(assigned_since) && assigned_since[*since].last < cp) ++*since;
    if (c == UTF8PROC_CATEGORY_CN && *since < WEFT_COUNT(assigned_since)
        && assigned_since[*since].first <= cp)
        c = assigned_since[*since].category;
    unsigned bits = class_of_category(c);
    if (is_white_space(cp)) bits |= WEFT_UNI_SPACE;
    /* Alphabetic beyond the categories: circled and squared letters; and the joiners of Indic words and
     * emoji. */
    if ((cp >= 0x24B6 && cp <= 0x24E9) || (cp >= 0x1F130 && cp <= 0x1F149) || (cp >= 0x1F150 && cp <= 0x1F169)
        || (cp >= 0x1F170 && cp <= 0x1F189) || cp == 0x200C || cp == 0x200D)
        bits |= WEFT_UNI_WORD;
    return bits;
}

/* From plane 4 on only U+E0000 - U+E01FF has characters with a class; planes 15 and 16 are private. */
enum { USED_BLOCKS = 0x400 + 2 };
static bool is_empty_block(size_t b) { return b >= 0x400 && b != 0xE00 && b != 0xE01; }

static uint16_t *class_at(struct weft_unicode *u, uint32_t cp)
{
    return &u->classes[((size_t)u->block[cp >> 8] << 8) | (cp & 255)];
}

/* The table without sharing: COMPOSES marks single code points of other blocks, so blocks can be compared and
 * shared only at the end. */
static enum weft_status fill(struct weft_unicode *u, struct weft_err *err)
{
    size_t full = USED_BLOCKS + 1;
    u->classes = calloc(full * 256, sizeof u->classes[0]);
    if (!u->classes) return weft_fail_nomem(err, full * 256 * sizeof u->classes[0], "character classes");
    u->n_blocks = 1; /* block 0: the empty one */
    size_t since = 0;
    for (size_t b = 0; b < 0x1100; b++) {
        if (is_empty_block(b)) continue;
        u->block[b] = (uint16_t)u->n_blocks++;
        for (uint32_t i = 0; i < 256; i++)
            *class_at(u, (uint32_t)b << 8 | i) |= (uint16_t)class_of((uint32_t)b << 8 | i, &since);
    }
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        if (is_empty_block(cp >> 8)) {
            cp |= 255;
            continue;
        }
        const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)cp);
        if (p->combining_class) *class_at(u, cp) |= WEFT_UNI_COMPOSES;
        if (p->decomp_seqindex == UINT16_MAX || p->decomp_type)
            continue; /* none, or a compatibility mapping */
        utf8proc_int32_t part[32];
        int boundclass = 0;
        utf8proc_ssize_t n =
            utf8proc_decompose_char((utf8proc_int32_t)cp, part, 32, UTF8PROC_DECOMPOSE, &boundclass);
        if (n < 1 || n > 32) continue;
        for (utf8proc_ssize_t i = 1; i < n; i++) *class_at(u, (uint32_t)part[i]) |= WEFT_UNI_COMPOSES;
        n = utf8proc_normalize_utf32(part, n, UTF8PROC_COMPOSE | UTF8PROC_STABLE);
        if (n != 1 || (uint32_t)part[0] != cp) *class_at(u, cp) |= WEFT_UNI_COMPOSES;
    }
    for (uint32_t cp = 0x1161; cp <= 0x1175; cp++) *class_at(u, cp) |= WEFT_UNI_COMPOSES; /* Hangul vowels, */
    for (uint32_t cp = 0x11A8; cp <= 0x11C2; cp++)
        *class_at(u, cp) |= WEFT_UNI_COMPOSES; /* final consonants */
    return WEFT_OK;
}

static void share_equal_blocks(struct weft_unicode *u)
{
    size_t n = 0, bytes = 256 * sizeof u->classes[0];
    uint16_t to[0x1100 + 1];
    for (size_t b = 0; b < u->n_blocks; b++) {
        const uint16_t *from = u->classes + b * 256;
        size_t k;
        if (n && memcmp(u->classes + (n - 1) * 256, from, bytes) == 0)
            k = n - 1; /* long runs of equal ones */
        else
            for (k = 0; k < n && memcmp(u->classes + k * 256, from, bytes) != 0; k++) {
            }
        if (k == n) memmove(u->classes + n++ * 256, from, bytes);
        to[b] = (uint16_t)k;
    }
    for (size_t b = 0; b < 0x1100; b++) u->block[b] = to[u->block[b]];
    u->n_blocks = n;
    uint16_t *smaller = realloc(u->classes, n * bytes);
    if (smaller) u->classes = smaller;
}

enum weft_status weft_unicode_new(struct weft_unicode **out, struct weft_err *err)
{
    struct weft_unicode *u = calloc(1, sizeof *u);
    if (!u) return weft_fail_nomem(err, sizeof *u, "character classes");
    enum weft_status st = fill(u, err);
    if (st) {
        weft_unicode_free(u);
        return st;
    }
    share_equal_blocks(u);
    *out = u;
    return WEFT_OK;
}

void weft_unicode_free(struct weft_unicode *u)
{
    if (!u) return;
    free(u->classes);
    free(u);
}

static const char *category_name(utf8proc_category_t c)
{
    switch (c) {
    case UTF8PROC_CATEGORY_LU: return "Lu";
    case UTF8PROC_CATEGORY_LL: return "Ll";
    case UTF8PROC_CATEGORY_LM: return "Lm";
    case UTF8PROC_CATEGORY_LO: return "Lo";
    case UTF8PROC_CATEGORY_MN: return "Mn";
    case UTF8PROC_CATEGORY_ND: return "Nd";
    case UTF8PROC_CATEGORY_NO: return "No";
    case UTF8PROC_CATEGORY_PO: return "Po";
    default: return "So";
    }
}

const char *weft_unicode_since(size_t i, uint32_t *first, uint32_t *last)
{
    if (i >= WEFT_COUNT(assigned_since)) return NULL;
    *first = assigned_since[i].first;
    *last = assigned_since[i].last;
    return category_name(assigned_since[i].category);
}
