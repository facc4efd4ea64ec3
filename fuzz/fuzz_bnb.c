/* Any bytes as a safetensors file that holds one weight as bitsandbytes quantises it.  What is accepted lies inside the
 * bytes and dequantises to as many numbers as the weight has; what is refused names the weight, by rule ST11. */
#include "model/quantise.h"

#include "model/slots.h"

#include <math.h>
#include <stdlib.h>

enum { ROWS = 8, COLS = 20 };       /* 160 codes: two blocks of 64 and half of one */
static const char name[] = "model.layers.0.self_attn.q_proj.weight";
static struct weft_compute compute;

static void check(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    check(weft_compute_init(&compute, "ref", NULL, NULL) == WEFT_OK);
    return 0;
}

static void use(const struct weft_quant *q, const uint8_t *data, size_t size)
{
    float out[ROWS * COLS + 1];
    out[ROWS * COLS] = 12345;
    check(q->rows == ROWS && q->cols == COLS && q->data >= data && q->data + ROWS * COLS / 2 <= data + size);
    check((q->scales != NULL) != (q->scale_codes && q->nested_scales && q->nested_code));
    for (size_t row = 0; row < ROWS; row++) weft_dequantise(&compute, out + row * COLS, WEFT_F32, q, row, 1);
    check(out[ROWS * COLS] == 12345);
    if (weft_quant_finite(q))
        for (size_t i = 0; i < ROWS * COLS; i++) check(isfinite(out[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weft_arena a = { 0 };
    struct weft_err err = { .lang = size & 1 ? WEFT_LANG_ZH : WEFT_LANG_EN };
    struct weft_safetensors f;
    struct weft_slot slot = { .name = name, .kind = WEFT_SLOT_WEIGHT, .rows = ROWS, .cols = COLS };

    if (weft_safetensors_parse(&f, &a, "fuzz", (struct weft_str){ (const char *)data, size }, &err) == WEFT_OK) {
        struct weft_weights w = { .files = &f, .n_files = 1, .n = f.n };
        w.tensors = WEFT_NEWS(&a, const struct weft_st_tensor *, f.n + 1);
        check(w.tensors != NULL);
        for (size_t i = 0; i < f.n; i++) {
            w.tensors[i] = &f.tensors[i];
            check(!weft_bnb_part(f.tensors[i].name) || f.tensors[i].name.len > sizeof ".weight");
        }
        struct weft_quant q;
        enum weft_status st = weft_bnb_read(&w, &slot, &a, &q, &err);
        check(st == WEFT_OK || ((st == WEFT_EINPUT || st == WEFT_ELIMIT) && err.msg[0] && err.rule[0]));
        check(st || weft_bnb_is(&w, name));
        if (!st) use(&q, data, size);
    }
    weft_safetensors_close(&f);
    weft_arena_clear(&a);
    return 0;
}
