/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_stream.c -- streams and events: in which order work runs, and when.
 *
 * Lives here: queues, waiting, events, work that waits for another stream, work that is recorded instead: of one stream,
 *             without events or memory.
 * Not here:   the work (emu_work.c).
 * How:        work waits in its stream until somebody waits for it, or another stream does whose turn it is, or QUEUE_MOST
 *             pieces wait. An event is a place in a stream's queue: how many pieces must have run. A query
 *             of an event or a stream runs one piece, so that polling ends. */
#include <stdlib.h>

#include "tests/emulator/emu_inside.h"

enum { QUEUE_MOST = 256, PATIENCE = 600000 /* pauses; a minute */ };

struct CUevent_st {
  emu_handle handle;
  CUstream stream; /* NULL: never recorded */
  int64_t end;
};

CUstream emu_stream_check(CUstream stream) {
  emu_handle_check(stream, EMU_STREAM);
  return stream->handle.device == emu_context_device() ? stream : NULL;
}

bool emu_stream_run(CUstream s, int64_t end) {
  if (s->running) return s->done >= end; /* work of another stream asks, which this one waits for */
  s->running = true;
  emu_memory_open();
  while (s->done < end && emu_work_run(s->first, s->handle.device)) {
    emu_work *w = s->first;
    s->first = w->next;
    if (!s->first) s->last = &s->first;
    s->done++;
    emu_work_deinit(w);
    free(w);
  }
  emu_memory_close();
  s->running = false;
  return s->done >= end;
}

/* Waits, if need be for what other threads have yet to queue. */
static void finish(CUstream s, int64_t end) {
  for (int64_t turn = 0; !emu_stream_run(s, end); turn++) {
    if (turn == PATIENCE) emu_die("what the stream waits for does not come");
    emu_pause();
  }
}

/* For who measures what the host does: kernels and graphs are taken, and never run. */
static bool is_idle(void) {
  static int idle = -1;
  if (idle < 0) idle = getenv("EMU_IDLE") != NULL;
  return idle;
}

