/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_nccl.c -- messages between the GPUs of ranks, which are threads with an emulated GPU each (RPI_EMULATED_CUDA and
 * EMU_DEVICES=4, else 77) and a library in NCCL's place (tests/support/fake_nccl.h): what comes is what was sent, in the order of the
 * stream; each call failing; what breaks behind a rank's back; and every way in which there is no NCCL has its
 * sentence, which is remembered. */
#include "tests/support/ranks.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/comm/collect.h"
#include "core/device/nccl.h"
#include "tests/emulator/emu.h"
#include "tests/support/child.h"
#include "tests/support/fake_nccl.h"

/* ---- opening ---------------------------------------------------------------------------------------------- */

/* The library is refused, and the sentence has all the words. */
static void check_refused(const char *library, const char *const *words) {
  const rpi_nccl_table *t = (const rpi_nccl_table *)&library;
  assert_int_equal(rpi_nccl_open(library, &t), RP_ERR_DEVICE);
  assert_null(t);
  for (; *words; words++)
    if (!strstr(rpi_status_message(), *words))
      fail_msg("\"%s\" is not in: %s", *words, rpi_status_message());
}
#define REFUSED(library, ...) check_refused(library, (const char *const[]){__VA_ARGS__, NULL})

static void test_no_library(void **state) {
  (void)state;
  REFUSED("/nowhere/libnccl.so.2", "no NCCL", "/nowhere/libnccl.so.2", "GPU to GPU");
  char before[512];
  snprintf(before, sizeof before, "%s", rpi_status_message());
  rpi_status_fail(RP_ERR_DATA, "something else");
  REFUSED("/nowhere/libnccl.so.2", before);
  REFUSED("none", "the knob nccl is \"none\"");
  REFUSED("libm.so.6", "libm.so.6 is no NCCL", "ncclGetVersion");
}

static void test_unfit(void **state) {
  (void)state;
  REFUSED(FAKE_OLD, "NCCL 2.6.4", FAKE_OLD, "too old: 2.7");
  REFUSED(FAKE_LACKING, "NCCL 2.28.9", "has no function ncclSend");
  REFUSED(FAKE_SILENT, "does not say its version", "error 2");
}

/* One table for each path; what early ones lack is not there. */
static void test_opens(void **state) {
  (void)state;
  const rpi_nccl_table *a, *b;
  assert_int_equal(rpi_nccl_open(FAKE_WHOLE, &a), RP_OK);
  assert_int_equal(rpi_nccl_open(FAKE_WHOLE, &b), RP_OK);
  assert_ptr_equal(a, b);
  assert_int_equal(a->release, 22809);
  assert_true(a->join_config && a->finalize && a->last);
  assert_int_equal(rpi_nccl_open(FAKE_EARLY, &b), RP_OK);
  assert_int_equal(b->release, 2708);
  assert_true(!b->join_config && !b->finalize && !b->last && b->send);
}

/* By its usual name it is there or not; if not, that name is in the sentence. */
static void test_usual_name(void **state) {
  (void)state;
  const rpi_nccl_table *a, *b;
  char one[RPI_NCCL_ID], two[RPI_NCCL_ID];
  if (!dlopen("libnccl.so.2", RTLD_NOW)) {
    REFUSED(NULL, "no NCCL", "libnccl.so.2");
    REFUSED("", "no NCCL", "libnccl.so.2");
    return;
  }
  assert_int_equal(rpi_nccl_open(NULL, &a), RP_OK);
  assert_int_equal(rpi_nccl_open("", &b), RP_OK);
  assert_ptr_equal(a, b);
  assert_true(a->release >= RPI_NCCL_OLDEST && a->words && a->send);
  if (rpi_nccl_id(a, one) != RP_OK) return; /* it wants a network */
  assert_int_equal(rpi_nccl_id(a, two), RP_OK);
  assert_memory_not_equal(one, two, RPI_NCCL_ID);
}

/* ---- ranks ------------------------------------------------------------------------------------------------ */

enum { EACH = 4096 };

typedef struct member member;

typedef struct world {
  const char *library;
  int32_t gpus; /* rank r has GPU r % gpus */
  rp_status (*work)(member *m);
  _Atomic bool gone;    /* a rank has failed */
  _Atomic int32_t past; /* ranks that need no messages of the host any more */
} world;

struct member {
  one_rank *r;
  world *w;
  rpi_device *d;
  rpi_nccl *n;
  unsigned char a[EACH], b[EACH];
};

