"""How a stored grid is turned for display, and what its sides are called; all of it from the affine.

A volume in any orientation is permuted and flipped, never resampled, to display order: axis 0 grows to the patient's
left, axis 1 to the back, axis 2 downwards. The transpose of a slice is then a picture in radiological convention: the
patient's right on the left, front or head at the top. Affines lead to RAS+ millimetres: x grows to the right, y to the
front, z upwards. On an oblique grid each stored axis goes by the patient's axis that it is paired with, such that the
product of the three cosines is the greatest, and the largest angle of a pair is kept to be stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..geometry import Affine, Box, Index3, check_affine

# The letters where the world's x, y and z are least and greatest.
_ENDS = (("L", "R"), ("P", "A"), ("I", "S"))
_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "I": "S", "S": "I"}
_STORED_AXES = "xyz"


@dataclass(frozen=True)
class Plane:
    """A plane of the display order: `axis` is crossed, `across` runs to the right of the picture, `down` down."""

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
        Voxels along the stored axes.
    order
        The stored axis along each display axis.
    flipped
        Whether a display axis runs against its stored axis.
    sizes
        Voxel edges in mm, in display order.
    codes
        The letter at the far end of each display axis.
    oblique_degrees
        The largest angle between a stored axis and the patient's axis whose letters it gets.
    skew_degrees
        How far from right angles two stored axes meet, at most.
    """

    shape: Index3
    order: Index3
    flipped: tuple[bool, bool, bool]
    sizes: tuple[float, float, float]
    codes: tuple[str, str, str]
    oblique_degrees: float
    skew_degrees: float

    def turn(self, values: NDArray[Any]) -> NDArray[Any]:
        """Bring (X, Y, Z) as stored to display order; a view.

        Raises
        ------
        CaseError
            If the array has another shape than the grid.
        """
        if values.shape != self.shape:
            raise CaseError(
                f"an array to draw has the shape {values.shape}; expected {self.shape}, the label map's: "
                "draw arrays of one grid"
            )
        steps = tuple(slice(None, None, -1 if back else 1) for back in self.flipped)
        return np.asarray(values.transpose(self.order)[steps])

    def turn_box(self, box: Box) -> Box:
        """Bring a box of the stored grid to display order."""
        lower, upper = [0, 0, 0], [0, 0, 0]
        for axis, (stored, back) in enumerate(zip(self.order, self.flipped, strict=True)):
            first, end = box.lower[stored], box.upper[stored]
            lower[axis], upper[axis] = (self.shape[stored] - end, self.shape[stored] - first) if back else (first, end)
        return Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))

    def letters(self, plane: Plane) -> tuple[str, str, str, str]:
        """What lies at the left, the right, the top and the bottom of a plane's picture."""
        right, bottom = self.codes[plane.across], self.codes[plane.down]
        return _OPPOSITE[right], right, _OPPOSITE[bottom], bottom

    def stored_position(self, plane: Plane, index: int) -> str:
        """A display slice as axis and index of the stored array, such as `z = 93`."""
        stored = self.order[plane.axis]
        place = self.shape[stored] - 1 - index if self.flipped[plane.axis] else index
        return f"{_STORED_AXES[stored]} = {place}"


def display_grid(shape: Index3, affine: Affine) -> DisplayGrid:
    """How to draw arrays of this shape and affine.

    Raises
    ------
    CaseError
        If the affine does not map voxels to millimetres.
    """
    steps = check_affine("the picture", affine)[:3, :3]
    lengths = np.linalg.norm(steps, axis=0)
    cosines = steps / lengths  # [patient's axis, stored axis]
    order = max(permutations(range(3)), key=lambda pairs: np.abs(cosines[range(3), pairs]).prod())
    flipped = [bool(cosines[axis, stored] > 0) for axis, stored in enumerate(order)]
    shown = cosines[:, order] * np.where(flipped, -1, 1)
    codes = [_ENDS[axis][int(shown[axis, axis] > 0)] for axis in range(3)]
    meeting = np.abs(cosines.T @ cosines)[np.triu_indices(3, 1)]
    return DisplayGrid(
        shape=shape,
        order=(order[0], order[1], order[2]),
        flipped=(flipped[0], flipped[1], flipped[2]),
        sizes=(float(lengths[order[0]]), float(lengths[order[1]]), float(lengths[order[2]])),
        codes=(codes[0], codes[1], codes[2]),
        oblique_degrees=float(np.degrees(np.arccos(np.clip(np.abs(shown.diagonal()).min(), 0, 1)))),
        skew_degrees=float(np.degrees(np.arcsin(np.clip(meeting.max(), 0, 1)))),
    )


def take_slice(values: NDArray[Any], plane: Plane, index: int) -> NDArray[Any]:
    """A slice (rows, columns) of a volume in display order, ready to be drawn; a view."""
    return np.asarray(np.moveaxis(values, plane.axis, 0)[index].T)
