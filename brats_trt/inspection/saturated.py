"""Intensities clipped at a greatest value, which takes the contrast from whatever is brighter."""

from __future__ import annotations

import numpy as np

from .evidence import LEAST_HEAD, Evidence
from .finding import Finding

CODE = "saturated"
# Of the head's voxels, at exactly the greatest value. Enhancing tumours take up about a hundredth of a brain.
LARGEST_SHARE = 0.003


def find_saturation(evidence: Evidence) -> Finding | None:
    """Report modalities of which more than a few voxels have the greatest value; silent with a small sample."""
    sample = evidence.sample
    if sample is None or sample.size < LEAST_HEAD:
        return None
    clipped = []
    for modality, values in sample.values.items():
        greatest = values.max()
        share = np.count_nonzero(values == greatest) / sample.size
        if share > LARGEST_SHARE:
            clipped.append(f"{share:.1%} of {modality} at {greatest:.6g}")
    if not clipped:
        return None
    return Finding(
        CODE,
        f"{evidence.name}: the head has {' and '.join(clipped)}, the greatest value (expected at most "
        f"{LARGEST_SHARE:.1%}), which suggests clipped intensities: export the series without a window",
    )
