/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_context.c -- contexts through the public interface: options, errors, the end of
 * a context with stores still held, threads, callbacks, forks, wrong handles. */
#include "tests/support/api_check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- names and numbers ---- */

static void test_facts(void **state) {
  (void)state;
  assert_int_equal(rp_version(),
                   RP_VERSION_MAJOR * 10000 + RP_VERSION_MINOR * 100 + RP_VERSION_PATCH);
  assert_string_equal(rp_status_name(RP_OK), "RP_OK");
  assert_string_equal(rp_status_name(RP_ERR_SHAPE), "RP_ERR_SHAPE");
  assert_string_equal(rp_status_name(RP_ERR_INTERNAL), "RP_ERR_INTERNAL");
  assert_string_equal(rp_status_name(RP_ERR_RANKS), "RP_ERR_RANKS");
  assert_string_equal(rp_status_name(RP_ERR_DEVICE), "RP_ERR_DEVICE");
  assert_string_equal(rp_status_name(-17), "RP_ERR_?");
  assert_string_equal(rp_status_name(1), "RP_ERR_?");
  assert_string_equal(rp_status_name(INT32_MIN), "RP_ERR_?");
  assert_string_equal(rp_dtype_name(RP_U16), "u16");
  assert_string_equal(rp_dtype_name(11), "?");
  assert_string_equal(rp_dtype_name(-1), "?");
  assert_int_equal(rp_dtype_size(RP_BOOL), 1);
  assert_int_equal(rp_dtype_size(RP_F64), 8);
  assert_int_equal(rp_dtype_size(11), 0);
  rp_dtype t = 77;
  OK(rp_dtype_promote(RP_U64, RP_I64, &t));
  assert_int_equal(t, RP_F64);
  OK(rp_dtype_promote(RP_F32, RP_I8, &t));
  assert_int_equal(t, RP_F32);
  FAILS(RP_ERR_DTYPE, "99", rp_dtype_promote(RP_F32, 99, &t));
  assert_int_equal(t, 0);
  FAILS(RP_ERR_ARGUMENT, "out", rp_dtype_promote(RP_F32, RP_F32, NULL));
}

static void *empty_sentence(void *unused) {
  (void)unused;
  return rp_last_error()[0] == 0 ? NULL : (void *)"not empty";
}

static void test_sentences(void **state) {
  (void)state;
  assert_int_equal(rp_error_set(RP_ERR_IO, "no such file: 17"), RP_ERR_IO);
  assert_string_equal(rp_last_error(), "no such file: 17");
  pthread_t t; /* each thread has its own */
  void *wrong = NULL;
  assert_int_equal(pthread_create(&t, NULL, empty_sentence, NULL), 0);
  pthread_join(t, &wrong);
  assert_null(wrong);
  rp_context *c = check_context("");
  assert_string_equal(rp_last_error(), "no such file: 17"); /* success leaves it */
  OK(rp_context_destroy(c));
  assert_int_equal(rp_error_set(RP_ERR_IO, NULL), RP_ERR_IO);
  assert_string_equal(rp_last_error(), "");
}

/* ---- options ---- */

/* The value column of a knob's line in rp_config_print's table. */
static void knob(rp_context *c, const char *name, char *value, size_t size) {
  size_t need = 0;
  OK(rp_config_print(c, NULL, 0, &need));
  char *text = malloc(need + 1);
  assert_non_null(text);
  OK(rp_config_print(c, text, need + 1, &need));
  assert_int_equal(strlen(text), need);
  value[0] = 0;
  for (char *line = text; line; line = strchr(line, '\n')) {
    line += *line == '\n';
    char key[64], val[64];
    if (sscanf(line, "%63s %63s", key, val) == 2 && strcmp(key, name) == 0)
      snprintf(value, size, "%s", val);
  }
  free(text);
}

static void expect_knob(rp_context *c, const char *name, const char *want) {
  char value[64];
  knob(c, name, value, sizeof value);
  assert_string_equal(value, want);
}

