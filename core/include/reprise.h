/* SPDX-License-Identifier: Apache-2.0
 * reprise.h -- the public C interface of Reprise: tasks on global arrays, traced, fused, replayed.
 *
 * Lives here: every public declaration of the runtime, in the order a program meets them:
 *             status, contexts, stores, views, libraries and ops, launch, traces, waiting, seeing.
 * Not here:   the libraries that ship with it (reprise_array.h, reprise_dense.h, reprise_fourier.h, reprise_sparse.h,
 *             reprise_solve.h) and the optional macros (reprise_do.h).
 *
 * Rules that hold everywhere, unless a declaration says otherwise:
 *  - Every function that can fail returns an rp_status; RP_OK is 0 and errors are negative. A failed
 *    call changes nothing, sets its outputs to NULL or 0, and leaves a sentence for this thread in
 *    rp_last_error().
 *  - Outputs come last. Objects from `create` and from functions with an `rp_store **out` belong to
 *    the caller, who releases them; pointers from `get` functions are borrowed.
 *  - A context, and everything made from it, is used by one thread at a time (checked). The only
 *    exception is rp_store_release_any.
 *  - Shapes and indices count elements, slowest-varying axis first (C order).
 *  - Strings are NUL-terminated UTF-8 and are copied if they must outlive the call.
 */
#ifndef REPRISE_H
#define REPRISE_H

#include <stddef.h>
#include <stdint.h>

#define RP_VERSION_MAJOR 0
#define RP_VERSION_MINOR 1
#define RP_VERSION_PATCH 0

#define RP_MAX_DIM 8

#ifndef RP_API
#if defined(__GNUC__)
#define RP_API __attribute__((visibility("default")))
#else
#define RP_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- status ------------------------------------------------------------------------------- */

typedef int32_t rp_status;

enum {
  RP_OK = 0,
  RP_ERR_ARGUMENT = -1, /* an argument is NULL, out of range, or of the wrong kind */
  RP_ERR_SHAPE = -2,    /* extents or ranks that do not fit together */
  RP_ERR_DTYPE = -3,    /* element types that do not fit, or a lossy store without a cast */
  RP_ERR_BODY =
      -4, /* an expression body that does not parse or type, a text that does not compile */
  RP_ERR_ACCESS = -5, /* a write to read-only data, a non-injective written view, an overlap */
  RP_ERR_HANDLE = -6, /* a foreign, stale or released handle */
  RP_ERR_STATE = -7, /* a call at the wrong time: after fork, from a callback, another trace open */
  RP_ERR_THREAD = -8,    /* a context used by two threads at once */
  RP_ERR_MEMORY = -9,    /* out of memory */
  RP_ERR_DATA = -10,     /* poisoned data: a task read or wrote out of range (see rp_last_error) */
  RP_ERR_IO = -11,       /* a file that cannot be read, or is malformed */
  RP_ERR_CONFIG = -12,   /* an unknown knob or a value it does not take */
  RP_ERR_OPAQUE = -13,   /* an opaque task's function reported failure */
  RP_ERR_INTERNAL = -14, /* a broken invariant of the library: please report it */
  RP_ERR_RANKS = -15,    /* another rank ended, was silent for too long, or ran another program */
  RP_ERR_DEVICE = -16    /* a GPU that was asked for is not there, or a call of its driver failed */
};

/* The sentence that belongs to the last failed call of the calling thread, "" if there was none.
 * Borrowed; valid until this thread's next failing call. */
RP_API const char *rp_last_error(void);

/* For libraries built on this interface: makes a copy of `sentence` this thread's sentence and returns
 * `status`, so that their errors reach rp_last_error() as the runtime's own do. NULL counts as "". */
RP_API rp_status rp_error_set(rp_status status, const char *sentence);

/* The name of a status code, such as "RP_ERR_SHAPE"; "RP_ERR_?" for an unknown one. Never NULL. */
RP_API const char *rp_status_name(rp_status status);

/* Version of the running library as major*10000 + minor*100 + patch. */
RP_API int32_t rp_version(void);

/* ---- element types ------------------------------------------------------------------------ */

typedef int32_t rp_dtype;

enum {
  RP_BOOL = 0, /* one byte, 0 or 1; any other non-zero byte reads as 1 */
  RP_I8 = 1,
  RP_I16 = 2,
  RP_I32 = 3,
  RP_I64 = 4,
  RP_U8 = 5,
  RP_U16 = 6,
  RP_U32 = 7,
  RP_U64 = 8,
  RP_F32 = 9,
  RP_F64 = 10
};

/* Bytes of one element, 0 for a number that is no dtype. */
RP_API size_t rp_dtype_size(rp_dtype dtype);
/* "f64" and so on; "?" for a number that is no dtype. */
RP_API const char *rp_dtype_name(rp_dtype dtype);
/* The dtype in which a and b combine (NumPy's promotion of arrays, NEP 50). */
RP_API rp_status rp_dtype_promote(rp_dtype a, rp_dtype b, rp_dtype *out);

/* ---- contexts ------------------------------------------------------------------------------ */

typedef struct rp_context rp_context;
typedef struct rp_store rp_store;
typedef struct rp_library rp_library;
typedef struct rp_op rp_op;

