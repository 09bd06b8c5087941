/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_cufft.c -- a library in cuFFT's place: plans, streams, and transforms by their definition.
 * Lives here: the functions that kernels/fourier uses, done by kernels of the emulated GPU. What the real one forbids aborts:
 *             transforms without a stream, without memory for the work, of another type than the plan's. What the real one
 *             may do it does: transforms to real arrays spoil what they read. Not here: anything of the library.
 * How:        one kernel computes into the work area, a second one brings that to y. */
#include "tests/support/fake_cufft.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/emulator/emu.h"

struct fake_cufft fake_cufft;

enum { HANDLES = 256 };
enum { R2C = 0x2a, C2R = 0x2c, C2C = 0x29, D2Z = 0x6a, Z2D = 0x6c, Z2Z = 0x69 };

/* As the kernels have it. */
typedef struct parameters {
  const void *x;
  void *work, *y;
  int64_t n[3], batch, size; /* size: numbers in y */
  int64_t from_real, to_real, inverse;
  double c[3], s[3]; /* the roots of order n number 1 */
} parameters;

typedef struct plan {
  int alive, type, own_memory, made;
  parameters p;
  size_t bytes; /* of the work area */
  CUmodule module;
  CUfunction compute[2], bring[2]; /* of f32, f64 */
  CUstream stream;
  void *memory;
} plan;
static plan plans[HANDLES];

static const char text_head[] =
    "struct transform { const void *x; void *work, *y; int64_t n[3], batch, size;\n"
    "  int64_t from_real, to_real, inverse; double c[3], s[3]; };\n"
    "RPG_DEVICE void power(double c, double s, int64_t e, double *re, double *im) {\n"
    "  double r = 1, i = 0, t;\n"
    "  for (; e; e /= 2) {\n"
    "    if (e % 2) { t = r * c - i * s; i = r * s + i * c; r = t; }\n"
    "    t = c * c - s * s; s = 2 * c * s; c = t;\n"
    "  }\n"
    "  *re = r; *im = i;\n"
    "}\n";

/* Of thread k: a complex number, or a real one. Half of a spectrum says the rest. */
#define KERNELS(compute, bring, T) \
  "RPG_KERNEL(" #compute ", transform) {\n" \
  "  int64_t k = (int64_t)RPG_BLOCK * RPG_THREADS + RPG_THREAD, at[3];\n" \
  "  const int64_t last = a.from_real ? a.n[2] / 2 + 1 : a.n[2], h = a.n[2] / 2 + 1;\n" \
  "  if (k >= a.size / (a.to_real ? 1 : 2)) return;\n" \
  "  const int64_t me = k;\n" \
  "  at[2] = k % last; k /= last; at[1] = k % a.n[1]; k /= a.n[1]; at[0] = k % a.n[0]; k /= " \
  "a.n[0];\n" \
  "  const " #T " *x = a.x;\n" \
  "  double re = 0, im = 0;\n" \
  "  for (int64_t i = 0; i < a.n[0]; i++)\n" \
  "    for (int64_t j = 0; j < a.n[1]; j++)\n" \
  "      for (int64_t l = 0; l < a.n[2]; l++) {\n" \
  "        double w[3][2], r, s, t;\n" \
  "        power(a.c[0], a.s[0], i * at[0] % a.n[0], &w[0][0], &w[0][1]);\n" \
  "        power(a.c[1], a.s[1], j * at[1] % a.n[1], &w[1][0], &w[1][1]);\n" \
  "        power(a.c[2], a.s[2], l * at[2] % a.n[2], &w[2][0], &w[2][1]);\n" \
  "        if (a.from_real) { r = x[((k * a.n[0] + i) * a.n[1] + j) * a.n[2] + l]; s = 0; }\n" \
  "        else if (a.to_real && l >= h) {\n" \
  "          const int64_t o = ((k * a.n[0] + (a.n[0] - i) % a.n[0]) * a.n[1] + (a.n[1] - j) % " \
  "a.n[1]) * h + a.n[2] - l;\n" \
  "          r = x[2 * o]; s = -x[2 * o + 1];\n" \
  "        } else {\n" \
  "          const int64_t o = ((k * a.n[0] + i) * a.n[1] + j) * (a.to_real ? h : a.n[2]) + l;\n" \
  "          r = x[2 * o]; s = x[2 * o + 1];\n" \
  "        }\n" \
  "        for (int d = 0; d < 3; d++) {\n" \
  "          const double c = w[d][0], e = a.inverse ? w[d][1] : -w[d][1];\n" \
  "          t = r * c - s * e; s = r * e + s * c; r = t;\n" \
  "        }\n" \
  "        re += r; im += s;\n" \
  "      }\n" \
  "  " #T " *y = a.work;\n" \
  "  if (a.to_real) y[me] = re;\n" \
  "  else { y[2 * me] = re; y[2 * me + 1] = im; }\n" \
  "}\n" \
  "RPG_KERNEL(" #bring ", transform) {\n" \
  "  const int64_t k = (int64_t)RPG_BLOCK * RPG_THREADS + RPG_THREAD;\n" \
  "  if (k >= a.size) return;\n" \
  "  ((" #T " *)a.y)[k] = ((const " #T " *)a.work)[k];\n" \
  "  if (a.to_real) ((" #T " *)a.x)[k] = -7;\n" \
  "}\n"
