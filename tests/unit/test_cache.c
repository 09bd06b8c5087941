/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_cache.c -- the disk cache: a round trip, bad entries, folders it must not trust,
 * read-only homes, locks between processes, the size cap. Objects come from the real compiler. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/config.h"
#include "jit/cache.h"
#include "jit/compile_cc.h"

static rpi_cc *cc;
static char folder[256];

static rpi_hash128 key_of(uint64_t n) { return (rpi_hash128){.lo = n, .hi = 0x1234}; }

static void remove_all(const char *dir) {
  DIR *d = opendir(dir);
  if (!d) return;
  for (struct dirent *e = readdir(d); e; e = readdir(d)) unlinkat(dirfd(d), e->d_name, 0);
  closedir(d);
  rmdir(dir);
}

static int32_t count(const char *dir, const char *tail) {
  int32_t n = 0;
  DIR *d = opendir(dir);
  if (!d) return 0;
  for (struct dirent *e = readdir(d); e; e = readdir(d)) {
    const size_t len = strlen(e->d_name), k = strlen(tail);
    n += len >= k && strcmp(e->d_name + len - k, tail) == 0 && e->d_name[0] != '.';
  }
  closedir(d);
  return n;
}

static int setup(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/reprise-cache-XXXXXX");
  return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  chmod(folder, 0700);
  remove_all(folder);
  return 0;
}

static rpi_cache *make(const char *dir, int64_t mb) {
  rpi_cache *c = NULL;
  assert_int_equal(rpi_cache_create(dir, mb, &c), RP_OK);
  assert_non_null(c);
  return c;
}

/* Compiles an object that answers `claimed` and publishes it under `key`. */
static const rpi_emit_entry *put(rpi_cache *c, rpi_hash128 key, rpi_hash128 claimed) {
  char path[4096], hex[33], text[256];
  rpi_hash_hex(claimed, hex);
  snprintf(text, sizeof text,
           "__attribute__((visibility(\"default\"))) struct { const char *key; void *code[3]; } "
           "rpk_table[] = {{\"%s\"}, {0}};\n",
           hex);
  assert_int_equal(rpi_cache_temp(c, key, path, sizeof path), RP_OK);
  assert_int_equal(rpi_cc_compile(cc, text, path), RP_OK);
  return rpi_cache_publish(c, &key, 1, path);
}

static void path_of(rpi_hash128 key, char *path, size_t size) {
  char hex[33];
  rpi_hash_hex(key, hex);
  snprintf(path, size, "%s/%s.so", folder, hex);
}

static void test_round_trip(void **state) {
  char path[512];
  (void)state;
  if (!cc) skip();
  rpi_cache *c = make(folder, 64);
  assert_string_equal(rpi_cache_dir(c), folder);
  assert_null(rpi_cache_load(c, key_of(1)));
  assert_non_null(put(c, key_of(1), key_of(1)));
  assert_int_equal(count(folder, ".so"), 1);
  assert_int_equal(count(folder, ".tmp"), 0);
  rpi_cache_keep(c, key_of(1), ".c", "text\n");
  assert_int_equal(count(folder, ".c"), 1);
  rpi_cache_free(c);
  c = make(folder, 64);
  assert_non_null(rpi_cache_load(c, key_of(1)));
  assert_null(rpi_cache_load(c, key_of(2)));
  /* an object that answers another key is refused, at birth and from disk */
  assert_null(put(c, key_of(3), key_of(4)));
  path_of(key_of(3), path, sizeof path);
  char from[512];
  path_of(key_of(1), from, sizeof from);
  assert_int_equal(rename(from, path), 0);
  assert_null(rpi_cache_load(c, key_of(3)));
  assert_int_equal(count(folder, ".so"), 0);
  rpi_cache_free(c);
}

/* One object under three names: one mapping, and each name goes its own way. */
static void test_several(void **state) {
  static const char text[] =
      "__attribute__((visibility(\"default\"))) struct { const char *key; void *code[3]; } "
      "rpk_table[] = {{\"%s\"}, {\"%s\"}, {\"%s\"}, {0}};\n";
  const rpi_hash128 key[] = {key_of(31), key_of(32), key_of(33)};
  char path[4096], hex[3][33], source[512];
  (void)state;
  if (!cc) skip();
  rpi_cache *c = make(folder, 64);
  for (int32_t i = 0; i < 3; i++) rpi_hash_hex(key[i], hex[i]);
  snprintf(source, sizeof source, text, hex[0], hex[1], hex[2]);
  path_of(key[1], path, sizeof path); /* something is there already: it gives way */
  fclose(fopen(path, "w"));
  assert_int_equal(rpi_cache_temp(c, key[0], path, sizeof path), RP_OK);
  assert_int_equal(rpi_cc_compile(cc, source, path), RP_OK);
  const rpi_emit_entry *first = rpi_cache_publish(c, key, 3, path);
  assert_non_null(first);
  assert_string_equal(first->key, hex[0]);
  assert_int_equal(count(folder, ".so"), 3);
  for (int32_t i = 0; i < 3; i++) assert_ptr_equal(rpi_cache_load(c, key[i]), first + i);
  path_of(key[0], path, sizeof path);
  assert_int_equal(unlink(path), 0);
  assert_null(rpi_cache_load(c, key[0]));
  assert_non_null(rpi_cache_load(c, key[2]));
  rpi_cache_free(c);
}

