/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_lines.h -- whole transforms; included once for each dtype, behind fourier_passes.h.
 *
 * Lives here: how lines come into planes and back, and the kinds of plans (fourier_plan.h).
 * Not here:   names and vectors (REAL, LANES, NAME), passes.
 * How:        an inverse transform is a forward one with real and imaginary parts exchanged on both sides. Lines that cannot
 *             be done alone (of no multiple of 16 or 64, or not consecutive) are done in lanes, some of which may be empty. */

/* A transform to be done. */
typedef struct NAME(job) {
  const rpi_fourier_plan *plan;
  bool inverse;
  REAL scale;
} NAME(job);

/* ---- several lines side by side ---- */

/* Column `lane` of the planes from a line of elements. */
static void NAME(load)(const rpi_fourier_plan *p, const REAL *x, rpi_fourier_place at,
                       int64_t count, int64_t lanes, REAL *re, REAL *im) {
  if (count == lanes && at.line == 2 && at.part == 1) {
    for (int64_t e = 0; e < p->n; e++)
      for (int64_t l = 0; l < lanes; l += LANES) {
        const NAME(pair) v = NAME(get2)(x + at.element * e + 2 * l);
        NAME(set)(re + e * lanes + l, v.r);
        NAME(set)(im + e * lanes + l, v.i);
      }
    return;
  }
  for (int64_t e = 0; e < p->n; e++) {
    const REAL *from = x + at.element * e;
    for (int64_t l = 0; l < count; l++) {
      re[e * lanes + l] = from[at.line * l];
      im[e * lanes + l] = from[at.line * l + at.part];
    }
    for (int64_t l = count; l < lanes; l++) re[e * lanes + l] = im[e * lanes + l] = 0;
  }
}

static void NAME(store)(const rpi_fourier_plan *p, REAL scale, const REAL *re, const REAL *im,
                        REAL *y, rpi_fourier_place at, int64_t count, int64_t lanes) {
  if (count == lanes && at.line == 2 && at.part == 1) {
    for (int64_t e = 0; e < p->n; e++)
      for (int64_t l = 0; l < lanes; l += LANES) {
        const NAME(pair)
            v = {scale * NAME(get)(re + e * lanes + l), scale * NAME(get)(im + e * lanes + l)};
        NAME(set2)(y + at.element * e + 2 * l, v);
      }
    return;
  }
  for (int64_t e = 0; e < p->n; e++) {
    REAL *to = y + at.element * e;
    for (int64_t l = 0; l < count; l++) {
      to[at.line * l] = scale * re[e * lanes + l];
      to[at.line * l + at.part] = scale * im[e * lanes + l];
    }
  }
}

/* All passes of a DIRECT plan on planes at a, b being as large; from pass `first` on, behind which s lines are interleaved.
 * Where the result is. */
static REAL *NAME(passes)(const rpi_fourier_plan *p, int32_t first, int64_t s, int64_t lanes,
                          REAL *a, REAL *b) {
  const int64_t plane = p->n * lanes;
  for (int32_t i = first; i < p->n_passes; i++) {
    NAME(pass)(&p->pass[i], s, a, a + plane, b, b + plane);
    REAL *const other = a;
    a = b;
    b = other;
    s *= p->pass[i].radix;
  }
  return a;
}

/* Lanes that keep both buffers in a core's second cache. */
static int64_t NAME(width)(int64_t n) { return n <= 2048 ? 2 * LANES : LANES; }

static void NAME(columns)(const NAME(job) * job, const REAL *x, rpi_fourier_place from, REAL *y,
                          rpi_fourier_place to, int64_t count, REAL *work) {
  const rpi_fourier_plan *p = job->plan;
  const int64_t most = count > LANES ? NAME(width)(p->n) : LANES;
  const int64_t re = job->inverse, im = !re;
  for (int64_t c = 0; c < count; c += most) {
    const int64_t here = count - c < most ? count - c : most, lanes = here > LANES ? most : LANES;
    const int64_t plane = p->n * lanes;
    NAME(load)(p, x + from.line * c, from, here, lanes, work + re * plane, work + im * plane);
    const REAL *done = NAME(passes)(p, 0, lanes, lanes, work, work + 2 * plane);
    NAME(store)
    (p, job->scale, done + re * plane, done + im * plane, y + to.line * c, to, here, lanes);
  }
}

/* ---- one consecutive line ---- */

