/* SPDX-License-Identifier: Apache-2.0
 * core/comm/ucx_note.c -- see ucx_note.h.
 * Last words have a receive of their own: they must arrive while a note waits to be taken. */
#include "core/comm/ucx_note.h"

#include <string.h>

#include "core/base/alloc.h"

#define TAG_NOTE ((uint64_t)RPI_UCX_RANKS << 44)
#define TAG_WORDS ((uint64_t)0xFFFFF << 44)
#define TAG_MASK ((uint64_t)0xFFFFF << 44)

/* A note on its way. */
typedef struct copy {
  rpi_ucx *u;
  rpi_note note; /* as much of it as there is */
} copy;

static void came(void *request, ucs_status_t st, const ucp_tag_recv_info_t *info, void *arg) {
  rpi_ucx_ear *e = arg;
  (void)info;
  e->listening = NULL;
  if (st != UCS_OK) e->note.kind = RPI_N_NOTE; /* nobody's */
  e->u->ucp_request_free(request);
}

static void ended(void *request, ucs_status_t st, const ucp_tag_recv_info_t *info, void *arg) {
  rpi_ucx_ear *e = arg;
  (void)info;
  e->expecting = NULL;
  e->u->ucp_request_free(request);
  e->words[st == UCS_OK ? sizeof e->words - 1 : 0] = '\0';
  if (st == UCS_OK) e->gave_up(e->arg);
}

/* A receive. *request is not NULL until its callback has run: UCX may call that before it returns. */
static rp_status await(rpi_ucx_ear *e, void *data, size_t bytes, uint64_t tag,
                       ucp_tag_recv_nbx_callback_t done, void **request) {
  ucp_request_param_t param = rpi_ucx_param(UCP_OP_ATTR_FLAG_NO_IMM_CMPL, e);
  param.cb.recv = done;
  *request = e;
  ucs_status_ptr_t r = e->u->ucp_tag_recv_nbx(e->u->worker, data, bytes, tag, TAG_MASK, &param);
  if (UCS_PTR_IS_ERR(r))
    return rpi_status_fail(RP_ERR_RANKS, "UCX receives nothing: %s",
                           e->u->ucs_status_string(UCS_PTR_STATUS(r)));
  if (*request) *request = r;
  return RP_OK;
}

static rp_status await_note(rpi_ucx_ear *e) {
  return await(e, &e->note, sizeof e->note, TAG_NOTE, came, &e->listening);
}

rp_status rpi_ucx_listen(rpi_ucx_ear *e, rpi_ucx *u, void (*gave_up)(void *arg), void *arg) {
  e->u = u;
  e->gave_up = gave_up;
  e->arg = arg;
  RPI_TRY(await(e, e->words, sizeof e->words, TAG_WORDS, ended, &e->expecting));
  return await_note(e);
}

void rpi_ucx_deaf(rpi_ucx_ear *e) {
  void *const request[] = {e->listening, e->expecting};
  for (int32_t i = 0; i < RPI_COUNT(request); i++)
    if (request[i] && request[i] != e) e->u->ucp_request_cancel(e->u->worker, request[i]);
}

bool rpi_ucx_hear(rpi_ucx_ear *e, rpi_note *note) {
  if (RPI_LIKELY(e->listening != NULL)) return false;
  memcpy(note, &e->note, rpi_note_size(&e->note));
  (void)await_note(e);
  return true;
}

static void left(void *request, ucs_status_t st, void *arg) {
  copy *c = arg;
  (void)st;
  c->u->ucp_request_free(request);
  rpi_alloc_free(c);
}

bool rpi_ucx_tell(rpi_ucx *u, ucp_ep_h to, const rpi_note *note) {
  const size_t bytes = rpi_note_size(note);
  copy *c = rpi_alloc(offsetof(copy, note) + bytes);
  if (!c) return false;
  c->u = u;
  memcpy(&c->note, note, bytes);
  ucp_request_param_t param = rpi_ucx_param(0, c);
  param.cb.send = left;
  ucs_status_ptr_t r = u->ucp_tag_send_nbx(to, &c->note, bytes, TAG_NOTE, &param);
  if (!UCS_PTR_IS_PTR(r)) rpi_alloc_free(c);
  return !UCS_PTR_IS_ERR(r);
}

void rpi_ucx_give_up(rpi_ucx *u, ucp_ep_h to, const char *text) {
  const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_MEMORY_TYPE,
                                     .memory_type = UCS_MEMORY_TYPE_HOST};
  (void)u->ucp_tag_send_nbx(to, text, strlen(text) + 1, TAG_WORDS, &param);
}
