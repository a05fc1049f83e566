"""What a training run is made of, and the runs that have a name.

A run is its recipe and nothing else: every random number is drawn from the seed, the stage and the step.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from augmentation import Augmentation
from losses import LossWeights
from phantoms import TRAINING, TUMOUR_KINDS

Precision = str  # "bf16" or "fp32"
KIND_SHARES = {"ring": 2.0, "none": 2.0}  # the others 1


@dataclass(frozen=True)
class Stage:
    """Steps at one size.

    Attributes
    ----------
    size
        Voxels of a crop along each axis, a multiple of 32.
    voxel_mm
        Of the phantoms that crops are made of.
    steps
        How many; the learning rate follows a cosine over them, from `rate` to a twentieth of it.
    geometries
        Number of heads; each is scanned anew whenever it is drawn.
    """

    name: str
    size: int
    voxel_mm: float
    steps: int
    rate: float
    geometries: int


@dataclass(frozen=True)
class Recipe:
    """A whole training run.

    Attributes
    ----------
    base
        F, the base width of the finest network.
    absent
        How often a case is shown with modalities left out at the fusion: one of the 14 incomplete sets.
    kinds
        How often each kind of tumour is drawn, relative to the others.
    averaging
        How much of the averaged weights a step keeps; those weights are what is exported.
    clip
        The greatest norm of a gradient.
    """

    name: str
    stages: tuple[Stage, ...]
    base: int = 2
    seed: int = 0
    precision: Precision = "bf16"
    absent: float = 0.3
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(noise=0.03, warp=0.35))
    loss: LossWeights = field(default_factory=LossWeights)
    kinds: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(TUMOUR_KINDS, 1.0) | KIND_SHARES)
    weight_decay: float = 1e-4
    averaging: float = 0.995
    clip: float = 1.0
    validation_every: int = 300
    validation_cases: int = len(TUMOUR_KINDS)
    checkpoint_every: int = 50

    @property
    def steps(self) -> int:
        """Of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def digest(self) -> str:
        """Which recipe it is, phantoms included: a run goes on only under the same."""
        document = json.dumps([asdict(self), TRAINING.digest], sort_keys=True)
        return hashlib.sha256(document.encode()).hexdigest()[:16]


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "demo",
            stages=(
                Stage("64", size=64, voxel_mm=2.0, steps=5000, rate=2.5e-3, geometries=400),
                Stage("96", size=96, voxel_mm=1.5, steps=2000, rate=1.5e-3, geometries=300),
                Stage("128", size=128, voxel_mm=1.1, steps=2700, rate=1.2e-3, geometries=400),
            ),
        ),
        Recipe(
            "smoke",
            stages=(
                Stage("first", size=32, voxel_mm=6.0, steps=4, rate=2e-3, geometries=2),
                Stage("second", size=64, voxel_mm=6.0, steps=2, rate=1e-3, geometries=2),
            ),
            base=1,
            precision="fp32",
            validation_every=3,
            validation_cases=1,
            checkpoint_every=2,
        ),
    )
}
