#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the preset `minimal` as on a machine that has no pkg-config either, without optimisation to save time: the
# static library, and tests of what stands in the place of what is missing. None of it may need a library of others.
#   minimal.sh SOURCE BUILD CMAKE CC GENERATOR
set -eu
source=$1 work=$2/consumer/minimal cmake=$3 cc=$4 generator=$5
programs=(test_hash test_sysv test_api_scatter)
rm -rf "$work"
mkdir -p "$work"
cd "$source"
if ! "$cmake" --preset minimal -B "$work/build" -G "$generator" -D CMAKE_C_COMPILER="$cc" -D CMAKE_BUILD_TYPE=Debug \
  -D RPI_DEBUG=-O0 -D CMAKE_DISABLE_FIND_PACKAGE_PkgConfig=ON >"$work/configure.log" 2>&1; then
  cat "$work/configure.log"
  exit 1
fi
if ! "$cmake" --build "$work/build" -j 2 --target reprise_static "${programs[@]}" >"$work/build.log" 2>&1; then
  cat "$work/build.log"
  exit 1
fi
for program in "${programs[@]}"; do
  if ldd "$work/build/tests/$program" | grep -E 'xxhash|ffi|cmocka|ucp|pmix|mpi'; then
    echo "$program needs these"
    exit 1
  fi
  "$work/build/tests/$program" >"$work/$program.log" 2>&1 || { cat "$work/$program.log"; exit 1; }
  tail -n 1 "$work/$program.log"
done
# Kept only where something failed: it is as large as a build.
rm -rf "$work/build"
