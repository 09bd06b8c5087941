/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_mm_write.c -- matrices that all ranks write into one Matrix Market file: its bytes, what it replaces,
 * pipes and devices, and what is left when one rank fails. Reading: test_api_matrix_market.c. */
#define _GNU_SOURCE
#include "tests/support/members.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/include/reprise_sparse.h"

enum { ROWS = 241, COLS = 53, ENTRIES = 2000, LONGEST = 1 << 18 };

/* Set before ranks start: the matrix, and where it goes. */
static int64_t n_rows, ptr[ROWS + 1], col[ENTRIES];
static double val[ENTRIES];
static rp_dtype dtype;
static char folder[] = "/tmp/test_mm_write_XXXXXX", path[64];
static int64_t bad_row; /* ptr descends there; < 0: nowhere */
static char want[LONGEST], got[LONGEST];

/* Rows of very different lengths, some of none; the text is written down as it must be. */
static void make_matrix(int64_t rows, rp_dtype t) {
  int64_t n = 0;
  n_rows = rows;
  dtype = t;
  for (int64_t i = 0; i < rows; i++) {
    ptr[i] = n;
    const int64_t each = i % 7 == 0 ? 0 : i > rows / 2 ? 13 : i % 3;
    for (int64_t k = 0; k < each && n < ENTRIES; k++, n++) {
      col[n] = (i + 4 * k) % COLS;
      val[n] = (k % 2 ? -1.0 : 1e-7) / (double)(3 + i * k);
      if (t == RP_F32) val[n] = (double)(float)val[n];
    }
  }
  ptr[rows] = n;
  int at =
      snprintf(want, LONGEST, "%%%%MatrixMarket matrix coordinate real general\n%lld %d %lld\n",
               (long long)rows, COLS, (long long)n);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t k = ptr[i]; k < ptr[i + 1]; k++)
      at += snprintf(want + at, (size_t)(LONGEST - at), "%lld %lld %.*g\n", (long long)i + 1,
                     (long long)col[k] + 1, t == RP_F32 ? 9 : 17, val[k]);
}

static rp_status writes(member *m) {
  rp_csr *a;
  TRY(rp_csr_from_arrays(m->ctx, dtype, n_rows, COLS, ptr, col, val, &a));
  if (bad_row >= 0) {
    const int64_t lower = ptr[bad_row] - 1;
    TRY(rp_store_write_part(rp_csr_ptr(a), (int64_t[]){bad_row + 1}, (int64_t[]){bad_row + 2},
                            &lower, 8));
  }
  m->stat[0] = rp_csr_write_matrix_market(a, path);
  snprintf(m->said, sizeof m->said, "%s", m->stat[0] == RP_OK ? "" : rp_last_error());
  double sum; /* the ranks are still together */
  rp_store *s;
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &s));
  if (bad_row < 0) TRY(EVAL(m->ctx, "s, v", "s = sum(i) f64(v[i])", s, rp_csr_val(a)));
  TRY(rp_store_read(s, &sum, 8));
  TRY(rp_store_release(s));
  return rp_csr_release(a);
}

static int64_t content_of(const char *name) {
  FILE *f = fopen(name, "rb");
  assert_non_null(f);
  const size_t n = fread(got, 1, LONGEST - 1, f);
  fclose(f);
  got[n] = '\0';
  return (int64_t)n;
}

