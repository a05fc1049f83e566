"""Small heads that the stage tests share."""

from __future__ import annotations

import numpy as np

REAL_DTYPES = [
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64",
    "longdouble",
]  # fmt: skip
SHAPES = [(20, 24, 18), (21, 23, 19), (33, 17, 9), (5, 40, 31)]


def head(shape=(20, 24, 18), dtype="int16", *, box=None, seed=0):
    """Random foreground inside `box`, holes in it, zeros outside; Fortran order, as NIfTI files are."""
    random = np.random.default_rng(seed)
    values = random.integers(1, 120, shape).astype(np.float64)
    values[random.random(shape) < 0.2] = 0
    if np.dtype(dtype).kind == "f":
        values *= 0.37
    if np.dtype(dtype).kind in "if":
        values[random.random(shape) < 0.05] *= -1
    lower, upper = box or ((1,) * 3, tuple(n - 1 for n in shape))
    outside = np.ones(shape, bool)
    outside[tuple(slice(a, b) for a, b in zip(lower, upper, strict=True))] = False
    values[outside] = 0
    for corner in (lower, tuple(n - 1 for n in upper)):
        values[tuple(corner)] = 7
    return np.asfortranarray(values.astype(dtype))


def memory_orders(volume):
    """The same voxels under every kind of stride that NumPy can hold: name, array."""
    shape = volume.shape
    yield "fortran", np.asfortranarray(volume)
    yield "c", np.ascontiguousarray(volume)
    for axes in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1)):
        yield f"axes {axes}", np.ascontiguousarray(volume.transpose(axes)).transpose(np.argsort(axes))
    yield "reversed", np.ascontiguousarray(volume[::-1, ::-1, ::-1])[::-1, ::-1, ::-1]
    wide = np.zeros(tuple(2 * n for n in shape), volume.dtype)
    wide[::2, ::2, ::2] = volume
    yield "strided", wide[::2, ::2, ::2]
    packed = np.zeros(shape, np.dtype([("tag", "u1"), ("value", volume.dtype)]))
    packed["value"] = volume
    yield "unaligned", packed["value"]
    swapped = volume.astype(volume.dtype.newbyteorder())
    yield "other byte order", swapped
    frozen = volume.copy(order="K")
    frozen.flags.writeable = False
    yield "read-only", frozen
