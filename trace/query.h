/* SPDX-License-Identifier: Apache-2.0
 * trace/query.h -- geometric questions that an analysis asks, remembered as guards.
 *
 * Lives here: the questions, their memo, and the test whether all of them come out the same on other
 *             views: then the analysis holds for those too (DESIGN.md 6, skeletons and guards).
 * Not here:   the arithmetic (core/model/geom.h).
 * Invariant:  whatever an analysis decides from geometry, it asks here; so the list is complete. */
#ifndef RPI_QUERY_H
#define RPI_QUERY_H

#include "trace/task.h"

enum {
  RPI_REL_DISJOINT = 1,
  RPI_REL_EQUAL = 2,
  RPI_REL_COVERS = 4,
  RPI_REL_INEXACT = 8,
  RPI_REL_UNIFORM = 16
};

typedef struct rpi_query {
  uint8_t kind;
  uint8_t answer;
  int32_t a, b;
} rpi_query;

typedef struct rpi_queries {
  const rpi_tasks *tasks;
  rpi_query *list;
  int32_t n, cap;
  int32_t *memo; /* open addressing: index into list, -1 free */
  int32_t cap_memo;
  bool failed;
} rpi_queries;

void rpi_query_init(rpi_queries *q, const rpi_tasks *tasks);
void rpi_query_deinit(rpi_queries *q);

/* How two accesses of one slot relate: RPI_REL_ bits; COVERS: a covers b; UNIFORM: a is one element,
 * the same at every point. A table or opaque access relates as the whole box it may touch and is never
 * EQUAL. */
int32_t rpi_query_relate(rpi_queries *q, int32_t a, int32_t b);
/* Two tasks have the same space. */
bool rpi_query_same_space(rpi_queries *q, int32_t task_a, int32_t task_b);
/* The access overwrites its whole buffer. */
bool rpi_query_overwrites(rpi_queries *q, int32_t a);
/* The access touches at least half of its buffer. */
bool rpi_query_large(rpi_queries *q, int32_t a);
/* The task's space moves so few bytes that a launch of its own costs more. */
bool rpi_query_small(rpi_queries *q, int32_t task);

/* All the answers are the same for these tasks (of the same skeleton). */
bool rpi_query_hold(const rpi_queries *q, const rpi_tasks *tasks);

#endif
