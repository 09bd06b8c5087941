/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_stat.c -- every statistic has a program that makes it what it must be: by rp_stat and in the
 * text of rp_explain. */
#include "tests/support/api_check.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

enum { N = 1000, PASSES = 5 };

static void drop(rp_store *s) { OK(rp_store_release(s)); }
static rp_store *zeros(rp_context *c, int64_t n) { return check_vector(c, n, NULL); }

/* ---- programs ------------------------------------------------------------------------------------ */

/* Five passes of two tasks with a temporary between them: one kernel each, x read and written. */
static void loop(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < PASSES; i++) {
    rp_store *t = zeros(c, N);
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "t, x", "t = x + 1", t, x));
    OK(EVAL(c, "x, t", "x = 2*t", x, t));
    drop(t);
    OK(rp_trace_end(c, 1));
  }
  drop(x);
}

#define GPU "--gpus 1 --tier 1 --cc none --cuda " RPI_EMULATED_CUDA " --nvrtc " RPI_EMULATED_CUDA

/* One pass by the program and five by itself. */
static void repeated(rp_context *c) {
  rp_store *x = zeros(c, N), *go = NULL;
  OK(rp_store_create(c, RP_BOOL, 0, NULL, &go));
  OK(rp_trace_begin(c, 1));
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(EVAL(c, "go, x", "go = x[0] < 6.0", go, x));
  OK(rp_trace_repeat(c, 1, go, 99, NULL));
  drop(x);
  drop(go);
}

/* Three segments of which the third repeats the second: it is found by looking it up. */
static void looked_up(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N + 1);
  rp_store *const order[] = {x, y, x};
  for (int i = 0; i < 3; i++) {
    OK(rp_trace_begin(c, i));
    OK(EVAL(c, "x", "x = x + 1", order[i]));
    OK(rp_trace_end(c, i));
  }
  drop(x);
  drop(y);
}

/* The same body on the whole and on views of five lengths: two analyses, since one overwrites the array and
 * the others do not, and one kernel. */
static void moving_view(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i <= PASSES; i++) {
    rp_store *v;
    OK(rp_store_slice(x, 0, i, N, 1, &v));
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "x", "x = x + 1", v));
    OK(rp_trace_end(c, 1));
    drop(v);
  }
  drop(x);
}

/* Indices that stay, and then change. */
static void histogram(rp_context *c) {
  rp_store *h = zeros(c, N), *b;
  OK(rp_store_create(c, RP_I32, 1, &(int64_t){2}, &b));
  for (int i = 0; i < 4; i++) {
    if (i == 2) OK(rp_store_write(b, (int32_t[]){1, 2}, 8));
    OK(EVAL(c, "h, b", "h[b[i]] += 1", h, b));
  }
  drop(h);
  drop(b);
}

/* A temporary that is held in the first pass: two plans of one segment. */
static void two_plans(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 3; i++) {
    rp_store *t = zeros(c, N);
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "t, x", "t = x + 1", t, x));
    OK(EVAL(c, "x, t", "x = 2*t", x, t));
    if (i) drop(t);
    OK(rp_trace_end(c, 1));
    if (!i) drop(t);
  }
  drop(x);
}

/* Three small kernels over spaces of their own share a launch. */
static void beside(rp_context *c) {
  rp_store *x[3];
  for (int i = 0; i < 3; i++) {
    x[i] = zeros(c, 10 + i);
    OK(EVAL(c, "x", "x = x + 1", x[i]));
  }
  OK(rp_wait(c));
  for (int i = 0; i < 3; i++) drop(x[i]);
}

static void dead(rp_context *c) {
  rp_store *x = zeros(c, N), *t = zeros(c, N);
  OK(EVAL(c, "t, x", "t = x + 1", t, x));
  OK(EVAL(c, "x", "x = 3", x));
  OK(EVAL(c, "x", "x = 4", x));
  drop(t);
  OK(rp_wait(c));
  drop(x);
}

