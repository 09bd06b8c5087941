/* SPDX-License-Identifier: Apache-2.0
 * core/comm/boot_pmix.c -- see boot_pmix.h.
 * How: libpmix is loaded at run time and no macro of its header that calls a function is used, so nothing of it
 *      is linked. After a fence that collects what was put, this machine's server answers every question. After another
 *      one it asks the owner's server, once for all ranks of the machine (direct modex). Open MPI 4.1.4 does so over its
 *      daemons; they do not keep PMIX_TIMEOUT: with a cut link a question with a limit of 6 s had no end after 37 s.
 *      So nobody waits within PMIx for what another machine must say. */
#include "core/comm/boot_pmix.h"

#include <pmix.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/comm/depart.h"
#include "core/comm/library.h"

#define LIBRARY "libpmix.so.2"

typedef struct functions {
#define RPI_PMIX_FN(name) __typeof__(name) *name;
#include "core/comm/pmix.def"
#undef RPI_PMIX_FN
} functions;

struct rpi_boot {
  functions f;
  pmix_proc_t me, all;
  pmix_info_t collect; /* stays in place while a fence is under way */
  int32_t size, local, seat;
  /* Set by a thread of PMIx: */
  _Atomic bool ended; /* the fence, with `result` */
  pmix_status_t result;
  _Atomic bool
      answered; /* the question about rank `asked`, with `answer` and, if all is well, the bytes */
  int32_t asked;
  pmix_status_t answer;
  bool other; /* not bytes */
  void *data;
  size_t bytes;
};

static rp_status load(functions *f) {
  void *so;
  RPI_TRY(rpi_library_open(LIBRARY, &so));
#define RPI_PMIX_FN(name) RPI_TRY(rpi_library_find(so, LIBRARY, #name, &f->name));
#include "core/comm/pmix.def"
#undef RPI_PMIX_FN
  return RP_OK;
}

static rp_status fails(const rpi_boot *b, const char *what, pmix_status_t st) {
  return rpi_status_fail(RP_ERR_RANKS, "the launcher (PMIx) %s: %s", what,
                         b->f.PMIx_Error_string(st));
}

static pmix_proc_t process(const rpi_boot *b, pmix_rank_t rank) {
  pmix_proc_t p = b->me;
  p.rank = rank;
  return p;
}

/* A number that the launcher has about `p`; `missing` if it has none. */
static int32_t number(const rpi_boot *b, const pmix_proc_t *p, const char *key, int32_t missing) {
  pmix_value_t *v = NULL;
  if (b->f.PMIx_Get(p, key, NULL, 0, &v) != PMIX_SUCCESS || !v) return missing;
  const bool fits = v->type == PMIX_UINT32 && v->data.uint32 <= INT32_MAX;
  const int32_t n = fits                     ? (int32_t)v->data.uint32
                    : v->type == PMIX_UINT16 ? (int32_t)v->data.uint16
                                             : missing;
  free(v);
  return n;
}

/* What the process has of PMIx, of which it can be a client once only: between a finalization and the next
 * initialization the server takes it for gone, and lets the others' fences fail. */
static struct {
  functions f;
  pmix_proc_t me;
  pid_t pid;     /* who is the client; 0: nobody yet */
  int32_t boots; /* open ones */
} client;

static void finalize(void *arg) {
  (void)arg;
  client.f.PMIx_Finalize(NULL, 0);
}

/* Not for a child of fork, which is no client; not with an open boot: then this is no proper end. */
static void at_exit(void) {
  if (client.pid == getpid() && client.boots == 0) (void)rpi_depart(finalize, NULL);
}

/* Makes the process a client. Without a server, or with one that made up a job for us, size is 1. */
static rp_status join(rpi_boot *b) {
  const bool first = client.pid != getpid();
  const pmix_status_t st = first ? b->f.PMIx_Init(&client.me, NULL, 0) : PMIX_SUCCESS;
  b->size = 1;
  if (st == PMIX_ERR_UNREACH) return RP_OK;
  if (st != PMIX_SUCCESS) return fails(b, "does not let this process in", st);
  b->me = client.me;
  b->all = process(b, PMIX_RANK_WILDCARD);
  b->size = number(b, &b->all, PMIX_JOB_SIZE, 0);
  b->local = number(b, &b->all, PMIX_LOCAL_SIZE, 1);
  b->seat = number(b, &b->me, PMIX_LOCAL_RANK, 0);
  if (b->size == 0 && strncmp(b->me.nspace, "singleton", 9) == 0) b->size = 1;
  if (b->size == 0) return fails(b, "does not say how many processes it started", PMIX_ERROR);
  if (b->size > 1 && first) {
    client.f = b->f;
    client.pid = getpid();
    if (atexit(at_exit) != 0) return rpi_status_nomem("the end of PMIx");
  } else if (b->size == 1) {
    b->f.PMIx_Finalize(NULL, 0);
  }
  return RP_OK;
}

