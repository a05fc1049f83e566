"""Series on grids of their own, seen from the grid that a case is worked on; each is interpolated once.

The volumes of such a case lie on the working grid, for the foreground and for what looks them over. What the network
gets is taken from the series themselves, and what it answers is put onto the grid that the user wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _host
from ..geometry import Affine, Box, Index3, crop_affine
from ..resampling import align, voxel_map
from ..spec import Modality, Normalisation
from ..volume import Volume

# Voxels of a mask; a head at 1.5 mm has 2.6 million.
LARGEST_MASK = 2**22


@dataclass(frozen=True, eq=False)
class Series:
    """A volume and the grid that it lies on, voxel to the working grid's millimetres."""

    volume: Volume
    affine: Affine


@dataclass(frozen=True, eq=False)
class Placement:
    """Where everything lies.

    Attributes
    ----------
    affine
        The working grid's, voxel to millimetre.
    series
        What each modality is sampled from.
    mask
        At least 0.5 in the brain; None of series that are stripped already.
    target_affine, target_shape
        The grid of the label map.
    """

    affine: Affine
    series: Mapping[Modality, Series]
    mask: Series | None
    target_affine: Affine
    target_shape: Index3

    def gather(
        self,
        crop: NDArray[np.float32],
        box: Box,
        modality: Modality,
        *,
        mean: float,
        variance: float,
        normalisation: Normalisation,
        threads: int,
    ) -> None:
        """Fill the (D, H, W) crop of a modality from its series: sampled, masked and normalised.

        A sample that the head's edge cuts is mixed with the background, 0, by the share of it that lies inside, as
        resampling does that follows the normalisation.
        """
        x, y, z = crop.shape
        align(self.series[modality].volume, self.to_series(modality, box, (x, y, z)), crop, threads=threads)
        inside = self._share_inside(crop, box, threads)
        if normalisation == "card":
            known = crop[inside > 0]
            mean, variance = float(known.mean(dtype=np.float64)), float(known.var(dtype=np.float64))
        crop -= np.float32(mean)
        crop *= np.float32(1 / np.sqrt(variance))
        if normalisation == "authors":
            np.clip(crop, -5, 5, out=crop)
            crop += np.float32(5)
            crop *= np.float32(0.1)
        crop *= inside

    def _share_inside(self, crop: NDArray[np.float32], box: Box, threads: int) -> NDArray[np.float32]:
        foreground = (crop > 0).astype(np.float32)
        if self.mask is None:
            return foreground
        x, y, z = crop.shape
        share = np.empty_like(crop)
        align(self.mask.volume, self.to_mask(box, (x, y, z)), share, threads=threads)
        # Over one sample's width around the mask's edge, from nothing to all.
        np.clip((share - np.float32(0.25)) * np.float32(2), 0, 1, out=share)
        share *= foreground
        return share

    def to_series(self, modality: Modality, box: Box, size: Index3) -> NDArray[np.float64]:
        """(3, 4): from a sample of the crop to a position in a modality's series, in voxels."""
        return voxel_map(self.series[modality].affine, crop_affine(self.affine, box, size))

    def to_mask(self, box: Box, size: Index3) -> NDArray[np.float64]:
        """(3, 4): from a sample of the crop to a position in the mask, in voxels; there is one."""
        assert self.mask is not None
        return voxel_map(self.mask.affine, crop_affine(self.affine, box, size))

    def to_crop(self, box: Box, size: Index3) -> NDArray[np.float64]:
        """(3, 4): from a voxel of the label map to a sample of the crop."""
        return voxel_map(crop_affine(self.affine, box, size), self.target_affine)

    def restore(
        self,
        softmax: NDArray[np.float32],
        box: Box,
        labels: NDArray[np.uint8],
        *,
        values: tuple[int, int, int, int],
        threads: int,
    ) -> tuple[tuple[int, int, int, int], Box]:
        """The label map on its own grid, of the resampled probabilities; classes counted, and the tumour's box."""
        x, y, z = softmax.shape[2:]
        matrix = self.to_crop(box, (x, y, z))
        counts, tumour = _host.restore(softmax, matrix, labels, values=values, threads=threads)
        return counts, Box(*tumour)
