"""Reading NIfTI files fast: headers by nibabel, data as stored, inflated by ISA-L on all cores at once.

Data stay as they lie in the file: dtype, byte order, Fortran order, before slope and intercept. Sizes are checked
against the header before anything is inflated or allocated.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from .errors import CaseError
from .geometry import Affine

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

LONGEST_AXIS = 1024  # voxels
LARGEST_VOLUME = 2 * 1024**3  # bytes
_HEADER_BYTES = {348: 352, 540: 544}  # sizeof_hdr to the bytes up to the extension flag, NIfTI-1 and NIfTI-2
_EXTENSIONS_ALLOWANCE = 64 * 1024**2  # bytes before the data


@dataclass(frozen=True)
class NiftiImage:
    """A file's voxels as stored, and what gives them meaning.

    Attributes
    ----------
    data
        (X, Y, Z) or (X, Y, Z, T), the file's dtype and byte order, Fortran order, read-only.
    slope, intercept
        A voxel's value is data * slope + intercept.
    affine
        (4, 4) float64, voxel to millimetre.
    """

    path: Path
    data: NDArray[Any]
    slope: float
    intercept: float
    affine: Affine
    header: Nifti1Header


def read_nifti(path: str | os.PathLike[str]) -> NiftiImage:
    """Read a .nii or .nii.gz file.

    Raises
    ------
    CaseError
        If the file is missing, truncated, not what its name says, or holds something else than a real 3-D or 4-D image
        of at most 1024 voxels an axis and 2 GiB a volume.
    """
    file = Path(path)
    if not file.name.lower().endswith((".nii", ".nii.gz")):
        raise CaseError(f"{file}: not a name of NIfTI; expected .nii or .nii.gz: convert the image")
    try:
        stored = file.read_bytes()
    except FileNotFoundError:
        raise CaseError(f"{file}: no such file; give the path of a .nii or .nii.gz file") from None
    except OSError as fault:
        raise CaseError(f"{file}: cannot be read ({fault.strerror}); give the path of a readable file") from None
    content = _Inflated(file, stored) if file.name.lower().endswith(".gz") else _Plain(file, stored)
    header = _parse_header(file, content.first(max(_HEADER_BYTES.values())))
    shape, dtype = _check_header(file, header)
    offset = _data_offset(file, header)
    end = offset + math.prod(shape) * dtype.itemsize
    data = np.frombuffer(content.first(end, whole=True), dtype, math.prod(shape), offset).reshape(shape, order="F")
    data.flags.writeable = False
    slope, intercept = header_scale(file, header)
    return NiftiImage(file, data, slope, intercept, header_affine(file, header), header)


class _Plain:
    """The bytes of a file that is not compressed."""

    def __init__(self, path: Path, stored: bytes) -> None:
        self._path = path
        self._stored = stored

    def first(self, n: int, *, whole: bool = False) -> bytes:
        if whole and len(self._stored) < n:
            raise CaseError(
                f"{self._path}: truncated: {len(self._stored)} bytes where the header promises {n}: copy the file again"
            )
        return self._stored if whole else self._stored[:n]


class _Inflated:
    """The bytes inside a gzip file, inflated as far as they are asked for and no further."""

    def __init__(self, path: Path, stored: bytes) -> None:
        if stored[:2] != b"\x1f\x8b":
            finding = "the file is empty" if not stored else "not gzip, whatever its name says"
            raise CaseError(f"{path}: {finding}; expected a gzipped NIfTI: copy the file again or rename it to .nii")
        self._path = path
        self._stored = stored

    def first(self, n: int, *, whole: bool = False) -> bytes:
        """The first n bytes; `whole` demands that none is missing and that the checksums are right."""
        content = self._inflate(n, check=whole)
        if whole and len(content) < n:
            raise CaseError(
                f"{self._path}: truncated: {len(content)} bytes inside where the header promises {n}: "
                "copy the file again"
            )
        return content

    def _inflate(self, n: int, *, check: bool) -> bytes:
        """Inflate one gzip member after the other, to the last that holds wanted bytes."""
        pieces: list[bytes] = []
        rest, length = self._stored, 0
        while length < n and rest[:2] == b"\x1f\x8b":
            decoder = self._decoder()
            # One byte more than wanted, so that the decoder reaches the member's end and its checksum.
            pieces.append(self._decompress(decoder, rest, n - length + 1))
            length += len(pieces[-1])
            if check and not decoder.eof and length <= n:
                raise CaseError(f"{self._path}: truncated gzip: the file ends in the middle; copy it again")
            rest = decoder.unused_data
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _decompress(self, decoder: Any, stored: bytes, n: int) -> bytes:
        from isal import isal_zlib

        damaged = cast("type[Exception]", isal_zlib.error)  # isal's stub calls it an instance
        try:
            return bytes(decoder.decompress(stored, n))
        except damaged as fault:
            raise CaseError(f"{self._path}: damaged gzip ({fault}); copy the file again") from None

    @staticmethod
    def _decoder() -> Any:
        from isal import isal_zlib

        return isal_zlib.decompressobj(31)


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
    raise CaseError(f"{path}: not a NIfTI file; expected a single-file NIfTI-1 or NIfTI-2: convert the image")


def _data_offset(path: Path, header: Nifti1Header) -> int:
    offset = float(header["vox_offset"])
    least = _HEADER_BYTES[header.template_dtype.itemsize]
    if not least <= offset <= _EXTENSIONS_ALLOWANCE:
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


def header_scale(source: object, header: Nifti1Header) -> tuple[float, float]:
    """Slope and intercept; (1, 0) where the header has none, which a slope of 0 or NaN says.

    Raises
    ------
    CaseError
        If one of them is not finite.
    """
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0.0 or math.isnan(slope):
        return 1.0, 0.0
    if not math.isfinite(slope) or not math.isfinite(intercept):
        raise CaseError(f"{source}: slope {slope} and intercept {intercept} are not finite: export the image again")
    return slope, intercept


def header_affine(source: object, header: Nifti1Header) -> Affine:
    """The affine that nibabel picks: sform, else qform, else voxel sizes.

    Raises
    ------
    CaseError
        If it is not finite or flattens space.
    """
    from nibabel.spatialimages import HeaderDataError

    try:
        with np.errstate(all="ignore"):
            affine = np.asarray(header.get_best_affine(), dtype=np.float64)
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as fault:
        raise CaseError(f"{source}: the orientation is not readable ({fault}): export the image again") from None
    return check_affine(source, affine)


def check_affine(source: object, affine: Affine) -> Affine:
    """The affine itself, if it maps voxels to space one to one.

    Raises
    ------
    CaseError
        If it is not finite or flattens space.
    """
    usable = affine.shape == (4, 4) and bool(np.isfinite(affine).all())
    if not usable or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise CaseError(f"{source}: the affine {affine.tolist()} does not map voxels to millimetres: export it again")
    return affine
