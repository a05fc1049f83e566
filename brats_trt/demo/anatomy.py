"""The head around the tumour: tissues from the atlas, made individual by a smooth warp and pushed aside by the mass.

Positions are head coordinates in mm (MNI's directions: x to the right, y to the front, z upwards), arrays run along
ascending x, y, z. A warp says where in the atlas a voxel's tissue comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .atlas import Atlas, load_atlas
from .fields import Axes, FloatArray, gather_linear, resample, smooth_noise

HEAD_SCALE = (0.92, 0.94)
# T1 of the atlas where a voxel is taken for all fluid and for all tissue, and its mean in each tissue.
FLUID_T1, TISSUE_T1 = 85.0, 150.0
WHITE_T1, GREY_T1, CSF_T1 = 223.0, 165.0, 66.0


@dataclass(frozen=True)
class HeadShape:
    """How far heads differ from the atlas.

    Attributes
    ----------
    scale
        The least and the greatest size, relative to the atlas.
    stretch
        Deviation of the logarithm of the size along each axis, on top.
    tilt
        The greatest angle about each axis, in degrees.
    proportions, folds
        Deviation and wavelength (mm) of the warps: the head's proportions, then the course of the folds.
    """

    scale: tuple[float, float] = HEAD_SCALE
    stretch: float = 0.0
    tilt: float = 2.0
    proportions: tuple[float, float] = (1.6, 70.0)
    folds: tuple[float, float] = (0.9, 12.0)


@dataclass(frozen=True)
class Mass:
    """What the tumour displaces: ``shift`` mm at ``radius`` mm from ``centre`` (head mm), less further out."""

    centre: tuple[float, float, float]
    radius: float
    shift: float


DEMO_SHAPE = HeadShape()


@dataclass(frozen=True)
class Head:
    """Tissue on a grid, each array (X, Y, Z) float32; the three fractions add up to 1 inside the brain.

    ``detail`` is what the atlas' T1 shows beyond the fractions (deep nuclei, tracts), relative to white minus grey.
    """

    white: FloatArray
    grey: FloatArray
    csf: FloatArray
    detail: FloatArray
    brain: NDArray[np.bool_]


def make_head(rng: np.random.Generator, axes: Axes, masses: Sequence[Mass], *, shape: HeadShape = DEMO_SHAPE) -> Head:
    """Tissues at every voxel of ``axes`` (head mm, ascending), pushed aside by each of ``masses``."""
    atlas = load_atlas()
    near = _depth(atlas, axes) > -0.9
    positions = _sources(rng, axes, masses, near, shape)
    maps, affine = _fine_maps(atlas)
    voxels = ((positions - affine[:3, 3]) / np.diag(affine)[:3]).astype(np.float32)
    t1, grey, white, brain = gather_linear(maps, voxels).T
    inside = brain > 127.5
    csf = np.clip((TISSUE_T1 - t1) / (TISSUE_T1 - FLUID_T1), 0, 1)
    csf = csf * csf * (3 - 2 * csf)
    # Squared odds sharpen the average of many heads into one head's boundary.
    share = np.maximum(white, 1) ** 2 / (np.maximum(white, 1) ** 2 + np.maximum(grey, 0) ** 2)
    white, grey = (1 - csf) * share, (1 - csf) * (1 - share)
    detail = (t1 - WHITE_T1 * white - GREY_T1 * grey - CSF_T1 * csf) / (WHITE_T1 - GREY_T1)
    white, grey, csf, detail = (_spread(values * inside, near) for values in (white, grey, csf, detail))
    return Head(white, grey, csf, detail, brain=_spread(inside.astype(np.float32), near) > 0)


def _spread(values: FloatArray, where: NDArray[np.bool_]) -> FloatArray:
    """A list of values back on the grid, zero elsewhere."""
    full = np.zeros(where.shape, dtype=np.float32)
    full[where] = values
    return full


def _depth(atlas: Atlas, axes: Axes) -> FloatArray:
    """From -1 well outside the brain over 0 at its surface to 1 about 15 mm below it."""
    block = 5
    padding = [(block, block + -n % block) for n in atlas.brain.shape]
    padded = np.pad(atlas.brain.astype(np.float32) / 255, padding)
    x, y, z = (n // block for n in padded.shape)
    blocks = padded.reshape(x, block, y, block, z, block).mean(axis=(1, 3, 5))
    places = ((mm / np.mean(HEAD_SCALE) - atlas.affine[a, 3]) / atlas.affine[a, a] for a, mm in enumerate(axes))
    px, py, pz = ((p + block - (block - 1) / 2) / block for p in places)
    return 2 * resample(blocks, (px, py, pz), smooth=True) - 1


def _fine_maps(atlas: Atlas) -> tuple[FloatArray, NDArray[np.float64]]:
    """T1, grey, white and brain at 1 mm as (X, Y, Z, 4) float32, and the affine."""
    x, y, z = (np.arange(2 * n - 1) / 2 for n in atlas.t1.shape)
    maps = [resample(m.astype(np.float32), (x, y, z)) for m in (atlas.t1, atlas.grey, atlas.white, atlas.brain)]
    affine = atlas.affine @ np.diag([0.5, 0.5, 0.5, 1.0])
    return np.stack(maps, axis=-1), affine


def _sources(
    rng: np.random.Generator, axes: Axes, masses: Sequence[Mass], near: NDArray[np.bool_], shape: HeadShape
) -> NDArray[np.float32]:
    """Atlas positions (N, 3) in mm from which the voxels of ``near`` take their tissue."""
    scale = np.full(3, rng.uniform(*shape.scale))
    angles = np.deg2rad(rng.normal(0, shape.tilt / 2, 3).clip(-shape.tilt, shape.tilt))
    if shape.stretch:
        scale *= np.exp(rng.normal(0, shape.stretch, 3))
    grid = np.meshgrid(*(a.astype(np.float32) for a in axes), indexing="ij", sparse=True)
    points = np.stack([np.broadcast_to(g, near.shape)[near] for g in grid], axis=-1)
    depth = np.clip(_depth(load_atlas(), axes)[near], 0, 1)  # the skull holds the surface in place
    points -= sum(_push(points, mass, depth) for mass in masses)
    for deviation, wavelength in (shape.proportions, shape.folds):
        for axis in range(3):
            points[:, axis] += np.float32(deviation) * smooth_noise(rng, axes, wavelength)[near]
    return np.asarray(points @ (_rotation(angles) / scale).astype(np.float32))


def _push(points: FloatArray, mass: Mass, depth: FloatArray) -> FloatArray:
    """How far (mm) a mass moves each point (N, 3), the less the nearer to the surface (`depth` 0) it lies."""
    offset = points - np.array(mass.centre, dtype=np.float32)
    reach = np.sqrt((offset**2).sum(axis=1)) / np.float32(mass.radius)
    push = np.float32(mass.shift / mass.radius) * np.exp(0.5 * (1 - reach**2))
    return np.asarray(offset * (push * depth)[:, None], dtype=np.float32)


def _rotation(angles: NDArray[np.float64]) -> NDArray[np.float64]:
    """The product of rotations about x, y and z (radians)."""
    turned = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = (a for a in range(3) if a != axis)
        single = np.eye(3)
        single[first, first] = single[second, second] = np.cos(angle)
        single[first, second], single[second, first] = -np.sin(angle), np.sin(angle)
        turned = turned @ single
    return turned
