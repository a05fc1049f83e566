"""The tumour: a necrotic core inside an enhancing rim inside oedema.

Core and rim are a ball deformed by noise. Oedema is what fluid from the rim reaches in a given time: fast along
white matter, slowly in the cortex, hardly through CSF. Positions are head mm, arrays run along ascending x, y, z.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .anatomy import Head, Mass
from .fields import Axes, FloatArray, resample, sigmoid_step, smooth_noise

# White matter of the lobes (head mm, the right side; x is mirrored for the left): frontal, parietal, temporal,
# occipital and the upper frontal lobe.
SITES = ((27.0, 26.0, 20.0), (28.0, -38.0, 32.0), (42.0, -16.0, -12.0), (28.0, -62.0, 14.0), (25.0, 2.0, 38.0))
# The time (mm of white matter) that fluid needs for a millimetre.
WHITE_COST, GREY_COST, CSF_COST = 1.0, 2.6, 12.0
COARSE_MM = 2.0
FAR = 80.0
EDGE_MM = 0.45


@dataclass(frozen=True)
class Lesion:
    """Where the tumour is and how large.

    Attributes
    ----------
    centre
        Head mm.
    radius, thickness, reach
        Of the rim's outside, of the rim, and how far oedema goes, in mm; one that is negative means none.
    stretch
        Deviation of the logarithm of the radius along each axis.
    swell
        Deviation of the logarithm of the radius over 26 and over 11 mm.
    softness
        The radius over the displacement (mm) of the tissue around it.
    """

    centre: tuple[float, float, float]
    radius: float
    thickness: float
    reach: float
    stretch: float = 0.12
    swell: tuple[float, float] = (0.13, 0.06)
    softness: float = 3.5

    @property
    def mass(self) -> Mass:
        """The displacement that it causes."""
        return Mass(self.centre, self.radius + 4, self.radius / self.softness)


@dataclass(frozen=True)
class Tumour:
    """Memberships (X, Y, Z) float32 in 0..1: of the core, of core and rim, of the whole tumour; and the label map.

    ``labels`` (uint8): 0 background, 1 necrotic core, 2 oedema, 4 enhancing rim. A core voxel has only core and rim
    among its 26 neighbours.
    """

    core: FloatArray
    solid: FloatArray
    whole: FloatArray
    labels: NDArray[np.uint8]


def place_lesion(rng: np.random.Generator) -> Lesion:
    """A lesion in the white matter of one lobe."""
    x, y, z = np.array(SITES[rng.integers(len(SITES))]) + rng.normal(0, 1.5, 3)
    side = rng.choice((-1.0, 1.0))
    return Lesion(
        centre=(float(side * x), float(y), float(z)),
        radius=float(rng.uniform(15.0, 18.0)),
        thickness=float(rng.uniform(4.5, 5.5)),
        reach=float(rng.uniform(15.0, 20.0)),
    )


def grow_tumour(rng: np.random.Generator, axes: Axes, lesion: Lesion, head: Head) -> Tumour:
    """The tumour on ``axes`` (head mm, ascending) in ``head``."""
    distance = _deformed_distance(rng, axes, lesion)
    thickness = lesion.thickness * np.clip(1 + 0.3 * smooth_noise(rng, axes, 16), 0.6, 1.7)
    core = sigmoid_step(distance - (np.float32(lesion.radius) - thickness), EDGE_MM) * head.brain
    solid = sigmoid_step(distance - np.float32(lesion.radius), EDGE_MM) * head.brain
    delay = _fluid_delay(rng, axes, distance <= lesion.radius, head)
    delay += np.float32(1.2) * smooth_noise(rng, axes, 9)
    whole = sigmoid_step(delay - np.float32(lesion.reach), 2 * EDGE_MM) * head.brain * (1 - head.csf)
    whole = np.maximum(whole, solid)
    return Tumour(core, solid, whole, _label(core, solid, whole))


def _deformed_distance(rng: np.random.Generator, axes: Axes, lesion: Lesion) -> FloatArray:
    """Distance (mm) to the centre, in a metric that noise makes irregular."""
    offsets = [(a - c).astype(np.float32) for a, c in zip(axes, lesion.centre, strict=True)]
    stretch = np.exp(rng.normal(0, lesion.stretch, 3)).astype(np.float32)
    stretch /= stretch.prod() ** np.float32(1 / 3)
    x, y, z = np.meshgrid(*(o / s for o, s in zip(offsets, stretch, strict=True)), indexing="ij", sparse=True)
    distance = np.sqrt(x * x + y * y + z * z)
    coarse, fine = lesion.swell
    swell = coarse * smooth_noise(rng, axes, 26) + fine * smooth_noise(rng, axes, 11)
    return np.asarray(distance * np.exp(-np.clip(swell, -0.3, 0.3)), dtype=np.float32)


def _fluid_delay(rng: np.random.Generator, axes: Axes, solid: NDArray[np.bool_], head: Head) -> FloatArray:
    """Time (mm of white matter) that fluid needs from the solid tumour to every voxel."""
    unevenness = np.exp(0.35 * np.clip(smooth_noise(rng, axes, 22), -2, 2))
    cost = (WHITE_COST * head.white + GREY_COST * head.grey + CSF_COST * head.csf) * unevenness
    cost = np.where(head.brain, cost, CSF_COST)
    spacing = [float(a[1] - a[0]) for a in axes]
    steps = [max(1, round(COARSE_MM / s)) for s in spacing]
    # Every n-th voxel is enough: the time is smooth, and interpolation brings it back to the grid.
    sparse = tuple(slice(None, None, n) for n in steps)
    lengths = np.array([s * n for s, n in zip(spacing, steps, strict=True)])
    window = _window(solid[sparse], lengths)
    delay = np.full(cost[sparse].shape, FAR, dtype=np.float32)
    delay[window] = shortest_times(cost[sparse][window], solid[sparse][window], lengths)
    x, y, z = (np.arange(n) / step for n, step in zip(solid.shape, steps, strict=True))
    return resample(delay, (x, y, z))


def _window(solid: NDArray[np.bool_], lengths: NDArray[np.float64]) -> tuple[slice, ...]:
    """The part of the grid within 45 mm of the solid tumour."""
    where = np.argwhere(solid)
    margin = np.ceil(45 / lengths).astype(int)
    lower, upper = np.maximum(where.min(axis=0) - margin, 0), where.max(axis=0) + margin + 1
    return tuple(slice(int(a), int(b)) for a, b in zip(lower, upper, strict=True))


def shortest_times(
    cost: NDArray[np.floating], sources: NDArray[np.bool_], lengths: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Least sum of cost times length over 26-connected paths from ``sources``, at most ``FAR`` (Bellman-Ford).

    ``cost`` (X, Y, Z) is per mm, ``lengths`` are the voxel's edges in mm.
    """
    times = np.where(sources, 0, FAR).astype(np.float32)
    steps = [step for step in product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
    links = []
    for step in steps:
        ahead = tuple(slice(max(s, 0), n + min(s, 0)) for s, n in zip(step, cost.shape, strict=True))
        behind = tuple(slice(max(-s, 0), n + min(-s, 0)) for s, n in zip(step, cost.shape, strict=True))
        length = float(np.sqrt(((np.array(step) * lengths) ** 2).sum()))
        links.append((ahead, behind, ((cost[ahead] + cost[behind]) * (length / 2)).astype(np.float32)))
    while True:
        before = times.copy()
        for ahead, behind, price in links:
            times[ahead] = np.minimum(times[ahead], times[behind] + price)
            times[behind] = np.minimum(times[behind], times[ahead] + price)
        if np.array_equal(before, times):
            return times


def _label(core: FloatArray, solid: FloatArray, whole: FloatArray) -> NDArray[np.uint8]:
    """The class of highest membership; the rim is closed around the core wherever the grid is too coarse for it."""
    inner = core > 0.5
    wrapped = inner.copy()
    for step in product((-1, 0, 1), repeat=3):
        wrapped |= np.roll(inner, step, axis=(0, 1, 2))
    labels = np.zeros(whole.shape, dtype=np.uint8)
    labels[whole > 0.5] = 2
    labels[(solid > 0.5) | wrapped] = 4
    labels[inner] = 1
    return labels
