"""SHA-256 of voxels in memory, whatever their byte order and memory order.

The bytes hashed are those of the array with its first axis fastest (Fortran order, as NIfTI files have it), little
endian. hashlib lets other threads run meanwhile.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Affine

_PIECE = 4 * 1024**2  # bytes of an array that has to be copied into order


def array_sha256(data: NDArray[Any]) -> str:
    """Of an array's elements alone.

    For a label map this is `hashlib.sha256(array.tobytes("F"))`.
    """
    digest = hashlib.sha256()
    _update(digest, data)
    return digest.hexdigest()


def volume_sha256(data: NDArray[Any], *, slope: float, intercept: float, affine: Affine | None) -> str:
    """Of a line that says what the elements mean, and the elements.

    The line is ASCII and ends in a line feed: a JSON object without spaces, its names in alphabetical order, numbers as
    Python's `repr` has them: `affine` (four rows of four, or null of an array), `dtype` (as NumPy writes it, little
    endian: "<i2"), `intercept`, `shape` and `slope`.
    """
    meaning = {
        "affine": None if affine is None else affine.tolist(),
        "dtype": _little(data.dtype).str,
        "intercept": float(intercept),
        "shape": list(data.shape),
        "slope": float(slope),
    }
    digest = hashlib.sha256()
    digest.update(json.dumps(meaning, separators=(",", ":"), sort_keys=True).encode() + b"\n")
    _update(digest, data)
    return digest.hexdigest()


def _update(digest: Any, data: NDArray[Any]) -> None:
    stored = data.T  # C order of the transpose is Fortran order of the array
    dtype = _little(data.dtype)
    if stored.flags.c_contiguous and data.dtype == dtype:
        digest.update(stored)
        return
    planes = max(1, _PIECE // max(1, data.nbytes // len(stored)))
    for first in range(0, len(stored), planes):
        digest.update(np.ascontiguousarray(stored[first : first + planes], dtype))


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    little: np.dtype[Any] = dtype.newbyteorder("<")
    return little
