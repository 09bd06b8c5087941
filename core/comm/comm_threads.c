/* SPDX-License-Identifier: Apache-2.0
 * core/comm/comm_threads.c -- the transport whose ranks are threads of one process.
 *
 * Lives here: worlds, that is how ranks find each other by name, and their mailboxes.
 * Not here:   waiting, keeping the first failure (comm.c), the watchdog (watch.c).
 * How:        a world is in the registry from its first open until all of its ranks have come, or one of them
 *             has waited in vain. A sender copies its message into a letter and puts that into the receiver's
 *             box; the receiver takes all letters out at once, sorts them into one channel per peer, and there
 *             the k-th letter meets the k-th receive. Channels are made when a peer is first heard of or
 *             waited for, so a rank's memory follows the peers it has.
 * Invariants: a message's memory is touched only by the thread of its own rank, within start and progress: who
 *             has failed may free it at once. A rank's record stays until the last rank of the world has closed,
 *             so a letter always finds its box. Locks: the registry's before a box's.
 * Threads:    `registry.lock` guards the list, and of each world `state`, `here`, `member` until complete, and the
 *             writing of `why`; a box's lock guards its letters and notes; channels belong to their rank's thread. */
#include "core/comm/transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/base/alloc.h"
#include "core/base/map.h"
#include "core/base/strbuf.h"

enum { WHY = 1000, NAMED = 8 /* missing ranks that a sentence lists */ };

typedef struct link {
  struct link *next;
} link;

typedef struct queue {
  link *first, *last;
} queue;

/* A message on its way. */
typedef struct letter {
  link link; /* first: a link of a queue of letters is a letter */
  int32_t from;
  uint64_t stamp;
  int64_t bytes;
  RPI_ALIGNED(16) char data[];
} letter;

typedef struct noted {
  link link;
  rpi_note note;
} noted;

/* A receive without its letter. */
typedef struct receive {
  link link;
  rpi_message *m;
  uint64_t stamp;
} receive;

/* What came from one peer, and what is to come; one of the queues is always empty. */
typedef struct channel {
  int32_t peer;
  queue letters, receives;
} channel;

typedef struct member {
  struct world *world;
  int32_t rank;
  pthread_mutex_t lock;
  pthread_cond_t arrived;
  queue box, notes;
  atomic_bool filled, has_notes; /* box and notes are not empty: polled without the lock */
  int32_t odd;                   /* see transport.h */
  rpi_map channels;              /* by peer */
} member;

typedef struct world {
  struct world *next; /* in the registry */
  char *name;
  int32_t size;
  int32_t here; /* have come and not left */
  enum { GATHERING, COMPLETE, GIVEN_UP } state;
  pthread_cond_t changed; /* `state`; waits with the registry's lock */
  atomic_bool broken;     /* set after `why`, which then stays */
  char why[WHY];          /* of `broken`, or of GIVEN_UP */
  member *member[];
} world;

static struct {
  pthread_mutex_t lock;
  world *first;
} registry = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- queues and time ---- */

static void put(queue *q, link *l) {
  l->next = NULL;
  if (q->first)
    q->last->next = l;
  else
    q->first = l;
  q->last = l;
}

static void *take(queue *q) {
  link *l = q->first;
  if (l) q->first = l->next;
  return l;
}

static void drop(queue *q) {
  for (void *l; (l = take(q)) != NULL;) rpi_alloc_free(l);
}

static void condition_init(pthread_cond_t *cond) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(cond, &attr);
  pthread_condattr_destroy(&attr);
}

static struct timespec after_ms(int64_t ms) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  t.tv_sec += ms / 1000;
  t.tv_nsec += ms % 1000 * 1000000;
  if (t.tv_nsec >= 1000000000) {
    t.tv_sec++;
    t.tv_nsec -= 1000000000;
  }
  return t;
}

/* ---- ranks and worlds ---- */

static member *member_create(int32_t rank) {
  member *me = rpi_alloc_zero(sizeof *me);
  if (!me) return NULL;
  me->rank = rank;
  me->odd = -1;
  pthread_mutex_init(&me->lock, NULL);
  condition_init(&me->arrived);
  rpi_map_init(&me->channels);
  return me;
}

