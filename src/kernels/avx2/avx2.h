/* kernels/avx2/avx2.h - what the files of this level give to its table */
#ifndef WEFT_KERNELS_AVX2_AVX2_H
#define WEFT_KERNELS_AVX2_AVX2_H

struct weft_kernels;

void weft_kernels_avx2_products(struct weft_kernels *k);
void weft_kernels_avx2_ops(struct weft_kernels *k);
void weft_kernels_avx2_quant(struct weft_kernels *k);

#endif
