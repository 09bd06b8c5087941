/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_inside.h -- the emulated GPU from inside: handles, memory, work.
 *
 * Lives here: the structures its files share. One lock is held during each call of the driver (EMU_ENTER); NVRTC has its own.
 * How:        calls check what they are given and put *work* into a stream's queue. Queues run when somebody waits, or when
 *             they are long; so whoever forgets to wait sees old values. A handle is never freed, only ended: any use
 *             of an ended one is seen.
 * Invariants: the library calls nothing of the tree it tests. */
#ifndef EMU_INSIDE_H
#define EMU_INSIDE_H

/* The types of the tree, whichever headers the build uses: the functions are declared by the table. */
#undef RPI_CUDA_TOOLKIT
#include <stdbool.h>

#include "tests/emulator/emu.h"

#define EMU_INSIDE 1
#include "tests/emulator/host_head.h"

/* ---- emu_faults.c: the gate each call passes */
enum { EMU_INIT = 1, EMU_CURRENT = 2, EMU_RELEASES = 4, EMU_ANYWAY = 8 };
enum emu_call {
#define RPI_CUDA_FN(field, symbol, arguments) EMU_CALL_##field,
#define RPI_CUDA_OPT RPI_CUDA_FN
#include "core/device/cuda_driver.def"
#undef RPI_CUDA_FN
#undef RPI_CUDA_OPT
  EMU_N_CALLS
};
CUresult emu_enter(enum emu_call call, int needs, CUresult *late);
void emu_leave(const CUresult *unused);
/* `needs`: EMU_INIT: cuInit was called. EMU_CURRENT: so, and there is a current context, and it has not failed.
 * EMU_RELEASES: an injected fault is returned as `late`, when the work is done. EMU_ANYWAY: no fault of a context stops it. */
