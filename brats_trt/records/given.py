"""Files that an output is said to come from, by modality."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..case_folder import MODALITY_NAMES, find_volumes, modality_named, modality_of
from ..errors import CaseError
from ..spec import MODALITIES, Modality

_EXPECTED = "a case folder, its four files (or MODALITY=FILE each), or its 4-D file"


def find_inputs(
    given: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]],
    modalities: Sequence[Modality] = MODALITIES,
) -> dict[Modality, Path]:
    """The file of each modality; the same for all where one 4-D file was given.

    Parameters
    ----------
    modalities
        Those that are needed.

    Raises
    ------
    CaseError
        If a file's modality is not known, or one is missing or given twice.
    """
    if isinstance(given, Mapping):
        return _by_modality(((modality_named(name), Path(path)) for name, path in given.items()), modalities)
    paths = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    if len(paths) == 1 and os.path.isdir(paths[0]):
        found = find_volumes(Path(paths[0]), incomplete=len(modalities) < len(MODALITIES))
        return _with_all(found, modalities)
    if len(paths) == 1 and len(modalities) == len(MODALITIES):
        return dict.fromkeys(MODALITIES, Path(paths[0]))
    return _by_modality((_named(os.fspath(path)) for path in paths), modalities)


def _named(text: str) -> tuple[Modality, Path]:
    name, sign, path = text.partition("=")
    if sign and name.lower() in MODALITY_NAMES:
        return modality_named(name), Path(path)
    modality = modality_of(os.path.basename(text))
    if modality is None:
        raise CaseError(f"{text}: its name does not tell its modality; expected {_EXPECTED}")
    return modality, Path(text)


def _by_modality(named: Iterable[tuple[Modality, Path]], modalities: Sequence[Modality]) -> dict[Modality, Path]:
    found: dict[Modality, Path] = {}
    for modality, path in named:
        if modality in found:
            raise CaseError(f"{found[modality]} and {path} are both {modality}; expected {_EXPECTED}")
        found[modality] = path
    return _with_all(found, modalities)


def _with_all(found: dict[Modality, Path], modalities: Sequence[Modality]) -> dict[Modality, Path]:
    missing = [modality for modality in modalities if modality not in found]
    if missing:
        raise CaseError(f"no input for {', '.join(missing)}; expected {_EXPECTED}")
    return found