static void test_options(void **state) {
  (void)state;
  rp_context *c;
  OK(rp_context_create("--fusion off --max-tasks 17", &c));
  expect_knob(c, "fusion", "off");
  expect_knob(c, "max_tasks", "17");
  expect_knob(c, "tracing", "on");
  expect_knob(NULL, "fusion", "on");
  char small[8];
  size_t need = 0, whole = 0;
  memset(small, 'x', sizeof small);
  OK(rp_config_print(c, small, 5, &need));
  assert_int_equal(strlen(small), 4);
  assert_int_equal(small[5], 'x');
  OK(rp_config_print(c, NULL, 0, &whole));
  assert_int_equal(whole, need);
  OK(rp_config_print(c, small, sizeof small, NULL));
  OK(rp_context_destroy(c));
  /* The environment: one variable per knob before REPRISE_CONFIG, the string before both. */
  setenv("REPRISE_CONFIG", "--window 5 --max-tasks 6 --fusion off", 1);
  setenv("REPRISE_MAX_TASKS", "7", 1);
  OK(rp_context_create("--fusion on", &c));
  expect_knob(c, "window", "5");
  expect_knob(c, "max_tasks", "7");
  expect_knob(c, "fusion", "on");
  OK(rp_context_destroy(c));
  setenv("REPRISE_MAX_TASKS", "0", 1);
  c = (rp_context *)&c;
  FAILS(RP_ERR_CONFIG, "REPRISE_MAX_TASKS", rp_context_create(NULL, &c));
  assert_null(c);
  unsetenv("REPRISE_MAX_TASKS");
  unsetenv("REPRISE_CONFIG");
}

static void test_bad_options(void **state) {
  (void)state;
  rp_context *c = NULL;
  FAILS(RP_ERR_CONFIG, "fusin", rp_context_create("--fusin off", &c));
  FAILS(RP_ERR_CONFIG, "maybe", rp_context_create("--fusion maybe", &c));
  FAILS(RP_ERR_CONFIG, "5000", rp_context_create("--threads 5000", &c));
  FAILS(RP_ERR_CONFIG, "threads", rp_context_create("--threads", &c));
  FAILS(RP_ERR_CONFIG, "3", rp_context_create("--tier 3", &c));
  assert_null(c);
  FAILS(RP_ERR_ARGUMENT, "out", rp_context_create(NULL, NULL));
}

/* ---- several contexts ---- */

static void test_two_contexts(void **state) {
  (void)state;
  rp_context *a = check_context(""), *b = check_context("--fusion off");
  rp_store *x = check_vector(a, 3, (double[]){1, 2, 3}), *y = check_vector(b, 3, NULL);
  assert_ptr_equal(rp_store_context(x), a);
  assert_ptr_equal(rp_store_context(y), b);
  FAILS(RP_ERR_ARGUMENT, "stores[1]", EVAL(b, "y, x", "y = x", y, x));
  FAILS(RP_ERR_ARGUMENT, "another context", rp_store_copy(y, x));
  OK(EVAL(a, "x", "x = 2*x", x));
  OK(EVAL(b, "y", "y = 7", y));
  check_values(x, (double[]){2, 4, 6});
  OK(rp_store_release(x));
  OK(rp_context_destroy(a));
  check_values(y, (double[]){7, 7, 7});
  OK(rp_store_release(y));
  OK(rp_context_destroy(b));
}

/* ---- the end ---- */

static int32_t destroyed;
static void count_data(void *data) { destroyed += *(int32_t *)data; }

static void test_client_data(void **state) {
  (void)state;
  static const char key, other;
  int32_t one = 1, ten = 10;
  rp_context *c = check_context("");
  destroyed = 0;
  assert_null(rp_context_data(c, &key));
  assert_null(rp_context_data(NULL, &key));
  FAILS(RP_ERR_ARGUMENT, "key", rp_context_set_data(c, NULL, &one, NULL));
  OK(rp_context_set_data(c, &key, &one, count_data));
  OK(rp_context_set_data(c, &other, &ten, NULL));
  assert_ptr_equal(rp_context_data(c, &key), &one);
  OK(rp_context_set_data(c, &key, &ten, count_data));
  assert_int_equal(destroyed, 1);
  assert_ptr_equal(rp_context_data(c, &key), &ten);
  assert_ptr_equal(rp_context_data(c, &other), &ten);
  OK(rp_context_destroy(c));
  assert_int_equal(destroyed, 11);
}

