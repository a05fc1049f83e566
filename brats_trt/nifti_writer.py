"""Images that brats_trt writes: on the reference's geometry, marked as its own, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import CaseError
from .files import refuse_existing, write_whole
from .records import RECORD_CODE, RunRecord
from .records.making import with_brain, with_entropy, with_probabilities
from .segmentation import Segmentation

_LABEL_INTENT = 1002
_COMPRESSION = 1  # of isal's 0 to 3


def label_image(result: Segmentation) -> Any:
    """The label map with the reference's geometry, codes and units."""
    image = _image(result.labels, result.affine, result.header)
    image.header.set_intent(_LABEL_INTENT, name="brain tumour")
    return _mark(image, result.record)


def probability_image(result: Segmentation) -> Any:
    """(D, H, W, 4) float32: background, necrotic core, oedema and enhancing tumour of the crop."""
    data = np.moveaxis(result.probabilities, 0, -1)
    image = _image(data, result.crop_affine, None)
    image.header.set_xyzt_units("mm")
    return _mark(image, with_probabilities(result.record, data, result.crop_affine))


def entropy_image(result: Segmentation) -> Any:
    """(D, H, W) float32, from 0 to 1, of the crop."""
    image = _image(result.entropy, result.crop_affine, None)
    image.header.set_xyzt_units("mm")
    return _mark(image, with_entropy(result.record, result.entropy, result.crop_affine))


def mask_image(result: Segmentation) -> Any:
    """The brain's mask with the labels' geometry: uint8, 1 in the brain."""
    if result.brain_mask is None:
        raise ValueError("nothing was taken away from this case, so that there is no brain mask")
    data = result.brain_mask.astype(np.uint8)
    image = _image(data, result.affine, result.header)
    image.header.set_intent(_LABEL_INTENT, name="brain")
    return _mark(image, with_brain(result.record, data, result.affine))


def write_nifti(image: Any, path: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Write a NIfTI image by a temporary file in the same folder and a rename.

    Raises
    ------
    CaseError
        If the path is not .nii or .nii.gz, exists without `overwrite`, or cannot be written.
    """
    target = Path(path)
    if not target.name.endswith((".nii", ".nii.gz")):
        raise CaseError(f"{target}: expected a name that ends in .nii or .nii.gz: rename the output")
    refuse_existing(target, overwrite=overwrite)
    content = image.to_bytes()
    if target.name.endswith(".gz"):
        from isal import igzip

        content = igzip.compress(content, compresslevel=_COMPRESSION, mtime=0)
    write_whole(target, content)


def _image(data: NDArray[Any], affine: NDArray[np.float64], header: Any) -> Any:
    import nibabel

    kind: Any = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    if header is None:
        image = kind(data, affine)
        image.set_sform(affine, code=1)
        image.set_qform(None, code=0)
        return image
    geometry = header.copy()
    geometry.extensions.clear()  # they may say who the patient is
    for field in ("aux_file", "db_name", "intent_name"):
        if field in geometry:
            geometry[field] = b""
    geometry["cal_min"] = geometry["cal_max"] = 0
    geometry.set_data_dtype(data.dtype)
    geometry.set_data_shape(data.shape)
    geometry.set_slope_inter(1, 0)
    return kind(data, None, geometry)


def _mark(image: Any, record: RunRecord) -> Any:
    import nibabel

    image.header["descrip"] = f"{record.software}; research use only, not a medical device"
    text = record.to_json().encode()
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(RECORD_CODE, text))
    return image
