"""Of a softmax: its entropy by voxel, and the soft Dice that it expects of its own answer by structure.

Labels are those of the crop: the class of the greatest probability, before anything is resampled or dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

# The structures that are scored, by classes. Source: BraTS.
STRUCTURES: Mapping[str, tuple[int, ...]] = {
    "whole_tumour": (1, 2, 3),
    "tumour_core": (1, 3),
    "enhancing": (3,),
}
# Voxels that are tumour with no more than this probability count for nothing. A crop has two million of them, whose sum
# would outweigh a small tumour; and they need not be looked at.
FLOOR = 0.01
_LEAST = np.finfo(np.float32).tiny  # stands for 0 under the logarithm


@dataclass(frozen=True)
class RawScore:
    """What the network expects of its own answer for one structure; no Dice before a calibration made it one.

    Attributes
    ----------
    value
        From 0 to 1, and the greater the surer. Where voxels are labelled as the structure, the expected soft Dice
        2 sum(p over these) / (sum(p) + their number); elsewhere 1 - max(p), p being the structure's probability.
    found
        Whether voxels are labelled as the structure.
    """

    value: float
    found: bool


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """The entropy of each voxel as a share of the greatest there is, ln 4 nats: 0 is certain, 1 is undecided.

    Parameters
    ----------
    probabilities
        (4, D, H, W) float32.

    Returns
    -------
    (D, H, W) float32, from 0 to 1.
    """
    total = np.zeros(probabilities.shape[1:], np.float32)
    for p in probabilities:
        total -= p * np.log(np.maximum(p, _LEAST))
    total *= np.float32(1 / log(len(probabilities)))
    return np.asarray(np.clip(total, 0, 1, out=total))


def raw_scores(probabilities: NDArray[np.float32]) -> dict[str, RawScore]:
    """The score of each of `STRUCTURES`.

    Parameters
    ----------
    probabilities
        (4, D, H, W) float32. Voxels where the tumour's classes have `FLOOR` or less together are left out.
    """
    classes = probabilities.reshape(len(probabilities), -1)
    near = np.flatnonzero(classes[0] < np.float32(1 - FLOOR))
    inside = classes[:, near]
    labels = inside.argmax(axis=0)
    return {name: _score(inside[list(of)].sum(axis=0), np.isin(labels, of)) for name, of in STRUCTURES.items()}


def _score(p: NDArray[np.float32], labelled: NDArray[np.bool_]) -> RawScore:
    number = int(labelled.sum())
    if not number:
        return RawScore(_share(1 - float(p.max(initial=0))), found=False)
    shared = float(p[labelled].sum(dtype=np.float64))
    return RawScore(_share(2 * shared / (float(p.sum(dtype=np.float64)) + number)), found=True)


def _share(value: float) -> float:
    """Between 0 and 1, which rounding may leave."""
    return min(1.0, max(0.0, value))
