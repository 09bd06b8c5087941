/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_subtree.c -- joint reductions: ranges of rows and boxes of grids of ranks give the bits of one process,
 * whatever the cuts; lists stay within their room; and the same over messages. */
#include "tests/support/ranks.h"

#include <stdlib.h>

#include "core/comm/collect.h"
#include "core/model/dtype.h"
#include "jit/finish.h"
#include "jit/subtree.h"

enum { MOST_REDS = 24, MOST_RANKS = 12, FENCE = 64 };

static uint64_t seed;
static uint64_t rnd(uint64_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (seed >> 33) % n;
}

/* ---- a kernel, its space and its partials ---- */

static const struct form {
  rpi_redop op;
  rp_dtype dtype;
} forms[] = {
    {RPI_RED_SUM, RP_F64},  {RPI_RED_SUM, RP_F32},  {RPI_RED_PROD, RP_F64}, {RPI_RED_PROD, RP_F32},
    {RPI_RED_MIN, RP_F64},  {RPI_RED_MAX, RP_F64},  {RPI_RED_MIN, RP_F32},  {RPI_RED_MAX, RP_F32},
    {RPI_RED_SUM, RP_I8},   {RPI_RED_SUM, RP_I64},  {RPI_RED_PROD, RP_U16}, {RPI_RED_PROD, RP_I32},
    {RPI_RED_MIN, RP_I16},  {RPI_RED_MAX, RP_U64},  {RPI_RED_AND, RP_U8},   {RPI_RED_AND, RP_I64},
    {RPI_RED_OR, RP_U32},   {RPI_RED_OR, RP_I16},   {RPI_RED_XOR, RP_I32},  {RPI_RED_XOR, RP_U64},
    {RPI_RED_ANY, RP_BOOL}, {RPI_RED_ALL, RP_BOOL}, {RPI_RED_SUM, RP_F64},  {RPI_RED_SUM, RP_U32},
};

/* One reduction of each form over the axes of `mask`; the last two join with an old value. */
typedef struct work {
  rpi_ir ir;
  rpi_ir_layout l;
  int64_t extent[RP_MAX_DIM], results;
  void *partial[MOST_REDS], *old[MOST_REDS], *want[MOST_REDS];
} work;

static int64_t size_of(const work *k, int32_t r) { return rpi_dtype_size(k->ir.operand[r].dtype); }

/* Sums and products of these round differently in each order; in some lists there are special ones. */
static void fill(rpi_redop op, rp_dtype t, void *to, int64_t n) {
  static const double special[] = {__builtin_inf(), -__builtin_inf(), -0.0, 0.0, 1e300, -1e300};
  const bool has_nan = rnd(8) == 0, has_special = rnd(4) == 0;
  for (int64_t i = 0; i < n; i++) {
    const double unit = (double)rnd(1 << 30) / (1 << 30) / 1.1;
    double f = op == RPI_RED_PROD ? 0.6 + unit : (unit - 0.45) * (double)(1 << rnd(20));
    if (has_special && rnd(9) == 0) f = special[rnd(6)];
    if (has_nan && rnd(40) == 0) f = __builtin_nan("");
    const uint64_t bits = rnd(1u << 31) << 33 ^ rnd(1u << 31) << 10 ^ rnd(1u << 31);
    if (t == RP_F64)
      ((double *)to)[i] = f;
    else if (t == RP_F32)
      ((float *)to)[i] = f > 1e30 ? 1e30f : f < -1e30 ? -1e30f : (float)f;
    else if (t == RP_BOOL)
      ((uint8_t *)to)[i] = (uint8_t)(bits & 1);
    else
      memcpy((char *)to + i * rpi_dtype_size(t), &bits, (size_t)rpi_dtype_size(t));
  }
}

