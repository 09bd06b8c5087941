/* SPDX-License-Identifier: Apache-2.0
 * tests/support/lanes_table.h -- every scalar function of jit/lanes.h, as rows that can be walked.
 *
 * Lives here: the list, and `rows`, a static table of whatever lanes the reader has included before.
 * Not here:   values to run them on, what they should give (test_lanes.c, test_lanes_cuda.c). */
/* Tables of macros, laid out by hand: */
/* clang-format off */
#ifndef RPI_LANES_TABLE_H
#define RPI_LANES_TABLE_H

#undef bool

typedef struct lanes_row {
  const char *name, *result, *from[3]; /* dtypes by name */
  int n;                               /* arguments */
  void (*run)(const void *a, const void *b, const void *c, void *r);
} lanes_row;
/* The rows of the scalars alone, of a text that has no vectors (lanes_one.c); n: how many. */
const lanes_row *rpi_lanes_one_rows(int *n);

/* X(n, result, function, dtypes of three arguments) */
#define ROW_0(X, R, f) X(0, R, f, R, R, R)
#define ROW_1(X, R, f, A) X(1, R, f, A, A, A)
#define ROW_2(X, R, f, A) X(2, R, f, A, A, A)
#define ROW_RED(T, X, red) \
  ROW_2(X, T, rps_red_##red##_##T, T) ROW_0(X, T, rps_identity_##red##_##T) ROW_0(X, T, rps_empty_##red##_##T)
#define ROWS_ALL_KINDS(T, X)                                                                         \
  X(3, T, rps_select_##T, bool, T, T)                                                                \
  ROW_2(X, bool, rps_lt_##T, T) ROW_2(X, bool, rps_le_##T, T) ROW_2(X, bool, rps_eq_##T, T)          \
  ROW_2(X, bool, rps_ne_##T, T) ROW_2(X, T, rps_min_##T, T) ROW_2(X, T, rps_max_##T, T)              \
  ROW_2(X, T, rps_fmin_##T, T) ROW_2(X, T, rps_fmax_##T, T) ROW_1(X, T, rps_abs_##T, T)              \
  ROW_2(X, bool, rps_beats_argmin_##T, T) ROW_2(X, bool, rps_beats_argmax_##T, T)                    \
  ROW_RED(T, X, sum) ROW_RED(T, X, prod) ROW_RED(T, X, min) ROW_RED(T, X, max)                       \
  ROW_1(X, i8, rps_cast_##T##_i8, T) ROW_1(X, i16, rps_cast_##T##_i16, T)                            \
  ROW_1(X, i32, rps_cast_##T##_i32, T) ROW_1(X, i64, rps_cast_##T##_i64, T)                          \
  ROW_1(X, u8, rps_cast_##T##_u8, T) ROW_1(X, u16, rps_cast_##T##_u16, T)                            \
  ROW_1(X, u32, rps_cast_##T##_u32, T) ROW_1(X, u64, rps_cast_##T##_u64, T)                          \
  ROW_1(X, f32, rps_cast_##T##_f32, T) ROW_1(X, f64, rps_cast_##T##_f64, T)                          \
  ROW_1(X, bool, rps_cast_##T##_bool, T)
#define ROWS_BITS(T, X)                                                                              \
  ROW_2(X, T, rps_and_##T, T) ROW_2(X, T, rps_or_##T, T) ROW_2(X, T, rps_xor_##T, T)                 \
  ROW_1(X, T, rps_not_##T, T) ROW_RED(T, X, and) ROW_RED(T, X, or) ROW_RED(T, X, xor)
#define ROWS_NUMBER(T, X)                                                                            \
  ROW_1(X, T, rps_neg_##T, T) ROW_1(X, T, rps_sign_##T, T) ROW_2(X, T, rps_add_##T, T)               \
  ROW_2(X, T, rps_sub_##T, T) ROW_2(X, T, rps_mul_##T, T) ROW_2(X, T, rps_floordiv_##T, T)           \
  ROW_2(X, T, rps_mod_##T, T) ROW_2(X, T, rps_pow_##T, T)
#define ROWS_INTEGER(T, X)                                                                           \
  ROWS_ALL_KINDS(T, X) ROWS_BITS(T, X) ROWS_NUMBER(T, X)                                             \
  ROW_2(X, T, rps_shl_##T, T) ROW_2(X, T, rps_shr_##T, T)
#define ROWS_FLOAT(T, X)                                                                             \
  ROWS_ALL_KINDS(T, X) ROWS_NUMBER(T, X)                                                             \
  ROW_2(X, T, rps_div_##T, T) X(3, T, rps_fma_##T, T, T, T) ROW_1(X, T, rps_sqrt_##T, T)             \
  ROW_1(X, T, rps_floor_##T, T) ROW_1(X, T, rps_ceil_##T, T) ROW_1(X, T, rps_trunc_##T, T)           \
  ROW_1(X, T, rps_rint_##T, T) ROW_2(X, T, rps_copysign_##T, T) ROW_1(X, bool, rps_signbit_##T, T)   \
  ROW_1(X, bool, rps_isnan_##T, T) ROW_1(X, bool, rps_isinf_##T, T)                                  \
  ROW_1(X, bool, rps_isfinite_##T, T) ROW_2(X, T, rps_fmod_##T, T)                                   \
  ROW_2(X, T, rps_nextafter_##T, T) ROW_2(X, T, rps_ldexp_##T, T)                                    \
  ROW_1(X, T, rps_exp_##T, T) ROW_1(X, T, rps_exp2_##T, T) ROW_1(X, T, rps_expm1_##T, T)             \
  ROW_1(X, T, rps_log_##T, T) ROW_1(X, T, rps_log2_##T, T) ROW_1(X, T, rps_log10_##T, T)             \
  ROW_1(X, T, rps_log1p_##T, T) ROW_1(X, T, rps_sin_##T, T) ROW_1(X, T, rps_cos_##T, T)              \
  ROW_1(X, T, rps_tan_##T, T) ROW_1(X, T, rps_asin_##T, T) ROW_1(X, T, rps_acos_##T, T)              \
  ROW_1(X, T, rps_atan_##T, T) ROW_1(X, T, rps_sinh_##T, T) ROW_1(X, T, rps_cosh_##T, T)             \
  ROW_1(X, T, rps_tanh_##T, T) ROW_1(X, T, rps_asinh_##T, T) ROW_1(X, T, rps_acosh_##T, T)           \
  ROW_1(X, T, rps_atanh_##T, T) ROW_1(X, T, rps_cbrt_##T, T) ROW_1(X, T, rps_erf_##T, T)             \
  ROW_1(X, T, rps_erfc_##T, T) ROW_1(X, T, rps_tgamma_##T, T) ROW_1(X, T, rps_lgamma_##T, T)         \
  ROW_2(X, T, rps_atan2_##T, T) ROW_2(X, T, rps_hypot_##T, T)
#define ROWS_BOOL(X) \
  ROWS_ALL_KINDS(bool, X) ROWS_BITS(bool, X) ROW_RED(bool, X, any) ROW_RED(bool, X, all)
#define ROWS(X) ROWS_BOOL(X) RPV_INTEGERS(ROWS_INTEGER, X) RPV_FLOATS(ROWS_FLOAT, X)

#define AT(T, p) (*(const rpc_##T *)(p))
#define CALL_0(f, A, B, C) f()
#define CALL_1(f, A, B, C) f(AT(A, a))
#define CALL_2(f, A, B, C) f(AT(A, a), AT(B, b))
#define CALL_3(f, A, B, C) f(AT(A, a), AT(B, b), AT(C, c))
#define ROW_RUN(n, R, f, A, B, C)                                                          \
  static void run_##f(const void *a, const void *b, const void *c, void *r) {              \
    (void)a; (void)b; (void)c;                                                             \
    *(rpc_##R *)r = CALL_##n(f, A, B, C);                                                  \
  }
ROWS(ROW_RUN)
#define ROW_TEXT(n, R, f, A, B, C) {#f, #R, {#A, #B, #C}, n, run_##f},
static const lanes_row rows[] = {ROWS(ROW_TEXT)};
enum { N_ROWS = sizeof rows / sizeof *rows };
#endif
