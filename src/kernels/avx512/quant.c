#include "kernels/table.h"

#include "kernels/avx512/simd.h"
#include "kernels/vec/dequant.h"
#include "kernels/avx512/avx512.h"

void weft_kernels_avx512_quant(struct weft_kernels *k) { k->dequantise = dequantise; }
