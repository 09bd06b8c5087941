/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api_op.c -- entry points: libraries, ops, launches, traces, waiting.
 * Not here: recording and running (trace/). The fast path of a launch is rp_launch's first lines and
 * rpi_segment_launch. */
#include <string.h>

#include "bindings/c/api.h"
#include "core/base/alloc.h"
#include "core/base/hash.h"
#include "jit/body.h"
#include "trace/calls.h"
#include "trace/runtime.h"
#include "trace/repeat.h"
#include "trace/unbound.h"

/* ---- libraries and ops ---- */

rp_status rp_library_create(rp_context *ctx, const char *name, rp_library **out) {
  if (!out || !name || !name[0])
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_library_create: %s",
                           out ? "name is NULL or empty" : "out is NULL");
  *out = NULL;
  RPI_TRY(rpi_api_enter(ctx, "rp_library_create"));
  return rpi_api_leave(ctx, rpi_runtime_library(ctx, name, out));
}

rp_context *rp_library_context(const rp_library *lib) {
  return lib && lib->magic == RPI_MAGIC_LIBRARY ? lib->ctx : NULL;
}

static rp_status enter_library(rp_library *lib, const char *call) {
  if (!lib) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: the library is NULL", call);
  if (lib->magic != RPI_MAGIC_LIBRARY)
    return rpi_status_fail(RP_ERR_HANDLE, "%s: this is no library", call);
  return rpi_api_enter(lib->ctx, call);
}

rp_status rp_op_create(rp_library *lib, const char *name, const char *params, const char *body,
                       rp_op **out) {
  if (!out) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_op_create: out is NULL");
  *out = NULL;
  if (!name || !name[0])
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_op_create: name is NULL or empty");
  if (!params || !body)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_op_create: %s is NULL", params ? "body" : "params");
  RPI_TRY(enter_library(lib, "rp_op_create"));
  rp_status st = rpi_runtime_op(lib, name, params, body, out);
  if (RPI_UNLIKELY(st == RP_OK && lib->ctx->crew)) rpi_follow_op_made(*out, body);
  return rpi_api_leave(lib->ctx, st == RP_OK ? RP_OK : rpi_status_context(st, "rp_op_create"));
}

rp_status rp_op_create_opaque(rp_library *lib, const rp_opaque_desc *desc, rp_op **out) {
  if (!out || !desc)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_op_create_opaque: %s is NULL",
                           out ? "desc" : "out");
  *out = NULL;
  rp_opaque_desc d = {0};
  if (desc->struct_size < sizeof desc->struct_size || desc->struct_size > sizeof d)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_op_create_opaque: struct_size is %zu, not %zu",
                           desc->struct_size, sizeof d);
  memcpy(&d, desc, desc->struct_size);
  if (!d.name || !d.name[0])
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_op_create_opaque: name is NULL or empty");
  if (!d.params) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_op_create_opaque: params is NULL");
  RPI_TRY(enter_library(lib, "rp_op_create_opaque"));
  rp_status st = rpi_runtime_op_opaque(lib, &d, out);
  if (RPI_UNLIKELY(st == RP_OK && lib->ctx->crew)) rpi_follow_opaque_made(*out, &d);
  return rpi_api_leave(lib->ctx,
                       st == RP_OK ? RP_OK : rpi_status_context(st, "rp_op_create_opaque"));
}

static bool op_good(const rp_op *op) { return op && op->magic == RPI_MAGIC_OP; }
/* What a launch passes. */
static int32_t given_stores(const rp_op *op) { return op->n_stores - op->n_unbound; }
int32_t rp_op_n_stores(const rp_op *op) { return op_good(op) ? given_stores(op) : 0; }
int32_t rp_op_n_scalars(const rp_op *op) { return op_good(op) ? op->n_scalars : 0; }
int32_t rp_op_privilege(const rp_op *op, int32_t store) {
  return op_good(op) && store >= 0 && store < given_stores(op) ? op->privilege[store] : 0;
}

/* ---- data of clients ---- */

rp_status rp_context_set_data(rp_context *ctx, const void *key, void *data,
                              void (*free_data)(void *data)) {
  if (!key) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_context_set_data: key is NULL");
  RPI_TRY(rpi_api_enter(ctx, "rp_context_set_data"));
  rpi_client_data *d = ctx->client_data;
  while (d && d->key != key) d = d->next;
  if (d) {
    if (d->free_data) d->free_data(d->data);
  } else {
    d = rpi_alloc_zero(sizeof *d);
    if (!d) return rpi_api_leave(ctx, rpi_status_nomem("client data"));
    d->key = key;
    d->next = ctx->client_data;
    ctx->client_data = d;
  }
  d->data = data;
  d->free_data = free_data;
  return rpi_api_leave(ctx, RP_OK);
}

