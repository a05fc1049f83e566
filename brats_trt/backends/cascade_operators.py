"""What each ONNX operator of the cascade becomes: see `cascade`.

An attribute that is not listed here, or a value that the cascade does not have, is refused: it might change the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from .cascade_values import Convolution, Input, Joined, Normal, Piece, Tensor

if TYPE_CHECKING:
    from onnx import NodeProto

    from .cascade import Lowering

# Before, a softmax took all axes behind its own at once, and a split's parts stood in an attribute.
OLDEST_OPSET = 13
CLASSES = 4

Attributes: TypeAlias = Mapping[str, Any]


def translate(to: Lowering, node: NodeProto) -> None:
    """Translate one node.

    Raises
    ------
    ValueError
        If the network has nothing like it.
    """
    from onnx import helper

    if node.domain not in ("", "ai.onnx") or node.op_type not in _RULES:
        raise ValueError("an operator that the network does not have")
    rule, known = _RULES[node.op_type]
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    if unknown := sorted(attributes.keys() - set(known.split())):
        raise ValueError(f"attributes {unknown} that the network does not have")
    rule(to, node, attributes)


def _one_of(values: Sequence[int]) -> int:
    if len(set(values)) != 1:
        raise ValueError(f"{list(values)} along the axes; expected one value")
    return values[0]


def _stride_of(attributes: Attributes, kernel: tuple[int, ...], *, padding: int) -> int:
    """The stride of a window along each axis; everything else about it must be the cascade's."""
    if tuple(attributes.get("kernel_shape", kernel)) != kernel or len(kernel) != 3:
        raise ValueError(f"a window of {attributes.get('kernel_shape', kernel)} with weights of {kernel}")
    if list(attributes.get("pads", [0] * 6)) != [padding] * 6 or attributes.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ValueError(f"padding other than the cascade's of {padding} on each side")
    if set(attributes.get("dilations", [1])) != {1}:
        raise ValueError("dilation")
    return _one_of(attributes.get("strides", [1, 1, 1]))


def _cast(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    from onnx import TensorProto

    if attributes.get("to") not in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE):
        raise ValueError("a cast to other than floats")
    to.pass_on(node)


