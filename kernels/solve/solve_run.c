/* SPDX-License-Identifier: Apache-2.0
 * kernels/solve/solve_run.c -- the frame of every solver.
 * Lives here: see solve_run.h.
 * Invariant:  a pass that was begun is ended, also after an error. */
#include "kernels/solve/solve_run.h"

#include <math.h>
#include <string.h>

#include "kernels/failure.h"

static rp_status check_vector(const rpi_solve_run *r, const char *name, rp_store *v) {
  if (rp_store_context(v) != r->a->ctx) {
    return rpi_failure_set(RP_ERR_HANDLE, "%s: %s is NULL, released or of another context",
                           r->function, name);
  }
  if (rp_store_dtype(v) != r->a->dtype) {
    return rpi_failure_set(RP_ERR_DTYPE, "%s: %s is %s, the operator is %s", r->function, name,
                           rp_dtype_name(rp_store_dtype(v)), rp_dtype_name(r->a->dtype));
  }
  if (rp_store_ndim(v) != 1 || rp_store_extent(v, 0) != r->a->n) {
    return rpi_failure_set(RP_ERR_SHAPE,
                           "%s: %s has rank %d and %lld elements, the operator takes "
                           "rank 1 and %lld",
                           r->function, name, (int)rp_store_ndim(v), (long long)rp_store_size(v),
                           (long long)r->a->n);
  }
  return RP_OK;
}

/* Copies what the caller's struct has, and puts the defaults where it has 0. */
static rp_status take_options(rpi_solve_run *r, const rp_solve_options *given) {
  rp_solve_options *o = &r->options;
  if (given) {
    const size_t size = given->struct_size;
    if (size < sizeof given->struct_size || size > 4096) {
      return rpi_failure_set(RP_ERR_ARGUMENT, "%s: options.struct_size is %zu", r->function, size);
    }
    memcpy(o, given, size < sizeof *o ? size : sizeof *o);
  }
  if (o->max_iterations < 0 || o->check_every < 0 || !(o->rtol >= 0) || !(o->atol >= 0)) {
    return rpi_failure_set(RP_ERR_ARGUMENT,
                           "%s: max_iterations %lld, check_every %lld, rtol %g and "
                           "atol %g must not be negative",
                           r->function, (long long)o->max_iterations, (long long)o->check_every,
                           o->rtol, o->atol);
  }
  if (o->max_iterations == 0) o->max_iterations = 1000;
  if (o->check_every == 0) o->check_every = 25;
  if (o->rtol == 0.0) o->rtol = r->a->dtype == RP_F32 ? 1e-4 : 1e-8;
  if (o->damping == 0.0) o->damping = 2.0 / 3.0;
  return RP_OK;
}

void rpi_solve_run_init(rpi_solve_run *r, const char *function, int64_t trace, rp_operator *a,
                        rp_store *b, rp_store *x, const rp_solve_options *options,
                        const rp_solve_result *result) {
  *r = (rpi_solve_run){.function = function, .a = a, .trace = trace};
  r->result.residual = HUGE_VAL;
  r->status = rpi_solve_operator_check(a, function);
  if (r->status == RP_OK) r->status = check_vector(r, "b", b);
  if (r->status == RP_OK) r->status = check_vector(r, "x", x);
  if (r->status == RP_OK) r->status = take_options(r, options);
  if (r->status == RP_OK && result && result->struct_size < sizeof result->struct_size) {
    r->status = rpi_failure_set(RP_ERR_ARGUMENT, "%s: result.struct_size is %zu", function,
                                result->struct_size);
  }
  if (r->status == RP_OK) r->status = rp_library_create(a->ctx, "solve", &r->lib);
}

rp_status rpi_solve_run_finish(rpi_solve_run *r, rp_solve_result *result) {
  for (int32_t i = 0; i < r->n_stores; i++) rp_store_release(r->stores[i]);
  if (result && result->struct_size >= sizeof result->struct_size) {
    const size_t size = result->struct_size;
    r->result.struct_size = size;
    memcpy(result, &r->result, size < sizeof *result ? size : sizeof *result);
  }
  return r->status;
}

