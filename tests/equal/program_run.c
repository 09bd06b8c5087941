/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/program_run.c -- runs a program on a context and writes down what it observed.
 *
 * Lives here: the meaning of each step.
 * Not here:   choosing steps (program.c), what is written down and compared (transcript.c). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/equal/direct.h"
#include "tests/equal/finalizer.h"
#include "tests/equal/program.h"

/* ---- data */

static uint64_t mix(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static double any_float(uint64_t bits) {
  static const double special[] = {0.0, -0.0, 1e300, -1e300, 5e-324, 1e39, -1e-39, 0.5};
  const uint64_t kind = bits & 255;
  const uint64_t zero = 0x7ff0000000000000u, one = 0x7ff8000000000000u;
  double d;
  if (kind == 0) return special[bits >> 8 & 7];
  if (kind > 1) return (double)(int64_t)(bits >> 11) * 0x1p-50 - 4.0;
  memcpy(&d, bits >> 8 & 1 ? &zero : &one, 8);
  return bits >> 9 & 1 ? -d : d;
}

#define PUT(T, value) \
  do { \
    const T one = (T)(value); \
    memcpy((char *)data + i * (int64_t)sizeof one, &one, sizeof one); \
  } while (0)

/* bound > 0: indices below it; bound < -1: rising from 0 to -bound - 2; else any values. */
void program_fill(rp_dtype dtype, uint64_t seed, int64_t bound, int64_t n, void *data) {
  for (int64_t i = 0; i < n; i++) {
    const uint64_t bits = mix(&seed);
    int64_t whole = (bits & 15) == 0 ? (int64_t)(bits >> 1) : (int64_t)(bits >> 8 & 31) - 12;
    if (bound > 0) whole = (int64_t)((bits >> 8) % (uint64_t)bound);
    if (bound < -1) whole = n > 1 ? i * (-bound - 2) / (n - 1) : 0;
    switch (dtype) {
      case RP_BOOL: PUT(uint8_t, bits >> 8 & 1); break;
      case RP_I8: PUT(int8_t, whole); break;
      case RP_I16: PUT(int16_t, whole); break;
      case RP_I32: PUT(int32_t, whole); break;
      case RP_I64: PUT(int64_t, whole); break;
      case RP_U8: PUT(uint8_t, whole); break;
      case RP_U16: PUT(uint16_t, whole); break;
      case RP_U32: PUT(uint32_t, whole); break;
      case RP_U64: PUT(uint64_t, whole); break;
      case RP_F32: PUT(float, any_float(bits)); break;
      default: PUT(double, any_float(bits)); break;
    }
  }
}

/* One element becomes what no index may be: just too large, negative, or far away. */
static void spoil(const program_step *s, rp_dtype dtype, int64_t n, void *data) {
  if (n == 0 || s->spoil <= 0) return;
  const int64_t bound = s->flag > 0 ? s->flag : -s->flag - 2;
  const int64_t bad[] = {bound + (s->flag < 0), -1, 1000000};
  const int64_t i = (int64_t)(s->seed >> 20) % n, value = bad[(s->spoil - 1) % 3];
  if (dtype == RP_I32) PUT(int32_t, value);
  if (dtype == RP_I64) PUT(int64_t, value);
}

static void *need(size_t bytes) {
  void *p = calloc(1, bytes + 1);
  if (!p) abort();
  return p;
}

/* ---- handles */

static rp_status make_view(const program_step *s, rp_store *of, rp_store **out) {
  const int64_t *n = s->n;
  int32_t axes[RP_MAX_DIM];
  for (int32_t d = 0; d < RP_MAX_DIM; d++) axes[d] = (int32_t)n[d];
  switch (s->flag) {
    case VIEW_SLICE: return rp_store_slice(of, (int32_t)n[0], n[1], n[2], n[3], out);
    case VIEW_BOX: return rp_store_box(of, n, n + RP_MAX_DIM, out);
    case VIEW_TRANSPOSE: return rp_store_transpose(of, axes, out);
    case VIEW_PROMOTE: return rp_store_promote(of, (int32_t)n[0], n[1], out);
    case VIEW_PROJECT: return rp_store_project(of, (int32_t)n[0], n[1], out);
    case VIEW_BROADCAST: return rp_store_broadcast(of, s->ndim, n, out);
    default: return rp_store_reshape(of, s->ndim, n, out);
  }
}

static rp_status attach(rp_context *ctx, const program_step *s, rp_store **out,
                        memory_piece **memory) {
  int64_t size = 1;
  for (int32_t d = 0; d < s->ndim; d++) size *= s->n[d];
  memory_piece *m = need(sizeof *m);
  m->data = need((size_t)size * rp_dtype_size(s->dtype) + 8);
  m->next = *memory;
  *memory = m;
  program_fill(s->dtype, s->seed, 0, size, m->data);
  return rp_store_attach(ctx, s->dtype, s->ndim, s->n, m->data, s->flag, out);
}

rp_status program_step_handles(rp_context *ctx, const program_step *s, rp_store **var,
                               memory_piece **memory, bool *skipped) {
  rp_store *made = NULL, *first = var[s->v[0]], *second = var[s->v[1]];
  rp_status st = RP_OK;
  uint64_t value[2];
  switch (s->kind) {
    case STEP_CREATE: st = rp_store_create(ctx, s->dtype, s->ndim, s->n, &made); break;
    case STEP_SCALAR:
      program_fill(s->dtype, s->seed, 0, 1, value);
      st = rp_store_scalar(ctx, s->dtype, value, &made);
      break;
    case STEP_ATTACH: st = attach(ctx, s, &made, memory); break;
    case STEP_VIEW:
      if (!second) {
        *skipped = true;
        return RP_OK;
      }
      st = make_view(s, second, &made);
      break;
    case STEP_RELEASE: var[s->v[0]] = NULL; return finalizer_take(first, s->flag);
    case STEP_SWAP:
      var[s->v[0]] = second;
      var[s->v[1]] = first;
      return RP_OK;
    default: *skipped = true; return RP_OK;
  }
  if (st != RP_OK) return st;
  var[s->v[0]] = made;
  return finalizer_take(first, false);
}

static rp_status get_op(rp_context *ctx, const program_step *s, rp_op **out) {
  uint64_t h = 1469598103934665603u;
  for (const char *c = s->params; *c; c++) h = (h ^ (uint8_t)*c) * 1099511628211u;
  for (const char *c = s->body; *c; c++) h = (h ^ (uint8_t)*c) * 1099511628211u;
  char name[32], library[8];
  rp_library *lib;
  snprintf(name, sizeof name, "b%016" PRIx64, h);
  snprintf(library, sizeof library, "lib%d", (int)(h & 31));
  rp_status st = rp_library_create(ctx, library, &lib);
  return st != RP_OK ? st : rp_op_create(lib, name, s->params, s->body, out);
}

rp_status program_step_launch(rp_context *ctx, const program_step *s, rp_store **var,
                              bool *skipped) {
  rp_store *stores[PROGRAM_STORES];
  const void *scalars[2] = {&s->scalar[0], &s->scalar[1]};
  rp_op *op;
  for (int32_t i = 0; i < s->n_store; i++) {
    stores[i] = var[s->v[i]];
    if (i == 0 && s->flag) {
      stores[i] = NULL;
    } else if (!stores[i]) {
      *skipped = true;
      return RP_OK;
    }
  }
  rp_status st = get_op(ctx, s, &op);
  if (st != RP_OK) return st;
  if (!s->flag) return rp_launch(op, stores, s->n_store, scalars, s->n_scalar);
  st = rp_call(op, stores, s->n_store, scalars, s->n_scalar);
  if (st != RP_OK) return st;
  rp_store *old = var[s->v[0]];
  var[s->v[0]] = stores[0];
  return finalizer_take(old, false);
}

/* ---- C functions */

static void mirror(double *y, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] + 0.5 * x[n - 1 - i];
}

