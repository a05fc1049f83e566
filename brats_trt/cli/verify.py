"""`brats-trt verify`: whether an output is as it was written, and belongs to these inputs and this model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from .. import __version__
from ..errors import CaseError
from ..notice import NOTICE
from ..records.verification import Verification, verify


def verify_output(
    output: Annotated[
        str,
        typer.Argument(metavar="OUTPUT", help="A label map, probabilities, entropy, a page or a picture."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUTS...]",
            help="The case folder, its four files (or MODALITY=FILE each), or its 4-D Decathlon file.",
            show_default=False,
        ),
    ] = None,
    engine: Annotated[str | None, typer.Option(metavar="E", help="The .onnx file or the plan that ran.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document, with the record.")] = False,
) -> None:
    """Say whether an output is unchanged and belongs to these inputs and this model. Exit code 1: something differs."""
    if not all((output, *(inputs or ()), "no engine" if engine is None else engine)):
        raise CaseError("an empty name was given for an output, an input or the engine: is a variable unset?")
    found = verify(output, inputs or (), engine=engine)
    if as_json:
        typer.echo(json.dumps(_document(output, found), indent=2))
    else:
        typer.echo("\n".join(_lines(output, found)))
    if not found.holds:
        raise typer.Exit(1)


def _lines(output: str, found: Verification) -> list[str]:
    subjects = max(len(check.subject) for check in found.checks)
    states = max(len(check.status) for check in found.checks)
    lines = [f"{check.subject:<{subjects}}  {check.status:<{states}}  {check.finding}" for check in found.checks]
    verdict = "as recorded" if found.holds else "NOT as recorded"
    lines += [f"{output}: {verdict}; written by {found.record.software} on {found.record.date}", NOTICE]
    return [_printable(line) for line in lines]


def _document(output: str, found: Verification) -> dict[str, Any]:
    return {
        "software": f"brats_trt {__version__}",
        "notice": NOTICE,
        "output": output,
        "holds": found.holds,
        "checks": [asdict(check) for check in found.checks],
        "record": found.record.document(),
    }


def _printable(text: str) -> str:
    """A record may hold any text: nothing of it steers the terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
