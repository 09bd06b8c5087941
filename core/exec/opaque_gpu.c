/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque_gpu.c -- see opaque_gpu.h. */
#include "core/exec/opaque_gpu.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/model/op.h"
#include "core/model/residence.h"

/* A parameter of a kernel: where it is among them, and its bytes. */
typedef struct parameter {
  int32_t at, bytes;
} parameter;

struct rpi_opaque_gpu {
  rp_gpu_variant is;    /* texts and args are copies */
  CUfunction kernel;    /* of a text; NULL: not installed */
  parameter *parameter; /* n_args of them */
  int32_t bytes;        /* of all */
};

typedef struct rpi_opaque_datum {
  const void *key;
  void *data;
  void (*free_data)(void *data);
  struct rpi_opaque_datum *next;
} datum;

typedef struct rpi_opaque_kept {
  CUdeviceptr block;
  int64_t bytes;
  bool recorded; /* workspace of recorded calls */
  struct rpi_opaque_kept *next;
} kept;

enum { BLOCKS = 16 };              /* of memory that a call may get */
enum { RECORDED_MOST = 64 << 20 }; /* bytes of one that is kept for recorded calls */
enum { BLOCK = 256, ALL_AXES = (1 << RP_MAX_DIM) - 1 }; /* what 0 means */
enum { WORD = 8 };                                      /* bytes of pointers and integers */
_Static_assert(RPI_OPAQUE_ARGS *WORD <= RPI_KERNEL_PARAMETERS, "a kernel takes an op's arguments");

/* A call that is under way: what is behind `runtime`. */
typedef struct running {
  rpi_opaque_device *device;
  int32_t n; /* blocks of memory that it has got */
  CUdeviceptr block[BLOCKS];
  int64_t bytes[BLOCKS];
  bool records;   /* it is recorded: */
  int64_t misses; /* bytes that it asked for and that are not kept; 0: none */
  bool forbidden; /* it did what cannot be recorded */
} running;

/* ---- the variant ---- */

static rp_status check_text(const rp_opaque_desc *d, const rp_gpu_variant *v, int32_t n_stores,
                            int32_t n_scalars) {
  enum { BLOCK_MOST = 1024 };
  rp_opaque_desc own = *d;
  if (!v->entry || !*v->entry)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->entry is NULL or empty", d->name);
  if (v->block < 0 || v->block > BLOCK_MOST)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->block is %d (0..%d)", d->name, v->block,
                           BLOCK_MOST);
  if (v->store < 0 || v->store >= n_stores)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->store is store %d of %d", d->name,
                           v->store, n_stores);
  if (v->axes < 0 || v->axes >= 1 << RP_MAX_DIM || v->per_thread < 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->axes is %d, gpu->per_thread is %lld",
                           d->name, v->axes, (long long)v->per_thread);
  own.args = v->args;
  own.n_args = v->n_args;
  const rp_status st = rpi_opaque_check_args(&own, n_stores, n_scalars);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "gpu");
}

static rp_status check_flags(const rp_opaque_desc *d, const rp_gpu_variant *v) {
  if ((v->flags & ~(int64_t)RP_GPU_QUEUES) == 0 && (v->flags == 0 || v->function)) return RP_OK;
  return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->flags is %lld%s", d->name,
                         (long long)v->flags, v->function ? "" : ", of a text");
}

static rp_status check(const rp_opaque_desc *d, const rp_gpu_variant *v, int32_t n_stores,
                       int32_t n_scalars) {
  if (!v->function == !v->source)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "op %s: one of gpu->function and gpu->source is given, not %s", d->name,
                           v->function ? "both" : "none");
  RPI_TRY(check_flags(d, v));
  if (v->source) RPI_TRY(check_text(d, v, n_stores, n_scalars));
  for (int32_t i = 0; i < n_stores; i++)
    if (d->privileges[i] == RP_PRIV_UNBOUND)
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "op %s: gpu is given, but store %d is unbound: such ops run on the "
                             "host so far",
                             d->name, i);
  return RP_OK;
}

