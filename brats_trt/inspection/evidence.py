"""What the checks look at: the headers, and every few voxels of the volumes.

The sample is a coarse grid over the whole volume, with `SAMPLES` voxels along an axis or up to twice as many: about
20,000 voxels of a head, for a few milliseconds. Its values are those that the network would see, slope and intercept
applied. A voxel counts as the network counts it: above zero and finite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..case import Case, Volume
from ..device_array import DeviceArray
from ..geometry import Index3
from ..spec import Modality
from .contrast import Contrast, measure_contrast

SAMPLES = 48
# The longest axis of a volume that is looked into: no scanner's image is smaller, but what software is tried on is.
LEAST_AXIS = 64
# Voxels of the head in the sample that its intensities are judged by.
LEAST_HEAD = 2000


@dataclass(frozen=True, eq=False)
class Sample:
    """Every few voxels of four volumes.

    Attributes
    ----------
    steps
        Voxels from one sample to the next along each axis.
    positive
        By modality, (I, J, K) bool in Fortran order: above zero and finite.
    head
        (I, J, K) bool in Fortran order: positive in all modalities.
    values
        By modality, (n,) float64: the values in the head, the first axis running fastest.
    """

    steps: Index3
    positive: Mapping[Modality, NDArray[np.bool_]]
    head: NDArray[np.bool_]
    values: Mapping[Modality, NDArray[np.float64]]

    @property
    def size(self) -> int:
        """How many voxels of the head there are."""
        return len(next(iter(self.values.values())))

    @cached_property
    def fills(self) -> dict[Modality, float]:
        """By modality, the share of the tightest box around the positive voxels that they fill."""
        return {modality: _fill(mask) for modality, mask in self.positive.items()}


@dataclass(frozen=True, eq=False)
class Evidence:
    """A case as the checks see it.

    Attributes
    ----------
    spacing
        Millimetres of a voxel's edges along axes x, y and z, or None where nothing says them.
    sample
        None where the volumes lie on a GPU, or all axes are shorter than `LEAST_AXIS`.
    """

    case: Case
    spacing: tuple[float, float, float] | None
    sample: Sample | None

    @cached_property
    def litres(self) -> dict[Modality, float]:
        """By modality, the volume of its positive voxels; empty without a sample or a spacing."""
        if self.sample is None or self.spacing is None:
            return {}
        each = float(np.prod(self.spacing) * np.prod(self.sample.steps)) * 1e-6
        return {modality: int(np.count_nonzero(mask)) * each for modality, mask in self.sample.positive.items()}

    @cached_property
    def contrast(self) -> Contrast | None:
        """Of the head; None where the sample has too few of its voxels."""
        if self.sample is None or self.sample.size < LEAST_HEAD:
            return None
        return measure_contrast(self.sample.head, self.sample.values)

    @property
    def name(self) -> str:
        """What a finding about the whole case calls it."""
        return self.case.name

    def source(self, modality: Modality) -> str:
        """What a finding about one volume calls it."""
        return self.case.volumes[modality].source


def gather_evidence(case: Case) -> Evidence:
    """Look at a case's headers and at every few voxels."""
    affine = case.affine[:3, :3]
    unknown = case.header is None and bool(np.array_equal(case.affine, np.eye(4)))
    x, y, z = (float(edge) for edge in np.linalg.norm(affine, axis=0))
    return Evidence(case, None if unknown else (x, y, z), _sample(case))


def _sample(case: Case) -> Sample | None:
    on_gpu = any(isinstance(volume.data, DeviceArray) for volume in case.volumes.values())
    if on_gpu or max(case.shape) < LEAST_AXIS:
        return None
    x, y, z = (max(1, n // SAMPLES) for n in case.shape)
    grids = {modality: sampled(volume, np.s_[::x, ::y, ::z]) for modality, volume in case.volumes.items()}
    positive = {modality: is_positive(grid) for modality, grid in grids.items()}
    head = reduce(np.logical_and, positive.values())
    inside = np.flatnonzero(head.ravel(order="F"))
    values = {modality: grid.ravel(order="F")[inside].astype(np.float64) for modality, grid in grids.items()}
    return Sample((x, y, z), positive, head, values)


def sampled(volume: Volume, where: Any) -> NDArray[Any]:
    """The values at a slice of the volume, slope and intercept applied; in Fortran order.

    In the volume's dtype where that holds them, which is cheapest, else float64.
    """
    stored: NDArray[Any] = volume.on_host[where]
    if (volume.slope, volume.intercept) == (1.0, 0.0) and stored.dtype.itemsize <= 8:
        return stored.astype(stored.dtype.newbyteorder("="), order="F")
    with np.errstate(all="ignore"):  # a long double may have no float64, which makes it infinite and no head
        values: NDArray[np.float64] = stored.astype(np.float64, order="F")
        values *= volume.slope
        values += volume.intercept
    return values


def is_positive(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where values are above zero and finite."""
    positive: NDArray[np.bool_] = values > 0
    return positive & (values < np.inf) if values.dtype.kind == "f" else positive


def _fill(mask: NDArray[np.bool_]) -> float:
    front: NDArray[np.bool_] = np.any(mask, axis=2)
    planes = (np.any(front, axis=1), np.any(front, axis=0), np.any(mask.reshape(-1, mask.shape[2], order="F"), axis=0))
    places = [np.flatnonzero(plane) for plane in planes]
    if not len(places[0]):
        return 0.0
    box = int(np.prod([place[-1] - place[0] + 1 for place in places]))
    return float(np.count_nonzero(mask) / box)
