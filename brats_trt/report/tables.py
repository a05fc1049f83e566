"""The tables of a case's page. Numbers are rounded for reading; the page's JSON holds them in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..measures import Measures, StructureMeasures
from ..segmentation import Segmentation
from .markup import section, text

TITLES = {
    "whole_tumour": "Whole tumour",
    "tumour_core": "Tumour core",
    "enhancing": "Enhancing tumour",
    "necrotic": "Necrotic core",
    "oedema": "Oedema",
}
PARTS = ("enhancing", "necrotic", "oedema")
NOT_STATED = "not stated"
_NOT_KNOWN = "\u2013"
_EXPECTED = "Dice to be expected"

_COLUMNS = (
    "Volume (ml)",
    "Largest diameter (mm)",
    "Largest axial diameter (mm)",
    "Side of the head",
    "Centroid x, y, z (mm)",
    "Bounding box (mm)",
)
_STAGES = {
    "load": "Load the files",
    "align": "Align the series",
    "strip": "Find the brain",
    "inspect": "Look the case over",
    "prepare": "Find the head, normalise, resample",
    "infer": "Network",
    "restore": "Resample back, label",
    "regions": "Drop small regions",
    "total": "Total",
}
_DEFINITIONS = (
    "Lengths go from edge to edge of the voxels, within one lesion: a connected part of the whole tumour. The axial "
    "plane is the plane of voxels most nearly perpendicular to the scanner's z axis. Coordinates are the scanner's, "
    "in mm: x grows to the patient's right, y to the front, z to the top. A side is the patient's, and has at least "
    "90 % of the volume; the midline is taken through the middle of the head's box."
)


@dataclass(frozen=True)
class ExpectedDice:
    """What a calibrated model expects of its answer, by structure, and what it was calibrated on."""

    dice: Mapping[str, float | None]
    fitted_on: str

    def cell(self, structure: str) -> str:
        """A structure's, or a dash where it is not known."""
        dice = self.dice.get(structure)
        return _NOT_KNOWN if dice is None else number(dice, 2)

    @property
    def meaning(self) -> str:
        """The definition below the table."""
        return (
            " The Dice to be expected is what cases about which the network was as sure had on average, among "
            f"{self.fitted_on}: it tells nothing of scans unlike these."
        )


def expected_dice(result: Segmentation) -> ExpectedDice | None:
    """What is shown of a result's confidence: nothing without a calibration, or where probabilities were not kept."""
    if result.calibration is None or result.softmax is None or result.confidence is None:
        return None
    return ExpectedDice(result.confidence, result.calibration.fitted_on)


def number(value: float, digits: int = 1) -> str:
    """A rounded number with a real minus sign."""
    rounded = f"{value:.{digits}f}"
    return (rounded[1:] if float(rounded) == 0 and rounded.startswith("-") else rounded).replace("-", "\u2212")


def summary(measures: Measures, *, oriented: bool) -> str:
    """The finding in a sentence or two."""
    whole = measures.structures["whole_tumour"]
    if whole is None:
        return "No tumour found."
    lesions = "one lesion" if measures.lesions == 1 else f"{measures.lesions} lesions"
    side = f" on {_where(whole)}" if oriented else ""
    sentence = (
        f"Whole tumour {number(whole.volume_ml)} ml{side}, in {lesions}; largest diameter "
        f"{number(whole.diameter_mm)} mm, {number(whole.axial_diameter_mm)} mm in the axial plane."
    )
    enhancing = measures.structures["enhancing"]
    return sentence + (
        " No enhancing tumour." if enhancing is None else f" Enhancing {number(enhancing.volume_ml)} ml."
    )


