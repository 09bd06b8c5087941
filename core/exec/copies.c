/* SPDX-License-Identifier: Apache-2.0
 * core/exec/copies.c -- see copies.h.
 * How: every copy carries an ELF note of one name, which the linker puts where the loader shows it. The
 *      loader lists the program first, then libraries in the order in which they were loaded, so the
 *      copy whose note is met first is the first. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "core/exec/copies.h"

#include <link.h>
#include <string.h>

#define NAME "Reprise"

/* ORDER: the header of an ELF note, its name, its content (nothing reads that). */
typedef struct mark {
  uint32_t name_size, desc_size, type;
  char name[8];
  uint32_t version;
} mark;

static const mark ours __attribute__((section(".note.reprise"), used, aligned(4))) = {
    sizeof NAME, sizeof(uint32_t), 1, NAME, 1};

_Static_assert(sizeof NAME == sizeof ours.name, "the name fills its field");

/* The mark among the notes of one segment, or NULL. */
static const char *find_mark(const char *at, const char *end, size_t align) {
  while (end - at >= (ptrdiff_t)sizeof(ElfW(Nhdr))) {
    const ElfW(Nhdr) *note = (const void *)at;
    const size_t name = (note->n_namesz + align - 1) / align * align;
    const size_t desc = (note->n_descsz + align - 1) / align * align;
    const char *text = at + sizeof *note;
    if ((size_t)(end - text) < name + desc) return NULL;
    if (note->n_namesz == sizeof NAME && memcmp(text, NAME, sizeof NAME) == 0) return at;
    at = text + name + desc;
  }
  return NULL;
}

/* Stops at the first object with a mark. */
static int look(struct dl_phdr_info *object, size_t size, void *found) {
  (void)size;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *p = &object->dlpi_phdr[i];
    if (p->p_type != PT_NOTE) continue;
    const char *from = (const char *)object->dlpi_addr + p->p_vaddr;
    const char *at = find_mark(from, from + p->p_memsz, p->p_align == 8 ? 8 : 4);
    if (!at) continue;
    *(const char **)found = at;
    return 1;
  }
  return 0;
}

bool rpi_copies_first(void) {
  const char *found = NULL;
  dl_iterate_phdr(look, &found);
  return !found || found == (const char *)&ours;
}
