"""What the tensors of an ONNX graph are to the cascade's network: see `cascade`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import NodeProto

Weights = NDArray[np.float32]


@dataclass(frozen=True)
class Tensor:
    """A tensor of the network: its number, its channels, and how many equal parts of them the greatest is taken of."""

    number: int
    stored: int
    parts: int = 1
    is_softmax: bool = False

    @property
    def channels(self) -> int:
        """What a layer that reads it sees."""
        return self.stored // self.parts


@dataclass(frozen=True)
class Input:
    """The network's input, or means of it."""

    number: int


@dataclass(frozen=True)
class Piece:
    """One of the equal parts that a tensor is split into."""

    source: Tensor
    index: int
    parts: int


@dataclass(frozen=True)
class Normal:
    """A normalised tensor, with its ReLU or before it."""

    source: Tensor
    norm: tuple[Weights, Weights, float]
    activated: bool = False


@dataclass(frozen=True)
class Joined:
    """Tensors one behind the other."""

    tensors: tuple[Tensor, ...]


@dataclass(frozen=True)
class Convolution:
    """A convolution that is computed when it is known what is added to it, or whether its softmax is taken."""

    node: NodeProto
    source: Tensor | Input | Normal | Joined
    weights: Weights
    bias: Weights | None
    groups: int
    stride: int


Value: TypeAlias = "Tensor | Input | Piece | Normal | Joined | Convolution | Weights"
