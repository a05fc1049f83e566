"""An MXNet checkpoint in, one ONNX file out."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import CaseError, EngineError
from ..nifti_writer import write_whole
from ..segmentation import NOTICE
from ..spec import Spec
from .checkpoint import Checkpoint, read_checkpoint
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
    spec: Spec | None = None,
    fusion: Fusion = "max",
    overwrite: bool = False,
) -> ConversionReport:
    """Convert an MXNet checkpoint to ONNX, without MXNet."""
    raise NotImplementedError
