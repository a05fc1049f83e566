"""Which planes of a case are drawn, and how much of them. Arrays and boxes are in display order (orientation.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box, Index3

MARGIN_MM = 3.0


def head_window(head: Box, shape: Index3, sizes: tuple[float, float, float]) -> Box:
    """The head's box with a margin of 3 mm, and of one voxel at least, as far as there are voxels."""
    margins = [max(1, int(np.ceil(MARGIN_MM / size))) for size in sizes]
    x, y, z = (max(0, lower - margin) for lower, margin in zip(head.lower, margins, strict=True))
    i, j, k = (min(n, upper + margin) for n, upper, margin in zip(shape, head.upper, margins, strict=True))
    return Box((x, y, z), (i, j, k))


def choose_slices(labels: NDArray[Any], head: Box, *, oedema: int) -> Index3:
    """Along each axis the slice with most tumour: of its solid part where there is one, else of oedema.

    Without any tumour, the middle of the head's box.
    """
    tumour = labels > 0
    if not tumour.any():
        x, y, z = ((lower + upper - 1) // 2 for lower, upper in zip(head.lower, head.upper, strict=True))
        return x, y, z
    solid = tumour & (labels != oedema)
    chosen = solid if solid.any() else tumour
    x, y, z = (_widest(np.count_nonzero(chosen, axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    return x, y, z


def _widest(areas: NDArray[np.intp]) -> int:
    """The index of the greatest area; of equal ones the nearest to the centroid."""
    places = np.arange(areas.size)
    widest = places[areas == areas.max()]
    return int(widest[np.abs(widest - np.average(places, weights=areas)).argmin()])
