/* SPDX-License-Identifier: Apache-2.0
 * tests/gpu/nccl_alone.c -- NCCL itself on a machine with one GPU: its version, a world of one rank that sends to itself, and the
 * refusal of two ranks on one GPU.
 *
 *   nccl_alone [BYTES]   of the largest message (256 MiB); one line of JSON for each thing; 77: there is no NCCL
 *
 * Not here:   messages between GPUs (tests/unit/test_nccl.c, with a library in NCCL's place), the same by the whole library
 *             (gpu_worlds.c).
 * How:        the knobs cuda and nccl say which libraries. Who waits for longer than PATIENCE gives up. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/config.h"
#include "core/device/nccl.h"

enum { PATIENCE = 30, ROUNDS = 10, GROUP = 3 };

static rpi_config config;
static const rpi_nccl_table *table;
static int64_t until;

static bool patient(void *arg) {
  (void)arg;
  if (rpi_clock_ns() < until) return true;
  rpi_status_fail(RP_ERR_RANKS, "%d s have passed", PATIENCE);
  return false;
}

static void be_patient(void) { until = rpi_clock_ns() + PATIENCE * INT64_C(1000000000); }

/* Sentences are printed within JSON. */
static void print(const char *row, double value, const char *unit, int met, const char *note) {
  printf("{\"row\": \"%s\", \"value\": %.9g, \"unit\": \"%s\", \"baseline\": null, \"met\": %s, "
         "\"note\": \"",
         row, value, unit,
         met < 0 ? "null"
         : met   ? "true"
                 : "false");
  for (; *note; note++)
    putchar(*note == '"' || *note == '\\' || (unsigned char)*note < ' ' ? '\'' : *note);
  printf("\"}\n");
  fflush(stdout);
}

/* ---- to itself ---------------------------------------------------------------------------------------------- */

typedef struct room {
  rpi_device *d;
  rpi_nccl *n;
  CUdeviceptr from, to;
  unsigned char *out, *in; /* of the host */
  int64_t bytes;
} room;

static rp_status post(room *r, int64_t bytes) {
  RPI_TRY(rpi_nccl_group_begin(r->n, rpi_device_stream(r->d)));
  RPI_TRY(rpi_nccl_send(r->n, r->from, bytes, 0));
  RPI_TRY(rpi_nccl_receive(r->n, r->to, bytes, 0));
  return rpi_nccl_group_end(r->n);
}

/* Several messages at once, one behind the other in the same order, in turns in the device's stream and in that beside it; all
 * that is there afterwards is as it was sent. */
static rp_status sizes(room *r, int64_t *wrong) {
  static const int64_t all[] = {1, 7, 256, 100003};
  for (int32_t i = 0; i < RPI_COUNT(all); i++) {
    const int64_t n = all[i] * GROUP <= r->bytes ? all[i] : 1;
    CUstream stream = rpi_device_stream(r->d);
    RPI_TRY(rpi_device_zero(r->d, r->to, n * GROUP));
    if (i % 2) RPI_TRY(rpi_device_aside(r->d, &stream));
    RPI_TRY(rpi_nccl_group_begin(r->n, stream));
    for (int64_t k = 0; k < GROUP; k++) {
      RPI_TRY(rpi_nccl_send(r->n, r->from + (CUdeviceptr)(k * n), n, 0));
      RPI_TRY(rpi_nccl_receive(r->n, r->to + (CUdeviceptr)(k * n), n, 0));
    }
    RPI_TRY(rpi_nccl_group_end(r->n));
    if (i % 2) RPI_TRY(rpi_device_rejoin(r->d));
    RPI_TRY(rpi_nccl_wait(r->n));
    RPI_TRY(rpi_device_download(r->d, r->in, r->to, n * GROUP));
    *wrong += memcmp(r->in, r->out, (size_t)(n * GROUP)) != 0;
  }
  return RP_OK;
}

static rp_status largest(room *r, int64_t *wrong, double *seconds) {
  RPI_TRY(post(r, r->bytes));
  RPI_TRY(rpi_nccl_wait(r->n));
  const int64_t begin = rpi_clock_ns();
  for (int i = 0; i < ROUNDS; i++) RPI_TRY(post(r, r->bytes));
  RPI_TRY(rpi_nccl_wait(r->n));
  *seconds = 1e-9 * (double)(rpi_clock_ns() - begin) / ROUNDS;
  RPI_TRY(rpi_device_download(r->d, r->in, r->to, r->bytes));
  *wrong += memcmp(r->in, r->out, (size_t)r->bytes) != 0;
  return RP_OK;
}