/* Work becomes a node behind the last one, unless it is of a kind that a graph of the emulator does not have. */
static CUresult record(CUstream s, const emu_work *work) {
  emu_work w = *work;
  const bool pageable = w.kind == EMU_WORK_COPY && w.u.copy.kept;
  const bool good = w.kind == EMU_WORK_KERNEL || w.kind == EMU_WORK_COPY || w.kind == EMU_WORK_FILL;
  if (!good || pageable) {
    s->broken = true;
    emu_work_deinit(&w);
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  s->record = emu_graph_add(s->recorded, &s->record, s->record != NULL, &w);
  return CUDA_SUCCESS;
}

/* Nobody may wait for what is only recorded. */
static bool waits(CUstream s) {
  s->broken = s->broken || s->recorded;
  return s->recorded == NULL;
}

CUresult cu_stream_record(CUstream stream, CUstreamCaptureMode mode) {
  EMU_ENTER(stream_record, EMU_CURRENT);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (mode != CU_STREAM_CAPTURE_MODE_RELAXED || stream->recorded) return CUDA_ERROR_INVALID_VALUE;
  stream->recorded = emu_graph_make(NULL);
  stream->record = NULL;
  stream->broken = false;
  return CUDA_SUCCESS;
}

CUresult cu_stream_recorded(CUstream stream, CUgraph *graph) {
  EMU_ENTER(stream_recorded, EMU_CURRENT | EMU_RELEASES);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (!stream->recorded) return CUDA_ERROR_INVALID_VALUE;
  const bool lost = stream->broken || late;
  *graph = lost ? NULL : stream->recorded;
  if (lost) emu_graph_end(stream->recorded);
  stream->recorded = NULL;
  return late ? late : lost ? CUDA_ERROR_STREAM_CAPTURE_INVALIDATED : CUDA_SUCCESS;
}

CUresult emu_stream_add(CUstream s, const emu_work *work) {
  if (s->recorded) return record(s, work);
  if (is_idle() && (work->kind == EMU_WORK_KERNEL || work->kind == EMU_WORK_GRAPH)) {
    emu_work w = *work;
    emu_work_count(&w);
    emu_work_deinit(&w);
    return s->handle.device->sticky;
  }
  emu_work *w = emu_get(sizeof *w);
  *w = *work;
  w->call = emu_now;
  w->next = NULL;
  emu_work_count(w);
  *s->last = w;
  s->last = &w->next;
  s->queued++;
  if (s->queued - s->done >= QUEUE_MOST) emu_stream_run(s, s->queued);
  return s->handle.device->sticky;
}

CUresult emu_stream_step(CUstream stream, int (*step)(void *arg), void *arg) {
  emu_lock();
  emu_handle_check(stream, EMU_STREAM);
  const CUresult bad =
      emu_stream_add(stream, &(emu_work){.kind = EMU_WORK_STEP, .u.step = {step, arg}});
  emu_unlock();
  return bad;
}

void emu_stream_work(CUstream s) {
  if (s->handle.dead || s->done == s->queued) return;
  const int64_t end = s->done + 1 + (int64_t)emu_random(4);
  emu_stream_run(s, end < s->queued ? end : s->queued);
}

CUresult cu_stream_create(CUstream *stream, unsigned int flags) {
  EMU_ENTER(stream_create, EMU_CURRENT);
  if (flags & ~(unsigned)CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  CUstream s = emu_handle_make(EMU_STREAM, sizeof *s, emu_context_device());
  s->last = &s->first;
  *stream = s;
  return CUDA_SUCCESS;
}

CUresult cu_stream_destroy(CUstream stream) {
  EMU_ENTER(stream_destroy, EMU_CURRENT | EMU_RELEASES);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  finish(stream, stream->queued);
  emu_handle_end(stream);
  return late;
}

CUresult cu_stream_wait(CUstream stream) {
  EMU_ENTER(stream_wait, EMU_CURRENT);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (!waits(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  emu_counted.waits++;
  finish(stream, stream->queued);
  return stream->handle.device->sticky;
}

CUresult cu_stream_query(CUstream stream) {
  EMU_ENTER(stream_query, EMU_CURRENT);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (!waits(stream)) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  if (stream->done == stream->queued) return stream->handle.device->sticky;
  emu_stream_run(stream, stream->done + 1);
  return stream->handle.device->sticky ? stream->handle.device->sticky : CUDA_ERROR_NOT_READY;
}

CUresult cu_stream_wait_event(CUstream stream, CUevent event, unsigned int flags) {
  EMU_ENTER(stream_wait_event, EMU_CURRENT);
  emu_handle_check(event, EMU_EVENT);
  if (!emu_stream_check(stream)) return CUDA_ERROR_INVALID_HANDLE;
  if (flags) return CUDA_ERROR_INVALID_VALUE;
  if (!event->stream) return CUDA_SUCCESS;
  return emu_stream_add(stream,
                        &(emu_work){.kind = EMU_WORK_WAIT, .u.wait = {event->stream, event->end}});
}

CUresult cu_event_create(CUevent *event, unsigned int flags) {
  EMU_ENTER(event_create, EMU_CURRENT);
  if (flags & ~(unsigned)CU_EVENT_DISABLE_TIMING) return CUDA_ERROR_INVALID_VALUE;
  *event = emu_handle_make(EMU_EVENT, sizeof(struct CUevent_st), emu_context_device());
  return CUDA_SUCCESS;
}

CUresult cu_event_destroy(CUevent event) {
  EMU_ENTER(event_destroy, EMU_CURRENT | EMU_RELEASES);
  emu_handle_check(event, EMU_EVENT);
  emu_handle_end(event);
  return late;
}

CUresult cu_event_record(CUevent event, CUstream stream) {
  EMU_ENTER(event_record, EMU_CURRENT);
  emu_handle_check(event, EMU_EVENT);
  if (!emu_stream_check(stream) || event->handle.device != stream->handle.device)
    return CUDA_ERROR_INVALID_HANDLE;
  const CUresult bad = emu_stream_add(stream, &(emu_work){.kind = EMU_WORK_RECORD});
  event->stream = stream;
  event->end = stream->queued;
  return bad;
}

CUresult cu_event_wait(CUevent event) {
  EMU_ENTER(event_wait, EMU_CURRENT);
  emu_handle_check(event, EMU_EVENT);
  emu_counted.waits++;
  if (!event->stream) return CUDA_SUCCESS;
  finish(event->stream, event->end);
  return event->stream->handle.device->sticky;
}

CUresult cu_event_query(CUevent event) {
  EMU_ENTER(event_query, EMU_CURRENT);
  emu_handle_check(event, EMU_EVENT);
  CUstream s = event->stream;
  if (!s || s->done >= event->end) return CUDA_SUCCESS;
  emu_stream_run(s, s->done + 1);
  return s->handle.device->sticky ? s->handle.device->sticky : CUDA_ERROR_NOT_READY;
}
