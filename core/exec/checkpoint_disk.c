/* SPDX-License-Identifier: Apache-2.0
 * core/exec/checkpoint_disk.c -- see checkpoint_disk.h. */
#define _GNU_SOURCE
#include "core/exec/checkpoint_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/clock.h"
#include "core/base/hash.h"

static const char manifest_name[] = "manifest", fresh_name[] = "manifest.new";
enum { MANIFEST_MOST = 1 << 26, ATTEMPT_DIGITS = 16 };

rpi_checkpoint_fault *rpi_checkpoint_disk_fault;

/* Does a test want this call to fail? Sets errno. */
static bool fails(const char *call, const char *file, size_t *bytes) {
  const int e = rpi_checkpoint_disk_fault ? rpi_checkpoint_disk_fault(call, file, bytes) : 0;
  if (e) errno = e;
  return e != 0;
}

static rp_status cannot(const char *what, const rpi_checkpoint_disk *d, const char *file) {
  return rpi_status_fail(RP_ERR_IO, "cannot %s %s%s%s: %s", what, d->path, file ? "/" : "",
                         file ? file : "", strerror(errno));
}

static int open_file(const rpi_checkpoint_disk *d, const char *name, int flags) {
  if (fails("open", name, NULL)) return -1;
  return openat(d->fd, name, flags | O_CLOEXEC | O_NOFOLLOW, 0666);
}

static int sync_file(int fd, const char *name) {
  return fails("sync", name, NULL) ? -1 : fsync(fd);
}

/* Some file systems have no call for a folder. */
static int sync_folder(int fd, const char *name) {
  const int result = sync_file(fd, name);
  return result != 0 && (errno == EINVAL || errno == ENOTSUP) ? 0 : result;
}

/* ---- the folder ---- */

/* A new folder's name is on the disk, too. */
static rp_status sync_parent(const rpi_checkpoint_disk *d) {
  const int parent = open_file(d, "..", O_RDONLY | O_DIRECTORY);
  if (parent < 0) return errno == EACCES ? RP_OK : cannot("open", d, "..");
  const rp_status st = sync_folder(parent, "..") == 0 ? RP_OK : cannot("sync", d, "..");
  close(parent);
  return st;
}

rp_status rpi_checkpoint_disk_open(const char *path, bool make, rpi_checkpoint_disk *out) {
  *out = (rpi_checkpoint_disk){.path = path, .fd = -1};
  const bool made = make && !fails("mkdir", path, NULL) && mkdir(path, 0777) == 0;
  const bool there = !make || made || errno == EEXIST;
  if (there && !fails("open", path, NULL)) out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (out->fd < 0) {
    const bool none = errno == ENOENT;
    const rp_status st = cannot(there ? "open" : "make", out, NULL);
    return none ? RP_ERR_ARGUMENT : st;
  }
  return made ? sync_parent(out) : RP_OK;
}

void rpi_checkpoint_disk_close(rpi_checkpoint_disk *d) {
  if (d->fd >= 0) close(d->fd);
  d->fd = -1;
}

