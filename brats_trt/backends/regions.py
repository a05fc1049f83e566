"""Rejection of small tumour regions, as the authors do after the argmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..geometry import Box

Counts = tuple[int, int, int, int]


def drop_small_regions(
    labels: NDArray[np.uint8], counts: Counts, tumour: Box, *, min_region: float, label_values: Counts
) -> Counts:
    """Set regions of fewer than `min_region` x (voxels - voxels of the largest class) voxels to background, in place.

    A region is a 26-connected component of all tumour classes together. Source: the authors' released code.

    Parameters
    ----------
    labels
        (X, Y, Z) uint8, written to.
    counts
        Voxels of each class in `labels`.
    tumour
        The tightest box around the tumour classes.
    label_values
        The value that stands for each class.

    Returns
    -------
    The voxels of each class that are left.
    """
    least = min_region * (sum(counts) - max(counts))
    if least <= 0 or sum(counts[1:]) == 0:
        return counts
    import cc3d

    window = labels[tumour.slices]
    # With binary_image=True cc3d 4.1 runs out of labels where a small window is full of single voxels.
    mask = (window != label_values[0]).view(np.uint8)
    regions, number = cc3d.connected_components(mask, connectivity=26, return_N=True)
    if number == 1:  # then it is the whole tumour, of which `least` is never more
        return counts
    sizes = np.bincount(regions.ravel(order="K"), minlength=number + 1)
    small = sizes < least
    small[0] = False
    if not small.any():
        return counts
    dropped = small[regions]
    lost = np.bincount(window[dropped], minlength=256)[list(label_values)]
    window[dropped] = label_values[0]
    left = [count - int(gone) for count, gone in zip(counts, lost, strict=True)]
    left[0] += int(lost.sum())
    return (left[0], left[1], left[2], left[3])
