/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_fusion.c -- trace/fuse.c through the public interface: which tasks share a group, in which
 * section, what sinks, what is refused, which kernels share a launch. Groups are read from
 * rp_explain; that the bits are the same is tests/equal's business. */
#include "tests/support/api_group.h"

#include <stdio.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

enum { N = 10000, TASKS = 1024 };

static rp_store *zeros(int64_t n) { return check_vector(ctx, n, NULL); }
static rp_store *scalar(void) { return check_store(ctx, 0, NULL, NULL); }

static rp_store *part(rp_store *x, int64_t from, int64_t to) {
  rp_store *v;
  OK(rp_store_slice(x, 0, from, to, 1, &v));
  return v;
}

/* ---- what the last plan looks like ------------------------------------------------------------------ */

typedef struct shape {
  int n_group, n_launch;
  int group[TASKS];    /* -1: in none */
  char section[TASKS]; /* 'p', 'b', 'e', or 'o' of an opaque call */
} shape;

/* A line such as "      prologue task 3: ...". */
static bool member(const char *p, int *task, char *section) {
  static const char *const head[] = {"      task ", "      prologue task ", "      epilogue task "};
  for (int i = 0; i < COUNT(head); i++)
    if (strncmp(p, head[i], strlen(head[i])) == 0) {
      *section = "bpe"[i];
      *task = atoi(p + strlen(head[i]));
      return true;
    }
  return false;
}

/* The last segment that explain tells of, which is the youngest; its first plan is the last used. */
static const shape *plan(void) {
  static shape s;
  OK(rp_wait(ctx));
  char *text = check_explained(ctx);
  const char *p = text, *last = NULL;
  while ((p = strstr(p, "\nsegment "))) last = ++p;
  assert_non_null(last);
  s = (shape){0};
  for (int i = 0; i < TASKS; i++) s.group[i] = -1;
  int group = -1, task, plans = 0;
  char section;
  bool opaque = false;
  for (p = strchr(last, '\n') + 1; strncmp(p, "reasons", 7) != 0; p = strchr(p, '\n') + 1) {
    if (strncmp(p, "  plan", 6) == 0 && plans++ == 1) break;
    if (sscanf(p, "    group %d", &group) == 1 ||
        sscanf(p, "    opaque call, group %d", &group) == 1) {
      opaque = p[4] == 'o';
      s.n_group++;
      const char *beside = strstr(p, "in one launch");
      s.n_launch += !opaque && (!beside || beside > strchr(p, '\n'));
    } else if (member(p, &task, &section)) {
      s.group[task] = group;
      s.section[task] = opaque ? 'o' : section;
    }
  }
  free(text);
  return &s;
}

/* "0b 0b 1p": group and section of each task. */
static void check_plan(const char *want) {
  const shape *s = plan();
  char got[256] = "";
  const int n = (int)(strlen(want) + 1) / 3;
  for (int t = 0; t < n; t++)
    snprintf(got + strlen(got), sizeof got - strlen(got), "%s%c%c", t ? " " : "",
             s->group[t] < 0 ? '-' : '0' + s->group[t], s->group[t] < 0 ? '-' : s->section[t]);
  assert_string_equal(got, want);
}

static int64_t kernels(void) {
  OK(rp_wait(ctx));
  return check_stat(ctx, "kernels_run");
}

/* ---- what goes into a group ---------------------------------------------------------------------------- */

