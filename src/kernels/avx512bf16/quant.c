/* As level avx512, with the processor's own rounding to bf16. */
#include "kernels/table.h"

#include "kernels/avx512/simd.h"
#define WEFT_PUT_BF16(out, y) _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh((y)[1], (y)[0]))
#include "kernels/vec/dequant.h"
#include "kernels/avx512bf16/avx512bf16.h"

void weft_kernels_avx512bf16_quant(struct weft_kernels *k) { k->dequantise = dequantise; }
