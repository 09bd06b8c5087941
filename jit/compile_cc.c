/* SPDX-License-Identifier: Apache-2.0
 * jit/compile_cc.c -- C text to a shared object, with the system's compiler.
 *
 * Lives here: finding the compiler, its flags, one run of it.
 * Not here:   when to compile, where objects are kept (jit.c, cache.c); scheduling (the compile
 *             thread is SCHED_IDLE and its children inherit that).
 * How:        posix_spawn with an argument array; the child leads a process group of its own, has
 *             every signal at its default and nothing blocked, and only descriptors 0, 1 and 2. The
 *             text goes through a file beside the output, what the compiler prints comes back
 *             through a pipe, of which the first part is kept. End of file on the pipe is the end
 *             of the run: the exit status may be unknown, for an application that ignores SIGCHLD
 *             has its children reaped by the kernel. What counts is the output: an ELF file. The
 *             first compile is preceded by one of a tiny text, which tells flags this compiler does
 *             not take, and a missing libmvec or libm, apart from errors in a kernel. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "jit/compile_cc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/config.h"

enum { SAID = 2000, MAX_ARGS = 48, PATH_SIZE = 4096 };

struct rpi_cc {
  char *path;
  char *identity;
  int32_t vector;
  bool probed, tune;    /* the tiny text was tried; -mtune=native is taken */
  char *missing;        /* why nothing can be compiled; NULL: all is well */
  pthread_mutex_t lock; /* guards pid and cancelled */
  pid_t pid;            /* of the running compiler, 0: none */
  bool cancelled;
};

/* -fno-builtin: the compiler must not compute tgamma(2.5) itself, it rounds better than libm. */
static const char *const flags[] = {"-x",
                                    "c",
                                    "-std=gnu17",
                                    "-O2",
                                    "-fPIC",
                                    "-shared",
                                    "-w",
                                    "-ffp-contract=off",
                                    "-fno-math-errno",
                                    "-fno-strict-aliasing",
                                    "-fno-builtin",
                                    "-fvisibility=hidden",
                                    "-nostartfiles",
                                    "-mavx2",
                                    "-mfma"};
static const char *const flags512[] = {"-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl",
                                       "-mprefer-vector-width=512"};
static const char *const libraries[] = {"-x", "none", "-Wl,-z,noexecstack", "-lmvec", "-lm"};

static const char probe_text[] = "typedef double v4 __attribute__((vector_size(32)));\n"
                                 "v4 _ZGVdN4v_exp(v4);\n"
                                 "double cbrt(double);\n"
                                 "__attribute__((visibility(\"default\"))) v4 rpk_probe(v4 a) {\n"
                                 "  a[0] = cbrt(a[1]);\n"
                                 "  return _ZGVdN4v_exp(a);\n"
                                 "}\n";

/* ---- one run --------------------------------------------------------------------------------- */

extern char **environ;

/* The environment with messages in English and without preloads; NULL when out of memory. Borrowed
 * strings. */
static char **child_environment(void) {
  size_t n = 0, k = 0;
  static char c_locale[] = "LC_ALL=C";
  while (environ && environ[n]) n++;
  char **env = rpi_alloc((n + 2) * sizeof *env);
  if (!env) return NULL;
  for (size_t i = 0; i < n; i++) {
    if (strncmp(environ[i], "LC_", 3) == 0 || strncmp(environ[i], "LANGUAGE=", 9) == 0) continue;
    if (strncmp(environ[i], "LD_PRELOAD=", 11) == 0) continue;
    env[k++] = environ[i];
  }
  env[k++] = c_locale;
  env[k] = NULL;
  return env;
}

static int set_attributes(posix_spawnattr_t *attr) {
  sigset_t all, none;
  sigfillset(&all);
  sigdelset(&all, SIGKILL);
  sigdelset(&all, SIGSTOP);
  sigemptyset(&none);
  int rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
  if (rc == 0) rc = posix_spawnattr_setpgroup(attr, 0);
  if (rc == 0) rc = posix_spawnattr_setsigmask(attr, &none);
  if (rc == 0) rc = posix_spawnattr_setsigdefault(attr, &all);
  return rc;
}

