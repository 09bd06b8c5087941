/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_semantics_scatter.c -- SEMANTICS.md 3 and 4 on scatters, through the public interface in all ways: the
 * order of what meets in one element, operators and dtypes, subscripts of every kind, views, what is refused, and
 * what is out of range. Values are computed here point after point. */
#include "tests/support/sheet.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))
enum { MANY = 9000, BINS = 40 };

static double value[MANY];
static float value4[MANY];
static int32_t bin[MANY]; /* in 0..BINS-1, of very different sizes, and two without any */

static int open_all(void **state) {
  uint64_t seed = 11;
  for (int i = 0; i < MANY; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    value[i] = ldexp((double)(int64_t)seed, -(int)(seed >> 8 & 31) - 40);
    value4[i] = (float)value[i];
    const int32_t a = (int32_t)(seed >> 33 & 1023);
    bin[i] = a < 400 ? 3 : a < 600 ? 7 : a < 610 ? 11 : (int32_t)(seed >> 44) % BINS;
    if (bin[i] == 0 || bin[i] == BINS - 1) bin[i] = 5;
  }
  return ways_open(state);
}

/* The body on arrays leaves `want` in the first, in all ways; twice in a row: the second time by the inverse that is
 * there. */
static void check_body(const char *params, const char *body, const array *a, int n,
                       const void *want) {
  for (int w = 0; w < n_ways; w++) {
    rp_store *store[8];
    for (int i = 0; i < n; i++) store[i] = make(ways[w].ctx, &a[i]);
    OK(rp_eval(ways[w].ctx, params, body, store, n));
    check_elements(ways[w].name, body, store[0], want);
    rp_store *again = make(ways[w].ctx, &a[0]), *first = store[0];
    store[0] = again;
    OK(rp_eval(ways[w].ctx, params, body, store, n));
    check_elements(ways[w].name, "again", store[0], want);
    for (int i = 0; i < n; i++) OK(rp_store_release(store[i]));
    OK(rp_store_release(first));
  }
}

/* ---- order ---------------------------------------------------------------------------------------------------- */

typedef double combine(double, double);
static double add(double a, double b) { return a + b; }
static double add4(double a, double b) { return (double)((float)a + (float)b); }
static double multiply(double a, double b) { return a * b; }
static double lower(double a, double b) { return a < b ? a : b; }
static double higher(double a, double b) { return a > b ? a : b; }

/* Up to 32 in order; longer ones in leaves of 1024 with 64 accumulators, joined as a tree. */
static double segment(combine *op, double *v, int64_t n) {
  double part[16];
  int64_t parts = 0;
  if (n <= 32) {
    for (int64_t i = 1; i < n; i++) v[0] = op(v[0], v[i]);
    return v[0];
  }
  for (int64_t at = 0; at < n; at += 1024) {
    const int64_t m = n - at < 1024 ? n - at : 1024;
    double acc[64];
    for (int64_t i = 0; i < m; i++) acc[i % 64] = i < 64 ? v[at + i] : op(acc[i % 64], v[at + i]);
    for (int64_t half = 32; half > 0; half /= 2)
      for (int64_t i = 0; i < half && i + half < m; i++) acc[i] = op(acc[i], acc[i + half]);
    part[parts++] = acc[0];
  }
  for (; parts > 1; parts = (parts + 1) / 2)
    for (int64_t i = 0; i < (parts + 1) / 2; i++)
      part[i] = 2 * i + 1 < parts ? op(part[2 * i], part[2 * i + 1]) : part[2 * i];
  return part[0];
}

/* What n points with these bins leave in an element that held `old`. */
static double element(combine *op, int32_t e, const double *v, int64_t n, double old) {
  static double mine[MANY];
  int64_t m = 0;
  for (int64_t i = 0; i < n; i++)
    if (bin[i] == e) mine[m++] = v[i];
  return m ? op(old, segment(op, mine, m)) : old;
}

