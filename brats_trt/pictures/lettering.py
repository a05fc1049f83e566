"""Text on pictures: the font, text that fits, and the letters at the sides of a tile."""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageDraw, ImageFont

from .palette import TEXT, Colour

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

LETTER_SIZE = 24
LETTER_SPACE = 36  # on each side of a tile, so that letters cover no tissue
_INSET = 7
_ELLIPSIS = "..."


@cache
def font(size: int) -> Font:
    """Pillow's own FreeType font."""
    return ImageFont.load_default(size=size)


def one_line(text: str) -> str:
    """Any text as one line that can be drawn; what has no place in UTF-8 becomes a question mark."""
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").split())


def fitted(draw: ImageDraw.ImageDraw, text: str, size: int, width: float) -> str:
    """As much of a text as is at most `width` pixels wide, with an ellipsis where some is missing."""
    if draw.textlength(text, font=font(size)) <= width:
        return text
    fits, too_long = 0, len(text)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if draw.textlength(text[:middle].rstrip() + _ELLIPSIS, font=font(size)) <= width:
            fits = middle
        else:
            too_long = middle
    return text[:fits].rstrip() + _ELLIPSIS


def outlined_text(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    size: int,
    *,
    anchor: str,
    colour: Colour = TEXT,
) -> None:
    """Text with a black edge, legible on bright tissue too."""
    draw.text(place, text, font=font(size), fill=colour, anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))


def draw_letters(picture: Image.Image, letters: tuple[str, str, str, str]) -> None:
    """Write what lies at the left, right, top and bottom, each centred at its side."""
    draw = ImageDraw.Draw(picture)
    centre, middle = picture.width / 2, picture.height / 2
    places: list[tuple[float, float, str]] = [
        (_INSET, middle, "lm"),
        (picture.width - _INSET, middle, "rm"),
        (centre, _INSET, "mt"),
        (centre, picture.height - _INSET, "mb"),
    ]
    for letter, (x, y, anchor) in zip(letters, places, strict=True):
        outlined_text(draw, (x, y), letter, LETTER_SIZE, anchor=anchor)
