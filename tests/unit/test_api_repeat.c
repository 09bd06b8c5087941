/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_repeat.c -- rp_trace_repeat: the bits and the number of passes are those of the program's own loop, on
 * the host, on ranks, and on the (emulated) GPU, which goes on by itself where it can.
 * Not here: what goes wrong and what is refused (test_api_repeat_ends.c). */
#include "tests/support/gpu_context.h"

#include "tests/support/blend.h"

#include "tests/support/members.h"

enum { MOST_STORES = 12, N = 600 };

/* A program: an iteration on stores that `first` gives their values. */
typedef struct program {
  const char *name;
  void (*first)(rp_context *c, rp_store **s);
  void (*pass)(rp_context *c, rp_store **s); /* ends with s[0], which says whether it goes on */
  int32_t n;                                 /* stores that are compared, from s[0] on */
} program;

static rp_store *make(rp_context *c, rp_dtype dtype, int64_t n) {
  rp_store *s = NULL;
  OK(rp_store_create(c, dtype, n > 0, &n, &s));
  return s;
}

/* ---- in place: every array stays where it is */

static void halve_first(rp_context *c, rp_store **s) {
  s[0] = make(c, RP_BOOL, 0);
  s[1] = make(c, RP_F64, N);
  s[2] = make(c, RP_F64, 0);
  s[3] = make(c, RP_I64, 0);
  OK(EVAL(c, "x", "x = 1.0 + index(0)", s[1]));
}

static void halve_pass(rp_context *c, rp_store **s) {
  OK(EVAL(c, "x", "x = 0.75*x + 0.125", s[1]));
  OK(EVAL(c, "r", "r = 0", s[2]));
  OK(EVAL(c, "r, x", "r max= x", s[2], s[1]));
  OK(EVAL(c, "n", "n = n + 1", s[3]));
  OK(EVAL(c, "go, r", "go = r > 1.5", s[0], s[2]));
}

/* ---- a stencil: its array swaps memory in each pass */

static void jacobi_first(rp_context *c, rp_store **s) {
  s[0] = make(c, RP_I32, 0);
  s[1] = make(c, RP_F64, N);
  s[2] = make(c, RP_F64, 0);
  for (int32_t k = 0; k < 3; k++) OK(rp_store_slice(s[1], 0, k, N - 2 + k, 1, &s[4 + k]));
  s[3] = make(c, RP_F64, 0);
  OK(EVAL(c, "x", "x = where(index(0) == 0, 1.0, where(index(0) % 7 == 3, 0.5, 0.25))", s[1]));
}

static void jacobi_pass(rp_context *c, rp_store **s) {
  rp_store *change = make(c, RP_F64, N - 2);
  OK(EVAL(c, "d, a, b, m", "d = 0.5*(a + b) - m", change, s[4], s[6], s[5]));
  OK(EVAL(c, "m, d", "m = m + d", s[5], change));
  OK(EVAL(c, "r", "r = 0", s[2]));
  OK(EVAL(c, "r, d", "r max= abs(d)", s[2], change));
  OK(EVAL(c, "go, r", "go = where(r > 0.004, 1, 0)", s[0], s[2]));
  OK(rp_store_release(change));
}

/* ---- what it leaves is taken up by the text of a kernel, wherever it is, and by one more in place */

static void text_first(rp_context *c, rp_store **s) {
  jacobi_first(c, s);
  OK(rp_store_release(s[3]));
  s[3] = make(c, RP_F64, N);
}

static void text_pass(rp_context *c, rp_store **s) {
  OK(EVAL(c, "m, a, b", "m = 0.25*(a + b) + 0.5*m", s[5], s[4], s[6]));
  OK(blend(c, s[3], s[1], 0.25));
  OK(EVAL(c, "r", "r = 0", s[2]));
  OK(EVAL(c, "r, y", "r += y", s[2], s[3]));
  OK(EVAL(c, "go, r", "go = where(r < 81.8, 1, 0)", s[0], s[2]));
  OK(blend(c, s[3], s[3], 0.4375));
}

/* ---- the same with a new sum in each pass, which begins at 0 */

