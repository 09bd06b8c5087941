/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_passes.h -- one pass of Stockham's algorithm; included once for each dtype.
 *
 * Lives here: short transforms (butterflies) of vectors, passes over planes of real and imaginary parts.
 * Not here:   names and vectors (REAL, LANES, NAME, LOW, HIGH, EVEN, ODD), whole transforms (fourier_lines.h).
 * How:        behind passes whose radices have the product s a line is s interleaved lines of r*m elements; a pass makes of
 *             it r*s of m elements: y[q + s*(r*p + j)] is root^(p*j) times the sum over k of x[q + s*(p + m*k)]*w^(j*k).
 *             q runs through vectors, of one line or of several side by side. Only the first pass of a single line, where
 *             s is 1, runs through p.
 * Invariant:  all forms of a pass do the same operations on each element. */

typedef REAL NAME(vec) __attribute__((vector_size(32)));
typedef REAL NAME(loose)
    __attribute__((vector_size(32), aligned(sizeof(REAL)), may_alias)); /* anywhere in memory */

typedef struct NAME(pair) {
  NAME(vec) r, i;
} NAME(pair);

INLINE NAME(vec) NAME(get)(const REAL *x) { return *(const NAME(loose) *)x; }
INLINE void NAME(set)(REAL *y, NAME(vec) v) { *(NAME(loose) *)y = v; }

/* LANES complex numbers that are interleaved in memory. */
INLINE NAME(pair) NAME(get2)(const REAL *x) {
  const NAME(vec) a = NAME(get)(x), b = NAME(get)(x + LANES);
  return (NAME(pair)){EVEN(a, b), ODD(a, b)};
}
INLINE void NAME(set2)(REAL *y, NAME(pair) v) {
  NAME(set)(y, LOW(v.r, v.i));
  NAME(set)(y + LANES, HIGH(v.r, v.i));
}

INLINE NAME(pair) NAME(add)(NAME(pair) a, NAME(pair) b) {
  return (NAME(pair)){a.r + b.r, a.i + b.i};
}
INLINE NAME(pair) NAME(sub)(NAME(pair) a, NAME(pair) b) {
  return (NAME(pair)){a.r - b.r, a.i - b.i};
}
/* -i a */
INLINE NAME(pair) NAME(turn)(NAME(pair) a) { return (NAME(pair)){a.i, -a.r}; }
INLINE NAME(pair) NAME(swap)(NAME(pair) a) { return (NAME(pair)){a.i, a.r}; }
INLINE NAME(pair) NAME(mul)(NAME(pair) a, NAME(vec) r, NAME(vec) i) {
  return (NAME(pair)){a.r * r - a.i * i, a.r * i + a.i * r};
}
INLINE NAME(vec) NAME(fill)(REAL v) { return v - (NAME(vec)){0}; }

/* ---- butterflies: a becomes its transform ---- */

INLINE void NAME(bend2)(NAME(pair) * a) {
  const NAME(pair) t = NAME(sub)(a[0], a[1]);
  a[0] = NAME(add)(a[0], a[1]);
  a[1] = t;
}

INLINE void NAME(bend3)(NAME(pair) * a) {
  const REAL s = (REAL)0.86602540378443864676;
  const NAME(pair) t = NAME(add)(a[1], a[2]), d = NAME(sub)(a[1], a[2]);
  const NAME(pair) u = {a[0].r - (REAL)0.5 * t.r, a[0].i - (REAL)0.5 * t.i};
  const NAME(pair) v = {s * d.i, -s * d.r};
  a[0] = NAME(add)(a[0], t);
  a[1] = NAME(add)(u, v);
  a[2] = NAME(sub)(u, v);
}

INLINE void NAME(bend4)(NAME(pair) * a) {
  const NAME(pair) t0 = NAME(add)(a[0], a[2]), t1 = NAME(sub)(a[0], a[2]);
  const NAME(pair) t2 = NAME(add)(a[1], a[3]), t3 = NAME(turn)(NAME(sub)(a[1], a[3]));
  a[0] = NAME(add)(t0, t2);
  a[1] = NAME(add)(t1, t3);
  a[2] = NAME(sub)(t0, t2);
  a[3] = NAME(sub)(t1, t3);
}

