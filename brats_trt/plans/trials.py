"""Recipes tried out on the GPU at hand: each is built, asked the golden crop and timed; `tuning` ranks them.

A run is timed by two events in the device's stream around it, on buffers that all engines share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..backends.device import Device, DeviceEngine
from ..backends.model import Model, read_model
from .builder import GOLDEN_SEED, Audit, build_plan, check_output, write_both
from .flavour import Flavour
from .golden import golden_crop
from .manifest import read_manifest
from .preparation import prepared
from .recipe import Recipe, build_command
from .records import Manifest
from .tuning import Tuning, tune

if TYPE_CHECKING:
    from ..export.rewrites import Deconvolution, Grouped, Norm

# What `brats_trt.export.rewrites` offers but for the scale, which is there for the range of values and not for speed.
_NORMS: tuple[Norm, ...] = ("native_cast", "native_half", "decomposed")
_GROUPED: tuple[Grouped, ...] = ("as_is", "widened16", "widened32", "dense")
_DECONVOLUTIONS: tuple[Deconvolution, ...] = ("as_is", "pixel_shuffle")
_CHOICES: dict[str, tuple[str, ...]] = {"norm": _NORMS, "grouped": _GROUPED, "deconvolution": _DECONVOLUTIONS}

Load = Callable[[Path, Manifest], DeviceEngine]


def single_changes(recipe: Recipe) -> tuple[Recipe, ...]:
    """The recipe itself, then each of it with one rewrite exchanged."""
    alone = [_with(recipe, kind, name) for kind, names in _CHOICES.items() for name in names]
    return tuple(dict.fromkeys((recipe, *alone)))


def combination(found: Tuning[Recipe], recipe: Recipe) -> Recipe:
    """The recipe with every rewrite that was faster alone, the fastest of each kind."""
    best = recipe
    faster = [trial.recipe for trial in found.trials if trial.fault is None and trial.speedup > 1]
    for kind in _CHOICES:
        winners = [other for other in faster if getattr(other, kind) != getattr(recipe, kind)]
        if winners:
            best = _with(best, kind, getattr(winners[0], kind))
    return best


def _with(recipe: Recipe, kind: str, name: str) -> Recipe:
    change: dict[str, Any] = {kind: name}
    return replace(recipe, **change)


class DeviceTrials:
    """Plans of one model on one device, all in a folder.

    Parameters
    ----------
    load
        Puts a plan on the device.
    """

    def __init__(self, model: Model, flavour: Flavour, device: Device, load: Load, folder: Path) -> None:
        self.plans: dict[Recipe, Path] = {}
        self._model, self._flavour, self._device, self._load, self._folder = model, flavour, device, load, folder
        self._crop = golden_crop(GOLDEN_SEED, model.size, model.spec.modalities)
        with device.current():
            self._stream, self._first, self._last = device.stream(), device.event(), device.event()
            self._source = device.allocate(self._crop.nbytes, "tuning crop")
            self._target = device.allocate(self._crop.nbytes, "tuning answer")
            self._host = device.pinned(self._crop.nbytes)

    def build(self, recipe: Recipe) -> DeviceEngine:
        """Build a plan, unless a trial has before, and load it."""
        if recipe not in self.plans:
            plan = self._folder / f"{len(self.plans)}.plan"
            build_plan(self._model.path, plan, self._flavour, recipe, overwrite=True)
            self.plans[recipe] = plan
        plan = self.plans[recipe]
        return self._load(plan, read_manifest(plan))

    def reference(self) -> NDArray[np.float32]:
        """The softmax of the golden crop by OpenVINO, in FP32 on the CPU."""
        from ..backends.openvino import OpenVinoEngine

        softmax = np.empty_like(self._crop)
        OpenVinoEngine(self._model, precision="fp32").infer(self._crop, softmax)
        return softmax

    def answer(self, engine: DeviceEngine) -> NDArray[np.float32]:
        """The softmax of the golden crop."""
        dtype = np.dtype(np.float16 if engine.half else np.float32)
        host = self._host[: self._crop.size * dtype.itemsize]
        host[...] = self._crop.astype(dtype).reshape(-1).view(np.uint8)
        with self._device.current():
            self._device.upload(self._source, host, self._stream)
            self._run(engine)
            self._device.synchronise(self._stream)
            host[...] = 0xFF  # NaN, in either type: what does not come back is seen
            self._device.download(host, self._target, self._stream)
            self._device.synchronise(self._stream)
        return host.view(dtype).reshape(self._crop.shape).astype(np.float32)

    def measure(self, engine: DeviceEngine) -> float:
        """Milliseconds of one run on the device, of whatever the input holds."""
        with self._device.current():
            self._device.record(self._first, self._stream)
            self._run(engine)
            self._device.record(self._last, self._stream)
            self._device.synchronise(self._stream)
        return self._device.elapsed_ms(self._first, self._last)

    def _run(self, engine: DeviceEngine) -> None:
        engine.enqueue(self._source.address, self._target.address, self._stream)


def tune_recipe(
    trials: DeviceTrials, recipe: Recipe, *, rounds: int = 9, say: Callable[[str], None] = lambda _: None
) -> Tuning[Recipe]:
    """Try every rewrite alone, then those that were faster together, against the recipe itself.

    Returns
    -------
    The second tuning where there was something to combine, else the first.
    """
    options: dict[str, Any] = {"answer": trials.answer, "reference": trials.reference(), "rounds": rounds, "say": say}
    found = tune(single_changes(recipe), trials.build, trials.measure, **options)
    together = combination(found, recipe)
    if together in [trial.recipe for trial in found.trials]:
        return found
    recipes = tuple(dict.fromkeys((recipe, found.best.recipe, together)))
    return tune(recipes, trials.build, trials.measure, **options)


def tune_plan(
    model: Path,
    output: Path,
    flavour: Flavour,
    recipe: Recipe,
    *,
    device: Device,
    load: Load,
    audit: Audit | None = None,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Manifest, Tuning[Recipe]]:
    """Write the fastest plan of a model on a GPU, the very one that was timed, with its manifest.

    Parameters
    ----------
    recipe
        What the rewrites are tried in; its own count as the first.
    device, load
        The GPU, and what puts a plan on it.
    say
        Told what is going on, a line at a time.

    Raises
    ------
    CaseError
        If the output exists without `overwrite`, is the model itself or cannot be written.
    EngineError
        If the model cannot be read, or no recipe gives an engine that agrees with FP32 on the CPU.
    """
    check_output(model, output, overwrite=overwrite)
    flavour.check(recipe)
    known = read_model(model)
    with TemporaryDirectory(dir=output.parent, prefix=".tuning-") as folder:
        trials = DeviceTrials(known, flavour, device, load, Path(folder))
        found = tune_recipe(trials, recipe, say=say)
        best = found.best.recipe
        plan = trials.plans[best]
        manifest = replace(
            read_manifest(plan, Manifest),
            audit=None if audit is None else audit(prepared(known, best)),
            command=build_command(str(model), str(output), flavour.name, best),
        )
        write_both(output, plan.read_bytes(), manifest)
    return manifest, found
