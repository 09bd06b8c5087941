/* SPDX-License-Identifier: Apache-2.0
 * trace/gpu_ranks.c -- see gpu_ranks.h. */
#include "trace/gpu_ranks.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/comm/collect.h"
#include "core/device/nccl.h"

static void any(void *arg, void *into, int64_t *n, const void *from, int64_t m) {
  uint64_t *a = into;
  const uint64_t *b = from;
  (void)arg, (void)m;
  for (int64_t i = 0; i < *n / (int64_t)sizeof *a; i++) a[i] |= b[i];
}

/* Seconds for joining: the watchdog, which others keep, has to be longer. */
static int64_t patience(const rp_context *ctx) {
  return ctx->config.watchdog > 1 ? ctx->config.watchdog / 2 : 1;
}

/* One rank's bits become those of all. */
static rp_status spread(rp_context *ctx, void *bits, int64_t bytes) {
  return rpi_collect_merge(ctx->comm, bits, &bytes, bytes, any, NULL);
}

/* Is asked while others are waited for. A rank that cannot join leaves those waiting who can. */
static bool look(void *arg) {
  const rp_context *ctx = arg;
  if (rpi_comm_look(ctx->comm) != RP_OK) return false;
  if (ctx->nccl_until == 0 || rpi_clock_ns() < ctx->nccl_until) return true;
  rpi_status_fail(RP_ERR_RANKS, "not all ranks have joined NCCL within %lld s",
                  (long long)patience(ctx));
  return false;
}

/* Why this rank's GPU cannot speak to others'; NULL: it can, by *t. */
static const char *nccl_of(const rp_context *ctx, const rpi_nccl_table **t) {
  if (!ctx->device) return "it has no GPU";
  if (ctx->gpu_shared) return "it shares its GPU with another";
  return rpi_nccl_open(ctx->config.nccl, t) == RP_OK ? NULL : rpi_status_message();
}

/* All join, or none. */
static rp_status join(rp_context *ctx, const rpi_nccl_table *t) {
  const int32_t rank = rpi_comm_rank(ctx->comm), size = rpi_comm_size(ctx->comm);
  uint64_t id[RPI_NCCL_ID / 8] = {0}, bad;
  rp_status st = rank == 0 ? rpi_nccl_id(t, id) : RP_OK;
  bad = st != RP_OK;
  RPI_TRY(spread(ctx, id, sizeof id));
  RPI_TRY(spread(ctx, &bad, sizeof bad));
  if (bad) return RP_OK;
  ctx->nccl_until = rpi_clock_ns() + patience(ctx) * 1000000000;
  st = rpi_nccl_join(t, ctx->device, id, rank, size, look, ctx, &ctx->nccl);
  ctx->nccl_until = 0;
  if (st != RP_OK) rpi_log(RPI_LOG_INFO, "GPUs speak by way of the host: %s", rpi_status_message());
  bad = st != RP_OK;
  RPI_TRY(spread(ctx, &bad, sizeof bad));
  if (!bad) {
    rpi_device_ask(ctx->device, look, ctx);
    return RP_OK;
  }
  rpi_nccl_free(ctx->nccl, false);
  ctx->nccl = NULL;
  return RP_OK;
}

rp_status rpi_gpu_ranks_agree(rp_context *ctx) {
  const rpi_nccl_table *t = NULL;
  char before[1024];
  if (!ctx->comm || rpi_comm_dry(ctx->comm)) return RP_OK;
  snprintf(before, sizeof before, "%s", rpi_status_message());
  uint64_t has = ctx->device != NULL;
  RPI_TRY(spread(ctx, &has, sizeof has));
  ctx->gpu_somewhere = has != 0;
  if (!has) return RP_OK;
  const char *why = nccl_of(ctx, &t);
  uint64_t cannot = why != NULL;
  if (why) rpi_log(RPI_LOG_INFO, "GPUs speak by way of the host: %s", why);
  RPI_TRY(spread(ctx, &cannot, sizeof cannot));
  if (!cannot) RPI_TRY(join(ctx, t));
  rpi_status_fail(RP_OK, "%s", before);
  return RP_OK;
}

void rpi_gpu_ranks_part(rp_context *ctx) {
  if (!ctx->device) return;
  rpi_nccl_free(ctx->nccl, ctx->ranks_status == RP_OK && ctx->gpu_status == RP_OK);
  ctx->nccl = NULL;
  rpi_device_ask(ctx->device, NULL, NULL);
}
