/* SPDX-License-Identifier: Apache-2.0
 * tests/emulator/emu_nvrtc.c -- NVRTC's interface to the C compiler: CUDA text in, a "cubin" out.
 *
 * Lives here: programs, options, the log and its report of registers, what is kept of compiles.
 * Not here:   the words of texts (host_head.h), loading (emu_module.c).
 * How:        the text is compiled as C behind host_head.h, into a shared object. Results are kept by what they depend on, in the
 *             process and in the folder EMU_CACHE. A lock guards the list of them, none is held while the compiler runs. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/xxh3.h"
#include "tests/emulator/emu_inside.h"

extern char **environ;
extern const char emu_head_text[]; /* host_head.h: made by CMake */

typedef struct bytes {
  char *at;
  size_t n;
} bytes;
struct emu_program {
  char *text;
  bytes cubin;
  char *log;
};
typedef struct kept {
  rpi_hash128 key;
  bytes object;
  struct kept *next;
} kept;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static kept *all_kept;

static int version(void) {
  const char *text = getenv("EMU_NVRTC");
  return text && *text ? atoi(text) : 13;
}

int nvrtcVersion(int *major, int *minor) {
  *major = version();
  *minor = 0;
  return 0;
}

const char *nvrtcGetErrorString(int result) {
  static const char *const names[] = {"NVRTC_SUCCESS",
                                      "NVRTC_ERROR_OUT_OF_MEMORY",
                                      "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
                                      "NVRTC_ERROR_INVALID_INPUT",
                                      "NVRTC_ERROR_INVALID_PROGRAM",
                                      "NVRTC_ERROR_INVALID_OPTION",
                                      "NVRTC_ERROR_COMPILATION"};
  return result >= 0 && result < (int)(sizeof names / sizeof *names) ? names[result]
                                                                     : "NVRTC_ERROR unknown";
}

static const int archs[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};
enum { N_ARCHS = sizeof archs / sizeof *archs };

int nvrtcGetNumSupportedArchs(int *n) {
  *n = N_ARCHS;
  return 0;
}

int nvrtcGetSupportedArchs(int *out) {
  memcpy(out, archs, sizeof archs);
  return 0;
}

int nvrtcCreateProgram(nvrtcProgram *out, const char *text, const char *name, int n,
                       const char *const *headers, const char *const *names) {
  (void)name, (void)headers, (void)names;
  if (!out || !text) return EMU_NVRTC_INVALID_INPUT;
  if (n) return EMU_NVRTC_INVALID_INPUT; /* texts stand alone */
  nvrtcProgram p = emu_get(sizeof *p);
  p->text = strdup(text);
  p->log = strdup("");
  *out = p;
  return 0;
}

int nvrtcDestroyProgram(nvrtcProgram *program) {
  if (!program || !*program) return EMU_NVRTC_INVALID_PROGRAM;
  free((*program)->text);
  free((*program)->cubin.at);
  free((*program)->log);
  free(*program);
  *program = NULL;
  return 0;
}

/* ---- files */

static char *join(const char *format, ...) EMU_TEXT(1, 2);
static char *join(const char *format, ...) {
  va_list args;
  char *text = NULL;
  va_start(args, format);
  if (vasprintf(&text, format, args) < 0) emu_die("the host has no memory for a text");
  va_end(args);
  return text;
}

/* The file with a 0 behind it; at is NULL if it cannot be read. */
static bytes read_all(const char *path) {
  bytes b = {0};
  struct stat s;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || fstat(fd, &s) != 0) return b;
  b.at = emu_get((size_t)s.st_size + 1);
  b.n = (size_t)s.st_size;
  if (read(fd, b.at, b.n) != (ssize_t)b.n) b.n = 0;
  close(fd);
  return b;
}

static bool write_all(const char *path, const char *at, size_t n) {
  FILE *f = fopen(path, "we");
  const bool ok = f && fwrite(at, 1, n, f) == n;
  return f && fclose(f) == 0 && ok;
}

/* ---- the compiler */

enum { ARGUMENTS_MOST = 32 };

