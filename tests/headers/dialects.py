# SPDX-License-Identifier: Apache-2.0
"""dialects.py gcc|clang -- every public header compiles alone, without a warning, in six dialects.

Each header is the only include of a file, seen through -I as an installed one would be.
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
C_FLAGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]


def main(family):
    c, cxx = COMPILERS[family]
    for tool in (c, cxx):
        if not shutil.which(tool):
            print("skipped: %s is not installed" % tool)
            sys.exit(77)
    faults = 0
    for header in sorted(glob.glob(os.path.join(INCLUDE, "*.h"))):
        line = '#include <%s>\n' % os.path.basename(header)
        for dialect in DIALECTS:
            plus = "++" in dialect
            command = [cxx if plus else c, "-std=" + dialect, "-x", "c++" if plus else "c"]
            command += FLAGS + ([] if plus else C_FLAGS) + ["-I", INCLUDE, "-"]
            done = subprocess.run(command, input=line, text=True, capture_output=True)
            if done.returncode != 0 or done.stderr:
                faults += 1
                print("%s as %s by %s:\n%s" % (os.path.basename(header), dialect, family, done.stderr))
    sys.exit(1 if faults else 0)


main(sys.argv[1])
