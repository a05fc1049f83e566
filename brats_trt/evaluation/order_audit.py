"""Which order of modalities was a model trained with? Labelled cases are segmented under all 24 and ranked by Dice.

The network is loaded once. It takes its channels by the names in its spec, so another order is tried by handing over
the volumes under other names: channel k gets the modality that stands k-th in the order on trial.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..case import Volume, load_case
from ..case_folder import case_name
from ..errors import CaseError
from ..geometry import GRID_TOLERANCE_MM, grid_distance_mm
from ..metrics import STRUCTURES, dice
from ..segmenter import CaseWarning, Segmenter
from ..spec import LABEL_VALUES, MODALITIES, LabelScheme, Modality
from .label_map import LabelMap, read_label_map
from .pairing import find_label_maps, name_some

RANKED_BY = ("whole tumour", "tumour core", "enhancing")
ORDERS: tuple[tuple[Modality, ...], ...] = tuple(permutations(MODALITIES))

Volumes = dict[Modality, NDArray[Any]]


@dataclass(frozen=True)
class LabelledCase:
    """A case folder or 4-D file, and its reference."""

    name: str
    source: Path
    reference: Path


@dataclass(frozen=True)
class OrderScore:
    """One order: mean Dice over the cases by structure, and `mean` over the structures that it is ranked by."""

    modalities: tuple[Modality, ...]
    dice: dict[str, float]

    @property
    def mean(self) -> float:
        """Over whole tumour, tumour core and enhancing tumour."""
        return float(np.mean([self.dice[structure] for structure in RANKED_BY]))


@dataclass(frozen=True)
class OrderAudit:
    """All 24 orders, best first.

    Attributes
    ----------
    stored
        The order in the model's spec.
    cases
        The names of the cases.
    """

    ranking: tuple[OrderScore, ...]
    stored: tuple[Modality, ...]
    cases: tuple[str, ...]

    @property
    def rank_of_stored(self) -> int:
        """1 where the model's spec has the best order."""
        return 1 + [score.modalities for score in self.ranking].index(self.stored)


def find_labelled_cases(cases: Path, references: Path | None = None) -> list[LabelledCase]:
    """The cases to segment, by name, that have a reference.

    Parameters
    ----------
    cases
        A case folder with its reference in it, or a folder of such; with `references`, also a 4-D file, or a folder
        of them.
    references
        The folder of the references if they are elsewhere, or the one reference of the one case.

    Raises
    ------
    CaseError
        If no case has one, or two are of one case.
    """
    if references is None:
        return [LabelledCase(name, path.parent, path) for name, path in sorted(find_label_maps(cases).items())]
    if not references.is_dir():
        return [LabelledCase(case_name(cases), cases, references)]
    labelled = find_label_maps(references)
    sources = {case_name(path): path for path in sorted(cases.iterdir())} if cases.is_dir() else {}
    found = [LabelledCase(name, sources[name], path) for name, path in sorted(labelled.items()) if name in sources]
    if not found:
        raise CaseError(
            f"{cases}: no case of a reference in {references} ({name_some(sorted(labelled))}); expected a folder of "
            "case folders or 4-D files of those names"
        )
    return found


def audit_order(
    segmenter: Segmenter,
    cases: Sequence[LabelledCase],
    *,
    reference_labels: LabelScheme = "brats",
    each: Callable[[str, float], None] | None = None,
) -> OrderAudit:
    """Segment each case under each order and rank the orders by mean Dice; of equals, the spec's order comes first.

    Parameters
    ----------
    segmenter
        One that writes `labels="brats"`.
    each
        Told case and order before each run, and the share that is done.

    Raises
    ------
    CaseError
        If a case or its reference cannot be read, or they are not on one grid.
    EngineError
        If the network gives values that are not finite.
    """
    stored = segmenter.spec.modalities
    found: dict[tuple[Modality, ...], list[dict[str, float]]] = {order: [] for order in ORDERS}
    for index, case in enumerate(cases):
        volumes, reference = _load(case, reference_labels)
        expected = np.asarray(LABEL_VALUES["brats"], np.uint8)[reference.classes]
        for trial, order in enumerate(ORDERS):
            if each:
                each(f"{case.name}: {', '.join(order)}", (index + trial / len(ORDERS)) / len(cases))
            labels = _segment(segmenter, {name: volumes[given] for name, given in zip(stored, order, strict=True)})
            found[order].append(dice(labels, expected, label_values=LABEL_VALUES["brats"]))
    scores = [OrderScore(order, _mean(by_case)) for order, by_case in found.items()]
    ranking = sorted(scores, key=lambda score: (-score.mean, score.modalities != stored))
    return OrderAudit(tuple(ranking), stored, tuple(case.name for case in cases))


def _load(case: LabelledCase, scheme: LabelScheme) -> tuple[Volumes, LabelMap]:
    loaded = load_case(case.source)
    reference = read_label_map(case.reference, scheme, option="--reference-labels")
    shape = reference.classes.shape
    same = loaded.shape == shape and grid_distance_mm(loaded.affine, reference.affine, loaded.shape) <= (
        GRID_TOLERANCE_MM
    )
    if not same:
        raise CaseError(
            f"{case.reference}: the reference is not on the grid of its case {case.source} ({shape} and "
            f"{loaded.shape} voxels, or another affine): resample it"
        )
    return {modality: _values(volume) for modality, volume in loaded.volumes.items()}, reference


def _values(volume: Volume) -> NDArray[Any]:
    """A volume's values: as stored where there is no scale to apply."""
    plain = (volume.slope, volume.intercept) == (1.0, 0.0)
    return volume.on_host if plain else volume.on_host * volume.slope + volume.intercept


def _segment(segmenter: Segmenter, volumes: Volumes) -> NDArray[np.uint8]:
    with warnings.catch_warnings():  # 24 times the same, of volumes under wrong names
        warnings.simplefilter("ignore", CaseWarning)
        return segmenter.run({str(name): volume for name, volume in volumes.items()}).labels


def _mean(by_case: Sequence[dict[str, float]]) -> dict[str, float]:
    return {structure: float(np.mean([scores[structure] for scores in by_case])) for structure in STRUCTURES}
