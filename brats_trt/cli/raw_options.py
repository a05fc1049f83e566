"""The options of commands that take raw exams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
StripEnsemble = Annotated[
    bool, typer.Option("--strip-ensemble", help="For --raw: find the brain by five networks, not by one.")
]
NoStrip = Annotated[bool, typer.Option("--no-strip", help="For --raw: take every series as it is, skull and all.")]


def raw_options(
    given: Mapping[str, bool], *, mapping: Sequence[str], align: Alignment | None, grid: Modality | None
) -> RawOptions | None:
    """What was asked for; None without `--raw`.

    Parameters
    ----------
    given
        The flags by name: "--raw", and those that only raw exams have.

    Raises
    ------
    CaseError
        If something is asked for that only raw exams have, two flags contradict each other, or `--map` is not
        understood.
    """
    if not given["--raw"]:
        asked = {**given, "--map": mapping, "--align": align, "--grid": grid}
        alone = [name for name, value in asked.items() if value]
        if alone:
            raise CaseError(f"for raw exams only: {', '.join(alone)}; pass --raw too, or leave it out")
        return None
    if given["--strip-ensemble"] and given["--no-strip"]:
        raise CaseError("--strip-ensemble and --no-strip contradict each other: pass one of them")
    strip: Strip = "ensemble" if given["--strip-ensemble"] else "never" if given["--no-strip"] else "auto"
    return RawOptions(parse_mapping(mapping), align or "header", grid or "t1ce", strip)


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