static rpi_word *words_of(const work *k, const int64_t *extent, void *const *partial,
                          void *const *out) {
  rpi_word *w = calloc((size_t)k->l.n_words, sizeof *w);
  for (int32_t d = 0; d < k->ir.rank; d++) w[k->l.extent + d].i = extent[d];
  for (int32_t r = 0; r < k->ir.n_red; r++) {
    int64_t stride = 1;
    for (int32_t d = k->ir.rank - 1; d >= 0; d--) {
      if (k->ir.red[r].mask >> d & 1) continue;
      w[rpi_ir_layout_stride(&k->ir, &k->l, r) + d].i = stride;
      stride *= k->extent[d];
    }
    w[k->l.ptr + r].p = out[r];
    w[k->l.partial + r].p = partial[r];
  }
  return w;
}

/* Copies of all that a rank, or one process, changes. */
static void copies(const work *k, void *const *from, int64_t n, void **to) {
  for (int32_t r = 0; r < k->ir.n_red; r++) {
    to[r] = malloc((size_t)(n * size_of(k, r)) + 1);
    memcpy(to[r], from[r], (size_t)(n * size_of(k, r)));
  }
}

static void drop(void **p) {
  for (int32_t r = 0; r < MOST_REDS; r++) free(p[r]), p[r] = NULL;
}

static void work_begin(work *k, int32_t rank, const int64_t *extent, int32_t mask, int32_t n_red) {
  *k = (work){.results = 1};
  rpi_ir_init(&k->ir, rank);
  memcpy(k->extent, extent, sizeof *extent * (size_t)rank);
  for (int32_t d = 0; d < rank; d++) k->results *= mask >> d & 1 ? 1 : extent[d];
  const int64_t n_forms = RPI_COUNT(forms), from = n_red < n_forms ? (int64_t)rnd(24) : 0;
  for (int32_t r = 0; r < n_red; r++) {
    const struct form f = forms[(from + r) % n_forms];
    rpi_ir_operand o = {
        .dtype = (uint8_t)f.dtype, .rank = (uint8_t)rank, .access = RPI_ACCESS_REDUCE};
    for (int32_t d = 0; d < rank; d++)
      o.sclass[d] = mask >> d & 1 ? RPI_STRIDE_ZERO : RPI_STRIDE_ANY;
    rpi_ir_operand_add(&k->ir, &o);
    rpi_ir_red_add(&k->ir, &(rpi_ir_red){.operand = (uint16_t)r,
                                         .op = (uint8_t)f.op,
                                         .join = (from + r) % n_forms >= 22,
                                         .mask = (uint8_t)mask});
  }
  rpi_ir_layout_get(&k->ir, &k->l);
  const int64_t n = rpi_ir_partials(&k->ir, k->extent);
  for (int32_t r = 0; r < n_red; r++) {
    k->partial[r] = malloc((size_t)(n * size_of(k, r)) + 1);
    k->old[r] = malloc((size_t)(k->results * size_of(k, r)));
    fill((rpi_redop)k->ir.red[r].op, k->ir.operand[r].dtype, k->partial[r], n);
    fill((rpi_redop)k->ir.red[r].op, k->ir.operand[r].dtype, k->old[r], k->results);
  }
  void *mine[MOST_REDS] = {0};
  copies(k, k->partial, n, mine);
  copies(k, k->old, k->results, k->want);
  rpi_word *w = words_of(k, k->extent, mine, k->want);
  rpi_finish_all(&k->ir, &k->l, w);
  free(w);
  drop(mine);
}

static void work_end(work *k) {
  drop(k->partial), drop(k->old), drop(k->want);
  rpi_ir_deinit(&k->ir);
}

static bool is_nan(rp_dtype t, const char *v) {
  double f = 0;
  float g = 0;
  if (t == RP_F64) memcpy(&f, v, sizeof f);
  if (t == RP_F32) memcpy(&g, v, sizeof g);
  return f != f || g != g;
}

