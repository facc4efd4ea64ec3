/* kernels/eigen.h - eigenvectors of a symmetric matrix, in f64
 *
 * Householder reflections to three diagonals, then implicit QL steps (Golub & Van Loan, section 8.3).  One thread; some
 * 3 n^3 multiplications.
 */
#ifndef WEFT_KERNELS_EIGEN_H
#define WEFT_KERNELS_EIGEN_H

#include <stddef.h>

/* a [n, n], symmetric: overwritten.  values [n], descending; row i of vectors [n, n] is the eigenvector of values[i],
 * of length 1.  work [3 n].  A matrix with a value that is not finite gives values that are not. */
void weft_eigen_symmetric(double *a, double *values, double *vectors, double *work, size_t n);

#endif
