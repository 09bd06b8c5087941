/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/transcript.c -- what a run of a program observed, and whether two runs observed the same. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/equal/direct.h"
#include "tests/equal/program.h"

const char *const program_stats[N_STAT] = {
    "launches",   "segments",       "trace_hits",  "trace_misses",  "templates",
    "analyses",   "skeleton_hits",  "kernels_run", "steps_run",     "temporaries",
    "dead_tasks", "renamed",        "patched",     "copies_shared", "late_commits",
    "poisoned",   "kernels_shared", "messages",    "gathers",       "joint_reductions",
    "agreed",     "decisions"};

record *transcript_note(transcript *t, int32_t step, int32_t var, rp_status st) {
  if (t->n_rec == t->cap_rec) {
    t->cap_rec = t->cap_rec ? 2 * t->cap_rec : 256;
    t->rec = realloc(t->rec, sizeof *t->rec * (size_t)t->cap_rec);
    if (!t->rec) abort();
  }
  record *r = &t->rec[t->n_rec++];
  *r = (record){step, var, st, RP_U8, t->n_data, 0};
  return r;
}

void transcript_keep(transcript *t, record *r, rp_dtype dtype, const void *data, size_t bytes) {
  if (t->n_data + bytes > t->cap_data) {
    t->cap_data = 2 * (t->n_data + bytes);
    t->data = realloc(t->data, t->cap_data);
    if (!t->data) abort();
  }
  if (bytes) memcpy(t->data + t->n_data, data, bytes);
  r->dtype = dtype;
  r->bytes = bytes;
  t->n_data += bytes;
}

void transcript_stats(transcript *t, rp_context *ctx, int32_t sign) {
  for (int32_t i = 0; i < N_STAT; i++) {
    int64_t v = 0;
    rp_stat(ctx, program_stats[i], &v);
    t->stat[i] += sign * v;
  }
}

void transcript_free(transcript *t) {
  free(t->rec);
  free(t->data);
  free(t->explain);
  *t = (transcript){0};
}

static void describe(const record *r, char *out, size_t size) {
  snprintf(out, size, "step %d, v%d: %s, %s, %zu bytes", r->step, r->var, rp_status_name(r->status),
           rp_dtype_name(r->dtype), r->bytes);
}

/* A wait may report less than the run task by task: nothing needed the task that failed. */
static bool same_status(const program *p, const record *x, const record *y) {
  const bool wait = x->step < p->n_step && p->step[x->step].kind == STEP_WAIT;
  return x->status == y->status || (wait && x->status == RP_ERR_DATA && y->status == RP_OK);
}

bool transcript_equal(const program *p, const transcript *a, const transcript *b, char *why,
                      size_t size) {
  why[0] = '\0';
  if (b->fault[0]) {
    snprintf(why, size, "%s", b->fault);
    return false;
  }
  for (int32_t i = 0; i < a->n_rec && i < b->n_rec; i++) {
    const record *x = &a->rec[i], *y = &b->rec[i];
    if (x->step != y->step || x->var != y->var || !same_status(p, x, y) || x->bytes != y->bytes) {
      char one[120], two[120];
      describe(x, one, sizeof one);
      describe(y, two, sizeof two);
      snprintf(why, size, "record %d: %s; here %s", i, one, two);
      return false;
    }
    if (x->bytes == 0) continue;
    const size_t each = rp_dtype_size(x->dtype);
    const int64_t n = (int64_t)(x->bytes / each);
    const int64_t at = direct_differ(x->dtype, a->data + x->at, b->data + y->at, n);
    if (at < 0) continue;
    uint64_t u = 0, w = 0;
    memcpy(&u, a->data + x->at + (size_t)at * each, each);
    memcpy(&w, b->data + y->at + (size_t)at * each, each);
    snprintf(why, size,
             "step %d, v%d: element %lld of %zu (%s) is %016" PRIx64 ", here %016" PRIx64, x->step,
             x->var, (long long)at, x->bytes / each, rp_dtype_name(x->dtype), u, w);
    return false;
  }
  if (a->n_rec == b->n_rec) return true;
  snprintf(why, size, "%d records, here %d", a->n_rec, b->n_rec);
  return false;
}
