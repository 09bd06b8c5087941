/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cusparse.h -- a library in cuSPARSE's place, on the emulated GPU, as a test steers and questions it.
 * Lives here: what it counts and how it fails. Not here: its functions (fake_cusparse.c). */
#ifndef FAKE_CUSPARSE_H
#define FAKE_CUSPARSE_H

struct fake_cusparse {
  int alive; /* handles and descriptions */
  int created, analyses, solutions;
  int fail; /* the fail-th call from now returns status 7; 0: none */
};
extern __attribute__((visibility("default"))) struct fake_cusparse fake_cusparse;

#endif
