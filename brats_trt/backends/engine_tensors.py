"""A plan's tensors as its library tells them, compared with what the pipeline needs and with the plan's manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ..errors import EngineError

_RANK = 5


class KnownTensor(Protocol):
    """A tensor as a manifest describes it."""

    @property
    def name(self) -> str:
        """As the network calls it."""

    @property
    def dtype(self) -> str:
        """Of its elements: "float16" or "float32"."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(1, channels, D, H, W)."""


class KnownTensors(Protocol):
    """What a plan takes and gives."""

    @property
    def input(self) -> KnownTensor:
        """What the network reads."""

    @property
    def output(self) -> KnownTensor:
        """What it makes of that."""


@dataclass(frozen=True)
class EngineTensor:
    """A tensor as the library tells it; a length that is not fixed is -1."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_input: bool


def check_tensors(
    tensors: Sequence[EngineTensor], known: KnownTensors, channels: int, command: str
) -> tuple[EngineTensor, EngineTensor]:
    """The input and the output of an engine, after a look at both.

    Parameters
    ----------
    tensors
        All of the engine's.
    known
        What the manifest says.
    channels
        Of the input and of the output, as the pipeline has them.
    command
        The command line that builds the plan again, for the message.

    Raises
    ------
    EngineError
        If they are not those of the pipeline, or not those of the manifest.
    """
    inputs = [tensor for tensor in tensors if tensor.is_input]
    outputs = [tensor for tensor in tensors if not tensor.is_input]
    alike = len(inputs) == len(outputs) == 1 and _kind(inputs[0]) == _kind(outputs[0])
    shape = inputs[0].shape if alike and inputs[0].dtype in ("float16", "float32") else ()
    if len(shape) != _RANK or shape[:2] != (1, channels) or min(shape) < 1:
        raise EngineError(
            f"the plan has the tensors {[_shown(tensor) for tensor in tensors]}; expected one input and one output of "
            f"(1, {channels}, D, H, W), both float16 or both float32: build it from a model of `brats-trt convert`"
        )
    source, target = inputs[0], outputs[0]
    if (_shown(source), _shown(target)) != (_shown(known.input), _shown(known.output)):
        raise EngineError(
            f"the plan takes {_shown(source)} and gives {_shown(target)}, its manifest says {_shown(known.input)} and "
            f"{_shown(known.output)}; build it again: `{command}`"
        )
    return source, target


def _kind(tensor: EngineTensor) -> tuple[str, tuple[int, ...]]:
    return tensor.dtype, tensor.shape


def _shown(tensor: KnownTensor) -> str:
    return f"{tensor.name}: {tensor.dtype} {tuple(tensor.shape)}"