static int set_descriptors(posix_spawn_file_actions_t *fa, int out) {
  int rc = posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDONLY, 0);
  if (rc == 0) rc = posix_spawn_file_actions_adddup2(fa, out, 1);
  if (rc == 0) rc = posix_spawn_file_actions_adddup2(fa, out, 2);
#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 34))
  if (rc == 0) rc = posix_spawn_file_actions_addclosefrom_np(fa, 3);
#endif
  return rc;
}

/* 0 and *pid, or an errno. */
static int spawn(char *const *argv, int out, pid_t *pid) {
  posix_spawnattr_t attr;
  posix_spawn_file_actions_t fa;
  char **env = child_environment();
  int rc = env ? posix_spawnattr_init(&attr) : ENOMEM;
  if (rc == 0) {
    rc = posix_spawn_file_actions_init(&fa);
    if (rc == 0) {
      rc = set_attributes(&attr);
      if (rc == 0) rc = set_descriptors(&fa, out);
      if (rc == 0) rc = posix_spawn(pid, argv[0], &fa, &attr, argv, env);
      posix_spawn_file_actions_destroy(&fa);
    }
    posix_spawnattr_destroy(&attr);
  }
  rpi_alloc_free(env);
  return rc;
}

/* Reads to the end of file; the first size - 1 bytes are kept. */
static void read_all(int fd, char *said, size_t size) {
  size_t n = 0;
  char rest[512];
  for (;;) {
    const bool room = n + 1 < size;
    const ssize_t got = room ? read(fd, said + n, size - 1 - n) : read(fd, rest, sizeof rest);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (room) n += (size_t)got;
  }
  said[n] = '\0';
}

/* Runs argv; what it printed is in said. *killed: it died of a signal. False: it did not start. */
static bool run(rpi_cc *c, char *const *argv, char *said, size_t size, bool *killed) {
  int ends[2], status = 0, rc;
  pid_t pid = 0;
  *killed = false;
  said[0] = '\0';
  if (pipe2(ends, O_CLOEXEC) != 0) {
    snprintf(said, size, "no pipe: %s", strerror(errno));
    return false;
  }
  pthread_mutex_lock(&c->lock);
  rc = c->cancelled ? ECANCELED : spawn(argv, ends[1], &pid);
  if (rc == 0) c->pid = pid;
  pthread_mutex_unlock(&c->lock);
  close(ends[1]);
  if (rc == 0)
    read_all(ends[0], said, size);
  else
    snprintf(said, size, "%s does not start: %s", argv[0], strerror(rc));
  close(ends[0]);
  if (rc != 0) return false;
  pthread_mutex_lock(&c->lock);
  c->pid = 0; /* from here on nobody signals a number that may be somebody else's */
  pthread_mutex_unlock(&c->lock);
  pid_t got;
  do got = waitpid(pid, &status, 0);
  while (got < 0 && errno == EINTR);
  *killed = got == pid && WIFSIGNALED(status);
  return true;
}

/* ---- finding --------------------------------------------------------------------------------- */

