"""Mean, median and standard deviation over the cases; what does not count is left out, and how many count is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from ..metrics import STRUCTURES
from .scores import METRICS, Scores

Summary = Mapping[str, Mapping[str, "Statistics"]]


@dataclass(frozen=True)
class Statistics:
    """Of one score of one structure.

    Attributes
    ----------
    n
        The cases that count.
    mean, median
        NaN where none counts.
    standard_deviation
        Of the sample, over n - 1; NaN where fewer than two count.
    """

    n: int
    mean: float
    median: float
    standard_deviation: float


def summarise(cases: Sequence[Mapping[str, Scores]]) -> dict[str, dict[str, Statistics]]:
    """The statistics by structure and by score."""
    return {
        structure: {metric: statistics([getattr(case[structure], metric) for case in cases]) for metric in METRICS}
        for structure in STRUCTURES
    }


def statistics(values: Sequence[float]) -> Statistics:
    """Of values of which NaN does not count."""
    counted = [value for value in values if not isnan(value)]
    if not counted:
        return Statistics(0, nan, nan, nan)
    deviation = float(np.std(counted, ddof=1)) if len(counted) > 1 else nan
    return Statistics(len(counted), float(np.mean(counted)), float(np.median(counted)), deviation)
