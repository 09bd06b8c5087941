/* SPDX-License-Identifier: Apache-2.0
 * jit/emit_c.c -- a text of kernels: a head for all, each one's prologue, body, epilogue, a table.
 *
 * Lives here: what surrounds the body. Not here: the plan (emit_c_plan.c), the body
 *             (emit_c_body.c).
 * How:        the head defines the widths and the dtypes in use, then comes lanes.h with its parts,
 *             whole, then the few helpers below. The text includes nothing, so it needs a compiler but no
 *             headers. */
#include "jit/emit_c.h"

#include <string.h>

#include "core/base/config.h"
#include "core/model/dtype.h"
#include "jit/emit_c_impl.h"

extern const char rpi_lanes_text[]; /* jit/lanes.h, embedded by the build */

static const char helpers[] =
    "typedef rpc_i8 int8_t; typedef rpc_i16 int16_t; typedef rpc_i32 int32_t; typedef rpc_i64 "
    "int64_t;\n"
    "typedef rpc_u8 uint8_t; typedef rpc_u16 uint16_t; typedef rpc_u32 uint32_t; typedef rpc_u64 "
    "uint64_t;\n"
    "typedef union rpk_word { int64_t i; uint64_t u; double f; void *p; } rpk_word;\n"
    "#define RPK_API __attribute__((visibility(\"default\")))\n"
    "typedef struct rpk_entry {\n"
    "  const char *key;\n"
    "  void (*pro)(const void *, rpk_word *);\n"
    "  void (*body)(const void *, const rpk_word *, int64_t, int64_t, void *);\n"
    "  void (*epi)(const void *, rpk_word *);\n"
    "} rpk_entry;\n"
    "extern const rpk_entry rpk_table[];\n"
    "/* Values from and to the bits of a word. */\n"
    "#define RPK_WORD(T, ctype) \\\n"
    "  RPV_FN ctype rpk_##T(uint64_t u) { ctype v; __builtin_memcpy(&v, &u, sizeof v); return v; } "
    "\\\n"
    "  RPV_FN uint64_t rpk_put_##T(ctype v) { uint64_t u = 0; __builtin_memcpy(&u, &v, sizeof v); "
    "return u; }\n"
    "/* Partial vectors, once per dtype: in line they would be most of a kernel's code. */\n"
    "#define RPK_FN static __attribute__((noinline, unused))\n"
    "#define RPK_PARTIAL(T, ctype) \\\n"
    "  RPK_FN rpv_##T rpk_loadn_##T(const ctype *p, int64_t n) { return rpv_loadn_##T(p, n); } \\\n"
    "  RPK_FN void rpk_storen_##T(ctype *p, rpv_##T v, int64_t n) { rpv_storen_##T(p, v, n); } \\\n"
    "  RPK_FN rpv_##T rpk_loadsn_##T(const ctype *p, int64_t s, int64_t n) { return "
    "rpv_loadsn_##T(p, s, n); } \\\n"
    "  RPK_FN void rpk_storesn_##T(ctype *p, int64_t s, rpv_##T v, int64_t n) { rpv_storesn_##T(p, "
    "s, v, n); }\n"
    "/* A whole vector past the caches, to an address aligned for it. */\n"
    "typedef long long rpk_whole __attribute__((vector_size(RPV_BITS / 8)));\n"
    "RPV_FN void rpk_stream(void *p, const void *v) {\n"
    "  rpk_whole x; __builtin_memcpy(&x, v, sizeof x);\n"
    "#ifdef __clang__\n"
    "  __builtin_nontemporal_store(x, (rpk_whole *)p);\n"
    "#elif RPV_BITS == 512\n"
    "  __builtin_ia32_movntdq512((rpk_whole *)p, x);\n"
    "#else\n"
    "  __builtin_ia32_movntdq256((rpk_whole *)p, x);\n"
    "#endif\n"
    "}\n"
    "RPK_WORD(bool, uint8_t) RPK_WORD(i8, int8_t) RPK_WORD(i16, int16_t) RPK_WORD(i32, int32_t)\n"
    "RPK_WORD(i64, int64_t) RPK_WORD(u8, uint8_t) RPK_WORD(u16, uint16_t) RPK_WORD(u32, uint32_t)\n"
    "RPK_WORD(u64, uint64_t) RPK_WORD(f32, float) RPK_WORD(f64, double)\n";

