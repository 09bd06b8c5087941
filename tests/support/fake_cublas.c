/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cublas.c -- a library in cuBLAS' place: handles, streams, and products of matrices of columns.
 * Lives here: the functions that kernels/dense uses, done by one kernel of the emulated GPU. What the real one forbids aborts:
 *             products without a stream and memory, leading extents that are too small. Not here: anything of the library. */
#include "tests/support/fake_cublas.h"

#define FAKE_NAME "cuBLAS"
#include "tests/support/fake_toolkit.h"

struct fake_cublas fake_cublas;

typedef struct handle {
  CUmodule module;
  CUfunction product[2];
  CUstream stream;
  void *memory;
} handle;

typedef struct parameters {
  const void *a, *b;
  void *c;
  int64_t ta, tb, m, n, k, lda, ldb, ldc;
  double alpha, beta;
} parameters;

#define PRODUCT(name, T) \
  "RPG_KERNEL(" #name ", product) {\n" \
  "  const int64_t at = (int64_t)RPG_BLOCK * RPG_THREADS + RPG_THREAD, i = at % a.m, j = at / " \
  "a.m;\n" \
  "  if (j >= a.n) return;\n" \
  "  const " #T " *const x = a.a, *const y = a.b;\n" \
  "  " #T " *const z = (" #T " *)a.c + i + j * a.ldc, s = 0;\n" \
  "  for (int64_t k = 0; k < a.k; k++)\n" \
  "    s += (a.ta ? x[k + i * a.lda] : x[i + k * a.lda]) * (a.tb ? y[j + k * a.ldb] : y[k + j * " \
  "a.ldb]);\n" \
  "  *z = a.alpha * s + (a.beta == 0 ? 0 : a.beta * *z);\n" \
  "}\n"

static const char text[] =
    "struct product { const void *a, *b; void *c; int64_t ta, tb, m, n, k, lda, ldb, ldc; double "
    "alpha, beta; };\n" PRODUCT(sproduct, float) PRODUCT(dproduct, double);

FAKE_API int cublasCreate_v2(void **out);
int cublasCreate_v2(void **out) {
  static char *cubin;
  handle *h = calloc(1, sizeof *h);
  CUresult e = cu_module_load(&h->module, fake_image(text, &cubin));
  if (e == CUDA_SUCCESS) e = cu_function_get(&h->product[0], h->module, "sproduct");
  if (e == CUDA_SUCCESS) e = cu_function_get(&h->product[1], h->module, "dproduct");
  check(e == CUDA_SUCCESS, "no context is current");
  fake_cublas.handles++;
  fake_cublas.created++;
  *out = h;
  return 0;
}

FAKE_API int cublasDestroy_v2(void *out);
int cublasDestroy_v2(void *out) {
  handle *h = out;
  check(cu_module_unload(h->module) == CUDA_SUCCESS, "another context is current");
  fake_cublas.handles--;
  free(h);
  return 0;
}

FAKE_API int cublasSetStream_v2(void *out, CUstream stream);
int cublasSetStream_v2(void *out, CUstream stream) {
  handle *h = out;
  h->stream = stream;
  h->memory = NULL; /* as the real one does */
  return 0;
}

FAKE_API int cublasSetWorkspace_v2(void *out, void *memory, size_t bytes);
int cublasSetWorkspace_v2(void *out, void *memory, size_t bytes) {
  handle *h = out;
  check((uintptr_t)memory % 256 == 0 && bytes >= 1 << 20, "the workspace is odd or small");
  h->memory = memory;
  return 0;
}

static int product(handle *h, int wide, const parameters *p) {
  check(h->stream && h->memory, "a product without a stream or memory");
  check(p->lda >= (p->ta ? p->k : p->m) && p->lda > 0, "lda is too small");
  check(p->ldb >= (p->tb ? p->n : p->k) && p->ldb > 0, "ldb is too small");
  check(p->ldc >= p->m && p->ldc > 0, "ldc is too small");
  fake_cublas.products++;
  if (fake_cublas.fail) return fake_cublas.fail;
  return (int)fake_launch(h->product[wide], h->stream, p->m * p->n, p, sizeof *p);
}

#define GEMM(name, T, wide) \
  FAKE_API int name(void *h, int ta, int tb, int64_t m, int64_t n, int64_t k, const T *alpha, \
                    const T *a, int64_t lda, const T *b, int64_t ldb, const T *beta, T *c, \
                    int64_t ldc); \
  int name(void *h, int ta, int tb, int64_t m, int64_t n, int64_t k, const T *alpha, const T *a, \
           int64_t lda, const T *b, int64_t ldb, const T *beta, T *c, int64_t ldc) { \
    const parameters p = {a, b, c, ta, tb, m, n, k, lda, ldb, ldc, *alpha, *beta}; \
    return product(h, wide, &p); \
  }
GEMM(cublasSgemm_v2_64, float, 0)
GEMM(cublasDgemm_v2_64, double, 1)
