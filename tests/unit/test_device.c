/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_device.c -- a device over an emulated driver, the library that RPI_EMULATED_CUDA names (else 77): blocks are
 * reused without the driver, the limit, running out of memory, copies of all sizes by all paths, rows, launches, errors that stay, and
 * each call of the driver failing in turn. Parts that need the emulator's own functions (tests/emulator/emu.h) are skipped where
 * the library has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "core/base/alloc.h"
#include "core/device/cuda.h"
#include "core/device/device.h"
#include "tests/support/pick.h"

enum { KIB = 1 << 10, MIB = 1 << 20, MOST = 4 * MIB };

static const char *library;
static unsigned char from[MOST], to[MOST];

/* What steers the emulator; NULL where the library has no such function. */
static struct {
  void *so;
  int64_t (*calls)(void);
  void (*fail_call)(int64_t n, CUresult code);
  void (*fail_memory)(int64_t n);
  void (*check_empty)(void);
} emulator;

static void find(void *so, const char *name, void *out) {
  void *address = dlsym(so, name);
  memcpy(out, &address, sizeof address);
}

static rpi_device *open_device(int64_t limit) {
  rpi_device *d = NULL;
  if (rpi_device_open(library, 0, limit, &d) != RP_OK) fail_msg("%s", rpi_status_message());
  return d;
}

/* Nothing is left of it. */
static void close_device(rpi_device *d) {
  rpi_device_close(d);
  if (emulator.check_empty) emulator.check_empty();
}

static void is_ok(rp_status st) {
  if (st != RP_OK) fail_msg("%d: %s", st, rpi_status_message());
}

static void check_says(const char *words) {
  if (!strstr(rpi_status_message(), words))
    fail_msg("\"%s\" is not in: %s", words, rpi_status_message());
}

/* Bytes that tell each place and each `seed` apart. */
static void pattern(unsigned char *p, int64_t n, int32_t seed) {
  uint32_t x = (uint32_t)seed * 2654435761u + 1;
  for (int64_t i = 0; i < n; i++) {
    x = x * 1664525u + 1013904223u;
    p[i] = (unsigned char)(x >> 24);
  }
}

static CUdeviceptr get(rpi_device *d, int64_t bytes) {
  CUdeviceptr p = 0;
  is_ok(rpi_device_get(d, bytes, &p));
  assert_true(bytes ? p && p % 256 == 0 : !p);
  return p;
}

static void fill(rpi_device *d, CUdeviceptr p, int64_t bytes, int32_t seed) {
  pattern(from, bytes, seed);
  is_ok(rpi_device_upload(d, p, from, bytes));
  memset(from, 0xEE, (size_t)bytes); /* it is ours again */
}

static void holds(rpi_device *d, CUdeviceptr p, int64_t bytes, int32_t seed) {
  memset(to, 0x11, (size_t)bytes + 1);
  is_ok(rpi_device_download(d, to, p, bytes));
  pattern(from, bytes, seed);
  assert_memory_equal(to, from, (size_t)bytes);
  assert_int_equal(to[bytes], 0x11);
}

/* ---- facts ------------------------------------------------------------------------------------------------ */

static void test_facts(void **state) {
  (void)state;
  rpi_device *d = open_device(0);
  const rpi_device_facts *f = rpi_device_facts_get(d);
  assert_true(*f->name);
  assert_int_equal(f->ordinal, 0);
  assert_true(f->arch >= 50 && f->multiprocessors > 0 && f->memory > MIB);
  assert_true(f->driver >= RPI_CUDA_OLDEST);
  assert_true(f->parameter_most == 4096 || f->parameter_most == 32764);
  assert_non_null(rpi_device_stream(d));
  is_ok(rpi_device_status(d));
  is_ok(rpi_device_wait(d));
  close_device(d);
  rpi_device_close(NULL);
}

/* ---- memory ----------------------------------------------------------------------------------------------- */

