# SPDX-License-Identifier: Apache-2.0
"""run_ranks.py RANK_MESSAGES -- messages between processes that mpirun starts, and what happens when one fails.

Every job must end by itself within a bound, leave no process behind, and, if a rank fails, end with a
status other than 0 and name that rank. Jobs share a machine that may be busy: nothing is asserted about speed.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

SIZES = (1, 2, 3, 4, 7)
TRANSPORTS = {"tcp": "tcp,self", "memory": "sm,self,tcp"}
FAULT_SECONDS = 10
# What stderr must match. Where rank 1 ends without a word, the launcher speaks.
LAUNCHER = r"rank 1 |Process name: \[\[\d+,1\],1\]"
FAULTS = {
    "kill": LAUNCHER,
    "exit0": LAUNCHER,
    "exit1": LAUNCHER,
    "stop": r"nothing moved for 2 s while (waiting for a message of|sending to) rank 1 ",
    "leave": r"rank 1 of 3 gave up: it left before the others",
    "abort": r"rank 1 of 3: the matrix is singular",
    "diverge": r"rank (1 has run another program than rank [02]|[02] has run another program than rank 1)",
    "size": r"rank 1 sends 80 bytes where rank [02] expects 64|rank [02] sends 64 bytes where rank 1 expects 80",
}
NO_MPI = 77


def environment(mark, tls):
    env = dict(os.environ, UCX_TLS=tls, REPRISE_WATCHDOG="60", RANKS_MARK=mark, OMPI_ALLOW_RUN_AS_ROOT="1",
               OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    env.pop("REPRISE_TRANSPORT", None)
    return env


def left_behind(mark):
    """Processes of the job that still run: they have its mark in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/environ" % name, "rb") as f:
                if ("RANKS_MARK=" + mark).encode() in f.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            pass
    return found


def job(program, n, tls, seconds, mode=None, watchdog=60):
    """(status or None, stdout, stderr, processes left) of one mpirun."""
    mark = uuid.uuid4().hex
    env = environment(mark, tls)
    env["REPRISE_WATCHDOG"] = str(watchdog)
    command = ["mpirun", "--oversubscribe", "-n", str(n), program] + ([mode] if mode else [])
    run = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        out, err = run.communicate(timeout=seconds)
        status = run.returncode
    except subprocess.TimeoutExpired:
        status = None
        for pid in left_behind(mark):
            os.kill(pid, signal.SIGKILL)
        out, err = run.communicate()
    left = left_behind(mark)
    if left:  # those that were told to end may need a moment
        time.sleep(1)
        left = left_behind(mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return status, out, err, left


def check_messages(program, n, tls):
    status, out, err, left = job(program, n, tls, 60)
    faults = [] if status == 0 and out.startswith("ok") else ["status %s" % status]
    faults += ["said on stderr" for line in err.splitlines() if "UCX  WARN" in line]
    faults += ["processes %s left" % left] if left else []
    return faults, out + (err if faults else "")


def check_fault(program, mode, tls):
    began = time.monotonic()
    status, out, err, left = job(program, 3, tls, FAULT_SECONDS, mode, 2 if mode == "stop" else 60)
    faults = []
    if status is None:
        faults.append("not ended within %d s" % FAULT_SECONDS)
    elif status == 0:
        faults.append("status 0")
    if not re.search(FAULTS[mode], err):
        faults.append("stderr does not match '%s'" % FAULTS[mode])
    faults += ["processes %s left" % left] if left else []
    return faults, err if faults else "status %s after %.1f s\n" % (status, time.monotonic() - began)


def missing(program):
    """Why nothing can be tested here; None: it can."""
    if not shutil.which("mpirun"):
        return "there is no mpirun"
    status, out, err, _ = job(program, 2, TRANSPORTS["tcp"], 60)
    if "library that cannot be loaded" in err:
        return err.strip().splitlines()[0]
    if status != 0 and "rank_messages" not in err and "reprise" not in err:
        return "mpirun does not work here: " + (err.strip() or "status %s" % status)
    return None


def main():
    program = sys.argv[1]
    why = missing(program)
    if why:
        print("skipped: " + why)
        return NO_MPI
    bad = 0
    for name, tls in TRANSPORTS.items():
        cases = [("%d ranks" % n, check_messages, n) for n in SIZES]
        cases += [(mode, check_fault, mode) for mode in FAULTS]
        for what, check, arg in cases:
            faults, text = check(program, arg, tls)
            bad += bool(faults)
            print("%-6s %-8s %s" % (name, what, "; ".join(faults) or text.strip()), flush=True)
            if faults:
                print(text, flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
