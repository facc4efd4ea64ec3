/* The key of a request.  Members are sorted so that the order in which a user or a program wrote its parameters does
 * not buy the same answer twice; numbers are written in one form (0.70 is 0.7), but 1 and 1.0 stay two. */
#include "dataset/ledger.h"

#include "base/json.h"

#include <stdlib.h>

struct member {
    struct weft_str key;
    const struct weft_json_value *value;
};

static int by_key(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return weft_str_cmp(x->key, y->key);
}

/* Recursion is bounded: the reader refuses more than WEFT_JSON_MAX_DEPTH levels. */
static bool write_sorted(struct weft_arena *a, struct weft_json_out *o, const struct weft_json_value *v)
{
    if (v->kind == WEFT_JSON_ARRAY) {
        weft_json_out_array(o);
        for (size_t i = 0; i < v->n; i++)
            if (!write_sorted(a, o, &v->items[i])) return false;
        weft_json_out_array_end(o);
    } else if (v->kind == WEFT_JSON_OBJECT) {
        struct member *m = WEFT_NEWS(a, struct member, v->n);
        if (!m) return false;
        for (size_t i = 0; i < v->n; i++) m[i] = (struct member){ v->keys[i], &v->items[i] };
        if (v->n) qsort(m, v->n, sizeof *m, by_key);
        weft_json_out_object(o);
        for (size_t i = 0; i < v->n; i++) {
            weft_json_out_key_str(o, m[i].key);
            if (!write_sorted(a, o, m[i].value)) return false;
        }
        weft_json_out_object_end(o);
    } else weft_json_out_value(o, v);
    return true;
}

enum weft_status weft_json_canonical(struct weft_arena *a, const char *name, struct weft_str json, struct weft_buf *out,
                                     struct weft_err *err)
{
    struct weft_arena_mark mark = weft_arena_mark(a);
    struct weft_json_value v;
    struct weft_json_out o;
    enum weft_status st = weft_json_parse(a, name, json, &v, err);
    weft_json_out_init(&o, out);
    if (!st && !write_sorted(a, &o, &v)) st = weft_fail_nomem(err, json.len, "a request");
    if (!st) st = weft_buf_check(out, "a request", err);
    weft_arena_release(a, mark);
    return st;
}

static void add_part(struct weft_sha256 *h, struct weft_str s)
{
    uint64_t len = s.len;
    unsigned char head[8];
    for (int i = 0; i < 8; i++) head[i] = (unsigned char)(len >> (8 * i));
    weft_sha256_add(h, head, sizeof head);
    weft_sha256_add(h, s.s, s.len);
}

static unsigned char digit(char c) { return (unsigned char)(c <= '9' ? c - '0' : c - 'a' + 10); }

enum weft_status weft_call_key_of(struct weft_arena *a, struct weft_str endpoint, struct weft_str model,
                                  struct weft_str body, struct weft_call_key *out, struct weft_err *err)
{
    struct weft_buf canonical = { 0 };
    struct weft_sha256 h = { 0 };
    char hex[WEFT_SHA256_HEX];
    while (endpoint.len && endpoint.s[endpoint.len - 1] == '/') endpoint.len--;
    enum weft_status st = weft_json_canonical(a, "request", body, &canonical, err);
    if (!st) st = weft_sha256_init(&h, err);
    if (!st) {
        add_part(&h, endpoint);
        add_part(&h, model);
        add_part(&h, weft_buf_view(&canonical));
        weft_sha256_hex(&h, hex);
        for (size_t i = 0; i < sizeof out->bytes; i++)
            out->bytes[i] = (unsigned char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    }
    weft_buf_clear(&canonical);
    return st;
}

void weft_call_key_hex(const struct weft_call_key *k, char out[WEFT_CALL_KEY_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof k->bytes; i++) {
        out[2 * i] = digits[k->bytes[i] >> 4];
        out[2 * i + 1] = digits[k->bytes[i] & 15];
    }
    out[2 * sizeof k->bytes] = '\0';
}
