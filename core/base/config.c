/* SPDX-License-Identifier: Apache-2.0
 * core/base/config.c -- reads, checks and prints the knobs of config.def.
 *
 * How:        one row per knob holds its name, kind, default, choices and place in rpi_config;
 *             setting a knob from text is one function per kind, whoever the text comes from: the
 *             default, REPRISE_CONFIG, REPRISE_<NAME> or the caller. A later source replaces an
 *             earlier one.
 * Invariants: every error names the knob, the value and the choices, and before them the source if
 *             that is the environment. A failed init leaves a config of zeros that owns nothing. */
#include "core/base/config.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"

typedef enum { KIND_INT, KIND_FLAG, KIND_ENUM, KIND_TEXT } knob_kind;

typedef struct knob {
  const char *name;
  knob_kind kind;
  const char *def, *choices, *meaning;
  size_t place;
} knob;

static const knob knobs[] = {
#define RPI_KNOB(name, kind, def, choices, meaning) \
  {#name, KIND_##kind, def, choices, meaning, offsetof(rpi_config, name)},
#include "core/base/config.def"
#undef RPI_KNOB
};

enum { N_KNOBS = sizeof knobs / sizeof knobs[0], NAME_SIZE = 64 };

static void *field(rpi_config *c, const knob *k) { return (char *)c + k->place; }
static const void *field_read(const rpi_config *c, const knob *k) {
  return (const char *)c + k->place;
}

static rp_status bad_value(const knob *k, const char *value) {
  return rpi_status_fail(RP_ERR_CONFIG, "knob %s: the value \"%s\" is not one of %s", k->name,
                         value, k->choices);
}

/* ---- the choices of a knob ------------------------------------------------------------------ */

/* The index of `value` among the words of "a|b|c", -1 if it is none of them. */
static int32_t choice_find(const char *choices, const char *value) {
  size_t n = strlen(value);
  for (int32_t i = 0;; i++) {
    size_t len = strcspn(choices, "|");
    if (len == n && memcmp(choices, value, n) == 0) return i;
    if (choices[len] == '\0') return -1;
    choices += len + 1;
  }
}

/* Word `i` of "a|b|c"; *len gets its length. */
static const char *choice_at(const char *choices, int32_t i, size_t *len) {
  while (i-- > 0) choices += strcspn(choices, "|") + 1;
  *len = strcspn(choices, "|");
  return choices;
}

/* A decimal number at the start of `text`: its end, or NULL if there is none or it is too large. */
static const char *read_int(const char *text, int64_t *out) {
  bool minus = *text == '-';
  const char *p = text + minus;
  int64_t v = 0;
  if (*p < '0' || *p > '9') return NULL;
  for (; *p >= '0' && *p <= '9'; p++) {
    if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
        __builtin_add_overflow(v, (int64_t)(*p - '0'), &v)) {
      return NULL;
    }
  }
  *out = minus ? -v : v;
  return p;
}

/* ---- setting one knob from text -------------------------------------------------------------- */

static rp_status set_int(rpi_config *c, const knob *k, const char *value) {
  int64_t lo = 0, hi = 0, v = 0;
  const char *p = read_int(k->choices, &lo);
  rpi_assert(p && p[0] == '.' && p[1] == '.');
  p = read_int(p + 2, &hi);
  rpi_assert(p && *p == '\0');
  p = read_int(value, &v);
  if (!p || *p != '\0' || v < lo || v > hi) return bad_value(k, value);
  *(int64_t *)field(c, k) = v;
  return RP_OK;
}

static rp_status set_flag(rpi_config *c, const knob *k, const char *value) {
  int32_t i = choice_find("off|on", value);
  if (i < 0) return bad_value(k, value);
  *(bool *)field(c, k) = i == 1;
  return RP_OK;
}

static rp_status set_enum(rpi_config *c, const knob *k, const char *value) {
  int32_t i = choice_find(k->choices, value);
  if (i < 0) return bad_value(k, value);
  *(int32_t *)field(c, k) = i;
  return RP_OK;
}

static rp_status set_text(rpi_config *c, const knob *k, const char *value) {
  char *copy = rpi_alloc_string(value);
  if (!copy) return rpi_status_nomem("the value of a knob");
  char **text = field(c, k);
  rpi_alloc_free(*text);
  *text = copy;
  return RP_OK;
}