/* Random traffic: what a block holds is there until it is put back. */
static void test_traffic(void **state) {
  (void)state;
  enum { SLOTS = 24 };
  struct {
    CUdeviceptr p;
    int64_t bytes;
  } slots[SLOTS] = {{0}};
  rpi_device *d = open_device(0);
  int64_t live = 0, peak = 0;
  for (int32_t i = 0; i < 1500; i++) {
    const int64_t s = pick(0, SLOTS - 1);
    if (slots[s].bytes) {
      holds(d, slots[s].p, slots[s].bytes, (int32_t)s);
      rpi_device_put(d, slots[s].p, slots[s].bytes);
      live -= slots[s].bytes;
    }
    const int64_t bytes = pick(0, 3) ? pick(0, 5000) : pick(0, 200000);
    slots[s].bytes = bytes;
    slots[s].p = get(d, bytes);
    fill(d, slots[s].p, bytes, (int32_t)s);
    live += bytes;
    if (peak < live) peak = live;
    assert_int_equal(rpi_device_stats_get(d)->live, live);
  }
  assert_int_equal(rpi_device_stats_get(d)->peak, peak);
  rpi_device_trim(d);
  for (int32_t s = 0; s < SLOTS; s++) holds(d, slots[s].p, slots[s].bytes, s);
  close_device(d); /* the blocks are handed out: they are freed */
}

/* The second pass of a loop takes no call of the driver for its memory. */
static void test_reuse(void **state) {
  (void)state;
  enum { N = 12 };
  CUdeviceptr first[N], p[N];
  rpi_device *d = open_device(0);
  int64_t calls = 0;
  if (!emulator.calls) skip();
  for (int32_t pass = 0; pass < 5; pass++) {
    if (pass == 1) calls = emulator.calls();
    for (int32_t i = 0; i < N; i++) p[i] = get(d, 1000 << i);
    for (int32_t i = 0; i < N; i++) rpi_device_put(d, p[i], 1000 << i);
    if (pass == 0) memcpy(first, p, sizeof p);
    assert_memory_equal(first, p, sizeof p);
  }
  assert_int_equal(emulator.calls(), calls);
  /* Sizes of one class share their blocks; what was trimmed is had anew. */
  const CUdeviceptr a = get(d, 1025);
  rpi_device_put(d, a, 1025);
  assert_int_equal(get(d, 1280), a);
  rpi_device_put(d, a, 1280);
  rpi_device_trim(d);
  assert_true(emulator.calls() > calls);
  calls = emulator.calls();
  rpi_device_put(d, get(d, 1000), 1000);
  assert_true(emulator.calls() > calls);
  close_device(d);
}

static void test_limit(void **state) {
  (void)state;
  CUdeviceptr a, b, c = 1;
  rpi_device *d = open_device(MIB);
  a = get(d, 512 * KIB);
  b = get(d, 512 * KIB);
  assert_int_equal(rpi_device_get(d, 256, &c), RP_ERR_MEMORY);
  assert_int_equal(c, 0);
  check_says("256 bytes");
  check_says("1048576");
  is_ok(rpi_device_status(d)); /* it has not failed */
  fill(d, b, 512 * KIB, 7);
  rpi_device_put(d, a, 512 * KIB); /* makes room for blocks of another class */
  a = get(d, 256 * KIB);
  c = get(d, 256 * KIB);
  fill(d, a, 256 * KIB, 8);
  fill(d, c, 256 * KIB, 9);
  holds(d, b, 512 * KIB, 7);
  holds(d, a, 256 * KIB, 8);
  assert_int_equal(rpi_device_get(d, 1, &a), RP_ERR_MEMORY);
  assert_int_equal(rpi_device_stats_get(d)->live, MIB);
  assert_int_equal(rpi_device_get(d, INT64_MAX, &a), RP_ERR_MEMORY);
  close_device(d);
}

