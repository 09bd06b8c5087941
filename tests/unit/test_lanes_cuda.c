/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_lanes_cuda.c -- the scalars of jit/lanes.h alone, as a GPU kernel has them.
 *
 * Checked: on a CPU every function has the bits of the scalars beside vectors, on special values and random
 *          bits. With the argument "nvrtc" (77 where there is none): a text with all functions compiles
 *          without a word for three architectures, multiplies and adds apart, and divides and takes roots
 *          and converts as IEEE 754 says; and where the compiler computes a result itself, since all
 *          arguments are literals, it is the CPU's.
 * Not:     what CUDA's own fmod and ldexp give, which the compiler leaves to the GPU. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/strbuf.h"

#define RPV_W 4
#define RPV_MASK 8
#define RPV_BITS 256
#define RPV_USE_ALL
#include "jit/lanes.h"

#include "tests/support/lanes_table.h"
#include "tests/support/pick.h"

extern const char rpi_cuda_head_text[];

/* ---- values ------------------------------------------------------------------------------------------ */

enum { MOST = 256, RANDOM = 40 };
typedef struct values {
  const char *dtype;
  int size, n;
  union {
    uint64_t bits;
    unsigned char bytes[8];
  } at[MOST];
} values;

static void add(values *v, uint64_t bits) {
  assert_true(v->n < MOST);
  v->at[v->n++].bits = v->size == 8 ? bits : bits & ((UINT64_C(1) << 8 * v->size) - 1);
}

static void add_real(values *v, double x) {
  const float narrow = (float)x;
  uint64_t bits = 0;
  memcpy(&bits, v->size == 8 ? (const void *)&x : (const void *)&narrow, (size_t)v->size);
  add(v, bits);
  add(v, bits ^ UINT64_C(1) << (8 * v->size - 1));
}

/* Powers of two with their neighbours; zeros, subnormals, halves, infinities, NaNs; small numbers. */
static void fill(values *v, const char *dtype, int size) {
  static const double some[] = {
      0.5, 1.5, 2.5, 3, 5, 7, 0.1, 100.25, 127.5, 255.5, 32767.5, 65535.5, 2147483647.5, 1e16};
  static const int power[] = {0, 1, 7, 8, 15, 16, 24, 31, 32, 52, 53, 62, 63, 64};
  *v = (values){.dtype = dtype, .size = size};
  if (dtype[0] == 'f') {
    const int mantissa = size == 8 ? 52 : 23, bias = size == 8 ? 1023 : 127;
    const uint64_t one = UINT64_C(1) << mantissa, sign = UINT64_C(1) << (8 * size - 1),
                   inf = (2 * (uint64_t)bias + 1) << mantissa;
    for (size_t k = 0; k < sizeof power / sizeof *power; k++) {
      const uint64_t bits = (uint64_t)(bias + power[k]) << mantissa;
      for (int near = -1; near <= 1; near++) {
        add(v, bits + (uint64_t)near);
        add(v, (bits + (uint64_t)near) | sign);
      }
    }
    const uint64_t edge[] = {0,         1,       one / 2, one - 1,       one,    one + 1,
                             inf - one, inf - 1, inf,     inf + one / 2, inf + 1};
    for (size_t k = 0; k < sizeof edge / sizeof *edge; k++) {
      add(v, edge[k]);
      add(v, edge[k] | sign);
    }
    for (size_t k = 0; k < sizeof some / sizeof *some; k++) add_real(v, some[k]);
  } else if (strcmp(dtype, "bool") == 0) {
    add(v, 0);
    add(v, 1);
    return;
  } else {
    for (int k = 0; k <= 8 * size - 1; k += k < 8 || k % 8 >= 6 ? 1 : 7 - k % 8) {
      for (int near = -1; near <= 1; near++) {
        add(v, (UINT64_C(1) << k) + (uint64_t)near);
        add(v, 0 - (UINT64_C(1) << k) + (uint64_t)near);
      }
    }
    for (uint64_t k = 3; k < 12; k += 2) add(v, k);
  }
  for (int k = 0; k < RANDOM; k++)
    add(v, (uint64_t)pick(0, INT64_MAX - 1) << 1 ^ (uint64_t)pick(0, INT64_MAX - 1));
}

