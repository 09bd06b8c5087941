/* SPDX-License-Identifier: Apache-2.0
 * core/exec/checkpoint_disk.h -- the files of a checkpoint: written so that an interruption at any moment leaves the
 * old checkpoint or the new one.
 *
 * Lives here: every system call that touches them, and the sentence of each that fails.
 * Not here:   what the files say (checkpoint_file.h), which rank calls what (trace/checkpoint.h).
 * How:        parts have names of their own attempt and are on disk (fsync) before the manifest is written beside
 *             the old one and renamed over it; until then nothing of the old checkpoint is touched. Files of the
 *             folder that are not named as ours are never touched. Errors are RP_ERR_IO. */
#ifndef RPI_CHECKPOINT_DISK_H
#define RPI_CHECKPOINT_DISK_H

#include "core/base/status.h"

typedef struct rpi_checkpoint_disk {
  const char *path;
  int fd; /* of the folder; -1: closed */
} rpi_checkpoint_disk;

typedef struct rpi_checkpoint_part {
  int fd; /* -1: none */
  char name[48];
} rpi_checkpoint_part;

/* Opens the folder; with `make` it is made if only itself is missing. `path` stays in place. RP_ERR_ARGUMENT: there is
 * none. */
rp_status rpi_checkpoint_disk_open(const char *path, bool make, rpi_checkpoint_disk *out);
void rpi_checkpoint_disk_close(rpi_checkpoint_disk *d);
/* Until the folder is closed no other process writes a checkpoint there; where the file system has no such locks, this
 * is not seen to. */
rp_status rpi_checkpoint_disk_lock(const rpi_checkpoint_disk *d);
/* The manifest, for rpi_alloc_free; *bytes NULL and RP_OK: there is none. */
rp_status rpi_checkpoint_disk_load(const rpi_checkpoint_disk *d, void **bytes, size_t *size);
/* Removes what interrupted attempts left: all parts but those of the attempt `keep`. */
void rpi_checkpoint_disk_clean(const rpi_checkpoint_disk *d, uint64_t keep);
/* A number that no other attempt has; never 0. */
uint64_t rpi_checkpoint_disk_attempt(void);

/* Makes the file of a part, which is not there. */
rp_status rpi_checkpoint_disk_create(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part,
                                     rpi_checkpoint_part *out);
/* Is it there? */
bool rpi_checkpoint_disk_sees(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part);
/* Opens it for reading; it must have so many bytes. */
rp_status rpi_checkpoint_disk_find(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part,
                                   int64_t bytes, rpi_checkpoint_part *out);
rp_status rpi_checkpoint_disk_write(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p,
                                    const void *data, size_t bytes, int64_t at);
rp_status rpi_checkpoint_disk_read(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p,
                                   void *data, size_t bytes, int64_t at);
/* The bytes lo..hi of the part begin their way to the disk, and those up to lo end it: so that the last sync does not
 * take longer than ranks wait for each other. */
rp_status rpi_checkpoint_disk_flush(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p,
                                    int64_t lo, int64_t hi);
/* All of it is on the disk. */
rp_status rpi_checkpoint_disk_sync(const rpi_checkpoint_disk *d, const rpi_checkpoint_part *p);
void rpi_checkpoint_disk_end(rpi_checkpoint_part *p);
void rpi_checkpoint_disk_remove(const rpi_checkpoint_disk *d, uint64_t attempt, int32_t part);
/* The manifest takes the place of the old one. *published: it has, even if not known to be on the disk (RP_ERR_IO). */
rp_status rpi_checkpoint_disk_publish(const rpi_checkpoint_disk *d, const void *bytes, size_t size,
                                      bool *published);

/* Tests: called before each system call with its name and the file's; an errno makes it fail without being made, 0 lets
 * it be. Of a write or a read, *bytes may be made smaller. NULL: off. Any thread. */
typedef int rpi_checkpoint_fault(const char *call, const char *file, size_t *bytes);
extern rpi_checkpoint_fault *rpi_checkpoint_disk_fault;

#endif