static void segments_in_the_order_of_points(void **state) {
  (void)state;
  static const struct {
    const char *body;
    combine *op;
  } row[] = {{"h[b[i]] += w[i]", add},
             {"h[b[i]] *= w[i]", multiply},
             {"h[b[i]] min= w[i]", lower},
             {"h[b[i]] max= w[i]", higher}};
  static const int64_t size[] = {1, 40, 700, MANY};
  double old[BINS], want[BINS];
  for (int e = 0; e < BINS; e++) old[e] = value[100 + e];
  for (int r = 0; r < COUNT(row); r++)
    for (int k = 0; k < COUNT(size); k++) {
      const int64_t n = size[k];
      for (int e = 0; e < BINS; e++) want[e] = element(row[r].op, e, value, n, old[e]);
      const array a[] = {{RP_F64, 1, {BINS}, old}, {RP_I32, 1, {n}, bin}, {RP_F64, 1, {n}, value}};
      check_body("h, b, w", row[r].body, a, 3, want);
    }
  /* The order is not that of a loop over the points. */
  double naive = old[3];
  for (int i = 0; i < MANY; i++) naive += bin[i] == 3 ? value[i] : 0;
  assert_true(naive != element(add, 3, value, MANY, old[3]));
}

/* Accumulators have the destination's dtype, whatever comes. */
static void accumulators_are_the_destinations(void **state) {
  (void)state;
  static double wide[MANY];
  float old4[BINS], want4[BINS];
  double old[BINS], want[BINS];
  for (int i = 0; i < MANY; i++) wide[i] = (double)value4[i];
  for (int e = 0; e < BINS; e++) {
    old[e] = value[e];
    old4[e] = value4[e];
    want4[e] = (float)element(add4, e, wide, MANY, (double)old4[e]);
    want[e] = element(add, e, wide, MANY, old[e]);
  }
  const array narrow[] = {
      {RP_F32, 1, {BINS}, old4}, {RP_I32, 1, {MANY}, bin}, {RP_F32, 1, {MANY}, value4}};
  check_body("h, b, w", "h[b[i]] += w[i]", narrow, 3, want4);
  const array both[] = {
      {RP_F64, 1, {BINS}, old}, {RP_I32, 1, {MANY}, bin}, {RP_F32, 1, {MANY}, value4}};
  check_body("h, b, w", "h[b[i]] += w[i]", both, 3, want);
}

static void all_points_to_one_and_none(void **state) {
  (void)state;
  static int32_t zero[MANY];
  double want[3] = {0.5, -0.0, -0.0}, old[3] = {0.5, -0.0, -0.0}, v[MANY];
  memcpy(v, value, sizeof v);
  want[0] = 0.5 + segment(add, v, MANY);
  const array one[] = {
      {RP_F64, 1, {3}, old}, {RP_I32, 1, {MANY}, zero}, {RP_F64, 1, {MANY}, value}};
  check_body("h, b, w", "h[b[i]] += w[i]", one, 3, want);
  const array none[] = {{RP_F64, 1, {3}, old}, {RP_I32, 1, {0}, NULL}, {RP_F64, 1, {0}, NULL}};
  check_body("h, b, w", "h[b[i]] += w[i]", none, 3, old); /* -0 stays: nothing is added */
  const array empty[] = {{RP_F64, 1, {0}, NULL}, {RP_I32, 1, {0}, NULL}, {RP_F64, 1, {0}, NULL}};
  check_body("h, b, w", "h[b[i]] max= w[i]", empty, 3, old);
  const array nan[] = {{RP_F64, 1, {3}, (double[]){1, NAN, 3}},
                       {RP_I32, 1, {2}, (int32_t[]){0, 2}},
                       {RP_F64, 1, {2}, (double[]){NAN, 4}}};
  check_body("h, b, w", "h[b[i]] min= w[i]", nan, 3, (double[]){NAN, NAN, 3});
}

/* ---- dtypes ------------------------------------------------------------------------------------------------------ */

