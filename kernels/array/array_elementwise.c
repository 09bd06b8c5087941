/* SPDX-License-Identifier: Apache-2.0
 * kernels/array/array_elementwise.c -- the element-wise functions: one table, one launch path.
 * Lives here: registration of array_ops.def in its forms, where, astype. Not here: reductions. */
#include <stdio.h>

#include "kernels/array/array_table.h"
#include "kernels/failure.h"

static const struct {
  const char *name;
  int32_t n_operands;
  const char *body;
} op_rows[] = {
#define RPI_ARRAY_OP(CODE, name, n, body) [RP_ARRAY_##CODE] = {name, n, body},
#include "kernels/array/array_ops.def"
#undef RPI_ARRAY_OP
};

/* The body is one for all forms; `params` says which names are numbers. */
static const struct {
  const char *suffix, *params;
} forms[RPI_ARRAY_N_FORMS] = {
    [RPI_ARRAY_STORES] = {"", "out, a, b"},
    [RPI_ARRAY_FLOAT_B] = {".float_b", "out, a, b:float"},
    [RPI_ARRAY_INT_B] = {".int_b", "out, a, b:int"},
    [RPI_ARRAY_FLOAT_A] = {".float_a", "out, a:float, b"},
    [RPI_ARRAY_INT_A] = {".int_a", "out, a:int, b"},
};

static rp_status op_get(rp_array_code code, int32_t n_operands, rpi_array_form form, rp_store *any,
                        rp_op **out) {
  *out = NULL;
  if (code < 0 || code >= RP_ARRAY_N_CODES || op_rows[code].n_operands != n_operands) {
    return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: code %d is no function of %d operand%s",
                           rp_array_name(code), (int)code, (int)n_operands,
                           n_operands == 1 ? "" : "s");
  }
  rpi_array_table *t;
  const rp_status status = rpi_array_table_of(op_rows[code].name, any, &t);
  if (status != RP_OK) return status;
  rp_op **slot = &t->op[code][form];
  if (!*slot) {
    char name[48];
    snprintf(name, sizeof name, "%s%s", op_rows[code].name, forms[form].suffix);
    const char *params = n_operands == 1 ? "out, x" : forms[form].params;
    const rp_status made = rp_op_create(t->lib, name, params, op_rows[code].body, slot);
    if (made != RP_OK) return made;
  }
  *out = *slot;
  return RP_OK;
}

/* `to` or `out`: exactly one of them is given by each caller below. */
static rp_status need_one(const char *what, rp_store *to, rp_store **out) {
  if (out) *out = NULL;
  if (to || out) return RP_OK;
  return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: out is NULL", what);
}

/* Launches a function of one or two operands; `b` and `number` as its form has them. */
static rp_status apply(rp_array_code code, int32_t n_operands, rpi_array_form form, rp_store *a,
                       rp_store *b, const void *number, rp_store *to, rp_store **out) {
  rp_op *op;
  rp_status status = need_one(rp_array_name(code), to, out);
  if (status == RP_OK) status = op_get(code, n_operands, form, a, &op);
  if (status != RP_OK) return status;
  rp_store *stores[3] = {NULL, a, b};
  const int32_t n_stores = form == RPI_ARRAY_STORES ? 1 + n_operands : 2;
  return rpi_array_table_run(op, stores, n_stores, number, to, out);
}

static rp_status one(rp_array_code code, rp_store *x, rp_store *to, rp_store **out) {
  return apply(code, 1, RPI_ARRAY_STORES, x, NULL, NULL, to, out);
}

static rp_status two(rp_array_code code, rp_store *a, rp_store *b, rp_store *to, rp_store **out) {
  return apply(code, 2, RPI_ARRAY_STORES, a, b, NULL, to, out);
}

static rp_status with_number(rp_array_code code, rpi_array_form form, rp_store *x,
                             const void *number, rp_store *to, rp_store **out) {
  return apply(code, 2, form, x, NULL, number, to, out);
}

