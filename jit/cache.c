/* SPDX-License-Identifier: Apache-2.0
 * jit/cache.c -- the disk cache of compiled kernels.
 *
 * Lives here: the folder, the entries' trailer, locks, eviction.
 * Not here:   what the key is made of, when to compile (jit.c).
 * How:        an entry is the object with a trailer behind it (the loader of ELF files does not
 *             look there). It is read whole and its checksum compared before dlopen sees it; after
 *             dlopen it must have its key in its table. Kernels that were compiled
 *             together are one object under several names (hard links). Entries are written under a name of
 *             their own and renamed, never changed in place, so a process that has one mapped is
 *             never disturbed.
 * Invariant:  nothing is loaded that another user could have written: folder and file belong to the
 *             effective user, the folder is 0700, the file not writable by others. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "jit/cache.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/log.h"
#include "core/base/strbuf.h"

enum { DIR_SIZE = 3900, PATH_SIZE = 4096, VERSION = 2 };
enum { LOCK_STALE = 60, TOUCH_EVERY = 24 * 3600, TRIM_EVERY = 3600, TEMP_STALE = 3600 };
enum { MAX_OBJECT = 1 << 28, ROOM = 1 << 20 /* bytes that must be free for an object */ };

static const char magic[8] = "RPKERNEL";

typedef struct trailer {
  char magic[8];
  uint64_t version, size; /* size of the object before the trailer */
  rpi_hash128 sum;        /* of those bytes */
} trailer;

struct rpi_cache {
  char dir[DIR_SIZE];      /* "" while off */
  char temp_dir[DIR_SIZE]; /* private folder for objects that are not kept; "" until needed */
  int64_t max_bytes;
  _Atomic bool writable; /* read by the context, switched off by whoever compiles */
};

/* ---- the folder ------------------------------------------------------------------------------ */

