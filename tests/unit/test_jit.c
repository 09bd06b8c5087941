/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_jit.c -- the kernel table: tiers, names, memory and disk hits, waiting, refusals,
 * destroying while a compiler runs, fork. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "jit/compile_cc.h"
#include "jit/jit.h"

static char folder[64];
static bool has_cc;

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/reprise-jit-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  DIR *d = opendir(folder);
  for (struct dirent *e = readdir(d); e; e = readdir(d)) unlinkat(dirfd(d), e->d_name, 0);
  closedir(d);
  return rmdir(folder);
}

static rpi_jit *make(const char *options) {
  rpi_config config;
  rpi_jit *j = NULL;
  char text[256];
  snprintf(text, sizeof text, "--cache_dir %s %s", folder, options);
  if (rpi_config_init(&config, text) != RP_OK) fail_msg("%s", rpi_status_message());
  if (rpi_jit_create(&config, NULL, &j) != RP_OK) fail_msg("%s", rpi_status_message());
  rpi_config_deinit(&config);
  return j;
}

/* z = x*c + x, and the sum of z. */
static void kernel_ir(rpi_ir *ir, double c) {
  rpi_ir_init(ir, 1);
  const rpi_ir_operand in = {
      .dtype = RP_F64, .rank = 1, .access = RPI_ACCESS_READ, .sclass = {RPI_STRIDE_UNIT}};
  const rpi_ir_operand out = {
      .dtype = RP_F64, .rank = 1, .access = RPI_ACCESS_WRITE, .sclass = {RPI_STRIDE_UNIT}};
  const rpi_ir_operand sum = {.dtype = RP_F64, .rank = 1, .access = RPI_ACCESS_REDUCE};
  const rpi_ir_red red = {.operand = 2, .op = RPI_RED_SUM, .mask = 1};
  rpi_ir_operand_add(ir, &in);
  rpi_ir_operand_add(ir, &out);
  rpi_ir_operand_add(ir, &sum);
  rpi_ir_red_add(ir, &red);
  const rpi_irval k = rpi_ir_const_f64(ir, RP_F64, c);
  ir->n_pro = 1;
  const rpi_irval x = rpi_ir_emit(ir, RPI_IR_LOAD, RP_F64, 0, 0, NULL);
  const rpi_irval z =
      rpi_ir_emit2(ir, RPI_IR_ADD, RP_F64, rpi_ir_emit2(ir, RPI_IR_MUL, RP_F64, x, k), x);
  rpi_ir_emit(ir, RPI_IR_STORE, RP_F64, 1, 1, &z);
  rpi_ir_emit(ir, RPI_IR_REDUCE, RP_F64, 0, 1, &z);
  ir->n_body = ir->n_ins;
  assert_int_equal(rpi_ir_check(ir), RP_OK);
}

static const rpi_kernel *ask_only(rpi_jit *j, double c) {
  rpi_ir ir;
  const rpi_kernel *k = NULL;
  kernel_ir(&ir, c);
  if (rpi_jit_kernel(j, &ir, "mul_add", &k) != RP_OK) fail_msg("%s", rpi_status_message());
  rpi_ir_deinit(&ir);
  return k;
}

static const rpi_kernel *ask(rpi_jit *j, double c) {
  const rpi_kernel *k = ask_only(j, c);
  rpi_jit_start(j);
  return k;
}

static int32_t tier_of(const rpi_kernel *k) { return atomic_load(&k->code)->tier; }

/* Runs k on 3000 elements with whatever code it has, and checks what comes out. */
static void check(const rpi_kernel *k, double c) {
  static double x[3000], z[3000], partial[8];
  static unsigned char scratch[RPI_KERNEL_SCRATCH] __attribute__((aligned(64)));
  double sum = 0;
  uint32_t flag = 0;
  rpi_word w[64] = {{0}};
  rpi_ir_layout l;
  const rpi_kernel_code *code = atomic_load(&k->code);
  rpi_ir_layout_get(rpi_jit_ir(k), &l);
  assert_int_equal(k->n_words, l.n_words);
  for (int32_t i = 0; i < 3000; i++) x[i] = i % 17;
  w[l.extent].i = 3000;
  w[l.ptr].p = x;
  w[l.ptr + 1].p = z;
  w[l.ptr + 2].p = &sum;
  w[l.stride].i = w[l.stride + 1].i = 1;
  w[l.partial].p = partial;
  w[l.flag].p = &flag;
  if (code->pro) code->pro(code->self, w);
  code->body(code->self, w, 0, 3, scratch);
  assert_non_null(k->finish);
  k->finish(k, w);
  if (code->epi) code->epi(code->self, w);
  double want = 0;
  for (int32_t i = 0; i < 3000; i++) {
    assert_true(z[i] == x[i] * c + x[i]);
    want += z[i]; /* small integers: exact in any order */
  }
  assert_true(sum == want);
}

static rpi_jit_stats stats(const rpi_jit *j) {
  rpi_jit_stats s;
  rpi_jit_stats_get(j, &s);
  return s;
}