/* How many results are not those of one process: to the bit, but NaN is one value. */
static int64_t wrong_results(const work *k, void *const *out) {
  int64_t wrong = 0;
  for (int32_t r = 0; r < k->ir.n_red; r++) {
    const rp_dtype t = k->ir.operand[r].dtype;
    for (int64_t i = 0; i < k->results; i++) {
      const char *a = (char *)out[r] + i * size_of(k, r),
                 *b = (char *)k->want[r] + i * size_of(k, r);
      wrong += memcmp(a, b, (size_t)size_of(k, r)) != 0 && !(is_nan(t, a) && is_nan(t, b));
    }
  }
  return wrong;
}

/* ---- a grid of ranks ---- */

typedef struct grid {
  work *k;
  int32_t n[RP_MAX_DIM], ranks;           /* cells of each axis */
  int64_t at[RP_MAX_DIM][MOST_RANKS + 1]; /* its cuts */
  int64_t most[RP_MAX_DIM], room;
} grid;

/* Cuts anywhere, on the last axis at leaves; `even`: parts of the same size, where they can be. */
static void grid_cut(grid *g, bool even) {
  const int32_t rank = g->k->ir.rank;
  g->ranks = 1;
  for (int32_t d = 0; d < rank; d++) {
    const int64_t unit = d == rank - 1 ? RPI_LEAF : 1, end = g->k->extent[d];
    const int64_t units = (end + unit - 1) / unit;
    int64_t *at = g->at[d];
    g->ranks *= g->n[d];
    at[0] = 0;
    for (int32_t i = 1; i < g->n[d]; i++) {
      at[i] = even ? (units + g->n[d] - 1) / g->n[d] * i : (int64_t)rnd((uint64_t)units + 1);
      for (int32_t j = i; j > 1 && at[j] < at[j - 1]; j--) {
        const int64_t other = at[j];
        at[j] = at[j - 1], at[j - 1] = other;
      }
    }
    g->at[d][g->n[d]] = end;
    g->most[d] = 0;
    for (int32_t i = 1; i < g->n[d]; i++) at[i] = at[i] * unit < end ? at[i] * unit : end;
    for (int32_t i = 0; i < g->n[d]; i++)
      if (at[i + 1] - at[i] > g->most[d]) g->most[d] = at[i + 1] - at[i];
  }
  assert_true(g->ranks <= MOST_RANKS);
  g->room = rpi_subtree_room(&g->k->ir, g->k->extent, g->most);
}

/* A rank's own: memory that ends with a fence behind its room. */
typedef struct part {
  char *list, *spare;
  int64_t bytes;
} part;

static void part_begin(part *p, int64_t room) {
  *p = (part){.list = malloc((size_t)room + FENCE), .spare = malloc((size_t)room + FENCE)};
  memset(p->list + room, '#', FENCE);
  memset(p->spare + room, '#', FENCE);
}

static int64_t part_wrong(const part *p, int64_t room) {
  int64_t wrong = p->bytes > room;
  for (int32_t i = 0; i < FENCE; i++)
    wrong += p->list[room + i] != '#' || p->spare[room + i] != '#';
  return wrong;
}

static void part_end(part *p) { free(p->list), free(p->spare); }

/* The partials that a rank's box has, as its kernel leaves them; their number. */
static int64_t box_partials(const grid *g, int32_t rank, int64_t *origin, int64_t *extent,
                            void **partial) {
  const int32_t axes = g->k->ir.rank;
  int64_t n = 0, index[RP_MAX_DIM] = {0};
  for (int32_t d = axes - 1; d >= 0; d--) {
    const int64_t *at = &g->at[d][rank % g->n[d]];
    origin[d] = at[0], extent[d] = at[1] - at[0];
    rank /= g->n[d];
  }
  const int64_t units = rpi_ir_units(&g->k->ir, extent);
  const int64_t leaves = (g->k->extent[axes - 1] + RPI_LEAF - 1) / RPI_LEAF;
  const int64_t mine = (extent[axes - 1] + RPI_LEAF - 1) / RPI_LEAF;
  for (int32_t r = 0; r < g->k->ir.n_red; r++)
    partial[r] = malloc((size_t)(units * size_of(g->k, r)) + 1);
  for (; n < units; n += mine) {
    int64_t row = 0;
    for (int32_t d = 0; d < axes - 1; d++) row = row * g->k->extent[d] + origin[d] + index[d];
    const int64_t from = row * leaves + origin[axes - 1] / RPI_LEAF;
    for (int32_t r = 0; r < g->k->ir.n_red; r++) {
      const int64_t size = size_of(g->k, r);
      memcpy((char *)partial[r] + n * size, (char *)g->k->partial[r] + from * size,
             (size_t)(mine * size));
    }
    for (int32_t d = axes - 2; d >= 0 && ++index[d] == extent[d]; d--) index[d] = 0;
  }
  return units;
}

