"""From an ONNX graph of the cascade to the layers of `_host.Network`: what stands between convolutions goes into them.

Norm and ReLU go into the convolution that reads them, a residual into the one that is added to it, the maximum over the
modalities and the concatenations into the 1x1x1 convolution behind, the softmax into the one in front. Casts are left
out: the network computes in one precision throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from .._host import Network

Weights = NDArray[np.float32]


class UnknownGraphError(EngineError):
    """The graph is not one of the cascade's, or has channels that the precision's words do not divide."""


@dataclass(frozen=True)
class _Tensor:
    """A tensor of the network: its number, and how many equal parts of it the greatest is taken of."""

    number: int
    parts: int = 1


@dataclass(frozen=True)
class _Input:
    """The network's input, or means of it."""

    number: int


@dataclass(frozen=True)
class _Piece:
    """One of the equal parts that a tensor is split into."""

    number: int
    index: int
    parts: int


@dataclass(frozen=True)
class _Normal:
    """A normalised tensor, with its ReLU or before it."""

    number: int
    norm: tuple[Weights, Weights, float]
    activated: bool = False


@dataclass(frozen=True)
class _Joined:
    """Tensors one behind the other."""

    tensors: tuple[_Tensor, ...]


@dataclass(frozen=True)
class _Convolution:
    """A convolution that is computed when it is known what is added to it, or whether its softmax is taken."""

    source: _Tensor | _Input | _Normal | _Joined
    weights: Weights
    bias: Weights | None
    groups: int
    stride: int


_Value: TypeAlias = "_Tensor | _Input | _Piece | _Normal | _Joined | _Convolution | Weights"


def build_network(model: ModelProto, size: Sequence[int], make: Callable[[Sequence[int]], Network]) -> Network:
    """The network of a graph that `brats-trt convert` wrote, float32 or typed.

    Parameters
    ----------
    model
        With one input (1, 4, D, H, W) and one output, the last softmax.
    size
        D, H and W.
    make
        Makes an empty network of that size.

    Raises
    ------
    UnknownGraphError
        If the graph is another one, or its channels do not fit the network's words.
    """
    lowering = _Lowering(make(size), model.graph)
    for node in model.graph.node:
        lowering.take(node)
    last = lowering.output(model.graph.output[0].name)
    if not isinstance(last, _Tensor) or last.number != lowering.latest:
        raise UnknownGraphError("the graph's output is not its last softmax")
    return lowering.network


