"""The measures of each structure of a result.

A lesion is a 26-connected part of the whole tumour. Diameters are taken within one lesion: two lesions far apart do not
count as one large one, while a ring of enhancement that is broken in places is still measured across.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..geometry import Affine, Box, Index3
from ..metrics import STRUCTURES, to_classes
from ..segmentation import Segmentation
from ..spec import LABEL_VALUES
from .extent import Mask, axial_axis, axial_diameter_mm, bounds_mm, diameter_mm, outer_corners

Side = Literal["left", "right", "both sides"]
Point = tuple[float, float, float]

ONE_SIDE = 0.9  # the share of a structure's volume that makes its side
_TIE_MM = 1e-6  # a voxel whose centre lies so near the midline counts half on either side


@dataclass(frozen=True)
class StructureMeasures:
    """One structure, edge to edge of its voxels, in mm of the scanner's coordinates.

    Attributes
    ----------
    volume_ml
        Millilitres.
    diameter_mm
        Between the farthest two points of one lesion.
    axial_diameter_mm
        As `diameter_mm`, within one axial plane of voxels.
    lower_mm, upper_mm
        The least and the greatest x, y, z of all its voxels' corners.
    centroid_mm
        The mean of its voxels' centres.
    left_share
        The share of its volume on the patient's left of the head's midline.
    """

    volume_ml: float
    diameter_mm: float
    axial_diameter_mm: float
    lower_mm: Point
    upper_mm: Point
    centroid_mm: Point
    left_share: float

    @property
    def side(self) -> Side:
        """The patient's side with at least 90 % of the volume."""
        if self.left_share >= ONE_SIDE:
            return "left"
        return "right" if self.left_share <= 1 - ONE_SIDE else "both sides"


@dataclass(frozen=True)
class Measures:
    """A result's measures.

    Attributes
    ----------
    structures
        By the names that `Segmentation.volumes_ml` has; None where a structure has no voxel.
    lesions
        26-connected parts of the whole tumour.
    axial_axis
        The array axis across the axial planes.
    midline_mm
        The scanner's x of the middle of the head's box.
    focus
        A voxel to look at: that of the largest lesion which is nearest its centroid; the middle of the head's box where
        there is no tumour.
    """

    structures: Mapping[str, StructureMeasures | None]
    lesions: int
    axial_axis: int
    midline_mm: float
    focus: Index3

    def document(self) -> dict[str, Any]:
        """For JSON: each structure's measures and its side, or null."""
        return {
            "structures": {
                name: None if found is None else {**asdict(found), "side": found.side}
                for name, found in self.structures.items()
            },
            "lesions": self.lesions,
            "axial_axis": self.axial_axis,
            "midline_mm": self.midline_mm,
            "focus": list(self.focus),
        }


@dataclass(frozen=True, eq=False)
class _Tumour:
    """The part of the grid that holds the tumour: classes and lesions (X, Y, Z), counted from 1, and their slices."""

    lower: Index3
    classes: NDArray[np.uint8]
    lesions: NDArray[np.unsignedinteger]
    windows: Sequence[tuple[slice, slice, slice]]

    def parts(self, structure: Mask) -> list[Mask]:
        """The voxels of a structure in each lesion that has any."""
        found = [
            structure[window] & (self.lesions[window] == number) for number, window in enumerate(self.windows, start=1)
        ]
        return [part for part in found if part.any()]


def measure(result: Segmentation) -> Measures:
    """Measure each structure of a result.

    Parameters
    ----------
    result
        Of any grid: flipped, permuted, anisotropic, oblique or sheared. It needs neither volumes nor probabilities.
    """
    affine, volumes = result.affine, result.volumes_ml
    middle = _head_middle(result.box)
    midline = float(affine[0] @ [*middle, 1.0])
    structures: dict[str, StructureMeasures | None] = dict.fromkeys(volumes)
    tumour = _find_tumour(result)
    if tumour is None:
        return Measures(structures, 0, axial_axis(affine), midline, _nearest_voxel(middle))
    for name, classes in STRUCTURES.items():
        mask, key = np.isin(tumour.classes, classes), name.replace(" ", "_")
        if mask.any():
            structures[key] = _measure(mask, tumour, affine, volume_ml=volumes[key], midline_mm=midline)
    return Measures(structures, len(tumour.windows), axial_axis(affine), midline, _focus(tumour, affine))


def _head_middle(box: Box) -> NDArray[np.float64]:
    """The middle of the head's voxels. The box has lost the last plane of each axis, so its end is the last index."""
    return np.asarray((np.array(box.lower) + np.array(box.upper)) / 2)


def _nearest_voxel(place: NDArray[np.float64]) -> Index3:
    x, y, z = (int(index) for index in np.floor(place))
    return (x, y, z)


def _find_tumour(result: Segmentation) -> _Tumour | None:
    """The tumour's part of the grid and its lesions, or None without a tumour."""
    values = LABEL_VALUES[result.label_scheme]
    found = result.labels != values[0]
    if not found.any():
        return None
    import cc3d
    from scipy.ndimage import find_objects

    (window,) = find_objects(found.view(np.uint8))
    lesions = cc3d.connected_components(np.asfortranarray(found[window]).view(np.uint8), connectivity=26)
    x, y, z = (part.start for part in window)
    return _Tumour((x, y, z), to_classes(result.labels[window], values), lesions, find_objects(lesions))


def _measure(mask: Mask, tumour: _Tumour, affine: Affine, *, volume_ml: float, midline_mm: float) -> StructureMeasures:
    parts = tumour.parts(mask)
    lower, upper = bounds_mm(outer_corners(mask) + tumour.lower, affine)
    voxels = np.argwhere(mask) + tumour.lower
    across = voxels @ affine[0, :3] + affine[0, 3] - midline_mm
    left = np.count_nonzero(across < -_TIE_MM) + np.count_nonzero(np.abs(across) <= _TIE_MM) / 2
    return StructureMeasures(
        volume_ml=volume_ml,
        diameter_mm=diameter_mm(parts, affine),
        axial_diameter_mm=axial_diameter_mm(parts, affine),
        lower_mm=_point(lower),
        upper_mm=_point(upper),
        centroid_mm=_point(affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]),
        left_share=left / len(voxels),
    )


def _focus(tumour: _Tumour, affine: Affine) -> Index3:
    """The voxel of the largest lesion that is nearest its centroid in mm."""
    sizes = np.bincount(tumour.lesions.ravel(order="K"))
    voxels = np.argwhere(tumour.lesions == 1 + int(sizes[1:].argmax()))
    distances = np.linalg.norm((voxels - voxels.mean(axis=0)) @ affine[:3, :3].T, axis=1)
    x, y, z = (int(index) for index in voxels[distances.argmin()] + tumour.lower)
    return (x, y, z)


def _point(place: NDArray[np.float64]) -> Point:
    x, y, z = (float(value) for value in place)
    return (x, y, z)
