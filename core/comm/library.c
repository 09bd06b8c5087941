/* SPDX-License-Identifier: Apache-2.0
 * core/comm/library.c -- see library.h. */
#include "core/comm/library.h"

#include <dlfcn.h>

#include "core/base/opened.h"

rp_status rpi_library_open(const char *file, void **so) {
  *so = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (*so) return RP_OK;
  const char *why = dlerror();
  return rpi_status_fail(RP_ERR_RANKS, "several ranks need a library that cannot be loaded: %s",
                         why ? why : file);
}

rp_status rpi_library_find(void *so, const char *file, const char *name, void *out) {
  if (rpi_opened_find(so, name, out)) return RP_OK;
  return rpi_status_fail(RP_ERR_RANKS, "%s has no function %s: it is too old", file, name);
}
