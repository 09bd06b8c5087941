/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_faults.c -- the gate that each call of the emulated driver passes.
 *
 * Lives here: the lock, counting calls, faults that a test orders, the log, abort with a sentence, random numbers.
 * Not here:   what calls do. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/emulator/emu_inside.h"

static const char *const call_names[EMU_N_CALLS] = {
#define RPI_CUDA_FN(field, symbol, arguments) symbol,
#define RPI_CUDA_OPT RPI_CUDA_FN
#include "core/device/cuda_driver.def"
#undef RPI_CUDA_FN
#undef RPI_CUDA_OPT
};

struct emu_counts emu_counted;
int64_t emu_now;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int32_t held;
static const char *name = "cuInit"; /* of the call that runs */
static int64_t fail_at, memory_at, compile_at;
static CUresult fail_code, sticky;
static int compile_code;
static bool functions;
static FILE *log_file;
static uint64_t seed = 1;

void emu_lock(void) {
  if (!held++) pthread_mutex_lock(&lock);
}

void emu_unlock(void) {
  if (!--held) pthread_mutex_unlock(&lock);
}

void emu_pause(void) {
  const char *const mine = name;
  emu_unlock();
  usleep(50);
  emu_lock();
  name = mine;
}

void *emu_get(size_t bytes) {
  void *p = calloc(1, bytes ? bytes : 1);
  if (!p) emu_die("the host has no %zu bytes", bytes);
  return p;
}

_Noreturn void emu_die(const char *format, ...) {
  va_list args;
  char text[512];
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fprintf(stderr, "emulated CUDA: %s: %s (call %lld)\n", held ? name : "a test", text,
          (long long)emu_now);
  fflush(stderr);
  abort();
}

void emu_log(const char *format, ...) {
  if (!log_file) return;
  va_list args;
  va_start(args, format);
  vfprintf(log_file, format, args);
  va_end(args);
  fputc('\n', log_file);
  fflush(log_file);
}

static int64_t number(const char *variable, int64_t otherwise) {
  const char *text = getenv(variable);
  return text && *text ? strtoll(text, NULL, 10) : otherwise;
}

void emu_faults_init(void) {
  const char *file = getenv("EMU_LOG"), *fail = getenv("EMU_FAIL");
  if (file && *file && !log_file) log_file = strcmp(file, "-") == 0 ? stderr : fopen(file, "a");
  seed = (uint64_t)number("EMU_SEED", 1) * 0x9E3779B97F4A7C15u | 1;
  const char *code = fail ? strchr(fail, ':') : NULL;
  if (code) emu_fail(strtoll(fail, NULL, 10), (CUresult)strtol(code + 1, NULL, 10));
}

uint64_t emu_random(uint64_t n) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return n ? (seed >> 11) % n : 0;
}

/* The fault that a test has ordered for this call. */
static CUresult ordered(void) {
  if (!fail_at || emu_now != fail_at) return CUDA_SUCCESS;
  fail_at = 0;
  if (fail_code != CUDA_ERROR_OUT_OF_MEMORY)
    for (int32_t i = 0; i < emu_n_devices; i++) emu_devices[i].failed = true;
  return fail_code;
}

CUresult emu_enter(enum emu_call call, int needs, CUresult *late) {
  emu_lock();
  name = call_names[call];
  emu_now++;
  emu_log("%lld %s", (long long)emu_now, name);
  const CUresult fault = ordered();
  if (fault && !(needs & EMU_RELEASES)) return fault;
  *late = fault;
  if ((!emu_n_devices || emu_forked()) && needs & (EMU_INIT | EMU_CURRENT))
    return CUDA_ERROR_NOT_INITIALIZED;
  const emu_device *d = emu_context_device();
  if (d && d->sticky && !(needs & EMU_ANYWAY)) return d->sticky;
  return needs & EMU_CURRENT && !d ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

void emu_leave(const CUresult *unused) {
  (void)unused;
  emu_unlock();
}

/* Counts down to 1; true: now. */
static bool due(int64_t *n) { return *n > 0 && --*n == 0; }
bool emu_faults_memory(void) { return due(&memory_at); }
int emu_faults_compile(void) { return due(&compile_at) ? compile_code : 0; }
bool emu_faults_functions(void) { return functions; }

CUresult emu_faults_kernel(void) {
  const CUresult code = sticky;
  sticky = CUDA_SUCCESS;
  return code;
}

/* ---- what a test calls */

void emu_fail(int64_t n, CUresult code) {
  emu_lock();
  fail_at = n > 0 ? emu_now + n : 0;
  fail_code = code;
  emu_unlock();
}

int64_t emu_calls(void) {
  emu_lock();
  const int64_t n = emu_now;
  emu_unlock();
  return n;
}

void emu_fail_memory(int64_t n) {
  emu_lock();
  memory_at = n;
  emu_unlock();
}

void emu_sticky(CUresult code) {
  emu_lock();
  sticky = code;
  emu_unlock();
}

void emu_fail_compile(int64_t n, int code) {
  emu_lock();
  compile_at = n;
  compile_code = code;
  emu_unlock();
}

void emu_graph_functions(int allowed) {
  emu_lock();
  functions = allowed != 0;
  emu_unlock();
}

static int64_t alive(emu_kind kind) {
  int64_t n;
  emu_handle_alive(kind, &n);
  return n;
}

void emu_counts(struct emu_counts *out) {
  emu_lock();
  *out = emu_counted;
  emu_memory_alive(&out->blocks, &out->block_bytes);
  emu_pin_alive(&out->pinned, &out->pinned_bytes);
  int64_t call;
  out->granules = emu_span_alive(&call);
  out->modules = alive(EMU_MODULE);
  out->streams = alive(EMU_STREAM);
  out->events = alive(EMU_EVENT);
  out->graphs = alive(EMU_GRAPH);
  out->execs = alive(EMU_EXEC);
  for (int32_t i = 0; i < emu_n_devices; i++) out->contexts += emu_devices[i].retained;
  emu_unlock();
}

void emu_check_empty(void) {
  static const emu_kind kinds[] = {EMU_MODULE, EMU_STREAM, EMU_EVENT, EMU_GRAPH, EMU_EXEC};
  emu_lock();
  name = "emu_check_empty";
  int64_t n, bytes;
  const emu_memory *m = emu_memory_alive(&n, &bytes);
  if (m)
    emu_die("%lld blocks of memory are alive, one of %zu bytes from call %lld", (long long)n,
            m->bytes, (long long)m->call);
  int64_t call;
  const int64_t granules = emu_span_alive(&call);
  if (granules)
    emu_die("%lld pieces of memory are alive, one of call %lld", (long long)granules,
            (long long)call);
  const emu_pin *p = emu_pin_alive(&n, &bytes);
  if (p)
    emu_die("%lld pinned blocks are alive, one of %zu bytes from call %lld", (long long)n, p->bytes,
            (long long)p->call);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const emu_handle *h = emu_handle_alive(kinds[i], &n);
    if (h)
      emu_die("%lld of kind %s are alive, one from call %lld", (long long)n,
              emu_kind_name(kinds[i]), (long long)h->call);
  }
  for (int32_t i = 0; i < emu_n_devices; i++)
    if (emu_devices[i].retained)
      emu_die("the context of GPU %d is retained %d times", i, emu_devices[i].retained);
  if (emu_context_depth()) emu_die("this thread has left %d contexts current", emu_context_depth());
  emu_unlock();
}
