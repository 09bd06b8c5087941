/* SPDX-License-Identifier: Apache-2.0
 * core/comm/mpi_plugin.c -- see mpi_plugin.h; the whole of libreprise-mpi.so.
 *
 * Lives here: everything that calls MPI. Nothing of the library is linked.
 * Not here:   what a message must match, sentences about ranks (comm_mpi.c).
 * How:        a world is a duplicate of MPI_COMM_WORLD, so its messages meet no others. MPI cannot be initialised
 *             twice: the process that this module initialised stays in MPI until it exits. A message
 *             longer than MPI can count is one element of a type that long. Notes have a duplicate of their own.
 *             Of a job that is not large all ranks know where the others are: a rank that says nothing cannot be
 *             asked for it when that is of interest.
 * Invariants: slots of a world are its requests, none of them inactive; `tokens` and `sends` lie beside them. */
#include "core/comm/mpi_plugin.h"

#include <mpi.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 1 << 30, CANCEL_MS = 200, NAMED = 1024 /* ranks of a job that is not large */ };

/* A note on its way. */
typedef struct outgoing {
  struct outgoing *next;
  MPI_Request request;
  char data[];
} outgoing;

struct rpi_mpi_world {
  MPI_Comm comm, aside; /* aside: of notes */
  outgoing *out;
  char (*names)[RPI_MPI_PLUGIN_NAME]; /* of all ranks, or NULL */
  int32_t n, cap;
  int32_t next; /* the slot that the next poll begins at */
  int32_t receives;
  MPI_Request *requests;
  void **tokens;
  bool *sends;
};

static struct {
  pid_t pid;      /* who has initialised MPI here; 0: nobody */
  int32_t worlds; /* not closed, or not in order */
} ours;

static bool fails(char *why, const char *what, int rc) {
  char text[MPI_MAX_ERROR_STRING + 1] = "";
  int n = 0;
  MPI_Error_string(rc, text, &n);
  snprintf(why, RPI_MPI_PLUGIN_WHY, "MPI %s: %s", what, text);
  return false;
}

static void pause_us(long us) {
  const struct timespec t = {.tv_nsec = us * 1000};
  nanosleep(&t, NULL);
}

/* ---- entering and leaving MPI ---- */

/* A program that has brought another MPI along lends its functions to this module: then the types that were
 * compiled in are wrong. This call has the same form in all of them. */
static bool is_same_mpi(char *why) {
  char now[16384] = "";
  int n = 0;
#ifdef OPEN_MPI
  const char *const others[] = {"MPICH", "MVAPICH", "Intel(R) MPI"};
#else
  const char *const others[] = {"Open MPI"};
#endif
  MPI_Get_library_version(now, &n);
  size_t i = 0;
  while (i < sizeof others / sizeof others[0] && !strstr(now, others[i])) i++;
  if (i == sizeof others / sizeof others[0]) return true;
  now[strcspn(now, "\n")] = '\0';
  snprintf(why, RPI_MPI_PLUGIN_WHY,
           "the program uses another MPI (%.100s) than libreprise-mpi.so was built with: name one "
           "that fits with the knob mpi_plugin",
           now);
  return false;
}

/* Not for a child of fork; not with an open world: then this is no proper end, and others may be waiting. */
static void at_exit(void) {
  int ended = 0;
  if (ours.pid != getpid() || ours.worlds > 0) return;
  MPI_Finalized(&ended);
  if (!ended) MPI_Finalize();
}

/* Any thread may use a comm, if one at a time. */
static bool enter(char *why) {
  int begun = 0, ended = 0, level = 0;
  if (!is_same_mpi(why)) return false;
  MPI_Finalized(&ended);
  if (ended) {
    snprintf(why, RPI_MPI_PLUGIN_WHY, "the program has finalised MPI");
    return false;
  }
  MPI_Initialized(&begun);
  if (begun) return true;
  const int rc = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
  if (rc != MPI_SUCCESS) return fails(why, "does not begin", rc);
  ours.pid = getpid();
  atexit(at_exit);
  return true;
}

