#include "kernels/table.h"

#include "kernels/avx2/simd.h"
#include "kernels/vec/dequant.h"
#include "kernels/avx2/avx2.h"

void weft_kernels_avx2_quant(struct weft_kernels *k) { k->dequantise = dequantise; }