static void sum_pass(rp_context *c, rp_store **s) {
  rp_store *sum = make(c, RP_F64, 0);
  OK(EVAL(c, "m, a, b", "m = 0.25*(a + b) + 0.5*m", s[5], s[4], s[6]));
  OK(EVAL(c, "t, m", "t += m*m", sum, s[5]));
  OK(EVAL(c, "q, t", "q = t", s[3], sum));
  OK(EVAL(c, "go, t", "go = where(t < 50.5, 1, 0)", s[0], sum));
  OK(rp_store_release(sum));
}

/* ---- conjugate gradients with new scalars in each pass */

static void cg_first(rp_context *c, rp_store **s) {
  s[0] = make(c, RP_BOOL, 0);
  for (int32_t k = 1; k <= 3; k++)
    s[k] = make(c, RP_F64, N + 2); /* x, r, p with a border of zeros */
  s[4] = make(c, RP_F64, 0);       /* rr */
  for (int32_t k = 1; k <= 3; k++) OK(rp_store_slice(s[k], 0, 1, N + 1, 1, &s[4 + k]));
  OK(rp_store_slice(s[3], 0, 0, N, 1, &s[8]));
  OK(rp_store_slice(s[3], 0, 2, N + 2, 1, &s[9]));
  OK(EVAL(c, "r", "r = 1.0 + (index(0) % 5)", s[6]));
  OK(rp_store_copy(s[7], s[6]));
  OK(EVAL(c, "rr, r", "rr += r*r", s[4], s[6]));
}

static void cg_pass(rp_context *c, rp_store **s) {
  rp_store *q = make(c, RP_F64, N), *pq = make(c, RP_F64, 0), *alpha = make(c, RP_F64, 0);
  rp_store *next = make(c, RP_F64, 0), *beta = make(c, RP_F64, 0);
  OK(EVAL(c, "q, p, w, e", "q = 2.1*p - w - e", q, s[7], s[8], s[9]));
  OK(EVAL(c, "pq, p, q", "pq += p*q", pq, s[7], q));
  OK(EVAL(c, "alpha, rr, pq", "alpha = rr/pq", alpha, s[4], pq));
  OK(EVAL(c, "x, alpha, p", "x = x + alpha*p", s[5], alpha, s[7]));
  OK(EVAL(c, "r, alpha, q", "r = r - alpha*q", s[6], alpha, q));
  OK(EVAL(c, "next, r", "next += r*r", next, s[6]));
  OK(EVAL(c, "beta, next, rr", "beta = next/rr", beta, next, s[4]));
  OK(EVAL(c, "p, r, beta", "p = r + beta*p", s[7], s[6], beta));
  OK(rp_store_copy(s[4], next));
  OK(EVAL(c, "go, rr", "go = rr > 1e-3", s[0], s[4]));
  rp_store *gone[] = {q, pq, alpha, next, beta};
  for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) OK(rp_store_release(gone[i]));
}

/* ---- a scatter, whose subscripts are inverted in the first pass alone */

static void scatter_first(rp_context *c, rp_store **s) {
  s[0] = make(c, RP_BOOL, 0);
  s[1] = make(c, RP_F64, 20);
  s[2] = make(c, RP_F64, N);
  s[3] = make(c, RP_I32, N);
  s[4] = make(c, RP_I32, 0);
  OK(EVAL(c, "w", "w = 0.5 + 0.125*(index(0) % 3)", s[2]));
  OK(EVAL(c, "b", "b = i32((7*index(0)) % 20)", s[3]));
}

static void scatter_pass(rp_context *c, rp_store **s) {
  OK(EVAL(c, "h, b, w", "h[b[i]] += w[i]", s[1], s[3], s[2]));
  OK(EVAL(c, "w, h, b", "w[i] = 0.75*w[i] + 0.001*h[b[i]]", s[2], s[1], s[3]));
  OK(EVAL(c, "n", "n = n + 1", s[4]));
  OK(EVAL(c, "go, n", "go = n < 17", s[0], s[4]));
}

/* ---- a copy that shares memory, and an output that nobody reads */

static void copy_first(rp_context *c, rp_store **s) {
  s[0] = make(c, RP_U8, 0);
  for (int32_t k = 1; k <= 3; k++) s[k] = make(c, RP_F32, N);
  s[4] = make(c, RP_I32, 0);
  OK(EVAL(c, "x", "x = f32(index(0) % 11)", s[1]));
}