INLINE void NAME(bend5)(NAME(pair) * a) {
  const REAL c1 = (REAL)0.30901699437494742410, c2 = (REAL)-0.80901699437494742410;
  const REAL s1 = (REAL)0.95105651629515357212, s2 = (REAL)0.58778525229247312917;
  const NAME(pair) t1 = NAME(add)(a[1], a[4]), d1 = NAME(sub)(a[1], a[4]);
  const NAME(pair) t2 = NAME(add)(a[2], a[3]), d2 = NAME(sub)(a[2], a[3]);
  const NAME(pair) m1 = {a[0].r + c1 * t1.r + c2 * t2.r, a[0].i + c1 * t1.i + c2 * t2.i};
  const NAME(pair) m2 = {a[0].r + c2 * t1.r + c1 * t2.r, a[0].i + c2 * t1.i + c1 * t2.i};
  const NAME(pair) n1 = {s1 * d1.i + s2 * d2.i, -(s1 * d1.r + s2 * d2.r)};
  const NAME(pair) n2 = {s2 * d1.i - s1 * d2.i, -(s2 * d1.r - s1 * d2.r)};
  a[0] = NAME(add)(a[0], NAME(add)(t1, t2));
  a[1] = NAME(add)(m1, n1);
  a[2] = NAME(add)(m2, n2);
  a[3] = NAME(sub)(m2, n2);
  a[4] = NAME(sub)(m1, n1);
}

INLINE void NAME(bend8)(NAME(pair) * a) {
  const REAL h = (REAL)HALF_ROOT;
  NAME(pair) e[4] = {a[0], a[2], a[4], a[6]}, o[4] = {a[1], a[3], a[5], a[7]};
  NAME(bend4)(e);
  NAME(bend4)(o);
  const NAME(pair) o1 = {h * (o[1].r + o[1].i), h * (o[1].i - o[1].r)}, o2 = NAME(turn)(o[2]);
  const NAME(pair) o3 = {h * (o[3].i - o[3].r), -h * (o[3].r + o[3].i)};
  a[0] = NAME(add)(e[0], o[0]);
  a[1] = NAME(add)(e[1], o1);
  a[2] = NAME(add)(e[2], o2);
  a[3] = NAME(add)(e[3], o3);
  a[4] = NAME(sub)(e[0], o[0]);
  a[5] = NAME(sub)(e[1], o1);
  a[6] = NAME(sub)(e[2], o2);
  a[7] = NAME(sub)(e[3], o3);
}

/* Any odd radix: pairs of elements at both ends share their cosines and sines. */
static void NAME(bend_odd)(const rpi_fourier_pass *t, NAME(pair) * a) {
  const int64_t radix = t->radix, half = radix / 2;
  const REAL *c = t->cos, *s = t->sin;
  NAME(pair) sum[RPI_FOURIER_RADIX / 2], dif[RPI_FOURIER_RADIX / 2], all = a[0];
  for (int64_t j = 0; j < half; j++) {
    sum[j] = NAME(add)(a[j + 1], a[radix - 1 - j]);
    dif[j] = NAME(sub)(a[j + 1], a[radix - 1 - j]);
    all = NAME(add)(all, sum[j]);
  }
  for (int64_t k = 1; k <= half; k++) {
    NAME(pair) m = a[0], n = {{0}, {0}};
    int64_t at = 0;
    for (int64_t j = 0; j < half; j++) {
      at += k;
      if (at >= radix) at -= radix;
      m.r += c[at] * sum[j].r;
      m.i += c[at] * sum[j].i;
      n.r += s[at] * dif[j].i;
      n.i -= s[at] * dif[j].r;
    }
    a[k] = NAME(add)(m, n);
    a[radix - k] = NAME(sub)(m, n);
  }
  a[0] = all;
}

/* With a radix that the compiler knows. */
INLINE void NAME(bend)(int radix, NAME(pair) * a) {
  if (radix == 2) NAME(bend2)(a);
  if (radix == 3) NAME(bend3)(a);
  if (radix == 4) NAME(bend4)(a);
  if (radix == 5) NAME(bend5)(a);
  if (radix == 8) NAME(bend8)(a);
}

/* DO(k) for k < radix, written out so that arrays become registers. */
#define EACH(radix, DO) \
  do { \
    DO(0) DO(1) if (radix > 2) { DO(2) } \
    if (radix > 3) { \
      DO(3) \
    } \
    if (radix > 4) { \
      DO(4) \
    } \
    if (radix > 5) { \
      DO(5) DO(6) DO(7) \
    } \
  } while (0)

