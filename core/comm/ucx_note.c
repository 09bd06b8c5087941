/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_note.c -- see ucx_note.h. */
#include "core/comm/ucx_note.h"

#include "core/base/alloc.h"

#define TAG ((uint64_t)RPI_UCX_ASIDE << 44)
#define TAG_MASK ((uint64_t)0xFFFFF << 44)

/* A note on its way. */
typedef struct copy {
  rpi_ucx *u;
  rpi_note note;
} copy;

static void came(void *request, ucs_status_t st, const ucp_tag_recv_info_t *info, void *arg) {
  rpi_ucx_ear *e = arg;
  (void)info;
  e->listening = NULL;
  if (st != UCS_OK) e->note = (rpi_note){0};
  e->u->ucp_request_free(request);
}

rp_status rpi_ucx_listen(rpi_ucx_ear *e, rpi_ucx *u) {
  ucp_request_param_t param = rpi_ucx_param(UCP_OP_ATTR_FLAG_NO_IMM_CMPL, e);
  param.cb.recv = came;
  e->u = u;
  e->listening = e; /* until the request is known: UCX may call back before it returns */
  ucs_status_ptr_t r =
      u->ucp_tag_recv_nbx(u->worker, &e->note, sizeof e->note, TAG, TAG_MASK, &param);
  if (UCS_PTR_IS_ERR(r))
    return rpi_status_fail(RP_ERR_RANKS, "UCX receives nothing: %s",
                           u->ucs_status_string(UCS_PTR_STATUS(r)));
  if (e->listening) e->listening = r;
  return RP_OK;
}

void rpi_ucx_deaf(rpi_ucx_ear *e) {
  if (e->listening && e->listening != e) e->u->ucp_request_cancel(e->u->worker, e->listening);
}

bool rpi_ucx_hear(rpi_ucx_ear *e, rpi_note *note) {
  if (RPI_LIKELY(e->listening != NULL)) return false;
  *note = e->note;
  (void)rpi_ucx_listen(e, e->u);
  return true;
}

static void left(void *request, ucs_status_t st, void *arg) {
  copy *c = arg;
  (void)st;
  c->u->ucp_request_free(request);
  rpi_alloc_free(c);
}

bool rpi_ucx_tell(rpi_ucx *u, ucp_ep_h to, const rpi_note *note) {
  copy *c = rpi_alloc(sizeof *c);
  if (!c) return false;
  *c = (copy){u, *note};
  ucp_request_param_t param = rpi_ucx_param(0, c);
  param.cb.send = left;
  ucs_status_ptr_t r = u->ucp_tag_send_nbx(to, &c->note, sizeof c->note, TAG, &param);
  if (!UCS_PTR_IS_PTR(r)) rpi_alloc_free(c);
  return !UCS_PTR_IS_ERR(r);
}
