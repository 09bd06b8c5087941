/* SPDX-License-Identifier: Apache-2.0
 * trace/lending.h -- turns at memory that a store shares with others: when it is ours, and when it is theirs.
 * Lives here: attaching, bringing values home, and letting go, behind what was launched and in the order of a GPU's streams.
 * Not here:   the records (core/model/lent.h), tensors (tensor.h).
 * `stream`: of a GPU, as core/device/device.h numbers them; NULL: the host waits. Memory on the host is current on return. */
#ifndef RPI_LENDING_H
#define RPI_LENDING_H

#include "core/model/lent.h"
#include "trace/context.h"

/* Lends memory on the GPU, or on the host, to a new store. What the stream has by now comes before our work. */
rp_status rpi_lending_attach(rp_context *ctx, const rpi_lent_array *a, int64_t stream,
                             rp_store **out);
/* The store's home holds its values, and is the others' until a task or the host uses the store. */
rp_status rpi_lending_home(rp_context *ctx, rp_store *s, const char *call, const int64_t *stream);
/* Others may use the home, which holds the values: what the stream gets from now on comes before what we do to it next. */
rp_status rpi_lending_turn(rp_context *ctx, rpi_instance *home, const int64_t *stream);
/* rpi_lending_home, then the store has memory of its own. RP_ERR_STATE while others hold tensors of it. */
rp_status rpi_lending_leave(rp_context *ctx, rp_store *s, const char *call, const int64_t *stream);

#endif
