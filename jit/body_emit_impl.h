/* SPDX-License-Identifier: Apache-2.0
 * jit/body_emit_impl.h -- what the files that turn a bound body into IR share: the variant at work.
 * Nobody else includes it. */
#ifndef RPI_BODY_EMIT_IMPL_H
#define RPI_BODY_EMIT_IMPL_H

#include "core/model/dtype.h"
#include "jit/body_tree.h"

typedef struct rpi_body_emitter {
  rpi_body *b;
  const rpi_body_facts *facts;
  uint8_t *dtype;
  rpi_body_variant_rec *rec;
  rpi_ir *ir;
  rpi_body_typer typer;
  const rpi_body_stmt *s;
  rpi_irval *load; /* per operand: its LOAD, or RPI_IR_NONE */
  int32_t cap_load;
  rpi_body_value *let; /* per let */
  bool *let_known;
  int32_t *known; /* stack of the lets that are known */
  int32_t n_known;
  struct open_loop {
    int32_t range;
    rpi_irval k;
  } * loop;
  int32_t n_loop, cap_loop;
  bool at_point; /* indices are not the space's: */
  rpi_irval point[RP_MAX_DIM];
} rpi_body_emitter;

#define type_fail(e, at, ...) rpi_body_lex_fail(RP_ERR_DTYPE, "body", (e)->b->text, at, __VA_ARGS__)

/* ---- body_emit.c */
/* The operand of that access, shared by all accesses that touch the same elements at each point. */
rp_status rpi_body_emit_operand(rpi_body_emitter *e, int32_t access, uint8_t bits, int32_t *out);
/* The one LOAD of that access. */
rp_status rpi_body_emit_load(rpi_body_emitter *e, int32_t access, rpi_irval *out);
/* Begins a statement: its accesses are those of its nodes. */
void rpi_body_emit_enter(rpi_body_emitter *e, const rpi_body_stmt *s);
/* The value of a statement in the dtype of its destination. */
rp_status rpi_body_emit_value(rpi_body_emitter *e, const rpi_body_stmt *s, rpi_body_value *out);
/* What combines two values as the reduction does. */
rpi_irop rpi_body_emit_redop(int32_t redop);
/* Stops before the numbers of instructions run out. */
rp_status rpi_body_emit_check(rpi_body_emitter *e, int32_t at);

/* ---- body_scatter.c */
/* All of a body that scatters. */
rp_status rpi_body_scatter_emit(rpi_body_emitter *e);

/* ---- body_value.c */
/* An integer, as an i64; `what` is its name in the error. */
rp_status rpi_body_value_integer(rpi_body_emitter *e, int32_t node, const char *what,
                                 rpi_irval *out);
/* extent(store, axis) */
rp_status rpi_body_value_extent(rpi_body_emitter *e, int32_t store, int32_t axis, rpi_irval *out);
/* The value of a node in statement e->s. */
rp_status rpi_body_value_emit(rpi_body_emitter *e, int32_t node, rpi_body_value *out);
/* The dtype in which a reduction accumulates elements like v. */
rp_dtype rpi_body_value_accumulator(int32_t redop, const rpi_body_value *v);
/* Forgets the values of lets but for the first `mark` that became known. */
void rpi_body_value_forget(rpi_body_emitter *e, int32_t mark);

#endif
