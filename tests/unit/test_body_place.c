/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_body_place.c -- bodies on arrays: each variant is placed and run point by point
 * (tests/support/body_eval.h) and compared with plain loops; shapes that do not fit, word by word;
 * inferred shapes. Values are small integers, so that no order of a reduction matters. */
#include <stdio.h>

#include "core/base/alloc.h"
#include "tests/support/body_eval.h"

static uint64_t seed;

static int64_t small_random(int64_t lo, int64_t hi) {
  seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return lo + (int64_t)((seed >> 33) % (uint64_t)(hi - lo + 1));
}

/* One launch: up to 8 stores with their buffers. */
typedef struct launch {
  rpi_body *body;
  rpi_body_arg arg[8];
  cell cells[8][EVAL_CELLS];
  cell before[8][EVAL_CELLS];
  bool clamped;
} launch;

static launch l;

static void setup(const char *params, const char *body) {
  memset(&l, 0, sizeof l);
  if (rpi_body_parse(params, body, &l.body) != RP_OK) fail_msg("%s", rpi_status_message());
  for (int32_t s = 0; s < 8; s++) {
    for (int32_t i = 0; i < EVAL_CELLS; i++) {
      int64_t v = small_random(-9, 9);
      l.cells[s][i] = (cell){(double)v, v};
    }
  }
}

static void shape(int32_t s, rp_dtype dtype, int32_t ndim, const int64_t *extent) {
  l.arg[s].dtype = dtype;
  rpi_geom_dense(ndim, extent, &l.arg[s].geom);
}
#define SHAPE(s, dtype, ...) \
  do { \
    const int64_t e_[] = {__VA_ARGS__}; \
    shape(s, dtype, RPI_COUNT(e_), e_); \
  } while (0)
#define SCALAR_SHAPE(s, dtype) shape(s, dtype, 0, NULL)

static void run(void) {
  cell *at[8];
  for (int32_t s = 0; s < 8; s++) at[s] = l.cells[s];
  memcpy(l.before, l.cells, sizeof l.before);
  l.clamped = eval_body(l.body, l.arg, NULL, at);
  rpi_body_free(l.body);
  l.body = NULL;
}

static void launch_rejects(rp_status status, const char *message) {
  const rpi_variant *v = (const rpi_variant *)(const void *)&v;
  assert_int_equal(rpi_body_variant(l.body, l.arg, &v), status);
  assert_null(v);
  assert_string_equal(rpi_status_message(), message);
  rpi_body_free(l.body);
}

/* Element of a dense view of store s before the launch, broadcast: index 0 where the extent is
 * 1. */
static double old_at(int32_t s, const int64_t *index, int32_t rank) {
  const rpi_geom *g = &l.arg[s].geom;
  int64_t at = g->offset;
  for (int32_t d = 0; d < g->ndim; d++) {
    at += g->stride[d] * (g->shape[d] == 1 ? 0 : index[rank - g->ndim + d]);
  }
  return l.before[s][at].f;
}

static void broadcasting(void **state) {
  (void)state;
  setup("y, a, b, c", "y = a*b + c");
  SHAPE(0, RP_F64, 2, 4, 3);
  SHAPE(1, RP_F64, 2, 1, 3);
  SHAPE(2, RP_F64, 4, 1);
  SCALAR_SHAPE(3, RP_F64);
  run();
  for (int64_t p = 0; p < 24; p++) {
    int64_t i[] = {p / 12, p / 3 % 4, p % 3};
    assert_true(l.cells[0][p].f == old_at(1, i, 3) * old_at(2, i, 3) + old_at(3, i, 3));
  }
  setup("y, a", "y = 2*a");
  SCALAR_SHAPE(0, RP_F64);
  SCALAR_SHAPE(1, RP_F64);
  run();
  assert_true(l.cells[0][0].f == 2 * l.before[1][0].f);
}

