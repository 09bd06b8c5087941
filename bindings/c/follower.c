/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/follower.c -- see follower.h. */
#include "bindings/c/follower.h"

#include <stdio.h>
#include <string.h>

#include "bindings/c/api.h"
#include "core/base/alloc.h"
#include "core/model/dlpack.h"
#include "trace/calls.h"
#include "trace/lending.h"
#include "trace/places.h"
#include "trace/runtime.h"
#include "trace/supply.h"
#include "trace/tensor.h"
#include "trace/unbound.h"

typedef struct rpi_twins {
  rp_store *
      *store; /* by the index of the program's handle; NULL: it has none, or it has been released */
  rp_op **op; /* by the number of its op */
  int32_t cap_store, cap_op;
  rp_store *hidden; /* of the tensor exported last, until it gets its index */
} twins;

/* ---- handles ---- */

/* Makes room for entry i, whose neighbours are NULL. */
static rp_status room(void **list, int32_t *cap, int32_t i, size_t entry) {
  const int32_t had = *cap;
  if (i < had) return RP_OK;
  if (!rpi_alloc_grow(list, cap, i + 1, entry)) return rpi_status_nomem("handles of a GPU");
  memset((char *)*list + (size_t)had * entry, 0, (size_t)(*cap - had) * entry);
  return RP_OK;
}

static rp_status keep(rpi_follower *f, int32_t i, rp_store *s) {
  void *list = f->twins->store;
  RPI_TRY(room(&list, &f->twins->cap_store, i, sizeof s));
  f->twins->store = list;
  f->twins->store[i] = s;
  return RP_OK;
}

static rp_status keep_op(rpi_follower *f, int32_t i, rp_op *op) {
  void *list = f->twins->op;
  RPI_TRY(room(&list, &f->twins->cap_op, i, sizeof op));
  f->twins->op = list;
  f->twins->op[i] = op;
  return RP_OK;
}

/* A call before this one has failed here, which the program hears of. */
static rp_status find(const rpi_follower *f, int32_t i, rp_store **out) {
  *out = i < f->twins->cap_store ? f->twins->store[i] : NULL;
  return *out ? RP_OK : rpi_status_fail(RP_ERR_INTERNAL, "store %d is not known here", i);
}

static rp_status find_op(const rpi_follower *f, int32_t i, rp_op **out) {
  *out = i < f->twins->cap_op ? f->twins->op[i] : NULL;
  if (!*out && (uint32_t)i <= (uint32_t)f->ctx->n_ops) { /* the context's own: fill and copy */
    *out = f->ctx->op_by_id[i];
    if (*out && (*out)->lib != f->ctx->runtime_lib) *out = NULL;
  }
  return *out ? RP_OK : rpi_status_fail(RP_ERR_INTERNAL, "op %d is not known here", i);
}

/* Takes the context for this thread, and a store of it. */
static rp_status enter(rpi_follower *f, const char *call, int32_t i, rp_store **out) {
  RPI_TRY(find(f, i, out));
  return rpi_api_enter(f->ctx, call);
}

static rp_status create(rpi_follower *f, int32_t made, const void *payload) {
  const rpi_follow_array *a = payload;
  rp_store *s;
  RPI_TRY(rp_store_create(f->ctx, a->dtype, a->ndim, a->shape, &s));
  return keep(f, made, s);
}

static rp_status create_unbound(rpi_follower *f, int32_t made, const void *payload) {
  const rpi_follow_array *a = payload;
  rp_store *s;
  RPI_TRY(rp_store_create_unbound(f->ctx, a->dtype, a->ndim, a->shape, &s));
  return keep(f, made, s);
}

static rp_status view(rpi_follower *f, int32_t made, const void *payload) {
  const rpi_follow_geom *v = payload;
  rp_store *s, *out = NULL;
  RPI_TRY(enter(f, "a view", v->of, &s));
  RPI_TRY(rpi_api_leave(f->ctx, rpi_store_derive(s, &v->geom, &out)));
  return keep(f, made, out);
}

