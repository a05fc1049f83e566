"""The reliability diagram in one PNG: a panel a structure, what was expected to the right, what came upwards.

On the diagonal a model is reliable; a bar from a point to it is the bin's error. Points grow with the number that they
stand for. A panel's axes begin at the least that is shown, so that Dice near 1 stay apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import floor, log10

from PIL import Image

from ..notice import NOTICE
from ..pictures.palette import ENHANCING, LINE, QUIET_TEXT, TEXT, Colour
from .axis import Axis
from .box_plot import TUMOUR_CORE, WHOLE_TUMOUR
from .canvas import PANEL, Canvas, blend
from .reliability import Reliability

WIDTH, HEADER, FOOTER, MARGIN, GAP = 1480, 112, 84, 40, 24
PANEL_HEIGHT, PANEL_TITLE, PANEL_FOOT, SCALE_WIDTH, RIGHT = 520, 74, 66, 66, 24
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 34, 20, 16
_COLOURS: Mapping[str, Colour] = {
    "whole_tumour": WHOLE_TUMOUR,
    "tumour_core": TUMOUR_CORE,
    "enhancing": ENHANCING,
}
_LEAST_RADIUS, _MOST_RADIUS = 3.0, 10.0
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2)
_MOST_TICKS = 6


@dataclass(frozen=True)
class Wording:
    """What a diagram is of.

    Attributes
    ----------
    title, caption
        Above the panels.
    expected, observed
        Of the axes: "Dice expected", "Dice observed".
    unit
        Of what is counted: "cases" or "voxels".
    """

    title: str
    caption: str
    expected: str = "Dice expected"
    observed: str = "Dice observed"
    unit: str = "cases"


def draw_reliability(tables: Mapping[str, Reliability], wording: Wording) -> Image.Image:
    """Draw the table of each structure.

    Parameters
    ----------
    tables
        By structure: "whole_tumour", "tumour_core", "enhancing", one to three of them.

    Raises
    ------
    ValueError
        If there is none, or one of another name.
    """
    if not tables or set(tables) - set(_COLOURS):
        raise ValueError(f"tables of {sorted(tables)}; expected one or more of {list(_COLOURS)}")
    canvas = Canvas(WIDTH, HEADER + PANEL_HEIGHT + FOOTER)
    canvas.text((MARGIN, 56), wording.title, TITLE_SIZE)
    canvas.text((MARGIN, 88), wording.caption, TEXT_SIZE, colour=QUIET_TEXT)
    width = (WIDTH - 2 * MARGIN - (len(_COLOURS) - 1) * GAP) / len(_COLOURS)
    for position, (structure, table) in enumerate(tables.items()):
        left = MARGIN + position * (width + GAP)
        canvas.rectangle((left, HEADER, left + width, HEADER + PANEL_HEIGHT), PANEL, radius=8)
        canvas.text((left + 18, HEADER + 30), structure.replace("_", " ").capitalize(), TEXT_SIZE)
        told = f"calibration error {table.calibration_error:.3f}; {_number(table.n)} {wording.unit}"
        canvas.text((left + 18, HEADER + 54), told, SMALL_SIZE, colour=QUIET_TEXT)
        area = (left + SCALE_WIDTH, HEADER + PANEL_TITLE, left + width - RIGHT, HEADER + PANEL_HEIGHT - PANEL_FOOT)
        _draw_table(canvas, table, area, _COLOURS[structure])
        canvas.text(((area[0] + area[2]) / 2, area[3] + 54), wording.expected, SMALL_SIZE, anchor="ms")
        canvas.text((area[0] + 8, area[1] + 20), wording.observed, SMALL_SIZE)
    _draw_footer(canvas, wording)
    return canvas.finished()


def shown_axis(table: Reliability) -> Axis:
    """From the least that is expected or observed, rounded down to a tick, to 1."""
    least = min(min(row.expected, row.observed) for row in table.bins)
    span = max(1.0 - least, 5 * _STEPS[0])
    step = next((step for step in _STEPS if span / step <= _MOST_TICKS), _STEPS[-1])
    first = max(0, floor((1.0 - span) / step + 1e-9))
    count = round(1.0 / step) - first
    return Axis(first * step, 1.0, tuple((first + k) * step for k in range(count + 1)))


def _draw_table(canvas: Canvas, table: Reliability, area: tuple[float, float, float, float], colour: Colour) -> None:
    left, top, right, bottom = area
    axis = shown_axis(table)

    def across(value: float) -> float:
        return left + axis.share(value) * (right - left)

    def height(value: float) -> float:
        return bottom - axis.share(min(1.0, max(axis.lower, value))) * (bottom - top)

    for tick in axis.ticks:
        label = axis.tick_label(tick)
        canvas.line((left, height(tick), right, height(tick)), LINE)
        canvas.line((across(tick), top, across(tick), bottom), LINE)
        canvas.text((left - 10, height(tick)), label, SMALL_SIZE, colour=QUIET_TEXT, anchor="rm")
        canvas.text((across(tick), bottom + 22), label, SMALL_SIZE, colour=QUIET_TEXT, anchor="ms")
    canvas.line((left, bottom, right, top), QUIET_TEXT, 1.5)
    ends = [(across(row.expected), height(row.observed)) for row in table.bins]
    for before, after in pairwise(ends):
        canvas.line((*before, *after), blend(colour, PANEL, 0.6), 2)
    most = max(row.n for row in table.bins)
    for row, (x, y) in zip(table.bins, ends, strict=True):
        canvas.line((x, y, x, height(row.expected)), blend(colour, PANEL, 0.8), 4)
        canvas.circle((x, y), _radius(row.n, most), colour)


def _radius(number: int, most: int) -> float:
    """By the logarithm: voxels of a bin differ by factors of thousands."""
    share = log10(number) / log10(most) if most > 1 else 1.0
    return _LEAST_RADIUS + share * (_MOST_RADIUS - _LEAST_RADIUS)


def _draw_footer(canvas: Canvas, wording: Wording) -> None:
    line = canvas.height - FOOTER + 16
    canvas.line((MARGIN, line, WIDTH - MARGIN, line), LINE)
    legend = (
        f"On the diagonal what was expected came. Point: a bin of {wording.unit}, larger where there are more; bar: "
        f"its error. {NOTICE}"
    )
    canvas.text((MARGIN, line + 30), legend, SMALL_SIZE, colour=TEXT)


def _number(n: int) -> str:
    """With a space before every three digits."""
    return f"{n:,}".replace(",", " ")
