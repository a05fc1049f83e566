"""ONNX into TensorRT's network: the parser, its errors, and what came of the graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from .flavour import Flavour
from .log import reason

_CONVOLUTIONS = ("CONVOLUTION", "DECONVOLUTION")


@dataclass(frozen=True)
class NetworkTensor:
    """The network's input or output.

    Attributes
    ----------
    dtype
        "float16" or "float32".
    shape
        (1, 4, D, H, W).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NetworkSummary:
    """What the parser made of a graph, before TensorRT fuses it.

    Attributes
    ----------
    layers
        How many there are of each type, by TensorRT's names.
    wide_convolutions
        Names of the convolutions and deconvolutions that compute in float32.
    """

    layers: Mapping[str, int]
    wide_convolutions: tuple[str, ...]
    inputs: tuple[NetworkTensor, ...]
    outputs: tuple[NetworkTensor, ...]


class ParsedNetwork:
    """A strongly typed network with the parser, which owns the weights, and the builder, which owns the rest.

    Raises
    ------
    EngineError
        If there is no builder without a GPU, or the graph is not understood; names the node.
    """

    def __init__(self, flavour: Flavour, content: bytes, source: Path) -> None:
        module: Any = flavour.module
        with flavour.log.listening() as lines:
            try:
                self.builder = module.Builder(flavour.logger)
            except TypeError:  # what a null pointer becomes
                raise EngineError(
                    f"{flavour.title} makes no builder ({reason(lines, 'no reason given')}): it needs a GPU with a "
                    "driver of its CUDA; nvidia-smi shows both"
                ) from None
            self.network = self.builder.create_network(flavour.network_flags())
            self.parser = module.OnnxParser(self.network, flavour.logger)
            parsed = self.parser.parse(content)
        if not parsed:
            raise EngineError(f"{source}: {flavour.title} does not take the model: {self._faults(lines)}")

    def summary(self) -> NetworkSummary:
        """What came of the graph."""
        layers = list(self._layers())
        return NetworkSummary(
            layers=dict(Counter(layer.type.name for layer in layers)),
            wide_convolutions=tuple(
                layer.name
                for layer in layers
                if layer.type.name in _CONVOLUTIONS and layer.get_output(0).dtype.name == "FLOAT"
            ),
            inputs=tuple(_tensor(self.network.get_input(i)) for i in range(self.network.num_inputs)),
            outputs=tuple(_tensor(self.network.get_output(i)) for i in range(self.network.num_outputs)),
        )

    def _layers(self) -> Iterator[Any]:
        return (self.network.get_layer(index) for index in range(self.network.num_layers))

    def _faults(self, lines: list[str]) -> str:
        faults = [self.parser.get_error(index) for index in range(self.parser.num_errors)]
        if not faults:
            return f"{reason(lines, 'no reason given')}: export it again with `brats-trt convert`"
        first = faults[0]
        node = f"the node {first.node_name()!r} ({first.node_operator()})" if first.node_operator() else "the graph"
        others = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        said = " ".join(first.desc().split())[:300]
        return f"{node} is at fault ({said}){others}: export it again with `brats-trt convert`"


def _tensor(tensor: Any) -> NetworkTensor:
    dtype = {"FLOAT": "float32", "HALF": "float16"}.get(tensor.dtype.name, tensor.dtype.name.lower())
    return NetworkTensor(str(tensor.name), dtype, tuple(int(axis) for axis in tensor.shape))
