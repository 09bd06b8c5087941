/* SPDX-License-Identifier: Apache-2.0
 * tests/scale/test_scale.c -- one rank of a million does what one of sixteen does: no loop and no allocation of the
 * library is proportional to the number of ranks.
 *
 * Lives here: programs, as which ranks they are run, and how much more may be done among more ranks.
 * Not here:   counting (meter.h).
 * How:        a program is run as several ranks of 16, and as several of up to 2^20, by the knob dryrun, whose transport
 *             sends nothing and receives nothing. First dry, which plans; then, with the linker's help (--wrap) not
 *             knowing that it is dry, so that it executes too, on what no peer has sent: results are nonsense, but
 *             loops and allocations are those of the real run. A loop over ranks runs some block 2^20 times, or, of a
 *             bit for each rank, allocates 2^17 bytes: limits are far below. A search by bisection adds a few runs per
 *             doubling (230 in all in the programs here).
 * Use:        test_scale [--print]
 * Not seen:   what transports do with real peers; loops over neighbours of which a real run has more. */
#include "tests/support/api_check.h"

#include "core/comm/comm.h"
#include "core/include/reprise_sparse.h"
#include "core/model/store.h"
#include "tests/equal/program.h"
#include "tests/scale/meter.h"
#include "tests/support/stencil_pass.h"

static const int32_t many[] = {1 << 18, 1000003, 1 << 20};

/* ---- a run as one rank ---- */

static bool silent; /* executes, as if there were peers */

bool __real_rpi_comm_dry(const rpi_comm *c);
bool __wrap_rpi_comm_dry(const rpi_comm *c);
bool __wrap_rpi_comm_dry(const rpi_comm *c) { return !silent && __real_rpi_comm_dry(c); }

/* A rank that executes has all of what the host writes: nothing comes, and index data must be in range. */
void __real_rpi_store_part(const rpi_buffer *b, int64_t *lo, int64_t *hi);
void __wrap_rpi_store_part(const rpi_buffer *b, int64_t *lo, int64_t *hi);
void __wrap_rpi_store_part(const rpi_buffer *b, int64_t *lo, int64_t *hi) {
  __real_rpi_store_part(b, lo, hi);
  if (!silent) return;
  *lo = 0;
  *hi = b->base->bsize;
}

typedef struct subject {
  const char *name;
  int32_t few;  /* ranks to compare with */
  int64_t runs; /* how many more a block may have for each doubling of these */
  void (*run)(rp_context *ctx);
  const program *random; /* in place of `run` */
  const char *options;   /* further knobs; NULL: none */
  bool large;            /* planned only: its arrays are too large to be computed */
} subject;

static int32_t among; /* ranks of the run */

static void run_as(const subject *s, int32_t rank, int32_t ranks, meter_peak *peak) {
  char config[200];
  among = ranks;
  snprintf(config, sizeof config,
           "--tier 0 --threads 1 --cache-dir none --pin off --log quiet --tile 0 --dryrun %d/%d %s",
           rank, ranks, s->options ? s->options : "");
  meter_start();
  if (s->random) {
    transcript t;
    program_run(s->random, &(run_options){.config = config}, &t);
    meter_stop();
    transcript_free(&t);
  } else {
    rp_context *ctx;
    OK(rp_context_create(config, &ctx));
    s->run(ctx);
    OK(rp_context_destroy(ctx));
    meter_stop();
  }
  meter_take(peak);
}

static void run_among(const subject *s, int32_t ranks, meter_peak *peak) {
  const int32_t as[] = {0, 1, ranks / 3, ranks / 2, ranks - 1};
  for (int32_t i = 0; i < 5; i++) run_as(s, as[i], ranks, peak);
}

/* ---- what may grow ---- */

/* More allocations for each doubling of the ranks, and more bytes in all. */
enum { CALLS = 10, BYTES = 1 << 15 };

static int32_t doublings(int32_t few, int32_t ranks) {
  int32_t n = 0;
  while (few << n < ranks) n++;
  return n;
}

static bool print; /* what grows, and what of it most, also where it is little */

/* Whether it grows more than it may from few to many ranks, and then how. */
static bool grows(const subject *s, int32_t ranks, const meter_peak *few, const meter_peak *more,
                  char *why, size_t size) {
  const int32_t times = doublings(s->few, ranks);
  size_t block = 0;
  char where[300] = "";
  const int64_t runs = meter_growth(few, more, &block), calls = more->calls - few->calls,
                bytes = more->bytes - few->bytes;
  const bool too_much = runs > s->runs * times || calls > CALLS * times || bytes > BYTES;
  if (!too_much && !print) return false;
  meter_name(block, where, sizeof where);
  snprintf(why, size,
           "%s, %s: among %d ranks %lld more runs of a block than among %d (%s), %lld more "
           "allocations, %lld more bytes",
           s->name, silent ? "executed" : "planned", ranks, (long long)runs, s->few, where,
           (long long)calls, (long long)bytes);
  if (print) puts(why);
  return too_much;
}

