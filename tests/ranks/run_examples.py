# SPDX-License-Identifier: Apache-2.0
"""run_examples.py FOLDER [--all] [NAME...] -- every rank of an example prints the `bits` of one process.

FOLDER holds the programs example_NAME (what follows a colon tells runs of one program apart), and program_NAME, which is
no example: what depends on data. The sizes are just above those from which arrays are shared out by
default. Each example runs on each number of ranks in two opposite ways, which change from one to the next so that
together they are all of WAYS; with --all, in every way. Where arrays of any size are shared out, the ranks must
have shared: programs that do not know of each other print the same bits, too.
"""
import itertools
import os
import subprocess
import sys

import job

ARGUMENTS = {
    "bicgstab": ["--size", "100", "--iters", "20"],
    "black_scholes": ["--size", "10007"],
    "cg": ["--size", "100", "--iters", "30"],
    "cg:file": ["--matrix", "tests/examples/data/poisson_small.mtx", "--iters", "30"],
    "heat": ["--size", "100", "--iters", "30"],
    "phases": ["--size", "100", "--iters", "9"],
    "portfolio": ["--size", "10007", "--iters", "5"],
    "program_data": [],
    "power": ["--size", "9001", "--iters", "8"],
    "readme": [],
    "shrink": ["--size", "93"],
    "stencil": ["--size", "101", "--iters", "9"],
}
RANKS = (2, 3, 4, 7)
SECONDS = 60
# (threads, bytes from which arrays are shared out or None: the default, transport). WAYS[-1 - k] is the opposite of
# WAYS[k].
WAYS = list(itertools.product(("1", "2"), ("0", None), ("tcp", "memory")))


def command_of(folder, name):
    stem = name.split(":")[0]
    return [os.path.join(folder, stem if stem.startswith("program_") else "example_" + stem)] + ARGUMENTS[name]


def bits_of(text):
    return [line for line in text.splitlines() if line.startswith("bits ")]


def alone(command):
    """The bits of one process; a sentence where there are none."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("REPRISE_") or k == "REPRISE_CACHE_DIR"}
    run = subprocess.run(command, env=dict(env, REPRISE_PIN="off"), capture_output=True, text=True, timeout=SECONDS)
    bits = bits_of(run.stdout)
    return bits[0] if run.returncode == 0 and bits else "status %d: %s" % (run.returncode, run.stderr.strip()[-300:])


def faults_of(outcome, want, n, must_share):
    if outcome.status is None:
        return ["not ended within %d s" % SECONDS]
    got = bits_of(outcome.out)
    faults = ["status %d" % outcome.status] if outcome.status else []
    if len(got) != n:
        faults.append("%d ranks print bits" % len(got))
    if set(got) - {want}:
        faults.append("%d ranks print other bits: %s" % (sum(g != want for g in got), sorted(set(got) - {want})))
    shared = job.kernels_shared(outcome.each)
    if must_share and not faults and (len(shared) != n or 0 in shared):
        faults.append("kernels shared out, by rank: %s" % shared)
    return faults + ["left: %s" % what for what in outcome.left]


def check(command, want, n, way):
    threads, tile, transport = way
    knobs = {"THREADS": threads, "PIN": "off", "EXPLAIN": "on"}
    if tile is not None:
        knobs["TILE"] = tile
    outcome = job.run(command, n, job.TRANSPORTS[transport], SECONDS, **knobs)
    faults = faults_of(outcome, want, n, tile == "0")
    if faults:
        print("%s on %d ranks, %s thread%s, %s tile, %s: %s" %
              (os.path.basename(command[0]), n, threads, "" if threads == "1" else "s", tile or "default", transport,
               "; ".join(faults)))
        if outcome.status != 0:
            print(outcome.err[-2000:])
    return bool(faults)


def main(folder, names, every):
    why = job.missing(command_of(folder, names[0]))
    if why:
        print("skipped: " + why)
        return job.NO_MPI
    jobs = bad = turn = 0
    for name in names:
        command = command_of(folder, name)
        want = alone(command)
        if not want.startswith("bits "):
            print("%s alone: %s" % (name, want))
            bad += 1
            continue
        for n in RANKS:
            for way in WAYS if every else (WAYS[turn % 4], WAYS[-1 - turn % 4]):
                bad += check(command, want, n, way)
                jobs += 1
            turn += 1
        turn += 1  # so that the next example begins with another way
        print("%-14s %s" % (name, want), flush=True)
    print("%d programs, %d jobs, %d faults" % (len(names), jobs, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    asked = [word for word in sys.argv[2:] if word != "--all"]
    sys.exit(main(sys.argv[1], asked or list(ARGUMENTS), "--all" in sys.argv))
