"""The page that links the pages of the cases of one run: columns to sort by, a field to search in, small pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from ..measures import Measures
from ..notice import NOTICE
from .markup import asset, fill, link, picture, section, text
from .tables import NOT_STATED, number, side

_COLUMNS = (
    ("case", "Case", "words"),
    ("whole", "Whole tumour (ml)", ""),
    ("core", "Tumour core (ml)", ""),
    ("enhancing", "Enhancing (ml)", ""),
    ("diameter", "Largest diameter (mm)", ""),
    ("lesions", "Lesions", ""),
    ("side", "Side of the head", "words"),
    ("time", "Time (s)", ""),
    ("warnings", "Warnings", "words"),
)


@dataclass(frozen=True, eq=False)
class CaseSummary:
    """What a cohort's page says of a case.

    Attributes
    ----------
    name
        The case's.
    page
        The name of the file that its page was written to.
    thumbnail
        A PNG.
    volumes_ml, measures, warnings
        Of its result.
    oriented
        Whether the input says how it lies in the patient.
    seconds
        From the files to the result.
    """

    name: str
    page: str
    thumbnail: bytes
    volumes_ml: Mapping[str, float]
    measures: Measures
    warnings: tuple[str, ...]
    oriented: bool
    seconds: float


def draw_cohort(cases: Sequence[CaseSummary], failed: Mapping[str, str]) -> str:
    """The page's HTML.

    Parameters
    ----------
    failed
        The error of each case that has no page.
    """
    heads = "".join(_heading(key, title, kind) for key, title, kind in _COLUMNS)
    return fill(
        "cohort.html",
        notice=text(NOTICE),
        version=text(version("brats-trt")),
        summary=text(_summary(cases, failed)),
        heads=heads,
        rows="\n".join(map(_row, cases)),
        failed=_failures(failed),
        style=asset("page.css"),
        script=asset("cohort.js"),
    )


def _heading(key: str, title: str, kind: str) -> str:
    """A column's heading. It is a button where the page's script runs."""
    return (
        f'<th role="columnheader" scope="col" class="{kind}" aria-sort="none" data-key="{key}">'
        f'<button type="button">{text(title)}<span class="arrow" aria-hidden="true"></span></button></th>'
    )


def _summary(cases: Sequence[CaseSummary], failed: Mapping[str, str]) -> str:
    count = f"{len(cases)} case{'' if len(cases) == 1 else 's'} segmented"
    return f"{count}, {len(failed)} failed." if failed else f"{count}."


def _row(case: CaseSummary) -> str:
    whole = case.measures.structures["whole_tumour"]
    where = side(whole, oriented=case.oriented) if whole else ("none" if case.oriented else NOT_STATED)
    cells = (
        _number("whole", case.volumes_ml["whole_tumour"]),
        _number("core", case.volumes_ml["tumour_core"]),
        _number("enhancing", case.volumes_ml["enhancing"]),
        _number("diameter", whole.diameter_mm if whole else 0.0),
        _number("lesions", case.measures.lesions, 0),
        _words("side", where),
        _number("time", case.seconds, 2),
        _words("warnings", "; ".join(case.warnings) or "none"),
    )
    shown = picture(case.thumbnail, "")
    name = f'<a href="{link(case.page)}">{shown}<span>{text(case.name)}</span></a>'
    first = f'<th role="rowheader" scope="row" class="words" data-value="{text(case.name)}">{name}</th>'
    return f'<tr role="row">{first}{"".join(cells)}</tr>'


def _number(key: str, value: float, digits: int = 1) -> str:
    return f'<td role="cell" data-label="{_title(key)}" data-value="{value!r}">{number(value, digits)}</td>'


def _words(key: str, value: str) -> str:
    shown = text(value)
    return f'<td role="cell" class="words" data-label="{_title(key)}" data-value="{shown}"><span>{shown}</span></td>'


def _title(key: str) -> str:
    return text(next(title for name, title, _ in _COLUMNS if name == key))


def _failures(failed: Mapping[str, str]) -> str:
    if not failed:
        return ""
    rows = "".join(f"<dt>{text(name)}</dt><dd>{text(error)}</dd>" for name, error in failed.items())
    return section("failed", "Failed", f'<dl class="failed">{rows}</dl>')
