/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_cuda_leaf.c -- rpk_main of reductions over the last axis: leaves.
 *
 * Lives here: who does a leaf: a warp, a block, or several blocks; what becomes of its value; rpk_leaves_, for the last of these.
 * Not here:   where values go (emit_cuda_body.c), the tree above partials (cuda_frame.h), who decides (emit_cuda_form.c).
 * How:        a warp does a leaf; element j of it goes to accumulator j mod 64, that is c mod 2 of thread c / 2 mod 32, in order.
 *             2^k warps do a row, or a group of 8 leaves of a longer one, and join them by the pairwise tree in the block's
 *             memory, so a partial is a subtree. With teams thread t holds accumulators t and t + 32, which columns go to
 *             by turns.
 *             *Spread*, teams only: where there are fewer leaves than the GPU has room for warps, the warps of a block take
 *             the leaf's columns by turns and leave each column's element (a *term*) in the block's memory, from where
 *             the first warp takes the leaf's sum in the leaf's order. Where there are fewer leaves than room for blocks, and
 *             rows are long, 2^p blocks do a leaf (*far*): terms lie behind the partials, and a second launch takes the
 *             sums. Either way a leaf has a partial of its own.
 * Invariants: every thread of a block goes through the same barriers. u0 and u1 cut rows at multiples of
 *             RPI_CUDA_GROUP leaves only, unless leaves have a partial each (RPI_CUDA_BODY, spread). */
#include <stdio.h>

#include "core/model/dtype.h"
#include "jit/emit_cuda_impl.h"

enum { WARPS = RPI_CUDA_BLOCK / RPI_CUDA_WARP };

/* Units become tasks: a group of leaves of one row each or, far, a part of a leaf. */
static void emit_tasks(rpi_emit *e) {
  const char *x = e->index;
  for (int32_t r = 0; r < e->ir->n_red; r++) {
    const char *t = rpi_emit_ctype(rpi_emit_red_dtype(e, r));
    rpi_emit_line(e, "RPG_SHARED %s leaf%d[%d];", t, r, WARPS);
    if (e->spread) rpi_emit_line(e, "RPG_SHARED %s term%d[%d];", t, r, RPI_LEAF);
  }
  rpi_emit_line(
      e, "const int k = (int)(a.mode >> 8 & 255), lane = RPG_THREAD & %d, warp = RPG_THREAD / %d;",
      RPI_CUDA_WARP - 1, RPI_CUDA_WARP);
  if (e->spread)
    rpi_emit_line(e, "const int p = (int)(a.mode >> 16 & 255), spread = (a.mode & %d) != 0;",
                  RPI_CUDA_SPREAD);
  else
    rpi_emit_line(e, "const int p = 0, spread = 0;");
  rpi_emit_line(e, "const int at = warp & ((1 << k) - 1), per = RPG_THREADS / %d >> k;",
                RPI_CUDA_WARP);
  rpi_emit_line(e, "const int g = a.mode & %d ? 0 : %d, less = (1 << g) - 1;",
                RPI_CUDA_BODY | RPI_CUDA_SPREAD, __builtin_ctz(RPI_CUDA_GROUP));
  rpi_emit_line(e, "const %s groups = leaves + less >> g, some = leaves > 0 ? leaves : 1;", x);
  rpi_emit_line(e, "const %s t0 = (%s)a.u0 / some * groups + ((%s)a.u0 %% some >> g);", x, x, x);
  rpi_emit_line(e, "const %s t1 = (%s)a.u1 / some * groups + ((%s)a.u1 %% some + less >> g);", x, x,
                x);
}

