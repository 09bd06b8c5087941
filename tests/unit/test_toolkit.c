/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_toolkit.c -- libraries of CUDA's toolkit: where they are looked for; those of an installed toolkit have all the
 * functions that are used, and its headers their types, constants and signatures (checked by the compiler). */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/dense/cublas.h"
#include "kernels/dense/cusolver.h"
#include "kernels/sparse/cusparse.h"
#include "kernels/toolkit.h"

/* ---- declarations ---- */

/* Sizes, values and signatures are those of the toolkit's headers. */
#define TYPE(name, is) \
  _Static_assert(sizeof(name) == sizeof(is), #name " has another size in the toolkit");
#define CONSTANT(name, value) \
  _Static_assert((int)(name) == (value), #name " has another value in the toolkit");
#define SIGNATURE(symbol, result, arguments) \
  _Static_assert(_Generic(&symbol, result(*) arguments : 1, default : 0), \
                 #symbol " has another signature in the toolkit");

#if __has_include(<cublas_v2.h>) && __has_include(<cusolverDn.h>) && __has_include(<cusparse.h>)
#include <cublas_v2.h>
#include <cusolverDn.h>
#include <cusparse.h>
#define HAS_HEADERS 1
#define RPI_CUBLAS_TYPE TYPE
#define RPI_CUBLAS_FN(field, symbol, arguments) SIGNATURE(symbol, cublasStatus_t, arguments)
#include "kernels/dense/cublas.def"
#define RPI_CUSOLVER_TYPE TYPE
#define RPI_CUSOLVER_CONSTANT CONSTANT
#define RPI_CUSOLVER_FN(field, symbol, arguments) SIGNATURE(symbol, cusolverStatus_t, arguments)
#include "kernels/dense/cusolver.def"
#define RPI_CUSPARSE_TYPE TYPE
#define RPI_CUSPARSE_CONSTANT CONSTANT
#define RPI_CUSPARSE_FN(field, symbol, arguments) SIGNATURE(symbol, cusparseStatus_t, arguments)
#include "kernels/sparse/cusparse.def"
#else
#define HAS_HEADERS 0
#endif

static void test_declarations(void **state) {
  (void)state;
  if (!HAS_HEADERS) {
    print_message("not all headers were found when this was built\n");
    skip();
  }
}

/* ---- libraries ---- */

static const char *const name = "libreprise_test_odd.so";
static double (*odd)(double);
static const rpi_toolkit_function has[] = {{"cos", &odd}};
static const rpi_toolkit_function lacks[] = {{"cos", &odd}, {"no_such_function", &odd}};

static void test_nowhere(void **state) {
  (void)state;
  const char *const names[] = {name, "libm.so.6"};
  assert_false(rpi_toolkit_open(names, 1, has, 1));
  assert_true(rpi_toolkit_open(names, 2, has, 1));
  assert_true(odd(0) == 1);
  assert_false(rpi_toolkit_open(names, 2, lacks, 2));
}

/* In either folder below CUDA_HOME. */
static void test_home(void **state) {
  (void)state;
  static const char *const folders[] = {"lib64", "lib"};
  char *said = getenv("CUDA_HOME"), *before = said ? strdup(said) : NULL;
  void *libm = dlopen("libm.so.6", RTLD_NOW);
  struct link_map *map;
  assert_non_null(libm);
  assert_int_equal(dlinfo(libm, RTLD_DI_LINKMAP, &map), 0);
  for (int i = 0; i < 2; i++) {
    char home[] = "/tmp/reprise-toolkit-XXXXXX", folder[64], path[128];
    assert_non_null(mkdtemp(home));
    snprintf(folder, sizeof folder, "%s/%s", home, folders[i]);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(symlink(map->l_name, path), 0);
    setenv("CUDA_HOME", home, 1);
    const bool found = rpi_toolkit_open(&name, 1, has, 1);
    setenv("CUDA_HOME", "", 1);
    const bool without = rpi_toolkit_open(&name, 1, has, 1);
    unlink(path);
    rmdir(folder);
    rmdir(home);
    assert_true(found);
    assert_false(without);
  }
  if (before)
    setenv("CUDA_HOME", before, 1);
  else
    unsetenv("CUDA_HOME");
  free(before);
  dlclose(libm);
}

static bool is_there(const char *library) {
  char path[128];
  snprintf(path, sizeof path, "/usr/local/cuda/lib64/%s", library);
  return dlopen(library, RTLD_NOW) || dlopen(path, RTLD_NOW);
}

static void test_installed(void **state) {
  (void)state;
  const bool cublas = is_there("libcublas.so.13"), cusolver = is_there("libcusolver.so.12"),
             cusparse = is_there("libcusparse.so.12");
  if (cublas) assert_true(rpi_cublas_found());
  if (cusolver) assert_true(rpi_cusolver_found());
  if (cusparse) assert_true(rpi_cusparse_found());
  if (!cublas && !cusolver && !cusparse) {
    print_message("none is here: %s\n", dlerror());
    skip();
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_declarations),
                                     cmocka_unit_test(test_nowhere), cmocka_unit_test(test_home),
                                     cmocka_unit_test(test_installed)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
