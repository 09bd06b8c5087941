# SPDX-License-Identifier: Apache-2.0
"""run_driver.py REPRISE STENCIL [PROGRAM] -- the commands `reprise run` and `reprise explain`: what they say and start.

What is started is seen from launchers of our own on PATH, which tell how they were called. PROGRAM, which uses the
library, is run on two ranks by the mpirun that is there; the test says so where there is none. What is explained of
STENCIL is tests/golden/explain_command.txt; REPRISE_GOLDEN=update writes it.
"""
import os
import re
import subprocess
import sys
import tempfile

import job

ROOT = ["--allow-run-as-root"] if os.geteuid() == 0 else []
USAGE = "usage: reprise run --ranks N"
NOT_FOUND = 127
GOLDEN = "tests/golden/explain_command.txt"
FAKE = """#!/bin/sh
echo "$0 threads=$REPRISE_THREADS"
for word; do echo "<$word>"; done
exit 7
"""
faults = []


def expect(what, right, got):
    if not right:
        faults.append("%s: %s" % (what, got))


def call(driver, words, **env):
    """A run of the driver with no knobs and no job of Slurm but those of env."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("REPRISE_", "UCX_", "SLURM_"))}
    clean.update(env)
    return subprocess.run([driver] + words, env=clean, capture_output=True, text=True, timeout=60)


def mpirun(*words):
    return " ".join(["mpirun"] + ROOT + list(words)) + "\n"


def check_print(driver):
    in_slurm, knobs = {"SLURM_JOB_ID": "5"}, {"REPRISE_TILE": "0", "UCX_TLS": "tcp"}
    # Environment, words behind `run --print`, what is printed.
    cases = [
        ({}, "--ranks 4 ./a", mpirun("-n 4 ./a")),
        ({}, "--ranks=4 -- ./a", mpirun("-n 4 ./a")),
        ({}, "--ranks 4 ./a --ranks 9 --print", mpirun("-n 4 ./a --ranks 9 --print")),
        ({}, "--ranks 3 --cpus 2 ./a",
         "REPRISE_THREADS=2 " + mpirun("-n 3 --map-by slot:PE=2 -x REPRISE_THREADS ./a")),
        ({}, "--ranks 4 --launcher srun ./a", "srun --mpi=pmix -n 4 ./a\n"),
        (in_slurm, "--ranks 4 ./a", "srun --mpi=pmix -n 4 ./a\n"),
        (in_slurm, "--cpus 8 --ranks 4 ./a", "REPRISE_THREADS=8 srun --mpi=pmix -n 4 -c 8 ./a\n"),
        (in_slurm, "--ranks 4 --launcher mpirun ./a", mpirun("-n 4 ./a")),
        (dict(REPRISE_CONFIG="--tile 0 --ranks 3 --launcher=srun --cpus 2"), "./a",
         "REPRISE_THREADS=2 srun --mpi=pmix -n 3 -c 2 ./a\n"),
        (dict(REPRISE_CONFIG="--ranks=3 --launcher auto"), "--ranks 2 --launcher srun ./a",
         "REPRISE_RANKS=2 srun --mpi=pmix -n 2 ./a\n"),
        (in_slurm, "--ranks 1 ./a b", "./a b\n"),
        ({}, "--ranks 1 --cpus 3 ./a", "REPRISE_THREADS=3 ./a\n"),
        (dict(knobs, REPRISE_THREADS="9"), "--ranks 2 --cpus 1 --launcher srun ./a",
         "REPRISE_THREADS=1 srun --mpi=pmix -n 2 -c 1 ./a\n"),
    ]
    for env, words, want in cases:
        run = call(driver, ["run", "--print"] + words.split(), **env)
        expect("print " + words, (run.returncode, run.stdout, run.stderr) == (0, want, ""), run)
    run = call(driver, ["run", "--print", "--ranks", "1", "./a", "", "b c", "it's", "$x"])
    expect("print quoted", run.stdout == "./a '' 'b c' 'it'\\''s' '$x'\n", run)
    words = call(driver, ["run", "--print", "--ranks", "2", "./a"], **knobs).stdout
    expect("print knobs", "-x REPRISE_TILE" in words and "-x UCX_TLS" in words and words.endswith(" ./a\n"), words)


    explained = [
        ("--ranks 4 ./a -n 2", "REPRISE_DRYRUN=0/4 REPRISE_EXPLAIN=on ./a -n 2\n"),
        ("--rank 3 --ranks 4 --cpus 2 -- ./a", "REPRISE_THREADS=2 REPRISE_DRYRUN=3/4 REPRISE_EXPLAIN=on ./a\n"),
        ("--ranks 1048576 --rank 1048575 ./a", "REPRISE_DRYRUN=1048575/1048576 REPRISE_EXPLAIN=on ./a\n"),
    ]
    for words, want in explained:
        run = call(driver, ["explain", "--print"] + words.split(), **in_slurm)
        expect("print explain " + words, (run.returncode, run.stdout, run.stderr) == (0, want, ""), run)


def check_explained(driver, stencil):
    """The plans of rank 1 of 4, whatever kernels are called and the machine is asked for; then of rank 0."""
    knobs = {"REPRISE_THREADS": "1", "REPRISE_VECTOR": "avx2", "REPRISE_TIER": "0", "PATH": "/nowhere"}
    words = ["--ranks", "4", stencil, "--size", "200", "--iters", "5"]
    run = call(driver, ["explain", "--rank", "1"] + words, **knobs)
    got = re.sub(r"(kernel \w+)_[0-9a-f]{8},", r"\1,", run.stderr.split("statistics\n")[0])
    if os.environ.get("REPRISE_GOLDEN") == "update":
        with open(GOLDEN, "w", encoding="utf-8") as f:
            f.write(got)
    with open(GOLDEN, encoding="utf-8") as f:
        expect("explain", run.returncode == 0 and got == f.read(), run.stderr)
    run = call(driver, ["explain"] + words, **knobs)
    first = re.findall(r"rank (\d+) of 4 (?:sends|receives) \d+ bytes of s1 (?:to|from) rank (\d+)", run.stderr)
    expect("explain rank 0", run.returncode == 0 and set(first) == {("0", "1")}, run.stderr)
    run = call(driver, ["explain", "--ranks", "3", "sh", "-c", "echo $REPRISE_DRYRUN; exit 5"])
    expect("explain: status", (run.returncode, run.stdout) == (5, "0/3\n"), run)


def check_errors(driver):
    # Words, what the first line of stderr contains.
    cases = [
        ("", "a command is missing"),
        ("walk", "no command 'walk'"),
        ("run", "--ranks is missing"),
        ("run ./a", "--ranks is missing"),
        ("run --ranks 4", "the program is missing"),
        ("run --ranks 4 --", "the program is missing"),
        ("run --ranks", "nothing behind '--ranks'"),
        ("run --ranks 0 ./a", "not '0'"),
        ("run --ranks -1 ./a", "not '-1'"),
        ("run --ranks 2x ./a", "not '2x'"),
        ("run --ranks 99999999999999999999 ./a", "not '99999999999999999999'"),
        ("run --ranks 2 --cpus 0 ./a", "--cpus is 1 to 4096, not '0'"),
        ("run --ranks 2 --launcher ssh ./a", "mpirun or srun, not 'ssh'"),
        ("run --ranks 2 --many ./a", "cannot use '--many'"),
        ("run --ranks 2 -z ./a", "cannot use '-z'"),
        ("run --ranks 2 --rank 1 ./a", "cannot use '--rank'"),
        ("explain ./a", "--ranks is missing"),
        ("explain --ranks 4", "the program is missing"),
        ("explain --ranks 4 --launcher srun ./a", "cannot use '--launcher'"),
        ("explain --ranks 4 --rank 4 ./a", "--rank is 0 to one less than --ranks, not '4'"),
        ("explain --ranks 4 --rank -1 ./a", "not '-1'"),
        ("explain --rank 4 --ranks 3 ./a", "not '4'"),
    ]
    for words, says in cases:
        run = call(driver, words.split())
        first = run.stderr.split("\n")[0]
        right = run.returncode == 2 and not run.stdout and says in first and USAGE in run.stderr
        expect("error of '%s'" % words, right, run)
    for words in ("--help", "run --help", "run -h", "explain --help"):
        run = call(driver, words.split())
        expect(words, run.returncode == 0 and run.stdout.startswith(USAGE) and not run.stderr, run)
    for launcher, package in (("mpirun", "openmpi-bin"), ("srun", "slurm-client")):
        run = call(driver, ["run", "--ranks", "2", "--launcher", launcher, "./a"], PATH="/nowhere")
        right = run.returncode == NOT_FOUND and launcher in run.stderr and package in run.stderr
        expect("no " + launcher, right and USAGE not in run.stderr, run)


def check_started(driver):
    """Launchers of our own are what PATH has."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("mpirun", "srun"):
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(FAKE)
            os.chmod(path, 0o755)
            env = {"PATH": folder + ":" + os.environ["PATH"]}
            run = call(driver, ["run", "--ranks", "3", "--cpus", "2", "--launcher", name, "./a", "b c"], **env)
            right = run.returncode == 7 and run.stdout.startswith(path + " threads=2\n")
            expect("started " + name, right and run.stdout.endswith("<./a>\n<b c>\n"), run)
    run = call(driver, ["run", "--ranks", "1", "--cpus", "5", "sh", "-c", "echo $REPRISE_THREADS; exit 7"])
    expect("one rank", (run.returncode, run.stdout) == (7, "5\n"), run)
    run = call(driver, ["run", "--ranks", "1", "/nowhere/a"])
    expect("no program", run.returncode == NOT_FOUND and "/nowhere/a" in run.stderr, run)


