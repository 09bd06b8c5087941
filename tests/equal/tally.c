/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/tally.c -- see tally.h. */
#include "tests/equal/tally.h"

#include <stdio.h>

/* From rp_stat of the fused run (way 0), but for: joined, how many kernels fewer it ran than the oracle
 * beside those that were dropped or became shared copies; refused, steps that returned an error; checked,
 * launches held against the evaluator; agreed, of the last way among ranks. */
enum {
  ROW_JOINED = STAT_POISONED,
  ROW_POISONED,
  ROW_SHARED,
  ROW_MESSAGES,
  ROW_GATHERS,
  ROW_JOINT,
  ROW_AGREED,
  ROW_REFUSED,
  ROW_CHECKED,
  N_ROW
};
_Static_assert((int)N_ROW <= (int)TALLY_ROWS, "more rows");
enum { LEAST_PROGRAMS = 500 };

static const struct {
  const char *name;
  int32_t least
      [3]; /* percent of programs in which it is not 0: of large programs, of small ones, among ranks */
} rows[N_ROW] = {
    {"tasks", {98, 98, 98}},       {"segments", {98, 98, 98}},     {"replays", {60, 45, 60}},
    {"lookups", {98, 98, 98}},     {"templates", {98, 98, 98}},    {"analyses", {98, 98, 98}},
    {"skeletons", {8, 2, 8}},      {"kernels", {95, 95, 95}},      {"launches", {95, 95, 95}},
    {"temporaries", {40, 18, 40}}, {"dead tasks", {75, 45, 75}},   {"renames", {45, 18, 45}},
    {"patches", {22, 3, 22}},      {"shared copies", {28, 7, 28}}, {"late commits", {38, 14, 38}},
    {"joined", {85, 75, 85}},      {"poisoned", {8, 3, 8}},        {"shared", {0, 0, 60}},
    {"messages", {0, 0, 20}},      {"gathers", {0, 0, 50}},        {"joint", {0, 0, 10}},
    {"agreed", {0, 0, 35}},        {"refused", {30, 20, 30}},      {"checked", {80, 65, 80}}};

static int64_t value(const way_finding *f, int32_t row) {
  const int64_t *s = f->fused;
  switch (row) {
    case ROW_JOINED:
      return f->oracle[STAT_KERNELS_RUN] + f->oracle[STAT_DEAD] - s[STAT_KERNELS_RUN] -
             s[STAT_DEAD] - s[STAT_SHARED];
    case ROW_POISONED:
    case ROW_SHARED:
    case ROW_MESSAGES:
    case ROW_GATHERS:
    case ROW_JOINT:
    case ROW_AGREED: return s[STAT_POISONED + row - ROW_POISONED];
    case ROW_REFUSED: return f->refused;
    case ROW_CHECKED: return f->checks;
    default: return s[row];
  }
}

void tally_add(tally *t, const way_finding *f) {
  t->programs++;
  t->checks += f->checks;
  for (int32_t r = 0; r < N_ROW; r++) {
    const int64_t v = value(f, r);
    t->count[r][v < 0 ? 0 : v < TALLY_TOP ? v : TALLY_TOP - 1]++;
  }
}

void tally_merge(tally *to, const tally *from) {
  to->programs += from->programs;
  to->checks += from->checks;
  for (int32_t r = 0; r < N_ROW; r++)
    for (int32_t i = 0; i < TALLY_TOP; i++) to->count[r][i] += from->count[r][i];
}

/* The value that `percent` of the programs do not exceed. */
static int32_t quantile(const tally *t, int32_t row, int32_t percent) {
  int64_t left = (t->programs * percent + 99) / 100;
  int32_t i = 0;
  if (left < 1) left = 1;
  for (; i < TALLY_TOP - 1; i++)
    if ((left -= t->count[row][i]) <= 0) break;
  return i;
}

static double share(const tally *t, int32_t row) {
  return 100.0 * (double)(t->programs - t->count[row][0]) /
         (double)(t->programs > 0 ? t->programs : 1);
}

void tally_print(const tally *t) {
  if (t->programs == 0) return;
  printf("%lld programs      min median    p90    max   share\n", (long long)t->programs);
  for (int32_t r = 0; r < N_ROW; r++)
    printf("  %-14s %6d %6d %6d %6d %6.1f %%\n", rows[r].name, quantile(t, r, 0),
           quantile(t, r, 50), quantile(t, r, 90), quantile(t, r, 100), share(t, r));
}

bool tally_good(const tally *t, int32_t kind) {
  bool good = true;
  for (int32_t r = 0; r < N_ROW && t->programs >= LEAST_PROGRAMS; r++) {
    const int32_t least = rows[r].least[kind];
    if (share(t, r) >= least) continue;
    fprintf(stderr, "only %.1f %% of the programs have %s, %d %% should\n", share(t, r),
            rows[r].name, least);
    good = false;
  }
  return good;
}
