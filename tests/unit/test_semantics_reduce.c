/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_semantics_reduce.c -- SEMANTICS.md 3, rule by rule, through the public interface: the order of
 * every reduction, computed here in the words of the specification, in all ways, layouts and
 * numbers of threads. */
#include "tests/support/sheet.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

/* ---- the order, in plain C --------------------------------------------------------------------------- */

enum { LEAF = 1024, ACCUMULATORS = 64, ROW_LEAF = 256, SHORT = 32 };

typedef double combine(double, double);

static double add(double a, double b) { return a + b; }
static double add4(double a, double b) { return (double)((float)a + (float)b); }
static double multiply(double a, double b) { return a * b; }

/* -0 before +0; the first NaN stays. */
static double lower(double a, double b) {
  if (isnan(a) || isnan(b)) return NAN;
  if (a == b) return signbit(a) ? a : b;
  return a < b ? a : b;
}
static double higher(double a, double b) {
  if (isnan(a) || isnan(b)) return NAN;
  if (a == b) return signbit(a) ? b : a;
  return a > b ? a : b;
}

/* The pairwise tree, level by level. */
static double tree(combine *op, double *v, int64_t n) {
  for (; n > 1; n = (n + 1) / 2)
    for (int64_t i = 0; i < (n + 1) / 2; i++)
      v[i] = 2 * i + 1 < n ? op(v[2 * i], v[2 * i + 1]) : v[2 * i];
  return v[0];
}

/* Accumulators that get no element take no part. */
static double leaf(combine *op, const double *v, int64_t n) {
  double acc[ACCUMULATORS];
  bool used[ACCUMULATORS] = {false};
  for (int64_t i = 0; i < n; i++) {
    acc[i % ACCUMULATORS] = used[i % ACCUMULATORS] ? op(acc[i % ACCUMULATORS], v[i]) : v[i];
    used[i % ACCUMULATORS] = true;
  }
  for (int half = ACCUMULATORS / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++)
      if (used[i + half]) {
        acc[i] = used[i] ? op(acc[i], acc[i + half]) : acc[i + half];
        used[i] = true;
      }
  return acc[0];
}

/* One innermost row. */
static double line(combine *op, const double *v, int64_t n) {
  double *value = malloc(sizeof *value * (size_t)(n / LEAF + 2));
  int64_t m = 0;
  for (int64_t i = 0; i < n; i += LEAF) value[m++] = leaf(op, v + i, n - i < LEAF ? n - i : LEAF);
  const double r = tree(op, value, m);
  free(value);
  return r;
}

/* Rows of n elements, `stride` apart. */
static double rows(combine *op, const double *v, int64_t n_rows, int64_t stride, int64_t n) {
  double *value = malloc(sizeof *value * (size_t)n_rows);
  for (int64_t r = 0; r < n_rows; r++) value[r] = line(op, v + r * stride, n);
  const double r = tree(op, value, n_rows);
  free(value);
  return r;
}

/* An outer axis of n elements, `stride` apart: leaves of rows, in order inside. */
static double column_of(combine *op, const double *v, int64_t n, int64_t stride) {
  double value[64];
  int64_t m = 0;
  for (int64_t i = 0; i < n; i += ROW_LEAF) {
    value[m] = v[i * stride];
    for (int64_t k = i + 1; k < n && k < i + ROW_LEAF; k++) value[m] = op(value[m], v[k * stride]);
    m++;
  }
  return tree(op, value, m);
}

static double segment(combine *op, const double *v, int64_t n) {
  if (n > SHORT) return line(op, v, n);
  double s = v[0];
  for (int64_t i = 1; i < n; i++) s = op(s, v[i]);
  return s;
}

/* ---- running ------------------------------------------------------------------------------------------- */

enum { MANY = 1 << 17 };
static double random_value[MANY];
static float random_value4[MANY];

static int open_all(void **state) {
  uint64_t seed = 7;
  for (int i = 0; i < MANY; i++) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    random_value[i] = ldexp((double)(int64_t)seed, -(int)(seed >> 8 & 31) - 40);
    random_value4[i] = (float)random_value[i];
    random_value[i] = i % 2 ? random_value[i] : (double)random_value4[i];
  }
  return ways_open(state);
}

