/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_device_span.c -- spans over an emulated driver with granules of EMU_GRANULE_KB: memory where it is used, growth
 * that keeps values and addresses, reuse without the driver, free spans that others get their granules of, the limit, and
 * each call of the driver failing in turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/device/device.h"
#include "tests/emulator/emu.h"

enum { G = 64 << 10, MOST = 40 * G };

static const char *library;
static unsigned char from[MOST], to[MOST];

static void is_ok(rp_status st) {
  if (st != RP_OK) fail_msg("%d: %s", st, rpi_status_message());
}

static rpi_device *open_device(int64_t limit) {
  rpi_device *d = NULL;
  is_ok(rpi_device_open(library, 0, limit, &d));
  assert_int_equal(rpi_device_granule(d), 0);
  is_ok(rpi_device_span_begin(d));
  assert_int_equal(rpi_device_granule(d), G);
  return d;
}

static void close_device(rpi_device *d) {
  rpi_device_close(d);
  emu_check_empty();
}

static rpi_device_span *get(rpi_device *d, int64_t bytes, int64_t lo, int64_t hi) {
  rpi_device_span *s = NULL;
  is_ok(rpi_device_span_get(d, bytes, lo, hi, &s));
  return s;
}

static int64_t live(const rpi_device *d) { return rpi_device_stats_get(d)->live; }
static int64_t peak(const rpi_device *d) { return rpi_device_stats_get(d)->peak; }

static int64_t maps(void) {
  struct emu_counts c;
  emu_counts(&c);
  return c.maps;
}

static int64_t granules(void) {
  struct emu_counts c;
  emu_counts(&c);
  return c.granules;
}

/* Bytes lo..hi-1 hold what tells each place and seed apart; queued. */
static void fill(rpi_device *d, const rpi_device_span *s, int64_t lo, int64_t hi, int32_t seed) {
  for (int64_t i = lo; i < hi; i++) from[i] = (unsigned char)(i * 31 + i / 997 + seed);
  is_ok(rpi_device_upload(d, rpi_device_span_at(s) + (CUdeviceptr)lo, from + lo, hi - lo));
}

static void holds(rpi_device *d, const rpi_device_span *s, int64_t lo, int64_t hi, int32_t seed) {
  is_ok(rpi_device_download(d, to + lo, rpi_device_span_at(s) + (CUdeviceptr)lo, hi - lo));
  for (int64_t i = lo; i < hi; i++)
    if (to[i] != (unsigned char)(i * 31 + i / 997 + seed)) fail_msg("byte %lld", (long long)i);
}

/* ---- one span */

static void test_parts(void **state) {
  (void)state;
  rpi_device *d = open_device(0);
  rpi_device_span *s = get(d, 20 * G - 5, 3 * G + 7, 5 * G);
  const CUdeviceptr at = rpi_device_span_at(s);
  assert_int_equal(rpi_device_span_bytes(s), 2 * G);
  assert_int_equal(granules(), 2);
  assert_int_equal(live(d), 2 * G);
  fill(d, s, 3 * G, 5 * G, 1);
  is_ok(rpi_device_span_grow(d, s, 4 * G, 7 * G + 1));   /* on */
  is_ok(rpi_device_span_grow(d, s, 2 * G - 1, 3 * G));   /* before */
  is_ok(rpi_device_span_grow(d, s, 19 * G, 20 * G - 5)); /* apart */
  is_ok(rpi_device_span_grow(d, s, 9 * G, 9 * G));       /* nothing */
  assert_int_equal(rpi_device_span_at(s), at);
  assert_int_equal(rpi_device_span_bytes(s), 8 * G);
  fill(d, s, 7 * G, 8 * G, 1);
  fill(d, s, 19 * G, 20 * G - 5, 1);
  holds(d, s, 3 * G, 5 * G, 1);
  holds(d, s, 7 * G, 8 * G, 1);
  holds(d, s, 19 * G, 20 * G - 5, 1);
  const int64_t calls = emu_calls();
  is_ok(rpi_device_span_grow(d, s, G, 8 * G));
  is_ok(rpi_device_span_grow(d, s, 19 * G, 19 * G + 1));
  is_ok(rpi_device_span_grow(d, s, 2 * G, 3 * G));
  assert_int_equal(emu_calls(), calls); /* all of it has memory */
  is_ok(rpi_device_span_grow(d, s, 0, 20 * G - 5));
  holds(d, s, 3 * G, 5 * G, 1);
  assert_int_equal(live(d), 20 * G);
  rpi_device_span_put(d, s);
  assert_int_equal(live(d), 0);
  assert_int_equal(peak(d), 20 * G);
  close_device(d);
}

