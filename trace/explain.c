/* SPDX-License-Identifier: Apache-2.0
 * trace/explain.c -- a context's state in words: templates, groups, kernels, reasons, statistics.
 * Not here: counting (whoever decides counts). */
#include <string.h>

#include "core/exec/image.h"
#include "trace/grid.h"
#include "trace/runtime.h"
#include "trace/template.h"

static const char *const reason_text[] = {
#define RPI_REASON(code, sentence) sentence,
#include "trace/reason.def"
#undef RPI_REASON
};

static const char *const reason_name[] = {
#define RPI_REASON(code, sentence) #code,
#include "trace/reason.def"
#undef RPI_REASON
};

typedef struct stat_row {
  const char *name, *meaning;
  size_t at;
} stat_row;

static const stat_row stats[] = {
#define RPI_STAT(name, meaning) {#name, meaning, offsetof(rpi_stats, name)},
#include "trace/stat.def"
#undef RPI_STAT
};

static const stat_row jit_stats[] = {
    {"kernels", "distinct kernels", offsetof(rpi_jit_stats, kernels)},
    {"kernel_hits", "kernels asked for again", offsetof(rpi_jit_stats, memory_hits)},
    {"disk_hits", "kernels found compiled on disk", offsetof(rpi_jit_stats, disk_hits)},
    {"compiles", "compilers started", offsetof(rpi_jit_stats, compiles)},
    {"compile_fails", "compiles that gave no usable object",
     offsetof(rpi_jit_stats, compile_fails)},
    {"compile_ns", "wall time in compilers, ns", offsetof(rpi_jit_stats, compile_ns)},
    {"compiles_pending", "compiles queued or running", offsetof(rpi_jit_stats, pending)}};

static const stat_row memory_stats[] = {
    {"memory_live", "bytes of arrays now", offsetof(rpi_memory_stats, live)},
    {"memory_peak", "bytes of arrays at most", offsetof(rpi_memory_stats, peak)},
    {"memory_held", "bytes taken from the system", offsetof(rpi_memory_stats, held)},
    {"memory_calls", "system calls for memory", offsetof(rpi_memory_stats, system_calls)}};

/* All zero without a GPU. */
typedef struct gpu_stats {
  rpi_device_stats device;
  rpi_gpu_counts kernels;
  int64_t spilled;
} gpu_stats;

static const stat_row gpu_rows[] = {
#define ROW(name, field, meaning) \
  { name, meaning, offsetof(gpu_stats, field) }
    ROW("gpu_kernels", kernels.kernels, "kernels made for the GPU"),
    ROW("gpu_disk_hits", kernels.disk_hits, "of these, found compiled on disk"),
    ROW("gpu_compiles", kernels.compiles, "of these, given to NVRTC"),
    ROW("gpu_compile_ns", kernels.compile_ns, "time that it took, ns"),
    ROW("gpu_interpreted", kernels.interpreted, "of these, begun in tier 0"),
    ROW("gpu_spills", kernels.spills, "of these, with values that do not fit the registers"),
    ROW("gpu_launches", device.launches, "kernels launched on the GPU, but those of graphs"),
    ROW("gpu_graphs", device.graph_launches, "graphs launched"),
    ROW("gpu_waits", device.waits, "times that the host waited for the GPU"),
    ROW("gpu_uploads", device.uploads, "copies from the host to the GPU"),
    ROW("gpu_upload_bytes", device.upload_bytes, "bytes of these"),
    ROW("gpu_downloads", device.downloads, "copies from the GPU to the host"),
    ROW("gpu_download_bytes", device.download_bytes, "bytes of these"),
    ROW("gpu_memory_live", device.live, "bytes in use on the GPU now"),
    ROW("gpu_memory_peak", device.peak, "bytes in use there at most"),
    ROW("gpu_spilled", spilled, "arrays that left the GPU because it was full")};

typedef struct stat_table {
  const stat_row *row;
  int32_t n;
  const void *base;
} stat_table;

enum { TABLES = 4 };

