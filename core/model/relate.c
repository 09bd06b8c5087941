/* SPDX-License-Identifier: Apache-2.0
 * core/model/relate.c -- how strided boxes of one buffer meet as sets of elements, and whether one
 *                        box meets itself.
 *
 * Lives here: rpi_geom_relate, rpi_geom_injective (declared in geom.h).
 * Not here:   anything that makes boxes (core/model/geom.c).
 * How:        A box is first brought into normal form: strides positive and ascending, axes of
 *             extent 1 or stride 0 dropped, axes that continue or overlap a finer one joined with
 *             it. A *refinement* is a chain of weights 1 = w0 | w1 | w2 ...; every index of the
 *             buffer has one digit per weight, and the box decomposes if its digits are
 *             independent, each running through an arithmetic progression. Then the box is a
 *             product of progressions, and two products are disjoint iff they are in one digit,
 *             and one holds the other iff it does in every digit. Progressions meet iff the
 *             Chinese remainder of their congruences falls into both ranges (extended Euclid).
 *             Several refinements are tried, made of the buffer's own weights and the boxes'
 *             strides; one that fits both boxes decides exactly. Work is O(rank^2), whatever the
 *             extents.
 * Invariants: an answer `true` is proven; `exact` says that `false` is, too. */
#include "core/model/geom.h"

#include <string.h>

__extension__ typedef __int128 wide;

enum { MAX_WEIGHT = 3 * RP_MAX_DIM + 1, MAX_TRIES = 64 };

typedef struct progression {
  int64_t start, step, n; /* start + step*i, 0 <= i < n; step >= 1, n >= 1 */
} progression;

/* A box in normal form; `last` is its largest index. */
typedef struct normal {
  int32_t n;
  int64_t start, last;
  progression axis[RP_MAX_DIM]; /* ascending steps, n >= 2; `start` unused */
} normal;

typedef struct refinement {
  int32_t n;
  int64_t weight[MAX_WEIGHT]; /* ascending; each divides the next; weight[0] is 1 */
} refinement;

/* ---- progressions ---------------------------------------------------------------------------- */

static int64_t gcd(int64_t a, int64_t b) {
  while (b != 0) {
    int64_t t = a % b;
    a = b;
    b = t;
  }
  return a;
}

/* The x in 0..m-1 with a*x = 1 modulo m, for coprime a and m (0 if m is 1). */
static int64_t inverse(int64_t a, int64_t m) {
  int64_t r0 = m, r1 = a % m, x0 = 0, x1 = 1;
  while (r1 != 0) { /* r0 = a*x0 and r1 = a*x1 modulo m; |x| stays <= m */
    int64_t q = r0 / r1, t = r0 - q * r1;
    r0 = r1;
    r1 = t;
    t = x0 - q * x1;
    x0 = x1;
    x1 = t;
  }
  return x0 < 0 ? x0 + m : x0 % m;
}

static int64_t last_of(const progression *p) { return p->start + p->step * (p->n - 1); }

static bool progressions_meet(const progression *a, const progression *b) {
  int64_t g = gcd(a->step, b->step), distance = b->start - a->start;
  int64_t floor = a->start > b->start ? a->start : b->start;
  int64_t a_last = last_of(a), b_last = last_of(b);
  int64_t ceiling = a_last < b_last ? a_last : b_last;
  if (floor > ceiling || distance % g != 0) return false;
  /* x = a->start + a->step*i with a->step*i = distance modulo b->step, then lifted to the floor. */
  int64_t m = b->step / g;
  wide i = (wide)(distance / g % m) * inverse(a->step / g, m) % m;
  wide x = a->start + (wide)a->step * (i < 0 ? i + m : i), period = (wide)a->step * m;
  if (x < floor) x += (floor - x + period - 1) / period * period;
  if (x > floor) x -= (x - floor) / period * period;
  return x <= ceiling;
}

static bool progression_covers(const progression *a, const progression *b) {
  if (b->start < a->start || last_of(b) > last_of(a)) return false;
  return (b->start - a->start) % a->step == 0 && (b->n == 1 || b->step % a->step == 0);
}

/* ---- normal form ----------------------------------------------------------------------------- */

static void insert_axis(normal *b, int64_t step, int64_t n) {
  int32_t k = b->n++;
  for (; k > 0 && b->axis[k - 1].step > step; k--) b->axis[k] = b->axis[k - 1];
  b->axis[k] = (progression){0, step, n};
}

/* Joins axes: a step that is a multiple of a finer one, and not beyond its end, adds nothing but
 * length. Sets stay the same; multiplicity is lost. */
static void join_axes(normal *b) {
  int32_t n = 0;
  for (int32_t k = 0; k < b->n; k++) {
    progression *fine = n > 0 ? &b->axis[n - 1] : NULL;
    const progression *p = &b->axis[k];
    if (fine != NULL && p->step % fine->step == 0 && p->step / fine->step <= fine->n) {
      fine->n += (p->n - 1) * (p->step / fine->step);
    } else {
      b->axis[n++] = *p;
    }
  }
  b->n = n;
}

