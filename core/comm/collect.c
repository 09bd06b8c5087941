/* SPDX-License-Identifier: Apache-2.0
 * core/comm/collect.c -- see collect.h.
 *
 * Lives here: who sends what to whom in each round of a barrier, a merge, a scan and a gather.
 * Not here:   messages themselves (comm.c), what is joined (the caller).
 * How:        barrier: dissemination (Hensgen, Finkel, Manber 1988). Gather: Bruck's allgather (1997) in place: ranks
 *             that follow each other on the circle have pieces that follow each other in the data, so nothing is
 *             packed; each byte reaches a rank once. Merge: recursive doubling over blocks of ranks (Thakur,
 *             Rabenseifner, Gropp 2005), always a left block with the right one beside it; what sizes have beyond a
 *             power of two is first folded between neighbours. Scan: Hillis, Steele (1986): before the round of d a
 *             rank has the sum of d ranks up to itself; the total is a merge.
 *             Messages of a merge are as long as the room; where that is much, the bytes in use, told before, are.
 * Invariants: both partners of a merge join the same two blocks in the same order, so all ranks have the same
 *             bits. Both sides compute a message's bytes from what all ranks know, rounds, room and bounds, or from
 *             what the message before it said. */
#include "core/comm/collect.h"

#include <string.h>

/* ---- barrier ---- */

rp_status rpi_collect_barrier(rpi_comm *c) {
  const int32_t size = rpi_comm_size(c), rank = rpi_comm_rank(c);
  for (int32_t d = 1; d < size; d *= 2) {
    char in = 0, out = 0;
    rpi_message m[2] = {
        {.data = &in, .bytes = 1, .peer = (rank - d + size) % size},
        {.data = &out, .bytes = 1, .peer = (rank + d) % size, .send = true},
    };
    RPI_TRY(rpi_comm_start(c, m, 2));
    RPI_TRY(rpi_comm_finish(c, m, 2));
  }
  return RP_OK;
}

/* ---- merge ---- */

/* What a second message costs, in the bytes that one more could have. */
enum { LONG_ROOM = 16 << 10 };

/* What some ranks beside each other hold. */
typedef struct block {
  int64_t n;
  RPI_ALIGNED(16) char data[];
} block;

typedef struct merge {
  rpi_comm *c;
  int64_t bytes; /* of a block */
  bool told;     /* how much of it is in use, before the data come */
  block *mine, *theirs;
  rpi_collect_join *join;
  void *arg;
} merge;

/* One message from `peer` into the block `in`, and one to it of the block `out`, of so many bytes from `at` on; a
 * block that is NULL, or has none, is not moved. */
static rp_status move_bytes(const merge *g, int32_t peer, size_t at, block *in, int64_t in_bytes,
                            block *out, int64_t out_bytes) {
  rpi_message m[2];
  int32_t n = 0;
  if (in && in_bytes > 0)
    m[n++] = (rpi_message){.data = (char *)in + at, .bytes = in_bytes, .peer = peer};
  if (out && out_bytes > 0)
    m[n++] =
        (rpi_message){.data = (char *)out + at, .bytes = out_bytes, .peer = peer, .send = true};
  if (n == 0) return RP_OK;
  RPI_TRY(rpi_comm_start(g->c, m, n));
  return rpi_comm_finish(g->c, m, n);
}

static rp_status move_blocks(const merge *g, int32_t peer, block *in, block *out) {
  if (!g->told) return move_bytes(g, peer, 0, in, g->bytes, out, g->bytes);
  if (in) in->n = 0;
  RPI_TRY(move_bytes(g, peer, 0, in, sizeof in->n, out, sizeof out->n));
  rpi_assert(!in || (in->n >= 0 && in->n <= g->bytes - (int64_t)sizeof(block)));
  return move_bytes(g, peer, offsetof(block, data), in, in ? in->n : 0, out, out ? out->n : 0);
}

/* Makes `mine` what it and `theirs` are together. */
static void join_blocks(merge *g, bool mine_is_left) {
  block *into = mine_is_left ? g->mine : g->theirs, *from = mine_is_left ? g->theirs : g->mine;
  g->join(g->arg, into->data, &into->n, from->data, from->n);
  rpi_assert(into->n >= 0 && into->n <= g->bytes - (int64_t)sizeof(block));
  g->mine = into;
  g->theirs = from;
}

/* Of the first 2 * pairs ranks each even one stands for itself and the next; those that stand for somebody, a power
 * of two of them, are numbered from 0. */
static int32_t rank_of_number(int32_t number, int32_t pairs) {
  return number < pairs ? 2 * number : number + pairs;
}

static rp_status double_blocks(merge *g, int32_t number, int32_t numbers, int32_t pairs) {
  for (int32_t d = 1; d < numbers; d *= 2) {
    const int32_t other = number ^ d, peer = rank_of_number(other, pairs);
    RPI_TRY(move_blocks(g, peer, g->theirs, g->mine));
    join_blocks(g, number < other);
  }
  return RP_OK;
}