/* All tables of statistics with their values. */
typedef struct all_stats {
  rpi_jit_stats jit;
  rpi_memory_stats memory;
  gpu_stats gpu;
  stat_table table[TABLES];
} all_stats;

static void read_stats(rp_context *ctx, all_stats *s) {
  rpi_jit_stats_get(ctx->jit, &s->jit);
  rpi_memory_stats_get(ctx->memory, &s->memory);
  s->gpu = (gpu_stats){.spilled = ctx->pool->spilled};
  if (ctx->device) s->gpu.device = *rpi_device_stats_get(ctx->device);
  rpi_jit_gpu_counts(ctx->jit, &s->gpu.kernels);
  s->table[0] = (stat_table){stats, RPI_COUNT(stats), &ctx->stats};
  s->table[1] = (stat_table){jit_stats, RPI_COUNT(jit_stats), &s->jit};
  s->table[2] = (stat_table){memory_stats, RPI_COUNT(memory_stats), &s->memory};
  s->table[3] = (stat_table){gpu_rows, RPI_COUNT(gpu_rows), &s->gpu};
}

static int64_t value_of(const stat_table *t, int32_t i) {
  int64_t v;
  memcpy(&v, (const char *)t->base + t->row[i].at, sizeof v);
  return v;
}

bool rpi_explain_stat(rp_context *ctx, const char *name, int64_t *out) {
  all_stats s;
  read_stats(ctx, &s);
  for (const stat_table *t = s.table; t < s.table + TABLES; t++)
    for (int32_t i = 0; i < t->n; i++)
      if (strcmp(t->row[i].name, name) == 0) {
        *out = value_of(t, i);
        return true;
      }
  return false;
}

/* ---- segments ---- */

/* "s1, s4": the slots that `is` says; nothing at all if there are none. */
typedef bool slot_test(const rpi_template *t, const rpi_analysis *an, uint32_t slot);

static void explain_slots(const rpi_template *t, const rpi_analysis *an, const char *what,
                          slot_test *is, rpi_strbuf *out) {
  int32_t n = 0;
  for (uint32_t s = 0; s < t->tasks.n_slot; s++)
    if (is(t, an, s)) {
      if (n++ == 0)
        rpi_strbuf_addf(out, "    %s: s%u", what, s);
      else
        rpi_strbuf_addf(out, ", s%u", s);
    }
  if (n > 0) rpi_strbuf_add(out, "\n");
}

static bool has_symbol(const rpi_analysis *an, rpi_symbol_kind kind, bool patched, uint32_t slot) {
  for (int32_t i = 0; i < an->n_symbol; i++)
    if (an->symbol[i].kind == kind && an->symbol[i].slot == slot &&
        (kind == RPI_SYMBOL_SCRATCH || (an->symbol[i].old >= 0) == patched))
      return true;
  return false;
}

/* Some task that runs writes it, and no kernel has an operand for it. */
static bool is_never_stored(const rpi_template *t, const rpi_analysis *an, uint32_t slot) {
  bool written = false;
  for (int32_t x = 0; x < t->tasks.n_access; x++) {
    const rpi_access *a = &t->tasks.access[x];
    written = written || (a->slot == slot && (a->mode & (RPI_ACCESS_WRITE | RPI_ACCESS_REDUCE)) &&
                          an->fusion.group[a->task] >= 0);
  }
  if (!written || (slot < t->n_slot && an->live[slot])) return false;
  for (int32_t i = 0; i < an->n_group; i++)
    for (int32_t o = 0; o < an->group[i].n_operand; o++)
      if (t->tasks.access[an->group[i].operand[o].access].slot == slot) return false;
  return true;
}

static bool is_scratch(const rpi_template *t, const rpi_analysis *an, uint32_t slot) {
  (void)t;
  return has_symbol(an, RPI_SYMBOL_SCRATCH, false, slot);
}

static bool is_renamed(const rpi_template *t, const rpi_analysis *an, uint32_t slot) {
  (void)t;
  return has_symbol(an, RPI_SYMBOL_NEW, false, slot);
}