static void member_free(member *me) {
  if (!me) return;
  for (int32_t i = 0; i < me->channels.cap; i++) {
    channel *ch = me->channels.slots[i].value;
    if (!ch) continue;
    drop(&ch->letters);
    drop(&ch->receives);
    rpi_alloc_free(ch);
  }
  rpi_map_deinit(&me->channels);
  drop(&me->box);
  drop(&me->notes);
  pthread_cond_destroy(&me->arrived);
  pthread_mutex_destroy(&me->lock);
  rpi_alloc_free(me);
}

/* A new world in the registry; NULL: out of memory. */
static world *world_create(const char *name, int32_t size) {
  world *w = rpi_alloc_zero(sizeof *w + (size_t)size * sizeof w->member[0]);
  char *copy = rpi_alloc_string(name);
  if (!w || !copy) {
    rpi_alloc_free(w);
    rpi_alloc_free(copy);
    return NULL;
  }
  w->name = copy;
  w->size = size;
  condition_init(&w->changed);
  w->next = registry.first;
  registry.first = w;
  return w;
}

/* Takes it out of the registry, in its final state, and tells those who wait for that. */
static void world_settle(world *w, int32_t state) {
  world **at = &registry.first;
  while (*at != w) at = &(*at)->next;
  *at = w->next;
  w->state = state;
  pthread_cond_broadcast(&w->changed);
}

static void world_free(world *w) {
  for (int32_t r = 0; r < w->size; r++) member_free(w->member[r]);
  pthread_cond_destroy(&w->changed);
  rpi_alloc_free(w->name);
  rpi_alloc_free(w);
}

/* Writes down why the world cannot go on, unless it is known, and wakes all ranks. */
static void world_break(world *w, int32_t rank, const char *between, const char *why) {
  pthread_mutex_lock(&registry.lock);
  if (!atomic_load(&w->broken)) {
    snprintf(w->why, WHY, "rank %d%s%s", rank, between, why);
    atomic_store(&w->broken, true);
    for (int32_t r = 0; r < w->size; r++) {
      pthread_mutex_lock(&w->member[r]->lock);
      pthread_cond_signal(&w->member[r]->arrived);
      pthread_mutex_unlock(&w->member[r]->lock);
    }
  }
  pthread_mutex_unlock(&registry.lock);
}

/* ---- opening and closing ---- */

/* Brings `me` into its world; with the registry's lock. */
static rp_status join(member *me, const rpi_config *config) {
  const char *name = config->world ? config->world : "";
  const int32_t size = (int32_t)config->ranks;
  world *w = registry.first;
  while (w && strcmp(w->name, name) != 0) w = w->next;
  if (!w) w = world_create(name, size);
  if (!w) return rpi_status_nomem("a world of ranks");
  if (w->size != size)
    return rpi_status_fail(RP_ERR_CONFIG,
                           "knob ranks: rank %d says %d, but others of the world \"%s\" say %d",
                           me->rank, size, name, w->size);
  if (w->member[me->rank])
    return rpi_status_fail(RP_ERR_CONFIG,
                           "knob rank: the value %d is taken: the world \"%s\" of %d has that rank",
                           me->rank, name, size);
  me->world = w;
  w->member[me->rank] = me;
  if (++w->here == size) world_settle(w, COMPLETE);
  return RP_OK;
}

/* Nobody else is waited for: says who is missing. */
static void give_up(world *w, int64_t seconds) {
  rpi_strbuf names;
  int32_t n = 0;
  const int32_t missing = w->size - w->here;
  rpi_strbuf_init(&names);
  for (int32_t r = 0; r < w->size && n < NAMED; r++)
    if (!w->member[r]) rpi_strbuf_addf(&names, "%s%d", n++ ? ", " : "", r);
  if (missing > n) rpi_strbuf_addf(&names, " and %d more", missing - n);
  snprintf(w->why, WHY, "the world \"%.100s\" of %d ranks lacks rank%s %s after %lld s", w->name,
           w->size, missing > 1 ? "s" : "", rpi_strbuf_str(&names), (long long)seconds);
  rpi_strbuf_deinit(&names);
  world_settle(w, GIVEN_UP);
}

