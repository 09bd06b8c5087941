/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_collect.c -- barriers that wait, merges in the order of ranks, gathers of uneven pieces, on
 * 1 to 17 ranks; how many rounds they take; and what a rank that fails leaves of them. */
#include "tests/support/ranks.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/comm/collect.h"

enum { MOST = 17 };

static int32_t log2_up(int32_t n) {
  int32_t k = 0;
  while (1 << k < n) k++;
  return k;
}

static void nap(long ms) {
  const struct timespec t = {.tv_nsec = ms * 1000000};
  nanosleep(&t, NULL);
}

/* ---- barrier ---- */

/* In round i all come before one goes on; another rank is late each time. */
static rp_status meets(one_rank *r) {
  atomic_int *come = r->shared;
  for (int32_t i = 0; i < 2 * r->ranks; i++) {
    if (i % r->ranks == r->rank) nap(2);
    atomic_fetch_add(come, 1);
    RPI_TRY(rpi_collect_barrier(r->comm));
    const int32_t n = atomic_load(come);
    /* All have come to this one; others may have come to the next, but this rank has not. */
    r->wrong += n < (i + 1) * r->ranks || n >= (i + 2) * r->ranks;
  }
  return RP_OK;
}

static void test_barrier(void **state) {
  (void)state;
  for (int32_t n = 1; n <= MOST; n++) {
    one_rank all[RANKS_MOST];
    atomic_int come = 0;
    ranks_run(all, n, meets, &come, 60);
    ranks_fine(all, n);
    assert_int_equal(atomic_load(&come), 2 * n * n);
  }
}

/* ---- merge ---- */

enum { ROOM = 128, NOBODY = 3, EVERYBODY = 4 };

typedef struct sentence {
  int64_t spare;  /* bytes of room that nobody needs */
  int32_t silent; /* ranks with this remainder by 3 begin with nothing; or NOBODY, EVERYBODY */
  int32_t joins[MOST];
  int64_t n[MOST];
  char text[MOST][ROOM];
} sentence;

typedef struct writer {
  one_rank *r;
  int64_t room;
} writer;

/* Puts `from` behind `into` with a comma between: associative, not commutative. */
static void append(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  writer *w = arg;
  char *text = into;
  ((sentence *)w->r->shared)->joins[w->r->rank]++;
  if (m == 0) return;
  if (*n) text[(*n)++] = ',';
  memcpy(text + *n, from, (size_t)m);
  *n += m;
  w->r->wrong += *n > w->room;
}

static int32_t word_of(const sentence *s, int32_t rank, char *text) {
  if (s->silent == EVERYBODY || rank % 3 == s->silent) return 0;
  return snprintf(text, 8, "%d", rank);
}

/* All words with commas between, into `text`. */
static int64_t wanted(const sentence *s, int32_t ranks, char *text) {
  int64_t n = 0;
  for (int32_t i = 0; i < ranks; i++) {
    char word[8];
    const int32_t m = word_of(s, i, word);
    if (m && n) text[n++] = ',';
    memcpy(text + n, word, (size_t)m);
    n += m;
  }
  return n;
}

static _Atomic int64_t longest; /* bytes of a message */

rp_status __real_rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n);
rp_status __wrap_rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n);
rp_status __wrap_rpi_comm_start(rpi_comm *c, rpi_message *m, int32_t n) {
  for (int32_t i = 0; i < n; i++)
    for (int64_t most = longest; most < m[i].bytes;)
      if (atomic_compare_exchange_weak(&longest, &most, m[i].bytes)) break;
  return __real_rpi_comm_start(c, m, n);
}

/* Without `spare` the room is not a byte more than the whole needs. */
static rp_status writes(one_rank *r) {
  sentence *s = r->shared;
  char want[ROOM], data[ROOM + 8];
  writer w = {r, wanted(s, r->ranks, want)};
  memset(data, '#', sizeof data);
  int64_t n = word_of(s, r->rank, data);
  data[n] = '#';
  RPI_TRY(rpi_collect_merge(r->comm, data, &n, w.room + s->spare, append, &w));
  r->wrong += n != w.room || memcmp(data, want, (size_t)w.room) != 0;
  for (size_t i = (size_t)w.room; i < sizeof data; i++) r->wrong += data[i] != '#';
  return RP_OK;
}

