/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_api_boxes_host.c -- what the host does with arrays that are cut along several axes, ranks being threads:
 * reads and writes of parts, shares, index data, checkpoints. The bits are those of one process, and such arrays
 * neither come together nor leave their boxes where only a part of them is asked for. */
#include "tests/support/members.h"

#include "tests/support/folder.h"

enum { TALL = 30, WIDE = 44, ALL = TALL * WIDE, ROOM = 6 * ALL };

static const int64_t shape[] = {TALL, WIDE};

static rp_status drop_all(rp_store **s, int32_t n) {
  for (int32_t i = 0; i < n; i++) TRY(rp_store_release(s[i]));
  return RP_OK;
}

static void compare(const member *all, int32_t ranks, const member *want, int64_t n) {
  all_fine(all, ranks);
  for (int32_t r = 0; r < ranks; r++)
    for (int64_t i = 0; i < n; i++)
      if (memcmp(&all[r].out[i], &want->out[i], 8) != 0)
        fail_msg("rank %d of %d: value %d is %g, not %g", r, ranks, (int)i, all[r].out[i],
                 want->out[i]);
}

/* The bits of one process on 2 to 9 ranks, in boxes and in rows. */
static void same_boxes(rp_status (*program)(member *), int64_t n) {
  static const char *const configs[] = {"--threads 1 --tile 0 --cut boxes",
                                        "--threads 2 --grain 0 --tile 0 --cut boxes",
                                        "--threads 1 --tile 0 --cut rows"};
  member alone, all[MOST];
  run(&alone, 1, "--threads 1", program, n);
  all_fine(&alone, 1);
  for (int32_t ranks = 2; ranks <= MOST; ranks++)
    for (int32_t k = 0; k < 2; k++) {
      run(all, ranks, configs[k ? 2 : ranks % 2], program, n);
      compare(all, ranks, &alone, n);
      forget(all, ranks);
    }
  forget(&alone, 1);
}

static rp_status inside(rp_store *a, int64_t dy, int64_t dx, rp_store **out) {
  return rp_store_box(a, (int64_t[]){1 + dy, 1 + dx}, (int64_t[]){TALL - 1 + dy, WIDE - 1 + dx},
                      out);
}

/* Two arrays in boxes. */
static rp_status make(member *m, rp_store **a, rp_store **b) {
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, a));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, b));
  TRY(EVAL(m->ctx, "a", "a = 1.0/(1 + index(0)*47 + index(1)*31 % 101)", *a));
  return EVAL(m->ctx, "b, a", "b = a - 0.25*index(1)", *b, *a);
}

/* b from a and its four neighbours; which tiles it has not got shows at once. */
static rp_status star(member *m, rp_store *b, rp_store *a) {
  rp_store *v[6];
  TRY(inside(b, 0, 0, &v[0]));
  TRY(inside(a, 0, 0, &v[1]));
  TRY(inside(a, -1, 0, &v[2]));
  TRY(inside(a, 1, 0, &v[3]));
  TRY(inside(a, 0, -1, &v[4]));
  TRY(inside(a, 0, 1, &v[5]));
  TRY(EVAL(m->ctx, "o, c, n, s, w, e", "o = c + 0.125*(n + s + w + e - 4*c)", v[0], v[1], v[2],
           v[3], v[4], v[5]));
  TRY(rp_wait(m->ctx));
  return drop_all(v, 6);
}

/* ---- reads ---- */

/* Reads a view, and lets go of it. */
static rp_status take(rp_store *v, double **out) {
  const size_t n = (size_t)rp_store_size(v);
  TRY(rp_store_read(v, *out, n * 8));
  *out += n;
  return rp_store_release(v);
}

static rp_status take_part(rp_store *s, int64_t y, int64_t x, int64_t h, int64_t w, double **out) {
  TRY(rp_store_read_part(s, (int64_t[]){y, x}, (int64_t[]){y + h, x + w}, *out,
                         (size_t)(h * w) * 8));
  *out += h * w;
  return RP_OK;
}

