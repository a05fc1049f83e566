"""The tables of `brats-trt evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isnan, nan

from rich.table import Table

from ..evaluation import Evaluation
from ..evaluation.order_audit import RANKED_BY, OrderAudit
from ..evaluation.published import PUBLISHED, PUBLISHED_NOTICE
from ..metrics import STRUCTURES
from .console import plain_table


@dataclass(frozen=True)
class _Column:
    """How a score stands in a table; percentages are a hundred times what is kept."""

    title: str
    decimals: int
    factor: float = 1.0

    def cell(self, value: float) -> str:
        return "-" if isnan(value) else f"{value * self.factor:.{self.decimals}f}"


_COLUMNS = {
    "dice": _Column("Dice", 3),
    "hd95_mm": _Column("HD95 mm", 2),
    "sensitivity": _Column("sensitivity", 3),
    "specificity": _Column("specificity", 5),
    "volume_error_ml": _Column("error ml", 2),
    "relative_volume_error": _Column("error %", 1, 100.0),
}
_STATISTICS = {"mean": "Mean", "median": "Median", "standard_deviation": "Standard deviation"}
_SHORT = {"whole tumour": "WT", "tumour core": "TC", "enhancing": "ET"}


def case_table(evaluation: Evaluation, metric: str) -> Table:
    """One score, a row a case, a column a structure."""
    column = _COLUMNS[metric]
    rows = {
        case.pair.name: [column.cell(getattr(case.structures[structure], metric)) for structure in STRUCTURES]
        for case in evaluation.cases
    }
    return plain_table(column.title, tuple(STRUCTURES), rows)


def statistics_tables(evaluation: Evaluation) -> Iterator[Table]:
    """Mean, median and standard deviation, a row a structure, a column a score; and the counts, if not all count."""
    titles, summary = [column.title for column in _COLUMNS.values()], evaluation.summary
    for statistic, title in _STATISTICS.items():
        rows = {
            structure: [
                column.cell(getattr(summary[structure][metric], statistic)) for metric, column in _COLUMNS.items()
            ]
            for structure in STRUCTURES
        }
        yield plain_table(title, titles, rows, first="structure")
    counts = {structure: [summary[structure][metric].n for metric in _COLUMNS] for structure in STRUCTURES}
    number = len(evaluation.cases)
    if any(count != number for row in counts.values() for count in row):
        cells = {structure: [str(count) for count in row] for structure, row in counts.items()}
        yield plain_table(f"Cases that count, of {number}", titles, cells, first="structure")


def published_table() -> Table:
    """The released model's published Dice."""
    column = _COLUMNS["dice"]
    rows = {row.short: [column.cell(row.dice.get(structure, nan)) for structure in STRUCTURES] for row in PUBLISHED}
    return plain_table(f"Dice. {PUBLISHED_NOTICE}", tuple(STRUCTURES), rows, first="source")


def order_table(audit: OrderAudit) -> Table:
    """All 24 orders, best first."""
    rows = {}
    for rank, order in enumerate(audit.ranking, start=1):
        mark = " *" if order.modalities == audit.stored else ""
        dice = [f"{order.dice[structure]:.4f}" for structure in STRUCTURES]
        rows[f"{rank:2} {', '.join(order.modalities)}{mark}"] = [f"{order.mean:.4f}", *dice]
    ranked_by = ", ".join(_SHORT[structure] for structure in RANKED_BY)
    title = f"Dice by order of modalities, ranked by the mean of {ranked_by}; * is the model's own"
    return plain_table(title, ("mean", *(_SHORT.get(name, name) for name in STRUCTURES)), rows, first="order")


def verdict(audit: OrderAudit) -> str:
    """What the ranking says of the order in the model's spec."""
    best, second = audit.ranking[:2]
    lead = f"by {best.mean - second.mean:.4f} before {', '.join(second.modalities)}"
    if audit.rank_of_stored == 1:
        return f"the order in the model's spec, {', '.join(audit.stored)}, is the best of 24, {lead}"
    return (
        f"the order in the model's spec, {', '.join(audit.stored)}, ranks {audit.rank_of_stored} of 24; "
        f"the best is {', '.join(best.modalities)}, {lead}"
    )
