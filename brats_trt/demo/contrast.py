"""What each tissue looks like in each modality, and what a scanner adds: a bias field and Rician noise.

Intensities are in the unit of white matter on T1 = 540, the relations those of the cases that the demo model learnt
from. Arrays are (X, Y, Z) float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..spec import Modality
from .anatomy import Head
from .fields import Axes, FloatArray, smooth_noise
from .tumour import Tumour

BIAS = 0.06
BIAS_WAVELENGTH_MM = 130.0


@dataclass(frozen=True)
class Appearance:
    """Mean intensity of each tissue, how much of the atlas' T1 detail shows (in units of white minus grey), noise."""

    white: float
    grey: float
    csf: float
    core: float
    rim: float
    oedema: float
    detail: float
    noise: float


APPEARANCES: dict[Modality, Appearance] = {
    "t1": Appearance(white=560, grey=445, csf=215, core=300, rim=480, oedema=450, detail=0.8, noise=11),
    "t2": Appearance(white=640, grey=820, csf=1640, core=1580, rim=1220, oedema=1300, detail=0.5, noise=16),
    "t1ce": Appearance(white=1060, grey=870, csf=400, core=580, rim=1800, oedema=800, detail=0.8, noise=16),
    "flair": Appearance(white=735, grey=835, csf=290, core=580, rim=1010, oedema=1160, detail=0.5, noise=14),
}


def render(
    rng: np.random.Generator,
    axes: Axes,
    modality: Modality,
    head: Head,
    tumour: Tumour,
    *,
    look: Appearance | None = None,
    bias: float = BIAS,
) -> NDArray[np.int16]:
    """One modality (X, Y, Z) int16, 0 outside the brain and at least 1 inside.

    ``look`` replaces the modality's own appearance; ``bias`` is the deviation of the logarithm of the bias field.
    """
    look = APPEARANCES[modality] if look is None else look
    healthy = (
        look.white * head.white
        + look.grey * head.grey
        + look.csf * head.csf
        + np.float32(look.detail * (look.white - look.grey)) * head.detail
    )
    mottled = 1 + np.float32(0.05) * smooth_noise(rng, axes, 10) + np.float32(0.025) * smooth_noise(rng, axes, 5)
    # Oedema lies in the tissue: a quarter of the tissue's own contrast shines through.
    soaked = look.oedema + np.float32(0.25) * (healthy - look.white)
    signal = healthy * (1 - tumour.whole) + mottled * (
        soaked * (tumour.whole - tumour.solid) + look.rim * (tumour.solid - tumour.core) + look.core * tumour.core
    )
    signal *= np.exp(np.float32(bias) * smooth_noise(rng, axes, BIAS_WAVELENGTH_MM))
    return _measure(rng, signal, head.brain, look.noise)


def _measure(rng: np.random.Generator, signal: FloatArray, brain: NDArray[np.bool_], noise: float) -> NDArray[np.int16]:
    """The magnitude of a complex signal with Gaussian noise in both parts (Rician), rounded to int16."""
    inside = signal[brain]
    real = inside + np.float32(noise) * rng.standard_normal(inside.shape, dtype=np.float32)
    imaginary = np.float32(noise) * rng.standard_normal(inside.shape, dtype=np.float32)
    volume = np.zeros(signal.shape, dtype=np.int16)
    volume[brain] = np.clip(np.rint(np.hypot(real, imaginary)), 1, np.iinfo(np.int16).max).astype(np.int16)
    return volume
