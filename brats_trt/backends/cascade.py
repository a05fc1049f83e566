"""From an ONNX graph of the cascade to the layers of `_host.Network`: what stands between convolutions goes into them.

Norm and ReLU go into the convolution that reads them, a residual into the one that is added to it, the maximum over the
modalities and the concatenations into the 1x1x1 convolution behind, the softmax into the one in front. Casts are left
out: the network computes in one precision throughout. A graph that this could get wrong is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import EngineError
from .cascade_operators import OLDEST_OPSET, translate
from .cascade_values import Convolution, Input, Joined, Normal, Tensor, Value, Weights

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

    from .._host import Network

MODALITIES = 4


class UnknownGraphError(EngineError):
    """The graph is not one of the cascade's, or has channels that the precision's words do not divide."""


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
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise UnknownGraphError(f"operators of opset {opset}; expected {OLDEST_OPSET} or newer")
    lowering = Lowering(make(size), model.graph)
    for node in model.graph.node:
        lowering.take(node)
    last = lowering.outputs(model.graph)
    if len(last) != 1 or not isinstance(last[0], Tensor) or not last[0].is_softmax or last[0].number != lowering.latest:
        raise UnknownGraphError("the graph's output is not its last softmax")
    return lowering.network


class Lowering:
    """A graph on its way to a network: what each of its names is."""

    def __init__(self, network: Network, graph: GraphProto) -> None:
        from onnx import numpy_helper

        self.network = network
        self.latest = 0
        self._values: dict[str, Value] = {
            array.name: np.asarray(numpy_helper.to_array(array)) for array in graph.initializer
        }
        inputs = [value.name for value in graph.input if value.name not in self._values]
        if len(inputs) != 1:
            raise UnknownGraphError(f"{len(inputs)} inputs; expected one")
        self._values[inputs[0]] = Input(0)
        self._behind_casts: dict[str, str] = {}

    def take(self, node: NodeProto) -> None:
        """Translate one node; the values of its inputs are known."""
        try:
            translate(self, node)
        except ValueError as fault:
            raise _unknown(node, fault) from None

    def outputs(self, graph: GraphProto) -> list[Value | None]:
        """What the graph gives."""
        return [self._values.get(self._behind_casts.get(each.name, each.name)) for each in graph.output]

    def _name(self, node: NodeProto, i: int) -> str:
        """The i-th input, as the node that made it calls it: a cast changes nothing."""
        if i >= len(node.input) or not node.input[i]:
            raise ValueError(f"no input {i}")
        given = str(node.input[i])
        name = self._behind_casts.get(given, given)
        if name not in self._values:
            raise ValueError(f"{given!r} is not known")
        return name

    def value(self, node: NodeProto, i: int) -> Value:
        """What the i-th input is."""
        return self._values[self._name(node, i)]

    def weights(self, node: NodeProto, i: int) -> Weights:
        """The i-th input, which is constant."""
        value = self.value(node, i)
        if not isinstance(value, np.ndarray):
            raise ValueError("weights that are not constant")
        return np.asarray(value, np.float32)

    def optional_weights(self, node: NodeProto, i: int) -> Weights | None:
        """The same where it is given."""
        return self.weights(node, i) if i < len(node.input) and node.input[i] else None

    def tensor(self, node: NodeProto, i: int) -> Tensor:
        """The i-th input, computed now where it was not yet."""
        name = self._name(node, i)
        value = self._values[name]
        if isinstance(value, Convolution):
            value = self._values[name] = self.compute(value)
        if not isinstance(value, Tensor):
            raise ValueError(f"{name!r} is not the output of a layer")
        return value

    def give(self, name: str, value: Value) -> None:
        """Say what a name is."""
        self._values[name] = value

    def pass_on(self, node: NodeProto) -> None:
        """Take a node's output for its input."""
        self._behind_casts[node.output[0]] = self._name(node, 0)

    def made(self, number: int, channels: int, *, is_softmax: bool = False) -> Tensor:
        """The tensor of a layer that was added just now."""
        self.latest = number
        return Tensor(number, channels, is_softmax=is_softmax)

    def compute(self, layer: Convolution, residual: int | None = None) -> Tensor:
        """Add a convolution to the network, and to it a residual tensor.

        Raises
        ------
        UnknownGraphError
            If the network has none like it; names the convolution, not the node that reads it.
        """
        try:
            return self.made(self._add(layer, residual), layer.weights.shape[0])
        except ValueError as fault:
            raise _unknown(layer.node, fault) from None

    def _add(self, layer: Convolution, residual: int | None) -> int:
        source, weights, bias = layer.source, layer.weights, layer.bias
        kernel, plain = weights.shape[2:], (layer.stride, layer.groups) == (1, 1)
        if weights.shape[1] * layer.groups != _channels(source):
            raise ValueError(f"weights for {weights.shape[1] * layer.groups} channels of {_channels(source)}")
        if isinstance(source, Normal) and kernel == (3, 3, 3) and layer.stride == 1 and source.activated:
            return self.network.convolve(
                source.source.number,
                norm=source.norm,
                groups=layer.groups,
                weights=weights,
                bias=bias,
                residual=residual,
            )
        if isinstance(source, Input) and kernel == (3, 3, 3) and (layer.stride, layer.groups) == (1, MODALITIES):
            return self.network.convolve_first(source.number, weights, bias)
        if isinstance(source, Tensor) and source.parts == 1 and kernel == (3, 3, 3) and layer.stride == 2:
            return self.network.reduce(source.number, groups=layer.groups, weights=weights, bias=bias)
        if isinstance(source, Tensor | Joined) and kernel == (1, 1, 1) and plain:
            tensors = source.tensors if isinstance(source, Joined) else (source,)
            return self.network.mix([(each.number, each.parts) for each in tensors], weights, bias)
        what = type(source).__name__.lower()
        raise ValueError(f"a convolution of {kernel}, stride {layer.stride}, {layer.groups} groups, of {what}")


def _unknown(node: NodeProto, fault: ValueError) -> UnknownGraphError:
    return UnknownGraphError(f"node {node.name or ', '.join(node.output)!r} ({node.op_type}): {fault}")


def _channels(source: Tensor | Input | Normal | Joined) -> int:
    if isinstance(source, Input):
        return MODALITIES
    if isinstance(source, Joined):
        return sum(each.channels for each in source.tensors)
    return source.source.channels if isinstance(source, Normal) else source.channels
