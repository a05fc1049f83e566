"""MXNet's `.params` files, read without MXNet.

Everything is little-endian. A file is a list of arrays and then the list of their names: uint64 0x112, uint64 reserved,
uint64 count, the arrays, uint64 count, the names as uint64 length and bytes. An array begins with a 32-bit word that
tells its version:

- anything else than a magic number: the oldest form, the word is the number of axes, which follow as uint32;
- V1, 0xF993fac8: int32 number of axes, int64 axes;
- V2, 0xF993fac9: int32 storage type before that (0 dense, 1 row-sparse, 2 CSR);
- V3, 0xF993faca: as V2, with NumPy's meaning of shapes: no axes is a scalar and -1 is unknown.

Then come the device (two int32, of no interest), the type (int32) and the values. An array whose shape is not known
ends after it. Source: `NDArray::Save` and `NDArray::Load` of MXNet 1.9.1.

Only headers are read at first. Sizes are held against the file's length before anything of that size is read.
"""

from __future__ import annotations

import hashlib
import math
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError, EngineError

LIST_MAGIC = 0x112
V1, V2, V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA

# By MXNet's type number; its bfloat16 is read as the upper halves of float32.
DTYPES = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8", "?", "<i2", "<u2", "<u4", "<u8", "bfloat16")
_SPARSE_INDICES = {1: 1, 2: 2}  # storage type to its number of index arrays: row-sparse, CSR
_MOST_AXES = 32
_MOST_ARRAYS = 65_536
_REMEDY = "copy it again from where it came"


@dataclass(frozen=True)
class StoredArray:
    """Where an array lies in its file; `shape` is None for one that was saved without values."""

    shape: tuple[int, ...] | None
    dtype: str
    offset: int
    sparse: bool = False

    @property
    def bytes(self) -> int:
        """Of the values."""
        return math.prod(self.shape or ()) * _itemsize(self.dtype) if self.shape is not None else 0


