/* SPDX-License-Identifier: Apache-2.0
 * core/exec/run.c -- see run.h.
 * How: a launch runs the prologues of its kernels on the caller, then the bodies, their units laid
 *      end to end and cut into one contiguous range per thread, then reductions and epilogues on the
 *      caller. A code that is swapped in meanwhile is picked up by the next launch.
 *      Messages that a launch needs at its borders only are under way while it runs inside.
 *      Large launches: a thread takes its range piece by piece, then pieces that others have not come
 *      to ("static stealing"), so that another program on one core does not hold up all of them. */
#include "core/exec/run.h"

#include <fenv.h>
#include <stdatomic.h>
#include <string.h>
#include <xmmintrin.h>

#include "core/exec/graph.h"
#include "core/exec/image.h"
#include "core/exec/joint.h"
#include "core/exec/pieces.h"
#include "core/exec/run_gpu.h"

enum { MODE = 0x1f80 }; /* MXCSR: round to nearest, all exceptions masked, no FTZ or DAZ */

void rpi_run_bind(rpi_plan *plan, void *const *pointers, const CUdeviceptr *addresses,
                  const uint64_t *scalars) {
  rpi_word *w = plan->words;
  for (int32_t i = 0; i < plan->n_pointer; i++) {
    const rpi_plan_pointer *p = &plan->pointer[i];
    if (p->gpu)
      w[p->word].u = addresses[p->symbol] + (uint64_t)p->offset;
    else
      w[p->word].p = (char *)pointers[p->symbol] + p->offset;
  }
  for (int32_t i = 0; i < plan->n_scalar; i++)
    w[plan->scalar[i].word].u = scalars[plan->scalar[i].scalar];
}

/* Which units of a launch are run: all, or those beside an exchange, and then the others. */
typedef enum units { UNITS_ALL, UNITS_INNER, UNITS_OUTER } units;

typedef struct launch {
  const rpi_plan *plan;
  const rpi_step *step;
  rpi_workers *workers;
  units which;
  int64_t lo, hi; /* of those units, laid end to end */
} launch;

/* Units first..end-1 of a kernel on these words. */
typedef struct range {
  const rpi_word *words;
  int64_t first, end;
} range;

/* Of how many ranges those units are; some may be empty. */
static int32_t count_ranges(const rpi_sub *s, units which) {
  return which == UNITS_ALL ? 1 : s->n_piece < 2 ? 2 : s->n_piece;
}

static range range_of(const rpi_plan *plan, const rpi_sub *s, units which, int32_t i) {
  const rpi_word *words = &plan->words[s->word];
  const int64_t end = s->first + s->units, inner_end = s->inner + s->inner_units;
  if (which != UNITS_ALL && s->n_piece > 0) {
    const rpi_piece *p = &s->piece[i < s->n_piece ? i : 0];
    const bool runs = i < s->n_piece && (which == UNITS_INNER) == (i == 0);
    return (range){p->words, 0, runs ? p->units : 0};
  }
  if (which == UNITS_ALL || (which == UNITS_OUTER && s->inner_units == 0))
    return (range){words, s->first, i > 0 ? s->first : end};
  if (which == UNITS_INNER) return (range){words, s->inner, i > 0 ? s->inner : inner_end};
  return i == 0 ? (range){words, s->first, s->inner} : (range){words, inner_end, end};
}

static int64_t count_units(const launch *l) {
  int64_t n = 0;
  if (l->which == UNITS_ALL) return l->step->units;
  for (int32_t k = 0; k < l->step->n_sub; k++) {
    const rpi_sub *s = &l->plan->sub[l->step->first_sub + k];
    for (int32_t i = 0; i < count_ranges(s, l->which); i++) {
      const range r = range_of(l->plan, s, l->which, i);
      n += r.end - r.first;
    }
  }
  return n;
}

/* Units lo..hi of those that are run. */
static void part(const launch *l, int64_t lo, int64_t hi, void *scratch) {
  int64_t base = 0;
  for (int32_t k = 0; k < l->step->n_sub && base < hi; k++) {
    const rpi_sub *s = &l->plan->sub[l->step->first_sub + k];
    const int32_t ranges = count_ranges(s, l->which);
    for (int32_t i = 0; i < ranges && base < hi; i++) {
      const range r = range_of(l->plan, s, l->which, i);
      const int64_t n = r.end - r.first;
      const int64_t u0 = lo > base ? lo - base : 0;
      const int64_t u1 = hi - base < n ? hi - base : n;
      if (u0 < u1) s->code->body(s->code->self, r.words, r.first + u0, r.first + u1, scratch);
      base += n;
    }
  }
}

