/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_interp.c -- see emit_interp.h.
 *
 * Lives here: switches over operation and dtype, from the tables of operations and dtypes.
 * Invariant:  a case's number is op * 16 + dtype, that of a cast from * 16 + to: what cuda_program.c writes into steps. */
#include "jit/emit_interp.h"

#include "core/model/dtype.h"

extern const char rpi_cuda_head_text[], rpi_cuda_frame_text[], rpi_cuda_step_text[],
    rpi_cuda_interp_text[];

/* "rpk_T(a)", ... */
static void add_sources(rpi_strbuf *out, const char *t, int32_t n) {
  for (int32_t s = 0; s < n; s++) rpi_strbuf_addf(out, "%srpk_%s(%c)", s ? ", " : "", t, "abc"[s]);
}

/* What is long is a function of its own: the compiler's time grows faster than a function. */
static bool is_far(rpi_irop op, rp_dtype t) {
  if (rpi_dtype_kind(t) != RPI_KIND_F) return false;
  return rpi_ir_op_class(op) == 'M' || op == RPI_IR_FMOD || op == RPI_IR_MOD ||
         op == RPI_IR_FLOORDIV;
}

static void add_far(rpi_strbuf *out) {
  for (int32_t op = RPI_IR_CAST + 1; op < RPI_IR_N_OPS; op++)
    for (int32_t t = 0; t < RPI_N_DTYPE; t++) {
      if (!is_far((rpi_irop)op, t)) continue;
      const char *type = rpi_dtype_name(t), *name = rpi_ir_op_name((rpi_irop)op);
      const bool two = rpi_ir_op_n_src((rpi_irop)op) == 2;
      rpi_strbuf_addf(out,
                      "RPG_FAR rpc_%s rpk_far_%s_%s(rpc_%s a%s%s%s) { return rps_%s_%s(a%s); }\n",
                      type, name, type, type, two ? ", rpc_" : "", two ? type : "", two ? " b" : "",
                      name, type, two ? ", b" : "");
    }
}

static void add_compute(rpi_strbuf *out) {
  rpi_strbuf_add(out,
                 "RPG_FAR uint64_t rpk_compute(int code, uint64_t a, uint64_t b, uint64_t c) {\n"
                 "  switch (code) {\n");
  for (int32_t op = RPI_IR_CAST + 1; op < RPI_IR_N_OPS; op++)
    for (int32_t t = 0; t < RPI_N_DTYPE; t++) {
      if (op == RPI_IR_SELECT || !rpi_ir_op_takes((rpi_irop)op, t)) continue;
      const char *to = rpi_ir_op_result((rpi_irop)op) == 'B' ? "bool" : rpi_dtype_name(t);
      rpi_strbuf_addf(out, "    case %d: return rpk_put_%s(%s_%s_%s(", op * 16 + t, to,
                      is_far((rpi_irop)op, t) ? "rpk_far" : "rps", rpi_ir_op_name((rpi_irop)op),
                      rpi_dtype_name(t));
      add_sources(out, rpi_dtype_name(t), rpi_ir_op_n_src((rpi_irop)op));
      rpi_strbuf_add(out, "));\n");
    }
  rpi_strbuf_add(out, "  }\n  (void)b, (void)c;\n  return a;\n}\n");
}

static void add_casts(rpi_strbuf *out) {
  rpi_strbuf_add(out, "RPG_FAR uint64_t rpk_cast(int code, uint64_t a) {\n  switch (code) {\n");
  for (int32_t s = 0; s < RPI_N_DTYPE; s++)
    for (int32_t t = 0; t < RPI_N_DTYPE; t++) {
      const char *from = rpi_dtype_name(s), *to = rpi_dtype_name(t);
      if (s == t)
        rpi_strbuf_addf(out, "    case %d: return a;\n", s * 16 + t);
      else
        rpi_strbuf_addf(out, "    case %d: return rpk_put_%s(rps_cast_%s_%s(rpk_%s(a)));\n",
                        s * 16 + t, to, from, to, from);
    }
  rpi_strbuf_add(out, "  }\n  return a;\n}\n");
}

static bool red_takes(int32_t op, rp_dtype t) {
  const int32_t kind = rpi_dtype_kind(t);
  if (kind == RPI_KIND_B || op >= RPI_RED_ARGMIN) return true;
  return op <= (kind == RPI_KIND_F ? RPI_RED_MAX : RPI_RED_XOR);
}

/* Operators from..to - 1 of reductions, as a function of two values. */
static void add_reds(const char *head, const char *prefix, int32_t from, int32_t to,
                     rpi_strbuf *out) {
  rpi_strbuf_addf(out, "RPG_FAR %s(int code, uint64_t a, uint64_t b) {\n  switch (code) {\n", head);
  for (int32_t op = from; op < to; op++)
    for (int32_t t = 0; t < RPI_N_DTYPE; t++) {
      if (!red_takes(op, t)) continue;
      const char *type = rpi_dtype_name(t);
      const bool beats = op >= RPI_RED_ARGMIN;
      rpi_strbuf_addf(out, "    case %d: return rpk_put_%s(rps_%s_%s_%s(", op * 16 + t,
                      beats ? "bool" : type, prefix, rpi_ir_redop_name((rpi_redop)op), type);
      add_sources(out, type, 2);
      rpi_strbuf_add(out, "));\n");
    }
  rpi_strbuf_add(out, "  }\n  return a;\n}\n");
}

static void add_sizes(rpi_strbuf *out) {
  rpi_strbuf_addf(out,
                  "#define RPK_BOOL %d\nRPG_DEVICE int rpk_size(int dtype) {\n  switch (dtype) {\n",
                  RP_BOOL);
  for (int32_t t = 0; t < RPI_N_DTYPE; t++)
    if (rpi_dtype_size(t) != 8)
      rpi_strbuf_addf(out, "    case %d: return %d;\n", t, (int)rpi_dtype_size(t));
  rpi_strbuf_add(out, "  }\n  return 8;\n}\n");
}

rp_status rpi_emit_interp(rpi_strbuf *out) {
  rpi_strbuf_add(out, "#define RPV_USE_ALL\n#line 1 \"lanes.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_head_text);
  rpi_strbuf_add(out, "#line 1 \"cuda_frame.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_frame_text);
  rpi_strbuf_add(out, "#line 1 \"cuda_step.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_step_text);
  rpi_strbuf_add(out, "#line 1 \"cases.h\"\n");
  add_sizes(out);
  add_far(out);
  add_compute(out);
  add_casts(out);
  add_reds("uint64_t rpk_combine", "red", 0, RPI_RED_ARGMIN, out);
  add_reds("uint64_t rpk_beats", "beats", RPI_RED_ARGMIN, RPI_N_RED, out);
  rpi_strbuf_add(out, "#line 1 \"cuda_interp.h\"\n");
  rpi_strbuf_add(out, rpi_cuda_interp_text);
  return out->failed ? rpi_status_nomem("an interpreter's text") : RP_OK;
}