static bool is_patched(const rpi_template *t, const rpi_analysis *an, uint32_t slot) {
  (void)t;
  return has_symbol(an, RPI_SYMBOL_NEW, true, slot);
}

static void explain_task(const rpi_template *t, int32_t task, const char *what, rpi_strbuf *out) {
  rpi_strbuf_addf(out, "%s task %d: ", what, task);
  rpi_task_print(&t->tasks, task, out);
  rpi_strbuf_add(out, "\n");
}

/* Copies that share memory happen at the border before their group. */
static void explain_copies(const rpi_template *t, const rpi_analysis *an, int32_t group,
                           rpi_strbuf *out) {
  for (int32_t k = 0; k < t->tasks.n_task; k++)
    if (t->tasks.task[k].kind == RPI_TASK_COPY && an->fusion.group[k] == group)
      explain_task(t, k, "    shares memory:", out);
}

/* "rank 4 of 9 (3 x 3) runs [16:32, 16:32] of [48, 48]". */
static void explain_grid(const rp_context *ctx, const rpi_grid *g, rpi_strbuf *out) {
  const int32_t rank = rpi_comm_rank(ctx->comm);
  int64_t lo[RP_MAX_DIM], hi[RP_MAX_DIM];
  const bool any = rpi_grid_box(g, rank, lo, hi);
  rpi_strbuf_addf(out, "      rank %d of %d (", rank, g->ranks);
  for (int32_t k = 0; k < g->n; k++)
    rpi_strbuf_addf(out, "%s%lld", k ? " x " : "", (long long)g->axis[k].rows.cuts.ranks);
  rpi_strbuf_add(out, any ? ") runs [" : ") runs nothing");
  for (int32_t d = 0; any && d < g->rank; d++)
    rpi_strbuf_addf(out, "%s%lld:%lld", d ? ", " : "", (long long)lo[d], (long long)hi[d]);
  rpi_strbuf_add(out, any ? "] of [" : " of [");
  for (int32_t d = 0; d < g->rank; d++)
    rpi_strbuf_addf(out, "%s%lld", d ? ", " : "", (long long)g->extent[d]);
  rpi_strbuf_add(out, "]\n");
}

/* ", on the GPU in tier 1 with 40 registers, 0 bytes of spills"; nothing of one that is not there. */
static void explain_code(const rpi_bound *b, int32_t group, rpi_strbuf *out) {
  int32_t i = 0;
  while (i < b->plan.n_sub && b->sub_group[i] != group) i++;
  const rpi_kernel_gpu *gpu = i < b->plan.n_sub ? b->plan.sub[i].gpu : NULL;
  if (!gpu) return;
  const rpi_kernel_gpu_code *code = gpu->code;
  if (!code)
    rpi_strbuf_add(out, ", on the GPU when it is compiled");
  else if (code->tier == 0)
    rpi_strbuf_add(out, ", on the GPU in tier 0");
  else
    rpi_strbuf_addf(out, ", on the GPU in tier %d with %d registers, %d bytes of spills",
                    code->tier, code->registers, code->spills);
}

