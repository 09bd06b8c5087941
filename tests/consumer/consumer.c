/* SPDX-License-Identifier: Apache-2.0
 * consumer.c -- a program outside the tree: installed header, installed library, one task. */
#include <reprise.h>
#include <stdio.h>

int main(void) {
  rp_context *ctx = NULL;
  rp_store *x = NULL;
  double v[4] = {1, 2, 3, 4};
  int64_t n = 4;
  if (rp_context_create(NULL, &ctx) || rp_store_create(ctx, RP_F64, 1, &n, &x) ||
      rp_store_write(x, v, sizeof v) || rp_eval(ctx, "x", "x = 2*x + 1", &x, 1) ||
      rp_store_read(x, v, sizeof v) || rp_store_release(x) || rp_context_destroy(ctx)) {
    fprintf(stderr, "consumer: %s\n", rp_last_error());
    return 1;
  }
  printf("%g %g %g %g\n", v[0], v[1], v[2], v[3]);
  return v[0] == 3 && v[1] == 5 && v[2] == 7 && v[3] == 9 ? 0 : 1;
}
