/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cusolver.h -- a library in cuSOLVER's place, on the emulated GPU, as a test steers and questions it.
 * Lives here: what it counts and how it fails. Not here: its functions (fake_cusolver.c). */
#ifndef FAKE_CUSOLVER_H
#define FAKE_CUSOLVER_H

struct fake_cusolver {
  int handles, params; /* alive */
  int created, calls;
  int fail; /* the fail-th call from now returns status 7; 0: none */
};
extern __attribute__((visibility("default"))) struct fake_cusolver fake_cusolver;

#endif
