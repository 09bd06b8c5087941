/* SPDX-License-Identifier: Apache-2.0
 * tests/scale/meter.c -- see meter.h. This file itself is not counted. */
#define _GNU_SOURCE
#include "tests/scale/meter.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* The linker's: the program's code lies between them. */
extern const char __executable_start[], etext[];

enum { CALL = 4 }; /* bytes: no two calls begin closer to each other */

static uint32_t *now; /* runs of each block */
static int64_t calls, bytes;
static _Thread_local bool on;

static size_t n_blocks(void) { return (size_t)(etext - __executable_start) / CALL + 1; }

/* ---- counting ---- */

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void) {
  if (!on) return;
  const char *from = __builtin_return_address(0);
  now[(size_t)(from - __executable_start) / CALL]++;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
int __real_posix_memalign(void **p, size_t align, size_t size);
void *__real_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __wrap_posix_memalign(void **p, size_t align, size_t size);
void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset);

static void count(size_t size) {
  if (!on) return;
  calls++;
  bytes += (int64_t)size;
}

void *__wrap_malloc(size_t size) {
  count(size);
  return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
  count(n * size);
  return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
  count(size);
  return __real_realloc(p, size);
}

int __wrap_posix_memalign(void **p, size_t align, size_t size) {
  count(size);
  return __real_posix_memalign(p, align, size);
}

void *__wrap_mmap(void *at, size_t size, int prot, int flags, int fd, off_t offset) {
  count(size);
  return __real_mmap(at, size, prot, flags, fd, offset);
}

/* ---- stretches ---- */

static void *need(size_t size) {
  void *p = __real_calloc(1, size);
  if (!p) abort();
  return p;
}

void meter_start(void) {
  if (!now) now = need(n_blocks() * sizeof *now);
  memset(now, 0, n_blocks() * sizeof *now);
  calls = bytes = 0;
  on = true;
}

void meter_stop(void) { on = false; }

void meter_take(meter_peak *p) {
  if (!p->runs) p->runs = need(n_blocks() * sizeof *p->runs);
  for (size_t i = 0; i < n_blocks(); i++)
    if (now[i] > p->runs[i]) p->runs[i] = now[i];
  if (calls > p->calls) p->calls = calls;
  if (bytes > p->bytes) p->bytes = bytes;
}

int64_t meter_blocks(const meter_peak *p) {
  int64_t n = 0;
  for (size_t i = 0; i < n_blocks(); i++) n += p->runs[i] > 0;
  return n;
}

int64_t meter_growth(const meter_peak *a, const meter_peak *b, size_t *block) {
  int64_t most = INT64_MIN;
  for (size_t i = 0; i < n_blocks(); i++) {
    const int64_t more = (int64_t)b->runs[i] - (int64_t)a->runs[i];
    if (more <= most) continue;
    most = more;
    *block = i;
  }
  return most;
}

void meter_name(size_t block, char *text, size_t size) {
  char command[200], line[400] = "";
  snprintf(command, sizeof command, "addr2line -f -p -s -e /proc/%d/exe 0x%zx 2>/dev/null",
           (int)getpid(), block * CALL);
  FILE *f = popen(command, "r");
  if (f && !fgets(line, sizeof line, f)) line[0] = '\0';
  if (f) pclose(f);
  line[strcspn(line, "\n")] = '\0';
  snprintf(text, size, "%s", line[0] ? line : command);
}

void meter_free(meter_peak *p) {
  free(p->runs);
  *p = (meter_peak){0};
}