/* The part of one thread. */
static void bodies(void *arg, int32_t worker, int32_t n, void *scratch) {
  const launch *l = arg;
  const int64_t all = l->hi - l->lo, piece = l->step->piece;
  if (piece == 0 || n == 1) {
    part(l, l->lo + all * worker / n, l->lo + all * (worker + 1) / n, scratch);
    return;
  }
  for (int32_t k = 0; k < n; k++) {
    const int32_t whose = (worker + k) % n;
    const int64_t hi = l->lo + all * (whose + 1) / n;
    _Atomic int64_t *taken = rpi_workers_taken(l->workers, whose);
    for (;;) {
      const int64_t lo =
          l->lo + all * whose / n + atomic_fetch_add_explicit(taken, piece, memory_order_relaxed);
      if (lo >= hi) break;
      part(l, lo, lo + piece < hi ? lo + piece : hi, scratch);
    }
  }
}

static void run_units(launch *l, int64_t lo, int64_t hi) {
  l->lo = lo;
  l->hi = hi;
  if (lo >= hi) return;
  if (l->step->threads > 1)
    rpi_workers_run(l->workers, l->step->threads, bodies, l);
  else
    bodies(l, 0, 1, rpi_workers_scratch(l->workers));
}

/* The words of a kernel's pieces are its own, as its prologue has left them, moved on. */
static void move_words(const rpi_plan *plan, const rpi_sub *s) {
  for (int32_t i = 0; i < s->n_piece; i++) {
    const rpi_piece *p = &s->piece[i];
    memcpy(p->words, &plan->words[s->word], sizeof *p->words * (size_t)s->kernel->n_words);
    for (int32_t k = 0; k < p->n_move; k++) p->words[k].i += p->move[k];
  }
}

/* What needs nothing of the messages under way runs first; messages are moved on from time to time. */
static rp_status run_beside(launch *l, const rpi_run_host *host, const rpi_exchange_memory *at) {
  enum { TURNS = 4, BYTES = 1 << 20 };
  const int64_t turns = l->step->bytes / BYTES < TURNS ? 1 : TURNS;
  for (int32_t i = 0; i < l->step->n_sub; i++)
    move_words(l->plan, &l->plan->sub[l->step->first_sub + i]);
  l->which = UNITS_INNER;
  const int64_t inner = count_units(l);
  for (int64_t i = 0; i < turns && inner > 0; i++) {
    run_units(l, inner * i / turns, inner * (i + 1) / turns);
    rpi_comm_poll(host->comm);
  }
  host->count->overlapped += inner > 0;
  RPI_TRY(rpi_exchange_finish(host->comm, l->step->exchange, at, host->version));
  l->which = UNITS_OUTER;
  run_units(l, 0, count_units(l));
  return RP_OK;
}

static rp_status run_launch(rpi_plan *plan, const rpi_step *step, const rpi_run_host *host,
                            const rpi_exchange_memory *at) {
  launch l = {.plan = plan, .step = step, .workers = host->workers};
  for (int32_t i = 0; i < step->n_sub; i++) {
    rpi_sub *s = &plan->sub[step->first_sub + i];
    s->code = atomic_load_explicit(&s->kernel->code, memory_order_acquire);
    if (s->code->pro) s->code->pro(s->code->self, &plan->words[s->word]);
  }
  if (step->exchange && step->exchange->n_post > 0)
    RPI_TRY(run_beside(&l, host, at));
  else
    run_units(&l, 0, step->units);
  if (step->list_room > 0) RPI_TRY(rpi_exchange_reductions(host->comm, plan, step));
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    if (s->kernel->finish && !s->shared) s->kernel->finish(s->kernel, &plan->words[s->word]);
    if (s->code->epi) s->code->epi(s->code->self, &plan->words[s->word]);
  }
  return RP_OK;
}

typedef struct blocks {
  const rpi_plan_call *call;
  const rpi_word *ptr;
  const uint64_t *scalars;
  fenv_t mode; /* the application's: every block runs in it */
  _Atomic bool failed;
} blocks;

