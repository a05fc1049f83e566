"""What goes wrong between a head and its image. Volumes are (X, Y, Z) float32 on a grid in mm, ascending head axes.

Each function draws what it needs and returns a new array, or changes the mask that it is given and says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter1d, uniform_filter1d

from brats_trt.demo.fields import Axes, FloatArray, smooth_noise

Range = tuple[float, float]
Mask = NDArray[np.bool_]


def blur(rng: np.random.Generator, volume: FloatArray, voxel_mm: tuple[float, ...], deviation_mm: Range) -> FloatArray:
    """A wider point spread, the same along every axis."""
    deviation = rng.uniform(*deviation_mm)
    for axis, edge in enumerate(voxel_mm):
        volume = gaussian_filter1d(volume, deviation / edge, axis=axis, truncate=3)
    return volume


def thicken_slices(
    rng: np.random.Generator, volume: FloatArray, voxel_mm: tuple[float, ...], thickness_mm: Range
) -> FloatArray:
    """Thick slices along one axis, interpolated back to the grid."""
    axis = int(rng.choice(3, p=(0.15, 0.15, 0.7)))
    thickness = max(1.0, rng.uniform(*thickness_mm) / voxel_mm[axis])
    size = volume.shape[axis]
    centres = np.arange(rng.uniform(0, min(thickness, size - 1)), size, thickness)
    averaged = uniform_filter1d(volume, max(1, round(thickness)), axis=axis, mode="nearest")
    down = _linear_matrix(centres, size)
    up = _linear_matrix((np.arange(size) - centres[0]) / thickness, len(centres))
    return _along(averaged, up @ down, axis)


def ghosts(
    rng: np.random.Generator, volume: FloatArray, voxel_mm: tuple[float, ...], number: tuple[int, int], shift_mm: Range
) -> FloatArray:
    """A head that moved: weaker copies along the phase-encoding direction, and a blur along it."""
    axis = int(rng.integers(2))
    shift = max(1, round(rng.uniform(*shift_mm) / voxel_mm[axis]))
    moved = gaussian_filter1d(volume, rng.uniform(0.3, 1.0) / voxel_mm[axis], axis=axis, truncate=3)
    strength = rng.uniform(0.04, 0.10)
    for copy in range(1, int(rng.integers(number[0], number[1] + 1)) + 1):
        for sign in (-1, 1):
            moved = moved + np.float32(strength / copy) * np.roll(volume, sign * copy * shift, axis=axis)
    return np.asarray(moved, np.float32)


def bias_field(rng: np.random.Generator, axes: Axes, deviation: Range, wavelength_mm: Range) -> FloatArray:
    """The field that intensities are multiplied by."""
    field = smooth_noise(rng, axes, rng.uniform(*wavelength_mm))
    return np.asarray(np.exp(np.float32(rng.uniform(*deviation)) * field), np.float32)


def rician(rng: np.random.Generator, signal: FloatArray, deviation: float) -> FloatArray:
    """The magnitude of a complex signal with Gaussian noise in both parts, of any shape."""
    real = signal + np.float32(deviation) * rng.standard_normal(signal.shape, np.float32)
    imaginary = np.float32(deviation) * rng.standard_normal(signal.shape, np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)


def correlated_rician(rng: np.random.Generator, volume: FloatArray, deviation: float, grain: float) -> FloatArray:
    """The same with noise that neighbours share: filtered with a deviation of `grain` voxels, as strong as before."""
    parts = []
    for _ in range(2):
        noise = rng.standard_normal(volume.shape, np.float32)
        for axis in range(3):
            noise = gaussian_filter1d(noise, grain, axis=axis, truncate=3)
        parts.append(noise * np.float32(deviation / noise[::3, ::3, ::3].std()))
    return np.asarray(np.hypot(volume + parts[0], parts[1]), np.float32)


def missing_slices(rng: np.random.Generator, mask: Mask) -> Mask:
    """Where an image has data after a few neighbouring slices along z were lost, at an end or anywhere."""
    kept = mask.copy()
    inside = np.flatnonzero(mask.any(axis=(0, 1)))
    number = int(rng.integers(1, max(2, len(inside) // 22) + 1))
    start = int(rng.choice([inside[0], inside[-1] - number + 1, rng.integers(inside[0], inside[-1] - number)]))
    kept[:, :, start : start + number] = False
    return kept


def bad_stripping(rng: np.random.Generator, axes: Axes, brain: Mask, voxel_mm: tuple[float, ...]) -> tuple[Mask, Mask]:
    """What a skull stripper left that is no brain, and what it left of the brain; patches a few millimetres deep."""
    noise = smooth_noise(rng, axes, rng.uniform(30, 60))
    depth = max(1, round(rng.uniform(2.0, 5.0) / float(np.mean(voxel_mm))))
    share = rng.uniform(0.08, 0.35)
    coarse = noise[::4, ::4, ::4]
    left = binary_dilation(brain, iterations=depth) & ~brain & (noise > np.quantile(coarse, 1 - share))
    if rng.random() < 0.5:
        return left, brain
    cut = brain & ~binary_erosion(brain, iterations=max(1, depth // 2)) & (noise < np.quantile(coarse, share / 2))
    return left, brain & ~cut


def _linear_matrix(positions: NDArray[np.float64], size: int) -> FloatArray:
    """(len(positions), size) weights of linear interpolation; the ends are repeated."""
    clamped = np.clip(positions, 0, size - 1)
    lower = np.minimum(clamped.astype(np.intp), max(size - 2, 0))
    weights = np.zeros((len(clamped), size), np.float32)
    rows = np.arange(len(clamped))
    weights[rows, lower] += 1 - (clamped - lower)
    weights[rows, np.minimum(lower + 1, size - 1)] += clamped - lower
    return weights


def _along(volume: FloatArray, matrix: FloatArray, axis: int) -> FloatArray:
    """The product with a matrix along an axis."""
    return np.ascontiguousarray(np.moveaxis(np.tensordot(matrix, volume, axes=(1, axis)), 0, axis))
