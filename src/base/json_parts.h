/* base/json_parts.h - what the files of the JSON module share; not for others */
#ifndef WEFT_BASE_JSON_PARTS_H
#define WEFT_BASE_JSON_PARTS_H

#include "base/json.h"

struct weft_json_frame {
    bool is_object, started;    /* started: one key or element was handed out */
    struct weft_str *keys;      /* the keys so far, to find one that comes twice */
    size_t n_keys, cap_keys;
    uint32_t *table;            /* key number + 1 by hash, once the keys are many; 0 is a free place */
    size_t table_len, table_cap;
};

/* A number as written, and what it means. */
struct weft_json_number {
    struct weft_str text;
    bool is_int;                /* no point, no exponent */
    bool fits_int;              /* is_int and within int64_t */
    int64_t integer;
    double number;
};

/* Scans the number at s (its first byte is '-' or a digit).  Returns NULL, or what is wrong and where: an English
 * phrase of the catalogue, *bad the offset from s.  Sets number to an infinity when it is beyond double. */
const char *weft_json_scan_number(struct weft_str s, struct weft_json_number *out, size_t *bad);

/* "name:line:column: found X; expected <expected>" by rule JS2; `expected` is a phrase of the catalogue. */
enum weft_status weft_json_expected(const struct weft_json *j, size_t at, const char *expected, struct weft_err *err);

/* One number, with all that is known about it. */
enum weft_status weft_json_number(struct weft_json *j, struct weft_json_number *out, struct weft_err *err);

#endif
