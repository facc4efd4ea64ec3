/* dataset/pii.h - private data in a text: found, and masked on request
 *
 * Found are Chinese mobile and landline numbers, 18-digit identity numbers, e-mail addresses, IP addresses and bank
 * cards, in half- and full-width writing.  Each kind is told from numbers that only look like it by what it must
 * satisfy: valid prefixes, area codes and dates, check digits (GB 11643, Luhn), and no letter or digit beside it.
 * A local number without its area code is not found: it looks like any other seven digits.
 *
 * Threads: pure functions.
 */
#ifndef WEFT_DATASET_PII_H
#define WEFT_DATASET_PII_H

#include "base/str.h"

enum weft_pii_kind {
    WEFT_PII_MOBILE,   /* 13812345678, +86 138-1234-5678 */
    WEFT_PII_LANDLINE, /* 010-62751234, (0755)26731234 */
    WEFT_PII_ID_CARD,  /* 18 characters with a valid date and check digit */
    WEFT_PII_EMAIL,
    WEFT_PII_IPV4, /* not loopback; one number of at least 20, or "IP" or 地址 before it: else a version */
    WEFT_PII_IPV6,
    WEFT_PII_BANK_CARD, /* 14 to 19 digits, a card network's prefix, Luhn */
    WEFT_N_PII
};
#define WEFT_PII_ALL ((1u << WEFT_N_PII) - 1)

struct weft_pii {
    enum weft_pii_kind kind;
    size_t from, to; /* bytes */
};

/* "mobile", "landline", "id_card", "email", "ipv4", "ipv6", "bank_card" */
const char *weft_pii_name(enum weft_pii_kind kind);

/* The next piece of a kind in `kinds` (bits 1 << kind) at or behind *at, which moves behind it; false: no more.
 * Linear in the length of the text. */
bool weft_pii_next(struct weft_str s, unsigned kinds, size_t *at, struct weft_pii *out);

/* Appends the text, each piece replaced by its kind and stars, as many characters as it had: [PHONE]****.  The same
 * text gives the same mask.  counts [WEFT_N_PII] (may be NULL) are added to.  Returns the number of pieces. */
size_t weft_pii_mask(struct weft_buf *b, struct weft_str s, unsigned kinds, uint64_t *counts);

#endif
