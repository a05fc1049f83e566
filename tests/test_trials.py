"""Tuning on a GPU, on a stand-in whose clock runs as fast as a test says."""

from __future__ import annotations

import contextlib
import json
import shlex
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from fake_tensorrt import install_tensorrt
from models import tiny_model, tiny_softmax

from brats_trt import CaseError, EngineError
from brats_trt.backends import cupy_device, tensorrt
from brats_trt.plans import trials
from brats_trt.plans.flavour import load_flavour
from brats_trt.plans.manifest import manifest_path, read_manifest
from brats_trt.plans.recipe import Recipe
from brats_trt.plans.trials import combination, single_changes, tune_plan
from brats_trt.plans.tuning import Trial, Tuning


class ClockedDevice:
    """Host memory by address, and a clock that engines advance."""

    name = "NVIDIA H100"
    compute_capability = (9, 0)
    current = staticmethod(contextlib.nullcontext)

    def __init__(self):
        self.clock, self.buffers = 0.0, {}

    def allocate(self, nbytes, name):
        memory = np.full(nbytes, 0xFF, np.uint8)
        self.buffers[memory.ctypes.data] = memory
        return SimpleNamespace(address=memory.ctypes.data, nbytes=nbytes)

    def pinned(self, nbytes):
        return np.empty(nbytes, np.uint8)

    def stream(self):
        return object()

    def event(self):
        return SimpleNamespace(time=None)

    def upload(self, target, source, stream):
        self.buffers[target.address][: source.nbytes] = source

    def download(self, target, source, stream):
        target[...] = self.buffers[source.address][: target.nbytes]

    def record(self, event, stream):
        event.time = self.clock

    def synchronise(self, stream):
        pass

    def elapsed_ms(self, first, last):
        return last.time - first.time


@dataclass
class Engine:
    """Answers as `tiny_model` does, in the time that its recipe takes; `wrong` ones answer everything with class 0."""

    device: ClockedDevice
    cost: float
    half: bool
    wrong: bool = False

    def enqueue(self, source, target, stream):
        dtype = np.dtype(np.float16 if self.half else np.float32)
        shape = (1, 4, 16, 16, 16)
        nbytes = int(np.prod(shape)) * dtype.itemsize
        answer = tiny_softmax(self.device.buffers[source][:nbytes].view(dtype).reshape(shape).astype(np.float32))
        if self.wrong:
            answer = np.broadcast_to(np.array([1, 0, 0, 0], np.float32)[None, :, None, None, None], shape)
        self.device.buffers[target][:nbytes] = answer.astype(dtype).reshape(-1).view(np.uint8)
        self.device.clock += self.cost


@dataclass
class Bench:
    """A GPU with a stand-in for TensorRT, and what each recipe costs there."""

    costs: dict
    wrong: set = field(default_factory=set)
    half: bool = False
    device: ClockedDevice = field(default_factory=ClockedDevice)
    loaded: list = field(default_factory=list)

    def load(self, plan, manifest):
        recipe = manifest.recipe
        assert json.loads(plan.read_text())["strongly_typed"]
        self.loaded.append(plan.name)
        cost = 10.0
        for name in (recipe.norm, recipe.grouped, recipe.deconvolution):
            cost *= self.costs.get(name, 1.0)
        return Engine(self.device, cost, self.half, wrong=bool(self.wrong & set(recipe.variants.values())))


@pytest.fixture(autouse=True)
def library(monkeypatch):
    """TensorRT's stand-in; the rewrites leave the tiny model as it is, which has nothing to rewrite."""
    return install_tensorrt(monkeypatch)


@pytest.fixture
def model(tmp_path):
    return tiny_model(tmp_path / "tiny.onnx")


def tuned(bench, model, recipe=None, **options):
    output = model.with_name("best.plan")
    recipe = Recipe() if recipe is None else recipe
    return tune_plan(model, output, load_flavour("tensorrt"), recipe, device=bench.device, load=bench.load, **options)


def test_every_rewrite_is_tried_alone_and_the_recipe_first():
    recipes = single_changes(Recipe(optimisation_level=5))
    assert recipes[0] == Recipe(optimisation_level=5)
    assert len(recipes) == len(set(recipes)) == 7
    assert all(
        sum(a != b for a, b in zip(r.variants.values(), Recipe().variants.values(), strict=True)) <= 1 for r in recipes
    )


