"""The voxel's edges: the network learnt from heads on a grid of 1 mm."""

from __future__ import annotations

from .evidence import Evidence
from .finding import Finding

CODE = "voxel-size"
SMALLEST_MM, LARGEST_MM = 0.5, 2.0


def find_voxel_size(evidence: Evidence) -> Finding | None:
    """Report edges far from 1 mm; silent where nothing says their length."""
    if evidence.spacing is None or all(0.99 * SMALLEST_MM <= edge <= 1.01 * LARGEST_MM for edge in evidence.spacing):
        return None
    edges = " x ".join(f"{edge:.3g}" for edge in evidence.spacing)
    return Finding(
        CODE,
        f"{evidence.name}: the voxels measure {edges} mm, far from the 1 mm that the network learnt from (expected "
        f"{SMALLEST_MM:g} to {LARGEST_MM:g}), so that small parts are lost or blurred: use thinner slices or resample",
    )
