"""An exam's series brought together: aligned, stripped, on one working grid, with a placement for the network.

The working grid's volumes serve the foreground, the checks and the pictures; the network samples the series themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ..backends.placement import Placement, Series, sample
from ..case import Case
from ..errors import CaseError
from ..exam.rigid import Motion, register
from ..geometry import Affine, voxel_volume_ml
from ..spec import Modality
from ..volume import Origin, Volume
from .grid import Grid, working_grid
from .source import RawExam, RawSeries

Alignment = Literal["header", "rigid"]

# What is looked at for motion: more is worth a warning.
MOTION_MM, MOTION_DEG = 2.0, 2.0
# An adult's brain has 900 to 1800 ml; a stripped head has little more, one with its skull twice as much.
_STRIPPED_ML = (600.0, 2000.0)
_STRIPPED_AIR, _STRIPPED_OVERLAP = 0.3, 0.75


class FoundBrain(Protocol):
    """Where the brain is, as an extractor says it."""

    @property
    def probability(self) -> NDArray[np.float32]:
        """At least 0.5 in the brain."""

    @property
    def affine(self) -> Affine:
        """From a voxel of `probability` to RAS millimetres."""


class Extractor(Protocol):
    """Finds the brain in a series."""

    def extract(self, volume: Volume, affine: Affine) -> FoundBrain:
        """The brain."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A raw exam, ready for a backend.

    Attributes
    ----------
    case
        Its volumes on the working grid, without what is not brain.
    motions
        What `rigid` found, by modality; nothing of the reference.
    stripped
        Whether the exam came without its skull, so that nothing was taken away.
    notes
        What the user should know.
    """

    case: Case
    placement: Placement
    motions: Mapping[Modality, Motion]
    stripped: bool
    notes: tuple[str, ...]


def prepare(
    exam: RawExam,
    extractor: Extractor | None,
    *,
    reference: Modality = "t1ce",
    align: Alignment = "header",
    threads: int = 0,
) -> Prepared:
    """Bring an exam's series together.

    Parameters
    ----------
    extractor
        Of the brain; None takes every series as it is.
    reference
        The series whose grid the labels come on, and whose axes the working grid has.
    align
        "header": by the affines alone. "rigid": the others are registered to the reference on top.

    Raises
    ------
    CaseError
        If the reference is missing, series do not share a frame of reference, cannot be registered or do not overlap,
        or no brain is found.
    """
    if reference not in exam.series:
        raise CaseError(f"{exam.name} has no {reference}, whose grid the labels were to come on: choose another series")
    _check_frames(exam, align)
    target = exam.series[reference]
    motions = {} if align == "header" else _register(exam, reference, threads)
    series = {modality: _moved(raw, motions.get(modality)) for modality, raw in exam.series.items()}
    grid = working_grid(Grid(target.affine, _shape(target.volume)))
    volumes = {modality: _on_grid(entry, grid, threads) for modality, entry in series.items()}
    stripped = extractor is None or _is_stripped(volumes, grid)
    mask = None
    if extractor is not None and not stripped:
        brain = extractor.extract(target.volume, target.affine)
        mask = Series(Volume(brain.probability, 1.0, 0.0, "the brain's mask"), brain.affine)
        _take_away(volumes, mask, grid, threads)
    made = {
        modality: Volume(values, 1.0, 0.0, exam.series[modality].volume.source, Origin("image", affine=grid.affine))
        for modality, values in volumes.items()
    }
    placement = Placement(grid.affine, series, mask, target.affine, _shape(target.volume))
    notes = tuple(_notes(motions, stripped=stripped and extractor is not None))
    return Prepared(Case(exam.name, made, grid.affine, None), placement, motions, stripped, notes)


def _check_frames(exam: RawExam, align: Alignment) -> None:
    frames = {raw.frame_of_reference for raw in exam.series.values()}
    if len(frames) > 1 and align == "header":
        raise CaseError(
            f"{exam.name}: the series have {len(frames)} frames of reference, so that their places cannot be compared: "
            "the head was moved or taken out in between; pass --align rigid to register them"
        )


def _register(exam: RawExam, reference: Modality, threads: int) -> dict[Modality, Motion]:
    fixed = exam.series[reference]
    return {
        modality: register(fixed.volume, fixed.affine, raw.volume, raw.affine, threads=threads)
        for modality, raw in exam.series.items()
        if modality != reference
    }


def _moved(raw: RawSeries, motion: Motion | None) -> Series:
    """A series in the reference's frame."""
    affine = raw.affine if motion is None else np.linalg.inv(motion.matrix) @ raw.affine
    return Series(raw.volume, affine)


def _shape(volume: Volume) -> tuple[int, int, int]:
    x, y, z = volume.data.shape
    return (x, y, z)


def _on_grid(series: Series, grid: Grid, threads: int) -> NDArray[np.float32]:
    values = np.empty(grid.shape, np.float32)
    sample(series, grid.affine, values, threads=threads)
    if not values.any():
        raise CaseError(
            f"{series.volume.source}: none of it lies where the reference does; expected series of one head: look at "
            "their headers, or pass --align rigid"
        )
    return values


def _is_stripped(volumes: Mapping[Modality, NDArray[np.float32]], grid: Grid) -> bool:
    """Whether the series are of a brain without its skull: much is zero, in all alike, and the rest brain-sized."""
    masks = [values > 0 for values in volumes.values()]
    everywhere, anywhere = np.logical_and.reduce(masks), np.logical_or.reduce(masks)
    ml = everywhere.sum() * voxel_volume_ml(grid.affine)
    air = 1 - anywhere.mean()
    overlap = everywhere.sum() / max(int(anywhere.sum()), 1)
    return bool(air >= _STRIPPED_AIR and _STRIPPED_ML[0] <= ml <= _STRIPPED_ML[1] and overlap >= _STRIPPED_OVERLAP)


def _take_away(volumes: Mapping[Modality, NDArray[np.float32]], mask: Series, grid: Grid, threads: int) -> None:
    """Set what is not brain to 0, in place."""
    share = np.empty(grid.shape, np.float32)
    sample(mask, grid.affine, share, threads=threads)
    outside = share < 0.5
    for values in volumes.values():
        values[outside] = 0


def _notes(motions: Mapping[Modality, Motion], *, stripped: bool) -> list[str]:
    notes = [
        f"{modality} had moved by {motion.shift_mm:.1f} mm and {motion.angle_deg:.1f} degrees against the reference, "
        "and was moved back: look at the labels at its edges"
        for modality, motion in motions.items()
        if motion.shift_mm > MOTION_MM or motion.angle_deg > MOTION_DEG
    ]
    if stripped:
        notes.append("the exam is stripped already: nothing was taken away")
    return notes
