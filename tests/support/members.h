/* SPDX-License-Identifier: Apache-2.0
 * tests/support/members.h -- one program on several ranks, each a thread with a context of its own.
 * Lives here: starting and joining them, what each leaves behind, and the comparison with one process. The members'
 *             threads make no assertions. Include it first. */
#ifndef MEMBERS_H
#define MEMBERS_H

#include "tests/support/api_check.h"

#include <pthread.h>

enum { MOST = 9, TEXT = 1100 };

typedef struct member {
  int32_t rank, ranks;
  const char *config; /* beside the world's */
  rp_status (*program)(struct member *);
  double *out; /* what the program computed */
  int64_t n_out;
  int64_t stat[8]; /* what it counted */
  int64_t beside;  /* of it, launches that began before their messages were there */
  int line;        /* of a call that is of interest */
  rp_context *ctx;
  rp_status status;
  char said[TEXT];
  pthread_t thread;
} member;

#define TRY(call) \
  do { \
    const rp_status st_ = (call); \
    if (st_ != RP_OK) return st_; \
  } while (0)

static inline void *live(void *arg) {
  member *m = arg;
  char config[9000];
  int n = snprintf(config, sizeof config, "--tier 0 --cache-dir none --pin off --spin 100 %s",
                   m->config);
  if (m->ranks > 1)
    snprintf(config + n, sizeof config - (size_t)n,
             " --transport threads --watchdog 5 --ranks %d --rank %d --world distribute", m->ranks,
             m->rank);
  m->status = rp_context_create(config, &m->ctx);
  if (m->status == RP_OK) {
    m->status = m->program(m);
    if (m->status != RP_OK && !m->said[0]) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
    const rp_status end = rp_context_destroy(m->ctx);
    if (m->status == RP_OK) m->status = end;
  }
  if (m->status != RP_OK && !m->said[0]) snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  return NULL;
}

static inline void run(member *all, int32_t ranks, const char *config,
                       rp_status (*program)(member *), int64_t n_out) {
  for (int32_t r = 0; r < ranks; r++) {
    all[r] = (member){.rank = r,
                      .ranks = ranks,
                      .config = config,
                      .program = program,
                      .out = calloc((size_t)n_out + 1, sizeof(double)),
                      .n_out = n_out};
    assert_non_null(all[r].out);
    assert_int_equal(pthread_create(&all[r].thread, NULL, live, &all[r]), 0);
  }
  for (int32_t r = 0; r < ranks; r++) pthread_join(all[r].thread, NULL);
}

static inline void all_fine(const member *all, int32_t ranks) {
  for (int32_t r = 0; r < ranks; r++)
    if (all[r].status != RP_OK) fail_msg("rank %d of %d: %s", r, ranks, all[r].said);
}

/* All ranks have the bits of one process. */
static inline void same_as(const member *alone, const member *all, int32_t ranks) {
  all_fine(all, ranks);
  for (int32_t r = 0; r < ranks; r++)
    assert_memory_equal(all[r].out, alone->out, (size_t)alone->n_out * sizeof(double));
}

static inline void forget(member *all, int32_t ranks) {
  for (int32_t r = 0; r < ranks; r++) free(all[r].out);
}

/* One process alone gives the bits that every rank must have. */
static inline void same_bits(rp_status (*program)(member *), int64_t n) {
  static const int32_t ranks[] = {2, 3, 4, 7};
  static const char *const configs[] = {
      "--threads 1 --tile 0", "--threads 2 --grain 0 --tile 0 --overlap 0", "--threads 1"};
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", program, n);
  all_fine(&alone, 1);
  for (int32_t i = 0; i < 4; i++) {
    for (int32_t k = 0; k < 3; k++) {
      run(all, ranks[i], configs[k], program, n);
      same_as(&alone, all, ranks[i]);
      if (k < 2) assert_true(all[0].stat[0] > 0); /* shared out indeed */
      forget(all, ranks[i]);
    }
  }
  forget(&alone, 1);
}

static inline rp_status count(member *m) {
  static const char *const names[] = {"kernels_shared",   "messages",  "bytes_sent", "gathers",
                                      "joint_reductions", "templates", "plans",      "segments"};
  for (int32_t i = 0; i < 8; i++) TRY(rp_stat(m->ctx, names[i], &m->stat[i]));
  return RP_OK;
}

#endif
