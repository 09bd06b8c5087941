/* SPDX-License-Identifier: Apache-2.0
 * jit/compile_cc.h -- C text to a shared object, with the system's compiler: posix_spawn, no shell.
 * The compiler's children run under SCHED_IDLE in their own process group. Success is a valid
 * output file, not an exit status; a killed compile is retried once. Without -lmvec or -lm at hand
 * the compiler counts as missing. */
#ifndef RPI_COMPILE_CC_H
#define RPI_COMPILE_CC_H

#include "core/base/status.h"
#include "core/base/strbuf.h"

typedef struct rpi_cc rpi_cc;

/* Finds the compiler (`cc` knob) and its identity (its file: path, size, time of change); *out NULL and RP_OK
 * if there is none or "none" was asked for. */
rp_status rpi_cc_create(const char *knob, int32_t vector, rpi_cc **out);
void rpi_cc_free(rpi_cc *c);
/* Text that belongs in every kernel's key: identity and flags. */
const char *rpi_cc_identity(const rpi_cc *c);
/* Compiles `text` to the file `path` (overwritten). RP_ERR_IO with the compiler's first lines. */
rp_status rpi_cc_compile(rpi_cc *c, const char *text, const char *path);
/* From another thread, that waits: the running compiler gets the usual scheduling policy, as far as the
 * system lets us. */
void rpi_cc_hurry(rpi_cc *c);
/* From another thread: the running compiler is killed, the call above returns RP_ERR_IO. */
void rpi_cc_cancel(rpi_cc *c);

#endif
