/* SPDX-License-Identifier: Apache-2.0
 * core/model/store_pack.c -- copies between a dense array and the elements of a box that lie anywhere in another one.
 * Lives here: rpi_store_pack and its like (declared in store.h). Not here: whose memory that is, and copies of whole arrays
 *             (store.c).
 * How: axis by axis; the innermost one by memcpy where its elements are consecutive. Either all elements of a box are
 *      walked over and those outside of a range left out, or n of them from any on, which is what parts of a large box
 *      are asked for by. */
#include "core/model/store.h"

#include <string.h>

typedef struct copy {
  char *strided;
  const rpi_geom *g;
  int32_t elem;
  char *host;
  bool pack;
  int64_t lo, hi; /* elements outside are left as they are */
} copy;

/* n elements from `at` on, `step` apart. */
static void copy_run(copy *c, int64_t at, int64_t n, int64_t step) {
  char *s = c->strided + at * c->elem;
  const int64_t bytes = step * c->elem;
  for (int64_t i = 0; i < n; i++) {
    char *strided = s + i * bytes, *host = c->host + i * c->elem;
    if (at + i * step >= c->lo && at + i * step < c->hi)
      memcpy(c->pack ? host : strided, c->pack ? strided : host, (size_t)c->elem);
  }
  c->host += n * c->elem;
}

static void copy_dense(copy *c, int64_t at, int64_t n) {
  const int64_t from = at > c->lo ? at : c->lo, to = at + n < c->hi ? at + n : c->hi;
  char *s = c->strided + from * c->elem, *h = c->host + (from - at) * c->elem;
  if (from < to) memcpy(c->pack ? h : s, c->pack ? s : h, (size_t)((to - from) * c->elem));
  c->host += n * c->elem;
}

static void copy_axis(copy *c, int32_t axis, int64_t at) {
  const rpi_geom *g = c->g;
  const int64_t n = axis < g->ndim ? g->shape[axis] : 1,
                step = axis < g->ndim ? g->stride[axis] : 1;
  if (axis < g->ndim - 1)
    for (int64_t i = 0; i < n; i++) copy_axis(c, axis + 1, at + i * step);
  else if (step == 1 || n == 1)
    copy_dense(c, at, n);
  else
    copy_run(c, at, n, step);
}

/* Of a whole dense array one run. */
static void copy_all(copy *c) {
  const int64_t n = rpi_geom_size(c->g);
  if (n == 0) return;
  if (rpi_geom_is_dense(c->g))
    copy_dense(c, c->g->offset, n);
  else
    copy_axis(c, 0, c->g->offset);
}

void rpi_store_pack(const void *data, const rpi_geom *geom, int32_t elem, void *host, int64_t lo,
                    int64_t hi) {
  copy c = {.strided = (char *)data,
            .g = geom,
            .elem = elem,
            .host = host,
            .pack = true,
            .lo = lo,
            .hi = hi};
  copy_all(&c);
}

void rpi_store_unpack(void *data, const rpi_geom *geom, int32_t elem, const void *host, int64_t lo,
                      int64_t hi) {
  copy c = {.strided = data, .g = geom, .elem = elem, .host = (char *)host, .lo = lo, .hi = hi};
  copy_all(&c);
}

/* n elements, `step` elements apart in s, to or from host; host NULL: zeros to s. */
static void copy_some(char *s, int64_t step, int64_t n, int32_t elem, char *host, bool pack) {
  if (step == 1 || n == 1) {
    const size_t bytes = (size_t)(n * elem);
    if (!host)
      memset(s, 0, bytes);
    else
      memcpy(pack ? host : s, pack ? s : host, bytes);
    return;
  }
  for (int64_t i = 0; i < n; i++, s += step * elem) {
    if (!host)
      memset(s, 0, (size_t)elem);
    else
      memcpy(pack ? host + i * elem : s, pack ? s : host + i * elem, (size_t)elem);
  }
}

/* n > 0 elements from the from-th in C order on, run by run of the innermost axis. */
static void copy_part(char *strided, const rpi_geom *geom, int32_t elem, int64_t from, int64_t n,
                      char *host, bool pack) {
  rpi_geom g = *geom;
  rpi_geom_collapse(&g, 1);
  const int32_t last = g.ndim - 1;
  for (int64_t run; n > 0; n -= run, from += run) {
    int64_t at = g.offset, rest = from;
    for (int32_t d = last; d >= 0; d--) {
      at += rest % g.shape[d] * g.stride[d];
      rest /= g.shape[d];
    }
    run = g.shape[last] - from % g.shape[last];
    if (run > n) run = n;
    copy_some(strided + at * elem, g.stride[last], run, elem, host, pack);
    if (host) host += run * elem;
  }
}

void rpi_store_pack_part(const void *data, const rpi_geom *geom, int32_t elem, int64_t from,
                         int64_t n, void *host) {
  copy_part((char *)data, geom, elem, from, n, host, true);
}

void rpi_store_unpack_part(void *data, const rpi_geom *geom, int32_t elem, int64_t from, int64_t n,
                           const void *host) {
  copy_part(data, geom, elem, from, n, (char *)host, false);
}