static rp_status merge_all(merge *g) {
  const int32_t size = rpi_comm_size(g->c), rank = rpi_comm_rank(g->c);
  int32_t numbers = 1;
  while (numbers <= size / 2) numbers *= 2;
  const int32_t pairs = size - numbers;
  if (rank >= 2 * pairs) return double_blocks(g, rank - pairs, numbers, pairs);
  if (rank % 2) {
    RPI_TRY(move_blocks(g, rank - 1, NULL, g->mine));
    return move_blocks(g, rank - 1, g->mine, NULL);
  }
  RPI_TRY(move_blocks(g, rank + 1, g->theirs, NULL));
  join_blocks(g, true);
  RPI_TRY(double_blocks(g, rank / 2, numbers, pairs));
  return move_blocks(g, rank + 1, NULL, g->mine);
}

rp_status rpi_collect_merge(rpi_comm *c, void *data, int64_t *n, int64_t room,
                            rpi_collect_join *join, void *arg) {
  rpi_assert(*n >= 0 && *n <= room);
  if (rpi_comm_size(c) == 1) return RP_OK;
  merge g = {.c = c,
             .bytes = (int64_t)sizeof(block) + room,
             .told = room > LONG_ROOM,
             .join = join,
             .arg = arg};
  const int64_t each = (g.bytes + 15) / 16 * 16;
  char *memory = rpi_comm_scratch(c, 2 * each);
  if (!memory) return RP_ERR_MEMORY;
  if (!g.told) memset(memory, 0, (size_t)(2 * each)); /* what is not in use travels, too */
  g.mine = (block *)memory;
  g.theirs = (block *)(memory + each);
  g.mine->n = *n;
  if (*n) memcpy(g.mine->data, data, (size_t)*n);
  RPI_TRY(merge_all(&g));
  *n = g.mine->n;
  if (*n) memcpy(data, g.mine->data, (size_t)*n);
  return RP_OK;
}

/* ---- scan ---- */

static void add_up(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  (void)arg, (void)n, (void)m;
  *(int64_t *)into += *(const int64_t *)from;
}

rp_status rpi_collect_scan(rpi_comm *c, int64_t n, int64_t *before, int64_t *all) {
  const int32_t size = rpi_comm_size(c), rank = rpi_comm_rank(c);
  int64_t bytes = sizeof *all;
  *before = 0;
  *all = n;
  if (size == 1 || rpi_comm_dry(c)) return RP_OK;
  /* In the round of d a rank knows the sum over itself and up to d - 1 ranks before it. */
  for (int32_t d = 1; d < size; d *= 2) {
    int64_t out = (int64_t)((uint64_t)*before + (uint64_t)n), in = 0; /* sums wrap */
    rpi_message m[2];
    int32_t k = 0;
    if (rank >= d) m[k++] = (rpi_message){.data = &in, .bytes = sizeof in, .peer = rank - d};
    if (rank < size - d)
      m[k++] = (rpi_message){.data = &out, .bytes = sizeof out, .peer = rank + d, .send = true};
    RPI_TRY(rpi_comm_start(c, m, k));
    RPI_TRY(rpi_comm_finish(c, m, k));
    *before = (int64_t)((uint64_t)*before + (uint64_t)in);
  }
  return rpi_collect_merge(c, all, &bytes, bytes, add_up, NULL);
}

/* ---- gather ---- */

/* Writes the messages for the pieces of `count` ranks from `first` on, on the circle: those before the end of the
 * data, then those at its start. Returns how many are not empty. */
static int32_t pieces(rpi_message *m, char *data, rpi_collect_bound *bound, const void *arg,
                      int32_t size, int32_t first, int32_t count) {
  const int32_t before = count < size - first ? count : size - first;
  const int32_t from[] = {first, 0}, to[] = {first + before, count - before};
  int32_t n = 0;
  for (int32_t i = 0; i < 2; i++) {
    if (from[i] == to[i]) continue;
    const int64_t begin = bound(arg, from[i]), end = bound(arg, to[i]);
    rpi_assert(begin <= end);
    if (begin < end) m[n++] = (rpi_message){.data = data + begin, .bytes = end - begin};
  }
  return n;
}

rp_status rpi_collect_gather(rpi_comm *c, void *data, rpi_collect_bound *bound, const void *arg) {
  const int32_t size = rpi_comm_size(c), rank = rpi_comm_rank(c);
  /* Before the round of d a rank has the pieces of d ranks from itself on. */
  for (int32_t d = 1; d < size; d *= 2) {
    const int32_t count = d < size - d ? d : size - d;
    const int32_t source = (rank + d) % size, target = (rank - d + size) % size;
    rpi_message m[4];
    const int32_t receives = pieces(m, data, bound, arg, size, source, count);
    const int32_t n = receives + pieces(m + receives, data, bound, arg, size, rank, count);
    for (int32_t i = 0; i < n; i++) {
      m[i].send = i >= receives;
      m[i].peer = m[i].send ? target : source;
    }
    RPI_TRY(rpi_comm_start(c, m, n));
    RPI_TRY(rpi_comm_finish(c, m, n));
  }
  return RP_OK;
}
