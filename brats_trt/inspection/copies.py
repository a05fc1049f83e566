"""Modalities that are one volume twice: the network learnt from four different ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .contrast import Contrast
from .evidence import Evidence
from .finding import Finding

CODE = "modality-copied"
# Of ranks over the head. T1 before and after contrast, the most alike of two, stay below.
LEAST_CORRELATION = 0.99


def find_copies(evidence: Evidence) -> Finding | None:
    """Report pairs of modalities that are equal, or that a monotonic curve takes to one another but for some noise.

    Silent where the sample has too few voxels of a head.
    """
    contrast = evidence.contrast
    if contrast is None:
        return None
    sample = evidence.sample
    correlations = rank_correlations(contrast)
    pairs = []
    for first, second in combinations(range(len(contrast.modalities)), 2):
        names = contrast.modalities[first], contrast.modalities[second]
        if sample is not None and np.array_equal(sample.values[names[0]], sample.values[names[1]]):
            pairs.append(f"{names[0]} and {names[1]} are the same in all {sample.size} voxels looked at")
        elif (found := correlations[first, second]) > LEAST_CORRELATION:
            pairs.append(f"{names[0]} and {names[1]} have rank correlation {found:.4f}")
    if not pairs:
        return None
    return Finding(
        CODE,
        f"{evidence.name}: {' and '.join(pairs)} (expected below {LEAST_CORRELATION}), which suggests one volume "
        "under two names: check the files",
    )


def rank_correlations(contrast: Contrast) -> NDArray[np.float64]:
    """(4, 4): Spearman's, of each modality with each in the head."""
    return np.asarray(np.corrcoef(contrast.ranks.reshape(len(contrast.modalities), -1)))