def test_what_is_tried_is_what_the_rewrites_offer():
    from brats_trt.export import rewrites

    offered = (rewrites.NORMS, rewrites.GROUPED, rewrites.DECONVOLUTIONS)
    assert tuple(trials._CHOICES.values()) == offered


def test_the_combination_takes_the_fastest_of_each_kind_and_nothing_slower():
    def trial(speedup, **change):
        return Trial(Recipe(**change), times_ms=(10 / speedup,) * 3, speedup=speedup)

    out = Trial(Recipe(norm="native_half"), fault="labels")
    found = Tuning(
        (
            trial(1.5, grouped="dense"),
            trial(1.2, grouped="widened16"),
            trial(1.1, deconvolution="pixel_shuffle"),
            trial(1.0),
            trial(0.9, norm="decomposed"),
            out,
        )
    )
    assert combination(found, Recipe()) == Recipe(grouped="dense", deconvolution="pixel_shuffle")


def test_the_fastest_that_agrees_is_kept_with_its_manifest(model):
    bench = Bench({"dense": 0.5, "pixel_shuffle": 0.8, "decomposed": 2.0})
    manifest, found = tuned(bench, model)
    assert manifest.recipe == Recipe(grouped="dense", deconvolution="pixel_shuffle")
    assert found.best.median_ms == pytest.approx(10 * 0.5 * 0.8)
    assert found.best.speedup == pytest.approx(1 / (0.5 * 0.8))
    output = model.with_name("best.plan")
    assert read_manifest(output) == manifest
    assert shlex.split(manifest.command)[2:5] == [str(model), "-o", str(output)]
    assert "--grouped dense" in manifest.command
    assert sorted(path.name for path in model.parent.iterdir()) == ["best.plan", "best.plan.json", "tiny.onnx"]


def test_a_recipe_is_built_once(model):
    bench = Bench({"dense": 0.5, "pixel_shuffle": 0.8})
    tuned(bench, model)
    assert len(set(bench.loaded)) == 8, "seven alone, one together"
    assert len(bench.loaded) == 7 + 3


def test_an_engine_whose_labels_differ_is_out_however_fast(model):
    bench = Bench({"dense": 0.1}, wrong={"dense"})
    manifest, found = tuned(bench, model)
    assert manifest.recipe == Recipe()
    assert [trial.recipe.grouped for trial in found.trials if trial.fault] == ["dense"]


def test_engines_of_float16_are_asked_in_float16(tmp_path):
    model = tiny_model(tmp_path / "tiny.onnx", dtype="FLOAT16")
    recipe = Recipe(scale="as_is")
    manifest, _ = tuned(Bench({"widened16": 0.9}, half=True), model, recipe)
    assert manifest.recipe == Recipe(grouped="widened16", scale="as_is")


def test_a_tuning_in_which_nothing_agrees_writes_nothing(model):
    bench = Bench({}, wrong={"as_is"})
    with pytest.raises(EngineError, match="none of 7 recipes gives an engine that agrees"):
        tuned(bench, model)
    assert [path.name for path in model.parent.iterdir()] == ["tiny.onnx"]


def test_the_output_is_looked_at_before_any_work(model, library):
    model.with_name("best.plan").write_bytes(b"precious")
    with pytest.raises(CaseError, match="exists already and is kept"):
        tuned(Bench({}), model)
    assert library.networks == []


def test_an_audit_is_of_the_graph_that_is_kept(model):
    seen = []

    def audit(content):
        seen.append(onnx.load_model_from_string(content))
        return {"worst": 0.5}

    manifest, _ = tuned(Bench({}), model, audit=audit)
    assert manifest.audit == {"worst": 0.5}
    assert len(seen) == 1


def test_the_command_line_tunes_and_prints_the_recipes(run, model, monkeypatch):
    bench = Bench({"dense": 0.5, "widened32": 0.7}, wrong={"widened32"})
    monkeypatch.setattr(cupy_device, "CupyDevice", lambda: bench.device)
    monkeypatch.setattr(tensorrt, "TensorRtEngine", bench.load)
    output = model.with_name("best.plan")
    code, out, err = run("build", model, "-o", output, "--tune")
    assert code == 0, err
    assert "--grouped dense" in out
    assert "5.00" in out
    assert "building 1 of 7" in err
    assert read_manifest(output).recipe == Recipe(grouped="dense")
    assert manifest_path(output).exists()


def test_stripped_plans_are_not_tuned(run, model):
    code, _, err = run("build", model, "-o", model.with_name("x.plan"), "--tune", "--stripped")
    assert code == 2
    assert "stripped ones hold no weights" in err
