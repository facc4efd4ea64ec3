/* f32 products by vfmadd231ps; bf16 and f16 weights are expanded while they are packed. */
#include "kernels/table.h"

#include "kernels/avx2/simd.h"
#define WEFT_DOT(s, x, w) v_fma(x, w, s)
#include "kernels/vec/tiles.h"
#include "kernels/vec/pack.h"
#include "kernels/vec/gemv.h"
#include "kernels/avx2/avx2.h"

static const struct weft_gemm_level level = {
    .unit_len = 1, .panel_cols = PANEL_COLS, .block_units = 256,        /* 16 KiB */
    .pack_a = pack_a, .pack_b = pack_b, .multiply = multiply,
};

void weft_kernels_avx2_products(struct weft_kernels *k)
{
    k->gemm = k->gemm_exact = &level;
    k->gemv_nt = gemv_nt;
    k->gemv_nn = gemv_nn;
}
