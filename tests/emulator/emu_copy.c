/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_copy.c -- copies and fills: checked when they are asked for, done when work runs.
 *
 * Lives here: cuMemcpy*, cuMemset*, the boxes of copies, what is kept of pageable memory.
 * Not here:   the queue (emu_stream.c), nodes of graphs (emu_graph.c).
 * How:        every copy is a box of rows. Each side is looked up and its range checked at the call; when it runs, device
 *             memory must still be there, and pinned memory not have been freed. */
#include <stdlib.h>
#include <string.h>

#include "tests/emulator/emu_inside.h"

static bool host(const emu_side *s) { return !s->memory; }

static size_t bytes_of(const emu_copy *c, const emu_side *s) {
  return (c->depth - 1) * s->slice + (c->height - 1) * s->pitch + c->width;
}

/* Finds out whose memory a side is, and that all of it is there. */
static void look_up(const emu_copy *c, emu_side *s, CUmemorytype type, const char *what) {
  const size_t bytes = bytes_of(c, s);
  const bool device = emu_memory_is_device(s->at);
  if (type == CU_MEMORYTYPE_HOST && device)
    emu_die("%s: %p is memory of the GPU, not the host's", what, (void *)s->at);
  if (type == CU_MEMORYTYPE_DEVICE || device) {
    s->memory = emu_memory_range(s->at, bytes, what);
    return;
  }
  s->pin = emu_pin_find(s->at);
  if (!s->pin) return;
  if (s->pin->dead)
    emu_die("%s: use after free of the pinned memory of call %lld", what, (long long)s->pin->call);
  if ((size_t)(s->at - s->pin->at) + bytes > s->pin->bytes)
    emu_die("%s: %zu bytes from %td on are beyond the %zu pinned bytes of call %lld", what, bytes,
            s->at - s->pin->at, s->pin->bytes, (long long)s->pin->call);
}

/* The longest that the driver takes (CU_DEVICE_ATTRIBUTE_MAX_PITCH); it looks at pitches of one row, too. */
static size_t longest_pitch(void) {
  const char *text = getenv("EMU_PITCH");
  return text && *text ? (size_t)strtoll(text, NULL, 10) : INT32_MAX;
}

/* A side as the driver's struct says it. */
static bool side(const CUDA_MEMCPY3D *c, CUmemorytype type, const void *on_host,
                 CUdeviceptr on_device, const size_t place[4], size_t pitch, size_t rows,
                 emu_side *out) {
  if (type == CU_MEMORYTYPE_ARRAY || place[3])
    emu_die("arrays and levels of detail are not emulated");
  if (pitch > longest_pitch()) return false;
  const bool many = c->Height > 1 || c->Depth > 1 || place[1] || place[2];
  if (many && pitch < place[0] + c->WidthInBytes) return false;
  if ((c->Depth > 1 || place[2]) && rows < c->Height + place[1]) return false;
  uintptr_t at = type == CU_MEMORYTYPE_HOST ? (uintptr_t)on_host : (uintptr_t)on_device;
  at += place[0] + place[1] * pitch + place[2] * pitch * rows;
  *out = (emu_side){.at = (char *)at, .pitch = pitch, .slice = pitch * rows};
  return true;
}

CUresult emu_copy_box(const CUDA_MEMCPY3D *c, emu_copy *out) {
  *out = (emu_copy){.width = c->WidthInBytes, .height = c->Height, .depth = c->Depth};
  const size_t from[] = {c->srcXInBytes, c->srcY, c->srcZ, c->srcLOD};
  const size_t to[] = {c->dstXInBytes, c->dstY, c->dstZ, c->dstLOD};
  if (c->reserved0 || c->reserved1) return CUDA_ERROR_INVALID_VALUE;
  if (!side(c, c->srcMemoryType, c->srcHost, c->srcDevice, from, c->srcPitch, c->srcHeight,
            &out->from) ||
      !side(c, c->dstMemoryType, c->dstHost, c->dstDevice, to, c->dstPitch, c->dstHeight, &out->to))
    return CUDA_ERROR_INVALID_VALUE;
  if (!out->width || !out->height || !out->depth) return CUDA_SUCCESS;
  look_up(out, &out->from, c->srcMemoryType, "source");
  look_up(out, &out->to, c->dstMemoryType, "destination");
  return CUDA_SUCCESS;
}

static char *row(const emu_side *s, size_t y, size_t z) {
  return s->at + z * s->slice + y * s->pitch;
}

/* Little pageable memory is read before the call returns. More may be, and so here it is read when the copy runs: a GPU
 * with access to all of the host's memory need not stage it. */
static void keep(emu_copy *c) {
  enum { LITTLE = 64 << 10 };
  if (!host(&c->from) || c->from.pin || c->width * c->height * c->depth > LITTLE) return;
  c->kept = emu_get(c->width * c->height * c->depth);
  char *to = c->kept;
  for (size_t z = 0; z < c->depth; z++)
    for (size_t y = 0; y < c->height; y++, to += c->width)
      memcpy(to, row(&c->from, y, z), c->width);
}

static void still_there(const emu_copy *c, const emu_side *s, const char *what) {
  if (s->memory && !s->memory->ready)
    emu_die("a copy's %s, the block of call %lld, is %s when it runs", what,
            (long long)s->memory->call,
            s->memory->state == EMU_DEAD ? "freed" : "not yet allocated in its stream");
  if (s->memory && s->memory->granules) emu_span_check(s->memory, s->at, bytes_of(c, s), what);
  if (s->pin && s->pin->dead)
    emu_die("a copy's %s, the pinned memory of call %lld, is freed when it runs", what,
            (long long)s->pin->call);
}

