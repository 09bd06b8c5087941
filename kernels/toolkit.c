/* SPDX-License-Identifier: Apache-2.0
 * kernels/toolkit.c -- see toolkit.h. */
#include "kernels/toolkit.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *open_in(const char *toolkit, const char *name) {
  static const char *const folders[] = {"lib64", "lib"};
  char path[4096];
  void *so = NULL;
  for (int i = 0; i < 2 && !so && toolkit && *toolkit; i++) {
    const int n = snprintf(path, sizeof path, "%s/%s/%s", toolkit, folders[i], name);
    if (n > 0 && n < (int)sizeof path) so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  }
  return so;
}

bool rpi_toolkit_open(const char *const *names, int n_names, const rpi_toolkit_function *functions,
                      int n_functions) {
  void *so = NULL;
  for (int i = 0; i < n_names && !so; i++) {
    so = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!so) so = open_in(getenv("CUDA_HOME"), names[i]);
    if (!so) so = open_in("/usr/local/cuda", names[i]);
  }
  for (int i = 0; i < n_functions && so; i++) {
    void *address = dlsym(so, functions[i].symbol);
    if (!address) return false;
    memcpy(functions[i].at, &address,
           sizeof address); /* C has no cast from an object to a function */
  }
  return so != NULL;
}
