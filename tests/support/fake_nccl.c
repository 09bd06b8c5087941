/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fake_nccl.c -- a library in NCCL's place, for ranks that are threads of one process, on the emulated GPU.
 * Lives here: the functions of core/device/nccl.def. What the real one forbids aborts: other bytes sent than received, a call
 *             while another goes on, an end within a group, memory or streams of another GPU, messages that GPUs of one process
 *             would fetch from each other's memory. Not here: collectives.
 * How:        a group is one piece of work of its stream, which ends when all its messages have moved; a message moves when the
 *             streams of both its sides have come to it. Communicators that do not block (a config says so) queue a group only
 *             some questions after ncclGroupEnd has returned, so that who does not ask queues too early. Nothing is freed, only
 *             ended.
 * Build:      FAKE_VERSION is the version it says, negative: that it cannot; FAKE_LACKS a symbol that is not exported;
 *             FAKE_EARLY: nothing that NCCL 2.7 had not. One that says its version is steered by the one that does not.
 * Locks:      the emulator's is taken first: nothing of the emulator is called under ours but what a step may call. */
#include "tests/support/fake_nccl.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/device/nccl_types.h"
#include "tests/emulator/emu.h"

#ifdef FAKE_VERSION
#define FAKE_OTHER
#else
#define FAKE_VERSION 22809
#endif

#ifndef FAKE_OTHER
struct fake_nccl fake_nccl;
#endif

typedef struct message {
  struct message *next; /* of the same communicator, the one posted before */
  struct message *match;
  ncclComm_t comm;
  CUstream stream;
  struct emu_range range;
  int64_t number; /* among those of these two ranks, this way */
  int peer;
  bool send, reached, moved;
} message;

typedef struct group {
  ncclComm_t comm;
  CUstream stream;
  message *all[1024];
  int n;
} group;

typedef struct world {
  struct world *next;
  int64_t id;
  int size, there, leaving;
  ncclComm_t ranks[FAKE_NCCL_RANKS];
} world;

