/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_exchange_gpu.c -- memory and tensors of another library on a GPU, which is the emulated one that
 * RPI_EMULATED_CUDA names (else 77). The other library has a stream of its own. Work of a stream runs there only when it is waited for,
 * so values show whether streams wait for each other. */
#include "tests/support/api_check.h"

#include <pthread.h>

#include "core/device/cuda.h"
#include "tests/support/lent_tensor.h"

typedef struct DLManagedTensorVersioned tensor;
enum { N = 600 };

static const char *library;
static const rpi_cuda *cu;
static CUcontext other;
static CUstream theirs;
static int64_t stream;

/* ---- the other library ---- */

#define CU(call) assert_int_equal(call, CUDA_SUCCESS)

static int setup(void **state) {
  (void)state;
  CUdevice d;
  OK(rpi_cuda_open(library, &cu));
  CU(cu->device_get(&d, 0));
  CU(cu->context_retain(&other, d));
  CU(cu->context_push(other));
  CU(cu->stream_create(&theirs, CU_STREAM_NON_BLOCKING));
  stream = (int64_t)(intptr_t)theirs;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  CUcontext now;
  CU(cu->stream_destroy(theirs));
  CU(cu->context_pop(&now));
  CU(cu->context_release(0));
  return 0;
}

/* first, first + 1, ... is on its way to p. */
static void ramp_to(CUdeviceptr p, double first) {
  double data[N];
  for (int i = 0; i < N; i++) data[i] = first + i;
  CU(cu->upload(p, data, sizeof data, theirs));
}

static CUdeviceptr block(double first) {
  CUdeviceptr p;
  CU(cu->memory_get(&p, (N + 1) * sizeof(double), theirs));
  ramp_to(p, first);
  return p;
}

/* What their stream finds at p is scale * (first + i). */
static void finds(CUdeviceptr p, double first, double scale) {
  double data[N];
  CU(cu->download(data, p, sizeof data, theirs));
  CU(cu->stream_wait(theirs));
  for (int i = 0; i < N; i++)
    if (data[i] != scale * (first + i)) fail_msg("element %d is %g", i, data[i]);
}

static void is_ramp(rp_store *s, double first, double scale) {
  double want[N];
  for (int i = 0; i < N; i++) want[i] = scale * (first + i);
  check_values(s, want);
}

static rp_context *context(void) {
  char config[9000];
  rp_context *c = NULL;
  snprintf(
      config, sizeof config,
      "--gpus 1 --cuda %s --nvrtc %s --tier 1 --threads 1 --pin off --cc none --cache_dir none",
      library, library);
  OK(rp_context_create(config, &c));
  return c;
}

static rp_store *lend(rp_context *c, CUdeviceptr p, int32_t access) {
  rp_store *s;
  OK(rp_store_attach_device(c, RP_F64, 1, (int64_t[]){N}, (void *)(uintptr_t)p, 0, stream, access,
                            &s));
  return s;
}

static void drop(rp_store *s) { OK(rp_store_release(s)); }

/* ---- memory without a tensor ---- */

static void test_attach(void **state) {
  (void)state;
  rp_context *c = context();
  const CUdeviceptr p = block(0);
  rp_store *s = lend(c, p, RP_READ_WRITE), *y = check_vector(c, N, (double[N]){0});
  OK(EVAL(c, "s", "s = 2*s", s));
  OK(EVAL(c, "y, s", "y = s", y, s));
  const int64_t waits = check_stat(c, "gpu_waits");
  OK(rp_store_home_stream(s, stream));
  assert_int_equal(check_stat(c, "gpu_waits"), waits);
  finds(p, 0, 2);
  ramp_to(p, 5); /* their turn: what their stream does comes before our next launch */
  OK(EVAL(c, "s", "s = 3*s", s));
  is_ramp(s, 5, 3);
  OK(rp_store_home(s)); /* the host waits */
  finds(p, 5, 3);
  is_ramp(y, 0, 2);
  for (int pass = 0; pass < 6; pass++) {
    ramp_to(p, pass);
    OK(rp_store_home_stream(s, stream));
    ramp_to(p, pass);
    OK(rp_trace_begin(c, 1));
    OK(EVAL(c, "s, y", "y = s + 1; s = 2*s", s, y));
    OK(rp_trace_end(c, 1));
    OK(rp_store_home_stream(s, stream));
    finds(p, pass, 2);
    is_ramp(y, pass + 1, 1);
  }
  OK(rp_store_detach_stream(s, stream));
  ramp_to(p, 0);
  is_ramp(s, 5, 2);
  drop(s);
  /* After the release of the last handle nothing uses it. */
  s = lend(c, p, RP_READ_WRITE);
  OK(EVAL(c, "y, s", "y = s", y, s));
  drop(s);
  CU(cu->memory_put(p, theirs));
  CU(cu->stream_wait(theirs));
  is_ramp(y, 0, 1);
  drop(y);
  OK(rp_context_destroy(c));
}

