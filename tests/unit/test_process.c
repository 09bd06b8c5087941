/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_process.c -- the library inside somebody else's process: another rounding mode, SIGCHLD
 * ignored, a second copy of it; and its kernel cache between processes: shared, damaged, on a full disk. */
#define _GNU_SOURCE
#include "tests/support/api_check.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <fenv.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xmmintrin.h>

#include "core/include/reprise_sparse.h"

enum { N = 3000, KERNELS = 4 };

static char folder[64];

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/reprise-process-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

/* Calls `f` (NULL: counts) with the path of every entry of the folder whose name contains `only`. */
static int each_file(const char *only, void (*f)(const char *path)) {
  char path[512];
  int n = 0;
  DIR *d = opendir(folder);
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    if (!strstr(e->d_name, only) || e->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    if (f) f(path);
    n++;
  }
  closedir(d);
  return n;
}

static void remove_file(const char *path) { unlink(path); }

static int teardown(void **state) {
  (void)state;
  each_file("", remove_file);
  return rmdir(folder);
}

/* ---- a program ---------------------------------------------------------------------------------- */

static rp_context *compiled_context(void) {
  char config[256];
  rp_context *c = NULL;
  snprintf(config, sizeof config, "--tier 1 --threads 2 --pin off --cache-dir %s", folder);
  OK(rp_context_create(config, &c));
  return c;
}

/* Runs KERNELS different kernels and gives back what they left in one array. */
static void run(rp_context *c, double *out) {
  static const char *const bodies[KERNELS] = {"y = y + x/3", "y = sqrt(y*y + x)*0.7",
                                              "y = exp(y/40) + x",
                                              "y = where(y > x, y - x/7, y*1.1)"};
  double v[N];
  for (int i = 0; i < N; i++) v[i] = i / 8.0; /* exact in every mode */
  rp_store *x = check_vector(c, N, v), *y = check_vector(c, N, v);
  for (int pass = 0; pass < 2; pass++) {
    for (int k = 0; k < KERNELS; k++) {
      OK(EVAL(c, "y, x", bodies[k], y, x));
      OK(rp_wait(c));
    }
    OK(rp_wait_compiled(c));
  }
  OK(rp_store_read(y, out, N * sizeof *out));
  OK(rp_store_release(x));
  OK(rp_store_release(y));
}

/* What the interpreter computes, without a cache. */
static const double *expected(void) {
  static double want[N];
  static bool known;
  if (!known) {
    rp_context *c = check_context("");
    run(c, want);
    OK(rp_context_destroy(c));
    known = true;
  }
  return want;
}

/* A context of its own runs it; the bits are right. Returns how many compilers ran. */
static int64_t run_once(int64_t *disk_hits) {
  double got[N];
  rp_context *c = compiled_context();
  run(c, got);
  assert_memory_equal(got, expected(), sizeof got);
  const int64_t compiles = check_stat(c, "compiles");
  if (disk_hits) *disk_hits = check_stat(c, "disk_hits");
  OK(rp_context_destroy(c));
  return compiles;
}

static void need_compiler(void) {
  rp_context *c = compiled_context();
  double got[N];
  run(c, got);
  const bool none = check_stat(c, "compiles") == 0;
  OK(rp_context_destroy(c));
  each_file("", remove_file);
  if (none) {
    print_message("no C compiler on PATH: not tested\n");
    skip();
  }
}

/* ---- the process's own settings ----------------------------------------------------------------- */

/* What the sparse library computes on the host: sums of entries of one place, f64 to f32. */
static void host_sums(rp_context *c, float *out) {
  const int64_t zero[] = {0, 0, 0};
  const double val[] = {-0.1, -0.2, -0.3};
  rp_csr *a = NULL;
  OK(rp_csr_from_triplets(c, RP_F32, 1, 1, 3, zero, zero, val, &a));
  OK(rp_store_read(rp_csr_val(a), out, sizeof *out));
  OK(rp_csr_release(a));
}

