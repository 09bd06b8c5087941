/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/make_form.c -- the generator's bodies by pattern: indexed forms, gathers, several statements.
 *
 * Lives here: a table of bodies with the shapes and dtypes of their stores, and stores that fit.
 * Not here:   whole-array expressions (make_tree.c).
 * How:        a row is applied to an array of the rank it needs, the base, whose extents are n, m, l; every
 *             other store is one of the shape its letters say, found or made. In the destination's place
 *             there is now and then a view of the base itself, so that updates are in place. */
#include <stdio.h>
#include <string.h>

#include "tests/equal/maker.h"

/* Extents: n m l of the base; N M two less; H half, rounded up; r some number; e entries of a segmented
 * array, P one more than n; * all of the base. Dtypes: s the base's; i i64; b bool; x an index array
 * below n, y below m, p rising from 0 to e. In a body, @ is the base's dtype. */
typedef struct form {
  uint8_t kind;
  char on;     /* which dtypes: A all, N numbers, F floats, I integers, B integers and bool */
  int8_t base; /* which store is the base */
  const char *shapes, *dtypes, *body;
} form;

static const form forms[] = {
    /* several statements, lets, swaps, conditions, casts */
    {FORM_WHOLE, 'A', 1, "*,*", "ss", "y = a; a = y"},
    {FORM_WHOLE, 'F', 1, "*,*", "ss", "let t = a + y; y = t; a = t*0.5"},
    {FORM_WHOLE, 'N', 1, "*,*", "ss", "y = where(a < y, a, y)"},
    {FORM_WHOLE, 'F', 1, "*,*", "ss", "y = y + a*0.5; a = a - 0.25*y"},
    {FORM_WHOLE, 'N', 1, "*,*", "ss", "y += a; a += 1"},
    {FORM_WHOLE, 'N', 1, "*,*", "ss", "y *= a"},
    {FORM_WHOLE, 'N', 1, "*,*,*", "sss", "y += a; y += b"},
    {FORM_WHOLE, 'N', 1, "*,*", "ss", "y min= a; a max= y"},
    {FORM_WHOLE, 'B', 1, "*,*", "ss", "y &= a"},
    {FORM_WHOLE, 'B', 1, "*,*", "ss", "y |= a; a ^= y"},
    {FORM_WHOLE, 'N', 1, "*,*,*", "bss", "y = a > b"},
    {FORM_WHOLE, 'A', 1, "*,*,*", "ssb", "y = where(b, a, y)"},
    {FORM_WHOLE, 'N', 1, "*,*,*", "ssb", "y = a + b"},
    {FORM_WHOLE, 'A', 1, "*,*,*", "ssi", "y = @(b); a = @(b + 1)"},
    {FORM_WHOLE, 'A', 1, "*,*,*", "iss", "y = i64(a) - i64(b)"},
    {FORM_WHOLE, 'N', 1, "n,n", "ss", "y = a + @(index(-1))"},
    {FORM_WHOLE, 'N', 1, "*,*,", "sss", "y = a*b"},
    {FORM_WHOLE, 'F', 1, ",*", "ss", "y += a*a"},
    {FORM_WHOLE, 'N', 1, ",*", "ss", "y *= a"},
    {FORM_WHOLE, 'N', 2, ",,*", "sss", "y min= b; a max= b"},
    {FORM_WHOLE, 'F', 1, ",*,", "sss", "let d = a - b; y += d*d"},
    /* shifts, steps, mirrors, transposes, coordinates */
    {FORM_STENCIL, 'F', 1, "N,n", "ss", "y[i] = 0.25*(a[i] + 2*a[i+1] + a[i+2])"},
    {FORM_STENCIL, 'N', 1, "N,n", "ss", "y[i] = a[i+2] - a[i]"},
    {FORM_STENCIL, 'F', 1, "N,n", "ss", "y[i] = y[i] + 0.5*(a[i+2] - a[i+1])"},
    {FORM_STENCIL, 'N', 1, "N,n", "ss", "y[i] max= a[i+1]"},
    {FORM_STENCIL, 'N', 1, "N,n", "ss", "y[i] += a[i+1]; y[i] += a[i]"},
    {FORM_STENCIL, 'A', 1, "n,n", "ss", "y[i] = a[extent(a, 0) - 1 - i]"},
    {FORM_STENCIL, 'A', 1, "H,n", "ss", "y[i] = a[2*i]"},
    {FORM_STENCIL, 'N', 1, "n,n", "ss", "y[i] += @(index(0))*a[i]"},
    {FORM_STENCIL, 'N', 1, "n,n", "ss", "y[i] = a[i] - a[0]"},
    {FORM_STENCIL, 'F', 1, "NM,nm", "ss",
     "y[i,j] = 0.2*(a[i+1,j+1] + a[i,j+1] + a[i+2,j+1] + a[i+1,j] + a[i+1,j+2])"},
    {FORM_STENCIL, 'N', 1, "NM,nm", "ss", "y[i,j] = a[i+2,j] - a[i,j+2]"},
    {FORM_STENCIL, 'F', 1, "NM,nm", "ss", "y[i,j] = 0.5*(y[i,j] + a[i,extent(a, 1) - 1 - j])"},
    {FORM_STENCIL, 'N', 1, "NM,nm", "ss", "y[i,j] = a[i,j]*@(index(1)) + a[i+2,j+2]"},
    {FORM_STENCIL, 'A', 1, "mn,nm", "ss", "y[i,j] = a[j,i]"},
    {FORM_STENCIL, 'N', 1, "nm,nm", "ss", "y[i,j] = a[i,j] - a[0,j]"},
    {FORM_STENCIL, 'N', 1, "nm,nm,n,m", "ssss", "y[i,j] = a[i,j] + b[i]*c[j]"},
    {FORM_STENCIL, 'N', 1, "nm,n,m", "sss", "y[i,j] += a[i]*b[j]"},
    {FORM_STENCIL, 'A', 1, "mln,nml", "ss", "y[i,j,k] = a[k,i,j]"},
    {FORM_STENCIL, 'N', 1, "Nml,nml", "ss", "y[i,j,k] = a[i,j,k] - a[i+2,j,k]"},
    /* reductions of every kind, into fewer axes and inside expressions */
    {FORM_REDUCE, 'N', 1, ",n", "ss", "y = @(sum(i) a[i])"},
    {FORM_REDUCE, 'N', 1, ",n,n", "sss", "y += a[i]*b[i]"},
    {FORM_REDUCE, 'N', 1, ",n,n", "sss", "y max= a[i]; y max= b[i]"},
    {FORM_REDUCE, 'N', 1, ",n", "ss", "y = @(prod(i) a[i])"},
    {FORM_REDUCE, 'A', 1, ",n", "ss", "y = min(i) a[i]"},
    {FORM_REDUCE, 'N', 1, "n,n", "ss", "y[i] = a[i] - (max(k) a[k])"},
    {FORM_REDUCE, 'N', 1, ",n,n", "bss", "y = any(i) (a[i] > b[i])"},
    {FORM_REDUCE, 'N', 1, ",n", "bs", "y = all(i) (a[i] <= 2)"},
    {FORM_REDUCE, 'A', 1, ",n", "is", "y = argmin(i) a[i]"},
    {FORM_REDUCE, 'N', 1, ",n", "is", "y = argmax(i) a[i]"},
    {FORM_REDUCE, 'B', 1, ",n", "ss", "y ^= a[i]"},
    {FORM_REDUCE, 'B', 1, ",n", "ss", "y |= a[i]"},
    {FORM_REDUCE, 'N', 2, ",,n,n", "ssss", "y min= b[i]*c[i]; a max= b[i]"},
    {FORM_REDUCE, 'N', 1, "n,nm,m", "sss", "y[i] = @(sum(k) a[i,k]*b[k])"},
    {FORM_REDUCE, 'N', 1, "n,nm", "ss", "y[i] = y[i] + (max(k) a[i,k])"},
    {FORM_REDUCE, 'N', 1, "m,nm", "ss", "y[j] += a[i,j]"},
    {FORM_REDUCE, 'N', 1, "m,nm", "ss", "y[j] min= a[i,j]"},
    {FORM_REDUCE, 'N', 1, "n,nm", "ss", "y[i] = @(sum(k) a[k,i])"},
    {FORM_REDUCE, 'N', 1, "m,nm", "ss", "y[i] = @(sum(k) a[k,i])"},
    {FORM_REDUCE, 'A', 1, "n,nm", "is", "y[i] = argmin(k) a[i,k]"},
    {FORM_REDUCE, 'N', 1, "m,nm", "is", "y[i] = argmax(k) a[k,i]"},
    {FORM_REDUCE, 'N', 1, ",nm,m", "sss", "y += a[i,k]*b[k]"},
    {FORM_REDUCE, 'N', 1, ",nm", "ss", "y = @(sum(i, k) a[i,k])"},
    {FORM_REDUCE, 'N', 1, "n,nm", "bs", "y[i] = any(k) (a[i,k] > 0)"},
    {FORM_REDUCE, 'N', 1, "n,nm", "bs", "y[i] = all(k) (a[i,k] != 2)"},
    {FORM_REDUCE, 'N', 1, "n,nm", "ss", "y[i] = @(prod(k) a[i,k])"},
    {FORM_REDUCE, 'N', 1, "n,nm", "ss", "y[i] = @(sum(k in 1..extent(a, 1)) a[i,k]*a[i,k-1])"},
    {FORM_REDUCE, 'N', 1, "n,nm", "ss", "y[i] = @(sum(k in 0..2) a[i,k])"},
    {FORM_REDUCE, 'F', 1, "nm,nm", "ss", "y[i,j] = a[i,j]/(1 + (sum(k) abs(a[i,k])))"},
    {FORM_REDUCE, 'N', 1, "n,nm", "ss", "let t = max(k) a[i,k]; y[i] = t*t"},
    {FORM_REDUCE, 'N', 1, "nn,nm,mn", "sss", "y[i,j] = @(sum(k) a[i,k]*b[k,j])"},
    {FORM_REDUCE, 'N', 1, "nm,nml", "ss", "y[i,j] = @(sum(k) a[i,j,k])"},
    {FORM_REDUCE, 'N', 1, "m,nml", "ss", "y[j] += a[i,j,k]"},
    {FORM_REDUCE, 'N', 1, "nl,nml", "ss", "y[i,k] += a[i,j,k]"},
    {FORM_REDUCE, 'N', 1, "n,nml", "ss", "y[i] = @(sum(j, k) a[i,j,k])"},
    {FORM_REDUCE, 'N', 1, "l,nml", "ss", "y[k] max= a[i,j,k]"},
    /* gathers and segments */
    {FORM_GATHER, 'A', 1, "r,n,r", "ssx", "y[i] = a[b[i]]"},
    {FORM_GATHER, 'A', 1, "n,n,n", "ssx", "y[i] = a[b[i]]"},
    {FORM_GATHER, 'A', 1, "n,n,n", "ssi", "y[i] = a[b[i] % extent(a, 0)]"},
    {FORM_GATHER, 'N', 1, "r,n,r", "ssx", "y[i] += a[b[i]]"},
    {FORM_GATHER, 'N', 1, ",n,r", "ssx", "y += a[b[i]]"},
    {FORM_GATHER, 'N', 1, "r,n,n,r", "ssxx", "y[i] = a[b[c[i]]]"},
    {FORM_GATHER, 'N', 1, "n,n,n,n", "sssx", "y[i] = where(b[i] > 0, a[c[i]], b[i])"},
    {FORM_GATHER, 'A', 1, "rm,nm,r", "ssx", "y[i,j] = a[b[i],j]"},
    {FORM_GATHER, 'A', 1, "nr,nm,r", "ssy", "y[i,j] = a[i,b[j]]"},
    {FORM_GATHER, 'N', 1, "r,nm,r,r", "ssxy", "y[i] = a[b[i],c[i]]"},
    /* scatters, the base being the destination */
    {FORM_GATHER, 'N', 0, "n,r,r", "sxs", "y[a[i]] += b[i]"},
    {FORM_GATHER, 'N', 0, "n,r,r", "sxs", "y[a[i]] *= b[i]"},
    {FORM_GATHER, 'A', 0, "n,r,r", "sxs", "y[a[i]] max= b[i]"},
    {FORM_GATHER, 'B', 0, "n,r,r", "sxs", "y[a[i]] |= b[i]"},
    {FORM_GATHER, 'N', 0, "n,r", "sx", "y[a[i]//2] += 1"},
    {FORM_GATHER, 'N', 0, "n,n,n", "sxs", "let t = a[i]; y[t] += y[i]*b[t]"},
    {FORM_GATHER, 'N', 0, "nm,r,rm", "sxs", "y[a[i],j] += b[i,j]"},
    {FORM_GATHER, 'N', 0, "nm,r,r,r", "sxys", "y[a[i],b[i]] += c[i]"},
    {FORM_GATHER, 'N', 0, "nm,r,nr", "sys", "y[i,a[j]] min= b[i,j]*@(index(1))"},
    {FORM_GATHER, 'N', 1, "n,n,P,e,e", "sspsx", "y[i] = @(sum(k in b[i]..b[i+1]) c[k]*a[d[k]])"},
    {FORM_GATHER, 'N', 1, "n,n,P,e,e", "sspsx", "y[i] += @(sum(k in b[i]..b[i+1]) c[k]*a[d[k]])"},
    {FORM_GATHER, 'N', 1, "n,n,P,e", "ssps", "y[i] = a[i] - (max(k in b[i]..b[i+1]) c[k])"},
    {FORM_GATHER, 'N', 1, "n,n,P,e", "ssps", "y[i] = a[i]*@(sum(k in b[i]..b[i+1]) c[k])"},
    {FORM_GATHER, 'N', 1, "n,n,r,e", "ssss", "y[i] = a[i]*@(sum(k in 0..extent(b, 0)) c[k]*b[k])"},
};
enum { N_FORM = sizeof forms / sizeof *forms, LARGEST_WORK = 1 << 19 };

