/* SPDX-License-Identifier: Apache-2.0
 * tests/support/cuda_bench.h -- a kernel's CUDA text run on the CPU beside the interpreter: the same memory.
 * Lives here: what a launch on a GPU is (form, grid, parameters), and the comparison; see kernel_bench.h. */
#ifndef CUDA_BENCH_H
#define CUDA_BENCH_H

#include "jit/cuda_board.h"
#include "jit/emit_cuda.h"
#include "jit/finish.h"
#include "tests/support/cuda_threads.h"
#include "tests/support/kernel_bench.h"

typedef struct cuda_code {
  rpi_cuda_shape shape;
  rpi_cuda_form form;
  struct threads_hooks *hooks;
  void (*pro)(const void *), (*main)(const void *), (*fin)(const void *);
  void *so;
} cuda_code;

/* Which operands begin every row at a multiple of 16 bytes. */
static inline uint64_t cuda_aligned(const bench *b) {
  uint64_t bits = 0;
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const rpi_ir_operand *op = &b->ir.operand[o];
    const int64_t size = rpi_dtype_size(op->dtype);
    bool fits = op->kind == RPI_OPERAND_AFFINE && op->rank > 0 &&
                op->sclass[op->rank - 1] == RPI_STRIDE_UNIT && b->offset[o] * size % 16 == 0;
    for (int32_t d = 0; d + 1 < op->rank; d++) fits &= b->stride[o][d] * size % 16 == 0;
    if (fits) bits |= UINT64_C(1) << o;
  }
  return bits;
}

/* A text behind the words of cuda_threads.h, as an object that is open. */
static inline void *cuda_object(const char *text) {
  static int32_t number;
  char path[128];
  snprintf(path, sizeof path, "%s/c%d.so", bench_folder, number++);
  if (rpi_cc_compile(bench_cc, text, path) != RP_OK) {
    const char *kernel = strstr(text, "\"kernel.cu\"");
    print_message("%s\n", kernel ? kernel : text);
    fail_msg("%s", rpi_status_message());
  }
  void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!so) fail_msg("%s", dlerror());
  unlink(path);
  return so;
}

/* Parts of a row that warps share, at most; 0: as many as there are. */
static int32_t cuda_parts;
static inline void cuda_limit(const char *text) {
  char *at = strstr(text, "RPK_PARTS = 2048");
  char number[8];
  if (!at || cuda_parts == 0) return;
  snprintf(number, sizeof number, "%4d", (int)cuda_parts);
  memcpy(at + strlen("RPK_PARTS = "), number, 4);
}

static inline cuda_code cuda_compiled(const rpi_ir *ir, rpi_cuda_shape shape) {
  rpi_strbuf text;
  cuda_code code = {.shape = shape};
  rpi_strbuf_init(&text);
  rpi_strbuf_add(&text, threads_head);
  rp_status status = rpi_emit_cuda(&(rpi_cuda_unit){ir, "0123", shape}, 1, &text);
  if (status != RP_OK) fail_msg("%s", rpi_status_message());
  cuda_limit(rpi_strbuf_str(&text));
  code.so = cuda_object(rpi_strbuf_str(&text));
  if (getenv("SHOW")) print_message("%s\n", strstr(rpi_strbuf_str(&text), "\"kernel.cu\""));
  rpi_strbuf_deinit(&text);
  rpi_cuda_form_get(ir, &shape, &code.form);
  code.hooks = dlsym(code.so, "rpg_hooks");
  *(void **)&code.main = dlsym(code.so, "rpk_main_0123");
  *(void **)&code.pro = dlsym(code.so, "rpk_pro_0123");
  *(void **)&code.fin = dlsym(code.so, "rpk_fin_0123");
  assert_non_null(code.main);
  return code;
}

