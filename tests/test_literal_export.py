from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from literal_export import literal_export
from models import tiny_model
from onnx import TensorProto, helper
from references import checkpoint, run_onnxruntime, run_openvino

from brats_trt.backends.model import read_model
from brats_trt.export import convert

SIZE = 32


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("literal")
    for fusion in ("max", "stack"):
        convert(*checkpoint("random-f1"), folder / f"{fusion}.onnx", size=SIZE, fusion=fusion)
    onnx.save(literal_export(onnx.load(folder / "max.onnx")), folder / "literal.onnx")
    return folder


def operators(path):
    return Counter(node.op_type for node in onnx.load(path).graph.node if node.op_type != "Constant")


def crop():
    return np.random.default_rng(3).random((1, 4, SIZE, SIZE, SIZE), np.float32)


def maxima(opset=17, parts=4, read=(0, 1, 2, 3)):
    """A Split into four and a maximum of those of its parts that are read."""
    names = [f"part{index}" for index in range(parts)]
    graph = helper.make_graph(
        [
            helper.make_node("Split", ["data_crop"], names, name="split", axis=1),
            helper.make_node("Max", [names[index] for index in read], ["fused"], name="fused"),
        ],
        "maxima",
        [helper.make_tensor_value_info("data_crop", TensorProto.FLOAT, (1, 8, 2, 2, 2))],
        [helper.make_tensor_value_info("fused", TensorProto.FLOAT, (1, 2, 2, 2, 2))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def test_the_answer_is_the_exported_graphs_to_the_bit(exported):
    found, expected = (run_onnxruntime(exported / f"{name}.onnx", crop()) for name in ("literal", "max"))
    assert np.ptp(expected) > 0.1
    assert np.array_equal(found, expected)


def test_openvino_gives_the_same_answer_for_both(exported):
    found, expected = (run_openvino(exported / f"{name}.onnx", crop()) for name in ("literal", "max"))
    assert np.abs(found - expected).max() < 1e-5  # the layout around a fusion decides in what order a norm sums


def test_it_is_what_the_converter_writes_when_it_keeps_the_stacks(exported):
    assert operators(exported / "literal.onnx") == operators(exported / "stack.onnx")
    found, expected = (run_onnxruntime(exported / f"{name}.onnx", crop()) for name in ("literal", "stack"))
    assert np.array_equal(found, expected)


def test_no_maximum_of_two_tensors_is_left_and_nothing_else_has_changed(exported):
    literal, exact = (operators(exported / f"{name}.onnx") for name in ("literal", "max"))
    fusions = exact["Max"]
    assert fusions == 12
    assert literal - exact == Counter(Unsqueeze=4 * fusions, Concat=fusions, ReduceMax=fusions)
    assert exact - literal == Counter(Max=fusions)


def test_the_segmenter_takes_it_with_its_spec(exported):
    found, expected = (read_model(exported / f"{name}.onnx") for name in ("literal", "max"))
    assert (found.spec, found.size) == (expected.spec, expected.size)


def test_the_model_handed_over_is_not_changed():
    model = maxima()
    before = model.SerializeToString()
    literal_export(model)
    assert model.SerializeToString() == before


def test_the_maximum_is_over_the_parts():
    data = np.random.default_rng(0).standard_normal((1, 8, 2, 2, 2)).astype(np.float32)
    found = run_onnxruntime(literal_export(maxima()).SerializeToString(), data)
    assert np.array_equal(found, data.reshape(1, 4, 2, 2, 2, 2).max(axis=1))


@pytest.mark.parametrize("read", [(0, 1), (0, 1, 2, 2)])
def test_a_maximum_of_other_tensors_is_none_of_its_business(read):
    with pytest.raises(ValueError, match="no maximum of the parts of a Split; expected one of `brats-trt convert`"):
        literal_export(maxima(read=read))


def test_a_model_without_fusions_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no maximum of the parts of a Split"):
        literal_export(onnx.load(tiny_model(tmp_path / "tiny.onnx")))


def test_another_opset_than_the_converters_is_refused():
    with pytest.raises(ValueError, match="of opset 18; expected one below 18"):
        literal_export(maxima(opset=18))
