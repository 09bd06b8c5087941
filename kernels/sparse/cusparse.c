/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/cusparse.c -- see cusparse.h. */
#include "kernels/sparse/cusparse.h"

#include <pthread.h>
#include <stdlib.h>

#include "core/include/reprise_sparse.h"
#include "kernels/failure.h"
#include "kernels/toolkit.h"

#define RPI_CUSPARSE_TYPE(name, is) typedef is name;
#include "kernels/sparse/cusparse.def"
#undef RPI_CUSPARSE_TYPE
enum {
#define RPI_CUSPARSE_CONSTANT(name, value) name = (value),
#include "kernels/sparse/cusparse.def"
#undef RPI_CUSPARSE_CONSTANT
};
static struct {
#define RPI_CUSPARSE_FN(field, symbol, arguments) cusparseStatus_t(*field) arguments;
#include "kernels/sparse/cusparse.def"
#undef RPI_CUSPARSE_FN
} cusparse;
static bool found;

static void look(void) {
  static const char *const names[] = {"libcusparse.so.12"}; /* of CUDA 12 and 13 */
  static const rpi_toolkit_function functions[] = {
#define RPI_CUSPARSE_FN(field, symbol, arguments) {#symbol, &cusparse.field},
#include "kernels/sparse/cusparse.def"
#undef RPI_CUSPARSE_FN
  };
  found = rpi_toolkit_open(names, 1, functions, sizeof functions / sizeof *functions);
}

bool rpi_cusparse_found(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, look);
  return found;
}

/* The call, or the end of the function that it is in. */
#define TRY(field, name, ...) \
  do { \
    const cusparseStatus_t try_status = cusparse.field(__VA_ARGS__); \
    if (try_status != CUSPARSE_STATUS_SUCCESS) \
      return rpi_failure_set(RP_ERR_DEVICE, "%s: status %d", name, (int)try_status); \
  } while (0)

/* ---- what a context keeps ---- */

enum { X, PTR, COL, VAL, B };   /* stores */
enum { FLAGS, NUMBER };         /* scalars */
enum { PARTS = VAL - PTR + 1 }; /* arrays of a matrix */
enum { MOST = 16 };             /* triangles that are remembered */

typedef struct triangle {
  struct triangle *next; /* those used before this one */
  int64_t number;
  int32_t flags;
  uint64_t at[PARTS]; /* where its arrays lay */
  uint64_t room;      /* 0: none */
  cusparseSpMatDescr_t matrix;
  cusparseDnVecDescr_t b, x;
  cusparseSpSVDescr_t solution;
} triangle;

typedef struct solver {
  cusparseHandle_t handle;
  triangle *newest;
} solver;

/* `call` NULL: the context ends, and takes the memory. */
static void forget(const rp_gpu_call *call, triangle *t) {
  if (t->solution) (void)cusparse.destroy_solution(t->solution);
  if (t->b) (void)cusparse.destroy_vector(t->b);
  if (t->x) (void)cusparse.destroy_vector(t->x);
  if (t->matrix) (void)cusparse.destroy_matrix(t->matrix);
  if (call && t->room) (void)rp_gpu_drop(call, t->room);
  free(t);
}

static void end(void *arg) {
  solver *s = arg;
  for (triangle *t = s->newest, *next; t; t = next) {
    next = t->next;
    forget(NULL, t);
  }
  if (s->handle) (void)cusparse.destroy(s->handle);
  free(s);
}

static rp_status begin(solver *s) {
  TRY(create, "cusparseCreate", &s->handle);
  return RP_OK;
}

/* Made at the context's first solution. */
static rp_status solver_of(const rp_gpu_call *call, solver **out) {
  static const char key;
  *out = rp_gpu_data(call, &key);
  if (!*out) {
    solver *s = calloc(1, sizeof *s);
    if (!s) return rpi_failure_memory("a handle of cuSPARSE");
    rp_status status = begin(s);
    if (status == RP_OK) status = rp_gpu_set_data(call, &key, s, end);
    if (status != RP_OK) {
      end(s);
      return status;
    }
    *out = s;
  }
  TRY(set_stream, "cusparseSetStream", (*out)->handle, call->stream);
  return RP_OK;
}

/* ---- analysis ---- */

static void *at(const rp_gpu_call *call, int store) {
  return (void *)(uintptr_t)call->stores[store]->address;
}

static cudaDataType type_of(const rp_gpu_call *call) {
  return call->stores[X]->dtype == RP_F64 ? CUDA_R_64F : CUDA_R_32F;
}

/* 1, in either dtype. */
static const void *one(const rp_gpu_call *call) {
  static const double wide = 1;
  static const float narrow = 1;
  return call->stores[X]->dtype == RP_F64 ? (const void *)&wide : &narrow;
}

