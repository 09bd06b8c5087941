/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench_data.c -- memory, random numbers and matrices of the measurements. */
#define _GNU_SOURCE
#include "tests/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static const size_t huge = (size_t)2 << 20;

void *bench_need(size_t bytes) {
  void *p = malloc(bytes + 1);
  if (p) return p;
  fprintf(stderr, "reprise-bench: no memory for %zu bytes\n", bytes);
  exit(EXIT_FAILURE);
}

static size_t whole_pages(size_t bytes) { return (bytes + huge) / huge * huge; }

/* Keeps the part of a larger mapping that begins on a 2 MiB boundary. */
void *bench_alloc(size_t bytes) {
  const size_t want = whole_pages(bytes);
  char *p = mmap(NULL, want + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    fprintf(stderr, "reprise-bench: no memory for %zu bytes\n", bytes);
    exit(EXIT_FAILURE);
  }
  const size_t before = (huge - (uintptr_t)p % huge) % huge;
  if (before > 0) munmap(p, before);
  if (huge > before) munmap(p + before + want, huge - before);
  madvise(p + before, want, MADV_HUGEPAGE);
  return p + before;
}

void bench_free(void *p, size_t bytes) {
  if (p) munmap(p, whole_pages(bytes));
}

double bench_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

void bench_uniform(double *out, int64_t n, double lo, double hi, uint64_t seed) {
  for (int64_t i = 0; i < n; i++) out[i] = lo + (hi - lo) * bench_random(&seed);
}

/* ---- matrices ------------------------------------------------------------------------------------- */

static bench_matrix matrix_room(int64_t n, int64_t per_row) {
  const size_t most = (size_t)(n * per_row);
  return (bench_matrix){.n = n,
                        .ptr = bench_need((size_t)(n + 1) * sizeof(int64_t)),
                        .col = bench_need(most * sizeof(int64_t)),
                        .val = bench_need(most * sizeof(double))};
}

static void put(bench_matrix *a, int64_t col, double val) {
  a->col[a->nnz] = col;
  a->val[a->nnz++] = val;
}

bench_matrix bench_matrix_poisson(int64_t side) {
  bench_matrix a = matrix_room(side * side, 5);
  for (int64_t i = 0; i < side; i++) {
    for (int64_t j = 0; j < side; j++) {
      const int64_t g = i * side + j;
      a.ptr[g] = a.nnz;
      if (i > 0) put(&a, g - side, -1);
      if (j > 0) put(&a, g - 1, -1);
      put(&a, g, 4);
      if (j + 1 < side) put(&a, g + 1, -1);
      if (i + 1 < side) put(&a, g + side, -1);
    }
  }
  a.ptr[a.n] = a.nnz;
  return a;
}

bench_matrix bench_matrix_random(int64_t n) {
  const int per_row = 10;
  bench_matrix a = matrix_room(n, per_row);
  uint64_t seed = 7;
  for (int64_t i = 0; i < n; i++) {
    a.ptr[i] = a.nnz;
    for (int k = 0; k < per_row; k++) {
      const int64_t col = (int64_t)(bench_random(&seed) * (double)n);
      put(&a, col, bench_random(&seed));
    }
  }
  a.ptr[n] = a.nnz;
  return a;
}

void bench_matrix_free(bench_matrix *a) {
  free(a->ptr);
  free(a->col);
  free(a->val);
}
