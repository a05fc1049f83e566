"""Overlap between label maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# The structures by classes of the network: necrotic core 1, oedema 2, enhancing tumour 3. Source: BraTS.
STRUCTURES: dict[str, tuple[int, ...]] = {
    "whole tumour": (1, 2, 3),
    "tumour core": (1, 3),
    "enhancing": (3,),
    "necrotic": (1,),
    "oedema": (2,),
}


def dice(
    prediction: NDArray[np.integer], reference: NDArray[np.integer], *, label_values: Sequence[int]
) -> dict[str, float]:
    """Dice of each structure: 2 |A and B| / (|A| + |B|), and 1 where both are empty.

    Parameters
    ----------
    prediction, reference
        (X, Y, Z) label maps of one grid.
    label_values
        The value that stands for each class in both, background first.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"label maps of shapes {prediction.shape} and {reference.shape}; expected one grid")
    scores = {}
    for structure, classes in STRUCTURES.items():
        values = [label_values[c] for c in classes]
        found, expected = np.isin(prediction, values), np.isin(reference, values)
        both = int(found.sum()) + int(expected.sum())
        scores[structure] = 2.0 * int((found & expected).sum()) / both if both else 1.0
    return scores