static void bump(double *y, int64_t n, int64_t stride) {
  for (int64_t i = 0; i < n; i++) y[i * stride] = y[i * stride] * 0.5 + 1;
}

/* Fails on some data. */
static int guarded(double *y, const double *x, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = x[i] - 1;
  return n > 0 && x[n / 2] > 0;
}

static const int32_t privilege[] = {RP_PRIV_WRITE, RP_PRIV_READ, RP_PRIV_READ_WRITE};
static const rp_opaque_arg two_args[] = {
    {RP_ARG_PTR, 0, 0, 0, 0}, {RP_ARG_PTR, 1, 0, 0, 0}, {RP_ARG_SIZE, 0, 0, 0, 0}};
static const rp_opaque_arg one_args[] = {
    {RP_ARG_PTR, 0, 0, 0, 0}, {RP_ARG_EXTENT, 0, 0, 0, 0}, {RP_ARG_STRIDE, 0, 0, 0, 0}};

/* The text of a GPU's kernel that does as bump does; an emulated one takes its parameters together. */
static const char bump_text[] =
    "#ifdef RPG_HOST\n"
    "struct bump { double *y; long long n, stride; };\n"
    "RPG_KERNEL(bump, bump) {\n"
    "  double *const y = a.y; const long long n = a.n, stride = a.stride;\n"
    "  const long long i = (long long)RPG_BLOCK * RPG_THREADS + RPG_THREAD;\n"
    "#else\n"
    "extern \"C\" __global__ void bump(double *y, long long n, long long stride) {\n"
    "  const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;\n"
    "#endif\n"
    "  if (i < n) y[i * stride] = y[i * stride] * 0.5 + 1;\n"
    "}\n";
