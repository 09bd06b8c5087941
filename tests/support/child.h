/* SPDX-License-Identifier: Apache-2.0
 * tests/support/child.h -- what must end the process, in a child: how it ended, and what it said.
 * Lives here: one function. Not here: children that go on beside the test. Include it behind cmocka.h. */
#ifndef CHILD_H
#define CHILD_H

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Does work(arg) in a child without a core file, where signals that end it do so, and then ends that with status 0. What it
 * said on stderr is left in `said`, `room` bytes at most. Its status, as waitpid has it. */
static inline int child_status(void (*work)(const void *arg), const void *arg, char *said,
                               size_t room) {
  int ends[2], status;
  assert_int_equal(pipe(ends), 0);
  const pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    signal(SIGSEGV, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    dup2(ends[1], 2);
    work(arg);
    _exit(0);
  }
  close(ends[1]);
  size_t n = 0;
  for (ssize_t got; n + 1 < room && (got = read(ends[0], said + n, room - 1 - n)) > 0;)
    n += (size_t)got;
  said[n] = 0;
  close(ends[0]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

#endif
