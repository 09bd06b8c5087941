/* SPDX-License-Identifier: Apache-2.0
 * core/exec/exchange.c -- see exchange.h.
 * Invariant: who sends what to whom is decided before, on both sides; nothing here depends on what arrives. */
#include "core/exec/exchange.h"

#include <string.h>

#include "core/comm/collect.h"
#include "core/exec/mosaic.h"
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

/* The same on the GPU, queued. */
static rp_status queue_packed(const rpi_plan_exchange *e, const rpi_plan_message *m,
                              const rpi_exchange_memory *at, bool pack) {
  char *stage = e->stage + m->stage;
  for (int32_t i = 0; i < m->n_run; i++) {
    const rpi_plan_run *r = &e->run[m->first_run + i];
    const CUdeviceptr there = at->addresses[m->symbol] + (CUdeviceptr)r->at;
    if (pack)
      RPI_TRY(rpi_device_pack(at->device, stage, there, r->bytes, r->count, r->step));
    else
      RPI_TRY(rpi_device_unpack(at->device, there, stage, r->bytes, r->count, r->step));
    stage += r->bytes * r->count;
  }
  return RP_OK;
}

/* ---- from GPU to GPU ---- */

/* Where block `i` of a message travels: there is one, unless blocks go by themselves. */
static CUdeviceptr there(const rpi_plan_exchange *e, const rpi_plan_message *m, int32_t i,
                         const rpi_exchange_memory *at) {
  if (m->stage >= 0) return e->there + (CUdeviceptr)m->stage;
  return at->addresses[m->symbol] + (CUdeviceptr)e->run[m->first_run + i].at;
}

/* Between where a message belongs and where it travels, on the GPU. */
static rp_status move_there(const rpi_plan_exchange *e, const rpi_plan_message *m,
                            const rpi_exchange_memory *at) {
  CUdeviceptr stage = there(e, m, 0, at);
  for (int32_t i = 0; i < m->n_run && m->stage >= 0; i++) {
    const rpi_plan_run *r = &e->run[m->first_run + i];
    const CUdeviceptr array = at->addresses[m->symbol] + (CUdeviceptr)r->at;
    const int64_t pitch = r->count > 1 ? r->step : r->bytes;
    if (m->send)
      RPI_TRY(
          rpi_device_copy_pitched(at->device, stage, r->bytes, array, pitch, r->bytes, r->count));
    else
      RPI_TRY(
          rpi_device_copy_pitched(at->device, array, pitch, stage, r->bytes, r->bytes, r->count));
    stage += (CUdeviceptr)(r->bytes * r->count);
  }
  return RP_OK;
}

static bool is_known(const rpi_plan_message *m, const uint64_t *version) {
  return version[m->symbol] != 0 && m->seen == version[m->symbol];
}

static bool is_direct(const rpi_plan_message *m, const uint64_t *version) {
  return m->direct && !is_known(m, version);
}

/* One message within a group. */
static rp_status queue_message(const rpi_plan_exchange *e, const rpi_plan_message *m,
                               const rpi_exchange_memory *at) {
  const int32_t blocks = e->apart ? m->n_run : 1;
  for (int32_t i = 0; i < blocks; i++) {
    const int64_t bytes = e->apart ? e->run[m->first_run + i].bytes : m->bytes;
    const CUdeviceptr block = there(e, m, i, at);
    RPI_TRY(m->send ? rpi_nccl_send(at->nccl, block, bytes, m->peer)
                    : rpi_nccl_receive(at->nccl, block, bytes, m->peer));
  }
  return RP_OK;
}

/* What is direct and has come is where it belongs, or on its way there. */
static rp_status unpack_direct(const rpi_plan_exchange *e, const rpi_exchange_memory *at,
                               const uint64_t *version) {
  for (int32_t i = 0; i < e->n; i++)
    if (is_direct(&e->list[i], version) && !e->list[i].send)
      RPI_TRY(move_there(e, &e->list[i], at));
  return RP_OK;
}

/* All that is direct, in one group, queued with what packs it: `beside` what the GPU's own stream gets until the end. */
static rp_status queue_direct(rpi_plan_exchange *e, const rpi_exchange_memory *at,
                              const uint64_t *version, bool beside) {
  CUstream stream;
  bool any = false;
  for (int32_t i = 0; i < e->n; i++) {
    if (!is_direct(&e->list[i], version)) continue;
    any = true;
    if (e->list[i].send) RPI_TRY(move_there(e, &e->list[i], at));
  }
  if (!any) return RP_OK;
  stream = rpi_device_stream(at->device);
  if (beside) RPI_TRY(rpi_device_aside(at->device, &stream));
  RPI_TRY(rpi_nccl_group_begin(at->nccl, stream));
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_plan_message *m = &e->list[i];
    if (is_direct(m, version)) RPI_TRY(queue_message(e, m, at));
  }
  RPI_TRY(rpi_nccl_group_end(at->nccl));
  e->aside = beside;
  return beside ? RP_OK : unpack_direct(e, at, version);
}

