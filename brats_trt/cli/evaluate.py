"""`brats-trt evaluate`: label maps against references, and the order of modalities that a model was trained with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ..backend_choice import Device
from ..errors import CaseError
from ..evaluation import Evaluation, Options, score_pairs
from ..evaluation.order_audit import audit_order, find_labelled_cases
from ..evaluation.pairing import pair_cases
from ..evaluation.report import audit_document, conventions, csv_document, json_document
from ..evaluation.scores import EmptyName
from ..evaluation.surfaces import Combination
from ..files import write_whole
from ..notice import NOTICE
from ..segmenter import Segmenter
from ..spec import LabelScheme
from .console import phase_progress, spoken_warnings, stdout
from .outputs import check_outputs
from .score_tables import case_table, order_table, published_table, statistics_tables, verdict

_DEFAULT_LIMIT = 3


def evaluate_cases(
    predictions: Annotated[Path, typer.Argument(metavar="PREDICTIONS", help="A label map, or a folder of them.")],
    references: Annotated[
        Path | None,
        typer.Argument(
            metavar="REFERENCES", help="The references; with --audit-order, where they are not in the cases' folders."
        ),
    ] = None,
    labels: Annotated[LabelScheme, typer.Option(help="Values of the predictions.")] = "brats",
    reference_labels: Annotated[
        LabelScheme | None, typer.Option(help="Values of the references; without it those of the predictions.")
    ] = None,
    empty: Annotated[EmptyName, typer.Option(help="What empty structures score (docs/evaluate.md).")] = "brats",
    hd95: Annotated[Combination, typer.Option(help="How the two directions' distances make one.")] = "max",
    common: Annotated[bool, typer.Option("--common", help="Leave out cases that only one side has.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write everything as JSON.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the scores as CSV.")] = None,
    plot_file: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw box plots as PNG.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    audit: Annotated[
        bool,
        typer.Option("--audit-order", help="Segment PREDICTIONS, which are labelled cases, in all 24 orders instead."),
    ] = False,
    engine: Annotated[
        str | None, typer.Option(metavar="E", help="For --audit-order: the model; without it the demo model.")
    ] = None,
    device: Annotated[Device, typer.Option(help="For --audit-order: where to run.")] = "auto",
    limit: Annotated[
        int, typer.Option(metavar="N", min=1, help="For --audit-order: take the first N cases.")
    ] = _DEFAULT_LIMIT,
) -> None:
    """Score label maps against references: Dice, HD95, sensitivity, specificity and volume error."""
    outputs = {name: path for name, path in (("json", json_file), ("csv", csv_file), ("plot", plot_file)) if path}
    check_outputs(outputs, overwrite=overwrite)
    scheme = reference_labels or labels
    if audit:
        if csv_file or plot_file:
            raise CaseError("--audit-order writes neither --csv nor --plot: use --json")
        with spoken_warnings():
            segmenter = Segmenter(engine, device=device, keep_probabilities=False)
        _audit(segmenter, predictions, references, scheme=scheme, limit=limit, json_file=json_file)
        return
    if references is None:
        raise CaseError("no REFERENCES were given; expected PREDICTIONS and REFERENCES, or --audit-order")
    options = Options(labels, scheme, empty, hd95, common)
    pairing = pair_cases(predictions, references, common=common)
    with phase_progress(f"scoring {len(pairing.pairs)} case(s)") as each:
        evaluation = score_pairs(pairing, options, each=each)
    _write(evaluation, outputs)
    _print(evaluation)


def _write(evaluation: Evaluation, outputs: Mapping[str, Path]) -> None:
    """Write the outputs once the content of all of them is there."""
    inputs = [file for case in evaluation.cases for file in (case.pair.prediction, case.pair.reference)]
    for path in outputs.values():
        if any(os.path.exists(path) and os.path.samefile(path, file) for file in inputs):
            raise CaseError(f"{path}: is an input and is kept; name another output")
    documents: Mapping[str, Callable[[Evaluation], bytes]] = {"json": json_document, "csv": csv_document, "plot": _plot}
    contents = [(path, documents[name](evaluation)) for name, path in outputs.items()]
    for path, content in contents:
        write_whole(path, content)


def _plot(evaluation: Evaluation) -> bytes:
    from ..evaluation.box_plot import draw_box_plot
    from ..pictures.png import encode_png

    return encode_png(draw_box_plot(evaluation))


def _print(evaluation: Evaluation) -> None:
    tables = [case_table(evaluation, metric) for metric in ("dice", "hd95_mm")]
    lines: list[Table | str] = []
    for table in (*tables, *statistics_tables(evaluation), published_table()):
        lines += [table, ""]
    left_out = [*evaluation.pairing.only_predicted, *evaluation.pairing.only_reference]
    if left_out:
        lines.append(f"left out, since only one side has them: {escape(', '.join(left_out))}")
    lines += [f"{name.replace('_', ' ')}: {text}" for name, text in conventions(evaluation).items()]
    stdout().print(*lines, NOTICE, sep="\n")


def _audit(
    segmenter: Segmenter,
    cases: Path,
    references: Path | None,
    *,
    scheme: LabelScheme,
    limit: int,
    json_file: Path | None,
) -> None:
    labelled = find_labelled_cases(cases, references)
    chosen = labelled[:limit]
    with phase_progress(f"segmenting {len(chosen)} case(s) in 24 orders") as each:
        found = audit_order(segmenter, chosen, reference_labels=scheme, each=each)
    if json_file:
        write_whole(json_file, audit_document(found, segmenter.model_sha256))
    used = f"{len(chosen)} of {len(labelled)} labelled cases: {', '.join(found.cases)}"
    stdout().print(order_table(found), "", verdict(found), escape(used), NOTICE, sep="\n")
