/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_reason.c -- every line of trace/reason.def has a small program that makes it happen, counted
 * in rp_explain. A reason that no program can cause has no place in the table. Those that need a GPU: test_reason_gpu.c. */
#include "tests/support/reasons.h"

/* ---- cuts --------------------------------------------------------------------------------------------- */

static void cut_trace_end(rp_context *c) {
  rp_store *x = zeros(c, N);
  begin(c);
  increment(c, x);
  end(c);
  drop(x);
}

static void cut_trace_begin(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  begin(c);
  end(c);
  drop(x);
}

static void cut_reopened(rp_context *c) {
  rp_store *x = zeros(c, N);
  begin(c);
  increment(c, x);
  begin(c);
  end(c);
  drop(x);
}

static void cut_read(rp_context *c) {
  rp_store *x = zeros(c, 1);
  increment(c, x);
  check_values(x, (double[]){1});
  drop(x);
}

static void cut_write(rp_context *c) {
  rp_store *x = zeros(c, 1);
  increment(c, x);
  OK(rp_store_write(x, (double[]){7}, 8));
  drop(x);
}

static void cut_wait(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  OK(rp_wait(c));
  drop(x);
}

static void cut_side_effect(rp_context *c) {
  rp_store *x = zeros(c, N);
  OK(rp_launch(opaque_op(c, RP_OPAQUE_SIDE_EFFECT), STORES(x), 1, NULL, 0));
  drop(x);
}

static void makes_nothing(int64_t *count) { *count = 0; }

static void cut_size(rp_context *c) {
  static const rp_opaque_arg count = {.kind = RP_ARG_COUNT};
  static const rp_constraint room = {.kind = RP_CONSTRAINT_SCALE, .b = 1, .factor = 1};
  rp_library *lib;
  rp_op *op;
  rp_store *x = zeros(c, N), *y;
  OK(rp_library_create(c, "sizes", &lib));
  OK(rp_op_create_opaque(lib,
                         &(rp_opaque_desc){.struct_size = sizeof(rp_opaque_desc),
                                           .name = "nothing",
                                           .params = "y, x",
                                           .privileges = (int32_t[]){RP_PRIV_UNBOUND, RP_PRIV_READ},
                                           .function = (void (*)(void))makes_nothing,
                                           .args = &count,
                                           .n_args = 1,
                                           .constraints = &room,
                                           .n_constraints = 1},
                         &op));
  OK(rp_store_create_unbound(c, RP_F64, 1, NULL, &y));
  OK(rp_launch(op, STORES(y, x), 2, NULL, 0));
  assert_int_equal(rp_store_size(y), 0);
  drop(y);
  drop(x);
}

static void cut_tasks(rp_context *c) { /* --window 2 */
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 5; i++) increment(c, x);
  drop(x);
}

static void cut_checkpoint(rp_context *c) {
  char folder[64];
  snprintf(folder, sizeof folder, "/tmp/reprise-reason-%d/none/such", (int)getpid());
  rp_store *x = zeros(c, N);
  increment(c, x);
  FAILS(RP_ERR_ARGUMENT, "such", rp_checkpoint(c, folder, 1, (const char *[]){"x"}, STORES(x)));
  drop(x);
}

static void cut_destroy(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  drop(x);
}

/* ---- misses ---------------------------------------------------------------------------------------------- */

static void miss_task(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    begin(c);
    OK(EVAL(c, "x", i ? "x = 2*x" : "x = x + 1", x));
    end(c);
  }
  drop(x);
}

static void miss_slot(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    begin(c);
    OK(EVAL(c, "y, x", "y = x + 1", y, i ? y : x));
    end(c);
  }
  drop(x);
  drop(y);
}

static void miss_view(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N + 1);
  for (int i = 0; i < 2; i++) {
    begin(c);
    increment(c, i ? x : y);
    end(c);
  }
  drop(x);
  drop(y);
}

static void miss_class(rp_context *c) {
  static double lent[N];
  const int64_t n = N;
  rp_store *x = zeros(c, N), *y = zeros(c, N), *r;
  OK(rp_store_attach(c, RP_F64, 1, &n, lent, RP_READ_ONLY, &r));
  for (int i = 0; i < 2; i++) {
    begin(c);
    OK(EVAL(c, "y, x", "y = x + 1", y, i ? r : x));
    end(c);
  }
  drop(x);
  drop(y);
  drop(r);
}

static void miss_short(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    begin(c);
    increment(c, x);
    if (i == 0) increment(c, x);
    end(c);
  }
  drop(x);
}

