# SPDX-License-Identifier: Apache-2.0
"""nodes.py -- a cluster on one machine: each node has a network, a host name and shared memory of its own.

Lives here: making nodes, starting jobs on them with mpirun, cutting a node off, taking all of it away. Not here: what
is tested there.
A node is a network namespace with one link to a switch; the switch is a bridge in a namespace of its own, in which
mpirun runs, so that nothing of the machine's network changes. mpirun starts its daemons through an agent that enters
the node instead of calling ssh.
"""
import os
import shutil
import subprocess
import tempfile
import uuid

import job

NETWORK = "10.77.0."
SWITCH = 254  # its own address there
AGENT = """#!/bin/sh
# host command...
node=${1##*.}; shift
exec ip netns exec %s-$node unshare --uts --ipc sh -c "hostname node$node; exec $*"
"""


def call(*words):
    """None, or why it failed."""
    run = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return None if run.returncode == 0 else "%s: %s" % (" ".join(words), run.stderr.strip())


def missing():
    """Why there can be no nodes here; None: there can."""
    if os.geteuid() != 0:
        return "network namespaces are made by root only"
    for tool in ("ip", "unshare", "mpirun"):
        if not shutil.which(tool):
            return "there is no " + tool
    return call("unshare", "--net", "--uts", "--ipc", "true")


class Nodes:
    """n nodes with the addresses NETWORK 1..n, until the context ends; OSError says why they cannot be made."""

    def __init__(self, n):
        self.n, self.name = n, "rp%x" % (os.getpid() % 0xffff)
        self.folder, self.mark = tempfile.mkdtemp(prefix="reprise-nodes-"), uuid.uuid4().hex

    def namespace(self, node):
        return "%s-%s" % (self.name, node)

    def ip(self, *words):
        why = call("ip", *words)
        if why:
            raise OSError(why)

    def __enter__(self):
        return self

    def make(self):
        try:
            self.make_network()
        except OSError:
            self.__exit__()
            raise
        return self

    def make_network(self):
        hub = self.namespace("hub")
        self.ip("netns", "add", hub)
        self.ip("-n", hub, "link", "set", "lo", "up")
        self.ip("-n", hub, "link", "add", "switch", "type", "bridge")
        self.ip("-n", hub, "addr", "add", "%s%d/24" % (NETWORK, SWITCH), "dev", "switch")
        self.ip("-n", hub, "link", "set", "switch", "up")
        for k in range(1, self.n + 1):
            node = self.namespace(k)
            self.ip("netns", "add", node)
            self.ip("-n", hub, "link", "add", "port%d" % k, "type", "veth", "peer", "name", "eth0", "netns", node)
            self.ip("-n", hub, "link", "set", "port%d" % k, "master", "switch", "up")
            self.ip("-n", node, "addr", "add", "%s%d/24" % (NETWORK, k), "dev", "eth0")
            self.ip("-n", node, "link", "set", "eth0", "up")
            self.ip("-n", node, "link", "set", "lo", "up")
        agent = os.path.join(self.folder, "agent")
        with open(agent, "w", encoding="utf-8") as f:
            f.write(AGENT % self.name)
        os.chmod(agent, 0o755)

    def __exit__(self, *_):
        job.kill(job.of_job(self.mark))
        for node in ["hub", *range(1, self.n + 1)]:
            call("ip", "netns", "del", self.namespace(node))
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, command, **knobs):
        """mpirun of the command's words, one rank on each node; what a rank says on stderr goes to said(rank)."""
        hosts = ",".join("%s%d:1" % (NETWORK, k) for k in range(1, self.n + 1))
        words = ["ip", "netns", "exec", self.namespace("hub"), "mpirun", "-H", hosts, "-n", str(self.n),
                 "--mca", "plm_rsh_agent", os.path.join(self.folder, "agent"),
                 "--mca", "oob_tcp_if_include", "switch,eth0"]
        env = job.environment(self.mark, "tcp,self", knobs)
        for name in env:
            if name.startswith(("REPRISE_", "UCX_", "RANKS_")):
                words += ["-x", name]
        words += ["sh", "-c", 'exec "$@" 2>%s/said.$OMPI_COMM_WORLD_RANK' % self.folder, "sh"] + command
        return subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, errors="replace")

    def said(self, rank):
        try:
            with open(os.path.join(self.folder, "said.%d" % rank), encoding="utf-8", errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def cut(self, node):
        """The node's cable is pulled out of the switch."""
        self.ip("-n", self.namespace("hub"), "link", "set", "port%d" % node, "down")

    def ranks_of(self, program):
        """Processes of the job that run the program."""
        found = []
        for pid in job.of_job(self.mark):
            try:
                if os.path.samefile("/proc/%d/exe" % pid, program):
                    found.append(pid)
            except OSError:
                pass
        return found