/* Makes a context. `config` holds options such as "--threads 2 --fusion off", or is NULL. Order of
 * precedence: `config`, then the environment's one variable per knob (REPRISE_THREADS=2), then
 * REPRISE_CONFIG, then the defaults. rp_config_print lists every knob.
 * Where a launcher (mpirun, srun) has started several processes, all of them create, use and destroy their contexts
 * in the same order, make the same calls with the same values, and get the same results; each then does its part
 * of the work. What differs is RP_ERR_RANKS, here or in a later call.
 * With the knob gpus above 1 a process alone uses several GPUs by one context; threads of the library make each call once
 * more for the others. To the program nothing is different but this: functions of opaque ops may be called by several
 * threads at once (rp_op_create_opaque); memory on a GPU cannot be lent to the context (RP_ERR_DEVICE), and it
 * hands out copies only; what fails on one GPU alone is RP_ERR_RANKS of a later call, with that GPU's sentence, and ends the use
 * of the context. rp_stat and rp_explain describe the first GPU's part.
 * A child made by fork may have contexts of its own; once the parent has looked for GPUs they are on the host, and gpus above 0
 * is RP_ERR_DEVICE, since CUDA's driver works in no child of a process that it has begun in. */
RP_API rp_status rp_context_create(const char *config, rp_context **out);

/* Runs what is pending, then frees the context. In a child made by fork, contexts of the parent
 * refuse this like every other call but a release (RP_ERR_STATE). Stores that are still held keep a shell: only
 * releasing them is legal afterwards. NULL is allowed. Returns the first error of pending work. */
RP_API rp_status rp_context_destroy(rp_context *ctx);

/* Writes the table of knobs (name, value, default, meaning), one line each, into `buf` as snprintf
 * does: at most `size` bytes with the NUL; *needed is the full length without it. ctx NULL prints
 * the defaults. */
RP_API rp_status rp_config_print(rp_context *ctx, char *buf, size_t size, size_t *needed);

/* How many GPUs the context uses; 0 on a bad handle. */
RP_API int32_t rp_context_gpus(const rp_context *ctx);

/* What a library keeps in a context, such as a table of its ops, found again without a string. `key` is
 * an address of the library's own (of a static variable, say) and is only compared. Setting a key again
 * replaces its data, and the old data is freed. `free_data` (may be NULL) is called once, when the
 * data is replaced or the context destroyed (after pending work has run); it must not use the context. */
RP_API rp_status rp_context_set_data(rp_context *ctx, const void *key, void *data,
                                     void (*free_data)(void *data));
/* The data set under `key`; NULL if there is none or on a bad handle. */
RP_API void *rp_context_data(rp_context *ctx, const void *key);

/* ---- stores --------------------------------------------------------------------------------- */

/* Makes an array of zeros. `ndim` in 0..RP_MAX_DIM; `shape` has ndim extents >= 0 (NULL if ndim is
 * 0: a scalar that lives in memory). No memory is touched before a task needs it. */
RP_API rp_status rp_store_create(rp_context *ctx, rp_dtype dtype, int32_t ndim,
                                 const int64_t *shape, rp_store **out);

/* Makes a rank-0 store that holds *value (one element of `dtype`). */
RP_API rp_status rp_store_scalar(rp_context *ctx, rp_dtype dtype, const void *value,
                                 rp_store **out);

/* Makes an array whose extent of axis 0 is known only when a task has written it: that of a filter, of what is unique, of
 * a compaction. `ndim` in 1..RP_MAX_DIM; `row` has its other ndim-1 extents (NULL if ndim is 1). It gets its size from
 * the first launch of an op that has it as RP_PRIV_UNBOUND. Any other use, such as rp_store_extent, a view, a read, or a
 * launch on it, waits for that launch and is RP_ERR_STATE before it; rp_store_dtype, _ndim, _context, _retain, _release
 * and _release_any do neither. If the writer failed, or what it read was poisoned, the store has no rows and is
 * poisoned. */
RP_API rp_status rp_store_create_unbound(rp_context *ctx, rp_dtype dtype, int32_t ndim,
                                         const int64_t *row, rp_store **out);

enum { RP_READ_ONLY = 0, RP_READ_WRITE = 1 };

/* Lends the caller's memory to a new store: no copy. `data` holds the elements in C order, aligned
 * to the element size, and must outlive the store or rp_store_detach. Overlap with memory that is
 * attached already is RP_ERR_ACCESS.
 *
 * Such memory is used in turns. From the call on it is the library's: the caller neither reads nor writes `data`
 * (RP_READ_ONLY: may read it). rp_store_home gives the turn to the caller, who may read `data`, and write it (RP_READ_ONLY:
 * may not), until the store, a view of it or a store that it is copied to is next launched on, read, written or
 * copied. What the caller wrote are the store's values then. */
RP_API rp_status rp_store_attach(rp_context *ctx, rp_dtype dtype, int32_t ndim,
                                 const int64_t *shape, void *data, int32_t access, rp_store **out);

/* Brings the values of an attached array back into the caller's memory and leaves it attached. */
RP_API rp_status rp_store_home(rp_store *store);

/* rp_store_home, then gives the memory back; the store and its views keep their values in memory
 * of their own. RP_ERR_STATE while others hold tensors of it. */
RP_API rp_status rp_store_detach(rp_store *store);

/* One more reference / one less. Releasing NULL is allowed. rp_store_release_any may be called from
 * any thread and from finalizers; it takes effect at the context's next call, with several ranks some time after all
 * of them have called it for that store (knob consensus). A handle used after its last release is RP_ERR_HANDLE until
 * its record serves another store. */
RP_API rp_status rp_store_retain(rp_store *store);
RP_API rp_status rp_store_release(rp_store *store);
RP_API rp_status rp_store_release_any(rp_store *store);

/* Facts. On a bad handle: -1, or 0 for the counts; so are those of an unbound store that cannot get its size. */
RP_API rp_dtype rp_store_dtype(const rp_store *store);
RP_API int32_t rp_store_ndim(const rp_store *store);
RP_API int64_t rp_store_extent(const rp_store *store, int32_t axis);
RP_API int64_t rp_store_size(const rp_store *store);
/* The context that made it; NULL on a bad handle. */
RP_API rp_context *rp_store_context(const rp_store *store);

