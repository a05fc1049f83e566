"""Volumes on other grids by their affines, trilinearly; beyond half a voxel outside of a volume is 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import _host
from .geometry import Affine, Index3, corners
from .volume import Volume

# Grid axes z, y, x in RAS: from below, from the front and from the right.
PATIENT_AXES = np.array([[0.0, 0.0, -1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
_WITHIN = 0.5


def voxel_map(affine: Affine, grid: Affine) -> NDArray[np.float64]:
    """(3, 4): from a voxel of a grid to a position in a volume of this affine, in voxels."""
    return np.asarray((np.linalg.inv(affine) @ grid)[:3], dtype=np.float64)


def resample(volume: Volume, affine: Affine, grid: Affine, out: NDArray[np.float32], *, threads: int = 0) -> None:
    """Write a volume's values on another grid into a C-contiguous array of the grid's shape."""
    align(volume, voxel_map(affine, grid), out, threads=threads)


def align(volume: Volume, matrix: NDArray[np.float64], out: NDArray[np.float32], *, threads: int = 0) -> None:
    """The same by the map itself, (3, 4), from a voxel of `out` to a position in the volume."""
    _host.align(volume.on_host, matrix, out, slope=volume.slope, intercept=volume.intercept, threads=threads)


def resampled(volume: Volume, affine: Affine, grid: Affine, shape: Index3, *, threads: int = 0) -> NDArray[np.float32]:
    """A volume's values on another grid."""
    out = np.empty(shape, np.float32)
    resample(volume, affine, grid, out, threads=threads)
    return out


def covered(shares: Volume, affine: Affine, grid: Affine, shape: Index3, *, threads: int = 0) -> NDArray[np.bool_]:
    """Where on another grid a volume of shares, from 0 to 1, is at least a half."""
    mask: NDArray[np.bool_] = resampled(shares, affine, grid, shape, threads=threads) >= _WITHIN
    return mask


def patient_grid(affine: Affine, shape: Index3, step_mm: float) -> tuple[Affine, Index3]:
    """A grid along the patient's axes over all voxels of another: its affine, and its samples along z, y and x."""
    places = (affine @ corners(shape))[:3]
    low, high = places.min(axis=1), places.max(axis=1)
    made = np.eye(4)
    made[:3, :3] = PATIENT_AXES * step_mm
    made[:3, 3] = (high[0], high[1], low[2])
    x, y, z = (max(2, int(edge // step_mm) + 1) for edge in high - low)
    return made, (z, y, x)
