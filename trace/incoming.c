/* SPDX-License-Identifier: Apache-2.0
 * trace/incoming.c -- see incoming.h. */
#include "trace/incoming.h"

#include "core/model/residence.h"
#include "trace/checkpoint.h"
#include "trace/places.h"
#include "trace/index_range.h"

static int32_t element_of(const rp_store *s) { return rpi_dtype_size(s->view->dtype); }
static int32_t element(const rpi_incoming *in) { return element_of(in->store); }

/* This rank's range of an array at the place it will be at. */
static void own_range(rpi_incoming *in) {
  rpi_buffer *b = in->store->buf;
  const uint32_t was = b->place;
  b->place = in->place;
  rpi_store_part(b, &in->lo, &in->hi);
  b->place = was;
}

/* Does all of the array come, into memory that becomes its own? */
static bool is_whole(const rp_store *s) {
  return s->view->covers && s->view->dense && !s->buf->home;
}

rp_status rpi_incoming_prepare(rp_context *ctx, const rp_store *s) {
  rpi_buffer *b = s->buf;
  rpi_tiling line;
  rpi_cuts cuts;
  if (is_whole(s) || !rpi_places_is_grid(ctx, b->place) || !rpi_places_as_line(ctx, b, &line) ||
      !rpi_checkpoint_follow(&line, s->view, &cuts))
    return RP_OK;
  const uint32_t place = rpi_places_number(ctx, &line);
  if (place == RPI_PLACE_WHOLE) return rpi_places_failed(ctx, RP_ERR_MEMORY);
  RPI_TRY(rpi_places_lines(ctx, b, &line));
  if (b->place < RPI_PLACE_TILED) return RP_OK;
  b->place = place;
  if (!b->inst) return RP_OK;
  int64_t lo, hi; /* the lines came to the host alone */
  rpi_store_part(b, &lo, &hi);
  return rpi_residence_part(b->pool, b->inst, RPI_USE_UPDATE,
                            (rpi_hull){lo * element_of(s), hi * element_of(s)});
}

static rp_status own_on_host(rpi_buffer *b) {
  RPI_TRY(rpi_store_own(b, true));
  return rpi_residence_host(b->pool, b->inst, RPI_USE_UPDATE);
}

rp_status rpi_incoming_open(rp_context *ctx, rpi_incoming *in, bool zero) {
  rpi_buffer *b = in->store->buf;
  const rpi_view *v = in->store->view;
  const bool whole = is_whole(in->store);
  in->place = b->place;
  in->zero = zero;
  if (zero) return b->inst ? own_on_host(b) : RP_OK;
  if (whole) {
    in->inst = rpi_store_instance(b->pool, rpi_store_bytes(b), b->inst);
    if (!in->inst) return RP_ERR_MEMORY;
    RPI_TRY(rpi_places_host(ctx, b, &in->place));
  }
  in->hi = v->size;
  in->parts = in->place >= RPI_PLACE_TILED &&
              rpi_checkpoint_follow(rpi_places_tiling(ctx, in->place), v, &in->cuts);
  if (in->parts) {
    in->lo = rpi_cuts_at(&in->cuts, b->pool->rank);
    in->hi = rpi_cuts_at(&in->cuts, b->pool->rank + 1);
  }
  if (whole) {
    own_range(in);
    return rpi_residence_part(b->pool, in->inst, RPI_USE_OVERWRITE,
                              (rpi_hull){in->lo * element(in), in->hi * element(in)});
  }
  in->stage = rpi_memory_get(ctx->memory, (size_t)((in->hi - in->lo) * element(in)), NULL);
  return in->stage ? own_on_host(b) : RP_ERR_MEMORY;
}

char *rpi_incoming_at(const rpi_incoming *in, int64_t i) {
  return in->inst ? (char *)in->inst->data + i * element(in)
                  : in->stage + (i - in->lo) * element(in);
}

void rpi_incoming_commit(rp_context *ctx, rpi_incoming *in) {
  rpi_buffer *b = in->store->buf;
  const rpi_view *v = in->store->view;
  if (in->inst) {
    if (b->inst) rpi_store_instance_release(b->pool, b->inst);
    b->inst = in->inst;
    b->place = in->place;
    in->inst = NULL;
  } else if (b->inst) { /* without, it is all zeros, and so is what came */
    const int64_t n = in->zero ? v->size : in->hi - in->lo;
    rpi_store_unpack_part(b->inst->data, &v->geom, element(in), in->lo, n, in->stage);
  }
  /* As for rp_store_write: a part of a poisoned array does not heal it. */
  char *poison = v->covers ? NULL : b->poison;
  if (poison) b->poison = NULL;
  rpi_store_touch(b);
  b->poison = poison;
  if (v->covers && b->place < RPI_PLACE_TILED)
    rpi_index_range(ctx->workers, b, b->inst ? b->inst->data : NULL, b->base->bsize);
}

void rpi_incoming_close(rpi_incoming *in) {
  if (!in->store) return;
  if (in->inst) rpi_store_instance_release(in->store->buf->pool, in->inst);
  if (in->stage)
    rpi_memory_put(in->store->buf->pool->memory, in->stage,
                   (size_t)((in->hi - in->lo) * element(in)));
  in->inst = NULL;
  in->stage = NULL;
}
