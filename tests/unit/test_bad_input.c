/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_bad_input.c -- calls with bad input, as tables: each must return the status beside it
 * and a sentence with every fragment of its text ("a|b"), and must change nothing: after every call the
 * stores hold what they held, and outputs are NULL. */
#include "tests/support/api_check.h"

#include <stdio.h>
#include <unistd.h>

#include "core/include/reprise_array.h"
#include "core/include/reprise_solve.h"

/* ---- what the calls are tried on ---------------------------------------------------------------- */

static rp_context *ctx, *other;
static rp_library *lib;
static rp_op *add, *axpy, *two, *gather, *shift, *mix, *opaque;
static rp_store *v4, *v5, *m23, *scalar, *i4, *lent, *twice, *foreign, *gone;
static double lent_data[4] = {1, 2, 3, 4};
static uint64_t junk[64] = {0x1234567890abcdefu};

static void nothing(void) {}

static rp_op *body(const char *name, const char *params, const char *text) {
  rp_op *op = NULL;
  OK(rp_op_create(lib, name, params, text, &op));
  return op;
}

static void make_ops(void) {
  static const int32_t privileges[] = {RP_PRIV_READ, RP_PRIV_WRITE};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = "opaque",
                            .params = "x, y",
                            .privileges = privileges,
                            .function = nothing};
  OK(rp_library_create(ctx, "lib", &lib));
  add = body("add", "y, a, b", "y = a + b");
  axpy = body("axpy", "y, a:f64, x", "y = a*x + y");
  two = body("two", "p, q", "p = 1; q = 2");
  gather = body("gather", "y, x, k", "y[i] = x[k[i]]");
  shift = body("shift", "y, x", "y[i] = x[i + 2]");
  mix = body("mix", "y, x", "y = x & 1");
  OK(rp_op_create_opaque(lib, &d, &opaque));
}

static int setup(void **state) {
  (void)state;
  const int64_t four = 4, m[] = {2, 3};
  const int32_t ints[] = {0, 1, 2, 3};
  ctx = check_context("");
  other = check_context("");
  make_ops();
  v4 = check_vector(ctx, 4, (double[]){1, 2, 3, 4});
  v5 = check_vector(ctx, 5, (double[]){1, 2, 3, 4, 5});
  m23 = check_store(ctx, 2, m, (double[]){1, 2, 3, 4, 5, 6});
  scalar = check_store(ctx, 0, NULL, (double[]){7});
  OK(rp_store_create(ctx, RP_I32, 1, &four, &i4));
  OK(rp_store_write(i4, ints, sizeof ints));
  OK(rp_store_attach(ctx, RP_F64, 1, &four, lent_data, RP_READ_ONLY, &lent));
  OK(rp_store_promote(v4, 0, 2, &twice));
  foreign = check_vector(other, 4, NULL);
  gone = check_vector(ctx, 3, NULL);
  OK(rp_store_release(gone));
  return 0;
}

static int teardown(void **state) {
  (void)state;
  rp_store *all[] = {v4, v5, m23, scalar, i4, lent, twice, foreign};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) OK(rp_store_release(all[i]));
  OK(rp_context_destroy(ctx));
  OK(rp_context_destroy(other));
  return 0;
}

static void check_unchanged(const char *call) {
  const double want[] = {1, 2, 3, 4, 5, 6};
  double got[6];
  int32_t ints[4];
  rp_store *all[] = {v4, v5, m23, lent};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const size_t bytes = (size_t)rp_store_size(all[i]) * sizeof *got;
    OK(rp_store_read(all[i], got, bytes));
    if (memcmp(got, want, bytes) != 0) fail_msg("%s changed store %zu", call, i);
  }
  OK(rp_store_read(i4, ints, sizeof ints));
  for (int i = 0; i < 4; i++) assert_int_equal(ints[i], i);
  if (check_scalar(scalar) != 7) fail_msg("%s changed the scalar", call);
}

static void check_case(const char *call, rp_status got, rp_status want, const char *fragments) {
  char sentence[1100], text[400];
  snprintf(sentence, sizeof sentence, "%s", got ? rp_last_error() : "");
  if (getenv("BAD_INPUT_SHOW"))
    print_message("%s\n    %s: %s\n", call, rp_status_name(got), sentence);
  if (got != want)
    fail_msg("%s: %s, not %s (%s)", call, rp_status_name(got), rp_status_name(want), sentence);
  snprintf(text, sizeof text, "%s", fragments);
  for (char *f = strtok(text, "|"); f; f = strtok(NULL, "|"))
    if (!strstr(sentence, f)) fail_msg("%s: the sentence \"%s\" lacks \"%s\"", call, sentence, f);
  check_unchanged(call);
}

