"""What each step learns from: a function of recipe, stage and step, so that a run can go on anywhere.

Geometries are kept in a folder as they are first needed; everything else is made anew.
"""

from __future__ import annotations

import io
import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from augmentation import augment
from cascade import MODALITIES
from numpy.typing import NDArray
from phantoms import TRAINING, Geometry, TrainingCrop, make_crop, make_geometry, scan_geometry
from phantoms.geometry import load_geometry
from phantoms.scan import MIXED
from recipe import Recipe, Stage
from threadpoolctl import threadpool_limits

from brats_trt.files import make_folder, write_whole

# Every set of modalities but the empty one, all four last.
SETS = tuple(
    tuple(m in chosen for m in range(MODALITIES))
    for number in range(1, MODALITIES + 1)
    for chosen in combinations(range(MODALITIES), number)
)
# Keeps the random numbers of steps and of validation apart from those of phantoms.
_STEP_STREAM, _VALIDATION_SEED = 7, 500_000
_STAGE_SEEDS = 10_000  # geometries of a stage at most
_AHEAD = 3


@dataclass(frozen=True, eq=False)
class Sample:
    """A crop in 16 bits (4, S, S, S), its classes (S, S, S), and which modalities are shown (4,) bool."""

    crop: NDArray[np.float16]
    classes: NDArray[np.uint8]
    presence: NDArray[np.bool_]


def make_sample(recipe: Recipe, stage: int, step: int, folder: Path) -> Sample:
    """What a step of a stage learns from."""
    rng = np.random.default_rng(np.random.SeedSequence((_STEP_STREAM, recipe.seed, stage, step)))
    chosen = recipe.stages[stage]
    number = int(rng.integers(chosen.geometries))
    geometry = _geometry(recipe, chosen, stage * _STAGE_SEEDS + number, folder)
    crop = make_crop(scan_geometry(geometry, MIXED, int(rng.integers(2**31))), chosen.size)
    crop = augment(rng, crop, recipe.augmentation)
    absent = rng.random() < recipe.absent
    presence = SETS[int(rng.integers(len(SETS) - 1))] if absent else SETS[-1]
    return Sample(crop.crop.astype(np.float16), crop.classes, np.array(presence))


def validation_crop(recipe: Recipe, stage: int, case: int, folder: Path) -> TrainingCrop:
    """A case of the training's kind that no step learns from: all modalities, each kind of tumour in turn."""
    kinds = list(recipe.kinds)
    chosen = recipe.stages[stage]
    seed = _VALIDATION_SEED + stage * _STAGE_SEEDS + case
    geometry = _kept(folder, chosen, kinds[case % len(kinds)], seed)
    return make_crop(scan_geometry(geometry, MIXED, 0), chosen.size)


def samples(recipe: Recipe, stage: int, first: int, folder: Path, *, workers: int) -> Iterator[Sample]:
    """The samples of a stage from a step on, made ahead by worker processes, or in turn by this one with none."""
    steps = range(first, recipe.stages[stage].steps)
    make = partial(make_sample, recipe, stage, folder=folder)
    if not workers:
        yield from map(make, steps)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread) as pool:
        waiting: deque[Future[Sample]] = deque()
        try:
            for step in steps:
                waiting.append(pool.submit(make, step))
                if len(waiting) > _AHEAD + workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _one_thread() -> None:
    """Keep PyTorch and NumPy's BLAS from taking the cores that the training has."""
    torch.set_num_threads(1)
    threadpool_limits(1)


def _geometry(recipe: Recipe, stage: Stage, seed: int, folder: Path) -> Geometry:
    """The head with a seed; its kind follows from the seed too."""
    rng = np.random.default_rng(np.random.SeedSequence((_STEP_STREAM, recipe.seed, seed)))
    shares = np.array(list(recipe.kinds.values()), float)
    kind = str(rng.choice(list(recipe.kinds), p=shares / shares.sum()))
    return _kept(folder, stage, kind, seed)


def _kept(folder: Path, stage: Stage, kind: str, seed: int) -> Geometry:
    """A geometry from the folder, made first where it is not there yet."""
    path = folder / f"{stage.voxel_mm:g}mm-{TRAINING.digest}" / f"{kind}-{seed}.npz"
    if not path.exists():
        make_folder(path.parent)
        content = io.BytesIO()
        make_geometry(TRAINING, kind, seed, voxel_mm=stage.voxel_mm).save(content)
        write_whole(path, content.getvalue())
    return load_geometry(path)
