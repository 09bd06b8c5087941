/* SPDX-License-Identifier: Apache-2.0
 * kernels/sparse/mm_scan.h -- words and numbers of a text in memory, by line.
 * Lives here: the cursor, and numbers exact to the last bit. Not here: what the words mean.
 * How:        digits go into a 64-bit integer; where that times a power of ten is certain to round
 *             correctly from an extended product it is used (W. D. Clinger, "How to read floating
 *             point numbers accurately", 1990), else the C library's strtod in the "C" locale. */
#ifndef RPI_MM_SCAN_H
#define RPI_MM_SCAN_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct rpi_mm_scan {
  const char *at, *end; /* the text; at[0] is not readable when at == end */
  int64_t line;         /* of `at`, from 1 */
  locale_t c_locale;
} rpi_mm_scan;

/* `text` of `size` bytes, NULL if there are none; false if out of memory. */
bool rpi_mm_scan_init(rpi_mm_scan *s, const char *text, size_t size);
void rpi_mm_scan_deinit(rpi_mm_scan *s);

/* At the end of a line (blanks before it are skipped), "\n" or "\r\n", or of the text. */
bool rpi_mm_scan_at_eol(rpi_mm_scan *s);
/* Passes the rest of the line and its end. */
void rpi_mm_scan_next_line(rpi_mm_scan *s);
/* Passes empty lines; with `comments` also lines that begin with '%'. False at the end of the text. */
bool rpi_mm_scan_content(rpi_mm_scan *s, bool comments);
/* The next word of the line: its length, 0 at the end of the line. Passes it. */
size_t rpi_mm_scan_word(rpi_mm_scan *s, const char **word);
/* A decimal integer with an optional sign, that ends at a blank or the end of the line and fits.
 * False and nothing passed otherwise. */
bool rpi_mm_scan_int(rpi_mm_scan *s, int64_t *out);
/* A number as C and Fortran write it (exponent letter e, E, d or D; inf, nan), nearest double. False and
 * nothing passed if there is none. */
bool rpi_mm_scan_real(rpi_mm_scan *s, double *out);

#endif