static unsigned seen_mode;
static void look_at_mode(void) { seen_mode = _mm_getcsr() & ~0x3fu; }

/* Rounding up and flushing to zero: the bits are the same, and the mode is there after every call. */
static void test_rounding(void **state) {
  enum { UP_AND_FLUSH = 0xdfc0 };
  (void)state;
  double got[N];
  const double *want = expected();
  float sum, want_sum;
  rp_context *plain = check_context("");
  host_sums(plain, &want_sum);
  OK(rp_context_destroy(plain));
  for (int compiled = 0; compiled < 2; compiled++) {
    fenv_t before;
    fegetenv(&before);
    fesetround(FE_UPWARD); /* the x87's mode too: what reads numbers looks there */
    _mm_setcsr(UP_AND_FLUSH);
    rp_context *c = compiled ? compiled_context() : check_context("");
    run(c, got);
    host_sums(c, &sum);
    const rp_opaque_desc d = {.struct_size = sizeof d,
                              .name = "look",
                              .params = "",
                              .function = look_at_mode,
                              .flags = RP_OPAQUE_SIDE_EFFECT};
    OK(rp_launch(check_opaque(c, &d), NULL, 0, NULL, 0));
    OK(rp_context_destroy(c));
    const unsigned after = _mm_getcsr() & ~0x3fu;
    const int rounding = fegetround();
    fesetenv(&before);
    assert_int_equal(after, UP_AND_FLUSH);
    assert_int_equal(rounding, FE_UPWARD);
    assert_int_equal(seen_mode,
                     UP_AND_FLUSH); /* a C function of the application runs in its mode */
    assert_memory_equal(got, want, sizeof got);
    assert_memory_equal(&sum, &want_sum, sizeof sum);
  }
}

static void test_sigchld(void **state) {
  (void)state;
  need_compiler();
  void (*const before)(int) = signal(SIGCHLD, SIG_IGN);
  int64_t hits = -1;
  assert_int_equal(run_once(&hits), KERNELS);
  assert_int_equal(run_once(&hits), 0);
  assert_int_equal(hits, KERNELS);
  signal(SIGCHLD, before);
}

/* ---- a second copy of the library ---------------------------------------------------------------- */

/* A program's context, through either copy. */
typedef struct copy {
  rp_status (*create)(const char *, rp_context **);
  rp_status (*destroy)(rp_context *);
  rp_status (*store)(rp_context *, rp_dtype, int32_t, const int64_t *, rp_store **);
  rp_status (*eval)(rp_context *, const char *, const char *, rp_store *const *, int32_t);
  rp_status (*wait)(rp_context *);
  rp_status (*release)(rp_store *);
} copy;

/* How many threads of a pool are bound to one processor, of the threads there are. */
static int bound_threads(int *threads) {
  char path[300], name[64];
  int bound = 0;
  *threads = 0;
  DIR *d = opendir("/proc/self/task");
  assert_non_null(d);
  for (struct dirent *e; (e = readdir(d));) {
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", e->d_name);
    FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
    if (!f) continue;
    const bool ours = fgets(name, sizeof name, f) && strncmp(name, "reprise-1", 9) == 0;
    fclose(f);
    cpu_set_t set;
    if (!ours || sched_getaffinity((pid_t)atoi(e->d_name), sizeof set, &set) != 0) continue;
    ++*threads;
    bound += CPU_COUNT(&set) == 1;
  }
  closedir(d);
  return bound;
}

/* A context on two threads works; says whether its thread is bound. */
static bool binds(const copy *k) {
  const int64_t n = 20000;
  rp_context *c;
  rp_store *x;
  int threads;
  assert_int_equal(k->create("--tier 0 --threads 2 --grain 1 --pin on --cache-dir none", &c),
                   RP_OK);
  assert_int_equal(k->store(c, RP_F64, 1, &n, &x), RP_OK);
  assert_int_equal(k->eval(c, "x", "x = x + 1", &x, 1), RP_OK);
  assert_int_equal(k->wait(c), RP_OK);
  const int bound = bound_threads(&threads);
  assert_int_equal(threads, 1);
  assert_int_equal(k->release(x), RP_OK);
  assert_int_equal(k->destroy(c), RP_OK);
  return bound == 1;
}

