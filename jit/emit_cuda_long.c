/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_long.c -- a longer row of an inner loop: by a warp, or by all warps that have nothing else to do.
 *
 * Lives here: rpk_row<loop>_, leaves of a row; rpk_long<loop>_, a row that a warp has come to; rpk_help_, parts of another warp's
 *             row; rpk_assist_, when a warp looks for such.
 * Not here:   shorter rows, and who comes here (emit_cuda_loop.c); how a row is shared, and from which length on
 *             (cuda_board.h); when a launch may have such rows (emit_cuda_form.c).
 * How:        thread t holds accumulators t and t + 32 of a leaf; thread 0 keeps the tree over leaves, the stack of the C text, in the
 *             block's memory. A row that is posted is done in parts by the same code, whoever takes them: the values that
 *             the loop takes from around it are posted with the row.
 *             A warp looks at the board when it has done its own rows: once in the last blocks of a grid (earlier ones are
 *             followed by others), and whenever a warp of its own block has posted, until all warps of the block are done;
 *             till then the block would stay where it is anyway. Of a block that had no row one warp looks again and again,
 *             until all that had are done, and tells the others.
 * Invariants: all 32 threads of a warp come here. Nobody who looks at the board has shared work under way. */
#include <stdio.h>

#include "core/model/dtype.h"
#include "jit/cuda_board.h"
#include "jit/emit_cuda_impl.h"

enum { TAKEN = 64 * RPK_GIVEN };

/* ---- leaves */

static void emit_leaf(rpi_emit *e, const rpi_emit_team *p) {
  rpi_emit_line(e, "const int64_t from = rpk_i64(pool[r]) + (int64_t)leaf * %d;", RPI_LEAF);
  rpi_emit_line(e, "const int64_t rest = rpk_i64(pool[RPK_ENDS + r]) - from;");
  rpi_emit_line(e, "if (rest <= 0) break;");
  rpi_emit_line(e, "const int some = rest < %d ? (int)rest : %d;", RPI_LEAF, RPI_LEAF);
  rpi_emit_line(e, "%s even = rps_identity_%s_%s(), odd = even;", p->ctype, p->red, p->t);
  rpi_emit_team_unroll(e, p, e->ir->n_red > 0 ? 2 : 4);
  rpi_emit_open(e, "for (int i = 0; i < some; i += %d) {", RPI_CUDA_WARP);
  rpi_emit_line(e, "const int in = i + me < some, turn = i & %d;", RPI_CUDA_WARP);
  rpi_emit_line(e, "const int64_t s%d = from + (in ? i + me : some - 1);", p->at);
  rpi_emit_team_inner(e, p);
  rpi_emit_team_join(e, p, "if (in && !turn) ", "even");
  rpi_emit_team_join(e, p, "if (in && turn) ", "odd");
  rpi_emit_close(e);
  rpi_emit_line(e, "even = rpk_halve_%s_%s(rps_red_%s_%s(even, odd));", p->red, p->t, p->red, p->t);
  rpi_emit_line(e, "if (me > 0) continue;");
  rpi_emit_line(e, "int d = 0;");
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_line(e, "for (; leaf >> d & 1; d++) even = rps_red_%s_%s(rpk_%s(tree[d]), even);",
                p->red, p->t, p->t);
  rpi_emit_line(e, "tree[d] = rpk_put_%s(even);", p->t);
}

/* What thread 0's stack is worth, behind `leaf` leaves. */
static void emit_total(rpi_emit *e, const rpi_emit_team *p) {
  rpi_emit_open(e, "if (me == 0) {");
  rpi_emit_line(e, "int d = 0;");
  rpi_emit_line(e, "while ((leaf >> d & 1) == 0) d++;");
  rpi_emit_line(e, "all = rpk_%s(tree[d]);", p->t);
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_line(e, "while (++d < %d)", RPI_CUDA_WARP);
  rpi_emit_line(e, "  if (leaf >> d & 1) all = rps_red_%s_%s(rpk_%s(tree[d]), all);", p->red, p->t,
                p->t);
  rpi_emit_close(e);
}

/* Values from around the loop, as parameters (types) or arguments, behind others. */
static void add_taken(const rpi_emit *e, const rpi_emit_team *p, bool types, char *text) {
  size_t len = 0;
  text[0] = '\0';
  for (int32_t v = rpi_emit_team_taken(e, p, -1); v < p->end; v = rpi_emit_team_taken(e, p, v)) {
    rpi_assert(len + 32 <= TAKEN);
    len += (size_t)snprintf(text + len, TAKEN - len, ", %s%ss%d",
                            types ? rpi_emit_ctype(e->ir->ins[v].dtype) : "", types ? " " : "", v);
  }
}

