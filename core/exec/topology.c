/* SPDX-License-Identifier: Apache-2.0
 * core/exec/topology.c -- see topology.h.
 * How: Linux says in cpu<N>/topology/thread_siblings_list which processors are one core (one file is
 *      read for each core, about 6 us each) and in node/node<N>/cpulist which are one memory node. Every
 *      processor gets a key (its turn within its core, how far its node is, how far it is by number),
 *      and the keys are sorted. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/exec/topology.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/alloc.h"

typedef struct place {
  int32_t cpu;
  int32_t turn; /* within its core; -1: not known yet */
  int32_t node, far, ahead;
} place;

/* The text of a small file; false if there is none. */
static bool read_text(const char *path, char *text, size_t size) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t n = read(fd, text, size - 1);
  close(fd);
  text[n > 0 ? n : 0] = '\0';
  return n > 0;
}

/* Takes the next range of a list such as "0-3,8"; false at its end. */
static bool next_range(const char **at, int32_t *lo, int32_t *hi) {
  char *end;
  const long first = strtol(*at, &end, 10);
  if (end == *at || first < 0 || first > INT32_MAX) return false;
  long last = first;
  if (*end == '-') last = strtol(end + 1, &end, 10);
  if (*end == ',') end++;
  *at = end;
  *lo = (int32_t)first;
  *hi = last < INT32_MAX ? (int32_t)last : INT32_MAX - 1;
  return true;
}

/* The first place whose processor is `cpu` or later; places ascend by processor. */
static int32_t find(const place *p, int32_t n, int32_t cpu) {
  int32_t lo = 0, hi = n;
  while (lo < hi) {
    const int32_t mid = lo + (hi - lo) / 2;
    if (p[mid].cpu < cpu)
      lo = mid + 1;
    else
      hi = mid;
  }
  return lo;
}

static void take_turns(const char *root, int32_t here, place *p, int32_t n) {
  char path[256], text[4096];
  for (int32_t i = 0; i < n; i++) {
    if (p[i].turn >= 0) continue;
    p[i].turn = 0;
    snprintf(path, sizeof path, "%s/cpu/cpu%d/topology/thread_siblings_list", root, (int)p[i].cpu);
    if (!read_text(path, text, sizeof text)) continue;
    int32_t turn = 0, first = 0, last = 0;
    for (const char *at = text; next_range(&at, &first, &last);)
      if (first <= here && here <= last) turn = 1; /* `here` has the first turn */
    for (const char *at = text; next_range(&at, &first, &last);)
      for (int32_t k = find(p, n, first); k < n && p[k].cpu <= last; k++)
        p[k].turn = p[k].cpu == here ? 0 : turn++;
  }
}

static void find_nodes(const char *root, place *p, int32_t n) {
  char path[256], nodes[1024], text[4096];
  int32_t first = 0, last = 0, lo = 0, hi = 0;
  snprintf(path, sizeof path, "%s/node/online", root);
  if (!read_text(path, nodes, sizeof nodes)) return;
  for (const char *at = nodes; next_range(&at, &first, &last);)
    for (int32_t node = first; node <= last; node++) {
      snprintf(path, sizeof path, "%s/node/node%d/cpulist", root, (int)node);
      if (!read_text(path, text, sizeof text)) continue;
      for (const char *in = text; next_range(&in, &lo, &hi);)
        for (int32_t k = find(p, n, lo); k < n && p[k].cpu <= hi; k++) p[k].node = node;
    }
}

static int by_key(const void *a, const void *b) {
  const place *x = a, *y = b;
  if (x->turn != y->turn) return x->turn < y->turn ? -1 : 1;
  if (x->far != y->far) return x->far < y->far ? -1 : 1;
  return (x->ahead > y->ahead) - (x->ahead < y->ahead);
}

void rpi_topology_order(const char *root, int32_t here, int32_t *cpu, int32_t n) {
  place *p = rpi_alloc((size_t)n * sizeof *p);
  if (!p) return; /* any order will do */
  for (int32_t i = 0; i < n; i++) p[i] = (place){.cpu = cpu[i], .turn = -1};
  take_turns(root, here, p, n);
  find_nodes(root, p, n);
  const int32_t at = find(p, n, here), mine = at < n && p[at].cpu == here ? p[at].node : 0;
  for (int32_t i = 0; i < n; i++) {
    const int32_t d = p[i].node - mine;
    p[i].far = d > 0 ? 2 * d - 1 : -2 * d; /* each node its own, so that they stay together */
    p[i].ahead = p[i].cpu >= here ? p[i].cpu - here : p[i].cpu + (INT32_MAX - here);
  }
  qsort(p, (size_t)n, sizeof *p, by_key);
  for (int32_t i = 0; i < n; i++) cpu[i] = p[i].cpu;
  rpi_alloc_free(p);
}
