"""The scores of one case: six numbers for each structure, and what they are where a structure is empty.

NaN is a score that does not count: it is left out of every statistic, is null in JSON and blank in CSV.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..geometry import Affine, voxel_volume_ml
from ..metrics import STRUCTURES, Overlap, overlaps
from .surfaces import Combination, grid_diagonal_mm, hausdorff95

EmptyName = Literal["brats", "exclude", "omz"]
EMPTY_NAMES: tuple[EmptyName, ...] = get_args(EmptyName)


@dataclass(frozen=True)
class EmptyConvention:
    """What the scores are where the prediction, the reference or both have nothing of a structure.

    Attributes
    ----------
    both_dice, both_hd95_mm, both_sensitivity
        Where both are empty.
    sensitivity
        Where the reference alone is empty.
    penalises_distance
        Whether HD95 is the grid's diagonal where one of the two is empty, or does not count.
    statement
        All of that in words.
    """

    both_dice: float
    both_hd95_mm: float
    both_sensitivity: float
    sensitivity: float
    penalises_distance: bool
    statement: str


EMPTY_CONVENTIONS: Mapping[EmptyName, EmptyConvention] = MappingProxyType(
    {
        "brats": EmptyConvention(
            both_dice=1.0,
            both_hd95_mm=0.0,
            both_sensitivity=1.0,
            sensitivity=0.0,
            penalises_distance=True,
            statement=(
                "both empty: Dice 1, HD95 0, sensitivity 1; one empty: Dice 0, sensitivity 0, HD95 the grid's diagonal"
            ),
        ),
        "exclude": EmptyConvention(
            both_dice=nan,
            both_hd95_mm=nan,
            both_sensitivity=nan,
            sensitivity=nan,
            penalises_distance=False,
            statement=(
                "both empty: not counted; one empty: Dice 0, HD95 not counted; reference empty: sensitivity not counted"
            ),
        ),
        "omz": EmptyConvention(
            both_dice=0.0,
            both_hd95_mm=nan,
            both_sensitivity=nan,
            sensitivity=nan,
            penalises_distance=False,
            statement=(
                "both empty: Dice 0; one empty: Dice 0; HD95 not counted; reference empty: sensitivity not counted"
            ),
        ),
    }
)

# The scores by field of `Scores`, as plots call them.
METRICS: Mapping[str, str] = MappingProxyType(
    {
        "dice": "Dice",
        "hd95_mm": "HD95 (mm)",
        "sensitivity": "Sensitivity",
        "specificity": "Specificity",
        "volume_error_ml": "Volume error (ml)",
        "relative_volume_error": "Relative volume error",
    }
)


@dataclass(frozen=True)
class Scores:
    """One structure of one case.

    Attributes
    ----------
    dice, sensitivity, specificity
        0 to 1; specificity is of all voxels of the grid.
    hd95_mm
        95th percentile of the Hausdorff distance in mm.
    volume_error_ml
        Predicted minus reference, in ml.
    relative_volume_error
        The same over the reference's volume; NaN where the reference is empty, whatever the convention.
    predicted_ml, reference_ml
        The volumes.
    """

    dice: float
    hd95_mm: float
    sensitivity: float
    specificity: float
    volume_error_ml: float
    relative_volume_error: float
    predicted_ml: float
    reference_ml: float


def score(
    prediction: NDArray[np.uint8],
    reference: NDArray[np.uint8],
    affine: Affine,
    *,
    empty: EmptyName = "brats",
    hd95: Combination = "max",
) -> dict[str, Scores]:
    """Score each structure of a case.

    Parameters
    ----------
    prediction, reference
        (X, Y, Z) classes of one grid, as `metrics.to_classes` gives them.
    affine
        (4, 4), voxel to millimetre.
    empty, hd95
        The conventions for empty structures and for the percentile.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    counted = overlaps(prediction, reference)
    x, y, z = prediction.shape
    convention, diagonal = EMPTY_CONVENTIONS[empty], grid_diagonal_mm(affine, (x, y, z))
    window = _tumour_window(prediction, reference)
    found, expected = prediction[window], reference[window]
    scores = {}
    for structure, overlap in counted.items():
        if overlap.predicted and overlap.expected:
            classes = STRUCTURES[structure]
            distance = hausdorff95(np.isin(found, classes), np.isin(expected, classes), affine, combination=hd95)
        elif overlap.predicted or overlap.expected:
            distance = diagonal if convention.penalises_distance else nan
        else:
            distance = convention.both_hd95_mm
        scores[structure] = _scores(overlap, distance, voxel_volume_ml(affine), convention)
    return scores


def _scores(overlap: Overlap, distance: float, voxel_ml: float, convention: EmptyConvention) -> Scores:
    both_empty = not (overlap.predicted or overlap.expected)
    sensitivity = overlap.sensitivity
    if not overlap.expected:
        sensitivity = convention.both_sensitivity if both_empty else convention.sensitivity
    excess = overlap.predicted - overlap.expected
    return Scores(
        dice=convention.both_dice if both_empty else overlap.dice,
        hd95_mm=distance,
        sensitivity=sensitivity,
        specificity=overlap.specificity,
        volume_error_ml=excess * voxel_ml,
        relative_volume_error=excess / overlap.expected if overlap.expected else nan,
        predicted_ml=overlap.predicted * voxel_ml,
        reference_ml=overlap.expected * voxel_ml,
    )


def _tumour_window(prediction: NDArray[np.uint8], reference: NDArray[np.uint8]) -> tuple[slice, ...]:
    """The smallest box around all tumour of both: outside it nothing has a surface."""
    tumour = (prediction > 0) | (reference > 0)
    window = []
    for axis in range(tumour.ndim):
        others = tuple(other for other in range(tumour.ndim) if other != axis)
        planes = np.flatnonzero(tumour.any(axis=others))
        window.append(slice(int(planes[0]), int(planes[-1]) + 1) if planes.size else slice(0, 0))
    return tuple(window)
