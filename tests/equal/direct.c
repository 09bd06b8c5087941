/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/direct.c -- expressions by the rules, one element at a time: see direct.h.
 *
 * How: a value is a cell, a double for the float dtypes and else an int64_t (of u64: its bits), always
 *      brought to its dtype. Where a tree mixes dtypes by promotion, or computes with weak literals alone
 *      in a narrow dtype, it is not covered: which dtype that happens in is not for this file. */
#include "tests/equal/direct.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
  D_NONE,
  D_ADD,
  D_SUB,
  D_MUL,
  D_DIV,
  D_MIN,
  D_MAX,
  D_SQRT,
  D_ABS,
  D_NEG,
  D_WHERE,
  D_FMA,
  D_FLOOR,
  D_FDIV,
  D_MOD,
  D_AND,
  D_OR,
  D_XOR,
  D_SHL,
  D_SHR,
  D_NOT,
  D_INV,
  D_SELECT,
  D_LT,
  D_LE,
  D_EQ,
  D_NE
};

#define BOTH (DIRECT_FLOAT | DIRECT_INT)

const direct_op direct_ops[] = {
    {"", 0, 0, 0},
    {"", 0, 0, 0},
    {"", 1, 0, 0},
    {"(%s ^ %s)", 2, DIRECT_INT | DIRECT_LOGIC, D_XOR},
    {"(%s + %s)", 2, BOTH, D_ADD},
    {"(%s - %s)", 2, BOTH, D_SUB},
    {"(%s*%s)", 2, BOTH, D_MUL},
    {"(%s/%s)", 2, DIRECT_FLOAT, D_DIV},
    {"minimum(%s, %s)", 2, BOTH, D_MIN},
    {"maximum(%s, %s)", 2, BOTH, D_MAX},
    {"sqrt(%s)", 1, DIRECT_FLOAT, D_SQRT},
    {"abs(%s)", 1, BOTH, D_ABS},
    {"(-%s)", 1, BOTH, D_NEG},
    {"where(%s < %s, %s, 1)", 3, BOTH, D_WHERE},
    {"where(%s, %s, %s)", 3, BOTH | DIRECT_SELECT, D_SELECT},
    {"fma(%s, %s, %s)", 3, DIRECT_FLOAT, D_FMA},
    {"floor(%s)", 1, DIRECT_FLOAT, D_FLOOR},
    {"(%s // %s)", 2, DIRECT_INT, D_FDIV},
    {"(%s % %s)", 2, DIRECT_INT, D_MOD},
    {"(%s & %s)", 2, DIRECT_INT | DIRECT_LOGIC, D_AND},
    {"(%s | %s)", 2, DIRECT_INT | DIRECT_LOGIC, D_OR},
    {"(%s << %s)", 2, DIRECT_INT, D_SHL},
    {"(%s >> %s)", 2, DIRECT_INT, D_SHR},
    {"(~%s)", 1, DIRECT_INT, D_INV},
    {"(!%s)", 1, DIRECT_LOGIC, D_NOT},
    {"(%s && %s)", 2, DIRECT_LOGIC, D_AND},
    {"(%s || %s)", 2, DIRECT_LOGIC, D_OR},
    {"logical_xor(%s, %s)", 2, DIRECT_LOGIC, D_XOR},
    {"(%s < %s)", 2, DIRECT_LOGIC | DIRECT_TEST, D_LT},
    {"(%s <= %s)", 2, DIRECT_LOGIC | DIRECT_TEST, D_LE},
    {"(%s == %s)", 2, DIRECT_LOGIC | DIRECT_TEST, D_EQ},
    {"(%s != %s)", 2, DIRECT_LOGIC | DIRECT_TEST, D_NE},
    {"isfinite(%s)", 1, DIRECT_LOGIC | DIRECT_TEST, 0},
    {"signbit(%s)", 1, DIRECT_LOGIC | DIRECT_TEST, 0},
    {"sign(%s)", 1, BOTH, 0},
    {"square(%s)", 1, BOTH, 0},
    {"clip(%s, 1, %s)", 2, BOTH, 0},
#define MATH_1(name) \
  { name "(%s)", 1, DIRECT_MATH, 0 }
#define MATH_2(name) \
  { name "(%s, %s)", 2, DIRECT_MATH, 0 }
    MATH_1("exp"),
    MATH_1("exp2"),
    MATH_1("expm1"),
    MATH_1("log"),
    MATH_1("log2"),
    MATH_1("log10"),
    MATH_1("log1p"),
    MATH_1("sin"),
    MATH_1("cos"),
    MATH_1("tan"),
    MATH_1("asin"),
    MATH_1("acos"),
    MATH_1("atan"),
    MATH_1("sinh"),
    MATH_1("cosh"),
    MATH_1("tanh"),
    MATH_1("asinh"),
    MATH_1("acosh"),
    MATH_1("atanh"),
    MATH_1("cbrt"),
    MATH_1("erf"),
    MATH_1("erfc"),
    MATH_1("tgamma"),
    MATH_1("lgamma"),
    MATH_1("ceil"),
    MATH_1("trunc"),
    MATH_1("rint"),
    MATH_1("reciprocal"),
    MATH_1("deg2rad"),
    MATH_1("rad2deg"),
    MATH_2("atan2"),
    MATH_2("hypot"),
    MATH_2("copysign"),
    MATH_2("fmin"),
    MATH_2("fmax"),
    MATH_2("fmod"),
    MATH_2("nextafter"),
    {"(%s ** %s)", 2, DIRECT_MATH, 0},
    {"(%s ** 2)", 1, DIRECT_MATH, 0},
    {"(%s // %s)", 2, DIRECT_MATH, 0},
    {"(%s % %s)", 2, DIRECT_MATH, 0},
};
const int32_t direct_n_ops = (int32_t)(sizeof direct_ops / sizeof *direct_ops);

