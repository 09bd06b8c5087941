# SPDX-License-Identifier: Apache-2.0
"""run_ranks.py TRANSPORT RANK_MESSAGES [PLUGIN] -- messages between processes, and what happens when one fails.

TRANSPORT: ucx, started by mpirun; mpi, the same launcher with the plug-in for its MPI; mpich, a launcher in whose
jobs PMIx finds nobody, so that the library itself turns to the plug-in.

Every job must end by itself within a bound, leave no process behind, and, if a rank fails, end with a
status other than 0 and name that rank. Jobs share a machine that may be busy: nothing is asserted about speed.
"""
import os
import re
import shutil
import subprocess
import sys
import time
import uuid

import job
from job import LAUNCHER, NO_MPI

SIZES = (1, 2, 3, 4, 7)
MPIRUN = ["mpirun", "--oversubscribe", "-n"]
HYDRA = ["mpiexec.hydra", "-n"]
FAULT_SECONDS = 10
# What stderr must match. Where rank 1 ends without a word, the launcher speaks.
FAULTS = {
    "kill": LAUNCHER,
    "exit0": LAUNCHER,
    "exit1": LAUNCHER,
    "stop": r"rank 1 \([^)]+, process \d+\) has been silent for 2 s: rank [02] of 3 ",
    "leave": r"rank 1 of 3 gave up: it left before the others",
    "abort": r"rank 1 of 3: the matrix is singular",
    "diverge": r"rank (1 has run another program than rank [02]|[02] has run another program than rank 1)",
    "size": r"rank 1 sends (80|more than 64) bytes where rank [02] expects 64|rank [02] sends 64 bytes where rank 1 expects 80",
}
# MPI has no word for a rank that leaves and lives on: nobody but the watchdog finds it. Hydra does not name ranks.
WITHOUT_NOTICE = [mode for mode in FAULTS if mode != "leave"]
SAID = ["stop", "abort", "diverge", "size"]
NOBODY = r"PMI_SIZE says that 3 processes .* finds no other \(MPI: .*no-such-plugin.so.*srun --mpi=pmix"


class Way:
    """How jobs are started, what they have in their environment, and the faults they can name."""

    def __init__(self, name, command, faults, **variables):
        self.name, self.command, self.faults, self.variables = name, command, faults, variables

    def environment(self, mark, watchdog):
        env = {name: value for name, value in os.environ.items() if not name.startswith("REPRISE_")}
        env.update(self.variables, REPRISE_WATCHDOG=str(watchdog), RANKS_MARK=mark, OMPI_ALLOW_RUN_AS_ROOT="1",
                   OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        return env


def ways(transport, plugin):
    if transport == "ucx":
        return [Way("tcp", MPIRUN, FAULTS, UCX_TLS="tcp,self"), Way("memory", MPIRUN, FAULTS, UCX_TLS="sm,self,tcp"),
                Way("asked", MPIRUN, [], UCX_TLS="tcp,self", REPRISE_COLLECT="0")]
    if transport == "mpi":
        return [Way("mpi", MPIRUN, WITHOUT_NOTICE, REPRISE_TRANSPORT="mpi", REPRISE_MPI_PLUGIN=plugin)]
    return [Way("mpich", HYDRA, SAID, REPRISE_MPI_PLUGIN=plugin)]


def run_job(program, n, way, seconds, mode=None, watchdog=60):
    """(status or None, stdout, stderr, processes left) of one job."""
    mark = uuid.uuid4().hex
    command = way.command + [str(n), program] + ([mode] if mode else [])
    run = subprocess.Popen(command, env=way.environment(mark, watchdog), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        out, err = run.communicate(timeout=seconds)
        status = run.returncode
    except subprocess.TimeoutExpired:
        status = None
        job.kill(job.of_job(mark))
        out, err = run.communicate()
    left = job.of_job(mark)
    if left:  # those that were told to end may need a moment
        time.sleep(1)
        left = job.of_job(mark)
    job.kill(left)
    return status, out, err, left


def check_messages(program, n, way):
    status, out, err, left = run_job(program, n, way, 60)
    faults = [] if status == 0 and out.startswith("ok") else ["status %s" % status]
    faults += ["said on stderr" for line in err.splitlines() if "UCX  WARN" in line]
    faults += ["processes %s left" % left] if left else []
    return faults, out + (err if faults else "")


def check_fault(program, mode, way):
    began = time.monotonic()
    status, _, err, left = run_job(program, 3, way, FAULT_SECONDS, mode, 2 if mode == "stop" else 60)
    faults = []
    if status is None:
        faults.append("not ended within %d s" % FAULT_SECONDS)
    elif status == 0:
        faults.append("status 0")
    if not re.search(FAULTS[mode], err):
        faults.append("stderr does not match '%s'" % FAULTS[mode])
    faults += ["processes %s left" % left] if left else []
    return faults, err if faults else "status %s after %.1f s\n" % (status, time.monotonic() - began)


def check_refusal(program, _, way):
    """Processes that find no way to each other do not run as so many strangers. No launcher: hydra may be killed by
    SIGPIPE, and its processes' words lost, if they end while it still begins."""
    env = dict(way.environment("", 60), PMI_SIZE="3", REPRISE_MPI_PLUGIN="/no-such-plugin.so")
    run = subprocess.run([program], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True, timeout=FAULT_SECONDS)
    right = run.returncode == 1 and re.search(NOBODY, run.stderr)
    return [] if right else ["status %d, or not the sentence" % run.returncode], run.stderr


def judge(program, way, what, check, arg):
    """True if something is wrong; says so."""
    faults, text = check(program, arg, way)
    print("%-6s %-8s %s" % (way.name, what, "; ".join(faults) + "\n" + text if faults else text.strip()), flush=True)
    return bool(faults)


def missing(program, way):
    """Why nothing can be tested here; None: it can."""
    if not shutil.which(way.command[0]):
        return "there is no " + way.command[0]
    status, _, err, _ = run_job(program, 2, way, 60)
    if "library that cannot be loaded" in err:
        return err.strip().splitlines()[0]
    if status != 0 and "rank_messages" not in err and "reprise" not in err:
        return way.command[0] + " does not work here: " + (err.strip() or "status %s" % status)
    return None


def main():
    transport, program = sys.argv[1:3]
    todo = ways(transport, sys.argv[3] if len(sys.argv) > 3 else None)
    why = missing(program, todo[0])
    if why:
        print("skipped: " + why)
        return NO_MPI
    bad = [judge(program, way, "%d ranks" % n, check_messages, n) for way in todo for n in SIZES]
    faults = [(program, way, mode, check_fault, mode) for way in todo for mode in way.faults]
    faults += [(program, way, "nobody", check_refusal, None) for way in todo if way.command == HYDRA]
    return 1 if any(bad + job.side_by_side(judge, faults)) else 0


if __name__ == "__main__":
    sys.exit(main())
