/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_plan.c -- see fourier_plan.h. */
#include "kernels/fourier/fourier_plan.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/fourier/fourier_host.h"

enum { LONG = 1 << 15 /* lines from here on leave a core's caches */ };

/* ---- roots of unity ---- */

/* exp(-2 pi i k/n) for 0 <= k < n. By symmetry the angle is at most pi/4, so that both have the relative error of cos and
 * sin themselves, and roots that are equal by symmetry are equal. */
static void root(int64_t k, int64_t n, double *re, double *im) {
  const int64_t octant = 8 * k / n, rest = 8 * k - octant * n;
  const int64_t part = octant % 2 ? n - rest : rest;
  const double angle = (double)(0.785398163397448309615660845819875721L * part / n);
  const double c = cos(angle), s = sin(angle);
  const bool turned = (octant + 1) / 2 % 2; /* octants 1, 2, 5, 6 */
  *re = turned ? s : c;
  *im = turned ? c : s;
  if (octant >= 2 && octant < 6) *re = -*re;
  if (octant < 4) *im = -*im;
}

static void put(const rpi_fourier_plan *p, void *table, int64_t i, double v) {
  if (p->wide)
    ((double *)table)[i] = v;
  else
    ((float *)table)[i] = (float)v;
}

static void *numbers(const rpi_fourier_plan *p, int64_t n) {
  return calloc((size_t)(n > 0 ? n : 1), p->wide ? sizeof(double) : sizeof(float));
}

/* Roots of order n number 0, step, ..., interleaved. */
static void *roots(const rpi_fourier_plan *p, int64_t n, int64_t step, int64_t count) {
  void *t = numbers(p, 2 * count);
  for (int64_t k = 0; t && k < count; k++) {
    double re, im;
    root(k * step % n, n, &re, &im);
    put(p, t, 2 * k, re);
    put(p, t, 2 * k + 1, im);
  }
  return t;
}

/* ---- passes ---- */

/* The prime factors of n in ascending order. */
static int32_t primes(int64_t n, int64_t *out) {
  int32_t count = 0;
  for (int64_t f = 2; f * f <= n; f++)
    for (; n % f == 0; n /= f) out[count++] = f;
  if (n > 1) out[count++] = n;
  return count;
}

/* The radices: eights, fours, perhaps a two, then odd ones. */
static int32_t radices(int64_t n, int64_t *out) {
  int64_t odd[RPI_FOURIER_PASSES];
  int32_t twos = 0, count = 0;
  for (; n % 2 == 0; n /= 2) twos++;
  int32_t fours = (3 - twos % 3) % 3;
  if (twos < 2 * fours) fours = twos / 2;
  for (int32_t left = twos - 2 * fours; left >= 3; left -= 3) out[count++] = 8;
  for (int32_t i = 0; i < fours; i++) out[count++] = 4;
  if (twos == 1) out[count++] = 2;
  const int32_t n_odd = primes(n, odd);
  for (int32_t i = 0; i < n_odd; i++) out[count++] = odd[i];
  return count;
}

static bool make_pass(const rpi_fourier_plan *p, rpi_fourier_pass *pass, int64_t radix, int64_t m) {
  const int64_t n = radix * m;
  pass->radix = radix;
  pass->m = m;
  double re, im;
  if (m > 1) {
    pass->re = numbers(p, (radix - 1) * m);
    pass->im = numbers(p, (radix - 1) * m);
    if (!pass->re || !pass->im) return false;
    for (int64_t j = 1; j < radix; j++)
      for (int64_t k = 0; k < m; k++) {
        root(j * k, n, &re, &im);
        put(p, pass->re, (j - 1) * m + k, re);
        put(p, pass->im, (j - 1) * m + k, im);
      }
  }
  if (radix % 2 == 0 || radix <= 5) return true;
  pass->cos = numbers(p, radix);
  pass->sin = numbers(p, radix);
  if (!pass->cos || !pass->sin) return false;
  for (int64_t k = 0; k < radix; k++) {
    root(k, radix, &re, &im);
    put(p, pass->cos, k, re);
    put(p, pass->sin, k, -im);
  }
  return true;
}

static int64_t number_size(bool wide) { return wide ? 8 : 4; }

static bool make_direct(rpi_fourier_plan *p) {
  int64_t radix[RPI_FOURIER_PASSES], left = p->n;
  const int32_t count = radices(p->n, radix);
  p->kind = RPI_FOURIER_DIRECT;
  p->work = 4 * p->n * rpi_fourier_lanes(p->wide) * number_size(p->wide);
  for (int32_t i = 0; i < count; i++) {
    left /= radix[i];
    p->n_passes = i + 1;
    if (!make_pass(p, &p->pass[i], radix[i], left)) return false;
  }
  return true;
}

/* ---- other kinds ---- */

static rpi_fourier_plan *make(bool wide, int64_t n, bool (*how)(rpi_fourier_plan *));

/* The largest divisor up to the square root. */
static int64_t divisor(int64_t n) {
  int64_t d = (int64_t)sqrt((double)n);
  while (d * d > n || n % d != 0) d--;
  return d;
}

