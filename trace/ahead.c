/* SPDX-License-Identifier: Apache-2.0
 * trace/ahead.c -- what later launches need of an array comes with what the first one needs.
 *
 * Lives here: the needs of a whole plan, by the values that they are of; which are brought at once.
 * How:        the plan is rehearsed, and each need is noted with its symbol and epoch: how often the symbol had been
 *             written or moved by then. In the walk that counts the first need of an epoch takes the others along,
 *             which are then at hand: between two ranks there is one message for the values of an array, however
 *             many launches read them. An image that an earlier launch has looked up in the same form, of the same
 *             values, is not looked up again.
 * Invariant:  the rehearsal comes to the same needs in the same order, since what is brought decides on nothing else. */
#include <string.h>

#include "core/base/alloc.h"
#include "trace/distribute_impl.h"

/* ---- notes ---- */

/* Do two steps read one symbol? */
static bool is_worth_while(const rpi_walker *w, int32_t *last) {
  const rpi_analysis *an = w->b->an;
  for (int32_t i = 0; i < an->n_symbol; i++) last[i] = -1;
  for (int32_t g = 0; g < an->n_group; g++) {
    for (int32_t o = 0; o < an->group[g].n_operand; o++) {
      const rpi_group_operand *k = &an->group[g].operand[o];
      if (!an->group[g].opaque && !(k->ir.access & RPI_ACCESS_READ)) continue;
      if (last[k->symbol] >= 0 && last[k->symbol] != g) return true;
      last[k->symbol] = g;
    }
  }
  return false;
}

rp_status rpi_ahead_learn(const rpi_walker *like, rpi_ahead *out) {
  rpi_bound *b = like->b;
  *out = (rpi_ahead){0};
  if (like->ranks < 2 || b->plan.n_step < 2) return RP_OK;
  int32_t *last = rpi_alloc(sizeof *last * ((size_t)b->an->n_symbol + 1));
  if (!last) return rpi_status_nomem("plan");
  const bool worth = is_worth_while(like, last);
  rpi_alloc_free(last);
  if (!worth) return RP_OK;
  rpi_walker w = *like;
  rpi_rehearsal s;
  w.trial = w.notes = true;
  w.ahead = out;
  rp_status st = rpi_rehearsal_begin(b, &s);
  if (st == RP_OK) st = rpi_distribute_walk(&w);
  rpi_distribute_end(&w);
  st = rpi_rehearsal_end(b, &s, st);
  out->known = st == RP_OK;
  return st;
}

void rpi_ahead_forget(rpi_ahead *a) { rpi_alloc_free(a->list); }

static void note(rpi_walker *w, const rpi_ahead_need *n) {
  rpi_ahead *a = w->ahead;
  void *list = a->list;
  if (!rpi_alloc_grow(&list, &a->cap, a->n + 1, sizeof *a->list)) {
    w->status = rpi_status_nomem("needs");
    return;
  }
  a->list = list;
  a->list[a->n++] = *n;
}

/* ---- needs ---- */

static void add(rpi_walker *w, const rpi_ahead_need *n, int32_t user) {
  rpi_ahead_need mine = *n;
  mine.line.user = mine.box.user = user;
  if (!(n->is_box ? rpi_margins_add(&w->margins, &mine.box) : rpi_needs_add(&w->needs, &mine.line)))
    w->status = rpi_status_nomem("needs");
}

void rpi_ahead_need_of(rpi_walker *w, rpi_ahead_need *n) {
  n->at = w->at;
  n->epoch = w->epoch[n->symbol];
  if (w->user >= 0 && w->notes) note(w, n);
  const bool first = w->brought[n->symbol] != n->epoch + 1;
  if (w->user >= 0 && !first && w->brought_at[n->symbol] < w->at) return;
  add(w, n, w->user);
  if (w->user < 0 || w->notes || !w->ahead || !w->ahead->known || !first) return;
  w->brought[n->symbol] = n->epoch + 1;
  w->brought_at[n->symbol] = w->at;
  for (int32_t i = 0; i < w->ahead->n; i++) {
    const rpi_ahead_need *k = &w->ahead->list[i];
    if (k->symbol == n->symbol && k->epoch == n->epoch && k->at > w->at) add(w, k, RPI_AHEAD_LATER);
  }
}

/* ---- images ---- */

static bool same_node(const rpi_image_node *a, const rpi_image_node *b) {
  const bool data = a->kind == RPI_IMAGE_DATA || a->kind == RPI_IMAGE_TABLE;
  return a->kind == b->kind && a->lo == b->lo && a->hi == b->hi &&
         memcmp(a->src, b->src, sizeof a->src) == 0 &&
         (!data || (a->symbol == b->symbol && a->dtype == b->dtype && a->hint == b->hint &&
                    memcmp(&a->geom, &b->geom, sizeof a->geom) == 0));
}

/* As all ranks see it: nothing of whose rows are looked at. */
static bool same_image(const rpi_image *a, const rpi_image *b) {
  if (a->symbol != b->symbol || a->n_node != b->n_node || a->n_use != b->n_use ||
      memcmp(&a->geom, &b->geom, sizeof a->geom) != 0 ||
      memcmp(&a->cuts, &b->cuts, sizeof a->cuts) != 0)
    return false;
  for (int32_t i = 0; i < a->n_node; i++)
    if (!same_node(&a->node[i], &b->node[i])) return false;
  for (int32_t i = 0; i < a->n_use; i++)
    if (memcmp(a->use[i].axis, b->use[i].axis, sizeof *a->use[i].axis * (size_t)a->geom.ndim) != 0)
      return false;
  return true;
}

/* A hash of the epochs of all that an image reads. */
static uint64_t epochs_of(const rpi_walker *w, const rpi_image *m) {
  uint64_t h = (uint64_t)w->epoch[m->symbol];
  for (int32_t i = 0; i < m->n_node; i++) {
    const rpi_image_node *n = &m->node[i];
    if (n->kind == RPI_IMAGE_DATA || n->kind == RPI_IMAGE_TABLE)
      h = h * UINT64_C(1000003) + (uint64_t)w->epoch[n->symbol];
  }
  return h;
}

static bool same_share(const rpi_share *a, const rpi_share *b) {
  if (a->boxes || b->boxes) return a->boxes && b->boxes && rpi_grid_same(&a->grid, &b->grid);
  return a->leaf == b->leaf && memcmp(&a->space, &b->space, sizeof a->space) == 0;
}

bool rpi_ahead_has_image(rpi_walker *w, const rpi_image *m, const rpi_share *s) {
  const uint64_t epochs = epochs_of(w, m);
  for (int32_t i = 0; i < w->n_past; i++) {
    const rpi_ahead_image *p = &w->past[i];
    if (p->at < w->at && p->epochs == epochs && same_share(&p->share, s) && same_image(p->image, m))
      return true;
  }
  void *list = w->past;
  if (!rpi_alloc_grow(&list, &w->cap_past, w->n_past + 1, sizeof *w->past)) {
    w->status = rpi_status_nomem("images");
    return false;
  }
  w->past = list;
  w->past[w->n_past++] = (rpi_ahead_image){.image = m, .share = *s, .at = w->at, .epochs = epochs};
  return false;
}
