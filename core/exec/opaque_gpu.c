/* SPDX-License-Identifier: Apache-2.0
 * core/exec/opaque_gpu.c -- see opaque_gpu.h. */
#include "core/exec/opaque_gpu.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/model/op.h"
#include "core/model/residence.h"

struct rpi_opaque_gpu {
  rp_gpu_variant is;
};

typedef struct rpi_opaque_datum {
  const void *key;
  void *data;
  void (*free_data)(void *data);
  struct rpi_opaque_datum *next;
} datum;

enum { BLOCKS = 16 };

/* A call that is under way: what is behind `runtime`. */
typedef struct running {
  rpi_opaque_device *device;
  int32_t n; /* blocks of memory that it has got */
  CUdeviceptr block[BLOCKS];
  int64_t bytes[BLOCKS];
} running;

/* ---- the variant ---- */

static rp_status check(const rp_opaque_desc *d, const rp_gpu_variant *v, int32_t n_stores) {
  if (!v->function)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->function is NULL", d->name);
  for (int32_t i = 0; i < n_stores; i++)
    if (d->privileges[i] == RP_PRIV_UNBOUND)
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "op %s: gpu is given, but store %d is unbound: such ops run on the "
                             "host so far",
                             d->name, i);
  return RP_OK;
}

rp_status rpi_opaque_gpu_create(const rp_opaque_desc *d, int32_t n_stores, rpi_opaque_gpu **out) {
  const size_t least = offsetof(rp_gpu_variant, function) + sizeof d->gpu->function;
  rp_gpu_variant v = {0};
  *out = NULL;
  if (!d->gpu) return RP_OK;
  if (d->gpu->struct_size < least || d->gpu->struct_size > sizeof v)
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: gpu->struct_size is %zu, not %zu", d->name,
                           d->gpu->struct_size, sizeof v);
  memcpy(&v, d->gpu, d->gpu->struct_size);
  RPI_TRY(check(d, &v, n_stores));
  *out = rpi_alloc_zero(sizeof **out);
  if (!*out) return rpi_status_nomem("opaque op");
  (*out)->is = v;
  return RP_OK;
}

void rpi_opaque_gpu_free(rpi_opaque_gpu *v) { rpi_alloc_free(v); }

/* ---- calls ---- */

static rp_status call_function(const rpi_opaque_gpu *v, const rpi_plan_call *c,
                               const uint64_t *scalars, rpi_opaque_device *d, rp_status *said) {
  const rpi_device_facts *facts = rpi_device_facts_get(d->device);
  const void *value[RPI_OP_MAX_SCALARS];
  running r = {.device = d};
  const int32_t n_scalars = rpi_opaque_n_scalars(c->opaque);
  for (int32_t i = 0; i < n_scalars; i++) value[i] = &scalars[i]; /* low bytes first */
  const rp_gpu_call call = {.stream = rpi_device_stream(d->device),
                            .device = facts->ordinal,
                            .arch = facts->arch,
                            .n_stores = c->n,
                            .n_scalars = n_scalars,
                            .stores = c->gpu_stores,
                            .scalars = value,
                            .runtime = &r};
  RPI_TRY(rpi_device_lend(d->device));
  *said = v->is.function(&call);
  const rp_status st = rpi_device_regain(d->device);
  for (int32_t i = 0; i < r.n; i++) rpi_device_put(d->device, r.block[i], r.bytes[i]);
  return st;
}

static void fail(rpi_plan_call *c, rp_status said, bool in_words) {
  char number[32];
  snprintf(number, sizeof number, "status %d", said);
  c->failed = true;
  rpi_alloc_free(c->why);
  c->why = rpi_alloc_string(in_words ? rpi_status_message() : number);
}

rp_status rpi_opaque_gpu_call(const rpi_plan *plan, rpi_plan_call *c, const uint64_t *scalars,
                              rpi_opaque_device *d) {
  const rpi_opaque_gpu *v = rpi_opaque_on_gpu(c->opaque);
  const uint64_t sentences = rpi_status_count();
  rp_status said = RP_OK;
  for (int32_t i = 0; i < c->n; i++) c->gpu[i].address = plan->words[c->word + i].u;
  RPI_TRY(call_function(v, c, scalars + c->scalar, d, &said));
  if (said != RP_OK) fail(c, said, rpi_status_count() != sentences);
  return RP_OK;
}

void rpi_opaque_gpu_forgive(rpi_plan_call *c) {
  c->failed = false;
  rpi_alloc_free(c->why);
  c->why = NULL;
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
  const rp_status st = rpi_residence_get(r->device->pool, bytes, &p);
  if (st != RP_OK) return rpi_status_context(st, "rp_gpu_workspace");
  r->block[r->n] = p;
  r->bytes[r->n++] = bytes;
  *out = p;
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
  if (!d->data) return;
  (void)rpi_device_wait(d->device);
  const bool lent = rpi_device_lend(d->device) == RP_OK;
  for (datum *x = d->data, *next; x; x = next) {
    next = x->next;
    if (x->free_data) x->free_data(x->data);
    rpi_alloc_free(x);
  }
  if (lent) (void)rpi_device_regain(d->device);
  d->data = NULL;
}
