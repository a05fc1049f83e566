from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from planted import Planted
from references import SIZES, checkpoint

from brats_trt import _host
from brats_trt.backends.cascade import UnknownGraphError, build_network
from brats_trt.export import convert

SIZE = (64, 64, 64)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """The reference of base width 1."""
    path = tmp_path_factory.mktemp("narrow") / "x.onnx"
    convert(*checkpoint("random-f1"), path, size=SIZES["random-f1"])
    return onnx.load(path)


def build(model, size=SIZE):
    return build_network(model, size, lambda size: _host.Network(size, precision="fp32", threads=1))


def other_attribute(operator, **attributes):
    def plant(to):
        to.set(to.nodes(operator)[0], **attributes)

    return plant


def of_a_3x3x3(**attributes):
    def plant(to):
        to.set(to.convolution(3), **attributes)

    return plant


def reread(operator, source, *, at=0):
    """Lets an operator read what another one reads or makes."""

    def plant(to):
        to.nodes(operator)[0].input[at] = source(to)

    return plant


def three_parts(to):
    del to.nodes("Max")[0].input[3]


def parts_of_two_tensors(to):
    first, second = to.nodes("Split")[:2]
    to.nodes("Max")[1].input[3] = first.output[3]
    assert second.output[3] not in to.nodes("Max")[1].input


def a_part_and_a_layer(to):
    to.nodes("Max")[0].input[3] = to.maker(to.nodes("Split")[0].input[0]).input[0]


def five_classes(to):
    last = to.maker(to.nodes("Softmax")[-1].input[0])
    weights, bias = (to.array(last.input[i]) for i in (1, 2))
    last.input[1] = to.constant(np.concatenate([weights, weights[:1]]))
    last.input[2] = to.constant(np.concatenate([bias, bias[:1]]), "planted_bias")


def classes_with_a_stride(to):
    to.set(to.maker(to.nodes("Softmax")[-1].input[0]), strides=[2, 2, 2])


def weights_of_another_width(to):
    node = to.convolution(1)
    weights = to.array(node.input[1])
    node.input[1] = to.constant(np.ascontiguousarray(weights.reshape(2 * weights.shape[0], -1, 1, 1, 1)))


def weights_that_are_computed(to):
    to.convolution(3).input[1] = to.nodes("Relu")[0].output[0]


def weights_that_are_not_finite(to):
    node = to.convolution(3)
    weights = to.array(node.input[1]).copy()
    weights.flat[5] = np.nan
    node.input[1] = to.constant(weights)


def integers_between(to):
    norm = to.nodes("InstanceNormalization")[0]
    to.insert_after(
        to.maker(norm.input[0]),
        helper.make_node("Cast", [norm.input[0]], ["whole"], name="whole", to=TensorProto.INT32),
    )


def the_same_twice(to):
    node = to.nodes("Add")[0]
    node.input[1] = node.input[0]


def norm_without_relu(to):
    to.convolution(3).input[0] = to.nodes("InstanceNormalization")[0].output[0]