/* Every combination of reduced axes of a space of rank 3, with axes kept as 1 and with axes left
 * out, extents 1 included. */
static void reduced_axes(void **state) {
  (void)state;
  for (int32_t mask = 0; mask < 8; mask++) {
    for (int32_t one = 0; one < 4; one++) {
      int64_t full[] = {one == 1 ? 1 : 2, one == 2 ? 1 : 3, one == 3 ? 1 : 4}, kept[3];
      for (int32_t d = 0; d < 3; d++) kept[d] = (mask >> d & 1) != 0 ? 1 : full[d];
      for (int32_t drop = 0; drop < 4; drop++) {
        if (drop > 0 && (mask & ((1 << drop) - 1)) != (1 << drop) - 1) continue;
        setup("s, x, w", "s += x*w");
        shape(0, RP_F64, 3 - drop, kept + drop);
        shape(1, RP_F64, 3, full);
        shape(2, RP_F64, 2, full + 1);
        run();
        double want[64];
        for (int32_t i = 0; i < 64; i++) want[i] = l.before[0][i].f;
        for (int64_t p = 0; p < full[0] * full[1] * full[2]; p++) {
          int64_t i[] = {p / (full[1] * full[2]), p / full[2] % full[1], p % full[2]};
          int64_t at = 0;
          for (int32_t d = drop; d < 3; d++) at = at * kept[d] + (kept[d] == 1 ? 0 : i[d]);
          want[at] += old_at(1, i, 3) * old_at(2, i, 3);
        }
        for (int32_t i = 0; i < 64; i++) assert_true(l.cells[0][i].f == want[i]);
      }
    }
  }
}

static void several_statements(void **state) {
  (void)state;
  setup("s, m, y, x", "s += x; m max= x; y = x + y; s += y");
  SHAPE(0, RP_F64, 2, 1);
  SHAPE(1, RP_F64, 2, 1);
  SHAPE(2, RP_F64, 2, 5);
  SHAPE(3, RP_F64, 2, 5);
  run();
  for (int64_t r = 0; r < 2; r++) {
    double sum = l.before[0][r].f, most = l.before[1][r].f;
    for (int64_t c = 0; c < 5; c++) {
      double x = l.before[3][5 * r + c].f, y = l.before[2][5 * r + c].f;
      assert_true(l.cells[2][5 * r + c].f == x + y);
      sum += x + y;
      if (x > most) most = x;
    }
    assert_true(l.cells[0][r].f == sum);
    assert_true(l.cells[1][r].f == most);
  }
  setup("y, x", "y *= x; y *= x + 1");
  SHAPE(0, RP_F64, 6);
  SHAPE(1, RP_F64, 6);
  run();
  for (int64_t i = 0; i < 6; i++) {
    double x = l.before[1][i].f;
    assert_true(l.cells[0][i].f == l.before[0][i].f * x * (x + 1));
  }
}

static void stencils(void **state) {
  (void)state;
  setup("out, u", "out[i,j] = u[i+1,j+1] + 2*u[i,j+1] + 3*u[i+2,j+1] + u[i+1,j] - u[i+1,j+2]");
  SHAPE(0, RP_F64, 3, 4);
  SHAPE(1, RP_F64, 5, 6);
  run();
  for (int64_t i = 0; i < 3; i++) {
    for (int64_t j = 0; j < 4; j++) {
      const cell *u = &l.before[1][6 * i + j];
      assert_true(l.cells[0][4 * i + j].f == u[7].f + 2 * u[1].f + 3 * u[13].f + u[6].f - u[8].f);
    }
  }
  setup("y, x", "y[j,i] = x[i,j] + i - 10*j + index(1) + index(-2)");
  SHAPE(0, RP_F64, 3, 4);
  SHAPE(1, RP_F64, 4, 3);
  run();
  for (int64_t j = 0; j < 3; j++) {
    for (int64_t i = 0; i < 4; i++) {
      assert_true(l.cells[0][4 * j + i].f ==
                  l.before[1][3 * i + j].f + (double)(i - 10 * j + i + j));
    }
  }
  setup("y, x", "let last = extent(x, 0) - 1; y[i] = x[last - 2*i] + x[2*(i + 1) - 1] + x[3]");
  SHAPE(0, RP_F64, 3);
  SHAPE(1, RP_F64, 7);
  run();
  for (int64_t i = 0; i < 3; i++) {
    assert_true(l.cells[0][i].f ==
                l.before[1][6 - 2 * i].f + l.before[1][2 * i + 1].f + l.before[1][3].f);
  }
}

