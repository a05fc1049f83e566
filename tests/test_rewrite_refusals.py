from __future__ import annotations

import numpy as np
import onnx
import pytest
from models import integers, single_node
from onnx import helper, numpy_helper
from references import checkpoint

from brats_trt import CaseError, EngineError
from brats_trt.export import convert
from brats_trt.export.rewrites import NORMS, rewrite


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for precision in ("fp32", "fp16"):
        convert(*checkpoint("random-f1"), folder / precision, size=32, precision=precision)
    return {precision: onnx.load(folder / precision) for precision in ("fp32", "fp16")}


@pytest.mark.parametrize("option", [{"norm": "plugin"}, {"grouped": "wide"}, {"deconvolution": "shuffle"}])
def test_an_option_that_is_not_known_is_refused(models, option):
    ((name, value),) = option.items()
    with pytest.raises(CaseError, match=f"{name} '{value}' is not known; expected one of"):
        rewrite(models["fp32"], **option)


@pytest.mark.parametrize(
    ("attributes", "finding"),
    [
        ({"strides": (1, 1, 1)}, r"strides is \[1, 1, 1\] for a kernel of \[2, 2, 2\]; expected \[2, 2, 2\]"),
        ({"pads": (0, 0, 0, 1, 0, 0)}, r"pads is \[0, 0, 0, 1, 0, 0\]"),
        ({"output_padding": (1, 0, 0)}, r"output_padding is \[1, 0, 0\]"),
        ({"dilations": (1, 2, 1)}, r"dilations is \[1, 2, 1\]"),
        ({"group": 2}, "group is 2"),
        ({"auto_pad": "SAME_UPPER"}, "auto_pad is b'SAME_UPPER'"),
    ],
)
def test_a_deconvolution_of_another_kind_is_refused(attributes, finding):
    model = single_node(
        "ConvTranspose",
        [integers(4, 2, 2, 2, 2)],
        shape=(1, 4, 4, 4, 4),
        output=(None,) * 5,
        **({"strides": (2, 2, 2)} | attributes),
    )
    with pytest.raises(EngineError, match=rf"node 'node' \(ConvTranspose\): {finding}.*deconvolution='as_is'"):
        rewrite(model, deconvolution="pixel_shuffle")


def test_a_deconvolution_of_an_input_whose_size_is_not_fixed_is_refused():
    model = single_node(
        "ConvTranspose",
        [integers(4, 2, 2, 2, 2)],
        shape=(1, 4, 4, "height", 4),
        output=(None,) * 5,
        strides=(2, 2, 2),
    )
    with pytest.raises(EngineError, match=r"its input has the shape \(1, 4, 4, -1, 4\).*; expected a fixed one"):
        rewrite(model, deconvolution="pixel_shuffle")


@pytest.mark.parametrize(
    ("operator", "option"),
    [
        ("Conv", {"grouped": "dense"}),
        ("ConvTranspose", {"deconvolution": "pixel_shuffle"}),
        ("InstanceNormalization", {"norm": "decomposed"}),
    ],
)
def test_an_array_that_is_computed_is_refused(operator, option):
    arrays = [integers(4), integers(4)] if operator == "InstanceNormalization" else [integers(4, 1, 2, 2, 2)]
    attributes = {"Conv": {"group": 4}, "ConvTranspose": {"strides": (2, 2, 2)}}.get(operator, {})
    model = single_node(operator, arrays, shape=(1, 4, 4, 4, 4), output=(None,) * 5, **attributes)
    model.graph.node[0].input[1] = "computed"
    model.graph.node.insert(0, helper.make_node("Abs", ["array0"], ["computed"]))
    with pytest.raises(
        EngineError, match=f"node 'node' .{operator}.: its input 'computed' is computed; expected an arr"
    ):
        rewrite(model, **option)


def test_half_norms_are_refused_in_a_network_in_fp32(models):
    with pytest.raises(EngineError, match=r"comes from Conv and its output is read by Relu.*expects a Cast on either"):
        rewrite(models["fp32"], norm="native_half")


@pytest.mark.parametrize("norm", NORMS)
def test_norms_that_read_float16_already_are_refused(models, norm):
    half = rewrite(models["fp16"], norm="native_half")
    with pytest.raises(EngineError, match=r"it reads FLOAT16; norm='.*' expects FLOAT"):
        rewrite(half, norm=norm)


def changed_norm(model, change):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    change(next(node for node in copy.graph.node if node.op_type == "InstanceNormalization"), copy.graph)
    return copy


def test_an_epsilon_that_float16_loses_is_refused(models):
    model = changed_norm(models["fp16"], lambda node, _: setattr(node.attribute[0], "f", 1e-5))
    with pytest.raises(EngineError, match="epsilon is 1e-05, below float16's normal values"):
        rewrite(model, norm="native_half")
    rewrite(model, norm="decomposed")


def test_a_gamma_past_float16_is_refused(models):
    def scale(node, graph):
        gamma = next(tensor for tensor in graph.initializer if tensor.name == node.input[1])
        gamma.CopyFrom(numpy_helper.from_array(np.full(gamma.dims, 1e6, np.float32), gamma.name))

    with pytest.raises(EngineError, match=r"the array '.*_gamma' holds 1e\+06, past float16's 65504"):
        rewrite(changed_norm(models["fp16"], scale), norm="native_half")


def test_a_norm_whose_float32_output_is_read_elsewhere_is_refused(models):
    def read_twice(node, graph):
        graph.node.append(helper.make_node("Abs", [node.output[0]], ["elsewhere"]))

    with pytest.raises(EngineError, match="its output is read by Cast, Abs; norm='native_half' expects"):
        rewrite(changed_norm(models["fp16"], read_twice), norm="native_half")


def test_a_model_whose_types_contradict_each_other_is_refused(models):
    def mix(node, graph):
        cast = next(other for other in graph.node if other.output[0] == node.input[0])
        node.input[0] = cast.input[0]

    with pytest.raises(EngineError, match="the model is not valid as ONNX"):
        rewrite(changed_norm(models["fp16"], mix))
