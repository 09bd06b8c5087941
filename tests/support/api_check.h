/* SPDX-License-Identifier: Apache-2.0
 * tests/support/api_check.h -- what the tests of the public interface share.
 * Lives here: checks of a status and its sentence, contexts that need no compiler, statistics by
 *             name, what explain says, C functions as ops, arrays of doubles. Include it first. */
#ifndef API_CHECK_H
#define API_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/include/reprise.h"

/* The call succeeds; its sentence is shown if not. */
#define OK(call) \
  do { \
    const rp_status ok_status = (call); \
    if (ok_status != RP_OK) \
      fail_msg("%s: %s, %s", #call, rp_status_name(ok_status), rp_last_error()); \
  } while (0)

/* The call fails with that status, and its sentence contains `text`. */
#define FAILS(want, text, call) \
  do { \
    const rp_status fails_status = (call); \
    if (fails_status != (want)) \
      fail_msg("%s: %s, not %s (%s)", #call, rp_status_name(fails_status), #want, \
               fails_status ? rp_last_error() : ""); \
    if (!strstr(rp_last_error(), (text))) \
      fail_msg("%s: the sentence \"%s\" lacks \"%s\"", #call, rp_last_error(), (text)); \
  } while (0)

/* A context that only interprets; `more` are further options. */
static inline rp_context *check_context(const char *more) {
  char config[8192] = "--tier 0 --threads 2 --cache-dir none --pin off ";
  rp_context *c = NULL;
  strncat(config, more, sizeof config - strlen(config) - 1);
  OK(rp_context_create(config, &c));
  return c;
}

/* The same as rank `rank`, if `more` speaks of ranks. */
static inline rp_context *check_context_of(const char *more, int32_t rank) {
  char config[8000];
  snprintf(config, sizeof config, strstr(more, "--ranks") ? "%s --rank %d" : "%s", more, rank);
  return check_context(config);
}

static inline int64_t check_stat(rp_context *c, const char *name) {
  int64_t v = -1;
  OK(rp_stat(c, name, &v));
  return v;
}

/* What rp_explain says; the caller frees it. */
static inline char *check_explained(rp_context *c) {
  size_t n = 0;
  OK(rp_explain(c, NULL, 0, &n));
  char *text = malloc(n + 1);
  assert_non_null(text);
  OK(rp_explain(c, text, n + 1, &n));
  return text;
}

/* What rp_explain says has one text, and lacks another (NULL: whatever). */
static inline void check_explains(rp_context *c, const char *has, const char *lacks) {
  char *text = check_explained(c);
  if (has && !strstr(text, has)) fail_msg("explain lacks \"%s\": %s", has, text);
  if (lacks && strstr(text, lacks)) fail_msg("explain has \"%s\": %s", lacks, text);
  free(text);
}

/* The op that is described, in the library "lib". */
static inline rp_op *check_opaque(rp_context *c, const rp_opaque_desc *d) {
  rp_library *lib = NULL;
  rp_op *op = NULL;
  OK(rp_library_create(c, "lib", &lib));
  OK(rp_op_create_opaque(lib, d, &op));
  return op;
}

/* An array of doubles with the given values; NULL: zeros. */
static inline rp_store *check_store(rp_context *c, int32_t ndim, const int64_t *shape,
                                    const double *data) {
  rp_store *s = NULL;
  OK(rp_store_create(c, RP_F64, ndim, shape, &s));
  if (data) OK(rp_store_write(s, data, (size_t)rp_store_size(s) * sizeof *data));
  return s;
}

static inline rp_store *check_vector(rp_context *c, int64_t n, const double *data) {
  return check_store(c, 1, &n, data);
}

static inline double check_scalar(rp_store *s) {
  double v = 0;
  OK(rp_store_read(s, &v, sizeof v));
  return v;
}

/* The store holds exactly these doubles. */
static inline void check_values(rp_store *s, const double *want) {
  const size_t n = (size_t)rp_store_size(s);
  double *got = malloc((n + 1) * sizeof *got);
  assert_non_null(got);
  OK(rp_store_read(s, got, n * sizeof *got));
  for (size_t i = 0; i < n; i++)
    if (!(got[i] == want[i])) fail_msg("element %zu is %.17g, not %.17g", i, got[i], want[i]);
  free(got);
}

#define STORES(...) ((rp_store *const[]){__VA_ARGS__})
#define EVAL(ctx, params, body, ...) \
  rp_eval((ctx), (params), (body), STORES(__VA_ARGS__), \
          (int32_t)(sizeof STORES(__VA_ARGS__) / sizeof(rp_store *)))

#endif