static int arguments(char **args, char *source, char *object) {
  static char *const first[] = {"-x",
                                "c",
                                "-O1",
                                "-std=gnu17",
                                "-shared",
                                "-fPIC",
                                "-fvisibility=hidden",
                                "-ffp-contract=off",
                                "-fno-math-errno",
                                "-w",
                                "-mavx2",
                                "-mfma",
                                "-fsanitize=alignment", /* as on a GPU, */
                                "-fsanitize-undefined-trap-on-error"};
  static char *const wide[] = {"-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"};
  int n = 0;
  const char *cc = getenv("EMU_CC");
  args[n++] = (char *)(uintptr_t)(cc && *cc ? cc : "cc");
  for (size_t i = 0; i < sizeof first / sizeof *first; i++) args[n++] = first[i];
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) args[n++] = wide[i];
  args[n++] = "-o";
  args[n++] = object;
  args[n++] = source;
  args[n++] = "-lmvec";
  args[n++] = "-lm";
  args[n] = NULL;
  return n;
}

/* Runs the compiler with its standard error in a file; did it succeed? */
static bool run(char **args, const char *log) {
  posix_spawn_file_actions_t to;
  pid_t pid;
  int status = -1;
  posix_spawn_file_actions_init(&to);
  posix_spawn_file_actions_addopen(&to, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (posix_spawnp(&pid, args[0], &to, NULL, args, environ) == 0)
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  posix_spawn_file_actions_destroy(&to);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Compiles head and text in a folder of its own. at is NULL, and *log says why, if it does not compile. */
static bytes compile(const char *text, char **log) {
  const char *tmp = getenv("TMPDIR");
  char *folder = join("%s/emulated-cuda-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (!mkdtemp(folder)) emu_die("no folder %s for a compile", folder);
  char *source = join("%s/text.c", folder), *object = join("%s/text.so", folder),
       *said = join("%s/log", folder);
  char *whole = join("%s\n#line 1 \"text\"\n%s", emu_head_text, text);
  char *args[ARGUMENTS_MOST];
  bytes b = {0};
  arguments(args, source, object);
  if (write_all(source, whole, strlen(whole)) && run(args, said)) b = read_all(object);
  if (!b.at) {
    *log = read_all(said).at;
    if (!*log) *log = join("%s could not be started", args[0]);
  }
  unlink(source);
  unlink(object);
  unlink(said);
  rmdir(folder);
  free(source), free(object), free(said), free(whole), free(folder);
  return b;
}

/* ---- what is kept */

static rpi_hash128 key_of(const char *text) {
  char *args[ARGUMENTS_MOST], nothing[] = "";
  char *all = join("%s%s", emu_head_text, text);
  const int n = arguments(args, nothing, nothing);
  for (int i = 0; i < n; i++) {
    char *more = join("%s %s", args[i], all);
    free(all);
    all = more;
  }
  const rpi_hash128 key = rpi_xxh3_128(all, strlen(all));
  free(all);
  return key;
}

static char *kept_path(rpi_hash128 key) {
  const char *folder = getenv("EMU_CACHE");
  if (!folder || !*folder) return NULL;
  mkdir(folder, 0700);
  return join("%s/%016llx%016llx.so", folder, (unsigned long long)key.hi,
              (unsigned long long)key.lo);
}

static const kept *find(rpi_hash128 key) {
  pthread_mutex_lock(&lock);
  const kept *k = all_kept;
  while (k && (k->key.hi != key.hi || k->key.lo != key.lo)) k = k->next;
  pthread_mutex_unlock(&lock);
  return k;
}

static const kept *keep(rpi_hash128 key, bytes object) {
  kept *k = emu_get(sizeof *k);
  pthread_mutex_lock(&lock);
  *k = (kept){.key = key, .object = object, .next = all_kept};
  all_kept = k;
  pthread_mutex_unlock(&lock);
  return k;
}

static void keep_file(const char *path, bytes object) {
  char *fresh = join("%s.%d.%p", path, (int)getpid(), (void *)object.at);
  if (!write_all(fresh, object.at, object.n) || rename(fresh, path) != 0) unlink(fresh);
  free(fresh);
}

/* The object of a text: known, or in the folder, or compiled. NULL: *log says why it does not compile. */
static const kept *object_of(const char *text, char **log) {
  const rpi_hash128 key = key_of(text);
  const kept *k = find(key);
  if (k) return k;
  char *path = kept_path(key);
  bytes object = {0};
  if (path) object = read_all(path);
  if (!object.n) {
    free(object.at);
    object = compile(text, log);
    emu_lock();
    emu_counted.compiler_runs++;
    emu_unlock();
    if (object.at && path) keep_file(path, object);
  }
  free(path);
  return object.at ? keep(key, object) : NULL;
}

/* ---- a compile */

/* What the real compiler accepts and Reprise may ask; `arch` is set by its option. */
static bool known_option(const char *option, int *arch, bool *report) {
  static const char *const accepted[] = {"--fmad=",
                                         "--prec-div=",
                                         "--prec-sqrt=",
                                         "--ftz=",
                                         "--std=",
                                         "-std=",
                                         "--use_fast_math=",
                                         "--restrict",
                                         "--device-int128",
                                         "-default-device",
                                         "--extra-device-vectorization",
                                         "--generate-line-info",
                                         "-lineinfo",
                                         "--disable-warnings",
                                         "-w",
                                         "--diag-suppress=",
                                         "--no-source-include",
                                         "--split-compile=",
                                         "--minimal"};
  if (sscanf(option, "--gpu-architecture=sm_%d", arch) == 1 ||
      sscanf(option, "-arch=sm_%d", arch) == 1) {
    for (int i = 0; i < N_ARCHS; i++)
      if (archs[i] == *arch) return true;
    return false;
  }
  if (strcmp(option, "--ptxas-options=-v") == 0) return *report = true;
  for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
    if (strncmp(option, accepted[i], strlen(accepted[i])) == 0) return true;
  return false;
}

/* What the assembler says of each kernel, in its words. */
static char *report_of(const bytes *object, int arch) {
  const struct rpg_unit *unit;
  void *library = emu_module_open(object->at, object->n, &unit);
  const char *limit = getenv("EMU_SPILLS");
  char *log = join("ptxas info    : 0 bytes gmem\n");
  if (!library) return log;
  for (const struct rpg_fact *f = unit->facts; f < unit->facts_end; f++) {
    char *more = join(
        "%sptxas info    : Compiling entry function '%s' for 'sm_%d'\n"
        "ptxas info    : Function properties for %s\n"
        "ptxas         .     0 bytes stack frame, %d bytes spill stores, 0 bytes spill loads\n"
        "ptxas info    : Used 32 registers, used 1 barriers\n"
        "ptxas info    : Compile time = 1.000 ms\n",
        log, f->name, arch, f->name, limit && (long)f->bytes > strtol(limit, NULL, 10) ? 400 : 0);
    free(log);
    log = more;
  }
  dlclose(library);
  return log;
}

int nvrtcCompileProgram(nvrtcProgram program, int n, const char *const *options) {
  if (!program) return EMU_NVRTC_INVALID_PROGRAM;
  emu_lock();
  emu_counted.compiles++;
  const int fault = emu_faults_compile();
  emu_unlock();
  if (fault) return fault;
  int arch = 75;
  bool report = false;
  for (int i = 0; i < n; i++)
    if (!known_option(options[i], &arch, &report)) return EMU_NVRTC_INVALID_OPTION;
  char *log = NULL;
  const kept *k = object_of(program->text, &log);
  if (k && report) log = report_of(&k->object, arch);
  free(program->log);
  program->log = log ? log : strdup("");
  free(program->cubin.at);
  program->cubin = (bytes){0};
  if (!k) return EMU_NVRTC_COMPILATION;
  const emu_cubin head = {EMU_CUBIN_MAGIC, (uint16_t)arch, (uint16_t)version(),
                          (uint32_t)k->object.n};
  program->cubin =
      (bytes){.at = emu_get(sizeof head + k->object.n), .n = sizeof head + k->object.n};
  memcpy(program->cubin.at, &head, sizeof head);
  memcpy(program->cubin.at + sizeof head, k->object.at, k->object.n);
  return 0;
}

int nvrtcGetCUBINSize(nvrtcProgram program, size_t *n) {
  if (!program) return EMU_NVRTC_INVALID_PROGRAM;
  *n = program->cubin.n;
  return 0;
}

int nvrtcGetCUBIN(nvrtcProgram program, char *out) {
  if (!program || !program->cubin.at) return EMU_NVRTC_INVALID_PROGRAM;
  memcpy(out, program->cubin.at, program->cubin.n);
  return 0;
}

int nvrtcGetProgramLogSize(nvrtcProgram program, size_t *n) {
  if (!program) return EMU_NVRTC_INVALID_PROGRAM;
  *n = strlen(program->log) + 1;
  return 0;
}

int nvrtcGetProgramLog(nvrtcProgram program, char *out) {
  if (!program) return EMU_NVRTC_INVALID_PROGRAM;
  strcpy(out, program->log);
  return 0;
}
