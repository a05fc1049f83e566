"""The box plot of an evaluation in one PNG: four scores, a box a structure, every case as a point.

A box spans the quartiles with the median in it; whiskers reach the last case within 1.5 box heights; the diamond is the
mean. Outliers that would flatten everything else are counted at the panel's edge. Drawn at twice its size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from PIL import Image

from ..metrics import STRUCTURES
from ..notice import NOTICE
from ..pictures.palette import ENHANCING, LINE, NECROTIC, OEDEMA, QUIET_TEXT, TEXT, Colour
from . import Evaluation
from .axis import Axis, Box, make_axis, make_box
from .canvas import PANEL, Canvas, blend
from .report import conventions
from .scores import METRICS

TUMOUR_CORE: Colour = (0, 158, 115)
WHOLE_TUMOUR: Colour = (204, 208, 214)
STRUCTURE_COLOURS: Mapping[str, Colour] = {
    "whole tumour": WHOLE_TUMOUR,
    "tumour core": TUMOUR_CORE,
    "enhancing": ENHANCING,
    "necrotic": NECROTIC,
    "oedema": OEDEMA,
}
_FILL = 0.28
WIDTH, HEADER, FOOTER, MARGIN, GAP = 1480, 112, 104, 40, 28
PANEL_HEIGHT, PANEL_TITLE, PANEL_FOOT, SCALE_WIDTH = 440, 46, 70, 66
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 34, 20, 16


@dataclass(frozen=True)
class _Panel:
    """A score: its limits, the least span of its axis, and whether zero is on it."""

    metric: str
    limits: tuple[float, float]
    least_span: float
    with_zero: bool = False


_PANELS = (
    _Panel("dice", (0.0, 1.0), 0.05),
    _Panel("hd95_mm", (0.0, inf), 4.0, with_zero=True),
    _Panel("sensitivity", (0.0, 1.0), 0.05),
    _Panel("volume_error_ml", (-inf, inf), 0.2, with_zero=True),
)


def draw_box_plot(evaluation: Evaluation, *, title: str = "brats_trt evaluate") -> Image.Image:
    """Draw an evaluation."""
    canvas = Canvas(WIDTH, HEADER + 2 * PANEL_HEIGHT + GAP + FOOTER)
    stated = conventions(evaluation)
    number = len(evaluation.cases)
    canvas.text((MARGIN, 56), title, TITLE_SIZE)
    counted = f"{number} case{'s' if number != 1 else ''}"
    canvas.text((MARGIN, 88), f"{counted}; labels: {stated['labels']}", TEXT_SIZE, colour=QUIET_TEXT)
    width = (WIDTH - 2 * MARGIN - GAP) / 2
    for position, panel in enumerate(_PANELS):
        left = MARGIN + (position % 2) * (width + GAP)
        top = HEADER + (position // 2) * (PANEL_HEIGHT + GAP)
        _draw_panel(canvas, evaluation, panel, (left, top, left + width, top + PANEL_HEIGHT))
    _draw_footer(canvas, stated)
    return canvas.finished()


def _draw_panel(
    canvas: Canvas, evaluation: Evaluation, panel: _Panel, frame: tuple[float, float, float, float]
) -> None:
    left, top, right, bottom = frame
    canvas.rectangle(frame, PANEL, radius=8)
    canvas.text((left + 18, top + 30), METRICS[panel.metric], TEXT_SIZE)
    boxes = {
        structure: make_box([getattr(case.structures[structure], panel.metric) for case in evaluation.cases])
        for structure in STRUCTURES
    }
    axis = make_axis([box for box in boxes.values() if box], panel.limits, panel.least_span, with_zero=panel.with_zero)
    area = (left + SCALE_WIDTH, top + PANEL_TITLE, right - 18, bottom - PANEL_FOOT)
    _draw_scale(canvas, axis, area)
    step = (area[2] - area[0]) / len(boxes)
    for position, (structure, box) in enumerate(boxes.items()):
        middle = area[0] + (position + 0.5) * step
        canvas.text((middle, area[3] + 34), structure, SMALL_SIZE, anchor="ms")
        n = f"n = {len(box.values)}" if box else "none counts"
        canvas.text((middle, area[3] + 55), n, SMALL_SIZE - 2, colour=QUIET_TEXT, anchor="ms")
        if box:
            _draw_box(canvas, box, axis, (middle, min(0.46 * step, 84), area[1], area[3]), STRUCTURE_COLOURS[structure])


def _draw_scale(canvas: Canvas, axis: Axis, area: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = area
    for tick in axis.ticks:
        y = bottom - axis.share(tick) * (bottom - top)
        zero = abs(tick) < 1e-12
        canvas.line((left, y, right, y), QUIET_TEXT if zero and axis.lower < 0 else LINE)
        canvas.text((left - 10, y), axis.tick_label(0.0 if zero else tick), SMALL_SIZE, colour=QUIET_TEXT, anchor="rm")


def _draw_box(canvas: Canvas, box: Box, axis: Axis, place: tuple[float, float, float, float], colour: Colour) -> None:
    """`place`: the box's middle and width, the panel's top and bottom."""
    middle, width, top, bottom = place

    def height(value: float) -> float:
        return bottom - axis.share(value) * (bottom - top)

    half, fill = width / 2, blend(colour, PANEL, _FILL)
    lower, median, upper = (height(quartile) for quartile in box.quartiles)
    for end, edge in zip((height(whisker) for whisker in box.whiskers), (lower, upper), strict=True):
        canvas.line((middle, edge, middle, end), colour, 1.5)
        canvas.line((middle - half / 3, end, middle + half / 3, end), colour, 1.5)
    canvas.rectangle((middle - half, upper, middle + half, max(lower, upper + 2)), fill, edge=colour, radius=2)
    inside = [value for value in box.values if axis.lower <= value <= axis.upper]
    for index, value in enumerate(inside):
        canvas.circle((middle + _offset(index) * half * 0.8, height(value)), 2.6, blend(colour, PANEL, 0.75))
    canvas.line((middle - half, median, middle + half, median), TEXT, 3)
    if axis.lower <= box.mean <= axis.upper:
        mean = height(box.mean)
        canvas.polygon(
            [(middle - 7, mean), (middle, mean - 7), (middle + 7, mean), (middle, mean + 7)], TEXT, edge=PANEL
        )
    above, below = sum(v > axis.upper for v in box.values), sum(v < axis.lower for v in box.values)
    for count, y, way in ((above, top, -1), (below, bottom, 1)):
        if count:
            canvas.polygon([(middle - 7, y - 5 * way), (middle + 7, y - 5 * way), (middle, y + 5 * way)], colour)
            canvas.text((middle + 12, y), f"{count} beyond", SMALL_SIZE - 2, colour=QUIET_TEXT, anchor="lm")


def _draw_footer(canvas: Canvas, stated: Mapping[str, str]) -> None:
    line = canvas.height - FOOTER + 16
    canvas.line((MARGIN, line, WIDTH - MARGIN, line), LINE)
    legend = "Box: quartiles and median; whiskers: within 1.5 box heights; diamond: mean; points: cases."
    lines = [f"HD95, {stated['hd95']}.", f"Empty structures, {stated['empty']}.", f"{legend} {NOTICE}"]
    for position, text in enumerate(lines):
        canvas.text((MARGIN, line + 26 + 24 * position), text, SMALL_SIZE, colour=QUIET_TEXT)


def _offset(index: int) -> float:
    """Where the n-th point lies beside the middle, from -1 to 1: steps of the golden ratio spread evenly."""
    return 2 * ((index + 1) * 0.6180339887498949 % 1) - 1
