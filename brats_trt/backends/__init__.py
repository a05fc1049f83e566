"""Backends: the same stages on different devices, behind one protocol.

The segmenter hands over four volumes in the network's order and gets a label map back; it does not know which backend
it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..confidence import Calibration
from ..geometry import Box
from ..spec import Modality, Spec

if TYPE_CHECKING:
    from ..case import Volume
    from .device import Device
    from .placement import Placement


@dataclass(frozen=True)
class StageOptions:
    """What the stages around the network do.

    Attributes
    ----------
    tta
        Average the softmax with that of the input mirrored along axis y.
    min_region
        Tumour regions of fewer voxels than this share of all but the largest class are dropped; 0 keeps all.
    label_values
        The value written for each class: background, necrotic core, oedema, enhancing tumour.
    keep_probabilities
        Hand out the softmax too, which a GPU has to send to the host for it; "calibrated" is where the model has a
        calibration.
    """

    tta: bool
    min_region: float
    label_values: tuple[int, int, int, int]
    keep_probabilities: bool | Literal["calibrated"] = True

    def for_model(self, calibration: Calibration | None) -> StageOptions:
        """The options of a model, with "calibrated" decided."""
        if self.keep_probabilities != "calibrated":
            return self
        return replace(self, keep_probabilities=calibration is not None)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a backend makes of one case.

    Attributes
    ----------
    labels
        (X, Y, Z) uint8.
    counts
        Voxels of each class in `labels`.
    softmax
        (1 or 2, 4, D, H, W) float32 of the crop; a second entry is of the input mirrored along axis y. None where
        it was not to be kept.
    box
        Where the crop lies, in voxels of `labels`.
    timings_ms
        Milliseconds of "prepare", "infer", "restore" and "regions".
    warnings
        What was found in the input and survived.
    """

    labels: NDArray[np.uint8]
    counts: tuple[int, int, int, int]
    softmax: NDArray[np.float32] | None
    box: Box
    timings_ms: dict[str, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class PlanIdentity:
    """Which plan computes the network.

    Attributes
    ----------
    sha256, onnx_sha256
        Of the plan's file, and of the ONNX file that it was built from.
    flavour, library_version
        The library that runs it.
    """

    sha256: str
    onnx_sha256: str
    flavour: Literal["tensorrt", "tensorrt-rtx"]
    library_version: str


class Backend(Protocol):
    """One device with a loaded network."""

    @property
    def device(self) -> str:
        """The device's name, as the user asks for it."""

    @property
    def gpu(self) -> Device | None:
        """The GPU that it runs on; None is the CPU."""

    @property
    def runtime(self) -> str:
        """What computes the network: "native", "openvino", "tensorrt" or "tensorrt-rtx"."""

    @property
    def precision(self) -> str:
        """What the network computes in."""

    @property
    def spec(self) -> Spec:
        """What the network expects of its input."""

    @property
    def calibration(self) -> Calibration | None:
        """What the scores of its softmax mean, where the model says so."""

    @property
    def model_sha256(self) -> str:
        """Of the file that was loaded, a model's or a plan's."""

    @property
    def plan(self) -> PlanIdentity | None:
        """The plan that computes the network; None where it is computed from the model's file."""

    def run(self, volumes: Sequence[tuple[Modality, Volume]], placement: Placement | None = None) -> Outcome:
        """Segment volumes of one grid, in the spec's order; all of it where it was not opened for incomplete cases.

        A placement says what the network samples in their place, and on which grid the labels come.
        """
