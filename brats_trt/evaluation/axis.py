"""A plot's vertical axis: what it spans and where its ticks lie, and what a box shows of a set of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isnan, log10

import numpy as np

_WHISKER = 1.5  # times the box's height. Source: Tukey, "Exploratory Data Analysis", 1977
_ROOM = 2.0  # how far outliers stretch the axis, in spans of the whiskers; those beyond are marked at its edge
_MARGIN = 0.04
_TICKS = 5  # at least, about


@dataclass(frozen=True)
class Box:
    """A set of values: quartiles (interpolated linearly), the ends of the whiskers, the mean, and all values."""

    values: tuple[float, ...]
    quartiles: tuple[float, float, float]
    whiskers: tuple[float, float]
    mean: float


@dataclass(frozen=True)
class Axis:
    """What is drawn between `lower` and `upper`."""

    lower: float
    upper: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """How far up the axis a value lies, from 0 to 1."""
        return (value - self.lower) / (self.upper - self.lower)

    def tick_label(self, tick: float) -> str:
        """A tick as text, as exact as the ticks' distance asks for."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else 1.0
        decimals = max(0, -floor(log10(step) + 1e-9))
        return f"{tick:.{decimals}f}"


def make_box(values: Sequence[float]) -> Box | None:
    """The box of the values that are not NaN; None where there are none."""
    counted = sorted(value for value in values if not isnan(value))
    if not counted:
        return None
    lower, median, upper = (float(q) for q in np.percentile(counted, (25, 50, 75)))
    reach = _WHISKER * (upper - lower)
    ends = [value for value in counted if lower - reach <= value <= upper + reach]
    # A quartile lies between two values, so a whisker may end inside the box: it is drawn to the box's edge.
    whiskers = min(ends[0], lower), max(ends[-1], upper)
    return Box(tuple(counted), (lower, median, upper), whiskers, float(np.mean(counted)))


def make_axis(boxes: Sequence[Box], limits: tuple[float, float], least_span: float, *, with_zero: bool) -> Axis:
    """An axis that holds all whiskers, outliers that are not too far off, and no more than `limits`."""
    ends = [end for box in boxes for end in box.whiskers] + ([0.0] if with_zero or not boxes else [])
    lower, upper = min(ends), max(ends)
    room = _ROOM * max(upper - lower, least_span)
    near = [value for box in boxes for value in box.values if lower - room <= value <= upper + room]
    lower, upper = min([lower, *near]), max([upper, *near])
    short = max(0.0, least_span - (upper - lower)) / 2
    margin = _MARGIN * max(upper - lower, least_span)
    lower, upper = lower - short - margin, upper + short + margin
    lower, upper = max(lower, limits[0] - margin), min(upper, limits[1] + margin)
    step = _tick_step(upper - lower)
    first, last = ceil(lower / step - 1e-9), floor(upper / step + 1e-9)
    ticks = tuple(n * step for n in range(first, last + 1))
    return Axis(lower, upper, tuple(t for t in ticks if limits[0] - 1e-9 <= t <= limits[1] + 1e-9))


def _tick_step(span: float) -> float:
    """The greatest of 1, 2 and 5 times a power of ten that goes into the span often enough."""
    power: float = 10.0 ** floor(log10(span))
    return next((factor * power for factor in (5, 2, 1, 0.5, 0.2) if span / (factor * power) >= _TICKS), 0.1 * power)
