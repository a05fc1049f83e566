"""A float32 file typed in float16 is the file that the converter writes in float16."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import tiny_model
from onnx import helper, numpy_helper
from references import checkpoint

from brats_trt import EngineError
from brats_trt.backends.model import read_model
from brats_trt.export import convert
from brats_trt.export.retyping import precision_of, to_fp16
from brats_trt.export.rewrites import rewrite
from brats_trt.plans.preparation import prepared
from brats_trt.plans.recipe import Recipe


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """The same checkpoint in each precision."""
    folder = tmp_path_factory.mktemp("converted")
    for precision in ("fp32", "fp16"):
        convert(*checkpoint("random-f1"), folder / f"{precision}.onnx", size=32, precision=precision)
    return {precision: folder / f"{precision}.onnx" for precision in ("fp32", "fp16")}


def test_the_result_is_the_converters_own_byte_for_byte(converted):
    assert to_fp16(onnx.load(converted["fp32"])) == converted["fp16"].read_bytes()


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_precision_of_a_model_is_that_of_its_weights(converted, precision):
    assert precision_of(onnx.load(converted[precision])) == precision


def test_weights_in_constants_count_too(tmp_path):
    model = onnx.load(tiny_model(tmp_path / "tiny.onnx"))
    half = numpy_helper.from_array(np.zeros(3, np.float16))
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=half))
    assert precision_of(model) == "fp16"


@pytest.mark.parametrize(("recipe", "taken"), [("fp16", "fp16"), ("fp32", "fp32")])
def test_a_model_of_the_recipes_precision_is_taken_as_it_is(converted, recipe, taken):
    recipe = Recipe(precision=recipe, scale="as_is")
    assert prepared(read_model(converted[taken]), recipe) == converted[taken].read_bytes()


def test_a_float32_model_is_typed_for_fp16(converted):
    assert prepared(read_model(converted["fp32"]), Recipe(scale="as_is")) == converted["fp16"].read_bytes()


@pytest.mark.parametrize("taken", ["fp32", "fp16"])
def test_a_graph_in_fp16_is_scaled_whether_it_was_typed_before_or_not(converted, taken):
    scaled = rewrite(onnx.load(converted["fp16"]), scale="quarter")
    assert prepared(read_model(converted[taken]), Recipe()) == scaled.SerializeToString()


def test_fp32_is_not_scaled(converted):
    assert prepared(read_model(converted["fp32"]), Recipe(precision="fp32")) == converted["fp32"].read_bytes()


def test_a_graph_that_does_not_take_the_scale_is_refused_with_the_option_that_leaves_it_out(tmp_path):
    half = read_model(tiny_model(tmp_path / "tiny.onnx", dtype="FLOAT16"))
    with pytest.raises(EngineError, match=r"tiny\.onnx: node 'softmax' .*another type than float32: .*--scale as_is"):
        prepared(half, Recipe())
    assert prepared(half, Recipe(scale="as_is")) == half.path.read_bytes()


def test_digits_that_are_gone_are_not_made_up(converted):
    with pytest.raises(EngineError, match=r"typed in float16.*convert the checkpoint with .* --precision fp32"):
        prepared(read_model(converted["fp16"]), Recipe(precision="fp32"))


def renamed(model):
    model.graph.output[0].name = model.graph.node[-1].output[0] = "answer"


def later_opset(model):
    model.opset_import[0].version = 18


def text_attribute(model):
    model.graph.node[0].attribute.append(helper.make_attribute("auto_pad", "SAME_UPPER"))


def cast(model):
    model.graph.node.insert(0, helper.make_node("Cast", ["data_crop"], ["same"], name="same", to=1))


def integers(model):
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), "starts"))
    model.graph.node.append(helper.make_node("Reshape", ["scores", "starts"], ["odd"], name="odd"))


def large(model):
    weights = numpy_helper.to_array(model.graph.initializer[0]) * 1e5
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "weights"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, r"the tensors \['data_crop', 'answer'\].*expected \['data_crop', 'softmax_lbl3'\]"),
        (later_opset, r"the operators \{'': 18\}.*expected .* opset 17"),
        (text_attribute, r"the node 'scores' \(Conv\) has 'auto_pad', unknown here"),
        (cast, r"has casts already \('same'\)"),
        (integers, r"the node 'odd' reads 'starts', which has no type to change"),
        (large, r"the array 'weights' holds 6e\+06, past float16's 65504"),
    ],
)
def test_what_the_converter_does_not_write_is_refused_with_the_files_name(tmp_path, change, message):
    path = tiny_model(tmp_path / "tiny.onnx")
    proto = onnx.load(path)
    change(proto)
    onnx.save(proto, path)
    with pytest.raises(EngineError, match=rf"tiny\.onnx: .*{message}"):
        prepared(read_model(path), Recipe())


def test_input_and_output_of_two_types_are_refused(tmp_path):
    path = tiny_model(tmp_path / "tiny.onnx")
    proto = onnx.load(path)
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    onnx.save(proto, path)
    with pytest.raises(EngineError, match="input and output are of two types"):
        prepared(read_model(path), Recipe())
