/* SPDX-License-Identifier: Apache-2.0
 * core/comm/watch.h -- the watchdog: whom to blame when a wait does not move.
 *
 * Lives here: asking ranks whether they are alive, answering those who ask, the verdict.
 * Not here:   waiting itself (comm.c), how a note travels (notes.h).
 * How:        a rank whose wait has not moved for half of the watchdog's time asks those it waits for. A rank answers
 *             whenever it is in the comm, waiting or not; one that computes, is stopped, or cannot be reached does
 *             not. Who answers is never blamed, for it watches those it waits for itself: so a chain of waits is
 *             followed to its end, and the end is named by a rank that waits for it directly. If all answer, they may
 *             wait for each other in a circle: asks travel on along the waits, and one that comes back to where it
 *             began has found it. Only ranks of higher numbers pass an ask on, so that of a circle the lowest one
 *             speaks.
 * Invariants: a rank has at most one ask unanswered for each rank it waits for, so a stopped one is not
 *             flooded. A verdict holds for a wait in which nothing moved from its first ask on. Time in which this
 *             rank itself did not run (a job that is suspended) does not count.
 * Threads:    that of the comm. */
#ifndef RPI_WATCH_H
#define RPI_WATCH_H

#include "core/comm/comm.h"
#include "core/comm/notes.h"

/* What an ask and its answer say: notes RPI_NOTE_ALIVE and RPI_NOTE_YES. */
enum { RPI_WATCH_PATH = 8 };
typedef struct rpi_watch_ask {
  int32_t origin;               /* who asked first */
  int32_t hops;                 /* how many have passed it on; -1: nobody may */
  int64_t wait;                 /* which of the origin's waits it is about */
  int32_t path[RPI_WATCH_PATH]; /* the first of those who passed it on */
} rpi_watch_ask;

/* A rank that is waited for. Times are those of rpi_watch.clock. */
typedef struct rpi_watched {
  int32_t peer;
  bool send;     /* we send to it; else it is to send */
  bool asked;    /* and has not answered */
  bool answered; /* at least once in this wait */
  int64_t bytes;
  double heard; /* when it answered last, or when the wait stopped moving */
} rpi_watched;

typedef struct rpi_watch {
  rpi_notes *notes;
  int32_t rank, size;
  double patience;   /* seconds */
  bool still;        /* the wait has been looked at since it moved last */
  int64_t wait;      /* counts those that were */
  double clock;      /* seconds that this rank has been seen to run */
  double since;      /* when the wait moved last */
  int64_t looked;    /* in nanoseconds */
  rpi_watched *list; /* from half of the patience on */
  int32_t n, cap;
  bool circle;         /* `path` is one of this wait */
  rpi_watch_ask found; /* whose path it is */
} rpi_watch;

/* Receives its kinds of notes from now on; w stays in place until deinit. */
void rpi_watch_init(rpi_watch *w, rpi_notes *notes, double patience);
void rpi_watch_deinit(rpi_watch *w);
/* The wait has moved, or another one begins. */
static inline void rpi_watch_moved(rpi_watch *w) { w->still = false; }
/* For how many seconds has it not moved, as far as this rank ran? */
static inline double rpi_watch_silence(const rpi_watch *w) {
  return w->still ? w->clock - w->since : 0;
}
/* One look at n messages that are waited for, while nothing moves; to be called several times a second. Takes
 * notes. RP_ERR_RANKS: the verdict, or another rank gave up. */
rp_status rpi_watch_look(rpi_watch *w, const rpi_message *m, int32_t n);

#endif