class _Lowering:
    def __init__(self, network: Network, graph: GraphProto) -> None:
        from onnx import numpy_helper

        self.network = network
        self.values: dict[str, _Value] = {graph.input[0].name: _Input(0)}
        self.values |= {array.name: np.asarray(numpy_helper.to_array(array)) for array in graph.initializer}
        self.latest = 0
        self._behind_casts: dict[str, str] = {}

    def take(self, node: NodeProto) -> None:
        """Translate one node; the values of its inputs are known."""
        try:
            if node.op_type not in _RULES:
                raise ValueError("an operator that the network does not have")
            _RULES[node.op_type](self, node, _attributes(node))
        except (ValueError, KeyError, IndexError) as fault:
            raise UnknownGraphError(f"node {node.name or node.output[0]!r} ({node.op_type}): {fault}") from None

    def name(self, node: NodeProto, i: int) -> str:
        """The i-th input, as the node that made it calls it: a cast changes nothing."""
        given = str(node.input[i])
        return self._behind_casts.get(given, given)

    def value(self, node: NodeProto, i: int) -> _Value:
        """What the i-th input is."""
        return self.values[self.name(node, i)]

    def output(self, name: str) -> _Value:
        """What the graph gives under a name."""
        return self.values[self._behind_casts.get(name, name)]

    def pass_on(self, node: NodeProto) -> None:
        """Take a node's output for its input."""
        self._behind_casts[node.output[0]] = self.name(node, 0)

    def weights(self, node: NodeProto, i: int) -> Weights:
        value = self.value(node, i)
        if not isinstance(value, np.ndarray):
            raise ValueError("weights that are not constant")
        return np.asarray(value, np.float32)

    def bias(self, node: NodeProto) -> Weights | None:
        return self.weights(node, 2) if len(node.input) > 2 and node.input[2] else None

    def tensor(self, name: str) -> _Tensor:
        """A tensor by its name, computed now where it was not yet."""
        value = self.values[name]
        if isinstance(value, _Convolution):
            value = self.values[name] = self.compute(value)
        if not isinstance(value, _Tensor):
            raise ValueError(f"{name} is not a tensor")
        return value

    def made(self, number: int) -> _Tensor:
        self.latest = number
        return _Tensor(number)

    def compute(self, layer: _Convolution, residual: int | None = None) -> _Tensor:
        source, weights, bias = layer.source, layer.weights, layer.bias
        kernel = weights.shape[2:]
        if residual is not None and not isinstance(source, _Normal):
            raise ValueError("a sum of other tensors than a residual block's")
        if isinstance(source, _Normal) and kernel == (3, 3, 3) and layer.stride == 1 and source.activated:
            return self.made(
                self.network.convolve(
                    source.number, norm=source.norm, groups=layer.groups, weights=weights, bias=bias, residual=residual
                )
            )
        if isinstance(source, _Input) and kernel == (3, 3, 3) and layer.stride == 1 and weights.shape[1] == 1:
            return self.made(self.network.convolve_first(source.number, weights, bias))
        if isinstance(source, _Tensor) and source.parts == 1 and kernel == (3, 3, 3) and layer.stride == 2:
            return self.made(self.network.reduce(source.number, groups=layer.groups, weights=weights, bias=bias))
        if isinstance(source, _Tensor | _Joined) and kernel == (1, 1, 1) and (layer.stride, layer.groups) == (1, 1):
            tensors = source.tensors if isinstance(source, _Joined) else (source,)
            return self.made(self.network.mix([(each.number, each.parts) for each in tensors], weights, bias))
        raise ValueError(f"a convolution of {kernel}, stride {layer.stride}, of {type(source).__name__[1:].lower()}")


