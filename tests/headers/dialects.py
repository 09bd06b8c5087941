# SPDX-License-Identifier: Apache-2.0
"""dialects.py gcc|clang -- every public header compiles alone, without a warning, in six dialects.

Each header is the only include of a file, seen through -I as an installed one would be. The text of
GPU kernels that says what an operation computes is C and C++ as well, where a host stands in for CUDA.
"""
import glob
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = os.path.join(ROOT, "core", "include")
COMPILERS = {"gcc": ("gcc", "g++"), "clang": ("clang", "clang++")}
DIALECTS = ("c99", "c11", "c17", "c++11", "c++17", "c++20")
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only"]
LANES = ("c11", "c17", "c++17", "c++20")
LANES_TEXT = """#define RPG_HOST
#define RPG_HOST_BITS 256
#define RPG_DEVICE static inline __attribute__((always_inline, unused))
#define RPV_USE_ALL
#include "jit/lanes_cuda.h"
#include "jit/lanes.h"
"""
LANES_FLAGS = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-mavx2", "-mfma", "-I", ROOT]
C_FLAGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]


def main(family):
    c, cxx = COMPILERS[family]
    for tool in (c, cxx):
        if not shutil.which(tool):
            print("skipped: %s is not installed" % tool)
            sys.exit(77)
    texts = [(os.path.basename(header), '#include <%s>\n' % os.path.basename(header), DIALECTS, FLAGS, C_FLAGS)
             for header in sorted(glob.glob(os.path.join(INCLUDE, "*.h")))]
    texts.append(("lanes_cuda.h", LANES_TEXT, LANES, LANES_FLAGS, []))
    faults = 0
    for name, text, dialects, flags, c_flags in texts:
        for dialect in dialects:
            plus = "++" in dialect
            command = [cxx if plus else c, "-std=" + dialect, "-x", "c++" if plus else "c"]
            command += flags + ([] if plus else c_flags) + ["-I", INCLUDE, "-"]
            done = subprocess.run(command, input=text, text=True, capture_output=True)
            if done.returncode != 0 or done.stderr:
                faults += 1
                print("%s as %s by %s:\n%s" % (name, dialect, family, done.stderr))
    sys.exit(1 if faults else 0)


main(sys.argv[1])
