/* SPDX-License-Identifier: Apache-2.0
 * jit/nvrtc.c -- NVIDIA's run-time compiler, found at run time.
 *
 * Lives here: finding and opening it, its options, one compile, reading what it reports of a function.
 * Not here:   see nvrtc.h.
 * How:        each path is opened once in a process, and what came of it is remembered, a refusal as well as the table:
 *             every context asks. Options are those under which a GPU rounds as a CPU does. A program of the compiler
 *             lives within one function, which destroys it whatever happened.
 * Threads:    the library takes several threads at a time. */
#include "jit/nvrtc.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/alloc.h"
#include "core/base/opened.h"
#include "core/base/strbuf.h"

/* The toolkit's names for these are nvrtcProgram, NVRTC_ERROR_OUT_OF_MEMORY and NVRTC_ERROR_COMPILATION. */
typedef struct program program;
enum { DONE = 0, OUT_OF_MEMORY = 1, COMPILATION = 6 };

enum { OLDEST = 12, MOST_ARCHS = 64, PATH_SIZE = 4096 };

struct rpi_nvrtc {
#define RPI_NVRTC_FN(field, symbol, arguments) int(*field) arguments;
#include "jit/nvrtc.def"
#undef RPI_NVRTC_FN
  const char *(*words)(int result);
  int (*flow)(program *p, int (*asked)(void *stop, void *), void *stop); /* NULL: older than 12.8 */
  char identity[32];
  int major;
  int n_known, known[MOST_ARCHS];
};

/* ---- finding it --------------------------------------------------------------------------------------- */

/* The newest first; each by the loader's path, then in the toolkit's folders. */
static const char *const names[] = {"libnvrtc.so.13", "libnvrtc.so.12"};
static const char *const folders[] = {"lib64", "lib"};

static void *open_in(const char *toolkit, const char *name) {
  char path[PATH_SIZE];
  void *so = NULL;
  for (int32_t i = 0; i < RPI_COUNT(folders) && !so; i++) {
    const int n = snprintf(path, sizeof path, "%s/%s/%s", toolkit, folders[i], name);
    if (n > 0 && n < (int)sizeof path) so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  }
  return so;
}

static void *open_named(const char *name) {
  const char *home = getenv("CUDA_HOME");
  void *so = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!so && home && *home) so = open_in(home, name);
  return so ? so : open_in("/usr/local/cuda", name);
}

static void *open_newest(void) {
  void *so = NULL;
  for (int32_t i = 0; i < RPI_COUNT(names) && !so; i++) so = open_named(names[i]);
  return so;
}

/* A path, or one of the usual names. */
static void *open_asked(const char *asked) {
  for (int32_t i = 0; i < RPI_COUNT(names); i++)
    if (strcmp(asked, names[i]) == 0) return open_named(asked);
  return dlopen(asked, RTLD_NOW | RTLD_LOCAL);
}

static const char *find_all(void *so, rpi_nvrtc *n) {
  if (!rpi_opened_find(so, "nvrtcGetErrorString", &n->words)) return "nvrtcGetErrorString";
  (void)rpi_opened_find(so, "nvrtcSetFlowCallback", &n->flow);
#define RPI_NVRTC_FN(field, symbol, arguments) \
  if (!rpi_opened_find(so, symbol, &n->field)) return symbol;
#include "jit/nvrtc.def"
#undef RPI_NVRTC_FN
  return NULL;
}

static rp_status failed(const rpi_nvrtc *n, int result, const char *call) {
  return rpi_status_fail(result == OUT_OF_MEMORY ? RP_ERR_MEMORY : RP_ERR_DEVICE, "%s: %s: %s",
                         *n->identity ? n->identity : "nvrtc", call, n->words(result));
}

static rp_status load(const char *asked, void *table) {
  rpi_nvrtc *n = table;
  const char *library = *asked ? asked : "libnvrtc";
  void *so = *asked ? open_asked(library) : open_newest();
  if (!so) {
    const char *why = dlerror();
    if (*asked)
      return rpi_status_fail(RP_ERR_DEVICE,
                             "NVIDIA's run-time compiler (nvrtc) cannot be loaded: %s",
                             why ? why : library);
    return rpi_status_fail(
        RP_ERR_DEVICE,
        "no run-time compiler of NVIDIA: %s or %s is needed, by the loader's path or in "
        "$CUDA_HOME or /usr/local/cuda; the knob nvrtc names it elsewhere",
        names[0], names[1]);
  }
  int major = 0, minor = 0;
  const char *missing = find_all(so, n);
  if (n->version && n->words && n->version(&major, &minor) == DONE && major < OLDEST)
    return rpi_status_fail(RP_ERR_DEVICE, "nvrtc %d.%d (%s) is too old: 12.0 is needed", major,
                           minor, library);
  if (missing)
    return rpi_status_fail(RP_ERR_DEVICE,
                           "%s has no function %s: it is no nvrtc, or older than 12.0", library,
                           missing);
  snprintf(n->identity, sizeof n->identity, "nvrtc %d.%d", major, minor);
  n->major = major;
  int result = n->n_archs(&n->n_known);
  if (result == DONE && n->n_known > MOST_ARCHS)
    return rpi_status_fail(RP_ERR_INTERNAL, "%s knows %d architectures: at most %d were expected",
                           n->identity, n->n_known, MOST_ARCHS);
  if (result == DONE) result = n->archs(n->known);
  return result == DONE ? RP_OK : failed(n, result, "nvrtcGetSupportedArchs");
}

