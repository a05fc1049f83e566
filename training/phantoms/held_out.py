"""The forty cases that a model is judged by and never trained on: kinds and seeds.

Each kind of tumour in typical images and in images with artefacts, and heads without a tumour. A rim that takes up
contrast agent shows in T1ce alone, so that no case lacks that image.
"""

from __future__ import annotations

from dataclasses import dataclass

from brats_trt.demo.phantom import Phantom

from .case import make_case
from .regimes import HELD_OUT, IMAGE_KINDS, TUMOUR_KINDS

FIRST_SEED = 9000


@dataclass(frozen=True)
class HeldOutCase:
    """A case by its kinds and its seed."""

    tumour: str
    image: str
    seed: int

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"HeldOut_{self.seed}_{self.tumour}_{self.image}"

    def make(self, *, voxel_mm: float = 1.0) -> Phantom:
        """The case itself."""
        return make_case(HELD_OUT, self.tumour, self.image, self.seed, voxel_mm=voxel_mm)


def _cases() -> tuple[HeldOutCase, ...]:
    """Each tumour in typical images and in two kinds of artefacts; then six heads without a tumour."""
    with_tumour = [kind for kind in TUMOUR_KINDS if kind != "none"]
    artefacts = [kind for kind in IMAGE_KINDS if kind != "typical"]
    pairs = [(kind, "typical") for kind in with_tumour]
    for turn in (0, 3):
        pairs += [(kind, artefacts[(number + turn) % len(artefacts)]) for number, kind in enumerate(with_tumour)]
    pairs += [("none", image) for image in ("typical", "typical", "contrast", "noise", "stripping", "bias")]
    pairs += [("ring", "contrast"), ("several", "anisotropic"), ("small", "typical"), ("midline", "motion")]
    return tuple(HeldOutCase(tumour, image, FIRST_SEED + number) for number, (tumour, image) in enumerate(pairs))


def _calibration_cases() -> tuple[HeldOutCase, ...]:
    """Each kind of tumour in four kinds of images, and ten heads without one; of other seeds."""
    images = [kind for kind in IMAGE_KINDS if kind != "typical"]
    pairs = []
    for number, tumour in enumerate(kind for kind in TUMOUR_KINDS if kind != "none"):
        pairs += [(tumour, "typical"), *((tumour, images[(number + turn) % len(images)]) for turn in (1, 4, 7))]
    pairs += [("none", image) for image in ("typical", *images[:-1])]
    first = FIRST_SEED + len(HELD_OUT_CASES)
    return tuple(HeldOutCase(tumour, image, first + number) for number, (tumour, image) in enumerate(pairs))


HELD_OUT_CASES = _cases()
# What a model's expectations of itself are calibrated on; never those that it is judged by.
CALIBRATION_CASES = _calibration_cases()
