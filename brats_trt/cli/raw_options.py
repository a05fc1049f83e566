"""The options of commands that take raw exams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ..errors import CaseError
from ..raw.options import Alignment, RawOptions, Strip
from ..spec import Modality

MAP_HELP = "The series of a modality, such as t1ce=5: by the number, UID or description that `series` shows."

Raw = Annotated[
    bool, typer.Option("--raw", help="CASE is an exam as it left the scanner: DICOM, or NIfTI on grids of their own.")
]
Map = Annotated[list[str] | None, typer.Option("--map", metavar="MODALITY=SERIES", help=MAP_HELP)]
Align = Annotated[
    Alignment | None, typer.Option(help="For --raw: by the headers' places alone (header), or registered on top.")
]
Grid = Annotated[
    Modality | None, typer.Option(help="For --raw: the series whose grid the labels come on; t1ce unless told.")
]
StripOption = Annotated[
    Strip | None, typer.Option(help="For --raw: find the brain by one network (auto), five (ensemble), or never.")
]


def raw_options(
    *, raw: bool, mapping: Sequence[str], align: Alignment | None, grid: Modality | None, strip: Strip | None
) -> RawOptions | None:
    """What was asked for; None without `--raw`.

    Raises
    ------
    CaseError
        If something is asked for that only raw exams have, or `--map` is not understood.
    """
    given = {"--map": mapping, "--align": align, "--grid": grid, "--strip": strip}
    if not raw:
        alone = [name for name, value in given.items() if value]
        if alone:
            raise CaseError(f"{', '.join(alone)} is for raw exams: pass --raw too, or leave it out")
        return None
    return RawOptions(parse_mapping(mapping), align or "header", grid or "t1ce", strip or "auto")


def parse_mapping(options: Sequence[str]) -> dict[str, str]:
    """Modality to series from `t1ce=5` and the like.

    Raises
    ------
    CaseError
        If an option is not of that form, or names a modality twice.
    """
    mapping: dict[str, str] = {}
    for option in options:
        modality, equals, series = option.partition("=")
        if not (modality and equals and series):
            raise CaseError(f"--map {option}: expected MODALITY=SERIES, such as t1ce=5")
        if modality in mapping:
            raise CaseError(f"--map {option}: {modality} is mapped already; map each modality once")
        mapping[modality] = series
    return mapping
