/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/cusolver.c -- see cusolver.h. A matrix of rows is the transpose of one of columns, which is what cuSOLVER takes:
 * it factors the transposed matrix and solves with the transposed factors; a lower triangle is an upper one; right-hand
 * sides are columns already. */
#include "kernels/dense/cusolver.h"

#include <pthread.h>
#include <stdlib.h>

#include "kernels/failure.h"
#include "kernels/toolkit.h"

#define RPI_CUSOLVER_TYPE(name, is) typedef is name;
#include "kernels/dense/cusolver.def"
#undef RPI_CUSOLVER_TYPE
enum {
#define RPI_CUSOLVER_CONSTANT(name, value) name = (value),
#include "kernels/dense/cusolver.def"
#undef RPI_CUSOLVER_CONSTANT
};
static struct {
#define RPI_CUSOLVER_FN(field, symbol, arguments) cusolverStatus_t(*field) arguments;
#include "kernels/dense/cusolver.def"
#undef RPI_CUSOLVER_FN
} cusolver;
static bool found;

static void look(void) {
  static const char *const names[] = {"libcusolver.so.12", "libcusolver.so.11"};
  static const rpi_toolkit_function functions[] = {
#define RPI_CUSOLVER_FN(field, symbol, arguments) {#symbol, &cusolver.field},
#include "kernels/dense/cusolver.def"
#undef RPI_CUSOLVER_FN
  };
  found = rpi_toolkit_open(names, 2, functions, sizeof functions / sizeof *functions);
}

bool rpi_cusolver_found(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, look);
  return found;
}

static rp_status failed(const char *function, cusolverStatus_t status) {
  return rpi_failure_set(RP_ERR_DEVICE, "%s: status %d", function, (int)status);
}

/* The call, or the end of the function that it is in. */
#define TRY(field, name, ...) \
  do { \
    const cusolverStatus_t try_status = cusolver.field(__VA_ARGS__); \
    if (try_status != CUSOLVER_STATUS_SUCCESS) return failed(name, try_status); \
  } while (0)

/* ---- a context's handle ---- */

/* Memory of the host that calls work in: nobody says when they have done with it, so it stays. */
typedef struct room {
  struct room *smaller;
  size_t bytes;
} room;

typedef struct solver {
  cusolverDnHandle_t handle;
  cusolverDnParams_t params;
  room *room;
} solver;

static void end(void *arg) {
  solver *s = arg;
  if (s->params) (void)cusolver.destroy_params(s->params);
  if (s->handle) (void)cusolver.destroy(s->handle);
  for (room *r = s->room, *next; r; r = next) {
    next = r->smaller;
    free(r);
  }
  free(s);
}

static rp_status begin(solver *s) {
  TRY(create, "cusolverDnCreate", &s->handle);
  TRY(create_params, "cusolverDnCreateParams", &s->params);
  return RP_OK;
}

/* Made at the context's first factorisation. */
static rp_status solver_of(const rp_gpu_call *call, solver **out) {
  static const char key;
  *out = rp_gpu_data(call, &key);
  if (!*out) {
    solver *s = calloc(1, sizeof *s);
    if (!s) return rpi_failure_memory("a handle of cuSOLVER");
    rp_status status = begin(s);
    if (status == RP_OK) status = rp_gpu_set_data(call, &key, s, end);
    if (status != RP_OK) {
      end(s);
      return status;
    }
    *out = s;
  }
  TRY(set_stream, "cusolverDnSetStream", (*out)->handle, call->stream);
  return RP_OK;
}

static rp_status host_room(solver *s, size_t bytes, void **out) {
  *out = NULL;
  if (bytes == 0) return RP_OK;
  if (!s->room || s->room->bytes < bytes) {
    room *r = malloc(sizeof *r + 2 * bytes);
    if (!r) return rpi_failure_memory("what cuSOLVER works in");
    *r = (room){s->room, 2 * bytes};
    s->room = r;
  }
  *out = s->room + 1;
  return RP_OK;
}

