/* SPDX-License-Identifier: Apache-2.0
 * core/exec/sysv.h -- calls a C function whose signature is known only at run time, as the System V ABI for x86-64
 * has it: what opaque.c does where libffi is not there. */
#ifndef RPI_SYSV_H
#define RPI_SYSV_H

#include "core/base/attr.h"

enum { RPI_SYSV_ARGS = 128 };

/* Calls `function` with n (at most RPI_SYSV_ARGS) arguments: the i-th is of dtype[i], a pointer being RP_I64, and has its
 * bytes at the low end of value[i]. What an int function returns; of a void one anything. No allocation. Any thread. */
int rpi_sysv_call(void (*function)(void), int32_t n, const uint8_t *dtype, const uint64_t *value);

#endif