/* Views: strides and offsets of the arguments enter. */
static void views(void **state) {
  (void)state;
  setup("y, x", "y[i,j] = x[i,j+1]");
  SHAPE(0, RP_F64, 2, 3);
  SHAPE(1, RP_F64, 2, 4);
  l.arg[0].geom = (rpi_geom){2, 40, {2, 3}, {-10, 2}};
  l.arg[1].geom = (rpi_geom){2, 5, {2, 4}, {1, 7}};
  run();
  for (int64_t i = 0; i < 2; i++) {
    for (int64_t j = 0; j < 3; j++) {
      assert_true(l.cells[0][40 - 10 * i + 2 * j].f == l.before[1][5 + i + 7 * (j + 1)].f);
    }
  }
}

static void sparse(void **state) {
  (void)state;
  const int64_t ptr[] = {0, 3, 3, 5, 9};
  for (int32_t form = 0; form < 2; form++) {
    setup("y, ptr, val, col, x",
          form == 0 ? "y[i] = sum(k in ptr[i]..ptr[i+1]) val[k]*x[col[k]]"
                    : "let t = val[k]*x[col[k]]; y[i] = y[i] + 2*(sum(k in ptr[i]..ptr[i+1]) t)");
    SHAPE(0, RP_F64, 4);
    SHAPE(1, RP_I64, 5);
    SHAPE(2, RP_F64, 9);
    SHAPE(3, RP_I32, 9);
    SHAPE(4, RP_F64, 6);
    for (int32_t i = 0; i < 5; i++) l.cells[1][i].i = ptr[i];
    for (int32_t k = 0; k < 9; k++) l.cells[3][k].i = small_random(0, 5);
    run();
    assert_false(l.clamped);
    for (int64_t i = 0; i < 4; i++) {
      double sum = 0;
      for (int64_t k = ptr[i]; k < ptr[i + 1]; k++) {
        sum += l.before[2][k].f * l.before[4][l.before[3][k].i].f;
      }
      assert_true(l.cells[0][i].f == (form == 0 ? sum : l.before[0][i].f + 2 * sum));
    }
  }
}

/* y = A x in every way in which it can be said. */
static void products(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "y[i] = sum(k) A[i,k]*x[k]",
      "y[i] = 0 + (sum(k) A[i,k]*x[k])",
      "y[i] = sum(k in 0..extent(x, 0)) A[i,k]*x[k]",
      "y[i] += A[i,k]*x[k]",
      "y[i] += sum(k) A[i,k]*x[k]",
      "y[i] += 1*sum(k) A[i,k]*x[k]",
      "let a = A[i,k]; let p = a*x[k]; y[i] = sum(k) p",
  };
  for (int32_t b = 0; b < RPI_COUNT(bodies); b++) {
    setup("y, A, x", bodies[b]);
    SHAPE(0, RP_F64, 3);
    SHAPE(1, RP_F64, 3, 5);
    SHAPE(2, RP_F64, 5);
    run();
    for (int64_t i = 0; i < 3; i++) {
      double sum = b >= 3 && b <= 5 ? l.before[0][i].f : 0;
      for (int64_t k = 0; k < 5; k++) sum += l.before[1][5 * i + k].f * l.before[2][k].f;
      assert_true(l.cells[0][i].f == sum);
    }
  }
}

