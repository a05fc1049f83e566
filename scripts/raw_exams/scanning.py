"""A phantom as a hospital has it: four series on four clinical grids, each made by averaging over its voxels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from brats_trt.raw.source import RawExam, RawSeries
from brats_trt.volume import Volume

SAGITTAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
AXIAL = np.diag([-1.0, -1.0, 1.0])
OBLIQUE = np.array([[-0.97, 0.1, 0.2], [-0.08, -0.98, 0.15], [0.21, 0.13, 0.96]])

# Directions, voxels in mm, and how many.
CLINICAL = {
    "t1": (SAGITTAL, (1.0, 1.0, 1.0), (220, 180, 170)),
    "t2": (AXIAL, (0.9, 0.9, 5.0), (220, 250, 32)),
    "t1ce": (SAGITTAL, (1.0, 1.0, 1.0), (224, 184, 176)),
    "flair": (OBLIQUE, (1.0, 1.0, 3.0), (200, 224, 56)),
}


def grid_of(directions, spacing, shape, centre):
    """A grid of orthonormal directions around a point."""
    left, _, right = np.linalg.svd(directions)
    affine = np.eye(4)
    affine[:3, :3] = (left @ right) * np.array(spacing)
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def head_centre(phantom):
    inside = np.argwhere(phantom.volumes["t1"] > 0)
    return (phantom.affine @ [*((inside.min(axis=0) + inside.max(axis=0)) / 2), 1])[:3]


def sampled(values, affine, grid, shape, *, order=1):
    matrix = np.linalg.inv(affine) @ grid
    return ndimage.affine_transform(
        values.astype(np.float32), matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=order, cval=0.0
    )


def scanned(values, affine, grid, shape):
    """A volume as a slice-selective scanner sees it: each slice a mean over its thickness."""
    thickness = np.linalg.norm(grid[:3, 2])
    parts = max(1, round(thickness))
    seen = np.zeros(shape, np.float32)
    for k in range(parts):
        moved = grid.copy()
        moved[:3, 3] += grid[:3, 2] * ((k + 0.5) / parts - 0.5)
        seen += sampled(values, affine, moved, shape)
    return np.round(seen / parts).astype(np.int16)


def raw_exam(phantom, grids=CLINICAL, *, moved=None, centre=None):
    """The phantom's series on their grids; `moved` has a (4, 4) motion a modality, by which its head lies elsewhere."""
    series, centre = {}, head_centre(phantom) if centre is None else centre
    for modality, (directions, spacing, shape) in grids.items():
        grid = grid_of(directions, spacing, shape, centre)
        head = phantom.affine if moved is None or modality not in moved else moved[modality] @ phantom.affine
        values = scanned(phantom.volumes[modality], head, grid, shape)
        series[modality] = RawSeries(Volume(values, 1.0, 0.0, f"the {modality} series"), grid)
    return RawExam("Raw", series)


def labels_on(phantom, series):
    """The phantom's labels on a series' grid, by the nearest voxel."""
    return sampled(phantom.labels, phantom.affine, series.affine, series.volume.data.shape, order=0).astype(np.uint8)
