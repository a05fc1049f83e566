"""MXNet's `.params` files: arrays to parameters and back, with nothing in between.

The layout is that which `brats_trt.export.checkpoint` reads: version 2, dense, float32, every array under `arg:`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from symbol_document import array_shapes

from brats_trt.errors import EngineError
from brats_trt.export.checkpoint import LIST_MAGIC, V2, read_checkpoint

_DENSE, _CPU, _FLOAT32 = 0, (1, 0), 0


def params_bytes(arrays: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The file of float32 arrays."""
    parts = [struct.pack("<QQQ", LIST_MAGIC, 0, len(arrays))]
    for values in arrays.values():
        parts.append(struct.pack(f"<Iii{values.ndim}q", V2, _DENSE, values.ndim, *values.shape))
        parts.append(struct.pack("<iii", *_CPU, _FLOAT32))
        parts.append(np.ascontiguousarray(values, "<f4").tobytes())
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        encoded = f"arg:{name}".encode()
        parts.append(struct.pack("<Q", len(encoded)) + encoded)
    return b"".join(parts)


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, torch.Tensor], int]:
    """The weights of a published checkpoint, and the base width that they have.

    Raises
    ------
    CaseError
        If the file cannot be read.
    EngineError
        If it is no checkpoint of the cascade.
    """
    checkpoint = read_checkpoint(path)
    found = {name: array.shape for name, array in checkpoint.arrays.items()}
    first = found.get("seg_onlynet128conv1sep_conv_bias") or (0,)
    base = first[0] // 4
    expected = array_shapes(base) if base else {}
    if found != expected:
        names = sorted(set(found) ^ set(expected)) or sorted(n for n in expected if found[n] != expected[n])
        raise EngineError(
            f"{path}: its arrays are not those of the cascade, {names[0]!r} for one: choose a checkpoint of "
            "brain-tumor-segmentation-0001 or of a network of its structure"
        )
    return {name: torch.from_numpy(checkpoint.read(name).copy()) for name in expected}, base
