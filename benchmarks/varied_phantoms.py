"""Phantoms as many scanners would see them: other contrast, noise, bias, units and curves; with and without a tumour.

Drawn from the seed, for each modality on its own unless said otherwise:

- how far grey matter and CSF lie from white matter, 0.6 to 1.4 times the demo's;
- noise, 0.5 to 4 times, and bias, 0.5 to 4 times the demo's (deviations of up to 24 %);
- a unit, over three decades, and the power that all values are raised to, 0.7 to 1.4;
- for the case: an enhancing tumour (half of the cases), one that takes up no contrast agent (a fifth), or none.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from brats_trt.demo.anatomy import make_head
from brats_trt.demo.contrast import APPEARANCES, BIAS, render
from brats_trt.demo.phantom import _brain_window, _place, brats_affine
from brats_trt.demo.tumour import Tumour, grow_tumour, place_lesion
from brats_trt.spec import MODALITIES, Modality

SHAPE = (120, 120, 78)  # 2 mm


def varied_phantom(seed: int, shape: tuple[int, int, int] = SHAPE) -> dict[Modality, NDArray[np.float32]]:
    """Four volumes (X, Y, Z) float32 on BraTS' field of view, 0 outside the brain."""
    random = np.random.default_rng(np.random.SeedSequence((seed, 1)))
    window, axes = _brain_window(shape, brats_affine(shape))
    lesion = place_lesion(random)
    head = make_head(random, axes, [lesion.mass])
    tumour = grow_tumour(random, axes, lesion, head)
    kind = random.choice(["enhancing", "plain", "none"], p=[0.5, 0.2, 0.3])
    if kind == "none":
        nothing = np.zeros_like(tumour.core)
        tumour = Tumour(nothing, nothing, nothing, np.zeros_like(tumour.labels))
    found = {}
    for modality in MODALITIES:
        look = APPEARANCES[modality]
        if kind == "plain":
            look = replace(look, rim=(look.core + look.oedema) / 2)
        reach = random.uniform(0.6, 1.4)
        tissues = {name: look.white + reach * (getattr(look, name) - look.white) for name in ("grey", "csf")}
        look = replace(look, noise=look.noise * random.uniform(0.5, 4), **tissues)
        drawn = render(random, axes, modality, head, tumour, look=look, bias=BIAS * random.uniform(0.5, 4))
        values = _place(drawn, window, shape).astype(np.float32, order="F")
        unit, power = 10.0 ** random.uniform(-2, 1), random.uniform(0.7, 1.4)
        found[modality] = np.float32(unit) * values ** np.float32(power)
    return found
