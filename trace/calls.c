/* SPDX-License-Identifier: Apache-2.0
 * trace/calls.c -- see calls.h. */
#include "trace/calls.h"

#include <stdio.h>
#include <string.h>

#include "core/base/hash.h"
#include "core/comm/notes.h"
#include "trace/site.h"
#include "trace/template.h"

static const char *const names[] = {
#define RPI_CALLS_KIND(code, name, stamped) name,
    RPI_CALLS_KINDS(RPI_CALLS_KIND)
#undef RPI_CALLS_KIND
};

static const bool stamped[] = {
#define RPI_CALLS_KIND(code, name, stamped) stamped,
    RPI_CALLS_KINDS(RPI_CALLS_KIND)
#undef RPI_CALLS_KIND
};

enum { NO_VIEW = INT32_MAX }; /* an id that is no more what it was */

/* ---- meanings ---- */

static uint64_t join(uint64_t a, uint64_t b) {
  return rpi_hash_bytes64((uint64_t[]){a, b}, 2 * sizeof(uint64_t));
}

static uint64_t text_meaning(uint64_t h, const char *text) {
  return join(h, rpi_hash_bytes64(text, strlen(text)));
}

static uint64_t op_meaning(const rp_op *op) {
  uint64_t h = text_meaning(text_meaning(0, op->lib->name), op->name);
  h = text_meaning(h, op->params);
  return op->body ? text_meaning(h, rpi_body_text(op->body)) : h;
}

static uint64_t view_meaning(const rp_context *ctx, uint32_t id) {
  const rpi_view *v = rpi_view_of_id(&ctx->pool->views, id);
  if (!v) return 0;
  const rpi_geom *g = &v->geom;
  uint64_t h = join((uint64_t)v->dtype << 32 | (uint64_t)v->bdim << 16 | (uint64_t)g->ndim,
                    (uint64_t)g->offset);
  for (int32_t d = 0; d < v->bdim; d++) h = join(h, (uint64_t)v->bshape[d]);
  for (int32_t d = 0; d < g->ndim; d++)
    h = join(join(h, (uint64_t)g->shape[d]), (uint64_t)g->stride[d]);
  return h;
}

/* Of one launch; *w is moved behind it. */
static uint64_t launch_meaning(const rp_context *ctx, const uint64_t **w) {
  const uint64_t *at = *w;
  const int32_t n = (int32_t)(*at >> 32 & 0xFFFF);
  uint64_t h = op_meaning(ctx->op_by_id[(uint32_t)*at]);
  for (int32_t i = 1; i <= n; i++)
    h = join(join(h, at[i] >> 32), view_meaning(ctx, (uint32_t)at[i]));
  *w = at + 1 + n;
  return h;
}

uint64_t rpi_calls_meaning(const rp_context *ctx, const uint64_t *words, int32_t n_words) {
  uint64_t h = 0;
  for (const uint64_t *w = words, *end = words + n_words; w < end;)
    h = join(h, launch_meaning(ctx, &w));
  return h;
}

/* ---- noting ---- */

static void take_in(rp_context *ctx, uint64_t a, uint64_t b) {
  ctx->stamp = rpi_hash_bytes64((uint64_t[]){ctx->stamp, a, b}, 3 * sizeof(uint64_t));
  rpi_comm_stamp(ctx->comm, ctx->stamp);
}

void rpi_calls_stamp(rp_context *ctx, rpi_calls_kind kind, const rp_store *s) {
  if (stamped[kind]) take_in(ctx, kind, s ? s->buf->number : 0);
}

/* One of several values, by where it stands among them: sums of these do not depend on each other, and no hash of a
 * few words is as fast. */
static uint64_t scatter(uint64_t x, uint32_t at) {
  x = (x + at * UINT64_C(0x9E3779B97F4A7C15)) * UINT64_C(0xBF58476D1CE4E5B9);
  return (x ^ x >> 29) * UINT64_C(0x94D049BB133111EB);
}