def _attributes(node: NodeProto) -> Mapping[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _one_of(values: Sequence[int]) -> int:
    if len(set(values)) != 1:
        raise ValueError(f"{list(values)} along the axes; expected one value")
    return values[0]


def _cast(to: _Lowering, node: NodeProto, _: Mapping[str, Any]) -> None:
    to.pass_on(node)


def _convolution(to: _Lowering, node: NodeProto, attributes: Mapping[str, Any]) -> None:
    source = to.value(node, 0)
    if isinstance(source, _Convolution):
        source = to.tensor(to.name(node, 0))
    weights = to.weights(node, 1)
    pads = [side // 2 for side in weights.shape[2:]] * 2
    if list(attributes.get("pads", [0] * 6)) != pads or set(attributes.get("dilations", [1])) != {1}:
        raise ValueError("padding or dilation other than the cascade's")
    if not isinstance(source, _Tensor | _Input | _Normal | _Joined):
        raise ValueError("a convolution of a constant, or of a part of a tensor")
    stride = _one_of(attributes.get("strides", [1, 1, 1]))
    to.values[node.output[0]] = _Convolution(source, weights, to.bias(node), attributes.get("group", 1), stride)


def _deconvolution(to: _Lowering, node: NodeProto, attributes: Mapping[str, Any]) -> None:
    weights = to.weights(node, 1)
    plain = attributes.get("group", 1) == 1 and not any(attributes.get("pads", [0]))
    if weights.shape[2:] != (2, 2, 2) or _one_of(attributes["strides"]) != 2 or not plain:
        raise ValueError("a deconvolution other than of 2x2x2 with stride 2")
    source = to.tensor(to.name(node, 0))
    to.values[node.output[0]] = to.made(to.network.expand((source.number, source.parts), weights, to.bias(node)))


def _norm(to: _Lowering, node: NodeProto, attributes: Mapping[str, Any]) -> None:
    source = to.tensor(to.name(node, 0))
    if source.parts != 1:
        raise ValueError("a norm of a maximum")
    norm = (to.weights(node, 1), to.weights(node, 2), float(attributes["epsilon"]))
    to.values[node.output[0]] = _Normal(source.number, norm)


def _relu(to: _Lowering, node: NodeProto, _: Mapping[str, Any]) -> None:
    source = to.value(node, 0)
    if not isinstance(source, _Normal):
        raise ValueError("a ReLU that is not behind a norm")
    to.values[node.output[0]] = _Normal(source.number, source.norm, activated=True)


def _sum(to: _Lowering, node: NodeProto, _: Mapping[str, Any]) -> None:
    first, second = to.value(node, 0), to.value(node, 1)
    if isinstance(first, _Convolution) and isinstance(second, _Tensor):
        layer, residual = first, second
    elif isinstance(second, _Convolution) and isinstance(first, _Tensor):
        layer, residual = second, first
    else:
        raise ValueError("a sum of other tensors than a residual block's")
    if residual.parts != 1:
        raise ValueError("a residual that is a maximum")
    to.values[node.output[0]] = to.compute(layer, residual.number)


def _split(to: _Lowering, node: NodeProto, attributes: Mapping[str, Any]) -> None:
    if attributes.get("axis", 0) != 1 or (len(node.input) > 1 and len(set(to.weights(node, 1))) != 1):
        raise ValueError("a split that is not into equal parts of the channels")
    source = to.tensor(to.name(node, 0))
    for i, name in enumerate(node.output):
        to.values[name] = _Piece(source.number, i, len(node.output))


def _maximum(to: _Lowering, node: NodeProto, _: Mapping[str, Any]) -> None:
    pieces = [to.value(node, i) for i in range(len(node.input))]
    first = pieces[0]
    if not isinstance(first, _Piece) or {*pieces} != {_Piece(first.number, i, first.parts) for i in range(first.parts)}:
        raise ValueError("a maximum of other tensors than all parts of one")
    to.values[node.output[0]] = _Tensor(first.number, first.parts)


def _concatenation(to: _Lowering, node: NodeProto, attributes: Mapping[str, Any]) -> None:
    if attributes["axis"] != 1:
        raise ValueError("a concatenation that is not of channels")
    to.values[node.output[0]] = _Joined(tuple(to.tensor(to.name(node, i)) for i in range(len(node.input))))


def _means(to: _Lowering, node: NodeProto, attributes: Mapping[str, Any]) -> None:
    source = to.value(node, 0)
    side = _one_of(attributes["kernel_shape"])
    if not isinstance(source, _Input) or side not in (2, 4) or _one_of(attributes["strides"]) != side:
        raise ValueError("means of other voxels than 2x2x2 or 4x4x4 of the input")
    number = source.number
    for _ in range(side // 2):
        number = to.network.average(number)
    to.values[node.output[0]] = _Input(number)


def _softmax(to: _Lowering, node: NodeProto, attributes: Mapping[str, Any]) -> None:
    layer = to.value(node, 0)
    if attributes.get("axis", -1) != 1 or not isinstance(layer, _Convolution) or not isinstance(layer.source, _Tensor):
        raise ValueError("a softmax that is not behind a convolution to the classes")
    if layer.weights.shape[0] != 4 or layer.weights.shape[2:] != (1, 1, 1) or layer.source.parts != 1:
        raise ValueError("a softmax of other than four classes")
    to.values[node.output[0]] = to.made(to.network.classify(layer.source.number, layer.weights, layer.bias))


_RULES: Mapping[str, Callable[[_Lowering, NodeProto, Mapping[str, Any]], None]] = {
    "Add": _sum,
    "AveragePool": _means,
    "Cast": _cast,
    "Concat": _concatenation,
    "Conv": _convolution,
    "ConvTranspose": _deconvolution,
    "InstanceNormalization": _norm,
    "Max": _maximum,
    "Relu": _relu,
    "Softmax": _softmax,
    "Split": _split,
}