/* Parameters lie one behind the other, each aligned to its size. */
static void lay_out(rpi_opaque_gpu *v, const uint8_t *scalar_dtype) {
  for (int32_t i = 0; i < v->is.n_args; i++) {
    const rp_opaque_arg *a = &v->is.args[i];
    const int32_t bytes =
        a->kind == RP_ARG_SCALAR ? (int32_t)rpi_dtype_size(scalar_dtype[a->a]) : WORD;
    const int32_t at = (v->bytes + bytes - 1) & -bytes;
    v->parameter[i] = (parameter){at, bytes};
    v->bytes = at + bytes;
  }
}

static rp_status copy_text(rpi_opaque_gpu *v, const uint8_t *scalar_dtype) {
  const size_t n = (size_t)v->is.n_args + 1;
  rp_opaque_arg *args = rpi_alloc_zero(sizeof *args * n);
  if (args) memcpy(args, v->is.args, sizeof *args * (n - 1));
  v->is.args = args;
  v->is.source = rpi_alloc_string(v->is.source);
  v->is.entry = rpi_alloc_string(v->is.entry);
  v->parameter = rpi_alloc_zero(sizeof *v->parameter * n);
  if (!args || !v->is.source || !v->is.entry || !v->parameter) return rpi_status_nomem("opaque op");
  lay_out(v, scalar_dtype);
  return RP_OK;
}

rp_status rpi_opaque_gpu_create(const rp_opaque_desc *d, int32_t n_stores, int32_t n_scalars,
                                const uint8_t *scalar_dtype, rpi_opaque_gpu **out) {
  const size_t least = offsetof(rp_gpu_variant, function) + sizeof d->gpu->function;
  rp_gpu_variant is = {0};
  *out = NULL;
  if (!d->gpu) return RP_OK;
  if (d->gpu->struct_size < least || d->gpu->struct_size > sizeof is)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->struct_size is %zu, not %zu", d->name,
                           d->gpu->struct_size, sizeof is);
  memcpy(&is, d->gpu, d->gpu->struct_size);
  if (!is.args && is.n_args == 0) {
    is.args = d->args;
    is.n_args = d->n_args;
  }
  if (is.block == 0) is.block = BLOCK;
  if (is.per_thread == 0) is.per_thread = 1;
  if (is.axes == 0) is.axes = ALL_AXES;
  RPI_TRY(check(d, &is, n_stores, n_scalars));
  rpi_opaque_gpu *v = rpi_alloc_zero(sizeof *v);
  if (!v) return rpi_status_nomem("opaque op");
  v->is = is;
  const rp_status st = is.source ? copy_text(v, scalar_dtype) : RP_OK;
  if (st != RP_OK)
    rpi_opaque_gpu_free(v);
  else
    *out = v;
  return st;
}

void rpi_opaque_gpu_free(rpi_opaque_gpu *v) {
  if (!v) return;
  if (!v->is.function) { /* else nothing is a copy */
    rpi_alloc_free((void *)(uintptr_t)v->is.source);
    rpi_alloc_free((void *)(uintptr_t)v->is.entry);
    rpi_alloc_free((void *)(uintptr_t)v->is.args);
    rpi_alloc_free(v->parameter);
  }
  rpi_alloc_free(v);
}

const char *rpi_opaque_gpu_text(const rpi_opaque_gpu *v, const char **entry) {
  *entry = v->is.entry;
  return v->is.source;
}

rp_status rpi_opaque_gpu_install(rpi_opaque_gpu *v, const rpi_device_function *kernel) {
  if (v->is.block > kernel->threads_most)
    return rpi_status_fail(RP_ERR_ARGUMENT, "gpu->block is %d, but blocks of %s have at most %d",
                           v->is.block, v->is.entry, kernel->threads_most);
  v->kernel = kernel->function;
  return RP_OK;
}

/* ---- launches of texts ---- */

/* How many blocks; 0: there is nothing to do. */
static int64_t grid_of(const rpi_plan_call *c) {
  const rp_gpu_variant *v = &rpi_opaque_on_gpu(c->opaque)->is;
  const rpi_geom *g = &c->geom[v->store];
  int64_t n = 1;
  for (int32_t d = 0; d < g->ndim; d++)
    if (v->axes >> d & 1) n *= g->shape[d];
  n = n / v->per_thread + (n % v->per_thread > 0); /* threads */
  return n / v->block + (n % v->block > 0);
}

