"""Which four series a run takes: by the rules, or as the user says. Doubt is refused with the candidates listed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from ..case_folder import DO_WITHOUT, missing_modalities, modality_named
from ..errors import CaseError
from ..spec import MODALITIES, Modality
from .rules import Recognition
from .series import Series


def mapped(series: Sequence[Series], mapping: Mapping[str, str]) -> tuple[Series, ...]:
    """The series with the modalities that a user gave, each named by number, UID or description.

    Series of a modality that the user gave another for are no longer of it.

    Raises
    ------
    CaseError
        If a name is none or ambiguous, or a series makes no volume.
    """
    chosen: dict[Modality, Series] = {}
    for name, wanted in mapping.items():
        modality = modality_named(name)
        if modality in chosen:
            raise CaseError(f"{modality} is mapped twice; give each modality one series")
        chosen[modality] = _named(series, wanted, modality)
    given = {entry.number: modality for modality, entry in chosen.items()}
    if len(given) < len(chosen):
        raise CaseError("one series is mapped to two modalities; give each its own")
    return tuple(_as_given(entry, given.get(entry.number), chosen) for entry in series)


def _as_given(entry: Series, modality: Modality | None, chosen: Collection[Modality]) -> Series:
    if modality is not None:
        return replace(entry, recognition=Recognition(modality, "mapped by the user", stated=True))
    if entry.recognition.modality in chosen:
        reason = f"{entry.recognition.modality} was mapped to another"
        return replace(entry, recognition=Recognition(None, reason))
    return entry


def _named(series: Sequence[Series], wanted: str, modality: Modality) -> Series:
    text = wanted.strip()
    found = [entry for entry in series if text == str(entry.number)]
    found = found or [entry for entry in series if text == entry.uid]
    found = found or [entry for entry in series if text and text.lower() == entry.description.strip().lower()]
    if not found:
        raise CaseError(
            f"no series {wanted!r} for {modality}: give a number, a UID or a description that `brats-trt series` shows"
        )
    if len(found) > 1:
        raise CaseError(f"{len(found)} series are {wanted!r} for {modality} ({_numbers(found)}): give a number")
    if found[0].stack is None:
        raise CaseError(f"series {found[0].number} cannot be {modality}: {found[0].recognition.reason}; choose another")
    return found[0]


def choose(series: Sequence[Series], *, incomplete: bool = False) -> dict[Modality, Series]:
    """The series of each modality.

    Raises
    ------
    CaseError
        If a modality has no series or several, or a native T1 may have been acquired after contrast agent.
    """
    candidates = {
        modality: [entry for entry in series if entry.recognition.modality == modality] for modality in MODALITIES
    }
    for modality, found in candidates.items():
        if len(found) > 1:
            listed = "; ".join(f"{entry.number} ({described(entry)})" for entry in found)
            raise CaseError(
                f"{len(found)} series can be {modality}: {listed}. Choose one, such as "
                f"--map {modality}={found[0].number}"
            )
    chosen = {modality: found[0] for modality, found in candidates.items() if found}
    missing = missing_modalities(chosen, incomplete=incomplete)
    if missing:
        raise CaseError(
            f"no series is {', '.join(missing)}; {_account(series)}: `brats-trt series` shows why; choose by --map, or "
            f"{DO_WITHOUT}"
        )
    _check_native(chosen)
    return chosen


def _check_native(chosen: Mapping[Modality, Series]) -> None:
    """A T1 that says nothing of contrast and came after the one with contrast has contrast too."""
    if "t1" not in chosen or "t1ce" not in chosen:
        return
    native, enhanced = chosen["t1"], chosen["t1ce"]
    times = (native.acquisition.started, enhanced.acquisition.started)
    if not native.recognition.stated and all(times) and times[0] > times[1]:
        raise CaseError(
            f"series {native.number} looks like t1, but was acquired after series {enhanced.number}, which has "
            f"contrast agent: if it has none, say --map t1={native.number}"
        )


def described(entry: Series) -> str:
    """Voxels and their edges, for tables and errors; never what people wrote."""
    if entry.stack is None:
        return f"{entry.images} images"
    shape = "x".join(str(n) for n in entry.stack.shape)
    edges = "x".join(f"{edge:.3g}" for edge in entry.stack.voxel_mm)
    return f"{shape} of {edges} mm"


def _account(series: Sequence[Series]) -> str:
    known = [f"{entry.number} is {entry.recognition.modality}" for entry in series if entry.recognition.modality]
    rest = len(series) - len(known)
    return f"of {len(series)} series {', '.join([*known, f'{rest} are none'] if rest else known)}"


def _numbers(series: Sequence[Series]) -> str:
    return ", ".join(f"number {entry.number}" for entry in series)
