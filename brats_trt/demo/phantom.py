"""A synthetic case in BraTS' frame: four modalities and their reference, the same for the same seed.

Arrays are stored as BraTS stores them: axis 0 runs to the left, axis 1 to the back, axis 2 upwards (LPS), int16,
1 mm, Fortran order. The field of view is always 240x240x155 mm; a smaller shape means larger voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..spec import MODALITIES, Modality
from .anatomy import make_head
from .contrast import render
from .fields import Axes
from .tumour import grow_tumour, place_lesion

FIELD_OF_VIEW_MM = (240.0, 240.0, 155.0)
# World position (mm) of the head coordinates' origin, the anterior commissure.
ORIGIN_MM = (-119.5, 136.0, 71.0)
# Head coordinates (mm) that the brain can occupy, warp included.
LOWER_MM, UPPER_MM = (-76.0, -113.0, -74.0), (76.0, 78.0, 84.0)
LEAST_SIZE = 24

ScalarT = TypeVar("ScalarT", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic case.

    Attributes
    ----------
    volumes
        Modality name to (X, Y, Z) int16, Fortran order, 0 outside the brain.
    labels
        (X, Y, Z) uint8, Fortran order: 0 background, 1 necrotic core, 2 oedema, 4 enhancing tumour.
    affine
        (4, 4) float64, voxel indices to world mm (RAS+).
    """

    volumes: Mapping[Modality, NDArray[np.int16]]
    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]


def make_phantom(seed: int = 0, shape: tuple[int, int, int] = (240, 240, 155)) -> Phantom:
    """Make a case.

    Parameters
    ----------
    seed
        Decides the head's proportions, the tumour and the noise. Equal seeds give equal arrays on one machine; another
        machine's matrix products may round a voxel the other way.
    shape
        Voxels along each axis, at least 24, over the same 240x240x155 mm.

    Raises
    ------
    CaseError
        If the shape is not three sizes of at least 24.
    """
    if len(shape) != 3 or min(shape) < LEAST_SIZE:
        raise CaseError(f"the phantom's shape is {shape}; expected three sizes of at least {LEAST_SIZE} voxels")
    affine = brats_affine(shape)
    window, axes = _brain_window(shape, affine)
    where, head_rng, tumour_rng, *scans = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(7))
    lesion = place_lesion(where)
    head = make_head(head_rng, axes, [lesion.mass])
    tumour = grow_tumour(tumour_rng, axes, lesion, head)
    volumes = {
        modality: _place(render(scan, axes, modality, head, tumour), window, shape)
        for modality, scan in zip(MODALITIES, scans, strict=True)
    }
    return Phantom(MappingProxyType(volumes), _place(tumour.labels, window, shape), affine)


def brats_affine(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """BraTS' affine (mm) for 240x240x155; for other shapes that of the same field of view."""
    sizes = [extent / n for extent, n in zip(FIELD_OF_VIEW_MM, shape, strict=True)]
    half = [(size - 1) / 2 for size in sizes]
    affine = np.diag([-sizes[0], -sizes[1], sizes[2], 1.0])
    affine[:3, 3] = [0.0 - half[0], FIELD_OF_VIEW_MM[1] - 1 - half[1], half[2]]
    return affine


def _brain_window(shape: tuple[int, int, int], affine: NDArray[np.float64]) -> tuple[tuple[slice, ...], Axes]:
    """The part of the grid that can hold brain, along ascending head coordinates, and those in mm."""
    window, axes = [], []
    for axis, size in enumerate(shape):
        places = affine[axis, axis] * np.arange(size) + affine[axis, 3] - ORIGIN_MM[axis]
        inside = np.flatnonzero((places >= LOWER_MM[axis]) & (places <= UPPER_MM[axis]))
        first, last = int(inside[0]), int(inside[-1])
        descending = places[last] < places[first]
        window.append(slice(last, first - 1 if first else None, -1) if descending else slice(first, last + 1))
        axes.append(np.sort(places[inside]))
    return tuple(window), (axes[0], axes[1], axes[2])


def _place(values: NDArray[ScalarT], window: tuple[slice, ...], shape: tuple[int, int, int]) -> NDArray[ScalarT]:
    """The window's values on the whole grid, read-only and in Fortran order."""
    full: NDArray[ScalarT] = np.zeros(shape, dtype=values.dtype, order="F")
    full[window] = values
    full.setflags(write=False)
    return full
