/* SPDX-License-Identifier: Apache-2.0
 * reprise_array.h -- the array library: creation, element-wise functions, reductions.
 *
 * Lives here: the public interface of kernels/array, an ordinary client of reprise.h.
 * Not here:   views (reprise.h), sparse matrices (reprise_sparse.h), solvers (reprise_solve.h).
 *
 * Rules that hold for all of it:
 *  - Each function launches one op (those composed of two say so) and does not wait. The ops are
 *    bodies, so that they fuse with every other library's.
 *  - f(..., rp_store **out) makes the result, of the shape and dtype of NumPy's rules, which the caller
 *    releases; f_to(..., rp_store *out) writes a store of that shape that exists, and may name an
 *    operand: all reads see the values before the launch.
 *  - Operands broadcast. A number from the host is weak: a double keeps f32 as f32 and makes
 *    integers f64; an int64_t keeps every numeric dtype.
 *  - Errors are those of rp_launch; besides, RP_ERR_ARGUMENT for NULL and for codes that do not exist.
 */
#ifndef REPRISE_ARRAY_H
#define REPRISE_ARRAY_H

#include "reprise.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- creation -------------------------------------------------------------------------------- */

/* All elements 0. */
RP_API rp_status rp_array_zeros(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                                rp_store **out);
/* All elements *value (one element of `dtype`). */
RP_API rp_status rp_array_full(rp_context *ctx, rp_dtype dtype, int32_t ndim, const int64_t *shape,
                               const void *value, rp_store **out);
/* start, start + step, ... before stop (after it for step < 0): start + i*step in f64, then rounded
 * to dtype. For an integer dtype start and step must be integers below 2^53; bool is RP_ERR_DTYPE. */
RP_API rp_status rp_array_arange(rp_context *ctx, rp_dtype dtype, double start, double stop,
                                 double step, rp_store **out);
/* n >= 1 evenly spaced values from start to stop, both included (n == 1: start). f32 or f64. */
RP_API rp_status rp_array_linspace(rp_context *ctx, rp_dtype dtype, double start, double stop,
                                   int64_t n, rp_store **out);
/* A new array with the values of x. */
RP_API rp_status rp_array_copy(rp_store *x, rp_store **out);
/* A new array with the values of x converted to dtype; lossy conversions are allowed here. */
RP_API rp_status rp_array_astype(rp_store *x, rp_dtype dtype, rp_store **out);

/* ---- element-wise functions -------------------------------------------------------------------- */