static bool poll(void *arg) {
  const member *m = arg;
  if (m->r->comm) rpi_comm_poll(m->r->comm);
  if (!m->w->gone) return true;
  rpi_status_fail(RP_ERR_RANKS, "another rank has gone");
  return false;
}

/* The id is rank 0's. */
static int64_t bound(const void *arg, int32_t rank) {
  (void)arg;
  return rank == 0 ? 0 : RPI_NCCL_ID;
}

static rp_status join(member *m) {
  const rpi_nccl_table *t;
  char id[RPI_NCCL_ID] = {0};
  RPI_TRY(rpi_nccl_open(m->w->library, &t));
  if (m->r->rank == 0) RPI_TRY(rpi_nccl_id(t, id));
  RPI_TRY(rpi_collect_gather(m->r->comm, id, bound, NULL));
  for (m->w->past++; m->w->past < m->r->ranks;) (void)poll(m);
  return rpi_nccl_join(t, m->d, id, m->r->rank, m->r->ranks, poll, m, &m->n);
}

static rp_status live(member *m) {
  RPI_TRY(join(m));
  return m->w->work(m);
}

static rp_status body(one_rank *r) {
  world *w = r->shared;
  char said[RANKS_TEXT];
  member m = {.r = r, .w = w};
  RPI_TRY(rpi_device_open(RPI_EMULATED_CUDA, r->rank % w->gpus, 0, &m.d));
  const rp_status st = live(&m);
  snprintf(said, sizeof said, "%s", rpi_status_message());
  if (st != RP_OK) w->gone = true;
  r->wrong +=
      st != RP_OK && m.n && rpi_nccl_group_begin(m.n, NULL) != st; /* it has failed for good */
  rpi_nccl_free(m.n, st == RP_OK);
  r->wrong += emu_current() != -1;
  rpi_device_close(m.d);
  return st == RP_OK ? st : rpi_status_fail(st, "%s", said);
}

/* Runs n ranks with a GPU each of `gpus`. */
static void run(one_rank *all, int32_t n, const char *library, int32_t gpus,
                rp_status (*work)(member *m)) {
  world w = {.library = library, .gpus = gpus, .work = work};
  ranks_run(all, n, body, &w, 60);
  assert_int_equal(fake_nccl.comms, 0);
  emu_check_empty();
}

/* Bytes that tell each place and each `seed` apart. */
static void pattern(unsigned char *p, int64_t n, int64_t seed) {
  for (int64_t i = 0; i < n; i++) p[i] = (unsigned char)(seed * 37 + i * 11 + (i >> 8) + 1);
}

static rp_status upload(member *m, CUdeviceptr p, int64_t n, int64_t seed) {
  pattern(m->a, n, seed);
  return rpi_device_upload(m->d, p, m->a, n);
}

/* Counts what is not as in the pattern. */
static rp_status compare(member *m, CUdeviceptr p, int64_t n, int64_t seed) {
  RPI_TRY(rpi_device_download(m->d, m->b, p, n));
  pattern(m->a, n, seed);
  m->r->wrong += memcmp(m->a, m->b, (size_t)n) != 0;
  return RP_OK;
}

static rp_status shift(member *m, CUdeviceptr from, CUdeviceptr to, int64_t bytes) {
  const int32_t n = m->r->ranks, next = (m->r->rank + 1) % n, before = (m->r->rank + n - 1) % n;
  RPI_TRY(rpi_nccl_group_begin(m->n, rpi_device_stream(m->d)));
  RPI_TRY(rpi_nccl_send(m->n, from, bytes, next));
  RPI_TRY(rpi_nccl_receive(m->n, to, bytes, before));
  return rpi_nccl_group_end(m->n);
}

/* ---- what comes ------------------------------------------------------------------------------------------- */

/* All sizes, nothing too; each rank's bytes come to the next. */
static rp_status ring(member *m) {
  static const int64_t sizes[] = {1, 7, 256, 1000, 0, 4096};
  const int32_t n = m->r->ranks, before = (m->r->rank + n - 1) % n;
  CUdeviceptr a, b;
  RPI_TRY(rpi_device_get(m->d, EACH, &a));
  RPI_TRY(rpi_device_get(m->d, EACH, &b));
  for (int32_t i = 0; i < RPI_COUNT(sizes); i++) {
    RPI_TRY(upload(m, a, sizes[i], m->r->rank + i));
    RPI_TRY(shift(m, a, b, sizes[i]));
    RPI_TRY(rpi_nccl_wait(m->n));
    RPI_TRY(compare(m, b, sizes[i], before + i));
  }
  RPI_TRY(rpi_nccl_group_begin(m->n, rpi_device_stream(m->d)));
  return rpi_nccl_group_end(m->n);
}

