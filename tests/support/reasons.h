/* SPDX-License-Identifier: Apache-2.0
 * tests/support/reasons.h -- a small program for a line of trace/reason.def makes it happen, counted in rp_explain.
 * Lives here: running such a program, the check that each line has one, and what several programs are made of. Not here: the
 *             programs (test_reason.c, and test_reason_gpu.c for those that need a GPU). */
#ifndef REASONS_H
#define REASONS_H

#include "tests/support/api_check.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

enum { N = 100 };

/* ---- what programs are made of ---- */

static inline void drop(rp_store *s) { OK(rp_store_release(s)); }
static inline rp_store *zeros(rp_context *c, int64_t n) { return check_vector(c, n, NULL); }

static inline rp_store *part(rp_store *x, int64_t from, int64_t to) {
  rp_store *v;
  OK(rp_store_slice(x, 0, from, to, 1, &v));
  return v;
}

static inline void increment(rp_context *c, rp_store *x) { OK(EVAL(c, "x", "x = x + 1", x)); }
static inline void begin(rp_context *c) { OK(rp_trace_begin(c, 1)); }
static inline void end(rp_context *c) { OK(rp_trace_end(c, 1)); }

static inline void note(const double *x) { (void)x; }

static inline rp_op *opaque_op_on(rp_context *c, int32_t flags, const rp_gpu_variant *gpu) {
  static const int32_t privilege[] = {RP_PRIV_READ_WRITE};
  static const rp_opaque_arg arg[] = {{.kind = RP_ARG_PTR}};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "note",
                            .params = "x",
                            .privileges = privilege,
                            .function = (void (*)(void))note,
                            .args = arg,
                            .n_args = 1,
                            .flags = flags,
                            .gpu = gpu};
  return check_opaque(c, &d);
}

static inline rp_op *opaque_op(rp_context *c, int32_t flags) {
  return opaque_op_on(c, flags, NULL);
}

static inline rp_store *indices(rp_context *c, int64_t n, int32_t all) {
  int32_t v[N];
  rp_store *s;
  for (int i = 0; i < N; i++) v[i] = all;
  OK(rp_store_create(c, RP_I32, 1, &n, &s));
  OK(rp_store_write(s, v, sizeof *v * (size_t)n));
  return s;
}

static inline void gather_checked(rp_context *c) { /* the index is computed */
  rp_store *x = zeros(c, N), *y = zeros(c, N), *b = indices(c, N, 3);
  OK(EVAL(c, "y, x, b", "y[i] = x[b[i] + 1]", y, x, b));
  OK(rp_wait(c));
  drop(x);
  drop(y);
  drop(b);
}

#define TWO "--transport threads --ranks 2 --watchdog 20 "

typedef void launches(rp_context *c, rp_store *x);

/* x, of N elements, twice again. */
static inline void twice(rp_context *c, launches *pass) {
  rp_store *x = zeros(c, N), *go = NULL;
  int64_t passes = 0;
  OK(rp_store_create(c, RP_BOOL, 0, NULL, &go));
  OK(rp_trace_begin(c, 1));
  pass(c, x);
  OK(EVAL(c, "go, x", "go = x[7] < 100.0", go, x));
  OK(rp_trace_repeat(c, 1, go, 2, &passes));
  assert_int_equal(passes, 2);
  drop(x);
  drop(go);
}

static inline void repeat_plain(rp_context *c) { twice(c, increment); }

/* ---- programs ---- */

typedef struct row {
  const char *code, *config;
  void (*program)(rp_context *c);
  int64_t count;
} row;

static const struct {
  const char *code, *sentence;
} reasons[] = {
#define RPI_REASON(code, sentence) {#code, sentence},
#include "trace/reason.def"
#undef RPI_REASON
};

/* What explain writes to stderr when the context is destroyed. */
static inline char *last_words(rp_context *c) {
  char path[] = "/tmp/reprise-reason-XXXXXX";
  const int file = mkstemp(path), kept = dup(STDERR_FILENO);
  assert_true(file >= 0 && kept >= 0);
  fflush(stderr);
  dup2(file, STDERR_FILENO);
  const rp_status st = rp_context_destroy(c);
  fflush(stderr);
  dup2(kept, STDERR_FILENO);
  char *text = calloc(1, 1 << 16);
  const ssize_t got = pread(file, text, (1 << 16) - 1, 0);
  close(file);
  close(kept);
  unlink(path);
  OK(st);
  assert_true(got > 0);
  return text;
}

/* The count that the text gives for a reason, with its sentence behind it; 0: not there. */
static inline int64_t count_in(const char *text, const char *code, const char *sentence) {
  char name[64], line[256];
  int64_t count;
  const char *p = strstr(text, "\nreasons\n");
  assert_non_null(p);
  for (p = strchr(p + 1, '\n') + 1; *p == ' '; p = strchr(p, '\n') + 1) {
    assert_int_equal(sscanf(p, "%ld %63s %255[^\n]", &count, name, line), 3);
    if (strcmp(name, code) != 0) continue;
    assert_string_equal(line, sentence);
    return count;
  }
  return 0;
}

static const char *sentence_of(const char *code) {
  for (int i = 0; i < COUNT(reasons); i++)
    if (strcmp(reasons[i].code, code) == 0) return reasons[i].sentence;
  fail_msg("%s is not in trace/reason.def", code);
  return NULL;
}

/* The other rank of a row that has two. */
static inline void *other_rank(void *arg) {
  const row *r = arg;
  rp_context *c = check_context_of(r->config, 1);
  r->program(c);
  OK(rp_context_destroy(c));
  return NULL;
}

static inline void test_row(void **state) {
  const row *r = *state;
  const char *sentence = sentence_of(r->code);
  pthread_t other;
  const bool two = strstr(r->config, "--ranks");
  if (two) assert_int_equal(pthread_create(&other, NULL, other_rank, (void *)r), 0);
  rp_context *c = check_context_of(r->config, 0);
  char *before = check_explained(c);
  assert_int_equal(count_in(before, r->code, sentence), 0);
  free(before);
  r->program(c);
  const bool at_end = strstr(r->config, "--explain");
  char *after = at_end ? last_words(c) : check_explained(c);
  assert_int_equal(count_in(after, r->code, sentence), r->count);
  free(after);
  if (!at_end) OK(rp_context_destroy(c));
  if (two) pthread_join(other, NULL);
}

static inline bool reason_is_gpus(const char *code) {
  return strncmp(code, "GPU_", 4) == 0 || strncmp(code, "REPEAT_", 7) == 0 ||
         strcmp(code, "FUSE_SPILLS") == 0;
}

/* Runs n programs. Each reason that needs a GPU (`gpus`), or each other one, has its row, in the order of the table. */
static inline int run_reasons(const row *table, int n, bool gpus) {
  struct CMUnitTest tests[COUNT(reasons)];
  int k = 0;
  for (int i = 0; i < COUNT(reasons); i++) {
    if (reason_is_gpus(reasons[i].code) != gpus) continue;
    if (k == n || strcmp(table[k].code, reasons[i].code) != 0) {
      fprintf(stderr, "%s has no program here\n", reasons[i].code);
      return 1;
    }
    tests[k] = (struct CMUnitTest){
        .name = table[k].code, .test_func = test_row, .initial_state = (void *)&table[k]};
    k++;
  }
  if (k < n) fprintf(stderr, "%s is no reason\n", table[k].code);
  return k < n ? 1 : _cmocka_run_group_tests("reasons", tests, (size_t)n, NULL, NULL);
}

#endif
