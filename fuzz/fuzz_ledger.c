/* Any bytes as a call ledger.  The first byte chooses: as they are; behind a good head and with checksums put right, so
 * that payloads are reached; or as the JSON of a request.  Every record that is found can be written and found again;
 * what is good is never counted as damage; canonical JSON is its own canonical form. */
#include "dataset/ledger_parts.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static const unsigned char salt[LEDGER_SALT_BYTES] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static enum weft_status again(void *ctx, const struct weft_call *call, struct weft_str record, struct weft_err *err)
{
    struct weft_buf b = { 0 };
    struct weft_call twice;
    size_t mark = ledger_synced(record.s) == UINT64_MAX ? sizeof(uint64_t) : 0;     /* older records lack it */
    ledger_encode(&b, salt, call, 0);
    check(!b.failed && ledger_record(weft_buf_view(&b), salt, &twice) == b.len && b.len <= record.len + mark);
    check(twice.state == call->state && weft_str_eq(twice.text, call->text) && weft_str_eq(twice.note, call->note)
          && weft_str_eq(twice.reasoning, call->reasoning) && weft_call_key_eq(&twice.key, &call->key));
    weft_buf_str(ctx, weft_buf_view(&b));
    weft_buf_clear(&b);
    return WEFT_OK;
}

static void scan(struct weft_str bytes)
{
    struct weft_buf good = { 0 };
    struct weft_ledger_found f = { 0 }, g = { 0 };
    struct weft_err err = { 0 };
    unsigned char head[LEDGER_HEAD_BYTES];
    ledger_head_make(head, salt);
    weft_buf_add(&good, head, sizeof head);
    weft_buf_add(&good, head, sizeof head);
    enum weft_status st = weft_ledger_scan("fuzz", bytes, again, &good, &f, &err);
    check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0]));
    if (!st) {
        check(!weft_ledger_scan("again", weft_buf_view(&good), NULL, NULL, &g, &err));
        check(g.records == f.records && !g.damaged && !g.cut_bytes);
    }
    weft_buf_clear(&good);
}

/* Each piece of the input, up to a byte 0xA5, becomes a payload with a right checksum. */
static void dressed(struct weft_str rest)
{
    struct weft_buf b = { 0 };
    unsigned char head[LEDGER_HEAD_BYTES], record[LEDGER_RECORD_HEAD] = { 'W', 'C', 'L', '1' };
    ledger_head_make(head, salt);
    weft_buf_add(&b, head, sizeof head);
    weft_buf_add(&b, head, sizeof head);
    while (rest.len) {
        const char *stop = memchr(rest.s, 0xA5, rest.len);
        size_t n = stop ? (size_t)(stop - rest.s) : rest.len;
        ledger_put32(record + 4, (uint32_t)n);
        ledger_put32(record + 8, ledger_sum(salt, record, 8));
        ledger_put32(record + 12, ledger_sum(salt, rest.s, n));
        weft_buf_add(&b, record, sizeof record);
        weft_buf_add(&b, rest.s, n);
        rest = weft_str_skip(rest, n + 1);
    }
    scan(weft_buf_view(&b));
    weft_buf_clear(&b);
}

static void canonical(struct weft_str json)
{
    struct weft_arena a = { 0 };
    struct weft_buf once = { 0 }, twice = { 0 };
    struct weft_err err = { 0 };
    struct weft_call_key one, two;
    if (!weft_json_canonical(&a, "fuzz", json, &once, &err)) {
        check(!weft_json_canonical(&a, "again", weft_buf_view(&once), &twice, &err));
        check(weft_str_eq(weft_buf_view(&once), weft_buf_view(&twice)));
        check(!weft_call_key_of(&a, WEFT_STR("e"), WEFT_STR("m"), json, &one, &err)
              && !weft_call_key_of(&a, WEFT_STR("e/"), WEFT_STR("m"), weft_buf_view(&once), &two, &err)
              && weft_call_key_eq(&one, &two));
    } else check(err.msg[0]);
    weft_buf_clear(&once);
    weft_buf_clear(&twice);
    weft_arena_clear(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size) return 0;
    struct weft_str rest = { (const char *)data + 1, size - 1 };
    switch (data[0] % 3) {
    case 0: scan(rest); break;
    case 1: dressed(rest); break;
    default: canonical(rest); break;
    }
    return 0;
}
