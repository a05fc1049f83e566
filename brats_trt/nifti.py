"""Reading NIfTI files fast: headers by nibabel, data as stored, inflated by ISA-L on all cores at once.

Data stay as they lie in the file: dtype, byte order, Fortran order, before slope and intercept. Sizes are checked
against the header before anything is inflated or allocated.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import CaseError
from .geometry import Affine, check_affine
from .nifti_content import EXTENSIONS_ALLOWANCE, GZIP, Content, open_content

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

LONGEST_AXIS = 1024  # voxels
LARGEST_VOLUME = 2 * 1024**3  # bytes
VOLUMES_OF_A_CASE = 4  # along a fourth axis
_HEADER_BYTES = {348: 352, 540: 544}  # sizeof_hdr to the bytes with the extension flag, NIfTI-1 and NIfTI-2
_LONGEST_START = max(_HEADER_BYTES.values())
_EXTENSION_START = 8  # bytes of an extension before its content: length with these, and code


@dataclass(frozen=True, eq=False)
class NiftiImage:
    """A file's voxels as stored, and what gives them meaning.

    Attributes
    ----------
    data
        (X, Y, Z) or (X, Y, Z, 4), the file's dtype and byte order, Fortran order, read-only.
    slope, intercept
        A voxel's value is data * slope + intercept.
    affine
        (4, 4) float64, voxel to millimetre.
    sha256
        Of the file, where it was asked for.
    """

    path: Path
    data: NDArray[Any]
    slope: float
    intercept: float
    affine: Affine
    header: Nifti1Header
    sha256: str | None = None


@dataclass(frozen=True)
class Extension:
    """What a file carries between its header and its voxels under a registered code."""

    code: int
    content: bytes


def read_nifti(path: str | os.PathLike[str], *, digest: bool = False) -> NiftiImage:
    """Read a .nii or .nii.gz file.

    Parameters
    ----------
    digest
        Find the sha256 of the bytes that were read, and of what follows them in the file.

    Raises
    ------
    CaseError
        If the file is missing, truncated, not what its name says, or holds something else than a real 3-D image or a
        4-D one of four volumes, of at most 1024 voxels an axis and 2 GiB a volume.
    """
    file = Path(path)
    with _opened(file) as content:
        header = _parse_header(file, content.start(_LONGEST_START))
        shape, dtype = _check_header(file, header)
        data = content.array(shape, dtype, _data_offset(file, header))
        sha256 = content.sha256() if digest else None
    slope, intercept = _header_scale(file, header)
    return NiftiImage(file, data, slope, intercept, _header_affine(file, header), header, sha256)


def read_extensions(path: str | os.PathLike[str]) -> tuple[Extension, ...]:
    """The header extensions of a .nii or .nii.gz file, as they lie there, with their padding.

    Raises
    ------
    CaseError
        If the file is missing, no NIfTI, or ends within its extensions, or one of these is of an impossible length.
    """
    file = Path(path)
    with _opened(file) as content:
        header = _parse_header(file, content.start(_LONGEST_START))
        end = _data_offset(file, header)
        before = content.start(end)
    at = _HEADER_BYTES[header.template_dtype.itemsize]
    if not before[at - 4 : at - 3].strip(b"\0"):
        return ()
    found = []
    while at + _EXTENSION_START <= end:
        if at + _EXTENSION_START > len(before):
            raise CaseError(f"{file}: truncated within the header extensions: copy the file again")
        length, code = struct.unpack_from(f"{header.endianness}2i", before, at)
        if not _EXTENSION_START <= length <= end - at:
            raise CaseError(
                f"{file}: the header extension at byte {at} has {length} bytes, but the voxels begin at byte {end}: "
                "the file is damaged; copy it again"
            )
        if at + length > len(before):
            raise CaseError(f"{file}: truncated within the header extensions: copy the file again")
        found.append(Extension(code, before[at + _EXTENSION_START : at + length]))
        at += length
    return tuple(found)


@contextmanager
def _opened(file: Path) -> Iterator[Content]:
    _check_path(file)
    try:
        with file.open("rb") as stored:
            yield open_content(file, stored)
    except OSError as fault:
        raise CaseError(f"{file}: cannot be read ({fault.strerror}); give the path of a readable file") from None


def _check_path(file: Path) -> None:
    try:
        mode = file.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise CaseError(
            f"{file}: no such file or folder; expected .nii or .nii.gz, or a case folder: check the path"
        ) from None
    except (OSError, ValueError) as fault:  # ValueError: a null character in the name
        reason = getattr(fault, "strerror", None) or fault
        raise CaseError(f"{str(file)!r}: cannot be read ({reason}); give the path of a readable file") from None
    if not file.name.lower().endswith((".nii", ".nii.gz")):
        raise CaseError(f"{file}: not a name of NIfTI; expected .nii or .nii.gz: convert the image")
    if not stat.S_ISREG(mode):
        finding = "a folder" if stat.S_ISDIR(mode) else "neither a file nor a folder"
        raise CaseError(f"{file}: cannot be read ({finding}); give the path of a .nii or .nii.gz file")


def _parse_header(path: Path, start: bytes) -> Nifti1Header:
    import nibabel

    header_class: type[Nifti1Header]
    for header_class in (nibabel.Nifti1Header, nibabel.Nifti2Header):
        size = header_class.template_dtype.itemsize
        magic = start[344:348] if size == 348 else start[4:8]
        if magic not in (b"n+1\0", b"n+2\0") or len(start) < size:
            continue
        try:
            return header_class(start[:size], check=False)
        except (nibabel.spatialimages.HeaderDataError, ValueError, OverflowError) as fault:
            raise CaseError(f"{path}: the NIfTI header is damaged ({fault}); export the image again") from None
    finding = "not a NIfTI file" if start else "the file is empty"
    if start[:2] == GZIP:
        finding = "gzip inside, so not a NIfTI file by this name"
    raise CaseError(f"{path}: {finding}; expected a single-file NIfTI-1 or NIfTI-2: convert or rename the image")


def _data_offset(path: Path, header: Nifti1Header) -> int:
    offset = float(header["vox_offset"])
    least = _HEADER_BYTES[header.template_dtype.itemsize]
    if not least <= offset <= EXTENSIONS_ALLOWANCE:
        raise CaseError(
            f"{path}: the header puts the voxels at byte {offset:g}; expected {least} or later: the file is damaged"
        )
    return int(offset)


def _check_header(path: Path, header: Nifti1Header) -> tuple[tuple[int, ...], np.dtype[Any]]:
    number = int(header["dim"][0])
    if not 1 <= number <= 7:
        raise CaseError(f"{path}: the header names {number} dimensions; expected 3 or 4: the file is damaged")
    shape = tuple(int(n) for n in header["dim"][1 : number + 1])
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    if any(n < 1 for n in shape):
        raise CaseError(f"{path}: the header names the shape {shape}; expected positive numbers: the file is damaged")
    if len(shape) not in (3, 4) or min(shape[:3]) < 2:
        raise CaseError(f"{path}: an image of shape {shape}; expected a volume (X, Y, Z): give the whole volume")
    if shape[3:] not in ((), (VOLUMES_OF_A_CASE,)):
        raise CaseError(
            f"{path}: an image of shape {shape}; expected a volume (X, Y, Z) or a case (X, Y, Z, {VOLUMES_OF_A_CASE}): "
            "give one volume a modality"
        )
    from nibabel.spatialimages import HeaderDataError

    try:
        dtype = header.get_data_dtype()
    except (KeyError, HeaderDataError):
        code = int(header["datatype"])
        raise CaseError(f"{path}: the data type {code} is not known; expected integers or floats") from None
    check_volume(str(path), shape[:3], dtype)
    return shape, dtype


def check_volume(source: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse what is not a volume of real numbers of a size that is worked on.

    Raises
    ------
    CaseError
        If so; `source` begins the message.
    """
    if dtype.kind not in "biuf" or dtype.itemsize == 0:
        kind = {"c": "complex", "V": "RGB or another structure"}.get(dtype.kind, str(dtype))
        raise CaseError(f"{source}: the voxels are {kind}; expected integers or floats: export magnitude images")
    if len(shape) != 3 or min(shape) < 2:
        raise CaseError(f"{source}: an image of shape {shape}; expected a volume (X, Y, Z): give the whole volume")
    if max(shape) > LONGEST_AXIS:
        raise CaseError(f"{source}: shape {shape}; expected at most {LONGEST_AXIS} voxels an axis: crop or resample it")
    size = math.prod(shape) * dtype.itemsize
    if size > LARGEST_VOLUME:
        raise CaseError(f"{source}: {size / 1024**3:.1f} GiB of voxels; expected at most 2 GiB: crop or resample it")


def check_unit(source: str, header: Nifti1Header | None) -> None:
    """Refuse a header in other units than millimetres; an unknown unit is taken as millimetres, as everywhere.

    Raises
    ------
    CaseError
        If so; `source` begins the message.
    """
    unit = "unknown" if header is None else str(header.get_xyzt_units()[0])
    if unit not in ("mm", "unknown"):
        raise CaseError(f"{source}: the header's unit of length is the {unit}; expected millimetres: export it again")


def _header_scale(path: Path, header: Nifti1Header) -> tuple[float, float]:
    """Slope and intercept; (1, 0) where the header has none, which a slope of 0 or NaN says."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0.0 or math.isnan(slope):
        return 1.0, 0.0
    if not math.isfinite(slope) or not math.isfinite(intercept):
        raise CaseError(f"{path}: slope {slope} and intercept {intercept} are not finite: export the image again")
    return slope, intercept


def _header_affine(path: Path, header: Nifti1Header) -> Affine:
    """The affine that nibabel picks: sform, else qform, else voxel sizes."""
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):
            affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as fault:
        raise CaseError(f"{path}: the orientation is not readable ({fault}): export the image again") from None
    return check_affine(path, affine)
