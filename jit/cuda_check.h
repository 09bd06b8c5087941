/* SPDX-License-Identifier: Apache-2.0
 * jit/cuda_check.h -- the kernel that decides whether a loop on a GPU goes on. The build embeds it as a string; behind
 *                     the words of lanes_cuda.h it is a text for NVRTC.
 * Not here: its launch (core/exec/loop.h, whose rpi_loop_check are its parameters).
 * A word more than lanes_cuda.h has: RPG_CONDITION(handle, value) sets a condition of the graph that runs, by one thread. */
#ifndef RPG_HOST
/* CUDA's own; the driver has it, so nothing is linked. */
extern "C" __device__ void cudaGraphSetConditional(unsigned long long handle, unsigned int value);
#define RPG_CONDITION(handle, value) cudaGraphSetConditional((handle), (value))
#endif

struct rpk_check {
  unsigned long long sets[2];
  const unsigned char *go;
  long long *left;
  const unsigned int *flags; /* four of each, of which the first says that it was raised */
  int bytes, n_flag;
};

RPG_KERNEL(rpk_go_on, rpk_check) {
  const long long left = *a.left - 1;
  unsigned int on = 0, raised = 0;
  for (int i = 0; i < a.bytes; i++) on |= a.go[i];
  for (int i = 0; i < a.n_flag; i++) raised |= a.flags[4 * i];
  on = on != 0 && raised == 0 && left > 0;
  *a.left = left;
  RPG_CONDITION(a.sets[0], on);
  if (a.sets[1] != a.sets[0]) RPG_CONDITION(a.sets[1], on);
}
