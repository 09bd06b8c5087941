/* SPDX-License-Identifier: Apache-2.0
 * core/comm/library.c -- see library.h. */
#include "core/comm/library.h"

#include <dlfcn.h>
#include <string.h>

rp_status rpi_library_open(const char *file, void **so) {
  *so = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (*so) return RP_OK;
  const char *why = dlerror();
  return rpi_status_fail(RP_ERR_RANKS, "several ranks need a library that cannot be loaded: %s",
                         why ? why : file);
}

rp_status rpi_library_find(void *so, const char *file, const char *name, void *out) {
  void *address = dlsym(so, name);
  if (!address)
    return rpi_status_fail(RP_ERR_RANKS, "%s has no function %s: it is too old", file, name);
  memcpy(out, &address, sizeof address); /* C has no cast from an object to a function */
  return RP_OK;
}