/* Copies the whole store into / from the caller's dense C-order array of `bytes` bytes, which must
 * be exactly the store's size times its element size. Waits for what that store needs only.
 * Poisoned data is RP_ERR_DATA (read); a write clears it. */
RP_API rp_status rp_store_read(rp_store *store, void *data, size_t bytes);
RP_API rp_status rp_store_write(rp_store *store, const void *data, size_t bytes);

/* The same for the box lo <= index < hi (ndim bounds each). */
RP_API rp_status rp_store_read_part(rp_store *store, const int64_t *lo, const int64_t *hi,
                                    void *data, size_t bytes);
RP_API rp_status rp_store_write_part(rp_store *store, const int64_t *lo, const int64_t *hi,
                                     const void *data, size_t bytes);

/* Hands over elements lo..lo+n-1 of a store, in C order: fills `out`. Called on the calling thread; of the library it may
 * call rp_error_set, with the same context nothing else. RP_OK, or a status that ends the write. */
typedef rp_status rp_supply_fn(void *arg, int64_t lo, int64_t n, void *out);

/* As rp_store_write, but the library asks `fn` for the elements that this process holds, in ascending blocks of a bounded
 * size, so that nobody needs all of them at once. With several ranks each asks for its own part, of a small array for
 * all of it: an element must be the same whoever asks. If fn fails, on any rank, all ranks return the first such rank's
 * status and sentence, and the store is unchanged. */
RP_API rp_status rp_store_supply(rp_store *store, rp_supply_fn *fn, void *arg);

/* Every element becomes *value (one element of the store's dtype): a task like any other. */
RP_API rp_status rp_store_fill(rp_store *store, const void *value);
/* dst[...] = src[...] for equal shapes and dtypes: a task; whole arrays share memory until written. */
RP_API rp_status rp_store_copy(rp_store *dst, rp_store *src);

/* ---- arrays of other libraries, on the host and on a GPU -------------------------------------- */

/* Streams of a GPU are numbered as in DLPack: 1 is the legacy default stream, 2 the calling thread's default stream, a greater
 * number a CUstream of the GPU's primary context, -1 none: the caller orders work himself. 0 and all else are
 * RP_ERR_ARGUMENT. None of these calls lets the host wait for a GPU unless it says so. */

/* The GPU that the context uses, of several the first, by its number at the driver, and the stream of the context's work
 * there, for producers who want to know the consumer's. Either may be NULL. RP_ERR_DEVICE: it uses none. */
RP_API rp_status rp_context_gpu(rp_context *ctx, int32_t *device, int64_t *stream);

/* As rp_store_attach, for memory of GPU number `device` that `data` points to (an array of CuPy, PyTorch or JAX, a
 * __cuda_array_interface__): the library uses it behind what `stream` has by now. RP_ERR_DEVICE: the context uses no GPU or
 * another; RP_ERR_ARGUMENT: the driver does not know `data` as memory of a GPU. Memory that begins at a
 * multiple of 16 bytes is the fastest. rp_store_home and rp_store_detach wait for the GPU, and so does the release of the store's
 * last handle: the memory may be freed then. */
RP_API rp_status rp_store_attach_device(rp_context *ctx, rp_dtype dtype, int32_t ndim,
                                        const int64_t *shape, void *data, int32_t device,
                                        int64_t stream, int32_t access, rp_store **out);
/* As rp_store_home and rp_store_detach, but of memory on a GPU `stream` waits in the host's place: the caller's turn is what
 * he gives to that stream (of -1: what has ended) before the store is used next, which the library's work waits for. Of
 * memory on the host nothing is different. */
RP_API rp_status rp_store_home_stream(rp_store *store, int64_t stream);
RP_API rp_status rp_store_detach_stream(rp_store *store, int64_t stream);

/* The structs of DLPack's C interface (dlpack.h); they are not declared here. */
struct DLManagedTensor;
struct DLManagedTensorVersioned;

/* Makes a store of a DLPack tensor: no copy. Devices are the host (types 1 and 3) and the context's GPU (type 2); for the
 * latter `stream` is as in rp_store_attach_device. The store has the tensor's shape and dtype; strides may be any. It is
 * attached, with the turns of rp_store_attach, to the memory that the elements span, and read-only if the tensor is, if
 * its elements have gaps between them (what lies there is not ours to write back), or if it shows elements twice.
 * Overlap with attached memory is RP_ERR_ACCESS unless both are read-only.
 *
 * The tensor belongs to the store on success only. Its deleter is called once: when the last handle of the store and of its views is
 * released, or by rp_store_detach, at the latest when the context is destroyed, or, if others hold
 * tensors of the store, with the last of these; on the thread of that call, when the GPU has done with the memory. It must not
 * use the context, but for rp_store_release_any. An empty tensor is deleted at once. RP_ERR_DTYPE, RP_ERR_DEVICE: of a
 * kind that stores are not, or on another device; RP_ERR_ARGUMENT: not version 1 of DLPack, data NULL or not aligned. */
RP_API rp_status rp_store_import_dlpack(rp_context *ctx, struct DLManagedTensorVersioned *tensor,
                                        int64_t stream, rp_store **out);
/* The same for tensors of before DLPack 1.0, which may be written. */
RP_API rp_status rp_store_import_dlpack_legacy(rp_context *ctx, struct DLManagedTensor *tensor,
                                               int64_t stream, rp_store **out);

/* Where the store is for others, as DLPack numbers devices: (1, 0) for the host, (2, n) for GPU n. It is the side of attached
 * memory, else the context's GPU if it uses one. */
RP_API rp_status rp_store_device(rp_store *store, int32_t *device_type, int32_t *device_id);

