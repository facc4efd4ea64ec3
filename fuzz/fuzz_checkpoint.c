/* state.json and manifest.json of a checkpoint.  The first byte chooses: a state, a manifest as it is, or a manifest
 * whose own hash is put right first, so that what lies behind the hash is reached. */
#include "base/hash.h"
#include "train/checkpoint.h"

#include <math.h>
#include <stdlib.h>

static void check(bool ok)
{
    if (!ok) abort();
}

static enum weft_status file_of_manifest(void *ctx, const char *file, uint64_t bytes, const char *sha256,
                                         struct weft_err *err)
{
    size_t *n = ctx;
    check(file[0] && file[0] != '.' && !strchr(file, '/') && strlen(sha256) == WEFT_SHA256_HEX - 1);
    check(bytes <= INT64_MAX);
    (*n)++;
    return WEFT_OK;
}

static void refused(enum weft_status st, const struct weft_err *err)
{
    check((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err->msg[0] && strncmp(err->msg, "fuzz", 4) == 0);
}

/* What was read is written and read to the same. */
static void state(struct weft_str text, struct weft_err *err)
{
    struct weft_run_state s, again;
    struct weft_buf a = { 0 }, b = { 0 };
    enum weft_status st = weft_run_state_read(&s, "fuzz", text, err);
    if (st) {
        refused(st, err);
        return;
    }
    weft_run_state_write(&s, &a);
    check(weft_run_state_read(&again, "fuzz", weft_buf_view(&a), err) == WEFT_OK);
    weft_run_state_write(&again, &b);
    check(weft_str_eq(weft_buf_view(&a), weft_buf_view(&b)));
    weft_buf_clear(&a);
    weft_buf_clear(&b);
}

static void manifest(struct weft_str text, struct weft_err *err)
{
    size_t n = 0;
    enum weft_status st = weft_manifest_read("fuzz", text, file_of_manifest, &n, err);
    if (st) refused(st, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    if (!size) return 0;
    struct weft_str text = { (const char *)data + 1, size - 1 };
    if (data[0] % 3 == 0) {
        state(text, &err);
    } else if (data[0] % 3 == 1) {
        manifest(text, &err);
    } else {
        struct weft_buf whole = { 0 };
        char hex[WEFT_SHA256_HEX];
        check(weft_sha256_of(text, hex, &err) == WEFT_OK);
        weft_buf_str(&whole, text);
        weft_buf_printf(&whole, "\n  \"sha256\": \"%s\"\n}\n", hex);
        manifest(weft_buf_view(&whole), &err);
        weft_buf_clear(&whole);
    }
    return 0;
}