typedef struct sizes {
  like base;
  int64_t n, m, l, r, e;
} sizes;

/* ---- choosing */

static bool takes(const form *f, rp_dtype d) {
  switch (f->on) {
    case 'N': return d != RP_BOOL;
    case 'F': return make_is_float(d);
    case 'I': return d != RP_BOOL && !make_is_float(d);
    case 'B': return !make_is_float(d);
    default: return true;
  }
}

/* The base's letters in the row's list of shapes. */
static const char *letters(const form *f, int32_t store) {
  const char *c = f->shapes;
  for (; store > 0; store--) c = strchr(c, ',') + 1;
  return c;
}

static int32_t n_letters(const char *c) {
  const char *end = strchr(c, ',');
  return (int32_t)(end ? end - c : (ptrdiff_t)strlen(c));
}

static bool base_fits(const maker *m, int32_t v, const void *with) {
  const form *f = with;
  const like l = maker_shape_of(m, v);
  const char *c = letters(f, f->base);
  if (!takes(f, l.dtype)) return false;
  if (*c == '*') return true;
  if (l.ndim != n_letters(c)) return false;
  for (int32_t d = 0; d < l.ndim; d++)
    if (f->kind == FORM_STENCIL && l.shape[d] < 2) return false;
  return true;
}

/* A row that runs over a whole axis at each of the base's points takes only small ones. */
static bool too_slow(const form *f, const sizes *z) {
  const bool each =
      f->kind == FORM_REDUCE && n_letters(f->shapes) == n_letters(letters(f, f->base));
  const int64_t most = z->n > z->m ? z->n : z->m;
  return each && z->n * z->m * z->l * most > LARGEST_WORK;
}