static values all[11];
static const values *values_of(const char *dtype) {
  for (int t = 0; t < 11; t++) {
    if (strcmp(all[t].dtype, dtype) == 0) return &all[t];
  }
  fail_msg("no dtype %s", dtype);
  return NULL;
}

/* ---- on a CPU ---------------------------------------------------------------------------------------- */

/* Bits, but that a NaN is one value. */
static int same(const char *dtype, uint64_t a, uint64_t b) {
  const int wide = strcmp(dtype, "f64") == 0;
  if (dtype[0] != 'f') return a == b;
  const uint64_t sign = UINT64_C(1) << (wide ? 63 : 31),
                 inf = wide ? UINT64_C(0x7ff) << 52 : UINT64_C(0xff) << 23;
  return a == b || ((a & ~sign) > inf && (b & ~sign) > inf);
}

static void compare(const lanes_row *x, const lanes_row *y) {
  const values *v[3];
  int n[3];
  for (int k = 0; k < 3; k++) {
    v[k] = values_of(x->from[k]);
    n[k] = k < x->n ? v[k]->n : 1;
  }
  if (x->n == 3 && strcmp(x->from[0], "bool") != 0) n[2] = 7; /* of fma: some */
  for (int i = 0; i < n[0]; i++) {
    for (int j = 0; j < n[1]; j++) {
      for (int k = 0; k < n[2]; k++) {
        const void *a = v[0]->at[i].bytes, *b = v[1]->at[j].bytes;
        const void *c = v[2]->at[n[2] < v[2]->n ? (i * 7 + j + k * 31) % v[2]->n : k].bytes;
        uint64_t p = 0, q = 0;
        x->run(a, b, c, &p);
        y->run(a, b, c, &q);
        if (!same(x->result, p, q))
          fail_msg("%s(%#llx, %#llx): %#llx beside vectors, %#llx alone", x->name,
                   (unsigned long long)v[0]->at[i].bits, (unsigned long long)v[1]->at[j].bits,
                   (unsigned long long)p, (unsigned long long)q);
      }
    }
  }
}

static void test_alone(void **state) {
  (void)state;
  int n = 0;
  const lanes_row *one = rpi_lanes_one_rows(&n);
  assert_int_equal(n, N_ROWS);
  for (int k = 0; k < n; k++) {
    assert_string_equal(one[k].name, rows[k].name);
    compare(&rows[k], &one[k]);
  }
}

/* ---- by NVRTC ---------------------------------------------------------------------------------------- */

typedef struct compiler {
  int (*version)(int *, int *);
  int (*create)(void **, const char *, const char *, int, const char *const *, const char *const *);
  int (*compile)(void *, int, const char *const *);
  int (*log_size)(void *, size_t *), (*log)(void *, char *);
  int (*ptx_size)(void *, size_t *), (*ptx)(void *, char *);
  int (*cubin_size)(void *, size_t *);
  int (*destroy)(void **);
  int newest; /* as 1300 of 13.0 */
} compiler;
static compiler nvrtc;

