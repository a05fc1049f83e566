"""Where the brain's network looks: a grid of fixed size along the patient's axes, around the upper part of the head.

The grid's axes are z, y, x from below, from the front and from the right, as the network was trained; 192x240x192 mm
hold any adult's brain, wherever its neck ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..geometry import Affine, Index3
from ..resampling import PATIENT_AXES, patient_grid, resampled, voxel_map
from ..volume import Volume

SHAPE: Index3 = (128, 160, 128)
STEP_MM = 1.5
_COARSE_MM = 4.0
# Of the brightness that all but a hundredth of the voxels stay under: less than this is air.
_AIR = 0.15
# From the top of the head down to below the brain: what lies deeper says nothing about where the brain is.
_DEPTH_MM = 150.0
_ABOVE_MM = 12.0


def inside(volume: Volume, affine: Affine, grid: Affine, shape: Index3) -> NDArray[np.bool_]:
    """Which voxels of a grid lie in a volume."""
    matrix = voxel_map(affine, grid)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    within = np.ones(shape, dtype=bool)
    for row, edge in zip(matrix, volume.data.shape, strict=True):
        at = row[0] * z + row[1] * y + row[2] * x + row[3]
        within &= (at >= -0.5) & (at <= edge - 0.5)
    return within


def brain_grid(volume: Volume, affine: Affine, threads: int = 0) -> Affine:
    """The affine of the grid, whose shape is `SHAPE`.

    Raises
    ------
    CaseError
        If there is no head in the volume.
    """
    x, y, z = volume.data.shape
    coarse, shape = patient_grid(affine, (x, y, z), _COARSE_MM)
    values = resampled(volume, affine, coarse, shape, threads=threads)
    head = values > _AIR * np.quantile(values, 0.99)
    if not head.any() or not values.any():
        raise CaseError(f"{volume.source}: no head is in it: every voxel has the same value; give a head")
    levels = _extent(head.sum(axis=(1, 2)))
    top = levels[1]
    bottom = max(levels[0], top - round(_DEPTH_MM / _COARSE_MM))
    upper = head[bottom : top + 1]
    rows, columns = _extent(upper.sum(axis=(0, 2))), _extent(upper.sum(axis=(0, 1)))
    middle = coarse @ np.array([0.0, sum(rows) / 2, sum(columns) / 2, 1.0])
    top_mm = (coarse @ np.array([top, 0.0, 0.0, 1.0]))[2]
    made = np.eye(4)
    made[:3, :3] = PATIENT_AXES * STEP_MM
    depth, height, width = (STEP_MM * (edge - 1) for edge in SHAPE)
    made[:3, 3] = (middle[0] + width / 2, middle[1] + height / 2, top_mm + _ABOVE_MM - depth)
    return made


def _extent(profile: NDArray[np.int64]) -> tuple[int, int]:
    """First and last entry of a profile of the head; a few voxels of noise are none."""
    inside = np.flatnonzero(profile > 0.02 * profile.max())
    return int(inside[0]), int(inside[-1])