/* False if the box has no elements. */
static bool normalise(const rpi_geom *g, normal *b) {
  b->n = 0;
  if (!rpi_geom_span(g, &b->start, &b->last)) return false;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] == 1 || g->stride[d] == 0) continue;
    insert_axis(b, g->stride[d] < 0 ? -g->stride[d] : g->stride[d], g->shape[d]);
  }
  return true;
}

static bool same_normal(const normal *a, const normal *b) {
  if (a->n != b->n || a->start != b->start) return false;
  for (int32_t k = 0; k < a->n; k++) {
    if (a->axis[k].step != b->axis[k].step || a->axis[k].n != b->axis[k].n) return false;
  }
  return true;
}

static bool is_interval(const normal *b) {
  return b->n == 0 || (b->n == 1 && b->axis[0].step == 1);
}

/* All elements are `start` modulo this; 0 for a single one. */
static int64_t common_step(const normal *b) {
  int64_t g = 0;
  for (int32_t k = 0; k < b->n; k++) g = gcd(b->axis[k].step, g);
  return g;
}

/* ---- refinements ----------------------------------------------------------------------------- */

/* Adds w where the chain of divisors allows it. */
static void add_weight(refinement *r, int64_t w) {
  int32_t k = r->n;
  while (k > 0 && r->weight[k - 1] > w) k--;
  if (w % r->weight[k - 1] != 0 || w == r->weight[k - 1]) return; /* weight[0] is 1: k > 0 */
  if (k < r->n && r->weight[k] % w != 0) return;
  memmove(&r->weight[k + 1], &r->weight[k], (size_t)(r->n - k) * sizeof r->weight[0]);
  r->weight[k] = w;
  r->n++;
}

static void add_steps(refinement *r, const normal *b) {
  for (int32_t k = 0; k < b->n; k++) add_weight(r, b->axis[k].step);
}

static void add_buffer(refinement *r, int32_t bdim, const int64_t *bshape) {
  int64_t w = 1;
  for (int32_t d = bdim - 1; d > 0; d--) {
    w *= bshape[d];
    add_weight(r, w);
  }
}

/* One progression of digits per weight, or false. An axis that runs on past the end of its digit
 * is split, which is right only if it sweeps the digit evenly: the rest of it steps the next. */
static bool decompose(const normal *b, const refinement *r, progression *digit) {
  int64_t rest = b->start;
  for (int32_t k = r->n - 1; k >= 0; k--) {
    digit[k] = (progression){rest / r->weight[k], 1, 1};
    rest %= r->weight[k];
  }
  for (int32_t k = 0; k < b->n; k++) {
    int64_t step = b->axis[k].step, n = b->axis[k].n;
    int32_t w = r->n - 1;
    while (step % r->weight[w] != 0) w--;
    step /= r->weight[w];
    for (; n > 1; w++) {
      progression *p = &digit[w];
      int64_t radix = w + 1 < r->n ? r->weight[w + 1] / r->weight[w] : INT64_MAX;
      if (p->n > 1) return false;
      p->step = step;
      if (step < radix && n - 1 <= (radix - 1 - p->start) / step) {
        p->n = n;
        break;
      }
      if (radix % step != 0 || p->start >= step || n % (radix / step) != 0) return false;
      p->n = radix / step;
      n /= p->n;
      step = 1;
    }
  }
  return true;
}

/* Decides both questions on one refinement; false if it does not fit both boxes. */
static bool relate_on(const refinement *r, const normal *a, const normal *b, rpi_relation *out) {
  progression da[MAX_WEIGHT], db[MAX_WEIGHT];
  if (!decompose(a, r, da) || !decompose(b, r, db)) return false;
  *out = (rpi_relation){.disjoint = false, .covers = true, .exact = true};
  for (int32_t k = 0; k < r->n; k++) {
    out->disjoint = out->disjoint || !progressions_meet(&da[k], &db[k]);
    out->covers = out->covers && progression_covers(&da[k], &db[k]);
  }
  return true;
}

/* Two boxes, and the weights a refinement may be made of. */
typedef struct question {
  const normal *a, *b; /* joined */
  int32_t tries;
  int32_t n;
  int64_t weight[MAX_WEIGHT]; /* ascending, distinct, more than 1 */
} question;

static void offer(question *q, int64_t w) {
  int32_t k = q->n;
  while (k > 0 && q->weight[k - 1] > w) k--;
  if (w <= 1 || (k > 0 && q->weight[k - 1] == w)) return;
  memmove(&q->weight[k + 1], &q->weight[k], (size_t)(q->n - k) * sizeof q->weight[0]);
  q->weight[k] = w;
  q->n++;
}

/* Tries the chains that continue r with weights from `next` on, short ones first; `tries` bounds
 * the search, which the guesses made before it keep rare. */
