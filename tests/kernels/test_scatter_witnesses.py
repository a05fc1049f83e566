"""Probabilities to the label map, for boxes at every face: SciPy, the host stage, the kernel, but for argmax ties."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from tolerances import ARGMAX_TIE, ARGMAX_TIE_ON_DEVICE

from brats_trt import _host
from kernels.stages import Stages

SHAPE, SIZE = (20, 21, 18), (10, 11, 12)
ORDERS = {"xyz": (2, 1, 0), "zyx": (0, 1, 2), "yxz": (2, 0, 1)}
BOXES = {
    "inside": ((3, 4, 2), (17, 18, 15)),
    "x-": ((0, 4, 2), (15, 18, 15)),
    "x+": ((3, 4, 2), (19, 18, 15)),
    "y-": ((3, 0, 2), (17, 18, 15)),
    "y+": ((3, 4, 2), (17, 20, 15)),
    "z-": ((3, 4, 0), (17, 18, 15)),
    "z+": ((3, 4, 2), (17, 18, 17)),
    "all but the lost planes": ((0, 0, 0), (19, 20, 17)),
    "least": ((4, 5, 6), (6, 7, 8)),
}


def softmax_of(seed, *, size=SIZE, batch=1, half=False):
    """Classes that change from sample to sample; of the very values that the tensor's type holds."""
    scores = np.random.default_rng(seed).normal(size=(batch, 4, *size)) * 3
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    softmax = (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float16 if half else np.float32)
    return softmax.astype(np.float32)


def like(shape, order):
    """A volume of that memory order."""
    axes = ORDERS[order]
    return np.ones([shape[axis] for axis in axes], np.int16).transpose(np.argsort(axes))


def assert_but_for_ties(found, expected, softmax, box, tie):
    different = found != expected
    second, first = np.sort(oracle.restore_probabilities(softmax, box), axis=0)[-2:]
    inside = tuple(slice(*bounds) for bounds in zip(*box, strict=True))
    outside = different.copy()
    outside[inside] = False
    assert not outside.any()
    assert (first - second)[different[inside]].max(initial=0.0) < tie


def assert_witnesses_agree(device, softmax, box, shape, *, order="xyz", half=False, values=(0, 1, 2, 4)):
    expected = oracle.restore(softmax, box, shape, values)
    assert len(np.unique(expected)) > 1
    hosts = np.empty(shape, np.uint8)
    counts, _ = _host.scatter(softmax, box, hosts, values=values)
    assert_but_for_ties(hosts, expected, softmax, box, ARGMAX_TIE)
    assert counts == tuple(int((hosts == value).sum()) for value in values)
    stages = Stages(device, shape, size=softmax.shape[2:], batch=len(softmax), half=half)
    kernels, counted = stages.scatter(softmax, box, like(shape, order), values=values)
    assert_but_for_ties(kernels, expected, softmax, box, ARGMAX_TIE_ON_DEVICE)
    assert counted == tuple(int((kernels == value).sum()) for value in values)


@pytest.mark.parametrize("box", BOXES)
def test_three_witnesses_give_one_label_map(device, box):
    assert_witnesses_agree(device, softmax_of(1), BOXES[box], SHAPE)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("batch", [1, 2])
def test_they_agree_in_every_memory_order_type_and_with_the_mirrored_entry(device, order, half, batch):
    softmax = softmax_of(2, batch=batch, half=half)
    assert_witnesses_agree(device, softmax, BOXES["inside"], SHAPE, order=order, half=half, values=(0, 2, 1, 3))


@pytest.mark.parametrize("axis", range(3))
def test_they_agree_along_the_longest_axis(device, axis):
    shape = tuple(np.roll((1024, 6, 5), axis))
    box = ((0, 0, 0), tuple(int(n) - 1 for n in shape))
    assert_witnesses_agree(device, softmax_of(3, size=(7, 8, 6)), box, tuple(int(n) for n in shape))


def test_a_tumour_of_two_samples_an_axis_is_where_all_three_say(device):
    softmax = np.zeros((1, 4, *SIZE), np.float32)
    softmax[0, 0] = 1.0
    softmax[0, :, 5:7, 6:8, 7:9] = np.array([0.0, 0.0, 0.0, 1.0])[:, None, None, None]
    assert_witnesses_agree(device, softmax, BOXES["inside"], SHAPE)


def test_the_mirrored_average_is_symmetric(device):
    """A pair that is each other's mirror image gives what one of them gives alone."""
    softmax = softmax_of(4)
    pair = np.concatenate([softmax, softmax[:, :, :, ::-1]])
    reference = like(SHAPE, "xyz")
    alone, _ = Stages(device, SHAPE, size=SIZE).scatter(softmax, BOXES["inside"], reference)
    both, _ = Stages(device, SHAPE, size=SIZE, batch=2).scatter(pair, BOXES["inside"], reference)
    np.testing.assert_array_equal(both, alone)
