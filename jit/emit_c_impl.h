/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c_impl.h -- what the files of the C emitter share: the plan of one text, and line
 * makers.
 *
 * Lives here: rpi_emit and the functions that cross the emitter's files. Nobody else includes it.
 * Words:      a *uniform* value is the same for the whole launch, a *row* value for one row of the
 *             space, a *column* value differs from point to point. A *stage* is a pass over the
 *             columns of a leaf: even stages are vector code, odd stages run one inner loop per
 *             point in scalar code. A value that one stage makes and a later one needs lives in a
 *             *slot*: an array of one leaf in the scratch memory.
 * Names in the text: v<i> the vector (y<i> the one beside it, at column c1) and s<i> the scalar of
 *             instruction i; p<o> an operand's pointer, q<o> the same at the start of the row's leaf,
 *             p<o>_s<d> its stride, p<o>_n<d> a table's extent; o<d> the origin of axis d, at<d> the
 *             index of the row, or of the leaf's first column, in the whole space; x<i> the slot of a
 *             value; acc<r>, a<r>_<k> accumulators, l<r> their lanes; z<r> the partials of a row. */
#ifndef RPI_EMIT_C_IMPL_H
#define RPI_EMIT_C_IMPL_H

#include "jit/ir.h"

enum { RPI_EMIT_UNIFORM, RPI_EMIT_ROW, RPI_EMIT_COLUMN, RPI_EMIT_INNER };
enum { RPI_EMIT_MAX_STAGE = 129 };

/* Where a line stands: decides how memory is addressed and which letter names a value. */
typedef enum rpi_emit_place {
  RPI_EMIT_FULL,   /* vector code, all lanes at column c */
  RPI_EMIT_TAIL,   /* vector code, the first m lanes at column c */
  RPI_EMIT_ONCE,   /* vector code of row values: every lane the same */
  RPI_EMIT_POINT,  /* scalar code at column c */
  RPI_EMIT_SCALAR, /* scalar code of prologue and epilogue */
  RPI_EMIT_LANES,  /* vector code inside an inner loop: lanes are consecutive k */
  RPI_EMIT_THREAD  /* CUDA: scalar code of a thread, at column c or, of several, c_<lane> */
} rpi_emit_place;

typedef struct rpi_emit {
  const rpi_ir *ir;
  const char *key; /* its first 8 digits tell this kernel's names from others' in the text */
  rpi_ir_layout l;
  rpi_strbuf *out;
  uint64_t *folds; /* per dtype, a bit per operator: the folds that the text has already */
  int32_t indent;
  int32_t bits;      /* of a hardware vector */
  int32_t lanes;     /* of every vector in this text; CUDA: neighbouring columns of a thread */
  int32_t lane;      /* CUDA: the column at hand, of several */
  const char *index; /* the type of indices and strides */
  const char *first; /* the first column of q<o>, from the row's on; NULL: the row's first */
  bool cuda;
  bool apart;       /* CUDA: the prologue is a launch of its own */
  bool wide;        /* CUDA: indices of 64 bits */
  bool teams;       /* CUDA: warps come to their points together, `in` says who has one */
  bool spread;      /* CUDA: several warps may do a leaf */
  bool guarded;     /* CUDA: the lines at hand are of threads without a point, too */
  uint64_t aligned; /* CUDA: of rpi_cuda_shape */
  bool row_mode;
  bool checked;   /* some gather clamps */
  bool streaming; /* stores at hand ask `past` whether to write past the caches */
  bool twin; /* the lines at hand are the second of two vectors done side by side: y<i>, at c1 */
  int32_t n_prefix; /* ROW mode: reduced axes */
  int32_t n_stage;  /* odd: 2 * top-level loops + 1 */
  int32_t n_slot;
  int32_t loop_inner; /* LANES: the LOOP whose k runs over the lanes */
  bool failed;        /* memory */
  uint8_t *level;     /* per instruction of the body: RPI_EMIT_ */
  int32_t *stage;     /* per instruction of the body: where it stands */
  int32_t *end;       /* of a LOOP: its ENDLOOP; of an ENDLOOP: its LOOP; else -1 */
  int32_t *slot;      /* -1: none */
  uint8_t *scalar;    /* 1: an inner loop wants the value of a row or uniform instruction */
  uint8_t *mark;      /* [stage * n_body + i]: instruction i is made in that stage */
  int32_t loop_at[RPI_EMIT_MAX_STAGE]; /* of an odd stage: its LOOP */
} rpi_emit;

/* ---- emit_c_plan.c */
/* RP_ERR_INTERNAL with a sentence if the kernel is beyond what the emitter takes on. */
rp_status rpi_emit_plan(rpi_emit *e);
void rpi_emit_plan_free(rpi_emit *e);
static inline bool rpi_emit_marked(const rpi_emit *e, int32_t stage, int32_t i) {
  return e->mark[(size_t)stage * (size_t)e->ir->n_body + (size_t)i] != 0;
}

