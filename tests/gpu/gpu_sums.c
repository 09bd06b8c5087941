/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/gpu_sums.c -- see gpu_programs.h: sums of rows of very different lengths, and along both axes of an array.
 *
 * How: of the matrices row i has length(i) elements of 1/length(i), so products stay near the average of what they began
 *      with. Entry e of row i, its k-th, is in column column(e, i, k); baselines.py says the same of its own. */
#include <stdio.h>
#include <stdlib.h>

#include "reprise_sparse.h"
#include "tests/gpu/gpu_programs.h"

enum { LONGEST = 16 }; /* the longest rows of `power` are 4 << LONGEST */

/* ---- matrices -------------------------------------------------------------------------------------------- */

/* The last step of SplitMix64, of any number. */
static uint64_t mixed(uint64_t e) {
  uint64_t z = (e + 1) * UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

typedef struct row_shape {
  int64_t (*length)(int64_t n, int64_t i);
  int64_t (*column)(int64_t n, int64_t e, int64_t i, int64_t k);
} row_shape;

static int64_t length_short(int64_t n, int64_t i) {
  (void)n;
  return 1 + i % 7;
}

static int64_t length_power(int64_t n, int64_t i) {
  const uint64_t z = mixed((uint64_t)i);
  int64_t k = 0;
  while (k < LONGEST && (z >> k & 1) == 0) k++;
  const int64_t length = INT64_C(4) << k;
  return length < n ? length : n;
}

static int64_t length_giant(int64_t n, int64_t i) { return i == 0 ? n : 1 + i % 2; }

static int64_t column_near(int64_t n, int64_t e, int64_t i, int64_t k) {
  (void)e;
  return (i + k) % n;
}

static int64_t column_anywhere(int64_t n, int64_t e, int64_t i, int64_t k) {
  (void)i, (void)k;
  return (int64_t)(mixed((uint64_t)e) % (uint64_t)n);
}

static const row_shape short_rows = {length_short, column_near};
static const row_shape power_rows = {length_power, column_anywhere};
static const row_shape giant_row = {length_giant, column_near};

static bench_matrix make_matrix(const row_shape *s, int64_t n) {
  bench_matrix m = {.n = n, .ptr = bench_need((size_t)(n + 1) * sizeof *m.ptr)};
  m.ptr[0] = 0;
  for (int64_t i = 0; i < n; i++) m.ptr[i + 1] = m.ptr[i] + s->length(n, i);
  m.nnz = m.ptr[n];
  m.col = bench_need((size_t)m.nnz * sizeof *m.col);
  m.val = bench_need((size_t)m.nnz * sizeof *m.val);
  for (int64_t i = 0; i < n; i++) {
    const int64_t length = m.ptr[i + 1] - m.ptr[i];
    for (int64_t k = 0; k < length; k++) {
      m.col[m.ptr[i] + k] = s->column(n, m.ptr[i] + k, i, k);
      m.val[m.ptr[i] + k] = 1.0 / (double)length;
    }
  }
  return m;
}

/* ---- products -------------------------------------------------------------------------------------------- */

typedef struct product {
  rp_context *ctx;
  rp_csr *a;
  rp_store *x[2]; /* what is written is read in the next pass */
  int64_t passes;
} product;

static void product_run(void *self, int64_t passes) {
  product *p = self;
  for (int64_t i = 0; i < passes; i++, p->passes++) {
    const int64_t way = p->passes % 2;
    RP_CHECK(rp_trace_begin(p->ctx, 1 + way));
    RP_CHECK(rp_csr_multiply_to(p->a, p->x[way], p->x[1 - way]));
    RP_CHECK(rp_trace_end(p->ctx, 1 + way));
  }
}

static void product_reset(void *self) {
  product *p = self;
  gpu_fill(p->x[0], 5);
  p->passes = 0;
}

static void product_result(void *self, double *out) {
  const product *p = self;
  gpu_read(p->x[p->passes % 2], out);
}

static void product_free(void *self) {
  product *p = self;
  for (int k = 0; k < 2; k++) RP_CHECK(rp_store_release(p->x[k]));
  RP_CHECK(rp_csr_release(p->a));
  RP_CHECK(rp_context_destroy(p->ctx));
  free(p);
}

static bench_prog product_make(const char *config, int64_t n, const row_shape *s) {
  product *p = bench_need(sizeof *p);
  *p = (product){.passes = 0};
  RP_CHECK(rp_context_create(config, &p->ctx));
  bench_matrix m = make_matrix(s, n);
  const double bytes = 12.0 * (double)m.nnz + 24.0 * (double)n; /* offset, x and y of a row */
  RP_CHECK(rp_csr_from_arrays(p->ctx, RP_F64, n, n, m.ptr, m.col, m.val, &p->a));
  bench_matrix_free(&m);
  for (int k = 0; k < 2; k++) RP_CHECK(rp_store_create(p->ctx, RP_F64, 1, &n, &p->x[k]));
  product_reset(p);
  return (bench_prog){.self = p,
                      .reset = product_reset,
                      .run = product_run,
                      .result = product_result,
                      .free = product_free,
                      .n_result = n,
                      .bytes = bytes,
                      .ctx = p->ctx};
}

bench_prog gpu_spmv_short(const char *config, int64_t n) {
  return product_make(config, n, &short_rows);
}
bench_prog gpu_spmv_power(const char *config, int64_t n) {
  return product_make(config, n, &power_rows);
}
bench_prog gpu_spmv_giant(const char *config, int64_t n) {
  return product_make(config, n, &giant_row);
}

/* ---- along both axes ------------------------------------------------------------------------------------- */

typedef struct moments {
  rp_context *ctx;
  rp_store *a, *rows, *columns, *dot, *most;
  int64_t n;
} moments;

static void moments_run(void *self, int64_t passes) {
  const moments *of = self;
  rp_store *a = of->a, *r = of->rows, *c = of->columns, *s = of->dot, *m = of->most;
  for (int64_t i = 0; i < passes; i++) {
    RP_CHECK(rp_trace_begin(of->ctx, 1));
    RP_CHECK(RP_DO(of->ctx, "r[i] = sum(j) a[i, j]", r, a));
    RP_CHECK(RP_DO(of->ctx, "c[j] = sum(i) a[i, j]", c, a));
    RP_CHECK(RP_DO(of->ctx, "s = sum(i) r[i]*c[i]", s, r, c));
    RP_CHECK(RP_DO(of->ctx, "m = max(i) r[i]", m, r));
    RP_CHECK(RP_DO(of->ctx, "a[i, j] = 0.5*a[i, j] + 0.25*(r[i] + c[j])/(1 + m) + 0.125/(1 + s)", a,
                   r, c, m, s));
    RP_CHECK(rp_trace_end(of->ctx, 1));
  }
}

static void moments_reset(void *self) {
  const moments *m = self;
  gpu_fill(m->a, 7);
}

static void moments_result(void *self, double *out) {
  const moments *m = self;
  gpu_read(m->a, out);
  RP_CHECK(rp_store_read(m->dot, out + m->n * m->n, sizeof *out));
  RP_CHECK(rp_store_read(m->most, out + m->n * m->n + 1, sizeof *out));
}

static void moments_free(void *self) {
  moments *m = self;
  rp_store *const all[] = {m->a, m->rows, m->columns, m->dot, m->most};
  for (int i = 0; i < 5; i++) RP_CHECK(rp_store_release(all[i]));
  RP_CHECK(rp_context_destroy(m->ctx));
  free(m);
}

bench_prog gpu_moments(const char *config, int64_t n) {
  const int64_t shape[] = {n, n};
  moments *m = bench_need(sizeof *m);
  *m = (moments){.n = n};
  RP_CHECK(rp_context_create(config, &m->ctx));
  RP_CHECK(rp_store_create(m->ctx, RP_F64, 2, shape, &m->a));
  RP_CHECK(rp_store_create(m->ctx, RP_F64, 1, &n, &m->rows));
  RP_CHECK(rp_store_create(m->ctx, RP_F64, 1, &n, &m->columns));
  RP_CHECK(rp_store_create(m->ctx, RP_F64, 0, NULL, &m->dot));
  RP_CHECK(rp_store_create(m->ctx, RP_F64, 0, NULL, &m->most));
  moments_reset(m);
  return (bench_prog){.self = m,
                      .reset = moments_reset,
                      .run = moments_run,
                      .result = moments_result,
                      .free = moments_free,
                      .n_result = n * n + 2,
                      .ctx = m->ctx};
}