/* Without a GPU, where memory that is lent is worked on where it lies: on one nobody has asked for its values. */
static void test_destroy_runs_pending(void **state) {
  (void)state;
  rp_context *c = check_context("--gpus 0");
  double data[3] = {1, 2, 3};
  int64_t n = 3;
  rp_store *x, *held[3];
  OK(rp_store_attach(c, RP_F64, 1, &n, data, RP_READ_WRITE, &x));
  OK(EVAL(c, "x", "x = x + 1", x));
  OK(rp_store_slice(x, 0, 0, 2, 1, &held[0]));
  held[1] = check_vector(c, 5, NULL);
  held[2] = check_vector(c, 5, NULL);
  OK(rp_store_retain(held[2]));
  OK(rp_context_destroy(c));
  assert_int_equal(data[2], 4);
  /* Shells: nothing but releasing is legal, and that is. */
  assert_null(rp_store_context(held[1]));
  FAILS(RP_ERR_STATE, "destroyed", rp_store_wait(held[1]));
  FAILS(RP_ERR_STATE, "destroyed", rp_store_retain(held[1]));
  OK(rp_store_release(held[2]));
  OK(rp_store_release_any(held[0]));
  OK(rp_store_release(held[1]));
  OK(rp_store_release(x));
  OK(rp_store_release_any(held[2]));
  OK(rp_store_release(NULL));
  OK(rp_store_release_any(NULL));
  OK(rp_context_destroy(NULL));
}

/* ---- other threads ---- */

enum { N_HANDLES = 200 };

static void *release_all(void *stores) {
  rp_store **s = stores;
  for (int i = 0; i < N_HANDLES; i++)
    if (rp_store_release_any(s[i]) != RP_OK) return "failed";
  return NULL;
}

static void test_release_any(void **state) {
  (void)state;
  for (int after = 0; after < 2; after++) {
    rp_context *c = check_context("");
    rp_store *a[N_HANDLES], *b[N_HANDLES];
    const int64_t n = 100;
    for (int i = 0; i < N_HANDLES; i++) {
      a[i] = check_vector(c, n, NULL);
      OK(EVAL(c, "a", "a = 1", a[i]));
      if (i % 2) {
        OK(rp_store_retain(a[i]));
        b[i] = a[i];
      } else {
        OK(rp_store_slice(a[i], 0, 1, 9, 2, &b[i]));
      }
    }
    OK(rp_wait(c));
    if (after) OK(rp_context_destroy(c));
    pthread_t t[2];
    assert_int_equal(pthread_create(&t[0], NULL, release_all, a), 0);
    assert_int_equal(pthread_create(&t[1], NULL, release_all, b), 0);
    for (int i = 0; i < 40 && !after; i++) { /* the context works meanwhile */
      rp_store *s = check_vector(c, n, NULL);
      OK(EVAL(c, "s", "s = s + 1", s));
      OK(rp_store_release(s));
    }
    for (int i = 0; i < 2; i++) {
      void *wrong = NULL;
      pthread_join(t[i], &wrong);
      assert_null(wrong);
    }
    if (after) continue;
    OK(rp_wait(c));
    assert_int_equal(check_stat(c, "memory_live"), 0);
    OK(rp_context_destroy(c));
  }
}

static atomic_int inside, leave;
static rp_context *callback_ctx;
static rp_store *callback_store;
static rp_op *callback_op;
static rp_status callback_status[6];
static char callback_sentence[256];

static void block(void) {
  atomic_store(&inside, 1);
  while (!atomic_load(&leave)) usleep(100);
}

static void *wait_there(void *ctx) { return rp_wait(ctx) == RP_OK ? NULL : (void *)"failed"; }

static rp_op *opaque(rp_context *c, const char *name, void (*f)(void)) {
  rp_library *lib;
  rp_op *op;
  OK(rp_library_create(c, "test", &lib));
  const int32_t privileges[] = {RP_PRIV_READ_WRITE};
  const rp_opaque_desc d = {.struct_size = sizeof d,
                            .name = name,
                            .params = "x",
                            .privileges = privileges,
                            .function = f};
  OK(rp_op_create_opaque(lib, &d, &op));
  return op;
}

