/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu.h -- the emulated GPU, as a test steers and questions it.
 *
 * Lives here: faults, counts, what is still alive; the names the library's functions have for a test that links it.
 * Not here:   what the library does (emu_inside.h).
 *
 * Environment, read at cuInit: EMU_DEVICES (1), EMU_MEMORY_MB of each (512), EMU_SEED (1) of the order of threads, blocks
 * and nodes, EMU_FAIL=N:CODE (emu_fail), EMU_LOG=FILE (each call and each piece of work; "-": standard error),
 * EMU_OPEN=1: the host may touch the GPU's memory, which takes less time where there is much of it.
 * EMU_IDLE: kernels and graphs never run. EMU_GRANULE_KB (2048) of memory that is mapped. Read when they matter: EMU_PITCH,
 * the longest of copies (2^31 - 1 bytes), EMU_DRIVER (13000), EMU_NVRTC (13): versions; a driver loads no cubin of a later CUDA,
 * EMU_MAP=off: no memory to be mapped, though it said so, EMU_LOOPS: off: no conditions for graphs; unlinked: no module that sets one (rpk_go_on).
 * At a compile: EMU_SPILLS=N, kernels with more than N bytes of parameters are said to spill; EMU_CC (cc), EMU_CACHE, a folder where compiled texts are kept (none).
 *
 * Misuse aborts with "emulated CUDA: CALL: sentence". Memory of the GPU cannot be touched but by work that runs: other code
 * gets a SIGSEGV, and so does a kernel that reads or writes what was freed or lies in the pages between two blocks. One that
 * touches memory which is not aligned to what it takes there gets a SIGILL. */
#ifndef EMU_H
#define EMU_H

#include <stddef.h>
#include <stdint.h>

#include "core/device/cuda_types.h"

#define EMU_API __attribute__((visibility("default")))

/* The n-th driver call from now (1: the next) returns that code; 0: none does. A call that takes something back does so
 * first. Any code but CUDA_ERROR_OUT_OF_MEMORY leaves the context as a failed one: see emu_sticky. */
EMU_API void emu_fail(int64_t n, CUresult code);
/* Driver calls so far. */
EMU_API int64_t emu_calls(void);
/* The n-th allocation from now, of the GPU's or of pinned memory, finds none. */
EMU_API void emu_fail_memory(int64_t n);
/* The next kernel that runs fails; that and all later calls in its context return the code. When the last holder gives a
 * failed context back, all that lives in it ends, and it can be had anew. */
EMU_API void emu_sticky(CUresult code);
/* The n-th nvrtcCompileProgram from now returns that code. */
EMU_API void emu_fail_compile(int64_t n, int code);
/* May a node of an executable graph be given another function? Not at first. */
EMU_API void emu_graph_functions(int allowed);

struct emu_counts {
  int64_t launches; /* cuLaunchKernel */
  int64_t kernels;  /* those, and kernels in launched graphs */
  int64_t uploads, upload_bytes, downloads, download_bytes, copies, copy_bytes, fills;
  int64_t waits; /* for a stream or an event */
  int64_t graph_launches, graph_instantiations, nodes_updated;
  int64_t compiles, compiler_runs; /* texts given to NVRTC; those that were not known */
  /* alive now */
  int64_t blocks, block_bytes, pinned, pinned_bytes;
  int64_t granules; /* of them mapped or not */
  int64_t maps;     /* ever */
  int64_t modules, streams, events, graphs, execs, contexts;
};
EMU_API void emu_counts(struct emu_counts *out);
/* Aborts and names what is alive, or a context that this thread has left current. */
EMU_API void emu_check_empty(void);

/* ---- for libraries in the place of NVIDIA's, which queue work of their own
 * A piece of work that may not be ready when its turn comes: step(arg) is asked until it returns 1, and the stream goes on. It is
 * asked within the emulator's lock by any thread, with the GPUs' memory open, and may call what says so below. The stream may
 * be of a context that is not current. */
EMU_API CUresult emu_stream_step(CUstream stream, int (*step)(void *arg), void *arg);
/* Within a step: some work of another stream is done, as its GPU would by itself. */
EMU_API void emu_stream_work(CUstream stream);
/* Memory that is named in a call, of the stream's GPU: aborts as for a copy. */
struct emu_range {
  char *at;
  size_t bytes;
  struct emu_memory *memory;
};
EMU_API void emu_range(CUstream stream, CUdeviceptr at, size_t bytes, struct emu_range *out);
/* Within a step: aborts where one of them is not there any more. */
EMU_API void emu_range_copy(const struct emu_range *to, const struct emu_range *from);
/* The GPU whose context is current, or -1. */
EMU_API int emu_current(void);

/* ---- the driver's functions as cu_FIELD, from the table that the library under test uses */
#define RPI_CUDA_FN(field, symbol, arguments) EMU_API CUresult cu_##field arguments __asm__(symbol);
#define RPI_CUDA_OPT RPI_CUDA_FN
#include "core/device/cuda_driver.def"
#undef RPI_CUDA_FN
#undef RPI_CUDA_OPT

/* ---- NVRTC; results are of enum nvrtcResult */
enum {
  EMU_NVRTC_OUT_OF_MEMORY = 1,
  EMU_NVRTC_INVALID_INPUT = 3,
  EMU_NVRTC_INVALID_PROGRAM = 4,
  EMU_NVRTC_INVALID_OPTION = 5,
  EMU_NVRTC_COMPILATION = 6
};
typedef struct emu_program *nvrtcProgram;
EMU_API int nvrtcVersion(int *major, int *minor);
EMU_API const char *nvrtcGetErrorString(int result);
EMU_API int nvrtcGetNumSupportedArchs(int *n);
EMU_API int nvrtcGetSupportedArchs(int *archs);
EMU_API int nvrtcCreateProgram(nvrtcProgram *out, const char *text, const char *name, int n,
                               const char *const *headers, const char *const *names);
EMU_API int nvrtcDestroyProgram(nvrtcProgram *program);
EMU_API int nvrtcCompileProgram(nvrtcProgram program, int n, const char *const *options);
EMU_API int nvrtcGetCUBINSize(nvrtcProgram program, size_t *bytes);
EMU_API int nvrtcGetCUBIN(nvrtcProgram program, char *out);
EMU_API int nvrtcGetProgramLogSize(nvrtcProgram program, size_t *bytes);
EMU_API int nvrtcGetProgramLog(nvrtcProgram program, char *out);

#endif
