/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/direct.c -- see direct.h. */
#include "tests/equal/direct.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { D_NONE, D_ADD, D_SUB, D_MUL, D_DIV, D_MIN, D_MAX, D_SQRT, D_ABS, D_NEG, D_WHERE, D_FMA, D_FLOOR,
       D_FDIV, D_MOD, D_AND, D_OR, D_XOR, D_SHL, D_SHR, D_NOT };

const direct_op direct_ops[] = {
    {"", 0, 0, 0},
    {"", 0, 0, 0},
    {"", 1, 0, 0},
    {"(%s + %s)", 2, DIRECT_FLOAT | DIRECT_INT, D_ADD},
    {"(%s - %s)", 2, DIRECT_FLOAT | DIRECT_INT, D_SUB},
    {"(%s*%s)", 2, DIRECT_FLOAT | DIRECT_INT, D_MUL},
    {"(%s/%s)", 2, DIRECT_FLOAT, D_DIV},
    {"minimum(%s, %s)", 2, DIRECT_FLOAT | DIRECT_INT, D_MIN},
    {"maximum(%s, %s)", 2, DIRECT_FLOAT | DIRECT_INT, D_MAX},
    {"sqrt(%s)", 1, DIRECT_FLOAT, D_SQRT},
    {"abs(%s)", 1, DIRECT_FLOAT | DIRECT_INT, D_ABS},
    {"(-%s)", 1, DIRECT_FLOAT | DIRECT_INT, D_NEG},
    {"where(%s < %s, %s, 1)", 3, DIRECT_FLOAT | DIRECT_INT, D_WHERE},
    {"fma(%s, %s, %s)", 3, DIRECT_FLOAT, D_FMA},
    {"floor(%s)", 1, DIRECT_FLOAT, D_FLOOR},
    {"(%s // %s)", 2, DIRECT_INT, D_FDIV},
    {"(%s %% %s)", 2, DIRECT_INT, D_MOD},
    {"(%s & %s)", 2, DIRECT_INT | DIRECT_LOGIC, D_AND},
    {"(%s | %s)", 2, DIRECT_INT | DIRECT_LOGIC, D_OR},
    {"(%s ^ %s)", 2, DIRECT_INT | DIRECT_LOGIC, D_XOR},
    {"(%s << %s)", 2, DIRECT_INT, D_SHL},
    {"(%s >> %s)", 2, DIRECT_INT, D_SHR},
    {"(!%s)", 1, DIRECT_LOGIC, D_NOT},
    {"exp(%s)", 1, DIRECT_MATH, 0},
    {"sin(%s)", 1, DIRECT_MATH, 0},
    {"tanh(%s)", 1, DIRECT_MATH, 0},
    {"log(%s)", 1, DIRECT_MATH, 0},
    {"erf(%s)", 1, DIRECT_MATH, 0},
    {"atan2(%s, %s)", 2, DIRECT_MATH, 0},
    {"(%s ** %s)", 2, DIRECT_MATH, 0},
    {"(%s // %s)", 2, DIRECT_MATH, 0},
    {"(%s %% %s)", 2, DIRECT_MATH, 0},
    {"copysign(%s, %s)", 2, DIRECT_MATH, 0},
    {"fmin(%s, %s)", 2, DIRECT_MATH, 0},
    {"clip(%s, %s, 3)", 2, DIRECT_MATH, 0},
    {"rint(%s)", 1, DIRECT_MATH, 0},
    {"cbrt(%s)", 1, DIRECT_MATH, 0},
};
const int32_t direct_n_ops = (int32_t)(sizeof direct_ops / sizeof *direct_ops);

/* ---- scalars: section 1 */

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

static double op_f(int32_t code, const double *k) {
  switch (code) {
    case D_ADD: return k[0] + k[1];
    case D_SUB: return k[0] - k[1];
    case D_MUL: return k[0] * k[1];
    case D_DIV: return k[0] / k[1];
    case D_MIN: return min_f(k[0], k[1]);
    case D_MAX: return max_f(k[0], k[1]);
    case D_SQRT: return sqrt(k[0]);
    case D_ABS: return fabs(k[0]);
    case D_NEG: return -k[0];
    case D_WHERE: return k[0] < k[1] ? k[2] : 1;
    case D_FMA: return fma(k[0], k[1], k[2]);
    case D_FLOOR: return floor(k[0]);
    default: abort();
  }
}