static bool examine(const subject *s, char *why, size_t size) {
  meter_peak few = {0};
  bool bad = false;
  run_among(s, s->few, &few);
  if (meter_blocks(&few) < 100) fail_msg("the library is not compiled for being counted");
  for (int32_t i = 0; i < RPI_COUNT(many) && !bad; i++) {
    meter_peak more = {0};
    run_among(s, many[i], &more);
    bad = grows(s, many[i], &few, &more, why, size);
    meter_free(&more);
  }
  meter_free(&few);
  return bad;
}

static void expect(const subject *s) {
  char why[800];
  silent = false;
  if (examine(s, why, sizeof why)) fail_msg("%s", why);
  if (s->large) return;
  silent = true;
  const bool bad = examine(s, why, sizeof why);
  silent = false;
  if (bad) fail_msg("%s", why);
}

/* ---- programs ---- */

static rp_store *vector(rp_context *c, int64_t n) {
  rp_store *s;
  OK(rp_store_create(c, RP_F64, 1, &n, &s));
  return s;
}

static void release(rp_store *const *s, int32_t n) {
  for (int32_t i = 0; i < n; i++) OK(rp_store_release(s[i]));
}
#define RELEASE(...) release(STORES(__VA_ARGS__), sizeof STORES(__VA_ARGS__) / sizeof(rp_store *))

static void stencil(rp_context *ctx, int64_t rows, int64_t columns) {
  rp_store *g, *center, *north, *south;
  OK(rp_store_create(ctx, RP_F64, 2, (int64_t[]){rows + 2, columns}, &g));
  OK(rp_store_box(g, (int64_t[]){1, 1}, (int64_t[]){1 + rows, columns - 1}, &center));
  OK(rp_store_box(g, (int64_t[]){0, 1}, (int64_t[]){rows, columns - 1}, &north));
  OK(rp_store_box(g, (int64_t[]){2, 1}, (int64_t[]){2 + rows, columns - 1}, &south));
  for (int32_t i = 0; i < 4; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(EVAL(ctx, "c, n, s", "c = 0.5*(n + s)", center, north, south));
    OK(rp_trace_end(ctx, 1));
  }
  OK(rp_wait(ctx));
  RELEASE(g, center, north, south);
}

static void long_stencil(rp_context *ctx) { stencil(ctx, 1 << 20, 4); }
static void short_stencil(rp_context *ctx) { stencil(ctx, 50, 50); }

static void array_stencil(rp_context *ctx) {
  rp_store *g;
  OK(rp_store_create(ctx, RP_F64, 2, (int64_t[]){42, 42}, &g));
  stencil_pass pass = stencil_begin(ctx, g, 40);
  for (int32_t i = 0; i < 4; i++) stencil_run(&pass);
  OK(rp_wait(ctx));
  stencil_end(&pass);
}

/* Four neighbours in two dimensions, from one square into another and back. */
static void star(rp_context *ctx, int64_t side, int64_t least) {
  static const int64_t shift[5][2] = {{0, 0}, {-1, 0}, {1, 0}, {0, -1}, {0, 1}};
  rp_store *a[2], *v[2][5];
  for (int32_t i = 0; i < 2; i++)
    OK(rp_store_create(ctx, RP_F64, 2, (int64_t[]){side, side}, &a[i]));
  for (int32_t i = 0; i < 2; i++)
    for (int32_t k = 0; k < 5; k++) {
      const int64_t lo[] = {1 + shift[k][0], 1 + shift[k][1]};
      const int64_t hi[] = {side - 1 + shift[k][0], side - 1 + shift[k][1]};
      OK(rp_store_box(k == 0 ? a[1 - i] : a[i], lo, hi, &v[i][k]));
    }
  for (int32_t pass = 0; pass < 3; pass++) {
    OK(rp_trace_begin(ctx, 1));
    for (int32_t i = 0; i < 2; i++)
      OK(EVAL(ctx, "o, n, s, w, e", "o = 0.25*(n + s + w + e)", v[i][0], v[i][1], v[i][2], v[i][3],
              v[i][4]));
    OK(rp_trace_end(ctx, 1));
  }
  OK(rp_wait(ctx));
  /* A prime is no grid; among few ranks rows are chosen. */
  if (among != many[1]) assert_int_equal(check_stat(ctx, "kernels_boxed"), among >= least ? 6 : 0);
  for (int32_t i = 0; i < 2; i++) release(v[i], 5);
  release(a, 2);
}