rp_status rpi_nvrtc_open(const char *library, const rpi_nvrtc **out) {
  static rpi_opened_list all = RPI_OPENED_LIST;
  const void *table;
  const rp_status st = rpi_opened_get(&all, library, sizeof **out, load, &table);
  *out = table;
  return st;
}

/* A driver loads what compilers of its own CUDA's first number make, and older ones. */
rp_status rpi_nvrtc_open_for(const char *library, int32_t driver, const rpi_nvrtc **out) {
  const rpi_nvrtc *n = NULL;
  const int32_t most = driver / 1000;
  *out = NULL;
  RPI_TRY(rpi_nvrtc_open(library, &n));
  const char *const newest = n->identity;
  for (int32_t i = 0; n->major > most && (!library || !*library) && i < RPI_COUNT(names); i++) {
    const rpi_nvrtc *other;
    if (rpi_nvrtc_open(names[i], &other) == RP_OK) n = other;
  }
  if (n->major > most)
    return rpi_status_fail(RP_ERR_DEVICE,
                           "%s makes kernels that the CUDA driver is too old to load: it has CUDA "
                           "%d.%d; a newer driver is needed, or an nvrtc %d (the knob nvrtc names "
                           "it)",
                           newest, (int)most, (int)(driver % 1000 / 10), (int)most);
  *out = n;
  return RP_OK;
}

const char *rpi_nvrtc_identity(const rpi_nvrtc *n) { return n->identity; }

bool rpi_nvrtc_knows(const rpi_nvrtc *n, int32_t arch) {
  for (int32_t i = 0; i < n->n_known; i++)
    if (n->known[i] == arch) return true;
  return false;
}

/* ---- one compile ---------------------------------------------------------------------------------------- */

/* What the compiler said, or NULL: nothing but blanks, or no memory for it. */
static char *log_of(const rpi_nvrtc *n, program *p) {
  size_t size = 0;
  if (n->log_size(p, &size) != DONE || size <= 1) return NULL;
  char *log = rpi_alloc(size);
  if (log && (n->log(p, log) != DONE || log[strspn(log, " \n")] == '\0')) {
    rpi_alloc_free(log);
    log = NULL;
  }
  return log;
}

/* The first lines from the first error on. */
static rp_status does_not_compile(const rpi_nvrtc *n, int32_t arch, int result, const char *log) {
  enum { LINES = 4 };
  const char *from = log ? strstr(log, "error") : NULL;
  while (from && from > log && from[-1] != '\n') from--;
  if (!from) from = log ? log : n->words(result);
  const char *end = from;
  for (int32_t i = 0; i < LINES && *end; i++) {
    end += strcspn(end, "\n");
    end += *end == '\n';
  }
  while (end > from && end[-1] == '\n') end--;
  return rpi_status_fail(RP_ERR_INTERNAL, "%s does not compile a kernel for sm_%d: %s: %.*s",
                         n->identity, arch, n->words(result), (int)(end - from), from);
}

static rp_status take_cubin(const rpi_nvrtc *n, program *p, rpi_cubin *out) {
  int result = n->cubin_size(p, &out->size);
  if (result != DONE) return failed(n, result, "nvrtcGetCUBINSize");
  out->image = rpi_alloc(out->size);
  if (!out->image) return rpi_status_nomem("a compiled kernel");
  result = n->cubin(p, out->image);
  return result == DONE ? RP_OK : failed(n, result, "nvrtcGetCUBIN");
}

