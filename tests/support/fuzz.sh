#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Builds the fuzz targets and runs one for a few seconds: a smoke test of the targets and of what the
# corpus has found so far. Exits with 77 where clang or its fuzzing runtime is missing.
#   fuzz.sh FOLDER build CMAKE GENERATOR
#   fuzz.sh FOLDER run NAME          seeds: tests/fuzz/corpus/NAME; words: tests/fuzz/NAME.dict
set -eu
folder=$1
action=$2

skip() { echo "skipped: $1"; exit 77; }

command -v clang >/dev/null || skip "clang is not installed"

build() {
  local probe="$folder/probe"
  mkdir -p "$folder"
  echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n > 9; }' |
    clang -x c - -fsanitize=fuzzer,address,undefined -o "$probe" >/dev/null 2>&1 ||
    skip "clang has no fuzzing runtime (Debian: libclang-rt-dev)"
  rm -f "$probe"
  # Not optimised, which takes a third of the time: what is built runs for seconds.
  "$1" --preset fuzz -B "$folder" -G "$2" -D RPI_DEBUG="-O0 -g1" >/dev/null
  "$1" --build "$folder" --target fuzzers
}

run() {
  local name=$1 program="$folder/tests/$1" found="$folder/found/$1"
  [ -x "$program" ] || skip "$name was not built"
  mkdir -p "$found"
  set -- "$found"
  [ ! -d "tests/fuzz/corpus/$name" ] || set -- "$@" "tests/fuzz/corpus/$name"
  [ ! -f "tests/fuzz/$name.dict" ] || set -- "$@" "-dict=tests/fuzz/$name.dict"
  exec "$program" -seed=1 -max_total_time=5 -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
    -artifact_prefix="$found." "$@"
}

shift 2
"$action" "$@"