static const rp_gpu_variant bump_gpu = {
    .struct_size = sizeof bump_gpu, .source = bump_text, .entry = "bump", .block = 64};

typedef struct function {
  const char *name;
  void (*f)(void);
  int32_t n_store, flags;
  const rp_gpu_variant *gpu; /* NULL: the host's alone */
} function;

static const function functions[] = {
    {"mirror", (void (*)(void))mirror, 2, RP_OPAQUE_DENSE, NULL},
    {"mirror_now", (void (*)(void))mirror, 2, RP_OPAQUE_DENSE | RP_OPAQUE_SIDE_EFFECT, NULL},
    {"bump", (void (*)(void))bump, 1, 0, &bump_gpu},
    {"guarded", (void (*)(void))guarded, 2, RP_OPAQUE_DENSE | RP_OPAQUE_STATUS, NULL}};

/* The op, registered once in each context. */
static rp_status function_op(rp_context *ctx, const function *f, rp_op **out) {
  const bool two = f->n_store == 2;
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = f->name,
                            .params = two ? "y, x" : "y",
                            .privileges = two ? privilege : privilege + 2,
                            .function = f->f,
                            .args = two ? two_args : one_args,
                            .n_args = 3,
                            .flags = f->flags,
                            .gpu = f->gpu};
  rp_library *lib;
  *out = rp_context_data(ctx, f);
  if (*out) return RP_OK;
  rp_status st = rp_library_create(ctx, "functions", &lib);
  if (st == RP_OK) st = rp_op_create_opaque(lib, &d, out);
  return st != RP_OK ? st : rp_context_set_data(ctx, f, *out, NULL);
}

static rp_status launch_opaque(rp_context *ctx, const program_step *s, rp_store **var,
                               bool *skipped) {
  const function *f = &functions[s->flag];
  rp_store *stores[2] = {var[s->v[0]], var[s->v[1]]};
  rp_op *op;
  const bool two = f->n_store == 2;
  *skipped = !stores[0] || (two && !stores[1]);
  for (int32_t i = 0; i <= two && !*skipped; i++) *skipped = rp_store_dtype(stores[i]) != RP_F64;
  if (!*skipped)
    *skipped =
        two ? rp_store_size(stores[0]) != rp_store_size(stores[1]) : rp_store_ndim(stores[0]) != 1;
  if (*skipped) return RP_OK;
  const rp_status st = function_op(ctx, f, &op);
  return st != RP_OK ? st : rp_launch(op, stores, f->n_store, NULL, 0);
}

