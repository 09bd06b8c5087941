/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/campaign.c -- see campaign.h. */
#define _GNU_SOURCE
#include "tests/equal/campaign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/equal/smaller.h"

enum { SECONDS = 60, COMPILE_SECONDS = 600, SHRINK_SECONDS = 25 };

/* What a child leaves behind. */
typedef struct shared {
  way_finding finding;
  tally tally;
} shared;

typedef struct runner {
  const campaign *c;
  shared *s;
  program *p;
} runner;

static void ended(way_finding *f, int status) {
  if (status == 0 || f->why[0]) return;
  snprintf(f->why, sizeof f->why, "the process ended with %s %d",
           WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* ---- batches */

/* In the child: seeds from..to-1 but for those below `skip`, which were found unnecessary. */
static void examine_all(runner *r, uint64_t from, uint64_t to) {
  way_contexts contexts = {0};
  way_finding *f = &r->s->finding;
  for (uint64_t s = from; s < to; s++) {
    alarm(SECONDS);
    f->seed = s;
    f->way = WAY_ORACLE;
    program_make(r->p, s, NULL, 0, r->c->features);
    if (r->c->print) program_print(r->p);
    way_examine(r->p, s, &r->c->choice, r->c->batch > 1 ? &contexts : NULL, f);
    if (f->why[0]) _exit(1);
    tally_add(&r->s->tally, f);
  }
  alarm(COMPILE_SECONDS);
  way_contexts_free(&contexts);
}

/* True if all seeds are well; else r->s->finding says which is not. */
static bool batch(runner *r, uint64_t from, uint64_t to) {
  int status = 0;
  r->s->finding.why[0] = '\0';
  fflush(NULL);
  const pid_t child = fork();
  if (child < 0) abort();
  if (child == 0) {
    examine_all(r, from, to);
    fflush(NULL);
    _exit(0);
  }
  while (waitpid(child, &status, 0) < 0) {
  }
  ended(&r->s->finding, status);
  return r->s->finding.why[0] == '\0';
}

/* ---- reports */

static void announce(const runner *r) {
  const way_finding *f = &r->s->finding;
  way w;
  way_choose(f->seed, f->way, &r->c->choice, &w);
  fprintf(stderr, "seed %llu, way %d: %s%s\n  %s\n", (unsigned long long)f->seed, f->way, w.config,
          w.twice ? " (twice)" : "", f->why);
}

/* What the runtime says about the small program, from a child. */
static void explain(const runner *r, uint64_t seed, int32_t at) {
  fflush(NULL);
  const pid_t child = fork();
  if (child == 0) {
    way w;
    transcript t;
    way_choose(seed, at, &r->c->choice, &w);
    const size_t n = strlen(w.config); /* of several ranks the first plans, and nobody runs */
    if (w.ranks > 0) snprintf(w.config + n, sizeof w.config - n, " --dryrun 0/%d", w.ranks);
    const run_options o = {.config = w.config, .twice = w.twice, .explain = true};
    alarm(SECONDS);
    program_run(r->p, &o, &t);
    fprintf(stderr, "%s\n", t.explain ? t.explain : t.fault);
    _exit(0);
  }
  if (child > 0) waitpid(child, NULL, 0);
}

static void report_alone(runner *r, uint64_t seed) {
  way_finding *f = &r->s->finding;
  way_choice one = r->c->choice;
  one.one = f->way < 0 ? 0 : f->way;
  shrink(r->p, seed, &one, f, SHRINK_SECONDS);
  fprintf(stderr, "shrunk to %d steps: %s\n", r->p->n_step, f->why);
  program_print(r->p);
  explain(r, seed, one.one);
}

/* The seed fails only behind others: how many of them does it take? */
static void report_behind(runner *r, uint64_t from, uint64_t seed) {
  uint64_t first = seed + 1;
  for (uint64_t n = 1; first > seed && seed - n + 1 > from; n *= 2)
    if (!batch(r, seed - n, seed + 1)) first = seed - n;
  if (first > seed && !batch(r, from, seed + 1)) first = from;
  if (first > seed)
    fprintf(stderr, "it does not fail alone, nor again behind seeds %llu and on\n",
            (unsigned long long)from);
  else
    fprintf(stderr, "it fails only in contexts that have served others: seeds %llu to %llu\n",
            (unsigned long long)first, (unsigned long long)seed);
}

static void report(runner *r, uint64_t from, uint64_t seed) {
  announce(r);
  program_make(r->p, seed, NULL, 0, r->c->features);
  if (!way_examine_apart(r->p, seed, &r->c->choice, &r->s->finding))
    report_alone(r, seed);
  else
    report_behind(r, from, seed);
  fflush(stderr);
}

int64_t campaign_run(const campaign *c, tally *t) {
  runner r = {.c = c, .p = malloc(sizeof *r.p)};
  int64_t bad = 0;
  r.s = mmap(NULL, sizeof *r.s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (r.s == MAP_FAILED || !r.p) abort();
  for (uint64_t at = c->from; at < c->to && (bad == 0 || c->keep);) {
    const uint64_t left = c->to - at, n = left < (uint64_t)c->batch ? left : (uint64_t)c->batch;
    if (batch(&r, at, at + n)) {
      at += n;
      continue;
    }
    const uint64_t seed = r.s->finding.seed;
    bad++;
    report(&r, at, seed);
    at = seed + 1;
  }
  if (t) tally_merge(t, &r.s->tally);
  munmap(r.s, sizeof *r.s);
  free(r.p);
  return bad;
}
