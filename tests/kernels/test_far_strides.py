"""Voxels that lie further apart than 32 bits can say: NumPy and SciPy, the host stages, the kernels.

They lie in a sparse file, of which only the pages with voxels exist. Between them and around them are zeros, which are
background, as far as an offset could be thrown by arithmetic of 32 bits, signed or not: a wrong answer, and no crash.
"""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from emulator import Emulator
from tolerances import GATHER, GATHER_ON_DEVICE, MOMENTS
from volumes import head

from brats_trt import _host
from brats_trt.device_array import DeviceArray
from kernels.stages import Moments, SmallDevice, Stages

SHAPE, SIZE = (9, 9, 9), (4, 3, 5)
HEAD = ((4, 4, 4), SHAPE)  # its first voxel is as far from the volume's as its own far taps are from it
FAR = 2**30
MARGIN = 3 * 2**32  # three axes, each wrapped
STRIDES = {
    "x": (FAR + 512, 18, 2),
    "y": (2, FAR + 512, 18),
    "z": (2, 18, FAR + 512),
    "z, backwards": (2, 18, -FAR - 512),
    "all": (FAR + 512, FAR + 16 * 512, FAR + 256 * 512),  # no two voxels meet, up to 16 an axis
}


@pytest.fixture
def fast_device(few_blocks):
    """Without checks, which know no memory but the emulator's own."""
    return SmallDevice(mode="fast", emulator=Emulator(threads=1))


@pytest.fixture(params=STRIDES)
def far(request, tmp_path):
    """The same int16 voxels as `values()`, far apart."""
    strides = STRIDES[request.param]
    reach = [step * (n - 1) for step, n in zip(strides, SHAPE, strict=True)]
    before = MARGIN - sum(min(step, 0) for step in reach)
    nbytes = before + sum(max(step, 0) for step in reach) + MARGIN
    assert max(abs(step) for step in reach) > 2**32
    backing = np.memmap(tmp_path / "volume", np.uint8, "w+", shape=(nbytes,))
    view = np.ndarray(SHAPE, np.int16, backing, before, strides)
    view[...] = values()
    return view


def values():
    return head(SHAPE, "int16", box=HEAD, seed=1)


def in_place(view):
    return DeviceArray(view.ctypes.data, view.shape, view.strides, view.dtype, None, (view,), 0)


def test_the_voxels_are_all_there(far):
    assert np.array_equal(far, values())


def test_all_witnesses_find_the_foreground(fast_device, far):
    expected = oracle.intensities(values())
    inside = expected[expected > 0]
    for found in (_host.foreground(far), Stages(fast_device, SHAPE).foreground(in_place(far))):
        assert found.box == oracle.tight_box([expected])
        assert found.count == inside.size
        assert found.mean == pytest.approx(inside.mean(), rel=MOMENTS)
        assert found.variance == pytest.approx(inside.var(), rel=MOMENTS)


@pytest.mark.parametrize("slope", [1.0, 0.5])
def test_all_witnesses_give_the_crop(fast_device, far, slope):
    intensities = oracle.intensities(values(), slope, 0.0)
    inside = intensities[intensities > 0]
    box = oracle.authors_box([intensities])
    expected = oracle.prepare_channel(intensities, box, SIZE, resample=oracle.resample)
    moments = Moments(inside.size, float(inside.mean()), float(inside.var()), oracle.tight_box([intensities]))
    host = np.zeros((1, 4, *SIZE), np.float32)
    _host.gather(far, box, host, 1, mean=moments.mean, variance=moments.variance, slope=slope)
    np.testing.assert_allclose(host[0, 1], expected, rtol=0, atol=GATHER)
    kernel = Stages(fast_device, SHAPE, size=SIZE).gather(in_place(far), moments, slope=slope)
    np.testing.assert_allclose(kernel[0], expected, rtol=0, atol=GATHER_ON_DEVICE)
