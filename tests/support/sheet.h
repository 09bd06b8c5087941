/* SPDX-License-Identifier: Apache-2.0
 * tests/support/sheet.h -- element-wise rules, checked in every way a program can run.
 *
 * Lives here: the ways (tier 0 and 1, fused and not), and a sheet: columns of input, expressions over
 *             them in the body language, and for each the column that plain C computed. All
 *             expressions become tasks over one space, so that a fused way makes one kernel.
 * Compares:   bits, but any NaN equals any other (SEMANTICS.md 1).
 * Include api_check.h's rules hold: include this first. */
#ifndef SHEET_H
#define SHEET_H

#include "tests/support/api_check.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* ---- ways ------------------------------------------------------------------------------------ */

typedef struct way {
  const char *name, *config;
  bool joined; /* not fused, and all expressions in one body: a kernel's price is paid once */
  rp_context *ctx;
} way;

/* The last two need AVX-512; class E ops give the same bits there. */
static way ways[] = {
    {.name = "tier 0", .config = "--tier 0"},
    {.name = "tier 0, not fused", .config = "--tier 0 --fusion off"},
    {.name = "tier 1", .config = "--tier 1"},
    {.name = "tier 1, one body", .config = "--tier 1 --fusion off", .joined = true},
    {.name = "tier 0, avx512", .config = "--tier 0 --vector avx512"},
    {.name = "tier 1, avx512", .config = "--tier 1 --vector avx512"}};
static int n_ways;

static char ways_folder[64]; /* of compiled kernels, shared by all ways */

/* A context beside the ways, with their cache; two threads unless `more` says otherwise. */
static inline rp_context *ways_context(const char *more) {
  char config[256];
  rp_context *ctx = NULL;
  snprintf(config, sizeof config, "--threads 2 --pin off --vector avx2 --cache-dir %s %s",
           ways_folder, more);
  OK(rp_context_create(config, &ctx));
  return ctx;
}

static int ways_open(void **state) {
  (void)state;
  strcpy(ways_folder, "/tmp/reprise-sheet-XXXXXX");
  if (!mkdtemp(ways_folder)) return -1;
  __builtin_cpu_init();
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  n_ways = (int)(sizeof ways / sizeof ways[0]) - (wide ? 0 : 2);
  for (int w = 0; w < n_ways; w++) ways[w].ctx = ways_context(ways[w].config);
  return 0;
}

static int ways_close(void **state) {
  (void)state;
  char command[128];
  int64_t compiled = 0, v;
  for (int w = 0; w < n_ways; w++) {
    if (rp_stat(ways[w].ctx, "compiles", &v) == RP_OK) compiled += v;
    if (rp_context_destroy(ways[w].ctx) != RP_OK) return -1;
  }
  if (compiled == 0) print_message("no compiler: tier 1 was not tested\n");
  snprintf(command, sizeof command, "rm -rf %s", ways_folder);
  return system(command);
}

/* ---- elements ---------------------------------------------------------------------------------- */

static inline bool same_element(rp_dtype t, const void *got, const void *want) {
  if (t == RP_F64) {
    double g, w;
    memcpy(&g, got, sizeof g);
    memcpy(&w, want, sizeof w);
    if (isnan(w)) return isnan(g);
  } else if (t == RP_F32) {
    float g, w;
    memcpy(&g, got, sizeof g);
    memcpy(&w, want, sizeof w);
    if (isnan(w)) return isnan(g);
  }
  return memcmp(got, want, rp_dtype_size(t)) == 0;
}

static inline void print_element(rp_dtype t, const void *p, char out[64]) {
  uint64_t bits = 0;
  float f;
  double d;
  memcpy(&bits, p, rp_dtype_size(t));
  memcpy(&f, p, sizeof f);
  if (t == RP_F64) memcpy(&d, p, sizeof d);
  if (t == RP_F32) d = (double)f;
  if (t == RP_F64 || t == RP_F32)
    snprintf(out, 64, "%.17g (0x%llx)", d, (unsigned long long)bits);
  else
    snprintf(out, 64, "%s 0x%llx", rp_dtype_name(t), (unsigned long long)bits);
}

/* The store holds these elements. */
static inline void check_elements(const char *where, const char *what, rp_store *s,
                                  const void *want) {
  const rp_dtype t = rp_store_dtype(s);
  const size_t size = rp_dtype_size(t), n = (size_t)rp_store_size(s);
  unsigned char *got = malloc(n * size + 1);
  assert_non_null(got);
  OK(rp_store_read(s, got, n * size));
  for (size_t i = 0; i < n; i++) {
    const unsigned char *w = (const unsigned char *)want + i * size;
    char g[64], h[64];
    if (same_element(t, got + i * size, w)) continue;
    print_element(t, got + i * size, g);
    print_element(t, w, h);
    fail_msg("%s: %s: element %zu is %s, not %s", where, what, i, g, h);
  }
  free(got);
}