/* A DIRECT plan whose first pass fills whole vectors, and leaves them full. */
static bool NAME(is_alone)(const rpi_fourier_plan *p) {
  return p->kind == RPI_FOURIER_DIRECT && p->n_passes > 1 && p->pass[0].radix % 4 == 0 &&
         p->pass[0].radix % LANES == 0 && p->pass[0].m % LANES == 0;
}

static void NAME(alone)(const NAME(job) * job, const REAL *x, REAL *y, REAL *work) {
  const rpi_fourier_plan *p = job->plan;
  const rpi_fourier_pass *end = &p->pass[p->n_passes - 1];
  const int64_t n = p->n;
  REAL *a = work, *b = work + 2 * n;
  NAME(first)(&p->pass[0], job->inverse, x, a, a + n);
  int64_t s = p->pass[0].radix;
  for (const rpi_fourier_pass *t = &p->pass[1]; t < end; s *= t->radix, t++) {
    NAME(pass)(t, s, a, a + n, b, b + n);
    REAL *const other = a;
    a = b;
    b = other;
  }
  if (NAME(ready)(end, s, job->inverse, job->scale, a, a + n, y)) return;
  NAME(pass)(end, s, a, a + n, b, b + n);
  const int64_t re = job->inverse ? n : 0, im = n - re;
  for (int64_t e = 0; e < n; e += LANES) {
    const NAME(pair) v = {job->scale * NAME(get)(b + re + e), job->scale * NAME(get)(b + im + e)};
    NAME(set2)(y + 2 * e, v);
  }
}

/* Elements j = j1*n2 + j2 to k = k1 + n1*k2: columns j2, roots of order n number k1*j2, rows k1. */
static void NAME(square_columns)(const NAME(job) * job, const REAL *x, REAL *t, REAL *work) {
  const rpi_fourier_plan *p = job->plan, *part = p->part[0];
  const REAL *low = p->table[0], *high = p->table[1], *near = p->table[2];
  const int64_t n2 = p->part[1]->n, wide = 2 * LANES;
  const int64_t re = job->inverse, im = !re, plane = part->n * wide;
  const rpi_fourier_place at = {2 * n2, 2, 1};
  for (int64_t c = 0; c < n2; c += wide) {
    const int64_t here = n2 - c < wide ? n2 - c : wide;
    NAME(load)(part, x + 2 * c, at, here, wide, work + re * plane, work + im * plane);
    REAL *done = NAME(passes)(part, 0, wide, wide, work, work + 2 * plane);
    for (int64_t k = 0; k < part->n; k++) {
      const REAL *u = low + 2 * (k * c % p->step), *v = high + 2 * (k * c / p->step);
      const NAME(vec) r = NAME(fill)(u[0] * v[0] - u[1] * v[1]);
      const NAME(vec) i = NAME(fill)(u[0] * v[1] + u[1] * v[0]);
      for (int64_t l = 0; l < wide; l += LANES) {
        const REAL *w = near + 2 * k * wide + l;
        REAL *z = done + k * wide + l;
        const NAME(pair) f = NAME(mul)((NAME(pair)){NAME(get)(w), NAME(get)(w + wide)}, r, i);
        const NAME(pair) e = {NAME(get)(z), NAME(get)(z + plane)}, g = NAME(mul)(e, f.r, f.i);
        NAME(set)(z, g.r);
        NAME(set)(z + plane, g.i);
      }
    }
    NAME(store)(part, 1, done, done + plane, t + 2 * c, at, here, wide);
  }
}

static void NAME(square)(const NAME(job) * job, const REAL *x, REAL *y, REAL *work) {
  const rpi_fourier_plan *p = job->plan;
  const int64_t n1 = p->part[0]->n, n2 = p->part[1]->n, wide = 2 * LANES, plane = n2 * wide;
  const int64_t re = job->inverse, im = !re;
  const rpi_fourier_place row = {2, 2 * n2, 1}, column = {2 * n1, 2, 1};
  REAL *t = work;
  work += 2 * p->n;
  NAME(square_columns)(job, x, t, work);
  for (int64_t k = 0; k < n1; k += wide) {
    const int64_t here = n1 - k < wide ? n1 - k : wide;
    NAME(load)(p->part[1], t + 2 * n2 * k, row, here, wide, work, work + plane);
    const REAL *done = NAME(passes)(p->part[1], 0, wide, wide, work, work + 2 * plane);
    NAME(store)
    (p->part[1], job->scale, done + re * plane, done + im * plane, y + 2 * k, column, here, wide);
  }
}