void *rp_context_data(rp_context *ctx, const void *key) {
  if (!ctx || ctx->magic != RPI_MAGIC_CONTEXT) return NULL;
  for (rpi_client_data *d = ctx->client_data; d; d = d->next)
    if (d->key == key) return d->data;
  return NULL;
}

/* ---- launches ---- */

static rp_status bad_launch(const char *call, const rp_op *op, rp_store *const *stores,
                            int32_t n_stores, const void *const *scalars, int32_t n_scalars,
                            bool may_be_null) {
  if (!op) return rpi_status_fail(RP_ERR_ARGUMENT, "%s: the op is NULL", call);
  if (!op_good(op)) return rpi_status_fail(RP_ERR_HANDLE, "%s: this is no op", call);
  if (n_stores != given_stores(op) || n_scalars != op->n_scalars)
    return rpi_status_fail(
        RP_ERR_ARGUMENT, "%s: %s.%s takes %d stores and %d scalars, not %d and %d", call,
        op->lib->name, op->name, given_stores(op), op->n_scalars, n_stores, n_scalars);
  if ((n_stores > 0 && !stores) || (n_scalars > 0 && !scalars))
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s: %s is NULL", call, stores ? "scalars" : "stores");
  for (int32_t i = 0; i < n_stores; i++) {
    const rp_store *s = stores[i];
    if (!s && may_be_null) continue;
    rp_status st = !s                       ? RP_ERR_ARGUMENT
                   : !rpi_api_store_held(s) ? RP_ERR_HANDLE
                   : s->ctx != op->ctx      ? RP_ERR_ARGUMENT
                                            : RP_OK;
    if (st == RP_OK) continue;
    char name[RPI_OP_PARAM];
    return rpi_status_fail(st, "%s: %s.%s: %s %s", call, op->lib->name, op->name,
                           rpi_op_param(op, i, false, name),
                           !s                    ? "is NULL"
                           : st == RP_ERR_HANDLE ? "is no store (or was released)"
                                                 : "belongs to another context");
  }
  for (int32_t i = 0; i < n_scalars; i++) {
    char name[RPI_OP_PARAM];
    if (!scalars[i])
      return rpi_status_fail(RP_ERR_ARGUMENT, "%s: %s.%s: %s is NULL", call, op->lib->name,
                             op->name, rpi_op_param(op, i, true, name));
  }
  return RP_OK;
}

static inline bool launch_good(const rp_op *op, rp_store *const *stores, int32_t n_stores,
                               const void *const *scalars, int32_t n_scalars, bool may_be_null) {
  if (!op_good(op) || n_stores != op->n_stores || n_scalars != op->n_scalars) return false;
  if ((n_stores > 0 && !stores) || (n_scalars > 0 && !scalars)) return false;
  for (int32_t i = 0; i < n_stores; i++)
    if (stores[i] ? stores[i]->magic != RPI_MAGIC_STORE || stores[i]->ctx != op->ctx : !may_be_null)
      return false;
  for (int32_t i = 0; i < n_scalars; i++)
    if (!scalars[i]) return false;
  return true;
}

/* The context is entered, the handles are good, and the outputs made by the call, those in `made`, are there. */
static inline rp_status launch(rp_op *op, rp_store *const *stores, const void *const *scalars,
                               uint64_t made) {
  if (RPI_UNLIKELY(op->ctx->crew))
    RPI_TRY(rpi_follow_launch_of(op, stores, given_stores(op), scalars, made));
  return rpi_segment_launch(op->ctx, op, stores, scalars);
}

/* Some store is unbound, on either side of the op. */
static rp_status launch_unbound(const char *call, rp_op *op, rp_store *const *stores,
                                int32_t n_stores, const void *const *scalars, int32_t n_scalars) {
  RPI_TRY(bad_launch(call, op, stores, n_stores, scalars, n_scalars, false));
  RPI_TRY(rpi_api_enter(op->ctx, call));
  rp_status st = RP_OK;
  if (op->ctx->crew) st = rpi_follow_launch_of(op, stores, given_stores(op), scalars, 0);
  if (st == RP_OK) st = rpi_unbound_launch(op, stores, scalars);
  return rpi_api_leave(op->ctx, st == RP_OK ? RP_OK : rpi_status_context(st, "%s", call));
}

