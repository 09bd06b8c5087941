# SPDX-License-Identifier: Apache-2.0
"""compare.py -- measures bench_gpu and others in turns, and prints the table of figures.

    compare.py --bench PROGRAM [--cuda PROGRAM] [--python PYTHON] [--others cupy,jax,torch] [--set SET] [--rows ROW,...]
               [--gpus N] [--small] [--seconds N] [--out FOLDER]
    compare.py --lines FILE        prints what a program has written into FILE as the table of counts

Each side is a process of its own that is told what to do a line at a time (see bench_gpu.c). A round takes a sample of
each side; the first round, in which they find out how many passes make a sample, does not count; a figure is the median of
the others. What has failed, is missing, or ran out of time is "-" with its reason below the table. FOLDER gets bench.json
and bench.log, with a set of rows SET.json and SET.log. Exit status: 0 if every row of ours was measured and all that was counted is right (bars that are missed do
not count), else 1.
"""
import argparse
import json
import os
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time

CONTENDERS = ["cuda", "cupy", "jax", "torch"]
WIDE = ["cuda", "cupy", "jax", "torch"]
OF_CUPY = (["cupy"], [("ratio", "cupy", None)])
# Of a row: whom it is compared with, and the bars: (what, of whom, bound). `ratio` is their time over ours, `share` the
# bytes that must move per second over those of a copy, `us` our microseconds; bound None: no bar.
SETS = {
    "loops": {
        "chain_f64": (WIDE, [("share", "cuda", 0.92)]),
        "chain_f32": (WIDE, [("share", "cuda", 0.92)]),
        "stencil_f64": (WIDE, [("share", "cuda", 0.92)]),
        "stencil_f32": (WIDE, [("share", "cuda", 0.92)]),
        "bs_f64": (["cupy", "jax", "torch"], [("ratio", "cupy", 10), ("ratio", "jax", 1), ("ratio", "torch", 1)]),
        "bs_f32": (["cupy", "jax", "torch"], [("ratio", "cupy", 10), ("ratio", "jax", 1), ("ratio", "torch", 1)]),
        "cg": (["cuda", "cupy", "jax"], [("ratio", "cuda", 1.2), ("ratio", "jax", 1.5)]),
        "host_ten": (["cupy", "jax", "torch"], [("us", None, 6)]),
        "host_hundred": (["cupy", "jax", "torch"], [("us", None, 6)]),
        "tiny": (["cupy", "jax", "torch"], [("us", None, 12)]),
        "tiny_ahead": (["cupy", "jax", "torch"], []),
        "tiny_own": ([], []),
        "tiny_text": ([], []),
    },
    "sums": {row: OF_CUPY for row in ("spmv_power", "spmv_giant", "spmv_short", "moments")},
    "solvers": {row: OF_CUPY for row in ("solve", "cholesky", "triangle", "gemm", "fourier_plane", "fourier_lines")},
}
ROWS = {row: how for rows in SETS.values() for row, how in rows.items()}
COPIED = ("chain", "stencil")  # their `cuda` side is a copy of as many bytes
WHAT = {
    "chain_f64": "ten element-wise operations, fused; CUDA: a copy of as many bytes",
    "stencil_f64": "5-point stencil; CUDA: a copy of as many bytes",
    "bs_f64": "Black-Scholes, 63 operations, each pass waited for",
    "cg": "an iteration of CG, Poisson; CUDA: cuSPARSE + cuBLAS",
    "host_ten": "host's time of a pass of ten tasks on 1000 elements",
    "host_hundred": "the same of a hundred tasks",
    "tiny": "ten tasks on 1000 elements, each pass waited for",
    "tiny_ahead": "the same, waited for at the end",
    "tiny_own": "the same, repeated by the GPU itself",
    "tiny_text": "the same with a kernel that is brought as a text",
    "spmv_power": "CSR, f64: half of the rows twice as long, and so on, 4 to 262144; CuPy: cuSPARSE",
    "spmv_giant": "a row of 10 million elements, and as many rows of one or two",
    "spmv_short": "rows of one to seven",
    "moments": "sums along both axes, a dot product, the largest, an update by all of them",
    "solve": "LU of 4096 x 4096 and a right-hand side",
    "cholesky": "the same by Cholesky",
    "triangle": "the lower triangle of the 5-point matrix, 1024^2 unknowns",
    "gemm": "4096 x 4096 x 4096, f64",
    "fourier_plane": "there and back, real, f64, 8192 x 8192",
    "fourier_lines": "there and back, f32, 16384 lines of 4096",
}
ROUNDS = 6


