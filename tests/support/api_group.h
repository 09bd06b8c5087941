/* SPDX-License-Identifier: Apache-2.0
 * tests/support/api_group.h -- one context that only interprets, for each test of a group or for all of
 * them. Include it first, behind a definition of GROUP_CONFIG if options are wanted. */
#ifndef API_GROUP_H
#define API_GROUP_H

#include "tests/support/api_check.h"

#ifndef GROUP_CONFIG
#define GROUP_CONFIG ""
#endif

static rp_context *ctx;

static inline int setup(void **state) {
  (void)state;
  ctx = check_context(GROUP_CONFIG);
  return 0;
}

static inline int teardown(void **state) {
  (void)state;
  rp_wait(ctx); /* what a test poisoned is its own affair */
  return rp_context_destroy(ctx) == RP_OK ? 0 : -1;
}

static inline void drop(rp_store *s) { OK(rp_store_release(s)); }

#endif
