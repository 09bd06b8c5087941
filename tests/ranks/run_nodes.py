# SPDX-License-Identifier: Apache-2.0
"""run_nodes.py FOLDER -- ranks on four nodes with a network between them, and what becomes of them when a node is cut off.

An example prints the bits of one process on every rank. When the cable of one node is pulled, nobody is told: TCP
tries for many minutes. Every rank must end by itself within the watchdog's time and a little, on both sides of the
cut, and say of whom nothing comes any more. mpirun, which cannot reach its daemon either, may stay: the test ends it.
"""
import os
import re
import subprocess
import sys
import time

import job
import nodes
import run_examples

NODES = 4
EXAMPLES = ("cg", "stencil")
WATCHDOG = 3
SECONDS = 60
BOUND = 12  # seconds from the cut on until all ranks have ended
CUT = 2  # the node; rank 1 runs there
SILENT = r"rank (\d) \(node(\d), process \d+\) has been silent for %d s: rank %d of %d "


def finish(run, seconds):
    """(stdout, stderr, whether it ended in time)"""
    try:
        return *run.communicate(timeout=seconds), True
    except subprocess.TimeoutExpired:
        return "", "", False


def check_hosts(cluster):
    out, err, _ = finish(cluster.start(["hostname"]), SECONDS)
    want = ["node%d" % k for k in range(1, NODES + 1)]
    return [] if sorted(out.split()) == want else ["hosts: %s %s" % (out.split(), err)]


def check_example(cluster, folder, name):
    command = run_examples.command_of(folder, name)
    want = run_examples.alone(command)
    run = cluster.start(command, THREADS=1, PIN="off", TILE=0, EXPLAIN="on")
    out, err, ended = finish(run, SECONDS)
    words = "".join(cluster.said(rank) for rank in range(NODES))
    outcome = job.Outcome(run.returncode if ended else None, out, err, words, [], 0)
    wrong = run_examples.faults_of(outcome, want, NODES, True)
    return ["%s: %s %s" % (name, w, err) for w in wrong]


def check_end(cluster, program, began):
    """Waits until no rank is left; returns the faults."""
    while time.monotonic() < began + BOUND:
        left = cluster.ranks_of(program)
        if not left:
            took = time.monotonic() - began
            print("the last rank ended %.1f s after the cut" % took, flush=True)
            return [] if took >= WATCHDOG else ["ended before the watchdog's time: not by what was to be tested"]
        time.sleep(0.05)
    return ["processes %s have not ended %d s after the cut" % (left, BOUND)]


def check_words(cluster):
    """Who waits across the cut says so of a rank on the other side."""
    wrong, across = [], 0
    for rank in range(NODES):
        words = cluster.said(rank)
        print("rank %d: %s" % (rank, words.strip() or "(nothing)"), flush=True)
        found = re.search(SILENT % (WATCHDOG, rank, NODES), words)
        if found and int(found[2]) != int(found[1]) + 1:
            wrong.append("rank %s is not on node%s" % (found[1], found[2]))
        if found:
            across += (rank == CUT - 1) != (int(found[1]) == CUT - 1)
            wrong += [] if (rank == CUT - 1) != (int(found[1]) == CUT - 1) else ["rank %d blames one it can reach" % rank]
        elif not re.search(r"reprise: rank %d of %d: " % (rank, NODES), words):
            wrong.append("rank %d does not say why it ended" % rank)
    return wrong if across else wrong + ["nobody names a rank on the other side"]


def check_cut(cluster, program):
    run = cluster.start([program, "long"], THREADS=1, PIN="off", WATCHDOG=WATCHDOG)
    line = run.stdout.readline()
    if line.strip() != "on the way":
        run.kill()
        return ["the job has not begun: %s %s" % (line, run.communicate()[1])]
    cluster.cut(CUT)
    wrong = check_end(cluster, program, time.monotonic())
    wrong += check_words(cluster)
    job.kill(job.of_job(cluster.mark))
    run.communicate()
    return wrong


def main(folder):
    program = os.path.join(folder, "program_faults")
    why = nodes.missing() or job.missing([program])
    if why:
        print("skipped: " + why)
        return job.NO_MPI
    before = job.shared_files()
    try:
        cluster = nodes.Nodes(NODES).make()
    except OSError as e:
        print("skipped: no nodes can be made here: %s" % e)
        return job.NO_MPI
    with cluster:
        wrong = check_hosts(cluster)
        for name in EXAMPLES if not wrong else ():
            wrong += check_example(cluster, folder, name)
        wrong += check_cut(cluster, program) if not wrong else []
    wrong += ["left: %s" % what for what in job.left_behind(cluster.mark, before)]
    print("\n".join(wrong) or "%d nodes: as it should be" % NODES)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
