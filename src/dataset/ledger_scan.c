/* Records in memory: writing one, checking one, and walking over all of them past damage. */
#include "dataset/ledger_parts.h"

#include "base/lang.h"

#include <inttypes.h>

static const unsigned char file_magic[8] = { 'w', 'e', 'f', 't', 'c', 'a', 'l', 'l' };
static const unsigned char record_magic[4] = { 'W', 'C', 'L', '1' };
enum { VERSION = 1, KEY_AT = 4, TIME_AT = 36, STATUS_AT = 44, TOKENS_AT = 48, LENGTHS_AT = 56, MAYBE_PAID = 1,
       SYNCED = 2, SYNCED_BYTES = 8 };

const char *weft_call_state_name(enum weft_call_state s)
{
    static const char *const names[] = { "none", "sent", "failed", "empty", "refused", "answered" };
    return s < WEFT_N_CALL_STATES ? names[s] : "?";
}

void ledger_head_make(unsigned char head[LEDGER_HEAD_BYTES], const unsigned char salt[LEDGER_SALT_BYTES])
{
    memcpy(head, file_magic, sizeof file_magic);
    ledger_put32(head + 8, VERSION);
    memcpy(head + 12, salt, LEDGER_SALT_BYTES);
    ledger_put32(head + 20, weft_crc32c(0, head, 20));
}

bool ledger_head_read(const unsigned char *head, unsigned char salt[LEDGER_SALT_BYTES])
{
    if (memcmp(head, file_magic, sizeof file_magic) != 0 || ledger_u32(head + 8) != VERSION
        || ledger_u32(head + 20) != weft_crc32c(0, head, 20))
        return false;
    memcpy(salt, head + 12, LEDGER_SALT_BYTES);
    return true;
}

uint32_t ledger_sum(const unsigned char salt[LEDGER_SALT_BYTES], const void *p, size_t n)
{
    return weft_crc32c(weft_crc32c(0, salt, LEDGER_SALT_BYTES), p, n);
}

void ledger_encode(struct weft_buf *b, const unsigned char salt[LEDGER_SALT_BYTES], const struct weft_call *call,
                   uint64_t synced)
{
    const struct weft_str texts[] = { call->text, call->reasoning, call->note };
    unsigned char head[LEDGER_RECORD_HEAD] = { 0 }, fixed[LEDGER_FIXED + SYNCED_BYTES] = { 0 };
    size_t start = b->len, payload = sizeof fixed;
    fixed[0] = (unsigned char)call->state;
    fixed[1] = (unsigned char)call->finish;
    fixed[2] = (unsigned char)((call->maybe_paid ? MAYBE_PAID : 0) | SYNCED);
    ledger_put64(fixed + LEDGER_FIXED, synced);
    memcpy(fixed + KEY_AT, call->key.bytes, sizeof call->key.bytes);
    ledger_put64(fixed + TIME_AT, call->time_ms);
    ledger_put32(fixed + STATUS_AT, call->http_status);
    ledger_put32(fixed + TOKENS_AT, call->prompt_tokens);
    ledger_put32(fixed + TOKENS_AT + 4, call->completion_tokens);
    for (int i = 0; i < 3; i++) {
        ledger_put32(fixed + LENGTHS_AT + 4 * i, (uint32_t)texts[i].len);
        payload += texts[i].len;
    }
    weft_buf_add(b, head, sizeof head);
    weft_buf_add(b, fixed, sizeof fixed);
    for (int i = 0; i < 3; i++) weft_buf_str(b, texts[i]);
    if (b->failed) return;
    memcpy(head, record_magic, sizeof record_magic);
    ledger_put32(head + 4, (uint32_t)payload);
    ledger_put32(head + 8, ledger_sum(salt, head, 8));
    ledger_put32(head + 12, ledger_sum(salt, b->s + start + LEDGER_RECORD_HEAD, payload));
    memcpy(b->s + start, head, sizeof head);
}

bool ledger_decode(struct weft_str payload, struct weft_call *call)
{
    const unsigned char *p = (const unsigned char *)payload.s;
    struct weft_str *texts[] = { &call->text, &call->reasoning, &call->note };
    size_t at = LEDGER_FIXED;
    *call = (struct weft_call){ 0 };
    if (payload.len < LEDGER_FIXED || p[0] <= WEFT_CALL_NONE || p[0] >= WEFT_N_CALL_STATES || p[1] >= WEFT_N_FINISHES)
        return false;
    call->state = (enum weft_call_state)p[0];
    call->finish = (enum weft_call_finish)p[1];
    call->maybe_paid = p[2] & MAYBE_PAID;
    if (p[2] & SYNCED) at += SYNCED_BYTES;
    if (at > payload.len) return false;
    memcpy(call->key.bytes, p + KEY_AT, sizeof call->key.bytes);
    call->time_ms = ledger_u64(p + TIME_AT);
    call->http_status = ledger_u32(p + STATUS_AT);
    call->prompt_tokens = ledger_u32(p + TOKENS_AT);
    call->completion_tokens = ledger_u32(p + TOKENS_AT + 4);
    for (int i = 0; i < 3; i++) {
        size_t len = ledger_u32(p + LENGTHS_AT + 4 * i);
        if (len > payload.len - at) return false;
        *texts[i] = (struct weft_str){ payload.s + at, len };
        at += len;
    }
    return at == payload.len;
}