static int64_t extent_of(const sizes *z, char letter) {
  switch (letter) {
    case 'n': return z->n;
    case 'm': return z->m;
    case 'l': return z->l;
    case 'N': return z->n - 2;
    case 'M': return z->m - 2;
    case 'H': return (z->n + 1) / 2;
    case 'P': return z->n + 1;
    case 'e': return z->e;
    default: return z->r;
  }
}

static like shape_for(const form *f, const sizes *z, int32_t store) {
  const char *c = letters(f, store);
  if (*c == '*') return z->base;
  like l = {.ndim = n_letters(c), .dtype = z->base.dtype};
  for (int32_t d = 0; d < l.ndim; d++) {
    l.shape[d] = extent_of(z, c[d]);
    if (l.shape[d] < 0) l.shape[d] = 0;
  }
  return l;
}

/* ---- stores */

/* In programs that may, one element is out of range. */
int32_t make_index(maker *m, int64_t extent, int64_t bound, bool rising) {
  const int32_t v = maker_free_var(m);
  program_step s = maker_step(STEP_CREATE, v, 0);
  s.dtype = maker_chance(m, 50) ? RP_I64 : RP_I32;
  s.ndim = 1;
  s.n[0] = extent;
  maker_emit(m, &s);
  if (!m->var[v]) return -1;
  s = maker_step(STEP_WRITE, v, 0);
  s.seed = maker_draw(m);
  s.flag = (int32_t)(rising ? -bound - 2 : bound);
  if (m->bad_index && maker_chance(m, 50)) s.spoil = 1 + maker_pick(m, 3);
  maker_emit(m, &s);
  m->role[v] = ROLE_INDEX;
  return v;
}