/* Shifted onto itself in each pass: the rest is copied once, then both instances have it. */
static void shifted(rp_context *c) {
  rp_store *x = zeros(c, N), *lo, *hi;
  OK(rp_store_slice(x, 0, 0, N - 1, 1, &lo));
  OK(rp_store_slice(x, 0, 1, N, 1, &hi));
  for (int i = 0; i < PASSES; i++) {
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "hi, lo", "hi = hi + lo", hi, lo));
    OK(rp_trace_end(c, 1));
  }
  OK(rp_wait(c));
  drop(x);
  drop(lo);
  drop(hi);
}

static void copied(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N);
  OK(EVAL(c, "x", "x = x + 1", x));
  for (int i = 0; i < 3; i++) {
    OK(rp_store_copy(y, x));
    OK(rp_wait(c));
  }
  drop(x);
  drop(y);
}

/* t dies in the pass after: from the second on it is known, from the third nothing runs before that. */
static void kept_name(rp_context *c) {
  rp_store *x = zeros(c, N), *t = NULL;
  for (int i = 0; i < 8; i++) {
    OK(rp_trace_begin(c, 1));
    drop(t);
    t = zeros(c, N);
    OK(EVAL(c, "t, x", "t = x*0.5", t, x));
    OK(EVAL(c, "x, t", "x = x - t", x, t));
    OK(rp_trace_end(c, 1));
  }
  OK(rp_wait(c));
  drop(x);
  drop(t);
}

