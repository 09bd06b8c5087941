#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cc_quick.sh ARGUMENTS -- the C compiler with little optimisation, for tests that compile thousands of kernels.
exec cc "$@" -O1