struct ncclComm {
  world *world;
  int rank, device;
  bool blocks, ended, leaving;
  ncclResult_t error;
  message *posted;
  int64_t sent[FAKE_NCCL_RANKS], received[FAKE_NCCL_RANKS];
  group *late; /* to be queued */
  int wait;    /* questions until then */
  int under_way;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static world *worlds;
static int64_t ids;
static uint32_t chance = 1;
static char last[256];

/* Of this thread. */
static _Thread_local int my_rank = -1, depth;
static _Thread_local group *mine;
static _Thread_local ncclResult_t group_error;

static void check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void check(bool holds, const char *format, ...) {
  va_list args;
  if (holds) return;
  va_start(args, format);
  fputs("fake NCCL: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  abort();
}

/* Zeroed memory, which is never freed and never lost. */
static void *get(size_t bytes) {
  struct block {
    struct block *before;
    _Alignas(16) char data[];
  };
  static _Atomic(struct block *) newest;
  struct block *b = calloc(1, sizeof *b + bytes);
  check(b, "the host has no %zu bytes", bytes);
  b->before = atomic_load(&newest);
  while (!atomic_compare_exchange_weak(&newest, &b->before, b)) continue;
  return b->data;
}

static void lock(void) { pthread_mutex_lock(&mutex); }
static void unlock(void) { pthread_mutex_unlock(&mutex); }

#ifndef FAKE_OTHER
void fake_nccl_break(int rank, int code) {
  lock();
  fake_nccl.broken[rank] = code;
  unlock();
}

void fake_nccl_reset(void) {
  lock();
  check(!fake_nccl.comms, "%d communicators are alive", fake_nccl.comms);
  fake_nccl = (struct fake_nccl){0};
  *last = 0;
  unlock();
}
#endif

static int pick(int n) {
  chance = chance * 1664525u + 1013904223u;
  return (int)((chance >> 8) % (uint32_t)n);
}

static ncclResult_t ordered(const char *call) {
  ncclResult_t code = ncclSuccess;
  lock();
  if (fake_nccl.fail_call && my_rank == fake_nccl.fail_rank &&
      strcmp(call, fake_nccl.fail_call) == 0 && --fake_nccl.fail_n == 0) {
    code = (ncclResult_t)fake_nccl.fail_code;
    snprintf(last, sizeof last, "%s of rank %d was to fail", call, my_rank);
  }
  unlock();
  return code;
}

/* The fault that a test has ordered for this call. */
#define GATE(call) \
  const ncclResult_t fault = ordered(call); \
  if (fault != ncclSuccess) return fault

/* It is there, and nothing of it goes on behind a call that has returned. */
static void free_to_use(ncclComm_t c, const char *call) {
  check(c && !c->ended, "%s: the communicator has ended", call);
  lock();
  const bool there = c->world->there == c->world->size;
  unlock();
  check(there && !c->late, "%s: an earlier call still goes on", call);
}

/* ---- words */

FAKE_API ncclResult_t ncclGetVersion(int *version);
ncclResult_t ncclGetVersion(int *version) {
  *version = FAKE_VERSION;
  return FAKE_VERSION < 0 ? ncclSystemError : ncclSuccess;
}

FAKE_API const char *ncclGetErrorString(ncclResult_t result);
const char *ncclGetErrorString(ncclResult_t result) {
  static const char *const all[] = {"no error",
                                    "unhandled cuda error",
                                    "unhandled system error",
                                    "internal error",
                                    "invalid argument",
                                    "invalid usage",
                                    "remote process exited",
                                    "NCCL operation in progress"};
  return (size_t)result < sizeof all / sizeof *all ? all[result] : "unknown result code";
}

FAKE_API const char *ncclGetLastError(ncclComm_t comm);
const char *ncclGetLastError(ncclComm_t comm) {
  (void)comm;
  return last;
}

/* ---- coming and going */

FAKE_API ncclResult_t ncclGetUniqueId(ncclUniqueId *id);
ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  GATE("ncclGetUniqueId");
  memset(id, 0x5A, sizeof *id);
  lock();
  const int64_t number = ++ids;
  memcpy(id->internal + 64, &number, sizeof number);
  unlock();
  return ncclSuccess;
}

static world *world_of(const ncclUniqueId *id, int size) {
  int64_t number;
  memcpy(&number, id->internal + 64, sizeof number);
  check(number > 0 && number <= ids && id->internal[127] == 0x5A, "no id of ncclGetUniqueId");
  for (world *w = worlds; w; w = w->next)
    if (w->id == number) return w;
  world *w = get(sizeof *w);
  *w = (world){.next = worlds, .id = number, .size = size};
  return worlds = w;
}

/* All are there: those who share a GPU are refused, and so the others miss them. */
static void complete(world *w) {
  const char *shared = getenv("FAKE_NCCL_SHARED");
  bool refused = false;
  if (shared && *shared == '1') return;
  for (int i = 0; i < w->size; i++)
    for (int k = 0; k < w->size; k++) {
      ncclComm_t a = w->ranks[i];
      if (i == k || a->device != w->ranks[k]->device) continue;
      a->error = ncclInvalidUsage;
      refused = true;
      snprintf(last, sizeof last,
               "Duplicate GPU detected : rank %d and rank %d both on CUDA device %x000", i, k,
               (unsigned)a->device + 1);
    }
  for (int i = 0; refused && i < w->size; i++)
    if (!w->ranks[i]->error) w->ranks[i]->error = ncclRemoteError;
}

static ncclComm_t come(const ncclUniqueId *id, int size, int rank, bool blocks) {
  check(size >= 1 && size <= FAKE_NCCL_RANKS && rank >= 0 && rank < size, "rank %d of %d", rank,
        size);
  ncclComm_t c = get(sizeof *c);
  *c = (struct ncclComm){.rank = rank, .device = emu_current(), .blocks = blocks};
  check(c->device >= 0, "no context is current");
  lock();
  world *w = world_of(id, size);
  check(w->size == size && !w->ranks[rank], "rank %d of %d has joined before, or others %d", rank,
        size, w->size);
  c->world = w;
  w->ranks[rank] = c;
  fake_nccl.comms++;
  fake_nccl.joined++;
  if (++w->there == size) complete(w);
  unlock();
  return c;
}

FAKE_API ncclResult_t ncclCommInitRank(ncclComm_t *comm, int size, ncclUniqueId id, int rank);
ncclResult_t ncclCommInitRank(ncclComm_t *comm, int size, ncclUniqueId id, int rank) {
  my_rank = rank;
  GATE("ncclCommInitRank");
  *comm = come(&id, size, rank, true);
  for (bool there = false; !there; usleep(50)) {
    lock();
    there = (*comm)->world->there == size;
    unlock();
  }
  return (*comm)->error;
}

FAKE_API ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int size, ncclUniqueId id, int rank,
                                             ncclConfig_t *config);
ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
  my_rank = rank;
  GATE("ncclCommInitRankConfig");
  check(config->size >= sizeof *config && config->magic == RPI_NCCL_CONFIG_MAGIC &&
            config->version >= RPI_NCCL_CONFIG_VERSION,
        "a config that was not begun as one");
  if (config->blocking) return ncclCommInitRank(comm, size, id, rank);
  *comm = come(&id, size, rank, false);
  return ncclInProgress;
}