typedef union cell {
  double f;
  int64_t i;
} cell;

static bool is_float(rp_dtype d) { return d >= RP_F32; }
static bool is_signed(rp_dtype d) { return d >= RP_I8 && d <= RP_I64; }

/* ---- scalars: section 1 */

static int64_t wrap(uint64_t v) { return (int64_t)v; }

/* The value in the dtype: rounded, or its low bits. */
static cell narrow(rp_dtype d, cell v) {
  switch (d) {
    case RP_BOOL: v.i = v.i != 0; break;
    case RP_I8: v.i = (int8_t)v.i; break;
    case RP_I16: v.i = (int16_t)v.i; break;
    case RP_I32: v.i = (int32_t)v.i; break;
    case RP_U8: v.i = (uint8_t)v.i; break;
    case RP_U16: v.i = (uint16_t)v.i; break;
    case RP_U32: v.i = (uint32_t)v.i; break;
    case RP_F32: v.f = (double)(float)v.f; break;
    default: break;
  }
  return v;
}

static double min_f(double a, double b) {
  if (isnan(a) || isnan(b)) return (double)NAN;
  if (a == b) return signbit(a) ? a : b;
  return a < b ? a : b;
}

static double max_f(double a, double b) {
  if (isnan(a) || isnan(b)) return (double)NAN;
  if (a == b) return signbit(a) ? b : a;
  return a > b ? a : b;
}

/* Sums and products of floats are exact in double, or round once more without harm; quotients may
 * become subnormal, and fma must round once: those are computed in the dtype itself. */
static double op_f(int32_t code, rp_dtype d, const cell *k) {
  const double a = k[0].f, b = k[1].f;
  switch (code) {
    case D_ADD: return a + b;
    case D_SUB: return a - b;
    case D_MUL: return a * b;
    case D_DIV: return d == RP_F32 ? (double)((float)a / (float)b) : a / b;
    case D_MIN: return min_f(a, b);
    case D_MAX: return max_f(a, b);
    case D_SQRT: return sqrt(a);
    case D_ABS: return fabs(a);
    case D_NEG: return -a;
    case D_WHERE: return a < b ? k[2].f : 1;
    case D_SELECT: return k[0].i ? b : k[2].f;
    case D_FMA:
      return d == RP_F32 ? (double)fmaf((float)a, (float)b, (float)k[2].f) : fma(a, b, k[2].f);
    case D_FLOOR: return floor(a);
    default: abort();
  }
}