static const char text_f32[] = KERNELS(compute32, bring32, float);
static const char text_f64[] = KERNELS(compute64, bring64, double);

static void check(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "fake cuFFT: %s\n", what);
  abort();
}

/* Compiled once. */
static const char *image(void) {
  static const char *const options[] = {"--gpu-architecture=sm_90"};
  static char *cubin, text[sizeof text_head + sizeof text_f32 + sizeof text_f64];
  nvrtcProgram p;
  size_t n;
  if (cubin) return cubin;
  snprintf(text, sizeof text, "%s%s%s", text_head, text_f32, text_f64);
  check(nvrtcCreateProgram(&p, text, "cufft", 0, NULL, NULL) == 0, "no program");
  check(nvrtcCompileProgram(p, 1, options) == 0, "the text does not compile");
  nvrtcGetCUBINSize(p, &n);
  cubin = malloc(n);
  nvrtcGetCUBIN(p, cubin);
  nvrtcDestroyProgram(&p);
  return cubin;
}

static int fails(void) { return ++fake_cufft.calls == fake_cufft.fail ? fake_cufft.status : 0; }

static plan *of(int handle) {
  check(handle >= 0 && handle < HANDLES && plans[handle].alive, "no such plan");
  return &plans[handle];
}

/* ---- plans ---- */

FAKE_API int cufftCreate(int *out);
int cufftCreate(int *out) {
  const int status = fails();
  int h = 0;
  if (status) return status;
  while (h < HANDLES && plans[h].alive) h++;
  check(h < HANDLES, "very many plans");
  plan *q = &plans[h];
  *q = (plan){.alive = 1, .own_memory = 1};
  CUresult e = cu_module_load(&q->module, image());
  if (e == CUDA_SUCCESS) e = cu_function_get(&q->compute[0], q->module, "compute32");
  if (e == CUDA_SUCCESS) e = cu_function_get(&q->compute[1], q->module, "compute64");
  if (e == CUDA_SUCCESS) e = cu_function_get(&q->bring[0], q->module, "bring32");
  if (e == CUDA_SUCCESS) e = cu_function_get(&q->bring[1], q->module, "bring64");
  check(e != CUDA_ERROR_INVALID_CONTEXT, "no context is current");
  if (e != CUDA_SUCCESS) {
    if (q->module) (void)cu_module_unload(q->module);
    q->alive = 0;
    return (int)e;
  }
  fake_cufft.handles++;
  fake_cufft.created++;
  *out = h;
  return 0;
}

/* Waits for what uses the plan, as the real one does. */
FAKE_API int cufftDestroy(int handle);
int cufftDestroy(int handle) {
  plan *q = of(handle);
  if (q->stream) (void)cu_stream_wait(q->stream);
  (void)cu_module_unload(q->module); /* of a GPU that has failed it may be gone */
  q->alive = 0;
  fake_cufft.handles--;
  return 0;
}

FAKE_API int cufftSetAutoAllocation(int handle, int on);
int cufftSetAutoAllocation(int handle, int on) {
  plan *q = of(handle);
  check(!q->made, "who has the memory is said before the plan is made");
  q->own_memory = on;
  return fails();
}