static int find_nvrtc(void) {
  static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12",
                                      "/usr/local/cuda/lib64/libnvrtc.so",
                                      "/usr/local/cuda/lib/libnvrtc.so"};
  static const struct {
    const char *name;
    void *to;
  } symbols[] = {{"nvrtcVersion", &nvrtc.version},
                 {"nvrtcCreateProgram", &nvrtc.create},
                 {"nvrtcCompileProgram", &nvrtc.compile},
                 {"nvrtcGetProgramLogSize", &nvrtc.log_size},
                 {"nvrtcGetProgramLog", &nvrtc.log},
                 {"nvrtcGetPTXSize", &nvrtc.ptx_size},
                 {"nvrtcGetPTX", &nvrtc.ptx},
                 {"nvrtcGetCUBINSize", &nvrtc.cubin_size},
                 {"nvrtcDestroyProgram", &nvrtc.destroy}};
  void *library = NULL;
  for (size_t k = 0; k < sizeof names / sizeof *names && library == NULL; k++)
    library = dlopen(names[k], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return 0;
  for (size_t k = 0; k < sizeof symbols / sizeof *symbols; k++) {
    void *symbol = dlsym(library, symbols[k].name);
    if (symbol == NULL) return 0;
    memcpy(symbols[k].to, &symbol, sizeof symbol);
  }
  int major = 0, minor = 0;
  nvrtc.version(&major, &minor);
  nvrtc.newest = 100 * major + minor;
  return nvrtc.newest >= 1200;
}

/* Compiles head and kernels; PTX to `ptx` if it is not NULL. Nothing may be said about the text. */
static void compile(const char *kernels, const char *arch, const char *fmad, rpi_strbuf *ptx) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_strbuf_addf(&text, "#define RPV_USE_ALL\n%s", rpi_cuda_head_text);
  rpi_strbuf_add(&text, "struct lanes_args { const void *a, *b, *c; void *r; };\n");
  rpi_strbuf_add(&text, kernels);
  void *program = NULL;
  assert_int_equal(nvrtc.create(&program, text.text, "lanes.cu", 0, NULL, NULL), 0);
  const char *options[] = {arch, fmad, "--prec-div=true", "--prec-sqrt=true", "--ftz=false"};
  const int rc = nvrtc.compile(program, 5, options);
  size_t size = 0;
  assert_int_equal(nvrtc.log_size(program, &size), 0);
  char *log = rpi_alloc_zero(size + 1);
  nvrtc.log(program, log);
  if (rc != 0 || log[0] != 0) fail_msg("%s, rc %d: %.2000s", arch, rc, log);
  rpi_alloc_free(log);
  if (ptx != NULL) {
    assert_int_equal(nvrtc.ptx_size(program, &size), 0);
    char *out = rpi_alloc_zero(size + 1);
    assert_int_equal(nvrtc.ptx(program, out), 0);
    rpi_strbuf_add(ptx, out);
    rpi_alloc_free(out);
  } else {
    assert_int_equal(nvrtc.cubin_size(program, &size), 0);
    assert_true(size > 1000);
  }
  nvrtc.destroy(&program);
  rpi_strbuf_deinit(&text);
}

/* Every function in a kernel of its own. */
static void test_all(void **state) {
  (void)state;
  static const char letter[] = "abc";
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  for (int k = 0; k < N_ROWS; k++) {
    const lanes_row *r = &rows[k];
    rpi_strbuf_addf(&text, "RPG_KERNEL(test%d, lanes_args) { ((rpc_%s *)a.r)[RPG_THREAD] = %s(", k,
                    r->result, r->name);
    for (int i = 0; i < r->n; i++)
      rpi_strbuf_addf(&text, "%sRPG_LDG((const rpc_%s *)a.%c + RPG_THREAD)", i > 0 ? ", " : "",
                      r->from[i], letter[i]);
    rpi_strbuf_add(&text, "); }\n");
  }
  compile(text.text, "--gpu-architecture=sm_80", "--fmad=false", NULL);
  compile(text.text, "--gpu-architecture=sm_90", "--fmad=false", NULL);
  if (nvrtc.newest >= 1208)
    compile(text.text, "--gpu-architecture=sm_100", "--fmad=false", NULL);
  else
    print_message("sm_100 left out: this NVRTC is before 12.8\n");
  rpi_strbuf_deinit(&text);
}

