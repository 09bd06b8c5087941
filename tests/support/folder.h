/* SPDX-License-Identifier: Apache-2.0
 * tests/support/folder.h -- a folder of a test's own: made, listed, and removed with the files in it. */
#ifndef FOLDER_H
#define FOLDER_H

#include "tests/support/api_check.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_PATH = 400 };

typedef struct folder_name {
  char path[FOLDER_PATH];
} folder_name;

static inline folder_name folder_make(void) {
  folder_name f;
  const char *base = getenv("TMPDIR");
  snprintf(f.path, sizeof f.path, "%s/reprise-test-XXXXXX", base && *base == '/' ? base : "/tmp");
  assert_non_null(mkdtemp(f.path));
  return f;
}

/* The path of a file in it. */
static inline folder_name folder_file(const char *folder, const char *name) {
  folder_name f;
  assert_true(snprintf(f.path, sizeof f.path, "%s/%s", folder, name) < (int)sizeof f.path);
  return f;
}

/* Calls `each` (may be NULL) for every file whose name begins with `start`; returns how many there are. */
static inline int folder_each(const char *folder, const char *start,
                              void (*each)(const char *path)) {
  DIR *d = opendir(folder);
  int n = 0;
  if (!d) return 0;
  for (struct dirent *e = readdir(d); e; e = readdir(d)) {
    if (e->d_name[0] == '.' || strncmp(e->d_name, start, strlen(start)) != 0) continue;
    n++;
    if (each) each(folder_file(folder, e->d_name).path);
  }
  closedir(d);
  return n;
}

static inline void folder_unlink(const char *path) { unlink(path); }

static inline void folder_empty(const char *folder) { folder_each(folder, "", folder_unlink); }

static inline void folder_remove(const char *folder) {
  folder_empty(folder);
  rmdir(folder);
}

/* The bytes of a file, for free(). */
static inline char *folder_load(const char *path, size_t *size) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  fseek(f, 0, SEEK_END);
  *size = (size_t)ftell(f);
  rewind(f);
  char *bytes = malloc(*size + 1);
  assert_non_null(bytes);
  assert_int_equal(fread(bytes, 1, *size, f), *size);
  fclose(f);
  return bytes;
}

static inline void folder_save(const char *path, const void *bytes, size_t size) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, size, f), size);
  fclose(f);
}

#endif
