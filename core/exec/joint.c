/* SPDX-License-Identifier: Apache-2.0
 * core/exec/joint.c -- see joint.h. */
#include "core/exec/joint.h"

#include <string.h>

#include "core/base/alloc.h"
#include "core/exec/run_gpu.h"

typedef struct rpi_joint {
  rpi_device *device;
  char *partials; /* pinned */
  int64_t room;
  rpi_word *words; /* a kernel's, with partials elsewhere */
  int32_t cap_words;
} rpi_joint;

static rpi_sub *sub_of(const rpi_plan *plan, const rpi_step *step, int32_t i) {
  return &plan->sub[step->first_sub + i];
}

/* ---- room ---- */

static rp_status reserve(rpi_plan *plan, rpi_device *d, int64_t bytes, int32_t words) {
  rpi_joint *j = plan->joint;
  if (!j) j = plan->joint = rpi_alloc_zero(sizeof *j);
  if (!j) return rpi_status_nomem("joint reductions");
  j->device = d;
  void *w = j->words;
  if (!rpi_alloc_grow(&w, &j->cap_words, words, sizeof *j->words))
    return rpi_status_nomem("joint reductions");
  j->words = w;
  if (bytes <= j->room) return RP_OK;
  void *pinned;
  RPI_TRY(rpi_device_pin(d, bytes, &pinned));
  rpi_device_unpin(d, j->partials);
  j->partials = pinned;
  j->room = bytes;
  return RP_OK;
}

void rpi_joint_free(rpi_joint *j) {
  if (!j) return;
  rpi_device_unpin(j->device, j->partials);
  rpi_alloc_free(j->words);
  rpi_alloc_free(j);
}

/* This rank's own partials of reduction r. */
static void own_partials(const rpi_plan *plan, const rpi_sub *s, int32_t r,
                         rpi_kernel_partials *out) {
  s->kernel->partials(s->kernel, &plan->words[s->word], s->space, r, s->own, s->own + s->own_units,
                      out);
}

/* Room for the words of any kernel of the step, which runs with partials elsewhere, and for partials that come to the host. */
static rp_status reserve_all(rpi_plan *plan, const rpi_step *step, rpi_device *d) {
  int64_t bytes = step->partials ? 0 : 64;
  int32_t words = 0;
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = sub_of(plan, step, i);
    if (s->kernel->n_words > words) words = s->kernel->n_words;
    for (int32_t r = 0; !step->partials && s->shared && r < s->kernel->n_red; r++) {
      rpi_kernel_partials p;
      own_partials(plan, s, r, &p);
      bytes += p.bytes + 8;
    }
  }
  return reserve(plan, d, bytes, words);
}

/* ---- units and ends ---- */

static rp_status run_units(const rpi_plan *plan, const rpi_step *step, rpi_device *d) {
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = sub_of(plan, step, i);
    RPI_TRY(rpi_run_gpu_sub(plan, s, s->shared ? RPI_KERNEL_BODY : RPI_KERNEL_ALL, d));
  }
  return RP_OK;
}

/* ---- lists ---- */

/* The partials come to the host; *bytes of lists. */
static rp_status make_lists(rpi_plan *plan, const rpi_step *step, rpi_device *d, int64_t *bytes) {
  rpi_joint *j = plan->joint;
  int64_t to = 0;
  *bytes = 0;
  for (int32_t turn = 0; turn < 2; turn++, to = 0) {
    for (int32_t i = 0; i < step->n_sub; i++) {
      const rpi_sub *s = sub_of(plan, step, i);
      const rpi_word *w = &plan->words[s->word];
      if (!s->shared) continue;
      memcpy(j->words, w, sizeof *w * (size_t)s->kernel->n_words);
      for (int32_t r = 0; r < s->kernel->n_red; r++) {
        rpi_kernel_partials p;
        own_partials(plan, s, r, &p);
        char *here = j->partials + to;
        j->words[p.word].p = (void *)((uintptr_t)here - (uintptr_t)p.at);
        if (turn == 0 && p.bytes > 0)
          RPI_TRY(rpi_device_pack(d, here, w[p.word].u + (uint64_t)p.at, p.bytes, 1, p.bytes));
        to += (p.bytes + 7) / 8 * 8;
      }
      if (turn == 1)
        *bytes += s->kernel->list(s->kernel, j->words, s->space, s->origin, s->own,
                                  s->own + s->own_units, plan->lists + *bytes);
    }
    if (turn == 0) RPI_TRY(rpi_device_wait(d));
  }
  return RP_OK;
}