static void test_second_thread(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *x = check_vector(c, 3, NULL), *out = x;
  rp_op *op = opaque(c, "block", block);
  OK(rp_launch(op, STORES(x), 1, NULL, 0));
  atomic_store(&inside, 0);
  atomic_store(&leave, 0);
  pthread_t t;
  assert_int_equal(pthread_create(&t, NULL, wait_there, c), 0);
  while (!atomic_load(&inside)) usleep(100);
  double v[3];
  int64_t n = 3, number = 5;
  FAILS(RP_ERR_THREAD, "thread", rp_wait(c));
  FAILS(RP_ERR_THREAD, "rp_store_read", rp_store_read(x, v, sizeof v));
  FAILS(RP_ERR_THREAD, "thread", rp_launch(op, STORES(x), 1, NULL, 0));
  FAILS(RP_ERR_THREAD, "thread", rp_store_create(c, RP_F64, 1, &n, &out));
  assert_null(out);
  FAILS(RP_ERR_THREAD, "thread", rp_store_retain(x));
  FAILS(RP_ERR_THREAD, "thread", rp_store_release(x));
  FAILS(RP_ERR_THREAD, "thread", rp_trace_begin(c, 1));
  FAILS(RP_ERR_THREAD, "thread", rp_stat(c, "launches", &number));
  assert_int_equal(number, 0);
  FAILS(RP_ERR_THREAD, "thread", rp_context_destroy(c));
  OK(rp_store_retain(x) == RP_ERR_THREAD ? RP_OK : RP_ERR_INTERNAL);
  OK(rp_store_release_any(x)); /* the exception */
  atomic_store(&leave, 1);
  void *wrong = NULL;
  pthread_join(t, &wrong);
  assert_null(wrong);
  OK(rp_wait(c));
  OK(rp_context_destroy(c));
}

static void call_back(void) {
  double v = 1;
  rp_store *s = callback_store;
  callback_status[0] = rp_wait(callback_ctx);
  snprintf(callback_sentence, sizeof callback_sentence, "%s", rp_last_error());
  callback_status[1] = rp_store_fill(callback_store, &v);
  callback_status[2] = rp_launch(callback_op, STORES(callback_store), 1, NULL, 0);
  callback_status[3] = rp_store_slice(callback_store, 0, 0, 1, 1, &s);
  callback_status[4] = rp_context_destroy(callback_ctx);
  callback_status[5] = rp_store_release(callback_store);
}

static void test_callback(void **state) {
  (void)state;
  rp_context *c = check_context(""), *other = check_context("");
  callback_ctx = c;
  callback_store = check_vector(c, 3, (double[]){1, 2, 3});
  callback_op = opaque(c, "call_back", call_back);
  OK(rp_launch(callback_op, STORES(callback_store), 1, NULL, 0));
  OK(rp_wait(c));
  for (int i = 0; i < 6; i++) assert_int_equal(callback_status[i], RP_ERR_STATE);
  assert_non_null(strstr(callback_sentence, "callback"));
  check_values(callback_store, (double[]){1, 2, 3});
  OK(rp_store_release(callback_store));
  /* With another context it may. */
  callback_ctx = other;
  callback_store = check_vector(other, 1, NULL);
  rp_store *x = check_vector(c, 1, NULL);
  OK(rp_store_retain(callback_store));
  callback_op = opaque(other, "noop", block);
  rp_op *op = opaque(c, "again", call_back);
  atomic_store(&leave, 1);
  OK(rp_launch(op, STORES(x), 1, NULL, 0));
  OK(rp_wait(c));
  for (int i = 0; i < 6; i++) assert_int_equal(callback_status[i], RP_OK);
  OK(rp_store_release(callback_store));
  OK(rp_store_release(x));
  OK(rp_context_destroy(c));
}

/* ---- a fork ---- */

