/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_mosaic.c -- pieces of a box: where they travel and which are not empty, against enumeration; and boxes
 * that run along an array's axes in any order and direction, put together by ranks that have their own pieces only. */
#include "tests/support/ranks.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/exec/mosaic.h"
#include "tests/support/pick.h"

enum { AXES = 3, PLACES = 5 };

/* Begins as lists: any that do not decrease. */
typedef struct begins {
  int64_t at[AXES][PLACES + 1];
} begins;

static int64_t begin(const void *arg, int32_t k, int32_t at) {
  return ((const begins *)arg)->at[k][at];
}

static int32_t count_ranks(const rpi_mosaic *m) {
  int32_t n = 1;
  for (int32_t k = 0; k < m->n; k++) n *= m->ranks[k];
  return n;
}

/* Axes of the grid cut the box's axes in any order; of those without one, one place has all. */
static rpi_mosaic any_mosaic(int32_t n, const int32_t *ranks, begins *b, rpi_geom *box) {
  rpi_mosaic m = {.n = n, .begin = begin, .arg = b};
  int64_t shape[RP_MAX_DIM];
  int32_t order[AXES] = {0, 1, 2};
  for (int32_t k = n - 1; k > 0; k--) {
    const int32_t other = (int32_t)pick(0, k), was = order[k];
    order[k] = order[other];
    order[other] = was;
  }
  for (int32_t k = 0; k < n; k++) {
    m.ranks[k] = ranks[k];
    m.axis[k] = pick(0, 4) ? order[k] : -1;
    m.extent[k] = m.axis[k] < 0 ? 1 : pick(1, 9);
    shape[order[k]] = m.axis[k] < 0 ? pick(1, 3) : m.extent[k];
    b->at[k][0] = 0;
    b->at[k][ranks[k]] = m.extent[k];
    for (int32_t r = 1; r < ranks[k]; r++) b->at[k][r] = pick(b->at[k][r - 1], m.extent[k]);
  }
  rpi_geom_dense(n, shape, box);
  return m;
}

static int64_t points_of(const rpi_mosaic *m, int64_t all, int32_t rank) {
  for (int32_t k = 0; k < m->n; k++) all /= m->extent[k];
  for (int32_t k = m->n - 1; k >= 0; k--) {
    const int32_t at = rank % m->ranks[k];
    all *= begin(m->arg, k, at + 1) - begin(m->arg, k, at);
    rank /= m->ranks[k];
  }
  return all;
}

static void test_pieces(void **state) {
  (void)state;
  for (int turn = 0; turn < 5000; turn++) {
    begins b;
    rpi_geom box;
    const int32_t ranks[AXES] = {(int32_t)pick(1, PLACES), (int32_t)pick(1, PLACES),
                                 (int32_t)pick(1, PLACES)};
    const rpi_mosaic m = any_mosaic((int32_t)pick(1, AXES), ranks, &b, &box);
    const int64_t all = rpi_geom_size(&box);
    int64_t before = 0;
    int32_t next = rpi_mosaic_next(&m, 0);
    for (int32_t r = 0; r < count_ranks(&m); r++) {
      const int64_t mine = points_of(&m, all, r);
      assert_int_equal(rpi_mosaic_before(&m, all, r), before);
      before += mine;
      assert_int_equal(next == r, mine > 0);
      if (next == r) next = rpi_mosaic_next(&m, r + 1);
    }
    assert_int_equal(rpi_mosaic_before(&m, all, count_ranks(&m)), before);
    assert_int_equal(before, all);
    assert_int_equal(next, count_ranks(&m));
  }
}

/* As many ranks as nobody could go through. */
static int64_t spread(const void *arg, int32_t k, int32_t at) {
  (void)arg, (void)k;
  return at / (1 << 13);
}

static void test_many(void **state) {
  (void)state;
  const rpi_mosaic m = {
      .n = 2, .ranks = {1 << 15, 1 << 15}, .axis = {0, 1}, .extent = {4, 4}, .begin = spread};
  int32_t found = 0, rank = rpi_mosaic_next(&m, 0);
  for (; rank < 1 << 30; rank = rpi_mosaic_next(&m, rank + 1)) {
    assert_int_equal(rpi_mosaic_before(&m, 16, rank), found);
    found++;
  }
  assert_int_equal(found, 16);
  const rpi_mosaic none = {
      .n = 2, .ranks = {1 << 15, 1 << 15}, .axis = {0, 1}, .extent = {4, 0}, .begin = spread};
  assert_int_equal(rpi_mosaic_next(&none, 0), 1 << 30);
}