/* ---- plans -------------------------------------------------------------------------------------------------- */

static void skeleton_guard(rp_context *c) {
  rp_store *x = zeros(c, 3 * N);
  for (int i = 0; i < 2; i++) {
    rp_store *a = part(x, 0, N), *b = part(x, i ? N / 2 : N, i ? N / 2 + N : 2 * N);
    begin(c);
    increment(c, a);
    OK(EVAL(c, "x", "x = 2*x", b)); /* disjoint, then not */
    end(c);
    drop(a);
    drop(b);
  }
  drop(x);
}

static void variant_live(rp_context *c) {
  rp_store *x = zeros(c, N);
  for (int i = 0; i < 2; i++) {
    rp_store *t = zeros(c, N);
    begin(c);
    OK(EVAL(c, "t, x", "t = x + 1", t, x));
    OK(EVAL(c, "x, t", "x = 2*t", x, t));
    if (i) drop(t);
    end(c);
    if (!i) drop(t);
  }
  drop(x);
}

/* y = x[b], with indices in range and then not. */
static void bad_index(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N), *b = indices(c, N, N - 1);
  for (int i = 0; i < 2; i++) {
    int32_t bad = N;
    if (i) OK(rp_store_write_part(b, (int64_t[]){3}, (int64_t[]){4}, &bad, sizeof bad));
    begin(c);
    OK(EVAL(c, "y, x, b", "y[i] = x[b[i]]", y, x, b));
    end(c);
    assert_int_equal(rp_wait(c), i ? RP_ERR_DATA : RP_OK);
  }
  drop(x);
  drop(y);
  drop(b);
}

static void two_checked(rp_context *c) { /* one flag could not tell whose index was wrong */
  rp_store *x = zeros(c, N), *y = zeros(c, N), *z = zeros(c, N), *b = indices(c, N, 3);
  OK(EVAL(c, "y, x, b", "y[i] = x[b[i] + 1]", y, x, b));
  OK(EVAL(c, "y, x, b", "y[i] = x[b[i] + 1]", z, x, b));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(z);
  drop(b);
}

static void forget(rp_context *c) { /* --templates 3 */
  for (int i = 1; i < 6; i++) {
    rp_store *x = zeros(c, i);
    increment(c, x);
    OK(rp_wait(c));
    drop(x);
  }
}

/* ---- fusion --------------------------------------------------------------------------------------------------- */

static void two_tasks(rp_context *c) {
  rp_store *x = zeros(c, N);
  increment(c, x);
  OK(EVAL(c, "x", "x = 2*x", x));
  OK(rp_wait(c));
  drop(x);
}

static void fuse_space(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N + 1);
  increment(c, x);
  increment(c, y);
  OK(rp_wait(c));
  drop(x);
  drop(y);
}

static void fuse_flow(rp_context *c) {
  rp_store *x = zeros(c, N), *a = part(x, 0, N - 1), *b = part(x, 1, N);
  increment(c, a);
  increment(c, b);
  OK(rp_wait(c));
  drop(x);
  drop(a);
  drop(b);
}

/* Boxes of two shapes of one buffer, whose digits do not fit together. */
static void fuse_inexact(rp_context *c) {
  rp_store *x = zeros(c, 4 * 9 * 25), *v[2], *w[2];
  OK(rp_store_reshape(x, 2, (int64_t[]){36, 25}, &v[0]));
  OK(rp_store_reshape(x, 2, (int64_t[]){25, 36}, &v[1]));
  OK(rp_store_box(v[0], (int64_t[]){0, 0}, (int64_t[]){7, 3}, &w[0]));
  OK(rp_store_box(v[1], (int64_t[]){0, 4}, (int64_t[]){7, 7}, &w[1]));
  increment(c, w[0]);
  increment(c, w[1]);
  OK(rp_wait(c));
  for (int i = 0; i < 2; i++) {
    drop(v[i]);
    drop(w[i]);
  }
  drop(x);
}

static void fuse_scalar(rp_context *c) {
  rp_store *x = zeros(c, N), *s = check_store(c, 0, NULL, NULL);
  OK(EVAL(c, "s, x", "s = sum(i) x[i]", s, x));
  OK(EVAL(c, "s", "s = s + 1", s));
  OK(EVAL(c, "x, s", "x = x/s", x, s));
  OK(rp_wait(c));
  drop(x);
  drop(s);
}