/* ---- sheets --------------------------------------------------------------------------------------- */

enum { SHEET_COLUMNS = 64, SHEET_TEXT = 96 };

typedef struct column {
  char name[16];
  rp_dtype dtype;
  void *data;            /* of an output: what plain C computed; NULL: a temporary */
  char text[SHEET_TEXT]; /* of an output */
} column;

typedef struct sheet {
  int64_t n;
  int32_t n_in, n_out;
  bool chained; /* some expression reads an output before it */
  column in[SHEET_COLUMNS], out[SHEET_COLUMNS];
} sheet;

static inline void *sheet_copy(const sheet *s, rp_dtype t, const void *data) {
  const size_t bytes = rp_dtype_size(t) * (size_t)s->n;
  void *p = malloc(bytes + 1);
  assert_non_null(p);
  memcpy(p, data, bytes);
  return p;
}

static inline void sheet_in(sheet *s, const char *name, rp_dtype t, const void *data) {
  assert_true(s->n_in < SHEET_COLUMNS);
  column *c = &s->in[s->n_in++];
  *c = (column){.dtype = t, .data = sheet_copy(s, t, data)};
  snprintf(c->name, sizeof c->name, "%s", name);
}

static inline bool sheet_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Does the text mention the name as a word? */
static inline bool sheet_mentions(const char *text, const char *name) {
  const size_t n = strlen(name);
  for (const char *p = text; (p = strstr(p, name)); p += n)
    if ((p == text || !sheet_letter(p[-1])) && !sheet_letter(p[n])) return true;
  return false;
}

/* A task "name = text"; `text` may mention inputs and outputs before it. `want` NULL: a temporary,
 * released at once, that only later expressions see. */
static inline void sheet_out(sheet *s, const char *name, rp_dtype t, const void *want,
                             const char *text) {
  assert_true(s->n_out < SHEET_COLUMNS && strlen(text) < SHEET_TEXT);
  for (int32_t i = 0; i < s->n_out; i++)
    s->chained = s->chained || sheet_mentions(text, s->out[i].name);
  column *c = &s->out[s->n_out++];
  *c = (column){.dtype = t, .data = want ? sheet_copy(s, t, want) : NULL};
  snprintf(c->name, sizeof c->name, "%s", name);
  snprintf(c->text, sizeof c->text, "%s", text);
}

static inline void sheet_run_joined(const sheet *s, rp_context *ctx, rp_store **in,
                                    rp_store **out) {
  char params[SHEET_COLUMNS * 20] = "", body[SHEET_COLUMNS * (SHEET_TEXT + 20)] = "";
  rp_store *store[2 * SHEET_COLUMNS];
  int32_t n = 0;
  for (int32_t i = 0; i < s->n_out; i++) {
    const column *c = &s->out[i];
    snprintf(params + strlen(params), sizeof params - strlen(params), "%s%s", i ? ", " : "",
             c->name);
    snprintf(body + strlen(body), sizeof body - strlen(body), "%s%s = %s", i ? "; " : "", c->name,
             c->text);
    store[n++] = out[i];
  }
  for (int32_t i = 0; i < s->n_in; i++) {
    if (!sheet_mentions(body, s->in[i].name)) continue;
    snprintf(params + strlen(params), sizeof params - strlen(params), ", %s", s->in[i].name);
    store[n++] = in[i];
  }
  OK(rp_eval(ctx, params, body, store, n));
}

static inline void sheet_run_task(const sheet *s, rp_context *ctx, int32_t i, rp_store **in,
                                  rp_store **out) {
  const column *c = &s->out[i];
  char params[SHEET_COLUMNS * 20], body[SHEET_TEXT + 20];
  rp_store *store[2 * SHEET_COLUMNS] = {out[i]};
  int32_t n = 1;
  snprintf(params, sizeof params, "%s", c->name);
  snprintf(body, sizeof body, "%s = %s", c->name, c->text);
  for (int32_t k = 0; k < s->n_in + i; k++) {
    const column *from = k < s->n_in ? &s->in[k] : &s->out[k - s->n_in];
    if (!sheet_mentions(c->text, from->name)) continue;
    snprintf(params + strlen(params), sizeof params - strlen(params), ", %s", from->name);
    store[n++] = k < s->n_in ? in[k] : out[k - s->n_in];
  }
  OK(rp_eval(ctx, params, body, store, n));
}

