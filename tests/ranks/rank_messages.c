/* SPDX-License-Identifier: Apache-2.0
 * tests/ranks/rank_messages.c -- one rank of a job of processes: messages of all kinds, or one fault.
 *
 *   rank_messages [MODE]   started by mpirun or alone; tests/ranks/run_ranks.py does
 *
 * Without a mode all messages are checked, and rank 0 prints "ok". With a mode rank 1 does what it says in
 * the middle of exchanges without end. It links the core alone: what is tested is below any array. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/comm/collect.h"
#include "core/comm/comm.h"

enum { LARGE = 4 << 20, MANY = 200, FAULT_AT = 20 };

static rpi_comm *comm;
static int32_t rank, size;

static void give_up(const char *why) {
  if (comm) rpi_comm_abort(comm, why);
  fprintf(stderr, "rank_messages: %s\n", why);
  exit(1);
}

static void must(rp_status st) {
  if (st != RP_OK) give_up(rpi_status_message());
}

static void check(bool right, const char *what) {
  if (!right) give_up(what);
}

static unsigned char *bytes_of(int64_t n) {
  unsigned char *p = malloc((size_t)n);
  check(p != NULL, "no memory");
  return p;
}

/* What rank `from` sends as its k-th message. */
static void fill(unsigned char *p, int64_t n, int32_t from, int32_t k) {
  for (int64_t i = 0; i < n; i++) p[i] = (unsigned char)(from * 31 + k * 7 + i % 251);
}

static bool is_filled(const unsigned char *p, int64_t n, int32_t from, int32_t k) {
  for (int64_t i = 0; i < n; i++)
    if (p[i] != (unsigned char)(from * 31 + k * 7 + i % 251)) return false;
  return true;
}

/* To and from both neighbours of the ring; the data are in out[2] and in[2]. */
static void exchange(unsigned char *const out[2], unsigned char *const in[2], int64_t n) {
  const int32_t left = (rank + size - 1) % size, right = (rank + 1) % size;
  rpi_message m[4] = {
      {.data = in[0], .bytes = n, .peer = left},
      {.data = in[1], .bytes = n, .peer = right},
      {.data = out[0], .bytes = n, .peer = right, .send = true},
      {.data = out[1], .bytes = n, .peer = left, .send = true},
  };
  must(rpi_comm_start(comm, m, 4));
  must(rpi_comm_finish(comm, m, 4));
}

static void ring(int64_t n, int32_t times) {
  unsigned char *out[2] = {bytes_of(n), bytes_of(n)}, *in[2] = {bytes_of(n), bytes_of(n)};
  const int32_t left = (rank + size - 1) % size, right = (rank + 1) % size;
  for (int32_t k = 0; k < times; k++) {
    fill(out[0], n, rank, k);
    fill(out[1], n, rank, k + 100);
    exchange(out, in, n);
    check(is_filled(in[0], n, left, k), "the left neighbour's bytes are wrong");
    check(is_filled(in[1], n, right, k + 100), "the right neighbour's bytes are wrong");
  }
  for (int32_t i = 0; i < 2; i++) {
    free(out[i]);
    free(in[i]);
  }
}

static double micros_of_ring(int32_t times) {
  unsigned char bytes[32];
  unsigned char *const out[2] = {bytes, bytes + 8}, *const in[2] = {bytes + 16, bytes + 24};
  memset(bytes, 0, sizeof bytes);
  exchange(out, in, 8);
  const int64_t began = rpi_clock_ns();
  for (int32_t k = 0; k < times; k++) exchange(out, in, 8);
  return 1e-3 * (double)(rpi_clock_ns() - began) / times;
}

/* Every rank to every rank, itself too: sizes from 1 byte up, all under way at once; the receives of one half
 * of the ranks are started before the sends, those of the other half after. */
static void everything_at_once(void) {
  const int32_t n = MANY * size;
  rpi_message *send = calloc((size_t)n, sizeof *send),
              *receive = calloc((size_t)n, sizeof *receive);
  check(send && receive, "no memory");
  for (int32_t k = 0; k < n; k++) {
    const int64_t bytes = 1 + (int64_t)(k / size) * 97;
    send[k] =
        (rpi_message){.data = bytes_of(bytes), .bytes = bytes, .peer = k % size, .send = true};
    receive[k] = (rpi_message){.data = bytes_of(bytes), .bytes = bytes, .peer = k % size};
    fill(send[k].data, bytes, rank, k / size);
  }
  must(rpi_comm_start(comm, rank % 2 ? send : receive, n));
  must(rpi_comm_start(comm, rank % 2 ? receive : send, n));
  must(rpi_comm_finish(comm, receive, n));
  must(rpi_comm_finish(comm, send, n));
  for (int32_t k = 0; k < n; k++) {
    check(is_filled(receive[k].data, receive[k].bytes, k % size, k / size), "one of many is wrong");
    free(send[k].data);
    free(receive[k].data);
  }
  free(send);
  free(receive);
}