/* What lies along the array's axes: elements, rows, columns, boxes, steps, backwards, turned round, repeated. */
static rp_status take_boxes(rp_store *a, int32_t k, double **out) {
  rp_store *v, *w;
  for (int32_t i = 0; i < 9; i++)
    TRY(take_part(a, (7 * i + 3 * k) % TALL, (11 * i + k) % WIDE, 1, 1, out));
  TRY(take_part(a, 4 + k, 0, 1, WIDE, out));
  TRY(take_part(a, 0, 9 * k, TALL, 1, out));
  TRY(take_part(a, 8, 13, 15, 17 + k, out));
  TRY(take_part(a, 5, 5, 0, 3, out)); /* nothing */
  TRY(rp_store_slice(a, 0, 2 + k, TALL, 7, &v));
  TRY(rp_store_slice(v, 1, 1, WIDE, 5, &w));
  TRY(rp_store_release(v));
  TRY(take(w, out));
  TRY(rp_store_slice(a, 1, -2, INT64_MIN, -3, &v));
  TRY(rp_store_slice(v, 0, 20, 9, -1, &w));
  TRY(rp_store_release(v));
  TRY(take(w, out));
  TRY(rp_store_transpose(a, (int32_t[]){1, 0}, &v));
  TRY(take_part(v, 12, 3 + k, 20, 9, out));
  TRY(rp_store_release(v));
  TRY(rp_store_project(a, 1, 21 + k, &v));
  TRY(rp_store_promote(v, 0, 3, &w));
  TRY(rp_store_release(v));
  return take(w, out);
}

/* What does not, but is in the order of memory: ranges of the line of all elements, its diagonal. */
static rp_status take_lines(rp_store *a, int32_t k, double **out) {
  const int64_t line = ALL;
  rp_store *v, *w;
  TRY(rp_store_reshape(a, 1, &line, &v));
  TRY(rp_store_read_part(v, (int64_t[]){77 * k}, (int64_t[]){500}, *out,
                         (size_t)(500 - 77 * k) * 8));
  *out += 500 - 77 * k;
  TRY(rp_store_slice(v, 0, 3, ALL - 9, WIDE + 1, &w));
  TRY(take(w, out));
  return rp_store_release(v);
}

/* What is in no order at all: all of it comes to all. */
static rp_status take_backwards(rp_store *a, int32_t k, double **out) {
  const int64_t line = ALL;
  rp_store *v, *w;
  TRY(rp_store_reshape(a, 1, &line, &v));
  TRY(rp_store_slice(v, 0, ALL - 1 - k, 0, -19, &w));
  TRY(rp_store_release(v));
  return take(w, out);
}

static rp_status reads(member *m) {
  rp_store *a, *b;
  double *out = m->out;
  TRY(make(m, &a, &b));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(star(m, b, a));
    TRY(take_boxes(b, pass, &out));
    TRY(star(m, a, b));
    TRY(take_lines(a, pass, &out));
    TRY(take_backwards(a, pass, &out));
  }
  TRY(take(a, &out));
  return rp_store_release(b);
}

static void test_reads(void **state) {
  (void)state;
  same_boxes(reads, ROOM);
}

static rp_status reads_of_three(member *m) {
  const int64_t three[] = {12, 13, 14};
  rp_store *a, *v, *w;
  double *out = m->out;
  TRY(rp_store_create(m->ctx, RP_F64, 3, three, &a));
  TRY(EVAL(m->ctx, "a", "a = index(0)*1.5 + index(1)*100 - index(2)*0.25", a));
  for (int32_t i = 0; i < 5; i++)
    TRY(rp_store_read_part(a, (int64_t[]){2 * i, 3 * i, 13 - i},
                           (int64_t[]){2 * i + 1, 3 * i + 1, 14 - i}, out++, 8));
  TRY(rp_store_transpose(a, (int32_t[]){2, 0, 1}, &v));
  TRY(rp_store_slice(v, 0, -1, INT64_MIN, -2, &w));
  TRY(rp_store_release(v));
  TRY(take(w, &out));
  TRY(rp_store_project(a, 1, 5, &v));
  TRY(take(v, &out));
  return rp_store_release(a);
}

static void test_reads_of_three(void **state) {
  (void)state;
  same_boxes(reads_of_three, 12 * 13 * 14);
}

/* ---- what moves ---- */

enum { SHARE = 150 };

typedef enum looking { AT_NOTHING, AT_BOXES, AT_LINES, AT_SHARES, AT_CHECKPOINTS } looking;

static folder_name here;

static rp_status look(member *m, rp_store *a, looking at) {
  double *out = m->out;
  rp_store *v;
  switch (at) {
    case AT_NOTHING: return RP_OK;
    case AT_BOXES: return take_boxes(a, 1, &out);
    case AT_LINES: return take_lines(a, 1, &out);
    case AT_SHARES: return rp_store_read_share(a, m->rank * 31, m->out, SHARE * 8);
    case AT_CHECKPOINTS:
      TRY(inside(a, 0, 0, &v));
      TRY(rp_checkpoint(m->ctx, here.path, 2, (const char *const[]){"a", "inside"}, STORES(a, v)));
      return rp_store_release(v);
  }
  return RP_OK;
}

