# SPDX-License-Identifier: Apache-2.0
"""examples.py FOLDER PROGRAM ... -- an example prints the same `bits` line in every environment.

FOLDER holds the programs example_NAME; each runs small, with one knob at a time turned by its variable.
"""
import os
import subprocess
import sys

ARGUMENTS = {
    "stencil": ["--size", "70", "--iters", "9"],
    "black_scholes": ["--size", "5003"],
    "power": ["--size", "60", "--iters", "12"],
    "heat": ["--size", "1500", "--iters", "20"],
    "shrink": ["--size", "40"],
    "cg": ["--size", "20"],
    "bicgstab": ["--size", "20"],
    "portfolio": ["--size", "3001"],
    "phases": ["--size", "45", "--iters", "9"],
}

VARIANTS = [
    {"THREADS": "1"},
    {"THREADS": "2", "GRAIN": "0"},
    {"FUSION": "off"},
    {"TRACING": "off"},
    {"TIER": "0"},
    {"TIER": "1"},
    {"LATE": "off"},
    {"RENAME": "off"},
    {"MAX_TASKS": "3"},
]


def bits(program, arguments, variant):
    env = {k: v for k, v in os.environ.items() if not k.startswith("REPRISE_") or k == "REPRISE_CACHE_DIR"}
    env.update({"REPRISE_" + k: v for k, v in variant.items()})
    env["REPRISE_PIN"] = "off"
    run = subprocess.run([program] + arguments, env=env, capture_output=True, text=True, timeout=60)
    if run.returncode != 0:
        return "status %d: %s" % (run.returncode, run.stderr.strip()[-300:])
    lines = [line for line in run.stdout.splitlines() if line.startswith("bits ")]
    return "; ".join(lines) if lines else "no bits in: " + run.stdout[-300:]


def main(folder, names):
    faults = 0
    for name in names:
        program = os.path.join(folder, "example_" + name)
        want = bits(program, ARGUMENTS[name], {"TIER": "0", "THREADS": "1", "FUSION": "off", "TRACING": "off"})
        if not want.startswith("bits "):
            print("%s: %s" % (name, want))
            faults += 1
            continue
        for variant in VARIANTS:
            got = bits(program, ARGUMENTS[name], variant)
            if got != want:
                print("%s under %s: %s, not %s" % (name, variant, got, want))
                faults += 1
    print("%d programs, %d faults" % (len(names), faults))
    return faults != 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:] or list(ARGUMENTS)))
