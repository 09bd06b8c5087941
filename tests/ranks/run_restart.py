# SPDX-License-Identifier: Apache-2.0
"""run_restart.py EXAMPLE_RESTART -- a program that is killed again and again ends with the bits of one that was not.

Each round starts it on another number of ranks, kills all of them with SIGKILL some moments after the first
checkpoint of that round, and so on; the last round is let run. A round may be killed while it writes a checkpoint,
and mostly is. Every round but the first must restore what the one before had saved, at a step not before that one's.
"""
import os
import random
import re
import shutil
import sys
import tempfile
import time

import job

ARGUMENTS = ["--size", "700", "--iters", "4000"]
ROUNDS = (3, 2, 4, 1, 3, 2)
SECONDS = 200  # 4000 exchanges take ten, and five times that where other programs have the cores
PATIENCE = 30
SEED = 20


def manifest(folder):
    """When and which; None: there is none."""
    try:
        found = os.stat(os.path.join(folder, "manifest"))
        return found.st_ino, found.st_mtime_ns
    except OSError:
        return None


class Moment:
    """True some time after the manifest has changed, or when the test gives up."""

    def __init__(self, folder, later):
        self.folder, self.later = folder, later
        self.before, self.since, self.end = manifest(folder), None, time.monotonic() + PATIENCE

    def __call__(self):
        now = time.monotonic()
        if self.since is None and manifest(self.folder) != self.before:
            self.since = now
        return now > self.end or self.since is not None and now > self.since + self.later


def restored(text):
    return {int(step) for step in re.findall(r"(?m)^restored at step (\d+)$", text)}


def bits_of(text):
    return set(re.findall(r"(?m)^bits \w+$", text))


def rounds(command, folder, want):
    faults, last, torn = [], 0, 0
    for k, n in enumerate(ROUNDS):
        moment = Moment(folder, random.uniform(0, 0.3)) if k < len(ROUNDS) - 1 else None
        outcome = job.run(command, n, job.TRANSPORTS["tcp"], SECONDS, interrupt=moment, THREADS=1, PIN="off", TILE=0)
        steps, files = restored(outcome.out), os.listdir(folder)
        torn += len({name.split("-")[1] for name in files if name.startswith("part-")}) > 1
        print("%d ranks: status %s after %.1f s, restored at %s, %d files" %
              (n, outcome.status, outcome.seconds, sorted(steps) or "none", len(files)), flush=True)
        if "RP_ERR_IO" in outcome.err or "RP_ERR_ARGUMENT" in outcome.err:
            faults.append("round %d: %s" % (k, outcome.err))
        if len(steps) > 1 or any(step < last for step in steps):
            faults.append("round %d restored at %s, after %d" % (k, steps, last))
        last = max(steps | {last})
        if moment is None and (outcome.status != 0 or bits_of(outcome.out) != want):
            faults.append("status %s, %s, not %s: %s" % (outcome.status, bits_of(outcome.out), want, outcome.err))
    if last == 0:
        faults.append("nothing was ever restored")
    print("%d of %d interruptions left parts of two attempts" % (torn, len(ROUNDS) - 1))
    return faults


def main(program):
    random.seed(SEED)
    command = [program] + ARGUMENTS
    why = job.missing([program, "--size", "8", "--iters", "1"])
    if why:
        print("skipped: " + why)
        return job.NO_MPI
    alone = job.run(command, 1, job.TRANSPORTS["tcp"], SECONDS)
    want = bits_of(alone.out)
    if alone.status != 0 or len(want) != 1:
        print("alone: status %s: %s" % (alone.status, alone.err))
        return 1
    folder = tempfile.mkdtemp(prefix="reprise-restart-")
    try:
        faults = rounds(command + ["--folder", folder], folder, want)
    finally:
        shutil.rmtree(folder)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
