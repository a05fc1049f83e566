"""What may vary and how far: the kinds of tumour and image by name, and the two regimes.

Ranges are (least, greatest) of a uniform draw, lengths in mm. The held-out regime draws heads, growth and scanners from
other parameters: other wavelengths of every random field, other sizes, other mean contrasts, correlated noise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from brats_trt.demo.anatomy import HeadShape
from brats_trt.demo.contrast import APPEARANCES, Appearance
from brats_trt.spec import Modality

Range = tuple[float, float]

IMAGE_KINDS = (
    "typical",
    "contrast",
    "foreign",
    "bias",
    "noise",
    "blur",
    "anisotropic",
    "motion",
    "missing-slices",
    "stripping",
    "replaced",
)


@dataclass(frozen=True)
class Growth:
    """A kind of tumour.

    Attributes
    ----------
    number
        Least and greatest number of lesions.
    radius, thickness, reach
        Of the solid part, of its rim, and of the oedema around it; a rim thicker than the radius leaves no core, a
        negative reach no oedema.
    enhancing
        The share of the rim that takes up contrast agent; the rest belongs to the non-enhancing core's class.
    cystic
        Whether the core is a cyst, smooth and like CSF, rather than necrosis.
    softness
        Radius over displacement: small for a mass effect.
    midline
        Whether the lesions lie on both sides of the midline and meet there.
    """

    number: tuple[int, int] = (1, 1)
    radius: Range = (11.0, 20.0)
    thickness: Range = (3.5, 6.0)
    reach: Range = (8.0, 20.0)
    enhancing: Range = (1.0, 1.0)
    cystic: bool = False
    softness: Range = (3.0, 6.0)
    midline: bool = False
    stretch: float = 0.16
    swell: Range = (0.14, 0.06)


SOLID = (90.0, 90.0)  # a thickness that leaves no core

TUMOURS: Mapping[str, Growth] = {
    "ring": Growth(),
    "none": Growth(number=(0, 0)),
    "small": Growth(radius=(5.5, 9.5), thickness=(3.0, 4.5), reach=(3.0, 11.0)),
    "large": Growth(radius=(20.0, 27.0), thickness=(4.0, 8.0), reach=(8.0, 20.0)),
    "several": Growth(number=(2, 4), radius=(6.0, 12.0), thickness=(3.0, 4.5), reach=(3.0, 12.0)),
    "non-enhancing": Growth(radius=(9.0, 21.0), thickness=SOLID, reach=(3.0, 12.0), enhancing=(0.0, 0.0)),
    "no-necrosis": Growth(radius=(6.5, 14.0), thickness=SOLID, reach=(5.0, 18.0)),
    "cystic": Growth(radius=(12.0, 21.0), thickness=(2.5, 4.0), reach=(2.0, 8.0), cystic=True, swell=(0.08, 0.03)),
    "midline": Growth(number=(2, 2), radius=(9.0, 16.0), midline=True, stretch=0.24),
    "mass-effect": Growth(radius=(16.0, 23.0), softness=(1.9, 2.6)),
    "patchy": Growth(radius=(11.0, 20.0), thickness=(4.5, 8.0), enhancing=(0.4, 0.8)),
}
TUMOUR_KINDS = tuple(TUMOURS)


@dataclass(frozen=True)
class Scanner:
    """How images vary. A factor is relative to the demo's.

    Attributes
    ----------
    looks
        Mean intensities of each modality.
    reach
        How far each tissue's mean lies from white matter's, a factor.
    jitter
        Deviation of the logarithm of each tissue's mean.
    noise, noise_strong
        Factors, of every image and of those of the kind "noise".
    noise_grain
        Deviation (voxels) of the filter that correlates noise; 0 for none.
    bias, bias_strong
        Deviation of the logarithm of the bias field.
    power
        All intensities are raised to it.
    blur
        Deviation (mm) of the point spread.
    slices
        Thickness (mm) of slices in anisotropic images.
    ghosts, ghost_shift
        Number of ghosts of a moved head, and how far apart they are (mm).
    """

    looks: Mapping[Modality, Appearance] = field(default_factory=lambda: APPEARANCES)
    reach: Range = (0.65, 1.35)
    jitter: float = 0.10
    noise: Range = (0.5, 2.2)
    noise_strong: Range = (2.2, 4.0)
    noise_grain: float = 0.0
    bias: Range = (0.02, 0.10)
    bias_strong: Range = (0.12, 0.26)
    bias_wavelength: Range = (90.0, 170.0)
    power: Range = (0.75, 1.3)
    blur: Range = (0.5, 1.3)
    slices: Range = (2.0, 5.0)
    ghosts: tuple[int, int] = (1, 3)
    ghost_shift: Range = (3.0, 18.0)


# How often each artefact is seen in a modality of mixed images.
CHANCES: Mapping[str, float] = {
    "contrast": 0.20,
    "foreign": 0.06,
    "bias": 0.20,
    "noise": 0.20,
    "blur": 0.20,
    "anisotropic": 0.15,
    "motion": 0.08,
    "missing-slices": 0.05,
}


@dataclass(frozen=True)
class Mixture:
    """How often mixed images show what: artefacts in each modality, and, in a case, stripping that erred and noise in
    one modality's place.
    """

    artefacts: Mapping[str, float] = field(default_factory=lambda: CHANCES)
    stripping: float = 0.15
    replaced: float = 0.10


@dataclass(frozen=True)
class Regime:
    """Everything that may vary.

    Attributes
    ----------
    stream
        Keeps the random numbers of regimes apart, whatever the seed.
    patch_wavelength
        Over which enhancement comes and goes in a rim.
    """

    name: str
    stream: int
    head: HeadShape
    tumours: Mapping[str, Growth]
    scanner: Scanner
    patch_wavelength: float
    mixture: Mixture = field(default_factory=Mixture)

    @property
    def digest(self) -> str:
        """Of all parameters: geometries and runs of others are not this regime's."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:12]