static rp_status describe(const rp_gpu_call *call, triangle *t) {
  const int64_t n = call->stores[X]->extents[0], nnz = call->stores[COL]->extents[0];
  const cudaDataType type = type_of(call);
  cusparseFillMode_t side =
      t->flags & RP_CSR_UPPER ? CUSPARSE_FILL_MODE_UPPER : CUSPARSE_FILL_MODE_LOWER;
  cusparseDiagType_t diagonal =
      t->flags & RP_CSR_UNIT_DIAGONAL ? CUSPARSE_DIAG_TYPE_UNIT : CUSPARSE_DIAG_TYPE_NON_UNIT;
  TRY(create_csr, "cusparseCreateCsr", &t->matrix, n, n, nnz, at(call, PTR), at(call, COL),
      at(call, VAL), CUSPARSE_INDEX_32I, CUSPARSE_INDEX_32I, CUSPARSE_INDEX_BASE_ZERO, type);
  TRY(set_attribute, "cusparseSpMatSetAttribute", t->matrix, CUSPARSE_SPMAT_FILL_MODE, &side,
      sizeof side);
  TRY(set_attribute, "cusparseSpMatSetAttribute", t->matrix, CUSPARSE_SPMAT_DIAG_TYPE, &diagonal,
      sizeof diagonal);
  TRY(create_vector, "cusparseCreateDnVec", &t->b, n, at(call, B), type);
  TRY(create_vector, "cusparseCreateDnVec", &t->x, n, at(call, X), type);
  TRY(create_solution, "cusparseSpSV_createDescr", &t->solution);
  return RP_OK;
}

static rp_status analyse(const rp_gpu_call *call, const solver *s, triangle *t) {
  size_t bytes = 0;
  rp_status status = describe(call, t);
  if (status != RP_OK) return status;
  TRY(room, "cusparseSpSV_bufferSize", s->handle, CUSPARSE_OPERATION_NON_TRANSPOSE, one(call),
      t->matrix, t->b, t->x, type_of(call), CUSPARSE_SPSV_ALG_DEFAULT, t->solution, &bytes);
  status = rp_gpu_keep(call, bytes > 0 ? (int64_t)bytes : 1, &t->room);
  if (status != RP_OK) return status;
  TRY(analyse, "cusparseSpSV_analysis", s->handle, CUSPARSE_OPERATION_NON_TRANSPOSE, one(call),
      t->matrix, t->b, t->x, type_of(call), CUSPARSE_SPSV_ALG_DEFAULT, t->solution,
      (void *)(uintptr_t)t->room);
  return RP_OK;
}

static bool lies_there(const rp_gpu_call *call, const triangle *t) {
  for (int i = 0; i < PARTS; i++)
    if (t->at[i] != call->stores[PTR + i]->address) return false;
  return true;
}

/* Takes the triangle out of the list; NULL: it is not there, or lay elsewhere and has been forgotten. The last of too many is
 * forgotten, too. */
static triangle *take(const rp_gpu_call *call, solver *s, int64_t number, int32_t flags) {
  triangle **at_one = &s->newest, *t;
  int others = 0;
  while (*at_one && ((*at_one)->number != number || (*at_one)->flags != flags)) {
    if (++others == MOST) {
      t = *at_one;
      *at_one = t->next;
      forget(call, t);
      return NULL;
    }
    at_one = &(*at_one)->next;
  }
  t = *at_one;
  if (!t) return NULL;
  *at_one = t->next;
  if (lies_there(call, t)) return t;
  forget(call, t);
  return NULL;
}

static rp_status triangle_of(const rp_gpu_call *call, solver *s, triangle **out) {
  const int32_t flags = *(const int32_t *)call->scalars[FLAGS];
  const int64_t number = *(const int64_t *)call->scalars[NUMBER];
  triangle *t = take(call, s, number, flags);
  if (!t) {
    t = calloc(1, sizeof *t);
    if (!t) return rpi_failure_memory("a triangle for cuSPARSE");
    t->number = number;
    t->flags = flags;
    for (int i = 0; i < PARTS; i++) t->at[i] = call->stores[PTR + i]->address;
    const rp_status status = analyse(call, s, t);
    if (status != RP_OK) {
      forget(call, t);
      return status;
    }
  }
  t->next = s->newest;
  s->newest = *out = t;
  return RP_OK;
}

rp_status rpi_cusparse_solve(const rp_gpu_call *call) {
  solver *s;
  triangle *t = NULL;
  rp_status status = solver_of(call, &s);
  if (status == RP_OK) status = triangle_of(call, s, &t);
  if (status != RP_OK) return status;
  TRY(set_values, "cusparseDnVecSetValues", t->b, at(call, B));
  TRY(set_values, "cusparseDnVecSetValues", t->x, at(call, X));
  TRY(solve, "cusparseSpSV_solve", s->handle, CUSPARSE_OPERATION_NON_TRANSPOSE, one(call),
      t->matrix, t->b, t->x, type_of(call), CUSPARSE_SPSV_ALG_DEFAULT, t->solution);
  return RP_OK;
}
