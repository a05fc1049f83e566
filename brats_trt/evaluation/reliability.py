"""Whether what was expected came: expected against observed Dice of cases, and probabilities against shares of voxels.

Both make the same table, a row a bin of what was expected. A reliable model's rows have the same number on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..confidence import STRUCTURES
from ..geometry import Box

CASE_BINS, VOXEL_BINS = 5, 10


@dataclass(frozen=True)
class Bin:
    """What was expected and what came, of cases or of voxels.

    Attributes
    ----------
    n
        How many; there are no empty bins.
    expected, observed
        Means.
    spread
        The standard deviation of what came.
    """

    n: int
    expected: float
    observed: float
    spread: float


@dataclass(frozen=True)
class Reliability:
    """The bins, from the least expected to the greatest."""

    bins: tuple[Bin, ...]

    @property
    def n(self) -> int:
        """Cases or voxels in all bins."""
        return sum(row.n for row in self.bins)

    @property
    def calibration_error(self) -> float:
        """The expected calibration error: the mean over all of |expected - observed|, by bins."""
        return sum(row.n * abs(row.expected - row.observed) for row in self.bins) / self.n


def reliability(expected: NDArray[Any], dice: NDArray[Any], *, bins: int = CASE_BINS) -> Reliability:
    """The table of some cases, in bins of about as many each.

    Parameters
    ----------
    expected, dice
        (n,), of each case.
    bins
        At most so many; cases of which the same was expected stay together.

    Raises
    ------
    ValueError
        If there is no case, the lengths differ, or a number is not finite.
    """
    expected, dice = np.asarray(expected, np.float64), np.asarray(dice, np.float64)
    if expected.ndim != 1 or expected.shape != dice.shape or not len(expected):
        raise ValueError(f"{expected.shape} expected Dice and {dice.shape} observed; expected as many, and one case")
    if not (np.isfinite(expected).all() and np.isfinite(dice).all()):
        raise ValueError("a Dice is not finite: leave out the cases without one")
    order = np.argsort(expected, kind="stable")
    expected, dice = expected[order], dice[order]
    wanted = np.linspace(0, len(expected), min(bins, len(expected)) + 1).astype(int)[1:-1]
    cuts = np.unique(np.searchsorted(expected, expected[wanted]))
    parts = zip(np.split(expected, cuts), np.split(dice, cuts), strict=True)
    return Reliability(tuple(Bin(len(e), float(e.mean()), float(d.mean()), float(d.std())) for e, d in parts if len(e)))


@dataclass(eq=False)
class VoxelReliability:
    """Probabilities of structures against references, added up over cases in bins of equal width.

    Most voxels of a head are far from every tumour; the lowest bin holds them, and decides a calibration error.
    """

    bins: int = VOXEL_BINS
    _sums: dict[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def add(self, probabilities: NDArray[np.float32], classes: NDArray[np.uint8]) -> None:
        """Count the voxels of a case.

        Parameters
        ----------
        probabilities
            (4, D, H, W).
        classes
            (D, H, W) the reference's classes on the same grid; of a crop as `crop_classes` gives them.

        Raises
        ------
        ValueError
            If the grids differ.
        """
        if probabilities.shape[1:] != classes.shape:
            raise ValueError(f"probabilities on {probabilities.shape[1:]}, classes on {classes.shape}: not one grid")
        for name, of in STRUCTURES.items():
            p = probabilities[list(of)].sum(axis=0).ravel()
            place = np.clip((p * self.bins).astype(np.intp), 0, self.bins - 1)
            right = np.isin(classes, of).ravel()
            counted = np.stack([np.bincount(place, weights, self.bins) for weights in (None, p, right)])
            self._sums[name] = np.asarray(self._sums.get(name, 0.0) + counted, np.float64)

    def tables(self) -> Mapping[str, Reliability]:
        """The table of each structure; a spread is that of single voxels, sqrt(q (1 - q)) at a share q."""
        return {name: Reliability(tuple(_voxel_bins(sums))) for name, sums in self._sums.items()}


def crop_classes(classes: NDArray[np.uint8], box: Box, size: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Classes on the grid of a crop: those of the nearest voxels, end points aligned.

    Parameters
    ----------
    classes
        (X, Y, Z) on the input's grid.
    box
        Where the crop lies, `Segmentation.box`.
    size
        The crop's voxels, (D, H, W).
    """
    places = [
        np.rint(lower + np.arange(samples) * ((n - 1) / (samples - 1))).astype(np.intp)
        for lower, n, samples in zip(box.lower, box.shape, size, strict=True)
    ]
    return np.asarray(classes[np.ix_(*places)])


def _voxel_bins(sums: NDArray[np.float64]) -> list[Bin]:
    shares = [(int(n), float(p / n), float(right / n)) for n, p, right in sums.T if n]
    return [Bin(n, p, q, sqrt(max(0.0, q * (1 - q)))) for n, p, q in shares]
