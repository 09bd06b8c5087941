/* SPDX-License-Identifier: Apache-2.0
 * tests/support/cufft_theirs.c -- compares kernels/fourier/cufft.def and the codes in cufft.h with the toolkit's header, when
 * it compiles. It has a file of its own, for the toolkit declares what the emulated GPU declares, too. */
#include "tests/support/cufft_theirs.h"

#include "kernels/fourier/cufft.h"

#ifdef CUFFT_TOOLKIT

#include <cufft.h>

#define CUFFT_KIND cufftType
#define CUFFT_STREAM cudaStream_t
#define CUFFT_C32 cufftComplex
#define CUFFT_C64 cufftDoubleComplex
#define RPI_CUFFT_FN(field, symbol, arguments) \
  _Static_assert(_Generic(&symbol, cufftResult(*) arguments : 1, default : 0), \
                 #symbol " has another signature in the toolkit");
#include "kernels/fourier/cufft.def"
#undef RPI_CUFFT_FN

#define SAME(name) _Static_assert((int)RPI_##name == (int)name, #name " is another number");
SAME(CUFFT_FORWARD)
SAME(CUFFT_INVERSE)
SAME(CUFFT_R2C)
SAME(CUFFT_C2R)
SAME(CUFFT_C2C)
SAME(CUFFT_D2Z)
SAME(CUFFT_Z2D)
SAME(CUFFT_Z2Z)
_Static_assert(CUFFT_SUCCESS == 0 && sizeof(cufftType) == sizeof(int) &&
                   sizeof(cufftResult) == sizeof(int) && sizeof(cudaStream_t) == sizeof(void *),
               "what is an int here is none in the toolkit");

int cufft_theirs(void) {
  int n = 0;
#define RPI_CUFFT_FN(field, symbol, arguments) n++;
#include "kernels/fourier/cufft.def"
#undef RPI_CUFFT_FN
  return n;
}

#else

int cufft_theirs(void) { return 0; }

#endif
