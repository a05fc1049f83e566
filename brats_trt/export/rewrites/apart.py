"""The modalities' encoders as networks of their own: each group of a grouped convolution on a tensor of its own.

The checkpoint's encoders are one network of grouped convolutions, one group a modality, and what stands between them
treats every channel by itself. So the four parts of a tensor never meet before their maximum is taken, and the same
numbers come out where they are four tensors: plain convolutions take the place of grouped ones, and the Splits in front
of the maxima go. A node that needs the whole tensor gets it from a Concat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from onnx import helper

from .draft import Draft, Node, attributes, fault

Encoders = Literal["joined", "apart", "finest_joined"]

_KEEP = "build with encoders='joined'"
# What treats every channel by itself, and the inputs of it that are arrays of one value a channel.
_BY_CHANNEL: dict[str, tuple[int, ...]] = {
    "Add": (),
    "Cast": (),
    "Elu": (),
    "InstanceNormalization": (1, 2),
    "LeakyRelu": (),
    "Relu": (),
    "Sum": (),
}

Parts = tuple[str, ...]


def part_encoders(draft: Draft, encoders: Encoders) -> None:
    """Put each group of the grouped convolutions on tensors of its own, on all grids or on all but the finest.

    Raises
    ------
    EngineError
        If an array of a convolution or norm is not stored in the model, or does not part into its groups.
    """
    if encoders == "joined":
        return
    parting = _Parting(draft, below=_finest(draft) if encoders == "finest_joined" else math.inf)
    for node in draft.nodes:
        parting.take(node)
    parting.finish()
    draft.nodes = parting.nodes


def groups(node: Node) -> int:
    """Of a convolution; 1 for whatever else."""
    return int(attributes(node).get("group", 1)) if node.op_type == "Conv" else 1


def _voxels(draft: Draft, name: str) -> int:
    return math.prod(draft.shapes[name][2:])


def _finest(draft: Draft) -> int:
    return max((_voxels(draft, node.output[0]) for node in draft.nodes if groups(node) > 1), default=0)


class _Parting:
    """The way through the graph. A tensor may be there whole, in parts, or both."""

    def __init__(self, draft: Draft, *, below: float) -> None:
        self.nodes: list[Node] = []
        self._draft = draft
        self._below = below
        self._parts: dict[str, Parts] = {}
        self._not_whole: set[str] = set()
        self._aliases: dict[str, str] = {}
        self._arrays: dict[tuple[str, int], Parts] = {}

    def take(self, node: Node) -> None:
        """Translate one node; those before it have been."""
        inputs = [self._aliases.get(name, name) for name in node.input]
        count = groups(node)
        if count > 1 and _voxels(self._draft, node.output[0]) < self._below:
            self._repeat(node, inputs, count, range(1, len(inputs)))
            return
        if self._is_known(node, inputs):
            return
        arrays = _BY_CHANNEL.get(node.op_type, ())
        tensors = [name for i, name in enumerate(inputs) if i not in arrays]
        counts = {len(self._parts[name]) for name in tensors if name in self._not_whole}
        alike = len({self._draft.shapes[name] for name in tensors}) == 1
        if node.op_type in _BY_CHANNEL and alike and len(counts) == 1:
            (count,) = counts
            self._repeat(node, inputs, count, arrays)
        else:
            self._keep(node, inputs)

    def finish(self) -> None:
        """Make the graph's outputs whole."""
        for name in sorted(self._draft.outputs):
            self._whole(name)

    def _is_known(self, node: Node, inputs: list[str]) -> bool:
        """Whether this is a Split into parts that are there already: they are read instead."""
        parts = tuple(node.output)
        if node.op_type != "Split" or attributes(node).get("axis", 0) != 1 or len(inputs) != 1:
            return False
        known = self._parts.setdefault(inputs[0], parts)
        if known == parts or len(known) != len(parts) or not self._draft.outputs.isdisjoint(parts):
            return False
        self._aliases.update(zip(parts, known, strict=True))
        return True

    def _keep(self, node: Node, inputs: list[str]) -> None:
        copy = Node()
        copy.CopyFrom(node)
        copy.input[:] = [self._whole(name) for name in inputs]
        self.nodes.append(copy)

    def _repeat(self, node: Node, inputs: list[str], count: int, arrays: Sequence[int]) -> None:
        """The node once a part; `arrays` are those of its inputs that are stored, the others are tensors."""
        options = {name: value for name, value in attributes(node).items() if name != "group"}
        sources = [
            self._split(node, i, count) if i in arrays else self._in_parts(name, count) for i, name in enumerate(inputs)
        ]
        output = node.output[0]
        names = self._name_parts(output, count)
        for name, *part in zip(names, *sources, strict=True):
            self.nodes.append(helper.make_node(node.op_type, part, [name], name=name, **options))
        self._parts[output] = names
        self._not_whole.add(output)

    def _in_parts(self, name: str, count: int) -> Parts:
        if len(self._parts.get(name, ())) != count:
            whole = self._whole(name)
            names = self._name_parts(whole, count)
            self.nodes.append(helper.make_node("Split", [whole], names, name=self._draft.name(f"{name}_split"), axis=1))
            self._parts[name] = names
        return self._parts[name]

    def _whole(self, name: str) -> str:
        if name in self._not_whole:
            self.nodes.append(helper.make_node("Concat", self._parts[name], [name], name=name, axis=1))
            self._not_whole.remove(name)
        return name

    def _split(self, node: Node, index: int, count: int) -> Parts:
        """A stored array along its first axis."""
        name = node.input[index]
        if (name, count) not in self._arrays:
            values = self._draft.array(node, index)
            if len(values) % count:
                raise fault(node, f"its array {name!r} of {len(values)} does not part into {count}", _KEEP)
            self._arrays[name, count] = tuple(
                self._draft.add_array(f"{name}_part{i}", part) for i, part in enumerate(np.split(values, count))
            )
        return self._arrays[name, count]

    def _name_parts(self, name: str, count: int) -> Parts:
        batch, channels, *grid = self._draft.shapes[name]
        names = tuple(self._draft.name(f"{name}_part{i}") for i in range(count))
        for part in names:
            self._draft.types[part] = self._draft.types[name]
            self._draft.shapes[part] = (batch, channels // count, *grid)
        return names