static rp_status set_knob(rpi_config *c, const knob *k, const char *value) {
  static rp_status (*const set[])(rpi_config *, const knob *, const char *) = {
      [KIND_INT] = set_int, [KIND_FLAG] = set_flag, [KIND_ENUM] = set_enum, [KIND_TEXT] = set_text};
  return set[k->kind](c, k, value);
}

/* ---- options --------------------------------------------------------------------------------- */

static const knob *find_knob(const char *name, size_t n) {
  for (int32_t i = 0; i < N_KNOBS; i++) {
    const char *own = knobs[i].name;
    size_t j = 0;
    while (j < n && own[j] && (name[j] == '-' ? '_' : name[j]) == own[j]) j++;
    if (j == n && own[j] == '\0') return &knobs[i];
  }
  return NULL;
}

static rp_status unknown_knob(const char *name, size_t n) {
  rpi_strbuf names;
  rpi_strbuf_init(&names);
  for (int32_t i = 0; i < N_KNOBS; i++) {
    rpi_strbuf_addf(&names, "%s%s", i ? ", " : "", knobs[i].name);
  }
  rp_status s = rpi_status_fail(RP_ERR_CONFIG, "there is no knob \"%.*s\"; there are %s",
                                (int)(n < 80 ? n : 80), name, rpi_strbuf_str(&names));
  rpi_strbuf_deinit(&names);
  return s;
}

static bool is_space(char ch) { return ch == ' ' || (ch >= '\t' && ch <= '\r'); }

static const char *skip_space(const char *p) {
  while (is_space(*p)) p++;
  return p;
}

static const char *skip_word(const char *p) {
  while (*p && !is_space(*p)) p++;
  return p;
}

/* Reads the value at *at, a word or text in double quotes, into `out`. */
static rp_status read_value(const char **at, const knob *k, rpi_strbuf *out) {
  const char *p = *at, *end;
  rpi_strbuf_clear(out);
  if (*p == '"') {
    end = strchr(++p, '"');
    if (!end || (end[1] && !is_space(end[1]))) {
      return rpi_status_fail(RP_ERR_CONFIG, "knob %s: the value \"%s lacks its closing quote%s%s",
                             k->name, p, k->choices[0] ? "; it is one of " : "", k->choices);
    }
    *at = end + 1;
  } else {
    *at = end = skip_word(p);
  }
  rpi_strbuf_addn(out, p, (size_t)(end - p));
  return out->failed ? rpi_status_nomem("the value of a knob") : RP_OK;
}

/* Reads "--name value" or "--name=value" at *at and sets that knob. */
static rp_status read_option(rpi_config *c, const char **at, rpi_strbuf *value) {
  const char *p = *at;
  if (p[0] != '-' || p[1] != '-') {
    return rpi_status_fail(RP_ERR_CONFIG, "\"%.*s\" is not an option: write --name value",
                           (int)(skip_word(p) - p), p);
  }
  const char *name = p += 2;
  while (*p && *p != '=' && !is_space(*p)) p++;
  const knob *k = find_knob(name, (size_t)(p - name));
  if (!k) return unknown_knob(name, (size_t)(p - name));
  bool joined = *p == '=';
  p = joined ? p + 1 : skip_space(p);
  if (!joined && (*p == '\0' || (p[0] == '-' && p[1] == '-'))) {
    return rpi_status_fail(RP_ERR_CONFIG, "knob %s: the value is missing%s%s", k->name,
                           k->choices[0] ? "; it is one of " : "", k->choices);
  }
  RPI_TRY(read_value(&p, k, value));
  *at = p;
  return set_knob(c, k, rpi_strbuf_str(value));
}

static rp_status read_options(rpi_config *c, const char *text) {
  rpi_strbuf value;
  rpi_strbuf_init(&value);
  rp_status s = RP_OK;
  for (const char *p = skip_space(text); s == RP_OK && *p; p = skip_space(p)) {
    s = read_option(c, &p, &value);
  }
  rpi_strbuf_deinit(&value);
  return s;
}

/* ---- the environment ------------------------------------------------------------------------- */