rp_status rp_launch(rp_op *op, rp_store *const *stores, int32_t n_stores,
                    const void *const *scalars, int32_t n_scalars) {
  if (RPI_UNLIKELY(!launch_good(op, stores, n_stores, scalars, n_scalars, false)))
    return launch_unbound("rp_launch", op, stores, n_stores, scalars, n_scalars);
  RPI_TRY(rpi_api_enter(op->ctx, "rp_launch"));
  rp_status st = launch(op, stores, scalars, 0);
  if (RPI_UNLIKELY(st != RP_OK)) rpi_status_context(st, "rp_launch");
  return rpi_api_leave(op->ctx, st);
}

static rp_status null_input(const rp_op *op, int32_t i) {
  char name[RPI_OP_PARAM];
  return rpi_status_fail(RP_ERR_ARGUMENT, "rp_call: %s.%s: %s is NULL and not an output",
                         op->lib->name, op->name, rpi_op_param(op, i, false, name));
}

/* Asks the body for the outputs that are left out, and remembers the answer. */
static rp_status infer(rp_op *op, rp_store *const *stores) {
  rpi_body_arg args[RPI_OP_MAX_STORES];
  if (!op->body)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_call: %s.%s is opaque: its outputs must be given",
                           op->lib->name, op->name);
  for (int32_t i = 0; i < op->n_stores; i++) {
    args[i].dtype = -1;
    if (stores[i]) args[i] = (rpi_body_arg){stores[i]->view->dtype, stores[i]->view->geom};
    if (!stores[i] && op->privilege[i] != RP_PRIV_WRITE) return null_input(op, i);
  }
  rp_status st = rpi_body_infer(op->body, args);
  if (st != RP_OK) return rpi_status_context(st, "rp_call: %s.%s", op->lib->name, op->name);
  rpi_inferred *k = op->inferred;
  if (!k && !(k = op->inferred = rpi_alloc(sizeof *k))) return rpi_status_nomem("op");
  rpi_pool *pool = op->ctx->pool;
  k->trims = UINT64_MAX; /* nothing holds until all of it does */
  for (int32_t i = 0; i < op->n_stores; i++) {
    k->out[i] = NULL;
    if (stores[i])
      k->view[i] = stores[i]->view_id;
    else if (!(k->out[i] = rpi_view_get(&pool->views, args[i].dtype, args[i].geom.ndim,
                                        args[i].geom.shape, &args[i].geom)))
      return RP_ERR_MEMORY;
  }
  k->trims = pool->views.trims;
  return RP_OK;
}

static bool is_inferred(const rp_op *op, rp_store *const *stores) {
  const rpi_inferred *k = op->inferred;
  if (!k || k->trims != op->ctx->pool->views.trims) return false;
  for (int32_t i = 0; i < op->n_stores; i++)
    if (stores[i] ? k->out[i] != NULL || k->view[i] != stores[i]->view_id : k->out[i] == NULL)
      return false;
  return true;
}

/* Makes the outputs a call left out; `made` has a bit for each. */
static rp_status make_outputs(rp_op *op, rp_store **stores, uint64_t *made) {
  if (!is_inferred(op, stores)) RPI_TRY(infer(op, stores));
  const rpi_inferred *k = op->inferred;
  for (int32_t i = 0; i < op->n_stores; i++) {
    if (!k->out[i]) continue;
    RPI_TRY(rpi_store_make(op->ctx->pool, k->out[i], &stores[i]));
    *made |= 1ull << i;
  }
  return RP_OK;
}

static void drop_outputs(const rp_op *op, rp_store **stores, uint64_t made) {
  for (int32_t i = 0; i < op->n_stores; i++)
    if (made >> i & 1) {
      rpi_store_release(stores[i]);
      stores[i] = NULL;
    }
}

/* In a context that has been entered; it is left after an error. */
static rp_status settle_all(rp_context *ctx, rp_store *const *stores, int32_t n, const char *call) {
  for (int32_t i = 0; i < n; i++) {
    const rp_status st = stores[i] ? rpi_api_size(ctx, stores[i]) : RP_OK;
    if (RPI_UNLIKELY(st != RP_OK)) return rpi_api_leave(ctx, rpi_status_context(st, "%s", call));
  }
  return RP_OK;
}

