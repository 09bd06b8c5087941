/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_matrix_market.c -- Matrix Market files that several ranks, as threads, read in parts: the bits of one
 * process, whatever the file is like; the error of one process; and of the heap no more than a part's worth. */
#include "tests/support/members.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/include/reprise_sparse.h"

/* ---- what a rank has on the heap ---- */

static _Thread_local int64_t heap_now, heap_most;

static void took(void *p) {
  heap_now += p ? (int64_t)malloc_usable_size(p) : 0;
  if (heap_now > heap_most) heap_most = heap_now;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void __real_free(void *p);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void __wrap_free(void *p);

void *__wrap_malloc(size_t n) {
  void *p = __real_malloc(n);
  took(p);
  return p;
}

void *__wrap_calloc(size_t n, size_t size) {
  void *p = __real_calloc(n, size);
  took(p);
  return p;
}

void *__wrap_realloc(void *p, size_t n) {
  const int64_t before = p ? (int64_t)malloc_usable_size(p) : 0;
  void *q = __real_realloc(p, n);
  if (q) heap_now -= before;
  took(q);
  return q;
}

void __wrap_free(void *p) {
  heap_now -= p ? (int64_t)malloc_usable_size(p) : 0;
  __real_free(p);
}

/* ---- files ---- */

static char path[] = "/tmp/test_matrix_market_XXXXXX";
static rp_dtype dtype;

static uint64_t seed = 99;

static int64_t below(int64_t n) {
  seed = seed * 6364136223846793005u + 1442695040888963407u;
  return (int64_t)((seed >> 11) % (uint64_t)n);
}

/* A file of the kind, with repeats, in no order unless it is an array file; lines end as `end` says. */
static void write_file(const char *kind, int64_t rows, int64_t cols, int64_t n, const char *end) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  const bool array = strstr(kind, "array"), lower = !strstr(kind, "general");
  const bool skew = strstr(kind, "skew"), pattern = strstr(kind, "pattern");
  fprintf(f, "%%%%MatrixMarket matrix %s%s%% a comment%s%s", kind, end, end, end);
  if (array)
    fprintf(f, "%d %d%s", (int)rows, (int)cols, end);
  else
    fprintf(f, "%d %d %d%s", (int)rows, (int)cols, (int)n, end);
  for (int64_t k = 0; k < n; k++) {
    int64_t i = 1 + below(rows), j = 1 + below(cols);
    if (lower && i < j) {
      const int64_t swap = i;
      i = j;
      j = swap;
    }
    if (skew && i == j) i += i < rows, j -= i == j;
    if (!array) fprintf(f, "%d %d%s", (int)i, (int)j, pattern ? "" : " ");
    if (!pattern)
      fprintf(f, "%.*g", (int)below(17),
              array && below(3) == 0 ? 0.0 : (double)below(1 << 20) / 7 - 9999);
    if (k < n - 1 || k % 2) fputs(below(9) ? end : "\n \n", f);
  }
  fclose(f);
}

static void write_text(const char *text) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

/* ---- the same bits ---- */

enum { ROOM = 60000 };

static rp_status put(rp_store *s, double *out, int64_t *at) {
  const size_t bytes = (size_t)rp_store_size(s) * rp_dtype_size(rp_store_dtype(s));
  const rp_status st = rp_store_read(s, out + *at, bytes);
  *at += (int64_t)(bytes + 7) / 8;
  return st;
}

/* The matrix as it is, and a product. */
static rp_status read_matrix(member *m) {
  rp_csr *a;
  rp_store *x, *y, *at;
  int64_t n = 0;
  TRY(rp_csr_from_matrix_market(m->ctx, dtype, path, &a));
  const int64_t cols = rp_csr_cols(a);
  m->out[n++] = (double)rp_csr_rows(a);
  m->out[n++] = (double)cols;
  m->out[n++] = (double)rp_csr_nnz(a);
  TRY(rp_store_create(m->ctx, dtype, 1, &cols, &x));
  TRY(rp_store_create(m->ctx, RP_F64, 1, &cols, &at));
  TRY(EVAL(m->ctx, "x", "x[i] = x[i] + 1", x));
  TRY(rp_csr_multiply(a, x, &y));
  TRY(rp_wait(m->ctx));
  TRY(count(m));
  m->stat[0] = 1; /* some are too small to be shared out */
  TRY(put(rp_csr_ptr(a), m->out, &n));
  TRY(put(rp_csr_col(a), m->out, &n));
  TRY(put(rp_csr_val(a), m->out, &n));
  TRY(put(y, m->out, &n));
  rp_store *all[] = {x, y, at};
  for (int32_t i = 0; i < 3; i++) TRY(rp_store_release(all[i]));
  return rp_csr_release(a);
}

