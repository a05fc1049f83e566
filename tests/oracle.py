"""The pipeline written down in NumPy and SciPy, as the authors ran it: the oracle of every other implementation.

Axes are x, y, z = array axes 0, 1, 2. Nothing here knows how brats_trt computes.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

SIZE = (128, 128, 128)


def intensities(volume, slope=1.0, intercept=0.0):
    """Values in float64 with NaN, infinities and everything not above zero set to 0."""
    values = np.asarray(volume).astype(np.float64)
    if (slope, intercept) != (1.0, 0.0):
        values = values * slope + intercept
    return np.where(np.isfinite(values) & (values > 0), values, 0.0)


def tight_box(volumes):
    """Half-open box around the foreground of all volumes."""
    mask = np.any([v > 0 for v in volumes], axis=0)
    where = np.argwhere(mask)
    return tuple(where.min(axis=0)), tuple(where.max(axis=0) + 1)


def authors_box(volumes):
    """[first:last] as the authors slice: the last plane is lost."""
    lower, upper = tight_box(volumes)
    return lower, tuple(u - 1 for u in upper)


def crop(volume, box):
    return volume[tuple(slice(low, up) for low, up in zip(*box, strict=True))]


def zoom(volume, size):
    factors = [s / n for s, n in zip(size, volume.shape, strict=True)]
    return ndimage.zoom(volume, factors, order=1, mode="constant", cval=0.0)


def resample(volume, size):
    """`zoom` with the last sample put on the last voxel where its rounding would miss it."""
    axes = [np.minimum(np.arange(m) * ((n - 1) / (m - 1)), n - 1) for n, m in zip(volume.shape, size, strict=True)]
    return ndimage.map_coordinates(volume, np.meshgrid(*axes, indexing="ij"), order=1, mode="nearest")


def zeroed_last_planes(inputs, outputs):
    """Per axis, whether SciPy's rounding puts the last sample past the edge, where it writes zeros."""
    return [(n - 1) / (m - 1) * (m - 1) > n - 1 for n, m in zip(inputs, outputs, strict=True)]


def unclamped(inputs, outputs):
    """Selects the samples that do not lie on a last plane that SciPy zeroes."""
    zeroed = zeroed_last_planes(inputs, outputs)
    return tuple(slice(0, m - 1 if lost else m) for lost, m in zip(zeroed, outputs, strict=True))


def normalise_authors(values):
    inside = values > 0
    mean, std = values[inside].mean(), values[inside].std()
    return np.where(inside, (np.clip((values - mean) / std, -5, 5) + 5) / 10, 0.0)


def normalise_card(cropped):
    inside = cropped != 0
    mean, std = cropped[inside].mean(), cropped[inside].std()
    return np.where(inside, (cropped - mean) / std, 0.0)


def prepare_channel(values, box, size=SIZE, normalisation="authors", *, resample=zoom):
    if normalisation == "authors":
        return resample(crop(normalise_authors(values), box), size)
    return normalise_card(resample(crop(values, box), size))


def prepare(volumes, size=SIZE, normalisation="authors"):
    """Four volumes in the network's order to its float32 input and the box."""
    values = [intensities(v) for v in volumes]
    box = authors_box(values)
    channels = [prepare_channel(v, box, size, normalisation) for v in values]
    return np.stack(channels).astype(np.float32)[None], box


def average_mirrored(probabilities):
    """(1 or 2, 4, x, y, z) to (4, x, y, z): the second entry was mirrored along axis y."""
    if len(probabilities) == 1:
        return probabilities[0].astype(np.float64)
    return (probabilities[0].astype(np.float64) + probabilities[1][:, :, ::-1].astype(np.float64)) / 2


def restore_probabilities(probabilities, box, *, resample=zoom):
    extent = [up - low for low, up in zip(*box, strict=True)]
    return np.stack([resample(p, extent) for p in average_mirrored(probabilities)])


def restore(probabilities, box, shape, values=(0, 1, 2, 4)):
    """Probabilities to the label map on the volume's grid."""
    full = np.zeros((4, *shape))
    full[(slice(None), *(slice(low, up) for low, up in zip(*box, strict=True)))] = restore_probabilities(
        probabilities, box
    )
    return np.asarray(values, dtype=np.uint8)[full.argmax(axis=0)]


def positions(matrix, size):
    """(3, *size): where the samples of one grid lie on another, in voxels."""
    samples = np.meshgrid(*map(np.arange, size), indexing="ij")
    return np.einsum("ij,jxyz->ixyz", matrix[:3, :3], samples) + matrix[:3, 3, None, None, None]


def look_up(values, places):
    """Trilinear; a voxel reaches half a voxel beyond its centre, and further out is 0."""
    last = np.array(values.shape)[:, None, None, None] - 1
    reached = ((places >= -0.5) & (places < last + 0.5)).all(axis=0)
    held = ndimage.map_coordinates(np.pad(values, 1, mode="edge"), places + 1, order=1)
    return np.where(reached, held, 0.0)


def align(values, matrix, size, mask=None, mask_matrix=None):
    """A series on the network's grid, and the share of each sample that lies in the head."""
    sampled = look_up(values, positions(matrix, size))
    share = (sampled > 0).astype(np.float64)
    if mask is not None:
        share *= np.clip((look_up(mask.astype(np.float64), positions(mask_matrix, size)) - 0.25) * 2, 0, 1)
    return sampled, share


def normalise_aligned(sampled, share, normalisation, mean=None, std=None):
    if normalisation == "card":
        known = sampled[share > 0]
        return (sampled - known.mean()) / known.std() * share
    return (np.clip((sampled - mean) / std, -5, 5) + 5) / 10 * share


def restore_elsewhere(probabilities, matrix, shape):
    """(4, *shape): the probabilities on a grid of its own; 0 beyond them."""
    places = positions(matrix, shape)
    return np.stack([look_up(field, places) for field in average_mirrored(probabilities)])


def drop_small_regions(labels, fraction=0.1):
    """Drops 26-connected regions smaller than a fraction of all voxels but the largest class's."""
    _, counts = np.unique(labels, return_counts=True)
    least = fraction * (labels.size - counts.max())
    regions, number = ndimage.label(labels > 0, structure=np.ones((3, 3, 3)))
    sizes = ndimage.sum_labels(labels > 0, regions, np.arange(number + 1))
    return np.where(sizes[regions] >= least, labels, 0).astype(labels.dtype)
