/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_geom.c -- core/model/geom.c against arrays of indices that are moved one by one.
 *
 * How: a model of a view is its shape and the buffer index of each element in C order. Every view
 *      operation is done on model and box; the box must then enumerate to the model. Whether a
 *      reshape is possible is asked of the elements: does one stride per axis give them? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "core/model/geom.h"
#include "tests/support/pick.h"

__extension__ typedef __int128 wide;

enum { MAX_CELLS = 4096 };

typedef struct model {
  int32_t ndim;
  int64_t shape[RP_MAX_DIM];
  int64_t n;
  int64_t cell[MAX_CELLS];
} model;

static void unrank(int32_t ndim, const int64_t *shape, int64_t at, int64_t *index) {
  for (int32_t d = ndim - 1; d >= 0; d--) {
    index[d] = at % shape[d];
    at /= shape[d];
  }
}

static int64_t rank_of(const model *m, const int64_t *index) {
  int64_t at = 0;
  for (int32_t d = 0; d < m->ndim; d++) at = at * m->shape[d] + index[d];
  return at;
}

static void set_shape(model *m, int32_t ndim, const int64_t *shape) {
  m->ndim = ndim;
  m->n = 1;
  for (int32_t d = 0; d < ndim; d++) {
    m->shape[d] = shape[d];
    m->n *= shape[d];
  }
  assert_true(m->n <= MAX_CELLS);
}

static void check_facts(const rpi_geom *g, const model *m) {
  int64_t lo, hi, least = INT64_MAX, most = INT64_MIN;
  bool dense = true;
  assert_int_equal(g->ndim, m->ndim);
  for (int32_t d = 0; d < m->ndim; d++) assert_int_equal(g->shape[d], m->shape[d]);
  for (int32_t d = m->ndim; d < RP_MAX_DIM; d++) assert_int_equal(g->stride[d], 0);
  assert_int_equal(rpi_geom_size(g), m->n);
  for (int64_t at = 0; at < m->n; at++) {
    int64_t index[RP_MAX_DIM], linear = g->offset;
    unrank(m->ndim, m->shape, at, index);
    for (int32_t d = 0; d < m->ndim; d++) linear += index[d] * g->stride[d];
    assert_int_equal(linear, m->cell[at]);
    if (linear < least) least = linear;
    if (linear > most) most = linear;
    dense = dense && linear == m->cell[0] + at;
  }
  assert_int_equal(rpi_geom_is_dense(g), dense);
  assert_int_equal(rpi_geom_span(g, &lo, &hi), m->n > 0);
  if (m->n > 0) assert_true(lo == least && hi == most);
  assert_true(rpi_geom_equal(g, g));
}

/* ---- one operation on both ------------------------------------------------------------------- */

static int64_t odd_bound(int64_t n) {
  const int64_t special[] = {INT64_MIN, INT64_MAX, INT64_MIN + 1, 0, -1, n, -n, -n - 1};
  return pick(0, 3) == 0 ? special[pick(0, 7)] : pick(-n - 2, n + 2);
}

/* Python's rule, said the slow way: walk from the clamped start while before the clamped stop. */
static void do_slice(rpi_geom *g, model *m) {
  if (m->ndim == 0) return;
  int32_t axis = (int32_t)pick(0, m->ndim - 1);
  int64_t n = m->shape[axis], start = odd_bound(n), stop = odd_bound(n), step = pick(-4, 4);
  if (pick(0, 9) == 0) step = pick(0, 1) ? INT64_MIN : INT64_MAX;
  if (step == 0) {
    assert_int_equal(rpi_geom_slice(g, axis, start, stop, 0, g), RP_ERR_ARGUMENT);
    return;
  }
  assert_int_equal(rpi_geom_slice(g, axis, start, stop, step, g), RP_OK);
  int64_t first = start < 0 ? start + n : start, last = stop < 0 ? stop + n : stop;
  int64_t floor = step < 0 ? -1 : 0, ceiling = step < 0 ? n - 1 : n;
  first = first < floor ? floor : first > ceiling ? ceiling : first;
  last = last < floor ? floor : last > ceiling ? ceiling : last;
  static model r;
  int64_t shape[RP_MAX_DIM], count = 0;
  for (wide x = first; step > 0 ? x < last : x > last; x += step) count++;
  memcpy(shape, m->shape, sizeof shape);
  shape[axis] = count;
  set_shape(&r, m->ndim, shape);
  for (int64_t at = 0; at < r.n; at++) {
    int64_t index[RP_MAX_DIM];
    unrank(r.ndim, r.shape, at, index);
    index[axis] = index[axis] == 0 ? first : first + index[axis] * step;
    r.cell[at] = m->cell[rank_of(m, index)];
  }
  *m = r;
}

