/* SPDX-License-Identifier: Apache-2.0
 * jit/lanes_cuda.h -- the words of CUDA text, and where lanes.h finds its functions there.
 *
 * Lives here: the names under which kernels speak of threads, memory and launches (RPG_*), and what
 *             lanes.h takes from its surroundings. The build embeds it, with lanes.h behind it, as a
 *             string that opens every generated CUDA text.
 * Not here:   what an operation computes (lanes.h), leaves and trees (cuda_frame.h).
 * How:        no include: the text uses what NVRTC has built in (none of gcc's __builtin_ functions, so bits are
 *             read by CUDA's own), and is C as well as C++. A host that
 *             runs it defines RPG_HOST and all of RPG_* before it, and RPG_HOST_BITS (256 or 512): the
 *             vector level whose lanes the math functions then are, to the bit.
 *             Before it, RPV_USE_<T> for each dtype wanted (i64 is always there), as for lanes.h.
 *
 *   RPG_KERNEL(name, args)   begins a kernel `name` of one parameter `a`, a struct args by value, for blocks of at
 *                            most 256 threads, RPG_AT_ONCE of which should fit a multiprocessor: 2, or what a text defines
 *   RPG_DEVICE, RPG_FAR      begin a function that is inlined always, never
 *   RPG_SHARED               a variable of the block
 *   RPG_THREAD, RPG_THREADS, RPG_BLOCK, RPG_BLOCKS   this thread, threads of a block, and so on: int
 *   RPG_SYNC(), RPG_WARP()   all threads of the block, of the warp, meet here and see what the others wrote
 *   RPG_FENCE()              what was written before is seen by other blocks before what is written after
 *   RPG_COUNT(p)             adds 1 to *p, an unsigned int of all blocks, and gives the value before
 *   RPG_ADD(p, n)            adds n likewise; RPG_SWAP(p, a, b) makes *p b if it is a. Both give the value before
 *   RPG_NAP()                half a microsecond in which other warps run: within a loop that waits for them
 *   RPG_RAISE(p)             *p = 1; a flag, an unsigned int of all blocks
 *   RPG_DOWN32(v, n), RPG_DOWN64(v, n)   v, unsigned of that width, of the thread n further in the warp; all
 *                            32 threads take part
 *   RPG_FROM32(v, t), RPG_FROM64(v, t)   the same, of thread t of the warp
 *   RPG_BALLOT(p)            a bit for each thread of the warp, unsigned int: where p is not 0
 *   RPG_LDG(p)               *p, of any dtype, which nobody writes during the launch
 *   RPG_ALIGN(n)             before a struct's name: its alignment in bytes
 *
 * Math functions (class M) are CUDA's own, so they differ from the CPU's in their last bits. They are pure
 * and compiled one by one from the same source, without contraction, and their arguments are hidden from the
 * compiler, which would know the values at constants otherwise; so a value is the same however a program was fused; the compiler's version is in a kernel's key. Class E has the CPU's bits: CUDA's
 * fmod, nextafter and ldexp are exact, that is rounded once; division and square root are IEEE's with
 * the options of nvrtc.h. */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#ifndef RPI_LANES_CUDA_H
#define RPI_LANES_CUDA_H

#define RPV_ONE
#define RPV_FN RPG_DEVICE
#ifdef RPG_HOST
#define RPV_BITS RPG_HOST_BITS
#else
#define RPV_CUDA

#define RPG_AT_ONCE 2
#define RPG_KERNEL(name, args) \
  extern "C" __global__ void __launch_bounds__(256, RPG_AT_ONCE) name(const __grid_constant__ struct args a)
#define RPG_DEVICE static __device__ __forceinline__ __attribute__((unused))
#define RPG_FAR static __device__ __noinline__ __attribute__((unused))
#define RPG_SHARED __shared__
#define RPG_ALIGN(n) __align__(n)
#define RPG_THREAD ((int)threadIdx.x)
#define RPG_THREADS ((int)blockDim.x)
#define RPG_BLOCK ((int)blockIdx.x)
#define RPG_BLOCKS ((int)gridDim.x)
#define RPG_SYNC() __syncthreads()
#define RPG_WARP() __syncwarp()
#define RPG_FENCE() __threadfence()
#define RPG_COUNT(p) atomicAdd((unsigned int *)(p), 1u)
#define RPG_ADD(p, n) atomicAdd((unsigned int *)(p), (unsigned int)(n))
#define RPG_SWAP(p, a, b) atomicCAS((unsigned int *)(p), (unsigned int)(a), (unsigned int)(b))
#define RPG_NAP() __nanosleep(500)
#define RPG_RAISE(p) ((void)atomicOr((unsigned int *)(p), 1u))
#define RPG_DOWN32(v, n) __shfl_down_sync(0xffffffffu, (unsigned int)(v), (unsigned int)(n))
#define RPG_DOWN64(v, n) \
  ((unsigned long)__shfl_down_sync(0xffffffffu, (unsigned long long)(v), (unsigned int)(n)))
#define RPG_FROM32(v, t) __shfl_sync(0xffffffffu, (unsigned int)(v), (t))
#define RPG_FROM64(v, t) ((unsigned long)__shfl_sync(0xffffffffu, (unsigned long long)(v), (t)))
#define RPG_BALLOT(p) __ballot_sync(0xffffffffu, (p))
#define RPG_LDG(p) __ldg(p)

#define RPV_INF_f32 __int_as_float(0x7f800000)
#define RPV_INF_f64 __longlong_as_double(0x7ff0000000000000LL)
#define RPV_MINUS_f32(a) (__float_as_int(a) < 0)
#define RPV_MINUS_f64(a) (__double_as_longlong(a) < 0)
#define RPV_LIBM_f32(name) name##f
#define RPV_LIBM_f64(name) name
/* A value that the compiler does not know: it would compute math functions of constants with the host's library, and the
 * others are computed by the GPU's. It costs no instruction. */
#define RPV_UNKNOWN_f32(a) rpv_unknown_f32(a)
#define RPV_UNKNOWN_f64(a) rpv_unknown_f64(a)
RPG_DEVICE float rpv_unknown_f32(float a) { asm("" : "+f"(a)); return a; }
RPG_DEVICE double rpv_unknown_f64(double a) { asm("" : "+d"(a)); return a; }
#define RPV_TGAMMA_f32(a) tgammaf(rpv_unknown_f32(a))
#define RPV_TGAMMA_f64(a) tgamma(rpv_unknown_f64(a))
#define RPV_LGAMMA_f32(a, sign) ((void)(sign), lgammaf(rpv_unknown_f32(a)))
#define RPV_LGAMMA_f64(a, sign) ((void)(sign), lgamma(rpv_unknown_f64(a)))
#endif
#endif
