/* SPDX-License-Identifier: Apache-2.0
 * core/exec/topology.h -- which processors share a core and which lie near each other.
 * Lives here: the order in which threads are given processors. Not here: binding them (workers.c). */
#ifndef RPI_TOPOLOGY_H
#define RPI_TOPOLOGY_H

#include "core/base/attr.h"

#define RPI_TOPOLOGY_ROOT "/sys/devices/system"

/* Reorders the processors cpu[0..n), which ascend, for threads that work together with one on processor
 * `here`: one of each core before second ones of any, those of `here`'s memory node before those of
 * others, and then by number, beginning behind `here`. `here` itself comes first if it is among them.
 * What the system's folder `root` does not say is taken as: a core for each processor, one node. */
void rpi_topology_order(const char *root, int32_t here, int32_t *cpu, int32_t n);

#endif