/* The duplicate is asked for and then polled for, since a rank that never comes must be noticed. */
static bool duplicate(rpi_mpi_world *w, double seconds, char *why) {
  const double until = MPI_Wtime() + seconds;
  MPI_Request r;
  int done = 0;
  int rc = MPI_Comm_idup(MPI_COMM_WORLD, &w->comm, &r);
  while (rc == MPI_SUCCESS && (rc = MPI_Test(&r, &done, MPI_STATUS_IGNORE)) == MPI_SUCCESS) {
    if (done) return true;
    if (MPI_Wtime() > until) {
      snprintf(why, RPI_MPI_PLUGIN_WHY, "not all ranks have come within %.0f s", seconds);
      return false;
    }
    pause_us(100);
  }
  return fails(why, "makes no communicator", rc);
}

static void learn_names(rpi_mpi_world *w, int size) {
  char mine[RPI_MPI_PLUGIN_NAME] = "", host[MPI_MAX_PROCESSOR_NAME] = "";
  int n = 0;
  if (size > NAMED) return;
  w->names = calloc((size_t)size, sizeof *w->names);
  MPI_Get_processor_name(host, &n);
  snprintf(mine, sizeof mine, "%.40s, process %d", host, (int)getpid());
  char *all = w->names ? w->names[0] : NULL;
  int rc = MPI_SUCCESS, got = w->names != NULL, every = 0;
  /* One that has no memory for it must not leave the others waiting. */
  rc = MPI_Allreduce(&got, &every, 1, MPI_INT, MPI_MIN, w->comm);
  if (rc == MPI_SUCCESS && every)
    rc = MPI_Allgather(mine, sizeof mine, MPI_CHAR, all, sizeof mine, MPI_CHAR, w->comm);
  if (rc == MPI_SUCCESS && every) return;
  free(w->names);
  w->names = NULL;
}