/* ---- a run */

typedef struct runner {
  rp_context *ctx;
  const program *p;
  const run_options *o;
  transcript *t;
  rp_store *var[PROGRAM_VARS];
  void *home[PROGRAM_VARS]; /* memory that a variable's array was attached to */
  memory_piece *memory;
  int32_t open;    /* id of the trace that is open; -1 */
  bool data_error; /* task by task: something was poisoned since the last wait of the program */
} runner;

static void read_all(runner *r, int32_t step, int32_t v) {
  rp_store *s = r->var[v];
  const size_t bytes = (size_t)rp_store_size(s) * rp_dtype_size(rp_store_dtype(s));
  void *data = need(bytes);
  const rp_status st = rp_store_read(s, data, bytes);
  transcript_keep(r->t, transcript_note(r->t, step, v, st), rp_store_dtype(s), data,
                  st == RP_OK ? bytes : 0);
  free(data);
}

static int64_t box_size(const program_step *s) {
  int64_t n = 1;
  for (int32_t d = 0; d < s->ndim; d++) n *= s->n[RP_MAX_DIM + d] - s->n[d];
  return n < 0 ? 0 : n;
}

static rp_status host_step(runner *r, const program_step *s, int32_t at) {
  rp_store *st = r->var[s->v[0]];
  const rp_dtype dtype = rp_store_dtype(st);
  const bool part = s->kind == STEP_READ_PART || s->kind == STEP_WRITE_PART;
  const int64_t n = part ? box_size(s) : rp_store_size(st);
  const size_t bytes = (size_t)n * rp_dtype_size(dtype);
  uint64_t one[2] = {0, 0};
  rp_status status = RP_OK;
  if (s->kind == STEP_READ) {
    read_all(r, at, s->v[0]);
    return RP_OK;
  }
  if (s->kind == STEP_FILL) {
    program_fill(dtype, s->seed, 0, 1, one);
    return rp_store_fill(st, one);
  }
  if (part && s->ndim != rp_store_ndim(st)) return RP_OK;
  void *data = need(bytes);
  if (s->kind == STEP_READ_PART) {
    status = rp_store_read_part(st, s->n, s->n + RP_MAX_DIM, data, bytes);
    transcript_keep(r->t, transcript_note(r->t, at, s->v[0], status), dtype, data,
                    status == RP_OK ? bytes : 0);
    status = RP_OK;
  } else {
    program_fill(dtype, s->seed, s->flag, n, data);
    spoil(s, dtype, n, data);
    status = part ? rp_store_write_part(st, s->n, s->n + RP_MAX_DIM, data, bytes)
                  : rp_store_write(st, data, bytes);
  }
  free(data);
  return status;
}

/* ---- launches beside the direct evaluator */

static direct_array fetch(rp_store *s) {
  direct_array a = {.dtype = rp_store_dtype(s), .ndim = rp_store_ndim(s), .size = rp_store_size(s)};
  for (int32_t d = 0; d < a.ndim; d++) a.shape[d] = rp_store_extent(s, d);
  const size_t bytes = (size_t)a.size * rp_dtype_size(a.dtype);
  a.data = need(bytes);
  if (rp_store_read(s, a.data, bytes) != RP_OK) a.dtype = -1;
  return a;
}

