"""Kernel arguments: checked against the kernel's parameters, then laid out for the call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .memory import Buffer

_NUMPY_KIND = {"b": "b", "f": "f", "i": "i", "u": "u"}


@dataclass(frozen=True)
class Parameter:
    """A kernel's parameter: its text, its kind (`r`, `w`: pointers; `b`, `f`, `i`, `u`: numbers; `s`: a structure)."""

    text: str
    kind: str
    nbytes: int


class Arguments:
    """The argument block of one launch. Keeps what it points to alive.

    Raises
    ------
    TypeError
        For a wrong number of arguments, or one whose type is not the parameter's.
    """

    def __init__(self, kernel: str, parameters: Sequence[Parameter], values: Sequence[object]) -> None:
        if len(parameters) != len(values):
            raise TypeError(f"{kernel} takes {len(parameters)} arguments, {len(values)} came")
        self._raw = [
            np.frombuffer(_encode(kernel, place, *pair) + bytes(16), np.uint8).copy()
            for place, pair in enumerate(zip(parameters, values, strict=True))
        ]
        self.pointers = (ctypes.c_void_p * max(1, len(values)))(*[raw.ctypes.data for raw in self._raw])
        self.buffers = [value for value in values if isinstance(value, Buffer)]
        self.outputs = [
            value
            for parameter, value in zip(parameters, values, strict=True)
            if isinstance(value, Buffer) and parameter.kind == "w"
        ]


def _encode(kernel: str, place: int, parameter: Parameter, value: object) -> bytes:
    if parameter.kind in "rw":
        encoded = _pointer(value)
    elif parameter.kind == "s":
        encoded = _structure(value)
    else:
        encoded = _number(value, parameter)
    if encoded is None or len(encoded) != parameter.nbytes:
        raise TypeError(
            f"{kernel}: argument {place} is {_describe(value)}; `{parameter.text}` takes {_expectation(parameter)}"
        )
    return encoded


def _pointer(value: object) -> bytes | None:
    if isinstance(value, Buffer):
        return value.address.to_bytes(8, "little")
    if isinstance(value, (int, np.uint64)) and not isinstance(value, bool):
        return int(value).to_bytes(8, "little")
    return None


def _structure(value: object) -> bytes | None:
    if isinstance(value, bytes):
        return value
    if isinstance(value, np.void):
        return value.tobytes()
    if isinstance(value, np.ndarray) and (value.dtype.names is not None or value.ndim == 1):
        return value.tobytes()
    return None


def _number(value: object, parameter: Parameter) -> bytes | None:
    if not isinstance(value, np.generic) or value.dtype.kind != _NUMPY_KIND[parameter.kind]:
        return None
    return value.tobytes()


def _describe(value: object) -> str:
    if isinstance(value, bytes):
        return f"bytes of length {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of {value.nbytes} bytes"
    return f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")


def _expectation(parameter: Parameter) -> str:
    if parameter.kind in "rw":
        return "a Buffer or an address"
    if parameter.kind == "s":
        return f"{parameter.nbytes} bytes: a structured scalar, an array or bytes"
    if parameter.kind == "b":
        return "a numpy.bool_"
    return "a numpy." + {"f": "float", "i": "int", "u": "uint"}[parameter.kind] + str(8 * parameter.nbytes)
