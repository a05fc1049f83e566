"""Arrays and messages between processes: in place, sealed, bounded, and nothing left when one is killed."""

from __future__ import annotations

import fcntl
import gc
import json
import mmap
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from brats_trt.serve.channel import LARGEST_COUNT, LARGEST_MESSAGE, Channel, ChannelClosedError, ChannelTimeoutError
from brats_trt.serve.errors import ServiceError
from brats_trt.serve.shared_arrays import attach, share

ARRAYS = {
    "t1": np.arange(24, dtype=np.int16).reshape(2, 3, 4),
    "t2": np.asfortranarray(np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)),
    "big-endian": np.arange(5, dtype=">i4"),
    "every other": np.arange(20, dtype=np.uint8)[::2],
    "affine": np.eye(4),
    "empty": np.zeros((0, 3), np.float64),
}


def open_descriptors():
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def nothing_left():
    before = open_descriptors()
    yield
    assert open_descriptors() == before


@pytest.fixture
def ends():
    first, second = Channel.pair()
    yield first, second
    first.close()
    second.close()


@pytest.fixture
def shared():
    descriptor, layout = share(ARRAYS)
    yield descriptor, layout
    os.close(descriptor)


# ------------------------------------------------------------------------------------------------ arrays


def test_arrays_come_back_as_they_were(shared):
    found = attach(*shared)
    assert [*found] == [*ARRAYS]
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)
    assert found["t2"].flags.f_contiguous
    assert found["every other"].flags.c_contiguous


def test_the_layout_goes_through_json(shared):
    _, layout = shared
    assert json.loads(json.dumps(layout)) == layout


