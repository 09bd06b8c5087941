/* SPDX-License-Identifier: Apache-2.0
 * core/exec/graph.c -- see graph.h. */
#include "core/exec/graph.h"

#include <string.h>

#include "core/base/alloc.h"

enum { WARM = 2, FORMS = 4, LEAST = 3 /* launches that make a graph pay */ };

/* One set of parameters; those of all launches lie side by side, padded to PAD. */
typedef struct form {
  rpi_device_graph *graph;
  char *parameters;
  rpi_word *words; /* the plan's, of which these parameters were made */
} form;

typedef struct run {
  int32_t first, end, runs;
  int32_t n; /* launches; 0: not known yet */
  rpi_device_node *node;
  int64_t bytes;                    /* of all parameters */
  const rpi_kernel_gpu_code **code; /* per sub of the run: what the graphs are of */
  char *now;                        /* parameters at hand */
  form form[FORMS];
  int32_t n_form;
  bool refused;
  struct run *next;
} run;

struct rpi_graphs {
  rpi_device *device;
  uint64_t turn;
  run *first;
};

static int64_t padded(int64_t n) { return (n + 15) & ~(int64_t)15; }

int32_t rpi_graph_end(const rpi_plan *plan, int32_t first, int32_t end, const bool *needs_patch) {
  for (int32_t i = first; i < end; i++) {
    const rpi_step *s = &plan->step[i];
    const bool skipped = s->kind == RPI_STEP_PATCH && !needs_patch[s->dst];
    const bool alone = s->list_room == 0; /* ranks meet in the middle of it */
    if (!s->gpu || !((s->kind == RPI_STEP_LAUNCH && alone) || skipped)) return i;
  }
  return end;
}

/* ---- what the run is now ---- */

typedef struct walk {
  const rpi_plan *plan;
  run *r;
  int32_t n, sub;
  int64_t bytes;
} walk;

/* The launches of one kernel, behind those of the step before. */
static void add_sub(walk *w, const rpi_sub *s, int32_t first_before, int32_t n_before, bool fill) {
  rpi_kernel_launch l[RPI_KERNEL_LAUNCHES];
  const rpi_kernel_gpu_code *code = s->gpu->code;
  const rpi_word *words = &w->plan->words[s->word];
  const int64_t end = s->first + s->units;
  const int32_t n = code->launches(code, words, s->first, end, RPI_KERNEL_ALL, l);
  char room[RPI_KERNEL_PARAMETERS];
  char *to = fill ? w->r->now + w->bytes : room;
  const int32_t bytes = code->pack(code, words, s->first, end, RPI_KERNEL_ALL, to);
  for (int32_t i = 0; i < n && fill; i++)
    w->r->node[w->n + i] = (rpi_device_node){.function = l[i].function,
                                             .grid = l[i].grid,
                                             .block = l[i].block,
                                             .first_after = i > 0 ? w->n + i - 1 : first_before,
                                             .n_after = i > 0 ? 1 : n_before,
                                             .parameters = to,
                                             .bytes = bytes};
  if (fill) w->r->code[w->sub] = code;
  w->sub++;
  w->n += n;
  w->bytes += padded(bytes);
}

/* All launches of the steps; without `fill` they are only counted. A step's kernels begin when those of the step before
 * have ended. */
static walk walk_steps(const rpi_plan *plan, run *r, bool fill) {
  walk w = {.plan = plan, .r = r};
  int32_t before = 0, n_before = 0;
  for (int32_t i = r->first; i < r->end; i++) {
    const rpi_step *s = &plan->step[i];
    const int32_t here = w.n;
    for (int32_t k = 0; s->kind == RPI_STEP_LAUNCH && k < s->n_sub; k++)
      add_sub(&w, &plan->sub[s->first_sub + k], before, n_before, fill);
    if (w.n == here) continue;
    before = here;
    n_before = w.n - here;
  }
  return w;
}

/* The same codes as the graphs were made of. */
static bool is_same_code(const rpi_plan *plan, const run *r) {
  int32_t n = 0;
  for (int32_t i = r->first; i < r->end; i++)
    for (int32_t k = 0; plan->step[i].kind == RPI_STEP_LAUNCH && k < plan->step[i].n_sub; k++)
      if (plan->sub[plan->step[i].first_sub + k].gpu->code != r->code[n++]) return false;
  return true;
}

/* ---- forms ---- */

static void drop_forms(rpi_device *d, run *r) {
  for (int32_t i = 0; i < r->n_form; i++) {
    rpi_device_graph_free(d, r->form[i].graph);
    rpi_alloc_free(r->form[i].parameters);
    rpi_alloc_free(r->form[i].words);
  }
  r->n_form = 0;
  rpi_alloc_free(r->node);
  rpi_alloc_free(r->code);
  rpi_alloc_free(r->now);
  r->node = NULL;
  r->code = NULL;
  r->now = NULL;
  r->n = 0;
}

static bool reserve(const rpi_plan *plan, run *r) {
  const walk w = walk_steps(plan, r, false);
  r->node = rpi_alloc_zero(sizeof *r->node * ((size_t)w.n + 1));
  r->code = rpi_alloc_zero(sizeof *r->code * ((size_t)w.sub + 1));
  r->now = rpi_alloc_zero((size_t)w.bytes + 1);
  r->n = w.n;
  r->bytes = w.bytes;
  return r->node && r->code && r->now;
}