/* Waits until the world is complete; with the registry's lock. */
static rp_status await_others(member *me, int64_t seconds) {
  world *w = me->world;
  const struct timespec end = after_ms(seconds * 1000);
  while (w->state == GATHERING) {
    const int rc = pthread_cond_timedwait(&w->changed, &registry.lock, &end);
    if (rc == ETIMEDOUT && w->state == GATHERING) give_up(w, seconds);
  }
  if (w->state == COMPLETE) return RP_OK;
  rpi_status_fail(RP_ERR_RANKS, "%s", w->why);
  w->member[me->rank] = NULL;
  if (--w->here == 0) world_free(w);
  return RP_ERR_RANKS;
}

static rp_status threads_open(const rpi_config *config, void **self, int32_t *rank, int32_t *size) {
  *self = NULL;
  if (config->rank < 0 || config->rank >= config->ranks)
    return rpi_status_fail(RP_ERR_CONFIG,
                           "knob rank: the value %lld is not one of 0..ranks - 1, with ranks %lld",
                           (long long)config->rank, (long long)config->ranks);
  *rank = (int32_t)config->rank;
  *size = (int32_t)config->ranks;
  if (*size == 1) return RP_OK;
  member *me = member_create(*rank);
  if (!me) return rpi_status_nomem("a rank's mailbox");
  pthread_mutex_lock(&registry.lock);
  rp_status st = join(me, config);
  if (st == RP_OK) st = await_others(me, config->watchdog);
  pthread_mutex_unlock(&registry.lock);
  if (st == RP_OK)
    *self = me;
  else
    member_free(me);
  return st;
}

static void threads_abort(void *self, const char *why) {
  const member *me = self;
  world_break(me->world, me->rank, ": ", why);
}

static void threads_close(void *self, bool orderly) {
  const member *me = self;
  world *w = me->world;
  if (!orderly) world_break(w, me->rank, " left", "");
  pthread_mutex_lock(&registry.lock);
  const bool last = --w->here == 0;
  pthread_mutex_unlock(&registry.lock);
  if (last) world_free(w);
}

/* ---- messages ---- */

static rp_status is_whole(world *w) {
  if (!atomic_load_explicit(&w->broken, memory_order_acquire)) return RP_OK;
  return rpi_status_fail(RP_ERR_RANKS, "%s", w->why);
}

/* NULL: out of memory. */
static channel *channel_of(member *me, int32_t peer) {
  int32_t it = -1;
  channel *ch = rpi_map_next(&me->channels, (uint64_t)peer, &it);
  if (ch) return ch; /* a hash is a peer: no other entry has it */
  ch = rpi_alloc_zero(sizeof *ch);
  if (ch && !rpi_map_add(&me->channels, (uint64_t)peer, ch)) {
    rpi_alloc_free(ch);
    ch = NULL;
  }
  if (!ch) {
    rpi_status_nomem("messages between two ranks");
    return NULL;
  }
  ch->peer = peer;
  return ch;
}

static rp_status compare(member *me, const letter *l, const receive *r) {
  if (l->bytes == r->m->bytes && l->stamp == r->stamp) return RP_OK;
  me->odd = l->from;
  if (l->bytes != r->m->bytes)
    return rpi_status_fail(RP_ERR_RANKS,
                           "rank %d sends %lld bytes where rank %d expects %lld: the ranks run "
                           "different programs",
                           l->from, (long long)l->bytes, me->rank, (long long)r->m->bytes);
  return rpi_status_fail(
      RP_ERR_RANKS, "rank %d has run another program than rank %d (stamps 0x%llx and 0x%llx)",
      l->from, me->rank, (unsigned long long)l->stamp, (unsigned long long)r->stamp);
}

/* Ends every receive whose letter is there. */
static rp_status match(member *me, channel *ch) {
  while (ch->letters.first && ch->receives.first) {
    letter *l = (letter *)ch->letters.first;
    receive *r = (receive *)ch->receives.first;
    RPI_TRY(compare(me, l, r));
    memcpy(r->m->data, l->data, (size_t)l->bytes);
    r->m->done = true;
    rpi_alloc_free(take(&ch->letters));
    rpi_alloc_free(take(&ch->receives));
  }
  return RP_OK;
}

static rp_status start_send(const member *me, rpi_message *m, uint64_t stamp) {
  letter *l = rpi_alloc(sizeof *l + (size_t)m->bytes);
  if (!l) return rpi_status_nomem("a message");
  l->from = me->rank;
  l->stamp = stamp;
  l->bytes = m->bytes;
  memcpy(l->data, m->data, (size_t)m->bytes);
  member *to = me->world->member[m->peer];
  pthread_mutex_lock(&to->lock);
  put(&to->box, &l->link);
  atomic_store_explicit(&to->filled, true, memory_order_release);
  pthread_cond_signal(&to->arrived);
  pthread_mutex_unlock(&to->lock);
  m->done = true;
  return RP_OK;
}