/* Codes are stable; rp_array_find gives them by name. */
typedef int32_t rp_array_code;
enum {
  /* of one operand */
  RP_ARRAY_NEGATIVE = 0,
  RP_ARRAY_ABSOLUTE = 1,
  RP_ARRAY_SIGN = 2,
  RP_ARRAY_SQUARE = 3,
  RP_ARRAY_RECIPROCAL = 4,
  RP_ARRAY_SQRT = 5,
  RP_ARRAY_CBRT = 6,
  RP_ARRAY_EXP = 7,
  RP_ARRAY_EXP2 = 8,
  RP_ARRAY_EXPM1 = 9,
  RP_ARRAY_LOG = 10,
  RP_ARRAY_LOG2 = 11,
  RP_ARRAY_LOG10 = 12,
  RP_ARRAY_LOG1P = 13,
  RP_ARRAY_SIN = 14,
  RP_ARRAY_COS = 15,
  RP_ARRAY_TAN = 16,
  RP_ARRAY_ASIN = 17,
  RP_ARRAY_ACOS = 18,
  RP_ARRAY_ATAN = 19,
  RP_ARRAY_SINH = 20,
  RP_ARRAY_COSH = 21,
  RP_ARRAY_TANH = 22,
  RP_ARRAY_ASINH = 23,
  RP_ARRAY_ACOSH = 24,
  RP_ARRAY_ATANH = 25,
  RP_ARRAY_FLOOR = 26,
  RP_ARRAY_CEIL = 27,
  RP_ARRAY_TRUNC = 28,
  RP_ARRAY_RINT = 29,
  RP_ARRAY_ERF = 30,
  RP_ARRAY_ERFC = 31,
  RP_ARRAY_TGAMMA = 32,
  RP_ARRAY_LGAMMA = 33,
  RP_ARRAY_SIGNBIT = 34,
  RP_ARRAY_ISNAN = 35,
  RP_ARRAY_ISINF = 36,
  RP_ARRAY_ISFINITE = 37,
  RP_ARRAY_INVERT = 38, /* all bits of an integer; logical for bool */
  RP_ARRAY_LOGICAL_NOT = 39,
  /* of two operands */
  RP_ARRAY_ADD = 40,
  RP_ARRAY_SUBTRACT = 41,
  RP_ARRAY_MULTIPLY = 42,
  RP_ARRAY_DIVIDE = 43, /* true division: integers give f64 */
  RP_ARRAY_FLOOR_DIVIDE = 44,
  RP_ARRAY_REMAINDER = 45, /* the sign of the divisor */
  RP_ARRAY_POWER = 46,
  RP_ARRAY_MINIMUM = 47, /* propagates NaN */
  RP_ARRAY_MAXIMUM = 48,
  RP_ARRAY_FMIN = 49, /* ignores NaN */
  RP_ARRAY_FMAX = 50,
  RP_ARRAY_FMOD = 51, /* the sign of the dividend */
  RP_ARRAY_ATAN2 = 52,
  RP_ARRAY_HYPOT = 53,
  RP_ARRAY_COPYSIGN = 54,
  RP_ARRAY_NEXTAFTER = 55,
  RP_ARRAY_LDEXP = 56, /* a * 2**b, for an integer b */
  RP_ARRAY_EQUAL = 57,
  RP_ARRAY_NOT_EQUAL = 58,
  RP_ARRAY_LESS = 59,
  RP_ARRAY_LESS_EQUAL = 60,
  RP_ARRAY_GREATER = 61,
  RP_ARRAY_GREATER_EQUAL = 62,
  RP_ARRAY_BITWISE_AND = 63,
  RP_ARRAY_BITWISE_OR = 64,
  RP_ARRAY_BITWISE_XOR = 65,
  RP_ARRAY_LEFT_SHIFT = 66,
  RP_ARRAY_RIGHT_SHIFT = 67,
  RP_ARRAY_LOGICAL_AND = 68,
  RP_ARRAY_LOGICAL_OR = 69,
  RP_ARRAY_LOGICAL_XOR = 70,
  RP_ARRAY_N_CODES = 71
};

/* The code of a function by its name in lower case ("exp", "floor_divide"); how many operands it
 * takes. An unknown name is RP_ERR_ARGUMENT. n_operands may be NULL. */
RP_API rp_status rp_array_find(const char *name, rp_array_code *out, int32_t *n_operands);
/* The name of a code, "?" if there is none. Static. */
RP_API const char *rp_array_name(rp_array_code code);