enum {
  RP_EXPORT_MAY_COPY = 1,  /* a copy, where the memory itself cannot be handed out */
  RP_EXPORT_MUST_COPY = 2, /* a copy */
  RP_EXPORT_WRITABLE = 4   /* the holder wants to write the store's memory */
};

typedef struct rp_export_desc {
  size_t struct_size; /* sizeof(rp_export_desc) */
  int32_t flags;      /* RP_EXPORT_ bits */
  int32_t
      device_type; /* where the holder wants it: 0: where it is (rp_store_device), 1: on the host, 2: on a GPU */
  int32_t device_id; /* of the GPU */
  int32_t
      max_major; /* the newest version of DLPack that the holder knows; 0: any. All from 1.0 on get 1.0. */
  int32_t max_minor;
  int32_t reserved; /* 0 */
  int64_t
      stream; /* of a GPU: what the holder does to the memory goes there. On the host it is not looked at */
} rp_export_desc;

/* Hands a store out as a DLPack tensor, with its shape and with strides. Waits for what this store needs only, on a GPU by
 * `stream` instead of the host. `desc` NULL: flags 0, any device, the legacy default stream. Poisoned data are RP_ERR_DATA.
 *
 * With a copy the memory is the tensor's own (flag IS_COPIED), and may be written. Without one there are two cases:
 *  - A read-only tensor (flag READ_ONLY) is a snapshot: it keeps the values of now, whatever is done to the store. The memory is
 *    shared until the store is written; the library takes other memory for that.
 *  - With RP_EXPORT_WRITABLE, and whenever the store is attached already, it is a window: the memory of the store itself, in
 *    the turns of rp_store_attach. It is the holder's turn now, and again after rp_store_home, which is allowed while there
 *    are windows; on a GPU the turn is that of `stream`, as with rp_store_home_stream. A window of an attached store is
 *    that attached memory, which must live as long.
 * What cannot be had without a copy is RP_ERR_ACCESS: a store that several processes share, memory attached on another
 * device, RP_EXPORT_WRITABLE of read-only data or of a view that shows elements twice.
 *
 * The tensor lives until its deleter is called, once, from any thread, with or without the context. Until then its memory
 * stays where it is and is not used for anything else, also beyond rp_context_destroy. The deleter takes no lock of the
 * library's while the context lives. It frees at the context's next call. A stream > 2 must exist until then: the memory is used again
 * behind what it has by then. Of streams 2 and -1 the holder's work must have ended when the deleter is called. */
RP_API rp_status rp_store_export_dlpack(rp_store *store, const rp_export_desc *desc,
                                        struct DLManagedTensorVersioned **out);
/* The same for holders of before DLPack 1.0. Their tensors cannot be marked as read-only, so one of RP_EXPORT_WRITABLE and
 * the copies is needed (RP_ERR_ACCESS). */
RP_API rp_status rp_store_export_dlpack_legacy(rp_store *store, const rp_export_desc *desc,
                                               struct DLManagedTensor **out);

/* ---- views: new handles on the same array, nothing is copied -------------------------------- */

/* Axis `axis` becomes the elements start, start+step, ... before stop (after it for step < 0), as
 * Python's slices do; bounds are clamped, negative ones count from the end. INT64_MAX / INT64_MIN
 * as `stop` mean "to the end" for a positive / negative step. step 0 is an error. */
RP_API rp_status rp_store_slice(rp_store *store, int32_t axis, int64_t start, int64_t stop,
                                int64_t step, rp_store **out);
/* The box lo <= index < hi; bounds are not clamped. */
RP_API rp_status rp_store_box(rp_store *store, const int64_t *lo, const int64_t *hi,
                              rp_store **out);
/* Axis k of the result is axis axes[k] of the store; `axes` is a permutation. */
RP_API rp_status rp_store_transpose(rp_store *store, const int32_t *axes, rp_store **out);
/* A new axis of `extent` equal elements before axis `axis` (0..ndim). Read-only for extent > 1. */
RP_API rp_status rp_store_promote(rp_store *store, int32_t axis, int64_t extent, rp_store **out);
/* Axis `axis` is fixed at `index` and disappears. */
RP_API rp_status rp_store_project(rp_store *store, int32_t axis, int64_t index, rp_store **out);
/* Axes of extent 1 are repeated, and axes are added in front, to get `shape` (NumPy's rules). */
RP_API rp_status rp_store_broadcast(rp_store *store, int32_t ndim, const int64_t *shape,
                                    rp_store **out);
/* The same elements in C order under another shape; one extent may be -1. RP_ERR_SHAPE where the
 * strides do not allow it without a copy. */
RP_API rp_status rp_store_reshape(rp_store *store, int32_t ndim, const int64_t *shape,
                                  rp_store **out);

/* ---- libraries and ops ----------------------------------------------------------------------- */

/* A named set of ops in a context; the same name again gives the same library. Lives as long as
 * the context. */
RP_API rp_status rp_library_create(rp_context *ctx, const char *name, rp_library **out);
RP_API rp_context *rp_library_context(const rp_library *lib);

/* Registers an op by its body (the language is described in jit/README.md). `params` names what
 * the body mentions, separated by commas, in the order in which a launch passes them:
 *    "y, x"             stores of any dtype and rank;
 *    "y, a:f64, x"      `a` is a scalar of the host with that dtype;
 *    "y, a:float, x"    a weak scalar, passed as a double, that takes the dtype of what it meets
 *                       ("a:int": passed as an int64_t), like a literal.
 * The body is parsed here; it is typed at the first launch with new dtypes or ranks. Lives as long
 * as the context. The same library, name, body and params again give the same op; the same name
 * with another body is RP_ERR_ARGUMENT. */
RP_API rp_status rp_op_create(rp_library *lib, const char *name, const char *params,
                              const char *body, rp_op **out);

