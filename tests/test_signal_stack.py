"""The stack of signals: OpenVINO's is not left behind, and any is put aside while a build watches for Ctrl-C."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from tempfile import gettempdir

import pytest

from brats_trt.signal_stack import _DISABLE, _Stack, kept_signal_stack, ordinary_signal_stack


def now():
    stack = _Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
    return stack.start, stack.flags, stack.size


@pytest.fixture
def small_stack():
    before = _Stack()
    room = ctypes.create_string_buffer(1 << 16)
    ours = _Stack(ctypes.addressof(room), 0, len(room))
    assert ctypes.CDLL(None).sigaltstack(ctypes.byref(ours), ctypes.byref(before)) == 0
    yield ours.start, 0, ours.size
    ctypes.CDLL(None).sigaltstack(ctypes.byref(before), None)


def test_a_small_stack_is_put_aside_and_back(small_stack):
    assert now() == small_stack
    with ordinary_signal_stack():
        assert now()[1] & _DISABLE
    assert now() == small_stack


def test_it_is_put_back_after_a_fault(small_stack):
    with pytest.raises(RuntimeError), ordinary_signal_stack():
        raise RuntimeError
    assert now() == small_stack


def test_a_stack_that_was_set_within_is_not_left_behind(small_stack):
    room = ctypes.create_string_buffer(1 << 16)
    with kept_signal_stack():
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(ctypes.addressof(room), 0, len(room))), None)
        assert now() != small_stack
    assert now() == small_stack


def test_openvino_leaves_no_stack_for_signals_behind():
    code = """
import ctypes
from brats_trt import Segmenter
from brats_trt.signal_stack import _DISABLE, _Stack
Segmenter(runtime="openvino", precision="fp32")
stack = _Stack()
ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack))
print(stack.flags & _DISABLE)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=gettempdir())
    assert done.stdout.strip() != "0"
