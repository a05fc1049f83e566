"""One measurement from end to end: cold starts, arrays, files, several workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from .. import _host
from ..backend_choice import Device
from ..case import Case, load_case
from ..segmenter import Segmenter, demo_model
from .cold_start import measure_cold
from .conditions import (
    device_memory_mib,
    load_average,
    peak_rss_mib,
    read_cpu,
    read_engine,
    read_gpu,
    read_host_module,
    read_versions,
    reset_peak_rss,
)
from .document import Conditions, Cpu, Deadline, Gpu, Job, MeasuredCase, Memory, Report
from .measure import arrays_of, measure_arrays, measure_files, measure_throughput, quiet_cases
from .statistics import share_within

if TYPE_CHECKING:
    from ..backends.cpu_engine import Runtime
    from ..backends.precision import Precision

WORKERS = (1, 2, 4)


@dataclass(frozen=True)
class Setup:
    """What to run: the options of `Segmenter`, whose results keep no probabilities here."""

    engine: Path | None = None
    device: Device = "auto"
    tta: bool = False
    runtime: Runtime = "auto"
    precision: Precision = "auto"
    threads: int | None = None

    def options(self, threads: int | None) -> dict[str, Any]:
        """Of a segmenter, as JSON has them."""
        return {
            "engine": str((self.engine or demo_model()).absolute()),
            "device": self.device,
            "tta": self.tta,
            "runtime": self.runtime,
            "precision": self.precision,
            "threads": threads,
            "keep_probabilities": False,
        }

    def segmenter(self, threads: int | None) -> Segmenter:
        """A segmenter of its own with so many threads."""
        options = self.options(threads)
        return Segmenter(options.pop("engine"), **options)


@dataclass(frozen=True)
class Plan:
    """How often: counted runs of each job, runs before them that are not counted, fresh processes, workers at once."""

    runs: int = 20
    warmup: int = 3
    cold_starts: int = 3
    workers: tuple[int, ...] = WORKERS
    deadline_ms: float | None = None


def run_bench(setup: Setup, plan: Plan, *, case: Path | None = None, say: Callable[[str], None]) -> Report:
    """Measure a case, or the demo's phantom.

    Raises
    ------
    CaseError
        If the case is at fault.
    EngineError
        If the engine is.
    """
    load = load_average()
    segmenter = setup.segmenter(setup.threads)
    with TemporaryDirectory(prefix="brats_trt-bench-") as name, quiet_cases():
        folder = Path(name)
        path = _phantom(folder, say) if case is None else case.absolute()
        loaded = load_case(path, segmenter.spec.modalities, threads=setup.threads)
        for warning in segmenter.run(path).warnings:
            say(f"warning: {warning}")
        jobs, memory, (cpu, gpu) = _measure(segmenter, setup, plan, (path, loaded, folder), say)
        threads = setup.threads or _host.usable_cores()
        throughput = []
        for workers in plan.workers:
            say(f"segmenters at once: {workers}")
            throughput.append(
                measure_throughput(setup.segmenter, arrays_of(loaded), workers=workers, threads=threads, runs=plan.runs)
            )
    engine = "the demo model" if setup.engine is None else setup.engine.name
    conditions = Conditions(
        case=_describe(loaded, given=case is not None),
        engine=read_engine(segmenter, engine, tta=setup.tta, threads=setup.threads),
        cpu=cpu,
        gpu=gpu,
        host_module=read_host_module(),
        versions=read_versions(),
        load_average=load,
    )
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Report(created, plan.warmup, conditions, jobs, tuple(throughput), memory, _deadline(jobs, plan.deadline_ms))


def _phantom(folder: Path, say: Callable[[str], None]) -> Path:
    from ..demo import make_phantom, write_case

    say("making a synthetic case")
    return write_case(make_phantom(0), folder)


def _measure(
    segmenter: Segmenter, setup: Setup, plan: Plan, where: tuple[Path, Case, Path], say: Callable[[str], None]
) -> tuple[tuple[Job, Job, Job], Memory, tuple[Cpu, Gpu | None]]:
    """The three jobs, and the clocks while warm; `where` is the case's path, the case, and a folder for outputs."""
    path, loaded, folder = where
    counted = reset_peak_rss()
    say(f"arrays in, labels out: {plan.warmup} + {plan.runs} runs")
    arrays = measure_arrays(segmenter, arrays_of(loaded), runs=plan.runs, warmup=plan.warmup)
    clocks = read_cpu(), read_gpu() if segmenter.device == "cuda" else None  # before they fall
    device_mib = device_memory_mib() if segmenter.device == "cuda" else None
    say(f"files in, file out: {plan.warmup} + {plan.runs} runs")
    files = measure_files(segmenter, path, folder / "labels.nii.gz", runs=plan.runs, warmup=plan.warmup)
    peak = peak_rss_mib() if counted else None
    say(f"cold starts: {plan.cold_starts}")
    cold, cold_peak = measure_cold(setup.options(setup.threads), path, starts=plan.cold_starts)
    return (arrays, files, cold), Memory(peak, cold_peak, device_mib), clocks


def _describe(case: Case, *, given: bool) -> MeasuredCase:
    dtypes = sorted({str(volume.data.dtype) for volume in case.volumes.values()})
    return MeasuredCase("given" if given else "phantom", case.name, case.shape, ", ".join(dtypes))


def _deadline(jobs: tuple[Job, Job, Job], deadline_ms: float | None) -> Deadline | None:
    if deadline_ms is None:
        return None
    arrays, files, _ = (share_within(job.total.samples_ms, deadline_ms) for job in jobs)
    return Deadline(deadline_ms, arrays, files)
