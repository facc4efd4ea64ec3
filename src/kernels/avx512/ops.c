#include "kernels/table.h"

#include "kernels/avx512/simd.h"
#include "kernels/vec/ops.h"
#include "kernels/avx512/avx512.h"

void weft_kernels_avx512_ops(struct weft_kernels *k) { fill_ops(k); }
