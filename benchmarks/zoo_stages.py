"""The stages as the Open Model Zoo's 3D segmentation demo takes them, written anew in its way.

The same arithmetic as `tests/oracle.py`, in float32 and in other steps: moments by masked arrays, one zoom over all
five axes before the network and one over four behind it. Small regions stay. The demo hands out the network's classes;
they are given BraTS' values here, so that label maps can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

Corners = tuple[np.ndarray, np.ndarray]
LABELS = np.array([0, 1, 2, 4], np.uint8)


def prepare(volumes: Sequence[np.ndarray], size: tuple[int, int, int]) -> tuple[np.ndarray, Corners]:
    """The network's input and the box, whose last plane is lost."""
    channels, edges = [], []
    for volume in volumes:
        values = volume.astype(np.float32)
        mask = values > 0
        channels.append(normalise(values, mask))
        filled = [np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        edges.append([(found[0], found[-1]) for found in filled])
    lower, upper = np.min(edges, axis=0)[:, 0], np.max(edges, axis=0)[:, 1]
    head = np.stack(channels)[(None, slice(None), *map(slice, lower, upper))]
    return zoom(head, (1, len(volumes), *size)), (lower, upper)


def normalise(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    inside = np.ma.masked_array(values, ~mask)
    scores = (values - np.mean(inside)) / np.sqrt(np.var(inside))
    scores = (np.clip(np.asarray(scores), -5, 5) + 5) / 10
    scores[~mask] = 0
    return scores


def restore(softmax: np.ndarray, box: Corners, shape: tuple[int, ...]) -> np.ndarray:
    """The label map on the volumes' grid."""
    lower, upper = box
    whole = np.zeros((softmax.shape[1], *shape))
    whole[(slice(None), *map(slice, lower, upper))] = zoom(softmax[0], (softmax.shape[1], *(upper - lower)))
    return LABELS[whole.argmax(axis=0)]


def zoom(values: np.ndarray, size: Sequence[int]) -> np.ndarray:
    return ndimage.zoom(values, [m / n for n, m in zip(values.shape, size, strict=True)], order=1)