/* The middle of the base, as an output of `shape`. */
static int32_t make_middle(maker *m, int32_t base, const like *shape) {
  program_step s = maker_step(STEP_VIEW, maker_free_var(m), base);
  const like l = maker_shape_of(m, base);
  s.flag = VIEW_BOX;
  s.ndim = l.ndim;
  for (int32_t d = 0; d < l.ndim; d++) {
    const int64_t spare = l.shape[d] - shape->shape[d];
    s.n[d] = maker_chance(m, 70) ? spare / 2 : maker_pick(m, spare + 1);
    s.n[RP_MAX_DIM + d] = s.n[d] + shape->shape[d];
  }
  maker_emit(m, &s);
  return m->var[s.v[0]] ? s.v[0] : -1;
}

static bool within(const like *inner, const like *outer) {
  if (inner->ndim != outer->ndim) return false;
  for (int32_t d = 0; d < inner->ndim; d++)
    if (inner->shape[d] > outer->shape[d]) return false;
  return true;
}

/* Its two outputs must not overlap. */
static bool writes_two(const form *f) {
  const char *c = strrchr(f->body, ';');
  return c && c[2] != 'y';
}

static int32_t store_for(maker *m, const form *f, const sizes *z, int32_t i, int32_t base) {
  like l = shape_for(f, z, i);
  const char dtype = f->dtypes[i];
  if (i == f->base) return base;
  if (dtype == 'x') return make_index(m, l.shape[0], z->n, false);
  if (dtype == 'y') return make_index(m, l.shape[0], z->m, false);
  if (dtype == 'p') return make_index(m, l.shape[0], z->e, true);
  if (dtype == 'i') l.dtype = RP_I64;
  if (dtype == 'b') l.dtype = RP_BOOL;
  l.write = i == 0 || writes_two(f);
  if (i == 0 && dtype == 's' && !m->fixed[base] && within(&l, &z->base) && maker_chance(m, 35))
    return make_middle(m, base, &l);
  const int32_t v = maker_get_like(m, &l, i == 0 ? 15 : 5);
  return v == base && writes_two(f) ? maker_make_like(m, &l, true) : v;
}

