"""The demo: a synthetic case that needs no download.

Importing this package imports NumPy only; nibabel comes with the function that needs it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import make_folder
from ..nifti_writer import write_nifti
from ..notice import NOTICE
from .phantom import Phantom, make_phantom

__all__ = ["SYNTHETIC_NOTICE", "Phantom", "make_phantom", "write_case"]

SYNTHETIC_NOTICE = f"Synthetic data. {NOTICE}"
DESCRIPTION = b"brats_trt synthetic, research use only"  # NIfTI leaves 79 bytes for it


def write_case(phantom: Phantom, folder: str | os.PathLike[str], name: str = "Phantom_0") -> Path:
    """Write a phantom as a BraTS case folder.

    The files are ``<folder>/<name>/<name>_{t1,t2,t1ce,flair,seg}.nii.gz``: int16 (the reference uint8), mm, qform and
    sform of code 1. Each is complete or absent; files of the same name are replaced.

    Returns
    -------
    Path
        The case's folder.

    Raises
    ------
    CaseError
        If the folder cannot be written.
    """
    case = Path(folder) / name
    make_folder(case)
    files: list[tuple[str, NDArray[Any]]] = [*phantom.volumes.items(), ("seg", phantom.labels)]
    for kind, values in files:
        write_nifti(_nifti_image(values, phantom.affine), case / f"{name}_{kind}.nii.gz", overwrite=True)
    return case


def _nifti_image(values: NDArray[Any], affine: NDArray[np.float64]) -> Any:
    import nibabel

    nifti: Any = nibabel  # which annotates none of these functions
    image = nifti.Nifti1Image(values, affine)
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = DESCRIPTION
    return image
