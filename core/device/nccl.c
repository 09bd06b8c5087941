/* SPDX-License-Identifier: Apache-2.0
 * core/device/nccl.c -- see nccl.h.
 * How: a call of NCCL is made between rpi_device_lend and rpi_device_regain. Of a call that goes on when it has returned,
 *      ncclCommGetAsyncError says what it came to: until then nothing else may be asked of NCCL, nor queued on the stream.
 * Invariant: whatever fails within a group ends it, for NCCL counts groups by thread, not by communicator; `failure` is then
 *      the answer of every later call. */
#include "core/device/nccl.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/opened.h"

#define LIBRARY "libnccl.so.2"

struct rpi_nccl {
  const rpi_nccl_table *t;
  rpi_device *device;
  ncclComm_t comm; /* NULL: there is none yet */
  rpi_nccl_poll *poll;
  void *arg;
  int32_t rank, size;
  CUstream stream; /* of the group at hand */
  bool grouped;    /* NCCL is within a group of ours */
  bool given_up;   /* `poll` wants no more waiting; why is the status message */
  rp_status status;
  char failure[1024]; /* the sentence of `status`, unless that is RP_OK */
};

/* ---- the library -------------------------------------------------------------------------------------- */

/* "2.28.9" of 22809, "2.7.8" of 2708: the numbers of a version are further apart from 2.9 on. */
static const char *release_text(int32_t release, char text[32]) {
  const int32_t major = release < 10000 ? 1000 : 10000;
  snprintf(text, 32, "%d.%d.%d", release / major, release % major / 100, release % 100);
  return text;
}

/* Fills the table; the first name that is missing and needed, or NULL. */
static const char *find_all(void *so, rpi_nccl_table *t) {
  const char *missing = NULL;
#define RPI_NCCL_FN(field, symbol, arguments) \
  if (!rpi_opened_find(so, symbol, &t->field) && !missing) missing = symbol;
#define RPI_NCCL_OPT(field, symbol, arguments) (void)rpi_opened_find(so, symbol, &t->field);
#include "core/device/nccl.def"
#undef RPI_NCCL_OPT
#undef RPI_NCCL_FN
  if (!rpi_opened_find(so, "ncclGetErrorString", &t->words) && !missing)
    missing = "ncclGetErrorString";
  (void)rpi_opened_find(so, "ncclGetLastError", &t->last);
  return missing;
}

/* Between GPUs of one process NCCL would read and write what is sent and received itself, from the other GPU. That may only
 * touch memory of cuMemAlloc; ours is of pools and granules, which are open to their own GPU alone. NCCL reads this once,
 * later; who has set it has said otherwise. */
static void keep_apart(void) { (void)setenv("NCCL_P2P_DIRECT_DISABLE", "1", 0); }

static rp_status load(const char *library, void *table) {
  rpi_nccl_table *t = table;
  const char *file = *library ? library : LIBRARY;
  char text[32];
  int release = 0;
  if (strcmp(file, "none") == 0)
    return rpi_status_fail(RP_ERR_DEVICE, "no NCCL is looked for: the knob nccl is \"none\"");
  void *so = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!so) {
    const char *why = dlerror();
    return rpi_status_fail(RP_ERR_DEVICE,
                           "no NCCL: messages from GPU to GPU need its library, which cannot be "
                           "loaded: %s",
                           why ? why : file);
  }
  const char *missing = find_all(so, t);
  if (!t->version)
    return rpi_status_fail(RP_ERR_DEVICE, "%s is no NCCL: it has no function ncclGetVersion", file);
  const ncclResult_t asked = t->version(&release);
  if (asked != ncclSuccess)
    return rpi_status_fail(RP_ERR_DEVICE, "%s does not say its version: ncclGetVersion: error %d",
                           file, (int)asked);
  t->release = release;
  release_text(release, text);
  if (release < RPI_NCCL_OLDEST)
    return rpi_status_fail(RP_ERR_DEVICE,
                           "NCCL %s (%s) is too old: 2.7, the first that sends and receives, is "
                           "needed",
                           text, file);
  if (missing)
    return rpi_status_fail(RP_ERR_DEVICE,
                           "NCCL %s (%s) has no function %s, which NCCL has from 2.7 on", text,
                           file, missing);
  keep_apart();
  return RP_OK;
}

rp_status rpi_nccl_open(const char *library, const rpi_nccl_table **out) {
  static rpi_opened_list all = RPI_OPENED_LIST;
  const void *table;
  const rp_status st = rpi_opened_get(&all, library, sizeof **out, load, &table);
  *out = table;
  return st;
}

/* ---- errors ------------------------------------------------------------------------------------------- */

/* "unhandled cuda error: Cuda failure 2 'out of memory'": the second part is there from 2.13 on. */
static const char *words(const rpi_nccl_table *t, ncclComm_t comm, ncclResult_t result,
                         char text[640]) {
  const char *of = t->words(result), *last = t->last ? t->last(comm) : NULL;
  snprintf(text, 640, "%s%s%s", of ? of : "an unknown error", last && *last ? ": " : "",
           last ? last : "");
  return text;
}

