/* SPDX-License-Identifier: Apache-2.0
 * trace/runtime.c -- see runtime.h: makes and ends contexts, registers libraries and ops. */
#include "trace/runtime.h"

#include <stdio.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/hash.h"
#include "core/base/log.h"
#include "jit/body.h"
#include "trace/calls.h"
#include "trace/consensus.h"
#include "trace/gpu_bind.h"
#include "trace/gpu_ranks.h"
#include "trace/places.h"
#include "trace/scatter.h"
#include "trace/template.h"

/* ---- libraries and ops ---- */

rp_status rpi_runtime_library(rp_context *ctx, const char *name, rp_library **out) {
  *out = NULL;
  for (rp_library *l = ctx->libraries; l; l = l->next)
    if (strcmp(l->name, name) == 0) {
      *out = l;
      return RP_OK;
    }
  rp_library *l = rpi_alloc_zero(sizeof *l);
  if (l) l->name = rpi_alloc_string(name);
  if (!l || !l->name) {
    rpi_alloc_free(l);
    return rpi_status_nomem("library");
  }
  l->magic = RPI_MAGIC_LIBRARY;
  l->ctx = ctx;
  l->next = ctx->libraries;
  ctx->libraries = l;
  *out = l;
  return RP_OK;
}

static void op_free(rp_op *op) {
  rpi_body_free(op->body);
  rpi_opaque_free(op->opaque);
  rpi_scatter_free(op->scatter);
  rpi_alloc_free(op->name);
  rpi_alloc_free(op->params);
  rpi_alloc_free(op->inferred);
  op->magic = RPI_MAGIC_DEAD;
  rpi_alloc_free(op);
}

static uint64_t name_hash(const char *name) { return rpi_hash_bytes64(name, strlen(name)); }

static rp_op *op_find(rp_library *lib, const char *name) {
  const uint64_t hash = name_hash(name);
  int32_t it = -1;
  for (rp_op *o; (o = rpi_map_next(&lib->ctx->op_by_name, hash, &it));)
    if (o->lib == lib && strcmp(o->name, name) == 0) return o;
  return NULL;
}

/* `named`: rpi_runtime_op and its like find it. */
static rp_status op_enter(rp_op *op, bool named) {
  rp_context *ctx = op->ctx;
  void *ids = ctx->op_by_id;
  if (!rpi_alloc_grow(&ids, &ctx->cap_ops, ctx->n_ops + 2, sizeof *ctx->op_by_id))
    return rpi_status_nomem("op");
  ctx->op_by_id = ids;
  if (named && !rpi_map_add(&ctx->op_by_name, name_hash(op->name), op))
    return rpi_status_nomem("op");
  op->id = (uint32_t)++ctx->n_ops;
  ctx->op_by_id[op->id] = op;
  op->next = ctx->ops;
  ctx->ops = op;
  return RP_OK;
}

static rp_op *op_new(rp_library *lib, const char *name, const char *params) {
  rp_op *op = rpi_alloc_zero(sizeof *op);
  if (!op) return NULL;
  op->magic = RPI_MAGIC_OP;
  op->ctx = lib->ctx;
  op->lib = lib;
  op->name = rpi_alloc_string(name);
  op->params = rpi_alloc_string(params);
  if (op->name && op->params) return op;
  op_free(op);
  return NULL;
}

static void describe_body(rp_op *op) {
  op->n_stores = rpi_body_n_stores(op->body);
  op->n_scalars = rpi_body_n_scalars(op->body);
  for (int32_t i = 0; i < op->n_stores; i++)
    op->privilege[i] = (uint8_t)rpi_body_privilege(op->body, i);
  for (int32_t i = 0; i < op->n_scalars; i++) {
    op->scalar_dtype[i] = (uint8_t)rpi_body_scalar_dtype(op->body, i);
    op->scalar_size[i] = (uint8_t)rpi_dtype_size(op->scalar_dtype[i]);
  }
}

/* An op of the body in that form. Nobody finds it by its name, which is for people. */
static rp_status derive(const rp_op *op, rpi_body_form form, const char *name, const char *params,
                        rp_op **out) {
  struct rpi_body *b;
  *out = NULL;
  RPI_TRY(rpi_body_derive(op->body, form, &b));
  rp_op *o = op_new(op->lib, name, params);
  if (!o) {
    rpi_body_free(b);
    return rpi_status_nomem("op");
  }
  o->body = b;
  describe_body(o);
  const rp_status st = op_enter(o, false);
  if (st != RP_OK)
    op_free(o);
  else
    *out = o;
  return st;
}

