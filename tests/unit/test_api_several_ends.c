/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_several_ends.c -- several GPUs in one process: how contexts begin and end, releases by finalizers, and
 * what becomes of all when one GPU fails.
 * Not here: what programs compute (test_api_several.c). */
#include "tests/support/gpu_context.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 20000 };

#define SEVERAL "--gpus 3 --nccl none --tile 0 --watchdog 20 "

/* ---- beginning ---- */

static void test_numbers(void **state) {
  (void)state;
  rp_context *c = NULL;
  FAILS(RP_ERR_CONFIG, "gpus: 5 from number 0 on, but there are 4",
        gpu_context_try("--gpus 5", &c));
  FAILS(RP_ERR_CONFIG, "gpus: 2 from number 3 on, but there are 4",
        gpu_context_try("--gpus 2 --gpu 3", &c));
  FAILS(RP_ERR_CONFIG, "there are 4", gpu_context_try("--gpus 2 --gpu 4 --gpu_share on", &c));
  FAILS(RP_ERR_CONFIG, "none", gpu_context_try("--gpus 2 --cuda none", &c));
  FAILS(RP_ERR_CONFIG, "as many ranks",
        gpu_context_try("--gpus 2 --transport threads --ranks 1 --rank 0", &c));
  FAILS(RP_ERR_CONFIG, "gpus", gpu_context_try("--gpus 65", &c));
  assert_null(c);
  c = gpu_context("--gpus 2 --gpu 3 --gpu_share on --threads 5 --nccl none");
  assert_int_equal(rp_context_gpus(c), 2);
  char text[20000];
  OK(rp_config_print(c, text, sizeof text, NULL));
  const char *gpus = strstr(text, "gpus");
  assert_non_null(gpus);
  assert_int_equal(strtol(gpus + 4, NULL, 10), 2);
  char *said = check_explained(c);
  assert_non_null(strstr(said, "threads 2,")); /* its part of them */
  free(said);
  int64_t stream;
  int32_t gpu;
  OK(rp_context_gpu(c, &gpu, &stream));
  assert_int_equal(gpu, 3);
  end(c);
  c = gpu_context("--gpus 4 --nccl none");
  assert_int_equal(rp_context_gpus(c), 4);
  end(c);
}

/* ---- ending ---- */

static void work(rp_context *c, rp_store **x, int passes) {
  const int64_t n = N;
  OK(rp_store_create(c, RP_F64, 1, &n, x));
  for (int i = 0; i < passes; i++) OK(EVAL(c, "x", "x[i] = 0.5*x[i] + i", *x));
}

static void test_ends(void **state) {
  (void)state;
  rp_store *x, *v;
  rp_context *c = gpu_context(SEVERAL); /* nothing has happened */
  end(c);
  c = gpu_context(SEVERAL); /* work under way, and handles that outlive it */
  work(c, &x, 300);
  OK(rp_store_slice(x, 0, 1, 100, 1, &v));
  OK(rp_store_retain(x));
  OK(rp_context_destroy(c));
  FAILS(RP_ERR_STATE, "destroyed", rp_store_wait(x));
  for (int i = 0; i < 2; i++) OK(rp_store_release(x));
  OK(rp_store_release(v));
  emu_check_empty();
  c = gpu_context(SEVERAL "--explain off"); /* a trace is open, and a reader waits for nothing */
  OK(rp_trace_begin(c, 3));
  work(c, &x, 3);
  OK(rp_store_release(x));
  end(c);
  rp_context *one = gpu_context(SEVERAL), *two = gpu_context(SEVERAL); /* beside each other */
  rp_store *y;
  work(one, &x, 5);
  work(two, &y, 5);
  double a[N], b[N];
  OK(rp_store_read(x, a, sizeof a));
  OK(rp_store_read(y, b, sizeof b));
  assert_memory_equal(a, b, sizeof a);
  FAILS(RP_ERR_ARGUMENT, "another context", EVAL(one, "x, y", "x = y", x, y));
  OK(rp_store_release(x));
  OK(rp_store_release(y));
  OK(rp_context_destroy(one));
  end(two);
}

static void count_down(void *data) { --*(int *)data; }

/* What a library keeps goes when nobody computes any more, once. */
static void test_data(void **state) {
  (void)state;
  static const char key;
  int left = 1;
  rp_store *x;
  rp_context *c = gpu_context(SEVERAL);
  OK(rp_context_set_data(c, &key, &left, count_down));
  work(c, &x, 20);
  OK(rp_store_release(x));
  end(c);
  assert_int_equal(left, 0);
}

static void test_fork(void **state) {
  (void)state;
  rp_store *x;
  rp_context *c = gpu_context(SEVERAL);
  work(c, &x, 3);
  const pid_t child = fork();
  if (child == 0) {
    double v;
    const bool refused =
        rp_store_read_part(x, (int64_t[]){0}, (int64_t[]){1}, &v, 8) == RP_ERR_STATE &&
        rp_context_destroy(c) == RP_ERR_STATE && rp_store_release(x) == RP_OK;
    _exit(refused ? 0 : 1);
  }
  int status = 1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  OK(rp_store_release(x));
  end(c);
}

/* ---- finalizers ---- */

