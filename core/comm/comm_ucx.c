/* SPDX-License-Identifier: Apache-2.0
 * core/comm/comm_ucx.c -- the transport between processes: tagged messages of UCX among the ranks that PMIx
 * knows.
 *
 * Lives here: messages, what goes wrong with them, the first cause of a failure, leaving.
 * Not here:   UCX's objects (ucx_worker.c), notes and last words (ucx_note.c), addresses (ucx_book.c), the launcher
 *             (boot_pmix.c), waiting (comm.c).
 * How:        a message's tag is the sender's rank (20 bits), its number among the messages of this ordered pair
 *             (20), and a hash of the sender's stamp (24). A receive asks for rank and number only; what
 *             arrives is compared by stamp and length, so that a rank which has run something else is
 *             told from one that is late. What is known of a peer, its endpoint too, is made when the first
 *             message to or from it begins: a rank knows its neighbours, not all. Messages to oneself are a
 *             queue.
 * Failures:   a rank that gives up tells those it has endpoints to, with a message whose tag has a rank that
 *             nobody has. A lost peer is reported only after a grace: it may have left because of a third
 *             one, and its message, which names the cause, be under way. PEER mode of UCX promises an end
 *             of sends only: receives are cancelled here.
 * Invariants: every message under way has a flight, and only flights are known to UCX; after a failure
 *             flights forget their messages, whose memory belongs to the caller again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/map.h"
#include "core/comm/depart.h"
#include "core/comm/flight.h"
#include "core/comm/transport.h"
#include "core/comm/ucx_book.h"
#include "core/comm/ucx_note.h"
#include "core/comm/ucx_worker.h"

enum {
  GRACE_MS = 200,  /* how long a lost peer may have had a reason that is still under way */
  NOTICE_MS = 200, /* how long a rank that gives up tries to say so */
  MOVING = 100,    /* turns in a second in which something moved: more than probes of idle peers */
};

typedef struct rpi_peer {
  struct ucx_comm *comm;
  ucp_ep_h ep; /* NULL: this rank itself */
  uint64_t sent, received;
  int32_t rank;
  rpi_ucx_card card;
} peer;

typedef struct ucx_comm {
  rpi_boot *boot;
  rpi_ucx u;
  rpi_ucx_book book;
  int32_t rank, size;
  bool crowded;  /* fewer cores than ranks on this machine */
  bool leaving;  /* lost peers are expected */
  bool landed;   /* a message was finished since the last look */
  int32_t odd;   /* see transport.h */
  rpi_map peers; /* by rank */
  rpi_flight *flights, *idle;
  rpi_flight *own; /* to and from oneself, without counterpart: the oldest first */
  int64_t window, moves;
  char why[RPI_UCX_WORDS]; /* the failure; empty: none */
  int64_t report_at;       /* when it is to be reported, in nanoseconds; 0: none */
  rpi_ucx_ear ear;
} ucx_comm;

/* ---- failures ---- */

/* The first failure stays. */
static void RPI_PRINTF(3, 4) blame(ucx_comm *c, int64_t grace_ms, const char *fmt, ...) {
  if (c->report_at || c->leaving) return;
  va_list args;
  va_start(args, fmt);
  vsnprintf(c->why, sizeof c->why, fmt, args);
  va_end(args);
  c->report_at = rpi_clock_ns() + grace_ms * 1000000;
}

static void blame_lost(ucx_comm *c, const peer *p, ucs_status_t st) {
  blame(c, GRACE_MS, "rank %d is gone (rank %d of %d found: %s)", p->rank, c->rank, c->size,
        c->u.ucs_status_string(st));
}

static void ended(void *arg, ucp_ep_h ep, ucs_status_t st) {
  const peer *p = arg;
  (void)ep;
  blame_lost(p->comm, p, st);
}