static inline const char *rpi_emit_red_name(const rpi_ir_red *r) {
  return rpi_ir_redop_name((rpi_redop)r->op);
}
static inline rp_dtype rpi_emit_red_dtype(const rpi_emit *e, int32_t r) {
  return e->ir->operand[e->ir->red[r].operand].dtype;
}
static inline bool rpi_emit_leaf_mode(const rpi_emit *e) {
  return e->ir->n_red > 0 && !e->row_mode;
}

/* Pairs LOOP with ENDLOOP in all sections: `end`. */
rp_status rpi_emit_plan_loops(rpi_emit *e);

/* ---- emit_c.c */
/* The dtypes a kernel touches, a bit each. */
uint32_t rpi_emit_dtypes(const rpi_ir *ir);

/* ---- emit_c_line.c */
/* Appends to an expression of at most RPI_EMIT_EXPR characters. */
enum { RPI_EMIT_EXPR = 4096 };
void rpi_emit_add(char *buf, const char *fmt, ...) RPI_PRINTF(2, 3);
/* The name of scalar value v. */
void rpi_emit_add_name(const rpi_emit *e, char *buf, int32_t v, rpi_emit_place where);
/* One indented line. */
void rpi_emit_line(rpi_emit *e, const char *fmt, ...) RPI_PRINTF(2, 3);
void rpi_emit_open(rpi_emit *e, const char *fmt, ...) RPI_PRINTF(2, 3); /* line, then deeper */
void rpi_emit_close(rpi_emit *e);                                       /* "}" */
const char *rpi_emit_ctype(rp_dtype t);
/* Makes value i (anything but STORE, REDUCE, LOOP, ENDLOOP). */
void rpi_emit_value(rpi_emit *e, int32_t i, rpi_emit_place where);
void rpi_emit_store(rpi_emit *e, int32_t i, rpi_emit_place where);
/* May stores to operand o go past the caches? Whole hardware vectors to memory nobody reads here. */
bool rpi_emit_streams(const rpi_emit *e, int32_t o);
/* Pointers, strides and extents of the operands that instructions [from, to) touch. */
void rpi_emit_operands(rpi_emit *e, int32_t from, int32_t to);
/* Uniform values made by the prologue, read from the words: those that [from, to) use. */
void rpi_emit_uniforms(rpi_emit *e, int32_t from, int32_t to, bool vectors);
/* Scalar instructions [from, to), inner loops included. */
void rpi_emit_scalars(rpi_emit *e, int32_t from, int32_t to, rpi_emit_place where);

/* ---- emit_c_loop.c */
/* The inner loop that starts at instruction i; afterwards s<end> is its value. */
void rpi_emit_loop(rpi_emit *e, int32_t i, rpi_emit_place where);

/* Are the long segments of the loop at i done by a function of their own, which leaves the registers
 * to the short ones? Then rpi_emit_long writes it. */
bool rpi_emit_apart(const rpi_emit *e, int32_t i);
void rpi_emit_long(rpi_emit *e, int32_t i);

/* ---- emit_c_stage.c */
/* The column loops of a leaf, all stages. */
void rpi_emit_stages(rpi_emit *e);
/* How many stores of this kernel may go past the caches; 0 for kernels whose columns are not simply
 * walked once. */
int32_t rpi_emit_n_streams(const rpi_emit *e);
/* `stream`: the launch moves more than the caches hold, and what it writes is not what it reads.
 * Written past the caches, memory need not be read before: 1.3x for z = a*x + y on one thread. */
void rpi_emit_stream_test(rpi_emit *e);

/* ---- emit_c_body.c */
/* Pointers q<o> of the row at i0, i1, ..., and at<d>, where it lies in the whole space. */
void rpi_emit_row(rpi_emit *e);
/* Number r of axes [from, to), flattened, into i<from>, ...; the next place there: the first axis runs free. */
void rpi_emit_decode(rpi_emit *e, int32_t from, int32_t to, const char *r);
void rpi_emit_advance(rpi_emit *e, int32_t from, int32_t to);
/* Origins of the axes whose indices the body asks for. */
void rpi_emit_origins(rpi_emit *e);
/* ROW mode: the products of the reduced and of the kept leading extents. */
void rpi_emit_rows_kept(rpi_emit *e);
/* A name that tells what the kernel does, for profilers: the first few operations of its body. */
void rpi_emit_worker_name(const rpi_emit *e, char *name, size_t size);
/* The worker, named after what it does and the key, and rpk_body, which calls it. */
void rpi_emit_body(rpi_emit *e);

#endif