/* Fusion follows dependences, not neighbourhood: another space in between does not end a group. */
static void test_not_contiguous(void **state) {
  (void)state;
  rp_store *x = zeros(N), *y = zeros(N + 1), *z = zeros(N);
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(EVAL(ctx, "y", "y = y + 1", y));
  OK(EVAL(ctx, "z, x", "z = 2*x", z, x));
  OK(EVAL(ctx, "y", "y = 2*y", y));
  check_plan("0b 1b 0b 1b");
  rp_store *all[] = {x, y, z};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* Points, and what touches disjoint parts, may share a kernel; other points of what was written may not. */
static void test_conflicts(void **state) {
  (void)state;
  rp_store *x = zeros(2 * N), *lo = part(x, 0, N), *hi = part(x, N, 2 * N),
           *mid = part(x, 1, N + 1);
  rp_store *y = zeros(N), *s = scalar();
  OK(EVAL(ctx, "x", "x = x + 1", lo));
  OK(EVAL(ctx, "x", "x = x + 2", hi));   /* disjoint */
  OK(EVAL(ctx, "y, x", "y = x", y, lo)); /* the same points */
  check_plan("0b 0b 0b");
  OK(EVAL(ctx, "x", "x = x + 1", lo));
  OK(EVAL(ctx, "y, x", "y = x", y, mid)); /* reads what was written, elsewhere */
  check_plan("0b 1b");
  OK(EVAL(ctx, "x", "x = 1 + x*x", lo));
  OK(EVAL(ctx, "x", "x = 2 + x", mid)); /* overwrites it, elsewhere */
  check_plan("0b 1b");
  OK(EVAL(ctx, "y, x", "y = x", y, lo));
  OK(EVAL(ctx, "x", "x = 2*x", mid)); /* overwrites what was read, elsewhere: renamed */
  check_plan("0b 0b");
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, lo)); /* reductions share the pass, */
  OK(EVAL(ctx, "y, x", "y = 2*x", y, lo));
  OK(EVAL(ctx, "x", "x = 3*x", lo));         /* also with later writes, */
  OK(EVAL(ctx, "x, s", "x = x - s", lo, s)); /* but their results come after it */
  check_plan("0b 0b 0b 1b");
  OK(EVAL(ctx, "y, s", "y = y*s", y, s)); /* the old sum in the pass of the new one */
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, lo));
  check_plan("0b 0b");
  OK(EVAL(ctx, "s, x", "s += x", s, lo)); /* one result at a time */
  OK(EVAL(ctx, "s, x", "s += x", s, hi));
  check_plan("0b 1b");
  rp_store *all[] = {x, lo, hi, mid, y, s};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* Of the groups in which it may be, a task goes where it shares most bytes. */
static void test_most_shared(void **state) {
  (void)state;
  rp_store *x = zeros(N), *y = zeros(N), *s = scalar(), *z = zeros(N);
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
  OK(EVAL(ctx, "y, s", "y = y*s", y, s));
  OK(EVAL(ctx, "z, y", "z = z + y", z, y)); /* behind y */
  OK(EVAL(ctx, "z, x", "z = z + x", z, x));
  check_plan("0b 1b 1b 1b");
  rp_store *w = zeros(N);
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
  OK(EVAL(ctx, "y, s", "y = y*s", y, s));
  OK(EVAL(ctx, "w, x", "w = 2*x", w, x)); /* with x, not last */
  check_plan("0b 1b 0b");
  rp_store *all[] = {x, y, z, s, w};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

static void test_dead_and_copies(void **state) {
  (void)state;
  rp_store *x = zeros(N), *y = zeros(N), *t = zeros(N);
  OK(EVAL(ctx, "t, x", "t = x + 1", t, x)); /* nobody reads it */
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_store_copy(y, x)); /* at the border of the next group */
  OK(EVAL(ctx, "x", "x = 2*x", x));
  drop(t);
  check_plan("-- 0b -- 1b");
  drop(x);
  drop(y);
}

/* ---- sinking --------------------------------------------------------------------------------------------------- */

