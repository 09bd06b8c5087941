/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench_numpy.c -- what NumPy takes for the small pass, where there is NumPy: a Python process
 * measures itself and prints the seconds. Not here: the same pass by us and by hand (rows_small.c). */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>

#include "tests/bench/bench.h"

/* Ten calls on 1000 elements with out=; the median of nine. */
static const char program[] = "import time, numpy as np\n"
                              "x = np.linspace(0, 1, 1000); y = np.ones(1000); z = np.ones(1000)\n"
                              "def run():\n"
                              "    for _ in range(5):\n"
                              "        np.multiply(x, y, out=z); np.add(z, x, out=y)\n"
                              "def timed():\n"
                              "    start = time.perf_counter()\n"
                              "    for _ in range(1000): run()\n"
                              "    return (time.perf_counter() - start) / 1000\n"
                              "print(sorted(timed() for _ in range(9))[4])\n";

void bench_rows_numpy(void) {
  char command[sizeof program + 64];
  double seconds = 0;
  if (!bench_wanted("numpy_tiny_1000")) return;
  snprintf(command, sizeof command, "python3 -c '%s' 2>/dev/null", program);
  FILE *python = popen(command, "r");
  const bool good = python && fscanf(python, "%lf", &seconds) == 1;
  if (python) pclose(python);
  if (!good) {
    fprintf(stderr, "reprise-bench: python3 has no NumPy: its row is skipped\n");
    return;
  }
  bench_add(&(bench_row){.name = "numpy_tiny_1000",
                         .what = "NumPy: ten calls on 1000 elements, out=",
                         .unit = "us",
                         .value = 1e6 * seconds});
}