class Side:
    """A process that measures; `why` is set once it cannot be asked any more."""

    def __init__(self, name, command, log, environment):
        self.name, self.command, self.log, self.environment = name, command, log, environment
        self.process, self.why, self.buffer, self.title, self.starts = None, "", b"", name, 0

    def start(self):
        self.stop()
        self.starts += 1
        self.buffer, self.why = b"", ""
        self.mark = os.path.getsize(self.log.name)
        try:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=self.log, env=self.environment)
        except OSError as e:
            self.why = str(e)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
        self.process = None

    def died(self, how):
        self.stop()
        with open(self.log.name, "rb") as log:
            log.seek(self.mark)
            lines = [line.strip() for line in log.read().decode(errors="replace").split("\n") if line.strip()]
        self.why = how + (": " + lines[-1][:300] if lines else "")
        return {"ok": False, "why": self.why}

    def tell(self, order):
        if not self.process:
            return
        try:
            self.process.stdin.write((order + "\n").encode())
            self.process.stdin.flush()
        except OSError:
            pass  # its end is seen when the answer is read

    def hear(self, until):
        """The answer to what was told: a dictionary."""
        if not self.process:
            return {"ok": False, "why": self.why}
        out = self.process.stdout.fileno()
        while b"\n" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                return self.died("no answer in time")
            got = os.read(out, 65536)
            if not got:
                return self.died("ended, status %s" % self.process.wait())
            self.buffer += got
        line, _, self.buffer = self.buffer.partition(b"\n")
        try:
            return json.loads(line)
        except ValueError:
            return self.died("answered %r" % line[:80])

    def ask(self, order, seconds):
        self.tell(order)
        return self.hear(time.monotonic() + seconds)


