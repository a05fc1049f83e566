"""Synthetic cases with wide variety, for training and for judging a model on cases that are unlike those.

A case is a geometry (`geometry`: a head and its lesions, made slowly and kept on disk) seen by a scanner (`scan`:
contrast and artefacts, made quickly and anew each time). What may vary, and how far, is a `Regime`: `TRAINING` and
`HELD_OUT` differ in their parameters, and their random numbers never come from the same seeds. A kind is two names, of
a tumour and of an image. Equal regime, kind, seed and voxel size give equal arrays on one machine.

Axes x, y, z are array axes 0, 1, 2. Geometries run along ascending head coordinates (mm; x to the right, y to the
front, z upwards) over the part of BraTS' frame that can hold brain; cases are turned the way BraTS stores them (LPS).
"""

from __future__ import annotations

from .case import make_case
from .crop import TrainingCrop, make_crop
from .geometry import Geometry, make_geometry
from .held_out import CALIBRATION_CASES, HELD_OUT_CASES, HeldOutCase
from .regimes import HELD_OUT, IMAGE_KINDS, TRAINING, TUMOUR_KINDS, Regime
from .scan import Scan, scan_geometry

__all__ = [
    "CALIBRATION_CASES",
    "HELD_OUT",
    "HELD_OUT_CASES",
    "IMAGE_KINDS",
    "TRAINING",
    "TUMOUR_KINDS",
    "Geometry",
    "HeldOutCase",
    "Regime",
    "Scan",
    "TrainingCrop",
    "make_case",
    "make_crop",
    "make_geometry",
    "scan_geometry",
]