static void test_ring(void **state) {
  (void)state;
  static one_rank all[4];
  static const char *const libraries[] = {FAKE_WHOLE, FAKE_EARLY};
  for (int32_t k = 0; k < 2; k++)
    for (int32_t n = 1; n <= 4; n++) {
      fake_nccl_reset();
      run(all, n, libraries[k], 4, ring);
      ranks_fine(all, n);
      assert_int_equal(fake_nccl.sends, 5 * n); /* none of 0 bytes */
      assert_int_equal(fake_nccl.bytes, 5360 * n);
      assert_int_equal(fake_nccl.destroyed, n);
    }
}

/* Many of odd sizes between all, also from a rank to itself: the k-th that was sent is the k-th that came. */
static rp_status many(member *m) {
  enum { PER = 40 };
  const int32_t n = m->r->ranks, rank = m->r->rank;
  CUdeviceptr a, b;
  RPI_TRY(rpi_device_get(m->d, (int64_t)n * PER * EACH, &a));
  RPI_TRY(rpi_device_get(m->d, (int64_t)n * PER * EACH, &b));
  for (int32_t p = 0; p < n; p++)
    for (int32_t k = 0; k < PER; k++)
      RPI_TRY(upload(m, a + (CUdeviceptr)(p * PER + k) * EACH, 1 + k * 97 % EACH,
                     rank * 1000 + p * 100 + k));
  RPI_TRY(rpi_nccl_group_begin(m->n, rpi_device_stream(m->d)));
  for (int32_t k = 0; k < PER; k++)
    for (int32_t p = 0; p < n; p++)
      RPI_TRY(rpi_nccl_send(m->n, a + (CUdeviceptr)(p * PER + k) * EACH, 1 + k * 97 % EACH, p));
  for (int32_t p = n - 1; p >= 0; p--)
    for (int32_t k = 0; k < PER; k++)
      RPI_TRY(rpi_nccl_receive(m->n, b + (CUdeviceptr)(p * PER + k) * EACH, 1 + k * 97 % EACH, p));
  RPI_TRY(rpi_nccl_group_end(m->n));
  RPI_TRY(rpi_nccl_wait(m->n));
  for (int32_t p = 0; p < n; p++)
    for (int32_t k = 0; k < PER; k++)
      RPI_TRY(compare(m, b + (CUdeviceptr)(p * PER + k) * EACH, 1 + k * 97 % EACH,
                      p * 1000 + rank * 100 + k));
  return RP_OK;
}

static void test_many(void **state) {
  (void)state;
  static one_rank all[4];
  fake_nccl_reset();
  run(all, 4, FAKE_WHOLE, 4, many);
  ranks_fine(all, 4);
  assert_int_equal(fake_nccl.groups, 4);
  assert_int_equal(fake_nccl.receives, 4 * 4 * 40);
}

static char image[1 << 20];

static void compile(void) {
  static const char text[] = "struct args { long long *x; long long y; int n; };\n"
                             "RPG_KERNEL(add, args) {\n"
                             "  int i = RPG_BLOCK * RPG_THREADS + RPG_THREAD;\n"
                             "  if (i < a.n) a.x[i] += a.y;\n"
                             "}\n";
  static const char *const options[] = {"--gpu-architecture=sm_90"};
  nvrtcProgram p;
  size_t n;
  assert_int_equal(nvrtcCreateProgram(&p, text, "text", 0, NULL, NULL), 0);
  assert_int_equal(nvrtcCompileProgram(p, 1, options), 0);
  assert_int_equal(nvrtcGetCUBINSize(p, &n), 0);
  assert_true(n <= sizeof image);
  assert_int_equal(nvrtcGetCUBIN(p, image), 0);
  assert_int_equal(nvrtcDestroyProgram(&p), 0);
}

/* Values go around, and each rank's kernel adds to them before they are sent; a copy takes them away from where they came, and
 * both places are overwritten, all without a wait. */