static int64_t floordiv(rp_dtype d, int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (!is_signed(d)) return wrap((uint64_t)a / (uint64_t)b);
  if (b == -1) return wrap(-(uint64_t)a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static bool less(rp_dtype d, int64_t a, int64_t b) {
  return is_signed(d) ? a < b : (uint64_t)a < (uint64_t)b;
}

static int64_t shift(rp_dtype d, bool left, int64_t a, int64_t by) {
  const uint64_t b = (uint64_t)by, width = 8 * rp_dtype_size(d);
  if (b >= width) return !left && is_signed(d) && a < 0 ? -1 : 0;
  if (left) return wrap((uint64_t)a << b);
  return is_signed(d) ? a >> b : wrap((uint64_t)a >> b);
}

static int64_t op_i(int32_t code, rp_dtype d, const cell *k) {
  const int64_t x = k[0].i, y = k[1].i;
  const uint64_t a = (uint64_t)x, b = (uint64_t)y;
  switch (code) {
    case D_ADD: return wrap(a + b);
    case D_SUB: return wrap(a - b);
    case D_MUL: return wrap(a * b);
    case D_MIN: return less(d, x, y) ? x : y;
    case D_MAX: return less(d, y, x) ? x : y;
    case D_ABS: return is_signed(d) && x < 0 ? wrap(-a) : x;
    case D_NEG: return wrap(-a);
    case D_WHERE: return less(d, x, y) ? k[2].i : 1;
    case D_SELECT: return x ? y : k[2].i;
    case D_FDIV: return floordiv(d, x, y);
    case D_MOD: return y == 0 ? 0 : wrap(a - (uint64_t)floordiv(d, x, y) * b);
    case D_AND: return x & y;
    case D_OR: return x | y;
    case D_XOR: return x ^ y;
    case D_SHL: return shift(d, true, x, y);
    case D_SHR: return shift(d, false, x, y);
    case D_INV: return ~x;
    case D_NOT: return !x;
    default: abort();
  }
}

/* d is the dtype of what is compared. */
static bool compare(int32_t code, rp_dtype d, cell a, cell b) {
  const bool f = is_float(d);
  switch (code) {
    case D_LT: return f ? a.f < b.f : less(d, a.i, b.i);
    case D_LE: return f ? a.f <= b.f : !less(d, b.i, a.i);
    case D_EQ: return f ? a.f == b.f : a.i == b.i;
    default: return f ? a.f != b.f : a.i != b.i;
  }
}

/* Truncated towards zero, between the dtype's bounds; NaN is 0. */
static int64_t truncated(double v, rp_dtype to) {
  const int32_t bits = 8 * (int32_t)rp_dtype_size(to) - is_signed(to);
  const double top = ldexp(1.0, bits), low = is_signed(to) ? -top : 0;
  if (isnan(v)) return 0;
  if (v <= low) return is_signed(to) ? wrap(~UINT64_C(0) << bits) : 0;
  if (v >= top) return wrap(bits == 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1);
  return is_signed(to) ? (int64_t)v : wrap((uint64_t)v);
}

static cell convert(rp_dtype from, rp_dtype to, cell v) {
  cell r;
  if (is_float(from) && is_float(to))
    r = v;
  else if (is_float(from))
    r.i = to == RP_BOOL ? v.f != 0 : truncated(v.f, to);
  else if (!is_float(to))
    r = v;
  else if (to == RP_F32)
    r.f = (double)(from == RP_U64 ? (float)(uint64_t)v.i : (float)v.i);
  else
    r.f = from == RP_U64 ? (double)(uint64_t)v.i : (double)v.i;
  return narrow(to, r);
}

/* ---- arrays */

static cell load(const direct_array *a, int64_t at) {
  cell v = {.i = 0};
  float f;
  const size_t size = rp_dtype_size(a->dtype);
  memcpy(a->dtype == RP_F32 ? (void *)&f : (void *)&v, (const char *)a->data + at * (int64_t)size,
         size);
  if (a->dtype == RP_F32) v.f = (double)f;
  return a->dtype == RP_F64 ? v : narrow(a->dtype, v);
}

static void put(const direct_array *a, void *out, int64_t at, cell v) {
  const float f = a->dtype == RP_F32 ? (float)v.f : 0;
  const size_t size = rp_dtype_size(a->dtype);
  memcpy((char *)out + at * (int64_t)size, a->dtype == RP_F32 ? (const void *)&f : (const void *)&v,
         size);
}

/* ---- trees */

typedef struct point {
  const program_step *s;
  const direct_array *arg;
  int32_t ndim;
  int64_t index[RP_MAX_DIM];
} point;

/* Element of an operand at the point, aligned from the right. */
static int64_t element(const point *p, const direct_array *a) {
  int64_t at = 0;
  for (int32_t d = 0; d < a->ndim; d++) {
    const int64_t i = a->shape[d] == 1 ? 0 : p->index[p->ndim - a->ndim + d];
    at = at * a->shape[d] + i;
  }
  return at;
}

static cell eval(const point *p, int32_t at) {
  const program_node *n = &p->s->node[at];
  const direct_op *op = &direct_ops[n->op];
  cell k[3] = {{0}, {0}, {0}}, r = {.i = (int64_t)n->literal};
  if (n->op == DIRECT_OPERAND && n->operand >= 0)
    return load(&p->arg[n->operand], element(p, &p->arg[n->operand]));
  if (n->op == DIRECT_OPERAND || (n->op == DIRECT_LITERAL && is_float(n->dtype))) {
    r.f = n->op == DIRECT_LITERAL ? n->literal : p->s->scalar[-1 - n->operand];
    return narrow(n->dtype, r);
  }
  if (n->op == DIRECT_LITERAL) return r;
  for (int32_t i = 0; i < op->n_kid; i++) k[i] = eval(p, n->kid[i]);
  const rp_dtype of = p->s->node[n->kid[0]].dtype;
  if (n->op == DIRECT_CAST) return convert(of, n->dtype, k[0]);
  if (op->use & DIRECT_TEST)
    r.i = compare(op->code, of, k[0], k[1]);
  else if (is_float(n->dtype))
    r.f = op_f(op->code, n->dtype, k);
  else
    r.i = op_i(op->code, n->dtype, k);
  return narrow(n->dtype, r);
}

/* Has operand i a say in the dtype of the result? What is only compared or chosen by has none. */
static bool gives_dtype(const direct_op *op, int32_t i) {
  if (op->code == D_WHERE) return i == 2;
  return i > 0 || !(op->use & DIRECT_SELECT);
}

/* Its dtype comes from literals and scalars of the host alone. */
static bool weak(const program_step *s, int32_t at) {
  const program_node *n = &s->node[at];
  if (n->op == DIRECT_LITERAL) return n->dtype != RP_BOOL;
  if (n->op == DIRECT_OPERAND) return n->operand < 0;
  if (n->op == DIRECT_CAST) return false;
  for (int32_t i = 0; i < direct_ops[n->op].n_kid; i++)
    if (gives_dtype(&direct_ops[n->op], i) && !weak(s, n->kid[i])) return false;
  return true;
}

static bool node_covered(const program_step *s, const program_node *n) {
  const direct_op *op = &direct_ops[n->op];
  if (n->op == DIRECT_OPERAND || n->op == DIRECT_LITERAL) return true;
  if (n->op == DIRECT_CAST) return !weak(s, n->kid[0]);
  if (!op->code) return false;
  const rp_dtype same = op->use & DIRECT_TEST ? s->node[n->kid[0]].dtype : n->dtype;
  bool all_weak = true;
  for (int32_t i = 0; i < op->n_kid; i++) {
    const bool condition = i == 0 && op->use & DIRECT_SELECT;
    if (s->node[n->kid[i]].dtype != (condition ? RP_BOOL : same)) return false;
    if (gives_dtype(op, i)) all_weak = all_weak && weak(s, n->kid[i]);
  }
  return !all_weak || same == RP_F64 || same == RP_I64;
}

static bool covered(const program_step *s, const direct_array *arg) {
  if (s->n_node == 0 || s->node[0].dtype != arg[0].dtype) return false;
  for (int32_t i = 0; i < s->n_store; i++)
    if (arg[i].dtype < 0) return false;
  for (int32_t i = 0; i < s->n_node; i++) {
    const program_node *n = &s->node[i];
    if (n->op == DIRECT_OPERAND && n->operand >= 0 && arg[n->operand].dtype != n->dtype)
      return false;
    if (!node_covered(s, n)) return false;
  }
  return true;
}

/* ---- reductions: section 3 */

static cell join(int32_t asg, rp_dtype d, cell a, cell b) {
  const int32_t code = asg == '+'   ? D_ADD
                       : asg == '*' ? D_MUL
                       : asg == 'm' ? D_MIN
                       : asg == 'M' ? D_MAX
                       : asg == '&' ? D_AND
                       : asg == '|' ? D_OR
                                    : D_XOR;
  const cell k[3] = {a, b, {0}};
  cell r;
  if (is_float(d))
    r.f = op_f(code, d, k);
  else
    r.i = op_i(code, d, k);
  return narrow(d, r);
}

/* Neighbours are joined, level by level; what is odd moves up alone. */
static cell tree(int32_t asg, rp_dtype d, cell *v, int64_t n) {
  for (; n > 1; n = (n + 1) / 2) {
    for (int64_t i = 0; i < n / 2; i++) v[i] = join(asg, d, v[2 * i], v[2 * i + 1]);
    if (n % 2) v[n / 2] = v[n - 1];
  }
  return v[0];
}

/* At most 1024 elements in 64 accumulators. */
static cell leaf(int32_t asg, rp_dtype d, const cell *v, int64_t n) {
  cell acc[64];
  const int64_t have = n < 64 ? n : 64;
  for (int64_t i = 0; i < n; i++) acc[i % 64] = i < 64 ? v[i] : join(asg, d, acc[i % 64], v[i]);
  for (int64_t half = 32; half > 0; half /= 2)
    for (int64_t i = 0; i < half; i++)
      if (i + half < have) acc[i] = join(asg, d, acc[i], acc[i + half]);
  return acc[0];
}

static cell inner(int32_t asg, rp_dtype d, const cell *v, int64_t rows, int64_t n) {
  const int64_t leaves = (n + 1023) / 1024;
  cell *part = malloc(sizeof *part * (size_t)leaves), *row = malloc(sizeof *row * (size_t)rows);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t l = 0; l < leaves; l++) {
      const int64_t left = n - 1024 * l;
      part[l] = leaf(asg, d, v + r * n + 1024 * l, left < 1024 ? left : 1024);
    }
    row[r] = tree(asg, d, part, leaves);
  }
  const cell all = tree(asg, d, row, rows);
  free(part);
  free(row);
  return all;
}