/* Makes the ops that are launched in its place, if the body scatters. */
static rp_status make_scatter(rp_op *op) {
  rpi_body_scatter how;
  rp_op *keys = NULL, *segments = NULL;
  if (!rpi_body_scatters(op->body, &how)) return RP_OK;
  if (op->n_stores + 2 + how.rank > RPI_OP_MAX_STORES)
    return rpi_status_fail(RP_ERR_BODY,
                           "op %s: a scatter over %d axes takes at most %d stores, not %d",
                           op->name, how.rank, RPI_OP_MAX_STORES - 2 - how.rank, op->n_stores);
  rpi_strbuf text[3];
  for (int32_t i = 0; i < 3; i++) rpi_strbuf_init(&text[i]);
  rpi_strbuf_addf(&text[0], "%s, (key)", op->params);
  rpi_strbuf_addf(&text[1], "%s, (first), (end)", op->params);
  for (int32_t d = 0; d < how.rank; d++) rpi_strbuf_addf(&text[1], ", (point %d)", d);
  rpi_strbuf_addf(&text[2], "%s: keys", op->name);
  rp_status st =
      text[0].failed || text[1].failed || text[2].failed ? rpi_status_nomem("op") : RP_OK;
  if (st == RP_OK && how.plain < 0)
    st = derive(op, RPI_BODY_KEYS, rpi_strbuf_str(&text[2]), rpi_strbuf_str(&text[0]), &keys);
  if (st == RP_OK)
    st = derive(op, RPI_BODY_SEGMENTS, op->name, rpi_strbuf_str(&text[1]), &segments);
  if (st == RP_OK) st = rpi_scatter_create(op, &how, keys, segments);
  for (int32_t i = 0; i < 3; i++) rpi_strbuf_deinit(&text[i]);
  return st;
}

rp_status rpi_runtime_op(rp_library *lib, const char *name, const char *params, const char *body,
                         rp_op **out) {
  *out = NULL;
  rp_op *known = op_find(lib, name);
  if (known) {
    if (!known->body || strcmp(known->params, params) != 0 ||
        strcmp(rpi_body_text(known->body), body) != 0)
      return rpi_status_fail(RP_ERR_ARGUMENT, "op %s.%s exists with another body or other params",
                             lib->name, name);
    *out = known;
    return RP_OK;
  }
  struct rpi_body *b;
  rp_status st = rpi_body_parse(params, body, &b);
  if (st != RP_OK) return rpi_status_context(st, "op %s.%s", lib->name, name);
  rp_op *op = op_new(lib, name, params);
  if (!op) {
    rpi_body_free(b);
    return rpi_status_nomem("op");
  }
  op->body = b;
  describe_body(op);
  st = make_scatter(op);
  if (st == RP_OK) st = op_enter(op, true);
  if (st != RP_OK) {
    op_free(op);
    return st;
  }
  *out = op;
  return RP_OK;
}

/* "y, a:f64, x" of an opaque op: names are only counted, scalars need a dtype. */
static rp_status opaque_params(rp_op *op) {
  const char *p = op->params;
  while (*p) {
    size_t n = strcspn(p, ",");
    const char *colon = memchr(p, ':', n);
    if (!colon) {
      if (op->n_stores == RPI_OP_MAX_STORES)
        return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: more than %d stores", op->name,
                               RPI_OP_MAX_STORES);
      op->n_stores++;
    } else {
      const char *t = colon + 1, *end = p + n;
      while (t < end && *t == ' ') t++;
      while (end > t && end[-1] == ' ') end--;
      rp_dtype d = rpi_dtype_find(t, (size_t)(end - t));
      if (d < 0 || op->n_scalars == RPI_OP_MAX_SCALARS)
        return rpi_status_fail(RP_ERR_ARGUMENT,
                               "op %s: \"%.*s\" names no dtype, or too many scalars", op->name,
                               (int)n, p);
      op->scalar_dtype[op->n_scalars] = (uint8_t)d;
      op->scalar_size[op->n_scalars++] = (uint8_t)rpi_dtype_size(d);
    }
    p += n + (p[n] == ',');
  }
  return RP_OK;
}

/* The kernel of its variant for the GPU, if that is a text. */
static rp_status opaque_source(rp_op *op) {
  rpi_opaque_gpu *v = rpi_opaque_on_gpu(op->opaque);
  const char *entry = NULL, *text = v ? rpi_opaque_gpu_text(v, &entry) : NULL;
  rpi_device_function kernel;
  if (!text || !op->ctx->device) return RP_OK;
  rp_status st = rpi_jit_gpu_source(op->ctx->jit, text, entry, &kernel);
  if (st == RP_OK) st = rpi_opaque_gpu_install(v, &kernel);
  return st == RP_OK ? RP_OK : rpi_status_context(st, "op %s.%s", op->lib->name, op->name);
}

