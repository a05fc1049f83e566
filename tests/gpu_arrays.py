"""Stand-ins for arrays of CuPy, PyTorch and PyCUDA: host memory that says it lies on a CUDA device."""

from __future__ import annotations

import ctypes

import numpy as np

CUDA = 2


class InterfaceArray:
    """As PyCUDA's and Numba's: `__cuda_array_interface__` only."""

    def __init__(self, values, *, stream=None, **changes):
        self.values = values
        self.__cuda_array_interface__ = {
            "shape": values.shape,
            "typestr": values.dtype.str,
            "data": (values.ctypes.data, True),
            "strides": values.strides,
            "version": 3,
            "stream": stream,
            **changes,
        }


class Tensor(ctypes.Structure):
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


CODES = {"i": 0, "u": 1, "f": 2, "b": 6, "c": 5}
new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


class DlpackArray:
    """As PyTorch's and JAX's: DLPack, which can be told which stream will read."""

    def __init__(self, values, *, device=CUDA, index=0, dense=False, offset=0):
        self.values = values
        self.device = device, index
        self.streams = []
        self.shape = (ctypes.c_int64 * values.ndim)(*values.shape)
        self.strides = (ctypes.c_int64 * values.ndim)(*(step // values.dtype.itemsize for step in values.strides))
        self.tensor = Tensor(
            values.ctypes.data - offset,
            device,
            index,
            values.ndim,
            CODES[values.dtype.kind],
            values.dtype.itemsize * 8,
            1,
            self.shape,
            None if dense else self.strides,
            offset,
        )

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, *, stream=None):
        self.streams.append(stream)
        return new_capsule(ctypes.addressof(self.tensor), b"dltensor", None)


class RecordedTensor:
    """As PyTorch's where gradients are recorded."""

    @property
    def __cuda_array_interface__(self):
        raise RuntimeError("gradients are\nrecorded: use tensor.detach()")


def on_device(device, values):
    """Host values in memory that the emulated device knows, with the same strides."""
    reach = [step * (n - 1) for step, n in zip(values.strides, values.shape, strict=True)]
    low = values.ctypes.data + sum(min(step, 0) for step in reach)
    high = values.ctypes.data + sum(max(step, 0) for step in reach) + values.itemsize
    buffer = device.allocate(high - low, "the caller's array")
    buffer.write(np.zeros(high - low, np.uint8))
    offset = values.ctypes.data - low
    there = np.ndarray(
        values.shape, values.dtype, (ctypes.c_ubyte * (high - low)).from_address(buffer.address), offset, values.strides
    )
    np.copyto(there, values)
    return there
