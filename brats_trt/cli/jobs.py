"""Cases to segment: where their results go, and running them."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..case import case_name
from ..errors import BratsTrtError, CaseError
from ..files import make_folder
from ..pipeline import CaseOutcome
from ..raw.options import RawOptions
from ..segmentation import Segmentation
from ..segmenter import CaseWarning, Segmenter
from .console import CaseProgress, one_line

if TYPE_CHECKING:
    from ..report import CaseSummary


@dataclass(frozen=True)
class Job:
    """One case and where its results go."""

    case: Path
    name: str
    labels: Path
    probabilities: Path | None = None
    entropy: Path | None = None
    preview: Path | None = None
    report: Path | None = None
    brain: Path | None = None
    seg: Path | None = None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that the job writes."""
        paths = (self.labels, self.probabilities, self.entropy, self.preview, self.report, self.brain, self.seg)
        return tuple(path for path in paths if path is not None)


@dataclass(frozen=True)
class Done:
    """What is kept of a finished case: a cohort's label maps and probabilities would not fit into memory."""

    job: Job
    volumes_ml: Mapping[str, float]
    timings_ms: Mapping[str, float]
    warnings: tuple[str, ...]
    record: Mapping[str, Any]
    confidence: Mapping[str, float | None] | None = None
    page: CaseSummary | None = None
    written: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Failed:
    """A case that left nothing behind; `expected` is an error that brats_trt raises on purpose."""

    job: Job
    error: str
    expected: bool


def plan_jobs(
    cases: list[Path],
    folder: Path,
    *,
    probabilities: bool = False,
    entropy: bool = False,
    preview: bool = False,
    report: bool = False,
    brain: bool = False,
    seg: bool = False,
) -> list[Job]:
    """One job a case, with the files that are asked for beside the label map.

    Raises
    ------
    CaseError
        If two cases would be written to one file, or a case over itself.
    """
    jobs: list[Job] = []
    writers: dict[Path, Path] = {}
    for case in cases:
        name = case_name(case)
        job = Job(
            case,
            name,
            labels=folder / f"{name}.nii.gz",
            probabilities=folder / f"{name}_probabilities.nii.gz" if probabilities else None,
            entropy=folder / f"{name}_entropy.nii.gz" if entropy else None,
            preview=folder / f"{name}_preview.png" if preview else None,
            report=folder / f"{name}_report.html" if report else None,
            brain=folder / f"{name}_brain.nii.gz" if brain else None,
            seg=folder / f"{name}_seg.dcm" if seg else None,
        )
        jobs.append(job)
        for output in job.outputs:
            if output in writers:
                raise CaseError(
                    f"{case} and {writers[output]} would both be written as {output.name}: give each case once, and "
                    "cases of one name in two runs with two output folders"
                )
            writers[output] = case
    for output in writers:
        for case in cases:
            if os.path.exists(output) and os.path.exists(case) and os.path.samefile(output, case):
                raise CaseError(f"{output}: is the input {case} itself, and is kept: choose another output folder")
    return jobs


def run_jobs(
    segmenter: Segmenter,
    jobs: list[Job],
    progress: CaseProgress,
    *,
    overwrite: bool,
    raw: bool | RawOptions = False,
) -> Iterator[Done | Failed]:
    """Segment and save each case, in order; one that fails leaves nothing behind and does not stop the others.

    An interruption is raised after the jobs whose files were complete by then.
    """
    by_name = {job.name: job for job in jobs}
    refused = {job.name: fault for job in jobs if (fault := _refusal(job, overwrite=overwrite))}
    saved: dict[str, Done] = {}

    def save(result: Segmentation) -> None:
        saved[result.name] = _save(result, by_name[result.name], overwrite=overwrite)

    cases = [job.case for job in jobs if job.name not in refused]
    try:
        with closing(segmenter.run_many(cases, save=save, raw=raw)) as outcomes:
            for job in jobs:
                progress.start(job.name)
                end = refused.get(job.name) or _next_error(outcomes) or saved.pop(job.name)
                yield _report(job, end, progress)
    except KeyboardInterrupt:
        for name in list(saved):
            yield _report(by_name[name], saved.pop(name), progress)
        raise


def _refusal(job: Job, *, overwrite: bool) -> CaseError | None:
    """Why a job is not to be begun."""
    for path in job.outputs:
        if os.path.isdir(path):
            return CaseError(f"{path}: is a folder and is kept; choose another output folder")
        if os.path.lexists(path) and not overwrite:
            return CaseError(f"{path}: exists already and is kept; pass --overwrite or another output folder")
    return None


def _save(result: Segmentation, job: Job, *, overwrite: bool) -> Done:
    """Write a job's files, the label map last; where one cannot be written, those before are removed."""
    make_folder(job.labels.parent)
    written: list[Path] = []
    page: CaseSummary | None = None
    try:
        for path, write in _writers(result, job):
            page = write(path, overwrite=overwrite) or page
            written.append(path)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    record = result.record.document()
    times = dict(result.timings_ms)
    return Done(job, result.volumes_ml, times, result.warnings, record, result.confidence, page, tuple(written))


def _writers(result: Segmentation, job: Job) -> Iterator[tuple[Path, Callable[..., CaseSummary | None]]]:
    """Each file and what writes it; a page's writer gives what the cohort's page says of the case."""
    if job.probabilities is not None:
        yield job.probabilities, result.save_probabilities
    if job.entropy is not None:
        yield job.entropy, result.save_entropy
    if job.brain is not None and result.brain_mask is not None:
        yield job.brain, result.save_brain_mask
    if job.seg is not None and sum(result.class_counts[1:]) > 0:  # it cannot be without a segment
        yield job.seg, result.save_dicom
    if job.preview is not None:
        from ..pictures import save_preview

        yield job.preview, partial(save_preview, result)
    if job.report is not None:
        from ..report import save_report

        yield job.report, partial(save_report, result)
    yield job.labels, result.save


def _next_error(outcomes: Iterator[CaseOutcome]) -> Exception | None:
    """Wait for the next case, and hand out its error where it has one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaseWarning)  # they are printed with their case
        return next(outcomes).error


def _report(job: Job, end: Done | Exception, progress: CaseProgress) -> Done | Failed:
    """Print what became of a job."""
    if isinstance(end, Done):
        for warning in end.warnings:
            progress.warn(warning)
        progress.done(f"{job.labels} in {end.timings_ms['total'] / 1e3:.2f} s")
        return end
    if isinstance(end, BratsTrtError):
        progress.done(f"{job.name}: {one_line(end)}")
        return Failed(job, one_line(end), expected=True)
    # A fault of ours, or a machine out of memory: say so, and go on with the others.
    error = f"unexpected {type(end).__name__}: {one_line(end)}"
    progress.done(f"{job.name}: {error}\n{''.join(traceback.format_exception(end))}")
    return Failed(job, error, expected=False)
