/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_exchange.c -- memory and tensors of other libraries through the public interface: DLPack in and out on the
 * host, who owns what and for how long, and the turns at shared memory. On a GPU: test_api_exchange_gpu. */
#include "tests/support/api_group.h"

#include <pthread.h>

#include "tests/support/lent_tensor.h"

typedef struct DLManagedTensorVersioned tensor;

static tensor *handed(rp_store *s, int32_t flags) {
  const rp_export_desc d = {.struct_size = sizeof d, .flags = flags};
  tensor *t = NULL;
  OK(rp_store_export_dlpack(s, &d, &t));
  assert_non_null(t);
  assert_int_equal(t->major, 1);
  return t;
}

/* The elements of a tensor of doubles, by its strides. */
static void holds(const tensor *t, const double *want) {
  const rpi_dlpack_tensor *d = &t->dl_tensor;
  const double *data = d->data;
  int64_t n = 1;
  for (int32_t a = 0; a < d->ndim; a++) n *= d->shape[a];
  for (int64_t i = 0; i < n; i++) {
    int64_t at = 0, rest = i;
    for (int32_t a = d->ndim - 1; a >= 0; a--) {
      at += rest % d->shape[a] * d->strides[a];
      rest /= d->shape[a];
    }
    if (data[at] != want[i])
      fail_msg("element %lld is %g, not %g", (long long)i, data[at], want[i]);
  }
}

/* ---- in ---- */

static void test_import(void **state) {
  (void)state;
  double a[6] = {1, 2, 3, 4, 5, 6};
  int deleted = 0;
  rp_store *s;
  tensor *t = tensor_make(a, 2, (int64_t[]){2, 3}, NULL, &deleted);
  OK(rp_store_import_dlpack(ctx, t, 0, &s));
  assert_int_equal(rp_store_ndim(s), 2);
  assert_int_equal(rp_store_extent(s, 1), 3);
  assert_int_equal(rp_store_dtype(s), RP_F64);
  check_values(s, a);
  OK(EVAL(ctx, "s", "s = s + 1", s));
  OK(rp_store_home(s));
  assert_true(a[0] == 2 && a[5] == 7);
  a[0] = 10; /* our turn: what is written there are the store's values */
  OK(EVAL(ctx, "s", "s = 2*s", s));
  check_values(s, (double[]){20, 6, 8, 10, 12, 14});
  rp_store *view;
  OK(rp_store_project(s, 0, 1, &view));
  drop(s);
  assert_int_equal(deleted, 0); /* a view keeps it */
  check_values(view, (double[]){10, 12, 14});
  drop(view);
  assert_int_equal(deleted, 1);
}

static void test_import_strides(void **state) {
  (void)state;
  double a[12];
  int deleted = 0;
  rp_store *s;
  for (int i = 0; i < 12; i++) a[i] = i;
  /* A transposed array has no gaps: it may be written. */
  OK(rp_store_import_dlpack(ctx, tensor_make(a, 2, (int64_t[]){4, 3}, (int64_t[]){1, 4}, &deleted),
                            0, &s));
  check_values(s, (double[]){0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11});
  OK(EVAL(ctx, "s", "s = s + 100", s));
  OK(rp_store_home(s));
  for (int i = 0; i < 12; i++) assert_true(a[i] == i + 100);
  drop(s);
  assert_int_equal(deleted, 1);
  /* A column has: it is only read, and what lies between stays others'. Backwards is no matter. */
  for (int i = 0; i < 12; i++) a[i] = i;
  rp_store *up, *down, *twice;
  OK(rp_store_import_dlpack(ctx, tensor_make(a + 1, 1, (int64_t[]){3}, (int64_t[]){4}, &deleted), 0,
                            &up));
  OK(rp_store_import_dlpack(ctx, tensor_make(a + 10, 1, (int64_t[]){3}, (int64_t[]){-4}, &deleted),
                            0, &down));
  OK(rp_store_import_dlpack(
      ctx, tensor_make(a + 3, 2, (int64_t[]){2, 2}, (int64_t[]){0, 1}, &deleted), 0, &twice));
  check_values(up, (double[]){1, 5, 9});
  check_values(down, (double[]){10, 6, 2});
  check_values(twice, (double[]){3, 4, 3, 4});
  FAILS(RP_ERR_ACCESS, "read-only", EVAL(ctx, "s", "s = 1", up));
  FAILS(RP_ERR_ACCESS, "read-only", rp_store_write(twice, a, 32));
  drop(up);
  drop(down);
  drop(twice);
  assert_int_equal(deleted, 4);
}

