# SPDX-License-Identifier: Apache-2.0
"""run_faults.py PROGRAM_FAULTS -- what becomes of a program when one of its ranks does something wrong.

Every job must end by itself within a bound and leave neither a process nor a file behind. If rank 1 went wrong, the
status is not 0 and stderr names that rank (or, of a silent one, a rank that waits for it); if it was only slow, less
than the watchdog's time at once, all ranks end with the right value.
"""
import re
import sys

import job

RANKS = 3
WATCHDOG = 3
SECONDS = 12  # the bound: the watchdog's time, and what ending takes on a busy machine
PARTED = (r"rank 1 has run another program than rank [02]|rank [02] has run another program than rank 1|"
          r"rank 1 sends \d+ bytes where rank [02] expects|rank [02] sends \d+ bytes where rank 1 expects")
# What stderr must match; None: nothing is wrong. Where rank 1 ends without a word, the launcher speaks. Of a silent
# rank the first to speak may be one that waits for another that waits for it: then it is that one's name.
FAULTS = {
    "kill": job.LAUNCHER,
    "exit0": job.LAUNCHER,
    "exit1": job.LAUNCHER,
    "stop": r"nothing moved for %d s while (waiting for a message of|sending to) rank [01] " % WATCHDOG,
    "extra": PARTED,
    "shape": PARTED,
    "slow": None,
}


def check(program, mode, tls, want):
    """(faults, the outcome)"""
    outcome = job.run([program, mode], RANKS, tls, SECONDS, WATCHDOG=WATCHDOG, THREADS=1, PIN="off")
    faults, says = ["left: %s" % what for what in outcome.left], FAULTS[mode]
    if outcome.status is None:
        faults.append("not ended within %d s" % SECONDS)
    elif says is None and (outcome.status != 0 or outcome.out.split("\n")[:-1] != [want] * RANKS):
        faults.append("status %d, and on stdout '%s'" % (outcome.status, outcome.out))
    elif says is not None and outcome.status == 0:
        faults.append("status 0")
    if says is not None and not re.search(says, outcome.err):
        faults.append("stderr does not match '%s'" % says)
    return faults, outcome


def main(program):
    why = job.missing([program])
    if why:
        print("skipped: " + why)
        return job.NO_MPI
    one = job.run([program], 1, job.TRANSPORTS["tcp"], SECONDS)
    if one.status != 0:
        print("alone: status %s\n%s" % (one.status, one.err))
        return 1
    bad = 0
    for name, tls in job.TRANSPORTS.items():
        for mode in FAULTS:
            faults, outcome = check(program, mode, tls, one.out.strip())
            bad += bool(faults)
            print("%-6s %-6s status %s after %.1f s: %s" %
                  (name, mode, outcome.status, outcome.seconds, "; ".join(faults) or "as it should"), flush=True)
            if faults:
                print(outcome.err, flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