static void copy_pass(rp_context *c, rp_store **s) {
  OK(rp_store_copy(s[2], s[1]));
  OK(EVAL(c, "x, y", "x = 0.5*x + 0.25*y + 1", s[1], s[2]));
  OK(EVAL(c, "w, x", "w = x*x", s[3], s[1]));
  OK(EVAL(c, "n", "n = n + 1", s[4]));
  OK(EVAL(c, "go, n", "go = n < 23", s[0], s[4]));
}

static const program programs[] = {
    {"halve", halve_first, halve_pass, 4}, {"jacobi", jacobi_first, jacobi_pass, 3},
    {"text", text_first, text_pass, 4},    {"sum", jacobi_first, sum_pass, 4},
    {"cg", cg_first, cg_pass, 5},          {"scatter", scatter_first, scatter_pass, 5},
    {"copy", copy_first, copy_pass, 5}};
enum { N_PROGRAMS = sizeof programs / sizeof *programs };

/* ---- running them */

typedef struct outcome {
  int64_t passes, loops, loop_passes;
  char data[MOST_STORES][8 * (N + 2)];
} outcome;

static void read_all(const program *p, rp_store **s, outcome *out) {
  for (int32_t i = 0; i < p->n; i++)
    OK(rp_store_read(s[i], out->data[i],
                     (size_t)rp_store_size(s[i]) * rp_dtype_size(rp_store_dtype(s[i]))));
}

static bool goes_on(rp_store *go) {
  char v[8] = {0};
  OK(rp_store_read(go, v, rp_dtype_size(rp_store_dtype(go))));
  return memcmp(v, (char[8]){0}, sizeof v) != 0;
}

/* `most` repeated passes at most; `times`: so often from the first values on. */
static void play(rp_context *c, const program *p, bool repeat, int64_t most, int32_t times,
                 outcome *out) {
  memset(out, 0, sizeof *out);
  for (int32_t t = 0; t < times; t++) {
    rp_store *s[MOST_STORES] = {0};
    p->first(c, s);
    OK(rp_trace_begin(c, 7));
    p->pass(c, s);
    if (repeat) {
      OK(rp_trace_repeat(c, 7, s[0], most, &out->passes));
    } else {
      OK(rp_trace_end(c, 7));
      for (out->passes = 0; out->passes < most && goes_on(s[0]); out->passes++) {
        OK(rp_trace_begin(c, 7));
        p->pass(c, s);
        OK(rp_trace_end(c, 7));
      }
    }
    read_all(p, s, out);
    for (int32_t i = 0; i < MOST_STORES; i++) OK(rp_store_release(s[i]));
  }
  out->loops = check_stat(c, "loops");
  out->loop_passes = check_stat(c, "loop_passes");
}

static void same(const char *name, const outcome *a, const outcome *b) {
  if (a->passes != b->passes)
    fail_msg("%s: %lld passes, not %lld", name, (long long)b->passes, (long long)a->passes);
  for (int32_t i = 0; i < MOST_STORES; i++)
    if (memcmp(a->data[i], b->data[i], sizeof a->data[i]) != 0) fail_msg("%s: store %d", name, i);
}

static void test_host(void **state) {
  (void)state;
  static outcome own, repeated;
  static const int64_t most[] = {1000, 0, 1, 6};
  for (int32_t p = 0; p < N_PROGRAMS; p++)
    for (size_t m = 0; m < sizeof most / sizeof *most; m++) {
      rp_context *a = check_context(""), *b = check_context(m == 3 ? "--tracing off" : "");
      play(a, &programs[p], false, most[m], 1, &own);
      play(b, &programs[p], true, most[m], 1, &repeated);
      same(programs[p].name, &own, &repeated);
      if (m == 0) assert_in_range(own.passes, 5, 900);
      assert_int_equal(repeated.loops, 0);
      OK(rp_context_destroy(a));
      OK(rp_context_destroy(b));
    }
}

