# SPDX-License-Identifier: Apache-2.0
"""plain.py -- every public header parses with a plain C parser after cpp, so that an FFI can read it.

What the system's headers bring is replaced by the few type names the interface uses. Structs, enums
and functions only: no inline body, no varargs, no struct by value, no bit-field.
"""
import glob
import os
import subprocess
import sys

try:
    from pycparser import c_ast, c_parser
except ImportError:
    print("skipped: the Python module pycparser is not installed (Debian: python3-pycparser)")
    sys.exit(77)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = os.path.join(ROOT, "core", "include")
KNOWN = "typedef unsigned long size_t; typedef long ptrdiff_t;\n" + "".join(
    "typedef %s int%d_t; typedef unsigned %s uint%d_t;\n" % (c, n, c, n)
    for c, n in (("char", 8), ("short", 16), ("int", 32), ("long", 64)))


def own_lines(header):
    """The preprocessed text without the lines that come from outside core/include."""
    out = subprocess.run(["gcc", "-E", "-DRP_API=", "-I", INCLUDE, header],
                         capture_output=True, text=True, check=True).stdout
    lines, own = [], True
    for line in out.split("\n"):
        if line.startswith("# "):
            own = INCLUDE in os.path.abspath(line.split('"')[1])
        elif own:
            lines.append(line)
    return "\n".join(lines)


class Faults(c_ast.NodeVisitor):
    def __init__(self):
        self.found = []

    def visit_FuncDef(self, node):
        self.found.append("%s has a body" % node.decl.name)

    def visit_EllipsisParam(self, node):
        self.found.append("a function takes varargs")

    def visit_Union(self, node):
        self.found.append("a union")

    def visit_Decl(self, node):
        if node.bitsize:
            self.found.append("%s is a bit-field" % node.name)
        if isinstance(node.type, c_ast.TypeDecl) and "extern" in node.storage:
            self.found.append("%s is a data symbol" % node.name)
        self.generic_visit(node)


def structs_by_value(ast):
    """Names of functions with a parameter or a result that is a struct."""
    structs = {d.name for d in ast.ext if isinstance(d, c_ast.Typedef)
               and isinstance(d.type, c_ast.TypeDecl) and isinstance(d.type.type, c_ast.Struct)}

    def is_struct(t):
        return isinstance(t, c_ast.TypeDecl) and (
            isinstance(t.type, c_ast.Struct) or
            isinstance(t.type, c_ast.IdentifierType) and t.type.names[-1] in structs)

    for d in ast.ext:
        if isinstance(d, c_ast.Decl) and isinstance(d.type, c_ast.FuncDecl):
            params = d.type.args.params if d.type.args else []
            if is_struct(d.type.type) or any(is_struct(getattr(p, "type", None)) for p in params):
                yield d.name


def main():
    faults = 0
    for header in sorted(glob.glob(os.path.join(INCLUDE, "*.h"))):
        name = os.path.basename(header)
        try:
            ast = c_parser.CParser().parse(KNOWN + own_lines(header), name)
        except Exception as error:  # pycparser's ParseError has moved between versions
            print("%s does not parse: %s" % (name, error))
            faults += 1
            continue
        walk = Faults()
        walk.visit(ast)
        for fault in walk.found + ["%s passes a struct by value" % f for f in structs_by_value(ast)]:
            print("%s: %s" % (name, fault))
            faults += 1
    sys.exit(1 if faults else 0)


main()
