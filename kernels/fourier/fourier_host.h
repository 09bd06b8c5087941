/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_host.h -- discrete Fourier transforms of lines on a core.
 * Lives here: transforms of one line and of many that lie anyhow. Not here: plans (fourier_plan.h), threads, processes (the
 *             runtime's), transforms over several axes (fourier_calls.h).
 * Invariants: the bits of a line depend on its values and its plan alone. No allocation. */
#ifndef RPI_FOURIER_HOST_H
#define RPI_FOURIER_HOST_H

#include "kernels/fourier/fourier_plan.h"

/* Where lines are; distances count numbers of the dtype. */
typedef struct rpi_fourier_place {
  int64_t element; /* from an element to the next one of its line */
  int64_t line;    /* from a line to the next one */
  int64_t part;    /* from a real part to its imaginary part */
} rpi_fourier_place;

/* y = scale * the sum over j of x[j]*exp(-+2 pi i j k/n) for lines of interleaved complex numbers; - unless `inverse`. `work`
 * has plan->work bytes. y is x, or shares nothing with it. */
void rpi_fourier_line_f64(const rpi_fourier_plan *p, const double *x, double *y, bool inverse,
                          double scale, void *work);
void rpi_fourier_line_f32(const rpi_fourier_plan *p, const float *x, float *y, bool inverse,
                          float scale, void *work);

/* The same for `count` lines; `work` has 2*n numbers more. */
void rpi_fourier_lines_f64(const rpi_fourier_plan *p, const double *x, rpi_fourier_place from,
                           double *y, rpi_fourier_place to, int64_t count, bool inverse,
                           double scale, void *work);
void rpi_fourier_lines_f32(const rpi_fourier_plan *p, const float *x, rpi_fourier_place from,
                           float *y, rpi_fourier_place to, int64_t count, bool inverse, float scale,
                           void *work);

/* `count` consecutive real lines of n elements each, and the n/2+1 complex numbers that the transform of each begins with, both
 * ways; the plan is for real lines of n elements, or, if n is odd, for complex ones. `work` has 2*n*(rpi_fourier_lanes()+1)
 * numbers more. The inverse takes no notice of the imaginary parts that a real line's transform has not. Nothing is shared. */
void rpi_fourier_from_real_f64(const rpi_fourier_plan *p, const double *x, double *y, int64_t count,
                               void *work);
void rpi_fourier_from_real_f32(const rpi_fourier_plan *p, const float *x, float *y, int64_t count,
                               void *work);
void rpi_fourier_to_real_f64(const rpi_fourier_plan *p, const double *x, double *y, int64_t count,
                             double scale, void *work);
void rpi_fourier_to_real_f32(const rpi_fourier_plan *p, const float *x, float *y, int64_t count,
                             float scale, void *work);

#endif