/* Every server of PMIx gives its processes this variable. Where it is missing the library is better not touched: it
 * may not be installed, and after an initialization in vain PMIx 4.2 crashes in an Open MPI that begins later. */
static bool has_server(void) { return getenv("PMIX_NAMESPACE") != NULL; }

rp_status rpi_boot_open(rpi_boot **out) {
  *out = NULL;
  if (!has_server()) return RP_OK;
  rpi_boot *b = rpi_alloc_zero(sizeof *b);
  if (!b) return rpi_status_nomem("the way to the launcher");
  rp_status st = load(&b->f);
  if (st == RP_OK) st = join(b);
  if (st != RP_OK || b->size == 1) {
    rpi_alloc_free(b);
    return st;
  }
  strcpy(b->collect.key, PMIX_COLLECT_DATA);
  b->collect.value.type = PMIX_BOOL;
  b->collect.value.data.flag = true;
  client.boots++;
  *out = b;
  return RP_OK;
}

void rpi_boot_close(rpi_boot *b) {
  client.boots--;
  rpi_alloc_free(b);
}

int32_t rpi_boot_rank(const rpi_boot *b) { return (int32_t)b->me.rank; }
int32_t rpi_boot_size(const rpi_boot *b) { return b->size; }
int32_t rpi_boot_seat(const rpi_boot *b) { return b->seat; }
int32_t rpi_boot_local(const rpi_boot *b) { return b->local; }

/* ---- blobs ---- */

rp_status rpi_boot_put(rpi_boot *b, const char *key, const void *data, size_t bytes) {
  pmix_value_t v = {.type = PMIX_BYTE_OBJECT};
  v.data.bo.bytes = (char *)(uintptr_t)data; /* PMIx copies */
  v.data.bo.size = bytes;
  pmix_status_t st = b->f.PMIx_Put(PMIX_GLOBAL, key, &v);
  if (st == PMIX_SUCCESS) st = b->f.PMIx_Commit();
  return st == PMIX_SUCCESS ? RP_OK : fails(b, "does not take what others must know of us", st);
}

/* In a thread of PMIx, to which the value belongs. */
static void answered(pmix_status_t st, pmix_value_t *v, void *arg) {
  rpi_boot *b = arg;
  b->answer = st;
  b->data = NULL;
  b->other = st == PMIX_SUCCESS && (!v || v->type != PMIX_BYTE_OBJECT);
  if (st == PMIX_SUCCESS && !b->other) {
    b->bytes = v->data.bo.size;
    b->data = rpi_alloc(b->bytes);
    if (b->data) memcpy(b->data, v->data.bo.bytes, b->bytes);
  }
  b->answered = true;
}

rp_status rpi_boot_ask(rpi_boot *b, int32_t rank, const char *key) {
  const pmix_proc_t p = process(b, (pmix_rank_t)rank);
  b->answered = false;
  b->asked = rank;
  const pmix_status_t st = b->f.PMIx_Get_nb(&p, key, NULL, 0, answered, b);
  return st == PMIX_SUCCESS ? RP_OK : fails(b, "takes no question", st);
}

bool rpi_boot_answered(const rpi_boot *b) { return b->answered; }

rp_status rpi_boot_answer(rpi_boot *b, void **data, size_t *bytes) {
  *data = b->data;
  *bytes = b->bytes;
  if (b->answer != PMIX_SUCCESS) {
    (void)fails(b, "knows no address", b->answer);
    return rpi_status_context(RP_ERR_RANKS, "rank %d", (int)b->asked);
  }
  if (b->other)
    return rpi_status_fail(RP_ERR_RANKS, "rank %d runs another version of the library",
                           (int)b->asked);
  return b->data ? RP_OK : rpi_status_nomem("a rank's address");
}

/* ---- fence and end ---- */

static void fence_ended(pmix_status_t st, void *arg) {
  rpi_boot *b = arg;
  b->result = st;
  b->ended = true;
}

rp_status rpi_boot_fence_begin(rpi_boot *b, bool collect) {
  b->ended = false;
  const pmix_status_t st =
      b->f.PMIx_Fence_nb(&b->all, 1, collect ? &b->collect : NULL, collect ? 1 : 0, fence_ended, b);
  return st == PMIX_SUCCESS ? RP_OK : fails(b, "begins no fence", st);
}

bool rpi_boot_fence_ended(const rpi_boot *b) { return b->ended; }

rp_status rpi_boot_fence_result(const rpi_boot *b) {
  return b->result == PMIX_SUCCESS ? RP_OK
                                   : fails(b, "could not bring all ranks together", b->result);
}

void rpi_boot_abort(rpi_boot *b, int32_t status, const char *why) {
  b->f.PMIx_Abort(status, why, NULL, 0);
}