/* What a factorisation works in, on both sides. */
static rp_status rooms(const rp_gpu_call *call, solver *s, size_t on_device, size_t on_host,
                       void **device, void **host) {
  uint64_t address;
  rp_status status = rp_gpu_workspace(call, (int64_t)on_device, &address);
  *device = (void *)(uintptr_t)address;
  return status == RP_OK ? host_room(s, on_host, host) : status;
}

/* ---- factors ---- */

static void *at(const rp_gpu_store *s) { return (void *)(uintptr_t)s->address; }
static cudaDataType type_of(const rp_gpu_store *s) {
  return s->dtype == RP_F64 ? CUDA_R_64F : CUDA_R_32F;
}

rp_status rpi_cusolver_lu(const rp_gpu_call *call) {
  const rp_gpu_store *a = call->stores[0];
  const int64_t n = a->extents[0];
  const cudaDataType type = type_of(a);
  size_t on_device = 0, on_host = 0;
  void *device, *host;
  solver *s;
  rp_status status = solver_of(call, &s);
  if (status != RP_OK) return status;
  TRY(getrf_room, "cusolverDnXgetrf_bufferSize", s->handle, s->params, n, n, type, at(a), n, type,
      &on_device, &on_host);
  status = rooms(call, s, on_device, on_host, &device, &host);
  if (status != RP_OK) return status;
  TRY(getrf, "cusolverDnXgetrf", s->handle, s->params, n, n, type, at(a), n, at(call->stores[1]),
      type, device, on_device, host, on_host, at(call->stores[2]));
  return RP_OK;
}

rp_status rpi_cusolver_cholesky(const rp_gpu_call *call) {
  const rp_gpu_store *a = call->stores[0];
  const int64_t n = a->extents[0];
  const cudaDataType type = type_of(a);
  size_t on_device = 0, on_host = 0;
  void *device, *host;
  solver *s;
  rp_status status = solver_of(call, &s);
  if (status != RP_OK) return status;
  TRY(potrf_room, "cusolverDnXpotrf_bufferSize", s->handle, s->params, CUBLAS_FILL_MODE_UPPER, n,
      type, at(a), n, type, &on_device, &on_host);
  status = rooms(call, s, on_device, on_host, &device, &host);
  if (status != RP_OK) return status;
  TRY(potrf, "cusolverDnXpotrf", s->handle, s->params, CUBLAS_FILL_MODE_UPPER, n, type, at(a), n,
      type, device, on_device, host, on_host, at(call->stores[1]));
  return RP_OK;
}

/* ---- solutions ---- */

/* Solutions say only that arguments were wrong, which nobody reads. */
static rp_status begin_solution(const rp_gpu_call *call, solver **s, int **info) {
  uint64_t address = 0;
  rp_status status = solver_of(call, s);
  if (status == RP_OK) status = rp_gpu_workspace(call, sizeof **info, &address);
  *info = (int *)(uintptr_t)address;
  return status;
}

rp_status rpi_cusolver_lu_solve(const rp_gpu_call *call) {
  const rp_gpu_store *x = call->stores[0], *lu = call->stores[1];
  const int64_t rights = x->extents[0], n = x->extents[1];
  const cudaDataType type = type_of(x);
  solver *s;
  int *info;
  const rp_status status = begin_solution(call, &s, &info);
  if (status != RP_OK) return status;
  TRY(getrs, "cusolverDnXgetrs", s->handle, s->params, CUBLAS_OP_T, n, rights, type, at(lu), n,
      at(call->stores[2]), type, at(x), n, info);
  return RP_OK;
}

rp_status rpi_cusolver_cholesky_solve(const rp_gpu_call *call) {
  const rp_gpu_store *x = call->stores[0], *l = call->stores[1];
  const int64_t rights = x->extents[0], n = x->extents[1];
  const cudaDataType type = type_of(x);
  solver *s;
  int *info;
  const rp_status status = begin_solution(call, &s, &info);
  if (status != RP_OK) return status;
  TRY(potrs, "cusolverDnXpotrs", s->handle, s->params, CUBLAS_FILL_MODE_UPPER, n, rights, type,
      at(l), n, type, at(x), n, info);
  return RP_OK;
}