/* What an opaque op's function receives, one natural C argument each. */
typedef int32_t rp_arg_kind;
enum {
  RP_ARG_PTR = 0,    /* pointer to the first element of store `a` */
  RP_ARG_EXTENT = 1, /* int64_t: extent of axis `b` of store `a` */
  RP_ARG_STRIDE = 2, /* int64_t: stride of axis `b` of store `a`, in elements */
  RP_ARG_SCALAR = 3, /* scalar `a` of the launch, in its declared dtype */
  RP_ARG_CONST = 4,  /* int64_t: `value` */
  RP_ARG_SIZE = 5,   /* int64_t: number of elements of store `a` */
  RP_ARG_OFFSET = 6, /* int64_t: index along axis 0 of store `a` of the first row handed over */
  RP_ARG_COUNT =
      7 /* int64_t *: the function writes there how many rows of unbound store `a` it made */
};

typedef struct rp_opaque_arg {
  rp_arg_kind kind;
  int32_t a;
  int32_t b;
  int32_t reserved; /* 0 */
  int64_t value;
} rp_opaque_arg;

enum {
  RP_PRIV_READ = 1,
  RP_PRIV_WRITE = 2, /* every element is written */
  RP_PRIV_READ_WRITE = 3,
  RP_PRIV_UNBOUND =
      6 /* the store is made by rp_store_create_unbound, and the function decides how many rows it gets */
};

enum {
  RP_OPAQUE_DENSE = 1,       /* every store must be handed over in dense C order */
  RP_OPAQUE_SIDE_EFFECT = 2, /* runs exactly once, in program order; ends a segment */
  RP_OPAQUE_STATUS = 4,      /* the function returns int: non-zero poisons what it writes */
  RP_OPAQUE_SPLIT = 8, /* the result is the same if it is called on blocks of rows; see below */
  RP_OPAQUE_MAIN_THREAD =
      16 /* only on the program's thread that uses the context; excludes SPLIT */
};

/* What must hold between the stores of a launch; what does not is RP_ERR_SHAPE. */
typedef int32_t rp_constraint_kind;
enum {
  /* Stores `a` and `b` have one shape; with `axis` >= 0 only the extents of that axis are equal. */
  RP_CONSTRAINT_ALIGN = 1,
  /* Store `a` is handed over whole, never as a block; it is only read. */
  RP_CONSTRAINT_BROADCAST = 2,
  /* Store `a` has `factor` rows (indices of axis 0) for each row of store `b`: rows factor*lo..factor*hi of `a` go with
   * rows lo..hi of `b`. Chains, also backwards, give any ratio. */
  RP_CONSTRAINT_SCALE = 3,
  /* Store `a`, which is only read, has `factor` rows for each row of store `b`, and lo + hi more: with rows
   * first..last of `b` go rows factor*first .. factor*last + lo + hi of `a` (a stencil: factor 1). Its EXTENT of
   * axis 0 in a block counts them, too. */
  RP_CONSTRAINT_BLOAT = 4,
  /* A block has at least `factor` rows of store `a`, unless there are fewer in all. It says nothing about a launch. */
  RP_CONSTRAINT_MIN_EXTENT = 5,
  /* Store `a`, which is only read, is handed over whole, but of it only the rows are read that the values of integer store
   * `b`, in the block, name: x[col[k]]. What else lies there may be anything. */
  RP_CONSTRAINT_IMAGE = 6,
  /* The same for ranges of rows: `b` has one axis of offsets that do not decrease; rows b[i]..b[i+1]-1 of `a` are read for
   * the offsets i and i+1 of the block, which a BLOAT with hi 1 gives it (the pointers of a CSR matrix). */
  RP_CONSTRAINT_IMAGE_RANGES = 7,
  /* IMAGE with a hint how several ranks find what they need of `a`; results are the same. IMAGE looks for exactly the rows
   * that are named where `a` has one axis. MIN_MAX takes all rows from the least value to the greatest: it reads `b`
   * once, not twice, whenever it has changed, and sends consecutive rows, also those between that nobody names. */
  RP_CONSTRAINT_IMAGE_MIN_MAX = 8,
  /* As MIN_MAX, but the application promises that the values of `b` do not decrease in row-major order, and of each block
   * only the first and the last are looked at. Several ranks of a library that was built with RPI_VALIDATE check it:
   * RP_ERR_DATA. Else rows of `a` outside that range may be anything where the promise is broken: old values, zeros. */
  RP_CONSTRAINT_IMAGE_FIRST_LAST = 9,
  /* IMAGE_RANGES by the first and the last offset alone, with the same promise. (IMAGE_RANGES is a MIN_MAX in itself.) */
  RP_CONSTRAINT_IMAGE_RANGES_FIRST_LAST = 10
};
enum { RP_ALL_AXES = -1 };

typedef struct rp_constraint {
  rp_constraint_kind kind;
  int32_t a;
  int32_t b;      /* all but BROADCAST and MIN_EXTENT; else 0 */
  int32_t axis;   /* ALIGN: an axis, or RP_ALL_AXES; else 0 */
  int64_t factor; /* SCALE, BLOAT, MIN_EXTENT: 1..2^20; else 0 */
  int64_t lo, hi; /* BLOAT: 0..2^31-1; else 0 */
} rp_constraint;

/* What a function of an opaque op's variant for the GPU receives. Both structs are made by the library, live as long as
 * the call, and may get more members behind these. */
typedef struct rp_gpu_store {
  uint64_t address; /* of the first element, in the GPU's memory (a CUdeviceptr) */
  rp_dtype dtype;
  int32_t ndim;
  const int64_t *extents; /* ndim of them */
  const int64_t *strides; /* ndim of them, in elements */
} rp_gpu_store;

