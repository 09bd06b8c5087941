/* SPDX-License-Identifier: Apache-2.0
 * core/base/rounding.c -- see rounding.h. Not inline, so that no computation moves across. */
#include "core/base/rounding.h"

#include "core/base/attr.h"

RPI_NOINLINE void rpi_rounding_enter(fenv_t *caller) {
  fegetenv(caller);
  fesetenv(FE_DFL_ENV); /* clears FTZ and DAZ too */
}

RPI_NOINLINE void rpi_rounding_leave(const fenv_t *caller) { fesetenv(caller); }
