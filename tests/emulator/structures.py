"""The C structures of runtime/interface.hpp, field by field."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, Structure, c_char, c_int64, c_uint32, c_uint64, c_void_p


class AccessCounts(Structure):
    _fields_ = [("requests", c_uint64), ("bytes", c_uint64), ("sectors", c_uint64), ("distinct", c_uint64)]


class BufferEntry(Structure):
    _fields_ = [
        ("low", c_uint64),
        ("high", c_uint64),
        ("written", c_void_p),
        ("stamps", c_void_p),
        ("writable", c_uint64),
        ("reads", AccessCounts),
        ("writes", AccessCounts),
        ("atomics", c_uint64),
        ("atomic_sectors", c_uint64),
    ]


class SharedCounts(Structure):
    _fields_ = [
        ("reads", AccessCounts),
        ("writes", AccessCounts),
        ("atomics", c_uint64),
        ("bank_conflicts", c_uint64),
    ]


class FaultEntry(Structure):
    _fields_ = [
        ("kind", c_uint32),
        ("has_thread", c_uint32),
        ("block", c_uint32 * 3),
        ("thread", c_uint32 * 3),
        ("site", c_uint64),
        ("buffer", c_int64),
        ("offset", c_int64),
        ("text", c_char * 400),
    ]


class Launch(Structure):
    _fields_ = [
        ("call", c_void_p),
        ("arguments", POINTER(c_void_p)),
        ("grid", c_uint32 * 3),
        ("block", c_uint32 * 3),
        ("shared_bytes", c_uint64),
        ("workers", c_uint32),
        ("checked", c_uint32),
        ("count_every", c_uint32),
        ("exited", c_uint32),
        ("flushes", c_uint64),
        ("allowed", c_uint64),
        ("buffers", POINTER(BufferEntry)),
        ("buffer_count", c_uint64),
        ("shared", SharedCounts),
        ("barriers", c_uint64),
        ("collectives", c_uint64),
        ("counted_blocks", c_uint64),
        ("fault", FaultEntry),
    ]


class Parameter(Structure):
    _fields_ = [("kind", c_char), ("bytes", c_uint32)]


def load_runtime(path: str) -> ctypes.CDLL:
    """The runtime's library, its entry point declared."""
    library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    library.emulator_launch.argtypes = [POINTER(Launch)]
    library.emulator_launch.restype = None
    return library
