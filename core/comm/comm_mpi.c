/* SPDX-License-Identifier: Apache-2.0
 * core/comm/comm_mpi.c -- the transport for sites where the launcher, or the program, speaks MPI and not PMIx.
 *
 * Lives here: finding the plug-in, what a message must match, sentences about ranks.
 * Not here:   MPI (mpi_plugin.c), waiting (comm.c), the watchdog (watch.c).
 * How:        MPI delivers the messages of an ordered pair of ranks in the order in which they were
 *             sent, so the k-th send meets the k-th receive without a number. A message's tag is a hash of the
 *             sender's stamp; receives take any tag, and what arrives is compared by tag and length. MPI
 *             cannot sleep: a rank that waits looks again after ever longer pauses.
 * Failures:   a rank that dies is the launcher's affair; one that gives up ends all through MPI_Abort. One that
 *             leaves and lives on, or stops, is found by the others' watchdogs.
 * Invariants: every message under way has a flight, which is its token in the plug-in. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/strbuf.h"
#include "core/comm/depart.h"
#include "core/comm/flight.h"
#include "core/comm/library.h"
#include "core/comm/mpi_plugin.h"
#include "core/comm/transport.h"

#define MODULE "libreprise-mpi.so"

enum { SHORTEST_NS = 1000, LONGEST_NS = 100000, LISTEN_NS = 10000000 };

typedef struct mpi_comm {
  const rpi_mpi_plugin *mpi;
  rpi_mpi_world *world;
  rpi_mpi_place here;
  rpi_flight *flights, *idle;
  int32_t flying;
  int32_t pause_ns; /* of the next sleep */
  int64_t listened; /* when notes were looked for last: that costs as much as a message */
  int32_t odd;      /* see transport.h */
  char why[RPI_MPI_PLUGIN_WHY];
} mpi_comm;

/* ---- the plug-in ---- */

/* Beside the library, or the program that it is part of; if there is none, wherever the loader looks. */
static void find_module(rpi_strbuf *path) {
  Dl_info own;
  const char *end = NULL;
  if (dladdr((void *)(uintptr_t)find_module, &own) && own.dli_fname)
    end = strrchr(own.dli_fname, '/');
  if (end) rpi_strbuf_addf(path, "%.*s", (int)(end + 1 - own.dli_fname), own.dli_fname);
  rpi_strbuf_addf(path, "%s", MODULE);
  if (!end || access(rpi_strbuf_str(path), R_OK) == 0) return;
  rpi_strbuf_clear(path);
  rpi_strbuf_addf(path, "%s", MODULE);
}

static rp_status load_from(const char *file, const rpi_mpi_plugin **out) {
  const rpi_mpi_plugin *(*table)(void);
  void *so;
  RPI_TRY(rpi_library_open(file, &so));
  RPI_TRY(rpi_library_find(so, file, RPI_MPI_PLUGIN_ENTRY, &table));
  *out = table();
  if ((*out)->version == RPI_MPI_PLUGIN_VERSION) return RP_OK;
  return rpi_status_fail(RP_ERR_RANKS,
                         "%s has version %d where this library needs %d: build it again", file,
                         (*out)->version, RPI_MPI_PLUGIN_VERSION);
}

static rp_status load(const rpi_config *config, const rpi_mpi_plugin **out) {
  rpi_strbuf path;
  if (config->mpi_plugin && config->mpi_plugin[0]) return load_from(config->mpi_plugin, out);
  rpi_strbuf_init(&path);
  find_module(&path);
  const rp_status st = load_from(rpi_strbuf_str(&path), out);
  rpi_strbuf_deinit(&path);
  return st;
}

/* ---- messages ---- */

static int32_t make_tag(const mpi_comm *c, uint64_t stamp) {
  const uint64_t hash = stamp * 0x9E3779B97F4A7C15u >> 40;
  return (int32_t)(hash % ((uint64_t)c->here.tag_max + 1));
}

static rp_status start(void *self, rpi_message *m, uint64_t stamp) {
  mpi_comm *c = self;
  rpi_assert(m->bytes > 0 && m->peer >= 0 && m->peer < c->here.size);
  rpi_flight *f = c->idle;
  if (f)
    rpi_flight_take(f);
  else if (!(f = rpi_alloc(sizeof *f)))
    return rpi_status_nomem("a message");
  const int32_t tag = make_tag(c, stamp);
  *f = (rpi_flight){.m = m, .tag = (uint64_t)tag};
  if (!c->mpi->start(c->world, m->send, m->data, m->bytes, m->peer, tag, f, c->why)) {
    rpi_flight_put(&c->idle, f);
    return rpi_status_fail(RP_ERR_RANKS, "rank %d of %d, %s rank %d: %s", c->here.rank,
                           c->here.size, m->send ? "sending to" : "receiving from", m->peer,
                           c->why);
  }
  rpi_flight_put(&c->flights, f);
  c->flying++;
  return RP_OK;
}

