/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench.c -- reprise-bench [NAME...] [--quick] [--json FILE]: every figure of the project as
 * one row: what was measured, what it is compared with, the bar, and whether it is met.
 *
 * Lives here: the command line, the rows, the table and the JSON.
 * Not here:   the measurements (rows_*.c), our programs (ours_*.c), the baselines (base_*.c).
 *
 * A NAME takes all rows that begin with it. Exit status: 0 also when bars are missed; 1 when a result is
 * wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "tests/bench/bench.h"

bool bench_quick;
const char *bench_self;

static char **names;
static int n_names;
static json_t *rows;
static bool any_wrong;

/* ---- rows -------------------------------------------------------------------------------------------- */

bool bench_wanted(const char *name) {
  for (int i = 0; i < n_names; i++) {
    if (strncmp(name, names[i], strlen(names[i])) == 0) return true;
  }
  return n_names == 0;
}

static void set(json_t *row, const char *key, json_t *value) {
  if (json_object_set_new(row, key, value) != 0) {
    fprintf(stderr, "reprise-bench: cannot keep a row\n");
    exit(EXIT_FAILURE);
  }
}

static json_t *text(const char *s) { return s ? json_string(s) : json_null(); }
static json_t *number(bool there, double v) { return there ? json_real(v) : json_null(); }

static void describe_bar(const bench_row *r, char out[48]) {
  if (r->kind == BENCH_RATIO) {
    snprintf(out, 48, "ratio <= %.2f", r->bar);
  } else if (r->kind == BENCH_VALUE) {
    snprintf(out, 48, "value <= %g %s", r->bar, r->unit);
  } else {
    snprintf(out, 48, "-");
  }
}

static void print_head(void) {
  printf("%-32s %12s %-8s %12s %7s  %-18s %-6s %s\n", "name", "value", "unit", "baseline", "ratio",
         "bar", "met", "what, against what");
}

static void print_row(const bench_row *r, const char *bar, const char *met, double ratio) {
  char base[24] = "-", quotient[16] = "-";
  if (r->baseline) {
    snprintf(base, sizeof base, "%.5g", r->baseline_value);
    snprintf(quotient, sizeof quotient, "%.3f", ratio);
  }
  printf("%-32s %12.5g %-8s %12s %7s  %-18s %-6s %s%s%s\n", r->name, r->value, r->unit, base,
         quotient, bar, met, r->what, r->baseline ? " / " : "", r->baseline ? r->baseline : "");
  fflush(stdout);
}

void bench_add(const bench_row *r) {
  if (!bench_wanted(r->name)) return;
  const double ratio = r->baseline && r->baseline_value > 0 ? r->value / r->baseline_value : 0;
  const bool under = r->kind == BENCH_RATIO ? ratio <= r->bar : r->value <= r->bar;
  const bool met = under && !r->wrong;
  char bar[48];
  describe_bar(r, bar);
  json_t *row = json_object();
  set(row, "name", text(r->name));
  set(row, "what", text(r->what));
  set(row, "value", json_real(r->value));
  set(row, "unit", text(r->unit));
  set(row, "baseline", text(r->baseline));
  set(row, "baseline_value", number(r->baseline, r->baseline_value));
  set(row, "ratio", number(r->baseline, ratio));
  set(row, "bar", r->kind == BENCH_REPORTED ? json_null() : json_string(bar));
  set(row, "met", r->kind == BENCH_REPORTED && !r->wrong ? json_null() : json_boolean(met));
  if (json_array_append_new(rows, row) != 0) exit(EXIT_FAILURE);
  any_wrong |= r->wrong;
  print_row(r, bar,
            r->wrong                    ? "WRONG"
            : r->kind == BENCH_REPORTED ? "-"
            : met                       ? "yes"
                                        : "no",
            ratio);
}

/* ---- the command line ---------------------------------------------------------------------------------- */

static int usage(void) {
  fprintf(stderr, "usage: reprise-bench [NAME...] [--quick] [--json FILE]\n"
                  "NAME: measure the rows whose names begin with it\n");
  return 2;
}

static bool write_json(const char *path) {
  if (json_dump_file(rows, path, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) == 0) return true;
  fprintf(stderr, "reprise-bench: cannot write %s: %s\n", path, strerror(errno));
  return false;
}

/* The path a child is started by. */
static const char *own_path(char *buf, size_t size) {
  const ssize_t n = readlink("/proc/self/exe", buf, size - 1);
  if (n <= 0) return NULL;
  buf[n] = '\0';
  return buf;
}

int main(int argc, char **argv) {
  static char path[4096];
  const char *json = NULL;
  bench_self = own_path(path, sizeof path);
  if (!bench_self) bench_self = argv[0];
  if (argc == 5 && strcmp(argv[1], "--ranks") == 0)
    return bench_ranks_child(argv[2], strtoll(argv[3], NULL, 10), strtoll(argv[4], NULL, 10));
  if (argc == 5 && strcmp(argv[1], "--child") == 0) {
    return bench_child(argv[2], argv[3], strtoll(argv[4], NULL, 10));
  }
  names = argv + 1; /* names are gathered in place */
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--quick") == 0) {
      bench_quick = true;
    } else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
      json = argv[++i];
    } else if (argv[i][0] == '-') {
      return usage();
    } else {
      names[n_names++] = argv[i];
    }
  }
  rows = json_array();
  print_head();
  bench_rows_kernels();
  bench_rows_ranks(); /* before PETSc: its MPI leaves variables behind that mislead mpirun */
  bench_rows_times();
  bench_rows_small();
  bench_rows_numpy();
  bench_rows_first();
  bench_rows_memory();
  const bool written = !json || write_json(json);
  json_decref(rows);
  return written && !any_wrong ? EXIT_SUCCESS : EXIT_FAILURE;
}
