/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/gpu_programs.h -- the loops that are measured on a GPU, beside those of tests/bench: all of them through
 * the public interface, in the form of tests/bench/bench.h. `config` is the options of the context. */
#ifndef GPU_PROGRAMS_H
#define GPU_PROGRAMS_H

#include "tests/bench/bench.h"

/* Ten array operations on n elements, fused: 3n elements read, n written. */
bench_prog gpu_chain_f64(const char *config, int64_t n);
bench_prog gpu_chain_f32(const char *config, int64_t n);
/* A 5-point stencil from one grid of (n+2)^2 to the other and, in the next pass, back: n^2 elements read and written. */
bench_prog gpu_stencil_f64(const char *config, int64_t n);
bench_prog gpu_stencil_f32(const char *config, int64_t n);
/* As gpu_chain_f64 with a hundred operations. */
bench_prog gpu_hundred(const char *config, int64_t n);
/* As gpu_chain_f64, and each pass is waited for. */
bench_prog gpu_tiny(const char *config, int64_t n);
/* As gpu_chain_f64, but the pass repeats itself, which ends with a count and a look at it. */
bench_prog gpu_tiny_own(const char *config, int64_t n);
/* The same with the text of a kernel at the end of each pass. */
bench_prog gpu_tiny_text(const char *config, int64_t n);

/* ---- gpu_sums.c: x = A x with matrices of n rows of 1/length in CSR; baselines.py has the same ones */

bench_prog gpu_spmv_short(const char *config, int64_t n); /* rows of 1 to 7 elements */
bench_prog gpu_spmv_power(const char *config,
                          int64_t n); /* half of the rows twice as long, and so on */
bench_prog gpu_spmv_giant(const char *config,
                          int64_t n); /* row 0 has n elements, the others one or two */
/* Sums of n x n elements along each axis, their dot product and largest one, and an update by all of these. */
bench_prog gpu_moments(const char *config, int64_t n);

/* ---- gpu_solvers.c */

bench_prog gpu_gemm(const char *config, int64_t n);     /* c = m c, all n x n */
bench_prog gpu_solve(const char *config, int64_t n);    /* b = a^-1 b by LU */
bench_prog gpu_cholesky(const char *config, int64_t n); /* the same by Cholesky */
bench_prog gpu_triangle(const char *config, int64_t n); /* of the 5-point matrix of an n x n grid */
bench_prog gpu_fourier_plane(const char *config, int64_t n); /* f64, real, n x n, there and back */
bench_prog gpu_fourier_lines(const char *config, int64_t n); /* f32, n lines of 4096, likewise */

/* ---- what their files share: fixed numbers of [0, 0.5), and results as doubles; f32 or f64 stores */

void gpu_fill(rp_store *s, uint64_t seed);
void gpu_read(rp_store *s, double *out);

#endif
