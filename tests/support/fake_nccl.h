/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_nccl.h -- a library in NCCL's place, on the emulated GPU, as a test steers and questions it.
 * Lives here: what it counts and how it fails. Not here: its functions (fake_nccl.c).
 * Environment: FAKE_NCCL_SHARED=1: two ranks may have one GPU. */
#ifndef FAKE_NCCL_H
#define FAKE_NCCL_H

#include <stdint.h>

#define FAKE_API __attribute__((visibility("default")))

enum { FAKE_NCCL_RANKS = 16 };

struct fake_nccl {
  int comms; /* alive */
  int joined, destroyed, aborted;
  int64_t groups, sends, receives, bytes; /* bytes: sent and arrived */
  int64_t asked;                          /* for what a call that had returned came to */
  /* The n-th call of that name, by that rank (-1: before it has joined), returns the code. */
  const char *fail_call;
  int fail_rank, fail_n, fail_code;
  int broken[FAKE_NCCL_RANKS]; /* see fake_nccl_break */
};
extern FAKE_API struct fake_nccl fake_nccl; /* while no rank runs */
/* Behind the rank's back: it finds that code, and what it has under way ends without having come. */
FAKE_API void fake_nccl_break(int rank, int code);
/* Counts are 0, nothing fails. */
FAKE_API void fake_nccl_reset(void);

#endif
