"""A phantom's brain put back into a head: fluid, skull with marrow, scalp, eyes, face and neck.

Layers lie at distances from the brain, in millimetres; intensities are in the unit of a modality's white matter. It is
what a brain extractor has to take away, no anatomy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage

from brats_trt.demo.phantom import Phantom

# Voxels of 1 mm that are added before and behind along x, y, z: the neck is below.
_MARGIN = ((0, 0), (10, 10), (95, 30))
_COARSE = 2  # distances are taken on every other voxel

# T1, T2, contrast-enhanced T1, FLAIR.
_TISSUES = {
    "fluid": (0.25, 1.5, 0.28, 0.2),
    "bone": (0.06, 0.06, 0.07, 0.06),
    "marrow": (0.75, 0.45, 0.9, 0.5),
    "fat": (1.25, 0.8, 1.3, 0.75),
    "muscle": (0.5, 0.35, 0.65, 0.45),
    "vitreous": (0.25, 1.6, 0.27, 0.25),
    "air": (0.0, 0.0, 0.0, 0.0),
}
_MODALITIES = ("t1", "t2", "t1ce", "flair")
# The outer edge of each layer, from the brain outwards.
_LAYERS = (("fluid", 2.5), ("bone", 4.5), ("marrow", 7.0), ("bone", 9.0), ("fat", 14.0))


def with_skull(phantom: Phantom, *, seed: int = 0) -> Phantom:
    """The phantom with a head around its brain, on a larger grid of the same voxels, which are of 1 mm.

    Returns
    -------
    Volumes of int16 with noise everywhere; labels padded alike.
    """
    dice = np.random.default_rng(seed)
    brain = np.pad(np.any([values > 0 for values in phantom.volumes.values()], axis=0), _MARGIN)
    tissue = _tissue_map(brain)
    texture = 1 + 0.08 * _smooth_noise(dice, brain.shape)
    volumes = {}
    for channel, modality in enumerate(_MODALITIES):
        inside = np.pad(phantom.volumes[modality], _MARGIN)
        unit = float(np.median(inside[brain]))
        looks = np.array([values[channel] for values in _TISSUES.values()], np.float32)
        values = np.where(brain, inside, ndimage.gaussian_filter(unit * looks[tissue] * texture, 0.6))
        noise = dice.normal(0, 0.012 * unit, (2, *brain.shape)).astype(np.float32)
        volumes[modality] = np.round(np.hypot(values + noise[0], noise[1])).astype(np.int16)
    affine = phantom.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [-before for before, _ in _MARGIN]
    return replace(phantom, volumes=volumes, labels=np.pad(phantom.labels, _MARGIN), affine=affine)


def _tissue_map(brain: np.ndarray) -> np.ndarray:
    """Which tissue each voxel outside the brain is, as a place in `_TISSUES`; axes run left, back, up."""
    names = list(_TISSUES)
    coarse = brain[::_COARSE, ::_COARSE, ::_COARSE]
    whole = ndimage.binary_fill_holes(ndimage.binary_closing(np.pad(coarse, 8), iterations=6))[8:-8, 8:-8, 8:-8]
    distance = ndimage.distance_transform_edt(~whole, sampling=_COARSE)
    distance = ndimage.zoom(distance, [n / m for n, m in zip(brain.shape, distance.shape, strict=True)], order=1)
    places = np.argwhere(coarse) * _COARSE
    left, back, low = places.min(axis=0)
    right = places.max(axis=0)[0]
    x, y, z = np.ogrid[: brain.shape[0], : brain.shape[1], : brain.shape[2]]
    middle = (left + right) / 2
    tissue = np.full(brain.shape, names.index("air"), np.uint8)
    neck = ((x - middle) ** 2 + (y - (back + 105)) ** 2 < 52**2) & (z < low + 45)
    face = ((x - middle) / 62) ** 2 + ((y - (back + 42)) / 52) ** 2 + ((z - (low + 5)) / 75) ** 2 < 1
    tissue[neck | face] = names.index("muscle")
    rim = ndimage.binary_dilation(neck | face, iterations=3) & ~(neck | face)
    tissue[rim] = names.index("fat")
    for side in (-32, 32):
        eye = (x - middle - side) ** 2 + (y - (back + 4)) ** 2 + (z - (low + 38)) ** 2 < 12**2
        tissue[eye] = names.index("vitreous")
    inner = 0.0
    for name, outer in _LAYERS:
        # What is open below, the way of the spine, has neither bone nor scalp.
        layer = (distance > inner) & (distance <= outer) & ~(neck & (z < low + 4))
        tissue[layer] = names.index(name)
        inner = outer
    tissue[(distance <= 0) & ~brain] = names.index("fluid")
    return tissue


def _smooth_noise(dice: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Deviation 1, over centimetres."""
    coarse = dice.standard_normal([n // 12 + 2 for n in shape]).astype(np.float32)
    return ndimage.zoom(coarse, [n / m for n, m in zip(shape, coarse.shape, strict=True)], order=1)
