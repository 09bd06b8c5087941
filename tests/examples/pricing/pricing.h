/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/pricing/pricing.h -- a library of option prices that nobody but its author knows.
 * It is a client of reprise.h alone; it knows no other library and none knows it. Its ops are bodies,
 * so that they become one kernel with whatever stands before and behind them. */
#ifndef PRICING_H
#define PRICING_H

#include "reprise.h"

typedef struct pricing pricing;

/* The library in a context, made at the first call; it goes with the context. Borrowed. */
rp_status pricing_get(rp_context *ctx, pricing **out);

/* European options by Black and Scholes (1973): the spot prices, strikes and years of equal shape and
 * dtype, a yearly rate and volatility. Makes *call and *put, which the caller releases. */
rp_status pricing_european(pricing *p, rp_store *spot, rp_store *strike, rp_store *years,
                           double rate, double volatility, rp_store **call, rp_store **put);

/* max(spot - strike, 0), what a call is worth today. */
rp_status pricing_payoff(pricing *p, rp_store *spot, rp_store *strike, rp_store **out);

#endif
