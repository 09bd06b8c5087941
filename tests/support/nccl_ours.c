/* SPDX-License-Identifier: Apache-2.0
 * tests/support/nccl_ours.c -- the layout of NCCL's declarations in the tree. */
#include "core/device/nccl_types.h"
#include "tests/support/nccl_layout.h"

void nccl_ours(void (*found)(void *arg, const nccl_fact *f), void *arg) { nccl_layout(found, arg); }
