"""What is said of samples: order statistics, jitter, and the ratio of two medians with its spread.

Percentiles are interpolated linearly between the order statistics, as NumPy does by default. With fewer than 100
samples p99 lies between the two greatest and says little more than the maximum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_RESAMPLES = 4000
_SEED = 20240


@dataclass(frozen=True)
class Summary:
    """Of one stage's samples, all in ms.

    Attributes
    ----------
    jitter
        The mean absolute difference between one run and the next: what a user sees from run to run. A slow drift, such
        as of the clock while a machine warms up, hardly adds to it. 0 for one sample.
    """

    min: float
    p50: float
    p95: float
    p99: float
    max: float
    jitter: float


@dataclass(frozen=True)
class Ratio:
    """The ratio of two medians, with the percentile bootstrap's interval at `CONFIDENCE`.

    Attributes
    ----------
    value
        This median over the other.
    lower, upper
        The interval. It knows the spread within the samples only, not what differs between two machines or days.
    """

    value: float
    lower: float
    upper: float


def summarise(samples_ms: Sequence[float]) -> Summary:
    """Reduce samples in the order in which they were taken.

    Raises
    ------
    ValueError
        Without samples.
    """
    values = _as_array(samples_ms)
    low, p50, p95, p99, high = (float(value) for value in np.percentile(values, (0, 50, 95, 99, 100)))
    jitter = float(np.abs(np.diff(values)).mean()) if len(values) > 1 else 0.0
    return Summary(low, p50, p95, p99, high, jitter)


def ratio_of_medians(samples: Sequence[float], others: Sequence[float]) -> Ratio:
    """Compare two sets of samples. Equal samples give an equal interval each time: the draws are seeded.

    Raises
    ------
    ValueError
        Without samples, or where the other median is 0.
    """
    values, reference = _as_array(samples), _as_array(others)
    middle = float(np.median(reference))
    if middle <= 0:
        raise ValueError("the other median is 0 ms; expected one above")
    generator = np.random.default_rng(_SEED)
    with np.errstate(over="ignore"):  # a resample whose median is 0 is infinitely faster
        drawn = _medians(generator, values) / np.maximum(_medians(generator, reference), np.finfo(float).tiny)
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(drawn, (tail, 1 - tail), method="nearest")  # infinity cannot be interpolated
    return Ratio(float(np.median(values)) / middle, float(lower), float(upper))


def share_within(samples_ms: Sequence[float], deadline_ms: float) -> float:
    """The share of samples, 0 to 1, that took at most `deadline_ms`.

    Raises
    ------
    ValueError
        Without samples.
    """
    return float((_as_array(samples_ms) <= deadline_ms).mean())


def _medians(generator: np.random.Generator, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of resamples with replacement."""
    draws = generator.integers(0, len(values), (_RESAMPLES, len(values)))
    return np.asarray(np.median(values[draws], axis=1))


def _as_array(samples: Sequence[float]) -> NDArray[np.float64]:
    if len(samples) == 0:
        raise ValueError("there are no samples; expected one at least")
    return np.asarray(samples, np.float64)