/* The body on an output and inputs gives `want`, in all ways. */
static void check_body(const char *params, const char *body, const array *out, const array *in,
                       int n_in, const void *want) {
  for (int w = 0; w < n_ways; w++) {
    rp_store *store[8] = {make(ways[w].ctx, out)};
    char what[160];
    int n = snprintf(what, sizeof what, "%s,", body);
    for (int i = 0; i < n_in; i++) {
      store[1 + i] = make(ways[w].ctx, &in[i]);
      for (int d = 0; d < in[i].ndim; d++)
        n += snprintf(what + n, sizeof what - (size_t)n, " %lld", (long long)in[i].shape[d]);
    }
    OK(rp_eval(ways[w].ctx, params, body, store, 1 + n_in));
    check_elements(ways[w].name, what, store[0], want);
    for (int i = 0; i <= n_in; i++) OK(rp_store_release(store[i]));
  }
}

static void check_vector_sum(int64_t n, const double *v, double want) {
  const array out = {RP_F64, 0, {0}, NULL}, in = {RP_F64, 1, {n}, v};
  check_body("s, x", "s = sum(i) x[i]", &out, &in, 1, &want);
}

/* ---- the innermost axis ----------------------------------------------------------------------------------- */

static void leaves_have_64_accumulators(void **state) {
  (void)state;
  static const int64_t size[] = {1, 2, 3, 31, 32, 33, 63, 64, 65, 96, 127, 128, 1000, 1023, 1024};
  for (int i = 0; i < COUNT(size); i++) {
    const int64_t n = size[i];
    check_vector_sum(n, random_value, leaf(add, random_value, n));
    double v4[LEAF];
    for (int k = 0; k < n; k++) v4[k] = (double)random_value4[k];
    const float want = (float)leaf(add4, v4, n);
    const array out = {RP_F32, 0, {0}, NULL}, in = {RP_F32, 1, {n}, random_value4};
    check_body("s, x", "s = sum(i) x[i]", &out, &in, 1, &want);
  }
  /* The specification's order is not the naive one. */
  double naive = 0;
  for (int i = 0; i < 1000; i++) naive += random_value[i];
  assert_true(naive != leaf(add, random_value, 1000));
}

static void leaves_form_a_pairwise_tree(void **state) {
  (void)state;
  static const int64_t size[] = {1025, 2048, 2049, 3 * LEAF, 5 * LEAF, 7 * LEAF + 13, 100000, MANY};
  for (int i = 0; i < COUNT(size); i++)
    check_vector_sum(size[i], random_value, line(add, random_value, size[i]));
}

static void rows_come_after_leaves(void **state) {
  (void)state;
  static const int64_t shape[][3] = {{1, 1, 5},    {3, 1, 7},     {5, 2, 1500}, {2, 3, 1025},
                                     {300, 2, 64}, {9, 13, 1024}, {1, 7, 3000}};
  for (int i = 0; i < COUNT(shape); i++) {
    const int64_t a = shape[i][0], b = shape[i][1], c = shape[i][2];
    const array out = {RP_F64, 0, {0}, NULL}, in = {RP_F64, 3, {a, b, c}, random_value};
    double want = rows(add, random_value, a * b, c, c) + 0.0;
    check_body("s, x", "s += x", &out, &in, 1, &want);
    want = rows(add, random_value, a * b, c, c);
    check_body("s, x", "s = sum(i, j, k) x[i,j,k]", &out, &in, 1, &want);
  }
}

