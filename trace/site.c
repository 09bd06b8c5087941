/* SPDX-License-Identifier: Apache-2.0
 * trace/site.c -- see site.h.
 * What addr2line prints comes through a pipe; end of file is its end, since an application that ignores SIGCHLD never
 * learns a child's status. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "trace/site.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"

enum { SAID = 1000, PATIENCE_MS = 2000 };

extern char **environ;

/* ---- finding ---- */

static const void *module_of(const void *address) {
  Dl_info at;
  return dladdr(address, &at) ? at.dli_fbase : NULL;
}

bool rpi_site_is_own(const void *caller) {
  return caller && module_of(caller) == module_of((const void *)(uintptr_t)rpi_site_is_own);
}

/* The program's own name is what it was called by, which may be no path. */
static void name_module(const char *name, char out[RPI_SITE_MODULE]) {
  ssize_t n = -1;
  if (!strchr(name, '/')) n = readlink("/proc/self/exe", out, RPI_SITE_MODULE - 1);
  if (n > 0)
    out[n] = '\0';
  else
    snprintf(out, RPI_SITE_MODULE, "%s", name);
}

void rpi_site_find(const void *caller, rpi_site *out) {
  Dl_info at;
  *out = (rpi_site){0};
  if (!caller) return;
  const char *call = (const char *)caller - 1; /* the return may belong to the next line */
  if (!dladdr(call, &at) || !at.dli_fname) return;
  const Elf64_Ehdr *head = at.dli_fbase;
  const bool fixed = head->e_type == ET_EXEC;
  name_module(at.dli_fname, out->module);
  out->address = (uint64_t)(uintptr_t)call - (fixed ? 0 : (uint64_t)(uintptr_t)at.dli_fbase);
  if (!at.dli_sname) return;
  snprintf(out->symbol, sizeof out->symbol, "%s", at.dli_sname);
  out->offset = (uint64_t)(call - (const char *)at.dli_saddr);
}

/* ---- words ---- */

/* Reads to the end of file or of patience; false: it was not the end. */
static bool read_all(int fd, char *said, size_t size) {
  const int64_t until = rpi_clock_ns() + INT64_C(1000000) * PATIENCE_MS;
  size_t n = 0;
  for (;;) {
    const int64_t left = (until - rpi_clock_ns()) / 1000000;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const int ready = left > 0 ? poll(&p, 1, (int)left) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t got = read(fd, said + n, size - 1 - n);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    n += (size_t)got;
    if (n + 1 == size) break;
  }
  said[n] = '\0';
  return true;
}

static bool start(const rpi_site *w, int out, pid_t *pid) {
  char address[32];
  char *const argv[] = {"addr2line", "-f", "-C", "-e", (char *)w->module, address, NULL};
  posix_spawn_file_actions_t fa;
  snprintf(address, sizeof address, "0x%llx", (unsigned long long)w->address);
  if (posix_spawn_file_actions_init(&fa) != 0) return false;
  int rc = posix_spawn_file_actions_adddup2(&fa, out, 1);
  if (rc == 0) rc = posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
  if (rc == 0) rc = posix_spawnp(pid, argv[0], &fa, NULL, argv, environ);
  posix_spawn_file_actions_destroy(&fa);
  return rc == 0;
}

/* "function\nfile:line\n" of the place; false: nobody knows. */
static bool ask_addr2line(const rpi_site *w, char said[SAID]) {
  int ends[2];
  pid_t pid = 0;
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  const bool started = start(w, ends[1], &pid);
  close(ends[1]);
  const bool ended = started && read_all(ends[0], said, SAID);
  close(ends[0]);
  if (!started) return false;
  if (!ended) kill(pid, SIGKILL);
  while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
  }
  return ended;
}

static const char *base_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* What addr2line said, in our words; false: it did not know the line. */
static bool print_line(char *said, rpi_strbuf *out) {
  char *line = strchr(said, '\n');
  if (!line) return false;
  *line++ = '\0';
  line[strcspn(line, " \n")] = '\0'; /* a "(discriminator 2)" may follow */
  const char *number = strrchr(line, ':');
  if (!number || line[0] == '?' || number[1] < '1' || number[1] > '9') return false;
  rpi_strbuf_addf(out, "%s", base_of(line));
  if (said[0] != '?') rpi_strbuf_addf(out, " (%s)", said);
  return true;
}

void rpi_site_print(const rpi_site *w, rpi_strbuf *out) {
  char said[SAID];
  if (!w->module[0]) {
    rpi_strbuf_add(out, "an unknown place");
    return;
  }
  if (ask_addr2line(w, said) && print_line(said, out)) return;
  if (w->symbol[0])
    rpi_strbuf_addf(out, "%s (%s+0x%llx)", base_of(w->module), w->symbol,
                    (unsigned long long)w->offset);
  else
    rpi_strbuf_addf(out, "%s+0x%llx", base_of(w->module), (unsigned long long)w->address);
}
