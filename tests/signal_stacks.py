"""The stack that the kernel would handle a signal of this thread on."""

from __future__ import annotations

import ctypes

from brats_trt.signal_stack import _Stack

DISABLED = 2  # SS_DISABLE


def signal_stack():
    """Its start, its flags and its size."""
    stack = _Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.start, stack.flags, stack.size
