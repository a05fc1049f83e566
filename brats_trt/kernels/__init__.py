"""The CUDA kernels' sources, with headers pasted in, since CuPy's cache of compiled kernels does not see includes."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

KERNELS = (
    *("foreground", "plan", "crop_moments", "gather", "align_moments", "align"),
    *("interleave", "scatter", "restore", "regions"),
)

# The type that a kernel reads, by NumPy's name of the dtype.
STORED_TYPES = {
    "bool": "UInt8",
    "int8": "Int8",
    "uint8": "UInt8",
    "int16": "Int16",
    "uint16": "UInt16",
    "int32": "Int32",
    "uint32": "UInt32",
    "int64": "Int64",
    "uint64": "UInt64",
    "float16": "Half",
    "float32": "Float32",
    "float64": "Float64",
}

_INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


@cache
def kernel_source(name: str, *, stored: str | None = None, half: bool = False, card: bool = False) -> str:
    """The whole source of a `.cu` file.

    Parameters
    ----------
    name
        One of `KERNELS`.
    stored
        NumPy's name of the volume's dtype, for kernels that read volumes.
    half
        Whether the network's tensors are float16, else float32.
    card
        Whether the normalisation is the card's, else the authors'.
    """
    defines = [f"#define TENSOR_HALF {int(half)}", f"#define CARD {int(card)}"]
    if stored is not None:
        defines.append(f"#define STORED brats::{STORED_TYPES[stored]}")
    pasted: set[str] = set()
    return "\n".join([*defines, _paste(f"{name}.cu", pasted)])


def _paste(file: str, pasted: set[str]) -> str:
    """A file's text with each header in the place of its first include."""
    if file in pasted:
        return ""
    pasted.add(file)
    text = files(__name__).joinpath(file).read_text(encoding="utf-8").replace("#pragma once\n", "")
    return _INCLUDE.sub(lambda match: _paste(match[1], pasted), text)