FAKE_API int cufftMakePlanMany64(int handle, int rank, long long *n, long long *in_embed,
                                 long long in_stride, long long in_distance, long long *out_embed,
                                 long long out_stride, long long out_distance, int type,
                                 long long batch, size_t *work);
int cufftMakePlanMany64(int handle, int rank, long long *n, long long *in_embed,
                        long long in_stride, long long in_distance, long long *out_embed,
                        long long out_stride, long long out_distance, int type, long long batch,
                        size_t *work) {
  plan *q = of(handle);
  const int status = fails();
  (void)in_stride, (void)in_distance, (void)out_stride, (void)out_distance;
  check(!in_embed && !out_embed, "only dense arrays are known here");
  check(!q->made && !q->own_memory, "the plan is made already, or would take memory of its own");
  check(rank >= 1 && rank <= 3 && batch >= 1, "rank or batch");
  if (status) return status;
  parameters *p = &q->p;
  *p = (parameters){.n = {1, 1, 1}, .batch = batch};
  for (int i = 0; i < rank; i++) p->n[3 - rank + i] = n[i];
  const double pi = acos(-1);
  int64_t rows = batch * p->n[0] * p->n[1];
  for (int i = 0; i < 3; i++) {
    check(p->n[i] >= 1, "an axis without elements");
    p->c[i] = cos(2 * pi / (double)p->n[i]);
    p->s[i] = sin(2 * pi / (double)p->n[i]);
  }
  q->type = type;
  p->from_real = type == R2C || type == D2Z;
  p->to_real = p->inverse = type == C2R || type == Z2D;
  p->size = rows * (p->to_real ? p->n[2] : p->from_real ? 2 * (p->n[2] / 2 + 1) : 2 * p->n[2]);
  q->bytes = (size_t)p->size * (type >= Z2Z ? sizeof(double) : sizeof(float));
  *work = p->size > 2 ? q->bytes : 0; /* for so little any area will do, but there must be one */
  q->made = 1;
  return 0;
}

FAKE_API int cufftSetStream(int handle, CUstream stream);
int cufftSetStream(int handle, CUstream stream) {
  of(handle)->stream = stream;
  return fails();
}

FAKE_API int cufftSetWorkArea(int handle, void *memory);
int cufftSetWorkArea(int handle, void *memory) {
  plan *q = of(handle);
  check(q->made && (uintptr_t)memory % 256 == 0, "the work area is odd, or there is no plan yet");
  q->memory = memory;
  return fails();
}

/* ---- transforms ---- */

static int run(int handle, int type, const void *x, void *y, int inverse) {
  plan *q = of(handle);
  const int wide = type >= Z2Z, status = fails();
  check(q->made && q->type == type, "a transform of another type");
  check(q->stream && q->memory, "a transform without a stream or memory");
  check(type == C2C || type == Z2Z || x != y, "in place real arrays need room");
  if (status) return status;
  fake_cufft.transforms++;
  parameters p = q->p;
  p.x = x;
  p.y = y;
  p.work = q->memory;
  p.inverse = inverse;
  q->memory = NULL; /* it was for this call */
  size_t bytes = sizeof p;
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &p, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
                   CU_LAUNCH_PARAM_END};
  const unsigned grid = (unsigned)((p.size + 63) / 64);
  CUresult e = cu_launch(q->compute[wide], grid, 1, 1, 64, 1, 1, 0, q->stream, NULL, extra);
  if (e == CUDA_SUCCESS)
    e = cu_launch(q->bring[wide], grid, 1, 1, 64, 1, 1, 0, q->stream, NULL, extra);
  return (int)e;
}

#define COMPLEX(name, type) \
  FAKE_API int name(int handle, void *x, void *y, int direction); \
  int name(int handle, void *x, void *y, int direction) { \
    check(direction == 1 || direction == -1, "a direction is 1 or -1"); \
    return run(handle, type, x, y, direction == 1); \
  }
COMPLEX(cufftExecC2C, C2C)
COMPLEX(cufftExecZ2Z, Z2Z)

#define REAL(name, type, inverse) \
  FAKE_API int name(int handle, void *x, void *y); \
  int name(int handle, void *x, void *y) { return run(handle, type, x, y, inverse); }
REAL(cufftExecR2C, R2C, 0)
REAL(cufftExecD2Z, D2Z, 0)
REAL(cufftExecC2R, C2R, 1)
REAL(cufftExecZ2D, Z2D, 1)
