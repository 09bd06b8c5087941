/* SPDX-License-Identifier: Apache-2.0
 * tests/support/emulated.h -- an emulated GPU in use: a context, a stream, a module of a few kernels.
 * Lives here: kernels' text with the structs of their parameters, short forms of calls that must succeed. Include it
 *             behind <cmocka.h>. Not here: the GPU (tests/emulator). */
#ifndef EMULATED_H
#define EMULATED_H

#include <stdio.h>
#include <stdlib.h>

#include "tests/emulator/emu.h"

#define CUDA_OK(call) \
  do { \
    const CUresult ok_result = (call); \
    if (ok_result != CUDA_SUCCESS) fail_msg("%s: %d", #call, (int)ok_result); \
  } while (0)

typedef struct emulated_vectors {
  CUdeviceptr out, a, b;
  int64_t n;
} emulated_vectors;
typedef struct emulated_sum {
  CUdeviceptr x, partial, out, counter;
  int64_t n;
} emulated_sum;
typedef struct emulated_crowd {
  CUdeviceptr inside, most, wrong;
  uint32_t await;
} emulated_crowd;

static const char emulated_text[] =
    "struct vectors { double *out; const double *a, *b; int64_t n; };\n"
    "RPG_KERNEL(add, vectors) {\n"
    "  for (int64_t i = RPG_BLOCK * RPG_THREADS + RPG_THREAD; i < a.n; i += RPG_THREADS * "
    "RPG_BLOCKS)\n"
    "    a.out[i] = RPG_LDG(a.a + i) + RPG_LDG(a.b + i);\n"
    "}\n"
    "RPG_DEVICE double down(double v, int n) {\n"
    "  uint64_t u;\n"
    "  __builtin_memcpy(&u, &v, 8);\n"
    "  u = RPG_DOWN64(u, n);\n"
    "  __builtin_memcpy(&v, &u, 8);\n"
    "  return v;\n"
    "}\n"
    "struct RPG_ALIGN(8) sum { const double *x; double *partial, *out; unsigned *counter; int64_t "
    "n; };\n"
    "RPG_KERNEL(sum, sum) {\n"
    "  RPG_SHARED double warps[32];\n"
    "  RPG_SHARED unsigned last;\n"
    "  double v = 0;\n"
    "  for (int64_t i = RPG_BLOCK * RPG_THREADS + RPG_THREAD; i < a.n; i += RPG_THREADS * "
    "RPG_BLOCKS) v += a.x[i];\n"
    "  for (int n = 16; n; n /= 2) v += down(v, n);\n"
    "  if (RPG_THREAD % 32 == 0) warps[RPG_THREAD / 32] = v;\n"
    "  RPG_SYNC();\n"
    "  if (RPG_THREAD == 0) {\n"
    "    v = 0;\n"
    "    for (int w = 0; w < RPG_THREADS / 32; w++) v += warps[w];\n"
    "    a.partial[RPG_BLOCK] = v;\n"
    "    RPG_FENCE();\n"
    "    last = RPG_COUNT(a.counter) == (unsigned)RPG_BLOCKS - 1;\n"
    "  }\n"
    "  RPG_SYNC();\n"
    "  if (!last || RPG_THREAD) return;\n"
    "  v = 0;\n"
    "  for (int b = 0; b < RPG_BLOCKS; b++) v += a.partial[b];\n"
    "  *a.out = v;\n"
    "  *a.counter = 0;\n"
    "}\n"
    "struct out { double *out; };\n"
    "RPG_KERNEL(racy, out) {\n"
    "  RPG_SHARED double s[64];\n"
    "  s[RPG_THREAD] = RPG_THREAD;\n"
    "  a.out[RPG_THREAD] = s[(RPG_THREAD + 1) % RPG_THREADS];\n"
    "}\n"
    "RPG_KERNEL(turned, out) {\n"
    "  RPG_SHARED double s[64];\n"
    "  s[RPG_THREAD] = RPG_THREAD;\n"
    "  RPG_SYNC();\n"
    "  a.out[RPG_THREAD] = s[(RPG_THREAD + 1) % RPG_THREADS];\n"
    "}\n"
    "RPG_KERNEL(lanes, out) { a.out[RPG_THREAD] = RPG_DOWN32(RPG_THREAD, 3); RPG_WARP(); }\n"
    "RPG_KERNEL(leaves, out) { if (RPG_THREAD == 5) return; RPG_SYNC(); }\n"
    "RPG_KERNEL(parts, out) {\n"
    "  if (RPG_THREAD % 2) RPG_SYNC();\n"
    "  else\n"
    "    RPG_SYNC();\n"
    "}\n"
    "RPG_KERNEL(diverges, out) { if (RPG_THREAD < 16) *a.out = RPG_DOWN32(1u, 1); else RPG_SYNC(); "
    "}\n"
    "RPG_KERNEL(shuffles, out) { *a.out = RPG_DOWN32(1u, 1); }\n"
    "RPG_KERNEL(beyond, out) { if (!RPG_THREAD) a.out[1] = 1; }\n"
    "RPG_KERNEL(far, out) { if (!RPG_THREAD) a.out[32] = 1; }\n"
    "RPG_KERNEL(before, out) { if (!RPG_THREAD) a.out[-1] = 1; }\n"
    "RPG_KERNEL(reads, out) { *a.out += 1; }\n"
    "RPG_KERNEL(fixed, out) { *a.out = RPG_LDG(a.out) + 1; }\n"
    "struct crowd { unsigned *inside, *most, *wrong, await; };\n"
    "RPG_KERNEL(crowd, crowd) {\n"
    "  RPG_SHARED int mine;\n"
    "  if (RPG_THREAD == 0) mine = RPG_BLOCK;\n"
    "  if (RPG_THREAD == 0 && RPG_ADD(a.inside, 1) >= *a.most) *a.most = *a.inside;\n"
    "  while (RPG_THREAD == 0 && *(volatile unsigned *)a.inside < a.await) RPG_NAP();\n"
    "  for (int i = 0; i < 8; i++) RPG_SYNC();\n"
    "  if (mine != RPG_BLOCK) (void)RPG_ADD(a.wrong, 1);\n"
    "  if (RPG_THREAD == 0 && !a.await) (void)RPG_ADD(a.inside, -1);\n"
    "}\n";

typedef struct emulated {
  CUcontext context;
  CUstream stream;
  CUmodule module;
} emulated;

/* The module's image; compiled once. */
static inline const char *emulated_image(void) {
  static char *image;
  static const char *const options[] = {"--gpu-architecture=sm_90"};
  nvrtcProgram p;
  size_t n;
  if (image) return image;
  assert_int_equal(nvrtcCreateProgram(&p, emulated_text, "text", 0, NULL, NULL), 0);
  if (nvrtcCompileProgram(p, 1, options) != 0) {
    char log[4000];
    nvrtcGetProgramLog(p, log);
    fail_msg("%s", log);
  }
  assert_int_equal(nvrtcGetCUBINSize(p, &n), 0);
  image = malloc(n);
  assert_int_equal(nvrtcGetCUBIN(p, image), 0);
  nvrtcDestroyProgram(&p);
  return image;
}

static inline void emulated_open(emulated *e) {
  CUDA_OK(cu_init(0));
  CUDA_OK(cu_context_retain(&e->context, 0));
  CUDA_OK(cu_context_push(e->context));
  CUDA_OK(cu_stream_create(&e->stream, CU_STREAM_NON_BLOCKING));
  CUDA_OK(cu_module_load(&e->module, emulated_image()));
}

static inline void emulated_close(emulated *e) {
  CUDA_OK(cu_module_unload(e->module));
  CUDA_OK(cu_stream_destroy(e->stream));
  CUDA_OK(cu_context_pop(NULL));
  CUDA_OK(cu_context_release(0));
}

static inline CUdeviceptr emulated_get(const emulated *e, size_t bytes) {
  CUdeviceptr p;
  CUDA_OK(cu_memory_get(&p, bytes, e->stream));
  return p;
}

static inline void emulated_put(const emulated *e, CUdeviceptr p) {
  CUDA_OK(cu_memory_put(p, e->stream));
}

/* Memory with these values; NULL: with none. */
static inline CUdeviceptr emulated_from(const emulated *e, const void *from, size_t bytes) {
  const CUdeviceptr p = emulated_get(e, bytes);
  if (from) CUDA_OK(cu_upload(p, from, bytes, e->stream));
  return p;
}

static inline void emulated_to(const emulated *e, void *to, CUdeviceptr from, size_t bytes) {
  CUDA_OK(cu_download(to, from, bytes, e->stream));
  CUDA_OK(cu_stream_wait(e->stream));
}

/* What a kernel node is said with; lives as long as the call. */
typedef struct emulated_parameters {
  CUDA_KERNEL_NODE_PARAMS node;
  size_t bytes;
  void *extra[5];
} emulated_parameters;

static inline const CUDA_KERNEL_NODE_PARAMS *emulated_node(const emulated *e, const char *name,
                                                           unsigned grid, unsigned block, void *a,
                                                           size_t bytes, emulated_parameters *q) {
  *q = (emulated_parameters){.bytes = bytes};
  q->node = (CUDA_KERNEL_NODE_PARAMS){.gridDimX = grid,
                                      .gridDimY = 1,
                                      .gridDimZ = 1,
                                      .blockDimX = block,
                                      .blockDimY = 1,
                                      .blockDimZ = 1,
                                      .extra = q->extra};
  CUDA_OK(cu_function_get(&q->node.func, e->module, name));
  void *const extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, a, CU_LAUNCH_PARAM_BUFFER_SIZE, &q->bytes,
                         CU_LAUNCH_PARAM_END};
  for (int i = 0; i < 5; i++) q->extra[i] = extra[i];
  return &q->node;
}

static inline void emulated_launch(const emulated *e, const char *name, unsigned grid,
                                   unsigned block, const void *a, size_t bytes) {
  emulated_parameters q;
  emulated_node(e, name, grid, block, (void *)(uintptr_t)a, bytes, &q);
  CUDA_OK(cu_launch(q.node.func, grid, 1, 1, block, 1, 1, 0, e->stream, NULL, q.extra));
}

#endif
