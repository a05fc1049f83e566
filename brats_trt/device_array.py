"""Arrays that lie on a CUDA device, as their owners describe them: `__cuda_array_interface__` or DLPack.

Nothing here touches a device. DLPack is asked first, since its producers can be told to put a stream of ours behind
theirs, which PyTorch's array interface cannot say.

Sources: the CUDA Array Interface, version 3 (Numba's documentation); the Python Specification for DLPack.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .errors import CaseError

Shape = tuple[int, ...]

_CPU, _CUDA, _CUDA_HOST, _CUDA_MANAGED = 1, 2, 3, 13  # DLDeviceType
_KINDS = {0: "i", 1: "u", 2: "f", 6: "b"}  # DLDataTypeCode
_NO_ORDER = -1  # as a stream: the producer need not order anything
_INTERFACE = "__cuda_array_interface__"


@dataclass(frozen=True, eq=False)
class DeviceArray:
    """Memory on a CUDA device that somebody else owns.

    Attributes
    ----------
    address
        Of element (0, 0, ...).
    strides
        Bytes along each axis; negative and zero ones too.
    stream
        The stream that the owner works on, as CUDA's handle; None where nothing needs to be waited for.
    owner
        Keeps the memory alive.
    device
        The device's number, or None where the owner does not say.
    """

    address: int
    shape: Shape
    strides: Shape
    dtype: np.dtype[Any]
    stream: int | None
    owner: Any
    device: int | None = None

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """How many elements there are."""
        return math.prod(self.shape)

    def along_last_axis(self, k: int) -> DeviceArray:
        """The part at index `k` of the last axis, in place."""
        address = self.address + k * self.strides[-1]
        return replace(self, address=address, shape=self.shape[:-1], strides=self.strides[:-1])

    def order_behind_owner(self, stream: int) -> bool:
        """Have the owner put `stream` behind its own work; False where it only names its stream, if any."""
        if not hasattr(self.owner, "__dlpack__"):
            return False
        self.owner.__dlpack__(stream=stream)
        return True


def lies_on_a_gpu(value: Any) -> bool:
    """Whether an object offers memory of a CUDA device."""
    try:
        if hasattr(value, _INTERFACE):
            return True
    except Exception:  # it has one and will not hand it out: PyTorch, where gradients are recorded
        return True
    return _dlpack_device(value)[0] not in (_CPU, _CUDA_HOST)


def device_array(value: Any, source: str) -> DeviceArray:
    """Describe an object for which `lies_on_a_gpu` holds.

    Raises
    ------
    CaseError
        If its owner will not hand it out, it is masked, misaligned, of another byte order, or on no CUDA device.
    """
    try:
        if hasattr(value, "__dlpack__"):
            array = _from_dlpack(value, source)
        else:
            array = _from_interface(getattr(value, _INTERFACE), value, source)
    except CaseError:
        raise
    except Exception as fault:  # an owner raises what it likes
        reason = " ".join(str(fault).split())
        raise CaseError(
            f"{source} lies on a GPU and its owner keeps it ({reason}): detach it from what uses it"
        ) from None
    steps = (array.address, *(step for step, n in zip(array.strides, array.shape, strict=True) if n > 1))
    if any(step % array.dtype.itemsize for step in steps):
        raise CaseError(f"{source} is not aligned to its {array.dtype} elements on the GPU: give a contiguous copy")
    return array


def _from_interface(interface: Any, owner: Any, source: str) -> DeviceArray:
    if interface.get("mask") is not None:
        raise CaseError(f"{source} is a masked array, whose mask would be lost: give its filled(0)")
    dtype = np.dtype(interface["typestr"])
    if not dtype.isnative:
        raise CaseError(f"{source} has the byte order {dtype.str!r}, which no GPU computes in: give a native copy")
    shape = tuple(int(n) for n in interface["shape"])
    strides = interface.get("strides")
    if strides is None:
        strides = _dense_strides(shape, dtype.itemsize)
    stream = interface.get("stream")
    return DeviceArray(
        address=int(interface["data"][0]),
        shape=shape,
        strides=tuple(int(step) for step in strides),
        dtype=dtype,
        stream=None if stream is None else int(stream),
        owner=owner,
    )


class _Tensor(ctypes.Structure):
    """`DLTensor`, the first member of `DLManagedTensor`."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


def _dlpack_device(value: Any) -> tuple[int, int]:
    """Type and number of the device; the CPU where the object offers no DLPack."""
    if not (hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__")):
        return _CPU, 0
    kind, number = value.__dlpack_device__()
    return int(kind), int(number)


def _from_dlpack(value: Any, source: str) -> DeviceArray:
    kind, number = _dlpack_device(value)
    if kind not in (_CUDA, _CUDA_MANAGED):
        raise CaseError(f"{source} lies on a device of DLPack's type {kind}; expected CUDA's (2): copy it to the host")
    capsule = value.__dlpack__(stream=_NO_ORDER)
    tensor = _Tensor.from_address(_capsule_pointer(capsule, b"dltensor"))
    if tensor.code not in _KINDS or tensor.lanes != 1 or tensor.bits % 8:
        raise CaseError(f"{source} has elements of DLPack's type {tensor.code} with {tensor.bits} bits: convert it")
    dtype = np.dtype(f"{_KINDS[tensor.code]}{tensor.bits // 8}")
    shape = tuple(tensor.shape[: tensor.ndim])
    strides = _dense_strides(shape, dtype.itemsize)
    if tensor.strides:
        strides = tuple(step * dtype.itemsize for step in tensor.strides[: tensor.ndim])
    address = (tensor.data or 0) + tensor.byte_offset
    return DeviceArray(address, shape, strides, dtype, None, value, number)


def _capsule_pointer(capsule: Any, name: bytes) -> int:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return int(get(capsule, name))


def _dense_strides(shape: Shape, itemsize: int) -> Shape:
    """Of a C-contiguous array."""
    return tuple(itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
