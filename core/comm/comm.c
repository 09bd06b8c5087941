/* SPDX-License-Identifier: Apache-2.0
 * core/comm/comm.c -- see comm.h.
 * Lives here: choosing a transport, waiting, the first failure. Not here: the watchdog (watch.c), where ranks part
 *             (dispute.c).
 * How:        a wait polls for a bounded number of turns and then sleeps in the transport. The watchdog looks only
 *             while nothing moves at all. After a failure nothing is tried again. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/comm/comm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/comm/depart.h"
#include "core/comm/dispute.h"
#include "core/comm/transport.h"
#include "core/comm/watch.h"

enum { SLEEP_MS = 100 };

struct rpi_comm {
  const rpi_transport *t;
  void *self;
  int32_t rank, size;
  uint64_t stamp;
  int64_t spin;
  char *failure; /* the first one's sentence */
  rpi_notes notes;
  rpi_watch watch;
  rpi_dispute dispute;
  void *scratch;
  int32_t cap_scratch; /* in units of 16 bytes */
};

/* ---- nobody ---- */

static rp_status dry_start(void *self, rpi_message *m, uint64_t stamp) {
  (void)self, (void)stamp;
  m->done = true;
  return RP_OK;
}
static rpi_progress dry_progress(void *self) {
  (void)self;
  return RPI_PROGRESS_NONE;
}
static void dry_sleep(void *self, int32_t ms) { (void)self, (void)ms; }
static void dry_abort(void *self, const char *why) { (void)self, (void)why; }
static void dry_close(void *self, bool orderly) { (void)self, (void)orderly; }

static const rpi_transport dry = {.name = "none",
                                  .start = dry_start,
                                  .progress = dry_progress,
                                  .sleep = dry_sleep,
                                  .abort = dry_abort,
                                  .close = dry_close};

static rp_status open_dry(const char *text, rpi_comm **out) {
  char *slash, *end;
  const long rank = strtol(text, &slash, 10),
             size = *slash == '/' ? strtol(slash + 1, &end, 10) : 0;
  if (size < 1 || *end || rank < 0 || rank >= size || size > INT32_MAX)
    return rpi_status_fail(RP_ERR_CONFIG,
                           "knob dryrun: \"%s\" is not RANK/SIZE with 0 <= RANK < SIZE", text);
  rpi_comm *c = rpi_alloc_zero(sizeof *c);
  if (!c) return rpi_status_nomem("the comm");
  c->t = &dry;
  c->rank = (int32_t)rank;
  c->size = (int32_t)size;
  *out = c;
  return RP_OK;
}

/* ---- opening ---- */

enum { AUTO, NONE, THREADS, UCX, MPI }; /* the knob's choices */

/* What launchers say they started; 1 if none speaks. */
static long launched(const char **who) {
  static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS",
                                      "FLUX_JOB_SIZE"};
  for (int32_t i = 0; i < RPI_COUNT(names); i++) {
    const char *text = getenv(names[i]);
    const long n = text ? strtol(text, NULL, 10) : 1;
    /* A shell inside a Slurm allocation sees its variables too: only a step has a number. */
    if (n > 1 && (i != 2 || getenv("SLURM_PROCID"))) {
      *who = names[i];
      return n;
    }
  }
  return 1;
}

/* The transports of this build. */
static const rpi_transport *transport_of(int32_t choice) {
  switch (choice) {
    case THREADS: return &rpi_transport_threads;
#ifdef RPI_HAVE_UCX
    case UCX: return &rpi_transport_ucx;
#endif
    case MPI: return &rpi_transport_mpi;
    default: return NULL;
  }
}

static rp_status choose(const rpi_config *config, const rpi_transport **out) {
  const char *who;
  int32_t choice = config->transport;
  *out = NULL;
  if (choice == AUTO && launched(&who) > 1) choice = transport_of(UCX) ? UCX : MPI;
  if (choice == NONE || choice == AUTO) return RP_OK;
  *out = transport_of(choice);
  if (*out) return RP_OK;
  return rpi_status_fail(RP_ERR_RANKS, "transport ucx: this build of the library has none");
}

