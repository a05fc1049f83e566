"""A case small enough for a page: the head's box as 8-bit NIfTI, compressed.

Grey values run from 1 to 255 over the window of a modality, 0 is background; slope and intercept lead back to the
input's units, and the header's display range is the window. The box's place is in the affine, so that crosshair and
measures share the scanner's millimetres. Classes are 0 to 3, whatever the label scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..case import Volume
from ..geometry import Affine, Box
from ..metrics import to_classes
from ..pictures.scene import kept_case
from ..pictures.tiles import sampled
from ..segmentation import Segmentation
from ..spec import LABEL_VALUES, Modality

WINDOW_PERCENTILES = (0.5, 99.5)
GREYS = (
    254,
    62,
)  # steps from black to white: all that 8 bits hold, then a quarter, which the eye can hardly tell apart
MARGIN = 2  # voxels around the head's box, one of which the box has lost
_COMPRESSION = 1  # of isal's 0 to 3; the higher ones gain less than 3 % here
_RAW_BYTES = 48_000_000  # what never shrinks enough is not even tried


@dataclass(frozen=True, eq=False)
class PackedCase:
    """A case as gzip'd NIfTI files in memory.

    Attributes
    ----------
    volumes
        By modality.
    classes
        0 background, 1 necrotic core, 2 oedema, 3 enhancing tumour.
    step
        Every how many-th voxel along each axis was taken.
    greys
        Steps from black to white.
    """

    volumes: Mapping[Modality, bytes]
    classes: bytes
    step: int
    greys: int


def pack_case(result: Segmentation, limit: int) -> PackedCase:
    """Pack a case into at most `limit` bytes: with fewer steps of grey, then with fewer voxels, as far as needed.

    Raises
    ------
    ValueError
        If the result does not have its case.
    CaseError
        If a volume lies on a GPU.
    """
    volumes = kept_case(result).volumes
    box = _padded(result.box, result.labels.shape)
    for step, greys in _ladder(box):
        affine = _affine_of(result.affine, box, step)
        chosen = tuple(slice(low, high, step) for low, high in zip(box.lower, box.upper, strict=True))
        packed = {modality: _pack_volume(volume, chosen, affine, greys) for modality, volume in volumes.items()}
        classes = to_classes(result.labels[chosen], LABEL_VALUES[result.label_scheme])
        case = PackedCase(packed, _compressed(classes, affine), step, greys)
        if sum(map(len, packed.values())) + len(case.classes) <= limit:
            break
    return case


def _ladder(box: Box) -> Iterator[tuple[int, int]]:
    """Steps and greys, each smaller than the one before; without end, since one voxel fits anywhere."""
    step = 1
    while 4 * int(np.prod([-(-n // step) for n in box.shape])) > _RAW_BYTES:
        step += 1
    while True:
        for greys in GREYS:
            yield step, greys
        step += 1


def _padded(box: Box, shape: tuple[int, ...]) -> Box:
    x, y, z = (max(0, low - MARGIN + 1) for low in box.lower)
    i, j, k = (min(n, high + MARGIN) for n, high in zip(shape, box.upper, strict=True))
    return Box((x, y, z), (i, j, k))


def _affine_of(affine: Affine, box: Box, step: int) -> Affine:
    place = np.diag([step, step, step, 1.0])
    place[:3, 3] = box.lower
    return np.asarray(affine @ place, dtype=np.float64)


def _pack_volume(volume: Volume, chosen: tuple[slice, ...], affine: Affine, greys: int) -> bytes:
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is background
        values = volume.on_host[chosen].astype(np.float32) * np.float32(volume.slope) + np.float32(volume.intercept)
        inside = np.isfinite(values) & (values > 0)
    low, high = _window(values, inside)
    levels = np.rint((np.clip(np.where(inside, values, low), low, high) - low) * (greys / (high - low)))
    stored = np.where(inside, 1 + np.rint(levels * (254 / greys)), 0).astype(np.uint8)
    return _compressed(stored, affine, (low, high))


def _window(values: NDArray[np.float32], inside: NDArray[np.bool_]) -> tuple[float, float]:
    some, where = sampled(values), sampled(inside)
    if not where.any():
        some, where = values, inside
    low, high = (
        (float(value) for value in np.percentile(some[where], WINDOW_PERCENTILES)) if where.any() else (0.0, 1.0)
    )
    return low, max(high, low + 1e-6 * max(abs(low), 1.0))


def _compressed(stored: NDArray[np.uint8], affine: Affine, window: tuple[float, float] | None = None) -> bytes:
    import nibabel
    from isal import igzip

    nifti: Any = nibabel  # which annotates none of these functions
    image = nifti.Nifti1Image(stored, affine)
    image.set_sform(affine, code=1)
    image.set_qform(None, code=0)
    image.header.set_xyzt_units("mm")
    if window is not None:
        low, high = window
        slope = (high - low) / 254
        image.header.set_slope_inter(slope, low - slope)
        image.header["cal_min"], image.header["cal_max"] = low, high
    return bytes(igzip.compress(image.to_bytes(), compresslevel=_COMPRESSION, mtime=0))