static rp_status fill(room *r) {
  uint64_t z = 1;
  for (int64_t i = 0; i < r->bytes; i++) {
    z = z * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    r->out[i] = (unsigned char)(z >> 56);
  }
  RPI_TRY(rpi_device_get(r->d, r->bytes, &r->from));
  RPI_TRY(rpi_device_get(r->d, r->bytes, &r->to));
  return rpi_device_upload(r->d, r->from, r->out, r->bytes);
}

static rp_status to_itself(room *r, int64_t *wrong, double *seconds) {
  unsigned char id[RPI_NCCL_ID];
  RPI_TRY(rpi_device_open(config.cuda, 0, 0, &r->d));
  RPI_TRY(fill(r));
  RPI_TRY(rpi_nccl_id(table, id));
  be_patient();
  RPI_TRY(rpi_nccl_join(table, r->d, id, 0, 1, patient, NULL, &r->n));
  RPI_TRY(sizes(r, wrong));
  return largest(r, wrong, seconds);
}

static bool check_itself(int64_t bytes) {
  int64_t wrong = 0;
  double seconds = 0;
  char note[1024] = "one rank to itself, and groups of several: all bytes came";
  room r = {.bytes = bytes, .out = malloc((size_t)bytes), .in = malloc((size_t)bytes)};
  if (!r.out || !r.in) abort();
  const rp_status st = to_itself(&r, &wrong, &seconds);
  if (st != RP_OK || wrong > 0)
    snprintf(note, sizeof note, "%s",
             st != RP_OK ? rpi_status_message() : "other bytes came than were sent");
  rpi_nccl_free(r.n, st == RP_OK);
  if (r.d) rpi_device_put(r.d, r.from, r.from ? bytes : 0);
  if (r.d) rpi_device_put(r.d, r.to, r.to ? bytes : 0);
  rpi_device_close(r.d);
  free(r.out);
  free(r.in);
  print("nccl_to_itself", st == RP_OK && wrong == 0, "yes", st == RP_OK && wrong == 0, note);
  if (st == RP_OK) {
    snprintf(note, sizeof note, "of messages of %lld bytes within the GPU", (long long)bytes);
    print("nccl_speed", 1e-9 * (double)bytes / seconds, "GB/s", -1, note);
  }
  return st == RP_OK && wrong == 0;
}

/* ---- two on one GPU ------------------------------------------------------------------------------------------ */

typedef struct twin {
  int32_t rank;
  const void *id;
  rp_status status;
  char said[1024];
  pthread_t thread;
} twin;

static void *come(void *arg) {
  twin *t = arg;
  rpi_device *d = NULL;
  rpi_nccl *n = NULL;
  t->status = rpi_device_open(config.cuda, 0, 0, &d);
  if (t->status == RP_OK) t->status = rpi_nccl_join(table, d, t->id, t->rank, 2, patient, NULL, &n);
  snprintf(t->said, sizeof t->said, "%s", rpi_status_message());
  rpi_nccl_free(n, false);
  rpi_device_close(d);
  return NULL;
}

static bool check_twins(void) {
  unsigned char id[RPI_NCCL_ID];
  twin all[2];
  if (rpi_nccl_id(table, id) != RP_OK) {
    print("nccl_refuses_twins", 0, "yes", 0, rpi_status_message());
    return false;
  }
  be_patient();
  for (int32_t r = 0; r < 2; r++) {
    all[r] = (twin){.rank = r, .id = id};
    if (pthread_create(&all[r].thread, NULL, come, &all[r]) != 0) abort();
  }
  for (int32_t r = 0; r < 2; r++) pthread_join(all[r].thread, NULL);
  bool good = true, named = false;
  for (int32_t r = 0; r < 2; r++) {
    good = good && all[r].status != RP_OK;
    named = named || strstr(all[r].said, "takes one rank for each GPU");
  }
  print("nccl_refuses_twins", good && named, "yes", good && named,
        all[0].status == RP_OK ? "two ranks of one GPU have joined" : all[0].said);
  return good && named;
}

int main(int argc, char **argv) {
  const int64_t bytes = argc > 1 ? atoll(argv[1]) : 256 << 20;
  if (rpi_config_init(&config, NULL) != RP_OK || bytes < 1) {
    fprintf(stderr, "usage: nccl_alone [BYTES]\n");
    return 2;
  }
  if (rpi_nccl_open(config.nccl, &table) != RP_OK) {
    print("nccl", 0, "version", -1, rpi_status_message());
    return 77;
  }
  print("nccl", table->release, "version", -1,
        table->join_config ? "its calls return at once" : "its calls block");
  bool good = check_itself(bytes);
  good = check_twins() && good;
  rpi_config_deinit(&config);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