static void loops(void **state) {
  (void)state;
  setup("y, A", "y[i] = 1 + sum(a, b, c) A[i,a,b,c]*(1 + a - b*c)");
  SHAPE(0, RP_F64, 2);
  SHAPE(1, RP_F64, 2, 3, 4, 2);
  run();
  for (int64_t i = 0; i < 2; i++) {
    double sum = 1;
    for (int64_t p = 0; p < 24; p++) {
      sum += l.before[1][24 * i + p].f * (double)(1 + p / 8 - (p / 2 % 4) * (p % 2));
    }
    assert_true(l.cells[0][i].f == sum);
  }
  /* One let in two loops that use the same name. */
  setup("y, x", "let t = x[i,k]; y[i] = (sum(k) t) + (sum(k) t*t)");
  SHAPE(0, RP_F64, 2);
  SHAPE(1, RP_F64, 2, 3);
  run();
  for (int64_t i = 0; i < 2; i++) {
    double sum = 0;
    for (int64_t k = 0; k < 3; k++) {
      double t = l.before[1][3 * i + k].f;
      sum += t + t * t;
    }
    assert_true(l.cells[0][i].f == sum);
  }
  setup("y, x", "y[i] = sum(a in 0..3, b in a..4) x[b] + 10*a + i");
  SHAPE(0, RP_F64, 2);
  SHAPE(1, RP_F64, 4);
  run();
  for (int64_t i = 0; i < 2; i++) {
    double sum = 0;
    for (int64_t a = 0; a < 3; a++) {
      for (int64_t b = a; b < 4; b++) sum += l.before[1][b].f + (double)(10 * a + i);
    }
    assert_true(l.cells[0][i].f == sum);
  }
  setup("lo, hi, n, x", "lo[i] = argmin(k) x[i,k]; hi[i] = argmax(k in 1..3) x[i,k];"
                        "n[i] = sum(k) x[i,k] > 0");
  SHAPE(0, RP_I64, 3);
  SHAPE(1, RP_I64, 3);
  SHAPE(2, RP_I64, 3);
  SHAPE(3, RP_F64, 3, 5);
  run();
  for (int64_t i = 0; i < 3; i++) {
    const cell *x = &l.before[3][5 * i];
    int64_t lo = 0, hi = x[2].f > x[1].f ? 2 : 1, n = 0;
    for (int64_t k = 0; k < 5; k++) {
      if (x[k].f < x[lo].f) lo = k;
      n += x[k].f > 0;
    }
    assert_int_equal(l.cells[0][i].i, lo);
    assert_int_equal(l.cells[1][i].i, hi);
    assert_int_equal(l.cells[2][i].i, n);
  }
  setup("p, q, r, x", "p = any(i) x[i] > 8; q = all(i) x[i] > -10; r = max(i) x[i]");
  SCALAR_SHAPE(0, RP_BOOL);
  SCALAR_SHAPE(1, RP_BOOL);
  SCALAR_SHAPE(2, RP_F64);
  SHAPE(3, RP_F64, 40);
  run();
  double most = -10;
  for (int64_t i = 0; i < 40; i++) most = fmax(most, l.before[3][i].f);
  assert_int_equal(l.cells[0][0].i, most > 8);
  assert_int_equal(l.cells[1][0].i, 1);
  assert_true(l.cells[2][0].f == most);
}

/* Statements with the same index names share axes by name: columns are reduced as rows of the
 * space. */
static void named_axes(void **state) {
  (void)state;
  setup("z, s, x", "z[i,j] = 2*x[i,j]; s[j] += x[i,j]*(1 + i)");
  SHAPE(0, RP_F64, 3, 4);
  SHAPE(1, RP_F64, 4);
  SHAPE(2, RP_F64, 3, 4);
  run();
  for (int64_t j = 0; j < 4; j++) {
    double sum = l.before[1][j].f;
    for (int64_t i = 0; i < 3; i++) {
      sum += l.before[2][4 * i + j].f * (double)(1 + i);
      assert_true(l.cells[0][4 * i + j].f == 2 * l.before[2][4 * i + j].f);
    }
    assert_true(l.cells[1][j].f == sum);
  }
}

