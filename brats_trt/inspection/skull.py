"""The skull: the network learnt from heads of which only the brain is left, in a background of exact zeros."""

from __future__ import annotations

from .evidence import LEAST_HEAD, Evidence
from .finding import Finding

CODE = "skull-not-stripped"
# An ellipsoid fills 0.52 of its box, a brain less; a background of noise fills it all.
LARGEST_FILL = 0.65
# The cavity of the skull is above 2 l in hardly any adult; with scalp, face and neck a head has 3 l and more.
MOST_LITRES = 2.2


def find_skull(evidence: Evidence) -> Finding | None:
    """Report more than a brain above zero; silent without a large enough sample of a head.

    Where nothing says the voxels' size, a skull in a background of zeros goes unnoticed.
    """
    sample = evidence.sample
    if sample is None or sample.size < LEAST_HEAD:
        return None
    modality, fill = max(sample.fills.items(), key=lambda item: item[1])
    if fill > LARGEST_FILL:
        text = (
            f"{modality} is above zero in {fill:.0%} of the box around it (a brain: under half), which suggests that "
            "the background is not zero or the skull is not stripped: strip all four volumes and set the rest to 0"
        )
        return Finding(CODE, f"{evidence.source(modality)}: {text}")
    modality, litres = max(evidence.litres.items(), key=lambda item: item[1], default=(modality, 0.0))
    if litres > MOST_LITRES:
        text = (
            f"{litres:.1f} l of {modality} are above zero (a brain: 1 to 2 l), which suggests that the skull is not "
            "stripped: strip all four volumes"
        )
        return Finding(CODE, f"{evidence.source(modality)}: {text}")
    return None