/* ---- passes: from planes (ar, ai) to planes (br, bi); `s` counts lines that lie side by side, too ---- */

INLINE void NAME(pass_of)(int radix, const rpi_fourier_pass *t, int64_t s, const REAL *ar,
                          const REAL *ai, REAL *restrict br, REAL *restrict bi) {
  const int64_t m = t->m, far = s * m;
  for (int64_t p = 0; p < m; p++) {
    const REAL *const wr = (const REAL *)t->re + p, *const wi = (const REAL *)t->im + p;
    for (int64_t q = 0; q < s; q += LANES) {
      NAME(pair) a[8];
      const REAL *xr = ar + s * p + q, *xi = ai + s * p + q;
      REAL *yr = br + s * p * radix + q, *yi = bi + s * p * radix + q;
#define DO(k) a[k] = (NAME(pair)){NAME(get)(xr + far * k), NAME(get)(xi + far * k)};
      EACH(radix, DO);
#undef DO
      NAME(bend)(radix, a);
#define DO(j) \
  if (j > 0) a[j] = NAME(mul)(a[j], NAME(fill)(wr[(j - 1) * m]), NAME(fill)(wi[(j - 1) * m])); \
  NAME(set)(yr + s * j, a[j].r); \
  NAME(set)(yi + s * j, a[j].i);
      EACH(radix, DO);
#undef DO
    }
  }
}

/* The last one: m is 1, no roots. */
INLINE void NAME(last_of)(int radix, int64_t s, const REAL *ar, const REAL *ai, REAL *restrict br,
                          REAL *restrict bi) {
  for (int64_t q = 0; q < s; q += LANES) {
    NAME(pair) a[8];
#define DO(k) a[k] = (NAME(pair)){NAME(get)(ar + s * k + q), NAME(get)(ai + s * k + q)};
    EACH(radix, DO);
#undef DO
    NAME(bend)(radix, a);
#define DO(j) \
  NAME(set)(br + s * j + q, a[j].r); \
  NAME(set)(bi + s * j + q, a[j].i);
    EACH(radix, DO);
#undef DO
  }
}

static void NAME(pass_odd)(const rpi_fourier_pass *t, int64_t s, const REAL *ar, const REAL *ai,
                           REAL *restrict br, REAL *restrict bi) {
  const int64_t m = t->m, radix = t->radix;
  for (int64_t p = 0; p < m; p++)
    for (int64_t q = 0; q < s; q += LANES) {
      NAME(pair) a[RPI_FOURIER_RADIX];
      for (int64_t k = 0; k < radix; k++)
        a[k] =
            (NAME(pair)){NAME(get)(ar + s * (p + m * k) + q), NAME(get)(ai + s * (p + m * k) + q)};
      NAME(bend_odd)(t, a);
      for (int64_t j = 0; j < radix; j++) {
        if (j > 0 && m > 1)
          a[j] = NAME(mul)(a[j], NAME(fill)(((const REAL *)t->re)[(j - 1) * m + p]),
                           NAME(fill)(((const REAL *)t->im)[(j - 1) * m + p]));
        NAME(set)(br + s * (p * radix + j) + q, a[j].r);
        NAME(set)(bi + s * (p * radix + j) + q, a[j].i);
      }
    }
}

#define CASE(radix) \
  case radix: \
    if (t->m == 1) \
      NAME(last_of)(radix, s, ar, ai, br, bi); \
    else \
      NAME(pass_of)(radix, t, s, ar, ai, br, bi); \
    break;
static void NAME(pass)(const rpi_fourier_pass *t, int64_t s, const REAL *ar, const REAL *ai,
                       REAL *br, REAL *bi) {
  switch (t->radix) {
    CASE(2)
    CASE(3)
    CASE(4)
    CASE(5)
    CASE(8)
    default: NAME(pass_odd)(t, s, ar, ai, br, bi);
  }
}
#undef CASE

/* ---- a single line: its first pass, from interleaved numbers, and its last one, to them ---- */

