/* SPDX-License-Identifier: Apache-2.0
 * tests/support/ranks.h -- a world of ranks, each a thread that opens a comm, runs one function and closes.
 * Lives here: starting and joining them, and what each leaves behind for assertions, which only the main thread
 *             makes. Include it first. */
#ifndef RANKS_H
#define RANKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/comm/comm.h"

enum { RANKS_MOST = 32, RANKS_TEXT = 1200 };

typedef struct one_rank {
  int32_t rank, ranks, watchdog;
  const char *world;
  rp_status (*body)(struct one_rank *); /* NULL: opens and closes */
  void *shared;                         /* by all ranks of a test */
  rpi_comm *comm;
  rp_status opened, status; /* status: of the body */
  char said[RANKS_TEXT];    /* the sentence of the first failure of the two */
  int64_t wrong;            /* the body counts here what is not as it should be */
  pthread_t thread;
} one_rank;

/* Opens r's comm; from any thread. */
static inline rp_status rank_open(const one_rank *r, rpi_comm **out) {
  char text[256];
  rpi_config config;
  snprintf(text, sizeof text,
           "--transport threads --spin 50 --ranks %d --rank %d --world %s --watchdog %d", r->ranks,
           r->rank, r->world, r->watchdog);
  RPI_TRY(rpi_config_init(&config, text));
  const rp_status st = rpi_comm_open(&config, out);
  rpi_config_deinit(&config);
  return st;
}

static inline void *rank_live(void *arg) {
  one_rank *r = arg;
  r->opened = rank_open(r, &r->comm);
  if (r->opened == RP_OK && r->body) r->status = r->body(r);
  if (r->opened != RP_OK || r->status != RP_OK)
    snprintf(r->said, sizeof r->said, "%s", rpi_status_message());
  if (r->opened == RP_OK) rpi_comm_close(r->comm, r->status == RP_OK);
  return NULL;
}

static inline void rank_begin(one_rank *r) {
  assert_int_equal(pthread_create(&r->thread, NULL, rank_live, r), 0);
}

static inline void rank_end(one_rank *r) { assert_int_equal(pthread_join(r->thread, NULL), 0); }

/* Runs ranks 0..n-1 to their ends. */
static inline void ranks_run(one_rank *all, int32_t n, rp_status (*body)(one_rank *), void *shared,
                             int32_t watchdog) {
  assert_true(n <= RANKS_MOST);
  for (int32_t i = 0; i < n; i++) {
    all[i] = (one_rank){.rank = i,
                        .ranks = n,
                        .watchdog = watchdog,
                        .world = "test",
                        .body = body,
                        .shared = shared};
    rank_begin(&all[i]);
  }
  for (int32_t i = 0; i < n; i++) rank_end(&all[i]);
}

/* No rank failed or found anything wrong. */
static inline void ranks_fine(const one_rank *all, int32_t n) {
  for (int32_t i = 0; i < n; i++) {
    if (all[i].opened != RP_OK || all[i].status != RP_OK)
      fail_msg("rank %d of %d: status %d, %s", i, n, (int)(all[i].opened + all[i].status),
               all[i].said);
    if (all[i].wrong)
      fail_msg("rank %d of %d: %lld values are wrong", i, n, (long long)all[i].wrong);
  }
}

/* The rank's body, or its opening, failed with RP_ERR_RANKS, and the sentence contains `text`. */
static inline void rank_failed(const one_rank *r, const char *text) {
  assert_int_equal(r->opened == RP_OK ? r->status : r->opened, RP_ERR_RANKS);
  if (!strstr(r->said, text))
    fail_msg("rank %d: the sentence \"%s\" lacks \"%s\"", r->rank, r->said, text);
}

/* Receives or sends one message to its end. */
static inline rp_status rank_message(rpi_comm *c, void *data, int64_t bytes, int32_t peer,
                                     bool send) {
  rpi_message m = {.data = data, .bytes = bytes, .peer = peer, .send = send};
  RPI_TRY(rpi_comm_start(c, &m, 1));
  return rpi_comm_finish(c, &m, 1);
}

#endif
