"""What `brats-trt bench` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from ..bench.comparison import Comparison
from ..bench.document import Job, Memory, Throughput
from ..bench.statistics import CONFIDENCE

TITLES = {
    "arrays": "Arrays in, labels out (ms)",
    "files": "Files in, file out (ms)",
    "cold": "Cold start, a fresh process (ms)",
}


def job_table(job: Job) -> Table:
    """A row a stage."""
    table = _table(f"{TITLES[job.name]}, runs: {len(job.total.samples_ms)}", "stage")
    for column in ("min", "p50", "p95", "p99", "max", "jitter"):
        table.add_column(column, justify="right")
    for stage in job.stages:
        summary = stage.summary
        values = (summary.min, summary.p50, summary.p95, summary.p99, summary.max, summary.jitter)
        table.add_row(stage.name, *(f"{value:.1f}" for value in values))
    return table


def throughput_table(entries: Sequence[Throughput]) -> Table:
    """A row a number of workers."""
    table = _table("Throughput, arrays in, labels out", "workers")
    for column in ("threads each", "cases", "cases/s"):
        table.add_column(column, justify="right")
    for entry in entries:
        cells = (entry.threads_each, entry.cases, f"{entry.cases_per_second:.2f}")
        table.add_row(str(entry.workers), *map(str, cells))
    return table


def memory_line(memory: Memory) -> str:
    """Peaks, with what is not known left out."""
    parts = [f"{memory.cold_peak_rss_mib:.0f} MiB in a fresh process"]
    if memory.peak_rss_mib is not None:
        parts.insert(0, f"{memory.peak_rss_mib:.0f} MiB over the warm runs")
    if memory.device_mib is not None:
        parts.append(f"{memory.device_mib:.0f} MiB on the GPU")
    return f"Peak memory: {', '.join(parts)}"


def ratio_table(comparison: Comparison, other: str) -> Table:
    """A row a stage of each job."""
    table = _table(f"Time here over time in {other} (ratio of medians; below 1 is faster here)", "job")
    table.add_column("stage")
    for column in ("ratio", f"{CONFIDENCE:.0%} interval"):
        table.add_column(column, justify="right")
    for entry in comparison.ratios:
        ratio = entry.ratio
        interval = f"{ratio.lower:.3f} to {ratio.upper:.3f}" if entry.has_interval else "too few runs"
        table.add_row(entry.job, entry.stage, f"{ratio.value:.3f}", interval)
    return table


def difference_lines(comparison: Comparison) -> list[str]:
    """Each condition that differs, or that none does."""
    if not comparison.differences:
        return ["Both were taken under the same conditions."]
    lines = [f"  {entry.condition}: {entry.here} here, {entry.there} there" for entry in comparison.differences]
    return ["CONDITIONS DIFFER, so the ratios compare more than the code:", *lines]


def _table(title: str, first: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False
    )
    table.add_column(first)
    return table
