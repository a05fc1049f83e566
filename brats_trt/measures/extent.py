"""How far a set of voxels reaches. A voxel is a solid box: index i covers i - 0.5 to i + 0.5 along its axis.

So a single voxel of 1 mm has the diameter sqrt(3) mm, not 0, and lengths go from edge to edge. The farthest two points
of a set of boxes are corners of its convex hull, and an affine map keeps hulls: Qhull finds them on the lattice, and
only their distances are taken in millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ..geometry import Affine

Mask = NDArray[np.bool_]
Points = NDArray[np.float64]

_ROWS = 512  # of the table of distances that are held at once


def outer_corners(mask: Mask) -> Points:
    """Corners of voxels, in voxels from the mask's first, among which all those of the convex hull are.

    Parameters
    ----------
    mask
        2-D or 3-D, not empty.

    Returns
    -------
    (N, 2) or (N, 3): of each line along the last axis, the corners of its first and its last voxel.
    """
    lines = mask.any(axis=-1)
    rows = mask[lines]
    first, last = rows.argmax(axis=1), rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    start = np.argwhere(lines)
    halves = product((-0.5, 0.5), repeat=start.shape[1])
    corners = [np.column_stack([start + np.array(half), end]) for half in halves for end in (first - 0.5, last + 0.5)]
    return np.unique(np.concatenate(corners), axis=0)


def bounds_mm(corners: Points, affine: Affine) -> tuple[Points, Points]:
    """The least and the greatest scanner coordinates (3,) of some corners (N, 3), which are in voxels of the grid."""
    places = corners @ affine[:3, :3].T + affine[:3, 3]
    return places.min(axis=0), places.max(axis=0)


def axial_axis(affine: Affine) -> int:
    """The array axis that crosses the axial planes: the other two span the plane most nearly perpendicular to S."""
    normals = [np.cross(*affine[:3, [axis for axis in range(3) if axis != crossed]].T) for crossed in range(3)]
    return int(np.argmax([abs(normal[2]) / np.linalg.norm(normal) for normal in normals]))


def diameter_mm(parts: Sequence[Mask], affine: Affine) -> float:
    """The largest distance in mm between two points of one part.

    Parameters
    ----------
    parts
        3-D masks, none empty.
    """
    return _largest(parts, affine[:3, :3])


def axial_diameter_mm(parts: Sequence[Mask], affine: Affine) -> float:
    """The largest distance in mm between two points of one part in one plane of voxels across `axial_axis`.

    The plane is that of the voxels' middles: its thickness does not count.
    """
    axis = axial_axis(affine)
    across = [other for other in range(3) if other != axis]
    planes = [plane for part in parts for plane in np.moveaxis(part, axis, 0) if plane.any()]
    return _largest(planes, affine[:3, across])


def _largest(masks: Sequence[Mask], steps: NDArray[np.float64]) -> float:
    """The largest distance within any one mask. What cannot reach farther than another did is not looked at.

    Parameters
    ----------
    steps
        (3, 2) or (3, 3): a voxel's edges in mm.
    """
    reaches = [float(np.linalg.norm(np.abs(steps) @ mask.shape)) for mask in masks]
    best = 0.0
    for index in np.argsort(reaches)[::-1]:
        if reaches[index] <= best:
            break
        best = max(best, _farthest_corners(outer_corners(masks[index]), steps))
    return best


def _farthest_corners(corners: Points, steps: NDArray[np.float64]) -> float:
    from scipy.spatial import ConvexHull

    places = corners[ConvexHull(corners).vertices] @ steps.T
    return max(
        float(np.linalg.norm(places[begin : begin + _ROWS, None] - places[None], axis=-1).max())
        for begin in range(0, len(places), _ROWS)
    )