static void test_tier_0(void **state) {
  (void)state;
  rpi_jit *j = make("--tier 0");
  const rpi_kernel *k = ask(j, 3);
  assert_int_equal(tier_of(k), 0);
  assert_int_equal(strncmp(k->name, "mul_add_", 8), 0);
  assert_int_equal(strlen(k->name), 16);
  check(k, 3);
  assert_ptr_equal(ask(j, 3), k);
  assert_ptr_not_equal(ask(j, 4), k);
  rpi_jit_wait(j);
  assert_int_equal(tier_of(k), 0);
  assert_int_equal(stats(j).kernels, 2);
  assert_int_equal(stats(j).memory_hits, 1);
  assert_int_equal(stats(j).compiles, 0);
  assert_true(strlen(rpi_jit_refusal(k)) > 0);
  rpi_jit_destroy(j);
}

static void test_tier_1(void **state) {
  char name[128];
  (void)state;
  if (!has_cc) skip();
  rpi_jit *j = make("--tier 1");
  const rpi_kernel *k = ask(j, 5);
  assert_int_equal(tier_of(k), 1); /* without any waiting */
  assert_string_equal(rpi_jit_refusal(k), "");
  check(k, 5);
  snprintf(name, sizeof name, "%s", k->name);
  assert_int_equal(stats(j).compiles, 1);
  assert_true(stats(j).compile_ns > 0);
  rpi_jit_destroy(j);
  j = make("--tier auto"); /* another life finds it on disk, before the return */
  k = ask(j, 5);
  assert_int_equal(tier_of(k), 1);
  assert_string_equal(k->name, name);
  check(k, 5);
  assert_int_equal(stats(j).compiles, 0);
  assert_int_equal(stats(j).disk_hits, 1);
  rpi_jit_destroy(j);
}

static void test_auto(void **state) {
  (void)state;
  if (!has_cc) skip();
  rpi_jit *j = make("--tier auto --keep_source on");
  const rpi_kernel *k[4];
  for (int32_t i = 0; i < 4; i++) {
    k[i] = ask_only(j, 6 + i);
    check(k[i], 6 + i); /* at once */
  }
  rpi_jit_start(j);
  rpi_jit_wait(j);
  assert_int_equal(stats(j).pending, 0);
  for (int32_t i = 0; i < 4; i++) {
    assert_int_equal(tier_of(k[i]), 1);
    check(k[i], 6 + i);
  }
  assert_int_equal(stats(j).compiles, 1); /* together */
  assert_int_equal(stats(j).compile_fails, 0);
  int32_t kept = 0;
  DIR *d = opendir(folder);
  for (struct dirent *e = readdir(d); e; e = readdir(d)) kept += strstr(e->d_name, ".c") != NULL;
  closedir(d);
  assert_int_equal(kept, 4);
  rpi_jit_destroy(j);
  j = make("--tier 1"); /* each is on disk for itself */
  assert_int_equal(tier_of(ask(j, 8)), 1);
  assert_int_equal(tier_of(ask_only(j, 9)), 1);
  assert_int_equal(stats(j).disk_hits, 2);
  assert_int_equal(stats(j).compiles, 0);
  rpi_jit_destroy(j);
}

/* A compiler that cannot take several kernels at once: each is tried alone. */
static void test_one_by_one(void **state) {
  char path[128], options[256];
  (void)state;
  if (!has_cc) skip();
  snprintf(path, sizeof path, "%s/cc", folder);
  FILE *f = fopen(path, "w");
  fputs("#!/bin/sh\nfor a; do case $a in *.c) n=$(grep -c 'rpk_body_[0-9a-f]*,' $a);; esac; done\n"
        "[ $n -le 1 ] && exec cc \"$@\"\necho too many >&2\nexit 1\n",
        f);
  fclose(f);
  chmod(path, 0700);
  snprintf(options, sizeof options, "--tier 1 --cc %s", path);
  rpi_jit *j = make(options);
  const rpi_kernel *k[3];
  for (int32_t i = 0; i < 3; i++) k[i] = ask_only(j, 20 + i);
  rpi_jit_start(j);
  for (int32_t i = 0; i < 3; i++) {
    assert_int_equal(tier_of(k[i]), 1);
    check(k[i], 20 + i);
  }
  assert_int_equal(stats(j).compiles, 4);
  assert_int_equal(stats(j).compile_fails, 1);
  rpi_jit_destroy(j);
}

/* The scheduling policy that the compiler, a script, read of itself, 0.1 s after it was started. */
static int policy_read(void) {
  char path[128];
  int policy = -1;
  snprintf(path, sizeof path, "%s/policy", folder);
  for (int32_t i = 0; i < 4000 && policy < 0; i++) {
    const struct timespec t = {.tv_nsec = 20000000};
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &policy) != 1) policy = -1;
    if (f) fclose(f);
    if (policy < 0) nanosleep(&t, NULL);
  }
  unlink(path);
  return policy;
}

