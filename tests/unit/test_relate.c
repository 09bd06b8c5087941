/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_relate.c -- core/model/relate.c against sets of elements counted one by one.
 *
 * Lives here: relations and injectivity of random boxes, of every pair of views in the classes that
 *             must be exact, and of extents far too large to enumerate.
 * How:        the oracle marks the elements of each box in an array of counters. Whatever the
 *             boxes, a claim must be true; where a refinement made of the buffer's weights and
 *             the strides decomposes both boxes (found by trying every chain, on the sets), it
 *             must be exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "core/model/geom.h"
#include "tests/support/pick.h"

enum { MAX_CELLS = 256 };

/* ---- the oracle ------------------------------------------------------------------------------ */

typedef struct cells {
  int32_t n; /* elements, with repetition */
  uint8_t count[MAX_CELLS];
} cells;

static void mark(const rpi_geom *g, int32_t d, int64_t at, cells *out) {
  if (d == g->ndim) {
    assert_true(at >= 0 && at < MAX_CELLS);
    out->n++;
    if (out->count[at] < 255) out->count[at]++;
    return;
  }
  for (int64_t i = 0; i < g->shape[d]; i++) mark(g, d + 1, at + i * g->stride[d], out);
}

static cells enumerate(const rpi_geom *g) {
  cells c;
  memset(&c, 0, sizeof c);
  mark(g, 0, g->offset, &c);
  return c;
}

static bool sets_meet(const cells *a, const cells *b) {
  for (int32_t k = 0; k < MAX_CELLS; k++) {
    if (a->count[k] && b->count[k]) return true;
  }
  return false;
}

static bool set_covers(const cells *a, const cells *b) {
  for (int32_t k = 0; k < MAX_CELLS; k++) {
    if (b->count[k] && !a->count[k]) return false;
  }
  return true;
}

static bool is_set_injective(const cells *a) {
  for (int32_t k = 0; k < MAX_CELLS; k++) {
    if (a->count[k] > 1) return false;
  }
  return true;
}

/* Is the set a product of progressions in the digits of this chain of weights? Its size must be the
 * product of the numbers of digit values seen, and those must be evenly spaced. */
static bool set_decomposes(const cells *c, const int64_t *weight, int32_t n) {
  int64_t product = 1, members = 0;
  for (int32_t k = 0; k < MAX_CELLS; k++) members += c->count[k] != 0;
  for (int32_t w = 0; w < n; w++) {
    bool seen[MAX_CELLS] = {false};
    int64_t values = 0, previous = -1, gap = -1;
    for (int64_t k = 0; k < MAX_CELLS; k++) {
      int64_t digit = w + 1 < n ? k % weight[w + 1] / weight[w] : k / weight[w];
      if (c->count[k]) seen[digit] = true;
    }
    for (int64_t v = 0; v < MAX_CELLS; v++) {
      if (!seen[v]) continue;
      if (previous >= 0 && gap >= 0 && v - previous != gap) return false;
      if (previous >= 0) gap = v - previous;
      previous = v;
      values++;
    }
    product *= values;
  }
  return product == members;
}

typedef struct weights {
  int32_t n;
  int64_t w[32];
} weights;

static void offer(weights *c, int64_t w) {
  if (w < 0) w = -w;
  if (w <= 1) return;
  int32_t k = 0;
  while (k < c->n && c->w[k] < w) k++;
  if (k < c->n && c->w[k] == w) return;
  memmove(&c->w[k + 1], &c->w[k], (size_t)(c->n - k) * sizeof c->w[0]);
  c->w[k] = w;
  c->n++;
}

/* Tries every chain of divisors among the candidates from `next` on. */
static bool some_chain(const cells *a, const cells *b, const weights *c, int32_t next,
                       int64_t *chain, int32_t n) {
  if (set_decomposes(a, chain, n) && set_decomposes(b, chain, n)) return true;
  for (int32_t k = next; k < c->n; k++) {
    if (c->w[k] % chain[n - 1] != 0) continue;
    chain[n] = c->w[k];
    if (some_chain(a, b, c, k + 1, chain, n + 1)) return true;
  }
  return false;
}

