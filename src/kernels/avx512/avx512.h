/* kernels/avx512/avx512.h - what the files of this level give to its table */
#ifndef WEFT_KERNELS_AVX512_AVX512_H
#define WEFT_KERNELS_AVX512_AVX512_H

struct weft_kernels;

void weft_kernels_avx512_products(struct weft_kernels *k);
void weft_kernels_avx512_ops(struct weft_kernels *k);
void weft_kernels_avx512_quant(struct weft_kernels *k);

#endif