static rp_status start_receive(member *me, rpi_message *m, uint64_t stamp) {
  channel *ch = channel_of(me, m->peer);
  if (!ch) return RP_ERR_MEMORY;
  receive *r = rpi_alloc(sizeof *r);
  if (!r) return rpi_status_nomem("a receive");
  r->m = m;
  r->stamp = stamp;
  put(&ch->receives, &r->link);
  return match(me, ch);
}

static rp_status threads_start(void *self, rpi_message *m, uint64_t stamp) {
  member *me = self;
  rpi_assert(m->bytes > 0 && m->peer >= 0 && m->peer < me->world->size);
  RPI_TRY(is_whole(me->world));
  return m->send ? start_send(me, m, stamp) : start_receive(me, m, stamp);
}

static rpi_progress threads_progress(void *self) {
  member *me = self;
  if (is_whole(me->world) != RP_OK) return RPI_PROGRESS_FAILED;
  if (!atomic_load_explicit(&me->filled, memory_order_acquire)) return RPI_PROGRESS_NONE;
  pthread_mutex_lock(&me->lock);
  queue got = me->box;
  me->box = (queue){0};
  atomic_store_explicit(&me->filled, false, memory_order_relaxed);
  pthread_mutex_unlock(&me->lock);
  for (letter *l; (l = take(&got)) != NULL;) {
    channel *ch = channel_of(me, l->from);
    if (ch)
      put(&ch->letters, &l->link);
    else
      rpi_alloc_free(l);
    if (ch && match(me, ch) == RP_OK) continue;
    drop(&got);
    return RPI_PROGRESS_FAILED;
  }
  return RPI_PROGRESS_SOME;
}

static bool threads_tell(void *self, int32_t peer, const rpi_note *note) {
  const member *me = self;
  member *to = me->world->member[peer];
  noted *n = rpi_alloc(offsetof(noted, note) + rpi_note_size(note));
  if (!n) return false;
  memcpy(&n->note, note, rpi_note_size(note));
  pthread_mutex_lock(&to->lock);
  put(&to->notes, &n->link);
  atomic_store_explicit(&to->has_notes, true, memory_order_release);
  pthread_cond_signal(&to->arrived);
  pthread_mutex_unlock(&to->lock);
  return true;
}

static rpi_progress threads_hear(void *self, rpi_note *note) {
  member *me = self;
  if (is_whole(me->world) != RP_OK) return RPI_PROGRESS_FAILED;
  if (!atomic_load_explicit(&me->has_notes, memory_order_acquire)) return RPI_PROGRESS_NONE;
  pthread_mutex_lock(&me->lock);
  noted *n = take(&me->notes);
  atomic_store_explicit(&me->has_notes, me->notes.first != NULL, memory_order_relaxed);
  pthread_mutex_unlock(&me->lock);
  memcpy(note, &n->note, rpi_note_size(&n->note));
  rpi_alloc_free(n);
  return RPI_PROGRESS_SOME;
}

static int32_t threads_odd(const void *self) { return ((const member *)self)->odd; }

static void threads_where(void *self, int32_t rank, char *text, size_t size) {
  (void)self, (void)rank;
  snprintf(text, size, "a thread of this process");
}

static void threads_sleep(void *self, int32_t ms) {
  member *me = self;
  const struct timespec end = after_ms(ms);
  pthread_mutex_lock(&me->lock);
  if (!me->box.first && !me->notes.first && !atomic_load(&me->world->broken))
    pthread_cond_timedwait(&me->arrived, &me->lock, &end);
  pthread_mutex_unlock(&me->lock);
}

const rpi_transport rpi_transport_threads = {.name = "threads",
                                             .open = threads_open,
                                             .start = threads_start,
                                             .progress = threads_progress,
                                             .sleep = threads_sleep,
                                             .tell = threads_tell,
                                             .hear = threads_hear,
                                             .odd = threads_odd,
                                             .where = threads_where,
                                             .abort = threads_abort,
                                             .close = threads_close};