/* Where a block's function says how many rows it made; -1: it has not. */
static int64_t *counts_of(const rpi_plan_call *c, int32_t block) {
  int64_t *counts = c->counts + block * c->n_unbound;
  for (int32_t k = 0; k < c->n_unbound; k++) counts[k] = -1;
  return counts;
}

static void one_block(void *arg, int32_t worker, int32_t n, void *scratch) {
  (void)scratch;
  blocks *b = arg;
  const rpi_plan_call *c = b->call;
  const int64_t lo = c->units * worker / n, hi = c->units * (worker + 1) / n;
  const rpi_opaque_block block = {c->first + lo, hi - lo, counts_of(c, worker)};
  void *ptr[RPI_OP_MAX_STORES];
  fenv_t mine;
  if (lo == hi) return;
  for (int32_t i = 0; i < c->n; i++) ptr[i] = (char *)b->ptr[i].p + lo * c->unit_bytes[i];
  if (worker > 0) {
    fegetenv(&mine);
    fesetenv(&b->mode);
  }
  if (!rpi_opaque_call(c->opaque, ptr, c->geom, b->scalars, &block))
    atomic_store_explicit(&b->failed, true, memory_order_relaxed);
  if (worker > 0) fesetenv(&mine);
}

static void run_call(rpi_plan *plan, rpi_plan_call *c, rpi_workers *workers) {
  const rpi_word *words = &plan->words[c->word];
  const uint64_t *scalars = rpi_plan_call_scalars(c, plan->words);
  if (c->threads > 1) {
    blocks b = {.call = c, .ptr = words, .scalars = scalars};
    fegetenv(&b.mode);
    rpi_workers_run(workers, c->threads, one_block, &b);
    c->failed = b.failed;
    if (c->n_unbound > 0) rpi_pieces_pack(c, words, c->threads);
    return;
  }
  if (c->part && c->units == 0) { /* there is nothing for this rank to do but to say so */
    rpi_pieces_pack(c, words, 0);
    return;
  }
  void *ptr[RPI_OP_MAX_STORES];
  for (int32_t i = 0; i < c->n; i++) ptr[i] = words[i].p;
  const rpi_opaque_block mine = {c->first, c->part ? c->units : -1, counts_of(c, 0)};
  c->failed = !rpi_opaque_call(c->opaque, ptr, c->geom, scalars, &mine);
  if (c->n_unbound > 0) rpi_pieces_pack(c, words, 1);
}

/* The same box of two arrays, as far as it lies in bytes clip_lo..clip_hi-1; runs of the last axis are
 * consecutive. */
static void copy_box(char *dst, const char *src, const rpi_geom *g, int32_t axis, int64_t at,
                     const rpi_step *s) {
  int64_t lo = at * s->elem, hi = lo + s->elem;
  for (int32_t d = axis; d < g->ndim; d++) hi += (g->shape[d] - 1) * g->stride[d] * s->elem;
  if (s->clip_hi > 0 && (hi <= s->clip_lo || lo >= s->clip_hi)) return;
  if (axis == g->ndim - 1) {
    if (s->clip_hi > 0 && lo < s->clip_lo) lo = s->clip_lo;
    if (s->clip_hi > 0 && hi > s->clip_hi) hi = s->clip_hi;
    memcpy(dst + lo, src + lo, (size_t)(hi - lo));
    return;
  }
  for (int64_t i = 0; i < g->shape[axis]; i++)
    copy_box(dst, src, g, axis + 1, at + i * g->stride[axis], s);
}

static void run_patch(const rpi_plan *plan, const rpi_step *s, void *const *pointers,
                      int64_t bytes) {
  char *dst = pointers[s->dst];
  const char *src = pointers[s->src];
  if (s->n_box == 0) {
    const int64_t hi = s->clip_hi > 0 ? s->clip_hi : bytes;
    memcpy(dst + s->clip_lo, src + s->clip_lo, (size_t)(hi - s->clip_lo));
  }
  for (int32_t i = 0; i < s->n_box; i++) {
    const rpi_geom *g = &plan->box[s->first_box + i];
    copy_box(dst, src, g, 0, g->offset, s);
  }
}

static rp_status run_image(rpi_plan *plan, rpi_image *m, const rpi_run_host *host,
                           const rpi_exchange_memory *at) {
  RPI_TRY(rpi_image_look(host->comm, m, at->pointers, host->version, host->count));
  if (host->reach) RPI_TRY(host->reach(host->reach_arg, m->symbol, m->reach));
  if (m->sub >= 0) rpi_sub_inner(&plan->sub[m->sub], m->inner_lo, m->inner_hi);
  return m->all ? rpi_image_gather(host->comm, m, at, host->version) : RP_OK;
}