static bool executable(const char *path) {
  struct stat st;
  return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The program `name` as posix_spawnp finds it; names with a slash are taken as they are. */
static bool find(const char *name, char *out, size_t size) {
  if (strchr(name, '/')) {
    snprintf(out, size, "%s", name);
    return executable(name);
  }
  const char *path = getenv("PATH");
  if (!path || !*path) path = "/usr/local/bin:/usr/bin:/bin";
  while (*path) {
    const size_t n = strcspn(path, ":");
    snprintf(out, size, "%.*s%s%s", (int)n, path, n ? "/" : "./", name);
    if (executable(out)) return true;
    path += n + (path[n] == ':');
  }
  return false;
}

/* Which file it is, not what it says of itself: asking would cost two processes before the first kernel
 * of every program, and another version is another file. */
static rp_status describe(rpi_cc *c) {
  char real[PATH_SIZE];
  struct stat st;
  rpi_strbuf text;
  if (!realpath(c->path, real) || stat(real, &st) != 0) return RP_OK;
  rpi_strbuf_init(&text);
  rpi_strbuf_addf(&text, "%s (%s, %lld bytes of %lld.%09ld)", c->path, real, (long long)st.st_size,
                  (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
  for (int32_t i = 0; i < RPI_COUNT(flags); i++) rpi_strbuf_addf(&text, " %s", flags[i]);
  for (int32_t i = 0; c->vector == RPI_VECTOR_AVX512 && i < RPI_COUNT(flags512); i++) {
    rpi_strbuf_addf(&text, " %s", flags512[i]);
  }
  for (int32_t i = 0; i < RPI_COUNT(libraries); i++) rpi_strbuf_addf(&text, " %s", libraries[i]);
  if (!text.failed) c->identity = rpi_alloc_string(rpi_strbuf_str(&text));
  rpi_strbuf_deinit(&text);
  return c->identity ? RP_OK : rpi_status_nomem("the compiler's identity");
}

rp_status rpi_cc_create(const char *knob, int32_t vector, rpi_cc **out) {
  static const char *const names[] = {"cc", "gcc", "clang"};
  char path[PATH_SIZE];
  bool found = false;
  *out = NULL;
  if (knob && strcmp(knob, "none") == 0) return RP_OK;
  if (knob && *knob) {
    found = find(knob, path, sizeof path);
  } else {
    for (int32_t i = 0; i < RPI_COUNT(names) && !found; i++)
      found = find(names[i], path, sizeof path);
  }
  if (!found) return RP_OK;
  rpi_cc *c = rpi_alloc_zero(sizeof *c);
  if (!c) return rpi_status_nomem("the compiler's record");
  pthread_mutex_init(&c->lock, NULL);
  c->vector = vector;
  c->path = rpi_alloc_string(path);
  rp_status status = c->path ? describe(c) : rpi_status_nomem("the compiler's record");
  if (status != RP_OK || !c->identity) { /* out of memory, or it has just gone */
    rpi_cc_free(c);
    return status;
  }
  *out = c;
  return RP_OK;
}

void rpi_cc_free(rpi_cc *c) {
  if (!c) return;
  pthread_mutex_destroy(&c->lock);
  rpi_alloc_free(c->missing);
  rpi_alloc_free(c->identity);
  rpi_alloc_free(c->path);
  rpi_alloc_free(c);
}

const char *rpi_cc_identity(const rpi_cc *c) { return c->identity; }

/* ---- compiling ------------------------------------------------------------------------------- */

static bool write_text(const char *path, const char *text) {
  unlink(path);
  const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  size_t left = strlen(text);
  if (fd < 0) return false;
  while (left > 0) {
    const ssize_t n = write(fd, text, left);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    text += n;
    left -= (size_t)n;
  }
  return close(fd) == 0 && left == 0;
}

/* A complete ELF file: the linker writes the section headers, which the header points to, last. */
static bool is_object(const char *path) {
  unsigned char head[64];
  struct stat st;
  uint64_t sections = 0;
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool got = fstat(fd, &st) == 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head;
  close(fd);
  if (!got || memcmp(head, "\177ELF", 4) != 0) return false;
  memcpy(&sections, head + 40, sizeof sections);
  const uint64_t n = (uint64_t)head[60] | (uint64_t)head[61] << 8;
  return sections != 0 && sections + 64 * n <= (uint64_t)st.st_size;
}

/* One run of the compiler on `source`; true if an object came out. */
static bool compile_file(rpi_cc *c, bool tune, char *source, char *path, char *said, size_t size) {
  char *argv[MAX_ARGS];
  char output[] = "-o", native[] = "-mtune=native";
  int32_t n = 0;
  bool killed = false;
  argv[n++] = c->path;
  for (int32_t i = 0; i < RPI_COUNT(flags); i++) argv[n++] = (char *)(uintptr_t)flags[i];
  for (int32_t i = 0; c->vector == RPI_VECTOR_AVX512 && i < RPI_COUNT(flags512); i++) {
    argv[n++] = (char *)(uintptr_t)flags512[i];
  }
  if (tune) argv[n++] = native;
  argv[n++] = output;
  argv[n++] = path;
  argv[n++] = source;
  for (int32_t i = 0; i < RPI_COUNT(libraries); i++) argv[n++] = (char *)(uintptr_t)libraries[i];
  argv[n] = NULL;
  rpi_assert(n < MAX_ARGS);
  for (int32_t attempt = 0; attempt < 2; attempt++) { /* a killed compile is tried once more */
    unlink(path);
    if (!run(c, argv, said, size, &killed)) return false;
    if (is_object(path)) return true;
    if (!killed) return false;
    snprintf(said, size, "the compiler was killed");
  }
  return false;
}

/* Tries the tiny text, with -mtune=native and without. */
static void probe(rpi_cc *c, char *source, char *path, char *said, size_t size) {
  rpi_strbuf why;
  c->tune = compile_file(c, true, source, path, said, size);
  if (c->tune || compile_file(c, false, source, path, said, size)) return;
  rpi_strbuf_init(&why);
  rpi_strbuf_addf(&why, "%s cannot make kernels: %s", c->path, said[0] ? said : "no output file");
  c->missing = rpi_alloc_string(rpi_strbuf_str(&why));
  rpi_strbuf_deinit(&why);
}

rp_status rpi_cc_compile(rpi_cc *c, const char *text, const char *path) {
  char source[PATH_SIZE], output[PATH_SIZE], said[SAID];
  rp_status status = RP_OK;
  if ((size_t)snprintf(output, sizeof output, "%s", path) >= sizeof output - 2) {
    return rpi_status_fail(RP_ERR_IO, "the path of a kernel is longer than %d bytes",
                           PATH_SIZE - 3);
  }
  snprintf(source, sizeof source, "%.*s.c", PATH_SIZE - 3, path);
  if (!c->probed) {
    if (!write_text(source, probe_text)) goto no_text;
    probe(c, source, output, said, sizeof said);
    unlink(source);
    unlink(output);
    pthread_mutex_lock(&c->lock);
    c->probed = !c->cancelled;
    pthread_mutex_unlock(&c->lock);
  }
  if (c->missing) return rpi_status_fail(RP_ERR_IO, "%s", c->missing);
  if (!write_text(source, text)) goto no_text;
  if (!compile_file(c, c->tune, source, output, said, sizeof said)) {
    unlink(output);
    status = rpi_status_fail(RP_ERR_IO, "%s made no object: %s", c->path,
                             said[0] ? said : "it printed nothing");
  }
  unlink(source);
  return status;

no_text:
  status = rpi_status_fail(RP_ERR_IO, "cannot write %s: %s", source, strerror(errno));
  unlink(source);
  return status;
}

/* The driver and what it has started: what it starts later inherits. */
static void hurry(pid_t pid) {
  const struct sched_param none = {0};
  char path[64];
  int child;
  sched_setscheduler(pid, SCHED_OTHER, &none);
  snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
  FILE *f = fopen(path, "re");
  while (f && fscanf(f, "%d", &child) == 1) sched_setscheduler(child, SCHED_OTHER, &none);
  if (f) fclose(f);
}

void rpi_cc_hurry(rpi_cc *c) {
  pthread_mutex_lock(&c->lock);
  if (c->pid > 0) hurry(c->pid);
  pthread_mutex_unlock(&c->lock);
}

void rpi_cc_cancel(rpi_cc *c) {
  pthread_mutex_lock(&c->lock);
  c->cancelled = true;
  if (c->pid > 0) kill(-c->pid, SIGKILL);
  pthread_mutex_unlock(&c->lock);
}