static void test_kinds(void **state) {
  (void)state;
  static const struct {
    const char *kind;
    int64_t rows, cols, n;
  } files[] = {
      {"coordinate real general", 300, 200, 9000},
      {"coordinate real general", 5, 900, 700},
      {"coordinate real symmetric", 120, 120, 4000},
      {"coordinate real skew-symmetric", 90, 90, 2000},
      {"coordinate integer general", 2, 2, 3},
      {"coordinate pattern symmetric", 50, 50, 300},
      {"coordinate real general", 1, 1, 0},
      {"array real general", 37, 41, 37 * 41},
      {"array real symmetric", 45, 45, 45 * 46 / 2},
      {"array real skew-symmetric", 45, 45, 45 * 44 / 2},
      {"array real general", 1, 3, 3},
  };
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    dtype = i % 2 ? RP_F32 : RP_F64;
    const char *kind = files[i].kind;
    if (strstr(kind, "integer"))
      write_text("%%MatrixMarket matrix coordinate integer general\n2 2 3\n2 2 7\n1 1 5\n2 2 -9");
    else
      write_file(kind, files[i].rows, files[i].cols, files[i].n, i % 3 ? "\n" : "\r\n");
    same_bits(read_matrix, ROOM);
  }
}

/* A head that is longer than what is read of it at first. */
static void test_long_head(void **state) {
  (void)state;
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("%%MatrixMarket matrix coordinate real general\n", f);
  for (int32_t k = 0; k < 30000; k++) fprintf(f, "%% comment %d\n", k);
  fputs("3 4 2\n3 4 1.5\n1 1 2.5\n", f);
  fclose(f);
  dtype = RP_F64;
  same_bits(read_matrix, ROOM);
}

/* ---- the same errors ---- */

static rp_status refused(member *m) {
  rp_csr *a;
  const rp_status st = rp_csr_from_matrix_market(m->ctx, RP_F64, path, &a);
  m->stat[0] = st;
  snprintf(m->said, sizeof m->said, "%s", rp_last_error());
  m->stat[1] = a != NULL;
  m->stat[2] = rp_wait(m->ctx);
  return RP_OK;
}

/* Status and sentence of one process; several put the rank in front that found it. */
static void expect_refused(const char *text, const char *what) {
  member all[MOST];
  if (text) write_text(text);
  for (int32_t n = 1; n <= MOST; n++) {
    run(all, n, "--threads 1 --tile 0", refused, 1);
    for (int32_t r = 0; r < n; r++) {
      assert_int_equal(all[r].stat[0], RP_ERR_IO);
      assert_int_equal(all[r].stat[1], 0);
      assert_int_equal(all[r].stat[2], RP_OK);
      if (!strstr(all[r].said, what)) fail_msg("%d ranks: %s lacks %s", n, all[r].said, what);
      assert_string_equal(all[r].said, all[0].said);
    }
    forget(all, n);
  }
}

static void test_errors(void **state) {
  (void)state;
#define BANNER "%%MatrixMarket matrix coordinate real general\n"
  expect_refused(BANNER "3 3 4\n1 1 1\n\n2 2 x\n3 3 1\n3 y 1\n",
                 ", line 5: expected a real value, found 'x'");
  expect_refused(BANNER "3 3 2\n1 1 1\n2 2 1\n3 3 1\n3 y 1\n",
                 ", line 5: expected the end of the file after the last entry, found '3'");
  expect_refused(BANNER "3 3 7\n1 1 1\n2 2 1\n3 3 1\n3 2 1\n",
                 ", line 7: expected entry 5 of 7, found the end of the file");
  expect_refused(BANNER "3 3 x\n", ", line 2: expected the number of entries, found 'x'");
  expect_refused("", ", line 1: expected the banner");
  expect_refused("%%MatrixMarket matrix array real general\n2 2\n1\n2\n3\n4 5\n",
                 ", line 6: expected the end of the line after the value, found '5'");
  unlink(path);
  expect_refused(NULL, "cannot open");
}

/* ---- a part's worth of memory ---- */

enum { LARGE = 20000, ENTRIES = 300000 };

static rp_status measure(member *m) {
  rp_csr *a;
  heap_most = heap_now;
  const int64_t before = heap_now;
  TRY(rp_csr_from_matrix_market(m->ctx, RP_F64, path, &a));
  m->stat[0] = heap_most - before;
  return rp_csr_release(a);
}

static void test_memory(void **state) {
  (void)state;
  member all[MOST];
  write_file("coordinate real general", LARGE, LARGE, ENTRIES, "\n");
  run(all, 1, "--threads 1 --tile 0", measure, 1);
  all_fine(all, 1);
  const int64_t alone = all[0].stat[0];
  forget(all, 1);
  for (int32_t n = 2; n <= MOST; n++) {
    run(all, n, "--threads 1 --tile 0", measure, 1);
    all_fine(all, n);
    for (int32_t r = 0; r < n; r++) {
      /* Entries that came lie beside those that go, which are in the hands of the threads' transport, too. */
      assert_true(all[r].stat[0] * n < alone * 7 / 4 + n * (1 << 17));
    }
    forget(all, n);
  }
}

static int begin(void **state) {
  (void)state;
  const int fd = mkstemp(path);
  return fd < 0 || close(fd) != 0;
}

static int end(void **state) {
  (void)state;
  unlink(path);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds), cmocka_unit_test(test_long_head),
                                     cmocka_unit_test(test_errors), cmocka_unit_test(test_memory)};
  return cmocka_run_group_tests(tests, begin, end);
}
