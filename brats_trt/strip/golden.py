"""The golden case of HD-BET's networks: the head that the tumours' golden crop shows, and the brain found in it.

The head is made voxel for voxel by the same arithmetic (`plans/golden`), as a T1, and stands in the network's axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backends.device import Device, DeviceEngine
from ..errors import EngineError
from ..plans.golden import Expected, examine, golden_crop, not_finite, octant_counts
from ..plans.records import check_counts
from .networks import CpuNetwork
from .weights import BrainSource

SEED = 0
BRAIN = 0.5
BrainCounts = tuple[tuple[int, int], ...]

# In BF16, which keeps fewer digits than any type that a GPU computes these plans in, 7.9e-5 of the voxels move. The
# mirroring of the answer that moves fewest moves 2.4e-2 (tests/test_strip_plans.py).
TOLERANCE = 5e-4


@dataclass(frozen=True)
class BrainGolden:
    """A made-up head and the brain that the network finds in it, in FP32 on the CPU.

    Attributes
    ----------
    seed
        Of the head.
    counts
        Voxels outside and inside of the brain in each octant: (8, 2). Octant 4 a + 2 b + c is the lower (0) or upper
        (1) half of the network's axes z, y and x.
    tolerance
        The share of all voxels that may be counted elsewhere.
    """

    seed: int
    counts: BrainCounts
    tolerance: float

    def __post_init__(self) -> None:
        check_counts(self.counts, self.tolerance)


def golden_head(seed: int, shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """A made-up T1 of a head as the network takes it: (1, 1, Z, Y, X) float32, mean 0, deviation 1."""
    depth, height, width = shape
    head = golden_crop(seed, (width, height, depth), ("t1",))[0, 0].transpose(2, 1, 0)
    normalised = (head - head.mean(dtype=np.float64)) / head.std(dtype=np.float64)
    return np.ascontiguousarray(normalised, np.float32)[None, None]


def brain_counts(probability: NDArray[np.floating[Any]]) -> BrainCounts:
    """`BrainGolden.counts` of a (1, 1, Z, Y, X) probability."""
    inside = (probability[0, 0] >= BRAIN).astype(np.intp)
    return tuple((counts[0], counts[1]) for counts in octant_counts(inside, 2))


def probability_fault(probability: NDArray[np.floating[Any]]) -> str | None:
    """What makes an array no probability."""
    broken = not_finite(probability)
    if broken:
        return broken
    if probability.min() < 0 or probability.max() > 1:
        return f"has values of {probability.min():.3g} to {probability.max():.3g}; expected probabilities"
    return None


def expect_brain(source: BrainSource) -> BrainGolden:
    """What a network makes of the head, by OpenVINO in FP32 on the CPU.

    Raises
    ------
    EngineError
        If OpenVINO cannot run the network, or finds no brain.
    """
    head = golden_head(SEED, source.shape)
    answer = CpuNetwork(source.path, precision="f32").infer(head[0, 0])[None, None]
    found = probability_fault(answer)
    counts = brain_counts(answer)
    if found is None and not any(inside for _, inside in counts):
        found = "has no brain in it"
    if found is not None:
        raise EngineError(f"{source.path}: the network's answer to the golden head {found}: delete it, and try again")
    return BrainGolden(SEED, counts, TOLERANCE)


def check_brain(device: Device, engine: DeviceEngine, golden: BrainGolden, *, command: str) -> None:
    """Run the head on a device and compare.

    Raises
    ------
    EngineError
        If the answer is no probability, or its brain is not the one expected.
    """
    expected = Expected(golden.counts, golden.tolerance, probability_fault, brain_counts)
    examine(device, engine, golden_head(golden.seed, engine.size), expected, command=command)
