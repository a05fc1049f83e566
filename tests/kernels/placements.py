"""Series on grids of their own, for every witness of what the network is given of them and of what it gives back."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import permutations, product
from typing import Literal

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation
from volumes import head

from brats_trt.backends.placement import Placement, Series
from brats_trt.geometry import Box
from brats_trt.spec import MODALITIES
from brats_trt.volume import Volume
from kernels.table import DTYPES, HOST_ONLY, ORDERS, VIEWS, Shape, in_memory

BOX = Box((2, 1, 3), (25, 27, 24))
WORKING = np.diag([1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Placed:
    """A series as somebody may have stored it, the mask, and the grid of the labels.

    Attributes
    ----------
    degrees, spacing
        Of the series' grid against the working grid of 1 mm, about one centre.
    shape
        Of the series; 1 is an axis of one voxel.
    masked
        Whether there is a mask, on a third grid.
    """

    name: str
    dtype: str = "int16"
    memory: str = "xyz"
    shape: Shape = (20, 24, 9)
    degrees: Shape = (7, -12, 4)
    spacing: tuple[float, float, float] = (1.3, 1.1, 3.0)
    slope: float = 1.0
    intercept: float = 0.0
    nonfinite: bool = False
    masked: bool = True
    size: Shape = (12, 13, 10)
    batch: int = 1
    half: bool = False
    normalisation: Literal["authors", "card"] = "authors"
    target: Shape = (14, 11, 17)
    label_values: tuple[int, int, int, int] = (0, 1, 2, 4)

    @property
    def seed(self) -> int:
        """The case's own."""
        return zlib.crc32(self.name.encode())

    def volume(self) -> Volume:
        """The series, in memory as the case says."""
        return Volume(in_memory(self._stored(), self.memory), self.slope, self.intercept, "the series")

    def values(self) -> np.ndarray:
        """What the voxels mean, in float64: zero where they are not finite."""
        values = self._stored().astype(np.float64) * self.slope + self.intercept
        return np.where(np.isfinite(values), values, 0.0)

    def mask(self) -> np.ndarray | None:
        """(Z, Y, X)-like shares in float32, smooth at the edge."""
        if not self.masked:
            return None
        inside = np.zeros((17, 15, 18))
        inside[3:14, 3:12, 3:15] = 1
        return ndimage.gaussian_filter(inside, 1).astype(np.float32)

    def placement(self) -> Placement:
        """The package's, with this series for every modality."""
        mask = self.mask()
        return Placement(
            WORKING,
            dict.fromkeys(MODALITIES, Series(self.volume(), self.affine())),
            None if mask is None else Series(Volume(mask, 1.0, 0.0, "the mask"), mask_affine()),
            target_affine(self.target),
            self.target,
        )

    def affine(self) -> np.ndarray:
        """Of the series' grid."""
        return grid(self.degrees, self.spacing, self.shape)

    def matrix(self, affine: np.ndarray) -> np.ndarray:
        """From a sample of the crop to a voxel of a grid, composed here."""
        steps = [(n - 1) / (m - 1) for n, m in zip(BOX.shape, self.size, strict=True)]
        crop = np.eye(4)
        crop[:3] = np.column_stack([np.diag(steps), BOX.lower])
        return np.linalg.solve(affine, WORKING @ crop)

    def softmax(self) -> np.ndarray:
        """(batch, 4, *size) float32 that a network of the case's type could give."""
        scores = np.random.default_rng(self.seed).standard_normal((self.batch, 4, *self.size))
        smooth = np.exp(3 * ndimage.gaussian_filter(scores, (0, 0, 1, 1, 1)) / 0.2)
        probabilities = smooth / smooth.sum(axis=1, keepdims=True)
        return probabilities.astype(np.float16 if self.half else np.float32).astype(np.float32)

    def _stored(self) -> np.ndarray:
        lower = tuple(0 if n < 3 else 1 for n in self.shape)
        upper = tuple(n if n < 3 else n - 1 for n in self.shape)
        values = head(self.shape, self.dtype, box=(lower, upper), seed=self.seed)
        if self.nonfinite:
            values[tuple(n // 2 for n in self.shape)] = np.nan
            values[tuple(n // 3 for n in self.shape)] = np.inf
        return values


def grid(degrees, spacing, shape):
    """Turned about x, y and z, its centre in the middle of the box."""
    made = np.eye(4)
    made[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() * np.array(spacing)
    middle = (np.array(BOX.lower) + BOX.upper - 1) / 2 + (0.13, -0.21, 0.17)
    made[:3, 3] = middle - made[:3, :3] @ ((np.array(shape) - 1) / 2)
    return made


def mask_affine():
    """The mask lies on neither grid."""
    return grid((-3, 5, 20), (1.5, 1.5, 1.5), (17, 15, 18))


def target_affine(shape):
    """The labels come on a grid that reaches beyond the crop."""
    return grid((-9, 3, 14), (2.1, 2.4, 1.7), shape)


def _cases():
    for dtype in DTYPES[1:]:
        yield Placed(dtype, dtype=dtype)
    for number, memory in enumerate((*ORDERS, *VIEWS, *HOST_ONLY)):
        yield Placed(f"stored {memory}", memory=memory, batch=1 + number % 2, half=number % 3 == 0)
    for number, (turn, tilt) in enumerate(product((0, 90, 180, 270), (0, 90, 270))):
        yield Placed(f"turned {turn}, {tilt}", degrees=(tilt, 0, turn), masked=number % 2 == 0)
    for number, axes in enumerate(permutations((5.0, 1.0, 0.9))):
        yield Placed(f"voxels of {axes}", spacing=axes, shape=(9, 20, 22) if number % 2 else (20, 18, 21))
    yield Placed("slope and intercept", slope=2.5, intercept=-30.0)
    yield Placed("float32 with NaN and infinities", dtype="float32", nonfinite=True)
    yield Placed("a single slice", shape=(24, 22, 1), spacing=(1.0, 1.0, 30.0))
    yield Placed("no mask", masked=False, batch=2, half=True)
    yield Placed("beyond the box on every side", spacing=(3.0, 3.0, 3.0))
    yield Placed("within the box", spacing=(0.5, 0.5, 0.5))
    yield Placed("network of two samples an axis", size=(2, 2, 2), spacing=(3.0, 3.0, 9.0), masked=False)
    for size in [(7, 16, 33), (33, 5, 64), (65, 6, 31)]:
        yield Placed(f"network of {size}", size=size, batch=2)
    yield Placed("the card's", normalisation="card", slope=0.5)
    yield Placed("the card's in half precision, bare", normalisation="card", half=True, masked=False, batch=2)
    yield Placed("labels of another scheme", label_values=(0, 2, 1, 3), batch=2)
    yield Placed("labels on 5000 voxels", target=(10, 25, 20))


CASES = tuple(_cases())