rp_status rp_call(rp_op *op, rp_store **stores, int32_t n_stores, const void *const *scalars,
                  int32_t n_scalars) {
  const bool good = launch_good(op, stores, n_stores, scalars, n_scalars, true);
  if (RPI_UNLIKELY(!good))
    RPI_TRY(bad_launch("rp_call", op, stores, n_stores, scalars, n_scalars, true));
  uint64_t made = 0;
  bool missing = false;
  for (int32_t i = 0; i < n_stores; i++) missing = missing || !stores[i];
  if (RPI_UNLIKELY(op->n_unbound > 0 && !missing))
    return launch_unbound("rp_call", op, stores, n_stores, scalars, n_scalars);
  RPI_TRY(rpi_api_enter(op->ctx, "rp_call"));
  if (RPI_UNLIKELY(!good)) RPI_TRY(settle_all(op->ctx, stores, n_stores, "rp_call"));
  rp_status st = missing ? make_outputs(op, stores, &made) : RP_OK;
  if (st == RP_OK && (st = launch(op, stores, scalars, made)) != RP_OK)
    rpi_status_context(st, "rp_call");
  if (RPI_UNLIKELY(st != RP_OK)) drop_outputs(op, stores, made);
  return rpi_api_leave(op->ctx, st);
}

static rp_status eval_op(rp_context *ctx, const char *params, const char *body, rp_op **out) {
  uint64_t hash =
      rpi_hash_bytes64(body, strlen(body)) ^ 31 * rpi_hash_bytes64(params, strlen(params));
  int32_t it = -1;
  for (rp_op *o; (o = rpi_map_next(&ctx->eval_ops, hash, &it));)
    if (strcmp(rpi_body_text(o->body), body) == 0 && strcmp(o->params, params) == 0) {
      *out = o;
      return RP_OK;
    }
  rp_library *lib;
  RPI_TRY(rpi_runtime_library(ctx, "eval", &lib));
  /* The text is the name; the same text with other parameters gets a number behind it. */
  rp_status st = rpi_runtime_op(lib, body, params, body, out);
  if (st == RP_ERR_ARGUMENT) {
    rpi_strbuf name;
    rpi_strbuf_init(&name);
    rpi_strbuf_addf(&name, "%s #%016llx", body, (unsigned long long)hash);
    st = name.failed ? rpi_status_nomem("op")
                     : rpi_runtime_op(lib, rpi_strbuf_str(&name), params, body, out);
    rpi_strbuf_deinit(&name);
  }
  if (st != RP_OK) return st;
  if (RPI_UNLIKELY(ctx->crew)) rpi_follow_op_made(*out, body);
  return rpi_map_add(&ctx->eval_ops, hash, *out) ? RP_OK : rpi_status_nomem("op");
}

rp_status rp_eval(rp_context *ctx, const char *params, const char *body, rp_store *const *stores,
                  int32_t n_stores) {
  if (!params || !body)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_eval: %s is NULL", params ? "body" : "params");
  RPI_TRY(rpi_api_enter(ctx, "rp_eval"));
  rp_op *op;
  rp_status st = eval_op(ctx, params, body, &op);
  if (st == RP_OK && !launch_good(op, stores, n_stores, NULL, 0, false)) {
    st = bad_launch("rp_eval", op, stores, n_stores, NULL, 0, false);
    if (st != RP_OK) return rpi_api_leave(ctx, st);
    RPI_TRY(settle_all(ctx, stores, n_stores, "rp_eval"));
  }
  if (st == RP_OK) st = launch(op, stores, NULL, 0);
  if (RPI_UNLIKELY(st != RP_OK)) rpi_status_context(st, "rp_eval");
  return rpi_api_leave(ctx, st);
}

rp_status rp_store_fill(rp_store *s, const void *value) {
  rp_context *ctx;
  if (!value) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_store_fill: value is NULL");
  RPI_TRY(rpi_api_enter_store(s, "rp_store_fill", &ctx));
  rp_status st = launch(ctx->fill_op[s->view->dtype], &s, &value, 0);
  if (RPI_UNLIKELY(st != RP_OK)) rpi_status_context(st, "rp_store_fill");
  return rpi_api_leave(ctx, st);
}

