"""The grid that a raw exam is worked on: 1 mm, along the reference's axes, ordered as the network knows them.

The network learnt on volumes whose axes run to the left, to the back and to the head. The reference's own directions
are kept, so that an oblique head stays straight in its box; only their order and their signs are changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from ..geometry import Affine, Index3, corners

STEP_MM = 1.0
# Left, back and head in RAS.
_TRAINED = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Grid:
    """A grid of voxels: (4, 4) float64 from voxel to RAS millimetre, and how many there are along x, y and z."""

    affine: Affine
    shape: Index3


def working_grid(reference: Grid, *, step_mm: float = STEP_MM) -> Grid:
    """The grid over all of the reference's voxels, from their outer edges."""
    directions = _trained_directions(reference.affine)
    along = directions.T @ (reference.affine @ corners(reference.shape, reach=0.5))[:3]
    low, high = along.min(axis=1), along.max(axis=1)
    # A rounding error is no voxel.
    x, y, z = (max(1, int(np.ceil(extent / step_mm - 1e-6))) for extent in high - low)
    first = (low + high) / 2 - (np.array([x, y, z]) - 1) / 2 * step_mm
    affine = np.eye(4)
    affine[:3, :3] = directions * step_mm
    affine[:3, 3] = directions @ first
    return Grid(affine, (x, y, z))


def _trained_directions(affine: Affine) -> Affine:
    """The reference's axes as orthonormal columns, ordered and signed to lie as near as may be to the trained ones."""
    left, _, right = np.linalg.svd(affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0))
    axes = left @ right
    likeness = _TRAINED.T @ axes  # of each trained axis to each of the reference's
    order = max(permutations(range(3)), key=lambda columns: sum(abs(likeness[k, c]) for k, c in enumerate(columns)))
    signs = [np.sign(likeness[k, c]) or 1.0 for k, c in enumerate(order)]
    return np.asarray(axes[:, list(order)] * signs)