static void box_list(const grid *g, int32_t rank, part *p) {
  int64_t origin[RP_MAX_DIM], extent[RP_MAX_DIM];
  void *partial[MOST_REDS] = {0}, *out[MOST_REDS] = {0};
  const int64_t units = box_partials(g, rank, origin, extent, partial);
  rpi_word *w = words_of(g->k, extent, partial, out);
  p->bytes = rpi_subtree_list(&g->k->ir, &g->k->l, w, g->k->extent, origin, 0, units, p->list);
  free(w);
  drop(partial);
}

static int64_t deliver_wrong(const work *k, const part *p) {
  void *out[MOST_REDS] = {0}, *none[MOST_REDS] = {0};
  copies(k, k->old, k->results, out);
  rpi_word *w = words_of(k, k->extent, none, out);
  const int64_t read = rpi_subtree_deliver(&k->ir, &k->l, w, p->list);
  const int64_t wrong = wrong_results(k, out) + (read != p->bytes);
  free(w);
  drop(out);
  return wrong;
}

/* Joins the lists of ranks as rpi_collect_merge does: what is beyond a power of two with its neighbour, then blocks
 * of 2, 4, ... */
static void join_all(part *all, int32_t ranks, int64_t room) {
  part *of[MOST_RANKS];
  int32_t numbers = 1;
  while (numbers <= ranks / 2) numbers *= 2;
  const int32_t pairs = ranks - numbers;
  for (int32_t i = 0; i < numbers; i++) {
    of[i] = &all[i < pairs ? 2 * i : i + pairs];
    if (i < pairs)
      rpi_subtree_join(of[i]->spare, of[i]->list, &of[i]->bytes, of[i][1].list, of[i][1].bytes);
    assert_int_equal(part_wrong(of[i], room), 0);
  }
  for (int32_t d = 1; d < numbers; d *= 2)
    for (int32_t i = 0; i < numbers; i += 2 * d) {
      rpi_subtree_join(of[i]->spare, of[i]->list, &of[i]->bytes, of[i + d]->list, of[i + d]->bytes);
      assert_int_equal(part_wrong(of[i], room), 0);
    }
}

static void describe(const grid *g, int64_t wrong) {
  if (!wrong) return;
  for (int32_t d = 0; d < g->k->ir.rank; d++) {
    print_message("axis %d of %lld:", d, (long long)g->k->extent[d]);
    for (int32_t i = 0; i <= g->n[d]; i++) print_message(" %lld", (long long)g->at[d][i]);
    print_message("\n");
  }
  fail_msg("%lld results are wrong", (long long)wrong);
}

static void grid_check(grid *g) {
  part all[MOST_RANKS];
  for (int32_t i = 0; i < g->ranks; i++) {
    part_begin(&all[i], g->room);
    box_list(g, i, &all[i]);
    describe(g, part_wrong(&all[i], g->room));
  }
  join_all(all, g->ranks, g->room);
  describe(g, deliver_wrong(g->k, &all[0]));
  for (int32_t i = 0; i < g->ranks; i++) part_end(&all[i]);
}

/* ---- boxes ---- */