/* Memory that begins anywhere is used where it lies, and by copies that share it. */
static void test_unaligned(void **state) {
  (void)state;
  rp_context *c = context();
  const CUdeviceptr p = block(0), q = block(7);
  rp_store *s = lend(c, p + sizeof(double), RP_READ_WRITE), *y = check_vector(c, N, NULL),
           *copy = check_vector(c, N, NULL), *even = lend(c, q, RP_READ_ONLY);
  CU(cu->upload(p + sizeof(double), (double[N]){0}, N * sizeof(double), theirs));
  ramp_to(p + sizeof(double), 1);
  OK(rp_store_home_stream(s, stream));
  OK(EVAL(c, "y, s", "y = 2*s", y, even));
  OK(rp_wait(c));
  char *text = check_explained(c);
  assert_null(strstr(text, "no multiple of 16 bytes"));
  free(text);
  OK(EVAL(c, "y, s", "y = 2*s", y, s));
  is_ramp(y, 1, 2);
  text = check_explained(c);
  assert_non_null(strstr(text, "no multiple of 16 bytes"));
  free(text);
  OK(rp_store_copy(copy, s));
  OK(rp_wait(c));
  const int64_t shared = check_stat(c, "gpu_memory_live");
  OK(EVAL(c, "y, s", "y = 3*s", y, copy)); /* whose class is another: it gets memory of its own */
  is_ramp(y, 1, 3);
  assert_int_equal(check_stat(c, "gpu_memory_live") - shared, N * sizeof(double));
  OK(EVAL(c, "s", "s = 2*s", s));
  OK(rp_store_home_stream(s, stream));
  finds(p + sizeof(double), 1, 2);
  is_ramp(copy, 1, 1);
  drop(s);
  drop(y);
  drop(copy);
  drop(even);
  CU(cu->memory_put(p, theirs));
  CU(cu->memory_put(q, theirs));
  OK(rp_context_destroy(c));
}

static void test_refused(void **state) {
  (void)state;
  rp_context *c = context();
  const CUdeviceptr p = block(0);
  void *at = (void *)(uintptr_t)p;
  double host[N];
  const int64_t n = N;
  rp_store *s = lend(c, p, RP_READ_ONLY), *t;
#define ATTACH(data, device, order, access) \
  rp_store_attach_device(c, RP_F64, 1, &n, data, device, order, access, &t)
  FAILS(RP_ERR_ACCESS, "attached already", ATTACH(at, 0, stream, RP_READ_WRITE));
  FAILS(RP_ERR_DEVICE, "device is 1, but the context uses GPU 0",
        ATTACH(at, 1, stream, RP_READ_ONLY));
  FAILS(RP_ERR_ARGUMENT, "no memory of a GPU", ATTACH(host, 0, stream, RP_READ_ONLY));
  FAILS(RP_ERR_ARGUMENT, "access is 5", ATTACH(at, 0, stream, 5));
  FAILS(RP_ERR_ARGUMENT, "data is NULL", ATTACH(NULL, 0, stream, RP_READ_ONLY));
  FAILS(RP_ERR_ARGUMENT, "aligned to 8", ATTACH((char *)at + 4, 0, stream, RP_READ_ONLY));
  FAILS(RP_ERR_ARGUMENT, "stream is 0", rp_store_home_stream(s, 0));
  FAILS(RP_ERR_ACCESS, "read-only", EVAL(c, "s", "s = 1", s));
  drop(s);
  FAILS(RP_ERR_ARGUMENT, "stream is 0", ATTACH(at, 0, 0, RP_READ_ONLY));
  FAILS(RP_ERR_ARGUMENT, "stream is -2", ATTACH(at, 0, -2, RP_READ_ONLY));
  int32_t device, type, id;
  int64_t ours;
  OK(rp_context_gpu(c, &device, &ours));
  assert_int_equal(device, 0);
  assert_true(ours > 2);
  s = check_vector(c, N, NULL);
  OK(rp_store_device(s, &type, &id));
  assert_int_equal(type, 2);
  tensor *out;
  const rp_export_desc d = {
      .struct_size = sizeof d, .device_type = 2, .device_id = 3, .stream = stream};
  FAILS(RP_ERR_DEVICE, "GPU 3 is asked for", rp_store_export_dlpack(s, &d, &out));
  const rp_export_desc e = {.struct_size = sizeof e, .device_type = 2};
  FAILS(RP_ERR_ARGUMENT, "stream is 0", rp_store_export_dlpack(s, &e, &out));
  drop(s);
  CU(cu->memory_put(p, theirs));
  OK(rp_context_destroy(c));
}