/* Another rank has. */
static void gave_up(void *arg) {
  ucx_comm *c = arg;
  if (c->leaving) return;
  c->report_at = 0; /* it knows better than we */
  blame(c, 0, "%s", rpi_ucx_last_words(&c->ear));
}

/* ---- peers ---- */

static rp_status connect_to(ucx_comm *c, peer *p) {
  rpi_ucx_card *theirs = NULL;
  RPI_TRY(rpi_ucx_book_get(&c->book, p->rank, &theirs));
  p->card = *theirs;
  const rp_status st = rpi_ucx_connect(&c->u, theirs + 1, ended, p, &p->ep);
  rpi_alloc_free(theirs);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "from rank %d to rank %d", c->rank, p->rank);
}

static rp_status make_peer(ucx_comm *c, int32_t rank, peer **out) {
  peer *p = rpi_alloc_zero(sizeof *p);
  if (!p) return rpi_status_nomem("a peer");
  p->comm = c;
  p->rank = rank;
  /* Also who only receives from it needs an endpoint: without one nothing tells that it is gone. */
  const rp_status st = rank == c->rank ? RP_OK : connect_to(c, p);
  if (st == RP_OK && rpi_map_add(&c->peers, (uint64_t)rank, p)) {
    *out = p;
    return RP_OK;
  }
  /* An endpoint that was made stays, and its errors go to p: p stays with it. */
  if (!p->ep) rpi_alloc_free(p);
  return st == RP_OK ? rpi_status_nomem("a peer") : st;
}

static rp_status find_peer(ucx_comm *c, int32_t rank, peer **out) {
  int32_t it = -1;
  rpi_assert(rank >= 0 && rank < c->size);
  *out = rpi_map_next(&c->peers, (uint64_t)rank, &it);
  return *out ? RP_OK : make_peer(c, rank, out);
}

/* ---- flights ---- */

static rpi_flight *take_off(ucx_comm *c, rpi_message *m, peer *p, uint64_t tag) {
  rpi_flight *f = c->idle;
  if (f)
    rpi_flight_take(f);
  else if (!(f = rpi_alloc(sizeof *f)))
    return NULL;
  *f = (rpi_flight){.m = m, .peer = p, .tag = tag};
  return f;
}

static void land(ucx_comm *c, rpi_flight *f, bool done) {
  if (done && f->m) {
    f->m->done = true;
    c->landed = true;
  }
  f->m = NULL;
  f->request = NULL;
  rpi_flight_take(f);
  rpi_flight_put(&c->idle, f);
}

/* Flights forget their messages. */
static void abandon(ucx_comm *c) {
  for (rpi_flight *f = c->flights, *next; f; f = next) {
    next = f->next;
    const bool receives = f->m && !f->m->send;
    f->m = NULL;
    if (receives && f->request) c->u.ucp_request_cancel(c->u.worker, f->request);
  }
  while (c->own) land(c, c->own, false);
}

/* ---- messages ---- */

static uint64_t make_tag(int32_t from, uint64_t number, uint64_t stamp) {
  return (uint64_t)from << 44 | (number & 0xFFFFF) << 24 | stamp * 0x9E3779B97F4A7C15u >> 40;
}

/* What was sent is what is expected; else the blame is laid. */
static bool is_right(ucx_comm *c, const rpi_flight *f, uint64_t tag, uint64_t bytes) {
  if (bytes == (uint64_t)f->m->bytes && tag == f->tag) return true;
  if (!c->report_at && !c->leaving) c->odd = f->peer->rank;
  if (bytes != (uint64_t)f->m->bytes)
    blame(c, 0,
          "rank %d sends %llu bytes where rank %d expects %lld: the ranks run different programs",
          f->peer->rank, (unsigned long long)bytes, c->rank, (long long)f->m->bytes);
  else
    blame(c, 0, "rank %d has run another program than rank %d", f->peer->rank, c->rank);
  return false;
}