def _convolution(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    source = to.value(node, 0)
    if isinstance(source, Convolution):
        source = to.tensor(node, 0)
    weights = to.weights(node, 1)
    stride = _stride_of(attributes, weights.shape[2:], padding=max(weights.shape[2:], default=0) // 2)
    if not isinstance(source, Tensor | Input | Normal | Joined):
        raise ValueError("a convolution of a constant, or of a part of a tensor")
    bias = to.optional_weights(node, 2)
    to.give(node.output[0], Convolution(node, source, weights, bias, attributes.get("group", 1), stride))


def _deconvolution(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    source, weights = to.tensor(node, 0), to.weights(node, 1)
    stride = _stride_of(attributes, weights.shape[2:], padding=0)
    plain = attributes.get("group", 1) == 1 and not any(attributes.get("output_padding", [0]))
    if weights.shape[2:] != (2, 2, 2) or stride != 2 or not plain:
        raise ValueError("a deconvolution other than of 2x2x2 with stride 2")
    if weights.shape[0] != source.channels:
        raise ValueError(f"weights for {weights.shape[0]} channels of {source.channels}")
    number = to.network.expand((source.number, source.parts), weights, to.optional_weights(node, 2))
    to.give(node.output[0], to.made(number, weights.shape[1]))


def _norm(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    source = to.tensor(node, 0)
    if source.parts != 1:
        raise ValueError("a norm of a maximum")
    norm = (to.weights(node, 1), to.weights(node, 2), float(attributes.get("epsilon", 1e-5)))
    to.give(node.output[0], Normal(source, norm))


def _relu(to: Lowering, node: NodeProto, _: Attributes) -> None:
    source = to.value(node, 0)
    if not isinstance(source, Normal):
        raise ValueError("a ReLU that is not behind a norm")
    to.give(node.output[0], Normal(source.source, source.norm, activated=True))


def _sum(to: Lowering, node: NodeProto, _: Attributes) -> None:
    first, second = to.value(node, 0), to.value(node, 1)
    if isinstance(first, Convolution) and isinstance(second, Tensor):
        layer, residual = first, second
    elif isinstance(second, Convolution) and isinstance(first, Tensor):
        layer, residual = second, first
    else:
        raise ValueError("a sum of other tensors than a residual block's")
    if residual.parts != 1 or not isinstance(layer.source, Normal):
        raise ValueError("a sum of other tensors than a residual block's")
    to.give(node.output[0], to.compute(layer, residual.number))


def _split(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    source, sizes = to.tensor(node, 0), to.optional_weights(node, 1)
    parts = len(node.output)
    expected = [source.channels / parts] * parts
    equal = sizes is None or sizes.ravel().tolist() == expected
    if attributes.get("axis", 0) != 1 or source.parts != 1 or source.channels % parts or not equal:
        raise ValueError("a split that is not of a layer's channels into equal parts")
    for i, name in enumerate(node.output):
        to.give(name, Piece(source, i, parts))


def _maximum(to: Lowering, node: NodeProto, _: Attributes) -> None:
    first = to.value(node, 0)
    pieces = {piece for i in range(len(node.input)) if isinstance(piece := to.value(node, i), Piece)}
    if not isinstance(first, Piece) or len(pieces) != len(node.input) or len(pieces) != first.parts:
        raise ValueError("a maximum of other tensors than all parts of one")
    if pieces != {Piece(first.source, i, first.parts) for i in range(first.parts)}:
        raise ValueError("a maximum of parts of several tensors")
    to.give(node.output[0], Tensor(first.source.number, first.source.channels, first.parts))


def _concatenation(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    if attributes.get("axis") != 1:
        raise ValueError("a concatenation that is not of channels")
    to.give(node.output[0], Joined(tuple(to.tensor(node, i) for i in range(len(node.input)))))


def _means(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    source = to.value(node, 0)
    side = _one_of(attributes.get("kernel_shape", [0]))
    stride = _stride_of(attributes, (side, side, side), padding=0)
    if not isinstance(source, Input) or side not in (2, 4) or stride != side:
        raise ValueError("means of other voxels than 2x2x2 or 4x4x4 of the input")
    number = source.number
    for _ in range(side // 2):
        number = to.network.average(number)
    to.give(node.output[0], Input(number))


def _softmax(to: Lowering, node: NodeProto, attributes: Attributes) -> None:
    layer = to.value(node, 0)
    if attributes.get("axis", -1) != 1 or not isinstance(layer, Convolution) or not isinstance(layer.source, Tensor):
        raise ValueError("a softmax that is not behind a convolution to the classes")
    source, weights = layer.source, layer.weights
    if source.parts != 1 or (layer.stride, layer.groups) != (1, 1) or weights.shape[2:] != (1, 1, 1):
        raise ValueError("a softmax that is not behind a 1x1x1 convolution of a layer")
    if weights.shape[:2] != (CLASSES, source.channels):
        raise ValueError(f"a softmax of {weights.shape[0]} classes; expected {CLASSES}")
    number = to.network.classify(source.number, weights, layer.bias)
    to.give(node.output[0], to.made(number, CLASSES, is_softmax=True))


_WINDOW = "auto_pad dilations kernel_shape pads strides"
# Each operator's rule, and the attributes that the rule looks at. Whether padding counts in a mean, how an odd size is
# rounded, and how many parts a split has where its outputs say it, changes nothing.
_RULES: Mapping[str, tuple[Callable[[Lowering, NodeProto, Attributes], None], str]] = {
    "Add": (_sum, ""),
    "AveragePool": (_means, f"{_WINDOW} ceil_mode count_include_pad"),
    "Cast": (_cast, "to saturate"),
    "Concat": (_concatenation, "axis"),
    "Conv": (_convolution, f"{_WINDOW} group"),
    "ConvTranspose": (_deconvolution, f"{_WINDOW} group output_padding"),
    "InstanceNormalization": (_norm, "epsilon"),
    "Max": (_maximum, ""),
    "Relu": (_relu, ""),
    "Softmax": (_softmax, "axis"),
    "Split": (_split, "axis num_outputs"),
}
