/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_topology.c -- the order of processors on machines made of files: pairs of threads numbered
 * in both ways, nodes, an affinity mask with holes, files that are missing or nonsense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/exec/topology.h"

static char root[64];

static int setup(void **state) {
  (void)state;
  snprintf(root, sizeof root, "/tmp/reprise-topology-XXXXXX");
  return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -r '%s'", root);
  return system(command);
}

/* Writes a file below the root, with the folders on the way. */
static void write_file(const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof path, "%s/%s", root, name);
  for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
    *p = '\0';
    mkdir(path, 0700);
    *p = '/';
  }
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  fprintf(f, "%s\n", text);
  fclose(f);
}

static void core(int cpu, const char *siblings) {
  char name[80];
  snprintf(name, sizeof name, "cpu/cpu%d/topology/thread_siblings_list", cpu);
  write_file(name, siblings);
}

/* "0 2 4": the allowed processors and the order that comes out. */
static void expect(int32_t here, const char *allowed, const char *want) {
  int32_t cpu[64], n = 0;
  char got[256] = "";
  for (char *p = (char *)(uintptr_t)allowed; *p && n < 64;) {
    cpu[n++] = (int32_t)strtol(p, &p, 10);
    p += strspn(p, " ");
  }
  rpi_topology_order(root, here, cpu, n);
  for (int32_t i = 0; i < n; i++)
    snprintf(got + strlen(got), sizeof got - strlen(got), i ? " %d" : "%d", (int)cpu[i]);
  assert_string_equal(got, want);
}

static void test_pairs(void **state) {
  (void)state;
  for (int c = 0; c < 4; c++) { /* threads of a core are c and c + 4 */
    char text[16];
    snprintf(text, sizeof text, "%d,%d", c, c + 4);
    core(c, text);
    core(c + 4, text);
  }
  expect(0, "0 1 2 3 4 5 6 7", "0 1 2 3 4 5 6 7");
  expect(2, "0 1 2 3 4 5 6 7", "2 3 0 1 4 5 6 7");
  expect(6, "0 1 2 3 4 5 6 7", "6 0 1 3 7 2 4 5"); /* its sibling 2 has the second turn */
  expect(1, "1 3 5 7", "1 3 5 7");
  expect(9, "0 4 5", "0 5 4"); /* the caller is elsewhere */
  expect(3, "3", "3");
}

static void test_neighbours(void **state) {
  (void)state;
  for (int c = 0; c < 8; c++) core(c, c < 2 ? "0-1" : c < 4 ? "2-3" : c < 6 ? "4-5" : "6-7");
  expect(0, "0 1 2 3 4 5 6 7", "0 2 4 6 1 3 5 7");
  expect(3, "0 1 2 3 4 5 6 7", "3 4 6 0 5 7 1 2");
}

static void test_nodes(void **state) {
  (void)state;
  write_file("node/online", "0-2");
  write_file("node/node0/cpulist", "0-1,6-7");
  write_file("node/node1/cpulist", "2-3,8-9");
  write_file("node/node2/cpulist", "4-5,10-11");
  for (int c = 0; c < 12; c++) {
    char text[16];
    snprintf(text, sizeof text, "%d,%d", c % 6, c % 6 + 6);
    core(c, text);
  }
  expect(2, "0 1 2 3 4 5 6 7 8 9 10 11", "2 3 4 5 0 1 8 9 10 11 6 7");
  expect(5, "0 1 2 3 4 5 6 7 8 9 10 11", "5 4 2 3 0 1 10 11 8 9 6 7");
  expect(0, "0 4 5 6 8 9", "0 8 9 4 5 6"); /* 8 and 9 are the only ones of their cores */
}

static void test_poor_files(void **state) {
  (void)state;
  expect(2, "0 1 2 3", "2 3 0 1"); /* none at all */
  core(0, "nonsense");
  core(1, "");
  core(2, "2,99999999999999999999");
  core(3, "1-3-7,,x");
  write_file("node/online", "0-1,7");
  write_file("node/node1/cpulist", "-5");
  expect(0, "0 1 2 3", "0 1 2 3");
  rpi_alloc_inject(1);
  expect(1, "0 1 2 3", "0 1 2 3"); /* no memory: as they were */
  rpi_alloc_inject(-1);
}

/* The machine itself: the same processors come out, the caller's first. */
static void test_here(void **state) {
  (void)state;
  int32_t cpu[4] = {0, 1, 2, 3}, sum = 0;
  rpi_topology_order(RPI_TOPOLOGY_ROOT, 1, cpu, 4);
  assert_int_equal(cpu[0], 1);
  for (int i = 0; i < 4; i++) sum += 1 << cpu[i];
  assert_int_equal(sum, 15);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {TEST(test_pairs), TEST(test_neighbours), TEST(test_nodes),
                                     TEST(test_poor_files), TEST(test_here)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
