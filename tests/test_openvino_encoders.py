"""In OpenVINO the encoders run apart, and give what they give joined."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from references import checkpoint, run_onnxruntime

from brats_trt.backends.model import read_model
from brats_trt.backends.openvino import OpenVinoEngine
from brats_trt.export import convert
from brats_trt.export.rewrites.apart import groups


@pytest.fixture(scope="module")
def joined(tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "joined.onnx"
    convert(*checkpoint("random-f1"), path, size=32)
    return path


def test_each_group_is_a_convolution_of_its_own(joined):
    graph = onnx.load(joined).graph
    expected = [groups(node) for node in graph.node if node.op_type == "Conv"]
    assert set(expected) == {1, 4}
    ran = OpenVinoEngine(read_model(joined), precision="fp32").compiled.get_runtime_model()
    kinds = [node.get_rt_info()["layerType"].astype(str) for node in ran.get_ops()]
    assert kinds.count("Convolution") == sum(expected)


def test_the_answers_are_those_of_the_file(joined):
    crop = np.random.default_rng(0).random((1, 4, 32, 32, 32), np.float32)
    softmax = np.empty_like(crop)
    OpenVinoEngine(read_model(joined), precision="fp32").infer(crop, softmax)
    assert np.abs(softmax - run_onnxruntime(joined.read_bytes(), crop)).max() < 1e-4