/* Counts: of two passes (0, 1), of a look (2), and of the pass behind it (3), which is the first one again. */
static rp_status looks(member *m, looking at) {
  static const char *const names[] = {"messages", "bytes_sent", "gathers", "plans",
                                      "kernels_boxed"};
  rp_store *a, *b;
  int64_t before[5] = {0}, now[5];
  TRY(make(m, &a, &b));
  for (int32_t i = 0; i < 7; i++) {
    if (i == 5)
      TRY(look(m, b, at)); /* which the next pass reads first */
    else if (i % 2 == 0 && i < 6)
      TRY(star(m, b, a));
    else
      TRY(star(m, a, b));
    for (int32_t k = 0; k < 5; k++) TRY(rp_stat(m->ctx, names[k], &now[k]));
    for (int32_t k = 0; k < 5 && i >= 3; k++)
      m->out[ALL + 5 * (i - 3) + k] = (double)(now[k] - before[k]);
    memcpy(before, now, sizeof now);
  }
  return drop_all((rp_store *[]){a, b}, 2);
}

#define LOOKS(NAME, WHAT) \
  static rp_status NAME(member *m) { return looks(m, WHAT); }
LOOKS(look_at_nothing, AT_NOTHING)
LOOKS(look_at_boxes, AT_BOXES)
LOOKS(look_at_lines, AT_LINES)
LOOKS(look_at_shares, AT_SHARES)
LOOKS(look_at_checkpoints, AT_CHECKPOINTS)

/* What a look leaves alone: nothing is gathered, and the pass behind it is the one that was before it. */
static void test_looks(void **state) {
  (void)state;
  static rp_status (*const program[])(member *) = {look_at_nothing,     look_at_boxes,
                                                   look_at_lines,       look_at_shares,
                                                   look_at_checkpoints, look_at_boxes};
  here = folder_make();
  for (int32_t n = 4; n <= MOST; n += n == 4 ? 2 : 3) /* 4, 6, 9 */
    for (int32_t p = 0; p < 6; p++) {                 /* the last one in rows */
      member all[MOST];
      run(all, n, p < 5 ? "--tile 0 --cut boxes" : "--tile 0 --cut rows", program[p], ROOM);
      all_fine(all, n);
      int64_t moved = 0;
      for (int32_t r = 0; r < n; r++) {
        const double *pass = all[r].out + ALL, *seen = pass + 10, *next = pass + 15;
        assert_true(pass[4] == (p < 5) && next[4] == (p < 5)); /* in boxes */
        assert_true(seen[3] == 0 && next[3] == 0);             /* by a plan that was there */
        assert_true(next[0] == pass[0] && next[1] == pass[1]);
        assert_true(seen[2] == 0);
        moved += (int64_t)seen[1];
      }
      /* Each element is sent once, if at all, for each thing that is asked for by rows. */
      const int64_t things = p == 2 ? 2 : p == 3 ? 1 : p == 4 ? 2 : 0;
      assert_true(moved <= things * ALL * 8);
      assert_true((moved > 0) == (things > 0));
      forget(all, n);
    }
  folder_remove(here.path);
}

/* ---- writes ---- */

static rp_status put(rp_store *v, double first, bool drop) {
  double data[ALL];
  const int64_t n = rp_store_size(v);
  for (int64_t i = 0; i < n; i++) data[i] = first + (double)i * 0.5;
  TRY(rp_store_write(v, data, (size_t)n * 8));
  return drop ? rp_store_release(v) : RP_OK;
}

/* A part by hand, a column, steps and backwards, turned round; an element. */
static rp_status put_parts(rp_store *a, int32_t k) {
  rp_store *v, *w;
  TRY(rp_store_box(a, (int64_t[]){3 + k, 2}, (int64_t[]){25, 40 - k}, &v));
  TRY(put(v, 1000 * k, true));
  TRY(rp_store_project(a, 1, 22 + k, &v));
  TRY(put(v, -5, true));
  TRY(rp_store_slice(a, 0, 28, 1, -3, &v));
  TRY(rp_store_slice(v, 1, 1, WIDE, 4 + k, &w));
  TRY(rp_store_release(v));
  TRY(put(w, 77, true));
  TRY(rp_store_transpose(a, (int32_t[]){1, 0}, &v));
  TRY(rp_store_write_part(v, (int64_t[]){30, 14 + k}, (int64_t[]){32, 16 + k},
                          (double[]){1.5, 2.5, 3.5, 4.5}, 32));
  TRY(rp_store_release(v));
  const double one = 9.75;
  return rp_store_write_part(a, (int64_t[]){15, 22}, (int64_t[]){16, 23}, &one, 8);
}

