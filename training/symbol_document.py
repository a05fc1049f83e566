"""The cascade as MXNet's symbol JSON, and the shapes of its arrays.

Nodes stand in the order in which MXNet's own writer would have left them: depth first from the head, inputs from left
to right. Edges are [node, output, 0]; attributes are text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cascade import CLASSES, DROPOUT, MODALITIES, cascade

Shape = tuple[int, ...]
INPUT = "data_crop"
MXNET_VERSION = 10901
# Outputs of a node where it has more than one: InstanceNorm keeps mean and deviation, Dropout its mask.
_OUTPUTS = {"SliceChannel": MODALITIES, "InstanceNorm": 3, "Dropout": 2}


@dataclass(frozen=True, eq=False)
class SymbolNode:
    """A node before it has a number; `inputs` are nodes and which of their outputs."""

    operator: str
    name: str
    channels: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[tuple[SymbolNode, int], ...] = ()


class _SymbolLayers:
    """Writes the cascade down: values are nodes. Collects the shapes of its arrays in the order of their making."""

    def __init__(self) -> None:
        self.shapes: dict[str, Shape] = {}

    def average(self, name: str, data: SymbolNode, factor: int) -> SymbolNode:
        size = _text((factor,) * 3)
        return _node("Pooling", name, data.channels, data, kernel=size, pool_type="avg", stride=size)

    def convolve(self, name: str, data: SymbolNode, filters: int, *, groups: int, stride: int = 1) -> SymbolNode:
        attributes = {
            "kernel": _text((3, 3, 3)),
            "num_filter": str(filters),
            "num_group": str(groups),
            "pad": _text((1, 1, 1)),
            "stride": _text((stride,) * 3),
        }
        arrays = self._weighted(name, (filters, data.channels // groups, 3, 3, 3), filters, attributes)
        return _node("Convolution", name, filters, data, *arrays, **attributes)

    def mix(self, name: str, data: SymbolNode, filters: int) -> SymbolNode:
        attributes = {"kernel": _text((1, 1, 1)), "num_filter": str(filters), "pad": _text((0, 0, 0))}
        arrays = self._weighted(name, (filters, data.channels, 1, 1, 1), filters, attributes)
        return _node("Convolution", name, filters, data, *arrays, **attributes)

    def upsample(self, name: str, data: SymbolNode, filters: int) -> SymbolNode:
        attributes = {
            "kernel": _text((2, 2, 2)),
            "num_filter": str(filters),
            "pad": _text((0, 0, 0)),
            "stride": _text((2, 2, 2)),
        }
        weight = self._array(f"{name}_weight", (data.channels, filters, 2, 2, 2), attributes)
        return _node("Deconvolution", name, filters, data, weight, **attributes)

    def norm(self, name: str, data: SymbolNode) -> SymbolNode:
        gamma, beta = (self._array(f"{name}_{kind}", (data.channels,), {}) for kind in ("gamma", "beta"))
        return _node("InstanceNorm", name, data.channels, data, gamma, beta)

    def relu(self, name: str, data: SymbolNode) -> SymbolNode:
        return _node("Activation", name, data.channels, data, act_type="relu")

    def add(self, name: str, first: SymbolNode, second: SymbolNode) -> SymbolNode:
        return _node("elemwise_add", name, first.channels, first, second)

    def drop(self, name: str, data: SymbolNode) -> SymbolNode:
        return _node("Dropout", name, data.channels, data, p=str(DROPOUT))

    def fuse(self, number: int, data: SymbolNode) -> SymbolNode:
        width = data.channels // MODALITIES
        split = _node("SliceChannel", f"split{number}", width, data, axis="1", num_outputs=str(MODALITIES))
        parts = tuple((split, output) for output in range(MODALITIES))
        stack = SymbolNode("stack", f"stack{number}", width, {"axis": "5", "num_args": str(MODALITIES)}, parts)
        return _node("max", f"max_axis{number}", width, stack, axis="5")

    def join(self, name: str, parts: tuple[SymbolNode, ...]) -> SymbolNode:
        channels = sum(part.channels for part in parts)
        return _node("Concat", name, channels, *parts, dim="1", num_args=str(len(parts)))

    def softmax(self, data: SymbolNode) -> SymbolNode:
        return _node("softmax", "softmax_lbl", data.channels, data, axis="1")

    def _weighted(
        self, name: str, weight: Shape, filters: int, attributes: Mapping[str, str]
    ) -> tuple[SymbolNode, ...]:
        return (
            self._array(f"{name}_weight", weight, attributes),
            self._array(f"{name}_bias", (filters,), attributes),
        )

    def _array(self, name: str, shape: Shape, attributes: Mapping[str, str]) -> SymbolNode:
        if name in self.shapes:
            raise ValueError(f"the array {name!r} is there twice; expected a name for each")
        self.shapes[name] = shape
        return SymbolNode("null", name, shape[0], attributes)


def array_shapes(base: int) -> dict[str, Shape]:
    """The shape of each array of the cascade with base width F, in the order in which they are made."""
    layers = _SymbolLayers()
    cascade(layers, _input(), base)
    return layers.shapes


def number_of_parameters(base: int) -> int:
    """Values in all arrays."""
    return sum(math.prod(shape) for shape in array_shapes(base).values())


def symbol_document(base: int) -> dict[str, Any]:
    """The symbol JSON of the cascade for inference, with the output `blockgrad1_output`."""
    layers = _SymbolLayers()
    head = layers.softmax(cascade(layers, _input(), base)[2])
    for number in (0, 1):
        head = _node("BlockGrad", f"blockgrad{number}", CLASSES, head)
    order = _depth_first(head)
    index = {id(node): number for number, node in enumerate(order)}
    starts = [0]
    for node in order:
        starts.append(starts[-1] + _OUTPUTS.get(node.operator, 1))
    return {
        "nodes": [_entry(node, index) for node in order],
        "arg_nodes": [number for number, node in enumerate(order) if node.operator == "null"],
        "node_row_ptr": starts,
        "heads": [[index[id(head)], 0, 0]],
        "attrs": {"mxnet_version": ["int", MXNET_VERSION]},
    }


def _input() -> SymbolNode:
    return SymbolNode("null", INPUT, MODALITIES)


def _node(operator: str, name: str, channels: int, *inputs: SymbolNode, **attributes: str) -> SymbolNode:
    return SymbolNode(operator, name, channels, attributes, tuple((node, 0) for node in inputs))


def _text(values: Shape) -> str:
    return f"({', '.join(map(str, values))})"


def _depth_first(head: SymbolNode) -> list[SymbolNode]:
    """Every node after its inputs, without recursion: the cascade is deeper than Python's stack wants."""
    order: list[SymbolNode] = []
    seen: set[int] = set()
    waiting: list[tuple[SymbolNode, bool]] = [(head, False)]
    while waiting:
        node, entered = waiting.pop()
        if entered:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            waiting.append((node, True))
            waiting.extend((source, False) for source, _ in reversed(node.inputs))
    return order


def _entry(node: SymbolNode, index: Mapping[int, int]) -> dict[str, Any]:
    entry: dict[str, Any] = {"op": node.operator, "name": node.name}
    if node.attributes:
        entry["attrs"] = dict(node.attributes)
    entry["inputs"] = [[index[id(source)], output, 0] for source, output in node.inputs]
    return entry
