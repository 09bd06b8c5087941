/* SPDX-License-Identifier: Apache-2.0
 * tests/unit/test_semantics_integer.c -- SEMANTICS.md 1, integers, rule by rule, through the public interface:
 * in both tiers, fused and not, against plain C on edge values. */
#include "tests/support/sheet.h"

#include "tests/support/wide.h"

typedef struct integer_rule {
  const char *text; /* over A and B, one letter per operand */
  wide (*value)(rp_dtype t, wide a, wide b);
} integer_rule;

/* The rules on all integer dtypes at once. */
static void check_integers(const integer_rule *rule, int n) {
  static sheet s;
  s.n = PAIRS;
  for (rp_dtype t = RP_I8; t <= RP_U64; t++) {
    char a[8 * PAIRS], b[8 * PAIRS], want[8 * PAIRS], name[16], text[SHEET_TEXT];
    const char *suffix = integer_name[t];
    integer_pairs(t, a, b);
    with_names("A", suffix, name);
    sheet_in(&s, name, t, a);
    with_names("B", suffix, name);
    sheet_in(&s, name, t, b);
    for (int r = 0; r < n; r++) {
      for (int i = 0; i < PAIRS; i++)
        fit(t, rule[r].value(t, whole(t, a, i), whole(t, b, i)), want, i);
      with_names(rule[r].text, suffix, text);
      snprintf(name, sizeof name, "y%d_%s", r, suffix);
      sheet_out(&s, name, t, want, text);
    }
  }
  sheet_run(&s);
}

static wide plus(rp_dtype t, wide a, wide b) {
  (void)t;
  return a + b;
}
static wide minus(rp_dtype t, wide a, wide b) {
  (void)t;
  return a - b;
}
static wide times(rp_dtype t, wide a, wide b) {
  (void)t;
  return (wide)((uwide)a * (uwide)b);
}

static void integers_wrap(void **state) {
  (void)state;
  const integer_rule rule[] = {{"A + B", plus}, {"A - B", minus}, {"A*B", times}};
  check_integers(rule, COUNT(rule));
}

static wide negated(rp_dtype t, wide a, wide b) {
  (void)t;
  (void)b;
  return -a;
}
static wide size(rp_dtype t, wide a, wide b) {
  (void)t;
  (void)b;
  return a < 0 ? -a : a;
}

static void integers_abs_of_least(void **state) {
  (void)state;
  const integer_rule rule[] = {{"abs(A) + 0*B", size}, {"-A + 0*B", negated}};
  check_integers(rule, COUNT(rule));
}

static wide remainder_of(rp_dtype t, wide a, wide b) {
  (void)t;
  if (b == 0) return 0;
  const wide r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static wide quotient_of(rp_dtype t, wide a, wide b) {
  return b == 0 ? 0 : (a - remainder_of(t, a, b)) / b; /* wraps for MIN // -1 when stored */
}

static void integers_floor(void **state) {
  (void)state;
  const integer_rule rule[] = {{"A // B", quotient_of}, {"A % B", remainder_of}};
  check_integers(rule, COUNT(rule));
  assert_true(quotient_of(RP_I8, -7, 2) == -4 && remainder_of(RP_I8, -7, 2) == 1);
  assert_true(remainder_of(RP_I8, 7, -2) == -1 && quotient_of(RP_I8, -128, -1) == 128);
}

/* A negative count is one of the width or more. */
static wide left(rp_dtype t, wide a, wide b) {
  return b < 0 || b >= width_of(t) ? 0 : (wide)((uwide)a << (int)b);
}
static wide right(rp_dtype t, wide a, wide b) {
  return b < 0 || b >= width_of(t) ? (a < 0 ? -1 : 0) : a >> (int)b;
}

static void integers_shift(void **state) {
  (void)state;
  const integer_rule rule[] = {{"A << B", left}, {"A >> B", right}};
  check_integers(rule, COUNT(rule));
}

/* By a literal too: there the compiler could know better. */
static void integers_by_literals(void **state) {
  (void)state;
  static sheet s;
  int32_t a[PAIRS], b[PAIRS], want[PAIRS];
  const struct {
    const char *text;
    integer_rule rule;
    wide b;
  } row[] = {{"a // 0", {"", quotient_of}, 0},   {"a % 0", {"", remainder_of}, 0},
             {"a // -1", {"", quotient_of}, -1}, {"a % -1", {"", remainder_of}, -1},
             {"a // 2", {"", quotient_of}, 2},   {"a % 2", {"", remainder_of}, 2},
             {"a // -4", {"", quotient_of}, -4}, {"a % -4", {"", remainder_of}, -4},
             {"a << 32", {"", left}, 32},        {"a >> 32", {"", right}, 32},
             {"a << -1", {"", left}, -1},        {"a >> 31", {"", right}, 31}};
  integer_pairs(RP_I32, a, b);
  s.n = PAIRS;
  sheet_in(&s, "a", RP_I32, a);
  for (int r = 0; r < COUNT(row); r++) {
    char name[16];
    for (int i = 0; i < PAIRS; i++) fit(RP_I32, row[r].rule.value(RP_I32, a[i], row[r].b), want, i);
    snprintf(name, sizeof name, "y%d", r);
    sheet_out(&s, name, RP_I32, want, row[r].text);
  }
  sheet_run(&s);
}

static void integers_divide_truly(void **state) {
  (void)state;
  static sheet s;
  s.n = PAIRS;
  for (rp_dtype t = RP_I8; t <= RP_U64; t++) {
    char a[8 * PAIRS], b[8 * PAIRS], name[16], text[SHEET_TEXT];
    double want[PAIRS];
    integer_pairs(t, a, b);
    with_names("A", integer_name[t], name);
    sheet_in(&s, name, t, a);
    with_names("B", integer_name[t], name);
    sheet_in(&s, name, t, b);
    for (int i = 0; i < PAIRS; i++) want[i] = (double)whole(t, a, i) / (double)whole(t, b, i);
    with_names("A/B", integer_name[t], text);
    snprintf(name, sizeof name, "y_%s", integer_name[t]);
    sheet_out(&s, name, RP_F64, want, text);
  }
  sheet_run(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(integers_wrap),        cmocka_unit_test(integers_abs_of_least),
      cmocka_unit_test(integers_floor),       cmocka_unit_test(integers_shift),
      cmocka_unit_test(integers_by_literals), cmocka_unit_test(integers_divide_truly)};
  return cmocka_run_group_tests(tests, ways_open, ways_close);
}