/* From n vectors of radix elements each, one behind the other: a[k] has number k of LANES of them. */
INLINE void NAME(shuffle2)(NAME(vec) a, NAME(vec) b, NAME(vec) * out) {
  out[0] = LOW(a, b);
  out[1] = HIGH(a, b);
}
INLINE void NAME(shuffle4)(NAME(vec) a, NAME(vec) b, NAME(vec) c, NAME(vec) d, NAME(vec) * out) {
  NAME(vec) even[2], odd[2];
  NAME(shuffle2)(a, c, even);
  NAME(shuffle2)(b, d, odd);
  NAME(shuffle2)(even[0], odd[0], out);
  NAME(shuffle2)(even[1], odd[1], out + 2);
}
INLINE void NAME(set_rows)(int radix, REAL *y, const NAME(vec) * a) {
  NAME(vec) out[8];
  if (radix == 4) {
    NAME(shuffle4)(a[0], a[1], a[2], a[3], out);
  } else {
    NAME(vec) even[4], odd[4];
    NAME(shuffle4)(a[0], a[2], a[4], a[6], even);
    NAME(shuffle4)(a[1], a[3], a[5], a[7], odd);
    NAME(shuffle2)(even[0], odd[0], out);
    NAME(shuffle2)(even[1], odd[1], out + 2);
    NAME(shuffle2)(even[2], odd[2], out + 4);
    NAME(shuffle2)(even[3], odd[3], out + 6);
  }
#define DO(k) NAME(set)(y + LANES * k, out[k]);
  EACH(radix, DO);
#undef DO
}

INLINE void NAME(first_of)(int radix, const rpi_fourier_pass *t, bool swapped, const REAL *x,
                           REAL *restrict br, REAL *restrict bi) {
  const int64_t m = t->m;
  for (int64_t p = 0; p < m; p += LANES) {
    const REAL *const wr = (const REAL *)t->re + p, *const wi = (const REAL *)t->im + p;
    NAME(pair) a[8];
    NAME(vec) r[8], i[8];
#define DO(k) \
  a[k] = NAME(get2)(x + 2 * (p + m * k)); \
  if (swapped) a[k] = NAME(swap)(a[k]);
    EACH(radix, DO);
#undef DO
    NAME(bend)(radix, a);
#define DO(j) \
  if (j > 0) a[j] = NAME(mul)(a[j], NAME(get)(wr + (j - 1) * m), NAME(get)(wi + (j - 1) * m)); \
  r[j] = a[j].r; \
  i[j] = a[j].i;
    EACH(radix, DO);
#undef DO
    NAME(set_rows)(radix, br + p * radix, r);
    NAME(set_rows)(radix, bi + p * radix, i);
  }
}

static void NAME(first)(const rpi_fourier_pass *t, bool swapped, const REAL *x, REAL *br,
                        REAL *bi) {
  if (t->radix == 4 && swapped) NAME(first_of)(4, t, true, x, br, bi);
  if (t->radix == 4 && !swapped) NAME(first_of)(4, t, false, x, br, bi);
  if (t->radix == 8 && swapped) NAME(first_of)(8, t, true, x, br, bi);
  if (t->radix == 8 && !swapped) NAME(first_of)(8, t, false, x, br, bi);
}

INLINE void NAME(ready_of)(int radix, int64_t s, bool swapped, REAL scale, const REAL *ar,
                           const REAL *ai, REAL *restrict y) {
  for (int64_t q = 0; q < s; q += LANES) {
    NAME(pair) a[8];
#define DO(k) a[k] = (NAME(pair)){NAME(get)(ar + s * k + q), NAME(get)(ai + s * k + q)};
    EACH(radix, DO);
#undef DO
    NAME(bend)(radix, a);
#define DO(j) \
  a[j] = (NAME(pair)){scale * a[j].r, scale * a[j].i}; \
  if (swapped) a[j] = NAME(swap)(a[j]); \
  NAME(set2)(y + 2 * (s * j + q), a[j]);
    EACH(radix, DO);
#undef DO
  }
}

#define CASE(radix) \
  case radix: \
    if (swapped) \
      NAME(ready_of)(radix, s, true, scale, ar, ai, y); \
    else \
      NAME(ready_of)(radix, s, false, scale, ar, ai, y); \
    return true;
/* False: this radix has no such pass. */
static bool NAME(ready)(const rpi_fourier_pass *t, int64_t s, bool swapped, REAL scale,
                        const REAL *ar, const REAL *ai, REAL *y) {
  switch (t->radix) {
    CASE(2)
    CASE(3)
    CASE(4)
    CASE(5)
    CASE(8)
    default: return false;
  }
}
#undef CASE