/* Some axes stay: the rows of each kept index, in row-major order. */
static void rows_of_kept_axes(void **state) {
  (void)state;
  enum { A = 6, B = 5, C = 1100 };
  double ac[B], bc[A], c[A * B];
  const array in = {RP_F64, 3, {A, B, C}, random_value};
  for (int j = 0; j < B; j++) ac[j] = rows(add, random_value + j * C, A, B * C, C);
  for (int i = 0; i < A; i++) bc[i] = rows(add, random_value + i * B * C, B, C, C);
  for (int r = 0; r < A * B; r++) c[r] = line(add, random_value + r * C, C);
  check_body("y, x", "y[j] = sum(i, k) x[i,j,k]", &(array){RP_F64, 1, {B}, NULL}, &in, 1, ac);
  check_body("y, x", "y[i] = sum(j, k) x[i,j,k]", &(array){RP_F64, 1, {A}, NULL}, &in, 1, bc);
  check_body("y, x", "y[i,j] = sum(k) x[i,j,k]", &(array){RP_F64, 2, {A, B}, NULL}, &in, 1, c);
  for (int j = 0; j < B; j++) ac[j] += 0.0; /* whole arrays: the zeros join */
  check_body("y, x", "y += x", &(array){RP_F64, 3, {1, B, 1}, NULL}, &in, 1, ac);
}

/* ---- outer axes --------------------------------------------------------------------------------------------- */

static void outer_axes_in_leaves_of_256_rows(void **state) {
  (void)state;
  static const int64_t shape[][2] = {{1, 5},   {2, 1500}, {255, 7},  {256, 3},  {257, 3},
                                     {512, 9}, {1000, 5}, {1537, 1}, {700, 130}};
  static double want[1500];
  for (int i = 0; i < COUNT(shape); i++) {
    const int64_t n = shape[i][0], m = shape[i][1];
    const array out = {RP_F64, 1, {m}, NULL}, in = {RP_F64, 2, {n, m}, random_value};
    for (int64_t k = 0; k < m; k++) want[k] = column_of(add, random_value + k, n, m) + 0.0;
    check_body("y, x", "y += x", &out, &in, 1, want);
  }
  /* Two outer axes are one sequence of rows. */
  const array out = {RP_F64, 1, {11}, NULL}, in = {RP_F64, 3, {30, 20, 11}, random_value};
  for (int64_t k = 0; k < 11; k++) want[k] = column_of(add, random_value + k, 600, 11) + 0.0;
  check_body("y, x", "y += x", &out, &in, 1, want);
  double naive = random_value[0];
  for (int i = 1; i < 600; i++) naive += random_value[i * 11];
  assert_true(naive != want[0]);
}

/* ---- segments and loops -------------------------------------------------------------------------------------- */

static void segments_short_in_order_long_in_leaves(void **state) {
  (void)state;
  enum { S = 50 };
  static const int64_t longer[] = {63, 64, 65, 100, 1000, 1024, 1025, 2048, 3000};
  int64_t ptr[S + 1] = {0};
  double want[S];
  for (int i = 0; i < S; i++)
    ptr[i + 1] = ptr[i] + (i < S - COUNT(longer) ? i : longer[i - (S - COUNT(longer))]);
  for (int i = 0; i < S; i++)
    want[i] = ptr[i] == ptr[i + 1] ? 0.0 : segment(add, random_value + ptr[i], ptr[i + 1] - ptr[i]);
  const array out = {RP_F64, 1, {S}, NULL};
  const array in[] = {{RP_I64, 1, {S + 1}, ptr}, {RP_F64, 1, {ptr[S]}, random_value}};
  check_body("y, p, v", "y[i] = sum(k in p[i]..p[i+1]) v[k]", &out, in, 2, want);
  /* 32 and 33 elements differ: the rule switches there. */
  assert_true(leaf(add, random_value, 32) != segment(add, random_value, 32));
}

/* Inside an expression an axis is summed in leaves, however short; several are rows of the last. */
static void loops_follow_the_same_order(void **state) {
  (void)state;
  static const int64_t shape[][2] = {{5, 1}, {4, 20}, {3, 33}, {3, 100}, {2, 1025}, {7, 3000}};
  for (int i = 0; i < COUNT(shape); i++) {
    const int64_t n = shape[i][0], m = shape[i][1];
    double want[8], all[8];
    for (int64_t r = 0; r < n; r++) want[r] = 1 + line(add, random_value + r * m, m);
    for (int64_t r = 0; r < n; r++) all[r] = 1 + rows(add, random_value, n, m, m);
    const array out = {RP_F64, 1, {n}, NULL}, in = {RP_F64, 2, {n, m}, random_value};
    check_body("y, x", "y[i] = 1 + sum(k) x[i,k]", &out, &in, 1, want);
    check_body("y, x", "y[i] = 1 + sum(j, k) x[j,k]", &out, &in, 1, all);
  }
}

