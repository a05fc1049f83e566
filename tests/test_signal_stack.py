"""The stack of signals: OpenVINO's is not left behind, however its parts come and go."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from tempfile import gettempdir

import pytest
from signal_stacks import DISABLED, signal_stack

from brats_trt.signal_stack import _Stack, kept_signal_stack


def set_stack(*, size):
    room = ctypes.create_string_buffer(size)
    assert ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(ctypes.addressof(room), 0, size)), None) == 0
    return room


@pytest.fixture
def small_stack():
    with kept_signal_stack():
        room = set_stack(size=1 << 16)
        yield ctypes.addressof(room), 0, len(room)


def test_a_stack_that_was_set_within_is_not_left_behind(small_stack):
    with kept_signal_stack():
        kept = set_stack(size=1 << 15)
        assert signal_stack() == (ctypes.addressof(kept), 0, 1 << 15)
    assert signal_stack() == small_stack


def test_it_is_put_back_after_a_fault(small_stack):
    def fail():
        with kept_signal_stack():
            raise RuntimeError(set_stack(size=1 << 15))

    with pytest.raises(RuntimeError):
        fail()
    assert signal_stack() == small_stack


@pytest.mark.parametrize("first", ["main", "other"])
def test_openvino_leaves_no_stack_for_signals_behind(first):
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
import gc, threading
from signal_stacks import signal_stack
from brats_trt import Segmenter

def load():
    global held
    held = Segmenter(runtime="openvino", precision="fp32")
    return signal_stack()

def other():
    global found
    found = load()

if {first!r} == "other":
    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    print(found[1])
print(load()[1])
held = None
gc.collect()
print(signal_stack()[1], load()[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=gettempdir())
    flags = {int(flag) for flag in done.stdout.split()}
    assert flags == {DISABLED}, "as in a new thread"
