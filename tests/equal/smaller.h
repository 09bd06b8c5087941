/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/smaller.h -- makes a failing program small.
 *
 * How: drops ever smaller runs of steps, then puts a part of an expression in its place, as long as what
 *      is left still fails in the same way, and for some seconds. */
#ifndef SMALLER_H
#define SMALLER_H

#include "tests/equal/ways.h"

void shrink(program *p, uint64_t seed, const way_choice *c, way_finding *f, double seconds);

#endif
