"""The stack of signals: put aside while a build watches for Ctrl-C, and put back."""

from __future__ import annotations

import ctypes

import pytest

from brats_trt.plans.signal_stack import _DISABLE, _Stack, ordinary_signal_stack


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
