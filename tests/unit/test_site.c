/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_site.c -- from return addresses to words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <gnu/libc-version.h>

#include "tests/support/lines.h"
#include "trace/site.h"

static const void *returns_to;
static RPI_NOINLINE void note(void) { returns_to = __builtin_return_address(0); }

static char said[400];
static const char *words(const rpi_site *s) {
  rpi_strbuf text;
  rpi_strbuf_init(&text);
  rpi_site_print(s, &text);
  snprintf(said, sizeof said, "%s", rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  return said;
}

static void test_line(void **state) {
  char want[100];
  rpi_site site;
  (void)state;
  note();
  const int line = __LINE__ - 1;
  rpi_site_find(returns_to, &site);
  snprintf(want, sizeof want, has_lines() ? "test_site.c:%d (test_line)" : "test_site", line);
  if (!strstr(words(&site), want)) fail_msg("\"%s\" is not \"%s\"", said, want);
  assert_true(rpi_site_is_own(returns_to)); /* all in one program here */
}

/* Of a library without lines there is the symbol, of nothing that is known a word. */
static void test_others(void **state) {
  rpi_site site;
  (void)state;
  rpi_site_find((const char *)(uintptr_t)gnu_get_libc_version + 5, &site);
  if (!strstr(words(&site), "libc_version")) fail_msg("\"%s\" lacks libc_version", said);
  assert_false(rpi_site_is_own((const void *)(uintptr_t)gnu_get_libc_version));
  rpi_site_find(NULL, &site);
  assert_string_equal(words(&site), "an unknown place");
  rpi_site_find(said, &site); /* data: a module, and no function */
  assert_true(words(&site)[0] != '\0');
  site = (rpi_site){.module = "/nonexistent/app", .address = 0x40, .symbol = "solve", .offset = 8};
  assert_string_equal(words(&site), "app (solve+0x8)");
  site.symbol[0] = '\0';
  assert_string_equal(words(&site), "app+0x40");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_line), cmocka_unit_test(test_others)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