static void sent(void *request, ucs_status_t st, void *arg) {
  rpi_flight *f = arg;
  ucx_comm *c = f->peer->comm;
  if (st != UCS_OK && f->m) blame_lost(c, f->peer, st);
  land(c, f, st == UCS_OK);
  c->u.ucp_request_free(request);
}

static void received(void *request, ucs_status_t st, const ucp_tag_recv_info_t *info, void *arg) {
  rpi_flight *f = arg;
  ucx_comm *c = f->peer->comm;
  bool right = false;
  if (f->m && (st == UCS_OK || st == UCS_ERR_MESSAGE_TRUNCATED))
    right = is_right(c, f, info->sender_tag, info->length);
  else if (f->m)
    blame_lost(c, f->peer, st);
  land(c, f, right);
  c->u.ucp_request_free(request);
}

/* UCX may call back before it returns: then the flight has landed, and `r` is no longer ours. */
static void started(ucx_comm *c, rpi_flight *f, ucs_status_ptr_t r) {
  if (UCS_PTR_IS_ERR(r)) {
    blame_lost(c, f->peer, UCS_PTR_STATUS(r));
    land(c, f, false);
  } else if (!r) {
    land(c, f, true);
  } else if (f->m) {
    f->request = r;
  }
}

static void begin_send(ucx_comm *c, rpi_flight *f) {
  ucp_request_param_t param = rpi_ucx_param(0, f);
  param.cb.send = sent;
  rpi_flight_put(&c->flights, f);
  started(c, f,
          c->u.ucp_tag_send_nbx(f->peer->ep, f->m->data, (size_t)f->m->bytes, f->tag, &param));
}

static void begin_receive(ucx_comm *c, rpi_flight *f) {
  ucp_request_param_t param = rpi_ucx_param(UCP_OP_ATTR_FLAG_NO_IMM_CMPL, f);
  param.cb.recv = received;
  rpi_flight_put(&c->flights, f);
  started(c, f,
          c->u.ucp_tag_recv_nbx(c->u.worker, f->m->data, (size_t)f->m->bytes, f->tag,
                                ~(uint64_t)0xFFFFFF, &param));
}

/* A message of this rank to itself: what waits is either all sends or all receives. */
static void begin_own(ucx_comm *c, rpi_flight *f) {
  rpi_flight *other = c->own, **end = &c->own;
  if (!other || other->m->send == f->m->send) {
    while (*end) end = &(*end)->next;
    rpi_flight_put(end, f);
    return;
  }
  rpi_flight *from = f->m->send ? f : other, *to = f->m->send ? other : f;
  const bool right = is_right(c, to, from->tag, (uint64_t)from->m->bytes);
  if (right) memcpy(to->m->data, from->m->data, (size_t)from->m->bytes);
  rpi_flight_put(&c->flights, f);
  land(c, f, right);
  land(c, other, right);
}

static rp_status start(void *self, rpi_message *m, uint64_t stamp) {
  ucx_comm *c = self;
  peer *p;
  RPI_TRY(find_peer(c, m->peer, &p));
  const uint64_t number = m->send ? p->sent++ : p->received++;
  rpi_flight *f = take_off(c, m, p, make_tag(m->send ? c->rank : p->rank, number, stamp));
  if (!f) return rpi_status_nomem("a message");
  if (!p->ep)
    begin_own(c, f);
  else if (m->send)
    begin_send(c, f);
  else
    begin_receive(c, f);
  return RP_OK;
}

/* ---- notes ---- */

static bool tell(void *self, int32_t rank, const rpi_note *note) {
  ucx_comm *c = self;
  peer *p;
  return find_peer(c, rank, &p) == RP_OK && p->ep && rpi_ucx_tell(&c->u, p->ep, note);
}

