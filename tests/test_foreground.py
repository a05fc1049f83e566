from __future__ import annotations

import numpy as np
import oracle
import pytest
from tolerances import MOMENTS
from volumes import REAL_DTYPES, SHAPES, head, memory_orders

from brats_trt import _host


def assert_is_foreground_of(found, values):
    inside = values > 0
    assert found.box == oracle.tight_box([values])
    assert found.count == inside.sum()
    assert found.mean == pytest.approx(values[inside].mean(), rel=MOMENTS)
    assert found.variance == pytest.approx(values[inside].var(), rel=MOMENTS, abs=1e-300)


@pytest.mark.parametrize("dtype", REAL_DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_box_count_mean_and_variance_are_numpys_for_every_dtype(shape, dtype):
    volume = head(shape, dtype)
    assert_is_foreground_of(_host.foreground(volume), oracle.intensities(volume))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "float64", "longdouble"])
def test_every_memory_order_gives_the_same_foreground(dtype):
    volume = head(dtype=dtype)
    for name, stored in memory_orders(volume):
        found = _host.foreground(stored)
        assert_is_foreground_of(found, oracle.intensities(volume)), name


@pytest.mark.parametrize("lower", [(0, 0, 0), (19, 23, 17), (0, 23, 5)])
def test_box_of_one_voxel_is_that_voxel(lower):
    volume = np.zeros((20, 24, 18), np.int16)
    volume[lower] = 3
    assert _host.foreground(volume).box == (lower, tuple(n + 1 for n in lower))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("face", [0, -1])
def test_box_reaches_a_touched_face(axis, face):
    shape = (8, 9, 10)
    volume = np.zeros(shape, np.float32)
    volume[3:5, 3:5, 3:5] = 1
    index = [3, 3, 3]
    index[axis] = face
    volume[tuple(index)] = 1
    box = _host.foreground(volume).box
    assert box[0][axis] == 0 if face == 0 else box[1][axis] == shape[axis]


def test_slope_and_intercept_apply_before_anything_is_decided():
    volume = head(dtype="int16")
    found = _host.foreground(volume, slope=-0.5, intercept=20.0)
    assert_is_foreground_of(found, oracle.intensities(volume, -0.5, 20.0))


def test_nan_and_infinities_are_counted_and_left_out():
    volume = head(dtype="float32")
    volume[5, 5, 5], volume[6, 6, 6], volume[7, 7, 7] = np.nan, np.inf, -np.inf
    found = _host.foreground(volume)
    assert found.nonfinite == 3
    assert_is_foreground_of(found, oracle.intensities(volume))


def test_threads_do_not_change_a_bit():
    volume = head((40, 30, 20), "float32")
    one, many = (_host.foreground(volume, threads=n) for n in (1, 5))
    assert (one.mean, one.variance) == (many.mean, many.variance)


def test_an_empty_foreground_has_an_empty_box():
    found = _host.foreground(np.zeros((4, 5, 6), np.int16))
    assert (found.count, found.box) == (0, ((0, 0, 0), (0, 0, 0)))


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros((3, 3, 3), complex), np.zeros((0, 3, 3))])
def test_foreground_refuses_what_is_not_a_volume(bad):
    with pytest.raises(ValueError, match="expected"):
        _host.foreground(bad)