static void test_second_copy(void **state) {
  (void)state;
  const copy ours = {rp_context_create, rp_context_destroy, rp_store_create, rp_eval,
                     rp_wait,           rp_store_release};
  cpu_set_t set;
  const char *path = getenv("REPRISE_LIBRARY");
  void *so = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  sched_getaffinity(0, sizeof set, &set);
  if (!so || CPU_COUNT(&set) < 2) {
    print_message("no shared library to load, or one processor: not tested\n");
    skip();
  }
  copy theirs;
  *(void **)&theirs.create = dlsym(so, "rp_context_create");
  *(void **)&theirs.destroy = dlsym(so, "rp_context_destroy");
  *(void **)&theirs.store = dlsym(so, "rp_store_create");
  *(void **)&theirs.eval = dlsym(so, "rp_eval");
  *(void **)&theirs.wait = dlsym(so, "rp_wait");
  *(void **)&theirs.release = dlsym(so, "rp_store_release");
  assert_ptr_not_equal((void *)(uintptr_t)theirs.create, (void *)(uintptr_t)rp_context_create);
  assert_true(binds(&ours));
  assert_false(binds(&theirs));
  assert_true(binds(&ours));
}

/* ---- the cache ---------------------------------------------------------------------------------- */

/* Two processes start together: each kernel is compiled by one of them. A third finds them all. */
static void test_two_processes(void **state) {
  (void)state;
  int ends[2], status;
  int64_t hits = -1, total = 0;
  need_compiler();
  expected();
  assert_int_equal(pipe(ends), 0);
  for (int p = 0; p < 2; p++) {
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0) continue;
    double got[N];
    rp_context *c = compiled_context();
    run(c, got);
    const int64_t n = check_stat(c, "compiles");
    if (memcmp(got, expected(), sizeof got) != 0) _exit(1);
    if (rp_context_destroy(c) != RP_OK || write(ends[1], &n, sizeof n) != sizeof n) _exit(2);
    _exit(0);
  }
  for (int p = 0; p < 2; p++) {
    assert_true(wait(&status) > 0);
    assert_int_equal(status, 0);
    int64_t n;
    assert_int_equal(read(ends[0], &n, sizeof n), sizeof n);
    total += n;
  }
  close(ends[0]);
  close(ends[1]);
  assert_int_equal(total, KERNELS);
  assert_int_equal(run_once(&hits), 0);
  assert_int_equal(hits, KERNELS);
}

static void cut_in_half(const char *path) {
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(truncate(path, st.st_size / 2), 0);
}

static void flip_a_bit(const char *path) {
  char byte;
  const int fd = open(path, O_RDWR);
  assert_true(fd >= 0);
  assert_int_equal(pread(fd, &byte, 1, 1000), 1);
  byte ^= 4;
  assert_int_equal(pwrite(fd, &byte, 1, 1000), 1);
  close(fd);
}

static void empty(const char *path) { assert_int_equal(truncate(path, 0), 0); }

/* Damaged entries are compiled anew, and are whole afterwards. */
static void test_damage(void **state) {
  (void)state;
  void (*const damage[])(const char *) = {cut_in_half, flip_a_bit, empty, remove_file};
  need_compiler();
  assert_int_equal(run_once(NULL), KERNELS);
  for (size_t k = 0; k < sizeof damage / sizeof *damage; k++) {
    each_file(".so", damage[k]);
    assert_int_equal(run_once(NULL), KERNELS);
    assert_int_equal(run_once(NULL), 0);
  }
}