/* out = f(x) */
RP_API rp_status rp_array_unary(rp_array_code code, rp_store *x, rp_store **out);
RP_API rp_status rp_array_unary_to(rp_array_code code, rp_store *x, rp_store *out);
/* out = f(a, b) */
RP_API rp_status rp_array_binary(rp_array_code code, rp_store *a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_binary_to(rp_array_code code, rp_store *a, rp_store *b, rp_store *out);
/* out = f(a, number) */
RP_API rp_status rp_array_binary_float(rp_array_code code, rp_store *a, double b, rp_store **out);
RP_API rp_status rp_array_binary_float_to(rp_array_code code, rp_store *a, double b, rp_store *out);
RP_API rp_status rp_array_binary_int(rp_array_code code, rp_store *a, int64_t b, rp_store **out);
RP_API rp_status rp_array_binary_int_to(rp_array_code code, rp_store *a, int64_t b, rp_store *out);
/* out = f(number, b) */
RP_API rp_status rp_array_float_binary(rp_array_code code, double a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_float_binary_to(rp_array_code code, double a, rp_store *b, rp_store *out);
RP_API rp_status rp_array_int_binary(rp_array_code code, int64_t a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_int_binary_to(rp_array_code code, int64_t a, rp_store *b, rp_store *out);
/* out = condition ? a : b, for a bool condition */
RP_API rp_status rp_array_where(rp_store *condition, rp_store *a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_where_to(rp_store *condition, rp_store *a, rp_store *b, rp_store *out);

/* The fractional and the integral part of x, both with the sign of x; one launch. */
RP_API rp_status rp_array_modf(rp_store *x, rp_store **fraction, rp_store **integral);
/* x = mantissa * 2**exponent with 0.5 <= |mantissa| < 1 and an i32 exponent, which is 0 for 0, inf and
 * NaN (their mantissa is x); one launch. */
RP_API rp_status rp_array_frexp(rp_store *x, rp_store **mantissa, rp_store **exponent);

/* The four that programs are full of, by name. */
RP_API rp_status rp_array_add(rp_store *a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_add_to(rp_store *a, rp_store *b, rp_store *out);
RP_API rp_status rp_array_add_scalar(rp_store *a, double b, rp_store **out);
RP_API rp_status rp_array_subtract(rp_store *a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_subtract_to(rp_store *a, rp_store *b, rp_store *out);
RP_API rp_status rp_array_subtract_scalar(rp_store *a, double b, rp_store **out);
RP_API rp_status rp_array_multiply(rp_store *a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_multiply_to(rp_store *a, rp_store *b, rp_store *out);
RP_API rp_status rp_array_multiply_scalar(rp_store *a, double b, rp_store **out);
RP_API rp_status rp_array_divide(rp_store *a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_divide_to(rp_store *a, rp_store *b, rp_store *out);
RP_API rp_status rp_array_divide_scalar(rp_store *a, double b, rp_store **out);

/* ---- reductions ---------------------------------------------------------------------------------- */

typedef int32_t rp_array_reduction;
enum {
  RP_ARRAY_SUM = 0,  /* bool and signed integers in i64, unsigned ones in u64 */
  RP_ARRAY_PROD = 1, /* the same */
  RP_ARRAY_MIN = 2,  /* propagates NaN; of nothing: RP_ERR_SHAPE */
  RP_ARRAY_MAX = 3,
  RP_ARRAY_ANY = 4, /* bool: some element is not 0 */
  RP_ARRAY_ALL = 5,
  RP_ARRAY_COUNT = 6,       /* i64: how many elements are not 0 */
  RP_ARRAY_SUM_SQUARES = 7, /* integers in f64 */
  RP_ARRAY_MEAN = 8,        /* integers in f64; two ops */
  RP_ARRAY_NORM = 9,        /* square root of SUM_SQUARES; two ops */
  RP_ARRAY_N_REDUCTIONS = 10
};

/* Reduces over the given axes (each once; negative ones count from the end), or over all with n_axes
 * 0. They disappear from the result; keep_dims != 0 leaves them with extent 1. */
RP_API rp_status rp_array_reduce(rp_array_reduction code, rp_store *x, int32_t n_axes,
                                 const int32_t *axes, int32_t keep_dims, rp_store **out);
/* The same into `out`, which has the axes that are left. */
RP_API rp_status rp_array_reduce_to(rp_array_reduction code, rp_store *x, int32_t n_axes,
                                    const int32_t *axes, rp_store *out);
/* Over all axes, into a rank-0 store. */
RP_API rp_status rp_array_sum(rp_store *x, rp_store **out);
RP_API rp_status rp_array_norm(rp_store *x, rp_store **out);
/* Sum over all elements of a*b, for equal shapes and floating dtypes, into a rank-0 store. */
RP_API rp_status rp_array_dot(rp_store *a, rp_store *b, rp_store **out);
RP_API rp_status rp_array_dot_to(rp_store *a, rp_store *b, rp_store *out);

enum { RP_ARRAY_ALL_AXES = INT32_MAX };

/* Index (i64) of the smallest / largest element along one axis, which disappears, or with
 * RP_ARRAY_ALL_AXES in C order of the whole array. The lowest index wins ties; the first NaN wins.
 * Of nothing: RP_ERR_SHAPE. */
RP_API rp_status rp_array_argmin(rp_store *x, int32_t axis, rp_store **out);
RP_API rp_status rp_array_argmax(rp_store *x, int32_t axis, rp_store **out);

#ifdef __cplusplus
}
#endif

#endif