static rp_status choose(rp_store *condition, rp_store *a, rp_store *b, rp_store *to,
                        rp_store **out) {
  rpi_array_table *t;
  rp_status status = need_one("where", to, out);
  if (status == RP_OK) status = rpi_array_table_of("where", condition, &t);
  if (status == RP_OK && !t->where) {
    status = rp_op_create(t->lib, "where", "out, c, a, b", "out = where(c, a, b)", &t->where);
  }
  if (status != RP_OK) return status;
  rp_store *stores[4] = {NULL, condition, a, b};
  return rpi_array_table_run(t->where, stores, 4, NULL, to, out);
}

rp_status rp_array_unary(rp_array_code code, rp_store *x, rp_store **out) {
  return one(code, x, NULL, out);
}

rp_status rp_array_unary_to(rp_array_code code, rp_store *x, rp_store *out) {
  return one(code, x, out, NULL);
}

rp_status rp_array_binary(rp_array_code code, rp_store *a, rp_store *b, rp_store **out) {
  return two(code, a, b, NULL, out);
}

rp_status rp_array_binary_to(rp_array_code code, rp_store *a, rp_store *b, rp_store *out) {
  return two(code, a, b, out, NULL);
}

rp_status rp_array_binary_float(rp_array_code code, rp_store *a, double b, rp_store **out) {
  return with_number(code, RPI_ARRAY_FLOAT_B, a, &b, NULL, out);
}

rp_status rp_array_binary_float_to(rp_array_code code, rp_store *a, double b, rp_store *out) {
  return with_number(code, RPI_ARRAY_FLOAT_B, a, &b, out, NULL);
}

rp_status rp_array_binary_int(rp_array_code code, rp_store *a, int64_t b, rp_store **out) {
  return with_number(code, RPI_ARRAY_INT_B, a, &b, NULL, out);
}

rp_status rp_array_binary_int_to(rp_array_code code, rp_store *a, int64_t b, rp_store *out) {
  return with_number(code, RPI_ARRAY_INT_B, a, &b, out, NULL);
}

rp_status rp_array_float_binary(rp_array_code code, double a, rp_store *b, rp_store **out) {
  return with_number(code, RPI_ARRAY_FLOAT_A, b, &a, NULL, out);
}

rp_status rp_array_float_binary_to(rp_array_code code, double a, rp_store *b, rp_store *out) {
  return with_number(code, RPI_ARRAY_FLOAT_A, b, &a, out, NULL);
}

rp_status rp_array_int_binary(rp_array_code code, int64_t a, rp_store *b, rp_store **out) {
  return with_number(code, RPI_ARRAY_INT_A, b, &a, NULL, out);
}

rp_status rp_array_int_binary_to(rp_array_code code, int64_t a, rp_store *b, rp_store *out) {
  return with_number(code, RPI_ARRAY_INT_A, b, &a, out, NULL);
}

rp_status rp_array_where(rp_store *condition, rp_store *a, rp_store *b, rp_store **out) {
  return choose(condition, a, b, NULL, out);
}

rp_status rp_array_where_to(rp_store *condition, rp_store *a, rp_store *b, rp_store *out) {
  return choose(condition, a, b, out, NULL);
}

rp_status rp_array_add(rp_store *a, rp_store *b, rp_store **out) {
  return two(RP_ARRAY_ADD, a, b, NULL, out);
}

rp_status rp_array_add_to(rp_store *a, rp_store *b, rp_store *out) {
  return two(RP_ARRAY_ADD, a, b, out, NULL);
}

rp_status rp_array_add_scalar(rp_store *a, double b, rp_store **out) {
  return with_number(RP_ARRAY_ADD, RPI_ARRAY_FLOAT_B, a, &b, NULL, out);
}

rp_status rp_array_subtract(rp_store *a, rp_store *b, rp_store **out) {
  return two(RP_ARRAY_SUBTRACT, a, b, NULL, out);
}

rp_status rp_array_subtract_to(rp_store *a, rp_store *b, rp_store *out) {
  return two(RP_ARRAY_SUBTRACT, a, b, out, NULL);
}

rp_status rp_array_subtract_scalar(rp_store *a, double b, rp_store **out) {
  return with_number(RP_ARRAY_SUBTRACT, RPI_ARRAY_FLOAT_B, a, &b, NULL, out);
}

rp_status rp_array_multiply(rp_store *a, rp_store *b, rp_store **out) {
  return two(RP_ARRAY_MULTIPLY, a, b, NULL, out);
}