static rpi_progress hear(void *self, rpi_note *note) {
  ucx_comm *c = self;
  if (RPI_UNLIKELY(c->report_at != 0)) c->u.ucp_worker_progress(c->u.worker);
  const char *words = rpi_ucx_last_words(&c->ear);
  if (RPI_UNLIKELY(words[0])) {
    rpi_status_fail(RP_ERR_RANKS, "%s", words);
    return RPI_PROGRESS_FAILED;
  }
  return rpi_ucx_hear(&c->ear, note) ? RPI_PROGRESS_SOME : RPI_PROGRESS_NONE;
}

static int32_t odd(const void *self) { return ((const ucx_comm *)self)->odd; }

static int32_t seat(const void *self) { return rpi_boot_seat(((const ucx_comm *)self)->boot); }

static void where(void *self, int32_t rank, char *text, size_t size) {
  ucx_comm *c = self;
  peer *p;
  if (find_peer(c, rank, &p) == RP_OK && p->ep)
    snprintf(text, size, "%s, process %d", p->card.host, p->card.pid);
}

/* ---- progress ---- */

/* Probes of idle peers move too, now and then: only traffic that goes on is progress. */
static rpi_progress is_moving(ucx_comm *c) {
  const int64_t now = rpi_clock_ns();
  if (now - c->window > 1000000000) {
    c->window = now;
    c->moves = 0;
  }
  return ++c->moves >= MOVING ? RPI_PROGRESS_SOME : RPI_PROGRESS_NONE;
}

static rpi_progress progress(void *self) {
  ucx_comm *c = self;
  const unsigned moved = c->u.ucp_worker_progress(c->u.worker);
  if (RPI_UNLIKELY(c->report_at && rpi_clock_ns() >= c->report_at)) {
    abandon(c);
    rpi_status_fail(RP_ERR_RANKS, "%s", c->why);
    return RPI_PROGRESS_FAILED;
  }
  if (c->landed) {
    c->landed = false;
    return RPI_PROGRESS_SOME;
  }
  return moved ? is_moving(c) : RPI_PROGRESS_NONE;
}

/* Who spins on a crowded machine keeps the rank it waits for from running: 8 bytes then take milliseconds,
 * with a sleep after few turns 25 to 50 us. */
static int64_t spin(const void *self) {
  const ucx_comm *c = self;
  return c->crowded ? 20 : INT64_MAX;
}

static void doze(void *self, int32_t ms) {
  ucx_comm *c = self;
  rpi_ucx_sleep(&c->u, c->report_at && ms > 10 ? 10 : ms);
}

/* ---- opening ---- */

static void close_comm(void *self, bool orderly);

static rp_status open_comm(const rpi_config *config, void **self, int32_t *rank, int32_t *size) {
  rpi_boot *boot;
  *self = NULL;
  *rank = 0;
  *size = 1;
  RPI_TRY(rpi_boot_open(&boot));
  if (!boot) return RP_OK;
  if (rpi_boot_size(boot) > RPI_UCX_RANKS)
    return rpi_status_fail(RP_ERR_RANKS, "%d ranks: at most %d can be told apart",
                           rpi_boot_size(boot), RPI_UCX_RANKS);
  ucx_comm *c = rpi_alloc_zero(sizeof *c);
  if (!c) return rpi_status_nomem("the comm");
  c->boot = boot;
  c->odd = -1;
  c->rank = rpi_boot_rank(boot);
  c->size = rpi_boot_size(boot);
  c->book = (rpi_ucx_book){boot, &c->u, c->rank, c->size, (int32_t)config->watchdog, ""};
  c->crowded = rpi_boot_local(boot) > sysconf(_SC_NPROCESSORS_ONLN);
  rp_status st = rpi_ucx_open(&c->u, c->size, rpi_boot_local(boot));
  if (st != RP_OK) {
    rpi_alloc_free(
        c); /* the launcher's connection stays: it ends the others when this process ends */
    return st;
  }
  st = rpi_ucx_book_publish(&c->book, config->collect);
  if (st == RP_OK) st = rpi_ucx_listen(&c->ear, &c->u, gave_up, c);
  if (st != RP_OK) {
    close_comm(c, false);
    return st;
  }
  *self = c;
  *rank = c->rank;
  *size = c->size;
  return RP_OK;
}

