/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cusolver.c -- a library in cuSOLVER's place: LU and Cholesky of matrices of columns.
 * Lives here: the functions that kernels/dense uses, each done by one thread of the emulated GPU as LAPACK describes it. What the
 *             real one forbids aborts, and so does what kernels/dense never asks for. Not here: anything of the library. */
#include "tests/support/fake_cusolver.h"

#define FAKE_NAME "cuSOLVER"
#include "tests/support/fake_toolkit.h"

struct fake_cusolver fake_cusolver;

enum { GETRF, GETRS, POTRF, POTRS, FUNCTIONS };
enum {
  ON_DEVICE = 2048,
  ON_HOST = 96,
  PARAMS = 1234567
}; /* bytes that it asks for; a magic number */

typedef struct handle {
  CUmodule module[2];
  CUfunction function[FUNCTIONS][2];
  CUstream stream;
} handle;

typedef struct parameters {
  void *a, *b;
  int64_t *pivot;
  int *info;
  int64_t n, rights;
  void *room;
} parameters;

#define STRUCT \
  "struct parameters { void *a, *b; int64_t *pivot; int *info; int64_t n, rights; void *room; " \
  "};\n"
#define KERNEL(name, T, body) \
  "RPG_KERNEL(" #name ", parameters) {\n" \
  "  if (RPG_BLOCK != 0 || RPG_THREAD != 0) return;\n" \
  "  const int64_t n = a.n;\n" \
  "  " #T " *const A = (" #T " *)a.a, *const B = (" #T " *)a.b;\n" body "}\n"
#define FUNCTIONS_OF(T) \
  KERNEL( \
      getrf, T, \
      "  *a.info = 0;\n" \
      "  *(char *)a.room = 1;\n" \
      "  for (int64_t k = 0; k < n; k++) {\n" \
      "    int64_t at = k;\n" \
      "    for (int64_t i = k; i < n; i++)\n" \
      "      if (fabs(A[i + k * n]) > fabs(A[at + k * n])) at = i;\n" \
      "    a.pivot[k] = at + 1;\n" \
      "    for (int64_t j = 0; j < n; j++) {\n" \
      "      const " #T " was = A[k + j * n];\n" \
      "      A[k + j * n] = A[at + j * n];\n" \
      "      A[at + j * n] = was;\n" \
      "    }\n" \
      "    if (A[k + k * n] == 0) {\n" \
      "      if (*a.info == 0) *a.info = (int)(k + 1);\n" \
      "      continue;\n" \
      "    }\n" \
      "    for (int64_t i = k + 1; i < n; i++) A[i + k * n] /= A[k + k * n];\n" \
      "    for (int64_t j = k + 1; j < n; j++)\n" \
      "      for (int64_t i = k + 1; i < n; i++) A[i + j * n] -= A[i + k * n] * A[k + j * n];\n" \
      "  }\n") \
  KERNEL(getrs, T, \
         "  *a.info = 0;\n" \
         "  for (int64_t r = 0; r < a.rights; r++) {\n" \
         "    " #T " *const x = B + r * n;\n" \
         "    for (int64_t j = 0; j < n; j++) {\n" \
         "      for (int64_t i = 0; i < j; i++) x[j] -= A[i + j * n] * x[i];\n" \
         "      x[j] /= A[j + j * n];\n" \
         "    }\n" \
         "    for (int64_t j = n; j-- > 0;)\n" \
         "      for (int64_t i = j + 1; i < n; i++) x[j] -= A[i + j * n] * x[i];\n" \
         "    for (int64_t k = n; k-- > 0;) {\n" \
         "      const " #T " was = x[k];\n" \
         "      x[k] = x[a.pivot[k] - 1];\n" \
         "      x[a.pivot[k] - 1] = was;\n" \
         "    }\n" \
         "  }\n") \
  KERNEL(potrf, T, \
         "  *a.info = 0;\n" \
         "  *(char *)a.room = 1;\n" \
         "  for (int64_t j = 0; j < n; j++) {\n" \
         "    for (int64_t i = 0; i <= j; i++) {\n" \
         "      for (int64_t k = 0; k < i; k++) A[i + j * n] -= A[k + i * n] * A[k + j * n];\n" \
         "      if (i < j) A[i + j * n] /= A[i + i * n];\n" \
         "    }\n" \
         "    if (!(A[j + j * n] > 0)) {\n" \
         "      *a.info = (int)(j + 1);\n" \
         "      return;\n" \
         "    }\n" \
         "    A[j + j * n] = sqrt(A[j + j * n]);\n" \
         "  }\n") \
  KERNEL(potrs, T, \
         "  *a.info = 0;\n" \
         "  for (int64_t r = 0; r < a.rights; r++) {\n" \
         "    " #T " *const x = B + r * n;\n" \
         "    for (int64_t j = 0; j < n; j++) {\n" \
         "      for (int64_t i = 0; i < j; i++) x[j] -= A[i + j * n] * x[i];\n" \
         "      x[j] /= A[j + j * n];\n" \
         "    }\n" \
         "    for (int64_t j = n; j-- > 0;) {\n" \
         "      for (int64_t i = j + 1; i < n; i++) x[j] -= A[j + i * n] * x[i];\n" \
         "      x[j] /= A[j + j * n];\n" \
         "    }\n" \
         "  }\n")

