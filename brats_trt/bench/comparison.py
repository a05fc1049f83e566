"""Two measurements side by side: ratios of medians with their spread, and every condition that differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from .document import Job, Report
from .statistics import Ratio, ratio_of_medians

LOAD_TOLERANCE = 1.0  # the load average is named where it differs by more
LEAST_RUNS = 5  # of fewer, resampling does not find the spread


@dataclass(frozen=True)
class StageRatio:
    """The time here over the time there, of one stage of one job, each of so many runs."""

    job: str
    stage: str
    ratio: Ratio
    runs: tuple[int, int]

    @property
    def has_interval(self) -> bool:
        """Whether there are runs enough on both sides for the interval to mean something."""
        return min(self.runs) >= LEAST_RUNS


@dataclass(frozen=True)
class Difference:
    """A condition under which the two were not taken alike."""

    condition: str
    here: str
    there: str


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds; below 1 this measurement is the faster."""

    ratios: tuple[StageRatio, ...]
    differences: tuple[Difference, ...]


def compare(report: Report, other: Report) -> Comparison:
    """Compare the stages that both have, whose other median is not 0; clocks are not conditions but findings."""
    ratios = tuple(ratio for job in report.jobs for ratio in _ratios(job, other.job(job.name)))
    here, there = ({"warmup": each.warmup, **dict(_flatten(asdict(each.conditions)))} for each in (report, other))
    differences = [
        Difference(name, _shown(here.get(name)), _shown(there.get(name)))
        for name in dict.fromkeys((*here, *there))
        if _differs(name, here.get(name), there.get(name))
    ]
    return Comparison(ratios, tuple(differences))


def _ratios(job: Job, other: Job) -> Iterator[StageRatio]:
    others = {stage.name: stage for stage in other.stages}
    for stage in job.stages:
        if stage.name in others and others[stage.name].summary.p50 > 0:
            here, there = stage.samples_ms, others[stage.name].samples_ms
            yield StageRatio(job.name, stage.name, ratio_of_medians(here, there), (len(here), len(there)))


def _differs(name: str, here: Any, there: Any) -> bool:
    if name.endswith("mhz") or name == "engine.file":  # a file is known by its sha256
        return False
    if name == "load_average":
        return abs(float(here) - float(there)) > LOAD_TOLERANCE
    return bool(here != there)


def _flatten(record: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and plain values."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return "none" if value is None else str(value)
