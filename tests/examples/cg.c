/* SPDX-License-Identifier: Apache-2.0
 * tests/examples/cg.c -- A x = b by rp_solve_cg, for the 5-point Poisson matrix on --size^2 points or a
 * Matrix Market file. */
#include "linear_system.h"

int main(int argc, char **argv) { return linear_system_main(argc, argv, rp_solve_cg); }
