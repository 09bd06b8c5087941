/* SPDX-License-Identifier: Apache-2.0
 * kernels/dense/cublas.c -- see cublas.h. A matrix of rows is the transpose of one of columns, which is what cuBLAS
 * takes: it is asked for the transposed product, with the factors in the other order. */
#include "kernels/dense/cublas.h"

#include <pthread.h>

#include "kernels/failure.h"
#include "kernels/toolkit.h"

#define RPI_CUBLAS_TYPE(name, is) typedef is name;
#include "kernels/dense/cublas.def"
#undef RPI_CUBLAS_TYPE
static struct {
#define RPI_CUBLAS_FN(field, symbol, arguments) cublasStatus_t(*field) arguments;
#include "kernels/dense/cublas.def"
#undef RPI_CUBLAS_FN
} cublas;
static bool found;

/* ---- finding it ---- */

static void look(void) {
  static const char *const names[] = {"libcublas.so.13", "libcublas.so.12"};
  static const rpi_toolkit_function functions[] = {
#define RPI_CUBLAS_FN(field, symbol, arguments) {#symbol, &cublas.field},
#include "kernels/dense/cublas.def"
#undef RPI_CUBLAS_FN
  };
  found = rpi_toolkit_open(names, 2, functions, sizeof functions / sizeof *functions);
}

bool rpi_cublas_found(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, look);
  return found;
}

/* ---- a product ---- */

static rp_status failed(const char *function, int status) {
  return rpi_failure_set(RP_ERR_DEVICE, "%s: status %d", function, status);
}

static void end(void *handle) { (void)cublas.destroy(handle); }

/* The context's, made at its first product. */
static rp_status handle_of(const rp_gpu_call *call, void **out) {
  static const char key;
  *out = rp_gpu_data(call, &key);
  if (*out) return RP_OK;
  const int made = cublas.create(out);
  if (made != 0) return failed("cublasCreate", made);
  const rp_status status = rp_gpu_set_data(call, &key, *out, end);
  if (status != RP_OK) end(*out);
  return status;
}

/* Memory of its own would be waited for by the driver: it gets the context's, as much as its manual says. */
static rp_status prepare(const rp_gpu_call *call, void *handle) {
  const int64_t bytes = (int64_t)(call->arch >= 90 ? 32 : 4) << 20;
  uint64_t memory;
  const rp_status status = rp_gpu_workspace(call, bytes, &memory);
  if (status != RP_OK) return status;
  const int streamed = cublas.set_stream(handle, call->stream);
  if (streamed != 0) return failed("cublasSetStream", streamed);
  const int given = cublas.set_workspace(handle, (void *)(uintptr_t)memory, (size_t)bytes);
  return given == 0 ? RP_OK : failed("cublasSetWorkspace", given);
}

static int64_t leading(int64_t n) { return n > 1 ? n : 1; }

rp_status rpi_cublas_multiply(const rp_gpu_call *call, const rpi_cublas_product *p) {
  const int64_t lda = leading(p->transpose_a ? p->m : p->k);
  const int64_t ldb = leading(p->transpose_b ? p->k : p->n), ldc = leading(p->n);
  const void *a = (const void *)(uintptr_t)p->a, *b = (const void *)(uintptr_t)p->b;
  void *handle, *c = (void *)(uintptr_t)p->c;
  if (p->m == 0 || p->n == 0) return RP_OK;
  rp_status status = handle_of(call, &handle);
  if (status == RP_OK) status = prepare(call, handle);
  if (status != RP_OK) return status;
  if (p->wide) {
    const int done = cublas.dgemm(handle, p->transpose_b, p->transpose_a, p->n, p->m, p->k,
                                  &p->alpha, b, ldb, a, lda, &p->beta, c, ldc);
    return done == 0 ? RP_OK : failed("cublasDgemm", done);
  }
  const float alpha = (float)p->alpha, beta = (float)p->beta;
  const int done = cublas.sgemm(handle, p->transpose_b, p->transpose_a, p->n, p->m, p->k, &alpha, b,
                                ldb, a, lda, &beta, c, ldc);
  return done == 0 ? RP_OK : failed("cublasSgemm", done);
}