static void explain_group(const rp_context *ctx, const rpi_template *t, const rpi_bound *b,
                          int32_t i, rpi_strbuf *out) {
  const rpi_group *g = &b->an->group[i];
  explain_copies(t, b->an, i, out);
  rpi_strbuf_addf(out, "    %s %d", g->opaque ? "opaque call, group" : "group", i);
  for (int32_t c = 0; c < b->plan.n_call; c++)
    if (b->call_group[c] == i && b->plan.call[c].gpu)
      rpi_strbuf_add(out, rpi_opaque_gpu_in_graphs(&b->plan.call[c]) ? ", on the GPU"
                                                                     : ", on the GPU, in no graph");
  if (g->beside) rpi_strbuf_addf(out, ", in one launch with group %d", i - 1);
  if (g->kernel) {
    const char *refusal = rpi_jit_refusal(g->kernel);
    const rpi_kernel_code *code = atomic_load(&g->kernel->code);
    rpi_strbuf_addf(out, ": kernel %s, tier %d", g->kernel->name, code->tier);
    if (refusal[0]) rpi_strbuf_addf(out, " (%s)", refusal);
    const rpi_ir *ir = rpi_jit_ir(g->kernel);
    rpi_strbuf_addf(out, ", %d instructions, %d values live", ir->n_ins, rpi_opt_live(ir));
    explain_code(b, i, out);
  }
  rpi_strbuf_add(out, "\n");
  for (int32_t k = 0; k < rpi_group_tasks(g); k++)
    explain_task(t, g->task[k],
                 k < g->n_pro               ? "      prologue"
                 : k < g->n_pro + g->n_body ? "     "
                                            : "      epilogue",
                 out);
  for (int32_t f = 0; b->grid && f < b->n_flag; f++)
    if (b->flag_group[f] == i && b->grid[f]) explain_grid(ctx, b->grid[f], out);
}

static void explain_refusals(const rpi_template *t, const rpi_analysis *an, rpi_strbuf *out) {
  for (int32_t k = 0; k < t->tasks.n_task; k++)
    if (an->fusion.group[k] < 0) explain_task(t, k, "    nobody reads what it writes:", out);
  for (int32_t i = 0; i < an->fusion.n_refusal; i++) {
    const rpi_refusal *r = &an->fusion.refusal[i];
    rpi_strbuf_addf(out, "    task %d", r->task);
    if (r->group >= 0) rpi_strbuf_addf(out, ", group %d", r->group);
    rpi_strbuf_addf(out, ": %s\n", reason_text[r->reason]);
  }
}

/* What this rank receives and sends before its kernels run, and what it looks up to know that. */
static void explain_messages(const rp_context *ctx, const rpi_bound *b, rpi_strbuf *out) {
  for (int32_t i = 0; i < b->plan.n_step; i++) {
    const rpi_step *s = &b->plan.step[i];
    if (s->kind != RPI_STEP_IMAGE) continue;
    rpi_strbuf_addf(out, "    rank %d of %d looks up what it reaches of s%u%s\n",
                    rpi_comm_rank(ctx->comm), rpi_comm_size(ctx->comm),
                    b->an->symbol[s->image->symbol].slot,
                    s->image->all ? ": all ranks get all of it" : "");
  }
  for (const rpi_plan_exchange *e = b->plan.exchanges; e; e = e->next) {
    for (int32_t i = 0; i < e->n; i++) {
      const rpi_plan_message *m = &e->list[i];
      rpi_strbuf_addf(out, "    rank %d of %d %s %lld bytes of s%u %s rank %d\n",
                      rpi_comm_rank(ctx->comm), rpi_comm_size(ctx->comm),
                      m->send ? "sends" : "receives", (long long)m->bytes,
                      b->an->symbol[m->symbol].slot, m->send ? "to" : "from", m->peer);
    }
  }
}

/* "3 kernels", "1 kernel". */
static void add_count(rpi_strbuf *out, int64_t n, const char *what) {
  rpi_strbuf_addf(out, "%lld %s%s", (long long)n, what, n == 1 ? "" : "s");
}

/* The outputs that die in the segment tell one plan of a segment from another. */
static void explain_fates(const rpi_template *t, const rpi_analysis *an, rpi_strbuf *out) {
  int32_t n = 0;
  for (uint32_t s = 0; s < t->n_slot; s++)
    if ((t->slot[s] & RPI_SLOT_WRITTEN) && !an->live[s])
      rpi_strbuf_addf(out, "%s s%u", n++ ? "," : " where", s);
  if (n > 0) rpi_strbuf_add(out, n == 1 ? " dies" : " die");
}

