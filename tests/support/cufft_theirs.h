/* SPDX-License-Identifier: Apache-2.0
 * tests/support/cufft_theirs.h -- the toolkit's declarations of cuFFT, beside those of the tree. */
#ifndef CUFFT_THEIRS_H
#define CUFFT_THEIRS_H

/* How many functions of kernels/fourier/cufft.def have been compared; 0: no cufft.h was found when this was built. */
int cufft_theirs(void);

#endif
