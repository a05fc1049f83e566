"""Modalities under one another's names, told by the contrast between brain tissues.

- CSF is dark in T1 (with and without contrast agent) and FLAIR, and the brightest of all in T2: where T2 brightens, the
  others darken. T2 is the modality whose changes correlate least with the others'.
- Of the other three, away from fluid, T1 has white matter brighter than grey and oedema darkest, with and without
  contrast agent; in FLAIR it is the other way round. FLAIR is the one whose changes run against the two others'.
- What T1ce has beyond T1 is what takes up contrast agent: few voxels, far brighter than white matter. T1 has none.

Each step needs a clear lead, and the check is silent where there is none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..spec import MODALITIES, Modality
from .contrast import Contrast
from .copies import LEAST_CORRELATION
from .evidence import Evidence
from .finding import Finding
from .skull import LARGEST_FILL, MOST_LITRES

CODE = "modalities-swapped"
# Sum of a modality's correlations with the other three: how far T2's lies below the next.
T2_LEAD = 0.3
# Correlation between the T1 pair, less the greater one of either with FLAIR.
FLAIR_LEAD = 0.2
# Ranks in T2 below which a voxel is not fluid, and how many pairs of such are needed.
FLUID_RANK, LEAST_PAIRS = 0.75, 500
# A modality's tail: how far its 99.8th percentile lies above the median, in units of the 95th's; how many times that of
# T1ce exceeds that of T1 for enhancement to be told, and the least tail that counts as one.
TAIL_PERCENTILES = (50.0, 95.0, 99.8)
TAIL_LEAD, LEAST_TAIL = 1.5, 2.2


def find_swapped(evidence: Evidence) -> Finding | None:
    """Report modalities that look like one another's.

    Silent without all modalities, with too small a sample of a head, with a skull or a background above zero, whose
    contrast is another, and where two volumes are one. T1 and T1ce are told apart only where one of them shows
    enhancement.
    """
    contrast = evidence.contrast
    if contrast is None or len(contrast.modalities) < len(MODALITIES):
        return None
    if evidence.sample is None or max(evidence.sample.fills.values()) > LARGEST_FILL:
        return None
    if max(evidence.litres.values(), default=0.0) > MOST_LITRES:
        return None
    looks = looks_of(contrast)
    wrong = [f"the volume given as {given} looks like {look}" for given, look in looks.items() if given != look]
    if not wrong:
        return None
    return Finding(
        CODE,
        f"{evidence.name}: {' and '.join(wrong)} ({_numbers(contrast)}), which suggests swapped modalities: check "
        "which volume is which",
    )


def looks_of(contrast: Contrast) -> dict[Modality, Modality]:
    """What modalities look like, of those that can be told, by the name that they were given."""
    names = contrast.modalities
    changes = contrast.changes
    correlations = _correlations(changes)
    if np.triu(correlations, 1).max() > LEAST_CORRELATION:
        return {}
    sums = correlations.sum(axis=1)
    first, second = np.argsort(sums)[:2]
    if not sums[second] - sums[first] > T2_LEAD:
        return {}
    looks: dict[Modality, Modality] = {names[first]: "t2"}
    dry = contrast.ranks[first].max(axis=0) < FLUID_RANK
    rest = [index for index in range(len(names)) if index != first]
    flair = _odd_one_out(_correlations(changes[rest][:, dry])) if np.count_nonzero(dry) >= LEAST_PAIRS else None
    if flair is None:
        return looks
    looks[names[rest.pop(flair)]] = "flair"
    return looks | _enhancing(contrast, rest)


def _correlations(changes: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):  # a modality without any change has none
        return np.nan_to_num(np.corrcoef(changes))


def _odd_one_out(correlations: NDArray[np.float64]) -> int | None:
    """Of three, the one that the two others are more alike without; None where none leads."""
    alike = np.array([correlations[1, 2], correlations[0, 2], correlations[0, 1]])
    odd = int(alike.argmax())
    return odd if alike[odd] - np.delete(alike, odd).max() > FLAIR_LEAD else None


def _enhancing(contrast: Contrast, pair: list[int]) -> dict[Modality, Modality]:
    """Which one of the T1 pair shows enhancement; nothing where neither clearly does."""
    tails = tail_lengths(contrast)[pair]
    with_agent = int(tails.argmax())
    if tails[with_agent] < LEAST_TAIL or tails[with_agent] < TAIL_LEAD * tails[1 - with_agent]:
        return {}
    return {contrast.modalities[pair[with_agent]]: "t1ce", contrast.modalities[pair[1 - with_agent]]: "t1"}


def tail_lengths(contrast: Contrast) -> NDArray[np.float64]:
    """(4,): how far each modality's brightest voxels lie above the median, against the bright ones."""
    median, bright, brightest = (
        contrast.ordered[:, int(p / 100 * contrast.ordered.shape[1])] for p in TAIL_PERCENTILES
    )
    with np.errstate(all="ignore"):
        return np.nan_to_num((brightest - median) / (bright - median), posinf=0.0)


def _numbers(contrast: Contrast) -> str:
    """What the looks were told by."""
    sums = _correlations(contrast.changes).sum(axis=1) - 1
    tails = tail_lengths(contrast)
    told = [f"{name} {s / 3:+.2f}, {tail:.1f}" for name, s, tail in zip(contrast.modalities, sums, tails, strict=True)]
    return f"mean correlation with the others, length of the bright tail: {'; '.join(told)}"