bool rpi_opaque_gpu_is_launch(const rpi_plan_call *c) {
  return !rpi_opaque_on_gpu(c->opaque)->is.function && grid_of(c) <= INT32_MAX;
}

int32_t rpi_opaque_gpu_launches(const rpi_plan_call *c, rpi_kernel_launch *out) {
  const rpi_opaque_gpu *v = rpi_opaque_on_gpu(c->opaque);
  *out = (rpi_kernel_launch){v->kernel, (int32_t)grid_of(c), v->is.block};
  return out->grid > 0;
}

int32_t rpi_opaque_gpu_pack(const rpi_plan_call *c, const rpi_word *words, void *out) {
  const rpi_opaque_gpu *v = rpi_opaque_on_gpu(c->opaque);
  const rpi_opaque_block all = {.units = -1};
  void *ptr[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < c->n; i++) ptr[i] = (void *)(uintptr_t)words[c->word + i].u;
  memset(out, 0, (size_t)v->bytes);
  for (int32_t i = 0; i < v->is.n_args; i++) {
    const uint64_t bits = rpi_opaque_value(c->opaque, &v->is.args[i], ptr, c->geom,
                                           rpi_plan_call_scalars(c, words), &all);
    memcpy((char *)out + v->parameter[i].at, &bits, (size_t)v->parameter[i].bytes);
  }
  return v->bytes;
}

/* ---- calls ---- */

/* The GPU's context is current. */
static rp_status invoke(const rpi_opaque_gpu *v, const rpi_plan_call *c, const rpi_word *words,
                        running *r) {
  rpi_device *d = r->device->device;
  const rpi_device_facts *facts = rpi_device_facts_get(d);
  const uint64_t *scalars = rpi_plan_call_scalars(c, words);
  const void *value[RPI_OP_MAX_SCALARS];
  const int32_t n_scalars = rpi_opaque_n_scalars(c->opaque);
  for (int32_t i = 0; i < c->n; i++) c->gpu[i].address = words[c->word + i].u;
  for (int32_t i = 0; i < n_scalars; i++) value[i] = &scalars[i]; /* low bytes first */
  const rp_gpu_call call = {.stream = rpi_device_stream(d),
                            .device = facts->ordinal,
                            .arch = facts->arch,
                            .n_stores = c->n,
                            .n_scalars = n_scalars,
                            .stores = c->gpu_stores,
                            .scalars = value,
                            .runtime = r};
  return v->is.function(&call);
}

static rp_status call_function(const rpi_opaque_gpu *v, const rpi_plan_call *c,
                               const rpi_word *words, rpi_opaque_device *d, rp_status *said) {
  running r = {.device = d};
  RPI_TRY(rpi_device_lend(d->device));
  *said = invoke(v, c, words, &r);
  const rp_status st = rpi_device_regain(d->device);
  for (int32_t i = 0; i < r.n; i++) rpi_device_put(d->device, r.block[i], r.bytes[i]);
  return st;
}

static rp_status launch_kernel(const rpi_opaque_gpu *v, const rpi_plan_call *c,
                               const rpi_word *words, rpi_device *d, rp_status *said) {
  _Alignas(16) char parameters[RPI_KERNEL_PARAMETERS];
  rpi_kernel_launch l;
  if (!rpi_opaque_gpu_is_launch(c)) {
    *said = rpi_status_fail(RP_ERR_SHAPE, "%s would run in %lld blocks of %d threads", v->is.entry,
                            (long long)grid_of(c), v->is.block);
    return RP_OK;
  }
  if (rpi_opaque_gpu_launches(c, &l) == 0) return RP_OK;
  const int32_t bytes = rpi_opaque_gpu_pack(c, words, parameters);
  return rpi_device_launch(d, l.function, l.grid, l.block, parameters, bytes);
}

static void fail(rpi_plan_call *c, rp_status said, bool in_words) {
  char number[32];
  snprintf(number, sizeof number, "status %d", said);
  c->failed = true;
  rpi_alloc_free(c->why);
  c->why = rpi_alloc_string(in_words ? rpi_status_message() : number);
}