static const char *const text[] = {STRUCT FUNCTIONS_OF(float), STRUCT FUNCTIONS_OF(double)};

/* May this call go on? */
static int begin(void) {
  fake_cusolver.calls++;
  return fake_cusolver.fail == 0 || --fake_cusolver.fail > 0 ? 0 : 7;
}

static void unload(handle *h) {
  for (int wide = 0; wide < 2; wide++)
    if (h->module[wide]) (void)cu_module_unload(h->module[wide]);
  free(h);
}

FAKE_API int cusolverDnCreate(void **out);
int cusolverDnCreate(void **out) {
  static const char *const names[FUNCTIONS] = {"getrf", "getrs", "potrf", "potrs"};
  static char *cubin[2];
  const int status = begin();
  if (status != 0) return status;
  handle *h = calloc(1, sizeof *h);
  CUresult e = CUDA_SUCCESS;
  for (int wide = 0; wide < 2 && e == CUDA_SUCCESS; wide++) {
    e = cu_module_load(&h->module[wide], fake_image(text[wide], &cubin[wide]));
    for (int i = 0; i < FUNCTIONS && e == CUDA_SUCCESS; i++)
      e = cu_function_get(&h->function[i][wide], h->module[wide], names[i]);
  }
  if (e != CUDA_SUCCESS) {
    unload(h);
    return 2; /* as where there is no memory */
  }
  fake_cusolver.handles++;
  fake_cusolver.created++;
  *out = h;
  return 0;
}

FAKE_API int cusolverDnDestroy(void *out);
int cusolverDnDestroy(void *out) {
  fake_cusolver.handles--;
  unload(out);
  return 0;
}

FAKE_API int cusolverDnCreateParams(void **out);
int cusolverDnCreateParams(void **out) {
  const int status = begin();
  int *p;
  if (status != 0) return status;
  fake_cusolver.params++;
  *out = p = malloc(sizeof *p);
  *p = PARAMS;
  return 0;
}

FAKE_API int cusolverDnDestroyParams(void *params);
int cusolverDnDestroyParams(void *params) {
  check(*(int *)params == PARAMS, "these are no parameters");
  fake_cusolver.params--;
  free(params);
  return 0;
}

FAKE_API int cusolverDnSetStream(void *out, CUstream stream);
int cusolverDnSetStream(void *out, CUstream stream) {
  handle *h = out;
  const int status = begin();
  if (status == 0) h->stream = stream;
  return status;
}

/* What all of them want of a matrix. */
static void check_matrix(const handle *h, const void *params, int64_t n, int type, int64_t lda) {
  check(h->stream != NULL, "a call without a stream");
  check(*(const int *)params == PARAMS, "these are no parameters");
  check(type == 0 || type == 1, "a type that is neither f32 nor f64");
  check(n > 0 && lda == n, "an odd matrix");
}

static int room(const void *a, size_t *on_device, size_t *on_host) {
  check(a != NULL, "no matrix");
  *on_device = ON_DEVICE;
  *on_host = ON_HOST;
  return 0;
}

static int queue(handle *h, int function, int type, const parameters *p) {
  check(p->info != NULL, "nowhere to put info");
  return (int)fake_launch(h->function[function][type], h->stream, 1, p, sizeof *p);
}

static void check_rooms(void *on_device, size_t device_bytes, char *on_host, size_t host_bytes) {
  check(on_device && device_bytes >= ON_DEVICE, "no room on the GPU");
  check(on_host && host_bytes >= ON_HOST, "no room on the host");
  for (int i = 0; i < ON_HOST; i++) on_host[i] = 1;
}

FAKE_API int cusolverDnXgetrf_bufferSize(void *h, void *params, int64_t m, int64_t n, int type,
                                         const void *a, int64_t lda, int compute, size_t *on_device,
                                         size_t *on_host);
