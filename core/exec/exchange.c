/* SPDX-License-Identifier: Apache-2.0
 * core/exec/exchange.c -- see exchange.h.
 * Invariant: who sends what to whom is decided before, on both sides; nothing here depends on what arrives. */
#include "core/exec/exchange.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/model/store.h"

/* The bytes of a message between where they belong and where they travel. */
static void move_packed(const rpi_plan_exchange *e, const rpi_plan_message *m, char *data,
                        bool pack) {
  char *stage = e->stage + m->stage;
  for (int32_t i = 0; i < m->n_run; i++) {
    const rpi_plan_run *r = &e->run[m->first_run + i];
    for (int64_t k = 0; k < r->count; k++, stage += r->bytes) {
      char *at = data + r->at + k * r->step;
      memcpy(pack ? stage : at, pack ? at : stage, (size_t)r->bytes);
    }
  }
}

static bool is_known(const rpi_plan_message *m, const uint64_t *version) {
  return version[m->symbol] != 0 && m->seen == version[m->symbol];
}

rp_status rpi_exchange_start(rpi_comm *comm, rpi_plan_exchange *e, void *const *pointers,
                             const uint64_t *version, rpi_exchange_count *count) {
  int32_t n = 0;
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_plan_message *m = &e->list[i];
    if (is_known(m, version)) continue;
    char *data = pointers[m->symbol];
    if (m->send && m->stage >= 0) move_packed(e, m, data, true);
    e->post[n++] =
        (rpi_message){.data = m->stage >= 0 ? e->stage + m->stage : data + e->run[m->first_run].at,
                      .bytes = m->bytes,
                      .peer = m->peer,
                      .send = m->send};
    count->messages += m->send;
    count->bytes += m->send ? m->bytes : 0;
  }
  e->n_post = n;
  return n > 0 ? rpi_comm_start(comm, e->post, n) : RP_OK;
}

rp_status rpi_exchange_finish(rpi_comm *comm, rpi_plan_exchange *e, void *const *pointers,
                              const uint64_t *version) {
  if (e->n_post == 0) return RP_OK;
  RPI_TRY(rpi_comm_finish(comm, e->post, e->n_post));
  e->n_post = 0;
  for (int32_t i = 0; i < e->n; i++) {
    rpi_plan_message *m = &e->list[i];
    if (is_known(m, version)) continue;
    if (!m->send && m->stage >= 0) move_packed(e, m, pointers[m->symbol], false);
    m->seen = version[m->symbol];
  }
  return RP_OK;
}

/* ---- all tiles ---- */

typedef struct tiles {
  const rpi_tiling *tiling;
  int32_t elem;
} tiles;

static int64_t bound(const void *arg, int32_t rank) {
  const tiles *t = arg;
  return rpi_tiling_before(t->tiling, rank) * t->elem;
}

/* The tile of a rank as a box of the array; false: it is empty. */
static bool box_of(const rpi_tiling *t, int32_t rank, rpi_geom *out) {
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM], shape[RP_MAX_DIM];
  if (!rpi_tiling_tile(t, rank, lo, hi)) return false;
  for (int32_t d = 0; d < t->ndim; d++) shape[d] = t->axis[d].n;
  rpi_geom_dense(t->ndim, shape, out);
  for (int32_t d = 0; d < t->ndim; d++) {
    out->offset += lo[d] * out->stride[d];
    out->shape[d] = hi[d] - lo[d];
  }
  return true;
}

rp_status rpi_exchange_gather(rpi_comm *comm, const rpi_tiling *tiling, int32_t elem,
                              const void *from, void *to) {
  const tiles t = {tiling, elem};
  const int64_t all = bound(&t, tiling->ranks);
  const int32_t rank = rpi_comm_rank(comm);
  rpi_geom box;
  if (rpi_tiling_is_line(tiling)) {
    const int64_t lo = bound(&t, rank), hi = bound(&t, rank + 1);
    if (to != from) memcpy((char *)to + lo, (const char *)from + lo, (size_t)(hi - lo));
    return rpi_collect_gather(comm, to, bound, &t);
  }
  char *packed = rpi_alloc((size_t)all + 1);
  if (!packed) return rpi_status_nomem("the tiles of an array");
  if (box_of(tiling, rank, &box))
    rpi_store_pack(from, &box, elem, packed + bound(&t, rank), 0, all);
  const rp_status st = rpi_collect_gather(comm, packed, bound, &t);
  for (int32_t r = 0; st == RP_OK && r < tiling->ranks; r++)
    if (box_of(tiling, r, &box)) rpi_store_unpack(to, &box, elem, packed + bound(&t, r), 0, all);
  rpi_alloc_free(packed);
  return st;
}

/* ---- reductions ---- */

rp_status rpi_exchange_reductions(rpi_comm *comm, const rpi_plan *plan, const rpi_step *step) {
  char *list = plan->lists, *spare = list + step->list_room;
  int64_t bytes = 0;
  const rpi_sub *first = NULL;
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    if (!s->shared) continue;
    first = first ? first : s;
    bytes += s->kernel->list(s->kernel, &plan->words[s->word], s->space, s->origin, s->own,
                             s->own + s->own_units, list + bytes);
  }
  RPI_TRY(rpi_collect_merge(comm, list, &bytes, step->list_room, first->kernel->join, spare));
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    if (s->shared) list += s->kernel->deliver(s->kernel, &plan->words[s->word], list);
  }
  return RP_OK;
}
