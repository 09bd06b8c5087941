# SPDX-License-Identifier: Apache-2.0
"""tree.py -- what the lints share: the files of the tree, the symbols of archives, the verdict.

Files are those git tracks or would track; without git, everything outside build/.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("core", "jit", "trace", "kernels", "bindings")


def files(*suffixes):
    """Sorted paths relative to the root; all files if no suffix is given."""
    try:
        git = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             cwd=ROOT, capture_output=True, check=True)
        names = git.stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, below, here in os.walk(ROOT):
            below[:] = [b for b in below if b not in (".git", "build", "__pycache__")]
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in here]
    return sorted(n for n in set(names)
                  if n and n.endswith(suffixes or ("",)) and os.path.isfile(os.path.join(ROOT, n)))


def text(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def code(name):
    """The text with comments blanked out, line numbers kept."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: "\n" * m.group().count("\n"), text(name), flags=re.S)


def symbols(path):
    """(object, letter, symbol) of every external symbol of an archive or shared library."""
    table = "-D" if path.endswith(".so") else "-g"
    out = subprocess.run(["nm", table, "--format=posix", "-A", path],
                         capture_output=True, text=True, check=True).stdout
    for line in out.splitlines():
        where, rest = line.split(": ", 1)
        member = re.search(r"\[(.*)\]", where)
        symbol, letter = rest.split()[:2]
        yield (member.group(1) if member else where), letter, symbol.split("@")[0]


def archives(build):
    """{folder: path} of the folders' archives."""
    paths = {f: os.path.join(build, "librpi_%s.a" % f) for f in FOLDERS}
    return {f: p for f, p in paths.items() if os.path.exists(p)}


def verdict(faults):
    for fault in faults:
        print(fault)
    print("%d fault%s" % (len(faults), "" if len(faults) == 1 else "s"))
    sys.exit(1 if faults else 0)