static void test_import_kinds(void **state) {
  (void)state;
  static const struct {
    rp_dtype dtype;
    rpi_dlpack_dtype type;
  } kinds[] = {{RP_BOOL, {6, 8, 1}}, {RP_I8, {0, 8, 1}},   {RP_I16, {0, 16, 1}},
               {RP_I32, {0, 32, 1}}, {RP_I64, {0, 64, 1}}, {RP_U8, {1, 8, 1}},
               {RP_U16, {1, 16, 1}}, {RP_U32, {1, 32, 1}}, {RP_U64, {1, 64, 1}},
               {RP_F32, {2, 32, 1}}, {RP_F64, {2, 64, 1}}};
  int64_t a[2] = {1, 2};
  int deleted = 0;
  for (int i = 0; i < 11; i++) {
    rp_store *s;
    tensor *t = tensor_make(a, 1, (int64_t[]){2}, NULL, &deleted), *back = NULL;
    t->dl_tensor.dtype = kinds[i].type;
    OK(rp_store_import_dlpack(ctx, t, 0, &s));
    assert_int_equal(rp_store_dtype(s), kinds[i].dtype);
    back = handed(s, 0);
    assert_memory_equal(&back->dl_tensor.dtype, &kinds[i].type, sizeof kinds[i].type);
    drop(s);
    assert_int_equal(deleted, i); /* the window needs it */
    back->deleter(back);
    OK(rp_wait(ctx));
    assert_int_equal(deleted, i + 1);
  }
}

/* The legacy layout, offsets in bytes, no elements, none at all. */
static void test_import_forms(void **state) {
  (void)state;
  double a[4] = {1, 2, 3, 4};
  int deleted = 0;
  rp_store *s;
  struct DLManagedTensor *l = tensor_make_legacy(a, 1, (int64_t[]){3}, &deleted);
  l->dl_tensor.byte_offset = 8;
  OK(rp_store_import_dlpack_legacy(ctx, l, 0, &s));
  check_values(s, (double[]){2, 3, 4});
  OK(EVAL(ctx, "s", "s = 0", s));
  OK(rp_store_detach(s));
  assert_int_equal(deleted, 1);
  assert_true(a[0] == 1 && a[1] == 0 && a[3] == 0);
  drop(s);
  OK(rp_store_import_dlpack(ctx, tensor_make(NULL, 2, (int64_t[]){0, 3}, NULL, &deleted), 0, &s));
  assert_int_equal(deleted, 2);
  assert_int_equal(rp_store_size(s), 0);
  drop(s);
  OK(rp_store_import_dlpack(ctx, tensor_make(a, 0, NULL, NULL, &deleted), 0, &s));
  assert_true(check_scalar(s) == 1);
  drop(s);
  tensor *t = tensor_make(a, 1, (int64_t[]){4}, NULL, &deleted);
  t->flags = RPI_DLPACK_READ_ONLY;
  OK(rp_store_import_dlpack(ctx, t, 0, &s));
  FAILS(RP_ERR_ACCESS, "read-only", rp_store_write(s, a, sizeof a));
  rp_store *other;
  OK(rp_store_create(ctx, RP_F64, 1, (int64_t[]){4}, &other));
  OK(rp_store_copy(other, s));
  OK(rp_wait(ctx));
  drop(s); /* the copy that shared it gets memory of its own */
  assert_int_equal(deleted, 4);
  a[0] = 99;
  check_values(other, (double[]){1, 0, 0, 0});
  drop(other);
}