/* Columns of a team's leaf: all of them in turns of 32 or, spread, the warp's turns of `width`. */
static void emit_team_columns(rpi_emit *e) {
  if (e->spread) {
    rpi_emit_line(e, "const int width = p <= 2 ? %d : %d >> p;", RPI_CUDA_WARP, RPI_LEAF / WARPS);
    rpi_emit_line(e, "const int turns = spread ? (%d << p) * width : %d;", WARPS, RPI_CUDA_WARP);
    rpi_emit_line(
        e, "const int from = spread ? ((int)(b & ((1 << p) - 1)) * %d + warp) * width : 0;", WARPS);
  } else {
    rpi_emit_line(e, "const int width = %d, turns = %d, from = 0;", RPI_CUDA_WARP, RPI_CUDA_WARP);
  }
  rpi_emit_cuda_unroll(e);
  rpi_emit_open(e, "for (int m = from, n = (int)(stop - c0); m < n; m += turns) {");
  rpi_emit_line(e, "const %s c = c0 + (m + lane);", e->index);
  rpi_emit_line(e, "const int in = m + lane < n && lane < width, turn = m & %d;", RPI_CUDA_WARP);
}

static void emit_leaf(rpi_emit *e) {
  rpi_emit_open(e, "if (on) {");
  rpi_emit_cuda_leaf_bounds(e, "l");
  rpi_emit_row(e);
  if (e->teams) {
    emit_team_columns(e);
  } else {
    rpi_emit_cuda_unroll(e);
    rpi_emit_open(e, "for (%s c = c0 + 2 * lane; c < stop; c += %d) {", e->index, RPI_ACCUMULATORS);
  }
  rpi_emit_thread_point(e, "stop");
  rpi_emit_close(e);
  rpi_emit_close(e);
}

void rpi_emit_cuda_term(rpi_emit *e, int32_t r, const char *value) {
  rpi_emit_open(e, "if (in && spread) {");
  rpi_emit_line(e, "if (a.mode & %d) ((%s *)w[%d].p)[%d + t * %d + m + lane] = %s;", RPI_CUDA_FAR,
                rpi_emit_ctype(rpi_emit_red_dtype(e, r)), e->l.partial + r, RPI_CUDA_FAR_UNITS,
                RPI_LEAF, value);
  rpi_emit_line(e, "else term%d[m + lane] = %s;", r, value);
  rpi_emit_close(e);
}

/* The leaf's value v<r> at lane 0 or, spread, at lane 0 of the block's first warp. */
static void emit_values(rpi_emit *e) {
  for (int32_t r = 0; r < e->ir->n_red; r++) {
    const rp_dtype t = rpi_emit_red_dtype(e, r);
    const char *op = rpi_emit_red_name(&e->ir->red[r]), *name = rpi_dtype_name(t);
    if (e->teams)
      rpi_emit_line(e, "%s v%d = rpk_halve_%s_%s(rps_red_%s_%s(a%d_0, a%d_1));", rpi_emit_ctype(t),
                    r, op, name, op, name, r, r);
    else
      rpi_emit_line(e, "%s v%d = rpk_fold_%s_%s(a%d_0, a%d_1);", rpi_emit_ctype(t), r, op, name, r,
                    r);
  }
  if (!e->spread) return;
  rpi_emit_line(e, "if (a.mode & %d) continue;", RPI_CUDA_FAR);
  rpi_emit_open(e, "if (spread) {");
  rpi_emit_line(e, "RPG_SYNC();");
  rpi_emit_line(e, "const int n = columns - l * %d < %d ? (int)(columns - l * %d) : %d;", RPI_LEAF,
                RPI_LEAF, RPI_LEAF, RPI_LEAF);
  for (int32_t r = 0; r < e->ir->n_red; r++)
    rpi_emit_line(e, "if (warp == 0) v%d = rpk_terms_%s_%s(term%d, n);", r,
                  rpi_emit_red_name(&e->ir->red[r]), rpi_dtype_name(rpi_emit_red_dtype(e, r)), r);
  rpi_emit_close(e);
}

