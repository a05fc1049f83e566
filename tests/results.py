"""Results of a run that was never made, for what is drawn and measured of results."""

from __future__ import annotations

import nibabel
import numpy as np

from brats_trt.case import Case, Volume
from brats_trt.geometry import Box
from brats_trt.segmentation import Segmentation
from brats_trt.spec import LABEL_VALUES

TIMINGS = {"load": 31.2, "prepare": 20.0, "infer": 400.5, "restore": 12.0, "regions": 3.0, "total": 467.1}


def result_of(classes, affine=None, *, name="P1", scheme="brats", head=None, volumes=None, header=True, warnings=()):
    """A result whose label map has these classes (0 to 3); `head` is the half-open box of the head's voxels."""
    classes = np.asarray(classes, dtype=np.uint8)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) if affine is None else np.asarray(affine, dtype=np.float64)
    lower, upper = head or ((0, 0, 0), classes.shape)
    image = nibabel.Nifti1Image(np.zeros(classes.shape, np.uint8), affine)
    case = None
    if volumes is not None:
        stored = {
            modality: Volume(np.asarray(data), 1.0, 0.0, f"{name}_{modality}") for modality, data in volumes.items()
        }
        case = Case(name, stored, affine, image.header if header else None)
    return Segmentation(
        name=name,
        labels=np.asarray(LABEL_VALUES[scheme], dtype=np.uint8)[classes],
        label_scheme=scheme,
        affine=affine,
        header=image.header if header else None,
        box=Box(tuple(lower), tuple(n - 1 for n in upper)),  # without the last planes
        softmax=None,
        class_counts=tuple(np.bincount(classes.ravel(), minlength=4).tolist()),
        timings_ms=TIMINGS,
        warnings=tuple(warnings),
        model_sha256="c0ffee" * 10 + "abcd",
        case=case,
    )