static const char checked_helpers[] =
    "/* Indices out of range are clamped and noted; an empty table is read at 0. */\n"
    "static int64_t rpk_zero[1];\n"
    "RPV_FN int64_t rpk_clamp(int64_t i, int64_t n, int *bad) {\n"
    "  const int64_t k = i >= n ? n - 1 : i;\n"
    "  const int64_t inside = k < 0 ? 0 : k;\n"
    "  *bad |= inside != i || n <= 0;\n"
    "  return inside;\n"
    "}\n"
    "RPV_FN rpv_i64 rpk_clampv(rpv_i64 i, int64_t n, rpv_bool *bad) {\n"
    "  const rpv_i64 top = rpv_splat_i64(n > 0 ? n - 1 : 0), nil = rpv_splat_i64(0);\n"
    "  const rpv_i64 k = rpv_select_i64(rpv_lt_i64(top, i), top, i);\n"
    "  const rpv_i64 inside = rpv_select_i64(rpv_lt_i64(k, nil), nil, k);\n"
    "  *bad |= rpv_ne_i64(inside, i) | rpv_splat_bool(n <= 0);\n"
    "  return inside;\n"
    "}\n";

uint32_t rpi_emit_dtypes(const rpi_ir *ir) {
  uint32_t used = 0;
  for (int32_t o = 0; o < ir->n_operand; o++) used |= 1u << ir->operand[o].dtype;
  for (int32_t i = 0; i < ir->n_ins; i++) {
    if (ir->ins[i].op != RPI_IR_STORE && ir->ins[i].op != RPI_IR_REDUCE)
      used |= 1u << ir->ins[i].dtype;
    for (int32_t s = 0; s < ir->ins[i].n_src; s++)
      used |= 1u << ir->ins[rpi_ir_src(ir, &ir->ins[i], s)].dtype;
  }
  return used;
}

static bool checks(const rpi_ir *ir) {
  for (int32_t o = 0; o < ir->n_operand; o++)
    if (ir->operand[o].checked) return true;
  return false;
}

static int32_t vector_bits(int32_t vector) { return vector == RPI_VECTOR_AVX512 ? 512 : 256; }

int32_t rpi_emit_c_lanes(const rpi_ir *ir, int32_t vector) {
  int32_t widest = 4;
  for (int32_t o = 0; o < ir->n_operand; o++) {
    if (rpi_dtype_size(ir->operand[o].dtype) > widest) widest = 8;
  }
  for (int32_t i = ir->n_pro; i < ir->n_body; i++) {
    const rpi_ir_ins *ins = &ir->ins[i];
    if (rpi_dtype_size(ins->dtype) > widest) widest = 8;
    for (int32_t s = 0; s < ins->n_src; s++) {
      if (rpi_dtype_size(ir->ins[rpi_ir_src(ir, ins, s)].dtype) > widest) widest = 8;
    }
  }
  return vector_bits(vector) / 8 / widest;
}

/* What all kernels of the text share. */
static void emit_head(const rpi_emit_unit *unit, int32_t n, int32_t vector, rpi_strbuf *out) {
  const int32_t lanes = rpi_emit_c_lanes(unit[0].ir, vector), bits = vector_bits(vector);
  uint32_t used = 1u << RP_I64 | 1u << RP_BOOL;
  bool checked = false;
  for (int32_t k = 0; k < n; k++) {
    rpi_assert(rpi_emit_c_lanes(unit[k].ir, vector) == lanes);
    used |= rpi_emit_dtypes(unit[k].ir);
    checked |= checks(unit[k].ir);
  }
  rpi_strbuf_addf(out, "#define RPV_W %d\n#define RPV_BITS %d\n#define RPV_MASK %d\n", lanes, bits,
                  lanes * 64 == bits ? 8 : 4);
  for (int32_t t = 0; t < RPI_N_DTYPE; t++) {
    if (used >> t & 1) rpi_strbuf_addf(out, "#define RPV_USE_%s\n", rpi_dtype_name(t));
  }
  rpi_strbuf_add(out, "#line 1 \"lanes.h\"\n");
  rpi_strbuf_add(out, rpi_lanes_text);
  rpi_strbuf_add(out, "#line 1 \"kernel.c\"\n");
  rpi_strbuf_add(out, helpers);
  for (int32_t t = 0; t < RPI_N_DTYPE; t++) {
    if (used >> t & 1)
      rpi_strbuf_addf(out, "RPK_PARTIAL(%s, %s)\n", rpi_dtype_name(t), rpi_emit_ctype(t));
  }
  if (checked) rpi_strbuf_add(out, checked_helpers);
}