rp_status rpi_opaque_gpu_call(const rpi_plan *plan, rpi_plan_call *c, rpi_opaque_device *d) {
  const rpi_opaque_gpu *v = rpi_opaque_on_gpu(c->opaque);
  const uint64_t sentences = rpi_status_count();
  rp_status said = RP_OK;
  if (v->is.function)
    RPI_TRY(call_function(v, c, plan->words, d, &said));
  else
    RPI_TRY(launch_kernel(v, c, plan->words, d->device, &said));
  if (said != RP_OK) fail(c, said, rpi_status_count() != sentences);
  return RP_OK;
}

void rpi_opaque_gpu_forgive(rpi_plan_call *c) {
  c->failed = false;
  rpi_alloc_free(c->why);
  c->why = NULL;
}

/* ---- recorded calls ---- */

bool rpi_opaque_gpu_in_graphs(const rpi_plan_call *c) {
  const rpi_opaque_gpu *v = rpi_opaque_on_gpu(c->opaque);
  return rpi_opaque_gpu_is_launch(c) || (v->is.flags & RP_GPU_QUEUES && !c->loose);
}

void rpi_opaque_gpu_loosen(rpi_plan *plan, rpi_plan_call *c) {
  plan->n_loose += !c->loose;
  c->loose = true;
}

typedef struct recording {
  const rpi_plan_call *call;
  const rpi_word *words;
  running running;
} recording;

static rp_status invoke_recorded(void *arg) {
  recording *r = arg;
  const rp_status said = invoke(rpi_opaque_on_gpu(r->call->opaque), r->call, r->words, &r->running);
  if (!r->running.forbidden && r->running.misses == 0) return said;
  return rpi_status_fail(RP_ERR_STATE, "it asked for what cannot be recorded");
}

static rp_status keep_block(rpi_opaque_device *d, int64_t bytes, kept **out) {
  kept *k = rpi_alloc_zero(sizeof *k);
  if (!k) return rpi_status_nomem("memory that is kept");
  const rp_status st = rpi_residence_get(d->pool, bytes, &k->block);
  if (st != RP_OK) {
    rpi_alloc_free(k);
    return st;
  }
  k->bytes = bytes;
  k->next = d->kept;
  *out = d->kept = k;
  return RP_OK;
}

/* Memory cannot be had while a stream is recorded: what a call misses is kept, and the call is made once more. */
rp_status rpi_opaque_gpu_record(rpi_plan *plan, rpi_plan_call *c, const rpi_word *words,
                                rpi_opaque_device *d, CUgraph *out) {
  rp_status st = RP_ERR_STATE;
  int64_t misses = 1;
  for (int32_t tries = 0; tries <= BLOCKS && misses > 0; tries++) {
    recording r = {.call = c, .words = words, .running = {.device = d, .records = true}};
    kept *k = NULL;
    st = rpi_device_record(d->device, invoke_recorded, &r, out);
    misses = st != RP_OK && !r.running.forbidden ? r.running.misses : 0;
    if (misses > RECORDED_MOST) misses = 0;
    if (misses == 0) break;
    st = keep_block(d, misses, &k);
    if (st != RP_OK) break;
    k->recorded = true;
  }
  if (st == RP_OK) return RP_OK;
  rpi_log(RPI_LOG_INFO, "what a function queues is not recorded: %s", rpi_status_message());
  rpi_opaque_gpu_loosen(plan, c);
  return st;
}

/* Of the memory that is kept for recorded calls a block that this one does not have yet. */
static rp_status recorded_workspace(running *r, int64_t bytes, uint64_t *out) {
  for (const kept *k = r->device->kept; k; k = k->next) {
    bool taken = false;
    for (int32_t i = 0; i < r->n; i++) taken = taken || r->block[i] == k->block;
    if (!k->recorded || k->bytes < bytes || taken) continue;
    r->block[r->n++] = *out = k->block;
    return RP_OK;
  }
  if (r->misses == 0) r->misses = bytes;
  return rpi_status_fail(RP_ERR_MEMORY, "rp_gpu_workspace: not while the call is recorded");
}

