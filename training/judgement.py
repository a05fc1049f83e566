"""Scores as Markdown: by kind of tumour and image, by size, without modalities; and what is found where nothing is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, median

from score import Score

from brats_trt.errors import CaseError
from brats_trt.metrics import STRUCTURES
from brats_trt.spec import MODALITIES

SIZES = ((5.0, "under 5 ml"), (25.0, "5 to 25 ml"), (75.0, "25 to 75 ml"), (float("inf"), "over 75 ml"))

# Between them stand a model card's tables.
MARKERS = ("<!-- judgement -->\n", "<!-- end of judgement -->\n")


def into_card(card: str, tables: str) -> str:
    """A model card with these tables in place of those between its markers."""
    start, end = (card.find(marker) for marker in MARKERS)
    if not 0 <= start < end:
        lines = " and ".join(map(str.strip, MARKERS))
        raise CaseError(f"the card has no place for tables: put the lines {lines} there")
    return f"{card[: start + len(MARKERS[0])]}\n{tables}\n{card[end:]}"


def report(scores: Sequence[Score]) -> str:
    """Every table that there are scores for."""
    complete = [score for score in scores if not score.absent]
    with_tumour = [score for score in complete if score.reference_ml > 0]
    lines = ["Dice is 1 where a structure is in neither labels nor reference.", ""]
    lines += _dice_table("all with a tumour", [("mean", with_tumour)])
    lines += _dice_table("median", [("median", with_tumour)], median)
    lines += _dice_table("tumour", _groups(with_tumour, lambda score: score.tumour))
    lines += _dice_table("image", _groups(with_tumour, lambda score: score.image))
    lines += _dice_table("size of the whole tumour", sorted(_groups(with_tumour, _size), key=_rank_of_size))
    lines += _without_tumour([score for score in complete if score.reference_ml == 0])
    lines += _without_modalities([score for score in scores if score.absent])
    return "\n".join(lines).rstrip() + "\n"


def _size(score: Score) -> str:
    return next(name for limit, name in SIZES if score.reference_ml <= limit)


def _rank_of_size(group: tuple[str, Sequence[Score]]) -> int:
    return [name for _, name in SIZES].index(group[0])


def _groups(scores: Sequence[Score], key: Callable[[Score], str]) -> list[tuple[str, list[Score]]]:
    names = dict.fromkeys(key(score) for score in scores)
    return [(name, [score for score in scores if key(score) == name]) for name in names]


def _dice_table(
    title: str, rows: Sequence[tuple[str, Sequence[Score]]], centre: Callable[[list[float]], float] = fmean
) -> list[str]:
    lines = [f"| {title} | cases | {' | '.join(STRUCTURES)} |", "| --- " * (2 + len(STRUCTURES)) + "|"]
    for name, scores in rows:
        if scores:
            lines.append(f"| {name} | {len(scores)} | {' | '.join(_cells(scores, centre))} |")
    return [*lines, ""]


def _cells(scores: Sequence[Score], centre: Callable[[list[float]], float]) -> list[str]:
    return [f"{centre([score.dice[structure] for score in scores]):.3f}" for structure in STRUCTURES]


def _without_tumour(scores: Sequence[Score]) -> list[str]:
    if not scores:
        return []
    rows = [f"| {score.name} | {score.found_ml:.2f} |" for score in scores]
    mean = f"| mean | {fmean([score.found_ml for score in scores]):.2f} |"
    return ["| no tumour | found, ml |", "| --- | --- |", *rows, mean, ""]


def _without_modalities(scores: Sequence[Score]) -> list[str]:
    """A row for each set of modalities, the larger first."""
    if not scores:
        return []
    lines = [f"| given | {' | '.join(STRUCTURES)} | found where there is none, ml |"]
    lines.append("| --- " * (2 + len(STRUCTURES)) + "|")
    for absent, found in sorted(_by_absence(scores).items(), key=lambda item: len(item[0])):
        given = ", ".join(modality for modality in MODALITIES if modality not in absent)
        with_tumour = [score for score in found if score.reference_ml > 0]
        falsely = fmean([score.found_ml for score in found if score.reference_ml == 0] or [0.0])
        lines.append(f"| {given} | {' | '.join(_cells(with_tumour, fmean))} | {falsely:.2f} |")
    return [*lines, ""]


def _by_absence(scores: Sequence[Score]) -> dict[tuple[str, ...], list[Score]]:
    sets = dict.fromkeys(score.absent for score in scores)
    return {absent: [score for score in scores if score.absent == absent] for absent in sets}
