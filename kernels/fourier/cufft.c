/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/cufft.c -- see cufft.h. Plans take no memory of their own for their work: that is the context's for the
 * time of a call, as for all that is queued on its stream. */
#include "kernels/fourier/cufft.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/failure.h"
#include "kernels/toolkit.h"

#define CUFFT_KIND int
#define CUFFT_STREAM void *
#define CUFFT_C32 void
#define CUFFT_C64 void
static struct {
#define RPI_CUFFT_FN(field, symbol, arguments) int(*field) arguments;
#include "kernels/fourier/cufft.def"
#undef RPI_CUFFT_FN
} cufft;
static bool found;

/* ---- finding it ---- */

static void look(void) {
  static const char *const names[] = {"libcufft.so.12", "libcufft.so.11"};
  static const rpi_toolkit_function functions[] = {
#define RPI_CUFFT_FN(field, symbol, arguments) {#symbol, &cufft.field},
#include "kernels/fourier/cufft.def"
#undef RPI_CUFFT_FN
  };
  found = rpi_toolkit_open(names, 2, functions, sizeof functions / sizeof *functions);
}

bool rpi_cufft_found(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, look);
  return found;
}

/* ---- plans ---- */

typedef struct plan {
  int32_t type, axes;
  int64_t n[3], batch;
  int handle;
  size_t work;
} plan;

/* A context's; the one used last is the first. */
typedef struct plans {
  int32_t n;
  plan list[RPI_CUFFT_PLANS];
} plans;

static rp_status failed(const char *function, int status) {
  return rpi_failure_set(RP_ERR_DEVICE, "%s: status %d", function, status);
}

static void end(void *data) {
  plans *all = data;
  for (int32_t i = 0; i < all->n; i++) (void)cufft.destroy(all->list[i].handle);
  free(all);
}

static rp_status plans_of(const rp_gpu_call *call, plans **out) {
  static const char key;
  *out = rp_gpu_data(call, &key);
  if (*out) return RP_OK;
  plans *all = calloc(1, sizeof *all);
  if (!all) return rpi_failure_memory("the plans of transforms on the GPU");
  const rp_status status = rp_gpu_set_data(call, &key, all, end);
  if (status == RP_OK)
    *out = all;
  else
    free(all);
  return status;
}

static bool is_of(const plan *p, const rpi_cufft_transform *t) {
  return p->type == t->type && p->axes == t->axes && p->batch == t->batch &&
         memcmp(p->n, t->n, (size_t)t->axes * sizeof *t->n) == 0;
}

static rp_status make(const rpi_cufft_transform *t, plan *out) {
  long long n[3];
  *out = (plan){.type = t->type, .axes = t->axes, .batch = t->batch};
  for (int32_t i = 0; i < t->axes; i++) n[i] = out->n[i] = t->n[i];
  const int created = cufft.create(&out->handle);
  if (created != 0) return failed("cufftCreate", created);
  const char *function = "cufftSetAutoAllocation";
  int status = cufft.set_allocation(out->handle, 0);
  if (status == 0) {
    function = "cufftMakePlanMany64";
    status =
        cufft.make(out->handle, t->axes, n, NULL, 1, 0, NULL, 1, 0, t->type, t->batch, &out->work);
  }
  if (status == 0) return RP_OK;
  (void)cufft.destroy(out->handle);
  return failed(function, status);
}

/* The plan for t comes to the front of the list. */
static rp_status plan_of(const rp_gpu_call *call, const rpi_cufft_transform *t, plan *out) {
  plans *all;
  rp_status status = plans_of(call, &all);
  if (status != RP_OK) return status;
  int32_t i = 0;
  while (i < all->n && !is_of(&all->list[i], t)) i++;
  if (i < all->n) {
    *out = all->list[i];
  } else {
    status = make(t, out);
    if (status != RP_OK) return status;
    if (all->n == RPI_CUFFT_PLANS)
      (void)cufft.destroy(all->list[--i].handle); /* waits for what uses it */
    else
      all->n++;
  }
  memmove(&all->list[1], &all->list[0], (size_t)i * sizeof *out);
  all->list[0] = *out;
  return RP_OK;
}

/* ---- a batch ---- */

/* Plans that need no memory for their work get some all the same: one that was never given any might say so. */
static rp_status prepare(const rp_gpu_call *call, const plan *p) {
  uint64_t memory = 0;
  const rp_status status = rp_gpu_workspace(call, p->work > 0 ? (int64_t)p->work : 1, &memory);
  if (status != RP_OK) return status;
  const int given = cufft.set_memory(p->handle, (void *)(uintptr_t)memory);
  if (given != 0) return failed("cufftSetWorkArea", given);
  const int streamed = cufft.set_stream(p->handle, call->stream);
  return streamed == 0 ? RP_OK : failed("cufftSetStream", streamed);
}

rp_status rpi_cufft_transform_queue(const rp_gpu_call *call, const rpi_cufft_transform *t) {
  void *x = (void *)(uintptr_t)t->x, *y = (void *)(uintptr_t)t->y;
  plan p;
  if (t->batch == 0) return RP_OK;
  rp_status status = plan_of(call, t, &p);
  if (status == RP_OK) status = prepare(call, &p);
  if (status != RP_OK) return status;
  int done = 0;
  switch (t->type) {
    case RPI_CUFFT_C2C: done = cufft.c2c(p.handle, x, y, t->direction); break;
    case RPI_CUFFT_Z2Z: done = cufft.z2z(p.handle, x, y, t->direction); break;
    case RPI_CUFFT_R2C: done = cufft.r2c(p.handle, x, y); break;
    case RPI_CUFFT_D2Z: done = cufft.d2z(p.handle, x, y); break;
    case RPI_CUFFT_C2R: done = cufft.c2r(p.handle, x, y); break;
    default: done = cufft.z2d(p.handle, x, y); break;
  }
  return done == 0 ? RP_OK : failed("cufftExec", done);
}