static rp_status status_of(ncclResult_t result) {
  return result == ncclUnhandledCudaError ? RP_ERR_DEVICE : RP_ERR_RANKS;
}

static rp_status stays(rpi_nccl *n, rp_status status) {
  n->status = status;
  snprintf(n->failure, sizeof n->failure, "%s", rpi_status_message());
  return status;
}

static rp_status failed(rpi_nccl *n, ncclResult_t result, const char *what) {
  char version[32], text[640];
  return stays(n, rpi_status_fail(status_of(result), "NCCL %s, rank %d of %d (GPU %d): %s: %s",
                                  release_text(n->t->release, version), n->rank, n->size,
                                  rpi_device_facts_get(n->device)->ordinal, what,
                                  words(n->t, n->comm, result, text)));
}

/* ---- the bracket -------------------------------------------------------------------------------------- */

static rp_status enter(rpi_nccl *n) {
  if (RPI_UNLIKELY(n->status != RP_OK)) return rpi_status_fail(n->status, "%s", n->failure);
  n->given_up = false;
  return rpi_device_lend(n->device);
}

/* What a failure of CUDA is, the device says better if it has failed. */
static void explain(rpi_nccl *n, ncclResult_t result) {
  bool idle;
  if (result != ncclUnhandledCudaError) return;
  const rp_status st = rpi_device_idle(n->device, &idle);
  if (st != RP_OK) (void)stays(n, st);
}

/* Ends what `enter` has begun; `what`: the call and what it was about. */
static rp_status leave(rpi_nccl *n, ncclResult_t result, const char *what, ...) RPI_PRINTF(3, 4);
static rp_status leave(rpi_nccl *n, ncclResult_t result, const char *what, ...) {
  char text[160];
  va_list arguments;
  if (RPI_UNLIKELY(n->given_up && result == ncclInProgress)) (void)stays(n, RP_ERR_RANKS);
  if (RPI_UNLIKELY(result != ncclSuccess && result != ncclInProgress && n->status == RP_OK)) {
    va_start(arguments, what);
    vsnprintf(text, sizeof text, what, arguments);
    va_end(arguments);
    (void)failed(n, result, text);
    explain(n, result);
  }
  if (n->status != RP_OK && n->grouped) {
    n->grouped = false;
    (void)n->t->group_end();
  }
  const rp_status st = rpi_device_regain(n->device);
  return n->status == RP_OK ? st : rpi_status_fail(n->status, "%s", n->failure);
}

/* The others do, or the GPU does: may we go on to wait for them? */
static bool may_wait(rpi_nccl *n, int32_t *turn) {
  enum { SPINS = 256 };
  n->given_up = n->poll && !n->poll(n->arg);
  if (++*turn > SPINS) sched_yield();
  return !n->given_up;
}

/* Within the bracket: what a call that has returned `result` came to. When we give up it is asked a last time, for others may
 * have gone for the same reason, which it says. */
static ncclResult_t settle(rpi_nccl *n, ncclResult_t result) {
  int32_t turn = 0;
  for (bool goes_on = true; result == ncclInProgress && goes_on;) {
    goes_on = may_wait(n, &turn);
    const ncclResult_t asked = n->t->async_error(n->comm, &result);
    if (asked != ncclSuccess) return asked;
  }
  return result;
}

/* ---- joining ------------------------------------------------------------------------------------------ */

rp_status rpi_nccl_id(const rpi_nccl_table *t, void *id) {
  ncclUniqueId made;
  char version[32], text[640];
  memset(&made, 0, sizeof made);
  const ncclResult_t result = t->id(&made);
  if (result != ncclSuccess)
    return rpi_status_fail(status_of(result), "NCCL %s: ncclGetUniqueId: %s",
                           release_text(t->release, version), words(t, NULL, result, text));
  memcpy(id, &made, RPI_NCCL_ID);
  return RP_OK;
}

/* NCCL writes so of two ranks with the same GPU; before 2.13 nobody can read it, and no other use of ours is invalid. */
static bool is_shared(const rpi_nccl *n, ncclResult_t result) {
  if (result != ncclInvalidUsage) return false;
  const char *last = n->t->last ? n->t->last(n->comm) : "Duplicate GPU";
  return last && strstr(last, "Duplicate GPU");
}

static rp_status shares(rpi_nccl *n, ncclResult_t result) {
  char version[32], text[640];
  const rpi_device_facts *f = rpi_device_facts_get(n->device);
  return stays(
      n, rpi_status_fail(RP_ERR_DEVICE,
                         "NCCL %s takes one rank for each GPU, and rank %d of %d shares GPU %d "
                         "(%s) with another: %s",
                         release_text(n->t->release, version), n->rank, n->size, f->ordinal,
                         f->name, words(n->t, n->comm, result, text)));
}

