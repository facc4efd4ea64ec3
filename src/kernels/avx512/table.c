#include "kernels/avx512/avx512.h"

#include "kernels/table.h"

void weft_kernels_avx512(struct weft_kernels *k)
{
    k->isa = "avx512";
    weft_kernels_avx512_products(k);
    weft_kernels_avx512_ops(k);
    weft_kernels_avx512_quant(k);
}