static rp_status behind_work(member *m) {
  enum { ROUNDS = 40, N = 100 };
  const int64_t bytes = N * (int64_t)sizeof(int64_t);
  const int32_t n = m->r->ranks, rank = m->r->rank;
  int64_t x[N];
  CUmodule module;
  rpi_device_function add;
  CUdeviceptr at[3];
  RPI_TRY(rpi_device_module(m->d, image, &module));
  RPI_TRY(rpi_device_function_get(m->d, module, "add", &add));
  for (int32_t i = 0; i < 3; i++) RPI_TRY(rpi_device_get(m->d, bytes, &at[i]));
  for (int32_t i = 0; i < N; i++) x[i] = i + rank * 1000;
  RPI_TRY(rpi_device_upload(m->d, at[0], x, bytes));
  for (int32_t k = 0; k < ROUNDS; k++) {
    const struct {
      CUdeviceptr x;
      long long y;
      int n;
    } args = {at[0], rank + 1, N};
    RPI_TRY(rpi_device_launch(m->d, add.function, 2, 64, &args, sizeof args));
    RPI_TRY(rpi_device_copy(m->d, at[1], at[0], bytes));
    RPI_TRY(rpi_device_zero(m->d, at[0], bytes));
    RPI_TRY(shift(m, at[1], at[2], bytes));
    RPI_TRY(rpi_device_zero(m->d, at[1], bytes));
    RPI_TRY(rpi_device_copy(m->d, at[0], at[2], bytes));
    RPI_TRY(rpi_device_zero(m->d, at[2], bytes));
  }
  RPI_TRY(rpi_nccl_wait(m->n));
  RPI_TRY(rpi_device_download(m->d, x, at[0], bytes));
  int64_t sum = 0;
  for (int32_t k = 1; k <= ROUNDS; k++) sum += (rank + n * ROUNDS - k) % n + 1;
  const int64_t first = (rank + n * ROUNDS - ROUNDS) % n;
  for (int32_t i = 0; i < N; i++) m->r->wrong += x[i] != i + first * 1000 + sum;
  rpi_device_module_unload(m->d, module);
  return RP_OK;
}

static void test_behind_work(void **state) {
  (void)state;
  static one_rank all[4];
  fake_nccl_reset();
  for (int32_t n = 2; n <= 4; n++) {
    run(all, n, FAKE_WHOLE, 4, behind_work);
    ranks_fine(all, n);
  }
  assert_true(fake_nccl.asked > fake_nccl.groups);
}

/* ---- what fails ------------------------------------------------------------------------------------------- */

/* Each call of rank 1 fails in turn: it says which, its own words follow, and the others are not stuck. */
static void test_each_call_fails(void **state) {
  (void)state;
  static const struct {
    const char *call, *what; /* what the sentence says of it; NULL: nobody asks how it ended */
    int n;
  } calls[] = {{"ncclCommInitRankConfig", "ncclCommInitRankConfig", 1},
               {"ncclGroupStart", "ncclGroupStart", 1},
               {"ncclGroupStart", "ncclGroupStart", 3},
               {"ncclSend", "ncclSend of 1 bytes to rank 2", 1},
               {"ncclSend", "ncclSend of 1000 bytes to rank 2", 4},
               {"ncclRecv", "ncclRecv of 1 bytes of rank 0", 1},
               {"ncclGroupEnd", "ncclGroupEnd", 1},
               {"ncclGroupEnd", "ncclGroupEnd", 5},
               {"ncclCommGetAsyncError", "ncclCommInitRankConfig", 1},
               {"ncclCommFinalize", NULL, 1},
               {"ncclCommDestroy", NULL, 1},
               {"ncclCommAbort", NULL, 1}};
  static one_rank all[3];
  for (int32_t i = 0; i < RPI_COUNT(calls); i++)
    for (int32_t k = 0; k < 2; k++) {
      fake_nccl_reset();
      fake_nccl.fail_call = calls[i].call;
      fake_nccl.fail_rank = 1;
      fake_nccl.fail_n = calls[i].n;
      fake_nccl.fail_code = k ? ncclUnhandledCudaError : ncclInternalError;
      world w = {.library = FAKE_WHOLE, .gpus = 4, .work = ring};
      ranks_run(all, 3, body, &w, 60);
      for (int32_t r = 0; r < 3; r++) assert_int_equal(all[r].wrong, 0);
      if (!calls[i].what) {
        ranks_fine(all, 3);
        fake_nccl.comms = 0;
        emu_check_empty();
        continue;
      }
      assert_int_equal(fake_nccl.fail_n, 0);
      assert_int_equal(all[1].status, k ? RP_ERR_DEVICE : RP_ERR_RANKS);
      const char *const words[] = {"NCCL 2.28.9, rank 1 of 3 (GPU 1): ", calls[i].what,
                                   k ? "unhandled cuda error: " : "internal error: ", calls[i].call,
                                   "of rank 1 was to fail"};
      for (int32_t j = 0; j < RPI_COUNT(words); j++)
        if (!strstr(all[1].said, words[j]))
          fail_msg("%s: \"%s\" lacks \"%s\"", calls[i].call, all[1].said, words[j]);
      rank_failed(&all[0], "another rank has gone");
      rank_failed(&all[2], "another rank has gone");
      assert_int_equal(fake_nccl.comms, 0);
      emu_check_empty();
    }
}