typedef struct rp_gpu_call {
  void *stream;   /* a CUstream, which is a cudaStream_t */
  int32_t device; /* the GPU's number in the driver's order */
  int32_t arch;   /* 90: compute capability 9.0 */
  int32_t n_stores;
  int32_t n_scalars;
  const rp_gpu_store *const *stores; /* in the order of `params`, */
  const void *const *scalars;        /* and so are these, each one value of its dtype */
  void *runtime;                     /* the library's own */
} rp_gpu_call;

/* A variant of an opaque op for GPUs: a function that queues the work of one launch there, or a kernel's text.
 *
 * The function is called on the thread that uses the context, of several GPUs on a thread of each, once for a launch, on all
 * of the stores (never on a block of them), with the GPU's primary context current. What it queues on `stream` begins when all earlier work has ended, and
 * whatever comes later waits for it; streams of its own it joins with `stream` by events, on both sides. It must not wait
 * for the GPU, leave another context current, keep addresses, or write to stores that its op only reads. Of this library it
 * may call rp_gpu_workspace, rp_gpu_keep, rp_gpu_drop, rp_gpu_data, rp_gpu_set_data and rp_error_set.
 * It returns RP_OK, or a status that poisons all that the launch writes, with the sentence of rp_error_set. What it
 * reports is what it sees at once: if work that it has queued fails later, the GPU has failed (RP_ERR_DEVICE of a later
 * call), as with any kernel. */
enum {
  /* Of a function: all that it does is to queue work on the stream that it is given, the same whenever addresses and scalars
   * are the same; it looks at nothing else, and streams of its own join that one. Then its work may be recorded (stream
   * capture), and queued again without a call, in CUDA graphs and in passes that repeat themselves. A call that is recorded
   * comes behind others that were not, or is made again if what it asks for cannot be: rp_gpu_keep, rp_gpu_drop and
   * rp_gpu_set_data are RP_ERR_STATE there, which it returns. Memory of rp_gpu_workspace may be another call's. */
  RP_GPU_QUEUES = 1
};

typedef struct rp_gpu_variant {
  size_t struct_size; /* sizeof(rp_gpu_variant) */
  rp_status (*function)(const rp_gpu_call *call);
  /* Instead of `function` a text in CUDA C++ with
   *     extern "C" __global__ void ENTRY(...)
   * It is compiled when the op is registered, or found on the disk; a context without a GPU does not look at it. It
   * includes nothing, and is compiled as generated kernels are: without contraction (fma is a function). What does not
   * compile, or has no such entry, is RP_ERR_BODY.
   * Its launches are as theirs: they may be in CUDA graphs, also in those of passes that repeat themselves
   * (rp_trace_repeat). A graph ends at what a function queues, unless `flags` say otherwise. */
  const char *source;
  const char *entry;
  const rp_opaque_arg *
      args; /* the entry's parameters, an int64_t being a long long; NULL: those of the host's function */
  int32_t n_args;
  /* It is launched on a grid of one dimension, without shared memory at the launch, with at least a thread for each
   * `per_thread` elements of store `store` (0: for each), counting the axes whose bit is set in `axes` (0: all of them):
   * the last block has threads too many. Where there are no elements it is not launched. */
  int32_t block; /* threads of a block, 1..1024; 0: 256 */
  int32_t store;
  int32_t axes;
  int64_t per_thread;
  int64_t flags; /* RP_GPU_ bits */
} rp_gpu_variant;

typedef struct rp_opaque_desc {
  size_t struct_size; /* sizeof(rp_opaque_desc) */
  const char *name;
  const char *params;        /* as in rp_op_create: stores, and scalars with their dtype */
  const int32_t *privileges; /* one RP_PRIV_ per store of `params` */
  void (*function)(void);    /* called as `void f(args...)`, or `int f(args...)` */
  const rp_opaque_arg *args;
  int32_t n_args;
  int32_t flags;                    /* RP_OPAQUE_ bits */
  const rp_constraint *constraints; /* NULL: none */
  int32_t n_constraints;
  int32_t reserved;   /* 0 */
  int64_t block_rows; /* SPLIT: fewest rows worth a call; 0: what moves the knob grain's bytes */
  size_t
      constraint_size; /* sizeof(rp_constraint); 0: 40 (16 where struct_size ends before this member) */
  const rp_gpu_variant *gpu; /* NULL: none, launches run on the host */
} rp_opaque_desc;

/* Registers a C function as an op. It runs on the calling thread, whole, and must not call the library
 * with the same context (such calls return RP_ERR_STATE).
 *
 * With RP_OPAQUE_SPLIT it may be called several times in place of once, at the same time on several
 * threads (where calls of the library return RP_ERR_STATE or RP_ERR_THREAD), each time for a block of
 * consecutive indices of axis 0 of all stores but those with RP_CONSTRAINT_BROADCAST or an IMAGE: PTR is the block's first
 * element, EXTENT of axis 0 and SIZE are the block's, OFFSET says where it begins. The stores that are cut must be joined:
 * by ALIGN (of all axes or of axis 0), SCALE or BLOAT; block_rows counts those of the stores that have fewest. With several
 * ranks, each runs the function on its own rows, in blocks, and gets of other ranks what these constraints say. A launch
 * whose written stores overlap others at other rows is not split.
 * One failing block poisons all that the launch writes.
 *
 * In a context of several GPUs the function is called by each GPU's thread of the library, at the same time: split, for its
 * part; else on all of the stores, by each for itself, whose results must be equal. With RP_OPAQUE_MAIN_THREAD or
 * RP_OPAQUE_SIDE_EFFECT it runs once, on the program's thread, and the others get what it wrote. When a call of the program
 * returns, no function is running that it, or a call before it, has begun.
 *
 * With a variant for the GPU, which takes part in no way where there is none, launches run there and nothing is copied.
 * Whatever `flags` and constraints say of launches holds for it, too. An op with unbound stores has none so far.
 *
 * Of an unbound store one RP_CONSTRAINT_SCALE says that there is room for `factor` rows for each row of store `b`, and one
 * RP_ARG_COUNT takes the rows that the function has made: 0 up to the EXTENT of axis 0 that it is given (another count
 * fails as a status does, and is -1 until it is written). It puts them at the beginning, in dense C order. With
 * RP_OPAQUE_SPLIT each block does so, and the rows of blocks come to lie one behind the other in the order of
 * blocks: a function that makes of each row what belongs to it gives the same bits on any number of threads and ranks. */