static const struct shape {
  int32_t rank, n[3];
} shapes[] = {
    {2, {1, 1}},    {2, {2, 2}},    {2, {2, 3}},    {2, {3, 2}},    {2, {4, 1}},    {2, {1, 4}},
    {2, {1, 7}},    {2, {5, 2}},    {2, {3, 4}},    {3, {2, 2, 2}}, {3, {1, 2, 3}}, {3, {3, 2, 1}},
    {3, {2, 1, 3}}, {3, {2, 3, 2}}, {3, {3, 2, 2}}, {3, {1, 5, 1}}, {1, {3}},       {1, {8}},
};
static const int64_t lasts[] = {1,    1000, 1024,         2048,          2500,
                                5000, 6144, 1024 * 7 + 3, 1024 * 16 + 1, 1024 * 29};

static void grid_begin(grid *g, work *k, const struct shape *s, int64_t last, int64_t rows,
                       int32_t n_red) {
  int64_t extent[3] = {rows, last, last};
  if (s->rank == 3) extent[0] = 1 + (int64_t)rnd(9), extent[1] = (rows + extent[0] - 1) / extent[0];
  extent[s->rank - 1] = last;
  work_begin(k, s->rank, extent, (1 << s->rank) - 1, n_red);
  *g = (grid){.k = k};
  for (int32_t d = 0; d < s->rank; d++) g->n[d] = s->n[d];
}

/* Every grid, last axis and number of rows, with some of the operators each. */
static void test_boxes(void **state) {
  (void)state;
  seed = 1;
  for (int32_t s = 0; s < RPI_COUNT(shapes); s++)
    for (int32_t n = 0; n < RPI_COUNT(lasts); n++)
      for (int64_t rows = 1; rows <= 70; rows++) {
        work k;
        grid g;
        grid_begin(&g, &k, &shapes[s], lasts[n], rows, 4);
        for (int32_t i = 0; i < 3; i++) {
          grid_cut(&g, i == 0);
          grid_check(&g);
        }
        work_end(&k);
      }
}

/* All operators at once, whose lists follow each other. */
static void test_operators(void **state) {
  (void)state;
  seed = 2;
  for (int32_t i = 0; i < 400; i++) {
    work k;
    grid g;
    grid_begin(&g, &k, &shapes[rnd((uint64_t)RPI_COUNT(shapes))],
               lasts[rnd((uint64_t)RPI_COUNT(lasts))], 1 + (int64_t)rnd(70), MOST_REDS);
    grid_cut(&g, false);
    grid_check(&g);
    work_end(&k);
  }
}

/* Where no axis but the first is cut a list is as short as of a range of rows; a cut of the last leaves its nodes of each
 * row; and what all ranks have together is one node. */
static void test_sizes(void **state) {
  (void)state;
  seed = 3;
  work k;
  work_begin(&k, 2, (int64_t[]){64, 8 * RPI_LEAF}, 3, 1);
  const int64_t root = rpi_subtree_room(&k.ir, k.extent, k.extent);
  for (int32_t columns = 1; columns <= 2; columns++) {
    grid g = {.k = &k, .n = {2, columns}};
    part all[4];
    grid_cut(&g, true);
    assert_true(columns == 1 ? g.room == root : g.room > 64 * 16);
    for (int32_t i = 0; i < g.ranks; i++) {
      part_begin(&all[i], g.room);
      box_list(&g, i, &all[i]);
    }
    const int64_t of_one = all[0].bytes;
    join_all(all, g.ranks, g.room);
    /* A node is 24 bytes: 32 rows, or halves of rows, before. */
    assert_int_equal(of_one, all[0].bytes + (columns == 1 ? 0 : 31 * 24));
    for (int32_t i = 0; i < g.ranks; i++) part_end(&all[i]);
  }
  work_end(&k);
}

/* ---- over messages ---- */