void emu_copy_run(const emu_copy *c) {
  still_there(c, &c->from, "source");
  still_there(c, &c->to, "destination");
  const char *kept = c->kept;
  for (size_t z = 0; z < c->depth; z++)
    for (size_t y = 0; y < c->height; y++) {
      memmove(row(&c->to, y, z), kept ? kept : row(&c->from, y, z), c->width);
      if (kept) kept += c->width;
    }
}

void emu_range(CUstream stream, CUdeviceptr at, size_t bytes, struct emu_range *out) {
  emu_lock();
  emu_handle_check(stream, EMU_STREAM);
  char *const p = (char *)(uintptr_t)at;
  *out = (struct emu_range){p, bytes, emu_memory_range(p, bytes, "a message")};
  if (out->memory->device != stream->handle.device)
    emu_die("a message: memory of GPU %d in a stream of GPU %d", out->memory->device->ordinal,
            stream->handle.device->ordinal);
  emu_unlock();
}

void emu_range_copy(const struct emu_range *to, const struct emu_range *from) {
  emu_copy_run(&(emu_copy){.to = {.at = to->at, .memory = to->memory},
                           .from = {.at = from->at, .memory = from->memory},
                           .width = from->bytes,
                           .height = 1,
                           .depth = 1});
}

static CUresult add(emu_copy *c, CUstream stream) {
  if (!c->width || !c->height || !c->depth) return CUDA_SUCCESS;
  keep(c);
  return emu_stream_add(stream, &(emu_work){.kind = EMU_WORK_COPY, .u.copy = *c});
}

/* `bytes` in one row. */
static CUresult line(void *to, CUmemorytype to_type, const void *from, CUmemorytype from_type,
                     size_t bytes, CUstream stream) {
  stream = emu_stream_check(stream);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes) return CUDA_SUCCESS;
  emu_copy c = {
      .to.at = to, .from.at = (char *)(uintptr_t)from, .width = bytes, .height = 1, .depth = 1};
  look_up(&c, &c.from, from_type, "source");
  look_up(&c, &c.to, to_type, "destination");
  return add(&c, stream);
}

CUresult cu_upload(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  EMU_ENTER(upload, EMU_CURRENT);
  return line((void *)(uintptr_t)to, CU_MEMORYTYPE_DEVICE, from, CU_MEMORYTYPE_HOST, bytes, stream);
}

CUresult cu_download(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  EMU_ENTER(download, EMU_CURRENT);
  return line(to, CU_MEMORYTYPE_HOST, (void *)(uintptr_t)from, CU_MEMORYTYPE_DEVICE, bytes, stream);
}

CUresult cu_copy(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  EMU_ENTER(copy, EMU_CURRENT);
  return line((void *)(uintptr_t)to, CU_MEMORYTYPE_DEVICE, (void *)(uintptr_t)from,
              CU_MEMORYTYPE_DEVICE, bytes, stream);
}

CUresult cu_copy_box(const CUDA_MEMCPY3D *copy, CUstream stream) {
  EMU_ENTER(copy_box, EMU_CURRENT);
  stream = emu_stream_check(stream);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  emu_copy c;
  const CUresult bad = emu_copy_box(copy, &c);
  return bad ? bad : add(&c, stream);
}

/* ---- fills */

CUresult emu_fill_box(const CUDA_MEMSET_NODE_PARAMS *f, emu_fill *out) {
  const bool size = f->elementSize == 1 || f->elementSize == 2 || f->elementSize == 4;
  *out = (emu_fill){.at = (char *)(uintptr_t)f->dst,
                    .pitch = f->pitch,
                    .width = f->width,
                    .height = f->height,
                    .value = f->value,
                    .element = f->elementSize};
  if (!size || (uintptr_t)out->at % f->elementSize || !f->width || !f->height)
    return CUDA_ERROR_INVALID_VALUE;
  if (f->height > 1 && f->pitch < f->width * f->elementSize) return CUDA_ERROR_INVALID_VALUE;
  out->memory = emu_memory_range(out->at, (f->height - 1) * f->pitch + f->width * f->elementSize,
                                 "destination");
  return CUDA_SUCCESS;
}

void emu_fill_run(const emu_fill *f) {
  if (!f->memory->ready)
    emu_die("a fill's block, of call %lld, is %s when it runs", (long long)f->memory->call,
            f->memory->state == EMU_DEAD ? "freed" : "not yet allocated in its stream");
  const size_t bytes = (f->height - 1) * f->pitch + f->width * f->element;
  if (f->memory->granules) emu_span_check(f->memory, f->at, bytes, "a fill");
  for (size_t y = 0; y < f->height; y++)
    for (size_t x = 0; x < f->width; x++)
      memcpy(f->at + y * f->pitch + x * f->element, &f->value, f->element);
}

CUresult cu_fill(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
  EMU_ENTER(fill, EMU_CURRENT);
  stream = emu_stream_check(stream);
  if (!stream) return CUDA_ERROR_INVALID_HANDLE;
  if (!bytes) return CUDA_SUCCESS;
  emu_fill f;
  const CUresult bad = emu_fill_box(
      &(CUDA_MEMSET_NODE_PARAMS){
          .dst = to, .value = value, .elementSize = 1, .width = bytes, .height = 1},
      &f);
  return bad ? bad : emu_stream_add(stream, &(emu_work){.kind = EMU_WORK_FILL, .u.fill = f});
}