/* One row. */
#define BAD(want, fragments, call) check_case(#call, (call), (want), (fragments))
/* One row of a call with an output, which must become NULL. */
#define BAD_OUT(want, fragments, call) \
  do { \
    out = (void *)junk; \
    check_case(#call, (call), (want), (fragments)); \
    if (out) fail_msg("%s left its output set", #call); \
  } while (0)

#define SHAPE(...) ((const int64_t[]){__VA_ARGS__})
#define AXES(...) ((const int32_t[]){__VA_ARGS__})
#define JUNK ((void *)junk)

/* ---- contexts ----------------------------------------------------------------------------------- */

static void test_contexts(void **state) {
  (void)state;
  rp_context *out;
  rp_dtype t;
  int64_t n;
  size_t need;
  BAD(RP_ERR_ARGUMENT, "rp_context_create|out is NULL", rp_context_create("", NULL));
  BAD_OUT(RP_ERR_CONFIG, "fusin|fusion", rp_context_create("--fusin off", &out));
  BAD_OUT(RP_ERR_CONFIG, "threads|-3", rp_context_create("--threads -3", &out));
  BAD_OUT(RP_ERR_CONFIG, "threads|99999999999999999999",
          rp_context_create("--threads 99999999999999999999", &out));
  BAD_OUT(RP_ERR_CONFIG, "tracing|2", rp_context_create("--tracing 2", &out));
  BAD_OUT(RP_ERR_CONFIG, "fusion", rp_context_create("fusion off", &out));
  BAD(RP_ERR_HANDLE, "rp_context_destroy|no context", rp_context_destroy(JUNK));
  BAD(RP_ERR_HANDLE, "rp_config_print|no context", rp_config_print(JUNK, NULL, 0, &need));
  BAD(RP_ERR_ARGUMENT, "rp_explain|NULL", rp_explain(NULL, NULL, 0, &need));
  BAD(RP_ERR_HANDLE, "rp_wait|no context", rp_wait(JUNK));
  BAD(RP_ERR_ARGUMENT, "rp_wait_compiled|NULL", rp_wait_compiled(NULL));
  BAD(RP_ERR_ARGUMENT, "rp_stat|nonsense", rp_stat(ctx, "nonsense", &n));
  BAD(RP_ERR_ARGUMENT, "rp_stat|out", rp_stat(ctx, "launches", NULL));
  BAD(RP_ERR_ARGUMENT, "rp_context_set_data|key", rp_context_set_data(ctx, NULL, junk, NULL));
  BAD(RP_ERR_DTYPE, "rp_dtype_promote|99", rp_dtype_promote(99, RP_F64, &t));
  BAD(RP_ERR_DTYPE, "rp_dtype_promote|-1", rp_dtype_promote(RP_F64, -1, &t));
}

/* ---- stores ------------------------------------------------------------------------------------- */

static void test_stores(void **state) {
  (void)state;
  rp_store *out;
  const int64_t far = INT64_MAX;
  double x = 1, data[8];
  BAD(RP_ERR_ARGUMENT, "rp_store_create|out", rp_store_create(ctx, RP_F64, 1, SHAPE(3), NULL));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_create|context is NULL",
          rp_store_create(NULL, RP_F64, 1, SHAPE(3), &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_create|shape is NULL",
          rp_store_create(ctx, RP_F64, 1, NULL, &out));
  BAD_OUT(RP_ERR_DTYPE, "rp_store_create|11", rp_store_create(ctx, 11, 1, SHAPE(3), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_create|9|0..8", rp_store_create(ctx, RP_F64, 9, SHAPE(1), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_create|-1|0..8", rp_store_create(ctx, RP_F64, -1, NULL, &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_create|shape[1]|-2",
          rp_store_create(ctx, RP_F64, 2, SHAPE(3, -2), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_create|(4611686018427387904, 4)|2^63-1 elements",
          rp_store_create(ctx, RP_F64, 2, SHAPE((int64_t)1 << 62, 4), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_create|4611686018427387904|f64|bytes",
          rp_store_create(ctx, RP_F64, 1, SHAPE((int64_t)1 << 62), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_broadcast",
          rp_store_broadcast(scalar, 3, SHAPE(far, far, far), &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_scalar|value", rp_store_scalar(ctx, RP_F64, NULL, &out));
  BAD_OUT(RP_ERR_DTYPE, "rp_store_scalar|-5", rp_store_scalar(ctx, -5, &x, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_attach|data is NULL",
          rp_store_attach(ctx, RP_F64, 1, SHAPE(4), NULL, RP_READ_ONLY, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_attach|access is 7",
          rp_store_attach(ctx, RP_F64, 1, SHAPE(4), data, 7, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_attach|aligned|8",
          rp_store_attach(ctx, RP_F64, 1, SHAPE(4), (char *)data + 4, RP_READ_ONLY, &out));
  BAD_OUT(RP_ERR_ACCESS, "rp_store_attach|16 bytes|32 bytes|attached already",
          rp_store_attach(ctx, RP_F64, 1, SHAPE(2), lent_data + 3, RP_READ_ONLY, &out));
  BAD(RP_ERR_STATE, "rp_store_home|not attached", rp_store_home(v4));
  BAD(RP_ERR_STATE, "rp_store_detach|not attached", rp_store_detach(v4));
  BAD(RP_ERR_HANDLE, "rp_store_retain|released", rp_store_retain(gone));
  BAD(RP_ERR_HANDLE, "rp_store_release|released", rp_store_release(gone));
  BAD(RP_ERR_HANDLE, "rp_store_release_any|no store", rp_store_release_any(JUNK));
  BAD(RP_ERR_ARGUMENT, "rp_store_wait|NULL", rp_store_wait(NULL));
}

/* More memory than there is: seen when it is needed; the context goes on. */
static void test_huge(void **state) {
  (void)state;
  const int8_t one = 1;
  rp_store *huge;
  OK(rp_store_create(ctx, RP_I8, 1, SHAPE((int64_t)1 << 46), &huge));
  OK(rp_store_fill(huge, &one));
  BAD(RP_ERR_MEMORY, "launches 1 to 1 of the context did not run|70368744177664 bytes",
      rp_wait(ctx));
  BAD(RP_ERR_MEMORY, "70368744177664 bytes",
      rp_store_write_part(huge, SHAPE(0), SHAPE(1), &one, 1));
  OK(rp_wait(ctx));
  OK(rp_store_release(huge));
}

static void test_host_access(void **state) {
  (void)state;
  double data[8] = {0};
  BAD(RP_ERR_ARGUMENT, "rp_store_read|data is NULL", rp_store_read(v4, NULL, 32));
  BAD(RP_ERR_ARGUMENT, "rp_store_read|bytes is 31|32", rp_store_read(v4, data, 31));
  BAD(RP_ERR_ARGUMENT, "rp_store_write|bytes is 40|32", rp_store_write(v4, data, 40));
  BAD(RP_ERR_HANDLE, "rp_store_read|released", rp_store_read(gone, data, 32));
  BAD(RP_ERR_ACCESS, "rp_store_write|read-only", rp_store_write(lent, data, 32));
  BAD(RP_ERR_ACCESS, "rp_store_write|twice", rp_store_write(twice, data, 64));
  BAD(RP_ERR_ARGUMENT, "rp_store_read_part|lo is NULL",
      rp_store_read_part(v4, NULL, SHAPE(2), data, 16));
  BAD(RP_ERR_ARGUMENT, "rp_store_read_part|hi is NULL",
      rp_store_read_part(v4, SHAPE(2), NULL, data, 16));
  BAD(RP_ERR_ARGUMENT, "rp_store_read_part|lo[0] = 3|hi[0] = 5|0..4",
      rp_store_read_part(v4, SHAPE(3), SHAPE(5), data, 16));
  BAD(RP_ERR_ARGUMENT, "rp_store_write_part|lo[1] = 2|hi[1] = 1|0..3",
      rp_store_write_part(m23, SHAPE(0, 2), SHAPE(1, 1), data, 0));
  BAD(RP_ERR_ARGUMENT, "rp_store_write_part|bytes is 8|16",
      rp_store_write_part(v4, SHAPE(0), SHAPE(2), data, 8));
  BAD(RP_ERR_ACCESS, "rp_store_write_part|read-only",
      rp_store_write_part(lent, SHAPE(0), SHAPE(2), data, 16));
  BAD(RP_ERR_ARGUMENT, "rp_store_fill|value", rp_store_fill(v4, NULL));
  BAD(RP_ERR_ACCESS, "rp_store_fill|read-only", rp_store_fill(lent, data));
  BAD(RP_ERR_ACCESS, "rp_store_fill|twice", rp_store_fill(twice, data));
  BAD(RP_ERR_DTYPE, "rp_store_copy|f64|i32", rp_store_copy(v4, i4));
  BAD(RP_ERR_SHAPE, "rp_store_copy|(4,)|(5,)", rp_store_copy(v4, v5));
  BAD(RP_ERR_SHAPE, "rp_store_copy|(2, 3)|()", rp_store_copy(m23, scalar));
  BAD(RP_ERR_ACCESS, "rp_store_copy|read-only", rp_store_copy(lent, v4));
  BAD(RP_ERR_HANDLE, "rp_store_copy|src", rp_store_copy(v4, gone));
  BAD(RP_ERR_ARGUMENT, "rp_store_copy|src|NULL", rp_store_copy(v4, NULL));
  BAD(RP_ERR_ARGUMENT, "rp_store_copy|src|another context", rp_store_copy(v4, foreign));
}

static void test_views(void **state) {
  (void)state;
  rp_store *out;
  BAD(RP_ERR_ARGUMENT, "rp_store_slice|out", rp_store_slice(v4, 0, 0, 4, 1, NULL));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_slice|step is 0", rp_store_slice(v4, 0, 0, 4, 0, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_slice|axis is 1|rank 1", rp_store_slice(v4, 1, 0, 4, 1, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_slice|axis is -1", rp_store_slice(v4, -1, 0, 4, 1, &out));
  BAD_OUT(RP_ERR_HANDLE, "rp_store_slice|released", rp_store_slice(gone, 0, 0, 4, 1, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_box|lo[0] = -1|0..4",
          rp_store_box(v4, SHAPE(-1), SHAPE(2), &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_box|hi is NULL", rp_store_box(v4, SHAPE(0), NULL, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_transpose|axes is NULL", rp_store_transpose(m23, NULL, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_transpose|axis 1 twice",
          rp_store_transpose(m23, AXES(1, 1), &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_transpose|axes[1] is 2|rank 2",
          rp_store_transpose(m23, AXES(0, 2), &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_promote|axis is 2|0..1", rp_store_promote(v4, 2, 3, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_promote|extent is -4", rp_store_promote(v4, 0, -4, &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_promote|(9223372036854775807, 4)",
          rp_store_promote(v4, 0, INT64_MAX, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_project|index is 3|axis 1|extent 3",
          rp_store_project(m23, 1, 3, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_project|index is -1", rp_store_project(m23, 1, -1, &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_broadcast|shape[1] is 4|extent 3",
          rp_store_broadcast(m23, 2, SHAPE(2, 4), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_broadcast|ndim is 1|rank 2",
          rp_store_broadcast(m23, 1, SHAPE(3), &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_store_broadcast|shape is NULL",
          rp_store_broadcast(m23, 2, NULL, &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_reshape|6 elements|8",
          rp_store_reshape(m23, 2, SHAPE(2, 4), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_reshape|shape[0]|shape[1]|-1",
          rp_store_reshape(m23, 2, SHAPE(-1, -1), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_reshape|ndim is 9", rp_store_reshape(m23, 9, SHAPE(1), &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_store_reshape|(2,4)|copy", rp_store_reshape(twice, 1, SHAPE(8), &out));
}

/* ---- ops ---------------------------------------------------------------------------------------- */

static void test_ops(void **state) {
  (void)state;
  rp_op *out;
  BAD(RP_ERR_ARGUMENT, "rp_library_create|name", rp_library_create(ctx, "", &lib));
  OK(rp_library_create(ctx, "lib", &lib));
  BAD_OUT(RP_ERR_HANDLE, "rp_op_create|no library", rp_op_create(JUNK, "o", "x", "x = 1", &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_op_create|library is NULL",
          rp_op_create(NULL, "o", "x", "x = 1", &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_op_create|name is", rp_op_create(lib, "", "x", "x = 1", &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_op_create|params is NULL",
          rp_op_create(lib, "o", NULL, "x = 1", &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_op_create|lib.add|another body",
          rp_op_create(lib, "add", "y, a, b", "y = a - b", &out));
  BAD_OUT(RP_ERR_BODY, "rp_op_create|lib.o|x = 1 +|^|expected",
          rp_op_create(lib, "o", "x", "x = 1 +", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o|y|^", rp_op_create(lib, "o", "x", "x = y", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o|expected =", rp_op_create(lib, "o", "x", "x", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o", rp_op_create(lib, "o", "x", "", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o|f65", rp_op_create(lib, "o", "x, a:f65", "x = a", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o|x", rp_op_create(lib, "o", "x, x", "x = 1", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o|sinn", rp_op_create(lib, "o", "x, y", "x = sinn(y)", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o|sin|1", rp_op_create(lib, "o", "x, y", "x = sin(y, y)", &out));
  BAD_OUT(RP_ERR_BODY, "lib.o|x", rp_op_create(lib, "o", "x, y", "x = y; x += y", &out));
}

static void test_launches(void **state) {
  (void)state;
  rp_store *lo, *hi, *wide;
  const double a = 2;
  OK(rp_store_slice(v5, 0, 0, 4, 1, &lo));
  OK(rp_store_slice(v5, 0, 1, 5, 1, &hi));
  OK(rp_store_broadcast(v4, 2, SHAPE(3, 4), &wide));
  BAD(RP_ERR_ARGUMENT, "rp_launch|the op is NULL", rp_launch(NULL, STORES(v4), 1, NULL, 0));
  BAD(RP_ERR_HANDLE, "rp_launch|no op", rp_launch(JUNK, STORES(v4), 1, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "rp_launch|lib.add|3 stores and 0 scalars|2 and 0",
      rp_launch(add, STORES(v4, v4), 2, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "rp_launch|lib.axpy|2 stores and 1 scalars|2 and 0",
      rp_launch(axpy, STORES(v4, v4), 2, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "rp_launch|stores is NULL", rp_launch(add, NULL, 3, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "lib.add|stores[1]|'a'|NULL",
      rp_launch(add, STORES(v4, NULL, v4), 3, NULL, 0));
  gone = check_vector(ctx, 4, NULL); /* seen until its record serves another store */
  OK(rp_store_release(gone));
  BAD(RP_ERR_HANDLE, "lib.add|stores[2]|'b'|released",
      rp_launch(add, STORES(v4, v4, gone), 3, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "lib.add|stores[2]|'b'|another context",
      rp_launch(add, STORES(v4, v4, foreign), 3, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "lib.axpy|scalars[0]|NULL",
      rp_launch(axpy, STORES(v4, v4), 2, (const void *[]){NULL}, 1));
  BAD(RP_ERR_SHAPE, "rp_launch|lib.add|y = a + b|^|'b'|(4,)|(5,)",
      rp_launch(add, STORES(v4, v4, v5), 3, NULL, 0));
  BAD(RP_ERR_SHAPE, "lib.add|'y'|(4,)|(2, 3)", rp_launch(add, STORES(v4, m23, m23), 3, NULL, 0));
  BAD(RP_ERR_SHAPE, "lib.shift|'x'|y[i] = x[i + 2]|4",
      rp_launch(shift, STORES(v4, v4), 2, NULL, 0));
  BAD(RP_ERR_SHAPE, "lib.shift|'x'|2", rp_launch(shift, STORES(v4, m23), 2, NULL, 0));
  BAD(RP_ERR_DTYPE, "lib.add|'y'|i32|f64", rp_launch(add, STORES(i4, v4, v4), 3, NULL, 0));
  BAD(RP_ERR_DTYPE, "lib.mix|&|f64", rp_launch(mix, STORES(v4, v4), 2, NULL, 0));
  BAD(RP_ERR_DTYPE, "lib.gather|f64", rp_launch(gather, STORES(v4, v4, v4), 3, NULL, 0));
  BAD(RP_ERR_ACCESS, "rp_launch|lib.add|stores[0]|'y'|read-only",
      rp_launch(add, STORES(lent, v4, v4), 3, NULL, 0));
  BAD(RP_ERR_ACCESS, "rp_launch|lib.add|stores[0]|'y'|twice",
      rp_launch(add, STORES(wide, v4, v4), 3, NULL, 0));
  BAD(RP_ERR_ACCESS, "rp_launch|lib.two|stores[0]|stores[1]|'p'|'q'|overlap",
      rp_launch(two, STORES(lo, hi), 2, NULL, 0));
  BAD(RP_ERR_ACCESS, "rp_launch|lib.two|overlap", rp_launch(two, STORES(v5, v5), 2, NULL, 0));
  BAD(RP_ERR_ACCESS, "rp_launch|lib.opaque|stores[1]|'y'|read-only",
      rp_launch(opaque, STORES(v4, lent), 2, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "rp_call|stores[1]|not an output",
      rp_call(axpy, (rp_store *[]){v4, NULL}, 2, (const void *[]){&a}, 1));
  BAD(RP_ERR_ARGUMENT, "rp_call|lib.opaque|opaque",
      rp_call(opaque, (rp_store *[]){v4, NULL}, 2, NULL, 0));
  BAD(RP_ERR_SHAPE, "rp_call|lib.add|'b'|(4,)|(5,)",
      rp_call(add, (rp_store *[]){NULL, v4, v5}, 3, NULL, 0));
  BAD(RP_ERR_ARGUMENT, "rp_eval|params is NULL", rp_eval(ctx, NULL, "x = 1", STORES(v4), 1));
  BAD(RP_ERR_BODY, "rp_eval|x = (1|^", EVAL(ctx, "x", "x = (1", v4));
  BAD(RP_ERR_ARGUMENT, "rp_eval|1 stores and 1 scalars", EVAL(ctx, "x, a:f64", "x = a", v4));
  BAD(RP_ERR_SHAPE, "rp_eval|x = y|'x'|(4,)|(5,)", EVAL(ctx, "x, y", "x = y", v4, v5));
  OK(rp_store_release(lo));
  OK(rp_store_release(hi));
  OK(rp_store_release(wide));
}

static void test_traces(void **state) {
  (void)state;
  BAD(RP_ERR_ARGUMENT, "rp_trace_begin|NULL", rp_trace_begin(NULL, 1));
  BAD(RP_ERR_STATE, "rp_trace_end|no trace is open|7", rp_trace_end(ctx, 7));
  OK(rp_trace_begin(ctx, 1));
  BAD(RP_ERR_STATE, "rp_trace_begin|trace 1 is open|2", rp_trace_begin(ctx, 2));
  BAD(RP_ERR_STATE, "rp_trace_end|trace 1 is open|3", rp_trace_end(ctx, 3));
  OK(rp_trace_begin(ctx, 1)); /* the end was skipped */
  OK(rp_trace_end(ctx, 1));
  BAD(RP_ERR_STATE, "rp_trace_end|no trace is open", rp_trace_end(ctx, 1));
  OK(rp_trace_begin(ctx, 1)); /* never ended: destroying the context ends it */
}

/* ---- data --------------------------------------------------------------------------------------- */

/* An index out of range shows when the data are read: which task, where it was launched. */
static void test_data(void **state) {
  (void)state;
  rp_store *y = check_vector(ctx, 4, NULL), *z = check_vector(ctx, 4, NULL), *three;
  double got[4];
  OK(rp_store_slice(v4, 0, 0, 3, 1, &three));
  for (int pass = 0; pass < 3; pass++) { /* recorded and replayed; i4[3] is 3 */
    OK(rp_trace_begin(ctx, 5));
    OK(rp_launch(add, STORES(z, v4, v4), 3, NULL, 0));
    OK(rp_launch(gather, STORES(y, three, i4), 3, NULL, 0));
    OK(rp_launch(add, STORES(z, z, y), 3, NULL, 0));
    OK(rp_trace_end(ctx, 5));
    char place[64];
    snprintf(place, sizeof place, "launch %lld of", (long long)check_stat(ctx, "launches") - 1);
    BAD(RP_ERR_DATA, "rp_store_read|lib.gather|stores[1] ('x'), shape (3,)|out of range",
        rp_store_read(z, got, sizeof got));
    BAD(RP_ERR_DATA, place, rp_store_read(z, got, sizeof got));
    BAD(RP_ERR_DATA, "rp_store_wait|lib.gather|trace 5", rp_store_wait(y));
    BAD(RP_ERR_DATA, "rp_wait|lib.gather|trace 5", rp_wait(ctx));
    OK(rp_wait(ctx)); /* said once */
  }
  OK(rp_store_fill(z, got));
  OK(rp_store_read(z, got, sizeof got)); /* written anew: sound */
  OK(rp_store_release(y));
  OK(rp_store_release(z));
  OK(rp_store_release(three));
}

/* ---- the libraries ------------------------------------------------------------------------------ */

static void test_array(void **state) {
  (void)state;
  rp_store *out;
  rp_array_code code;
  BAD_OUT(RP_ERR_SHAPE, "array.add|(4,)|(5,)", rp_array_add(v4, v5, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "array.add|stores[2]|NULL", rp_array_add(v4, NULL, &out));
  BAD_OUT(RP_ERR_HANDLE, "array.add|released", rp_array_add(gone, v4, &out));
  BAD(RP_ERR_ARGUMENT, "array.add|out is NULL", rp_array_add(v4, v4, NULL));
  BAD(RP_ERR_ACCESS, "array.add|read-only", rp_array_add_to(v4, v4, lent));
  BAD_OUT(RP_ERR_ARGUMENT, "array.add|no function of 1 operand",
          rp_array_unary(RP_ARRAY_ADD, v4, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "array|code -1", rp_array_unary(-1, v4, &out));
  BAD_OUT(RP_ERR_DTYPE, "array.bitwise_and|f64",
          rp_array_binary(RP_ARRAY_BITWISE_AND, v4, v4, &out));
  BAD(RP_ERR_ARGUMENT, "rp_array_find|hyp", rp_array_find("hyp", &code, NULL));
  BAD_OUT(RP_ERR_ARGUMENT, "array.sum|axis 1|rank 1",
          rp_array_reduce(RP_ARRAY_SUM, v4, 1, AXES(1), 0, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "array.sum|axis -2|rank 2|twice",
          rp_array_reduce(RP_ARRAY_SUM, m23, 2, AXES(0, -2), 0, &out));
  BAD_OUT(RP_ERR_SHAPE, "array.dot|axis 0|4|5", rp_array_dot(v4, v5, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_array_arange|by 0", rp_array_arange(ctx, RP_F64, 0, 1, 0, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_array_arange|0.5", rp_array_arange(ctx, RP_I32, 0.5, 4, 1, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_array_arange|1e+30", rp_array_arange(ctx, RP_F64, 0, 1e30, 1, &out));
  BAD_OUT(RP_ERR_DTYPE, "rp_array_linspace|i64", rp_array_linspace(ctx, RP_I64, 0, 1, 3, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_array_linspace|-1 points",
          rp_array_linspace(ctx, RP_F64, 0, 1, -1, &out));
}

static void write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

static void test_sparse(void **state) {
  (void)state;
  rp_csr *out;
  char path[] = "/tmp/reprise-mtx-XXXXXX", named[64];
  const double val[] = {1, 2};
  const int fd = mkstemp(path);
  assert_true(fd >= 0);
  close(fd);
  snprintf(named, sizeof named, "%s|line 3|row|'9'|1..2", path);
  write_file(path, "%%MatrixMarket matrix coordinate real general\n2 2 1\n9 1 1\n");
  BAD_OUT(RP_ERR_IO, named, rp_csr_from_matrix_market(ctx, RP_F64, path, &out));
  snprintf(named, sizeof named, "%s|line 2", path);
  write_file(path, "%%MatrixMarket matrix array real general\n4611686018427387904 4\n");
  BAD_OUT(RP_ERR_IO, named, rp_csr_from_matrix_market(ctx, RP_F64, path, &out));
  write_file(path, "%%MatrixMarket matrix coordinate real general\n4611686018427387904 4 0\n");
  BAD_OUT(RP_ERR_MEMORY, "4611686018427387904 rows",
          rp_csr_from_matrix_market(ctx, RP_F64, path, &out));
  unlink(path);
  BAD_OUT(RP_ERR_IO, "rp_csr_from_matrix_market|No such file",
          rp_csr_from_matrix_market(ctx, RP_F64, path, &out));
  BAD_OUT(RP_ERR_IO, "rp_csr_from_matrix_market|\"/\"|directory",
          rp_csr_from_matrix_market(ctx, RP_F64, "/", &out));
  BAD_OUT(RP_ERR_DTYPE, "rp_csr_from_matrix_market|i32",
          rp_csr_from_matrix_market(ctx, RP_I32, path, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_csr_from_triplets|entry 1|(3, 0)|2 by 2",
          rp_csr_from_triplets(ctx, RP_F64, 2, 2, 2, SHAPE(0, 3), SHAPE(0, 0), val, &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_csr_from_triplets|-2",
          rp_csr_from_triplets(ctx, RP_F64, -2, 2, 0, NULL, NULL, NULL, &out));
  BAD_OUT(RP_ERR_MEMORY, "rp_csr_from_triplets|4611686018427387904",
          rp_csr_from_triplets(ctx, RP_F64, (int64_t)1 << 62, 2, 0, NULL, NULL, NULL, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_csr_from_arrays|row 1|2|1",
          rp_csr_from_arrays(ctx, RP_F64, 2, 2, SHAPE(0, 2, 1), SHAPE(0, 1), val, &out));
  BAD_OUT(RP_ERR_DTYPE, "rp_csr_from_stores|ptr|f64", rp_csr_from_stores(v4, i4, v4, 4, &out));
  BAD_OUT(RP_ERR_SHAPE, "rp_csr_from_stencil|axis 1|-3",
          rp_csr_from_stencil(ctx, RP_F64, 2, SHAPE(2, -3), 1, SHAPE(0, 0), val, &out));
  BAD_OUT(RP_ERR_ARGUMENT, "rp_csr_from_stencil|points 0 and 1",
          rp_csr_from_stencil(ctx, RP_F64, 1, SHAPE(4), 2, SHAPE(1, 1), val, &out));
  BAD(RP_ERR_ARGUMENT, "rp_csr_multiply_to|a is NULL", rp_csr_multiply_to(NULL, v4, v4));
  BAD(RP_ERR_HANDLE, "rp_csr_multiply_to|a is no matrix", rp_csr_multiply_to(JUNK, v4, v4));
  OK(rp_csr_from_triplets(ctx, RP_F64, 2, 4, 2, SHAPE(0, 1), SHAPE(3, 0), val, &out));
  BAD(RP_ERR_SHAPE, "rp_csr_multiply_to|x of 4|not 5", rp_csr_multiply_to(out, v5, v4));
  BAD(RP_ERR_SHAPE, "rp_csr_multiply_to|y of 2|to 4", rp_csr_multiply_to(out, v4, v4));
  rp_operator *op = NULL;
  BAD(RP_ERR_SHAPE, "rp_operator_from_csr|2|4", rp_operator_from_csr(out, &op));
  OK(rp_csr_release(out));
}

static rp_status no_product(void *user, rp_store *x, rp_store *y) {
  (void)user;
  (void)x;
  (void)y;
  return rp_error_set(RP_ERR_IO, "the wire is cut");
}

static void test_solve(void **state) {
  (void)state;
  rp_operator *op = NULL;
  rp_solve_options options = {.struct_size = sizeof options, .max_iterations = -5};
  BAD(RP_ERR_ARGUMENT, "rp_operator_create|apply",
      rp_operator_create(ctx, RP_F64, 4, NULL, NULL, NULL, &op));
  BAD(RP_ERR_DTYPE, "rp_operator_create|i32",
      rp_operator_create(ctx, RP_I32, 4, no_product, NULL, NULL, &op));
  BAD(RP_ERR_SHAPE, "rp_operator_create|diagonal|5|4",
      rp_operator_create(ctx, RP_F64, 4, no_product, NULL, v5, &op));
  OK(rp_operator_create(ctx, RP_F64, 4, no_product, NULL, NULL, &op));
  rp_store *x = check_vector(ctx, 4, NULL);
  BAD(RP_ERR_HANDLE, "rp_solve_cg|a is no operator", rp_solve_cg(JUNK, v4, x, NULL, NULL));
  BAD(RP_ERR_SHAPE, "rp_solve_cg|b has|5|4", rp_solve_cg(op, v5, x, NULL, NULL));
  BAD(RP_ERR_DTYPE, "rp_solve_cg|b|i32|f64", rp_solve_cg(op, i4, x, NULL, NULL));
  BAD(RP_ERR_ARGUMENT, "rp_solve_cg|max_iterations|-5", rp_solve_cg(op, v4, x, &options, NULL));
  BAD(RP_ERR_ARGUMENT, "rp_solve_pcg|diagonal", rp_solve_pcg(op, v4, x, NULL, NULL));
  BAD(RP_ERR_IO, "the wire is cut", rp_solve_cg(op, v4, x, NULL, NULL));
  OK(rp_store_release(x));
  OK(rp_operator_release(op));
}

/* ---- nothing at all ----------------------------------------------------------------------------- */

/* Every function with NULL for a pointer: RP_ERR_ARGUMENT or RP_ERR_HANDLE, and a sentence. */
static void check_null(const char *call, rp_status got) {
  if (got != RP_ERR_ARGUMENT && got != RP_ERR_HANDLE) fail_msg("%s: %s", call, rp_status_name(got));
  if (!strstr(rp_last_error(), "NULL"))
    fail_msg("%s: the sentence \"%s\" does not say NULL", call, rp_last_error());
  check_unchanged(call);
  rp_error_set(RP_OK, "");
}

#define NIL(call) check_null(#call, (call))

static void test_null_runtime(void **state) {
  (void)state;
  rp_store *out = NULL;
  rp_op *op = NULL;
  int64_t n;
  size_t need;
  NIL(rp_wait(NULL));
  NIL(rp_explain(NULL, NULL, 0, &need));
  NIL(rp_stat(NULL, "launches", &n));
  NIL(rp_stat(ctx, NULL, &n));
  NIL(rp_trace_begin(NULL, 1));
  NIL(rp_trace_end(NULL, 1));
  NIL(rp_context_set_data(NULL, junk, NULL, NULL));
  NIL(rp_library_create(NULL, "lib", &lib));
  OK(rp_library_create(ctx, "lib", &lib));
  NIL(rp_library_create(ctx, "lib", NULL));
  NIL(rp_op_create(lib, "o", "x", "x = 1", NULL));
  NIL(rp_op_create(lib, "o", "x", NULL, &op));
  NIL(rp_op_create(lib, NULL, "x", "x = 1", &op));
  NIL(rp_op_create_opaque(lib, NULL, &op));
  NIL(rp_op_create_opaque(NULL, &(rp_opaque_desc){.struct_size = 8}, &op));
  NIL(rp_store_scalar(NULL, RP_F64, &(double){1}, &out));
  NIL(rp_store_attach(NULL, RP_F64, 0, NULL, lent_data, RP_READ_ONLY, &out));
  NIL(rp_store_home(NULL));
  NIL(rp_store_detach(NULL));
  NIL(rp_store_retain(NULL));
  NIL(rp_store_read(NULL, junk, 8));
  NIL(rp_store_write(NULL, junk, 8));
  NIL(rp_store_write(v4, NULL, 32));
  NIL(rp_store_read_part(NULL, SHAPE(0), SHAPE(1), junk, 8));
  NIL(rp_store_write_part(v4, SHAPE(0), SHAPE(1), NULL, 8));
  NIL(rp_store_fill(NULL, junk));
  NIL(rp_store_copy(NULL, v4));
  NIL(rp_store_slice(NULL, 0, 0, 1, 1, &out));
  NIL(rp_store_box(NULL, SHAPE(0), SHAPE(1), &out));
  NIL(rp_store_box(v4, NULL, NULL, &out));
  NIL(rp_store_transpose(NULL, AXES(0), &out));
  NIL(rp_store_promote(NULL, 0, 1, &out));
  NIL(rp_store_project(NULL, 0, 0, &out));
  NIL(rp_store_broadcast(NULL, 1, SHAPE(4), &out));
  NIL(rp_store_reshape(NULL, 1, SHAPE(4), &out));
  NIL(rp_store_reshape(v4, 1, NULL, &out));
  NIL(rp_call(NULL, NULL, 0, NULL, 0));
  NIL(rp_call(add, NULL, 3, NULL, 0));
  NIL(rp_eval(NULL, "x", "x = 1", STORES(v4), 1));
  NIL(rp_eval(ctx, "x", "x = 1", NULL, 1));
  NIL(rp_eval(ctx, "x", "x = 1", STORES(NULL), 1));
}

static void test_null_libraries(void **state) {
  (void)state;
  rp_store *out = NULL;
  rp_csr *a = NULL, *made = NULL;
  rp_operator *op = NULL;
  rp_array_code code;
  const double val[] = {1, 2};
  NIL(rp_array_zeros(NULL, RP_F64, 1, SHAPE(3), &out));
  NIL(rp_array_zeros(ctx, RP_F64, 1, NULL, &out));
  NIL(rp_array_zeros(ctx, RP_F64, 1, SHAPE(3), NULL));
  NIL(rp_array_full(ctx, RP_F64, 1, SHAPE(3), NULL, &out));
  NIL(rp_array_full(NULL, RP_F64, 1, SHAPE(3), val, &out));
  NIL(rp_array_full(ctx, RP_F64, 1, SHAPE(3), val, NULL));
  NIL(rp_array_arange(NULL, RP_F64, 0, 1, 1, &out));
  NIL(rp_array_arange(ctx, RP_F64, 0, 1, 1, NULL));
  NIL(rp_array_linspace(NULL, RP_F64, 0, 1, 2, &out));
  NIL(rp_array_linspace(ctx, RP_F64, 0, 1, 2, NULL));
  NIL(rp_array_copy(NULL, &out));
  NIL(rp_array_copy(v4, NULL));
  NIL(rp_array_astype(NULL, RP_F32, &out));
  NIL(rp_array_astype(v4, RP_F32, NULL));
  NIL(rp_array_find(NULL, &code, NULL));
  NIL(rp_array_find("add", NULL, NULL));
  NIL(rp_array_unary(RP_ARRAY_EXP, NULL, &out));
  NIL(rp_array_unary(RP_ARRAY_EXP, v4, NULL));
  NIL(rp_array_unary_to(RP_ARRAY_EXP, v4, NULL));
  NIL(rp_array_unary_to(RP_ARRAY_EXP, NULL, v4));
  NIL(rp_array_binary(RP_ARRAY_ADD, NULL, v4, &out));
  NIL(rp_array_binary_to(RP_ARRAY_ADD, v4, NULL, v4));
  NIL(rp_array_binary_to(RP_ARRAY_ADD, v4, v4, NULL));
  NIL(rp_array_binary_float(RP_ARRAY_ADD, NULL, 1, &out));
  NIL(rp_array_int_binary_to(RP_ARRAY_ADD, 1, v4, NULL));
  NIL(rp_array_where(NULL, v4, v4, &out));
  NIL(rp_array_where(i4, NULL, v4, &out));
  NIL(rp_array_where_to(i4, v4, v4, NULL));
  NIL(rp_array_modf(NULL, &out, &out));
  NIL(rp_array_frexp(v4, &out, NULL));
  NIL(rp_array_reduce(RP_ARRAY_SUM, NULL, 0, NULL, 0, &out));
  NIL(rp_array_reduce(RP_ARRAY_SUM, v4, 1, NULL, 0, &out));
  NIL(rp_array_reduce(RP_ARRAY_SUM, v4, 0, NULL, 0, NULL));
  NIL(rp_array_reduce_to(RP_ARRAY_SUM, v4, 0, NULL, NULL));
  NIL(rp_array_sum(NULL, &out));
  NIL(rp_array_norm(v4, NULL));
  NIL(rp_array_dot(NULL, v4, &out));
  NIL(rp_array_dot(v4, NULL, &out));
  NIL(rp_array_dot(v4, v4, NULL));
  NIL(rp_array_dot_to(v4, v4, NULL));
  NIL(rp_array_argmin(NULL, 0, &out));
  NIL(rp_array_argmax(v4, 0, NULL));
  NIL(rp_csr_from_triplets(NULL, RP_F64, 1, 1, 0, NULL, NULL, NULL, &made));
  NIL(rp_csr_from_triplets(ctx, RP_F64, 1, 1, 1, NULL, SHAPE(0), val, &made));
  NIL(rp_csr_from_triplets(ctx, RP_F64, 1, 1, 0, NULL, NULL, NULL, NULL));
  NIL(rp_csr_from_arrays(ctx, RP_F64, 1, 1, NULL, SHAPE(0), val, &made));
  NIL(rp_csr_from_stores(NULL, i4, v4, 1, &made));
  NIL(rp_csr_from_stores(v4, NULL, v4, 1, &made));
  NIL(rp_csr_from_stores(v4, i4, NULL, 1, &made));
  NIL(rp_csr_from_matrix_market(ctx, RP_F64, NULL, &made));
  NIL(rp_csr_from_stencil(ctx, RP_F64, 1, NULL, 1, SHAPE(0), val, &made));
  assert_null(made);
  OK(rp_csr_from_triplets(ctx, RP_F64, 4, 4, 1, SHAPE(0), SHAPE(0), val, &a));
  NIL(rp_csr_retain(NULL));
  NIL(rp_csr_multiply(NULL, v4, &out));
  NIL(rp_csr_multiply(a, NULL, &out));
  NIL(rp_csr_multiply(a, v4, NULL));
  NIL(rp_csr_multiply_to(a, v4, NULL));
  NIL(rp_csr_diagonal(NULL, &out));
  NIL(rp_csr_diagonal(a, NULL));
  NIL(rp_csr_write_matrix_market(a, NULL));
  NIL(rp_csr_write_matrix_market(NULL, "x"));
  NIL(rp_operator_from_csr(NULL, &op));
  NIL(rp_operator_from_csr(a, NULL));
  NIL(rp_operator_create(NULL, RP_F64, 4, no_product, NULL, NULL, &op));
  OK(rp_operator_from_csr(a, &op));
  NIL(rp_solve_cg(NULL, v4, v4, NULL, NULL));
  NIL(rp_solve_cg(op, NULL, v4, NULL, NULL));
  NIL(rp_solve_pcg(op, v4, NULL, NULL, NULL));
  NIL(rp_solve_bicgstab(NULL, v4, v4, NULL, NULL));
  NIL(rp_solve_jacobi(op, NULL, v4, NULL, NULL));
  NIL(rp_solve_power(op, NULL, NULL, NULL));
  assert_null(out);
  OK(rp_operator_release(op));
  OK(rp_csr_release(a));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      TEST(test_contexts),     TEST(test_stores),        TEST(test_huge),
      TEST(test_host_access),  TEST(test_views),         TEST(test_ops),
      TEST(test_launches),     TEST(test_traces),        TEST(test_data),
      TEST(test_array),        TEST(test_sparse),        TEST(test_solve),
      TEST(test_null_runtime), TEST(test_null_libraries)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