static void emit_join(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  emit_values(e);
  rpi_emit_open(e, "if (k > 0 && !spread) {");
  for (int32_t r = 0; r < ir->n_red; r++)
    rpi_emit_line(e, "if (lane == 0) leaf%d[warp] = v%d;", r, r);
  rpi_emit_line(e, "RPG_SYNC();");
  rpi_emit_close(e);
  rpi_emit_open(e, "if (lane == 0 && at == 0 && on) {");
  rpi_emit_line(e, "const int n = leaves - l < %d ? (int)(leaves - l) : %d;", RPI_CUDA_GROUP,
                RPI_CUDA_GROUP);
  for (int32_t r = 0; r < ir->n_red; r++) {
    char value[16];
    snprintf(value, sizeof value, "v%d", r);
    rpi_emit_line(e, "if (k > 0 && !spread) v%d = rpk_group_%s_%s(leaf%d + warp, n);", r,
                  rpi_emit_red_name(&ir->red[r]), rpi_dtype_name(rpi_emit_red_dtype(e, r)), r);
    rpi_emit_cuda_value(e, r, value, "t");
  }
  rpi_emit_close(e);
  rpi_emit_line(e, "if (k > 0) RPG_SYNC();");
}

void rpi_emit_cuda_leaf_units(rpi_emit *e) {
  const char *x = e->index;
  emit_tasks(e);
  rpi_emit_line(e, "const %s step = (%s)RPG_BLOCKS * per;", x, x);
  rpi_emit_open(e, "for (%s b = (t0 << p) + (%s)RPG_BLOCK * per; b < t1 << p; b += step) {", x, x);
  rpi_emit_line(e, "const %s t = (b >> p) + (warp >> k);", x);
  rpi_emit_line(e, "const %s l = (t %% groups << g) + (spread ? 0 : at);", x);
  rpi_emit_line(e, "const int on = t < t1 && l < leaves;");
  if (e->ir->rank > 1) {
    rpi_emit_line(e, "%s r = t / groups;", x);
    rpi_emit_decode(e, 0, e->ir->rank - 1, "r");
    for (int32_t d = 0; d < e->ir->rank - 1; d++) rpi_emit_line(e, "(void)i%d;", d);
  }
  for (int32_t r = 0; r < e->ir->n_red; r++) {
    rpi_emit_cuda_identity(e, r, "_0");
    rpi_emit_cuda_identity(e, r, "_1");
  }
  emit_leaf(e);
  emit_join(e);
  rpi_emit_close(e);
}

void rpi_emit_cuda_leaves(rpi_emit *e) {
  const rpi_ir *ir = e->ir;
  rpi_emit_open(e, "RPG_FAR void rpk_leaves_%.8s(const rpk_word *w, int64_t u0, int64_t u1) {",
                e->key);
  rpi_emit_line(e, "const int64_t columns = w[%d].i, leaves = (columns + %d) / %d;",
                e->l.extent + ir->rank - 1, RPI_LEAF - 1, RPI_LEAF);
  rpi_emit_line(e, "const int64_t first = u0 + RPG_BLOCK * %d + RPG_THREAD / %d;", WARPS,
                RPI_CUDA_WARP);
  rpi_emit_line(e, "RPK_ROLLED");
  rpi_emit_open(e, "for (int64_t u = first; u < u1; u += RPG_BLOCKS * %d) {", WARPS);
  rpi_emit_line(e, "const int64_t rest = columns - u %% leaves * %d;", RPI_LEAF);
  rpi_emit_line(e, "const int n = rest < %d ? (int)rest : %d;", RPI_LEAF, RPI_LEAF);
  for (int32_t r = 0; r < ir->n_red; r++) {
    const rp_dtype t = rpi_emit_red_dtype(e, r);
    const char *type = rpi_emit_ctype(t);
    rpi_emit_line(e, "%s *const to%d = (%s *)w[%d].p;", type, r, type, e->l.partial + r);
    rpi_emit_line(e, "const %s v%d = rpk_terms_%s_%s(to%d + %d + u * %d, n);", type, r,
                  rpi_emit_red_name(&ir->red[r]), rpi_dtype_name(t), r, RPI_CUDA_FAR_UNITS,
                  RPI_LEAF);
    rpi_emit_line(e, "if ((RPG_THREAD & %d) == 0) to%d[u] = v%d;", RPI_CUDA_WARP - 1, r, r);
  }
  rpi_emit_close(e);
  rpi_emit_close(e);
}
