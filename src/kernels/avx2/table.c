#include "kernels/avx2/avx2.h"

#include "kernels/table.h"

void weft_kernels_avx2(struct weft_kernels *k)
{
    k->isa = "avx2";
    weft_kernels_avx2_products(k);
    weft_kernels_avx2_ops(k);
    weft_kernels_avx2_quant(k);
}
