"""What is kept of a measurement: a JSON document with a version, the conditions, and every sample.

docs/bench.md says what each field means. Read back, nothing may be missing, unknown or of another type.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import CaseError
from ..notice import NOTICE
from ..plans.document import FieldError, read_record
from .statistics import Summary, summarise

SCHEMA_VERSION = 1
LONGEST_MS = 1e12  # 30 years; beyond it sums of samples lose their digits
JobName = Literal["arrays", "files", "cold"]


@dataclass(frozen=True)
class Stage:
    """One stage of a job: its samples in the order in which they were taken, and what follows from them."""

    name: str
    samples_ms: tuple[float, ...]
    summary: Summary

    @classmethod
    def of(cls, name: str, samples_ms: tuple[float, ...]) -> Stage:
        """A stage with its summary."""
        return cls(name, samples_ms, summarise(samples_ms))


@dataclass(frozen=True)
class Job:
    """What was timed from end to end, stage by stage; the last stage is "total"."""

    name: JobName
    stages: tuple[Stage, ...]

    @property
    def total(self) -> Stage:
        """From end to end."""
        return next(stage for stage in self.stages if stage.name == "total")

    def __post_init__(self) -> None:
        names = [stage.name for stage in self.stages]
        if names.count("total") != 1 or len(set(names)) != len(names):
            raise CaseError(f"the stages of {self.name} are {names}; expected each once and a total among them")
        if len({len(stage.samples_ms) for stage in self.stages}) != 1 or not self.total.samples_ms:
            raise CaseError(f"the stages of {self.name} have differing numbers of samples, or none")


@dataclass(frozen=True)
class Throughput:
    """Cases through several segmenters at once, each in a thread of its own."""

    workers: int
    threads_each: int
    cases: int
    seconds: float
    cases_per_second: float


@dataclass(frozen=True)
class Memory:
    """Peaks in MiB; null where the system does not say."""

    peak_rss_mib: float | None
    cold_peak_rss_mib: float
    device_mib: float | None


@dataclass(frozen=True)
class Deadline:
    """The share of runs, 0 to 1, whose total took at most `deadline_ms`."""

    deadline_ms: float
    arrays_share: float
    files_share: float


@dataclass(frozen=True)
class MeasuredCase:
    """What was segmented: "phantom" is the synthetic case of the demo, "given" the caller's."""

    source: Literal["phantom", "given"]
    name: str
    shape: tuple[int, int, int]
    dtype: str


@dataclass(frozen=True)
class Engine:
    """What computed the network, and how it was run."""

    file: str
    sha256: str
    device: str
    runtime: str
    precision: str
    tta: bool
    threads: int


@dataclass(frozen=True)
class Cpu:
    """The processor; MHz of each core right after the runs in memory, null where the system hides them."""

    model: str | None
    cores: int
    mhz: tuple[float, ...] | None
    max_mhz: float | None


@dataclass(frozen=True)
class Gpu:
    """The GPU that ran; clocks in MHz right after the runs in memory."""

    model: str
    driver: str | None
    sm_mhz: float | None
    memory_mhz: float | None


@dataclass(frozen=True)
class HostModule:
    """How brats_trt._host was compiled, and the instruction set that its stages run with."""

    instruction_set: str
    compiler: str
    build_flags: str


@dataclass(frozen=True)
class Versions:
    """What is installed, used or not; null where it is not."""

    brats_trt: str
    python: str
    kernel: str
    numpy: str
    openvino: str | None
    tensorrt: str | None
    tensorrt_rtx: str | None
    cupy: str | None


@dataclass(frozen=True)
class Conditions:
    """Where and under what the samples were taken; the load average is that of the minute before."""

    case: MeasuredCase
    engine: Engine
    cpu: Cpu
    gpu: Gpu | None
    host_module: HostModule
    versions: Versions
    load_average: float


@dataclass(frozen=True)
class Report:
    """A whole measurement."""

    created: str
    warmup: int
    conditions: Conditions
    jobs: tuple[Job, ...]
    throughput: tuple[Throughput, ...]
    memory: Memory
    deadline: Deadline | None
    notice: str = NOTICE
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        names = [job.name for job in self.jobs]
        if sorted(names) != ["arrays", "cold", "files"]:
            raise CaseError(f"the jobs are {names}; expected arrays, files and cold once each")

    def job(self, name: JobName) -> Job:
        """One of the three jobs."""
        return next(job for job in self.jobs if job.name == name)


def to_json(report: Report) -> str:
    """The document, with the version and the notice first."""
    document = asdict(report)
    first = {name: document.pop(name) for name in ("schema_version", "notice")}
    return json.dumps(first | document, indent=1, allow_nan=False) + "\n"


def read_report(path: Path) -> Report:
    """Read a document that `brats-trt bench --json` wrote.

    Raises
    ------
    CaseError
        If it cannot be read, is of another version, a field is missing, unknown or of another type, or a summary is not
        that of its samples.
    """
    try:
        document = json.loads(path.read_bytes(), parse_constant=_refuse_constant)
        json.dumps(document, ensure_ascii=False).encode()  # half a surrogate pair is no text and cannot be printed
    except OSError as fault:
        raise CaseError(f"{path}: cannot be read ({fault.strerror}): give a file of `brats-trt bench --json`") from None
    except (ValueError, RecursionError) as fault:
        raise CaseError(f"{path}: is no JSON document ({fault}): give a file of `brats-trt bench --json`") from None
    try:
        _check_version(document)
        report: Report = read_record(Report, document, "", {})
        _check_samples(report)
    except FieldError as fault:
        raise CaseError(f"{path}: {fault}; measure again with `brats-trt bench --json`") from None
    return report


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _check_version(document: Any) -> None:
    if not isinstance(document, dict) or "schema_version" not in document:
        raise FieldError("schema_version", "is missing")
    version = document["schema_version"]
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise FieldError("schema_version", f"is {version!r}; this version of brats_trt reads {SCHEMA_VERSION}")


def _check_samples(report: Report) -> None:
    for job in report.jobs:
        for stage in job.stages:
            where = f"jobs.{job.name}.{stage.name}"
            if not all(0 <= sample <= LONGEST_MS for sample in stage.samples_ms):
                raise FieldError(f"{where}.samples_ms", f"holds no time; expected 0 to {LONGEST_MS:g} ms")
            found, expected = (astuple(summary) for summary in (stage.summary, summarise(stage.samples_ms)))
            if not all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(found, expected, strict=True)):
                raise FieldError(f"{where}.summary", "is not that of samples_ms")