static rp_status checked_launch(runner *r, const program_step *s, int32_t at, bool *skipped) {
  direct_array arg[PROGRAM_STORES] = {{0}};
  bool whole = s->n_node > 0 && !s->flag;
  for (int32_t i = 0; i < s->n_store && whole; i++) whole = r->var[s->v[i]] != NULL;
  for (int32_t i = 0; i < s->n_store && whole; i++) arg[i] = fetch(r->var[s->v[i]]);
  rp_status st = program_step_launch(r->ctx, s, r->var, skipped);
  if (whole && st == RP_OK && !*skipped) {
    void *want = need((size_t)arg[0].size * 8);
    direct_array got = fetch(r->var[s->v[0]]);
    if (got.dtype >= 0 && direct_launch(s, arg, want)) {
      const int64_t i = direct_differ(got.dtype, want, got.data, got.size);
      r->t->direct_checks++;
      if (i >= 0 && !r->t->fault[0]) {
        uint64_t a = 0, b = 0;
        const size_t size = rp_dtype_size(got.dtype);
        memcpy(&a, (char *)want + (size_t)i * size, size);
        memcpy(&b, (char *)got.data + (size_t)i * size, size);
        snprintf(r->t->fault, sizeof r->t->fault,
                 "step %d: element %lld of %s should be %016" PRIx64 ", is %016" PRIx64, at,
                 (long long)i, s->body, a, b);
      }
    }
    free(want);
    free(got.data);
  }
  for (int32_t i = 0; i < s->n_store; i++) free(arg[i].data);
  return st;
}

/* ---- steps */

static bool needs_first(step_kind k) {
  return k == STEP_HOME || k == STEP_DETACH || (k >= STEP_WRITE && k <= STEP_COPY) ||
         k == STEP_STORE_WAIT || k == STEP_RELEASE;
}

static rp_status home_step(runner *r, const program_step *s, int32_t at) {
  rp_store *st = r->var[s->v[0]];
  void *memory = r->home[s->v[0]];
  const size_t bytes = (size_t)rp_store_size(st) * rp_dtype_size(rp_store_dtype(st));
  const rp_status status = s->kind == STEP_HOME ? rp_store_home(st) : rp_store_detach(st);
  if (status == RP_OK && memory)
    transcript_keep(r->t, transcript_note(r->t, at, s->v[0], status), rp_store_dtype(st), memory,
                    bytes);
  return status;
}

static rp_status do_step(runner *r, const program_step *s, int32_t at, bool *skipped) {
  if (needs_first(s->kind) && !r->var[s->v[0]]) {
    *skipped = true;
    return RP_OK;
  }
  switch (s->kind) {
    case STEP_HOME:
    case STEP_DETACH: return home_step(r, s, at);
    case STEP_WRITE:
    case STEP_WRITE_PART:
    case STEP_READ:
    case STEP_READ_PART:
    case STEP_FILL: return host_step(r, s, at);
    case STEP_COPY:
      *skipped = !r->var[s->v[1]];
      return *skipped ? RP_OK : rp_store_copy(r->var[s->v[0]], r->var[s->v[1]]);
    case STEP_LAUNCH:
      return r->o->stepwise ? checked_launch(r, s, at, skipped)
                            : program_step_launch(r->ctx, s, r->var, skipped);
    case STEP_OPAQUE: return launch_opaque(r->ctx, s, r->var, skipped);
    case STEP_BEGIN: return rp_trace_begin(r->ctx, s->flag);
    case STEP_END: return rp_trace_end(r->ctx, s->flag);
    case STEP_STORE_WAIT: return rp_store_wait(r->var[s->v[0]]);
    default: break;
  }
  const rp_status st = program_step_handles(r->ctx, s, r->var, &r->memory, skipped);
  if (s->kind == STEP_ATTACH && st == RP_OK)
    r->home[s->v[0]] = r->memory->data;
  else if (s->kind == STEP_SWAP) {
    void *h = r->home[s->v[0]];
    r->home[s->v[0]] = r->home[s->v[1]];
    r->home[s->v[1]] = h;
  } else if (!*skipped && st == RP_OK) {
    r->home[s->v[0]] = NULL; /* a view of attached memory starts elsewhere */
  }
  return st;
}

