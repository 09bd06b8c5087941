# SPDX-License-Identifier: Apache-2.0
"""words.py -- what no file of the tree contains: unfinished business, stray blanks, one machine's paths."""
import re

import tree

# Written so that this file does not find itself.
LEFT_OPEN = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE = re.compile(r"(?<![\w./$}])/(wo" r"rk|ro" r"ot|ho" r"me/\w+)\b")
BINARY = (".png", ".bin")


def check():
    faults = []
    for name in tree.files():
        if name == "LICENSE" or name.endswith(BINARY) or name.startswith("tests/fuzz/corpus/"):
            continue
        body = tree.text(name)
        for number, line in enumerate(body.split("\n"), 1):
            def fault(what):
                faults.append("%s:%d: %s" % (name, number, what))
            if LEFT_OPEN.search(line):
                fault("left open: " + line.strip())
            if MACHINE.search(line):
                fault("a path of one machine: " + line.strip())
            if line != line.rstrip():
                fault("blanks at the end of the line")
            if "\t" in line and name.endswith((".c", ".h", ".def")):
                fault("a tab")
        if body and not body.endswith("\n"):
            faults.append("%s: no newline at the end" % name)
    return faults


if __name__ == "__main__":
    tree.verdict(check())
