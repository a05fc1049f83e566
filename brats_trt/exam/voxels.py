"""The voxels of a series, in the order of its slices; every transfer syntax that pydicom's decoders know."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError
from ..volume import Origin, Volume
from .header import Frame
from .pydicom_access import pydicom_module
from .stack import Stack


def read_voxels(stack: Stack, source: str, *, digest: bool = False) -> Volume:
    """A series as a volume: values as stored where all slices have one slope, otherwise as float32.

    Raises
    ------
    CaseError
        If a file is damaged or cannot be decoded, or two images of one slice differ.
    """
    scales = {(frame.slope, frame.intercept) for slice_ in stack.slices for frame in slice_}
    one_scale = len(scales) == 1
    places = {(frame.path, frame.index): k for k, slice_ in enumerate(stack.slices) for frame in slice_}
    data: NDArray[Any] | None = None
    filled: set[int] = set()
    digests: list[str] = []
    ordered = sorted((f for s in stack.slices for f in s), key=lambda f: (f.path, f.index))
    for frame, pixels in _pixels(ordered, digests if digest else None):
        k = places[frame.path, frame.index]
        image = (pixels if one_scale else _scaled(pixels, frame)).T
        if data is None:
            data = np.empty(stack.shape, dtype=image.dtype, order="F")
        if image.dtype != data.dtype:
            raise CaseError(
                f"{frame.path}: values of type {image.dtype} beside {data.dtype} in one series: export it again"
            )
        if k in filled and not np.array_equal(data[..., k], image):
            raise CaseError(
                f"{frame.path}: two different images of one slice in {source}: take one of the two out of the folder"
            )
        data[..., k] = image
        filled.add(k)
    if data is None or len(filled) != len(stack.slices):
        raise CaseError(f"{source}: images are missing: copy the exam again")
    slope, intercept = next(iter(scales)) if one_scale else (1.0, 0.0)
    sha256 = _together(digests) if digest else None
    return Volume(data, slope, intercept, source, Origin("series", affine=stack.affine, sha256=sha256))


def files_sha256(stack: Stack) -> str:
    """Of a series: of the sha256 of its files, in increasing order, as text, whatever the files are called.

    Raises
    ------
    CaseError
        If a file cannot be read.
    """
    paths = {frame.path for slice_ in stack.slices for frame in slice_}
    return _together([hashlib.sha256(_content(path)).hexdigest() for path in paths])


def _together(digests: list[str]) -> str:
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as fault:
        raise CaseError(f"{path}: cannot be read ({fault.strerror}): copy the exam again") from None


def _scaled(pixels: NDArray[Any], frame: Frame) -> NDArray[Any]:
    scaled: NDArray[np.float32] = (pixels * np.float64(frame.slope) + frame.intercept).astype(np.float32)
    return scaled


def _pixels(frames: list[Frame], digests: list[str] | None) -> Iterator[tuple[Frame, NDArray[Any]]]:
    """Each frame with its (rows, columns); a file is read once, and its sha256 noted where that is asked for."""
    for path, group in groupby(frames, key=lambda frame: frame.path):
        wanted = list(group)
        content = _content(path)
        if digests is not None:
            digests.append(hashlib.sha256(content).hexdigest())
        images = iter(_decoded(path, content, wanted))
        for frame in wanted:
            pixels = next(images)
            if pixels.shape != (frame.layout.rows, frame.layout.columns):
                raise CaseError(
                    f"{path}: an image of shape {pixels.shape}, not as its header says: copy the exam again"
                )
            yield frame, pixels


def _decoded(path: Path, content: bytes, frames: list[Frame]) -> list[NDArray[Any]]:
    pixels = pydicom_module("pydicom.pixels")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as of pixels that are too few, which it pads
            many = len(frames) > 1 or frames[0].index > 0
            indices = [frame.index for frame in frames] if many else None
            return [np.asarray(image) for image in pixels.iter_pixels(BytesIO(content), raw=True, indices=indices)]
    except MemoryError:
        raise
    except Exception as fault:  # whatever pydicom and its decoders raise
        reason = " ".join(str(fault).split())[:200]
        raise CaseError(f"{path}: its pixels cannot be decoded ({reason}): copy the exam again") from None