static rp_status compare(mpi_comm *c, const rpi_flight *f, const rpi_mpi_end *e) {
  const rpi_message *m = f->m;
  /* Not every MPI tells how much more came than there was room for. */
  const bool more = e->how == RPI_MPI_END_SHORT && e->bytes <= m->bytes;
  if (e->how == RPI_MPI_END_BADLY)
    return rpi_status_fail(RP_ERR_RANKS, "rank %d is gone (rank %d of %d found: %s)", m->peer,
                           c->here.rank, c->here.size, c->why);
  if (m->send) return RP_OK;
  if (!more && e->bytes == m->bytes && (uint64_t)e->tag == f->tag) return RP_OK;
  c->odd = m->peer;
  if (more || e->bytes != m->bytes)
    return rpi_status_fail(
        RP_ERR_RANKS,
        "rank %d sends %s%lld bytes where rank %d expects %lld: the ranks run different programs",
        m->peer, more ? "more than " : "", (long long)(more ? m->bytes : e->bytes), c->here.rank,
        (long long)m->bytes);
  return rpi_status_fail(RP_ERR_RANKS, "rank %d has run another program than rank %d", m->peer,
                         c->here.rank);
}

/* The first failure stays. */
static rp_status land(mpi_comm *c, const rpi_mpi_end *e, rp_status before) {
  rpi_flight *f = e->token;
  const rp_status st = before == RP_OK ? compare(c, f, e) : before;
  f->m->done = st == RP_OK;
  rpi_flight_take(f);
  rpi_flight_put(&c->idle, f);
  c->flying--;
  return st;
}

/* Looks at every message once. */
static rpi_progress progress(void *self) {
  mpi_comm *c = self;
  rpi_mpi_end end[RPI_MPI_PLUGIN_BATCH];
  rpi_progress moved = RPI_PROGRESS_NONE;
  for (int32_t left = c->flying; left > 0; left -= RPI_MPI_PLUGIN_BATCH) {
    const int32_t n = c->mpi->poll(c->world, end, c->why);
    rp_status st = RP_OK;
    if (n < 0)
      st = rpi_status_fail(RP_ERR_RANKS, "rank %d of %d: %s", c->here.rank, c->here.size, c->why);
    for (int32_t i = 0; i < n; i++) st = land(c, &end[i], st);
    if (st != RP_OK) {
      c->mpi->cancel(c->world); /* the memory belongs to the caller again */
      return RPI_PROGRESS_FAILED;
    }
    if (n > 0) moved = RPI_PROGRESS_SOME;
  }
  if (moved == RPI_PROGRESS_SOME) c->pause_ns = SHORTEST_NS;
  return moved;
}

static void doze(void *self, int32_t ms) {
  mpi_comm *c = self;
  const struct timespec t = {.tv_nsec = c->pause_ns};
  (void)ms;
  nanosleep(&t, NULL);
  c->pause_ns = c->pause_ns < LONGEST_NS / 2 ? 2 * c->pause_ns : LONGEST_NS;
}

/* On a crowded machine who spins keeps the rank it waits for from running. */
static int64_t spin(const void *self) {
  const mpi_comm *c = self;
  return c->here.local > sysconf(_SC_NPROCESSORS_ONLN) ? 20 : INT64_MAX;
}

/* ---- notes ---- */

static bool tell(void *self, int32_t peer, const rpi_note *note) {
  const mpi_comm *c = self;
  _Static_assert(sizeof *note <= RPI_MPI_PLUGIN_NOTE, "a note's room");
  return c->mpi->tell(c->world, peer, note, (int32_t)rpi_note_size(note));
}

static rpi_progress hear(void *self, rpi_note *note) {
  mpi_comm *c = self;
  const int64_t now = rpi_clock_ns();
  if (RPI_LIKELY(now - c->listened < LISTEN_NS)) return RPI_PROGRESS_NONE;
  const int32_t bytes = c->mpi->hear(c->world, note, sizeof *note);
  if (bytes == 0) c->listened = now;
  return bytes > 0 ? RPI_PROGRESS_SOME : RPI_PROGRESS_NONE;
}

static int32_t odd(const void *self) { return ((const mpi_comm *)self)->odd; }

static int32_t seat(const void *self) { return ((const mpi_comm *)self)->here.seat; }

static void where(void *self, int32_t rank, char *text, size_t size) {
  const mpi_comm *c = self;
  const char *name = c->mpi->where(c->world, rank);
  snprintf(text, size, "%s", name ? name : "");
}

/* ---- opening and leaving ---- */

static void close_comm(void *self, bool orderly) {
  mpi_comm *c = self;
  c->mpi->close(c->world, orderly);
  rpi_flight_free_list(c->flights);
  rpi_flight_free_list(c->idle);
  rpi_alloc_free(c);
}

static rp_status open_comm(const rpi_config *config, void **self, int32_t *rank, int32_t *size) {
  const rpi_mpi_plugin *mpi;
  *self = NULL;
  *rank = 0;
  *size = 1;
  RPI_TRY(load(config, &mpi));
  mpi_comm *c = rpi_alloc_zero(sizeof *c);
  if (!c) return rpi_status_nomem("the comm");
  c->mpi = mpi;
  c->odd = -1;
  c->pause_ns = SHORTEST_NS;
  c->world = mpi->open((double)config->watchdog, &c->here, c->why);
  if (!c->world) {
    rpi_status_fail(RP_ERR_RANKS, "%s", c->why);
    rpi_alloc_free(c);
    return RP_ERR_RANKS;
  }
  if (c->here.size == 1) {
    close_comm(c, true);
    return RP_OK;
  }
  *self = c;
  *rank = c->here.rank;
  *size = c->here.size;
  return RP_OK;
}

static void give_up(void *self, const char *why) {
  const mpi_comm *c = self;
  rpi_depart_say(c->here.rank, c->here.size, why);
  rpi_depart_linger();
  c->mpi->abort(c->world, RPI_DEPART_STATUS);
  _exit(RPI_DEPART_STATUS);
}

const rpi_transport rpi_transport_mpi = {
    .name = "mpi",
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
