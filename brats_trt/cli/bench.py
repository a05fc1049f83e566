"""`brats-trt bench`: times, throughput and memory of the whole job, with their conditions."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..backend_choice import Device
from ..errors import CaseError
from ..files import check_folder, check_target, write_whole
from ..notice import NOTICE
from ..plans.manifest import manifest_path
from ..segmenter import demo_model
from .console import spoken_warnings, stderr, stdout

if TYPE_CHECKING:
    from ..bench.document import Report

_FilePath = str | None


def measure_speed(
    case: Annotated[
        str | None,
        typer.Argument(metavar="CASE", help="A case folder, or a 4-D Decathlon file; else the demo's phantom."),
    ] = None,
    engine: Annotated[
        str | None, typer.Option(metavar="E", help="An .onnx file or a plan; without it the demo model.")
    ] = None,
    runs: Annotated[int, typer.Option(metavar="N", min=1, help="Counted runs of each job.")] = 20,
    warmup: Annotated[int, typer.Option(metavar="N", min=0, help="Runs before them that are not counted.")] = 3,
    cold_starts: Annotated[int, typer.Option(metavar="N", min=1, help="Fresh processes for the cold start.")] = 3,
    workers: Annotated[
        list[int] | None, typer.Option(metavar="N", min=1, help="Segmenters at once; once for each. 1, 2 and 4.")
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average with the mirrored input.")] = False,
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="What the network computes in on the CPU.")
    ] = "auto",
    runtime: Annotated[
        Literal["auto", "native", "openvino"], typer.Option(help="What computes the network on the CPU.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(metavar="N", min=1, help="Without it all cores.")] = None,
    device: Annotated[Device, typer.Option(help="Where to run; never changed quietly.")] = "auto",
    deadline: Annotated[
        float | None, typer.Option(metavar="MS", help="Report the share of runs that took at most this long.")
    ] = None,
    json_file: Annotated[_FilePath, typer.Option("--json", metavar="FILE", help="Keep everything as JSON.")] = None,
    plot: Annotated[_FilePath, typer.Option(metavar="FILE.png", help="Draw stages and totals.")] = None,
    compare: Annotated[_FilePath, typer.Option(metavar="OTHER.json", help="Print ratios to this one.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
) -> None:
    """Measure the whole job: arrays to labels, files to file, cold starts, and several segmenters at once."""
    from ..bench.document import read_report
    from ..bench.run import WORKERS, Plan, Setup, run_bench

    if "" in (case, engine, json_file, plot, compare):
        raise CaseError("an empty name was given for an input or an output: is a variable of the shell unset?")
    if deadline is not None and not 0 < deadline < math.inf:
        raise CaseError(f"the deadline is {deadline} ms; expected a number above 0")
    _check_outputs(json_file, plot, overwrite=overwrite)
    _keep_inputs(case, engine, [name for name in (json_file, plot) if name is not None])
    other = None if compare is None else read_report(Path(compare))
    setup = Setup(
        engine=None if engine is None else Path(engine),
        device=device,
        tta=tta,
        runtime=runtime,
        precision=precision,
        threads=threads,
    )
    plan = Plan(runs, warmup, cold_starts, tuple(dict.fromkeys(workers or WORKERS)), deadline)
    with spoken_warnings():
        report = run_bench(
            setup,
            plan,
            case=None if case is None else Path(case),
            say=lambda line: stderr().print(line, markup=False),
        )
    try:
        _write(report, json_file, plot)
    finally:  # what took minutes to measure is not lost with a full disk
        _print(report, other, compare or "")


def _check_outputs(json_file: str | None, plot: str | None, *, overwrite: bool) -> None:
    """Refuse, before anything is measured, what could not be written afterwards."""
    if plot is not None and Path(plot).suffix.lower() != ".png":
        raise CaseError(f"{plot}: the plot is a PNG; expected a name that ends in .png")
    if json_file is not None and plot is not None and os.path.abspath(json_file) == os.path.abspath(plot):
        raise CaseError(f"{plot}: is named for the JSON and for the plot: give each its own name")
    for path in (Path(name) for name in (json_file, plot) if name is not None):
        if not path.parent.is_dir():
            raise CaseError(f"{path}: there is no folder {path.parent}: make it, or choose another")
        check_folder(path.parent)
        check_target(path)
        if os.path.lexists(path) and not overwrite:
            raise CaseError(f"{path}: exists already and is kept; pass --overwrite or another name")


def _keep_inputs(case: str | None, engine: str | None, outputs: Sequence[str]) -> None:
    """Refuse to write over the case or the engine, or over what is on record beside the engine."""
    model = demo_model() if engine is None else Path(engine)
    inputs = [model, manifest_path(model), model.with_suffix(".json")]
    if case is not None:
        inputs += [Path(case), *Path(case).glob("*")]
    for output in outputs:
        if any(os.path.exists(output) and os.path.exists(path) and os.path.samefile(output, path) for path in inputs):
            raise CaseError(f"{output}: belongs to the engine or the case and is kept; choose another output")


def _write(report: Report, json_file: str | None, plot: str | None) -> None:
    """Write the outputs once the content of both is there."""
    contents: list[tuple[Path, bytes]] = []
    if json_file is not None:
        from ..bench.document import to_json

        contents.append((Path(json_file), to_json(report).encode()))
    if plot is not None:
        from ..bench.plot import draw_report
        from ..pictures.png import encode_png

        contents.append((Path(plot), encode_png(draw_report(report))))
    for path, content in contents:
        write_whole(path, content)


def _print(report: Report, other: Report | None, name: str) -> None:
    from ..bench.legend import conditions_lines
    from .bench_tables import difference_lines, job_table, memory_line, ratio_table, throughput_table

    console = stdout()
    for job in report.jobs:
        console.print(job_table(job), "", sep="\n")
    console.print(throughput_table(report.throughput), "", sep="\n")
    lines: Sequence[str] = [memory_line(report.memory), *conditions_lines(report.conditions)]
    if report.deadline is not None:
        found = report.deadline
        lines = [
            f"Within {found.deadline_ms:g} ms: {found.arrays_share:.1%} of the runs from arrays, "
            f"{found.files_share:.1%} of those from files",
            *lines,
        ]
    console.print(*lines, sep="\n", markup=False)
    if other is not None:
        from ..bench.comparison import compare

        comparison = compare(report, other)
        console.print("", ratio_table(comparison, name), "", sep="\n")
        console.print(*difference_lines(comparison), sep="\n", markup=False)
    console.print(NOTICE)