@dataclass(frozen=True)
class Checkpoint:
    """The arrays of a `.params` file by name, `arg:` and `aux:` taken off; values are read on demand."""

    path: Path
    sha256: str
    arrays: Mapping[str, StoredArray]

    def read(self, name: str) -> NDArray[np.float32]:
        """Read an array's values as float32.

        Raises
        ------
        CaseError
            If the file is gone.
        EngineError
            If the array was saved without values, if a value is not finite, or if the file has changed.
        """
        stored = self.arrays[name]
        if stored.shape is None:
            raise EngineError(f"the array {name!r} was saved without values: save the checkpoint again")
        try:
            with self.path.open("rb") as file:
                file.seek(stored.offset)
                content = file.read(stored.bytes)
        except OSError as fault:
            raise CaseError(
                f"{self.path}: the weights cannot be read again ({fault.strerror}): keep the file"
            ) from None
        if len(content) != stored.bytes:
            raise EngineError(f"{self.path} became shorter while it was read: convert it again")
        values = _as_float32(content, stored.dtype).reshape(stored.shape)
        if not np.isfinite(values).all():
            raise EngineError(
                f"the array {name!r} holds values that are not finite in float32; expected the weights of "
                "a trained network: choose another checkpoint"
            )
        return values


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read the names, shapes and places of the arrays in a `.params` file.

    Raises
    ------
    CaseError
        If the file cannot be read.
    EngineError
        If it is not a `.params` file, is damaged, or holds sparse arrays.
    """
    source = Path(path)
    if not os.path.isfile(source):
        raise CaseError(f"{source}: there is no such file; name the .params file of an MXNet checkpoint")
    try:
        with source.open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(1 << 20):
                digest.update(chunk)
            cursor = _Cursor(source, file, file.tell())
            file.seek(0)
            return Checkpoint(source, digest.hexdigest(), _read_list(cursor))
    except OSError as fault:
        raise CaseError(
            f"{source}: the weights cannot be read ({fault.strerror}); name the .params file of an MXNet checkpoint"
        ) from None


@dataclass(frozen=True)
class _Cursor:
    """A file that refuses to be read past its end."""

    path: Path
    file: BinaryIO
    length: int

    def fault(self, finding: str) -> EngineError:
        return EngineError(f"{self.path}: not a whole .params file: {finding}: {_REMEDY}")

    def claim(self, number: int, what: str) -> int:
        """The present offset, once it is sure that so many bytes follow it."""
        offset = self.file.tell()
        if number > self.length - offset:
            raise self.fault(f"{what} takes {number} bytes at offset {offset} and the file ends at {self.length}")
        return offset

    def read(self, number: int, what: str) -> bytes:
        self.claim(number, what)
        return self.file.read(number)

    def skip(self, number: int, what: str) -> int:
        offset = self.claim(number, what)
        self.file.seek(offset + number)
        return offset

    def integers(self, code: str, number: int, what: str) -> tuple[int, ...]:
        layout = struct.Struct(f"<{number}{code}")
        return layout.unpack(self.read(layout.size, what))

    def integer(self, code: str, what: str) -> int:
        return self.integers(code, 1, what)[0]


def _read_list(cursor: _Cursor) -> dict[str, StoredArray]:
    magic = cursor.integer("Q", "the magic number")
    if magic != LIST_MAGIC:
        raise EngineError(
            f"{cursor.path}: not an MXNet .params file: it begins with {magic:#x}, expected {LIST_MAGIC:#x}: "
            "name the weights second and the symbol first"
        )
    cursor.integer("Q", "the reserved word")
    count = cursor.integer("Q", "the number of arrays")
    if count > _MOST_ARRAYS:
        raise cursor.fault(f"it announces {count} arrays, more than {_MOST_ARRAYS}")
    arrays = [_read_array(cursor, f"array {index} of {count}") for index in range(count)]
    names = _read_names(cursor, count)
    rest = cursor.length - cursor.file.tell()
    if rest:
        raise cursor.fault(f"{rest} bytes follow the last name")
    sparse = [name for name, array in zip(names, arrays, strict=True) if array.sparse]
    if sparse:
        raise EngineError(
            f"{cursor.path}: the array {sparse[0]!r} is sparse; expected dense arrays: "
            "save the checkpoint with .tostype('default')"
        )
    return dict(zip(names, arrays, strict=True))


def _read_array(cursor: _Cursor, what: str) -> StoredArray:
    version = cursor.integer("I", what)
    storage = cursor.integer("i", what) if version in (V2, V3) else 0
    if storage not in (0, *_SPARSE_INDICES):
        raise cursor.fault(f"{what} has the storage type {storage}, expected 0, 1 or 2")
    if storage:
        return _skip_sparse(cursor, what, _SPARSE_INDICES[storage])
    shape = _read_axes(cursor, what, None if version in (V1, V2, V3) else version, numpy=version == V3)
    if shape is None:
        return StoredArray(None, DTYPES[0], cursor.file.tell())
    dtype = _read_type(cursor, what, device=True)
    size = math.prod(shape) * _itemsize(dtype)
    return StoredArray(shape, dtype, cursor.skip(size, what))


def _read_axes(cursor: _Cursor, what: str, number: int | None = None, *, numpy: bool = False) -> tuple[int, ...] | None:
    """A shape, or None for one that is not known; `number` is of the axes, where the oldest form gave it already."""
    code = "q" if number is None else "I"
    number = cursor.integer("i", what) if number is None else number
    if number == -1 or (number == 0 and not numpy):
        return None
    if not 0 <= number <= _MOST_AXES:
        raise cursor.fault(f"{what} is of no version that MXNet 1.x wrote, or has {number} axes")
    axes = cursor.integers(code, number, what)
    if numpy and -1 in axes:
        return None
    if min(axes, default=0) < 0:
        raise cursor.fault(f"{what} has the shape {axes}")
    return axes


def _read_type(cursor: _Cursor, what: str, *, device: bool) -> str:
    if device:
        cursor.integers("i", 2, what)
    number = cursor.integer("i", what)
    if not 0 <= number < len(DTYPES):
        raise cursor.fault(f"{what} has the type number {number}, expected 0 to {len(DTYPES) - 1}")
    return DTYPES[number]


def _skip_sparse(cursor: _Cursor, what: str, indices: int) -> StoredArray:
    """Step over a sparse array, to learn its name at the end of the file."""
    stored = _read_axes(cursor, what)
    shape = _read_axes(cursor, what)
    if shape is None:
        return StoredArray(None, DTYPES[0], cursor.file.tell(), sparse=True)
    sizes = [math.prod(stored or (0,)) * _itemsize(_read_type(cursor, what, device=True))]
    for _ in range(indices):
        itemsize = _itemsize(_read_type(cursor, what, device=False))
        sizes.append(math.prod(_read_axes(cursor, what) or (0,)) * itemsize)
    return StoredArray(shape, DTYPES[0], cursor.skip(sum(sizes), what), sparse=True)


def _read_names(cursor: _Cursor, count: int) -> list[str]:
    number = cursor.integer("Q", "the number of names")
    if number != count:
        raise cursor.fault(f"it holds {count} arrays and {number} names")
    names: dict[str, None] = {}
    for index in range(count):
        what = f"name {index} of {count}"
        name = cursor.read(cursor.integer("Q", what), what).decode("utf-8", errors="replace")
        kind, _, bare = name.partition(":")
        if kind not in ("arg", "aux") or not bare:
            raise EngineError(
                f"{cursor.path}: an array is named {name[:80]!r}; expected arg:NAME or aux:NAME: "
                "save the checkpoint with MXNet's save_checkpoint"
            )
        if bare in names:
            raise cursor.fault(f"the array {bare[:80]!r} is there twice")
        names[bare] = None
    return list(names)


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize


def _as_float32(content: bytes, dtype: str) -> NDArray[np.float32]:
    """The values as float32, without a copy where they are that already."""
    if dtype == "bfloat16":
        return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
    values: NDArray[Any] = np.frombuffer(content, dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32, copy=False)
