"""An evaluation as JSON and as CSV; `docs/evaluate.md` describes both."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict
from importlib.metadata import version
from io import StringIO
from math import isnan
from typing import TYPE_CHECKING, Any

from ..metrics import STRUCTURES
from ..notice import NOTICE
from . import CaseScores, Evaluation
from .published import PUBLISHED, PUBLISHED_NOTICE
from .scores import EMPTY_CONVENTIONS, METRICS

if TYPE_CHECKING:
    from .order_audit import OrderAudit

SCHEMA_VERSION = 1

HD95_STATEMENTS = {
    "max": "the greater of the two directions' 95th percentiles",
    "pooled": "the 95th percentile of both directions' distances together",
}
SURFACE_STATEMENT = "between centres of surface voxels (a face neighbour outside), in mm by the affine"
DEVIATION_STATEMENT = "of the sample, over n - 1"

_CSV_COLUMNS = ("row", "case", "structure", "predicted_ml", "reference_ml", *METRICS)
_STATISTICS = ("n", "mean", "median", "standard_deviation")


def conventions(evaluation: Evaluation) -> dict[str, str]:
    """How the numbers came about, in words, by what they are about."""
    options = evaluation.options
    return {
        "labels": f"predictions {options.labels}, references {options.reference_labels}",
        "hd95": f"{options.hd95}: {HD95_STATEMENTS[options.hd95]} {SURFACE_STATEMENT}",
        "empty": f"{options.empty}: {EMPTY_CONVENTIONS[options.empty].statement}",
        "standard_deviation": DEVIATION_STATEMENT,
    }


def json_document(evaluation: Evaluation) -> bytes:
    """The whole evaluation; scores that do not count are null."""
    options = evaluation.options
    document = {
        "schema_version": SCHEMA_VERSION,
        "software": f"brats_trt {version('brats-trt')}",
        "notice": NOTICE,
        "options": {
            "labels": options.labels,
            "reference_labels": options.reference_labels,
            "empty": options.empty,
            "hd95": options.hd95,
        },
        "conventions": conventions(evaluation),
        "cases": [_case(case) for case in evaluation.cases],
        "summary": {
            structure_key(structure): {metric: asdict(statistics) for metric, statistics in by_metric.items()}
            for structure, by_metric in evaluation.summary.items()
        },
        "left_out": {
            "predictions": list(evaluation.pairing.only_predicted),
            "references": list(evaluation.pairing.only_reference),
        },
        "published": {
            "notice": PUBLISHED_NOTICE,
            "dice": [
                {
                    "source": row.source,
                    "data": row.data,
                    **{structure_key(structure): row.dice.get(structure) for structure in STRUCTURES},
                }
                for row in PUBLISHED
            ],
        },
    }
    return (json.dumps(_without_nan(document), indent=2) + "\n").encode()


def csv_document(evaluation: Evaluation) -> bytes:
    """A row a case and structure, then a row a statistic and structure; scores that do not count are blank."""
    stream = StringIO()
    writer = csv.DictWriter(stream, _CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for case in evaluation.cases:
        for structure, scores in case.structures.items():
            row: dict[str, Any] = {"row": "case", "case": case.pair.name, "structure": structure_key(structure)}
            writer.writerow(_blank_nan({**row, **asdict(scores)}))
    for statistic in _STATISTICS:
        for structure, by_metric in evaluation.summary.items():
            values = {metric: getattr(statistics, statistic) for metric, statistics in by_metric.items()}
            writer.writerow(_blank_nan({"row": statistic, "structure": structure_key(structure), **values}))
    return stream.getvalue().encode()


def audit_document(audit: OrderAudit, model_sha256: str) -> bytes:
    """The ranking of the orders of modalities as JSON."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "software": f"brats_trt {version('brats-trt')}",
        "notice": NOTICE,
        "model_sha256": model_sha256,
        "cases": list(audit.cases),
        "stored": {"modalities": list(audit.stored), "rank": audit.rank_of_stored},
        "ranking": [
            {
                "modalities": list(order.modalities),
                "mean_dice": order.mean,
                "dice": {structure_key(structure): value for structure, value in order.dice.items()},
            }
            for order in audit.ranking
        ],
    }
    return (json.dumps(document, indent=2) + "\n").encode()


def structure_key(structure: str) -> str:
    """A structure's name in documents, that of `Segmentation.volumes_ml`."""
    return structure.replace(" ", "_")


def _case(case: CaseScores) -> dict[str, Any]:
    return {
        "case": case.pair.name,
        "prediction": str(case.pair.prediction),
        "reference": str(case.pair.reference),
        "structures": {structure_key(structure): asdict(scores) for structure, scores in case.structures.items()},
    }


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and isnan(value) else value


def _blank_nan(row: dict[str, Any]) -> dict[str, Any]:
    return {key: "" if isinstance(value, float) and isnan(value) else value for key, value in row.items()}