static void variable_name(const knob *k, char out[NAME_SIZE]) {
  static const char head[] = "REPRISE_";
  size_t at = sizeof head - 1;
  rpi_assert(at + strlen(k->name) < NAME_SIZE);
  memcpy(out, head, at);
  for (const char *p = k->name; *p && at < NAME_SIZE - 1; p++) {
    out[at++] = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
  }
  out[at] = '\0';
}

static rp_status read_environment(rpi_config *c) {
  const char *text = getenv("REPRISE_CONFIG");
  rp_status s = text ? read_options(c, text) : RP_OK;
  if (s != RP_OK) return rpi_status_context(s, "REPRISE_CONFIG");
  for (int32_t i = 0; i < N_KNOBS; i++) {
    char name[NAME_SIZE];
    variable_name(&knobs[i], name);
    text = getenv(name);
    /* `NAME= program` is the shell's way to unset a variable for one command. */
    if (!text || (*text == '\0' && knobs[i].kind != KIND_TEXT)) continue;
    s = set_knob(c, &knobs[i], text);
    if (s != RP_OK) return rpi_status_context(s, "%s", name);
  }
  return RP_OK;
}

/* ---- the door -------------------------------------------------------------------------------- */

rp_status rpi_config_defaults(rpi_config *c) {
  memset(c, 0, sizeof *c);
  for (int32_t i = 0; i < N_KNOBS; i++) {
    rp_status s = set_knob(c, &knobs[i], knobs[i].def);
    if (s == RP_OK) continue;
    rpi_config_deinit(c);
    return s;
  }
  return RP_OK;
}

rp_status rpi_config_init(rpi_config *c, const char *text) {
  RPI_TRY(rpi_config_defaults(c));
  rp_status s = read_environment(c);
  if (s == RP_OK && text) s = read_options(c, text);
  if (s != RP_OK) rpi_config_deinit(c);
  return s;
}

void rpi_config_deinit(rpi_config *c) {
  for (int32_t i = 0; i < N_KNOBS; i++) {
    if (knobs[i].kind == KIND_TEXT) rpi_alloc_free(*(char **)field(c, &knobs[i]));
  }
  memset(c, 0, sizeof *c);
}

/* The value as an option would take it. */
static void print_value(const rpi_config *c, const knob *k, rpi_strbuf *out) {
  const void *p = field_read(c, k);
  size_t len;
  const char *word;
  switch (k->kind) {
    case KIND_INT: rpi_strbuf_addf(out, "%lld", (long long)*(const int64_t *)p); break;
    case KIND_FLAG: rpi_strbuf_add(out, *(const bool *)p ? "on" : "off"); break;
    case KIND_ENUM:
      word = choice_at(k->choices, *(const int32_t *)p, &len);
      rpi_strbuf_addn(out, word, len);
      break;
    case KIND_TEXT:
      rpi_strbuf_addf(out, "\"%s\"", *(char *const *)p ? *(char *const *)p : "");
      break;
  }
}

void rpi_config_print(const rpi_config *c, rpi_strbuf *out) {
  rpi_strbuf value;
  rpi_strbuf_init(&value);
  int name_width = 0, value_width = 0, def_width = 2;
  for (int32_t i = 0; i < N_KNOBS; i++) {
    rpi_strbuf_clear(&value);
    print_value(c, &knobs[i], &value);
    int n = (int)strlen(knobs[i].name), v = (int)value.len, d = (int)strlen(knobs[i].def);
    if (n > name_width) name_width = n;
    if (v > value_width) value_width = v;
    if (d > def_width) def_width = d;
  }
  for (int32_t i = 0; i < N_KNOBS; i++) {
    const knob *k = &knobs[i];
    rpi_strbuf_clear(&value);
    print_value(c, k, &value);
    rpi_strbuf_addf(out, "%-*s  %-*s  %-*s  %s", name_width, k->name, value_width,
                    rpi_strbuf_str(&value), def_width, k->def[0] ? k->def : "\"\"", k->meaning);
    if (k->choices[0]) rpi_strbuf_addf(out, " (%s)", k->choices);
    rpi_strbuf_add(out, "\n");
  }
  if (value.failed) out->failed = true;
  rpi_strbuf_deinit(&value);
}
