"""Intensities of few distinct values, as pictures and label maps have."""

from __future__ import annotations

import numpy as np

from .evidence import Evidence
from .finding import Finding

CODE = "few-values"
# Phantoms rounded to 128 values up to their 99.9th percentile have more.
LEAST_VALUES = 64


def find_few_values(evidence: Evidence) -> Finding | None:
    """Report modalities with few distinct values in the head; silent with a small sample."""
    contrast = evidence.contrast
    if contrast is None:
        return None
    distinct = 1 + np.count_nonzero(np.diff(contrast.ordered, axis=1), axis=1)
    few = [f"{modality} {n}" for modality, n in zip(contrast.modalities, distinct, strict=True) if n < LEAST_VALUES]
    if not few:
        return None
    return Finding(
        CODE,
        f"{evidence.name}: {contrast.ordered.shape[1]} voxels of the head have few distinct values: {', '.join(few)} "
        f"(expected {LEAST_VALUES} or more), which suggests coarse rounding or a label map: export the series again",
    )