/* The words of both, one after the other: not commutative. */
static void append(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  (void)arg;
  memcpy((char *)into + *n, from, (size_t)m);
  *n += m;
}

static int64_t first_byte(const void *arg, int32_t r) {
  (void)arg;
  return 8 * (int64_t)r * r; /* rank 0 has 8 bytes, rank 1 has 24, ... */
}

static void collectives(void) {
  const int64_t room = 8 * (int64_t)size;
  int64_t *words = (int64_t *)bytes_of(room), n = 8;
  words[0] = rank;
  must(rpi_collect_merge(comm, words, &n, room, append, NULL));
  check(n == room, "the merge has another length");
  for (int32_t r = 0; r < size; r++) check(words[r] == r, "the merge is not in the order of ranks");
  free(words);

  const int64_t all = first_byte(NULL, size);
  unsigned char *data = bytes_of(all);
  memset(data, 255, (size_t)all);
  fill(data + first_byte(NULL, rank), first_byte(NULL, rank + 1) - first_byte(NULL, rank), rank, 3);
  must(rpi_collect_gather(comm, data, first_byte, NULL));
  for (int32_t r = 0; r < size; r++)
    check(
        is_filled(data + first_byte(NULL, r), first_byte(NULL, r + 1) - first_byte(NULL, r), r, 3),
        "a gathered piece is wrong");
  free(data);
  must(rpi_collect_barrier(comm));
}

static void messages(void) {
  ring(8, 50);
  ring(64 << 10, 10);
  ring(LARGE, 3);
  everything_at_once();
  collectives();
  const double micros = micros_of_ring(1000);
  must(rpi_collect_barrier(comm));
  if (rank == 0) printf("ok: %d ranks, %.2f us for 8 bytes each way\n", size, micros);
}

/* ---- faults ---- */

static int64_t bytes_in_fault = 64;

static void commit_fault(const char *mode) {
  if (strcmp(mode, "kill") == 0) raise(SIGKILL);
  if (strcmp(mode, "stop") == 0) raise(SIGSTOP);
  if (strcmp(mode, "exit0") == 0) exit(0);
  if (strcmp(mode, "exit1") == 0) exit(1);
  if (strcmp(mode, "leave") == 0) rpi_comm_close(comm, false), comm = NULL, sleep(30);
  if (strcmp(mode, "abort") == 0) give_up("the matrix is singular");
  if (strcmp(mode, "diverge") == 0) rpi_comm_stamp(comm, 43);
  if (strcmp(mode, "size") == 0) bytes_in_fault = 80;
}

static void faults(const char *mode) {
  unsigned char *out[2] = {bytes_of(80), bytes_of(80)}, *in[2] = {bytes_of(80), bytes_of(80)};
  memset(out[0], 0, 80);
  memset(out[1], 0, 80);
  rpi_comm_stamp(comm, 42);
  for (int32_t k = 0;; k++) {
    if (rank == 1 && k == FAULT_AT) commit_fault(mode);
    exchange(out, in, bytes_in_fault);
  }
}

static void open_comm(void) {
  rpi_config config;
  must(rpi_config_init(&config, NULL));
  must(rpi_comm_open(&config, &comm));
  rpi_config_deinit(&config);
  rank = rpi_comm_rank(comm);
  size = rpi_comm_size(comm);
}

int main(int argc, char **argv) {
  open_comm();
  if (!comm) {
    printf("ok: a process alone\n");
    return 0;
  }
  if (argc > 1) faults(argv[1]);
  messages();
  rpi_comm *first = comm;
  open_comm(); /* beside the first */
  ring(8, 3);
  rpi_comm_close(first, true);
  ring(8, 3);
  rpi_comm_close(comm, true);
  open_comm(); /* after all were closed */
  ring(8, 3);
  rpi_comm_close(comm, true);
  return 0;
}
