"""Reading NIfTI files fast: headers by nibabel, data as stored, inflated by ISA-L on all cores at once.

Data stay as they lie in the file: dtype, byte order, Fortran order, before slope and intercept. Sizes are checked
against the header before anything is inflated or allocated.
"""

from __future__ import annotations

import math
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from .errors import CaseError
from .geometry import Affine, check_affine

if TYPE_CHECKING:
    from nibabel.nifti1 import Nifti1Header

LONGEST_AXIS = 1024  # voxels
LARGEST_VOLUME = 2 * 1024**3  # bytes
VOLUMES_OF_A_CASE = 4  # along a fourth axis
_HEADER_BYTES = {348: 352, 540: 544}  # sizeof_hdr to the bytes up to the extension flag, NIfTI-1 and NIfTI-2
_EXTENSIONS_ALLOWANCE = 64 * 1024**2  # bytes before the data
_GZIP = b"\x1f\x8b"
_HEADER_WINDOW = 128 * 1024  # bytes of a gzip file, wherein the NIfTI header lies
_MEMBER_WINDOW = 64 * 1024  # bytes of a gzip file, about one member of those that have many


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
        If the file is missing, truncated, not what its name says, or holds something else than a real 3-D image or a
        4-D one of four volumes, of at most 1024 voxels an axis and 2 GiB a volume.
    """
    file = Path(path)
    _check_path(file)
    compressed = file.name.lower().endswith(".gz")
    try:
        with file.open("rb") as stored:
            content = _Inflated(file, stored) if compressed else _Plain(file, stored)
            header = _parse_header(file, content.start())
            shape, dtype = _check_header(file, header)
            offset = _data_offset(file, header)
            data = content.array(shape, dtype, offset)
    except OSError as fault:
        raise CaseError(f"{file}: cannot be read ({fault.strerror}); give the path of a readable file") from None
    slope, intercept = _header_scale(file, header)
    return NiftiImage(file, data, slope, intercept, _header_affine(file, header), header)


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


class _Plain:
    """The voxels of a file that is not compressed, read where they lie and no further."""

    def __init__(self, path: Path, stored: BinaryIO) -> None:
        self._path = path
        self._stored = stored

    def start(self) -> bytes:
        return _read_up_to(self._stored, 0, max(_HEADER_BYTES.values()))

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
        end = offset + math.prod(shape) * dtype.itemsize
        voxels = _read_up_to(self._stored, offset, end - offset)
        if len(voxels) < end - offset:
            size = self._stored.seek(0, os.SEEK_END)
            raise CaseError(
                f"{self._path}: truncated: {size} bytes where the header promises {end}: copy the file again"
            )
        return np.frombuffer(voxels, dtype).reshape(shape, order="F")


class _Inflated:
    """The voxels inside a gzip file, inflated as far as they are asked for and no further."""

    def __init__(self, path: Path, stored: BinaryIO) -> None:
        start = _read_up_to(stored, 0, _HEADER_WINDOW)
        if start[:2] != _GZIP:
            finding = "not gzip, whatever its name says" if start else "the file is empty"
            raise CaseError(f"{path}: {finding}; expected a gzipped NIfTI: copy the file again or rename it to .nii")
        self._path = path
        self._stored = stored
        self._start = start

    def start(self) -> bytes:
        return self._inflate(self._start, max(_HEADER_BYTES.values()), check=False)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
        end = offset + math.prod(shape) * dtype.itemsize
        # What cannot be compressed grows by a thousandth; the rest is room for the heads of many small members.
        stored = _read_up_to(self._stored, 0, 2 * end + _EXTENSIONS_ALLOWANCE)
        content = self._inflate(stored, end, check=True)
        if len(content) < end:
            raise CaseError(
                f"{self._path}: truncated: {len(content)} bytes inside where the header promises {end}: "
                "copy the file again"
            )
        return np.frombuffer(content, dtype, math.prod(shape), offset).reshape(shape, order="F")

    def _inflate(self, stored: bytes, n: int, *, check: bool) -> bytes:
        """Inflate one gzip member after the other, to the last that holds wanted bytes; `check` demands its end.

        The first member is handed over whole, which is fastest. Later ones come in windows, since the decoder copies
        what it leaves: whole files would cost the square of the number of members.
        """
        pieces: list[bytes] = []
        rest, window, length = memoryview(stored), len(stored), 0
        while length < n and rest[:2] == _GZIP:
            decoder = isal_zlib.decompressobj(31)
            while rest and length <= n and not decoder.eof:
                # One byte more than wanted, so that the decoder reaches the member's end and its checksum.
                pieces.append(self._decompress(decoder, rest[:window], n - length + 1))
                length += len(pieces[-1])
                left = len(decoder.unused_data) + len(decoder.unconsumed_tail)
                rest = rest[min(window, len(rest)) - left :]
            if check and not decoder.eof and length <= n:
                raise CaseError(f"{self._path}: truncated gzip: the file ends in the middle; copy it again")
            window = _MEMBER_WINDOW
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _decompress(self, decoder: Any, stored: memoryview, n: int) -> bytes:
        damaged = cast("type[Exception]", isal_zlib.error)  # isal's stub calls it an instance
        try:
            return bytes(decoder.decompress(stored, n))
        except damaged as fault:
            raise CaseError(f"{self._path}: damaged gzip ({fault}); copy the file again") from None


def _read_up_to(stored: BinaryIO, offset: int, n: int) -> bytes:
    """At most n bytes from an offset; no more is allocated than the file has."""
    size = stored.seek(0, os.SEEK_END) - offset
    stored.seek(offset)
    return stored.read(max(0, min(n, size)))


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
    if start[:2] == _GZIP:
        finding = "gzip inside, so not a NIfTI file by this name"
    raise CaseError(f"{path}: {finding}; expected a single-file NIfTI-1 or NIfTI-2: convert or rename the image")


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
