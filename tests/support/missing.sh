#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Stands in the place of a program that CMake did not find: missing.sh NAME [ARGUMENTS].
echo "skipped: $1 is not installed"
exit 77
