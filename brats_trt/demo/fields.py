"""Interpolation and smooth random fields in NumPy alone.

A grid is given by its voxel centres along each axis in mm (``Axes``); interpolation along an axis is a product with a
matrix, so a whole volume costs three matrix products. Arrays are float32, axes x, y, z = array axes 0, 1, 2.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _catmull_rom(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic convolution with a = -0.5: passes through the samples. Source: Keys 1981, eq. 15."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


def _b_spline(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic B-spline: smoother than the samples, which a random field wants."""
    d = np.abs(distance)
    near = (0.5 * d - 1) * d * d + 2 / 3
    far = np.maximum(2 - d, 0) ** 3 / 6
    return np.where(d < 1, near, far)


def interpolation_matrix(positions: NDArray[np.float64], size: int, *, smooth: bool = False) -> FloatArray:
    """(len(positions), size) weights that take samples at 0..size-1 to ``positions`` (voxel); the ends are repeated."""
    clamped = np.clip(positions, 0, size - 1)
    first = np.floor(clamped).astype(np.intp) - 1
    kernel = _b_spline if smooth else _catmull_rom
    weights = np.zeros((len(clamped), size))
    rows = np.arange(len(clamped))
    for tap in range(4):
        np.add.at(weights, (rows, np.clip(first + tap, 0, size - 1)), kernel(clamped - (first + tap)))
    return weights.astype(np.float32)


def resample(values: FloatArray, positions: Axes, *, smooth: bool = False) -> FloatArray:
    """Values at every combination of ``positions`` (voxel, one array an axis)."""
    for axis, places in enumerate(positions):
        weights = interpolation_matrix(places, values.shape[axis], smooth=smooth)
        values = np.moveaxis(np.tensordot(weights, values, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(values)


def smooth_noise(rng: np.random.Generator, axes: Axes, wavelength: float) -> FloatArray:
    """A Gaussian random field on ``axes`` (mm), mean 0, deviation near 1, that varies over ``wavelength`` mm."""
    spacing = wavelength / 2
    positions = tuple(1 + (places - places[0]) / spacing for places in axes)
    coarse = rng.standard_normal([int(np.ceil(places[-1])) + 3 for places in positions], dtype=np.float32)
    # The B-spline averages its samples; this factor is the deviation that is left, over all places in a cell.
    left = 0.479**1.5
    noise = resample(coarse, (positions[0], positions[1], positions[2]), smooth=True)
    return np.asarray(noise / np.float32(left), dtype=np.float32)


def gather_linear(maps: FloatArray, positions: FloatArray) -> FloatArray:
    """Trilinear samples (N, M) of ``maps`` (X, Y, Z, M) at ``positions`` (N, 3) in voxels; the ends are repeated."""
    upper = np.array(maps.shape[:3], dtype=np.float32) - np.float32(1.001)
    clamped = np.clip(positions, np.float32(0), upper)
    corner = clamped.astype(np.int32)
    fraction = clamped - corner
    strides = np.array([maps.shape[1] * maps.shape[2], maps.shape[2], 1], dtype=np.int32)
    start = corner @ strides
    flat = maps.reshape(-1, maps.shape[3])
    total = np.zeros((len(positions), maps.shape[3]), dtype=np.float32)
    for step in product((0, 1), repeat=3):
        weight = np.ones(len(positions), dtype=np.float32)
        for axis, taken in enumerate(step):
            weight *= fraction[:, axis] if taken else 1 - fraction[:, axis]
        total += flat[start + int(strides @ step)] * weight[:, None]
    return total


def sigmoid_step(distance: FloatArray, width: float) -> FloatArray:
    """1 well below zero, 0 well above it, a logistic ramp of ``width`` (the unit of ``distance``) between."""
    scaled = np.clip(distance / np.float32(width), -30, 30)
    return np.asarray(1 / (1 + np.exp(scaled)), dtype=np.float32)