static int files_in_folder(void) {
  int n = 0;
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (const struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

/* On n ranks; each must end with this status. */
static void write_on(int32_t n, const char *config, rp_status status, const char *sentence) {
  member all[MOST];
  run(all, n, config, writes, 1);
  for (int32_t r = 0; r < n; r++) {
    if (all[r].status != RP_OK || all[r].stat[0] != status || !strstr(all[r].said, sentence))
      fail_msg("rank %d of %d: %d, %lld: %s", r, n, all[r].status, (long long)all[r].stat[0],
               all[r].said);
  }
  forget(all, n);
}

static const int32_t counts[] = {1, 2, 3, 4, 7};
enum { N_COUNTS = sizeof counts / sizeof *counts };
#define CUT "--threads 1 --tile 0"

static void test_bytes(void **state) {
  (void)state;
  static const int64_t rows[] = {ROWS, 3, 1, 0};
  for (int32_t i = 0; i < 4; i++) {
    for (int32_t t = 0; t < 2; t++) {
      make_matrix(rows[i], t ? RP_F32 : RP_F64);
      for (int32_t k = 0; k < 2 * N_COUNTS; k++) {
        write_on(counts[k / 2], k % 2 ? CUT : "--threads 1", RP_OK, "");
        content_of(path);
        assert_string_equal(got, want);
        assert_int_equal(files_in_folder(), 1);
      }
    }
  }
  unlink(path);
}

/* A file in the place of another has its permissions; what leads to it goes on to do so. */
static void test_replaced(void **state) {
  (void)state;
  char file[96];
  struct stat facts;
  make_matrix(ROWS, RP_F64);
  snprintf(file, sizeof file, "%s/file", folder);
  FILE *f = fopen(file, "w");
  assert_non_null(f);
  fputs("older", f);
  fclose(f);
  assert_int_equal(chmod(file, 0640), 0);
  assert_int_equal(symlink("file", path), 0);
  write_on(3, CUT, RP_OK, "");
  assert_int_equal(lstat(path, &facts), 0);
  assert_true(S_ISLNK(facts.st_mode));
  assert_int_equal(stat(file, &facts), 0);
  assert_int_equal(facts.st_mode & 07777, 0640);
  content_of(file);
  assert_string_equal(got, want);
  assert_int_equal(files_in_folder(), 2);
  unlink(path);
  unlink(file);
}

/* Written in order, by one. */
static void test_pipe(void **state) {
  (void)state;
  make_matrix(60, RP_F64);
  for (int32_t k = 0; k < N_COUNTS; k++) {
    assert_int_equal(mkfifo(path, 0600), 0);
    const int fd = open(path, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);
    write_on(counts[k], CUT, RP_OK, "");
    const ssize_t n = read(fd, got, LONGEST - 1);
    assert_int_equal(n, strlen(want));
    got[n] = '\0';
    assert_string_equal(got, want);
    close(fd);
    unlink(path);
  }
}

/* What was there is there still, and nothing else. */
static void old_file_stays(void) {
  content_of(path);
  assert_string_equal(got, "older");
  assert_int_equal(files_in_folder(), 1);
}

static void test_errors(void **state) {
  (void)state;
  char here[sizeof path];
  struct rlimit limit, before;
  make_matrix(ROWS, RP_F64);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("older", f);
  fclose(f);
  memcpy(here, path, sizeof here);
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  for (int32_t k = 0; k < N_COUNTS; k++) {
    snprintf(path, sizeof path, "/no/such/folder/m.mtx");
    write_on(counts[k], CUT, RP_ERR_IO, "cannot create \"/no/such/folder/m.mtx\": No such file");
    snprintf(path, sizeof path, "/dev/full");
    write_on(counts[k], CUT, RP_ERR_IO, "cannot write \"/dev/full\": No space left on device");
    snprintf(path, sizeof path, "%s", folder);
    write_on(counts[k], CUT, RP_ERR_IO, "Is a directory");
    memcpy(path, here, sizeof here);
    limit = before;
    limit.rlim_cur = 20000; /* bytes: of several ranks the first can write all of theirs */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    write_on(counts[k], CUT, RP_ERR_IO, "m.mtx\": File too large");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    old_file_stays();
    bad_row = 200;
    write_on(counts[k], CUT, RP_ERR_ARGUMENT, "at row 200");
    bad_row = -1;
    old_file_stays();
  }
  assert_true(strlen(want) > 30000);
  unlink(path);
}

static int begin(void **state) {
  (void)state;
  bad_row = -1;
  if (!mkdtemp(folder)) return -1;
  snprintf(path, sizeof path, "%s/m.mtx", folder);
  return 0;
}

static int end(void **state) {
  (void)state;
  return rmdir(folder);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bytes), cmocka_unit_test(test_replaced),
                                     cmocka_unit_test(test_pipe), cmocka_unit_test(test_errors)};
  return cmocka_run_group_tests(tests, begin, end);
}
