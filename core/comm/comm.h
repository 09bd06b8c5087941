/* SPDX-License-Identifier: Apache-2.0
 * core/comm/comm.h -- ranks: how many we are, and messages between us.
 *
 * Lives here: a context's place among its peers, and point-to-point messages over one of several
 *             transports.
 * Not here:   what is sent (trace/), how one rank's words become all ranks' (collect.h), how a transport moves bytes
 *             (transport.h).
 * How:        messages have no tags: the k-th message started from rank a to rank b is received by the k-th receive
 *             that b starts from a. All ranks run the same program, so both sides count alike. Each message
 *             carries the sender's `stamp`, a hash of all that its program has done so far; a receiver whose own
 *             stamp was another when it started the receive refuses the data (DESIGN.md, invariant 11).
 * Errors:     RP_ERR_RANKS: a rank ended, diverged, or was silent for longer than the watchdog allows. The
 *             sentence names both ranks. Afterwards every call on the comm returns the same.
 * Threads:    one thread at a time. One process alone has no comm (NULL) and loads no transport. */
#ifndef RPI_COMM_H
#define RPI_COMM_H

#include "core/base/config.h"
#include "core/base/strbuf.h"

typedef struct rpi_comm rpi_comm;

/* Stays in place itself, too, from start to the end of finish. */
typedef struct rpi_message {
  void *data;    /* stays in place until the message is finished; a sender must not change it */
  int64_t bytes; /* > 0; both sides name the same number */
  int32_t peer;
  bool send;
  bool done;     /* set by the transport */
  void *request; /* the transport's */
} rpi_message;

/* The comm that the launcher and the knobs (ranks, rank, transport, world, watchdog) ask for; *out NULL for a
 * process alone. A launcher that started several processes which find no way to each other is RP_ERR_RANKS, with
 * the remedy. Collective. */
rp_status rpi_comm_open(const rpi_config *config, rpi_comm **out);
/* This process has nobody to look for. */
bool rpi_comm_alone(const rpi_config *config);
/* Collective if `orderly`: returns when all ranks have come to it, or after the watchdog's time; the last chance to
 * learn that they parted: then the others are told (rpi_comm_abort). NULL is allowed. */
rp_status rpi_comm_close(rpi_comm *c, bool orderly);

/* The knob dryrun: nobody is there, and nothing may be run. NULL: false. */
bool rpi_comm_dry(const rpi_comm *c);
int32_t rpi_comm_rank(const rpi_comm *c); /* NULL: 0 */
int32_t rpi_comm_size(const rpi_comm *c); /* NULL: 1 */
int32_t
rpi_comm_seat(const rpi_comm *c); /* the number of this rank among those of its machine; NULL: 0 */
const char *rpi_comm_transport(const rpi_comm *c);

/* Memory for one collective at a time, 16-byte aligned, kept from call to call; NULL with the status message set. */
void *rpi_comm_scratch(rpi_comm *c, int64_t bytes);
/* What messages started from now on carry. */
void rpi_comm_stamp(rpi_comm *c, uint64_t stamp);

/* Who knows what this rank has done, for when messages show that two ranks have run different programs: each is
 * asked for that, and the sentence of the error says where they part. Texts and records are copied. */
typedef struct rpi_witness {
  void *arg;
  /* Writes what this rank has called; returns the bytes, at most `room`. */
  int32_t (*tell)(void *arg, void *out, int32_t room);
  /* The same, of another rank, is compared with what this one has called: writes where they part. */
  int32_t (*compare)(void *arg, const void *told, int32_t bytes, void *out, int32_t room);
  /* Does that answer say that they part? */
  bool (*differ)(void *arg, const void *answer, int32_t bytes);
  /* Adds to the sentence where this rank and `peer` part: what `compare` answered there; bytes 0: it has not answered. */
  void (*conclude)(void *arg, int32_t peer, const void *answer, int32_t bytes, rpi_strbuf *out);
} rpi_witness;
/* Copied; its functions are called within start, finish and close. */
void rpi_comm_witness(rpi_comm *c, const rpi_witness *w);

/* Begins n messages, in this order; a rank may send to itself. Returns at once. */
rp_status rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n);
/* Moves what can be moved now; never waits. A failure is left for who finishes. */
void rpi_comm_poll(rpi_comm *c);
/* The same for who waits for something else: RP_ERR_RANKS if somebody has ended or given up. */
rp_status rpi_comm_look(rpi_comm *c);
/* Waits until all n are done: a sent one's data may change, a received one's data are there. */
rp_status rpi_comm_finish(rpi_comm *c, rpi_message *m, int32_t n);

/* Tells all ranks that this one cannot go on, and why; they fail with that reason. Does not wait. With processes it
 * ends this one and, through the launcher, the others: it returns only where ranks are threads. */
void rpi_comm_abort(rpi_comm *c, const char *why);

#endif
