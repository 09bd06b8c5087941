/* SPDX-License-Identifier: Apache-2.0
 * tests/fuzz/fuzz_body.c -- libFuzzer target: any text as an op body.
 *
 * The input is a parameter list, a newline, and the body. What parses is tried with a few dtypes,
 * ranks and shapes; every variant that comes out must be a valid IR, and must be placed with all
 * its affine operands inside their arguments. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/model/dtype.h"
#include "jit/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok) {
  if (!ok) abort();
}

/* Every element that an affine operand touches is one of its argument, dense on entry. */
static void check_boxes(const rpi_variant *v, const rpi_body_arg *args, const rpi_placement *p) {
  for (int32_t o = 0; o < v->ir.n_operand; o++) {
    const rpi_geom *whole = &args[v->operand[o].arg].geom;
    int64_t lo = 0, hi = -1;
    require(v->ir.operand[o].dtype == args[v->operand[o].arg].dtype);
    if (!rpi_geom_span(&p->operand[o], &lo, &hi)) continue;
    require(lo >= 0 && hi < rpi_geom_size(whole));
    require(v->ir.operand[o].kind == RPI_OPERAND_TABLE || p->operand[o].ndim == v->ir.rank);
  }
}

static void try_variant(rpi_body *b, rpi_body_arg *args) {
  const rpi_variant *v = NULL;
  if (rpi_body_variant(b, args, &v) != RP_OK) {
    require(rpi_status_message()[0] != '\0');
    return;
  }
  require(rpi_ir_check(&v->ir) == RP_OK);
  rpi_placement p;
  p.operand = rpi_alloc((size_t)(v->ir.n_operand + 1) * sizeof *p.operand);
  p.extent_param = rpi_alloc((size_t)(v->ir.n_extent + 1) * sizeof *p.extent_param);
  if (p.operand != NULL && p.extent_param != NULL) {
    require(rpi_variant_place(v, args, &p) == RP_OK);
    check_boxes(v, args, &p);
  }
  rpi_alloc_free(p.extent_param);
  rpi_alloc_free(p.operand);
}

/* Combination `c`: dtypes, ranks and extents by its digits. */
static void set_args(const rpi_body *b, int32_t c, rpi_body_arg *args) {
  static const rp_dtype dtype[4][4] = {{RP_F64, RP_F64, RP_F64, RP_F64},
                                       {RP_I64, RP_I64, RP_I32, RP_U8},
                                       {RP_F64, RP_F32, RP_I64, RP_BOOL},
                                       {RP_BOOL, RP_BOOL, RP_U64, RP_F32}};
  static const int32_t rank[5][4] = {
      {1, 1, 1, 1}, {2, 2, 2, 2}, {0, 1, 1, 1}, {1, 2, 1, 1}, {3, 2, 3, 0}};
  static const int64_t extent[3][3] = {{5, 5, 5}, {1, 4, 6}, {0, 3, 2}};
  for (int32_t i = 0; i < rpi_body_n_stores(b); i++) {
    args[i].dtype = dtype[c % 4][i % 4];
    rpi_geom_dense(rank[c / 4 % 5][i % 4], extent[c / 20 % 3], &args[i].geom);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *params = rpi_alloc(size + 1);
  rpi_body *b = NULL;
  if (params == NULL) return 0;
  if (size > 0) memcpy(params, data, size);
  params[size] = '\0';
  char *body = strchr(params, '\n');
  if (body != NULL) {
    *body++ = '\0';
    if (rpi_body_parse(params, body, &b) == RP_OK) {
      rpi_body_arg args[RPI_BODY_MAX_ARGS];
      memset(args, 0, sizeof args);
      for (int32_t c = 0; c < 60; c++) {
        set_args(b, c, args);
        try_variant(b, args);
        for (int32_t i = 0; i < rpi_body_n_stores(b); i++) {
          if (rpi_body_privilege(b, i) == RP_PRIV_WRITE) args[i].dtype = -1;
        }
        if (rpi_body_infer(b, args) == RP_OK) try_variant(b, args);
      }
      rpi_body_free(b);
    } else {
      require(b == NULL && rpi_status_message()[0] != '\0');
    }
  }
  rpi_alloc_free(params);
  return 0;
}
