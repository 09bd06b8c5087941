/* SPDX-License-Identifier: Apache-2.0
 * tests/support/blend.h -- an op of two variants, a C function and the text of a kernel: x = 0.5*x + k*y. */
#ifndef BLEND_H
#define BLEND_H

#include "tests/support/api_check.h"

static const char blend_text[] =
    "struct blend { double *x; const double *y; double k; int64_t n; };\n"
    "RPG_KERNEL(blend, blend) {\n"
    "  const int64_t i = (int64_t)RPG_BLOCK * RPG_THREADS + RPG_THREAD;\n"
    "  if (i < a.n) a.x[i] = 0.5 * a.x[i] + a.k * a.y[i];\n"
    "}\n";

static inline void blend_host(double *x, const double *y, double k, int64_t n) {
  for (int64_t i = 0; i < n; i++) x[i] = 0.5 * x[i] + k * y[i];
}

static inline rp_status blend(rp_context *c, rp_store *x, rp_store *y, double k) {
  static const int32_t privileges[] = {RP_PRIV_READ_WRITE, RP_PRIV_READ};
  static const rp_opaque_arg args[] = {{.kind = RP_ARG_PTR, .a = 0},
                                       {.kind = RP_ARG_PTR, .a = 1},
                                       {.kind = RP_ARG_SCALAR, .a = 0},
                                       {.kind = RP_ARG_SIZE, .a = 0}};
  static const rp_gpu_variant text = {
      .struct_size = sizeof text, .source = blend_text, .entry = "blend"};
  static const rp_opaque_desc d = {.struct_size = sizeof d,
                                   .name = "blend",
                                   .params = "x, y, k:f64",
                                   .privileges = privileges,
                                   .function = (void (*)(void))blend_host,
                                   .args = args,
                                   .n_args = 4,
                                   .flags = RP_OPAQUE_DENSE,
                                   .gpu = &text};
  rp_op *op = rp_context_data(c, &d);
  rp_library *lib = NULL;
  rp_status st = RP_OK;
  if (!op) {
    st = rp_library_create(c, "blend", &lib);
    if (st == RP_OK) st = rp_op_create_opaque(lib, &d, &op);
    if (st == RP_OK) st = rp_context_set_data(c, &d, op, NULL);
  }
  return st == RP_OK ? rp_launch(op, STORES(x, y), 2, (const void *const[]){&k}, 1) : st;
}

#endif