/* mkdir -p; parents as the umask says, the last one 0700. */
static bool make_folder(const char *dir) {
  char path[DIR_SIZE];
  snprintf(path, sizeof path, "%s", dir);
  for (char *p = path + 1; *p; p++) {
    if (*p != '/') continue;
    *p = '\0';
    if (mkdir(path, 0777) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
      return false;
    *p = '/';
  }
  return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool ours(const struct stat *st) {
  return st->st_uid == geteuid() && (st->st_mode & 022) == 0;
}

static bool folder_ok(const char *dir) {
  struct stat st;
  return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && ours(&st) && (st.st_mode & 077) == 0;
}

static bool default_folder(char *out, size_t size) {
  const char *base = getenv("XDG_CACHE_HOME");
  if (base && base[0] == '/') return (size_t)snprintf(out, size, "%s/reprise", base) < size;
  base = getenv("HOME");
  return base && base[0] == '/' && (size_t)snprintf(out, size, "%s/.cache/reprise", base) < size;
}

rp_status rpi_cache_create(const char *dir, int64_t max_mb, rpi_cache **out) {
  *out = NULL;
  rpi_cache *c = rpi_alloc_zero(sizeof *c);
  if (!c) return rpi_status_nomem("the kernel cache");
  c->max_bytes = max_mb << 20;
  bool on = !(dir && strcmp(dir, "none") == 0);
  if (on && dir && *dir)
    on = (size_t)snprintf(c->dir, sizeof c->dir, "%s", dir) < sizeof c->dir;
  else if (on)
    on = default_folder(c->dir, sizeof c->dir);
  if (on) {
    make_folder(c->dir);
    on = folder_ok(c->dir);
    if (!on)
      rpi_log(RPI_LOG_INFO, "no kernel cache: %s is not a folder of mode 0700 of this user",
              c->dir);
  }
  if (!on) c->dir[0] = '\0';
  c->writable = on && faccessat(AT_FDCWD, c->dir, W_OK, AT_EACCESS) == 0;
  *out = c;
  return RP_OK;
}

void rpi_cache_free(rpi_cache *c) {
  if (!c) return;
  if (c->temp_dir[0]) rmdir(c->temp_dir);
  rpi_alloc_free(c);
}

const char *rpi_cache_dir(const rpi_cache *c) { return c->dir; }

static void entry_path(const rpi_cache *c, rpi_hash128 key, const char *suffix, char *path) {
  char hex[33];
  rpi_hash_hex(key, hex);
  snprintf(path, PATH_SIZE, "%s/%s%s", c->dir, hex, suffix);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* dlopen, and the object must know its key. Names of one file give one object: the loader sees that. */
static const rpi_emit_entry *open_object(const char *path, rpi_hash128 key) {
  char hex[33];
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!so) {
    rpi_log(RPI_LOG_INFO, "a kernel does not load: %s", dlerror());
    return NULL;
  }
  rpi_hash_hex(key, hex);
  const rpi_emit_entry *entry = rpi_emit_c_find(dlsym(so, "rpk_table"), hex);
  if (!entry) dlclose(so);
  return entry;
}

/* The object of an entry that is as it was written: size, checksum, owner. NULL: it is not. */
static unsigned char *verified(int fd, const struct stat *st, size_t *n) {
  trailer t;
  bool good = false;
  if (!S_ISREG(st->st_mode) || !ours(st)) return NULL;
  if (st->st_size <= (off_t)sizeof t || st->st_size > MAX_OBJECT) return NULL;
  const size_t size = (size_t)st->st_size - sizeof t;
  unsigned char *bytes = rpi_alloc(size + sizeof t);
  size_t have = 0;
  while (bytes && have < size + sizeof t) {
    const ssize_t got = read(fd, bytes + have, size + sizeof t - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    have += (size_t)got;
  }
  if (bytes && have == size + sizeof t) {
    memcpy(&t, bytes + size, sizeof t);
    good = memcmp(t.magic, magic, sizeof magic) == 0 && t.version == VERSION && t.size == size &&
           rpi_hash_equal(t.sum, rpi_hash_bytes(bytes, size));
  }
  *n = size;
  if (good) return bytes;
  rpi_alloc_free(bytes);
  return NULL;
}

/* The bytes of an entry, and its path; NULL: there is none. One that is bad goes. */
static unsigned char *read_entry(rpi_cache *c, rpi_hash128 key, const char *suffix, char *path,
                                 size_t *n) {
  struct stat st;
  if (!c->dir[0]) return NULL;
  entry_path(c, key, suffix, path);
  const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return NULL;
  unsigned char *bytes = fstat(fd, &st) == 0 ? verified(fd, &st, n) : NULL;
  if (bytes && c->writable && time(NULL) - st.st_mtime > TOUCH_EVERY) futimens(fd, NULL);
  close(fd);
  return bytes;
}

static void remove_bad(const rpi_cache *c, const char *path) {
  if (!c->writable || access(path, F_OK) != 0) return;
  rpi_log(RPI_LOG_INFO, "a bad entry of the kernel cache is removed: %s", path);
  unlink(path);
}

const rpi_emit_entry *rpi_cache_load(rpi_cache *c, rpi_hash128 key) {
  char path[PATH_SIZE] = "";
  size_t n;
  unsigned char *bytes = read_entry(c, key, ".so", path, &n);
  const rpi_emit_entry *entry = bytes ? open_object(path, key) : NULL;
  rpi_alloc_free(bytes);
  if (!entry && path[0]) remove_bad(c, path);
  return entry;
}

bool rpi_cache_read(rpi_cache *c, rpi_hash128 key, const char *suffix, void **bytes, size_t *n) {
  char path[PATH_SIZE] = "";
  *bytes = read_entry(c, key, suffix, path, n);
  if (!*bytes && path[0]) remove_bad(c, path);
  return *bytes != NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool private_folder(rpi_cache *c) {
  const char *base = getenv("TMPDIR");
  if (c->temp_dir[0]) return true;
  if (!base || base[0] != '/') base = "/tmp";
  if ((size_t)snprintf(c->temp_dir, sizeof c->temp_dir, "%s/reprise-XXXXXX", base) <
          sizeof c->temp_dir &&
      mkdtemp(c->temp_dir)) {
    return true;
  }
  c->temp_dir[0] = '\0';
  return false;
}

/* A full disk is found here, before a compiler runs into it: from now on nothing is kept. */
static void look_for_room(rpi_cache *c) {
  struct statvfs s;
  if (!c->writable || statvfs(c->dir, &s) != 0 || s.f_bavail * s.f_frsize >= ROOM) return;
  c->writable = false;
  rpi_log(RPI_LOG_INFO, "the disk of the kernel cache %s is full", c->dir);
}

rp_status rpi_cache_temp(rpi_cache *c, rpi_hash128 key, char *path, size_t size) {
  static _Atomic uint32_t number;
  char hex[33];
  rpi_hash_hex(key, hex);
  look_for_room(c);
  if (!c->writable && !private_folder(c)) {
    return rpi_status_fail(RP_ERR_IO, "no folder for temporary files: %s", strerror(errno));
  }
  const int n = snprintf(path, size, "%s/%s.%ld-%u.tmp", c->writable ? c->dir : c->temp_dir, hex,
                         (long)getpid(), atomic_fetch_add(&number, 1u));
  if (n < 0 || (size_t)n >= size)
    return rpi_status_fail(RP_ERR_IO, "the path of a temporary kernel is too long");
  return RP_OK;
}

/* Puts the trailer behind the finished object. */
static bool seal(const char *path) {
  trailer t = {.version = VERSION};
  struct stat st;
  bool done = false;
  const int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  if (fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size < MAX_OBJECT && fchmod(fd, 0700) == 0) {
    const size_t size = (size_t)st.st_size;
    unsigned char *bytes = rpi_alloc(size);
    if (bytes && pread(fd, bytes, size, 0) == (ssize_t)size) {
      memcpy(t.magic, magic, sizeof magic);
      t.size = size;
      t.sum = rpi_hash_bytes(bytes, size);
      done = pwrite(fd, &t, sizeof t, st.st_size) == (ssize_t)sizeof t;
    }
    rpi_alloc_free(bytes);
  }
  return close(fd) == 0 && done;
}

/* ---- eviction -------------------------------------------------------------------------------- */

typedef struct file {
  char name[64];
  int64_t size, used;
} file;

static int older(const void *a, const void *b) {
  const file *x = a, *y = b;
  return x->used < y->used ? -1 : x->used > y->used;
}

static bool ends_with(const char *s, const char *tail) {
  const size_t n = strlen(s), k = strlen(tail);
  return n >= k && strcmp(s + n - k, tail) == 0;
}

/* Once an hour at most, over all processes: a stamp file says when. */
static bool trim_due(int dir) {
  struct stat st;
  const time_t now = time(NULL);
  if (fstatat(dir, "trimmed", &st, AT_SYMLINK_NOFOLLOW) == 0) {
    if (now - st.st_mtime < TRIM_EVERY && now >= st.st_mtime) return false;
    return utimensat(dir, "trimmed", NULL, AT_SYMLINK_NOFOLLOW) == 0;
  }
  const int fd = openat(dir, "trimmed", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

/* The entries of the folder; what crashed processes left behind goes at once. */
static file *list_entries(DIR *d, int32_t *n, int64_t *total) {
  file *files = NULL;
  int32_t cap = 0;
  const time_t now = time(NULL);
  for (struct dirent *e = readdir(d); e; e = readdir(d)) {
    struct stat st;
    const size_t len = strlen(e->d_name);
    const bool temp = strstr(e->d_name, ".tmp") != NULL;
    const bool entry = ends_with(e->d_name, ".so") || ends_with(e->d_name, ".c") ||
                       ends_with(e->d_name, ".cubin") || ends_with(e->d_name, ".cu");
    if ((!temp && !entry) || len < 32 ||
        fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    if (temp) {
      if (now - st.st_mtime > TEMP_STALE) unlinkat(dirfd(d), e->d_name, 0);
      continue;
    }
    if (len >= sizeof files->name || !rpi_alloc_grow((void **)&files, &cap, *n + 1, sizeof *files))
      continue;
    memcpy(files[*n].name, e->d_name, len + 1);
    files[*n].size = st.st_size / (off_t)(st.st_nlink > 0 ? st.st_nlink : 1); /* its share */
    files[*n].used = st.st_mtime;
    *total += files[*n].size;
    (*n)++;
  }
  return files;
}

static void trim(rpi_cache *c) {
  int32_t n = 0;
  int64_t total = 0;
  DIR *d = opendir(c->dir);
  if (!d) return;
  if (trim_due(dirfd(d))) {
    file *files = list_entries(d, &n, &total);
    if (total > c->max_bytes) {
      qsort(files, (size_t)n, sizeof *files, older);
      for (int32_t i = 0; i < n && total > c->max_bytes / 5 * 4; i++) {
        if (unlinkat(dirfd(d), files[i].name, 0) == 0) total -= files[i].size;
      }
    }
    rpi_alloc_free(files);
  }
  closedir(d);
}

/* One more name for the file. Where links are not to be had, the entry is missing: it will be compiled
 * again by the next process. */
static void add_name(const rpi_cache *c, rpi_hash128 key, const char *path) {
  char target[PATH_SIZE];
  entry_path(c, key, ".so", target);
  if (link(path, target) == 0) return;
  if (errno == EEXIST && unlink(target) == 0 && link(path, target) == 0) return;
  rpi_log(RPI_LOG_INFO, "a kernel is not kept: %s: %s", target, strerror(errno));
}

const rpi_emit_entry *rpi_cache_publish(rpi_cache *c, const rpi_hash128 *key, int32_t n,
                                        const char *path) {
  char target[PATH_SIZE];
  const rpi_emit_entry *entry = NULL;
  if (c->writable && strncmp(path, c->dir, strlen(c->dir)) == 0) {
    entry_path(c, key[0], ".so", target);
    if (seal(path) && rename(path, target) == 0) {
      entry = open_object(target, key[0]);
      for (int32_t i = 1; entry && i < n; i++) add_name(c, key[i], target);
      trim(c);
      if (!entry) unlink(target);
      return entry;
    }
    c->writable = false; /* the disk is full or was remounted: from now on nothing is kept */
    rpi_log(RPI_LOG_INFO, "the kernel cache %s cannot be written any more: %s", c->dir,
            strerror(errno));
  }
  entry = open_object(path, key[0]);
  unlink(path);
  return entry;
}

bool rpi_cache_lock(rpi_cache *c, rpi_hash128 key) {
  char path[PATH_SIZE];
  struct stat st;
  if (!c->writable) return true;
  entry_path(c, key, ".lock", path);
  for (int32_t attempt = 0; attempt < 2; attempt++) {
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) {
      close(fd);
      return true;
    }
    if (errno != EEXIST)
      return true; /* no locks here: two may compile the same, which is harmless */
    if (lstat(path, &st) == 0 && time(NULL) - st.st_mtime < LOCK_STALE) return false;
    unlink(path);
  }
  return false;
}

void rpi_cache_unlock(rpi_cache *c, rpi_hash128 key) {
  char path[PATH_SIZE];
  if (!c->dir[0]) return;
  entry_path(c, key, ".lock", path);
  unlink(path);
}

/* A file of these bytes, and a trailer if it is to be `sealed`, under the entry's name. */
static void write_entry(rpi_cache *c, rpi_hash128 key, const char *suffix, const void *bytes,
                        size_t n, bool sealed) {
  char path[PATH_SIZE], temp[PATH_SIZE];
  if (!c->writable || rpi_cache_temp(c, key, temp, sizeof temp) != RP_OK || !c->writable) return;
  const int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return;
  const bool good = write(fd, bytes, n) == (ssize_t)n;
  entry_path(c, key, suffix, path);
  if (close(fd) != 0 || !good || (sealed && !seal(temp)) || rename(temp, path) != 0) unlink(temp);
}

void rpi_cache_keep(rpi_cache *c, rpi_hash128 key, const char *suffix, const char *text) {
  write_entry(c, key, suffix, text, strlen(text), false);
}

void rpi_cache_write(rpi_cache *c, rpi_hash128 key, const char *suffix, const void *bytes,
                     size_t n) {
  write_entry(c, key, suffix, bytes, n, true);
  trim(c);
}
