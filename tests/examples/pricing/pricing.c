/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/pricing/pricing.c -- ops of option prices.
 * Lives here: three bodies, and the library's own table of them, kept in the context. */
#include "pricing/pricing.h"

#include <stdlib.h>

struct pricing {
  rp_op *quantile, *european, *payoff;
};

/* Its address is the key under which a context keeps the table. */
static const char key;

static rp_status register_ops(rp_context *ctx, pricing *p) {
  rp_library *lib;
  rp_status status = rp_library_create(ctx, "pricing", &lib);
  if (status == RP_OK) {
    status = rp_op_create(lib, "quantile", "d, spot, strike, years, rate:float, vol:float",
                          "d = (log(spot/strike) + (rate + 0.5*vol*vol)*years)/(vol*sqrt(years))",
                          &p->quantile);
  }
  if (status == RP_OK) {
    status =
        rp_op_create(lib, "european", "call, put, d, spot, strike, years, rate:float, vol:float",
                     "let c1 = 0.5*erfc(-d*0.7071067811865476);"
                     "let c2 = 0.5*erfc((vol*sqrt(years) - d)*0.7071067811865476);"
                     "let owed = strike*exp(-rate*years);"
                     "call = spot*c1 - owed*c2;"
                     "put = owed*(1 - c2) - spot*(1 - c1)",
                     &p->european);
  }
  if (status == RP_OK) {
    status =
        rp_op_create(lib, "payoff", "out, spot, strike", "out = max(spot - strike, 0)", &p->payoff);
  }
  return status;
}

rp_status pricing_get(rp_context *ctx, pricing **out) {
  *out = rp_context_data(ctx, &key);
  if (*out) return RP_OK;
  pricing *p = calloc(1, sizeof *p);
  if (!p) return rp_error_set(RP_ERR_MEMORY, "pricing: out of memory");
  rp_status status = register_ops(ctx, p);
  if (status == RP_OK) status = rp_context_set_data(ctx, &key, p, free);
  if (status != RP_OK) {
    free(p);
    return status;
  }
  *out = p;
  return RP_OK;
}

rp_status pricing_european(pricing *p, rp_store *spot, rp_store *strike, rp_store *years,
                           double rate, double volatility, rp_store **call, rp_store **put) {
  *call = *put = NULL;
  const void *market[] = {&rate, &volatility};
  rp_store *first[] = {NULL, spot, strike, years};
  rp_status status = rp_call(p->quantile, first, 4, market, 2);
  if (status != RP_OK) return status;
  rp_store *second[] = {NULL, NULL, first[0], spot, strike, years};
  status = rp_call(p->european, second, 6, market, 2);
  rp_store_release(first[0]);
  if (status != RP_OK) return status;
  *call = second[0];
  *put = second[1];
  return RP_OK;
}

rp_status pricing_payoff(pricing *p, rp_store *spot, rp_store *strike, rp_store **out) {
  *out = NULL;
  rp_store *stores[] = {NULL, spot, strike};
  const rp_status status = rp_call(p->payoff, stores, 3, NULL, 0);
  if (status == RP_OK) *out = stores[0];
  return status;
}
