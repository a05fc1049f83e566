"""Brain tumour segmentation in MRI: four volumes of one head in, a label map on the same grid out.

Research use only, not a medical device.
"""

from __future__ import annotations

from importlib.metadata import version as _version

try:
    from . import _host as _host
except ImportError as _fault:
    raise ImportError(
        "brats_trt has no compiled extension where it was imported from; if this is its source folder, install it with "
        "`pip install .` and import it from another folder"
    ) from _fault
from .errors import BratsTrtError, CaseError, EngineError
from .geometry import Box
from .pipeline import CaseOutcome
from .raw.options import RawOptions
from .segmentation import Segmentation
from .segmenter import CaseWarning, Segmenter, demo_model
from .spec import Spec

__all__ = [
    "Box",
    "BratsTrtError",
    "CaseError",
    "CaseOutcome",
    "CaseWarning",
    "EngineError",
    "RawOptions",
    "Segmentation",
    "Segmenter",
    "Spec",
    "demo_model",
]

__version__ = _version("brats-trt")
