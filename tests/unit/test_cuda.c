/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_cuda.c -- every way in which there is no driver has its sentence, which is remembered: no library, no
 * driver, the toolkit's stub, too old, a function missing, no GPU, a start that fails. Libraries that refuse are made
 * of tests/support/fake_cuda.c and lie beside this program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "core/device/cuda.h"
#include "core/device/device.h"

/* The library is refused, and the sentence has all the words. */
static void check_refused(const char *library, const char *const *words) {
  const rpi_cuda *cu = (const rpi_cuda *)&library;
  assert_int_equal(rpi_cuda_open(library, &cu), RP_ERR_DEVICE);
  assert_null(cu);
  for (; *words; words++) {
    if (!strstr(rpi_status_message(), *words))
      fail_msg("\"%s\" is not in: %s", *words, rpi_status_message());
  }
}
#define REFUSED(library, ...) check_refused(library, (const char *const[]){__VA_ARGS__, NULL})

static int32_t begun(const char *library) {
  int (*count)(void);
  void *so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  assert_non_null(so);
  void *address = dlsym(so, "fake_begun");
  assert_non_null(address);
  memcpy(&count, &address, sizeof count);
  const int32_t n = count();
  dlclose(so);
  return n;
}

static void test_no_library(void **state) {
  (void)state;
  REFUSED("/nowhere/libcuda.so.1", "no CUDA driver", "/nowhere/libcuda.so.1", "NVIDIA driver");
  char before[512];
  snprintf(before, sizeof before, "%s", rpi_status_message());
  rpi_status_fail(RP_ERR_DATA, "something else");
  REFUSED("/nowhere/libcuda.so.1", before);
}

/* By its usual name it is there or not; if not, that name is in the sentence. */
static void test_usual_name(void **state) {
  (void)state;
  const rpi_cuda *a, *b;
  if (dlopen("libcuda.so.1", RTLD_NOW)) {
    assert_int_equal(rpi_cuda_open(NULL, &a), rpi_cuda_open("", &b));
    assert_ptr_equal(a, b);
  } else {
    REFUSED(NULL, "no CUDA driver", "libcuda.so.1");
    REFUSED("", "no CUDA driver", "libcuda.so.1");
  }
}

static void test_no_driver(void **state) {
  (void)state;
  REFUSED("libm.so.6", "libm.so.6 is no CUDA driver", "cuInit");
}

static void test_stub(void **state) {
  (void)state;
#ifdef CUDA_STUB
  if (access(CUDA_STUB, R_OK) == 0) {
    REFUSED(CUDA_STUB, CUDA_STUB, "is the stub", "NVIDIA driver");
    return;
  }
#endif
  skip();
}

static void test_too_old(void **state) {
  (void)state;
  REFUSED(FAKE_OLD, "too old", "CUDA 11.8", "12.0 is needed");
  assert_int_equal(begun(FAKE_OLD), 0); /* it was not worth it */
}

static void test_function_missing(void **state) {
  (void)state;
  REFUSED(FAKE_LACKING, "cuLaunchKernel", "CUDA 12.4", "CUDA 12.0");
}

static void test_no_device(void **state) {
  (void)state;
  assert_int_equal(setenv("CUDA_VISIBLE_DEVICES", "-1", 1), 0);
  REFUSED(FAKE_NO_DEVICE, "CUDA 12.4", "sees no GPU", "CUDA_VISIBLE_DEVICES is \"-1\"");
  assert_int_equal(unsetenv("CUDA_VISIBLE_DEVICES"), 0);
  REFUSED(FAKE_NONE, "CUDA 12.4", "sees no GPU");
  assert_null(strstr(rpi_status_message(), "CUDA_VISIBLE_DEVICES"));
}

static void test_start_fails(void **state) {
  (void)state;
  for (int32_t i = 0; i < 3; i++) {
    REFUSED(FAKE_FAILS, "cuInit: CUDA_ERROR_FAKE (as the test wants it)", "CUDA 12.4");
    assert_int_equal(begun(FAKE_FAILS), 1);
  }
}

/* One table per library, and its devices are counted. */
static void test_opens(void **state) {
  (void)state;
  const rpi_cuda *a, *b;
  int32_t n = -1;
  assert_int_equal(rpi_cuda_open(FAKE_OPENS, &a), RP_OK);
  assert_int_equal(rpi_cuda_open(FAKE_OPENS, &b), RP_OK);
  assert_ptr_equal(a, b);
  assert_int_equal(begun(FAKE_OPENS), 1);
  assert_int_equal(a->driver, 12040);
  assert_int_equal(rpi_device_count(FAKE_OPENS, &n), RP_OK);
  assert_int_equal(n, 2);
  assert_int_equal(rpi_device_count(FAKE_NONE, &n), RP_ERR_DEVICE);
  assert_int_equal(n, 0);
  void *const *fields = (void *const *)a;
  for (size_t i = 0; i < offsetof(rpi_cuda, driver) / sizeof *fields; i++)
    assert_non_null(fields[i]);
}

/* What a device says that cannot be opened. */
static void test_no_such_device(void **state) {
  (void)state;
  rpi_device *d = (rpi_device *)&state;
  assert_int_equal(rpi_device_open(FAKE_OPENS, 2, 0, &d), RP_ERR_DEVICE);
  assert_null(d);
  assert_non_null(strstr(rpi_status_message(), "no GPU 2"));
  assert_int_equal(rpi_device_open(FAKE_OPENS, -1, 0, &d), RP_ERR_DEVICE);
  assert_int_equal(rpi_device_open(FAKE_OPENS, 1, 0, &d), RP_ERR_DEVICE);
  assert_non_null(strstr(rpi_status_message(), "cuDeviceGet: CUDA_ERROR_FAKE"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_library), cmocka_unit_test(test_usual_name),
      cmocka_unit_test(test_no_driver),  cmocka_unit_test(test_stub),
      cmocka_unit_test(test_too_old),    cmocka_unit_test(test_function_missing),
      cmocka_unit_test(test_no_device),  cmocka_unit_test(test_start_fails),
      cmocka_unit_test(test_opens),      cmocka_unit_test(test_no_such_device),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