static rp_status opaque_fill(rp_op *op, const rp_opaque_desc *d) {
  RPI_TRY(opaque_params(op));
  for (int32_t i = 0; i < op->n_stores; i++) {
    int32_t priv = d->privileges ? d->privileges[i] : 0;
    if ((priv < RP_PRIV_READ || priv > RP_PRIV_READ_WRITE) && priv != RP_PRIV_UNBOUND)
      return rpi_status_fail(RP_ERR_ARGUMENT, "op %s: privileges[%d] is %d", op->name, i, priv);
    op->privilege[i] = (uint8_t)priv;
  }
  RPI_TRY(rpi_opaque_create(d, op->n_stores, op->n_scalars, op->scalar_dtype, &op->opaque));
  RPI_TRY(opaque_source(op));
  op->n_unbound = rpi_opaque_n_unbound(op->opaque);
  if (op->n_stores + op->n_unbound > RPI_OP_MAX_STORES)
    return rpi_status_fail(RP_ERR_ARGUMENT,
                           "op %s: more than %d stores, unbound ones counted twice", op->name,
                           RPI_OP_MAX_STORES);
  for (int32_t k = 0; k < op->n_unbound; k++) op->privilege[op->n_stores++] = RP_PRIV_WRITE;
  return op_enter(op, true);
}

rp_status rpi_runtime_op_opaque(rp_library *lib, const rp_opaque_desc *d, rp_op **out) {
  *out = NULL;
  if (op_find(lib, d->name))
    return rpi_status_fail(RP_ERR_ARGUMENT, "op %s.%s exists", lib->name, d->name);
  rp_op *op = op_new(lib, d->name, d->params);
  if (!op) return rpi_status_nomem("op");
  rp_status st = opaque_fill(op, d);
  if (st != RP_OK) {
    op_free(op);
    return st;
  }
  *out = op;
  return RP_OK;
}

rp_status rpi_runtime_op_own(rp_context *ctx, const rp_opaque_desc *d, rp_op **out) {
  *out = op_find(ctx->runtime_lib, d->name);
  return *out ? RP_OK : rpi_runtime_op_opaque(ctx->runtime_lib, d, out);
}

/* ---- contexts ---- */

enum { SENTENCE = 1024 };

static rp_status own_ops(rp_context *ctx) {
  RPI_TRY(rpi_runtime_library(ctx, "rp", &ctx->runtime_lib));
  RPI_TRY(rpi_runtime_op(ctx->runtime_lib, "copy", "y, x", "y = x", &ctx->copy_op));
  ctx->copy_op->special = RPI_OP_COPY;
  for (int32_t t = 0; t < RPI_N_DTYPE; t++) {
    char name[32], params[32];
    snprintf(name, sizeof name, "fill_%s", rpi_dtype_name(t));
    snprintf(params, sizeof params, "y, a:%s", rpi_dtype_name(t));
    RPI_TRY(rpi_runtime_op(ctx->runtime_lib, name, params, "y = a", &ctx->fill_op[t]));
  }
  return RP_OK;
}

static void free_records(rp_context *ctx) {
  while (ctx->ops) {
    rp_op *op = ctx->ops;
    ctx->ops = op->next;
    op_free(op);
  }
  while (ctx->libraries) {
    rp_library *l = ctx->libraries;
    ctx->libraries = l->next;
    rpi_alloc_free(l->name);
    rpi_alloc_free(l);
  }
  for (int32_t i = 0; i < ctx->traces.cap; i++) rpi_alloc_free(ctx->traces.slots[i].value);
  rpi_map_deinit(&ctx->traces);
  rpi_map_deinit(&ctx->op_by_name);
  rpi_map_deinit(&ctx->eval_ops);
  rpi_alloc_free(ctx->op_by_id);
  rpi_alloc_free(ctx->pointers);
  rpi_alloc_free(ctx->patch);
  rpi_alloc_free(ctx->patch_bytes);
  rpi_alloc_free(ctx->addresses);
  rpi_alloc_free(ctx->values);
  rpi_alloc_free(ctx->instances);
  rpi_alloc_free(ctx->parts);
  rpi_alloc_free(ctx->held);
  rpi_alloc_free(ctx->flags);
  rpi_alloc_free(ctx->tiling);
  rpi_alloc_free(ctx->data_message);
  rpi_alloc_free(ctx->nonfinite);
}