static rp_status writes(member *m) {
  rp_store *a, *b, *c;
  double *out = m->out;
  TRY(make(m, &a, &b));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &c));
  for (int32_t pass = 0; pass < 2; pass++) {
    TRY(star(m, b, a));
    TRY(rp_store_copy(c, b)); /* which shares b's memory, */
    TRY(rp_wait(m->ctx));
    TRY(put_parts(b, pass)); /* until b is written */
    TRY(star(m, a, b));
    TRY(rp_store_read(b, out, ALL * 8));
    out += ALL;
    TRY(rp_store_copy(c, b));
    TRY(put_parts(c, pass + 1));
    TRY(star(m, b, c));
  }
  TRY(take(a, &out));
  TRY(take(b, &out));
  return take(c, &out);
}

static void test_writes(void **state) {
  (void)state;
  same_boxes(writes, ROOM);
}

/* Counts what it is asked for. */
static rp_status negative(void *arg, int64_t lo, int64_t n, void *out) {
  *(int64_t *)arg += n;
  for (int64_t i = 0; i < n; i++) ((double *)out)[i] = 40 - (double)(lo + i);
  return RP_OK;
}

/* Elements that come in shares, or are asked for, into views; elements that leave in shares. */
static rp_status shares(member *m) {
  rp_store *a, *b, *v;
  double *out = m->out, mine[ALL];
  int64_t asked = 0;
  TRY(make(m, &a, &b));
  TRY(star(m, b, a));
  TRY(inside(b, 0, 0, &v));
  TRY(rp_store_supply(v, negative, &m->stat[0]));
  TRY(rp_store_release(v));
  TRY(star(m, a, b));
  TRY(inside(a, -1, 1, &v));
  const int64_t n = rp_store_size(v), lo = n * m->rank / m->ranks,
                hi = n * (m->rank + 1) / m->ranks;
  for (int64_t i = lo; i < hi; i++) mine[i - lo] = 3 * (double)i;
  TRY(rp_store_write_share(v, mine, (size_t)(hi - lo) * 8));
  TRY(rp_store_release(v));
  TRY(star(m, b, a));
  TRY(rp_store_transpose(b, (int32_t[]){1, 0}, &v));
  TRY(rp_store_supply(v, negative, &asked));
  TRY(star(m, a, b));
  TRY(rp_store_read_share(a, 0, out, ALL * 8));
  TRY(rp_store_read_share(v, 100, out += ALL, 300 * 8));
  TRY(rp_store_release(v));
  out += 300;
  TRY(take(a, &out));
  return take(b, &out);
}

static void test_shares(void **state) {
  (void)state;
  member all[MOST];
  int64_t asked = 0;
  same_boxes(shares, 4 * ALL);
  run(all, 6, "--threads 1 --tile 0 --cut boxes", shares, 4 * ALL);
  all_fine(all, 6);
  for (int32_t r = 0; r < 6; r++) asked += all[r].stat[0];
  assert_int_equal(asked, (TALL - 2) * (WIDE - 2)); /* each element by one rank */
  forget(all, 6);
}

/* ---- index data ---- */

/* The table is attached, so that each rank has all of it: that no index lies outside is known from the bounds alone. */
static rp_status tables(member *m) {
  const int64_t n = 500;
  double memory[512];
  rp_store *x, *k, *y;
  for (int32_t i = 0; i < 512; i++) memory[i] = 1.0 / (1 + i);
  TRY(rp_store_attach(m->ctx, RP_F64, 1, &n, memory, RP_READ_ONLY, &x));
  TRY(rp_store_create(m->ctx, RP_I64, 2, shape, &k));
  TRY(rp_store_create(m->ctx, RP_F64, 2, shape, &y));
  for (int32_t pass = 0; pass < 3; pass++) {
    TRY(EVAL(m->ctx, "k", "k = (index(0)*17 + index(1)*5) % 499", k));
    if (pass == 2) /* one too many, somewhere */
      TRY(EVAL(m->ctx, "k", "k = k + i64(k == 498)*2", k));
    TRY(rp_wait(m->ctx));
    TRY(EVAL(m->ctx, "y, x, k", "y[i, j] = x[k[i, j]]", y, x, k));
    const rp_status st = rp_store_read(y, m->out + pass * ALL, ALL * 8);
    if (pass < 2) TRY(st);
    if (pass == 2) m->out[2 * ALL] = st;
  }
  return drop_all((rp_store *[]){y, k, x}, 3);
}