rp_status rp_array_multiply_to(rp_store *a, rp_store *b, rp_store *out) {
  return two(RP_ARRAY_MULTIPLY, a, b, out, NULL);
}

rp_status rp_array_multiply_scalar(rp_store *a, double b, rp_store **out) {
  return with_number(RP_ARRAY_MULTIPLY, RPI_ARRAY_FLOAT_B, a, &b, NULL, out);
}

rp_status rp_array_divide(rp_store *a, rp_store *b, rp_store **out) {
  return two(RP_ARRAY_DIVIDE, a, b, NULL, out);
}

rp_status rp_array_divide_to(rp_store *a, rp_store *b, rp_store *out) {
  return two(RP_ARRAY_DIVIDE, a, b, out, NULL);
}

rp_status rp_array_divide_scalar(rp_store *a, double b, rp_store **out) {
  return with_number(RP_ARRAY_DIVIDE, RPI_ARRAY_FLOAT_B, a, &b, NULL, out);
}

/* ---- two results ---- */

static rp_status both(const char *what, const char *params, const char *body, rp_op **slot,
                      rpi_array_table *t, rp_store *x, rp_store **first, rp_store **second) {
  rp_status status = RP_OK;
  if (!*slot) status = rp_op_create(t->lib, what, params, body, slot);
  if (status != RP_OK) return status;
  rp_store *stores[3] = {NULL, NULL, x};
  status = rp_call(*slot, stores, 3, NULL, 0);
  *first = stores[0];
  *second = stores[1];
  return status;
}

/* Both outputs are there (and NULL from here on), and the operand has a table. */
static rp_status start_both(const char *what, rp_store *x, rp_store **first, rp_store **second,
                            rpi_array_table **t) {
  if (first) *first = NULL;
  if (second) *second = NULL;
  if (first && second) return rpi_array_table_of(what, x, t);
  return rpi_failure_set(RP_ERR_ARGUMENT, "array.%s: an output is NULL", what);
}

rp_status rp_array_modf(rp_store *x, rp_store **fraction, rp_store **integral) {
  static const char body[] = "let v = 1.0*x; f = copysign(where(isinf(v), 0, v - trunc(v)), v); "
                             "i = trunc(v)";
  rpi_array_table *t;
  const rp_status status = start_both("modf", x, fraction, integral, &t);
  if (status != RP_OK) return status;
  return both("modf", "f, i, x", body, &t->modf, t, x, fraction, integral);
}

/* The logarithm may miss the exponent by one next to a power of two; scaling by it shows that. */
rp_status rp_array_frexp(rp_store *x, rp_store **mantissa, rp_store **exponent) {
  static const char body[] = "let v = 1.0*x; let a = abs(v); let plain = a > 0 && isfinite(v); "
                             "let g = i32(floor(log2(where(plain, a, 1)))); let h = ldexp(a, -g); "
                             "let n = g + where(h >= 2, 2, where(h >= 1, 1, 0)); "
                             "m = where(plain, ldexp(v, -n), v); e = where(plain, n, 0)";
  rpi_array_table *t;
  const rp_status status = start_both("frexp", x, mantissa, exponent, &t);
  if (status != RP_OK) return status;
  return both("frexp", "m, e, x", body, &t->frexp, t, x, mantissa, exponent);
}

rp_status rp_array_astype(rp_store *x, rp_dtype dtype, rp_store **out) {
  rpi_array_table *t;
  rp_status status = need_one("astype", NULL, out);
  if (status == RP_OK) status = rpi_array_table_of("astype", x, &t);
  if (status != RP_OK) return status;
  if (dtype < 0 || dtype >= RPI_ARRAY_N_DTYPES) {
    return rpi_failure_set(RP_ERR_DTYPE, "array.astype: %d is no dtype", (int)dtype);
  }
  if (!t->astype[dtype]) {
    char name[32], body[32];
    snprintf(name, sizeof name, "astype.%s", rp_dtype_name(dtype));
    snprintf(body, sizeof body, "out = %s(x)", rp_dtype_name(dtype));
    status = rp_op_create(t->lib, name, "out, x", body, &t->astype[dtype]);
    if (status != RP_OK) return status;
  }
  rp_store *stores[2] = {NULL, x};
  return rpi_array_table_run(t->astype[dtype], stores, 2, NULL, NULL, out);
}
