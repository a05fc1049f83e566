"""Small NIfTI cases on disk for the loader's and the command line's tests."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

OBLIQUE = nibabel.affines.from_matvec(
    np.array([[0.9, -0.2, 0.1], [0.25, 1.1, -0.1], [-0.05, 0.15, 1.2]]), [-90.5, 71.25, -33.0]
)
SUFFIXES = ("t1", "t2", "t1ce", "flair")
SUFFIXES_2023 = ("t1n", "t2w", "t1c", "t2f")


def volume(seed=0, shape=(12, 14, 10), dtype=np.int16):
    values = np.random.default_rng(seed).integers(1, 100, shape)
    values[0], values[:, :2] = 0, 0
    return np.asfortranarray(values.astype(dtype))


def save(path: Path, data, affine=OBLIQUE, *, kind=nibabel.Nifti1Image, slope=None, intercept=0.0) -> Path:
    """Write an image; with a slope, the data stay as they are and slope and intercept go into the header."""
    content = kind(data, affine, dtype=data.dtype).to_bytes()
    if slope is not None:
        content = with_header_fields(content, scl_slope=slope, scl_inter=intercept)
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)
    return path


def with_header_fields(content: bytes, **fields) -> bytes:
    """A NIfTI-1 file whose header fields are overwritten, whatever they say."""
    header = nibabel.Nifti1Header(content[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    return bytes(header.binaryblock) + content[348:]


def write_case(folder: Path, *, suffixes=SUFFIXES, separator="_", ending=".nii.gz", **options) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, suffix in enumerate(suffixes):
        save(folder / f"{folder.name}{separator}{suffix}{ending}", volume(seed), **options)
    return folder
