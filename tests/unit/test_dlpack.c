/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_dlpack.c -- the structs of dlpack.h against the sizes, offsets and numbers of DLPack 1.0's specification on
 * a machine of 64 bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/model/dlpack.h"

#define AT(type, member, offset) assert_int_equal(offsetof(type, member), offset)

static void test_tensor(void **state) {
  (void)state;
  assert_int_equal(sizeof(rpi_dlpack_device), 8);
  AT(rpi_dlpack_device, device_type, 0);
  AT(rpi_dlpack_device, device_id, 4);
  assert_int_equal(sizeof(rpi_dlpack_dtype), 4);
  AT(rpi_dlpack_dtype, code, 0);
  AT(rpi_dlpack_dtype, bits, 1);
  AT(rpi_dlpack_dtype, lanes, 2);
  assert_int_equal(sizeof(rpi_dlpack_tensor), 48);
  AT(rpi_dlpack_tensor, data, 0);
  AT(rpi_dlpack_tensor, device, 8);
  AT(rpi_dlpack_tensor, ndim, 16);
  AT(rpi_dlpack_tensor, dtype, 20);
  AT(rpi_dlpack_tensor, shape, 24);
  AT(rpi_dlpack_tensor, strides, 32);
  AT(rpi_dlpack_tensor, byte_offset, 40);
}

static void test_managed(void **state) {
  (void)state;
  assert_int_equal(sizeof(struct DLManagedTensor), 64);
  AT(struct DLManagedTensor, dl_tensor, 0);
  AT(struct DLManagedTensor, manager_ctx, 48);
  AT(struct DLManagedTensor, deleter, 56);
  assert_int_equal(sizeof(struct DLManagedTensorVersioned), 80);
  AT(struct DLManagedTensorVersioned, major, 0);
  AT(struct DLManagedTensorVersioned, minor, 4);
  AT(struct DLManagedTensorVersioned, manager_ctx, 8);
  AT(struct DLManagedTensorVersioned, deleter, 16);
  AT(struct DLManagedTensorVersioned, flags, 24);
  AT(struct DLManagedTensorVersioned, dl_tensor, 32);
}

static void test_numbers(void **state) {
  (void)state;
  assert_int_equal(RPI_DLPACK_CPU, 1);
  assert_int_equal(RPI_DLPACK_CUDA, 2);
  assert_int_equal(RPI_DLPACK_CUDA_HOST, 3);
  assert_int_equal(RPI_DLPACK_INT, 0);
  assert_int_equal(RPI_DLPACK_UINT, 1);
  assert_int_equal(RPI_DLPACK_FLOAT, 2);
  assert_int_equal(RPI_DLPACK_BOOL, 6);
  assert_int_equal(RPI_DLPACK_READ_ONLY, 1 << 0);
  assert_int_equal(RPI_DLPACK_IS_COPIED, 1 << 1);
  assert_int_equal(RPI_DLPACK_MAJOR, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_tensor), cmocka_unit_test(test_managed),
                                     cmocka_unit_test(test_numbers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
