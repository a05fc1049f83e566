"""Label maps as files: read, converted from their scheme to the network's classes, and checked to lie on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..geometry import GRID_TOLERANCE_MM, Affine, grid_distance_mm
from ..metrics import to_classes
from ..nifti import check_unit, read_nifti
from ..spec import LABEL_VALUES, LabelScheme

_SPELT = {"brats": "BraTS 2012-2021", "brats2023": "BraTS 2023 onward", "msd": "Medical Segmentation Decathlon"}


@dataclass(frozen=True, eq=False)
class LabelMap:
    """A label map in classes.

    Attributes
    ----------
    classes
        (X, Y, Z) uint8: 0 background, 1 necrotic core, 2 oedema, 3 enhancing tumour.
    affine
        (4, 4) float64, voxel to millimetre.
    path
        Where it was read.
    """

    classes: NDArray[np.uint8]
    affine: Affine
    path: Path


def read_label_map(path: Path, scheme: LabelScheme, *, option: str) -> LabelMap:
    """Read a NIfTI label map.

    Parameters
    ----------
    scheme
        The meaning of its values.
    option
        How the caller's user names another scheme, for the error.

    Raises
    ------
    CaseError
        If the file is no volume in millimetres, or has a value that is not in the scheme.
    """
    image = read_nifti(path)
    if image.data.ndim != 3:
        raise CaseError(f"{path}: an image of shape {image.data.shape}; expected a label map (X, Y, Z)")
    check_unit(str(path), image.header)
    plain = (image.slope, image.intercept) == (1.0, 0.0)
    values = image.data if plain else image.data * image.slope + image.intercept
    try:
        classes = to_classes(values, LABEL_VALUES[scheme])
    except ValueError as fault:
        raise CaseError(f"{path}: {fault} ({_SPELT[scheme]}): {_remedy(values, scheme, option)}") from None
    return LabelMap(classes, image.affine, path)


def check_one_grid(prediction: LabelMap, reference: LabelMap) -> None:
    """Refuse two label maps that are not of one grid.

    Raises
    ------
    CaseError
        If the shapes differ, or the affines by more than `geometry.GRID_TOLERANCE_MM` at a corner.
    """
    shape = reference.classes.shape
    if prediction.classes.shape != shape:
        raise CaseError(
            f"{prediction.path}: shape {prediction.classes.shape}, but the reference {reference.path} has {shape}: "
            "resample the prediction onto the reference's grid"
        )
    distance = grid_distance_mm(prediction.affine, reference.affine, (shape[0], shape[1], shape[2]))
    if not distance <= GRID_TOLERANCE_MM:
        raise CaseError(
            f"{prediction.path}: the affine puts voxels {distance:.4g} mm from where the reference {reference.path} "
            f"has them (tolerance {GRID_TOLERANCE_MM} mm): resample the prediction onto the reference's grid"
        )


def _remedy(values: NDArray[np.generic], scheme: LabelScheme, option: str) -> str:
    fitting = [other for other in LABEL_VALUES if other != scheme and _fits(values, other)]
    if not fitting:
        return "expected a label map of the network's classes: look at the file"
    return f"if it is a label map, pass {option} {' or '.join(fitting)}"


def _fits(values: NDArray[np.generic], scheme: LabelScheme) -> bool:
    try:
        to_classes(values, LABEL_VALUES[scheme])
    except ValueError:
        return False
    return True