/* A launcher that speaks to its processes (PMI-1, PMI-2, PMIx) gives them variables of that name; and mpirun tells its
 * size in one of its own. Where none is there an MPI is better not asked: Open MPI ends a process that it finds to be
 * started by Slurm alone, with words that help nobody. */
static bool speaks(const char *who) {
  for (char *const *v = environ; *v; v++)
    if (strncmp(*v, "PMI", 3) == 0) return true;
  return strncmp(who, "OMPI", 4) == 0;
}

/* Opens the transport. A launcher that does not speak PMIx may speak what MPI understands. */
static rp_status find_others(const rpi_config *config, rpi_comm *c) {
  const char *who = NULL;
  const bool is_auto = config->transport == AUTO;
  const long n = c->t == &rpi_transport_threads ? 1 : launched(&who);
  rp_status st = c->t->open(config, &c->self, &c->rank, &c->size);
  if (is_auto && st == RP_OK && c->size == 1 && c->t != &rpi_transport_mpi && speaks(who)) {
    c->t = &rpi_transport_mpi;
    st = c->t->open(config, &c->self, &c->rank, &c->size);
  }
  if (st == RP_OK && (c->size > 1 || n == 1)) return RP_OK;
  if (st != RP_OK && (!is_auto || c->t != &rpi_transport_mpi)) return st;
  return rpi_status_fail(
      RP_ERR_RANKS,
      "%s says that %ld processes were started, but this one finds no other%s%s%s: under Slurm "
      "start with srun --mpi=pmix; elsewhere have libreprise-mpi.so built with the launcher's MPI, "
      "and name it with the knob mpi_plugin; or set REPRISE_TRANSPORT=none for processes that "
      "have nothing to do with each other",
      who, n, st == RP_OK ? "" : " (MPI: ", st == RP_OK ? "" : rpi_status_message(),
      st == RP_OK ? "" : ")");
}

/* The program was to run on so many ranks. */
static rp_status check_ranks(const rpi_config *config, int32_t size) {
  if (config->transport == NONE || config->transport == THREADS || config->ranks == 0 ||
      config->ranks == size)
    return RP_OK;
  return rpi_status_fail(RP_ERR_RANKS,
                         "the knob ranks is %lld, but %s: start the program with `reprise run`, or "
                         "with as many processes; or set REPRISE_RANKS=0",
                         (long long)config->ranks,
                         size == 1 ? "this process is alone" : "another number was started");
}

bool rpi_comm_alone(const rpi_config *config) {
  const char *who;
  if (config->dryrun[0] || config->ranks > 1) return false;
  return config->transport == NONE || (config->transport == AUTO && launched(&who) == 1);
}

rp_status rpi_comm_open(const rpi_config *config, rpi_comm **out) {
  const rpi_transport *t;
  *out = NULL;
  if (config->dryrun[0]) return open_dry(config->dryrun, out);
  rpi_depart_grace((int32_t)config->grace);
  RPI_TRY(choose(config, &t));
  if (!t) return check_ranks(config, 1);
  rpi_comm *c = rpi_alloc_zero(sizeof *c);
  if (!c) return rpi_status_nomem("the comm");
  c->t = t;
  c->size = 1;
  c->spin = config->spin;
  rp_status st = find_others(config, c);
  if (st == RP_OK) st = check_ranks(config, c->size);
  t = c->t;
  if (st != RP_OK || c->size == 1) {
    if (c->self) t->close(c->self, st == RP_OK);
    rpi_alloc_free(c);
    return st;
  }
  rpi_notes_init(&c->notes, t, c->self, c->rank, c->size);
  rpi_watch_init(&c->watch, &c->notes, (double)config->watchdog);
  rpi_dispute_init(&c->dispute, &c->notes);
  if (t->spin && t->spin(c->self) < c->spin) c->spin = t->spin(c->self);
  *out = c;
  return RP_OK;
}

rp_status rpi_comm_close(rpi_comm *c, bool orderly) {
  rp_status st = RP_OK;
  if (!c) return RP_OK;
  if (c->failure) orderly = false;
  if (orderly && (st = rpi_collect_barrier(c)) != RP_OK) rpi_comm_abort(c, rpi_status_message());
  c->t->close(c->self, orderly && st == RP_OK);
  rpi_watch_deinit(&c->watch);
  rpi_alloc_free(c->failure);
  rpi_alloc_free(c->scratch);
  rpi_alloc_free(c);
  return st;
}

