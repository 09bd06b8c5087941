/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_config.c -- knobs from text and environment, their order, errors, the print. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/base/alloc.h"
#include "core/base/config.h"

/* The variables of this process go; each test sets its own. */
static int clean_environment(void **state) {
  (void)state;
#define RPI_KNOB(name, kind, def, choices, meaning) #name,
  static const char *const names[] = {
#include "core/base/config.def"
  };
#undef RPI_KNOB
  for (int32_t i = 0; i < RPI_COUNT(names); i++) {
    char var[80] = "REPRISE_";
    size_t at = strlen(var);
    for (const char *p = names[i]; *p; p++) var[at++] = (char)(*p == '_' ? '_' : *p & ~0x20);
    unsetenv(var);
  }
  unsetenv("REPRISE_CONFIG");
  return 0;
}

static void test_defaults(void **state) {
  (void)state;
  rpi_config c, d;
  assert_int_equal(rpi_config_defaults(&d), RP_OK);
  assert_int_equal(rpi_config_init(&c, NULL), RP_OK);
  for (const rpi_config *p = &c;; p = &d) {
    assert_int_equal(p->threads, 0);
    assert_true(p->fusion);
    assert_int_equal(p->tier, RPI_TIER_AUTO);
    assert_int_equal(p->max_tasks, 1000);
    assert_int_equal(p->grain, 65536);
    assert_string_equal(p->cache_dir, "");
    assert_string_equal(p->cc, "");
    assert_int_equal(p->vector, RPI_VECTOR_AUTO);
    assert_false(p->keep_source);
    assert_int_equal(p->log, 1);
    if (p == &d) break;
  }
  rpi_config_deinit(&c);
  rpi_config_deinit(&d);
  assert_null(c.cc);
  rpi_config_deinit(&c);
}

static void test_options(void **state) {
  (void)state;
  rpi_config c;
  assert_int_equal(rpi_config_init(&c,
                                   "  --threads 2\t--fusion=off --tier 1 --vector=avx512\n"
                                   "--max-tasks 7 --max_tasks 8 --cache-mb=1048576 "
                                   "--cc \"/a b/cc\" --cache_dir=\"c d\" --log debug --spin 0 "),
                   RP_OK);
  assert_int_equal(c.threads, 2);
  assert_false(c.fusion);
  assert_int_equal(c.tier, RPI_TIER_1);
  assert_int_equal(c.vector, RPI_VECTOR_AVX512);
  assert_int_equal(c.max_tasks, 8);
  assert_int_equal(c.cache_mb, 1048576);
  assert_string_equal(c.cc, "/a b/cc");
  assert_string_equal(c.cache_dir, "c d");
  assert_int_equal(c.log, 3);
  assert_int_equal(c.spin, 0);
  assert_true(c.tracing);
  rpi_config_deinit(&c);
  assert_int_equal(rpi_config_init(&c, "--cc= --cache-dir \"\" --tier 0"), RP_OK);
  assert_string_equal(c.cc, "");
  assert_string_equal(c.cache_dir, "");
  assert_int_equal(c.tier, RPI_TIER_0);
  rpi_config_deinit(&c);
  assert_int_equal(rpi_config_init(&c, ""), RP_OK);
  rpi_config_deinit(&c);
}

/* Defaults, REPRISE_CONFIG, one variable per knob, text: each replaces the one before. */
static void test_order(void **state) {
  (void)state;
  rpi_config c;
  setenv("REPRISE_CONFIG", "--threads 1 --grain 10 --window 20 --cc one", 1);
  setenv("REPRISE_GRAIN", "11", 1);
  setenv("REPRISE_WINDOW", "21", 1);
  setenv("REPRISE_CC", "", 1);      /* a text may be empty */
  setenv("REPRISE_THREADS", "", 1); /* for any other knob that is as if it were not set */
  setenv("REPRISE_KEEP_SOURCE", "on", 1);
  assert_int_equal(rpi_config_init(&c, "--window 22"), RP_OK);
  assert_int_equal(c.threads, 1);
  assert_int_equal(c.grain, 11);
  assert_int_equal(c.window, 22);
  assert_string_equal(c.cc, "");
  assert_true(c.keep_source);
  rpi_config_deinit(&c);
  assert_int_equal(rpi_config_defaults(&c), RP_OK);
  assert_int_equal(c.grain, 65536);
  rpi_config_deinit(&c);
}

static void refused(const char *text, const char *sentence) {
  rpi_config c;
  memset(&c, 1, sizeof c);
  assert_int_equal(rpi_config_init(&c, text), RP_ERR_CONFIG);
  if (!strstr(rpi_status_message(), sentence)) {
    fail_msg("%s: \"%s\" is not in \"%s\"", text, sentence, rpi_status_message());
  }
  assert_null(c.cc);
  assert_int_equal(c.threads, 0);
}

