/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cuda.c -- libraries that refuse in the driver's place, for test_cuda; each is built with other answers.
 * Lives here: all symbols of cuda_driver.def. FAKE_VERSION, FAKE_INIT and FAKE_COUNT are what the calls for the version, for
 *             the start and for the number of devices answer; FAKE_LACKS is a symbol that is not exported.
 * Not here:   a driver that does anything.
 * How:        all functions are one, which is told the symbol; of the arguments it looks at the first two, which are integers or
 *             pointers and so come in the same registers whatever the others are. */
#include <stdint.h>
#include <string.h>

#ifndef FAKE_VERSION
#define FAKE_VERSION 12040
#endif
#ifndef FAKE_INIT
#define FAKE_INIT 0
#endif
#ifndef FAKE_COUNT
#define FAKE_COUNT 2
#endif

#define EXPORT __attribute__((visibility("default")))

/* How often it was begun. */
static int begun;
EXPORT int fake_begun(void);
int fake_begun(void) { return begun; }

static int answer(const char *symbol, void *first, void *second) {
  const char *words = NULL;
  if (strcmp(symbol, "cuInit") == 0) {
    begun++;
    return FAKE_INIT;
  }
  if (strcmp(symbol, "cuDriverGetVersion") == 0) return *(int *)first = FAKE_VERSION, 0;
  if (strcmp(symbol, "cuDeviceGetCount") == 0) return *(int *)first = FAKE_COUNT, 0;
  if (strcmp(symbol, "cuGetErrorName") == 0) words = "CUDA_ERROR_FAKE";
  if (strcmp(symbol, "cuGetErrorString") == 0) words = "as the test wants it";
  if (!words) return 801;
  memcpy(second, &words, sizeof words);
  return 0;
}

#define RPI_CUDA_FN(field, symbol, arguments) \
  EXPORT int fake_##field(void *first, void *second) __asm__(symbol); \
  int fake_##field(void *first, void *second) { return answer(symbol, first, second); }
#define RPI_CUDA_OPT RPI_CUDA_FN
#include "core/device/cuda_driver.def"
#undef RPI_CUDA_OPT
#undef RPI_CUDA_FN

#ifdef FAKE_LACKS
__asm__(".hidden " FAKE_LACKS);
#endif
