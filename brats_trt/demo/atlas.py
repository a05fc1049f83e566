"""The head of the demo: ICBM 152 (2009a) at 2 mm.

Axes are x, y, z = array axes 0, 1, 2, RAS+: x grows to the right, y to the front, z upwards. The affine leads from
voxel indices to MNI coordinates in mm. Licence and source: ``data/NOTICE.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

ATLAS_FILE = "icbm152_2mm.npz"


@dataclass(frozen=True)
class Atlas:
    """Maps of an average head, each (X, Y, Z) uint8 on one grid.

    Attributes
    ----------
    t1
        T1-weighted intensity, skull-stripped; two voxels around the brain continue its edge's grey value.
    grey, white
        Probability of grey and of white matter, 255 for certain.
    brain
        Share of the voxel that lies inside the brain, 255 for all of it.
    affine
        (4, 4) float64, voxel indices to MNI mm.
    """

    t1: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    white: NDArray[np.uint8]
    brain: NDArray[np.uint8]
    affine: NDArray[np.float64]


@cache
def load_atlas() -> Atlas:
    """Read the packaged atlas; its arrays are read-only, since every caller shares them."""
    with (files("brats_trt.demo") / "data" / ATLAS_FILE).open("rb") as stream, np.load(stream) as arrays:
        loaded = {name: arrays[name] for name in ("t1", "grey", "white", "brain", "affine")}
    for values in loaded.values():
        values.setflags(write=False)
    return Atlas(**loaded)
