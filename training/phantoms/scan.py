"""A geometry as four modalities: contrast, artefacts and noise, drawn anew from each seed.

Images are (X, Y, Z) float32 on the geometry's window, 0 outside of what the skull stripper left. Of an image kind every
modality shows what the kind is named for; "mixed", the kind of training, draws each artefact for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brats_trt.demo.fields import Axes, FloatArray, smooth_noise
from brats_trt.spec import MODALITIES, Modality

from . import artefacts
from .contrast import Means, draw_means
from .geometry import DETAIL_STEP, Geometry
from .lesions import TISSUES
from .regimes import IMAGE_KINDS, REGIMES, Mixture, Scanner

MIXED = "mixed"
# Only modalities whose part others can take over are replaced by noise or get a foreign contrast: uptake of contrast
# agent shows in T1ce alone, and labels that no image shows would teach a network to guess.
REPLACEABLE: tuple[Modality, ...] = ("t1", "t2", "flair")


@dataclass(frozen=True, eq=False)
class Scan:
    """Four images and their labels (uint8: 0, 1, 2, 4) on a geometry's window."""

    volumes: Mapping[Modality, FloatArray]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class _Plan:
    """What is seen in which modality."""

    seen: Mapping[Modality, frozenset[str]]
    stripping: bool


def scan_geometry(geometry: Geometry, image: str, seed: int) -> Scan:
    """Make the images of a kind, or mixed ones.

    Raises
    ------
    ValueError
        If the kind of image is not known.
    """
    if image not in (*IMAGE_KINDS, MIXED):
        raise ValueError(f"the kind of image is {image!r}; expected {MIXED} or one of {', '.join(IMAGE_KINDS)}")
    regime = REGIMES[geometry.regime]
    number = (*IMAGE_KINDS, MIXED).index(image)
    sequence = np.random.SeedSequence((regime.stream, 100 + number, geometry.seed, seed))
    plan_rng, strip_rng, *scans = (np.random.default_rng(s) for s in sequence.spawn(2 + len(MODALITIES)))
    plan = _plan(plan_rng, image, regime.mixture)
    labels = _on_grid(geometry, geometry.labels, np.uint8)
    left, kept = np.zeros_like(geometry.brain), geometry.brain
    if plan.stripping:
        left, kept = artefacts.bad_stripping(strip_rng, geometry.axes, geometry.brain, geometry.voxel_mm)
        labels *= kept
    volumes = {
        modality: _image(rng, geometry, modality, plan.seen[modality], (left, kept), regime.scanner)
        for modality, rng in zip(MODALITIES, scans, strict=True)
    }
    return Scan(volumes, labels)


def _plan(rng: np.random.Generator, image: str, mixture: Mixture) -> _Plan:
    one = REPLACEABLE[int(rng.integers(len(REPLACEABLE)))]
    if image != MIXED:
        only = image in ("replaced", "foreign")
        seen = {m: frozenset([image] if m == one or not only else []) for m in MODALITIES}
        if image == "missing-slices":
            lost = MODALITIES[int(rng.integers(len(MODALITIES)))]
            seen = {m: frozenset([image] if m == lost else []) for m in MODALITIES}
        return _Plan(seen, stripping=image == "stripping")
    draws = {m: {name for name, chance in mixture.artefacts.items() if rng.random() < chance} for m in MODALITIES}
    replaced = rng.random() < mixture.replaced
    for modality, names in draws.items():
        if modality not in REPLACEABLE:
            names.discard("foreign")
        if replaced and modality == one:
            names.add("replaced")
    seen = {m: frozenset(names) for m, names in draws.items()}
    return _Plan(seen, stripping=bool(rng.random() < mixture.stripping))


def _image(
    rng: np.random.Generator,
    geometry: Geometry,
    modality: Modality,
    seen: frozenset[str],
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    scanner: Scanner,
) -> FloatArray:
    axes, voxel = geometry.axes, geometry.voxel_mm
    means = draw_means(rng, modality, _wider(scanner) if "contrast" in seen else scanner, foreign="foreign" in seen)
    left, kept = masks
    mask = kept | left
    if "missing-slices" in seen:
        mask = artefacts.missing_slices(rng, mask)
    if "replaced" in seen:
        return _noise_alone(rng, mask, means)
    volume = _signal(rng, geometry, means)
    if left.any():
        volume[left] = _leftovers(rng, axes, means)[left]
    if "blur" in seen:
        volume = artefacts.blur(rng, volume, voxel, scanner.blur)
    if "anisotropic" in seen:
        volume = artefacts.thicken_slices(rng, volume, voxel, scanner.slices)
    if "motion" in seen:
        volume = artefacts.ghosts(rng, volume, voxel, scanner.ghosts, scanner.ghost_shift)
    volume *= artefacts.bias_field(
        rng, axes, scanner.bias_strong if "bias" in seen else scanner.bias, scanner.bias_wavelength
    )
    factor = rng.uniform(*(scanner.noise_strong if "noise" in seen else scanner.noise))
    deviation = factor * scanner.looks[modality].noise
    power = np.float32(rng.uniform(*scanner.power))
    return _measured(rng, volume, mask, deviation, (scanner.noise_grain, power, np.float32(means.white)))