/* Runs the sheet on one context and compares. */
static inline void sheet_run_on(const sheet *s, const char *where, rp_context *ctx, bool joined) {
  rp_store *in[SHEET_COLUMNS] = {NULL}, *out[SHEET_COLUMNS] = {NULL};
  for (int32_t i = 0; i < s->n_in; i++) {
    OK(rp_store_create(ctx, s->in[i].dtype, 1, &s->n, &in[i]));
    OK(rp_store_write(in[i], s->in[i].data, rp_dtype_size(s->in[i].dtype) * (size_t)s->n));
  }
  for (int32_t i = 0; i < s->n_out; i++)
    OK(rp_store_create(ctx, s->out[i].dtype, 1, &s->n, &out[i]));
  OK(rp_trace_begin(ctx, 1));
  if (joined && !s->chained) {
    sheet_run_joined(s, ctx, in, out);
  } else {
    for (int32_t i = 0; i < s->n_out; i++) sheet_run_task(s, ctx, i, in, out);
  }
  for (int32_t i = 0; i < s->n_out; i++)
    if (!s->out[i].data) OK(rp_store_release(out[i]));
  OK(rp_trace_end(ctx, 1));
  for (int32_t i = 0; i < s->n_out; i++) {
    if (!s->out[i].data) continue;
    check_elements(where, s->out[i].text, out[i], s->out[i].data);
    OK(rp_store_release(out[i]));
  }
  for (int32_t i = 0; i < s->n_in; i++) OK(rp_store_release(in[i]));
}

/* The same, row by row, on stores of rank 0: scalars are computed by other code than vectors. */
static inline void sheet_run_scalars(const sheet *s, const char *where, rp_context *ctx) {
  rp_store *in[SHEET_COLUMNS] = {NULL}, *out[SHEET_COLUMNS] = {NULL};
  for (int32_t i = 0; i < s->n_in; i++) OK(rp_store_create(ctx, s->in[i].dtype, 0, NULL, &in[i]));
  for (int32_t i = 0; i < s->n_out; i++)
    OK(rp_store_create(ctx, s->out[i].dtype, 0, NULL, &out[i]));
  for (int64_t row = 0; row < s->n; row++) {
    for (int32_t i = 0; i < s->n_in; i++) {
      const size_t size = rp_dtype_size(s->in[i].dtype);
      OK(rp_store_write(in[i], (char *)s->in[i].data + size * (size_t)row, size));
    }
    OK(rp_trace_begin(ctx, 1));
    for (int32_t i = 0; i < s->n_out; i++) sheet_run_task(s, ctx, i, in, out);
    OK(rp_trace_end(ctx, 1));
    for (int32_t i = 0; i < s->n_out; i++) {
      const column *c = &s->out[i];
      char what[64 + SHEET_TEXT];
      if (!c->data) continue;
      snprintf(what, sizeof what, "%s on scalars of row %lld", c->text, (long long)row);
      check_elements(where, what, out[i], (char *)c->data + rp_dtype_size(c->dtype) * (size_t)row);
    }
  }
  for (int32_t i = 0; i < s->n_in; i++) OK(rp_store_release(in[i]));
  for (int32_t i = 0; i < s->n_out; i++) OK(rp_store_release(out[i]));
}

static inline void sheet_clear(sheet *s) {
  for (int32_t i = 0; i < s->n_in; i++) free(s->in[i].data);
  for (int32_t i = 0; i < s->n_out; i++) free(s->out[i].data);
  *s = (sheet){.n = s->n};
}

/* Runs it in every way, on scalars in each tier, then empties it. */
static inline void sheet_run(sheet *s) {
  for (int w = 0; w < n_ways; w++) {
    sheet_run_on(s, ways[w].name, ways[w].ctx, ways[w].joined);
    if (w % 2 == 0 && !strstr(ways[w].name, "avx512"))
      sheet_run_scalars(s, ways[w].name, ways[w].ctx);
  }
  sheet_clear(s);
}

/* ---- arrays of any shape ---- */

typedef struct array {
  rp_dtype dtype;
  int32_t ndim;
  int64_t shape[3];
  const void *data; /* NULL: zeros */
} array;

static inline rp_store *make(rp_context *ctx, const array *a) {
  rp_store *s;
  OK(rp_store_create(ctx, a->dtype, a->ndim, a->shape, &s));
  if (a->data) OK(rp_store_write(s, a->data, (size_t)rp_store_size(s) * rp_dtype_size(a->dtype)));
  return s;
}

#endif
