# SPDX-License-Identifier: Apache-2.0
"""slurm.py -- a Slurm of one node, in a folder of its own, for as long as a test runs.

Lives here: its configuration, its three daemons, and srun in it. Not here: what is tested there.
Nothing outside the folder is written or read but the programs themselves: ports are free ones, munged has its own key
and socket. The node claims more processors than it has, so that several ranks fit.
"""
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import uuid

import job

DAEMONS = ("munged", "slurmctld", "slurmd")
PLUGIN = "slurm-wlm/mpi_pmix.so"
READY = 20  # seconds until the node is idle
CPUS = 8
CONFIG = """ClusterName=reprise
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SlurmdParameters=config_overrides
ReturnToService=2
MpiDefault=none
KillWait=1
UnkillableStepTimeout=20
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=5 State=UP
"""


def tool(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def missing():
    """Why there can be no Slurm here; None: there can."""
    if os.geteuid() != 0:
        return "Slurm's daemons run as root only"
    for name in DAEMONS + ("srun", "sinfo"):
        if not tool(name):
            return "there is no %s (packages slurm-wlm, munge, slurm-wlm-basic-plugins)" % name
    if not any(pathlib.Path("/usr/lib").glob("*/" + PLUGIN)) and not any(pathlib.Path("/usr/lib").glob(PLUGIN)):
        return "Slurm has no plug-in for PMIx (package slurm-wlm-basic-plugins)"
    return None


def free_ports(n):
    taken = [socket.socket() for _ in range(n)]
    for s in taken:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in taken]
    for s in taken:
        s.close()
    return ports


class Slurm:
    """The cluster, from start until the context ends; OSError says why it does not start."""

    def __init__(self):
        self.folder, self.mark = tempfile.mkdtemp(prefix="reprise-slurm-"), uuid.uuid4().hex
        self.daemons = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for daemon in reversed(self.daemons):
            daemon.terminate()
        for daemon in self.daemons:
            try:
                daemon.wait(timeout=5)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        job.kill(job.of_job(self.mark) + self.keepers())
        shutil.rmtree(self.folder, ignore_errors=True)

    def keepers(self):
        """Slurm's processes that look after a step: they wipe their environment, but begin where slurmd began."""
        found = []
        for name in job.processes():
            try:
                if os.path.samefile(os.path.join("/proc", name, "cwd"), self.folder):
                    found.append(int(name))
            except OSError:
                pass
        return found

    def environment(self, **knobs):
        # What PMIx keeps for a step has the step's number in its name only: in a folder of all Slurms it would be in the
        # way of the next.
        return dict(job.environment(self.mark, job.TRANSPORTS["memory"], knobs), SLURM_CONF=self.path("slurm.conf"),
                    SLURM_PMIX_TMPDIR=self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def begin(self, name, *arguments):
        with open(self.path(name + ".log"), "wb") as log:
            self.daemons.append(subprocess.Popen([tool(name), *arguments], env=self.environment(), stdout=log, stderr=log,
                                                 stdin=subprocess.DEVNULL, cwd=self.folder, start_new_session=True))

    def start(self):
        try:
            self.begin_all()
            self.await_node()
        except OSError:
            self.__exit__()
            raise
        return self

    def begin_all(self):
        for name in ("state", "spool"):
            os.mkdir(self.path(name))
        with open(self.path("munge.key"), "wb") as f:
            f.write(os.urandom(128))
        os.chmod(self.path("munge.key"), 0o400)
        with open(self.path("slurm.conf"), "w", encoding="utf-8") as f:
            f.write(CONFIG.format(host=socket.gethostname().split(".")[0], folder=self.folder, ports=free_ports(2),
                                  cpus=CPUS))
        self.begin("munged", "--foreground", "--force", "--key-file=" + self.path("munge.key"),
                   "--socket=" + self.path("munge.socket"), "--pid-file=" + self.path("munged.pid"),
                   "--seed-file=" + self.path("munged.seed"), "--log-file=" + self.path("munged.file"))
        until = time.monotonic() + READY
        while not os.path.exists(self.path("munge.socket")):
            self.check(until, "munged")
        self.begin("slurmctld", "-D")
        self.begin("slurmd", "-D")

    def check(self, until, name):
        """A moment passes; OSError if a daemon has ended, or it takes too long."""
        ended = [d.args[0] for d in self.daemons if d.poll() is not None]
        if not ended and time.monotonic() < until:
            time.sleep(0.1)
            return
        with open(self.path((os.path.basename(ended[0]) if ended else name) + ".log"), errors="replace") as log:
            raise OSError("%s: %s" % ("%s ended" % ended[0] if ended else "no answer of " + name, log.read()[-1000:]))

    def await_node(self):
        until = time.monotonic() + READY
        while self.call("sinfo", "-h", "-o", "%T").stdout.strip() != "idle":
            self.check(until, "slurmctld")

    def call(self, name, *arguments, seconds=10, **knobs):
        """The finished process; returncode None: it did not end in time."""
        command = [tool(name), *arguments]
        run = subprocess.Popen(command, env=self.environment(**knobs), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, errors="replace")
        try:
            out, err = run.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            run.kill()
            return subprocess.CompletedProcess(command, None, *run.communicate())
        return subprocess.CompletedProcess(command, run.returncode, out, err)
