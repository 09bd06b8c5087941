/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_nccl.c -- every way in which there is no NCCL has its sentence, which is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "core/device/nccl.h"

/* ---- opening ---------------------------------------------------------------------------------------------- */

/* The library is refused, and the sentence has all the words. */
static void check_refused(const char *library, const char *const *words) {
  const rpi_nccl_table *t = (const rpi_nccl_table *)&library;
  assert_int_equal(rpi_nccl_open(library, &t), RP_ERR_DEVICE);
  assert_null(t);
  for (; *words; words++)
    if (!strstr(rpi_status_message(), *words))
      fail_msg("\"%s\" is not in: %s", *words, rpi_status_message());
}
#define REFUSED(library, ...) check_refused(library, (const char *const[]){__VA_ARGS__, NULL})

static void test_no_library(void **state) {
  (void)state;
  REFUSED("/nowhere/libnccl.so.2", "no NCCL", "/nowhere/libnccl.so.2", "GPU to GPU");
  char before[512];
  snprintf(before, sizeof before, "%s", rpi_status_message());
  rpi_status_fail(RP_ERR_DATA, "something else");
  REFUSED("/nowhere/libnccl.so.2", before);
  REFUSED("none", "the knob nccl is \"none\"");
  REFUSED("libm.so.6", "libm.so.6 is no NCCL", "ncclGetVersion");
}

/* By its usual name it is there or not; if not, that name is in the sentence. */
static void test_usual_name(void **state) {
  (void)state;
  const rpi_nccl_table *a, *b;
  char one[RPI_NCCL_ID], two[RPI_NCCL_ID];
  if (!dlopen("libnccl.so.2", RTLD_NOW)) {
    REFUSED(NULL, "no NCCL", "libnccl.so.2");
    REFUSED("", "no NCCL", "libnccl.so.2");
    return;
  }
  assert_int_equal(rpi_nccl_open(NULL, &a), RP_OK);
  assert_int_equal(rpi_nccl_open("", &b), RP_OK);
  assert_ptr_equal(a, b);
  assert_true(a->release >= RPI_NCCL_OLDEST && a->words && a->send);
  if (rpi_nccl_id(a, one) != RP_OK) return; /* it wants a network */
  assert_int_equal(rpi_nccl_id(a, two), RP_OK);
  assert_memory_not_equal(one, two, RPI_NCCL_ID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_library),
      cmocka_unit_test(test_usual_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
