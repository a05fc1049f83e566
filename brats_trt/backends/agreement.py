"""Whether a model's labels in 16 bits agree with those in FP32, as measured and written down beside the model.

The record is a JSON file with the model's stem: `{"sha256": ..., "agreement": {"native": {"bf16": {"case": ...,
"dice": {"necrotic": ..., "oedema": ..., "enhancing": ...}}}}}`, by runtime and precision.
`benchmarks/precision.py` writes it. A model without a record, or with that of another file, is run in FP32.
"""

from __future__ import annotations

import json

from .model import Model

# The least Dice between 16-bit and FP32 labels, in every class and as a mean over several cases, at which they count as
# agreeing: of one case a few voxels of a small class decide.
LEAST_DICE = 0.999


def agrees(model: Model, runtime: str, precision: str) -> bool:
    """Whether a record beside the model says that a runtime's labels in `precision` agree with FP32's in each class."""
    try:
        record = json.loads(model.path.with_suffix(".json").read_text(encoding="utf-8"))
        if record["sha256"] != model.sha256:
            return False
        dice = record["agreement"][runtime][precision]["dice"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return bool(dice) and all(isinstance(value, float) and value >= LEAST_DICE for value in dice)