static rp_status merges(one_rank *r) {
  const grid *g = r->shared;
  part p;
  part_begin(&p, g->room);
  box_list(g, r->rank, &p);
  rp_status st = rpi_collect_merge(r->comm, p.list, &p.bytes, g->room, rpi_subtree_join, p.spare);
  if (st == RP_OK) r->wrong = part_wrong(&p, g->room) + deliver_wrong(g->k, &p);
  part_end(&p);
  return st;
}

static void test_ranks(void **state) {
  (void)state;
  seed = 4;
  for (int32_t s = 0; s < RPI_COUNT(shapes); s++)
    for (int32_t i = 0; i < 2; i++) {
      one_rank all[RANKS_MOST];
      work k;
      grid g;
      grid_begin(&g, &k, &shapes[s], lasts[rnd((uint64_t)RPI_COUNT(lasts))], 1 + (int64_t)rnd(40),
                 8);
      grid_cut(&g, i == 0);
      ranks_run(all, g.ranks, merges, &g, 60);
      ranks_fine(all, g.ranks);
      work_end(&k);
    }
}

/* ---- ranges of rows ---- */

/* Of each reduction the axes of `mask`; rows at[i]..at[i+1]-1 of the first axis, in units, are rank i's. */
static void ranges_check(work *k, int32_t ranks, int64_t step, int64_t step_units) {
  const int64_t room = rpi_subtree_room(&k->ir, k->extent, NULL);
  const int64_t units = rpi_ir_units(&k->ir, k->extent), steps = (k->extent[0] + step - 1) / step;
  int64_t at[MOST_RANKS + 1] = {0};
  part all[MOST_RANKS];
  void *mine[MOST_REDS] = {0}, *out[MOST_REDS] = {0};
  for (int32_t i = 1; i < ranks; i++)
    at[i] = at[i - 1] + (int64_t)rnd((uint64_t)(steps - at[i - 1]) + 1);
  at[ranks] = steps;
  copies(k, k->partial, rpi_ir_partials(&k->ir, k->extent), mine);
  rpi_word *w = words_of(k, k->extent, mine, out);
  for (int32_t i = 0; i < ranks; i++) {
    const int64_t from = at[i] * step_units < units ? at[i] * step_units : units;
    const int64_t to = at[i + 1] * step_units < units ? at[i + 1] * step_units : units;
    part_begin(&all[i], room);
    all[i].bytes = rpi_subtree_list(&k->ir, &k->l, w, NULL, NULL, from, to, all[i].list);
    assert_int_equal(part_wrong(&all[i], room), 0);
  }
  join_all(all, ranks, room);
  assert_int_equal(deliver_wrong(k, &all[0]), 0);
  for (int32_t i = 0; i < ranks; i++) part_end(&all[i]);
  free(w);
  drop(mine);
}

static void test_ranges(void **state) {
  (void)state;
  seed = 5;
  for (int32_t i = 0; i < 600; i++) {
    const int32_t ranks = 1 + (int32_t)rnd(7), rows = 1 + (int32_t)rnd(70);
    const int64_t last = lasts[rnd(9)], line = 1 + (int64_t)rnd(40000),
                  tall = 1 + (int64_t)rnd(3000);
    work k;
    work_begin(&k, 1, &line, 1, 5);
    ranges_check(&k, ranks, RPI_LEAF, 1);
    work_end(&k);
    work_begin(&k, 2, (int64_t[]){rows, last}, 3, 5);
    ranges_check(&k, ranks, 1, (last + RPI_LEAF - 1) / RPI_LEAF);
    work_end(&k);
    work_begin(&k, 3, (int64_t[]){rows, 5, last}, 5, 5); /* the middle axis is kept */
    ranges_check(&k, ranks, 1, 5 * ((last + RPI_LEAF - 1) / RPI_LEAF));
    work_end(&k);
    work_begin(&k, 2, (int64_t[]){tall, 3}, 1, 5); /* ROW mode */
    ranges_check(&k, ranks, RPI_ROW_LEAF, 1);
    work_end(&k);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_boxes), cmocka_unit_test(test_operators), cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_ranks), cmocka_unit_test(test_ranges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