static int child(rp_context *c, rp_store *x, rp_op *op, rp_library *lib) {
  double v[3] = {0};
  size_t need;
  int64_t n = 3, number;
  const int64_t lo[] = {0}, hi[] = {1};
  const int32_t axes[] = {0};
  const rp_opaque_desc desc = {
      .struct_size = sizeof desc, .name = "o", .params = "", .function = block};
  rp_store *s = NULL;
  rp_library *l;
  rp_op *o;
  const rp_status got[] = {rp_wait(c),
                           rp_wait_compiled(c),
                           rp_trace_begin(c, 1),
                           rp_trace_end(c, 1),
                           rp_stat(c, "launches", &number),
                           rp_explain(c, NULL, 0, &need),
                           rp_config_print(c, NULL, 0, &need),
                           rp_store_create(c, RP_F64, 1, &n, &s),
                           rp_store_scalar(c, RP_F64, v, &s),
                           rp_store_attach(c, RP_F64, 1, &n, v, RP_READ_ONLY, &s),
                           rp_store_home(x),
                           rp_store_detach(x),
                           rp_store_retain(x),
                           rp_store_wait(x),
                           rp_store_read(x, v, sizeof v),
                           rp_store_write(x, v, sizeof v),
                           rp_store_fill(x, v),
                           rp_store_copy(x, x),
                           rp_store_slice(x, 0, 0, 1, 1, &s),
                           rp_store_box(x, lo, hi, &s),
                           rp_store_transpose(x, axes, &s),
                           rp_store_promote(x, 0, 2, &s),
                           rp_store_project(x, 0, 0, &s),
                           rp_store_broadcast(x, 1, &n, &s),
                           rp_store_reshape(x, 1, &n, &s),
                           rp_store_read_part(x, lo, hi, v, sizeof *v),
                           rp_store_write_part(x, lo, hi, v, sizeof *v),
                           rp_op_create_opaque(lib, &desc, &o),
                           rp_launch(op, &x, 1, NULL, 0),
                           rp_call(op, &x, 1, NULL, 0),
                           EVAL(c, "x", "x = 1", x),
                           rp_library_create(c, "z", &l),
                           rp_op_create(lib, "z", "x", "x = 1", &o),
                           rp_context_set_data(c, &need, NULL, NULL)};
  for (size_t i = 0; i < sizeof got / sizeof *got; i++)
    if (got[i] != RP_ERR_STATE || !strstr(rp_last_error(), "fork")) return 10 + (int)i;
  if (rp_store_release(x) != RP_OK || rp_store_release_any(x) != RP_OK) return 2;
  if (rp_context_destroy(c) != RP_ERR_STATE) return 7;
  /* The child can have a context of its own, on the host: a GPU that its parent uses is none of its. */
  rp_context *own;
  if (rp_context_create("--tier 0 --threads 2 --cache-dir none --gpus 0", &own) != RP_OK) return 3;
  rp_store *y;
  if (rp_store_create(own, RP_F64, 1, &n, &y) != RP_OK) return 4;
  if (EVAL(own, "y", "y = 4", y) != RP_OK || rp_store_read(y, v, sizeof v) != RP_OK) return 5;
  if (v[2] != 4 || rp_store_release(y) != RP_OK || rp_context_destroy(own) != RP_OK) return 6;
  return 0;
}

static void test_fork(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_library *lib;
  rp_op *op;
  OK(rp_library_create(c, "test", &lib));
  OK(rp_op_create(lib, "twice", "x", "x = 2*x", &op));
  rp_store *x = check_vector(c, 3, (double[]){1, 2, 3});
  OK(rp_store_retain(x));
  OK(rp_launch(op, STORES(x), 1, NULL, 0));
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(child(c, x, op, lib));
  int status = -1;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  check_values(x, (double[]){2, 4, 6});
  OK(rp_store_release(x));
  OK(rp_store_release(x));
  OK(rp_context_destroy(c));
}

/* ---- wrong handles ---- */

