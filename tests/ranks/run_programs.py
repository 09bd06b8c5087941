# SPDX-License-Identifier: Apache-2.0
"""run_programs.py TEST_PROCESSES [FIRST COUNT] -- random programs on ranks that are processes, over TCP and shared memory.

Each rank compares what it observes with a run of its own that knows of no other rank. A job ends at its first
difference; the lowest seed that differed is reported. Without FIRST and COUNT each job has seeds of its own. All jobs
together must have sent messages, shared kernels out, and so on, lest nothing was compared.
"""
import re
import sys

import job

FIRST = 40001
# Seeds of a job, by the number of ranks: the more ranks than cores, the slower.
COUNTS = {2: 100, 3: 100, 7: 20}
SECONDS = 120
COUNTED = ("kernels_shared", "messages", "gathers", "joint_reductions")


def check(program, n, name, first, count):
    """(true if something is wrong, the sums of what all ranks counted)"""
    outcome = job.run([program, str(first), str(first + count)], n, job.TRANSPORTS[name], SECONDS)
    wrong = ["left: %s" % what for what in outcome.left]
    if outcome.status is None:
        wrong.append("not ended within %d s" % SECONDS)
    elif outcome.status != 0:
        wrong.append("status %d" % outcome.status)
    ended = len(re.findall(r"(?m)^rank \d+: seeds ", outcome.out))
    if ended != n:
        wrong.append("%d ranks came to the end" % ended)
    seeds = [int(seed) for seed in re.findall(r"(?m)^rank \d+: seed (\d+),", outcome.err)]
    if seeds:
        wrong.append("the first seed that differs is %d" % min(seeds))
    print("%-6s %d ranks, seeds %d..%d, %.1f s: %s" % (name, n, first, first + count - 1, outcome.seconds,
                                                       "; ".join(wrong) or "the same bits"), flush=True)
    if wrong:
        print(outcome.err[-4000:], flush=True)
    return bool(wrong), [sum(int(k) for k in re.findall(r"\b%s (\d+)" % what, outcome.out)) for what in COUNTED]


def main(program, first=None, count=None):
    why = job.missing([program, "1", "2"])
    if why:
        print("skipped: " + why)
        return job.NO_MPI
    bad, sums, at = 0, [0] * len(COUNTED), FIRST
    for name in job.TRANSPORTS:
        for n, usual in COUNTS.items():
            wrong, counted = check(program, n, name, int(first or at), int(count or usual))
            at += usual
            bad += wrong
            sums = [a + b for a, b in zip(sums, counted)]
    print(", ".join("%s %d" % pair for pair in zip(COUNTED, sums)))
    return 1 if bad or 0 in sums else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