static void test_tables(void **state) {
  (void)state;
  member alone;
  same_boxes(tables, 2 * ALL + 1);
  run(&alone, 1, "--threads 1", tables, 3 * ALL);
  assert_true(alone.out[2 * ALL] == RP_ERR_DATA);
  forget(&alone, 1);
}

/* ---- checkpoints ---- */

static const char *const names[] = {"a", "inside", "turned", "steps", "k"};

typedef struct arrays {
  rp_store *a, *inside, *turned, *steps, *k, *b;
} arrays;

static rp_status make_arrays(member *m, arrays *s) {
  rp_store *v;
  TRY(make(m, &s->a, &s->b));
  TRY(rp_store_create(m->ctx, RP_I32, 2, shape, &s->k));
  TRY(EVAL(m->ctx, "k", "k = i32(index(0)*100 - index(1))", s->k));
  TRY(star(m, s->b, s->a));
  TRY(star(m, s->a, s->b));
  TRY(inside(s->b, 0, 0, &s->inside));
  TRY(rp_store_transpose(s->b, (int32_t[]){1, 0}, &s->turned));
  TRY(rp_store_slice(s->b, 0, 1, TALL, 3, &v));
  TRY(rp_store_slice(v, 1, 4, WIDE - 1, 2, &s->steps));
  return rp_store_release(v);
}

/* The arrays, and what a pass makes of them. */
static rp_status read_arrays(member *m, arrays *s) {
  int32_t k[ALL];
  double *out = m->out;
  TRY(rp_store_read(s->a, out + 5 * ALL, ALL * 8));
  TRY(star(m, s->a, s->b));
  rp_store *const list[] = {s->a, s->inside, s->turned, s->steps};
  for (int32_t i = 0; i < 4; i++) {
    TRY(rp_store_read(list[i], out, (size_t)rp_store_size(list[i]) * 8));
    out += rp_store_size(list[i]);
  }
  TRY(rp_store_read(s->k, k, sizeof k));
  for (int32_t i = 0; i < ALL; i++) *out++ = k[i];
  return drop_all(&s->a, 6);
}

static rp_status save(member *m) {
  arrays s;
  TRY(make_arrays(m, &s));
  TRY(rp_checkpoint(m->ctx, here.path, 5, names, STORES(s.a, s.inside, s.turned, s.steps, s.k)));
  return read_arrays(m, &s);
}

/* The same without a checkpoint. */
static rp_status direct(member *m) {
  arrays s;
  TRY(make_arrays(m, &s));
  return read_arrays(m, &s);
}

/* Over arrays that are in boxes, first some views, in the order of which the last write counts. */
static rp_status load(member *m) {
  arrays s;
  TRY(make_arrays(m, &s));
  TRY(EVAL(m->ctx, "a", "a = -a", s.a));
  TRY(EVAL(m->ctx, "b", "b = b*3", s.b));
  TRY(EVAL(m->ctx, "k", "k = k + 1", s.k));
  TRY(rp_wait(m->ctx));
  TRY(rp_restore(m->ctx, here.path, 4, (const char *const[]){"a", "turned", "inside", "k"},
                 STORES(s.a, s.turned, s.inside, s.k)));
  TRY(EVAL(m->ctx, "v", "v = v*3", s.steps));
  TRY(rp_wait(m->ctx));
  TRY(rp_restore(m->ctx, here.path, 1, (const char *const[]){"steps"}, STORES(s.steps)));
  return read_arrays(m, &s);
}

static void test_checkpoints(void **state) {
  (void)state;
  static const int32_t writers[] = {4, 9, 6}, readers[] = {3, 9, 1, 4};
  static const char *const boxes = "--threads 1 --tile 0 --cut boxes";
  member want, all[MOST];
  run(&want, 1, "--threads 1", direct, ROOM);
  all_fine(&want, 1);
  for (int32_t w = 0; w < 3; w++) {
    here = folder_make();
    run(all, writers[w], boxes, save, ROOM);
    compare(all, writers[w], &want, ROOM);
    forget(all, writers[w]);
    assert_int_equal(folder_each(here.path, "part-", NULL), writers[w]);
    for (int32_t r = 0; r < 4; r++) {
      run(all, readers[r], boxes, load, ROOM);
      compare(all, readers[r], &want, ROOM);
      forget(all, readers[r]);
    }
    folder_remove(here.path);
  }
  forget(&want, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reads),      cmocka_unit_test(test_reads_of_three),
      cmocka_unit_test(test_looks),      cmocka_unit_test(test_writes),
      cmocka_unit_test(test_shares),     cmocka_unit_test(test_tables),
      cmocka_unit_test(test_checkpoints)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