#define EMU_ENTER(field, needs) \
  CUresult late = CUDA_SUCCESS; \
  __attribute__((cleanup(emu_leave))) const CUresult refused = \
      emu_enter(EMU_CALL_##field, (needs), &late); \
  if (refused) return refused
#define EMU_TEXT(f, a) __attribute__((format(printf, f, a)))
_Noreturn void emu_die(const char *format, ...) EMU_TEXT(1, 2);
void emu_log(const char *format, ...) EMU_TEXT(1, 2);
void emu_lock(void);
void emu_unlock(void);
void emu_pause(void); /* within a call: lets other threads go on */
void emu_faults_init(void);
bool emu_faults_memory(void);     /* does this allocation fail? */
int emu_faults_compile(void);     /* the code this compile fails with, or 0 */
CUresult emu_faults_kernel(void); /* the code this kernel fails with, or 0 */
bool emu_faults_functions(void);
uint64_t emu_random(uint64_t n); /* 0..n-1 */
extern struct emu_counts emu_counted;
extern int64_t emu_now; /* number of the call that runs */

/* ---- handles */
typedef enum emu_kind {
  EMU_CONTEXT,
  EMU_STREAM,
  EMU_EVENT,
  EMU_MODULE,
  EMU_FUNCTION,
  EMU_GRAPH,
  EMU_NODE,
  EMU_EXEC,
  EMU_CONDITION,
  EMU_POOL,
  EMU_N_KINDS
} emu_kind;
typedef struct emu_device emu_device;
typedef struct emu_handle {
  uint64_t magic;
  emu_kind kind;
  bool dead;
  int64_t call; /* that made it */
  emu_device *device;
  struct emu_handle *next; /* the one made before */
} emu_handle;
void *emu_handle_make(emu_kind kind, size_t size, emu_device *device);
/* Aborts unless it is one of this kind that lives. */
void emu_handle_check(const void *handle, emu_kind kind);
void emu_handle_end(void *handle);
/* Those of a device that live. */
void emu_handle_end_all(emu_device *device);
const emu_handle *emu_handle_alive(emu_kind kind, int64_t *n);
const char *emu_kind_name(emu_kind kind);

/* ---- emu_context.c */
struct CUctx_st {
  emu_handle handle;
};
struct CUmemPoolHandle_st {
  emu_handle handle;
  uint64_t threshold;
};
typedef struct emu_memory emu_memory;
struct emu_device {
  int32_t ordinal;
  int64_t memory, used; /* bytes */
  CUcontext context;
  CUmemoryPool pool;
  int32_t retained;
  bool failed;
  CUresult sticky;
  /* the arena, and what was given of it by address */
  char *base, *end, *cursor;
  emu_memory **blocks;
  int64_t n_blocks, room;
};
enum { EMU_DEVICES_MOST = 8 };
extern emu_device emu_devices[EMU_DEVICES_MOST];
extern int32_t emu_n_devices;         /* 0: cuInit was not called */
emu_device *emu_context_device(void); /* of the current context, or NULL */
int emu_driver(void);                 /* 13000: CUDA 13.0 */
bool emu_forked(void);                /* this process has no driver: its parent has */
int32_t emu_context_depth(void);

/* ---- emu_memory.c */
enum { EMU_POISON = 0xA5, EMU_CANARY = 0xC9, EMU_ALIGN = 256, EMU_PAGE = 4096 };
typedef enum emu_state { EMU_AWAITED, EMU_LIVE, EMU_LEAVING, EMU_DEAD } emu_state;
typedef struct emu_granule emu_granule;
struct emu_memory {
  char *at; /* its pages: [first, last) around [at, at + bytes) */
  char *first, *last;
  size_t bytes;
  emu_state state;
  bool ready; /* its allocation has run, its freeing has not */
  int64_t call, freed;
  emu_device *device;
  emu_memory *before, *after; /* among those that are ready */
  emu_granule **granules;     /* of reserved addresses: what is mapped there; else NULL */
};
typedef struct emu_pin {
  char *at, *last;
  size_t bytes;
  bool dead;
  int64_t call;
  emu_device *device;
  struct emu_pin *next;
} emu_pin;
void emu_memory_init(emu_device *device);
/* Addresses for so many bytes, which nobody has. */
emu_memory *emu_memory_place(emu_device *d, size_t bytes, size_t charged);
void emu_memory_protect(char *first, const char *last, int how);
void emu_memory_enlist(emu_memory *m);
bool emu_memory_is_open(void);
void emu_memory_ready(emu_memory *m);
void emu_memory_gone(emu_memory *m);
void emu_memory_end_all(emu_device *device);
/* Work that touches the GPU's memory runs between these; they nest. */
void emu_memory_open(void);
void emu_memory_close(void);
/* Aborts if something was written around a block. */
void emu_memory_check(const char *who);
/* The block that [at, at + bytes) lies in; aborts if it is not one that may be named in a call. */
emu_memory *emu_memory_range(const void *at, size_t bytes, const char *what);
emu_memory *emu_memory_find(const void *at);
bool emu_memory_is_device(const void *at);
emu_pin *emu_pin_find(const void *at);
const emu_memory *emu_memory_alive(int64_t *n, int64_t *bytes);
const emu_pin *emu_pin_alive(int64_t *n, int64_t *bytes);

/* ---- emu_span.c: addresses without memory, and memory without addresses */
void emu_span_protect(const emu_memory *m, int how);
/* Aborts if some of [at, at + bytes) has no memory. */
void emu_span_check(const emu_memory *m, const char *at, size_t bytes, const char *what);
void emu_span_gone(emu_memory *m);
int64_t emu_span_alive(int64_t *call);
void emu_span_end_all(emu_device *device);

/* ---- work */
typedef struct emu_side {
  char *at;
  size_t pitch, slice;
  emu_memory *memory; /* NULL: the host's */
  emu_pin *pin;       /* the host's, pinned */
} emu_side;
typedef struct emu_copy {
  emu_side to, from;
  size_t width, height, depth;
  char *kept; /* pageable memory as it was at the call, packed */
} emu_copy;
typedef struct emu_fill {
  char *at;
  size_t pitch, width, height; /* width in elements */
  uint32_t value, element;
  emu_memory *memory;
} emu_fill;
typedef struct emu_kernel {
  CUfunction function;
  uint32_t grid, block;
  void *parameters;
} emu_kernel;
typedef enum emu_work_kind {
  EMU_WORK_EMPTY,
  EMU_WORK_GET,
  EMU_WORK_PUT,
  EMU_WORK_COPY,
  EMU_WORK_FILL,
  EMU_WORK_KERNEL,
  EMU_WORK_RECORD,
  EMU_WORK_WAIT,
  EMU_WORK_STEP,
  EMU_WORK_GRAPH,
  EMU_WORK_CONDITION
} emu_work_kind;
typedef struct emu_snapshot emu_snapshot;
typedef struct emu_condition emu_condition;
typedef struct emu_work {
  emu_work_kind kind;
  int64_t call; /* that asked for it */
  struct emu_work *next;
  union {
    emu_memory *memory;
    emu_copy copy;
    emu_fill fill;
    emu_kernel kernel;
    emu_snapshot *graph;
    struct {
      emu_condition *handle;
      CUgraph graph;      /* of a node: what it runs, */
      emu_snapshot *body; /* the same, of an executable graph */
      bool again;         /* as long as the handle's value is not 0; else once */
    } condition;
    struct {
      CUstream stream;
      int64_t end;
    } wait;
    struct {
      int (*run)(void *arg);
      void *arg;
    } step;
  } u;
} emu_work;

/* emu_work.c */
bool emu_work_run(emu_work *w, emu_device *device); /* false: it cannot end yet */
void emu_work_count(const emu_work *w);
void emu_work_deinit(emu_work *w);
void emu_work_copy(emu_work *to, const emu_work *from); /* with parameters of its own */
/* emu_copy.c: the checked form of what a caller says. */
CUresult emu_copy_box(const CUDA_MEMCPY3D *c, emu_copy *out);
void emu_copy_run(const emu_copy *c);
CUresult emu_fill_box(const CUDA_MEMSET_NODE_PARAMS *f, emu_fill *out);
void emu_fill_run(const emu_fill *f);
/* emu_stream.c */
struct CUstream_st {
  emu_handle handle;
  emu_work *first, **last;
  int64_t queued, done; /* pieces of work ever */
  bool running;
  CUgraph recorded;   /* NULL: work is done; else it becomes nodes, the last one is */
  CUgraphNode record; /* NULL: none yet */
  bool broken;        /* something was done that cannot be recorded */
};
/* NULL unless it is the current context's. */
CUstream emu_stream_check(CUstream stream);
CUresult emu_stream_add(CUstream stream, const emu_work *w);
/* Works off up to `end`; false: it did not come so far. */
bool emu_stream_run(CUstream stream, int64_t end);
/* emu_module.c */
struct CUmod_st {
  emu_handle handle;
  void *library;
  const struct rpg_unit *unit;
  CUfunction *functions; /* as the unit's facts; NULL: not asked for yet */
};
struct CUfunc_st {
  emu_handle handle;
  CUmodule module;
  const struct rpg_fact *fact;
};
CUresult emu_kernel_make(CUfunction f, const uint32_t grid[3], const uint32_t block[3],
                         uint32_t shared, void **parameters, void **extra, emu_kernel *out);
/* What the emulated compiler makes: this, then the bytes of a shared object. */
typedef struct emu_cubin {
  char magic[9];
  _Alignas(uint32_t) uint16_t arch;
  uint16_t compiler; /* 13: of CUDA 13; 0: it does not say */
  uint32_t bytes;
} emu_cubin;
#define EMU_CUBIN_MAGIC "EMUCUBIN"
/* Opens the shared object of n bytes; NULL: it is none. */
void *emu_module_open(const void *bytes, size_t n, const struct rpg_unit **unit);
/* emu_graph.c */
struct CUgraph_st {
  emu_handle handle;
  CUgraphNode *nodes;
  int32_t n, room;
  CUgraph root;              /* of what a node runs: the graph that the program made; else NULL */
  emu_condition *conditions; /* made for it */
  bool copied;               /* there is an executable graph of it, or was */
};
CUgraph emu_graph_make(CUgraph root);
void emu_graph_end(CUgraph graph); /* with all that it has */
void emu_graph_after(CUgraph graph, const CUgraphNode *after, size_t n);
CUgraphNode emu_graph_add(CUgraph graph, const CUgraphNode *after, size_t n, const emu_work *w);
void emu_graph_run(emu_snapshot *s, emu_device *device);
void emu_graph_count(const emu_snapshot *s);
void emu_graph_hold(emu_snapshot *s);
void emu_graph_forget(emu_snapshot *s);
/* emu_condition.c */
struct emu_condition {
  emu_handle handle;
  CUgraph graph;           /* that it was made for */
  bool assigns, used;      /* each launch begins with `first`; a node has it */
  unsigned first, value;   /* value: of the launch that runs */
  bool running;            /* such a launch does */
  bool set;                /* by the kernel that runs */
  emu_condition *of_graph; /* the graph's next one */
};
void emu_condition_set(uint64_t handle, unsigned value);
/* Before a kernel, which may set each once. */
void emu_condition_kernel(void);
/* Around a launch of the graph that they were made for. */
void emu_condition_begin(emu_condition *all);
void emu_condition_end(emu_condition *all);
void emu_condition_run(const emu_work *w, emu_device *device);
/* emu_block.c */
void emu_block_run(const emu_kernel *k);
/* emu_fixed.c: around a kernel; aborts if it has written what it read as fixed. */
void emu_fixed_begin(void);
void emu_fixed_read(const void *at, size_t bytes);
void emu_fixed_check(const char *who);

void *emu_get(size_t bytes); /* zeroed; aborts if there is none */

#endif
