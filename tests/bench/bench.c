/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/bench.c -- reprise-bench [NAME...] [--quick] [--json FILE]: every figure of the project as
 * one row: what was measured, what it is compared with, the bar, and whether it is met.
 *
 * Lives here: the command line, the rows, the table and the JSON.
 * Not here:   the measurements (rows_*.c), our programs (ours_*.c), the baselines (base_*.c).
 *
 * How: the JSON of a row is written as it is added, into a stream in memory.
 *
 * A NAME takes all rows that begin with it. Exit status: 0 also when bars are missed; 1 when a result is
 * wrong. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/bench.h"

bool bench_quick;
const char *bench_self;

static char **names;
static int n_names;
static char *json; /* the rows so far */
static size_t json_size;
static FILE *rows; /* writes there */
static bool any_wrong;

/* ---- rows -------------------------------------------------------------------------------------------- */

bool bench_wanted(const char *name) {
  for (int i = 0; i < n_names; i++) {
    if (strncmp(name, names[i], strlen(names[i])) == 0) return true;
  }
  return n_names == 0;
}

static void put_text(const char *key, const char *s) {
  fprintf(rows, ",\n    \"%s\": ", key);
  if (!s) {
    fprintf(rows, "null");
    return;
  }
  fputc('"', rows);
  for (; *s; s++) fprintf(rows, *s == '"' || *s == '\\' ? "\\%c" : "%c", *s);
  fputc('"', rows);
}

static void put_number(const char *key, bool there, double v) {
  fprintf(rows, isfinite(v) && there ? ",\n    \"%s\": %.6g" : ",\n    \"%s\": null", key, v);
}

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
  fprintf(rows, "%s  {\n    \"met\": %s", ftell(rows) > 0 ? ",\n" : "",
          r->kind == BENCH_REPORTED && !r->wrong ? "null" : (met ? "true" : "false"));
  put_text("name", r->name);
  put_text("what", r->what);
  put_number("value", true, r->value);
  put_text("unit", r->unit);
  put_text("baseline", r->baseline);
  put_number("baseline_value", r->baseline, r->baseline_value);
  put_number("ratio", r->baseline, ratio);
  put_text("bar", r->kind == BENCH_REPORTED ? NULL : bar);
  fprintf(rows, "\n  }");
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
  FILE *f = fopen(path, "w");
  const bool good = f && fprintf(f, "[\n%s\n]\n", json) > 0;
  if (f && fclose(f) == 0 && good) return true;
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
  const char *json_path = NULL;
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
      json_path = argv[++i];
    } else if (argv[i][0] == '-') {
      return usage();
    } else {
      names[n_names++] = argv[i];
    }
  }
  rows = open_memstream(&json, &json_size);
  if (!rows) return EXIT_FAILURE;
  print_head();
  bench_rows_kernels();
  bench_rows_ranks(); /* before PETSc: its MPI leaves variables behind that mislead mpirun */
  bench_rows_times();
  bench_rows_small();
  bench_rows_numpy();
  bench_rows_first();
  bench_rows_memory();
  const bool kept = fclose(rows) == 0, written = !json_path || (kept && write_json(json_path));
  free(json);
  return written && !any_wrong ? EXIT_SUCCESS : EXIT_FAILURE;
}
