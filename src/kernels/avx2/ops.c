#include "kernels/table.h"

#include "kernels/avx2/simd.h"
#include "kernels/vec/ops.h"
#include "kernels/avx2/avx2.h"

void weft_kernels_avx2_ops(struct weft_kernels *k) { fill_ops(k); }