def check_alone(program):
    """A program that was to have several ranks does not run as one."""
    env = dict(os.environ, REPRISE_CONFIG="--ranks 3")
    run = subprocess.run([program, "--size", "10", "--iters", "1"], env=env, capture_output=True, text=True)
    says = "the knob ranks is 3, but this process is alone: start the program with `reprise run`"
    expect("ranks that are not there", run.returncode != 0 and says in run.stderr, run)


def check_program(driver, program):
    """The program on one rank and, if mpirun is there, on two."""
    arguments = [program, "--size", "100", "--iters", "5"]
    why = job.missing(arguments)
    if why:
        print("not run on two ranks: " + why)
        return
    env = {"OMPI_MCA_rmaps_base_oversubscribe": "1", "REPRISE_EXPLAIN": "on", "REPRISE_PIN": "off"}
    if "REPRISE_CACHE_DIR" in os.environ:
        env["REPRISE_CACHE_DIR"] = os.environ["REPRISE_CACHE_DIR"]
    bits = []
    for options in (["--ranks", "1"], ["--ranks", "2"], ["--ranks", "2", "--cpus", "1"]):
        run = call(driver, ["run", "--launcher", "mpirun"] + options + arguments, **env)
        lines = [line for line in run.stdout.splitlines() if line.startswith("bits ")]
        expect("%s: status and ranks" % options, run.returncode == 0 and len(lines) == int(options[1]), run)
        shared = job.kernels_shared(run.stderr)
        right = [False] if options[1] == "1" else [True, True]
        expect("%s: kernels shared out" % options, [n > 0 for n in shared] == right, shared)
        bits += lines
    expect("bits", len(set(bits)) == 1, bits)
    env["REPRISE_CONFIG"] = "--tile 0 --ranks 2 --launcher mpirun --cpus 1"
    run = call(driver, ["run"] + arguments, **env)
    lines = [line for line in run.stdout.splitlines() if line.startswith("bits ")]
    expect("settings of REPRISE_CONFIG", run.returncode == 0 and lines == bits[:1] * 2, run)
    run = call(driver, ["run", "--ranks", "1"] + arguments, **env)
    expect("fewer ranks than there", run.returncode == 0 and bits[0] in run.stdout, run)


def main(driver, stencil, program):
    check_print(driver)
    check_explained(driver, stencil)
    check_errors(driver)
    check_started(driver)
    check_alone(stencil)
    if program:
        check_program(driver, program)
    for fault in faults:
        print(fault)
    print("%d faults" % len(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