/* ---- tensors ---- */

static void test_import(void **state) {
  (void)state;
  rp_context *c = context();
  const CUdeviceptr p = block(3);
  int deleted = 0;
  tensor *t = tensor_make((void *)(uintptr_t)p, 1, (int64_t[]){N}, NULL, &deleted);
  rp_store *s, *y = check_vector(c, N, NULL);
  t->dl_tensor.device = (rpi_dlpack_device){RPI_DLPACK_CUDA, 1};
  FAILS(RP_ERR_DEVICE, "GPU 1", rp_store_import_dlpack(c, t, stream, &s));
  t->dl_tensor.device.device_id = 0;
  OK(rp_store_import_dlpack(c, t, stream, &s));
  OK(EVAL(c, "y, s", "y = 2*s", y, s));
  drop(s);
  assert_int_equal(deleted, 1);
  CU(cu->memory_put(p, theirs)); /* at once, as their deleter may */
  CU(cu->stream_wait(theirs));
  is_ramp(y, 3, 2);
  drop(y);
  OK(rp_context_destroy(c));
}

static tensor *handed(rp_store *s, int32_t flags, int32_t type) {
  const rp_export_desc d = {
      .struct_size = sizeof d, .flags = flags, .device_type = type, .stream = stream};
  tensor *t = NULL;
  OK(rp_store_export_dlpack(s, &d, &t));
  return t;
}

static CUdeviceptr place(const tensor *t) { return (CUdeviceptr)(uintptr_t)t->dl_tensor.data; }

static rp_store *ramp(rp_context *c, double first) {
  double data[N];
  for (int i = 0; i < N; i++) data[i] = first + i;
  return check_vector(c, N, data);
}

static void test_snapshot(void **state) {
  (void)state;
  rp_context *c = context();
  rp_store *s = ramp(c, 1);
  OK(EVAL(c, "s", "s = 2*s", s));
  tensor *t = handed(s, 0, 0), *h = handed(s, 0, 1);
  assert_int_equal(t->dl_tensor.device.device_type, RPI_DLPACK_CUDA);
  assert_int_equal(t->flags, RPI_DLPACK_READ_ONLY);
  assert_int_equal(h->dl_tensor.device.device_type, RPI_DLPACK_CPU);
  OK(EVAL(c, "s", "s = 5*s", s));
  finds(place(t), 1, 2);
  is_ramp(s, 1, 10);
  for (int i = 0; i < N; i++) assert_true(((double *)h->dl_tensor.data)[i] == 2.0 * (1 + i));
  /* Work of the holder that is under way when he lets go comes before the memory is used again. */
  CUdeviceptr keep;
  CU(cu->memory_get(&keep, N * sizeof(double), theirs));
  CU(cu->copy(keep, place(t), N * sizeof(double), theirs));
  t->deleter(t);
  drop(s);
  h->deleter(h);
  rp_store *r = ramp(c, 100), *q = check_vector(c, N, NULL);
  OK(EVAL(c, "q, r", "q = 7*r", q, r));
  is_ramp(q, 100, 7);
  finds(keep, 1, 2);
  CU(cu->memory_put(keep, theirs));
  drop(r);
  drop(q);
  OK(rp_context_destroy(c));
}

