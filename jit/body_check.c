/* SPDX-License-Identifier: Apache-2.0
 * jit/body_check.c -- what must hold of statements whose names have a meaning: extents can be found, one store has one shape.
 * Lives here: checks that need nothing but what binding left. Not here: those that it makes on its way (body_bind.c). */
#include <string.h>

#include "jit/body_tree.h"

rp_status rpi_body_check_axes(const rpi_body *b, const rpi_body_stmt *s) {
  char buf[64];
  for (int32_t d = s->scatter ? 0 : s->n_sub; d < s->n_axis; d++) {
    bool found = false;
    for (int32_t i = s->use; i < b->n_use && !found; i++) {
      const rpi_body_use *u = &b->use[i];
      found = u->range < 0 && u->index == d && u->coef == 1 && u->k == 0;
    }
    if (!found) {
      return rpi_body_lex_fail(RP_ERR_BODY, "body", b->text, b->node[s->rhs].at,
                               "index '%s' stands alone in no subscript, so it needs a range: "
                               "sum(%s in a..b) ...",
                               rpi_body_parse_name(b, s->axis[d], buf), buf);
    }
  }
  return RP_OK;
}

rp_status rpi_body_check_twice(const rpi_body *b, int32_t stmt) {
  const rpi_body_stmt *s = &b->stmt[stmt];
  for (int32_t i = 0; i < stmt; i++) {
    const rpi_body_stmt *o = &b->stmt[i];
    if (o->dest != s->dest) continue;
    bool same = o->n_sub == s->n_sub && o->mask == s->mask && o->redop == s->redop;
    const rpi_body_access *p = &b->access[o->access + o->n_access - 1];
    const rpi_body_access *q = &b->access[s->access + s->n_access - 1];
    for (int32_t j = 0; same && b->indexed && j < s->n_sub; j++) {
      same = memcmp(b->affine[p->affine + j].coef, b->affine[q->affine + j].coef,
                    sizeof b->affine[0].coef) == 0;
    }
    if (!same) {
      return rpi_body_lex_fail(RP_ERR_BODY, "body", b->text, s->at,
                               "'%s' is written more than once, over different axes",
                               b->store_name[s->dest]);
    }
  }
  return RP_OK;
}

rp_status rpi_body_check_ranks(const rpi_body *b) {
  int32_t rank[RPI_BODY_MAX_ARGS];
  memset(rank, 0xff, sizeof rank);
  for (int32_t i = 0; i < b->n_access; i++) {
    const rpi_body_access *a = &b->access[i];
    if (rank[a->store] >= 0 && rank[a->store] != a->n_sub) {
      return rpi_body_lex_fail(RP_ERR_BODY, "body", b->text, a->at,
                               "'%s' has %d subscripts here and %d elsewhere",
                               b->store_name[a->store], a->n_sub, rank[a->store]);
    }
    rank[a->store] = a->n_sub;
  }
  return RP_OK;
}
