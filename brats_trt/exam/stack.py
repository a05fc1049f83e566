"""Images of one layout, put in order by where they lie: a grid, or the reason why they make none.

Neither file names nor instance numbers say anything here. A slice's place is that of its first voxel; places have to
lie on one line at even steps, which the affine then gives exactly, also where the line leans against the normal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..geometry import Affine, Index3, check_affine
from .header import Frame, Layout, Vector

# Fewer slices than these are a localiser, or one image; no head fits into them.
LEAST_SLICES = 10
# Scanners write places with four or more digits; a slice that lies further than this from its place is another's.
PLACE_TOLERANCE_MM = 0.1
# Images closer than this are one slice, seen twice. The thinnest slices of an MR of the head are thicker ten times.
SAME_PLACE_MM = 0.02
_SAME_DIRECTION = 1e-3  # of unit vectors, which scanners write with five or more digits
_SAME_SPACING = 1e-3  # relative

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Stack:
    """A volume's images in order.

    Attributes
    ----------
    slices
        One tuple a slice, from the first to the last along x, y, z's third axis; with more than one image where files
        are there twice.
    affine
        (4, 4) float64: voxel to millimetre, RAS.
    """

    slices: tuple[tuple[Frame, ...], ...]
    affine: Affine

    @property
    def shape(self) -> Index3:
        """Columns, rows and slices: x, y and z."""
        layout = self.slices[0][0].layout
        return (layout.columns, layout.rows, len(self.slices))

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Edges of a voxel."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return (float(x), float(y), float(z))


def split_by_layout(frames: Iterable[Frame]) -> list[list[Frame]]:
    """Images by layout; directions and distances that differ by rounding are the same."""
    exactly: dict[Layout, list[Frame]] = {}
    for frame in frames:
        exactly.setdefault(frame.layout, []).append(frame)
    groups: list[list[Frame]] = []
    for layout, found in exactly.items():
        alike = next((group for group in groups if _alike(group[0].layout, layout)), None)
        if alike is None:
            groups.append(found)
        else:
            alike.extend(found)
    return groups


def _alike(first: Layout, second: Layout) -> bool:
    if (
        replace(
            first,
            along_row=second.along_row,
            along_column=second.along_column,
            row_mm=second.row_mm,
            column_mm=second.column_mm,
        )
        != second
    ):
        return False
    return (
        np.allclose(first.along_row, second.along_row, rtol=0, atol=_SAME_DIRECTION)
        and np.allclose(first.along_column, second.along_column, rtol=0, atol=_SAME_DIRECTION)
        and np.allclose((first.row_mm, first.column_mm), (second.row_mm, second.column_mm), rtol=_SAME_SPACING, atol=0)
    )


def stack(frames: Sequence[Frame]) -> Stack | str:
    """Images of one layout as a volume, or why they make none."""
    layout = frames[0].layout
    along_row, along_column = np.array(layout.along_row), np.array(layout.along_column)
    lengths = (np.linalg.norm(along_row), np.linalg.norm(along_column))
    if not np.allclose(lengths, 1, rtol=0, atol=_SAME_DIRECTION) or abs(along_row @ along_column) > _SAME_DIRECTION:
        return "the directions of rows and columns are not at right angles"
    normal = np.cross(along_row, along_column)
    depth = {id(frame): float(normal @ np.array(frame.position)) for frame in frames}
    slices = _merge(sorted(frames, key=lambda frame: depth[id(frame)]), depth)
    if len(slices) < LEAST_SLICES:
        return f"{len(slices)} slice{'s' if len(slices) > 1 else ''}"
    places = np.array([slice_[0].position for slice_ in slices])
    fault = _unevenness(places)
    if fault:
        return fault
    step = (places[-1] - places[0]) / (len(places) - 1)
    return Stack(tuple(slices), _affine(layout, along_row, along_column, step, slices[0][0].position))


def _merge(ordered: Sequence[Frame], depth: dict[int, float]) -> list[tuple[Frame, ...]]:
    """Images at one place are one slice."""
    slices: list[tuple[Frame, ...]] = []
    for frame in ordered:
        if slices and depth[id(frame)] - depth[id(slices[-1][0])] < SAME_PLACE_MM:
            slices[-1] = (*slices[-1], frame)
        else:
            slices.append((frame,))
    return slices


def _unevenness(places: NDArray[np.float64]) -> str:
    """Which slices are missing, or that they do not lie on one line."""
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    usual = float(np.median(steps))
    gaps = [k for k, step in enumerate(steps) if step > 1.5 * usual]
    missing = sum(round(float(steps[k]) / usual) - 1 for k in gaps)
    if gaps and missing <= len(places):
        after = ", ".join(str(k + 1) for k in gaps[:3])
        return f"{missing} of {len(places) + missing} slices missing (after number {after} of those that are there)"
    line = places[0] + np.linspace(0, 1, len(places))[:, None] * (places[-1] - places[0])
    worst = float(np.linalg.norm(places - line, axis=1).max())
    if worst > PLACE_TOLERANCE_MM:
        return f"slices {worst:.3g} mm from an even spacing along a line"
    return ""


def _affine(
    layout: Layout,
    along_row: NDArray[np.float64],
    along_column: NDArray[np.float64],
    step: NDArray[np.float64],
    first: Vector,
) -> Affine:
    """Source: DICOM PS3.3, C.7.6.2.1.1; the third column is the measured step, and LPS becomes RAS."""
    affine = np.eye(4)
    affine[:3, 0] = along_row * layout.column_mm
    affine[:3, 1] = along_column * layout.row_mm
    affine[:3, 2] = step
    affine[:3, 3] = first
    return check_affine("the series", _LPS_TO_RAS @ affine)
