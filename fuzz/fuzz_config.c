/* Any bytes as a config.json.  What is accepted is within its limits and survives being written and read again. */
#include "model/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_config c, again;
    struct weft_buf text = { 0 };
    enum weft_status st = weft_config_parse(&a, "fuzz", (struct weft_str){ (const char *)data, size }, &c, &err);

    check(st == WEFT_OK || (st == WEFT_EINPUT && err.msg[0] && err.rule[0]));
    if (!st) {
        check(c.n_heads % c.n_kv_heads == 0 && c.head_dim % 2 == 0 && c.n_layers <= WEFT_MAX_LAYERS);
        check(isfinite(c.rope.theta) && c.rope.factor >= 1 && c.n_eos <= WEFT_MAX_EOS);
        check(weft_config_n_params(&c) > 0);
        check(weft_config_write(&c, &text, &err) == WEFT_OK);
        check(weft_config_parse(&a, "again", weft_buf_view(&text), &again, &err) == WEFT_OK);
        check(weft_config_n_params(&c) == weft_config_n_params(&again));
        check(c.rope.type == again.rope.type && c.sliding_window == again.sliding_window &&
              (!c.sliding_window || !memcmp(c.slides, again.slides, sizeof c.slides)) && c.n_eos == again.n_eos);
        check(c.rms_norm_eps == again.rms_norm_eps || isinf(c.rms_norm_eps));
    }
    weft_buf_clear(&text);
    weft_arena_clear(&a);
    return 0;
}
