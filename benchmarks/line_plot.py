"""A line plot of one series as a picture, with Pillow alone. The vertical axis begins at zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

from brats_trt.pictures.lettering import font
from brats_trt.pictures.palette import BACKGROUND, LINE, OEDEMA, QUIET_TEXT, TEXT, WARNING

SIZE = (1200, 640)
LEFT, RIGHT, TOP, BOTTOM = 110, 40, 90, 90  # margins around the axes
TITLE_SIZE, TEXT_SIZE = 28, 20


def draw(
    series: Sequence[float], *, title: str, across: str, up: str, limit: tuple[float, str] | None = None
) -> Image.Image:
    """Draw the series over 1, 2, 3 and so on.

    Parameters
    ----------
    across, up
        What the axes are called.
    limit
        A height to draw a line at, and its name.
    """
    plot = _Plot(len(series), max([*series, limit[0] if limit else 0]) * 1.08)
    picture = Image.new("RGB", SIZE, BACKGROUND)
    canvas = ImageDraw.Draw(picture)
    canvas.text((LEFT, TOP / 2), title, font=font(TITLE_SIZE), fill=TEXT, anchor="lm")
    for value in ticks(plot.highest):
        canvas.line([plot.at(1, value), plot.at(len(series), value)], fill=LINE, width=1)
        canvas.text((LEFT - 12, plot.at(1, value)[1]), f"{value:g}", font=font(TEXT_SIZE), fill=QUIET_TEXT, anchor="rm")
    for number in dict.fromkeys([1, *(int(tick) for tick in ticks(len(series)) if tick >= 1)]):
        x, y = plot.at(number, 0)
        canvas.text((x, y + 12), f"{number}", font=font(TEXT_SIZE), fill=QUIET_TEXT, anchor="mt")
    canvas.text((SIZE[0] - RIGHT, SIZE[1] - 16), across, font=font(TEXT_SIZE), fill=QUIET_TEXT, anchor="rb")
    canvas.text((LEFT - 12, TOP - 14), up, font=font(TEXT_SIZE), fill=QUIET_TEXT, anchor="rb")
    if limit:
        canvas.line([plot.at(1, limit[0]), plot.at(len(series), limit[0])], fill=WARNING, width=2)
        x, y = plot.at(len(series), limit[0])
        canvas.text((x, y + 6), limit[1], font=font(TEXT_SIZE), fill=WARNING, anchor="rt")
    points = [plot.at(number, value) for number, value in enumerate(series, start=1)]
    canvas.line(points if len(points) > 1 else points * 2, fill=OEDEMA, width=3, joint="curve")
    return picture


class _Plot:
    """Where the axes lie: 1 to `number` across, 0 to `highest` up."""

    def __init__(self, number: int, highest: float) -> None:
        self._number = number
        self.highest = highest

    def at(self, number: float, value: float) -> tuple[float, float]:
        """In pixels."""
        share = (number - 1) / max(self._number - 1, 1)
        width, height = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM
        return LEFT + share * width, TOP + (1 - value / self.highest) * height


def ticks(highest: float) -> list[float]:
    """Round values from 0 to `highest`, four to ten of them."""
    step = 10 ** math.floor(math.log10(highest))
    step = next(step * share for share in (0.1, 0.2, 0.5, 1) if highest / (step * share) < 10)
    return [step * k for k in range(int(highest / step) + 1)]