/* CG: x and p meet where p is overwritten, not where alpha is first used. */
static void test_sink(void **state) {
  (void)state;
  rp_store *x = zeros(N), *r = zeros(N), *p = zeros(N), *q = zeros(N);
  rp_store *alpha = scalar(), *beta = scalar(), *norm = scalar();
  for (int needed = 0; needed < 2; needed++) {
    OK(EVAL(ctx, "a, p, q", "a = sum(i) p[i]*q[i]", alpha, p, q));
    OK(EVAL(ctx, "x, a, p", "x = x + a*p", x, alpha, p));
    OK(EVAL(ctx, "r, a, q", "r = r - a*q", r, alpha, q));
    OK(EVAL(ctx, "b, r", "b = sum(i) r[i]*r[i]", beta, r));
    if (needed) OK(EVAL(ctx, "c, x", "c = sum(i) x[i]", norm, x)); /* x is wanted before */
    OK(EVAL(ctx, "p, r, b", "p = r + b*p", p, r, beta));
    check_plan(needed ? "0b 1b 1b 1b 1b 2b" : "0b 2b 1b 1b 2b");
  }
  rp_store *all[] = {x, r, p, q, alpha, beta, norm};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* A reduction stays where it is: others wait for it. */
static void test_sums_do_not_sink(void **state) {
  (void)state;
  rp_store *x = zeros(N), *y = zeros(N), *s = scalar(), *t = scalar();
  OK(EVAL(ctx, "s, y", "s = sum(i) y[i]", s, y));
  OK(EVAL(ctx, "t, x", "t = sum(i) x[i]", t, x));
  OK(EVAL(ctx, "x, s", "x = x*s", x, s));
  check_plan("0b 0b 1b");
  rp_store *all[] = {x, y, s, t};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* ---- scalars ------------------------------------------------------------------------------------------------------ */

static void test_sections(void **state) {
  (void)state;
  rp_store *x = zeros(N), *s = scalar(), *t = scalar(), *u = scalar();
  OK(EVAL(ctx, "t", "t = t + 1", t)); /* before the body that uses it */
  OK(EVAL(ctx, "x, t", "x = x*t", x, t));
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
  OK(EVAL(ctx, "u, s", "u = sqrt(s)", u, s)); /* behind the last body */
  OK(EVAL(ctx, "u", "u = u + 1", u));
  check_plan("0p 0b 0b 0e 0e");
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
  OK(EVAL(ctx, "u, s", "u = sqrt(s)", u, s)); /* before the next body */
  OK(EVAL(ctx, "x, u", "x = x/u", x, u));
  OK(EVAL(ctx, "t, u", "t = 2*u", t, u));
  check_plan("0b 1p 1b 1p");
  OK(EVAL(ctx, "t, u", "t = u + 1", t, u)); /* no body at all */
  OK(EVAL(ctx, "u, t", "u = t*t", u, t));
  check_plan("0p 0p");
  OK(EVAL(ctx, "x", "x = x + 1", x)); /* an epilogue may not overwrite what a body reads before */
  OK(EVAL(ctx, "x, t", "x = x*t", x, t));
  OK(EVAL(ctx, "t", "t = 0", t));
  check_plan("0b 0b 0e");
  rp_store *all[] = {x, s, t, u};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

static void increase(double *x) { *x += 1; }

/* A C function is alone; scalars beside it go elsewhere. */
static void test_opaque(void **state) {
  (void)state;
  static const int32_t privilege[] = {RP_PRIV_READ_WRITE};
  static const rp_opaque_arg arg[] = {{.kind = RP_ARG_PTR}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "increase",
                            .params = "x",
                            .privileges = privilege,
                            .function = (void (*)(void))increase,
                            .args = arg,
                            .n_args = 1};
  rp_op *op = check_opaque(ctx, &d);
  rp_store *x = zeros(N), *y = zeros(N), *s = scalar();
  OK(EVAL(ctx, "x", "x = x + 1", x));
  OK(rp_launch(op, STORES(x), 1, NULL, 0));
  OK(EVAL(ctx, "s", "s = s + 1", s));
  OK(EVAL(ctx, "x, s", "x = x*s", x, s));
  OK(EVAL(ctx, "y", "y = y + 1", y)); /* independent: with the first */
  check_plan("0b 1o 0p 2b 0b");
  double v[N];
  OK(rp_store_read(x, v, sizeof v));
  assert_true(v[0] == 2 && v[1] == 1);
  OK(rp_launch(op, STORES(x), 1, NULL, 0));
  OK(EVAL(ctx, "s", "s = s + 1", s));
  OK(EVAL(ctx, "y, s", "y = y*s", y, s));
  check_plan("0o 1p 1b");
  rp_store *all[] = {x, y, s};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

/* ---- limits ------------------------------------------------------------------------------------------------------- */

static void test_operands(void **state) {
  (void)state;
  rp_store *x[41];
  for (int n = 40; n < 42; n++) {
    for (int i = 0; i < n; i++) {
      x[i] = zeros(N);
      OK(EVAL(ctx, "x", "x = x + 1", x[i]));
    }
    const shape *s = plan();
    assert_int_equal(s->n_group, n == 40 ? 1 : 2);
    assert_int_equal(s->group[39], 0);
    if (n == 41) assert_int_equal(s->group[40], 1);
    for (int i = 0; i < n; i++) drop(x[i]);
  }
  /* What never reaches memory is no operand. */
  rp_store *first = zeros(N), *t = first;
  OK(rp_trace_begin(ctx, 1));
  for (int i = 0; i < 200; i++) {
    rp_store *next = zeros(N);
    OK(EVAL(ctx, "y, x", "y = 2*x", next, t));
    if (t != first) drop(t);
    t = next;
  }
  OK(rp_trace_end(ctx, 1));
  assert_int_equal(plan()->n_group, 1);
  drop(first);
  drop(t);
}

static void test_instructions(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 3, (double[]){1, 2, 3});
  double want[] = {1, 2, 3};
  static const int size[] = {375, 376, 900};
  for (int k = 0; k < COUNT(size); k++) {
    const int n = size[k];
    OK(rp_trace_begin(ctx, n));
    for (int i = 0; i < n; i++) OK(EVAL(ctx, "x", "x = x + 1", x)); /* load, one, add, store */
    OK(rp_trace_end(ctx, n));
    const shape *s = plan();
    assert_int_equal(s->n_group, (4 * n + 1499) / 1500);
    assert_int_equal(s->group[n - 1], s->n_group - 1);
    for (int e = 0; e < 3; e++) want[e] += n;
    check_values(x, want);
  }
  drop(x);
}

/* ---- side by side --------------------------------------------------------------------------------------------------- */

static int launches_of(const char *config, int64_t size, bool dependent) {
  OK(rp_context_destroy(ctx));
  ctx = check_context(config);
  rp_store *x[4], *s = scalar();
  for (int i = 0; i < 4; i++) x[i] = zeros(size + i);
  const int64_t before = kernels();
  OK(rp_trace_begin(ctx, 1));
  for (int i = 0; i < 4; i++) {
    OK(EVAL(ctx, "x", "x = x + 1", x[i]));
    if (dependent) OK(EVAL(ctx, "s, x", "s += x", s, x[i]));
  }
  OK(rp_trace_end(ctx, 1));
  const int launches = plan()->n_launch;
  assert_int_equal(kernels() - before, 4);
  for (int i = 0; i < 4; i++) drop(x[i]);
  drop(s);
  return launches;
}

static void test_beside(void **state) {
  (void)state;
  assert_int_equal(launches_of("", 100, false), 1);
  assert_int_equal(launches_of("", 100, true), 4);     /* they add to one scalar */
  assert_int_equal(launches_of("", 100000, false), 4); /* large ones have threads of their own */
  assert_int_equal(launches_of("--horizontal off", 100, false), 4);
  assert_int_equal(launches_of("--fusion off", 100, false), 4);
}

/* A small kernel and a large one, in both orders. */
static void test_beside_large(void **state) {
  (void)state;
  for (int first = 0; first < 2; first++) {
    rp_store *x = zeros(first ? 100 : 100000), *y = zeros(first ? 100001 : 101);
    OK(EVAL(ctx, "x", "x = x + 1", x));
    OK(EVAL(ctx, "y", "y = y + 1", y));
    assert_int_equal(plan()->n_launch, 2);
    drop(x);
    drop(y);
  }
}

/* ---- what is said --------------------------------------------------------------------------------------------------- */

/* Groups are numbered when all are placed: here z sinks beside p, its group is empty, the others move up. */
static void test_refusals_have_final_numbers(void **state) {
  (void)state;
  char text[20000];
  size_t n;
  rp_store *x = zeros(N), *z = zeros(N), *p = zeros(N), *y = zeros(N), *q = zeros(77);
  rp_store *s = scalar(), *v = scalar();
  OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
  OK(EVAL(ctx, "z, p, s", "z = z + s*p", z, p, s));
  OK(EVAL(ctx, "q, s", "q = q*s", q, s));
  OK(EVAL(ctx, "v, q", "v = sum(i) q[i]", v, q));
  OK(EVAL(ctx, "p, v", "p = p*v", p, v));
  OK(EVAL(ctx, "y", "y = y + 1", y));
  check_plan("0b 2b 1b 1b 2b 0b");
  OK(rp_explain(ctx, text, sizeof text, &n));
  assert_non_null(strstr(text, "\n    task 2: not fused: another iteration space"));
  assert_non_null(strstr(text, "\n    task 5, group 1: not fused: another iteration space"));
  rp_store *all[] = {x, z, p, y, q, s, v};
  for (int i = 0; i < COUNT(all); i++) drop(all[i]);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {TEST(test_not_contiguous),
                                     TEST(test_conflicts),
                                     TEST(test_most_shared),
                                     TEST(test_dead_and_copies),
                                     TEST(test_sink),
                                     TEST(test_sums_do_not_sink),
                                     TEST(test_sections),
                                     TEST(test_opaque),
                                     TEST(test_operands),
                                     TEST(test_instructions),
                                     TEST(test_beside),
                                     TEST(test_beside_large),
                                     TEST(test_refusals_have_final_numbers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