int cusolverDnXgetrf_bufferSize(void *h, void *params, int64_t m, int64_t n, int type,
                                const void *a, int64_t lda, int compute, size_t *on_device,
                                size_t *on_host) {
  const int status = begin();
  check_matrix(h, params, n, type, lda);
  check(m == n && compute == type, "not square, or of two types");
  return status == 0 ? room(a, on_device, on_host) : status;
}

FAKE_API int cusolverDnXgetrf(void *h, void *params, int64_t m, int64_t n, int type, void *a,
                              int64_t lda, int64_t *pivot, int compute, void *on_device,
                              size_t device_bytes, void *on_host, size_t host_bytes, int *info);
int cusolverDnXgetrf(void *h, void *params, int64_t m, int64_t n, int type, void *a, int64_t lda,
                     int64_t *pivot, int compute, void *on_device, size_t device_bytes,
                     void *on_host, size_t host_bytes, int *info) {
  const int status = begin();
  const parameters p = {.a = a, .pivot = pivot, .info = info, .n = n, .room = on_device};
  check_matrix(h, params, n, type, lda);
  check(m == n && compute == type, "not square, or of two types");
  check_rooms(on_device, device_bytes, on_host, host_bytes);
  return status == 0 ? queue(h, GETRF, type, &p) : status;
}

FAKE_API int cusolverDnXgetrs(void *h, void *params, int operation, int64_t n, int64_t rights,
                              int type, const void *a, int64_t lda, const int64_t *pivot,
                              int type_b, void *b, int64_t ldb, int *info);
int cusolverDnXgetrs(void *h, void *params, int operation, int64_t n, int64_t rights, int type,
                     const void *a, int64_t lda, const int64_t *pivot, int type_b, void *b,
                     int64_t ldb, int *info) {
  const int status = begin();
  const parameters p = {
      (void *)(uintptr_t)a, b, (int64_t *)(uintptr_t)pivot, info, n, rights, NULL};
  check_matrix(h, params, n, type, lda);
  check(operation == 1 && rights > 0 && type_b == type && ldb == n, "odd right-hand sides");
  return status == 0 ? queue(h, GETRS, type, &p) : status;
}

FAKE_API int cusolverDnXpotrf_bufferSize(void *h, void *params, int triangle, int64_t n, int type,
                                         const void *a, int64_t lda, int compute, size_t *on_device,
                                         size_t *on_host);
int cusolverDnXpotrf_bufferSize(void *h, void *params, int triangle, int64_t n, int type,
                                const void *a, int64_t lda, int compute, size_t *on_device,
                                size_t *on_host) {
  const int status = begin();
  check_matrix(h, params, n, type, lda);
  check(triangle == 1 && compute == type, "the lower triangle, or two types");
  return status == 0 ? room(a, on_device, on_host) : status;
}

FAKE_API int cusolverDnXpotrf(void *h, void *params, int triangle, int64_t n, int type, void *a,
                              int64_t lda, int compute, void *on_device, size_t device_bytes,
                              void *on_host, size_t host_bytes, int *info);
int cusolverDnXpotrf(void *h, void *params, int triangle, int64_t n, int type, void *a, int64_t lda,
                     int compute, void *on_device, size_t device_bytes, void *on_host,
                     size_t host_bytes, int *info) {
  const int status = begin();
  const parameters p = {.a = a, .info = info, .n = n, .room = on_device};
  check_matrix(h, params, n, type, lda);
  check(triangle == 1 && compute == type, "the lower triangle, or two types");
  check_rooms(on_device, device_bytes, on_host, host_bytes);
  return status == 0 ? queue(h, POTRF, type, &p) : status;
}

FAKE_API int cusolverDnXpotrs(void *h, void *params, int triangle, int64_t n, int64_t rights,
                              int type, const void *a, int64_t lda, int type_b, void *b,
                              int64_t ldb, int *info);
int cusolverDnXpotrs(void *h, void *params, int triangle, int64_t n, int64_t rights, int type,
                     const void *a, int64_t lda, int type_b, void *b, int64_t ldb, int *info) {
  const int status = begin();
  const parameters p = {(void *)(uintptr_t)a, b, NULL, info, n, rights, NULL};
  check_matrix(h, params, n, type, lda);
  check(triangle == 1 && rights > 0 && type_b == type && ldb == n, "odd right-hand sides");
  return status == 0 ? queue(h, POTRS, type, &p) : status;
}