/* Scalars of C functions may be addresses, which are no rank's but their own. */
static uint64_t bound_by(const rpi_template *t, const rpi_segment *s) {
  uint64_t h = 0;
  for (uint32_t i = 0; i < s->n_slot; i++) h += scatter(s->slot[i]->number, i);
  for (int32_t i = 0; i < s->n_scalar && !t->has_opaque; i++)
    h += scatter(s->scalar[i], s->n_slot + (uint32_t)i);
  return h;
}

void rpi_calls_commit(rp_context *ctx, const rpi_segment *s) {
  rpi_calls *c = ctx->calls;
  const rpi_template *t = s->done;
  const uint64_t bound = bound_by(t, s);
  c->segment[c->n_segments++ & (RPI_CALLS_SEGMENTS - 1)] =
      (rpi_calls_segment){s->first_launch, s->n_task, t, ctx->stamp, bound};
  take_in(ctx, t->meaning, bound);
}

void rpi_calls_forget(rp_context *ctx, const rpi_template *t) {
  rpi_calls *c = ctx->calls;
  for (int32_t i = 0; c && i < RPI_CALLS_SEGMENTS; i++)
    if (!t || c->segment[i].t == t) c->segment[i].t = NULL;
  for (int32_t i = 0; c && !t && i < RPI_CALLS_KEPT; i++) c->call[i].view = NO_VIEW;
}

/* ---- one call, looked at again ---- */

/* The segment that launch number `launch` became part of; NULL: it is not known. */
static const rpi_calls_segment *segment_of(const rpi_calls *c, int64_t launch) {
  for (int64_t i = c->n_segments - 1; i >= 0 && i >= c->n_segments - RPI_CALLS_SEGMENTS; i--) {
    const rpi_calls_segment *s = &c->segment[i & (RPI_CALLS_SEGMENTS - 1)];
    if (launch >= s->first && launch < s->first + s->n) return s->t ? s : NULL;
  }
  return NULL;
}

/* The words of that launch; NULL: they are not known. */
static const uint64_t *words_of(const rpi_calls_segment *s, int64_t launch) {
  if (!s) return NULL;
  const uint64_t *w = s->t->words;
  for (int64_t i = s->first; i < launch; i++) w += 1 + (*w >> 32 & 0xFFFF);
  return w;
}

/* What of a call is compared: what is called, and on what, of a launch also after what; 0: that is not known. */
typedef struct trail {
  uint32_t what, on;
} trail;

enum { IS_LAUNCH = 1, IS_OTHER = 2 }; /* in the low bits of `on`, where it is known */

static trail trail_of(const rp_context *ctx, const rpi_call *k, int64_t launch) {
  if (!k->op && k->view == NO_VIEW) return (trail){(uint32_t)text_meaning(0, names[k->kind]), 0};
  if (!k->op) {
    const uint64_t on = join(k->number, k->number ? view_meaning(ctx, k->view) : 0);
    return (trail){(uint32_t)text_meaning(0, names[k->kind]), (uint32_t)on << 2 | IS_OTHER};
  }
  trail r = {(uint32_t)op_meaning(k->op), 0};
  const rpi_calls_segment *s = segment_of(ctx->calls, launch);
  const uint64_t *w = words_of(s, launch);
  if (w) r.on = (uint32_t)join(launch_meaning(ctx, &w), join(s->before, s->bound)) << 2 | IS_LAUNCH;
  return r;
}

static const rpi_call *call_at(const rpi_calls *c, int64_t i) {
  return &c->call[i & (RPI_CALLS_KEPT - 1)];
}

static int64_t oldest(const rpi_calls *c) {
  return c->n > RPI_CALLS_KEPT ? c->n - RPI_CALLS_KEPT : 0;
}

/* How many launches came before call i. */
static int64_t launches_before(const rp_context *ctx, int64_t i) {
  int64_t n = ctx->stats.launches;
  for (int64_t k = ctx->calls->n - 1; k >= i; k--) n -= call_at(ctx->calls, k)->op != NULL;
  return n;
}

/* ---- what travels ---- */

typedef struct told {
  int64_t first, n; /* calls first..first + n - 1 */
  trail trail[RPI_CALLS_KEPT];
} told;

enum { NAME = 400 };

