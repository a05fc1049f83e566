"""The bytes of a NIfTI file, plain or gzipped: its start, its voxels, and the sha256 of what was read.

Nothing is inflated or allocated beyond what the caller asks for; the sizes are its to check.
"""

from __future__ import annotations

import hashlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from .errors import CaseError

if TYPE_CHECKING:
    from collections.abc import Iterable

GZIP = b"\x1f\x8b"
EXTENSIONS_ALLOWANCE = 64 * 1024**2  # bytes before the data
_HEADER_WINDOW = 128 * 1024  # bytes of a gzip file, wherein the NIfTI header lies
_MEMBER_WINDOW = 64 * 1024  # bytes of a gzip file, about one member of those that have many
_PIECE = 4 * 1024**2  # bytes hashed at once of what is not kept


class Content(Protocol):
    """An open file's NIfTI bytes."""

    def start(self, n: int) -> bytes:
        """Its first n bytes, or all where it has fewer."""

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
        """The voxels from an offset on, in Fortran order, read-only."""

    def sha256(self) -> str:
        """Of the whole file as it lies on disk; what `array` has read is not read again."""


def open_content(path: Path, stored: BinaryIO) -> Content:
    """The content of an open file, gzipped where its name says so.

    Raises
    ------
    CaseError
        If it is not gzip, whatever its name says.
    """
    return _Inflated(path, stored) if path.name.lower().endswith(".gz") else _Plain(path, stored)


class _Plain:
    """The voxels of a file that is not compressed, read where they lie and no further."""

    def __init__(self, path: Path, stored: BinaryIO) -> None:
        self._path = path
        self._stored = stored
        self._start = b""
        self._offset = 0
        self._voxels = b""

    def start(self, n: int) -> bytes:
        self._start = _read_up_to(self._stored, 0, n)
        return self._start

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
        end = offset + math.prod(shape) * dtype.itemsize
        self._offset, self._voxels = offset, _read_up_to(self._stored, offset, end - offset)
        if len(self._voxels) < end - offset:
            size = self._stored.seek(0, os.SEEK_END)
            raise CaseError(
                f"{self._path}: truncated: {size} bytes where the header promises {end}: copy the file again"
            )
        return np.frombuffer(self._voxels, dtype).reshape(shape, order="F")

    def sha256(self) -> str:
        before = _read_up_to(self._stored, 0, self._offset)
        _check_same(self._path, self._start, before + self._voxels[: len(self._start)])
        self._stored.seek(self._offset + len(self._voxels))
        return _sha256((before, self._voxels), self._stored)


class _Inflated:
    """The voxels inside a gzip file, inflated as far as they are asked for and no further."""

    def __init__(self, path: Path, stored: BinaryIO) -> None:
        start = _read_up_to(stored, 0, _HEADER_WINDOW)
        if start[:2] != GZIP:
            finding = "not gzip, whatever its name says" if start else "the file is empty"
            raise CaseError(f"{path}: {finding}; expected a gzipped NIfTI: copy the file again or rename it to .nii")
        self._path = path
        self._stored = stored
        self._start = start
        self._read = b""

    def start(self, n: int) -> bytes:
        stored = self._start if n <= _HEADER_WINDOW // 2 else _read_up_to(self._stored, 0, 2 * n + _HEADER_WINDOW)
        return self._inflate(stored, n, check=False)[:n]

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], offset: int) -> NDArray[Any]:
        end = offset + math.prod(shape) * dtype.itemsize
        # What cannot be compressed grows by a thousandth; the rest is room for the heads of many small members.
        self._read = _read_up_to(self._stored, 0, 2 * end + EXTENSIONS_ALLOWANCE)
        content = self._inflate(self._read, end, check=True)
        if len(content) < end:
            raise CaseError(
                f"{self._path}: truncated: {len(content)} bytes inside where the header promises {end}: "
                "copy the file again"
            )
        return np.frombuffer(content, dtype, math.prod(shape), offset).reshape(shape, order="F")

    def sha256(self) -> str:
        _check_same(self._path, self._start, self._read)
        self._stored.seek(len(self._read))
        return _sha256((self._read,), self._stored)

    def _inflate(self, stored: bytes, n: int, *, check: bool) -> bytes:
        """Inflate one gzip member after the other, to the last that holds wanted bytes; `check` demands its end.

        The first member is handed over whole, which is fastest. Later ones come in windows, since the decoder copies
        what it leaves: whole files would cost the square of the number of members.
        """
        pieces: list[bytes] = []
        rest, window, length = memoryview(stored), len(stored), 0
        while length < n and rest[:2] == GZIP:
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


def _check_same(path: Path, before: bytes, after: bytes) -> None:
    """The header is read before the voxels: what is hashed has to begin with it."""
    if not after.startswith(before[: len(after)]):
        raise CaseError(f"{path}: the file was written to while it was read: wait until it is whole")


def _sha256(pieces: Iterable[bytes], rest: BinaryIO) -> str:
    """Of the pieces and all that follows in the file. hashlib lets other threads run meanwhile."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    while piece := rest.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()
