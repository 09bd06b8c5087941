/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/prices.h -- prices of options by the formula of F. Black and M. Scholes (1973). */
#ifndef PRICES_H
#define PRICES_H

#include "reprise.h"

/* New stores with the prices of calls and puts for spot prices s, strikes x and years t, by 63 array
 * operations. */
void prices(rp_store *s, rp_store *x, rp_store *t, rp_store **call, rp_store **put);

#endif
