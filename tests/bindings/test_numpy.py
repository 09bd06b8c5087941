#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Arrays of NumPy as stores, and stores as arrays of NumPy, by DLPack capsules made with plain ctypes.

Lives here: that another library takes our tensors and gives us its own, and that memory and lifetime are shared as
reprise.h says. Exit status 77: there is no library to load (REPRISE_LIBRARY), or no NumPy that knows DLPack 1.0.
"""
import ctypes as ct
import gc
import os
import sys

path = os.environ.get("REPRISE_LIBRARY", "")
if not os.path.exists(path):
    print(f"REPRISE_LIBRARY is '{path}', which is no file")
    sys.exit(77)
try:
    import numpy as np
except ImportError:
    print("NumPy is not installed")
    sys.exit(77)
if tuple(int(x) for x in np.__version__.split(".")[:2]) < (2, 1):
    print(f"NumPy {np.__version__} does not know DLPack 1.0")
    sys.exit(77)

lib = ct.CDLL(path)
P, I32, I64 = ct.c_void_p, ct.c_int32, ct.c_int64
lib.rp_last_error.restype = ct.c_char_p
VERSIONED = b"dltensor_versioned"
WRITABLE, MUST_COPY = 4, 2


class Desc(ct.Structure):
    _fields_ = [("struct_size", ct.c_size_t), ("flags", I32), ("device_type", I32), ("device_id", I32),
                ("max_major", I32), ("max_minor", I32), ("reserved", I32), ("stream", I64)]


def call(name, *args):
    """Calls an entry point; raises with the library's sentence if it fails."""
    status = getattr(lib, name)(*args)
    if status != 0:
        raise RuntimeError(f"{name}: {status}: {lib.rp_last_error().decode()}")


def function(name, result, *args):
    f = getattr(ct.pythonapi, name)
    f.restype, f.argtypes = result, args
    return f


capsule_new = function("PyCapsule_New", ct.py_object, P, ct.c_char_p, P)
capsule_pointer = function("PyCapsule_GetPointer", P, ct.py_object, ct.c_char_p)
capsule_rename = function("PyCapsule_SetName", ct.c_int, ct.py_object, ct.c_char_p)
USED = ct.c_char_p(b"used_dltensor_versioned")  # a capsule's name must outlive it


class Array:
    """A store as the array protocol wants it."""

    def __init__(self, store, flags=0):
        self.store, self.flags = store, flags

    def __dlpack_device__(self):
        kind, number = I32(), I32()
        call("rp_store_device", self.store, ct.byref(kind), ct.byref(number))
        return kind.value, number.value

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        desc = Desc(ct.sizeof(Desc), self.flags, *(dl_device or (0, 0)), *(max_version or (0, 0)), 0, 1)
        tensor = P()
        call("rp_store_export_dlpack", self.store, ct.byref(desc), ct.byref(tensor))
        return capsule_new(tensor, VERSIONED, None)


def imported(ctx, array):
    capsule = array.__dlpack__(max_version=(1, 0))
    out = P()
    tensor = capsule_pointer(capsule, VERSIONED)
    call("rp_store_import_dlpack", ctx, P(tensor), I64(0), ct.byref(out))
    capsule_rename(capsule, USED)
    return out


def run(ctx, body, **stores):
    handles = (P * len(stores))(*stores.values())
    call("rp_eval", ctx, ",".join(stores).encode(), body.encode(), handles, I32(len(stores)))


def drop(ctx, store):
    call("rp_store_release", store)


def test_in(ctx):
    for a in (np.arange(12.0).reshape(3, 4), np.arange(12.0).reshape(3, 4).T, np.arange(5.0)):
        want, refs = a * 2 + 1, sys.getrefcount(a)
        s = imported(ctx, a)
        run(ctx, "s = 2*s + 1", s=s)
        call("rp_store_home", s)
        assert (a == want).all()
        assert sys.getrefcount(a) > refs
        drop(ctx, s)
        assert sys.getrefcount(a) == refs
    a = np.arange(20, dtype=np.int32)[::-3]
    s = imported(ctx, a)
    assert (np.from_dlpack(Array(s, MUST_COPY)) == a).all()
    drop(ctx, s)
    a.flags.writeable = False
    s = imported(ctx, a)
    try:
        run(ctx, "s = 0", s=s)
        raise AssertionError("read-only data were written")
    except RuntimeError as e:
        assert "read-only" in str(e)
    drop(ctx, s)


def test_out(ctx):
    for dtype in (np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
                  np.float32, np.float64):
        a = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
        s = imported(ctx, a)
        b = np.from_dlpack(Array(s))
        assert b.dtype == a.dtype and (a == b).all() and np.shares_memory(a, b)
        del b
        gc.collect()
        drop(ctx, s)


def test_snapshot(ctx):
    s = P()
    call("rp_store_create", ctx, I32(10), I32(1), (I64 * 1)(4), ct.byref(s))
    run(ctx, "s = index(0)", s=s)
    then = np.from_dlpack(Array(s))
    assert not then.flags.writeable
    run(ctx, "s = s + 10", s=s)
    now = np.from_dlpack(Array(s))
    assert then.tolist() == [0, 1, 2, 3] and now.tolist() == [10, 11, 12, 13]
    del now
    mine = np.from_dlpack(Array(s, WRITABLE))
    mine[1:3] = -1
    run(ctx, "s = 2*s", s=s)
    call("rp_store_home", s)
    assert mine.tolist() == [20, -2, -2, 26]
    drop(ctx, s)
    return then, mine


def main():
    ctx = P()
    call("rp_context_create", b"--tier 0 --threads 1 --pin off --cache-dir none --gpus 0", ct.byref(ctx))
    test_in(ctx)
    test_out(ctx)
    then, mine = test_snapshot(ctx)
    call("rp_context_destroy", ctx)
    assert then.tolist() == [0, 1, 2, 3] and mine.tolist() == [20, -2, -2, 26]  # they outlive it
    del then, mine
    gc.collect()


main()