static void do_box(rpi_geom *g, model *m) {
  int64_t lo[RP_MAX_DIM] = {0}, hi[RP_MAX_DIM] = {0}, shape[RP_MAX_DIM];
  bool good = true;
  for (int32_t d = 0; d < m->ndim; d++) {
    lo[d] = pick(0, 9) == 0 ? pick(-1, m->shape[d] + 1) : pick(0, m->shape[d] / 2);
    hi[d] = pick(0, 9) == 0 ? pick(-1, m->shape[d] + 1) : pick(m->shape[d] / 2, m->shape[d]);
    good = good && 0 <= lo[d] && lo[d] <= hi[d] && hi[d] <= m->shape[d];
    shape[d] = hi[d] - lo[d];
  }
  assert_int_equal(rpi_geom_box(g, lo, hi, g), good ? RP_OK : RP_ERR_ARGUMENT);
  if (!good) return;
  static model r;
  set_shape(&r, m->ndim, shape);
  for (int64_t at = 0; at < r.n; at++) {
    int64_t index[RP_MAX_DIM];
    unrank(r.ndim, r.shape, at, index);
    for (int32_t d = 0; d < m->ndim; d++) index[d] += lo[d];
    r.cell[at] = m->cell[rank_of(m, index)];
  }
  *m = r;
}

static void do_transpose(rpi_geom *g, model *m) {
  int32_t axes[RP_MAX_DIM];
  int64_t shape[RP_MAX_DIM];
  for (int32_t d = 0; d < m->ndim; d++) axes[d] = d;
  for (int32_t d = m->ndim - 1; d > 0; d--) {
    int32_t k = (int32_t)pick(0, d), t = axes[d];
    axes[d] = axes[k];
    axes[k] = t;
  }
  for (int32_t d = 0; d < m->ndim; d++) shape[d] = m->shape[axes[d]];
  assert_int_equal(rpi_geom_transpose(g, axes, g), RP_OK);
  static model r;
  set_shape(&r, m->ndim, shape);
  for (int64_t at = 0; at < r.n; at++) {
    int64_t index[RP_MAX_DIM], from[RP_MAX_DIM];
    unrank(r.ndim, r.shape, at, index);
    for (int32_t d = 0; d < m->ndim; d++) from[axes[d]] = index[d];
    r.cell[at] = m->cell[rank_of(m, from)];
  }
  *m = r;
}

static void do_promote(rpi_geom *g, model *m) {
  int32_t axis = (int32_t)pick(0, m->ndim);
  int64_t extent = pick(0, 9) == 0 ? 0 : pick(1, 3), shape[RP_MAX_DIM];
  if (m->ndim == RP_MAX_DIM) {
    assert_int_equal(rpi_geom_promote(g, axis, extent, g), RP_ERR_SHAPE);
    return;
  }
  if (m->n * extent > MAX_CELLS) return;
  assert_int_equal(rpi_geom_promote(g, axis, extent, g), RP_OK);
  for (int32_t d = 0; d <= m->ndim; d++)
    shape[d] = d < axis ? m->shape[d] : d == axis ? extent : m->shape[d - 1];
  static model r;
  set_shape(&r, m->ndim + 1, shape);
  for (int64_t at = 0; at < r.n; at++) {
    int64_t index[RP_MAX_DIM];
    unrank(r.ndim, r.shape, at, index);
    for (int32_t d = axis; d < m->ndim; d++) index[d] = index[d + 1];
    r.cell[at] = m->cell[rank_of(m, index)];
  }
  *m = r;
}

