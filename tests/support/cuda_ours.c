/* SPDX-License-Identifier: Apache-2.0
 * tests/support/cuda_ours.c -- the layout of the declarations in the tree, whichever the library is built with. */
#undef RPI_CUDA_TOOLKIT
#include "core/device/cuda_types.h"
#include "tests/support/cuda_layout.h"

void cuda_ours(void (*found)(void *arg, const cuda_fact *f), void *arg) { cuda_layout(found, arg); }