static void test_no_id(void **state) {
  (void)state;
  const rpi_nccl_table *t;
  char id[RPI_NCCL_ID];
  fake_nccl_reset();
  fake_nccl.fail_call = "ncclGetUniqueId";
  fake_nccl.fail_rank = -1;
  fake_nccl.fail_n = 1;
  fake_nccl.fail_code = ncclSystemError;
  assert_int_equal(rpi_nccl_open(FAKE_WHOLE, &t), RP_OK);
  assert_int_equal(rpi_nccl_id(t, id), RP_ERR_RANKS);
  assert_non_null(strstr(rpi_status_message(), "NCCL 2.28.9: ncclGetUniqueId: unhandled system"));
  assert_int_equal(rpi_nccl_id(t, id), RP_OK);
}

/* Its stream comes to the end without what was to come: that is no success. */
static rp_status breaks(member *m) {
  CUdeviceptr a, b;
  RPI_TRY(rpi_device_get(m->d, EACH, &a));
  RPI_TRY(rpi_device_get(m->d, EACH, &b));
  RPI_TRY(shift(m, a, b, 64));
  RPI_TRY(rpi_nccl_wait(m->n));
  if (m->r->rank != 2) {
    RPI_TRY(shift(m, a, b, 64));
    return rpi_nccl_wait(m->n);
  }
  RPI_TRY(rpi_nccl_group_begin(m->n, rpi_device_stream(m->d)));
  RPI_TRY(rpi_nccl_receive(m->n, b, 64, 1));
  RPI_TRY(rpi_nccl_group_end(m->n));
  fake_nccl_break(2, ncclRemoteError);
  RPI_TRY(rpi_device_wait(m->d));
  return rpi_nccl_wait(m->n);
}

static void test_breaks(void **state) {
  (void)state;
  static one_rank all[4];
  fake_nccl_reset();
  run(all, 4, FAKE_WHOLE, 4, breaks);
  rank_failed(&all[2], "NCCL 2.28.9, rank 2 of 4 (GPU 2): found while waiting: remote process "
                       "exited: rank 2 is broken");
  rank_failed(&all[3], "another rank has gone"); /* nobody sends to it */
  assert_true(fake_nccl.aborted >= 2);
}

/* A rank that gives up while others wait for it; the GPU's own failure comes before all else. */
static rp_status leaves(member *m) {
  CUdeviceptr a, b;
  RPI_TRY(rpi_device_get(m->d, EACH, &a));
  RPI_TRY(rpi_device_get(m->d, EACH, &b));
  if (m->r->rank == 1) {
    emu_sticky(CUDA_ERROR_ILLEGAL_ADDRESS);
    CUmodule module;
    rpi_device_function add;
    const struct {
      CUdeviceptr x;
      long long y;
      int n;
    } args = {a, 1, 1};
    RPI_TRY(rpi_device_module(m->d, image, &module));
    RPI_TRY(rpi_device_function_get(m->d, module, "add", &add));
    RPI_TRY(rpi_device_launch(m->d, add.function, 1, 32, &args, sizeof args));
  }
  RPI_TRY(shift(m, a, b, 100));
  return rpi_nccl_wait(m->n);
}

static void test_leaves(void **state) {
  (void)state;
  static one_rank all[3];
  fake_nccl_reset();
  run(all, 3, FAKE_WHOLE, 4, leaves);
  assert_int_equal(all[1].status, RP_ERR_DEVICE);
  assert_non_null(strstr(all[1].said, "CUDA_ERROR_ILLEGAL_ADDRESS"));
  rank_failed(&all[2], "another rank has gone");
}

/* ---- one GPU for two -------------------------------------------------------------------------------------- */

