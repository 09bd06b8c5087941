# SPDX-License-Identifier: Apache-2.0
"""quick.py BENCH -- reprise-bench --quick runs, its results are right, and its JSON has every row.

Asserts nothing about times. Exit status 1 of the program means that a result was wrong.
"""
import json
import os
import subprocess
import sys
import tempfile

KEYS = ["name", "what", "value", "unit", "baseline", "baseline_value", "ratio", "bar", "met"]
TIMED = ["bs_f64", "bs_f32", "stencil_4096", "cg_1024", "bicgstab_1024", "power_200k"]
ROWS = (["kernels_" + k + b for k in ("bs", "stencil", "cg", "bicgstab", "power")
         for b in ("", "_bytes")] +
        [n + t for n in TIMED for t in ("_t1", "_t2")] + ["cg_32_t1"] +
        ["unfused_" + n for n in TIMED + ["cg_32"]] +
        ["tier0_" + n + t for n in ("bs_f64", "stencil_4096", "cg_1024") for t in ("_t1", "_t2")] +
        ["tiny_1000_out", "tiny_1000_fresh", "launch", "single_1000", "moving_views",
         "moving_views_compiles", "first_pass_stencil", "first_pass_cg", "second_process_stencil",
         "second_process_stencil_compiles", "second_process_cg", "second_process_cg_compiles",
         "memory"])


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.json")
        done = subprocess.run([sys.argv[1], "--quick", "--json", path], timeout=280)
        with open(path, encoding="utf-8") as f:
            rows = json.load(f)
    faults = [] if done.returncode == 0 else ["exit status %d" % done.returncode]
    names = [r["name"] for r in rows]
    faults += ["no row %s" % n for n in ROWS if n not in names]
    faults += ["unknown row %s" % n for n in names
               if n not in ROWS and not n.startswith(("petsc_", "numpy_", "ranks_"))]
    faults += ["row %s twice" % n for n in set(names) if names.count(n) > 1]
    faults += ["row %s: keys %s" % (r["name"], list(r)) for r in rows if sorted(r) != sorted(KEYS)]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
