from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import BIAS, WEIGHTS, tiny_model
from onnx import helper, numpy_helper
from references import checkpoint, run_onnxruntime

from brats_trt import EngineError
from brats_trt.export import convert
from brats_trt.plans.twin import TwinEvaluation, to_half

SIZE = 32


@pytest.fixture(scope="module")
def half_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("half") / "x.onnx"
    convert(*checkpoint("random-f1"), path, size=SIZE, precision="fp16")
    return path


@pytest.fixture
def crop():
    return np.random.default_rng(1).random((1, 4, SIZE, SIZE, SIZE), np.float32)


def widened(path):
    """The same model and weights in float32, casts and all."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
    for node in model.graph.node:
        if node.op_type == "Cast":
            node.attribute[0].i = onnx.TensorProto.FLOAT
    del model.graph.value_info[:]
    return model.SerializeToString()


def test_the_exact_twin_is_the_network_without_rounding(half_model, crop):
    found = TwinEvaluation(half_model).run(crop, lambda step: None).exact
    # float32 sums in another order through the whole network
    assert np.abs(found - run_onnxruntime(widened(half_model), crop)).max() < 1e-5


def test_what_the_graph_stores_in_float16_is_rounded_and_nothing_else(half_model, crop):
    model = onnx.load(half_model)
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*model.graph.value_info, *model.graph.output)}
    halves = {node.name for node in model.graph.node if kinds[node.output[0]] == onnx.TensorProto.FLOAT16}
    seen, finer = set(), set()

    def look(step):
        for twin in step.outputs:
            seen.add(step.name)
            if not np.array_equal(twin.rounded, to_half(twin.rounded)):
                finer.add(step.name)

    TwinEvaluation(half_model).run(crop, look)
    assert seen == {node.name for node in model.graph.node}
    assert not finer & halves
    assert sum(name.endswith(("norm1", "norm2")) for name in finer) > 40


def test_the_rounded_twin_is_the_formula_with_rounding(tmp_path):
    path = tiny_model(tmp_path / "x.onnx", dtype="FLOAT16")
    crop = np.random.default_rng(2).random((1, 4, 16, 16, 16), np.float32)
    steps = {}
    last = TwinEvaluation(path).run(crop, lambda step: steps.setdefault(step.operator, step.outputs[0]))
    scores = np.einsum("ck,bkxyz->bcxyz", WEIGHTS, to_half(crop)) + BIAS[None, :, None, None, None]
    assert np.array_equal(steps["Conv"].rounded, to_half(scores))  # one product a class: nothing to sum
    exponentials = np.exp(to_half(scores) - to_half(scores).max(axis=1, keepdims=True))
    softmax = exponentials / exponentials.sum(axis=1, keepdims=True)
    assert np.abs(last.rounded - softmax).max() <= 2**-11  # half a unit of float16 below 1, and float32's own
    assert 0 < last.relative_error < 2**-8


def test_halves_are_rounded_to_even_and_overflow_to_infinity():
    given = np.array([2049, 2051, 65519, 65520, -70000, 2**-25, 3 * 2**-25, 0.1], np.float32)
    expected = [2048, 2052, 65504, np.inf, -np.inf, 0, 2**-23, 0.0999755859375]
    assert to_half(given).tolist() == expected


def test_what_depends_on_an_overflow_is_lost(tmp_path):
    path = tiny_model(tmp_path / "x.onnx", dtype="FLOAT16", bias=(0, 6e4, 0, 0))
    crop = np.full((1, 4, 16, 16, 16), 200, np.float32)  # 60 * 200 + 6e4
    steps = []
    last = TwinEvaluation(path).run(crop, steps.append)
    assert [(step.operator, step.outputs[0].lost) for step in steps] == [("Conv", False), ("Softmax", True)]
    assert last.lost
    assert steps[0].outputs[0].relative_error == np.inf
    assert np.isfinite(last.exact).all()


def test_a_norm_over_many_voxels_keeps_its_digits(tmp_path):
    shape = (1, 4, 128, 64, 64)
    crop = np.full(shape, 0.7, np.float32)
    crop[:, :, :20] = np.random.default_rng(0).random((1, 4, 20, 64, 64))
    gamma, beta = np.array([1, 2, 3, 4], np.float32), np.array([0, 1, 0, 1], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("InstanceNormalization", ["x", "gamma", "beta"], ["y"], name="norm", epsilon=1e-3),
            helper.make_node("Cast", ["y"], ["z"], to=onnx.TensorProto.FLOAT16),
        ],
        "norm",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT16, shape)],
        [numpy_helper.from_array(gamma, "gamma"), numpy_helper.from_array(beta, "beta")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "x")
    wide = crop.astype(np.float64)
    axes, column = (2, 3, 4), (1, 4, 1, 1, 1)
    normal = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-3)
    expected = normal * gamma.reshape(column) + beta.reshape(column)
    found = TwinEvaluation(tmp_path / "x").run(crop, lambda step: None)
    assert np.abs(found.exact - expected).max() < 1e-4  # of values up to 40


def test_constants_of_the_graph_are_arrays(tmp_path):
    path = tiny_model(tmp_path / "x.onnx", dtype="FLOAT16")
    model = onnx.load(path)
    bias = model.graph.initializer.pop()
    model.graph.node.insert(0, helper.make_node("Constant", [], [bias.name], value=bias))
    onnx.save(model, tmp_path / "constant.onnx")
    crop = np.random.default_rng(2).random((1, 4, 16, 16, 16), np.float32)
    answers = [TwinEvaluation(tmp_path / name).run(crop, lambda step: None) for name in ("x.onnx", "constant.onnx")]
    assert np.array_equal(answers[0].rounded, answers[1].rounded)


def test_a_model_in_fp32_is_refused(tmp_path):
    with pytest.raises(EngineError, match=r"nothing in this model is stored in float16.*convert with --precision fp16"):
        TwinEvaluation(tiny_model(tmp_path / "x.onnx"))


def test_a_node_that_openvino_does_not_know_is_named(half_model, tmp_path, crop):
    model = onnx.load(half_model)
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.domain, relu.op_type = "somebody.else", "Unknown"
    model.opset_import.append(helper.make_opsetid("somebody.else", 1))
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(EngineError, match=f"OpenVINO does not compile the node '{relu.name}'"):
        TwinEvaluation(tmp_path / "x.onnx").run(crop, lambda step: None)


def test_types_that_contradict_each_other_are_refused(half_model, tmp_path):
    model = onnx.load(half_model)
    norm = next(node for node in model.graph.node if node.op_type == "InstanceNormalization")
    norm.input[0] = next(node.input[0] for node in model.graph.node if node.output[0] == norm.input[0])
    onnx.save(model, tmp_path / "x.onnx")
    with pytest.raises(EngineError, match="not valid ONNX"):
        TwinEvaluation(tmp_path / "x.onnx")