static void test_window(void **state) {
  (void)state;
  rp_context *c = context();
  rp_store *s = ramp(c, 1), *y = check_vector(c, N, NULL);
  OK(EVAL(c, "s", "s = s + 0", s));
  const int64_t waits = check_stat(c, "gpu_waits");
  tensor *t = handed(s, RP_EXPORT_WRITABLE, 0);
  assert_int_equal(check_stat(c, "gpu_waits"), waits);
  FAILS(RP_ERR_ACCESS, "other side, and a copy is not allowed",
        rp_store_export_dlpack(
            s, &(rp_export_desc){.struct_size = sizeof(rp_export_desc), .device_type = 1},
            &(tensor *){NULL}));
  finds(place(t), 1, 1);
  for (int pass = 0; pass < 6; pass++) {
    ramp_to(place(t), pass);
    OK(rp_trace_begin(c, 2));
    OK(EVAL(c, "s, y", "y = s + 1; s = 2*s", s, y));
    OK(rp_trace_end(c, 2));
    OK(rp_store_home_stream(s, stream));
    finds(place(t), pass, 2);
    is_ramp(y, pass + 1, 1);
  }
  ramp_to(place(t), 40);
  double one;
  OK(rp_store_read_part(s, (int64_t[]){2}, (int64_t[]){3}, &one, sizeof one));
  assert_true(one == 42);
  t->deleter(t);
  OK(EVAL(c, "s", "s = s + 1", s));
  is_ramp(s, 41, 1);
  drop(s);
  drop(y);
  OK(rp_context_destroy(c));
}

static void test_copy(void **state) {
  (void)state;
  rp_context *c = context();
  rp_store *s = ramp(c, 1), *back;
  OK(rp_store_slice(s, 0, INT64_MAX, INT64_MIN, -1, &back));
  tensor *t = handed(s, RP_EXPORT_MUST_COPY, 2), *u = handed(back, RP_EXPORT_MUST_COPY, 2);
  assert_int_equal(t->flags, RPI_DLPACK_IS_COPIED);
  ramp_to(place(t), 9);
  is_ramp(s, 1, 1);
  double data[N];
  CU(cu->download(data, place(u), sizeof data, theirs));
  CU(cu->stream_wait(theirs));
  for (int i = 0; i < N; i++) assert_true(data[i] == N - i);
  t->deleter(t);
  u->deleter(u);
  drop(back);
  drop(s);
  OK(rp_context_destroy(c));
}

/* What is held stays where it is when the GPU is full. */
static void test_full(void **state) {
  (void)state;
  char config[9000];
  rp_context *c = NULL;
  enum { LARGE = 1 << 16, MOST = 8 }; /* of 512 KiB; 2 MiB are allowed */
  snprintf(config, sizeof config,
           "--gpus 1 --gpu_mb 2 --cuda %s --nvrtc %s --tier 1 --threads 1 --pin off --cc none "
           "--cache_dir none",
           library, library);
  OK(rp_context_create(config, &c));
  rp_store *s[MOST];
  for (int i = 0; i < MOST; i++) s[i] = check_vector(c, LARGE, NULL);
  OK(EVAL(c, "s", "s = 3", s[0]));
  tensor *t = handed(s[0], 0, 0);
  for (int i = 1; i < MOST; i++) {
    OK(EVAL(c, "s", "s = 4", s[i]));
    OK(rp_wait(c));
  }
  double data[3];
  CU(cu->download(data, place(t), sizeof data, theirs));
  CU(cu->stream_wait(theirs));
  assert_true(data[0] == 3 && data[2] == 3);
  t->deleter(t);
  for (int i = 0; i < MOST; i++) drop(s[i]);
  OK(rp_context_destroy(c));
}

static void *delete_it(void *arg) {
  tensor *t = arg;
  t->deleter(t);
  return NULL;
}

/* A tensor outlives its context, and ends on another thread. */
static void test_outlives(void **state) {
  (void)state;
  rp_context *c = context();
  rp_store *s = ramp(c, 1);
  OK(EVAL(c, "s", "s = 2*s", s));
  tensor *t = handed(s, 0, 0), *w = handed(s, RP_EXPORT_WRITABLE, 0);
  OK(rp_context_destroy(c));
  drop(s);
  finds(place(t), 1, 2);
  finds(place(w), 1, 2);
  pthread_t thread[2];
  assert_int_equal(pthread_create(&thread[0], NULL, delete_it, t), 0);
  assert_int_equal(pthread_create(&thread[1], NULL, delete_it, w), 0);
  pthread_join(thread[0], NULL);
  pthread_join(thread[1], NULL);
}

int main(void) {
  library = getenv("RPI_EMULATED_CUDA");
  if (!library || !*library) {
    printf("RPI_EMULATED_CUDA names no emulated driver\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_attach),   cmocka_unit_test(test_unaligned),
      cmocka_unit_test(test_refused),  cmocka_unit_test(test_import),
      cmocka_unit_test(test_snapshot), cmocka_unit_test(test_window),
      cmocka_unit_test(test_copy),     cmocka_unit_test(test_full),
      cmocka_unit_test(test_outlives)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
