"""Which prediction belongs to which reference, by the names that BraTS, the Decathlon and `segment` give.

A label map is a file `<case>`, `<case>_seg` or `<case>-seg` (.nii or .nii.gz): all of them in the folder itself, and
those that end in `seg` up to two folders further down, so that BraTS' `<case>/<case>_seg.nii.gz` is found, below
`HGG` and `LGG` too. Modalities, probabilities, entropy and hidden files are no label maps.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..case_folder import case_name, is_volume
from ..errors import CaseError

_NIFTI = re.compile(r"(?P<case>.+?)(?P<seg>[_-]seg)?\.nii(\.gz)?", re.IGNORECASE)
_OF_A_CROP = re.compile(r".+_(probabilities|entropy)\.nii(\.gz)?", re.IGNORECASE)
_DEPTH = 2
_NAMED_CASES = 5


@dataclass(frozen=True)
class Pair:
    """One case to score."""

    name: str
    prediction: Path
    reference: Path


@dataclass(frozen=True)
class Pairing:
    """The cases in the order of their names, and the names of which only one side has a label map."""

    pairs: tuple[Pair, ...]
    only_predicted: tuple[str, ...] = ()
    only_reference: tuple[str, ...] = ()


def pair_cases(predictions: Path, references: Path, *, common: bool = False) -> Pairing:
    """Pair two folders of label maps by the cases' names, or two files whatever their names.

    Parameters
    ----------
    common
        Leave out what only one side has.

    Raises
    ------
    CaseError
        If a folder has no label map or two of one case, if names have no partner, or if one is a file and the other a
        folder.
    """
    if predictions.is_dir() != references.is_dir():
        single, folder = (references, predictions) if predictions.is_dir() else (predictions, references)
        raise CaseError(f"{single} is not a folder but {folder} is; give two label maps or two folders")
    if not predictions.is_dir():
        return Pairing((Pair(label_name(references), predictions, references),))
    found, expected = find_label_maps(predictions), find_label_maps(references)
    both = sorted(found.keys() & expected.keys())
    alone = tuple(sorted(found.keys() - expected.keys())), tuple(sorted(expected.keys() - found.keys()))
    if not both or (any(alone) and not common):
        raise CaseError(_unmatched(predictions, references, *alone, n_both=len(both)))
    return Pairing(tuple(Pair(name, found[name], expected[name]) for name in both), *alone)


def find_label_maps(folder: Path) -> dict[str, Path]:
    """The label maps of a folder by the cases' names.

    Raises
    ------
    CaseError
        If there is none, two are of one case, or the folder cannot be read.
    """
    found: dict[str, Path] = {}
    for path in _walk(folder, _DEPTH):
        name = label_name(path)
        if name in found:
            raise CaseError(f"{found[name]} and {path} are both of the case {name}; keep one label map a case")
        found[name] = path
    if not found:
        raise CaseError(f"{folder}: no label map; expected <case>.nii.gz, or <case>_seg.nii.gz in folders of cases")
    return found


def label_name(path: Path) -> str:
    """The case that a label map is of: its name without `seg` and ending."""
    match = _NIFTI.fullmatch(path.name)
    return match["case"] if match else case_name(path)


def name_some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are."""
    more = len(names) - _NAMED_CASES
    return ", ".join(names[:_NAMED_CASES]) + (f" and {more} more" if more > 0 else "")


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as fault:
        raise CaseError(f"{folder}: the folder cannot be read ({fault.strerror}); give a folder of cases") from None
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if depth:
                yield from (path for path in _walk(folder / entry.name, depth - 1) if _is_marked(path.name))
        elif _is_label_map(entry.name):
            yield folder / entry.name


def _is_label_map(name: str) -> bool:
    return bool(_NIFTI.fullmatch(name)) and not is_volume(name) and not _OF_A_CROP.fullmatch(name)


def _is_marked(name: str) -> bool:
    match = _NIFTI.fullmatch(name)
    return match is not None and match["seg"] is not None


def _unmatched(
    predictions: Path, references: Path, only_predicted: Sequence[str], only_reference: Sequence[str], *, n_both: int
) -> str:
    sides: Mapping[str, Sequence[str]] = {
        f"{predictions} has predictions without a reference ({name_some(only_predicted)})": only_predicted,
        f"{references} has references without a prediction ({name_some(only_reference)})": only_reference,
    }
    remedy = "give both of every case one name" + (
        f", or pass --common to score the {n_both} of both" if n_both else ""
    )
    return "; ".join(side for side, names in sides.items() if names) + f": {remedy}"
