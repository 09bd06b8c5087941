/* SPDX-License-Identifier: Apache-2.0
 * tests/support/fiber.h -- from one stack to another on x86-64, without asking the system.
 * Lives here: the switch, and a stack that begins in a function. Not here: who runs when (cuda_threads.h, tests/emulator).
 * Sanitizers: know nothing of these stacks; what runs there is compiled without them. */
#ifndef FIBER_H
#define FIBER_H

#include <string.h>

/* Saves the callee's registers and the stack pointer there, and goes on where `to` was saved. */
void fiber_switch(void **save, void *to);
__asm__(".text\n"
        ".weak fiber_switch\n"
        ".hidden fiber_switch\n"
        ".type fiber_switch,@function\n"
        "fiber_switch:\n"
        "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
        "  mov %rsp, (%rdi)\n"
        "  mov %rsi, %rsp\n"
        "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n"
        "  ret\n"
        ".size fiber_switch, . - fiber_switch\n");

/* What to switch to for `begin`, which never returns, to run on the stack below `end`, a multiple of 16. */
static inline void *fiber_begin(char *end, void (*begin)(void)) {
  void **top = (void **)(void *)end - 8; /* six registers, where to begin, and no caller */
  memset(top, 0, 8 * sizeof *top);
  memcpy(&top[6], &begin, sizeof begin);
  return top;
}

#endif