static bool search(question *q, refinement *r, int32_t next, rpi_relation *out) {
  if (q->tries-- == 0) return false;
  if (relate_on(r, q->a, q->b, out)) return true;
  for (int32_t k = next; k < q->n && q->tries > 0; k++) {
    if (q->weight[k] % r->weight[r->n - 1] != 0) continue;
    r->weight[r->n++] = q->weight[k];
    if (search(q, r, k + 1, out)) return true;
    r->n--;
  }
  return false;
}

/* `xa` and `xb` are the boxes before their axes were joined: their steps tell of more weights. */
static bool relate_by_digits(const normal *a, const normal *b, const normal *xa, const normal *xb,
                             int32_t bdim, const int64_t *bshape, rpi_relation *out) {
  refinement r = {.n = 1, .weight = {1}};
  add_buffer(&r, bdim, bshape);
  if (relate_on(&r, a, b, out)) return true;
  question q = {.a = a, .b = b, .tries = MAX_TRIES, .n = 0};
  for (int32_t k = 0; k < r.n; k++) offer(&q, r.weight[k]);
  add_steps(&r, xa);
  add_steps(&r, xb);
  if (relate_on(&r, a, b, out)) return true;
  for (int32_t k = 0; k < xa->n; k++) offer(&q, xa->axis[k].step);
  for (int32_t k = 0; k < xb->n; k++) offer(&q, xb->axis[k].step);
  /* Slices with steps hide the weights of the axes they were cut from; what a weight must divide
   * are all the steps from it upwards. Built downwards, each divides the next. */
  int64_t common = 0;
  r = (refinement){.n = 1, .weight = {1}};
  for (int32_t k = q.n - 1; k >= 0; k--) {
    common = gcd(q.weight[k], common);
    add_weight(&r, common);
  }
  if (relate_on(&r, a, b, out)) return true;
  r = (refinement){.n = 1, .weight = {1}};
  return search(&q, &r, 0, out);
}

/* ---- the questions --------------------------------------------------------------------------- */

rpi_relation rpi_geom_relate(const rpi_geom *a, const rpi_geom *b, int32_t bdim,
                             const int64_t *bshape) {
  const rpi_relation apart = {.disjoint = true, .covers = false, .exact = true};
  rpi_relation out = {.disjoint = false, .covers = false, .exact = false};
  normal na, nb;
  bool has_a = normalise(a, &na), has_b = normalise(b, &nb);
  if (!has_a || !has_b) {
    out = apart;
    out.covers = !has_b;
    return out;
  }
  if (na.last < nb.start || nb.last < na.start) return apart;
  const normal xa = na, xb = nb;
  join_axes(&na);
  join_axes(&nb);
  int64_t step = gcd(common_step(&na), common_step(&nb));
  if (step > 0 && (nb.start - na.start) % step != 0) return apart;
  if (same_normal(&na, &nb)) return (rpi_relation){false, true, true};
  if (is_interval(&na) && na.start <= nb.start && nb.last <= na.last)
    return (rpi_relation){false, true, true};
  if (relate_by_digits(&na, &nb, &xa, &xb, bdim, bshape, &out)) return out;
  return (rpi_relation){false, false, false};
}

/* Two axes alone: s*i = t*j has a solution with |i| < n, |j| < m other than 0, 0. */
static bool axes_collide(const progression *a, const progression *b) {
  int64_t g = gcd(a->step, b->step);
  return b->step / g < a->n && a->step / g < b->n;
}

static bool leaves_buffer(const rpi_geom *g, int32_t bdim, const int64_t *bshape) {
  int64_t lo, hi, size = 1;
  if (!rpi_geom_span(g, &lo, &hi)) return false;
  for (int32_t d = 0; d < bdim; d++) size *= bshape[d];
  return lo < 0 || hi >= size;
}

bool rpi_geom_injective(const rpi_geom *g, int32_t bdim, const int64_t *bshape) {
  normal b;
  if (leaves_buffer(g, bdim, bshape)) return false;
  if (!normalise(g, &b)) return true;
  for (int32_t d = 0; d < g->ndim; d++) {
    if (g->shape[d] > 1 && g->stride[d] == 0) return false;
  }
  for (int32_t k = 0; k < b.n; k++) {
    for (int32_t j = 0; j < k; j++) {
      if (axes_collide(&b.axis[j], &b.axis[k])) return false;
    }
  }
  /* An axis that steps over all that the finer ones reach cannot collide with them: what is left
   * after these are peeled off is decided above if it has at most two axes. */
  int64_t reach = 0;
  for (int32_t k = 0; k < b.n; k++) reach += (b.axis[k].n - 1) * b.axis[k].step;
  int32_t left = b.n;
  for (; left > 2; left--) {
    reach -= (b.axis[left - 1].n - 1) * b.axis[left - 1].step;
    if (b.axis[left - 1].step <= reach) return false;
  }
  return true;
}
