"""Array axes against the scanner's: the network takes axis 0 as left-right, 1 as front-back and 2 as upwards.

Volumes are never turned before the network, which learnt from arrays as BraTS stores them.
"""

from __future__ import annotations

import numpy as np

from .evidence import Evidence
from .finding import Finding

CODE = "axes-turned"
# Degrees between an array axis and its scanner axis: oblique series stay below.
MOST_DEGREES = 35.0


def find_turned_axes(evidence: Evidence) -> Finding | None:
    """Report array axes that run far from the scanner's; silent where nothing says how they run.

    Axes 0 and 1 may run either way, since collections differ in it.
    """
    if evidence.spacing is None:
        return None
    x, y, z = np.diag(evidence.case.affine[:3, :3]) / evidence.spacing
    degrees = float(np.degrees(np.arccos(np.clip(min(abs(x), abs(y), z), -1.0, 1.0))))
    if degrees <= MOST_DEGREES:
        return None
    import nibabel

    letters = "".join(nibabel.aff2axcodes(evidence.case.affine))
    return Finding(
        CODE,
        f"{evidence.name}: the array axes run towards {letters}, up to {degrees:.0f} degrees from left-right, "
        "front-back and upwards as the network learnt them: reorient all four volumes to LPS",
    )
