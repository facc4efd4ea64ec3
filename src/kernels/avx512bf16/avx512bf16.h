/* kernels/avx512bf16/avx512bf16.h - what the files of this level give to its table */
#ifndef WEFT_KERNELS_AVX512BF16_AVX512BF16_H
#define WEFT_KERNELS_AVX512BF16_AVX512BF16_H

struct weft_kernels;

void weft_kernels_avx512bf16_quant(struct weft_kernels *k);
void weft_kernels_avx512bf16_int8(struct weft_kernels *k);

#endif