class Bench:
    def __init__(self, options, log):
        self.options, self.log = options, log
        self.end = time.monotonic() + options.seconds
        self.rows, self.checks, self.reasons, self.cut = [], [], [], []
        environment = dict(os.environ)
        extra = ["--gpus", str(options.gpus)] + (["--small"] if options.small else [])
        self.ours = Side("reprise", [options.bench, "--serve"] + extra, log, environment)
        self.check_command = [options.bench, "--checks"] + extra + (["--set", options.set] if options.set else [])
        self.sides = {"reprise": self.ours}
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "baselines.py")
        for name in [n for n in options.others.split(",") if n]:
            self.sides[name] = Side(name, [options.python, script, name], log, environment)
        if options.cuda:
            self.sides["cuda"] = Side("cuda", [options.cuda], log, environment)

    def left(self):
        return self.end - time.monotonic()

    def reason(self, where, why):
        line = "%s: %s" % (where, why)
        if line not in self.reasons:
            self.reasons.append(line)

    def hello(self):
        """Starts all sides; those that do not answer take no part."""
        until = time.monotonic() + min(90, max(10, self.left() / 3))
        for side in self.sides.values():
            side.start()
            side.tell("hello")
        for name, side in list(self.sides.items()):
            answer = side.hear(until)
            side.title = answer.get("name", name)
            if not answer.get("ok"):
                self.reason(name, answer.get("why"))
                if side is not self.ours:
                    side.stop()
                    del self.sides[name]

    def count(self):
        """The rows that are counts."""
        try:
            done = subprocess.run(self.check_command, stdout=subprocess.PIPE, stderr=self.log,
                                  timeout=max(5, min(90, self.left() / (2 if self.options.set else 3))))
            text, how = done.stdout, "" if done.returncode >= 0 else "ended by signal %d" % -done.returncode
        except subprocess.TimeoutExpired as e:
            text, how = e.stdout or b"", "no end in time"
        for line in text.decode(errors="replace").split("\n"):
            if line.strip():
                try:
                    self.checks.append(json.loads(line))
                except ValueError:
                    how = how or "printed %r" % line[:80]
        if how or not self.checks:
            self.reason("checks", how or "printed nothing")
            self.checks.append({"row": "checks", "value": 0, "unit": "", "baseline": None, "met": False,
                                "note": how or "printed nothing"})

    def take_part(self, row):
        """The sides of a row that have it prepared, and what was said of it."""
        if not self.ours.process:
            self.ours.start()
            self.ours.ask("hello", 30)
        said = {"reprise": self.ours.ask("prepare " + row, max(5, min(90, self.left())))}
        if not said["reprise"].get("ok"):
            self.reason("reprise, " + row, said["reprise"].get("why"))
            return [], said
        size, moved = said["reprise"]["size"], said["reprise"]["bytes"]
        others = [n for n in ROWS[row][0] + ["numpy"] if n in self.sides]
        until = time.monotonic() + max(5, min(75, self.left() / 2))
        for name in others:
            side = self.sides[name]
            if not side.process and side.starts < 3:
                side.start()
                side.ask("hello", 60)
            copied = name == "cuda" and row.startswith(COPIED)
            side.tell("prepare copy %d" % moved if copied else "prepare %s %d" % (row, size))
        for name in others:
            said[name] = self.sides[name].hear(until)
            if not said[name].get("ok"):
                self.reason("%s, %s" % (name, row), said[name].get("why"))
        return ["reprise"] + [n for n in others if said[n].get("ok")], said

    def measure(self, row):
        there, said = self.take_part(row)
        times = {name: [] for name in there}
        for k in range(3 if self.options.small else ROUNDS):
            for name in list(there):
                if k > 1 and self.left() < 3:
                    continue
                answer = self.sides[name].ask("sample", max(5, min(60, self.left())))
                if not answer.get("ok"):
                    self.reason("%s, %s" % (name, row), answer.get("why"))
                    there.remove(name)
                elif k > 0:
                    times[name].append(answer["seconds"])
        until = time.monotonic() + 20
        for name in there:
            self.sides[name].tell("free")
        for name in there:
            self.sides[name].hear(until)
        self.rows.append(self.judge(row, {n: statistics.median(t) for n, t in times.items() if t}, said))
        self.residuals(row, said)

    def residuals(self, row, said):
        """Two libraries that solve the same system come as far in as many iterations."""
        got = {n: a.get("residual") for n, a in said.items() if a.get("residual")}
        if row == "cg" and got and max(got.values()) > 1.001 * min(got.values()):
            self.reason("cg", "the others' residuals differ: %s" % got)

    def judge(self, row, seconds, said):
        ours = seconds.get("reprise")
        bars = []
        for kind, whom, bound in ROWS[row][1]:
            theirs = seconds.get(whom) if whom else None
            if ours is None or (whom and theirs is None):
                value = None
            elif kind == "us":
                value = 1e6 * ours
            else:  # a copy of as many bytes: the share is the ratio of times, too
                value = theirs / ours
            met = None if value is None or bound is None else value <= bound if kind == "us" else value >= bound
            bars.append({"kind": kind, "of": whom, "bound": bound, "value": value, "met": met})
        moved = said["reprise"].get("bytes") or 0
        notes = {n: a["note"] for n, a in said.items() if a.get("note")}
        if said["reprise"].get("flops") and ours:
            notes["reprise"] = "%.4g TFLOP/s" % (1e-12 * said["reprise"]["flops"] / ours)
        if moved and row.startswith(COPIED) and "cuda" in seconds:
            notes["copy"] = "%.0f GB/s" % (1e-9 * moved / seconds["cuda"])
        return {"row": row, "seconds": seconds, "bars": bars, "size": said["reprise"].get("size"),
                "bytes": moved, "gb_per_s": 1e-9 * moved / ours if ours and moved else None,
                "notes": notes}

    def run(self):
        wanted = [r for r in self.options.rows.split(",") if r] or list(SETS[self.options.set] if self.options.set else ROWS)
        self.hello()
        if not self.options.no_checks:
            self.count()
        for row in wanted:
            if self.left() < 8:
                self.cut.append(row)
            else:
                self.measure(row)
                print_row(self.rows[-1], self.sides)
        for side in self.sides.values():
            side.stop()


# ---- the table -----------------------------------------------------------------------------------------------


