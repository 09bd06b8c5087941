/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_comm.c -- messages between ranks that are threads: order, contents, receives before and after
 * their messages; worlds that come together or do not; and every way in which a rank can fail the others. */
#include "tests/support/ranks.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"

static void nap(int64_t ms) {
  const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

/* ---- worlds ---- */

static rp_status sees_its_place(one_rank *r) {
  r->wrong += rpi_comm_rank(r->comm) != r->rank;
  r->wrong += rpi_comm_size(r->comm) != r->ranks;
  r->wrong += (r->comm == NULL) != (r->ranks == 1);
  r->wrong += r->comm && strcmp(rpi_comm_transport(r->comm), "threads") != 0;
  return RP_OK;
}

static void test_places(void **state) {
  (void)state;
  for (int32_t n = 1; n <= 9; n++) {
    one_rank all[RANKS_MOST];
    ranks_run(all, n, sees_its_place, NULL, 60);
    ranks_fine(all, n);
  }
  rpi_config config;
  rpi_comm *c = (rpi_comm *)&config; /* not NULL: it must be set */
  assert_int_equal(rpi_config_init(&config, "--transport none"), RP_OK);
  assert_int_equal(rpi_comm_open(&config, &c), RP_OK);
  assert_null(c);
  rpi_comm_close(c, true);
  rpi_config_deinit(&config);
}

/* Opening as `rank` of `ranks` is refused at once with a sentence that contains both texts. */
static void refused(int32_t rank, int32_t ranks, const char *text, const char *also) {
  const one_rank r = {.rank = rank, .ranks = ranks, .watchdog = 60, .world = "test"};
  rpi_comm *c = NULL;
  assert_int_equal(rank_open(&r, &c), RP_ERR_CONFIG);
  assert_null(c);
  if (!strstr(rpi_status_message(), text) || !strstr(rpi_status_message(), also))
    fail_msg("the sentence \"%s\" lacks \"%s\" or \"%s\"", rpi_status_message(), text, also);
}

static atomic_int refusals;

static void *opens_until_refused(void *arg) {
  one_rank *r = arg;
  rank_live(r);
  if (r->opened == RP_ERR_CONFIG) atomic_fetch_add(&refusals, 1);
  return NULL;
}

/* Of two that say they are rank 0 one is refused; then the other is certainly waiting, and stays unharmed by all
 * refusals. */
static void test_bad_knobs(void **state) {
  (void)state;
  refused(-1, 0, "-1", "ranks 0");
  refused(-1, 3, "-1", "ranks 3");
  refused(3, 3, "value 3", "ranks 3");
  refused(1, 1, "value 1", "ranks 1");
  one_rank all[4];
  atomic_store(&refusals, 0);
  for (int32_t i = 0; i < 4; i++)
    all[i] = (one_rank){.rank = i % 3, .ranks = 3, .watchdog = 60, .world = "test"};
  assert_int_equal(pthread_create(&all[0].thread, NULL, opens_until_refused, &all[0]), 0);
  assert_int_equal(pthread_create(&all[3].thread, NULL, opens_until_refused, &all[3]), 0);
  while (atomic_load(&refusals) == 0) nap(1);
  refused(0, 3, "value 0 is taken", "of 3");
  refused(1, 2, "says 2", "say 3");
  rank_begin(&all[1]);
  rank_begin(&all[2]);
  for (int32_t i = 0; i < 4; i++) rank_end(&all[i]);
  assert_int_equal(atomic_load(&refusals), 1);
  assert_int_equal(all[0].opened + all[3].opened, RP_OK + RP_ERR_CONFIG);
  ranks_fine(all + 1, 2);
  const one_rank *no = all[0].opened == RP_OK ? &all[3] : &all[0];
  assert_non_null(strstr(no->said, "value 0 is taken"));
}

/* Ranks 1 and 3 of four come; both say who did not. Then the name is free for another world. */
static void test_missing(void **state) {
  (void)state;
  one_rank all[RANKS_MOST];
  const int32_t here[] = {1, 3};
  for (int32_t i = 0; i < 2; i++) {
    all[i] = (one_rank){.rank = here[i], .ranks = 4, .watchdog = 1, .world = "test"};
    rank_begin(&all[i]);
  }
  for (int32_t i = 0; i < 2; i++) rank_end(&all[i]);
  for (int32_t i = 0; i < 2; i++) {
    rank_failed(&all[i], "\"test\" of 4 ranks lacks ranks 0, 2 after 1 s");
    assert_int_equal(all[i].opened, RP_ERR_RANKS);
  }
  const one_rank many = {.rank = 2, .ranks = 30, .watchdog = 1, .world = "test"};
  rpi_comm *c;
  assert_int_equal(rank_open(&many, &c), RP_ERR_RANKS);
  assert_non_null(strstr(rpi_status_message(), "ranks 0, 1, 3, 4, 5, 6, 7, 8 and 21 more after"));
  ranks_run(all, 3, sees_its_place, NULL, 60);
  ranks_fine(all, 3);
}

static void test_no_memory(void **state) {
  (void)state;
  rpi_config config;
  assert_int_equal(
      rpi_config_init(&config, "--transport threads --ranks 2 --rank 1 --world x --watchdog 1"),
      RP_OK);
  int64_t n = 1;
  for (;; n++) {
    rpi_comm *c;
    rpi_alloc_inject(n);
    const rp_status st = rpi_comm_open(&config, &c);
    rpi_alloc_inject(-1);
    assert_null(c);
    if (st != RP_ERR_MEMORY) {
      assert_int_equal(st, RP_ERR_RANKS); /* all is there but rank 0 */
      break;
    }
  }
  assert_true(n > 3);
  rpi_config_deinit(&config);
}

/* ---- messages that arrive ---- */

enum { KINDS = 6 };
static const int64_t kind_bytes[KINDS] = {1, 7, 64, 4097, 3, 1000};
static const int64_t big_bytes[KINDS] = {1 << 20, 5, (1 << 20) + 1, 1, 1 << 19, 64};

typedef enum { RECEIVE_FIRST, SEND_FIRST, TURNS } order;

typedef struct traffic {
  order order;
  const int64_t *bytes;
  int32_t n; /* messages of each ordered pair, a rank with itself too */
  pthread_barrier_t between;
} traffic;

static unsigned char byte_of(int32_t from, int32_t to, int32_t k, int64_t i) {
  return (unsigned char)(from * 31 + to * 17 + k * 101 + (int32_t)(i % 251) + 1);
}

/* The k-th message with each peer, at m[k * ranks + peer]; sent ones filled. */
static void lay_out(one_rank *r, rpi_message *m, bool send) {
  const traffic *t = r->shared;
  for (int32_t k = 0; k < t->n; k++)
    for (int32_t p = 0; p < r->ranks; p++) {
      const int64_t bytes = t->bytes[(k + p + r->rank) % KINDS];
      unsigned char *data = calloc((size_t)bytes, 1);
      for (int64_t i = 0; send && i < bytes; i++) data[i] = byte_of(r->rank, p, k, i);
      m[k * r->ranks + p] =
          (rpi_message){.data = data, .bytes = bytes, .peer = p, .send = send, .done = true};
    }
}

static int64_t check_received(const one_rank *r, const rpi_message *m) {
  const traffic *t = r->shared;
  int64_t wrong = 0;
  for (int32_t k = 0; k < t->n; k++)
    for (int32_t p = 0; p < r->ranks; p++) {
      const rpi_message *one = &m[k * r->ranks + p];
      wrong += !one->done;
      for (int64_t i = 0; i < one->bytes; i++)
        wrong += ((unsigned char *)one->data)[i] != byte_of(p, r->rank, k, i);
    }
  return wrong;
}

/* Starts all; in halves finished from the end, since messages may be waited for in any order. */
static rp_status exchange(one_rank *r, rpi_message *in, rpi_message *out) {
  traffic *t = r->shared;
  const int32_t n = t->n * r->ranks, half = n / 2;
  rp_status a = RP_OK, b = RP_OK;
  if (t->order == TURNS) {
    for (int32_t i = 0; i < n && a == RP_OK && b == RP_OK; i++) {
      a = rpi_comm_start(r->comm, &out[i], 1);
      b = rpi_comm_start(r->comm, &in[i], 1);
    }
  } else {
    a = rpi_comm_start(r->comm, t->order == RECEIVE_FIRST ? in : out, n);
    for (int32_t i = 0; i < n && t->order == RECEIVE_FIRST; i++) r->wrong += in[i].done;
    pthread_barrier_wait(&t->between);
    b = rpi_comm_start(r->comm, t->order == RECEIVE_FIRST ? out : in, n);
  }
  RPI_TRY(a);
  RPI_TRY(b);
  RPI_TRY(rpi_comm_finish(r->comm, in + half, n - half));
  RPI_TRY(rpi_comm_finish(r->comm, in, half));
  return rpi_comm_finish(r->comm, out, n);
}

static rp_status talks(one_rank *r) {
  const traffic *t = r->shared;
  const size_t n = (size_t)(t->n * r->ranks);
  rpi_message *in = calloc(n, sizeof *in), *out = calloc(n, sizeof *out);
  lay_out(r, in, false);
  lay_out(r, out, true);
  rpi_comm_stamp(r->comm, 0xABCDEF0123456789u);
  const rp_status st = exchange(r, in, out);
  if (st == RP_OK) r->wrong += check_received(r, in);
  for (size_t i = 0; i < n; i++) {
    free(in[i].data);
    free(out[i].data);
  }
  free(in);
  free(out);
  return st;
}

static void traffic_run(int32_t ranks, order way, const int64_t *bytes, int32_t n) {
  one_rank all[RANKS_MOST];
  traffic t = {.order = way, .bytes = bytes, .n = n};
  pthread_barrier_init(&t.between, NULL, (unsigned)ranks);
  ranks_run(all, ranks, talks, &t, 60);
  pthread_barrier_destroy(&t.between);
  ranks_fine(all, ranks);
}

static void test_messages(void **state) {
  (void)state;
  for (int32_t ranks = 2; ranks <= 9; ranks++)
    for (int32_t way = RECEIVE_FIRST; way <= TURNS; way++) {
      traffic_run(ranks, way, kind_bytes, 20);
      if (ranks < 4) traffic_run(ranks, way, big_bytes, 2);
    }
}

/* One message back and forth: every wait of one rank is the other's work. */
static rp_status ping(one_rank *r) {
  for (int32_t i = 0; i < 2000; i++) {
    int32_t ball = r->rank == 0 ? i : -1;
    if (r->rank == 0) RPI_TRY(rank_message(r->comm, &ball, 4, 1, true));
    RPI_TRY(rank_message(r->comm, &ball, 4, 1 - r->rank, false));
    if (r->rank == 1) ball++;
    if (r->rank == 1) RPI_TRY(rank_message(r->comm, &ball, 4, 0, true));
    r->wrong += ball != i + 1;
  }
  return RP_OK;
}

static void test_ping(void **state) {
  (void)state;
  one_rank all[2];
  ranks_run(all, 2, ping, NULL, 60);
  ranks_fine(all, 2);
}

/* Two worlds at once do not hear each other: the same ranks, other names. */
static void test_two_worlds(void **state) {
  (void)state;
  one_rank all[4];
  for (int32_t i = 0; i < 4; i++) {
    all[i] = (one_rank){.rank = i / 2, .ranks = 2, .watchdog = 60, .body = ping};
    all[i].world = i % 2 ? "left" : "right";
    rank_begin(&all[i]);
    if (i == 1) nap(50); /* both worlds are begun before one is complete */
  }
  for (int32_t i = 0; i < 4; i++) rank_end(&all[i]);
  ranks_fine(all, 4);
}

/* ---- ranks that do not agree ---- */

typedef struct quarrel {
  int64_t bytes[2];
  uint64_t stamp[2];
  bool late; /* the receive is started when the message is there */
} quarrel;

/* Rank 1 sends, rank 0 receives. Afterwards rank 0's comm says the same whatever is asked. */
static rp_status quarrels(one_rank *r) {
  const quarrel *q = r->shared;
  char data[128] = {0}, first[RANKS_TEXT];
  rpi_message own[2] = {{.data = data, .bytes = 1, .peer = 0},
                        {.data = data + 1, .bytes = 1, .peer = 0, .send = true}};
  if (r->rank == 0 && q->late) nap(30);
  rpi_comm_stamp(r->comm, q->stamp[r->rank]);
  if (r->rank == 1) return rank_message(r->comm, data, q->bytes[1], 0, true);
  rpi_message m = {.data = data, .bytes = q->bytes[0], .peer = 1};
  rp_status st = rpi_comm_start(r->comm, &m, 1);
  rpi_comm_stamp(r->comm, 99); /* of no concern to what has begun */
  if (st == RP_OK) st = rpi_comm_finish(r->comm, &m, 1);
  if (st == RP_OK) return RP_OK;
  r->wrong += m.done;
  snprintf(first, sizeof first, "%s", rpi_status_message());
  r->wrong += rpi_comm_start(r->comm, own, 2) != RP_ERR_RANKS;
  r->wrong += strcmp(first, rpi_status_message()) != 0;
  r->wrong += rpi_comm_finish(r->comm, own, 2) != RP_ERR_RANKS;
  r->wrong += strcmp(first, rpi_status_message()) != 0;
  return st;
}

static void test_disagreement(void **state) {
  (void)state;
  one_rank all[2];
  for (int32_t late = 0; late < 2; late++) {
    quarrel q = {{64, 80}, {7, 7}, late};
    ranks_run(all, 2, quarrels, &q, 60);
    rank_failed(&all[0], "rank 1 sends 80 bytes where rank 0 expects 64: the ranks run different "
                         "programs");
    assert_int_equal(all[0].wrong, 0);
    q = (quarrel){{64, 64}, {0x5, UINT64_C(0xfedcba9876543210)}, late};
    ranks_run(all, 2, quarrels, &q, 60);
    rank_failed(&all[0], "rank 1 has run another program than rank 0 (stamps 0xfedcba9876543210 "
                         "and 0x5)");
    assert_int_equal(all[0].wrong, 0);
  }
}

/* ---- ranks that fail ---- */

typedef struct accident {
  int32_t culprit;
  bool leaves; /* without a word; else it aborts */
} accident;

/* One half of the others waits for the culprit, each of the other half for its neighbour; who sends only, notices
 * when it starts something. */
static rp_status suffers(one_rank *r) {
  const accident *a = r->shared;
  char byte = 0;
  if (r->rank == a->culprit) {
    nap(30);
    if (!a->leaves) rpi_comm_abort(r->comm, "the disk is full");
    return rpi_status_fail(RP_ERR_RANKS, "rank_%d itself", r->rank);
  }
  if (r->rank == 0) {
    rp_status st = RP_OK;
    for (int32_t i = 0; i < 10000 && st == RP_OK; i++) {
      st = rank_message(r->comm, &byte, 1, r->ranks - 1, true);
      nap(1);
    }
    return st;
  }
  return rank_message(r->comm, &byte, 1, r->rank % 2 ? a->culprit : r->rank - 1, false);
}

static void test_accidents(void **state) {
  (void)state;
  one_rank all[RANKS_MOST];
  for (int32_t leaves = 0; leaves < 2; leaves++)
    for (int32_t ranks = 4; ranks <= 9; ranks++) {
      accident a = {.culprit = ranks - 2, .leaves = leaves};
      char want[64];
      snprintf(want, sizeof want, leaves ? "rank %d left" : "rank %d: the disk is full", a.culprit);
      const int64_t begin = rpi_clock_ns();
      ranks_run(all, ranks, suffers, &a, 60);
      assert_true(rpi_clock_ns() - begin < INT64_C(30000000000)); /* no watchdog was needed */
      for (int32_t i = 0; i < ranks; i++) rank_failed(&all[i], i == a.culprit ? "itself" : want);
    }
}

typedef struct silence {
  int32_t culprit;
  pthread_barrier_t over;
} silence;

static rp_status waits_for_silence(one_rank *r) {
  silence *s = r->shared;
  char byte = 0;
  rp_status st = RP_OK;
  if (r->rank != s->culprit) st = rank_message(r->comm, &byte, 1, s->culprit, false);
  pthread_barrier_wait(&s->over); /* the culprit stays until all have given up */
  return st;
}

static void test_watchdog(void **state) {
  (void)state;
  enum { N = 5 };
  one_rank all[N];
  silence s = {.culprit = 3};
  pthread_barrier_init(&s.over, NULL, N);
  const int64_t begin = rpi_clock_ns();
  ranks_run(all, N, waits_for_silence, &s, 1);
  assert_true(rpi_clock_ns() - begin >= INT64_C(1000000000));
  pthread_barrier_destroy(&s.over);
  for (int32_t i = 0; i < N; i++)
    if (i != s.culprit)
      rank_failed(&all[i], "rank 3 (a thread of this process) has been silent for 1 s: rank ");
}

/* Rank r waits for rank r + 1, the last for `last`; who is not waited for waits a little, so that all begin at
 * other times: the first to begin is not the one to speak. */
typedef struct chain {
  int32_t last; /* -1: the last one says nothing */
  pthread_barrier_t over;
} chain;

static rp_status waits_in_chain(one_rank *r) {
  chain *s = r->shared;
  const int32_t next = r->rank + 1 < r->ranks ? r->rank + 1 : s->last;
  char byte = 0;
  rp_status st = RP_OK;
  nap(40 * r->rank);
  if (next >= 0) st = rank_message(r->comm, &byte, 1, next, false);
  if (st != RP_OK) {
    char why[RANKS_TEXT];
    snprintf(why, sizeof why, "%s", rpi_status_message());
    rpi_comm_abort(r->comm, why);
    rpi_status_fail(st, "%s", why);
  }
  if (s->last < 0) pthread_barrier_wait(&s->over);
  return st;
}

/* All blame the end of the chain, found by the one that waits for it. */
static void test_chain(void **state) {
  (void)state;
  enum { N = 6 };
  one_rank all[N];
  chain s = {.last = -1};
  pthread_barrier_init(&s.over, NULL, N);
  ranks_run(all, N, waits_in_chain, &s, 1);
  pthread_barrier_destroy(&s.over);
  for (int32_t i = 0; i < N - 1; i++)
    rank_failed(&all[i], "rank 5 (a thread of this process) has been silent for 1 s: rank 4 of 6 "
                         "waits for a message of it (1 bytes)");
}

/* A circle with a tail, and a rank that waits for itself. */
static void test_circle(void **state) {
  (void)state;
  one_rank all[RANKS_MOST];
  chain s = {.last = 2};
  ranks_run(all, 5, waits_in_chain, &s, 1);
  for (int32_t i = 0; i < 5; i++)
    rank_failed(&all[i], "the ranks wait for each other, and nothing moved for 1 s: rank 2 of 5 "
                         "waits for rank 3, which waits for rank 4, which waits for rank 2");
  s.last = 11;
  ranks_run(all, 12, waits_in_chain, &s, 1);
  for (int32_t i = 0; i < 12; i++)
    rank_failed(&all[i], "nothing moved for 1 s: rank 11 of 12 waits for rank 11");
  s.last = 0;
  ranks_run(all, 12, waits_in_chain, &s, 1);
  for (int32_t i = 0; i < 12; i++)
    rank_failed(&all[i], "which waits for rank 8, which waits for 3 more, the last of which waits "
                         "for rank 0");
}

/* Two ranks are busy with each other for longer than the third's watchdog: it waits. */
static rp_status keeps_busy(one_rank *r) {
  char byte = 0;
  for (int32_t i = 0; i < 25 && r->rank < 2; i++) {
    nap(100);
    RPI_TRY(rank_message(r->comm, &byte, 1, 1 - r->rank, r->rank == 0));
    RPI_TRY(rank_message(r->comm, &byte, 1, 1 - r->rank, r->rank == 1));
  }
  if (r->rank == 1) return RP_OK;
  return rank_message(r->comm, &byte, 1, 2 - r->rank, r->rank == 0);
}

static void test_patience(void **state) {
  (void)state;
  one_rank all[3];
  const int64_t begin = rpi_clock_ns();
  ranks_run(all, 3, keeps_busy, NULL, 1);
  assert_true(rpi_clock_ns() - begin > INT64_C(2000000000));
  ranks_fine(all, 3);
}

/* What nobody received, and receives nothing came for, go with the world: an address sanitizer looks. */
static rp_status leaves_things(one_rank *r) {
  static char data[100];
  char in = 0;
  const int32_t next = (r->rank + 1) % r->ranks;
  rpi_message m[2] = {{.data = data, .bytes = 100, .peer = next, .send = true},
                      {.data = &in, .bytes = 1, .peer = next}};
  RPI_TRY(rpi_comm_start(r->comm, m, 2));
  return rpi_status_fail(RP_ERR_RANKS, "enough");
}

static void test_left_over(void **state) {
  (void)state;
  one_rank all[RANKS_MOST];
  ranks_run(all, 6, leaves_things, NULL, 60);
  int32_t first = 0; /* at least one left before anybody else had */
  for (int32_t i = 0; i < 6; i++) {
    assert_int_equal(all[i].status, RP_ERR_RANKS);
    first += strcmp(all[i].said, "enough") == 0;
  }
  assert_true(first > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_places),     cmocka_unit_test(test_bad_knobs),
      cmocka_unit_test(test_missing),    cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_messages),   cmocka_unit_test(test_ping),
      cmocka_unit_test(test_two_worlds), cmocka_unit_test(test_disagreement),
      cmocka_unit_test(test_accidents),  cmocka_unit_test(test_watchdog),
      cmocka_unit_test(test_chain),      cmocka_unit_test(test_circle),
      cmocka_unit_test(test_patience),   cmocka_unit_test(test_left_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