/* Where the room is long, what is in use of it travels. */
static void merge_with(int64_t spare) {
  for (int32_t n = 1; n <= MOST; n++)
    for (int32_t silent = 0; silent <= EVERYBODY; silent++) {
      one_rank all[RANKS_MOST];
      sentence s = {.spare = spare, .silent = silent};
      char want[ROOM];
      if (silent == NOBODY && n == 11)
        assert_memory_equal(want, "0,1,2,3,4,5,6,7,8,9,10", (size_t)wanted(&s, n, want));
      ranks_run(all, n, writes, &s, 60);
      ranks_fine(all, n);
      for (int32_t i = 0; i < n; i++) assert_in_range(s.joins[i], 0, (unsigned)log2_up(n));
    }
}

static void test_merge(void **state) {
  (void)state;
  merge_with(0);
  longest = 0;
  merge_with(1 << 20);
  assert_in_range(longest, 1, ROOM);
}

/* Joins x and y to "(xy)": shows which blocks were joined. */
static void enclose(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  (void)arg;
  char *text = into;
  memmove(text + 1, text, (size_t)*n);
  text[0] = '(';
  memcpy(text + 1 + *n, from, (size_t)m);
  *n += m + 2;
  text[*n - 1] = ')';
}

static rp_status encloses(one_rank *r) {
  sentence *s = r->shared;
  char *text = s->text[r->rank];
  s->n[r->rank] = snprintf(text, ROOM, "%c", 'a' + r->rank);
  return rpi_collect_merge(r->comm, text, &s->n[r->rank], ROOM, enclose, NULL);
}

/* What is joined to what depends on the number of ranks only: bits of sums are the same everywhere. */
static void test_merge_shape(void **state) {
  (void)state;
  for (int32_t n = 1; n <= MOST; n++) {
    one_rank all[RANKS_MOST];
    sentence s = {0};
    ranks_run(all, n, encloses, &s, 60);
    ranks_fine(all, n);
    for (int32_t i = 0; i < n; i++) {
      assert_int_equal(s.n[i], s.n[0]);
      assert_memory_equal(s.text[i], s.text[0], (size_t)s.n[0]);
    }
    if (n == 6) assert_memory_equal(s.text[0], "(((ab)(cd))(ef))", (size_t)s.n[0]);
    if (n == 7) assert_memory_equal(s.text[0], "(((ab)(cd))((ef)g))", (size_t)s.n[0]);
  }
}

/* ---- gather ---- */

enum { MARGIN = 16, SHAPES = 5 };

typedef struct piece_sizes {
  int32_t shape, ranks;
} piece_sizes;

static int64_t piece_size(const piece_sizes *p, int32_t rank) {
  switch (p->shape) {
    case 0: return 8;
    case 1: return rank * 7 % 5 * 3;                    /* some are empty */
    case 2: return rank == p->ranks / 2 ? 100 : 0;      /* all but one */
    case 3: return rank == p->ranks - 1 ? 0 : rank + 1; /* the last */
    default: return 0;                                  /* all */
  }
}

typedef struct bounds {
  const piece_sizes *p;
  int32_t *asked; /* how often */
  int64_t *wrong;
} bounds;

static int64_t bound_of(const void *arg, int32_t rank) {
  const bounds *b = arg;
  int64_t at = MARGIN;
  ++*b->asked;
  *b->wrong += rank < 0 || rank > b->p->ranks;
  for (int32_t i = 0; i < rank; i++) at += piece_size(b->p, i);
  return at;
}

static unsigned char byte_of(int32_t rank, int64_t i) { return (unsigned char)(rank * 37 + i + 1); }

static rp_status collects(one_rank *r) {
  const piece_sizes *p = r->shared;
  int32_t asked = 0;
  const bounds b = {p, &asked, &r->wrong};
  const int64_t total = bound_of(&b, r->ranks) + MARGIN, mine = bound_of(&b, r->rank);
  unsigned char *data = calloc((size_t)total, 1);
  for (int64_t i = 0; i < piece_size(p, r->rank); i++) data[mine + i] = byte_of(r->rank, i);
  asked = 0;
  const rp_status st = rpi_collect_gather(r->comm, data, bound_of, &b);
  r->wrong += asked > 8 * log2_up(r->ranks);
  int64_t at = MARGIN;
  for (int32_t k = 0; k < r->ranks && st == RP_OK; k++)
    for (int64_t i = 0; i < piece_size(p, k); i++) r->wrong += data[at++] != byte_of(k, i);
  for (int32_t i = 0; i < MARGIN; i++) r->wrong += data[i] || data[total - 1 - i];
  free(data);
  return st;
}