static bool decomposes(const rpi_geom *a, const rpi_geom *b, const cells *ca, const cells *cb,
                       int32_t bdim, const int64_t *bshape) {
  weights c = {0, {0}};
  int64_t chain[33] = {1}, w = 1;
  for (int32_t d = bdim - 1; d > 0; d--) offer(&c, w *= bshape[d]);
  for (int32_t d = 0; d < a->ndim; d++) offer(&c, a->shape[d] > 1 ? a->stride[d] : 0);
  for (int32_t d = 0; d < b->ndim; d++) offer(&c, b->shape[d] > 1 ? b->stride[d] : 0);
  return some_chain(ca, cb, &c, 0, chain, 1);
}

static int64_t n_exact, n_asked;

/* Checks one pair; `must`: it has to be exact. */
static void check_pair(const rpi_geom *a, const rpi_geom *b, int32_t bdim, const int64_t *bshape,
                       bool must) {
  cells ca = enumerate(a), cb = enumerate(b);
  rpi_relation r = rpi_geom_relate(a, b, bdim, bshape);
  bool disjoint = !sets_meet(&ca, &cb), covers = set_covers(&ca, &cb);
  n_asked++;
  n_exact += r.exact;
  if (r.disjoint != (r.exact && disjoint) || r.covers != (r.exact && covers) ||
      (must && !r.exact)) {
    char ta[200], tb[200];
    rpi_geom_print(a, ta, sizeof ta);
    rpi_geom_print(b, tb, sizeof tb);
    fail_msg("%s and %s in a buffer of rank %d with rows of %d: disjoint %d, covers %d, exact %d; "
             "expected %d, %d, exact %d",
             ta, tb, (int)bdim, bdim > 0 ? (int)bshape[bdim - 1] : 0, r.disjoint, r.covers, r.exact,
             disjoint, covers, must);
  }
}

/* ---- making boxes ---------------------------------------------------------------------------- */

static void random_buffer(int32_t *bdim, int64_t *bshape) {
  int64_t size = 1;
  *bdim = (int32_t)pick(0, 4);
  for (int32_t d = 0; d < *bdim; d++) {
    bshape[d] = pick(1, 8);
    if (size * bshape[d] > MAX_CELLS) bshape[d] = 1;
    size *= bshape[d];
  }
}

/* Any steps, as long as the box stays in the buffer: windows and diagonals among them. */
static rpi_geom random_box(int64_t size) {
  rpi_geom g;
  memset(&g, 0, sizeof g);
  g.ndim = (int32_t)pick(0, 3);
  g.offset = pick(0, size - 1);
  int64_t lo = g.offset, hi = g.offset;
  for (int32_t d = 0; d < g.ndim; d++) {
    int64_t n = pick(1, 5), s = pick(-12, 12), reach = (n - 1) * s;
    if (lo + (reach < 0 ? reach : 0) < 0 || hi + (reach > 0 ? reach : 0) >= size) n = 1;
    if (n > 1 && reach < 0) lo += reach;
    if (n > 1 && reach > 0) hi += reach;
    g.shape[d] = n;
    g.stride[d] = s;
  }
  return g;
}

static void slice_axes(rpi_geom *g, bool unit) {
  for (int32_t d = 0; d < g->ndim; d++) {
    int64_t n = g->shape[d], step = unit ? 1 : pick(-3, 3), lo = pick(0, n), hi = pick(0, n);
    if (step == 0) continue;
    if (pick(0, 2) == 0) lo = step > 0 ? 0 : n - 1;
    if (pick(0, 2) == 0) hi = step > 0 ? INT64_MAX : INT64_MIN;
    assert_int_equal(rpi_geom_slice(g, d, lo, hi, step, g), RP_OK);
  }
}