static void NAME(line)(const NAME(job) * job, const REAL *x, REAL *y, REAL *work);

/* y = chirp * (filter convolved with (x * chirp)), by two forward transforms: the second one's input is conjugated, which
 * is undone behind it. */
static void NAME(chirp)(const NAME(job) * job, const REAL *x, REAL *y, REAL *work) {
  const rpi_fourier_plan *p = job->plan;
  const NAME(job) inner = {p->part[0], false, 1};
  const REAL *w = p->table[0], *f = p->table[1];
  const int64_t n = p->n, points = p->part[0]->n, re = job->inverse, im = !re;
  REAL *a = work;
  work += 2 * points;
  for (int64_t k = 0; k < n; k++) {
    const REAL r = x[2 * k + re], i = x[2 * k + im];
    a[2 * k] = r * w[2 * k] - i * w[2 * k + 1];
    a[2 * k + 1] = r * w[2 * k + 1] + i * w[2 * k];
  }
  memset(a + 2 * n, 0, (size_t)(2 * (points - n)) * sizeof *a);
  NAME(line)(&inner, a, a, work);
  for (int64_t k = 0; k < points; k++) {
    const REAL r = a[2 * k], i = a[2 * k + 1];
    a[2 * k] = r * f[2 * k] - i * f[2 * k + 1];
    a[2 * k + 1] = -(r * f[2 * k + 1] + i * f[2 * k]);
  }
  NAME(line)(&inner, a, a, work);
  for (int64_t k = 0; k < n; k++) {
    const REAL r = a[2 * k], i = -a[2 * k + 1];
    y[2 * k + re] = job->scale * (r * w[2 * k] - i * w[2 * k + 1]);
    y[2 * k + im] = job->scale * (r * w[2 * k + 1] + i * w[2 * k]);
  }
}

static void NAME(line)(const NAME(job) * job, const REAL *x, REAL *y, REAL *work) {
  const rpi_fourier_place at = {2, 0, 1};
  if (job->plan->kind == RPI_FOURIER_SQUARE)
    NAME(square)(job, x, y, work);
  else if (job->plan->kind == RPI_FOURIER_CHIRP)
    NAME(chirp)(job, x, y, work);
  else if (NAME(is_alone)(job->plan))
    NAME(alone)(job, x, y, work);
  else
    NAME(columns)(job, x, at, y, at, 1, work);
}

void NAME(rpi_fourier_line)(const rpi_fourier_plan *p, const REAL *x, REAL *y, bool inverse,
                            REAL scale, void *work) {
  const NAME(job) job = {p, inverse, scale};
  NAME(line)(&job, x, y, work);
}

/* ---- many lines ---- */

void NAME(rpi_fourier_lines)(const rpi_fourier_plan *p, const REAL *x, rpi_fourier_place from,
                             REAL *y, rpi_fourier_place to, int64_t count, bool inverse, REAL scale,
                             void *work) {
  const NAME(job) job = {p, inverse, scale};
  const bool flat = from.element == 2 && from.part == 1 && to.element == 2 && to.part == 1;
  REAL *line = work, *rest = line + 2 * p->n;
  if (p->kind == RPI_FOURIER_DIRECT && !(flat && NAME(is_alone)(p))) {
    NAME(columns)(&job, x, from, y, to, count, rest);
    return;
  }
  for (int64_t c = 0; c < count; c++, x += from.line, y += to.line) {
    if (flat) {
      NAME(line)(&job, x, y, rest);
      continue;
    }
    for (int64_t e = 0; e < p->n; e++) {
      line[2 * e] = x[from.element * e];
      line[2 * e + 1] = x[from.element * e + from.part];
    }
    NAME(line)(&job, line, line, rest);
    for (int64_t e = 0; e < p->n; e++) {
      y[to.element * e] = line[2 * e];
      y[to.element * e + to.part] = line[2 * e + 1];
    }
  }
}

/* ---- real lines: as many at a time as there are lanes ---- */

/* With z = x[2j] + i x[2j+1] and its transform Z, those of the even and of the odd elements are
 * (Z[k] + conj Z[h-k])/2 and (Z[k] - conj Z[h-k])/2i. */
