/* SPDX-License-Identifier: Apache-2.0
 * bindings/c/api_ranks.c -- entry points for libraries whose processes have different data, such as parts of a file.
 * Lives here: checks of arguments; an error that one process finds in its own becomes all processes'.
 * Not here:   how elements come into stores (trace/supply.c) and out (trace/outgoing.c), and records travel
 *             (core/comm/deal.c). */
#include "bindings/c/api.h"
#include "core/base/alloc.h"
#include "core/comm/collect.h"
#include "core/comm/deal.h"
#include "trace/calls.h"
#include "trace/checkpoint.h"
#include "trace/outgoing.h"
#include "trace/places.h"
#include "trace/supply.h"

/* ---- who we are ---- */

/* In a dry run nobody else is there to do what this process does not do. Who follows a context is no process. */
static const rpi_comm *company(const rp_context *ctx) {
  const bool alone =
      !ctx || ctx->magic != RPI_MAGIC_CONTEXT || ctx->crew || rpi_comm_dry(ctx->comm);
  return alone ? NULL : ctx->comm;
}

int32_t rp_context_ranks(const rp_context *ctx) { return rpi_comm_size(company(ctx)); }
int32_t rp_context_rank(const rp_context *ctx) { return rpi_comm_rank(company(ctx)); }

/* ---- what each has ---- */

rp_status rp_context_agree(rp_context *ctx, rp_status mine, uint64_t same) {
  bool heard;
  RPI_TRY(rpi_api_enter(ctx, "rp_context_agree"));
  if (!company(ctx)) return rpi_api_leave(ctx, mine);
  rpi_verdict v = {.same = same};
  return rpi_api_leave(ctx, rpi_checkpoint_agree(ctx, mine, &v, &heard));
}

rp_status rp_context_scan(rp_context *ctx, int64_t mine, int64_t *before, int64_t *all) {
  if (!before || !all)
    return rpi_status_fail(RP_ERR_ARGUMENT, "rp_context_scan: %s is NULL",
                           before ? "all" : "before");
  *before = 0;
  *all = mine;
  RPI_TRY(rpi_api_enter(ctx, "rp_context_scan"));
  if (!company(ctx)) return rpi_api_leave(ctx, RP_OK);
  return rpi_api_leave(ctx, rpi_places_failed(ctx, rpi_collect_scan(ctx->comm, mine, before, all)));
}

static rp_status check_deal(int64_t n, const int32_t *to, const void *records) {
  if (n < 0) return rpi_status_fail(RP_ERR_ARGUMENT, "n is %lld", (long long)n);
  if (n > 0 && (!to || !records))
    return rpi_status_fail(RP_ERR_ARGUMENT, "%s is NULL", to ? "records" : "to");
  return RP_OK;
}

/* Takes d->records. */
static rp_status deal(rp_context *ctx, rpi_deal *d) {
  rpi_comm *comm = company(ctx) ? ctx->comm : NULL;
  bool heard = true;
  rp_status st = rpi_deal_records(comm, check_deal(d->n, d->to, d->records), d, &heard);
  if (st != RP_OK) rpi_status_context(st, "rp_context_deal");
  return heard ? st : rpi_places_failed(ctx, st);
}

rp_status rp_context_deal(rp_context *ctx, int64_t n, const int32_t *to, size_t bytes,
                          void *records, int64_t *n_out, void **out) {
  rpi_deal d = {.n = n, .to = to, .bytes = (int64_t)bytes, .records = records};
  rp_status st = RP_OK;
  if (n_out) *n_out = 0;
  if (out) *out = NULL;
  if (!n_out || !out)
    st = rpi_status_fail(RP_ERR_ARGUMENT, "rp_context_deal: %s is NULL", n_out ? "out" : "n_out");
  else if (bytes < 1 || bytes > INT32_MAX)
    st = rpi_status_fail(RP_ERR_ARGUMENT, "rp_context_deal: a record of %zu bytes", bytes);
  if (st == RP_OK) st = rpi_api_enter(ctx, "rp_context_deal");
  if (st != RP_OK) {
    rpi_alloc_free(records);
    return st;
  }
  st = deal(ctx, &d);
  *n_out = d.n_out;
  *out = d.out;
  return rpi_api_leave(ctx, st);
}

/* ---- stores ---- */

static rp_status writable(const rp_store *s) {
  if (s->buf->klass & RPI_CLASS_READ_ONLY)
    return rpi_status_fail(RP_ERR_ACCESS, "the store is attached read-only");
  if (s->readonly_view) return rpi_status_fail(RP_ERR_ACCESS, "the view shows elements twice");
  return RP_OK;
}

rp_status rp_store_supply(rp_store *s, rp_supply_fn *fn, void *arg) {
  rp_context *ctx;
  if (!fn) return rpi_status_fail(RP_ERR_ARGUMENT, "rp_store_supply: fn is NULL");
  RPI_TRY(rpi_api_enter_store(s, "rp_store_supply", &ctx));
  rp_status st = writable(s);
  if (st == RP_OK && ctx->crew) {
    st = rpi_follow_use(ctx, RPI_FOLLOW_WRITE_SHARE, s);
    if (st == RP_OK) st = rpi_supply_first(ctx, s, fn, arg);
  } else if (st == RP_OK) {
    st = rpi_supply_ask(ctx, s, fn, arg);
  }
  return rpi_api_leave(ctx, st == RP_OK ? st : rpi_status_context(st, "rp_store_supply"));
}

static rp_status check_share(const void *data, size_t bytes, size_t elem) {
  if (bytes > 0 && !data) return rpi_status_fail(RP_ERR_ARGUMENT, "data is NULL");
  if (bytes % elem != 0)
    return rpi_status_fail(RP_ERR_ARGUMENT, "%zu bytes are no elements of %zu bytes", bytes, elem);
  return RP_OK;
}

rp_status rp_store_write_share(rp_store *s, const void *data, size_t bytes) {
  rp_context *ctx;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_write_share", &ctx));
  const size_t elem = (size_t)rpi_dtype_size(s->view->dtype);
  const rp_status mine = check_share(data, bytes, elem);
  rp_status st = writable(s);
  if (st == RP_OK && ctx->crew) st = rpi_follow_use(ctx, RPI_FOLLOW_WRITE_SHARE, s);
  if (st == RP_OK) st = rpi_supply_share(ctx, s, mine, data, (int64_t)(bytes / elem));
  return rpi_api_leave(ctx, st == RP_OK ? st : rpi_status_context(st, "rp_store_write_share"));
}

rp_status rp_store_read_share(rp_store *s, int64_t lo, void *data, size_t bytes) {
  rp_context *ctx;
  RPI_TRY(rpi_api_enter_store(s, "rp_store_read_share", &ctx));
  const size_t elem = (size_t)rpi_dtype_size(s->view->dtype);
  const int64_t n = (int64_t)(bytes / elem), size = s->view->size;
  rp_status mine = check_share(data, bytes, elem);
  if (mine == RP_OK && n > 0 && (lo < 0 || lo > size || n > size - lo))
    mine = rpi_status_fail(RP_ERR_ARGUMENT, "%lld elements from element %lld on of a store of %lld",
                           (long long)n, (long long)lo, (long long)size);
  rp_status st = ctx->crew ? rpi_follow_use(ctx, RPI_FOLLOW_READ_SHARE, s) : RP_OK;
  rpi_calls_note(ctx, RPI_CALLS_READ, s);
  if (st == RP_OK) st = rpi_outgoing_share(ctx, s, mine, lo, n, data);
  return rpi_api_leave(ctx, st == RP_OK ? st : rpi_status_context(st, "rp_store_read_share"));
}