/* What changes what later calls find is not for a call that will not be made again. */
static rp_status check_recorded(const rp_gpu_call *call, const char *name) {
  running *r = call->runtime;
  if (!r->records) return RP_OK;
  r->forbidden = true;
  return rpi_status_fail(RP_ERR_STATE, "%s: the call is being recorded (RP_GPU_QUEUES)", name);
}

/* ---- what functions ask for ---- */

rp_status rpi_opaque_gpu_workspace(const rp_gpu_call *call, int64_t bytes, uint64_t *out) {
  running *r = call->runtime;
  CUdeviceptr p;
  *out = 0;
  if (bytes < 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_gpu_workspace: %lld bytes", (long long)bytes);
  if (r->n == BLOCKS)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_gpu_workspace: called more than %d times", BLOCKS);
  if (bytes == 0) return RP_OK;
  if (r->records) return recorded_workspace(r, bytes, out);
  const rp_status st = rpi_residence_get(r->device->pool, bytes, &p);
  if (st != RP_OK) return rpi_status_context(st, "rp_gpu_workspace");
  r->block[r->n] = p;
  r->bytes[r->n++] = bytes;
  *out = p;
  return RP_OK;
}

rp_status rpi_opaque_gpu_keep(const rp_gpu_call *call, int64_t bytes, uint64_t *out) {
  rpi_opaque_device *d = ((const running *)call->runtime)->device;
  if (bytes <= 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_gpu_keep: %lld bytes", (long long)bytes);
  kept *k = NULL;
  RPI_TRY(check_recorded(call, "rp_gpu_keep"));
  const rp_status st = keep_block(d, bytes, &k);
  if (st != RP_OK) return rpi_status_context(st, "rp_gpu_keep");
  *out = k->block;
  return RP_OK;
}

static void drop(rpi_opaque_device *d, kept **at) {
  kept *k = *at;
  *at = k->next;
  rpi_device_put(d->device, k->block, k->bytes);
  rpi_alloc_free(k);
}

rp_status rpi_opaque_gpu_drop(const rp_gpu_call *call, uint64_t address) {
  rpi_opaque_device *d = ((const running *)call->runtime)->device;
  kept **at = &d->kept;
  RPI_TRY(check_recorded(call, "rp_gpu_drop"));
  while (*at && ((*at)->block != address || (*at)->recorded)) at = &(*at)->next;
  if (!*at)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_gpu_drop: 0x%llx is nothing that was kept",
                           (unsigned long long)address);
  drop(d, at);
  return RP_OK;
}

static datum *find(const rpi_opaque_device *d, const void *key) {
  datum *x = d->data;
  while (x && x->key != key) x = x->next;
  return x;
}

rp_status rpi_opaque_gpu_set_data(const rp_gpu_call *call, const void *key, void *data,
                                  void (*free_data)(void *data)) {
  rpi_opaque_device *d = ((const running *)call->runtime)->device;
  datum *x = find(d, key);
  RPI_TRY(check_recorded(call, "rp_gpu_set_data"));
  if (x && x->free_data) x->free_data(x->data);
  if (!x) {
    x = rpi_alloc_zero(sizeof *x);
    if (!x) return rpi_status_nomem("data of a function");
    x->key = key;
    x->next = d->data;
    d->data = x;
  }
  x->data = data;
  x->free_data = free_data;
  return RP_OK;
}

void *rpi_opaque_gpu_data(const rp_gpu_call *call, const void *key) {
  const datum *x = find(((const running *)call->runtime)->device, key);
  return x ? x->data : NULL;
}

void rpi_opaque_gpu_end(rpi_opaque_device *d) {
  if (!d->data && !d->kept) return;
  (void)rpi_device_wait(d->device);
  const bool lent = rpi_device_lend(d->device) == RP_OK;
  for (datum *x = d->data, *next; x; x = next) {
    next = x->next;
    if (x->free_data) x->free_data(x->data);
    rpi_alloc_free(x);
  }
  if (lent) (void)rpi_device_regain(d->device);
  d->data = NULL;
  while (d->kept) drop(d, &d->kept);
}
