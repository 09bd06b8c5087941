/* SPDX-License-Identifier: Apache-2.0
 * jit/body_variant.c -- the variants of a body: looked up by dtypes, ranks and reduced axes.
 *
 * Lives here: the list of variants and inferred results, the life of a body, its plain getters.
 * Not here:   how a variant is made (body_emit.c), shapes (body_place.c).
 * How:        a list, newest first: a body meets few combinations. What was inferred once is kept
 *             as a record without IR under the same kind of key. */
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/rounding.h"
#include "core/model/dtype.h"
#include "jit/body_tree.h"

enum { INFERRED = 0xff };

/* ---- getters */

int32_t rpi_body_n_stores(const rpi_body *b) { return b->n_store; }
int32_t rpi_body_n_scalars(const rpi_body *b) { return b->n_scalar; }
rp_dtype rpi_body_scalar_dtype(const rpi_body *b, int32_t i) {
  return b->param[b->scalar[i]].dtype;
}
const char *rpi_body_text(const rpi_body *b) { return b->text; }

int32_t rpi_body_privilege(const rpi_body *b, int32_t i) {
  /* A store of which only the extents are asked for still has to exist. */
  int32_t access = b->param[b->store[i]].access;
  return access != 0 ? access : RP_PRIV_READ;
}

/* ---- life */

static void free_record(rpi_body_variant_rec *r) {
  if (r == NULL) return;
  rpi_ir_deinit(&r->pub.ir);
  rpi_alloc_free(r->operand);
  rpi_alloc_free(r->access);
  rpi_alloc_free(r->extent);
  rpi_alloc_free(r);
}

void rpi_body_free(rpi_body *b) {
  if (b == NULL) return;
  while (b->variants != NULL) {
    rpi_body_variant_rec *r = b->variants;
    b->variants = r->next;
    free_record(r);
  }
  for (int32_t i = 0; b->store_name != NULL && i < b->n_store; i++) {
    rpi_alloc_free(b->store_name[i]);
  }
  rpi_alloc_free(b->use);
  rpi_alloc_free(b->affine);
  rpi_alloc_free(b->access);
  rpi_alloc_free(b->stmt);
  rpi_alloc_free(b->let);
  rpi_alloc_free(b->range);
  rpi_alloc_free(b->kids);
  rpi_alloc_free(b->node);
  rpi_alloc_free(b->name);
  rpi_alloc_free(b->store_name);
  rpi_alloc_free(b->param);
  rpi_alloc_free(b->tok);
  rpi_alloc_free(b->text);
  rpi_alloc_free(b->params_text);
  rpi_alloc_free(b);
}

/* ---- variants */

/* The record of that key, made if there is none. args[i].dtype -1 asks for inference. */
static rp_status find_or_make(rpi_body *b, const rpi_body_arg *args, const rpi_body_facts *f,
                              rpi_body_variant_rec **out) {
  static _Atomic uint32_t last_id;
  rpi_body_variant_rec key;
  bool infer = false;
  memset(&key, 0, sizeof key);
  for (int32_t i = 0; i < b->n_store; i++) {
    infer = infer || args[i].dtype < 0;
    key.key_dtype[i] = (uint8_t)(args[i].dtype < 0 ? INFERRED : args[i].dtype);
    key.key_rank[i] = (uint8_t)args[i].geom.ndim;
    key.key_mask[i] = f->mask[i];
  }
  for (rpi_body_variant_rec *r = b->variants; r != NULL; r = r->next) {
    if (r->rank == f->rank && memcmp(r->key_dtype, key.key_dtype, sizeof key.key_dtype) == 0 &&
        memcmp(r->key_rank, key.key_rank, sizeof key.key_rank) == 0 &&
        memcmp(r->key_mask, key.key_mask, sizeof key.key_mask) == 0) {
      *out = r;
      return RP_OK;
    }
  }
  rpi_body_variant_rec *r = rpi_alloc_zero(sizeof *r);
  if (r == NULL) return rpi_status_nomem("a variant of a body");
  *r = key;
  r->rank = f->rank;
  memcpy(r->dtype, r->key_dtype, sizeof r->dtype);
  fenv_t caller;
  rpi_rounding_enter(&caller); /* literals take their dtypes */
  rp_status status = rpi_body_emit(b, f, r->dtype, r);
  rpi_rounding_leave(&caller);
  if (status != RP_OK) {
    free_record(r);
    return status;
  }
  if (infer || (b->stmt[0].scatter && b->form == RPI_BODY_WRITTEN)) {
    rpi_ir_deinit(&r->pub.ir);
    rpi_ir_init(&r->pub.ir, 1);
  } else {
    rpi_assert_heavy(rpi_ir_check(&r->pub.ir) != RP_ERR_INTERNAL);
  }
  r->pub.operand = r->operand;
  r->pub.id = ++last_id;
  r->pub.body = b;
  r->next = b->variants;
  b->variants = r;
  *out = r;
  return RP_OK;
}

static rp_status check_dtypes(const rpi_body *b, const rpi_body_arg *args, bool infer) {
  for (int32_t i = 0; i < b->n_store; i++) {
    if (infer && args[i].dtype == -1) {
      if (rpi_body_privilege(b, i) == RP_PRIV_WRITE) continue;
      return rpi_status_fail(RP_ERR_ARGUMENT,
                             "store '%s' is missing: the body reads it, so it cannot be inferred",
                             b->store_name[i]);
    }
    if (!rpi_dtype_valid(args[i].dtype)) {
      return rpi_status_fail(RP_ERR_ARGUMENT, "store '%s' has %d, which is no dtype",
                             b->store_name[i], (int)args[i].dtype);
    }
  }
  return RP_OK;
}

rp_status rpi_body_variant(rpi_body *b, const rpi_body_arg *args, const rpi_variant **out) {
  rpi_body_facts f;
  rpi_body_variant_rec *r = NULL;
  *out = NULL;
  RPI_TRY(check_dtypes(b, args, false));
  RPI_TRY(rpi_body_place_facts(b, args, &f));
  RPI_TRY(find_or_make(b, args, &f, &r));
  *out = &r->pub;
  return RP_OK;
}

rp_status rpi_body_infer(rpi_body *b, rpi_body_arg *args) {
  rpi_body_arg work[RPI_BODY_MAX_ARGS];
  rpi_body_facts f;
  rpi_body_variant_rec *r = NULL;
  bool any = false;
  for (int32_t i = 0; i < b->n_store; i++) any = any || args[i].dtype == -1;
  if (!any) return RP_OK;
  RPI_TRY(check_dtypes(b, args, true));
  memcpy(work, args, (size_t)b->n_store * sizeof *work);
  for (int32_t i = 0; i < b->n_store; i++) {
    if (work[i].dtype < 0) memset(&work[i].geom, 0, sizeof work[i].geom);
  }
  RPI_TRY(rpi_body_place_infer(b, work));
  RPI_TRY(rpi_body_place_facts(b, work, &f));
  RPI_TRY(find_or_make(b, work, &f, &r));
  for (int32_t i = 0; i < b->n_store; i++) {
    work[i].dtype = r->dtype[i];
    args[i] = work[i];
  }
  return RP_OK;
}