static bool make_square(rpi_fourier_plan *p) {
  const int64_t n1 = divisor(p->n), n2 = p->n / n1, lanes = rpi_fourier_lanes(p->wide);
  p->kind = RPI_FOURIER_SQUARE;
  p->part[0] = make(p->wide, n1, make_direct);
  p->part[1] = make(p->wide, n2, make_direct);
  if (!p->part[0] || !p->part[1]) return false;
  p->work = 2 * p->n * number_size(p->wide) + p->part[1]->work; /* n1 <= n2 */
  for (p->step = 1; p->step * p->step < p->n;) p->step *= 2;
  p->table[0] = roots(p, p->n, 1, p->step);
  p->table[1] = roots(p, p->n, p->step, p->n / p->step + 1);
  p->table[2] = numbers(p, 2 * n1 * lanes);
  if (!p->table[0] || !p->table[1] || !p->table[2]) return false;
  for (int64_t k = 0; k < n1; k++)
    for (int64_t l = 0; l < lanes; l++) {
      double re, im;
      root(k * l % p->n, p->n, &re, &im);
      put(p, p->table[2], 2 * k * lanes + l, re);
      put(p, p->table[2], (2 * k + 1) * lanes + l, im);
    }
  return true;
}

/* A length for convolutions of at least n points, of small factors and a multiple of 64. */
static int64_t convolution(int64_t n) {
  static const int64_t odd[] = {1, 3, 5, 9, 15};
  int64_t best = 0;
  for (int i = 0; i < (int)(sizeof odd / sizeof *odd); i++) {
    int64_t m = 64 * odd[i];
    while (m < n) m *= 2;
    if (best == 0 || m < best) best = m;
  }
  return best;
}

static bool make_by_length(rpi_fourier_plan *p) {
  return p->n < LONG ? make_direct(p) : make_square(p);
}

/* exp(-i pi k^2/n), where k^2 counts modulo 2n; and its conjugate, around index 0, transformed, over the points of the
 * convolution, which is what its inverse lacks. */
static bool make_chirp(rpi_fourier_plan *p) {
  const int64_t n = p->n, points = convolution(2 * n - 1);
  p->kind = RPI_FOURIER_CHIRP;
  p->part[0] = make(p->wide, points, make_by_length);
  p->table[0] = numbers(p, 2 * n);
  p->table[1] = numbers(p, 2 * points);
  /* The filter is made in f64, also for f32. */
  rpi_fourier_plan *const exact = p->wide ? p->part[0] : make(true, points, make_by_length);
  double *const b = calloc((size_t)(2 * points), sizeof *b);
  bool made = p->part[0] && p->table[0] && p->table[1] && exact && b;
  if (made) {
    p->work = 2 * points * number_size(p->wide) + p->part[0]->work;
    int64_t square = 0;
    for (int64_t k = 0; k < n; square = (square + 2 * k + 1) % (2 * n), k++) {
      double re, im;
      root(square, 2 * n, &re, &im);
      put(p, p->table[0], 2 * k, re);
      put(p, p->table[0], 2 * k + 1, im);
      const int64_t other = k ? points - k : 0;
      b[2 * k] = b[2 * other] = re / (double)points;
      b[2 * k + 1] = b[2 * other + 1] = -im / (double)points;
    }
    void *work = malloc((size_t)exact->work);
    made = work != NULL;
    if (made) rpi_fourier_line_f64(exact, b, b, false, 1, work);
    free(work);
    for (int64_t k = 0; made && k < 2 * points; k++) put(p, p->table[1], k, b[k]);
  }
  free(b);
  if (exact != p->part[0]) rpi_fourier_plan_free(exact);
  return made;
}

/* Are passes of its prime factors dearer than two transforms of a convolution? A pass of radix r takes r operations where
 * a transform takes a few for each bit of its length. */
static bool is_chirp(int64_t n) {
  int64_t prime[RPI_FOURIER_PASSES], sum = 0;
  const int32_t count = primes(n, prime);
  for (int32_t i = 0; i < count; i++)
    if (prime[i] > 13) sum += prime[i];
  if (count > 0 && prime[count - 1] > RPI_FOURIER_RADIX) return true;
  const int64_t points = convolution(2 * n - 1);
  return (double)sum > 2 * (double)points / (double)n * log2((double)points);
}

static bool make_complex(rpi_fourier_plan *p) {
  return is_chirp(p->n) ? make_chirp(p) : make_by_length(p);
}

static bool make_half(rpi_fourier_plan *p) {
  p->kind = RPI_FOURIER_HALF;
  p->part[0] = make(p->wide, p->n / 2, make_complex);
  p->table[0] = roots(p, p->n, 1, p->n / 4 + 1);
  if (!p->part[0] || !p->table[0]) return false;
  p->work = p->part[0]->work;
  return true;
}

static rpi_fourier_plan *make(bool wide, int64_t n, bool (*how)(rpi_fourier_plan *)) {
  rpi_fourier_plan *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  p->n = n;
  p->wide = wide;
  if (how(p)) return p;
  rpi_fourier_plan_free(p);
  return NULL;
}

rpi_fourier_plan *rpi_fourier_plan_create(bool wide, bool real, int64_t n) {
  return make(wide, n, real ? make_half : make_complex);
}

void rpi_fourier_plan_free(rpi_fourier_plan *p) {
  if (!p) return;
  for (int32_t i = 0; i < p->n_passes; i++) {
    free(p->pass[i].re);
    free(p->pass[i].im);
    free(p->pass[i].cos);
    free(p->pass[i].sin);
  }
  for (int i = 0; i < 3; i++) free(p->table[i]);
  for (int i = 0; i < 2; i++) rpi_fourier_plan_free(p->part[i]);
  free(p);
}