static void do_project(rpi_geom *g, model *m) {
  if (m->ndim == 0) return;
  int32_t axis = (int32_t)pick(0, m->ndim - 1);
  int64_t at_axis = pick(-1, m->shape[axis]), shape[RP_MAX_DIM];
  bool good = at_axis >= 0 && at_axis < m->shape[axis];
  assert_int_equal(rpi_geom_project(g, axis, at_axis, g), good ? RP_OK : RP_ERR_ARGUMENT);
  if (!good) return;
  for (int32_t d = 0; d + 1 < m->ndim; d++) shape[d] = m->shape[d < axis ? d : d + 1];
  static model r;
  set_shape(&r, m->ndim - 1, shape);
  for (int64_t at = 0; at < r.n; at++) {
    int64_t index[RP_MAX_DIM];
    unrank(r.ndim, r.shape, at, index);
    for (int32_t d = m->ndim - 1; d > axis; d--) index[d] = index[d - 1];
    index[axis] = at_axis;
    r.cell[at] = m->cell[rank_of(m, index)];
  }
  *m = r;
}

static void do_broadcast(rpi_geom *g, model *m) {
  int32_t ndim = m->ndim + (int32_t)pick(0, 1), lead = ndim - m->ndim;
  int64_t shape[RP_MAX_DIM + 1] = {0}, size = 1;
  bool good = ndim <= RP_MAX_DIM;
  for (int32_t d = 0; d < ndim; d++) {
    int64_t old = d < lead ? 1 : m->shape[d - lead];
    shape[d] = old == 1 || pick(0, 19) == 0 ? pick(0, 3) : old;
    good = good && (old == 1 || old == shape[d]);
    size *= shape[d];
  }
  if (size > MAX_CELLS) return;
  assert_int_equal(rpi_geom_broadcast(g, ndim, shape, g), good ? RP_OK : RP_ERR_SHAPE);
  if (!good) return;
  static model r;
  set_shape(&r, ndim, shape);
  for (int64_t at = 0; at < r.n; at++) {
    int64_t index[RP_MAX_DIM], from[RP_MAX_DIM];
    unrank(r.ndim, r.shape, at, index);
    for (int32_t d = 0; d < m->ndim; d++) from[d] = m->shape[d] == 1 ? 0 : index[d + lead];
    r.cell[at] = m->cell[rank_of(m, from)];
  }
  *m = r;
}

/* Do these elements, in C order under that shape, step evenly along each axis? */
static bool steps_evenly(const model *m) {
  int64_t stride[RP_MAX_DIM], unit = 1;
  if (m->n == 0) return true;
  for (int32_t d = m->ndim - 1; d >= 0; d--) {
    stride[d] = m->shape[d] > 1 ? m->cell[unit] - m->cell[0] : 0;
    unit *= m->shape[d];
  }
  for (int64_t at = 0; at < m->n; at++) {
    int64_t index[RP_MAX_DIM], linear = m->cell[0];
    unrank(m->ndim, m->shape, at, index);
    for (int32_t d = 0; d < m->ndim; d++) linear += index[d] * stride[d];
    if (linear != m->cell[at]) return false;
  }
  return true;
}

