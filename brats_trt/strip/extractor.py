"""The brain in a head: HD-BET's network on a grid around it, and the mask that it gives on any other grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..geometry import Affine, Index3, voxel_volume_ml
from ..resampling import covered, resampled
from ..volume import Volume
from .golden import BRAIN
from .networks import BrainNetwork
from .placement import SHAPE, brain_grid, inside


@dataclass(frozen=True, eq=False)
class Brain:
    """Where the brain is.

    Attributes
    ----------
    probability
        (Z, Y, X) float32 on the network's grid: one component without holes is at least 0.5.
    affine
        (4, 4) float64: from that grid to RAS millimetres.
    """

    probability: NDArray[np.float32]
    affine: Affine

    @property
    def volume_ml(self) -> float:
        """Millilitres of the brain on the network's grid."""
        return float((self.probability >= BRAIN).sum()) * voxel_volume_ml(self.affine)

    def on(self, affine: Affine, shape: Index3, *, threads: int = 0) -> NDArray[np.bool_]:
        """The mask on another grid: the probability there, trilinearly, of at least 0.5."""
        return covered(self.shares, self.affine, affine, shape, threads=threads)

    @property
    def shares(self) -> Volume:
        """The probability as a volume."""
        return Volume(self.probability, 1.0, 0.0, "the brain's mask")


class BrainExtractor:
    """HD-BET's networks, one of them, or the mean of several, with what surrounds them.

    Parameters
    ----------
    networks
        Where they run.
    threads
        For the host's part; None is all cores.
    """

    def __init__(self, networks: Sequence[BrainNetwork], *, threads: int | None = None) -> None:
        self._networks = networks
        self._threads = threads

    def extract(self, volume: Volume, affine: Affine) -> Brain:
        """Find the brain in a T1, a T1 with contrast agent, a T2 or a FLAIR.

        Raises
        ------
        CaseError
            If there is no head in it, or no brain is found.
        EngineError
            If a network fails.
        """
        threads = self._threads or 0
        grid = brain_grid(volume, affine, threads)
        values = _normalised(
            resampled(volume, affine, grid, SHAPE, threads=threads), inside(volume, affine, grid, SHAPE)
        )
        probability = np.stack([network.infer(values) for network in self._networks]).mean(axis=0)
        return Brain(_one_piece(probability, volume.source), grid)


def _normalised(values: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean 0 and deviation 1 over what was seen, air included, and 0 elsewhere, as the networks were trained."""
    known = values[seen]
    mean, deviation = float(known.mean(dtype=np.float64)), float(known.std(dtype=np.float64))
    made: NDArray[np.float32] = np.where(seen, (values - mean) / deviation, 0).astype(np.float32)
    return made


def _one_piece(probability: NDArray[np.float32], source: str) -> NDArray[np.float32]:
    """The largest component alone, its holes filled; elsewhere the probability stays under a half."""
    import cc3d
    from scipy.ndimage import binary_fill_holes

    brain = probability >= BRAIN
    if not brain.any():
        raise CaseError(f"{source}: no brain was found in it; give a head, or a stripped volume without --raw")
    largest = cc3d.largest_k(brain, k=1, connectivity=26).astype(bool)
    filled = binary_fill_holes(largest)
    under = np.where(brain & ~largest, 0, probability)
    made: NDArray[np.float32] = np.where(filled & ~brain, 1, under).astype(np.float32)
    return made
