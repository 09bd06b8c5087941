/* SPDX-License-Identifier: Apache-2.0
 * trace/explain.c -- a context's state in words: templates, groups, kernels, reasons, statistics.
 * Not here: counting (whoever decides counts). */
#include <string.h>

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

typedef struct stat_table {
  const stat_row *row;
  int32_t n;
  const void *base;
} stat_table;

/* All tables of statistics with their values; `jit` and `memory` are the caller's to hold. */
static void tables(rp_context *ctx, rpi_jit_stats *jit, rpi_memory_stats *memory,
                   stat_table out[3]) {
  rpi_jit_stats_get(ctx->jit, jit);
  rpi_memory_stats_get(ctx->memory, memory);
  out[0] = (stat_table){stats, RPI_COUNT(stats), &ctx->stats};
  out[1] = (stat_table){jit_stats, RPI_COUNT(jit_stats), jit};
  out[2] = (stat_table){memory_stats, RPI_COUNT(memory_stats), memory};
}

static int64_t value_of(const stat_table *t, int32_t i) {
  int64_t v;
  memcpy(&v, (const char *)t->base + t->row[i].at, sizeof v);
  return v;
}

bool rpi_explain_stat(rp_context *ctx, const char *name, int64_t *out) {
  rpi_jit_stats jit;
  rpi_memory_stats memory;
  stat_table t[3];
  tables(ctx, &jit, &memory, t);
  for (int32_t k = 0; k < 3; k++)
    for (int32_t i = 0; i < t[k].n; i++)
      if (strcmp(t[k].row[i].name, name) == 0) {
        *out = value_of(&t[k], i);
        return true;
      }
  return false;
}

static void explain_group(const rpi_template *t, const rpi_bound *b, int32_t i, rpi_strbuf *out) {
  const rpi_group *g = &b->an->group[i];
  rpi_strbuf_addf(out, "    %s %d%s", g->opaque ? "opaque" : "group", i,
                  g->beside ? " (in one launch with the one before)" : "");
  if (g->kernel) {
    const char *refusal = rpi_jit_refusal(g->kernel);
    const rpi_kernel_code *code = atomic_load(&g->kernel->code);
    rpi_strbuf_addf(out, ": kernel %s, tier %d", g->kernel->name, code->tier);
    if (refusal[0]) rpi_strbuf_addf(out, " (%s)", refusal);
  }
  rpi_strbuf_add(out, "\n");
  int32_t n = g->n_pro + g->n_body + g->n_epi;
  for (int32_t k = 0; k < n; k++) {
    rpi_strbuf_add(out, k < g->n_pro               ? "      prologue "
                        : k < g->n_pro + g->n_body ? "      "
                                                   : "      epilogue ");
    rpi_task_print(&t->tasks, g->task[k], out);
    rpi_strbuf_add(out, "\n");
  }
  for (int32_t k = 0; k < g->n_patch; k++)
    rpi_strbuf_addf(out, "      renames s%u\n", b->an->symbol[g->patch[k]].slot);
}

static void explain_refusals(const rpi_template *t, const rpi_analysis *an, rpi_strbuf *out) {
  for (int32_t i = 0; i < an->fusion.n_refusal; i++) {
    const rpi_refusal *r = &an->fusion.refusal[i];
    rpi_strbuf_addf(out, "    task %d %s", r->task, t->tasks.task[r->task].op->name);
    if (r->group >= 0) rpi_strbuf_addf(out, ", group %d", r->group);
    rpi_strbuf_addf(out, ": %s\n", reason_text[r->reason]);
  }
}

static void explain_template(const rpi_template *t, rpi_strbuf *out) {
  rpi_strbuf_addf(out, "  segment %d: %d tasks, %u stores, replayed %lld times%s\n", t->number,
                  t->tasks.n_task, t->n_slot, (long long)t->hits, t->late ? ", commits late" : "");
  for (const rpi_bound *b = t->bound; b; b = b->next) {
    const rpi_analysis *an = b->an;
    rpi_strbuf_addf(out,
                    "   plan, run %lld times: %d kernels, %lld bytes moved, %d temporaries never "
                    "existed, %d renamed, %d copies shared, %d dead tasks\n",
                    (long long)b->runs, b->plan.n_kernels, (long long)b->plan.bytes,
                    an->n_temporary, an->n_renamed, an->n_copies, an->n_dead);
    for (int32_t i = 0; i < an->n_group; i++) explain_group(t, b, i, out);
    explain_refusals(t, an, out);
  }
}

void rpi_explain(rp_context *ctx, rpi_strbuf *out) {
  rpi_strbuf_addf(out, "threads %d, vector %s, fusion %s, tracing %s\n",
                  rpi_workers_count(ctx->workers), rpi_jit_vector(ctx->jit),
                  ctx->config.fusion ? "on" : "off", ctx->config.tracing ? "on" : "off");
  for (const rpi_template *t = ctx->all_templates; t; t = t->all) explain_template(t, out);
  if (ctx->nonfinite) rpi_strbuf_addf(out, "first non-finite result: %s\n", ctx->nonfinite);
  rpi_strbuf_add(out, "reasons\n");
  for (int32_t r = 0; r < RPI_N_REASON; r++)
    if (ctx->reason[r] > 0)
      rpi_strbuf_addf(out, "  %8lld  %-18s %s\n", (long long)ctx->reason[r], reason_name[r],
                      reason_text[r]);
  rpi_strbuf_add(out, "statistics\n");
  rpi_jit_stats jit;
  rpi_memory_stats memory;
  stat_table t[3];
  tables(ctx, &jit, &memory, t);
  for (int32_t k = 0; k < 3; k++)
    for (int32_t i = 0; i < t[k].n; i++)
      rpi_strbuf_addf(out, "  %-16s %14lld  %s\n", t[k].row[i].name, (long long)value_of(&t[k], i),
                      t[k].row[i].meaning);
}
