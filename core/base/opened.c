/* SPDX-License-Identifier: Apache-2.0
 * core/base/opened.c -- see opened.h. */
#include "core/base/opened.h"

#include <dlfcn.h>
#include <stdalign.h>
#include <string.h>

#include "core/base/alloc.h"

/* Followed by the table. */
typedef struct rpi_opened {
  struct rpi_opened *next;
  rp_status status;
  char *library;
  char *sentence; /* of a refusal */
  alignas(16) char table[];
} opened;

bool rpi_opened_find(void *so, const char *symbol, void *out) {
  void *address = dlsym(so, symbol);
  memcpy(out, &address, sizeof address); /* C has no cast from an object to a function */
  return address != NULL;
}

static void forget(opened *o) {
  if (!o) return;
  rpi_alloc_free(o->library);
  rpi_alloc_free(o->sentence);
  rpi_alloc_free(o);
}

/* NULL without memory. */
static opened *open_first(const char *library, size_t bytes, rpi_opened_load *load) {
  opened *o = rpi_alloc_zero(sizeof *o + bytes);
  if (o) o->library = rpi_alloc_string(library);
  if (o && o->library) {
    o->status = load(library, o->table);
    if (o->status == RP_OK) return o;
    o->sentence = rpi_alloc_string(rpi_status_message());
    if (o->sentence) return o;
  }
  forget(o);
  return NULL;
}

rp_status rpi_opened_get(rpi_opened_list *all, const char *library, size_t bytes,
                         rpi_opened_load *load, const void **out) {
  if (!library) library = "";
  *out = NULL;
  pthread_mutex_lock(&all->lock);
  opened *o = all->first;
  while (o && strcmp(o->library, library) != 0) o = o->next;
  if (!o && (o = open_first(library, bytes, load))) {
    o->next = all->first;
    all->first = o;
  }
  pthread_mutex_unlock(&all->lock);
  if (!o) return rpi_status_nomem("a library's functions");
  if (o->status != RP_OK) return rpi_status_fail(o->status, "%s", o->sentence);
  *out = o->table;
  return RP_OK;
}
