"""Lesions of a kind: where they are, and what tissue they are made of.

Positions are head mm; arrays run along ascending x, y, z.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

from brats_trt.demo.anatomy import HEAD_SCALE, Head
from brats_trt.demo.atlas import load_atlas
from brats_trt.demo.fields import Axes, FloatArray, smooth_noise
from brats_trt.demo.tumour import Lesion, Tumour, grow_tumour

from .regimes import Growth, Regime

NECROSIS, OEDEMA, ENHANCING = 1, 2, 4
# Tissues in the order in which their maps are kept; plain is solid tumour that takes up no contrast agent.
TISSUES = ("necrosis", "cyst", "plain", "enhancing", "oedema")
# What the centre of a lesion needs around it: this share of tissue, of the atlas' 255.
LEAST_TISSUE = 150
LEAST_DEPTH = 2  # voxels of the atlas, 2 mm each
# Where a tumour crosses: the corpus callosum (head mm), front to back.
CALLOSUM_Y, CALLOSUM_Z = (-34.0, 26.0), (12.0, 26.0)
_MOST_DRAWS = 50


@dataclass(frozen=True)
class Lesions:
    """The tumour of a case: the share of each of `TISSUES` (5, X, Y, Z) float32, and labels (uint8: 0, 1, 2, 4)."""

    maps: FloatArray
    labels: NDArray[np.uint8]


def place_lesions(rng: np.random.Generator, growth: Growth) -> list[Lesion]:
    """Where the lesions are and how large; they may touch, but not share their centres."""
    number = int(rng.integers(growth.number[0], growth.number[1] + 1))
    if growth.midline:
        return _both_sides(rng, growth)
    placed: list[Lesion] = []
    for _ in range(_MOST_DRAWS * number):
        if len(placed) == number:
            break
        lesion = _draw(rng, growth, _anywhere(rng))
        if all(_distance(lesion, other) > 0.8 * (lesion.radius + other.radius) for other in placed):
            placed.append(lesion)
    return placed


def grow_lesions(
    rng: np.random.Generator, axes: Axes, lesions: list[Lesion], head: Head, *, growth: Growth, regime: Regime
) -> Lesions:
    """The lesions on ``axes``; where they overlap, the later one is on top."""
    maps = np.zeros((len(TISSUES), *head.brain.shape), np.float32)
    labels = np.zeros(head.brain.shape, np.uint8)
    whole = np.zeros(head.brain.shape, np.float32)
    for lesion in lesions:
        tumour = grow_tumour(rng, axes, lesion, head)
        patches = _patches(rng, axes, growth, regime)
        rim = tumour.solid - tumour.core
        maps *= 1 - tumour.solid
        maps[TISSUES.index("cyst" if growth.cystic else "necrosis")] += tumour.core
        maps[TISSUES.index("plain")] += rim * ~patches
        maps[TISSUES.index("enhancing")] += rim * patches
        whole = np.maximum(whole, tumour.whole)
        _put_labels(labels, tumour, patches)
    maps[TISSUES.index("oedema")] = np.clip(whole - maps.sum(axis=0), 0, 1)
    return Lesions(maps, labels)


def _put_labels(labels: NDArray[np.uint8], tumour: Tumour, patches: NDArray[np.bool_]) -> None:
    """Put a lesion's labels over earlier ones: its solid part everywhere, its oedema where there was nothing."""
    solid = (tumour.labels == NECROSIS) | (tumour.labels == ENHANCING)
    labels[solid] = np.where((tumour.labels == ENHANCING) & patches, ENHANCING, NECROSIS)[solid]
    labels[(tumour.labels == OEDEMA) & (labels == 0)] = OEDEMA


def _patches(rng: np.random.Generator, axes: Axes, growth: Growth, regime: Regime) -> NDArray[np.bool_]:
    """Where a rim takes up contrast agent."""
    share = rng.uniform(*growth.enhancing)
    shape = tuple(len(a) for a in axes)
    if share in (0.0, 1.0):
        return np.full(shape, share == 1.0)
    noise = smooth_noise(rng, axes, regime.patch_wavelength)
    return np.asarray(noise < np.quantile(noise[::4, ::4, ::4], share))


def _draw(rng: np.random.Generator, growth: Growth, centre: tuple[float, float, float]) -> Lesion:
    radius, softness = rng.uniform(*growth.radius), rng.uniform(*growth.softness)
    thickness = rng.uniform(*growth.thickness)
    return Lesion(
        centre=centre,
        radius=float(radius),
        thickness=float(thickness),
        reach=float(rng.uniform(*growth.reach)),
        stretch=growth.stretch,
        swell=growth.swell,
        softness=float(softness),
    )


def _both_sides(rng: np.random.Generator, growth: Growth) -> list[Lesion]:
    """Two lesions that meet in the corpus callosum."""
    y, z = float(rng.uniform(*CALLOSUM_Y)), float(rng.uniform(*CALLOSUM_Z))
    lesions = []
    for side in (-1.0, 1.0):
        drawn = _draw(rng, growth, (0.0, y, z))
        x = side * rng.uniform(0.55, 0.8) * drawn.radius
        lesions.append(replace(drawn, centre=(float(x), y + float(rng.normal(0, 3)), z + float(rng.normal(0, 3)))))
    return lesions


def _anywhere(rng: np.random.Generator) -> tuple[float, float, float]:
    """A place in the brain's tissue."""
    places = _tissue_places()
    x, y, z = places[int(rng.integers(len(places)))] + rng.uniform(-1, 1, 3)
    return float(x), float(y), float(z)


@cache
def _tissue_places() -> NDArray[np.float64]:
    """Head mm (N, 3) of the atlas' voxels that are grey or white matter."""
    atlas = load_atlas()
    tissue = atlas.grey.astype(np.int32) + atlas.white
    # Well inside the atlas, so that most heads have brain there.
    index = np.argwhere((tissue > LEAST_TISSUE) & binary_erosion(atlas.brain == 255, iterations=LEAST_DEPTH))
    places = index * np.diag(atlas.affine)[:3] + atlas.affine[:3, 3]
    return np.asarray(places * np.mean(HEAD_SCALE), np.float64)


def _distance(first: Lesion, second: Lesion) -> float:
    return float(np.linalg.norm(np.subtract(first.centre, second.centre)))