/* On a GPU the first values and one pass, or where memory is swapped a few more, are the host's doing; all others are one loop. */
static void test_gpu(void **state) {
  (void)state;
  static outcome own, repeated;
  static const struct {
    const char *options;
    int64_t most;
  } ways[] = {{"", 1000},
              {"", 1},
              {"", 2},
              {"", 5},
              {"", 6},
              {"", 7},
              {"--tier 0", 1000},
              {"--rename off", 40},
              {"--fusion off", 40}};
  for (int32_t p = 0; p < N_PROGRAMS; p++)
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
      rp_context *a = check_context(""), *b = gpu_context(ways[w].options);
      play(a, &programs[p], false, ways[w].most, 1, &own);
      play(b, &programs[p], true, ways[w].most, 2, &repeated);
      same(programs[p].name, &own, &repeated);
      if (w == 0 && p < N_PROGRAMS - 1) {
        assert_int_equal(repeated.loops, 2);
        assert_in_range(repeated.loop_passes, 2 * own.passes - 6, 2 * own.passes);
      }
      OK(rp_context_destroy(a));
      end(b);
    }
}

/* ---- random passes ---- */

enum { VECTORS = 4, SCALARS = 3, TEMPORARIES = 3, LAUNCHES = 9 };

static uint64_t seed_now;

static int32_t pick(int32_t n) {
  seed_now = seed_now * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (int32_t)((seed_now >> 33) % (uint64_t)n);
}

/* s[0]: go, s[1]: the passes so far, then scalars and vectors. */
static void random_first(rp_context *c, rp_store **s) {
  s[0] = make(c, RP_I64, 0);
  s[1] = make(c, RP_I64, 0);
  for (int32_t i = 0; i < SCALARS; i++) s[2 + i] = make(c, RP_F64, 0);
  for (int32_t i = 0; i < VECTORS; i++) {
    s[2 + SCALARS + i] = make(c, RP_F64, N);
    OK(EVAL(c, "x", "x = 0.01*(index(0) % 17)", s[2 + SCALARS + i]));
  }
}

static void shifted(rp_context *c, rp_store *to, rp_store *from) {
  const int32_t by = pick(3);
  rp_store *a = NULL, *b = NULL;
  OK(rp_store_slice(to, 0, 1, N - 1, 1, &a));
  OK(rp_store_slice(from, 0, by, N - 2 + by, 1, &b));
  OK(EVAL(c, "a, b", "a = 0.5*a + 0.25*b", a, b));
  OK(rp_store_release(a));
  OK(rp_store_release(b));
}

static void random_launch(rp_context *c, rp_store **scalar, rp_store **vector, int32_t vectors,
                          int32_t scalars) {
  rp_store *x = vector[pick(vectors)], *y = vector[pick(vectors)], *a = scalar[pick(scalars)],
           *b = scalar[pick(scalars)];
  switch (pick(8)) {
    case 0: OK(EVAL(c, "x, y", "x = 0.5*x - 0.25*y + 0.125", x, y)); break;
    case 1: OK(EVAL(c, "a, x", "a += 0.001*x", a, x)); break;
    case 2: OK(EVAL(c, "a, x", "a max= x", a, x)); break;
    case 3: OK(EVAL(c, "a, b", "a = 0.5*a + 0.125*b", a, b)); break;
    case 4: OK(EVAL(c, "x, a", "x = x/(2 + a*a)", x, a)); break;
    case 5: OK(EVAL(c, "y", "y = 0.001*(index(0) % 5)", y)); break;
    case 6: OK(blend(c, x, y, 0.125)); break;
    default: shifted(c, x, y); break;
  }
}

static void random_pass(rp_context *c, rp_store **s) {
  const uint64_t kept = seed_now;
  rp_store *scalar[SCALARS + TEMPORARIES], *vector[VECTORS + TEMPORARIES];
  memcpy(scalar, s + 2, SCALARS * sizeof *s);
  memcpy(vector, s + 2 + SCALARS, VECTORS * sizeof *s);
  for (int32_t i = 0; i < TEMPORARIES; i++) {
    scalar[SCALARS + i] = make(c, RP_F64, 0);
    vector[VECTORS + i] = make(c, RP_F64, N);
  }
  const int32_t n = 1 + pick(LAUNCHES), more = pick(TEMPORARIES + 1), copies = pick(4) == 0;
  for (int32_t i = 0; i < n; i++) random_launch(c, scalar, vector, VECTORS + more, SCALARS + more);
  if (copies) OK(rp_store_copy(vector[pick(VECTORS)], vector[pick(VECTORS)]));
  OK(EVAL(c, "n", "n = n + 1", s[1]));
  OK(EVAL(c, "go, n", "go = 14 - n", s[0], s[1]));
  for (int32_t i = 0; i < TEMPORARIES; i++) {
    OK(rp_store_release(scalar[SCALARS + i]));
    OK(rp_store_release(vector[VECTORS + i]));
  }
  seed_now = kept; /* all passes are alike */
}

