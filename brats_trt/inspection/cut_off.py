"""Heads that the volume's edge cuts off: the network learnt from whole brains."""

from __future__ import annotations

import numpy as np

from ..case import Volume
from ..spec import Modality
from .evidence import LEAST_HEAD, Evidence, Sample, is_positive, sampled
from .finding import Finding
from .skull import LARGEST_FILL

CODE = "head-cut-off"
# Of the largest section parallel to it, how much the volume's outermost plane may show. A box that was cropped to the
# brain shows little; the sample case, which is taken for a whole head, shows 27 % in its lowest plane.
LARGEST_SHARE = 0.5
_SIDES = ("first", "last")


def find_cut(evidence: Evidence) -> Finding | None:
    """Report a head that goes on beyond the volume; silent without a sample of a head in a background of zeros."""
    sample = evidence.sample
    if sample is None or sample.size < LEAST_HEAD or max(sample.fills.values()) > LARGEST_FILL:
        return None
    cuts = [
        (_share(sample, modality, evidence.case.volumes[modality], axis, side), modality, axis, side)
        for modality in sample.positive
        for axis in range(3)
        for side in range(2)
    ]
    share, modality, axis, side = max(cuts, key=lambda cut: cut[0])
    if share <= LARGEST_SHARE:
        return None
    return Finding(
        CODE,
        f"{evidence.source(modality)}: the {_SIDES[side]} plane along axis {'xyz'[axis]} shows {modality} in "
        f"{share:.0%} of the area of the head's largest section (expected at most {LARGEST_SHARE:.0%}), so that the "
        "head goes on beyond the volume: give a volume of the whole brain",
    )


def _share(sample: Sample, modality: Modality, volume: Volume, axis: int, side: int) -> float:
    """The outermost plane's positive area over the largest parallel section's; 0 where the sample is far from it."""
    mask = sample.positive[modality]
    planes = np.moveaxis(mask, axis, 0)
    if not planes[-side].any():
        return 0.0
    largest = max(np.count_nonzero(plane) for plane in planes)
    where: list[slice | int] = [slice(None, None, step) for step in sample.steps]
    where[axis] = -side
    plane = sampled(volume, tuple(where))
    return float(np.count_nonzero(is_positive(plane)) / largest)