static rp_status retain(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  return rp_store_retain(s);
}

/* A handle whose releases have all been told is not asked for again, even if they wait for other ranks. */
static bool is_last(const rp_store *s) { return s->refs - atomic_load(&s->queued) <= 1; }

static rp_status release(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  if (is_last(s)) f->twins->store[i] = NULL;
  return rp_store_release(s);
}

static rp_status release_any(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  if (is_last(s)) f->twins->store[i] = NULL;
  return rp_store_release_any(s);
}

static rp_status settle(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(enter(f, "a store without a size", i, &s));
  return rpi_api_leave(f->ctx, rpi_unbound_settle(f->ctx, s));
}

/* ---- ops and tasks ---- */

static rp_status op(rpi_follower *f, int32_t made, const void *payload) {
  const rpi_follow_op *o = payload;
  rp_library *lib;
  rp_op *out;
  RPI_TRY(rp_library_create(f->ctx, o->library, &lib));
  RPI_TRY(rp_op_create(lib, o->name, o->params, o->body, &out));
  return keep_op(f, made, out);
}

static rp_status op_opaque(rpi_follower *f, int32_t made, const void *payload) {
  const rpi_follow_opaque *o = payload;
  rp_library *lib;
  rp_op *out;
  RPI_TRY(rp_library_create(f->ctx, o->library, &lib));
  RPI_TRY(rp_op_create_opaque(lib, o->desc, &out));
  return keep_op(f, made, out);
}

static rp_status launch(rpi_follower *f, int32_t i, const void *payload) {
  const rpi_follow_launch *l = payload;
  const int32_t *index = (const int32_t *)(l->value + l->n_scalars);
  rp_store *stores[RPI_OP_MAX_STORES];
  const void *scalars[RPI_OP_MAX_SCALARS];
  rp_op *o;
  RPI_TRY(find_op(f, i, &o));
  for (int32_t k = 0; k < l->n_scalars; k++) scalars[k] = &l->value[k];
  for (int32_t k = 0; k < l->n_stores; k++) {
    stores[k] = NULL;
    if (!(l->made >> k & 1)) RPI_TRY(find(f, index[k], &stores[k]));
  }
  if (l->made == 0) return rp_launch(o, stores, l->n_stores, scalars, l->n_scalars);
  RPI_TRY(rp_call(o, stores, l->n_stores, scalars, l->n_scalars));
  for (int32_t k = 0; k < l->n_stores; k++)
    if (l->made >> k & 1) RPI_TRY(keep(f, index[k], stores[k]));
  return RP_OK;
}

static rp_status trace_begin(rpi_follower *f, int32_t i, const void *payload) {
  (void)i;
  return rp_trace_begin(f->ctx, *(const int64_t *)payload);
}

static rp_status trace_end(rpi_follower *f, int32_t i, const void *payload) {
  (void)i;
  return rp_trace_end(f->ctx, *(const int64_t *)payload);
}

static rp_status trace_repeat(rpi_follower *f, int32_t i, const void *payload) {
  const rpi_follow_repeat *r = payload;
  rp_store *go;
  RPI_TRY(find(f, i, &go));
  return rp_trace_repeat(f->ctx, r->trace, go, r->most, NULL);
}

static rp_status wait(rpi_follower *f, int32_t i, const void *payload) {
  (void)i, (void)payload;
  return rp_wait(f->ctx);
}

static rp_status wait_store(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  return rp_store_wait(s);
}

static rp_status wait_compiled(rpi_follower *f, int32_t i, const void *payload) {
  (void)i, (void)payload;
  return rp_wait_compiled(f->ctx);
}

/* What is pending runs, as at the beginning of the context's end. */
static rp_status cut(rpi_follower *f, int32_t i, const void *payload) {
  (void)i, (void)payload;
  RPI_TRY(rpi_api_enter(f->ctx, "rp_context_destroy"));
  return rpi_api_leave(f->ctx, rpi_segment_cut(f->ctx, RPI_REASON_CUT_DESTROY, true));
}

