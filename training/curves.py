"""The curves of a run as a picture: the loss, smoothed, and Dice on the validation cases, over all steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from validation import STRUCTURES

from brats_trt.bench.plot import Axis
from brats_trt.pictures.lettering import font
from brats_trt.pictures.palette import BACKGROUND, ENHANCING, LINE, NECROTIC, OEDEMA, QUIET_TEXT, TEXT, Colour

WIDTH, PANEL, HEADER = 1200, 380, 70
LEFT, RIGHT, TOP, BOTTOM = 90, 190, 50, 46  # margins in a panel
TITLE_SIZE, TEXT_SIZE, LINE_HEIGHT = 28, 18, 24
SMOOTHED = 0.02  # of all steps: the window of the loss's running mean
COLOURS: Mapping[str, Colour] = dict(zip(STRUCTURES, (OEDEMA, NECROTIC, ENHANCING), strict=True))

Series = Sequence[tuple[float, float]]


def draw_curves(entries: Sequence[Mapping[str, Any]], stages: Sequence[str], title: str) -> Image.Image:
    """Draw a run's log; `stages` are the names of the recipe's stages.

    Raises
    ------
    ValueError
        If the log has no step.
    """
    if not entries:
        raise ValueError("the log has no step to draw; expected at least one: train first")
    picture = Image.new("RGB", (WIDTH, HEADER + 2 * PANEL), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((LEFT, HEADER / 2), title, font=font(TITLE_SIZE), fill=TEXT, anchor="lm")
    begins = {entry["stage"]: number for number, entry in reversed(list(enumerate(entries)))}
    marks = {stages[stage]: float(number) for stage, number in sorted(begins.items())}
    losses = _running_mean([entry["loss"] for entry in entries])
    ceiling = max(0.1, float(np.quantile(losses, 0.98)) * 1.1)
    shown = {"loss": list(enumerate(np.minimum(losses, ceiling).tolist()))}
    _panel(draw, HEADER, (len(entries), 0.0, ceiling), shown, marks)
    scores = {
        name: [(float(number), entry[name]) for number, entry in enumerate(entries) if name in entry]
        for name in STRUCTURES
    }
    _panel(draw, HEADER + PANEL, (len(entries), 0.0, 1.0), scores, marks)
    return picture


def _panel(
    draw: ImageDraw.ImageDraw,
    top: float,
    limits: tuple[int, float, float],
    series: Mapping[str, Series],
    marks: Mapping[str, float],
) -> None:
    """One pair of axes, its lines with their names at the right, and where stages begin."""
    steps, low, high = limits
    across = Axis(0, max(1, steps - 1), LEFT, WIDTH - RIGHT)
    up = Axis(low, high, top + PANEL - BOTTOM, top + TOP)
    for value in up.ticks(5):
        draw.line([(LEFT, up.at(value)), (WIDTH - RIGHT, up.at(value))], fill=LINE)
        draw.text((LEFT - 10, up.at(value)), f"{value:g}", font=font(TEXT_SIZE), fill=QUIET_TEXT, anchor="rm")
    for value in across.ticks(6):
        draw.text((across.at(value), up.first + 8), f"{value:g}", font=font(TEXT_SIZE), fill=QUIET_TEXT, anchor="mt")
    for name, step in marks.items():
        draw.line([(across.at(step), up.last), (across.at(step), up.first)], fill=QUIET_TEXT)
        draw.text((across.at(step) + 5, up.last - 4), name, font=font(TEXT_SIZE), fill=QUIET_TEXT, anchor="lb")
    heights = []
    for name, points in series.items():
        colour = COLOURS.get(name, TEXT)
        places = [(across.at(x), up.at(y)) for x, y in points]
        if not places:
            continue
        draw.line(places if len(places) > 1 else places * 2, fill=colour, width=2)
        heights.append((places[-1][1], name, colour))
    least = top + TOP
    for height, name, colour in sorted(heights):
        place = max(height, least)
        draw.text((WIDTH - RIGHT + 10, place), name, font=font(TEXT_SIZE), fill=colour, anchor="lm")
        least = place + LINE_HEIGHT


def _running_mean(values: Sequence[float]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The mean over the last few steps."""
    window = max(1, round(SMOOTHED * len(values)))
    total = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((total[ends] - total[starts]) / (ends - starts))