static rp_status compile(const rpi_nvrtc *n, program *p, int32_t arch, bool report,
                         rpi_cubin *out) {
  char gpu[48];
  snprintf(gpu, sizeof gpu, "--gpu-architecture=sm_%d", arch);
  /* 177, 550: of what is declared and not used generated text has plenty. */
  const char *const options[] = {gpu,
                                 "--std=c++17",
                                 "--fmad=false",
                                 "--ftz=false",
                                 "--prec-div=true",
                                 "--prec-sqrt=true",
                                 "--diag-suppress=177,550",
                                 "--ptxas-options=-v"};
  const int result = n->compile(p, RPI_COUNT(options) - !report, options);
  out->log = log_of(n, p);
  if (result == OUT_OF_MEMORY) return failed(n, result, "nvrtcCompileProgram");
  if (result != DONE) return does_not_compile(n, arch, result, out->log);
  return take_cubin(n, p, out);
}

static rp_status is_unknown(const rpi_nvrtc *n, int32_t arch) {
  rpi_strbuf b;
  rpi_strbuf_init(&b);
  for (int32_t i = 0; i < n->n_known; i++) rpi_strbuf_addf(&b, "%s%d", i ? ", " : "", n->known[i]);
  const rp_status st = rpi_status_fail(RP_ERR_DEVICE, "%s does not compile for sm_%d: it knows %s",
                                       n->identity, arch, rpi_strbuf_str(&b));
  rpi_strbuf_deinit(&b);
  return st;
}

/* The compiler asks from time to time: 1: give up. */
static int asked(void *stop, void *unused) {
  (void)unused;
  return atomic_load((const _Atomic bool *)stop);
}

rp_status rpi_nvrtc_compile(const rpi_nvrtc *n, const char *text, int32_t arch, bool report,
                            rpi_cubin *out) {
  return rpi_nvrtc_compile_until(n, text, arch, report, NULL, out);
}

rp_status rpi_nvrtc_compile_until(const rpi_nvrtc *n, const char *text, int32_t arch, bool report,
                                  const _Atomic bool *stop, rpi_cubin *out) {
  *out = (rpi_cubin){0};
  if (!rpi_nvrtc_knows(n, arch)) return is_unknown(n, arch);
  program *p = NULL;
  const int created = n->create(&p, text, "reprise.cu", 0, NULL, NULL);
  if (created != DONE) return failed(n, created, "nvrtcCreateProgram");
  if (stop && n->flow) (void)n->flow(p, asked, (void *)(uintptr_t)stop);
  const rp_status st = compile(n, p, arch, report, out);
  (void)n->destroy(&p);
  if (st != RP_OK) rpi_cubin_deinit(out);
  return st;
}

void rpi_cubin_deinit(rpi_cubin *c) {
  rpi_alloc_free(c->image);
  rpi_alloc_free(c->log);
  *c = (rpi_cubin){0};
}

/* ---- what it reports ------------------------------------------------------------------------------------ */

/* The first `words` in from..end, or NULL. */
static const char *find_words(const char *from, const char *end, const char *words) {
  const char *at = strstr(from, words);
  return at && at < end ? at : NULL;
}

/* The number before the first `words` in from..end; 0: they are not there. */
static int32_t number_before(const char *from, const char *end, const char *words) {
  const char *at = find_words(from, end, words);
  if (!at) return 0;
  while (at > from && at[-1] >= '0' && at[-1] <= '9') at--;
  return (int32_t)strtol(at, NULL, 10);
}

/* ptxas writes, for each kernel: "Compiling entry function 'K' for", then for it and each function that it calls "Function
 * properties for F" and a line of bytes, and last "Used N registers, ..." for all of them. */
bool rpi_nvrtc_usage_get(const char *log, const char *name, rpi_nvrtc_usage *out) {
  static const char entry[] = "Compiling entry function '", bytes[] = "Function properties for ";
  const size_t n = strlen(name);
  *out = (rpi_nvrtc_usage){0};
  for (const char *at = log ? strstr(log, entry) : NULL; at; at = strstr(at, entry)) {
    at += sizeof entry - 1;
    if (strncmp(at, name, n) != 0 || at[n] != '\'') continue;
    const char *end = strstr(at, entry);
    if (!end) end = at + strlen(at);
    const char *used = find_words(at, end, "Used ");
    const char *own = find_words(at, end, bytes);
    while (own &&
           (strncmp(own + sizeof bytes - 1, name, n) != 0 || own[sizeof bytes - 1 + n] != '\n'))
      own = find_words(own + 1, end, bytes);
    if (!used || !own) return false;
    out->registers = number_before(used, end, " registers");
    out->shared = number_before(used, end, " bytes smem");
    out->stack = number_before(own, end, " bytes stack frame");
    out->spill_stores = number_before(own, end, " bytes spill stores");
    out->spill_loads = number_before(own, end, " bytes spill loads");
    return true;
  }
  return false;
}