size_t ledger_record(struct weft_str bytes, const unsigned char salt[LEDGER_SALT_BYTES], struct weft_call *call)
{
    const unsigned char *p = (const unsigned char *)bytes.s;
    if (bytes.len < LEDGER_RECORD_HEAD || memcmp(p, record_magic, sizeof record_magic) != 0
        || ledger_u32(p + 8) != ledger_sum(salt, p, 8))
        return 0;
    size_t len = ledger_u32(p + 4);
    if (len > LEDGER_MAX_PAYLOAD || len > bytes.len - LEDGER_RECORD_HEAD
        || ledger_u32(p + 12) != ledger_sum(salt, p + LEDGER_RECORD_HEAD, len)
        || !ledger_decode((struct weft_str){ bytes.s + LEDGER_RECORD_HEAD, len }, call))
        return 0;
    return LEDGER_RECORD_HEAD + len;
}

uint64_t ledger_synced(const char *record)
{
    const unsigned char *payload = (const unsigned char *)record + LEDGER_RECORD_HEAD;
    return payload[2] & SYNCED ? ledger_u64(payload + LEDGER_FIXED) : UINT64_MAX;
}

/* Where the next good record begins after a bad one; SIZE_MAX: nowhere. */
static size_t next_good(struct weft_str bytes, size_t from, const unsigned char salt[LEDGER_SALT_BYTES])
{
    const struct weft_str magic = { (const char *)record_magic, sizeof record_magic };
    struct weft_call call;
    for (size_t at = from; (at = weft_str_find(bytes, magic, at)) != SIZE_MAX; at++)
        if (ledger_record(weft_str_skip(bytes, at), salt, &call)) return at;
    return SIZE_MAX;
}

static void damage(struct weft_ledger_found *f, uint64_t record, size_t byte)
{
    if (!f->damaged++) {
        f->first_damaged_record = record;
        f->first_damaged_byte = byte;
    }
}

struct scan {
    struct weft_str bytes;
    unsigned char salt[LEDGER_SALT_BYTES];
    uint64_t synced;        /* what the records say: bad places before it are damage, later ones never arrived */
    enum weft_status (*each)(void *ctx, const struct weft_call *call, struct weft_str record, struct weft_err *err);
    void *ctx;
};

/* All records, `f` anew but for the heads. */
static enum weft_status walk(struct scan *s, struct weft_ledger_found *f, struct weft_err *err)
{
    enum weft_status st = WEFT_OK;
    uint64_t says = 0;
    for (size_t at = LEDGER_START; at < s->bytes.len && !st;) {
        struct weft_call call;
        struct weft_str rest = weft_str_skip(s->bytes, at);
        size_t n = ledger_record(rest, s->salt, &call);
        if (!n) {
            size_t next = next_good(s->bytes, at + 1, s->salt);
            if (next == SIZE_MAX) {
                f->cut_bytes = s->bytes.len - at;
                break;
            }
            if (at < s->synced) damage(f, f->records + 1, at);
            else {
                f->lost++;
                f->lost_bytes += next - at;
            }
            at = next;
            continue;
        }
        f->records++;
        uint64_t synced = ledger_synced(rest.s);
        synced = synced < at ? synced : at;
        says = synced > says ? synced : says;
        if (s->each) st = s->each(s->ctx, &call, weft_str_sub(rest, 0, n), err);
        at += n;
    }
    s->synced = says;
    return st;
}

enum weft_status weft_ledger_scan(const char *name, struct weft_str bytes,
                                  enum weft_status (*each)(void *ctx, const struct weft_call *call,
                                                           struct weft_str record, struct weft_err *err),
                                  void *ctx, struct weft_ledger_found *found, struct weft_err *err)
{
    struct weft_ledger_found heads = { 0 }, f;
    struct scan s = { .bytes = bytes, .each = each, .ctx = ctx };
    unsigned char other[LEDGER_SALT_BYTES];
    const unsigned char *head = (const unsigned char *)bytes.s;
    if (bytes.len < LEDGER_START)
        return weft_fail_rule(err, WEFT_EINPUT, "LG2", "%s: %zu bytes; a ledger has at least %d", name, bytes.len,
                              LEDGER_START);
    bool first = ledger_head_read(head, s.salt), second = ledger_head_read(head + LEDGER_HEAD_BYTES, other);
    if (!first && !second)
        return weft_fail_rule(err, WEFT_EINPUT, "LG2",
                              "%s: byte 0: found no head of a ledger; expected a file that weft data ask wrote", name);
    if (!first) memcpy(s.salt, other, sizeof s.salt);
    if (!first || !second) damage(&heads, 0, first ? LEDGER_HEAD_BYTES : 0);
    f = heads;
    enum weft_status st = walk(&s, &f, err);
    /* Which bad places had been synced is known once all records have spoken. */
    if (!st && f.lost && s.synced) {
        s.each = NULL;
        f = heads;
        st = walk(&s, &f, err);
    }
    if (!st) *found = f;
    return st;
}