/* ---- all of it */

static void complain(transcript *t, const char *what, int32_t at, rp_status st) {
  if (t->fault[0]) return;
  snprintf(t->fault, sizeof t->fault, "step %d: %s: %s: %.400s", at, what, rp_status_name(st),
           rp_last_error());
}

static char *explain(rp_context *ctx) {
  size_t size = 0;
  rp_explain(ctx, NULL, 0, &size);
  char *text = need(size + 1);
  rp_explain(ctx, text, size + 1, &size);
  return text;
}

static void settle(runner *r, int32_t at) {
  const rp_status st = rp_wait(r->ctx);
  if (st == RP_ERR_DATA)
    r->data_error = true;
  else if (st != RP_OK)
    complain(r->t, "rp_wait", at, st);
}

/* A wait reports poison of tasks that a run in another way may never have had to run: what the run
 * task by task has seen since the program's last wait is the most that may be reported. */
static void program_wait(runner *r, int32_t at) {
  rp_status st = rp_wait(r->ctx);
  if (st == RP_OK && r->data_error) st = RP_ERR_DATA;
  r->data_error = false;
  transcript_note(r->t, at, -1, st);
}

static void run_step(runner *r, int32_t i) {
  const program_step *s = &r->p->step[i];
  bool skipped = false;
  if (s->kind == STEP_WAIT) {
    program_wait(r, i);
    return;
  }
  const rp_status st = do_step(r, s, i, &skipped);
  if (st != RP_OK) transcript_note(r->t, i, s->v[0], st);
  if (s->kind == STEP_BEGIN && st == RP_OK) r->open = s->flag;
  if (s->kind == STEP_END && st == RP_OK) r->open = -1;
  if (st == RP_ERR_INTERNAL || st == RP_ERR_MEMORY) complain(r->t, "broken", i, st);
  if (r->o->stepwise) settle(r, i);
  finalizer_step();
}

void program_memory_free(memory_piece **first) {
  for (memory_piece *m; (m = *first) != NULL;) {
    *first = m->next;
    free(m->data);
    free(m);
  }
}

static void run_steps(const program *p, const run_options *o, rp_context *ctx, memory_piece **lent,
                      transcript *t) {
  runner r = {.ctx = ctx, .p = p, .o = o, .t = t, .open = -1};
  transcript_stats(t, ctx, -1);
  for (int32_t i = 0; i < p->n_step; i++) run_step(&r, i);
  for (int32_t v = 0; v < PROGRAM_VARS; v++)
    if (r.var[v]) read_all(&r, p->n_step, v);
  if (o->explain) t->explain = explain(ctx);
  for (int32_t v = 0; v < PROGRAM_VARS; v++) finalizer_take(r.var[v], false);
  if (o->ctx || o->twice) { /* another program follows */
    if (r.open >= 0) rp_trace_end(ctx, r.open);
    settle(&r, p->n_step);
  }
  transcript_stats(t, ctx, 1);
  memory_piece **end = &r.memory;
  while (*end) end = &(*end)->next;
  *end = *lent;
  *lent = r.memory;
}

void program_run(const program *p, const run_options *o, transcript *t) {
  rp_context *ctx = o->ctx;
  memory_piece *own = NULL, **lent = o->ctx ? o->lent : &own;
  *t = (transcript){0};
  rp_status st = ctx ? RP_OK : rp_context_create(o->config, &ctx);
  if (st != RP_OK) {
    complain(t, "rp_context_create", 0, st);
    return;
  }
  if (o->twice) {
    run_steps(p, o, ctx, lent, t);
    transcript_free(t);
  }
  finalizer_begin(o->finalizer);
  run_steps(p, o, ctx, lent, t);
  finalizer_end();
  if (o->ctx) return;
  st = rp_context_destroy(ctx);
  program_memory_free(&own);
  if (st != RP_OK && st != RP_ERR_DATA) complain(t, "rp_context_destroy", p->n_step, st);
}
