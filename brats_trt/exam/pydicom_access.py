"""The one place that imports pydicom, an extra, and says what to install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..errors import CaseError


def pydicom_module(name: str = "pydicom") -> Any:
    """A module of pydicom.

    Raises
    ------
    CaseError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as fault:
        raise CaseError(
            f"DICOM needs {fault.name}, which is not installed: pip install 'brats-trt[dicom]', or give NIfTI files"
        ) from None
