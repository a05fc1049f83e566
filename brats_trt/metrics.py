"""Overlap of two label maps by structure, all of it from one table of joint counts.

Classes are the network's: background 0, necrotic core 1, oedema 2, enhancing tumour 3. A ratio whose denominator is
zero is NaN here; what it counts as is a convention, which whoever reports it states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The structures by classes. Source: BraTS.
STRUCTURES: Mapping[str, tuple[int, ...]] = {
    "whole tumour": (1, 2, 3),
    "tumour core": (1, 3),
    "enhancing": (3,),
    "necrotic": (1,),
    "oedema": (2,),
}

# How far a stored value may lie from a label. A label map that was scaled to 16 bits comes back within 4 / 65535.
_ROUNDING = 1e-3
_CLASSES = 4
_NAMED_VALUES = 5


@dataclass(frozen=True)
class Overlap:
    """Voxels of one structure in two label maps of one grid.

    Attributes
    ----------
    predicted, expected, shared
        Voxels of the prediction, of the reference, and of both.
    voxels
        Voxels of the whole grid.
    """

    predicted: int
    expected: int
    shared: int
    voxels: int

    @property
    def dice(self) -> float:
        """2 |A and B| / (|A| + |B|); NaN where both are empty."""
        return _ratio(2 * self.shared, self.predicted + self.expected)

    @property
    def sensitivity(self) -> float:
        """The share of the reference that was found; NaN where the reference is empty."""
        return _ratio(self.shared, self.expected)

    @property
    def specificity(self) -> float:
        """The share of all other voxels that were left alone; NaN where the reference fills the grid."""
        others = self.voxels - self.expected
        return _ratio(others - (self.predicted - self.shared), others)


def to_classes(labels: NDArray[Any], label_values: Sequence[int]) -> NDArray[np.uint8]:
    """A label map in classes.

    Parameters
    ----------
    labels
        Any shape, any real dtype. Floats count as the label that they lie within 1e-3 of.
    label_values
        The value that stands for each class, background first.

    Raises
    ------
    ValueError
        If a value is none of them; the message names the values.
    """
    classes = np.full_like(labels, _CLASSES, dtype=np.uint8, subok=False)
    for index, value in enumerate(label_values):
        classes[labels == value if labels.dtype.kind in "biu" else np.abs(labels - value) <= _ROUNDING] = index
    strange = labels[classes == _CLASSES]
    if strange.size:
        values = [f"{value:g}" for value in np.unique(strange)]
        named = ", ".join(values[:_NAMED_VALUES]) + (", ..." if len(values) > _NAMED_VALUES else "")
        raise ValueError(f"{strange.size} voxels have the values {named}; expected {', '.join(map(str, label_values))}")
    return classes


def overlaps(prediction: NDArray[np.uint8], reference: NDArray[np.uint8]) -> dict[str, Overlap]:
    """Count each structure of two class maps.

    Parameters
    ----------
    prediction, reference
        (X, Y, Z) classes of one grid, as `to_classes` gives them.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"label maps of shapes {prediction.shape} and {reference.shape}; expected one grid")
    joint = np.bincount((prediction * _CLASSES + reference).ravel(order="K"), minlength=_CLASSES**2)
    table = joint.reshape(_CLASSES, _CLASSES)
    return {
        structure: Overlap(
            predicted=int(table[list(classes)].sum()),
            expected=int(table[:, list(classes)].sum()),
            shared=int(table[np.ix_(classes, classes)].sum()),
            voxels=prediction.size,
        )
        for structure, classes in STRUCTURES.items()
    }


def dice(prediction: NDArray[Any], reference: NDArray[Any], *, label_values: Sequence[int]) -> dict[str, float]:
    """Dice of each structure, and 1 where both are empty.

    Parameters
    ----------
    prediction, reference
        (X, Y, Z) label maps of one grid.
    label_values
        The value that stands for each class in both, background first.

    Raises
    ------
    ValueError
        If the shapes differ or a value is none of `label_values`.
    """
    counted = overlaps(to_classes(prediction, label_values), to_classes(reference, label_values))
    return {
        structure: overlap.dice if overlap.predicted + overlap.expected else 1.0
        for structure, overlap in counted.items()
    }


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else nan
