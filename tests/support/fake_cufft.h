/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cufft.h -- a library in cuFFT's place, on the emulated GPU, as a test steers and questions it.
 * Lives here: what it counts and how it fails. Not here: its functions (fake_cufft.c). */
#ifndef FAKE_CUFFT_H
#define FAKE_CUFFT_H

#define FAKE_API __attribute__((visibility("default")))

struct fake_cufft {
  int handles; /* alive */
  int created, transforms;
  int calls;  /* of functions that a transform needs: not of cufftDestroy */
  int fail;   /* the call of that number fails; 0: none does */
  int status; /* with this status */
};
extern FAKE_API struct fake_cufft fake_cufft;

#endif
