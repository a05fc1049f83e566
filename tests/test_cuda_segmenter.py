"""`Segmenter` on a GPU from end to end: the emulated device's kernels and the compiled runner on a fake TensorRT."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import replace
from types import SimpleNamespace

import heads
import nibabel
import numpy as np
import pytest
import tensorrt_fakes
from brain_networks import bright_network
from emulated_device import EmulatedDevice
from models import tiny_model
from raw_exams.scanning import raw_exam
from tensorrt_fakes import OnEmulator
from test_cuda_placement import GRIDS

from brats_trt import EngineError, RawOptions, Segmenter, Spec
from brats_trt.backends.model import read_model
from brats_trt.backends.tensorrt import import_runner
from brats_trt.cli import main
from brats_trt.plans import loading
from brats_trt.plans.cache import PlanWarning
from brats_trt.plans.compilation import Compiled
from brats_trt.plans.golden import expect_golden
from brats_trt.plans.manifest import (
    DeviceRecord,
    Manifest,
    OnnxRecord,
    PlanRecord,
    RuntimeRecord,
    TensorRecord,
    TensorRecords,
    file_sha256,
    now,
    write_manifest,
)
from brats_trt.plans.network import NetworkSummary, NetworkTensor
from brats_trt.plans.recipe import Recipe
from brats_trt.records.parts import PlanRecord as RanPlan
from brats_trt.strip.golden import BrainGolden
from brats_trt.strip.placement import SHAPE as BRAIN_SHAPE

SHAPE = (1, 4, 16, 16, 16)


def library(fakes):
    return import_runner().Library(str(fakes.tensorrt), driver=str(fakes.driver))


@pytest.fixture
def gpu(fakes, monkeypatch):
    """A machine with a GPU and TensorRT, as far as `Segmenter` can tell."""
    device = EmulatedDevice(mode="fast")
    monkeypatch.setattr("brats_trt.backends.cupy_device.CupyDevice", lambda: device)
    monkeypatch.setattr(
        "brats_trt.backends.tensorrt.open_library",
        lambda **options: library(fakes),
    )
    load = loading.GpuRuntime.load
    monkeypatch.setattr(
        loading.GpuRuntime,
        "load",
        lambda self, plan, manifest, *rest: OnEmulator(
            device, load(self, plan, manifest, *rest), fakes, manifest.channels
        ),
    )
    return device


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def golden(model):
    return expect_golden(read_model(model))


@pytest.fixture
def write_plan(fakes, model, golden, tmp_path):
    """Writes a plan of the fake library with its manifest."""
    version = library(fakes).version

    def write(plan=tmp_path / "tiny.plan", **changes):
        plan.write_bytes(b"FAKE PLAN size=16 dtype=float32")
        manifest = Manifest(
            onnx=OnnxRecord(model.name, file_sha256(model)),
            plan=PlanRecord(file_sha256(plan), plan.stat().st_size),
            runtime=RuntimeRecord("tensorrt", version),
            device=DeviceRecord("emulated", ("8.9",)),
            tensors=TensorRecords(
                TensorRecord("data_crop", "float32", SHAPE), TensorRecord("softmax_lbl3", "float32", SHAPE)
            ),
            recipe=Recipe(precision="fp32"),
            spec=Spec(),
            audit=None,
            golden=golden,
            command=f"brats-trt build {model.name} -o {plan.name}",
            created=now(),
        )
        write_manifest(plan, replace(manifest, **changes))
        return plan

    return write


@pytest.fixture
def plan(write_plan):
    return write_plan()


@pytest.fixture
def images():
    """A raw exam: four series on four grids."""
    exam = raw_exam(SimpleNamespace(volumes=heads.volumes(), affine=np.eye(4)), GRIDS)
    return {name: nibabel.Nifti1Image(raw.volume.data, raw.affine) for name, raw in exam.series.items()}


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_a_plan_segments_as_its_model_does_on_the_cpu(gpu, plan, model, device):
    segmenter = Segmenter(plan, device=device, tta=True, largest_shape=heads.SHAPE)
    assert (segmenter.device, segmenter.precision) == ("cuda", "fp32")
    arrays = heads.volumes()
    result = segmenter.run(arrays)
    expected = Segmenter(model, tta=True, precision="fp32").run(arrays)
    assert (result.labels != expected.labels).mean() < 1e-4
    assert result.box == expected.box
    assert set(result.timings_ms) == {"load", "prepare", "infer", "restore", "regions", "total"}
    np.testing.assert_allclose(result.probabilities, expected.probabilities, atol=1e-3)


def test_a_raw_exam_is_segmented_as_on_the_cpu(gpu, plan, model, images):
    bare = RawOptions(strip="never", grid="t2")
    segmenter = Segmenter(plan, largest_shape=(64, 64, 64))
    result, expected = segmenter.run(images, raw=bare), Segmenter(model, precision="fp32").run(images, raw=bare)
    assert result.labels.shape == GRIDS["t2"][2]
    assert (result.labels != expected.labels).mean() < 2e-4
    assert result.volumes_ml == pytest.approx(expected.volumes_ml, rel=0.01)
    assert [*result.timings_ms] == [*expected.timings_ms]


@pytest.fixture
def brain(gpu, fakes, tmp_path, monkeypatch):
    """The brain's network is one that takes what is bright, on the CPU and as a plan that the fake library builds."""
    source = bright_network(tmp_path / "bright.onnx", BRAIN_SHAPE)
    tensors = [
        [NetworkTensor(name, "float32", (1, 1, *BRAIN_SHAPE))] for name in (tensorrt_fakes.INPUT, tensorrt_fakes.OUTPUT)
    ]
    compiled = Compiled(b"FAKE PLAN channels=1 size=128 height=160", NetworkSummary({}, (), *tensors))
    flavour = SimpleNamespace(
        name="tensorrt", version=library(fakes).version, needs_gpu=False, targets=lambda recipe: ("8.9",)
    )
    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("brats_trt.strip.opening.brain_source", lambda number, shape: source)
    monkeypatch.setattr("brats_trt.strip.plans.brain_source", lambda number, shape: source)
    monkeypatch.setattr("brats_trt.strip.plans.load_flavour", lambda name: flavour)
    monkeypatch.setattr("brats_trt.strip.plans.compile_plan", lambda *given: compiled)
    return source


