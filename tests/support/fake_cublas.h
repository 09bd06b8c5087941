/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cublas.h -- a library in cuBLAS' place, on the emulated GPU, as a test steers and questions it.
 * Lives here: what it counts and how it fails. Not here: its functions (fake_cublas.c). */
#ifndef FAKE_CUBLAS_H
#define FAKE_CUBLAS_H

struct fake_cublas {
  int handles; /* alive */
  int created, products;
  int fail; /* the status of products; 0: they are done */
};
extern __attribute__((visibility("default"))) struct fake_cublas fake_cublas;

#endif