static rp_status deliver(const rpi_plan *plan, const rpi_step *step, rpi_device *d) {
  const void *list = plan->lists;
  for (int32_t i = 0; i < step->n_sub; i++) {
    const rpi_sub *s = sub_of(plan, step, i);
    if (!s->shared) continue;
    for (int32_t r = 0; r < s->kernel->n_red; r++) {
      rpi_kernel_partials p;
      const void *root = s->kernel->root(s->kernel, r, &list, &p);
      RPI_TRY(rpi_device_upload(d, plan->words[s->word + p.word].u, root, p.bytes));
    }
    RPI_TRY(rpi_run_gpu_sub(plan, s, RPI_KERNEL_END, d));
  }
  return RP_OK;
}

static rp_status run_by_lists(rpi_plan *plan, const rpi_step *step, rpi_device *d, rpi_comm *comm) {
  int64_t bytes;
  RPI_TRY(reserve_all(plan, step, d));
  RPI_TRY(run_units(plan, step, d));
  RPI_TRY(make_lists(plan, step, d, &bytes));
  RPI_TRY(rpi_exchange_lists(comm, plan, step, bytes));
  return deliver(plan, step, d);
}

/* ---- partials of all ranks ---- */

/* What comes behind the units, where partials of the whole space are. A box's words become those of the space: what is left to
 * do knows no points, so only reductions see it. */
static rp_status join(const rpi_plan *plan, const rpi_sub *s, const rpi_exchange_memory *at,
                      CUdeviceptr scratch) {
  rpi_word *w = plan->joint->words;
  memcpy(w, &plan->words[s->word], sizeof *w * (size_t)s->kernel->n_words);
  for (int32_t r = 0; s->whole && r < s->kernel->n_red; r++) {
    rpi_kernel_partials p;
    own_partials(plan, s, r, &p);
    w[p.word].u = scratch + (uint64_t)s->whole[r];
  }
  if (s->whole) s->kernel->widen(s->kernel, w, s->space);
  return rpi_run_gpu_words(s, w, RPI_KERNEL_JOIN, at->device);
}

static rp_status run_by_partials(rpi_plan *plan, const rpi_step *step,
                                 const rpi_exchange_memory *at, const uint64_t *version,
                                 rpi_exchange_count *count) {
  RPI_TRY(reserve_all(plan, step, at->device));
  RPI_TRY(run_units(plan, step, at->device));
  RPI_TRY(rpi_exchange_pack(step->partials, at, version, false, count));
  rpi_assert(step->partials->n > 0 && step->partials->n_post == 0); /* all are direct */
  const CUdeviceptr scratch = at->addresses[step->partials->list[0].symbol];
  for (int32_t i = 0; i < step->n_sub; i++)
    if (sub_of(plan, step, i)->shared) RPI_TRY(join(plan, sub_of(plan, step, i), at, scratch));
  return RP_OK;
}

rp_status rpi_joint_run(rpi_plan *plan, const rpi_step *step, rpi_comm *comm,
                        const rpi_exchange_memory *at, const uint64_t *version,
                        rpi_exchange_count *count) {
  return step->partials ? run_by_partials(plan, step, at, version, count)
                        : run_by_lists(plan, step, at->device, comm);
}
