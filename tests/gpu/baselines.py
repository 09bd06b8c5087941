# SPDX-License-Identifier: Apache-2.0
"""baselines.py cupy|jax|torch|numpy -- the loops of bench_gpu as users of other libraries write them; those of sums and
solvers by CuPy alone, which calls the same libraries of NVIDIA.

A server of compare.py: it reads `hello`, `prepare ROW SIZE`, `sample`, `free` and answers each with a line of JSON; what
goes wrong is an answer with the reason, not an end. A sample waits for its last pass, and begins with one that is not
timed. `numpy` is for machines without a GPU, to see that this file runs.
"""
import json
import math
import os
import sys
import time

RATE, VOLATILITY = 0.02, 0.30
SHORTEST = 0.05
BURST = 50


class Refused(Exception):
    pass


# ---- the loops' arithmetic, for any library whose arrays have operators -------------------------------------


def chain(t, a, b, rounds):
    t = t + b
    for _ in range(rounds):
        t = t * a
        t = t - b
        t = t + a
    return t


def average(u):
    return 0.2 * (u[1:-1, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] + u[2:, 1:-1])


def cnd(xp, d):
    k = 1.0 / (1.0 + 0.2316419 * xp.abs(d))
    poly = 1.330274429 * k
    for c in (-1.821255978, 1.781477937, -0.356563782, 0.31938153):
        poly = k * (c + poly)
    tail = 0.39894228040143267 * xp.exp(-0.5 * d * d) * poly
    return xp.where(d > 0, 1.0 - tail, tail)


def prices(xp, s, x, t):
    root = xp.sqrt(t)
    spread = VOLATILITY * root
    d1 = xp.log(s / x) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * t / spread
    d2 = d1 - VOLATILITY * root
    c1, c2 = cnd(xp, d1), cnd(xp, d2)
    e = xp.exp(-RATE * t)
    call = s * c1 - x * e * c2
    put = x * e * (1.0 - c2) - s * (1.0 - c1)
    return call, put


def poisson(np, side):
    """CSR of the 5-point matrix, and its rows padded to five entries (column 0 with value 0)."""
    n = side * side
    g = np.arange(n, dtype=np.int32)
    i, j = g // side, g % side
    there = np.stack([i > 0, j > 0, g >= 0, j + 1 < side, i + 1 < side], axis=1)
    col = np.stack([g - side, g - 1, g, g + 1, g + side], axis=1)
    val = np.broadcast_to(np.array([-1.0, -1.0, 4.0, -1.0, -1.0]), (n, 5))
    ptr = np.zeros(n + 1, dtype=np.int32)
    ptr[1:] = np.cumsum(there.sum(axis=1))
    return (ptr, np.ascontiguousarray(col[there]), np.ascontiguousarray(val[there]),
            np.where(there, col, 0).astype(np.int32), np.where(there, val, 0.0))


def mixed(xp, e):
    """The last step of SplitMix64, of unsigned numbers."""
    z = (e + xp.uint64(1)) * xp.uint64(0x9e3779b97f4a7c15)
    z = (z ^ (z >> xp.uint64(30))) * xp.uint64(0xbf58476d1ce4e5b9)
    z = (z ^ (z >> xp.uint64(27))) * xp.uint64(0x94d049bb133111eb)
    return z ^ (z >> xp.uint64(31))


def rows(xp, kind, n):
    """CSR of the matrices of gpu_sums.c."""
    i = xp.arange(n, dtype=xp.int64)
    if kind == "short":
        length = 1 + i % 7
    elif kind == "giant":
        length = 1 + i % 2
        length[0] = n
    else:
        z, length = mixed(xp, i.astype(xp.uint64)), xp.full(n, 4, dtype=xp.int64)
        for k in range(16):  # as long as the bits below are zeros
            length = xp.where(z % xp.uint64(2 << k) == 0, length * 2, length)
        length = xp.minimum(length, n)
    ptr = xp.zeros(n + 1, dtype=xp.int64)
    ptr[1:] = xp.cumsum(length)
    e = xp.arange(int(ptr[-1]), dtype=xp.int64)
    row = xp.searchsorted(ptr, e, side="right") - 1
    if kind == "power":
        col = (mixed(xp, e.astype(xp.uint64)) % xp.uint64(n)).astype(xp.int32)
    else:
        col = ((row + e - ptr[row]) % n).astype(xp.int32)
    return ptr.astype(xp.int32), col, 1.0 / length[row].astype(xp.float64)