static void do_reshape(rpi_geom *g, model *m) {
  int64_t shape[RP_MAX_DIM], given[RP_MAX_DIM], left = m->n;
  int32_t ndim = 0;
  for (; ndim < 5 && left > 1; ndim++) { /* random factors of the size, and extents of 1 */
    shape[ndim] = pick(0, 4) == 0 ? 1 : pick(1, left < 12 ? left : 12);
    while (left % shape[ndim] != 0) shape[ndim]--;
    left /= shape[ndim];
  }
  shape[ndim++] = left;
  for (int32_t k = ndim - 1; k > 0; k--) {
    int32_t j = (int32_t)pick(0, k);
    int64_t t = shape[j];
    shape[j] = shape[k];
    shape[k] = t;
  }
  memcpy(given, shape, sizeof given);
  if (m->n > 0 && pick(0, 1)) given[pick(0, ndim - 1)] = -1;
  static model r;
  r = *m;
  set_shape(&r, ndim, shape);
  bool good = steps_evenly(&r);
  assert_int_equal(rpi_geom_reshape(g, ndim, given, g), good ? RP_OK : RP_ERR_SHAPE);
  if (good) *m = r;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_chains(void **state) {
  (void)state;
  void (*const ops[])(rpi_geom *, model *) = {do_slice,   do_box,     do_transpose,
                                              do_promote, do_project, do_broadcast,
                                              do_reshape, do_slice,   do_reshape};
  static model m;
  for (int32_t k = 0; k < 6000; k++) {
    int64_t shape[RP_MAX_DIM];
    int32_t ndim = (int32_t)pick(0, 4);
    for (int32_t d = 0; d < ndim; d++) shape[d] = pick(0, 29) == 0 ? 0 : pick(1, 6);
    rpi_geom g;
    rpi_geom_dense(ndim, shape, &g);
    set_shape(&m, ndim, shape);
    for (int64_t at = 0; at < m.n; at++) m.cell[at] = at;
    check_facts(&g, &m);
    for (int64_t n = pick(1, 6); n > 0; n--) {
      ops[pick(0, RPI_COUNT(ops) - 1)](&g, &m);
      check_facts(&g, &m);
    }
  }
}

static void test_errors(void **state) {
  (void)state;
  const int64_t shape[2] = {4, 6}, negative[2] = {4, -6}, two_unknown[2] = {-1, -1},
                wrong[2] = {5, 5}, no_fit[2] = {-1, 7}, zero[2] = {-1, 0},
                huge[3] = {INT64_MAX, 2, 0};
  const int32_t twice[2] = {1, 1}, far_axis[2] = {0, 2};
  rpi_geom g, out = {.ndim = 77};
  int64_t size;
  rpi_geom_dense(2, shape, &g);
  assert_int_equal(rpi_geom_slice(&g, 2, 0, 1, 1, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_geom_slice(&g, -1, 0, 1, 1, &out), RP_ERR_ARGUMENT);
  assert_non_null(strstr(rpi_status_message(), "axis is -1"));
  assert_int_equal(rpi_geom_transpose(&g, twice, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_geom_transpose(&g, far_axis, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_geom_promote(&g, 3, 1, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_geom_promote(&g, 0, -1, &out), RP_ERR_ARGUMENT);
  assert_int_equal(rpi_geom_promote(&g, 0, INT64_MAX, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_broadcast(&g, 1, shape, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_broadcast(&g, 2, negative, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_reshape(&g, 2, two_unknown, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_reshape(&g, 2, wrong, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_reshape(&g, 2, no_fit, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_reshape(&g, 2, zero, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_reshape(&g, 2, negative, &out), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_reshape(&g, 9, shape, &out), RP_ERR_SHAPE);
  assert_int_equal(out.ndim, 77); /* a failed call changes nothing */
  assert_int_equal(rpi_geom_check(3, huge, &size), RP_ERR_SHAPE);
  assert_int_equal(rpi_geom_check(1, huge, &size), RP_OK);
  assert_true(size == INT64_MAX);
  assert_int_equal(rpi_geom_check(-1, huge, &size), RP_ERR_SHAPE);
}

/* A merged space must visit the same tuples of elements in the same order. */
static void test_collapse(void **state) {
  (void)state;
  for (int32_t k = 0; k < 5000; k++) {
    int32_t ndim = (int32_t)pick(0, 4), n = (int32_t)pick(1, 3);
    int64_t shape[RP_MAX_DIM], size = 1;
    rpi_geom g[3], before[3];
    for (int32_t d = 0; d < ndim; d++) {
      shape[d] = pick(0, 39) == 0 ? 0 : pick(1, 4);
      size *= shape[d];
    }
    for (int32_t j = 0; j < n; j++) {
      rpi_geom_dense(ndim, shape, &g[j]);
      for (int32_t d = 0; d < ndim; d++) {
        if (pick(0, 5) == 0) g[j].stride[d] = pick(-9, 9);
      }
      if (pick(0, 5) == 0) memset(g[j].stride, 0, sizeof g[j].stride);
      before[j] = g[j];
    }
    int32_t rank = rpi_geom_collapse(g, n);
    assert_true(rank >= 1 && (rank <= ndim || rank == 1));
    for (int32_t j = 0; j < n; j++) {
      assert_int_equal(g[j].ndim, rank);
      assert_int_equal(rpi_geom_size(&g[j]), size);
      assert_memory_equal(g[j].shape, g[0].shape, sizeof g[j].shape);
      for (int64_t at = 0; at < size; at++) {
        int64_t i[RP_MAX_DIM], x = before[j].offset, y = g[j].offset;
        unrank(ndim, shape, at, i);
        for (int32_t d = 0; d < ndim; d++) x += i[d] * before[j].stride[d];
        unrank(rank, g[j].shape, at, i);
        for (int32_t d = 0; d < rank; d++) y += i[d] * g[j].stride[d];
        assert_int_equal(x, y);
      }
    }
    for (int32_t d = 0; d + 1 < rank; d++) { /* nothing left to merge */
      bool merges = true;
      for (int32_t j = 0; j < n; j++)
        merges = merges && g[j].stride[d] == g[j].shape[d + 1] * g[j].stride[d + 1];
      assert_false(merges);
      assert_true(g[0].shape[d] > 1);
    }
  }
}

static void test_equal_and_print(void **state) {
  (void)state;
  const rpi_geom a = {2, 3, {4, 6}, {12, 1}}, b = {2, 3, {4, 6}, {12, 2}},
                 c = {2, 2, {4, 6}, {12, 1}}, one = {2, 3, {1, 6}, {12, 1}},
                 free_stride = {2, 3, {1, 6}, {-5, 1}};
  char text[64], small[6];
  assert_true(rpi_geom_equal(&a, &a));
  assert_false(rpi_geom_equal(&a, &b));
  assert_false(rpi_geom_equal(&a, &c));
  assert_false(rpi_geom_equal(&a, &one));
  assert_true(rpi_geom_equal(&one, &free_stride));
  rpi_geom_print(&a, text, sizeof text);
  assert_string_equal(text, "(4,6):(12,1)@+3");
  rpi_geom_print(&a, small, sizeof small);
  assert_string_equal(small, "(4,6)");
}

/* In a box that ascends elements lie in C order; before counts them. */
static void test_ascends(void **state) {
  (void)state;
  int32_t ascend = 0;
  uint64_t seed = 5;
  for (int32_t k = 0; k < 20000; k++) {
    rpi_geom g = {.ndim = (int32_t)(seed >> 60 & 3)};
    int64_t at[64], n = 0, last = -1;
    bool up = true;
    for (int32_t d = 0; d < g.ndim; d++) {
      seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
      g.shape[d] = (int64_t)(seed >> 40 & 3) + (seed >> 50 & 7 ? 1 : 0);
      g.stride[d] = (int64_t)(seed >> 33 & 15) - 2;
    }
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    g.offset = (int64_t)(seed >> 33 & 15);
    for (int64_t i = 0; i < rpi_geom_size(&g); i++) {
      int64_t rest = i;
      at[n] = g.offset;
      for (int32_t d = g.ndim - 1; d >= 0; d--) {
        at[n] += rest % g.shape[d] * g.stride[d];
        rest /= g.shape[d];
      }
      up = up && (n == 0 || at[n] > last);
      last = at[n++];
    }
    if (!rpi_geom_ascends(&g)) continue;
    ascend++;
    assert_true(up);
    for (int64_t end = 0; end < 200; end++) {
      int64_t before = 0;
      while (before < n && at[before] < end) before++;
      assert_int_equal(rpi_geom_before(&g, end), before);
    }
  }
  assert_true(ascend > 3000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ascends),         cmocka_unit_test(test_chains),
      cmocka_unit_test(test_errors),          cmocka_unit_test(test_collapse),
      cmocka_unit_test(test_equal_and_print),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
