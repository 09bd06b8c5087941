#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shared library through plain ctypes: a stencil and conjugate gradients against Python loops.

Lives here: what a foreign-function client needs and nothing more: the library's path is REPRISE_LIBRARY.
Exit status 77: there is no library to load.
"""
import ctypes as ct
import os
import sys

path = os.environ.get("REPRISE_LIBRARY", "")
if not os.path.exists(path):
    print(f"REPRISE_LIBRARY is '{path}', which is no file")
    sys.exit(77)
lib = ct.CDLL(path)
P, I32, I64 = ct.c_void_p, ct.c_int32, ct.c_int64
lib.rp_last_error.restype = ct.c_char_p
F64, N = 10, 20


def call(name, *args):
    """Calls an entry point; raises with the library's sentence if it fails."""
    status = getattr(lib, name)(*args)
    if status != 0:
        raise RuntimeError(f"{name}: {status}: {lib.rp_last_error().decode()}")


def store(ctx, shape, values=None):
    out = P()
    call("rp_store_create", ctx, I32(F64), I32(len(shape)), (I64 * len(shape))(*shape), ct.byref(out))
    if values is not None:
        data = (ct.c_double * len(values))(*values)
        call("rp_store_write", out, data, ct.c_size_t(ct.sizeof(data)))
    return out


def read(s, n):
    data = (ct.c_double * n)()
    call("rp_store_read", s, data, ct.c_size_t(ct.sizeof(data)))
    return list(data)


def run(ctx, body, **stores):
    """Launches a body on the stores it names."""
    handles = (P * len(stores))(*stores.values())
    call("rp_eval", ctx, ",".join(stores).encode(), body.encode(), handles, I32(len(stores)))


def stencil(ctx):
    w = N + 2
    host = [(7 * k * k + 3 * k) % 11 / 8 for k in range(w * w)]
    grid, views = store(ctx, (w, w), host), {}
    for name, (i, j) in dict(c=(1, 1), n=(0, 1), s=(2, 1), w=(1, 0), e=(1, 2)).items():
        views[name] = P()
        call("rp_store_box", grid, (I64 * 2)(i, j), (I64 * 2)(i + N, j + N), ct.byref(views[name]))
    for _ in range(8):
        call("rp_trace_begin", ctx, I64(1))
        run(ctx, "c = 0.2*(c + n + s + w + e)", **views)
        call("rp_trace_end", ctx, I64(1))
        old = host[:]
        for k in (i * w + j for i in range(1, N + 1) for j in range(1, N + 1)):
            host[k] = 0.2 * (old[k] + old[k - w] + old[k + w] + old[k - 1] + old[k + 1])
    assert read(grid, w * w) == host, "the stencil differs from the loop"
    for s in (grid, *views.values()):
        call("rp_store_release", s)


def cg(ctx):
    """The second difference with ones on the right: x[i] = (i + 1)(n - i)/2."""
    n = 30
    s = {k: store(ctx, (n,)) for k in ("x", "Ap")}
    s |= {k: store(ctx, (n,), [1.0] * n) for k in ("r", "p")}
    s |= {k: store(ctx, (), [float(n)]) for k in ("rr", "new", "pAp")}
    use = lambda names: {k: s[k] for k in names.split()}
    for _ in range(n):
        call("rp_trace_begin", ctx, I64(2))
        run(ctx, "Ap = 2*p", **use("Ap p"))
        for sign in (1, -1):
            ap, p = P(), P()
            lo, hi = (0, n - 1) if sign > 0 else (1, n)
            call("rp_store_slice", s["Ap"], I32(0), I64(lo), I64(hi), I64(1), ct.byref(ap))
            call("rp_store_slice", s["p"], I32(0), I64(lo + sign), I64(hi + sign), I64(1), ct.byref(p))
            run(ctx, "Ap = Ap - p", Ap=ap, p=p)
            call("rp_store_release", ap)
            call("rp_store_release", p)
        run(ctx, "pAp = sum(i) p[i]*Ap[i]", **use("pAp p Ap"))
        run(ctx, "x = x + where(pAp == 0, 0, rr/pAp)*p", **use("x rr pAp p"))
        run(ctx, "r = r - where(pAp == 0, 0, rr/pAp)*Ap", **use("r rr pAp Ap"))
        run(ctx, "new = sum(i) r[i]*r[i]", **use("new r"))
        run(ctx, "p = r + where(rr == 0, 0, new/rr)*p", **use("p r new rr"))
        run(ctx, "rr = new", **use("rr new"))
        call("rp_trace_end", ctx, I64(2))
    for i, v in enumerate(read(s["x"], n)):
        assert abs(v - (i + 1) * (n - i) / 2) < 1e-8, f"x[{i}] is {v}"
    for v in s.values():
        call("rp_store_release", v)


context, hits = P(), I64()
call("rp_context_create", b"--threads 1 --tier 0 --cache-dir none", ct.byref(context))
stencil(context)
cg(context)
call("rp_stat", context, b"trace_hits", ct.byref(hits))
assert hits.value >= 30, f"{hits.value} replayed segments"
assert lib.rp_wait(None) == -1 and b"NULL" in lib.rp_last_error()
call("rp_context_destroy", context)