static int32_t count_changes(const run *r, const form *f, int32_t enough) {
  int32_t n = 0;
  for (int32_t i = 0; i < r->n && n < enough; i++) {
    const char *now = r->node[i].parameters;
    n += memcmp(now, f->parameters + (now - r->now), (size_t)r->node[i].bytes) != 0;
  }
  return n;
}

static form *closest(run *r, int32_t *changes) {
  form *best = NULL;
  *changes = r->n + 1;
  for (int32_t i = 0; i<r->n_form && * changes> 0; i++) {
    const int32_t n = count_changes(r, &r->form[i], *changes);
    if (n >= *changes) continue;
    *changes = n;
    best = &r->form[i];
  }
  return best;
}

static form *add_form(const rpi_plan *plan, rpi_device *d, run *r, rp_status *st) {
  form *f = &r->form[r->n_form];
  *f = (form){.parameters = rpi_alloc((size_t)r->bytes + 1),
              .words = rpi_alloc(sizeof *f->words * ((size_t)plan->n_words + 1))};
  *st = f->parameters && f->words ? rpi_device_graph_create(d, r->node, r->n, &f->graph)
                                  : rpi_status_nomem("a graph");
  if (*st != RP_OK) {
    rpi_alloc_free(f->parameters);
    rpi_alloc_free(f->words);
    return NULL;
  }
  memcpy(f->parameters, r->now, (size_t)r->bytes);
  r->n_form++;
  return f;
}

/* Launches of one kernel share their parameters, so what was is kept until all of them have been told. */
static rp_status change(rpi_device *d, run *r, form *f) {
  for (int32_t i = 0; i < r->n; i++) {
    const char *now = r->node[i].parameters;
    const char *was = f->parameters + (now - r->now);
    if (memcmp(now, was, (size_t)r->node[i].bytes) != 0)
      RPI_TRY(rpi_device_graph_set(d, f->graph, i, &r->node[i]));
  }
  memcpy(f->parameters, r->now, (size_t)r->bytes);
  return RP_OK;
}

/* One with the parameters at hand: as it is, a new one, or the one that needs the fewest changes. NULL: a call failed. */
static form *fitting(const rpi_plan *plan, rpi_device *d, run *r, rp_status *st) {
  int32_t changes;
  form *f = closest(r, &changes);
  if (changes > 0 && r->n_form < FORMS) return add_form(plan, d, r, st);
  if (changes > 0) *st = change(d, r, f);
  return *st == RP_OK ? f : NULL;
}

/* The usual case of a replay: nothing has changed since these parameters were made. */
static form *unchanged(const rpi_plan *plan, run *r) {
  for (int32_t i = 0; i < r->n_form; i++)
    if (memcmp(r->form[i].words, plan->words, sizeof *plan->words * (size_t)plan->n_words) == 0)
      return &r->form[i];
  return NULL;
}

/* ---- runs ---- */

static run *find_run(rpi_plan *plan, rpi_device *d, int32_t first, int32_t end) {
  if (!plan->graphs) plan->graphs = rpi_alloc_zero(sizeof *plan->graphs);
  if (!plan->graphs) return NULL;
  plan->graphs->device = d;
  for (run *r = plan->graphs->first; r; r = r->next)
    if (r->first == first && r->end == end) return r;
  run *r = rpi_alloc_zero(sizeof *r);
  if (!r) return NULL;
  r->first = first;
  r->end = end;
  r->next = plan->graphs->first;
  plan->graphs->first = r;
  return r;
}

bool rpi_graph_run(rpi_plan *plan, rpi_device *d, int32_t first, int32_t end, rp_status *st) {
  run *r = find_run(plan, d, first, end);
  *st = RP_OK;
  if (!r || r->refused || r->runs++ < WARM) return false;
  if (r->n > 0 && !is_same_code(plan, r)) drop_forms(d, r);
  if (r->n == 0 &&
      (!reserve(plan, r) || r->n == 0)) { /* no memory; or patches alone, which are left out */
    drop_forms(d, r);
    r->refused = true;
    return false;
  }
  if (r->n < LEAST) return false;
  form *same = unchanged(plan, r);
  if (same) {
    *st = rpi_device_graph_launch(d, same->graph);
    return true;
  }
  walk_steps(plan, r, true);
  form *f = fitting(plan, d, r, st);
  if (!f) { /* launches one by one may still be possible; a form may be half of what was */
    drop_forms(d, r);
    r->refused = true;
    *st = rpi_device_status(d);
    return *st != RP_OK;
  }
  memcpy(f->words, plan->words, sizeof *f->words * (size_t)plan->n_words);
  *st = rpi_device_graph_launch(d, f->graph);
  return true;
}

void rpi_graph_free(rpi_graphs *g) {
  if (!g) return;
  for (run *r = g->first, *next; r; r = next) {
    next = r->next;
    drop_forms(g->device, r);
    rpi_alloc_free(r);
  }
  rpi_alloc_free(g);
}
