/* SPDX-License-Identifier: Apache-2.0
 * jit/body_lex.c -- tokens of op bodies and parameter lists, and errors with a caret.
 *
 * Lives here: the scanner, and how a place in the text is shown.
 * Not here:   what the tokens mean (body_parse.c).
 * How:        the whole text becomes an array of tokens first, so that the parser may look ahead as
 *             far as it likes. Tokens point into the text; nothing is copied. */
#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "jit/body_tree.h"

enum { SHOWN = 76 }; /* bytes of a line that an error shows */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
static bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* ---- errors */

rp_status rpi_body_lex_fail(rp_status status, const char *what, const char *text, int32_t at,
                            const char *fmt, ...) {
  char sentence[400];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(sentence, sizeof sentence, fmt, ap);
  va_end(ap);

  int32_t line = 1, start = 0;
  for (int32_t i = 0; i < at && text[i] != '\0'; i++) {
    if (text[i] == '\n') {
      line++;
      start = i + 1;
    }
  }
  int32_t end = start;
  while (text[end] != '\0' && text[end] != '\n') end++;

  /* A long line is shown as a window around the place. */
  int32_t from = start;
  if (at - start > SHOWN * 3 / 4) from = at - SHOWN / 2;
  char shown[SHOWN + 8];
  char caret[SHOWN + 8];
  int32_t n = 0;
  if (from > start) n += snprintf(shown, sizeof shown, "...");
  int32_t column = n + (at - from);
  for (int32_t i = from; i < end && n < SHOWN; i++) {
    unsigned char c = (unsigned char)text[i];
    shown[n++] = c < 32 || c == 127 ? ' ' : (char)c;
  }
  shown[n] = '\0';
  int32_t k = 0;
  for (; k < column && k < SHOWN; k++) {
    /* The tail bytes of a UTF-8 character take no column. */
    caret[k] = ' ';
  }
  int32_t width = 0;
  for (int32_t i = 0; i < k && i < n; i++) width += ((unsigned char)shown[i] & 0xC0) != 0x80;
  if (k > n) width += k - n;
  caret[width] = '\0';
  return rpi_status_fail(status, "%s, line %d, column %d: %s\n  %s\n  %s^", what, line,
                         at - start + 1, sentence, shown, caret);
}

/* ---- numbers */

double rpi_body_lex_float(const char *text, int32_t len) {
  char buf[512];
  size_t n = (size_t)len < sizeof buf - 1 ? (size_t)len : sizeof buf - 1;
  memcpy(buf, text, n);
  buf[n] = '\0';
  /* The text means the same under every locale and rounding mode of the process. */
  fenv_t mode;
  fegetenv(&mode);
  fesetround(FE_TONEAREST);
  locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
  locale_t old = c != (locale_t)0 ? uselocale(c) : (locale_t)0;
  int saved = errno;
  double value = strtod(buf, NULL);
  errno = saved;
  fesetenv(&mode);
  if (c != (locale_t)0) {
    uselocale(old);
    freelocale(c);
  }
  return value;
}

/* End of the number at `at`; *is_float says which kind; -1 if letters follow it. */
static int32_t number_end(const char *s, int32_t at, bool *is_float) {
  int32_t i = at;
  *is_float = false;
  if (s[i] == '0' && (s[i + 1] == 'x' || s[i + 1] == 'X')) {
    i += 2;
    if (!is_hex(s[i])) return -1;
    while (is_hex(s[i])) i++;
  } else {
    while (is_digit(s[i])) i++;
    if (s[i] == '.' && s[i + 1] != '.') { /* "0..n" is a range */
      *is_float = true;
      i++;
      while (is_digit(s[i])) i++;
    }
    if (s[i] == 'e' || s[i] == 'E') {
      int32_t e = i + 1;
      if (s[e] == '+' || s[e] == '-') e++;
      if (!is_digit(s[e])) return -1;
      while (is_digit(s[e])) e++;
      *is_float = true;
      i = e;
    }
  }
  return is_letter(s[i]) || is_digit(s[i]) || i - at > 500 ? -1 : i;
}

/* ---- the scanner */

/* Longest first. */
static const char *const signs[] = {"**", "//", "..", "<<", ">>", "<=", ">=", "==", "!=",
                                    "&&", "||", "+=", "*=", "&=", "|=", "^=", "+",  "-",
                                    "*",  "/",  "%",  "&",  "|",  "^",  "~",  "!",  "<",
                                    ">",  "=",  "(",  ")",  "[",  "]",  ",",  ";",  ":"};

static int32_t sign_length(const char *s) {
  for (int32_t i = 0; i < RPI_COUNT(signs); i++) {
    size_t n = strlen(signs[i]);
    if (strncmp(s, signs[i], n) == 0) return (int32_t)n;
  }
  return 0;
}

static int32_t skip_blank(const char *s, int32_t i) {
  for (;;) {
    while (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r') i++;
    if (s[i] != '#') return i;
    while (s[i] != '\0' && s[i] != '\n') i++;
  }
}

rp_status rpi_body_lex_scan(const char *what, const char *text, rpi_body_token **tok, int32_t *n,
                            int32_t *cap) {
  int32_t i = 0;
  for (;;) {
    i = skip_blank(text, i);
    rpi_body_token t = {RPI_TOK_SIGN, i, 0};
    bool is_float = false;
    if (text[i] == '\0') {
      t.kind = RPI_TOK_END;
    } else if (is_letter(text[i])) {
      t.kind = RPI_TOK_NAME;
      while (is_letter(text[i + t.len]) || is_digit(text[i + t.len])) t.len++;
    } else if (is_digit(text[i]) || (text[i] == '.' && is_digit(text[i + 1]))) {
      int32_t end = number_end(text, i, &is_float);
      if (end < 0) return rpi_body_lex_fail(RP_ERR_BODY, what, text, i, "malformed number");
      t.kind = is_float ? RPI_TOK_FLOAT : RPI_TOK_INT;
      t.len = end - i;
    } else {
      t.len = sign_length(text + i);
      if (t.len == 0) {
        unsigned char c = (unsigned char)text[i];
        if (c > 32 && c < 127) {
          return rpi_body_lex_fail(RP_ERR_BODY, what, text, i, "unexpected character '%c'", c);
        }
        return rpi_body_lex_fail(RP_ERR_BODY, what, text, i, "unexpected byte 0x%02x", c);
      }
    }
    if (!RPI_BODY_ROOM(*tok, *cap, *n + 1)) {
      return rpi_status_nomem("tokens of a body");
    }
    (*tok)[(*n)++] = t;
    if (t.kind == RPI_TOK_END) return RP_OK;
    i += t.len;
  }
}