def dense(xp, uniform, n, off):
    """Rows that add up to 1, symmetric."""
    a = uniform((n, n), "float64", 0.0, off / n, 11)
    a = 0.5 * (a + a.T)
    i = xp.arange(n)
    a[i, i] = 0.0
    a[i, i] = 1.0 - a.sum(axis=1)
    return a


# ---- a library: arrays, a way to wait, and loops -------------------------------------------------------------


class Loop:
    """run(passes) starts passes; wait() returns when they have run; `host`: only the former counts."""

    def __init__(self, run, wait, host=False, restart=None, note=""):
        self.run, self.wait, self.host, self.restart, self.note = run, wait, host, restart, note
        self.passes = 0
        self.residual = 0.0

    def timed(self, passes):
        if self.restart:
            self.restart()
        self.run(1)
        self.wait()
        seconds, done = 0.0, 0
        while done < passes:
            now = min(BURST, passes - done) if self.host else passes - done
            begin = time.perf_counter()
            self.run(now)
            if self.host:
                seconds += time.perf_counter() - begin
            self.wait()
            if not self.host:
                seconds += time.perf_counter() - begin
            done += now
        return seconds

    def sample(self):
        passes = 1
        while self.passes == 0:
            t = self.timed(passes)
            if t >= 0.25 * SHORTEST:
                self.passes = int(1 + passes * SHORTEST / t)
            passes *= 4
        return self.timed(self.passes) / self.passes


def repeat(step, wait=None):
    """A run that keeps the last result alive, as a name in a loop does."""
    kept = [None]

    def run(passes):
        for _ in range(passes):
            kept[0] = step()
            if wait:
                wait()
    return run


