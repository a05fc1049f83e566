"""A measurement in one PNG: for arrays and for files the stages' medians as bars, and the totals as a histogram.

A row's bars share one scale from 0; the thin line on a bar runs from the least sample to p95. Colours are Okabe and
Ito's, and nothing is said by colour alone: bars are named, lines are labelled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..pictures.lettering import font
from ..pictures.palette import BACKGROUND, LINE, OEDEMA, QUIET_TEXT, TEXT, WARNING, Colour
from .document import Job, Report
from .legend import caption, conditions_lines

WIDTH, MARGIN = 1600, 48
HEADER, PANEL, FOOTER = 124, 372, 108
PANEL_TITLE = 50
BARS_RIGHT, HISTOGRAM_LEFT = 760, 850
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 34, 20, 17
BAR, INFER, WHISKER = OEDEMA, (230, 159, 0), TEXT
LATE: Colour = (213, 94, 0)
MOST_BINS = 36

Place = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Axis:
    """A linear scale between two pixels, with round ticks."""

    low: float
    high: float
    first: float
    last: float

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.first + (value - self.low) / (self.high - self.low) * (self.last - self.first)

    def ticks(self, wanted: int) -> list[float]:
        """Round values within, about as many as wanted."""
        step = round_step((self.high - self.low) / wanted)
        count = math.floor((self.high - math.ceil(self.low / step - 1e-9) * step) / step + 1e-9) + 1
        return [(math.ceil(self.low / step - 1e-9) + k) * step for k in range(count)]


@dataclass(frozen=True)
class Mark:
    """A time that a vertical line stands at."""

    name: str
    value: float
    colour: Colour


def round_step(rough: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))


def draw_report(report: Report) -> Image.Image:
    """Draw a measurement, 1600 pixels wide."""
    height = HEADER + 2 * PANEL + FOOTER
    picture = Image.new("RGB", (WIDTH, height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    _draw_line(draw, f"brats_trt: {report.conditions.engine.file}", 44, TITLE_SIZE, TEXT)
    _draw_line(draw, caption(report), 88, TEXT_SIZE, QUIET_TEXT)
    deadline = report.deadline.deadline_ms if report.deadline else None
    rows = ((report.job("arrays"), "Arrays in, labels out"), (report.job("files"), "Files in, file out"))
    for row, (job, title) in enumerate(rows):
        top = HEADER + row * PANEL
        draw.line([(MARGIN, top), (WIDTH - MARGIN, top)], fill=LINE, width=1)
        _draw_bars(draw, job, title, (MARGIN, top, BARS_RIGHT, top + PANEL))
        _draw_histogram(draw, job, deadline, (HISTOGRAM_LEFT, top, WIDTH - MARGIN, top + PANEL))
    _draw_footer(draw, report, height)
    return picture


def _draw_bars(draw: ImageDraw.ImageDraw, job: Job, title: str, place: Place) -> None:
    """The median of each stage as a bar, its value behind it."""
    left, top, right, bottom = place
    heading = f"{title}: median of each stage, ms (thin line: least to p95)"
    draw.text((left, top + PANEL_TITLE / 2), heading, font=font(TEXT_SIZE), fill=TEXT, anchor="lm")
    names = max(draw.textlength(stage.name, font=font(SMALL_SIZE)) for stage in job.stages)
    furthest = max(stage.summary.p95 for stage in job.stages) or 1.0
    axis = Axis(0.0, furthest, left + names + 16, right - 130)
    _draw_vertical_ticks(draw, axis, (top + PANEL_TITLE, bottom - 44), unit="ms")
    pitch = (bottom - 44 - top - PANEL_TITLE) / len(job.stages)
    for row, stage in enumerate(job.stages):
        middle = top + PANEL_TITLE + (row + 0.5) * pitch
        low, median, late = stage.summary.min, stage.summary.p50, stage.summary.p95
        colour = {"infer": INFER, "total": QUIET_TEXT}.get(stage.name, BAR)
        half = min(15.0, 0.32 * pitch)
        draw.text((axis.first - 12, middle), stage.name, font=font(SMALL_SIZE), fill=TEXT, anchor="rm")
        draw.rectangle([axis.first, middle - half, max(axis.at(median), axis.first + 1), middle + half], fill=colour)
        draw.line([(axis.at(low), middle), (axis.at(late), middle)], fill=WHISKER, width=2)
        for end in (low, late):
            draw.line([(axis.at(end), middle - 5), (axis.at(end), middle + 5)], fill=WHISKER, width=2)
        value = (max(axis.at(late), axis.at(median)) + 12, middle)
        draw.text(value, _milliseconds(median), font=font(SMALL_SIZE), fill=TEXT, anchor="lm")


def _draw_histogram(draw: ImageDraw.ImageDraw, job: Job, deadline: float | None, place: Place) -> None:
    """How often each total came, with p50, p95, and the deadline where there is one."""
    left, top, right, bottom = place
    samples = job.total.samples_ms
    runs = "1 run" if len(samples) == 1 else f"{len(samples)} runs"
    heading = f"Total of {runs}, ms"
    draw.text((left, top + PANEL_TITLE / 2), heading, font=font(TEXT_SIZE), fill=TEXT, anchor="lm")
    edges = bin_edges(samples)
    low, high = shown_range(edges, deadline)
    across = Axis(low, high, left + 40, right - 30)
    counts, _ = np.histogram(samples, edges)
    upward = Axis(0.0, float(max(1, counts.max())), bottom - 44, top + PANEL_TITLE + 66)
    _draw_vertical_ticks(draw, across, (top + PANEL_TITLE + 58, bottom - 44), unit="ms")
    _draw_counts(draw, upward, left + 40)
    for count, begin, end in zip(counts, edges[:-1], edges[1:], strict=True):
        if count:
            first = across.at(float(begin)) + 1
            last = max(first + 1, across.at(float(end)) - 1)
            draw.rectangle([first, upward.at(float(count)), last, bottom - 44], fill=BAR)
    marks = [Mark("p50", job.total.summary.p50, TEXT), Mark("p95", job.total.summary.p95, WARNING)]
    if deadline is not None:
        marks.append(Mark("deadline", deadline, LATE))
    _draw_marks(draw, across, marks, (top + PANEL_TITLE, bottom - 44))


def _draw_marks(draw: ImageDraw.ImageDraw, axis: Axis, marks: Sequence[Mark], span: tuple[float, float]) -> None:
    """Labelled vertical lines; one outside the axis has its label at that end, with an arrowhead and no line."""
    top, bottom = span
    rows = [top + 10 + 20 * row for row in range(len(marks))]
    for mark, row in zip(marks, rows, strict=True):
        if axis.low <= mark.value <= axis.high:
            draw.line([(axis.at(mark.value), row - 8), (axis.at(mark.value), bottom)], fill=mark.colour, width=2)
    for mark, row in zip(marks, rows, strict=True):
        text = f"{mark.name} {_milliseconds(mark.value)}"
        text = f"{text} >" if mark.value > axis.high else f"< {text}" if mark.value < axis.low else text
        x = axis.at(min(max(mark.value, axis.low), axis.high))
        fits = x + 8 + draw.textlength(text, font=font(SMALL_SIZE)) <= axis.last + 30
        place, anchor = ((x + 8, row), "lm") if fits else ((x - 8, row), "rm")
        edge = draw.textbbox(place, text, font=font(SMALL_SIZE), anchor=anchor)
        draw.rectangle([edge[0] - 3, edge[1] - 2, edge[2] + 3, edge[3] + 2], fill=BACKGROUND)
        draw.text(place, text, font=font(SMALL_SIZE), fill=mark.colour, anchor=anchor)


def _draw_vertical_ticks(draw: ImageDraw.ImageDraw, axis: Axis, span: tuple[float, float], *, unit: str) -> None:
    """Thin lines at round values, which stand under them; the last with the unit."""
    top, bottom = span
    values = axis.ticks(5)
    for value in values:
        x = axis.at(value)
        draw.line([(x, top), (x, bottom)], fill=LINE, width=1)
        text = f"{value:g} {unit}" if value == values[-1] else f"{value:g}"
        draw.text((x, bottom + 9), text, font=font(SMALL_SIZE), fill=QUIET_TEXT, anchor="mt")


def _draw_counts(draw: ImageDraw.ImageDraw, axis: Axis, x: float) -> None:
    """Whole numbers of runs along the left side."""
    step = max(1, math.ceil(round_step(axis.high / 4)))
    for value in range(0, math.floor(axis.high) + 1, step):
        draw.text((x - 10, axis.at(value)), str(value), font=font(SMALL_SIZE), fill=QUIET_TEXT, anchor="rm")
    draw.text((x - 10, axis.last - 26), "runs", font=font(SMALL_SIZE), fill=QUIET_TEXT, anchor="rm")


def _draw_footer(draw: ImageDraw.ImageDraw, report: Report, height: int) -> None:
    top = height - FOOTER
    draw.line([(MARGIN, top), (WIDTH - MARGIN, top)], fill=LINE, width=1)
    for row, line in enumerate((*conditions_lines(report.conditions), f"{report.created}. {report.notice}")):
        _draw_line(draw, line, top + 24 + 27 * row, SMALL_SIZE, QUIET_TEXT)


def _draw_line(draw: ImageDraw.ImageDraw, text: str, middle: float, size: int, colour: Colour) -> None:
    """Text across the picture; what does not fit is cut off, with dots."""
    shown, length = text, len(text)
    while draw.textlength(shown, font=font(size)) > WIDTH - 2 * MARGIN:
        length -= 1
        shown = f"{text[:length]}..."
    draw.text((MARGIN, middle), shown, font=font(size), fill=colour, anchor="lm")


def bin_edges(samples: Sequence[float]) -> NDArray[np.float64]:
    """Of bins of round width (ms) that hold all samples, two to three times the cube root of their number."""
    least, greatest = min(samples), max(samples)
    wanted = min(MOST_BINS, max(6, math.ceil(3 * float(np.cbrt(len(samples))))))
    step = round_step(max((greatest - least) / wanted, 0.002 * greatest, 1e-3))
    first, last = math.floor(least / step), math.floor(greatest / step) + 1
    return np.asarray(np.arange(first, last + 1) * step, np.float64)


def shown_range(edges: NDArray[np.float64], deadline: float | None) -> tuple[float, float]:
    """What the histogram shows (ms): all bins, and the deadline unless that would squeeze them into a quarter."""
    low, high = float(edges[0]), float(edges[-1])
    room = high - low
    if deadline is not None and low - 3 * room <= deadline <= high + 3 * room:
        low, high = min(low, deadline - 0.1 * room), max(high, deadline + 0.1 * room)
    return max(0.0, low - 0.05 * room), high + 0.05 * room


def _milliseconds(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
