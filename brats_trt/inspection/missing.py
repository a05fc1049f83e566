"""Modalities that were not given, where a run does without them."""

from __future__ import annotations

from ..spec import MODALITIES, Modality
from .evidence import Evidence
from .finding import Finding

CODE = "modality-missing"
# What is seen in one modality best, or alone.
_SHOWS: dict[Modality, str] = {
    "t1ce": "enhancing tumour shows in t1ce alone",
    "flair": "oedema shows best in flair and t2",
    "t2": "oedema shows best in flair and t2",
}


def find_missing(evidence: Evidence) -> Finding | None:
    """Report that the network had to do without a modality."""
    missing = [modality for modality in MODALITIES if modality not in evidence.case.volumes]
    if not missing:
        return None
    reasons = dict.fromkeys(_SHOWS[modality] for modality in missing if modality in _SHOWS)
    verb = "was" if len(missing) == 1 else "were"
    return Finding(
        CODE,
        f"{evidence.name}: {', '.join(missing)} {verb} not given, and the labels are what the others show"
        f"{''.join(f'; {reason}' for reason in reasons)}: acquire what is missing, and look at the labels with care",
    )