/* ---- leaving ---- */

/* Tells those who may wait for us; who gives up because of another passes on that one's reason. */
static void notify(ucx_comm *c, const char *why) {
  static char text[RPI_UCX_WORDS]; /* stays in place while it travels */
  const char *words = rpi_ucx_last_words(&c->ear);
  if (words[0])
    snprintf(text, sizeof text, "%s", words);
  else
    snprintf(text, sizeof text, "rank %d of %d gave up: %s", c->rank, c->size,
             rpi_depart_words(c->rank, c->size, why));
  for (int32_t i = 0; i < c->peers.cap; i++) {
    const peer *p = c->peers.slots[i].value;
    if (p && p->ep) rpi_ucx_give_up(&c->u, p->ep, text);
  }
  rpi_ucx_flush(&c->u, NOTICE_MS);
}

static void give_up(void *self, const char *why) {
  ucx_comm *c = self;
  c->leaving = true;
  rpi_depart_say(c->rank, c->size, why);
  notify(c, why);
  rpi_boot_abort(c->boot, RPI_DEPART_STATUS, why);
  _exit(RPI_DEPART_STATUS);
}

/* At once, without asking the other side. */
static void close_endpoints(ucx_comm *c) {
  const ucp_request_param_t param = {.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS,
                                     .flags = UCP_EP_CLOSE_FLAG_FORCE};
  for (int32_t i = 0; i < c->peers.cap; i++) {
    peer *p = c->peers.slots[i].value;
    if (!p) continue;
    ucs_status_ptr_t r = p->ep ? c->u.ucp_ep_close_nbx(p->ep, &param) : NULL;
    if (UCS_PTR_IS_PTR(r)) c->u.ucp_request_free(r);
    p->ep = NULL;
  }
  for (int32_t turn = 0; turn < 1000; turn++) c->u.ucp_worker_progress(c->u.worker);
}

static void destroy(ucx_comm *c) {
  for (int32_t i = 0; i < c->peers.cap; i++) rpi_alloc_free(c->peers.slots[i].value);
  rpi_map_deinit(&c->peers);
  rpi_flight_free_list(c->flights);
  rpi_flight_free_list(c->idle);
  rpi_alloc_free(c);
}

static void close_ucx(void *arg) {
  ucx_comm *c = arg;
  rpi_ucx_close(&c->u);
}

static void close_comm(void *self, bool orderly) {
  ucx_comm *c = self;
  c->leaving = true; /* others may leave from the fence on */
  if (orderly)
    orderly = rpi_ucx_flush(&c->u, c->book.patience * 1000) &&
              rpi_ucx_book_meet(&c->book, false) == RP_OK;
  if (!orderly) notify(c, c->why[0] ? c->why : "it left before the others");
  rpi_ucx_deaf(&c->ear);
  abandon(c);
  close_endpoints(c);
  /* A failed rank stays a client of PMIx, so that the launcher sees its end as one of the job. Its UCX
   * never moves again: what it still knows of us it does not touch. */
  if (orderly) {
    rpi_boot_close(c->boot);
    if (!rpi_depart(close_ucx, c)) {
      fprintf(stderr, "reprise: rank %d of %d: UCX does not end; it is left behind\n", c->rank,
              c->size);
      return;
    }
  }
  destroy(c);
}

const rpi_transport rpi_transport_ucx = {
    .name = "ucx",
    .open = open_comm,
    .start = start,
    .progress = progress,
    .sleep = doze,
    .spin = spin,
    .tell = tell,
    .hear = hear,
    .odd = odd,
    .seat = seat,
    .where = where,
    .abort = give_up,
    .close = close_comm,
};