/* ---- values ---- */

static rp_status read(rpi_follower *f, int32_t i, const void *payload) {
  const rpi_follow_geom *r = payload;
  rp_store *s;
  RPI_TRY(enter(f, "rp_store_read", i, &s));
  return rpi_api_leave(f->ctx, rpi_api_read("rp_store_read", f->ctx, s, &r->geom, NULL));
}

static rp_status write(rpi_follower *f, int32_t i, const void *payload) {
  const rpi_follow_geom *w = payload;
  rp_store *s;
  RPI_TRY(enter(f, "rp_store_write", i, &s));
  return rpi_api_leave(
      f->ctx, rpi_api_write("rp_store_write", f->ctx, s, &w->geom, w->data ? w->data : w->value));
}

static rp_status read_share(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  return rp_store_read_share(s, 0, NULL, 0);
}

static rp_status write_share(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  return rp_store_write_share(s, NULL, 0);
}

/* ---- memory of others ---- */

/* Memory in the place of the program's, with its values, which goes when its store's does. */
static rp_status attach_copy(rpi_follower *f, const rpi_follow_attach *t, rp_store **out) {
  rpi_lent_array a = t->array;
  int64_t bytes = rpi_dtype_size(a.dtype);
  for (int32_t d = 0; d < a.ndim; d++) bytes *= a.shape[d];
  rpi_owner *owner = rpi_alloc_zero(sizeof *owner);
  a.data = rpi_alloc_aligned(64, (size_t)bytes + 1);
  rp_status st = owner && a.data ? RP_OK : rpi_status_nomem("memory in the place of what is lent");
  if (st == RP_OK) {
    memcpy(a.data, t->array.data, (size_t)bytes);
    st = rpi_lending_attach(f->ctx, &a, RPI_STREAM_NONE, out);
  }
  if (st != RP_OK) {
    rpi_alloc_free(owner);
    rpi_alloc_free(a.data);
    return st;
  }
  *owner = (rpi_owner){.let_go = rpi_alloc_free, .arg = a.data};
  (*out)->buf->home->owner = owner;
  rpi_calls_note(f->ctx, RPI_CALLS_ATTACH, *out);
  return RP_OK;
}

/* As in rpi_tensor_import, handles come and go in the order of the program's. */
static rp_status attach(rpi_follower *f, int32_t made, const void *payload) {
  const rpi_follow_attach *t = payload;
  rp_store *s = NULL, *other = NULL;
  RPI_TRY(rpi_api_enter(f->ctx, "rp_store_attach"));
  rp_status st = attach_copy(f, t, &s);
  if (st == RP_OK && t->viewed) {
    st = rpi_store_derive(s, &t->geom, &other);
    rpi_store_release(s);
    s = other;
  }
  RPI_TRY(rpi_api_leave(f->ctx, st));
  return keep(f, made, s);
}

static rp_status renew(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  RPI_TRY(find(f, i, &s));
  const rpi_instance *home = s->buf->home;
  memcpy(home->data, *(const void *const *)payload, (size_t)home->bytes);
  return RP_OK;
}

static rp_status home(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  return rp_store_home(s);
}

static rp_status detach(rpi_follower *f, int32_t i, const void *payload) {
  rp_store *s;
  (void)payload;
  RPI_TRY(find(f, i, &s));
  return rp_store_detach(s);
}