static void *finalize(void *arg) {
  rp_store **all = arg;
  for (int i = 0; all[i]; i++)
    if (rp_store_release_any(all[i]) != RP_OK) abort();
  return NULL;
}

/* What another thread releases counts when all have it; twice released is twice. */
static void test_finalizers(void **state) {
  (void)state;
  enum { MANY = 60 };
  rp_store *all[MANY + 1] = {NULL}, *x;
  rp_context *c = gpu_context(SEVERAL "--consensus 4 --window 3");
  for (int round = 0; round < 3; round++) {
    pthread_t thread;
    for (int i = 0; i < MANY; i++) {
      work(c, &all[i], 1);
      if (i % 3 == 0) { /* two references, both of the finalizer's */
        OK(rp_store_retain(all[i]));
        all[i + 1] = all[i];
        i++;
      }
    }
    assert_int_equal(pthread_create(&thread, NULL, finalize, all), 0);
    for (int i = 0; i < 20; i++) {
      work(c, &x, 4);
      OK(rp_store_release(x));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    for (int i = 0; i < 60; i++) {
      work(c, &x, 4);
      OK(rp_store_release(x));
    }
  }
  for (int i = 0; i < MANY; i++) work(c, &all[i], 4);
  assert_int_equal(check_stat(c, "agreed"), 3 * MANY);
  for (int i = 0; i < MANY; i++) OK(rp_store_release(all[i]));
  end(c);
}

/* ---- failures ---- */

static int other_way; /* of the life below */

static rp_status steps(rp_context *c) {
  static double v[N];
  const int64_t n = N;
  rp_store *x = NULL, *y = NULL, *s = NULL;
  rp_status st = rp_store_create(c, RP_F64, 1, &n, &x);
  for (int i = 0; i < N; i++) v[i] = i % 13;
  if (st == RP_OK) st = rp_store_create(c, RP_F64, 1, &n, &y);
  if (st == RP_OK) st = rp_store_scalar(c, RP_F64, &(double){1}, &s);
  if (st == RP_OK) st = rp_store_write(x, v, sizeof v);
  for (int i = 0; i < 4 && st == RP_OK; i++) {
    st = EVAL(c, "y, x", "y[i] = x[19999 - i] + 1", y, x);
    if (st == RP_OK) st = EVAL(c, "s, y", "s += y*y", s, y);
    if (st == RP_OK) st = EVAL(c, "x, y, s", "x = y/(1 + s)", x, y, s);
  }
  if (st == RP_OK && other_way) st = rp_wait(c);
  if (st == RP_OK) st = rp_store_read(x, v, sizeof v);
  if (st == RP_OK) st = rp_wait(c);
  rp_store *all[] = {x, y, s};
  for (int i = 0; i < 3; i++) (void)rp_store_release(all[i]);
  return st;
}

static rp_status life(void) {
  rp_context *c;
  const rp_status st = gpu_context_try(SEVERAL "--tier 0 --log quiet", &c);
  if (st != RP_OK) return st;
  const rp_status ran = steps(c), end = rp_context_destroy(c);
  return ran != RP_OK ? ran : end;
}

/* Whichever call of the driver fails, on whatever GPU, nobody hangs, and the program hears why. */
static void test_calls_fail(void **state) {
  static const CUresult codes[] = {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_LAUNCH_FAILED};
  (void)state;
  const int64_t from = emu_calls();
  int failed = 0;
  OK(life());
  const int64_t calls = emu_calls() - from;
  assert_in_range(calls, 100, 5000);
  for (int64_t i = 1, k = 0; i <= calls; i += 1 + calls / 90, k++) {
    other_way = (int)(k / 2 % 2);
    emu_fail(i, codes[k % 2]);
    const rp_status st = life();
    emu_fail(0, CUDA_SUCCESS);
    if (st != RP_OK && st != RP_ERR_DEVICE && st != RP_ERR_MEMORY && st != RP_ERR_RANKS)
      fail_msg("call %lld: %s, %s", (long long)i, rp_status_name(st), rp_last_error());
    if (st != RP_OK && !strstr(rp_last_error(), "GPU") && !strstr(rp_last_error(), "rank"))
      fail_msg("call %lld: the sentence \"%s\" names nobody", (long long)i, rp_last_error());
    failed += st != RP_OK;
    emu_check_empty();
  }
  assert_true(failed > 20);
}

/* A kernel that fails: later calls fail, too, and all can end. */
static void test_kernel_fails(void **state) {
  (void)state;
  rp_context *c = gpu_context(SEVERAL "--tier 0 --log quiet");
  OK(steps(c));
  emu_sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
  rp_status st = RP_OK;
  for (int i = 0; i < 3 && st == RP_OK; i++) st = steps(c);
  assert_true(st == RP_ERR_DEVICE || st == RP_ERR_RANKS);
  assert_true(steps(c) != RP_OK);
  assert_true(rp_wait(c) != RP_OK);
  (void)rp_context_destroy(c);
  emu_check_empty();
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_numbers),     cmocka_unit_test(test_ends),
      cmocka_unit_test(test_data),        cmocka_unit_test(test_fork),
      cmocka_unit_test(test_finalizers),  cmocka_unit_test(test_calls_fail),
      cmocka_unit_test(test_kernel_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
