"""What a radiologist would measure of a segmented tumour: lengths, places and the side of the head, in millimetres.

Scanner coordinates are those of the affine, RAS+: x grows to the patient's right, y to the front, z upwards. The exact
definitions stand in `docs/report.md`. Importing this package imports NumPy only.
"""

from __future__ import annotations

from .structures import Measures, Side, StructureMeasures, measure

__all__ = ["Measures", "Side", "StructureMeasures", "measure"]