/* A body whose reduction cannot be one of the space falls back to a loop. */
static void fallback(void **state) {
  (void)state;
  setup("y, z, A, x", "y[i] = sum(k) A[i,k]*x[k]; z[i] = x[i]");
  SHAPE(0, RP_F64, 3);
  SHAPE(1, RP_F64, 3);
  SHAPE(2, RP_F64, 3, 4);
  SHAPE(3, RP_F64, 4);
  run();
  for (int64_t i = 0; i < 3; i++) {
    double sum = 0;
    for (int64_t k = 0; k < 4; k++) sum += l.before[2][4 * i + k].f * l.before[3][k].f;
    assert_true(l.cells[0][i].f == sum);
    assert_true(l.cells[1][i].f == l.before[3][i].f);
  }
}

static void gathers(void **state) {
  (void)state;
  setup("y, x, p, A", "y[i] = x[p[i]] + A[i, p[p[i]]]");
  SHAPE(0, RP_F64, 4);
  SHAPE(1, RP_F64, 4);
  SHAPE(2, RP_U8, 4);
  SHAPE(3, RP_F64, 4, 4);
  for (int32_t i = 0; i < 4; i++) l.cells[2][i].i = small_random(0, 3);
  run();
  assert_false(l.clamped);
  for (int64_t i = 0; i < 4; i++) {
    int64_t p = l.before[2][i].i, q = l.before[2][p].i;
    assert_true(l.cells[0][i].f == l.before[1][p].f + l.before[3][4 * i + q].f);
  }
  setup("y, x, p", "y[i] = x[p[i] + 1]");
  SHAPE(0, RP_F64, 2);
  SHAPE(1, RP_F64, 2);
  SHAPE(2, RP_I64, 2);
  l.cells[2][0].i = 0;
  l.cells[2][1].i = 1;
  run();
  assert_true(l.clamped);
}

static void empty_spaces(void **state) {
  (void)state;
  setup("y, x", "y[i] = x[i+5]"); /* no point, so no access outside */
  SHAPE(0, RP_F64, 0);
  SHAPE(1, RP_F64, 3);
  run();
  assert_true(l.cells[0][0].f == l.before[0][0].f);
  setup("s, x", "s += x");
  SHAPE(0, RP_F64, 1);
  SHAPE(1, RP_F64, 0);
  run();
  assert_true(l.cells[0][0].f == l.before[0][0].f);
}