/* Folders that must not be used, or cannot be: everything is compiled each time, and nothing is put there. */
static void test_bad_folders(void **state) {
  (void)state;
  need_compiler();
  const uid_t me = geteuid();
  for (int k = 0; k < 4; k++) {
    char saved[sizeof folder], plain[sizeof folder + 8];
    memcpy(saved, folder, sizeof saved);
    snprintf(plain, sizeof plain, "%s/file", folder);
    if (k == 0) assert_int_equal(chmod(folder, 0777), 0); /* others may write */
    if (k == 1 && me == 0) assert_int_equal(chown(folder, 65534, (gid_t)-1), 0); /* another's */
    if (k == 2) snprintf(folder, sizeof folder, "/proc/no/such"); /* cannot be made */
    if (k == 3) {                                                 /* not a folder */
      close(open(plain, O_CREAT | O_WRONLY, 0600));
      snprintf(folder, sizeof folder, "%.*s/file", (int)(sizeof folder - 6), saved);
    }
    if (k != 1 || me == 0)
      for (int again = 0; again < 2; again++) assert_int_equal(run_once(NULL), KERNELS);
    memcpy(folder, saved, sizeof folder);
    assert_int_equal(unlink(plain), k == 3 ? 0 : -1);
    assert_int_equal(each_file("", NULL), 0);
    if (me == 0) assert_int_equal(chown(folder, me, (gid_t)-1), 0);
    assert_int_equal(chmod(folder, 0700), 0);
  }
}

/* No room for an object, and room for some: everything is compiled all the same, and nothing half done is
 * left. */
static void test_full_disk(void **state) {
  (void)state;
  need_compiler();
  for (int kb = 8; kb <= 72; kb += 32) {
    char options[64];
    snprintf(options, sizeof options, "size=%dk,mode=0700", kb);
    if (mount("none", folder, "tmpfs", 0, options) != 0) {
      print_message("no file system can be mounted: a full disk is not tested\n");
      skip();
    }
    double got[N];
    rp_context *c = compiled_context();
    run(c, got);
    const int64_t compiles = check_stat(c, "compiles"), fails = check_stat(c, "compile_fails");
    OK(rp_context_destroy(c));
    const int left = each_file(".tmp", NULL);
    each_file("", remove_file);
    assert_int_equal(umount(folder), 0);
    assert_memory_equal(got, expected(), sizeof got);
    if (compiles != KERNELS || fails != 0 || left != 0)
      fail_msg("%d kB: %d compiles, %d failed, %d files left", kb, (int)compiles, (int)fails, left);
  }
}

static off_t smallest;
static void measure(const char *path) {
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  if (smallest == 0 || st.st_size < smallest) smallest = st.st_size;
}

/* A limit on the size of files: for the compiler's (nothing fits), and one that leaves no room for what the
 * cache adds to the smallest object. The signal that goes with it must not reach the application. */
static void test_file_limit(void **state) {
  (void)state;
  need_compiler();
  assert_int_equal(run_once(NULL), KERNELS);
  smallest = 0;
  each_file(".so", measure);
  const off_t limits[] = {100, smallest - 8};
  for (int k = 0; k < 2; k++) {
    each_file("", remove_file);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      const struct rlimit limit = {(rlim_t)limits[k], (rlim_t)limits[k]};
      double got[N];
      if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || !freopen("/dev/null", "w", stderr)) _exit(3);
      rp_context *c = compiled_context();
      run(c, got);
      if (rp_context_destroy(c) != RP_OK) _exit(2);
      _exit(memcmp(got, expected(), sizeof got) != 0);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status != 0) fail_msg("limit %d: status %x", (int)limits[k], (unsigned)status);
  }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_rounding), TEST(test_sigchld),     TEST(test_second_copy), TEST(test_two_processes),
      TEST(test_damage),   TEST(test_bad_folders), TEST(test_full_disk),   TEST(test_file_limit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