static void fuse_opaque(rp_context *c) {
  rp_store *x = zeros(c, N);
  OK(rp_launch(opaque_op(c, 0), STORES(x), 1, NULL, 0));
  increment(c, x);
  OK(rp_wait(c));
  drop(x);
}

static void fuse_operands(rp_context *c) {
  rp_store *x[41];
  for (int i = 0; i < 41; i++) {
    x[i] = zeros(c, N);
    increment(c, x[i]);
  }
  OK(rp_wait(c));
  assert_int_equal(check_stat(c, "kernels_run"), 2);
  for (int i = 0; i < 41; i++) drop(x[i]);
}

static void fuse_mode(rp_context *c) {
  rp_store *m = check_store(c, 2, (int64_t[]){10, 20}, NULL), *r = zeros(c, 10), *s = zeros(c, 20);
  OK(EVAL(c, "r, m", "r[i] = sum(j) m[i,j]", r, m));
  OK(EVAL(c, "s, m", "s += m", s, m));
  OK(rp_wait(c));
  drop(m);
  drop(r);
  drop(s);
}

/* What is read is overwritten at other points: from b on, `size` elements. */
static void read_then_write(rp_context *c, int64_t size) {
  rp_store *x = zeros(c, N), *y = zeros(c, size), *a = part(x, 0, size), *b = part(x, 1, size + 1);
  OK(EVAL(c, "y, a", "y = a + 1", y, a));
  OK(EVAL(c, "b", "b = 7", b));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(a);
  drop(b);
}

static void rename_off(rp_context *c) { read_then_write(c, N - 1); } /* --rename off */
static void rename_small(rp_context *c) { read_then_write(c, N / 2 - 1); }

static void self_overlap(rp_context *c) {
  rp_store *x = zeros(c, N), *a = part(x, 0, N / 4), *b = part(x, 1, N / 4 + 1);
  OK(EVAL(c, "b, a", "b = a + 1", b, a));
  OK(rp_wait(c));
  drop(x);
  drop(a);
  drop(b);
}

static void copy_view(rp_context *c) {
  rp_store *x = zeros(c, N), *y = zeros(c, N / 2), *a = part(x, 0, N / 2);
  OK(rp_store_copy(y, a));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(a);
}

/* ---- late -------------------------------------------------------------------------------------------------------- */

/* The name `t` outlives its pass and is given to a new array in the next. */
static void kept_name(rp_context *c) {
  rp_store *x = zeros(c, N), *t = NULL;
  for (int i = 0; i < 4; i++) {
    begin(c);
    drop(t);
    t = zeros(c, N);
    OK(EVAL(c, "t, x", "t = x*0.5", t, x));
    OK(EVAL(c, "x, t", "x = x - t", x, t));
    end(c);
  }
  OK(rp_wait(c)); /* the last pass waits for the next one; this comes first */
  drop(x);
  drop(t);
}

static void late_off(rp_context *c) { /* --late off: every pass from the second on might have */
  kept_name(c);
}

/* ---- ranks ------------------------------------------------------------------------------------------------------- */

static void ranks_alike(rp_context *c) { /* an array of less than --tile bytes */
  rp_store *x = zeros(c, 5000);
  increment(c, x);
  OK(rp_wait(c));
  drop(x);
}

/* Two arrays that are cut alike, until elements of both at different places are written in one kernel. */
static void ranks_move(rp_context *c) {
  rp_store *x = zeros(c, 5000), *y = zeros(c, 5000), *head, *tail;
  increment(c, x);
  increment(c, y);
  OK(rp_wait(c));
  OK(rp_store_slice(x, 0, 0, 4000, 1, &head));
  OK(rp_store_slice(y, 0, 1000, 5000, 1, &tail));
  OK(EVAL(c, "a, b", "a = a + 1; b = b + 2", head, tail));
  OK(rp_wait(c));
  double back[5000];
  OK(rp_store_read(y, back, sizeof back));
  for (int i = 0; i < 5000; i++) assert_true(back[i] == (i < 1000 ? 1 : 3));
  drop(x);
  drop(y);
  drop(head);
  drop(tail);
}