static const program random_program = {"random", random_first, random_pass, 2 + SCALARS + VECTORS};

static void test_random(void **state) {
  (void)state;
  static outcome own, repeated;
  char name[64];
  rp_context *on[] = {check_context(""), check_context(""), gpu_context("--tier 0")};
  for (int32_t seed = 0; seed < 60; seed++) {
    for (int32_t w = 0; w < 3; w++) {
      seed_now = (uint64_t)seed * 7919 + 1;
      snprintf(name, sizeof name, "seed %d on context %d", seed, w);
      play(on[w], &random_program, w > 0, 13, 1, w == 0 ? &own : &repeated);
      if (w > 0) same(name, &own, &repeated);
    }
    assert_int_equal(own.passes, 13);
  }
  /* Few passes share memory by copies, or need three turns to come back to theirs. */
  assert_in_range(repeated.loops, 30, 60);
  OK(rp_context_destroy(on[0]));
  OK(rp_context_destroy(on[1]));
  end(on[2]);
}

/* The host waits once for all of the loop, and where the copies share memory for each pass, and says so. */
static void test_waits(void **state) {
  (void)state;
  static outcome out;
  for (int32_t shares = 0; shares < 2; shares++) {
    rp_context *c = gpu_context("");
    play(c, &programs[shares ? N_PROGRAMS - 1 : 0], true, 1000, 1, &out);
    rp_store *s[MOST_STORES] = {0};
    programs[shares ? N_PROGRAMS - 1 : 0].first(c, s);
    OK(rp_trace_begin(c, 7));
    programs[shares ? N_PROGRAMS - 1 : 0].pass(c, s);
    const struct emu_counts before = counts();
    OK(rp_trace_repeat(c, 7, s[0], 1000, NULL));
    const struct emu_counts after = counts();
    assert_in_range(after.waits - before.waits, shares ? 20 : 1, shares ? 60 : 4);
    char *text = check_explained(c);
    assert_int_equal(strstr(text, "REPEAT_MEMORY") != NULL, shares);
    free(text);
    for (int32_t i = 0; i < MOST_STORES; i++) OK(rp_store_release(s[i]));
    end(c);
  }
}

/* A driver that has no conditions after all, or none for our kernel: the host decides, and says who would not. */
static void test_driver_refuses(void **state) {
  (void)state;
  static const char *const how[] = {"off", "unlinked"};
  static outcome own, repeated;
  rp_context *host = check_context("--gpus 0");
  play(host, &programs[0], false, 20, 1, &own);
  OK(rp_context_destroy(host));
  for (int32_t i = 0; i < 2; i++) {
    assert_int_equal(setenv("EMU_LOOPS", how[i], 1), 0);
    rp_context *c = gpu_context("");
    play(c, &programs[0], true, 20, 1, &repeated);
    assert_int_equal(unsetenv("EMU_LOOPS"), 0);
    same(how[i], &own, &repeated);
    assert_int_equal(repeated.loops, 0);
    char *text = check_explained(c);
    assert_non_null(strstr(text, "REPEAT_REFUSED"));
    assert_null(strstr(text, "REPEAT_COMPILE"));
    free(text);
    end(c);
  }
}

/* ---- a subscript that leaves its array after some passes ---- */

/* y = x[i]: from the 15th pass on i is beyond x, or in that one alone: the next one makes y sound, but not z, which has taken
 * up y. */
static void poison_pass(rp_context *c, rp_store **s, bool once) {
  OK(EVAL(c, "i, n", once ? "i = where(n == 15, 99, 3)" : "i = where(n < 15, n, 99)", s[3], s[4]));
  OK(EVAL(c, "y, x, i", "y[k] = x[i[k]]", s[2], s[1], s[3]));
  OK(blend(c, s[5], s[2], 1));
  OK(EVAL(c, "n", "n = n + 1", s[4]));
  OK(EVAL(c, "go, n", "go = n < 30", s[0], s[4]));
}