static void NAME(part_halves)(const rpi_fourier_plan *p, REAL *y) {
  const REAL *w = p->table[0], half = (REAL)0.5, first = y[0], second = y[1];
  const int64_t h = p->n / 2;
  y[0] = first + second;
  y[1] = 0;
  y[2 * h] = first - second;
  y[2 * h + 1] = 0;
  for (int64_t k = 1; k <= h / 2; k++) {
    REAL *a = y + 2 * k, *b = y + 2 * (h - k);
    const REAL er = half * (a[0] + b[0]), ei = half * (a[1] - b[1]);
    const REAL dr = half * (a[1] + b[1]), di = half * (b[0] - a[0]);
    const REAL tr = dr * w[2 * k] - di * w[2 * k + 1], ti = dr * w[2 * k + 1] + di * w[2 * k];
    a[0] = er + tr;
    a[1] = ei + ti;
    b[0] = er - tr;
    b[1] = ti - ei;
  }
}

/* What part_halves is undone by, but for a factor of 2. */
static void NAME(join_halves)(const rpi_fourier_plan *p, const REAL *x, REAL *z) {
  const REAL *w = p->table[0];
  const int64_t h = p->n / 2;
  z[0] = x[0] + x[2 * h];
  z[1] = x[0] - x[2 * h];
  for (int64_t k = 1; k <= h / 2; k++) {
    const REAL *a = x + 2 * k, *b = x + 2 * (h - k);
    const REAL er = a[0] + b[0], ei = a[1] - b[1], tr = a[0] - b[0], ti = a[1] + b[1];
    const REAL dr = tr * w[2 * k] + ti * w[2 * k + 1], di = ti * w[2 * k] - tr * w[2 * k + 1];
    z[2 * k] = er - di;
    z[2 * k + 1] = ei + dr;
    z[2 * (h - k)] = er + di;
    z[2 * (h - k) + 1] = dr - ei;
  }
}

void NAME(rpi_fourier_from_real)(const rpi_fourier_plan *p, const REAL *x, REAL *y, int64_t count,
                                 void *work) {
  const int64_t n = p->n, h = n / 2, most = rpi_fourier_lanes(p->wide), out = 2 * (h + 1);
  const rpi_fourier_place real = {2, n, 1}, row = {2, 2 * n, 1}, half = {2, out, 1};
  REAL *line = work, *rest = line + 2 * n * most;
  for (int64_t c = 0; c < count; c += most, x += n * most, y += out * most) {
    const int64_t here = count - c < most ? count - c : most;
    if (p->kind == RPI_FOURIER_HALF) {
      NAME(rpi_fourier_lines)(p->part[0], x, real, y, half, here, false, 1, rest);
      for (int64_t l = 0; l < here; l++) NAME(part_halves)(p, y + out * l);
      continue;
    }
    for (int64_t k = 0; k < n * here; k++) {
      line[2 * k] = x[k];
      line[2 * k + 1] = 0;
    }
    NAME(rpi_fourier_lines)(p, line, row, line, row, here, false, 1, rest);
    for (int64_t l = 0; l < here; l++) {
      memcpy(y + out * l, line + 2 * n * l, (size_t)out * sizeof *y);
      y[out * l + 1] = 0; /* as a chirp does not give it */
    }
  }
}

void NAME(rpi_fourier_to_real)(const rpi_fourier_plan *p, const REAL *x, REAL *y, int64_t count,
                               REAL scale, void *work) {
  const int64_t n = p->n, h = n / 2, most = rpi_fourier_lanes(p->wide), in = 2 * (h + 1);
  const rpi_fourier_place real = {2, n, 1}, row = {2, 2 * n, 1};
  REAL *z = work, *rest = z + 2 * n * most;
  for (int64_t c = 0; c < count; c += most, x += in * most, y += n * most) {
    const int64_t here = count - c < most ? count - c : most;
    if (p->kind == RPI_FOURIER_HALF) {
      for (int64_t l = 0; l < here; l++) NAME(join_halves)(p, x + in * l, z + n * l);
      NAME(rpi_fourier_lines)(p->part[0], z, real, y, real, here, true, scale, rest);
      continue;
    }
    for (int64_t l = 0; l < here; l++) {
      const REAL *from = x + in * l;
      REAL *to = z + 2 * n * l;
      to[0] = from[0];
      to[1] = 0;
      for (int64_t k = 1; k <= h; k++) {
        to[2 * k] = to[2 * (n - k)] = from[2 * k];
        to[2 * k + 1] = from[2 * k + 1];
        to[2 * (n - k) + 1] = -from[2 * k + 1];
      }
    }
    NAME(rpi_fourier_lines)(p, z, row, z, row, here, true, scale, rest);
    for (int64_t k = 0; k < n * here; k++) y[k] = z[2 * k];
  }
}
