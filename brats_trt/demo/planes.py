"""Geometry of the picture: which planes are drawn, how they are turned, and what their sides are called.

A volume in any orientation is flipped and permuted (never resampled) to display order: axis 0 grows to the patient's
left, axis 1 to the back, axis 2 downwards. The transpose of a slice is then a picture in radiological convention: the
patient's right on the left, front or head at the top. For oblique scans the nearest axes are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import nibabel.affines
import nibabel.orientations
import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError

# nibabel annotates neither module's functions.
affines: Any = nibabel.affines
orientations: Any = nibabel.orientations

DISPLAY_CODES = ("L", "P", "I")
OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "I": "S", "S": "I"}
STORED_AXES = "xyz"
MARGIN_MM = 3.0


@dataclass(frozen=True)
class Plane:
    """A plane of the display order: ``axis`` is crossed, ``across`` runs to the right of the picture, ``down`` down."""

    name: str
    axis: int
    across: int
    down: int


PLANES = (Plane("Axial", 2, 0, 1), Plane("Coronal", 1, 0, 2), Plane("Sagittal", 0, 1, 2))


@dataclass(frozen=True)
class DisplayGrid:
    """A volume's grid in display order.

    Attributes
    ----------
    shape
        The shape as stored.
    transform
        (3, 2) nibabel orientation from stored to display order.
    sizes
        Voxel edges in mm, in display order.
    codes
        The letter at the far end of each display axis, from the affine.
    oblique_degrees
        The largest angle between a stored axis and the patient's nearest axis.
    """

    shape: tuple[int, int, int]
    transform: NDArray[np.float64]
    sizes: tuple[float, float, float]
    codes: tuple[str, str, str]
    oblique_degrees: float

    def turn(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring (X, Y, Z) as stored to display order; a view, the input is not written to."""
        if values.shape != self.shape:
            raise CaseError(
                f"an array to draw has the shape {values.shape}; expected {self.shape}, the label map's: "
                "draw arrays of one grid"
            )
        return np.asarray(orientations.apply_orientation(values, self.transform))

    def letters(self, plane: Plane) -> tuple[str, str, str, str]:
        """What lies at the left, the right, the top and the bottom of a plane's picture."""
        right, bottom = self.codes[plane.across], self.codes[plane.down]
        return OPPOSITE[right], right, OPPOSITE[bottom], bottom

    def stored_position(self, plane: Plane, index: int) -> str:
        """A display slice as axis and index of the stored array, such as ``z = 93``."""
        axis = int(np.flatnonzero(self.transform[:, 0] == plane.axis)[0])
        place = index if self.transform[axis, 1] > 0 else self.shape[axis] - 1 - index
        return f"{STORED_AXES[axis]} = {place}"


def display_grid(shape: tuple[int, ...], affine: NDArray[np.floating]) -> DisplayGrid:
    """How to draw arrays of this shape and affine.

    Raises
    ------
    CaseError
        If the shape is not three-dimensional or the affine is not an invertible (4, 4) matrix.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    if len(shape) != 3 or matrix.shape != (4, 4):
        raise CaseError(f"the picture got the shape {shape} and an affine of {matrix.shape}; expected 3-D and (4, 4)")
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-9:
        raise CaseError("the affine is singular or not finite, so left and right are unknown: repair the header")
    transform = orientations.ornt_transform(
        orientations.io_orientation(matrix), orientations.axcodes2ornt(DISPLAY_CODES)
    )
    turned = matrix @ orientations.inv_ornt_aff(transform, shape)
    sizes, codes = affines.voxel_sizes(turned), orientations.aff2axcodes(turned)
    return DisplayGrid(
        shape=(shape[0], shape[1], shape[2]),
        transform=transform,
        sizes=(float(sizes[0]), float(sizes[1]), float(sizes[2])),
        codes=(codes[0], codes[1], codes[2]),
        oblique_degrees=float(np.degrees(np.max(affines.obliquity(matrix)))),
    )


def brain_window(brain: NDArray[np.bool_], sizes: tuple[float, float, float]) -> tuple[slice, slice, slice]:
    """The box around ``brain`` (display order) with a margin of 3 mm; everything where there is no brain."""
    window = []
    for axis, size in enumerate(sizes):
        inside = np.flatnonzero(brain.any(axis=tuple(a for a in range(3) if a != axis)))
        margin = int(np.ceil(MARGIN_MM / size))
        first, last = (int(inside[0]), int(inside[-1])) if inside.size else (0, brain.shape[axis] - 1)
        window.append(slice(max(0, first - margin), min(brain.shape[axis], last + 1 + margin)))
    return window[0], window[1], window[2]


def choose_slices(labels: NDArray[Any], brain: NDArray[np.bool_], *, oedema: int) -> tuple[int, int, int]:
    """Per display axis the slice with most tumour: of its solid part where there is one, else of oedema.

    Without any tumour, the middle of the brain's box.
    """
    tumour = labels > 0
    solid = tumour & (labels != oedema)
    chosen = solid if solid.any() else tumour
    if not chosen.any():
        window = brain_window(brain, (np.inf, np.inf, np.inf))
        x, y, z = ((s.start + s.stop - 1) // 2 for s in window)
        return x, y, z
    x, y, z = (_widest(chosen.sum(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3))
    return x, y, z


def _widest(areas: NDArray[np.intp]) -> int:
    """The index of the greatest area; of equal ones the nearest to the centroid."""
    places = np.arange(areas.size)
    widest = places[areas == areas.max()]
    return int(widest[np.abs(widest - np.average(places, weights=areas)).argmin()])


def take_slice(values: NDArray[Any], plane: Plane, index: int) -> NDArray[Any]:
    """A slice (rows, columns) of a volume in display order, ready to be drawn."""
    return np.asarray(np.take(values, index, axis=plane.axis).T)