def micro(seconds):
    return "-" if seconds is None else "%.5g" % (1e6 * seconds)


def describe(bar):
    value = "-" if bar["value"] is None else "%.3g" % bar["value"]
    sign = "<=" if bar["kind"] == "us" else ">="
    met = {True: "met", False: "MISSED", None: "-"}[bar["met"]]
    what = {"us": "us", "share": "of a copy", "ratio": "x of %s" % bar["of"]}[bar["kind"]]
    if bar["bound"] is None:
        return "%s %s" % (value, what)
    return "%s %s (%s %g) %s" % (value, what, sign, bar["bound"], met)


HEAD = "%-14s %10s %10s %10s %10s %10s %8s  %s"


def print_head():
    print(HEAD % ("us per pass", "reprise", "CUDA", "CuPy", "JAX", "PyTorch", "GB/s", "bars: ratio of times, theirs / ours"))


def print_row(r, sides):
    times = [micro(r["seconds"].get(n)) for n in ["reprise"] + CONTENDERS]
    speed = "-" if r["gb_per_s"] is None else "%.0f" % r["gb_per_s"]
    bars = "; ".join(describe(b) for b in r["bars"])
    print(HEAD % tuple([r["row"]] + times + [speed, bars]))
    sys.stdout.flush()


def print_table(bench):
    print()
    print_head()
    for r in bench.rows:
        print_row(r, bench.sides)
    for row, text in WHAT.items():
        if any(r["row"] == row for r in bench.rows):
            print("  %-14s %s" % (row, text))
    if bench.checks:
        print()
        print_counts(bench.checks)
    for r in bench.rows:
        for name, note in r["notes"].items():
            print("%s, %s: %s" % (r["row"], name, note))
    for reason in bench.reasons:
        print("- %s" % reason)
    for row in bench.cut:
        print("- %s: cut off, the time was over" % row)


def print_counts(checks):
    print("%-28s %12s %-9s %12s %-7s %s" % ("count", "reprise", "unit", "beside it", "met", "what"))
    for c in checks:
        beside = "-" if c["baseline"] is None else "%.6g" % c["baseline"]
        met = {True: "met", False: "MISSED", None: "-"}[c["met"]]
        print("%-28s %12.6g %-9s %12s %-7s %s" % (c["row"], c["value"], c["unit"], beside, met, c["note"]))


def print_lines(path):
    """Lines of JSON as a table, others behind it as they are."""
    checks, others = [], []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            try:
                checks.append(json.loads(line))
            except ValueError:
                others.append(line.rstrip())
    print_counts(checks)
    for line in others:
        print(line)


def cut_short(*_):
    """Who ends us gets the table all the same, and is not heard twice."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(124)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bench", default="")
    p.add_argument("--lines", default="")
    p.add_argument("--set", choices=list(SETS))
    p.add_argument("--cuda", default="")
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--others", default="")
    p.add_argument("--rows", default="")
    p.add_argument("--gpus", type=int, default=1)
    p.add_argument("--small", action="store_true")
    p.add_argument("--no-checks", action="store_true")
    p.add_argument("--seconds", type=float, default=200)
    p.add_argument("--out", default="")
    options = p.parse_args()
    if options.lines:
        print_lines(options.lines)
        return 0
    if not options.bench:
        p.error("--bench PROGRAM or --lines FILE is needed")
    name = options.set or "bench"
    folder = options.out or tempfile.mkdtemp(prefix="bench-gpu-")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name + ".log"), "ab") as log:
        log.truncate(0)
        bench = Bench(options, log)
        signal.signal(signal.SIGTERM, cut_short)
        print_head()
        try:
            bench.run()
        finally:
            for side in bench.sides.values():
                side.stop()
            print_table(bench)
            with open(os.path.join(folder, name + ".json"), "w", encoding="utf-8") as f:
                json.dump({"rows": bench.rows, "checks": bench.checks, "reasons": bench.reasons, "cut_off": bench.cut,
                           "sides": {n: s.title for n, s in bench.sides.items()}}, f, indent=1)
    measured = all("reprise" in r["seconds"] for r in bench.rows)
    counted = all(c["met"] is not False for c in bench.checks)
    return 0 if measured and counted and not bench.cut else 1


if __name__ == "__main__":
    sys.exit(main())