/* The body, with the base's dtype for every @. */
static void write_form(const form *f, rp_dtype dtype, program_step *s) {
  size_t at = 0;
  for (const char *c = f->body; *c && at + 8 < sizeof s->body; c++) {
    if (*c == '@')
      at += (size_t)snprintf(s->body + at, 8, "%s", rp_dtype_name(dtype));
    else
      s->body[at++] = *c;
  }
  s->body[at] = '\0';
  snprintf(s->params, sizeof s->params, "%.*s", 3 * s->n_store - 2, "y, a, b, c, d, e");
}

void make_form(maker *m, uint32_t kinds) {
  const form *f = &forms[maker_pick(m, N_FORM)];
  for (int32_t i = 0; i < N_FORM && !(f->kind & kinds); i++)
    f = f + 1 == forms + N_FORM ? forms : f + 1;
  const int32_t base = maker_choose(m, base_fits, f);
  if (base < 0) return;
  sizes z = {.base = maker_shape_of(m, base)};
  z.n = z.base.ndim > 0 ? z.base.shape[0] : 1;
  z.m = z.base.ndim > 1 ? z.base.shape[1] : 1;
  z.l = z.base.ndim > 2 ? z.base.shape[2] : 1;
  if (too_slow(f, &z)) return;
  z.r = maker_chance(m, 50) ? z.n : maker_chance(m, 70) ? 1 + maker_pick(m, 70) : z.n + 3;
  z.e = z.n * (1 + maker_pick(m, 4)) + maker_pick(m, 3) * 40;
  program_step s = maker_step(STEP_LAUNCH, 0, 0);
  s.n_store = (int32_t)strlen(f->dtypes);
  for (int32_t i = 0; i < s.n_store; i++) {
    s.v[i] = store_for(m, f, &z, i, base);
    if (s.v[i] < 0) return;
  }
  write_form(f, z.base.dtype, &s);
  maker_emit(m, &s);
}
