"""A scan as the network sees it: the package's own stages, and the labels resampled alongside.

Tensor axes D, H, W are x, y, z as BraTS stores them (LPS).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brats_trt import _host
from brats_trt.demo.fields import FloatArray
from brats_trt.geometry import Box, without_last_plane
from brats_trt.spec import MODALITIES

from .scan import Scan

CLASSES = 4
CLASS_OF_LABEL = np.array([0, 1, 2, 0, 3], np.uint8)  # labels 0, 1, 2, 4


@dataclass(frozen=True, eq=False)
class TrainingCrop:
    """The network's input (4, S, S, S) float32 in 0..1, and the class of each voxel (S, S, S) uint8."""

    crop: FloatArray
    classes: NDArray[np.uint8]


def make_crop(scan: Scan, size: int) -> TrainingCrop:
    """Normalise, crop and resample as the authors do.

    A voxel's class is that of the greatest resampled membership: what the way back makes labels of.
    """
    volumes = [np.ascontiguousarray(scan.volumes[modality][::-1, ::-1]) for modality in MODALITIES]
    labels = CLASS_OF_LABEL[scan.labels[::-1, ::-1]]
    found = [_host.foreground(volume, threads=1) for volume in volumes]
    lower = tuple(min(f.box[0][axis] for f in found) for axis in range(3))
    upper = tuple(max(f.box[1][axis] for f in found) for axis in range(3))
    box = without_last_plane(Box(lower, upper))
    crop = np.zeros((1, CLASSES, size, size, size), np.float32)
    for channel, (volume, foreground) in enumerate(zip(volumes, found, strict=True)):
        _host.gather(
            volume,
            (box.lower, box.upper),
            crop,
            channel,
            mean=foreground.mean,
            variance=foreground.variance,
            threads=1,
        )
    return TrainingCrop(crop[0], _classes(labels[box.slices], size))


def _classes(labels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The class of greatest membership at size^3 places, end points aligned."""
    taps = [_taps(n, size) for n in labels.shape]
    members = []
    for value in range(1, CLASSES):
        member = (labels == value).astype(np.float32)
        for axis, (index, weight) in enumerate(taps):
            along = weight.reshape([size if a == axis else 1 for a in range(3)])
            member = member.take(index, axis) * (1 - along) + member.take(index + 1, axis) * along
        members.append(member)
    rest = 1 - np.sum(members, axis=0)
    return np.stack([rest, *members]).argmax(axis=0).astype(np.uint8)


def _taps(number: int, size: int) -> tuple[NDArray[np.intp], FloatArray]:
    """The voxel below each of `size` places, and how far above it they lie."""
    places = np.arange(size) * ((number - 1) / (size - 1))
    index = np.minimum(places.astype(np.intp), number - 2)
    return index, (places - index).astype(np.float32)
