"""A measurement's conditions and findings in a line or two, for terminal and picture."""

from __future__ import annotations

from .document import Conditions, Report


def caption(report: Report) -> str:
    """What the bars and histograms do not show: cold start, throughput, memory."""
    cold = report.job("cold").total.summary.p50
    parts = [f"Cold start {cold / 1e3:.2f} s"]
    if report.throughput:
        workers = ", ".join(str(entry.workers) for entry in report.throughput)
        rates = ", ".join(f"{entry.cases_per_second:.2f}" for entry in report.throughput)
        parts.append(f"{rates} cases/s with {workers} at once")
    if report.memory.peak_rss_mib is not None:
        parts.append(f"peak memory {report.memory.peak_rss_mib:.0f} MiB")
    if report.memory.device_mib is not None:
        parts.append(f"{report.memory.device_mib:.0f} MiB on the GPU")
    if report.deadline is not None:
        deadline = report.deadline
        shares = f"{deadline.arrays_share:.1%} (arrays), {deadline.files_share:.1%} (files)"
        parts.append(f"within {deadline.deadline_ms:g} ms: {shares}")
    return "   ·   ".join(parts)


def conditions_lines(conditions: Conditions) -> tuple[str, str]:
    """Hardware and load, then engine, case and versions; the document has the rest."""
    engine, case, versions = conditions.engine, conditions.case, conditions.versions
    clocks = f" at {_mean(conditions.cpu.mhz) / 1e3:.2f} GHz" if conditions.cpu.mhz else ""
    cores = "1 core" if conditions.cpu.cores == 1 else f"{conditions.cpu.cores} cores"
    hardware = [f"{conditions.cpu.model or 'unknown processor'}{clocks}, {cores}"]
    if conditions.gpu is not None:
        hardware.insert(0, conditions.gpu.model)
    threads = "1 thread" if engine.threads == 1 else f"{engine.threads} threads"
    hardware += [threads, conditions.host_module.instruction_set, f"load average {conditions.load_average:.1f}"]
    shape = "x".join(map(str, case.shape))
    mirrored = ", mirrored too" if engine.tta else ""
    software = (
        f"{engine.runtime} {engine.precision} on {engine.device}{mirrored}; {case.name} {shape} {case.dtype}; "
        f"engine {engine.sha256[:12]}; brats_trt {versions.brats_trt}, Python {versions.python}"
    )
    return "; ".join(hardware), software


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
