"""`brats-trt segment`: case folders in, label maps out."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .. import __version__
from ..case import case_name
from ..errors import BratsTrtError, CaseError
from ..notice import NOTICE
from ..segmentation import Segmentation
from ..segmenter import CaseWarning, Device, Segmenter
from ..spec import LabelScheme
from .console import case_progress, one_line, stdout, timing_table, volume_table

if TYPE_CHECKING:
    from .console import CaseProgress

Profile = Literal["authors", "omz"]

# Mirror averaging and the share of small regions, as each source runs the model.
_PROFILES: Mapping[Profile | None, tuple[bool, float]] = {
    None: (False, 0.1),
    "authors": (True, 0.1),
    "omz": (False, 0.0),
}


@dataclass(frozen=True)
class Job:
    """One case and where its results go."""

    case: Path
    name: str
    labels: Path
    probabilities: Path | None

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that the job writes."""
        return (self.labels,) if self.probabilities is None else (self.labels, self.probabilities)


def segment_cases(
    cases: Annotated[list[Path], typer.Argument(metavar="CASE...", help="Case folders, or 4-D Decathlon files.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for <case>.nii.gz.")],
    engine: Annotated[
        Path | None, typer.Option(metavar="E", help="An .onnx file; without it the demo model (synthetic data only).")
    ] = None,
    tta: Annotated[
        bool | None, typer.Option("--tta/--no-tta", help="Average with the mirrored input: twice the time.")
    ] = None,
    min_region: Annotated[
        float | None,
        typer.Option(metavar="F", min=0.0, max=1.0, help="Drop regions below this share of the tumour; 0 keeps all."),
    ] = None,
    labels: Annotated[LabelScheme, typer.Option(help="Values written for the classes.")] = "brats",
    profile: Annotated[
        Profile | None, typer.Option(help="Mirroring and regions as the authors or Open Model Zoo have them.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write <case>_probabilities.nii.gz of the crop too.")
    ] = False,
    device: Annotated[Device, typer.Option(help="Where to run; never changed quietly.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """Segment brain tumours: four volumes of each case in, a label map on the same grid out."""
    profile_tta, profile_region = _PROFILES[profile]
    jobs = _plan(cases, output, probabilities=probabilities)
    segmenter = Segmenter(
        engine,
        device=device,
        tta=profile_tta if tta is None else tta,
        min_region=profile_region if min_region is None else min_region,
        labels=labels,
    )
    _make_folder(output)
    finished: list[tuple[Job, Segmentation]] = []
    failed: list[tuple[Job, str]] = []
    with case_progress(len(jobs)) as progress:
        for job, outcome in _run(segmenter, jobs, progress, overwrite=overwrite):
            if isinstance(outcome, Segmentation):
                finished.append((job, outcome))
            else:
                failed.append((job, outcome))
    if as_json:
        typer.echo(json.dumps(_document(segmenter, finished, failed), indent=2))
    elif finished:
        results = [result for _, result in finished]
        stdout().print(volume_table(results), "", timing_table(results), "", NOTICE, sep="\n")
    if failed:
        raise typer.Exit(2)


def _plan(cases: list[Path], output: Path, *, probabilities: bool) -> list[Job]:
    jobs: dict[str, Job] = {}
    for case in cases:
        name = case_name(case)
        if name in jobs:
            raise CaseError(
                f"{case} and {jobs[name].case} would both be written as {name}.nii.gz: segment them into two folders"
            )
        extra = output / f"{name}_probabilities.nii.gz" if probabilities else None
        jobs[name] = Job(case, name, output / f"{name}.nii.gz", extra)
    return list(jobs.values())


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise CaseError(f"{folder}: the output folder cannot be made ({fault.strerror}): choose another") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CaseError(f"{folder}: the output folder cannot be written: choose another")


def _run(
    segmenter: Segmenter, jobs: list[Job], progress: CaseProgress, *, overwrite: bool
) -> Iterator[tuple[Job, Segmentation | str]]:
    """Segment and save each case; one that fails leaves nothing behind and does not stop the others."""
    for job in jobs:
        progress.start(job.name)
        try:
            result = _segment_one(segmenter, job, overwrite=overwrite)
        except BratsTrtError as fault:
            progress.done(f"{job.name}: {one_line(fault)}")
            yield job, one_line(fault)
            continue
        for warning in result.warnings:
            progress.warn(warning)
        progress.done(f"{job.labels} in {result.timings_ms['total'] / 1e3:.2f} s")
        yield job, result


def _segment_one(segmenter: Segmenter, job: Job, *, overwrite: bool) -> Segmentation:
    for path in job.outputs:
        if path.exists() and not overwrite:
            raise CaseError(f"{path}: exists already and is kept; pass --overwrite or another output folder")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CaseWarning)
        result = segmenter.run(job.case)
    if job.probabilities is not None:
        result.save_probabilities(job.probabilities, overwrite=overwrite)
    try:
        result.save(job.labels, overwrite=overwrite)
    except BratsTrtError:
        if job.probabilities is not None:
            job.probabilities.unlink(missing_ok=True)
        raise
    return result


def _document(
    segmenter: Segmenter, finished: list[tuple[Job, Segmentation]], failed: list[tuple[Job, str]]
) -> dict[str, Any]:
    return {
        "software": f"brats_trt {__version__}",
        "notice": NOTICE,
        "model_sha256": segmenter.model_sha256,
        "device": segmenter.device,
        "precision": segmenter.precision,
        "cases": [
            {
                "case": job.name,
                "labels": str(job.labels),
                "probabilities": None if job.probabilities is None else str(job.probabilities),
                "volumes_ml": result.volumes_ml,
                "timings_ms": dict(result.timings_ms),
                "warnings": list(result.warnings),
            }
            for job, result in finished
        ],
        "failed": [{"case": job.name, "error": error} for job, error in failed],
    }