/* ---- padding ---------------------------------------------------------------------------------------------------- */

/* What a vector holds beyond the last element, and entries that a segment lacks, take no part: an infinity
 * there, or at index 0, would make a NaN if it were multiplied by 0. */
static void padding_takes_no_part(void **state) {
  (void)state;
  enum { S = 40 };
  static double inf[3000];
  for (int i = 0; i < COUNT(inf); i++) inf[i] = INFINITY;
  static const int64_t size[] = {1, 3, 63, 65, 1023, 1025, 2999};
  for (int i = 0; i < COUNT(size); i++) {
    check_vector_sum(size[i], inf, INFINITY);
    const array out = {RP_F64, 0, {0}, NULL}, in = {RP_F64, 1, {size[i]}, inf};
    check_body("s, x", "s = prod(i) x[i]", &out, &in, 1, &(double){INFINITY});
    check_body("s, x", "s = min(i) x[i]", &out, &in, 1, &(double){INFINITY});
  }
  int64_t ptr[S + 1] = {0}, n = 0;
  int32_t col[S * S];
  double val[S * S], x[] = {INFINITY, 0.5, 3, NAN, 1e-3, INFINITY}, want[S];
  for (int i = 0; i < S; i++) {
    double term[S];
    for (int k = 0; k < i; k++, n++) {
      col[n] = 1 + k % 2 + 3 * (k % 3 == 2) * (k % 2 == 0); /* 1, 2 and 4 */
      val[n] = random_value[n];
      term[k] = val[n] * x[col[n]];
    }
    ptr[i + 1] = n;
    want[i] = i ? segment(add, term, i) : 0.0;
  }
  const array out = {RP_F64, 1, {S}, NULL};
  const array in[] = {{RP_I64, 1, {S + 1}, ptr},
                      {RP_F64, 1, {n}, val},
                      {RP_I32, 1, {n}, col},
                      {RP_F64, 1, {COUNT(x)}, x}};
  check_body("y, p, v, c, x", "y[i] = sum(k in p[i]..p[i+1]) v[k]*x[c[k]]", &out, in, 4, want);
}

/* ---- zeros and nothing --------------------------------------------------------------------------------------------- */

static void zeros_keep_their_signs(void **state) {
  (void)state;
  static double minus[2100];
  static const int64_t size[] = {1, 5, 64, 70, 1024, 1030, 2100};
  for (int i = 0; i < COUNT(size); i++) {
    for (int k = 0; k < COUNT(minus); k++) minus[k] = -0.0;
    check_vector_sum(size[i], minus, -0.0);
    minus[size[i] / 2] = 0.0; /* one +0 is enough */
    check_vector_sum(size[i], minus, 0.0);
  }
  for (int k = 0; k < COUNT(minus); k++) minus[k] = -0.0;
  double want[7];
  for (int k = 0; k < 7; k++) want[k] = -0.0;
  /* -0 joins -0. */
  check_body("y, x", "y += x", &(array){RP_F64, 1, {7}, minus},
             &(array){RP_F64, 2, {300, 7}, minus}, 1, want);
  for (int k = 0; k < 7; k++) want[k] = 0.0;
  check_body("y, x", "y += x", &(array){RP_F64, 1, {7}, NULL}, &(array){RP_F64, 2, {300, 7}, minus},
             1, want);
  const int64_t ptr[] = {0, 0, 1, 33, 75, 75, 80, 80};
  const double sums[] = {0.0, -0.0, -0.0, -0.0, 0.0, -0.0, 0.0};
  const array in[] = {{RP_I64, 1, {8}, ptr}, {RP_F64, 1, {80}, minus}};
  check_body("y, p, v", "y[i] = sum(k in p[i]..p[i+1]) v[k]", &(array){RP_F64, 1, {7}, NULL}, in, 2,
             sums);
}