class NumPy:
    """NumPy and CuPy: a kernel for each operation."""

    def __init__(self, module):
        self.xp = module
        self.cupy = module.__name__ == "cupy"
        self.name = "%s %s" % ("CuPy" if self.cupy else "NumPy", module.__version__)

    def wait(self):
        if self.cupy:
            self.xp.cuda.get_current_stream().synchronize()

    def free(self):
        if self.cupy:
            self.xp.get_default_memory_pool().free_all_blocks()

    def uniform(self, shape, dtype, lo, hi, seed):
        self.xp.random.seed(seed)
        size = math.prod(shape)
        if self.cupy:
            return self.xp.random.uniform(lo, hi, size, dtype=dtype).reshape(shape)
        return self.xp.random.uniform(lo, hi, size).astype(dtype).reshape(shape)

    def chain(self, n, dtype, rounds, host, waiting):
        a, b, *t = (self.uniform((n,), dtype, 0.0, 0.5, k) for k in (1, 2, 3))

        def step():
            t[0] = chain(t[0], a, b, rounds)
        return Loop(repeat(step, self.wait if waiting else None), self.wait, host)

    def stencil(self, n, dtype):
        grid = [self.uniform((n + 2, n + 2), dtype, 0.0, 0.5, 1)]
        grid.append(grid[0].copy())

        def step():
            u, v = grid
            v[1:-1, 1:-1] = average(u)
            grid.reverse()
        return Loop(repeat(step), self.wait)

    def prices(self, n, dtype):
        s, x, t = (self.uniform((n,), dtype, lo, hi, k) for k, (lo, hi) in
                   enumerate(((5, 30), (1, 100), (0.25, 10))))
        return Loop(repeat(lambda: prices(self.xp, s, x, t), self.wait), self.wait)

    def cg(self, side):
        if not self.cupy:
            raise Refused("NumPy has no sparse matrices")
        import numpy
        from cupyx.scipy.sparse import csr_matrix
        ptr, col, val, _, _ = poisson(numpy, side)
        n = side * side
        a = csr_matrix((self.xp.asarray(val), self.xp.asarray(col), self.xp.asarray(ptr)), shape=(n, n))
        state = {}

        def restart():
            state.update(x=self.xp.zeros(n), r=self.xp.ones(n), p=self.xp.ones(n),
                         rho=self.xp.asarray(float(n)))

        def step():
            q = a @ state["p"]
            alpha = state["rho"] / (state["p"] @ q)
            state["x"] += alpha * state["p"]
            state["r"] -= alpha * q
            rr = state["r"] @ state["r"]
            state["p"] = state["r"] + (rr / state["rho"]) * state["p"]
            state["rho"] = rr
        restart()
        loop = Loop(repeat(step), self.wait, restart=restart)
        loop.run(50)
        loop.residual = float(state["rho"])
        return loop


    # -- sums

    def sparse(self):
        if self.cupy:
            import cupyx.scipy.sparse as module
        else:
            import scipy.sparse as module
        return module

    def product(self, kind, n):
        ptr, col, val = rows(self.xp, kind, n)
        a = self.sparse().csr_matrix((val, col, ptr), shape=(n, n))
        x = [self.uniform((n,), "float64", 0.0, 0.5, 5)]

        def step():
            x[0] = a @ x[0]
        step()  # may add up entries of one place
        return Loop(repeat(step), self.wait, note="%d entries" % a.nnz)

    def moments(self, n):
        a = [self.uniform((n, n), "float64", 0.0, 0.5, 7)]

        def step():
            r, c = a[0].sum(axis=1), a[0].sum(axis=0)
            s, m = r @ c, r.max()
            a[0] = 0.5 * a[0] + 0.25 * (r[:, None] + c) / (1.0 + m) + 0.125 / (1.0 + s)
        return Loop(repeat(step), self.wait)

    # -- solvers

    def gemm(self, n):
        m, c = dense(self.xp, self.uniform, n, 1.0), [self.uniform((n, n), "float64", 0.0, 0.5, 13)]

        def step():
            c[0] = m @ c[0]
        return Loop(repeat(step), self.wait)

    def solve(self, n):
        a, b = dense(self.xp, self.uniform, n, -1.0), [self.uniform((n,), "float64", 0.0, 0.5, 13)]

        def step():
            b[0] = self.xp.linalg.solve(a, b[0])
        return Loop(repeat(step), self.wait)

    def cholesky(self, n):
        if self.cupy:
            from cupyx.scipy.linalg import solve_triangular
        else:
            from scipy.linalg import solve_triangular
        a, b = dense(self.xp, self.uniform, n, -1.0), [self.uniform((n,), "float64", 0.0, 0.5, 13)]

        def step():
            l = self.xp.linalg.cholesky(a)
            b[0] = solve_triangular(l, solve_triangular(l, b[0], lower=True), trans="T", lower=True)
        return Loop(repeat(step), self.wait)

    def triangle(self, n):
        if self.cupy:
            from cupyx.scipy.sparse.linalg import spsolve_triangular
        else:
            from scipy.sparse.linalg import spsolve_triangular
        import numpy
        ptr, col, val, _, _ = poisson(numpy, n)
        val = numpy.where(val > 0, 3.0, val)
        a = self.sparse().csr_matrix((self.xp.asarray(val), self.xp.asarray(col), self.xp.asarray(ptr)),
                                     shape=(n * n, n * n))
        t, x = self.sparse().tril(a, format="csr"), [None]

        def restart():
            x[0] = self.xp.ones(n * n)

        def step():
            x[0] = spsolve_triangular(t, x[0], lower=True)
        restart()
        return Loop(repeat(step), self.wait, restart=restart)

    def fourier(self, kind, n):
        fft = self.xp.fft
        if kind == "plane":
            u = [self.uniform((n, n), "float64", 0.0, 0.5, 17)]
        else:
            u = [self.uniform((n, 4096), "float32", 0.0, 0.5, 17).astype("complex64")]

        def step():
            u[0] = fft.irfft2(fft.rfft2(u[0]), s=(n, n)) if kind == "plane" else fft.ifft(fft.fft(u[0]))
        return Loop(repeat(step), self.wait)