/* Of fewer MiB than make ranks compare their releases: executed, a rank has nothing to compare with. */
static void star_of_boxes(rp_context *ctx) { star(ctx, 1 << 10, 2); }
static void star_of_choice(rp_context *ctx) { star(ctx, 1 << 15, 1000); }

static void reductions(rp_context *ctx) {
  const int64_t n[] = {1 << 20, 1000, 7};
  for (int32_t i = 0; i < 3; i++) {
    rp_store *x = vector(ctx, n[i]), *y = vector(ctx, n[i]), *s, *t, *m;
    double value;
    OK(rp_store_create(ctx, RP_F64, 0, NULL, &s));
    OK(rp_store_create(ctx, RP_F64, 0, NULL, &t));
    OK(EVAL(ctx, "x", "x = x + 2", x));
    OK(EVAL(ctx, "y", "y = y + 1", y));
    for (int32_t k = 0; k < 3; k++) {
      OK(rp_trace_begin(ctx, 1));
      OK(EVAL(ctx, "s, x, y", "s += x*y", s, x, y));
      OK(EVAL(ctx, "t, x", "t max= x", t, x));
      OK(EVAL(ctx, "x, s", "x = x + s", x, s));
      OK(rp_trace_end(ctx, 1));
    }
    OK(rp_store_read(s, &value, sizeof value));
    OK(rp_array_reduce(RP_ARRAY_SUM, x, 0, NULL, 0, &m));
    OK(rp_store_read(m, &value, sizeof value));
    RELEASE(x, y, s, t, m);
  }
}

/* Rows and columns of a matrix, its transpose, strided and reversed views: arrays are cut anew, or gathered. */
static void views(rp_context *ctx) {
  rp_store *a, *t, *every, *back, *r, *c, *flat;
  double all[60 * 30];
  OK(rp_store_create(ctx, RP_F64, 2, (int64_t[]){60, 30}, &a));
  r = vector(ctx, 60);
  c = vector(ctx, 30);
  OK(rp_store_transpose(a, (int32_t[]){1, 0}, &t));
  OK(rp_store_slice(a, 0, 0, 60, 2, &every));
  OK(rp_store_slice(a, 0, 59, -61, -1, &back));
  OK(rp_store_reshape(a, 1, (int64_t[]){-1}, &flat));
  for (int32_t pass = 0; pass < 3; pass++) {
    OK(EVAL(ctx, "a", "a = a*0.5 + 1", a));
    OK(EVAL(ctx, "v", "v = -v", every));
    OK(EVAL(ctx, "v", "v = v + 0.125", back));
    OK(EVAL(ctx, "r, a", "r[i] += a[i,j]", r, a));
    OK(EVAL(ctx, "c, t", "c[i] += t[i,j]", c, t));
    OK(EVAL(ctx, "v", "v[i] = v[i] + f64(i)", flat));
    OK(rp_store_copy(every, every));
  }
  OK(rp_store_read(a, all, sizeof all));
  OK(rp_store_read_part(a, (int64_t[]){7, 0}, (int64_t[]){9, 30}, all, 60 * sizeof *all));
  OK(rp_store_write(a, all, sizeof all));
  OK(EVAL(ctx, "r, a", "r[i] += a[i,j]", r, a));
  RELEASE(a, t, every, back, r, c, flat);
}

static void gathers(rp_context *ctx) {
  enum { N = 500 };
  static int32_t at[N];
  rp_store *x = vector(ctx, N), *y = vector(ctx, N), *i;
  OK(rp_store_create(ctx, RP_I32, 1, (int64_t[]){N}, &i));
  for (int32_t k = 0; k < N; k++) at[k] = k * 7 % N;
  OK(rp_store_write(i, at, sizeof at));
  for (int32_t k = 0; k < 3; k++) {
    OK(EVAL(ctx, "x", "x = x + 1", x));
    OK(EVAL(ctx, "y, x, at", "y[i] = x[at[i]]", y, x, i));
  }
  OK(rp_wait(ctx));
  RELEASE(x, y, i);
}

static rp_csr *poisson(rp_context *ctx) {
  static const int64_t offsets[] = {0, 0, -1, 0, 1, 0, 0, -1, 0, 1}, side[] = {30, 30};
  static const double values[] = {4, -1, -1, -1, -1};
  rp_csr *a;
  OK(rp_csr_from_stencil(ctx, RP_F64, 2, side, 5, offsets, values, &a));
  return a;
}

