"""What each tissue looks like in one image: mean intensities, drawn anew for each modality of each case.

In the manner of SynthSeg the means are random, here around those of a modality, so that a class can still be told from
the others; "foreign" images take any means at all. Source: Billot et al., "SynthSeg", Medical Image Analysis 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from brats_trt.demo.contrast import Appearance
from brats_trt.spec import Modality

from .regimes import Scanner

# The least intensity of enhancing tumour in T1ce, relative to every other solid tissue: what makes it recognisable.
UPTAKE = 1.22
FOREIGN = (0.15, 2.3)  # of the mean of white matter


@dataclass(frozen=True)
class Means:
    """Mean intensities in one image, and how much of the atlas' detail shows (in units of white minus grey)."""

    white: float
    grey: float
    csf: float
    necrosis: float
    cyst: float
    plain: float
    enhancing: float
    oedema: float
    detail: float


def draw_means(rng: np.random.Generator, modality: Modality, scanner: Scanner, *, foreign: bool = False) -> Means:
    """The means of one image."""
    look = scanner.looks[modality]
    means = _foreign(rng, look) if foreign else _own(rng, modality, look, scanner)
    if modality != "t1ce":
        return means
    others = max(means.white, means.grey, means.plain, means.oedema, means.necrosis)
    return replace(means, enhancing=max(means.enhancing, UPTAKE * others))


def _own(rng: np.random.Generator, modality: Modality, look: Appearance, scanner: Scanner) -> Means:
    base = _base(modality, look)
    drawn = {"white": base.white}
    for entry in fields(Means):
        if entry.name in ("white", "detail"):
            continue
        reach = rng.uniform(*scanner.reach)
        mean = base.white + reach * (getattr(base, entry.name) - base.white)
        drawn[entry.name] = float(max(mean, 0.12 * base.white) * np.exp(rng.normal(0, scanner.jitter)))
    return Means(**drawn, detail=base.detail * float(rng.uniform(0.6, 1.4)))


def _base(modality: Modality, look: Appearance) -> Means:
    """A modality's own means; a cyst is nearly CSF, and solid tumour without uptake lies between core and oedema."""
    plain = 0.55 * look.oedema + 0.45 * look.core
    if modality in ("t1", "t1ce"):  # where the core is dark and the oedema not, solid tumour is nearly as grey matter
        plain = 0.75 * look.oedema + 0.25 * look.core
    return Means(
        white=look.white,
        grey=look.grey,
        csf=look.csf,
        necrosis=look.core,
        cyst=0.7 * look.csf + 0.3 * look.core,
        plain=plain,
        enhancing=look.rim,
        oedema=look.oedema,
        detail=look.detail,
    )


def _foreign(rng: np.random.Generator, look: Appearance) -> Means:
    drawn = {entry.name: float(look.white * rng.uniform(*FOREIGN)) for entry in fields(Means)}
    return Means(**(drawn | {"detail": look.detail}))