static uint64_t apply(int op, uint64_t a, uint64_t b, bool is_signed) {
  const bool less = is_signed ? (int64_t)a < (int64_t)b : a < b;
  switch (op) {
    case 0: return a + b;
    case 1: return a * b;
    case 2: return less ? a : b;
    case 3: return less ? b : a;
    case 4: return a & b;
    case 5: return a | b;
    default: return a ^ b;
  }
}

static uint64_t extend(const void *p, size_t size, bool is_signed) {
  uint64_t v = 0;
  memcpy(&v, p, size);
  const unsigned shift = (unsigned)(64 - 8 * size);
  return is_signed ? (uint64_t)((int64_t)(v << shift) >> shift) : v << shift >> shift;
}

/* Integers wrap and their order does not matter, so a loop over the points says what comes. */
static void every_integer_and_operator(void **state) {
  (void)state;
  static const char *const sign[] = {"+=", "*=", "min=", "max=", "&=", "|=", "^="};
  enum { N = 500 };
  for (rp_dtype t = RP_BOOL; t <= RP_U64; t++)
    for (int op = t == RP_BOOL ? 2 : 0; op < 7; op++) {
      if ((t + op) % 2 != 0)
        continue; /* each operator meets every second dtype: each costs compiles */
      const size_t size = rp_dtype_size(t);
      const bool is_signed = t >= RP_I8 && t <= RP_I64;
      unsigned char w[N * 8], h[BINS * 8], want[BINS * 8];
      for (size_t i = 0; i < sizeof w; i++) w[i] = (unsigned char)(i * 37 % 251);
      for (size_t i = 0; i < sizeof h; i++) h[i] = (unsigned char)(i * 53 % 241);
      for (size_t i = 0; i < N && t == RP_BOOL; i++) w[i] &= 1;
      for (size_t i = 0; i < BINS && t == RP_BOOL; i++) h[i] &= 1;
      memcpy(want, h, sizeof h);
      for (int i = 0; i < N; i++) {
        unsigned char *to = want + (size_t)bin[i] * size;
        const uint64_t v = apply(op, extend(to, size, is_signed),
                                 extend(w + (size_t)i * size, size, is_signed), is_signed);
        memcpy(to, &v, size);
      }
      char body[40];
      snprintf(body, sizeof body, "h[b[i]] %s w[i]", sign[op]);
      const array a[] = {{t, 1, {BINS}, h}, {RP_I32, 1, {N}, bin}, {t, 1, {N}, w}};
      check_body("h, b, w", body, a, 3, want);
    }
}

static void every_index_dtype(void **state) {
  (void)state;
  enum { N = 300 };
  int64_t want[BINS] = {0};
  for (int i = 0; i < N; i++) want[bin[i]]++;
  for (rp_dtype t = RP_I8; t <= RP_U64; t++) {
    unsigned char key[N * 8] = {0};
    for (int i = 0; i < N; i++)
      memcpy(key + (size_t)i * rp_dtype_size(t), &bin[i],
             rp_dtype_size(t) < 4 ? rp_dtype_size(t) : 4);
    const array a[] = {{RP_I64, 1, {BINS}, NULL}, {t, 1, {N}, key}};
    check_body("h, b", "h[b[i]] += 1", a, 2, want);
    check_body("h, b", "h[b[i] + 0*b[i]] += 1", a, 2, want);
  }
}

/* ---- subscripts ------------------------------------------------------------------------------------------------------ */

