"""An ONNX graph with shapes and no types yet: what the converters of single operators write to.

Shapes are static, batch and channel first. Types come later, in `precision`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import EngineError

Shape = tuple[int, ...]
# A text is the name of a type.
AttributeValue = int | float | str | tuple[int, ...]

INPUT = "data_crop"
OUTPUT = "softmax_lbl3"

_MOST_AXES = 8
_LARGEST_TENSOR = 2**40  # values; the released network's largest has 2**26


@dataclass(frozen=True)
class Tensor:
    """A value in the graph."""

    name: str
    shape: Shape


@dataclass(frozen=True)
class Operation:
    """An ONNX node."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The first output's."""
        return self.outputs[0]


@dataclass
class Graph:
    """Operations in the order they are added, which is topological, and the shapes of all tensors.

    Attributes
    ----------
    weights
        The array of the checkpoint behind each tensor that is one.
    reserved
        Names that no tensor gets.
    """

    operations: list[Operation] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)

    def tensor(self, name: str, shape: Sequence[int]) -> Tensor:
        """A new tensor under the name, or under one made from it where that is taken."""
        unique, number = name, 1
        while unique in self.shapes or unique in self.reserved:
            number += 1
            unique = f"{name}_{number}"
        if len(shape) > _MOST_AXES or min(shape, default=1) < 1 or math.prod(shape) > _LARGEST_TENSOR:
            raise EngineError(
                f"{name!r} would have the shape {tuple(shape)}: the network does not fit an input of the size asked for"
            )
        self.shapes[unique] = tuple(shape)
        return Tensor(unique, tuple(shape))

    def weight(self, array: str, shape: Shape) -> Tensor:
        """A tensor whose values are an array of the checkpoint."""
        tensor = self.tensor(array, shape)
        self.weights[tensor.name] = array
        return tensor

    def add(
        self,
        operator: str,
        inputs: Iterable[Tensor],
        outputs: Sequence[Tensor],
        **attributes: AttributeValue,
    ) -> None:
        """Append an operation."""
        self.operations.append(
            Operation(
                operator, tuple(tensor.name for tensor in inputs), tuple(tensor.name for tensor in outputs), attributes
            )
        )
