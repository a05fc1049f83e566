"""Segmented cases for the pictures' tests, made without a network: small heads in any orientation."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
from nibabel.orientations import inv_ornt_aff

from brats_trt import Segmentation
from brats_trt.case import Case, Volume
from brats_trt.geometry import Box
from brats_trt.spec import LABEL_VALUES

ORIENTATIONS = [
    np.array(list(zip(order, signs, strict=True)), dtype=float)
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]
RAS = np.array([[1.0, 0, 0, -12], [0, 1.5, 0, -20], [0, 0, 2, 7], [0, 0, 0, 1]])


def orientation_name(orientation):
    return "".join(nib.orientations.ornt2axcodes(orientation))


def head(shape=(20, 24, 16)):
    """A lopsided head in RAS: brighter to the right, to the front and upwards, with a tumour off its centre."""
    x, y, z = np.indices(shape)
    brain = ((x - 9.5) / 8) ** 2 + ((y - 11.5) / 10) ** 2 + ((z - 7.5) / 6) ** 2 < 1
    values = np.where(brain, 100 + 20 * x + 7 * y + 3 * z, 0).astype(np.int16)
    labels = np.zeros(shape, dtype=np.uint8)
    labels[11:16, 12:18, 5:10] = 2
    labels[12:15, 13:17, 6:9] = 4
    labels[13, 14:16, 7] = 1
    return values, labels * brain.astype(np.uint8)


def stored_as(values, affine, orientation):
    """The same volume in another orientation: the array and its affine."""
    turned = nib.orientations.apply_orientation(values, orientation)
    return turned, affine @ inv_ornt_aff(orientation, values.shape)


def header_of(affine, code=1):
    header = nib.Nifti1Header()
    header.set_sform(affine, code=code)
    header.set_qform(None, code=0)
    return header


def tight_box(values):
    inside = np.argwhere(np.nan_to_num(values) > 0)
    if not len(inside):
        return Box((0, 0, 0), values.shape)
    return Box(tuple(map(int, inside.min(axis=0))), tuple(map(int, inside.max(axis=0) + 1)))


def segmented(values, labels, affine=RAS, *, volumes=None, slope=1.0, intercept=0.0, scheme="brats", **fields):
    """A result whose modalities all hold `values`, but for those in `volumes`; its box is that of `values`."""
    arrays = dict.fromkeys(("t1", "t2", "t1ce", "flair"), values) | (volumes or {})
    case = Case("Case", {n: Volume(a, slope, intercept, f"{n}.nii") for n, a in arrays.items()}, affine, None)
    given = {
        "name": "Case",
        "header": header_of(affine),
        "box": tight_box(np.asarray(values) * slope + intercept),
        "softmax": None,
        "timings_ms": {},
        "warnings": (),
        "model_sha256": "0123456789abcdef" * 4,
        "case": case,
    }
    counts = tuple(int(np.count_nonzero(labels == value)) for value in LABEL_VALUES[scheme])
    return Segmentation(labels=labels, label_scheme=scheme, affine=affine, class_counts=counts, **(given | fields))


def pixels(picture):
    """A picture as (rows, columns, 3) integers."""
    return np.asarray(picture.convert("RGB")).astype(int)


def coloured(picture):
    """Where the tiles of an overview carry colour, as only classes do; its header and footer are left out."""
    inner = picture.crop((0, 160, picture.width, picture.height - 240))  # a legend and three caveats at most
    return np.ptp(pixels(inner), axis=-1) > 60