/* All that is free goes back before memory is said to be out. */
static void test_out_of_memory(void **state) {
  (void)state;
  enum { N = 8 };
  rpi_device *d = open_device(0);
  const int64_t all = rpi_device_facts_get(d)->memory, piece = all / (N + 2) / 4096 * 4096;
  CUdeviceptr p[N], large = 1;
  for (int32_t i = 0; i < N; i++) p[i] = get(d, piece);
  assert_int_equal(rpi_device_get(d, all / 2, &large), RP_ERR_MEMORY);
  assert_int_equal(large, 0);
  check_says("out of memory of GPU 0");
  is_ok(rpi_device_status(d));
  for (int32_t i = 0; i < N; i++) rpi_device_put(d, p[i], piece);
  large = get(d, all / 2);
  fill(d, large, 1000, 1);
  holds(d, large, 1000, 1);
  close_device(d);
}

/* A download that fails, in whatever call, has not left a copy behind that fills the caller's memory later. */
static void test_failed_download(void **state) {
  (void)state;
  enum { BYTES = 200 * KIB, CALLS = 6 };
  if (!emulator.fail_call) skip();
  rpi_device *d = open_device(0);
  const CUdeviceptr p = get(d, BYTES);
  fill(d, p, BYTES, 3);
  int32_t failed = 0;
  for (int64_t n = 1; n <= CALLS; n++) {
    emulator.fail_call(n, CUDA_ERROR_OUT_OF_MEMORY);
    const rp_status st = rpi_device_download(d, to, p, BYTES);
    emulator.fail_call(0, CUDA_SUCCESS);
    if (st != RP_OK) assert_int_equal(st, RP_ERR_MEMORY);
    failed += st != RP_OK;
    memset(to, 0x22, BYTES);
    is_ok(rpi_device_wait(d));
    for (int32_t i = 0; i < BYTES; i++) assert_int_equal(to[i], 0x22);
  }
  assert_true(failed >= 2); /* the copy, and the wait for it */
  holds(d, p, BYTES, 3);
  close_device(d);
}

/* The driver is asked once more, and a list that cannot grow does without. */
static void test_memory_faults(void **state) {
  (void)state;
  if (!emulator.fail_memory) skip();
  rpi_device *d = open_device(0);
  emulator.fail_memory(1);
  const CUdeviceptr a = get(d, 10000);
  fill(d, a, 10000, 3);
  holds(d, a, 10000, 3);
  rpi_alloc_inject(1);
  rpi_device_put(d, a, 10000);
  rpi_alloc_inject(-1);
  assert_int_equal(rpi_device_stats_get(d)->live, 0);
  is_ok(rpi_device_status(d));
  rpi_device_put(d, get(d, 10000), 10000);
  close_device(d);
}

/* ---- copies ----------------------------------------------------------------------------------------------- */

static void test_sizes(void **state) {
  (void)state;
  static const int64_t sizes[] = {
      0, 1, 3, 63, 64, 65, 4096, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, 3 * MIB + 7};
  rpi_device *d = open_device(0);
  int64_t bytes = 0, n = 0;
  for (int32_t i = 0; i < RPI_COUNT(sizes); i++) {
    const CUdeviceptr a = get(d, sizes[i] + 16), b = get(d, sizes[i] + 16);
    fill(d, a, sizes[i], i);
    is_ok(rpi_device_zero(d, b, sizes[i] + 16));
    is_ok(rpi_device_copy(d, b, a, sizes[i]));
    holds(d, b, sizes[i], i);
    is_ok(rpi_device_download(d, to, b + (uint64_t)sizes[i], 16)); /* and no byte more */
    for (int32_t k = 0; k < 16; k++) assert_int_equal(to[k], 0);
    rpi_device_put(d, a, sizes[i] + 16);
    rpi_device_put(d, b, sizes[i] + 16);
    bytes += sizes[i];
    n += sizes[i] > 0;
  }
  const rpi_device_stats *s = rpi_device_stats_get(d);
  assert_int_equal(s->uploads, n);
  assert_int_equal(s->upload_bytes, bytes);
  assert_int_equal(s->downloads, n + RPI_COUNT(sizes));
  assert_int_equal(s->download_bytes, bytes + 16 * RPI_COUNT(sizes));
  close_device(d);
}

/* More small uploads than the pinned memory holds at a time, of which none is waited for. */
static void test_many_small(void **state) {
  (void)state;
  enum { N = 120, EACH = 25000 };
  rpi_device *d = open_device(0);
  const CUdeviceptr p = get(d, N * EACH);
  for (int32_t i = 0; i < N; i++) fill(d, p + (uint64_t)(i * EACH), 20000 + i * 13, i);
  for (int32_t i = 0; i < N; i++) holds(d, p + (uint64_t)(i * EACH), 20000 + i * 13, i);
  close_device(d);
}

/* Pinned memory, which the driver reads after its call has returned, is the caller's again all the same. */
static void test_pinned(void **state) {
  (void)state;
  const rpi_cuda *cu;
  CUcontext context = NULL;
  CUdevice device;
  void *memory = NULL;
  rpi_device *d = open_device(0);
  is_ok(rpi_cuda_open(library, &cu));
  assert_int_equal(cu->device_get(&device, 0), CUDA_SUCCESS);
  assert_int_equal(cu->context_retain(&context, device), CUDA_SUCCESS);
  assert_int_equal(cu->context_push(context), CUDA_SUCCESS);
  assert_int_equal(cu->host_get(&memory, MIB, 0), CUDA_SUCCESS);
  const CUdeviceptr p = get(d, MIB);
  pattern(memory, MIB, 5);
  is_ok(rpi_device_upload(d, p, memory, MIB));
  memset(memory, 0, MIB);
  holds(d, p, MIB, 5);
  fill(d, p, MIB, 6); /* so may pageable memory be read later */
  memset(from, 0, MIB);
  holds(d, p, MIB, 6);
  /* The context that was current is so still. */
  CUcontext now = NULL;
  assert_int_equal(cu->host_put(memory), CUDA_SUCCESS);
  assert_int_equal(cu->context_pop(&now), CUDA_SUCCESS);
  assert_ptr_equal(now, context);
  assert_int_equal(cu->context_release(device), CUDA_SUCCESS);
  close_device(d);
}

static void test_rows(void **state) {
  (void)state;
  static const struct {
    int64_t bytes, rows, pitch;
  } cases[] = {{8, 100, 24}, {1, 7, 2}, {1000, 50, 1000}, {4096, 1, 8192}, {0, 5, 16}, {16, 0, 32}};
  rpi_device *d = open_device(0);
  for (int32_t i = 0; i < RPI_COUNT(cases); i++) {
    const int64_t bytes = cases[i].bytes, rows = cases[i].rows, pitch = cases[i].pitch;
    const int64_t all = (rows + 1) * pitch;
    const CUdeviceptr a = get(d, all), b = get(d, all);
    fill(d, a, all, i);
    is_ok(rpi_device_zero(d, b, all));
    is_ok(rpi_device_copy_rows(d, b, a, bytes, rows, pitch));
    is_ok(rpi_device_download(d, to, b, all));
    pattern(from, all, i);
    for (int64_t k = 0; k < all; k++)
      assert_int_equal(to[k], k / pitch < rows && k % pitch < bytes ? from[k] : 0);
    rpi_device_put(d, a, all);
    rpi_device_put(d, b, all);
  }
  close_device(d);
}

/* Rows come together, and go apart again; what lies between them stays as it is. */
static void test_pitched(void **state) {
  (void)state;
  static const struct {
    int64_t bytes, rows, from, to;
  } cases[] = {{8, 100, 24, 8},       {8, 100, 8, 24}, {1, 7, 3, 2},    {1000, 50, 1000, 1000},
               {4096, 1, 8192, 4096}, {0, 5, 16, 8},   {16, 0, 32, 16}, {24, 33, 1000, 56}};
  rpi_device *d = open_device(0);
  for (int32_t i = 0; i < RPI_COUNT(cases); i++) {
    const int64_t bytes = cases[i].bytes, rows = cases[i].rows, apart = cases[i].to;
    const int64_t all = (rows + 1) * cases[i].from, room = (rows + 1) * apart;
    const CUdeviceptr a = get(d, all), b = get(d, room);
    fill(d, a, all, i);
    is_ok(rpi_device_zero(d, b, room));
    is_ok(rpi_device_copy_pitched(d, b, apart, a, cases[i].from, bytes, rows));
    is_ok(rpi_device_download(d, to, b, room));
    pattern(from, all, i);
    for (int64_t k = 0; k < room; k++) {
      const int64_t row = k / apart, at = k % apart;
      assert_int_equal(to[k], row < rows && at < bytes ? from[row * cases[i].from + at] : 0);
    }
    rpi_device_put(d, a, all);
    rpi_device_put(d, b, room);
  }
  close_device(d);
}

/* Rows of a message may overlap where views did: both sides have the same bytes there. */
static void test_overlapping(void **state) {
  (void)state;
  enum { BYTES = 24, ROWS = 7, STEP = 8, ALL = STEP * (ROWS - 1) + BYTES };
  rpi_device *d = open_device(0);
  const CUdeviceptr a = get(d, ALL), b = get(d, ROWS * BYTES), c = get(d, ALL);
  void *stage;
  is_ok(rpi_device_pin(d, ROWS * BYTES, &stage));
  fill(d, a, ALL, 3);
  pattern(from, ALL, 3);
  is_ok(rpi_device_copy_pitched(d, b, BYTES, a, STEP, BYTES, ROWS));
  is_ok(rpi_device_download(d, to, b, ROWS * BYTES));
  is_ok(rpi_device_pack(d, stage, a, BYTES, ROWS, STEP));
  is_ok(rpi_device_wait(d));
  for (int32_t i = 0; i < ROWS; i++) {
    assert_memory_equal(to + i * BYTES, from + i * STEP, BYTES);
    assert_memory_equal((char *)stage + i * BYTES, from + i * STEP, BYTES);
  }
  is_ok(rpi_device_unpack(d, c, stage, BYTES, ROWS, STEP));
  holds(d, c, ALL, 3);
  rpi_device_unpin(d, stage);
  rpi_device_put(d, a, ALL);
  rpi_device_put(d, b, ROWS * BYTES);
  rpi_device_put(d, c, ALL);
  close_device(d);
}

/* Rows further apart than a copy can tell go one by one. */
static void test_far_apart(void **state) {
  (void)state;
  enum { ROWS = 3 };
  const int64_t far = (INT64_C(1) << 31) + 512;
  rpi_device *d = open_device(0);
  if (rpi_device_facts_get(d)->memory < ROWS * far) {
    close_device(d);
    skip();
  }
  const CUdeviceptr a = get(d, (ROWS - 1) * far + 64), b = get(d, ROWS * 64);
  for (int32_t i = 0; i < ROWS; i++) fill(d, a + (CUdeviceptr)(i * far), 64, i);
  is_ok(rpi_device_copy_pitched(d, b, 64, a, far, 64, ROWS));
  for (int32_t i = 0; i < ROWS; i++) holds(d, b + (CUdeviceptr)(i * 64), 64, i);
  close_device(d);
}

/* One row may be longer than a pitch: rows that touch are one. */
static void test_long_row(void **state) {
  (void)state;
  enum { EACH = 600, ROWS = 2, ALL = EACH * ROWS };
  rpi_device *d = open_device(0);
  const CUdeviceptr a = get(d, ALL), b = get(d, ALL);
  void *stage;
  is_ok(rpi_device_pin(d, ALL, &stage));
  fill(d, a, ALL, 5);
  pattern(from, ALL, 5);
  assert_int_equal(setenv("EMU_PITCH", "1000", 1), 0);
  is_ok(rpi_device_pack(d, stage, a, EACH, ROWS, EACH));
  is_ok(rpi_device_unpack(d, b, stage, EACH, ROWS, EACH));
  assert_int_equal(unsetenv("EMU_PITCH"), 0);
  holds(d, b, ALL, 5);
  assert_memory_equal(stage, from, ALL);
  rpi_device_unpin(d, stage);
  rpi_device_put(d, a, ALL);
  rpi_device_put(d, b, ALL);
  close_device(d);
}

/* Asking leads to the end as waiting does; the memory that copies go through is free again then. */
static void test_idle(void **state) {
  (void)state;
  enum { N = 40, EACH = 60000, MOST_ASKED = 10000 };
  rpi_device *d = open_device(0);
  const CUdeviceptr p = get(d, N * EACH);
  int32_t asked = 0;
  bool idle = false;
  for (int32_t round = 0; round < 2; round++) {
    for (int32_t i = 0; i < N; i++) fill(d, p + (uint64_t)(i * EACH), EACH, i + round);
    is_ok(rpi_device_idle(d, &idle));
    for (asked = 0; !idle; asked++) {
      assert_true(asked < MOST_ASKED);
      is_ok(rpi_device_idle(d, &idle));
    }
    if (emulator.so && round == 0) assert_true(asked > 0); /* it had been given much */
  }
  const int64_t calls = emulator.calls ? emulator.calls() : 0;
  fill(d, p, EACH, 1);
  if (emulator.calls) assert_int_equal(emulator.calls() - calls, 3); /* and none for an event */
  for (int32_t i = 1; i < N; i++) holds(d, p + (uint64_t)(i * EACH), EACH, i + 1);
  close_device(d);
}

/* ---- code ------------------------------------------------------------------------------------------------- */

/* NVRTC, which the emulated library has, too. */
typedef struct nvrtc {
  int (*create)(void **p, const char *text, const char *name, int n, const char *const *headers,
                const char *const *names);
  int (*destroy)(void **p);
  int (*compile)(void *p, int n, const char *const *options);
  int (*size)(void *p, size_t *size);
  int (*get)(void *p, char *out);
} nvrtc;

static void compile(const nvrtc *c, const char *text, char *out, size_t most) {
  static const char *const options[] = {"--gpu-architecture=sm_90"};
  void *p = NULL;
  size_t size = 0;
  assert_int_equal(c->create(&p, text, "text", 0, NULL, NULL), 0);
  assert_int_equal(c->compile(p, 1, options), 0);
  assert_int_equal(c->size(p, &size), 0);
  assert_true(size <= most);
  assert_int_equal(c->get(p, out), 0);
  assert_int_equal(c->destroy(&p), 0);
}

