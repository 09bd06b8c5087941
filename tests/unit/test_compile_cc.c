/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_compile_cc.c -- no compiler, one that fails, dies, floods or hangs, and the real
 * one in a process that ignores SIGCHLD. The bad compilers are small shell scripts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/config.h"
#include "jit/compile_cc.h"

static char folder[64], object[128];

static const char good[] =
    "__attribute__((visibility(\"default\"))) int rpk_seven(void) { return 7; }\n";

static int start(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/reprise-cc-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  snprintf(object, sizeof object, "%s/k.so", folder);
  return 0;
}

static int32_t files(void) {
  int32_t n = 0;
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (struct dirent *e = readdir(d); e; e = readdir(d)) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

static int stop(void **state) {
  (void)state;
  return rmdir(folder);
}

/* A compiler that does what `body` says. */
static void script(const char *body, char *path, size_t size) {
  static int32_t number;
  snprintf(path, size, "%s/cc%d", folder, number++);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fprintf(f, "#!/bin/sh\n%s\n", body);
  fclose(f);
  assert_int_equal(chmod(path, 0700), 0);
}

static rp_status try_script(const char *body) {
  char path[128];
  rpi_cc *cc = NULL;
  script(body, path, sizeof path);
  assert_int_equal(rpi_cc_create(path, RPI_VECTOR_AVX2, &cc), RP_OK);
  assert_non_null(cc);
  assert_non_null(strstr(rpi_cc_identity(cc), path));
  const rp_status status = rpi_cc_compile(cc, good, object);
  rpi_cc_free(cc);
  unlink(path);
  assert_int_equal(files(), 0);
  return status;
}

static void test_none(void **state) {
  static const char *const knobs[] = {"none", "/no/such/compiler", "no-such-compiler", "/tmp"};
  (void)state;
  for (int32_t i = 0; i < 4; i++) {
    rpi_cc *cc = (rpi_cc *)folder;
    assert_int_equal(rpi_cc_create(knobs[i], RPI_VECTOR_AVX2, &cc), RP_OK);
    assert_null(cc);
  }
  char *path = strdup(getenv("PATH"));
  rpi_cc *cc = NULL;
  setenv("PATH", folder, 1);
  assert_int_equal(rpi_cc_create("", RPI_VECTOR_AVX2, &cc), RP_OK);
  assert_null(cc);
  setenv("PATH", path, 1);
  free(path);
}

static void test_bad(void **state) {
  (void)state;
  assert_int_equal(try_script("echo it is broken >&2; exit 1"), RP_ERR_IO);
  assert_non_null(strstr(rpi_status_message(), "it is broken"));
  assert_int_equal(try_script("exit 0"), RP_ERR_IO); /* says yes, makes nothing */
  assert_int_equal(try_script("while [ \"$1\" != -o ]; do shift; done; echo junk > $2"), RP_ERR_IO);
  assert_int_equal(try_script("kill -9 $$"), RP_ERR_IO);
  assert_non_null(strstr(rpi_status_message(), "killed"));
  assert_int_equal(try_script("yes 0123456789 | head -c 300000; exit 1"), RP_ERR_IO);
  assert_true(strlen(rpi_status_message()) < 4000);
}

/* Nothing of ours leaks into the child: descriptors, signal masks, process group. */
static void test_child(void **state) {
  (void)state;
  const int fd = dup(1); /* without CLOEXEC, on purpose */
  sigset_t all, old;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  assert_int_equal(
      try_script(
          "echo fds $(ls /proc/self/fd | wc -l) group $(($(cut -d' ' -f5 /proc/$$/stat) == $$)) "
          "blocked $(grep SigBlk /proc/self/status | cut -f2) $LC_ALL; exit 1"),
      RP_ERR_IO);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  close(fd);
  const char *said = rpi_status_message();
  if (!strstr(said, "fds 4 group 1 blocked 0000000000000000 C")) fail_msg("%s", said);
}

/* Another file is another compiler, even under the same name; the same file is the same one. */
static void test_identity(void **state) {
  char path[128];
  rpi_cc *cc[3];
  (void)state;
  script("exit 1", path, sizeof path);
  assert_int_equal(rpi_cc_create(path, RPI_VECTOR_AVX2, &cc[0]), RP_OK);
  assert_int_equal(rpi_cc_create(path, RPI_VECTOR_AVX2, &cc[1]), RP_OK);
  FILE *f = fopen(path, "a");
  fputs("# newer\n", f);
  fclose(f);
  assert_int_equal(rpi_cc_create(path, RPI_VECTOR_AVX2, &cc[2]), RP_OK);
  assert_string_equal(rpi_cc_identity(cc[0]), rpi_cc_identity(cc[1]));
  assert_string_not_equal(rpi_cc_identity(cc[0]), rpi_cc_identity(cc[2]));
  for (int32_t i = 0; i < 3; i++) rpi_cc_free(cc[i]);
  unlink(path);
}

static void *compile_forever(void *arg) {
  static rp_status status;
  status = rpi_cc_compile(arg, good, object);
  return &status;
}

static void test_cancel(void **state) {
  char path[128];
  pthread_t thread;
  void *status = NULL;
  rpi_cc *cc = NULL;
  (void)state;
  script("sleep 100 & sleep 100", path, sizeof path);
  assert_int_equal(rpi_cc_create(path, RPI_VECTOR_AVX2, &cc), RP_OK);
  assert_int_equal(pthread_create(&thread, NULL, compile_forever, cc), 0);
  const struct timespec t = {.tv_nsec = 50 * 1000 * 1000};
  nanosleep(&t, NULL);
  const int64_t from = rpi_clock_ns();
  rpi_cc_cancel(cc);
  pthread_join(thread, &status);
  assert_int_equal(*(rp_status *)status, RP_ERR_IO);
  assert_true(rpi_clock_ns() - from < INT64_C(1000000000));
  rpi_cc_free(cc);
  unlink(path);
  assert_int_equal(files(), 0);
}

static void check_real(rpi_cc *cc) {
  int (*seven)(void) = NULL;
  const rp_status status = rpi_cc_compile(cc, good, object);
  if (status != RP_OK) fail_msg("%s", rpi_status_message());
  assert_int_equal(files(), 1);
  void *so = dlopen(object, RTLD_NOW | RTLD_LOCAL);
  assert_non_null(so);
  void *symbol = dlsym(so, "rpk_seven");
  memcpy(&seven, &symbol, sizeof symbol);
  assert_int_equal(seven(), 7);
  dlclose(so);
  unlink(object);
  assert_int_equal(rpi_cc_compile(cc, "int f( {\n", object), RP_ERR_IO);
  assert_non_null(strstr(rpi_status_message(), "error"));
  assert_int_equal(files(), 0);
}

static void test_real(void **state) {
  static const char *const names[] = {"gcc", "clang"};
  (void)state;
  for (int32_t i = 0; i < 2; i++) {
    rpi_cc *cc = NULL;
    assert_int_equal(rpi_cc_create(names[i], RPI_VECTOR_AVX2, &cc), RP_OK);
    if (!cc) {
      print_message("no %s: not tested\n", names[i]);
      continue;
    }
    check_real(cc);
    signal(SIGCHLD, SIG_IGN);
    check_real(cc);
    signal(SIGCHLD, SIG_DFL);
    rpi_cc_free(cc);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_none),     cmocka_unit_test(test_bad),    cmocka_unit_test(test_child),
      cmocka_unit_test(test_identity), cmocka_unit_test(test_cancel), cmocka_unit_test(test_real),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