/* What is refused stays the caller's. */
static void test_import_refused(void **state) {
  (void)state;
  double a[4] = {1, 2, 3, 4};
  int deleted = 0;
  rp_store *s, *held;
  tensor *t = tensor_make(a, 1, (int64_t[]){4}, NULL, &deleted);
#define REFUSED(status, text) \
  FAILS(status, text, rp_store_import_dlpack(ctx, t, 0, &s)); \
  assert_null(s)
  t->major = 2;
  REFUSED(RP_ERR_ARGUMENT, "version 2.0");
  t->major = 1;
  t->dl_tensor.dtype.lanes = 2;
  REFUSED(RP_ERR_DTYPE, "code 2 with 64 bits and 2 lanes");
  t->dl_tensor.dtype = (rpi_dlpack_dtype){2, 16, 1};
  REFUSED(RP_ERR_DTYPE, "16 bits");
  t->dl_tensor.dtype = (rpi_dlpack_dtype){2, 64, 1};
  t->dl_tensor.device.device_type = 10;
  REFUSED(RP_ERR_DEVICE, "type 10");
  t->dl_tensor.device.device_type = 1;
  t->dl_tensor.byte_offset = 4;
  REFUSED(RP_ERR_ARGUMENT, "not aligned to 8");
  t->dl_tensor.byte_offset = 0;
  t->dl_tensor.data = NULL;
  REFUSED(RP_ERR_ARGUMENT, "data are NULL");
  t->dl_tensor.data = a;
  t->dl_tensor.ndim = 9;
  REFUSED(RP_ERR_SHAPE, "9");
  t->dl_tensor.ndim = 1;
  t->dl_tensor.strides[0] = INT64_MAX / 2;
  REFUSED(RP_ERR_SHAPE, "stride");
  t->dl_tensor.strides[0] = INT64_MAX / 8;
  REFUSED(RP_ERR_SHAPE, "2^63 bytes");
  t->dl_tensor.strides = NULL;
  OK(rp_store_attach(ctx, RP_F64, 1, (int64_t[]){1}, a + 3, RP_READ_ONLY, &held));
  REFUSED(RP_ERR_ACCESS, "attached already");
  drop(held);
  FAILS(RP_ERR_ARGUMENT, "tensor is NULL", rp_store_import_dlpack(ctx, NULL, 0, &s));
  FAILS(RP_ERR_ARGUMENT, "tensor is NULL", rp_store_import_dlpack_legacy(ctx, NULL, 0, &s));
  FAILS(RP_ERR_ARGUMENT, "out is NULL", rp_store_import_dlpack(ctx, t, 0, NULL));
  assert_int_equal(deleted, 0);
  t->deleter(t);
}

/* ---- out ---- */

static void test_snapshot(void **state) {
  (void)state;
  rp_store *s = check_store(ctx, 2, (int64_t[]){2, 3}, (double[]){1, 2, 3, 4, 5, 6}), *v;
  const int32_t swap[] = {1, 0};
  OK(EVAL(ctx, "s", "s = 2*s", s));
  OK(rp_store_transpose(s, swap, &v));
  tensor *t = handed(s, 0), *u = handed(v, 0);
  assert_int_equal(t->flags, RPI_DLPACK_READ_ONLY);
  assert_int_equal(t->dl_tensor.device.device_type, 1);
  assert_ptr_equal(t->dl_tensor.data, u->dl_tensor.data); /* no copy */
  assert_int_equal(u->dl_tensor.shape[0], 3);
  assert_int_equal(u->dl_tensor.strides[0], 1);
  /* The values of then stay: whatever writes the store takes other memory. */
  OK(EVAL(ctx, "s", "s = s + 1", s));
  OK(rp_store_write_part(s, (int64_t[]){0, 0}, (int64_t[]){1, 1}, (double[]){-1}, sizeof(double)));
  check_values(s, (double[]){-1, 5, 7, 9, 11, 13});
  holds(t, (double[]){2, 4, 6, 8, 10, 12});
  holds(u, (double[]){2, 8, 4, 10, 6, 12});
  drop(v);
  drop(s);
  holds(t, (double[]){2, 4, 6, 8, 10, 12});
  t->deleter(t);
  holds(u, (double[]){2, 8, 4, 10, 6, 12});
  u->deleter(u);
  OK(rp_wait(ctx));
  assert_int_equal(check_stat(ctx, "memory_live"), 0);
  /* Zeros that have no memory get some. */
  s = check_vector(ctx, 3, NULL);
  t = handed(s, 0);
  holds(t, (double[]){0, 0, 0});
  t->deleter(t);
  drop(s);
}

