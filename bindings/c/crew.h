/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/crew.h -- several GPUs in one process: contexts in threads of the library that follow the program's.
 *
 * Lives here: the threads, the ring of records by which they hear of the program's calls, waiting for them, and the first
 *             failure of one.
 * Not here:   what is said to them (follow.h), what they do (follower.h), how the work is shared out: that is ranks' affair.
 * How:        the program's context is rank 0 of as many ranks as there are GPUs, over the transport whose ranks are threads
 *             of one process. The others are contexts like it, each used by one thread. Each call of the program
 *             is written into a ring, which all of them read, in its order, each at its own pace. So a call costs one
 *             record, however many follow. The program's thread waits only for room in the ring, for messages
 *             of ranks as any rank does, and where a call lends memory that followers have to read first.
 * Invariants: what a rank needs of rank 0 to end a call is sent by rank 0 in that call or an earlier one, and the record is
 *             there before rank 0 begins the call; so followers never wait for calls that the program has not made
 *             yet, and whoever waits for followers is not waited for.
 * Threads:    the ring has one writer, the thread that uses the context; `head`, and each follower's `tail`, are what
 *             they share. Who sleeps says so in a flag and looks again (Dekker): no wake-up is lost. */
#ifndef RPI_CREW_H
#define RPI_CREW_H

#include "trace/context.h"

typedef struct rpi_crew rpi_crew;

/* A record is a header and a payload, in words. */
enum { RPI_CREW_RECORD = 4096 /* words at most */ };
enum { RPI_CREW_SKIP, RPI_CREW_LAST, RPI_CREW_KINDS /* from there on the kinds are the duty's */ };
typedef struct rpi_crew_record {
  uint8_t kind;
  uint16_t words;
  int32_t arg; /* of the kind */
  uint64_t data[];
} rpi_crew_record;

/* One who follows; what else it has belongs to its thread. */
typedef struct rpi_follower {
  rp_context *ctx;
  int32_t rank;
  struct rpi_twins *twins; /* the handles of its context (follower.h) */
} rpi_follower;

/* What is done with a record, and at the two ends of a follower's life, by its thread. */
typedef struct rpi_crew_duty {
  rp_status (*begin)(rpi_follower *f);
  /* A failure that the program cannot have caused is told by rpi_crew_fail. */
  void (*run)(rpi_follower *f, rpi_crew *c, const rpi_crew_record *r);
  void (*end)(rpi_follower *f);
} rpi_crew_duty;

/* The context that the program uses, one of n that it makes, if each can be made. `base` is what `config` comes to. */
rp_status rpi_crew_create(const rpi_config *base, const char *config, int32_t n,
                          const rpi_crew_duty *duty, rp_context **out);
/* Tells the last record: the others end their contexts, which takes rank 0's. */
void rpi_crew_close(rpi_crew *c);
/* After that: waits for the threads' end. */
void rpi_crew_free(rpi_crew *c);

int32_t rpi_crew_size(const rpi_crew *c); /* with the program's context */

/* Room for a record of so many bytes of payload; waits for it. */
rpi_crew_record *rpi_crew_begin(rpi_crew *c, int32_t kind, int32_t arg, size_t bytes);
/* The record is filled in. */
void rpi_crew_tell(rpi_crew *c);
/* Until all have done what they have been told. */
void rpi_crew_wait(rpi_crew *c);

/* Follower f cannot go on, for a reason of its own: this thread's sentence. */
void rpi_crew_fail(rpi_crew *c, const rpi_follower *f, rp_status st);
/* RP_ERR_RANKS if one cannot; then the context's ranks have parted. */
rp_status rpi_crew_check(rp_context *ctx);

#endif
