"""A head with its lesions, before any scanner: what is slow to make and can be kept.

Values are kept for the brain's voxels only, in C order of the grid, as bytes: 255 is a share of 1. The share of CSF is
what white and grey matter leave of the brain.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from brats_trt.demo.anatomy import Head, make_head
from brats_trt.demo.fields import Axes
from brats_trt.demo.phantom import FIELD_OF_VIEW_MM, _brain_window, brats_affine

from .lesions import ENHANCING, NECROSIS, TISSUES, Lesions, grow_lesions, place_lesions
from .regimes import Regime

# Of the atlas' detail, in units of white minus grey: kept from -4 to 4.
DETAIL_STEP = 4 / 127
# What a lesion's solid part, necrosis and rim, measures at least (all lesions together).
LEAST_SOLID_ML = 0.4
_MOST_ATTEMPTS = 10


@dataclass(frozen=True, eq=False)
class Geometry:
    """A head and its lesions on a grid.

    Attributes
    ----------
    shape
        Voxels of the whole field of view; the brain's window in it follows.
    brain
        (X, Y, Z) bool, of the window.
    tissue
        (2, N) uint8: the shares of white and grey matter in the brain's N voxels.
    detail
        (N,) int8, in steps of `DETAIL_STEP`.
    places, lesions
        (M,) int32: which of the N hold tumour, and (5, M) uint8: the shares of `TISSUES` there.
    labels
        (M,) uint8: 0, 1, 2 or 4.
    """

    regime: str
    kind: str
    seed: int
    shape: tuple[int, int, int]
    brain: NDArray[np.bool_]
    tissue: NDArray[np.uint8]
    detail: NDArray[np.int8]
    places: NDArray[np.int32]
    lesions: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    @property
    def axes(self) -> Axes:
        """The window's voxel centres, head mm."""
        return _brain_window(self.shape, brats_affine(self.shape))[1]

    @property
    def voxel_mm(self) -> tuple[float, float, float]:
        """Edges of a voxel."""
        x, y, z = (extent / n for extent, n in zip(FIELD_OF_VIEW_MM, self.shape, strict=True))
        return x, y, z

    def save(self, file: BinaryIO) -> None:
        """Write it, uncompressed: reading has to be quick."""
        np.savez(
            file,
            names=np.array([self.regime, self.kind]),
            seed=np.array(self.seed),
            shape=np.array([self.shape, self.brain.shape]),
            brain=np.packbits(self.brain),
            tissue=self.tissue,
            detail=self.detail,
            places=self.places,
            lesions=self.lesions,
            labels=self.labels,
        )


def load_geometry(path: Path) -> Geometry:
    """Read what `Geometry.save` wrote."""
    with np.load(path) as kept:
        regime, kind = (str(name) for name in kept["names"])
        seed = int(kept["seed"])
        shape, window = (tuple(int(n) for n in row) for row in kept["shape"])
        brain = np.unpackbits(kept["brain"], count=int(np.prod(window))).reshape(window).astype(bool)
        arrays = {name: kept[name] for name in ("tissue", "detail", "places", "lesions", "labels")}
    return Geometry(regime, kind, seed, shape, brain, **arrays)  # type: ignore[arg-type]


def make_geometry(regime: Regime, kind: str, seed: int, *, voxel_mm: float) -> Geometry:
    """Make a head with a tumour of a kind, in voxels of about `voxel_mm`.

    A head whose surface leaves a lesion too little of its solid part is drawn again.

    Raises
    ------
    ValueError
        If the kind is not one of the regime's, or its lesions find no room.
    """
    if kind not in regime.tumours:
        raise ValueError(f"the kind of tumour is {kind!r}; expected one of {', '.join(regime.tumours)}")
    x, y, z = (round(extent / voxel_mm) for extent in FIELD_OF_VIEW_MM)
    for attempt in range(_MOST_ATTEMPTS):
        numbers = (regime.stream, list(regime.tumours).index(kind), seed, attempt)
        made = _attempt(regime, kind, numbers, (x, y, z))
        solid = int(np.isin(made.labels, (NECROSIS, ENHANCING)).sum()) * float(np.prod(made.voxel_mm)) / 1000
        if solid >= LEAST_SOLID_ML or not regime.tumours[kind].number[1]:
            return made
    raise ValueError(f"tumours of the kind {kind!r} and seed {seed} lie outside of the brain: choose another seed")


def _attempt(regime: Regime, kind: str, numbers: tuple[int, ...], shape: tuple[int, int, int]) -> Geometry:
    growth = regime.tumours[kind]
    axes = _brain_window(shape, brats_affine(shape))[1]
    where, head_rng, growth_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(numbers).spawn(3))
    placed = place_lesions(where, growth)
    head = make_head(head_rng, axes, [lesion.mass for lesion in placed], shape=regime.head)
    lesions = grow_lesions(growth_rng, axes, placed, head, growth=growth, regime=regime)
    return Geometry(regime.name, kind, numbers[2], shape, head.brain, **_pack(head, lesions))  # type: ignore[arg-type]


def _pack(head: Head, lesions: Lesions) -> dict[str, NDArray[np.generic]]:
    inside = head.brain
    maps = [_bytes(values[inside]) for values in lesions.maps]
    labels = lesions.labels[inside]
    places = np.flatnonzero(np.max(maps, axis=0) | labels).astype(np.int32)
    detail = np.clip(np.rint(head.detail[inside] / DETAIL_STEP), -127, 127).astype(np.int8)
    return {
        "tissue": np.stack([_bytes(head.white[inside]), _bytes(head.grey[inside])]),
        "detail": detail,
        "places": places,
        "lesions": np.stack(maps)[:, places].reshape(len(TISSUES), -1),
        "labels": labels[places],
    }


def _bytes(shares: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