bool rpi_comm_dry(const rpi_comm *c) { return c && c->t == &dry; }
int32_t rpi_comm_rank(const rpi_comm *c) { return c ? c->rank : 0; }
int32_t rpi_comm_size(const rpi_comm *c) { return c ? c->size : 1; }
int32_t rpi_comm_seat(const rpi_comm *c) {
  return c && c->t->seat ? c->t->seat(c->self) : rpi_comm_rank(c);
}
const char *rpi_comm_transport(const rpi_comm *c) { return c->t->name; }
void rpi_comm_stamp(rpi_comm *c, uint64_t stamp) { c->stamp = stamp; }

void rpi_comm_witness(rpi_comm *c, const rpi_witness *w) { c->dispute.witness = *w; }

void *rpi_comm_scratch(rpi_comm *c, int64_t bytes) {
  if (bytes / 16 >= INT32_MAX - 1 ||
      !rpi_alloc_grow(&c->scratch, &c->cap_scratch, (int32_t)(bytes / 16) + 1, 16)) {
    rpi_status_nomem("a collective of all ranks");
    return NULL;
  }
  return c->scratch;
}

/* ---- messages ---- */

static rp_status failed_before(const rpi_comm *c) {
  return rpi_status_fail(RP_ERR_RANKS, "%s", c->failure);
}

/* Keeps the sentence of the first failure. */
static rp_status fails(rpi_comm *c, rp_status st) {
  if (c->failure) return st;
  if (st == RP_ERR_RANKS) rpi_dispute_settle(&c->dispute);
  c->failure = rpi_alloc_string(rpi_status_message());
  return st;
}

rp_status rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n) {
  if (c->failure) return failed_before(c);
  for (int32_t i = 0; i < n; i++) {
    m[i].done = false;
    const rp_status st = c->t->start(c->self, &m[i], c->stamp);
    if (st != RP_OK) return fails(c, st);
  }
  return RP_OK;
}

void rpi_comm_poll(rpi_comm *c) {
  if (!c->failure && c->t->progress(c->self) == RPI_PROGRESS_FAILED) fails(c, RP_ERR_RANKS);
}

rp_status rpi_comm_look(rpi_comm *c) {
  rpi_comm_poll(c);
  if (!c->failure) {
    const rp_status st = rpi_notes_take(&c->notes);
    if (st != RP_OK) (void)fails(c, st);
  }
  return c->failure ? failed_before(c) : RP_OK;
}

/* The first that is not done; NULL: all are. */
static const rpi_message *first_left(const rpi_message *m, int32_t n) {
  for (int32_t i = 0; i < n; i++)
    if (!m[i].done) return &m[i];
  return NULL;
}

/* One look at a wait in which nothing moves: is somebody gone, or have two parted? */
static rp_status look(rpi_comm *c, const rpi_message *m, int32_t n) {
  RPI_TRY(rpi_watch_look(&c->watch, m, n));
  return rpi_dispute_look(&c->dispute, first_left(m, n)->peer, rpi_watch_silence(&c->watch));
}

rp_status rpi_comm_finish(rpi_comm *c, rpi_message *m, int32_t n) {
  if (c->failure) return failed_before(c);
  if (c->t == &dry) return RP_OK;
  rpi_watch_moved(&c->watch);
  for (int64_t turn = 0; first_left(m, n); turn++) {
    const rpi_progress p = c->t->progress(c->self);
    if (p == RPI_PROGRESS_FAILED) return fails(c, RP_ERR_RANKS);
    if (p == RPI_PROGRESS_SOME) {
      turn = 0;
      rpi_watch_moved(&c->watch);
      continue;
    }
    if (turn < c->spin) continue;
    const rp_status st = look(c, m, n);
    if (st != RP_OK) return fails(c, st);
    c->t->sleep(c->self, SLEEP_MS);
  }
  rpi_watch_moved(&c->watch);
  (void)rpi_notes_take(&c->notes); /* who never waits for long is alive, too */
  return RP_OK;
}

void rpi_comm_abort(rpi_comm *c, const char *why) {
  if (!c->failure) c->failure = rpi_alloc_string(why);
  c->t->abort(c->self, why);
}