/* The words that are not functions of lanes.h, and a shared array. */
static void test_words(void **state) {
  (void)state;
  static const char text[] =
      "struct RPG_ALIGN(16) pair { rpc_f64 x, y; };\n"
      "RPG_FAR void last(const lanes_args *a, rpc_u32 *p) {\n"
      "  RPG_FENCE();\n"
      "  if (RPG_COUNT(p) == (rpc_u32)RPG_BLOCKS - 1) RPG_RAISE(p + 1);\n"
      "}\n"
      "RPG_KERNEL(words, lanes_args) {\n"
      "  RPG_SHARED struct pair s[8];\n"
      "  const rpc_u64 v = ((const rpc_u64 *)a.a)[RPG_BLOCK * RPG_THREADS + RPG_THREAD];\n"
      "  const rpc_u32 w = RPG_DOWN32((rpc_u32)v, 16);\n"
      "  if (RPG_THREAD < 8) s[RPG_THREAD].x = rps_cast_u64_f64(RPG_DOWN64(v, 1) + w);\n"
      "  RPG_WARP();\n"
      "  RPG_SYNC();\n"
      "  ((struct pair *)a.r)[RPG_THREAD] = s[RPG_THREAD & 7];\n"
      "  if (RPG_THREAD == 0) last(&a, (rpc_u32 *)a.b);\n"
      "}\n";
  compile(text, "--gpu-architecture=sm_80", "--fmad=false", NULL);
}

/* The PTX of a kernel of one expression of f64 d[], f32 f[] and i64 i[]. */
static void ptx_of(const char *expression, const char *fmad, rpi_strbuf *ptx) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_strbuf_add(
      &text, "struct typed { const rpc_f64 *d; const rpc_f32 *f; const rpc_i64 *i; void *r; };\n");
  rpi_strbuf_addf(&text, "RPG_KERNEL(one, typed) { %s; }\n", expression);
  rpi_strbuf_clear(ptx);
  compile(text.text, "--gpu-architecture=compute_90", fmad, ptx);
  rpi_strbuf_deinit(&text);
}

static void test_instructions(void **state) {
  (void)state;
#define F64 "*(rpc_f64 *)a.r = "
#define F32 "*(rpc_f32 *)a.r = "
  static const struct {
    const char *expression, *has[2], *lacks;
  } table[] = {
      {F64 "rps_add_f64(rps_mul_f64(a.d[0], a.d[1]), a.d[2])",
       {"mul.rn.f64", "add.rn.f64"},
       "fma."},
      {F32 "rps_add_f32(rps_mul_f32(a.f[0], a.f[1]), a.f[2])",
       {"mul.rn.f32", "add.rn.f32"},
       "fma."},
      {F64 "rps_sub_f64(a.d[2], rps_mul_f64(a.d[0], a.d[1]))",
       {"mul.rn.f64", "sub.rn.f64"},
       "fma."},
      {F64 "rps_fma_f64(a.d[0], a.d[1], a.d[2])", {"fma.rn.f64", "fma.rn.f64"}, "mul."},
      {F32 "rps_fma_f32(a.f[0], a.f[1], a.f[2])", {"fma.rn.f32", "fma.rn.f32"}, "mul."},
      {F64 "rps_div_f64(a.d[0], a.d[1])", {"div.rn.f64", ""}, "approx"},
      {F32 "rps_div_f32(a.f[0], a.f[1])", {"div.rn.f32", ""}, "approx"},
      {F64 "rps_sqrt_f64(a.d[0])", {"sqrt.rn.f64", ""}, "approx"},
      {F32 "rps_sqrt_f32(a.f[0])", {"sqrt.rn.f32", ""}, "approx"},
      {F32 "rps_mul_f32(a.f[0], rps_sqrt_f32(a.f[1]))", {"sqrt.rn.f32", "mul.rn.f32"}, ".ftz"},
      {F64 "rps_rint_f64(a.d[0])", {"cvt.rni.f64.f64", ""}, "add."},
      {F32 "rps_floor_f32(a.f[0])", {"cvt.rmi.f32.f32", ""}, ".ftz"},
      {F32 "rps_cast_i64_f32(a.i[0])", {"cvt.rn.f32.s64", ""}, "f64"},
      {F32 "rps_cast_u64_f32((rpc_u64)a.i[0])", {"cvt.rn.f32.u64", ""}, "f64"},
      {F32 "rps_cast_f64_f32(a.d[0])", {"cvt.rn.f32.f64", ""}, ".ftz"},
      /* Of constants: computed there, by what computes all others. */
      {F64 "rps_exp_f64(4.9)", {"fma.rn.f64", ""}, "no such word"},
      {F64 "rps_pow_f64(a.d[0], 2.0)", {"fma.rn.f64", ""}, "no such word"},
      {F32 "rps_tanh_f32(0.3f)", {"fma.rn.f32", ""}, "no such word"},
      {F64 "rps_tgamma_f64(4.9)", {"fma.rn.f64", ""}, "no such word"},
      {"*(rpc_i64 *)a.r = rps_cast_f64_i64(a.d[0])", {"cvt.rzi.s64.f64", "setp"}, "cvt.rni"},
  };
  rpi_strbuf ptx;
  rpi_strbuf_init(&ptx);
  for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
    ptx_of(table[k].expression, "--fmad=false", &ptx);
    if (!strstr(ptx.text, table[k].has[0]) || !strstr(ptx.text, table[k].has[1]) ||
        strstr(ptx.text, table[k].lacks))
      fail_msg("%s: wants %s %s, not %s:\n%s", table[k].expression, table[k].has[0],
               table[k].has[1], table[k].lacks, ptx.text);
  }
  ptx_of(table[0].expression, "--fmad=true", &ptx); /* what the option is there for */
  assert_non_null(strstr(ptx.text, "fma.rn.f64"));
  rpi_strbuf_deinit(&ptx);
}