static void end(ncclComm_t c, const char *call) {
  check(c && !c->ended, "%s: the communicator has ended", call);
  check(!depth, "%s within a group", call);
  lock();
  c->ended = true;
  fake_nccl.comms--;
  unlock();
}

FAKE_API ncclResult_t ncclCommFinalize(ncclComm_t c);
ncclResult_t ncclCommFinalize(ncclComm_t c) {
  GATE("ncclCommFinalize");
  free_to_use(c, "ncclCommFinalize");
  check(!c->leaving && !depth, "ncclCommFinalize again, or within a group");
  lock();
  c->leaving = true;
  c->world->leaving++;
  unlock();
  return c->blocks ? ncclSuccess : ncclInProgress;
}

FAKE_API ncclResult_t ncclCommDestroy(ncclComm_t c);
ncclResult_t ncclCommDestroy(ncclComm_t c) {
  GATE("ncclCommDestroy");
  free_to_use(c, "ncclCommDestroy");
  check(emu_current() == c->device, "ncclCommDestroy: the context of GPU %d is not current",
        c->device);
  lock();
  check(!c->under_way, "ncclCommDestroy: %d groups are under way", c->under_way);
  fake_nccl.destroyed++;
  unlock();
  end(c, "ncclCommDestroy");
  return ncclSuccess;
}

FAKE_API ncclResult_t ncclCommAbort(ncclComm_t c);
ncclResult_t ncclCommAbort(ncclComm_t c) {
  end(c, "ncclCommAbort");
  lock();
  fake_nccl.aborted++;
  if (!c->leaving) c->world->leaving++;
  unlock();
  return ordered("ncclCommAbort");
}

/* ---- groups */

/* A message that both sides have posted, and not yet found each other, find each other. Under the lock. */
static void match(message *m) {
  const ncclComm_t there = m->comm->world->ranks[m->peer];
  for (message *o = there->posted; o; o = o->next)
    if (!o->match && o != m && o->peer == m->comm->rank && o->send != m->send &&
        o->number == m->number) {
      const message *s = m->send ? m : o, *r = m->send ? o : m;
      check(s->range.bytes == r->range.bytes,
            "rank %d sends %zu bytes to rank %d, which receives %zu", s->comm->rank, s->range.bytes,
            r->comm->rank, r->range.bytes);
      m->match = o;
      o->match = m;
      return;
    }
}

/* Ranks of one process: the real one would let each GPU touch the other's messages where they lie, which memory of pools and
 * granules is not open for. */
static bool goes_directly(void) {
  const char *not_so = getenv("NCCL_P2P_DIRECT_DISABLE");
  return !not_so || strcmp(not_so, "1") != 0;
}

/* The other side's stream has not come to it; NULL: there is none, or it has. Else the message moves. Under the lock. */
static CUstream move(message *m) {
  message *o = m->match;
  if (m->moved || !o || o->comm->ended) return NULL;
  if (!o->reached) return o->stream;
  check(!goes_directly(), "a message touches memory that is not open to GPU %d", o->comm->device);
  emu_range_copy(m->send ? &o->range : &m->range, m->send ? &m->range : &o->range);
  m->moved = o->moved = true;
  fake_nccl.bytes += (int64_t)m->range.bytes;
  return NULL;
}

/* One attempt at all of them, in any order; true: it can end. */
static bool attempt(group *g, CUstream *behind) {
  bool all = true;
  lock();
  for (int i = 0, first = pick(g->n); i < g->n; i++) {
    message *m = g->all[(first + i) % g->n];
    m->reached = true;
    const CUstream other = move(m);
    if (other) *behind = other;
    all = all && m->moved;
  }
  const bool ends = all || g->comm->ended || fake_nccl.broken[g->comm->rank];
  if (ends) g->comm->under_way--;
  unlock();
  return ends;
}

static int step(void *arg) {
  CUstream behind = NULL;
  if (attempt(arg, &behind)) return 1;
  if (!behind) return 0;
  emu_stream_work(behind);
  return attempt(arg, &behind);
}

static ncclResult_t queue(group *g) {
  lock();
  g->comm->under_way++;
  fake_nccl.groups++;
  for (int i = 0; i < g->n; i++) {
    message *m = g->all[i];
    m->number = m->send ? g->comm->sent[m->peer]++ : g->comm->received[m->peer]++;
    m->next = g->comm->posted;
    g->comm->posted = m;
    *(m->send ? &fake_nccl.sends : &fake_nccl.receives) += 1;
    match(m);
  }
  unlock();
  return emu_stream_step(g->stream, step, g) == CUDA_SUCCESS ? ncclSuccess : ncclUnhandledCudaError;
}

