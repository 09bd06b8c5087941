/* SPDX-License-Identifier: Apache-2.0
 * jit/cache.h -- the disk cache of compiled kernels.
 * File protocol: <dir>/<32 hex>.so with a trailer {magic, version, size, XXH3-128 of the object};
 * written under a temporary name and published by rename; owner and mode (0700 folder, no write for
 * others) are checked before anything is loaded; a bad entry is deleted; a read-only or missing home
 * latches the cache off for writing, silently. Least recently used files (mtime, touched at most
 * once a day) go when the folder exceeds its size, to 80 %, at most once an hour. Safe between
 * processes: a lock file per key (O_EXCL, stale after 60 s) lets one compile while others interpret. */
#ifndef RPI_CACHE_H
#define RPI_CACHE_H

#include "core/base/hash.h"
#include "core/base/status.h"
#include "jit/emit_c.h"

typedef struct rpi_cache rpi_cache;

/* `dir` is the cache_dir knob; never fails for reasons of the disk (then nothing is cached). */
rp_status rpi_cache_create(const char *dir, int64_t max_mb, rpi_cache **out);
void rpi_cache_free(rpi_cache *c);
/* Loads the object of `key`; its entry for this key, or NULL if there is none (or it was bad). */
const rpi_emit_entry *rpi_cache_load(rpi_cache *c, rpi_hash128 key);
/* A path in the cache (or in a private temporary folder if it is off) to compile to. */
rp_status rpi_cache_temp(rpi_cache *c, rpi_hash128 key, char *path, size_t size);
/* Publishes a finished temporary file, one object of n kernels, under all their keys (hard links) and
 * loads it. Its entry for key[0], or NULL on failure; the others are in the same table. */
const rpi_emit_entry *rpi_cache_publish(rpi_cache *c, const rpi_hash128 *key, int32_t n,
                                        const char *path);
/* Takes / gives back the key's lock; false: somebody else compiles it now. */
bool rpi_cache_lock(rpi_cache *c, rpi_hash128 key);
void rpi_cache_unlock(rpi_cache *c, rpi_hash128 key);
/* Keeps a text beside the entry (keep_source); `suffix` is ".c" or ".cu". */
void rpi_cache_keep(rpi_cache *c, rpi_hash128 key, const char *suffix, const char *text);
/* Entries that are bytes and not loaded here, with the same trailer and checks; `suffix` ".cubin". Reads into memory of
 * rpi_alloc; false: there is none. Writing fails in silence. */
bool rpi_cache_read(rpi_cache *c, rpi_hash128 key, const char *suffix, void **bytes, size_t *n);
void rpi_cache_write(rpi_cache *c, rpi_hash128 key, const char *suffix, const void *bytes,
                     size_t n);
const char *rpi_cache_dir(const rpi_cache *c); /* "" while off */

#endif
