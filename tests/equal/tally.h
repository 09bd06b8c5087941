/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/tally.h -- how programs are distributed: tasks, kernels, renames, replays and so on.
 *
 * Lives here: the counts over many programs, their quantiles, and what share of programs must at least
 *             have had something happen in them, so that a generator that degenerates is noticed. */
#ifndef TALLY_H
#define TALLY_H

#include "tests/equal/ways.h"

enum { TALLY_ROWS = 24, TALLY_TOP = 1024 };

typedef struct tally {
  int64_t programs, checks;
  uint32_t count[TALLY_ROWS][TALLY_TOP]; /* programs with that value; the last: or a larger one */
} tally;

void tally_add(tally *t, const way_finding *f);
void tally_merge(tally *to, const tally *from);
void tally_print(const tally *t);
/* False, with words on stderr, if some share is too small. Few programs are not judged. */
enum { TALLY_LARGE, TALLY_SMALL, TALLY_RANKS };
bool tally_good(const tally *t, int32_t kind);

#endif