/* All launches, over the words at hand; the flag. */
static inline uint32_t cuda_run(bench *b, const void *of, int32_t most) {
  const cuda_code *code = of;
  static rpi_word parameters[RPI_KERNEL_PARAMETERS / 8], values[1024];
  static rpk_board board;
  uint32_t flag[4] = {0};
  rpi_cuda_grid grid;
  const int64_t units = b->ir.n_body > b->ir.n_pro ? rpi_ir_units(&b->ir, b->extent) : 0;
  b->w[b->l.flag].p = flag;
  b->w[b->l.values].p = values;
  b->w[b->l.board].p = &board;
  assert_true(code->form.bytes <= (int32_t)sizeof parameters);
  rpi_cuda_grid_get(&b->ir, &code->form, b->w, 0, units, RPI_KERNEL_ALL, most, &grid);
  assert_int_equal(rpi_cuda_pack(&b->ir, b->w, 0, units, grid.mode, parameters), code->form.bytes);
  if (grid.mode & RPI_CUDA_FAR) assert_true(rpi_cuda_partials(&b->ir, b->extent) <= PARTIALS);
  if (grid.pro > 0) threads_launch(code->hooks, code->pro, parameters, grid.pro, RPI_CUDA_BLOCK);
  threads_launch(code->hooks, code->main, parameters, grid.main, RPI_CUDA_BLOCK);
  if (grid.fin > 0) threads_launch(code->hooks, code->fin, parameters, grid.fin, RPI_CUDA_BLOCK);
  assert_int_equal(flag[1], 0);
  assert_int_equal(flag[2], 0);
  for (int32_t i = 0; i < RPK_POSTS; i++) assert_int_equal(board.gate[i], 0);
  return flag[0];
}

/* The interpreter's whole: sections, and the finish between body and epilogue. */
static inline void cuda_reference(bench *b, const rpi_kernel_code *code) {
  const int64_t units = b->ir.n_body > b->ir.n_pro ? rpi_ir_units(&b->ir, b->extent) : 0;
  bench_reset(b);
  bench_bind(b);
  if (code->pro) code->pro(code->self, b->w);
  if (units > 0) code->body(code->self, b->w, 0, units, bench_scratch);
  rpi_finish_all(&b->ir, &b->l, b->w);
  if (code->epi) code->epi(code->self, b->w);
}

/* The interpreter's memory and flag, and those that `run` leaves, on grids of at most `most` blocks. */
static inline void cuda_compare_run(bench *b, uint32_t (*run)(bench *, const void *, int32_t),
                                    const void *code, int32_t most, uint64_t from) {
  unsigned char *memory[MAX_OPERANDS] = {0};
  rpi_interp *interp = NULL;
  assert_int_equal(rpi_interp_create(&b->ir, RPI_VECTOR_AVX2, &interp), RP_OK);
  cuda_reference(b, rpi_interp_code(interp));
  const uint32_t flag = b->flag;
  for (int32_t o = 0; o < b->ir.n_operand; o++)
    memcpy(memory[o] = malloc(BYTES), b->memory[o], BYTES);
  bench_reset(b);
  bench_bind(b);
  assert_int_equal(run(b, code, most), flag);
  for (int32_t o = 0; o < b->ir.n_operand; o++) {
    const rp_dtype t = b->ir.operand[o].dtype;
    const int64_t n = BYTES / rpi_dtype_size(t), i = bench_differs(t, memory[o], b->memory[o], n);
    if (i < n) bench_fail(b, "operand", o, i - b->offset[o], from);
    free(memory[o]);
  }
  rpi_interp_free(interp);
}

static inline void cuda_compare(bench *b, uint64_t from) {
  if (rpi_ir_check(&b->ir) != RP_OK) fail_msg("%s", rpi_status_message());
  const rpi_cuda_shape shape = {.wide = bench_below(4) == 0,
                                .aligned = bench_below(4) ? cuda_aligned(b) : 0};
  const cuda_code code = cuda_compiled(&b->ir, shape);
  cuda_compare_run(b, cuda_run, &code, 1 + bench_below(4), from);
  dlclose(code.so);
}

#endif
