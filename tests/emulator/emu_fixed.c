/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_fixed.c -- what a kernel reads by RPG_LDG nobody writes while it runs.
 *
 * Lives here: a sample of such reads, and the comparison behind the kernel.
 * Not here:   how kernels run (emu_block.c).
 * How:        on a GPU such a load goes past the order of all others: it may find what was there before a store of
 *             the same kernel, and the compiler may move it behind one. Here it would find what is there; so each launch
 *             keeps some of the places that were read so, by chance where they are many, with what was found, and looks again
 *             at its end. A store of the same value is not seen. */
#include <string.h>

#include "tests/emulator/emu_inside.h"

enum { KEPT = 1 << 12, WIDEST = 8 };

static struct {
  uint64_t n; /* reads of this launch */
  struct {
    const void *at;
    size_t bytes;
    char found[WIDEST];
  } read[KEPT];
} kept;

void emu_fixed_begin(void) { kept.n = 0; }

void emu_fixed_read(const void *at, size_t bytes) {
  const uint64_t k = kept.n < KEPT ? kept.n : emu_random(kept.n + 1);
  kept.n++;
  if (k >= KEPT || bytes > WIDEST) return;
  kept.read[k].at = at;
  kept.read[k].bytes = bytes;
  memcpy(kept.read[k].found, at, bytes);
}

void emu_fixed_check(const char *who) {
  for (uint64_t i = 0; i < kept.n && i < KEPT; i++)
    if (kept.read[i].bytes && memcmp(kept.read[i].at, kept.read[i].found, kept.read[i].bytes) != 0)
      emu_die("kernel %s writes what it has read as something that nobody writes (RPG_LDG)", who);
}