/* What was put back is handed out again as it is, without the driver; of several that which fits best. */
static void test_reuse(void **state) {
  (void)state;
  rpi_device *d = open_device(0);
  rpi_device_span *a = get(d, 20 * G, 0, 5 * G), *b = get(d, 20 * G, 5 * G, 10 * G);
  const CUdeviceptr at = rpi_device_span_at(a), then = rpi_device_span_at(b);
  int64_t calls = emu_calls();
  for (int32_t pass = 0; pass < 5; pass++) {
    rpi_device_span_put(d, a);
    rpi_device_span_put(d, b);
    b = get(d, 20 * G - 3, 6 * G, 10 * G);
    a = get(d, 20 * G, 1, 4 * G);
    assert_int_equal(rpi_device_span_at(a), at);
    assert_int_equal(rpi_device_span_at(b), then);
  }
  assert_int_equal(emu_calls(), calls);
  assert_int_equal(live(d), 10 * G);
  rpi_device_span_put(d, a);
  rpi_device_span *c = get(d, 30 * G, 0, 5 * G), *e = get(d, 20 * G, 15 * G, 16 * G);
  assert_true(rpi_device_span_at(c) != at && rpi_device_span_at(e) != at);
  assert_int_equal(granules(), 16);
  close_device(d); /* what is handed out is freed */
}

/* ---- many */

/* Free spans leave their granules to others when the limit is reached, but not before work that uses them is done. */
static void test_limit(void **state) {
  (void)state;
  rpi_device *d = open_device(20 * G);
  rpi_device_span *a = get(d, 40 * G, 0, 10 * G), *b = get(d, 40 * G, 30 * G, 38 * G), *c = NULL;
  CUdeviceptr block = 0;
  fill(d, a, 0, 10 * G, 1);
  fill(d, b, 30 * G, 38 * G, 2);
  assert_int_equal(rpi_device_span_get(d, 30 * G, 0, 3 * G, &c), RP_ERR_MEMORY);
  assert_null(c);
  assert_non_null(strstr(rpi_status_message(), "out of memory of GPU 0"));
  assert_int_equal(rpi_device_get(d, 4 * G, &block), RP_ERR_MEMORY);
  is_ok(rpi_device_status(d));
  holds(d, a, 0, 10 * G, 1);
  const int64_t before = maps();
  is_ok(rpi_device_copy(d, rpi_device_span_at(b) + 30 * G, rpi_device_span_at(a) + G, G));
  rpi_device_span_put(d, a); /* the copy is queued */
  c = get(d, 30 * G, 0, 12 * G);
  assert_true(maps() > before);
  assert_int_equal(granules(), 20); /* 10 of them changed places */
  is_ok(rpi_device_download(d, to, rpi_device_span_at(b) + 30 * G, G));
  for (int64_t i = 0; i < G; i++)
    assert_int_equal(to[i], (unsigned char)((i + G) * 31 + (i + G) / 997 + 1));
  holds(d, b, 31 * G, 38 * G, 2);
  rpi_device_span_put(d, c);
  is_ok(rpi_device_get(d, 4 * G, &block)); /* a block gets what spans leave, */
  rpi_device_put(d, block, 4 * G);
  is_ok(rpi_device_span_grow(d, b, 28 * G, 40 * G)); /* and spans what blocks leave */
  assert_int_equal(live(d), 12 * G);
  holds(d, b, 31 * G, 38 * G, 2);
  close_device(d);
}