static void test_errors(void **state) {
  (void)state;
  refused("--threads 5000", "knob threads: the value \"5000\" is not one of 0..4096");
  refused("--threads -1", "knob threads: the value \"-1\" is not one of 0..4096");
  refused("--threads 2x", "\"2x\"");
  refused("--threads \"\"", "knob threads: the value \"\" is not one of 0..4096");
  refused("--threads \" 2\"", "\" 2\"");
  refused("--threads 99999999999999999999999", "\"99999999999999999999999\"");
  refused("--cache-mb 0", "knob cache_mb: the value \"0\" is not one of 1..1048576");
  refused("--fusion yes", "knob fusion: the value \"yes\" is not one of on|off");
  refused("--fusion on|off", "\"on|off\"");
  refused("--tier aut", "knob tier: the value \"aut\" is not one of auto|0|1");
  refused("--tier auto|0", "\"auto|0\"");
  refused("--threads", "knob threads: the value is missing; it is one of 0..4096");
  refused("--cc --threads 2", "knob cc: the value is missing");
  refused("--cc \"abc", "knob cc: the value \"abc lacks its closing quote");
  refused("--cc \"a\"b", "closing quote");
  refused("threads 2", "\"threads\" is not an option");
  refused("--threads 2 3", "\"3\" is not an option");
  refused("--thread 2", "no knob \"thread\"; there are threads, fusion, tracing,");
  refused("--threadsx=2", "no knob \"threadsx\"");
  refused("--", "no knob \"\"");
  refused("--cc x --explain maybe", "knob explain");
  setenv("REPRISE_TIER", "2", 1);
  refused(NULL, "REPRISE_TIER: knob tier: the value \"2\" is not one of auto|0|1");
  unsetenv("REPRISE_TIER");
  setenv("REPRISE_CONFIG", "--nothing 2", 1);
  refused(NULL, "REPRISE_CONFIG: there is no knob \"nothing\"");
}

/* Every allocation of an init may fail: a status, nothing left behind (the leak checker looks). */
static void test_memory(void **state) {
  (void)state;
  int32_t n = 1;
  for (;; n++) {
    rpi_config c;
    rpi_alloc_inject(n);
    rp_status s = rpi_config_init(&c, "--cc \"x\" --cc y --threads 3");
    rpi_alloc_inject(-1);
    if (s == RP_OK) {
      assert_string_equal(c.cc, "y");
      rpi_config_deinit(&c);
      break;
    }
    assert_int_equal(s, RP_ERR_MEMORY);
    assert_null(c.cc);
  }
  assert_true(n > 4);
}

/* One line per knob in the table's order; values read back give the same config. */
static void test_print(void **state) {
  (void)state;
  static const char *const name[] = {
#define RPI_KNOB(name, kind, def, choices, meaning) #name,
#include "core/base/config.def"
#undef RPI_KNOB
  };
  rpi_config c, back;
  rpi_strbuf out, options;
  rpi_strbuf_init(&out);
  rpi_strbuf_init(&options);
  assert_int_equal(rpi_config_init(&c, "--threads 12 --late off --tier 0 --cc \"p q\" --log info"),
                   RP_OK);
  rpi_config_print(&c, &out);
  assert_false(out.failed);
  const char *p = rpi_strbuf_str(&out);
  size_t column = (size_t)(strstr(p, "worker threads") - p);
  for (int32_t i = 0; i < RPI_COUNT(name); i++) {
    size_t n = strlen(name[i]), line = strcspn(p, "\n");
    assert_memory_equal(p, name[i], n);
    assert_true(p[n] == ' ' && line > column && p[column - 1] == ' ' && p[column] != ' ');
    const char *value = p + n + strspn(p + n, " ");
    size_t len = *value == '"' ? strcspn(value + 1, "\"") + 2 : strcspn(value, " ");
    rpi_strbuf_addf(&options, "--%s %.*s ", name[i], (int)len, value);
    p += line + 1;
  }
  assert_int_equal(*p, '\0');
  assert_int_equal(rpi_config_init(&back, rpi_strbuf_str(&options)), RP_OK);
  assert_int_equal(back.threads, 12);
  assert_false(back.late);
  assert_int_equal(back.tier, RPI_TIER_0);
  assert_string_equal(back.cc, "p q");
  assert_int_equal(back.log, 2);
  assert_non_null(strstr(rpi_strbuf_str(&out), "auto|avx2|avx512"));
  rpi_config_deinit(&back);
  rpi_config_deinit(&c);
  rpi_strbuf_deinit(&options);
  rpi_strbuf_deinit(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_defaults, clean_environment),
      cmocka_unit_test_setup(test_options, clean_environment),
      cmocka_unit_test_setup(test_order, clean_environment),
      cmocka_unit_test_setup(test_errors, clean_environment),
      cmocka_unit_test_setup(test_memory, clean_environment),
      cmocka_unit_test_setup(test_print, clean_environment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
