"""HD-BET's network: its state read without running it, and the graph made of it against PyTorch."""

from __future__ import annotations

import os

import brain_networks
import numpy as np
import onnxruntime
import pytest

from brats_trt import EngineError
from brats_trt.files import file_sha256
from brats_trt.strip.graph import brain_network
from brats_trt.strip.state_file import read_state

torch = pytest.importorskip("torch")

MACHINE = {"little_endian": True}


def test_a_state_comes_back_as_it_was(tmp_path):
    state = brain_networks.random_state()
    path = brain_networks.old_state_file(tmp_path / "x.model", state)
    found = read_state(path, file_sha256(path))
    assert found.keys() == state.keys()
    for name, values in state.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], values)


def test_what_a_file_would_run_is_not_run(tmp_path):
    made = tmp_path / "made"
    path = tmp_path / "x.model"
    for function in (os.mkdir, eval):
        harm = brain_networks.Names(function, str(made))
        for contents in ([harm], [0x1950A86A20F9469CFC6C, 1001, MACHINE, {"a": harm}, []]):
            path.write_bytes(brain_networks.file_of(*contents))
            with pytest.raises(
                EngineError, match=r"no state file of PyTorch \(it names (posix.mkdir|__builtin__.eval)\)"
            ):
                read_state(path, file_sha256(path))
    assert not made.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK\x03\x04",
        brain_networks.file_of(1, 1001, MACHINE, {}, []),
        brain_networks.file_of(0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}, {}, []),
        brain_networks.file_of(0x1950A86A20F9469CFC6C, 1001, MACHINE, {"a": 1}, []),
        brain_networks.file_of(0x1950A86A20F9469CFC6C, 1001, MACHINE, {}, ["1"]),
    ],
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "x.model"
    path.write_bytes(content)
    with pytest.raises(EngineError, match=r"no state file of PyTorch.*install the networks again"):
        read_state(path, file_sha256(path))
    with pytest.raises(EngineError, match="cannot be read"):
        read_state(tmp_path / "none.model", "0" * 64)


def test_a_file_that_was_changed_is_not_even_looked_into(tmp_path):
    path = brain_networks.old_state_file(tmp_path / "x.model", brain_networks.random_state(base=1))
    known, content = file_sha256(path), bytearray(path.read_bytes())
    for changed in (content[:-1], content[:3000] + b"r\xff\xff\xff\x7f" + content[3005:], b""):
        path.write_bytes(changed)
        with pytest.raises(EngineError, match="not the network that is known, by its sha256"):
            read_state(path, known)


@pytest.mark.parametrize("shape", [(32, 32, 32), (16, 48, 32)])
def test_the_graph_is_the_network(shape):
    state = brain_networks.random_state(base=3)
    volume = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    model = brain_network(state, shape).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(None, {"volume": volume[None, None]})[0][0, 0]
    expected = brain_networks.by_pytorch(state, volume)
    assert expected.min() < 0.2 < 0.8 < expected.max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_graph_of_what_does_not_fit_is_refused():
    state = brain_networks.random_state()
    with pytest.raises(EngineError, match="expected multiples of 16"):
        brain_network(state, (32, 32, 40))
    del state["context3.bn_2.bias"]
    with pytest.raises(EngineError, match=r"no array 'context3\.bn_2\.bias'"):
        brain_network(state, (32, 32, 32))
