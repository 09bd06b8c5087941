/* SPDX-License-Identifier: Apache-2.0
 * tests/bench/base_bs_formula.h -- the Black-Scholes loop of base_bs.c for one type. The including file
 * defines REAL, EXP, LOG, SQRT, ABS and the names CND and PRICES of what is made. */

/* The cumulative normal distribution: 24 operations. */
static inline REAL CND(REAL d) {
  const REAL k = (REAL)1 / ((REAL)1 + (REAL)0.2316419 * ABS(d));
  REAL poly = (REAL)1.330274429 * k;
  poly = k * ((REAL)-1.821255978 + poly);
  poly = k * ((REAL)1.781477937 + poly);
  poly = k * ((REAL)-0.356563782 + poly);
  poly = k * ((REAL)0.31938153 + poly);
  const REAL tail = (REAL)0.39894228040143267 * EXP((REAL)-0.5 * d * d) * poly;
  return d > 0 ? (REAL)1 - tail : tail;
}

static void PRICES(const REAL *restrict s, const REAL *restrict x, const REAL *restrict t,
                   REAL *restrict call, REAL *restrict put, int64_t n) {
  const REAL rate = (REAL)0.02, volatility = (REAL)0.30;
  const REAL drift = (REAL)(0.02 + 0.5 * 0.30 * 0.30);
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < n; i++) {
    const REAL spread = volatility * SQRT(t[i]);
    const REAL d1 = LOG(s[i] / x[i]) + drift * t[i] / spread;
    const REAL d2 = d1 - spread;
    const REAL c1 = CND(d1), c2 = CND(d2);
    const REAL discounted = x[i] * EXP(-rate * t[i]);
    call[i] = s[i] * c1 - discounted * c2;
    put[i] = discounted * ((REAL)1 - c2) - s[i] * ((REAL)1 - c1);
  }
}