class Jax:
    """Jitted functions; CG as one loop on the device."""

    def __init__(self):
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax
        jax.config.update("jax_enable_x64", True)
        import jax.numpy
        self.jax, self.jnp = jax, jax.numpy
        self.last = None
        self.name = "JAX %s on %s" % (jax.__version__, jax.devices()[0].platform)

    def wait(self):
        self.jax.block_until_ready(self.last)

    def free(self):
        self.last = None
        self.jax.clear_caches()

    def uniform(self, shape, dtype, lo, hi, seed):
        return self.jax.random.uniform(self.jax.random.key(seed), shape, dtype, lo, hi)

    def loop(self, step, waiting=False, **more):
        def run(passes):
            for _ in range(passes):
                self.last = step()
                if waiting:
                    self.wait()
        return Loop(run, self.wait, **more)

    def chain(self, n, dtype, rounds, host, waiting):
        a, b, *t = (self.uniform((n,), dtype, 0.0, 0.5, k) for k in (1, 2, 3))
        f = self.jax.jit(lambda t, a, b: chain(t, a, b, rounds), donate_argnums=0)

        def step():
            t[0] = f(t[0], a, b)
            return t[0]
        return self.loop(step, waiting, host=host)

    def stencil(self, n, dtype):
        grid = [self.uniform((n + 2, n + 2), dtype, 0.0, 0.5, 1)]
        grid.append(grid[0] + 0)
        f = self.jax.jit(lambda u, v: v.at[1:-1, 1:-1].set(average(u)), donate_argnums=1)

        def step():
            grid[1] = f(grid[0], grid[1])
            grid.reverse()
            return grid[0]
        return self.loop(step)

    def prices(self, n, dtype):
        s, x, t = (self.uniform((n,), dtype, lo, hi, k) for k, (lo, hi) in
                   enumerate(((5.0, 30.0), (1.0, 100.0), (0.25, 10.0))))
        f = self.jax.jit(lambda s, x, t: prices(self.jnp, s, x, t))
        return self.loop(lambda: f(s, x, t), True)

    def products(self, side):
        """Ways to multiply, by name: the matrix's arrays and a function of them and p."""
        import numpy
        ptr, col, val, wide_col, wide_val = (self.jnp.asarray(v) for v in poisson(numpy, side))
        n = side * side
        row = self.jnp.repeat(self.jnp.arange(n, dtype=col.dtype), self.jnp.diff(ptr),
                              total_repeat_length=int(ptr[-1]))
        yield ("rows padded to five entries", (wide_col, wide_val),
               lambda m, p: (m[1] * p[m[0]]).sum(axis=1))
        yield ("segment_sum", (row, col, val), lambda m, p: self.jax.ops.segment_sum(
            m[2] * p[m[1]], m[0], num_segments=n, indices_are_sorted=True))
        from jax.experimental import sparse
        yield "BCSR", (ptr, col, val), lambda m, p: sparse.BCSR((m[2], m[1], m[0]), shape=(n, n)) @ p

    def cg(self, side):
        jnp, lax, n = self.jnp, self.jax.lax, side * side
        start = (jnp.zeros(n), jnp.ones(n), jnp.ones(n), jnp.asarray(float(n)))
        best = None
        for name, matrix, product in self.products(side):
            def iteration(m, state, product=product):
                x, r, p, rho = state
                q = product(m, p)
                alpha = rho / (p @ q)
                x, r = x + alpha * p, r - alpha * q
                rr = r @ r
                return x, r, r + (rr / rho) * p, rr
            f = self.jax.jit(lambda m, state, k, step=iteration: lax.fori_loop(
                0, k, lambda _, s: step(m, s), state))
            try:
                self.jax.block_until_ready(f(matrix, start, 3))
                begin = time.perf_counter()
                out = self.jax.block_until_ready(f(matrix, start, 50))
                seconds = time.perf_counter() - begin
            except Exception as e:  # whatever a library may raise: the other ways remain
                print("JAX, CG, %s: %s" % (name, e), file=sys.stderr)
                continue
            if best is None or seconds < best[0]:
                best = seconds, f, matrix, name, float(out[3])
        if best is None:
            raise Refused("no way to multiply works: see the log")
        _, f, matrix, name, residual = best

        def run(passes):
            self.last = f(matrix, start, passes)
        loop = Loop(run, self.wait, note=name)
        loop.residual = residual
        return loop


