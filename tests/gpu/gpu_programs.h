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

#endif