static void nothing_gives_the_empty_value(void **state) {
  (void)state;
  const array out = {RP_F64, 0, {0}, NULL}, none = {RP_F64, 1, {0}, NULL};
  const array flag = {RP_BOOL, 0, {0}, NULL};
  const struct {
    const char *body;
    double want;
  } row[] = {{"s = sum(i) x[i]", 0.0},      {"s = prod(i) x[i]", 1},
             {"s = min(i) x[i]", INFINITY}, {"s = max(i) x[i]", -INFINITY},
             {"s = 5 + sum(i) x[i]", 5},    {"s += x[i]", 0.0}};
  for (int r = 0; r < COUNT(row); r++)
    check_body("s, x", row[r].body, &out, &none, 1, &row[r].want);
  check_body("s, x", "s = any(i) x[i]", &flag, &none, 1, &(bool){false});
  check_body("s, x", "s = all(i) x[i]", &flag, &none, 1, &(bool){true});
  const double zero[3] = {0.0, 0.0, 0.0}, seven[3] = {7, 7, 7}, minus[3] = {-0.0, -0.0, -0.0};
  check_body("y, x", "y[i] = sum(k) x[i,k]", &(array){RP_F64, 1, {3}, seven},
             &(array){RP_F64, 2, {3, 0}, NULL}, 1, zero);
  check_body("y, x", "y[i] = sum(k) x[k,i]", &(array){RP_F64, 1, {3}, seven},
             &(array){RP_F64, 2, {0, 3}, NULL}, 1, zero);
  /* The empty sum joins as +0. */
  check_body("y, x", "y += x", &(array){RP_F64, 1, {3}, seven}, &(array){RP_F64, 2, {0, 3}, NULL},
             1, seven);
  check_body("y, x", "y += x", &(array){RP_F64, 1, {3}, minus}, &(array){RP_F64, 2, {0, 3}, NULL},
             1, zero);
}

/* ---- the destination's old value ---------------------------------------------------------------------------------------- */

static void old_values_join_last(void **state) {
  (void)state;
  enum { N = 2500 };
  const double old = 0x1p60;
  double x[N], want;
  for (int i = 0; i < N; i++) x[i] = 100 + random_value[i] * 1e-9;
  const array in = {RP_F64, 1, {N}, x};
  const double first[2] = {old, x[0]};
  want = line(add, x, N) + old;
  assert_true(want != leaf(add, first, 2)); /* the terms are lost one by one if it joined first */
  check_body("s, x", "s += x", &(array){RP_F64, 0, {0}, &old}, &in, 1, &want);
  check_body("s, x", "s += x[i]", &(array){RP_F64, 0, {0}, &old}, &in, 1, &want);
  double three[3] = {old, -old, 1}, sums[3];
  for (int k = 0; k < 3; k++) sums[k] = column_of(add, x + k, 800, 3) + three[k];
  check_body("y, x", "y += x", &(array){RP_F64, 1, {3}, three}, &(array){RP_F64, 2, {800, 3}, x}, 1,
             sums);
  for (int i = 0; i < N; i++) x[i] = 1 + random_value[i] * 1e-19;
  want = line(multiply, x, N) * old;
  check_body("s, x", "s *= x", &(array){RP_F64, 0, {0}, &old}, &in, 1, &want);
  want = lower(line(lower, x, N), 0.25);
  check_body("s, x", "s min= x", &(array){RP_F64, 0, {0}, &(double){0.25}}, &in, 1, &want);
  want = higher(line(higher, x, N), 0.25);
  check_body("s, x", "s max= x", &(array){RP_F64, 0, {0}, &(double){0.25}}, &in, 1, &want);
  check_body("s, x", "s max= x", &(array){RP_F64, 0, {0}, &(double){NAN}}, &in, 1, &(double){NAN});
}