/* In a loop that renames, memory that somebody holds is left alone. */
static void test_snapshot_replayed(void **state) {
  (void)state;
  enum { N = 1000, PASSES = 12 };
  double first[N];
  tensor *t[PASSES];
  for (int i = 0; i < N; i++) first[i] = i;
  rp_store *x = check_vector(ctx, N, first), *y = check_vector(ctx, N, NULL);
  for (int p = 0; p < PASSES; p++) {
    OK(rp_trace_begin(ctx, 7));
    OK(EVAL(ctx, "y, x", "y = x + 1", y, x));
    OK(EVAL(ctx, "x, y", "x = y", x, y));
    OK(rp_trace_end(ctx, 7));
    t[p] = handed(x, 0);
  }
  for (int p = 0; p < PASSES; p++) {
    const double *d = t[p]->dl_tensor.data;
    for (int i = 0; i < N; i++)
      if (d[i] != i + p + 1) fail_msg("pass %d, element %d: %g", p, i, d[i]);
    t[p]->deleter(t[p]);
  }
  drop(x);
  drop(y);
}

static void test_window(void **state) {
  (void)state;
  rp_store *s = check_vector(ctx, 4, (double[]){1, 2, 3, 4}), *half,
           *copy = check_vector(ctx, 4, NULL);
  OK(rp_store_slice(s, 0, 0, 4, 2, &half));
  OK(rp_store_copy(copy, s));
  tensor *old = handed(s, 0), *t = handed(s, RP_EXPORT_WRITABLE),
         *w = handed(half, RP_EXPORT_WRITABLE);
  double *d = t->dl_tensor.data;
  assert_int_equal(t->flags, 0);
  assert_ptr_equal(d, w->dl_tensor.data);
  d[2] = 30;
  ((double *)w->dl_tensor.data)[0] = 10;
  OK(EVAL(ctx, "s", "s = s + 1", s)); /* the library's turn */
  check_values(s, (double[]){11, 3, 31, 5});
  OK(rp_store_home(half)); /* and the holder's */
  holds(t, (double[]){11, 3, 31, 5});
  holds(w, (double[]){11, 31});
  for (int p = 0; p < 8; p++) { /* replayed and renamed, home is where it was */
    OK(rp_trace_begin(ctx, 8));
    OK(EVAL(ctx, "s", "s = 2*s", s));
    OK(rp_trace_end(ctx, 8));
    OK(rp_store_home(s));
    for (int i = 0; i < 4; i++) d[i] /= 2;
  }
  check_values(s, (double[]){11, 3, 31, 5});
  holds(old, (double[]){1, 2, 3, 4});
  check_values(copy, (double[]){1, 2, 3, 4});
  FAILS(RP_ERR_STATE, "2 tensors", rp_store_detach(s));
  t->deleter(t);
  old->deleter(old);
  w->deleter(w);
  FAILS(RP_ERR_STATE, "not attached", rp_store_home(s));
  check_values(s, (double[]){11, 3, 31, 5});
  drop(s);
  drop(half);
  drop(copy);
  OK(rp_wait(ctx));
  assert_int_equal(check_stat(ctx, "memory_live"), 0);
}

/* What is derived from index data is derived again when a holder has had his turn. */
static void test_window_index(void **state) {
  (void)state;
  rp_store *x = check_vector(ctx, 4, (double[]){1, 2, 3, 4}), *y = check_vector(ctx, 2, NULL), *i;
  OK(rp_store_create(ctx, RP_I64, 1, (int64_t[]){2}, &i));
  OK(rp_store_write(i, (int64_t[]){0, 3}, 16));
  for (int p = 0; p < 4; p++) {
    OK(rp_trace_begin(ctx, 9));
    OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", y, x, i));
    OK(rp_trace_end(ctx, 9));
  }
  check_values(y, (double[]){1, 4});
  tensor *t = handed(i, RP_EXPORT_WRITABLE);
  ((int64_t *)t->dl_tensor.data)[0] = 4000000000; /* out of range */
  OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", y, x, i));
  double got[2];
  FAILS(RP_ERR_DATA, "poisoned", rp_store_read(y, got, sizeof got));
  tensor *none = NULL;
  FAILS(RP_ERR_DATA, "poisoned", rp_store_export_dlpack(y, NULL, &none));
  assert_null(none);
  OK(rp_store_home(i));
  ((int64_t *)t->dl_tensor.data)[0] = 2;
  OK(EVAL(ctx, "y, x, i", "y[k] = x[i[k]]", y, x, i));
  check_values(y, (double[]){3, 4});
  FAILS(RP_ERR_DATA, "out of range", rp_wait(ctx)); /* it had been */
  t->deleter(t);
  drop(x);
  drop(y);
  drop(i);
}