/* On a GPU: inner units are queued behind what packs the messages, so the GPU has work while they travel, by the host or from
 * GPU to GPU. */
static rp_status run_beside_gpu(rpi_plan *plan, const rpi_step *s, const rpi_run_host *host,
                                const rpi_exchange_memory *at) {
  RPI_TRY(rpi_run_gpu_units(plan, s, true, host->device));
  host->count->overlapped++;
  if (s->exchange->n_post > 0)
    RPI_TRY(rpi_exchange_send(host->comm, s->exchange, at, host->version));
  RPI_TRY(rpi_exchange_finish(host->comm, s->exchange, at, host->version));
  return rpi_run_gpu_units(plan, s, false, host->device);
}

static bool is_under_way(const rpi_plan_exchange *e) { return e->n_post > 0 || e->aside; }

static rp_status run_exchange(const rpi_step *s, const rpi_run_host *host,
                              const rpi_exchange_memory *at) {
  if (s->deferred && s->exchange->gpu)
    return rpi_exchange_pack(s->exchange, at, host->version, true, host->count);
  RPI_TRY(rpi_exchange_start(host->comm, s->exchange, at, host->version, host->count));
  return s->deferred ? RP_OK : rpi_exchange_finish(host->comm, s->exchange, at, host->version);
}

rp_status rpi_run_plan(rpi_plan *plan, int32_t first, int32_t end, const rpi_run_host *host,
                       void *const *pointers, const bool *needs_patch, const int64_t *patch_bytes) {
  const rpi_exchange_memory at = {pointers, host->device, host->addresses, host->nccl};
  rp_status st = RP_OK;
  unsigned mode = _mm_getcsr();
  if ((mode & ~0x3fu) != MODE) _mm_setcsr(MODE);
  for (int32_t i = first; i < end && st == RP_OK; i++) {
    const rpi_step *s = &plan->step[i];
    if (s->gpu) {
      const rpi_run_gpu gpu = {host->device, pointers,     host->addresses, needs_patch,
                               patch_bytes,  host->opaque, host->held};
      const int32_t next = host->graphs ? rpi_graph_end(plan, i, end, needs_patch) : i;
      if (next > i) {
        _mm_setcsr(mode); /* functions may be called to be recorded */
        const bool queued = rpi_graph_run(plan, host->opaque, i, next, &st);
        _mm_setcsr(MODE);
        if (queued) {
          i = next - 1;
          continue;
        }
      }
      if (s->kind == RPI_STEP_LAUNCH && s->list_room > 0) {
        st = rpi_joint_run(plan, s, host->comm, &at, host->version, host->count);
        continue;
      }
      if (s->kind == RPI_STEP_LAUNCH && s->exchange && is_under_way(s->exchange)) {
        st = run_beside_gpu(plan, s, host, &at);
        continue;
      }
      if (s->kind == RPI_STEP_OPAQUE) _mm_setcsr(mode);
      st = rpi_run_gpu_step(plan, s, &gpu);
      if (s->kind == RPI_STEP_OPAQUE) _mm_setcsr(MODE);
      continue;
    }
    switch (s->kind) {
      case RPI_STEP_LAUNCH: st = run_launch(plan, s, host, &at); break;
      case RPI_STEP_OPAQUE:
        _mm_setcsr(mode);
        run_call(plan, &plan->call[s->call], host->workers);
        _mm_setcsr(MODE);
        break;
      case RPI_STEP_PATCH:
        if (needs_patch[s->dst]) run_patch(plan, s, pointers, patch_bytes[s->dst]);
        break;
      case RPI_STEP_IMAGE: st = run_image(plan, s->image, host, &at); break;
      case RPI_STEP_EXCHANGE: st = run_exchange(s, host, &at); break;
      case RPI_STEP_GATHER:
        st =
            rpi_exchange_gather(host->comm, s->tiling, s->elem, pointers[s->dst], pointers[s->dst]);
        break;
      case RPI_STEP_UPLOAD:
      case RPI_STEP_DOWNLOAD: break; /* always the GPU's */
    }
  }
  if ((mode & ~0x3fu) != MODE) _mm_setcsr(mode);
  return st;
}
