"""The authors' augmentation of a crop: flips, modalities that become noise, and an elastic warp.

Flips are along tensor axes D and H (array axes 0 and 1), each in half of the cases; a modality becomes standard normal
noise in a tenth. The warp is a cubic B-spline over 6 cells an axis, its control points off by up to 6 to 10 mm; the
authors have 3 cells along the head's axis, warp volumes ahead of training, and keep every volume unwarped too, where
here crops are warped as they come, by a chance. Source: `iterators.py` and `augment_dataset_helper.py` of their code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from phantoms import TrainingCrop

from brats_trt.demo.fields import FloatArray, resample

CELLS = 6
OFFSET_MM = (6.0, 10.0)
# A crop's extent along an axis, about: what a millimetre is in it.
CROP_MM = 150.0


@dataclass(frozen=True)
class Augmentation:
    """How often: a flip along each axis, noise in place of each modality, a warp."""

    flip: float = 0.5
    noise: float = 0.1
    warp: float = 0.5


def augment(rng: np.random.Generator, sample: TrainingCrop, chances: Augmentation) -> TrainingCrop:
    """Augment a crop; the sample itself is left as it is."""
    crop, classes = sample.crop.copy(), sample.classes.copy()
    if rng.random() < chances.warp:
        crop, classes = _warped(rng, crop, classes)
    for channel in range(len(crop)):
        if rng.random() < chances.noise:
            crop[channel] = rng.standard_normal(crop[channel].shape, np.float32)
    for axis in (0, 1):
        if rng.random() < chances.flip:
            crop, classes = np.flip(crop, 1 + axis), np.flip(classes, axis)
    return TrainingCrop(np.ascontiguousarray(crop), np.ascontiguousarray(classes))


def _warped(
    rng: np.random.Generator, crop: FloatArray, classes: NDArray[np.uint8]
) -> tuple[FloatArray, NDArray[np.uint8]]:
    """Images by linear, classes by nearest interpolation; what comes from outside is background."""
    places = _places(rng, classes.shape[0])
    images = functional.grid_sample(torch.from_numpy(crop)[None], places, align_corners=True)
    labels = torch.from_numpy(classes.astype(np.float32))[None, None]
    moved = functional.grid_sample(labels, places, mode="nearest", align_corners=True)
    return images[0].numpy(), moved[0, 0].numpy().astype(np.uint8)


def _places(rng: np.random.Generator, size: int) -> torch.Tensor:
    """Where each voxel comes from, (1, S, S, S, 3) in -1..1, the last axis first."""
    greatest = rng.uniform(*OFFSET_MM)
    positions = 1 + np.arange(size) * (CELLS / (size - 1))
    identity = torch.linspace(-1, 1, size)
    places = torch.empty(1, size, size, size, 3)
    for axis in range(3):
        control = rng.uniform(-greatest, greatest, (CELLS + 3,) * 3).astype(np.float32)
        offset = resample(control, (positions, positions, positions), smooth=True) * np.float32(2 / CROP_MM)
        along = identity.reshape([-1 if other == axis else 1 for other in range(3)])
        places[0, ..., 2 - axis] = torch.from_numpy(offset) + along
    return places