static void test_copy(void **state) {
  (void)state;
  rp_store *s = check_store(ctx, 2, (int64_t[]){2, 3}, (double[]){1, 2, 3, 4, 5, 6}), *wide;
  const int32_t swap[] = {1, 0};
  rp_store *v;
  OK(rp_store_transpose(s, swap, &v));
  tensor *t = handed(v, RP_EXPORT_MUST_COPY);
  assert_int_equal(t->flags, RPI_DLPACK_IS_COPIED);
  assert_int_equal(t->dl_tensor.strides[0], 2);
  holds(t, (double[]){1, 4, 2, 5, 3, 6});
  ((double *)t->dl_tensor.data)[0] = 77;
  check_values(s, (double[]){1, 2, 3, 4, 5, 6});
  t->deleter(t);
  OK(rp_store_broadcast(s, 3, (int64_t[]){2, 2, 3}, &wide));
  const rp_export_desc writes = {.struct_size = sizeof writes, .flags = RP_EXPORT_WRITABLE};
  FAILS(RP_ERR_ACCESS, "twice, and a copy is not allowed",
        rp_store_export_dlpack(wide, &writes, &t));
  t = handed(wide, RP_EXPORT_WRITABLE | RP_EXPORT_MAY_COPY);
  assert_int_equal(t->flags, RPI_DLPACK_IS_COPIED);
  holds(t, (double[]){1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6});
  t->deleter(t);
  /* Bytes that are true in other ways are 1 in a copy. */
  uint8_t truth[3] = {0, 7, 1};
  rp_store *b;
  OK(rp_store_attach(ctx, RP_BOOL, 1, (int64_t[]){3}, truth, RP_READ_ONLY, &b));
  t = handed(b, RP_EXPORT_MUST_COPY);
  assert_memory_equal(t->dl_tensor.data, ((uint8_t[]){0, 1, 1}), 3);
  t->deleter(t);
  drop(b);
  drop(wide);
  drop(v);
  drop(s);
}

static void test_legacy(void **state) {
  (void)state;
  rp_store *s = check_vector(ctx, 2, (double[]){1, 2});
  struct DLManagedTensor *t = NULL;
  rp_export_desc d = {.struct_size = sizeof d};
  FAILS(RP_ERR_ACCESS, "cannot say that it is read-only", rp_store_export_dlpack_legacy(s, &d, &t));
  assert_null(t);
  d.flags = RP_EXPORT_MAY_COPY;
  OK(rp_store_export_dlpack_legacy(s, &d, &t));
  assert_true(((double *)t->dl_tensor.data)[1] == 2);
  t->deleter(t);
  d.flags = RP_EXPORT_WRITABLE;
  OK(rp_store_export_dlpack_legacy(s, &d, &t));
  ((double *)t->dl_tensor.data)[1] = 5;
  check_values(s, (double[]){1, 5});
  t->deleter(t);
  drop(s);
}

static void test_export_refused(void **state) {
  (void)state;
  rp_store *s = check_vector(ctx, 2, (double[]){1, 2}), *lent;
  double a[2] = {3, 4};
  tensor *t = (tensor *)&s;
  rp_export_desc d = {.struct_size = sizeof d, .device_type = 2};
  FAILS(RP_ERR_DEVICE, "uses none", rp_store_export_dlpack(s, &d, &t));
  assert_null(t);
  d.device_type = 8;
  FAILS(RP_ERR_DEVICE, "device_type is 8", rp_store_export_dlpack(s, &d, &t));
  d.device_type = 1;
  d.flags = 64;
  FAILS(RP_ERR_ARGUMENT, "flags is 64", rp_store_export_dlpack(s, &d, &t));
  d.flags = 0;
  d.max_major = -1;
  FAILS(RP_ERR_ARGUMENT, "-1.0", rp_store_export_dlpack(s, &d, &t));
  d.max_major = 1;
  d.struct_size = 8;
  FAILS(RP_ERR_ARGUMENT, "struct_size is 8", rp_store_export_dlpack(s, &d, &t));
  d.struct_size = sizeof d;
  FAILS(RP_ERR_ARGUMENT, "out is NULL", rp_store_export_dlpack(s, &d, NULL));
  FAILS(RP_ERR_ARGUMENT, "store is NULL", rp_store_export_dlpack(NULL, &d, &t));
  OK(rp_store_attach(ctx, RP_F64, 1, (int64_t[]){2}, a, RP_READ_ONLY, &lent));
  d.flags = RP_EXPORT_WRITABLE;
  FAILS(RP_ERR_ACCESS, "attached read-only", rp_store_export_dlpack(lent, &d, &t));
  t = handed(lent, 0);
  assert_ptr_equal(t->dl_tensor.data, a);
  FAILS(RP_ERR_STATE, "1 tensors", rp_store_detach(lent));
  t->deleter(t);
  OK(rp_store_detach(lent));
  drop(lent);
  drop(s);
  int32_t device = 0, type = 0, id = 9;
  int64_t stream = 1;
  rp_store *live = check_vector(ctx, 2, NULL);
  FAILS(RP_ERR_DEVICE, "no GPU", rp_context_gpu(ctx, &device, &stream));
  assert_int_equal(device, -1);
  OK(rp_store_device(live, &type, &id));
  assert_int_equal(type, 1);
  assert_int_equal(id, 0);
  FAILS(RP_ERR_DEVICE, "no GPU",
        rp_store_attach_device(ctx, RP_F64, 1, (int64_t[]){2}, a, 0, 1, RP_READ_WRITE, &s));
  assert_null(s);
  drop(live);
}

