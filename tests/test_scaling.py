"""The rewrite that keeps a network's values inside float16."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import integers, single_node
from onnx import TensorProto, helper, numpy_helper
from references import checkpoint, run_onnxruntime

from brats_trt import EngineError
from brats_trt.export import convert
from brats_trt.export.rewrites import SCALES, rewrite

FACTORS = {"quarter": 0.25, "sixteenth": 0.0625}
SIZE = 64


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for precision in ("fp32", "fp16"):
        convert(*checkpoint("phantom-f2"), folder / precision, size=SIZE, precision=precision)
    return {precision: onnx.load(folder / precision) for precision in ("fp32", "fp16")}


def arrays(model):
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def norms(model):
    return [node for node in model.graph.node if node.op_type == "InstanceNormalization"]


@pytest.mark.parametrize("scale", SCALES[1:])
def test_a_power_of_two_changes_no_bit_in_float32(models, scale):
    crop = np.random.default_rng(4).random((1, 4, SIZE, SIZE, SIZE), np.float32)
    found = run_onnxruntime(rewrite(models["fp32"], scale=scale).SerializeToString(), crop)
    assert np.array_equal(found, run_onnxruntime(models["fp32"].SerializeToString(), crop))


@pytest.mark.parametrize("scale", SCALES[1:])
def test_every_value_between_input_and_softmax_is_smaller(models, scale):
    watched = [norms(models["fp32"])[index].input[0] for index in (0, 20, 41)]
    crop = np.random.default_rng(4).random((1, 4, SIZE, SIZE, SIZE), np.float32)

    def inside(model, name):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        copy.graph.output.insert(0, helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
        return run_onnxruntime(copy.SerializeToString(), crop)

    for name in watched:
        before = inside(models["fp32"], name)
        assert np.array_equal(inside(rewrite(models["fp32"], scale=scale), name), before * np.float32(FACTORS[scale]))


@pytest.mark.parametrize("scale", SCALES[1:])
def test_epsilon_gamma_and_beta_take_the_factor_and_most_weights_stay(models, scale):
    before, after = arrays(models["fp16"]), arrays(rewrite(models["fp16"], scale=scale))
    factor = FACTORS[scale]
    for old, new in zip(norms(models["fp16"]), norms(rewrite(models["fp16"], scale=scale)), strict=True):
        assert new.attribute[0].f == np.float32(old.attribute[0].f * factor**2)
        for was, now in zip(old.input[1:], new.input[1:], strict=True):
            assert np.array_equal(after[now], before[was] * np.float32(factor))
    changed = {name for name in before if name.endswith("_weight") and name not in after}
    # three that read the input, three that read a smaller network's softmax
    assert len(changed) == 6
    assert {array.dtype for name, array in after.items() if "_weight" in name} == {np.dtype(np.float16)}


def test_half_norms_have_no_epsilon_left_at_a_sixteenth(models):
    rewrite(models["fp16"], scale="quarter", norm="native_half")
    with pytest.raises(EngineError, match=r"epsilon is 3.9\d*e-06, below float16's normal values"):
        rewrite(models["fp16"], scale="sixteenth", norm="native_half")


def convolution_and(*nodes, output="data_crop"):
    """A convolution of 4 channels to `c`, and what comes behind."""
    shape = (1, 4, 4, 4, 4)
    model = single_node("Conv", [integers(4, 4, 1, 1, 1)], shape=shape, output=shape)
    model.graph.node[0].output[0] = "c"
    model.graph.node.extend(nodes)
    model.graph.output[0].name = output
    return model


@pytest.mark.parametrize(
    ("nodes", "finding"),
    [
        ([helper.make_node("Sigmoid", ["c"], ["y"], name="n")], r"node 'n' \(Sigmoid\): a factor may not pass"),
        ([helper.make_node("Add", ["c", "data_crop"], ["y"], name="n")], "its inputs would be scaled differently"),
        ([helper.make_node("Concat", ["c", "data_crop"], ["y"], name="n", axis=2)], "another axis than the channels"),
        ([helper.make_node("Relu", ["c"], ["y"], name="n")], "it gives the output, which would be scaled"),
        (
            [
                helper.make_node("Concat", ["c", "data_crop"], ["both"], name="b", axis=1),
                helper.make_node("Softmax", ["both"], ["y"], name="n", axis=1),
            ],
            "its channels would be scaled differently",
        ),
    ],
)
def test_a_network_through_which_no_factor_passes_is_refused(nodes, finding):
    model = convolution_and(*nodes, output="y")
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(EngineError, match=f"{finding}.*: build with scale='as_is'"):
        rewrite(model, scale="quarter")


def test_a_grouped_convolution_of_scaled_and_whole_channels_is_scaled_by_channel():
    weight = helper.make_node("Conv", ["both", "grouped"], ["d"], name="d", group=2)
    both = helper.make_node("Concat", ["c", "data_crop"], ["both"], name="b", axis=1)
    softmax = helper.make_node("Softmax", ["d"], ["y"], name="n", axis=1)
    model = convolution_and(both, weight, softmax, output="y")
    model.graph.initializer.append(numpy_helper.from_array(integers(4, 4, 1, 1, 1, seed=7) / 8, "grouped"))
    found = arrays(rewrite(model, scale="quarter"))["grouped_scaled"]
    expected = integers(4, 4, 1, 1, 1, seed=7) / 8 * np.array([1, 1, 0.25, 0.25]).reshape(4, 1, 1, 1, 1)
    assert np.array_equal(found, expected)  # filters 2 and 3 read the second group, which is the input
    data = integers(1, 4, 4, 4, 4, seed=2) / 16
    answers = [run_onnxruntime(m.SerializeToString(), data) for m in (model, rewrite(model, scale="quarter"))]
    assert np.array_equal(*answers)
