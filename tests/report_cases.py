"""Results for the pages' tests: a small head with a tumour on one side, stored in several ways."""

from __future__ import annotations

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff
from results import result_of

SHAPE = (48, 56, 44)
MODALITIES = ("t1", "t2", "t1ce", "flair")
GREYS = {"t1": 300, "t2": 500, "t1ce": 700, "flair": 900}  # of the tumour; the rest runs from 200 to 1000
AFFINE = np.array([[2.0, 0, 0, -60.0], [0, 2.0, 0, -40.0], [0, 0, 2.0, 10.0], [0, 0, 0, 1]])  # RAS


def head(centre=(14, 30, 24)):
    """Classes and four volumes, x to the right: nested balls in a graded ellipsoid."""
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    middle = (np.array(SHAPE) - 1) / 2
    inside = (((grid - middle) / (middle - 2)) ** 2).sum(axis=-1) < 1
    distance = np.linalg.norm(grid - np.array(centre), axis=-1)
    classes = np.zeros(SHAPE, np.uint8)
    for value, radius in ((2, 9), (3, 6), (1, 4)):
        classes[(distance < radius) & inside] = value
    shade = np.where(inside, 200 + 800 * grid[..., 1] / SHAPE[1], 0)
    volumes = {modality: np.where(classes > 0, GREYS[modality], shade).astype(np.int16) for modality in MODALITIES}
    return classes, volumes


def head_box(volume):
    places = np.argwhere(volume > 0)
    return places.min(axis=0).tolist(), (places.max(axis=0) + 1).tolist()


def report_case(*, affine=AFFINE, order=(0, 1, 2), signs=(1, 1, 1), centre=(14, 30, 24), tumour=True, **options):
    """A result stored with its axes in another order and direction."""
    classes, volumes = head(centre)
    orientation = np.column_stack([order, signs])
    stored = {modality: apply_orientation(volume, orientation) for modality, volume in volumes.items()}
    turned = apply_orientation(classes if tumour else classes * 0, orientation)
    return result_of(
        turned,
        affine @ inv_ornt_aff(orientation, SHAPE),
        volumes=stored,
        head=head_box(stored["t1"]),
        **options,
    )
