"""The golden crop: an input that anybody can make again, and the answer that an engine must give to it.

A plan can load without complaint and give garbage. So a crop is made of a seed, the model answers it in FP32 on the CPU
when the plan is built, and the plan has to give nearly the same labels before it sees a head. The crop is a lopsided
ellipsoid with a tumour of three tissues and a bleeding, in the values that the normalisation gives (0 outside, about
0.5 in healthy tissue). Integers, sums, products, quotients and square roots make it, so every machine and NumPy makes
the same bits.

Labels are counted in each octant of the crop, since an answer with swapped or mirrored axes has the same counts of the
whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..backends.model import CLASSES
from ..errors import EngineError
from ..spec import MODALITIES, Modality
from .records import Golden, OctantCounts

if TYPE_CHECKING:
    from ..backends.device import Device, DeviceEngine
    from ..backends.model import Model

# 16 bits move boundary voxels to the neighbouring class. Typed in float16, on the CPU: at most 2.9e-6 of the crop for
# the demo model, 3.1e-4 for random weights, whose classes nearly tie. Of all 23 other orders of the modalities and all
# 47 turns and mirrorings of input or output, the one that moves the demo model's answer least moves 3.1e-3.
TOLERANCE = 5e-4

# How far from 1 the four probabilities of a voxel may add up in float16: four roundings, and the softmax's own.
_UNITY = 0.01

# A tissue's value in each modality, as the normalisation gives it.
_TISSUES: dict[str, dict[Modality, float]] = {
    "white": {"t1": 0.57, "t2": 0.44, "t1ce": 0.57, "flair": 0.48},
    "grey": {"t1": 0.46, "t2": 0.53, "t1ce": 0.45, "flair": 0.53},
    "fluid": {"t1": 0.28, "t2": 0.78, "t1ce": 0.28, "flair": 0.24},
    "oedema": {"t1": 0.53, "t2": 0.69, "t1ce": 0.45, "flair": 0.78},
    "enhancing": {"t1": 0.54, "t2": 0.66, "t1ce": 0.93, "flair": 0.70},
    "necrotic": {"t1": 0.35, "t2": 0.82, "t1ce": 0.33, "flair": 0.37},
    # As bright without contrast agent as with it, which is no enhancement: what a model tells by T1 alone.
    "blood": {"t1": 0.95, "t2": 0.45, "t1ce": 0.93, "flair": 0.50},
}
_NOISE = 0.02  # half the width of the noise

# Centre and half axes along x, y, z in the crop, which runs from -1 to 1, outermost first. The tumour's move with the
# seed, by up to _SHIFT.
_HEALTHY = (
    ("grey", (0.0, 0.0, 0.0), (0.98, 0.99, 0.97)),
    ("white", (0.02, -0.03, 0.05), (0.80, 0.84, 0.78)),
    ("fluid", (0.16, -0.05, 0.10), (0.09, 0.36, 0.14)),
    ("fluid", (-0.16, -0.05, 0.10), (0.09, 0.36, 0.14)),
)
_TUMOUR = (
    ("oedema", (-0.42, 0.28, -0.20), (0.34, 0.46, 0.40)),
    ("enhancing", (-0.40, 0.20, -0.14), (0.24, 0.31, 0.27)),
    ("necrotic", (-0.38, 0.16, -0.12), (0.13, 0.19, 0.16)),
    ("blood", (0.45, -0.30, -0.20), (0.25, 0.25, 0.25)),
)
_SHIFT = 0.08


def golden_crop(
    seed: int, size: tuple[int, int, int], modalities: tuple[Modality, ...] = MODALITIES
) -> NDArray[np.float32]:
    """Make the golden crop.

    Parameters
    ----------
    seed
        Moves the tumour and changes the noise.
    size
        Voxels along x, y and z.
    modalities
        The order of the channels.

    Returns
    -------
    (1, 4, D, H, W) float32 from 0 to 1; D, H, W are x, y, z.
    """
    tissue = _tissue_map(seed, size)
    crop = np.empty((1, len(modalities), *size), np.float32)
    for channel, modality in enumerate(modalities):
        values = np.array([0.0, *(tissue_values[modality] for tissue_values in _TISSUES.values())])
        noise = (_hashed(seed, 1 + MODALITIES.index(modality), tissue.size).reshape(size) * 2.0 - 1.0) * _NOISE
        crop[0, channel] = np.where(tissue > 0, values[tissue] + noise, 0.0)
    return crop


def golden_counts(softmax: NDArray[np.floating[Any]]) -> OctantCounts:
    """Count the voxels of each class in each octant of a (1, 4, D, H, W) softmax; ties go to the lower class.

    Returns
    -------
    Eight times four: `Golden.counts`.
    """
    return tuple((c[0], c[1], c[2], c[3]) for c in octant_counts(softmax[0].argmax(axis=0), CLASSES))


def octant_counts(labels: NDArray[Any], classes: int) -> tuple[tuple[int, ...], ...]:
    """Count the voxels of each class in each octant of an (X, Y, Z) map of integers from 0."""
    halves = [(slice(None, n // 2), slice(n // 2, None)) for n in labels.shape]
    counts = (np.bincount(labels[octant].ravel(), minlength=classes) for octant in product(*halves))
    return tuple(tuple(int(n) for n in octant) for octant in counts)


def expect_golden(model: Model, seed: int = 0) -> Golden:
    """What a model makes of the golden crop, by OpenVINO in FP32 on the CPU.

    Raises
    ------
    EngineError
        If OpenVINO cannot run the model, or the answer is no softmax.
    """
    from ..backends.openvino import OpenVinoEngine

    crop = golden_crop(seed, model.size, model.spec.modalities)
    softmax = np.empty_like(crop)
    OpenVinoEngine(model, precision="fp32").infer(crop, softmax)
    fault = softmax_fault(softmax)
    if fault:
        raise EngineError(f"{model.path}: the model's answer to the golden crop {fault}: convert the model again")
    return Golden(seed, model.spec.modalities, golden_counts(softmax), TOLERANCE)


def check_golden(device: Device, engine: DeviceEngine, golden: Golden, *, command: str = "") -> None:
    """Run the golden crop on a device and compare.

    Parameters
    ----------
    command
        The command line that builds the engine again, for the message.

    Raises
    ------
    EngineError
        If the answer is no softmax, or its labels are not those expected.
    """
    expected = Expected(golden.counts, golden.tolerance, softmax_fault, golden_counts)
    examine(device, engine, golden_crop(golden.seed, engine.size, golden.modalities), expected, command=command)


@dataclass(frozen=True)
class Expected:
    """What a network's answer to its golden crop is judged by.

    Attributes
    ----------
    counts
        Voxels of each class in each octant.
    tolerance
        The share of all voxels that may be counted elsewhere.
    fault
        What makes an answer none, or None.
    count
        The counts of an answer.
    """

    counts: Sequence[Sequence[int]]
    tolerance: float
    fault: Callable[[NDArray[np.floating[Any]]], str | None]
    count: Callable[[NDArray[np.floating[Any]]], Sequence[Sequence[int]]]


def examine(
    device: Device, engine: DeviceEngine, crop: NDArray[np.float32], expected: Expected, *, command: str = ""
) -> None:
    """Run a crop on a device and judge the answer, which has the crop's shape.

    Raises
    ------
    EngineError
        As `check_golden` does.
    """
    _check_size(engine, expected)
    answer = _answer(device, engine, crop)
    remedy = f"build it again: `{command}`" if command else "build it again with `brats-trt build`"
    fault = expected.fault(answer)
    if fault:
        raise EngineError(f"the engine's answer to the golden crop on {device.name} {fault}: {remedy}")
    counts = expected.count(answer)
    share = moved(counts, expected.counts)
    if share > expected.tolerance:
        raise EngineError(
            f"the engine labels the golden crop on {device.name} with {_totals(counts)} voxels a class, expected "
            f"{_totals(expected.counts)}; counted by octant {share:.2%} of the voxels moved, "
            f"{expected.tolerance:.2%} may: {remedy}"
        )


def _check_size(engine: DeviceEngine, expected: Expected) -> None:
    voxels, counted = math.prod(engine.size), sum(map(sum, expected.counts))
    if voxels != counted:
        raise EngineError(
            f"the golden counts are of {counted} voxels, the engine's crop of {engine.size} has {voxels}: the manifest "
            "is of another plan, build the plan again with `brats-trt build`"
        )


def moved(counts: Sequence[Sequence[int]], expected: Sequence[Sequence[int]]) -> float:
    """The least share of voxels that must change class or octant to make one table of counts the other."""
    found, wanted = np.array(counts), np.array(expected)
    return float(np.abs(found - wanted).sum() / 2 / wanted.sum())


def softmax_fault(softmax: NDArray[np.floating[Any]]) -> str | None:
    """What makes a (1, 4, D, H, W) array no softmax over its second axis."""
    broken = not_finite(softmax)
    if broken:
        return broken
    if softmax.min() < 0:
        return f"has values down to {softmax.min():.3g}; expected probabilities"
    sums = softmax.sum(axis=1, dtype=np.float32)
    if np.abs(sums - 1).max() > _UNITY:
        return f"adds up to {sums.min():.3g} to {sums.max():.3g} over the classes; expected 1"
    return None


def not_finite(answer: NDArray[np.floating[Any]]) -> str | None:
    """How many values are not finite, where any are."""
    broken = answer.size - int(np.isfinite(answer).sum())
    return f"has {broken} of {answer.size} values that are not finite" if broken else None


def _answer(device: Device, engine: DeviceEngine, crop: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
    dtype = np.dtype(np.float16 if engine.half else np.float32)
    source = crop.astype(dtype)
    with device.current():
        stream = device.stream()
        entry, answer = device.allocate(source.nbytes, "golden crop"), device.allocate(source.nbytes, "golden answer")
        sent, received = device.pinned(source.nbytes), device.pinned(source.nbytes)
        sent[...] = source.reshape(-1).view(np.uint8)
        received[...] = 0xFF  # NaN, in either type: what the engine does not write is seen
        device.upload(answer, received, stream)
        device.upload(entry, sent, stream)
        engine.enqueue(entry.address, answer.address, stream)
        device.download(received, answer, stream)
        device.synchronise(stream)
    return received.view(dtype).reshape(source.shape)


def _totals(counts: Sequence[Sequence[int]]) -> tuple[int, ...]:
    return tuple(sum(of_class) for of_class in zip(*counts, strict=True))


def _tissue_map(seed: int, size: tuple[int, int, int]) -> NDArray[np.intp]:
    """Which of `_TISSUES` each voxel is, from 1; 0 is outside the head."""
    axes = [(np.arange(n) * 2.0 + 1.0) / n - 1.0 for n in size]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    shift = (_hashed(seed, 0, 3) * 2.0 - 1.0) * _SHIFT
    tissue = np.zeros(size, np.intp)
    names = list(_TISSUES)
    for shapes, offset in ((_HEALTHY, np.zeros(3)), (_TUMOUR, shift)):
        for name, centre, half in shapes:
            a, b, c = ((v - m - o) / h for v, m, o, h in zip((x, y, z), centre, offset, half, strict=True))
            tissue[(a * a + b * b) + c * c < 1.0] = 1 + names.index(name)
    return tissue


def _hashed(seed: int, channel: int, n: int) -> NDArray[np.float64]:
    """`n` numbers of 0 to 1: the finaliser of SplitMix64 on a counter (Steele, Lea and Flood 2014)."""
    state = np.arange(1, n + 1, dtype=np.uint64) + np.uint64((seed * 16 + channel) % 2**24 * 2**40)
    state *= np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state = (state ^ (state >> np.uint64(31))) >> np.uint64(11)
    return np.asarray(state / 2.0**53, np.float64)