/* Row r of the pool or, if that is posted, what parts of it are left: the value, at thread 0, is of the former. */
static void emit_row(rpi_emit *e, const rpi_emit_team *p) {
  char taken[TAKEN];
  add_taken(e, p, true, taken);
  rpi_emit_open(e, "RPG_DEVICE %s rpk_row%d_%.8s(const rpk_word *w, uint64_t *pool, int r%s) {",
                p->ctype, p->at, e->key, taken);
  rpi_emit_operands(e, p->at, p->end);
  if (e->checked) rpi_emit_line(e, "int bad = 0;");
  rpi_emit_line(e, "const int me = RPG_THREAD & %d;", RPI_CUDA_WARP - 1);
  rpi_emit_line(e, "rpk_board *const board = (rpk_board *)w[%d].p;", e->l.board);
  rpi_emit_line(e, "uint64_t *const tree = pool + RPK_STACK;");
  rpi_emit_line(e, "%s all = rps_identity_%s_%s();", p->ctype, p->red, p->t);
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_open(e, "for (;;) {");
  rpi_emit_line(e, "if (pool[RPK_PLACE] && !rpk_take(board, pool, r)) break;");
  rpi_emit_line(e, "uint32_t leaf = 0;");
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_open(e, "for (;; leaf++) {");
  emit_leaf(e, p);
  rpi_emit_close(e);
  emit_total(e, p);
  rpi_emit_line(e, "if (!pool[RPK_PLACE]) break;");
  rpi_emit_line(e, "if (me == 0) rpk_hand_in(board, pool, rpk_put_%s(all));", p->t);
  rpi_emit_close(e);
  if (e->checked) rpi_emit_line(e, "if (bad) RPG_RAISE((uint32_t *)w[%d].p);", e->l.flag);
  rpi_emit_line(e, "return all;");
  rpi_emit_close(e);
}

/* ---- a row of this warp */

/* Posts row r of the pool. */
static void emit_post(rpi_emit *e, const rpi_emit_team *p) {
  char taken[TAKEN];
  int32_t n = 0;
  add_taken(e, p, true, taken);
  rpi_emit_open(
      e,
      "RPG_DEVICE void rpk_post%d_%.8s(const rpk_word *w, uint64_t *pool, uint32_t *tally, "
      "int r%s) {",
      p->at, e->key, taken);
  rpi_emit_line(e, "rpk_board *const board = (rpk_board *)w[%d].p;", e->l.board);
  rpi_emit_line(e, "const int post = rpk_place_row(board, w[%d].p, %d, pool, r);", e->l.flag,
                p->at);
  rpi_emit_line(e, "if (post < 0) return;");
  rpi_emit_line(e, "volatile uint64_t *const given = board->post[post].given;");
  rpi_emit_line(e, "(void)given;");
  for (int32_t v = rpi_emit_team_taken(e, p, -1); v < p->end; v = rpi_emit_team_taken(e, p, v))
    rpi_emit_line(e, "if ((RPG_THREAD & %d) == 0) given[%d] = rpk_put_%s(s%d);", RPI_CUDA_WARP - 1,
                  n++, rpi_dtype_name(e->ir->ins[v].dtype), v);
  rpi_emit_line(e, "rpk_open(board, post, tally + 1);");
  rpi_emit_close(e);
}

/* The value of row r, when all parts of it are taken. */
static void emit_total_of_parts(rpi_emit *e, const rpi_emit_team *p) {
  rpi_emit_open(e, "RPG_DEVICE void rpk_parts%d_%.8s(const rpk_word *w, uint64_t *pool, int r) {",
                p->at, e->key);
  rpi_emit_line(e, "rpk_board *const board = (rpk_board *)w[%d].p;", e->l.board);
  rpi_emit_line(e, "const int post = (int)pool[RPK_PLACE] - 1;");
  rpi_emit_line(e, "const %s all = rpk_collect_%s_%s(board, post, rpk_close(board, post));",
                p->ctype, p->red, p->t);
  rpi_emit_line(e, "rpk_leave(board, post);");
  rpi_emit_line(e, "if ((RPG_THREAD & %d) == 0) pool[RPK_VALUES + r] = rpk_put_%s(all);",
                RPI_CUDA_WARP - 1, p->t);
  rpi_emit_close(e);
}