static void subscripts_are_expressions(void **state) {
  (void)state;
  enum { N = 400 };
  double half[BINS] = {0}, shifted[BINS] = {0}, through[BINS] = {0}, own[BINS] = {0};
  int32_t map[BINS];
  for (int e = 0; e < BINS; e++) map[e] = (e * 7 + 3) % BINS;
  for (int i = 0; i < N; i++) {
    half[bin[i] / 2] += 1;
    shifted[(bin[i] + 5) % BINS] += (double)i;
    through[map[bin[i]]] += 2;
    own[i % BINS] += (double)(i * bin[i]);
  }
  const array h = {RP_F64, 1, {BINS}, NULL}, b = {RP_I32, 1, {N}, bin},
              m = {RP_I32, 1, {BINS}, map};
  check_body("h, b", "h[b[i]//2] += 1", (array[]){h, b}, 2, half);
  check_body("h, b", "let t = b[i] + 5; h[t % extent(h, 0)] += i", (array[]){h, b}, 2, shifted);
  check_body("h, b", "h[(b[i] + 5) % extent(h, -1)] += index(0)", (array[]){h, b}, 2, shifted);
  check_body("h, b, m", "h[m[b[i]]] += 2", (array[]){h, b, m}, 3, through);
  check_body("h, b", "h[i % extent(h, 0)] += i*b[i]", (array[]){h, b}, 2, own);
  /* No array is read on the left, and one point. */
  double one[BINS] = {[4] = 7};
  check_body("h", "h[4] += 7", (array[]){h}, 1, one);
  check_body("h, c", "h[c] += 7", (array[]){h, {RP_I32, 0, {0}, &(int32_t){4}}}, 2, one);
}

/* Several axes on either side; points are in the order of their indices from left to right. */
static void several_axes(void **state) {
  (void)state;
  enum { R = 6, C = 5, N = 700, M = 3 };
  static int64_t r[N], c[N];
  static double two[R][C], rows[R][C], turned[R], v[N * M];
  for (int i = 0; i < N * M; i++) v[i] = (double)(i % 1000);
  for (int i = 0; i < N; i++) {
    r[i] = i * i % R;
    c[i] = (i * 3 + i / 7) % C;
    two[r[i]][c[i]] += v[i];
    for (int j = 0; j < M; j++) turned[r[i]] += v[i * M + j];
  }
  for (int i = 0; i < R; i++)
    for (int j = 0; j < 100; j++) rows[i][c[j]] += v[i * 100 + j];
  const array ar = {RP_I64, 1, {N}, r}, ac = {RP_I64, 1, {N}, c};
  check_body("h, r, c, v", "h[r[i], c[i]] += v[i]",
             (array[]){{RP_F64, 2, {R, C}, NULL}, ar, ac, {RP_F64, 1, {N}, v}}, 4, two);
  check_body("h, b, w", "h[i, b[j]] += w[i,j]",
             (array[]){{RP_F64, 2, {R, C}, NULL}, {RP_I64, 1, {100}, c}, {RP_F64, 2, {R, 100}, v}},
             3, rows);
  check_body("h, b, w", "h[b[i]] += w[i,j]",
             (array[]){{RP_F64, 1, {R}, NULL}, ar, {RP_F64, 2, {N, M}, v}}, 3, turned);
  /* Keys of two axes, in rows. */
  int64_t grid[2][3] = {{0, 1, 1}, {4, 1, 0}};
  check_body(
      "h, b, w", "h[b[i,j]] += w[i,j]*(1 + i)*(10 + j)",
      (array[]){{RP_F64, 1, {5}, NULL}, {RP_I64, 2, {2, 3}, grid}, {RP_F64, 2, {2, 3}, v + 1}}, 3,
      (double[]){10 + 144, 22 + 36 + 110, 0, 0, 80});
  check_body(
      "h, b, w", "h[b[j,i]] += w[j,i]*index(0)",
      (array[]){{RP_F64, 1, {5}, NULL}, {RP_I64, 2, {2, 3}, grid}, {RP_F64, 2, {2, 3}, v + 1}}, 3,
      (double[]){6, 5, 0, 0, 4});
}

