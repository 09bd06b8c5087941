/* SPDX-License-Identifier: Apache-2.0
 * core/exec/run_gpu.c -- see run_gpu.h. */
#include "core/exec/run_gpu.h"

static rp_status launch(const rpi_sub *s, const rpi_word *w, int64_t first, int64_t end,
                        rpi_kernel_part part, rpi_device *d) {
  _Alignas(16) char parameters[RPI_KERNEL_PARAMETERS];
  rpi_kernel_launch l[RPI_KERNEL_LAUNCHES];
  const rpi_kernel_gpu_code *code = s->gpu->code;
  const int32_t n = code->launches(code, w, first, end, part, l);
  const int32_t bytes = code->pack(code, w, first, end, part, parameters);
  for (int32_t i = 0; i < n; i++)
    RPI_TRY(rpi_device_launch(d, l[i].function, l[i].grid, l[i].block, parameters, bytes));
  return RP_OK;
}

rp_status rpi_run_gpu_words(const rpi_sub *s, const rpi_word *words, rpi_kernel_part part,
                            rpi_device *d) {
  const bool units = part == RPI_KERNEL_ALL || part == RPI_KERNEL_BODY;
  return launch(s, words, units ? s->first : 0, units ? s->first + s->units : 0, part, d);
}

rp_status rpi_run_gpu_sub(const rpi_plan *plan, const rpi_sub *s, rpi_kernel_part part,
                          rpi_device *d) {
  return rpi_run_gpu_words(s, &plan->words[s->word], part, d);
}

rp_status rpi_run_gpu_units(const rpi_plan *plan, const rpi_step *step, bool inner, rpi_device *d) {
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = &plan->sub[step->first_sub + i];
    const int64_t end = s->first + s->units, from = s->inner_units > 0 ? s->inner : end;
    const int64_t to = s->inner_units > 0 ? s->inner + s->inner_units : end;
    const int64_t part[2][2] = {{inner ? from : s->first, inner ? to : from}, {to, end}};
    for (int32_t k = 0; k < (inner ? 1 : 2); k++)
      if (part[k][0] < part[k][1])
        RPI_TRY(launch(s, &plan->words[s->word], part[k][0], part[k][1], RPI_KERNEL_ALL, d));
  }
  return RP_OK;
}

/* Bytes lo..hi-1 of both instances, as far as the step's rank holds them. */
static rp_status copy_run(const rpi_run_gpu *g, const rpi_step *s, int64_t lo, int64_t hi) {
  if (s->clip_hi > 0 && lo < s->clip_lo) lo = s->clip_lo;
  if (s->clip_hi > 0 && hi > s->clip_hi) hi = s->clip_hi;
  if (lo >= hi) return RP_OK;
  return rpi_device_copy(g->device, g->addresses[s->dst] + (CUdeviceptr)lo,
                         g->addresses[s->src] + (CUdeviceptr)lo, hi - lo);
}

/* Rows of `bytes`, the first at byte `at`: those that are held in part one by one, the others in one copy. */
static rp_status copy_rows(const rpi_run_gpu *g, const rpi_step *s, int64_t at, int64_t bytes,
                           int64_t rows, int64_t pitch) {
  int64_t first = 0, end = rows;
  for (; first < end && s->clip_hi > 0; first++) {
    const int64_t lo = at + first * pitch;
    if (lo >= s->clip_lo) break;
    if (lo + bytes <= s->clip_lo) first += (s->clip_lo - lo - bytes) / pitch; /* none of these */
    if (first < end) RPI_TRY(copy_run(g, s, at + first * pitch, at + first * pitch + bytes));
  }
  for (; end > first && s->clip_hi > 0; end--) {
    const int64_t lo = at + (end - 1) * pitch;
    if (lo + bytes <= s->clip_hi) break;
    if (lo >= s->clip_hi) end -= (lo - s->clip_hi) / pitch;
    if (end > first)
      RPI_TRY(copy_run(g, s, at + (end - 1) * pitch, at + (end - 1) * pitch + bytes));
  }
  if (first >= end) return RP_OK;
  const CUdeviceptr lo = (CUdeviceptr)(at + first * pitch);
  return rpi_device_copy_rows(g->device, g->addresses[s->dst] + lo, g->addresses[s->src] + lo,
                              bytes, end - first, pitch);
}

/* One box of both instances. Runs of the last axis are consecutive; the axis before it goes along in one copy. */
static rp_status copy_box(const rpi_run_gpu *g, const rpi_step *s, const rpi_geom *box,
                          int32_t axis, int64_t at) {
  const int32_t last = box->ndim - 1;
  const int64_t bytes = box->shape[last] * s->elem, from = at * s->elem;
  if (axis == last) return copy_run(g, s, from, from + bytes);
  if (axis == last - 1 && box->shape[axis] > 1)
    return copy_rows(g, s, from, bytes, box->shape[axis], box->stride[axis] * s->elem);
  for (int64_t i = 0; i < box->shape[axis]; i++)
    RPI_TRY(copy_box(g, s, box, axis + 1, at + i * box->stride[axis]));
  return RP_OK;
}

static rp_status patch(const rpi_plan *plan, const rpi_step *s, const rpi_run_gpu *g) {
  if (!g->needs_patch[s->dst]) return RP_OK;
  if (s->n_box == 0) {
    const int64_t hi = s->clip_hi > 0 ? s->clip_hi : g->patch_bytes[s->dst];
    const CUdeviceptr lo = (CUdeviceptr)s->clip_lo;
    return rpi_device_copy(g->device, g->addresses[s->dst] + lo, g->addresses[s->src] + lo,
                           hi - s->clip_lo);
  }
  for (int32_t i = 0; i < s->n_box; i++) {
    const rpi_geom *box = &plan->box[s->first_box + i];
    RPI_TRY(copy_box(g, s, box, 0, box->offset));
  }
  return RP_OK;
}

/* Those bytes of a symbol that the step names, or all that is held of it, from one side to the other. */
static rp_status move(const rpi_step *s, const rpi_run_gpu *g) {
  const rpi_hull h = s->clip_hi > 0 ? (rpi_hull){s->clip_lo, s->clip_hi} : g->held[s->dst];
  const CUdeviceptr there = g->addresses[s->dst] + (CUdeviceptr)h.lo;
  char *here = (char *)g->pointers[s->dst] + h.lo;
  if (rpi_hull_is_empty(h)) return RP_OK;
  return s->kind == RPI_STEP_UPLOAD ? rpi_device_upload(g->device, there, here, h.hi - h.lo)
                                    : rpi_device_download(g->device, here, there, h.hi - h.lo);
}

rp_status rpi_run_gpu_step(const rpi_plan *plan, const rpi_step *s, const rpi_run_gpu *g) {
  switch (s->kind) {
    case RPI_STEP_LAUNCH:
      for (int32_t i = 0; i < s->n_sub; i++)
        RPI_TRY(rpi_run_gpu_sub(plan, &plan->sub[s->first_sub + i], RPI_KERNEL_ALL, g->device));
      return RP_OK;
    case RPI_STEP_OPAQUE: return rpi_opaque_gpu_call(plan, &plan->call[s->call], g->opaque);
    case RPI_STEP_PATCH: return patch(plan, s, g);
    case RPI_STEP_UPLOAD:
    case RPI_STEP_DOWNLOAD: return move(s, g);
    default:
      return rpi_status_fail(RP_ERR_INTERNAL, "a step of kind %d is none of a GPU's", s->kind);
  }
}
