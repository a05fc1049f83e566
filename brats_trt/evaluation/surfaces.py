"""Distances between the surfaces of two structures, in millimetres by the affine.

A surface is the voxels of a structure of which at least one face neighbour is outside it; what lies beyond the grid is
outside. A voxel counts at its centre. Distances are Euclidean between the centres in millimetres, so anisotropic,
oblique and sheared grids need no special case. SciPy is imported by the functions that search.
"""

from __future__ import annotations

from itertools import product
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..geometry import Affine, Index3

# How the distances of both directions make one number. "max": the greater of the two 95th percentiles, as Metrics
# Reloaded, MONAI and BraTS 2023's code have it; "pooled": the 95th percentile of both directions' distances together,
# as MedPy, nnU-Net and the BraTS package of 2026 have it.
Combination = Literal["max", "pooled"]
COMBINATIONS: tuple[Combination, ...] = get_args(Combination)
PERCENTILE = 95.0


def hausdorff95(
    first: NDArray[np.bool_], second: NDArray[np.bool_], affine: Affine, *, combination: Combination = "max"
) -> float:
    """The 95th percentile of the Hausdorff distance, in mm; percentiles are interpolated linearly.

    Parameters
    ----------
    first, second
        (X, Y, Z) masks of one grid.
    affine
        (4, 4), voxel to millimetre.
    combination
        Of the two directions' distances.

    Raises
    ------
    ValueError
        If a mask is empty, or the shapes differ.
    """
    there, back = surface_distances(first, second, affine)
    if combination == "pooled":
        return float(np.percentile(np.concatenate([there, back]), PERCENTILE))
    return float(max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE)))


def surface_distances(
    first: NDArray[np.bool_], second: NDArray[np.bool_], affine: Affine
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The distance in mm from each surface voxel of one mask to the other's surface, there and back.

    Raises
    ------
    ValueError
        If a mask is empty, or the shapes differ.
    """
    from scipy.spatial import KDTree

    if first.shape != second.shape:
        raise ValueError(f"masks of shapes {first.shape} and {second.shape}; expected one grid")
    if not (first.any() and second.any()):
        raise ValueError("a mask is empty, so it has no surface; expected two that are not")
    points, others = (surface_voxels(mask) @ affine[:3, :3].T for mask in (first, second))
    there, _ = KDTree(others).query(points)
    back, _ = KDTree(points).query(others)
    return np.asarray(there, dtype=np.float64), np.asarray(back, dtype=np.float64)


def surface_voxels(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(N, 3) indices of a mask's surface voxels."""
    padded = np.pad(mask, 1)
    inside = mask.copy()
    for axis in range(mask.ndim):
        for step in (-1, 1):
            inside &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(mask & ~inside)


def grid_diagonal_mm(affine: Affine, shape: Index3) -> float:
    """The longest diagonal of a grid, from outer corner to outer corner: 373.1 mm for BraTS' 240x240x155 of 1 mm."""
    x, y, z = shape
    diagonals = [affine[:3, :3] @ (x, sign_y * y, sign_z * z) for sign_y, sign_z in product((-1, 1), repeat=2)]
    return float(max(np.linalg.norm(diagonal) for diagonal in diagonals))