/* Every byte matters: a flipped one, a shorter or longer file is refused and removed. */
static void test_corrupt(void **state) {
  char path[512];
  static unsigned char bytes[1 << 20];
  (void)state;
  if (!cc) skip();
  rpi_cache *c = make(folder, 64);
  assert_non_null(put(c, key_of(5), key_of(5)));
  path_of(key_of(5), path, sizeof path);
  FILE *f = fopen(path, "rb");
  const size_t size = fread(bytes, 1, sizeof bytes, f);
  fclose(f);
  for (int32_t i = 0; i < 12; i++) {
    const size_t at = i < 10 ? (size - 1) * (size_t)i / 9 : 0;
    bytes[at] ^= i < 10 ? 1 : 0;
    f = fopen(path, "wb");
    assert_int_equal(fchmod(fileno(f), 0700), 0);
    fwrite(bytes, 1, i == 10 ? size - 1 : size, f);
    if (i == 11) fputc(0, f);
    fclose(f);
    bytes[at] ^= i < 10 ? 1 : 0;
    assert_null(rpi_cache_load(c, key_of(5)));
    assert_int_not_equal(access(path, F_OK), 0);
  }
  f = fopen(path, "wb"); /* whole again, but anyone may write it */
  fwrite(bytes, 1, size, f);
  assert_int_equal(fchmod(fileno(f), 0722), 0);
  fclose(f);
  assert_null(rpi_cache_load(c, key_of(5)));
  rpi_cache_free(c);
}

static void test_folders(void **state) {
  char path[4096];
  (void)state;
  if (!cc) skip();
  chmod(folder, 0755); /* others may look in: not ours to trust */
  rpi_cache *c = make(folder, 64);
  assert_string_equal(rpi_cache_dir(c), "");
  assert_non_null(put(c, key_of(6), key_of(6))); /* works from a private folder */
  assert_null(rpi_cache_load(c, key_of(6)));
  assert_int_equal(count(folder, ""), 0);
  assert_int_equal(rpi_cache_temp(c, key_of(6), path, sizeof path), RP_OK);
  *strrchr(path, '/') = '\0';
  struct stat st;
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  rpi_cache_free(c);
  assert_int_not_equal(stat(path, &st), 0); /* and that is gone */
  chmod(folder, 0700);
  c = make("none", 64);
  assert_string_equal(rpi_cache_dir(c), "");
  assert_true(rpi_cache_lock(c, key_of(1)));
  rpi_cache_unlock(c, key_of(1));
  rpi_cache_free(c);
  snprintf(path, sizeof path, "%s/a/b/c", folder); /* made on demand, 0700 */
  c = make(path, 64);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  rpi_cache_free(c);
  for (int32_t i = 0; i < 3; i++) {
    rmdir(path);
    *strrchr(path, '/') = '\0';
  }
  c = make("/proc/no/such", 64);
  assert_string_equal(rpi_cache_dir(c), "");
  rpi_cache_free(c);
}

/* A home that can be read but not written (as a child of another user if we are root). */
static void test_read_only(void **state) {
  (void)state;
  if (!cc) skip();
  rpi_cache *c = make(folder, 64);
  assert_non_null(put(c, key_of(7), key_of(7)));
  rpi_cache_free(c);
  chmod(folder, 0500);
  const pid_t pid = fork();
  if (pid == 0) {
    if (geteuid() == 0 && (chown(folder, 65534, 65534) != 0 || seteuid(65534) != 0)) _exit(0);
    rpi_cache *r = NULL;
    char path[4096], entry[512];
    path_of(key_of(7), entry, sizeof entry);
    if (rpi_cache_create(folder, 64, &r) != RP_OK) _exit(1);
    if (strcmp(rpi_cache_dir(r), folder) != 0) _exit(2);
    const rpi_emit_entry *so =
        rpi_cache_load(r, key_of(7)); /* as root's file it is not ours; else it is */
    if (getuid() != 0 && !so) _exit(3);
    if (getuid() == 0 && so) _exit(4);
    if (access(entry, F_OK) != 0) _exit(5);
    if (rpi_cache_temp(r, key_of(8), path, sizeof path) != RP_OK) _exit(6);
    if (strncmp(path, folder, strlen(folder)) == 0) _exit(7);
    if (!rpi_cache_lock(r, key_of(8))) _exit(8);
    rpi_cache_free(r);
    _exit(0);
  }
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(WEXITSTATUS(status), 0);
  if (geteuid() == 0) assert_int_equal(chown(folder, 0, 0), 0);
}

