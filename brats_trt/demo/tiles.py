"""One picture of one slice: grey values, classes over them, the letters at its sides and the scale.

Slices are (rows, columns) arrays of the display order (see planes.py); sizes of pictures are (width, height) in
pixels, as in Pillow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .palette import QUIET_TEXT, TEXT, Colour, LabelStyle

FILL = 0.38
OUTLINE = 3  # width in pixels of the oversampled picture
OVERSAMPLING = 3
WINDOW_PERCENTILES = (1.0, 99.2)
TOE, SHOULDER = 0.2, 0.08  # how far outside the percentiles black and white lie, as shares of their distance
LETTER_SIZE = 17
SCALE_SIZE = 15

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def grey_window(volume: NDArray[Any]) -> tuple[float, float]:
    """The values drawn as black and as white, from percentiles of what is above zero."""
    inside = volume[volume > 0].astype(np.float64)
    inside = inside[np.isfinite(inside)]
    if inside.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(inside, WINDOW_PERCENTILES)
    low, high = max(0.0, low - TOE * (high - low)), high + SHOULDER * (high - low)
    return float(low), float(max(high, low + 1e-6 * max(abs(low), 1.0)))


def draw_grey(values: NDArray[Any], window: tuple[float, float], size: tuple[int, int]) -> Image.Image:
    """A slice in grey (RGB picture of ``size``)."""
    finite = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = window
    scaled = np.clip((finite - low) / (high - low), -0.5, 1.5).astype(np.float32)
    enlarged = np.asarray(Image.fromarray(scaled).resize(size, Image.Resampling.BICUBIC))
    return Image.fromarray(np.rint(np.clip(enlarged, 0, 1) * 255).astype(np.uint8)).convert("RGB")


def draw_classes(base: Image.Image, labels: NDArray[Any], styles: Sequence[LabelStyle]) -> Image.Image:
    """Lay the classes over a picture: a translucent fill and a crisp outline each.

    ``labels`` is a slice of the label map; it is brought to the picture's size.
    """
    width, height = base.width * OVERSAMPLING, base.height * OVERSAMPLING
    canvas = np.asarray(base.resize((width, height), Image.Resampling.BILINEAR)).astype(np.float32)
    nearest = _enlarge_classes(labels, styles, (width, height))
    for position, style in enumerate(styles, start=1):
        region = nearest == position
        if not region.any():
            continue
        colour = np.array(style.colour, dtype=np.float32)
        canvas[region] += FILL * (colour - canvas[region])
        canvas[region & ~_shrink(region)] = colour
    drawn = Image.fromarray(np.rint(canvas).astype(np.uint8))
    return drawn.resize(base.size, Image.Resampling.BOX)


def _enlarge_classes(labels: NDArray[Any], styles: Sequence[LabelStyle], size: tuple[int, int]) -> NDArray[np.intp]:
    """The class (0 for none, else 1 + position in ``styles``) of every pixel: the greatest of the smooth shares."""
    shares = []
    for style in styles:
        mask = Image.fromarray((labels == style.value).astype(np.float32))
        shares.append(np.asarray(mask.resize(size, Image.Resampling.BILINEAR)))
    stack = np.stack([1 - np.sum(shares, axis=0), *shares])
    return np.asarray(stack.argmax(axis=0))


def _shrink(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The region without its outline."""
    inner: NDArray[np.bool_] = region.copy()
    for distance in range(1, OUTLINE + 1):
        inner[distance:] &= region[:-distance]
        inner[:-distance] &= region[distance:]
    rows: NDArray[np.bool_] = inner.copy()
    for distance in range(1, OUTLINE + 1):
        inner[:, distance:] &= rows[:, :-distance]
        inner[:, :-distance] &= rows[:, distance:]
    return inner


def font(size: int) -> Font:
    """Pillow's own FreeType font."""
    return ImageFont.load_default(size=size)


def draw_letters(picture: Image.Image, letters: tuple[str, str, str, str]) -> None:
    """Write what lies at the left, right, top and bottom, each centred at its side."""
    draw, inset = ImageDraw.Draw(picture), 7
    centre, middle = picture.width / 2, picture.height / 2
    places: list[tuple[float, float, str]] = [
        (inset, middle, "lm"),
        (picture.width - inset, middle, "rm"),
        (centre, inset, "mt"),
        (centre, picture.height - inset, "mb"),
    ]
    for letter, (x, y, anchor) in zip(letters, places, strict=True):
        outlined_text(draw, (x, y), letter, LETTER_SIZE, anchor=anchor)


def draw_scale(picture: Image.Image, pixels_per_mm: float) -> None:
    """A bar of whole centimetres, about a quarter of the picture wide, with a tick at each, at the lower left."""
    draw = ImageDraw.Draw(picture)
    centimetres = next((n for n in (10, 5, 2, 1) if n * 10 * pixels_per_mm <= 0.36 * picture.width), 1)
    length = round(centimetres * 10 * pixels_per_mm)
    left, bottom = 10, picture.height - 10
    ticks = [round(left + length * n / centimetres) for n in range(centimetres + 1)]
    draw.line([(ticks[0], bottom), (ticks[-1], bottom)], fill=TEXT, width=2)
    for n, x in enumerate(ticks):
        draw.line([(x, bottom - (9 if n in (0, centimetres) else 5)), (x, bottom)], fill=TEXT, width=2)
    outlined_text(draw, (left + length / 2, bottom - 13), f"{centimetres} cm", SCALE_SIZE, anchor="mb", colour=TEXT)


def outlined_text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    *,
    anchor: str,
    colour: Colour = QUIET_TEXT,
) -> None:
    """Text with a black edge, legible on bright tissue too."""
    draw.text(place, text, font=font(size), fill=colour, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