/* Within the bracket. */
static ncclResult_t join(rpi_nccl *n, const void *id, const char **call) {
  ncclUniqueId of;
  memcpy(&of, id, RPI_NCCL_ID);
  *call = "ncclCommInitRank";
  if (!n->t->join_config) return n->t->join(&n->comm, n->size, of, n->rank);
  ncclConfig_t config = {.size = sizeof config,
                         .magic = RPI_NCCL_CONFIG_MAGIC,
                         .version = RPI_NCCL_CONFIG_VERSION,
                         .blocking = 0};
  *call = "ncclCommInitRankConfig";
  return settle(n, n->t->join_config(&n->comm, n->size, of, n->rank, &config));
}

rp_status rpi_nccl_join(const rpi_nccl_table *t, rpi_device *d, const void *id, int32_t rank,
                        int32_t size, rpi_nccl_poll *poll, void *arg, rpi_nccl **out) {
  const char *call;
  rpi_assert(0 <= rank && rank < size);
  *out = NULL;
  rpi_nccl *n = rpi_alloc_zero(sizeof *n);
  if (!n) return rpi_status_nomem("a rank's record of NCCL");
  *n = (rpi_nccl){.t = t, .device = d, .poll = poll, .arg = arg, .rank = rank, .size = size};
  rp_status st = enter(n);
  if (st == RP_OK) {
    const ncclResult_t result = join(n, id, &call);
    if (is_shared(n, result)) (void)shares(n, result);
    st = leave(n, result, "%s", call);
  }
  if (st == RP_OK) {
    *out = n;
    return RP_OK;
  }
  if (n->status == RP_OK) (void)stays(n, st); /* the device's */
  char sentence[sizeof n->failure];
  memcpy(sentence, n->failure, sizeof sentence);
  rpi_nccl_free(n, false);
  return rpi_status_fail(st, "%s", sentence);
}

void rpi_nccl_free(rpi_nccl *n, bool orderly) {
  if (!n) return;
  if (orderly && rpi_nccl_wait(n) != RP_OK) orderly = false;
  /* Also on a device that has failed: NCCL's threads are to end. */
  const bool lent = n->comm && rpi_device_lend(n->device) == RP_OK;
  if (orderly && n->comm && n->t->join_config && n->t->finalize)
    orderly = settle(n, n->t->finalize(n->comm)) == ncclSuccess;
  if (n->comm) (void)(orderly ? n->t->destroy(n->comm) : n->t->abort(n->comm));
  if (lent) (void)rpi_device_regain(n->device);
  rpi_alloc_free(n);
}

/* ---- messages ----------------------------------------------------------------------------------------- */

rp_status rpi_nccl_group_begin(rpi_nccl *n, CUstream stream) {
  rpi_assert(!n->grouped);
  n->stream = stream;
  RPI_TRY(enter(n));
  const ncclResult_t result = n->t->group_begin();
  n->grouped = result == ncclSuccess;
  return leave(n, result, "ncclGroupStart");
}

rp_status rpi_nccl_send(rpi_nccl *n, CUdeviceptr from, int64_t bytes, int32_t peer) {
  rpi_assert(n->grouped || n->status != RP_OK);
  if (bytes == 0) return RP_OK;
  RPI_TRY(enter(n));
  const ncclResult_t result =
      n->t->send((const void *)(uintptr_t)from, (size_t)bytes, ncclUint8, peer, n->comm, n->stream);
  return leave(n, result, "ncclSend of %lld bytes to rank %d", (long long)bytes, peer);
}

rp_status rpi_nccl_receive(rpi_nccl *n, CUdeviceptr to, int64_t bytes, int32_t peer) {
  rpi_assert(n->grouped || n->status != RP_OK);
  if (bytes == 0) return RP_OK;
  RPI_TRY(enter(n));
  const ncclResult_t result =
      n->t->receive((void *)(uintptr_t)to, (size_t)bytes, ncclUint8, peer, n->comm, n->stream);
  return leave(n, result, "ncclRecv of %lld bytes of rank %d", (long long)bytes, peer);
}

rp_status rpi_nccl_group_end(rpi_nccl *n) {
  rpi_assert(n->grouped || n->status != RP_OK);
  RPI_TRY(enter(n));
  n->grouped = false;
  return leave(n, settle(n, n->t->group_end()), "ncclGroupEnd");
}

/* RP_OK, or what has failed behind our back. */
static rp_status look(rpi_nccl *n) {
  ncclResult_t error = ncclSuccess;
  RPI_TRY(enter(n));
  const ncclResult_t asked = n->t->async_error(n->comm, &error);
  return leave(n, asked == ncclSuccess ? error : asked, "%s",
               asked == ncclSuccess ? "found while waiting" : "ncclCommGetAsyncError");
}

/* A stream that is done is no proof: what is broken off ends, too, and leaves an error. */
rp_status rpi_nccl_wait(rpi_nccl *n) {
  int32_t turn = 0;
  for (bool idle = false, goes_on = true;;) {
    RPI_TRY(rpi_device_idle(n->device, &idle));
    RPI_TRY(look(n));
    if (idle) return RP_OK;
    if (!goes_on) return stays(n, RP_ERR_RANKS);
    goes_on = may_wait(n, &turn);
  }
}
