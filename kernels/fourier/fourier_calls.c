/* SPDX-License-Identifier: Apache-2.0
 * kernels/fourier/fourier_calls.c -- see fourier_calls.h. */
#include "kernels/fourier/fourier_calls.h"

#include "kernels/fourier/fourier_cache.h"
#include "kernels/fourier/fourier_host.h"

/* ---- what a call has borrowed ---- */

enum { AXES = 3 };

typedef struct call {
  rpi_fourier_cache *cache;
  const rpi_fourier_plan *plan[AXES]; /* NULL: an axis of one element */
  void *work, *extra;
  bool wide, inverse;
} call;

static void leave(call *c) {
  for (int i = 0; i < AXES; i++) rpi_fourier_cache_give_plan(c->cache, c->plan[i]);
  rpi_fourier_cache_give_buffer(c->cache, c->work);
  rpi_fourier_cache_give_buffer(c->cache, c->extra);
}

static int64_t number(const call *c) { return c->wide ? 8 : 4; }

/* Plans for these extents, the last one of real lines if `real`, and memory for them; `extra` numbers beside it. */
static bool enter(call *c, int64_t cache, bool wide, bool inverse, const int64_t *n, bool real,
                  int64_t extra) {
  int64_t bytes = 0;
  bool made = true;
  *c = (call){.cache = (rpi_fourier_cache *)(intptr_t)cache, .wide = wide, .inverse = inverse};
  for (int i = 0; i < AXES && made; i++) {
    const bool last = i == AXES - 1, half = last && real && n[i] % 2 == 0;
    if (n[i] == 1 && !last) continue;
    c->plan[i] = rpi_fourier_cache_plan(c->cache, wide, half, n[i]);
    made = c->plan[i] != NULL;
    if (!made) break;
    const int64_t lines = last && real ? rpi_fourier_lanes(wide) + 1 : 1;
    const int64_t need = c->plan[i]->work + 2 * n[i] * lines * number(c);
    bytes = need > bytes ? need : bytes;
  }
  if (made) c->work = rpi_fourier_cache_buffer(c->cache, bytes);
  if (made && extra > 0) c->extra = rpi_fourier_cache_buffer(c->cache, extra * number(c));
  if (c->work && (extra == 0 || c->extra)) return true;
  leave(c);
  return false;
}

static const void *from(const call *c, const void *x, int64_t i) {
  return (const char *)x + i * number(c);
}
static void *to(const call *c, void *y, int64_t i) { return (char *)y + i * number(c); }

/* ---- transforms along one axis ---- */

static void lines(const call *c, int axis, const void *x, rpi_fourier_place x_at, void *y,
                  rpi_fourier_place y_at, int64_t count) {
  const rpi_fourier_plan *p = c->plan[axis];
  if (c->wide)
    rpi_fourier_lines_f64(p, x, x_at, y, y_at, count, c->inverse,
                          c->inverse ? 1.0 / (double)p->n : 1.0, c->work);
  else
    rpi_fourier_lines_f32(p, x, x_at, y, y_at, count, c->inverse,
                          c->inverse ? 1.0F / (float)p->n : 1.0F, c->work);
}

/* Axis `axis` of `outer` dense arrays of n and `inner` complex elements; n elements of 1 stay. */
static void along(const call *c, int axis, const void *x, void *y, int64_t outer, int64_t inner) {
  const int64_t n = c->plan[axis]->n;
  const rpi_fourier_place column = {2 * inner, 2, 1}, row = {2, 2 * n, 1};
  if (inner == 1) {
    lines(c, axis, x, row, y, row, outer);
    return;
  }
  for (int64_t o = 0; o < outer; o++)
    lines(c, axis, from(c, x, 2 * o * n * inner), column, to(c, y, 2 * o * n * inner), column,
          inner);
}

/* ---- over all axes ---- */

