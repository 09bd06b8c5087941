/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/campaign.h -- examines one seed after the other and reports what fails.
 *
 * Lives here: batches of seeds in child processes, failures made small and printed.
 * Not here:   what is compared (ways.h).
 * How:        a child examines a batch of seeds in contexts that serve all of them, which is cheap, and
 *             lets a program meet templates, spare memory and kernels of those before. A seed that fails, or
 *             brings the child down, is examined again alone in contexts of its own and made small. If it
 *             does not fail alone it is examined behind the earlier seeds of its batch, ever fewer. */
#ifndef CAMPAIGN_H
#define CAMPAIGN_H

#include "tests/equal/tally.h"

typedef struct campaign {
  uint64_t from, to; /* seeds; to is not among them */
  uint32_t features; /* of program.h */
  way_choice choice;
  int32_t batch; /* seeds per process; 1: each in contexts of its own */
  bool keep;     /* goes on after a failure */
  bool print;    /* prints every program */
} campaign;

/* How many seeds failed. *t gets the counts of those that did not. */
int64_t campaign_run(const campaign *c, tally *t);

#endif