def measures_table(measures: Measures, *, oriented: bool, expected: ExpectedDice | None = None) -> str:
    """A row a structure, and the definitions below."""
    rows = []
    columns = _COLUMNS if expected is None else (*_COLUMNS, _EXPECTED)
    for key, title in TITLES.items():
        found = measures.structures[key]
        cells = [*_cells(found, oriented=oriented)] if found else [number(0.0), *["none"] * (len(_COLUMNS) - 1)]
        if expected is not None:
            cells.append(expected.cell(key))
        rows.append(_row(title, columns, cells, "part" if key in PARTS else ""))
    lesions = f"{measures.lesions} lesion{'' if measures.lesions == 1 else 's'}"
    return (
        f'<table class="stacks" role="table"><caption>Of the tumour and its parts; {lesions}</caption>{_head(columns)}'
        f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>'
        f'<p class="quiet definitions">{text(_DEFINITIONS + (expected.meaning if expected else ""))}</p>'
    )


def run_tables(result: Segmentation) -> str:
    """What was segmented by what, and how long each stage took."""
    shape = " \u00d7 ".join(map(str, result.labels.shape))
    sizes = " \u00d7 ".join(f"{size:.3g}" for size in np.linalg.norm(result.affine[:3, :3], axis=0))
    facts = {
        "Case": result.name,
        "Grid": f"{shape} voxels of {sizes} mm",
        "Label scheme": result.label_scheme,
        "Model (sha256)": result.model_sha256,
    }
    listed = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in facts.items())
    return f"<dl>{listed}</dl>{_times(result.timings_ms)}"


def warning_list(warnings: Sequence[str]) -> str:
    """The warnings of a run, or nothing."""
    if not warnings:
        return ""
    items = "".join(f"<li>{text(warning)}</li>" for warning in warnings)
    return section("warnings", "Warnings", f'<ul class="warning">{items}</ul>')


def side(found: StructureMeasures, *, oriented: bool) -> str:
    """The side in words, with the share of the left where it is both."""
    if not oriented:
        return NOT_STATED
    return found.side if found.side != "both sides" else f"both sides, left {100 * found.left_share:.0f} %"


def _where(found: StructureMeasures) -> str:
    return "both sides of the head" if found.side == "both sides" else f"the {found.side} side of the head"


def _cells(found: StructureMeasures, *, oriented: bool) -> tuple[str, ...]:
    box = [
        f'<span class="unbroken">{axis} {number(low)} to {number(high)}</span>'
        for axis, low, high in zip("xyz", found.lower_mm, found.upper_mm, strict=True)
    ]
    return (
        number(found.volume_ml),
        number(found.diameter_mm),
        number(found.axial_diameter_mm),
        side(found, oriented=oriented),
        f'<span class="unbroken">{", ".join(number(value) for value in found.centroid_mm)}</span>',
        f"<span>{'<br>'.join(box)}</span>",
    )


def _row(title: str, columns: Sequence[str], cells: Sequence[str], kind: str) -> str:
    data = "".join(
        f'<td role="cell" data-label="{text(column)}">{cell}</td>' for column, cell in zip(columns, cells, strict=True)
    )
    return f'<tr role="row" class="{kind}"><th role="rowheader" scope="row">{text(title)}</th>{data}</tr>'


def _head(columns: Sequence[str]) -> str:
    cells = "".join(f'<th role="columnheader" scope="col">{text(column)}</th>' for column in ("Structure", *columns))
    return f'<thead role="rowgroup"><tr role="row">{cells}</tr></thead>'


def _times(timings_ms: Mapping[str, float]) -> str:
    def row(stage: str) -> str:
        return f'<tr><th scope="row">{_STAGES.get(stage, text(stage))}</th><td>{number(timings_ms[stage])}</td></tr>'

    stages = "".join(row(stage) for stage in timings_ms if stage != "total")
    return (
        '<table class="narrow"><caption>Times of the stages</caption><thead><tr><th scope="col">Stage</th>'
        f'<th scope="col">ms</th></tr></thead><tbody>{stages}</tbody><tfoot>{row("total")}</tfoot></table>'
    )