/* The tensor itself is nobody's: its hidden store lives as long as that of the program's tensor. */
static rp_status export(rpi_follower *f, int32_t i, const void *payload) {
  const rpi_follow_export *e = payload;
  rp_export_desc d = e->desc;
  struct DLManagedTensorVersioned *t = NULL;
  struct DLManagedTensor *old = NULL;
  rp_store *s;
  RPI_TRY(enter(f, "rp_store_export_dlpack", i, &s));
  d.device_id = rpi_device_facts_get(f->ctx->device)->ordinal;
  d.stream = RPI_STREAM_NONE;
  const rpi_tensor_out out = {.versioned = e->legacy ? NULL : &t,
                              .legacy = e->legacy ? &old : NULL};
  RPI_TRY(rpi_api_leave(f->ctx, rpi_tensor_export(f->ctx, s, &d, &out)));
  const rpi_tensor *held = e->legacy ? old->manager_ctx : t->manager_ctx;
  f->twins->hidden = held->store;
  return RP_OK;
}

static rp_status tensor(rpi_follower *f, int32_t made, const void *payload) {
  (void)payload;
  return keep(f, made, f->twins->hidden);
}

/* ---- files ---- */

typedef rp_status files_fn(rp_context *ctx, const char *path, int32_t n, const char *const *names,
                           rp_store *const *stores);

static rp_status on_files(rpi_follower *f, int32_t n, const rpi_follow_files *t, files_fn *fn) {
  rp_store **mine = rpi_alloc(sizeof(rp_store *) * (size_t)n);
  rp_status st = mine ? RP_OK : rpi_status_nomem("the stores of a checkpoint");
  for (int32_t i = 0; st == RP_OK && i < n; i++) st = find(f, t->stores[i]->index, &mine[i]);
  if (st == RP_OK) st = fn(f->ctx, t->path, n, t->names, mine);
  rpi_alloc_free(mine);
  return st;
}

static rp_status checkpoint(rpi_follower *f, int32_t n, const void *payload) {
  return on_files(f, n, payload, rp_checkpoint);
}

static rp_status restore(rpi_follower *f, int32_t n, const void *payload) {
  return on_files(f, n, payload, rp_restore);
}

/* ---- the duty ---- */

typedef rp_status follow_fn(rpi_follower *f, int32_t arg, const void *payload);

static const struct {
  follow_fn *fn;
  rpi_follow_rule rule;
} table[RPI_N_FOLLOW] = {
#define RPI_FOLLOW(kind, function, rule) [RPI_FOLLOW_##kind] = {function, RPI_FOLLOW_##rule},
#include "bindings/c/follow.def"
#undef RPI_FOLLOW
};

/* Has this rank alone failed? What the program caused is its to hear. */
static bool is_own(rpi_follow_rule rule, rp_status st) {
  if (st == RP_OK) return false;
  if (rule == RPI_FOLLOW_AFTER || st == RP_ERR_RANKS) return true;
  return rule == RPI_FOLLOW_ALIKE &&
         (st == RP_ERR_MEMORY || st == RP_ERR_DEVICE || st == RP_ERR_INTERNAL);
}

static void run(rpi_follower *f, rpi_crew *c, const rpi_crew_record *r) {
  const rp_status st = table[r->kind].fn(f, r->arg, r->data);
  if (RPI_LIKELY(!is_own(table[r->kind].rule, st))) return;
  rpi_crew_fail(c, f, st);
  rpi_places_failed(f->ctx, st);
}

static rp_status begin(rpi_follower *f) {
  f->twins = rpi_alloc_zero(sizeof *f->twins);
  return f->twins ? RP_OK : rpi_status_nomem("handles of a GPU");
}

/* Handles that the program still has keep nothing but their shells, which go here at once. */
static void end(rpi_follower *f) {
  twins *t = f->twins;
  if (f->ctx) rp_context_destroy(f->ctx);
  for (int32_t i = 0; t && i < t->cap_store; i++)
    for (int32_t n = t->store[i] ? t->store[i]->refs : 0; n > 0; n--)
      rp_store_release_any(t->store[i]);
  if (t) {
    rpi_alloc_free(t->store);
    rpi_alloc_free(t->op);
  }
  rpi_alloc_free(t);
}

const rpi_crew_duty rpi_follower_duty = {.begin = begin, .run = run, .end = end};
