/* SPDX-License-Identifier: Apache-2.0
 * core/exec/pieces.c -- see pieces.h.
 * How: each block wrote at the beginning of the rows it had room for; a scan of the counts says where its rows belong,
 *      which is never behind where they are. On the calling thread: rows of one block may move over those of the next. */
#include "core/exec/pieces.h"

#include <string.h>

/* Rows there is room for in blocks lo..hi-1 of n. */
static int64_t room(const rpi_plan_call *c, int32_t store, int64_t lo, int64_t hi, int32_t n) {
  if (!c->unit_bytes) return c->geom[store].shape[0];
  const int64_t scale = rpi_opaque_rows(c->opaque, store)->scale;
  return scale * (c->units * hi / n - c->units * lo / n);
}

static bool counts_fit(const rpi_plan_call *c, int32_t n_blocks) {
  for (int32_t k = 0; k < c->n_unbound; k++)
    for (int32_t w = 0; w < n_blocks; w++) {
      const int64_t made = c->counts[w * c->n_unbound + k];
      if (made < 0 || made > room(c, rpi_opaque_unbound(c->opaque, k), w, w + 1, n_blocks))
        return false;
    }
  return true;
}

static int64_t pack(const rpi_plan_call *c, int32_t k, char *data, int32_t n_blocks) {
  const int32_t store = rpi_opaque_unbound(c->opaque, k);
  int64_t rows = c->counts[k];
  if (n_blocks < 2) return rows;
  const int64_t row_bytes = c->unit_bytes[store] / rpi_opaque_rows(c->opaque, store)->scale;
  for (int32_t w = 1; w < n_blocks; w++) {
    const int64_t made = c->counts[w * c->n_unbound + k];
    memmove(data + rows * row_bytes, data + room(c, store, 0, w, n_blocks) * row_bytes,
            (size_t)(made * row_bytes));
    rows += made;
  }
  return rows;
}

void rpi_pieces_pack(rpi_plan_call *c, const rpi_word *words, int32_t n_blocks) {
  if (!counts_fit(c, n_blocks)) c->failed = true;
  for (int32_t k = 0; k < c->n_unbound; k++) {
    const int32_t store = rpi_opaque_unbound(c->opaque, k);
    rpi_pieces_made *made = words[c->n - c->n_unbound + k].p;
    *made = (rpi_pieces_made){.part = c->part};
    if (c->part) made->first = rpi_opaque_rows(c->opaque, store)->scale * c->first;
    if (!c->failed && n_blocks > 0) made->rows = pack(c, k, words[store].p, n_blocks);
  }
}