static void shape_errors(void **state) {
  (void)state;
  setup("y, a, b", "y = a + b");
  SHAPE(0, RP_F64, 3, 4);
  SHAPE(1, RP_F64, 3, 4);
  SHAPE(2, RP_F64, 3);
  launch_rejects(RP_ERR_SHAPE,
                 "body, line 1, column 9: 'b' has shape (3,), which does not broadcast "
                 "with (3, 4)\n  y = a + b\n          ^");
  setup("y, a", "y = a");
  SHAPE(0, RP_F64, 1, 4);
  SHAPE(1, RP_F64, 3, 4);
  launch_rejects(RP_ERR_SHAPE, "body, line 1, column 1: 'y' has shape (1, 4), but '=' gives it the "
                               "shape (3, 4)\n  y = a\n  ^");
  setup("y, u", "y[i] = u[i] - u[i+2]");
  SHAPE(0, RP_F64, 5);
  SHAPE(1, RP_F64, 6);
  launch_rejects(RP_ERR_SHAPE,
                 "body, line 1, column 15: 'u' is read at indices 2..6 of axis 0, whose "
                 "extent is 6\n  y[i] = u[i] - u[i+2]\n                ^");
  setup("y, u", "y[i] = u[3 - 2*i]");
  SHAPE(0, RP_F64, 3);
  SHAPE(1, RP_F64, 6);
  launch_rejects(RP_ERR_SHAPE,
                 "body, line 1, column 8: 'u' is read at indices -1..3 of axis 0, whose "
                 "extent is 6\n  y[i] = u[3 - 2*i]\n         ^");
  setup("y, u", "y[i] = u[i,0]");
  SHAPE(0, RP_F64, 5);
  SHAPE(1, RP_F64, 6);
  launch_rejects(RP_ERR_SHAPE, "body, line 1, column 8: 'u' has shape (6,), but 2 subscripts here\n"
                               "  y[i] = u[i,0]\n         ^");
  setup("s, x, y", "s += x[i]*y[i]");
  SCALAR_SHAPE(0, RP_F64);
  SHAPE(1, RP_F64, 5);
  SHAPE(2, RP_F64, 6);
  launch_rejects(RP_ERR_SHAPE,
                 "body, line 1, column 13: axis 0 of 'y' has extent 6, but axis 0 of 'x' "
                 "has 5, and one index runs over both\n  s += x[i]*y[i]\n"
                 "              ^");
  setup("y, z, x", "y[i] = x[i]; z[i] = x[i]");
  SHAPE(0, RP_F64, 5);
  SHAPE(1, RP_F64, 4);
  SHAPE(2, RP_F64, 5);
  launch_rejects(RP_ERR_SHAPE,
                 "body, line 1, column 14: this statement ranges over (4,), the first one "
                 "over (5,)\n  y[i] = x[i]; z[i] = x[i]\n               ^");
  setup("r, c, x", "r += x; c += x");
  SHAPE(0, RP_F64, 3, 1);
  SHAPE(1, RP_F64, 4);
  SHAPE(2, RP_F64, 3, 4);
  launch_rejects(RP_ERR_SHAPE, "body, line 1, column 9: 'c' reduces over other axes than the "
                               "destinations before it; make it a body of its own\n"
                               "  r += x; c += x\n          ^");
  setup("y, x", "y = x*extent(x, 2)");
  SHAPE(0, RP_F64, 3, 4);
  SHAPE(1, RP_F64, 3, 4);
  launch_rejects(RP_ERR_SHAPE, "body, line 1, column 7: 'x' has shape (3, 4), so it has no axis 2\n"
                               "  y = x*extent(x, 2)\n        ^");
  setup("y, x", "y = x*index(1)");
  SHAPE(0, RP_F64, 3);
  SHAPE(1, RP_F64, 3);
  launch_rejects(RP_ERR_SHAPE, "body, line 1, column 7: the space has 1 axes, so it has no axis 1\n"
                               "  y = x*index(1)\n        ^");
}

static void inferred(const char *params, const char *body, int32_t n, const char *want) {
  char got[200];
  setup(params, body);
  l.arg[0].dtype = -1;
  SHAPE(1, RP_F64, 4, 6);
  SHAPE(2, RP_F64, 6);
  rp_status status = rpi_body_infer(l.body, l.arg);
  int32_t at = 0;
  for (int32_t d = 0; status == RP_OK && d < l.arg[0].geom.ndim; d++) {
    at += snprintf(got + at, sizeof got - (size_t)at, "%d ", (int)l.arg[0].geom.shape[d]);
  }
  got[at] = '\0';
  if (status != RP_OK) snprintf(got, sizeof got, "%s", rpi_status_message());
  assert_string_equal(got, want);
  assert_true(n == 0 || status != RP_OK || l.arg[0].geom.ndim == n);
  rpi_body_free(l.body);
}

