# SPDX-License-Identifier: Apache-2.0
"""names.py BUILD | --write -- names: what the library exports, what crosses files, what files are called.

tests/lint/symbols.txt lists the exported functions; it is generated from the public headers by
`python3 tests/lint/names.py --write` and compared with them and with the library, so that a change of
the interface is seen in a review.
"""
import os
import re
import sys

import tree

LIST = "tests/lint/symbols.txt"
# Nouns that files define beside the first word of their name.
ALSO = {"alloc": ["arena"], "relate": ["geom"], "compile": ["cc"], "interp": ["loops"],
        "body": ["variant"], "kernels": ["analyse"], "comm": ["transport"], "nvrtc": ["cubin"],
        "emit": ["cuda"]}


def declared():
    names = set()
    for header in tree.files(".h"):
        if header.startswith("core/include/"):
            code = re.sub(r"(?m)^\s*#.*$", "", tree.code(header))
            names |= set(re.findall(r"\bRP_API\b[^;{}()]*?\b(\w+)\s*\(", code))
    return sorted(names)


def check_exports(build):
    faults = []
    listed = tree.text(LIST).split() if os.path.exists(os.path.join(tree.ROOT, LIST)) else []
    in_headers = declared()
    if listed != in_headers:
        for name in sorted(set(listed) ^ set(in_headers)):
            faults.append("%s: %s the headers and %s %s: run names.py --write" %
                          (name, "in" if name in in_headers else "not in",
                           "in" if name in listed else "not in", LIST))
    library = os.path.join(build, "libreprise.so")
    if not os.path.exists(library):
        return faults + ["%s: not built" % library]
    exported = {s for _, letter, s in tree.symbols(library)
                if letter not in "UwA" and not s.startswith("_")}
    for name in sorted(exported - set(in_headers)):
        faults.append("%s: exported, but no public header declares it" % name)
    for name in sorted(set(in_headers) - exported):
        faults.append("%s: declared in a public header, but not exported" % name)
    return faults


def check_hidden(build):
    """A function that crosses files is called rpi_<file>_<verb>; the first word of the file's name
    is enough (opt_fold.c may define rpi_opt_fold)."""
    faults = []
    for folder, path in tree.archives(build).items():
        for member, letter, symbol in tree.symbols(path):
            if letter in "Uwv" or symbol.startswith(("rp_", "__", "_GLOBAL_", "DW.ref.")):
                continue
            stem = member.split(".")[0]
            noun = stem.split("_")[0]
            nouns = [noun] + ALSO.get(noun, [])
            if not any(re.match(r"rpi_%s(_|$)" % noun, symbol) for noun in nouns):
                faults.append("%s/%s: %s is neither static nor named rpi_%s_..." %
                              (folder, member, symbol, stem))
    return faults


def check_files():
    faults, seen = [], {}
    listed = tree.text("CMakeLists.txt") + tree.text("tests/CMakeLists.txt")
    for name in tree.files(".c", ".h"):
        base = os.path.basename(name)
        if base in seen:
            faults.append("%s: %s has the same file name" % (name, seen[base]))
        seen[base] = name
        if name.endswith(".c") and not name.startswith("tests/consumer/"):
            if not re.search(r"[\s/]%s(\.c)?[\s)]" % re.escape(base[:-2]), listed):
                faults.append("%s: in no list of CMakeLists.txt or tests/CMakeLists.txt" % name)
    return faults


if __name__ == "__main__":
    if sys.argv[1] == "--write":
        with open(os.path.join(tree.ROOT, LIST), "w", encoding="utf-8") as out:
            out.write("".join(name + "\n" for name in declared()))
        sys.exit(0)
    tree.verdict(check_exports(sys.argv[1]) + check_hidden(sys.argv[1]) + check_files())
