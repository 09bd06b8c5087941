/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_cuda_types.c -- the driver's declarations in the tree are those of the toolkit: sizes, offsets and values of
 * all that core/device/cuda_types.h has, when it runs; the signatures in cuda_driver.def, when it compiles. Without a
 * toolkit's cuda.h at configure time it exits with 77. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <ctype.h>

#ifdef SIGNATURES

#include "core/device/cuda.h"
#include "tests/support/cuda_layout.h"

enum { MOST = 512 };

typedef struct layout {
  cuda_fact facts[MOST];
  int32_t n;
} layout;

static layout ours, theirs;

static void note(void *arg, const cuda_fact *f) {
  layout *l = arg;
  assert_true(l->n < MOST);
  l->facts[l->n++] = *f;
}

static void test_same(void **state) {
  (void)state;
  assert_int_equal(ours.n, theirs.n);
  for (int32_t i = 0; i < ours.n; i++) {
    const cuda_fact *a = &ours.facts[i], *b = &theirs.facts[i];
    assert_string_equal(a->name, b->name);
    if (a->value != b->value || a->size != b->size)
      fail_msg("%s: %lld, %lld bytes; the toolkit has %lld, %lld bytes", a->name,
               (long long)a->value, (long long)a->size, (long long)b->value, (long long)b->size);
  }
}

/* ---- that nothing was left out ---------------------------------------------------------------------------- */

/* A name of the header, or a type's field. */
static void is_listed(const char *name, const char *field) {
  const size_t n = strlen(name);
  for (int32_t i = 0; i < ours.n; i++) {
    const char *at = ours.facts[i].name;
    if (strncmp(at, name, n) != 0) continue;
    if (field ? at[n] == '.' && strcmp(at + n + 1, field) == 0 : at[n] == '\0') return;
  }
  fail_msg("%s%s%s: not in tests/support/cuda_layout.def", name, field ? "." : "",
           field ? field : "");
}

/* The next word or sign of the header behind *at, comments aside; false at the end. */
static bool next(const char **at, char *word, size_t size) {
  const char *p = *at;
  for (;;) {
    p += strspn(p, " \n\\");
    if (strncmp(p, "/*", 2) != 0) break;
    p = strstr(p, "*/") + 2;
  }
  if (!*p) return false;
  size_t n = 0;
  while (isalnum((unsigned char)p[n]) || p[n] == '_') n++;
  if (n == 0) n = 1;
  assert_true(n < size);
  memcpy(word, p, n);
  word[n] = '\0';
  *at = p + n;
  return true;
}

static bool ends_with(const char *word, const char *tail) {
  const size_t n = strlen(word), m = strlen(tail);
  return n >= m && strcmp(word + n - m, tail) == 0;
}

static bool is_name(const char *word) {
  return (strncmp(word, "CU", 2) == 0 || strncmp(word, "cuda", 4) == 0) &&
         !ends_with(word, "_st") && !ends_with(word, "_enum");
}

static void test_complete(void **state) {
  (void)state;
  static char text[1 << 16];
  static char fields[64][128];
  FILE *f = fopen("core/device/cuda_types.h", "r"); /* tests run in the root of the tree */
  assert_non_null(f);
  const size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  assert_true(n > 1000 && n < sizeof text - 1);
  const char *at = strstr(text, "#else");
  assert_non_null(at);
  char word[128], before[128] = "";
  int32_t n_fields = 0, names = 0, in_struct = 0, in_union = 0;
  while (next(&at, word, sizeof word)) {
    if (is_name(word)) is_listed(word, NULL), names++;
    if (strcmp(word, "struct") == 0) in_struct = 1;
    if (strcmp(word, "union") == 0) in_union = 1; /* its fields are the struct's */
    if (in_union && strcmp(word, "}") == 0) {
      in_union = 0;
      strcpy(before, next(&at, word, sizeof word) ? word : "");
      continue;
    }
    if (strcmp(word, "[") == 0) { /* how many there are of a field */
      while (strcmp(word, "]") != 0 && next(&at, word, sizeof word)) continue;
      continue;
    }
    if (strcmp(word, "{") == 0 && in_struct) in_struct = 2;
    if (strcmp(word, ";") == 0 && in_struct == 1) in_struct = 0;
    if (in_struct == 2 && (*word == ',' || *word == ';')) {
      assert_true(n_fields < RPI_COUNT(fields));
      strcpy(fields[n_fields++], before);
    }
    if (strcmp(before, "}") == 0) { /* the type's name */
      for (int32_t i = 0; i < n_fields; i++) is_listed(word, fields[i]);
      n_fields = in_struct = 0;
    }
    strcpy(before, word);
  }
  assert_true(names > 50);
}

/* ---- signatures ------------------------------------------------------------------------------------------- */

#define SIGNATURE(field, symbol) \
  _Static_assert(_Generic(&symbol, __typeof__(((rpi_cuda *)0)->field) : 1, default : 0), \
                 #symbol " has another signature in the toolkit");
#include SIGNATURES
#undef SIGNATURE

static void test_signatures(void **state) {
  (void)state;
  int32_t n = 0;
#define SIGNATURE(field, symbol) n++;
#include SIGNATURES
#undef SIGNATURE
  assert_int_equal(n, offsetof(rpi_cuda, driver) / sizeof(void *));
}

int main(void) {
  cuda_ours(note, &ours);
  cuda_layout(note, &theirs);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_same), cmocka_unit_test(test_complete),
                                     cmocka_unit_test(test_signatures)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
  printf("no cuda.h was found when this was built\n");
  return 77;
}

#endif