static void test_lock(void **state) {
  char path[512];
  (void)state;
  rpi_cache *c = make(folder, 64), *d = make(folder, 64);
  assert_true(rpi_cache_lock(c, key_of(9)));
  assert_false(rpi_cache_lock(d, key_of(9)));
  assert_true(rpi_cache_lock(d, key_of(10)));
  rpi_cache_unlock(d, key_of(10));
  rpi_cache_unlock(c, key_of(9));
  assert_true(rpi_cache_lock(d, key_of(9)));
  path_of(key_of(9), path, sizeof path);
  strcpy(strrchr(path, '.'), ".lock");
  const struct timespec old[2] = {{.tv_sec = time(NULL) - 100}, {.tv_sec = time(NULL) - 100}};
  assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0); /* its owner died */
  assert_true(rpi_cache_lock(c, key_of(9)));
  rpi_cache_unlock(c, key_of(9));
  rpi_cache_free(c);
  rpi_cache_free(d);
}

/* Two processes want the same kernels: each is compiled once, both load it. */
static void test_race(void **state) {
  int ends[2];
  (void)state;
  if (!cc) skip();
  assert_int_equal(pipe(ends), 0);
  pid_t pid[2];
  for (int32_t p = 0; p < 2; p++) {
    pid[p] = fork();
    if (pid[p] != 0) continue;
    rpi_cache *c = NULL;
    if (rpi_cache_create(folder, 64, &c) != RP_OK) _exit(1);
    for (uint64_t k = 20; k < 23; k++) {
      for (;;) {
        const bool mine = rpi_cache_lock(c, key_of(k));
        const rpi_emit_entry *so = rpi_cache_load(c, key_of(k));
        if (!so && mine) {
          so = put(c, key_of(k), key_of(k));
          if (write(ends[1], "x", 1) != 1) _exit(2);
        }
        if (mine) rpi_cache_unlock(c, key_of(k));
        if (so) break;
        const struct timespec t = {.tv_nsec = 1000000};
        nanosleep(&t, NULL);
      }
    }
    _exit(0);
  }
  for (int32_t p = 0; p < 2; p++) {
    int status = -1;
    assert_int_equal(waitpid(pid[p], &status, 0), pid[p]);
    assert_int_equal(status, 0);
  }
  char marks[64];
  assert_int_equal(read(ends[0], marks, sizeof marks), 3);
  close(ends[0]);
  close(ends[1]);
  assert_int_equal(count(folder, ".so"), 3);
  assert_int_equal(count(folder, ".lock"), 0);
}

static void test_cap(void **state) {
  char path[512];
  (void)state;
  if (!cc) skip();
  rpi_cache *c = make(folder, 1);
  static char block[300000];
  for (int32_t i = 0; i < 6; i++) { /* 1.8 MB, the oldest first */
    path_of(key_of(100 + (uint64_t)i), path, sizeof path);
    FILE *f = fopen(path, "wb");
    fwrite(block, 1, sizeof block, f);
    fclose(f);
    const struct timespec when[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
    utimensat(AT_FDCWD, path, when, 0);
  }
  snprintf(path, sizeof path, "%s/%032d.77-0.tmp", folder, 0); /* left by a crash long ago */
  fclose(fopen(path, "wb"));
  const struct timespec when[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
  utimensat(AT_FDCWD, path, when, 0);
  assert_non_null(put(c, key_of(30), key_of(30)));
  assert_int_equal(count(folder, ".tmp"), 0);
  assert_int_equal(count(folder, ".so"), 3); /* 600 kB and the new one: below 80 % of 1 MiB */
  for (int32_t i = 0; i < 6; i++) {
    path_of(key_of(100 + (uint64_t)i), path, sizeof path);
    assert_int_equal(access(path, F_OK) == 0, i >= 4);
  }
  assert_non_null(rpi_cache_load(c, key_of(30)));
  rpi_cache_free(c);
}

static int start(void **state) {
  (void)state;
  if (rpi_cc_create("", RPI_VECTOR_AVX2, &cc) != RP_OK) return -1;
  if (!cc) print_message("no C compiler on PATH: entries of the cache are not tested\n");
  return 0;
}

static int stop(void **state) {
  (void)state;
  rpi_cc_free(cc);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
      cmocka_unit_test_setup_teardown(test_several, setup, teardown),
      cmocka_unit_test_setup_teardown(test_corrupt, setup, teardown),
      cmocka_unit_test_setup_teardown(test_folders, setup, teardown),
      cmocka_unit_test_setup_teardown(test_read_only, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
      cmocka_unit_test_setup_teardown(test_race, setup, teardown),
      cmocka_unit_test_setup_teardown(test_cap, setup, teardown),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