RP_API rp_status rp_op_create_opaque(rp_library *lib, const rp_opaque_desc *desc, rp_op **out);

/* The following are for functions of rp_gpu_variant, with the `call` they were given, before they return. */

/* `bytes` of the GPU's memory, aligned to 256 bytes, for what this call queues on its stream; at most 16 times in a call. It
 * is given back when the function returns: what is queued by then may use it, nothing else (RP_GPU_QUEUES: and what is queued
 * again of it; blocks of up to 64 MiB then stay with the context, for all such calls). RP_ERR_MEMORY as for stores:
 * arrays that are not in use have left the GPU before. */
RP_API rp_status rp_gpu_workspace(const rp_gpu_call *call, int64_t bytes, uint64_t *out);

/* The same, for what later calls use as well (the analysis of a matrix, say): it stays, and arrays cannot take its place, until
 * rp_gpu_drop in some call of the context, or the context's end, after the data below have been freed. What was queued before
 * may still use it. */
RP_API rp_status rp_gpu_keep(const rp_gpu_call *call, int64_t bytes, uint64_t *out);
RP_API rp_status rp_gpu_drop(const rp_gpu_call *call, uint64_t address);

/* As rp_context_set_data and rp_context_data, for what belongs to the context's GPU, such as handles of other libraries,
 * which are made at the first call and then found by all ops of a library. `free_data` is called with the GPU's context
 * current, unless the GPU has failed, and at the end of the context when all work has been done. */
RP_API rp_status rp_gpu_set_data(const rp_gpu_call *call, const void *key, void *data,
                                 void (*free_data)(void *data));
RP_API void *rp_gpu_data(const rp_gpu_call *call, const void *key);

/* How many stores and scalars a launch of `op` takes; the privilege (RP_PRIV_ bits) of store i. */
RP_API int32_t rp_op_n_stores(const rp_op *op);
RP_API int32_t rp_op_n_scalars(const rp_op *op);
RP_API int32_t rp_op_privilege(const rp_op *op, int32_t store);

/* ---- launch ----------------------------------------------------------------------------------- */

/* Launches `op`: stores and scalars in the order of its `params`. scalars[i] points to one value of
 * the declared dtype (double for `float`, int64_t for `int`). Reads see all earlier launches. What
 * a launch can see wrong (rank, shape, dtype, access) it returns, and nothing happened. */
RP_API rp_status rp_launch(rp_op *op, rp_store *const *stores, int32_t n_stores,
                           const void *const *scalars, int32_t n_scalars);

/* As rp_launch, but where stores[i] is NULL and the op only writes it, a new store of the shape and
 * dtype the body gives it is made and put there; the caller owns it. On failure they stay NULL. */
RP_API rp_status rp_call(rp_op *op, rp_store **stores, int32_t n_stores, const void *const *scalars,
                         int32_t n_scalars);

/* One-call sugar: launches a body that is registered at its first use under its own text. `params`
 * as in rp_op_create, stores only. */
RP_API rp_status rp_eval(rp_context *ctx, const char *params, const char *body,
                         rp_store *const *stores, int32_t n_stores);

/* ---- traces ------------------------------------------------------------------------------------ */

/* Marks the body of a loop. From the second pass with the same `id` on, an unchanged body replays.
 * Begin with the open id ends the previous pass (its end was skipped by a `break`); another id
 * while one is open is RP_ERR_STATE. */
RP_API rp_status rp_trace_begin(rp_context *ctx, int64_t id);
RP_API rp_status rp_trace_end(rp_context *ctx, int64_t id);

/* Ends the pass in the place of rp_trace_end and makes it again, at most `most` times, while the one element of `go`
 * (bool or an integer) is not 0: the same launches, on the same stores, with the same values of scalars, as if the program had
 * made them; `*passes` (may be NULL) says how often. What the next pass is to find must therefore be in the same store that
 * the pass before has left it in: `rr = rr_new` as a launch, not by swapping variables. Stores that the program has released
 * by now stay what they were, temporaries of each pass.
 *
 *     for each system {
 *       ... the first values
 *       rp_trace_begin(ctx, 1);
 *       ... one iteration, which ends with: go = (rr_new > tolerance)
 *       rp_trace_repeat(ctx, 1, go, 999, &passes);
 *     }
 *
 * A GPU decides by itself whether it goes on, where the pass is kernels alone (those of bodies, texts of opaque ops, and what
 * functions with RP_GPU_QUEUES queue) and the driver has conditional nodes (CUDA 12.4): the host waits once, at the end. Elsewhere the host reads `go` between two passes; rp_explain counts why. With several ranks
 * all call it alike.
 * Errors: RP_ERR_STATE: trace `id` is not open; its pass has no launch, was cut before its end (by a read, a task with an
 * effect outside, or the knobs max_tasks and nonfinite), has an op with an unbound output, or writes what gives the subscripts of a scatter in it.
 * RP_ERR_SHAPE, RP_ERR_DTYPE: `go` has not one element, or is of floats. In all these cases nothing has happened.
 * Others are those of the pass, or of reading `go`: then `*passes` are made. */