/* One call in words, or as near as a rank comes to it. */
typedef struct account {
  int64_t call;     /* its number; -1: there is none */
  int64_t launches; /* before it */
  char name[NAME];
  rpi_site site;
  rpi_site near; /* the last one before from outside the library, if `site` is inside */
} account;

/* Where another rank's calls part from this one's. */
typedef struct parting {
  bool overlap; /* some calls are known of both */
  bool differ;  /* a call does, */
  bool known;   /* and all before it were alike: else that is not known */
  account own;
} parting;

static int32_t tell(void *arg, void *out, int32_t room) {
  const rp_context *ctx = arg;
  const rpi_calls *c = ctx->calls;
  told *t = out;
  rpi_assert(room >= (int32_t)sizeof *t);
  (void)room;
  t->first = oldest(c);
  t->n = c->n - t->first;
  int64_t launch = launches_before(ctx, t->first);
  for (int64_t i = 0; i < t->n; i++) {
    const rpi_call *k = call_at(c, t->first + i);
    launch += k->op != NULL;
    t->trail[i] = trail_of(ctx, k, launch);
  }
  return (int32_t)(offsetof(told, trail) + (size_t)t->n * sizeof t->trail[0]);
}

static bool differ(const trail *a, const trail *b) {
  return a->what != b->what || (a->on && b->on && a->on != b->on);
}

/* ---- words for a call ---- */

static void name_view(const rp_context *ctx, uint32_t id, rpi_strbuf *out) {
  const rpi_view *v = rpi_view_of_id(&ctx->pool->views, id);
  char shape[RPI_GEOM_SHAPE];
  if (!v) return;
  rpi_strbuf_addf(out, "%s %s", rpi_dtype_name(v->dtype),
                  rpi_geom_print_shape(v->geom.ndim, v->geom.shape, shape));
}

static void name_launch(const rp_context *ctx, const rp_op *op, int64_t launch, rpi_strbuf *out) {
  const bool is_text = strcmp(op->lib->name, "eval") == 0;
  const uint64_t *w = words_of(segment_of(ctx->calls, launch), launch);
  if (is_text)
    rpi_strbuf_addf(out, "\"%.150s\"", op->name);
  else
    rpi_strbuf_addf(out, "%s.%.100s", op->lib->name, op->name);
  for (int32_t i = 0; w && i < op->n_stores && i < 6; i++) {
    rpi_strbuf_add(out, i ? ", " : " on ");
    name_view(ctx, (uint32_t)w[1 + i], out);
  }
}

static void name_call(const rp_context *ctx, const rpi_call *k, int64_t launch, char out[NAME]) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  if (k->op) {
    name_launch(ctx, k->op, launch, &text);
  } else {
    rpi_strbuf_add(&text, names[k->kind]);
    if (k->number) {
      rpi_strbuf_addf(&text, " of array %llu, ", (unsigned long long)k->number);
      name_view(ctx, k->view, &text);
    }
  }
  snprintf(out, NAME, "%s", rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
}

static void account_of(const rp_context *ctx, int64_t i, account *out) {
  const rpi_calls *c = ctx->calls;
  memset(out, 0, sizeof *out);
  out->call = -1;
  if (i < oldest(c) || i >= c->n) return;
  const rpi_call *k = call_at(c, i);
  out->call = i;
  out->launches = launches_before(ctx, i);
  name_call(ctx, k, out->launches + 1, out->name);
  rpi_site_find(k->caller, &out->site);
  if (!rpi_site_is_own(k->caller)) return;
  int64_t j = i - 1;
  while (j >= oldest(c) && rpi_site_is_own(call_at(c, j)->caller)) j--;
  if (j >= oldest(c)) rpi_site_find(call_at(c, j)->caller, &out->near);
}

/* ---- the dispute ---- */

