"""How sure a result is: what the network expects of its own answer, and the Dice that this has meant.

Arrays of probabilities are (4, D, H, W) float32, in the order background, necrotic core, oedema, enhancing tumour, on
the grid of the network's crop. docs/confidence.md says what the numbers mean, and what they do not.
"""

from .calibration import Calibration, Curve, StructureCalibration
from .score import STRUCTURES, RawScore, entropy, raw_scores

__all__ = [
    "STRUCTURES",
    "Calibration",
    "Curve",
    "RawScore",
    "StructureCalibration",
    "entropy",
    "raw_scores",
]
