"""Which file of a folder is which modality, by the names that BraTS gave over the years."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from .errors import CaseError
from .spec import MODALITIES, Modality

# BraTS 2017-2021 and BraTS 2023 onward.
MODALITY_NAMES: Mapping[str, Modality] = {
    "t1": "t1",
    "t2": "t2",
    "t1ce": "t1ce",
    "flair": "flair",
    "t1n": "t1",
    "t2w": "t2",
    "t1c": "t1ce",
    "t2f": "flair",
}

# The volumes of a file of the Medical Segmentation Decathlon.
DECATHLON_ORDER: tuple[Modality, ...] = ("flair", "t1", "t1ce", "t2")

# What one can do about a modality that was not acquired.
DO_WITHOUT = (
    "add what is missing, or do without it by missing='mask' (--missing mask) and a model that was trained for that"
)

_FILE_NAME = re.compile(rf"(?P<case>.+)[_-](?P<name>{'|'.join(MODALITY_NAMES)})\.nii(\.gz)?", re.IGNORECASE)
_EXPECTED = "<id>_t1.nii.gz, <id>_t2.nii.gz, <id>_t1ce.nii.gz and <id>_flair.nii.gz (or <id>-t1n, -t2w, -t1c, -t2f)"


def find_volumes(folder: Path, *, incomplete: bool = False) -> dict[Modality, Path]:
    """The file of each modality in a case folder; other files are left alone.

    Parameters
    ----------
    incomplete
        Take a folder that lacks one to three of the modalities too.

    Raises
    ------
    CaseError
        If a modality has no file or more than one, or the files are of more than one case.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith("."))
    except OSError as fault:
        raise CaseError(f"{folder}: the folder cannot be read ({fault.strerror}); give a case folder") from None
    found: dict[Modality, Path] = {}
    cases: dict[str, str] = {}
    for name in names:
        match = _FILE_NAME.fullmatch(name)
        if match is None:
            continue
        modality = MODALITY_NAMES[match["name"].lower()]
        if modality in found:
            raise CaseError(
                f"{folder}: both {found[modality].name} and {name} are {modality}; keep one file a modality"
            )
        found[modality] = folder / name
        cases.setdefault(match["case"].lower(), name)
    missing = missing_modalities(found, incomplete=incomplete)
    if missing:
        remedy = f": {DO_WITHOUT}" if found else ""
        raise CaseError(f"{folder}: no file for {', '.join(missing)}; expected {_EXPECTED}{remedy}")
    if len(cases) > 1:
        raise CaseError(
            f"{folder}: the files are of {len(cases)} cases ({', '.join(cases.values())}); keep one case a folder, or "
            "give the files by modality"
        )
    return found


def missing_modalities(found: Collection[Modality], *, incomplete: bool) -> list[Modality]:
    """Those that a case lacks and may not lack."""
    return [] if incomplete and found else [modality for modality in MODALITIES if modality not in found]


def is_volume(name: str) -> bool:
    """Whether a file's name is that of a modality."""
    return modality_of(name) is not None


def modality_of(name: str) -> Modality | None:
    """The modality that a file's name ends in; None where it ends in none."""
    match = _FILE_NAME.fullmatch(name)
    return None if match is None else MODALITY_NAMES[match["name"].lower()]


def modality_named(name: object) -> Modality:
    """The modality that a user's name stands for.

    Raises
    ------
    CaseError
        If it stands for none.
    """
    modality = MODALITY_NAMES.get(str(name).lower())
    if modality is None:
        raise CaseError(f"{name!r} is not a modality; expected {', '.join(MODALITY_NAMES)}")
    return modality


def case_name(*paths: Path) -> str:
    """What a case is called: its folder or file without ending, the common part of its files' names, or "case"."""
    if not paths:
        return "case"
    names = [os.path.basename(os.path.abspath(path)) for path in paths]
    volumes = [_FILE_NAME.fullmatch(name) for name in names]
    stems = [
        volume["case"] if volume else re.sub(r"\.nii(\.gz)?$", "", name, flags=re.IGNORECASE)
        for name, volume in zip(names, volumes, strict=True)
    ]
    if len(stems) == 1:
        return stems[0] or "case"
    first, last = min(stems), max(stems)  # what these two share, all share
    shared = next((k for k, letter in enumerate(first) if letter != last[k : k + 1]), len(first))
    return first[:shared].rstrip("_-. ") or "case"
