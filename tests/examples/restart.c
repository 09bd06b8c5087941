/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/restart.c -- heat in a square plate, in a program that may be killed at any time: with --folder it saves
 * its state there every few steps, and begins where the last checkpoint was, on any number of processes. The
 * bits are those of an uninterrupted run. */
#include "example.h"

enum { EVERY = 5 };

typedef struct plate {
  rp_store *u, *step; /* all of the state */
  rp_store *inside, *next;
  rp_store *near[5]; /* views of u: the middle, and its neighbours */
} plate;

static rp_store *window(rp_store *grid, int64_t n, int64_t i, int64_t j) {
  const int64_t lo[] = {i, j}, hi[] = {i + n, j + n};
  rp_store *view;
  RP_CHECK(rp_store_box(grid, lo, hi, &view));
  return view;
}

static plate plate_make(rp_context *ctx, int64_t n) {
  static const int64_t at[5][2] = {{1, 1}, {0, 1}, {2, 1}, {1, 0}, {1, 2}};
  const int64_t shape[] = {n + 2, n + 2}, inner[] = {n, n}, zero = 0;
  const double hot = 100;
  plate p;
  rp_store *side;
  RP_CHECK(rp_store_create(ctx, RP_F64, 2, shape, &p.u));
  RP_CHECK(rp_store_create(ctx, RP_F64, 2, inner, &p.next));
  RP_CHECK(rp_store_scalar(ctx, RP_I64, &zero, &p.step));
  RP_CHECK(rp_store_project(p.u, 0, 0, &side));
  RP_CHECK(rp_store_fill(side, &hot));
  RP_CHECK(rp_store_release(side));
  for (int i = 0; i < 5; i++) p.near[i] = window(p.u, n, at[i][0], at[i][1]);
  p.inside = p.near[0];
  return p;
}

static void plate_forget(const plate *p) {
  rp_store *all[] = {p->u,       p->step,    p->next,    p->near[0],
                     p->near[1], p->near[2], p->near[3], p->near[4]};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) RP_CHECK(rp_store_release(all[i]));
}

static void advance(rp_context *ctx, const plate *p) {
  rp_store *next = p->next, *step = p->step, *c = p->near[0];
  rp_store *n = p->near[1], *s = p->near[2], *w = p->near[3], *e = p->near[4];
  RP_CHECK(rp_trace_begin(ctx, 1));
  RP_CHECK(RP_DO(ctx, "next = c + 0.2*(n + s + w + e - 4*c)", next, c, n, s, w, e));
  RP_CHECK(RP_DO(ctx, "c = next", c, next));
  RP_CHECK(RP_DO(ctx, "step = step + 1", step));
  RP_CHECK(rp_trace_end(ctx, 1));
}

static const char *const names[] = {"temperature", "step"};

/* The step at which the checkpoint was made; 0: there is none. Anything else wrong ends the program. */
static int64_t restore(rp_context *ctx, const char *folder, const plate *p) {
  int64_t step;
  rp_store *const state[] = {p->u, p->step};
  const rp_status st = rp_restore(ctx, folder, 2, names, state);
  if (st == RP_ERR_ARGUMENT) return 0;
  RP_CHECK(st);
  RP_CHECK(rp_store_read(p->step, &step, sizeof step));
  printf("restored at step %lld\n", (long long)step);
  fflush(stdout);
  return step;
}

int main(int argc, char **argv) {
  example_options o = {.size = 128, .iters = 100};
  example_parse(argc, argv, "size iters folder", &o);
  rp_context *ctx;
  RP_CHECK(rp_context_create(NULL, &ctx));
  const plate p = plate_make(ctx, o.size);
  rp_store *const state[] = {p.u, p.step};
  for (int64_t step = o.folder ? restore(ctx, o.folder, &p) : 0; step < o.iters; step++) {
    if (o.folder && step % EVERY == 0) RP_CHECK(rp_checkpoint(ctx, o.folder, 2, names, state));
    advance(ctx, &p);
  }
  example_bits_add(p.u);
  example_bits_add(p.step);
  example_bits_print();
  plate_forget(&p);
  RP_CHECK(rp_context_destroy(ctx));
  return 0;
}