/* ---- together ---- */

enum { ROOM = 4096 };

typedef struct picture {
  rpi_mosaic m;
  begins b;
  rpi_geom there, here;
  int64_t points;
  int32_t owner[ROOM]; /* of each element of the array; -1: none is asked for */
} picture;

static int64_t element(const rpi_geom *g, int64_t i) {
  int64_t e = g->offset;
  for (int32_t d = g->ndim - 1; d >= 0; d--) {
    e += i % g->shape[d] * g->stride[d];
    i /= g->shape[d];
  }
  return e;
}

/* Whose piece has the i-th point of the box. */
static int32_t owner_of(const picture *p, int64_t i) {
  int64_t at[RP_MAX_DIM] = {0};
  int32_t rank = 0;
  for (int32_t d = p->there.ndim - 1; d >= 0; d--) {
    at[d] = i % p->there.shape[d];
    i /= p->there.shape[d];
  }
  for (int32_t k = 0; k < p->m.n; k++) {
    const int64_t x = p->m.axis[k] < 0 ? 0 : at[p->m.axis[k]];
    int32_t place = 0;
    while (p->b.at[k][place + 1] <= x) place++;
    rank = rank * p->m.ranks[k] + place;
  }
  return rank;
}

/* What others have is not there before; what was in memory beside the box stays. */
static rp_status puts_together(one_rank *r) {
  const picture *p = r->shared;
  int32_t array[ROOM], box[ROOM];
  for (int32_t e = 0; e < ROOM; e++) array[e] = p->owner[e] == r->rank ? 7 * e : -1;
  for (int32_t i = 0; i < ROOM; i++) box[i] = -5;
  RPI_TRY(rpi_mosaic_gather(r->comm, &p->m, sizeof *array, &p->there, array, &p->here, box));
  for (int64_t i = 0; i < p->points; i++) {
    const int64_t at = element(&p->here, i);
    r->wrong += box[at] != 7 * element(&p->there, i);
    box[at] = -5;
  }
  for (int32_t i = 0; i < ROOM; i++) r->wrong += box[i] != -5;
  return RP_OK;
}

/* A box with gaps, of which some axes run backwards. */
static rpi_geom any_place(const rpi_geom *box) {
  rpi_geom g = *box;
  int64_t stride = pick(1, 2);
  g.offset = pick(0, 5);
  for (int32_t d = g.ndim - 1; d >= 0; d--) {
    g.stride[d] = stride;
    stride *= g.shape[d] + pick(0, 1);
    if (pick(0, 3)) continue;
    g.offset += (g.shape[d] - 1) * g.stride[d];
    g.stride[d] = -g.stride[d];
  }
  return g;
}

static void test_together(void **state) {
  (void)state;
  static const int32_t grids[][AXES] = {{1, 1, 1}, {2, 1, 1}, {1, 3, 1}, {2, 2, 1},
                                        {3, 1, 2}, {2, 2, 2}, {3, 4, 1}, {2, 2, 3}};
  one_rank all[RANKS_MOST];
  picture *p = malloc(sizeof *p);
  assert_non_null(p);
  for (int turn = 0; turn < 40; turn++) {
    rpi_geom box;
    p->m = any_mosaic(AXES, grids[turn % 8], &p->b, &box);
    p->there = any_place(&box);
    p->here = any_place(&box);
    p->points = rpi_geom_size(&box);
    for (int32_t e = 0; e < ROOM; e++) p->owner[e] = -1;
    for (int64_t i = 0; i < p->points; i++) p->owner[element(&p->there, i)] = owner_of(p, i);
    ranks_run(all, count_ranks(&p->m), puts_together, p, 60);
    ranks_fine(all, count_ranks(&p->m));
  }
  free(p);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces), cmocka_unit_test(test_many),
                                     cmocka_unit_test(test_together)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
