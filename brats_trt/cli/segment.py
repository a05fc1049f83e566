"""`brats-trt segment`: case folders in, label maps out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .. import __version__
from ..backend_choice import Device
from ..backends.cpu_engine import Runtime
from ..backends.precision import Precision
from ..errors import CaseError
from ..files import check_folder, check_target
from ..notice import NOTICE
from ..segmenter import Segmenter
from ..spec import LabelScheme, Missing
from .console import case_progress, confidence_table, spoken_warnings, stdout, timing_table, volume_table
from .jobs import Done, Failed, plan_jobs, run_jobs
from .raw_options import Align, Grid, Map, NoStrip, Raw, StripEnsemble, raw_options

Profile = Literal["authors", "omz"]

# Mirror averaging and the share of small regions, as each source runs the model.
_PROFILES: Mapping[Profile | None, tuple[bool, float]] = {
    None: (False, 0.1),
    "authors": (True, 0.1),
    "omz": (False, 0.0),
}


def segment_cases(
    cases: Annotated[list[str], typer.Argument(metavar="CASE...", help="Case folders, or 4-D Decathlon files.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="DIR", help="Folder for <case>.nii.gz.")],
    engine: Annotated[
        str | None,
        typer.Option(metavar="E", help="An .onnx file or a plan; without it the demo model (synthetic data only)."),
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
    entropy: Annotated[
        bool, typer.Option("--entropy", help="Write <case>_entropy.nii.gz of the crop too: 0 certain, 1 undecided.")
    ] = False,
    preview: Annotated[
        bool, typer.Option("--preview", help="Write <case>_preview.png: three planes through the tumour.")
    ] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Write <case>_report.html, and index.html that links them; read without network."
        ),
    ] = False,
    device: Annotated[Device, typer.Option(help="Where to run; never changed quietly.")] = "auto",
    runtime: Annotated[Runtime, typer.Option(help="What computes the network on the CPU.")] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="What it is computed in; auto: 16 bits on record only.")
    ] = "auto",
    missing: Annotated[
        Missing, typer.Option(help="Cases without all modalities; mask: segmented by the others, with a warning.")
    ] = "refuse",
    raw: Raw = False,
    mapping: Map = None,
    align: Align = None,
    grid: Grid = None,
    strip_ensemble: StripEnsemble = False,
    no_strip: NoStrip = False,
    brain: Annotated[
        bool, typer.Option("--brain-mask", help="For --raw: write <case>_brain.nii.gz too, where one was found.")
    ] = False,
    seg: Annotated[
        bool, typer.Option("--seg", help="For --raw and DICOM: write <case>_seg.dcm too; it names the patient.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse cases that there is a warning of.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
) -> None:
    """Segment brain tumours: four volumes of each case in, a label map on the same grid out."""
    profile_tta, profile_region = _PROFILES[profile]
    if not all((*cases, output, "no engine" if engine is None else engine)):
        raise CaseError(
            "an empty name was given for a case, the output or the engine: is a variable of the shell unset?"
        )
    flags = {"--raw": raw, "--strip-ensemble": strip_ensemble, "--no-strip": no_strip, "--brain-mask": brain}
    options = raw_options(flags | {"--seg": seg}, mapping=mapping or (), align=align, grid=grid)
    jobs = plan_jobs(
        [Path(case) for case in cases],
        Path(output),
        probabilities=probabilities,
        entropy=entropy,
        preview=preview,
        report=report,
        brain=brain,
        seg=seg,
    )
    check_folder(Path(output))
    cohort = _plan_cohort(Path(output), overwrite=overwrite) if report else None
    with spoken_warnings():
        segmenter = Segmenter(
            engine,
            device=device,
            runtime=runtime,
            precision=precision,
            tta=profile_tta if tta is None else tta,
            min_region=profile_region if min_region is None else min_region,
            labels=labels,
            keep_probabilities=True if probabilities or entropy else "calibrated",
            keep_volumes=preview or report,
            strict=strict,
            missing=missing,
        )
    outcomes: list[Done | Failed] = []
    try:
        with case_progress(len(jobs)) as progress:
            for outcome in run_jobs(segmenter, jobs, progress, overwrite=overwrite, raw=options or False):
                outcomes.append(outcome)  # noqa: PERF402  # kept one by one, for an interruption
    finally:  # what is done is reported, also when the run is interrupted
        _report(segmenter, outcomes, as_json=as_json)
        if cohort is not None and outcomes:
            _write_cohort(outcomes, cohort)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
    if failed:
        raise typer.Exit(2 if all(outcome.expected for outcome in failed) else 1)


def _plan_cohort(folder: Path, *, overwrite: bool) -> Path:
    """Where the page that links the cases goes; what would keep any page from being written is found before the run."""
    from ..report import load_viewer

    load_viewer()
    path = folder / "index.html"
    if os.path.lexists(path) and not overwrite:
        raise CaseError(f"{path}: exists already and is kept; pass --overwrite or another output folder")
    check_target(path)
    return path


def _write_cohort(outcomes: Sequence[Done | Failed], path: Path) -> None:
    from ..report import save_cohort

    pages = [outcome.page for outcome in outcomes if isinstance(outcome, Done) and outcome.page is not None]
    if not pages:  # nothing was written, and the output folder may not be there
        return
    failed = {outcome.job.name: outcome.error for outcome in outcomes if isinstance(outcome, Failed)}
    save_cohort(pages, path, failed=failed, overwrite=True)


def _report(segmenter: Segmenter, outcomes: Sequence[Done | Failed], *, as_json: bool) -> None:
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    if as_json:
        failed = [outcome for outcome in outcomes if isinstance(outcome, Failed)]
        typer.echo(json.dumps(_document(segmenter, done, failed), indent=2))
    elif done:
        volumes = {outcome.job.name: outcome.volumes_ml for outcome in done}
        timings = {outcome.job.name: outcome.timings_ms for outcome in done}
        stdout().print(volume_table(volumes), "", sep="\n")
        if segmenter.calibration is not None:
            confidence = {outcome.job.name: outcome.confidence or {} for outcome in done}
            stdout().print(confidence_table(confidence, segmenter.calibration.fitted_on), "", sep="\n")
        stdout().print(timing_table(timings), "", NOTICE, sep="\n")


def _document(segmenter: Segmenter, done: Sequence[Done], failed: Sequence[Failed]) -> dict[str, Any]:
    return {
        "software": f"brats_trt {__version__}",
        "notice": NOTICE,
        "model_sha256": segmenter.model_sha256,
        "device": segmenter.device,
        "runtime": segmenter.runtime,
        "precision": segmenter.precision,
        "cases": [
            {
                "case": outcome.job.name,
                "labels": str(outcome.job.labels),
                "probabilities": outcome.job.probabilities and str(outcome.job.probabilities),
                "entropy": outcome.job.entropy and str(outcome.job.entropy),
                "preview": outcome.job.preview and str(outcome.job.preview),
                "report": outcome.job.report and str(outcome.job.report),
                "seg": str(outcome.job.seg) if outcome.job.seg in outcome.written else None,
                "brain": str(outcome.job.brain) if outcome.job.brain in outcome.written else None,
                "volumes_ml": outcome.volumes_ml,
                "confidence": outcome.confidence,
                "timings_ms": outcome.timings_ms,
                "warnings": list(outcome.warnings),
                "masked": outcome.record["masked"],
                "record": outcome.record,
            }
            for outcome in done
        ],
        "failed": [{"case": outcome.job.name, "error": outcome.error} for outcome in failed],
    }