/* Two ranks have the columns for what steps along them, and rows for what takes the matrix as a line. */
static void ranks_rows(rp_context *c) {
  enum { ROWS = 6, COLUMNS = 4096, ROUNDS = 12 };
  rp_store *x, *line, *inside, *above, *below;
  OK(rp_store_create(c, RP_F64, 2, (int64_t[]){ROWS, COLUMNS}, &x));
  OK(rp_store_reshape(x, 1, (int64_t[]){ROWS * COLUMNS}, &line));
  OK(rp_store_slice(x, 0, 1, ROWS - 1, 1, &inside));
  OK(rp_store_slice(x, 0, 0, ROWS - 2, 1, &above));
  OK(rp_store_slice(x, 0, 2, ROWS, 1, &below));
  for (int i = 0; i < ROUNDS; i++) {
    OK(EVAL(c, "o, a, b", "o = 0.5*(a + b) + 1", inside, above, below));
    OK(rp_wait(c));
    OK(EVAL(c, "x", "x = x + 1", line));
    OK(rp_wait(c));
  }
  static double back[ROWS * COLUMNS];
  OK(rp_store_read(x, back, sizeof back));
  for (int i = 0; i < COLUMNS; i++) assert_true(back[i] == ROUNDS);
  drop(x);
  drop(line);
  drop(inside);
  drop(above);
  drop(below);
}

static void ranks_gather(rp_context *c) {
  rp_store *x = zeros(c, 5000), *y = zeros(c, 5000), *one;
  increment(c, x);
  OK(rp_wait(c));
  OK(rp_store_slice(x, 0, 7, 8, 1, &one));
  OK(EVAL(c, "y, x", "y = x", y, one));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(one);
}

/* ---- the table ---- */

static const row table[] = {{"CUT_TRACE_END", "", cut_trace_end, 1},
                            {"CUT_TRACE_BEGIN", "", cut_trace_begin, 1},
                            {"CUT_REOPENED", "", cut_reopened, 1},
                            {"CUT_READ", "", cut_read, 1},
                            {"CUT_WRITE", "", cut_write, 1},
                            {"CUT_WAIT", "", cut_wait, 1},
                            {"CUT_SIZE", "", cut_size, 1},
                            {"CUT_SIDE_EFFECT", "", cut_side_effect, 1},
                            {"CUT_TASKS", "--window 2", cut_tasks, 2},
                            {"CUT_CHECKPOINT", "", cut_checkpoint, 1},
                            {"CUT_REPEAT", "", repeat_plain, 2},
                            {"CUT_DESTROY", "--explain on", cut_destroy, 1},
                            {"MISS_NEW", "", cut_wait, 1},
                            {"MISS_TASK", "", miss_task, 1},
                            {"MISS_SLOT", "", miss_slot, 1},
                            {"MISS_VIEW", "", miss_view, 1},
                            {"MISS_CLASS", "", miss_class, 1},
                            {"MISS_SHORT", "", miss_short, 1},
                            {"MISS_TRACING_OFF", "--tracing off", cut_wait, 1},
                            {"SKELETON_GUARD", "", skeleton_guard, 1},
                            {"VARIANT_LIVE", "", variant_live, 1},
                            {"VARIANT_RANGE", "", bad_index, 1},
                            {"FUSE_OFF", "--fusion off", two_tasks, 2},
                            {"FUSE_SPACE", "", fuse_space, 1},
                            {"FUSE_FLOW", "", fuse_flow, 1},
                            {"FUSE_INEXACT", "", fuse_inexact, 1},
                            {"FUSE_SCALAR", "", fuse_scalar, 1},
                            {"FUSE_OPAQUE", "", fuse_opaque, 1},
                            {"FUSE_OPERANDS", "", fuse_operands, 1},
                            {"FUSE_CHECKED", "", two_checked, 1},
                            {"FUSE_MODE", "", fuse_mode, 1},
                            {"RENAME_OFF", "--rename off", rename_off, 1},
                            {"RENAME_SMALL", "", rename_small, 1},
                            {"SELF_OVERLAP", "", self_overlap, 1},
                            {"COPY_VIEW", "", copy_view, 1},
                            {"LATE_OFF", "--late off", late_off, 3},
                            {"LATE_OBSERVED", "", kept_name, 1},
                            {"GATHER_CHECKED", "", gather_checked, 1},
                            {"POISONED", "", bad_index, 1},
                            {"RANKS_ALIKE", TWO "--tile 1000000", ranks_alike, 1},
                            {"RANKS_MOVE", TWO "--tile 0", ranks_move, 1},
                            {"RANKS_ROWS", TWO "--tile 0", ranks_rows, 1},
                            {"RANKS_GATHER", TWO "--tile 0", ranks_gather, 1},
                            {"FORGET", "--templates 3", forget, 1}};

int main(void) { return run_reasons(table, COUNT(table), false); }