static bool look_around(rpi_mpi_world *w, rpi_mpi_place *place, char *why) {
  MPI_Comm node;
  int rank, size, local, seat, found = 0;
  const int *tag_max = NULL;
  MPI_Comm_set_errhandler(w->comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(w->comm, &rank);
  MPI_Comm_size(w->comm, &size);
  const int rc = MPI_Comm_split_type(w->comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  if (rc != MPI_SUCCESS) return fails(why, "does not tell machines apart", rc);
  MPI_Comm_size(node, &local);
  MPI_Comm_rank(node, &seat);
  MPI_Comm_free(&node);
  if (MPI_Comm_dup(w->comm, &w->aside) != MPI_SUCCESS)
    return fails(why, "makes no second communicator", MPI_ERR_COMM);
  learn_names(w, size);
  MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, (void *)&tag_max, &found);
  *place = (rpi_mpi_place){rank, size, local, seat, found ? *tag_max : 32767};
  return true;
}

static rpi_mpi_world *open_world(double seconds, rpi_mpi_place *place, char *why) {
  if (!enter(why)) return NULL;
  rpi_mpi_world *w = calloc(1, sizeof *w);
  if (!w) {
    snprintf(why, RPI_MPI_PLUGIN_WHY, "out of memory: a communicator");
    return NULL;
  }
  ours.worlds++;
  /* After a failure MPI may still write to the world. */
  return duplicate(w, seconds, why) && look_around(w, place, why) ? w : NULL;
}

/* ---- messages ---- */

static bool make_room(rpi_mpi_world *w) {
  if (w->n < w->cap) return true;
  const int32_t cap = w->cap ? 2 * w->cap : 64;
  MPI_Request *requests = realloc(w->requests, (size_t)cap * sizeof *requests);
  if (requests) w->requests = requests;
  void **tokens = realloc(w->tokens, (size_t)cap * sizeof *tokens);
  if (tokens) w->tokens = tokens;
  bool *sends = realloc(w->sends, (size_t)cap * sizeof *sends);
  if (sends) w->sends = sends;
  if (!requests || !tokens || !sends) return false;
  w->cap = cap;
  return true;
}

/* A type of that many bytes: chunks, and what is left. */
static int make_long_type(int64_t bytes, MPI_Datatype *out) {
  const int64_t chunks = bytes / CHUNK;
  const int counts[2] = {(int)chunks, (int)(bytes % CHUNK)};
  const MPI_Aint at[2] = {0, (MPI_Aint)(chunks * CHUNK)};
  MPI_Datatype part[2] = {MPI_DATATYPE_NULL, MPI_BYTE};
  int rc = MPI_Type_contiguous(CHUNK, MPI_BYTE, &part[0]);
  if (rc != MPI_SUCCESS) return rc;
  rc = MPI_Type_create_struct(2, counts, at, part, out);
  MPI_Type_free(&part[0]);
  return rc == MPI_SUCCESS ? MPI_Type_commit(out) : rc;
}

static bool start(rpi_mpi_world *w, bool send, void *data, int64_t bytes, int32_t peer, int32_t tag,
                  void *token, char *why) {
  const bool is_long = bytes > CHUNK;
  MPI_Datatype type = MPI_BYTE;
  if (!make_room(w)) {
    snprintf(why, RPI_MPI_PLUGIN_WHY, "out of memory: a message");
    return false;
  }
  int rc = is_long ? make_long_type(bytes, &type) : MPI_SUCCESS;
  const int n = is_long ? 1 : (int)bytes;
  MPI_Request *r = &w->requests[w->n];
  if (rc == MPI_SUCCESS)
    rc = send ? MPI_Isend(data, n, type, peer, tag, w->comm, r)
              : MPI_Irecv(data, n, type, peer, MPI_ANY_TAG, w->comm, r);
  if (is_long && type != MPI_BYTE) MPI_Type_free(&type); /* lives until the message has ended */
  if (rc != MPI_SUCCESS) return fails(why, send ? "sends nothing" : "receives nothing", rc);
  w->receives += !send;
  w->tokens[w->n] = token;
  w->sends[w->n++] = send;
  return true;
}

static rpi_mpi_end end_of(const rpi_mpi_world *w, int32_t slot, int rc, const MPI_Status *st,
                          char *why) {
  rpi_mpi_end e = {.token = w->tokens[slot], .how = RPI_MPI_END_WELL};
  int class = MPI_SUCCESS;
  MPI_Count bytes = 0;
  if (rc != MPI_SUCCESS) {
    MPI_Error_class(rc, &class);
    e.how = class == MPI_ERR_TRUNCATE ? RPI_MPI_END_SHORT : RPI_MPI_END_BADLY;
    if (e.how == RPI_MPI_END_BADLY) fails(why, "says", rc);
  }
  if (!w->sends[slot] && e.how != RPI_MPI_END_BADLY) {
    e.tag = st->MPI_TAG;
    if (MPI_Get_elements_x(st, MPI_BYTE, &bytes) == MPI_SUCCESS) e.bytes = (int64_t)bytes;
  }
  return e;
}

/* Takes the slots without token out of n from `from` on; the last ones take their places. */
static void close_gaps(rpi_mpi_world *w, int32_t from, int32_t n) {
  for (int32_t i = from; i < from + n && i < w->n;) {
    if (w->tokens[i]) {
      i++;
      continue;
    }
    const int32_t last = --w->n;
    w->receives -= !w->sends[i];
    w->requests[i] = w->requests[last];
    w->tokens[i] = w->tokens[last];
    w->sends[i] = w->sends[last];
  }
}

/* Errors of calls that name no communicator go to the handler of MPI_COMM_WORLD, or MPI_COMM_SELF since MPI 4, which
 * ends the program before a word is said. These are the program's where MPI is: they are changed for one call. */
static void change_handlers(MPI_Errhandler before[2], bool back) {
  const MPI_Comm comm[2] = {MPI_COMM_WORLD, MPI_COMM_SELF};
  for (int i = 0; i < 2; i++) {
    if (!back) MPI_Comm_get_errhandler(comm[i], &before[i]);
    MPI_Comm_set_errhandler(comm[i], back ? before[i] : MPI_ERRORS_RETURN);
    if (back) MPI_Errhandler_free(&before[i]);
  }
}

static int32_t poll_batch(rpi_mpi_world *w, rpi_mpi_end end[RPI_MPI_PLUGIN_BATCH], char *why) {
  MPI_Status status[RPI_MPI_PLUGIN_BATCH];
  MPI_Errhandler before[2];
  int at[RPI_MPI_PLUGIN_BATCH], ended = 0, class = MPI_SUCCESS;
  if (w->next >= w->n) w->next = 0;
  const int32_t from = w->next, left = w->n - from;
  const int32_t n = left < RPI_MPI_PLUGIN_BATCH ? left : RPI_MPI_PLUGIN_BATCH;
  if (n == 0) return 0;
  change_handlers(before, false);
  const int rc = MPI_Testsome(n, w->requests + from, &ended, at, status);
  change_handlers(before, true);
  if (rc != MPI_SUCCESS) MPI_Error_class(rc, &class);
  if (rc != MPI_SUCCESS && class != MPI_ERR_IN_STATUS) {
    fails(why, "moves nothing", rc);
    return -1;
  }
  w->next += n;
  if (ended <= 0) return 0; /* MPI_UNDEFINED is negative */
  for (int32_t i = 0; i < ended; i++) {
    const int32_t slot = from + at[i];
    end[i] = end_of(w, slot, rc == MPI_SUCCESS ? rc : status[i].MPI_ERROR, &status[i], why);
    w->tokens[slot] = NULL;
  }
  close_gaps(w, from, n);
  return ended;
}

/* ---- notes ---- */

/* Forgets those that have left. */
static void clear_out(rpi_mpi_world *w) {
  for (outgoing **at = &w->out, *o; (o = *at) != NULL;) {
    int done = 0;
    if (MPI_Test(&o->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
      at = &o->next;
      continue;
    }
    *at = o->next;
    free(o);
  }
}

static bool tell(rpi_mpi_world *w, int32_t peer, const void *note, int32_t bytes) {
  clear_out(w);
  outgoing *o = malloc(sizeof *o + (size_t)bytes);
  if (!o) return false;
  memcpy(o->data, note, (size_t)bytes);
  if (MPI_Isend(o->data, bytes, MPI_BYTE, peer, 0, w->aside, &o->request) != MPI_SUCCESS) {
    free(o);
    return false;
  }
  o->next = w->out;
  w->out = o;
  return true;
}

static int32_t hear(rpi_mpi_world *w, void *note, int32_t room) {
  MPI_Status st;
  int here = 0, n = 0;
  if (MPI_Iprobe(MPI_ANY_SOURCE, 0, w->aside, &here, &st) != MPI_SUCCESS || !here) return 0;
  MPI_Get_count(&st, MPI_BYTE, &n);
  if (n > room) return 0;
  const int rc = MPI_Recv(note, n, MPI_BYTE, st.MPI_SOURCE, 0, w->aside, MPI_STATUS_IGNORE);
  return rc == MPI_SUCCESS ? n : 0;
}

static const char *where(const rpi_mpi_world *w, int32_t rank) {
  return w->names ? w->names[rank] : NULL;
}

/* After a barrier: what is still under way nobody asks for any more. */
static void close_aside(rpi_mpi_world *w) {
  char lost[RPI_MPI_PLUGIN_NOTE];
  MPI_Status st;
  int here = 1;
  while (MPI_Iprobe(MPI_ANY_SOURCE, 0, w->aside, &here, &st) == MPI_SUCCESS && here)
    MPI_Recv(lost, sizeof lost, MPI_BYTE, st.MPI_SOURCE, 0, w->aside, MPI_STATUS_IGNORE);
  clear_out(w);
  if (!w->out) MPI_Comm_free(&w->aside);
}

/* ---- leaving ---- */

static void cancel(rpi_mpi_world *w) {
  char why[RPI_MPI_PLUGIN_WHY];
  rpi_mpi_end end[RPI_MPI_PLUGIN_BATCH];
  const double until = MPI_Wtime() + 1e-3 * CANCEL_MS;
  for (int32_t i = 0; i < w->n; i++)
    if (!w->sends[i]) MPI_Cancel(&w->requests[i]);
  /* One that has met its message ends with that, unless the sender is gone. */
  while (w->receives > 0 && MPI_Wtime() < until)
    if (poll_batch(w, end, why) < 0) return;
}

static void abort_all(rpi_mpi_world *w, int32_t status) {
  int ended = 0;
  (void)w;
  MPI_Finalized(&ended);
  if (!ended) MPI_Abort(MPI_COMM_WORLD, status);
}

static void close_world(rpi_mpi_world *w, bool orderly) {
  int ended = 0;
  MPI_Finalized(&ended);
  if (!ended && !orderly) cancel(w);
  if (!ended && orderly) close_aside(w);
  if (!ended && orderly) MPI_Comm_free(&w->comm);
  ours.worlds -= orderly;
  free(w->names);
  free(w->requests);
  free(w->tokens);
  free(w->sends);
  free(w);
}

const rpi_mpi_plugin *rpi_mpi_plugin_table(void) {
  static const rpi_mpi_plugin table = {
      .version = RPI_MPI_PLUGIN_VERSION,
      .open = open_world,
      .start = start,
      .poll = poll_batch,
      .tell = tell,
      .hear = hear,
      .where = where,
      .cancel = cancel,
      .abort = abort_all,
      .close = close_world,
  };
  return &table;
}
