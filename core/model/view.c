/* SPDX-License-Identifier: Apache-2.0
 * core/model/view.c -- see view.h. A table from a hash of the key to views, with a comparison in full. */
#include "core/model/view.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/base/hash.h"
#include "core/base/status.h"

void rpi_view_init(rpi_views *all) {
  *all = (rpi_views){0};
  rpi_map_init(&all->map);
}

void rpi_view_deinit(rpi_views *all) {
  for (int32_t i = 0; i < all->n; i++) rpi_alloc_free((void *)all->by_id[i]);
  rpi_alloc_free((void *)all->by_id);
  rpi_alloc_free(all->free_id);
  rpi_map_deinit(&all->map);
}

typedef struct view_key {
  int32_t dtype, bdim;
  int64_t bshape[RP_MAX_DIM];
  rpi_geom geom;
} view_key;

static void key_make(rp_dtype dtype, int32_t bdim, const int64_t *bshape, const rpi_geom *g,
                     view_key *k) {
  memset(k, 0, sizeof *k);
  k->dtype = dtype;
  k->bdim = bdim;
  for (int32_t d = 0; d < bdim; d++) k->bshape[d] = bshape[d];
  k->geom.ndim = g->ndim;
  k->geom.offset = g->offset;
  for (int32_t d = 0; d < g->ndim; d++) {
    k->geom.shape[d] = g->shape[d];
    k->geom.stride[d] = g->stride[d];
  }
}

static bool matches(const rpi_view *v, const view_key *k) {
  return v->dtype == k->dtype && v->bdim == k->bdim &&
         memcmp(v->bshape, k->bshape, sizeof v->bshape) == 0 &&
         memcmp(&v->geom, &k->geom, sizeof v->geom) == 0;
}

/* A free id, with room for it in by_id; -1 when out of memory. */
static int32_t next_id(rpi_views *all) {
  if (all->n_free > 0) return (int32_t)all->free_id[--all->n_free];
  void *ids = (void *)all->by_id;
  if (!rpi_alloc_grow(&ids, &all->cap, all->n + 1, sizeof *all->by_id)) return -1;
  all->by_id = ids;
  all->by_id[all->n] = NULL;
  return all->n++;
}

static rpi_view *make(rpi_views *all, const view_key *k) {
  rpi_view *v = rpi_alloc_zero(sizeof *v);
  int32_t id = v ? next_id(all) : -1;
  if (id < 0) {
    rpi_alloc_free(v);
    return NULL;
  }
  v->id = (uint32_t)id;
  v->dtype = k->dtype;
  v->bdim = k->bdim;
  memcpy(v->bshape, k->bshape, sizeof v->bshape);
  v->geom = k->geom;
  rpi_geom dense;
  rpi_geom_dense(k->bdim, k->bshape, &dense);
  v->bsize = rpi_geom_size(&dense);
  v->size = rpi_geom_size(&v->geom);
  v->dense = rpi_geom_is_dense(&v->geom);
  v->whole = rpi_geom_equal(&v->geom, &dense);
  v->covers = rpi_geom_relate(&v->geom, &dense, k->bdim, k->bshape).covers;
  v->injective = rpi_geom_injective(&v->geom, k->bdim, k->bshape);
  all->by_id[v->id] = v;
  all->live++;
  return v;
}

const rpi_view *rpi_view_get(rpi_views *all, rp_dtype dtype, int32_t bdim, const int64_t *bshape,
                             const rpi_geom *geom) {
  view_key key;
  key_make(dtype, bdim, bshape, geom, &key);
  uint64_t hash = rpi_hash_bytes64(&key, sizeof key);
  int32_t it = -1;
  for (rpi_view *v; (v = rpi_map_next(&all->map, hash, &it));)
    if (matches(v, &key)) return v;
  rpi_view *v = make(all, &key);
  if (!v || !rpi_map_add(&all->map, hash, v)) {
    rpi_status_nomem("view");
    return NULL;
  }
  return v;
}

static bool give_back_id(rpi_views *all, uint32_t id) {
  void *list = all->free_id;
  if (!rpi_alloc_grow(&list, &all->cap_free, all->n_free + 1, sizeof id)) return false;
  all->free_id = list;
  all->free_id[all->n_free++] = id;
  return true;
}

void rpi_view_trim(rpi_views *all, const bool *used) {
  all->trims++;
  for (int32_t id = 0; id < all->n; id++) {
    const rpi_view *v = all->by_id[id];
    if (!v || used[id] || !give_back_id(all, (uint32_t)id)) continue;
    view_key key;
    key_make(v->dtype, v->bdim, v->bshape, &v->geom, &key);
    rpi_map_remove(&all->map, rpi_hash_bytes64(&key, sizeof key), v);
    all->by_id[id] = NULL;
    all->live--;
    rpi_alloc_free((void *)v);
  }
}