rp_status rpi_checkpoint_disk_lock(const rpi_checkpoint_disk *d) {
  if (flock(d->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return RP_OK;
  return rpi_status_fail(RP_ERR_IO, "another context is writing a checkpoint in %s", d->path);
}

/* The attempt in the name of a part; 0: it is no part's. */
static uint64_t attempt_of(const char *name) {
  static const char start[] = "part-", digits[] = "0123456789abcdef";
  uint64_t attempt = 0;
  if (strncmp(name, start, sizeof start - 1) != 0) return 0;
  name += sizeof start - 1;
  if (strspn(name, digits) != ATTEMPT_DIGITS || name[ATTEMPT_DIGITS] != '-') return 0;
  for (int32_t i = 0; i < ATTEMPT_DIGITS; i++)
    attempt = attempt << 4 | (uint64_t)(strchr(digits, name[i]) - digits);
  name += ATTEMPT_DIGITS + 1;
  return *name && strspn(name, "0123456789") == strlen(name) ? attempt : 0;
}

static void remove_file(const rpi_checkpoint_disk *d, const char *name) {
  if (!fails("unlink", name, NULL)) unlinkat(d->fd, name, 0);
}

void rpi_checkpoint_disk_clean(const rpi_checkpoint_disk *d, uint64_t keep) {
  const int fd = open_file(d, ".", O_RDONLY | O_DIRECTORY);
  DIR *list = fd >= 0 ? fdopendir(fd) : NULL;
  if (!list) {
    if (fd >= 0) close(fd);
    return;
  }
  for (struct dirent *e = readdir(list); e; e = readdir(list)) {
    const uint64_t attempt = attempt_of(e->d_name);
    if (attempt != 0 && attempt != keep) remove_file(d, e->d_name);
  }
  closedir(list);
}

uint64_t rpi_checkpoint_disk_attempt(void) {
  uint64_t r = 0;
  if (getrandom(&r, sizeof r, GRND_NONBLOCK) == (ssize_t)sizeof r && r != 0) return r;
  const int64_t unlike[] = {rpi_clock_ns(), (int64_t)getpid(), (int64_t)(intptr_t)&r};
  return rpi_hash_bytes64(unlike, sizeof unlike) | 1;
}

/* ---- files ---- */

static rp_status write_all(const rpi_checkpoint_disk *d, int fd, const char *name, const void *data,
                           size_t bytes, int64_t at) {
  const char *from = data;
  while (bytes > 0) {
    size_t some = bytes;
    const ssize_t n = fails("write", name, &some) ? -1 : pwrite(fd, from, some, at);
    if (n < 0 && errno == EINTR) continue;
    if (n == 0) errno = ENOSPC;
    if (n <= 0) return cannot("write", d, name);
    from += n;
    at += n;
    bytes -= (size_t)n;
  }
  return RP_OK;
}

static rp_status read_all(const rpi_checkpoint_disk *d, int fd, const char *name, void *data,
                          size_t bytes, int64_t at) {
  char *to = data;
  while (bytes > 0) {
    size_t some = bytes;
    const ssize_t n = fails("read", name, &some) ? -1 : pread(fd, to, some, at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot("read", d, name);
    if (n == 0) return rpi_status_fail(RP_ERR_IO, "%s/%s is cut short", d->path, name);
    to += n;
    at += n;
    bytes -= (size_t)n;
  }
  return RP_OK;
}

/* The size of a regular file; -1 with errno. */
static int64_t size_of(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return -1;
  if (S_ISREG(st.st_mode)) return st.st_size;
  errno = EINVAL;
  return -1;
}

rp_status rpi_checkpoint_disk_load(const rpi_checkpoint_disk *d, void **bytes, size_t *size) {
  *bytes = NULL;
  *size = 0;
  const int fd = open_file(d, manifest_name, O_RDONLY | O_NONBLOCK);
  if (fd < 0) return errno == ENOENT ? RP_OK : cannot("open", d, manifest_name);
  const int64_t n = size_of(fd);
  rp_status st = RP_OK;
  if (n < 0)
    st = cannot("read", d, manifest_name);
  else if (n > MANIFEST_MOST)
    st = rpi_status_fail(RP_ERR_IO, "%s/%s is no manifest: it has %lld bytes", d->path,
                         manifest_name, (long long)n);
  else if (!(*bytes = rpi_alloc((size_t)n)))
    st = rpi_status_nomem("the manifest of a checkpoint");
  if (st == RP_OK) st = read_all(d, fd, manifest_name, *bytes, (size_t)n, 0);
  close(fd);
  if (st == RP_OK) {
    *size = (size_t)n;
  } else {
    rpi_alloc_free(*bytes);
    *bytes = NULL;
  }
  return st;
}

/* ---- parts ---- */

static void name_part(uint64_t attempt, int32_t part, rpi_checkpoint_part *out) {
  out->fd = -1;
  snprintf(out->name, sizeof out->name, "part-%016llx-%d", (unsigned long long)attempt, part);
}

rp_status rpi_checkpoint_disk_create(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part,
                                     rpi_checkpoint_part *out) {
  name_part(attempt, part, out);
  out->fd = open_file(d, out->name, O_WRONLY | O_CREAT | O_EXCL);
  return out->fd < 0 ? cannot("create", d, out->name) : RP_OK;
}

bool rpi_checkpoint_disk_sees(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part) {
  rpi_checkpoint_part p;
  name_part(attempt, part, &p);
  return !fails("see", p.name, NULL) && faccessat(d->fd, p.name, F_OK, 0) == 0;
}

rp_status rpi_checkpoint_disk_find(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part,
                                   int64_t bytes, rpi_checkpoint_part *out) {
  name_part(attempt, part, out);
  out->fd = open_file(d, out->name, O_RDONLY | O_NONBLOCK);
  if (out->fd < 0) return cannot("open", d, out->name);
  const int64_t n = size_of(out->fd);
  if (n == bytes) return RP_OK;
  const rp_status st = n < 0 ? cannot("read", d, out->name)
                             : rpi_status_fail(RP_ERR_IO, "%s/%s has %lld bytes, not %lld", d->path,
                                               out->name, (long long)n, (long long)bytes);
  rpi_checkpoint_disk_end(out);
  return st;
}

rp_status rpi_checkpoint_disk_write(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p,
                                    const void *data, size_t bytes, int64_t at) {
  return write_all(d, p->fd, p->name, data, bytes, at);
}

rp_status rpi_checkpoint_disk_read(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p,
                                   void *data, size_t bytes, int64_t at) {
  return read_all(d, p->fd, p->name, data, bytes, at);
}

/* The kernel tells an error of writing once for each opening of a file, to whoever asks first: what is an error here
 * will not be one of fsync. Only that there is no such call is none. */
rp_status rpi_checkpoint_disk_flush(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p,
                                    int64_t lo, int64_t hi) {
  const unsigned int wait =
      SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  if (fails("flush", p->name, NULL)) return cannot("write", d, p->name);
  if (hi > lo && sync_file_range(p->fd, lo, hi - lo, SYNC_FILE_RANGE_WRITE) != 0 &&
      errno != ESPIPE && errno != EINVAL && errno != ENOSYS)
    return cannot("write", d, p->name);
  if (lo > 0 && sync_file_range(p->fd, 0, lo, wait) != 0 && errno != ESPIPE && errno != EINVAL &&
      errno != ENOSYS)
    return cannot("write", d, p->name);
  return RP_OK;
}

rp_status rpi_checkpoint_disk_sync(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p) {
  return sync_file(p->fd, p->name) == 0 ? RP_OK : cannot("sync", d, p->name);
}

void rpi_checkpoint_disk_end(rpi_checkpoint_part *p) {
  if (p->fd >= 0) close(p->fd);
  p->fd = -1;
}

void rpi_checkpoint_disk_remove(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part) {
  rpi_checkpoint_part p;
  name_part(attempt, part, &p);
  remove_file(d, p.name);
}

/* ---- publishing ---- */

static rp_status write_fresh(const rpi_checkpoint_disk *d, const void *bytes, size_t size) {
  const int fd = open_file(d, fresh_name, O_WRONLY | O_CREAT | O_TRUNC);
  if (fd < 0) return cannot("create", d, fresh_name);
  rp_status st = write_all(d, fd, fresh_name, bytes, size, 0);
  if (st == RP_OK && sync_file(fd, fresh_name) != 0) st = cannot("sync", d, fresh_name);
  close(fd);
  return st;
}

/* The folder's names are on the disk: those of the parts before the manifest's changes, and then that. */
rp_status rpi_checkpoint_disk_publish(const rpi_checkpoint_disk *d, const void *bytes, size_t size,
                                      bool *published) {
  *published = false;
  rp_status st = write_fresh(d, bytes, size);
  if (st == RP_OK && sync_folder(d->fd, ".") != 0) st = cannot("sync", d, NULL);
  if (st == RP_OK) {
    *published = !fails("rename", manifest_name, NULL) &&
                 renameat(d->fd, fresh_name, d->fd, manifest_name) == 0;
    if (!*published) st = cannot("rename to", d, manifest_name);
  }
  if (!*published) remove_file(d, fresh_name);
  if (*published && sync_folder(d->fd, ".") != 0) st = cannot("sync", d, NULL);
  return st;
}
