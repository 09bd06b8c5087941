/* SPDX-License-Identifier: Apache-2.0
 * trace/calls.h -- what a rank's program has called last, so that ranks which part can say where.
 *
 * Lives here: rings of the last calls and of the segments that they became, the stamp that messages carry, and the
 *             comparison of two ranks' calls.
 * Not here:   who asks whom when (core/comm/dispute.h), what an address means (site.h).
 * How:        a call is noted as who called what: three words, nothing is hashed. The stamp, a hash of everything
 *             the program has done that can change messages, takes in a segment when it commits: its template's
 *             content, which arrays it binds and the values of its scalars; and the host's accesses. Contents are
 *             named by what is the same on all ranks: text, geometry, and a number that counts the arrays made.
 *             When two ranks part, each hashes its last calls one by one: what is called, and, as far as its
 *             template is still known, on what. The first of the same number that differs is where they part. Of a
 *             call that a library made, the caller is that library's code.
 * Invariants: equal programs note equal calls in equal order on all ranks. A process alone has none of this. */
#ifndef RPI_CALLS_H
#define RPI_CALLS_H

#include "trace/context.h"

/* What else than a launch is a call: a name, and whether the stamp takes it in. */
#define RPI_CALLS_KINDS(X) \
  X(CREATE, "rp_store_create", false) \
  X(ATTACH, "rp_store_attach", false) \
  X(IMPORT, "rp_store_import_dlpack", false) \
  X(HOME, "rp_store_home", true) \
  X(DETACH, "rp_store_detach", true) \
  X(EXPORT, "rp_store_export_dlpack", true) \
  X(READ, "rp_store_read", true) \
  X(WRITE, "rp_store_write", true) \
  X(CHECKPOINT, "rp_checkpoint", true) \
  X(RESTORE, "rp_restore", true) \
  X(WAIT_STORE, "rp_store_wait", false) \
  X(WAIT, "rp_wait", false) \
  X(TRACE_BEGIN, "rp_trace_begin", false) \
  X(TRACE_END, "rp_trace_end", false) \
  X(DESTROY, "rp_context_destroy", true)

typedef enum rpi_calls_kind {
#define RPI_CALLS_KIND(code, name, stamped) RPI_CALLS_##code,
  RPI_CALLS_KINDS(RPI_CALLS_KIND)
#undef RPI_CALLS_KIND
      RPI_N_CALLS
} rpi_calls_kind;

enum { RPI_CALLS_KEPT = 512, RPI_CALLS_SEGMENTS = 256 }; /* powers of two */

typedef struct rpi_call {
  const rp_op *op;    /* NULL: no launch */
  const void *caller; /* a return address */
  rpi_calls_kind kind;
  uint32_t view;   /* no launch: of the store, and its array's number; */
  uint64_t number; /* 0: there is none */
} rpi_call;

typedef struct rpi_calls_segment {
  int64_t first; /* number of its first launch */
  int32_t n;
  const struct rpi_template *t; /* NULL: no longer known */
  uint64_t before;              /* the stamp */
  uint64_t bound;               /* a hash of which arrays it bound, and of its scalars */
} rpi_calls_segment;

typedef struct rpi_calls {
  int64_t n, n_segments; /* ever */
  rpi_call call[RPI_CALLS_KEPT];
  rpi_calls_segment segment[RPI_CALLS_SEGMENTS];
} rpi_calls;

/* Makes a context's record, and has its comm ask it. */
rp_status rpi_calls_create(rp_context *ctx);
/* Notes one launch; ctx->caller called it. */
static inline void rpi_calls_launch(rp_context *ctx, const rp_op *op) {
  rpi_calls *c = ctx->calls;
  if (RPI_LIKELY(!c)) return;
  rpi_call *k = &c->call[c->n++ & (RPI_CALLS_KEPT - 1)];
  k->op = op;
  k->caller = ctx->caller;
}
/* The stamp takes the call in, if it is of a kind that it does. */
void rpi_calls_stamp(rp_context *ctx, rpi_calls_kind kind, const rp_store *s);
/* Notes another call, on a store or NULL. */
static inline void rpi_calls_note(rp_context *ctx, rpi_calls_kind kind, const rp_store *s) {
  rpi_calls *c = ctx->calls;
  if (RPI_LIKELY(!c)) return;
  c->call[c->n++ & (RPI_CALLS_KEPT - 1)] = (rpi_call){.caller = ctx->caller,
                                                      .kind = kind,
                                                      .view = s ? s->view_id : 0,
                                                      .number = s ? s->buf->number : 0};
  if (kind != RPI_CALLS_CREATE) rpi_calls_stamp(ctx, kind, s);
}
/* The segment commits: the stamp takes it in. */
void rpi_calls_commit(rp_context *ctx, const rpi_segment *s);
/* A plan has been chosen for it: so is what was decided, before any message that depends on it. */
static inline void rpi_calls_decided(rp_context *ctx, uint64_t decided) {
  ctx->stamp = (ctx->stamp ^ decided) * UINT64_C(0x9E3779B97F4A7C15);
  rpi_comm_stamp(ctx->comm, ctx->stamp);
}
/* A hash of what the words mean, the same on all ranks. */
uint64_t rpi_calls_meaning(const rp_context *ctx, const uint64_t *words, int32_t n_words);
/* The template goes; NULL: all go, and views may. */
void rpi_calls_forget(rp_context *ctx, const struct rpi_template *t);

#endif
