"""The tables of `brats-trt evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from math import isnan, nan

from rich.table import Table

from ..evaluation import Evaluation
from ..evaluation.order_audit import RANKED_BY, OrderAudit
from ..evaluation.published import PUBLISHED, PUBLISHED_NOTICE
from ..evaluation.scores import METRICS
from ..evaluation.summary import Summary
from ..metrics import STRUCTURES
from .console import plain_table

_DECIMALS = {"hd95_mm": 2, "volume_error_ml": 2, "specificity": 5}
_OTHER_DECIMALS = 3
_STATISTICS = {"mean": "Mean", "median": "Median", "standard_deviation": "Standard deviation"}


def case_table(evaluation: Evaluation, metric: str) -> Table:
    """One score, a row a case, a column a structure."""
    rows = {
        case.pair.name: [_number(getattr(case.structures[structure], metric), metric) for structure in STRUCTURES]
        for case in evaluation.cases
    }
    return plain_table(METRICS[metric], tuple(STRUCTURES), rows)


def statistics_tables(summary: Summary) -> Iterator[Table]:
    """Mean, median and standard deviation, a row a structure, a column a score; then how many cases count."""
    for statistic, title in _STATISTICS.items():
        rows = {
            structure: [_number(getattr(statistics, statistic), metric) for metric, statistics in by_metric.items()]
            for structure, by_metric in summary.items()
        }
        yield plain_table(title, tuple(METRICS.values()), rows, first="structure")
    counts = {
        structure: [str(statistics.n) for statistics in by_metric.values()] for structure, by_metric in summary.items()
    }
    yield plain_table("Cases that count", tuple(METRICS.values()), counts, first="structure")


def published_table() -> Table:
    """The released model's published Dice."""
    rows = {
        f"{row.source}: {row.data}": [_number(row.dice.get(structure, nan), "dice") for structure in STRUCTURES]
        for row in PUBLISHED
    }
    return plain_table(f"Dice. {PUBLISHED_NOTICE}", tuple(STRUCTURES), rows, first="source")


def order_table(audit: OrderAudit) -> Table:
    """All 24 orders, best first."""
    rows = {}
    for rank, order in enumerate(audit.ranking, start=1):
        mark = " (the model's)" if order.modalities == audit.stored else ""
        dice = [f"{order.dice[structure]:.4f}" for structure in STRUCTURES]
        rows[f"{rank:2} {', '.join(order.modalities)}{mark}"] = [f"{order.mean:.4f}", *dice]
    title = f"Dice by order of modalities, ranked by the mean over {', '.join(RANKED_BY)}"
    return plain_table(title, ("mean", *STRUCTURES), rows, first="order")


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


def _number(value: float, metric: str) -> str:
    return "-" if isnan(value) else f"{value:.{_DECIMALS.get(metric, _OTHER_DECIMALS)}f}"
