"""Buffers: memory that kernels may use, each between guards, with a note of every byte written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

GUARD_BYTES = 4096
POISON = 0xA5
_ALIGNMENT = 256  # as the device's allocator gives


class Buffer:
    """A run of bytes, or a view of a part of one. Made by `Emulator.allocate`, `Emulator.register` and `view`.

    Attributes
    ----------
    name : str
    address : int
    nbytes : int
    """

    def __init__(self, name: str, content: npt.NDArray[np.uint8], store: Store, release: Callable[[], None]) -> None:
        self.name = name
        self.address = content.ctypes.data
        self.nbytes = content.nbytes
        self.store = store
        self._content = content
        self._release = release

    def __len__(self) -> int:
        return self.nbytes

    def view(self, offset: int, nbytes: int | None = None) -> Buffer:
        """The part of `nbytes` bytes from `offset` on: the same memory under the same name."""
        count = self.nbytes - offset if nbytes is None else nbytes
        if not 0 <= offset <= offset + count <= self.nbytes:
            raise ValueError(f"a view of bytes {offset} to {offset + count}: {self.name} has {self.nbytes}")
        return Buffer(self.name, self._content[offset : offset + count], self.store, self._release)

    def write(self, values: npt.ArrayLike) -> Buffer:
        """Copies an array's bytes, C order, to the start, and marks them written."""
        raw = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        if raw.nbytes > self.nbytes:
            raise ValueError(f"{raw.nbytes} bytes into {self.name}, which has {self.nbytes}")
        self._content[: raw.nbytes] = raw
        self._flags()[: raw.nbytes] = 1
        return self

    def read(self, dtype: npt.DTypeLike = np.uint8, shape: int | Sequence[int] | None = None) -> npt.NDArray[Any]:
        """A copy of the start as an array of this dtype and shape; without a shape, of the whole."""
        kind = np.dtype(dtype)
        if shape is None:
            shape = self.nbytes // kind.itemsize
        count = int(np.prod(shape, dtype=np.int64))
        if count * kind.itemsize > self.nbytes:
            raise ValueError(f"{count} values of {kind} from {self.name}, which has {self.nbytes} bytes")
        values: npt.NDArray[Any] = self._content[: count * kind.itemsize].view(kind).reshape(shape)
        return np.array(values)

    def written(self, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[np.bool_]:
        """Which bytes, or whole elements of `dtype`, were written since the buffer was made or poisoned."""
        size = np.dtype(dtype).itemsize
        flags = self._flags().view(np.bool_)
        whole: npt.NDArray[np.bool_] = np.all(flags[: self.nbytes // size * size].reshape(-1, size), axis=1)
        return whole

    def poison(self) -> None:
        """Makes every byte unwritten again."""
        self._content[:] = POISON
        self._flags()[:] = 0

    def free(self) -> None:
        """Takes the memory away: a kernel that uses it from now on is out of bounds."""
        self._release()

    def _flags(self) -> npt.NDArray[np.uint8]:
        start = self.address - self.store.low
        return self.store.flags[start : start + self.nbytes]


class Store:
    """The memory below a buffer and its views: contents, flags of what is written, stamps of who wrote.

    Attributes
    ----------
    flags : ndarray of uint8
        1 where a byte is written. All ones, and not shown to the runtime, where `tracked` is false.
    stamps : ndarray of uint64
        The runtime's own, one a 4-byte word. Its pages exist once they are used.
    """

    def __init__(self, name: str, content: npt.NDArray[np.uint8], *, writable: bool, tracked: bool) -> None:
        self.name = name
        self.content = content
        self.low = content.ctypes.data
        self.high = self.low + content.nbytes
        self.writable = writable
        self.tracked = tracked
        self.flags = np.zeros(content.nbytes, np.uint8) if tracked else np.ones(content.nbytes, np.uint8)
        self.stamps = np.zeros(content.nbytes // 4 + 2, np.uint64)
        self.guards: tuple[npt.NDArray[np.uint8], ...] = ()

    def guards_intact(self) -> bool:
        """False once something wrote just outside."""
        return all(bool((guard == POISON).all()) for guard in self.guards)


def allocate_store(name: str, nbytes: int, *, poison: bool) -> Store:
    """New memory between two guards: poisoned and unwritten, or zeros."""
    raw = np.empty(nbytes + 2 * GUARD_BYTES + _ALIGNMENT, np.uint8)
    start = GUARD_BYTES + -(raw.ctypes.data + GUARD_BYTES) % _ALIGNMENT
    content = raw[start : start + nbytes]
    content[:] = POISON if poison else 0
    store = Store(name, content, writable=True, tracked=poison)
    store.guards = (raw[start - GUARD_BYTES : start], raw[start + nbytes : start + nbytes + GUARD_BYTES])
    for guard in store.guards:
        guard[:] = POISON
    return store