static void power(rp_context *ctx) {
  rp_csr *a = poisson(ctx);
  rp_store *x = vector(ctx, rp_csr_rows(a)), *y = vector(ctx, rp_csr_rows(a));
  OK(EVAL(ctx, "x", "x = x + 1", x));
  for (int32_t i = 0; i < 4; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(rp_csr_multiply_to(a, x, y));
    OK(EVAL(ctx, "x, y", "x = 0.125*y", x, y));
    OK(rp_trace_end(ctx, 1));
  }
  OK(rp_wait(ctx));
  OK(rp_csr_release(a));
  RELEASE(x, y);
}

/* Of so few rows what is summed as it is written is computed by all ranks alike. */
static void conjugate_gradients(rp_context *ctx) {
  rp_csr *a = poisson(ctx);
  rp_store *v[3], *s[4];
  for (int32_t i = 0; i < 3; i++) v[i] = vector(ctx, rp_csr_rows(a));
  for (int32_t i = 0; i < 4; i++) OK(rp_store_create(ctx, RP_F64, 0, NULL, &s[i]));
  OK(EVAL(ctx, "r", "r = r + 1", v[1]));
  OK(rp_store_copy(v[0], v[1]));
  for (int32_t i = 0; i < 4; i++) {
    OK(rp_trace_begin(ctx, 1));
    OK(rp_csr_multiply_to(a, v[0], v[2]));
    OK(EVAL(ctx, "pAp, p, Ap", "pAp = sum(i) p[i]*Ap[i]", s[0], v[0], v[2]));
    OK(EVAL(ctx, "alpha, rho, pAp", "alpha = rho/pAp", s[1], s[2], s[0]));
    OK(EVAL(ctx, "r, alpha, Ap", "r = r - alpha*Ap", v[1], s[1], v[2]));
    OK(EVAL(ctx, "rr, r", "rr = sum(i) r[i]*r[i]", s[3], v[1]));
    OK(EVAL(ctx, "p, r, rr", "p = r + rr*p", v[0], v[1], s[3]));
    OK(rp_trace_end(ctx, 1));
  }
  OK(rp_wait(ctx));
  OK(rp_csr_release(a));
  release(v, 3);
  release(s, 4);
}

static void explained(rp_context *ctx) {
  short_stencil(ctx);
  free(check_explained(ctx));
}

static void test_subjects(void **state) {
  (void)state;
  const subject subjects[] = {
      {.few = 16, .runs = 600, .name = "a stencil of 2^20 rows", .run = long_stencil},
      {.few = 16, .runs = 600, .name = "a stencil of few rows", .run = short_stencil},
      {.few = 16, .runs = 600, .name = "a stencil of array calls", .run = array_stencil},
      {.few = 16,
       .runs = 600,
       .name = "a star by boxes",
       .run = star_of_boxes,
       .options = "--cut boxes"},
      {.few = 1 << 14,
       .runs = 600,
       .name = "a star by choice",
       .run = star_of_choice,
       .options = "--cut auto",
       .large = true},
      {.few = 16, .runs = 600, .name = "reductions", .run = reductions},
      {.few = 16, .runs = 600, .name = "views", .run = views},
      {.few = 16, .runs = 600, .name = "explain", .run = explained},
      {.few = 16, .runs = 600, .name = "gathers", .run = gathers},
      {.few = 16, .runs = 600, .name = "power iteration", .run = power},
      {.few = 16, .runs = 600, .name = "conjugate gradients", .run = conjugate_gradients},
  };
  for (int32_t i = 0; i < RPI_COUNT(subjects); i++) expect(&subjects[i]);
}

/* ---- random programs ---- */

/* A rank that needs a whole array has as many neighbours as the array has rows, here up to 4100: among fewer ranks than
 * that their number grows. For each of them a few searches take longer when there are more ranks, 15 000 runs in all at
 * most in 1500 seeds, and 40 000 where a leaf of a reduction is many ranks'; a loop over the ranks grows by 245 760 from
 * 2^14 to 2^18. */
static void test_random(void **state) {
  (void)state;
  program *p = malloc(sizeof *p);
  assert_non_null(p);
  for (uint64_t seed = 1; seed <= 60; seed++) {
    char name[40];
    snprintf(name, sizeof name, "seed %d", (int)seed);
    program_make(p, seed, NULL, 0, PROGRAM_ALL & ~(uint32_t)PROGRAM_LARGE);
    expect(&(subject){.few = 1 << 14, .runs = 65536, .name = name, .random = p});
  }
  free(p);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_subjects),
      cmocka_unit_test(test_random),
  };
  print = argc > 1 && strcmp(argv[1], "--print") == 0;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
