"""The records that pass between host and kernels, as NumPy sees them; `common.cuh` has the originals."""

from __future__ import annotations

import numpy as np

MODALITIES = 4
CLASSES = 4
LONGEST_AXIS = 1024
FOREGROUND_BLOCKS = 512

LAYOUT = np.dtype(
    [
        ("shape", np.int64, 3),
        ("strides", np.int64, 3),
        ("axes", np.int64, 3),
        ("slope", np.float64),
        ("intercept", np.float64),
    ]
)

PLACEMENT = np.dtype(
    [
        ("series", LAYOUT, MODALITIES),
        ("to_series", np.float64, (MODALITIES, 3, 4)),
        ("run", np.int64, MODALITIES),
        ("mask", LAYOUT),
        ("to_mask", np.float64, (3, 4)),
        ("masked", np.int64),
        ("to_crop", np.float64, (3, 4)),
    ]
)

SETUP = np.dtype(
    [
        ("modality", LAYOUT, MODALITIES),
        ("size", np.int64, 3),
        ("batch", np.int64),
        ("label_axes", np.int64, 3),
        ("values", np.int64, CLASSES),
        ("min_region", np.float64),
    ]
)

MOMENTS = np.dtype([("count", np.int64), ("mean", np.float64), ("squares", np.float64)])

FOREGROUND = np.dtype(
    [
        *MOMENTS.descr,
        ("nonfinite", np.int64),
        ("lower", np.int64, 3),
        ("upper", np.int64, 3),
    ]
)

PLAN = np.dtype(
    [
        ("status", np.int64),
        ("not_finite", np.int64),
        ("lower", np.int64, 3),
        ("extent", np.int64, 3),
        ("modality", FOREGROUND, MODALITIES),
        ("resampled", MOMENTS, MODALITIES),
        ("counts", np.uint64, CLASSES),
    ]
)

TAPS_BYTES = 3 * LONGEST_AXIS * 8