static cell outer(int32_t asg, rp_dtype d, const cell *v, int64_t rows, int64_t step) {
  const int64_t leaves = (rows + 255) / 256;
  cell *part = malloc(sizeof *part * (size_t)leaves);
  for (int64_t r = 0; r < rows; r++)
    part[r / 256] = r % 256 == 0 ? v[r * step] : join(asg, d, part[r / 256], v[r * step]);
  const cell all = tree(asg, d, part, leaves);
  free(part);
  return all;
}

/* ---- launches */

static void reduce(const program_step *s, const direct_array *to, const int64_t *shape,
                   int32_t ndim, const cell *v, void *out) {
  const int64_t n = ndim > 0 ? shape[ndim - 1] : 1;
  int64_t rows = 1;
  for (int32_t d = 0; d < ndim - 1; d++) rows *= shape[d];
  for (int64_t i = 0; i < to->size; i++) {
    cell sum;
    if (to->ndim == 0) {
      sum = inner(s->asg, to->dtype, v, rows, n);
    } else if (to->ndim == ndim) { /* the last axis */
      sum = inner(s->asg, to->dtype, v + i * n, 1, n);
    } else {
      sum = outer(s->asg, to->dtype, v + i, rows, n);
    }
    put(to, out, i, join(s->asg, to->dtype, load(to, i), sum));
  }
}