int rpi_fourier_calls_complex(void *y, const void *x, int64_t size, int64_t cache, int64_t wide,
                              int32_t inverse, int64_t n1, int64_t n2, int64_t n3) {
  const int64_t one = 2 * n1 * n2 * n3;
  call c;
  if (!enter(&c, cache, wide != 0, inverse != 0, (int64_t[]){n1, n2, n3}, false, 0)) return 1;
  if (n1 == 1 && n2 == 1) {
    along(&c, 2, x, y, size / one, 1);
  } else {
    for (int64_t b = 0; b < size; b += one) {
      along(&c, 2, from(&c, x, b), to(&c, y, b), n1 * n2, 1);
      if (n2 > 1) along(&c, 1, to(&c, y, b), to(&c, y, b), n1, n3);
      if (n1 > 1) along(&c, 0, to(&c, y, b), to(&c, y, b), 1, n2 * n3);
    }
  }
  leave(&c);
  return 0;
}

int rpi_fourier_calls_from_real(void *y, const void *x, int64_t size, int64_t cache, int64_t wide,
                                int32_t inverse, int64_t n1, int64_t n2, int64_t n3) {
  const int64_t half = n3 / 2 + 1, one = 2 * n1 * n2 * half;
  const bool lone = n1 == 1 && n2 == 1;
  const int64_t step = lone ? size : one, rows = step / (2 * half);
  call c;
  if (!enter(&c, cache, wide != 0, inverse != 0, (int64_t[]){n1, n2, n3}, true, 0)) return 1;
  for (int64_t b = 0, r = 0; b < size; b += step, r += rows) {
    void *yb = to(&c, y, b);
    if (c.wide)
      rpi_fourier_from_real_f64(c.plan[2], from(&c, x, r * n3), yb, rows, c.work);
    else
      rpi_fourier_from_real_f32(c.plan[2], from(&c, x, r * n3), yb, rows, c.work);
    if (n2 > 1) along(&c, 1, yb, yb, n1, half);
    if (n1 > 1) along(&c, 0, yb, yb, 1, n2 * half);
  }
  leave(&c);
  return 0;
}

int rpi_fourier_calls_to_real(void *y, const void *x, int64_t size, int64_t cache, int64_t wide,
                              int32_t inverse, int64_t n1, int64_t n2, int64_t n3) {
  const int64_t half = n3 / 2 + 1, one = 2 * n1 * n2 * half;
  const bool lone = n1 == 1 && n2 == 1;
  const int64_t step = lone ? size : one, rows = step / (2 * half);
  call c;
  if (!enter(&c, cache, wide != 0, inverse != 0, (int64_t[]){n1, n2, n3}, true, lone ? 0 : one))
    return 1;
  for (int64_t b = 0, r = 0; b < size; b += step, r += rows) {
    const void *xb = from(&c, x, b);
    if (n1 > 1) {
      along(&c, 0, xb, c.extra, 1, n2 * half);
      xb = c.extra;
    }
    if (n2 > 1) {
      along(&c, 1, xb, c.extra, n1, half);
      xb = c.extra;
    }
    if (c.wide)
      rpi_fourier_to_real_f64(c.plan[2], xb, to(&c, y, r * n3), rows, 1.0 / (double)n3, c.work);
    else
      rpi_fourier_to_real_f32(c.plan[2], xb, to(&c, y, r * n3), rows, 1.0F / (float)n3, c.work);
  }
  leave(&c);
  return 0;
}

int rpi_fourier_calls_columns(void *y, const void *x, int64_t rows, int64_t n, int64_t inner,
                              int64_t y_row, int64_t y_element, int64_t y_inner, int64_t y_part,
                              int64_t x_row, int64_t x_element, int64_t x_inner, int64_t x_part,
                              int64_t cache, int64_t wide, int32_t inverse) {
  const bool flat = inner == 1;
  const rpi_fourier_place x_at = {x_element, flat ? x_row : x_inner, x_part};
  const rpi_fourier_place y_at = {y_element, flat ? y_row : y_inner, y_part};
  call c;
  if (!enter(&c, cache, wide != 0, inverse != 0, (int64_t[]){1, 1, n}, false, 0)) return 1;
  if (flat) lines(&c, 2, x, x_at, y, y_at, rows);
  for (int64_t r = 0; r < rows && !flat; r++)
    lines(&c, 2, from(&c, x, r * x_row), x_at, to(&c, y, r * y_row), y_at, inner);
  leave(&c);
  return 0;
}