static void test_duplicate(void **state) {
  (void)state;
  static one_rank all[3];
  fake_nccl_reset();
  run(all, 2, FAKE_WHOLE, 1, ring);
  for (int32_t i = 0; i < 2; i++) {
    assert_int_equal(all[i].status, RP_ERR_DEVICE);
    assert_non_null(strstr(all[i].said, "NCCL 2.28.9 takes one rank for each GPU"));
    assert_non_null(strstr(all[i].said, "shares GPU 0 (Emulated GPU 0) with another"));
    assert_non_null(strstr(all[i].said, "Duplicate GPU detected"));
  }
  run(all, 2, FAKE_EARLY, 1, ring); /* it has no words of its own */
  for (int32_t i = 0; i < 2; i++) {
    assert_int_equal(all[i].status, RP_ERR_DEVICE);
    assert_non_null(strstr(all[i].said, "takes one rank for each GPU"));
  }
  run(all, 3, FAKE_WHOLE, 2, ring);
  assert_int_equal(all[0].status, RP_ERR_DEVICE);
  assert_int_equal(all[1].status, RP_ERR_RANKS);
  assert_int_equal(all[2].status, RP_ERR_DEVICE);
  assert_int_equal(setenv("FAKE_NCCL_SHARED", "1", 1), 0);
  run(all, 3, FAKE_WHOLE, 2, ring);
  run(all, 3, FAKE_WHOLE, 1, ring);
  assert_int_equal(unsetenv("FAKE_NCCL_SHARED"), 0);
  ranks_fine(all, 3);
}

/* ---- what the library in NCCL's place sees ------------------------------------------------------------------ */

static rp_status unequal(member *m) {
  CUdeviceptr a;
  RPI_TRY(rpi_device_get(m->d, EACH, &a));
  RPI_TRY(rpi_nccl_group_begin(m->n, rpi_device_stream(m->d)));
  RPI_TRY(m->r->rank ? rpi_nccl_send(m->n, a, 100, 0) : rpi_nccl_receive(m->n, a, 60, 1));
  RPI_TRY(rpi_nccl_group_end(m->n));
  return rpi_nccl_wait(m->n);
}

static rp_status beyond(member *m) {
  CUdeviceptr a;
  RPI_TRY(rpi_device_get(m->d, 256, &a));
  return shift(m, a, a, EACH);
}

static rp_status too_soon(member *m) {
  const rpi_nccl_table *t;
  CUdeviceptr a;
  RPI_TRY(rpi_nccl_open(m->w->library, &t));
  RPI_TRY(rpi_device_get(m->d, EACH, &a));
  if (m->r->rank) return shift(m, a, a, 8); /* with itself the other does not end */
  RPI_TRY(rpi_nccl_group_begin(m->n, rpi_device_stream(m->d)));
  RPI_TRY(rpi_nccl_send(m->n, a, 8, 1));
  if (t->group_end() != ncclInProgress) return RP_OK;
  return rpi_nccl_send(m->n, a, 8, 1);
}

struct misuse {
  rp_status (*work)(member *m);
  const char *sentence;
};

static void commit_misuse(const void *of) {
  static one_rank ranks[2];
  run(ranks, 2, FAKE_WHOLE, 4, ((const struct misuse *)of)->work);
}

static void test_misuse(void **state) {
  (void)state;
  static const struct misuse all[] = {
      {unequal, "fake NCCL: rank 1 sends 100 bytes to rank 0, which receives 60"},
      {beyond, "a message: 4096 bytes from 0 on are beyond the block of 256 bytes"},
      {too_soon, "fake NCCL: ncclSend: an earlier call still goes on"}};
  char said[1000];
  fake_nccl_reset();
  for (int32_t i = 0; i < RPI_COUNT(all); i++) {
    const int status = child_status(commit_misuse, &all[i], said, sizeof said);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !strstr(said, all[i].sentence))
      fail_msg("misuse %d: status %#x, and said: %s", i, status, said);
  }
}

int main(void) {
  const char *devices = getenv("EMU_DEVICES");
  if (!devices || atoi(devices) < 4) {
    printf("EMU_DEVICES is not 4\n");
    return 77;
  }
  compile();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_misuse), /* the first: its children can use GPUs while this process has used none */
      cmocka_unit_test(test_no_library),  cmocka_unit_test(test_unfit),
      cmocka_unit_test(test_opens),       cmocka_unit_test(test_usual_name),
      cmocka_unit_test(test_ring),        cmocka_unit_test(test_many),
      cmocka_unit_test(test_behind_work), cmocka_unit_test(test_each_call_fails),
      cmocka_unit_test(test_no_id),       cmocka_unit_test(test_breaks),
      cmocka_unit_test(test_leaves),      cmocka_unit_test(test_duplicate),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
