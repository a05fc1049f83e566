"""Candidates timed in turn: what else the machine does meets all of them alike.

Every other round runs backwards. A ratio is taken within each round, so that a drift of the machine cancels out; what
is given is the median over the rounds, and as spread the range of the middle half over it.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter, process_time, sleep

Times = dict[str, list[float]]
# The time that passes; or the processor's, of all threads, which other jobs on the machine disturb less.
CLOCKS = {"wall": perf_counter, "process": process_time}

# Thread pools that spin after their work is done hold a core for that long; they are to be asleep before the next run.
_REST_S = 0.2


def time_in_turn(jobs: Mapping[str, Callable[[], object]], rounds: int, *, clock: str = "wall") -> Times:
    """Milliseconds of every job in every round; each has been run once before."""
    now = CLOCKS[clock]
    times: Times = {name: [] for name in jobs}
    for turn in range(rounds):
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
        for name in list(jobs) if turn % 2 == 0 else reversed(list(jobs)):
            sleep(_REST_S)
            start = now()
            jobs[name]()
            times[name].append((now() - start) * 1e3)
    return times


def ratios(times: Times, above: str, below: str) -> list[float]:
    """How many times longer the first took than the second, round by round."""
    return [a / b for a, b in zip(times[above], times[below], strict=True)]


def spread(values: Sequence[float]) -> float:
    """The range of the middle half over the median."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle
