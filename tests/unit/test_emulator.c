/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_emulator.c -- the emulated GPU: what it computes, in which order, and what it lets pass.
 *
 * Here: kernels, streams, graphs, faults. Misuse, which aborts: test_emulator_misuse.c. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/emulated.h"

/* ---- the library */

static void test_symbols(void **state) {
  (void)state;
  static const char *const names[] = {
#define RPI_CUDA_FN(field, symbol, arguments) symbol,
#define RPI_CUDA_OPT RPI_CUDA_FN
#include "core/device/cuda_driver.def"
#undef RPI_CUDA_FN
#undef RPI_CUDA_OPT
  };
  void *library = dlopen(RPI_EMULATED_CUDA, RTLD_NOW | RTLD_LOCAL);
  assert_non_null(library);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!dlsym(library, names[i])) fail_msg("%s is not there", names[i]);
  assert_null(dlsym(library, "emu_memory_find"));
  assert_null(dlsym(library, "rpi_alloc_free"));
  dlclose(library);
}

/* ---- kernels */

static void test_add(void **state) {
  const emulated *e = *state;
  enum { N = 1000 };
  double a[N], b[N], out[N];
  for (int i = 0; i < N; i++) {
    a[i] = i;
    b[i] = 0.5 * i;
  }
  const emulated_vectors v = {emulated_from(e, NULL, sizeof out), emulated_from(e, a, sizeof a),
                              emulated_from(e, b, sizeof b), N};
  emulated_launch(e, "add", 5, 96, &v, sizeof v);
  emulated_to(e, out, v.out, sizeof out);
  for (int i = 0; i < N; i++) assert_true(out[i] == a[i] + b[i]);
  emulated_put(e, v.out);
  emulated_put(e, v.a);
  emulated_put(e, v.b);
}

/* Shuffles, shared memory, and the last block to come, in many orders. */
static void test_sum(void **state) {
  const emulated *e = *state;
  enum { N = 3000, BLOCKS = 7 };
  double x[N], want = 0, out;
  for (int i = 0; i < N; i++) want += x[i] = (i * 37) % 101;
  const uint32_t zero = 0;
  const emulated_sum s = {emulated_from(e, x, sizeof x), emulated_from(e, NULL, BLOCKS * sizeof *x),
                          emulated_from(e, NULL, sizeof out), emulated_from(e, &zero, sizeof zero),
                          N};
  for (int k = 0; k < 20; k++) {
    emulated_launch(e, "sum", BLOCKS, 128, &s, sizeof s);
    emulated_to(e, &out, s.out, sizeof out);
    assert_true(out == want);
  }
  emulated_put(e, s.x);
  emulated_put(e, s.partial);
  emulated_put(e, s.out);
  emulated_put(e, s.counter);
}

/* Neighbours' values without a barrier are not there; with one they are. Orders differ from launch to launch. */
static void test_race(void **state) {
  const emulated *e = *state;
  enum { N = 64 };
  double out[2][N];
  int same = 0;
  const CUdeviceptr p = emulated_from(e, NULL, sizeof out[0]);
  for (int k = 0; k < 10; k++) {
    int right = 0;
    emulated_launch(e, "racy", 1, N, &p, sizeof p);
    emulated_to(e, out[k & 1], p, sizeof out[0]);
    for (int i = 0; i < N; i++) right += out[k & 1][i] == (i + 1) % N;
    assert_true(right < N);
    same += k && memcmp(out[0], out[1], sizeof out[0]) == 0;
  }
  assert_true(same < 9);
  emulated_launch(e, "turned", 1, N, &p, sizeof p);
  emulated_to(e, out[0], p, sizeof out[0]);
  for (int i = 0; i < N; i++) assert_true(out[0][i] == (i + 1) % N);
  emulated_put(e, p);
}

/* Each thread gets the value of the one 3 further in its warp; the last three keep theirs. */
static void test_shuffle(void **state) {
  const emulated *e = *state;
  enum { N = 64 };
  double out[N];
  const CUdeviceptr p = emulated_from(e, NULL, sizeof out);
  emulated_launch(e, "lanes", 1, N, &p, sizeof p);
  emulated_to(e, out, p, sizeof out);
  for (int i = 0; i < N; i++) assert_true(out[i] == (i % 32 < 29 ? i + 3 : i));
  emulated_put(e, p);
}

/* Some blocks are there at once, but not all, and each has what is shared for itself. */
static void test_crowd(void **state) {
  const emulated *e = *state;
  enum { BLOCKS = 9 };
  const uint32_t zeros[3] = {0};
  uint32_t got[3], most = 0, least = BLOCKS;
  for (int k = 0; k < 20; k++) {
    const CUdeviceptr p = emulated_from(e, zeros, sizeof zeros);
    const emulated_crowd c = {p, p + 4, p + 8, 0};
    emulated_launch(e, "crowd", BLOCKS, 64, &c, sizeof c);
    emulated_to(e, got, p, sizeof got);
    assert_int_equal(got[0], 0);
    assert_int_equal(got[2], 0);
    most = got[1] > most ? got[1] : most;
    least = got[1] < least ? got[1] : least;
    emulated_put(e, p);
  }
  assert_int_equal(least, 1);
  assert_in_range(most, 2, BLOCKS - 1);
}

static void test_compiler(void **state) {
  (void)state;
  size_t n;
  char log[8000];
  nvrtcProgram p;
  const char *options[] = {"--gpu-architecture=sm_90", "--fmad=false", "--ptxas-options=-v"};
  const char *unknown[] = {"--gpu-architecture=sm_12"};
  assert_int_equal(nvrtcCreateProgram(&p,
                                      "struct X {int n;};\nRPG_KERNEL(wrong, X) { retrun a.n; }",
                                      "t", 0, NULL, NULL),
                   0);
  assert_int_equal(nvrtcCompileProgram(p, 1, unknown), EMU_NVRTC_INVALID_OPTION);
  assert_int_equal(nvrtcCompileProgram(p, 3, options), EMU_NVRTC_COMPILATION);
  assert_int_equal(nvrtcGetProgramLogSize(p, &n), 0);
  assert_true(n < sizeof log);
  assert_int_equal(nvrtcGetProgramLog(p, log), 0);
  assert_non_null(strstr(log, "text:2:"));
  assert_non_null(strstr(log, "retrun"));
  nvrtcDestroyProgram(&p);
  assert_null(p);
  assert_int_equal(nvrtcCreateProgram(&p, emulated_text, "t", 0, NULL, NULL), 0);
  emu_fail_compile(1, EMU_NVRTC_OUT_OF_MEMORY);
  assert_int_equal(nvrtcCompileProgram(p, 3, options), EMU_NVRTC_OUT_OF_MEMORY);
  struct emu_counts before, after;
  emu_counts(&before);
  assert_int_equal(nvrtcCompileProgram(p, 3, options), 0);
  emu_counts(&after);
  assert_int_equal(after.compiles, before.compiles + 1);
  assert_int_equal(after.compiler_runs, before.compiler_runs); /* known since the setup */
  assert_int_equal(nvrtcGetProgramLog(p, log), 0);
  assert_non_null(strstr(log, "Compiling entry function 'sum' for 'sm_90'"));
  nvrtcDestroyProgram(&p);
}

/* ---- order */

/* What was not waited for has not happened: a read of the host sees the old value. */
static void test_late(void **state) {
  const emulated *e = *state;
  double *pinned, got = -1;
  double pageable = 1;
  CUDA_OK(cu_host_get((void **)&pinned, sizeof *pinned, 0));
  *pinned = 1;
  const CUdeviceptr p = emulated_get(e, 2 * sizeof(double));
  CUDA_OK(cu_upload(p, pinned, sizeof(double), e->stream));
  CUDA_OK(cu_upload(p + sizeof(double), &pageable, sizeof(double), e->stream));
  *pinned = pageable = 2; /* the first is read when the copy runs, the second was read at once */
  double both[2] = {-1, -1};
  CUDA_OK(cu_download(both, p, sizeof both, e->stream));
  CUDA_OK(cu_download(&got, p, sizeof got, e->stream));
  assert_true(both[0] == -1 && got == -1);
  CUDA_OK(cu_stream_wait(e->stream));
  assert_true(both[0] == 2 && both[1] == 1 && got == 2);
  CUDA_OK(cu_host_put(pinned));
  emulated_put(e, p);
}

static void test_events(void **state) {
  const emulated *e = *state;
  CUstream other;
  CUevent event;
  int one = 1, got = 0, first = 0;
  CUDA_OK(cu_stream_create(&other, CU_STREAM_NON_BLOCKING));
  CUDA_OK(cu_event_create(&event, CU_EVENT_DISABLE_TIMING));
  CUDA_OK(cu_event_wait(event)); /* of nothing */
  const CUdeviceptr p = emulated_get(e, sizeof one);
  CUDA_OK(cu_upload(p, &one, sizeof one, e->stream));
  CUDA_OK(cu_event_record(event, e->stream));
  CUDA_OK(cu_fill(p, 7, sizeof one, e->stream));
  CUDA_OK(cu_stream_wait_event(other, event, 0));
  CUDA_OK(cu_download(&got, p, sizeof got, other));
  CUDA_OK(cu_stream_wait(other)); /* runs the first stream up to the event, and no further */
  assert_int_equal(got, 1);
  CUDA_OK(cu_event_query(event));
  CUDA_OK(cu_download(&first, p, sizeof first, e->stream));
  CUDA_OK(cu_event_record(event, e->stream));
  assert_int_equal(cu_event_query(event), CUDA_ERROR_NOT_READY);
  int polls = 1;
  while (cu_event_query(event) == CUDA_ERROR_NOT_READY) polls++;
  assert_true(polls >= 2);
  assert_int_equal(first, 0x07070707);
  for (int i = 0; i < 300; i++) CUDA_OK(cu_fill(p, (unsigned char)i, sizeof one, e->stream));
  CUDA_OK(cu_download(&got, p, sizeof got, other));
  CUDA_OK(
      cu_stream_wait(other)); /* of the 300 fills, 256 pieces of work ran since so many waited */
  assert_true(got != 1 && got != 0x07070707);
  CUDA_OK(cu_event_destroy(event));
  CUDA_OK(cu_stream_destroy(other));
  emulated_put(e, p);
}

/* Asked as often as the number says before it is done. */
static int asked(void *arg) { return --*(int *)arg <= 0; }

/* Work that is not ready holds back what is behind it, here and in a stream that waits for it; asking and waiting both come
 * to the end. */
static void test_step(void **state) {
  const emulated *e = *state;
  CUstream other;
  CUevent event;
  int left = 6, got = 0, polls = 0;
  CUDA_OK(cu_stream_create(&other, CU_STREAM_NON_BLOCKING));
  CUDA_OK(cu_event_create(&event, CU_EVENT_DISABLE_TIMING));
  const CUdeviceptr p = emulated_get(e, sizeof got);
  CUDA_OK(cu_stream_query(other)); /* it has nothing to do */
  CUDA_OK(cu_stream_wait(e->stream));
  CUDA_OK(emu_stream_step(e->stream, asked, &left));
  CUDA_OK(cu_fill(p, 3, sizeof got, e->stream));
  CUDA_OK(cu_event_record(event, e->stream));
  CUDA_OK(cu_stream_wait_event(other, event, 0));
  CUDA_OK(cu_download(&got, p, sizeof got, other));
  for (; cu_stream_query(other) == CUDA_ERROR_NOT_READY; polls++)
    if (left > 0) assert_int_equal(got, 0);
  assert_true(left <= 0 && polls >= 6);
  assert_int_equal(got, 0x03030303);
  left = 1000;
  CUDA_OK(emu_stream_step(other, asked, &left));
  CUDA_OK(cu_fill(p, 4, sizeof got, other));
  CUDA_OK(cu_download(&got, p, sizeof got, other));
  CUDA_OK(cu_stream_wait(other));
  assert_int_equal(left, 0);
  assert_int_equal(got, 0x04040404);
  CUDA_OK(cu_event_destroy(event));
  CUDA_OK(cu_stream_destroy(other));
  emulated_put(e, p);
}

static void test_boxes(void **state) {
  const emulated *e = *state;
  char host[6 * 8], got[12];
  for (int i = 0; i < 48; i++) host[i] = (char)i;
  const CUdeviceptr p = emulated_from(e, host, sizeof host);
  const CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
                             .srcDevice = p,
                             .srcPitch = 8,
                             .srcXInBytes = 2,
                             .srcY = 1,
                             .dstMemoryType = CU_MEMORYTYPE_HOST,
                             .dstHost = got,
                             .dstPitch = 3,
                             .WidthInBytes = 3,
                             .Height = 4,
                             .Depth = 1};
  CUDA_OK(cu_copy_box(&box, e->stream));
  CUDA_OK(cu_stream_wait(e->stream));
  for (int y = 0; y < 4; y++)
    for (int x = 0; x < 3; x++) assert_int_equal(got[3 * y + x], 8 * (y + 1) + 2 + x);
  CUDA_MEMCPY3D narrow = box;
  narrow.dstPitch = 2;
  assert_int_equal(cu_copy_box(&narrow, e->stream), CUDA_ERROR_INVALID_VALUE);
  emulated_put(e, p);
}

/* ---- memory and contexts */

static void test_memory(void **state) {
  const emulated *e = *state;
  unsigned char fresh[100];
  size_t left, total, less;
  CUdeviceptr p, q;
  CUDA_OK(cu_memory_info(&left, &total));
  assert_int_equal(total, 64 << 20);
  CUDA_OK(cu_memory_get(&p, 100, e->stream));
  assert_int_equal(p % 256, 0);
  CUDA_OK(cu_memory_info(&less, &total));
  assert_int_equal(left - less, 256);
  emulated_to(e, fresh, p, sizeof fresh);
  for (int i = 0; i < 100; i++) assert_int_equal(fresh[i], 0xA5);
  assert_int_equal(cu_memory_get(&q, total, e->stream), CUDA_ERROR_OUT_OF_MEMORY);
  emu_fail_memory(2);
  CUDA_OK(cu_memory_get(&q, 8, e->stream));
  emulated_put(e, q);
  assert_int_equal(cu_memory_get(&q, 8, e->stream), CUDA_ERROR_OUT_OF_MEMORY);
  unsigned int type = 0;
  int ordinal = -1;
  CUDA_OK(cu_pointer_attribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 99));
  CUDA_OK(cu_pointer_attribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
  assert_true(type == CU_MEMORYTYPE_DEVICE && ordinal == 0);
  assert_int_equal(
      cu_pointer_attribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)(uintptr_t)&type),
      CUDA_ERROR_INVALID_VALUE);
  emulated_put(e, p);
  /* An arena of a few times the memory lasts: dead blocks make room. */
  for (int i = 0; i < 40; i++) {
    CUDA_OK(cu_memory_get(&p, 60 << 20, e->stream));
    emulated_put(e, p);
    CUDA_OK(cu_stream_wait(e->stream));
  }
}

static void test_contexts(void **state) {
  const emulated *e = *state;
  CUcontext top, second;
  CUdeviceptr p;
  CUstream other;
  CUDA_OK(cu_context_pop(&top));
  assert_ptr_equal(top, e->context);
  assert_int_equal(cu_memory_get(&p, 8, e->stream), CUDA_ERROR_INVALID_CONTEXT);
  assert_int_equal(cu_context_pop(&top), CUDA_ERROR_INVALID_CONTEXT);
  CUDA_OK(cu_context_retain(&second, 1));
  CUDA_OK(cu_context_push(second));
  assert_int_equal(cu_memory_get(&p, 8, e->stream), CUDA_ERROR_INVALID_HANDLE);
  CUDA_OK(cu_stream_create(&other, 0));
  CUDA_OK(cu_context_push(e->context));
  assert_int_equal(cu_stream_wait(other), CUDA_ERROR_INVALID_HANDLE);
  CUDA_OK(cu_context_pop(NULL));
  CUDA_OK(cu_stream_destroy(other));
  CUDA_OK(cu_context_pop(NULL));
  CUDA_OK(cu_context_release(1));
  CUDA_OK(cu_context_push(e->context));
  int n = 0;
  CUdevice device;
  CUDA_OK(cu_device_count(&n));
  assert_int_equal(n, 2);
  assert_int_equal(cu_device_get(&device, 2), CUDA_ERROR_INVALID_DEVICE);
}

/* ---- graphs */

static CUDA_MEMCPY3D line_of(const void *from, CUdeviceptr to, size_t bytes) {
  return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
                         .srcHost = from,
                         .dstMemoryType = CU_MEMORYTYPE_DEVICE,
                         .dstDevice = to,
                         .WidthInBytes = bytes,
                         .Height = 1,
                         .Depth = 1};
}

static void test_graph(void **state) {
  const emulated *e = *state;
  enum { N = 100 };
  double a[N], out[N];
  for (int i = 0; i < N; i++) a[i] = i;
  CUgraph graph;
  CUgraphExec exec;
  CUgraphNode fill, up, kernel, down, empty;
  emulated_vectors v = {emulated_get(e, sizeof out), emulated_get(e, sizeof a),
                        emulated_get(e, sizeof a), N};
  CUDA_OK(cu_graph_create(&graph, 0));
  const CUDA_MEMSET_NODE_PARAMS zero = {
      .dst = v.b, .elementSize = 4, .width = sizeof a / 4, .height = 1};
  CUDA_OK(cu_graph_add_fill(&fill, graph, NULL, 0, &zero, e->context));
  CUDA_MEMCPY3D line = line_of(a, v.a, sizeof a);
  CUDA_OK(cu_graph_add_copy(&up, graph, NULL, 0, &line, e->context));
  CUDA_OK(cu_graph_add_empty(&empty, graph, (CUgraphNode[]){fill, up}, 2));
  emulated_parameters q;
  CUDA_OK(cu_graph_add_kernel(&kernel, graph, &empty, 1,
                              emulated_node(e, "add", 3, 64, &v, sizeof v, &q)));
  CUDA_MEMCPY3D back = line_of(NULL, 0, sizeof a);
  back.srcMemoryType = CU_MEMORYTYPE_DEVICE, back.srcDevice = v.out;
  back.dstMemoryType = CU_MEMORYTYPE_HOST, back.dstHost = out;
  CUDA_OK(cu_graph_add_copy(&down, graph, &kernel, 1, &back, e->context));
  CUDA_OK(cu_graph_instantiate(&exec, graph, 0));
  for (int k = 0; k < 8; k++) { /* in several orders */
    memset(out, 0, sizeof out);
    CUDA_OK(cu_graph_launch(exec, e->stream));
    assert_true(out[1] == 0);
    CUDA_OK(cu_stream_wait(e->stream));
    for (int i = 0; i < N; i++) assert_true(out[i] == a[i]);
  }
  /* A launch that waits keeps the parameters of its time. */
  double other[N];
  for (int i = 0; i < N; i++) other[i] = -i;
  CUDA_OK(cu_graph_launch(exec, e->stream));
  line.srcHost = other;
  CUDA_OK(cu_graph_set_copy(exec, up, &line, e->context));
  v.n = 50;
  CUDA_OK(cu_graph_set_kernel(exec, kernel, emulated_node(e, "add", 1, 32, &v, sizeof v, &q)));
  CUDA_OK(cu_stream_wait(e->stream));
  assert_true(out[1] == 1 && out[60] == 60);
  CUDA_OK(cu_graph_launch(exec, e->stream));
  CUDA_OK(cu_stream_wait(e->stream));
  assert_true(out[49] == -49 && out[60] == 60);
  line.Height = 2;
  line.WidthInBytes = line.srcPitch = line.dstPitch = sizeof a / 2;
  assert_int_equal(cu_graph_set_copy(exec, up, &line, e->context), CUDA_ERROR_INVALID_VALUE);
  CUDA_OK(cu_graph_exec_destroy(exec));
  CUDA_OK(cu_graph_destroy(graph));
  emulated_put(e, v.out);
  emulated_put(e, v.a);
  emulated_put(e, v.b);
}

/* ---- faults and counts */

/* What a stream is given while it is recorded becomes a graph, which is a node of another one. */
static void test_recorded(void **state) {
  const emulated *e = *state;
  enum { N = 100 };
  double a[N], out[N];
  for (int i = 0; i < N; i++) a[i] = i;
  CUgraph graph = NULL, child;
  CUgraphExec exec;
  CUgraphNode node[2];
  const emulated_vectors v = {emulated_from(e, a, sizeof a), emulated_from(e, a, sizeof a),
                              emulated_from(e, a, sizeof a), N};
  const emulated_vectors w = {v.a, v.out, v.b, N};
  CUDA_OK(cu_stream_record(e->stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  emulated_launch(e, "add", 2, 64, &v, sizeof v);
  emulated_launch(e, "add", 2, 64, &w, sizeof w);
  CUDA_OK(cu_stream_recorded(e->stream, &child));
  emulated_to(e, out, v.a, sizeof out);
  assert_memory_equal(out, a, sizeof a);
  CUDA_OK(cu_graph_create(&graph, 0));
  CUDA_OK(cu_graph_add_child(&node[0], graph, NULL, 0, child));
  CUDA_OK(cu_graph_add_child(&node[1], graph, &node[0], 1, child));
  CUDA_OK(cu_graph_destroy(child));
  CUDA_OK(cu_graph_instantiate(&exec, graph, 0));
  CUDA_OK(cu_graph_launch(exec, e->stream));
  emulated_to(e, out, v.a, sizeof out);
  for (int i = 0; i < N; i++) assert_true(out[i] == 5 * a[i]);
  CUDA_OK(cu_graph_exec_destroy(exec));
  CUDA_OK(cu_graph_destroy(graph));
  /* Who waits meanwhile has broken it. */
  CUDA_OK(cu_stream_record(e->stream, CU_STREAM_CAPTURE_MODE_RELAXED));
  assert_int_equal(cu_stream_wait(e->stream), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
  assert_int_equal(cu_stream_recorded(e->stream, &child), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
  assert_null(child);
  CUDA_OK(cu_stream_wait(e->stream));
  emulated_put(e, v.out);
  emulated_put(e, v.a);
  emulated_put(e, v.b);
}

static void test_faults(void **state) {
  const emulated *e = *state;
  CUdeviceptr p = emulated_get(e, 8);
  const int64_t calls = emu_calls();
  emu_fail(2, CUDA_ERROR_UNKNOWN);
  CUDA_OK(cu_stream_wait(e->stream));
  assert_int_equal(cu_memory_put(p, e->stream), CUDA_ERROR_UNKNOWN); /* and yet it is done */
  CUDA_OK(cu_stream_wait(e->stream));
  assert_int_equal(emu_calls(), calls + 3);
  struct emu_counts c;
  emu_counts(&c);
  assert_int_equal(c.blocks, 0);
}

/* A kernel that fails makes all later calls fail, until the context has been given back. */
static void test_sticky(void **state) {
  emulated *e = *state;
  const CUdeviceptr p = emulated_from(e, NULL, 64 * sizeof(double));
  int n;
  emu_sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
  emulated_launch(e, "turned", 1, 64, &p, sizeof p);
  CUDA_OK(cu_memory_info(&(size_t){0}, &(size_t){0}));
  assert_int_equal(cu_stream_wait(e->stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  assert_int_equal(cu_memory_put(p, e->stream), CUDA_ERROR_ILLEGAL_ADDRESS);
  assert_int_equal(cu_stream_create(&e->stream, 0), CUDA_ERROR_ILLEGAL_ADDRESS);
  CUDA_OK(cu_device_count(&n));
  CUDA_OK(cu_context_pop(NULL));
  CUDA_OK(cu_context_release(0));
  emu_check_empty();
  emulated_open(e); /* it works again */
  const CUdeviceptr q = emulated_from(e, NULL, 64 * sizeof(double));
  emulated_launch(e, "turned", 1, 64, &q, sizeof q);
  CUDA_OK(cu_stream_wait(e->stream));
  emulated_put(e, q);
}

static void test_counts(void **state) {
  const emulated *e = *state;
  struct emu_counts a, b;
  double x[64] = {0};
  emu_counts(&a);
  const CUdeviceptr p = emulated_from(e, x, sizeof x), q = emulated_from(e, NULL, sizeof x);
  CUDA_OK(cu_copy(q, p, sizeof x, e->stream));
  emulated_launch(e, "turned", 1, 64, &q, sizeof q);
  emulated_to(e, x, q, sizeof x);
  emu_counts(&b);
  assert_int_equal(b.uploads - a.uploads, 1);
  assert_int_equal(b.upload_bytes - a.upload_bytes, sizeof x);
  assert_int_equal(b.downloads - a.downloads, 1);
  assert_int_equal(b.copies - a.copies, 1);
  assert_int_equal(b.launches - a.launches, 1);
  assert_int_equal(b.kernels - a.kernels, 1);
  assert_int_equal(b.waits - a.waits, 1);
  assert_int_equal(b.blocks - a.blocks, 2);
  assert_int_equal(b.block_bytes - a.block_bytes, 2 * sizeof x);
  assert_true(b.modules == 1 && b.streams == 1 && b.contexts == 1);
  emulated_put(e, p);
  emulated_put(e, q);
}

static int set_up(void **state) {
  static emulated e;
  setenv("EMU_DEVICES", "2", 1);
  setenv("EMU_MEMORY_MB", "64", 1);
  emulated_open(&e);
  *state = &e;
  return 0;
}

static int tear_down(void **state) {
  emulated_close(*state);
  emu_check_empty();
  return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_symbols),
      TEST(test_add),
      TEST(test_sum),
      TEST(test_race),
      TEST(test_shuffle),
      TEST(test_crowd),
      TEST(test_compiler),
      TEST(test_late),
      TEST(test_events),
      TEST(test_step),
      TEST(test_boxes),
      TEST(test_memory),
      TEST(test_contexts),
      TEST(test_graph),
      TEST(test_recorded),
      TEST(test_faults),
      TEST(test_sticky),
      TEST(test_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