class Torch:
    """torch.compile, and what it made captured as a CUDA graph: the least that a replay can cost there."""

    def __init__(self):
        import torch
        self.torch = torch
        self.kept = None  # what a captured graph writes
        self.cuda = torch.cuda.is_available()
        self.name = "PyTorch %s on %s" % (torch.__version__, "cuda" if self.cuda else "cpu")

    def wait(self):
        if self.cuda:
            self.torch.cuda.synchronize()

    def free(self):
        self.kept = None
        self.torch._dynamo.reset()
        if self.cuda:
            self.torch.cuda.empty_cache()

    def dtype(self, name):
        return {"float64": self.torch.float64, "float32": self.torch.float32}[name]

    def uniform(self, shape, dtype, lo, hi, seed):
        self.torch.manual_seed(seed)
        out = self.torch.empty(shape, dtype=self.dtype(dtype), device="cuda" if self.cuda else "cpu")
        return out.uniform_(lo, hi)

    def captured(self, f, *args):
        """A step, and how it is launched."""
        torch = self.torch
        fast = torch.compile(f, dynamic=False)
        if not self.cuda:
            fast(*args)
            return (lambda: fast(*args)), "compiled"
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                fast(*args)
        torch.cuda.current_stream().wait_stream(side)
        torch.cuda.synchronize()
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.kept = fast(*args)
        except Exception as e:  # whatever keeps it from being captured: launched as it is
            print("PyTorch: no graph: %s" % e, file=sys.stderr)
            torch.cuda.synchronize()
            return (lambda: fast(*args)), "compiled, no graph"
        return graph.replay, "compiled, graph"

    def chain(self, n, dtype, rounds, host, waiting):
        a, b, t = (self.uniform((n,), dtype, 0.0, 0.5, k) for k in (1, 2, 3))

        def update(t, a, b):
            t.copy_(chain(t, a, b, rounds))
        step, note = self.captured(update, t, a, b)
        return Loop(repeat(step, self.wait if waiting else None), self.wait, host, note=note)

    def stencil(self, n, dtype):
        u = self.uniform((n + 2, n + 2), dtype, 0.0, 0.5, 1)
        v = u.clone()

        def sweep(u, v):
            v[1:-1, 1:-1] = average(u)
        there, note = self.captured(sweep, u, v)
        back, _ = self.captured(sweep, v, u)
        ways = [there, back]

        def step():
            ways[0]()
            ways.reverse()
        return Loop(repeat(step), self.wait, note=note)

    def prices(self, n, dtype):
        s, x, t = (self.uniform((n,), dtype, lo, hi, k) for k, (lo, hi) in
                   enumerate(((5, 30), (1, 100), (0.25, 10))))
        step, note = self.captured(lambda s, x, t: prices(self.torch, s, x, t), s, x, t)
        return Loop(repeat(step, self.wait), self.wait, note=note)

    def cg(self, side):
        raise Refused("no such figure")


# ---- the server ----------------------------------------------------------------------------------------------


def prepare(library, row, size):
    small = {"tiny": (3, False, True), "tiny_ahead": (3, False, False),
             "host_ten": (3, True, False), "host_hundred": (33, True, False)}
    if row in small:
        return library.chain(size, "float64", *small[row])
    kind, _, width = row.partition("_")
    dtype = {"f64": "float64", "f32": "float32"}.get(width)
    if kind == "chain":
        return library.chain(size, dtype, 3, False, False)
    if kind == "stencil":
        return library.stencil(size, dtype)
    if kind == "bs":
        return library.prices(size, dtype)
    if kind == "cg":
        return library.cg(size)
    if isinstance(library, NumPy):
        if kind == "spmv":
            return library.product(width, size)
        if kind == "fourier":
            return library.fourier(width, size)
        if row in ("moments", "gemm", "solve", "cholesky", "triangle"):
            return getattr(library, row)(size)
    raise Refused("no such row")


def make(which):
    if which in ("cupy", "numpy"):
        library = NumPy(__import__(which))
        library.uniform((2,), "float64", 0.0, 1.0, 1)
        library.wait()
        return library
    return Jax() if which == "jax" else Torch()


def answer(state, words):
    order = words[0] if words else ""
    if order == "hello":
        state["library"] = make(state["which"])
        return {"name": state["library"].name}
    if order == "prepare" and len(words) == 3:
        state["loop"] = None
        state["library"].free()
        state["loop"] = loop = prepare(state["library"], words[1], int(float(words[2])))
        loop.run(2)
        loop.wait()
        return {"note": loop.note, "residual": loop.residual}
    if order == "sample":
        return {"seconds": state["loop"].sample()}
    if order == "free":
        state["loop"] = None
        state["library"].free()
        return {}
    raise Refused("no such order")


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    state = {"which": sys.argv[1], "loop": None}
    for line in sys.stdin:
        try:
            reply = {"ok": True}
            reply.update(answer(state, line.split()))
        except Exception as e:  # whatever happened, the others go on
            reply = {"ok": False, "why": ("%s: %s" % (type(e).__name__, e)).replace("\n", " ")[:300]}
        out.write(json.dumps(reply) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