RP_API rp_status rp_trace_repeat(rp_context *ctx, int64_t id, rp_store *go, int64_t most,
                                 int64_t *passes);

/* ---- waiting ----------------------------------------------------------------------------------- */

/* Returns when everything launched so far has run; RP_ERR_DATA if something was poisoned since the
 * last wait. */
RP_API rp_status rp_wait(rp_context *ctx);
/* The same for what this store needs. */
RP_API rp_status rp_store_wait(rp_store *store);
/* Waits until the compiles in the background are done (for measurements and tests). */
RP_API rp_status rp_wait_compiled(rp_context *ctx);

/* ---- checkpoints --------------------------------------------------------------------------------- */

/* Writes n stores (n in 1..65536) into the folder `path`, which is made if only itself is missing, each under its name
 * (1 to 255 bytes, all names different). Everything launched so far is in it. Of a view its elements are saved, in its
 * shape; poisoned data are RP_ERR_DATA. With several ranks all make the call, each writes its part of the arrays, and
 * `path` lies on a file system that they share.
 *
 * A checkpoint that is there already is replaced at one moment, when all of the new one is on the disk: whenever the
 * program or the machine stops, or a call fails, the folder holds the old one or the new one, whole. So there must be
 * room for both. What an interrupted attempt left is removed by the next. A path
 * whose parent is missing is RP_ERR_ARGUMENT; another checkpoint being written into the same folder, a manifest
 * there that cannot be read, and whatever the disk refuses, are RP_ERR_IO. If that says that the folder cannot be
 * synced, the new one is in place, but may yet be the old one after a crash of the machine. */
RP_API rp_status rp_checkpoint(rp_context *ctx, const char *path, int32_t n,
                               const char *const *names, rp_store *const *stores);

/* Reads stores from a checkpoint that any number of ranks wrote: stores[i] gets the elements of names[i], whose dtype
 * and shape must be its own (else RP_ERR_DTYPE, RP_ERR_SHAPE). Names may be left out; one that is not there, and a
 * path where there is no checkpoint, are RP_ERR_ARGUMENT. All data are read and compared with their checksums, into
 * memory beside what the stores hold, before the first store changes: after an error no store has changed on any
 * rank, unless it is RP_ERR_RANKS. RP_ERR_IO: a damaged checkpoint, or one
 * that was replaced meanwhile. Restoring all of a poisoned array clears the poison. */
RP_API rp_status rp_restore(rp_context *ctx, const char *path, int32_t n, const char *const *names,
                            rp_store *const *stores);

/* ---- ranks: for libraries whose processes have different data, such as parts of a file ----------------- */

/* How many processes share the work of this context, and which of them this is, from 0. What a library makes of its data
 * must not depend on either. 1 and 0 for a process alone, on a bad handle, and in a dry run, whose process does what
 * is not done by tasks for all. */
RP_API int32_t rp_context_ranks(const rp_context *ctx);
RP_API int32_t rp_context_rank(const rp_context *ctx);

/* The following are collective: all ranks make the call. RP_ERR_RANKS: they could not. */

/* What each rank did alone becomes one status of all: RP_OK, or the first failed rank's, with its sentence ("rank 1: ...").
 * `mine` is this rank's, its sentence in rp_last_error(). Ranks whose `same` differs get RP_ERR_RANKS. */
RP_API rp_status rp_context_agree(rp_context *ctx, rp_status mine, uint64_t same);

/* *before: the sum of `mine` over all ranks of lower numbers; *all: over all ranks. */
RP_API rp_status rp_context_scan(rp_context *ctx, int64_t mine, int64_t *before, int64_t *all);

/* Sends record k, one of n of `bytes` bytes each at `records`, to rank to[k]; this rank itself is allowed. *out gets the
 * *n_out records that are for this rank: by sender, then in the order in which the sender had them. The caller frees it
 * with free(). `records` is memory of malloc() that the call takes and frees, whatever it returns, so that there never are
 * three copies (NULL if n is 0). An error on one rank (RP_ERR_ARGUMENT, RP_ERR_MEMORY) is all ranks', and then nothing
 * arrives. */
RP_API rp_status rp_context_deal(rp_context *ctx, int64_t n, const int32_t *to, size_t bytes,
                                 void *records, int64_t *n_out, void **out);

/* As rp_store_write, but each rank hands over only a share of the elements: rank 0 the first ones in C order, rank 1
 * those that follow, and so on; a share may be empty. The library moves them to where they are held. Together they must
 * be as many as the store has (RP_ERR_ARGUMENT). After an error the store is unchanged, unless it is RP_ERR_RANKS. */
RP_API rp_status rp_store_write_share(rp_store *store, const void *data, size_t bytes);

/* As rp_store_read, but each rank gets only the elements it asks for: from element `lo` in C order on, as many as `bytes`
 * are. Ranks may ask for the same, for different ones, and for none (0 bytes; data may be NULL). A range that the store
 * does not have is RP_ERR_ARGUMENT, on all ranks. */
RP_API rp_status rp_store_read_share(rp_store *store, int64_t lo, void *data, size_t bytes);

/* ---- seeing ------------------------------------------------------------------------------------ */

/* One number of the context's statistics by name ("launches", "kernels_run", ...), all of which
 * rp_explain lists; RP_ERR_ARGUMENT for an unknown name. Counts start at the context's creation. */
RP_API rp_status rp_stat(rp_context *ctx, const char *name, int64_t *out);

/* Describes, for people, what has been traced: segments, groups, kernels, what was eliminated,
 * renamed or committed late, every refusal with its reason, and all statistics. Written as
 * rp_config_print does. */
RP_API rp_status rp_explain(rp_context *ctx, char *buf, size_t size, size_t *needed);

#ifdef __cplusplus
}
#endif

#endif
