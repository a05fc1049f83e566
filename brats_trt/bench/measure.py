"""Taking samples: one job after the other on one segmenter, and several segmenters at once.

A run ends when its label map is on the host: `Segmenter.run` returns then and not before, on a GPU too, where it waits
for the stream that downloads the map. So totals, by the host's clock around whole runs, hide nothing that is still
queued. The stages' times are the segmenter's own, on a GPU from events in its stream.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..case import Case, ImageSource, Volume
from ..segmenter import CaseWarning, Segmenter
from .document import Job, JobName, Stage, Throughput

Samples = dict[str, list[float]]


def arrays_of(case: Case) -> dict[str, NDArray[Any]]:
    """A case's volumes as arrays: as stored, or float32 where a slope or an intercept has to be applied."""
    return {str(modality): _values(volume) for modality, volume in case.volumes.items()}


def measure_arrays(segmenter: Segmenter, arrays: Mapping[str, NDArray[Any]], *, runs: int, warmup: int) -> Job:
    """Time arrays in to labels out; the first `warmup` runs are not counted."""

    def once() -> dict[str, float]:
        start = perf_counter()
        timings = dict(segmenter.run(arrays).timings_ms)
        return timings | {"total": _ms_since(start)}

    return _repeat("arrays", once, runs=runs, warmup=warmup)


def measure_files(segmenter: Segmenter, case: Path, output: Path, *, runs: int, warmup: int) -> Job:
    """Time files in to a label map's file out, written to `output` again and again; adds the stage "save"."""

    def once() -> dict[str, float]:
        start = perf_counter()
        result = segmenter.run(case)
        segmented = perf_counter()
        result.save(output, overwrite=True)
        stages = {name: spent for name, spent in result.timings_ms.items() if name != "total"}
        return stages | {"save": _ms_since(segmented), "total": _ms_since(start)}

    return _repeat("files", once, runs=runs, warmup=warmup)


def measure_throughput(
    make: Callable[[int], Segmenter], source: ImageSource, *, workers: int, threads: int, runs: int
) -> Throughput:
    """Time `runs` cases or a few more, arrays in to labels out, through several segmenters at once.

    Parameters
    ----------
    make
        A segmenter with so many threads.
    threads
        Shared out evenly between the workers, one each at least: more workers than threads compete for them.
    """
    each = max(1, threads // workers)
    segmenters = [make(each) for _ in range(workers)]
    cases = -(-runs // workers)

    def work(segmenter: Segmenter) -> None:
        for _ in range(cases):
            segmenter.run(source)

    with quiet_cases(), ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda segmenter: segmenter.run(source), segmenters))  # warm-up
        start = perf_counter()
        list(pool.map(work, segmenters))
        seconds = perf_counter() - start
    return Throughput(workers, each, cases * workers, seconds, cases * workers / seconds)


@contextmanager
def quiet_cases() -> Iterator[None]:
    """Within it, what is found in a case is not said anew with each run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaseWarning)
        yield


def collect(name: JobName, runs: Sequence[Mapping[str, float]]) -> Job:
    """A job of the stages' times (ms) of each run, "total" last."""
    samples: Samples = {stage: [run[stage] for run in runs] for stage in runs[0]}
    samples["total"] = samples.pop("total")
    return Job(name, tuple(Stage.of(stage, tuple(times)) for stage, times in samples.items()))


def _repeat(name: JobName, once: Callable[[], Mapping[str, float]], *, runs: int, warmup: int) -> Job:
    with quiet_cases():
        for _ in range(warmup):
            once()
        return collect(name, [once() for _ in range(runs)])


def _values(volume: Volume) -> NDArray[Any]:
    data = volume.on_host
    if (volume.slope, volume.intercept) == (1.0, 0.0):
        return data
    return np.asarray(data * volume.slope + volume.intercept, np.float32, order="K")


def _ms_since(start: float) -> float:
    return (perf_counter() - start) * 1e3
