"""Arrays that cross from process to process without being copied or pickled.

They lie in memory that has no name: whoever has its descriptor has the memory, and the system frees it with the last of
them, however a process ends. It is sealed before it is handed over, so that nobody changes what others read, and no
access runs past its end.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ServiceError

_ALIGNMENT = 64
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
_KINDS = "biuf"
_LARGEST_RANK = 8

Layout = list[dict[str, Any]]


def share(arrays: Mapping[str, NDArray[Any]]) -> tuple[int, Layout]:
    """Copy arrays into sealed memory, once.

    Parameters
    ----------
    arrays
        By name; of integers or floats, in C or in Fortran order, others are copied into C order.

    Returns
    -------
    descriptor, layout
        Of the memory, for the caller to close; and where which array lies, as JSON takes it.

    Raises
    ------
    ServiceError
        If there is no memory for them, or an array is of another dtype.
    """
    layout: Layout = []
    size = 0
    for name, array in arrays.items():
        if array.dtype.kind not in _KINDS:
            raise ServiceError(f"the array {name!r} is of the dtype {array.dtype}; expected integers or floats")
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        layout.append({"name": name, "dtype": array.dtype.str, "shape": [*array.shape], "order": order, "offset": size})
        size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
    descriptor = os.memfd_create("brats_trt", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.posix_fallocate(descriptor, 0, max(size, 1))  # no memory is said here, not by a signal while it is written
        with mmap.mmap(descriptor, 0) as memory:
            for (_, array), entry in zip(arrays.items(), layout, strict=True):
                _view(memory, entry)[...] = array
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except OSError as fault:
        os.close(descriptor)
        raise ServiceError(f"{size} bytes of shared memory cannot be had ({fault.strerror}): free memory") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, layout


def attach(descriptor: int, layout: object) -> dict[str, NDArray[Any]]:
    """Arrays that another process shared: read-only, in place; the memory lives as long as they do.

    Parameters
    ----------
    descriptor
        Of the memory; it may be closed afterwards.
    layout
        As `share` gave it. It is not trusted.

    Raises
    ------
    ServiceError
        If the memory is not sealed, or an array would not lie in it.
    """
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        size = os.fstat(descriptor).st_size
    except OSError as fault:
        raise ServiceError(f"the descriptor is none of shared memory ({fault.strerror})") from None
    if seals & _SEALS != _SEALS:
        raise ServiceError("the shared memory is not sealed: whoever sent it could change it")
    entries = [_checked(entry, size) for entry in layout] if isinstance(layout, list) else None
    if entries is None:
        raise ServiceError("the shared memory comes without a layout of its arrays")
    memory = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    return {str(entry["name"]): _view(memory, entry) for entry in entries}


def _checked(entry: Any, size: int) -> dict[str, Any]:
    """An entry of a layout whose array lies in the memory."""
    try:
        dtype, shape, offset = np.dtype(entry["dtype"]), entry["shape"], entry["offset"]
        numbers = [offset, *shape]
        fits = (
            isinstance(entry["name"], str)
            and isinstance(entry["dtype"], str)
            and dtype.kind in _KINDS
            and entry["order"] in ("C", "F")
            and len(shape) <= _LARGEST_RANK
            and all(type(number) is int and 0 <= number <= size for number in numbers)
            and offset + math.prod(shape) * dtype.itemsize <= size
        )
    except (KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise ServiceError(f"the shared memory of {size} bytes has no array {str(entry)[:100]}")
    checked: dict[str, Any] = entry
    return checked


def _view(memory: mmap.mmap, entry: Mapping[str, Any]) -> NDArray[Any]:
    view: NDArray[Any] = np.ndarray(entry["shape"], entry["dtype"], memory, entry["offset"], order=entry["order"])
    return view
