"""The contrast of four volumes of one head: ranks of values at neighbouring places of the sample.

From one neighbour to the next, contrast changes with the tissue, while the scanner's bias, which varies over
decimetres, hardly does. Ranks do not depend on a modality's unit, nor on any curve that its values went through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..spec import Modality

# Pairs of neighbours along each axis: a correlation over them is known to about 0.02.
PAIRS = 1400


@dataclass(frozen=True, eq=False)
class Contrast:
    """What a sample's neighbours show.

    Attributes
    ----------
    modalities
        The first axis of the arrays below.
    ranks
        (4, 2, n) float64 from 0 to 1: of both neighbours of n pairs, among all of them.
    ordered
        (4, 2 n) float64: the values, ascending.
    """

    modalities: tuple[Modality, ...]
    ranks: NDArray[np.float64]
    ordered: NDArray[np.float64]

    @property
    def changes(self) -> NDArray[np.float64]:
        """(4, n): how far the rank changes from one neighbour to the other."""
        return self.ranks[:, 1] - self.ranks[:, 0]


def measure_contrast(head: NDArray[np.bool_], values: Mapping[Modality, NDArray[np.float64]]) -> Contrast:
    """The contrast at neighbours in the head.

    Parameters
    ----------
    head
        (I, J, K) bool.
    values
        By modality, (n,) float64: one a voxel of the head, the first axis running fastest.
    """
    places = _neighbours(head).ravel()
    chosen = np.stack([value[places] for value in values.values()])
    order = np.argsort(chosen, axis=1)
    ranks = np.empty(chosen.shape)
    np.put_along_axis(ranks, order, np.arange(len(places)) / max(len(places), 1), axis=1)
    ordered = np.take_along_axis(chosen, order, axis=1)
    return Contrast(tuple(values), ranks.reshape(len(values), 2, -1), ordered)


def _neighbours(head: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(2, n): positions among the head's voxels, the first axis running fastest, of pairs along each axis."""
    numbers = np.cumsum(head.ravel(order="F"), dtype=np.int32).reshape(head.shape, order="F") - 1
    pairs = []
    for axis in range(3):
        lower, upper = [slice(None)] * 3, [slice(None)] * 3
        lower[axis], upper[axis] = slice(None, -1), slice(1, None)
        both = np.flatnonzero((head[tuple(lower)] & head[tuple(upper)]).ravel(order="F"))
        kept = both[:: max(1, -(-len(both) // PAIRS))]
        pairs.append(np.stack([numbers[tuple(side)].ravel(order="F")[kept] for side in (lower, upper)]))
    return np.concatenate(pairs, axis=1)
