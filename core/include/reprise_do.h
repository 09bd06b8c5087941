/* SPDX-License-Identifier: Apache-2.0
 * reprise_do.h -- optional macros, so that a C program on stores reads like mathematics.
 *
 * Lives here: RP_DO, RP_TRY, RP_CHECK. Not here: anything that a program needs: each macro is short for
 *             calls that are declared in reprise.h. C99 and later; not C++ (compound literals).
 */
#ifndef REPRISE_DO_H
#define REPRISE_DO_H

#include <stdio.h>
#include <stdlib.h>

#include "reprise.h"

/* Launches a body on the stores it names: the C variables are called as the body calls them.
 *
 *     RP_CHECK(RP_DO(ctx, "p = r + beta*p", p, r, beta));
 *
 * The body is registered at its first use under its own text; a value of type rp_status. */
#define RP_DO(ctx, body, ...) \
  rp_eval((ctx), #__VA_ARGS__, (body), (rp_store *const[]){__VA_ARGS__}, \
          (int32_t)(sizeof((rp_store *const[]){__VA_ARGS__}) / sizeof(rp_store *)))

/* Returns from the function with the status of a call that failed. */
#define RP_TRY(call) \
  do { \
    const rp_status rp_try_status = (call); \
    if (rp_try_status != RP_OK) return rp_try_status; \
  } while (0)

/* Ends the program if a call fails, saying where, which and why. */
#define RP_CHECK(call) \
  do { \
    const rp_status rp_check_status = (call); \
    if (rp_check_status != RP_OK) { \
      fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call, \
              rp_status_name(rp_check_status), rp_last_error()); \
      exit(EXIT_FAILURE); \
    } \
  } while (0)

#endif
