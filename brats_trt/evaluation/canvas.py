"""What plots are drawn on: a picture that is drawn at twice its size, in the pixels of its own."""

from __future__ import annotations

from PIL import Image, ImageDraw

from ..pictures.lettering import font
from ..pictures.palette import BACKGROUND, TEXT, Colour

PANEL: Colour = (21, 24, 29)
_OVERSAMPLING = 2


class Canvas:
    """A picture that is drawn larger than it is, in its own pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        size = (width * _OVERSAMPLING, height * _OVERSAMPLING)
        self._image = Image.new("RGB", size, BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)

    def text(
        self, place: tuple[float, float], text: str, size: int, *, colour: Colour = TEXT, anchor: str = "ls"
    ) -> None:
        """Write a line; `anchor` as Pillow has it."""
        x, y = _scaled(place)
        self._draw.text((x, y), text, font=font(size * _OVERSAMPLING), fill=colour, anchor=anchor)

    def rectangle(
        self, box: tuple[float, float, float, float], fill: Colour, *, edge: Colour | None = None, radius: float = 0
    ) -> None:
        """Fill a box (left, top, right, bottom)."""
        width = 2 * _OVERSAMPLING if edge else 0
        self._draw.rounded_rectangle(_scaled(box), radius=radius * _OVERSAMPLING, fill=fill, outline=edge, width=width)

    def line(self, ends: tuple[float, float, float, float], colour: Colour, width: float = 1) -> None:
        """Draw from one end to the other."""
        self._draw.line(_scaled(ends), fill=colour, width=round(width * _OVERSAMPLING))

    def circle(self, place: tuple[float, float], radius: float, fill: Colour) -> None:
        """Fill a circle."""
        x, y = place
        self._draw.ellipse(_scaled((x - radius, y - radius, x + radius, y + radius)), fill=fill)

    def polygon(self, points: list[tuple[float, float]], fill: Colour, *, edge: Colour | None = None) -> None:
        """Fill a polygon."""
        self._draw.polygon(
            [number for point in points for number in _scaled(point)], fill=fill, outline=edge, width=_OVERSAMPLING
        )

    def finished(self) -> Image.Image:
        """The picture at its size."""
        return self._image.resize((self.width, self.height), Image.Resampling.LANCZOS)


def blend(colour: Colour, ground: Colour, share: float) -> Colour:
    """A colour over a ground that shows through."""
    red, green, blue = (round(share * a + (1 - share) * b) for a, b in zip(colour, ground, strict=True))
    return red, green, blue


def _scaled(numbers: tuple[float, ...]) -> list[float]:
    return [number * _OVERSAMPLING for number in numbers]
