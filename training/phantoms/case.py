"""A geometry and its scan as a case in BraTS' frame, for whoever wants files or the whole way through the segmenter."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from brats_trt.demo.phantom import Phantom, _brain_window, _place, brats_affine

from .geometry import make_geometry
from .regimes import Regime
from .scan import scan_geometry


def make_case(regime: Regime, tumour: str, image: str, seed: int, *, voxel_mm: float = 1.0) -> Phantom:
    """Make a case: 240x240x155 voxels at 1 mm, LPS, int16, as `brats_trt.demo` has them.

    Raises
    ------
    ValueError
        If a kind is not known.
    """
    geometry = make_geometry(regime, tumour, seed, voxel_mm=voxel_mm)
    scan = scan_geometry(geometry, image, seed)
    affine = brats_affine(geometry.shape)
    window, _ = _brain_window(geometry.shape, affine)
    volumes = {
        modality: _place(values.astype(np.int16), window, geometry.shape) for modality, values in scan.volumes.items()
    }
    return Phantom(MappingProxyType(volumes), _place(scan.labels, window, geometry.shape), affine)