/* Scalar code over the words: prologue [0, n_pro) or epilogue [n_body, n_ins). */
static void emit_section(rpi_emit *e, const char *name, int32_t from, int32_t to) {
  const rpi_ir *ir = e->ir;
  rpi_emit_line(e, "static void %s_%.8s(const void *self, rpk_word *w) {", name, e->key);
  e->indent++;
  rpi_emit_line(e, "(void)self, (void)w;");
  rpi_emit_operands(e, from, to);
  if (from > 0) rpi_emit_uniforms(e, from, to, false);
  if (e->checked) rpi_emit_line(e, "int bad = 0;");
  rpi_emit_scalars(e, from, to, RPI_EMIT_SCALAR);
  for (int32_t i = 0; from == 0 && i < to; i++) {
    const rpi_ir_ins *ins = &ir->ins[i];
    if (ins->op == RPI_IR_STORE) continue;
    if (ins->op == RPI_IR_LOOP) i = e->end[i];
    rpi_emit_line(e, "w[%d].u = rpk_put_%s(s%d);", e->l.uniform + i,
                  rpi_dtype_name(ir->ins[i].dtype), i);
  }
  if (e->checked) {
    rpi_emit_line(e, "if (bad) __atomic_store_n((uint32_t *)w[%d].p, 1u, __ATOMIC_RELAXED);",
                  e->l.flag);
  }
  rpi_emit_close(e);
}

static rp_status emit_kernel(const rpi_emit_unit *unit, int32_t vector, uint64_t *folds,
                             rpi_strbuf *out) {
  const rpi_ir *ir = unit->ir;
  rpi_emit e = {.ir = ir,
                .key = unit->key,
                .out = out,
                .folds = folds,
                .index = "int64_t",
                .first = "c0",
                .bits = vector_bits(vector),
                .lanes = rpi_emit_c_lanes(ir, vector),
                .loop_inner = -1};
  const rp_status status = rpi_emit_plan(&e);
  if (status == RP_OK) {
    rpi_emit_line(&e, "/* A kernel of rank %d: %d instructions, %d operands, %d reductions. */",
                  ir->rank, ir->n_ins, ir->n_operand, ir->n_red);
    emit_section(&e, "rpk_pro", 0, ir->n_pro);
    rpi_emit_body(&e);
    emit_section(&e, "rpk_epi", ir->n_body, ir->n_ins);
  }
  rpi_emit_plan_free(&e);
  return status;
}

rp_status rpi_emit_c(const rpi_emit_unit *unit, int32_t n, int32_t vector, rpi_strbuf *out) {
  uint64_t folds[RPI_N_DTYPE] = {0};
  emit_head(unit, n, vector, out);
  for (int32_t k = 0; k < n; k++) RPI_TRY(emit_kernel(&unit[k], vector, folds, out));
  rpi_strbuf_add(out, "RPK_API const rpk_entry rpk_table[] = {\n");
  for (int32_t k = 0; k < n; k++) {
    const char *key = unit[k].key;
    rpi_strbuf_addf(out, "  {\"%s\", rpk_pro_%.8s, rpk_body_%.8s, rpk_epi_%.8s},\n", key, key, key,
                    key);
  }
  rpi_strbuf_add(out, "  {0}\n};\n");
  return out->failed ? rpi_status_nomem("a kernel's text") : RP_OK;
}

const rpi_emit_entry *rpi_emit_c_find(const rpi_emit_entry *table, const char *key) {
  for (; table && table->key; table++)
    if (strcmp(table->key, key) == 0) return table;
  return NULL;
}
