# SPDX-License-Identifier: Apache-2.0
"""run_faults.py PROGRAM_FAULTS [--only MODE [TIMES]] -- what becomes of a program when one rank does something wrong.

Every job must end by itself within a bound and leave neither a process nor a file behind. If rank 1 went wrong, the
status is the one expected and stderr names that rank and what it was about; if it was only slow, less than the
watchdog's time at once, all ranks end with the right value.
"""
import collections
import os
import re
import signal
import sys
import time

import job

RANKS = 3
WATCHDOG = 3
SECONDS = 12  # the bound: the watchdog's time, and what ending takes on a busy machine
GAVE_UP = 13  # the status of a process whose library gave up
PLACE = r"in launches \d+ to \d+, from \"x = 0.99\*x \+ y\" on: "
SILENT = PLACE + r"rank 1 \([^()]+, process \d+\) has been silent for %d s: rank [02] of 3 " % WATCHDOG
NO_MEMORY = r"rank 1 of 3: launches \d+ to \d+ of the context did not run: out of memory"
CALL_FAILED = r"RP_ERR_DATA: .*faults\.check, launch \d+ of the context, reported failure on rank 1$"

# Of ranks that part: both ranks' calls, in the order that the rank who found it says them; lines where the build has them.
DOT, EXTRA = r'"dot = [^"]*" on .*', r'"y = y \+ [^"]*" on .*'
PARTED = r"rank 1 has run another program than rank [02]|rank [02] has run another program than rank 1"
SITE = r" at (program_faults\.c:\d+ \(pass\)|program_faults\+0x[0-9a-f]+|program_faults \(.*)"


def calls(usual, unusual):
    """Sentences that name the calls of rank 1 and of another one."""
    return r"(%s): after \d+ launches, (rank [02] calls %s%s, rank 1 calls %s%s|rank 1 calls %s%s, rank [02] calls %s%s)" % (
        PARTED, usual, SITE, unusual, SITE, unusual, SITE, usual, SITE)


# statuses: of mpirun; None: any but 0, since who is seen to end first is chance. says: what stderr must match; None:
# nothing is wrong. never: what it must not. least, most: seconds; a rank that is silent is waited for.
Fault = collections.namedtuple("Fault", "statuses says never least most", defaults=(None, 0, SECONDS))
# Where rank 1 ends without a word, the launcher speaks.
ENDS_SOON = 8
FAULTS = {  # those that take long first
    "suspend": Fault((0,), None, None, 1.5 * WATCHDOG),
    "asleep": Fault((GAVE_UP,), SILENT, r"rank [02] \([^()]+\) has been silent", WATCHDOG),
    "stop": Fault((GAVE_UP,), SILENT, r"rank [02] \([^()]+\) has been silent", WATCHDOG),
    "slow": Fault((0,), None),
    "kill": Fault((137,), job.LAUNCHER, None, 0, ENDS_SOON),
    "exit0": Fault(None, job.LAUNCHER, None, 0, ENDS_SOON),
    "exit1": Fault((1,), job.LAUNCHER, None, 0, ENDS_SOON),
    "extra": Fault((GAVE_UP,), calls(DOT, EXTRA), None, 0, ENDS_SOON),
    "shape": Fault((GAVE_UP,), calls(r'"x = [^"]*" on f64 \(100000,\).*', r'"x = [^"]*" on f64 \(99999,\).*'), None, 0, ENDS_SOON),
    "memory": Fault((GAVE_UP,), NO_MEMORY, None, 0, ENDS_SOON),
    "task": Fault((1,), CALL_FAILED, r"reported failure on rank [02]", 0, ENDS_SOON),
}


def judge(fault, outcome, want):
    """What is wrong with the outcome of a job."""
    if outcome.status is None:
        return ["not ended within %d s" % SECONDS]
    wrong = []
    if outcome.status not in fault.statuses if fault.statuses else outcome.status == 0:
        wrong.append("status %d" % outcome.status)
    if fault.says is None and outcome.out.split("\n")[:-1] != [want] * RANKS:
        wrong.append("on stdout '%s'" % outcome.out)
    if fault.says and not re.search(fault.says, outcome.err, re.M):
        wrong.append("stderr does not match '%s'" % fault.says)
    if fault.never and re.search(fault.never, outcome.err):
        wrong.append("stderr matches '%s'" % fault.never)
    if not fault.least <= outcome.seconds <= fault.most:
        wrong.append("not between %d and %d s" % (fault.least, fault.most))
    return wrong


def suspend(mark, program):
    """All ranks stop for longer than the watchdog's time, as where a queue makes room for another job."""
    ranks = [pid for pid in job.of_job(mark) if os.path.samefile("/proc/%d/exe" % pid, program)]
    for how, seconds in ((signal.SIGSTOP, 1.5 * WATCHDOG), (signal.SIGCONT, 0)):
        for pid in ranks:
            os.kill(pid, how)
        time.sleep(seconds)


def check(program, mode, name, want):
    """True if something is wrong; says so."""
    meanwhile = (lambda mark: suspend(mark, program)) if mode == "suspend" else None
    outcome = job.run([program, mode], RANKS, job.TRANSPORTS[name], SECONDS, meanwhile=meanwhile, WATCHDOG=WATCHDOG,
                      THREADS=1, PIN="off")
    wrong = judge(FAULTS[mode], outcome, want) + ["left: %s" % what for what in outcome.left]
    print("%-6s %-6s status %s after %.1f s: %s%s" %
          (name, mode, outcome.status, outcome.seconds, "; ".join(wrong) or "as it should",
           "\n" + outcome.err if wrong else ""), flush=True)
    return bool(wrong)


def main(program, modes, times):
    why = job.missing([program])
    if why:
        print("skipped: " + why)
        return job.NO_MPI
    one = job.run([program], 1, job.TRANSPORTS["tcp"], SECONDS)
    if one.status != 0:
        print("alone: status %s\n%s" % (one.status, one.err))
        return 1
    bad = job.side_by_side(check, [(program, mode, name, one.out.strip())
                                   for mode in modes for name in job.TRANSPORTS for _ in range(times)])
    return 1 if any(bad) else 0


if __name__ == "__main__":
    asked = sys.argv[3:] if "--only" in sys.argv else []
    sys.exit(main(sys.argv[1], asked[:1] or list(FAULTS), int(asked[1]) if len(asked) > 1 else 1))
