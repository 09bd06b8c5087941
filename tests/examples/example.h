/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/example.h -- what the examples share: options, random data, and the line of bits.
 * Not here: anything of the library's. Errors end the program (RP_CHECK).
 *
 * Every example prints, as its last line, `bits <16 hex digits>`: a hash of its result arrays in
 * order, NaNs made one. Two runs that print the same line computed the same bits. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <stdbool.h>

#include "reprise.h"
#include "reprise_do.h"
#include "reprise_sparse.h"

typedef struct example_options {
  int64_t size, iters;
  rp_dtype dtype;
  const char *matrix; /* NULL: none */
  const char *folder; /* NULL: none */
} example_options;

/* Fills in what the command line says: --size N, --iters N, --dtype f32|f64, --matrix FILE,
 * --folder DIR, of which `accepted` names the ones this example takes ("size iters"). Anything else prints the usage and
 * ends the program. */
void example_parse(int argc, char **argv, const char *accepted, example_options *o);

double example_seconds(void);
/* The next number of a fixed sequence (Steele, Lea and Flood's SplitMix64, 2014), in [0, 1). */
double example_random(uint64_t *state);
/* A store of `shape` with numbers from [lo, hi), the same for the same seed; f32 or f64. */
rp_store *example_uniform(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                          double lo, double hi, uint64_t seed);
/* A store of `shape`, all `value`; f32 or f64. */
rp_store *example_full(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                       double value);
/* The value of a rank-0 store of f32 or f64; waits. */
double example_value(rp_store *scalar);
/* One number of rp_stat. */
int64_t example_stat(rp_context *ctx, const char *name);

/* The matrix of the file, or of the 5-point Poisson problem on size x size points. */
rp_csr *example_matrix(rp_context *ctx, const example_options *o);

/* Adds a result, f32, f64 or of any other dtype, to the hash; waits for it. */
void example_bits_add(rp_store *result);
/* The hash so far; starts anew. */
uint64_t example_bits_take(void);
/* Prints the line. */
void example_bits_print(void);

#endif
