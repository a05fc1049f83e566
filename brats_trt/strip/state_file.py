"""Arrays out of a PyTorch state file, without PyTorch and without running what the file says.

The files are of PyTorch before 1.6: pickles of a magic number, a version, the machine and the state; then the keys of
the storages in their order, and each storage as a count and its values. A pickle can name any function to be called.
These may name four, none of which does anything but note what it is given.
"""

from __future__ import annotations

import collections
import hashlib
import math
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import EngineError

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


class _NotAStateError(Exception):
    """The file is none, or one that is not understood."""


@dataclass(frozen=True)
class _Storage:
    key: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: object) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_KNOWN: Mapping[tuple[str, str], object] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise _NotAStateError(f"it names {module}.{name}") from None

    def persistent_load(self, saved: Any) -> _Storage:
        kind, dtype, key, _, count, view = saved
        if kind != "storage" or dtype is not _KNOWN["torch", "FloatStorage"] or view is not None:
            raise _NotAStateError("it has storages of another kind")
        return _Storage(key, count)


def read_state(path: Path, sha256: str) -> dict[str, NDArray[np.float32]]:
    """Every array of a state file by name, float32.

    The file's hash has to be known: a damaged pickle can ask for any amount of memory before it is found to be one.

    Raises
    ------
    EngineError
        If the file cannot be read, is another than the one that is known, is no such file, or names what it may not.
    """
    try:
        content = path.read_bytes()
    except OSError as fault:
        raise EngineError(f"{path}: cannot be read ({fault.strerror}): install the networks again") from None
    if hashlib.sha256(content).hexdigest() != sha256:
        raise EngineError(f"{path}: not the network that is known, by its sha256: install the networks again")
    try:
        return _read(BytesIO(content))
    except MemoryError:
        raise
    except _NotAStateError as fault:
        raise EngineError(f"{path}: no state file of PyTorch ({fault}): install the networks again") from None
    except Exception:  # a damaged pickle raises what it likes
        raise EngineError(f"{path}: no state file of PyTorch, or a damaged one: install the networks again") from None


def _read(file: IO[bytes]) -> dict[str, NDArray[np.float32]]:
    if (_load(file), _load(file)) != (_MAGIC, _VERSION) or not _load(file)["little_endian"]:
        raise _NotAStateError("it starts otherwise")
    state = _load(file)
    storages = {key: _values(file) for key in _load(file)}
    return {name: _array(tensor, storages) for name, tensor in state.items()}


def _load(file: IO[bytes]) -> Any:
    return _Unpickler(file).load()


def _values(file: IO[bytes]) -> NDArray[np.float32]:
    header = file.read(8)
    count = int.from_bytes(header, "little", signed=True)
    content = file.read(4 * max(count, 0))
    if len(header) != 8 or len(content) != 4 * count:
        raise _NotAStateError("it ends too early")
    return np.frombuffer(content, dtype="<f4")


def _array(tensor: _Tensor, storages: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
    """A tensor of the usual layout; others are not in such files."""
    if not isinstance(tensor, _Tensor):
        raise _NotAStateError("it holds more than arrays")
    usual = tuple(math.prod(tensor.shape[axis + 1 :]) for axis in range(len(tensor.shape)))
    if tensor.strides != usual:
        raise _NotAStateError("it has arrays that are not contiguous")
    size = math.prod(tensor.shape)
    values = storages[tensor.storage.key][tensor.offset : tensor.offset + size]
    return values.reshape(tensor.shape)
