# SPDX-License-Identifier: Apache-2.0
"""heads.py -- every file begins with its licence and says what lives in it."""
import os
import re

import tree

LICENCE = "SPDX-License-Identifier: Apache-2.0"


def check():
    faults = []
    for name in tree.files(".c", ".h", ".def"):
        lines = tree.text(name).split("\n")
        base = os.path.basename(name)
        if not lines[0].startswith("/* " + LICENCE):
            faults.append("%s:1: the first line is not '/* %s'" % (name, LICENCE))
            continue
        head = tree.text(name).split("*/")[0]
        if not re.search(r"%s -- \S" % re.escape(base), head):
            faults.append("%s:2: the head comment does not say '%s -- what lives here'" % (name, base))
    for name in tree.files(".py", ".sh", ".map", "CMakeLists.txt", "dev", ".ci/run"):
        if LICENCE not in "\n".join(tree.text(name).split("\n")[:3]):
            faults.append("%s: no '%s' in the first three lines" % (name, LICENCE))
    return faults


if __name__ == "__main__":
    tree.verdict(check())