static bool reduces_well(const direct_array *to, const int64_t *shape, int32_t ndim) {
  if (to->ndim == 0) return true;
  if (to->ndim == ndim && to->shape[ndim - 1] == 1 && shape[ndim - 1] != 1) {
    for (int32_t d = 0; d < ndim - 1; d++)
      if (to->shape[d] != shape[d]) return false;
    return true;
  }
  return ndim == 2 && to->ndim == 1 && to->shape[0] == shape[1];
}

/* ---- scatters: a segment for each element, in the order of the points */

static int64_t key_of(const direct_array *a, int64_t at) { return load(a, at).i; }

static bool scatter(const program_step *s, const direct_array *arg, void *out) {
  const direct_array *to = &arg[0], *key = &arg[1];
  point p = {.s = s, .arg = arg, .ndim = 1};
  for (int32_t i = 1; i < s->n_store; i++)
    if (arg[i].ndim != 1 || arg[i].size != key->size) return false;
  for (int64_t i = 0; i < key->size; i++)
    if (key_of(key, i) < 0 || key_of(key, i) >= to->size) return false;
  cell *v = malloc(sizeof *v * (size_t)(key->size + 1));
  for (int64_t e = 0; e < to->size; e++) {
    int64_t n = 0;
    for (int64_t i = 0; i < key->size; i++) {
      if (key_of(key, i) != e) continue;
      p.index[0] = i;
      v[n++] = eval(&p, 0);
    }
    cell sum = n > 0 ? v[0] : load(to, e);
    if (n > 32) sum = inner(s->asg, to->dtype, v, 1, n);
    for (int64_t i = 1; i < n && n <= 32; i++) sum = join(s->asg, to->dtype, sum, v[i]);
    put(to, out, e, n > 0 ? join(s->asg, to->dtype, load(to, e), sum) : sum);
  }
  free(v);
  return true;
}

