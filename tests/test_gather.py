from __future__ import annotations

import numpy as np
import oracle
import pytest
from tolerances import GATHER
from volumes import REAL_DTYPES, SHAPES, head, memory_orders

from brats_trt import _host

SIZE = (16, 16, 16)


def gather(volume, box, *, size=SIZE, normalisation="authors", batch=1, **scale):
    found = _host.foreground(volume, **scale)
    out = np.full((batch, 4, *size), np.nan, np.float32)
    _host.gather(volume, box, out, 2, mean=found.mean, variance=found.variance, normalisation=normalisation, **scale)
    assert np.isnan(np.delete(out, 2, axis=1)).all(), "other channels are not touched"
    return out[:, 2]


def assert_equals_oracle(channel, values, box, *, size=SIZE, normalisation="authors"):
    expected = oracle.prepare_channel(values, box, size, normalisation)
    extent = [up - low for low, up in zip(*box, strict=True)]
    compared = oracle.unclamped(extent, size)
    np.testing.assert_allclose(channel[compared], expected[compared], rtol=0, atol=GATHER)


@pytest.mark.parametrize("normalisation", ["authors", "card"])
@pytest.mark.parametrize("dtype", [dtype for dtype in REAL_DTYPES if dtype != "bool"])  # a mask is constant
@pytest.mark.parametrize("shape", SHAPES)
def test_gather_equals_scipy_for_every_dtype(shape, dtype, normalisation):
    volume = head(shape, dtype)
    values = oracle.intensities(volume)
    box = oracle.authors_box([values])
    channel = gather(volume, box, normalisation=normalisation)
    assert_equals_oracle(channel[0], values, box, normalisation=normalisation)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float16", "float32", "float64"])
def test_every_memory_order_gives_the_same_channel(dtype):
    volume = head(dtype=dtype)
    values = oracle.intensities(volume)
    box = oracle.authors_box([values])
    for name, stored in memory_orders(volume):
        assert_equals_oracle(gather(stored, box)[0], values, box), name


@pytest.mark.parametrize("size", [(2, 2, 2), (7, 16, 33), (128, 5, 64)])
def test_gather_equals_scipy_for_every_size(size):
    volume = head((30, 25, 40), "int16")
    values = oracle.intensities(volume)
    box = oracle.authors_box([values])
    assert_equals_oracle(gather(volume, box, size=size)[0], values, box, size=size)


def test_slope_and_intercept_apply():
    volume = head(dtype="int16")
    values = oracle.intensities(volume, 2.5, -3.0)
    box = oracle.authors_box([values])
    assert_equals_oracle(gather(volume, box, slope=2.5, intercept=-3.0)[0], values, box)


def test_background_inside_the_box_is_zero_before_resampling():
    volume = head(dtype="float32")
    volume[8, 8, 8], volume[9, 9, 9] = np.nan, np.inf
    values = oracle.intensities(volume)
    box = oracle.authors_box([values])
    assert_equals_oracle(gather(volume, box)[0], values, box)


@pytest.mark.parametrize("order", ["C", "F"])
def test_second_entry_is_the_first_mirrored_along_axis_y(order):
    volume = np.asarray(head(dtype="int16"), order=order)
    first, second = gather(volume, oracle.authors_box([oracle.intensities(volume)]), batch=2)
    assert np.array_equal(second, first[:, ::-1])


def test_a_box_of_the_channels_size_is_only_normalised():
    volume = head((20, 20, 20), "int16")
    box = ((2, 2, 2), (18, 18, 18))
    expected = oracle.crop(oracle.normalise_authors(oracle.intensities(volume)), box)
    np.testing.assert_allclose(gather(volume, box)[0], expected, rtol=0, atol=1e-7)


def test_the_last_plane_is_kept_where_scipy_zeroes_it():
    box, size = ((0, 0, 0), (128, 3, 3)), (14, 3, 3)
    assert oracle.zeroed_last_planes((128,), (14,))[0]
    volume = np.full((129, 4, 4), 5, np.int16)
    volume[::2] = 9
    out = gather(volume, box, size=size)[0]
    values = oracle.intensities(volume)
    assert (oracle.prepare_channel(values, box, size)[-1] == 0).all()
    expected = oracle.normalise_authors(values)[127, :3, :3]
    np.testing.assert_allclose(out[-1], expected, atol=1e-7)


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 4, 8, 8, 8)),
        np.zeros((3, 4, 8, 8, 8), np.float32),
        np.zeros((1, 3, 8, 8, 8), np.float32),
        np.asfortranarray(np.zeros((1, 4, 8, 8, 8), np.float32)),
    ],
)
def test_gather_refuses_an_output_of_another_kind(out):
    with pytest.raises(ValueError, match="writable, C-contiguous float32"):
        _host.gather(head(), ((1, 1, 1), (9, 9, 9)), out, 0, mean=1.0, variance=1.0)


def test_gather_refuses_a_read_only_output():
    out = np.zeros((1, 4, 8, 8, 8), np.float32)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="writable"):
        _host.gather(head(), ((1, 1, 1), (9, 9, 9)), out, 0, mean=1.0, variance=1.0)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (((1, 1, 1), (2, 9, 9)), "flat"),
        (((1, 1, 1), (9, 9, 99)), "outside"),
        (((-1, 1, 1), (9, 9, 9)), "outside"),
    ],
)
def test_gather_refuses_a_box_that_does_not_fit(box, message):
    with pytest.raises(ValueError, match=message):
        _host.gather(head(), box, np.zeros((1, 4, 8, 8, 8), np.float32), 0, mean=1.0, variance=1.0)


def test_gather_refuses_a_constant_and_an_unknown_normalisation():
    out = np.zeros((1, 4, 8, 8, 8), np.float32)
    box = ((1, 1, 1), (9, 9, 9))
    with pytest.raises(ValueError, match="constant"):
        _host.gather(head(), box, out, 0, mean=1.0, variance=0.0)
    with pytest.raises(ValueError, match="normalisation"):
        _host.gather(head(), box, out, 0, mean=1.0, variance=1.0, normalisation="none")
