/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_cuda_frame.c -- partials of every number of rows, groups and kept indices are joined in the order of the
 * pairwise tree, whether the last block does it, many blocks do an index each, or many blocks parts of few. Without a C
 * compiler nothing is tested. */
#include "tests/support/cuda_bench.h"

enum { ROOM = 1 << 18 };

/* As in jit/cuda_frame.h. */
typedef struct finish {
  int32_t rank, mask;
  int64_t groups, step;
  int64_t extent[RP_MAX_DIM], stride[RP_MAX_DIM];
} finish;
typedef struct arguments {
  finish f;
  double *from, *to;
  uint32_t *flag;
  int64_t join;
} arguments;

/* What brings the words, the frame and RPG_FINISH(sum, f64); then a launch of it in two stages, or in one. */
static const char total[] = "kernel rank 1\n"
                            "operand @0: f64 affine [unit] read\n"
                            "operand @1: f64 affine [zero] reduce\n"
                            "reduction #0: sum into @1 over 0\n"
                            "body:\n"
                            "  %0 = load.f64 @0\n"
                            "  reduce.f64 #0, %0\n";
static const char launches[] =
    "struct join_args { rpk_finish f; double *from, *to; uint32_t *flag; int64_t join; };\n"
    "RPG_KERNEL(two_stages, join_args) {\n"
    "  rpk_finish_sum_f64(&a.f, a.from, a.to, (int)a.join, RPK_FIRST, RPG_BLOCK, RPG_BLOCKS);\n"
    "  if (!rpk_last(a.flag)) return;\n"
    "  rpk_finish_sum_f64(&a.f, a.from, a.to, (int)a.join, RPK_REST, 0, RPG_BLOCKS);\n"
    "}\n"
    "RPG_KERNEL(one_stage, join_args) {\n"
    "  rpk_finish_sum_f64(&a.f, a.from, a.to, (int)a.join, RPK_ALL, 0, 1);\n"
    "}\n";

static double tree(double *v, int64_t n) {
  for (int64_t h = 1; h < n; h *= 2)
    for (int64_t i = 0; i + h < n; i += 2 * h) v[i] += v[i + h];
  return v[0];
}

/* Kept index k: rows of groups, as they lie in memory. */
static double expected(const finish *f, const double *from, int64_t k, int64_t rows, double *room) {
  double *const row = room + rows;
  const int64_t inner = f->rank > 2 ? f->extent[2] : 1; /* reduced axes: 0, or 0 and 2 */
  for (int64_t r = 0; r < rows; r++) {
    const int64_t at =
        f->step > 0 ? k : ((r / inner * f->extent[1] + k) * inner + r % inner) * f->groups;
    for (int64_t g = 0; g < f->groups; g++) row[g] = from[at + g * (f->step > 0 ? f->step : 1)];
    room[r] = tree(row, f->groups);
  }
  return tree(room, rows);
}

static void check(struct threads_hooks *hooks, void (*run)(const void *), const finish *f,
                  int64_t kept, int64_t rows, int32_t blocks) {
  static double start[ROOM], from[ROOM], to[ROOM], room[ROOM];
  const int64_t n = kept * rows * f->groups;
  uint32_t flag[4] = {0};
  if (n > ROOM || rows + f->groups > ROOM) fail_msg("%d partials", (int)n);
  for (int64_t i = 0; i < n; i++) from[i] = start[i] = (double)(bench_next() >> 11) * 0x1p-53 - 0.4;
  for (int64_t k = 0; k < kept; k++) to[k] = 0.25;
  const arguments a = {.f = *f, .from = from, .to = to, .flag = flag, .join = bench_below(2)};
  threads_launch(hooks, run, &a, blocks, RPI_CUDA_BLOCK);
  assert_int_equal(flag[1], 0);
  for (int64_t k = 0; k < kept; k++) {
    const double v = expected(f, start, k, rows, room) + (a.join ? 0.25 : 0.0);
    if (memcmp(&v, &to[k], sizeof v) != 0)
      fail_msg("%d rows of %d groups, index %d of %d, %d blocks: %a is not %a", (int)rows,
               (int)f->groups, (int)k, (int)kept, (int)blocks, to[k], v);
  }
}

/* Rows and groups of a kept index, in both layouts. */
static void check_shape(struct threads_hooks *hooks, void *so, int64_t kept, int64_t outer,
                        int64_t inner, int64_t groups) {
  static const int32_t blocks[] = {1, 3, 40};
  void (*run)(const void *);
  for (int32_t i = 0; i <= RPI_COUNT(blocks); i++) {
    *(void **)&run = dlsym(so, i < RPI_COUNT(blocks) ? "two_stages" : "one_stage");
    const int32_t n = i < RPI_COUNT(blocks) ? blocks[i] : 1;
    finish f = {.rank = 3,
                .mask = 5,
                .groups = groups,
                .extent = {outer, kept, inner},
                .stride = {0, 1, 0}};
    if (kept == 1) f.mask = 7;
    check(hooks, run, &f, kept, outer * inner, n);
    if (outer * inner > 1) continue;
    f = (finish){.rank = 2,
                 .mask = 1,
                 .groups = groups,
                 .step = kept,
                 .extent = {groups * 256, kept},
                 .stride = {0, 1}};
    check(hooks, run, &f, kept, 1, n);
  }
}

static void test_trees(void **state) {
  static const int64_t shapes[][4] = {
      {1, 1, 1, 1},     {1, 1, 1, 2047},   {1, 1, 1, 2048}, {1, 1, 1, 2049},  {1, 1, 1, 4096},
      {1, 1, 1, 40001}, {1, 1, 1, 131072}, {1, 5, 1, 3},    {1, 2047, 1, 1},  {1, 683, 3, 1},
      {1, 50001, 1, 1}, {1, 700, 11, 3},   {1, 3, 2, 2500}, {1, 4, 1, 1500},  {1, 31, 1, 1024},
      {2, 1, 1, 30000}, {2, 10000, 1, 1},  {3, 50, 10, 10}, {39, 1, 1, 2100}, {40, 1, 1, 2100},
      {39, 100, 3, 7},  {41, 10, 1, 300},  {7, 3, 3, 1},    {2000, 1, 1, 65}, {2000, 2, 2, 16},
      {300, 1, 1, 1},   {5, 2049, 1, 1},   {5, 1, 2049, 2}, {1, 300, 1, 300}, {1, 2, 1, 2048},
      {1, 1024, 1, 2},  {1, 1025, 1, 2}};
  rpi_strbuf text;
  rpi_ir ir;
  (void)state;
  if (!bench_cc) skip();
  bench_seed = 71;
  if (rpi_ir_parse(total, &ir) != RP_OK) fail_msg("%s", rpi_status_message());
  rpi_strbuf_init(&text);
  rpi_strbuf_add(&text, threads_head);
  const rpi_cuda_unit unit = {&ir, "0123", {0}};
  assert_int_equal(rpi_emit_cuda(&unit, 1, &text), RP_OK);
  rpi_strbuf_add(&text, launches);
  void *so = cuda_object(rpi_strbuf_str(&text));
  for (int32_t i = 0; i < RPI_COUNT(shapes); i++)
    check_shape(dlsym(so, "rpg_hooks"), so, shapes[i][0], shapes[i][1], shapes[i][2], shapes[i][3]);
  dlclose(so);
  rpi_strbuf_deinit(&text);
  rpi_ir_deinit(&ir);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_trees)};
  return cmocka_run_group_tests(tests, bench_open, bench_close);
}