/* A kernel runs behind the uploads and ahead of the download, with its parameters as they were at its launch. */
static void test_launch(void **state) {
  (void)state;
  static const char text[] = "struct args { double *x; double y; int32_t n; };\n"
                             "RPG_KERNEL(add, args) {\n"
                             "  for (int i = RPG_BLOCK * RPG_THREADS + RPG_THREAD; i < a.n; i += "
                             "RPG_BLOCKS * RPG_THREADS)\n"
                             "    a.x[i] += a.y;\n"
                             "}\n";
  enum { N = 1000 };
  static char image[1 << 20];
  double x[N];
  nvrtc c;
  find(emulator.so, "nvrtcCreateProgram", &c.create);
  find(emulator.so, "nvrtcDestroyProgram", &c.destroy);
  find(emulator.so, "nvrtcCompileProgram", &c.compile);
  find(emulator.so, "nvrtcGetCUBINSize", &c.size);
  find(emulator.so, "nvrtcGetCUBIN", &c.get);
  if (!c.create || !c.destroy || !c.compile || !c.size || !c.get) skip();
  compile(&c, text, image, sizeof image);

  rpi_device *d = open_device(0);
  CUmodule m;
  rpi_device_function f;
  int32_t blocks;
  is_ok(rpi_device_module(d, image, &m));
  assert_int_equal(rpi_device_function_get(d, m, "subtract", &f), RP_ERR_DEVICE);
  check_says("cuModuleGetFunction of subtract: CUDA_ERROR_NOT_FOUND");
  is_ok(rpi_device_function_get(d, m, "add", &f));
  assert_true(f.registers > 0 && f.threads_most >= 128 && f.local == 0 && f.shared == 0);
  is_ok(rpi_device_occupancy(d, f.function, 128, &blocks));
  assert_in_range(blocks, 1, 64);
  struct {
    CUdeviceptr x;
    double y;
    int32_t n;
  } args = {.x = get(d, sizeof x), .y = 0.5, .n = N};
  for (int32_t i = 0; i < N; i++) x[i] = i;
  is_ok(rpi_device_upload(d, args.x, x, sizeof x));
  is_ok(rpi_device_launch(d, f.function, 3, 128, &args, sizeof args));
  args.y = 0.25;
  is_ok(rpi_device_launch(d, f.function, 1, 128, &args, sizeof args));
  memset(&args.y, 0xEE, sizeof args.y);
  is_ok(rpi_device_download(d, x, args.x, sizeof x));
  for (int32_t i = 0; i < N; i++) assert_true(x[i] == i + 0.75);
  assert_int_equal(rpi_device_stats_get(d)->launches, 2);
  rpi_device_put(d, args.x, sizeof x);
  rpi_device_module_unload(d, m);
  close_device(d);
}

/* ---- errors ----------------------------------------------------------------------------------------------- */

static void test_bad_image(void **state) {
  (void)state;
  static const char image[256] = "no cubin";
  rpi_device *d = open_device(0);
  CUmodule m = (CUmodule)&d;
  assert_int_equal(rpi_device_module(d, image, &m), RP_ERR_DEVICE);
  assert_null(m);
  check_says("GPU 0 (");
  check_says("cuModuleLoadData");
  rpi_device_module_unload(d, NULL);
  is_ok(rpi_device_status(d));
  close_device(d);
}

/* An error that spoils the context is the answer of every later call, and the driver is not asked any more. */
static void test_error_stays(void **state) {
  (void)state;
  if (!emulator.fail_call || !emulator.calls) skip();
  rpi_device *d = open_device(0);
  const CUdeviceptr p = get(d, 512);
  char sentence[1024];
  emulator.fail_call(2, CUDA_ERROR_ILLEGAL_ADDRESS);
  assert_int_equal(rpi_device_zero(d, p, 512), RP_ERR_DEVICE);
  check_says("cuMemsetD8Async of 512 bytes: ");
  check_says("CUDA_ERROR_ILLEGAL_ADDRESS");
  check_says("earlier launch");
  snprintf(sentence, sizeof sentence, "%s", rpi_status_message());
  const int64_t calls = emulator.calls();
  CUdeviceptr q = 1;
  rpi_device_put(d, p, 512);
  assert_int_equal(rpi_device_get(d, 512, &q), RP_ERR_DEVICE);
  assert_string_equal(rpi_status_message(), sentence);
  assert_int_equal(rpi_device_wait(d), RP_ERR_DEVICE);
  assert_int_equal(rpi_device_upload(d, p, from, 8), RP_ERR_DEVICE);
  assert_int_equal(rpi_device_download(d, to, p, 8), RP_ERR_DEVICE);
  rpi_status_fail(RP_ERR_DATA, "something else");
  assert_int_equal(rpi_device_status(d), RP_ERR_DEVICE);
  assert_string_equal(rpi_status_message(), sentence);
  assert_int_equal(emulator.calls(), calls);
  close_device(d);
  d = open_device(0); /* the next context is a new one */
  fill(d, get(d, 512), 512, 1);
  close_device(d);
}