/* ---- by way of the host ---- */

static bool on_host(const rpi_plan_message *m) {
  return m->sides == 0 || (m->sides & RPI_AT_HOST) != 0;
}

static bool is_packed(const rpi_plan_message *m, bool host, const uint64_t *version) {
  return m->send && !m->direct && m->stage >= 0 && on_host(m) == host && !is_known(m, version);
}

static void count_all(const rpi_plan_exchange *e, const uint64_t *version,
                      rpi_exchange_count *count) {
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_plan_message *m = &e->list[i];
    if (!m->send || is_known(m, version)) continue;
    count->messages++;
    count->bytes += m->bytes;
  }
}

/* Stages are pinned memory: the GPU's part of one is there when it has packed it, and no earlier use of it is left then. */
rp_status rpi_exchange_pack(rpi_plan_exchange *e, const rpi_exchange_memory *at,
                            const uint64_t *version, bool beside, rpi_exchange_count *count) {
  bool wait = e->taken;
  e->n_post = 0;
  count_all(e, version, count);
  RPI_TRY(queue_direct(e, at, version, beside));
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_plan_message *m = &e->list[i];
    e->n_post += !m->direct && !is_known(m, version);
    if (!is_packed(m, false, version)) continue;
    RPI_TRY(queue_packed(e, m, at, true));
    wait = true;
  }
  e->marked = wait && e->n_post > 0;
  return e->marked ? rpi_device_mark(at->device, &e->mark) : RP_OK;
}

rp_status rpi_exchange_send(rpi_comm *comm, rpi_plan_exchange *e, const rpi_exchange_memory *at,
                            const uint64_t *version) {
  int32_t n = 0;
  if (e->marked) RPI_TRY(rpi_device_reach(at->device, e->mark));
  e->marked = e->taken = false;
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_plan_message *m = &e->list[i];
    if (is_packed(m, true, version)) move_packed(e, m, at->pointers[m->symbol], true);
    if (m->direct || is_known(m, version)) continue;
    char *data = m->stage >= 0 ? e->stage + m->stage
                               : (char *)at->pointers[m->symbol] + e->run[m->first_run].at;
    e->post[n++] = (rpi_message){.data = data, .bytes = m->bytes, .peer = m->peer, .send = m->send};
  }
  return n > 0 ? rpi_comm_start(comm, e->post, n) : RP_OK;
}

rp_status rpi_exchange_start(rpi_comm *comm, rpi_plan_exchange *e, const rpi_exchange_memory *at,
                             const uint64_t *version, rpi_exchange_count *count) {
  RPI_TRY(rpi_exchange_pack(e, at, version, false, count));
  return e->n_post > 0 ? rpi_exchange_send(comm, e, at, version) : RP_OK;
}

rp_status rpi_exchange_finish(rpi_comm *comm, rpi_plan_exchange *e, const rpi_exchange_memory *at,
                              const uint64_t *version) {
  if (e->n_post > 0) RPI_TRY(rpi_comm_finish(comm, e->post, e->n_post));
  e->n_post = 0;
  if (e->aside) {
    RPI_TRY(rpi_device_rejoin(at->device));
    RPI_TRY(unpack_direct(e, at, version));
  }
  e->aside = false;
  for (int32_t i = 0; i < e->n; i++) {
    rpi_plan_message *m = &e->list[i];
    if (is_known(m, version)) continue;
    m->seen = version[m->symbol];
    if (m->send || m->direct || m->stage < 0) continue;
    if (on_host(m)) move_packed(e, m, at->pointers[m->symbol], false);
    if (!(m->sides & RPI_AT_DEVICE)) continue;
    RPI_TRY(queue_packed(e, m, at, false));
    e->taken = true;
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

rp_status rpi_exchange_lists(rpi_comm *comm, const rpi_plan *plan, const rpi_step *step,
                             int64_t bytes) {
  const rpi_sub *s = &plan->sub[step->first_sub];
  while (!s->shared) s++; /* one is: they have one join */
  return rpi_collect_merge(comm, plan->lists, &bytes, step->list_room, s->kernel->join,
                           plan->lists + step->list_room);
}

rp_status rpi_exchange_reductions(rpi_comm *comm, const rpi_plan *plan, const rpi_step *step) {
  char *list = plan->lists;
  int64_t bytes = 0;
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    if (s->shared)
      bytes += s->kernel->list(s->kernel, &plan->words[s->word], s->space, s->origin, s->own,
                               s->own + s->own_units, list + bytes);
  }
  RPI_TRY(rpi_exchange_lists(comm, plan, step, bytes));
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    if (s->shared) list += s->kernel->deliver(s->kernel, &plan->words[s->word], list);
  }
  return RP_OK;
}
