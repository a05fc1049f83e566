from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from emulated_device import CpuNetwork, EmulatedDevice, TinyEngine, host_view
from models import tiny_model, tiny_softmax

from brats_trt import EngineError, Spec, demo_model
from brats_trt.backends.model import read_model
from brats_trt.backends.openvino import OpenVinoEngine
from brats_trt.plans.golden import (
    TOLERANCE,
    check_golden,
    expect_golden,
    golden_counts,
    golden_crop,
    moved,
    softmax_fault,
)
from brats_trt.spec import MODALITIES

SIZE = (16, 16, 16)
COMMAND = "brats-trt build tiny.onnx -o tiny.plan"
TURNS = tuple(
    (axes, flips)
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
    if (axes, flips) != ((0, 1, 2), (1, 1, 1))
)


def turned(values, axes, flips):
    """Axes exchanged, then mirrored."""
    return values.transpose(0, 1, *(axis + 2 for axis in axes))[:, :, :: flips[0], :: flips[1], :: flips[2]]


@pytest.fixture
def device():
    return EmulatedDevice(mode="fast")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return expect_golden(read_model(tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.onnx")))


@dataclass
class Broken:
    """`TinyEngine` that makes `mistake` of the crop it reads and the softmax it would give."""

    device: EmulatedDevice
    mistake: object
    half: bool = False
    size: tuple[int, int, int] = SIZE
    spec: Spec = field(default_factory=Spec)
    precision: str = "fp32"
    sha256: str = "0" * 64

    def enqueue(self, source, target, stream):
        dtype = np.dtype(np.float16 if self.half else np.float32)
        shape = (1, 4, *self.size)
        crop = host_view(source, math.prod(shape) * dtype.itemsize).view(dtype).reshape(shape).astype(np.float32)
        answer = self.mistake(crop)
        if answer is not None:
            self.device.write_at(target, np.ascontiguousarray(answer.astype(dtype)))


# ------------------------------------------------------------------------------------------------------------ the crop


def test_the_crop_is_the_same_bits_everywhere():
    digests = [hashlib.sha256(golden_crop(seed, (16, 20, 24)).tobytes()).hexdigest()[:16] for seed in (0, 1)]
    assert digests == ["9ea2698d5aa40a38", "80357813ac53f300"]


@pytest.mark.parametrize("size", [SIZE, (20, 16, 33), (1, 1, 1), (7, 5, 3)])
def test_the_crop_is_a_normalised_head_of_the_size_asked_for(size):
    crop = golden_crop(3, size)
    assert crop.shape == (1, 4, *size)
    assert crop.dtype == np.float32
    assert crop.flags.c_contiguous
    assert 0 <= crop.min() <= crop.max() <= 1


def test_the_head_stands_alone_in_the_dark():
    crop = golden_crop(0, (32, 32, 32))
    inside = crop[0] > 0
    assert (inside == inside[0]).all(), "the four modalities show one head"
    assert 0.3 < inside[0].mean() < 0.6
    assert not inside[:, 0, 0, 0].any()
    assert crop[0][inside].min() > 0.1


def test_another_seed_is_another_crop():
    crops = [golden_crop(seed, (16, 16, 16)) for seed in range(4)]
    assert all((a != b).mean() > 0.3 for a, b in itertools.combinations(crops, 2))
    assert not np.array_equal(golden_crop(-1, SIZE), golden_crop(0, SIZE))


@pytest.mark.parametrize("order", [("flair", "t1", "t1ce", "t2"), ("t2", "t1", "flair", "t1ce")])
def test_channels_follow_the_order_of_modalities(order):
    usual, other = golden_crop(0, SIZE), golden_crop(0, SIZE, order)
    assert np.array_equal(other, usual[:, [MODALITIES.index(name) for name in order]])


def test_no_turn_or_mirroring_of_the_crop_is_the_crop():
    labels = golden_counts(tiny_softmax(golden_crop(0, SIZE)))
    for turn in TURNS:
        other = turned(golden_crop(0, SIZE), *turn)
        assert moved(golden_counts(tiny_softmax(other)), labels) > 5 * TOLERANCE, turn


# ---------------------------------------------------------------------------------------------------------- the counts


def test_counts_are_of_each_octant_and_every_voxel_is_counted_once():
    random = np.random.default_rng(0)
    softmax = random.random((1, 4, 5, 6, 9))
    counts = np.array(golden_counts(softmax))
    labels = softmax[0].argmax(0)
    assert counts.shape == (8, 4)
    assert np.array_equal(counts.sum(axis=0), np.bincount(labels.ravel(), minlength=4))
    assert list(counts.sum(axis=1)) == [a * b * c for a in (2, 3) for b in (3, 3) for c in (4, 5)]
    assert list(counts[1]) == list(np.bincount(labels[:2, :3, 4:].ravel(), minlength=4)), "z varies fastest"
    assert list(counts[4]) == list(np.bincount(labels[2:, :3, :4].ravel(), minlength=4)), "x varies slowest"


def test_ties_go_to_the_lower_class():
    assert golden_counts(np.full((1, 4, 2, 2, 2), 0.25)) == ((1, 0, 0, 0),) * 8


def test_moved_is_the_share_of_voxels_that_changed():
    before = ((10, 0, 0, 0),) * 8
    assert moved(before, before) == 0
    assert moved(((9, 1, 0, 0), *before[1:]), before) == 1 / 80
    assert moved(((0, 10, 0, 0),) * 8, before) == 1


@pytest.mark.parametrize(
    ("softmax", "said"),
    [
        (np.full((1, 4, 2, 2, 2), np.nan), "32 of 32 values that are not finite"),
        (np.full((1, 4, 2, 2, 2), np.inf), "not finite"),
        (np.zeros((1, 4, 2, 2, 2)), "adds up to 0 to 0"),
        (np.full((1, 4, 2, 2, 2), 0.3), "adds up to 1.2 to 1.2"),
        (np.array([2.0, -1.0, 0.0, 0.0]).reshape(1, 4, 1, 1, 1), "values down to -1"),
    ],
)
def test_what_is_no_softmax_is_told(softmax, said):
    assert said in softmax_fault(softmax)


def test_a_softmax_rounded_to_float16_is_one():
    logits = np.random.default_rng(0).normal(size=(1, 4, 20, 20, 20)) * 4
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert softmax_fault(softmax.astype(np.float16)) is None


# ------------------------------------------------------------------------------------------------------------ the check


def test_the_expected_counts_have_every_class(tiny):
    assert (np.array(tiny.counts).sum(axis=0) > 5).all()
    assert tiny.modalities == MODALITIES
    assert tiny.tolerance == TOLERANCE


@pytest.mark.parametrize("half", [False, True])
def test_an_engine_that_answers_rightly_is_taken(device, tiny, half):
    check_golden(device, TinyEngine(device, half=half), tiny)
    assert [call for call, _ in device.calls] == [
        *["allocate"] * 2, *["pinned"] * 2, *["upload"] * 2, "download", "synchronise"
    ]  # fmt: skip


def test_a_model_of_another_order_gets_its_own_channels(device, tmp_path, tiny):
    other = Spec(("flair", "t1", "t1ce", "t2"))
    golden = expect_golden(read_model(tiny_model(tmp_path / "m.onnx", spec=other)))
    assert golden.modalities == other.modalities
    check_golden(device, TinyEngine(device), golden)
    with pytest.raises(EngineError):
        check_golden(device, TinyEngine(device), replace(golden, modalities=MODALITIES))


MISTAKES = {
    "NaN": lambda crop: np.full_like(crop, np.nan),
    "one NaN": lambda crop: np.where(np.arange(crop.size).reshape(crop.shape) == 777, np.nan, tiny_softmax(crop)),
    "infinite": lambda crop: np.full_like(crop, np.inf),
    "zeros": np.zeros_like,
    "garbage": lambda crop: np.random.default_rng(0).normal(size=crop.shape),
    "random probabilities": lambda crop: (
        np.random.default_rng(0).dirichlet([1] * 4, SIZE)[None].transpose(0, 4, 1, 2, 3)
    ),
    "all background": lambda crop: np.eye(4)[0][None, :, None, None, None] * np.ones_like(crop),
    "nothing written": lambda crop: None,
    "half of it written": lambda crop: tiny_softmax(crop)[:, :2],
    "logits": lambda crop: np.log(tiny_softmax(crop) + 1e-9),
    "the input": lambda crop: crop,
    "classes swapped": lambda crop: tiny_softmax(crop)[:, [0, 2, 1, 3]],
    "input mirrored": lambda crop: tiny_softmax(crop[:, :, :, ::-1]),
    "a voxel aside": lambda crop: np.roll(tiny_softmax(crop), 1, axis=2),
    "channels last": lambda crop: tiny_softmax(crop).transpose(0, 2, 3, 4, 1),
    **{
        f"{what} axes {axes}": lambda crop, axes=axes, what=what: (
            tiny_softmax(crop.transpose(axes)) if what == "input" else tiny_softmax(crop).transpose(axes)
        )
        for what in ("input", "output")
        for axes in ((0, 1, 3, 2, 4), (0, 1, 4, 3, 2), (0, 1, 2, 4, 3), (0, 1, 3, 4, 2))
    },
    **{
        f"modalities {order}": lambda crop, order=order: tiny_softmax(crop[:, order])
        for order in ((1, 0, 2, 3), (0, 3, 2, 1), (0, 2, 1, 3), (0, 1, 3, 2), (3, 0, 1, 2))
    },
}


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_an_engine_that_answers_wrongly_is_refused(device, tiny, mistake, half):
    with pytest.raises(EngineError, match="golden crop on emulated") as caught:
        check_golden(device, Broken(device, mistake, half), tiny, command=COMMAND)
    assert str(caught.value).endswith(f"build it again: `{COMMAND}`")
    assert "\n" not in str(caught.value)


def test_the_refusal_names_both_counts(device, tiny):
    wrong = Broken(device, MISTAKES["all background"])
    expected = tuple(int(n) for n in np.array(tiny.counts).sum(axis=0))
    with pytest.raises(EngineError) as caught:
        check_golden(device, wrong, tiny)
    assert "(4096, 0, 0, 0)" in str(caught.value)
    assert str(expected) in str(caught.value)


def test_counts_of_another_size_are_refused_before_anything_runs(device, tiny):
    with pytest.raises(EngineError, match=r"counts are of 4096 voxels, the engine's crop of \(8, 8, 8\) has 512"):
        check_golden(device, TinyEngine(device, size=(8, 8, 8)), tiny)
    assert device.calls == []


def test_flips_within_the_tolerance_are_taken_and_more_are_not(device, tiny):
    def flipping(n):
        def answer(crop):
            softmax = tiny_softmax(crop)
            tumour = np.flatnonzero(softmax[0].argmax(0).ravel() == 2)[:n]
            flat = softmax.reshape(4, -1)
            flat[:, tumour] = np.eye(4)[:, [3]]
            return softmax

        return answer

    allowed = int(tiny.tolerance * 4096)
    check_golden(device, Broken(device, flipping(allowed)), tiny)
    with pytest.raises(EngineError, match="moved"):
        check_golden(device, Broken(device, flipping(allowed + 1)), tiny)


def test_a_model_whose_answer_is_no_softmax_is_refused(tmp_path):
    broken = read_model(tiny_model(tmp_path / "nan.onnx", bias=np.array([np.nan] * 4)))
    with pytest.raises(EngineError, match=r"golden crop has .* not finite"):
        expect_golden(broken)


# ------------------------------------------------------------------------------------------------------- the demo model


@pytest.fixture(scope="module")
def demo():
    return read_model(demo_model())


@pytest.fixture(scope="module")
def demo_golden(demo):
    return expect_golden(demo)


def test_the_demo_model_finds_every_class_on_its_crop(demo_golden):
    totals = np.array(demo_golden.counts).sum(axis=0)
    assert totals.sum() == 128**3
    assert (totals > 4000).all()


def test_the_demo_model_passes_its_own_check_and_swapped_modalities_do_not(device, demo, demo_golden):
    network = CpuNetwork(device, OpenVinoEngine(demo, precision="fp32"))
    check_golden(device, network, demo_golden)
    swapped = replace(demo_golden, modalities=("t2", "t1", "t1ce", "flair"))
    with pytest.raises(EngineError, match="voxels a class"):
        check_golden(device, network, swapped)


@pytest.mark.slow
def test_every_turn_and_every_other_order_of_modalities_moves_five_times_what_may_move(demo, demo_golden):
    engine = OpenVinoEngine(demo, precision="fp32", threads=1)

    def answer(crop):
        softmax = np.empty(crop.shape, np.float32)
        engine.infer(np.ascontiguousarray(crop), softmax)
        return softmax

    def share(softmax):
        return moved(golden_counts(softmax), demo_golden.counts)

    crop = golden_crop(demo_golden.seed, demo.size)
    usual = answer(crop)
    orders = list(itertools.permutations(range(4)))[1:]
    shares = [
        *(share(turned(usual, *turn)) for turn in TURNS),
        *(share(answer(turned(crop, *turn))) for turn in TURNS),
        *(share(answer(crop[:, list(order)])) for order in orders),
    ]
    assert len(shares) == 47 + 47 + 23
    assert min(shares) > 5 * TOLERANCE


def test_16_bits_stay_far_within_the_tolerance(demo, demo_golden):
    from brats_trt.backends.openvino import cpu_precisions

    if "bf16" not in cpu_precisions():
        pytest.skip("this processor computes in no 16 bits")
    crop = golden_crop(demo_golden.seed, demo.size)
    softmax = np.empty_like(crop)
    OpenVinoEngine(demo, precision="bf16").infer(crop, softmax)
    assert 0 < moved(golden_counts(softmax), demo_golden.counts) < TOLERANCE / 5