/* ---- how long ---- */

static void *delete_it(void *arg) {
  tensor *t = arg;
  t->deleter(t);
  return NULL;
}

/* Holders end on threads of their own, while the context works, and after it. */
static void test_threads(void **state) {
  (void)state;
  enum { N = 24 };
  tensor *t[N];
  pthread_t thread[N];
  double a[3] = {1, 2, 3};
  int deleted = 0;
  rp_context *c = check_context("");
  rp_store *s = check_vector(c, 3, a), *in;
  OK(rp_store_import_dlpack(c, tensor_make(a, 1, (int64_t[]){3}, NULL, &deleted), 0, &in));
  for (int i = 0; i < N; i++)
    t[i] = handed(i % 3 == 2 ? in : s, i % 3 == 0 ? RP_EXPORT_WRITABLE : 0);
  for (int i = 0; i < N / 2; i++)
    assert_int_equal(pthread_create(&thread[i], NULL, delete_it, t[i]), 0);
  for (int i = 0; i < 50; i++) OK(EVAL(c, "s", "s = s + 1", s));
  for (int i = 0; i < N / 2; i++) pthread_join(thread[i], NULL);
  drop(in);
  assert_int_equal(deleted, 0);
  OK(rp_context_destroy(c));
  assert_int_equal(deleted, 0);
  holds(t[N - 1], a); /* beyond its context */
  for (int i = N / 2; i < N; i++)
    assert_int_equal(pthread_create(&thread[i], NULL, delete_it, t[i]), 0);
  for (int i = N / 2; i < N; i++) pthread_join(thread[i], NULL);
  assert_int_equal(deleted, 1);
  drop(s);
}

static void test_destroyed(void **state) {
  (void)state;
  double a[3] = {1, 2, 3};
  int deleted = 0;
  rp_context *c = check_context("");
  rp_store *in;
  OK(rp_store_import_dlpack(c, tensor_make(a, 1, (int64_t[]){3}, NULL, &deleted), 0, &in));
  OK(EVAL(c, "s", "s = s + 1", in));
  OK(rp_context_destroy(c));
  assert_int_equal(deleted, 1);
  drop(in);
  assert_int_equal(deleted, 1);
  /* A finalizer's release. */
  OK(rp_store_import_dlpack(ctx, tensor_make(a, 1, (int64_t[]){3}, NULL, &deleted), 0, &in));
  OK(rp_store_release_any(in));
  OK(rp_wait(ctx));
  assert_int_equal(deleted, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_import),
                                     cmocka_unit_test(test_import_strides),
                                     cmocka_unit_test(test_import_kinds),
                                     cmocka_unit_test(test_import_forms),
                                     cmocka_unit_test(test_import_refused),
                                     cmocka_unit_test(test_snapshot),
                                     cmocka_unit_test(test_snapshot_replayed),
                                     cmocka_unit_test(test_window),
                                     cmocka_unit_test(test_window_index),
                                     cmocka_unit_test(test_copy),
                                     cmocka_unit_test(test_legacy),
                                     cmocka_unit_test(test_export_refused),
                                     cmocka_unit_test(test_threads),
                                     cmocka_unit_test(test_destroyed)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
