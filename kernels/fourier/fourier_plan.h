/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_plan.h -- how transforms of one length are done, with the tables for it.
 *
 * Lives here: the choice of an algorithm, factors, roots of unity, chirps.
 * Not here:   doing it (fourier_host.h), who keeps plans (fourier_cache.h).
 * How:        what is added to what depends on the length and the dtype alone; so a line has the same bits whatever lines
 *             are done beside it.
 *               DIRECT  small factors: passes of Stockham's autosort algorithm, radices 8, 4, 2, 3, 5 and any up to 64;
 *               SQUARE  the same for long lines, as n1 columns and n2 rows that stay in a cache (Gentleman and Sande
 *                       1966; Bailey's four steps);
 *               CHIRP   large prime factors: a convolution (Bluestein 1970) of a length that has none;
 *               HALF    real lines of even length as complex ones of half of it. Odd ones are done as complex ones. */
#ifndef RPI_FOURIER_PLAN_H
#define RPI_FOURIER_PLAN_H

#include <stdbool.h>

#include "core/include/reprise.h"

enum { RPI_FOURIER_PASSES = 64, RPI_FOURIER_RADIX = 64 /* at most */ };

/* Complex numbers side by side of 128 bytes, which columns are taken in. */
static inline int64_t rpi_fourier_lanes(bool wide) { return wide ? 8 : 16; }

typedef struct rpi_fourier_pass {
  int64_t radix, m; /* m: what is left of the length behind this pass */
  void *re, *im;    /* roots of order radix*m: number p*j at (j-1)*m + p; none for m = 1 */
  void *cos, *sin;  /* an odd radix beyond 5: cos and sin of 2 pi k/radix */
} rpi_fourier_pass;

typedef enum rpi_fourier_kind {
  RPI_FOURIER_DIRECT,
  RPI_FOURIER_SQUARE,
  RPI_FOURIER_CHIRP,
  RPI_FOURIER_HALF
} rpi_fourier_kind;

/* All tables are of the dtype: f64 if `wide`, else f32. */
typedef struct rpi_fourier_plan {
  rpi_fourier_kind kind;
  int64_t n;
  bool wide;
  int64_t work; /* bytes of scratch memory that a line, or lanes of them, take */
  /* DIRECT */
  int32_t n_passes;
  rpi_fourier_pass pass[RPI_FOURIER_PASSES];
  /* SQUARE: of n1 and n2; CHIRP: of the convolution; HALF: of n/2 */
  struct rpi_fourier_plan *part[2];
  /* Interleaved complex numbers. SQUARE: roots of order n number 0 .. step-1; number 0, step, 2*step, ...; for k of n1
   * those number k*0 .. k*(lanes-1), re and im apart. CHIRP: exp(-i pi k^2/n); the filter. HALF: roots number 0..n/4. */
  void *table[3];
  int64_t step;
} rpi_fourier_plan;

/* A plan for lines of n elements, n >= 1; `real`: for real ones of an even length. NULL: out of memory. */
rpi_fourier_plan *rpi_fourier_plan_create(bool wide, bool real, int64_t n);
void rpi_fourier_plan_free(rpi_fourier_plan *p);

#endif