static int32_t compare(void *arg, const void *from, int32_t bytes, void *out, int32_t room) {
  const rp_context *ctx = arg;
  const rpi_calls *c = ctx->calls;
  const told *t = from;
  parting *p = out;
  told *mine = rpi_alloc(sizeof *mine);
  rpi_assert(room >= (int32_t)sizeof *p);
  (void)room;
  memset(p, 0, sizeof *p);
  if (!mine || bytes < (int32_t)offsetof(told, trail) || t->n < 0 || t->n > RPI_CALLS_KEPT) {
    rpi_alloc_free(mine);
    return 0;
  }
  tell(arg, mine, sizeof *mine);
  const int64_t first = t->first > mine->first ? t->first : mine->first;
  const int64_t end = t->first + t->n < c->n ? t->first + t->n : c->n;
  int64_t i = first;
  for (; i < end; i++) {
    const trail *a = &t->trail[i - t->first], *b = &mine->trail[i - mine->first];
    if (differ(a, b)) break;
    if (a->on && b->on && (a->on & IS_LAUNCH)) p->known = true;
  }
  rpi_alloc_free(mine);
  p->overlap = first < end;
  p->differ = i < end;
  p->known = p->known || first == 0;
  if (!p->differ) i = end; /* what one of them has not come to */
  account_of(ctx, i, &p->own);
  p->own.call = p->own.call < 0 ? -1 - i : i;
  return sizeof *p;
}

static bool they_differ(void *arg, const void *answer, int32_t bytes) {
  (void)arg;
  return bytes >= (int32_t)sizeof(parting) && ((const parting *)answer)->differ;
}

static void add_site(const account *a, rpi_strbuf *out) {
  rpi_strbuf_add(out, " at ");
  rpi_site_print(&a->site, out);
  if (!a->near.module[0]) return;
  rpi_strbuf_add(out, ", soon after ");
  rpi_site_print(&a->near, out);
}

static void add_call(int32_t rank, const account *a, rpi_strbuf *out) {
  if (a->call < 0) {
    rpi_strbuf_addf(out, "rank %d has called nothing more yet", rank);
    return;
  }
  rpi_strbuf_addf(out, "rank %d calls %s", rank, a->name);
  add_site(a, out);
}

static void add_calls(const rp_context *ctx, int32_t peer, const parting *p, rpi_strbuf *out) {
  account own;
  account_of(ctx, p->own.call < 0 ? -1 - p->own.call : p->own.call, &own);
  const account *known = own.call < 0 ? &p->own : &own;
  rpi_strbuf_addf(out, "%safter %lld launches, ", p->differ && !p->known ? "there or before, " : "",
                  (long long)known->launches);
  add_call(rpi_comm_rank(ctx->comm), &own, out);
  rpi_strbuf_add(out, ", ");
  add_call(peer, &p->own, out);
  if (p->differ && strcmp(own.name, p->own.name) == 0)
    rpi_strbuf_add(out, ", on other arrays or with other values");
}

static void conclude(void *arg, int32_t peer, const void *answer, int32_t bytes, rpi_strbuf *out) {
  const rp_context *ctx = arg;
  const parting *p = answer;
  account last;
  if (bytes >= (int32_t)sizeof *p && p->overlap) {
    if (!p->differ)
      rpi_strbuf_add(out,
                     "all they both have called is alike, as far as it is known, but not what the "
                     "library decided on, or what they called next: ");
    add_calls(ctx, peer, p, out);
    return;
  }
  account_of(ctx, ctx->calls->n - 1, &last);
  if (bytes)
    rpi_strbuf_addf(out, "they parted before the last %d calls", (int)RPI_CALLS_KEPT);
  else
    rpi_strbuf_addf(out, "rank %d did not say in time what it has called", peer);
  rpi_strbuf_addf(out, "; after %lld launches, ", (long long)last.launches);
  add_call(rpi_comm_rank(ctx->comm), &last, out);
}

rp_status rpi_calls_create(rp_context *ctx) {
  _Static_assert(sizeof(told) <= RPI_NOTE_ROOM && sizeof(parting) <= RPI_NOTE_ROOM,
                 "a note's room");
  if (!ctx->comm) return RP_OK;
  ctx->calls = rpi_alloc_zero(sizeof *ctx->calls);
  if (!ctx->calls) return rpi_status_nomem("the record of calls");
  rpi_comm_witness(ctx->comm, &(rpi_witness){ctx, tell, compare, they_differ, conclude});
  return RP_OK;
}
