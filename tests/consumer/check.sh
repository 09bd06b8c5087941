#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the build into a folder of its own and builds consumer.c against that, as a stranger would.
#   check.sh find_package|pkg_config BUILD CMAKE CC GENERATOR
set -eu
way=$1 build=$2 cmake=$3 cc=$4 generator=$5
source=$(cd "$(dirname "$0")" && pwd)
work=$build/consumer/$way
prefix=$work/prefix
rm -rf "$work"
mkdir -p "$work"
"$cmake" --install "$build" --prefix "$prefix" >"$work/install.log"

case $way in
  find_package)
    "$cmake" -S "$source" -B "$work/build" -G "$generator" -D CMAKE_C_COMPILER="$cc" \
      -D CMAKE_PREFIX_PATH="$prefix" >"$work/configure.log"
    "$cmake" --build "$work/build"
    "$work/build/consumer_reprise"
    "$work/build/consumer_static"
    ;;
  pkg_config)
    PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name reprise.pc)")
    export PKG_CONFIG_PATH
    libdir=$(pkg-config --variable=libdir reprise)
    # shellcheck disable=SC2046
    "$cc" "$source/consumer.c" -o "$work/shared" $(pkg-config --cflags --libs reprise)
    LD_LIBRARY_PATH=$libdir "$work/shared"
    # shellcheck disable=SC2046
    "$cc" "$source/consumer.c" -o "$work/static" $(pkg-config --cflags reprise) "$libdir/libreprise.a" \
      $(pkg-config --static --libs-only-l reprise | sed 's/-lreprise//')
    "$work/static"
    ;;
esac