static int64_t wrap(uint64_t v) { return (int64_t)v; }

static int64_t floordiv(int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (b == -1) return wrap(-(uint64_t)a);
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static int64_t op_i(int32_t code, const int64_t *k) {
  const uint64_t a = (uint64_t)k[0], b = (uint64_t)k[1];
  switch (code) {
    case D_ADD: return wrap(a + b);
    case D_SUB: return wrap(a - b);
    case D_MUL: return wrap(a * b);
    case D_MIN: return k[0] < k[1] ? k[0] : k[1];
    case D_MAX: return k[0] > k[1] ? k[0] : k[1];
    case D_ABS: return k[0] < 0 ? wrap(-a) : k[0];
    case D_NEG: return wrap(-a);
    case D_WHERE: return k[0] < k[1] ? k[2] : 1;
    case D_FDIV: return floordiv(k[0], k[1]);
    case D_MOD: return k[1] == 0 || k[1] == -1 ? 0 : wrap(a - (uint64_t)floordiv(k[0], k[1]) * b);
    case D_AND: return k[0] & k[1];
    case D_OR: return k[0] | k[1];
    case D_XOR: return k[0] ^ k[1];
    case D_SHL: return b >= 64 ? 0 : wrap(a << b);
    case D_SHR: return b >= 64 ? (k[0] < 0 ? -1 : 0) : k[0] >> b;
    default: abort();
  }
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

static double eval_f(const point *p, int32_t at) {
  const program_node *n = &p->s->node[at];
  double k[3] = {0, 0, 0};
  if (n->op == DIRECT_LITERAL) return n->literal;
  if (n->op == DIRECT_OPERAND) {
    if (n->operand < 0) return p->s->scalar[-1 - n->operand];
    return ((const double *)p->arg[n->operand].data)[element(p, &p->arg[n->operand])];
  }
  for (int32_t i = 0; i < direct_ops[n->op].n_kid; i++) k[i] = eval_f(p, n->kid[i]);
  return op_f(direct_ops[n->op].code, k);
}

static int64_t eval_i(const point *p, int32_t at) {
  const program_node *n = &p->s->node[at];
  int64_t k[3] = {0, 0, 0};
  if (n->op == DIRECT_LITERAL) return (int64_t)n->literal;
  if (n->op == DIRECT_OPERAND) {
    const direct_array *a = &p->arg[n->operand];
    if (a->dtype == RP_BOOL) return ((const uint8_t *)a->data)[element(p, a)] != 0;
    return ((const int64_t *)a->data)[element(p, a)];
  }
  for (int32_t i = 0; i < direct_ops[n->op].n_kid; i++) k[i] = eval_i(p, n->kid[i]);
  if (direct_ops[n->op].code == D_NOT) return !k[0];
  return op_i(direct_ops[n->op].code, k);
}

static bool covered(const program_step *s, const direct_array *arg) {
  if (s->n_node == 0) return false;
  const rp_dtype d = arg[0].dtype;
  if (d != RP_F64 && d != RP_I64 && d != RP_BOOL) return false;
  for (int32_t i = 1; i < s->n_store; i++)
    if (arg[i].dtype != d) return false;
  for (int32_t i = 0; i < s->n_node; i++) {
    const program_node *n = &s->node[i];
    if (n->op == DIRECT_CAST || (n->op >= DIRECT_FIRST && !direct_ops[n->op].code)) return false;
    if (d != RP_F64 && n->op == DIRECT_OPERAND && n->operand < 0) return false;
  }
  return true;
}

/* ---- reductions: section 3 */

typedef union cell {
  double f;
  int64_t i;
} cell;

static cell join(int32_t asg, bool f, cell a, cell b) {
  cell r;
  if (f) {
    r.f = asg == '+' ? a.f + b.f : asg == 'm' ? min_f(a.f, b.f) : max_f(a.f, b.f);
  } else if (asg == '+') {
    r.i = wrap((uint64_t)a.i + (uint64_t)b.i);
  } else {
    r.i = (asg == 'm') == (a.i < b.i) ? a.i : b.i;
  }
  return r;
}

/* Neighbours are joined, level by level; what is odd moves up alone. */
static cell tree(int32_t asg, bool f, cell *v, int64_t n) {
  for (; n > 1; n = (n + 1) / 2) {
    for (int64_t i = 0; i < n / 2; i++) v[i] = join(asg, f, v[2 * i], v[2 * i + 1]);
    if (n % 2) v[n / 2] = v[n - 1];
  }
  return v[0];
}

/* At most 1024 elements in 64 accumulators. */
static cell leaf(int32_t asg, bool f, const cell *v, int64_t n) {
  cell acc[64];
  const int64_t have = n < 64 ? n : 64;
  for (int64_t i = 0; i < n; i++) acc[i % 64] = i < 64 ? v[i] : join(asg, f, acc[i % 64], v[i]);
  for (int64_t half = 32; half > 0; half /= 2)
    for (int64_t i = 0; i < half; i++)
      if (i + half < have) acc[i] = join(asg, f, acc[i], acc[i + half]);
  return acc[0];
}

static cell inner(int32_t asg, bool f, const cell *v, int64_t rows, int64_t n) {
  const int64_t leaves = (n + 1023) / 1024;
  cell *part = malloc(sizeof *part * (size_t)leaves), *row = malloc(sizeof *row * (size_t)rows);
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t l = 0; l < leaves; l++) {
      const int64_t left = n - 1024 * l;
      part[l] = leaf(asg, f, v + r * n + 1024 * l, left < 1024 ? left : 1024);
    }
    row[r] = tree(asg, f, part, leaves);
  }
  const cell all = tree(asg, f, row, rows);
  free(part);
  free(row);
  return all;
}

