# SPDX-License-Identifier: Apache-2.0
"""layers.py BUILD -- who may include whom, and whose functions an archive may call.

The tables below are the arrows of core/README.md. A file belongs to the longest folder that is a
prefix of its path. Quoted includes are root-relative and exist; public headers are also included by
their plain names, as they lie side by side when installed, and examples, which are programs of
their own, include what lies in their folder.
"""
import os
import re
import sys

import tree

PUBLIC = "core/include"
EXAMPLES = "tests/examples"
MAY_INCLUDE = {
    PUBLIC: [],
    "core/base": [PUBLIC],
    "core/device": [PUBLIC, "core/base"],
    # memory.h is a leaf of exec: it knows sizes, no store.
    "core/model": [PUBLIC, "core/base", "core/device", "core/exec/memory.h"],
    "core/comm": [PUBLIC, "core/base"],
    "core/exec": [PUBLIC, "core/base", "core/device", "core/model", "core/comm"],
    "jit": [PUBLIC, "core"],
    "trace": [PUBLIC, "core", "jit"],
    "kernels": [PUBLIC],
    "bindings/c": [PUBLIC, "core", "jit", "trace"],
    "bindings": [PUBLIC],
    # A program that starts others: it has nothing of the library.
    "bindings/command": [],
    EXAMPLES: [PUBLIC],
    "tests/consumer": [PUBLIC],
    "tests": ["core", "jit", "trace", "kernels", "bindings", EXAMPLES],
}
# Archives: whose hidden functions (rpi_) each may call, beside its own.
MAY_CALL = {
    "core": [],
    "jit": ["core"],
    "trace": ["core", "jit"],
    "kernels": [],
    "bindings": ["core", "jit", "trace"],
}
# Archives that are below the public functions (rp_) and do not call them; exceptions are functions
# that an archive below defines.
MAY_CALL_PUBLIC = ("kernels", "bindings")


def within(path, folder):
    return path == folder or path.startswith(folder + "/")


def owner(path):
    return max((f for f in MAY_INCLUDE if within(path, f)), key=len, default=None)


def is_own(target, path):
    """A file may include what lies in its own layer; but one library of kernels/ does not include
    another, only what lies in kernels/ itself, which they share."""
    if owner(path) != "kernels":
        return within(target, owner(path))
    return os.path.dirname(target) in ("kernels", os.path.dirname(path))


def check_includes():
    faults = []
    for name in tree.files(".c", ".h", ".def"):
        home = owner(name)
        if home is None:
            faults.append("%s: lies in no layer of tests/lint/layers.py" % name)
            continue
        for number, line in enumerate(tree.code(name).split("\n"), 1):
            found = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', line)
            if not found:
                continue
            mark, target = found.groups()
            beside = [os.path.join(folder, target) for folder in (PUBLIC, EXAMPLES)
                      if folder == PUBLIC or home == EXAMPLES]
            beside = [path for path in beside if os.path.exists(os.path.join(tree.ROOT, path))]
            if beside:
                target = beside[0]
            elif mark == "<":
                continue
            if not os.path.exists(os.path.join(tree.ROOT, target)):
                faults.append('%s:%d: "%s" is not there: includes are relative to the root'
                              % (name, number, target))
            elif not (is_own(target, name) or any(within(target, f) for f in MAY_INCLUDE[home])):
                faults.append("%s:%d: %s may not include %s" % (name, number, home, target))
    return faults


def check_calls(build):
    faults = []
    defined, wanted = {}, []
    for folder, path in tree.archives(build).items():
        for member, letter, symbol in tree.symbols(path):
            if not symbol.startswith(("rp_", "rpi_")):
                continue
            if letter == "U":
                wanted.append((folder, member, symbol))
            else:
                defined[symbol] = folder
    for folder, member, symbol in wanted:
        home = defined.get(symbol)
        if home is None:
            faults.append("%s: %s calls %s, which no folder defines" % (folder, member, symbol))
        elif home == folder or home in MAY_CALL[folder]:
            continue
        elif not (symbol.startswith("rp_") and folder in MAY_CALL_PUBLIC):
            faults.append("%s: %s may not call %s of %s" % (folder, member, symbol, home))
    return faults


if __name__ == "__main__":
    tree.verdict(check_includes() + check_calls(sys.argv[1]))