/* The right side: gathers, shifts, loops, the destination as it was. */
static void right_sides(void **state) {
  (void)state;
  int32_t b[] = {2, 0, 2, 2, 1}, c[] = {4, 3, 2, 1, 0};
  double h[] = {10, 20, 30}, w[] = {1, 2, 4, 8, 16, 32};
  const array ah = {RP_F64, 1, {3}, h}, ab = {RP_I32, 1, {5}, b}, aw = {RP_F64, 1, {6}, w};
  check_body("h, b, w, c", "h[b[i]] += w[c[i]]", (array[]){ah, ab, aw, {RP_I32, 1, {5}, c}}, 4,
             (double[]){18, 21, 52});
  check_body("h, b, w", "h[b[i]] += w[i+1]*w[4-i]", (array[]){ah, ab, aw}, 3,
             (double[]){42, 52, 126});
  check_body("h, b, w", "h[b[i]] += sum(k in 0..i) w[k]", (array[]){ah, ab, aw}, 3,
             (double[]){11, 35, 40});
  check_body("h, b", "h[b[i]] += h[b[i]] + h[(b[i] + 1) % 3]", (array[]){ah, ab}, 2,
             (double[]){40, 70, 150});
  /* The destination is its own index array. */
  check_body("h", "h[h[i]] += 10", (array[]){{RP_I32, 1, {4}, (int32_t[]){3, 0, 3, 1}}}, 1,
             (int32_t[]){13, 10, 3, 21});
}

/* ---- views, refusals, bad data ------------------------------------------------------------------------------------- */