/* ---- what the compiler itself computes ------------------------------------------------------------- */

enum { SAMPLES = 6 };
typedef struct sample {
  const lanes_row *row;
  uint64_t in[3], want;
} sample;
static sample samples[N_ROWS * SAMPLES];

/* CUDA's own functions: their last bits are not the CPU's. */
static int is_math(const lanes_row *r) {
  static const char *const names[] = {
      "exp",   "exp2", "expm1", "log",  "log2",   "log10",  "log1p", "sin",   "cos",
      "tan",   "asin", "acos",  "atan", "sinh",   "cosh",   "tanh",  "asinh", "acosh",
      "atanh", "cbrt", "erf",   "erfc", "tgamma", "lgamma", "atan2", "hypot", "pow"};
  for (size_t k = 0; k < sizeof names / sizeof *names && r->from[0][0] == 'f'; k++) {
    const size_t n = strlen(names[k]);
    if (strncmp(r->name + 4, names[k], n) == 0 && r->name[4 + n] == '_') return 1;
  }
  return 0;
}

/* A kernel for each sample: it stores the bits of a function of literals. */
static int sample_text(rpi_strbuf *text) {
  rpi_strbuf_add(text, "#define VALUE_f32(x) __int_as_float((int)(x))\n"
                       "#define VALUE_f64(x) __longlong_as_double((long long)(x))\n"
                       "#define OUT_f32(x) (rpc_u32)__float_as_int(x)\n"
                       "#define OUT_f64(x) (rpc_u64)__double_as_longlong(x)\n");
  for (int t = 0; t < 9; t++)
    rpi_strbuf_addf(text, "#define VALUE_%s(x) ((rpc_%s)(x))\n#define OUT_%s(x) (rpc_%c%d)(x)\n",
                    all[t].dtype, all[t].dtype, all[t].dtype, 'u', 8 * all[t].size);
  int n = 0;
  for (int k = 0; k < N_ROWS; k++) {
    const lanes_row *r = &rows[k];
    for (int i = 0; i < SAMPLES && !is_math(r); i++) {
      sample *p = &samples[n];
      p->row = r;
      p->want = 0;
      rpi_strbuf_addf(text, "RPG_KERNEL(fold%d, lanes_args) { *(rpc_u64 *)a.r = OUT_%s(%s(", n++,
                      r->result, r->name);
      for (int j = 0; j < 3; j++) {
        const values *v = values_of(r->from[j]);
        p->in[j] = v->at[pick(0, v->n - 1)].bits;
        if (j < r->n)
          rpi_strbuf_addf(text, "%sVALUE_%s(%lluULL)", j > 0 ? ", " : "", r->from[j],
                          (unsigned long long)p->in[j]);
      }
      rpi_strbuf_add(text, ")); }\n");
      r->run(&p->in[0], &p->in[1], &p->in[2], &p->want);
      if (r->n == 0) break;
    }
  }
  return n;
}