static rp_store *make(rpi_solve_run *r, int32_t ndim, const int64_t *shape) {
  if (r->status != RP_OK) return NULL;
  if (r->n_stores == RPI_SOLVE_MAX_STORES) {
    r->status = rpi_failure_set(RP_ERR_INTERNAL, "%s: more than %d work stores", r->function,
                                (int)RPI_SOLVE_MAX_STORES);
    return NULL;
  }
  rp_store *s = NULL;
  r->status = rp_store_create(r->a->ctx, r->a->dtype, ndim, shape, &s);
  if (r->status == RP_OK) r->stores[r->n_stores++] = s;
  return s;
}

rp_store *rpi_solve_run_vector(rpi_solve_run *r) { return make(r, 1, r->a ? &r->a->n : NULL); }

rp_store *rpi_solve_run_scalar(rpi_solve_run *r) { return make(r, 0, NULL); }

rp_op *rpi_solve_run_op(rpi_solve_run *r, const char *name, const char *params, const char *body) {
  rp_op *op = NULL;
  if (r->status == RP_OK) r->status = rp_op_create(r->lib, name, params, body, &op);
  return op;
}

void rpi_solve_run_launch(rpi_solve_run *r, rp_op *op, int32_t n, rp_store *const *stores) {
  if (r->status == RP_OK) r->status = rp_launch(op, stores, n, NULL, 0);
}

void rpi_solve_run_launch_scalar(rpi_solve_run *r, rp_op *op, int32_t n, rp_store *const *stores,
                                 double scalar) {
  const void *scalars[1] = {&scalar};
  if (r->status == RP_OK) r->status = rp_launch(op, stores, n, scalars, 1);
}

void rpi_solve_run_apply(rpi_solve_run *r, rp_store *x, rp_store *y) {
  if (r->status == RP_OK) r->status = r->a->apply(r->a->user, x, y);
}

double rpi_solve_run_read(rpi_solve_run *r, rp_store *scalar) {
  double wide = 0.0;
  float narrow = 0.0f;
  if (r->status != RP_OK) return 0.0;
  if (r->a->dtype == RP_F32) {
    r->status = rp_store_read(scalar, &narrow, sizeof narrow);
    wide = (double)narrow;
  } else {
    r->status = rp_store_read(scalar, &wide, sizeof wide);
  }
  return r->status == RP_OK ? wide : 0.0;
}

bool rpi_solve_run_pass_begin(rpi_solve_run *r) {
  if (r->status != RP_OK || r->stop || r->result.iterations >= r->options.max_iterations) {
    return false;
  }
  /* With a trace of the caller's open, this iteration is a part of that one. */
  const rp_status begun = rp_trace_begin(r->a->ctx, r->trace);
  r->traced = begun == RP_OK;
  if (begun != RP_OK && begun != RP_ERR_STATE) r->status = begun;
  return r->status == RP_OK;
}

bool rpi_solve_run_pass_end(rpi_solve_run *r) {
  if (r->traced) {
    const rp_status ended = rp_trace_end(r->a->ctx, r->trace);
    r->traced = false;
    if (r->status == RP_OK) r->status = ended;
  }
  if (r->status != RP_OK) return false;
  const int64_t i = ++r->result.iterations;
  return i % r->options.check_every == 0 || i == r->options.max_iterations;
}

void rpi_solve_run_check(rpi_solve_run *r, double residual) {
  if (r->status != RP_OK) return;
  r->result.residual = residual;
  r->result.converged = residual <= r->threshold;
  if (r->result.converged) r->stop = true;
  const rp_solve_progress progress = r->options.progress;
  if (progress && progress(r->options.user, r->result.iterations, residual) != 0) r->stop = true;
}