/* An index out of range poisons what is gathered and what is made of it, not the rest. */
static void poison(rp_context *c) {
  const int64_t n = 4;
  const int32_t bad[] = {0, 1, 9, 2};
  rp_store *x = zeros(c, n), *y = zeros(c, n), *z = zeros(c, n), *sound = zeros(c, n), *b;
  OK(rp_store_create(c, RP_I32, 1, &n, &b));
  OK(rp_store_write(b, bad, sizeof bad));
  OK(EVAL(c, "y, x, b", "y[i] = x[b[i]]", y, x, b));
  OK(EVAL(c, "z, y", "z = y + 1", z, y));
  OK(EVAL(c, "z, x", "z = x + 1", sound, x));
  assert_int_equal(rp_wait(c), RP_ERR_DATA);
  rp_store *all[] = {x, y, z, sound, b};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

static void infinite(rp_context *c) { /* --nonfinite on */
  rp_store *x = check_vector(c, 4, (double[]){0, 1, 0, -1}), *y = zeros(c, 4);
  OK(EVAL(c, "y, x", "y = 1/x", y, x));
  OK(rp_wait(c));
  drop(x);
  drop(y);
}

/* Two ranks with two halves: one kernel that reads the neighbour's element, one that sums, the read of a whole
 * array. */
static void among_ranks(rp_context *c) {
  enum { MANY = 5 * 1024 };
  rp_store *x = zeros(c, MANY), *y = zeros(c, MANY), *v, *w, *s = zeros(c, 1), *u,
           *z = zeros(c, MANY);
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(rp_wait(c));
  OK(rp_store_slice(x, 0, 1, MANY, 1, &v));
  OK(rp_store_slice(y, 0, 0, MANY - 1, 1, &w));
  OK(EVAL(c, "w, v", "w = 2*v", w, v));
  OK(rp_wait(c));
  OK(EVAL(c, "s, w", "s += w", s, w));
  OK(rp_store_slice(x, 0, MANY - 1, -MANY - 1, -1, &u));
  OK(EVAL(c, "z, u", "z = u", z, u)); /* rows of the other rank */
  double back[MANY];
  OK(rp_store_read(y, back, sizeof back));
  OK(rp_wait(c)); /* the read has run no more than it needs */
  assert_true(back[0] == 2 && back[MANY - 2] == 2 && back[MANY - 1] == 0);
  rp_store *all[] = {x, y, v, w, s, u, z};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* Two ranks have the columns of a wide array. */
static void in_boxes(rp_context *c) {
  rp_store *x;
  OK(rp_store_create(c, RP_F64, 2, (int64_t[]){4, 1024}, &x));
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(rp_wait(c));
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(rp_wait(c));
  drop(x);
}

/* Four stores that finalizers release, and enough cuts for two ranks to find that both have. */
static void handed_over(rp_context *c) {
  rp_store *x = zeros(c, 4);
  for (int i = 0; i < 4; i++) OK(rp_store_release_any(zeros(c, 4)));
  for (int i = 0; i < 6; i++) {
    OK(EVAL(c, "x", "x = x + 1", x));
    OK(rp_wait(c));
  }
  drop(x);
}

#define TWO "--transport threads --ranks 2 --tile 0 --overlap 0 --watchdog 20"

static void nothing(rp_context *c) { (void)c; }

static rp_store *kept; /* released when all has been counted */

static void held(rp_context *c) {
  kept = zeros(c, N);
  OK(EVAL(c, "x", "x = x + 1", kept));
  OK(rp_wait(c));
}

static void released(rp_context *c) {
  rp_store *x = zeros(c, N);
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(rp_wait(c));
  drop(x);
}

/* ---- the table ------------------------------------------------------------------------------------ */

enum { SOME = -1 }; /* not determined, but not 0 */

typedef struct row {
  const char *name, *config;
  void (*program)(rp_context *c);
  int64_t value;
} row;

static const row table[] = {
    {"launches", "", loop, 2 * PASSES},
    {"segments", "", loop, PASSES},
    {"trace_hits", "", loop, PASSES - 1},
    {"trace_misses", "", loop, 1},
    {"templates", "", looked_up, 2},
    {"analyses", "", looked_up, 1}, /* the second is of the first one's skeleton */
    {"skeleton_hits", "", moving_view, PASSES - 1},
    {"plans", "", two_plans, 2},
    {"decisions", TWO, among_ranks, SOME},
    {"kernels_run", "", beside, 3},
    {"steps_run", "", beside, 1},
    {"bytes_moved", "", loop, PASSES * 2 * N * 8},
    {"temporaries", "", loop, PASSES},
    {"dead_tasks", "", dead, 2},
    {"renamed", "", shifted, PASSES},
    {"patched", "", shifted, 1},
    {"copies_shared", "", copied, 3},
    {"late_commits", "", kept_name, 5},
    {"loops", GPU, repeated, 1},
    {"loop_passes", GPU, repeated, 5},
    {"poisoned", "", poison, 2},
    {"inversions", "", histogram, 2},
    {"nonfinite", "--nonfinite on", infinite, 2},
    {"kernels_shared", TWO, among_ranks, 4},
    {"kernels_boxed", TWO " --cut boxes", in_boxes, 2},
    {"messages", TWO, among_ranks, 1}, /* rank 0 receives one for w and sends one for z */
    {"bytes_sent", TWO, among_ranks, 2 * 1024 * 8},
    {"gathers", TWO, among_ranks, 1},
    {"images", TWO, among_ranks, 1},
    {"index_values", TWO, among_ranks, 0},
    {"overlapped", TWO, among_ranks, 1},
    {"tilings", TWO, among_ranks, 1},
    {"agreements", TWO " --consensus 3", handed_over, 1},
    {"agreed", TWO " --consensus 3", handed_over, 4},
    {"joint_reductions", TWO, among_ranks, 1},
    {"kernels", "", loop, 1},
    {"kernel_hits", "", moving_view, 1},
    {"disk_hits", "", loop, 0}, /* these four: test_compiled, test_broken_compiler */
    {"compiles", "", loop, 0},
    {"compile_fails", "", loop, 0},
    {"compile_ns", "", loop, 0},
    {"compiles_pending", "", loop, 0},
    {"memory_live", "", released, 0},
    {"memory_peak", "", held, SOME},
    {"memory_held", "", held, SOME},
    {"memory_calls", "", held, SOME}};

static int64_t value_in(const char *text, const char *name) {
  char word[64];
  long value;
  const char *p = strstr(text, "\nstatistics\n");
  assert_non_null(p);
  for (p = strchr(p + 1, '\n') + 1; *p; p = strchr(p, '\n') + 1) {
    assert_int_equal(sscanf(p, "%63s %ld", word, &value), 2);
    if (strcmp(word, name) == 0) return value;
  }
  fail_msg("explain does not list %s", name);
  return 0;
}

static int64_t sent_by_other;

/* The other rank of a row that has two. */
static void *other_rank(void *arg) {
  const row *r = arg;
  rp_context *c = check_context_of(r->config, 1);
  r->program(c);
  sent_by_other = check_stat(c, "messages");
  OK(rp_context_destroy(c));
  return NULL;
}

static void test_row(void **state) {
  const row *r = *state;
  pthread_t other;
  const bool two = strstr(r->config, "--ranks");
  if (two) assert_int_equal(pthread_create(&other, NULL, other_rank, (void *)r), 0);
  rp_context *c = check_context_of(r->config, 0);
  r->program(c);
  const int64_t v = check_stat(c, r->name);
  if (r->value == SOME)
    assert_true(v > 0);
  else
    assert_int_equal(v, r->value);
  char *text = check_explained(c);
  assert_int_equal(value_in(text, r->name), v);
  free(text);
  drop(kept);
  kept = NULL;
  OK(rp_context_destroy(c));
  if (two) pthread_join(other, NULL);
  if (two) assert_int_equal(sent_by_other, r->program == among_ranks ? 2 : 0);
}

/* Each line of explain's statistics has its row, in the same order; a new context has zeros. */
static void test_all_stats(void **state) {
  (void)state;
  rp_context *c = check_context("");
  nothing(c);
  char *text = check_explained(c), word[64];
  long value;
  int i = 0;
  for (const char *p = strstr(text, "\nstatistics\n") + 12; *p; p = strchr(p, '\n') + 1, i++) {
    assert_int_equal(sscanf(p, "%63s %ld", word, &value), 2);
    if (i >= COUNT(table)) fail_msg("%s has no program here", word);
    assert_string_equal(word, table[i].name);
    assert_int_equal(value, 0);
  }
  assert_int_equal(i, COUNT(table));
  free(text);
  OK(rp_context_destroy(c));
}

/* Compiled kernels: made once, found on disk by the next context, and failures counted. */
static void test_compiled(void **state) {
  (void)state;
  char folder[] = "/tmp/reprise-stat-XXXXXX", config[128], command[64];
  assert_non_null(mkdtemp(folder));
  for (int i = 0; i < 2; i++) {
    snprintf(config, sizeof config, "--tier 1 --cache-dir %s", folder);
    rp_context *c = check_context(config);
    loop(c);
    OK(rp_wait_compiled(c));
    const bool compiler = check_stat(c, "compiles") + check_stat(c, "disk_hits") > 0;
    if (compiler) {
      assert_int_equal(check_stat(c, "compiles"), i == 0);
      assert_int_equal(check_stat(c, "disk_hits"), i == 1);
      assert_true((check_stat(c, "compile_ns") > 0) == (i == 0));
    } else {
      print_message("no compiler: compiles were not counted\n");
    }
    assert_int_equal(check_stat(c, "compile_fails"), 0);
    assert_int_equal(check_stat(c, "compiles_pending"), 0);
    OK(rp_context_destroy(c));
  }
  snprintf(command, sizeof command, "rm -rf %s", folder);
  assert_int_equal(system(command), 0);
}

static void test_broken_compiler(void **state) {
  (void)state;
  char folder[] = "/tmp/reprise-stat-XXXXXX", path[64], config[160], command[64];
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/cc", folder);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("#!/bin/sh\nexit 1\n", f);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(path, 0700), 0);
  snprintf(config, sizeof config, "--tier 1 --log quiet --cc %s --cache-dir %s", path, folder);
  rp_context *c = check_context(config);
  loop(c);
  assert_int_equal(check_stat(c, "compiles"), 1);
  assert_int_equal(check_stat(c, "compile_fails"), 1);
  assert_int_equal(check_stat(c, "kernels_run"), PASSES);
  OK(rp_context_destroy(c));
  snprintf(command, sizeof command, "rm -rf %s", folder);
  assert_int_equal(system(command), 0);
}

int main(void) {
  struct CMUnitTest tests[COUNT(table) + 3];
  for (int i = 0; i < COUNT(table); i++)
    tests[i] = (struct CMUnitTest){
        .name = table[i].name, .test_func = test_row, .initial_state = (void *)&table[i]};
  tests[COUNT(table)] = (struct CMUnitTest)cmocka_unit_test(test_all_stats);
  tests[COUNT(table) + 1] = (struct CMUnitTest)cmocka_unit_test(test_compiled);
  tests[COUNT(table) + 2] = (struct CMUnitTest)cmocka_unit_test(test_broken_compiler);
  return _cmocka_run_group_tests("statistics", tests, COUNT(tests), NULL, NULL);
}