static void inferring(void **state) {
  (void)state;
  inferred("y, A, x", "y = A + x", 2, "4 6 ");
  inferred("y, A, x", "y[i] = sum(k) A[i,k]*x[k]", 1, "4 ");
  inferred("y, A, x", "y[k,i] = A[i,k]*x[k]", 2, "6 4 ");
  inferred("y, A, x", "y[i,j] = A[i,j] + A[i+1,j+2] + x[2*j]", 2, "3 3 ");
  inferred(
      "y, A, x", "y[i] = A[0,0] + x[extent(x,0) - 1 - i]", 0,
      "body, line 1, column 1: the shape of 'y' cannot be inferred: an index stands alone in no "
      "subscript of an input\n  y[i] = A[0,0] + x[extent(x,0) - 1 - i]\n  ^");
  inferred("y, A, x", "y[i] = A[i,0] + x[i]", 0,
           "body, line 1, column 19: axis 0 of 'x' has extent 6, but axis 0 of 'A' has 4, and one "
           "index runs over both\n  y[i] = A[i,0] + x[i]\n                    ^");
  inferred("y, A, x", "y += A + x", 0,
           "store 'y' is missing: the body reads it, so it cannot be inferred");
}

/* One variant per dtypes, ranks and reduced axes; sizes do not matter. */
static void variants(void **state) {
  (void)state;
  const rpi_variant *v[5] = {NULL};
  setup("s, x", "s += x");
  for (int32_t i = 0; i < 5; i++) {
    shape(0, RP_F64, 1, &(int64_t){i == 2 ? 4 : 1});
    shape(1, i == 3 ? RP_F32 : RP_F64, 1, &(int64_t){i == 1 ? 9 : i == 4 ? 1 : 4});
    assert_int_equal(rpi_body_variant(l.body, l.arg, &v[i]), RP_OK);
  }
  assert_ptr_equal(v[0], v[1]);
  assert_ptr_not_equal(v[0], v[2]);
  assert_ptr_not_equal(v[0], v[3]);
  assert_ptr_equal(v[2], v[4]);
  assert_int_not_equal(v[0]->id, v[2]->id);
  assert_ptr_equal(v[0]->body, l.body);
  rpi_body_free(l.body);
}

/* Whichever allocation fails, the error is that of memory, nothing leaks, and the body still
 * works. */
static void out_of_memory(void **state) {
  (void)state;
  const rpi_variant *v = NULL;
  int64_t n = 0;
  for (bool done = false; !done; n++) {
    rpi_body *b = NULL;
    rpi_alloc_inject(n);
    rp_status status = rpi_body_parse(
        "y, A, x", "let t = A[i,k]*x[k]; y[i] = 1 + (sum(k) t) + sum(k in 0..extent(x, 0)) t", &b);
    if (status == RP_OK) {
      memset(&l, 0, sizeof l);
      SHAPE(0, RP_F64, 3);
      SHAPE(1, RP_F64, 3, 4);
      SHAPE(2, RP_F64, 4);
      status = rpi_body_variant(b, l.arg, &v);
      done = status == RP_OK;
      rpi_alloc_inject(-1);
      assert_int_equal(rpi_body_variant(b, l.arg, &v), RP_OK);
    }
    rpi_alloc_inject(-1);
    if (!done) assert_int_equal(status, RP_ERR_MEMORY);
    rpi_body_free(b);
  }
  assert_in_range(n, 20, 400);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broadcasting),
      cmocka_unit_test(reduced_axes),
      cmocka_unit_test(several_statements),
      cmocka_unit_test(stencils),
      cmocka_unit_test(views),
      cmocka_unit_test(sparse),
      cmocka_unit_test(products),
      cmocka_unit_test(loops),
      cmocka_unit_test(named_axes),
      cmocka_unit_test(fallback),
      cmocka_unit_test(gathers),
      cmocka_unit_test(empty_spaces),
      cmocka_unit_test(shape_errors),
      cmocka_unit_test(inferring),
      cmocka_unit_test(variants),
      cmocka_unit_test(out_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