static void permute_axes(rpi_geom *g) {
  int32_t axes[RP_MAX_DIM];
  for (int32_t d = 0; d < g->ndim; d++) axes[d] = d;
  for (int32_t d = g->ndim - 1; d > 0; d--) {
    int32_t k = (int32_t)pick(0, d), t = axes[d];
    axes[d] = axes[k];
    axes[k] = t;
  }
  assert_int_equal(rpi_geom_transpose(g, axes, g), RP_OK);
}

static void project_axis(rpi_geom *g) {
  if (g->ndim == 0) return;
  int32_t d = (int32_t)pick(0, g->ndim - 1);
  if (g->shape[d] > 0) assert_int_equal(rpi_geom_project(g, d, pick(0, g->shape[d] - 1), g), RP_OK);
}

/* Views as programs make them, without reshapes: all decompose on the buffer's own axes. */
static rpi_geom random_view(const rpi_geom *whole) {
  rpi_geom g = *whole;
  if (pick(0, 1)) slice_axes(&g, false);
  if (pick(0, 1)) permute_axes(&g);
  if (pick(0, 2) == 0) project_axis(&g);
  if (pick(0, 1)) slice_axes(&g, pick(0, 1) != 0);
  if (pick(0, 3) == 0)
    assert_int_equal(rpi_geom_promote(&g, (int32_t)pick(0, g.ndim), pick(1, 3), &g), RP_OK);
  return g;
}

