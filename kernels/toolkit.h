/* SPDX-License-Identifier: Apache-2.0
 * kernels/toolkit.h -- libraries of CUDA's toolkit, found at run time.
 * Lives here: where they are looked for, their functions by name. Not here: which libraries, what is done with them.
 * Threads:    any; a library stays loaded until the process ends. */
#ifndef RPI_TOOLKIT_H
#define RPI_TOOLKIT_H

#include <stdbool.h>

typedef struct rpi_toolkit_function {
  const char *symbol;
  void *at; /* the pointer to a function that is set */
} rpi_toolkit_function;

/* Opens the first of `names` that is there: by the loader's path, in $CUDA_HOME or in /usr/local/cuda; false: none is, or it
 * lacks one of the functions. */
bool rpi_toolkit_open(const char *const *names, int n_names, const rpi_toolkit_function *functions,
                      int n_functions);

#endif
