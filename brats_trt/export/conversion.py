"""An MXNet checkpoint in, one ONNX file out."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ..errors import CaseError, EngineError
from ..files import refuse_existing, write_whole
from ..notice import NOTICE
from ..spec import INCOMPLETE_KEY, INCOMPLETE_TRAINED, Spec
from .checkpoint import read_checkpoint
from .network import Fusion, build_network
from .onnx_file import onnx_bytes
from .precision import FloatType, Precision, assign_types
from .symbol import read_symbol

# The files of brain-tumor-segmentation-0001 as its authors released them.
RELEASED_NAME = "brain-tumor-segmentation-0001"
RELEASED_SYMBOL_SHA256 = "2e75c659c6cab619bda9d5f039619eb12d71949c9c171b247faebe63d2ea7a39"
RELEASED_WEIGHTS_SHA256 = "d73acc63151f96341184ce54dd59c8285ee7cbb744a8ca9ffd7d3e181ffae417"

# The cascade averages the input 4^3 for its coarsest network, whose encoder halves it three times.
SIZE_STEP = 4 * 2**3
LARGEST_SIZE = 1024
_DEFAULT_SPEC = Spec()


@dataclass(frozen=True)
class Origin:
    """The files that a model was converted from."""

    symbol_sha256: str
    weights_sha256: str

    @property
    def released(self) -> bool:
        """Whether both are those that the authors released."""
        return self._matches == (True, True)

    @property
    def description(self) -> str:
        """Which of the files are those that the authors released."""
        return {
            (True, True): f"{RELEASED_NAME}: symbol and weights are as released (sha256)",
            (True, False): f"the symbol is that of {RELEASED_NAME} as released (sha256), the weights are others",
            (False, True): f"the weights are those of {RELEASED_NAME} as released (sha256), the symbol is another",
            (False, False): f"neither symbol nor weights are those of {RELEASED_NAME} as released (sha256)",
        }[self._matches]

    @property
    def _matches(self) -> tuple[bool, bool]:
        return self.symbol_sha256 == RELEASED_SYMBOL_SHA256, self.weights_sha256 == RELEASED_WEIGHTS_SHA256


@dataclass(frozen=True)
class ConversionReport:
    """What `convert` wrote, and from what.

    Attributes
    ----------
    sha256
        Of the output.
    released
        Whether symbol and weights are those that the authors of brain-tumor-segmentation-0001 released.
    parameters
        Values in the arrays that the output depends on.
    nodes, casts
        Of the ONNX graph; the casts are among the nodes.
    notes
        What was left out or changed, a sentence each.
    """

    output: Path
    sha256: str
    symbol_sha256: str
    weights_sha256: str
    released: bool
    parameters: int
    nodes: int
    casts: int
    precision: Precision
    notes: tuple[str, ...]


def convert(
    symbol: str | os.PathLike[str],
    weights: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    precision: Precision = "fp32",
    size: int = 128,
    io: FloatType = "float32",
    spec: Spec = _DEFAULT_SPEC,
    fusion: Fusion = "max",
    incomplete: bool = False,
    overwrite: bool = False,
) -> ConversionReport:
    """Convert an MXNet checkpoint to ONNX, without MXNet.

    The model takes `data_crop` and gives `softmax_lbl3`, both 1 x 4 x size^3. Its metadata carries the spec, where it
    came from, and a notice. It is written by a temporary file and a rename.

    Parameters
    ----------
    symbol, weights
        The `-symbol.json` and `.params` files.
    precision
        "fp16": a strongly typed graph with float16 weights and convolutions, norms and softmax in float32.
    size
        Voxels of the network's input along each axis, a multiple of 32.
    io
        Type of the model's input and output.
    spec
        The preprocessing that the network was trained with.
    fusion
        "stack" keeps the fusion of the modalities as the symbol has it, on tensors of six axes: a baseline for timings.
    incomplete
        Say in the metadata that the network was trained with modalities left out where its encoders meet.

    Raises
    ------
    CaseError
        If a file cannot be read or written, the output exists without `overwrite`, or an option is not understood.
    EngineError
        If the checkpoint is damaged or not understood, or its weights do not fit the precision.
    """
    target = Path(output)
    _check_options(target, precision=precision, size=size, io=io, fusion=fusion, overwrite=overwrite)
    for source in (symbol, weights):
        if os.path.exists(source) and os.path.exists(target) and os.path.samefile(source, target):
            raise CaseError(f"{target}: is the input {source} itself, and is kept: name another output")
    graph_source, checkpoint = read_symbol(symbol), read_checkpoint(weights)
    shapes = {name: array.shape for name, array in checkpoint.arrays.items()}
    origin = Origin(graph_source.sha256, checkpoint.sha256)
    try:
        network = build_network(graph_source, shapes, size=size, fusion=fusion)
        typed = assign_types(network.graph, precision=precision, io=io)
        content, vanished = onnx_bytes(typed, checkpoint, _metadata(spec, origin, precision, incomplete), NOTICE)
    except EngineError as fault:
        raise EngineError(f"{symbol} with {weights}: {fault}") from None
    write_whole(target, content)
    return ConversionReport(
        output=target,
        sha256=hashlib.sha256(content).hexdigest(),
        symbol_sha256=origin.symbol_sha256,
        weights_sha256=origin.weights_sha256,
        released=origin.released,
        parameters=sum(math.prod(shapes[array] or ()) for array in network.graph.weights.values()),
        nodes=len(typed.graph.operations),
        casts=typed.casts,
        precision=precision,
        notes=(*_notes(origin, vanished), *network.notes),
    )


def _check_options(output: Path, *, precision: str, size: int, io: str, fusion: str, overwrite: bool) -> None:
    for name, found, choices in (
        ("precision", precision, get_args(Precision)),
        ("io", io, get_args(FloatType)),
        ("fusion", fusion, get_args(Fusion)),
    ):
        if found not in choices:
            raise CaseError(f"{name} {found!r} is not known; expected one of {list(choices)}")
    if not (isinstance(size, int) and 0 < size <= LARGEST_SIZE and size % SIZE_STEP == 0):
        raise CaseError(
            f"size {size!r} does not fit the network, which halves its input five times; "
            f"expected a multiple of {SIZE_STEP} up to {LARGEST_SIZE}: 128 is the size it was trained for"
        )
    refuse_existing(output, overwrite=overwrite)


def _metadata(spec: Spec, origin: Origin, precision: Precision, incomplete: bool) -> dict[str, str]:
    return {
        **spec.to_metadata(),
        **({INCOMPLETE_KEY: INCOMPLETE_TRAINED} if incomplete else {}),
        "brats_trt.modalities": ",".join(spec.modalities),
        "brats_trt.precision": precision,
        "brats_trt.origin": origin.description,
        "brats_trt.symbol_sha256": origin.symbol_sha256,
        "brats_trt.weights_sha256": origin.weights_sha256,
        "brats_trt.notice": NOTICE,
    }


def _notes(origin: Origin, vanished: int) -> list[str]:
    notes = [origin.description]
    if vanished:
        notes.append(f"{vanished} weights are too small for float16 and became 0")
    return notes
