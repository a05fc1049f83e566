"""The model that a benchmark runs: the one that was named, or one of the released network's size."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import released_size

from brats_trt.export import convert


def model_or_released(model: Path | None, folder: Path) -> Path:
    """The model, or one of the released size with random weights, made in the folder."""
    if model is None:
        model = folder / "released-size.onnx"
        convert(*released_size.write_checkpoint(folder)[:2], model)
    return model