static void test_handles(void **state) {
  (void)state;
  uint64_t foreign[64] = {0x1234567890abcdefu};
  rp_context *bad_c = (void *)foreign;
  rp_store *bad_s = (void *)foreign;
  rp_context *c = check_context("");
  rp_store *x = check_vector(c, 3, NULL), *keep = check_vector(c, 3, NULL), *s = x;
  rp_library *lib;
  rp_op *op;
  OK(rp_library_create(c, "test", &lib));
  OK(rp_op_create(lib, "one", "x", "x = 1", &op));
  FAILS(RP_ERR_ARGUMENT, "NULL", rp_wait(NULL));
  FAILS(RP_ERR_HANDLE, "no context", rp_wait(bad_c));
  FAILS(RP_ERR_HANDLE, "no context", rp_context_destroy(bad_c));
  FAILS(RP_ERR_ARGUMENT, "NULL", rp_store_wait(NULL));
  FAILS(RP_ERR_HANDLE, "no store", rp_store_wait(bad_s));
  FAILS(RP_ERR_HANDLE, "no store", rp_store_release(bad_s));
  FAILS(RP_ERR_HANDLE, "no store", rp_store_release_any(bad_s));
  FAILS(RP_ERR_HANDLE, "stores[0]", rp_launch(op, STORES(bad_s), 1, NULL, 0));
  FAILS(RP_ERR_HANDLE, "no op", rp_launch((rp_op *)foreign, STORES(x), 1, NULL, 0));
  FAILS(RP_ERR_ARGUMENT, "NULL", rp_launch(NULL, STORES(x), 1, NULL, 0));
  FAILS(RP_ERR_HANDLE, "no library", rp_op_create((rp_library *)foreign, "o", "x", "x = 1", &op));
  assert_null(op);
  OK(rp_op_create(lib, "one", "x", "x = 1", &op));
  assert_int_equal(rp_store_dtype(bad_s), -1);
  assert_int_equal(rp_store_ndim(NULL), -1);
  assert_int_equal(rp_store_extent(bad_s, 0), -1);
  assert_int_equal(rp_store_size(bad_s), 0);
  assert_null(rp_store_context(bad_s));
  assert_null(rp_library_context((rp_library *)foreign));
  assert_int_equal(rp_op_n_stores((rp_op *)foreign), 0);
  assert_int_equal(rp_op_n_scalars(NULL), 0);
  assert_int_equal(rp_op_privilege(op, 1), 0);
  /* A released handle is seen until its record serves another store. */
  OK(rp_store_release(x));
  FAILS(RP_ERR_HANDLE, "released", rp_store_release(x));
  FAILS(RP_ERR_HANDLE, "released", rp_store_slice(x, 0, 0, 1, 1, &s));
  assert_null(s);
  FAILS(RP_ERR_HANDLE, "stores[0]", rp_launch(op, STORES(x), 1, NULL, 0));
  FAILS(RP_ERR_HANDLE, "src", rp_store_copy(keep, x));
  assert_int_equal(rp_store_ndim(x), -1);
  OK(rp_store_release(keep));
  OK(rp_context_destroy(c));
}

static void test_seeing(void **state) {
  (void)state;
  rp_context *c = check_context("");
  rp_store *x = check_vector(c, 3, NULL);
  int64_t v = 5;
  size_t need = 0;
  FAILS(RP_ERR_ARGUMENT, "no_such", rp_stat(c, "no_such", &v));
  assert_int_equal(v, 0);
  FAILS(RP_ERR_ARGUMENT, "name", rp_stat(c, NULL, &v));
  FAILS(RP_ERR_ARGUMENT, "out", rp_stat(c, "launches", NULL));
  OK(EVAL(c, "x", "x = x + 1", x));
  assert_int_equal(check_stat(c, "launches"), 1);
  assert_int_equal(check_stat(c, "kernels_run"), 0);
  OK(rp_wait(c));
  assert_int_equal(check_stat(c, "kernels_run"), 1);
  OK(rp_explain(c, NULL, 0, &need));
  char *text = malloc(need + 1);
  assert_non_null(text);
  OK(rp_explain(c, text, need + 1, &need));
  assert_int_equal(strlen(text), need);
  assert_non_null(strstr(text, "launches"));
  assert_non_null(strstr(text, "CUT_WAIT"));
  /* rp_explain lists every statistic by the name that rp_stat takes. */
  char *line = strstr(text, "statistics\n");
  assert_non_null(line);
  int n = 0;
  for (line = strchr(line, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
    char name[64];
    assert_int_equal(sscanf(line + 1, "%63s", name), 1);
    OK(rp_stat(c, name, &v));
    n++;
  }
  assert_true(n >= 18);
  free(text);
  OK(rp_wait_compiled(c));
  OK(rp_store_release(x));
  OK(rp_context_destroy(c));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_facts),
                                     cmocka_unit_test(test_sentences),
                                     cmocka_unit_test(test_options),
                                     cmocka_unit_test(test_bad_options),
                                     cmocka_unit_test(test_two_contexts),
                                     cmocka_unit_test(test_client_data),
                                     cmocka_unit_test(test_destroy_runs_pending),
                                     cmocka_unit_test(test_release_any),
                                     cmocka_unit_test(test_second_thread),
                                     cmocka_unit_test(test_callback),
                                     cmocka_unit_test(test_fork),
                                     cmocka_unit_test(test_handles),
                                     cmocka_unit_test(test_seeing)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
