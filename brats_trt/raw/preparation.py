"""An exam's series brought together: aligned, stripped, on one working grid, with a placement for the network.

The working grid's volumes serve the foreground, the checks and the pictures; the network samples the series themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..backends.foreground import nonfinite_warning
from ..backends.placement import Placement, Series
from ..case import Case
from ..errors import CaseError
from ..exam.rigid import Motion, register
from ..exam.stack import Stack
from ..geometry import Affine, voxel_volume_ml
from ..resampling import covered, resampled
from ..spec import Modality
from ..stopwatch import Stopwatch
from ..volume import Origin, Volume
from .grid import Grid, working_grid
from .options import Alignment, RawOptions
from .source import RawExam, RawSeries

LARGEST_MM = 1024.0
# What is looked at for motion: more is worth a warning.
MOTION_MM, MOTION_DEG = 2.0, 2.0
# An adult's brain has 900 to 1800 ml; a stripped head has little more, one with its skull twice as much.
_STRIPPED_ML = (600.0, 2000.0)
_STRIPPED_AIR, _STRIPPED_OVERLAP = 0.3, 0.75


DEFAULT = RawOptions()


class FoundBrain(Protocol):
    """Where the brain is, as an extractor says it."""

    @property
    def shares(self) -> Volume:
        """At least 0.5 in the brain."""

    @property
    def affine(self) -> Affine:
        """From a voxel of `shares` to RAS millimetres."""


class Extractor(Protocol):
    """Finds the brain in a series."""

    def extract(self, volume: Volume, affine: Affine) -> FoundBrain:
        """The brain."""


@dataclass(frozen=True, eq=False)
class Account:
    """How an exam was brought together.

    Attributes
    ----------
    options
        What was asked for.
    grid
        The working grid.
    motions
        What "rigid" found, by modality; nothing of the series that the others were registered to.
    stripped
        Whether the exam came without its skull, so that nothing was taken away.
    mask
        The brain's probability; None where nothing was taken away.
    notes
        What the user should know.
    stack
        The DICOM images that the labels lie on; None of NIfTI.
    """

    options: RawOptions
    grid: Grid
    motions: Mapping[Modality, Motion]
    stripped: bool
    mask: Series | None
    notes: tuple[str, ...]
    stack: Stack | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """A raw exam, ready for a backend: its volumes on the working grid, without what is not brain."""

    case: Case
    placement: Placement
    account: Account

    def on_target(self, *, threads: int = 0) -> Case:
        """The series on the labels' grid, with their skulls, for pictures."""
        volumes, target = {}, self.placement.target_affine
        for modality, series in self.placement.series.items():
            shape = self.placement.target_shape
            values = resampled(series.volume, series.affine, target, shape, threads=threads)
            volumes[modality] = Volume(values, 1.0, 0.0, series.volume.source, Origin("image", affine=target))
        return Case(self.case.name, volumes, target, self.case.header)


def prepare(
    exam: RawExam,
    extractor: Callable[[], Extractor],
    options: RawOptions = DEFAULT,
    *,
    watch: Stopwatch | None = None,
    threads: int = 0,
) -> Prepared:
    """Bring an exam's series together.

    Parameters
    ----------
    extractor
        Gives what finds the brain, where there is one to be found.
    watch
        Notes the times of "align" and "strip".

    Raises
    ------
    CaseError
        If the reference is missing, series do not share a frame of reference, cannot be registered or do not overlap,
        or no brain is found.
    """
    watch = watch or Stopwatch()
    if options.grid not in exam.series:
        raise CaseError(
            f"{exam.name} has no {options.grid}, whose grid the labels were to come on: choose another series"
        )
    _check_frames(exam, options.align)
    _check_extents(exam)
    target = exam.series[options.grid]
    motions = {} if options.align == "header" else _register(exam, options.grid, threads)
    series = {modality: _moved(raw, motions.get(modality)) for modality, raw in exam.series.items()}
    grid = working_grid(Grid(target.affine, _shape(target.volume)))
    volumes = {modality: _on_grid(entry, grid, threads) for modality, entry in series.items()}
    watch.lap("align")
    stripped = options.strip != "never" and _is_stripped(volumes, grid)
    mask = None
    if options.strip != "never" and not stripped:
        brain = extractor().extract(target.volume, target.affine)
        mask = Series(brain.shares, brain.affine)
        outside = ~covered(brain.shares, brain.affine, grid.affine, grid.shape, threads=threads)
        for values in volumes.values():
            values[outside] = 0
    watch.lap("strip")
    made = {
        modality: Volume(values, 1.0, 0.0, exam.series[modality].volume.source, Origin("image", affine=grid.affine))
        for modality, values in volumes.items()
    }
    placement = Placement(grid.affine, series, mask, target.affine, _shape(target.volume))
    notes = (*_lost_voxels(exam), *_notes(motions, stripped=stripped))
    account = Account(options, grid, motions, stripped, mask, notes, target.stack)
    return Prepared(Case(exam.name, made, grid.affine, target.header), placement, account)


def _check_frames(exam: RawExam, align: Alignment) -> None:
    frames = {raw.frame_of_reference for raw in exam.series.values()}
    if len(frames) > 1 and align == "header":
        raise CaseError(
            f"{exam.name}: the series have {len(frames)} frames of reference, so that their places cannot be compared: "
            "the head was moved or taken out in between; pass --align rigid to register them"
        )


def _check_extents(exam: RawExam) -> None:
    """A grid of 1 mm over a series that says it is metres long would take all memory."""
    for modality, raw in exam.series.items():
        edges = np.linalg.norm(raw.affine[:3, :3], axis=0) * raw.volume.data.shape
        if not edges.max() <= LARGEST_MM:
            raise CaseError(
                f"{raw.volume.source}: {modality} is {edges.max():.4g} mm long by its affine; expected a head, of up "
                f"to {LARGEST_MM:g} mm: export the series again"
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
    values = resampled(series.volume, series.affine, grid.affine, grid.shape, threads=threads)
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


def _lost_voxels(exam: RawExam) -> Iterator[str]:
    """What is not finite is 0 once it is resampled, so that nobody sees it later."""
    for modality, raw in exam.series.items():
        data = raw.volume.on_host
        lost = 0 if data.dtype.kind != "f" else int(data.size - np.isfinite(data).sum())
        if lost:
            yield nonfinite_warning(raw.volume.source, modality, lost)


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