/* The same elements under another shape: neighbours merged, or an axis split. */
static void regroup(rpi_geom *g) {
  int64_t shape[RP_MAX_DIM];
  int32_t n = 0, at = (int32_t)pick(0, g->ndim - 1);
  bool merge = pick(0, 1) != 0 && at + 1 < g->ndim;
  if (!merge && g->ndim == RP_MAX_DIM) return;
  for (int32_t d = 0; d < g->ndim; d++) {
    int64_t factor = pick(2, 4);
    if (d == at && merge) {
      shape[n++] = g->shape[d] * g->shape[d + 1];
      d++;
    } else if (d == at && g->shape[d] % factor == 0) {
      shape[n++] = g->shape[d] / factor;
      shape[n++] = factor;
    } else {
      shape[n++] = g->shape[d];
    }
  }
  assert_int_equal(rpi_geom_reshape(g, n, shape, g), RP_OK);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_any_boxes(void **state) {
  (void)state;
  for (int32_t k = 0; k < 20000; k++) {
    int32_t bdim;
    int64_t bshape[RP_MAX_DIM], size = 1;
    random_buffer(&bdim, bshape);
    for (int32_t d = 0; d < bdim; d++) size *= bshape[d];
    rpi_geom a = random_box(size), b = random_box(size);
    cells ca = enumerate(&a), cb = enumerate(&b);
    check_pair(&a, &b, bdim, bshape, decomposes(&a, &b, &ca, &cb, bdim, bshape));
    bool injective = rpi_geom_injective(&a, bdim, bshape), truth = is_set_injective(&ca);
    if (injective != truth) assert_true(truth && a.ndim > 2); /* only three axes may be too hard */
  }
}

static void test_views_are_exact(void **state) {
  (void)state;
  for (int32_t k = 0; k < 20000; k++) {
    int32_t bdim;
    int64_t bshape[RP_MAX_DIM];
    rpi_geom whole;
    random_buffer(&bdim, bshape);
    rpi_geom_dense(bdim, bshape, &whole);
    rpi_geom a = random_view(&whole), b = random_view(&whole);
    cells ca = enumerate(&a);
    check_pair(&a, &b, bdim, bshape, true);
    assert_int_equal(rpi_geom_injective(&a, bdim, bshape), is_set_injective(&ca));
  }
}

/* Both boxes are views of one reshape of the buffer: exact, although nobody says which reshape. */
static void test_reshapes_are_exact(void **state) {
  (void)state;
  for (int32_t k = 0; k < 20000; k++) {
    int32_t bdim;
    int64_t bshape[RP_MAX_DIM];
    rpi_geom whole;
    do random_buffer(&bdim, bshape);
    while (bdim == 0);
    rpi_geom_dense(bdim, bshape, &whole);
    for (int64_t n = pick(1, 3); n > 0; n--) regroup(&whole);
    rpi_geom a = random_view(&whole), b = random_view(&whole);
    cells ca = enumerate(&a), cb = enumerate(&b);
    check_pair(&a, &b, bdim, bshape, decomposes(&a, &b, &ca, &cb, bdim, bshape));
    slice_axes(&whole, true); /* boxes of the reshape with unit steps and all axes kept */
    a = whole;
    b = whole;
    slice_axes(&b, true);
    check_pair(&a, &b, bdim, bshape, false);
  }
}

static rpi_geom dense(int32_t ndim, int64_t n0, int64_t n1) {
  const int64_t shape[2] = {n0, n1};
  rpi_geom g;
  rpi_geom_dense(ndim, shape, &g);
  return g;
}

static rpi_geom cut(const rpi_geom *g, int32_t axis, int64_t start, int64_t stop, int64_t step) {
  rpi_geom r;
  assert_int_equal(rpi_geom_slice(g, axis, start, stop, step, &r), RP_OK);
  return r;
}

static void expect(const rpi_geom *a, const rpi_geom *b, int32_t bdim, const int64_t *bshape,
                   bool disjoint, bool covers) {
  rpi_relation r = rpi_geom_relate(a, b, bdim, bshape);
  assert_true(r.exact);
  assert_int_equal(r.disjoint, disjoint);
  assert_int_equal(r.covers, covers);
}

/* The weight 4 of the middle axis is in no stride, only in what they have in common. */
static void test_hidden_weight(void **state) {
  (void)state;
  const int64_t n = 24, shape[3] = {2, 3, 4};
  rpi_geom u = dense(1, n, 0), a, b;
  assert_int_equal(rpi_geom_reshape(&u, 3, shape, &u), RP_OK);
  a = cut(&u, 1, 0, 3, 2);
  a = cut(&a, 2, 1, 3, 1);
  assert_int_equal(rpi_geom_project(&u, 1, 1, &b), RP_OK);
  expect(&a, &b, 1, &n, true, false);
  b = cut(&u, 2, 1, 3, 1);
  expect(&b, &a, 1, &n, false, true);
  expect(&a, &b, 1, &n, false, false);
}

static void test_known_pairs(void **state) {
  (void)state;
  const int64_t n = (int64_t)1 << 40, m = 1000003, bshape[2] = {n / m, m};
  rpi_geom u = dense(1, n, 0), w = dense(2, n / m, m), row, column, edge;
  rpi_geom red = cut(&u, 0, 0, INT64_MAX, 2), black = cut(&u, 0, 1, INT64_MAX, 2);
  expect(&red, &black, 1, &n, true, false); /* red and black */
  expect(&u, &black, 1, &n, false, true);
  rpi_geom back = cut(&u, 0, INT64_MAX, INT64_MIN, -1);
  expect(&back, &u, 1, &n, false, true);
  rpi_geom third = cut(&u, 0, 1, INT64_MAX, 3), seventh = cut(&u, 0, 3, 20, 7);
  expect(&third, &seventh, 1, &n, false, false); /* 10 */
  seventh = cut(&u, 0, 3, 10, 7);
  expect(&third, &seventh, 1, &n, true, false);
  /* edges of a plane, whose corners they share */
  assert_int_equal(rpi_geom_project(&w, 0, 0, &row), RP_OK);
  assert_int_equal(rpi_geom_project(&w, 1, m - 1, &column), RP_OK);
  expect(&row, &column, 2, bshape, false, false);
  edge = cut(&row, 0, 0, -1, 1);
  expect(&edge, &column, 2, bshape, true, false);
  expect(&row, &edge, 2, bshape, false, true);
  expect(&w, &column, 2, bshape, false, true);
  rpi_geom inner = cut(&w, 1, 1, -1, 1);
  expect(&inner, &column, 2, bshape, true, false);
}

/* Long progressions of coprime steps that meet exactly once, at an element chosen beforehand: with
 * the later one cut off before it, they do not. Products here need more than 64 bits. */
static void test_wide_progressions(void **state) {
  (void)state;
  const int64_t size = (int64_t)1 << 62;
  for (int32_t k = 0; k < 1000; k++) {
    const int64_t s = ((int64_t)1 << 40) - 87, t = ((int64_t)1 << 40) + (k % 2 ? 15 : -85);
    int64_t x = pick(size / 4, size / 2), before = pick(1, 1000);
    rpi_geom a = {1, x % s, {(size - 1 - x % s) / s + 1}, {s}};
    rpi_geom b = {1, x % t, {(size - 1 - x % t) / t + 1}, {-t}};
    b.offset += (b.shape[0] - 1) * t;
    expect(&a, &b, 1, &size, false, false);
    b.shape[0] = (b.offset - x) / t; /* runs down to just above x */
    expect(&a, &b, 1, &size, true, false);
    expect(&b, &a, 1, &size, true, false);
    b.shape[0]++;
    expect(&a, &b, 1, &size, false, false);
    a.shape[0] = (x - a.offset) / s + 1; /* x is its last one */
    expect(&a, &b, 1, &size, false, false);
    a.shape[0] -= before;
    expect(&a, &b, 1, &size, true, false);
  }
}

/* Lattices that do not decompose, but lie on different residues. */
static void test_residues(void **state) {
  (void)state;
  const int64_t n = 100;
  const rpi_geom even = {2, 20, {4, 4}, {4, 6}}, odd = {2, 21, {3, 5}, {10, 4}};
  expect(&even, &odd, 1, &n, true, false);
}

static void test_empty(void **state) {
  (void)state;
  const int64_t n = 10;
  rpi_geom u = dense(1, n, 0), none = cut(&u, 0, 3, 3, 1);
  expect(&u, &none, 1, &n, true, true);
  expect(&none, &u, 1, &n, true, false);
  expect(&none, &none, 1, &n, true, true);
  assert_true(rpi_geom_injective(&none, 1, &n));
  const int64_t zero = 0;
  rpi_geom e = dense(1, 0, 0);
  expect(&e, &e, 1, &zero, true, true);
}

static void test_injective(void **state) {
  (void)state;
  const int64_t n = 100;
  const rpi_geom window = {2, 0, {5, 3}, {1, 1}}, diagonal = {1, 0, {10}, {11}},
                 twice = {2, 0, {4, 2}, {1, 0}}, once = {2, 0, {4, 1}, {1, 0}},
                 beyond = {1, 95, {6}, {1}}, knights = {2, 0, {3, 3}, {3, 4}};
  assert_false(rpi_geom_injective(&window, 1, &n));
  assert_true(rpi_geom_injective(&diagonal, 1, &n));
  assert_false(rpi_geom_injective(&twice, 1, &n));
  assert_true(rpi_geom_injective(&once, 1, &n));
  assert_false(rpi_geom_injective(&beyond, 1, &n));
  assert_true(rpi_geom_injective(&knights, 1, &n));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_known_pairs),       cmocka_unit_test(test_empty),
      cmocka_unit_test(test_hidden_weight),     cmocka_unit_test(test_residues),
      cmocka_unit_test(test_wide_progressions), cmocka_unit_test(test_injective),
      cmocka_unit_test(test_views_are_exact),   cmocka_unit_test(test_reshapes_are_exact),
      cmocka_unit_test(test_any_boxes),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  print_message("%d of %d pairs exact\n", (int)n_exact, (int)n_asked);
  return failed;
}
