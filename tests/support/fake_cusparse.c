/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cusparse.c -- a library in cuSPARSE's place: solutions with triangles of CSR matrices.
 * Lives here: the functions that kernels/sparse uses. An analysis copies the values into the memory it is given, which a solution
 *             reads, as the real one may: so both must stay as they were. What the real one forbids aborts, and so does what
 *             kernels/sparse never asks for. Not here: anything of the library. */
#include "tests/support/fake_cusparse.h"

#define FAKE_NAME "cuSPARSE"
#include "tests/support/fake_toolkit.h"

#include <string.h>

struct fake_cusparse fake_cusparse;

typedef struct handle {
  CUmodule module;
  CUfunction keep[2], solve[2];
  CUstream stream;
} handle;

typedef struct matrix {
  int64_t n, nnz;
  void *ptr, *col, *val;
  int type, upper, unit; /* -1: not said */
} matrix;

typedef struct vector {
  int64_t n;
  void *values;
  int type;
} vector;

typedef struct solution {
  void *room;
  const matrix *of;
} solution;

typedef struct parameters {
  const int32_t *ptr, *col;
  const void *val, *b;
  void *room, *x;
  int64_t n, nnz, upper, unit;
} parameters;

#define OF(letter, T) \
  "RPG_KERNEL(" #letter "keep, parameters) {\n" \
  "  const int64_t k = (int64_t)RPG_BLOCK * RPG_THREADS + RPG_THREAD;\n" \
  "  if (k < a.nnz) ((" #T " *)a.room)[k] = ((const " #T " *)a.val)[k];\n" \
  "}\n" \
  "RPG_KERNEL(" #letter "solve, parameters) {\n" \
  "  if (RPG_BLOCK != 0 || RPG_THREAD != 0) return;\n" \
  "  const " #T " *const val = (const " #T " *)a.room, *const b = (const " #T " *)a.b;\n" \
  "  " #T " *const x = (" #T " *)a.x;\n" \
  "  for (int64_t q = 0; q < a.n; q++) {\n" \
  "    const int64_t i = a.upper ? a.n - 1 - q : q;\n" \
  "    " #T " s = b[i], d = 1;\n" \
  "    for (int64_t k = a.ptr[i]; k < a.ptr[i + 1]; k++) {\n" \
  "      const int64_t j = a.col[k];\n" \
  "      if (j == i && !a.unit) d = val[k];\n" \
  "      if (a.upper ? j > i : j < i) s -= val[k] * x[j];\n" \
  "    }\n" \
  "    x[i] = s / d;\n" \
  "  }\n" \
  "}\n"

static const char text[] =
    "struct parameters { const int32_t *ptr, *col; const void *val, *b; void *room, *x; int64_t n, "
    "nnz, upper, unit; };\n" OF(s, float) OF(d, double);

/* May this call go on? */
static int begin(void) { return fake_cusparse.fail == 0 || --fake_cusparse.fail > 0 ? 0 : 7; }

/* A description. */
static int make(void **out, const void *is, size_t bytes) {
  const int status = begin();
  if (status != 0) return status;
  *out = malloc(bytes);
  memcpy(*out, is, bytes);
  fake_cusparse.alive++;
  return 0;
}

static int end(void *p) {
  check(p != NULL, "nothing to destroy");
  fake_cusparse.alive--;
  free(p);
  return 0;
}

FAKE_API int cusparseCreate(void **out);
int cusparseCreate(void **out) {
  static char *cubin;
  static const char *const names[] = {"skeep", "dkeep", "ssolve", "dsolve"};
  handle h = {0};
  CUresult e = cu_module_load(&h.module, fake_image(text, &cubin));
  for (int i = 0; i < 4 && e == CUDA_SUCCESS; i++)
    e = cu_function_get(i < 2 ? &h.keep[i] : &h.solve[i - 2], h.module, names[i]);
  const int status = e == CUDA_SUCCESS ? make(out, &h, sizeof h) : 2;
  if (status != 0 && h.module) (void)cu_module_unload(h.module);
  fake_cusparse.created += status == 0;
  return status;
}

FAKE_API int cusparseDestroy(void *h);
int cusparseDestroy(void *h) {
  (void)cu_module_unload(((handle *)h)->module);
  return end(h);
}

FAKE_API int cusparseSetStream(void *h, CUstream stream);
int cusparseSetStream(void *h, CUstream stream) {
  ((handle *)h)->stream = stream;
  return begin();
}

FAKE_API int cusparseCreateCsr(void **out, int64_t rows, int64_t cols, int64_t nnz, void *ptr,
                               void *col, void *val, int type_of_ptr, int type_of_col, int base,
                               int type);
