"""Tumours by name: what each is as a mask, and as a label map whose classes change from voxel to voxel."""

from __future__ import annotations

import itertools

import numpy as np


def nothing(shape):
    return np.zeros(shape, bool)


def everything(shape):
    return np.ones(shape, bool)


def one_voxel(shape):
    mask = nothing(shape)
    mask[tuple(n // 2 for n in shape)] = True
    return mask


def grid_corners(shape):
    """A voxel in each corner of the grid, and a block that makes them small."""
    mask = nothing(shape)
    mask[np.ix_(*[[0, n - 1] for n in shape])] = True
    return mask | block(shape)


def block(shape):
    """The middle third along each axis, apart from the faces where there is room."""
    mask = nothing(shape)
    mask[tuple(slice(n // 3, max(n // 3 + 1, 2 * n // 3)) for n in shape)] = True
    return mask


def joined_by_a_corner(shape):
    """Two blocks that share one corner and no face or edge."""
    mask = nothing(shape)
    middle = [n // 2 for n in shape]
    mask[: middle[0], : middle[1], : middle[2]] = True
    mask[middle[0] :, middle[1] :, middle[2] :] = True
    return mask


def parted_by_a_plane(shape):
    """Two blocks of unequal size with one empty plane between them."""
    mask = everything(shape)
    axis = int(np.argmax(shape))
    mask[(slice(None),) * axis + (shape[axis] // 4,)] = False
    return mask


def snake(shape):
    """A thread one voxel thick that runs to and fro through every second row of every second plane."""
    mask = nothing(shape)
    mask[:, ::2, ::2] = True
    for k in range(0, shape[2], 2):
        for j in range(1, shape[1] - 1, 2):
            mask[-1 if j // 2 % 2 == 0 else 0, j, k] = True
    mask[0, 0, 1:-1:4] = True
    mask[0, -1 - (shape[1] + 1) % 2, 3:-1:4] = True
    return mask


def diagonal(shape):
    """A thread that only corners hold together."""
    mask = nothing(shape)
    steps = np.arange(max(shape))
    mask[tuple(_to_and_fro(steps, n) for n in shape)] = True
    return mask


def _to_and_fro(steps, n):
    """0, 1 ... n - 1, n - 2 ... 0, 1 ..."""
    folded = steps % max(1, 2 * (n - 1))
    return np.where(folded < n, folded, 2 * (n - 1) - folded)


def checkerboard(shape):
    """Every second voxel: one region, by its edges alone."""
    return np.indices(shape).sum(axis=0) % 2 == 0


def scattered(shape):
    """A voxel in twelve: regions of every small size, and none that could be told apart by faces alone."""
    return (np.random.default_rng(3).random(shape) < 1 / 12) | block(shape)


def crumbs(shape):
    """Single voxels, each apart from all others."""
    mask = nothing(shape)
    mask[::2, ::2, ::2] = True
    return mask


TUMOURS = {
    "none": nothing,
    "everything": everything,
    "one voxel": one_voxel,
    "grid corners": grid_corners,
    "joined by a corner": joined_by_a_corner,
    "parted by a plane": parted_by_a_plane,
    "snake": snake,
    "diagonal": diagonal,
    "checkerboard": checkerboard,
    "scattered": scattered,
    "crumbs": crumbs,
}


def labelled(name, shape, values=(0, 1, 2, 4)):
    """(X, Y, Z) uint8: the tumour's voxels take the tumour classes in turn, so that regions span them."""
    mask = TUMOURS[name](shape)
    turns = itertools.islice(itertools.cycle(values[1:]), int(mask.sum()))
    labels = np.full(shape, values[0], np.uint8)
    labels[mask] = np.fromiter(turns, np.uint8)
    return labels


def box_of(labels, background=0):
    """The tightest half-open box around the tumour; zeros without one."""
    inside = np.argwhere(labels != background)
    if not len(inside):
        return (0, 0, 0), (0, 0, 0)
    return tuple(map(int, inside.min(axis=0))), tuple(int(n) + 1 for n in inside.max(axis=0))
