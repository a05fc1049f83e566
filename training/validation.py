"""How well the averaged weights do on cases of the training's kind that no step learns from: Dice at its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from network import Cascade
from recipe import Recipe
from samples import validation_crop

from brats_trt.metrics import dice

STRUCTURES = ("whole tumour", "tumour core", "enhancing")
_VALUES = (0, 1, 2, 3)


def validate(recipe: Recipe, stage: int, weights: dict[str, torch.Tensor], folder: Path) -> dict[str, float]:
    """Mean Dice of each structure; where a structure is in neither labels nor reference it counts as 1."""
    model = Cascade(recipe.base).eval()
    model.load_state_dict(weights)
    scores = []
    for case in range(recipe.validation_cases):
        sample = validation_crop(recipe, stage, case, folder)
        crop = torch.from_numpy(sample.crop)[None].contiguous(memory_format=torch.channels_last_3d)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
            classes = model(crop).full[0].argmax(0).numpy().astype(np.uint8)
        found = dice(classes, sample.classes, label_values=_VALUES)
        scores.append([found[structure] for structure in STRUCTURES])
    return dict(zip(STRUCTURES, np.mean(scores, axis=0).tolist(), strict=True))
