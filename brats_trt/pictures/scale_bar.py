"""The scale bar of a tile: 1, 2 or 5 times a power of ten, in centimetres, or in millimetres below one."""

from __future__ import annotations

from math import floor, log10

from PIL import Image, ImageDraw

from .lettering import outlined_text
from .palette import TEXT

_SHARE = 0.36  # of the picture's width, at most
_PARTS = {1: 2, 2: 2, 5: 5}
_INSET, _WIDTH, _TEXT_SIZE = 8, 2, 18  # all of it in the space for letters, so that it covers no tissue
_END_TICK, _TICK = 8, 5


def draw_scale(picture: Image.Image, pixels_per_mm: float) -> None:
    """A bar at the lower left, with ticks at its ends and at whole parts between them, and its length in words."""
    draw = ImageDraw.Draw(picture)
    leading, exponent = _longest(_SHARE * picture.width / pixels_per_mm)
    parts = _PARTS[leading]
    length = leading * 10.0**exponent * pixels_per_mm
    ticks = [round(_INSET + length * part / parts) for part in range(parts + 1)]
    bottom = picture.height - _INSET
    draw.rectangle((ticks[0], bottom - _WIDTH + 1, ticks[-1], bottom), fill=TEXT)
    for part, x in enumerate(ticks):
        height = _END_TICK if part in (0, parts) else _TICK
        draw.rectangle((x, bottom - height, x + _WIDTH - 1, bottom), fill=TEXT)
    place = (_INSET + length / 2, bottom - _END_TICK - 3)
    outlined_text(draw, place, scale_name(leading, exponent), _TEXT_SIZE, anchor="mb")


def scale_name(leading: int, exponent: int) -> str:
    """What `leading` times ten to the power of `exponent` millimetres are called."""
    if exponent >= 1:
        return f"{leading * 10.0 ** (exponent - 1):g} cm"
    return f"{leading * 10.0**exponent:g} mm"


def _longest(millimetres: float) -> tuple[int, int]:
    """The greatest of 1, 2 and 5 times a power of ten that is not above a length: the factor and the exponent."""
    exponent = floor(log10(millimetres))
    share = millimetres / 10.0**exponent
    leading = max((step for step in _PARTS if step <= share), default=1)
    return leading, exponent