/* The compiler stands back, unless somebody waits for it. Field 41 of stat is the policy. */
static void test_priority(void **state) {
  char path[128], options[256];
  (void)state;
  if (!has_cc || geteuid() != 0) skip(); /* others may not be allowed to raise it */
  snprintf(path, sizeof path, "%s/cc", folder);
  FILE *f = fopen(path, "w");
  fprintf(f,
          "#!/bin/sh\nsleep 0.1\ncut -d' ' -f41 /proc/$$/stat > %s/new && mv %s/new "
          "%s/policy\nexit 1\n",
          folder, folder, folder);
  fclose(f);
  chmod(path, 0700);
  snprintf(options, sizeof options, "--tier auto --cc %s", path);
  for (int32_t wait = 0; wait < 2; wait++) {
    rpi_jit *j = make(options);
    ask(j, 30);
    if (wait) rpi_jit_wait(j);
    assert_int_equal(policy_read(), wait ? SCHED_OTHER : SCHED_IDLE);
    rpi_jit_destroy(j);
  }
}

static void test_no_compiler(void **state) {
  (void)state;
  rpi_jit *j = make("--tier 1 --cc none");
  const rpi_kernel *k = ask(j, 11);
  assert_int_equal(tier_of(k), 0);
  assert_non_null(strstr(rpi_jit_refusal(k), "no C compiler"));
  check(k, 11);
  rpi_jit_wait(j);
  rpi_jit_destroy(j);
  char path[128], options[256]; /* one that always fails */
  snprintf(path, sizeof path, "%s/cc", folder);
  FILE *f = fopen(path, "w");
  fputs("#!/bin/sh\necho cannot >&2\nexit 1\n", f);
  fclose(f);
  chmod(path, 0700);
  snprintf(options, sizeof options, "--tier auto --cc %s", path);
  j = make(options);
  k = ask(j, 11);
  rpi_jit_wait(j);
  assert_int_equal(tier_of(k), 0);
  assert_non_null(strstr(rpi_jit_refusal(k), "cannot"));
  assert_int_equal(stats(j).compile_fails, 1);
  check(k, 11);
  rpi_jit_destroy(j);
}

static void test_destroy_early(void **state) {
  (void)state;
  if (!has_cc) skip();
  const int64_t from = rpi_clock_ns();
  for (int32_t i = 0; i < 3; i++) {
    rpi_jit *j = make("--tier auto");
    for (int32_t c = 0; c < 20; c++) check(ask(j, 100 + c), 100 + c);
    rpi_jit_destroy(j); /* nineteen and a half compiles are not waited for */
  }
  assert_true(rpi_clock_ns() - from < INT64_C(1500000000));
}

static void test_fork(void **state) {
  (void)state;
  if (!has_cc) skip();
  rpi_jit *j = make("--tier auto");
  const rpi_kernel *k = ask(j, 200);
  const pid_t pid = fork();
  if (pid == 0) {
    check(k, 200);
    const rpi_kernel *own = ask(j, 201);
    check(own, 201);
    rpi_jit_wait(j);
    if (tier_of(own) != 0 || !*rpi_jit_refusal(own)) _exit(1);
    rpi_jit_destroy(j);
    _exit(0);
  }
  int status = -1;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  rpi_jit_wait(j);
  assert_int_equal(tier_of(k), 1);
  rpi_jit_destroy(j);
}

static void test_vector(void **state) {
  rpi_config config;
  rpi_jit *j = (rpi_jit *)folder;
  (void)state;
  assert_int_equal(rpi_config_init(&config, "--vector avx512 --tier 0"), RP_OK);
  const rp_status status = rpi_jit_create(&config, NULL, &j);
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")) {
    assert_int_equal(status, RP_OK);
    assert_string_equal(rpi_jit_vector(j), "avx512");
  } else {
    assert_int_equal(status, RP_ERR_CONFIG);
    assert_non_null(strstr(rpi_status_message(), "avx512"));
    assert_null(j);
  }
  rpi_jit_destroy(j);
  rpi_config_deinit(&config);
  j = make("--vector avx2 --tier 0");
  assert_string_equal(rpi_jit_vector(j), "avx2");
  rpi_jit_destroy(j);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_tier_0, setup, teardown),
      cmocka_unit_test_setup_teardown(test_tier_1, setup, teardown),
      cmocka_unit_test_setup_teardown(test_auto, setup, teardown),
      cmocka_unit_test_setup_teardown(test_one_by_one, setup, teardown),
      cmocka_unit_test_setup_teardown(test_priority, setup, teardown),
      cmocka_unit_test_setup_teardown(test_no_compiler, setup, teardown),
      cmocka_unit_test_setup_teardown(test_destroy_early, setup, teardown),
      cmocka_unit_test_setup_teardown(test_fork, setup, teardown),
      cmocka_unit_test_setup_teardown(test_vector, setup, teardown),
  };
  rpi_cc *cc = NULL;
  if (rpi_cc_create("", RPI_VECTOR_AVX2, &cc) != RP_OK) return 1;
  has_cc = cc != NULL;
  rpi_cc_free(cc);
  if (!has_cc) print_message("no C compiler on PATH: tier 1 is not tested\n");
  rpi_log_level(RPI_LOG_QUIET);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
