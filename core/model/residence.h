/* SPDX-License-Identifier: Apache-2.0
 * core/model/residence.h -- on which side an instance's values are: in host memory, in a GPU's, or in both.
 *
 * Lives here: moving an instance to where it is to be used, memory for it there, and what leaves a GPU that is full.
 * Not here:   which side a step of a plan runs on (trace/sides.h), the GPU's allocator and copies (core/device).
 * How:        `valid` says where the values are. Who uses an instance says on which side, and whether it reads, changes
 *             or overwrites it; what is stale after that gives its memory back at once, unless others know its address (pinned).
 *             Instances with memory of ours on the GPU are in a list by last use. When the GPU is full, those that the turn at
 *             hand does not use leave it: first the oldest whose values the host has as well, then the oldest.
 *             Of several ranks each holds a part of an instance. What moves is `held`, the hull of all that was ever written
 *             here or came by a message: it grows before anybody writes beyond it, and is never smaller than what is valid.
 *             Who does not say what he touches (all but plans and the host's writes of a rank's own part) touches all.
 *             An array that nobody has written is `zeros`, of which only what is held is ever filled in. A large array has
 *             memory on the GPU for what is held, and addresses for all (spans, core/device/device.h).
 * Invariants: valid != 0 once an instance has been written; a side that is valid has memory, and in it all that is held.
 *             Without a GPU all of it is at the host, and nothing here does anything.
 * Threads:    the context's. Work of the GPU that is under way may still use memory that is given back: its order is
 *             that of the calls (core/device/device.h). */
#ifndef RPI_RESIDENCE_H
#define RPI_RESIDENCE_H

#include "core/model/store.h"

typedef enum rpi_use {
  RPI_USE_READ,     /* values are needed, and stay what they are */
  RPI_USE_UPDATE,   /* values are needed, and will change: the other side's are stale */
  RPI_USE_OVERWRITE /* all of it will be written */
} rpi_use;

/* Before the GPU's memory is looked at in another way than by these functions: what a stream of others does to it, if it is
 * their turn, comes first. All functions here do so themselves. */
rp_status rpi_residence_turn_back(rpi_pool *p, rpi_instance *i);
static inline rp_status rpi_residence_ours(rpi_pool *p, rpi_instance *i) {
  return RPI_LIKELY(!i->theirs) ? RP_OK : rpi_residence_turn_back(p, i);
}

/* The instance has memory on the host, valid unless it is overwritten. Waits for the GPU if the values are there only. */
rp_status rpi_residence_to_host(rpi_pool *p, rpi_instance *i, rpi_use use);
static inline rp_status rpi_residence_host(rpi_pool *p, rpi_instance *i, rpi_use use) {
  return RPI_LIKELY(!p->device) ? RP_OK : rpi_residence_to_host(p, i, use);
}
/* The same on the GPU; it stays there for the turn. RP_ERR_MEMORY says how much there is, and what the turn uses of it. */
rp_status rpi_residence_device(rpi_pool *p, rpi_instance *i, rpi_use use);
/* The host will write bytes lo..hi-1 and no others; RPI_USE_OVERWRITE: nothing else is held afterwards. */
rp_status rpi_residence_part(rpi_pool *p, rpi_instance *i, rpi_use use, rpi_hull part);

/* ---- of a plan, which says what it touches */

/* Memory on these sides, for what is held and `touched`. */
rp_status rpi_residence_room(rpi_pool *p, rpi_instance *i, uint8_t sides, rpi_hull touched);
/* What is held is valid there; room has been made. */
rp_status rpi_residence_bring(rpi_pool *p, rpi_instance *i, uint8_t sides);
/* What is `touched` will be held, too. */
rp_status rpi_residence_hold(rpi_pool *p, rpi_instance *i, rpi_hull touched);
/* Nobody will read what it holds. */
void rpi_residence_forget(const rpi_pool *p, rpi_instance *i);
/* The plan has run: the values are on these sides now. */
void rpi_residence_settle(rpi_pool *p, rpi_instance *i, uint8_t valid);
/* What is bound from now on stays on the GPU until the next turn. */
static inline void rpi_residence_turn(rpi_pool *p) { p->turn++; }

/* Plain memory of the GPU, for which others may have to leave. */
rp_status rpi_residence_get(rpi_pool *p, int64_t bytes, CUdeviceptr *out);
/* The same for a part of so many bytes: of *span, which is made if it is NULL. */
rp_status rpi_residence_span(rpi_pool *p, int64_t bytes, rpi_hull part, rpi_device_span **span);
/* Is so much given memory in parts, where not all of it is used? */
bool rpi_residence_spans(const rpi_pool *p, int64_t bytes);

/* All that `from` holds (NULL: zeros) comes to `to`, of the same size, on that side, where alone `to` is valid afterwards. */
rp_status rpi_residence_fetch(rpi_pool *p, rpi_instance *to, rpi_instance *from, uint8_t side);
/* The same on the side where the values are, of zeros on the GPU. */
rp_status rpi_residence_copy(rpi_pool *p, rpi_instance *to, rpi_instance *from);
rp_status rpi_residence_zero(rpi_pool *p, rpi_instance *i);
/* Gives back what the instance has on the GPU, and its place in the list. */
void rpi_residence_leave(rpi_pool *p, rpi_instance *i);

#endif
