/* SPDX-License-Identifier: Apache-2.0
 * jit/body.h -- op bodies: text (SEMANTICS 4) to typed kernel IR.
 *
 * Lives here: the parsed body, its variants (one per dtypes, ranks and reduced axes), and how a
 *             variant lies on the stores of one launch.
 * Not here:   stores, tasks, fusion. Text goes in, IR and geometry come out.
 * Flow:       parse (once per op) -> variant (once per combination of types) -> place (per analysis).
 * Threads:    one at a time per body. */
#ifndef RPI_BODY_H
#define RPI_BODY_H

#include "core/model/geom.h"
#include "jit/ir.h"

enum { RPI_BODY_MAX_ARGS = 64 };

typedef struct rpi_body rpi_body;

/* What a launch passes for one store parameter. */
typedef struct rpi_body_arg {
  rp_dtype dtype; /* -1: an output that is to be inferred (geom is then unused) */
  rpi_geom geom;
} rpi_body_arg;

/* Operand o of a variant's IR touches store parameter `arg`. Several operands may touch one (shifts). */
typedef struct rpi_variant_operand {
  int32_t arg;
} rpi_variant_operand;

typedef struct rpi_variant {
  rpi_ir ir; /* one body section only; stride classes are all ANY (ZERO on reduced axes) */
  const rpi_variant_operand *operand; /* ir.n_operand of them */
  uint32_t id;                        /* unique in the process */
  const struct rpi_body *body;
} rpi_variant;

/* Where the operands of a variant lie for one launch. */
typedef struct rpi_placement {
  int32_t rank;
  int64_t extent[RP_MAX_DIM]; /* of the space */
  rpi_geom *operand; /* AFFINE: a box of exactly the space's shape; TABLE: the argument's own box */
  int64_t *extent_param; /* ir.n_extent values */
} rpi_placement;

/* `params` and `body` as in rp_op_create. On error RP_ERR_BODY with the text, a caret and what was
 * expected. */
rp_status rpi_body_parse(const char *params, const char *body, rpi_body **out);
void rpi_body_free(rpi_body *b);
int32_t rpi_body_n_stores(const rpi_body *b);
int32_t rpi_body_n_scalars(const rpi_body *b);
/* dtype in which a launch passes scalar i (f64 for `float`, i64 for `int`). */
rp_dtype rpi_body_scalar_dtype(const rpi_body *b, int32_t i);
/* RP_PRIV_ bits of store i: WRITE alone if every element of it is written and its old values are
 * not read; an operator assignment reads and writes. */
int32_t rpi_body_privilege(const rpi_body *b, int32_t i);
const char *rpi_body_text(const rpi_body *b);

/* The variant for these arguments, made on first need and owned by the body. Reports every error a
 * launch can see: ranks, dtypes and lossy stores, extents that do not fit, affine accesses that
 * leave their operand. All dtypes must be known. */
rp_status rpi_body_variant(rpi_body *b, const rpi_body_arg *args, const rpi_variant **out);

/* Fills in dtype and dense geom of the arguments with dtype -1 (which the body must only write). */
rp_status rpi_body_infer(rpi_body *b, rpi_body_arg *args);

/* ---- scatter: `h[b[i]] += w[i]`. The variants of such a body only say whether a launch fits. What runs are two bodies
 * of the same text, whose stores are those of the body and some more:
 *   KEYS      `key`, of the points' shape: where each point goes, in C order of the destination; -1: nowhere
 *   SEGMENTS  `first` and `end`, of the destination's shape: where the segment of each element begins and ends; and for
 *             each axis of the points one more, by number in the segments' order: the points' coordinates on it */
typedef enum rpi_body_form { RPI_BODY_WRITTEN, RPI_BODY_KEYS, RPI_BODY_SEGMENTS } rpi_body_form;

typedef struct rpi_body_scatter {
  int32_t dest;   /* store */
  int32_t rank;   /* axes of the points */
  int32_t plain;  /* the store that holds the keys as they are, over all axes in their order; -1 */
  uint64_t reads; /* a bit for each store that the subscripts on the left read, */
  bool scalars;   /* and whether they read scalars */
} rpi_body_scatter;

/* False for a body that does not scatter. */
bool rpi_body_scatters(const rpi_body *b, rpi_body_scatter *out);
rp_status rpi_body_derive(const rpi_body *b, rpi_body_form form, rpi_body **out);
/* Extents of the points of a scatter (as many as it has axes) for arguments that rpi_body_variant has accepted. */
rp_status rpi_body_points(const rpi_body *b, const rpi_body_arg *args, int64_t *shape);

/* Lays the variant on the arguments (already accepted by rpi_body_variant). operand and
 * extent_param point to caller's arrays, large enough. Pure arithmetic. */
rp_status rpi_variant_place(const rpi_variant *v, const rpi_body_arg *args, rpi_placement *out);

#endif
