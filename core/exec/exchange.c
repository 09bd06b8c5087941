/* SPDX-License-Identifier: Apache-2.0
 * core/exec/exchange.c -- see exchange.h.
 * Invariant: who sends what to whom is decided before, on both sides; nothing here depends on what arrives. */
#include "core/exec/exchange.h"

#include <string.h>

#include "core/comm/collect.h"
#include "core/exec/mosaic.h"

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

typedef struct line {
  const rpi_cuts *cuts;
  int32_t elem;
} line;

static int64_t bound(const void *arg, int32_t rank) {
  const line *l = arg;
  return rpi_cuts_at(l->cuts, rank) * l->elem;
}

static int64_t tile_begin(const void *arg, int32_t k, int32_t at) {
  return rpi_cuts_at(&((const rpi_tiling *)arg)->axis[k], at);
}

rp_status rpi_exchange_gather(rpi_comm *comm, const rpi_tiling *tiling, int32_t elem,
                              const void *from, void *to) {
  if (rpi_tiling_is_line(tiling)) {
    const line l = {&tiling->axis[0], elem};
    const int32_t rank = rpi_comm_rank(comm);
    const int64_t lo = bound(&l, rank), hi = bound(&l, rank + 1);
    if (to != from) memcpy((char *)to + lo, (const char *)from + lo, (size_t)(hi - lo));
    return rpi_collect_gather(comm, to, bound, &l);
  }
  rpi_mosaic m = {.n = tiling->ndim, .begin = tile_begin, .arg = tiling};
  rpi_geom all;
  for (int32_t d = 0; d < m.n; d++) {
    m.ranks[d] = (int32_t)tiling->axis[d].ranks;
    m.axis[d] = d;
    m.extent[d] = tiling->axis[d].n;
  }
  rpi_geom_dense(m.n, m.extent, &all);
  return rpi_mosaic_gather(comm, &m, elem, &all, from, &all, to);
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