def test_nobody_changes_what_is_shared(shared):
    descriptor, layout = shared
    with pytest.raises(ValueError, match="read-only"):
        attach(descriptor, layout)["t1"][0, 0, 0] = 1
    with pytest.raises(PermissionError):
        mmap.mmap(descriptor, 0, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    for change in (lambda: os.ftruncate(descriptor, 1), lambda: os.pwrite(descriptor, b"x", 0)):
        with pytest.raises(PermissionError):
            change()


def test_arrays_outlive_their_descriptor():
    descriptor, layout = share(ARRAYS)
    found = attach(descriptor, layout)
    os.close(descriptor)
    assert np.array_equal(found["t1"], ARRAYS["t1"])


def test_arrays_of_objects_are_not_shared():
    with pytest.raises(ServiceError, match="'names' is of the dtype object; expected integers or floats"):
        share({"names": np.array(["a", None])})


def test_memory_that_is_not_there_is_said(monkeypatch):
    def none_left(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", none_left)
    with pytest.raises(ServiceError, match=r"bytes of shared memory cannot be had \(No space left on device\)"):
        share(ARRAYS)


@pytest.mark.parametrize(
    "change",
    [
        {"offset": 10**9},
        {"offset": -64},
        {"offset": 1.0},
        {"offset": True},
        {"shape": [2, 3, 10**6]},
        {"shape": [2**33, 2**33]},
        {"shape": [-1]},
        {"shape": [1] * 9},
        {"shape": 4},
        {"dtype": "O"},
        {"dtype": "V8"},
        {"dtype": ["<i2"]},
        {"dtype": "nonsense"},
        {"order": "A"},
        {"name": 7},
    ],
    ids=str,
)
def test_a_layout_that_does_not_fit_is_refused(shared, change):
    descriptor, layout = shared
    with pytest.raises(ServiceError, match=r"the shared memory of .* bytes has no array"):
        attach(descriptor, [{**layout[0], **change}])


def test_no_arrays_go_as_well():
    descriptor, layout = share({})
    assert attach(descriptor, layout) == {}
    os.close(descriptor)


@pytest.mark.parametrize("layout", [None, {}, "t1", [None], [[]], [{}]], ids=str)
def test_no_layout_is_refused(shared, layout):
    with pytest.raises(ServiceError, match="the shared memory"):
        attach(shared[0], layout)


def test_memory_that_could_change_is_refused(shared, tmp_path):
    unsealed = os.memfd_create("other", os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(unsealed, 10_000)
        fcntl.fcntl(unsealed, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        with pytest.raises(ServiceError, match="is not sealed"):
            attach(unsealed, shared[1])
    finally:
        os.close(unsealed)
    with (tmp_path / "file").open("wb") as file, pytest.raises(ServiceError, match="none of shared memory"):
        attach(file.fileno(), shared[1])


# ------------------------------------------------------------------------------------------------ messages


def test_messages_stay_apart_and_in_order(ends):
    for n in range(3):
        ends[0].send({"n": n, "text": "\n é"})
    assert [ends[1].receive().content["n"] for _ in range(3)] == [0, 1, 2]


def test_arrays_cross_with_a_message(ends, shared):
    ends[0].send({"layout": shared[1]}, [shared[0]])
    message = ends[1].receive()
    (descriptor,) = message.descriptors
    found = attach(descriptor, message.content["layout"])
    os.close(descriptor)
    assert np.array_equal(found["t2"], ARRAYS["t2"])


def test_a_silent_process_is_not_waited_for_forever(ends):
    with pytest.raises(ChannelTimeoutError, match=r"was silent for 0.01 s"):
        ends[1].receive(timeout=0.01)
    with pytest.raises(ChannelTimeoutError, match=r"took nothing for 0.01 s"):
        _fill(ends[0])


def _fill(end):
    for _ in range(10_000):
        end.send({"text": "x" * 10_000}, timeout=0.01)


def test_a_process_that_is_gone_is_said(ends):
    ends[0].send({"last": True})
    ends[0].close()
    assert ends[1].receive().content == {"last": True}
    with pytest.raises(ChannelClosedError, match="is gone"):
        ends[1].receive()
    with pytest.raises(ChannelClosedError, match="is gone"):
        ends[1].send({})


def test_messages_are_bounded(ends, shared):
    with pytest.raises(ServiceError, match=r"a message of .* bytes and 0 descriptors; at most"):
        ends[0].send({"text": "x" * LARGEST_MESSAGE})
    with pytest.raises(ServiceError, match=r"and 5 descriptors; at most"):
        ends[0].send({}, [shared[0]] * (LARGEST_COUNT + 1))


@pytest.mark.parametrize(
    "packet",
    [b"{", b"[]", b"7", b"\xff\xfe", b"[" * 60_000, b'{"a": "' + b"x" * LARGEST_MESSAGE + b'"}'],
    ids=["half", "list", "number", "no text", "deep", "long"],
)
def test_what_is_no_message_is_refused_and_its_descriptors_are_closed(packet, shared):
    raw, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel(end)
    before = open_descriptors()
    socket.send_fds(raw, [packet], [shared[0]])
    with pytest.raises(ServiceError, match="something that is no message"):
        channel.receive()
    assert open_descriptors() == before
    raw.close()
    channel.close()


OTHER = """
import os, socket, sys, time
import numpy as np
from brats_trt.serve.channel import Channel
from brats_trt.serve.shared_arrays import attach, share
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
message = channel.receive()
arrays = attach(message.descriptors[0], message.content["layout"])
descriptor, layout = share({name: array[::-1] for name, array in arrays.items()})
channel.send({"layout": layout}, [descriptor])
time.sleep(60)
"""


def test_arrays_go_to_another_process_and_back_and_outlive_its_kill(ends, shared, tmp_path):
    mine, other = ends
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(other.fileno())], pass_fds=[other.fileno()], cwd=tmp_path
    )
    other.close()
    mine.send({"layout": shared[1]}, [shared[0]])
    message = mine.receive(timeout=60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(ChannelClosedError):
        mine.receive(timeout=60)
    found = attach(message.descriptors[0], message.content["layout"])
    os.close(message.descriptors[0])
    for name, array in ARRAYS.items():
        assert np.array_equal(found[name], array[::-1])
