"""Boxes and affines. Boxes are half-open; axes x, y, z are array axes 0, 1, 2; affines map voxel to millimetre."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import CaseError

Affine = NDArray[np.float64]
Index3 = tuple[int, int, int]

# The largest distance, in millimetres, between where two affines put a corner of one grid, for the grids to count as
# one. NIfTI keeps affines in float32: over 1024 voxels of 1 mm its rounding moves a corner by up to 1.1e-4 mm, and a
# round trip through the quaternion form a head by about as much, unless the rotation comes near half a turn, where the
# quaternion form itself loses up to 0.4 mm. Such a pair of files is refused: its error is that of a real shift.
GRID_TOLERANCE_MM = 1e-3

# What a voxel's edges, made 1 long, span at least: 1 where they are orthogonal, 0 in one plane, within 1e-7 in float32.
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Box:
    """Voxels with lower[axis] <= index < upper[axis]."""

    lower: Index3
    upper: Index3

    @property
    def shape(self) -> Index3:
        """Voxels along x, y and z."""
        (a, b, c), (d, e, f) = self.lower, self.upper
        return (d - a, e - b, f - c)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """For indexing an array of the volume's grid."""
        x, y, z = (slice(lower, upper) for lower, upper in zip(self.lower, self.upper, strict=True))
        return (x, y, z)


def without_last_plane(box: Box) -> Box:
    """The box as the authors slice it, `[first:last]`: the last plane of each axis is lost.

    The network was trained on such crops. Source: the authors' released code.
    """
    x, y, z = box.upper
    return Box(box.lower, (x - 1, y - 1, z - 1))


def voxel_volume_ml(affine: Affine) -> float:
    """Millilitres of one voxel."""
    return abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0


def crop_affine(affine: Affine, box: Box, size: Index3) -> Affine:
    """The affine of a box resampled to `size` samples an axis with end points aligned.

    Sample k of an axis lies at voxel lower + k * (n - 1) / (size - 1), with n the box's voxels along it.
    """
    steps = [(n - 1) / (samples - 1) for n, samples in zip(box.shape, size, strict=True)]
    to_voxel = np.diag([*steps, 1.0])
    to_voxel[:3, 3] = box.lower
    return np.asarray(affine @ to_voxel, dtype=np.float64)


def corners(shape: Index3, *, reach: float = 0.0) -> NDArray[np.float64]:
    """(4, 8) homogeneous voxel positions: the centres of a grid's corner voxels, or as far beyond them as `reach`."""
    ends = [(-reach, n - 1 + reach) for n in shape]
    return np.array(np.meshgrid(*ends, [1.0], indexing="ij")).reshape(4, -1)


def grid_distance_mm(first: Affine, second: Affine, shape: Index3) -> float:
    """The largest distance between where two affines put a corner of one grid, in millimetres."""
    with np.errstate(over="ignore"):
        return float(np.linalg.norm(((first - second) @ corners(shape))[:3], axis=0).max())


def check_affine(source: object, affine: Affine) -> Affine:
    """The affine itself, if it maps voxels to space one to one.

    Raises
    ------
    CaseError
        If it is not finite or flattens space.
    """
    usable = affine.shape == (4, 4) and bool(np.isfinite(affine).all())
    if not usable or not _spread(affine[:3, :3]) > _LEAST_SPREAD:
        raise CaseError(f"{source}: the affine {affine.tolist()} does not map voxels to millimetres: export it again")
    return affine


def _spread(matrix: NDArray[np.float64]) -> float:
    """The volume that the columns span once their lengths are 1; 0 or NaN where their own has no float64."""
    with np.errstate(all="ignore"):
        return float(abs(np.linalg.det(matrix)) / np.prod(np.linalg.norm(matrix, axis=0)))
