"""Predictions against references: overlap, surface distance and volume of each structure, over cases.

Importing it imports neither SciPy nor Pillow: they come with what needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..errors import CaseError
from ..spec import LabelScheme
from .label_map import check_one_grid, read_label_map
from .pairing import Pair, Pairing, pair_cases
from .scores import EmptyName, Scores, score
from .summary import Statistics, summarise
from .surfaces import Combination

__all__ = ["CaseScores", "Evaluation", "Options", "evaluate", "score_pairs"]

_NAMED_FAULTS = 3


@dataclass(frozen=True)
class Options:
    """How label maps are read and scored.

    Attributes
    ----------
    labels, reference_labels
        The schemes of the predictions and of the references.
    empty
        What empty structures score: "brats", "exclude" or "omz" (`scores.EMPTY_CONVENTIONS`).
    hd95
        How the distances of both directions make one: "max" or "pooled" (`surfaces.Combination`).
    common
        Leave out cases that only one side has.
    """

    labels: LabelScheme = "brats"
    reference_labels: LabelScheme = "brats"
    empty: EmptyName = "brats"
    hd95: Combination = "max"
    common: bool = False


@dataclass(frozen=True)
class CaseScores:
    """One case: its files and the scores by structure."""

    pair: Pair
    structures: dict[str, Scores]


@dataclass(frozen=True)
class Evaluation:
    """All cases, in the order of their names, and how they were scored."""

    cases: tuple[CaseScores, ...]
    pairing: Pairing
    options: Options

    @cached_property
    def summary(self) -> dict[str, dict[str, Statistics]]:
        """Statistics by structure and score."""
        return summarise([case.structures for case in self.cases])


def evaluate(predictions: Path, references: Path, options: Options | None = None) -> Evaluation:
    """Score a folder of predictions against a folder of references, or one file against another.

    Raises
    ------
    CaseError
        As `pairing.pair_cases` and `score_pairs`.
    """
    options = options or Options()
    return score_pairs(pair_cases(predictions, references, common=options.common), options)


def score_pairs(pairing: Pairing, options: Options, *, each: Callable[[str, float], None] | None = None) -> Evaluation:
    """Score all pairs.

    Parameters
    ----------
    each
        Told each case's name before it is scored, and the share that is done.

    Raises
    ------
    CaseError
        If any case cannot be scored: a file that is no label map of its scheme, differing grids. Statistics of the
        cases that are left would be those of another set, so there are none; the first faults are named.
    """
    done, faults = [], []
    for index, pair in enumerate(pairing.pairs):
        if each:
            each(pair.name, index / len(pairing.pairs))
        try:
            done.append(CaseScores(pair, _score_pair(pair, options)))
        except CaseError as fault:
            faults.append(str(fault))
    if faults:
        raise CaseError(_all_faults(faults, len(pairing.pairs)))
    return Evaluation(tuple(done), pairing, options)


def _score_pair(pair: Pair, options: Options) -> dict[str, Scores]:
    prediction = read_label_map(pair.prediction, options.labels, option="--labels")
    reference = read_label_map(pair.reference, options.reference_labels, option="--reference-labels")
    check_one_grid(prediction, reference)
    return score(prediction.classes, reference.classes, reference.affine, empty=options.empty, hd95=options.hd95)


def _all_faults(faults: list[str], n_cases: int) -> str:
    if len(faults) == 1:
        return faults[0]
    more = len(faults) - _NAMED_FAULTS
    named = "; ".join(faults[:_NAMED_FAULTS]) + (f"; and {more} more" if more > 0 else "")
    return f"{len(faults)} of {n_cases} cases cannot be scored: {named}"
