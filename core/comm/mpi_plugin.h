/* SPDX-License-Identifier: Apache-2.0
 * core/comm/mpi_plugin.h -- what libreprise-mpi.so gives the library: a table of functions in plain C types.
 *
 * Lives here: the table; both sides include it, and it includes nothing of either.
 * Not here:   what is done with it (comm_mpi.c), MPI (mpi_plugin.c).
 * How:        MPI has no binary interface of its own, so what calls it must be compiled with the header of the very
 *             MPI that the launcher knows: that is a module of one file, which a site can build again
 *             and name with the knob `mpi_plugin`, with the library as it is.
 * Errors:     a function that fails writes a sentence into `why`, RPI_MPI_PLUGIN_WHY bytes of the caller's.
 * Threads:    one thread at a time, all worlds of the process together. */
#ifndef RPI_MPI_PLUGIN_H
#define RPI_MPI_PLUGIN_H

#include <stdbool.h>
#include <stdint.h>

enum {
  RPI_MPI_PLUGIN_VERSION = 4, /* of what is below */
  RPI_MPI_PLUGIN_WHY = 512,
  RPI_MPI_PLUGIN_BATCH = 64, /* messages that one poll looks at */
  RPI_MPI_PLUGIN_NAME = 64,  /* bytes of a rank's name */
  RPI_MPI_PLUGIN_NOTE = 5000 /* bytes that a note may have */
};

/* A communicator of our own, with the messages under way in it. */
typedef struct rpi_mpi_world rpi_mpi_world;

typedef struct rpi_mpi_place {
  int32_t rank, size;
  int32_t local;   /* how many of the ranks share this machine, */
  int32_t seat;    /* and this one's number among them */
  int32_t tag_max; /* tags are 0..tag_max */
} rpi_mpi_place;

/* A message that has ended. What came is told of receives only. */
typedef struct rpi_mpi_end {
  void *token;
  enum {
    RPI_MPI_END_WELL,
    RPI_MPI_END_SHORT, /* the receive has less room than what came; `bytes` may then be too few */
    RPI_MPI_END_BADLY  /* `why` is written */
  } how;
  int32_t tag;
  int64_t bytes;
} rpi_mpi_end;

typedef struct rpi_mpi_plugin {
  int32_t version; /* stays the first member in every version */
  /* Initialises MPI, unless the program has; NULL: failed. Collective; others are waited for that long. */
  rpi_mpi_world *(*open)(double seconds, rpi_mpi_place *place, char *why);
  /* Begins a message, or a receive of any tag. `token` is not NULL. Messages of an ordered pair of ranks meet the
   * receives in the order in which both were started. */
  bool (*start)(rpi_mpi_world *w, bool send, void *data, int64_t bytes, int32_t peer, int32_t tag,
                void *token, char *why);
  /* Moves all messages, and looks at the next batch for those that ended: their number, or -1: failed. */
  int32_t (*poll)(rpi_mpi_world *w, rpi_mpi_end end[RPI_MPI_PLUGIN_BATCH], char *why);
  /* Sends a note, which may change afterwards, or takes the next that came, at most `room` bytes: aside from all
   * messages. The second returns its length, 0: there is none. Do not wait. */
  bool (*tell)(rpi_mpi_world *w, int32_t peer, const void *note, int32_t bytes);
  int32_t (*hear)(rpi_mpi_world *w, void *note, int32_t room);
  /* Machine and process of a rank; NULL: not known. */
  const char *(*where)(const rpi_mpi_world *w, int32_t rank);
  /* Gives receives up, so that their memory can be used again. */
  void (*cancel)(rpi_mpi_world *w);
  /* Has the launcher end all ranks with that exit status. May return. */
  void (*abort)(rpi_mpi_world *w, int32_t status);
  /* `orderly`: collective. Else MPI is not finalised when the process ends, so that the launcher sees a failure. */
  void (*close)(rpi_mpi_world *w, bool orderly);
} rpi_mpi_plugin;

/* The one function that the module exports. */
#define RPI_MPI_PLUGIN_ENTRY "rpi_mpi_plugin_table"
__attribute__((visibility("default"))) const rpi_mpi_plugin *rpi_mpi_plugin_table(void);

#endif