static void explain_plan(const rp_context *ctx, const rpi_template *t, const rpi_bound *b,
                         rpi_strbuf *out) {
  const rpi_analysis *an = b->an;
  int32_t launches = 0;
  for (int32_t i = 0; i < b->plan.n_step; i++) launches += b->plan.step[i].kind == RPI_STEP_LAUNCH;
  rpi_strbuf_add(out, "  plan");
  explain_fates(t, an, out);
  rpi_strbuf_add(out, ", run ");
  add_count(out, b->runs, "time");
  rpi_strbuf_add(out, ": ");
  add_count(out, b->plan.n_kernels, "kernel");
  rpi_strbuf_addf(out, " in %d launch%s, %lld bytes moved%s\n", launches, launches == 1 ? "" : "es",
                  (long long)b->plan.bytes,
                  t->n_range > 0 && !b->trusted ? ", indices checked" : "");
  for (int32_t i = 0; i < an->n_group; i++) explain_group(ctx, t, b, i, out);
  explain_copies(t, an, an->n_group, out);
  explain_slots(t, an, "never stored", is_never_stored, out);
  explain_slots(t, an, "in scratch memory", is_scratch, out);
  explain_slots(t, an, "in new memory, overwritten", is_renamed, out);
  explain_slots(t, an, "in new memory, completed from the old", is_patched, out);
  explain_messages(ctx, b, out);
  explain_refusals(t, an, out);
}

static void explain_template(const rp_context *ctx, const rpi_template *t, rpi_strbuf *out) {
  rpi_strbuf_addf(out, "segment %d: ", t->number);
  add_count(out, t->tasks.n_task, "task");
  rpi_strbuf_add(out, " on ");
  add_count(out, t->n_slot, "store");
  rpi_strbuf_add(out, ", replayed ");
  add_count(out, t->hits, "time");
  rpi_strbuf_add(out, t->late ? ", commits late\n" : "\n");
  for (const rpi_bound *b = t->bound; b; b = b->next) explain_plan(ctx, t, b, out);
}

/* The list in the other order. */
static rpi_template *reversed(rpi_template *list) {
  rpi_template *first = NULL;
  while (list) {
    rpi_template *next = list->all;
    list->all = first;
    first = list;
    list = next;
  }
  return first;
}

/* ---- the whole ---- */

void rpi_explain(rp_context *ctx, rpi_strbuf *out) {
  rpi_strbuf_addf(out, "threads %d, vector %s, fusion %s, tracing %s\n",
                  rpi_workers_count(ctx->workers), rpi_jit_vector(ctx->jit),
                  ctx->config.fusion ? "on" : "off", ctx->config.tracing ? "on" : "off");
  if (ctx->device) {
    const rpi_device_facts *f = rpi_device_facts_get(ctx->device);
    rpi_strbuf_addf(out, "GPU %d: %s, sm_%d, %d multiprocessors, %lld MiB, driver for CUDA %d.%d\n",
                    f->ordinal, f->name, f->arch, f->multiprocessors, (long long)(f->memory >> 20),
                    f->driver / 1000, f->driver % 1000 / 10);
  }
  rpi_template *oldest = reversed(ctx->all_templates);
  for (const rpi_template *t = oldest; t; t = t->all) explain_template(ctx, t, out);
  ctx->all_templates = reversed(oldest);
  if (ctx->nonfinite) rpi_strbuf_addf(out, "first non-finite result: %s\n", ctx->nonfinite);
  rpi_strbuf_add(out, "reasons\n");
  for (int32_t r = 0; r < RPI_N_REASON; r++)
    if (ctx->reason[r] > 0)
      rpi_strbuf_addf(out, "  %8lld  %-18s %s\n", (long long)ctx->reason[r], reason_name[r],
                      reason_text[r]);
  rpi_strbuf_add(out, "statistics\n");
  all_stats s;
  read_stats(ctx, &s);
  for (int32_t k = 0; k < (ctx->device ? TABLES : TABLES - 1); k++)
    for (int32_t i = 0; i < s.table[k].n; i++)
      rpi_strbuf_addf(out, "  %-16s %14lld  %s\n", s.table[k].row[i].name,
                      (long long)value_of(&s.table[k], i), s.table[k].row[i].meaning);
}