void rpi_emit_team_long(rpi_emit *e, int32_t at) {
  const rpi_emit_team p = rpi_emit_team_of(e, at);
  char taken[TAKEN];
  emit_row(e, &p);
  emit_post(e, &p);
  emit_total_of_parts(e, &p);
  add_taken(e, &p, true, taken);
  rpi_emit_open(
      e,
      "RPG_DEVICE void rpk_long%d_%.8s(const rpk_word *w, uint64_t *pool, uint32_t *tally, "
      "int r%s) {",
      at, e->key, taken);
  add_taken(e, &p, false, taken);
  rpi_emit_line(e, "if ((RPG_THREAD & %d) == 0) pool[RPK_PLACE] = 0;", RPI_CUDA_WARP - 1);
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_line(e, "if (tally && rpk_i64(pool[RPK_ENDS + r]) - rpk_i64(pool[r]) > RPK_ALONE)");
  rpi_emit_line(e, "  rpk_post%d_%.8s(w, pool, tally, r%s);", at, e->key, taken);
  rpi_emit_line(e, "const %s all = rpk_row%d_%.8s(w, pool, r%s);", p.ctype, at, e->key, taken);
  rpi_emit_open(e, "if (pool[RPK_PLACE]) {");
  rpi_emit_line(e, "rpk_parts%d_%.8s(w, pool, r);", at, e->key);
  e->indent--;
  rpi_emit_open(e, "} else if ((RPG_THREAD & %d) == 0) {", RPI_CUDA_WARP - 1);
  rpi_emit_line(e, "pool[RPK_VALUES + r] = rpk_put_%s(all);", p.t);
  rpi_emit_close(e);
  rpi_emit_close(e);
}

/* ---- rows of others */

/* Inside place n: parts of its row. */
static void emit_help(rpi_emit *e) {
  rpi_emit_open(e, "RPG_DEVICE void rpk_help_%.8s(const rpk_word *w, uint64_t *pool, int post) {",
                e->key);
  rpi_emit_line(e, "rpk_board *const board = (rpk_board *)w[%d].p;", e->l.board);
  rpi_emit_line(e, "const volatile rpk_post *const p = &board->post[post];");
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_line(e, "if ((RPG_THREAD & %d) == 0) pool[RPK_PLACE] = (uint64_t)(post + 1);",
                RPI_CUDA_WARP - 1);
  rpi_emit_line(e, "RPG_WARP();");
  rpi_emit_open(e, "switch (p->loop) {");
  for (int32_t at = e->ir->n_pro; at < e->ir->n_body; at++) {
    char taken[TAKEN];
    int32_t n = 0;
    if (!rpi_emit_is_team(e, at)) continue;
    const rpi_emit_team p = rpi_emit_team_of(e, at);
    rpi_emit_open(e, "case %d: {", at);
    for (int32_t v = rpi_emit_team_taken(e, &p, -1); v < p.end; v = rpi_emit_team_taken(e, &p, v)) {
      const rp_dtype t = e->ir->ins[v].dtype;
      rpi_emit_line(e, "const %s s%d = rpk_%s(p->given[%d]);", rpi_emit_ctype(t), v,
                    rpi_dtype_name(t), n++);
    }
    add_taken(e, &p, false, taken);
    rpi_emit_line(e, "(void)rpk_row%d_%.8s(w, pool, 0%s);", at, e->key, taken);
    rpi_emit_line(e, "break;");
    rpi_emit_close(e);
  }
  rpi_emit_close(e);
  rpi_emit_close(e);
}

void rpi_emit_team_assist(rpi_emit *e) {
  emit_help(e);
  rpi_emit_open(
      e,
      "RPG_DEVICE void rpk_assist_%.8s(const rpk_word *w, uint64_t *pool, uint32_t *tally, "
      "int looks, uint32_t *ended, int busy) {",
      e->key);
  rpi_emit_line(e, "rpk_board *const board = (rpk_board *)w[%d].p;", e->l.board);
  rpi_emit_line(e, "uint32_t known = 0;");
  rpi_emit_line(e, "int here = 0;");
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_open(e, "for (;;) {");
  rpi_emit_line(e, "const uint32_t posted = rpk_seen(tally + 1);");
  rpi_emit_open(e, "if (looks > 0 || posted != known) {");
  rpi_emit_line(e, "const uint32_t open = rpk_opened(board);");
  rpi_emit_line(e, "known = posted;");
  rpi_emit_line(e, "if (open && looks > 1) known = rpk_add(tally + 1, 1) + 1;");
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_open(e, "for (int n = 0; n < RPK_POSTS; n++) {");
  rpi_emit_line(e, "if (!(open >> n & 1)) continue;");
  rpi_emit_line(e, "if (rpk_enter(board, n, w[%d].p)) rpk_help_%.8s(w, pool, n);", e->l.flag,
                e->key);
  rpi_emit_line(e, "rpk_leave(board, n);");
  rpi_emit_close(e);
  rpi_emit_line(e, "looks -= looks > 0;");
  rpi_emit_line(e, "if (looks > 0 && (int)(rpk_seen(ended) & 65535) >= busy) looks = 0;");
  rpi_emit_close(e);
  rpi_emit_line(e, "if (looks == 0 && !here) here = 1, (void)rpk_add(tally, 1);");
  rpi_emit_line(e, "if (looks == 0 && rpk_seen(tally) >= (uint32_t)(RPG_THREADS / %d)) return;",
                RPI_CUDA_WARP);
  rpi_emit_line(e, "rpk_rest();");
  rpi_emit_close(e);
  rpi_emit_close(e);
}