/* ---- dtypes: the destination's accumulates ------------------------------------------------------------------------------ */

static void accumulators_have_the_destinations_dtype(void **state) {
  (void)state;
  enum { N = 3000 };
  static int8_t small[N];
  static double wide[N];
  int64_t sum = 0;
  uint32_t bits_or = 0, bits_and = UINT32_MAX, bits_xor = 0;
  static uint32_t bits[N];
  static unsigned char truth[N];
  int64_t count = 0;
  for (int i = 0; i < N; i++) {
    small[i] = (int8_t)(i * 37);
    sum += small[i];
    wide[i] = (double)random_value4[i];
    bits[i] = (uint32_t)i * 2654435761u & ~8u;
    bits_or |= bits[i];
    bits_and &= bits[i] | 0x10001u;
    bits_xor ^= bits[i];
    truth[i] = (unsigned char)(i % 5 ? i | 2 : 0);
    count += truth[i] != 0;
  }
  const array bytes = {RP_I8, 1, {N}, small};
  check_body("s, x", "s += x", &(array){RP_I8, 0, {0}, NULL}, &bytes, 1, &(int8_t){(int8_t)sum});
  check_body("s, x", "s += x", &(array){RP_I64, 0, {0}, NULL}, &bytes, 1, &sum);
  check_body("s, x", "s = sum(i) x[i]", &(array){RP_I64, 0, {0}, NULL}, &bytes, 1, &sum);
  const double want = line(add, wide, N) + 0.0;
  check_body("s, x", "s += x", &(array){RP_F64, 0, {0}, NULL},
             &(array){RP_F32, 1, {N}, random_value4}, 1, &want);
  const array words = {RP_U32, 1, {N}, bits}, start = {RP_U32, 0, {0}, &(uint32_t){0}};
  check_body("s, x", "s |= x", &start, &words, 1, &bits_or);
  check_body("s, x", "s ^= x", &start, &words, 1, &bits_xor);
  check_body("s, x", "s &= x | 65537", &(array){RP_U32, 0, {0}, &(uint32_t){UINT32_MAX}}, &words, 1,
             &bits_and);
  const array bools = {RP_BOOL, 1, {N}, truth};
  check_body("s, x", "s = sum(i) x[i]", &(array){RP_I64, 0, {0}, NULL}, &bools, 1, &count);
  check_body("s, x", "s = any(i) x[i]", &(array){RP_BOOL, 0, {0}, NULL}, &bools, 1, &(bool){true});
  check_body("s, x", "s = all(i) x[i]", &(array){RP_BOOL, 0, {0}, NULL}, &bools, 1, &(bool){false});
}

/* ---- min, max and where they are ------------------------------------------------------------------------------------------ */

static void extremes_see_nan_and_zeros(void **state) {
  (void)state;
  static double x[2200];
  static const int at[] = {0, 3, 63, 64, 1023, 1024, 2199};
  const array in = {RP_F64, 1, {COUNT(x)}, x}, out = {RP_F64, 0, {0}, NULL};
  for (int i = -1; i < COUNT(at); i++) {
    for (int k = 0; k < COUNT(x); k++) x[k] = 0.0;
    if (i >= 0) x[at[i]] = -0.0;
    check_body("s, x", "s = min(i) x[i]", &out, &in, 1, &(double){i < 0 ? 0.0 : -0.0});
    check_body("s, x", "s = max(i) x[i]", &out, &in, 1, &(double){0.0});
    for (int k = 0; k < COUNT(x); k++) x[k] = k;
    if (i >= 0) x[at[i]] = NAN;
    check_body("s, x", "s = min(i) x[i]", &out, &in, 1, &(double){i < 0 ? 0 : NAN});
    check_body("s, x", "s = max(i) x[i]", &out, &in, 1, &(double){i < 0 ? COUNT(x) - 1 : NAN});
  }
  double last[COUNT(at)];
  for (int i = 0; i < COUNT(at); i++) last[i] = i == 2 ? NAN : i == 4 ? -0.0 : 0.0;
  const double want = NAN;
  check_body("s, x", "s = max(i) x[i]", &out, &(array){RP_F64, 1, {COUNT(at)}, last}, 1, &want);
}