int cusparseCreateCsr(void **out, int64_t rows, int64_t cols, int64_t nnz, void *ptr, void *col,
                      void *val, int type_of_ptr, int type_of_col, int base, int type) {
  const matrix m = {rows, nnz, ptr, col, val, type, -1, -1};
  check(rows > 0 && rows == cols && nnz >= 0, "no square matrix");
  check(type_of_ptr == 2 && type_of_col == 2 && base == 0, "indices that are not of i32 from 0");
  check(type == 0 || type == 1, "a type that is neither f32 nor f64");
  return make(out, &m, sizeof m);
}

FAKE_API int cusparseDestroySpMat(void *m);
int cusparseDestroySpMat(void *m) { return end(m); }

FAKE_API int cusparseSpMatSetAttribute(void *out, int which, void *value, size_t bytes);
int cusparseSpMatSetAttribute(void *out, int which, void *value, size_t bytes) {
  matrix *m = out;
  check(bytes == sizeof(int) && (which == 0 || which == 1), "an odd attribute");
  *(which == 0 ? &m->upper : &m->unit) = *(const int *)value;
  return begin();
}

FAKE_API int cusparseCreateDnVec(void **out, int64_t n, void *values, int type);
int cusparseCreateDnVec(void **out, int64_t n, void *values, int type) {
  return make(out, &(vector){n, values, type}, sizeof(vector));
}

FAKE_API int cusparseDestroyDnVec(void *v);
int cusparseDestroyDnVec(void *v) { return end(v); }

FAKE_API int cusparseDnVecSetValues(void *v, void *values);
int cusparseDnVecSetValues(void *v, void *values) {
  ((vector *)v)->values = values;
  return begin();
}

FAKE_API int cusparseSpSV_createDescr(void **out);
int cusparseSpSV_createDescr(void **out) { return make(out, &(solution){0}, sizeof(solution)); }

FAKE_API int cusparseSpSV_destroyDescr(void *s);
int cusparseSpSV_destroyDescr(void *s) { return end(s); }

static void check_call(const handle *h, int operation, const void *alpha, const matrix *m,
                       const vector *b, const vector *x, int type, int algorithm) {
  check(h->stream != NULL, "a call without a stream");
  check(operation == 0 && algorithm == 0, "an odd operation or algorithm");
  check((type ? *(const double *)alpha : *(const float *)alpha) == 1, "alpha is not 1");
  check(m->upper >= 0 && m->unit >= 0, "a matrix without attributes");
  check(m->type == type && b->type == type && x->type == type, "several types");
  check(b->n == m->n && x->n == m->n, "vectors of another length");
}

static CUresult queue(const handle *h, CUfunction f, const matrix *m, int64_t threads, void *room,
                      const vector *b, const vector *x) {
  const parameters p = {m->ptr,    m->col, m->val, b->values, room,
                        x->values, m->n,   m->nnz, m->upper,  m->unit};
  return fake_launch(f, h->stream, threads, &p, sizeof p);
}

FAKE_API int cusparseSpSV_bufferSize(void *h, int operation, const void *alpha, const void *m,
                                     const void *b, void *x, int type, int algorithm, void *s,
                                     size_t *bytes);
int cusparseSpSV_bufferSize(void *h, int operation, const void *alpha, const void *m, const void *b,
                            void *x, int type, int algorithm, void *s, size_t *bytes) {
  check_call(h, operation, alpha, m, b, x, type, algorithm);
  check(s != NULL, "no description of a solution");
  *bytes = (size_t)((const matrix *)m)->nnz * (type ? sizeof(double) : sizeof(float));
  return begin();
}

FAKE_API int cusparseSpSV_analysis(void *h, int operation, const void *alpha, const void *m,
                                   const void *b, void *x, int type, int algorithm, void *s,
                                   void *room);
int cusparseSpSV_analysis(void *h, int operation, const void *alpha, const void *m, const void *b,
                          void *x, int type, int algorithm, void *s, void *room) {
  const int status = begin();
  check_call(h, operation, alpha, m, b, x, type, algorithm);
  check(room != NULL, "no memory");
  if (status != 0) return status;
  fake_cusparse.analyses++;
  *(solution *)s = (solution){room, m};
  return (int)queue(h, ((handle *)h)->keep[type], m, ((const matrix *)m)->nnz, room, b, x);
}

FAKE_API int cusparseSpSV_solve(void *h, int operation, const void *alpha, const void *m,
                                const void *b, void *x, int type, int algorithm, void *s);
int cusparseSpSV_solve(void *h, int operation, const void *alpha, const void *m, const void *b,
                       void *x, int type, int algorithm, void *s) {
  const int status = begin();
  const solution *of = s;
  check_call(h, operation, alpha, m, b, x, type, algorithm);
  check(of->of == m && of->room, "another matrix was analysed");
  if (status != 0) return status;
  fake_cusparse.solutions++;
  return (int)queue(h, ((handle *)h)->solve[type], m, 1, of->room, b, x);
}