def _wider(scanner: Scanner) -> Scanner:
    """The same with contrasts twice as far from the usual ones."""
    least, greatest = scanner.reach
    return replace(scanner, reach=(1.5 * least - 0.5, 1.5 * greatest - 0.5), jitter=1.5 * scanner.jitter)


def _measured(
    rng: np.random.Generator,
    volume: FloatArray,
    mask: NDArray[np.bool_],
    deviation: float,
    curve: tuple[float, np.float32, np.float32],
) -> FloatArray:
    """The image with noise and the scanner's curve, in whole steps of at least 1 inside the mask."""
    grain, power, white = curve
    if grain:
        inside = artefacts.correlated_rician(rng, volume, deviation, grain)[mask]
    else:
        inside = artefacts.rician(rng, volume[mask], deviation)
    measured = np.zeros_like(volume)
    measured[mask] = np.clip(np.rint(white * (np.maximum(inside, 0) / white) ** power), 1, 32767)
    return measured


def _signal(rng: np.random.Generator, geometry: Geometry, means: Means) -> FloatArray:
    """The noiseless image of head and tumour, 0 outside the brain."""
    white, grey = (share.astype(np.float32) / np.float32(255) for share in geometry.tissue)
    values = np.float32(means.csf) + np.float32(means.white - means.csf) * white
    values += np.float32(means.grey - means.csf) * grey
    values += np.float32(means.detail * (means.white - means.grey) * DETAIL_STEP) * geometry.detail
    places, axes = geometry.places, geometry.axes
    if len(places):
        shares = geometry.lesions.astype(np.float32) / np.float32(255)
        mottled = smooth_noise(rng, axes, 10) * np.float32(0.05) + smooth_noise(rng, axes, 5) * np.float32(0.025)
        grain = 1 + mottled[geometry.brain][places]
        healthy = values[places]
        tumour = np.zeros_like(healthy)
        for name, share in zip(TISSUES, shares, strict=True):
            mean = np.float32(getattr(means, name))
            # Oedema lies in the tissue: a quarter of the tissue's own contrast shines through.
            soaked = mean + np.float32(0.25) * (healthy - np.float32(means.white)) if name == "oedema" else mean
            tumour += share * (soaked if name == "cyst" else soaked * grain)
        values[places] = healthy * (1 - shares.sum(axis=0).clip(0, 1)) + tumour
    return _on_grid(geometry, values, np.float32, everywhere=True)


def _on_grid(geometry: Geometry, values: NDArray[Any], dtype: type, *, everywhere: bool = False) -> NDArray[Any]:
    """Values of the brain's voxels (or of the tumour's, by their places) on the window, 0 elsewhere."""
    full: NDArray[Any] = np.zeros(geometry.brain.shape, dtype)
    if everywhere:
        full[geometry.brain] = values
        return full
    inside: NDArray[Any] = np.zeros(geometry.tissue.shape[1], dtype)
    inside[geometry.places] = values
    full[geometry.brain] = inside
    return full


def _leftovers(rng: np.random.Generator, axes: Axes, means: Means) -> FloatArray:
    """Skull, fat and membranes that were not stripped: anything from dark to brighter than the brain."""
    patchy = np.exp(np.float32(0.4) * smooth_noise(rng, axes, 12))
    return np.asarray(np.float32(rng.uniform(0.2, 1.6) * means.white) * patchy, np.float32)


def _noise_alone(rng: np.random.Generator, mask: NDArray[np.bool_], means: Means) -> FloatArray:
    """A modality that shows nothing."""
    volume = np.zeros(mask.shape, np.float32)
    noise = rng.standard_normal(int(mask.sum()), np.float32)
    volume[mask] = np.clip(np.rint(means.white * (1 + 0.2 * noise)), 1, 32767)
    return volume
