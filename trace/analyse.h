/* SPDX-License-Identifier: Apache-2.0
 * trace/analyse.h -- from the tasks of a segment to groups, symbols and kernels.
 *
 * Lives here: the analysis of one segment for one set of live outputs: everything that does not
 *             depend on sizes, so that one analysis serves all segments of a skeleton whose guards
 *             hold. Its geometry is filled in by lower.h.
 * Not here:   placement of tasks in groups (fuse.h), memory at run time (commit.h).
 * How:        after fusion, walk the groups backwards for what each store must leave in memory, then
 *             forwards to give every slot a symbol: the piece of memory that holds it at that time.
 *               IN       the buffer's instance at entry
 *               NEW      the instance a buffer takes on renaming, completed by a patch if need be
 *               SCRATCH  a slot that dies inside the segment and crosses groups
 *             A slot that dies inside one group has no symbol at all: it never exists.
 * Invariant:  two slots with one symbol (a shared copy) are both only read until one is renamed. */
#ifndef RPI_ANALYSE_H
#define RPI_ANALYSE_H

#include "trace/context.h"
#include "trace/fuse.h"
#include "trace/query.h"

typedef enum rpi_symbol_kind { RPI_SYMBOL_IN, RPI_SYMBOL_NEW, RPI_SYMBOL_SCRATCH } rpi_symbol_kind;

typedef struct rpi_symbol {
  rpi_symbol_kind kind;
  uint32_t slot;
  bool needs_old;      /* IN: its values at entry are observed */
  bool written;        /* IN: something writes it in place */
  int32_t old;         /* NEW, SCRATCH: symbol its patch copies from; -1: no patch */
  int32_t first, last; /* groups that use it */
} rpi_symbol;

typedef struct rpi_group_operand {
  int32_t access; /* a representative; same place for all that share the operand */
  int32_t symbol;
  rpi_ir_operand ir;
} rpi_group_operand;

/* A stage of a group's pipeline: the tasks [first, first + n) of the group's list, over each tile of the
 * group's space widened by lo and hi points per axis: by what later stages read of its results through
 * shifts. The last stage is not widened; its space is the group's. Groups of one stage are all that
 * is made now: what is read through a shift in its own group would be recomputed by each tile. */
typedef struct rpi_stage {
  int32_t first, n;
  int32_t lo[RP_MAX_DIM], hi[RP_MAX_DIM];
} rpi_stage;

/* A patch happens before the group that writes the new symbol. */
typedef struct rpi_group {
  bool opaque;
  int32_t n_pro, n_body, n_epi;
  int32_t *task; /* prologue, body, epilogue tasks, each in program order */
  int32_t n_stage;
  rpi_stage *stage; /* of the body: a partition of its tasks, in order; none without a body */
  int32_t n_operand;
  rpi_group_operand *operand; /* opaque: one per store parameter */
  int32_t rank;               /* of the kernel's space, axes merged */
  bool collapse;
  const rpi_kernel *kernel; /* NULL: nothing to do */
  int32_t n_patch;
  int32_t *patch; /* symbols to complete before */
  bool small;
  bool beside; /* runs in one launch with the group before */
} rpi_group;

static inline int32_t rpi_group_tasks(const rpi_group *g) {
  return g->n_pro + g->n_body + g->n_epi;
}

enum { RPI_RANGES = 16 }; /* conditions on index data that a segment may have */

/* Values of `slot` must lie in lo..hi for the analysis' gathers to go unchecked. */
typedef struct rpi_range {
  uint32_t slot;
  int64_t lo, hi;
} rpi_range;

typedef struct rpi_analysis {
  rpi_arena arena;
  rpi_queries queries;
  uint64_t *skeleton; /* what it stands for: compared in full */
  int32_t n_skeleton;
  uint64_t hash;
  bool *live;
  bool trusted;
  bool has_tables; /* gathers from any */
  bool *provable;  /* per access: see rpi_ranges */
  bool *checked;   /* per task: it gathers with indices that are checked while it runs */
  uint32_t n_slot;
  int32_t n_group;
  rpi_group *group;
  int32_t n_symbol;
  rpi_symbol *symbol;
  int32_t *in;    /* per slot: its IN symbol, -1 */
  int32_t *out;   /* per slot: symbol it holds at the end, -1: untouched or dead */
  bool *written;  /* per slot: some task writes it (and is not dead) */
  bool *read_old; /* per slot: its values at entry are observed */
  int32_t *n_tag; /* per slot that was renamed and written by one group only: its writes */
  int32_t **tag_access;
  int32_t n_dead, n_temporary, n_renamed, n_copies;
  rpi_fusion fusion;
  struct rpi_analysis *next; /* all of the context */
} rpi_analysis;

/* Analyses `tasks`; `trusted`: index data is known to be in range; `most`: body tasks of a group, 0: any number. The tasks are only read and not
 * kept, but for the queries while this runs. */
rp_status rpi_analyse(rp_context *ctx, const rpi_tasks *tasks, const bool *live, bool trusted,
                      int32_t most, rpi_analysis **out);
void rpi_analyse_free(rpi_analysis *an);

/* Geometry of a group's kernel on given tasks: one box per operand over the (merged) space. False
 * if it does not have the rank and stride classes the kernel was made for. */
bool rpi_analyse_geometry(const rpi_group *g, const rpi_tasks *tasks, rpi_geom *geom,
                          int64_t *extent);

/* What must hold of index data so that gathers need no check (ranges.c); at most `cap` are written,
 * the number is returned. provable[access] says whether the table access can go unchecked at all. */
int32_t rpi_ranges(const rpi_tasks *tasks, rpi_range *out, int32_t cap, bool *provable);

#endif
