"""The network's input of every case: SciPy, the host stage, the kernel, within bounds derived in `tolerances.py`."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from emulator import Emulator
from tolerances import FLOAT32, GATHER, GATHER_ON_DEVICE, HALF_GATHER_ON_DEVICE, score_tolerance

from brats_trt import _host
from kernels.stages import Moments, SmallDevice, Stages
from kernels.table import DTYPES, HEADS, cross_product

ROUNDED = [case for case in HEADS if case.dtype in ("int16", "float32", "float64") and case.memory in ("xyz", "zyx")]


def moments_of(case):
    values = case.values()
    inside = values[values > 0]
    return Moments(inside.size, float(inside.mean()), float(inside.var()), oracle.tight_box([values]))


def scipys_answer(case):
    return oracle.prepare_channel(case.values(), case.box(), case.size, case.normalisation, resample=oracle.resample)


def hosts_answer(case):
    moments = moments_of(case)
    out = np.full((case.batch, 4, *case.size), np.nan, np.float32)
    _host.gather(
        case.volume(),
        case.box(),
        out,
        1,
        mean=moments.mean,
        variance=moments.variance,
        normalisation=case.normalisation,
        slope=case.slope,
        intercept=case.intercept,
    )
    return out[:, 1]


def kernels_answer(device, case):
    card = case.normalisation == "card"
    stages = Stages(device, case.shape, size=case.size, batch=case.batch, half=case.half, card=card)
    volume = case.volume()
    data = stages.place(volume) if case.place == "device" else volume
    return stages.gather(data, moments_of(case), slope=case.slope, intercept=case.intercept)


def kernels_tolerance(case, expected):
    """From the case's own numbers, never from its answer."""
    if case.normalisation == "authors":
        return HALF_GATHER_ON_DEVICE if case.half else GATHER_ON_DEVICE
    samples = oracle.resample(oracle.crop(case.values(), case.box()), case.size)
    deviation = samples[samples > 0].std()
    score = float(np.abs(expected).max())
    rounding_to_half = score * 2.0**-11 if case.half else 0.0
    return score_tolerance(float(samples.max()), float(deviation), score) + rounding_to_half


def assert_is_the_kernels(found, case):
    expected = scipys_answer(case)
    assert found.shape == (case.batch, *case.size)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=kernels_tolerance(case, expected))
    if case.normalisation == "card":
        # Samples with no foreground near are background: a score of 0, however close the others come to the mean.
        samples = oracle.resample(oracle.crop(case.values(), case.box()), case.size)
        assert (found[0][samples == 0] == 0).all()
    assert np.array_equal(found[-1], found[0] if case.batch == 1 else found[0][:, ::-1])


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_the_host_gives_scipys_crop(case):
    found, expected = hosts_answer(case), scipys_answer(case)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=GATHER)
    assert np.array_equal(found[-1], found[0] if case.batch == 1 else found[0][:, ::-1])


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_the_kernel_gives_scipys_crop(device, case):
    assert_is_the_kernels(kernels_answer(device, case), case)


@pytest.mark.parametrize("case", ROUNDED, ids=lambda case: case.name)
def test_fused_and_flushed_the_kernel_gives_scipys_crop(rounding_device, case):
    assert_is_the_kernels(kernels_answer(rounding_device, case), case)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "bool"])
def test_a_dtype_in_every_order_at_every_face_gives_scipys_crop(device, dtype):
    for case in cross_product(dtype):
        np.testing.assert_allclose(hosts_answer(case)[0], scipys_answer(case), rtol=0, atol=GATHER)
        assert_is_the_kernels(kernels_answer(device, case), case)


def test_fusing_moves_the_crop_but_only_within_its_bound(rounding_device, few_blocks):
    """The model of rounding is not idle: it changes bits."""
    case = next(case for case in HEADS if case.name == "float32")
    apart = kernels_answer(SmallDevice(emulator=Emulator(threads=1)), case)
    fused = kernels_answer(rounding_device, case)
    moved = np.abs(fused - apart).max()
    assert 0 < moved <= 2 * GATHER_ON_DEVICE
    assert GATHER_ON_DEVICE < 2e-6, "it stays a bound worth having"
    assert moved >= FLOAT32 / 2


def test_half_precision_is_the_float32_crop_rounded_to_nearest_with_ties_to_even(device):
    """One voxel at the clip's 1 and zeros about it: products of three weights of five bits, exact in float32."""
    volume = np.zeros((4, 4, 4), np.int16)
    volume[1, 1, 1] = 30_000
    moments = Moments(64, 100.0, 16.0, ((0, 0, 0), volume.shape))
    single, half = (
        Stages(device, volume.shape, size=(65, 65, 65), half=half).gather(volume, moments)[0] for half in (False, True)
    )
    rounded = single.astype(np.float16).astype(np.float32)
    assert half.tobytes() == rounded.tobytes()
    error = rounded.astype(np.float64) - single
    ties = np.abs(error) == np.spacing(single.astype(np.float16)) / 2.0
    assert (error[ties] > 0).sum() > 1000, "ties are part of the case"
    assert (error[ties] < 0).sum() > 1000
    assert ((single > 0) & (single < 2.0**-14)).any(), "and so are float16's subnormals"


UNFLUSHED = (
    "float32 with subnormals", "float32 greatest", "float32 least", "float32 all subnormal", "float16",
    "float32 with NaN and infinities", "card",
)  # fmt: skip


@pytest.mark.parametrize("name", UNFLUSHED)
def test_flushing_alone_changes_no_bit_of_the_crop(few_blocks, name):
    case = next(case for case in HEADS if case.name == name)
    kept, flushed = (
        kernels_answer(SmallDevice(mode="fast", emulator=Emulator(threads=1), ftz=ftz), case) for ftz in (False, True)
    )
    assert kept.tobytes() == flushed.tobytes()


def test_the_clamped_oracle_is_scipys_zoom_but_for_the_planes_that_scipy_zeroes():
    for case in HEADS:
        cropped = oracle.crop(case.values(), case.box())
        cropped = cropped / cropped.max()
        zoomed, clamped = oracle.zoom(cropped, case.size), oracle.resample(cropped, case.size)
        same = oracle.unclamped(cropped.shape, case.size)
        np.testing.assert_allclose(clamped[same], zoomed[same], rtol=0, atol=1e-12)
