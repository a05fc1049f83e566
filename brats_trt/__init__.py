"""Brain tumour segmentation in MRI: four volumes of one head in, a label map on the same grid out.

Research use only, not a medical device.
"""

from __future__ import annotations

from importlib.metadata import version as _version

from .errors import BratsTrtError, CaseError, EngineError
from .geometry import Box
from .segmentation import Segmentation
from .segmenter import CaseWarning, Segmenter, demo_model
from .spec import Spec

__all__ = [
    "Box",
    "BratsTrtError",
    "CaseError",
    "CaseWarning",
    "EngineError",
    "Segmentation",
    "Segmenter",
    "Spec",
    "demo_model",
]

__version__ = _version("brats-trt")