/* The literal that the kernel whose text begins at `at` stores; 0: it computes at run time. */
static int stored(const char *at, uint64_t *bits) {
  const char *end = strstr(at, "\n}"), *store = strstr(at, "st.global."),
             *comma = store ? strchr(store, ',') : NULL;
  if (end == NULL || comma == NULL || comma > end) return 0;
  const char *branch = strstr(at, "bra");
  if (branch != NULL && branch < end) return 0;
  char name[24] = "", wanted[40];
  if (sscanf(comma, ", %20[%a-z0-9]", name) != 1) return 0;
  (void)snprintf(wanted, sizeof wanted, " \t%s, ", name);
  for (const char *m = strstr(at, "mov."); m != NULL && m < store; m = strstr(m + 1, "mov.")) {
    const char *space = strchr(m, ' ');
    if (space == NULL || strncmp(space, wanted, strlen(wanted)) != 0) continue;
    const char *literal = space + strlen(wanted);
    if (*literal == '%' || *literal == '{') return 0;
    *bits = literal[1] == 'd'   ? strtoull(literal + 2, NULL, 16)
            : literal[0] == '-' ? 0 - strtoull(literal + 1, NULL, 10)
                                : strtoull(literal, NULL, 10);
    return 1;
  }
  return 0;
}

static void test_folded(void **state) {
  (void)state;
  rpi_strbuf text, ptx;
  rpi_strbuf_init(&text);
  rpi_strbuf_init(&ptx);
  const int n = sample_text(&text);
  compile(text.text, "--gpu-architecture=compute_90", "--fmad=false", &ptx);
  int folded = 0;
  for (const char *at = strstr(ptx.text, ".entry fold"); at != NULL;
       at = strstr(at + 1, ".entry fold")) {
    const sample *p = &samples[strtol(at + strlen(".entry fold"), NULL, 10)];
    uint64_t bits = 0;
    if (!stored(at, &bits)) continue;
    folded++;
    if (!same(p->row->result, bits, p->want))
      fail_msg("%s(%#llx, %#llx, %#llx): %#llx on the CPU, %#llx as CUDA", p->row->name,
               (unsigned long long)p->in[0], (unsigned long long)p->in[1],
               (unsigned long long)p->in[2], (unsigned long long)p->want, (unsigned long long)bits);
  }
  print_message("%d of %d results are literals\n", folded, n);
  assert_true(folded > n / 2);
  rpi_strbuf_deinit(&ptx);
  rpi_strbuf_deinit(&text);
}

int main(int argc, char **argv) {
  (void)argv;
  static const char *const names[] = {"bool", "i8",  "i16", "i32", "i64", "u8",
                                      "u16",  "u32", "u64", "f32", "f64"};
  static const int sizes[] = {1, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  for (int t = 0; t < 11; t++) fill(&all[t], names[t], sizes[t]);
  const struct CMUnitTest host[] = {cmocka_unit_test(test_alone)};
  if (argc == 1) return cmocka_run_group_tests(host, NULL, NULL);
  if (!find_nvrtc()) {
    printf("skipped: there is no NVRTC of 12.0 or later\n");
    return 77;
  }
  const struct CMUnitTest by_nvrtc[] = {cmocka_unit_test(test_all), cmocka_unit_test(test_words),
                                        cmocka_unit_test(test_instructions),
                                        cmocka_unit_test(test_folded)};
  return cmocka_run_group_tests(by_nvrtc, NULL, NULL);
}
