/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/example.c -- what the examples share: see example.h. */
#define _GNU_SOURCE
#include "example.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* ---- options ------------------------------------------------------------------------------------------ */

static void usage(const char *program, const char *accepted, const char *wrong) {
  fprintf(stderr, "%s: cannot use '%s'\nusage: %s", program, wrong, program);
  if (strstr(accepted, "size")) fprintf(stderr, " [--size N]");
  if (strstr(accepted, "iters")) fprintf(stderr, " [--iters N]");
  if (strstr(accepted, "dtype")) fprintf(stderr, " [--dtype f32|f64]");
  if (strstr(accepted, "matrix")) fprintf(stderr, " [--matrix FILE]");
  if (strstr(accepted, "folder")) fprintf(stderr, " [--folder DIR]");
  fprintf(stderr, "\n");
  exit(2);
}

static bool parse_count(const char *text, int64_t *out) {
  char *end;
  const long long v = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || v < 1) return false;
  *out = v;
  return true;
}

static bool parse_dtype(const char *text, rp_dtype *out) {
  if (strcmp(text, "f32") != 0 && strcmp(text, "f64") != 0) return false;
  *out = strcmp(text, "f32") == 0 ? RP_F32 : RP_F64;
  return true;
}

void example_parse(int argc, char **argv, const char *accepted, example_options *o) {
  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i];
    if (strncmp(name, "--", 2) != 0 || !strstr(accepted, name + 2) || i + 1 == argc) {
      usage(argv[0], accepted, name);
    }
    const char *value = argv[i + 1];
    bool known = true;
    if (strcmp(name, "--size") == 0) {
      known = parse_count(value, &o->size);
    } else if (strcmp(name, "--iters") == 0) {
      known = parse_count(value, &o->iters);
    } else if (strcmp(name, "--dtype") == 0) {
      known = parse_dtype(value, &o->dtype);
    } else if (strcmp(name, "--matrix") == 0) {
      o->matrix = value;
    } else if (strcmp(name, "--folder") == 0) {
      o->folder = value;
    } else {
      usage(argv[0], accepted, name);
    }
    if (!known) usage(argv[0], accepted, value);
  }
}

double example_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- data ----------------------------------------------------------------------------------------------- */

static void *need(void *p) {
  if (p) return p;
  fprintf(stderr, "out of memory\n");
  exit(EXIT_FAILURE);
}

double example_random(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

rp_store *example_uniform(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                          double lo, double hi, uint64_t seed) {
  rp_store *s;
  RP_CHECK(rp_store_create(ctx, dtype, ndim, shape, &s));
  const size_t n = (size_t)rp_store_size(s), size = rp_dtype_size(dtype);
  char *data = need(malloc((n + 1) * size));
  for (size_t i = 0; i < n; i++) {
    const double wide = lo + (hi - lo) * example_random(&seed);
    const float narrow = (float)wide;
    memcpy(data + i * size, dtype == RP_F32 ? (const void *)&narrow : (const void *)&wide, size);
  }
  RP_CHECK(rp_store_write(s, data, n * size));
  free(data);
  return s;
}

rp_store *example_full(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                       double value) {
  rp_store *s;
  const float narrow = (float)value;
  RP_CHECK(rp_store_create(ctx, dtype, ndim, shape, &s));
  RP_CHECK(rp_store_fill(s, dtype == RP_F32 ? (const void *)&narrow : (const void *)&value));
  return s;
}

double example_value(rp_store *scalar) {
  double wide;
  float narrow;
  if (rp_store_dtype(scalar) == RP_F64) {
    RP_CHECK(rp_store_read(scalar, &wide, sizeof wide));
  } else {
    RP_CHECK(rp_store_read(scalar, &narrow, sizeof narrow));
    wide = (double)narrow;
  }
  return wide;
}

int64_t example_stat(rp_context *ctx, const char *name) {
  int64_t value;
  RP_CHECK(rp_stat(ctx, name, &value));
  return value;
}

rp_csr *example_matrix(rp_context *ctx, const example_options *o) {
  static const int64_t offset[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1};
  static const double coefficient[] = {4, -1, -1, -1, -1};
  const int64_t shape[] = {o->size, o->size};
  rp_csr *a;
  if (o->matrix) {
    RP_CHECK(rp_csr_from_matrix_market(ctx, o->dtype, o->matrix, &a));
  } else {
    RP_CHECK(rp_csr_from_stencil(ctx, o->dtype, 2, shape, 5, offset, coefficient, &a));
  }
  return a;
}

/* ---- bits ------------------------------------------------------------------------------------------------- */

#define BITS_START UINT64_C(0x9e3779b97f4a7c15)
static uint64_t bits = BITS_START;

/* A step is one to one in what came before and in the word, so no single difference is lost. */
static void bits_word(uint64_t word) {
  bits = (bits ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
  bits ^= bits >> 29;
}

/* Eight bytes at a time, the last ones padded with zeros, then how many there were. */
static void bits_update(const char *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = 0;
    memcpy(&word, data + i, bytes - i < 8 ? bytes - i : 8);
    bits_word(word);
  }
  bits_word(bytes);
}

static void one_nan(void *data, int64_t n, rp_dtype dtype) {
  for (int64_t i = 0; i < n; i++) {
    if (dtype == RP_F64 && isnan(((double *)data)[i])) ((double *)data)[i] = (double)NAN;
    if (dtype == RP_F32 && isnan(((float *)data)[i])) ((float *)data)[i] = NAN;
  }
}

void example_bits_add(rp_store *result) {
  const rp_dtype dtype = rp_store_dtype(result);
  const int64_t n = rp_store_size(result);
  const size_t bytes = (size_t)n * rp_dtype_size(dtype);
  void *data = need(malloc(bytes + 1));
  RP_CHECK(rp_store_read(result, data, bytes));
  one_nan(data, n, dtype);
  bits_update(data, bytes);
  free(data);
}

uint64_t example_bits_take(void) {
  const uint64_t hash = bits;
  bits = BITS_START;
  return hash;
}

void example_bits_print(void) { printf("bits %016llx\n", (unsigned long long)example_bits_take()); }
