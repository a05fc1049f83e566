"""How the head lies in its array, whatever the header says: its longest extent is from front to back, along axis 1."""

from __future__ import annotations

import numpy as np

from .evidence import LEAST_HEAD, Evidence
from .finding import Finding
from .skull import LARGEST_FILL, MOST_LITRES

CODE = "head-tilted"
# Degrees between the head's longest principal axis and array axis 1. In a head that lies straight they are up to 15.
MOST_DEGREES = 40.0
# The longest principal axis over the second, as standard deviations: below, its direction means nothing.
LEAST_ELONGATION = 1.1


def find_tilted_head(evidence: Evidence) -> Finding | None:
    """Report a head that is nodded or turned far; one that leans to a shoulder keeps its longest axis and is not seen.

    Silent without a sample of a stripped head, for a shape without a clearly longest axis, and where nothing says the
    voxels' size.
    """
    sample, spacing = evidence.sample, evidence.spacing
    if sample is None or spacing is None or sample.size < LEAST_HEAD:
        return None
    if max(sample.fills.values()) > LARGEST_FILL or max(evidence.litres.values()) > MOST_LITRES:
        return None
    steps = np.multiply(spacing, sample.steps)
    # Every second sample along each axis is enough for a direction.
    positions = np.array(np.nonzero(sample.head[::2, ::2, ::2]), np.float64) * steps[:, np.newaxis]
    variances, axes = np.linalg.eigh(np.cov(positions))
    degrees = float(np.degrees(np.arccos(min(abs(axes[1, 2]), 1.0))))
    if degrees <= MOST_DEGREES or variances[2] < LEAST_ELONGATION**2 * variances[1]:
        return None
    return Finding(
        CODE,
        f"{evidence.name}: the head's longest extent lies {degrees:.0f} degrees from array axis y (expected at most "
        f"{MOST_DEGREES:.0f}), which suggests a head turned or tilted far: register all four volumes to an atlas' axes",
    )
