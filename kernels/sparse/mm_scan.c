/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_scan.c -- the scanner of Matrix Market files.
 * Lives here: see mm_scan.h. Invariant: nothing is read at or behind `end`. */
#define _GNU_SOURCE
#include "kernels/sparse/mm_scan.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NUMBER = 1000 }; /* characters of one number, for the slow path */

bool rpi_mm_scan_init(rpi_mm_scan *s, const char *text, size_t size) {
  s->at = size > 0 ? text : "";
  s->end = s->at + size;
  s->line = 1;
  s->c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  return s->c_locale != (locale_t)0;
}

void rpi_mm_scan_deinit(rpi_mm_scan *s) {
  if (s->c_locale != (locale_t)0) freelocale(s->c_locale);
  s->c_locale = (locale_t)0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* True at p == end, at a blank and at the end of a line. */
static bool is_break(const rpi_mm_scan *s, const char *p) {
  return p == s->end || *p == ' ' || *p == '\t' || *p == '\n' || *p == '\r';
}

static void skip_blanks(rpi_mm_scan *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\t')) s->at++;
}

bool rpi_mm_scan_at_eol(rpi_mm_scan *s) {
  skip_blanks(s);
  if (s->at == s->end || *s->at == '\n') return true;
  return *s->at == '\r' && (s->at + 1 == s->end || s->at[1] == '\n');
}

void rpi_mm_scan_next_line(rpi_mm_scan *s) {
  const char *nl = s->at == s->end ? NULL : memchr(s->at, '\n', (size_t)(s->end - s->at));
  s->at = nl ? nl + 1 : s->end;
  if (nl) s->line++;
}

bool rpi_mm_scan_content(rpi_mm_scan *s, bool comments) {
  while (s->at < s->end) {
    const bool skip = (comments && *s->at == '%') || rpi_mm_scan_at_eol(s);
    if (!skip) return true;
    rpi_mm_scan_next_line(s);
  }
  return false;
}

size_t rpi_mm_scan_word(rpi_mm_scan *s, const char **word) {
  skip_blanks(s);
  *word = s->at;
  while (!is_break(s, s->at)) s->at++;
  return (size_t)(s->at - *word);
}

bool rpi_mm_scan_int(rpi_mm_scan *s, int64_t *out) {
  skip_blanks(s);
  const char *p = s->at;
  bool negative = false;
  if (p < s->end && (*p == '-' || *p == '+')) negative = *p++ == '-';
  uint64_t v = 0;
  const char *digits = p;
  for (; p < s->end && is_digit(*p); p++) {
    const uint64_t d = (uint64_t)(*p - '0');
    if (v > ((uint64_t)INT64_MAX - d) / 10) return false;
    v = v * 10 + d;
  }
  if (p == digits || !is_break(s, p)) return false;
  *out = negative ? -(int64_t)v : (int64_t)v;
  s->at = p;
  return true;
}

/* What the digits of a number say: mantissa * 10^exponent, and whether every digit is in it. */
typedef struct decimal {
  uint64_t mantissa;
  int64_t exponent;
  bool exact;
} decimal;

/* Passes digits, keeping up to 19 that count. Returns how many there were. */
static int64_t scan_digits(const rpi_mm_scan *s, const char **p, decimal *d, bool fraction) {
  const char *start = *p;
  for (; *p < s->end && is_digit(**p); (*p)++) {
    const uint64_t digit = (uint64_t)(**p - '0');
    if (d->mantissa < UINT64_C(1000000000000000000)) {
      d->mantissa = d->mantissa * 10 + digit;
      if (fraction) d->exponent--;
    } else {
      if (digit) d->exact = false;
      if (!fraction) d->exponent++;
    }
  }
  return *p - start;
}

/* Passes an exponent with its letter; false if the letter has no digits behind it. */
static bool scan_exponent(const rpi_mm_scan *s, const char **p, decimal *d) {
  if (*p == s->end || (**p != 'e' && **p != 'E' && **p != 'd' && **p != 'D')) return true;
  (*p)++;
  bool negative = false;
  if (*p < s->end && (**p == '-' || **p == '+')) negative = *(*p)++ == '-';
  const char *start = *p;
  int64_t e = 0;
  for (; *p < s->end && is_digit(**p); (*p)++) {
    if (e < 100000000) e = e * 10 + (**p - '0');
  }
  d->exponent += negative ? -e : e;
  return *p > start;
}

/* The nearest double to mantissa * 10^exponent, where that is certain without long arithmetic. */
static bool fast_real(const decimal *d, double *out) {
#if LDBL_MANT_DIG == 64
  /* 10^27 = 2^27 * 5^27 and 5^27 < 2^64: these are exact, so the product is off by half a unit of its
   * 64 bits at most. Rounding that to 53 bits is right unless the 11 that go are next to one half. */
  static const long double powers[] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,
                                       1e7L,  1e8L,  1e9L,  1e10L, 1e11L, 1e12L, 1e13L,
                                       1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L, 1e20L,
                                       1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};
  const int64_t e = d->exponent;
  if (!d->exact || e < -27 || e > 27) return false;
  if (d->mantissa == 0) {
    *out = 0.0;
    return true;
  }
  const long double v =
      e < 0 ? (long double)d->mantissa / powers[-e] : (long double)d->mantissa * powers[e];
  uint64_t bits;
  memcpy(&bits, &v, sizeof bits);
  const uint64_t low = bits & 0x7ff;
  if (low >= 0x3ff && low <= 0x401) return false;
  *out = (double)v;
  return true;
#else
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  const int64_t e = d->exponent;
  if (!d->exact || e < -22 || e > 22 || d->mantissa > UINT64_C(1) << 53) return false;
  *out = e < 0 ? (double)d->mantissa / powers[-e] : (double)d->mantissa * powers[e];
  return true;
#endif
}

/* The same through the C library, and the words inf and nan. */
static bool slow_real(rpi_mm_scan *s, double *out) {
  char text[MAX_NUMBER + 1];
  size_t n = 0;
  const char *p = s->at;
  for (; !is_break(s, p); p++, n++) {
    if (n == MAX_NUMBER || *p == 'x' || *p == 'X' || *p == '(' || *p == '\0') return false;
    const bool exponent = n > 0 && (is_digit(text[n - 1]) || text[n - 1] == '.');
    text[n] = exponent && (*p == 'd' || *p == 'D') ? 'e' : *p;
  }
  text[n] = '\0';
  char *stop;
  const double v = n ? strtod_l(text, &stop, s->c_locale) : 0.0;
  if (n == 0 || stop != text + n) return false;
  *out = v;
  s->at = p;
  return true;
}

bool rpi_mm_scan_real(rpi_mm_scan *s, double *out) {
  skip_blanks(s);
  const char *p = s->at;
  bool negative = false;
  if (p < s->end && (*p == '-' || *p == '+')) negative = *p++ == '-';
  decimal d = {0, 0, true};
  int64_t n = scan_digits(s, &p, &d, false);
  if (p < s->end && *p == '.') {
    p++;
    n += scan_digits(s, &p, &d, true);
  }
  double v;
  if (n == 0 || !scan_exponent(s, &p, &d) || !is_break(s, p) || !fast_real(&d, &v)) {
    return slow_real(s, out);
  }
  *out = negative ? -v : v;
  s->at = p;
  return true;
}
