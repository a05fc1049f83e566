"""An MXNet node on its way to ONNX: its inputs' shapes, its attributes, and the graph that the result goes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import EngineError
from .attributes import Attributes
from .graph import AttributeValue, Graph, Shape, Tensor
from .symbol import Node


@dataclass(frozen=True)
class Call:
    """An MXNet node about to be converted: `name` is the one its output gets."""

    node: Node
    name: str
    inputs: tuple[Tensor, ...]
    attributes: Attributes
    graph: Graph

    @property
    def data(self) -> Tensor:
        """The first input."""
        return self.inputs[0]

    @property
    def channels(self) -> int:
        """The length of the first input's axis 1."""
        return self.data.shape[1] if self.spatial else 0

    @property
    def spatial(self) -> Shape:
        """The axes of the first input after batch and channel."""
        if len(self.data.shape) < 3:
            raise self.fault(f"its input has the shape {self.data.shape}; expected batch, channel and spatial axes")
        return self.data.shape[2:]

    def fault(self, finding: str) -> EngineError:
        """An error that names the node."""
        return self.node.fault(finding)

    def expect_inputs(self, *numbers: int) -> None:
        """Refuse the node unless it has so many inputs."""
        if len(self.inputs) not in numbers:
            raise self.fault(f"it has {len(self.inputs)} inputs; expected {' or '.join(map(str, numbers))}")

    def expect_shape(self, index: int, *shapes: Shape) -> None:
        """Refuse the node unless one of its inputs has one of the shapes."""
        found = self.inputs[index]
        if found.shape not in shapes:
            raise self.fault(
                f"{found.name!r} has the shape {found.shape}; expected {' or '.join(map(str, shapes))}: "
                "take the weights that belong to the symbol"
            )

    def one_input(self) -> Tensor:
        """The only input."""
        self.expect_inputs(1)
        return self.data

    def axis(self, name: str, default: int, axes: int) -> int:
        """An attribute that names one of so many axes, from the end where it is negative."""
        found = self.attributes.integer(name, default, least=-axes)
        if found >= axes:
            raise self.fault(f"the attribute {name!r} is {found}, and there are {axes} axes")
        return found % axes

    def emit(
        self, operator: str, shape: Shape, *inputs: Tensor, name: str | None = None, **attributes: AttributeValue
    ) -> Tensor:
        """Add an operation with one output."""
        output = self.graph.tensor(name or self.name, shape)
        self.graph.add(operator, inputs or (self.data,), [output], **attributes)
        return output


Converter = Callable[[Call], tuple[Tensor, ...]]
