/* SPDX-License-Identifier: Apache-2.0
 * core/model/op.h -- what a library registers: ops with a body, and opaque ones.
 * Lives here: the records. Not here: what a body means (jit/body.h), how an opaque function is
 *             called (core/exec/opaque.h), entry points (bindings/c). Ops and libraries live as
 *             long as their context. */
#ifndef RPI_OP_H
#define RPI_OP_H

#include "core/model/store.h"

enum { RPI_OP_MAX_STORES = 64, RPI_OP_MAX_SCALARS = 64 };

/* What the runtime itself knows an op to do, beyond its body. */
enum { RPI_OP_PLAIN = 0, RPI_OP_COPY = 1, RPI_OP_INVERT = 2 };

struct rp_library {
  uint32_t magic;
  rp_context *ctx;
  char *name;
  rp_library *next;
};

/* What rp_call inferred last: the same input views give the same outputs. */
typedef struct rpi_inferred {
  uint64_t trims; /* of the pool's views when it was made: ids and views hold until the next one */
  uint32_t view[RPI_OP_MAX_STORES];       /* of the given stores */
  const rpi_view *out[RPI_OP_MAX_STORES]; /* of those left out; NULL: given */
} rpi_inferred;

struct rp_op {
  uint32_t magic;
  uint32_t id; /* counts from 1 in its context */
  rp_context *ctx;
  rp_library *lib;
  char *name;
  char *params;
  int32_t n_stores, n_scalars;
  int32_t n_unbound; /* of n_stores, the last: not the caller's, for the sizes of unbound ones (trace/unbound.h) */
  uint8_t scalar_dtype[RPI_OP_MAX_SCALARS];
  uint8_t scalar_size[RPI_OP_MAX_SCALARS];
  uint8_t privilege[RPI_OP_MAX_STORES]; /* RP_PRIV_ bits */
  int32_t special;                      /* RPI_OP_ */
  struct rpi_body *body;                /* NULL: opaque */
  struct rpi_opaque *opaque;            /* NULL: has a body */
  struct rpi_scatter *scatter;          /* other ops are launched in its place; NULL: none */
  rpi_inferred *inferred;               /* NULL until rp_call infers */
  rp_op *next;
};

enum { RPI_OP_PARAM = 80 };
/* Writes how a sentence calls a launch's store (or scalar) i, "stores[1] ('x')", and returns buf. */
const char *rpi_op_param(const rp_op *op, int32_t i, bool scalar, char buf[RPI_OP_PARAM]);

#endif