TRAINING = Regime(
    name="training",
    stream=1,
    head=HeadShape(scale=(0.88, 0.98), stretch=0.025, tilt=8.0, proportions=(2.2, 70.0), folds=(1.0, 12.0)),
    tumours=TUMOURS,
    scanner=Scanner(),
    patch_wavelength=20.0,
)


def _unlike(growth: Growth) -> Growth:
    """A kind of tumour with sizes of the upper and lower ends left out, and other irregularities."""
    least, greatest = growth.radius
    middle, span = (least + greatest) / 2, greatest - least
    return replace(
        growth,
        radius=(middle - 0.42 * span, middle + 0.38 * span),
        stretch=0.7 * growth.stretch,
        swell=(0.6 * growth.swell[0], 1.7 * growth.swell[1]),
    )


# Contrasts of another protocol: stronger T1 weighting with darker grey matter, a longer echo time in T2, and FLAIR with
# bright grey matter; uptake of contrast agent is weaker.
OTHER_LOOKS: Mapping[Modality, Appearance] = {
    "t1": Appearance(white=610, grey=430, csf=170, core=280, rim=450, oedema=430, detail=0.6, noise=11),
    "t2": Appearance(white=560, grey=780, csf=1780, core=1690, rim=1120, oedema=1230, detail=0.4, noise=16),
    "t1ce": Appearance(white=1120, grey=850, csf=330, core=520, rim=1690, oedema=760, detail=0.6, noise=16),
    "flair": Appearance(white=690, grey=860, csf=240, core=660, rim=1070, oedema=1190, detail=0.4, noise=14),
}

HELD_OUT = Regime(
    name="held-out",
    stream=2,
    head=HeadShape(scale=(0.87, 0.97), stretch=0.03, tilt=6.0, proportions=(1.9, 52.0), folds=(0.8, 16.0)),
    tumours={name: _unlike(growth) for name, growth in TUMOURS.items()},
    scanner=Scanner(
        looks=OTHER_LOOKS,
        reach=(0.75, 1.25),
        jitter=0.07,
        noise=(0.8, 1.8),
        noise_strong=(2.0, 3.2),
        noise_grain=0.45,
        bias=(0.03, 0.08),
        bias_strong=(0.14, 0.22),
        bias_wavelength=(60.0, 80.0),
        power=(0.8, 1.2),
        blur=(0.6, 1.1),
        slices=(2.5, 4.0),
        ghosts=(2, 2),
        ghost_shift=(5.0, 12.0),
    ),
    patch_wavelength=14.0,
)
REGIMES = {regime.name: regime for regime in (TRAINING, HELD_OUT)}