static void test_gather(void **state) {
  (void)state;
  for (int32_t n = 1; n <= MOST; n++)
    for (int32_t shape = 0; shape < SHAPES; shape++) {
      one_rank all[RANKS_MOST];
      piece_sizes p = {shape, n};
      ranks_run(all, n, collects, &p, 60);
      ranks_fine(all, n);
    }
}

/* ---- one after another, and failures ---- */

/* Collectives of all kinds without a pause: one's messages are never taken for another's. */
static rp_status mixes(one_rank *r) {
  const piece_sizes p = {1, r->ranks};
  one_rank part = *r;
  for (int32_t i = 0; i < 50; i++) {
    sentence s = {.silent = i % 5};
    piece_sizes now = p;
    now.shape = i % SHAPES;
    rpi_comm_stamp(r->comm, (uint64_t)i);
    part.shared = &s;
    RPI_TRY(writes(&part));
    part.shared = &now;
    RPI_TRY(collects(&part));
    if (i % 3 == 0) RPI_TRY(rpi_collect_barrier(r->comm));
  }
  r->wrong = part.wrong;
  return RP_OK;
}

static void test_mixed(void **state) {
  (void)state;
  for (int32_t n = 2; n <= 9; n++) {
    one_rank all[RANKS_MOST];
    ranks_run(all, n, mixes, NULL, 60);
    ranks_fine(all, n);
  }
}

/* The last rank does not take part, and says so; what the others have is what they had. */
static rp_status misses_one(one_rank *r) {
  const int32_t kind = *(int32_t *)r->shared;
  char data[ROOM] = "x";
  int64_t n = 1;
  const piece_sizes p = {0, r->ranks};
  one_rank part = *r;
  part.shared = (void *)&p;
  if (r->rank == r->ranks - 1) {
    rpi_comm_abort(r->comm, "no more");
    return rpi_status_fail(RP_ERR_RANKS, "itself");
  }
  if (kind == 0) return rpi_collect_barrier(r->comm);
  if (kind == 1) return collects(&part);
  const rp_status st = rpi_collect_merge(r->comm, data, &n, ROOM, enclose, NULL);
  r->wrong += n != 1 || data[0] != 'x';
  return st;
}

static void test_missing(void **state) {
  (void)state;
  for (int32_t n = 2; n <= 9; n++)
    for (int32_t kind = 0; kind < 3; kind++) {
      one_rank all[RANKS_MOST];
      char want[64];
      snprintf(want, sizeof want, "rank %d: no more", n - 1);
      ranks_run(all, n, misses_one, &kind, 60);
      for (int32_t i = 0; i < n; i++) {
        rank_failed(&all[i], i == n - 1 ? "itself" : want);
        assert_int_equal(all[i].wrong, 0);
      }
    }
}

/* Without memory a merge fails before it sends anything. */
static rp_status has_no_memory(one_rank *r) {
  pthread_barrier_t *both = r->shared;
  char data[ROOM] = "x";
  int64_t n = 1;
  if (r->rank == 0)
    for (int64_t i = 1; i <= 2; i++) {
      rpi_alloc_inject(i);
      r->wrong += rpi_collect_merge(r->comm, data, &n, ROOM, enclose, NULL) != RP_ERR_MEMORY;
      rpi_alloc_inject(-1);
    }
  pthread_barrier_wait(both);
  RPI_TRY(rpi_collect_merge(r->comm, data, &n, ROOM, enclose, NULL));
  r->wrong += n != 4 || memcmp(data, "(xx)", 4) != 0;
  return RP_OK;
}

static void test_no_memory(void **state) {
  (void)state;
  one_rank all[2];
  pthread_barrier_t both;
  pthread_barrier_init(&both, NULL, 2);
  ranks_run(all, 2, has_no_memory, &both, 60);
  pthread_barrier_destroy(&both);
  ranks_fine(all, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_barrier),     cmocka_unit_test(test_merge),
      cmocka_unit_test(test_merge_shape), cmocka_unit_test(test_gather),
      cmocka_unit_test(test_mixed),       cmocka_unit_test(test_missing),
      cmocka_unit_test(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
