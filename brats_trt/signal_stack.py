"""The stack that signals are handled on.

OpenVINO's plugin of the processor gives the thread that loads it a stack for signals that just holds a signal's frame
with AMX tiles in it. Python's handler does not always fit beside the frame: Ctrl-C would be a segmentation fault.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """`stack_t`."""

    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def kept_signal_stack() -> Iterator[None]:
    """After it, signals of this thread are handled where they were before."""
    sigaltstack = ctypes.CDLL(None).sigaltstack
    before = _Stack()
    known = sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if known:
            sigaltstack(ctypes.byref(before), None)