static rp_status destroy(rp_context *ctx) {
  while (ctx->client_data) {
    rpi_client_data *d = ctx->client_data;
    ctx->client_data = d->next;
    if (d->free_data) d->free_data(d->data);
    rpi_alloc_free(d);
  }
  /* First, since ranks that part only here tell each other by ops and templates where. */
  rpi_consensus_end(ctx);
  rpi_gpu_ranks_part(ctx);
  /* Copies into memory that goes below, which nobody has waited for. */
  if (ctx->device && ctx->ranks_status != RP_OK) (void)rpi_device_wait(ctx->device);
  const rp_status st = rpi_comm_close(ctx->comm, ctx->ranks_status == RP_OK);
  ctx->comm = NULL;
  rpi_consensus_free(ctx);
  rpi_segment_deinit(&ctx->seg);
  rpi_segment_deinit(&ctx->pending);
  rpi_segment_deinit(&ctx->running);
  rpi_template_free_all(ctx);
  free_records(ctx);
  if (ctx->scratch) rpi_memory_put(ctx->memory, ctx->scratch, (size_t)ctx->scratch_bytes);
  if (ctx->pool) rpi_store_pool_empty(ctx->pool);
  rpi_alloc_free(ctx->calls);
  if (ctx->jit) rpi_jit_destroy(ctx->jit);
  rpi_gpu_bind_close(ctx);
  if (ctx->workers) rpi_workers_destroy(ctx->workers);
  if (ctx->pool)
    rpi_store_pool_close(ctx->pool); /* with memory and device, which tensors may still need */
  else if (ctx->memory)
    rpi_memory_destroy(ctx->memory);
  rpi_config_deinit(&ctx->config);
  ctx->magic = RPI_MAGIC_DEAD;
  rpi_alloc_free(ctx);
  return st;
}

static rp_status make_parts(rp_context *ctx) {
  const rpi_config *c = &ctx->config;
  RPI_TRY(rpi_comm_open(c, &ctx->comm));
  RPI_TRY(rpi_calls_create(ctx));
  RPI_TRY(rpi_memory_create(c->hugepages, &ctx->memory));
  RPI_TRY(rpi_store_pool_create(ctx, ctx->memory, &ctx->pool));
  ctx->pool->tiling = &ctx->tiling;
  rpi_places_begin(ctx);
  ctx->pool->rank = rpi_comm_rank(ctx->comm);
  RPI_TRY(rpi_consensus_create(ctx));
  RPI_TRY(rpi_workers_create((int32_t)(c->threads ? c->threads : c->cpus), c->pin, c->spin,
                             &ctx->workers));
  RPI_TRY(rpi_gpu_bind_open(ctx));
  ctx->pool->device = ctx->device;
  ctx->opaque_device = (rpi_opaque_device){.device = ctx->device, .pool = ctx->pool};
  rp_status st = rpi_jit_create(c, ctx->device, &ctx->jit);
  if (st != RP_OK) {
    RPI_TRY(rpi_gpu_bind_without(ctx, st));
    st = rpi_jit_create(c, NULL, &ctx->jit);
  }
  RPI_TRY(st);
  ctx->pool->parts = ctx->device && ctx->comm;
  RPI_TRY(rpi_gpu_ranks_agree(ctx));
  RPI_TRY(own_ops(ctx));
  return rpi_segment_predict(ctx, NULL);
}

rp_status rpi_runtime_create(const char *config, bool in_crew, rp_context **out) {
  *out = NULL;
  rp_context *ctx = rpi_alloc_zero(sizeof *ctx);
  if (!ctx) return rpi_status_nomem("context");
  rp_status st = rpi_config_init(&ctx->config, config);
  if (st != RP_OK) {
    rpi_alloc_free(ctx);
    return st;
  }
  ctx->magic = RPI_MAGIC_CONTEXT;
  ctx->in_crew = in_crew;
  if (ctx->config.nonfinite) { /* one task at a time, so that the first culprit can be named */
    ctx->config.max_tasks = ctx->config.window = 1;
    ctx->config.late = false;
  }
  rpi_log_level(ctx->config.log);
  rpi_map_init(&ctx->traces);
  rpi_map_init(&ctx->op_by_name);
  rpi_map_init(&ctx->templates);
  rpi_map_init(&ctx->skeletons);
  rpi_map_init(&ctx->eval_ops);
  st = make_parts(ctx);
  if (st != RP_OK) {
    char why[SENTENCE]; /* what other ranks make of it comes later */
    snprintf(why, sizeof why, "%s", rpi_status_message());
    if (ctx->comm && in_crew)
      rpi_places_failed(ctx, st); /* its program does not end: nobody waits */
    destroy(ctx);
    return rpi_status_fail(st, "%s", why);
  }
  *out = ctx;
  return RP_OK;
}

rp_status rpi_runtime_destroy(rp_context *ctx) {
  rp_status st = rpi_segment_cut(ctx, RPI_REASON_CUT_DESTROY, true);
  rpi_calls_note(ctx, RPI_CALLS_DESTROY, NULL);
  if (ctx->config.explain) {
    rpi_strbuf text;
    rpi_strbuf_init(&text);
    rpi_explain(ctx, &text);
    fputs(rpi_strbuf_str(&text), stderr);
    rpi_strbuf_deinit(&text);
  }
  const rp_status end = destroy(ctx);
  return st != RP_OK ? st : end;
}