static void poison_first(rp_context *c, rp_store **s) {
  s[0] = make(c, RP_BOOL, 0);
  s[1] = make(c, RP_F64, 20);
  s[2] = make(c, RP_F64, 1);
  s[3] = make(c, RP_I64, 1);
  s[4] = make(c, RP_I64, 0);
  s[5] = make(c, RP_F64, 1);
  OK(EVAL(c, "x", "x = index(0)", s[1]));
}

static void test_poison(void **state) {
  (void)state;
  int64_t n = 0, passes;
  for (int32_t way = 0; way < 4; way++) {
    const bool gpu = way & 1, once = way & 2;
    rp_context *c = gpu ? gpu_context("") : check_context("");
    rp_store *s[MOST_STORES] = {0};
    poison_first(c, s);
    OK(rp_trace_begin(c, 7));
    poison_pass(c, s, once);
    OK(rp_trace_repeat(c, 7, s[0], 1000, &passes));
    OK(rp_store_read(s[4], &n, sizeof n));
    assert_int_equal(n, 30);
    assert_int_equal(passes, 29);
    double y = 0;
    if (once)
      OK(rp_store_read(s[2], &y, sizeof y));
    else
      FAILS(RP_ERR_DATA, "out of range", rp_store_read(s[2], &y, sizeof y));
    if (once) assert_true(y == 3);
    FAILS(RP_ERR_DATA, "out of range", rp_store_read(s[5], &y, sizeof y));
    if (gpu) assert_in_range(check_stat(c, "loops"), 1, 20);
    for (int32_t i = 0; i < MOST_STORES; i++) OK(rp_store_release(s[i]));
    if (gpu)
      end(c);
    else
      OK(rp_context_destroy(c));
  }
}

/* ---- ranks: all decide alike ---- */

enum { M = 3000 };

static rp_status relax(member *m) {
  const int64_t n = M;
  rp_store *u, *v[3], *r, *go;
  int64_t passes = 0;
  TRY(rp_store_create(m->ctx, RP_F64, 1, &n, &u));
  TRY(rp_store_create(m->ctx, RP_F64, 0, NULL, &r));
  TRY(rp_store_create(m->ctx, RP_BOOL, 0, NULL, &go));
  for (int32_t k = 0; k < 3; k++) TRY(rp_store_slice(u, 0, k, n - 2 + k, 1, &v[k]));
  TRY(EVAL(m->ctx, "u", "u = f64(index(0) % 13)", u));
  TRY(rp_trace_begin(m->ctx, 1));
  TRY(EVAL(m->ctx, "r", "r = 0", r));
  TRY(EVAL(m->ctx, "m, a, b", "m = 0.25*(a + b) + 0.5*m", v[1], v[0], v[2]));
  TRY(EVAL(m->ctx, "r, m", "r += m*m", r, v[1]));
  TRY(EVAL(m->ctx, "go, r", "go = r > 109000.0", go, r));
  TRY(rp_trace_repeat(m->ctx, 1, go, 500, &passes));
  TRY(rp_store_read(u, m->out, M * sizeof(double)));
  m->out[M] = (double)passes;
  TRY(rp_stat(m->ctx, "kernels_shared", &m->stat[0]));
  TRY(rp_stat(m->ctx, "overlapped", &m->beside));
  rp_store *all[] = {u, v[0], v[1], v[2], r, go};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) TRY(rp_store_release(all[i]));
  return passes > 4 && passes < 500 ? RP_OK : rp_error_set(RP_ERR_INTERNAL, "passes");
}

static void test_ranks(void **state) {
  (void)state;
  same_bits(relax, M + 1);
}

int main(void) {
  if (gpu_missing()) return 77;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_host),           cmocka_unit_test(test_gpu),
      cmocka_unit_test(test_random),         cmocka_unit_test(test_waits),
      cmocka_unit_test(test_driver_refuses), cmocka_unit_test(test_poison),
      cmocka_unit_test(test_ranks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