static rp_status check_copy(const rp_store *dst, const rp_store *src) {
  if (!src) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_store_copy: src is NULL");
  if (!rpi_api_store_held(src))
    return rpi_status_fail(RP_ERR_HANDLE, "rp_store_copy: src is no store (or was released)");
  if (src->ctx != dst->ctx)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_store_copy: src belongs to another context");
  const rpi_view *d = dst->view, *s = src->view;
  if (s->dtype != d->dtype)
    return rpi_status_fail(RP_ERR_DTYPE, "rp_store_copy: dst is %s, src is %s",
                           rpi_dtype_name(d->dtype), rpi_dtype_name(s->dtype));
  if (s->geom.ndim == d->geom.ndim &&
      memcmp(s->geom.shape, d->geom.shape, sizeof s->geom.shape) == 0)
    return RP_OK;
  char to[RPI_GEOM_SHAPE], from[RPI_GEOM_SHAPE];
  return rpi_status_fail(RP_ERR_SHAPE, "rp_store_copy: dst has shape %s, src %s",
                         rpi_geom_print_shape(d->geom.ndim, d->geom.shape, to),
                         rpi_geom_print_shape(s->geom.ndim, s->geom.shape, from));
}

rp_status rp_store_copy(rp_store *dst, rp_store *src) {
  rp_context *ctx;
  RPI_TRY(rpi_api_enter_store(dst, "rp_store_copy", &ctx));
  rp_store *both[2] = {dst, src};
  if (src && rpi_api_store_held(src) && src->ctx == ctx)
    RPI_TRY(settle_all(ctx, &src, 1, "rp_store_copy"));
  rp_status st = check_copy(dst, src);
  if (st == RP_OK && (st = launch(ctx->copy_op, both, NULL, 0)) != RP_OK)
    rpi_status_context(st, "rp_store_copy");
  return rpi_api_leave(ctx, st);
}

/* ---- traces and waiting ---- */

static inline rp_status told(rp_context *ctx, rpi_follow_kind kind, int64_t number) {
  return RPI_UNLIKELY(ctx->crew) ? rpi_follow_call(ctx, kind, number) : RP_OK;
}

rp_status rp_trace_begin(rp_context *ctx, int64_t id) {
  RPI_TRY(rpi_api_enter(ctx, "rp_trace_begin"));
  rp_status st = told(ctx, RPI_FOLLOW_BEGIN, id);
  rpi_calls_note(ctx, RPI_CALLS_TRACE_BEGIN, NULL);
  if (RPI_LIKELY(st == RP_OK)) st = rpi_segment_trace_begin(ctx, id);
  return rpi_api_leave(ctx, st);
}

rp_status rp_trace_end(rp_context *ctx, int64_t id) {
  RPI_TRY(rpi_api_enter(ctx, "rp_trace_end"));
  rp_status st = told(ctx, RPI_FOLLOW_END, id);
  rpi_calls_note(ctx, RPI_CALLS_TRACE_END, NULL);
  if (RPI_LIKELY(st == RP_OK)) st = rpi_segment_trace_end(ctx, id);
  return rpi_api_leave(ctx, st);
}

rp_status rp_trace_repeat(rp_context *ctx, int64_t id, rp_store *go, int64_t most,
                          int64_t *passes) {
  rp_context *of;
  int64_t made = 0;
  if (passes) *passes = 0;
  RPI_TRY(rpi_api_context_of(go, "rp_trace_repeat", &of));
  if (of != ctx)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_trace_repeat: go is a store of another context");
  RPI_TRY(rpi_api_enter_store(go, "rp_trace_repeat", &ctx));
  rp_status st = RPI_LIKELY(!ctx->crew) ? RP_OK : rpi_follow_repeated(ctx, id, go, most);
  rpi_calls_note(ctx, RPI_CALLS_TRACE_END, NULL);
  if (st == RP_OK) st = rpi_repeat_trace(ctx, id, go, most, &made);
  if (passes) *passes = made;
  return rpi_api_leave(ctx, st);
}

rp_status rp_wait(rp_context *ctx) {
  RPI_TRY(rpi_api_enter(ctx, "rp_wait"));
  rp_status st = told(ctx, RPI_FOLLOW_WAIT, 0);
  rpi_calls_note(ctx, RPI_CALLS_WAIT, NULL);
  if (RPI_LIKELY(st == RP_OK)) st = rpi_segment_cut(ctx, RPI_REASON_CUT_WAIT, true);
  if (st == RP_OK && ctx->data_error) {
    ctx->data_error = false;
    st = rpi_status_fail(RP_ERR_DATA, "rp_wait: %s",
                         ctx->data_message ? ctx->data_message : "data were poisoned");
  }
  return rpi_api_leave(ctx, st);
}

rp_status rp_wait_compiled(rp_context *ctx) {
  RPI_TRY(rpi_api_enter(ctx, "rp_wait_compiled"));
  const rp_status st = told(ctx, RPI_FOLLOW_COMPILED, 0);
  rpi_jit_wait(ctx->jit);
  return rpi_api_leave(ctx, st);
}
