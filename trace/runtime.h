/* SPDX-License-Identifier: Apache-2.0
 * trace/runtime.h -- the door of trace/: contexts from birth to end, and what can be seen of them.
 * The entry points (bindings/c) call this and segment.h, nothing else of trace/. */
#ifndef RPI_RUNTIME_H
#define RPI_RUNTIME_H

#include "core/base/strbuf.h"
#include "trace/context.h"

/* `in_crew`: one of several contexts that one program uses (bindings/c/crew.h), which all fail if one does. */
rp_status rpi_runtime_create(const char *config, bool in_crew, rp_context **out);
/* Runs what is pending; returns its first error. */
rp_status rpi_runtime_destroy(rp_context *ctx);
/* Registers an op with a body / an opaque one (`params` parsed here too). */
rp_status rpi_runtime_op(rp_library *lib, const char *name, const char *params, const char *body,
                         rp_op **out);
rp_status rpi_runtime_op_opaque(rp_library *lib, const rp_opaque_desc *desc, rp_op **out);
/* The op of that name in the runtime's own library, made if it is not there. */
rp_status rpi_runtime_op_own(rp_context *ctx, const rp_opaque_desc *desc, rp_op **out);
rp_status rpi_runtime_library(rp_context *ctx, const char *name, rp_library **out);

/* The context's state for people (explain.c). */
void rpi_explain(rp_context *ctx, rpi_strbuf *out);
bool rpi_explain_stat(rp_context *ctx, const char *name, int64_t *out);

#endif
