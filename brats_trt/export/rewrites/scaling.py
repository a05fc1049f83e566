"""A network whose values are a power of two smaller inside, so that float16 can hold them.

Between its norms the network adds up convolutions without any bound, and a checkpoint may take them past 65504. But a
norm of s x with epsilon s^2 eps is the norm of x with eps, and everything else up to a softmax is linear, or a maximum.
So with gamma, beta, epsilon and the convolutions' biases made smaller, every tensor is s times what it was, but for the
input and what the softmaxes read and give; weights change only where the input or a softmax is read. In front of a
softmax, in float32, the factor is taken back. With s a power of two no rounding changes, in float16 but for what
becomes smaller than 2^-14 on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from .draft import Draft, Node, attributes, fault

Scale = Literal["as_is", "quarter", "sixteenth"]
_FACTORS: dict[Scale, float] = {"quarter": 2.0**-2, "sixteenth": 2.0**-4}
_DEFAULT_EPSILON = 1e-5
_KEEP = "build with scale='as_is' (--scale as_is)"

# The factor of each channel.
Channels = NDArray[np.float64]


def scale_values(draft: Draft, scale: Scale) -> None:
    """Make every value between the input and the softmaxes smaller.

    Raises
    ------
    EngineError
        If the network has a node through which a factor does not pass.
    """
    if scale == "as_is":
        return
    pass_ = _Pass(draft, _FACTORS[scale])
    draft.nodes = [new for node in draft.nodes for new in pass_.through(node)]
    pass_.expect_whole_outputs()


class _Pass:
    """The way through the graph, with the factor of each tensor's channels."""

    def __init__(self, draft: Draft, factor: float) -> None:
        self._draft = draft
        self._factor = factor
        self._channels: dict[str, Channels] = {}
        self._arrays: dict[tuple[str, bytes], str] = {}
        self._handlers: dict[str, Callable[[Node], Node]] = {
            "Conv": self._convolution,
            "ConvTranspose": self._convolution,
            "InstanceNormalization": self._norm,
            "Concat": self._concat,
            "Split": self._split,
            "Add": self._same,
            "Sum": self._same,
            "Max": self._same,
            **dict.fromkeys(("Cast", "Relu", "LeakyRelu", "AveragePool", "MaxPool"), self._same),
        }

    def through(self, node: Node) -> list[Node]:
        """The node with the arrays it needs now, and what has to come before it."""
        if node.op_type == "Softmax":
            return self._softmax(node)
        if node.op_type not in self._handlers:
            raise fault(node, "a factor may not pass through this operator", _KEEP)
        return [self._handlers[node.op_type](node)]

    def expect_whole_outputs(self) -> None:
        """Refuse a network whose output is not what it was."""
        for name, node in self._draft.producers().items():
            if name in self._draft.outputs and (self._of(name) != 1).any():
                raise fault(node, "it gives the output, which would be scaled; expected a softmax last", _KEEP)

    def _of(self, name: str) -> Channels:
        return self._channels.get(name, np.ones(self._draft.shapes[name][1]))

    def _same(self, node: Node) -> Node:
        first, *others = (self._of(name) for name in node.input)
        if any((other != first).any() for other in others):
            raise fault(node, "its inputs would be scaled differently", _KEEP)
        self._channels[node.output[0]] = first
        return node

    def _concat(self, node: Node) -> Node:
        self._expect_channels(node)
        self._channels[node.output[0]] = np.concatenate([self._of(name) for name in node.input])
        return node

    def _split(self, node: Node) -> Node:
        self._expect_channels(node)
        ends = np.cumsum([self._draft.shapes[name][1] for name in node.output])
        self._channels.update(zip(node.output, np.split(self._of(node.input[0]), ends[:-1]), strict=True))
        return node

    def _expect_channels(self, node: Node) -> None:
        if attributes(node).get("axis", 0) != 1:
            raise fault(node, "it is along another axis than the channels", _KEEP)

    def _softmax(self, node: Node) -> list[Node]:
        before, source = self._uniform(node), node.input[0]
        if self._draft.types[source] != TensorProto.FLOAT:
            raise fault(node, "it reads another type than float32", _KEEP)
        inverse = self._draft.add_array(f"{node.name}_factor", np.array(1 / before, np.float32))
        whole = self._draft.name(f"{source}_whole")
        return [
            helper.make_node("Mul", [source, inverse], [whole], name=whole),
            helper.make_node("Softmax", [whole], node.output, name=node.name, **attributes(node)),
        ]

    def _uniform(self, node: Node) -> float:
        channels = self._of(node.input[0])
        if (channels != channels[0]).any():
            raise fault(node, "its channels would be scaled differently", _KEEP)
        return float(channels[0])

    def _norm(self, node: Node) -> Node:
        epsilon = float(attributes(node).get("epsilon", _DEFAULT_EPSILON)) * self._uniform(node) ** 2
        factor = np.array(self._factor)
        arrays = [self._scaled(node, index, factor) for index in (1, 2)]
        self._channels[node.output[0]] = np.full_like(self._of(node.input[0]), self._factor)
        return helper.make_node(node.op_type, [node.input[0], *arrays], node.output, name=node.name, epsilon=epsilon)

    def _convolution(self, node: Node) -> Node:
        """A weight is (filters, channels / groups, kernel), a deconvolution's (channels, filters / groups, kernel)."""
        shape, groups = self._draft.shapes[node.input[1]], attributes(node).get("group", 1)
        filters = self._draft.shapes[node.output[0]][1]
        ratio = self._factor / self._of(node.input[0])
        kernel = (1,) * (len(shape) - 2)
        if node.op_type == "Conv":
            ratio = np.repeat(ratio.reshape(groups, -1), filters // groups, axis=0).reshape(*shape[:2], *kernel)
        else:
            ratio = ratio.reshape(-1, 1, *kernel)
        arrays = [self._scaled(node, 1, ratio)]
        arrays += [self._scaled(node, 2, np.array(self._factor)) for _ in node.input[2:]]
        self._channels[node.output[0]] = np.full(filters, self._factor)
        return helper.make_node(node.op_type, [node.input[0], *arrays], node.output, name=node.name, **attributes(node))

    def _scaled(self, node: Node, index: int, ratio: NDArray[Any]) -> str:
        name: str = node.input[index]
        if (ratio == 1).all():
            return name
        key = name, ratio.tobytes()
        if key not in self._arrays:
            values = self._draft.array(node, index)
            scaled = (values * ratio).astype(values.dtype)
            self._arrays[key] = self._draft.add_array(f"{name}_scaled", scaled)
        return self._arrays[key]