static cell outer(int32_t asg, bool f, const cell *v, int64_t rows, int64_t step) {
  const int64_t leaves = (rows + 255) / 256;
  cell *part = malloc(sizeof *part * (size_t)leaves);
  for (int64_t r = 0; r < rows; r++)
    part[r / 256] = r % 256 == 0 ? v[r * step] : join(asg, f, part[r / 256], v[r * step]);
  const cell all = tree(asg, f, part, leaves);
  free(part);
  return all;
}

/* ---- launches */

static void put(const direct_array *a, void *out, int64_t i, cell v) {
  if (a->dtype == RP_BOOL) {
    ((uint8_t *)out)[i] = v.i != 0;
  } else {
    memcpy((char *)out + 8 * i, &v, 8);
  }
}

static void reduce(const program_step *s, const direct_array *to, const int64_t *shape, int32_t ndim,
                   const cell *v, void *out) {
  const bool f = to->dtype == RP_F64;
  const int64_t n = ndim > 0 ? shape[ndim - 1] : 1;
  int64_t rows = 1;
  for (int32_t d = 0; d < ndim - 1; d++) rows *= shape[d];
  for (int64_t i = 0; i < to->size; i++) {
    cell sum, old;
    memcpy(&old, (const char *)to->data + 8 * i, 8);
    if (to->ndim == 0) {
      sum = inner(s->asg, f, v, rows, n);
    } else if (to->ndim == ndim) { /* the last axis */
      sum = inner(s->asg, f, v + i * n, 1, n);
    } else {
      sum = outer(s->asg, f, v + i, rows, n);
    }
    put(to, out, i, join(s->asg, f, old, sum));
  }
}

static bool reduces_well(const direct_array *to, const int64_t *shape, int32_t ndim) {
  if (to->dtype == RP_BOOL) return false;
  if (to->ndim == 0) return true;
  if (to->ndim == ndim && to->shape[ndim - 1] == 1 && shape[ndim - 1] != 1) {
    for (int32_t d = 0; d < ndim - 1; d++)
      if (to->shape[d] != shape[d]) return false;
    return true;
  }
  return ndim == 2 && to->ndim == 1 && to->shape[0] == shape[1];
}

bool direct_launch(const program_step *s, const direct_array *arg, void *out) {
  if (!covered(s, arg)) return false;
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
    if (arg[0].dtype == RP_F64) {
      v[i].f = eval_f(&p, 0);
    } else {
      v[i].i = eval_i(&p, 0);
    }
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