def test_a_skull_is_taken_away_where_the_network_runs(gpu, brain, plan, model, images):
    asked = RawOptions(grid="t1")
    segmenter = Segmenter(plan, largest_shape=(64, 64, 64))
    with pytest.warns(PlanWarning, match=r"bright.onnx: building the brain's engine of tensorrt .* once; it is kept"):
        result = segmenter.run(images, raw=asked)
    assert ("allocate", "brain's probability") in gpu.calls
    expected = Segmenter(model, precision="fp32").run(images, raw=asked)
    assert result.brain_mask.any()
    assert (result.brain_mask != expected.brain_mask).mean() < 1e-3
    assert (result.labels != expected.labels).mean() < 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("error", PlanWarning)
        again = Segmenter(plan, largest_shape=(64, 64, 64)).run(images, raw=asked)
    assert np.array_equal(again.labels, result.labels)


def test_a_brains_engine_that_fails_its_golden_case_is_refused_unless_told_otherwise(
    gpu, brain, plan, images, monkeypatch
):
    wrong = BrainGolden(0, ((128 * 160 * 16, 0),) * 8, 5e-4)
    monkeypatch.setattr("brats_trt.strip.plans.expect_brain", lambda source: wrong)
    with pytest.warns(PlanWarning), pytest.raises(EngineError, match=r"labels the golden crop on emulated.*`rm -r /"):
        Segmenter(plan, largest_shape=(64, 64, 64)).run(images, raw=True)
    Segmenter(plan, largest_shape=(64, 64, 64), self_check=False).run(images, raw=True)


def test_a_record_names_the_plan_that_ran_and_the_model_that_it_was_built_from(gpu, plan, model, fakes):
    record = Segmenter(plan, largest_shape=heads.SHAPE).run(heads.volumes()).record
    assert record.model.sha256 == file_sha256(model)
    assert record.model.plan == RanPlan(file_sha256(plan), "tensorrt", library(fakes).version)
    assert (record.runtime.name, record.runtime.device, record.runtime.precision) == ("tensorrt", "cuda", "fp32")


def test_probabilities_that_are_not_kept_are_refused_with_the_remedy(gpu, plan):
    result = Segmenter(plan, keep_probabilities=False, largest_shape=heads.SHAPE).run(heads.volumes())
    with pytest.raises(ValueError, match="keep_probabilities=True"):
        _ = result.probabilities


