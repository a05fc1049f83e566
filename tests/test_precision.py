from __future__ import annotations

import collections

import numpy as np
import onnx
import pytest
from mxnet_files import REFERENCE, small_network, write_params
from references import answers, checkpoint, run_openvino

from brats_trt import EngineError
from brats_trt.export import convert
from brats_trt.export.checkpoint import read_checkpoint
from brats_trt.export.precision import to_float16

FLOAT32, FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
TYPES = {"float32": FLOAT32, "float16": FLOAT16}
NORMS, SOFTMAXES = 42, 3


@pytest.fixture(scope="module", params=["float32", "float16"])
def half(request, tmp_path_factory):
    """The type of input and output, the report and the model of an FP16 conversion."""
    path = tmp_path_factory.mktemp("half") / "x.onnx"
    report = convert(*checkpoint("random-f1"), path, size=64, precision="fp16", io=request.param)
    return request.param, report, onnx.load(path)


def types_of(model):
    values = (*model.graph.input, *model.graph.value_info, *model.graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return types | {tensor.name: tensor.data_type for tensor in model.graph.initializer}


def test_the_model_is_valid_and_its_types_are_those_that_onnx_infers(half):
    model = onnx.ModelProto()
    model.CopyFrom(half[2])
    onnx.checker.check_model(model, full_check=True)
    written = {value.name: value for value in model.graph.value_info}
    del model.graph.value_info[:]
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph.value_info
    assert {value.name: value for value in inferred} == written


def test_every_node_computes_in_one_type(half):
    types = types_of(half[2])
    computed = collections.Counter()
    for node in half[2].graph.node:
        found = {types[name] for name in (*node.input, *node.output)}
        if node.op_type == "Cast":
            assert found == {FLOAT32, FLOAT16}
            continue
        wide = node.op_type in ("InstanceNormalization", "Softmax")
        assert found == {FLOAT32 if wide else FLOAT16}, node.name
        computed[node.op_type] += 1
    assert (computed["InstanceNormalization"], computed["Softmax"], computed["Conv"]) == (NORMS, SOFTMAXES, 66)


def test_the_arrays_of_norms_are_float32_and_all_others_float16(half):
    for tensor in half[2].graph.initializer:
        norm = tensor.name.endswith(("_gamma", "_beta"))
        assert tensor.data_type == (FLOAT32 if norm else FLOAT16), tensor.name


def test_there_are_no_more_casts_than_there_must_be(half):
    """The least number, from the symbol and not from the conversion.

    What a norm reads and what it gives are separated by convolutions from every other norm's: two casts each. A softmax
    reads a convolution; all but the last feed convolutions. One more is at the input or the output, whichever is not of
    the type beside it.
    """
    _, report, model = half
    least = 2 * NORMS + SOFTMAXES + (SOFTMAXES - 1) + 1
    assert least == 90
    assert report.casts == [node.op_type for node in model.graph.node].count("Cast") == least
    assert report.nodes == len(model.graph.node)
    read = collections.Counter(
        (node.input[0], node.attribute[0].i) for node in model.graph.node if node.op_type == "Cast"
    )
    assert set(read.values()) == {1}, "a tensor is cast once"


def test_input_and_output_have_the_type_asked_for(half):
    io, _, model = half
    types = types_of(model)
    assert types["data_crop"] == types["softmax_lbl3"] == TYPES[io]


def test_fp32_has_casts_only_where_input_and_output_are_float16(tmp_path):
    for io, casts in (("float32", 0), ("float16", 2)):
        report = convert(*checkpoint("random-f1"), tmp_path / io, size=64, io=io)
        assert report.casts == casts
        model = onnx.load(report.output)
        onnx.checker.check_model(model, full_check=True)
        assert types_of(model)["softmax_lbl3"] == TYPES[io]


def test_the_trained_checkpoint_is_half_as_large_and_says_the_same(tmp_path):
    report = convert(*checkpoint("phantom-f2"), tmp_path / "x.onnx", precision="fp16")
    assert 4.7e6 < report.output.stat().st_size < 5.2e6
    assert any("weights are too small for float16 and became 0" in note for note in report.notes)
    crop, expected, classes = answers("phantom-f2")
    found = run_openvino(report.output, crop)
    assert abs(found[:, :, ::4, ::4, ::4] - expected).mean() < 5e-5
    assert (found.argmax(axis=1) != classes).mean() < 1e-4


def test_the_weights_are_the_checkpoints_rounded(half):
    stored = read_checkpoint(REFERENCE / "random-f1-0000.params")
    for tensor in half[2].graph.initializer:
        found, expected = onnx.numpy_helper.to_array(tensor), stored.read(tensor.name)
        assert np.array_equal(found, expected.astype(found.dtype))


def test_an_array_in_two_types_is_stored_once_and_cast(tmp_path):
    """A bias that is a norm's beta too."""
    symbol, head, arrays = small_network()
    norm = next(node for node in symbol.nodes if node["name"] == "norm")
    norm["inputs"][2] = [next(i for i, node in enumerate(symbol.nodes) if node["name"] == "conv_bias"), 0, 0]
    del arrays["norm_beta"]
    files = symbol.write(tmp_path / "x.json", head), write_params(tmp_path / "x.params", arrays)
    report = convert(*files, tmp_path / "x.onnx", size=32, precision="fp16")
    model = onnx.load(report.output)
    onnx.checker.check_model(model, full_check=True)
    assert [tensor.name for tensor in model.graph.initializer].count("conv_bias") == 1
    assert report.casts == 5


@pytest.mark.parametrize("value", [65520, -1e9])
def test_weights_past_the_range_of_float16_are_refused_by_name(value):
    with pytest.raises(EngineError, match=r"'conv_weight' holds .*, past float16's 65504: convert with precision fp32"):
        to_float16(np.array([1, value], np.float32), "conv_weight")


def test_an_array_that_mostly_vanishes_in_float16_is_refused_and_some_values_are_counted():
    assert to_float16(np.array([1, 1, 1e-9, 0, 0, 0], np.float32), "x")[1] == 1
    with pytest.raises(EngineError, match="2 of the 3 values of the array 'x' are too small for float16"):
        to_float16(np.array([1, 1e-9, 1e-9, 0], np.float32), "x")


def test_float16_keeps_all_that_it_can_hold():
    largest, least = np.float32(65519), np.float32(2.0**-24)
    half, vanished = to_float16(np.array([largest, -largest, least, 0], np.float32), "x")
    assert half.tolist() == [65504, -65504, 2.0**-24, 0]
    assert vanished == 0
