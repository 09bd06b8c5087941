/* SPDX-License-Identifier: Apache-2.0
 * core/model/view.h -- views: a dtype, a box of elements, and the shape of the array it is a box of; each exists once.
 *
 * Lives here: the record, what is known of its geometry, and the set of all views of a context, with an id each.
 * Not here:   the arithmetic of boxes (geom.h), who uses a view (store.h).
 *
 * Invariants: two views of a set differ in dtype, box or shape, so that a pointer or an id stands for all of them; ids are
 *             small, and are given out again only after `trims` has changed. A view is never changed. */
#ifndef RPI_VIEW_H
#define RPI_VIEW_H

#include "core/base/map.h"
#include "core/model/dtype.h"
#include "core/model/geom.h"

typedef struct rpi_view {
  uint32_t id;
  rp_dtype dtype;
  rpi_geom geom;
  int32_t bdim;
  int64_t bshape[RP_MAX_DIM];
  int64_t bsize; /* elements of the buffer */
  int64_t size;  /* elements of the view */
  bool dense;    /* consecutive in C order */
  bool whole;    /* the buffer itself, in its own shape */
  bool covers;   /* every element of the buffer */
  bool injective;
} rpi_view;

typedef struct rpi_views {
  rpi_map map;
  const rpi_view **by_id;
  int32_t n, cap; /* ids given out; a freed one is NULL in by_id */
  int32_t live;
  uint64_t trims; /* times that ids were freed */
  uint32_t *free_id;
  int32_t n_free, cap_free;
} rpi_views;

void rpi_view_init(rpi_views *all);
void rpi_view_deinit(rpi_views *all);
/* The view of that geometry; NULL and a status message when out of memory. */
const rpi_view *rpi_view_get(rpi_views *all, rp_dtype dtype, int32_t bdim, const int64_t *bshape,
                             const rpi_geom *geom);
/* The view that has an id; NULL if none has it. */
static inline const rpi_view *rpi_view_of_id(const rpi_views *all, uint32_t id) {
  return (int32_t)id < all->n ? all->by_id[id] : NULL;
}
/* Frees the views whose used[id] is false; nobody holds them or their ids any more. */
void rpi_view_trim(rpi_views *all, const bool *used);

#endif