def test_a_model_is_built_once_and_kept(gpu, model, write_plan, tmp_path, monkeypatch):
    built = []

    def build(source, output, flavour, recipe, **options):
        built.append((source, flavour, recipe.precision))
        write_plan(output, recipe=recipe)

    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "installed_runtime", lambda: "tensorrt")
    monkeypatch.setattr("brats_trt.plans.builder.build_plan", build)
    monkeypatch.setattr("brats_trt.plans.flavour.load_flavour", lambda name: name)
    with pytest.warns(PlanWarning, match=r"tiny.onnx: building an engine of tensorrt .* once; it is kept"):
        first = Segmenter(model, device="cuda", largest_shape=heads.SHAPE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = Segmenter(model, device="cuda", largest_shape=heads.SHAPE)
    assert built == [(model, "tensorrt", "fp16")]
    assert first.precision == second.precision == "fp16"
    arrays = heads.volumes()
    assert np.array_equal(first.run(arrays).labels, second.run(arrays).labels)


def test_without_a_builder_the_error_says_what_to_install(gpu, model, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"neither TensorRT nor TensorRT-RTX .* pip install 'brats-trt\[cuda13\]'"):
        Segmenter(model, device="cuda")


def test_a_plan_for_another_gpu_is_refused_before_it_is_read(gpu, write_plan, fakes):
    plan = write_plan(device=DeviceRecord("H100", ("9.0",)))
    with pytest.raises(EngineError, match=r"built for H100 .*9.0.*here is emulated .*8.9.*`brats-trt build"):
        Segmenter(plan)
    assert fakes.tensorrt_state().engines == 0


def test_a_plan_that_was_changed_is_refused(gpu, plan):
    plan.write_bytes(plan.read_bytes()[:-1] + b"3")
    with pytest.raises(EngineError, match="the plan's sha256 is"):
        Segmenter(plan)


def test_an_engine_that_fails_its_golden_case_is_refused_unless_told_otherwise(gpu, golden, write_plan):
    wrong = replace(golden, counts=tuple(tuple(reversed(octant)) for octant in golden.counts))
    plan = write_plan(golden=wrong)
    with pytest.raises(EngineError, match="the engine labels the golden crop on emulated"):
        Segmenter(plan)
    Segmenter(plan, self_check=False, largest_shape=heads.SHAPE)


def test_a_spec_of_the_callers_is_taken_instead(gpu, plan):
    spec = Spec(modalities=("t2", "t1", "t1ce", "flair"), normalisation="card")
    assert Segmenter(plan, spec=spec, largest_shape=heads.SHAPE).spec == spec


def test_a_precision_that_the_plan_does_not_have_is_refused(gpu, plan):
    with pytest.raises(EngineError, match=r"computes in fp32, but precision='fp16' was asked for"):
        Segmenter(plan, precision="fp16")


def test_a_plan_does_not_run_on_the_cpu(plan):
    with pytest.raises(EngineError, match=r"a plan runs on a GPU.*name the .onnx file"):
        Segmenter(plan, device="cpu")


def test_a_plan_without_its_manifest_is_refused(gpu, plan):
    plan.with_name("tiny.plan.json").unlink()
    with pytest.raises(EngineError, match=r"tiny.plan.json beside it"):
        Segmenter(plan)


def test_the_command_line_segments_on_the_gpu_and_says_that_it_builds(
    gpu, model, write_plan, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("BRATS_TRT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(loading, "installed_runtime", lambda: "tensorrt")
    monkeypatch.setattr("brats_trt.plans.builder.build_plan", lambda source, output, *_, **__: write_plan(output))
    monkeypatch.setattr("brats_trt.plans.flavour.load_flavour", lambda name: name)
    case = tmp_path / "case"
    case.mkdir()
    for name, values in heads.volumes().items():
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), case / f"case_{name}.nii.gz")
    options = ["--engine", str(model), "--device", "cuda", "--json"]
    monkeypatch.setattr("sys.argv", ["brats-trt", "segment", str(case), "-o", str(tmp_path / "out"), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capsys.readouterr()
    assert ended.value.code == 0
    assert json.loads(printed.out)["device"] == "cuda"
    assert re.search(r"^warning: .*tiny.onnx: building an engine of tensorrt .* once; it is kept$", printed.err, re.M)
    assert (tmp_path / "out" / "case.nii.gz").exists()
