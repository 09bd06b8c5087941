/* SPDX-License-Identifier: Apache-2.0
 * trace/nonfinite.c -- see nonfinite.h. */
#include "trace/nonfinite.h"

#include "core/model/residence.h"

static int64_t count_nonfinite(const rpi_buffer *b) {
  int64_t bad = 0, n = b->base->bsize;
  if (!b->inst || rpi_residence_host(b->pool, b->inst, RPI_USE_READ) != RP_OK) return 0;
  if (b->base->dtype == RP_F64)
    for (int64_t i = 0; i < n; i++) bad += !__builtin_isfinite(((const double *)b->inst->data)[i]);
  if (b->base->dtype == RP_F32)
    for (int64_t i = 0; i < n; i++) bad += !__builtin_isfinite(((const float *)b->inst->data)[i]);
  return bad;
}

void rpi_nonfinite_look(rp_context *ctx, const rpi_template *t, const rpi_segment *s) {
  for (uint32_t i = 0; i < s->n_slot; i++) {
    int64_t bad = t->slot[i] & RPI_SLOT_WRITTEN ? count_nonfinite(s->slot[i]) : 0;
    ctx->stats.nonfinite += bad;
    if (bad == 0 || ctx->nonfinite) continue;
    rpi_strbuf text;
    rpi_strbuf_init(&text);
    rpi_strbuf_addf(&text, "launch %lld, ", (long long)ctx->stats.launches);
    rpi_task_print(&t->tasks, 0, &text);
    rpi_strbuf_addf(&text, ": %lld elements of s%u", (long long)bad, i);
    ctx->nonfinite = rpi_alloc_string(rpi_strbuf_str(&text));
    rpi_strbuf_deinit(&text);
  }
}
