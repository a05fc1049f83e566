"""One slice as a picture: grey values, and the classes over them.

Slices are (rows, columns) arrays of the display order (orientation.py); sizes of pictures are (width, height) in
pixels, as in Pillow. Black and white come from the voxels above zero, which are those that the network takes for the
head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .palette import LabelStyle

OVERSAMPLING = 3
WINDOW_PERCENTILES = (1.0, 99.2)
TOE, SHOULDER = 0.2, 0.08  # how far outside the percentiles black and white lie, as shares of their distance
_SAMPLES = 300_000  # voxels that percentiles are taken of, about


@dataclass(frozen=True)
class Overlay:
    """How classes are laid over grey values: the opacity of their fill, and the width of their outlines in pixels."""

    fill: float
    outline: int


FILLED = Overlay(0.38, 1)
OUTLINED = Overlay(0.0, 2)


def sampled(values: NDArray[Any]) -> NDArray[Any]:
    """Every n-th voxel along each axis of a volume, so that few enough remain to be sorted; a view."""
    step = max(1, int(np.ceil((values.size / _SAMPLES) ** (1 / 3))))
    return values[::step, ::step, ::step]


def grey_window(values: NDArray[np.float64]) -> tuple[float, float]:
    """The values drawn as black and as white, from percentiles of what is finite and above zero."""
    inside = values[np.isfinite(values) & (values > 0)]
    if inside.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(inside, WINDOW_PERCENTILES)
    low, high = max(0.0, low - TOE * (high - low)), high + SHOULDER * (high - low)
    return float(low), float(max(high, low + 1e-6 * max(abs(low), 1.0)))


def draw_grey(values: NDArray[np.float64], window: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """A slice in grey (RGB picture of `size`), interpolated bicubically."""
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = window
    scaled = np.clip((finite - low) / (high - low), -0.5, 1.5).astype(np.float32)
    enlarged = np.asarray(Image.fromarray(scaled).resize(size, Image.Resampling.BICUBIC))
    return Image.fromarray(np.rint(np.clip(enlarged, 0, 1) * 255).astype(np.uint8)).convert("RGB")


def draw_classes(
    base: Image.Image, labels: NDArray[Any], styles: Sequence[LabelStyle], overlay: Overlay = FILLED
) -> Image.Image:
    """Lay the classes over a picture: each filled, and outlined together with those inside it.

    Parameters
    ----------
    labels
        A slice of the label map; it is brought to the picture's size.
    styles
        The classes from the inside outwards.
    """
    part = _labelled_part(labels)
    if part is None:
        return base
    # Around the labelled voxels only: edges in pixels of the picture, and what they are in voxels.
    (top, bottom), (left, right) = (
        (first * pixels // voxels, -(-end * pixels // voxels))
        for (first, end), pixels, voxels in zip(part, (base.height, base.width), labels.shape, strict=True)
    )
    across, down = labels.shape[1] / base.width, labels.shape[0] / base.height
    box = (left * across, top * down, right * across, bottom * down)
    size = ((right - left) * OVERSAMPLING, (bottom - top) * OVERSAMPLING)
    nearest = _enlarge_classes(labels, styles, size, box)
    canvas = np.array(base, dtype=np.float32)
    _blend(canvas[top:bottom, left:right], nearest, styles, overlay)
    return Image.fromarray(np.rint(canvas).astype(np.uint8))


def _labelled_part(labels: NDArray[Any]) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """First and end of the rows and of the columns that hold classes, with one voxel around them."""
    rows, columns = (np.flatnonzero(labels.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    height, width = labels.shape
    return (
        (max(0, int(rows[0]) - 1), min(height, int(rows[-1]) + 2)),
        (max(0, int(columns[0]) - 1), min(width, int(columns[-1]) + 2)),
    )


def _enlarge_classes(
    labels: NDArray[Any],
    styles: Sequence[LabelStyle],
    size: tuple[int, int],
    box: tuple[float, float, float, float],
) -> NDArray[np.intp]:
    """The class (0 for none, else 1 + position in `styles`) of every pixel: the greatest of the smooth shares."""
    shares = []
    for style in styles:
        mask = Image.fromarray((labels == style.value).astype(np.float32))
        shares.append(np.asarray(mask.resize(size, Image.Resampling.BILINEAR, box=box)))
    stack = np.stack([1 - np.sum(shares, axis=0), *shares])
    return np.asarray(stack.argmax(axis=0))


def _blend(
    canvas: NDArray[np.float32], nearest: NDArray[np.intp], styles: Sequence[LabelStyle], overlay: Overlay
) -> None:
    """Mix the colours into a part of a picture, by the share of each pixel that fill and outline cover."""
    before = canvas.copy()
    for position, style in enumerate(styles, start=1):
        region = nearest == position
        within = (nearest > 0) & (nearest <= position)
        outline = region & ~_shrink(within, overlay.outline * OVERSAMPLING)
        opacity = overlay.fill * _share(region) + (1 - overlay.fill) * _share(outline)
        canvas += opacity[..., np.newaxis] * (np.array(style.colour, dtype=np.float32) - before)


def _share(region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How much of each pixel an oversampled region covers."""
    height, width = (n // OVERSAMPLING for n in region.shape)
    parts = region.reshape(height, OVERSAMPLING, width, OVERSAMPLING)
    return np.asarray(parts.mean(axis=(1, 3), dtype=np.float32))


def _shrink(region: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The region without an outline of some pixels; the picture's edge is none."""
    inner: NDArray[np.bool_] = region.copy()
    for distance in range(1, width + 1):
        inner[distance:] &= region[:-distance]
        inner[:-distance] &= region[distance:]
    rows: NDArray[np.bool_] = inner.copy()
    for distance in range(1, width + 1):
        inner[:, distance:] &= rows[:, :-distance]
        inner[:, :-distance] &= rows[:, distance:]
    return inner