FAKE_API ncclResult_t ncclGroupStart(void);
ncclResult_t ncclGroupStart(void) {
  GATE("ncclGroupStart");
  if (!depth++) {
    mine = NULL;
    group_error = ncclSuccess;
  }
  return ncclSuccess;
}

static ncclResult_t close_group(void) {
  group *g = mine;
  if (group_error != ncclSuccess || !g) return group_error;
  if (g->comm->blocks) return queue(g);
  lock();
  g->comm->late = g;
  g->comm->wait = pick(4);
  unlock();
  return ncclInProgress;
}

FAKE_API ncclResult_t ncclGroupEnd(void);
ncclResult_t ncclGroupEnd(void) {
  check(depth > 0, "ncclGroupEnd without ncclGroupStart");
  depth--;
  GATE("ncclGroupEnd");
  return depth ? ncclSuccess : close_group();
}

static ncclResult_t post(CUdeviceptr at, size_t bytes, ncclDataType_t type, int peer, ncclComm_t c,
                         CUstream stream, bool send) {
  free_to_use(c, send ? "ncclSend" : "ncclRecv");
  check(type == ncclUint8 && bytes > 0, "%zu elements of type %d", bytes, (int)type);
  if (peer < 0 || peer >= c->world->size) return ncclInvalidArgument;
  message *m = get(sizeof *m);
  *m = (message){.comm = c, .stream = stream, .peer = peer, .send = send};
  emu_range(stream, at, bytes, &m->range);
  check(emu_current() == c->device, "a message: the context of GPU %d is not current", c->device);
  if (!depth) mine = NULL;
  if (!mine) {
    mine = get(sizeof *mine);
    *mine = (group){.comm = c, .stream = stream};
  }
  check(mine->comm == c && mine->stream == stream, "a group of two communicators or streams");
  check(mine->n < 1024, "a group of more than 1024 messages");
  mine->all[mine->n++] = m;
  return depth ? ncclSuccess : close_group();
}

static ncclResult_t in_group(ncclResult_t result) {
  if (depth && result != ncclSuccess) group_error = result;
  return result;
}

FAKE_API ncclResult_t ncclSend(const void *data, size_t n, ncclDataType_t type, int peer,
                               ncclComm_t c, cudaStream_t stream);
ncclResult_t ncclSend(const void *data, size_t n, ncclDataType_t type, int peer, ncclComm_t c,
                      cudaStream_t stream) {
  const ncclResult_t fault = ordered("ncclSend");
  if (fault != ncclSuccess) return in_group(fault);
  return in_group(post((CUdeviceptr)(uintptr_t)data, n, type, peer, c, stream, true));
}

FAKE_API ncclResult_t ncclRecv(void *data, size_t n, ncclDataType_t type, int peer, ncclComm_t c,
                               cudaStream_t stream);
ncclResult_t ncclRecv(void *data, size_t n, ncclDataType_t type, int peer, ncclComm_t c,
                      cudaStream_t stream) {
  const ncclResult_t fault = ordered("ncclRecv");
  if (fault != ncclSuccess) return in_group(fault);
  return in_group(post((CUdeviceptr)(uintptr_t)data, n, type, peer, c, stream, false));
}

/* What goes on comes on a little. */
static ncclResult_t progress(ncclComm_t c, group **due) {
  const world *w = c->world;
  fake_nccl.asked++;
  if (fake_nccl.broken[c->rank]) {
    snprintf(last, sizeof last, "rank %d is broken", c->rank);
    return (ncclResult_t)fake_nccl.broken[c->rank];
  }
  if (c->error) return c->error;
  if (w->there < w->size || (c->leaving && w->leaving < w->size)) return ncclInProgress;
  if (!c->late) return ncclSuccess;
  if (c->wait-- > 0) return ncclInProgress;
  *due = c->late;
  c->late = NULL;
  return ncclSuccess;
}

FAKE_API ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *error);
ncclResult_t ncclCommGetAsyncError(ncclComm_t c, ncclResult_t *error) {
  GATE("ncclCommGetAsyncError");
  check(c && !c->ended, "ncclCommGetAsyncError: the communicator has ended");
  group *due = NULL;
  lock();
  *error = progress(c, &due);
  unlock();
  if (due) *error = queue(due);
  return ncclSuccess;
}

#ifdef FAKE_LACKS
__asm__(".hidden " FAKE_LACKS);
#endif
#ifdef FAKE_EARLY
__asm__(".hidden ncclCommInitRankConfig\n.hidden ncclCommFinalize\n.hidden ncclGetLastError");
#endif