static void test_out_of_memory(void **state) {
  (void)state;
  rpi_device *d = open_device(0);
  CUdeviceptr block;
  is_ok(rpi_device_get(d, 3 * G, &block));
  rpi_device_put(d, block, 3 * G);
  rpi_device_span *a = get(d, 40 * G, 0, 10 * G);
  rpi_device_span_put(d, a);
  emu_fail_memory(1); /* once: what is free goes, and it is asked again */
  rpi_device_span *b = get(d, 8 * G, 0, 8 * G);
  fill(d, b, 0, 8 * G, 3);
  holds(d, b, 0, 8 * G, 3);
  assert_int_equal(live(d), 8 * G);
  for (int32_t i = 1; i < 4; i++) { /* without memory for lists */
    rpi_alloc_inject(i);
    rpi_device_span *c = NULL;
    const rp_status st = rpi_device_span_get(d, 20 * G, 0, 2 * G, &c);
    rpi_alloc_inject(-1);
    assert_true(st == RP_OK || st == RP_ERR_MEMORY);
    assert_true((c != NULL) == (st == RP_OK));
    if (c) rpi_device_span_put(d, c);
    rpi_alloc_inject(i);
    rpi_device_trim(d);
    rpi_alloc_inject(-1);
  }
  assert_int_equal(granules(), 8);
  close_device(d);
}

/* ---- what fails */

/* What says that it can, and cannot, is found out at the start. */
static void test_refused(void **state) {
  (void)state;
  rpi_device *d = NULL;
  assert_int_equal(setenv("EMU_MAP", "off", 1), 0);
  is_ok(rpi_device_open(library, 0, 0, &d));
  is_ok(rpi_device_span_begin(d));
  assert_int_equal(unsetenv("EMU_MAP"), 0);
  assert_int_equal(rpi_device_granule(d), 0);
  is_ok(rpi_device_wait(d));
  close_device(d);
}

static rp_status everything(rpi_device *d) {
  rpi_device_span *a, *b, *c;
  RPI_TRY(rpi_device_span_begin(d));
  if (rpi_device_granule(d) == 0) return rpi_device_wait(d);
  RPI_TRY(rpi_device_span_get(d, 20 * G, 0, 3 * G, &a));
  RPI_TRY(rpi_device_zero(d, rpi_device_span_at(a), 3 * G));
  RPI_TRY(rpi_device_span_grow(d, a, 5 * G, 7 * G));
  RPI_TRY(rpi_device_span_get(d, 20 * G, 0, 3 * G, &b));
  rpi_device_span_put(d, a);
  RPI_TRY(rpi_device_span_get(d, 30 * G, 0, 6 * G, &c)); /* by the limit, of a's granules */
  rpi_device_span_put(d, b);
  rpi_device_trim(d);
  RPI_TRY(rpi_device_span_grow(d, c, 0, 8 * G));
  rpi_device_span_put(d, c);
  return rpi_device_wait(d);
}

static void test_each_call_fails(void **state) {
  (void)state;
  static const CUresult codes[] = {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_INVALID_VALUE,
                                   CUDA_ERROR_UNKNOWN};
  for (int32_t c = 0; c < RPI_COUNT(codes); c++) {
    bool fails = true;
    for (int64_t n = 1; fails; n++) {
      rpi_device *d = NULL;
      const int64_t before = emu_calls();
      rpi_status_fail(RP_OK, "%s", "");
      emu_fail(n, codes[c]);
      const rp_status opened = rpi_device_open(library, 0, 10 * G, &d);
      const rp_status st = opened == RP_OK ? everything(d) : opened;
      fails = emu_calls() - before >= n;
      emu_fail(0, CUDA_SUCCESS);
      if (st != RP_OK) {
        assert_int_equal(st, codes[c] == CUDA_ERROR_OUT_OF_MEMORY ? RP_ERR_MEMORY : RP_ERR_DEVICE);
        assert_non_null(strstr(rpi_status_message(), "GPU 0"));
      }
      if (!fails) is_ok(st);
      close_device(d);
      assert_in_range(n, 1, 500);
    }
  }
}

int main(void) {
  library = getenv("RPI_EMULATED_CUDA");
  if (!library || !*library) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parts),   cmocka_unit_test(test_reuse),
      cmocka_unit_test(test_limit),   cmocka_unit_test(test_out_of_memory),
      cmocka_unit_test(test_refused), cmocka_unit_test(test_each_call_fails)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
