"""Box, count, mean and variance of every case: NumPy, the host stage, the kernel. Boxes and counts are equal."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from tolerances import MOMENTS, variance_tolerance

from brats_trt import CaseError, _host
from kernels.stages import FEW_BLOCKS, SmallDevice, Stages
from kernels.table import CASES, DTYPES, Case, cross_product

ROUNDED = [case for case in CASES if case.dtype in ("int16", "float32", "float64") and case.memory in ("xyz", "zyx")]


def kernel_answer(device, case):
    stages = Stages(device, case.shape)
    volume = case.volume()
    data = stages.place(volume) if case.place == "device" else volume
    return stages.foreground(data, slope=case.slope, intercept=case.intercept)


def assert_is_numpys(found, case):
    values = case.values()
    inside = values[values > 0].astype(np.longdouble)
    mean = float(inside.mean())
    variance = float(((inside - inside.mean()) ** 2).mean())
    assert found.box == oracle.tight_box([values])
    assert found.count == inside.size
    assert found.nonfinite == (~np.isfinite(case.volume().astype(np.float64))).sum()
    assert found.mean == pytest.approx(mean, rel=MOMENTS, abs=0)
    assert found.variance == pytest.approx(variance, rel=variance_tolerance(mean, variance), abs=0)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_host_gives_numpys_foreground(case):
    assert_is_numpys(_host.foreground(case.volume(), slope=case.slope, intercept=case.intercept), case)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_kernel_gives_numpys_foreground(device, case):
    assert_is_numpys(kernel_answer(device, case), case)


@pytest.mark.parametrize("case", ROUNDED, ids=lambda case: case.name)
def test_fused_and_flushed_the_kernel_gives_numpys_foreground(rounding_device, case):
    assert_is_numpys(kernel_answer(rounding_device, case), case)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_dtype_in_every_order_at_every_face_gives_numpys_foreground(device, dtype):
    for case in cross_product(dtype):
        assert_is_numpys(_host.foreground(case.volume()), case)
        assert_is_numpys(kernel_answer(device, case), case)


@pytest.mark.parametrize("blocks", [64, 512])
def test_the_number_of_blocks_changes_nothing_but_rounding(monkeypatch, blocks):
    case = Case("any number of blocks", dtype="float32", nonfinite=True)
    monkeypatch.setattr("brats_trt.kernels.records.FOREGROUND_BLOCKS", blocks)
    assert_is_numpys(kernel_answer(SmallDevice(blocks=blocks), case), case)


def test_blocks_that_have_no_row_add_nothing(device):
    case = Case("fewer rows than warps", shape=(40, 3, 3), touches="all")
    assert 8 * FEW_BLOCKS > 9
    assert_is_numpys(kernel_answer(device, case), case)


def test_the_same_bits_come_out_of_every_run(device):
    case = next(case for case in CASES if case.name == "float32")
    first, second = (kernel_answer(device, case) for _ in range(2))
    assert (first.mean.hex(), first.variance.hex()) == (second.mean.hex(), second.variance.hex())


@pytest.mark.parametrize("values", [np.zeros(3), np.full(3, np.nan), np.full(3, -2.0)])
def test_no_foreground_is_an_empty_box(device, values):
    volume = np.broadcast_to(values, (4, 5, 3)).copy()
    found = Stages(device, volume.shape).foreground(volume)
    host = _host.foreground(volume)
    assert (found.box, found.count) == (host.box, host.count) == (((0, 0, 0), (0, 0, 0)), 0)
    assert found.nonfinite == host.nonfinite == np.isnan(volume).sum()


def test_intensities_whose_squares_overflow_are_told_by_a_variance_that_is_not_finite(device):
    volume = np.ones((4, 5, 6))
    volume[2:] = 1e200
    assert not np.isfinite(Stages(device, volume.shape).foreground(volume).variance)
    assert not np.isfinite(_host.foreground(volume).variance)


def test_a_dtype_that_no_device_has_is_refused(device):
    volume = np.ones((3, 3, 3), np.longdouble)
    with pytest.raises(CaseError, match="float64 or smaller"):
        Stages(device, (6, 3, 3)).foreground(volume)