bool direct_launch(const program_step *s, const direct_array *arg, void *out) {
  if (!covered(s, arg)) return false;
  if (s->scatter) return scatter(s, arg, out);
  point p = {.s = s, .arg = arg};
  int64_t shape[RP_MAX_DIM], size = 1;
  for (int32_t i = 0; i < s->n_store; i++)
    if (arg[i].ndim > p.ndim) p.ndim = arg[i].ndim;
  for (int32_t d = 0; d < p.ndim; d++) shape[d] = 1;
  for (int32_t i = 0; i < s->n_store; i++)
    for (int32_t d = 0; d < arg[i].ndim; d++)
      if (arg[i].shape[d] != 1) shape[p.ndim - arg[i].ndim + d] = arg[i].shape[d];
  for (int32_t d = 0; d < p.ndim; d++) size *= shape[d];
  if (s->asg && (size == 0 || !reduces_well(&arg[0], shape, p.ndim))) return false;
  cell *v = malloc(sizeof *v * (size_t)(size + 1));
  for (int64_t i = 0; i < size; i++) {
    int64_t rest = i;
    for (int32_t d = p.ndim - 1; d >= 0; d--) {
      p.index[d] = rest % shape[d];
      rest /= shape[d];
    }
    v[i] = eval(&p, 0);
  }
  if (s->asg) {
    reduce(s, &arg[0], shape, p.ndim, v, out);
  } else {
    for (int64_t i = 0; i < size; i++) put(&arg[0], out, i, v[i]);
  }
  free(v);
  return true;
}

int64_t direct_differ(rp_dtype dtype, const void *a, const void *b, int64_t n) {
  const size_t size = rp_dtype_size(dtype);
  const char *x = a, *y = b;
  if (n == 0 || memcmp(a, b, (size_t)n * size) == 0) return -1;
  for (int64_t i = 0; i < n; i++, x += size, y += size) {
    if (memcmp(x, y, size) == 0) continue;
    double u = 0, w = 0;
    if (dtype == RP_F64) {
      memcpy(&u, x, 8);
      memcpy(&w, y, 8);
    } else if (dtype == RP_F32) {
      float f, g;
      memcpy(&f, x, 4);
      memcpy(&g, y, 4);
      u = (double)f;
      w = (double)g;
    }
    if (!isnan(u) || !isnan(w)) return i;
  }
  return -1;
}
