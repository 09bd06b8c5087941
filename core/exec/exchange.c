/* SPDX-License-Identifier: Apache-2.0
 * core/exec/exchange.c -- see exchange.h.
 * Invariant: what is sent and received was decided with the plan; nothing here depends on what arrives. */
#include "core/exec/exchange.h"

#include "core/comm/collect.h"

rp_status rpi_exchange_messages(rpi_comm *comm, const rpi_step *step, void *const *pointers) {
  const rpi_plan_exchange *e = step->exchange;
  for (int32_t i = 0; i < e->n; i++) {
    const rpi_plan_message *m = &e->list[i];
    e->post[i] = (rpi_message){.data = (char *)pointers[m->symbol] + m->at,
                               .bytes = m->bytes,
                               .peer = m->peer,
                               .send = m->send};
  }
  RPI_TRY(rpi_comm_start(comm, e->post, e->n));
  return rpi_comm_finish(comm, e->post, e->n);
}

typedef struct parts {
  const rpi_cuts *cuts;
  int32_t elem;
} parts;

static int64_t bound(const void *arg, int32_t rank) {
  const parts *p = arg;
  return rpi_cuts_at(p->cuts, rank) * p->elem;
}

rp_status rpi_exchange_gather(rpi_comm *comm, const rpi_cuts *cuts, int32_t elem, void *data) {
  const parts p = {cuts, elem};
  return rpi_collect_gather(comm, data, bound, &p);
}

rp_status rpi_exchange_reductions(rpi_comm *comm, const rpi_plan *plan, const rpi_step *step) {
  char *list = plan->lists, *spare = list + step->list_room;
  int64_t bytes = 0;
  const rpi_sub *first = NULL;
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    if (!s->shared) continue;
    first = first ? first : s;
    bytes += s->kernel->list(s->kernel, &plan->words[s->word], s->first, s->first + s->units,
                             list + bytes);
  }
  RPI_TRY(rpi_collect_merge(comm, list, &bytes, step->list_room, first->kernel->join, spare));
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    if (s->shared) list += s->kernel->deliver(s->kernel, &plan->words[s->word], list);
  }
  return RP_OK;
}