def unequal_parts(to):
    node = to.nodes("Split")[-1]
    width = int(np.prod(to.array(to.maker(to.maker(node.input[0]).input[0]).input[1]).shape[:1]))
    node.input.append(to.constant(np.array([width // 4 - 1, width // 4 + 1, width // 4, width // 4])))


def another_domain(to):
    to.nodes("Relu")[0].domain = "com.microsoft"


def another_operator(to):
    to.nodes("Relu")[0].op_type = "LeakyRelu"


PLANTED = {
    "stride": (of_a_3x3x3(strides=[3, 3, 3]), r"\(Conv\): a convolution of .* stride 3"),
    "stride by axis": (of_a_3x3x3(strides=[1, 1, 2]), r"\(Conv\): \[1, 1, 2\] along the axes"),
    "padding": (of_a_3x3x3(pads=[0] * 6), r"\(Conv\): padding other than the cascade's of 1"),
    "padding by name": (of_a_3x3x3(auto_pad="SAME_UPPER", pads=None), r"\(Conv\): padding"),
    "dilation": (of_a_3x3x3(dilations=[2, 2, 2]), r"\(Conv\): dilation"),
    "window": (of_a_3x3x3(kernel_shape=[3, 3, 1]), r"\(Conv\): a window of \[3, 3, 1\]"),
    "groups": (of_a_3x3x3(group=2), r"\(Conv\): weights for"),
    "unknown attribute": (other_attribute("Relu", alpha=0.1), r"\(Relu\): attributes \['alpha'\]"),
    "unknown domain": (another_domain, r"\(Relu\): an operator that the network does not have"),
    "unknown operator": (another_operator, r"\(LeakyRelu\): an operator that the network does not have"),
    "padded means": (other_attribute("AveragePool", pads=[1] * 6), r"\(AveragePool\): padding"),
    "means of other voxels": (
        other_attribute("AveragePool", kernel_shape=[3, 3, 3]),
        r"\(AveragePool\): means of other voxels",
    ),
    "overlapping means": (
        other_attribute("AveragePool", strides=[1, 1, 1]),
        r"\(AveragePool\): means of other voxels",
    ),
    "padded deconvolution": (other_attribute("ConvTranspose", pads=[1] * 6), r"\(ConvTranspose\): padding"),
    "longer deconvolution": (
        other_attribute("ConvTranspose", output_padding=[1, 1, 1]),
        r"\(ConvTranspose\): a deconvolution other than",
    ),
    "deconvolution of a shape": (
        other_attribute("ConvTranspose", output_shape=[9, 9, 9]),
        r"\(ConvTranspose\): attributes \['output_shape'\]",
    ),
    "dilated deconvolution": (other_attribute("ConvTranspose", dilations=[2, 2, 2]), r"\(ConvTranspose\): dilation"),
    "softmax of rows": (other_attribute("Softmax", axis=4), r"\(Softmax\): a softmax that is not behind"),
    "concatenated rows": (other_attribute("Concat", axis=2), r"\(Concat\): a concatenation that is not of channels"),
    "split rows": (other_attribute("Split", axis=2), r"\(Split\): a split that is not"),
    "unequal parts": (unequal_parts, r"\(Split\): a split that is not"),
    "three parts": (three_parts, r"\(Max\): a maximum of other tensors than all parts of one"),
    "parts of two": (parts_of_two_tensors, r"\(Max\): a maximum of parts of several tensors"),
    "part and layer": (a_part_and_a_layer, r"\(Max\): a maximum of other tensors than all parts of one"),
    "ReLU alone": (
        reread("Relu", lambda to: to.nodes("InstanceNormalization")[0].input[0]),
        r"\(Relu\): a ReLU that is not behind a norm",
    ),
    "norm without ReLU": (norm_without_relu, r"\(Conv\): a convolution of .* of normal"),
    "norm of the input": (
        reread("InstanceNormalization", lambda _: "data_crop"),
        r"\(InstanceNormalization\): 'data_crop' is not the output of a layer",
    ),
    "norm of a norm": (
        reread("InstanceNormalization", lambda to: to.nodes("Relu")[0].output[0]),
        r"\(InstanceNormalization\)",
    ),
    "the same twice": (the_same_twice, r"\(Add\): a sum of other tensors than a residual block's"),
    "five classes": (five_classes, r"\(Softmax\): a softmax of 5 classes; expected 4"),
    "strided classes": (classes_with_a_stride, r"\(Softmax\): a softmax that is not behind a 1x1x1"),
    "another width": (weights_of_another_width, r"weights for \d+ channels of \d+"),
    "computed weights": (weights_that_are_computed, r"\(Conv\): weights that are not constant"),
    "NaN among weights": (weights_that_are_not_finite, r"\(Conv\): weights that are not finite"),
    "cast to integers": (integers_between, r"\(Cast\): a cast to other than floats"),
    "unknown name": (reread("Relu", lambda _: "nowhere"), r"\(Relu\): 'nowhere' is not known"),
    "no gamma": (reread("InstanceNormalization", lambda _: "", at=1), r"\(InstanceNormalization\): no input 1"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_another_graph_is_refused_by_the_node_that_differs(narrow, fault):
    plant, message = PLANTED[fault]
    planted = Planted(narrow)
    plant(planted)
    with pytest.raises(UnknownGraphError, match=f"^node '.+' .*{message}"):
        build(planted.model)


def output(*names):
    def plant(to):
        shape = to.graph.output[0]
        del to.graph.output[1:]
        for name in names[1:]:
            to.graph.output.add().CopyFrom(shape)
            to.graph.output[-1].name = name(to)
        to.graph.output[0].name = names[0](to)

    return plant


@pytest.mark.parametrize(
    "plant",
    [
        output(lambda to: to.nodes("Softmax")[0].output[0]),
        output(lambda to: to.nodes("Softmax")[-1].input[0]),
        output(lambda to: to.nodes("Add")[-1].output[0]),
        output(lambda to: to.nodes("Max")[-1].output[0]),
        output(lambda _: "nowhere"),
        output(lambda to: to.nodes("Softmax")[-1].output[0], lambda to: to.nodes("Softmax")[0].output[0]),
    ],
    ids=["first softmax", "scores", "sum", "maximum", "nothing", "two"],
)
def test_another_output_than_the_last_softmax_is_refused(narrow, plant):
    planted = Planted(narrow)
    plant(planted)
    with pytest.raises(UnknownGraphError, match="the graph's output is not its last softmax"):
        build(planted.model)


def test_a_graph_that_ends_before_its_softmax_is_refused(narrow):
    planted = Planted(narrow)
    last = planted.nodes("Add")[-1]
    kept = list(planted.graph.node)[: list(planted.graph.node).index(last) + 1]
    del planted.graph.node[len(kept) :]
    planted.graph.output[0].name = last.output[0]
    with pytest.raises(UnknownGraphError, match="the graph's output is not its last softmax"):
        build(planted.model)


def test_operators_that_meant_something_else_are_refused(narrow):
    planted = Planted(narrow)
    planted.model.opset_import[0].version = 11
    with pytest.raises(UnknownGraphError, match="operators of opset 11; expected 13 or newer"):
        build(planted.model)


def test_two_inputs_are_refused_and_constants_are_none(narrow):
    planted = Planted(narrow)
    array = planted.graph.initializer[0]
    planted.graph.input.insert(0, helper.make_tensor_value_info(array.name, TensorProto.FLOAT, array.dims))
    build(planted.model)
    planted.graph.input.add().CopyFrom(helper.make_tensor_value_info("more", TensorProto.FLOAT, [1]))
    with pytest.raises(UnknownGraphError, match="2 inputs; expected one"):
        build(planted.model)


def test_a_size_that_the_cascade_cannot_halve_is_refused(narrow):
    with pytest.raises(UnknownGraphError, match=r"a grid that is not even"):
        build(narrow, (72, 64, 64))
