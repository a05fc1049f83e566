"""What the foreground pass finds wrong with a volume, and the box that the four volumes share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ..errors import CaseError
from ..geometry import Box
from ..spec import Modality

if TYPE_CHECKING:
    from ..case import Volume

_Index = tuple[int, int, int]


class Foreground(Protocol):
    """As the foreground stage reports it."""

    @property
    def box(self) -> tuple[_Index, _Index]:
        """Half-open, in voxels; zeros without foreground."""

    @property
    def count(self) -> int:
        """Voxels that are finite and above zero."""

    @property
    def mean(self) -> float:
        """Over the foreground."""

    @property
    def variance(self) -> float:
        """Over the foreground (ddof 0)."""

    @property
    def nonfinite(self) -> int:
        """NaN and infinite voxels."""


def inspect(volumes: Sequence[tuple[Modality, Volume]], foregrounds: Sequence[Foreground]) -> tuple[str, ...]:
    """Refuse volumes that cannot be normalised; return warnings about those that can.

    Raises
    ------
    CaseError
        If a volume has no voxel above zero or a constant foreground.
    """
    warnings = []
    for (modality, volume), foreground in zip(volumes, foregrounds, strict=True):
        if foreground.count == 0:
            _refuse_empty(modality, volume, foreground)
        if not math.isfinite(foreground.variance):
            raise CaseError(
                f"{volume.source}: the intensities of {modality} are too large for their variance to be computed; "
                "expected scanner units: export the series again"
            )
        if not foreground.variance > 0.0:
            raise CaseError(
                f"{volume.source}: {modality} is constant ({foreground.count} voxels of {foreground.mean:g}), which no "
                "head is: give the image itself, not its mask"
            )
        if foreground.nonfinite:
            warnings.append(nonfinite_warning(volume.source, modality, foreground.nonfinite))
    return tuple(warnings)


def nonfinite_warning(source: str, modality: Modality, number: int) -> str:
    """What is said of NaN and infinite voxels."""
    return f"{source}: {modality} has {number} NaN or infinite voxels, treated as background"


def _refuse_empty(modality: Modality, volume: Volume, foreground: Foreground) -> None:
    voxels = volume.data.size
    if foreground.nonfinite == voxels:
        finding = f"all {voxels} voxels of {modality} are NaN or infinite"
    else:
        finding = f"{modality} has no voxel above zero" + (
            f" ({foreground.nonfinite} are NaN or infinite)" if foreground.nonfinite else ""
        )
    raise CaseError(f"{volume.source}: {finding}; expected intensities above zero in the head: export the series again")


def common_box(volumes: Sequence[tuple[Modality, Volume]], foregrounds: Sequence[Foreground]) -> Box:
    """The tightest box around the foregrounds of all modalities.

    Raises
    ------
    CaseError
        If it has fewer than three planes along an axis: without the last, which the authors lose, two are needed.
    """
    boxes = [foreground.box for foreground in foregrounds]
    lower = tuple(min(box[0][axis] for box in boxes) for axis in range(3))
    upper = tuple(max(box[1][axis] for box in boxes) for axis in range(3))
    for axis, name in enumerate("xyz"):
        if upper[axis] - lower[axis] < 3:
            planes = upper[axis] - lower[axis]
            raise CaseError(
                f"{volumes[0][1].source} and its fellows: the head is flat, its voxels above zero span {planes} "
                f"plane(s) along axis {name}; expected at least 3: give the whole volume"
            )
    return Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))