static int64_t place_of(const double *v, int64_t n, bool largest) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; i++) {
    if (isnan(v[best])) break;
    if (isnan(v[i]) || (largest ? v[i] > v[best] : v[i] < v[best])) best = i;
  }
  return best;
}

/* The lowest index of equals, zeros of both signs among them; the first NaN. */
static void places_of_extremes(void **state) {
  (void)state;
  enum { ROWS = 40, COLS = 1500 };
  static double x[ROWS][COLS];
  int64_t low[ROWS], high[ROWS];
  for (int r = 0; r < ROWS; r++) {
    for (int c = 0; c < COLS; c++) {
      const double v = (c * (r + 3) + r) % 17 - 8;
      x[r][c] = r % 4 == 0 ? 0.0 : r % 4 == 1 ? (c % 3 ? 0.0 : -0.0) : v;
    }
    if (r % 5 == 0) x[r][(r * 131 + 64) % COLS] = x[r][(r * 37 + 1200) % COLS] = NAN;
    if (r % 7 == 0) x[r][COLS - 1] = INFINITY;
    low[r] = place_of(x[r], COLS, false);
    high[r] = place_of(x[r], COLS, true);
  }
  const array in = {RP_F64, 2, {ROWS, COLS}, x}, out = {RP_I64, 1, {ROWS}, NULL};
  check_body("y, x", "y[i] = argmin(k) x[i,k]", &out, &in, 1, low);
  check_body("y, x", "y[i] = argmax(k) x[i,k]", &out, &in, 1, high);
  for (int64_t n = 1; n < 70; n++) {
    const int64_t want = place_of(x[2], n, true);
    check_body("y, x", "y = argmax(k) x[k]", &(array){RP_I64, 0, {0}, NULL},
               &(array){RP_F64, 1, {n}, x[2]}, 1, &want);
  }
}

/* ---- independent of layout, fusion, threads -------------------------------------------------------------------------------------- */

enum { A = 290, B = 400 };
static double all_want, row_want[A], col_want[B];

/* The logical array of A x B, in memory in different ways. */
static rp_store *laid_out(rp_context *ctx, int how) {
  static double v[2 * A * B];
  rp_store *s = NULL, *t = NULL;
  switch (how) {
    case 0: return check_store(ctx, 2, (int64_t[]){A, B}, random_value);
    case 1: /* columns first */
      for (int i = 0; i < A * B; i++) v[i % B * A + i / B] = random_value[i];
      s = check_store(ctx, 2, (int64_t[]){B, A}, v);
      OK(rp_store_transpose(s, (int32_t[]){1, 0}, &t));
      break;
    case 2: /* backwards in both axes */
      for (int i = 0; i < A * B; i++) v[A * B - 1 - i] = random_value[i];
      s = check_store(ctx, 2, (int64_t[]){A, B}, v);
      OK(rp_store_slice(s, 0, -1, INT64_MIN, -1, &t));
      OK(rp_store_release(s));
      s = t;
      OK(rp_store_slice(s, 1, -1, INT64_MIN, -1, &t));
      break;
    case 3: /* every second element of a longer one, reshaped */
      for (int i = 0; i < A * B; i++) v[2 * i] = random_value[i];
      s = check_store(ctx, 2, (int64_t[]){A, 2 * B}, v);
      OK(rp_store_slice(s, 1, 0, INT64_MAX, 2, &t));
      break;
    default: /* from one axis */
      s = check_store(ctx, 1, (int64_t[]){A * B}, random_value);
      OK(rp_store_reshape(s, 2, (int64_t[]){A, B}, &t));
      break;
  }
  OK(rp_store_release(s));
  return t;
}

