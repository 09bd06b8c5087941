# SPDX-License-Identifier: Apache-2.0
"""run_slurm.py FOLDER REPRISE -- ranks started by srun, in a Slurm of one node that lives as long as this test.

With --mpi=pmix every rank of an example prints the bits of one process; `reprise run` asks for that by itself. With
--mpi=none the processes do not find each other: that is refused, with the remedy. A rank that is killed or stopped ends
the job within a bound, and nothing is left.
"""
import os
import re
import sys
import time

import job
import run_examples
import run_faults
import slurm

SECONDS = 20
PMIX = ("--mpi=pmix", "--overcommit", "-n")
NOBODY = r"SLURM_NTASKS says that 2 processes were started, but this one finds no other.*srun --mpi=pmix"
KILLED = r"task 1: Killed"


def example(cluster, folder, name, n, *before):
    """Faults of the example on n ranks, started by the words `before`."""
    command = run_examples.command_of(folder, name)
    want = run_examples.alone(command)
    done = cluster.call(*before, *command, seconds=SECONDS, THREADS=1, PIN="off", TILE=0, EXPLAIN="on")
    outcome = job.Outcome(done.returncode, done.stdout, done.stderr, done.stderr, [], 0)
    wrong = run_examples.faults_of(outcome, want, n, True)
    return wrong + ([done.stderr[-2000:]] if wrong else [])


def refused(cluster, folder):
    command = run_examples.command_of(folder, "cg")
    done = cluster.call("srun", "--mpi=none", "--overcommit", "-n", "2", *command, seconds=SECONDS)
    right = done.returncode and re.search(NOBODY, done.stderr) and not run_examples.bits_of(done.stdout)
    return [] if right else ["status %s: %s" % (done.returncode, done.stderr)]


def fault(cluster, folder, mode, status, says):
    """Faults of a job whose rank 1 goes wrong."""
    done = cluster.call("srun", *PMIX, str(run_faults.RANKS), os.path.join(folder, "program_faults"), mode,
                        seconds=SECONDS, WATCHDOG=run_faults.WATCHDOG, THREADS=1, PIN="off")
    right = done.returncode == status and re.search(says, done.stderr)
    return [] if right else ["status %s: %s" % (done.returncode, done.stderr)]


def main(folder, command):
    why = slurm.missing()
    if why:
        print("skipped: " + why)
        return job.NO_MPI
    before, bad = job.shared_files(), 0
    try:
        cluster = slurm.Slurm().start()
    except OSError as e:
        print("skipped: no Slurm starts here: %s" % e)
        return job.NO_MPI
    with cluster:
        for name, check, *arguments in (
                ("cg", example, "cg", 4, "srun", *PMIX, "4"),
                ("stencil", example, "stencil", 3, command, "run", "--ranks", "3", "--launcher", "srun", "--"),
                ("none", refused),
                ("kill", fault, "kill", 137, KILLED),
                ("stop", fault, "stop", run_faults.GAVE_UP, run_faults.SILENT)):
            began = time.monotonic()
            wrong = check(cluster, folder, *arguments)
            bad += bool(wrong)
            cluster.await_node()
            print("%-8s %.1f s: %s" % (name, time.monotonic() - began, "; ".join(wrong) or "as it should"), flush=True)
    left = job.left_behind(cluster.mark, before)
    print("\n".join("left: " + what for what in left) or "nothing is left")
    return 1 if bad or left else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
