/* SPDX-License-Identifier: Apache-2.0
 * tests/equal/program_text.c -- the text of expressions, and programs in print.
 *
 * Lives here: a tree as a body with its parameters; a step as a line.
 * Not here:   choosing steps (program.c), their meaning (program_run.c). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/equal/direct.h"
#include "tests/equal/program.h"

/* ---- bodies */

static const char *const store_name[] = {"y", "a", "b", "c", "d", "e"};

typedef struct writer {
  const program_step *s;
  char *out;
  size_t at, size;
} writer;

static void add(writer *w, const char *text) {
  const size_t n = strlen(text);
  if (w->at + n + 1 > w->size) return;
  memcpy(w->out + w->at, text, n + 1);
  w->at += n;
}

static void write_literal(writer *w, const program_node *n) {
  char text[40];
  snprintf(text, sizeof text, n->dtype >= RP_F32 ? "%.3f" : "%.0f", n->literal);
  add(w, n->dtype == RP_BOOL ? "bool(1)" : text);
}

static void write_tree(writer *w, int32_t at) {
  const program_node *n = &w->s->node[at];
  if (n->op == DIRECT_LITERAL) {
    write_literal(w, n);
    return;
  }
  if (n->op == DIRECT_OPERAND) {
    add(w, n->operand >= 0 ? store_name[n->operand] : n->operand == -1 ? "p" : "q");
    if (n->operand >= 0 && w->s->scatter) add(w, "[i]");
    return;
  }
  if (n->op == DIRECT_CAST) {
    add(w, rp_dtype_name(n->dtype));
    add(w, "(");
    write_tree(w, n->kid[0]);
    add(w, ")");
    return;
  }
  int32_t kid = 0;
  for (const char *c = direct_ops[n->op].text; *c; c++) {
    const char one[2] = {*c, '\0'};
    if (c[0] == '%' && c[1] == 's') {
      write_tree(w, n->kid[kid++]);
      c++;
    } else {
      add(w, one);
    }
  }
}

void program_write_body(program_step *s) {
  writer w = {.s = s, .out = s->body, .size = sizeof s->body};
  char sign[8] = "=";
  if (s->asg) snprintf(sign, sizeof sign, "%c=", s->asg);
  add(&w, s->scatter ? "y[a[i]] " : "y ");
  add(&w, s->asg == 'm' ? "min=" : s->asg == 'M' ? "max=" : sign);
  add(&w, " ");
  write_tree(&w, 0);
  w = (writer){.s = s, .out = s->params, .size = sizeof s->params};
  for (int32_t i = 0; i < s->n_store; i++) {
    if (i) add(&w, ", ");
    add(&w, store_name[i]);
  }
  if (s->n_scalar > 0) add(&w, ", p:float");
  if (s->n_scalar > 1) add(&w, ", q:float");
}

/* ---- steps */

static void print_launch(const program_step *s) {
  fprintf(stderr, "%s (", s->flag ? " [call]" : "");
  for (int32_t i = 0; i < s->n_store; i++) fprintf(stderr, "%sv%d", i ? ", " : "", s->v[i]);
  for (int32_t i = 0; i < s->n_scalar; i++) fprintf(stderr, ", %.17g", s->scalar[i]);
  fprintf(stderr, ") {%s | %s}\n", s->params, s->body);
}

static void print_extents(const program_step *s) {
  const bool box = s->kind == STEP_VIEW && s->flag == VIEW_BOX;
  if (s->kind == STEP_VIEW || s->kind == STEP_CREATE || s->kind == STEP_ATTACH)
    for (int32_t d = 0; d < (s->kind == STEP_VIEW ? 4 : s->ndim) && !box; d++)
      fprintf(stderr, " %lld", (long long)s->n[d]);
  if (s->kind == STEP_READ_PART || s->kind == STEP_WRITE_PART || box)
    for (int32_t d = 0; d < s->ndim; d++)
      fprintf(stderr, " [%lld,%lld)", (long long)s->n[d], (long long)s->n[RP_MAX_DIM + d]);
}

void program_print_step(const program_step *s, int32_t at) {
  static const char *const kind[] = {
      "nothing", "create", "scalar", "attach",     "home", "detach",    "view",
      "release", "swap",   "write",  "write_part", "read", "read_part", "fill",
      "copy",    "launch", "opaque", "begin",      "end",  "wait",      "store_wait"};
  static const char *const view[] = {"slice",   "box",       "transpose", "promote",
                                     "project", "broadcast", "reshape"};
  _Static_assert(sizeof kind / sizeof *kind == N_STEP_KIND, "a step without a name");
  if (s->kind == STEP_NOTHING) return;
  fprintf(stderr, "  %3d %s", at, kind[s->kind]);
  if (s->kind == STEP_LAUNCH) {
    print_launch(s);
    return;
  }
  if (s->kind == STEP_VIEW) fprintf(stderr, " %s", view[s->flag]);
  if (s->kind == STEP_BEGIN || s->kind == STEP_END || s->kind == STEP_WAIT) {
    fprintf(stderr, " %d\n", s->flag);
    return;
  }
  fprintf(stderr, " v%d v%d flag %d seed %016" PRIx64, s->v[0], s->v[1], s->flag, s->seed);
  if (s->spoil) fprintf(stderr, " spoil %d", s->spoil);
  if (s->kind == STEP_CREATE || s->kind == STEP_ATTACH || s->kind == STEP_SCALAR)
    fprintf(stderr, " %s", rp_dtype_name(s->dtype));
  print_extents(s);
  fprintf(stderr, "\n");
}

void program_print(const program *p) {
  for (int32_t i = 0; i < p->n_step; i++) program_print_step(&p->step[i], i);
}