/* `fused`: the array is the sum of a temporary and zeros, so that its producer is fused. */
static void sum_all_ways(rp_context *ctx, const char *where, int how, bool fused) {
  rp_store *x = laid_out(ctx, how), *s = check_store(ctx, 0, NULL, NULL);
  rp_store *r = check_vector(ctx, A, NULL), *c = check_vector(ctx, B, NULL);
  rp_store *y = check_store(ctx, 2, (int64_t[]){A, B}, NULL);
  OK(rp_trace_begin(ctx, 5));
  if (fused) {
    rp_store *t = check_store(ctx, 2, (int64_t[]){A, B}, NULL);
    OK(EVAL(ctx, "t, x", "t = 2*x", t, x));
    OK(EVAL(ctx, "y, t", "y = 0.5*t", y, t));
    OK(rp_store_release(t));
  }
  rp_store *from = fused ? y : x;
  OK(EVAL(ctx, "s, x", "s = sum(i, j) x[i,j]", s, from));
  OK(EVAL(ctx, "r, x", "r[i] = sum(j) x[i,j]", r, from));
  OK(EVAL(ctx, "c, x", "c += x", c, from));
  OK(rp_trace_end(ctx, 5));
  check_elements(where, "sum of all", s, &all_want);
  check_elements(where, "sums of rows", r, row_want);
  check_elements(where, "sums of columns", c, col_want);
  rp_store *all[] = {x, s, r, c, y};
  for (int i = 0; i < COUNT(all); i++) OK(rp_store_release(all[i]));
}

static void order_is_logical(void **state) {
  (void)state;
  all_want = rows(add, random_value, A, B, B);
  for (int i = 0; i < A; i++) row_want[i] = line(add, random_value + i * B, B);
  for (int k = 0; k < B; k++) col_want[k] = column_of(add, random_value + k, A, B) + 0.0;
  for (int w = 0; w < n_ways; w++)
    for (int how = 0; how < 5; how++) {
      char where[64];
      snprintf(where, sizeof where, "%s, layout %d", ways[w].name, how);
      sum_all_ways(ways[w].ctx, where, how, false);
      sum_all_ways(ways[w].ctx, where, how, true);
    }
}

static void order_is_free_of_threads(void **state) {
  (void)state;
  static const int threads[] = {1, 2, 3, 7};
  const double one = line(add, random_value, MANY);
  for (int t = 0; t < COUNT(threads); t++)
    for (int tier = 0; tier < 2; tier++) {
      char config[64], where[64];
      snprintf(config, sizeof config, "--threads %d --grain 1 --tier %d", threads[t], tier);
      snprintf(where, sizeof where, "%d threads, tier %d", threads[t], tier);
      rp_context *ctx = ways_context(config);
      sum_all_ways(ctx, where, 0, false);
      sum_all_ways(ctx, where, 1, true);
      rp_store *x = check_vector(ctx, MANY, random_value), *s = check_store(ctx, 0, NULL, NULL);
      OK(EVAL(ctx, "s, x", "s = sum(i) x[i]", s, x));
      check_elements(where, "one axis", s, &one);
      OK(rp_store_release(x));
      OK(rp_store_release(s));
      OK(rp_context_destroy(ctx));
    }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(leaves_have_64_accumulators),
                                     cmocka_unit_test(leaves_form_a_pairwise_tree),
                                     cmocka_unit_test(rows_come_after_leaves),
                                     cmocka_unit_test(rows_of_kept_axes),
                                     cmocka_unit_test(outer_axes_in_leaves_of_256_rows),
                                     cmocka_unit_test(segments_short_in_order_long_in_leaves),
                                     cmocka_unit_test(loops_follow_the_same_order),
                                     cmocka_unit_test(padding_takes_no_part),
                                     cmocka_unit_test(zeros_keep_their_signs),
                                     cmocka_unit_test(nothing_gives_the_empty_value),
                                     cmocka_unit_test(old_values_join_last),
                                     cmocka_unit_test(accumulators_have_the_destinations_dtype),
                                     cmocka_unit_test(extremes_see_nan_and_zeros),
                                     cmocka_unit_test(places_of_extremes),
                                     cmocka_unit_test(order_is_logical),
                                     cmocka_unit_test(order_is_free_of_threads)};
  return cmocka_run_group_tests(tests, open_all, ways_close);
}
