# SPDX-License-Identifier: Apache-2.0
"""job.py -- a program on several ranks, started by mpirun: what the tests of programs share.

Lives here: one job with its time bound, and what it leaves behind. Not here: what is right about its output.
A job that does not end within its bound is killed. Machines are shared: nothing is asserted about speed, and
only what no living process holds counts as left behind in /dev/shm.
"""
import collections
import concurrent.futures
import glob
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid

TRANSPORTS = {"tcp": "tcp,self", "memory": "sm,self,tcp"}
# How Open MPI's launcher names rank 1, where that ends without a word.
LAUNCHER = r"rank 1 |Process name: \[\[\d+,1\],1\]"
NO_MPI = 77  # ctest: skipped
SHM = "/dev/shm"
# What UCX, PMIx and the MPIs call what they share; the library makes no such files itself.
SHARED = re.compile(r"ucx_|vader_|sm_segment|pmix|ompi|openmpi|mpich|psm")
AT_A_TIME = 4
PATIENCE = 3  # seconds until those that were told to end have ended

Outcome = collections.namedtuple("Outcome", "status out err each left seconds")  # status None: did not end


def environment(mark, tls, knobs):
    """Ours, but of the library's knobs only those named, and the cache."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("REPRISE_") or k == "REPRISE_CACHE_DIR"}
    env.update(UCX_TLS=tls, RANKS_MARK=mark, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    env.update({"REPRISE_" + k: str(v) for k, v in knobs.items()})
    return env


def processes():
    return [name for name in os.listdir("/proc") if name.isdigit()]


def of_job(mark):
    """Processes of the job that still run: they have its mark in their environment."""
    found = []
    for name in processes():
        try:
            with open("/proc/%s/environ" % name, "rb") as f:
                if ("RANKS_MARK=" + mark).encode() in f.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            pass
    return found


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def shared_files():
    return {name for name in os.listdir(SHM) if SHARED.match(name)} if os.path.isdir(SHM) else set()


def held_files():
    """Files of SHM that some process has mapped: those of another job come and go beside ours."""
    held = set()
    for name in processes():
        try:
            with open("/proc/%s/maps" % name, encoding="utf-8", errors="replace") as f:
                held |= {os.path.basename(line.split()[5]) for line in f if " %s/" % SHM in line}
        except OSError:
            pass
    return held


def left_behind(mark, before):
    """Words for what is still there of a job that ended, after some patience; its processes are killed."""
    until, files = time.monotonic() + PATIENCE, None
    while True:
        pids, new = of_job(mark), shared_files() - before
        if new:
            new = (new - held_files()) & shared_files()
        # What another job is just making is not held yet, but is no more so at the next look.
        files = None if pids else new if files is None else files & new
        if not pids and not files or time.monotonic() > until:
            break
        time.sleep(0.1)
    kill(pids)
    return ["process %d" % pid for pid in pids] + ["%s/%s" % (SHM, name) for name in sorted(files or ())]


def interrupter(mark, when):
    """Kills all that belongs to the job, the launcher too, as soon as when() is true."""
    while not when():
        time.sleep(0.002)
    kill(of_job(mark))


def run(command, n, tls, seconds, interrupt=None, meanwhile=None, **knobs):
    """The Outcome of one mpirun of the command's words; knobs as in THREADS=2. All of the job is killed as soon as
    interrupt(), if given, is true; it must be, sooner or later. meanwhile(mark) is called once the job has written the
    line "on the way"."""
    mark, before, began = uuid.uuid4().hex, shared_files(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        words = ["mpirun", "--oversubscribe", "--output-filename", folder, "-n", str(n)] + command
        launcher = subprocess.Popen(words, env=environment(mark, tls, knobs), stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
        if interrupt:
            threading.Thread(target=interrupter, args=(mark, interrupt)).start()
        try:
            if meanwhile and launcher.stdout.readline() == "on the way\n":
                meanwhile(mark)
            said = launcher.communicate(timeout=seconds)
            status = launcher.returncode
        except subprocess.TimeoutExpired:
            status = None
            kill(of_job(mark))
            said = launcher.communicate()
        took = time.monotonic() - began
        return Outcome(status, said[0], said[1], of_ranks(folder), left_behind(mark, before), took)


def side_by_side(check, cases):
    """What check(*case) gives, for all cases: some at a time, for jobs that mostly wait for somebody to give up."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=AT_A_TIME) as pool:
        return list(pool.map(lambda case: check(*case), cases))


def of_ranks(folder):
    """What the ranks wrote on stderr, one after another: in the launcher's own stream one may interrupt another's lines."""
    text = ""
    for path in sorted(glob.glob(os.path.join(folder, "*", "rank.*", "stderr"))):
        with open(path, encoding="utf-8", errors="replace") as f:
            text += f.read()
    return text


def kernels_shared(each):
    """How many kernels each rank shared with others, from what the knob EXPLAIN wrote."""
    return [int(count) for count in re.findall(r"(?m)^\s*kernels_shared\s+(\d+)", each)]


def missing(command):
    """Why the command cannot be tested on ranks here; None: it can."""
    if not shutil.which("mpirun"):
        return "there is no mpirun"
    launched = run(["true"], 2, TRANSPORTS["tcp"], 60)
    if launched.status != 0:
        return "mpirun does not work here: " + (launched.err.strip() or "status %s" % launched.status)
    err = run(command, 2, TRANSPORTS["tcp"], 60).err
    return err.strip().splitlines()[0] if "library that cannot be loaded" in err else None
