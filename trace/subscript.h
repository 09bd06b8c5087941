/* SPDX-License-Identifier: Apache-2.0
 * trace/subscript.h -- what a kernel's subscripts are made of: from the IR to an image.
 *
 * Lives here: the pattern over a kernel's IR; the same for affine operands whose rows do not lie beside each other.
 * Not here:   looking at index data (core/exec/image.h), whether an operand needs an image (distribute.h).
 * How:        a subscript is understood if it is made of coordinates, sizes, constants, integer data that are read at the
 *             point or gathered, loops, and +, - and * of these. What is not understood may be anything. */
#ifndef RPI_SUBSCRIPT_H
#define RPI_SUBSCRIPT_H

#include "core/exec/image.h"
#include "trace/analyse.h"

/* A group's kernel on given tasks. */
typedef struct rpi_subscript_kernel {
  const rpi_group *group;
  const rpi_geom *geom;  /* of its operands */
  const int64_t *extent; /* of its space */
  const rpi_word *param; /* its extent parameters */
  rpi_arena *arena;      /* for what images are made of */
} rpi_subscript_kernel;

/* Fills in nodes, uses, symbol, elem and geom for operand o, a table. Images of a lower *level (>= 1)
 * come before it: they bring the index data. False without memory. */
bool rpi_subscript_table(const rpi_subscript_kernel *k, int32_t o, rpi_image *out, int32_t *level);
/* The same for an affine operand: its level is 0. */
bool rpi_subscript_affine(const rpi_subscript_kernel *k, int32_t o, rpi_image *out);
/* Every rank reaches all of the array (n elements), or most of it, whatever its rows and whatever data say. */
bool rpi_subscript_is_everything(const rpi_image *m, int64_t n);

#endif