static void views(void **state) {
  (void)state;
  for (int w = 0; w < n_ways; w++) {
    rp_context *ctx = ways[w].ctx;
    int32_t keys[2][4] = {{0, 9, 2, 9}, {1, 9, 0, 9}};
    rp_store *all = make(ctx, &(array){RP_F64, 1, {10}, (double[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9}});
    rp_store *b = make(ctx, &(array){RP_I32, 2, {2, 4}, keys}), *h, *even, *turned;
    OK(rp_store_slice(all, 0, 8, INT64_MIN, -3, &h)); /* 8, 5, 2 */
    OK(rp_store_slice(b, 1, 0, INT64_MAX, 2, &even));
    OK(rp_store_transpose(even, (int32_t[]){1, 0}, &turned));
    OK(EVAL(ctx, "h, b", "h[b[i,j]] += 100*(1 + index(1)) + index(0)", h, turned));
    check_elements(ways[w].name, "views", all,
                   (double[]){0, 1, 103, 3, 4, 205, 6, 7, 8 + 100 + 201, 9});
    rp_store *const s[] = {all, b, h, even, turned};
    for (int i = 0; i < COUNT(s); i++) OK(rp_store_release(s[i]));
  }
}

static void refusals(void **state) {
  (void)state;
  rp_context *ctx = ways[0].ctx;
  double memory[4] = {0};
  rp_store *h = make(ctx, &(array){RP_F64, 1, {4}, NULL}),
           *n = make(ctx, &(array){RP_I32, 1, {4}, NULL});
  rp_store *b = make(ctx, &(array){RP_I32, 1, {6}, NULL}),
           *w = make(ctx, &(array){RP_F64, 1, {5}, NULL});
  rp_store *wide, *lent;
  OK(rp_store_promote(h, 0, 3, &wide));
  OK(rp_store_attach(ctx, RP_F64, 1, (int64_t[]){4}, memory, RP_READ_ONLY, &lent));
  const int64_t before = check_stat(ctx, "launches");
  FAILS(RP_ERR_SHAPE, "one index runs over both", EVAL(ctx, "h, b, w", "h[b[i]] += w[i]", h, b, w));
  FAILS(RP_ERR_DTYPE, "cannot hold every f64", EVAL(ctx, "h, b", "h[b[i]] += b[i]*0.5", n, b));
  FAILS(RP_ERR_DTYPE, "a subscript must be an integer, found f64",
        EVAL(ctx, "h, b", "h[b[i]] += 1", h, w));
  FAILS(RP_ERR_DTYPE, "&= does not take", EVAL(ctx, "h, b", "h[b[i]] &= 1", h, b));
  FAILS(RP_ERR_SHAPE, "'h' is written at indices 1..6", EVAL(ctx, "h, b", "h[i+1] += b[i]", h, b));
  FAILS(RP_ERR_ACCESS, "shows elements twice", EVAL(ctx, "h, b", "h[b[i], b[i]] += 1", wide, b));
  FAILS(RP_ERR_ACCESS, "read-only", EVAL(ctx, "h, b", "h[b[i]] += 1", lent, b));
  OK(EVAL(ctx, "h, b", "h[b[i]] += 1", h, b));
  FAILS(RP_ERR_ACCESS, "read-only", EVAL(ctx, "h, b", "h[b[i]] += 1", lent, b));
  FAILS(RP_ERR_BODY, "a scatter is the only assignment",
        EVAL(ctx, "h, b, w", "h[b[i]] += 1; w[b[i]] += 1", h, b, w));
  assert_int_equal(check_stat(ctx, "launches"), before + 2); /* the inverse and the sums of one */
  rp_store *const s[] = {h, n, b, w, wide, lent};
  for (int i = 0; i < COUNT(s); i++) OK(rp_store_release(s[i]));
}

/* A bad index reaches nothing but poison; a sound one makes the destination sound again where it is overwritten. */
static void bad_indices_poison(void **state) {
  (void)state;
  static const int64_t bad[] = {-1, 4, INT64_MAX, INT64_MIN};
  static const char *const body[] = {"h[b[i]] += 1", "h[b[i] + 0*i] += 1", "g[b[i], 0] += 1",
                                     "g[0, b[i]] += 1", "g[3, b[i]] += 1"};
  for (int w = 0; w < n_ways; w++)
    for (int k = 0; k < COUNT(bad); k++)
      for (int t = 0; t < COUNT(body); t++) {
        rp_context *ctx = ways[w].ctx;
        const bool two = body[t][0] == 'g';
        const int64_t key[] = {1, bad[k], 2};
        rp_store *b = make(ctx, &(array){RP_I64, 1, {3}, key}),
                 *other = make(ctx, &(array){RP_F64, 1, {4}, NULL});
        rp_store *h = make(ctx, &(array){RP_F64, two ? 2 : 1, {4, 4}, NULL});
        OK(EVAL(ctx, "y", "y = y + 1", other));
        OK(rp_eval(ctx, two ? "g, b" : "h, b", body[t], (rp_store *[]){h, b}, 2));
        double got[16];
        FAILS(RP_ERR_DATA, "met an index out of range on the left of a scatter",
              rp_store_read(h, got, (size_t)rp_store_size(h) * 8));
        FAILS(RP_ERR_DATA, "out of range", rp_wait(ctx));
        OK(rp_eval(ctx, two ? "g, b" : "h, b", body[t], (rp_store *[]){h, b},
                   2)); /* kept, and as bad */
        FAILS(RP_ERR_DATA, "out of range", rp_store_read(h, got, (size_t)rp_store_size(h) * 8));
        check_elements(ways[w].name, "beside", other, (double[]){1, 1, 1, 1});
        OK(rp_store_write(b, (int64_t[]){1, 3, 2}, 24));
        OK(rp_store_fill(h, &(double){0}));
        OK(rp_eval(ctx, two ? "g, b" : "h, b", body[t], (rp_store *[]){h, b}, 2));
        OK(rp_store_read(h, got, (size_t)rp_store_size(h) * 8));
        rp_wait(ctx);
        OK(rp_store_release(b));
        OK(rp_store_release(h));
        OK(rp_store_release(other));
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(segments_in_the_order_of_points),
      cmocka_unit_test(accumulators_are_the_destinations),
      cmocka_unit_test(all_points_to_one_and_none),
      cmocka_unit_test(every_integer_and_operator),
      cmocka_unit_test(every_index_dtype),
      cmocka_unit_test(subscripts_are_expressions),
      cmocka_unit_test(several_axes),
      cmocka_unit_test(right_sides),
      cmocka_unit_test(views),
      cmocka_unit_test(refusals),
      cmocka_unit_test(bad_indices_poison),
  };
  return cmocka_run_group_tests(tests, open_all, ways_close);
}