static rp_status everything(rpi_device *d) {
  CUdeviceptr a, b;
  RPI_TRY(rpi_device_get(d, 300000, &a));
  RPI_TRY(rpi_device_get(d, 300000, &b));
  RPI_TRY(rpi_device_zero(d, b, 300000));
  RPI_TRY(rpi_device_upload(d, a, from, 300000));
  for (int32_t i = 0; i < 20; i++) RPI_TRY(rpi_device_upload(d, a, from, 50000));
  RPI_TRY(rpi_device_copy(d, b, a, 1000));
  RPI_TRY(rpi_device_copy_rows(d, b, a, 8, 10, 16));
  RPI_TRY(rpi_device_copy_pitched(d, b, 8, a, 16, 8, 10));
  bool idle = false;
  RPI_TRY(rpi_device_idle(d, &idle));
  RPI_TRY(rpi_device_download(d, to, b, 100));
  RPI_TRY(rpi_device_download(d, to, b, 300000));
  rpi_device_put(d, a, 300000);
  rpi_device_trim(d);
  RPI_TRY(rpi_device_get(d, 5000, &a));
  return rpi_device_wait(d);
}

/* Each call fails in turn: a status with a sentence, or no harm; and nothing is left. */
static void test_each_call_fails(void **state) {
  (void)state;
  static const CUresult codes[] = {CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_INVALID_VALUE,
                                   CUDA_ERROR_ILLEGAL_ADDRESS, CUDA_ERROR_UNKNOWN};
  if (!emulator.fail_call || !emulator.calls) skip();
  for (int32_t c = 0; c < RPI_COUNT(codes); c++) {
    bool fails = true;
    for (int64_t n = 1; fails; n++) {
      rpi_device *d = NULL;
      const int64_t before = emulator.calls();
      rpi_status_fail(RP_OK, "%s", "");
      emulator.fail_call(n, codes[c]);
      const rp_status opened = rpi_device_open(library, 0, 0, &d);
      const rp_status st = opened == RP_OK ? everything(d) : opened;
      fails = emulator.calls() - before >= n;
      emulator.fail_call(0, CUDA_SUCCESS);
      assert_true(opened == RP_OK ? d != NULL : d == NULL);
      if (st != RP_OK) {
        assert_int_equal(st, codes[c] == CUDA_ERROR_OUT_OF_MEMORY ? RP_ERR_MEMORY : RP_ERR_DEVICE);
        check_says("GPU 0");
      }
      if (!fails) is_ok(st);
      close_device(d);
      assert_in_range(n, 1, 1000);
    }
  }
}

int main(void) {
  library = getenv("RPI_EMULATED_CUDA");
  if (!library || !*library) {
    printf("RPI_EMULATED_CUDA names no emulated driver\n");
    return 77;
  }
  emulator.so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!emulator.so) {
    printf("%s\n", dlerror());
    return 1;
  }
  find(emulator.so, "emu_calls", &emulator.calls);
  find(emulator.so, "emu_fail", &emulator.fail_call);
  find(emulator.so, "emu_fail_memory", &emulator.fail_memory);
  find(emulator.so, "emu_check_empty", &emulator.check_empty);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_facts),         cmocka_unit_test(test_traffic),
      cmocka_unit_test(test_reuse),         cmocka_unit_test(test_limit),
      cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_failed_download),
      cmocka_unit_test(test_memory_faults), cmocka_unit_test(test_sizes),
      cmocka_unit_test(test_many_small),    cmocka_unit_test(test_pinned),
      cmocka_unit_test(test_rows),          cmocka_unit_test(test_pitched),
      cmocka_unit_test(test_overlapping),   cmocka_unit_test(test_long_row),
      cmocka_unit_test(test_far_apart),     cmocka_unit_test(test_idle),
      cmocka_unit_test(test_launch),        cmocka_unit_test(test_bad_image),
      cmocka_unit_test(test_error_stays),   cmocka_unit_test(test_each_call_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
