"""The head's size: whether there is a whole brain."""

from __future__ import annotations

from .evidence import Evidence
from .finding import Finding

CODE = "head-too-small"
# A brain has about this much at the age of one year; adults have 0.9 to 2 l.
LEAST_LITRES = 0.7


def find_small_head(evidence: Evidence) -> Finding | None:
    """Report a head too small for a brain; silent without a sample, or where nothing says the voxels' size."""
    if not evidence.litres:
        return None
    modality, litres = min(evidence.litres.items(), key=lambda item: item[1])
    if litres >= LEAST_LITRES:
        return None
    return Finding(
        CODE,
        f"{evidence.source(modality)}: only {litres:.2g} l of {modality} are above zero (a brain: 1 to 2 l), which "
        "suggests a part of a head, wrong voxel sizes or values below zero: give the whole brain, above zero",
    )
