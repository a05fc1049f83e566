"""`brats-trt series`: what was understood of an exam."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ..exam import Exam, Series, described, read_exam
from ..files import write_whole
from ..notice import NOTICE
from .console import stdout
from .outputs import check_outputs
from .raw_options import Map, parse_mapping


def show_series(
    exam: Annotated[Path, typer.Argument(metavar="EXAM", help="A folder of DICOM files, nested or flat.")],
    mapping: Map = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write it as JSON, without descriptions and UIDs.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
) -> None:
    """Show an exam's series, and which modality each was taken for; exit code 2 where the four are not found."""
    check_outputs({} if json_file is None else {"json": json_file}, overwrite=overwrite)
    found = read_exam(exam, parse_mapping(mapping or ()))
    if json_file is not None:
        write_whole(json_file, json.dumps(_document(found), indent=1).encode())
    stdout().print(_table(found), _passed_over(found), NOTICE, sep="\n")
    found.chosen()


def _table(exam: Exam) -> Table:
    table = Table("series", "description", "volume", "modality", "by", box=None, header_style="bold")
    for entry in exam.series:
        modality = entry.recognition.modality
        style = "green" if modality else "dim"
        table.add_row(
            str(entry.number),
            escape(entry.description),
            described(entry),
            modality or "",
            escape(entry.recognition.reason),
            style=style,
        )
    return table


def _passed_over(exam: Exam) -> str:
    return f"Files that are no DICOM, passed over: {exam.passed_over}." if exam.passed_over else ""


def _document(exam: Exam) -> dict[str, Any]:
    frames = list(dict.fromkeys(entry.frame_of_reference for entry in exam.series))
    return {
        "notice": NOTICE,
        "passed_over": exam.passed_over,
        "series": [
            _entry(entry) | {"frame_of_reference": frames.index(entry.frame_of_reference) + 1} for entry in exam.series
        ],
    }


def _entry(entry: Series) -> dict[str, Any]:
    return {
        "number": entry.number,
        "modality": entry.recognition.modality,
        "reason": entry.recognition.reason,
        "images": entry.images,
        "shape": None if entry.stack is None else entry.stack.shape,
        "affine": None if entry.stack is None else entry.stack.affine.tolist(),
    }
