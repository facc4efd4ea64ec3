/* f32 products by vfmadd231ps; bf16 and f16 weights are expanded while they are packed. */
#include "kernels/table.h"

#include "kernels/avx512/simd.h"
#define WEFT_DOT(s, x, w) v_fma(x, w, s)
#include "kernels/vec/tiles.h"
#include "kernels/vec/pack.h"
#include "kernels/vec/gemv.h"
#include "kernels/avx512/avx512.h"

static const struct weft_gemm_level level = {
    .unit_len = 1, .panel_cols = PANEL_COLS, .block_units = 128,        /* 32 KiB */
    .pack_a = pack_a, .pack_b = pack_b, .multiply = multiply,
};

void weft_kernels_avx512_products(struct weft_kernels *k)
{
    k->gemm = k->gemm_exact = &level;
    k->gemv_nt = gemv_nt;
    k->gemv_nn = gemv_nn;
}
