/* SPDX-License-Identifier: Apache-2.0
 * core/exec/graph.c -- see graph.h. */
#include "core/exec/graph.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/exec/graph_nodes.h"

enum { WARM = 2, FORMS = 4, LEAST = 3 /* launches that make a graph pay */, REMADE = 16 };

/* One set of parameters; those of all launches lie side by side, padded to PAD. */
typedef struct form {
  rpi_device_graph *graph;
  char *parameters;
  rpi_word *words; /* the plan's, of which these parameters were made */
} form;

typedef struct run {
  int32_t first, end, runs, remade;
  rpi_graph_nodes now; /* with the parameters at hand */
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

/* The step is launches, or nothing, and its parameters are what the words say. */
static bool fits(const rpi_plan *plan, const rpi_step *s, const bool *needs_patch) {
  if (!s->gpu) return false;
  switch (s->kind) {
    case RPI_STEP_LAUNCH: return s->list_room == 0 && !s->exchange; /* else ranks meet in it */
    case RPI_STEP_OPAQUE: return rpi_opaque_gpu_in_graphs(&plan->call[s->call]);
    case RPI_STEP_PATCH: return !needs_patch[s->dst];
    default: return false;
  }
}

int32_t rpi_graph_end(const rpi_plan *plan, int32_t first, int32_t end, const bool *needs_patch) {
  int32_t i = first;
  while (i < end && fits(plan, &plan->step[i], needs_patch)) i++;
  return i;
}

/* ---- forms ---- */

static void drop_form(rpi_device *d, run *r, form *f) {
  rpi_device_graph_free(d, f->graph);
  rpi_alloc_free(f->parameters);
  rpi_alloc_free(f->words);
  *f = r->form[--r->n_form];
}

static void drop_forms(rpi_device *d, run *r) {
  while (r->n_form > 0) drop_form(d, r, &r->form[r->n_form - 1]);
  rpi_graph_nodes_free(&r->now);
}

static bool is_changed(const run *r, const form *f, int32_t i) {
  const char *now = r->now.node[i].parameters;
  return memcmp(now, f->parameters + (now - r->now.parameters), (size_t)r->now.node[i].bytes) != 0;
}

static int32_t count_changes(const run *r, const form *f, int32_t enough) {
  int32_t n = 0;
  for (int32_t i = 0; i < r->now.n && n < enough; i++) n += is_changed(r, f, i);
  return n;
}

static form *closest(run *r, int32_t *changes) {
  form *best = NULL;
  *changes = r->now.n + 1;
  for (int32_t i = 0; i<r->n_form && * changes> 0; i++) {
    const int32_t n = count_changes(r, &r->form[i], *changes);
    if (n >= *changes) continue;
    *changes = n;
    best = &r->form[i];
  }
  return best;
}

static form *add_form(rpi_plan *plan, rpi_opaque_device *d, run *r, rp_status *st) {
  form *f = &r->form[r->n_form];
  *f = (form){.parameters = rpi_alloc((size_t)r->now.bytes + 1),
              .words = rpi_alloc(sizeof *f->words * ((size_t)plan->n_words + 1))};
  *st = f->parameters && f->words ? rpi_graph_nodes_record(plan, plan->words, d, &r->now)
                                  : rpi_status_nomem("a graph");
  if (*st == RP_OK) *st = rpi_device_graph_create(d->device, r->now.node, r->now.n, &f->graph);
  rpi_graph_nodes_forget(d, &r->now);
  if (*st != RP_OK) {
    rpi_alloc_free(f->parameters);
    rpi_alloc_free(f->words);
    return NULL;
  }
  memcpy(f->parameters, r->now.parameters, (size_t)r->now.bytes);
  r->n_form++;
  return f;
}

/* What a function queues has changed. */
static bool is_other_work(const run *r, const form *f) {
  bool is = false;
  for (int32_t i = 0; i < r->now.n && !is; i++) is = r->now.call[i] >= 0 && is_changed(r, f, i);
  return is;
}

/* The graph in place of one that cannot be changed to it. */
static form *remake(rpi_plan *plan, rpi_opaque_device *d, run *r, form *f, rp_status *st) {
  drop_form(d->device, r, f);
  if (r->remade++ < REMADE) return add_form(plan, d, r, st);
  for (int32_t i = 0; i < r->now.n; i++)
    if (r->now.call[i] >= 0) rpi_opaque_gpu_loosen(plan, &plan->call[r->now.call[i]]);
  return NULL;
}

/* Launches of one kernel share their parameters, so what was is kept until all of them have been told. */
static rp_status change(rpi_device *d, run *r, form *f) {
  for (int32_t i = 0; i < r->now.n; i++)
    if (is_changed(r, f, i)) RPI_TRY(rpi_device_graph_set(d, f->graph, i, &r->now.node[i]));
  memcpy(f->parameters, r->now.parameters, (size_t)r->now.bytes);
  return RP_OK;
}

/* One with the parameters at hand: as it is, a new one, or the one that needs the fewest changes. NULL: a call failed. */
static form *fitting(rpi_plan *plan, rpi_opaque_device *d, run *r, rp_status *st) {
  int32_t changes;
  form *f = closest(r, &changes);
  if (changes > 0 && r->n_form < FORMS) return add_form(plan, d, r, st);
  if (changes > 0 && is_other_work(r, f)) return remake(plan, d, r, f, st);
  if (changes > 0) *st = change(d->device, r, f);
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

bool rpi_graph_run(rpi_plan *plan, rpi_opaque_device *o, int32_t first, int32_t end,
                   rp_status *st) {
  rpi_device *d = o->device;
  run *r = find_run(plan, d, first, end);
  *st = RP_OK;
  if (!r || r->refused || r->runs++ < WARM) return false;
  if (r->now.n > 0 && !rpi_graph_nodes_current(plan, first, end, &r->now)) drop_forms(d, r);
  if (r->now.n == 0 &&
      (!rpi_graph_nodes_reserve(plan, first, end, &r->now) ||
       r->now.n == 0)) { /* no memory; or nothing but patches and calls without elements */
    drop_forms(d, r);
    r->refused = true;
    return false;
  }
  if (r->now.n < LEAST) return false;
  form *same = unchanged(plan, r);
  if (same) {
    *st = rpi_device_graph_launch(d, same->graph);
    return true;
  }
  rpi_graph_nodes_fill(plan, plan->words, first, end, &r->now);
  form *f = fitting(plan, o, r, st);
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
